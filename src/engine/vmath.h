/* Elementary functions as branch-free inline code, so that the loops which use them vectorise. A few ulp; tested
 * against libm over the whole range. Choices are made by bits: of a conditional, compilers make branches. */
#ifndef NN_VMATH_H
#define NN_VMATH_H

#include "real.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef NN_SINGLE
typedef uint32_t nn_bits;
enum { NN_MANTISSA = 23, NN_BIAS_OF_EXPONENT = 127 };
#define NN_MAGIC 12582912.0f /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
#define NN_EXP_MAX 89.0f     /* above: infinity */
#define NN_EXP_MIN (-86.6f)  /* below: as here, the least number that is not subnormal */
#define NN_LN2_HI 0.693359375f
#define NN_LN2_LO (-2.12194440e-4f)
#else
typedef uint64_t nn_bits;
enum { NN_MANTISSA = 52, NN_BIAS_OF_EXPONENT = 1023 };
#define NN_MAGIC 6755399441055744.0
#define NN_EXP_MAX 710.0
#define NN_EXP_MIN (-707.7)
#define NN_LN2_HI 6.93147180369123816490e-01
#define NN_LN2_LO 1.90821492927058770002e-10
#endif
#define NN_LOG2E 1.44269504088896340736

typedef union {
  real value;
  nn_bits bits;
} nn_pun;

enum { NN_SIGN_BIT = NN_MANTISSA == 23 ? 31 : 63 };

static inline real vmath_choose(nn_bits sign, real a, real b) {
  nn_pun p = {a}, q = {b}, r;
  nn_bits mask = (nn_bits)0 - (sign >> NN_SIGN_BIT);
  r.bits = (p.bits & mask) | (q.bits & ~mask);
  return r.value;
}

/* a where x < 0 (or is -0), else b */
static inline real vmath_if_negative(real x, real a, real b) {
  nn_pun s = {x};
  return vmath_choose(s.bits, a, b);
}

/* a where x is NaN, else b: only NaN's bits, without the sign, are beyond those of infinity */
static inline real vmath_if_missing(real x, real a, real b) {
  nn_pun s = {x}, infinity = {(real)INFINITY};
  return vmath_choose(infinity.bits - (s.bits & ~((nn_bits)1 << NN_SIGN_BIT)), a, b);
}

static inline real vmath_abs(real x) {
  nn_pun s = {x};
  s.bits &= ~((nn_bits)1 << NN_SIGN_BIT);
  return s.value;
}

/* x = n log 2 + r, |r| <= log(2) / 2: sets half = 2^(n-1) and returns expm1(r), by its Taylor series. */
static inline real vmath_expm1_reduced(real x, real *half) {
  nn_pun k, h;
  k.value = x * (real)NN_LOG2E + NN_MAGIC;
  real n = k.value - NN_MAGIC;
  real r = (x - n * NN_LN2_HI) - n * NN_LN2_LO;
  h.bits = (k.bits + (NN_BIAS_OF_EXPONENT - 1)) << NN_MANTISSA;
  *half = h.value;
#ifdef NN_SINGLE
  real p = (real)(1.0 / 5040);
#else
  real p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
#endif
  p = p * r + (real)(1.0 / 720);
  p = p * r + (real)(1.0 / 120);
  p = p * r + (real)(1.0 / 24);
  p = p * r + (real)(1.0 / 6);
  p = p * r + (real)0.5;
  return r + r * r * p;
}

static inline real vmath_exp(real x) {
  real low = x < NN_EXP_MIN ? NN_EXP_MIN : x, clamped = low > NN_EXP_MAX ? NN_EXP_MAX : low, half;
  real p = vmath_expm1_reduced(clamped, &half);
  return 2 * (half + half * p);
}

/* log(1 + u) for 0 <= u <= 1: 2 atanh(s), s = u / (2 + u) <= 1/3. */
static inline real vmath_log1p_unit(real u) {
  real s = u / (2 + u), t = s * s;
#ifdef NN_SINGLE
  real p = (real)(1.0 / 15);
#else
  real p = 1.0 / 33;
  p = p * t + 1.0 / 31;
  p = p * t + 1.0 / 29;
  p = p * t + 1.0 / 27;
  p = p * t + 1.0 / 25;
  p = p * t + 1.0 / 23;
  p = p * t + 1.0 / 21;
  p = p * t + 1.0 / 19;
  p = p * t + 1.0 / 17;
  p = p * t + 1.0 / 15;
#endif
  p = p * t + (real)(1.0 / 13);
  p = p * t + (real)(1.0 / 11);
  p = p * t + (real)(1.0 / 9);
  p = p * t + (real)(1.0 / 7);
  p = p * t + (real)(1.0 / 5);
  p = p * t + (real)(1.0 / 3);
  return 2 * (s + s * t * p);
}

/* log(1 + exp(x)) = max(x, 0) + log1p(e), and 1 / (1 + exp(-x)), sharing e = exp(-|x|). */
static inline real vmath_softplus_sigmoid(real x, real *sigmoid) {
  real a = vmath_abs(x), e = vmath_exp(-a), s = 1 / (1 + e);
  *sigmoid = vmath_if_negative(x, e * s, s);
  return (x + a) / 2 + vmath_log1p_unit(e);
}

static inline real vmath_softplus(real x) {
  real a = vmath_abs(x);
  return (x + a) / 2 + vmath_log1p_unit(vmath_exp(-a));
}

static inline real vmath_sigmoid(real x) { return 1 / (1 + vmath_exp(-x)); }

/* expm1 for x in [-40, 40]. */
static inline real vmath_expm1(real x) {
  real half, p = vmath_expm1_reduced(x, &half);
  return 2 * half * p + (2 * half - 1);
}

static inline real vmath_tanh(real x) {
  real a = vmath_abs(x), clamped = a > 20 ? (real)20 : a;
  real m = vmath_expm1(-2 * clamped), y = -m / (2 + m);
  return vmath_if_negative(x, -y, y);
}

/* Square roots of n numbers. C's sqrt() must set errno, which keeps compilers from vectorising it. */
static inline void vmath_sqrt(int n, const real *x, real *root) {
  int i = 0;
#ifdef __SSE2__
#ifdef NN_SINGLE
  for (; i + 4 <= n; i += 4) _mm_storeu_ps(root + i, _mm_sqrt_ps(_mm_loadu_ps(x + i)));
#else
  for (; i + 2 <= n; i += 2) _mm_storeu_pd(root + i, _mm_sqrt_pd(_mm_loadu_pd(x + i)));
#endif
#endif
  for (; i < n; i++) root[i] = SQRT(x[i]);
}

/* log(Gamma(y + r) / Gamma(r)) and its derivative in r, for y >= 0, r > 0, without the cancellation of two lgammas:
 * both arguments are moved to 8 or more, where Stirling's series holds to 1e-16. In double in every build. */
static double stirling(double x, double *slope) {
  double i = 1 / x, q = i * i;
  *slope = -i / 2 - q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q / 132))));
  return i * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q / 1188))));
}

static double vmath_log_rising(double y, double r, double *d_r) {
  double product = 1, slope = 0, slope_top, slope_bottom;
  while (r < 8) { /* Gamma(y + r) / Gamma(r) = Gamma(y + r + 1) / Gamma(r + 1) * r / (y + r) */
    product *= r / (y + r);
    slope += 1 / r - 1 / (y + r);
    r += 1;
  }
  double top = stirling(y + r, &slope_top), bottom = stirling(r, &slope_bottom), l = log1p(y / r);
  *d_r = l + slope_top - slope_bottom + slope;
  return (r - 0.5) * l + y * log(y + r) - y + top - bottom + log(product);
}

static double vmath_log_factorial(double y) {
  double unused;
  return y < 2 && (y == 0 || y == 1) ? 0 : vmath_log_rising(y, 1, &unused);
}

#endif
