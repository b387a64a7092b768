/* The engine in double precision for processors with AVX-512 (F, DQ, BW, VL). */
#define NN_AVX512
#include "engine.h"
