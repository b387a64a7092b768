/* The builds of the engine, fastest first, and which of them this processor runs. */
#include <string.h>
#include "engine/api.h"

typedef struct {
  const char *name;
  int (*runs)(void);
  const nn_engine *engine[2]; /* double, single */
} build;

static int always(void) { return 1; }
#ifdef NN_HAS_AVX
static int has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static const build builds[] = {
#ifdef NN_HAS_AVX
    {"avx512", has_avx512, {&nn_engine_double_avx512, &nn_engine_single_avx512}},
    {"avx2", has_avx2, {&nn_engine_double_avx2, &nn_engine_single_avx2}},
#endif
    {"base", always, {&nn_engine_double, &nn_engine_single}},
};
enum { N_BUILDS = sizeof builds / sizeof builds[0] };

const char *nn_kernel(int i) {
  for (int k = 0; k < N_BUILDS; k++)
    if (builds[k].runs() && i-- == 0) return builds[k].name;
  return NULL;
}

const nn_engine *nn_engine_of(const char *kernel, int single) {
  for (int k = 0; k < N_BUILDS; k++)
    if ((!kernel || !strcmp(kernel, builds[k].name)) && builds[k].runs())
      return builds[k].engine[single];
  return NULL;
}
