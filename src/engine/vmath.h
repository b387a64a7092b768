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

/* a where x is 0, else b */
NN_INLINE real vmath_if_zero(real x, real a, real b) {
  nn_pun s = {x};
  nn_bits magnitude = s.bits << 1;
  return vmath_choose(~magnitude & (magnitude - 1), a, b);
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
  real above = x - NN_LEAST_NORMAL, normal = vmath_if_negative(above, x * scale, x);
  real y = vmath_log_normal(normal) -
           vmath_if_negative(above, (real)((NN_MANTISSA + 1) * 0.69314718055994530942), 0);
  y = vmath_choose(infinity.bits - 1 - bits.bits, x, y); /* infinity, NaN, and all below 0 */
  y = vmath_if_negative(x, (real)NAN, y);
  return vmath_if_zero(x, (real)-INFINITY, y);
}

/* log(1 + x): of u = 1 + x, and what the sum lost. */
NN_INLINE real vmath_log1p(real x) {
  nn_pun u = {1 + x}, infinity = {(real)INFINITY};
  real y = vmath_log(u.value) + (x - (u.value - 1)) / u.value;
  y = vmath_if_zero(u.value, (real)-INFINITY, y);
  return vmath_choose(infinity.bits - 1 - u.bits, vmath_if_negative(u.value, (real)NAN, u.value),
                      y);
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

/* expm1 for any x. */
NN_INLINE real vmath_expm1_any(real x) {
  real floored = x < -40 ? (real)-40 : x;
  real clamped = floored > NN_EXP_MAX ? NN_EXP_MAX : floored, half;
  real p = vmath_expm1_reduced(clamped, 0, &half);
  return 2 * (half * p + (half - (real)0.5));
}

NN_INLINE real vmath_tanh(real x) {
  real a = vmath_abs(x), clamped = a > 20 ? (real)20 : a;
  real m = vmath_expm1(-2 * clamped), y = -m / (2 + m);
  return vmath_if_negative(x, -y, y);
}

/* a^b = exp(b log|a|), less of its digits right the larger the exponent is; of a negative a with a whole b alone. */
NN_INLINE real vmath_pow(real a, real b) {
  const real size = vmath_abs(b), half = size / 2;
  const real rounded = half > NN_MAGIC / 4 ? half : half + NN_MAGIC - NN_MAGIC;
  const real odd = vmath_abs(size - 2 * rounded); /* 0 of an even number, 1 of an odd one */
  real y = vmath_exp(b * vmath_log(vmath_abs(a)));
  y = vmath_if_negative(a, vmath_if_zero(odd, y, vmath_if_zero(odd - 1, -y, (real)NAN)), y);
  y = vmath_if_zero(a, vmath_if_negative(b, (real)INFINITY, 0), y);
  return vmath_if_zero(b, 1, y);
}

/* Sine and cosine in double in every build: x = n pi / 2 + r, |r| <= pi / 4, by three parts of pi / 2, the first two with
 * zeros at their end, so that their products with n <= 2^20 are exact. */
#define NN_QUARTERS 1.6e6
NN_INLINE double vmath_quarters(double x, uint64_t *n) {
  union {
    double value;
    uint64_t bits;
  } k = {x * 0.63661977236758134308 + 6755399441055744.0};
  double m = k.value - 6755399441055744.0;
  *n = k.bits;
  return ((x - m * 1.57079632673412561417e+00) - m * 6.07710050630396597660e-11) -
         m * 2.02226624879595063154e-21;
}

/* sin(x + shift pi / 2): the Taylor series of sine or cosine at r, by the number of quarters. */
NN_INLINE double vmath_sine(double x, uint64_t shift) {
  union {
    double value;
    uint64_t bits;
  } s, c;
  uint64_t n;
  const double r = vmath_quarters(x, &n), z = r * r;
  s.value = -1 / 1307674368000.0 + z * (1 / 355687428096000.0);
  s.value = 1 / 362880.0 + z * (-1 / 39916800.0 + z * (1 / 6227020800.0 + z * s.value));
  s.value = r + r * z * (-1 / 6.0 + z * (1 / 120.0 + z * (-1 / 5040.0 + z * s.value)));
  c.value = -1 / 87178291200.0 + z * (1 / 20922789888000.0 - z * (1 / 6402373705728000.0));
  c.value = 1 / 40320.0 + z * (-1 / 3628800.0 + z * (1 / 479001600.0 + z * c.value));
  c.value = 1 - z * (0.5 - z * (1 / 24.0 + z * (-1 / 720.0 + z * c.value)));
  n += shift;
  const uint64_t mask = (uint64_t)0 - (n & 1);
  s.bits = ((c.bits & mask) | (s.bits & ~mask)) ^ ((n >> 1) << 63);
  return s.value;
}

/* atan(x): with a = |x|, of a, of (a - 1) / (a + 1) or of -1 / a, whichever is small; by the rational function of Moshier's
 * Cephes. In double in every build. */
NN_INLINE double vmath_atan(double x) {
  const double a = fabs(x);
  const int is_large = a > 2.41421356237309504880, is_small = a < 0.41421356237309504880;
  const double t = is_large ? -1 / a : is_small ? a : (a - 1) / (a + 1);
  const double base = is_large ? 1.57079632679489661923 : is_small ? 0 : 0.78539816339744830962;
  const double low = is_large   ? 6.123233995736765886130e-17
                     : is_small ? 0
                                : 3.061616997868382943065e-17;
  const double z = t * t;
  double p = -8.750608600031904122785e-1, q = z + 2.485846490142306297962e1;
  p = p * z - 1.615753718733365076637e1, q = q * z + 1.650270098316988542046e2;
  p = p * z - 7.500855792314704667340e1, q = q * z + 4.328810604912902668951e2;
  p = p * z - 1.228866684490136173410e2, q = q * z + 4.853903996359136964868e2;
  p = p * z - 6.485021904942025371773e1, q = q * z + 1.945506571482613964425e2;
  return copysign(base + (t + (t * z * (p / q) + low)), x);
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

/* log|Gamma(x)|, its slope and the slope of that: arguments are moved to 16 or more, negative ones mirrored. In double in
 * every build. */
static double vmath_lgamma(double x) {
  double product = 1, unused;
  if (x <= 0)
    return x == floor(x) ? INFINITY
                         : log(3.14159265358979323846 / fabs(sin(3.14159265358979323846 * x))) -
                               vmath_lgamma(1 - x);
  for (; x < 16; x += 1) product *= x;
  return isinf(x) ? x
                  : (x - 0.5) * log(x) - x + NN_LOG_2PI / 2 + stirling(x, &unused) - log(product);
}

static double vmath_digamma(double x) {
  double sum = 0, slope;
  if (x <= 0)
    return x == floor(x)
               ? NAN
               : vmath_digamma(1 - x) - 3.14159265358979323846 / tan(3.14159265358979323846 * x);
  for (; x < 16; x += 1) sum += 1 / x;
  stirling(x, &slope);
  return log(x) + slope - sum;
}

static double vmath_trigamma(double x) {
  double sum = 0;
  if (x <= 0) {
    const double s = sin(3.14159265358979323846 * x) / 3.14159265358979323846;
    return x == floor(x) ? INFINITY : 1 / (s * s) - vmath_trigamma(1 - x);
  }
  for (; x < 16; x += 1) sum += 1 / (x * x);
  const double i = 1 / x, q = i * i;
  return sum + i + q / 2 +
         i * q * (1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * 5 / 66))));
}

/* -log P(Z > z) of a standard normal Z, and its slope, the hazard: beyond 8 by the continued fraction z + 1 / (z + 2 / (z + ...)).
 * In double in every build. */
static double vmath_normal_hazard(double z, double *slope) {
  if (z < 8) {
    const double tail = erfc(z * 0.70710678118654752440) / 2;
    *slope = exp(-z * z / 2 - NN_LOG_2PI / 2) / tail;
    return -log(tail);
  }
  double h = z;
  for (int k = 30; k > 0; k--) h = z + k / h;
  *slope = h;
  return z * z / 2 + NN_LOG_2PI / 2 + log(h);
}

/* The slope of the trigamma function. */
static double vmath_tetragamma(double x) {
  double sum = 0;
  if (x <= 0) {
    const double pi = 3.14159265358979323846, s = sin(pi * x);
    return x == floor(x) ? NAN
                         : vmath_tetragamma(1 - x) - 2 * pi * pi * pi * cos(pi * x) / (s * s * s);
  }
  for (; x < 16; x += 1) sum += 2 / (x * x * x);
  const double i = 1 / x, q = i * i;
  return -sum - q * (1 + i + q * (0.5 - q * (1.0 / 6 - q * (1.0 / 6 - q * (0.3 - q * 5 / 6)))));
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

/* sin() and cos() of n numbers; libm's where they are so large that their quarters need more digits. */
#define NN_SINES(name, shift, libm)                                                                \
  static void name(size_t n, const real *xs, real *ys) {                                           \
    NN_SIMD                                                                                        \
    for (size_t i = 0; i < n; i++) ys[i] = (real)vmath_sine((double)xs[i], shift);                 \
    for (size_t i = 0; i < n; i++)                                                                 \
      if (!(vmath_abs(xs[i]) < (real)NN_QUARTERS)) ys[i] = (real)libm((double)xs[i]);              \
  }
NN_SINES(vmath_sin, 0, sin)
NN_SINES(vmath_cos, 1, cos)
