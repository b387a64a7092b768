/* A bump allocator over the caller's memory. Without a base it only counts, so the code that lays memory out is also
 * the code that measures it. What is more than a size_t counts as SIZE_MAX. */
#pragma once

#include "real.h"

typedef struct {
  char *base;
  size_t used;
} nn_arena;

/* Under AddressSanitizer there is a red zone behind each block, so that reads beyond its last number are seen. Its
 * bytes are the arena's own: a new arena, or a block, makes them usable again. */
#if defined(__SANITIZE_ADDRESS__)
#define NN_HAS_RED_ZONES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NN_HAS_RED_ZONES
#endif
#endif

#ifdef NN_HAS_RED_ZONES
void __asan_poison_memory_region(void const volatile *memory, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *memory, size_t bytes);
#define NN_POISON(memory, bytes) __asan_poison_memory_region(memory, bytes)
#define NN_UNPOISON(memory, bytes) __asan_unpoison_memory_region(memory, bytes)
enum { NN_ALIGN = 64, NN_RED_ZONE = 256 };
#else
#define NN_POISON(memory, bytes) ((void)0)
#define NN_UNPOISON(memory, bytes) ((void)0)
enum { NN_ALIGN = 64, NN_RED_ZONE = 0 };
#endif

static nn_arena arena_at(void *memory) {
  nn_arena a = {(char *)memory, 0};
  if (memory) a.used = (NN_ALIGN - (uintptr_t)memory % NN_ALIGN) % NN_ALIGN;
  return a;
}

/* a + b, at most SIZE_MAX. */
static size_t sum_of_sizes(size_t a, size_t b) { return b > SIZE_MAX - a ? SIZE_MAX : a + b; }

/* A block of memory for count things of a size, and the bytes to the next one. */
static void *arena_take(nn_arena *a, size_t count, size_t size) {
  const size_t most = SIZE_MAX - NN_ALIGN - NN_RED_ZONE,
               bytes = count > most / size ? most : count * size,
               whole = (bytes + NN_RED_ZONE + NN_ALIGN - 1) / NN_ALIGN * NN_ALIGN;
  char *p = a->base ? a->base + a->used : NULL;
  if (p) {
    NN_UNPOISON(p, bytes);
    NN_POISON(p + bytes, whole - bytes);
  }
  a->used = sum_of_sizes(a->used, whole);
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
static size_t arena_bytes(const nn_arena *a) { return sum_of_sizes(a->used, NN_ALIGN); }
