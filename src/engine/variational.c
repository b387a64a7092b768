/* Variational families: how a random variable with given parts becomes a value and a KL on the tape. The parts are
 * leaves (weights) or outputs of layers (a bottleneck); the ops are the same. */
#include "op.h"

enum { NN_MAX_PARTS = 4 };

typedef struct {
  const char *name;
  int n_parts; /* a point: the value; a gaussian: mu, log_sigma */
  int (*push)(nn_tape *t, const int *part, double prior_sd,
              int *kl); /* the value's node; its KL's node, or -1 */
} nn_variational;

static int point_push(nn_tape *t, const int *part, double prior_sd, int *kl) {
  (void)t, (void)prior_sd;
  *kl = -1;
  return part[0];
}

static int gaussian_push(nn_tape *t, const int *part, double prior_sd, int *kl) {
  const nn_node *mu = &t->node[part[0]];
  nn_node draw = {.op = OP_DRAW,
                  .input = {part[0], part[1], -1},
                  .rows = mu->rows,
                  .cols = mu->cols,
                  .aux_rows = 2 * mu->rows};
  nn_node divergence = {.op = OP_KL,
                        .input = {part[0], part[1], -1},
                        .rows = 1,
                        .cols = mu->cols > 0,
                        .setting = prior_sd};
  divergence.option = tape_push(t, draw);
  *kl = tape_push(t, divergence);
  return divergence.option;
}

enum { NN_POINT, NN_GAUSSIAN };
static const nn_variational nn_variationals[] = {
    [NN_POINT] = {"point", 1, point_push},
    [NN_GAUSSIAN] = {"gaussian", 2, gaussian_push},
};
