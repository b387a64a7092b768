/* Matrix products: R's BLAS, or the kernel of this file.
 *
 * The kernel. Values are column-major with a row per unit, so the rows of C and A lie one after the other in memory and
 * a vector holds LANES of them. C is cut into tiles of up to ROWS vectors by COLUMNS columns. The sums of a tile stay in
 * registers while p runs over the columns of A and rows of B: load the tile's vectors of A's column p, and for each of the
 * tile's columns j multiply them by the number B[p, j] and add. Each number that is loaded is used ROWS or COLUMNS times,
 * so that multiplications and not loads are the limit. The tile's sizes are what the registers hold:
 *
 *              lanes (single, double)   ROWS x COLUMNS   registers for sums
 *   AVX-512    16, 8                    3 x 8            24 of 32
 *   AVX2       8, 4                     3 x 4            12 of 16
 *   NEON       4, 2                     4 x 4            16 of 32 (64-bit ARM: compilers load all numbers first)
 *   16 bytes   4, 2                     2 x 4             8 of 16 (SSE2 needs one for each product, too)
 *   plain C    1, 1                     2 x 4             as compilers like
 *
 * Tiles are built for 1 .. ROWS vectors, and for one of half the size for what is left of the rows, and for 1, 2, 4 ..
 * columns, from one function (tile.h) whose loops the compiler unrolls.
 *
 *            n: COLUMNS at a time
 *          +---+---+---+-+
 *          |   |   |   | |  strip: up to ROWS vectors high, all columns of C
 *   C m    +---+---+---+-+
 *          |   |   |   | |
 *          +---+---+---+-+
 *          |...|...|...|.|  the last strip: its last vector, or half, is not full
 *
 * k is cut into blocks of at most BLOCK, so that a strip of A stays in cache, and for each block C is done strip by strip.
 * A and B are read where they are: copying them first to where the next number is always the neighbour of the last was
 * measured, and never paid. But a transposed A, and a strip whose last vector is not full, are copied to the panel: column
 * after column of op(A), each filled up with zeros to the strip's height. A strip that is not full leaves its tiles in a
 * buffer, of which the rows that exist are copied to C. The lines of C that a tile is written to, and the next lines of a
 * transposed A, are asked for ahead: they are far apart, and the processor does not guess them.
 *
 * Every number of C is the sum over p in order, block by block, added to what was there before. It does not depend on the
 * tile or strip that the number is in, nor on the thread: with several, each computes a part of the rows or columns of C. */
#pragma once
#include "api.h"
#include "arena.h"

/* C = op(A) op(B) + start: column-major, C m x n, op(A) m x k, op(B) k x n. start: NULL for 0, C itself to add to it, or one
 * column (start_step 0, else that of C) that is added to every column of C. Parts of larger matrices say how far apart the
 * columns of A, B and C are. */
typedef struct {
  int a_transposed, b_transposed, m, n, k;
  const real *a, *b, *start;
  size_t start_step;
  real *c;
  size_t a_step, b_step, c_step; /* 0: as many as there are rows */
} nn_product;

/* How products are computed: the caller's wishes, and memory for a panel of A per thread. */
typedef struct {
  nn_compute wish;
  real *panel;
} nn_linalg;

#ifndef NN_SINGLE
#ifndef USE_FC_LEN_T
#define USE_FC_LEN_T
#endif
#include <R_ext/BLAS.h>
#ifndef FCONE
#define FCONE
#endif
#endif

#if NN_VECTOR_BYTES == 64
enum { ROWS = 3, COLUMNS = 8 };
#elif NN_VECTOR_BYTES == 32
enum { ROWS = 3, COLUMNS = 4 };
#elif defined(__aarch64__)
enum { ROWS = 4, COLUMNS = 4 };
#else
enum { ROWS = 2, COLUMNS = 4 };
#endif
enum { BLOCK = 320, THREADS_FROM = 1 << 20, AHEAD = 8, LINE = 64 / sizeof(real) };

#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define NN_SHUFFLE __builtin_shufflevector
typedef real quad __attribute__((vector_size(4 * sizeof(real))));
typedef real loose_quad
    __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));
#endif
#if defined(__clang__)
#define NN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define NN_UNROLL _Pragma("GCC unroll 8")
#else
#define NN_UNROLL
#endif
#ifdef __GNUC__
enum { LANES = NN_VECTOR_BYTES / sizeof(real) };
#else
enum { LANES = 1 };
#endif
enum { HALF = NN_VECTOR_BYTES > 16 ? LANES / 2 : 0 };
enum { HEIGHT = ROWS * LANES, PANEL = HEIGHT * BLOCK };

/* A strip of C, or the rest of one: n columns; of each matrix, where it begins and the distance of its columns. Of B, also
 * that of its rows. */
typedef struct {
  int n, k;
  const real *a, *b, *start;
  size_t a_step, b_row, b_step, start_step, c_step;
  real *c;
} strip;

#define TILE tile
#define TILE_LANES LANES
#include "tile.h"
#if NN_VECTOR_BYTES > 16
#define TILE half_tile
#define TILE_LANES HALF
#include "tile.h"
#endif

#define BUILD(tile, rows, columns)                                                                 \
  static void tile##_##rows##_##columns(const strip *s) { tile(rows, columns, s); }
#if NN_VECTOR_BYTES > 32
#define WIDTHS(ROW, tile, rows)                                                                    \
  ROW(tile, rows, 1) ROW(tile, rows, 2) ROW(tile, rows, 4) ROW(tile, rows, 8)
#else
#define WIDTHS(ROW, tile, rows) ROW(tile, rows, 1) ROW(tile, rows, 2) ROW(tile, rows, 4)
#endif
#if NN_VECTOR_BYTES > 16
#define HEIGHTS(ROW) ROW(half_tile, 1) ROW(tile, 1) ROW(tile, 2) ROW(tile, 3)
#elif defined(__aarch64__)
#define HEIGHTS(ROW) ROW(tile, 1) ROW(tile, 2) ROW(tile, 3) ROW(tile, 4)
#else
#define HEIGHTS(ROW) ROW(tile, 1) ROW(tile, 2)
#endif
#define ALL_WIDTHS(tile, rows) WIDTHS(BUILD, tile, rows)
HEIGHTS(ALL_WIDTHS)

/* [vectors, 0 for half a one][log2(columns)] */
#define TILE_NAME(tile, rows, columns) tile##_##rows##_##columns,
#define HEIGHT_ROW(tile, rows) {WIDTHS(TILE_NAME, tile, rows)},
static void (*const tiles[ROWS + 1][4])(const strip *s) = {
#if NN_VECTOR_BYTES == 16
    {NULL},
#endif
    HEIGHTS(HEIGHT_ROW)};

/* C of the strip, as far as it exists, from the buffer with the sums of one of its tiles. */
static void copy_tile(const strip *s, int rows, int columns, const real *buffer) {
  for (int j = 0; j < columns; j++, buffer += HEIGHT) {
    const real *start = s->start ? s->start + (size_t)j * s->start_step : NULL;
    real *c = s->c + (size_t)j * s->c_step;
    for (int i = 0; i < rows; i++) c[i] = start ? buffer[i] + start[i] : buffer[i];
  }
}

/* The height of a strip of some rows: half a vector, or whole ones. */
static int strip_height(int rows) {
  return rows <= HALF ? HALF : (rows + LANES - 1) / LANES * LANES;
}

/* A strip of some rows, tile by tile. */
static void strip_product(strip s, int rows) {
  const int height = strip_height(rows), is_full = rows == height;
  real buffer[HEIGHT * COLUMNS];
  for (int width = COLUMNS, log2 = COLUMNS == 8 ? 3 : 2; s.n > 0; width /= 2, log2--)
    for (; s.n >= width; s.n -= width) {
      strip whole = s;
      whole.start = NULL, whole.c = buffer, whole.c_step = HEIGHT;
      tiles[height / LANES][log2](is_full ? &s : &whole);
      if (!is_full) copy_tile(&s, rows, width, buffer);
      s.b += (size_t)width * s.b_step, s.c += (size_t)width * s.c_step;
      if (s.start) s.start += (size_t)width * s.start_step;
    }
}

/* 4 columns, height apart, from 4 rows of a, row_step apart: their transpose */
static void transpose_quad(const real *a, size_t row_step, size_t height, real *to) {
#ifdef NN_SHUFFLE
  const loose_quad *r0 = (const loose_quad *)a, *r1 = (const loose_quad *)(a + row_step),
                   *r2 = (const loose_quad *)(a + 2 * row_step),
                   *r3 = (const loose_quad *)(a + 3 * row_step);
  const quad low01 = NN_SHUFFLE(*r0, *r1, 0, 4, 1, 5), high01 = NN_SHUFFLE(*r0, *r1, 2, 6, 3, 7),
             low23 = NN_SHUFFLE(*r2, *r3, 0, 4, 1, 5), high23 = NN_SHUFFLE(*r2, *r3, 2, 6, 3, 7);
  *(loose_quad *)to = NN_SHUFFLE(low01, low23, 0, 1, 4, 5);
  *(loose_quad *)(to + height) = NN_SHUFFLE(low01, low23, 2, 3, 6, 7);
  *(loose_quad *)(to + 2 * height) = NN_SHUFFLE(high01, high23, 0, 1, 4, 5);
  *(loose_quad *)(to + 3 * height) = NN_SHUFFLE(high01, high23, 2, 3, 6, 7);
#else
  for (size_t p = 0; p < 4; p++)
    for (size_t i = 0; i < 4; i++) to[p * height + i] = a[i * row_step + p];
#endif
}

/* panel [height, k] = the transpose of rows of a, row_step apart: by 4 x 4, a line of the cache after the other */
static void pack_transposed(const real *a, size_t row_step, int rows, int height, int k,
                            real *panel) {
  const int whole_rows = rows / 4 * 4, whole_k = k / 4 * 4;
  for (int block = 0; block < whole_k; block += LINE)
    for (int i = 0; i < whole_rows; i += 4) {
      for (int row = i; row < i + 4; row++) NN_PREFETCH(a + row * row_step + block + LINE, 0);
      for (int p = block; p < whole_k && p < block + LINE; p += 4)
        transpose_quad(a + i * row_step + p, row_step, (size_t)height,
                       panel + (size_t)p * (size_t)height + i);
    }
  for (int i = 0; i < rows; i++)
    for (int p = i < whole_rows ? whole_k : 0; p < k; p++)
      panel[(size_t)p * (size_t)height + (size_t)i] = a[i * row_step + p];
}

/* The panel of a strip: `rows` rows of op(A) in a height of whole vectors, k columns of it. Columns of A that are far apart
 * are asked for ahead. */
static void pack(const real *a, size_t row_step, size_t column_step, int rows, int height, int k,
                 real *panel) {
  if (height > rows) memset(panel, 0, (size_t)height * (size_t)k * sizeof(real));
  if (row_step > 1)
    pack_transposed(a, row_step, rows, height, k, panel);
  else
    for (int p = 0; p < k; p++, a += column_step, panel += height) {
      if (p + AHEAD < k) arena_prefetch((size_t)rows * sizeof(real), a + AHEAD * column_step);
      for (int i = 0; i < rows; i++) panel[i] = a[i];
    }
}

/* Rows of the next strip: as many vectors as a tile has, but half of the last ones where these are one more. */
static int strip_rows(int left) {
  const int is_one_more = left > HEIGHT + HALF && left <= HEIGHT + LANES,
            rows = is_one_more ? (ROWS + 2) / 2 * LANES : HEIGHT;
  return left < rows ? left : rows;
}

/* Rows [from, to) and columns [left, right) of C. */
typedef struct {
  int from, to, left, right;
} window;

static size_t column_step(size_t step, int rows) { return step ? step : (size_t)rows; }

/* Of a part of a product what comes from k columns of op(A), from the first'th. */
static void block_product(const nn_product *p, window c, int first, int k, real *panel) {
  const size_t a_step = column_step(p->a_step, p->a_transposed ? p->k : p->m),
               b_step = column_step(p->b_step, p->b_transposed ? p->n : p->k),
               c_step = column_step(p->c_step, p->m), left = (size_t)c.left;
  const size_t a_row = p->a_transposed ? a_step : 1, a_column = p->a_transposed ? 1 : a_step;
  strip s = {.n = c.right - c.left, .k = k, .c_step = c_step};
  s.start_step = first ? c_step : p->start_step;
  s.b_row = p->b_transposed ? b_step : 1, s.b_step = p->b_transposed ? 1 : b_step;
  s.b = p->b + (size_t)first * s.b_row + left * s.b_step;
  const real *start = first ? p->c : p->start;
  for (int i = c.from, rows; i < c.to; i += rows) {
    rows = strip_rows(c.to - i);
    const int height = strip_height(rows), packs = p->a_transposed || height > rows;
    const real *a = p->a + (size_t)i * a_row + (size_t)first * a_column;
    if (packs) pack(a, a_row, a_column, rows, height, k, panel);
    s.a = packs ? panel : a, s.a_step = packs ? (size_t)height : a_step;
    s.start = start ? start + left * s.start_step + i : NULL, s.c = p->c + left * c_step + i;
    strip_product(s, rows);
  }
}

static void part_product(const nn_product *p, window c, real *panel) {
  const int n_blocks = p->k > BLOCK ? (p->k + BLOCK - 1) / BLOCK : 1,
            k = (p->k + n_blocks - 1) / n_blocks;
  for (int first = 0; first < p->k; first += k)
    block_product(p, c, first, p->k - first < k ? p->k - first : k, panel);
}

/* Part i of n: of the columns of C, where these are whole tiles and A is not copied, or there are few rows; else of its rows.
 */
static window window_of(const nn_product *p, int i, int n) {
  window c = {0, p->m, 0, p->n};
  if (p->m < 4 * n * HEIGHT || (!p->a_transposed && p->n % (n * COLUMNS) == 0))
    c.left = (int)part_begin(i, n, (size_t)p->n, COLUMNS),
    c.right = (int)part_begin(i + 1, n, (size_t)p->n, COLUMNS);
  else
    c.from = (int)part_begin(i, n, (size_t)p->m, LANES),
    c.to = (int)part_begin(i + 1, n, (size_t)p->m, LANES);
  return c;
}

/* A parallel region costs about as much as a small product, even one with a single thread. */
static void kernel_product(const nn_linalg *l, const nn_product *p) {
  const int n = (double)p->m * p->n * p->k < THREADS_FROM ? 1 : l->wish.threads;
  if (n == 1) {
    part_product(p, window_of(p, 0, 1), l->panel);
    return;
  }
  NN_PARALLEL(n)
  for (int i = 0; i < n; i++) part_product(p, window_of(p, i, n), l->panel + (size_t)i * PANEL);
}

#ifndef NN_SINGLE
static void blas_product(const nn_product *p) {
  const double one = 1, beta = p->start ? 1 : 0;
  const int lda = (int)column_step(p->a_step, p->a_transposed ? p->k : p->m),
            ldb = (int)column_step(p->b_step, p->b_transposed ? p->n : p->k),
            ldc = (int)column_step(p->c_step, p->m);
  if (p->start && p->start != p->c)
    for (int j = 0; j < p->n; j++)
      memcpy(p->c + (size_t)j * (size_t)ldc, p->start + (size_t)j * p->start_step,
             (size_t)p->m * sizeof(double));
  F77_CALL(dgemm)
  (p->a_transposed ? "T" : "N", p->b_transposed ? "T" : "N", &p->m, &p->n, &p->k, &one, p->a, &lda,
   p->b, &ldb, &beta, p->c, &ldc FCONE FCONE);
}
#endif

static void linalg_product(const nn_linalg *l, const nn_product *p) {
#ifndef NN_SINGLE
  if ((double)p->m * p->n * p->k >= l->wish.blas_from) {
    blas_product(p);
    return;
  }
#endif
  kernel_product(l, p);
}

static void linalg_place(nn_linalg *l, nn_arena *a) {
  l->panel = arena_reals(a, (size_t)l->wish.threads * PANEL);
}

/* A product of the caller's, in double on both sides. */
static size_t product(const nn_matrices *x, const nn_compute *wish, void *memory) {
  nn_arena arena = arena_at(memory);
  nn_linalg l = {.wish = *wish};
  size_t m = (size_t)x->m, n = (size_t)x->n, k = (size_t)x->k, n_start = x->start_columns * m;
  real *a = arena_reals(&arena, m * k), *b = arena_reals(&arena, k * n);
  real *start = arena_reals(&arena, n_start), *c = arena_reals(&arena, m * n);
  linalg_place(&l, &arena);
  if (!memory) return arena_bytes(&arena);
  const nn_arithmetic before = arithmetic_flush();
  for (size_t i = 0; i < m * k; i++) a[i] = (real)x->a[i];
  for (size_t i = 0; i < k * n; i++) b[i] = (real)x->b[i];
  for (size_t i = 0; i < n_start; i++) start[i] = (real)x->start[i];
  nn_product p = {x->a_transposed,        x->b_transposed,     x->m, x->n, x->k, a, b,
                  n_start ? start : NULL, n_start > m ? m : 0, c,    0,    0,    0};
  linalg_product(&l, &p);
  for (size_t i = 0; i < m * n; i++) x->c[i] = (double)c[i];
  arithmetic_set(before);
  return 0;
}
