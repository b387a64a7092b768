/* The table of activations. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "real.h"

/* Initial weights before this activation: He et al. (2015), Glorot & Bengio (2010), LeCun et al. (1998). */
typedef enum { NN_GLOROT, NN_HE, NN_LECUN } nn_init;

/* What a slope is computed from: x, or y alone, and then y may take x's place. */
typedef enum { NN_READS_X, NN_READS_Y } nn_reads;

typedef struct {
  const char *name;
  nn_init init;
  nn_reads reads;
  void (*forward)(size_t n, const real *x, real *y);
  /* dx (+)= dy * f'(x), where y = f(x); `fresh`: dx is written, not added to */
  void (*backward)(size_t n, const real *x, const real *y, const real *dy, int fresh, real *dx);
} nn_activation;

#endif
