/* The elementary functions over whole arrays, by name: what tests compare with libm. */
#pragma once
#include "api.h"
#include "arena.h"
#include "vmath.h"

/* name, value at x */
// clang-format off
#define FUNCTIONS(ROW) \
  ROW(exp, vmath_exp(x)) \
  ROW(log, vmath_log(x)) \
  ROW(log1p_unit, vmath_log1p_unit(x)) \
  ROW(expm1, vmath_expm1(x)) \
  ROW(tanh, vmath_tanh(x)) \
  ROW(sigmoid, vmath_sigmoid(x)) \
  ROW(softplus, vmath_softplus(x)) \
  ROW(normal_cdf, vmath_normal_cdf(x)) \
  ROW(log1p, vmath_log1p(x)) \
  ROW(expm1_any, vmath_expm1_any(x)) \
  ROW(atan, (real)vmath_atan((double)x)) \
  ROW(lgamma, (real)vmath_lgamma((double)x)) \
  ROW(digamma, (real)vmath_digamma((double)x)) \
  ROW(trigamma, (real)vmath_trigamma((double)x))
// clang-format on

#define OF(name, value) NN_OVER_ARRAY(name##_of, value)
FUNCTIONS(OF)

#define NAMED(name, value) {#name, name##_of},
static const struct {
  const char *name;
  void (*of)(size_t n, const real *x, real *y);
} nn_functions[] = {FUNCTIONS(NAMED){"sin", vmath_sin}, {"cos", vmath_cos}};

/* The function of this row at the caller's numbers. */
static size_t math(int row, size_t n, const double *x, double *y, void *memory) {
  nn_arena a = arena_at(memory);
  real *in = arena_reals(&a, n), *out = arena_reals(&a, n);
  if (!memory) return arena_bytes(&a);
  for (size_t i = 0; i < n; i++) in[i] = (real)x[i];
  nn_functions[row].of(n, in, out);
  for (size_t i = 0; i < n; i++) y[i] = (double)out[i];
  return 0;
}
