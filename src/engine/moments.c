/* What R must know of numbers before it trains or predicts, in passes that vectorise. In double in every build. */
#pragma once
#include "api.h"
#include "real.h"

enum { ORDER_PERIOD = 8191 };

/* Counts, weighted sum and range of the finite v[0..n), which begin a period. */
NN_INLINE void moments_block(size_t n, const double *v, const int weighted, const double *weight,
                             nn_moments *m) {
  double count = 0, missing = 0, total = 0, sum = 0, order = 0, others = 0, low = m->min,
         high = m->max;
#if defined(_OPENMP) && !defined(__clang__) /* which warns where it cannot */
#pragma omp simd reduction(+ : count, missing, total, sum, order, others) reduction(min : low)     \
    reduction(max : high)
#endif
  for (size_t i = 0; i < n; i++) {
    double x = v[i], w = weighted ? weight[i] : 1, here = x - x == 0 ? 1 : 0,
           finite = here > 0 ? x : 0;
    double counts = here > 0 && w > 0 ? 1 : 0, a = counts > 0 ? x : INFINITY,
           b = counts > 0 ? x : -INFINITY;
    count += here;
    missing += x != x ? 1 : 0;
    total += here * w;
    sum += w * finite;
    order += finite * (double)(int)(i + 1);
    others += counts > 0 && x != 0 && x != 1 ? 1 : 0;
    low = a < low ? a : low;
    high = b > high ? b : high;
  }
  m->n += count, m->n_missing += missing, m->total += total, m->mean += sum, m->order += order;
  m->min = low, m->max = high, m->is_binary = m->is_binary > 0 && others == 0 ? 1 : 0;
}

/* Weighted sum of squares about the mean, which the sum of the differences makes more exact. */
NN_INLINE void moments_about(size_t n, const double *v, const int weighted, const double *weight,
                             nn_moments *m) {
  double mean = m->total > 0 ? m->mean / m->total : 0, squares = 0, shift = 0;
  NN_SIMD_SUM(squares, shift)
  for (size_t i = 0; i < n; i++) {
    double w = weighted ? weight[i] : 1, d = v[i] - v[i] == 0 ? v[i] - mean : 0;
    squares += w * d * d, shift += w * d;
  }
  m->squares = squares;
  m->mean = mean + (m->total > 0 ? shift / m->total : 0);
}

NN_INLINE nn_moments moments_of(size_t n, const double *v, const int weighted,
                                const double *weight) {
  nn_moments m = {.min = INFINITY, .max = -INFINITY, .is_binary = 1};
  for (size_t i = 0; i < n; i += ORDER_PERIOD)
    moments_block(n - i < ORDER_PERIOD ? n - i : ORDER_PERIOD, v + i, weighted,
                  weighted ? weight + i : NULL, &m);
  moments_about(n, v, weighted, weight, &m);
  return m;
}

/* x - x is 0, or NaN where x is not finite. */
static int all_finite(size_t n, const double *x) {
  double sum = 0;
  NN_SIMD_SUM(sum)
  for (size_t i = 0; i < n; i++) sum += x[i] - x[i];
  return sum == 0;
}

/* Where weight is NULL it is 1: then the loops have no weights at all. */
static void moments(size_t n, const double *v, const double *weight, nn_moments *out) {
  *out = weight ? moments_of(n, v, 1, weight) : moments_of(n, v, 0, NULL);
}
