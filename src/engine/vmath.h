/* Elementary functions as branch-free inline code, so that the loops which use them vectorise. A few ulp; tested
 * against libm over the whole range. Choices are made by bits: of a conditional, compilers make branches. */
#pragma once

#include "real.h"
#if NN_VECTOR_BYTES > 16 && defined(NN_HAS_AVX) && !defined(__clang__)
#include <immintrin.h>
#define NN_ROOTS_OF(type) _mm256_storeu_##type(root, _mm256_sqrt_##type(_mm256_loadu_##type(x)))
enum { NN_ROOTS = 32 / sizeof(real) };
#elif defined(__SSE2__)
#include <emmintrin.h>
#define NN_ROOTS_OF(type) _mm_storeu_##type(root, _mm_sqrt_##type(_mm_loadu_##type(x)))
enum { NN_ROOTS = 16 / sizeof(real) };
#else
enum { NN_ROOTS = 1 };
#endif

#ifdef NN_SINGLE
typedef uint32_t nn_bits;
enum { NN_MANTISSA = 23, NN_BIAS_OF_EXPONENT = 127 };
#define NN_MAGIC 12582912.0f /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
#define NN_EXP_MAX 89.0f     /* above: infinity */
#define NN_EXP_MIN (-86.6f)  /* below: as here, the least number that is not subnormal */
#define NN_LN2_HI 0.693359375f
#define NN_LN2_LO (-2.12194440e-4f)
#define NN_LEAST_NORMAL 1.17549435e-38f
#define NN_ROOT_HALF 0x3f3504f3u /* bits of sqrt(1/2) */
#else
typedef uint64_t nn_bits;
enum { NN_MANTISSA = 52, NN_BIAS_OF_EXPONENT = 1023 };
#define NN_MAGIC 6755399441055744.0
#define NN_EXP_MAX 710.0
#define NN_EXP_MIN (-707.7)
#define NN_LN2_HI 6.93147180369123816490e-01
#define NN_LN2_LO 1.90821492927058770002e-10
#define NN_LEAST_NORMAL 2.2250738585072014e-308
#define NN_ROOT_HALF 0x3fe6a09e667f3bcdu
#endif
#define NN_LOG2E 1.44269504088896340736

typedef union {
  real value;
  nn_bits bits;
} nn_pun;

enum { NN_SIGN_BIT = NN_MANTISSA == 23 ? 31 : 63 };

NN_INLINE real vmath_choose(nn_bits sign, real a, real b) {
  nn_pun p = {a}, q = {b}, r;
  nn_bits mask = (nn_bits)0 - (sign >> NN_SIGN_BIT);
  r.bits = (p.bits & mask) | (q.bits & ~mask);
  return r.value;
}

/* a where x < 0 (or is -0), else b */
NN_INLINE real vmath_if_negative(real x, real a, real b) {
  nn_pun s = {x};
  return vmath_choose(s.bits, a, b);
}

/* a where x is NaN, else b: only NaN's bits, without the sign, are beyond those of infinity */
NN_INLINE real vmath_if_missing(real x, real a, real b) {
  nn_pun s = {x}, infinity = {(real)INFINITY};
  return vmath_choose(infinity.bits - (s.bits & ~((nn_bits)1 << NN_SIGN_BIT)), a, b);
}

NN_INLINE real vmath_abs(real x) {
  nn_pun s = {x};
  s.bits &= ~((nn_bits)1 << NN_SIGN_BIT);
  return s.value;
}

/* p x^4 + a x^3 + b x^2 + c x + d: four steps of a polynomial of any degree. */
NN_INLINE real vmath_next(real p, real x, double a, double b, double c, double d) {
  return (((p * x + (real)a) * x + (real)b) * x + (real)c) * x + (real)d;
}

/* x + low = n log 2 + r, |r| <= log(2) / 2: sets half = 2^(n-1) and returns expm1(r), by its Taylor series. */
NN_INLINE real vmath_expm1_reduced(real x, real low, real *half) {
  nn_pun k, h;
  k.value = x * (real)NN_LOG2E + NN_MAGIC;
  real n = k.value - NN_MAGIC;
  real r = (x - n * NN_LN2_HI) - n * NN_LN2_LO + low;
  h.bits = (k.bits + (NN_BIAS_OF_EXPONENT - 1)) << NN_MANTISSA;
  *half = h.value;
#ifdef NN_SINGLE
  real p = (real)(1.0 / 5040);
#else
  real p = 1.0 / 6227020800.0;
  p = vmath_next(p, r, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0);
  p = (p * r + (real)(1.0 / 40320.0)) * r + (real)(1.0 / 5040.0);
#endif
  p = vmath_next(p, r, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6);
  p = p * r + (real)0.5;
  return r + r * r * p;
}

/* exp(x + low), low small beside x */
NN_INLINE real vmath_exp_sum(real x, real low) {
  real floored = x < NN_EXP_MIN ? NN_EXP_MIN : x;
  real clamped = floored > NN_EXP_MAX ? NN_EXP_MAX : floored, half;
  real p = vmath_expm1_reduced(clamped, low, &half);
  return 2 * (half + half * p);
}

NN_INLINE real vmath_exp(real x) { return vmath_exp_sum(x, 0); }

/* log(1 + u) for 0 <= u <= 1: 2 atanh(s), s = u / (2 + u) <= 1/3. */
NN_INLINE real vmath_log1p_unit(real u) {
  real s = u / (2 + u), t = s * s;
#ifdef NN_SINGLE
  real p = (real)(1.0 / 15);
#else
  real p = 1.0 / 33;
  p = vmath_next(p, t, 1.0 / 31, 1.0 / 29, 1.0 / 27, 1.0 / 25);
  p = vmath_next(p, t, 1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17);
  p = p * t + (real)(1.0 / 15);
#endif
  p = vmath_next(p, t, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7);
  p = p * t + (real)(1.0 / 5);
  p = p * t + (real)(1.0 / 3);
  return 2 * (s + s * t * p);
}

/* log(x) for normal x > 0: x = 2^n m, sqrt(1/2) <= m < sqrt(2), log m = 2 atanh(s), s = (m - 1) / (m + 1), and
 * 2 atanh(s) = f - f^2 / 2 + s (f^2 / 2 + 2 s^2 / 3 + 2 s^4 / 5 + ...), f = m - 1. */
NN_INLINE real vmath_log_normal(real x) {
  const nn_bits one = (nn_bits)NN_BIAS_OF_EXPONENT << NN_MANTISSA;
  nn_pun m = {x}, n = {(real)((nn_bits)1 << NN_MANTISSA)};
  nn_bits shifted = m.bits + (one - NN_ROOT_HALF);
  m.bits = (shifted & (((nn_bits)1 << NN_MANTISSA) - 1)) + NN_ROOT_HALF;
  n.bits |= shifted >> NN_MANTISSA; /* 2^NN_MANTISSA + n + bias */
  n.value -= (real)(((nn_bits)1 << NN_MANTISSA) + NN_BIAS_OF_EXPONENT);
  real f = m.value - 1, s = f / (2 + f), z = s * s, square = f * f / 2;
#ifdef NN_SINGLE
  real p = (real)(2.0 / 9);
#else
  real p = 2.0 / 21;
  p = vmath_next(p, z, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13);
  p = (p * z + (real)(2.0 / 11)) * z + (real)(2.0 / 9);
#endif
  p = p * z + (real)(2.0 / 7);
  p = p * z + (real)(2.0 / 5);
  p = p * z + (real)(2.0 / 3);
  return n.value * NN_LN2_HI - ((square - (s * (square + z * p) + n.value * NN_LN2_LO)) - f);
}

/* log(x) for any x: that of a subnormal by a multiple that is normal; -infinity at 0, NaN below. */
NN_INLINE real vmath_log(real x) {
  const real scale = (real)((nn_bits)2 << NN_MANTISSA);
  nn_pun bits = {x}, infinity = {(real)INFINITY};
  nn_bits magnitude = bits.bits << 1;
  real above = x - NN_LEAST_NORMAL, normal = vmath_if_negative(above, x * scale, x);
  real y = vmath_log_normal(normal) -
           vmath_if_negative(above, (real)((NN_MANTISSA + 1) * 0.69314718055994530942), 0);
  y = vmath_choose(infinity.bits - 1 - bits.bits, x, y); /* infinity, NaN, and all below 0 */
  y = vmath_if_negative(x, (real)NAN, y);
  return vmath_choose(~magnitude & (magnitude - 1), (real)-INFINITY, y);
}

/* P(Z < x) of a standard normal Z. For t = |x|, P(Z < -t) = exp(-t^2 / 2) h((t - 4) / (t + 4)) / (1 + .8 t), h a polynomial:
 * the Chebyshev series of the rest on [-1, 1]. t^2 is taken as the sum of a square that is exact and of what it lacks. Also
 * gives e = exp(-t^2 / 2). */
NN_INLINE real vmath_normal(real x, real *e) {
  real a = vmath_abs(x), t = a > 40 ? (real)40 : a, u = (t - 4) / (t + 4);
#ifdef NN_SINGLE
  real p = (real)1.06291332e-5;
  p = vmath_next(p, u, -4.271564468e-5, -7.637786486e-5, 0.0004965686, -0.0001054601561);
  p = vmath_next(p, u, -0.003889654092, 0.01265179588, -0.0195877429, 0.008538645982);
  p = p * u + (real)0.03607576295;
  p = p * u - (real)0.1114423204;
  p = p * u + (real)0.3965246907;
#else
  real p = -5.039715670700526379e-10;
  p = vmath_next(p, u, -1.246033453746316094e-9, 3.975629496676598614e-9, 1.38623873650060719e-8,
                 -1.196056258893594752e-8);
  p = vmath_next(p, u, -8.608283668663523472e-8, -1.155884080971555244e-8, 4.21550433178695566e-7,
                 3.665783588763974646e-7);
  p = vmath_next(p, u, -1.957017725900770951e-6, -2.912580360846745882e-6,
                 0.00001004027128502300096, 0.00001792666848760891639);
  p = vmath_next(p, u, -0.00006455271498153461252, -0.00008465525008118925426,
                 0.0005184807980658643219, -0.0001007356991662448036);
  p = vmath_next(p, u, -0.003900390454281177923, 0.01265045888667787873, -0.01958530912140659133,
                 0.008538809775314384882);
  p = (p * u + (real)0.03607555884739745078) * u - (real)0.1114423261709119365;
  p = p * u + (real)0.396524693468269516;
#endif
  nn_pun high = {t};
  high.bits &= ~(((nn_bits)1 << (NN_MANTISSA / 2 + 1)) - 1);
  *e = vmath_exp_sum(-high.value * high.value / 2, (high.value - t) * (high.value + t) / 2);
  real tail = *e * p / (1 + (real)0.8 * a);
  return vmath_if_negative(x, tail, 1 - tail);
}

NN_INLINE real vmath_normal_cdf(real x) {
  real e;
  return vmath_normal(x, &e);
}

/* log(1 + exp(x)) = max(x, 0) + log1p(e), and 1 / (1 + exp(-x)), sharing e = exp(-|x|). */
NN_INLINE real vmath_softplus_sigmoid(real x, real *sigmoid) {
  real a = vmath_abs(x), e = vmath_exp(-a), s = 1 / (1 + e);
  *sigmoid = vmath_if_negative(x, e * s, s);
  return vmath_if_negative(x, 0, x) + vmath_log1p_unit(e);
}

NN_INLINE real vmath_softplus(real x) {
  real a = vmath_abs(x);
  return vmath_if_negative(x, 0, x) + vmath_log1p_unit(vmath_exp(-a));
}

NN_INLINE real vmath_sigmoid(real x) { return 1 / (1 + vmath_exp(-x)); }

/* expm1 for x in [-40, 40]. */
NN_INLINE real vmath_expm1(real x) {
  real half, p = vmath_expm1_reduced(x, 0, &half);
  return 2 * half * p + (2 * half - 1);
}

NN_INLINE real vmath_tanh(real x) {
  real a = vmath_abs(x), clamped = a > 20 ? (real)20 : a;
  real m = vmath_expm1(-2 * clamped), y = -m / (2 + m);
  return vmath_if_negative(x, -y, y);
}

/* Square roots of NN_ROOTS numbers, and of n. C's sqrt() must set errno, which keeps compilers from vectorising it. */
NN_INLINE void vmath_roots(const real *x, real *root) {
#if !defined(NN_ROOTS_OF)
  *root = SQRT(*x);
#elif defined(NN_SINGLE)
  NN_ROOTS_OF(ps);
#else
  NN_ROOTS_OF(pd);
#endif
}

NN_INLINE void vmath_sqrt(size_t n, const real *x, real *root) {
  size_t i = 0;
  for (; i + NN_ROOTS <= n; i += NN_ROOTS) vmath_roots(x + i, root + i);
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

/* A variance from which a root is taken. */
static inline real vmath_positive(real v) { return v > (real)1e-30 ? v : (real)1e-30; }

/* A function of n numbers x, elementwise. */
#define NN_OVER_ARRAY(name, value)                                                                 \
  static void name(size_t n, const real *xs, real *ys) {                                           \
    NN_SIMD                                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
      real x = xs[i];                                                                              \
      ys[i] = value;                                                                               \
    }                                                                                              \
  }
