/* What the files that know both R and the engine share: reading R's lists, and the specification they hold. */
#ifndef VARNN_GLUE_H
#define VARNN_GLUE_H

#define R_NO_REMAP
#define STRICT_R_HEADERS
#include <Rinternals.h>
#include "engine/api.h"

/* Element `name` of a list, or NULL. */
SEXP list_get(SEXP list, const char *name);
/* Row of a registered table, or an error that names what was given. */
int registry_row(const char *table, const char *name);

/* Checked fields: an error that names the field unless it has this type and this length (-1: any). */
SEXP field_of(SEXP list, const char *name, SEXPTYPE type, R_xlen_t length);
double field_number(SEXP list, const char *name, double low, double high);
int field_int(SEXP list, const char *name, int low, int high);
int field_row(SEXP list, const char *name, const char *table);

/* Reads R's specification, every field checked; its memory is R_alloc's. */
nn_spec spec_read(SEXP spec);
/* R_alloc's memory, or an error that says how much was asked for. */
char *allocate(size_t bytes);
/* Builds its model, in R_alloc's memory. */
void *spec_build(const nn_engine *engine, const nn_spec *spec, nn_info *info);

SEXP C_registry(void);
SEXP C_layout(SEXP spec);
SEXP C_fit(SEXP spec, SEXP job, SEXP train, SEXP valid, SEXP theta, SEXP state, SEXP hooks);
SEXP C_run(SEXP spec, SEXP theta, SEXP data, SEXP z, SEXP options, SEXP poll);
SEXP C_gradient(SEXP spec, SEXP job, SEXP data, SEXP theta);
SEXP C_moments(SEXP x, SEXP weight, SEXP options);
SEXP C_all_finite(SEXP x, SEXP options);
SEXP C_kernels(void);
SEXP C_draw(SEXP options);
SEXP C_math(SEXP x, SEXP options);
SEXP C_product(SEXP a, SEXP b, SEXP start, SEXP options);
SEXP C_mixture(SEXP mean, SEXP sd, SEXP p, SEXP options);
SEXP C_normals(SEXP options);
SEXP C_quantiles(SEXP p);
SEXP C_poll(void);
SEXP C_threads(SEXP wanted);

#endif
