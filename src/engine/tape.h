/* The tape: nodes in topological order, each an op on earlier nodes. Forward runs it up, backward runs it down.
 * A node's value has one row per unit; its columns are fixed (cols > 0: the weights' part, run once per draw of the
 * weights) or one per observation (cols = 0, run per chunk of observations). */
#ifndef NN_TAPE_H
#define NN_TAPE_H

#include "api.h"
#include "arena.h"
#include "family.h"
#include "linalg.h"
#include "random.h"

/* POLL_WORK: multiply-adds, or as much other work, after which the host is asked whether to go on. */
enum { NN_MAX_INPUTS = 3, NN_POLL_WORK = 5000000 };

typedef struct nn_node {
  int op;
  int input[NN_MAX_INPUTS]; /* earlier nodes, or -1 */
  int rows, cols;
  int option; /* dense: transposed; dropout: a mask; row of the activation or family table; kl: the node whose sigma it shares */
  int n_responses, eta_row, y_row; /* nll: its slice of eta and y */
  int aux_rows;                    /* work space: this many numbers per column */
  int start, stride; /* covariance.c: number of its first entry; distance of dependent entries */
  int needs_grad, reached;
  int readers; /* nodes that have it as an input */
  int in_place; /* its value and gradient take the place of its first input's, which has no other reader */
  unsigned writes; /* bit k: this node is the first of the backward pass to reach input k */
  double setting;
  const nn_prior *prior; /* kl */
  size_t offset;         /* parameter: its place in theta */
  real *value, *grad, *aux;
} nn_node;

/* A value on the tape is a distribution: nodes of one shape, or -1. */
typedef struct {
  int rows, cols; /* cols 0: one per observation */
  int mean;       /* or the value itself, where it is known or drawn: then variance is -1 */
  int variance;
  int second; /* the mean of its square, where that has a node of its own */
  int by,
      spread; /* rows that depend on each other do by a matrix times independent numbers with variances `spread` (-1: 1) */
} nn_value;

typedef struct {
  int kind, node, source; /* source: block of an nll, layer of the others */
} nn_term;

typedef struct {
  nn_node *node; /* NULL: nodes and terms are only counted */
  nn_term *term;
  int n_nodes, n_terms;
  int node_room, term_room; /* how many there are places for */
  nn_status status;         /* not NN_OK: a node did not fit, and the tape is no good */
  int n_obs, max_obs;       /* columns of this chunk; the most it can have */
  nn_mode mode;
  int first_draw, first_chunk; /* of a step: gradients are written, not added to */
  unsigned pass;               /* of the weights' part, from 0 */
  size_t first_obs;            /* of the chunk, among all of the pass */
  int y_stride;
  const real *y; /* the chunk's responses */
  const nn_host *host;
  nn_linalg linalg;
} nn_tape;

/* What the kernels of an op rely on is looked at when it is pushed, so that they need not look. */
typedef struct {
  const char *name;
  int (*fits)(const nn_tape *t,
              const nn_node *n); /* its shape, that of its inputs, its work space */
  void (*forward)(nn_tape *t, nn_node *n);
  void (*backward)(nn_tape *t, nn_node *n);
} nn_op;

#endif
