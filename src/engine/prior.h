/* The table of priors, each with mean 0 and a scale: a standard deviation, of Laplace's the mean absolute value. */
#ifndef NN_PRIOR_H
#define NN_PRIOR_H

#include "api.h"
#include "real.h"

/* n independent gaussians. */
typedef struct {
  size_t n;
  const real *mu, *log_sigma, *sigma;
} nn_gaussians;

typedef struct {
  const char *name;
  int is_empirical; /* the sd is that of the least KL */
  /* The KL of gaussians from it, and its slopes times d, added; NULL: by Monte Carlo alone. */
  double (*kl)(const nn_gaussians *q, const nn_prior *p, double sd);
  void (*kl_slope)(const nn_gaussians *q, const nn_prior *p, double sd, real d, real *d_mu,
                   real *d_log_sigma);
  /* Minus the log density at n values, summed, and its slope in each. */
  double (*nlp)(size_t n, const real *w, const nn_prior *p, double sd, real *slope);
} nn_prior_row;

#endif
