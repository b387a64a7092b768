/* The ops of random variables: draws and their KL, and the moments that stand for draws where these are known. */
#pragma once
#include "activation.c"
#include "prior.c"
#include "tape.c"
#include "vmath.h"

/* value = mu + sigma eps, sigma = exp(log_sigma), eps ~ N(0, 1), 0 in the mean: the reparametrised draw.
 * aux: sigma, then eps. Kingma & Welling (2014). */
static void draw_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *mu = input_of(t, n, 0)->value, *log_sigma = input_of(t, n, 1)->value;
  real *sigma = n->aux, *eps = n->aux + size;
  standard_draws(t, n, eps);
  NN_SIMD
  for (size_t i = 0; i < size; i++) {
    sigma[i] = vmath_exp(log_sigma[i]);
    n->value[i] = mu[i] + sigma[i] * eps[i];
  }
}

/* dmu += d; dlog_sigma += d eps sigma */
static void draw_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *sigma = n->aux, *eps = n->aux + size;
  real *d_mu = fresh_grad(t, n, 0), *d_log_sigma = fresh_grad(t, n, 1);
  NN_SIMD
  for (size_t i = 0; i < size; i++) {
    d_mu[i] += n->grad[i];
    d_log_sigma[i] += n->grad[i] * eps[i] * sigma[i];
  }
}

/* Value i of a KL: over all rows, and over all columns when these are fixed. */
static nn_gaussians gaussians_of(nn_tape *t, const nn_node *n, size_t i) {
  const nn_node *m = input_of(t, n, 0), *l = input_of(t, n, 1);
  size_t per_value = n->cols ? size_of(t, m) : (size_t)m->rows;
  nn_gaussians q = {per_value, m->value + i * per_value, l->value + i * per_value,
                    t->node[n->option].aux + i * per_value};
  return q;
}

static double prior_sd(const nn_node *n, const nn_gaussians *q) {
  return nn_priors[n->prior->kind].is_empirical ? empirical_sd(q) : n->setting;
}

/* KL[N(mu, sigma) || prior], the prior's sd = setting. Shares the sigma of node `option`. At the empirical sd the KL's slope
 * in that sd is 0. */
static void kl_forward(nn_tape *t, nn_node *n) {
  size_t n_values = n->cols ? 1 : (size_t)t->n_obs;
  for (size_t i = 0; i < n_values; i++) {
    nn_gaussians q = gaussians_of(t, n, i);
    n->value[i] = (real)nn_priors[n->prior->kind].kl(&q, prior_sd(n, &q));
  }
}

static void kl_backward(nn_tape *t, nn_node *n) {
  size_t n_values = n->cols ? 1 : (size_t)t->n_obs;
  real *d_mu = fresh_grad(t, n, 0), *d_log_sigma = fresh_grad(t, n, 1);
  for (size_t i = 0; i < n_values; i++) {
    nn_gaussians q = gaussians_of(t, n, i);
    nn_priors[n->prior->kind].kl_slope(&q, prior_sd(n, &q), n->grad[i], d_mu + i * q.n,
                                       d_log_sigma + i * q.n);
  }
}

/* The KL at the one draw of node `option`: log q(w) - log p(w) = sum -log sigma - eps^2 / 2 - log(2 pi) / 2 - log p(w).
 * Inputs: mu, log_sigma, the draw w. aux: -d log p / dw. Blundell et al. (2015). */
static void kl_mc_forward(nn_tape *t, nn_node *n) {
  size_t n_values = n->cols ? 1 : (size_t)t->n_obs, size = size_of(t, input_of(t, n, 2));
  for (size_t i = 0; i < n_values; i++) {
    nn_gaussians q = gaussians_of(t, n, i);
    const real *w = input_of(t, n, 2)->value + i * q.n, *eps = q.sigma + size;
    const nn_weights v = {q.n, 0, w, n->prior, prior_sd(n, &q), n->aux + i * q.n, work_of(t, n, 0)};
    double sum = nn_priors[n->prior->kind].nlp(&v);
    for (size_t k = 0; k < q.n; k++) sum -= (double)(q.log_sigma[k] + eps[k] * eps[k] / 2);
    n->value[i] = (real)(sum - (double)q.n * NN_LOG_2PI / 2);
  }
}

/* dw += -d log p / dw; dlog_sigma -= d. The sd of an empirical prior is taken as given. */
static void kl_mc_backward(nn_tape *t, nn_node *n) {
  size_t n_values = n->cols ? 1 : (size_t)t->n_obs;
  real *d_log_sigma = fresh_grad(t, n, 1), *d_w = fresh_grad(t, n, 2);
  fresh_grad(t, n, 0);
  for (size_t i = 0; i < n_values; i++) {
    size_t per_value = gaussians_of(t, n, i).n;
    real d = n->grad[i];
    NN_SIMD
    for (size_t k = i * per_value; k < (i + 1) * per_value; k++) {
      d_log_sigma[k] -= d;
      d_w[k] += d * n->aux[k];
    }
  }
}

/* Of weights those that are not kept where they are; how many. */
static size_t take_free(size_t n, const double *precision, const real *w, real *to) {
  size_t m = 0;
  for (size_t k = 0; k < n; k++)
    if (isfinite(precision[k])) to[m++] = w[k];
  return m;
}

/* Their m slopes, which stand first, to where they belong among n; the others' are 0. */
static void put_back(size_t n, size_t m, const double *precision, real *slope) {
  for (size_t k = n; k-- > 0;) slope[k] = isfinite(precision[k]) ? slope[--m] : 0;
}

/* -log p(w), summed. aux: its slope in w; then, of weights some of which are kept where they are, the others. */
static void nlp_forward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  const nn_prior_row *prior = &nn_priors[n->prior->kind];
  nn_weights v = {size_of(t, w), w->offset, w->value,        n->prior,
                  n->setting,    n->aux,    work_of(t, n, 0)};
  const size_t size = v.n;
  const double *precision =
      n->prior->precision && !prior->is_by_weight ? n->prior->precision + v.first : NULL;
  if (precision) v.n = take_free(size, precision, v.w, n->aux + size), v.w = n->aux + size;
  n->value[0] = (real)prior->nlp(&v);
  if (precision) put_back(size, v.n, precision, n->aux);
}

/* Of a weight that is kept where it is the slope is 0, whatever the data say: this is the last op to reach it. */
static void nlp_backward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  const size_t size = size_of(t, w);
  const double *precision = n->prior->precision;
  real *d_w = fresh_grad(t, n, 0);
  NN_SIMD
  for (size_t k = 0; k < size; k++) d_w[k] += n->grad[0] * n->aux[k];
  for (size_t k = 0; precision && k < size; k++)
    if (!isfinite(precision[w->offset + k])) d_w[k] = 0;
}

/* KL[N(mu, sigma) || N(0, 1)] of one unit. */
static inline double unit_kl(const nn_gaussians *q, size_t k) {
  return (double)(q->sigma[k] * q->sigma[k] + q->mu[k] * q->mu[k] - 1) / 2 -
         (double)q->log_sigma[k];
}

/* sum over units of max(free, their KL), free = setting; sigma as in kl. Kingma et al. (2016). */
static void kl_free_forward(nn_tape *t, nn_node *n) {
  for (int i = 0; i < t->n_obs; i++) {
    nn_gaussians q = gaussians_of(t, n, (size_t)i);
    double sum = 0;
    for (size_t k = 0; k < q.n; k++)
      sum += unit_kl(&q, k) > n->setting ? unit_kl(&q, k) : n->setting;
    n->value[i] = (real)sum;
  }
}

static void kl_free_backward(nn_tape *t, nn_node *n) {
  real *d_mu = fresh_grad(t, n, 0), *d_log_sigma = fresh_grad(t, n, 1);
  for (int i = 0; i < t->n_obs; i++) {
    nn_gaussians q = gaussians_of(t, n, (size_t)i);
    for (size_t k = 0; k < q.n; k++) {
      real d = unit_kl(&q, k) > n->setting ? n->grad[i] : 0;
      d_mu[(size_t)i * q.n + k] += d * q.mu[k];
      d_log_sigma[(size_t)i * q.n + k] += d * (q.sigma[k] * q.sigma[k] - 1);
    }
  }
}

/* y = x^2 */
static void square_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *x = input_of(t, n, 0)->value;
  NN_SIMD
  for (size_t i = 0; i < size; i++) n->value[i] = x[i] * x[i];
}

static void square_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *x = input_of(t, n, 0)->value;
  real *dx = fresh_grad(t, n, 0);
  NN_SIMD
  for (size_t i = 0; i < size; i++) dx[i] += 2 * n->grad[i] * x[i];
}

/* y = exp(2 log_sigma); aux: sigma */
static void variance_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *log_sigma = input_of(t, n, 0)->value;
  real *sigma = n->aux;
  NN_SIMD
  for (size_t i = 0; i < size; i++) {
    sigma[i] = vmath_exp(log_sigma[i]);
    n->value[i] = sigma[i] * sigma[i];
  }
}

static void variance_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  real *d = fresh_grad(t, n, 0);
  NN_SIMD
  for (size_t i = 0; i < size; i++) d[i] += 2 * n->grad[i] * n->value[i];
}

/* y = m + sqrt(v) eps: a draw of a unit from its mean and variance, in place of one of its weights; in the mean m.
 * aux: eps, then sqrt(v). Kingma, Salimans & Welling (2015). */
static void local_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *m = input_of(t, n, 0)->value, *v = input_of(t, n, 1)->value;
  real *eps = n->aux, *sd = n->aux + size;
  standard_draws(t, n, eps);
  for (size_t i = 0; i < size; i++) sd[i] = vmath_positive(v[i]);
  vmath_sqrt(size, sd, sd);
  NN_SIMD
  for (size_t i = 0; i < size; i++) n->value[i] = m[i] + sd[i] * eps[i];
}

/* dm += d; dv += d eps / (2 sqrt(v)) */
static void local_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *eps = n->aux, *sd = n->aux + size;
  real *dm = fresh_grad(t, n, 0), *dv = fresh_grad(t, n, 1);
  NN_SIMD
  for (size_t i = 0; i < size; i++) {
    dm[i] += n->grad[i];
    dv[i] += n->grad[i] * eps[i] / (2 * sd[i]);
  }
}

/* The mean of an activation at a random input with mean m and variance v; aux: its slopes in m, then in v. */
static void activate_mean_forward(nn_tape *t, nn_node *n) {
  nn_activations[n->option].moments->mean(size_of(t, n), input_of(t, n, 0)->value,
                                          input_of(t, n, 1)->value, n->aux, n->value);
}

static void activate_mean_backward(nn_tape *t, nn_node *n) {
  const size_t size = size_of(t, n);
  for (int k = 0; k < 2; k++)
    add_products(size, n->grad, n->aux + (size_t)k * size, fresh_grad(t, n, k));
}

/* The mean of its square; its own mean is node `option`. */
static void activate_second_forward(nn_tape *t, nn_node *n) {
  const nn_node *mean = &t->node[n->option];
  nn_activations[mean->option].moments->second(size_of(t, n), input_of(t, n, 0)->value,
                                               input_of(t, n, 1)->value, mean->aux, mean->value,
                                               n->value);
}

static void activate_second_backward(nn_tape *t, nn_node *n) {
  const nn_node *mean = &t->node[n->option];
  nn_activations[mean->option].moments->second_backward(
      size_of(t, n), mean->aux, mean->value, n->grad, fresh_grad(t, n, 0), fresh_grad(t, n, 1));
}

/* y [k, cols] = w_f w_s element by element, w_f rows eta_row, ... of w, w_s the k rows that follow: times the variances of
 * independent inputs the covariances of the units f and s. */
static void pair_forward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  for (int c = 0; c < n->cols; c++) {
    const real *f = w->value + (size_t)c * w->rows + n->eta_row;
    for (int j = 0; j < n->rows; j++) n->value[(size_t)c * n->rows + j] = f[j] * f[n->rows + j];
  }
}

static void pair_backward(nn_tape *t, nn_node *n) {
  const nn_node *w = input_of(t, n, 0);
  real *dw = fresh_grad(t, n, 0);
  for (int c = 0; c < n->cols; c++) {
    size_t at = (size_t)c * w->rows + n->eta_row;
    for (int j = 0; j < n->rows; j++) {
      real d = n->grad[(size_t)c * n->rows + j];
      dw[at + j] += d * w->value[at + n->rows + j];
      dw[at + n->rows + j] += d * w->value[at + j];
    }
  }
}

/* The variance E h^2 - (E h)^2, at least 0. */
static void center_forward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *second = input_of(t, n, 0)->value, *mean = input_of(t, n, 1)->value;
  for (size_t i = 0; i < size; i++) {
    real v = second[i] - mean[i] * mean[i];
    n->value[i] = v > 0 ? v : 0;
  }
}

static void center_backward(nn_tape *t, nn_node *n) {
  size_t size = size_of(t, n);
  const real *mean = input_of(t, n, 1)->value;
  real *d_second = fresh_grad(t, n, 0), *d_mean = fresh_grad(t, n, 1);
  for (size_t i = 0; i < size; i++) {
    d_second[i] += n->grad[i];
    d_mean[i] -= 2 * n->grad[i] * mean[i];
  }
}
