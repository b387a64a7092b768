/* The floating point type of this build of the engine, and the few words every engine file shares.
 * The engine is compiled for each: engine_single*.c define NN_SINGLE, engine_double*.c do not. */
#pragma once

#include "target.h"
#include "subnormal.h"
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef NN_SINGLE
typedef float real;
#define NN_ENGINE NN_BUILD(nn_engine_single)
#define SQRT sqrtf
#else
typedef double real;
#define NN_ENGINE NN_BUILD(nn_engine_double)
#define SQRT sqrt
#endif

/* Functions that are part of a loop: one that is called keeps the loop from vectorising. */
#ifdef __GNUC__
#define NN_INLINE static inline __attribute__((always_inline))
#else
#define NN_INLINE static inline
#endif

/* Loops that vectorise. gcc must be told at -O2; clang does it alone, and warns where it cannot. A sum may be taken in any
 * order. */
#ifdef _OPENMP
#define NN_PRAGMA(x) _Pragma(#x)
#define NN_SIMD_SUM(...) NN_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define NN_SIMD_SUM(...)
#endif
#if defined(_OPENMP) && !defined(__clang__)
#define NN_SIMD NN_PRAGMA(omp simd)
#else
#define NN_SIMD
#endif

/* The turns of the loop that follows in at most so many threads, each with the engine's arithmetic. */
#ifdef _OPENMP
#define NN_PARALLEL(threads)                                                                       \
  NN_PRAGMA(omp parallel num_threads(threads))                                                     \
  for (nn_turn turn = {arithmetic_flush(), 0}; !turn.is_over; turn_end(&turn))                     \
  NN_PRAGMA(omp for schedule(static, 1) nowait)
#else
#define NN_PARALLEL(threads) (void)(threads);
#endif

/* Where the i'th of n parts of a length begins, in whole units. */
static inline size_t part_begin(int i, int n, size_t length, size_t unit) {
  size_t units = (length + unit - 1) / unit,
         begin = (units / (size_t)n * (size_t)i + units % (size_t)n * (size_t)i / (size_t)n) * unit;
  return begin < length ? begin : length;
}

#define NN_LOG_2PI 1.8378770664093454836
#define NN_COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
