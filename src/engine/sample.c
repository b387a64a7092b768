/* Draws from the posterior of the weights by Hamiltonian Monte Carlo: NUTS (Hoffman & Gelman 2014) with multinomial draws from
 * the trajectory (Betancourt 2017), a diagonal metric and a step size that are adapted while it warms up, and precisions of
 * normal priors that are drawn given the weights (Gibbs). */
#pragma once
#include "train.c"

/* Where a trajectory is: the coordinates z of the parameters theta = origin + T z, their momenta, and the slopes of the potential,
 * minus the log posterior. T, upper triangular, is the root of a covariance like the posterior's; without it T = I. */
typedef struct {
  double *q, *p, *g, potential;
} nn_phase;

/* The vectors of the two halves of a subtree, of each depth. */
typedef struct {
  double *proposal, *rho_first, *rho_last, *p_first_end, *p_last_begin;
} nn_subtree;

/* Nesterov's dual averaging of the log of the step size, as Hoffman & Gelman (2014) use it. */
typedef struct {
  double mu, sum, log_mean, count;
} nn_averaging;

typedef struct {
  trainer trainer;
  nn_sampling *job;
  size_t n;
  nn_phase now, forward, backward;
  nn_subtree level[NN_MAX_DEPTH];
  double *chosen, *proposal, *rho, *rho_forward, *rho_backward, *side_forward, *side_backward,
      *end_forward, *end_backward;
  double *theta, *slope; /* the parameters, and the slopes in them */
  double *variance;      /* the metric: of each momentum its variance is 1 / variance */
  double *first_variance, *mean, *squares; /* the metric at the start; of the draws in a window */
  double *precision, *center;              /* of the normal priors beside the model's own */
  double window, step, energy, accepted, leapfrogs;
  nn_averaging averaging;
  int divergent;
} sampler;

/* Beyond this error of the energy a trajectory has left the posterior. */
static const double most_energy_error = 1000;

static double uniform_of(sampler *s) {
  double u;
  nn_host *h = &s->job->data->host;
  h->uniform(h->context, &u, 1, sizeof(double));
  return u;
}

static void normals_of(sampler *s, size_t n, double *out) {
  nn_host *h = &s->job->data->host;
  h->normal(h->context, out, n, sizeof(double));
}

/* log(e^a + e^b) */
static double log_sum(double a, double b) {
  const double top = a > b ? a : b;
  return isinf(top) && top < 0 ? top : top + log1p(exp((a < b ? a : b) - top));
}

/* theta = origin + T z */
static void find_theta(sampler *s, const double *z) {
  const double *root = s->job->root;
  for (size_t i = 0; i < s->n; i++) s->theta[i] = s->job->data->theta[i] + (root ? 0 : z[i]);
  if (!root) return;
  for (size_t j = 0; j < s->n; j++) {
    const double *direction = root + j * s->n, by = z[j];
    NN_SIMD
    for (size_t i = 0; i <= j; i++) s->theta[i] += direction[i] * by;
  }
}

/* The slopes in z, T' times those in theta. */
static void find_slopes(const sampler *s, double *out) {
  const double *root = s->job->root;
  if (!root) {
    memcpy(out, s->slope, s->n * sizeof(double));
    return;
  }
  for (size_t j = 0; j < s->n; j++) {
    const double *direction = root + j * s->n;
    double sum = 0;
    NN_SIMD_SUM(sum)
    for (size_t i = 0; i <= j; i++) sum += direction[i] * s->slope[i];
    out[j] = sum;
  }
}

/* The potential and its slopes. Not finite where the likelihood is not, and when the host stops the chain. */
static void evaluate(sampler *s, nn_phase *z) {
  trainer *t = &s->trainer;
  const double total = s->job->total;
  find_theta(s, z->q);
  copy_in(s->n, s->theta, t->theta);
  double sum = evaluate_all(t) * total;
  for (size_t i = 0; i < s->n; i++) {
    const double off = s->theta[i] - s->center[i], pull = s->precision[i] * off;
    sum += pull * off / 2;
    s->slope[i] = (double)t->grad[i] * total + pull;
  }
  find_slopes(s, z->g);
  z->potential = isnan(sum) ? INFINITY : sum;
}

static double kinetic(const sampler *s, const double *p) {
  double sum = 0;
  for (size_t i = 0; i < s->n; i++) sum += s->variance[i] * p[i] * p[i];
  return sum / 2;
}

static double energy_of(const sampler *s, const nn_phase *z) {
  return z->potential + kinetic(s, z->p);
}

/* A step of the leapfrog scheme, which is reversible and keeps volumes. */
static void leapfrog(sampler *s, nn_phase *z, double step) {
  for (size_t i = 0; i < s->n; i++) {
    z->p[i] -= step / 2 * z->g[i];
    z->q[i] += step * s->variance[i] * z->p[i];
  }
  evaluate(s, z);
  for (size_t i = 0; i < s->n; i++) z->p[i] -= step / 2 * z->g[i];
}

static void copy_numbers(const sampler *s, const double *from, double *to) {
  memcpy(to, from, s->n * sizeof(double));
}

static void copy_phase(const sampler *s, const nn_phase *from, nn_phase *to) {
  copy_numbers(s, from->q, to->q), copy_numbers(s, from->p, to->p), copy_numbers(s, from->g, to->g);
  to->potential = from->potential;
}

static void draw_momenta(sampler *s, double *p) {
  normals_of(s, s->n, p);
  for (size_t i = 0; i < s->n; i++) p[i] /= sqrt(s->variance[i]);
}

/* Whether a trajectory with these momenta at its ends and sum of momenta, rho (+ more), still moves apart. */
static int moves_apart(const sampler *s, const double *begin, const double *end, const double *rho,
                       const double *more) {
  double at_begin = 0, at_end = 0;
  for (size_t i = 0; i < s->n; i++) {
    const double r = s->variance[i] * (more ? rho[i] + more[i] : rho[i]);
    at_begin += begin[i] * r, at_end += end[i] * r;
  }
  return at_begin > 0 && at_end > 0;
}

static void add_to(const sampler *s, const double *from, double *to) {
  for (size_t i = 0; i < s->n; i++) to[i] += from[i];
}

/* What building a tree of trajectories starts from, and what it leaves. */
typedef struct {
  double *proposal, *rho, *begin, *end; /* out; rho: added to */
  double log_weight; /* log of the sum of e^-energy, relative to that of the start */
} nn_tree;

/* 2^depth steps on from z. 0: the trajectory diverges, or turns within it, and is no part of the posterior's. */
static int build_tree(sampler *s, nn_phase *z, int depth, double direction, nn_tree *out) {
  if (depth == 0) {
    leapfrog(s, z, direction * s->step);
    const double energy = energy_of(s, z), error = isnan(energy) ? INFINITY : energy - s->energy;
    s->leapfrogs++;
    s->accepted += error < 0 ? 1 : exp(-error);
    s->divergent = error > most_energy_error;
    out->log_weight = log_sum(out->log_weight, -error);
    copy_numbers(s, z->q, out->proposal);
    copy_numbers(s, z->p, out->begin);
    copy_numbers(s, z->p, out->end);
    add_to(s, z->p, out->rho);
    return !s->divergent && !s->trainer.stopped;
  }
  nn_subtree *l = &s->level[depth - 1];
  nn_tree first = {out->proposal, l->rho_first, out->begin, l->p_first_end, -INFINITY},
          last = {l->proposal, l->rho_last, l->p_last_begin, out->end, -INFINITY};
  memset(l->rho_first, 0, s->n * sizeof(double));
  memset(l->rho_last, 0, s->n * sizeof(double));
  if (!build_tree(s, z, depth - 1, direction, &first)) return 0;
  if (!build_tree(s, z, depth - 1, direction, &last)) return 0;
  const double both = log_sum(first.log_weight, last.log_weight);
  out->log_weight = log_sum(out->log_weight, both);
  if (log(uniform_of(s)) < last.log_weight - both) copy_numbers(s, last.proposal, out->proposal);
  const int apart = moves_apart(s, out->begin, out->end, l->rho_first, l->rho_last) &&
                    moves_apart(s, out->begin, l->p_last_begin, l->rho_first, l->p_last_begin) &&
                    moves_apart(s, l->p_first_end, out->end, l->rho_last, l->p_first_end);
  add_to(s, l->rho_first, out->rho);
  add_to(s, l->rho_last, out->rho);
  return apart;
}

/* A transition: doubles the trajectory, forwards or backwards in time, until it turns. Returns its depth. */
static int transition(sampler *s) {
  int depth = 0;
  double log_weight = 0;
  evaluate(s, &s->now);
  draw_momenta(s, s->now.p);
  s->energy = energy_of(s, &s->now);
  s->divergent = 0, s->accepted = s->leapfrogs = 0;
  copy_phase(s, &s->now, &s->forward), copy_phase(s, &s->now, &s->backward);
  copy_numbers(s, s->now.q, s->chosen);
  copy_numbers(s, s->now.p, s->rho);
  copy_numbers(s, s->now.p, s->end_forward), copy_numbers(s, s->now.p, s->end_backward);
  copy_numbers(s, s->now.p, s->side_forward), copy_numbers(s, s->now.p, s->side_backward);
  while (depth < s->job->max_depth && !s->trainer.stopped) {
    const int forwards = uniform_of(s) > 0.5;
    double *kept = forwards ? s->rho_backward : s->rho_forward,
           *grown = forwards ? s->rho_forward : s->rho_backward;
    copy_numbers(s, s->rho, kept);
    memset(grown, 0, s->n * sizeof(double));
    if (forwards)
      copy_numbers(s, s->end_forward, s->side_backward);
    else
      copy_numbers(s, s->end_backward, s->side_forward);
    nn_tree tree = {s->proposal, grown, forwards ? s->side_forward : s->side_backward,
                    forwards ? s->end_forward : s->end_backward, -INFINITY};
    if (!build_tree(s, forwards ? &s->forward : &s->backward, depth, forwards ? 1 : -1, &tree))
      break;
    depth++;
    if (log(uniform_of(s)) < tree.log_weight - log_weight) copy_numbers(s, s->proposal, s->chosen);
    log_weight = log_sum(log_weight, tree.log_weight);
    copy_numbers(s, s->rho_backward, s->rho);
    add_to(s, s->rho_forward, s->rho);
    if (!moves_apart(s, s->end_backward, s->end_forward, s->rho, NULL) ||
        !moves_apart(s, s->end_backward, s->side_forward, s->rho_backward, s->side_forward) ||
        !moves_apart(s, s->side_backward, s->end_forward, s->rho_forward, s->side_backward))
      break;
  }
  copy_numbers(s, s->chosen, s->now.q);
  return depth;
}

/* Gamma(shape, 1), shape >= 1 (Marsaglia & Tsang 2000). */
static double gamma_of(sampler *s, double shape) {
  const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double x, u;
    normals_of(s, 1, &x);
    double v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v, u = uniform_of(s);
    if (log(u) < x * x / 2 + d - d * v + d * log(v)) return d * v;
  }
}

/* The precision of each group of parameters given these. */
static void draw_precisions(sampler *s) {
  nn_sampling *j = s->job;
  for (int k = 0; k < j->n_groups; k++) {
    double squares = 0, count = 0;
    for (size_t i = 0; i < s->n; i++) {
      if (j->group[i] != k) continue;
      const double off = s->theta[i] - s->center[i];
      squares += off * off, count++;
    }
    double drawn = gamma_of(s, j->shape[k] + count / 2) / (j->rate[k] + squares / 2);
    if (!(drawn > 1e-10)) drawn = 1e-10;
    j->group_precision[k] = drawn < 1e10 ? drawn : 1e10;
  }
  for (size_t i = 0; i < s->n; i++)
    if (j->group[i] >= 0) s->precision[i] = j->group_precision[j->group[i]];
}

/* ---- adaptation */

static void start_averaging(sampler *s) { s->averaging = (nn_averaging){.mu = log(10 * s->step)}; }

static void adapt_step(sampler *s, double accepted) {
  const double shrinkage = 0.05, late = 10, decay = 0.75;
  nn_averaging *a = &s->averaging;
  a->count++;
  const double share = 1 / (a->count + late);
  a->sum = (1 - share) * a->sum + share * (s->job->accept - accepted);
  const double log_step = a->mu - sqrt(a->count) / shrinkage * a->sum,
               weight = pow(a->count, -decay);
  a->log_mean = weight * log_step + (1 - weight) * a->log_mean;
  s->step = exp(log_step);
}

/* A step size whose first step is accepted with a probability near .8: doubled or halved until it crosses that. */
static void find_step(sampler *s) {
  const double crossed = log(0.8);
  int direction = 0;
  for (int tries = 0; tries < 50 && !s->trainer.stopped; tries++) {
    copy_phase(s, &s->now, &s->forward);
    evaluate(s, &s->forward);
    draw_momenta(s, s->forward.p);
    const double before = energy_of(s, &s->forward);
    leapfrog(s, &s->forward, s->step);
    const double change = before - energy_of(s, &s->forward);
    const int wanted = change > crossed ? 1 : -1;
    if (direction && wanted != direction) break;
    direction = wanted;
    s->step *= direction > 0 ? 2 : 0.5;
  }
}

static void forget_window(sampler *s) {
  s->window = 0;
  memset(s->mean, 0, s->n * sizeof(double));
  memset(s->squares, 0, s->n * sizeof(double));
}

/* The variances of the draws in a window, shrunk a little to those of the start. */
static void take_window(sampler *s) {
  const double n = s->window;
  for (size_t i = 0; i < s->n; i++) {
    const double found = s->squares[i] / (n - 1);
    s->variance[i] = (n * found + 5 * s->first_variance[i]) / (n + 5);
  }
  forget_window(s);
}

static void add_to_window(sampler *s) {
  s->window++;
  for (size_t i = 0; i < s->n; i++) {
    const double off = s->now.q[i] - s->mean[i];
    s->mean[i] += off / s->window;
    s->squares[i] += off * (s->now.q[i] - s->mean[i]);
  }
}

/* Whether a window of the warm-up ends with this iteration: after a first sixth, which finds the posterior, windows
 * double; the last tenth adapts the step alone. The last window takes what would be too short for another. */
static int ends_window(int iteration, int warmup) {
  const int begin = warmup * 3 / 20, end = warmup - warmup / 10;
  int at = begin;
  for (int length = end - begin < 25 ? end - begin : 25; at < end; length *= 2) {
    int stop = at + length;
    if (stop + 2 * length > end) stop = end;
    if (iteration + 1 == stop) return 1;
    at = stop;
  }
  return 0;
}

static int is_in_windows(int iteration, int warmup) {
  return iteration >= warmup * 3 / 20 && iteration < warmup - warmup / 10;
}

static void adapt(sampler *s, int iteration, double accepted) {
  const int warmup = s->job->warmup;
  adapt_step(s, accepted);
  if (is_in_windows(iteration, warmup)) add_to_window(s);
  if (ends_window(iteration, warmup) && s->window > 9) {
    take_window(s);
    find_step(s);
    start_averaging(s);
  }
  if (iteration == warmup - 1) s->step = exp(s->averaging.log_mean);
}

/* ---- a chain */

enum { PATH_ACCEPT, PATH_STEP, PATH_DEPTH, PATH_LEAPFROGS, PATH_DIVERGENT, PATH_ENERGY };

/* What is kept of an iteration, `at` among the draws. */
static void keep_draw(sampler *s, size_t at, int depth, double accepted, double step) {
  nn_sampling *j = s->job;
  double *row = j->path + at * NN_PATH_COLUMNS;
  memcpy(j->draw + at * s->n, s->theta, s->n * sizeof(double));
  memcpy(j->precisions + at * (size_t)j->n_groups, j->group_precision,
         (size_t)j->n_groups * sizeof(double));
  row[PATH_ACCEPT] = accepted, row[PATH_STEP] = step, row[PATH_DEPTH] = depth;
  row[PATH_LEAPFROGS] = s->leapfrogs, row[PATH_DIVERGENT] = s->divergent;
  row[PATH_ENERGY] = s->energy;
}

static nn_status run_chain(sampler *s) {
  nn_sampling *j = s->job;
  const int all = j->warmup + j->draws;
  forget_window(s);
  s->step = 0.1;
  find_step(s);
  start_averaging(s);
  for (int i = 0; i < all; i++) {
    const double step = s->step;
    const int depth = transition(s);
    if (s->trainer.stopped) return NN_INTERRUPTED;
    const double accepted = s->leapfrogs > 0 ? s->accepted / s->leapfrogs : 0;
    find_theta(s, s->now.q);
    if (j->n_groups) draw_precisions(s);
    if (i < j->warmup)
      adapt(s, i, accepted);
    else
      keep_draw(s, (size_t)j->done++, depth, accepted, step);
    const double history[] = {s->energy, step, accepted};
    const int asked = host_epoch(&j->data->host, i + 1, history, 3);
    if (asked != NN_OK) return (nn_status)asked;
  }
  return NN_OK;
}

/* One trajectory, whose end is the one draw. */
static nn_status follow(sampler *s) {
  nn_sampling *j = s->job;
  copy_numbers(s, j->momentum, s->now.p);
  evaluate(s, &s->now);
  for (int i = 0; i < j->draws && !s->trainer.stopped; i++) leapfrog(s, &s->now, j->step);
  find_theta(s, s->now.q);
  s->energy = energy_of(s, &s->now);
  keep_draw(s, (size_t)j->done++, 0, 1, j->step);
  copy_numbers(s, s->now.p, j->momentum);
  return s->trainer.stopped ? NN_INTERRUPTED : NN_OK;
}

static double *numbers(nn_arena *a, size_t n) { return (double *)arena_take(a, n, sizeof(double)); }

static void phase_place(nn_phase *z, nn_arena *a, size_t n) {
  z->q = numbers(a, n), z->p = numbers(a, n), z->g = numbers(a, n);
}

static void sampler_place(sampler *s, nn_arena *a) {
  double **one[] = {
      &s->chosen,         &s->proposal,      &s->rho,         &s->rho_forward,  &s->rho_backward,
      &s->side_forward,   &s->side_backward, &s->end_forward, &s->end_backward, &s->variance,
      &s->first_variance, &s->mean,          &s->squares,     &s->precision,    &s->center,
      &s->theta,          &s->slope};
  for (size_t k = 0; k < sizeof one / sizeof *one; k++) *one[k] = numbers(a, s->n);
  phase_place(&s->now, a, s->n), phase_place(&s->forward, a, s->n);
  phase_place(&s->backward, a, s->n);
  for (int d = 0; d < s->job->max_depth; d++) {
    nn_subtree *l = &s->level[d];
    l->proposal = numbers(a, s->n);
    l->rho_first = numbers(a, s->n), l->rho_last = numbers(a, s->n);
    l->p_first_end = numbers(a, s->n), l->p_last_begin = numbers(a, s->n);
  }
}

/* Runs a chain, or a trajectory, from job->data->theta. */
static size_t sample(void *model, nn_sampling *job, void *memory, int *status) {
  sampler s = {.trainer = trainer_of(model, job->data), .job = job};
  nn_arena a = arena_at(memory);
  s.n = s.trainer.model->n_par;
  trainer_place(&s.trainer, &a, job->data->train.n);
  sampler_place(&s, &a);
  if (!memory) return arena_bytes(&a);
  const nn_arithmetic before = arithmetic_flush();
  data_load(&s.trainer.train, &job->data->train, job->data->host.compute.threads);
  warm_up(&s.trainer, job->data->kl_warmup);
  for (size_t i = 0; i < s.n; i++) {
    s.now.q[i] = s.now.p[i] = 0;
    s.variance[i] = s.first_variance[i] = job->variance[i];
    s.center[i] = job->center[i];
    s.precision[i] = job->group[i] < 0 ? job->precision[i] : job->group_precision[job->group[i]];
  }
  *status = (int)(job->momentum ? follow(&s) : run_chain(&s));
  arithmetic_set(before);
  return 0;
}
