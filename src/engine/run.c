/* Forward runs over any range of the tape: codes, decodings, eta, the terms of the loss; in chunks, so that memory does not
 * grow with the data. */
#include "model.h"

enum { RUN_CHUNK = 512, MOST_CHUNKS = 8 };

static void put(const real *value, int rows, int n_obs, size_t first, size_t n, double *out) {
  for (int j = 0; j < rows; j++)
    for (int i = 0; i < n_obs; i++)
      out[first + (size_t)i + (size_t)j * n] = (double)value[(size_t)i * rows + j];
}

static int is_code(nn_want want) { return want == NN_WANT_Z || want == NN_WANT_SD; }

/* What is wanted of one chunk, and how many rows it has. */
static int put_wanted(const nn_model *m, nn_want want, size_t first, size_t n, double *out) {
  const nn_tape *t = &m->tape;
  int node = is_code(want) ? m->z : m->eta, rows = 0;
  if (want != NN_WANT_TERMS) {
    const real *value = want == NN_WANT_SD ? t->node[node].aux : t->node[node].value;
    if (out) put(value, rows_of(m, node), t->n_obs, first, n, out);
    return rows_of(m, node);
  }
  for (int k = 0; k < t->n_terms; k++) {
    const nn_node *term = &t->node[t->term[k].node];
    if (term->cols) continue;
    if (out) put(term->value, 1, t->n_obs, first, n, out + (size_t)rows * n);
    rows++;
  }
  return rows;
}

/* Runs the tape over the observations first .. first + n_obs, filled into its data nodes. */
static void run_chunk(nn_model *m, const nn_run *r, size_t first, int n_obs, real *y, int from,
                      int to) {
  nn_tape *t = &m->tape;
  const nn_source *s = &r->data;
  t->n_obs = n_obs;
  t->first_obs = first;
  t->y = y;
  if (r->z)
    transpose(s, r->z, rows_of(m, m->z), NULL, NULL, first, (size_t)n_obs, t->node[m->z].value);
  if (s->x)
    transpose(s, s->x, m->spec->n_x, s->center, s->scale, first, (size_t)n_obs,
              t->node[m->x].value);
  if (m->offset >= 0 && !is_code(r->want))
    transpose(s, s->offset, rows_of(m, m->offset), NULL, NULL, first, (size_t)n_obs,
              t->node[m->offset].value);
  if (r->want == NN_WANT_TERMS) transpose(s, s->y, m->n_y, NULL, NULL, first, (size_t)n_obs, y);
  tape_forward(t, from, to, 0);
}

/* A thread's model, and the responses of its chunk. */
typedef struct {
  nn_model model;
  real *y;
} worker;

/* The threads' shares of a run of the nodes from .. to; the work since the host was asked. */
typedef struct {
  worker *w;
  int n_workers, from, to;
  double work;
} runner;

/* Chunks of the observations first .. end. */
static void run_chunks(worker *w, const nn_run *r, size_t first, size_t end, int from, int to,
                       double *out) {
  nn_model *m = &w->model;
  for (int n_obs; first < end; first += (size_t)n_obs) {
    n_obs = end - first < (size_t)m->tape.max_obs ? (int)(end - first) : m->tape.max_obs;
    run_chunk(m, r, first, n_obs, w->y, from, to);
    put_wanted(m, r->want, first, r->data.n, out);
  }
}

/* A share of each thread between two questions to the host. */
static size_t share_of(const worker *w) {
  const size_t max_obs = (size_t)w->model.tape.max_obs;
  const double chunks = NN_POLL_WORK / model_work(&w->model, max_obs);
  return max_obs * (chunks < 1 ? 1 : chunks < MOST_CHUNKS ? (size_t)chunks : MOST_CHUNKS);
}

/* All observations at one draw of the weights; between the shares of the threads it may be stopped. */
static int run_draw(runner *p, const nn_run *r, double *out) {
  const size_t n = r->data.n, share = share_of(p->w);
  for (size_t first = 0; first < n; first += share * (size_t)p->n_workers) {
    NN_PARALLEL(p->n_workers)
    for (int i = 0; i < p->n_workers; i++) {
      size_t begin = first + share * (size_t)i, end = begin + share < n ? begin + share : n;
      run_chunks(&p->w[i], r, begin, end, p->from, p->to, out);
    }
    p->work += model_work(&p->w->model, n - first < share ? n - first : share);
    if (p->work < NN_POLL_WORK) continue;
    p->work = 0;
    if (host_poll(&r->host)) return 1;
  }
  return 0;
}

static size_t run(void *model, nn_run *r, void *memory, int *status) {
  nn_model *m = (nn_model *)model;
  nn_tape *t = &m->tape;
  nn_arena a = arena_at(memory);
  size_t n = r->data.n;
  int max_obs = n < RUN_CHUNK ? (int)(n ? n : 1) : RUN_CHUNK, from = r->z ? m->decoder : 0,
      stop = 0;
  int to = is_code(r->want) ? m->z : r->want == NN_WANT_ETA ? m->eta : t->n_nodes - 1;
  /* the host's noise is drawn in order, in one thread: then only products have more */
  int threads = r->host.compute.threads,
      n_workers = r->mode != NN_MODE_MEAN && !r->host.has_key ? 1 : threads;
  real *theta = arena_reals(&a, m->n_par);
  t->host = &r->host;
  t->mode = r->mode;
  t->linalg.wish = r->host.compute;
  if (n_workers > 1) t->linalg.wish.threads = 1;
  tape_place(t, &a, max_obs, 0, theta, NULL);
  worker *w = (worker *)arena_take(&a, (size_t)n_workers, sizeof(worker));
  for (int i = 0; i < n_workers; i++) {
    worker one = {*m, arena_reals(&a, (size_t)max_obs * (size_t)m->n_y)};
    if (i) one.model.tape = tape_copy(t, &a);
    if (memory) w[i] = one;
  }
  if (!memory) return arena_bytes(&a);
  runner p = {w, n_workers, from, to, 0};
  const nn_arithmetic before = arithmetic_flush();
  copy_in(m->n_par, r->theta, theta);
  double *out = r->out;
  for (int draw = 0; draw < r->draws && !stop; draw++) {
    t->pass = (unsigned)draw;
    tape_forward(t, 0, to, 1);
    for (int i = 0; i < n_workers; i++) w[i].model.tape.pass = t->pass;
    stop = run_draw(&p, r, out);
    out += n * (size_t)put_wanted(m, r->want, 0, n, NULL);
  }
  arithmetic_set(before);
  *status = stop ? NN_INTERRUPTED : NN_OK;
  return 0;
}
