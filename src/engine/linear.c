/* Linear layers: units W x + b, whose weights are leaves of theta, as the posterior makes them, and stand for their draws as the
 * estimator says. */
#pragma once
#include "model.h"
#include "posterior.c"

/* Factors of dependent weights; parameters. */
enum { NN_MOST_FACTORS = 100000000 };
static const double nn_most_parameters = 281474976710656.0; /* 2^48 */

/* What stands for the draws of the weights in a linear layer: they themselves; a draw of each unit; the units' moments. */
typedef struct {
  const char *name;
  int by_moments; /* E W x and V(W x), which the posterior must have */
  int carries;    /* they go on from layer to layer, up to the likelihood */
} nn_estimator;

static const nn_estimator nn_estimators[] = {{"weight", 0, 0}, {"local", 1, 0}, {"exact", 1, 1}};

static void refuse(nn_model *m, nn_status why) { tape_refuse(&m->tape, why); }

static void push_term(nn_model *m, int kind, int node, int source) {
  if (node >= 0) tape_push_term(&m->tape, (nn_term){kind, node, source});
}

/* A term that is an op on earlier nodes, times a number. */
static void push_term_op(nn_model *m, int kind, nn_node node, double setting, int source) {
  node.setting = setting;
  push_term(m, kind, tape_push(&m->tape, node), source);
}

/* A leaf of theta [rows, cols]. */
static int push_leaf(nn_model *m, nn_leaf leaf) {
  nn_node node = node_of(OP_PARAMETER, leaf.rows, leaf.cols, -1, -1, -1);
  node.needs_grad = 1, node.offset = m->n_par;
  const int place = tape_push(&m->tape, node);
  if (m->n_leaves >= m->leaf_room) refuse(m, NN_BAD_SPEC);
  const double end = (double)m->n_par + (double)leaf.rows * leaf.cols;
  if (end > nn_most_parameters) refuse(m, NN_TOO_LARGE);
  if (m->spec->prior.precision && leaf.role != NN_NOISE && end > (double)m->spec->prior.n_weights)
    refuse(m, NN_BAD_SPEC);
  if (m->tape.status != NN_OK) return 0;
  leaf.offset = m->n_par;
  m->n_par += (size_t)leaf.rows * (size_t)leaf.cols;
  if (m->leaf) m->leaf[m->n_leaves] = leaf;
  m->n_leaves++;
  return place;
}

/* The node of the weights that a layer already has for this leaf. They must be drawn weights: drawn units would be
 * those of other weights each time. */
static int used_again(nn_model *m, nn_leaf leaf) {
  for (int i = 0; m->leaf && i < m->n_leaves; i++) {
    const nn_leaf *l = &m->leaf[i];
    if (l->role == leaf.role && l->layer == leaf.layer && l->head == leaf.head && l->part == 0)
      return m->weight[i];
  }
  if (m->leaf) refuse(m, NN_BAD_SPEC);
  return 0;
}

static const nn_posterior *posterior_of(const nn_model *m) {
  return &nn_posteriors[m->spec->posterior];
}

/* Whether the weights of a layer depend on each other. */
static int is_joint(const nn_model *m, int layer) {
  const nn_posterior *q = posterior_of(m);
  return q->depends != NN_ON_NONE && (!q->in_last || layer == m->last_dense);
}

/* The factors of a leaf's weights; -1: it has none. The first such leaf decides on whom they depend. */
static int push_factor_leaf(nn_model *m, nn_leaf leaf) {
  const nn_dependence on = posterior_of(m)->depends;
  const int is_shared = on == NN_ON_SHARED;
  nn_joint *j = &m->joint;
  if (j->start == 0 && !is_shared) j->stride = on == NN_ON_UNIT ? leaf.rows : 1;
  if (is_shared && j->noise < 0)
    j->noise = tape_push(&m->tape, node_of(OP_SHARED, j->rank, 1, -1, -1, -1));
  double size = (double)leaf.rows * leaf.cols, n = is_shared ? size : joint_factors(j, size);
  if (j->start + size > NN_MOST_FACTORS || n > NN_MOST_FACTORS) refuse(m, NN_TOO_LARGE), n = 1;
  leaf.part = is_shared ? 3 : 2;
  leaf.rows = is_shared ? j->rank : (int)n, leaf.cols = is_shared ? (int)n : 1;
  return n > 0 ? push_leaf(m, leaf) : -1;
}

/* The leaves of a weight matrix or bias, one per part of the posterior. */
static nn_variable push_parts(nn_model *m, nn_leaf leaf) {
  const nn_prior *prior = &m->spec->prior;
  nn_variable v = {.rows = leaf.rows, .cols = leaf.cols, .prior = prior, .kl = {-1, -1}};
  v.sd = prior->fan_in && leaf.role == NN_WEIGHT ? prior->sd / sqrt(leaf.cols) : prior->sd;
  for (leaf.part = 0; leaf.part < posterior_of(m)->n_parts; leaf.part++)
    v.part[leaf.part] = push_leaf(m, leaf);
  if (!is_joint(m, leaf.layer)) return v;
  v.joint = &m->joint;
  v.part[leaf.part] = push_factor_leaf(m, leaf);
  return v;
}

static void push_penalty(nn_model *m, nn_leaf leaf, int weights) {
  const nn_program *p = m->spec->penalty_program;
  nn_node penalty = node_of(OP_PENALTY, 1, 1, weights, -1, -1);
  if (!p && !(m->spec->penalty > 0)) return;
  penalty.program = p;
  if (p)
    penalty.work = program_sum_work(p),
    penalty.aux_rows = tape_times(&m->tape, leaf.rows, leaf.cols);
  push_term_op(m, NN_PENALTY, penalty, m->spec->penalty, leaf.layer);
}

/* A weight matrix or bias, drawn or by its moments, and its KL. by_entry: as in nn_variable. */
static nn_value push_weight(nn_model *m, nn_leaf leaf, int by_moments, int by_entry) {
  if (m->is_copy) return value_of(used_again(m, leaf), leaf.rows, leaf.cols);
  const int place = m->n_leaves;
  nn_variable v = push_parts(m, leaf);
  v.by_entry = by_entry;
  nn_value w = (by_moments ? posterior_of(m)->moments : posterior_of(m)->draw)(&m->tape, &v);
  for (int k = 0; k < 2; k++) push_term(m, NN_KL_WEIGHTS, v.kl[k], leaf.layer);
  if (v.joint) m->joint.start += tape_times(&m->tape, leaf.rows, leaf.cols);
  if ((leaf.role == NN_WEIGHT || leaf.role == NN_EMBEDDING) && v.kl[0] < 0)
    push_penalty(m, leaf, w.mean);
  if (m->weight && m->tape.status == NN_OK) m->weight[place] = w.mean;
  return w;
}

static int push_product(nn_tape *t, int rows, int x, int weight, int bias) {
  return tape_push(t, node_of(OP_DENSE, rows, 0, x, weight, bias));
}

/* The variance of units that the weights' makes of x, -1 if they are known. Independent weights: V(W) (h^2 + c) + V(b), h the
 * mean and c the variance of x. Those of a unit with covariance S, the bias among them: h' S h + sum of diag(S) c. */
static int push_variance(nn_tape *t, nn_value w, nn_value b, nn_value x, int of_unit) {
  if (w.by >= 0) {
    int deviations = push_product(t, tape_times(t, w.rows, of_unit), x.mean, w.by, b.by),
        variance = tape_push(t, node_of(OP_GROUP, w.rows, 0, deviations, -1, -1));
    if (x.variance < 0) return variance;
    int of_entries = push_product(t, w.rows, x.variance, w.variance, -1);
    return push_like(t, value_of(-1, w.rows, 0), OP_ADD, variance, of_entries, 0);
  }
  if (w.variance < 0) return -1;
  int second = x.second >= 0 ? x.second : push_like(t, x, OP_SQUARE, x.mean, -1, 0);
  if (x.variance >= 0 && x.second < 0) second = push_like(t, x, OP_ADD, second, x.variance, 0);
  return push_product(t, w.rows, second, w.variance, b.variance);
}

/* y = W x + b. Its variance: what the weights' makes of x, and E(W)^2 c, by which the units depend on each other. */
static nn_value push_linear(nn_tape *t, nn_value w, nn_value b, nn_value x, int of_unit) {
  nn_value y = value_of(push_product(t, w.rows, x.mean, w.mean, b.mean), w.rows, 0);
  y.variance = push_variance(t, w, b, x, of_unit);
  if (x.variance < 0) return y;
  int square = push_like(t, w, OP_SQUARE, w.mean, -1, 0),
      of_x = push_product(t, w.rows, x.variance, square, -1);
  y.variance = y.variance < 0 ? of_x : push_like(t, y, OP_ADD, y.variance, of_x, 0);
  y.by = w.mean, y.spread = x.variance;
  return y;
}

/* The units of a linear layer with weights of its own, as the estimator has them. */
static nn_value push_units(nn_model *m, nn_leaf weight, int has_bias, nn_value x) {
  const nn_estimator *e = &nn_estimators[m->spec->estimator];
  nn_leaf bias = weight;
  bias.cols = 1, bias.role = NN_BIAS;
  const int of_unit = m->joint.of_unit = weight.cols + has_bias;
  nn_value w = push_weight(m, weight, e->by_moments, x.variance >= 0),
           b = has_bias ? push_weight(m, bias, e->by_moments, 0) : no_value(),
           y = push_linear(&m->tape, w, b, x, of_unit);
  if (y.variance < 0 || e->carries) return y;
  return value_of(push_like(&m->tape, y, OP_LOCAL, y.mean, y.variance, 2), y.rows, 0);
}
