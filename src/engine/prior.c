/* Priors of random variables, each with mean 0 and a scale (a standard deviation, of Laplace's the mean absolute value): the KL of
 * a gaussian from each where it has a closed form, and the density for the others. */
#pragma once
#include "api.h"
#include "program.c"
#include "vmath.h"

/* n independent gaussians. */
typedef struct {
  size_t n;
  const real *mu, *log_sigma, *sigma;
} nn_gaussians;

/* n weights w, the first of which is number `first` in theta; what is asked for: minus the slope of the log density in each. */
typedef struct {
  size_t n, first;
  const real *w;
  const nn_prior *prior;
  double sd;
  real *slope, *work; /* prior_work() numbers */
} nn_weights;

typedef struct {
  const char *name;
  int is_empirical; /* the sd is that of the least KL */
  int is_by_weight; /* each weight has its own precision */
  /* The KL of gaussians from it, and its slopes times d, added; NULL: by Monte Carlo alone. */
  double (*kl)(const nn_gaussians *q, double sd);
  void (*kl_slope)(const nn_gaussians *q, double sd, real d, real *d_mu, real *d_log_sigma);
  double (*nlp)(const nn_weights *v); /* minus the log density, summed, and its slopes */
} nn_prior_row;

/* The sd at which N(0, sd^2) is nearest to all of q: its second moment. After Wu et al. (2019). */
static double empirical_sd(const nn_gaussians *q) {
  double sum = 0;
  NN_SIMD_SUM(sum)
  for (size_t k = 0; k < q->n; k++)
    sum += (double)(q->sigma[k] * q->sigma[k]) + (double)(q->mu[k] * q->mu[k]);
  return sqrt(sum / (double)q->n + 1e-30);
}

/* sum (sigma^2 + mu^2) / 2 s0^2 - 1/2 - log(sigma / s0) */
static double normal_kl(const nn_gaussians *q, double sd) {
  double inverse = 1 / (sd * sd), sum = 0;
  for (size_t k = 0; k < q->n; k++)
    sum += (double)(q->sigma[k] * q->sigma[k] + q->mu[k] * q->mu[k]) * inverse / 2 -
           (double)q->log_sigma[k];
  return sum + (double)q->n * (log(sd) - 0.5);
}

/* dmu += d mu / s0^2; dlog_sigma += d (sigma^2 / s0^2 - 1) */
static void normal_kl_slope(const nn_gaussians *q, double sd, real d, real *d_mu,
                            real *d_log_sigma) {
  real inverse = (real)(1 / (sd * sd));
  NN_SIMD
  for (size_t k = 0; k < q->n; k++) {
    d_mu[k] += d * q->mu[k] * inverse;
    d_log_sigma[k] += d * (q->sigma[k] * q->sigma[k] * inverse - 1);
  }
}

/* -log N(w; 0, s0^2), and the slope w / s0^2 */
static double normal_nlp(const nn_weights *v) {
  double inverse = 1 / (v->sd * v->sd), sum = 0;
  NN_SIMD_SUM(sum)
  for (size_t k = 0; k < v->n; k++) {
    v->slope[k] = v->w[k] * (real)inverse;
    sum += (double)(v->w[k] * v->w[k]);
  }
  return sum * inverse / 2 + (double)v->n * (log(v->sd) + NN_LOG_2PI / 2);
}

/* Of Laplace(0, b): sum E|w| / b + log 2b - log(2 pi e) / 2 - log sigma, E|w| = 2 sigma pdf(u) + mu (2 cdf(u) - 1), u = mu /
 * sigma. */
static double laplace_kl(const nn_gaussians *q, double b) {
  double absolute = 0, entropy = 0;
  for (size_t k = 0; k < q->n; k++) {
    real e, cdf = vmath_normal(q->mu[k] / q->sigma[k], &e);
    absolute += (double)(q->sigma[k] * (real)0.79788456080286535588 * e + q->mu[k] * (2 * cdf - 1));
    entropy += (double)q->log_sigma[k];
  }
  return absolute / b - entropy + (double)q->n * (log(2 * b) - (NN_LOG_2PI + 1) / 2);
}

/* dmu += d (2 cdf(u) - 1) / b; dlog_sigma += d (2 sigma pdf(u) / b - 1) */
static void laplace_kl_slope(const nn_gaussians *q, double b, real d, real *d_mu,
                             real *d_log_sigma) {
  real inverse = (real)(1 / b);
  for (size_t k = 0; k < q->n; k++) {
    real e, cdf = vmath_normal(q->mu[k] / q->sigma[k], &e);
    d_mu[k] += d * (2 * cdf - 1) * inverse;
    d_log_sigma[k] += d * (q->sigma[k] * (real)0.79788456080286535588 * e * inverse - 1);
  }
}

/* |w| / b + log 2b */
static double laplace_nlp(const nn_weights *v) {
  const double b = v->sd;
  double sum = 0;
  for (size_t k = 0; k < v->n; k++) {
    v->slope[k] = (real)((v->w[k] > 0) - (v->w[k] < 0)) * (real)(1 / b);
    sum += (double)vmath_abs(v->w[k]);
  }
  return sum / b + (double)v->n * log(2 * b);
}

/* -log[share N(w; 0, s1^2) + (1 - share) N(w; 0, s2^2)] = -(l1 + log(1 + e^(l2 - l1))), l the logs of the two parts; slope w
 * (r1 / s1^2 + r2 / s2^2), r2 = 1 / (1 + e^(l1 - l2)) = 1 - r1. Blundell et al. (2015). */
static double mixture_nlp(const nn_weights *v) {
  const nn_prior *p = v->prior;
  double s1 = v->sd, s2 = p->sd2 * v->sd / p->sd, sum = 0;
  real half1 = (real)(1 / (2 * s1 * s1)), half2 = (real)(1 / (2 * s2 * s2));
  real odds = (real)(log((1 - p->share) / p->share) + log(s1 / s2));
  for (size_t k = 0; k < v->n; k++) {
    real square = v->w[k] * v->w[k], r2;
    real more = vmath_softplus_sigmoid(odds + square * (half1 - half2), &r2);
    sum += (double)(square * half1 - more);
    v->slope[k] = 2 * v->w[k] * (half1 + r2 * (half2 - half1));
  }
  return sum + (double)v->n * (log(s1) - log(p->share) + NN_LOG_2PI / 2);
}

/* -log N(w; c, 1 / a) and a (w - c), of each weight its own; 0 where a is infinite. */
static double by_weight_nlp(const nn_weights *v) {
  const double *precision = v->prior->precision + v->first, *center = v->prior->center + v->first;
  double sum = 0;
  for (size_t k = 0; k < v->n; k++) {
    const double a = precision[k], off = (double)v->w[k] - center[k];
    v->slope[k] = isfinite(a) ? (real)(a * off) : 0;
    if (isfinite(a)) sum += (a * off * off - log(a) + NN_LOG_2PI) / 2;
  }
  return sum;
}

/* A log density f that a user wrote, of w / sd: -f(w / sd) + log sd. */
static double program_nlp(const nn_weights *v) {
  const double sum = program_sum(v->prior->program, v->n, v->w, v->sd, v->slope, v->work);
  for (size_t k = 0; k < v->n; k++) v->slope[k] = -v->slope[k];
  return (double)v->n * log(v->sd) - sum;
}

static size_t prior_work(const nn_prior *p) {
  return p->program ? program_sum_work(p->program) : 0;
}

static const nn_prior_row nn_priors[] = {
    {"normal", 0, 0, normal_kl, normal_kl_slope, normal_nlp},
    {"empirical", 1, 0, normal_kl, normal_kl_slope, normal_nlp},
    {"laplace", 0, 0, laplace_kl, laplace_kl_slope, laplace_nlp},
    {"mixture", 0, 0, NULL, NULL, mixture_nlp},
    {"program", 0, 0, NULL, NULL, program_nlp},
    {"by_weight", 0, 1, NULL, NULL, by_weight_nlp}, /* of points alone */
    {"flat", 0, 0, NULL, NULL, NULL},               /* improper: of points alone */
};

/* Whether a prior that is a program has one. */
static int prior_is_sound(const nn_prior *p) {
  return nn_priors[p->kind].nlp != program_nlp || program_is_of_one(p->program);
}
