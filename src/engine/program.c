/* Programs: functions that users write, run and differentiated on blocks of numbers. A primitive is a row of a table: its
 * value and its slopes, each a kernel on a whole block. */
#pragma once
#include "api.h"
#include "arena.h"
#include "vmath.h"

enum { PROGRAM_BLOCK = 2048 / sizeof(real) };

/* Where the numbers stand that a primitive reads, a, b and c (those that it has not: a again), and its value y at them. */
typedef struct {
  const real *const *from[NN_MAX_ARITY];
  const real *const *y;
} nn_operands;

typedef void (*nn_value_kernel)(const nn_operands *o, size_t n, real *y);
/* d = dy times the slope of y in one of a, b, c: 0 where dy is 0, whatever the slope is */
typedef void (*nn_slope_kernel)(const nn_operands *o, size_t n, const real *dy, real *d);

typedef struct {
  const char *name;
  int arity;
  nn_value_kernel value;
  nn_slope_kernel slope[NN_MAX_ARITY]; /* NULL: the slope is 0; the_same(): it is 1 */
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
  OWN(add, "+", 2, the_same, the_same, NULL) \
  OWN(subtract, "-", 2, the_same, negative, NULL) \
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
  const real *as = *o->from[0], *bs = *o->from[1], *cs = *o->from[2], *ys = *o->y;                 \
  (void)ys;                                                                                        \
  NN_SIMD                                                                                          \
  for (size_t i = 0; i < n; i++) {                                                                 \
    real a = as[i], b = bs[i], c = cs[i];                                                          \
    (void)a, (void)b, (void)c;                                                                     \
    to[i] = what;                                                                                  \
  }
#define VALUE(id, what)                                                                            \
  static void id##_value(const nn_operands *o, size_t n, real *to) { EACH(to, what) }
#define SLOPE(name, what)                                                                          \
  NN_INLINE real name##_at(real a, real b, real c, real y) {                                       \
    (void)a, (void)b, (void)c, (void)y;                                                            \
    return what;                                                                                   \
  }                                                                                                \
  static void name(const nn_operands *o, size_t n, const real *dy, real *d) {                      \
    EACH(d, vmath_if_zero(dy[i], 0, dy[i] * name##_at(a, b, c, ys[i])))                            \
  }

/* Kernels of their own. */
static void times_block(size_t n, const real *dy, real *d) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) d[i] = vmath_if_zero(dy[i], 0, dy[i] * d[i]);
}
static void sqrt_value(const nn_operands *o, size_t n, real *y) { vmath_sqrt(n, *o->from[0], y); }
static void sin_value(const nn_operands *o, size_t n, real *y) { vmath_sin(n, *o->from[0], y); }
static void cos_value(const nn_operands *o, size_t n, real *y) { vmath_cos(n, *o->from[0], y); }
static void sin_slope(const nn_operands *o, size_t n, const real *dy, real *d) {
  vmath_cos(n, *o->from[0], d);
  times_block(n, dy, d);
}
static void cos_slope(const nn_operands *o, size_t n, const real *dy, real *d) {
  vmath_sin(n, *o->from[0], d);
  for (size_t i = 0; i < n; i++) d[i] = -d[i];
  times_block(n, dy, d);
}
static void the_same(const nn_operands *o, size_t n, const real *dy, real *d) {
  (void)o;
  memcpy(d, dy, n * sizeof(real));
}
VALUE(add, a + b)
VALUE(subtract, a - b)
SLOPE(negative, (real)-1)
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

/* What a run knows of an instruction: where its value of this block stands, and its slope; an argument's, and those of the
 * last instruction, may be the caller's. */
typedef struct nn_register nn_register;
struct nn_register {
  const real *value, *slope;
  const real *const
      *slope_at;         /* its own slope, or that of another instruction, which is the same */
  real *own_value, *sum; /* where its value is made; where its slope is */
  nn_operands operands;  /* what it reads */
  nn_value_kernel make;
  nn_register *next;           /* of those that are made for each block, or of the arguments */
  const nn_argument *argument; /* NULL: it is none */
  char has_slope;              /* one is wanted */
  char is_constant;            /* the value is one number for all */
  char is_reached;             /* it has one */
  char is_direct;              /* an argument's slopes are made where the caller wants them */
};

/* The slope of an instruction, passed on to one that it reads: sum = plus + kernel(dy). */
typedef struct {
  nn_slope_kernel kernel; /* NULL: dy itself */
  const nn_operands *operands;
  const real *const *dy, *const *plus; /* plus NULL: 0 */
  nn_register *to;
} nn_slope_step;

/* A run as the steps that each block takes. */
typedef struct {
  const nn_program_run *run;
  nn_register *at, *made, *arguments;
  const nn_register *direct[NN_MAX_ARGUMENTS];
  nn_slope_step *step;
  int n_steps;
  real *spare;
} nn_plan;

/* Blocks of values and of slopes for each instruction, and one more; then the plan. */
static size_t blocks_work(const nn_program *p) { return (2 * (size_t)p->n + 1) * PROGRAM_BLOCK; }
static size_t program_work(const nn_program *p) {
  const size_t each = sizeof(nn_register) + NN_MAX_ARITY * sizeof(nn_slope_step);
  return blocks_work(p) + (NN_ALIGN + (size_t)p->n * each) / sizeof(real) + 1;
}

static void put_all(size_t n, real x, real *to) {
  for (size_t i = 0; i < n; i++) to[i] = x;
}
static void add_block(size_t n, const real *from, real *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}
static void put_sum(size_t n, const real *a, const real *b, real *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}

/* The value of an instruction that is one number for all of a block of n. */
static void put_constant(const nn_register *g, const nn_instruction *at, size_t n) {
  if (g->argument)
    *g->own_value = *g->argument->at;
  else if (at->primitive == PRIMITIVE_NUMBER)
    *g->own_value = (real)at->number;
  else
    g->make(&g->operands, 1, g->own_value);
  put_all(n, *g->own_value, g->own_value);
}

/* What instruction i reads; whether it is a constant, and has a slope that is wanted. */
static void register_begin(nn_plan *plan, int i) {
  const nn_program_run *r = plan->run;
  const nn_instruction *at = &r->program->instruction[i];
  const nn_primitive *p = &nn_primitives[at->primitive];
  nn_register *g = &plan->at[i];
  *g = (nn_register){.own_value = r->work + (size_t)i * PROGRAM_BLOCK,
                     .sum = r->work + (size_t)(r->program->n + i) * PROGRAM_BLOCK,
                     .make = p->value};
  g->value = g->own_value, g->slope = g->sum, g->slope_at = &g->slope, g->operands.y = &g->value;
  if (at->primitive == PRIMITIVE_ARGUMENT) g->argument = &r->argument[at->from[0]];
  g->has_slope = g->argument && g->argument->slope;
  g->is_constant = !g->argument || g->argument->is_one;
  for (int k = 0; k < NN_MAX_ARITY; k++) {
    const nn_register *from = p->arity ? &plan->at[at->from[k < p->arity ? k : 0]] : g;
    g->operands.from[k] = &from->value;
    if (k >= p->arity) continue;
    g->has_slope |= from->has_slope;
    g->is_constant &= from->is_constant;
  }
}

/* The arguments, of which the first that is one has the caller's place for slopes that are written there; and what is
 * made of them, but for the last instruction. */
static void plan_values(nn_plan *plan) {
  const nn_program_run *r = plan->run;
  const size_t block = r->n < PROGRAM_BLOCK ? r->n : PROGRAM_BLOCK;
  nn_register **last_made = &plan->made;
  for (int i = 0; i < r->program->n; i++) {
    nn_register *g = &plan->at[i];
    register_begin(plan, i);
    if (g->argument) {
      const int k = r->program->instruction[i].from[0];
      g->next = plan->arguments, plan->arguments = g;
      g->is_direct =
          g->has_slope && g->argument->is_fresh && i < r->program->n - 1 && !plan->direct[k];
      if (g->is_direct) plan->direct[k] = g;
    }
    if (g->is_constant) {
      put_constant(g, &r->program->instruction[i], block);
    } else if (!g->argument && i < r->program->n - 1) {
      *last_made = g, last_made = &g->next;
    }
  }
}

/* The first slope that reaches an instruction begins its sum; one that is the same as another needs no place of its own. */
static void plan_step(nn_plan *plan, nn_register *g, nn_slope_kernel kernel, nn_register *to) {
  const int is_same = kernel == the_same;
  if (is_same && !to->is_reached && !to->argument) {
    to->slope_at = g->slope_at;
  } else {
    const real *const *plus = to->is_reached ? to->slope_at : NULL;
    plan->step[plan->n_steps++] =
        (nn_slope_step){is_same && plus ? NULL : kernel, &g->operands, g->slope_at, plus, to};
    to->slope_at = &to->slope;
  }
  to->is_reached = 1;
}

/* From the last instruction down. */
static void plan_slopes(nn_plan *plan) {
  const nn_program *program = plan->run->program;
  plan->at[program->n - 1].is_reached = 1;
  for (int i = program->n - 1; i >= 0; i--) {
    nn_register *g = &plan->at[i];
    const nn_instruction *at = &program->instruction[i];
    const nn_primitive *p = &nn_primitives[at->primitive];
    if (!g->is_reached || !g->has_slope) continue;
    for (int k = 0; k < p->arity; k++) {
      nn_register *to = &plan->at[at->from[k]];
      if (to->has_slope && p->slope[k]) plan_step(plan, g, p->slope[k], to);
    }
  }
}

static nn_plan plan_of(const nn_program_run *r, int with_slopes) {
  const size_t n = (size_t)r->program->n;
  char *memory = (char *)(r->work + blocks_work(r->program));
  memory += (NN_ALIGN - (uintptr_t)memory % NN_ALIGN) % NN_ALIGN;
  nn_plan plan = {.run = r,
                  .at = (nn_register *)memory,
                  .step = (nn_slope_step *)(memory + n * sizeof(nn_register)),
                  .spare = r->work + 2 * n * PROGRAM_BLOCK};
  plan_values(&plan);
  if (with_slopes) plan_slopes(&plan);
  return plan;
}

static size_t block_size(const nn_program_run *r, size_t first) {
  return r->n - first < PROGRAM_BLOCK ? r->n - first : PROGRAM_BLOCK;
}

static nn_register *last_of(const nn_plan *plan) { return &plan->at[plan->run->program->n - 1]; }

/* The values of the n numbers from `first` on, of all instructions but the last. */
static void block_forward(nn_plan *plan, size_t first, size_t n) {
  for (nn_register *g = plan->arguments; g; g = g->next) {
    if (!g->argument->is_one) g->value = g->argument->at + first;
    if (g->is_direct) g->slope = g->sum = g->argument->slope + first;
  }
  for (const nn_register *g = plan->made; g; g = g->next) g->make(&g->operands, n, g->own_value);
}

/* Those of the last one. */
static void block_last(nn_plan *plan, size_t n, real *y) {
  nn_register *g = last_of(plan);
  if (g->argument || g->is_constant)
    memcpy(y, g->value, n * sizeof(real));
  else
    g->make(&g->operands, n, y);
}

/* y: the value at each of the n numbers */
static void program_forward(const nn_program_run *r, real *y) {
  nn_plan plan = plan_of(r, 0);
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&plan, first, n);
    block_last(&plan, n, y + first);
  }
}

/* Passes the slopes in arguments on to the caller that are not yet where they are wanted. */
static void give_slopes(const nn_plan *plan, size_t first, size_t n) {
  const nn_program_run *r = plan->run;
  for (int k = 0; k < r->program->n_arguments; k++) {
    const nn_argument *argument = &r->argument[k];
    const int is_there = plan->direct[k] && plan->direct[k]->is_reached;
    if (argument->slope && argument->is_fresh && !is_there)
      memset(argument->slope + first, 0, n * sizeof(real));
  }
  for (const nn_register *g = plan->arguments; g; g = g->next)
    if (g->has_slope && g->is_reached && !g->is_direct)
      add_block(n, *g->slope_at, g->argument->slope + first);
}

/* The slopes of the block from `first` on, from those of its values. */
static void block_backward(const nn_plan *plan, size_t first, size_t n, const real *dy) {
  last_of(plan)->slope = dy;
  for (const nn_slope_step *s = plan->step; s < plan->step + plan->n_steps; s++) {
    real *to = s->to->sum, *put = s->plus ? plan->spare : to;
    const real *more = *s->dy;
    if (s->kernel) s->kernel(s->operands, n, more, put), more = put;
    if (s->plus) put_sum(n, *s->plus, more, to);
  }
  give_slopes(plan, first, n);
}

/* The slopes in the arguments that ask for them of sum(dy y), where y are the values that program_forward() found. */
static void program_backward(const nn_program_run *r, const real *y, const real *dy) {
  nn_plan plan = plan_of(r, 1);
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&plan, first, n);
    last_of(&plan)->value = y + first;
    block_backward(&plan, first, n, dy + first);
  }
}

/* The values y, and the slopes of sum(y), in one pass. */
static void program_value_slopes(const nn_program_run *r, real *y) {
  nn_plan plan = plan_of(r, 1);
  nn_register *last = last_of(&plan);
  const int is_made = !last->argument && !last->is_constant;
  put_all(PROGRAM_BLOCK, 1, last->sum);
  for (size_t first = 0; first < r->n; first += PROGRAM_BLOCK) {
    const size_t n = block_size(r, first);
    block_forward(&plan, first, n);
    block_last(&plan, n, y + first);
    if (is_made) last->value = y + first;
    block_backward(&plan, first, n, last->sum);
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
