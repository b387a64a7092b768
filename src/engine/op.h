/* The ops of the tape, by name. */
#ifndef NN_OP_H
#define NN_OP_H

#include "tape.h"

enum {
  OP_DATA,
  OP_PARAMETER,
  OP_DENSE,
  OP_ACTIVATE,
  OP_DROPOUT,
  OP_NOISE,
  OP_LAYER_NORM,
  OP_DRAW,
  OP_KL,
  OP_KL_MC,
  OP_KL_FREE,
  OP_SQUARE,
  OP_VARIANCE,
  OP_LOCAL,
  OP_RELU_MEAN,
  OP_RELU_SECOND,
  OP_CENTER,
  OP_PENALTY,
  OP_ABSOLUTE,
  OP_DISTANCE,
  OP_CONCAT,
  OP_ADD,
  OP_PAIR,
  OP_NLL,
  NN_N_OPS
};

static const nn_op nn_ops[NN_N_OPS];

#endif
