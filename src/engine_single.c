/* The engine in single precision. */
#define NN_SINGLE
#include "engine.h"
