/* The entry points: R's vectors become the engine's arguments, R's generator its noise, R's interrupts its poll. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "glue.h"
#include "threads.h"
#include <R_ext/Random.h>
#include <R_ext/Utils.h>
#include <Rmath.h>

/* The engine's host: closures of R, and R's random numbers. */
typedef struct {
  SEXP poll, epoch; /* calls; R_NilValue: none */
  SEXP failed;      /* takes an error of these; R_NilValue: it jumps */
  void (*quantiles)(size_t n, const double *p, double *z); /* NULL: R makes normals another way */
  clock_t polled;                                          /* when R was asked */
} r_host;

/* Normals of R's stream, as norm_rand() gives them, to rounding. By inversion, R's default, each is the quantile of two
 * uniforms, of which the first has 27 bits. */
static void normal(void *context, void *out, size_t n, size_t real_bytes) {
  enum { PIECE = 256 };
  const r_host *h = (const r_host *)context;
  const double big = 134217728;
  double p[PIECE], z[PIECE];
  for (size_t done = 0; done < n; done += PIECE) {
    const size_t left = n - done < PIECE ? n - done : PIECE;
    for (size_t i = 0; !h->quantiles && i < left; i++) z[i] = norm_rand();
    for (size_t i = 0; h->quantiles && i < left; i++) {
      const double high = (int)(big * unif_rand());
      p[i] = (high + unif_rand()) / big;
    }
    if (h->quantiles) h->quantiles(left, p, z);
    if (real_bytes == sizeof(double))
      memcpy((double *)out + done, z, left * sizeof(double));
    else
      for (size_t i = 0; i < left; i++) ((float *)out)[done + i] = (float)z[i];
  }
}

static void uniform(void *context, void *out, size_t n, size_t real_bytes) {
  (void)context;
  if (real_bytes == sizeof(double))
    for (size_t i = 0; i < n; i++) ((double *)out)[i] = unif_rand();
  else
    for (size_t i = 0; i < n; i++) ((float *)out)[i] = (float)unif_rand();
}

static SEXP evaluate(void *call) { return Rf_eval((SEXP)call, R_BaseEnv); }

static SEXP fail(SEXP condition, void *failed) {
  SEXP call = PROTECT(Rf_lang2((SEXP)failed, condition));
  Rf_eval(call, R_BaseEnv);
  UNPROTECT(1);
  return Rf_ScalarLogical(1);
}

/* R code may jump or draw: the generator's state is R's while it runs. TRUE means stop. Without a call an interrupt or a time
 * limit jumps; a call is to look for them itself, by C_poll. Caught here, a time limit cannot strike on the way to
 * R's own tryCatch(). */
static int ask(SEXP call, SEXP failed) {
  int stop = 0;
  PutRNGstate();
  if (call == R_NilValue) {
    R_CheckUserInterrupt();
  } else {
    SEXP answer =
        failed == R_NilValue ? evaluate(call) : R_tryCatchError(evaluate, call, fail, failed);
    PROTECT(answer);
    stop = TYPEOF(answer) == LGLSXP && Rf_xlength(answer) == 1 && LOGICAL(answer)[0] == 1;
    UNPROTECT(1);
  }
  GetRNGstate();
  return stop;
}

/* The engine asks often, R fifty times a second. */
static int poll(void *context) {
  r_host *h = (r_host *)context;
  const clock_t now = clock();
  if (now - h->polled < CLOCKS_PER_SEC / 50) return 0;
  h->polled = now;
  return ask(h->poll, h->failed);
}

SEXP C_poll(void) {
  R_CheckUserInterrupt();
  return R_NilValue;
}

static int epoch(void *context, int number, const double *history, int n_columns) {
  r_host *h = (r_host *)context;
  if (h->epoch == R_NilValue) return 0;
  SEXP row = PROTECT(Rf_allocVector(REALSXP, n_columns));
  memcpy(REAL(row), history, (size_t)n_columns * sizeof(double));
  SEXP call = PROTECT(Rf_lang3(h->epoch, PROTECT(Rf_ScalarInteger(number)), row));
  int stop = ask(call, h->failed);
  UNPROTECT(3);
  return stop ? NN_STOPPED : ask(h->poll, h->failed) ? NN_INTERRUPTED : NN_OK;
}

static SEXP function_or_null(SEXP f, const char *name) {
  if (f != R_NilValue && TYPEOF(f) != CLOSXP) Rf_error("'%s' must be a function or NULL", name);
  return f;
}

static nn_compute compute_of(SEXP options) {
  SEXP list = list_get(options, "compute");
  nn_compute compute = {.blas_from = field_number(list, "blas_from", 0, INFINITY),
                        .threads = field_int(list, "threads", 1, 1024)};
  return compute;
}

static const nn_engine *build_of(int single) {
  const char *asked = getenv("VARNN_KERNEL");
  const nn_engine *engine = nn_engine_of(asked && *asked ? asked : NULL, single);
  if (!engine) Rf_error("VARNN_KERNEL is '%s': this machine has no such kernel", asked);
  return engine;
}

static const nn_engine *engine_of(SEXP options) {
  return build_of(field_int(list_get(options, "compute"), "single", 0, 1));
}

/* A whole number below 2^32. */
static unsigned word_of(double x) { return x >= 0 && x < 4294967296.0 ? (unsigned)x : 0; }

static nn_host host_of(r_host *h, SEXP options) {
  if (field_int(list_get(options, "compute"), "inversion", 0, 1))
    h->quantiles = build_of(0)->normal_quantiles;
  h->polled = clock();
  nn_host host = {.context = h,
                  .normal = normal,
                  .uniform = uniform,
                  .poll = poll,
                  .epoch = epoch,
                  .compute = compute_of(options),
                  .has_key = field_int(list_get(options, "compute"), "fast_rng", 0, 1)};
  SEXP key = list_get(list_get(options, "compute"), "key");
  if (key == R_NilValue) return host;
  if (TYPEOF(key) != REALSXP || Rf_xlength(key) != 2) Rf_error("'key' must be two numbers");
  host.has_key = host.knows_key = 1;
  for (int i = 0; i < 2; i++) host.key[i] = word_of(REAL(key)[i]);
  return host;
}

static unsigned random_word(void) { return (unsigned)(unif_rand() * 4294967296.0); }

/* R's generator is ours from here; the engine's own takes its key from it, where it was not given one. */
static void begin_noise(nn_host *host) {
  GetRNGstate();
  if (host->has_key && !host->knows_key) host->key[0] = random_word(), host->key[1] = random_word();
}

/* A double matrix with n rows and this many columns, or NULL where it may be absent. */
static const double *matrix_field(SEXP data, const char *name, size_t n, int columns,
                                  int is_required) {
  SEXP x = list_get(data, name);
  if (x == R_NilValue && !is_required) return NULL;
  if (TYPEOF(x) != REALSXP || (double)Rf_xlength(x) != (double)n * columns)
    Rf_error("'%s' must be a numeric matrix of %.0f rows and %d columns", name, (double)n, columns);
  return REAL(x);
}

static void check_finite(const double *x, double count, const char *name, double low) {
  for (double i = 0; x && i < count; i++)
    if (!(x[(size_t)i] >= low && x[(size_t)i] < INFINITY))
      Rf_error("'%s' has values that are not finite or too small", name);
}

/* R's list(n, x, y, offset, weight, center, scale, row): what is there has the model's dimensions. */
static nn_source source_of(SEXP data, const nn_spec *spec, const nn_info *info, int needs_x,
                           int needs_y) {
  nn_source s;
  memset(&s, 0, sizeof s);
  if (TYPEOF(data) != VECSXP) Rf_error("the data must be a list");
  s.n = s.n_source = (size_t)field_number(data, "n", 0, 4503599627370496.0);
  s.x = matrix_field(data, "x", s.n, spec->n_x, needs_x);
  s.y = matrix_field(data, "y", s.n, info->n_y, needs_y);
  s.offset = matrix_field(data, "offset", s.n, info->n_eta, spec->has_offset);
  s.weight = matrix_field(data, "weight", s.n, 1, 0);
  s.center = matrix_field(data, "center", (size_t)spec->n_x, 1, 0);
  s.scale = matrix_field(data, "scale", (size_t)spec->n_x, 1, 0);
  check_finite(s.scale, spec->n_x, "scale", 1e-300);
  check_finite(s.center, spec->n_x, "center", -1.7e308);
  check_finite(s.weight, (double)s.n, "weight", 0);
  SEXP same = list_get(data, "same");
  s.y_is_x = TYPEOF(same) == LGLSXP && Rf_xlength(same) == 1 && LOGICAL(same)[0] == 1;
  if (s.y_is_x && (!needs_y || spec->n_x != info->n_y)) Rf_error("'y' cannot be 'x'");
  SEXP row = list_get(data, "row");
  if (row == R_NilValue) return s;
  if (TYPEOF(row) != REALSXP) Rf_error("'row' must be row numbers");
  size_t *index = (size_t *)R_alloc(Rf_xlength(row), sizeof(size_t));
  s.n = (size_t)Rf_xlength(row);
  for (size_t i = 0; i < s.n; i++) {
    if (!(REAL(row)[i] >= 1 && REAL(row)[i] <= (double)s.n_source))
      Rf_error("'row' has a number outside of the data");
    index[i] = (size_t)REAL(row)[i] - 1;
  }
  s.row = index;
  return s;
}

/* A copy of parameters, checked. */
static SEXP copy_parameters(SEXP theta, size_t n, const char *name) {
  if (TYPEOF(theta) != REALSXP || (size_t)Rf_xlength(theta) != n)
    Rf_error("the model is damaged: '%s' must be numeric of length %.0f, and is of length %.0f",
             name, (double)n, (double)Rf_xlength(theta));
  if (!build_of(0)->all_finite(n, REAL(theta)))
    Rf_error("the model is damaged: '%s' is not finite", name);
  return Rf_duplicate(theta);
}

/* A copy of an optimizer's state, checked; where there is none that of a fresh start, 0. */
static SEXP copy_state(SEXP state, size_t n) {
  if (state != R_NilValue) return copy_parameters(state, n, "state");
  SEXP fresh = Rf_allocVector(REALSXP, (R_xlen_t)n);
  memset(REAL(fresh), 0, n * sizeof(double));
  return fresh;
}

static nn_job job_of(SEXP job) {
  nn_job j;
  memset(&j, 0, sizeof j);
  SEXP coefficient = field_of(job, "coefficient", REALSXP, NN_N_TERM_KINDS);
  for (int k = 0; k < NN_N_TERM_KINDS; k++) j.coefficient[k] = REAL(coefficient)[k];
  j.mc_samples = field_int(job, "mc_samples", 1, 1000000);
  j.importance = field_int(job, "importance", 1, 1000000);
  j.kl_warmup = field_int(job, "kl_warmup", 0, 2147483647);
  j.batch_size = field_int(job, "batch_size", 1, 2147483647);
  return j;
}

static void training_of(SEXP job, nn_job *j) {
  j->optimizer = field_row(job, "optimizer", "optimizer");
  j->schedule = field_row(job, "schedule", "schedule");
  j->epochs = field_int(job, "epochs", 0, 100000000);
  j->epochs_before = field_int(job, "epochs_before", 0, 100000000);
  j->patience = field_int(job, "patience", 0, 2147483647);
  j->learn_rate = field_number(job, "learn_rate", 0, 1e100);
  j->momentum = field_number(job, "momentum", 0, 1);
  j->clip_norm = field_number(job, "clip_norm", 0, 1e300);
  j->tolerance = field_number(job, "tolerance", 0, 1);
}

static SEXP named_list(const char *const *name, int n) {
  SEXP out = PROTECT(Rf_allocVector(VECSXP, n)), names = PROTECT(Rf_allocVector(STRSXP, n));
  for (int i = 0; i < n; i++) SET_STRING_ELT(names, i, Rf_mkChar(name[i]));
  Rf_setAttrib(out, R_NamesSymbol, names);
  UNPROTECT(2);
  return out;
}

/* Trains from theta and state; returns them trained, the history (a row per epoch) and how it ended. */
SEXP C_fit(SEXP spec, SEXP job, SEXP train, SEXP valid, SEXP theta, SEXP state, SEXP hooks) {
  nn_spec s = spec_read(spec);
  nn_info info;
  const nn_engine *engine = engine_of(job);
  void *model = spec_build(engine, &s, &info);
  nn_job j = job_of(job);
  training_of(job, &j);
  j.train = source_of(train, &s, &info, 1, 1);
  if (valid != R_NilValue) j.valid = source_of(valid, &s, &info, 1, 1);
  if (j.train.n < 1) Rf_error("there are no observations to train on");
  r_host h = {R_NilValue, function_or_null(list_get(hooks, "epoch"), "epoch"),
              function_or_null(list_get(hooks, "failed"), "failed"), NULL, 0};
  SEXP poll_call = PROTECT(Rf_lang1(function_or_null(list_get(hooks, "poll"), "poll")));
  if (list_get(hooks, "poll") != R_NilValue) h.poll = poll_call;
  j.host = host_of(&h, job);
  static const char *const fields[] = {"theta",  "state",  "history",
                                       "status", "epochs", "best_epoch"};
  int width = 3 + 2 * info.n_terms, status = NN_OK;
  SEXP out = PROTECT(named_list(fields, 6));
  SET_VECTOR_ELT(out, 0, copy_parameters(theta, info.n_par, "theta"));
  SET_VECTOR_ELT(out, 1,
                 copy_state(state, info.n_par * (size_t)nn_optimizer_slots(j.optimizer) + 1));
  SET_VECTOR_ELT(out, 2, Rf_allocMatrix(REALSXP, width, j.epochs));
  j.theta = REAL(VECTOR_ELT(out, 0)), j.state = REAL(VECTOR_ELT(out, 1)),
  j.history = REAL(VECTOR_ELT(out, 2));
  void *memory = allocate(engine->train(model, &j, NULL, NULL));
  begin_noise(&j.host);
  engine->train(model, &j, memory, &status);
  PutRNGstate();
  SET_VECTOR_ELT(out, 3, Rf_ScalarInteger(status));
  SET_VECTOR_ELT(out, 4, Rf_ScalarInteger(j.epochs_done));
  SET_VECTOR_ELT(out, 5, Rf_ScalarInteger(j.best_epoch));
  UNPROTECT(2);
  return out;
}

/* A forward run: list(want, sample, draws, single). Returns n x rows x draws numbers; NULL when interrupted. */
SEXP C_run(SEXP spec, SEXP theta, SEXP data, SEXP z, SEXP options, SEXP poll_function) {
  nn_spec s = spec_read(spec);
  nn_info info;
  nn_run r;
  memset(&r, 0, sizeof r);
  r.want = (nn_want)field_int(options, "want", NN_WANT_Z, NN_WANT_SD);
  r.mode = (nn_mode)field_int(options, "mode", NN_MODE_MEAN, NN_MODE_DRAW);
  if (r.mode == NN_MODE_DRAW)
    s.estimator = 0, s.prior.mc = 0; /* whatever trained them, the weights are drawn */
  const nn_engine *engine = engine_of(options);
  void *model = spec_build(engine, &s, &info);
  r.draws = field_int(options, "draws", 1, 2147483647);
  r.data = source_of(data, &s, &info, z == R_NilValue, r.want == NN_WANT_TERMS);
  if ((z != R_NilValue || r.want == NN_WANT_Z || r.want == NN_WANT_SD) && !info.z_rows)
    Rf_error("the model has no latent layer");
  if (r.want == NN_WANT_SD && !info.z_has_sd)
    Rf_error("the codes of the model are points: they have no standard deviation");
  if (z != R_NilValue) {
    if (TYPEOF(z) != REALSXP || (double)Rf_xlength(z) != (double)r.data.n * info.z_rows)
      Rf_error("'z' must be a numeric matrix of %d columns", info.z_rows);
    r.z = REAL(z);
  }
  r_host h = {R_NilValue, R_NilValue, R_NilValue, NULL, 0};
  SEXP poll_call = PROTECT(Rf_lang1(function_or_null(poll_function, "poll")));
  if (poll_function != R_NilValue) h.poll = poll_call;
  r.host = host_of(&h, options);
  SEXP checked = PROTECT(copy_parameters(theta, info.n_par, "theta"));
  r.theta = REAL(checked);
  int rows = r.want == NN_WANT_Z || r.want == NN_WANT_SD ? info.z_rows : info.n_eta, status = NN_OK;
  if (r.want == NN_WANT_TERMS) {
    rows = 0;
    for (int i = 0; i < info.n_terms; i++) {
      int kind, source;
      engine->term(model, i, &kind, &source);
      rows += kind < NN_KL_WEIGHTS;
    }
  }
  double size = (double)r.data.n * rows * r.draws;
  if (size > 4503599627370496.0) Rf_error("%.3g numbers are more than any memory holds", size);
  SEXP out = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)size));
  r.out = REAL(out);
  void *memory = allocate(engine->run(model, &r, NULL, NULL));
  begin_noise(&r.host);
  engine->run(model, &r, memory, &status);
  PutRNGstate();
  UNPROTECT(3);
  return status == NN_OK ? out : R_NilValue;
}

/* The mean loss of all the data and its gradient in theta, at one draw of the noise. */
SEXP C_gradient(SEXP spec, SEXP job, SEXP data, SEXP theta) {
  nn_spec s = spec_read(spec);
  nn_info info;
  const nn_engine *engine = engine_of(job);
  void *model = spec_build(engine, &s, &info);
  nn_job j = job_of(job);
  j.train = source_of(data, &s, &info, 1, 1);
  if (j.train.n < 1) Rf_error("there are no observations");
  r_host h = {R_NilValue, R_NilValue, R_NilValue, NULL, 0};
  j.host = host_of(&h, job);
  static const char *const fields[] = {"loss", "gradient"};
  SEXP out = PROTECT(named_list(fields, 2));
  SEXP checked = PROTECT(copy_parameters(theta, info.n_par, "theta"));
  j.theta = REAL(checked);
  SET_VECTOR_ELT(out, 0, Rf_allocVector(REALSXP, 1));
  SET_VECTOR_ELT(out, 1, Rf_allocVector(REALSXP, (R_xlen_t)info.n_par));
  void *memory = allocate(engine->gradient(model, &j, NULL, NULL, NULL));
  begin_noise(&j.host);
  engine->gradient(model, &j, memory, REAL(VECTOR_ELT(out, 0)), REAL(VECTOR_ELT(out, 1)));
  PutRNGstate();
  UNPROTECT(2);
  return out;
}

/* How many threads of list(threads) can be used. */
SEXP C_threads(SEXP wanted) {
  return Rf_ScalarInteger(threads_usable(field_int(wanted, "threads", 1, 1024)));
}

/* The names of the kernels that this processor runs, fastest first. */
SEXP C_kernels(void) {
  int n = 0;
  while (nn_kernel(n)) n++;
  SEXP out = PROTECT(Rf_allocVector(STRSXP, n));
  for (int i = 0; i < n; i++) SET_STRING_ELT(out, i, Rf_mkChar(nn_kernel(i)));
  UNPROTECT(1);
  return out;
}

static const double *matrix_of(SEXP x, const char *name) {
  if (TYPEOF(x) != REALSXP || !Rf_isMatrix(x)) Rf_error("'%s' must be a numeric matrix", name);
  return REAL(x);
}

/* op(a) op(b) + start, for tests: list(a_transposed, b_transposed, compute). */
SEXP C_product(SEXP a, SEXP b, SEXP start, SEXP options) {
  nn_matrices x = {.a_transposed = field_int(options, "a_transposed", 0, 1),
                   .b_transposed = field_int(options, "b_transposed", 0, 1),
                   .a = matrix_of(a, "a"),
                   .b = matrix_of(b, "b"),
                   .start = matrix_of(start, "start")};
  const nn_engine *engine = engine_of(options);
  nn_compute compute = compute_of(options);
  x.m = x.a_transposed ? Rf_ncols(a) : Rf_nrows(a),
  x.k = x.a_transposed ? Rf_nrows(a) : Rf_ncols(a);
  x.n = x.b_transposed ? Rf_nrows(b) : Rf_ncols(b), x.start_columns = (size_t)Rf_ncols(start);
  if (x.k != (x.b_transposed ? Rf_ncols(b) : Rf_nrows(b)) || x.m < 1 || x.n < 1 || x.k < 1 ||
      Rf_nrows(start) != x.m || Rf_ncols(start) > x.n)
    Rf_error("the matrices do not fit each other");
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, x.m, x.n));
  x.c = REAL(out);
  engine->product(&x, &compute, allocate(engine->product(&x, &compute, NULL)));
  UNPROTECT(1);
  return out;
}

/* Quantiles [rows, p] of the mixtures in the rows of mean [rows, draws] and sd, as large or one number. */
SEXP C_mixture(SEXP mean, SEXP sd, SEXP p, SEXP options) {
  nn_mixture m = {.mean = matrix_of(mean, "mean"), .rows = (size_t)Rf_nrows(mean)};
  const nn_engine *engine = engine_of(options);
  if (TYPEOF(sd) != REALSXP || TYPEOF(p) != REALSXP) Rf_error("'sd' and 'p' must be numeric");
  m.draws = (size_t)Rf_ncols(mean), m.n_sd = (size_t)Rf_xlength(sd), m.n_p = (size_t)Rf_xlength(p);
  if (m.draws < 1 || (m.n_sd != 1 && m.n_sd != m.rows * m.draws))
    Rf_error("'mean' and 'sd' do not fit each other");
  double *z = (double *)R_alloc(m.n_p, sizeof(double));
  for (size_t j = 0; j < m.n_p; j++) z[j] = qnorm(REAL(p)[j], 0, 1, 1, 0);
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, (int)m.rows, (int)m.n_p));
  m.sd = REAL(sd), m.p = REAL(p), m.z = z, m.out = REAL(out);
  engine->mixture(&m, allocate(engine->mixture(&m, NULL)));
  UNPROTECT(1);
  return out;
}

/* An elementary function at the numbers x, for tests: list(function, compute). */
SEXP C_math(SEXP x, SEXP options) {
  int row = field_row(options, "function", "function");
  const nn_engine *engine = engine_of(options);
  if (TYPEOF(x) != REALSXP) Rf_error("'x' must be numeric");
  size_t n = (size_t)Rf_xlength(x);
  SEXP out = PROTECT(Rf_allocVector(REALSXP, Rf_xlength(x)));
  engine->math(row, n, REAL(x), REAL(out), allocate(engine->math(row, n, NULL, NULL, NULL)));
  UNPROTECT(1);
  return out;
}

/* A matrix of numbers of rnorm(), times sd: list(rows, columns, sd, compute). */
SEXP C_normals(SEXP options) {
  r_host h = {R_NilValue, R_NilValue, R_NilValue, NULL, 0};
  nn_host host = host_of(&h, options);
  int rows = field_int(options, "rows", 0, 2147483647),
      columns = field_int(options, "columns", 0, 2147483647);
  double sd = field_number(options, "sd", 0, INFINITY);
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, rows, columns));
  size_t n = (size_t)Rf_xlength(out);
  begin_noise(&host);
  normal(&h, REAL(out), n, sizeof(double));
  PutRNGstate();
  for (size_t i = 0; i < n; i++) REAL(out)[i] *= sd;
  UNPROTECT(1);
  return out;
}

/* Standard normal quantiles of p, numbers in (0, 1), for tests. */
SEXP C_quantiles(SEXP p) {
  if (TYPEOF(p) != REALSXP) Rf_error("'p' must be numeric");
  SEXP out = PROTECT(Rf_allocVector(REALSXP, Rf_xlength(p)));
  build_of(0)->normal_quantiles((size_t)Rf_xlength(p), REAL(p), REAL(out));
  UNPROTECT(1);
  return out;
}

/* Numbers of the engine's generator, for tests: list(kind, key, node, pass, first, n, compute). */
SEXP C_draw(SEXP options) {
  int kind = field_int(options, "kind", 0, 2), n = field_int(options, "n", 1, 2147483647 / 4);
  const double *key = REAL(field_of(options, "key", REALSXP, 2));
  const double *first =
      REAL(field_of(options, "first", REALSXP, 2)); /* two words, the low one first */
  nn_place place = {{(unsigned)key[0], (unsigned)key[1]},
                    (unsigned)field_number(options, "node", 0, 4294967295.0),
                    (unsigned)field_number(options, "pass", 0, 4294967295.0),
                    (unsigned long long)first[1] << 32 | (unsigned long long)first[0]};
  SEXP out = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)n * (kind ? 1 : 4)));
  engine_of(options)->draw(kind, &place, (size_t)n, REAL(out));
  UNPROTECT(1);
  return out;
}

/* Whether a numeric vector has no NA, NaN or infinity. */
SEXP C_all_finite(SEXP x, SEXP options) {
  const nn_engine *engine = engine_of(options);
  if (TYPEOF(x) != REALSXP) Rf_error("'x' must be numeric");
  return Rf_ScalarLogical(engine->all_finite((size_t)Rf_xlength(x), REAL(x)));
}

/* Moments of each column of a numeric matrix, without a copy. */
SEXP C_moments(SEXP x, SEXP weight, SEXP options) {
  const nn_engine *engine = engine_of(options);
  if (TYPEOF(x) != REALSXP || !Rf_isMatrix(x)) Rf_error("'x' must be a numeric matrix");
  R_xlen_t n = Rf_nrows(x);
  int p = Rf_ncols(x);
  if (weight != R_NilValue && (TYPEOF(weight) != REALSXP || Rf_xlength(weight) != n))
    Rf_error("'weight' must have a number per row");
  const double *w = weight == R_NilValue ? NULL : REAL(weight);
  static const char *const fields[] = {"n",   "n_missing", "mean",      "squares",
                                       "min", "max",       "is_binary", "order"};
  SEXP out = PROTECT(named_list(fields, 8));
  for (int k = 0; k < 8; k++) SET_VECTOR_ELT(out, k, Rf_allocVector(REALSXP, p));
  for (int j = 0; j < p; j++) {
    nn_moments m;
    R_CheckUserInterrupt();
    engine->moments((size_t)n, REAL(x) + j * n, w, &m);
    double value[] = {m.n, m.n_missing, m.mean, m.squares, m.min, m.max, m.is_binary, m.order};
    for (int k = 0; k < 8; k++) REAL(VECTOR_ELT(out, k))[j] = value[k];
  }
  UNPROTECT(1);
  return out;
}
