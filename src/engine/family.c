/* Likelihood families: one function each gives the negative log-likelihood in nats and its slopes. A family owns its link: the
 * network is linear at eta. */
#pragma once
#include "program.c"
#include "vmath.h"

/* One block of responses over n_obs observations. A block's rows are a slice of the columns of eta and y, whose strides
 * are the numbers of their rows. With several rows of eta per response, the first n_responses rows are the means. */
typedef struct {
  int n_obs, n_responses, eta_stride, y_stride;
  /* The free scalars of a response; the distance of those of the next, 0 where all have the same; how many are learned. */
  int free_per_response, free_step, n_free, n_constants;
  const real *eta, *y;
  const real *free;          /* n_free of them, or free_per_response that are fixed */
  const double *constants;   /* n_constants */
  const nn_program *program; /* of a custom family, with custom_work() numbers of work space */
  real *work;
  real *nll;            /* out: 1 x n_obs */
  real *slope;          /* out: d nll / d eta, (rows of eta) x n_obs */
  real *free_slope;     /* out: d nll / d free, n_free x n_obs; zeroed by the caller */
  const real *variance; /* of eta, in the same slice, when eta is random: then eta is its mean */
  real *variance_slope; /* out: d nll / d variance */
  /* Of two rows of eta per response their covariance, n_responses x n_obs; NULL: 0. */
  const real *covariance;
  real *covariance_slope;
} nn_nll;

/* In the place of rows of eta per response: one for each constant that a block has, and one where it has none. */
enum { NN_BY_CONSTANT = 0 };

typedef struct {
  const char *name;
  int eta_per_response, y_per_response, min_free, max_free, max_constants;
  void (*nll)(const nn_nll *b);      /* a missing (NaN) y adds nothing */
  void (*expected)(const nn_nll *b); /* of random eta, where that has a closed form */
} nn_family;

/* Observation i of the block. */
typedef struct {
  const real *eta, *y;
  real *slope, *free_slope;
} column;

static inline column column_of(const nn_nll *b, int eta_per_response, int i) {
  column c = {b->eta + (size_t)i * b->eta_stride, b->y + (size_t)i * b->y_stride,
              b->slope + (size_t)i * b->n_responses * eta_per_response,
              b->free_slope + (size_t)i * b->n_free};
  return c;
}

/* A run of n responses with one sigma: sum over those present of e^2 / 2 + log sigma + log(2 pi) / 2, e = (eta - y) / sigma;
 * slope e / sigma; and 1 - e^2 for log sigma. */
static real gaussian_run(int n, const real *eta, const real *y, real log_sigma, real precision,
                         real *slope, real *free_slope) {
  real squares = 0, present = 0;
  NN_SIMD_SUM(squares, present)
  for (int j = 0; j < n; j++) {
    real here = vmath_if_missing(y[j], 0, 1),
         e = vmath_if_missing(y[j], 0, (eta[j] - y[j]) * precision);
    slope[j] = e * precision;
    squares += e * e;
    present += here;
  }
  *free_slope = present - squares;
  return squares / 2 + present * (log_sigma + (real)(NN_LOG_2PI / 2));
}

static void gaussian(const nn_nll *b) {
  int n_runs = b->n_free > 1 ? b->n_free : 1, length = b->n_responses / n_runs;
  for (int k = 0; k < n_runs; k++) {
    real precision = vmath_exp(-b->free[k]), unused;
    for (int i = 0; i < b->n_obs; i++) {
      column c = column_of(b, 1, i);
      int j = k * length;
      real nll = gaussian_run(length, c.eta + j, c.y + j, b->free[k], precision, c.slope + j,
                              b->n_free ? c.free_slope + k : &unused);
      b->nll[i] = nll + (k ? b->nll[i] : 0);
    }
  }
}

/* The gaussian's expectation over eta with variance v: (e^2 + v / sigma^2) / 2 + ..., slope in v 1 / (2 sigma^2). */
static void gaussian_expected(const nn_nll *b) {
  gaussian(b);
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    const real *v = b->variance + (size_t)i * b->eta_stride;
    real *v_slope = b->variance_slope + (size_t)i * b->n_responses;
    for (int j = 0; j < b->n_responses; j++) {
      int k = b->n_free > 1 ? j : 0;
      real here = vmath_if_missing(c.y[j], 0, 1), precision = vmath_exp(-2 * b->free[k]);
      v_slope[j] = here * precision / 2;
      b->nll[i] += v_slope[j] * v[j];
      if (b->n_free) c.free_slope[k] -= here * precision * v[j];
    }
  }
}

/* The gaussian with log sigma = s, a second row of eta: d nll / ds = 1 - e^2. */
static void gaussian_hetero(const nn_nll *b) {
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 2, i);
    real nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      int s = b->n_responses + j, missing = c.y[j] != c.y[j];
      real precision = vmath_exp(-c.eta[s]), e = missing ? 0 : (c.eta[j] - c.y[j]) * precision;
      c.slope[j] = e * precision;
      c.slope[s] = missing ? 0 : 1 - e * e;
      nll += missing ? 0 : e * e / 2 + c.eta[s] + (real)(NN_LOG_2PI / 2);
    }
    b->nll[i] = nll;
  }
}

/* Its expectation over jointly normal eta and s with variances v, v_s and covariance c: e^-2s moves the mean of eta by -2c and
 * multiplies by E e^-2s = e^(2 v_s - 2 E s) = p, so E nll = E s + log(2 pi) / 2 + p [(y - E eta + 2c)^2 + v] / 2. After Wu et al.
 * (2019). */
static void gaussian_hetero_expected(const nn_nll *b) {
  int k = b->n_responses;
  for (int i = 0; i < b->n_obs; i++) {
    column m = column_of(b, 2, i);
    const real *v = b->variance + (size_t)i * b->eta_stride;
    const real *cov = b->covariance ? b->covariance + (size_t)i * k : NULL;
    real *v_slope = b->variance_slope + (size_t)i * 2 * k, nll = 0;
    for (int j = 0; j < k; j++) {
      int s = k + j, missing = m.y[j] != m.y[j];
      real p = missing ? 0 : vmath_exp(2 * (v[s] - m.eta[s]));
      real e = missing ? 0 : m.y[j] - m.eta[j] + (cov ? 2 * cov[j] : 0),
           square = p * (e * e + v[j]);
      m.slope[j] = -p * e;
      m.slope[s] = missing ? 0 : 1 - square;
      v_slope[j] = p / 2;
      v_slope[s] = square;
      if (cov) b->covariance_slope[(size_t)i * k + j] = 2 * p * e;
      nll += missing ? 0 : square / 2 + m.eta[s] + (real)(NN_LOG_2PI / 2);
    }
    b->nll[i] = nll;
  }
}

/* rho(e) + log s + log of the integral of e^-rho, e = (eta - y) / s, rho(e) = e^2 / 2 up to k and k |e| - k^2 / 2 beyond; with
 * psi = rho', slope psi / s; and 1 - psi e for log s. Huber (1964). */
static void huber(const nn_nll *b) {
  const real k = (real)1.345, log_integral = (real)0.97859819457184116;
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    real nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      int own = b->n_free > 1 ? j : 0, missing = c.y[j] != c.y[j];
      real precision = vmath_exp(-b->free[own]), e = missing ? 0 : (c.eta[j] - c.y[j]) * precision;
      real psi = e > k ? k : e < -k ? -k : e;
      c.slope[j] = psi * precision;
      nll += missing ? 0 : psi * e - psi * psi / 2 + b->free[own] + log_integral;
      if (b->n_free) c.free_slope[own] += missing ? 0 : 1 - psi * e;
    }
    b->nll[i] = nll;
  }
}

/* log(1 + e^eta) - y eta; slope p - y, p = 1 / (1 + e^-eta) */
static void bernoulli(const nn_nll *b) {
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    real nll = 0;
    NN_SIMD_SUM(nll)
    for (int j = 0; j < b->n_responses; j++) {
      real p, softplus = vmath_softplus_sigmoid(c.eta[j], &p), y = c.y[j];
      nll += vmath_if_missing(y, 0, softplus - y * c.eta[j]);
      c.slope[j] = vmath_if_missing(y, 0, p - y);
    }
    b->nll[i] = nll;
  }
}

/* y successes of t: t log(1 + e^eta) - y eta - log choose(t, y); slope t p - y. Rows of y: successes, then trials. */
static void binomial(const nn_nll *b) {
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    double nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      real y = c.y[j], t = c.y[b->n_responses + j];
      real p, softplus = vmath_softplus_sigmoid(c.eta[j], &p);
      int missing = y != y || t != t;
      c.slope[j] = missing ? 0 : t * p - y;
      if (missing) continue;
      nll += t * softplus - y * c.eta[j] - vmath_log_factorial(t) + vmath_log_factorial(y) +
             vmath_log_factorial(t - y);
    }
    b->nll[i] = (real)nll;
  }
}

/* One response with as many levels as the block has rows: sum(y) log sum e^eta - sum(y eta); slope sum(y) p - y. The
 * exponentials of all observations are taken in one pass. */
static void categorical(const nn_nll *b) {
  int k = b->n_responses;
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    real top = c.eta[0];
    for (int j = 1; j < k; j++) top = c.eta[j] > top ? c.eta[j] : top;
    for (int j = 0; j < k; j++) c.slope[j] = c.eta[j] - top;
    b->nll[i] = top;
  }
  NN_SIMD
  for (size_t j = 0; j < (size_t)k * (size_t)b->n_obs; j++) b->slope[j] = vmath_exp(b->slope[j]);
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    real sum = 0, n = 0, inner = 0;
    for (int j = 0; j < k; j++) {
      sum += c.slope[j];
      n += c.y[j];
      inner += c.y[j] * c.eta[j];
    }
    int missing = n != n;
    real scale = n / sum;
    for (int j = 0; j < k; j++) c.slope[j] = missing ? 0 : scale * c.slope[j] - c.y[j];
    b->nll[i] = missing ? 0 : n * (b->nll[i] + vmath_log(sum)) - inner;
  }
}

/* e^eta - y eta + log y!; slope e^eta - y */
static void poisson(const nn_nll *b) {
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    double nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      real y = c.y[j], mu = vmath_exp(c.eta[j]);
      c.slope[j] = y == y ? mu - y : 0;
      if (y == y) nll += mu - y * c.eta[j] + vmath_log_factorial(y);
    }
    b->nll[i] = (real)nll;
  }
}

/* Mean e^eta, size r = e^free, d = eta - free: (r + y) log(1 + e^d) - y d - log[Gamma(y + r) / Gamma(r) y!];
 * slope (r + y) p - y, p = 1 / (1 + e^-d). Variance mu + mu^2 / r. */
static void negative_binomial(const nn_nll *b) {
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, 1, i);
    double nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      int k = b->n_free > 1 ? j : 0;
      real d = c.eta[j] - b->free[k], y = c.y[j], r = vmath_exp(b->free[k]);
      real p, softplus = vmath_softplus_sigmoid(d, &p);
      double d_r = 0;
      c.slope[j] = y == y ? (r + y) * p - y : 0;
      if (y != y) continue;
      nll += (r + y) * softplus - y * d - vmath_log_rising(y, r, &d_r) + vmath_log_factorial(y);
      if (b->n_free) c.free_slope[k] += (real)(r * (softplus - d_r)) - c.slope[j];
    }
    b->nll[i] = (real)nll;
  }
}

/* Of a standardised log time z: minus the log density where `event`, else of the survivor function, and its slope. */
static inline double weibull_time(double z, int event, double *slope) {
  double hazard = exp(z);
  *slope = hazard - event;
  return hazard - event * z;
}

static inline double lognormal_time(double z, int event, double *slope) {
  if (!event) return vmath_normal_hazard(z, slope);
  *slope = z;
  return z * z / 2 + NN_LOG_2PI / 2;
}

static inline double loglogistic_time(double z, int event, double *slope) {
  double e = exp(-fabs(z)), p = z < 0 ? e / (1 + e) : 1 / (1 + e);
  *slope = (1 + event) * p - event;
  return (1 + event) * ((z > 0 ? z : 0) + log1p(e)) - event * z;
}

/* Times t with log t = eta + sigma z, right censored: nll(z) and, of events, log sigma + log t; slope -nll' / sigma; and -nll' z
 * (+ 1 of events) for log sigma. Rows of y: times, then 1 of events, 0 of times that are censored. */
#define NN_TIMES(name)                                                                             \
  static void name(const nn_nll *b) {                                                              \
    for (int i = 0; i < b->n_obs; i++) {                                                           \
      column c = column_of(b, 1, i);                                                               \
      double nll = 0, d;                                                                           \
      for (int j = 0; j < b->n_responses; j++) {                                                   \
        const real t = c.y[j], status = c.y[b->n_responses + j];                                   \
        const int own = b->n_free > 1 ? j : 0, event = status > (real)0.5;                         \
        c.slope[j] = 0;                                                                            \
        if (t != t || status != status) continue;                                                  \
        const double log_sigma = b->free[own], log_t = log(t), precision = exp(-log_sigma);        \
        const double z = (log_t - c.eta[j]) * precision;                                           \
        nll += name##_time(z, event, &d) + event * (log_sigma + log_t);                            \
        c.slope[j] = (real)(-d * precision);                                                       \
        if (b->n_free) c.free_slope[own] += (real)(event - d * z);                                 \
      }                                                                                            \
      b->nll[i] = (real)nll;                                                                       \
    }                                                                                              \
  }
NN_TIMES(weibull)
NN_TIMES(lognormal)
NN_TIMES(loglogistic)

/* Level y = 0, 1, ... of an ordered factor, of which P(Y <= k) = 1 / (1 + e^(eta - c_k)), c_0 = 0, c_k = c_(k-1) + e^free_(k-1):
 * with a = c_y - eta and b = c_(y-1) - eta, log(1 + e^-a) + log(1 + e^b) - log(1 - e^-(a - b)); slopes -p_a and p_b less and plus
 * 1 / (e^(a - b) - 1) for these cuts, p_a = 1 / (1 + e^a), p_b = 1 / (1 + e^-b). */
static double ordinal_level(int level, double eta, const double *cut, const nn_nll *b, int first,
                            column c, real *slope) {
  const int n = b->free_per_response, has_above = level <= n, has_below = level > 0;
  const real *free = b->free + (b->free_step ? first : 0);
  double nll = 0, at_top = 0, at_bottom = 0;
  real p;
  if (has_above) {
    nll += vmath_softplus_sigmoid((real)(eta - cut[level]), &p);
    at_top = -p;
  }
  if (has_below) {
    nll += vmath_softplus_sigmoid((real)(cut[level - 1] - eta), &p);
    at_bottom = p;
  }
  *slope = (real) - (at_top + at_bottom);
  if (has_above && has_below) {
    const double gap = cut[level] - cut[level - 1], e = 1 / expm1(gap);
    nll -= log(-expm1(-gap));
    at_top -= e, at_bottom += e;
  }
  for (int m = 0; b->n_free && m < n && m < level; m++)
    c.free_slope[first + m] +=
        (real)(exp((double)free[m]) * (at_top + (m < level - 1 ? at_bottom : 0)));
  return nll;
}

static void ordinal(const nn_nll *b) {
  double cut[NN_MAX_FREE + 1] = {0};
  for (int j = 0; j < b->n_responses; j++) {
    const int first = j * b->free_step;
    for (int m = 0; m < b->free_per_response; m++)
      cut[m + 1] = cut[m] + exp((double)b->free[first + m]);
    for (int i = 0; i < b->n_obs; i++) {
      column c = column_of(b, 1, i);
      const real y = c.y[j];
      double nll = 0;
      c.slope[j] = 0;
      if (y >= 0 && y <= b->free_per_response + 1)
        nll = ordinal_level((int)y, c.eta[j], cut, b, first, c, &c.slope[j]);
      b->nll[i] = (real)nll + (j ? b->nll[i] : 0);
    }
  }
}

/* The numbers of a block in the engine's order, response by response within observations, in chunks. */
enum { CUSTOM_CHUNK = 2048 };
typedef struct {
  const nn_nll *b;
  size_t first, n;
} nn_chunk;

/* The registers, then for each argument its numbers and its slopes, then the values. */
static size_t custom_work(const nn_program *p) {
  return program_work(p) + (2 * (size_t)p->n_arguments + 1) * CUSTOM_CHUNK;
}
static real *custom_buffer(const nn_nll *b, int k) {
  return b->work + program_work(b->program) + (size_t)k * CUSTOM_CHUNK;
}

/* What is done at each number k of a chunk, of response j of observation i. */
#define EACH_OF_CHUNK(c, what)                                                                     \
  do {                                                                                             \
    const size_t m = (size_t)(c)->b->n_responses;                                                  \
    size_t i = (c)->first / m, j = (c)->first % m;                                                 \
    for (size_t k = 0; k < (c)->n; k++) {                                                          \
      what;                                                                                        \
      if (++j == m) j = 0, i++;                                                                    \
    }                                                                                              \
  } while (0)

/* Numbers that stand in rows of a matrix with so many rows: where they are if these are all, else copied. */
static const real *taken(const nn_chunk *c, const real *from, int stride, real *to) {
  if (stride == c->b->n_responses) return from + c->first;
  EACH_OF_CHUNK(c, to[k] = from[i * (size_t)stride + j]);
  return to;
}

static nn_argument free_argument(const nn_chunk *c, int scalar, real *at, real *slope) {
  const real *free = c->b->free + scalar;
  const size_t step = (size_t)c->b->free_step;
  if (!c->b->n_free) slope = NULL;
  if (!step) return (nn_argument){free, slope, 1, 1};
  EACH_OF_CHUNK(c, {
    at[k] = free[j * step];
    (void)i;
  });
  return (nn_argument){at, slope, 0, 1};
}

static void no_slopes_where_missing(size_t n, const real *y, real *slope) {
  NN_SIMD
  for (size_t k = 0; k < n; k++) slope[k] = vmath_if_missing(y[k], 0, slope[k]);
}

static int any_missing(size_t n, const real *y) {
  real missing = 0;
  NN_SIMD_SUM(missing)
  for (size_t k = 0; k < n; k++) missing += vmath_if_missing(y[k], 1, 0);
  return missing > 0;
}

/* Adds the values to those of the observations, run by run of an observation's responses. */
static void add_values(const nn_chunk *c, const real *value) {
  const size_t m = (size_t)c->b->n_responses;
  real *nll = c->b->nll + c->first / m;
  size_t k = 0, end = m - c->first % m;
  for (; k < c->n; nll++, end += m) {
    const size_t to = end < c->n ? end : c->n;
    real sum = 0;
    NN_SIMD_SUM(sum)
    for (size_t l = k; l < to; l++) sum += value[l];
    *nll += sum, k = to;
  }
}

/* Gives the chunk's values and slopes to the block. */
static void give_chunk(const nn_chunk *c, const real *value, const nn_argument *eta, int n_eta,
                       const nn_argument *free) {
  const nn_nll *b = c->b;
  const size_t rows = (size_t)b->n_responses * (size_t)n_eta, step = (size_t)b->free_step;
  add_values(c, value);
  for (int e = 0; e < n_eta && n_eta > 1; e++) {
    real *to = b->slope + (size_t)e * (size_t)b->n_responses;
    EACH_OF_CHUNK(c, to[i * rows + j] = eta[e].slope[k]);
  }
  for (int s = 0; b->n_free && s < b->free_per_response; s++)
    EACH_OF_CHUNK(c,
                  b->free_slope[i * (size_t)b->n_free + j * step + (size_t)s] += free[s].slope[k]);
}

/* The likelihood of a program. */
static void custom_chunk(const nn_chunk *c) {
  const nn_nll *b = c->b;
  const int n_arguments = b->program->n_arguments, n_eta = n_arguments - 1 - b->free_per_response;
  nn_argument argument[NN_MAX_ARGUMENTS];
  real *value = custom_buffer(b, 2 * n_arguments);
  argument[0] = (nn_argument){taken(c, b->y, b->y_stride, custom_buffer(b, 0)), NULL, 0, 1};
  for (int e = 0; e < n_eta; e++) {
    real *slope = n_eta > 1 ? custom_buffer(b, 2 * e + 3) : b->slope + c->first;
    const real *from = b->eta + (size_t)e * (size_t)b->n_responses;
    argument[e + 1] =
        (nn_argument){taken(c, from, b->eta_stride, custom_buffer(b, 2 * e + 2)), slope, 0, 1};
  }
  for (int k = n_eta + 1; k < n_arguments; k++)
    argument[k] =
        free_argument(c, k - n_eta - 1, custom_buffer(b, 2 * k), custom_buffer(b, 2 * k + 1));
  const nn_program_run r = {b->program, c->n, argument, b->work};
  program_value_slopes(&r, value);
  if (any_missing(c->n, argument[0].at)) {
    no_slopes_where_missing(c->n, argument[0].at, value);
    for (int k = 1; k < n_arguments; k++)
      if (argument[k].slope) no_slopes_where_missing(c->n, argument[0].at, argument[k].slope);
  }
  give_chunk(c, value, argument + 1, n_eta, argument + n_eta + 1);
}

/* A chunk begins at an observation, or so many whole chunks behind: what an observation adds up to does not depend on which
 * others there are. */
static void custom(const nn_nll *b) {
  const size_t m = (size_t)b->n_responses, n = (size_t)b->n_obs * m,
               whole = m < CUSTOM_CHUNK ? CUSTOM_CHUNK / m * m : m;
  memset(b->nll, 0, (size_t)b->n_obs * sizeof(real));
  for (size_t first = 0; first < n; first += whole) {
    const size_t end = n - first < whole ? n : first + whole;
    for (nn_chunk c = {b, first, 0}; c.first < end; c.first += CUSTOM_CHUNK) {
      c.n = end - c.first < CUSTOM_CHUNK ? end - c.first : CUSTOM_CHUNK;
      custom_chunk(&c);
    }
  }
}

static const nn_family nn_custom = {"custom", 0, 1, 0, NN_MAX_ARGUMENTS, 0, custom, NULL};

/* One response of one observation, in double in every build: its eta and free scalars, the first of each, and the slopes. */
enum { NN_ENTRY = 2 };
typedef struct {
  double y, eta[NN_ENTRY], free[NN_ENTRY], nll, slope[NN_ENTRY], free_slope[NN_ENTRY];
  const double *constants; /* NULL: none */
} entry;

static inline entry entry_of(const nn_nll *b, const column *c, int parts, int j) {
  entry e = {.y = c->y[j], .constants = b->n_constants ? b->constants : NULL};
  for (int k = 0; k < parts; k++) e.eta[k] = c->eta[k * b->n_responses + j];
  for (int m = 0; m < b->free_per_response; m++) e.free[m] = b->free[j * b->free_step + m];
  return e;
}

/* The family whose entries `one` fills in, where y is not missing. */
#define NN_BY_ENTRY(name, parts, one)                                                              \
  static void name(const nn_nll *b) {                                                              \
    for (int i = 0; i < b->n_obs; i++) {                                                           \
      column c = column_of(b, parts, i);                                                           \
      double nll = 0;                                                                              \
      for (int j = 0; j < b->n_responses; j++) {                                                   \
        entry e = entry_of(b, &c, parts, j);                                                       \
        if (e.y == e.y) one(&e);                                                                   \
        nll += e.nll;                                                                              \
        for (int k = 0; k < parts; k++) c.slope[k * b->n_responses + j] = (real)e.slope[k];        \
        for (int m = 0; b->n_free && m < b->free_per_response; m++)                                \
          c.free_slope[j * b->free_step + m] += (real)e.free_slope[m];                             \
      }                                                                                            \
      b->nll[i] = (real)nll;                                                                       \
    }                                                                                              \
  }

/* Degrees of freedom 1/2 + r / (1 + r / 1e6), r = e^free, between 1/2 and 1e6; and their derivative in `free`. */
static double degrees_of_freedom(double free, double *slope) {
  const double r = exp(free < 500 ? free : 500), part = 1 / (1 + r / 1e6);
  *slope = r * part * part;
  return 0.5 + r * part;
}

/* e = (y - eta) / s, s = e^free: log s + log(pi n) / 2 - log[Gamma((n + 1) / 2) / Gamma(n / 2)] + (n + 1) / 2 log(1 + e^2 / n);
 * slope -(n + 1) e / (n + e^2) / s. The degrees of freedom n are a constant or the second free scalar. */
static inline void student_t_entry(entry *at) {
  double d_n = 0, d_rising;
  const double s = exp(at->free[0]), e = (at->y - at->eta[0]) / s, square = e * e,
               n = at->constants ? at->constants[0] : degrees_of_freedom(at->free[1], &d_n),
               l = log1p(square / n), pull = (n + 1) * e / (n + square);
  at->nll = at->free[0] + log(3.14159265358979323846 * n) / 2 -
            vmath_log_rising(0.5, n / 2, &d_rising) + (n + 1) / 2 * l;
  at->slope[0] = -pull / s;
  at->free_slope[0] = 1 - pull * e;
  at->free_slope[1] = d_n * ((1 / n - d_rising + l - pull * e / n) / 2);
}
NN_BY_ENTRY(student_t, 1, student_t_entry)

/* Quantiles q_k of y for probabilities tau_k that rise. The first output is the quantile whose tau is nearest to 1/2, the middle
 * one; the others, in the order of tau, are logs of the distance to the next quantile on the way to it. */
typedef struct {
  int n, middle;
  const double *tau;
} quantile_set;

static const double only_median[] = {0.5};

static quantile_set quantile_set_of(const nn_nll *b) {
  quantile_set s = {1, 0, only_median};
  if (b->n_constants) s.n = b->n_constants, s.tau = b->constants;
  for (int k = 1; k < s.n; k++)
    if (fabs(s.tau[k] - 0.5) < fabs(s.tau[s.middle] - 0.5)) s.middle = k;
  return s;
}

static size_t quantile_output(const quantile_set *s, int k) {
  return (size_t)(k == s->middle ? 0 : k < s->middle ? k + 1 : k);
}

/* rho(e) = tau e above 0 and (tau - 1) e below, and psi = rho'; at 0 that is between the two. */
static inline double check_loss(double e, double tau, double *psi) {
  *psi = e > 0 ? tau : e < 0 ? tau - 1 : tau - 0.5;
  return *psi * e;
}

/* The sum of rho(e_k), e_k = (y - q_k) / s, of one y, and the slopes of its mean over k: an output moves all quantiles beyond it, so
 * that its slope is minus the sum of their psi / s, a distance's times the distance. The outputs are `step` apart. */
static double quantile_losses(const quantile_set *set, double y, double s, const real *eta,
                              real *slope, size_t step) {
  double psi[NN_MAX_CONSTANTS], gap[NN_MAX_CONSTANTS];
  double loss = check_loss((y - eta[0]) / s, set->tau[set->middle], &psi[set->middle]);
  double pull = psi[set->middle];
  for (int d = -1; d <= 1; d += 2) {
    double q = eta[0], beyond = 0;
    int k = set->middle;
    while (k + d >= 0 && k + d < set->n) {
      k += d;
      gap[k] = exp((double)eta[step * quantile_output(set, k)]);
      q += d * gap[k];
      loss += check_loss((y - q) / s, set->tau[k], &psi[k]);
    }
    for (; k != set->middle; k -= d) {
      beyond += psi[k];
      slope[step * quantile_output(set, k)] = (real)(-d * beyond * gap[k] / s / set->n);
    }
    pull += beyond;
  }
  slope[0] = (real)(-pull / s / set->n);
  return loss;
}

/* The mean over k of the asymmetric Laplace density's nll: rho(e_k) + log s - log(tau_k (1 - tau_k)); and 1 - mean of rho(e_k) for
 * log s. */
static void quantile(const nn_nll *b) {
  const quantile_set set = quantile_set_of(b);
  const size_t step = (size_t)b->n_responses;
  double log_density = 0;
  for (int k = 0; k < set.n; k++) log_density += log(set.tau[k] * (1 - set.tau[k]));
  log_density /= set.n;
  for (int i = 0; i < b->n_obs; i++) {
    column c = column_of(b, set.n, i);
    double nll = 0;
    for (int j = 0; j < b->n_responses; j++) {
      const size_t own = (size_t)j * (size_t)b->free_step;
      const double free = b->free[own], y = c.y[j];
      for (int k = 0; k < set.n; k++) c.slope[(size_t)k * step + (size_t)j] = 0;
      if (y != y) continue;
      const double loss = quantile_losses(&set, y, exp(free), c.eta + j, c.slope + j, step) / set.n;
      nll += loss + free - log_density;
      if (b->n_free) c.free_slope[own] += (real)(1 - loss);
    }
    b->nll[i] = (real)nll;
  }
}

/* log Gamma(a) - a log a + a, and its derivative, without the cancellation of the two at large a. */
static double gamma_excess(double a, double *slope) {
  double product = 1, shift = 0, r = a, d;
  for (; r < 8; r += 1) product *= r, shift += 1 / r;
  const double s = stirling(r, &d), to_a = r > a ? r * log(r) - a * log(a) - (r - a) : 0;
  *slope = d - shift + (r > a ? log(r) - log(a) : 0);
  return s + (NN_LOG_2PI - log(r)) / 2 + to_a - log(product);
}

/* y above 0 counts as at least the smallest number of this precision, so that it has a log. */
static double log_of_positive(double y) {
  const double least = sizeof(real) == 4 ? 1.2e-38 : 2.3e-308;
  return log(y > least ? y : least);
}

/* Mean e^eta, shape a = e^free, d = log y - eta: a (e^d - d - 1) + log y + log Gamma(a) - a log a + a; slope a (1 - e^d) */
static inline void gamma_entry(entry *at) {
  double d_excess;
  const double a = exp(at->free[0]), log_y = log_of_positive(at->y), d = log_y - at->eta[0],
               more = expm1(d);
  at->nll = a * (more - d) + log_y + gamma_excess(a, &d_excess);
  at->slope[0] = -a * more;
  at->free_slope[0] = a * (more - d + d_excess);
}
NN_BY_ENTRY(gamma_nll, 1, gamma_entry)

/* Mean m = e^eta, shape l = e^free, u = y / m: l (u - 1)^2 / (2 y) + log(2 pi y^3 / l) / 2; slope -l u (u - 1) / y */
static inline void inverse_gaussian_entry(entry *at) {
  const double log_y = log_of_positive(at->y), d = log_y - at->eta[0], more = expm1(d),
               scaled = exp(at->free[0] - log_y) * more;
  at->nll = scaled * more / 2 + (NN_LOG_2PI + 3 * log_y - at->free[0]) / 2;
  at->slope[0] = -scaled * (more + 1);
  at->free_slope[0] = (scaled * more - 1) / 2;
}
NN_BY_ENTRY(inverse_gaussian, 1, inverse_gaussian_entry)

/* log(1 + e^x) and 1 / (1 + e^-x) */
static double log_1_exp(double x, double *sigmoid) {
  const double e = exp(x < 0 ? x : -x);
  *sigmoid = (x < 0 ? e : 1) / (1 + e);
  return (x > 0 ? x : 0) + log1p(e);
}

/* Mean m = 1 / (1 + e^-eta), precision f = e^free, a = m f, b = (1 - m) f, g(a) = log Gamma(a) - a log a + a:
 * g(a) + g(b) - g(f) + f [m log(m / y) + (1 - m) log((1 - m) / (1 - y))] + log y + log(1 - y);
 * slope (1 - m) a g'(a) - m b g'(b) + f m (1 - m) [eta - log(y / (1 - y))] */
static inline void beta_entry(entry *at) {
  const double below = sizeof(real) == 4 ? 5.96e-8 : 1.11e-16, f = exp(at->free[0]);
  double m, n, slope_a, slope_b, slope_f;
  const double log_n = -log_1_exp(at->eta[0], &m), log_m = -log_1_exp(-at->eta[0], &n),
               log_y = log_of_positive(at->y), log_1_y = log(at->y < 1 ? 1 - at->y : below),
               a = m * f > 1e-300 ? m * f : 1e-300, b = n * f > 1e-300 ? n * f : 1e-300,
               lost = m * (log_m - log_y) + n * (log_n - log_1_y);
  const double g = gamma_excess(a, &slope_a) + gamma_excess(b, &slope_b);
  at->nll = g - gamma_excess(f, &slope_f) + f * lost + log_y + log_1_y;
  at->slope[0] = n * a * slope_a - m * b * slope_b + f * m * n * (log_m - log_n - log_y + log_1_y);
  at->free_slope[0] = a * slope_a + b * slope_b - f * slope_f + f * lost;
}
NN_BY_ENTRY(beta_nll, 1, beta_entry)

/* A count that is 0 with probability p = 1 / (1 + e^-z), z = eta[1], beside what the entry has of the counts' distribution:
 * where y > 0, nll + log(1 + e^z); where y = 0, log(1 + e^z) - log(e^z + e^-nll), whose slopes are those of the counts times
 * w = 1 / (1 + e^(nll + z)). Lambert (1992). */
static inline void inflate(entry *at) {
  double p, w;
  const double softplus = log_1_exp(at->eta[1], &p), z = at->eta[1], least = at->nll;
  at->slope[1] = p;
  if (at->y > 0) {
    at->nll = softplus + least;
    return;
  }
  at->nll = softplus - z - log_1_exp(-least - z, &w);
  at->slope[0] *= w, at->free_slope[0] *= w;
  at->slope[1] = p - (1 - w);
}

static inline void zero_inflated_poisson_entry(entry *at) {
  const double mu = exp(at->eta[0]);
  at->nll = mu - at->y * at->eta[0] + vmath_log_factorial(at->y);
  at->slope[0] = mu - at->y;
  inflate(at);
}
NN_BY_ENTRY(zero_inflated_poisson, 2, zero_inflated_poisson_entry)

static inline void zero_inflated_negative_binomial_entry(entry *at) {
  double p, d_r = 0;
  const double y = at->y, r = exp(at->free[0]), d = at->eta[0] - at->free[0],
               softplus = log_1_exp(d, &p);
  const double rising = y > 0 ? vmath_log_rising(y, r, &d_r) - vmath_log_factorial(y) : 0;
  at->nll = (r + y) * softplus - y * d - rising;
  at->slope[0] = (r + y) * p - y;
  at->free_slope[0] = r * (softplus - d_r) - at->slope[0];
  inflate(at);
}
NN_BY_ENTRY(zero_inflated_negative_binomial, 2, zero_inflated_negative_binomial_entry)

/* clang-format off */
static const nn_family nn_families[] = {
    /* name            eta, y rows per response, least and most free scalars, most constants, nll, its expectation over eta */
    {"gaussian", 1, 1, 1, 1, 0, gaussian, gaussian_expected},
    {"gaussian_hetero", 2, 1, 0, 0, 0, gaussian_hetero, gaussian_hetero_expected},
    {"huber", 1, 1, 1, 1, 0, huber, NULL},
    {"quantile", NN_BY_CONSTANT, 1, 1, 1, NN_MAX_CONSTANTS, quantile, NULL},
    {"bernoulli", 1, 1, 0, 0, 0, bernoulli, NULL},
    {"binomial", 1, 2, 0, 0, 0, binomial, NULL},
    {"categorical", 1, 1, 0, 0, 0, categorical, NULL},
    {"poisson", 1, 1, 0, 0, 0, poisson, NULL},
    {"negative_binomial", 1, 1, 1, 1, 0, negative_binomial, NULL},
    {"student_t", 1, 1, 1, 2, 1, student_t, NULL},
    {"gamma", 1, 1, 1, 1, 0, gamma_nll, NULL},
    {"inverse_gaussian", 1, 1, 1, 1, 0, inverse_gaussian, NULL},
    {"beta", 1, 1, 1, 1, 0, beta_nll, NULL},
    {"zero_inflated_poisson", 2, 1, 0, 0, 0, zero_inflated_poisson, NULL},
    {"zero_inflated_negative_binomial", 2, 1, 1, 1, 0, zero_inflated_negative_binomial, NULL},
    {"ordinal", 1, 1, 1, NN_MAX_FREE, 0, ordinal, NULL},
    {"weibull", 1, 2, 1, 1, 0, weibull, NULL},
    {"lognormal", 1, 2, 1, 1, 0, lognormal, NULL},
    {"loglogistic", 1, 2, 1, 1, 0, loglogistic, NULL},
};
/* clang-format on */

static const nn_family *family_row(int row) {
  return row == NN_CUSTOM ? &nn_custom : &nn_families[row];
}

/* Rows of eta of a response. */
static int family_eta_rows(int row, int n_constants) {
  const int n = nn_families[row].eta_per_response;
  return n == NN_BY_CONSTANT ? (n_constants ? n_constants : 1) : n;
}

/* The same of a block; of a custom family what its program reads. */
static int eta_per_response(const nn_block_spec *b) {
  if (b->family != NN_CUSTOM) return family_eta_rows(b->family, b->n_constants);
  return b->program ? b->program->n_arguments - 1 - b->n_free : 0;
}
