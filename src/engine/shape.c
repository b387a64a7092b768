/* What each op requires of shapes, looked at when it is pushed: those of its inputs, its own and its work space, as the
 * formulas above its kernels have them. The kernels rely on it. A node's inputs are earlier nodes or absent, and its rows
 * and columns are counted by ints, before these functions are asked. */
#pragma once
#include "activation.c"
#include "family.c"
#include "prior.c"
#include "program.c"
#include "tape.c"

static const nn_node *seen(const nn_tape *t, const nn_node *n, int k) {
  return n->input[k] < 0 ? NULL : &t->node[n->input[k]];
}

static int is_like(const nn_node *a, const nn_node *b) {
  return a && b && a->rows == b->rows && a->cols == b->cols;
}

static int is_size(const nn_node *n, int rows, int cols) {
  return n && n->rows == rows && n->cols == cols;
}

/* One row of numbers, as many columns as there are observations. */
static int is_per_observation(const nn_node *n) { return is_size(n, 1, 0); }
static int is_number(const nn_node *n) { return is_size(n, 1, 1); }

/* Numbers of a node of the weights' part. */
static double count_of(const nn_node *n) { return (double)n->rows * n->cols; }

/* A node that this one names by number. */
static const nn_node *named(const nn_tape *t, int node) {
  return node < 0 || node >= t->n_nodes ? NULL : &t->node[node];
}

static int data_fits(const nn_tape *t, const nn_node *n) { return !seen(t, n, 0) && n->cols == 0; }
static int leaf_fits(const nn_tape *t, const nn_node *n) { return !seen(t, n, 0) && n->cols >= 1; }

static int dense_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *x = seen(t, n, 0), *w = seen(t, n, 1), *b = seen(t, n, 2);
  if (!x || !w || w->cols < 1) return 0;
  const int in = n->option ? w->rows : w->cols, out = n->option ? w->cols : w->rows;
  return is_size(x, in, 0) && is_size(n, out, 0) && (!b || is_size(b, out, 1));
}

/* A row of x gives way to those of W. */
static int embed_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *x = seen(t, n, 0), *w = seen(t, n, 1);
  return x && w && w->cols >= 1 && x->cols == 0 && n->start >= 0 && n->start < x->rows &&
         is_size(n, x->rows - 1 + w->rows, 0);
}

static int like_fits(const nn_tape *t, const nn_node *n) { return is_like(seen(t, n, 0), n); }
static int two_like_fit(const nn_tape *t, const nn_node *n) {
  return like_fits(t, n) && is_like(seen(t, n, 1), n);
}

/* One argument, and room for the program's registers. */
static int program_fits(const nn_tape *t, const nn_node *n) {
  return like_fits(t, n) && program_is_of_one(n->program) && n->work == program_work(n->program);
}

/* With so many numbers of work space in each row. */
static int like_with_1_fits(const nn_tape *t, const nn_node *n) {
  return like_fits(t, n) && n->aux_rows == n->rows;
}
static int two_like_with_2_fit(const nn_tape *t, const nn_node *n) {
  return two_like_fit(t, n) && n->aux_rows == 2 * n->rows;
}

static int layer_norm_fits(const nn_tape *t, const nn_node *n) {
  return like_fits(t, n) && n->cols == 0 && is_size(seen(t, n, 1), n->rows, 1) &&
         is_size(seen(t, n, 2), n->rows, 1) && n->aux_rows == n->rows + 1;
}

static int has_prior(const nn_node *n) {
  return n->prior && prior_is_sound(n->prior) && n->work == prior_work(n->prior);
}

/* mu, log_sigma, and the node whose work space has sigma, then, `parts` being 2, eps. */
static int kl_of(const nn_tape *t, const nn_node *n, int parts) {
  const nn_node *mu = seen(t, n, 0), *sigma = named(t, n->option);
  return is_like(mu, seen(t, n, 1)) && is_like(mu, sigma) && sigma->aux_rows >= parts * mu->rows &&
         is_size(n, 1, mu->cols > 0) && has_prior(n);
}
static int kl_fits(const nn_tape *t, const nn_node *n) { return kl_of(t, n, 1); }

static int kl_mc_fits(const nn_tape *t, const nn_node *n) {
  return kl_of(t, n, 2) && is_like(seen(t, n, 2), seen(t, n, 0)) &&
         named(t, n->option)->op == OP_DRAW &&
         (double)n->aux_rows >= (n->cols ? count_of(seen(t, n, 0)) : seen(t, n, 0)->rows);
}

static int nlp_fits(const nn_tape *t, const nn_node *n) {
  return is_size(n, 1, 1) && has_prior(n) && (double)n->aux_rows >= count_of(seen(t, n, 0));
}

static int kl_free_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *mu = seen(t, n, 0), *sigma = named(t, n->option);
  return is_like(mu, seen(t, n, 1)) && is_like(mu, sigma) && sigma->aux_rows >= mu->rows &&
         mu->cols == 0 && is_per_observation(n);
}

static int activate_mean_fits(const nn_tape *t, const nn_node *n) {
  const nn_unit_moments *of = nn_activations[n->option].moments;
  return two_like_with_2_fit(t, n) && of && of->mean;
}

static int activate_second_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *mean = named(t, n->option);
  return two_like_fit(t, n) && is_like(mean, n) && mean->op == OP_ACTIVATE_MEAN;
}

static int of_weights_fits(const nn_tape *t, const nn_node *n) {
  return seen(t, n, 0) && seen(t, n, 0)->cols >= 1 && is_number(n);
}

/* With a program there is room for its registers and its slopes. */
static int penalty_fits(const nn_tape *t, const nn_node *n) {
  if (!of_weights_fits(t, n)) return 0;
  return !n->program || (program_is_of_one(n->program) && n->work == program_sum_work(n->program) &&
                         (double)n->aux_rows >= count_of(seen(t, n, 0)));
}

static int absolute_fits(const nn_tape *t, const nn_node *n) {
  return seen(t, n, 0) && seen(t, n, 0)->cols == 0 && is_per_observation(n);
}

static int distance_fits(const nn_tape *t, const nn_node *n) {
  return absolute_fits(t, n) && is_like(seen(t, n, 0), seen(t, n, 1));
}

static int concat_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *a = seen(t, n, 0), *x = seen(t, n, 1);
  return a && x && a->cols == 0 && n->cols == 0 && x->op == OP_DATA && n->rows > a->rows &&
         n->rows - a->rows <= x->rows;
}

static int pair_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *w = seen(t, n, 0);
  return w && w->cols >= 1 && w->cols == n->cols && n->eta_row >= 0 &&
         (double)n->eta_row + 2.0 * n->rows <= w->rows;
}

static int shared_fits(const nn_tape *t, const nn_node *n) {
  return !seen(t, n, 0) && n->cols == 1;
}

/* As many factors as the entries of a leaf like `entries` have; start and stride are the node's. */
static int has_factors(const nn_tape *t, const nn_node *n, const nn_node *entries) {
  const nn_node *factor = seen(t, n, 1);
  if (!entries || entries->cols < 1 || n->start < 0 || n->stride < 0) return 0;
  const double size = count_of(entries);
  if (!n->stride) return factor && (double)factor->cols == size;
  double sum[2];
  for (int k = 0; k < 2; k++) {
    const double end = n->start + k * size, whole = floor(end / n->stride);
    sum[k] = n->stride * whole * (whole - 1) / 2 + (end - n->stride * whole) * whole;
  }
  return sum[1] - sum[0] == (factor ? count_of(factor) : 0);
}

/* Of the node `option` the eps of all entries so far, or the numbers that all entries share. */
static int mix_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *draw = seen(t, n, 0), *before = named(t, n->option);
  if (!like_fits(t, n) || draw->op != OP_DRAW || !has_factors(t, n, n)) return 0;
  if (!n->stride) return before && is_size(before, seen(t, n, 1)->rows, 1);
  return (double)n->aux_rows * n->cols >= n->start + count_of(n) &&
         (!n->start || (before && (double)before->aux_rows * before->cols >= n->start));
}

static int marginal_fits(const nn_tape *t, const nn_node *n) {
  return like_with_1_fits(t, n) && has_factors(t, n, n);
}

static int gap_fits(const nn_tape *t, const nn_node *n) {
  return of_weights_fits(t, n) && is_like(seen(t, n, 0), seen(t, n, 1));
}

static int unpack_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *log_sigma = seen(t, n, 0);
  return has_factors(t, n, log_sigma) && n->stride == log_sigma->rows &&
         n->cols == log_sigma->cols && n->start + count_of(log_sigma) <= n->rows;
}

static int group_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *x = seen(t, n, 0);
  return x && x->cols == 0 && n->cols == 0 && x->rows % n->rows == 0;
}

static int gram_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *log_sigma = seen(t, n, 0), *factor = seen(t, n, 1), *before = seen(t, n, 2);
  return log_sigma && factor && log_sigma->cols >= 1 && factor->rows == n->rows &&
         n->cols == n->rows && (double)factor->cols == count_of(log_sigma) &&
         (!before || is_like(before, n));
}

static int log_det_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *gram = seen(t, n, 0);
  return gram && gram->rows == gram->cols && is_number(n) && (double)n->aux_rows == count_of(gram);
}

/* A custom family has a program, and room for what this needs; no other has one. */
static int likelihood_fits(const nn_node *n) {
  if (n->option != NN_CUSTOM) return !n->program;
  return program_is_sound(n->program) && eta_per_response(n->block) >= 1 &&
         n->work == custom_work(n->program);
}

/* The block's rows are among those of eta and of its variance; there is room for all of its slopes. */
static int nll_fits(const nn_tape *t, const nn_node *n) {
  const nn_node *eta = seen(t, n, 0), *second = seen(t, n, 1), *variance = seen(t, n, 2);
  const nn_family *f = family_row(n->option);
  const nn_block_spec *b = n->block;
  const double rows = (double)n->n_responses * eta_per_response(b);
  double slopes = rows;
  if (b->n_free < f->min_free || b->n_free > f->max_free || b->n_constants > f->max_constants)
    return 0;
  if (!likelihood_fits(n)) return 0;
  if (!eta || eta->cols || !is_per_observation(n) || n->n_responses < 1) return 0;
  if (n->eta_row < 0 || n->y_row < 0 || n->eta_row + rows > eta->rows) return 0;
  if (variance && !(f->expected && is_like(variance, eta))) return 0;
  if (b->n_free && second) {
    if (second->cols != 1 || second->rows != b->n_free * (b->noise == NN_EACH ? n->n_responses : 1))
      return 0;
    slopes += second->rows;
  }
  if (!b->n_free && second && !(variance && is_size(second, n->n_responses, 0))) return 0;
  if (variance) slopes += rows + (b->n_free ? 0 : n->n_responses);
  return n->aux_rows >= slopes;
}
