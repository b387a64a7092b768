/* The table of likelihood families. A family owns its link: the network is linear at eta. */
#ifndef NN_FAMILY_H
#define NN_FAMILY_H

#include "real.h"

/* One block of responses over n_obs observations. A block's rows are a slice of the columns of eta and y, whose strides
 * are the numbers of their rows. With two rows of eta per response, the first n_responses rows are the means. */
typedef struct {
  int n_obs, n_responses, eta_stride, y_stride, n_free;
  const real *eta, *y;
  const real *
      free; /* values of the free scalar (a log), n_free of them, or one that is fixed: the response's own or the block's only one */
  real *nll;            /* out: 1 x n_obs */
  real *slope;          /* out: d nll / d eta, (rows of eta) x n_obs */
  real *free_slope;     /* out: d nll / d free, n_free x n_obs; zeroed by the caller */
  const real *variance; /* of eta, in the same slice, when eta is random: then eta is its mean */
  real *variance_slope; /* out: d nll / d variance */
  /* Of two rows of eta per response their covariance, n_responses x n_obs; NULL: 0. */
  const real *covariance;
  real *covariance_slope;
} nn_nll;

typedef struct {
  const char *name;
  int eta_per_response, y_per_response, has_free;
  void (*nll)(const nn_nll *b);      /* a missing (NaN) y adds nothing */
  void (*expected)(const nn_nll *b); /* of random eta, where that has a closed form */
} nn_family;

#endif
