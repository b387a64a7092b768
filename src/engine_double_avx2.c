/* The engine in double precision for processors with AVX2 and FMA. */
#define NN_AVX2
#include "engine.h"
