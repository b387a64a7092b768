/* Standard normal quantiles of whole arrays, with which a host makes normals of its uniforms: R's way ("Inversion"), to
 * rounding. Algorithm AS 241, PPND16, of Wichura (1988), doi:10.2307/2347330: ratios of polynomials of degree 7 in
 * .425^2 - (p - 1/2)^2 where |p - 1/2| <= .425, and elsewhere in r = sqrt(-log(min(p, 1 - p))), of which those of r > 5, one
 * in 10^10, are other ones. The tails are gathered first, so that each loop does one thing and vectorises. In double alone. */
#pragma once
#include "api.h"
#include "vmath.h"

#ifndef NN_SINGLE
enum { QUANTILES = 256 };

NN_INLINE double horner(double x, double c0, double c1, double c2, double c3, double c4, double c5,
                        double c6, double c7) {
  return ((((((c7 * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0;
}

NN_INLINE double quantile_center(double q) {
  const double x = 0.180625 - q * q;
  return q *
         horner(x, 3.387132872796366608, 133.14166789178437745, 1971.5909503065514427,
                13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
                33430.575583588128105, 2509.0809287301226727) /
         horner(x, 1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077,
                21213.794301586595867, 39307.89580009271061, 28729.085735721942674,
                5226.495278852545925);
}

NN_INLINE double quantile_tail(double r) {
  const double x = r - 1.6;
  return horner(x, 1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055,
                3.64784832476320460504, 1.27045825245236838258, 0.24178072517745061177,
                0.0227238449892691845833, 7.7454501427834140764e-4) /
         horner(x, 1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455,
                0.14810397642748007459, 0.0151986665636164571966, 5.475938084995344946e-4,
                1.05075007164441684324e-9);
}

static double quantile_far_tail(double r) {
  const double x = r - 5;
  return horner(x, 6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358,
                0.29656057182850489123, 0.026532189526576123093, 0.0012426609473880784386,
                2.71155556874348757815e-5, 2.01033439929228813265e-7) /
         horner(x, 1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525,
                7.868691311456132591e-4, 1.8463183175100546818e-5, 1.4215117583164458887e-7,
                2.04426310338993978564e-15);
}

/* Of at most QUANTILES probabilities in (0, 1); z is not p. */
static void quantiles(int n, const double *p, double *z) {
  int tail[QUANTILES], n_tails = 0;
  double r[QUANTILES], far[QUANTILES];
  NN_SIMD
  for (int i = 0; i < n; i++) z[i] = quantile_center(p[i] - 0.5);
  for (int i = 0; i < n; i++) {
    tail[n_tails] = i;
    n_tails += vmath_abs(p[i] - 0.5) > 0.425;
  }
  for (int k = 0; k < n_tails; k++) r[k] = p[tail[k]] < 0.5 ? p[tail[k]] : 0.5 - p[tail[k]] + 0.5;
  NN_SIMD
  for (int k = 0; k < n_tails; k++) r[k] = -vmath_log_normal(r[k]);
  vmath_sqrt((size_t)n_tails, r, r);
  NN_SIMD
  for (int k = 0; k < n_tails; k++) far[k] = quantile_tail(r[k]);
  for (int k = 0; k < n_tails; k++) {
    const double size = r[k] <= 5 ? far[k] : quantile_far_tail(r[k]);
    z[tail[k]] = p[tail[k]] < 0.5 ? -size : size;
  }
}

static void normal_quantiles(size_t n, const double *p, double *z) {
  for (size_t i = 0; i < n; i += QUANTILES)
    quantiles(n - i < QUANTILES ? (int)(n - i) : QUANTILES, p + i, z + i);
}
#else
#define normal_quantiles NULL
#endif
