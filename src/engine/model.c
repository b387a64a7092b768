/* From a specification to a tape: the layer table, whose rows push a few ops each, and the terms of the loss. */
#include "model.h"
#include "activation.h"
#include "op.h"

/* Upper bounds of what one layer (a latent of dependent weights: 43 nodes) and one block push. */
static size_t node_bound(const nn_spec *s) {
  return 52 * (size_t)s->n_layers + 4 * (size_t)s->n_blocks + 8;
}
static size_t leaf_bound(const nn_spec *s) {
  return 12 * (size_t)s->n_layers + (size_t)s->n_blocks;
}
static size_t term_bound(const nn_spec *s) {
  return 11 * (size_t)s->n_layers + (size_t)s->n_blocks + 2;
}

/* A layer: how it goes on the tape after `input`; returns its last node. */
typedef struct {
  const char *name, *option; /* the table its option is from */
  double below;              /* its setting is less */
  int (*push)(nn_model *m, const nn_layer_spec *l, int layer, int input);
} nn_layer;

enum {
  LAYER_DENSE,
  LAYER_ACTIVATE,
  LAYER_DROPOUT,
  LAYER_LAYER_NORM,
  LAYER_LATENT,
  LAYER_TIED,
  LAYER_NOISE,
  LAYER_MASK,
  LAYER_SPARSE,
  LAYER_CONTRACT,
  LAYER_GIVEN,
  NN_N_LAYERS
};
static const nn_layer nn_layers[NN_N_LAYERS];

/* Factors of a covariance; parameters. */
enum { NN_MOST_FACTORS = 100000000 };
static const double nn_most_parameters = 281474976710656.0; /* 2^48 */

static void refuse(nn_model *m, nn_status why) { tape_refuse(&m->tape, why); }

static void push_term(nn_model *m, int kind, int node, int source) {
  nn_term term = {kind, node, source};
  if (node >= 0) tape_push_term(&m->tape, term);
}

/* A leaf of theta [rows, cols]. */
static int push_leaf(nn_model *m, nn_leaf leaf) {
  nn_node node = {.op = OP_PARAMETER,
                  .input = {-1, -1, -1},
                  .rows = leaf.rows,
                  .cols = leaf.cols,
                  .needs_grad = 1,
                  .offset = m->n_par};
  const int place = tape_push(&m->tape, node);
  if ((size_t)m->n_leaves >= m->leaf_room) refuse(m, NN_BAD_SPEC);
  if ((double)m->n_par + (double)leaf.rows * leaf.cols > nn_most_parameters)
    refuse(m, NN_TOO_LARGE);
  if (m->tape.status != NN_OK) return 0;
  leaf.offset = m->n_par;
  m->n_par += (size_t)leaf.rows * (size_t)leaf.cols;
  m->leaf[m->n_leaves++] = leaf;
  return place;
}

/* A weight matrix or bias, for copies of its layer to use again. */
static int keep_weight(nn_model *m, int node) {
  if ((size_t)m->n_weights >= m->leaf_room) refuse(m, NN_BAD_SPEC);
  if (m->tape.status == NN_OK) m->weight[m->n_weights++] = node;
  return node;
}

/* The next one that a copy uses. */
static int used_again(nn_model *m) {
  if (m->replay >= m->n_weights) refuse(m, NN_BAD_SPEC);
  return m->tape.status == NN_OK ? m->weight[m->replay++] : 0;
}

static const nn_posterior *posterior_of(const nn_model *m) {
  return &nn_posteriors[m->spec->posterior];
}

/* Whether the weights of a layer depend on each other. */
static int is_joint(const nn_model *m, int layer) {
  nn_dependence on = posterior_of(m)->depends;
  return on != NN_ON_NONE && (on != NN_ON_UNIT || layer == m->last_dense);
}

/* The factors of a leaf's weights; -1: it has none. The first such leaf decides on whom they depend. */
static int push_factor_leaf(nn_model *m, nn_leaf leaf) {
  const nn_dependence on = posterior_of(m)->depends;
  const int is_shared = on == NN_ON_SHARED;
  nn_joint *j = &m->joint;
  if (j->start == 0 && !is_shared) j->stride = on == NN_ON_UNIT ? leaf.rows : 1;
  if (is_shared && j->noise < 0) {
    nn_node shared = {.op = OP_SHARED, .input = {-1, -1, -1}, .rows = m->spec->rank, .cols = 1};
    j->noise = tape_push(&m->tape, shared);
  }
  double size = (double)leaf.rows * leaf.cols, n = is_shared ? size : joint_factors(j, size);
  if (j->start + size > NN_MOST_FACTORS || n > NN_MOST_FACTORS) refuse(m, NN_TOO_LARGE), n = 1;
  leaf.part = is_shared ? 3 : 2;
  leaf.rows = is_shared ? m->spec->rank : (int)n, leaf.cols = is_shared ? (int)n : 1;
  return n > 0 ? push_leaf(m, leaf) : -1;
}

/* The leaves of a weight matrix or bias, one per part of the posterior; returns its prior's sd. */
static double push_parts(nn_model *m, nn_leaf leaf, int *part) {
  const nn_prior *prior = &m->spec->prior;
  double sd = prior->fan_in && leaf.role == NN_WEIGHT ? prior->sd / sqrt(leaf.cols) : prior->sd;
  for (leaf.part = 0; leaf.part < posterior_of(m)->n_parts; leaf.part++)
    part[leaf.part] = push_leaf(m, leaf);
  if (is_joint(m, leaf.layer)) part[leaf.part] = push_factor_leaf(m, leaf);
  return sd;
}

/* The value of a leaf of dependent weights. */
static int push_joint(nn_model *m, nn_leaf leaf, const int *part, double sd) {
  int kl[2], draw = push_draw(&m->tape, part), value = joint_draw(&m->tape, part, &m->joint, draw);
  joint_kl(&m->tape, part, &m->spec->prior, sd, &m->joint, draw, value, kl);
  for (int k = 0; k < 2; k++) push_term(m, NN_KL_WEIGHTS, kl[k], leaf.layer);
  m->joint.start += tape_times(&m->tape, leaf.rows, leaf.cols);
  return value;
}

/* A weight matrix or bias as the posterior has it. */
static int push_weight(nn_model *m, nn_leaf leaf) {
  if (m->replay >= 0) return used_again(m);
  int part[NN_MAX_PARTS], kl;
  double sd = push_parts(m, leaf, part);
  if (is_joint(m, leaf.layer)) return keep_weight(m, push_joint(m, leaf, part, sd));
  int value = posterior_of(m)->push(&m->tape, part, &m->spec->prior, sd, &kl);
  push_term(m, NN_KL_WEIGHTS, kl, leaf.layer);
  if (leaf.role == NN_WEIGHT && m->spec->penalty > 0 && kl < 0) {
    nn_node penalty = {.op = OP_PENALTY,
                       .input = {value, -1, -1},
                       .rows = 1,
                       .cols = 1,
                       .setting = m->spec->penalty};
    push_term(m, NN_PENALTY, tape_push(&m->tape, penalty), leaf.layer);
  }
  return keep_weight(m, value);
}

static int rows_of(const nn_model *m, int node) { return m->tape.node[node].rows; }

/* An op with as many rows and columns as its first input. */
static nn_node node_like(const nn_model *m, int op, int first, int second, int aux_per_row) {
  const nn_node *like = &m->tape.node[first];
  nn_node node = {.op = op,
                  .input = {first, second, -1},
                  .rows = like->rows,
                  .cols = like->cols,
                  .aux_rows = aux_per_row * like->rows};
  return node;
}

static int push_like(nn_model *m, int op, int first, int second, int aux_per_row) {
  return tape_push(&m->tape, node_like(m, op, first, second, aux_per_row));
}

static int push_product(nn_model *m, int layer, int x, int weight, int bias) {
  nn_node node = {
      .op = OP_DENSE, .input = {x, weight, bias}, .rows = rows_of(m, weight), .layer = layer};
  return tape_push(&m->tape, node);
}

/* What the variance of a random input, c, adds to that of a layer's units: E(w)^2 c. */
static int push_spread(nn_model *m, int layer, int variance, int mean) {
  int square = push_like(m, OP_SQUARE, mean, -1, 0);
  return push_like(m, OP_ADD, variance, push_product(m, layer, m->variance, square, -1), 0);
}

/* The deviations of units by one leaf of weights that depend on those of the same unit, k in all; its KL. */
static int push_unpacked(nn_model *m, nn_leaf leaf, int k, int *part) {
  nn_joint *j = &m->joint;
  int kl[2];
  double sd = push_parts(m, leaf, part);
  int node =
      push_factors(&m->tape, OP_UNPACK, part, j, part[1], tape_times(&m->tape, leaf.rows, k));
  joint_kl(&m->tape, part, &m->spec->prior, sd, j, -1, -1, kl);
  for (int i = 0; i < 2; i++) push_term(m, NN_KL_WEIGHTS, kl[i], leaf.layer);
  return node;
}

/* The same for units whose weights w (the bias among them) have a covariance S: v = h' S h + sum (diag S + E(w)^2) c, h the
 * mean and c the variance of the input. */
static int push_joint_moments(nn_model *m, nn_leaf weight, nn_leaf bias, int has_bias, int input) {
  int w[NN_MAX_PARTS], b[NN_MAX_PARTS] = {-1, -1}, b_unpacked = -1, k = weight.cols + has_bias;
  int layer = weight.layer, w_unpacked = push_unpacked(m, weight, k, w);
  nn_joint at_weight = m->joint;
  m->joint.start += tape_times(&m->tape, weight.rows, weight.cols);
  if (has_bias) b_unpacked = push_unpacked(m, bias, k, b);
  int mean = push_product(m, layer, input, w[0], b[0]);
  nn_node group = {.op = OP_GROUP, .rows = weight.rows, .input = {-1, -1, -1}};
  group.input[0] = push_product(m, layer, input, w_unpacked, b_unpacked);
  int variance = tape_push(&m->tape, group);
  if (m->variance >= 0) {
    int marginal = push_factors(&m->tape, OP_MARGINAL, w, &at_weight, w[1], weight.rows);
    int of_weights = push_like(m, OP_VARIANCE, marginal, -1, 1);
    int more = push_product(m, layer, m->variance, of_weights, -1);
    variance = push_spread(m, layer, push_like(m, OP_ADD, variance, more, 0), w[0]);
  }
  m->spread = m->variance, m->mean = w[0];
  m->variance = variance, m->second = -1;
  return mean;
}

/* The means and variances of a dense layer's units, independent weights given: m = E W x + E b, v = V W x^2 + V b for a known
 * x; with a random x of mean h and variance c, x^2 becomes h^2 + c and (E W)^2 c is added. Returns the node of m. */
static int push_moments(nn_model *m, nn_leaf weight, nn_leaf bias, int has_bias, int input) {
  const nn_posterior *q = posterior_of(m);
  int w[NN_MAX_PARTS], b[NN_MAX_PARTS] = {-1, -1}, kl, b_variance = -1;
  if (is_joint(m, weight.layer)) return push_joint_moments(m, weight, bias, has_bias, input);
  double sd = push_parts(m, weight, w);
  int w_variance = q->moments(&m->tape, w, &m->spec->prior, sd, &kl);
  push_term(m, NN_KL_WEIGHTS, kl, weight.layer);
  if (has_bias) {
    sd = push_parts(m, bias, b);
    b_variance = q->moments(&m->tape, b, &m->spec->prior, sd, &kl);
    push_term(m, NN_KL_WEIGHTS, kl, bias.layer);
  }
  int layer = weight.layer, mean = push_product(m, layer, input, w[0], b[0]);
  int second = m->second >= 0 ? m->second : push_like(m, OP_SQUARE, input, -1, 0);
  if (m->variance >= 0 && m->second < 0) second = push_like(m, OP_ADD, second, m->variance, 0);
  int variance = push_product(m, layer, second, w_variance, b_variance);
  if (m->variance >= 0) variance = push_spread(m, layer, variance, w[0]);
  m->spread = m->variance, m->mean = w[0];
  m->variance = variance, m->second = -1;
  return mean;
}

static int weight_dense(nn_model *m, nn_leaf weight, nn_leaf bias, int has_bias, int input) {
  int w = push_weight(m, weight), b = has_bias ? push_weight(m, bias) : -1;
  return push_product(m, weight.layer, input, w, b);
}

static int local_dense(nn_model *m, nn_leaf weight, nn_leaf bias, int has_bias, int input) {
  int mean = push_moments(m, weight, bias, has_bias, input);
  int drawn = push_like(m, OP_LOCAL, mean, m->variance, 2);
  m->variance = -1;
  return drawn;
}

/* What stands for the draws of the weights in a dense layer: they themselves; a draw of each unit; the units' moments. */
typedef struct {
  const char *name;
  int has_moments; /* needs a posterior that has them */
  int carries;     /* moments, from layer to layer up to the likelihood */
  int (*dense)(nn_model *m, nn_leaf weight, nn_leaf bias, int has_bias, int input);
} nn_estimator;

static const nn_estimator nn_estimators[] = {
    {"weight", 0, 0, weight_dense}, {"local", 1, 0, local_dense}, {"exact", 1, 1, push_moments}};

static int push_dense(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  int follows = layer + 1 < m->spec->n_layers ? layer + 1 : layer, has_bias = l->option;
  const nn_layer_spec *next = &m->spec->layer[follows];
  int init = next->kind == LAYER_ACTIVATE ? (int)nn_activations[next->option].init : NN_GLOROT;
  nn_leaf weight = {
      .role = NN_WEIGHT, .rows = l->size, .cols = rows_of(m, input), .layer = layer, .init = init};
  nn_leaf bias = {.role = NN_BIAS, .rows = l->size, .cols = 1, .layer = layer, .init = init};
  return nn_estimators[m->spec->estimator].dense(m, weight, bias, has_bias, input);
}

/* The moments of units after relu; after the identity they are what they were. */
static int push_relu_moments(nn_model *m, int option, int input) {
  if (strcmp(nn_activations[option].name, "linear") == 0) return input;
  if (strcmp(nn_activations[option].name, "relu") != 0) refuse(m, NN_BAD_SPEC);
  int mean = push_like(m, OP_RELU_MEAN, input, m->variance, 2);
  nn_node second = node_like(m, OP_RELU_SECOND, input, m->variance, 0);
  second.option = mean;
  m->second = tape_push(&m->tape, second);
  m->variance = push_like(m, OP_CENTER, m->second, mean, 0);
  return mean;
}

static int push_activate(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  if (m->variance >= 0) return push_relu_moments(m, l->option, input);
  int after = m->tape.node[input].op, is_last = input == m->tape.n_nodes - 1,
      replaces = (after == OP_DENSE || after == OP_LAYER_NORM) && is_last && input != m->contracted;
  nn_node node = {.op = OP_ACTIVATE,
                  .input = {input, -1, -1},
                  .rows = rows_of(m, input),
                  .in_place = replaces && nn_activations[l->option].reads == NN_READS_Y,
                  .option = l->option};
  (void)layer;
  return tape_push(&m->tape, node);
}

static int push_dropout(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  nn_node node = node_like(m, OP_DROPOUT, input, -1, 1);
  node.setting = l->setting, node.option = l->kind == LAYER_MASK;
  (void)layer;
  return tape_push(&m->tape, node);
}

static int push_layer_norm(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  int rows = rows_of(m, input);
  nn_leaf gain = {.role = NN_GAIN, .rows = rows, .cols = 1, .layer = layer};
  nn_leaf shift = {.role = NN_SHIFT, .rows = rows, .cols = 1, .layer = layer};
  (void)l;
  nn_node node = {.op = OP_LAYER_NORM, .rows = rows, .aux_rows = rows + 1};
  node.input[0] = input;
  node.input[1] = push_weight(m, gain);
  node.input[2] = push_weight(m, shift);
  return tape_push(&m->tape, node);
}

/* The bottleneck z: one dense head per part of its posterior, whose entries are independent; the prior is N(0, I). */
static int push_latent(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  const nn_posterior *q = &nn_posteriors[l->option];
  int part[NN_MAX_PARTS], kl;
  if (q->depends != NN_ON_NONE) refuse(m, NN_BAD_SPEC);
  for (int k = 0; k < q->n_parts; k++) {
    nn_leaf weight = {.role = k ? NN_LOG_SIGMA : NN_WEIGHT,
                      .rows = l->size,
                      .cols = rows_of(m, input),
                      .layer = layer};
    nn_leaf bias = {.role = NN_BIAS, .rows = l->size, .cols = 1, .layer = layer, .head = k};
    weight.head = k;
    nn_node head = {.op = OP_DENSE,
                    .input = {input, push_weight(m, weight), -1},
                    .rows = l->size,
                    .layer = layer};
    head.input[2] = push_weight(m, bias);
    part[k] = tape_push(&m->tape, head);
  }
  m->z = q->push(&m->tape, part, &m->latent_prior, 1, &kl);
  if (kl >= 0 && m->replay >= 0) refuse(m, NN_BAD_SPEC); /* its KL would count twice */
  push_term(m, NN_KL_LATENT, kl, layer);
  if (kl >= 0 && l->setting > 0) {
    nn_node floor = {.op = OP_KL_FREE,
                     .input = {part[0], part[1], -1},
                     .rows = 1,
                     .option = m->z,
                     .setting = l->setting};
    push_term(m, NN_KL_FREE, tape_push(&m->tape, floor), layer);
  }
  m->decoder = m->tape.n_nodes;
  return m->z;
}

/* A dense layer with the transposed weights of layer `size`, an earlier one that has its own, and a bias of its own. */
static int push_tied(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  int of = 0, n_nodes = m->tape.n_nodes;
  while (of < n_nodes && (m->tape.node[of].op != OP_DENSE || m->tape.node[of].layer != l->size))
    of++;
  if (of == n_nodes || m->spec->layer[l->size].kind == LAYER_TIED) {
    refuse(m, NN_BAD_SPEC);
    return 0;
  }
  int weight = m->tape.node[of].input[1], rows = m->tape.node[weight].cols;
  nn_leaf bias = {.role = NN_BIAS, .rows = rows, .cols = 1, .layer = layer};
  nn_node node = {
      .op = OP_DENSE, .input = {input, weight, -1}, .rows = rows, .layer = layer, .option = 1};
  node.input[2] = push_weight(m, bias);
  return tape_push(&m->tape, node);
}

static int push_noise(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  nn_node node = {
      .op = OP_NOISE, .input = {input, -1, -1}, .rows = rows_of(m, input), .setting = l->setting};
  (void)layer;
  return tape_push(&m->tape, node);
}

/* The last `size` columns of x beside the input: what a conditional model is given. */
static int push_given(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  nn_node node = {.op = OP_CONCAT, .input = {input, m->x, -1}, .rows = rows_of(m, input) + l->size};
  (void)layer;
  return tape_push(&m->tape, node);
}

/* A term of the loss: setting * sum |z|. */
static int push_sparse(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  nn_node node = {.op = OP_ABSOLUTE, .input = {input, -1, -1}, .rows = 1, .setting = l->setting};
  if (m->replay >= 0) return input;
  push_term(m, NN_SPARSITY, tape_push(&m->tape, node), layer);
  return input;
}

static int push_contract(nn_model *m, const nn_layer_spec *l, int layer, int input) {
  (void)l;
  if (m->contract >= 0) refuse(m, NN_BAD_SPEC);
  m->contract = layer, m->contracted = input;
  return input;
}

/* A term of the loss: setting * E |J v|^2 = setting * sum J^2, J = dz/dx, v ~ N(0, I), as the difference of z at x + s v and x
 * over a small s. Rifai et al. (2011). The copy of the layers stands behind all else, where no other run comes by. */
static void push_contraction(nn_model *m, int z) {
  double small = sizeof(real) == 4 ? 1e-2 : 1e-3;
  const nn_layer_spec *l = m->spec->layer;
  nn_layer_spec shift = {.setting = small};
  int node = push_noise(m, &shift, 0, m->x), mark = m->z, decoder = m->decoder;
  m->replay = 0;
  for (int i = 0; i < m->contract && m->tape.status == NN_OK; i++)
    node = nn_layers[l[i].kind].push(m, &l[i], i, node);
  m->replay = -1, m->z = mark, m->decoder = decoder;
  nn_node distance = {.op = OP_DISTANCE,
                      .input = {node, z, -1},
                      .rows = 1,
                      .setting = l[m->contract].setting / (small * small)};
  push_term(m, NN_CONTRACTION, tape_push(&m->tape, distance), m->contract);
}

static const nn_layer nn_layers[NN_N_LAYERS] = {
    [LAYER_DENSE] = {"dense", "bias", 1e100, push_dense},
    [LAYER_ACTIVATE] = {"activate", "activation", 1e100, push_activate},
    [LAYER_DROPOUT] = {"dropout", "", 1, push_dropout},
    [LAYER_LAYER_NORM] = {"layer_norm", "", 1e100, push_layer_norm},
    [LAYER_LATENT] = {"latent", "posterior", 1e100, push_latent},
    [LAYER_TIED] = {"tied", "", 1e100, push_tied},
    [LAYER_NOISE] = {"noise", "", 1e100, push_noise},
    [LAYER_MASK] = {"mask", "", 1, push_dropout},
    [LAYER_SPARSE] = {"sparse", "", 1e100, push_sparse},
    [LAYER_CONTRACT] = {"contract", "", 1e100, push_contract},
    [LAYER_GIVEN] = {"given", "", 1e100, push_given},
};

/* The covariances of a block's rows of eta and those that follow them; -1: 0. */
static int push_covariance(nn_model *m, int n_responses, int eta_row) {
  if (m->spread < 0) return -1;
  nn_node pair = {.op = OP_PAIR,
                  .input = {m->mean, -1, -1},
                  .rows = n_responses,
                  .cols = m->tape.node[m->mean].cols,
                  .eta_row = eta_row};
  return push_product(m, -1, m->spread, tape_push(&m->tape, pair), -1);
}

/* A block of responses reads the next rows of eta and y; its free scalar, if any is learned, is a leaf. */
static void push_block(nn_model *m, int block, int *eta_row) {
  const nn_block_spec *b = &m->spec->block[block];
  const nn_family *family = &nn_families[b->family];
  int n_free = b->noise == NN_EACH ? b->n_responses : 1,
      eta_rows = b->n_responses * family->eta_per_response;
  nn_node nll = {.op = OP_NLL,
                 .input = {m->eta, -1, m->variance},
                 .rows = 1,
                 .option = b->family,
                 .n_responses = b->n_responses,
                 .eta_row = *eta_row,
                 .y_row = m->n_y,
                 .aux_rows = m->variance < 0 ? eta_rows : 2 * eta_rows + b->n_responses,
                 .setting = b->fixed};
  if (family->has_free && b->noise != NN_FIXED) {
    nn_leaf noise = {.role = NN_NOISE, .rows = n_free, .cols = 1, .layer = -1 - block};
    nll.input[1] = push_leaf(m, noise);
    nll.aux_rows += n_free;
  }
  if (m->variance >= 0 && family->eta_per_response == 2)
    nll.input[1] = push_covariance(m, b->n_responses, *eta_row);
  push_term(m, NN_NLL, tape_push(&m->tape, nll), block);
  *eta_row += eta_rows;
  m->n_y += b->n_responses * family->y_per_response;
}

/* Memory: the model, then its nodes, terms and leaves. */
static size_t model_place(nn_model *m, const nn_spec *s) {
  nn_arena a = arena_at(m);
  nn_model *head = (nn_model *)arena_take(&a, 1, sizeof(nn_model));
  nn_node *node = (nn_node *)arena_take(&a, node_bound(s), sizeof(nn_node));
  nn_term *term = (nn_term *)arena_take(&a, term_bound(s), sizeof(nn_term));
  nn_leaf *leaf = (nn_leaf *)arena_take(&a, leaf_bound(s), sizeof(nn_leaf));
  int *weight = (int *)arena_take(&a, leaf_bound(s), sizeof(int));
  if (m) {
    memset(head, 0, sizeof *head);
    head->tape.node = node, head->tape.term = term, head->leaf = leaf, head->weight = weight;
    head->tape.node_room = node_bound(s), head->tape.term_room = term_bound(s);
    head->leaf_room = leaf_bound(s);
  }
  return arena_bytes(&a);
}

static size_t model_bytes(const nn_spec *s) { return model_place(NULL, s); }

/* Whether the estimator has a form for the weights and the layers; activations and families are looked at later. */
static int fits_estimator(const nn_spec *s) {
  const nn_estimator *e = &nn_estimators[s->estimator];
  if (!e->has_moments) return 1;
  if (!nn_posteriors[s->posterior].moments) return 0;
  for (int i = 0; i < s->n_layers; i++) {
    int kind = s->layer[i].kind;
    if (kind == LAYER_TIED || kind == LAYER_CONTRACT) return 0;
    if (e->carries && kind != LAYER_DENSE && kind != LAYER_ACTIVATE) return 0;
  }
  return 1;
}

/* The marks that are not there yet. */
static void model_begin(nn_model *m, const nn_spec *spec) {
  model_place(m, spec);
  m->spec = spec;
  m->z = m->offset = m->contract = m->contracted = m->replay = -1;
  m->variance = m->second = m->spread = -1;
  m->joint = (nn_joint){.noise = -1, .gram = -1};
  for (int i = 0; i < spec->n_layers; i++)
    if (spec->layer[i].kind == LAYER_DENSE) m->last_dense = i;
  m->latent_prior = (nn_prior){.sd = 1, .mc = spec->latent_mc};
  if (!fits_estimator(spec)) refuse(m, NN_BAD_SPEC);
}

/* x and the layers; what dependent weights owe to the factors that all share. */
static int push_layers(nn_model *m) {
  const nn_spec *s = m->spec;
  nn_node x = {.op = OP_DATA, .input = {-1, -1, -1}, .rows = s->n_x};
  int node = m->x = tape_push(&m->tape, x);
  for (int i = 0; i < s->n_layers && m->tape.status == NN_OK; i++)
    node = nn_layers[s->layer[i].kind].push(m, &s->layer[i], i, node);
  if (m->joint.gram < 0 || m->tape.status != NN_OK) return node;
  nn_node log_det = {.op = OP_LOG_DET,
                     .input = {m->joint.gram, -1, -1},
                     .rows = 1,
                     .cols = 1,
                     .aux_rows = s->rank * s->rank};
  push_term(m, NN_KL_WEIGHTS, tape_push(&m->tape, log_det), s->n_layers - 1);
  return node;
}

static int push_offset(nn_model *m, int node) {
  nn_node offset = {.op = OP_DATA, .input = {-1, -1, -1}, .rows = rows_of(m, node)};
  m->offset = tape_push(&m->tape, offset);
  return push_like(m, OP_ADD, node, m->offset, 0);
}

/* `memory` has model_bytes(spec) bytes aligned to NN_ALIGN; the spec must stay where it is. Building stops at the first layer
 * or block that does not fit. */
static int model_build(void *memory, const nn_spec *spec) {
  nn_model *m = (nn_model *)memory;
  model_begin(m, spec);
  if (m->tape.status != NN_OK) return m->tape.status;
  m->eta = push_layers(m);
  if (m->tape.status == NN_OK && spec->has_offset) m->eta = push_offset(m, m->eta);
  int eta_rows = 0;
  for (int i = 0; i < spec->n_blocks && m->tape.status == NN_OK; i++) push_block(m, i, &eta_rows);
  if (m->tape.status == NN_OK && eta_rows != rows_of(m, m->eta)) refuse(m, NN_BAD_SPEC);
  if (m->tape.status == NN_OK && m->contracted >= 0) push_contraction(m, m->contracted);
  m->tape.y_stride = m->n_y;
  if (m->tape.status == NN_OK) tape_mark_writers(&m->tape);
  return m->tape.status;
}

static void model_describe(const void *model, nn_info *info) {
  const nn_model *m = (const nn_model *)model;
  nn_info found = {.n_par = m->n_par,
                   .n_leaves = m->n_leaves,
                   .n_terms = m->tape.n_terms,
                   .n_eta = rows_of(m, m->eta),
                   .n_y = m->n_y,
                   .z_rows = m->z < 0 ? 0 : rows_of(m, m->z),
                   .z_has_sd = m->z >= 0 && m->tape.node[m->z].op == OP_DRAW};
  *info = found;
}

static void model_leaf(const void *model, int i, nn_leaf *out) {
  *out = ((const nn_model *)model)->leaf[i];
}

static void model_term(const void *model, int i, int *kind, int *source) {
  const nn_term *term = &((const nn_model *)model)->tape.term[i];
  *kind = term->kind, *source = term->source;
}

/* Work of a forward pass, about in multiply-adds: that of the weights' part with its noise and what any pass costs, and that of
 * the observations. */
static double model_work(const nn_model *m, size_t n_obs) {
  return 2000 + 32 * (double)m->n_par + (double)n_obs * ((double)m->n_par + 64);
}
