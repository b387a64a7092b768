/* Priors of random variables: the KL of a gaussian from each where it has a closed form, and the density for the others. */
#include "prior.h"
#include "vmath.h"

/* The sd at which N(0, sd^2) is nearest to all of q: its second moment. After Wu et al. (2019). */
static double empirical_sd(const nn_gaussians *q) {
  double sum = 0;
  NN_SIMD_SUM(sum)
  for (size_t k = 0; k < q->n; k++)
    sum += (double)(q->sigma[k] * q->sigma[k]) + (double)(q->mu[k] * q->mu[k]);
  return sqrt(sum / (double)q->n + 1e-30);
}

/* sum (sigma^2 + mu^2) / 2 s0^2 - 1/2 - log(sigma / s0) */
static double normal_kl(const nn_gaussians *q, const nn_prior *p, double sd) {
  double inverse = 1 / (sd * sd), sum = 0;
  (void)p;
  for (size_t k = 0; k < q->n; k++)
    sum += (double)(q->sigma[k] * q->sigma[k] + q->mu[k] * q->mu[k]) * inverse / 2 -
           (double)q->log_sigma[k];
  return sum + (double)q->n * (log(sd) - 0.5);
}

/* dmu += d mu / s0^2; dlog_sigma += d (sigma^2 / s0^2 - 1) */
static void normal_kl_slope(const nn_gaussians *q, const nn_prior *p, double sd, real d, real *d_mu,
                            real *d_log_sigma) {
  real inverse = (real)(1 / (sd * sd));
  (void)p;
  NN_SIMD
  for (size_t k = 0; k < q->n; k++) {
    d_mu[k] += d * q->mu[k] * inverse;
    d_log_sigma[k] += d * (q->sigma[k] * q->sigma[k] * inverse - 1);
  }
}

/* -log N(w; 0, s0^2), and the slope w / s0^2 */
static double normal_nlp(size_t n, const real *w, const nn_prior *p, double sd, real *slope) {
  double inverse = 1 / (sd * sd), sum = 0;
  (void)p;
  NN_SIMD_SUM(sum)
  for (size_t k = 0; k < n; k++) {
    slope[k] = w[k] * (real)inverse;
    sum += (double)(w[k] * w[k]);
  }
  return sum * inverse / 2 + (double)n * (log(sd) + NN_LOG_2PI / 2);
}

static const nn_prior_row nn_priors[] = {
    {"normal", 0, normal_kl, normal_kl_slope, normal_nlp},
    {"empirical", 1, normal_kl, normal_kl_slope, normal_nlp},
};
