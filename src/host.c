/* R as the engine's host: its random numbers, its interrupts, functions that are called in training. */
#include <string.h>
#include <time.h>
#include "glue.h"
#include <R_ext/Random.h>
#include <R_ext/Utils.h>

/* The functions are R_NilValue where there are none. */
typedef struct {
  SEXP poll, epoch, progress, is_due, keep, fetch;
  SEXP kept;            /* what keep is called with */
  SEXP failed;          /* takes an error of these, which else jumps */
  const r_model *model; /* of the data that are fetched */
  SEXP fetched;         /* list(the buffer that is in use) */
  size_t most;          /* rows of a buffer */
  void (*quantiles)(size_t n, const double *p, double *z); /* NULL: R makes normals another way */
  /* when R was asked; in the time of the processor, which costs little to ask for */
  clock_t polled, offered, shown;
  int each; /* R is asked whenever the engine asks whether it is time to keep */
} r_host;

enum { ASKS_PER_SECOND = 50, SHOWS_PER_SECOND = 4 };

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

/* R code may jump or draw: the generator's state is R's while it runs. TRUE means stop. Without a function an interrupt or
 * a time limit jumps; a function is to look for them itself, by C_poll. Caught here, a time limit cannot strike on the
 * way to R's own tryCatch(). */
static int ask(const r_host *h, SEXP f, SEXP arguments) {
  int stop = 0;
  PutRNGstate();
  if (f == R_NilValue) {
    R_CheckUserInterrupt();
  } else {
    SEXP call = PROTECT(Rf_lcons(f, arguments));
    stop = Rf_asLogical(h->failed == R_NilValue
                            ? evaluate(call)
                            : R_tryCatchError(evaluate, call, fail, h->failed)) == 1;
    UNPROTECT(1);
  }
  GetRNGstate();
  return stop;
}

/* The engine asks often, R fifty times a second. */
static int poll(void *context) {
  r_host *h = (r_host *)context;
  const clock_t now = clock();
  if (now - h->polled < CLOCKS_PER_SEC / ASKS_PER_SECOND) return 0;
  h->polled = now;
  return ask(h, h->poll, R_NilValue);
}

static int epoch(void *context, int number, const double *history, int n_columns) {
  r_host *h = (r_host *)context;
  const clock_t now = clock();
  const int shows =
      h->progress != R_NilValue && now - h->shown >= CLOCKS_PER_SEC / SHOWS_PER_SECOND;
  if (h->epoch == R_NilValue && !shows) return NN_OK;
  SEXP row = PROTECT(Rf_allocVector(REALSXP, n_columns));
  memcpy(REAL(row), history, (size_t)n_columns * sizeof(double));
  SEXP arguments = PROTECT(Rf_list2(PROTECT(Rf_ScalarInteger(number)), row));
  if (shows) h->shown = now;
  const int is_over = shows && ask(h, h->progress, arguments);
  const int stop = !is_over && h->epoch != R_NilValue && ask(h, h->epoch, arguments);
  UNPROTECT(3);
  if (is_over) return NN_INTERRUPTED;
  if (h->epoch == R_NilValue) return NN_OK;
  return stop ? NN_STOPPED : ask(h, h->poll, R_NilValue) ? NN_INTERRUPTED : NN_OK;
}

static int is_due(void *context) {
  r_host *h = (r_host *)context;
  const clock_t now = clock();
  if (!h->each && now - h->offered < CLOCKS_PER_SEC / ASKS_PER_SECOND) return 0;
  h->offered = now;
  return ask(h, h->is_due, R_NilValue);
}

static int keep(void *context, const nn_job *job) {
  const r_host *h = (const r_host *)context;
  kept_numbers(job, REAL(list_get(h->kept, "number")));
  SEXP arguments = PROTECT(Rf_list1(h->kept));
  const int stop = ask(h, h->keep, arguments);
  UNPROTECT(1);
  return stop;
}

/* A call of R like that of ask(), for its value. */
static SEXP value_of(const r_host *h, SEXP f) {
  SEXP call = PROTECT(Rf_lcons(f, R_NilValue));
  PutRNGstate();
  SEXP value = PROTECT(h->failed == R_NilValue ? evaluate(call)
                                               : R_tryCatchError(evaluate, call, fail, h->failed));
  GetRNGstate();
  UNPROTECT(2);
  return value;
}

static int fetch(void *context, nn_source *buffer) {
  const r_host *h = (const r_host *)context;
  SET_VECTOR_ELT(h->fetched, 0, R_NilValue);
  if (!buffer) return 0;
  SEXP data = value_of(h, h->fetch);
  if (TYPEOF(data) != VECSXP) return 1;
  SET_VECTOR_ELT(h->fetched, 0, data);
  *buffer = source_of(data, h->model, 1, 1);
  if (!buffer->weight || buffer->n < 1 || buffer->n > h->most)
    Rf_error("a buffer has no weights, no rows or too many");
  return 0;
}

static SEXP hook_of(SEXP hooks, const char *name) {
  SEXP f = list_get(hooks, name);
  return f == R_NilValue ? f : typed(f, name, CLOSXP, 1);
}

/* A whole number below 2^32. */
static unsigned word_of(double x) { return x >= 0 && x < 4294967296.0 ? (unsigned)x : 0; }

void host_feeds(const nn_host *host, SEXP hooks, const r_model *m, size_t most, SEXP fetched) {
  r_host *h = (r_host *)host->context;
  h->fetch = hook_of(hooks, "fetch");
  if (h->fetch == R_NilValue) Rf_error("there is no function that gives the data");
  h->model = m, h->most = most, h->fetched = fetched;
}

nn_host host_of(SEXP options, SEXP hooks) {
  SEXP compute = list_get(options, "compute");
  r_host *h = (r_host *)R_alloc(1, sizeof *h);
  h->poll = hook_of(hooks, "poll");
  h->epoch = hook_of(hooks, "epoch");
  h->progress = hook_of(hooks, "progress");
  h->failed = hook_of(hooks, "failed");
  h->is_due = hook_of(hooks, "is_due");
  h->keep = hook_of(hooks, "keep");
  h->kept = R_NilValue;
  h->each = 0;
  h->fetch = h->fetched = R_NilValue, h->model = NULL, h->most = 0;
  h->quantiles = field_int(compute, "inversion", 0, 1) ? build_of(0)->normal_quantiles : NULL;
  h->polled = h->offered = h->shown = clock();
  SEXP key = list_get(compute, "key");
  nn_host host = {.context = h,
                  .normal = normal,
                  .uniform = uniform,
                  .poll = poll,
                  .epoch = epoch,
                  .is_due = is_due,
                  .keep = keep,
                  .fetch = fetch,
                  .compute = compute_of(options),
                  .has_key = key != R_NilValue};
  for (int i = 0; i < 2 && host.has_key; i++) host.key[i] = word_of(numbers_of(key, "key", 2)[i]);
  return host;
}

void host_keeps(nn_host *host, SEXP kept, int each) {
  r_host *h = (r_host *)host->context;
  h->kept = kept;
  h->each = each;
}
