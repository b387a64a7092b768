/* R's specification of a model, its data and a job become the engine's: every field is checked here, for a fit may have
 * been damaged in a file. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "glue.h"

enum { MAX_SIZE = 100000000, MAX_LAYERS = 10000, MAX_BLOCKS = 100000 };

/* An option is a row of the table that its layer names, or a switch. */
static int layer_option(const char *table, const char *option) {
  if (strcmp(table, "bias") == 0) return strcmp(option, "bias") == 0;
  return *table ? registry_row(table, option) : 0;
}

/* There is one layer of the kind at most. */
static void check_once(const nn_layer_spec *layer, int n, const char *kind) {
  const int row = registry_row("layer", kind);
  int count = 0;
  for (int i = 0; i < n; i++) count += layer[i].kind == row;
  if (count > 1) Rf_error("the model is damaged: it has more than one layer '%s'", kind);
}

/* One function: the table's names of its primitives, what each reads (1 is the first; 0: nothing), its numbers. */
static void read_program(SEXP list, nn_program *p) {
  const char *field[NN_MAX_ARITY] = {"a", "b", "c"};
  SEXP op = field_of(list, "op", STRSXP, -1), number;
  p->n = (int)within((double)Rf_xlength(op), "op", 1, NN_MAX_INSTRUCTIONS);
  p->n_arguments = (int)Rf_xlength(field_of(list, "arguments", STRSXP, -1));
  number = field_of(list, "number", REALSXP, p->n);
  nn_instruction *to = (nn_instruction *)R_alloc(p->n, sizeof *to);
  for (int i = 0; i < p->n; i++) {
    to[i].primitive = registry_row("primitive", CHAR(STRING_ELT(op, i)));
    to[i].number = within(REAL(number)[i], "number", -DBL_MAX, DBL_MAX);
  }
  for (int k = 0; k < NN_MAX_ARITY; k++) {
    const int *from = INTEGER(field_of(list, field[k], INTSXP, p->n));
    for (int i = 0; i < p->n; i++)
      to[i].from[k] = (int)within(from[i], field[k], 0, NN_MAX_INSTRUCTIONS) - 1;
  }
  p->instruction = to;
}

static const nn_program *read_programs(SEXP programs, int *n) {
  *n = programs == R_NilValue ? 0 : (int)within(Rf_length(programs), "programs", 1, MAX_LAYERS);
  if (!*n) return NULL;
  nn_program *p = (nn_program *)R_alloc(*n, sizeof *p);
  typed(programs, "programs", VECSXP, *n);
  for (int i = 0; i < *n; i++) read_program(VECTOR_ELT(programs, i), &p[i]);
  return p;
}

const nn_program *program_of(SEXP program) {
  nn_program *p = (nn_program *)R_alloc(1, sizeof *p);
  read_program(program, p);
  return p;
}

/* One of the programs, by its number; NULL where none is named. */
static const nn_program *program_field(SEXP spec, const char *name, const nn_spec *s) {
  if (list_get(spec, name) == R_NilValue) return NULL;
  return &s->program[field_int(spec, name, 1, s->n_programs) - 1];
}

static const nn_layer_spec *read_layers(SEXP spec, int *n_layers) {
  SEXP kind = field_of(spec, "layer", STRSXP, -1);
  int n = *n_layers = (int)within((double)Rf_xlength(kind), "layer", 1, MAX_LAYERS);
  SEXP size = field_of(spec, "size", INTSXP, n), option = field_of(spec, "option", STRSXP, n);
  SEXP setting = field_of(spec, "setting", REALSXP, n);
  nn_layer_spec *layer = (nn_layer_spec *)R_alloc(n, sizeof *layer);
  const int tied = registry_row("layer", "tied"), program = registry_row("layer", "program");
  for (int i = 0; i < n; i++) {
    const int own = registry_row("layer", CHAR(STRING_ELT(kind, i)));
    layer[i].kind = own;
    layer[i].option = layer_option(nn_layer_option(own), CHAR(STRING_ELT(option, i)));
    layer[i].size =
        (int)within(INTEGER(size)[i], "size", 1, MAX_SIZE) - (own == tied || own == program);
    if (own == tied && layer[i].size >= i)
      Rf_error("the model is damaged: layer %d is tied to none before it", i + 1);
    layer[i].setting = within(REAL(setting)[i], "setting", 0, nextafter(nn_layer_below(own), 0));
  }
  check_once(layer, n, "latent");
  check_once(layer, n, "contract");
  return layer;
}

/* The numbers of all blocks one after the other, so many of each. */
static const double *flat_field(SEXP spec, const char *name, SEXP lengths, int most) {
  double total = 0;
  for (R_xlen_t i = 0; i < Rf_xlength(lengths); i++)
    total += within(INTEGER(lengths)[i], name, 0, most);
  const double *x = REAL(field_of(spec, name, REALSXP, total));
  for (size_t i = 0; i < (size_t)total; i++) within(x[i], name, -DBL_MAX, DBL_MAX);
  return x;
}

static const nn_block_spec *read_blocks(SEXP spec, const nn_spec *s, int *n_blocks) {
  SEXP family = field_of(spec, "family", STRSXP, -1);
  int n = *n_blocks = (int)within((double)Rf_xlength(family), "family", 1, MAX_BLOCKS);
  SEXP n_responses = field_of(spec, "n_responses", INTSXP, n),
       noise = field_of(spec, "noise", STRSXP, n);
  SEXP n_free = field_of(spec, "n_free", INTSXP, n),
       n_constants = field_of(spec, "n_constants", INTSXP, n);
  const double *fixed = flat_field(spec, "fixed", n_free, NN_MAX_FREE),
               *constants = flat_field(spec, "constants", n_constants, NN_MAX_CONSTANTS);
  nn_block_spec *block = (nn_block_spec *)R_alloc(n, sizeof *block);
  double total = 0, total_free = 0;
  for (int i = 0; i < n; i++) {
    const char *name = CHAR(STRING_ELT(family, i));
    block[i].family = strcmp(name, "custom") == 0 ? NN_CUSTOM : registry_row("family", name);
    block[i].program = NULL;
    block[i].n_responses = (int)within(INTEGER(n_responses)[i], "n_responses", 1, MAX_SIZE);
    block[i].noise = registry_row("noise", CHAR(STRING_ELT(noise, i)));
    block[i].n_free = INTEGER(n_free)[i], block[i].n_constants = INTEGER(n_constants)[i];
    block[i].fixed = fixed, block[i].constants = constants;
    fixed += block[i].n_free, constants += block[i].n_constants;
    total += (double)block[i].n_responses * (block[i].n_constants > 1 ? block[i].n_constants : 1);
    total_free += (double)block[i].n_free * block[i].n_responses;
  }
  SEXP custom = list_get(spec, "nll_program");
  if (custom != R_NilValue) typed(custom, "nll_program", INTSXP, n);
  for (int i = 0; custom != R_NilValue && i < n; i++)
    if (block[i].family == NN_CUSTOM)
      block[i].program =
          &s->program[(int)within(INTEGER(custom)[i], "nll_program", 1, s->n_programs) - 1];
  within(total, "n_responses", 1, MAX_SIZE);
  within(total_free, "n_free", 0, MAX_SIZE);
  return block;
}

/* A precision, which may be infinite, and a center for each weight. */
static void read_by_weight(SEXP spec, nn_prior *prior) {
  SEXP precision = field_of(spec, "precision", REALSXP, -1);
  prior->n_weights = (size_t)Rf_xlength(precision);
  prior->precision = REAL(precision);
  prior->center = REAL(field_of(spec, "center", REALSXP, (double)prior->n_weights));
  for (size_t i = 0; i < prior->n_weights; i++) {
    within(prior->precision[i], "precision", 1e-100, INFINITY);
    within(prior->center[i], "center", -1e100, 1e100);
  }
}

static nn_spec read_spec(SEXP spec) {
  if (TYPEOF(spec) != VECSXP) Rf_error("the model is damaged: its specification is no list");
  nn_spec s = {.n_x = field_int(spec, "n_x", 1, MAX_SIZE),
               .has_offset = field_int(spec, "has_offset", 0, 1),
               .posterior = field_row(spec, "posterior", "posterior"),
               .rank = field_int(spec, "rank", 1, 1000),
               .estimator = field_row(spec, "estimator", "estimator"),
               .prior = {.kind = field_row(spec, "prior", "prior"),
                         .sd = field_number(spec, "prior_sd", 1e-100, 1e100),
                         .share = field_number(spec, "prior_share", 0, 1),
                         .sd2 = field_number(spec, "prior_sd2", 1e-100, 1e100),
                         .fan_in = field_int(spec, "fan_in", 0, 1),
                         .mc = field_int(spec, "kl_mc", 0, 1)},
               .penalty = field_number(spec, "penalty", 0, 1e100),
               .latent_mc = field_int(spec, "latent_mc", 0, 1)};
  if (s.prior.kind == registry_row("prior", "by_weight") ||
      list_get(spec, "precision") != R_NilValue)
    read_by_weight(spec, &s.prior);
  s.program = read_programs(list_get(spec, "programs"), &s.n_programs);
  if (s.prior.kind == registry_row("prior", "program"))
    s.prior.program = program_field(spec, "prior_program", &s);
  s.penalty_program = program_field(spec, "penalty_program", &s);
  s.layer = read_layers(spec, &s.n_layers);
  s.block = read_blocks(spec, &s, &s.n_blocks);
  return s;
}

nn_compute compute_of(SEXP options) {
  SEXP list = list_get(options, "compute");
  return (nn_compute){.blas_from = field_number(list, "blas_from", 0, INFINITY),
                      .threads = field_int(list, "threads", 1, 1024)};
}

const nn_engine *build_of(int single) {
  const char *asked = getenv("VARNN_KERNEL");
  const nn_engine *engine = nn_engine_of(asked && *asked ? asked : NULL, single);
  if (!engine) Rf_error("VARNN_KERNEL is '%s': this machine has no such kernel", asked);
  return engine;
}

const nn_engine *engine_of(SEXP options) {
  return build_of(field_int(list_get(options, "compute"), "single", 0, 1));
}

char *allocate(size_t bytes) {
  if ((double)bytes > MOST)
    Rf_error("the model needs %.3g bytes, more than any memory holds", (double)bytes);
  return R_alloc(bytes, 1);
}

const r_model *model_of(SEXP spec, const nn_engine *engine, nn_mode mode) {
  enum { ALIGN = 64 };
  r_model *m = (r_model *)R_alloc(1, sizeof *m);
  m->engine = engine;
  m->spec = read_spec(spec);
  if (mode == NN_MODE_DRAW) m->spec.estimator = 0, m->spec.prior.mc = 0;
  char *memory = allocate(engine->model_bytes(&m->spec) + ALIGN);
  m->model = memory + (ALIGN - (size_t)memory % ALIGN) % ALIGN;
  const int status = engine->build(m->model, &m->spec);
  if (status == NN_TOO_LARGE) Rf_error("the model has more parameters than any memory holds");
  if (status != NN_OK)
    Rf_error("the model is damaged: its layers do not fit each other or its responses");
  engine->describe(m->model, &m->info);
  return m;
}

SEXP parameters_of(const r_model *m, SEXP theta, size_t n, const char *name) {
  if (!m->engine->all_finite(n, numbers_of(theta, name, (double)n)))
    Rf_error("the model is damaged: '%s' is not finite", name);
  return theta;
}

/* A matrix among the data, or NULL where it may be absent. */
static const double *matrix_field(SEXP data, const char *name, size_t n, int columns,
                                  int is_required) {
  SEXP x = list_get(data, name);
  return x == R_NilValue && !is_required ? NULL : numbers_of(x, name, (double)n * columns);
}

/* A number per row or column, each from `low` on; or NULL. */
static const double *factor_field(SEXP data, const char *name, size_t n, double low) {
  const double *x = matrix_field(data, name, n, 1, 0);
  for (size_t i = 0; x && i < n; i++) within(x[i], name, low, DBL_MAX);
  return x;
}

/* R's list(n, x, y, offset, weight, center, scale, same, row): what is there has the model's dimensions. */
nn_source source_of(SEXP data, const r_model *m, int needs_x, int needs_y) {
  if (TYPEOF(data) != VECSXP) Rf_error("the data must be a list");
  const int n_x = m->spec.n_x;
  const size_t n = (size_t)field_number(data, "n", 0, INT_MAX);
  SEXP row = list_get(data, "row");
  nn_source s = {.n = n,
                 .n_source = n,
                 .x = matrix_field(data, "x", n, n_x, needs_x),
                 .y = matrix_field(data, "y", n, m->info.n_y, needs_y),
                 .offset = matrix_field(data, "offset", n, m->info.n_eta, m->spec.has_offset),
                 .weight = factor_field(data, "weight", n, 0),
                 .center = factor_field(data, "center", (size_t)n_x, -1.7e308),
                 .scale = factor_field(data, "scale", (size_t)n_x, 1e-300),
                 .y_is_x = Rf_asLogical(list_get(data, "same")) == 1};
  if (s.y_is_x && (!needs_y || n_x != m->info.n_y)) Rf_error("'y' cannot be 'x'");
  if (row == R_NilValue) return s;
  const double *number = numbers_of(row, "row", -1);
  s.n = (size_t)Rf_xlength(row);
  size_t *index = (size_t *)R_alloc(s.n, sizeof *index);
  for (size_t i = 0; i < s.n; i++) index[i] = (size_t)within(number[i], "row", 1, (double)n) - 1;
  s.row = index;
  return s;
}

nn_feed feed_of(SEXP data) {
  const double n = field_number(data, "n", 1, MOST);
  return (nn_feed){.n = (size_t)n,
                   .most = (size_t)field_number(data, "most", 1, n < INT_MAX ? n : INT_MAX),
                   .total_weight = field_number(data, "total_weight", DBL_MIN, DBL_MAX)};
}

nn_job job_of(SEXP job, const r_model *m, SEXP data) {
  nn_job j = {.mc_samples = field_int(job, "mc_samples", 1, 1000000),
              .importance = field_int(job, "importance", 1, 1000000),
              .kl_warmup = field_int(job, "kl_warmup", 0, INT_MAX),
              .batch_size = field_int(job, "batch_size", 1, INT_MAX)};
  if (list_get(data, "most") == R_NilValue) {
    j.train = source_of(data, m, 1, 1);
  } else {
    j.feed = feed_of(data);
    j.train.n = j.feed.most;
  }
  memcpy(j.coefficient, REAL(field_of(job, "coefficient", REALSXP, NN_N_TERM_KINDS)),
         sizeof j.coefficient);
  if (j.train.n < 1) Rf_error("there are no observations");
  return j;
}

void training_of(SEXP job, nn_job *j) {
  j->optimizer = field_row(job, "optimizer", "optimizer");
  j->schedule = field_row(job, "schedule", "schedule");
  j->epochs = field_int(job, "epochs", 0, 100000000);
  j->epochs_before = field_int(job, "epochs_before", 0, 100000000);
  j->patience = field_int(job, "patience", 0, INT_MAX);
  j->learn_rate = field_number(job, "learn_rate", 0, 1e100);
  j->momentum = field_number(job, "momentum", 0, 1);
  j->clip_norm = field_number(job, "clip_norm", 0, 1e300);
  j->tolerance = field_number(job, "tolerance", 0, 1);
}

/* The moment and the epochs done as numbers, in a fixed order. */
enum {
  KEPT_EPOCHS,
  KEPT_BEST,
  KEPT_STALE,
  KEPT_FIRST,
  KEPT_PASS,
  KEPT_WATCHED,
  KEPT_SHARE,
  KEPT_LOSS,
  KEPT_TIGHTER,
  N_KEPT
};

void kept_numbers(const nn_job *j, double *number) {
  const nn_moment *now = &j->kept->now;
  const double value[N_KEPT] = {[KEPT_EPOCHS] = j->epochs_done, [KEPT_BEST] = j->best_epoch,
                                [KEPT_STALE] = now->stale,      [KEPT_FIRST] = (double)now->first,
                                [KEPT_PASS] = now->pass,        [KEPT_WATCHED] = now->watched,
                                [KEPT_SHARE] = now->share,      [KEPT_LOSS] = now->loss,
                                [KEPT_TIGHTER] = now->tighter};
  memcpy(number, value, sizeof value);
}

/* How many numbers each array has. */
typedef struct {
  size_t grad, order;
} kept_sizes;

static kept_sizes kept_sizes_of(const r_model *m, const nn_job *j) {
  const int full = nn_optimizer_full_batch(j->optimizer);
  return (kept_sizes){full ? m->info.n_par : 0,
                      full || (size_t)j->batch_size >= j->train.n ? 0 : j->train.n};
}

size_t state_size(const r_model *m, int optimizer) {
  return m->info.n_par * (size_t)nn_optimizer_slots(optimizer) + 1 + m->info.n_levels;
}

SEXP kept_new(const r_model *m, nn_job *j, SEXP out) {
  const char *fields[] = {"theta", "state", "history", "number", "start", "best",
                          "grad",  "sum",   "part",    "order",  ""};
  const kept_sizes n = kept_sizes_of(m, j);
  const R_xlen_t n_par = (R_xlen_t)m->info.n_par, n_terms = m->info.n_terms;
  nn_kept *k = (nn_kept *)R_alloc(1, sizeof *k);
  SEXP kept = PROTECT(Rf_mkNamed(VECSXP, fields));
  for (int i = 0; i < 3; i++) SET_VECTOR_ELT(kept, i, VECTOR_ELT(out, i));
  list_new(kept, 3, REALSXP, N_KEPT);
  k->start = REAL(list_new(kept, 4, REALSXP, n_par));
  k->best = REAL(list_new(kept, 5, REALSXP, n_par));
  k->grad = REAL(list_new(kept, 6, REALSXP, (R_xlen_t)n.grad));
  k->sum = REAL(list_new(kept, 7, REALSXP, n_terms));
  k->part = REAL(list_new(kept, 8, REALSXP, n_terms));
  k->order = REAL(list_new(kept, 9, REALSXP, (R_xlen_t)n.order));
  j->kept = k;
  UNPROTECT(1);
  return kept;
}

/* Numbers that must be as many as these, and finite, to where they belong. */
static void kept_copy(SEXP from, const r_model *m, const char *name, size_t n, double *to) {
  memcpy(to, REAL(parameters_of(m, list_get(from, name), n, name)), n * sizeof(double));
}

void kept_read(SEXP from, const r_model *m, nn_job *j) {
  const size_t n_par = m->info.n_par, n_terms = (size_t)m->info.n_terms,
               n_slots = n_par * (size_t)nn_optimizer_slots(j->optimizer),
               n_state = state_size(m, j->optimizer), width = 3 + 2 * n_terms;
  const kept_sizes n = kept_sizes_of(m, j);
  const double *number = REAL(field_of(from, "number", REALSXP, N_KEPT));
  nn_kept *k = j->kept;
  j->epochs_done = (int)within(number[KEPT_EPOCHS], "number", 0, j->epochs);
  j->best_epoch = (int)within(number[KEPT_BEST], "number", 0, j->epochs_done);
  k->now = (nn_moment){.stale = (int)within(number[KEPT_STALE], "number", 0, j->epochs_done),
                       .first = (size_t)within(number[KEPT_FIRST], "number", 0, (double)j->train.n),
                       .pass = (unsigned)within(number[KEPT_PASS], "number", 0, UINT_MAX),
                       .watched = within(number[KEPT_WATCHED], "number", -INFINITY, INFINITY),
                       .share = within(number[KEPT_SHARE], "number", 0, 1),
                       .loss = number[KEPT_LOSS],
                       .tighter = within(number[KEPT_TIGHTER], "number", -DBL_MAX, DBL_MAX)};
  kept_copy(from, m, "theta", n_par, j->theta);
  kept_copy(from, m, "state", n_state, j->state);
  for (size_t i = n_slots; i < n_state; i++) within(j->state[i], "state", 0, INT_MAX);
  kept_copy(from, m, "start", n_par, k->start);
  kept_copy(from, m, "best", n_par, k->best);
  kept_copy(from, m, "grad", n.grad, k->grad);
  kept_copy(from, m, "sum", n_terms, k->sum);
  kept_copy(from, m, "part", n_terms, k->part);
  kept_copy(from, m, "order", n.order, k->order);
  for (size_t i = 0; i < n.order; i++) within(k->order[i], "order", 0, (double)j->train.n - 1);
  memcpy(j->history,
         numbers_of(list_get(from, "history"), "history", (double)width * j->epochs_done),
         width * (size_t)j->epochs_done * sizeof(double));
  j->goes_on = 1;
}
