/* Activations: one line each gives the value at x and the slope at x, where y is the value. */
#include "activation.h"
#include "vmath.h"

#define SELU_SCALE 1.05070098735548049342
#define SELU_ALPHA 1.67326324235437728481

static inline real elu(real x, real alpha) {
  return x > 0 ? x : alpha * vmath_expm1(x < -40 ? -40 : x > 0 ? 0 : x);
}
static inline real gauss_cdf(real x) {
  return (real)(0.5 * erfc(-(double)x * 0.70710678118654752440));
}
static inline real gauss_pdf(real x) {
  return (real)0.39894228040143267794 * vmath_exp(-x * x / 2);
}
static inline real silu_slope(real x) {
  real s = vmath_sigmoid(x);
  return s * (1 + x * (1 - s));
}

/* name, initial weights, value at x, slope at x where y is the value */
// clang-format off
#define ACTIVATIONS(ROW) \
  ROW(linear, GLOROT, x, 1) \
  ROW(relu, HE, x > 0 ? x : x != x ? x : 0, x > 0 ? 1 : 0) \
  ROW(leaky_relu, HE, x > 0 ? x : x * (real)0.01, x > 0 ? 1 : (real)0.01) \
  ROW(elu, HE, elu(x, 1), x > 0 ? 1 : y + 1) \
  ROW(selu, LECUN, (real)SELU_SCALE * elu(x, (real)SELU_ALPHA), x > 0 ? (real)SELU_SCALE : y + (real)(SELU_SCALE * SELU_ALPHA)) \
  ROW(gelu, HE, x * gauss_cdf(x), gauss_cdf(x) + x * gauss_pdf(x)) \
  ROW(silu, HE, x * vmath_sigmoid(x), silu_slope(x)) \
  ROW(tanh, GLOROT, vmath_tanh(x), 1 - y * y) \
  ROW(sigmoid, GLOROT, vmath_sigmoid(x), y * (1 - y)) \
  ROW(softplus, GLOROT, vmath_softplus(x), vmath_sigmoid(x))
// clang-format on

#define KERNELS(name, init, value, slope)                                                          \
  static void name##_forward(size_t n, const real *restrict xs, real *restrict ys) {               \
    NN_SIMD                                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
      real x = xs[i];                                                                              \
      ys[i] = value;                                                                               \
    }                                                                                              \
  }                                                                                                \
  static void name##_backward(size_t n, const real *restrict xs, const real *restrict ys,          \
                              const real *restrict dys, int fresh, real *restrict dxs) {           \
    if (fresh) {                                                                                   \
      NN_SIMD                                                                                      \
      for (size_t i = 0; i < n; i++) {                                                             \
        real x = xs[i], y = ys[i];                                                                 \
        (void)x, (void)y;                                                                          \
        dxs[i] = dys[i] * (slope);                                                                 \
      }                                                                                            \
    } else {                                                                                       \
      NN_SIMD                                                                                      \
      for (size_t i = 0; i < n; i++) {                                                             \
        real x = xs[i], y = ys[i];                                                                 \
        (void)x, (void)y;                                                                          \
        dxs[i] += dys[i] * (slope);                                                                \
      }                                                                                            \
    }                                                                                              \
  }

ACTIVATIONS(KERNELS)

#define ROW(name, init, value, slope) {#name, NN_##init, name##_forward, name##_backward},
static const nn_activation nn_activations[] = {ACTIVATIONS(ROW)};
