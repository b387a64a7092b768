/* A tile of a product (linalg.c): included once for each size of vector, with TILE the function's name and TILE_LANES the
 * numbers in a vector. */
NN_INLINE void TILE(const int rows, const int columns, const strip *s) {
#ifdef __GNUC__
  typedef real vector __attribute__((vector_size(TILE_LANES * sizeof(real))));
  typedef real loose_vector /* in memory: aligned as a number is */
      __attribute__((vector_size(TILE_LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
#else
  typedef real vector, loose_vector;
#endif
  const real *a = s->a, *b = s->b;
  const size_t a_step = s->a_step, b_row = s->b_row, b_step = s->b_step;
  vector sum[ROWS][COLUMNS];
  NN_UNROLL
  for (int j = 0; j < columns; j++) {
    NN_UNROLL
    for (int i = 0; i < rows; i++) {
      sum[i][j] = (vector){0};
      NN_PREFETCH(s->c + (size_t)j * s->c_step + i * TILE_LANES, 1);
    }
  }
  for (int p = 0; p < s->k; p++, a += a_step, b += b_row) {
    NN_UNROLL
    for (int j = 0; j < columns; j++) {
      NN_UNROLL
      for (int i = 0; i < rows; i++)
        sum[i][j] += *(const loose_vector *)(a + i * TILE_LANES) * b[(size_t)j * b_step];
    }
  }
  const real *start = s->start;
  NN_UNROLL
  for (int j = 0; j < columns; j++) {
    NN_UNROLL
    for (int i = 0; i < rows; i++) {
      const size_t at = (size_t)i * TILE_LANES;
      if (start) sum[i][j] += *(const loose_vector *)(start + (size_t)j * s->start_step + at);
      *(loose_vector *)(s->c + (size_t)j * s->c_step + at) = sum[i][j];
    }
  }
}
#undef TILE
#undef TILE_LANES
