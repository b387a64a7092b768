/* R's lists and vectors: read, every field checked, and made. */
#include <string.h>
#include "glue.h"

SEXP list_get(SEXP list, const char *name) {
  SEXP names = Rf_getAttrib(list, R_NamesSymbol);
  if (TYPEOF(list) != VECSXP || TYPEOF(names) != STRSXP) return R_NilValue;
  for (R_xlen_t i = 0; i < Rf_xlength(list); i++)
    if (strcmp(CHAR(STRING_ELT(names, i)), name) == 0) return VECTOR_ELT(list, i);
  return R_NilValue;
}

SEXP typed(SEXP x, const char *name, SEXPTYPE type, double length) {
  const double has = (double)Rf_xlength(x);
  if ((SEXPTYPE)TYPEOF(x) != type || (length >= 0 && has != length))
    Rf_error("the model is damaged: '%s' must be of type '%s' and length %.0f, and has length %.0f",
             name, Rf_type2char(type), length < 0 ? has : length, has);
  return x;
}

double within(double x, const char *name, double low, double high) {
  if (!(x >= low && x <= high))
    Rf_error("the model is damaged: '%s' has %g, not between %g and %g", name, x, low, high);
  return x;
}

double *numbers_of(SEXP x, const char *name, double length) {
  return REAL(typed(x, name, REALSXP, length));
}

SEXP field_of(SEXP list, const char *name, SEXPTYPE type, double length) {
  return typed(list_get(list, name), name, type, length);
}

double field_number(SEXP list, const char *name, double low, double high) {
  return within(REAL(field_of(list, name, REALSXP, 1))[0], name, low, high);
}

int field_int(SEXP list, const char *name, int low, int high) {
  return (int)within(INTEGER(field_of(list, name, INTSXP, 1))[0], name, low, high);
}

int field_row(SEXP list, const char *name, const char *table) {
  return registry_row(table, CHAR(STRING_ELT(field_of(list, name, STRSXP, 1), 0)));
}

const nn_names *table_of(const char *table) {
  for (int t = 0; t < nn_n_registry; t++)
    if (strcmp(nn_registry[t].table, table) == 0) return &nn_registry[t];
  Rf_error("there is no table '%s'", table);
}

int registry_row(const char *table, const char *name) {
  const nn_names *t = table_of(table);
  for (int i = 0; t->name(i); i++)
    if (strcmp(t->name(i), name) == 0) return i;
  Rf_error("the model is damaged: '%s' is no %s", name, table);
}

SEXP list_new(SEXP list, int i, SEXPTYPE type, R_xlen_t n) {
  SET_VECTOR_ELT(list, i, Rf_allocVector(type, n));
  return VECTOR_ELT(list, i);
}

SEXP names_of(const char *(*name)(int i)) {
  int n = 0;
  while (name(n)) n++;
  SEXP x = PROTECT(Rf_allocVector(STRSXP, n));
  for (int i = 0; i < n; i++) SET_STRING_ELT(x, i, Rf_mkChar(name(i)));
  UNPROTECT(1);
  return x;
}
