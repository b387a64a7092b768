/* Roots of inverses of symmetric positive definite matrices, over products alone. In double in the builds that are asked. */
#pragma once
#include "data.c"
#include "linalg.c"

enum { SMALL_ROOT = 48, ROOT_BLOCK = 96 };

/* R of A = R'R, then its inverse, in A's upper triangle. A pivot that rounding has taken away is a small share of its entry. */
static void small_root(size_t n, size_t step, real *a) {
  const real least = sizeof(real) == 4 ? (real)1e-6 : (real)1e-14;
  for (size_t j = 0; j < n; j++) {
    real *column = a + j * step;
    const real floor = least * column[j];
    for (size_t i = 0; i <= j; i++) {
      const real *other = a + i * step;
      real sum = column[i];
      for (size_t k = 0; k < i; k++) sum -= other[k] * column[k];
      column[i] = i < j ? sum / other[i] : SQRT(sum > floor ? sum : floor);
    }
  }
  for (size_t j = 0; j < n; j++) {
    real *column = a + j * step;
    column[j] = 1 / column[j];
    memset(column + j + 1, 0, (n - j - 1) * sizeof(real));
    for (size_t i = 0; i < j; i++) {
      real sum = 0;
      for (size_t k = i; k < j; k++) sum += a[i + k * step] * column[k];
      column[i] = -sum * column[j];
    }
  }
}

/* Blocks of a length, from the i'th on. */
static size_t block_of(size_t i, size_t n) { return n - i < ROOT_BLOCK ? n - i : ROOT_BLOCK; }

/* T, upper triangular, with A^-1 = T T', in A's place, of which the upper triangle counts; its columns are `step` apart. By
 * halves: with A = [A11 A12; . A22] and T11 of A11, R12 = T11'A12, T22 that of A22 - R12'R12 and T12 = -T11 R12 T22. What is 0
 * is left out of the products, block by block. space: as large as A / 2. */
static void inverse_root(const nn_linalg *l, size_t n, size_t step, real *a, real *space) {
  const size_t p = n / 2, q = n - p;
  real *side = a + p * step, *last = side + p, *r = space, *minus = r + p * q;
  if (n <= SMALL_ROOT) {
    small_root(n, step, a);
    return;
  }
  inverse_root(l, p, step, a, space);
  for (size_t i = 0, b; i < p; i += b) {
    b = block_of(i, p);
    nn_product x = {1,     0,    (int)b, (int)q, (int)(i + b), a + i * step, side, NULL, 0,
                    r + i, step, step,   p};
    linalg_product(l, &x);
  }
  for (size_t i = 0; i < p * q; i++) minus[i] = -r[i];
  for (size_t j = 0, b; j < q; j += b) {
    b = block_of(j, q);
    real *c = last + j * step;
    nn_product x = {1, 0, (int)(j + b), (int)b, (int)p, minus, r + j * p, c, step, c, p, p, step};
    linalg_product(l, &x);
  }
  for (size_t i = 0, b; i < p; i += b) {
    b = block_of(i, p);
    nn_product x = {0,     0,    (int)b, (int)q, (int)(p - i), a + i + i * step, minus + i, NULL, 0,
                    r + i, step, p,      p};
    linalg_product(l, &x);
  }
  inverse_root(l, q, step, last, minus);
  for (size_t j = 0, b; j < q; j += b) {
    b = block_of(j, q);
    nn_product x = {0,    0, (int)p,          (int)b, (int)(j + b), r,   last + j * step,
                    NULL, 0, side + j * step, p,      step,         step};
    linalg_product(l, &x);
  }
  for (size_t j = 0; j < p; j++) memset(a + p + j * step, 0, q * sizeof(real));
}

/* T of A + diag(precision). */
static size_t root(const nn_root *r, const nn_compute *wish, void *memory) {
  nn_arena arena = arena_at(memory);
  nn_linalg l = {.wish = *wish};
  const size_t n = r->n;
  real *a = arena_reals(&arena, n * n), *space = arena_reals(&arena, n * n / 2 + n);
  linalg_place(&l, &arena);
  if (!memory) return arena_bytes(&arena);
  const nn_arithmetic before = arithmetic_flush();
  copy_in(n * n, r->a, a);
  for (size_t i = 0; i < n; i++) a[i + i * n] += (real)r->precision[i];
  inverse_root(&l, n, n, a, space);
  copy_out(n * n, a, r->out);
  arithmetic_set(before);
  return 0;
}
