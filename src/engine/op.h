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
  OP_ACTIVATE_MEAN,
  OP_ACTIVATE_SECOND,
  OP_CENTER,
  OP_PENALTY,
  OP_ABSOLUTE,
  OP_DISTANCE,
  OP_CONCAT,
  OP_ADD,
  OP_PAIR,
  OP_SHARED,
  OP_MIX,
  OP_MARGINAL,
  OP_GAP,
  OP_UNPACK,
  OP_GROUP,
  OP_GRAM,
  OP_LOG_DET,
  OP_NLL,
  NN_N_OPS
};

/* The weights so far that depend on each other (covariance.c). */
typedef struct {
  int start;   /* their number */
  int stride;  /* the distance of those that depend on each other; 0: all share `rank` numbers */
  int of_unit; /* how many a unit has */
  int rank;    /* of their shared numbers */
  int noise, gram; /* nodes of the noise they share, of the products of their factors, or -1 */
} nn_joint;

static const nn_op nn_ops[NN_N_OPS];

#endif
