/* The tape: nodes in topological order, each an op on earlier nodes, and how it is built, placed and run. Forward runs it up,
 * backward runs it down. A node's value has one row per unit; its columns are fixed (cols > 0: the weights' part, run once per
 * draw of the weights) or one per observation (cols = 0, run per chunk of observations). Nothing here knows an op but by its
 * row in the table. */
#pragma once
#include "api.h"
#include "arena.h"
#include "linalg.c"
#include "random.c"

/* POLL_WORK: multiply-adds, or as much other work, after which the host is asked whether to go on. */
enum { NN_MAX_INPUTS = 3, NN_POLL_WORK = 5000000 };

/* A parameter of whose columns a step moves those that it picks. What belongs to a column is together in memory, which is far
 * from that of others: its numbers, those of the optimizer's slots, how many steps it was in. The gradient has the columns that
 * are picked one after the other. */
typedef struct {
  int n, *column; /* those that are picked; room for all: where there is none, all columns are */
  int *place;     /* of a column among them; of one that is not there some number */
  real *record;   /* of the first column */
  size_t stride;  /* to the next one */
} nn_picked;

typedef struct nn_node {
  int op;
  int input[NN_MAX_INPUTS]; /* earlier nodes, or -1 */
  int rows, cols;
  int option; /* dense: transposed; dropout: a mask; row of the activation or family table; kl: the node whose sigma it shares */
  int n_responses, eta_row, y_row; /* nll: its slice of eta and y */
  int aux_rows;                    /* work space: this many numbers per column */
  int start,
      stride; /* covariance.c: number of its first entry; distance of dependent entries; embed: its row of x, - */
  int needs_grad, reached;
  int readers; /* nodes that have it as an input */
  int in_place; /* its value and gradient take the place of its first input's, which has no other reader */
  unsigned writes; /* bit k: this node is the first of the backward pass to reach input k */
  double setting;
  const nn_prior *prior;      /* kl */
  const nn_program *program;  /* program; penalty: or NULL; nll: of the custom family */
  const nn_block_spec *block; /* nll */
  size_t work;                /* numbers of work space beside those of columns */
  size_t offset;              /* parameter: its place in theta */
  nn_picked *picked;          /* parameter; NULL: its gradient has all columns */
  real *value, *grad, *aux;
} nn_node;

/* A value on the tape is a distribution: nodes of one shape, or -1. */
typedef struct {
  int rows, cols; /* cols 0: one per observation */
  int mean;       /* or the value itself, where it is known or drawn: then variance is -1 */
  int variance;
  int second; /* the mean of its square, where that has a node of its own */
  /* Rows that depend on each other do by a matrix times independent numbers with variances `spread` (-1: 1). */
  int by, spread;
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

/* What the kernels of an op rely on is checked when the op is pushed, so that they need not check it. */
typedef struct {
  int (*fits)(const nn_tape *t,
              const nn_node *n); /* its shape, that of its inputs, its work space */
  void (*forward)(nn_tape *t, nn_node *n);
  void (*backward)(nn_tape *t, nn_node *n);
} nn_op;

/* The ops: name; what it requires (shape.c); its kernels (op.c, draw.c, covariance.c). */
// clang-format off
#define OPS(ROW) \
  ROW(DATA, data_fits, NULL, NULL) \
  ROW(PARAMETER, leaf_fits, NULL, NULL) \
  ROW(DENSE, dense_fits, dense_forward, dense_backward) \
  ROW(ACTIVATE, like_fits, activate_forward, activate_backward) \
  ROW(PROGRAM, program_fits, program_op_forward, program_op_backward) \
  ROW(DROPOUT, like_with_1_fits, dropout_forward, dropout_backward) \
  ROW(NOISE, like_fits, noise_forward, add_backward) \
  ROW(LAYER_NORM, layer_norm_fits, layer_norm_forward, layer_norm_backward) \
  ROW(DRAW, two_like_with_2_fit, draw_forward, draw_backward) \
  ROW(KL, kl_fits, kl_forward, kl_backward) \
  ROW(KL_FREE, kl_free_fits, kl_free_forward, kl_free_backward) \
  ROW(KL_MC, kl_mc_fits, kl_mc_forward, kl_mc_backward) \
  ROW(NLP, nlp_fits, nlp_forward, nlp_backward) \
  ROW(SQUARE, like_fits, square_forward, square_backward) \
  ROW(VARIANCE, like_with_1_fits, variance_forward, variance_backward) \
  ROW(LOCAL, two_like_with_2_fit, local_forward, local_backward) \
  ROW(ACTIVATE_MEAN, activate_mean_fits, activate_mean_forward, activate_mean_backward) \
  ROW(ACTIVATE_SECOND, activate_second_fits, activate_second_forward, activate_second_backward) \
  ROW(CENTER, two_like_fit, center_forward, center_backward) \
  ROW(PENALTY, penalty_fits, penalty_forward, penalty_backward) \
  ROW(ABSOLUTE, absolute_fits, absolute_forward, absolute_backward) \
  ROW(DISTANCE, distance_fits, distance_forward, distance_backward) \
  ROW(EMBED, embed_fits, embed_forward, embed_backward) \
  ROW(CONCAT, concat_fits, concat_forward, concat_backward) \
  ROW(ADD, two_like_fit, add_forward, add_backward) \
  ROW(PAIR, pair_fits, pair_forward, pair_backward) \
  ROW(SHARED, shared_fits, shared_forward, NULL) \
  ROW(MIX, mix_fits, mix_forward, mix_backward) \
  ROW(MARGINAL, marginal_fits, marginal_forward, marginal_backward) \
  ROW(GAP, gap_fits, gap_forward, gap_backward) \
  ROW(UNPACK, unpack_fits, unpack_forward, unpack_backward) \
  ROW(GROUP, group_fits, group_forward, group_backward) \
  ROW(GRAM, gram_fits, gram_forward, gram_backward) \
  ROW(LOG_DET, log_det_fits, log_det_forward, log_det_backward) \
  ROW(NLL, nll_fits, nll_forward, nll_backward)
// clang-format on
#define ROW(name, fits, forward, backward) OP_##name,
enum { OPS(ROW) NN_N_OPS };
#undef ROW
static const nn_op nn_ops[NN_N_OPS];

/* Rows and columns of a node are fewer, so that a few times their number is an int. */
enum { MOST_ROWS = 250000000 };

static int is_shape(const nn_node *n) {
  return n->rows >= 1 && n->rows <= MOST_ROWS && n->cols >= 0 && n->cols <= MOST_ROWS &&
         n->aux_rows >= 0;
}

static int has_inputs(const nn_tape *t, const nn_node *n) {
  for (int k = 0; k < NN_MAX_INPUTS; k++)
    if (n->input[k] < -1 || n->input[k] >= t->n_nodes) return 0;
  return 1;
}

/* The tape is no good; of several reasons the first one counts. */
static void tape_refuse(nn_tape *t, nn_status why) {
  if (t->status == NN_OK) t->status = why;
}

/* The place of a node that fits. On a tape that is no good that of the first node. */
static int tape_push(nn_tape *t, nn_node node) {
  if (!is_shape(&node)) tape_refuse(t, node.rows > 0 ? NN_TOO_LARGE : NN_BAD_SPEC);
  if (t->n_nodes >= t->node_room || !has_inputs(t, &node)) tape_refuse(t, NN_BAD_SPEC);
  if (t->node && t->status == NN_OK && !nn_ops[node.op].fits(t, &node)) tape_refuse(t, NN_BAD_SPEC);
  if (t->status != NN_OK) return 0;
  for (int k = 0; k < NN_MAX_INPUTS && t->node; k++) {
    if (node.input[k] < 0) continue;
    node.needs_grad |= t->node[node.input[k]].needs_grad;
    t->node[node.input[k]].readers++;
  }
  if (t->node) t->node[t->n_nodes] = node;
  return t->n_nodes++;
}

static void tape_push_term(nn_tape *t, nn_term term) {
  if (t->n_terms >= t->term_room) tape_refuse(t, NN_BAD_SPEC);
  if (t->status != NN_OK) return;
  if (t->term) t->term[t->n_terms] = term;
  t->n_terms++;
}

/* The value of a node that is known or drawn. */
static nn_value value_of(int node, int rows, int cols) {
  return (nn_value){rows, cols, node, -1, -1, -1, -1};
}
static nn_value no_value(void) { return value_of(-1, 0, 0); }

/* An op on three nodes, or -1. */
static nn_node node_of(int op, int rows, int cols, int a, int b, int c) {
  return (nn_node){.op = op, .rows = rows, .cols = cols, .input = {a, b, c}};
}

/* An op on two nodes that makes numbers of a value's shape. */
static nn_node node_like(nn_value like, int op, int first, int second, int aux_per_row) {
  nn_node node = node_of(op, like.rows, like.cols, first, second, -1);
  node.aux_rows = aux_per_row * like.rows;
  return node;
}

static int push_like(nn_tape *t, nn_value like, int op, int first, int second, int aux_per_row) {
  return tape_push(t, node_like(like, op, first, second, aux_per_row));
}

/* a b as a number of rows or columns; a tape whose nodes would be larger is no good. */
static int tape_times(nn_tape *t, int a, int b) {
  const double product = (double)a * b;
  if (product <= MOST_ROWS) return (int)product;
  tape_refuse(t, NN_TOO_LARGE);
  return 1;
}

static size_t columns_of(const nn_tape *t, const nn_node *n) {
  return n->cols ? (size_t)n->cols : (size_t)t->n_obs;
}
static size_t size_of(const nn_tape *t, const nn_node *n) {
  return (size_t)n->rows * columns_of(t, n);
}

/* Work space beside that of columns, of each thread its own. */
static real *work_of(const nn_tape *t, const nn_node *n, int thread) {
  return n->aux + (size_t)n->aux_rows * columns_of(t, n) + (size_t)thread * n->work;
}

/* How many threads share work on so many numbers of a chunk. */
static int tape_threads(const nn_tape *t, size_t numbers) {
  enum { SHARED_FROM = 20000 };
  return numbers < SHARED_FROM ? 1 : t->linalg.wish.threads;
}

/* Input k of a node; and its gradient, or NULL when none is wanted. */
static nn_node *input_of(nn_tape *t, const nn_node *n, int k) {
  return n->input[k] < 0 ? NULL : &t->node[n->input[k]];
}

static real *grad_of(nn_tape *t, const nn_node *n, int k) {
  nn_node *in = input_of(t, n, k);
  return in && in->needs_grad ? in->grad : NULL;
}

/* Fills as much as a node's value has with noise: the engine's own, or the host's. */
static void tape_noise(nn_tape *t, const nn_node *n, int is_normal, real *out) {
  const nn_host *h = t->host;
  const nn_sequence s = {h->key, (uint32_t)(n - t->node), t->pass};
  const uint64_t first = n->cols ? 0 : (uint64_t)t->first_obs * (uint64_t)n->rows;
  if (h->has_key)
    (is_normal ? random_normal : random_uniform)(&s, first, size_of(t, n), out);
  else
    (is_normal ? h->normal : h->uniform)(h->context, out, size_of(t, n), sizeof(real));
}

/* As many of N(0, 1) as the node has numbers; 0 in the mean. */
static void standard_draws(nn_tape *t, nn_node *n, real *eps) {
  if (t->mode != NN_MODE_MEAN)
    tape_noise(t, n, 1, eps);
  else
    memset(eps, 0, size_of(t, n) * sizeof(real));
}

/* Whether a backward kernel must write input k's gradient (else add to it). */
static int is_fresh(const nn_tape *t, const nn_node *n, int k) {
  const nn_node *in = &t->node[n->input[k]];
  int is_leaf = in->input[0] < 0;
  if (!(n->writes >> k & 1)) return 0;
  if (in->cols && !n->cols && !t->first_chunk) return 0;
  return !(in->cols && is_leaf) || t->first_draw;
}

/* The gradient of input k, set to 0 when this node is the first to reach it. */
static real *fresh_grad(nn_tape *t, nn_node *n, int k) {
  real *d = grad_of(t, n, k);
  if (d && is_fresh(t, n, k)) memset(d, 0, size_of(t, input_of(t, n, k)) * sizeof(real));
  return d;
}

/* to += a b, element by element, where that is wanted */
static void add_products(size_t n, const real *a, const real *b, real *to) {
  if (!to) return;
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] += a[i] * b[i];
}

/* R code, or whatever the host does, runs with the arithmetic it knows: `call` in between. */
#define NN_BY_HOST(call)                                                                           \
  const nn_arithmetic own = arithmetic_now();                                                      \
  arithmetic_set(own & ~(nn_arithmetic)NN_FLUSH);                                                  \
  const int answer = call;                                                                         \
  arithmetic_set(own);                                                                             \
  return answer;

static int host_poll(const nn_host *h) { NN_BY_HOST(h->poll(h->context)) }
static int host_is_due(const nn_host *h) { NN_BY_HOST(h->is_due(h->context)) }
static int host_keep(const nn_job *job) { NN_BY_HOST(job->host.keep(job->host.context, job)) }
static int host_epoch(const nn_host *h, int epoch, const double *history, int n_columns) {
  NN_BY_HOST(h->epoch(h->context, epoch, history, n_columns))
}
static int host_fetch(const nn_host *h, nn_source *buffer) {
  NN_BY_HOST(h->fetch(h->context, buffer))
}

/* The backward pass runs the per-observation part down, then the weights' part down. */
static void tape_mark_writers(nn_tape *t) {
  for (int of_weights = 0; of_weights < 2; of_weights++)
    for (int i = t->n_nodes - 1; i >= 0; i--) {
      nn_node *n = &t->node[i];
      if ((n->cols > 0) != of_weights) continue;
      for (int k = 0; k < NN_MAX_INPUTS; k++) {
        nn_node *in = input_of(t, n, k);
        if (!in || !in->needs_grad) continue;
        n->writes |= (unsigned)!in->reached << k;
        in->reached = 1;
      }
    }
}

/* Gives a node its place: a parameter in theta and grad, another in the arena. */
static void place_node(nn_tape *t, nn_node *n, nn_arena *a, int with_grad, real *theta,
                       real *grad) {
  size_t size = size_of(t, n);
  int is_parameter = n->op == OP_PARAMETER, has_grad = with_grad && n->needs_grad;
  if (n->in_place) {
    n->value = input_of(t, n, 0)->value, n->grad = input_of(t, n, 0)->grad;
  } else {
    n->value = is_parameter ? (theta ? theta + n->offset : NULL) : arena_reals(a, size);
    n->grad = !has_grad      ? NULL
              : is_parameter ? (grad ? grad + n->offset : NULL)
                             : arena_reals(a, size);
  }
  size = (size_t)n->aux_rows * columns_of(t, n) + n->work * (size_t)t->linalg.wish.threads;
  n->aux = size ? arena_reals(a, size) : NULL;
}

/* Places all nodes. The tape's host is known. */
static void tape_place(nn_tape *t, nn_arena *a, int max_obs, int with_grad, real *theta,
                       real *grad) {
  t->max_obs = t->n_obs = max_obs;
  linalg_place(&t->linalg, a);
  for (int i = 0; i < t->n_nodes; i++) place_node(t, &t->node[i], a, with_grad, theta, grad);
}

/* A second tape on the parameters of a first that is placed, for another thread. */
static nn_tape tape_copy(const nn_tape *from, nn_arena *a, real *theta) {
  nn_tape t = *from;
  nn_node *node = (nn_node *)arena_take(a, (size_t)t.n_nodes, sizeof(nn_node));
  if (node) {
    memcpy(node, t.node, (size_t)t.n_nodes * sizeof(nn_node));
    t.node = node;
  }
  linalg_place(&t.linalg, a);
  for (int i = 0; i < t.n_nodes; i++) place_node(&t, &t.node[i], a, 0, theta, NULL);
  return t;
}

/* Nodes from..to of one part: the weights' (of_weights) or the observations'. */
static void tape_forward(nn_tape *t, int from, int to, int of_weights) {
  for (int i = from; i <= to; i++) {
    nn_node *n = &t->node[i];
    if ((n->cols > 0) == of_weights && nn_ops[n->op].forward) nn_ops[n->op].forward(t, n);
  }
}

static void tape_backward(nn_tape *t, int of_weights) {
  for (int i = t->n_nodes - 1; i >= 0; i--) {
    nn_node *n = &t->node[i];
    if ((n->cols > 0) == of_weights && n->needs_grad && nn_ops[n->op].backward)
      nn_ops[n->op].backward(t, n);
  }
}
