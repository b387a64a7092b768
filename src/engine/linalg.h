/* Matrix products, the only place that knows how they are computed. */
#ifndef NN_LINALG_H
#define NN_LINALG_H

#include "real.h"

/* C = op(A) op(B) + beta C, column-major, op(A) m x k, op(B) k x n; beta is 0 or 1, and 0 does not read C. */
static void linalg_product(int a_transposed, int b_transposed, int m, int n, int k, const real *a,
                           const real *b, real beta, real *c);

#endif
