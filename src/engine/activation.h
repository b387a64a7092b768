/* The table of activations. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "real.h"

/* Initial weights before this activation: He et al. (2015), Glorot & Bengio (2010), LeCun et al. (1998). */
typedef enum { NN_GLOROT, NN_HE, NN_LECUN } nn_init;

/* What a slope is computed from: x, or y alone, and then y may take x's place. */
typedef enum { NN_READS_X, NN_READS_Y } nn_reads;

/* Of y = f(a) at a ~ N(m, v), element by element: h = E y, aux: its slopes in m, then in v; and s = E y^2. */
typedef struct {
  void (*mean)(size_t n, const real *m, const real *v, real *aux, real *h);
  void (*second)(size_t n, const real *m, const real *v, const real *aux, const real *h, real *s);
  void (*second_backward)(size_t n, const real *aux, const real *h, const real *ds, real *dm,
                          real *dv);
} nn_unit_moments;

typedef struct {
  const char *name;
  nn_init init;
  nn_reads reads;
  void (*forward)(size_t n, const real *x, real *y);
  /* dx (+)= dy * f'(x), where y = f(x); `fresh`: dx is written, not added to */
  void (*backward)(size_t n, const real *x, const real *y, const real *dy, int fresh, real *dx);
  const nn_unit_moments *moments; /* NULL: not known; without functions: those of a */
} nn_activation;

#endif
