/* Forward runs over any range of the tape: codes, decodings, eta, the terms of the loss; in chunks, so that memory does not
 * grow with the data. */
#include "model.h"

enum { RUN_CHUNK = 512 };

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

static size_t run(void *model, nn_run *r, void *memory, int *status) {
  nn_model *m = (nn_model *)model;
  nn_tape *t = &m->tape;
  nn_arena a = arena_at(memory);
  size_t n = r->data.n;
  int max_obs = n < RUN_CHUNK ? (int)(n ? n : 1) : RUN_CHUNK, from = r->z ? m->decoder : 0,
      stop = 0;
  int to = is_code(r->want) ? m->z : r->want == NN_WANT_ETA ? m->eta : t->n_nodes - 1;
  real *theta = arena_reals(&a, m->n_par), *y = arena_reals(&a, (size_t)max_obs * (size_t)m->n_y);
  t->host = &r->host;
  tape_place(t, &a, max_obs, 0, theta, NULL);
  if (!memory) return arena_bytes(&a);
  t->mode = r->mode;
  for (size_t i = 0; i < m->n_par; i++) theta[i] = (real)r->theta[i];
  double *out = r->out, work = 0;
  for (int draw = 0; draw < r->draws && !stop; draw++) {
    t->pass = (unsigned)draw;
    tape_forward(t, 0, to, 1);
    for (size_t first = 0; first < n && !stop; first += (size_t)max_obs) {
      run_chunk(m, r, first, n - first < (size_t)max_obs ? (int)(n - first) : max_obs, y, from, to);
      put_wanted(m, r->want, first, n, out);
      work += model_work(m, (size_t)t->n_obs);
      if (work > POLL_WORK) {
        work = 0;
        stop = r->host.poll(r->host.context);
      }
    }
    out += n * (size_t)put_wanted(m, r->want, 0, n, NULL);
  }
  *status = stop ? NN_INTERRUPTED : NN_OK;
  return 0;
}
