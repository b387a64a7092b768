/* What optimizers and schedules work on: rows of two tables. */
#ifndef NN_OPTIMIZER_H
#define NN_OPTIMIZER_H

#include "api.h"
#include "real.h"

enum { NN_LBFGS_PAIRS = 10, NN_MAX_SLOTS = 2 * NN_LBFGS_PAIRS + 4 };

/* One step on a stretch of theta. decay: decoupled weight decay, for those that have it. */
typedef struct {
  size_t n;
  real *theta;
  const real *grad;
  real *slot[NN_MAX_SLOTS];
  real learn_rate, momentum, decay;
  double step; /* from 1 */
} nn_step;

/* A smooth function of all of theta, for optimizers that search along a line. */
typedef struct {
  size_t n;
  real *theta, *grad; /* set theta, call evaluate: it fills grad and returns the loss */
  real **slot;
  double loss, *step, tolerance;
  double (*evaluate)(void *context);
  const int *stopped; /* after an evaluation: it was ended early, and the search is to end, too */
  void *context;
} nn_problem;

typedef struct {
  const char *name;
  int n_slots;
  int full_batch;
  int decoupled; /* the penalty is a decay beside the gradient, not a part of it */
  void (*step)(const nn_step *s);
  nn_status (*iterate)(
      nn_problem *p); /* one iteration on all the data; NN_CONVERGED when nothing is left to gain */
} nn_optimizer;

/* The learning rate of an epoch (from 0) of n, as a share of the first. `stale`: epochs without improvement. */
typedef struct {
  const char *name;
  double (*share)(int epoch, int n, double previous, int stale);
} nn_schedule;

#endif
