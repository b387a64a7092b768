/* The entry points that the package calls: R's vectors in, R's vectors out; and the names of all. */
#include <limits.h>
#include <math.h>
#include <string.h>
#include "glue.h"
#include "threads.h"
#include <R_ext/Random.h>
#include <R_ext/Rdynload.h>
#include <R_ext/Utils.h>
#include <R_ext/Visibility.h>

/* The names in every table, and the properties. */
static SEXP C_registry(void) {
  const int n = nn_n_registry, n_fields = n + nn_n_properties;
  const char **fields = (const char **)R_alloc(n_fields + 1, sizeof *fields);
  for (int t = 0; t < n; t++) fields[t] = nn_registry[t].table;
  for (int k = 0; k < nn_n_properties; k++) fields[n + k] = nn_properties[k].name;
  fields[n_fields] = "";
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  for (int t = 0; t < n; t++) SET_VECTOR_ELT(out, t, names_of(nn_registry[t].name));
  for (int k = 0; k < nn_n_properties; k++) {
    const int rows = LENGTH(list_get(out, nn_properties[k].table));
    int *value = INTEGER(list_new(out, n + k, INTSXP, rows));
    for (int i = 0; i < rows; i++) value[i] = nn_properties[k].of_row(i);
  }
  UNPROTECT(1);
  return out;
}

/* The names of the kernels that this processor runs, fastest first. */
static SEXP C_kernels(void) { return names_of(nn_kernel); }

/* How many threads of list(threads) can be used. */
static SEXP C_threads(SEXP wanted) {
  return Rf_ScalarInteger(threads_usable(field_int(wanted, "threads", 1, 1024)));
}

static SEXP C_poll(void) {
  R_CheckUserInterrupt();
  return R_NilValue;
}

/* The leaves of theta and the terms of the loss. */
static SEXP C_layout(SEXP spec) {
  enum { N_INTS = 6 };
  const char *fields[] = {"rows", "cols",   "layer", "part",  "head", "init",   "offset", "role",
                          "term", "source", "n_par", "n_eta", "n_y",  "z_rows", ""};
  const r_model *m = model_of(spec, &nn_engine_double, NN_MODE_MEAN);
  const int n = m->info.n_leaves, n_terms = m->info.n_terms;
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields)), role = list_new(out, 7, STRSXP, n);
  double *offset = REAL(list_new(out, N_INTS, REALSXP, n));
  for (int f = 0; f < N_INTS; f++) list_new(out, f, INTSXP, n);
  for (int i = 0; i < n; i++) {
    nn_leaf leaf;
    m->engine->leaf(m->model, i, &leaf);
    const int value[N_INTS] = {leaf.rows, leaf.cols, leaf.layer, leaf.part, leaf.head, leaf.init};
    for (int f = 0; f < N_INTS; f++) INTEGER(VECTOR_ELT(out, f))[i] = value[f];
    offset[i] = (double)leaf.offset;
    SET_STRING_ELT(role, i, Rf_mkChar(table_of("role")->name(leaf.role)));
  }
  SEXP term = list_new(out, 8, STRSXP, n_terms);
  int kind, *source = INTEGER(list_new(out, 9, INTSXP, n_terms));
  for (int i = 0; i < n_terms; i++) {
    m->engine->term(m->model, i, &kind, &source[i]);
    SET_STRING_ELT(term, i, Rf_mkChar(table_of("term")->name(kind)));
  }
  SET_VECTOR_ELT(out, 10, Rf_ScalarReal((double)m->info.n_par));
  SET_VECTOR_ELT(out, 11, Rf_ScalarInteger(m->info.n_eta));
  SET_VECTOR_ELT(out, 12, Rf_ScalarInteger(m->info.n_y));
  SET_VECTOR_ELT(out, 13, Rf_ScalarInteger(m->info.z_rows));
  UNPROTECT(1);
  return out;
}

/* A copy of an optimizer's state; where there is none that of a fresh start, 0. */
static SEXP state_copy(const r_model *m, SEXP state, size_t n) {
  if (state != R_NilValue) return Rf_duplicate(parameters_of(m, state, n, "state"));
  SEXP fresh = Rf_allocVector(REALSXP, (R_xlen_t)n);
  memset(REAL(fresh), 0, n * sizeof(double));
  return fresh;
}

/* Trains from theta and state, or on from where list(each, from) says; returns them trained, the history (a row per epoch)
 * and how it ended. Without that list the training cannot be kept. */
static SEXP C_fit(SEXP spec, SEXP job, SEXP train, SEXP valid, SEXP theta, SEXP state, SEXP hooks,
                  SEXP keeping) {
  const char *fields[] = {"theta", "state", "history", "status", "epochs", "best_epoch", ""};
  const r_model *m = model_of(spec, engine_of(job), NN_MODE_SAMPLE);
  const size_t n_par = m->info.n_par;
  nn_job j = job_of(job, m, train);
  training_of(job, &j);
  if (valid != R_NilValue) j.valid = source_of(valid, m, 1, 1);
  j.host = host_of(job, hooks);
  SEXP fetched = PROTECT(Rf_allocVector(VECSXP, 1));
  if (j.feed.n) host_feeds(&j.host, hooks, m, j.feed.most, fetched);
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  SET_VECTOR_ELT(out, 0, Rf_duplicate(parameters_of(m, theta, n_par, "theta")));
  SET_VECTOR_ELT(out, 1, state_copy(m, state, state_size(m, j.optimizer)));
  SET_VECTOR_ELT(out, 2, Rf_allocMatrix(REALSXP, 3 + 2 * m->info.n_terms, j.epochs));
  j.theta = REAL(VECTOR_ELT(out, 0)), j.state = REAL(VECTOR_ELT(out, 1));
  j.history = REAL(VECTOR_ELT(out, 2));
  const int is_kept = keeping != R_NilValue;
  SEXP kept = PROTECT(is_kept ? kept_new(m, &j, out) : R_NilValue);
  if (is_kept) {
    SEXP from = list_get(keeping, "from");
    j.offers_each = field_int(keeping, "each", 0, 1);
    host_keeps(&j.host, kept, j.offers_each);
    if (from != R_NilValue) kept_read(from, m, &j);
  }
  int status = NN_OK;
  void *memory = allocate(m->engine->train(m->model, &j, NULL, NULL));
  GetRNGstate();
  m->engine->train(m->model, &j, memory, &status);
  PutRNGstate();
  SET_VECTOR_ELT(out, 3, Rf_ScalarInteger(status));
  SET_VECTOR_ELT(out, 4, Rf_ScalarInteger(j.epochs_done));
  SET_VECTOR_ELT(out, 5, Rf_ScalarInteger(j.best_epoch));
  UNPROTECT(3);
  return out;
}

/* A group of each parameter, from 0, or -1. */
static const int *groups_of(SEXP options, size_t n, int n_groups) {
  const int *group = INTEGER(field_of(options, "group", INTSXP, (double)n));
  for (size_t i = 0; i < n; i++) within(group[i], "group", -1, n_groups - 1);
  return group;
}

static const double *positive_numbers(SEXP options, const char *name, double n, double low) {
  const double *x = numbers_of(list_get(options, name), name, n);
  for (size_t i = 0; i < (size_t)n; i++) within(x[i], name, low, 1e100);
  return x;
}

/* Draws from the posterior, from theta on: list(warmup, draws, max_depth, accept, total, variance, precision, center, group,
 * shape, rate, start). Returns the draws, precisions and path as matrices with a column per draw, and how it ended. With
 * `momentum` and `step` in the list one trajectory of `draws` steps takes the place of the chain: its end is the
 * only draw, and the momenta there are returned, too. */
static SEXP C_sample(SEXP spec, SEXP job, SEXP data, SEXP theta, SEXP options, SEXP hooks) {
  const char *fields[] = {"theta", "precision", "path", "status", "momentum", ""};
  const r_model *m = model_of(spec, engine_of(job), NN_MODE_SAMPLE);
  const size_t n = m->info.n_par;
  nn_job j = job_of(job, m, data);
  nn_sampling s = {.data = &j,
                   .warmup = field_int(options, "warmup", 0, 100000000),
                   .draws = field_int(options, "draws", 1, 100000000),
                   .max_depth = field_int(options, "max_depth", 1, NN_MAX_DEPTH),
                   .accept = field_number(options, "accept", 0.01, 0.999),
                   .total = field_number(options, "total", 1e-100, 1e100),
                   .variance = positive_numbers(options, "variance", (double)n, 1e-100),
                   .precision = positive_numbers(options, "precision", (double)n, 0),
                   .center = REAL(parameters_of(m, list_get(options, "center"), n, "center")),
                   .n_groups = (int)Rf_xlength(list_get(options, "shape"))};
  SEXP root = list_get(options, "root");
  if (root != R_NilValue) s.root = REAL(parameters_of(m, root, n * n, "root"));
  s.group = groups_of(options, n, s.n_groups);
  s.shape = positive_numbers(options, "shape", s.n_groups, 1);
  s.rate = positive_numbers(options, "rate", s.n_groups, 0);
  SEXP start = PROTECT(Rf_duplicate(field_of(options, "start", REALSXP, s.n_groups)));
  for (int k = 0; k < s.n_groups; k++) within(REAL(start)[k], "start", 1e-100, 1e100);
  s.group_precision = REAL(start);
  j.theta = REAL(parameters_of(m, theta, n, "theta"));
  j.host = host_of(job, hooks);
  within((double)n * s.draws, "draws", 0, MOST);
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  SEXP momentum = list_get(options, "momentum");
  if (momentum != R_NilValue) {
    parameters_of(m, momentum, n, "momentum");
    s.step = field_number(options, "step", -1e100, 1e100);
    SET_VECTOR_ELT(out, 4, Rf_duplicate(momentum));
    s.momentum = REAL(VECTOR_ELT(out, 4));
  }
  const int kept = s.momentum ? 1 : s.draws;
  SET_VECTOR_ELT(out, 0, Rf_allocMatrix(REALSXP, (int)n, kept));
  SET_VECTOR_ELT(out, 1, Rf_allocMatrix(REALSXP, s.n_groups, kept));
  SET_VECTOR_ELT(out, 2, Rf_allocMatrix(REALSXP, NN_PATH_COLUMNS, kept));
  s.draw = REAL(VECTOR_ELT(out, 0)), s.precisions = REAL(VECTOR_ELT(out, 1));
  s.path = REAL(VECTOR_ELT(out, 2));
  int status = NN_OK;
  void *memory = allocate(m->engine->sample(m->model, &s, NULL, NULL));
  GetRNGstate();
  m->engine->sample(m->model, &s, memory, &status);
  PutRNGstate();
  const int ended[] = {status, s.done};
  SEXP how = list_new(out, 3, INTSXP, 2);
  memcpy(INTEGER(how), ended, sizeof ended);
  UNPROTECT(2);
  return out;
}

/* A forward run: list(want, mode, draws, compute). An array [n, rows, draws], or NULL when interrupted. */
static SEXP C_run(SEXP spec, SEXP theta, SEXP data, SEXP z, SEXP options, SEXP hooks) {
  const nn_mode mode = (nn_mode)field_int(options, "mode", NN_MODE_MEAN, NN_MODE_DRAW);
  const r_model *m = model_of(spec, engine_of(options), mode);
  const int has_z = z != R_NilValue;
  nn_run r = {.want = (nn_want)field_int(options, "want", NN_WANT_Z, NN_WANT_SD),
              .mode = mode,
              .draws = field_int(options, "draws", 1, INT_MAX)};
  r.data = source_of(data, m, !has_z, r.want == NN_WANT_TERMS);
  if ((has_z || r.want == NN_WANT_Z || r.want == NN_WANT_SD) && !m->info.z_rows)
    Rf_error("the model has no latent layer");
  if (r.want == NN_WANT_SD && !m->info.z_has_sd)
    Rf_error("the codes of the model are points: they have no standard deviation");
  r.z = has_z ? numbers_of(z, "z", (double)r.data.n * m->info.z_rows) : NULL;
  r.theta = REAL(parameters_of(m, theta, m->info.n_par, "theta"));
  r.host = host_of(options, hooks);
  int status = NN_OK;
  void *memory = allocate(m->engine->run(m->model, &r, NULL, NULL));
  within((double)r.data.n * r.rows * r.draws, "draws", 0, MOST);
  SEXP out = PROTECT(Rf_alloc3DArray(REALSXP, (int)r.data.n, r.rows, r.draws));
  r.out = REAL(out);
  GetRNGstate();
  m->engine->run(m->model, &r, memory, &status);
  PutRNGstate();
  UNPROTECT(1);
  return status == NN_OK ? out : R_NilValue;
}

/* The mean loss of all the data and its gradient in theta, at one draw of the noise. */
static SEXP C_gradient(SEXP spec, SEXP job, SEXP data, SEXP theta) {
  const char *fields[] = {"loss", "gradient", ""};
  const r_model *m = model_of(spec, engine_of(job), NN_MODE_SAMPLE);
  nn_job j = job_of(job, m, data);
  if (j.feed.n) Rf_error("the gradient needs all data at once");
  j.theta = REAL(parameters_of(m, theta, m->info.n_par, "theta"));
  j.host = host_of(job, R_NilValue);
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  double *loss = REAL(list_new(out, 0, REALSXP, 1)),
         *gradient = REAL(list_new(out, 1, REALSXP, (R_xlen_t)m->info.n_par));
  void *memory = allocate(m->engine->gradient(m->model, &j, NULL, NULL, NULL));
  GetRNGstate();
  m->engine->gradient(m->model, &j, memory, loss, gradient);
  PutRNGstate();
  UNPROTECT(1);
  return out;
}

/* The numbers from 1 to n in a vector, each once, as places from 0. */
static const size_t *places_of(SEXP x, const char *name, size_t n) {
  const double *number = numbers_of(x, name, -1);
  const size_t count = (size_t)Rf_xlength(x);
  size_t *place = (size_t *)R_alloc(count + 1, sizeof *place);
  for (size_t i = 0; i < count; i++)
    place[i] = (size_t)within(number[i], name, i ? number[i - 1] + 1 : 1, (double)n) - 1;
  return place;
}

/* Products of the slopes of eta in parameters: list(want, upper, compute). NULL when interrupted. */
static SEXP C_jacobian(SEXP spec, SEXP theta, SEXP active, SEXP seed, SEXP by, SEXP data,
                       SEXP options, SEXP hooks) {
  const r_model *m = model_of(spec, engine_of(options), NN_MODE_MEAN);
  nn_jacobian j = {.want =
                       (nn_jacobian_want)field_int(options, "want", NN_WANT_GRAM, NN_WANT_SIDES),
                   .active = places_of(active, "active", m->info.n_par),
                   .n_active = (size_t)Rf_xlength(active),
                   .data = source_of(data, m, 1, 0)};
  const double eta = m->info.n_eta;
  j.theta = REAL(parameters_of(m, theta, m->info.n_par, "theta"));
  j.seed_rows = (size_t)field_number(options, "seed_rows", 1, (double)j.data.n + 1);
  if (j.seed_rows != 1 && j.seed_rows != j.data.n) Rf_error("'seed' does not fit the data");
  j.seed = numbers_of(seed, "seed", -1);
  j.n_seeds = (int)within((double)Rf_xlength(seed) / ((double)j.seed_rows * eta), "seed", 1, 1e5);
  numbers_of(seed, "seed", (double)j.seed_rows * eta * j.n_seeds);
  const int is_gram = j.want == NN_WANT_GRAM, is_sides = j.want == NN_WANT_SIDES;
  if (j.n_active < 1 || (is_gram && j.n_active > 40000))
    Rf_error("'active' has no or too many numbers");
  if (!is_gram && !is_sides) {
    j.n_by = Rf_isNull(by) ? j.n_active : (size_t)Rf_ncols(by);
    if (!Rf_isNull(by)) j.by = numbers_of(by, "by", (double)j.n_active * (double)j.n_by);
    j.by_is_upper = field_int(options, "upper", 0, 1);
    if (j.by_is_upper && j.n_by != j.n_active) Rf_error("'by' is no triangle");
  }
  j.host = host_of(options, hooks);
  int status = NN_OK;
  void *memory = allocate(m->engine->jacobian(m->model, &j, NULL, NULL));
  if (is_sides && !j.columns) Rf_error("'active' is not the first weight of a layer");
  const int seeds = j.n_seeds, n = (int)j.data.n, is_images = j.want == NN_WANT_IMAGES,
            rows = is_gram ? (int)j.n_active : n,
            more = is_gram    ? (int)j.n_active
                   : is_sides ? (int)j.columns
                              : seeds,
            last = is_gram || is_sides ? 1
                   : is_images         ? (int)j.n_by
                                       : seeds;
  within((double)rows * (is_sides ? (double)j.columns : more) * last, "by", 0, MOST);
  SEXP out = PROTECT(Rf_alloc3DArray(REALSXP, rows, more, last));
  j.out = REAL(out);
  memset(j.out, 0, (size_t)Rf_xlength(out) * sizeof(double));
  m->engine->jacobian(m->model, &j, memory, &status);
  UNPROTECT(1);
  return status == NN_OK ? out : R_NilValue;
}

/* A program at the rows of a matrix with a column for each argument: its value and its slopes. */
static SEXP C_call(SEXP program, SEXP at, SEXP options) {
  const char *fields[] = {"value", "slope", ""};
  const nn_engine *engine = engine_of(options);
  nn_call c = {.program = program_of(program), .n = (size_t)Rf_nrows(at)};
  const int k = c.program->n_arguments;
  within(k, "arguments", 0, NN_MAX_ARGUMENTS);
  c.at = numbers_of(at, "at", (double)c.n * k);
  int status = NN_OK;
  void *memory = allocate(engine->call(&c, NULL, NULL));
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  c.value = REAL(list_new(out, 0, REALSXP, (R_xlen_t)c.n));
  SET_VECTOR_ELT(out, 1, Rf_allocMatrix(REALSXP, (int)c.n, k));
  c.slope = REAL(VECTOR_ELT(out, 1));
  engine->call(&c, memory, &status);
  if (status != NN_OK) Rf_error("the model is damaged: a program has an instruction that is none");
  UNPROTECT(1);
  return out;
}

/* The root of the inverse of a symmetric matrix and a diagonal. */
static SEXP C_root(SEXP a, SEXP precision, SEXP options) {
  const nn_engine *engine = engine_of(options);
  const nn_compute compute = compute_of(options);
  nn_root r = {.n = (size_t)Rf_nrows(a)};
  within((double)r.n, "a", 1, 40000);
  r.a = numbers_of(a, "a", (double)r.n * (double)r.n);
  r.precision = numbers_of(precision, "precision", (double)r.n);
  void *memory = allocate(engine->root(&r, &compute, NULL));
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, (int)r.n, (int)r.n));
  r.out = REAL(out);
  engine->root(&r, &compute, memory);
  UNPROTECT(1);
  return out;
}

/* Moments of each column of a numeric matrix, without a copy. */
static SEXP C_moments(SEXP x, SEXP weight, SEXP options) {
  const nn_engine *engine = engine_of(options);
  const double *column = numbers_of(x, "x", -1);
  const size_t n = (size_t)Rf_nrows(x);
  const int p = Rf_ncols(x);
  const double *w = weight == R_NilValue ? NULL : numbers_of(weight, "weight", (double)n);
  const char *fields[] = {"n",   "n_missing", "mean",  "squares", "min",
                          "max", "is_binary", "order", ""};
  SEXP out = PROTECT(Rf_mkNamed(VECSXP, fields));
  for (int k = 0; k < 8; k++) list_new(out, k, REALSXP, p);
  for (int j = 0; j < p; j++) {
    nn_moments m;
    R_CheckUserInterrupt();
    engine->moments(n, column + (size_t)j * n, w, &m);
    double value[] = {m.n, m.n_missing, m.mean, m.squares, m.min, m.max, m.is_binary, m.order};
    for (int k = 0; k < 8; k++) REAL(VECTOR_ELT(out, k))[j] = value[k];
  }
  UNPROTECT(1);
  return out;
}

/* Quantiles [rows, p] of the mixtures in the rows of mean [rows, draws] and sd, as large or one number. */
static SEXP C_mixture(SEXP mean, SEXP sd, SEXP weight, SEXP p, SEXP z, SEXP options) {
  nn_mixture m = {.mean = numbers_of(mean, "mean", -1),
                  .sd = numbers_of(sd, "sd", -1),
                  .weight = numbers_of(weight, "weight", Rf_ncols(mean)),
                  .p = numbers_of(p, "p", -1),
                  .z = numbers_of(z, "z", (double)Rf_xlength(p)),
                  .rows = (size_t)Rf_nrows(mean),
                  .draws = (size_t)Rf_ncols(mean),
                  .n_sd = (size_t)Rf_xlength(sd),
                  .n_p = (size_t)Rf_xlength(p)};
  const nn_engine *engine = engine_of(options);
  if (m.draws < 1 || (m.n_sd != 1 && m.n_sd != m.rows * m.draws))
    Rf_error("'mean' and 'sd' do not fit each other");
  void *memory = allocate(engine->mixture(&m, NULL));
  SEXP out = Rf_allocMatrix(REALSXP, (int)m.rows, (int)m.n_p);
  m.out = REAL(out);
  engine->mixture(&m, memory);
  return out;
}

/* A matrix of numbers of rnorm(), times sd: list(rows, columns, sd, compute). */
static SEXP C_normals(SEXP options) {
  nn_host host = host_of(options, R_NilValue);
  int rows = field_int(options, "rows", 0, INT_MAX),
      columns = field_int(options, "columns", 0, INT_MAX);
  double sd = field_number(options, "sd", 0, INFINITY);
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, rows, columns));
  size_t n = (size_t)Rf_xlength(out);
  GetRNGstate();
  host.normal(host.context, REAL(out), n, sizeof(double));
  PutRNGstate();
  for (size_t i = 0; i < n; i++) REAL(out)[i] *= sd;
  UNPROTECT(1);
  return out;
}

/* Whether a numeric vector has no NA, NaN or infinity. */
static SEXP C_all_finite(SEXP x, SEXP options) {
  return Rf_ScalarLogical(
      engine_of(options)->all_finite((size_t)Rf_xlength(x), numbers_of(x, "x", -1)));
}

/* Column j of a piece, of which the rows from `first` on are taken: a matrix with `rows` rows, or a list of columns. */
static void stack_column(SEXP piece, R_xlen_t j, double first, double count, double *out) {
  const int is_list = TYPEOF(piece) == VECSXP;
  SEXP x = is_list ? VECTOR_ELT(piece, j) : piece;
  const double rows = is_list ? (double)Rf_xlength(x) : (double)Rf_nrows(x);
  const size_t n = (size_t)count, from = (size_t)within(first, "first", 0, rows - count);
  if (TYPEOF(x) == INTSXP && is_list) {
    const int *v = INTEGER(x) + from;
    for (size_t i = 0; i < n; i++) out[i] = v[i];
  } else {
    const double *v = REAL(typed(x, "piece", REALSXP, -1));
    memcpy(out, v + (is_list ? 0 : (size_t)j * (size_t)rows) + from, n * sizeof(double));
  }
}

/* Rows of pieces, below one another, as a matrix: `ranges` has for each piece the first row, from 0, and how many. A matrix
 * `into` of this size is written over. */
static SEXP C_stack(SEXP pieces, SEXP ranges, SEXP columns, SEXP into) {
  const R_xlen_t n_pieces = Rf_xlength(pieces);
  const double *range = numbers_of(ranges, "ranges", 2 * (double)n_pieces);
  const int p = INTEGER(typed(columns, "columns", INTSXP, 1))[0];
  double n = 0;
  for (R_xlen_t k = 0; k < n_pieces; k++) {
    SEXP piece = VECTOR_ELT(pieces, k);
    const int is_right = TYPEOF(piece) == VECSXP ? Rf_xlength(piece) == p
                                                 : Rf_isMatrix(piece) && Rf_ncols(piece) == p;
    within(is_right, "pieces", 1, 1);
    n += within(range[2 * k + 1], "ranges", 0, INT_MAX);
  }
  within(n, "rows", 0, INT_MAX);
  const int fits = TYPEOF(into) == REALSXP && Rf_isMatrix(into) && Rf_nrows(into) == (int)n &&
                   Rf_ncols(into) == p;
  SEXP out = PROTECT(fits ? into : Rf_allocMatrix(REALSXP, (int)n, p));
  for (R_xlen_t j = 0; j < p; j++) {
    double *at = REAL(out) + (size_t)j * (size_t)n;
    for (R_xlen_t k = 0; k < n_pieces; k++) {
      if (!(range[2 * k + 1] > 0)) continue;
      stack_column(VECTOR_ELT(pieces, k), j, range[2 * k], range[2 * k + 1], at);
      at += (size_t)range[2 * k + 1];
    }
  }
  UNPROTECT(1);
  return out;
}

/* Each entry point has one name in C, in the table and in R. */
#define ENTRY(name, n)                                                                             \
  { #name, (DL_FUNC)&name, n }
static const R_CallMethodDef entries[] = {
    ENTRY(C_registry, 0), ENTRY(C_layout, 1),    ENTRY(C_fit, 8),     ENTRY(C_run, 6),
    ENTRY(C_gradient, 4), ENTRY(C_moments, 3),   ENTRY(C_kernels, 0), ENTRY(C_draw, 1),
    ENTRY(C_math, 2),     ENTRY(C_product, 4),   ENTRY(C_mixture, 6), ENTRY(C_all_finite, 2),
    ENTRY(C_normals, 1),  ENTRY(C_quantiles, 1), ENTRY(C_poll, 0),    ENTRY(C_threads, 1),
    ENTRY(C_jacobian, 8), ENTRY(C_root, 3),      ENTRY(C_call, 3),    ENTRY(C_checksum, 2),
    ENTRY(C_sync, 1),     ENTRY(C_sample, 6),    ENTRY(C_stack, 4),   {NULL, NULL, 0}};

void attribute_visible R_init_varnn(DllInfo *dll) {
  R_registerRoutines(dll, NULL, entries, NULL, NULL);
  R_useDynamicSymbols(dll, FALSE);
  R_forceSymbols(dll, TRUE);
}
