/* A model: a tape with its marks and its leaves. */
#pragma once

#include "covariance.c"

typedef struct {
  nn_tape tape;
  const nn_spec *spec;
  nn_leaf *leaf; /* NULL, as the tape's nodes: all is only counted */
  int *weight;   /* of each leaf that is the first part of weights: their node */
  int n_leaves, leaf_room;
  size_t n_par, n_levels;
  double n_idle; /* parameters that an observation does not read: levels that are not its own */
  int x, z, eta, offset; /* marks: nodes, or -1 */
  int decoder;           /* first node after the bottleneck and its terms */
  nn_prior latent_prior;
  int contract;   /* layer whose input's change with x is a term of the loss, or -1 */
  int contracted; /* that input: a node, or -1 */
  int is_copy;    /* layers are pushed again, with the weights that they have */
  nn_joint joint;
  int last_dense; /* layer, or -1 */
  int n_y;
} nn_model;
