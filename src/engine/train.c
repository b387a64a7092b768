/* Training: data, batches, epochs, and the gradient of all the data. */
#pragma once
#include "data.c"
#include "model.c"
#include "optimizer.c"

enum {
  MAX_CHUNK = 1024,
  END_ROWS = 512, /* whose loss is looked at when training ends */
  STEP_THREADS_FROM = 100000,
  NORM_PARTS = 16
};

/* No number that training leaves is beyond 1e100, so that products of two are finite. */
static int is_usable(double x) { return fabs(x) <= 1e100; }

static int all_usable(size_t n, const real *x) {
  int usable = 1;
  for (size_t i = 0; i < n; i++) usable &= is_usable((double)x[i]);
  return usable;
}

/* Data as the tape reads it: one column per observation. */
typedef struct {
  size_t n, n_all; /* rows that are here, rows of all buffers */
  int n_x, n_y, n_offset;
  real *x, *y, *offset;
  double *weight; /* NULL: 1 */
  double total_weight;
} nn_data;

static void data_place(nn_data *d, nn_arena *a, const nn_model *m, const nn_source *s,
                       int has_weight) {
  d->n = d->n_all = s->n;
  d->n_x = m->spec->n_x, d->n_y = m->n_y, d->n_offset = m->offset < 0 ? 0 : rows_of(m, m->offset);
  d->x = arena_reals(a, s->n * (size_t)d->n_x);
  d->y = s->y_is_x ? d->x : arena_reals(a, s->n * (size_t)d->n_y);
  d->offset = arena_reals(a, s->n * (size_t)d->n_offset);
  d->weight = has_weight ? (double *)arena_take(a, s->n, sizeof(double)) : NULL;
}

static void data_load(nn_data *d, const nn_source *s, int threads) {
  d->n = d->n_all = s->n;
  NN_PARALLEL(threads)
  for (int i = 0; i < threads; i++) {
    size_t at = part_begin(i, threads, s->n, 1), n = part_begin(i + 1, threads, s->n, 1) - at;
    transpose(s, s->x, d->n_x, s->center, s->scale, at, n, d->x + at * (size_t)d->n_x);
    if (!s->y_is_x) transpose(s, s->y, d->n_y, NULL, NULL, at, n, d->y + at * (size_t)d->n_y);
    if (d->n_offset)
      transpose(s, s->offset, d->n_offset, NULL, NULL, at, n, d->offset + at * (size_t)d->n_offset);
  }
  d->total_weight = (double)s->n;
  if (!d->weight) return;
  d->total_weight = 0;
  for (size_t i = 0; i < s->n; i++)
    d->total_weight += d->weight[i] = s->weight[s->row ? s->row[i] : i];
}

/* All that a training run works on. */
typedef struct {
  nn_model *model;
  nn_tape *tape;
  nn_job *job;
  nn_data train, valid;
  real *theta, *grad, *start, *best, *slots, *y;
  real *weight, *pull; /* of each column of the chunk: in the sums; in the gradient */
  double *copy;        /* work space of weigh_copies() */
  nn_picked *picked;   /* of each leaf; without columns: its gradient is whole */
  double coefficient[NN_N_TERM_KINDS]; /* those of this epoch */
  double tighter;                      /* the importance-weighted loss less the sum of its terms */
  double *part, *sum, *held; /* the terms' means over a batch, an epoch, the validation data */
  size_t *order;
  size_t before; /* rows of the pass that came before those of the buffer */
  nn_moment now;
  int goes_on; /* the epoch was begun by the training that this one goes on with */
  double work; /* since the host was asked */
  int asked;   /* the host was polled since the last offer */
  int stopped; /* the host wants training to end */
} trainer;

/* Whether the host wants training to end. */
static int should_stop(trainer *s) {
  if (s->stopped || s->work < NN_POLL_WORK) return s->stopped;
  s->work = 0, s->asked = 1;
  return s->stopped = host_poll(&s->job->host);
}

/* The next buffer of the data, of which each starts in order; 0: there is none. */
static int load_next(trainer *s) {
  const nn_feed *f = &s->job->feed;
  nn_source next;
  const size_t before = s->before + s->train.n;
  s->stopped = s->stopped || host_fetch(&s->job->host, &next);
  if (s->stopped) return 0;
  s->before = before < f->n ? before : 0;
  data_load(&s->train, &next, s->job->host.compute.threads);
  host_fetch(&s->job->host, NULL);
  if (s->train.n < f->n) s->train.n_all = f->n, s->train.total_weight = f->total_weight;
  for (size_t i = 0; s->order && i < s->train.n; i++) s->order[i] = i;
  return 1;
}

static int is_loaded(const trainer *s, size_t row) {
  return row >= s->before && row - s->before < s->train.n;
}

/* Whether this row of the pass is in the buffer, or the next one has it. Data that fit in one stay there, in the order that
 * they have by now. */
static int has_row(trainer *s, size_t row) {
  return is_loaded(s, row) || (load_next(s) && is_loaded(s, row));
}

/* Columns; their order is random, so that the processor cannot guess the next. */
enum { FETCH_AHEAD = 8 };

/* Which columns of the data make the chunk: `copies` of each that `row` names, from its first'th. */
typedef struct {
  const nn_data *data;
  const size_t *row; /* NULL: all, in order */
  size_t first, copies, n;
} selection;

static size_t selected(const selection *s, size_t i) {
  const size_t at = s->first + i / s->copies;
  return s->row ? s->row[at] : at;
}

/* Columns `from` to `end` of the chunk. */
static void gather_part(trainer *s, const selection *c, size_t from, size_t end) {
  const nn_data *d = c->data;
  nn_tape *t = s->tape;
  real *x = t->node[s->model->x].value;
  real *offset = d->n_offset ? t->node[s->model->offset].value : NULL;
  const size_t nx = (size_t)d->n_x, ny = (size_t)d->n_y, no = (size_t)d->n_offset;
  for (size_t i = from; i < end; i++) {
    const size_t at = selected(c, i);
    if (c->row && i + FETCH_AHEAD < end)
      arena_prefetch(nx * sizeof(real), d->x + selected(c, i + FETCH_AHEAD) * nx);
    memcpy(x + i * nx, d->x + at * nx, nx * sizeof(real));
    if (d->y != d->x) memcpy(s->y + i * ny, d->y + at * ny, ny * sizeof(real));
    if (no) memcpy(offset + i * no, d->offset + at * no, no * sizeof(real));
    const double weight = d->weight ? d->weight[at] * (double)d->n_all / d->total_weight : 1;
    s->weight[i] = (real)(weight / (double)c->copies);
  }
}

/* These columns become the chunk that the tape works on. */
static void gather(trainer *s, selection c) {
  nn_tape *t = s->tape;
  const size_t n = c.n * c.copies;
  const int threads = tape_threads(t, n * (size_t)c.data->n_x);
  t->n_obs = (int)n;
  t->y = c.data->y == c.data->x ? t->node[s->model->x].value : s->y;
  t->first_obs = c.first * c.copies;
  if (threads == 1) {
    gather_part(s, &c, 0, n);
    return;
  }
  NN_PARALLEL(threads)
  for (int i = 0; i < threads; i++)
    gather_part(s, &c, part_begin(i, threads, n, 1), part_begin(i + 1, threads, n, 1));
}

/* Adds share * sum_i weight_i term_i to the parts of one kind of term, per observation or of the weights, and when
 * `gradient` starts its gradient. */
static void take_terms(trainer *s, int of_weights, double share, int gradient) {
  nn_tape *t = s->tape;
  for (int k = 0; k < t->n_terms; k++) {
    nn_node *n = &t->node[t->term[k].node];
    real seed = (real)(share * s->coefficient[t->term[k].kind]);
    if ((n->cols > 0) != of_weights) continue;
    int count = of_weights ? 1 : t->n_obs;
    double sum = 0;
    for (int i = 0; i < count; i++) {
      real weight = of_weights ? 1 : s->weight[i];
      sum += (double)weight * (double)n->value[i];
      if (gradient && n->needs_grad) n->grad[i] = of_weights ? seed : s->pull[i] * seed;
    }
    s->part[k] += share * sum;
  }
}

static double loss_of(const trainer *s, const double *part, const double *coefficient) {
  double loss = 0;
  for (int k = 0; k < s->tape->n_terms; k++) loss += coefficient[s->tape->term[k].kind] * part[k];
  return loss;
}

static int chunk_of(const nn_tape *t, size_t left, int copies) {
  size_t room = (size_t)(t->max_obs / copies);
  return (int)(left < room ? left : room);
}

/* The importance-weighted bound of each observation from its K copies, l_k their losses: -log (1 / K) sum_k e^-l_k, whose
 * gradient weighs those of the l_k by their share in the sum. Burda, Grosse & Salakhutdinov (2016). */
static void weigh_copies(trainer *s, double share) {
  nn_tape *t = s->tape;
  int copies = s->job->importance;
  for (int i = 0; i < t->n_obs; i += copies) {
    double least = INFINITY, sum = 0, mean = 0;
    for (int k = i; k < i + copies; k++) {
      double loss = 0;
      for (int j = 0; j < t->n_terms; j++) {
        const nn_node *n = &t->node[t->term[j].node];
        if (!n->cols) loss += s->coefficient[t->term[j].kind] * (double)n->value[k];
      }
      s->copy[k - i] = loss, mean += loss / copies;
      if (!(loss >= least)) least = loss;
    }
    for (int k = 0; k < copies; k++) sum += s->copy[k] = exp(least - s->copy[k]);
    double weight = (double)s->weight[i] * copies;
    for (int k = 0; k < copies; k++) s->pull[i + k] = (real)(weight * s->copy[k] / sum);
    s->tighter += share * weight * (least - log(sum / copies) - mean);
  }
}

/* grad = gradient of the mean loss of n observations of a pass, from its first'th on, averaged over mc_samples draws; `row`
 * orders those of the buffer. Returns the loss and leaves its terms in s->part. In chunks, so that memory does not grow with the batch; NaN when the host stops it. */
static double batch_gradient(trainer *s, const size_t *row, size_t first, size_t n) {
  nn_tape *t = s->tape;
  int draws = s->job->mc_samples, last = t->n_nodes - 1, copies = s->job->importance;
  size_t now = 0;
  t->mode = NN_MODE_SAMPLE;
  s->tighter = 0;
  memset(s->part, 0, (size_t)t->n_terms * sizeof(double));
  for (int draw = 0; draw < draws; draw++) {
    t->first_draw = draw == 0;
    t->pass++;
    tape_forward(t, 0, last, 1);
    for (size_t done = 0; done < n; done += now) {
      double share = 1.0 / ((double)n * draws);
      if (!has_row(s, first + done)) return NAN;
      const size_t at = first + done - s->before, left = s->train.n - at;
      now = (size_t)chunk_of(t, left < n - done ? left : n - done, copies);
      t->first_chunk = done == 0;
      gather(s, (selection){&s->train, row, at, (size_t)copies, now});
      tape_forward(t, 0, last, 0);
      if (copies > 1) weigh_copies(s, share);
      take_terms(s, 0, share, 1);
      tape_backward(t, 0);
      s->work += 3 * model_work(s->model, now * (size_t)copies);
      if (should_stop(s)) return NAN;
    }
    take_terms(s, 1, 1.0 / draws, 1);
    tape_backward(t, 1);
  }
  return loss_of(s, s->part, s->coefficient) + s->tighter;
}

/* The terms per observation of n observations, their means in s->held, with the coefficients that warm-up leads to. */
static double forward_loss(trainer *s, nn_mode mode, const nn_data *data, const size_t *row,
                           size_t n) {
  nn_tape *t = s->tape;
  int last = t->n_nodes - 1;
  double *part = s->part;
  s->part = s->held;
  t->mode = mode;
  t->pass++;
  memset(s->part, 0, (size_t)t->n_terms * sizeof(double));
  tape_forward(t, 0, last, 1);
  for (size_t done = 0; done < n && !should_stop(s); done += (size_t)t->n_obs) {
    gather(s, (selection){data, row, done, 1, (size_t)chunk_of(t, n - done, 1)});
    tape_forward(t, 0, last, 0);
    take_terms(s, 0, 1.0 / (double)n, 0);
    s->work += model_work(s->model, (size_t)t->n_obs);
  }
  s->part = part;
  return loss_of(s, s->held, s->job->coefficient);
}

/* Mean loss of the validation data, at the means of all random variables or, with a random bottleneck, at a draw: there the
 * means would hide what the draws cost. */
static double validation_loss(trainer *s) {
  nn_mode mode = NN_MODE_MEAN;
  for (int k = 0; k < s->tape->n_terms; k++)
    if (s->tape->term[k].kind == NN_KL_LATENT) mode = NN_MODE_DRAW;
  return forward_loss(s, mode, &s->valid, NULL, s->valid.n);
}

/* Fisher-Yates, one uniform per swap, fetched in blocks. */
static void shuffle(trainer *s) {
  double u[128];
  size_t n = s->train.n;
  for (size_t i = n - 1, left = 0; i > 0; i--) {
    if (left == 0) {
      left = i < 128 ? i : 128;
      s->job->host.uniform(s->job->host.context, u, left, sizeof(double));
    }
    size_t j = (size_t)(u[--left] * (double)(i + 1)), other = s->order[j];
    s->order[j] = s->order[i];
    s->order[i] = other;
  }
}

/* A stretch of the parameters that this step has a gradient of. */
typedef struct {
  int leaf, k; /* of the leaf all, or the k'th column that was picked */
  size_t n;
  real *theta, *grad, *slot; /* of the first slot */
  size_t to_next_slot;
  real *steps; /* of the column; NULL: those of the training count */
} stretch;

/* Whether its columns are levels; other parts of a posterior have none of their own. */
static int has_levels(const nn_leaf *leaf) { return leaf->role == NN_EMBEDDING && leaf->part == 0; }

/* The columns that a leaf has picked, or NULL. */
static nn_picked *picked_of(const trainer *s, int leaf) {
  return s->picked && leaf >= 0 && s->picked[leaf].column ? &s->picked[leaf] : NULL;
}

/* From {-1} on the next one; 0: there is none. */
static int next_stretch(const trainer *s, stretch *at) {
  const nn_picked *p = picked_of(s, at->leaf);
  if (p && at->k + 1 < p->n) {
    at->k++;
  } else {
    do {
      if (++at->leaf >= s->model->n_leaves) return 0;
      at->k = 0, p = picked_of(s, at->leaf);
    } while (p && p->n == 0);
  }
  const nn_leaf *leaf = &s->model->leaf[at->leaf];
  at->n = (size_t)leaf->rows * (p ? 1 : (size_t)leaf->cols);
  at->grad = s->grad + leaf->offset + (p ? (size_t)at->k * at->n : 0);
  at->theta = p ? p->record + (size_t)p->column[at->k] * p->stride : s->theta + leaf->offset;
  at->slot = p ? at->theta + at->n : s->slots + leaf->offset;
  at->to_next_slot = p ? at->n : s->model->n_par;
  at->steps = p ? at->slot + (size_t)nn_optimizers[s->job->optimizer].n_slots * at->n : NULL;
  return 1;
}

/* The sum of squares of the gradient, by parts that do not depend on the threads. */
static double squared_norm(const trainer *s) {
  size_t n = s->model->n_par;
  int threads = n < STEP_THREADS_FROM ? 1 : s->job->host.compute.threads;
  double part[NORM_PARTS], sum = 0;
  for (stretch at = {.leaf = -1}; s->picked && next_stretch(s, &at);)
    sum += inner(at.n, at.grad, at.grad);
  if (s->picked) return sum;
  NN_PARALLEL(threads)
  for (int i = 0; i < NORM_PARTS; i++) {
    size_t first = part_begin(i, NORM_PARTS, n, 1);
    part[i] = inner(part_begin(i + 1, NORM_PARTS, n, 1) - first, s->grad + first, s->grad + first);
  }
  for (int i = 0; i < NORM_PARTS; i++) sum += part[i];
  return sum;
}

static void clip(trainer *s) {
  double norm = sqrt(squared_norm(s));
  if (!(norm > s->job->clip_norm)) return;
  real shrink = (real)(s->job->clip_norm / norm);
  for (stretch at = {.leaf = -1}; next_stretch(s, &at);)
    for (size_t i = 0; i < at.n; i++) at.grad[i] *= shrink;
}

/* A step on part i of n_parts of a stretch of theta. */
static void step_part(const nn_optimizer *o, nn_step a, int i, int n_parts) {
  size_t first = part_begin(i, n_parts, a.n, 1);
  a.n = part_begin(i + 1, n_parts, a.n, 1) - first, a.theta += first, a.grad += first;
  if (a.log_sd) a.log_sd += first, a.log_sd_grad += first;
  for (int k = 0; k < o->n_slots; k++) a.slot[k] += first;
  o->step(&a);
}

static int is_weight(const nn_leaf *leaf) {
  return leaf->role == NN_WEIGHT || leaf->role == NN_EMBEDDING;
}

/* The leaf of the logs of the standard deviations of these means of independent weights, or NULL. */
static const nn_leaf *spread_of(const nn_model *m, const nn_leaf *mean) {
  if (mean->part != 0 || nn_posteriors[m->spec->posterior].depends != NN_ON_NONE) return NULL;
  for (int l = 0; l < m->n_leaves; l++) {
    const nn_leaf *leaf = &m->leaf[l];
    if (leaf->part == 1 && leaf->layer == mean->layer && leaf->role == mean->role &&
        leaf->head == mean->head)
      return leaf;
  }
  return NULL;
}

/* Whether this leaf is stepped on with that of its means. */
static int has_mean(const nn_model *m, const nn_leaf *leaf) {
  return leaf->part == 1 && nn_posteriors[m->spec->posterior].depends == NN_ON_NONE;
}

/* One step, leaf by leaf: only weights decay. A level that no row of the batch has is left alone, its slots, too; each has
 * taken as many steps as there were batches with it. */
static void optimizer_step(trainer *s, double learn_rate) {
  const nn_optimizer *o = &nn_optimizers[s->job->optimizer];
  size_t n_par = s->model->n_par;
  double *step = s->job->state + (size_t)o->n_slots * n_par;
  *step += 1;
  if (s->job->clip_norm > 0) clip(s);
  for (stretch at = {.leaf = -1}; next_stretch(s, &at);) {
    const nn_leaf *leaf = &s->model->leaf[at.leaf];
    if (o->natural && has_mean(s->model, leaf)) continue;
    int decays = o->decoupled && is_weight(leaf) && s->model->spec->posterior == NN_POINT;
    const nn_leaf *spread = o->natural && !at.steps ? spread_of(s->model, leaf) : NULL;
    if (at.steps) *at.steps += 1;
    nn_step a = {.n = at.n,
                 .theta = at.theta,
                 .grad = at.grad,
                 .learn_rate = (real)learn_rate,
                 .momentum = (real)s->job->momentum,
                 .decay = decays ? (real)s->model->spec->penalty : 0,
                 .step = at.steps ? (double)*at.steps : *step,
                 .total =
                     s->coefficient[NN_KL_WEIGHTS] > 0 ? 1 / s->coefficient[NN_KL_WEIGHTS] : 1};
    if (spread) a.log_sd = s->theta + spread->offset, a.log_sd_grad = s->grad + spread->offset;
    for (int k = 0; k < o->n_slots; k++) a.slot[k] = at.slot + (size_t)k * at.to_next_slot;
    int n_parts = a.n < STEP_THREADS_FROM ? 1 : s->job->host.compute.threads;
    if (n_parts == 1) {
      o->step(&a);
      continue;
    }
    NN_PARALLEL(n_parts)
    for (int i = 0; i < n_parts; i++) step_part(o, a, i, n_parts);
  }
}

static size_t n_slot_numbers(const trainer *s) {
  return s->model->n_par * (size_t)nn_optimizers[s->job->optimizer].n_slots;
}

/* Between the records of columns and theta, the slots and the steps in the job's state, as all else has them. */
static void exchange(size_t n, real *a, real *b, int loads) {
  memcpy(loads ? a : b, loads ? b : a, n * sizeof(real));
}

static void picked_exchange(trainer *s, int loads) {
  const int n_slots = nn_optimizers[s->job->optimizer].n_slots;
  double *steps = s->job->state + n_slot_numbers(s) + 1;
  for (int l = 0; l < s->model->n_leaves; l++) {
    const nn_leaf *leaf = &s->model->leaf[l];
    const size_t rows = (size_t)leaf->rows;
    const nn_picked *p = picked_of(s, l);
    for (int i = 0; p && i < leaf->cols; i++) {
      real *own = p->record + (size_t)i * p->stride, *last = own + (size_t)(n_slots + 1) * rows;
      const size_t first = leaf->offset + (size_t)i * rows;
      exchange(rows, own, s->theta + first, loads);
      for (int k = 0; k < n_slots; k++)
        exchange(rows, own + (size_t)(k + 1) * rows, s->slots + (size_t)k * s->model->n_par + first,
                 loads);
      if (loads)
        *last = (real)steps[i];
      else
        steps[i] = (double)*last;
    }
    if (has_levels(leaf)) steps += leaf->cols;
  }
}

static void picked_load(trainer *s) { picked_exchange(s, 1); }
static void picked_store(trainer *s) { picked_exchange(s, 0); }

static int is_full_batch(const trainer *s) { return nn_optimizers[s->job->optimizer].full_batch; }

static int is_shuffled(const trainer *s) {
  return !is_full_batch(s) && (size_t)s->job->batch_size < s->train.n;
}

/* Between two steps: the host keeps where training is, when it is time. Numbers that lead to a divergence are not kept. */
static void offer(trainer *s) {
  nn_job *job = s->job;
  nn_kept *k = job->kept;
  const size_t n_par = s->model->n_par, n_slots = n_slot_numbers(s),
               bytes = (size_t)s->tape->n_terms * sizeof(double);
  if (!k || !(s->asked || job->offers_each)) return;
  s->asked = 0;
  if (!host_is_due(&job->host)) return;
  picked_store(s);
  if (!all_usable(n_par, s->theta) || !all_usable(n_slots, s->slots)) return;
  k->now = s->now;
  k->now.pass = s->tape->pass;
  copy_out(n_par, s->theta, job->theta);
  copy_out(n_slots, s->slots, job->state);
  copy_out(n_par, s->start, k->start);
  copy_out(n_par, s->best, k->best);
  if (is_full_batch(s)) copy_out(n_par, s->grad, k->grad);
  memcpy(k->sum, s->sum, bytes);
  memcpy(k->part, s->part, bytes);
  for (size_t i = 0; is_shuffled(s) && i < s->train.n; i++) k->order[i] = (double)s->order[i];
  s->stopped |= host_keep(job);
}

/* Training begins where the job was kept. */
static void go_on(trainer *s) {
  const nn_kept *k = s->job->kept;
  const size_t n_par = s->model->n_par, bytes = (size_t)s->tape->n_terms * sizeof(double);
  s->now = k->now, s->goes_on = 1;
  s->tape->pass = k->now.pass;
  copy_in(n_par, k->start, s->start);
  copy_in(n_par, k->best, s->best);
  if (is_full_batch(s)) copy_in(n_par, k->grad, s->grad);
  memcpy(s->sum, k->sum, bytes);
  memcpy(s->part, k->part, bytes);
  for (size_t i = 0; is_shuffled(s) && i < s->train.n; i++) s->order[i] = (size_t)k->order[i];
}

static double evaluate_all(void *context) {
  trainer *s = (trainer *)context;
  return batch_gradient(s, NULL, 0, s->train.n_all);
}

/* One iteration of a full-batch optimizer. */
static nn_status full_epoch(trainer *s) {
  double *loss = &s->now.loss;
  const nn_optimizer *o = &nn_optimizers[s->job->optimizer];
  real *slot[NN_MAX_SLOTS];
  for (int k = 0; k < o->n_slots; k++) slot[k] = s->slots + (size_t)k * s->model->n_par;
  if (isnan(*loss)) *loss = evaluate_all(s);
  if (s->stopped) return NN_INTERRUPTED;
  if (!is_usable(*loss)) return NN_DIVERGED;
  offer(s);
  if (s->stopped) return NN_INTERRUPTED;
  nn_problem p = {.n = s->model->n_par,
                  .theta = s->theta,
                  .grad = s->grad,
                  .slot = slot,
                  .loss = *loss,
                  .step = s->job->state + (size_t)o->n_slots * s->model->n_par,
                  .tolerance = s->job->tolerance,
                  .evaluate = evaluate_all,
                  .stopped = &s->stopped,
                  .context = s};
  nn_status status = o->iterate(&p);
  *loss = p.loss;
  memcpy(s->sum, s->part, (size_t)s->tape->n_terms * sizeof(double));
  return status == NN_INTERRUPTED || is_usable(*loss) ? status : NN_DIVERGED;
}

/* One pass over the data in random batches, none of which is of two buffers; the last of a buffer may be short. */
static nn_status batch_epoch(trainer *s, double learn_rate) {
  const size_t n = s->train.n_all, batch = (size_t)s->job->batch_size;
  nn_moment *now = &s->now;
  if (!s->goes_on) {
    now->first = 0, now->tighter = 0;
    memset(s->sum, 0, (size_t)s->tape->n_terms * sizeof(double));
  }
  while (now->first < n) {
    if (!has_row(s, now->first)) return NN_INTERRUPTED;
    if (now->first == s->before && is_shuffled(s) && !s->goes_on) shuffle(s);
    const size_t left = s->before + s->train.n - now->first, size = left < batch ? left : batch;
    const double batch_loss = batch_gradient(s, s->order, now->first, size);
    if (s->stopped) return NN_INTERRUPTED;
    if (!is_usable(batch_loss)) return NN_DIVERGED;
    now->tighter += s->tighter * (double)size / (double)n;
    for (int k = 0; k < s->tape->n_terms; k++) s->sum[k] += s->part[k] * (double)size / (double)n;
    optimizer_step(s, learn_rate);
    now->first += size;
    offer(s);
  }
  now->loss = loss_of(s, s->sum, s->coefficient) + now->tighter;
  return NN_OK;
}

/* A row of the history: loss, learning rate, validation loss; then the terms, of training and of validation. */
enum { HISTORY_LOSS, HISTORY_RATE, HISTORY_VALIDATION, HISTORY_TERMS };

/* What is watched for the best parameters: the validation loss, or else the loss. The loss of an epoch of batches is that of
 * parameters on the way, of which those at its start are sure to have had it. */
static int is_better(trainer *s, double watched, int epoch) {
  int at_end = s->valid.n || is_full_batch(s);
  if (!(watched < s->now.watched)) return 0;
  s->now.watched = watched, s->job->best_epoch = epoch + 1;
  memcpy(s->best, at_end ? s->theta : s->start, s->model->n_par * sizeof(real));
  return 1;
}

/* One epoch and its row of the history. */
static nn_status train_epoch(trainer *s, double *row) {
  int n_terms = s->tape->n_terms, full = is_full_batch(s);
  double learn_rate = s->now.share * s->job->learn_rate;
  if (!s->goes_on) memcpy(s->start, s->theta, s->model->n_par * sizeof(real));
  nn_status status = full ? full_epoch(s) : batch_epoch(s, learn_rate);
  picked_store(s);
  s->goes_on = 0;
  if (status == NN_DIVERGED || status == NN_INTERRUPTED) return status;
  row[HISTORY_LOSS] = s->now.loss, row[HISTORY_RATE] = full ? 1 : learn_rate;
  row[HISTORY_VALIDATION] = s->valid.n ? validation_loss(s) : NAN;
  memcpy(row + HISTORY_TERMS, s->sum, (size_t)n_terms * sizeof(double));
  memcpy(row + HISTORY_TERMS + n_terms, s->held, (size_t)n_terms * sizeof(double));
  if (s->stopped) return NN_INTERRUPTED;
  const double watched = s->valid.n ? row[HISTORY_VALIDATION] : s->now.loss;
  return is_usable(watched) && all_usable(s->model->n_par, s->theta) ? status : NN_DIVERGED;
}

/* Whether training may end with these parameters: the last step of an epoch of batches has no loss yet. One a million times as
 * large as in the first epoch is no better than one that is infinite. */
static int is_sound(trainer *s, double first_loss) {
  enum { TIMES = 1000000 };
  const size_t n = s->train.n < END_ROWS ? s->train.n : END_ROWS;
  if (!all_usable(s->model->n_par, s->theta)) return 0;
  if (s->job->epochs == 0 || is_full_batch(s)) return 1;
  const int stopped = s->stopped;
  s->stopped = 0, s->work = -INFINITY; /* not to be asked any more */
  const double loss = forward_loss(s, NN_MODE_MEAN, &s->train, s->order, n);
  s->stopped = stopped;
  return is_usable(loss) && !(loss > TIMES * (1 + fabs(first_loss)));
}

/* The coefficients of this epoch: those of the bottleneck's KL grow linearly, to reach theirs after kl_warmup epochs. */
static void warm_up(trainer *s, int epoch) {
  double reached = epoch < s->job->kl_warmup ? (epoch + 1.0) / (s->job->kl_warmup + 1.0) : 1;
  memcpy(s->coefficient, s->job->coefficient, sizeof s->coefficient);
  s->coefficient[NN_KL_LATENT] *= reached;
  s->coefficient[NN_KL_FREE] *= reached;
}

/* Epochs until one of the ends of training. When it ends well, and nothing was held out, the last parameters are the result,
 * else the best; an interrupt keeps what there is, or, with data held out, the best so far. Random weights are best on such
 * data before they know how uncertain they are: of these the last count, unless patience ends training. */
static nn_status train_epochs(trainer *s) {
  nn_job *job = s->job;
  nn_moment *now = &s->now;
  int width = HISTORY_TERMS + 2 * s->tape->n_terms;
  nn_status status = NN_OK;
  while (job->epochs_done < job->epochs && status == NN_OK) {
    int epoch = job->epochs_done;
    double *row = job->history + (size_t)epoch * (size_t)width;
    warm_up(s, job->epochs_before + epoch);
    if (job->epochs_before + epoch < job->kl_warmup) now->watched = INFINITY;
    if (!s->goes_on)
      now->share = nn_schedules[job->schedule].share(epoch, job->epochs, now->share, now->stale);
    status = train_epoch(s, row);
    if (status == NN_DIVERGED || status == NN_INTERRUPTED) break;
    now->stale =
        is_better(s, s->valid.n ? row[HISTORY_VALIDATION] : now->loss, epoch) ? 0 : now->stale + 1;
    job->epochs_done++;
    if (status == NN_OK && job->patience > 0 && now->stale >= job->patience) status = NN_PATIENCE;
    int asked = host_epoch(&job->host, epoch + 1, row, width);
    if (status == NN_OK) status = (nn_status)asked;
  }
  const int watches = s->valid.n && s->model->spec->posterior == NN_POINT,
            takes_best = status == NN_INTERRUPTED ? watches && isfinite(now->watched)
                                                  : status == NN_PATIENCE || watches;
  if (status != NN_DIVERGED && !takes_best)
    status = is_sound(s, job->epochs_done ? job->history[HISTORY_LOSS] : 0) ? status : NN_DIVERGED;
  if (status == NN_DIVERGED || takes_best)
    memcpy(s->theta, s->best, s->model->n_par * sizeof(real));
  return status;
}

/* The optimizer's state to go on with: a fresh one where training diverged, or a gradient was too large for it. */
static void leave_state(trainer *s, nn_status status) {
  const size_t n = n_slot_numbers(s);
  if (status == NN_DIVERGED || !all_usable(n, s->slots))
    memset(s->slots, 0, n * sizeof(real)),
        memset(s->job->state + n, 0, (1 + s->model->n_levels) * sizeof(double));
  copy_out(n, s->slots, s->job->state);
}

/* Memory for a tape and the chunk beside it. */
static void trainer_place(trainer *s, nn_arena *a, size_t chunk) {
  size_t n_par = s->model->n_par, n_terms = (size_t)s->tape->n_terms;
  size_t copies = (size_t)s->job->importance, all = chunk * copies;
  size_t most = copies > MAX_CHUNK ? copies : MAX_CHUNK;
  int max_obs = (int)(all < most ? all : most);
  s->theta = arena_reals(a, n_par);
  s->grad = arena_reals(a, n_par);
  s->y = arena_reals(a, (size_t)max_obs * (size_t)s->model->n_y);
  s->weight = s->pull = arena_reals(a, (size_t)max_obs);
  if (copies > 1) {
    s->pull = arena_reals(a, (size_t)max_obs);
    s->copy = (double *)arena_take(a, copies, sizeof(double));
  }
  s->part = (double *)arena_take(a, n_terms, sizeof(double));
  s->sum = (double *)arena_take(a, n_terms, sizeof(double));
  s->held = (double *)arena_take(a, n_terms, sizeof(double));
  tape_place(s->tape, a, max_obs, 1, s->theta, s->grad);
  data_place(&s->train, a, s->model, &s->job->train,
             s->job->feed.n > 0 || s->job->train.weight != NULL);
}

/* The parameter that an embedding reads, and nothing else, so that the levels of a batch have all of its gradient; or NULL. */
static nn_node *picked_node(nn_model *m, const nn_leaf *leaf) {
  for (int i = 0; i < m->tape.n_nodes && has_levels(leaf); i++) {
    const nn_node *n = &m->tape.node[i];
    nn_node *w = n->op == OP_EMBED ? &m->tape.node[n->input[1]] : NULL;
    if (w && w->op == OP_PARAMETER && w->offset == leaf->offset) return w->readers == 1 ? w : NULL;
  }
  return NULL;
}

/* Memory for the levels that a step picks, where it does not take all rows. */
static void picked_place(trainer *s, nn_arena *a) {
  const nn_model *m = s->model;
  const size_t line = NN_ALIGN / sizeof(real),
               n_slots = (size_t)nn_optimizers[s->job->optimizer].n_slots;
  if (!m->n_levels || is_full_batch(s)) return;
  s->picked = (nn_picked *)arena_take(a, (size_t)m->n_leaves, sizeof(nn_picked));
  for (int l = 0; l < m->n_leaves; l++) {
    const nn_leaf *leaf = &m->leaf[l];
    nn_node *w = picked_node(s->model, leaf);
    nn_picked p = {0};
    if (w) {
      const size_t columns = (size_t)leaf->cols;
      p.stride = ((size_t)leaf->rows * (n_slots + 1) + 1 + line - 1) / line * line;
      p.column = (int *)arena_take(a, columns, sizeof(int));
      p.place = (int *)arena_take(a, columns, sizeof(int));
      p.record = (real *)arena_take(a, columns, p.stride * sizeof(real));
    }
    if (!s->picked) continue;
    s->picked[l] = p;
    if (!w) continue;
    memset(p.place, 0, (size_t)leaf->cols * sizeof(int));
    w->picked = &s->picked[l], w->value = p.record;
  }
}

static trainer trainer_of(void *model, nn_job *job) {
  nn_model *m = (nn_model *)model;
  trainer s = {.model = m,
               .tape = &m->tape,
               .job = job,
               .now = {.watched = INFINITY, .share = 1, .loss = NAN}};
  m->tape.host = &job->host;
  m->tape.linalg.wish = job->host.compute;
  return s;
}

static size_t train(void *model, nn_job *job, void *memory, int *status) {
  trainer s = trainer_of(model, job);
  nn_arena a = arena_at(memory);
  size_t n = job->train.n, n_par = s.model->n_par;
  const nn_optimizer *o = &nn_optimizers[job->optimizer];
  if ((size_t)job->batch_size > n) job->batch_size = (int)n;
  trainer_place(&s, &a, o->full_batch ? n : (size_t)job->batch_size);
  s.start = arena_reals(&a, n_par);
  s.best = arena_reals(&a, n_par);
  s.slots = arena_reals(&a, n_par * (size_t)o->n_slots);
  s.order = (size_t *)arena_take(&a, n, sizeof(size_t));
  picked_place(&s, &a);
  data_place(&s.valid, &a, s.model, &job->valid, job->valid.weight != NULL);
  if (!memory) return arena_bytes(&a);
  const nn_arithmetic before = arithmetic_flush();
  s.train.n = 0;
  if (job->feed.n)
    s.train.n_all = job->feed.n;
  else
    data_load(&s.train, &job->train, job->host.compute.threads);
  if (job->valid.n) data_load(&s.valid, &job->valid, job->host.compute.threads);
  for (size_t i = 0; i < n; i++) s.order[i] = i;
  memset(s.held, 0, (size_t)s.tape->n_terms * sizeof(double));
  copy_in(n_par, job->theta, s.theta);
  copy_in(n_par, job->theta, s.best);
  copy_in(n_par * (size_t)o->n_slots, job->state, s.slots);
  if (o->decoupled) job->coefficient[NN_PENALTY] = 0;
  if (job->goes_on) go_on(&s);
  picked_load(&s);
  *status = (int)train_epochs(&s);
  copy_out(n_par, s.theta, job->theta);
  leave_state(&s, (nn_status)*status);
  arithmetic_set(before);
  return 0;
}

/* The loss of all the data and its gradient, at one draw of the noise (mc_samples of them). */
static size_t gradient(void *model, nn_job *job, void *memory, double *loss, double *out) {
  trainer s = trainer_of(model, job);
  nn_arena a = arena_at(memory);
  trainer_place(&s, &a, job->batch_size > 0 ? (size_t)job->batch_size : job->train.n);
  if (!memory) return arena_bytes(&a);
  const nn_arithmetic before = arithmetic_flush();
  data_load(&s.train, &job->train, job->host.compute.threads);
  copy_in(s.model->n_par, job->theta, s.theta);
  warm_up(&s, job->kl_warmup);
  *loss = evaluate_all(&s);
  copy_out(s.model->n_par, s.grad, out);
  arithmetic_set(before);
  return 0;
}
