/* What the files that know both R and the engine share. An error names what is not as it must be. */
#ifndef VARNN_GLUE_H
#define VARNN_GLUE_H

#define R_NO_REMAP
#define STRICT_R_HEADERS
#include <Rinternals.h>
#include "engine/api.h"

/* Bytes or numbers: more are in no memory. */
#define MOST 4503599627370496.0

/* lists.c: element `name` of a list, or NULL; a new vector as element i. */
SEXP list_get(SEXP list, const char *name);
SEXP list_new(SEXP list, int i, SEXPTYPE type, R_xlen_t n);
/* All names that a function gives. */
SEXP names_of(const char *(*name)(int i));
/* x, which must have this type and length (-1: any); its numbers; a number x within its bounds. */
SEXP typed(SEXP x, const char *name, SEXPTYPE type, double length);
double *numbers_of(SEXP x, const char *name, double length);
double within(double x, const char *name, double low, double high);
/* An element of a list, which must have this type and length, be within these bounds or name a row of this table. */
SEXP field_of(SEXP list, const char *name, SEXPTYPE type, double length);
double field_number(SEXP list, const char *name, double low, double high);
int field_int(SEXP list, const char *name, int low, int high);
int field_row(SEXP list, const char *name, const char *table);
int registry_row(const char *table, const char *name);
const nn_names *table_of(const char *table);

/* inputs.c: how `options` say to compute. */
const nn_engine *build_of(int single);
const nn_engine *engine_of(SEXP options);
nn_compute compute_of(SEXP options);
/* The engine's model of R's specification. */
typedef struct {
  const nn_engine *engine;
  void *model;
  nn_spec spec;
  nn_info info;
} r_model;
/* In R_alloc's memory, as all that is read here. */
const r_model *model_of(SEXP spec, const nn_engine *engine, nn_mode mode);
char *allocate(size_t bytes);
const nn_program *program_of(SEXP program);
/* theta, or an optimizer's state: it has n numbers, all finite. */
SEXP parameters_of(const r_model *m, SEXP theta, size_t n, const char *name);
nn_source source_of(SEXP data, const r_model *m, int needs_x, int needs_y);
/* What a gradient needs of a job, with its data; what training does. */
nn_job job_of(SEXP job, const r_model *m, SEXP data);
void training_of(SEXP job, nn_job *j);
/* R's list(n, most, total_weight) of data that come in buffers. */
nn_feed feed_of(SEXP data);

/* host.c: R as the engine's host; `hooks` may have its functions `poll`, `epoch` and `failed`, and of a training that is
 * kept `is_due` and `keep`. */
nn_host host_of(SEXP options, SEXP hooks);
/* What `keep` is called with; `each`: `is_due` is asked as often as the engine asks. */
void host_keeps(nn_host *host, SEXP kept, int each);

/* inputs.c: a new list of what training goes on with, of which `out` has the first elements; where it begins, when it goes
 * on from such a list; the element `number` of it. */
size_t state_size(const r_model *m, int optimizer); /* numbers of an optimizer's state */
SEXP kept_new(const r_model *m, nn_job *j, SEXP out);
void kept_read(SEXP from, const r_model *m, nn_job *j);
void kept_numbers(const nn_job *j, double *number);

/* files.c: what R lacks of files. */
SEXP C_checksum(SEXP bytes, SEXP before);
SEXP C_sync(SEXP file);
/* The host gives training data for this model in buffers of at most so many rows, by its function `fetch`; `fetched`, a list of
 * one, keeps what is in use. */
void host_feeds(const nn_host *host, SEXP hooks, const r_model *m, size_t most, SEXP fetched);

/* doors.c: what the package's tests alone call. */
SEXP C_product(SEXP a, SEXP b, SEXP start, SEXP options);
SEXP C_math(SEXP x, SEXP options);
SEXP C_quantiles(SEXP p);
SEXP C_draw(SEXP options);

#endif
