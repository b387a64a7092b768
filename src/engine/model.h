/* A model: a tape with its marks and its leaves. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "op.h"

typedef struct {
  nn_tape tape;
  const nn_spec *spec;
  nn_leaf *leaf;
  int n_leaves;
  size_t leaf_room;      /* leaves that there are places for, and weights */
  int *weight;           /* nodes of the weights in the order of their layers */
  int n_weights, replay; /* replay: weights used again by a copy of the layers; -1: none */
  size_t n_par;
  int x, z, eta, offset; /* marks: nodes, or -1 */
  int decoder;           /* first node after the bottleneck and its terms */
  nn_prior latent_prior;
  int contract;         /* layer whose input's change with x is a term of the loss, or -1 */
  int contracted;       /* that input: a node, or -1 */
  int variance, second; /* of the units so far, when the estimator carries moments: nodes, or -1 */
  int spread,
      mean;       /* then of the last dense layer: its input's variance, or -1; its mean weights */
  nn_joint joint; /* the weights so far that depend on each other */
  int last_dense; /* layer */
  int n_y;
} nn_model;

#endif
