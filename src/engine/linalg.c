/* Matrix products: R's BLAS in double; in single, which R's BLAS does not have, loops over columns that vectorise. */
#include "linalg.h"

#ifndef NN_SINGLE

#ifndef USE_FC_LEN_T
#define USE_FC_LEN_T
#endif
#include <R_ext/BLAS.h>
#ifndef FCONE
#define FCONE
#endif

static void linalg_product(int a_transposed, int b_transposed, int m, int n, int k, const real *a,
                           const real *b, real beta, real *c) {
  const double one = 1;
  int lda = a_transposed ? k : m, ldb = b_transposed ? n : k;
  F77_CALL(dgemm)
  (a_transposed ? "T" : "N", b_transposed ? "T" : "N", &m, &n, &k, &one, a, &lda, b, &ldb, &beta, c,
   &m FCONE FCONE);
}

#else

enum { NN_BLOCK = 256 };

/* c[0..m) += sum over 4 columns of a, each times its number */
static void add_columns(int m, const real *a, int lda, const real *w, int n_columns, real *c) {
  int j = 0;
  for (; j + 4 <= n_columns; j += 4) {
    const real *a0 = a + (size_t)j * lda, *a1 = a0 + lda, *a2 = a1 + lda, *a3 = a2 + lda;
    real w0 = w[j], w1 = w[j + 1], w2 = w[j + 2], w3 = w[j + 3];
    NN_SIMD
    for (int i = 0; i < m; i++) c[i] += a0[i] * w0 + a1[i] * w1 + a2[i] * w2 + a3[i] * w3;
  }
  for (; j < n_columns; j++) {
    const real *a0 = a + (size_t)j * lda;
    real w0 = w[j];
    NN_SIMD
    for (int i = 0; i < m; i++) c[i] += a0[i] * w0;
  }
}

static real dot(int k, const real *a, const real *b) {
  real s = 0;
  NN_SIMD_SUM(s)
  for (int i = 0; i < k; i++) s += a[i] * b[i];
  return s;
}

static void linalg_product(int a_transposed, int b_transposed, int m, int n, int k, const real *a,
                           const real *b, real beta, real *c) {
  if (beta == 0) memset(c, 0, (size_t)m * n * sizeof(real));
  if (a_transposed) { /* never with b transposed: dx = W' dy */
    for (int j = 0; j < n; j++)
      for (int i = 0; i < m; i++)
        c[i + (size_t)j * m] += dot(k, a + (size_t)i * k, b + (size_t)j * k);
    return;
  }
  for (int l = 0; l < k;
       l += NN_BLOCK) { /* a block of A's columns stays in cache for all columns of C */
    int width = k - l < NN_BLOCK ? k - l : NN_BLOCK;
    for (int j = 0; j < n; j++) {
      real w[NN_BLOCK];
      for (int i = 0; i < width; i++)
        w[i] = b_transposed ? b[j + (size_t)(l + i) * n] : b[l + i + (size_t)j * k];
      add_columns(m, a + (size_t)l * m, m, w, width, c + (size_t)j * m);
    }
  }
}

#endif
