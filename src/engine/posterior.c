/* Posteriors: how weights, or a bottleneck, become a value on the tape, at a draw or as moments, and a KL. The parts that they
 * are made of are leaves (weights) or outputs of layers (a bottleneck); the ops are the same. */
#pragma once
#include "covariance.c"
#include "prior.c"

enum { NN_MAX_PARTS = 4 };

/* A random variable to put on the tape. */
typedef struct {
  int rows, cols, part[NN_MAX_PARTS]; /* the shape of its first parts; their nodes */
  const nn_prior *prior;
  double sd;       /* the prior's */
  nn_joint *joint; /* the weights that its own depend on; NULL: these are independent */
  int by_entry;    /* the moments of each of its entries are wanted, not just those of units */
  int kl[2];       /* out: the nodes of its KL, or -1 */
} nn_variable;

/* The weights that a weight depends on: none; those of its unit; all before it; all, by numbers that they share. */
typedef enum { NN_ON_NONE, NN_ON_UNIT, NN_ON_EARLIER, NN_ON_SHARED } nn_dependence;

typedef struct {
  const char *name;
  int n_parts; /* a point: the value; a normal distribution: mu, log_sigma */
  nn_dependence depends;
  int in_last; /* only the weights of the last dense layer do */
  nn_value (*draw)(nn_tape *t, nn_variable *v);
  nn_value (*moments)(nn_tape *t, nn_variable *v); /* NULL: those of units are not known */
} nn_posterior;

static int push_draw(nn_tape *t, const nn_variable *v) {
  return push_like(t, value_of(-1, v->rows, v->cols), OP_DRAW, v->part[0], v->part[1], 2);
}

/* An op on the factors of a leaf, whose parts are mu, log_sigma and F, with this many rows. */
static int push_factors(nn_tape *t, const nn_variable *v, int op, int first, int rows) {
  const nn_joint *j = v->joint;
  nn_node node = node_of(op, rows, v->cols, first, v->part[2], -1);
  node.start = j->start, node.stride = j->stride;
  if (op == OP_MARGINAL) node.aux_rows = rows;
  if (op == OP_MIX) {
    node.option = j->noise;
    node.aux_rows = j->stride ? j->start / v->cols + 1 + rows : 0;
  }
  return tape_push(t, node);
}

/* The node of dependent weights; draw: that of independent ones, of which they are made. */
static int push_mix(nn_tape *t, const nn_variable *v, int draw) {
  int mix = push_factors(t, v, OP_MIX, draw, v->rows);
  if (v->joint->stride) v->joint->noise = mix;
  return mix;
}

/* Node of the standard deviations of dependent entries, each by itself. */
static int push_marginal(nn_tape *t, const nn_variable *v) {
  return push_factors(t, v, OP_MARGINAL, v->part[1], v->rows);
}

static int push_kl_node(nn_tape *t, const nn_variable *v, nn_node kl, int sigma) {
  kl.option = sigma, kl.setting = v->sd, kl.prior = v->prior, kl.work = prior_work(v->prior);
  return tape_push(t, kl);
}

/* The KL of weights that are points is minus their log density. */
static nn_value point_draw(nn_tape *t, nn_variable *v) {
  if (v->cols > 0 && nn_priors[v->prior->kind].nlp) {
    nn_node nlp = node_of(OP_NLP, 1, 1, v->part[0], -1, -1);
    nlp.aux_rows = tape_times(t, tape_times(t, v->rows, v->cols), v->prior->precision ? 2 : 1);
    v->kl[0] = push_kl_node(t, v, nlp, 0);
  }
  return value_of(v->part[0], v->rows, v->cols);
}

/* The KL at a draw, where it has no closed form. */
static void push_kl_of_draw(nn_tape *t, nn_variable *v, int draw, int value) {
  if (draw < 0) {
    draw = push_draw(t, v);
    value = v->joint ? push_mix(t, v, draw) : draw;
  }
  nn_node kl = node_of(OP_KL_MC, 1, v->cols > 0, v->part[0], v->part[1], value);
  kl.aux_rows = tape_times(t, v->rows, v->cols > 0 ? v->cols : 1);
  v->kl[0] = push_kl_node(t, v, kl, draw);
}

/* The KL; what dependent weights owe to factors that all share is in joint->gram. draw, value: of a draw, or -1; sigma: the node
 * whose work space has it. Returns the node of the standard deviations of dependent entries, or -1. */
static int push_kl(nn_tape *t, nn_variable *v, int draw, int value, int sigma) {
  int log_sigma = v->part[1];
  nn_joint *j = v->joint;
  if (j && !j->stride)
    j->gram = tape_push(t, node_of(OP_GRAM, j->rank, j->rank, v->part[1], v->part[2], j->gram));
  if (v->prior->mc || !nn_priors[v->prior->kind].kl) {
    push_kl_of_draw(t, v, draw, value);
    return -1;
  }
  if (j) log_sigma = sigma = push_marginal(t, v);
  nn_node kl = node_of(OP_KL, 1, v->cols > 0, v->part[0], log_sigma, -1);
  v->kl[0] = push_kl_node(t, v, kl, sigma);
  if (!j) return -1;
  v->kl[1] = tape_push(t, node_of(OP_GAP, 1, 1, log_sigma, v->part[1], -1));
  return log_sigma;
}

static nn_value normal_draw(nn_tape *t, nn_variable *v) {
  int draw = push_draw(t, v), value = v->joint ? push_mix(t, v, draw) : draw;
  push_kl(t, v, draw, value, draw);
  return value_of(value, v->rows, v->cols);
}

/* Of dependent weights `by` has a row for each unit and weight of a unit, that is, for each of the unit's eps. */
static nn_value normal_moments(nn_tape *t, nn_variable *v) {
  nn_value w = value_of(v->part[0], v->rows, v->cols);
  if (!v->joint) {
    w.variance = push_like(t, w, OP_VARIANCE, v->part[1], -1, 1);
    push_kl(t, v, -1, -1, w.variance);
    return w;
  }
  w.by = push_factors(t, v, OP_UNPACK, v->part[1], tape_times(t, v->rows, v->joint->of_unit));
  int log_sd = push_kl(t, v, -1, -1, -1);
  if (!v->by_entry) return w;
  if (log_sd < 0) log_sd = push_marginal(t, v);
  w.variance = push_like(t, w, OP_VARIANCE, log_sd, -1, 1);
  return w;
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
    [NN_POINT] = {"point", 1, NN_ON_NONE, 0, point_draw, NULL},
    {"laplace", 1, NN_ON_NONE, 0, point_draw, NULL}, /* its mode; the rest comes from jacobian.c */
    {"hmc", 1, NN_ON_NONE, 0, point_draw, NULL},     /* draws, by sample.c */
    {"dropout", 1, NN_ON_NONE, 0, point_draw, NULL}, /* its masks are drawn later */
    {"meanfield", 2, NN_ON_NONE, 0, normal_draw, normal_moments},
    {"ivon", 2, NN_ON_NONE, 0, normal_draw, normal_moments}, /* another optimizer */
    {"last_layer", 2, NN_ON_UNIT, 1, normal_draw, normal_moments},
    {"full", 2, NN_ON_EARLIER, 0, normal_draw, NULL},
    {"lowrank", 2, NN_ON_SHARED, 0, normal_draw, NULL},
    {"swag", 2, NN_ON_SHARED, 0, normal_draw, NULL}, /* from the path of a point */
};
