/* Variational families: how a random variable with given parts becomes a value and a KL on the tape, or its moments and a KL.
 * The parts are leaves (weights) or outputs of layers (a bottleneck); the ops are the same. */
#include "op.h"

enum { NN_MAX_PARTS = 4 };

typedef struct {
  const char *name;
  int n_parts; /* a point: the value; a gaussian: mu, log_sigma */
  /* The value's node; its KL's node, or -1. sd: the prior's. */
  int (*push)(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl);
  /* The nodes of its mean and, as the result, its variance; its KL's. NULL: its entries are dependent. */
  int (*moments)(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl);
} nn_variational;

static int point_push(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl) {
  (void)t, (void)prior, (void)sd;
  *kl = -1;
  return part[0];
}

static int push_draw(nn_tape *t, const int *part) {
  const nn_node *mu = &t->node[part[0]];
  nn_node draw = {.op = OP_DRAW,
                  .input = {part[0], part[1], -1},
                  .rows = mu->rows,
                  .cols = mu->cols,
                  .aux_rows = 2 * mu->rows};
  return tape_push(t, draw);
}

/* sigma: the node that has it; draw: that of a draw, where the KL is one draw's. */
static int push_kl(nn_tape *t, const int *part, const nn_prior *prior, double sd, int sigma,
                   int draw) {
  const nn_node *mu = &t->node[part[0]];
  int is_mc = prior->mc || !nn_priors[prior->kind].kl;
  nn_node kl = {.op = is_mc ? OP_KL_MC : OP_KL,
                .input = {part[0], part[1], -1},
                .rows = 1,
                .cols = mu->cols > 0,
                .option = sigma,
                .setting = sd,
                .prior = prior};
  if (!is_mc) return tape_push(t, kl);
  kl.option = kl.input[2] = draw >= 0 ? draw : push_draw(t, part);
  kl.aux_rows = mu->rows * (mu->cols > 0 ? mu->cols : 1);
  return tape_push(t, kl);
}

static int gaussian_push(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl) {
  int draw = push_draw(t, part);
  *kl = push_kl(t, part, prior, sd, draw, draw);
  return draw;
}

static int gaussian_moments(nn_tape *t, const int *part, const nn_prior *prior, double sd,
                            int *kl) {
  const nn_node *mu = &t->node[part[0]];
  nn_node variance = {.op = OP_VARIANCE,
                      .input = {part[1], -1, -1},
                      .rows = mu->rows,
                      .cols = mu->cols,
                      .aux_rows = mu->rows};
  int node = tape_push(t, variance);
  *kl = push_kl(t, part, prior, sd, node, -1);
  return node;
}

enum { NN_POINT, NN_GAUSSIAN };
static const nn_variational nn_variationals[] = {
    [NN_POINT] = {"point", 1, point_push, NULL},
    [NN_GAUSSIAN] = {"gaussian", 2, gaussian_push, gaussian_moments},
};
