/* Roots of inverses of symmetric positive definite matrices, over products alone. In double in the builds that are asked. */
#pragma once
#include "data.c"
#include "linalg.c"

enum { SMALL_ROOT = 48 };

/* A block of a column-major matrix with n rows, copied out (to_block) or back in. */
static void copy_block(real *a, size_t n, size_t row, size_t col, size_t rows, size_t cols,
                       real *block, int to_block) {
  for (size_t j = 0; j < cols; j++) {
    real *in_a = a + row + (col + j) * n, *in_block = block + j * rows;
    memcpy(to_block ? in_block : in_a, to_block ? in_a : in_block, rows * sizeof(real));
  }
}

/* R of A = R'R, then its inverse, in A's upper triangle. A pivot that rounding has taken away is a small share of its entry. */
static void small_root(size_t n, real *a) {
  const real least = sizeof(real) == 4 ? (real)1e-6 : (real)1e-14;
  for (size_t j = 0; j < n; j++) {
    real *column = a + j * n;
    const real floor = least * column[j];
    for (size_t i = 0; i <= j; i++) {
      const real *other = a + i * n;
      real sum = column[i];
      for (size_t k = 0; k < i; k++) sum -= other[k] * column[k];
      column[i] = i < j ? sum / other[i] : SQRT(sum > floor ? sum : floor);
    }
  }
  for (size_t j = 0; j < n; j++) {
    real *column = a + j * n;
    column[j] = 1 / column[j];
    for (size_t i = 0; i < j; i++) {
      real sum = 0;
      for (size_t k = i; k < j; k++) sum += a[i + k * n] * column[k];
      column[i] = -sum * column[j];
    }
  }
}

static size_t root_space(size_t n) { return 2 * n * n; }

static void take(const nn_linalg *l, int transposed, size_t m, size_t n, size_t k, const real *a,
                 const real *b, real *c) {
  nn_product p = {transposed, 0, (int)m, (int)n, (int)k, a, b, NULL, 0, c};
  linalg_product(l, &p);
}

/* T, upper triangular, with A^-1 = T T', in A's upper triangle. By halves: with A = [A11 A12; . A22] and T11 of A11, R12 = T11'
 * A12, T22 that of A22 - R12'R12 and T12 = -T11 R12 T22. */
static void inverse_root(const nn_linalg *l, size_t n, real *a, real *space) {
  const size_t p = n / 2, q = n - p;
  if (n <= SMALL_ROOT) {
    small_root(n, a);
    return;
  }
  real *first = space, *last = first + p * p, *side = last + q * q, *other = side + p * q,
       *rest = other + p * q;
  copy_block(a, n, 0, 0, p, p, first, 1);
  inverse_root(l, p, first, rest);
  for (size_t j = 0; j < p; j++)
    memset(first + j * p + j + 1, 0, (p - j - 1) * sizeof(real)); /* it is a factor of products */
  copy_block(a, n, 0, 0, p, p, first, 0);
  copy_block(a, n, 0, p, p, q, side, 1);
  take(l, 1, p, q, p, first, side, other);
  take(l, 1, q, q, p, other, other, rest);
  copy_block(a, n, p, p, q, q, last, 1);
  for (size_t i = 0; i < q * q; i++) last[i] -= rest[i];
  inverse_root(l, q, last, rest);
  for (size_t j = 0; j < q; j++) memset(last + j * q + j + 1, 0, (q - j - 1) * sizeof(real));
  copy_block(a, n, p, p, q, q, last, 0);
  take(l, 0, p, q, p, first, other, side);
  take(l, 0, p, q, q, side, last, other);
  for (size_t i = 0; i < p * q; i++) other[i] = -other[i];
  copy_block(a, n, 0, p, p, q, other, 0);
}

/* T of A + diag(precision), in place of A, whose upper triangle counts; below its diagonal 0. */
static size_t root(const nn_root *r, const nn_compute *wish, void *memory) {
  nn_arena arena = arena_at(memory);
  nn_linalg l = {.wish = *wish};
  const size_t n = r->n;
  real *a = arena_reals(&arena, n * n), *space = arena_reals(&arena, root_space(n));
  linalg_place(&l, &arena);
  if (!memory) return arena_bytes(&arena);
  const nn_arithmetic before = arithmetic_flush();
  copy_in(n * n, r->a, a);
  for (size_t i = 0; i < n; i++) a[i + i * n] += (real)r->precision[i];
  inverse_root(&l, n, a, space);
  for (size_t j = 0; j < n; j++) memset(a + j * n + j + 1, 0, (n - j - 1) * sizeof(real));
  copy_out(n * n, a, r->out);
  arithmetic_set(before);
  return 0;
}
