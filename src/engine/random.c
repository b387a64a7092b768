/* The engine's own random numbers: each is a function of a key and of its place, so that neither the chunks that observations
 * come in nor the thread that asks can change them. Philox4x32-10 of Salmon et al. (2011): a bijection of 128 bits, here (block,
 * node, pass), for each key of 64 bits. Numbers come in groups of 64 blocks, of which all first words are used before the second
 * ones, so that loops vectorise. */
#pragma once
#include "api.h"
#include "vmath.h"

/* One sequence of numbers. */
typedef struct {
  const unsigned *key; /* two words of 32 bits */
  uint32_t node, pass; /* for which node of the tape, in which of its passes */
} nn_sequence;

enum { GROUP = 64, GROUP_REALS = GROUP * 4 * (int)sizeof(float) / (int)sizeof(real) };

typedef struct {
  uint32_t word[4][GROUP];
} random_words;

#define PHILOX_ROUND(r)                                                                            \
  {                                                                                                \
    uint64_t p = (uint64_t)0xD2511F53u * c0, q = (uint64_t)0xCD9E8D57u * c2;                       \
    c0 = (uint32_t)(q >> 32) ^ c1 ^ (k0 + (r)*0x9E3779B9u);                                        \
    c2 = (uint32_t)(p >> 32) ^ c3 ^ (k1 + (r)*0xBB67AE85u);                                        \
    c1 = (uint32_t)q;                                                                              \
    c3 = (uint32_t)p;                                                                              \
  }
#define FIVE_ROUNDS(r)                                                                             \
  PHILOX_ROUND(r) PHILOX_ROUND(r + 1) PHILOX_ROUND(r + 2) PHILOX_ROUND(r + 3) PHILOX_ROUND(r + 4)

static void philox(const nn_sequence *s, uint64_t group, random_words *out) {
  const uint32_t k0 = (uint32_t)s->key[0], k1 = (uint32_t)s->key[1], node = s->node, pass = s->pass;
  const uint32_t low = (uint32_t)(group * GROUP), high = (uint32_t)(group * GROUP >> 32);
  NN_SIMD
  for (uint32_t i = 0; i < GROUP; i++) {
    uint32_t c0 = low + i, c1 = high, c2 = node, c3 = pass;
    FIVE_ROUNDS(0)
    FIVE_ROUNDS(5)
    out->word[0][i] = c0, out->word[1][i] = c1, out->word[2][i] = c2, out->word[3][i] = c3;
  }
}

/* A number in (0, 1) with all the bits that a real holds: its mantissa, in the middle of its interval. */
NN_INLINE real unit_of(nn_bits bits) {
  nn_pun u;
  u.bits = (bits >> (NN_SIGN_BIT + 1 - NN_MANTISSA)) | (nn_bits)NN_BIAS_OF_EXPONENT << NN_MANTISSA;
  return u.value - (1 - (real)0.5 / (real)((nn_bits)1 << NN_MANTISSA));
}

/* The bits of one number; and a number in (0, 1] whose smallest values are as fine as the bits allow. */
#ifdef NN_SINGLE
enum { GROUP_UNITS = 4 };
NN_INLINE nn_bits bits_of(const random_words *w, int unit, int i) { return w->word[unit][i]; }
NN_INLINE real fine_unit_of(nn_bits bits) {
  return (real)(int32_t)(bits >> 1) * (real)(1.0 / 2147483648.0) + (real)(0.5 / 2147483648.0);
}
#else
enum { GROUP_UNITS = 2 };
NN_INLINE nn_bits bits_of(const random_words *w, int unit, int i) {
  return (nn_bits)w->word[2 * unit][i] << 32 | w->word[2 * unit + 1][i];
}
NN_INLINE real fine_unit_of(nn_bits bits) { return unit_of(bits); }
#endif

static void uniforms(const random_words *w, real *out) {
  for (int unit = 0; unit < GROUP_UNITS; unit++, out += GROUP) {
    NN_SIMD
    for (int i = 0; i < GROUP; i++) out[i] = unit_of(bits_of(w, unit, i));
  }
}

/* Two normals r cos a, r sin a of a uniform u and bits: r = sqrt(-2 log u); a = pi v + quarters of a turn, v in (-1/4, 1/4).
 * Box and Muller (1958). */
NN_INLINE void polar(nn_bits bits, real *cosine, real *sine) {
  const nn_bits quarter = bits & 3;
  const real a = (unit_of(bits) - (real)0.5) * (real)1.57079632679489661923, z = a * a;
#ifdef NN_SINGLE
  real s = (real)(1.0 / 362880), c = (real)(1.0 / 40320);
#else
  real s = -1.0 / 1307674368000.0, c = 1.0 / 20922789888000.0;
  s = ((s * z + 1.0 / 6227020800.0) * z - 1.0 / 39916800.0) * z + 1.0 / 362880.0;
  c = vmath_next(c, z, -1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0, 1.0 / 40320.0);
#endif
  s = ((s * z - (real)(1.0 / 5040)) * z + (real)(1.0 / 120)) * z - (real)(1.0 / 6);
  c = ((c * z - (real)(1.0 / 720)) * z + (real)(1.0 / 24)) * z - (real)0.5;
  s = a + a * z * s, c = 1 + z * c;
  /* a turn by a quarter swaps them and changes a sign, by a half changes both */
  const nn_bits swaps = quarter << NN_SIGN_BIT, turns = quarter >> 1 << NN_SIGN_BIT;
  nn_pun x = {vmath_choose(swaps, -s, c)}, y = {vmath_choose(swaps, c, s)};
  x.bits ^= turns, y.bits ^= turns;
  *cosine = x.value, *sine = y.value;
}

static void normals(const random_words *w, real *out) {
  real r[GROUP];
  for (int unit = 0; unit < GROUP_UNITS; unit += 2, out += 2 * GROUP) {
    NN_SIMD
    for (int i = 0; i < GROUP; i++) r[i] = -2 * vmath_log_normal(fine_unit_of(bits_of(w, unit, i)));
    vmath_sqrt(GROUP, r, r);
    NN_SIMD
    for (int i = 0; i < GROUP; i++) {
      real cosine, sine;
      polar(bits_of(w, unit + 1, i), &cosine, &sine);
      out[i] = r[i] * cosine, out[GROUP + i] = r[i] * sine;
    }
  }
}

/* Whole groups are made where they belong, those that begin or end elsewhere in a buffer. */
static void fill(const nn_sequence *s, void (*make)(const random_words *w, real *out),
                 uint64_t first, size_t n, real *out) {
  random_words words;
  real buffer[GROUP_REALS];
  while (n > 0) {
    size_t skip = (size_t)(first % GROUP_REALS),
           take = GROUP_REALS - skip < n ? GROUP_REALS - skip : n;
    philox(s, first / GROUP_REALS, &words);
    make(&words, take == GROUP_REALS ? out : buffer);
    if (take < GROUP_REALS) memcpy(out, buffer + skip, take * sizeof(real));
    first += take, out += take, n -= take;
  }
}

/* Numbers first .. first + n of the sequence. */
static void random_normal(const nn_sequence *s, uint64_t first, size_t n, real *out) {
  fill(s, normals, first, n, out);
}

static void random_uniform(const nn_sequence *s, uint64_t first, size_t n, real *out) {
  fill(s, uniforms, first, n, out);
}

/* For tests: the words of n blocks, 4 each (kind 0), uniforms (1) or normals (2). */
static void random_draw(int kind, const nn_place *place, size_t n, double *out) {
  const nn_sequence s = {place->key, place->node, place->pass};
  random_words words;
  real piece[GROUP_REALS];
  for (size_t i = 0; kind == 0 && i < n; i++) {
    philox(&s, (place->first + i) / GROUP, &words);
    for (size_t k = 0; k < 4; k++) out[4 * i + k] = words.word[k][(place->first + i) % GROUP];
  }
  for (size_t i = 0, take; kind > 0 && i < n; i += take) {
    take = n - i < GROUP_REALS ? n - i : GROUP_REALS;
    (kind == 1 ? random_uniform : random_normal)(&s, place->first + i, take, piece);
    for (size_t k = 0; k < take; k++) out[i + k] = (double)piece[k];
  }
}
