/* Optimizers and learning-rate schedules: tables whose rows take whole arrays. */
#pragma once
#include "api.h"
#include "vmath.h"

enum { NN_LBFGS_PAIRS = 10, NN_MAX_SLOTS = 2 * NN_LBFGS_PAIRS + 4 };

/* One step on a stretch of theta. decay: decoupled weight decay, for those that have it. Of the means of independent normal
 * weights also the logs of their standard deviations, for optimizers that step on both at once; `total` times the loss is minus
 * the ELBO. */
typedef struct {
  size_t n;
  real *theta;
  const real *grad;
  real *log_sd; /* NULL: theta are no means */
  const real *log_sd_grad;
  real *slot[NN_MAX_SLOTS];
  real learn_rate, momentum, decay;
  double step, total; /* step: from 1 */
} nn_step;

/* A smooth function of all of theta, for optimizers that search along a line. */
typedef struct {
  size_t n;
  real *theta, *grad; /* set theta, call evaluate: it fills grad and returns the loss */
  real **slot;
  double loss, *step, tolerance;
  double (*evaluate)(void *context);
  const int *stopped; /* after an evaluation: it was ended early, and the search is to end, too */
  void *context;
} nn_problem;

typedef struct {
  const char *name;
  int n_slots;
  int full_batch;
  int decoupled; /* the penalty is a decay beside the gradient, not a part of it */
  int natural;   /* means and standard deviations of independent normal weights make one step */
  void (*step)(const nn_step *s);
  /* One iteration on all the data; NN_CONVERGED when nothing is left to gain. */
  nn_status (*iterate)(nn_problem *p);
} nn_optimizer;

/* The learning rate of an epoch (from 0) of n, as a share of the first. `stale`: epochs without improvement. */
typedef struct {
  const char *name;
  double (*share)(int epoch, int n, double previous, int stale);
} nn_schedule;

/* theta -= rate g */
static void sgd(const nn_step *s) {
  NN_SIMD
  for (size_t i = 0; i < s->n; i++) s->theta[i] -= s->learn_rate * s->grad[i];
}

/* With one slot h: what becomes of it, and the step. Polyak (1964); Nesterov (1983), as written by Sutskever et al. (2013);
 * Duchi et al. (2011); Tieleman & Hinton (2012). */
#define WITH_SLOT(name, new_h, step)                                                               \
  static void name(const nn_step *s) {                                                             \
    const real rate = s->learn_rate, m = s->momentum;                                              \
    real *restrict slot = s->slot[0];                                                              \
    (void)m;                                                                                       \
    NN_SIMD                                                                                        \
    for (size_t i = 0; i < s->n; i++) {                                                            \
      real g = s->grad[i], h = slot[i];                                                            \
      slot[i] = h = new_h;                                                                         \
      s->theta[i] -= step;                                                                         \
    }                                                                                              \
  }
WITH_SLOT(momentum, m *h + g, rate *h)
WITH_SLOT(nesterov, m *h + g, rate *(g + m * h))
WITH_SLOT(adagrad, h + g * g, rate *g / (SQRT(h) + (real)1e-8))
WITH_SLOT(rmsprop, (real)0.9 * h + (real)0.1 * g * g, rate *g / (SQRT(h) + (real)1e-8))

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; theta -= rate [m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8) + decay theta],
 * b1 the momentum, b2 = .999. Kingma & Ba (2015); with decay Loshchilov & Hutter (2019). */
enum { ADAM_BLOCK = 256 };

static void adam(const nn_step *s) {
  const real b1 = s->momentum, b2 = (real)0.999;
  const real rate = (real)(s->learn_rate / (1 - pow(b1, s->step))),
             unbias = (real)(1 / sqrt(1 - pow(0.999, s->step)));
  const real shrink = 1 - s->learn_rate * s->decay;
  real root[ADAM_BLOCK];
  for (size_t first = 0; first < s->n; first += ADAM_BLOCK) {
    int n = s->n - first < ADAM_BLOCK ? (int)(s->n - first) : ADAM_BLOCK;
    real *restrict theta = s->theta + first, *restrict m = s->slot[0] + first,
                   *restrict v = s->slot[1] + first;
    const real *restrict g = s->grad + first;
    NN_SIMD
    for (int i = 0; i < n; i++) {
      m[i] = b1 * m[i] + (1 - b1) * g[i];
      v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
    }
    vmath_sqrt((size_t)n, v, root);
    NN_SIMD
    for (int i = 0; i < n; i++)
      theta[i] = shrink * theta[i] - rate * m[i] / (root[i] * unbias + (real)1e-8);
  }
}

/* With s = 1 / sd^2 of each weight, g and d the gradients of the loss in the mean and in log sd, b1 the momentum, c = (1 - b2)
 * total d, b2 = .999, and c and u cut off at 1 and 0.3:
 *   s *= 1 + c + c^2 / 2;  m = b1 m + (1 - b1) g;  u = rate [m / (1 - b1^t)] total sd;  mean -= u sd.
 * Steps along the natural gradient: -s total d is the gradient of the ELBO in s, and c^2 / 2 keeps s above 0. Lin, Schmidt & Khan
 * (2020); Shen et al. (2024). No mean moves by more than a share of its sd: where the loss is curved s lags behind. */
static void ivon(const nn_step *s) {
  const real b1 = s->momentum, share = (real)(0.001 * s->total), most = (real)0.3;
  const real rate = (real)(s->learn_rate * s->total / (1 - pow(b1, s->step)));
  real *restrict mean = s->theta, *restrict log_sd = s->log_sd, *restrict m = s->slot[0];
  const real *restrict g = s->grad, *restrict d = s->log_sd_grad;
  if (!log_sd) {
    adam(s);
    return;
  }
  NN_SIMD
  for (size_t i = 0; i < s->n; i++) {
    real c = share * d[i];
    c = c < -1 ? (real)-1 : c > 1 ? (real)1 : c;
    log_sd[i] -= vmath_log1p(c + c * c / 2) / 2;
    m[i] = b1 * m[i] + (1 - b1) * g[i];
    const real sd = vmath_exp(log_sd[i]), u = rate * m[i] * sd;
    mean[i] -= (u < -most ? -most : u > most ? most : u) * sd;
  }
}

static double inner(size_t n, const real *a, const real *b) {
  double s = 0;
  NN_SIMD_SUM(s)
  for (size_t i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
  return s;
}

/* to += w a */
static void add_multiple(size_t n, double w, const real *a, real *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] += (real)w * a[i];
}

/* The slots of L-BFGS: the pairs s_k = step, y_k = change of gradient; where the line began; the direction. */
enum {
  LBFGS_S = 0,
  LBFGS_Y = NN_LBFGS_PAIRS,
  LBFGS_X0 = 2 * NN_LBFGS_PAIRS,
  LBFGS_G0,
  LBFGS_D,
  LBFGS_COUNT
};

/* d = -H g by the two loops of Nocedal (1980), over the last `pairs` pairs; `newest` is the slot of the last. */
static void lbfgs_direction(nn_problem *p, int pairs, int newest) {
  double alpha[NN_LBFGS_PAIRS], rho[NN_LBFGS_PAIRS];
  real *d = p->slot[LBFGS_D];
  for (size_t i = 0; i < p->n; i++) d[i] = -p->grad[i];
  for (int k = 0; k < pairs; k++) {
    int j = (newest - k + NN_LBFGS_PAIRS) % NN_LBFGS_PAIRS;
    rho[k] = 1 / inner(p->n, p->slot[LBFGS_S + j], p->slot[LBFGS_Y + j]);
    alpha[k] = rho[k] * inner(p->n, p->slot[LBFGS_S + j], d);
    add_multiple(p->n, -alpha[k], p->slot[LBFGS_Y + j], d);
  }
  if (pairs) {
    const real *y = p->slot[LBFGS_Y + newest];
    double scale = 1 / (rho[0] * inner(p->n, y, y));
    for (size_t i = 0; i < p->n; i++) d[i] *= (real)scale;
  }
  for (int k = pairs - 1; k >= 0; k--) {
    int j = (newest - k + NN_LBFGS_PAIRS) % NN_LBFGS_PAIRS;
    double beta = rho[k] * inner(p->n, p->slot[LBFGS_Y + j], d);
    add_multiple(p->n, alpha[k] - beta, p->slot[LBFGS_S + j], d);
  }
}

/* A step to the weak Wolfe conditions by bisection (Lewis & Overton 2013), which kinks do not confuse. Leaves theta, grad
 * and loss at the point it took; returns 0 when it found none that descends. */
static int lbfgs_search(nn_problem *p, double slope, double step) {
  const real *x0 = p->slot[LBFGS_X0], *d = p->slot[LBFGS_D];
  double start = p->loss, low = 0, high = INFINITY,
         noise = 4 * (sizeof(real) == 4 ? 1.2e-7 : 2.3e-16) * fabs(start);
  for (int i = 0; i < 40; i++) {
    for (size_t k = 0; k < p->n; k++) p->theta[k] = x0[k] + (real)step * d[k];
    p->loss = p->evaluate(p->context);
    if (*p->stopped) return 0;
    if (!(p->loss <= start + 1e-4 * step * slope + noise))
      high = step;
    else if (inner(p->n, p->grad, d) < 0.9 * slope)
      low = step;
    else
      return 1;
    step = isfinite(high) ? (low + high) / 2 : 2 * step;
  }
  return low > 0 && p->loss < start;
}

static nn_status lbfgs(nn_problem *p) {
  size_t bytes = p->n * sizeof(real);
  real *d = p->slot[LBFGS_D];
  int stored = (int)*p->step, pairs = stored < NN_LBFGS_PAIRS ? stored : NN_LBFGS_PAIRS;
  int newest = (stored + NN_LBFGS_PAIRS - 1) % NN_LBFGS_PAIRS, next = stored % NN_LBFGS_PAIRS;
  double norm = sqrt(inner(p->n, p->grad, p->grad));
  if (norm <= p->tolerance) return NN_CONVERGED;
  lbfgs_direction(p, pairs, newest);
  double slope = inner(p->n, p->grad, d);
  memcpy(p->slot[LBFGS_X0], p->theta, bytes);
  memcpy(p->slot[LBFGS_G0], p->grad, bytes);
  if (!(slope < 0) || !lbfgs_search(p, slope, pairs ? 1 : 1 / (1 + norm))) {
    /* back to where the line began; once more without memory */
    memcpy(p->theta, p->slot[LBFGS_X0], bytes);
    if (!*p->stopped) p->loss = p->evaluate(p->context);
    *p->step = 0;
    return *p->stopped ? NN_INTERRUPTED : pairs ? NN_OK : NN_CONVERGED;
  }
  real *s = p->slot[LBFGS_S + next], *y = p->slot[LBFGS_Y + next];
  for (size_t i = 0; i < p->n; i++) {
    s[i] = p->theta[i] - p->slot[LBFGS_X0][i];
    y[i] = p->grad[i] - p->slot[LBFGS_G0][i];
  }
  if (inner(p->n, s, y) > 1e-10 * inner(p->n, y, y) * (sizeof(real) == 4 ? 1e3 : 1e-4))
    *p->step += 1;
  return NN_OK;
}

static const nn_optimizer nn_optimizers[] = {
    /* name  slots, full batch, decoupled penalty, natural */
    {"sgd", 0, 0, 0, 0, sgd, NULL},
    {"momentum", 1, 0, 0, 0, momentum, NULL},
    {"nesterov", 1, 0, 0, 0, nesterov, NULL},
    {"adagrad", 1, 0, 0, 0, adagrad, NULL},
    {"rmsprop", 1, 0, 0, 0, rmsprop, NULL},
    {"adam", 2, 0, 0, 0, adam, NULL},
    {"adamw", 2, 0, 1, 0, adam, NULL},
    {"ivon", 2, 0, 0, 1, ivon, NULL},
    {"lbfgs", LBFGS_COUNT, 1, 0, 0, NULL, lbfgs},
};

static double constant(int epoch, int n, double previous, int stale) {
  (void)epoch, (void)n, (void)previous, (void)stale;
  return 1;
}

/* a tenth after each third of the epochs */
static double step(int epoch, int n, double previous, int stale) {
  (void)previous, (void)stale;
  return pow(0.1, (double)(3 * (long)epoch / n));
}

/* down to a hundredth */
static double exponential(int epoch, int n, double previous, int stale) {
  (void)previous, (void)stale;
  return pow(0.01, n > 1 ? epoch / (n - 1.0) : 0);
}

/* down to a hundredth along half a cosine. Loshchilov & Hutter (2017). */
static double cosine(int epoch, int n, double previous, int stale) {
  (void)previous, (void)stale;
  return 0.01 + 0.99 * (1 + cos(3.14159265358979323846 * (n > 1 ? epoch / (n - 1.0) : 0))) / 2;
}

/* a half after every 10 epochs without improvement */
static double plateau(int epoch, int n, double previous, int stale) {
  (void)epoch, (void)n;
  return stale > 0 && stale % 10 == 0 ? previous / 2 : previous;
}

static const nn_schedule nn_schedules[] = {{"constant", constant},
                                           {"step", step},
                                           {"exponential", exponential},
                                           {"cosine", cosine},
                                           {"plateau", plateau}};
