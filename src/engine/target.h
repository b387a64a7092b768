/* What the processor must have for this build of the engine: a file that defines NN_AVX2 or NN_AVX512 before it includes
 * engine.h is the engine compiled for that, all of it. Such files are empty unless there is NN_HAS_AVX. Comes before any
 * other header. */
#pragma once

/* Not gcc on Windows: it does not align its stack for vectors of more than 16 bytes (its bug 54412). */
#if defined(__GNUC__) && defined(__x86_64__) && (defined(__clang__) || !defined(_WIN32))
#define NN_HAS_AVX
#endif

#if defined(NN_AVX512)
#define NN_VECTOR_BYTES 64
#define NN_BUILD(name) name##_avx512
#elif defined(NN_AVX2)
#define NN_VECTOR_BYTES 32
#define NN_BUILD(name) name##_avx2
#else
#define NN_VECTOR_BYTES 16
#define NN_BUILD(name) name
#endif

#if NN_VECTOR_BYTES > 16 && defined(__clang__)
#ifdef NN_AVX512
#define NN_FEATURES "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
#else
#define NN_FEATURES "avx2,fma"
#endif
#pragma clang attribute push(__attribute__((target(NN_FEATURES))), apply_to = function)
#elif defined(NN_AVX512) && defined(NN_HAS_AVX)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#elif defined(NN_AVX2) && defined(NN_HAS_AVX)
#pragma GCC target("avx2,fma")
#endif
