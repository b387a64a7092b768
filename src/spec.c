/* R's specification of a model becomes the engine's: every field is checked here, a damaged one is an error. */
#include <string.h>
#include "glue.h"

enum { MAX_SIZE = 100000000, MAX_LAYERS = 10000, MAX_BLOCKS = 100000 };

SEXP list_get(SEXP list, const char *name) {
  SEXP names = Rf_getAttrib(list, R_NamesSymbol);
  if (TYPEOF(list) != VECSXP || TYPEOF(names) != STRSXP) return R_NilValue;
  for (R_xlen_t i = 0; i < Rf_xlength(list); i++)
    if (strcmp(CHAR(STRING_ELT(names, i)), name) == 0) return VECTOR_ELT(list, i);
  return R_NilValue;
}

int registry_row(const char *table, const char *name) {
  for (int t = 0; t < nn_n_registry; t++) {
    if (strcmp(nn_registry[t].table, table) != 0) continue;
    for (int i = 0; nn_registry[t].name(i); i++)
      if (strcmp(nn_registry[t].name(i), name) == 0) return i;
  }
  Rf_error("the model is damaged: '%s' is no %s", name, table);
  return -1;
}

SEXP field_of(SEXP list, const char *name, SEXPTYPE type, R_xlen_t length) {
  SEXP x = list_get(list, name);
  if ((SEXPTYPE)TYPEOF(x) != type || (length >= 0 && Rf_xlength(x) != length))
    Rf_error("the model is damaged: '%s' must be of type '%s' and its length is %.0f", name,
             Rf_type2char(type), (double)Rf_xlength(x));
  return x;
}

double field_number(SEXP list, const char *name, double low, double high) {
  double x = REAL(field_of(list, name, REALSXP, 1))[0];
  if (!(x >= low && x <= high))
    Rf_error("the model is damaged: '%s' is %g, not between %g and %g", name, x, low, high);
  return x;
}

int field_int(SEXP list, const char *name, int low, int high) {
  int x = INTEGER(field_of(list, name, INTSXP, 1))[0];
  if (x == NA_INTEGER || x < low || x > high)
    Rf_error("the model is damaged: '%s' is %d, not between %d and %d", name, x, low, high);
  return x;
}

int field_row(SEXP list, const char *name, const char *table) {
  return registry_row(table, CHAR(STRING_ELT(field_of(list, name, STRSXP, 1), 0)));
}

static int int_at(SEXP x, int i, const char *name, int low, int high) {
  int value = INTEGER(x)[i];
  if (value == NA_INTEGER || value < low || value > high)
    Rf_error("the model is damaged: '%s' has %d, not between %d and %d", name, value, low, high);
  return value;
}

/* An option is a row of the table that its layer names, or a switch. */
static int layer_option(int kind, const char *option) {
  const char *table = nn_layer_option(kind);
  if (strcmp(table, "") == 0) return 0;
  if (strcmp(table, "bias") == 0) return strcmp(option, "bias") == 0;
  return registry_row(table, option);
}

/* There is one layer of the kind at most. */
static void check_once(const nn_layer_spec *layer, int n, const char *kind) {
  const int row = registry_row("layer", kind);
  int count = 0;
  for (int i = 0; i < n; i++) count += layer[i].kind == row;
  if (count > 1) Rf_error("the model is damaged: it has more than one layer '%s'", kind);
}

/* A tied layer names an earlier dense or latent one. */
static void check_tied(nn_layer_spec *layer, int i) {
  int of = --layer[i].size;
  int ok = of < i && (layer[of].kind == registry_row("layer", "dense") ||
                      layer[of].kind == registry_row("layer", "latent"));
  if (!ok)
    Rf_error("the model is damaged: layer %d is tied to one that is no earlier dense layer", i + 1);
}

static const nn_layer_spec *read_layers(SEXP spec, int *n_layers) {
  SEXP kind = field_of(spec, "layer", STRSXP, -1);
  if (Rf_xlength(kind) < 1 || Rf_xlength(kind) > MAX_LAYERS)
    Rf_error("the model is damaged: it has no layers or too many");
  int n = *n_layers = (int)Rf_xlength(kind);
  SEXP size = field_of(spec, "size", INTSXP, n), option = field_of(spec, "option", STRSXP, n);
  SEXP setting = field_of(spec, "setting", REALSXP, n);
  nn_layer_spec *layer = (nn_layer_spec *)R_alloc(n, sizeof *layer);
  int tied = registry_row("layer", "tied");
  for (int i = 0; i < n; i++) {
    layer[i].kind = registry_row("layer", CHAR(STRING_ELT(kind, i)));
    layer[i].option = layer_option(layer[i].kind, CHAR(STRING_ELT(option, i)));
    layer[i].size = int_at(size, i, "size", 1, MAX_SIZE);
    layer[i].setting = REAL(setting)[i];
    if (!(layer[i].setting >= 0 && layer[i].setting < nn_layer_below(layer[i].kind)))
      Rf_error("the model is damaged: 'setting' is not in its range");
    if (layer[i].kind == tied) check_tied(layer, i);
  }
  check_once(layer, n, "latent");
  check_once(layer, n, "contract");
  return layer;
}

static const nn_block_spec *read_blocks(SEXP spec, int *n_blocks) {
  SEXP family = field_of(spec, "family", STRSXP, -1);
  if (Rf_xlength(family) < 1 || Rf_xlength(family) > MAX_BLOCKS)
    Rf_error("the model is damaged: it has no responses or too many");
  int n = *n_blocks = (int)Rf_xlength(family);
  SEXP n_responses = field_of(spec, "n_responses", INTSXP, n),
       noise = field_of(spec, "noise", STRSXP, n);
  SEXP fixed = field_of(spec, "fixed", REALSXP, n);
  nn_block_spec *block = (nn_block_spec *)R_alloc(n, sizeof *block);
  double total = 0;
  for (int i = 0; i < n; i++) {
    block[i].family = registry_row("family", CHAR(STRING_ELT(family, i)));
    block[i].n_responses = int_at(n_responses, i, "n_responses", 1, MAX_SIZE);
    block[i].noise = registry_row("noise", CHAR(STRING_ELT(noise, i)));
    block[i].fixed = REAL(fixed)[i];
    if (!R_FINITE(block[i].fixed)) Rf_error("the model is damaged: 'fixed' is not finite");
    total += block[i].n_responses;
  }
  if (total > MAX_SIZE) Rf_error("the model is damaged: it has %.0f responses", total);
  return block;
}

static nn_prior read_prior(SEXP spec) {
  nn_prior p = {.kind = field_row(spec, "prior", "prior"),
                .sd = field_number(spec, "prior_sd", 1e-100, 1e100),
                .share = field_number(spec, "prior_share", 0, 1),
                .sd2 = field_number(spec, "prior_sd2", 1e-100, 1e100),
                .fan_in = field_int(spec, "fan_in", 0, 1),
                .mc = field_int(spec, "kl_mc", 0, 1)};
  return p;
}

nn_spec spec_read(SEXP spec) {
  nn_spec s;
  memset(&s, 0, sizeof s);
  if (TYPEOF(spec) != VECSXP) Rf_error("the model is damaged: its specification is no list");
  s.n_x = field_int(spec, "n_x", 1, MAX_SIZE);
  s.has_offset = field_int(spec, "has_offset", 0, 1);
  s.posterior = field_row(spec, "posterior", "posterior");
  s.rank = field_int(spec, "rank", 1, 1000);
  s.estimator = field_row(spec, "estimator", "estimator");
  s.prior = read_prior(spec);
  s.penalty = field_number(spec, "penalty", 0, 1e100);
  s.latent_mc = field_int(spec, "latent_mc", 0, 1);
  s.layer = read_layers(spec, &s.n_layers);
  s.block = read_blocks(spec, &s.n_blocks);
  return s;
}

char *allocate(size_t bytes) {
  if ((double)bytes > 4503599627370496.0)
    Rf_error("the model needs %.3g bytes, more than any memory holds", (double)bytes);
  return R_alloc(bytes, 1);
}

void *spec_build(const nn_engine *engine, const nn_spec *spec, nn_info *info) {
  enum { ALIGN = 64 };
  char *memory = allocate(engine->model_bytes(spec) + ALIGN);
  memory += (ALIGN - (size_t)memory % ALIGN) % ALIGN;
  const int status = engine->build(memory, spec);
  if (status == NN_TOO_LARGE) Rf_error("the model has more parameters than any memory holds");
  if (status != NN_OK)
    Rf_error("the model is damaged: its layers do not fit each other or its responses");
  engine->describe(memory, info);
  return memory;
}

static void set(SEXP list, SEXP names, int i, const char *name, SEXP value) {
  SET_VECTOR_ELT(list, i, value);
  SET_STRING_ELT(names, i, Rf_mkChar(name));
}

static SEXP names_of(const nn_names *table) {
  int n = 0;
  while (table->name(n)) n++;
  SEXP x = PROTECT(Rf_allocVector(STRSXP, n));
  for (int i = 0; i < n; i++) SET_STRING_ELT(x, i, Rf_mkChar(table->name(i)));
  UNPROTECT(1);
  return x;
}

static SEXP property_of(const char *table, int (*property)(int)) {
  int n = 0;
  for (int t = 0; t < nn_n_registry; t++)
    if (strcmp(nn_registry[t].table, table) == 0)
      while (nn_registry[t].name(n)) n++;
  SEXP x = Rf_allocVector(INTSXP, n);
  for (int i = 0; i < n; i++) INTEGER(x)[i] = property(i);
  return x;
}

/* The names in every table, and what R must know of their rows. */
SEXP C_registry(void) {
  int n = nn_n_registry;
  SEXP out = PROTECT(Rf_allocVector(VECSXP, n + 7)), names = PROTECT(Rf_allocVector(STRSXP, n + 7));
  for (int i = 0; i < n; i++) set(out, names, i, nn_registry[i].table, names_of(&nn_registry[i]));
  set(out, names, n, "family_eta", property_of("family", nn_family_eta));
  set(out, names, n + 1, "family_y", property_of("family", nn_family_y));
  set(out, names, n + 2, "family_free", property_of("family", nn_family_free));
  set(out, names, n + 3, "optimizer_slots", property_of("optimizer", nn_optimizer_slots));
  set(out, names, n + 4, "optimizer_full_batch", property_of("optimizer", nn_optimizer_full_batch));
  set(out, names, n + 5, "posterior_independent",
      property_of("posterior", nn_posterior_independent));
  set(out, names, n + 6, "posterior_moments", property_of("posterior", nn_posterior_moments));
  Rf_setAttrib(out, R_NamesSymbol, names);
  UNPROTECT(2);
  return out;
}

static SEXP name_at(const char *table, int row) {
  for (int t = 0; t < nn_n_registry; t++)
    if (strcmp(nn_registry[t].table, table) == 0) return Rf_mkChar(nn_registry[t].name(row));
  return R_NaString;
}

/* The leaves of theta and the terms of the loss. */
SEXP C_layout(SEXP spec) {
  nn_spec s = spec_read(spec);
  nn_info info;
  const void *model = spec_build(&nn_engine_double, &s, &info);
  static const char *const leaf_fields[] = {"rows", "cols", "layer", "part",
                                            "head", "init", "offset"};
  int n = info.n_leaves;
  SEXP out = PROTECT(Rf_allocVector(VECSXP, 14)), names = PROTECT(Rf_allocVector(STRSXP, 14));
  for (int f = 0; f < 7; f++)
    set(out, names, f, leaf_fields[f], Rf_allocVector(f == 6 ? REALSXP : INTSXP, n));
  set(out, names, 7, "role", Rf_allocVector(STRSXP, n));
  set(out, names, 8, "term", Rf_allocVector(STRSXP, info.n_terms));
  set(out, names, 9, "source", Rf_allocVector(INTSXP, info.n_terms));
  set(out, names, 10, "n_par", Rf_ScalarReal((double)info.n_par));
  set(out, names, 11, "n_eta", Rf_ScalarInteger(info.n_eta));
  set(out, names, 12, "n_y", Rf_ScalarInteger(info.n_y));
  set(out, names, 13, "z_rows", Rf_ScalarInteger(info.z_rows));
  for (int i = 0; i < n; i++) {
    nn_leaf leaf;
    nn_engine_double.leaf(model, i, &leaf);
    int value[] = {leaf.rows, leaf.cols, leaf.layer, leaf.part, leaf.head, leaf.init};
    for (int f = 0; f < 6; f++) INTEGER(VECTOR_ELT(out, f))[i] = value[f];
    REAL(VECTOR_ELT(out, 6))[i] = (double)leaf.offset;
    SET_STRING_ELT(VECTOR_ELT(out, 7), i, name_at("role", leaf.role));
  }
  for (int i = 0; i < info.n_terms; i++) {
    int kind, source;
    nn_engine_double.term(model, i, &kind, &source);
    SET_STRING_ELT(VECTOR_ELT(out, 8), i, name_at("term", kind));
    INTEGER(VECTOR_ELT(out, 9))[i] = source;
  }
  Rf_setAttrib(out, R_NamesSymbol, names);
  UNPROTECT(2);
  return out;
}
