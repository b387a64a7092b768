/* The engine in single precision for processors with AVX2 and FMA. */
#define NN_SINGLE
#define NN_AVX2
#include "engine.h"
