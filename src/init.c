/* Registration: each entry point has one name in C, in the table and in R. */
#include "glue.h"
#include <R_ext/Rdynload.h>
#include <R_ext/Visibility.h>

#define ENTRY(name, n)                                                                             \
  { #name, (DL_FUNC)&name, n }
static const R_CallMethodDef entries[] = {
    ENTRY(C_registry, 0), ENTRY(C_layout, 1),    ENTRY(C_fit, 7),     ENTRY(C_run, 6),
    ENTRY(C_gradient, 4), ENTRY(C_moments, 3),   ENTRY(C_kernels, 0), ENTRY(C_draw, 1),
    ENTRY(C_math, 2),     ENTRY(C_product, 4),   ENTRY(C_mixture, 4), ENTRY(C_all_finite, 2),
    ENTRY(C_normals, 1),  ENTRY(C_quantiles, 1), ENTRY(C_poll, 0),    ENTRY(C_threads, 1),
    {NULL, NULL, 0}};

void attribute_visible R_init_varnn(DllInfo *dll) {
  R_registerRoutines(dll, NULL, entries, NULL, NULL);
  R_useDynamicSymbols(dll, FALSE);
  R_forceSymbols(dll, TRUE);
}
