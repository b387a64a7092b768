/* Subnormal numbers, those below the least normal one, cost the processor a hundred times as much as others. While the
 * engine computes they are 0; the caller's arithmetic, and that of other users of the threads, is as it was. */
#pragma once

#include <stdint.h>

/* How this thread's arithmetic goes. The empty assembly keeps the compiler from moving arithmetic across. */
typedef uint64_t nn_arithmetic;

#if defined(__GNUC__) && defined(__SSE2__)
enum { NN_FLUSH = 1 << 15 | 1 << 6 }; /* of results, and of what is read */
static inline nn_arithmetic arithmetic_now(void) { return __builtin_ia32_stmxcsr(); }
static inline void arithmetic_set(nn_arithmetic to) {
  __asm__ volatile("" ::: "memory");
  __builtin_ia32_ldmxcsr((unsigned)to);
  __asm__ volatile("" ::: "memory");
}
#elif defined(__GNUC__) && defined(__aarch64__)
enum { NN_FLUSH = 1 << 24 };
static inline nn_arithmetic arithmetic_now(void) {
  nn_arithmetic now;
  __asm__ volatile("mrs %0, fpcr" : "=r"(now));
  return now;
}
static inline void arithmetic_set(nn_arithmetic to) {
  __asm__ volatile("msr fpcr, %0" ::"r"(to) : "memory");
}
#else
enum { NN_FLUSH = 0 };
static inline nn_arithmetic arithmetic_now(void) { return 0; }
static inline void arithmetic_set(nn_arithmetic to) { (void)to; }
#endif

/* From here subnormal numbers are 0; returns what to set back. */
static inline nn_arithmetic arithmetic_flush(void) {
  const nn_arithmetic before = arithmetic_now();
  arithmetic_set(before | NN_FLUSH);
  return before;
}

/* A thread's share of a loop. */
typedef struct {
  nn_arithmetic before;
  int is_over;
} nn_turn;

static inline void turn_end(nn_turn *turn) {
  arithmetic_set(turn->before);
  turn->is_over = 1;
}
