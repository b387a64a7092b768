/* Forward runs over any range of the tape: codes, decodings, eta, the terms of the loss; in chunks, so that memory does not
 * grow with the data. */
#pragma once
#include "data.c"
#include "model.c"

/* SHARED_POLLS: with threads, which wait for each other at a poll, so many times the work between two of them. */
enum { RUN_CHUNK = 512, MOST_CHUNKS = 8, SHARED_POLLS = 10 };

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
  t->n_obs = n_obs, t->first_obs = first, t->y = y;
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

/* A thread's model, the responses of its chunk, and the draw whose weights it has. */
typedef struct {
  nn_model model;
  real *y;
  int draw;
} worker;

/* A run of the nodes from .. to in shares, each of so many rows at one draw of the weights. */
typedef struct {
  const nn_run *run;
  worker *w;
  int n_workers, from, to;
  size_t rows, n_shares;
} plan;

/* One share: rows of one draw. Where the noise is a function of its place, whoever runs a share makes the same numbers. */
static void run_share(const plan *p, worker *w, size_t share) {
  const nn_run *r = p->run;
  nn_model *m = &w->model;
  const int draw = (int)(share / p->n_shares);
  const size_t n = r->data.n;
  size_t first = share % p->n_shares * p->rows, end = first + p->rows < n ? first + p->rows : n;
  m->tape.pass = (unsigned)draw;
  if (w->draw != draw) tape_forward(&m->tape, 0, p->to, 1);
  w->draw = draw;
  for (int n_obs; first < end; first += (size_t)n_obs) {
    n_obs = end - first < (size_t)m->tape.max_obs ? (int)(end - first) : m->tape.max_obs;
    run_chunk(m, r, first, n_obs, w->y, p->from, p->to);
    put_wanted(m, r->want, first, n, r->out + (size_t)draw * n * (size_t)r->rows);
  }
}

/* Runs all shares. The host may stop that each time when every thread has run some. */
static int run_shares(const plan *p) {
  const size_t total = p->n_shares * (size_t)p->run->draws;
  const double work = model_work(&p->w->model, p->rows),
               enough = p->n_workers > 1 ? SHARED_POLLS * NN_POLL_WORK : NN_POLL_WORK;
  size_t each = work < enough ? (size_t)(enough / work) : 1;
  if (each > total / (size_t)p->n_workers + 1) each = total / (size_t)p->n_workers + 1;
  for (size_t first = 0; first < total; first += each * (size_t)p->n_workers) {
    if (first && host_poll(&p->run->host)) return 1;
    NN_PARALLEL(p->n_workers)
    for (int i = 0; i < p->n_workers; i++)
      for (size_t k = first + each * (size_t)i; k < first + each * (size_t)(i + 1) && k < total;
           k++)
        run_share(p, &p->w[i], k);
  }
  return 0;
}

static void place_workers(plan *p, nn_model *m, nn_arena *a, size_t max_obs, real *theta) {
  p->w = (worker *)arena_take(a, (size_t)p->n_workers, sizeof(worker));
  for (int i = 0; i < p->n_workers; i++) {
    worker one = {*m, arena_reals(a, max_obs * (size_t)m->n_y), -1};
    if (i) one.model.tape = tape_copy(&m->tape, a, theta);
    if (p->w) p->w[i] = one;
  }
}

static size_t run(void *model, nn_run *r, void *memory, int *status) {
  nn_model *m = (nn_model *)model;
  nn_tape *t = &m->tape;
  nn_arena a = arena_at(memory);
  const size_t n = r->data.n, max_obs = n < RUN_CHUNK ? (n ? n : 1) : RUN_CHUNK;
  plan p = {.run = r, .from = r->z ? m->decoder : 0};
  p.to = is_code(r->want) ? m->z : r->want == NN_WANT_ETA ? m->eta : t->n_nodes - 1;
  /* the host's noise is drawn in order, in one thread: then only products have more */
  p.n_workers = r->mode != NN_MODE_MEAN && !r->host.has_key ? 1 : r->host.compute.threads;
  real *theta = arena_reals(&a, m->n_par);
  t->host = &r->host, t->mode = r->mode;
  t->linalg.wish = r->host.compute;
  if (p.n_workers > 1) t->linalg.wish.threads = 1;
  tape_place(t, &a, (int)max_obs, 0, theta, NULL);
  const double chunks = NN_POLL_WORK / model_work(m, max_obs); /* of a share */
  p.rows = max_obs * (chunks < 1 ? 1 : chunks < MOST_CHUNKS ? (size_t)chunks : MOST_CHUNKS);
  p.n_shares = (n + p.rows - 1) / p.rows;
  r->rows = put_wanted(m, r->want, 0, n, NULL);
  place_workers(&p, m, &a, max_obs, theta);
  if (!memory) return arena_bytes(&a);
  const nn_arithmetic before = arithmetic_flush();
  copy_in(m->n_par, r->theta, theta);
  *status = run_shares(&p) ? NN_INTERRUPTED : NN_OK;
  arithmetic_set(before);
  return 0;
}
