/* Posteriors: how weights, or a bottleneck, become a value and a KL on the tape, or their moments and a KL. The parts that they
 * are made of are leaves (weights) or outputs of layers (a bottleneck); the ops are the same. */
#include "op.h"

enum { NN_MAX_PARTS = 4 };

/* The weights that a weight depends on: none; in the last dense layer those of its unit; all before it; all, by numbers that
 * they share. */
typedef enum { NN_ON_NONE, NN_ON_UNIT, NN_ON_EARLIER, NN_ON_SHARED } nn_dependence;

typedef struct {
  const char *name;
  int n_parts; /* a point: the value; a normal distribution: mu, log_sigma */
  nn_dependence depends;
  /* The value's node; its KL's node, or -1. sd: the prior's. */
  int (*push)(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl);
  /* The nodes of its mean and, as the result, its variance; its KL's. NULL: those of units are not known. */
  int (*moments)(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl);
} nn_posterior;

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

/* sigma: the node that has it; draw: the value at a draw, where the KL is one draw's, -1 to make one; then sigma's node has
 * its eps, too. */
static int push_kl(nn_tape *t, const int *part, const nn_prior *prior, double sd, int sigma,
                   int draw) {
  const nn_node *mu = &t->node[part[0]];
  int is_mc = prior->mc || !nn_priors[prior->kind].kl;
  if (is_mc && draw < 0) sigma = draw = push_draw(t, part);
  nn_node kl = {.op = is_mc ? OP_KL_MC : OP_KL,
                .input = {part[0], part[1], is_mc ? draw : -1},
                .rows = 1,
                .cols = mu->cols > 0,
                .option = sigma,
                .aux_rows = is_mc ? tape_times(t, mu->rows, mu->cols > 0 ? mu->cols : 1) : 0,
                .setting = sd,
                .prior = prior};
  return tape_push(t, kl);
}

static int normal_push(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl) {
  int draw = push_draw(t, part);
  *kl = push_kl(t, part, prior, sd, draw, draw);
  return draw;
}

static int normal_moments(nn_tape *t, const int *part, const nn_prior *prior, double sd, int *kl) {
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

/* An op on the factors of a leaf, whose parts are mu, log_sigma and F, with this many rows. */
static int push_factors(nn_tape *t, int op, const int *part, const nn_joint *j, int first,
                        int rows) {
  const nn_node *mu = &t->node[part[0]];
  nn_node node = {.op = op,
                  .input = {first, part[2], -1},
                  .rows = rows,
                  .cols = mu->cols,
                  .aux_rows = op == OP_MARGINAL ? rows : 0,
                  .start = j->start,
                  .stride = j->stride};
  if (op == OP_MIX) {
    node.option = j->noise;
    node.aux_rows = j->stride && mu->cols ? j->start / mu->cols + 1 + rows : 0;
  }
  return tape_push(t, node);
}

/* The node of dependent weights; draw: that of independent ones, of which they are made. */
static int joint_draw(nn_tape *t, const int *part, nn_joint *j, int draw) {
  int mix = push_factors(t, OP_MIX, part, j, draw, t->node[part[0]].rows);
  if (j->stride) j->noise = mix;
  return mix;
}

/* The KL of a leaf of dependent weights, two nodes or one; what they owe to factors that all share is in j->gram. draw, mix:
 * those of a draw, or -1. */
static void joint_kl(nn_tape *t, const int *part, const nn_prior *prior, double sd, nn_joint *j,
                     int draw, int mix, int *kl) {
  kl[1] = -1;
  if (!j->stride) {
    int k = t->node[j->noise].rows;
    nn_node gram = {.op = OP_GRAM, .input = {part[1], part[2], j->gram}, .rows = k, .cols = k};
    j->gram = tape_push(t, gram);
  }
  if (prior->mc || !nn_priors[prior->kind].kl) {
    if (draw < 0) draw = push_draw(t, part), mix = joint_draw(t, part, j, draw);
    kl[0] = push_kl(t, part, prior, sd, draw, mix);
    return;
  }
  int marginal[] = {part[0], push_factors(t, OP_MARGINAL, part, j, part[1], t->node[part[0]].rows)};
  nn_node gap = {.op = OP_GAP, .input = {marginal[1], part[1], -1}, .rows = 1, .cols = 1};
  kl[0] = push_kl(t, marginal, prior, sd, marginal[1], -1);
  kl[1] = tape_push(t, gap);
}

/* The number of factors of the next `size` dependent weights. */
static double joint_factors(const nn_joint *j, double size) {
  double sum[2];
  for (int k = 0; k < 2; k++) {
    double n = j->start + k * size, whole = floor(n / j->stride);
    sum[k] = j->stride * whole * (whole - 1) / 2 + (n - j->stride * whole) * whole;
  }
  return sum[1] - sum[0];
}

enum { NN_POINT };
static const nn_posterior nn_posteriors[] = {
    [NN_POINT] = {"point", 1, NN_ON_NONE, point_push, NULL},
    {"meanfield", 2, NN_ON_NONE, normal_push, normal_moments},
    {"last_layer", 2, NN_ON_UNIT, normal_push, normal_moments},
    {"full", 2, NN_ON_EARLIER, normal_push, NULL},
    {"lowrank", 2, NN_ON_SHARED, normal_push, NULL},
};
