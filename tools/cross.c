/* Runs the engine without R, with made-up models and data that are the same on every machine (tools/cross builds it):
 *   cross KERNEL            prints every number that this build of the engine gives, in both precisions
 *   cross speed             prints how fast products are, of each build
 *   cross compare A B       compares two such files, and fails where numbers differ by more than some thousand roundings
 * Each part runs with the stack at four addresses, 16 bytes apart: its numbers must not depend on it. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "engine/api.h"
#define USE_FC_LEN_T
#include <R_ext/BLAS.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
/* Roundings by which numbers may differ: 1e-12 in double precision. */
static const double roundings = 4503;

static void stop(const char *what, const char *which) {
  fprintf(stderr, "%s: %s\n", what, which);
  exit(1);
}

/* The plain product that stands for R's BLAS. */
void F77_NAME(dgemm)(const char *transa, const char *transb, const int *m, const int *n,
                     const int *k, const double *alpha, const double *a, const int *lda,
                     const double *b, const int *ldb, const double *beta, double *c, const int *ldc,
                     FC_LEN_T a_length, FC_LEN_T b_length) {
  (void)a_length, (void)b_length;
  for (int j = 0; j < *n; j++)
    for (int i = 0; i < *m; i++) {
      double sum = 0, *to = c + i + (size_t)j * (size_t)*ldc;
      for (int p = 0; p < *k; p++)
        sum += a[*transa == 'T' ? p + (size_t)i * (size_t)*lda : i + (size_t)p * (size_t)*lda] *
               b[*transb == 'T' ? j + (size_t)p * (size_t)*ldb : p + (size_t)j * (size_t)*ldb];
      *to = *alpha * sum + (*beta == 0 ? 0 : *beta * *to);
    }
}

/* ---- memory and numbers */

static void *take(size_t count, size_t size) {
  void *memory = calloc(count + 1, size);
  if (!memory) stop("there is no memory", "calloc()");
  return memory;
}

/* Numbers that are exact on every machine: uniforms in (0, 1) of 24 bits, and sums of twelve that are nearly normal. */
static double uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return ((double)(*state >> 40) + 0.5) / 16777216;
}

static double normal(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += uniform(state);
  return sum;
}

static double *normals(uint64_t *state, size_t n, double sd) {
  double *x = (double *)take(n, sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = sd * normal(state);
  return x;
}

static void fill(uint64_t *state, double (*make)(uint64_t *), void *out, size_t n,
                 size_t real_bytes) {
  for (size_t i = 0; i < n; i++)
    if (real_bytes == sizeof(double))
      ((double *)out)[i] = make(state);
    else
      ((float *)out)[i] = (float)make(state);
}
static void host_normal(void *context, void *out, size_t n, size_t real_bytes) {
  fill((uint64_t *)context, normal, out, n, real_bytes);
}
static void host_uniform(void *context, void *out, size_t n, size_t real_bytes) {
  fill((uint64_t *)context, uniform, out, n, real_bytes);
}
static int host_poll(void *context) {
  (void)context;
  return 0;
}
static int host_epoch(void *context, int epoch, const double *history, int n_columns) {
  (void)context, (void)epoch, (void)history, (void)n_columns;
  return NN_OK;
}

/* ---- what is run, and what it gives */

typedef struct {
  const nn_engine *engine;
  int single;
  double *number; /* all that was given so far */
  size_t n, room;
  int prints;
} session;

/* A block of numbers of one kind. Differences are in units of their size, or of `scale` where they are smaller. */
static void give(session *s, const char *what, size_t n, const double *x, double scale) {
  if (s->prints) printf("%s %s %zu %g\n", s->single ? "single" : "double", what, n, scale);
  for (size_t i = 0; i < n; i++) {
    union {
      double value;
      uint64_t bits;
    } of = {x[i]};
    if (isnan(x[i])) of.bits = 0x7ff8000000000000u; /* one of many */
    if (s->prints) printf("%016" PRIx64 "\n", of.bits);
    if (s->n == s->room) {
      s->room = 2 * s->room + 1024;
      s->number = (double *)realloc(s->number, s->room * sizeof(double));
      if (!s->number) stop("there is no memory", "realloc()");
    }
    s->number[s->n++] = of.value;
  }
}

static int row_of(const char *table, const char *name) {
  for (int t = 0; t < nn_n_registry; t++)
    for (int i = 0; !strcmp(nn_registry[t].table, table) && nn_registry[t].name(i); i++)
      if (!strcmp(nn_registry[t].name(i), name)) return i;
  stop("there is no such row", name);
  return -1;
}

static int property_of(const char *name, int row) {
  for (int i = 0; i < nn_n_properties; i++)
    if (!strcmp(nn_properties[i].name, name)) return nn_properties[i].of_row(row);
  stop("there is no such property", name);
  return -1;
}

static const nn_names *table_of(const char *table) {
  for (int t = 0; t < nn_n_registry; t++)
    if (!strcmp(nn_registry[t].table, table)) return &nn_registry[t];
  stop("there is no such table", table);
  return NULL;
}

/* ---- single kernels */

static void product_of(session *s, nn_matrices x, nn_compute compute, uint64_t *seed) {
  const size_t m = (size_t)x.m, n = (size_t)x.n, k = (size_t)x.k;
  double *a = normals(seed, m * k, 1), *b = normals(seed, k * n, 1),
         *start = normals(seed, x.start_columns * m, 1);
  x.a = a, x.b = b, x.start = start, x.c = (double *)take(m * n, sizeof(double));
  void *memory = take(s->engine->product(&x, &compute, NULL), 1);
  s->engine->product(&x, &compute, memory);
  give(s, "product", m * n, x.c, sqrt((double)k));
  free(a), free(b), free(start), free(x.c), free(memory);
}

static void products(session *s) {
  static const int edge[][3] = {{1, 1, 1},    {2, 3, 4},     {5, 4, 7},    {9, 8, 3},
                                {15, 5, 17},  {17, 2, 16},   {24, 9, 33},  {31, 13, 5},
                                {33, 7, 64},  {47, 8, 15},   {48, 16, 48}, {49, 1, 321},
                                {57, 12, 29}, {64, 31, 100}, {100, 5, 641}};
  uint64_t seed = 1;
  for (int i = 0; i < COUNT(edge); i++)
    for (int way = 0; way < 12; way++) {
      const int starts = way / 4;
      nn_matrices x = {.a_transposed = way & 1,
                       .b_transposed = way >> 1 & 1,
                       .m = edge[i][0],
                       .n = edge[i][1],
                       .k = edge[i][2]};
      x.start_columns = starts == 2 ? (size_t)x.n : (size_t)starts;
      product_of(s, x, (nn_compute){INFINITY, 1}, &seed);
    }
  const nn_matrices large = {.m = 130, .n = 120, .k = 70, .start_columns = 1};
  product_of(s, large, (nn_compute){INFINITY, 2}, &seed);
  product_of(s, large, (nn_compute){0, 1}, &seed);
}

/* Every function at numbers of all sizes that it takes. */
static void functions(session *s) {
  enum { N = 4001 };
  static const struct {
    const char *name;
    double from, to, scale;
  } within[] = {{"log", 1e-30, 1e30, 0},    {"log1p_unit", 0, 1, 0},  {"expm1", -40, 0, 0},
                {"log1p", -0.99, 1e6, 0},   {"lgamma", 1e-3, 1e6, 0}, {"digamma", 1e-3, 1e6, 0},
                {"trigamma", 1e-3, 1e6, 0}, {"sin", -100, 100, 1},    {"cos", -100, 100, 1},
                {"normal_cdf", -8, 8, 0},   {"tanh", -20, 20, 0}};
  const nn_names *all = table_of("function");
  double *x = (double *)take(N, sizeof *x), *y = (double *)take(N, sizeof *y);
  for (int f = 0; all->name(f); f++) {
    double from = -80, to = 80, scale = s->single ? 1e-3 : 1e-6;
    uint64_t seed = 3;
    for (int i = 0; i < COUNT(within); i++)
      if (!strcmp(within[i].name, all->name(f))) {
        from = within[i].from, to = within[i].to;
        if (within[i].scale > 0) scale = within[i].scale;
      }
    for (int i = 0; i < N; i++) {
      const double u = uniform(&seed), v = uniform(&seed) < 0.5 ? u : u * u * u * u * u * u;
      x[i] = from + (to - from) * v;
    }
    void *memory = take(s->engine->math(f, N, NULL, NULL, NULL), 1);
    s->engine->math(f, N, x, y, memory);
    give(s, all->name(f), N, y, scale);
    free(memory);
  }
  uint64_t seed = 4;
  for (int i = 0; i < N; i++) x[i] = uniform(&seed);
  if (s->engine->normal_quantiles) {
    s->engine->normal_quantiles(N, x, y);
    give(s, "quantiles", N, y, 1e-3);
  }
  for (int kind = 0; kind < 3; kind++) {
    const nn_place place = {{12345, 4000000000u}, 3, 70000, 4294967290u};
    s->engine->draw(kind, &place, N / 4, y);
    give(s, "draws", kind ? N / 4 : N / 4 * 4, y, 1e-3);
  }
  free(x), free(y);
}

/* The root of a matrix, the moments of a column, the quantiles of mixtures. */
static void summaries(session *s) {
  enum { N = 75, K = 100, P = 3 };
  uint64_t seed = 5;
  const nn_compute compute = {INFINITY, 1};
  double *x = normals(&seed, K * N, 1), *a = (double *)take(N * N, sizeof *a),
         *one = (double *)take(K * N, sizeof *one), *out = (double *)take(N * N, sizeof *out);
  for (int i = 0; i < K * N; i++) one[i] = 1;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      for (int p = 0; p < K; p++) a[i + j * N] += x[p + i * K] * x[p + j * K] / K;
  nn_root root = {N, a, one, out};
  void *memory = take(s->engine->root(&root, &compute, NULL), 1);
  s->engine->root(&root, &compute, memory);
  give(s, "root", N * N, out, 1);
  free(memory);
  if (!s->single) {
    nn_moments m;
    s->engine->moments(K * N, x, one, &m);
    const double found[] = {m.n,   m.n_missing, m.total,     m.mean, m.squares,
                            m.min, m.max,       m.is_binary, m.order};
    give(s, "moments", COUNT(found), found, 1);
  }
  const double p[P] = {0.025, 0.5, 0.9}, z[P] = {-1.959963984540054, 0, 1.2815515655446004};
  double *weight = (double *)take(K, sizeof *weight), sd = 0.5;
  for (int i = 0; i < K; i++) weight[i] = 1.0 / K;
  nn_mixture mixture = {N, K, 1, P, x, &sd, weight, p, z, out};
  memory = take(s->engine->mixture(&mixture, NULL), 1);
  s->engine->mixture(&mixture, memory);
  give(s, "mixture", N * P, out, 1);
  free(memory), free(x), free(a), free(one), free(out), free(weight);
}

/* ---- models: trained, run, and what they are made of */

enum { MOST_LAYERS = 8 };
typedef struct {
  const char *kind;
  int size;
  const char *option;
  double setting;
} a_layer;

typedef struct {
  const char *name, *posterior, *prior, *estimator, *optimizer, *family;
  int n_x, n_responses, has_key, threads, batch_size, epochs, importance;
  double scale; /* of its gradient: a difference of codes is divided by a small square */
  a_layer layer[MOST_LAYERS];
} a_model;

// clang-format off
static const a_model models[] = {
    {"network", "point", "flat", "weight", "adam", "gaussian", 7, 2, 0, 1, 16, 3, 1, 1,
     {{"dense", 37, "bias", 0}, {"activate", 0, "tanh", 0}, {"dropout", 0, "", 0.1}, {"dense", 21, "bias", 0},
      {"layer_norm", 0, "", 0}, {"activate", 0, "gelu", 0}, {"dense", 2, "bias", 0}}},
    {"wide network", "point", "normal", "weight", "rmsprop", "categorical", 30, 5, 1, 2, 128, 2, 1, 1,
     {{"dense", 150, "bias", 0}, {"activate", 0, "relu", 0}, {"dense", 100, "bias", 0}, {"activate", 0, "silu", 0},
      {"dense", 5, "bias", 0}}},
    {"quasi-Newton", "point", "normal", "weight", "lbfgs", "poisson", 5, 1, 0, 1, 203, 4, 1, 1,
     {{"dense", 9, "bias", 0}, {"activate", 0, "softplus", 0}, {"dense", 1, "bias", 0}}},
    {"random weights", "meanfield", "normal", "weight", "adam", "bernoulli", 6, 3, 1, 1, 32, 3, 1, 1,
     {{"dense", 17, "bias", 0}, {"activate", 0, "elu", 0}, {"dense", 3, "bias", 0}}},
    {"random units", "meanfield", "mixture", "local", "momentum", "student_t", 6, 1, 0, 1, 32, 3, 1, 1,
     {{"dense", 17, "bias", 0}, {"activate", 0, "leaky_relu", 0}, {"dense", 1, "bias", 0}}},
    {"moments", "meanfield", "normal", "exact", "adam", "gaussian_hetero", 6, 1, 0, 1, 32, 3, 1, 1,
     {{"dense", 17, "bias", 0}, {"activate", 0, "relu", 0}, {"dense", 2, "bias", 0}}},
    {"last layer", "last_layer", "normal", "weight", "adagrad", "negative_binomial", 6, 1, 1, 1, 32, 3, 1, 1,
     {{"dense", 11, "bias", 0}, {"activate", 0, "sigmoid", 0}, {"dense", 1, "bias", 0}}},
    {"dependent weights", "full", "laplace", "weight", "nesterov", "gamma", 4, 1, 1, 1, 32, 3, 1, 1,
     {{"dense", 5, "bias", 0}, {"activate", 0, "selu", 0}, {"dense", 1, "bias", 0}}},
    {"few factors", "lowrank", "normal", "weight", "adamw", "beta", 6, 1, 1, 1, 32, 3, 1, 1,
     {{"dense", 13, "bias", 0}, {"activate", 0, "tanh", 0}, {"dense", 1, "bias", 0}}},
    {"variational autoencoder", "point", "flat", "weight", "adam", "bernoulli", 12, 12, 1, 2, 64, 3, 4, 1,
     {{"noise", 0, "", 0.1}, {"dense", 25, "bias", 0}, {"activate", 0, "tanh", 0}, {"latent", 4, "meanfield", 0},
      {"dense", 25, "bias", 0}, {"activate", 0, "tanh", 0}, {"dense", 12, "bias", 0}}},
    {"autoencoder", "point", "flat", "weight", "sgd", "gaussian", 12, 12, 0, 1, 64, 3, 1, 1e3,
     {{"mask", 0, "", 0.2}, {"dense", 8, "bias", 0}, {"contract", 0, "", 0.1}, {"sparse", 0, "", 0.01},
      {"latent", 8, "point", 0}, {"tied", 1, "", 0}}},
};
// clang-format on

static nn_layer_spec layer_of(const a_layer *l) {
  const int kind = row_of("layer", l->kind);
  const char *table = nn_layer_option(kind);
  const int option = !strcmp(table, "bias") ? !strcmp(l->option, "bias")
                     : *table               ? row_of(table, l->option)
                                            : 0;
  return (nn_layer_spec){kind, l->size, option, l->setting};
}

/* A response [n, rows of y] that the family can have. */
static double *response_of(uint64_t *seed, const char *family, size_t n, size_t responses) {
  static const char *const times[] = {"weibull", "lognormal", "loglogistic"},
                           *const counts[] = {"poisson", "negative_binomial",
                                              "zero_inflated_poisson",
                                              "zero_inflated_negative_binomial", "ordinal"},
                           *const shares[] = {"beta", "gamma", "inverse_gaussian"};
  int is_time = 0, is_count = 0, is_share = 0;
  for (int i = 0; i < COUNT(times); i++) is_time |= !strcmp(family, times[i]);
  for (int i = 0; i < COUNT(counts); i++) is_count |= !strcmp(family, counts[i]);
  for (int i = 0; i < COUNT(shares); i++) is_share |= !strcmp(family, shares[i]);
  const int is_binary = !strcmp(family, "bernoulli"), is_one = !strcmp(family, "categorical"),
            is_binomial = !strcmp(family, "binomial");
  const size_t rows = responses * (is_time || is_binomial ? 2 : 1);
  double *y = (double *)take(n * rows, sizeof *y);
  for (size_t j = 0; j < rows; j++)
    for (size_t i = 0; i < n; i++) {
      const double u = uniform(seed), successes = is_binomial && j >= responses ? 3 : floor(3 * u);
      y[i + j * n] = is_time       ? (j < responses ? u + 0.1 : u < 0.6)
                     : is_count    ? floor(3 * u)
                     : is_share    ? u
                     : is_binary   ? u < 0.4
                     : is_one      ? (i * 7 % 11) % responses == j
                     : is_binomial ? successes
                                   : 2 * u - 1 + (i % 3 == 0);
    }
  return y;
}

typedef struct {
  const a_model *of;
  nn_spec spec;
  nn_layer_spec layer[MOST_LAYERS];
  nn_block_spec block;
  nn_info info;
  void *memory, *model;
  double *x, *y, *theta;
  uint64_t seed;
} model;

/* Parameters as for the start of a training. */
static void start_model(session *s, model *m) {
  m->theta = (double *)take(m->info.n_par, sizeof(double));
  for (int i = 0; i < m->info.n_leaves; i++) {
    nn_leaf leaf;
    s->engine->leaf(m->model, i, &leaf);
    const double sd = leaf.part == 0 && leaf.role == NN_WEIGHT ? 1 / sqrt(leaf.cols) : 0.05,
                 mean = leaf.part == 1         ? -3
                        : leaf.role == NN_GAIN ? 1
                                               : 0;
    double *to = m->theta + leaf.offset;
    for (size_t k = 0; k < (size_t)leaf.rows * (size_t)leaf.cols; k++)
      to[k] = mean + sd * normal(&m->seed);
  }
}

enum { N_ROWS = 203, ALIGN = 64 };

static void model_of(session *s, const a_model *of, model *m) {
  static const double fixed[2] = {0, 2};
  *m = (model){.of = of, .seed = 6};
  int n = 0;
  for (; n < MOST_LAYERS && of->layer[n].kind; n++) m->layer[n] = layer_of(&of->layer[n]);
  const int family = row_of("family", of->family), least = property_of("family_min_free", family),
            is_ordinal = !strcmp(of->family, "ordinal");
  m->block = (nn_block_spec){.family = family,
                             .n_responses = of->n_responses,
                             .noise = least ? NN_EACH : NN_FIXED,
                             .n_free = is_ordinal ? 2 : property_of("family_max_free", family),
                             .fixed = fixed};
  m->spec =
      (nn_spec){.n_x = of->n_x,
                .n_layers = n,
                .n_blocks = 1,
                .posterior = row_of("posterior", of->posterior),
                .rank = 2,
                .estimator = row_of("estimator", of->estimator),
                .prior = {.kind = row_of("prior", of->prior), .sd = 0.8, .share = 0.5, .sd2 = 0.1},
                .penalty = 0.01};
  m->spec.layer = m->layer, m->spec.block = &m->block;
  char *memory = (char *)take(s->engine->model_bytes(&m->spec) + ALIGN, 1);
  m->memory = memory, m->model = memory + (ALIGN - (uintptr_t)memory % ALIGN) % ALIGN;
  if (s->engine->build(m->model, &m->spec) != NN_OK) stop("the engine refuses a model", of->name);
  s->engine->describe(m->model, &m->info);
  m->x = normals(&m->seed, (size_t)(N_ROWS * of->n_x), 1);
  m->y = response_of(&m->seed, of->family, N_ROWS, (size_t)of->n_responses);
  start_model(s, m);
}

static nn_host host_of(model *m) {
  return (nn_host){.context = &m->seed,
                   .normal = host_normal,
                   .uniform = host_uniform,
                   .poll = host_poll,
                   .epoch = host_epoch,
                   .compute = {INFINITY, m->of->threads},
                   .has_key = m->of->has_key,
                   .knows_key = m->of->has_key,
                   .key = {7, 8}};
}

static void run_model(session *s, model *m, nn_want want, nn_mode mode, int draws) {
  int status = NN_OK;
  nn_run r = {.data = {.n = N_ROWS, .n_source = N_ROWS, .x = m->x, .y = m->y},
              .theta = m->theta,
              .want = want,
              .mode = mode,
              .draws = draws,
              .host = host_of(m)};
  void *memory = take(s->engine->run(m->model, &r, NULL, NULL), 1);
  const size_t n = (size_t)N_ROWS * (size_t)r.rows * (size_t)draws;
  r.out = (double *)take(n, sizeof(double));
  s->engine->run(m->model, &r, memory, &status);
  if (status != NN_OK) stop("a run does not end", m->of->name);
  give(s, "run", n, r.out, 1);
  free(memory), free(r.out);
}

static void train_model(session *s, model *m) {
  const int optimizer = row_of("optimizer", m->of->optimizer);
  const size_t n_par = m->info.n_par, n_state = n_par * (size_t)nn_optimizer_slots(optimizer) + 1,
               n_history = (size_t)m->of->epochs * (size_t)(3 + 2 * m->info.n_terms);
  nn_job j = {.train = {.n = N_ROWS, .n_source = N_ROWS, .x = m->x, .y = m->y},
              .optimizer = optimizer,
              .schedule = row_of("schedule", "cosine"),
              .epochs = m->of->epochs,
              .batch_size = m->of->batch_size,
              .mc_samples = 1,
              .importance = m->of->importance,
              .learn_rate = 0.005,
              .momentum = 0.9,
              .clip_norm = 10,
              .theta = m->theta};
  for (int i = 0; i < NN_N_TERM_KINDS; i++) j.coefficient[i] = 1;
  j.state = (double *)take(n_state, sizeof(double)),
  j.history = (double *)take(n_history, sizeof(double));
  j.host = host_of(m);
  double loss, *gradient = (double *)take(n_par, sizeof(double));
  void *memory = take(s->engine->gradient(m->model, &j, NULL, NULL, NULL), 1);
  s->engine->gradient(m->model, &j, memory, &loss, gradient);
  give(s, "loss", 1, &loss, 1), give(s, "gradient", n_par, gradient, m->of->scale);
  free(memory), free(gradient);
  int status = NN_OK;
  memory = take(s->engine->train(m->model, &j, NULL, NULL), 1);
  s->engine->train(m->model, &j, memory, &status);
  if (status != NN_OK && status != NN_CONVERGED) stop("a training fails", m->of->name);
  give(s, "history", n_history, j.history, 1), give(s, "theta", n_par, m->theta, 1);
  free(memory), free(j.state), free(j.history);
}

/* The sum of J'J of the first parameters. */
static void jacobian_of(session *s, model *m) {
  const size_t n_active = m->info.n_par < 40 ? m->info.n_par : 40, n_eta = (size_t)m->info.n_eta;
  size_t *active = (size_t *)take(n_active, sizeof *active);
  double *seed = (double *)take(n_eta * n_eta, sizeof *seed);
  for (size_t i = 0; i < n_active; i++) active[i] = i;
  for (size_t i = 0; i < n_eta; i++) seed[i + i * n_eta] = 1;
  nn_jacobian j = {.data = {.n = N_ROWS, .n_source = N_ROWS, .x = m->x},
                   .theta = m->theta,
                   .active = active,
                   .n_active = n_active,
                   .seed = seed,
                   .seed_rows = 1,
                   .n_seeds = m->info.n_eta,
                   .want = NN_WANT_GRAM};
  j.host = host_of(m), j.out = (double *)take(n_active * n_active, sizeof(double));
  int status = NN_OK;
  void *memory = take(s->engine->jacobian(m->model, &j, NULL, NULL), 1);
  s->engine->jacobian(m->model, &j, memory, &status);
  if (status != NN_OK) stop("slopes fail", m->of->name);
  give(s, "slopes", n_active * n_active, j.out, 100);
  free(active), free(seed), free(j.out), free(memory);
}

static void try_model(session *s, const a_model *of) {
  model m;
  model_of(s, of, &m);
  train_model(s, &m);
  run_model(s, &m, NN_WANT_ETA, NN_MODE_MEAN, 1);
  run_model(s, &m, NN_WANT_TERMS, NN_MODE_SAMPLE, 2);
  if (m.info.z_rows) run_model(s, &m, NN_WANT_Z, NN_MODE_MEAN, 1);
  if (!strcmp(of->posterior, "point") && !m.info.z_rows) jacobian_of(s, &m);
  free(m.memory), free(m.x), free(m.y), free(m.theta);
}

static void networks(session *s) {
  for (int i = 0; i < COUNT(models); i++) try_model(s, &models[i]);
}

/* A small network for each family. */
static void families(session *s) {
  const nn_names *all = table_of("family");
  for (int f = 0; all->name(f); f++) {
    const int responses = !strcmp(all->name(f), "categorical") ? 3
                          : !strcmp(all->name(f), "ordinal")   ? 1
                                                               : 2;
    const a_model small = {
        .name = all->name(f),
        .posterior = "point",
        .prior = "normal",
        .estimator = "weight",
        .optimizer = "adam",
        .family = all->name(f),
        .n_x = 4,
        .n_responses = responses,
        .threads = 1,
        .batch_size = 50,
        .epochs = 2,
        .importance = 1,
        .scale = 1,
        .layer = {{"dense", 6, "bias", 0},
                  {"activate", 0, "tanh", 0},
                  {"dense", responses * property_of("family_eta", f), "bias", 0}}};
    try_model(s, &small);
  }
}

/* ---- at every address of the stack */

static void (*const parts[])(session *s) = {products, functions, summaries, networks, families};

static void call(session *s, void (*part)(session *s), unsigned *seen) {
  *seen |= 1u << ((uintptr_t)__builtin_frame_address(0) / 16 % 4);
  part(s);
}
static void (*volatile call_it)(session *s, void (*part)(session *s), unsigned *seen) = call;

/* The stack is lower by some times 16 bytes. */
static void call_shifted(session *s, void (*part)(session *s), int times, unsigned *seen) {
  volatile char *room = (volatile char *)__builtin_alloca((size_t)(16 * times + 16));
  room[0] = 0;
  call_it(s, part, seen);
  room[0] = 1;
}

static void run_all(const char *kernel, int single) {
  session s = {.engine = nn_engine_of(kernel, single), .single = single};
  if (!s.engine) stop("this processor has no such kernel", kernel);
  for (int p = 0; p < COUNT(parts); p++) {
    session first = s;
    unsigned seen = 0;
    for (int times = 0; times < 4; times++) {
      session again = s;
      again.prints = !times, again.number = NULL, again.n = again.room = 0;
      call_shifted(&again, parts[p], times, &seen);
      if (!times)
        first = again;
      else if (again.n != first.n || memcmp(again.number, first.number, first.n * sizeof(double)))
        stop("numbers depend on the stack's address", kernel);
      if (times) free(again.number);
    }
    if (seen != 15) stop("the stack was not at all four addresses", kernel);
    free(first.number);
  }
}

/* ---- how fast products are */

enum { SIZE = 256, ROUNDS = 200, MOST_KERNELS = 8 };

static const nn_compute alone = {INFINITY, 1};

static double seconds_of(const nn_engine *engine, nn_matrices *x, void *memory) {
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  engine->product(x, &alone, memory);
  clock_gettime(CLOCK_MONOTONIC, &to);
  return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* The best of several rounds, in which the kernels take turns. */
static void speed(void) {
  const size_t n = (size_t)SIZE * SIZE;
  uint64_t seed = 9;
  nn_matrices x = {.m = SIZE, .n = SIZE, .k = SIZE, .a = normals(&seed, n, 1)};
  x.b = x.start = x.a, x.c = (double *)take(n, sizeof(double));
  for (int single = 0; single < 2; single++) {
    double best[MOST_KERNELS];
    int last = 0;
    size_t bytes = 0;
    for (int i = 0; nn_kernel(i); last = i++) {
      const size_t own = nn_engine_of(nn_kernel(i), single)->product(&x, &alone, NULL);
      bytes = own > bytes ? own : bytes;
    }
    void *memory = take(bytes, 1);
    for (int round = 0; round < ROUNDS; round++)
      for (int i = 0; nn_kernel(i); i++) {
        const double seconds = seconds_of(nn_engine_of(nn_kernel(i), single), &x, memory);
        if (!round || seconds < best[i]) best[i] = seconds;
      }
    for (int i = 0; i <= last; i++)
      printf("%s %-7s %6.1f GFlop/s, %.1f times the base kernel\n", single ? "single" : "double",
             nn_kernel(i), 2e-9 * SIZE * SIZE * SIZE / best[i], best[last] / best[i]);
    free(memory);
  }
  free((void *)x.a), free(x.c);
}

/* ---- comparing */

static double number_in(FILE *file, const char *name) {
  union {
    uint64_t bits;
    double value;
  } of;
  if (fscanf(file, "%" SCNx64, &of.bits) != 1) stop("a number is missing", name);
  return of.value;
}

static int compare(const char *name_a, const char *name_b) {
  FILE *a = fopen(name_a, "r"), *b = fopen(name_b, "r");
  char precision[8], what[32], precision_b[8], what_b[32];
  double n, n_b, scale, scale_b, all = 0, same = 0, worst[2] = {0, 0};
  int failed = 0;
  if (!a || !b) stop("there is no such file", a ? name_b : name_a);
  while (fscanf(a, "%7s %31s %lf %lf", precision, what, &n, &scale) == 4) {
    if (fscanf(b, "%7s %31s %lf %lf", precision_b, what_b, &n_b, &scale_b) != 4 ||
        strcmp(precision, precision_b) || strcmp(what, what_b) || n != n_b)
      stop("other numbers are given", what);
    const int single = !strcmp(precision, "single");
    const double unit = single ? FLT_EPSILON : DBL_EPSILON;
    for (double i = 0; i < n; i++) {
      const double x = number_in(a, name_a), y = number_in(b, name_b);
      const double off =
          x == y || (isnan(x) && isnan(y)) ? 0 : fabs(x - y) / (unit * fmax(fabs(x), scale));
      all++, same += off == 0;
      if (!(off <= worst[single])) worst[single] = off;
      if (!(off <= roundings)) {
        if (failed++ < 20)
          printf("%s %s: number %g is %.17g and %.17g, %g roundings\n", precision, what, i, x, y,
                 off);
      }
    }
  }
  if (fscanf(b, "%7s", what_b) == 1) stop("other numbers are given", what_b);
  if (all == 0) stop("there are no numbers in", name_a);
  printf("%.0f numbers, %.2f %% the same to the last bit; differences: at most %.3g (double), %.3g "
         "(single) roundings\n",
         all, 100 * same / all, worst[0], worst[1]);
  fclose(a), fclose(b);
  return failed > 0;
}

int main(int n, char **argument) {
  if (n == 4 && !strcmp(argument[1], "compare")) return compare(argument[2], argument[3]);
  if (n != 2) stop("usage", "cross KERNEL | kernels | speed | compare A B");
  if (!strcmp(argument[1], "speed")) {
    speed();
  } else if (!strcmp(argument[1], "kernels")) {
    for (int i = 0; nn_kernel(i); i++) printf("%s\n", nn_kernel(i));
  } else {
    run_all(argument[1], 0);
    run_all(argument[1], 1);
  }
  return 0;
}
