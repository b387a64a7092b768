/* Programs: functions that users write, run and differentiated on blocks of numbers. A primitive is a row of a table: its
 * value and its slopes, each a kernel on a whole block. */
#pragma once
#include "api.h"
#include "arena.h"
#include "vmath.h"

enum { PROGRAM_BLOCK = 256 };

/* The numbers that a primitive reads, a, b and c (those that it has not: a again), and its value y at them. */
typedef struct {
  size_t n;
  const real *from[NN_MAX_ARITY];
  const real *y;
} nn_operands;

typedef struct {
  const char *name;
  int arity;
  void (*value)(const nn_operands *o, real *y);
  /* d = dy times the slope of y in one of a, b, c: 0 where dy is 0, whatever the slope is; NULL: the slope is 0 */
  void (*slope[NN_MAX_ARITY])(const nn_operands *o, const real *dy, real *d);
} nn_primitive;

NN_INLINE real if_so(int x) { return (real)(x != 0); }
NN_INLINE real sign_of(real x) { return x != x ? x : if_so(x > 0) - if_so(x < 0); }
NN_INLINE real normal_density(real x) {
  return vmath_exp(x * x * (real)-0.5) * (real)0.39894228040143267794;
}

/* A number that stands in the program, and an argument, are primitives that read none. What is known of the others: id, name
 * in R, value at a, b, c; slopes in a, in b, where the value is y. FLAT: none, and the arity; OWN: kernels of their own.
 * Of two that are equal pmin() and pmax() take the second. */
// clang-format off
#define PRIMITIVES(FLAT, ONE, TWO, OWN) \
  FLAT(number, "number", 0, 0) \
  FLAT(argument, "argument", 0, 0) \
  TWO(add, "+", a + b, (real)1, (real)1) \
  TWO(subtract, "-", a - b, (real)1, (real)-1) \
  TWO(multiply, "*", a * b, b, a) \
  TWO(divide, "/", a / b, 1 / b, -y / b) \
  TWO(power, "^", vmath_pow(a, b), b * vmath_pow(a, b - 1), vmath_if_zero(a, 0, y * vmath_log(a))) \
  ONE(exp, "exp", vmath_exp(a), y) \
  ONE(expm1, "expm1", vmath_expm1_any(a), y + 1) \
  ONE(log, "log", vmath_log(a), 1 / a) \
  ONE(log1p, "log1p", vmath_log1p(a), 1 / (1 + a)) \
  OWN(sqrt, "sqrt", 1, sqrt_slope, NULL, NULL) \
  ONE(abs, "abs", vmath_abs(a), sign_of(a)) \
  FLAT(sign, "sign", 1, sign_of(a)) \
  ONE(tanh, "tanh", vmath_tanh(a), 1 - y * y) \
  ONE(plogis, "plogis", vmath_sigmoid(a), y * (1 - y)) \
  ONE(qlogis, "qlogis", vmath_log(a / (1 - a)), 1 / (a * (1 - a))) \
  ONE(log1pexp, "log1pexp", vmath_softplus(a), vmath_sigmoid(a)) \
  OWN(sin, "sin", 1, sin_slope, NULL, NULL) \
  OWN(cos, "cos", 1, cos_slope, NULL, NULL) \
  ONE(atan, "atan", (real)vmath_atan((double)a), 1 / (1 + a * a)) \
  ONE(pnorm, "pnorm", vmath_normal_cdf(a), normal_density(a)) \
  ONE(dnorm, "dnorm", normal_density(a), -a * y) \
  ONE(lgamma, "lgamma", (real)vmath_lgamma((double)a), (real)vmath_digamma((double)a)) \
  ONE(digamma, "digamma", (real)vmath_digamma((double)a), (real)vmath_trigamma((double)a)) \
  ONE(trigamma, "trigamma", (real)vmath_trigamma((double)a), (real)vmath_tetragamma((double)a)) \
  TWO(pmin, "pmin", b != b ? b : b < a ? b : a, if_so(a < b), if_so(!(a < b))) \
  TWO(pmax, "pmax", b != b ? b : b > a ? b : a, if_so(a > b), if_so(!(a > b))) \
  OWN(ifelse, "ifelse", 3, NULL, yes_slope, no_slope) \
  FLAT(less, "<", 2, if_so(a < b)) \
  FLAT(at_most, "<=", 2, if_so(a <= b)) \
  FLAT(more, ">", 2, if_so(a > b)) \
  FLAT(at_least, ">=", 2, if_so(a >= b)) \
  FLAT(equal, "==", 2, if_so(a == b)) \
  FLAT(unequal, "!=", 2, if_so(a != b)) \
  FLAT(and, "&", 2, if_so(a != 0) * if_so(b != 0)) \
  FLAT(or, "|", 2, if_so(if_so(a != 0) + if_so(b != 0) > 0)) \
  FLAT(not, "!", 1, if_so(a == 0))
// clang-format on

#define EACH(to, what)                                                                             \
  const real *as = o->from[0], *bs = o->from[1], *cs = o->from[2], *ys = o->y;                     \
  const size_t n = o->n;                                                                           \
  (void)ys;                                                                                        \
  NN_SIMD                                                                                          \
  for (size_t i = 0; i < n; i++) {                                                                 \
    real a = as[i], b = bs[i], c = cs[i];                                                          \
    (void)a, (void)b, (void)c;                                                                     \
    to[i] = what;                                                                                  \
  }
#define VALUE(id, what)                                                                            \
  static void id##_value(const nn_operands *o, real *to) { EACH(to, what) }
#define SLOPE(name, what)                                                                          \
  NN_INLINE real name##_at(real a, real b, real c, real y) {                                       \
    (void)a, (void)b, (void)c, (void)y;                                                            \
    return what;                                                                                   \
  }                                                                                                \
  static void name(const nn_operands *o, const real *dy, real *d) {                                \
    EACH(d, vmath_if_zero(dy[i], 0, dy[i] * name##_at(a, b, c, ys[i])))                            \
  }

/* Kernels of their own. */
static void times_block(size_t n, const real *dy, real *d) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) d[i] = vmath_if_zero(dy[i], 0, dy[i] * d[i]);
}
static void sqrt_value(const nn_operands *o, real *y) { vmath_sqrt(o->n, o->from[0], y); }
static void sin_value(const nn_operands *o, real *y) { vmath_sin(o->n, o->from[0], y); }
static void cos_value(const nn_operands *o, real *y) { vmath_cos(o->n, o->from[0], y); }
static void sin_slope(const nn_operands *o, const real *dy, real *d) {
  vmath_cos(o->n, o->from[0], d);
  times_block(o->n, dy, d);
}
static void cos_slope(const nn_operands *o, const real *dy, real *d) {
  vmath_sin(o->n, o->from[0], d);
  for (size_t i = 0; i < o->n; i++) d[i] = -d[i];
  times_block(o->n, dy, d);
}
SLOPE(sqrt_slope, (real)0.5 / y)
VALUE(ifelse, vmath_if_zero(a, c, b))
SLOPE(yes_slope, if_so(a != 0))
SLOPE(no_slope, if_so(a == 0))

#define FLAT(id, name, arity, what) VALUE(id, what)
#define ONE(id, name, what, in_a) VALUE(id, what) SLOPE(id##_in_a, in_a)
#define TWO(id, name, what, in_a, in_b)                                                            \
  VALUE(id, what) SLOPE(id##_in_a, in_a) SLOPE(id##_in_b, in_b)
#define OWN(id, name, arity, in_a, in_b, in_c)
PRIMITIVES(FLAT, ONE, TWO, OWN)
#undef FLAT
#undef ONE
#undef TWO
#undef OWN

#define FLAT(id, name, arity, what) {name, arity, id##_value, {NULL, NULL, NULL}},
#define ONE(id, name, what, in_a) {name, 1, id##_value, {id##_in_a, NULL, NULL}},
#define TWO(id, name, what, in_a, in_b) {name, 2, id##_value, {id##_in_a, id##_in_b, NULL}},
#define OWN(id, name, arity, in_a, in_b, in_c) {name, arity, id##_value, {in_a, in_b, in_c}},
static const nn_primitive nn_primitives[] = {PRIMITIVES(FLAT, ONE, TWO, OWN)};
#undef FLAT
#undef ONE
#undef TWO
#undef OWN
enum { PRIMITIVE_NUMBER, PRIMITIVE_ARGUMENT }; /* the first rows */

static int instruction_fits(const nn_program *p, int i) {
  const nn_instruction *at = &p->instruction[i];
  if (at->primitive < 0 || at->primitive >= NN_COUNT(nn_primitives)) return 0;
  if (at->primitive == PRIMITIVE_ARGUMENT && (at->from[0] < 0 || at->from[0] >= p->n_arguments))
    return 0;
  for (int k = 0; k < nn_primitives[at->primitive].arity; k++)
    if (at->from[k] < 0 || at->from[k] >= i) return 0;
  return 1;
}

/* Whether each instruction is one and reads earlier ones. */
static int program_is_sound(const nn_program *p) {
  if (!p || p->n < 1 || p->n > NN_MAX_INSTRUCTIONS) return 0;
  if (p->n_arguments < 0 || p->n_arguments > NN_MAX_ARGUMENTS) return 0;
  for (int i = 0; i < p->n; i++)
    if (!instruction_fits(p, i)) return 0;
  return 1;
}

/* Of an argument: its numbers, an array or one for all; where its slopes go, NULL where they are not asked for, and whether
 * they are written there, else added. */
typedef struct {
  const real *at;
  real *slope;
  int is_one, is_fresh;
} nn_argument;

/* A run of a program: n numbers of each argument. */
typedef struct {
  const nn_program *program;
  size_t n;
  const nn_argument *argument;
  real *work; /* program_work() numbers */
} nn_program_run;

/* A register of values and one of slopes for each instruction, and one more. */
static size_t program_work(const nn_program *p) { return (2 * (size_t)p->n + 1) * PROGRAM_BLOCK; }

/* Where the registers of a block are: an argument's, and that of the value, may be the caller's. */
typedef struct {
  const nn_program_run *run;
  const real *value[NN_MAX_INSTRUCTIONS], *slope[NN_MAX_INSTRUCTIONS];
  char has_slope[NN_MAX_INSTRUCTIONS]; /* one is wanted */
  char is_reached[NN_MAX_INSTRUCTIONS];
  char is_constant[NN_MAX_INSTRUCTIONS]; /* the value is one number for all */
  char is_given[NN_MAX_ARGUMENTS];       /* the argument's slopes of this block are there */
} nn_registers;

static real *value_register(const nn_program_run *r, int i) {
  return r->work + (size_t)i * PROGRAM_BLOCK;
}
static real *slope_register(const nn_program_run *r, int i) {
  return value_register(r, r->program->n + i);
}

static void put_all(size_t n, real x, real *to) {
  for (size_t i = 0; i < n; i++) to[i] = x;
}
static void add_block(size_t n, const real *from, real *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static const nn_argument *argument_of(const nn_program_run *r, int i) {
  const nn_instruction *at = &r->program->instruction[i];
  return at->primitive == PRIMITIVE_ARGUMENT ? &r->argument[at->from[0]] : NULL;
}

static nn_operands operands_of(const nn_registers *g, int i, size_t n) {
  const nn_instruction *at = &g->run->program->instruction[i];
  const int arity = nn_primitives[at->primitive].arity;
  nn_operands o = {.n = n, .y = g->value[i]};
  for (int k = 0; k < NN_MAX_ARITY; k++) o.from[k] = g->value[at->from[k < arity ? k : 0]];
  return o;
}

/* The value of an instruction that is one number for all of a block of n. */
static void put_constant(nn_registers *g, int i, size_t n) {
  const nn_instruction *at = &g->run->program->instruction[i];
  const nn_argument *argument = argument_of(g->run, i);
  real *to = value_register(g->run, i);
  if (argument) {
    *to = *argument->at;
  } else if (at->primitive == PRIMITIVE_NUMBER) {
    *to = (real)at->number;
  } else {
    const nn_operands o = operands_of(g, i, 1);
    nn_primitives[at->primitive].value(&o, to);
  }
  put_all(n, *to, to);
}

/* What all blocks share: values that are one number, and which instructions have slopes that are wanted. */
static void registers_begin(nn_registers *g, const nn_program_run *r) {
  const nn_program *p = r->program;
  const size_t block = r->n < PROGRAM_BLOCK ? r->n : PROGRAM_BLOCK;
  g->run = r;
  for (int i = 0; i < p->n; i++) {
    const nn_instruction *at = &p->instruction[i];
    const nn_argument *argument = argument_of(r, i);
    g->value[i] = value_register(r, i);
    g->has_slope[i] = argument && argument->slope;
    g->is_constant[i] = !argument || argument->is_one;
    for (int k = 0; k < nn_primitives[at->primitive].arity; k++) {
      g->has_slope[i] |= g->has_slope[at->from[k]];
      g->is_constant[i] &= g->is_constant[at->from[k]];
    }
    if (g->is_constant[i]) put_constant(g, i, block);
  }
}

/* The values of the numbers from `first` on, of all instructions but the last. */
static void block_forward(nn_registers *g, size_t first, size_t n) {
  const nn_program_run *r = g->run;
  for (int i = 0; i < r->program->n; i++) {
    const nn_primitive *p = &nn_primitives[r->program->instruction[i].primitive];
    const nn_argument *argument = argument_of(r, i);
    if (argument && !argument->is_one) g->value[i] = argument->at + first;
    if (g->is_constant[i] || !p->arity || i == r->program->n - 1) continue;
    const nn_operands o = operands_of(g, i, n);
    p->value(&o, value_register(r, i));
  }
}

/* Those of the last one. */
static void block_last(nn_registers *g, size_t n, real *y) {
  const int last = g->run->program->n - 1;
  const nn_primitive *p = &nn_primitives[g->run->program->instruction[last].primitive];
  const nn_operands o = operands_of(g, last, n);
  if (p->arity)
    p->value(&o, y);
  else
    memcpy(y, g->value[last], n * sizeof(real));
}

static size_t block_size(const nn_program_run *r, size_t first) {
  return r->n - first < PROGRAM_BLOCK ? r->n - first : PROGRAM_BLOCK;
}

/* y: the value at each of the n numbers */
static void program_forward(const nn_program_run *r, real *y) {
  nn_registers g;
  registers_begin(&g, r);
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&g, first, n);
    block_last(&g, n, y + first);
  }
}

/* Passes the slopes of the value in an argument on to the caller. */
static void give_slopes(nn_registers *g, int i, size_t first, size_t n) {
  const int k = g->run->program->instruction[i].from[0];
  const nn_argument *argument = &g->run->argument[k];
  if (argument->is_fresh && !g->is_given[k])
    memcpy(argument->slope + first, g->slope[i], n * sizeof(real));
  else
    add_block(n, g->slope[i], argument->slope + first);
  g->is_given[k] = 1;
}

/* Passes the slopes of the value in instruction i on to those that it reads: the first to reach one begins its slopes. */
static void pass_slopes(nn_registers *g, int i, size_t n) {
  const nn_instruction *at = &g->run->program->instruction[i];
  const nn_primitive *p = &nn_primitives[at->primitive];
  const nn_operands o = operands_of(g, i, n);
  real *spare = slope_register(g->run, g->run->program->n);
  for (int k = 0; k < p->arity; k++) {
    const int from = at->from[k];
    if (!g->has_slope[from] || !p->slope[k]) continue;
    real *to = slope_register(g->run, from);
    p->slope[k](&o, g->slope[i], g->is_reached[from] ? spare : to);
    if (g->is_reached[from]) add_block(n, spare, to);
    g->slope[from] = to, g->is_reached[from] = 1;
  }
}

/* The slopes of the block from `first` on, from the last instruction down. */
static void block_backward(nn_registers *g, size_t first, size_t n, const real *dy) {
  const nn_program_run *r = g->run;
  const int last = r->program->n - 1;
  memset(g->is_reached, 0, (size_t)r->program->n);
  memset(g->is_given, 0, sizeof g->is_given);
  g->slope[last] = dy, g->is_reached[last] = 1;
  for (int i = last; i >= 0; i--) {
    if (!g->is_reached[i] || !g->has_slope[i]) continue;
    if (argument_of(r, i))
      give_slopes(g, i, first, n);
    else
      pass_slopes(g, i, n);
  }
  for (int k = 0; k < r->program->n_arguments; k++) {
    const nn_argument *argument = &r->argument[k];
    if (argument->slope && argument->is_fresh && !g->is_given[k])
      memset(argument->slope + first, 0, n * sizeof(real));
  }
}

/* The slopes in the arguments that ask for them of sum(dy y), where y are the values that program_forward() found. */
static void program_backward(const nn_program_run *r, const real *y, const real *dy) {
  const int last = r->program->n - 1;
  nn_registers g;
  registers_begin(&g, r);
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&g, first, n);
    g.value[last] = y + first;
    block_backward(&g, first, n, dy + first);
  }
}

/* The values y, and the slopes of sum(y), in one pass. */
static void program_value_slopes(const nn_program_run *r, real *y) {
  const int last = r->program->n - 1;
  nn_registers g;
  registers_begin(&g, r);
  put_all(PROGRAM_BLOCK, 1, slope_register(r, last));
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&g, first, n);
    block_last(&g, n, y + first);
    if (nn_primitives[r->program->instruction[last].primitive].arity) g.value[last] = y + first;
    block_backward(&g, first, n, slope_register(r, last));
  }
}

static size_t program_sum_work(const nn_program *p) { return program_work(p) + 2 * PROGRAM_BLOCK; }

/* The sum over n numbers w of the value at w / unit, and its slope in each. work: program_sum_work() numbers */
static double program_sum(const nn_program *p, size_t n, const real *w, double unit, real *slope,
                          real *work) {
  const real inverse = (real)(1 / unit);
  real *at = work, *y = work + PROGRAM_BLOCK;
  double sum = 0;
  for (size_t first = 0; first < n; first += PROGRAM_BLOCK) {
    const size_t size = n - first < PROGRAM_BLOCK ? n - first : PROGRAM_BLOCK;
    const nn_argument argument = {at, slope + first, 0, 1};
    const nn_program_run r = {p, size, &argument, work + 2 * PROGRAM_BLOCK};
    for (size_t i = 0; i < size; i++) at[i] = w[first + i] * inverse;
    program_value_slopes(&r, y);
    for (size_t i = 0; i < size; i++) sum += (double)y[i];
    for (size_t i = 0; i < size; i++) slope[first + i] *= inverse;
  }
  return sum;
}

/* Whether it is sound and has one argument. */
static int program_is_of_one(const nn_program *p) {
  return program_is_sound(p) && p->n_arguments == 1;
}

/* A program at the caller's numbers. */
static size_t call(const nn_call *c, void *memory, int *status) {
  const nn_program *p = c->program;
  const size_t k = (size_t)p->n_arguments;
  nn_arena a = arena_at(memory);
  real *at = arena_reals(&a, k * c->n), *slope = arena_reals(&a, k * c->n),
       *y = arena_reals(&a, c->n), *dy = arena_reals(&a, c->n),
       *work = arena_reals(&a, program_work(p));
  if (!memory) return arena_bytes(&a);
  *status = program_is_sound(p) ? NN_OK : NN_BAD_SPEC;
  if (*status != NN_OK) return 0;
  nn_argument argument[NN_MAX_ARGUMENTS];
  for (size_t j = 0; j < k; j++) argument[j] = (nn_argument){at + j * c->n, slope + j * c->n, 0, 1};
  const nn_program_run r = {p, c->n, argument, work};
  for (size_t i = 0; i < k * c->n; i++) at[i] = (real)c->at[i];
  put_all(c->n, 1, dy);
  program_forward(&r, y);
  program_backward(&r, y, dy);
  for (size_t i = 0; i < c->n; i++) c->value[i] = (double)y[i];
  for (size_t i = 0; i < k * c->n; i++) c->slope[i] = (double)slope[i];
  return 0;
}
