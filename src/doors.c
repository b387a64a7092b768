/* The doors that only the tests use: single kernels of the engine. */
#include <limits.h>
#include "glue.h"

/* op(a) op(b) + start: list(a_transposed, b_transposed, compute). */
SEXP C_product(SEXP a, SEXP b, SEXP start, SEXP options) {
  nn_matrices x = {.a_transposed = field_int(options, "a_transposed", 0, 1),
                   .b_transposed = field_int(options, "b_transposed", 0, 1),
                   .a = numbers_of(a, "a", -1),
                   .b = numbers_of(b, "b", -1),
                   .start = numbers_of(start, "start", -1)};
  const nn_engine *engine = engine_of(options);
  nn_compute compute = compute_of(options);
  x.m = x.a_transposed ? Rf_ncols(a) : Rf_nrows(a),
  x.k = x.a_transposed ? Rf_nrows(a) : Rf_ncols(a);
  x.n = x.b_transposed ? Rf_nrows(b) : Rf_ncols(b), x.start_columns = (size_t)Rf_ncols(start);
  if (x.k != (x.b_transposed ? Rf_ncols(b) : Rf_nrows(b)) || x.m < 1 || x.n < 1 || x.k < 1 ||
      Rf_nrows(start) != x.m || Rf_ncols(start) > x.n)
    Rf_error("the matrices do not fit each other");
  void *memory = allocate(engine->product(&x, &compute, NULL));
  SEXP out = Rf_allocMatrix(REALSXP, x.m, x.n);
  x.c = REAL(out);
  engine->product(&x, &compute, memory);
  return out;
}

/* An elementary function at the numbers x: list(function, compute). */
SEXP C_math(SEXP x, SEXP options) {
  const int row = field_row(options, "function", "function");
  const nn_engine *engine = engine_of(options);
  const double *number = numbers_of(x, "x", -1);
  const size_t n = (size_t)Rf_xlength(x);
  void *memory = allocate(engine->math(row, n, NULL, NULL, NULL));
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)n);
  engine->math(row, n, number, REAL(out), memory);
  return out;
}

/* Standard normal quantiles of p, numbers in (0, 1). */
SEXP C_quantiles(SEXP p) {
  const double *number = numbers_of(p, "p", -1);
  const nn_engine *engine = build_of(0);
  SEXP out = Rf_allocVector(REALSXP, Rf_xlength(p));
  engine->normal_quantiles((size_t)Rf_xlength(p), number, REAL(out));
  return out;
}

/* Numbers of the engine's generator: list(kind, key, node, pass, first, n, compute), where first has two words, the low
 * one first. */
SEXP C_draw(SEXP options) {
  int kind = field_int(options, "kind", 0, 2), n = field_int(options, "n", 1, INT_MAX / 4);
  const double *key = REAL(field_of(options, "key", REALSXP, 2));
  const double *first = REAL(field_of(options, "first", REALSXP, 2));
  nn_place place = {{(unsigned)key[0], (unsigned)key[1]},
                    (unsigned)field_number(options, "node", 0, 4294967295.0),
                    (unsigned)field_number(options, "pass", 0, 4294967295.0),
                    (unsigned long long)first[1] << 32 | (unsigned long long)first[0]};
  const nn_engine *engine = engine_of(options);
  SEXP out = Rf_allocVector(REALSXP, (R_xlen_t)n * (kind ? 1 : 4));
  engine->draw(kind, &place, (size_t)n, REAL(out));
  return out;
}
