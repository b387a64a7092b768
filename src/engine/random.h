/* The engine's own random numbers: each is a function of a key and of its place, so that neither the chunks that observations
 * come in nor the thread that asks can change them. */
#ifndef NN_RANDOM_H
#define NN_RANDOM_H

#include "api.h"
#include "real.h"

/* One sequence of numbers. */
typedef struct {
  const unsigned *key; /* two words of 32 bits */
  uint32_t node, pass; /* for which node of the tape, in which of its passes */
} nn_sequence;

/* Numbers first .. first + n of the sequence. */
static void random_normal(const nn_sequence *s, size_t first, size_t n, real *out);
static void random_uniform(const nn_sequence *s, size_t first, size_t n, real *out);

#endif
