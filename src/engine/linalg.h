/* Matrix products, the only place that knows how they are computed. */
#ifndef NN_LINALG_H
#define NN_LINALG_H

#include "api.h"
#include "arena.h"

/* C = op(A) op(B) + start: column-major, C m x n, op(A) m x k, op(B) k x n. start: NULL for 0, C itself to add to it, or one
 * column (start_step 0, else m) that is added to every column of C. */
typedef struct {
  int a_transposed, b_transposed, m, n, k;
  const real *a, *b, *start;
  size_t start_step;
  real *c;
} nn_product;

/* How products are computed: the caller's wishes, and memory for a panel of A per thread. */
typedef struct {
  nn_compute wish;
  real *panel;
} nn_linalg;

static void linalg_place(nn_linalg *l, nn_arena *a);
static void linalg_product(const nn_linalg *l, const nn_product *p);

#endif
