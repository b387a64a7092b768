/* What the processor must have for this build of the engine: a file that defines NN_AVX2 or NN_AVX512 before it includes
 * engine.h is the engine compiled for that, all of it. Such files are empty unless there is NN_HAS_AVX. Comes before any
 * other header. */
#pragma once

#if defined(__GNUC__) && defined(__x86_64__)
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

#if defined(NN_HAS_AVX) && NN_VECTOR_BYTES > 16
#ifdef __clang__
#ifdef NN_AVX512
#define NN_FEATURES "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
#else
#define NN_FEATURES "avx2,fma"
#endif
#pragma clang attribute push(__attribute__((target(NN_FEATURES))), apply_to = function)
#elif defined(NN_AVX512)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#else
#pragma GCC target("avx2,fma")
#endif

/* gcc on Windows does not align its stack for vectors of more than 16 bytes (its bug 54412), and moves them by instructions
 * that end the process at any other address. In their place the assembler puts those that take every address and are as
 * fast: what its option -muse-unaligned-vector-move does, without a flag that is not portable. */
#if defined(_WIN32) && !defined(__clang__)
#define NN_AT_ANY_ADDRESS(aligned, any)                                                            \
  __asm__(".macro " #aligned " operands:vararg\n\t" #any " \\operands\n.endm");
NN_AT_ANY_ADDRESS(vmovaps, vmovups)
NN_AT_ANY_ADDRESS(vmovapd, vmovupd)
NN_AT_ANY_ADDRESS(vmovdqa, vmovdqu)
NN_AT_ANY_ADDRESS(vmovdqa32, vmovdqu32)
NN_AT_ANY_ADDRESS(vmovdqa64, vmovdqu64)
#endif
#endif
