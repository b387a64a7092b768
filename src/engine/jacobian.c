/* The slopes of eta in the weights, observation by observation, for networks whose weights are points: what their products
 * are needed for. Backward runs from eta, with seeds in place of the slopes of a loss. */
#pragma once
#include "data.c"
#include "model.c"

enum { JACOBIAN_COLUMNS = 256, JACOBIAN_NUMBERS = 1 << 22, GRAM_BLOCK = 128 };

/* What a sweep over the data works on. A chunk has a column for each seed and observation, those of one seed together. */
typedef struct {
  nn_model *model;
  const nn_jacobian *job;
  real *j;        /* [columns of the chunk, active] */
  real *x, *dy;   /* of one layer, transposed: [observations, units] */
  real *by, *sum; /* the job's; what is summed, or a block of columns of j by */
  int *place;     /* of a parameter among the active ones, or -1 */
  nn_node *layer; /* whose sides are wanted, or NULL */
} sweep;

/* to [n, rows] = from [rows, n]' */
static void turn(int rows, int n, const real *from, real *to) {
  for (int i = 0; i < n; i++)
    for (int r = 0; r < rows; r++) to[(size_t)r * n + i] = from[(size_t)i * rows + r];
}

/* The slopes in one leaf [rows, cols], entry by entry the products of left [n, rows] and right [n, cols] (NULL: 1). */
static void put_slopes(const sweep *s, const nn_node *leaf, const real *left, const real *right,
                       size_t first) {
  const int n = s->model->tape.n_obs;
  const size_t step = (size_t)n * (size_t)s->job->n_seeds;
  for (int c = 0; c < leaf->cols; c++)
    for (int r = 0; r < leaf->rows; r++) {
      const int place = s->place[leaf->offset + (size_t)c * leaf->rows + r];
      if (place < 0) continue;
      const real *a = left + (size_t)r * n, *b = right ? right + (size_t)c * n : NULL;
      real *to = s->j + (size_t)place * step + first;
      if (!b) {
        memcpy(to, a, (size_t)n * sizeof(real));
        continue;
      }
      NN_SIMD
      for (int i = 0; i < n; i++) to[i] = a[i] * b[i];
    }
}

/* The columns of from [rows, n]' in to [n, all observations from the first of the chunk on] */
static void put_columns(const sweep *s, int rows, const real *from, double *to) {
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < s->model->tape.n_obs; i++)
      to[(size_t)r * s->job->data.n + (size_t)i] =
          (double)from[(size_t)i * (size_t)rows + (size_t)r];
}

/* The sides of a layer's slopes, of the k'th seed. */
static void put_sides(const sweep *s, nn_node *n, int k, size_t first_obs) {
  const nn_node *x = input_of(&s->model->tape, n, 0);
  double *out = s->job->out + first_obs;
  if (k == 0) put_columns(s, x->rows, x->value, out);
  put_columns(s, n->rows, n->grad,
              out + ((size_t)x->rows + (size_t)k * (size_t)n->rows) * s->job->data.n);
}

/* The linear layer of which this is the first weight, or NULL. */
static nn_node *layer_of(nn_model *m, size_t weight) {
  for (int i = 0; i <= m->eta; i++) {
    nn_node *n = &m->tape.node[i];
    if (n->op == OP_DENSE && !n->cols && input_of(&m->tape, n, 1)->offset == weight) return n;
  }
  return NULL;
}

/* dW_i = dy_i x_i', db_i = dy_i of each observation i; of transposed weights dW_i = x_i dy_i' */
static void dense_slopes(const sweep *s, nn_node *n, size_t first) {
  nn_tape *t = &s->model->tape;
  const nn_node *x = input_of(t, n, 0), *w = input_of(t, n, 1), *b = input_of(t, n, 2);
  turn(x->rows, t->n_obs, x->value, s->x);
  turn(n->rows, t->n_obs, n->grad, s->dy);
  put_slopes(s, w, n->option ? s->x : s->dy, n->option ? s->dy : s->x, first);
  if (b) put_slopes(s, b, s->dy, NULL, first);
}

/* The slopes of the k'th seed, from eta down. */
static void seed_slopes(const sweep *s, int k, size_t first_obs) {
  nn_model *m = s->model;
  nn_tape *t = &m->tape;
  const nn_jacobian *j = s->job;
  const size_t rows = (size_t)rows_of(m, m->eta), from = (size_t)k * rows * j->seed_rows;
  real *seed = t->node[m->eta].grad;
  for (size_t i = 0; i < (size_t)t->n_obs; i++)
    for (size_t r = 0; r < rows; r++) {
      size_t at = j->seed_rows == 1 ? 0 : first_obs + i;
      seed[i * rows + r] = (real)j->seed[from + r * j->seed_rows + at];
    }
  for (int i = m->eta; i >= 0; i--) {
    nn_node *n = &t->node[i];
    if (n->cols > 0 || !n->needs_grad) continue;
    if (n == s->layer) put_sides(s, n, k, first_obs);
    if (n->op == OP_DENSE && !s->layer) dense_slopes(s, n, (size_t)k * (size_t)t->n_obs);
    if (nn_ops[n->op].backward) nn_ops[n->op].backward(t, n);
  }
}

/* sum += j'j, block by block of its upper triangle. */
static void add_gram(const sweep *s) {
  const size_t active = s->job->n_active;
  const int k = s->model->tape.n_obs * s->job->n_seeds;
  for (size_t first = 0; first < active; first += GRAM_BLOCK) {
    const int n = active - first < GRAM_BLOCK ? (int)(active - first) : GRAM_BLOCK;
    real *c = s->sum + first * active;
    nn_product p = {1, 0, (int)first + n, n, k, s->j, s->j + first * (size_t)k, c, active, c,
                    0, 0, active};
    linalg_product(&s->model->tape.linalg, &p);
  }
}

/* Columns `first` to `first + n` of j by: what they are, or for each pair of seeds the sum of their products. */
static void put_images(const sweep *s, const real *from, size_t first_obs, size_t first, int n) {
  const nn_jacobian *j = s->job;
  const size_t n_obs = (size_t)s->model->tape.n_obs, seeds = (size_t)j->n_seeds, all = j->data.n,
               step = n_obs * seeds;
  for (size_t a = 0; a < seeds; a++)
    for (int l = 0; l < n; l++) {
      const real *one = from + (size_t)l * step + a * n_obs;
      if (j->want == NN_WANT_IMAGES) {
        copy_out(n_obs, one, j->out + ((first + (size_t)l) * seeds + a) * all + first_obs);
        continue;
      }
      for (size_t b = 0; b <= a; b++) {
        const real *other = from + (size_t)l * step + b * n_obs;
        double *to = j->out + (a * seeds + b) * all + first_obs;
        NN_SIMD
        for (size_t i = 0; i < n_obs; i++) to[i] += (double)(one[i] * other[i]);
      }
    }
}

/* j by, by blocks of columns, of a triangle without what is 0. */
static void add_images(const sweep *s, size_t first_obs) {
  const nn_jacobian *j = s->job;
  const int m = s->model->tape.n_obs * j->n_seeds;
  if (!j->by) {
    put_images(s, s->j, first_obs, 0, (int)j->n_by);
    return;
  }
  for (size_t first = 0; first < j->n_by; first += GRAM_BLOCK) {
    const int n = j->n_by - first < GRAM_BLOCK ? (int)(j->n_by - first) : GRAM_BLOCK,
              k = j->by_is_upper ? (int)first + n : (int)j->n_active;
    nn_product p = {0,    0, m,      n, k,           s->j, s->by + first * j->n_active,
                    NULL, 0, s->sum, 0, j->n_active, 0};
    linalg_product(&s->model->tape.linalg, &p);
    put_images(s, s->sum, first_obs, first, n);
  }
}

/* The chunk of observations that begins at `first`. */
static void sweep_chunk(const sweep *s, size_t first, int n_obs) {
  nn_model *m = s->model;
  nn_tape *t = &m->tape;
  const nn_source *d = &s->job->data;
  t->n_obs = n_obs, t->first_obs = first;
  transpose(d, d->x, m->spec->n_x, d->center, d->scale, first, (size_t)n_obs, t->node[m->x].value);
  if (m->offset >= 0)
    transpose(d, d->offset, rows_of(m, m->offset), NULL, NULL, first, (size_t)n_obs,
              t->node[m->offset].value);
  tape_forward(t, 0, m->eta, 0);
  for (int k = 0; k < s->job->n_seeds; k++) seed_slopes(s, k, first);
  if (s->job->want == NN_WANT_GRAM)
    add_gram(s);
  else if (!s->layer)
    add_images(s, first);
}

/* The widest input or output of a linear layer. */
static size_t widest(const nn_model *m) {
  int most = 1;
  for (int i = 0; i <= m->eta; i++)
    if (m->tape.node[i].rows > most && !m->tape.node[i].cols) most = m->tape.node[i].rows;
  return (size_t)most;
}

/* Both triangles of what is symmetric. */
static void mirror(size_t n, const real *upper, double *out) {
  for (size_t j = 0; j < n; j++)
    for (size_t i = 0; i <= j; i++) out[i + j * n] = out[j + i * n] = (double)upper[i + j * n];
}

static void mirror_covariances(const nn_jacobian *j) {
  const size_t n = j->data.n, seeds = (size_t)j->n_seeds;
  for (size_t a = 0; a < seeds; a++)
    for (size_t b = 0; b < a; b++)
      memcpy(j->out + (b * seeds + a) * n, j->out + (a * seeds + b) * n, n * sizeof(double));
}

static void run_sweep(const sweep *s, const nn_jacobian *j, int max_obs, int *status) {
  const double work = model_work(s->model, (size_t)max_obs) * 3 +
                      (double)j->n_active * (double)j->n_active * max_obs * j->n_seeds;
  double done = 0;
  *status = NN_OK;
  for (size_t first = 0; first < j->data.n; first += (size_t)max_obs) {
    if (done > NN_POLL_WORK && host_poll(&j->host)) {
      *status = NN_INTERRUPTED;
      return;
    }
    done = done > NN_POLL_WORK ? 0 : done + work;
    const size_t left = j->data.n - first;
    sweep_chunk(s, first, left < (size_t)max_obs ? (int)left : max_obs);
  }
}

/* How many observations are a chunk: fewer where there are many weights. */
static size_t sweep_rows(const nn_jacobian *j) {
  const size_t few = JACOBIAN_NUMBERS / j->n_active + 1,
               columns = few < JACOBIAN_COLUMNS ? few : JACOBIAN_COLUMNS;
  return columns / (size_t)j->n_seeds + 1;
}

static size_t jacobian(void *model, nn_jacobian *j, void *memory, int *status) {
  nn_model *m = (nn_model *)model;
  nn_tape *t = &m->tape;
  nn_arena a = arena_at(memory);
  const size_t active = j->n_active, most = sweep_rows(j), columns = most * (size_t)j->n_seeds;
  const int is_gram = j->want == NN_WANT_GRAM;
  sweep s = {.model = m, .job = j};
  if (j->want == NN_WANT_SIDES) s.layer = layer_of(m, j->active[0]);
  if (s.layer)
    j->columns = (size_t)input_of(t, s.layer, 0)->rows + (size_t)s.layer->rows * (size_t)j->n_seeds;
  real *theta = arena_reals(&a, m->n_par);
  t->host = &j->host, t->mode = NN_MODE_MEAN;
  t->linalg.wish = j->host.compute;
  tape_place(t, &a, (int)most, 1, theta, NULL);
  s.j = arena_reals(&a, columns * active);
  s.x = arena_reals(&a, most * widest(m)), s.dy = arena_reals(&a, most * widest(m));
  s.by = arena_reals(&a, j->by ? active * j->n_by : 0);
  s.sum = arena_reals(&a, is_gram ? active * active : columns * GRAM_BLOCK);
  s.place = (int *)arena_take(&a, m->n_par, sizeof(int));
  if (!memory) return arena_bytes(&a);
  const nn_arithmetic before = arithmetic_flush();
  copy_in(m->n_par, j->theta, theta);
  for (size_t i = 0; i < m->n_par; i++) s.place[i] = -1;
  for (size_t i = 0; i < active; i++) s.place[j->active[i]] = (int)i;
  if (is_gram)
    memset(s.sum, 0, active * active * sizeof(real));
  else if (j->by)
    copy_in(active * j->n_by, j->by, s.by);
  tape_forward(t, 0, m->eta, 1);
  run_sweep(&s, j, (int)most, status);
  if (is_gram) mirror(active, s.sum, j->out);
  if (j->want == NN_WANT_COVARIANCES) mirror_covariances(j);
  arithmetic_set(before);
  return 0;
}
