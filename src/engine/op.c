/* The ops: a forward and a backward kernel each, on whole arrays. Above each its formula; rows x columns in brackets. */
#pragma once
#include "activation.c"
#include "covariance.c"
#include "draw.c"
#include "family.c"
#include "linalg.c"
#include "program.c"
#include "shape.c"
#include "vmath.h"

/* y [out, n] = W [out, in] x [in, n] + b [out] 1'; transposed (option): W' [in, out] in its place */
static void dense_forward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0), *w = input_of(t, n, 1), *b = input_of(t, n, 2);
  nn_product product = {n->option, 0,        n->rows,  (int)columns_of(t, n),
                        x->rows,   w->value, x->value, b ? b->value : NULL,
                        0,         n->value, 0,        0,
                        0};
  linalg_product(&t->linalg, &product);
}

/* to += the sum of n columns, four at a time */
static void add_columns_to(int rows, int n, const real *columns, real *to) {
  for (; n >= 4; n -= 4, columns += 4 * (size_t)rows) {
    const real *a = columns, *b = a + rows, *c = b + rows, *d = c + rows;
    NN_SIMD
    for (int j = 0; j < rows; j++) to[j] += (a[j] + b[j]) + (c[j] + d[j]);
  }
  for (; n > 0; n--, columns += rows)
    for (int j = 0; j < rows; j++) to[j] += columns[j];
}

/* A gradient that is a product: written when it is fresh, else added to. */
static void gradient_product(nn_tape *t, nn_product p, int fresh) {
  if (!fresh) p.start = p.c, p.start_step = (size_t)p.m;
  linalg_product(&t->linalg, &p);
}

/* dW += dy x'; db += dy 1; dx += W' dy. Transposed: dW += x dy'; dx += W dy. */
static void dense_backward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0), *w = input_of(t, n, 1);
  real *dx = grad_of(t, n, 0), *dw = grad_of(t, n, 1), *db = grad_of(t, n, 2);
  int n_columns = (int)columns_of(t, n);
  const real *left = n->option ? x->value : n->grad, *right = n->option ? n->grad : x->value;
  if (dw) {
    nn_product product = {0, 1, w->rows, w->cols, n_columns, left, right, NULL, 0, dw, 0, 0, 0};
    gradient_product(t, product, is_fresh(t, n, 1));
  }
  if (db) {
    if (is_fresh(t, n, 2)) memset(db, 0, n->rows * sizeof(real));
    add_columns_to(n->rows, n_columns, n->grad, db);
  }
  if (dx) {
    nn_product product = {!n->option, 0, x->rows, n_columns, n->rows, w->value, n->grad,
                          NULL,       0, dx,      0,         0,       0};
    gradient_product(t, product, is_fresh(t, n, 0));
  }
}

/* The column of W that an observation picks by its number, from 0; -1: there is no such column. */
static int picked_column(const nn_node *n, const nn_node *x, const nn_node *w, int i) {
  const real number = x->value[(size_t)i * x->rows + n->start];
  return number >= 0 && number < (real)w->cols ? (int)number : -1;
}

enum { PICK_AHEAD = 8 };

/* y = x without its row `start`, the number of a column of W [k, levels], and below it this column; 0 where there is none */
static void embed_forward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0), *w = input_of(t, n, 1);
  const int rows = x->rows, at = n->start, k = w->rows;
  const size_t stride = w->picked ? w->picked->stride : (size_t)k;
  for (int i = 0; i < t->n_obs; i++) {
    const real *from = x->value + (size_t)i * rows;
    real *y = n->value + (size_t)i * n->rows;
    const int level = picked_column(n, x, w, i),
              later = i + PICK_AHEAD < t->n_obs ? picked_column(n, x, w, i + PICK_AHEAD) : -1;
    if (later >= 0) arena_prefetch(k * sizeof(real), w->value + (size_t)later * stride);
    memcpy(y, from, at * sizeof(real));
    memcpy(y + at, from + at + 1, (rows - 1 - at) * sizeof(real));
    if (level >= 0)
      memcpy(y + rows - 1, w->value + (size_t)level * stride, k * sizeof(real));
    else
      memset(y + rows - 1, 0, k * sizeof(real));
  }
}

/* The gradient of a column of W, where it has only those that the step has picked: 0 when it is picked for the first time. */
static real *picked_grad(nn_picked *p, real *dw, int k, int level) {
  if (!p) return dw + (size_t)level * k;
  const int place = p->place[level], is_there = place < p->n && p->column[place] == level;
  if (is_there) return dw + (size_t)place * k;
  p->place[level] = p->n, p->column[p->n] = level;
  return (real *)memset(dw + (size_t)p->n++ * k, 0, k * sizeof(real));
}

/* dx += dy, but for the row that is a number; the columns of dW that are picked += dy */
static void embed_backward(nn_tape *t, nn_node *n) {
  const nn_node *x = input_of(t, n, 0), *w = input_of(t, n, 1);
  const int rows = x->rows, at = n->start, k = w->rows;
  nn_picked *p = w->picked;
  real *dx = fresh_grad(t, n, 0), *dw = p ? grad_of(t, n, 1) : fresh_grad(t, n, 1);
  if (p && is_fresh(t, n, 1)) p->n = 0;
  for (int i = 0; i < t->n_obs; i++) {
    const real *dy = n->grad + (size_t)i * n->rows;
    const int level = picked_column(n, x, w, i),
              later = i + PICK_AHEAD < t->n_obs ? picked_column(n, x, w, i + PICK_AHEAD) : -1;
    if (p && later >= 0) {
      arena_prefetch(1, p->place + later);
      arena_prefetch(p->stride * sizeof(real), p->record + (size_t)later * p->stride);
    }
    for (int j = 0; dx && j < rows - 1; j++) dx[(size_t)i * rows + j + (j >= at)] += dy[j];
    if (!dw || level < 0) continue;
    real *d = picked_grad(p, dw, k, level);
    for (int j = 0; j < k; j++) d[j] += dy[rows - 1 + j];
  }
}

/* y = f(x), element by element */
static void activate_forward(nn_tape *t, nn_node *n) {
  nn_activations[n->option].forward(size_of(t, n), input_of(t, n, 0)->value, n->value);
}

static void activate_backward(nn_tape *t, nn_node *n) {
  real *dx = grad_of(t, n, 0);
  if (dx)
    nn_activations[n->option].backward(size_of(t, n), input_of(t, n, 0)->value, n->value, n->grad,
                                       is_fresh(t, n, 0), dx);
}

/* y = f(x), element by element, f a program; of one thread its share of the numbers. */
static void program_share(nn_tape *t, nn_node *n, int thread, int threads, int backward) {
  const size_t size = size_of(t, n), first = part_begin(thread, threads, size, PROGRAM_BLOCK),
               end = part_begin(thread + 1, threads, size, PROGRAM_BLOCK);
  nn_argument x = {.at = input_of(t, n, 0)->value + first};
  if (backward) x.slope = grad_of(t, n, 0) + first, x.is_fresh = is_fresh(t, n, 0);
  const nn_program_run r = {n->program, end - first, &x, work_of(t, n, thread)};
  if (!r.n) return;
  if (backward)
    program_backward(&r, n->value + first, n->grad + first);
  else
    program_forward(&r, n->value + first);
}

static void program_shares(nn_tape *t, nn_node *n, int backward) {
  const int threads = tape_threads(t, size_of(t, n));
  if (threads == 1) {
    program_share(t, n, 0, 1, backward);
    return;
  }
  NN_PARALLEL(threads)
  for (int i = 0; i < threads; i++) program_share(t, n, i, threads, backward);
}

static void program_op_forward(nn_tape *t, nn_node *n) { program_shares(t, n, 0); }
static void program_op_backward(nn_tape *t, nn_node *n) {
  if (grad_of(t, n, 0)) program_shares(t, n, 1);
}

/* y = x m, m = 1 / (1 - rate) with probability 1 - rate, else 0; in the mean y = x. Srivastava et al. (2014). As a mask
 * (option) m is 1 where it is not 0, for inputs that are to be filled in. Vincent et al. (2010). */
static void dropout_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *x = input_of(t, n, 0)->value;
  real rate = (real)n->setting, keep = n->option ? 1 : 1 / (1 - rate);
  if (t->mode == NN_MODE_SAMPLE) tape_noise(t, n, 0, n->aux);
  for (size_t i = 0; i < size; i++) {
    n->aux[i] = t->mode != NN_MODE_SAMPLE ? 1 : n->aux[i] < rate ? 0 : keep;
    n->value[i] = x[i] * n->aux[i];
  }
}

static void dropout_backward(nn_tape *t, nn_node *n) {
  add_products(size_of(t, n), n->grad, n->aux, fresh_grad(t, n, 0));
}

/* y = x + s eps, eps ~ N(0, 1), s = setting; in the mean y = x. */
static void noise_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *x = input_of(t, n, 0)->value;
  real sd = t->mode == NN_MODE_SAMPLE ? (real)n->setting : 0;
  if (sd > 0)
    tape_noise(t, n, 1, n->value);
  else
    memset(n->value, 0, size * sizeof(real));
  for (size_t i = 0; i < size; i++) n->value[i] = x[i] + sd * n->value[i];
}

/* y = g u + s, u = (x - mean x) / sd x within a column; aux: u, then 1 / sd. Ba et al. (2016). */
static void layer_norm_forward(nn_tape *t, nn_node *n) {
  const real *x = input_of(t, n, 0)->value, *gain = input_of(t, n, 1)->value,
             *shift = input_of(t, n, 2)->value;
  int rows = n->rows, n_columns = (int)columns_of(t, n);
  for (int i = 0; i < n_columns; i++) {
    const real *xi = x + (size_t)i * rows;
    real *u = n->aux + (size_t)i * (rows + 1), *y = n->value + (size_t)i * rows, sum = 0,
         squares = 0;
    for (int j = 0; j < rows; j++) sum += xi[j];
    real mean = sum / rows;
    for (int j = 0; j < rows; j++) squares += (xi[j] - mean) * (xi[j] - mean);
    real inverse_sd = 1 / (real)sqrt((double)(squares / rows) + 1e-5);
    for (int j = 0; j < rows; j++) {
      u[j] = (xi[j] - mean) * inverse_sd;
      y[j] = gain[j] * u[j] + shift[j];
    }
    u[rows] = inverse_sd;
  }
}

/* du = g dy; dx = (du - mean du - u mean(u du)) / sd; dg += sum u dy; ds += sum dy */
static void layer_norm_backward(nn_tape *t, nn_node *n) {
  const real *gain = input_of(t, n, 1)->value;
  real *dx = grad_of(t, n, 0), *d_gain = fresh_grad(t, n, 1), *d_shift = fresh_grad(t, n, 2);
  int rows = n->rows, n_columns = (int)columns_of(t, n), fresh = dx && is_fresh(t, n, 0);
  for (int i = 0; i < n_columns; i++) {
    const real *u = n->aux + (size_t)i * (rows + 1), *dy = n->grad + (size_t)i * rows;
    real sum = 0, inner = 0;
    for (int j = 0; j < rows; j++) {
      sum += gain[j] * dy[j];
      inner += gain[j] * dy[j] * u[j];
      if (d_gain) d_gain[j] += u[j] * dy[j];
      if (d_shift) d_shift[j] += dy[j];
    }
    for (int j = 0; dx && j < rows; j++) {
      real d = (gain[j] * dy[j] - sum / rows - u[j] * inner / rows) * u[rows];
      dx[(size_t)i * rows + j] = d + (fresh ? 0 : dx[(size_t)i * rows + j]);
    }
  }
}

/* setting / 2 sum w^2, and the sum of a program's values at w; aux: its slopes */
static void penalty_forward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  size_t size = size_of(t, w);
  double sum = 0;
  for (size_t i = 0; i < size; i++) sum += (double)w->value[i] * (double)w->value[i];
  sum *= n->setting / 2;
  if (n->program) sum += program_sum(n->program, size, w->value, 1, n->aux, work_of(t, n, 0));
  n->value[0] = (real)sum;
}

static void penalty_backward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  size_t size = size_of(t, w);
  real *dw = fresh_grad(t, n, 0), d = n->grad[0] * (real)n->setting;
  if (!dw) return;
  NN_SIMD
  for (size_t i = 0; i < size; i++) dw[i] += d * w->value[i];
  for (size_t i = 0; n->program && i < size; i++) dw[i] += n->grad[0] * n->aux[i];
}

/* setting * sum |z| of each observation */
static void absolute_forward(nn_tape *t, nn_node *n) {
  const nn_node *z = input_of(t, n, 0);
  for (int i = 0; i < t->n_obs; i++) {
    real sum = 0;
    for (int j = 0; j < z->rows; j++) sum += vmath_abs(z->value[(size_t)i * z->rows + j]);
    n->value[i] = (real)n->setting * sum;
  }
}

static void absolute_backward(nn_tape *t, nn_node *n) {
  const nn_node *z = input_of(t, n, 0);
  real *dz = fresh_grad(t, n, 0);
  if (!dz) return;
  for (int i = 0; i < t->n_obs; i++)
    for (int j = 0; j < z->rows; j++) {
      size_t k = (size_t)i * z->rows + j;
      dz[k] += n->grad[i] * (real)n->setting * (real)((z->value[k] > 0) - (z->value[k] < 0));
    }
}

/* setting * sum (a - b)^2 of each observation */
static void distance_forward(nn_tape *t, nn_node *n) {
  const nn_node *a = input_of(t, n, 0), *b = input_of(t, n, 1);
  for (int i = 0; i < t->n_obs; i++) {
    real sum = 0;
    for (size_t k = (size_t)i * a->rows; k < (size_t)(i + 1) * a->rows; k++) {
      real d = a->value[k] - b->value[k];
      sum += d * d;
    }
    n->value[i] = (real)n->setting * sum;
  }
}

/* da += 2 d setting (a - b); db -= the same */
static void distance_backward(nn_tape *t, nn_node *n) {
  const nn_node *a = input_of(t, n, 0), *b = input_of(t, n, 1);
  for (int side = 0; side < 2; side++) {
    real *dx = fresh_grad(t, n, side), sign = side ? -2 : 2;
    if (!dx) continue;
    for (int i = 0; i < t->n_obs; i++)
      for (size_t k = (size_t)i * a->rows; k < (size_t)(i + 1) * a->rows; k++)
        dx[k] += sign * n->grad[i] * (real)n->setting * (a->value[k] - b->value[k]);
  }
}

/* y = a and below it the last rows of x, as many as there is room for */
static void concat_forward(nn_tape *t, nn_node *n) {
  const nn_node *a = input_of(t, n, 0), *x = input_of(t, n, 1);
  int more = n->rows - a->rows;
  for (int i = 0; i < t->n_obs; i++) {
    real *y = n->value + (size_t)i * n->rows;
    memcpy(y, a->value + (size_t)i * a->rows, a->rows * sizeof(real));
    memcpy(y + a->rows, x->value + (size_t)(i + 1) * x->rows - more, more * sizeof(real));
  }
}

/* da += the first rows; x is data */
static void concat_backward(nn_tape *t, nn_node *n) {
  const nn_node *a = input_of(t, n, 0);
  real *da = fresh_grad(t, n, 0);
  if (!da) return;
  for (int i = 0; i < t->n_obs; i++)
    for (int j = 0; j < a->rows; j++)
      da[(size_t)i * a->rows + j] += n->grad[(size_t)i * n->rows + j];
}

/* y = a + b, the same shape: an offset on eta */
static void add_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *a = input_of(t, n, 0)->value, *b = input_of(t, n, 1)->value;
  for (size_t i = 0; i < size; i++) n->value[i] = a[i] + b[i];
}

static void add_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  for (int k = 0; k < 2; k++) {
    real *d = fresh_grad(t, n, k);
    if (!d) continue;
    for (size_t i = 0; i < size; i++) d[i] += n->grad[i];
  }
}

/* Minus the log-likelihood of one block per observation [1, n]; the family gives its slopes in the same pass, aux: those
 * of eta, of the free scalars, of the variance, of the covariance. Input 1 is the free scalars' leaf, else the block has their
 * values; input 2 the variance of a random eta, over which the expectation is taken; of a block without free scalars input 1
 * is then the covariance of its two rows of eta, -1 where that is 0. */
static nn_nll nll_of(nn_tape *t, nn_node *n) {
  const nn_node *eta = input_of(t, n, 0), *second = input_of(t, n, 1),
                *variance = input_of(t, n, 2);
  const nn_block_spec *block = n->block;
  const nn_node *free_node = block->n_free ? second : NULL;
  size_t n_obs = (size_t)t->n_obs,
         n_slopes = (size_t)n->n_responses * (size_t)eta_per_response(block) * n_obs;
  nn_nll b = {.n_obs = t->n_obs,
              .n_responses = n->n_responses,
              .eta_stride = eta->rows,
              .y_stride = t->y_stride,
              .n_free = free_node ? free_node->rows : 0,
              .free_per_response = block->n_free,
              .free_step = free_node && block->noise == NN_EACH ? block->n_free : 0,
              .n_constants = block->n_constants,
              .constants = block->constants,
              .program = n->program,
              .work = work_of(t, n, 0),
              .eta = eta->value + n->eta_row,
              .y = t->y + n->y_row,
              .free = free_node ? free_node->value : NULL,
              .nll = n->value,
              .slope = n->aux,
              .variance = variance ? variance->value + n->eta_row : NULL,
              .covariance = second && !block->n_free ? second->value : NULL};
  b.free_slope = b.slope + n_slopes;
  b.variance_slope = b.free_slope + (size_t)b.n_free * n_obs;
  b.covariance_slope = b.variance_slope + n_slopes;
  return b;
}

/* Of a block's observations, whose eta is not random, those from `first` to `end`. */
static nn_nll nll_part(nn_nll b, int n_eta, size_t first, size_t end) {
  b.n_obs = (int)(end - first);
  b.eta += first * b.eta_stride, b.y += first * b.y_stride, b.nll += first;
  b.slope += first * b.n_responses * n_eta, b.free_slope += first * b.n_free;
  return b;
}

static void nll_forward(nn_tape *t, nn_node *n) {
  const nn_family *f = family_row(n->option);
  real fixed[NN_MAX_FREE];
  nn_nll b = nll_of(t, n);
  for (int i = 0; !b.free && i < n->block->n_free; i++) fixed[i] = (real)n->block->fixed[i];
  if (!b.free) b.free = fixed;
  memset(b.free_slope, 0, (size_t)b.n_free * t->n_obs * sizeof(real));
  if (b.variance) {
    f->expected(&b);
    return;
  }
  size_t n_obs = (size_t)t->n_obs;
  const int threads = tape_threads(t, n_obs * b.n_responses);
  if (threads == 1) {
    f->nll(&b);
    return;
  }
  NN_PARALLEL(threads)
  for (int i = 0; i < threads; i++) {
    nn_nll part = nll_part(b, eta_per_response(n->block), part_begin(i, threads, n_obs, 1),
                           part_begin(i + 1, threads, n_obs, 1));
    part.work = work_of(t, n, i);
    f->nll(&part);
  }
}

/* to = d from */
static void put_multiple(int n, real d, const real *from, real *to) {
  NN_SIMD
  for (int j = 0; j < n; j++) to[j] = d * from[j];
}

/* deta = d slope, for the rows of eta that are this block's own, and so of the variance; the same for the covariance, which is
 * this block's alone: of the observations from `first` to `end` */
static void nll_slopes(nn_tape *t, const nn_node *n, const nn_nll *b, size_t first, size_t end) {
  const int k = n->n_responses, rows = k * eta_per_response(n->block);
  real *d_eta = grad_of(t, n, 0), *d_covariance = b->covariance ? grad_of(t, n, 1) : NULL,
       *d_variance = b->variance ? grad_of(t, n, 2) : NULL;
  for (size_t i = first; i < end; i++) {
    const real d = n->grad[i];
    const size_t at = i * (size_t)b->eta_stride + n->eta_row;
    if (d_eta) put_multiple(rows, d, b->slope + i * rows, d_eta + at);
    if (d_variance) put_multiple(rows, d, b->variance_slope + i * rows, d_variance + at);
    if (d_covariance) put_multiple(k, d, b->covariance_slope + i * k, d_covariance + i * k);
  }
}

/* The slopes, and dfree += d slope */
static void nll_backward(nn_tape *t, nn_node *n) {
  const nn_nll b = nll_of(t, n);
  const size_t n_obs = (size_t)t->n_obs;
  const int threads = tape_threads(t, n_obs * n->n_responses);
  real *d_free = b.n_free ? fresh_grad(t, n, 1) : NULL;
  for (size_t i = 0; d_free && i < n_obs; i++)
    for (int j = 0; j < b.n_free; j++) d_free[j] += n->grad[i] * b.free_slope[i * b.n_free + j];
  if (threads == 1) {
    nll_slopes(t, n, &b, 0, n_obs);
    return;
  }
  NN_PARALLEL(threads)
  for (int i = 0; i < threads; i++)
    nll_slopes(t, n, &b, part_begin(i, threads, n_obs, 1), part_begin(i + 1, threads, n_obs, 1));
}

#define ROW(name, fits, forward, backward) {fits, forward, backward},
static const nn_op nn_ops[NN_N_OPS] = {OPS(ROW)};
#undef ROW
