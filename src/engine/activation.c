/* Activations: one line each gives the value at x and the slope at x, where y is the value. */
#pragma once
#include "vmath.h"

/* Initial weights before this activation: He et al. (2015), Glorot & Bengio (2010), LeCun et al. (1998). */
typedef enum { NN_GLOROT, NN_HE, NN_LECUN } nn_init;

/* What a slope is computed from: x, or y alone, and then y may take x's place. */
typedef enum { NN_READS_X, NN_READS_Y } nn_reads;

/* Of y = f(a) at a ~ N(m, v), element by element: h = E y, aux: its slopes in m, then in v; and s = E y^2. */
typedef struct {
  void (*mean)(size_t n, const real *m, const real *v, real *aux, real *h);
  void (*second)(size_t n, const real *m, const real *v, const real *aux, const real *h, real *s);
  void (*second_backward)(size_t n, const real *aux, const real *h, const real *ds, real *dm,
                          real *dv);
} nn_unit_moments;

typedef struct {
  const char *name;
  nn_init init;
  nn_reads reads;
  void (*forward)(size_t n, const real *x, real *y);
  /* dx (+)= dy * f'(x), where y = f(x); `fresh`: dx is written, not added to */
  void (*backward)(size_t n, const real *x, const real *y, const real *dy, int fresh, real *dx);
  const nn_unit_moments *moments; /* NULL: not known; without functions: those of a */
} nn_activation;

#define SELU_SCALE 1.05070098735548049342
#define SELU_ALPHA 1.67326324235437728481

/* a to the right of 0, b elsewhere */
NN_INLINE real either(real x, real a, real b) { return vmath_if_negative(0 - x, a, b); }
NN_INLINE real elu(real x, real alpha) {
  real low = x < -40 ? (real)-40 : x, negative = low > 0 ? (real)0 : low;
  return either(x, x, alpha * vmath_expm1(negative));
}
/* Phi(x) + x phi(x) */
NN_INLINE real gelu_slope(real x) {
  real e, cdf = vmath_normal(x, &e);
  return cdf + x * e * (real)0.39894228040143267794;
}
NN_INLINE real silu_slope(real x) {
  real s = vmath_sigmoid(x);
  return s * (1 + x * (1 - s));
}

/* Beyond, a standard normal's distribution function is 0 or 1 to all digits, and its products subnormal and slow. */
#ifdef NN_SINGLE
#define NN_FAR 12
#else
#define NN_FAR 36
#endif

/* h = s [pdf(u) + u cdf(u)], s = sqrt(v), u = m / s; slopes cdf(u) and pdf(u) / 2s */
static void relu_mean(size_t n, const real *m, const real *v, real *aux, real *h) {
  real *restrict cdf = aux, *restrict half = aux + n, *restrict value = h;
  for (size_t i = 0; i < n; i++) half[i] = vmath_positive(v[i]);
  vmath_sqrt(n, half, half);
  NN_SIMD
  for (size_t i = 0; i < n; i++) {
    real inverse = 1 / half[i], u = m[i] * inverse, e;
    u = vmath_if_negative(NN_FAR - u, NN_FAR, u);
    u = vmath_if_negative(u + NN_FAR, -NN_FAR, u);
    real c = vmath_normal(u, &e), pdf = (real)0.39894228040143267794 * e;
    value[i] = half[i] * pdf + m[i] * c;
    cdf[i] = c;
    half[i] = pdf * inverse / 2;
  }
}

/* s = m h + v cdf(u) */
static void relu_second(size_t n, const real *m, const real *v, const real *cdf, const real *h,
                        real *s) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) s[i] = m[i] * h[i] + v[i] * cdf[i];
}

/* dm += 2 d h; dv += d cdf(u) */
static void relu_second_backward(size_t n, const real *cdf, const real *h, const real *ds, real *dm,
                                 real *dv) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) {
    dm[i] += 2 * ds[i] * h[i];
    dv[i] += ds[i] * cdf[i];
  }
}

static const nn_unit_moments of_relu = {relu_mean, relu_second, relu_second_backward}, of_linear;

/* name, initial weights, what the slope is computed from, value y at x, slope, moments */
// clang-format off
#define ACTIVATIONS(ROW) \
  ROW(linear, GLOROT, Y, x, (real)1, &of_linear) \
  ROW(relu, HE, Y, x < 0 ? (real)0 : x, either(y, 1, 0), &of_relu) \
  ROW(leaky_relu, HE, Y, either(x, x, x * (real)0.01), either(y, 1, (real)0.01), NULL) \
  ROW(elu, HE, Y, elu(x, 1), either(y, 1, y + 1), NULL) \
  ROW(selu, LECUN, Y, (real)SELU_SCALE * elu(x, (real)SELU_ALPHA), either(y, (real)SELU_SCALE, y + (real)(SELU_SCALE * SELU_ALPHA)), NULL) \
  ROW(gelu, HE, X, x * vmath_normal_cdf(x), gelu_slope(x), NULL) \
  ROW(silu, HE, X, x * vmath_sigmoid(x), silu_slope(x), NULL) \
  ROW(tanh, GLOROT, Y, vmath_tanh(x), 1 - y * y, NULL) \
  ROW(sigmoid, GLOROT, Y, vmath_sigmoid(x), y * (1 - y), NULL) \
  ROW(softplus, GLOROT, X, vmath_softplus(x), vmath_sigmoid(x), NULL)
// clang-format on

#define EACH_SLOPE(slope, becomes)                                                                 \
  NN_SIMD                                                                                          \
  for (size_t i = 0; i < n; i++) {                                                                 \
    real x = xs[i], y = ys[i], s = slope;                                                          \
    (void)x, (void)y;                                                                              \
    dxs[i] becomes dys[i] * s;                                                                     \
  }
#define KERNELS(name, init, reads, value, slope, moments)                                          \
  NN_OVER_ARRAY(name##_forward, value)                                                             \
  static void name##_backward(size_t n, const real *xs, const real *ys, const real *dys,           \
                              int fresh, real *dxs) {                                              \
    if (fresh) {                                                                                   \
      EACH_SLOPE(slope, =)                                                                         \
    } else {                                                                                       \
      EACH_SLOPE(slope, +=)                                                                        \
    }                                                                                              \
  }
ACTIVATIONS(KERNELS)

#define ROW(name, init, reads, value, slope, moments)                                              \
  {#name, NN_##init, NN_READS_##reads, name##_forward, name##_backward, moments},
static const nn_activation nn_activations[] = {ACTIVATIONS(ROW)};
#undef ROW
