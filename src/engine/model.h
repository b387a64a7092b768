/* A model: a tape with its marks and its leaves. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "tape.h"

typedef struct {
  nn_tape tape;
  const nn_spec *spec;
  nn_leaf *leaf;
  int n_leaves;
  size_t n_par;
  int x, z, eta, offset; /* marks: nodes, or -1 */
  int n_y;
} nn_model;

#endif
