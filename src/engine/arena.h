/* A bump allocator over the caller's memory. Without a base it only counts, so the code that lays memory out is also
 * the code that measures it. */
#ifndef NN_ARENA_H
#define NN_ARENA_H

#include "real.h"

typedef struct {
  char *base;
  size_t used;
} nn_arena;

enum { NN_ALIGN = 64 };

static nn_arena arena_at(void *memory) {
  nn_arena a = {(char *)memory, 0};
  if (memory) a.used = (NN_ALIGN - (uintptr_t)memory % NN_ALIGN) % NN_ALIGN;
  return a;
}

static void *arena_take(nn_arena *a, size_t count, size_t size) {
  void *p = a->base ? a->base + a->used : NULL;
  a->used += (count * size + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
  return p;
}

static real *arena_reals(nn_arena *a, size_t count) {
  return (real *)arena_take(a, count, sizeof(real));
}

/* Asks for the line of memory at p, to be read or written soon. */
#ifdef __GNUC__
#define NN_PREFETCH(p, writes) __builtin_prefetch(p, writes)
#else
#define NN_PREFETCH(p, writes) (void)(p)
#endif

static inline void arena_prefetch(size_t bytes, const void *memory) {
  for (size_t i = 0; i < bytes; i += NN_ALIGN) NN_PREFETCH((const char *)memory + i, 0);
}

/* Bytes to ask for: what was counted and room to align the base. */
static size_t arena_bytes(const nn_arena *a) { return a->used + NN_ALIGN; }

#endif
