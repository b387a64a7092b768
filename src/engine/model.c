/* From a specification to a tape: the layer table, whose rows push a few ops each, and the terms of the loss. */
#pragma once
#include "activation.c"
#include "family.c"
#include "linear.c"
#include "op.c"

/* A layer: how it goes on the tape after x; returns the value that follows. */
typedef struct {
  const char *name, *option; /* the table its option is from */
  double below;              /* its setting is less */
  nn_value (*push)(nn_model *m, int layer, nn_value x);
} nn_layer;

// clang-format off
#define LAYERS(ROW) \
  ROW(DENSE, dense, "bias", 1e100, push_dense) \
  ROW(ACTIVATE, activate, "activation", 1e100, push_activate) \
  ROW(PROGRAM, program, "", 1e100, push_program) \
  ROW(DROPOUT, dropout, "", 1, push_dropout) \
  ROW(LAYER_NORM, layer_norm, "", 1e100, push_layer_norm) \
  ROW(LATENT, latent, "posterior", 1e100, push_latent) \
  ROW(TIED, tied, "", 1e100, push_tied) \
  ROW(NOISE, noise, "", 1e100, push_noise) \
  ROW(MASK, mask, "", 1, push_dropout) \
  ROW(SPARSE, sparse, "", 1e100, push_sparse) \
  ROW(CONTRACT, contract, "", 1e100, push_contract) \
  ROW(GIVEN, given, "", 1e100, push_given) \
  ROW(EMBED, embed, "", 1e8, push_embed)
// clang-format on
#define ROW(id, name, option, below, push) LAYER_##id,
enum { LAYERS(ROW) NN_N_LAYERS };
#undef ROW
static const nn_layer nn_layers[NN_N_LAYERS];

static int rows_of(const nn_model *m, int node) { return m->tape.node[node].rows; }

static const nn_layer_spec *spec_of(const nn_model *m, int layer) { return &m->spec->layer[layer]; }

/* Pushes an op whose numbers are a value of the shape of x. */
static nn_value push_known(nn_model *m, nn_value x, nn_node node) {
  return value_of(tape_push(&m->tape, node), x.rows, x.cols);
}

/* The initial weights that suit a layer; before a program, of which nothing is known, those of relu. */
static int init_before(const nn_layer_spec *l) {
  if (l->kind == LAYER_PROGRAM) return NN_HE;
  return l->kind == LAYER_ACTIVATE ? (int)nn_activations[l->option].init : NN_GLOROT;
}

static nn_value push_dense(nn_model *m, int layer, nn_value x) {
  const nn_layer_spec *l = spec_of(m, layer);
  int init = init_before(layer + 1 < m->spec->n_layers ? l + 1 : l);
  nn_leaf weight = {
      .role = NN_WEIGHT, .rows = l->size, .cols = x.rows, .layer = layer, .init = init};
  return push_units(m, weight, l->option, x);
}

/* The moments of an activation at a random input, where they are known. */
static nn_value push_activate_moments(nn_model *m, int option, nn_value x) {
  const nn_unit_moments *of = nn_activations[option].moments;
  if (!of) refuse(m, NN_BAD_SPEC);
  if (!of || !of->mean) return x;
  nn_node mean = node_like(x, OP_ACTIVATE_MEAN, x.mean, x.variance, 2),
          second = node_like(x, OP_ACTIVATE_SECOND, x.mean, x.variance, 0);
  mean.option = option;
  nn_value y = push_known(m, x, mean);
  second.option = y.mean;
  y.second = tape_push(&m->tape, second);
  y.variance = push_like(&m->tape, y, OP_CENTER, y.second, y.mean, 0);
  return y;
}

static nn_value push_activate(nn_model *m, int layer, nn_value x) {
  nn_node node = node_like(x, OP_ACTIVATE, x.mean, -1, 0);
  node.option = spec_of(m, layer)->option;
  return x.variance < 0 ? push_known(m, x, node) : push_activate_moments(m, node.option, x);
}

/* A function of the user's, whose moments at a random input are not known. */
static nn_value push_program(nn_model *m, int layer, nn_value x) {
  const int which = spec_of(m, layer)->size;
  nn_node node = node_like(x, OP_PROGRAM, x.mean, -1, 0);
  if (x.variance >= 0 || which >= m->spec->n_programs) {
    refuse(m, NN_BAD_SPEC);
    return x;
  }
  node.program = &m->spec->program[which];
  node.work = program_work(node.program);
  return push_known(m, x, node);
}

static nn_value push_dropout(nn_model *m, int layer, nn_value x) {
  const nn_layer_spec *l = spec_of(m, layer);
  nn_node node = node_like(x, OP_DROPOUT, x.mean, -1, 1);
  node.setting = l->setting, node.option = l->kind == LAYER_MASK;
  return push_known(m, x, node);
}

static nn_value push_layer_norm(nn_model *m, int layer, nn_value x) {
  nn_leaf gain = {.role = NN_GAIN, .rows = x.rows, .cols = 1, .layer = layer}, shift = gain;
  shift.role = NN_SHIFT;
  int g = push_weight(m, gain, 0, 0).mean, s = push_weight(m, shift, 0, 0).mean;
  nn_node node = node_of(OP_LAYER_NORM, x.rows, 0, x.mean, g, s);
  node.aux_rows = x.rows + 1;
  return push_known(m, x, node);
}

/* The bottleneck z: one linear head per part of its posterior, whose entries are independent; the prior is N(0, I). */
static nn_value push_latent(nn_model *m, int layer, nn_value x) {
  const nn_layer_spec *l = spec_of(m, layer);
  const nn_posterior *q = &nn_posteriors[l->option];
  nn_variable v = {.rows = l->size, .prior = &m->latent_prior, .sd = 1, .kl = {-1, -1}};
  if (q->depends != NN_ON_NONE) refuse(m, NN_BAD_SPEC);
  for (int k = 0; k < q->n_parts; k++) {
    nn_leaf weight = {.role = k ? NN_LOG_SIGMA : NN_WEIGHT,
                      .rows = l->size,
                      .cols = x.rows,
                      .layer = layer,
                      .head = k};
    v.part[k] = push_units(m, weight, 1, x).mean;
  }
  nn_value z = q->draw(&m->tape, &v);
  if (v.kl[0] >= 0 && m->is_copy) refuse(m, NN_BAD_SPEC); /* its KL would count twice */
  push_term(m, NN_KL_LATENT, v.kl[0], layer);
  if (v.kl[0] >= 0 && l->setting > 0) {
    nn_node floor = node_of(OP_KL_FREE, 1, 0, v.part[0], v.part[1], -1);
    floor.option = z.mean;
    push_term_op(m, NN_KL_FREE, floor, l->setting, layer);
  }
  m->z = z.mean, m->decoder = m->tape.n_nodes;
  return z;
}

/* Rows of the input of a layer: what the layers before it make of x. */
static int rows_before(const nn_spec *s, int layer) {
  int rows = s->n_x;
  for (const nn_layer_spec *l = s->layer; l < s->layer + layer; l++) {
    if (l->kind == LAYER_DENSE || l->kind == LAYER_LATENT) rows = l->size;
    if (l->kind == LAYER_TIED) rows = rows_before(s, l->size);
    if (l->kind == LAYER_GIVEN) rows += l->size;
    if (l->kind == LAYER_EMBED) rows += l->size - 1;
  }
  return rows;
}

/* A dense layer with the transposed weights of layer `size`, an earlier one that has its own, and a bias of its own. */
static nn_value push_tied(nn_model *m, int layer, nn_value x) {
  const int of = spec_of(m, layer)->size, rows = rows_before(m->spec, of);
  nn_leaf weight = {.role = NN_WEIGHT, .layer = of},
          bias = {.role = NN_BIAS, .rows = rows, .cols = 1, .layer = layer};
  int w = used_again(m, weight), b = push_weight(m, bias, 0, 0).mean;
  nn_node node = node_of(OP_DENSE, rows, 0, x.mean, w, b);
  node.option = 1;
  return value_of(tape_push(&m->tape, node), rows, 0);
}

static nn_value push_with_noise(nn_model *m, nn_value x, double sd) {
  nn_node node = node_like(x, OP_NOISE, x.mean, -1, 0);
  node.setting = sd;
  return push_known(m, x, node);
}

static nn_value push_noise(nn_model *m, int layer, nn_value x) {
  return push_with_noise(m, x, spec_of(m, layer)->setting);
}

/* The last `size` columns of x beside the input: what a conditional model is given. */
static nn_value push_given(nn_model *m, int layer, nn_value x) {
  const int rows = x.rows + spec_of(m, layer)->size;
  return value_of(tape_push(&m->tape, node_of(OP_CONCAT, rows, 0, x.mean, m->x, -1)), rows, 0);
}

static int count_layers(const nn_spec *s, int kind) {
  int n = 0;
  for (int i = 0; i < s->n_layers; i++) n += s->layer[i].kind == kind;
  return n;
}

/* A column of a matrix for each level of a factor, in place of the level's number. Such layers are the first; of so many the
 * last rows of the input are the numbers, in their order, and each layer finds its own behind the other rows of x. */
static nn_value push_embed(nn_model *m, int layer, nn_value x) {
  const nn_layer_spec *l = spec_of(m, layer);
  const int numbers = m->spec->n_x - count_layers(m->spec, LAYER_EMBED);
  nn_leaf leaf = {.role = NN_EMBEDDING, .rows = l->size, .cols = (int)l->setting, .layer = layer};
  if (m->is_copy || numbers < 0 || leaf.cols < 1 || leaf.cols != l->setting ||
      (layer && l[-1].kind != LAYER_EMBED)) {
    refuse(m, NN_BAD_SPEC);
    return x;
  }
  const int rows = x.rows - 1 + l->size;
  nn_node node = node_of(OP_EMBED, rows, 0, x.mean, push_weight(m, leaf, 0, 0).mean, -1);
  node.start = numbers;
  m->n_levels += (size_t)leaf.cols, m->n_idle += (double)leaf.rows * (leaf.cols - 1);
  return value_of(tape_push(&m->tape, node), rows, 0);
}

/* A term of the loss: setting * sum |z|. */
static nn_value push_sparse(nn_model *m, int layer, nn_value x) {
  if (!m->is_copy)
    push_term_op(m, NN_SPARSITY, node_of(OP_ABSOLUTE, 1, 0, x.mean, -1, -1),
                 spec_of(m, layer)->setting, layer);
  return x;
}

static nn_value push_contract(nn_model *m, int layer, nn_value x) {
  if (m->contract >= 0) refuse(m, NN_BAD_SPEC);
  m->contract = layer, m->contracted = x.mean;
  return x;
}

/* A term of the loss: setting * E |J v|^2 = setting * sum J^2, J = dz/dx, v ~ N(0, I), as the difference of z at x + s v and x
 * over a small s. Rifai et al. (2011). The copy of the layers stands behind all else, where no other run comes by. */
static void push_contraction(nn_model *m) {
  const double small = sizeof(real) == 4 ? 1e-2 : 1e-3;
  const int mark = m->z, decoder = m->decoder;
  nn_value y = push_with_noise(m, value_of(m->x, m->spec->n_x, 0), small);
  m->is_copy = 1;
  for (int i = 0; i < m->contract && m->tape.status == NN_OK; i++)
    y = nn_layers[spec_of(m, i)->kind].push(m, i, y);
  m->is_copy = 0, m->z = mark, m->decoder = decoder;
  push_term_op(m, NN_CONTRACTION, node_of(OP_DISTANCE, 1, 0, y.mean, m->contracted, -1),
               spec_of(m, m->contract)->setting / (small * small), m->contract);
}

#define ROW(id, name, option, below, push) {#name, option, below, push},
static const nn_layer nn_layers[NN_N_LAYERS] = {LAYERS(ROW)};
#undef ROW

/* The covariances of a block's rows of eta and those that follow them; -1: 0. */
static int push_covariance(nn_model *m, nn_value eta, int n_responses, int eta_row) {
  if (eta.by < 0) return -1;
  const int inputs = rows_before(m->spec, m->last_dense);
  nn_node pair = node_of(OP_PAIR, n_responses, inputs, eta.by, -1, -1);
  pair.eta_row = eta_row;
  return push_product(&m->tape, n_responses, eta.spread, tape_push(&m->tape, pair), -1);
}

/* A block of responses reads the next rows of eta and y; its free scalars, if they are learned, are a leaf. */
static void push_block(nn_model *m, nn_value eta, int block, int *eta_row) {
  const nn_block_spec *b = &m->spec->block[block];
  const nn_family *family = family_row(b->family);
  const int n_free = b->n_free * (b->noise == NN_EACH ? b->n_responses : 1),
            eta_rows = b->n_responses * eta_per_response(b);
  nn_node nll = node_of(OP_NLL, 1, 0, eta.mean, -1, eta.variance);
  nll.option = b->family, nll.n_responses = b->n_responses, nll.block = b;
  nll.eta_row = *eta_row, nll.y_row = m->n_y;
  nll.aux_rows = eta.variance < 0 ? eta_rows : 2 * eta_rows + b->n_responses;
  if (n_free && b->noise != NN_FIXED) {
    nn_leaf noise = {.role = NN_NOISE, .rows = n_free, .cols = 1, .layer = -1 - block};
    nll.input[1] = push_leaf(m, noise);
    nll.aux_rows += n_free;
  }
  if (eta.variance >= 0 && eta_per_response(b) == 2)
    nll.input[1] = push_covariance(m, eta, b->n_responses, *eta_row);
  nll.program = b->program, nll.work = b->program ? custom_work(b->program) : 0;
  push_term_op(m, NN_NLL, nll, 0, block);
  *eta_row += eta_rows;
  m->n_y += b->n_responses * family->y_per_response;
}

/* Whether the prior and the estimator have a form for the posterior and the layers; activations and families are looked at
 * later. */
static int fits_posterior(const nn_spec *s) {
  const nn_estimator *e = &nn_estimators[s->estimator];
  if (!prior_is_sound(&s->prior)) return 0;
  if (!nn_priors[s->prior.kind].nlp && s->posterior != NN_POINT) return 0;
  if (s->prior.precision && nn_posteriors[s->posterior].n_parts > 1) return 0;
  if (!e->by_moments) return 1;
  if (!nn_posteriors[s->posterior].moments) return 0;
  for (int i = 0; i < s->n_layers; i++) {
    int kind = s->layer[i].kind;
    if (kind == LAYER_TIED || kind == LAYER_CONTRACT) return 0; /* their weights are used twice */
    if (kind == LAYER_EMBED) return 0;                          /* its units are no products */
    if (e->carries && kind != LAYER_DENSE && kind != LAYER_ACTIVATE) return 0;
  }
  return 1;
}

static int push_data(nn_model *m, int rows) {
  return tape_push(&m->tape, node_of(OP_DATA, rows, 0, -1, -1, -1));
}

/* The layers on x; what dependent weights owe to the factors that all share. */
static nn_value push_layers(nn_model *m) {
  const nn_spec *s = m->spec;
  nn_value y = value_of(push_data(m, s->n_x), s->n_x, 0);
  m->x = y.mean;
  for (int i = 0; i < s->n_layers && m->tape.status == NN_OK; i++)
    y = nn_layers[s->layer[i].kind].push(m, i, y);
  if (m->joint.gram < 0 || m->tape.status != NN_OK) return y;
  nn_node log_det = node_of(OP_LOG_DET, 1, 1, m->joint.gram, -1, -1);
  log_det.aux_rows = s->rank * s->rank;
  push_term(m, NN_KL_WEIGHTS, tape_push(&m->tape, log_det), s->n_layers - 1);
  return y;
}

/* All that the specification asks for, up to the first layer or block that does not fit. */
static void push_model(nn_model *m) {
  const nn_spec *s = m->spec;
  if (!fits_posterior(s)) refuse(m, NN_BAD_SPEC);
  nn_value eta = push_layers(m);
  if (s->has_offset) {
    m->offset = push_data(m, eta.rows);
    eta.mean = push_like(&m->tape, eta, OP_ADD, eta.mean, m->offset, 0);
  }
  m->eta = eta.mean;
  int eta_rows = 0;
  for (int i = 0; i < s->n_blocks && m->tape.status == NN_OK; i++) push_block(m, eta, i, &eta_rows);
  if (eta_rows != eta.rows) refuse(m, NN_BAD_SPEC);
  if (m->contracted >= 0 && m->tape.status == NN_OK) push_contraction(m);
  m->tape.y_stride = m->n_y;
}

/* A model of which nothing is built: it has room to count what building takes. */
static nn_model model_begin(const nn_spec *s) {
  nn_model m = {.tape = {.node_room = INT_MAX, .term_room = INT_MAX},
                .spec = s,
                .leaf_room = INT_MAX,
                .z = -1,
                .offset = -1,
                .latent_prior = {.sd = 1, .mc = s->latent_mc},
                .contract = -1,
                .contracted = -1,
                .joint = {.rank = s->rank, .noise = -1, .gram = -1},
                .last_dense = -1};
  for (int i = 0; i < s->n_layers; i++)
    if (s->layer[i].kind == LAYER_DENSE) m.last_dense = i;
  return m;
}

/* Memory: the model, then its nodes, terms and leaves, as many as building counts. */
static size_t model_place(nn_model *m, const nn_spec *s) {
  nn_model counted = model_begin(s), empty = counted;
  push_model(&counted);
  nn_arena a = arena_at(m);
  arena_take(&a, 1, sizeof(nn_model));
  empty.tape.node_room = counted.tape.n_nodes, empty.tape.term_room = counted.tape.n_terms;
  empty.leaf_room = counted.n_leaves;
  empty.tape.node = (nn_node *)arena_take(&a, (size_t)counted.tape.n_nodes, sizeof(nn_node));
  empty.tape.term = (nn_term *)arena_take(&a, (size_t)counted.tape.n_terms, sizeof(nn_term));
  empty.leaf = (nn_leaf *)arena_take(&a, (size_t)counted.n_leaves, sizeof(nn_leaf));
  empty.weight = (int *)arena_take(&a, (size_t)counted.n_leaves, sizeof(int));
  empty.tape.status = counted.tape.status;
  if (m) *m = empty;
  return arena_bytes(&a);
}

static size_t model_bytes(const nn_spec *s) { return model_place(NULL, s); }

/* Activations whose slope needs their value alone take the place of units that nothing else reads. */
static void mark_in_place(nn_tape *t) {
  for (int i = 0; i < t->n_nodes; i++) {
    nn_node *n = &t->node[i];
    if (n->op != OP_ACTIVATE || nn_activations[n->option].reads != NN_READS_Y) continue;
    const nn_node *x = &t->node[n->input[0]];
    n->in_place = x->readers == 1 && (x->op == OP_DENSE || x->op == OP_LAYER_NORM);
  }
}

/* `memory` has model_bytes(spec) bytes aligned to NN_ALIGN; the spec must stay where it is. */
static int model_build(void *memory, const nn_spec *spec) {
  nn_model *m = (nn_model *)memory;
  model_place(m, spec);
  if (m->tape.status != NN_OK) return m->tape.status;
  push_model(m);
  if (m->tape.status != NN_OK) return m->tape.status;
  mark_in_place(&m->tape);
  tape_mark_writers(&m->tape);
  return NN_OK;
}

static void model_describe(const void *model, nn_info *info) {
  const nn_model *m = (const nn_model *)model;
  nn_info found = {.n_par = m->n_par,
                   .n_levels = m->n_levels,
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
  const double read = (double)m->n_par - m->n_idle;
  return 2000 + 32 * read + (double)n_obs * (read + 64);
}
