/* Weights that are dependent: w = mu + sigma eps + F e, with the factors F of a covariance and normal e that several weights
 * share: the eps of earlier weights (F and sigma are then the rows of a Cholesky factor), or k numbers that all weights share.
 * A leaf's entries i have numbers start + i among the weights that are dependent. `stride` is 0 for k shared numbers, else
 * entry g depends on g - stride, g - 2 stride, ... The factors of an entry stand side by side. */
#pragma once
#include "tape.c"
#include "vmath.h"

/* The weights so far that depend on each other. */
typedef struct {
  int start;   /* their number */
  int stride;  /* the distance of those that depend on each other; 0: all share `rank` numbers */
  int of_unit; /* how many a unit has */
  int rank;    /* of their shared numbers */
  int noise, gram; /* nodes of the noise they share, of the products of their factors, or -1 */
} nn_joint;

/* How many factors entry i of a node has, and the place of the first of its e. */
static inline int factors_of(const nn_node *n, const nn_node *factor, size_t i, size_t *first) {
  size_t g = (size_t)n->start + i;
  *first = n->stride ? g % (size_t)n->stride : 0;
  return n->stride ? (int)(g / (size_t)n->stride) : factor ? factor->rows : 0;
}

static inline size_t step_of(const nn_node *n) { return n->stride ? (size_t)n->stride : 1; }

/* k standard normals [k, 1] */
static void shared_forward(nn_tape *t, nn_node *n) { standard_draws(t, n, n->value); }

/* The e of a node: shared numbers, the value of node `option`; or the eps of all draws so far, its own aux. */
static const real *shared_noise(const nn_tape *t, const nn_node *n) {
  return n->stride ? n->aux : t->node[n->option].value;
}

/* y = w + F e, w an independent draw, whose eps follow the e so far: those of node `option`. */
static void mix_forward(nn_tape *t, nn_node *n) {
  const nn_node *draw = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, n), at = 0, first, step = step_of(n);
  if (n->stride) {
    if (n->start) memcpy(n->aux, t->node[n->option].aux, (size_t)n->start * sizeof(real));
    memcpy(n->aux + n->start, draw->aux + size, size * sizeof(real));
  }
  const real *e = shared_noise(t, n);
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    real sum = 0;
    for (int l = 0; l < count; l++) sum += factor->value[at + l] * e[first + l * step];
    n->value[i] = draw->value[i] + sum;
    at += (size_t)count;
  }
}

static void mix_backward(nn_tape *t, nn_node *n) {
  const nn_node *factor = input_of(t, n, 1);
  size_t size = size_of(t, n), at = 0, first, step = step_of(n);
  real *d_draw = fresh_grad(t, n, 0), *d_factor = fresh_grad(t, n, 1);
  const real *e = shared_noise(t, n);
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    d_draw[i] += n->grad[i];
    for (int l = 0; l < count; l++) d_factor[at + l] += n->grad[i] * e[first + l * step];
    at += (size_t)count;
  }
}

/* y = log s, s = sqrt(sigma^2 + sum F^2) the standard deviation of an entry; aux: s */
static void marginal_forward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, n), at = 0, first;
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    real sum = vmath_exp(2 * log_sigma->value[i]);
    for (int l = 0; l < count; l++) sum += factor->value[at + l] * factor->value[at + l];
    n->aux[i] = sum;
    at += (size_t)count;
  }
  vmath_sqrt(size, n->aux, n->aux);
  for (size_t i = 0; i < size; i++) n->value[i] = vmath_log(n->aux[i]);
}

/* dlog_sigma += d sigma^2 / s^2; dF += d F / s^2 */
static void marginal_backward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, n), at = 0, first;
  real *d_log_sigma = fresh_grad(t, n, 0), *d_factor = fresh_grad(t, n, 1);
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    real d = n->grad[i] / (n->aux[i] * n->aux[i]);
    d_log_sigma[i] += d * vmath_exp(2 * log_sigma->value[i]);
    for (int l = 0; l < count; l++) d_factor[at + l] += d * factor->value[at + l];
    at += (size_t)count;
  }
}

/* sum a - sum b: what the entropy of dependent entries, of whose Cholesky factor b are the logs of the diagonal, is less than
 * that of independent ones with the standard deviations e^a. */
static void gap_forward(nn_tape *t, nn_node *n) {
  const nn_node *a = input_of(t, n, 0), *b = input_of(t, n, 1);
  size_t size = size_of(t, a);
  double sum = 0;
  for (size_t i = 0; i < size; i++) sum += (double)(a->value[i] - b->value[i]);
  n->value[0] = (real)sum;
}

static void gap_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, input_of(t, n, 0));
  real *da = fresh_grad(t, n, 0), *db = fresh_grad(t, n, 1);
  for (size_t i = 0; i < size; i++) da[i] += n->grad[0], db[i] -= n->grad[0];
}

/* The Cholesky rows of a leaf with `rows` units as a matrix [rows k, columns of the leaf], k weights a unit: entry (unit + rows
 * l, column) is what the l-th eps of the unit does to its weight in that column. Times inputs it gives the deviations of the
 * units, one for each eps. */
static void unpack_forward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, log_sigma), at = 0, first;
  memset(n->value, 0, size_of(t, n) * sizeof(real));
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    real *to = n->value + i / (size_t)n->stride * (size_t)n->rows + first;
    for (int l = 0; l < count; l++) to[(size_t)l * n->stride] = factor->value[at + l];
    to[(size_t)count * n->stride] = vmath_exp(log_sigma->value[i]);
    at += (size_t)count;
  }
}

static void unpack_backward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, log_sigma), at = 0, first;
  real *d_log_sigma = fresh_grad(t, n, 0), *d_factor = fresh_grad(t, n, 1);
  for (size_t i = 0; i < size; i++) {
    int count = factors_of(n, factor, i, &first);
    size_t place = i / (size_t)n->stride * (size_t)n->rows + first;
    const real *d = n->grad + place, *value = n->value + place;
    for (int l = 0; l < count; l++) d_factor[at + l] += d[(size_t)l * n->stride];
    d_log_sigma[i] += d[(size_t)count * n->stride] * value[(size_t)count * n->stride];
    at += (size_t)count;
  }
}

/* The variances of units from their deviations x [rows k, n]: y = sum over l of x^2 [rows, n]. */
static void group_forward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0);
  size_t n_columns = columns_of(t, n);
  for (size_t i = 0; i < n_columns; i++) {
    const real *from = x->value + i * (size_t)x->rows;
    real *to = n->value + i * (size_t)n->rows;
    memset(to, 0, (size_t)n->rows * sizeof(real));
    for (int l = 0; l < x->rows; l += n->rows)
      for (int j = 0; j < n->rows; j++) to[j] += from[l + j] * from[l + j];
  }
}

static void group_backward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0);
  size_t n_columns = columns_of(t, n);
  real *dx = fresh_grad(t, n, 0);
  for (size_t i = 0; i < n_columns; i++) {
    size_t at = i * (size_t)x->rows;
    const real *d = n->grad + i * (size_t)n->rows;
    for (int l = 0; l < x->rows; l += n->rows)
      for (int j = 0; j < n->rows; j++) dx[at + l + j] += 2 * d[j] * x->value[at + l + j];
  }
}

/* G [k, k] = before + sum of f f' / sigma^2, f the k factors of an entry. Inputs: log_sigma, F, before (or -1). */
static void gram_forward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1),
                *before = input_of(t, n, 2);
  size_t size = size_of(t, log_sigma), k = (size_t)n->rows;
  if (before)
    memcpy(n->value, before->value, k * k * sizeof(real));
  else
    memset(n->value, 0, k * k * sizeof(real));
  for (size_t i = 0; i < size; i++) {
    const real *f = factor->value + i * k;
    real precision = vmath_exp(-2 * log_sigma->value[i]);
    for (size_t c = 0; c < k; c++)
      for (size_t r = 0; r < k; r++) n->value[r + c * k] += precision * f[r] * f[c];
  }
}

/* For a symmetric D: dF += 2 D f / sigma^2; dlog_sigma -= 2 f' D f / sigma^2; dbefore += D */
static void gram_backward(nn_tape *t, nn_node *n) {
  const nn_node *log_sigma = input_of(t, n, 0), *factor = input_of(t, n, 1);
  size_t size = size_of(t, log_sigma), k = (size_t)n->rows;
  real *d_log_sigma = fresh_grad(t, n, 0), *d_factor = fresh_grad(t, n, 1),
       *d_before = n->input[2] < 0 ? NULL : fresh_grad(t, n, 2);
  for (size_t i = 0; i < k * k && d_before; i++) d_before[i] += n->grad[i];
  for (size_t i = 0; i < size; i++) {
    const real *f = factor->value + i * k;
    real twice = 2 * vmath_exp(-2 * log_sigma->value[i]), form = 0;
    for (size_t r = 0; r < k; r++) {
      real sum = 0;
      for (size_t c = 0; c < k; c++) sum += n->grad[r + c * k] * f[c];
      d_factor[i * k + r] += twice * sum;
      form += f[r] * sum;
    }
    d_log_sigma[i] -= twice * form;
  }
}

/* y = -log det(I + G) / 2, so that with gap and gram the entropy is that of N(mu, diag(sigma^2) + F F'). aux [k, k]: (I + G)^-1
 * by elimination, whose pivots are positive. */
static void log_det_forward(nn_tape *t, nn_node *n) {
  const nn_node *gram = input_of(t, n, 0);
  size_t k = (size_t)gram->rows;
  real *a = n->aux;
  double sum = 0;
  for (size_t i = 0; i < k * k; i++) a[i] = gram->value[i] + (i % (k + 1) ? 0 : 1);
  for (size_t p = 0; p < k; p++) {
    real pivot = a[p + p * k];
    sum += log((double)pivot);
    a[p + p * k] = 1;
    for (size_t c = 0; c < k; c++) a[p + c * k] /= pivot;
    for (size_t r = 0; r < k; r++) {
      real by = a[r + p * k];
      if (r == p) continue;
      a[r + p * k] = 0;
      for (size_t c = 0; c < k; c++) a[r + c * k] -= by * a[p + c * k];
    }
  }
  n->value[0] = (real)(-sum / 2);
}

static void log_det_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, input_of(t, n, 0));
  real *d = fresh_grad(t, n, 0);
  for (size_t i = 0; i < size; i++) d[i] -= n->grad[0] * n->aux[i] / 2;
}
