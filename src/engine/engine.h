/* The whole engine in the order of its levels, for one precision; ends with its table of entry points. */
#include "vmath.h"
#include "arena.h"
#include "linalg.c"
#include "activation.c"
#include "family.c"
#include "op.h"
#include "tape.c"
#include "op.c"
#include "variational.c"
#include "model.c"
#include "optimizer.c"
#include "train.c"
#include "run.c"

const nn_engine NN_ENGINE = {model_bytes, model_build, model_describe, model_leaf, model_term,
                             train,       run,         gradient};
