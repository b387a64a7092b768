/* Quantiles of mixtures of normal distributions: what draws of the weights predict of a gaussian response. */
#pragma once
#include "api.h"
#include "arena.h"
#include "vmath.h"

/* A mixture: its components, and where their quantiles are, between which that of the mixture is. */
typedef struct {
  size_t n;
  real *mean, *precision, *weight; /* precision: 1 / sd */
  real center, spread;
} components;

/* P(Y < y) = sum_k w_k F((y - m_k) / s_k), its first derivative, and its second. */
static void mixture_cdf(const components *c, real y, real out[3]) {
  real below = 0, density = 0, slope = 0;
  NN_SIMD_SUM(below, density, slope)
  for (size_t k = 0; k < c->n; k++) {
    real e, a = c->precision[k], w = c->weight[k], u = (y - c->mean[k]) * a;
    below += w * vmath_normal(u, &e);
    density += w * a * e, slope -= w * a * a * u * e;
  }
  const real root = (real)2.5066282746310005024;
  out[0] = below, out[1] = density / root, out[2] = slope / root;
}

static void mixture_take(components *c, const nn_mixture *m, size_t row) {
  real squares = 0;
  c->center = 0;
  for (size_t k = 0; k < c->n; k++) {
    real sd = (real)m->sd[m->n_sd > 1 ? row + k * m->rows : 0], w = (real)m->weight[k];
    c->mean[k] = (real)m->mean[row + k * m->rows], c->precision[k] = 1 / sd, c->weight[k] = w;
    c->center += w * c->mean[k], squares += w * sd * sd;
  }
  for (size_t k = 0; k < c->n; k++) {
    real d = c->mean[k] - c->center;
    squares += c->weight[k] * d * d;
  }
  c->spread = SQRT(squares);
}

/* Halley's steps y -= (F / F') / (1 - F F'' / 2F'^2) to the root of F(y) = P(Y < y) - p, from the quantile of one normal
 * distribution with the mixture's mean and spread; halves of what the quantiles of the components bound where F bends too
 * much. z is the standard normal quantile of p. */
static real mixture_quantile(const components *c, real p, real z) {
  enum { MOST_STEPS = 100 };
  real low = INFINITY, high = -INFINITY, y = c->center + z * c->spread, f[3];
  for (size_t k = 0; k < c->n; k++) {
    real own = c->mean[k] + z / c->precision[k];
    low = own < low ? own : low, high = own > high ? own : high;
  }
  for (int step = 0; step < MOST_STEPS; step++) {
    if (!(y >= low && y <= high)) y = low + (high - low) / 2;
    mixture_cdf(c, y, f);
    real off = f[0] - p, newton = off / f[1], bend = newton * f[2] / (2 * f[1]);
    high = off > 0 ? y : high, low = off > 0 ? low : y;
    if (!(vmath_abs(bend) < (real)0.5)) {
      y = low + (high - low) / 2;
      continue;
    }
    y -= newton / (1 - bend);
    if (vmath_abs(newton) <= (real)1e-9 * c->spread) break;
  }
  return y;
}

/* Quantiles [rows, probabilities] of the mixtures in rows. */
static size_t mixture(const nn_mixture *m, void *memory) {
  nn_arena a = arena_at(memory);
  components c = {.n = m->draws};
  c.mean = arena_reals(&a, m->draws), c.precision = arena_reals(&a, m->draws);
  c.weight = arena_reals(&a, m->draws);
  if (!memory) return arena_bytes(&a);
  for (size_t i = 0; i < m->rows; i++) {
    mixture_take(&c, m, i);
    for (size_t j = 0; j < m->n_p; j++)
      m->out[i + j * m->rows] = (double)mixture_quantile(&c, (real)m->p[j], (real)m->z[j]);
  }
  return 0;
}
