/* The whole engine, for one precision and one kind of processor (target.h); ends with its
 * table of entry points. */
#include "engine/target.h"
#if NN_VECTOR_BYTES == 16 || defined(NN_HAS_AVX)
#include "engine/factor.c"
#include "engine/jacobian.c"
#include "engine/mixture.c"
#include "engine/moments.c"
#include "engine/program.c"
#include "engine/quantile.c"
#include "engine/run.c"
#include "engine/sample.c"
#include "engine/train.c"
#include "engine/vmath.c"

const nn_engine NN_ENGINE = {
    model_bytes, model_build, model_describe, model_leaf, model_term,      train, run,
    gradient,    jacobian,    sample,         root,       product,         math,  call,
    random_draw, moments,     mixture,        all_finite, normal_quantiles};

#else
typedef int nn_no_such_build;
#endif
#if defined(NN_HAS_AVX) && NN_VECTOR_BYTES > 16 && defined(__clang__)
#pragma clang attribute pop
#endif
