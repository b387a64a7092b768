/* What the caller of the engine sees: a model's specification, data, a training job, a run, and one table of entry
 * points per precision. Nothing here depends on the precision. All memory is the caller's. */
#pragma once

#include <stddef.h>
#include "target.h"

typedef enum {
  NN_OK,
  NN_CONVERGED,
  NN_PATIENCE,
  NN_STOPPED,
  NN_INTERRUPTED,
  NN_DIVERGED,
  NN_BAD_SPEC, /* a layer or block does not fit the others */
  NN_TOO_LARGE /* sizes beyond what the engine counts */
} nn_status;
/* Random variables at their means; drawn, and the noise of layers too (training); drawn, without that noise. */
typedef enum { NN_MODE_MEAN, NN_MODE_SAMPLE, NN_MODE_DRAW } nn_mode;

/* The terms of the loss. Those before NN_KL_WEIGHTS are one number per observation, the others one per draw of the
 * weights. */
typedef enum {
  NN_NLL,
  NN_KL_LATENT,
  NN_KL_FREE,
  NN_SPARSITY,
  NN_CONTRACTION,
  NN_KL_WEIGHTS,
  NN_PENALTY,
  NN_N_TERM_KINDS
} nn_term_kind;

/* What a leaf of theta is for. */
typedef enum {
  NN_WEIGHT,
  NN_BIAS,
  NN_LOG_SIGMA,
  NN_GAIN,
  NN_SHIFT,
  NN_NOISE,
  NN_EMBEDDING,
  NN_N_ROLES
} nn_role;

/* The free scalars of a family: fixed numbers, the same for the block's responses, or each response's own. */
typedef enum { NN_FIXED, NN_SHARED, NN_EACH, NN_N_NOISES } nn_noise_kind;

/* A function that a user wrote: each instruction makes a number of earlier ones, and the last one is the value. */
enum { NN_MAX_ARITY = 3, NN_MAX_INSTRUCTIONS = 1000, NN_MAX_ARGUMENTS = 8 };
typedef struct {
  int primitive;          /* row of the primitive table */
  int from[NN_MAX_ARITY]; /* earlier instructions, from 0; of an argument from[0] is which */
  double number;          /* of a number */
} nn_instruction;

typedef struct {
  int n, n_arguments;
  const nn_instruction *instruction;
} nn_program;

typedef struct {
  int kind; /* row of the layer table */
  int size; /* units (dense, latent); numbers of a level (embed); tied: the layer whose weights it shares; program: which; from 0 */
  int option; /* row of the activation (activate) or posterior (latent) table; dense: has a bias */
  double
      setting; /* a rate, a standard deviation, a coefficient; embed: how many levels there are */
} nn_layer_spec;

enum { NN_CUSTOM = -1, NN_MAX_FREE = 1000, NN_MAX_CONSTANTS = 100 };
typedef struct {
  int family;      /* row of the family table; NN_CUSTOM: its likelihood is a program */
  int n_responses; /* categorical: levels */
  int noise;       /* nn_noise_kind of the free scalars */
  int n_free;      /* free scalars of a response */
  int n_constants;
  const double *fixed; /* the free scalars when they are fixed, n_free of them */
  const double
      *constants; /* what the family's likelihood depends on beside, as degrees of freedom */
  /* Of a custom family minus the log-likelihood of one y, then the rows of eta and the free scalars of a response. */
  const nn_program *program;
} nn_block_spec;

/* The prior of a random variable. */
typedef struct {
  int kind;          /* row of the prior table */
  double sd;         /* a standard deviation, of all or of the wide part */
  double share, sd2; /* mixture: share of the wide part; standard deviation of the narrow one */
  int fan_in;        /* the sd of a weight matrix is divided by the root of its inputs */
  int mc;            /* its KL by Monte Carlo */
  /* Of points, in theta's order, or NULL: a weight with an infinite precision is kept where it is; by_weight has the others,
   * too */
  const double *precision, *center;
  size_t n_weights;
  const nn_program *program; /* program: the log density of w / sd */
} nn_prior;

typedef struct {
  int n_x, n_layers, n_blocks;
  int has_offset;
  int posterior;                     /* row of the posterior table, of the weights */
  int rank;                          /* its factors, where it has a number of them */
  int estimator;                     /* row of the estimator table */
  nn_prior prior;                    /* of the weights */
  double penalty;                    /* lambda in lambda / 2 * sum(w^2) */
  const nn_program *penalty_program; /* summed over weights, too; or NULL */
  int latent_mc;                     /* the bottleneck's KL by Monte Carlo */
  int n_programs;
  const nn_program *program;
  const nn_layer_spec *layer;
  const nn_block_spec *block;
} nn_spec;

/* One leaf of theta: a column-major matrix that starts at offset. */
typedef struct {
  int role, rows, cols;
  int layer; /* layer it belongs to (from 0), or -1 - block for a family's free scalar */
  int part; /* part of its posterior: 0 mean, 1 log_sigma, 2 factors of its covariance with earlier weights, 3 with all */
  int head; /* latent: the part of z this head makes */
  int init; /* nn_init of the activation that follows */
  size_t offset;
} nn_leaf;

/* A column-major source with one row per observation; `row` picks rows (from 0), NULL takes all. */
typedef struct {
  const double *x, *y, *offset, *weight; /* y, offset, weight: NULL where absent */
  const double *center, *scale;          /* of x; NULL: as it is */
  int y_is_x;                            /* training: y is the scaled x */
  const size_t *row;
  size_t n_source, n; /* rows of the source, rows taken */
} nn_source;

/* Training data that come in buffers: a pass over all of them is one over the data. n = 0: they come at once. */
typedef struct {
  size_t n, most; /* rows of all buffers, of the largest one */
  double total_weight;
} nn_feed;

/* A program at n numbers of each argument, with the slopes of its value in each: [n, arguments]. */
typedef struct {
  const nn_program *program;
  size_t n;
  const double *at; /* [n, arguments] */
  double *value, *slope;
} nn_call;

/* How products are computed: by R's BLAS, which is double only, from m n k = blas_from on, else by the engine's kernel, in
 * at most so many threads. */
typedef struct {
  double blas_from;
  int threads;
} nn_compute;

/* Where training is, between two steps. */
typedef struct {
  int stale;      /* epochs without improvement */
  size_t first;   /* rows of this epoch that are done */
  unsigned pass;  /* of the weights' part of the tape */
  double watched; /* the best loss so far, INFINITY: there is none */
  double share;   /* the learning rate of this epoch, as a share of the first */
  double loss;    /* full batch: at the parameters; NAN: not known */
  double tighter; /* the importance-weighted loss of this epoch less the sum of its terms */
} nn_moment;

/* With a job's parameters, optimizer's state, history and epochs done, with these, and with the host's random numbers as
 * they were, training goes on as if it had never stopped. The arrays are the host's. */
typedef struct {
  nn_moment now;
  double *start, *best; /* parameters: at the start of the epoch; the best */
  double *grad;         /* full batch: at the parameters */
  double *sum, *part;   /* the terms' means, of the epoch so far; of the last evaluation */
  double *order;        /* of the rows, where batches are random */
} nn_kept;

/* Where a random number of the engine's own generator belongs. */
typedef struct {
  unsigned key[2], node, pass;
  unsigned long long first;
} nn_place;

struct nn_job;

typedef struct {
  void *context;
  void (*normal)(void *context, void *out, size_t n, size_t real_bytes);
  void (*uniform)(void *context, void *out, size_t n, size_t real_bytes);
  int (*poll)(void *context); /* not 0: stop and keep the work */
  /* NN_OK: go on; else how training ends */
  int (*epoch)(void *context, int epoch, const double *history, int n_columns);
  /* Between steps of a job that can be kept: whether it is time to; then the job to keep. Not 0: as poll */
  int (*is_due)(void *context);
  int (*keep)(void *context, const struct nn_job *job);
  /* The next buffer of the training data, after the last one the first; NULL: its rows are no longer needed. Not 0: there
   * is none, and training ends with what it has. */
  int (*fetch)(void *context, nn_source *buffer);
  nn_compute compute;
  int has_key,
      knows_key; /* noise is drawn from the engine's generator, not the host's; with this key */
  unsigned key[2];
} nn_host;

typedef struct nn_job {
  nn_source train, valid; /* valid.n = 0: none */
  nn_feed feed;           /* in place of the rows of train */
  int optimizer, schedule, epochs, batch_size, patience, mc_samples;
  int importance;    /* draws of the importance-weighted bound; 1: the plain one */
  int kl_warmup;     /* epochs over which the coefficients of the bottleneck's KL grow */
  int epochs_before; /* of the training that this one goes on with */
  double learn_rate, momentum, clip_norm, tolerance;
  double coefficient[NN_N_TERM_KINDS];
  double *theta; /* in: start; out: result */
  double *
      state; /* optimizer's slots, n_slots * n_par, the step count, those of the levels of embeddings */
  double *history; /* epochs x columns, row major */
  int epochs_done, best_epoch;
  nn_kept *kept;   /* NULL: the job cannot be kept */
  int goes_on;     /* training begins where `kept` says */
  int offers_each; /* the host is asked after every step, not only where it is polled */
  nn_host host;
} nn_job;

/* A chain of draws from the posterior: its parameters are the job's, whose mean loss times `total` is minus the log posterior,
 * but for normal priors of parameters that the model has none of. */
enum { NN_MAX_DEPTH = 12, NN_PATH_COLUMNS = 6 };
typedef struct {
  nn_job *data;
  int warmup, draws, max_depth;
  double accept, total;   /* the acceptance that the step size is adapted to */
  const double *root;     /* T, upper triangular: coordinates z with theta = start + T z; NULL: I */
  const double *variance; /* of each parameter, where the metric starts */
  const double *precision, *center; /* of each parameter's normal prior, 0: it has none here */
  const int *group;                 /* of each parameter, whose precision is drawn; -1: none */
  int n_groups;
  const double *shape, *rate; /* of the gamma priors of the groups' precisions */
  double *group_precision;    /* in: where they start */
  double *draw, *precisions,
      *path; /* out: [parameters, draws]; [groups, draws]; [columns, draws] */
  int done;  /* out: draws */
  double
      *momentum; /* not NULL: a trajectory with these takes the place of a chain; out: at its end */
  double step;   /* of the trajectory, which has `draws` steps */
} nn_sampling;

typedef enum { NN_WANT_Z, NN_WANT_ETA, NN_WANT_TERMS, NN_WANT_SD } nn_want;

typedef struct {
  nn_source data;
  const double *z; /* not NULL: decode from these (rows = observations) */
  const double *theta;
  nn_want want;
  nn_mode mode;
  int draws;
  int rows;    /* out: of what is wanted; known with memory NULL, too */
  double *out; /* n x rows x draws */
  nn_host host;
} nn_run;

/* What is wanted of the slopes of eta in the active parameters: J of an observation has a row for each seed, a combination of the
 * rows of eta. The sum of J'J; for each observation J by; or its covariances, (J by)(J by)'. Or the two sides of the slopes of
 * one layer, of whose weights the first is the active parameter: its inputs, then for each seed the slopes in its outputs. */
typedef enum { NN_WANT_GRAM, NN_WANT_IMAGES, NN_WANT_COVARIANCES, NN_WANT_SIDES } nn_jacobian_want;

typedef struct {
  nn_source data;
  const double *theta;
  const size_t *active; /* parameters, from 0 */
  size_t n_active;
  const double *
      seed; /* [seed_rows, rows of eta, n_seeds]; seed_rows: the observations', or 1, the same for all */
  size_t seed_rows;
  int n_seeds;
  nn_jacobian_want want;
  const double *by; /* [active, n_by]; NULL: the identity */
  size_t n_by;
  int by_is_upper; /* a triangle */
  size_t columns;  /* out: of sides, 0 where there is no such layer; known with memory NULL, too */
  double *out; /* [active, active]; [n, seeds, n_by]; [n, seeds, seeds]; [n, columns]; of zeros */
  nn_host host;
} nn_jacobian;

/* The root T, upper triangular, with (a + diag(precision))^-1 = T T'. */
typedef struct {
  size_t n;
  const double *a, *precision;
  double *out;
} nn_root;

/* c = op(a) op(b) + start, column-major; start has as many columns as c, one for all of them, or none. */
typedef struct {
  int a_transposed, b_transposed, m, n, k;
  const double *a, *b, *start;
  size_t start_columns;
  double *c;
} nn_matrices;

/* Of each row the mixture of normal distributions N(mean, sd^2) over its draws, whose quantiles of probabilities p are
 * asked for; z are those of a standard normal distribution. */
typedef struct {
  size_t rows, draws, n_sd, n_p;
  const double *mean;   /* rows x draws */
  const double *sd;     /* as mean, or one for all */
  const double *weight; /* of the draws, which sum to 1 */
  const double *p, *z;
  double *out; /* rows x n_p */
} nn_mixture;

typedef struct {
  size_t n_par, n_levels; /* levels of all embeddings */
  int n_leaves, n_terms, n_eta, n_y, z_rows;
  int z_has_sd; /* the code is random */
} nn_info;

/* Of the finite numbers of a column: how many, and how many are missing; weighted mean and sum of squares about it; least,
 * greatest, and whether all are 0 or 1, of those with weight; a sum that depends on the order. */
typedef struct {
  double n, n_missing, total, mean, squares, min, max, is_binary, order;
} nn_moments;

typedef struct nn_engine {
  size_t (*model_bytes)(const nn_spec *spec);
  int (*build)(void *model, const nn_spec *spec);
  void (*describe)(const void *model, nn_info *info);
  void (*leaf)(const void *model, int i, nn_leaf *out);
  void (*term)(const void *model, int i, int *kind, int *source);
  /* With memory NULL these return the bytes they need, and do nothing else. */
  size_t (*train)(void *model, nn_job *job, void *memory, int *status);
  size_t (*run)(void *model, nn_run *run, void *memory, int *status);
  size_t (*gradient)(void *model, nn_job *job, void *memory, double *loss, double *gradient);
  size_t (*jacobian)(void *model, nn_jacobian *jacobian, void *memory, int *status);
  size_t (*sample)(void *model, nn_sampling *sampling, void *memory, int *status);
  size_t (*root)(const nn_root *root, const nn_compute *compute, void *memory);
  size_t (*product)(const nn_matrices *matrices, const nn_compute *compute, void *memory);
  size_t (*math)(int row, size_t n, const double *x, double *y, void *memory);
  size_t (*call)(const nn_call *call, void *memory, int *status);
  void (*draw)(int kind, const nn_place *place, size_t n, double *out);
  void (*moments)(size_t n, const double *x, const double *weight, nn_moments *out);
  size_t (*mixture)(const nn_mixture *mixture, void *memory);
  int (*all_finite)(size_t n, const double *x);
  /* Of n numbers in (0, 1), for a host whose normals are quantiles; in double alone, else NULL. */
  void (*normal_quantiles)(size_t n, const double *p, double *z);
} nn_engine;

/* The builds of the engine: by precision, and by what the processor must have (target.h). */
extern const nn_engine nn_engine_double, nn_engine_single;
#ifdef NN_HAS_AVX
extern const nn_engine nn_engine_double_avx2, nn_engine_single_avx2, nn_engine_double_avx512,
    nn_engine_single_avx512;
#endif

/* The fastest build that this processor runs, or the one of this name; NULL when there is none. */
const nn_engine *nn_engine_of(const char *kernel, int single);
/* The names of the builds that this processor runs, fastest first; i past the end gives NULL. */
const char *nn_kernel(int i);

/* The names of a table's rows; i past the end gives NULL. */
typedef struct {
  const char *table;
  const char *(*name)(int i);
} nn_names;
extern const nn_names nn_registry[];
extern const int nn_n_registry;

/* A number that belongs to each row of a table: what a caller must know to prepare data. */
typedef struct {
  const char *name, *table;
  int (*of_row)(int row);
} nn_property;
extern const nn_property nn_properties[];
extern const int nn_n_properties;

int nn_optimizer_slots(int optimizer);
int nn_optimizer_full_batch(int optimizer);
double nn_layer_below(int layer);       /* its setting is at least 0 and below this */
const char *nn_layer_option(int layer); /* the table that its option names a row of */
