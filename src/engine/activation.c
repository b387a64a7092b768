/* Activations: one line each gives the value at x and the slope at x, where y is the value. */
#include "activation.h"
#include "vmath.h"

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

/* name, initial weights, what the slope is computed from, value y at x, slope */
// clang-format off
#define ACTIVATIONS(ROW) \
  ROW(linear, GLOROT, Y, x, (real)1) \
  ROW(relu, HE, Y, x < 0 ? (real)0 : x, either(y, 1, 0)) \
  ROW(leaky_relu, HE, Y, either(x, x, x * (real)0.01), either(y, 1, (real)0.01)) \
  ROW(elu, HE, Y, elu(x, 1), either(y, 1, y + 1)) \
  ROW(selu, LECUN, Y, (real)SELU_SCALE * elu(x, (real)SELU_ALPHA), either(y, (real)SELU_SCALE, y + (real)(SELU_SCALE * SELU_ALPHA))) \
  ROW(gelu, HE, X, x * vmath_normal_cdf(x), gelu_slope(x)) \
  ROW(silu, HE, X, x * vmath_sigmoid(x), silu_slope(x)) \
  ROW(tanh, GLOROT, Y, vmath_tanh(x), 1 - y * y) \
  ROW(sigmoid, GLOROT, Y, vmath_sigmoid(x), y * (1 - y)) \
  ROW(softplus, GLOROT, X, vmath_softplus(x), vmath_sigmoid(x))
// clang-format on

#define KERNELS(name, init, reads, value, slope)                                                   \
  static void name##_forward(size_t n, const real *xs, real *ys) {                                 \
    NN_SIMD                                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
      real x = xs[i];                                                                              \
      ys[i] = value;                                                                               \
    }                                                                                              \
  }                                                                                                \
  static void name##_backward(size_t n, const real *xs, const real *ys, const real *dys,           \
                              int fresh, real *dxs) {                                              \
    if (fresh) {                                                                                   \
      NN_SIMD                                                                                      \
      for (size_t i = 0; i < n; i++) {                                                             \
        real x = xs[i], y = ys[i], s = slope;                                                      \
        (void)x, (void)y;                                                                          \
        dxs[i] = dys[i] * s;                                                                       \
      }                                                                                            \
    } else {                                                                                       \
      NN_SIMD                                                                                      \
      for (size_t i = 0; i < n; i++) {                                                             \
        real x = xs[i], y = ys[i], s = slope;                                                      \
        (void)x, (void)y;                                                                          \
        dxs[i] += dys[i] * s;                                                                      \
      }                                                                                            \
    }                                                                                              \
  }

ACTIVATIONS(KERNELS)

#define ROW(name, init, reads, value, slope)                                                       \
  {#name, NN_##init, NN_READS_##reads, name##_forward, name##_backward},
static const nn_activation nn_activations[] = {ACTIVATIONS(ROW)};
