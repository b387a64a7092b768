/* Between the caller's doubles and the engine's numbers. */
#pragma once
#include "api.h"
#include "arena.h"

enum { TRANSPOSE_BLOCK = 32 };

static void copy_in(size_t n, const double *from, real *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] = (real)from[i];
}

static void copy_out(size_t n, const real *from, double *to) {
  NN_SIMD
  for (size_t i = 0; i < n; i++) to[i] = (double)from[i];
}

/* to [rows, n] = ((from [n_source, rows])[row, ] - center) / scale, in blocks that stay in cache; the next is asked for */
static void transpose(const nn_source *s, const double *from, int rows, const double *center,
                      const double *scale, size_t first, size_t n, real *to) {
  for (size_t block = 0; block < n; block += TRANSPOSE_BLOCK) {
    size_t end = block + TRANSPOSE_BLOCK < n ? block + TRANSPOSE_BLOCK : n;
    size_t ahead = s->row ? 0 : n - end;
    if (ahead > TRANSPOSE_BLOCK) ahead = TRANSPOSE_BLOCK;
    for (int j = 0; j < rows; j++) {
      const double *source = from + (size_t)j * s->n_source;
      arena_prefetch(ahead * sizeof(double), source + first + end);
      double c = center ? center[j] : 0, inverse = scale ? 1 / scale[j] : 1;
      for (size_t i = block; i < end; i++) {
        size_t row = s->row ? s->row[first + i] : first + i;
        to[i * (size_t)rows + (size_t)j] = (real)((source[row] - c) * inverse);
      }
    }
  }
}
