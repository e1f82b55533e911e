/* Kernels for every instruction set that this build can offer, chosen at run time.

   LEVEL_BODY names a header that defines a `level`, LEVEL(level), a table of kernels. It is
   included once for each set, LEVEL_NAME: the compiler is told by a pragma to use it for what
   follows. That needs no build flags per file, no resolver in the C library (which musl and macOS
   lack), and no object files of its own. Compilers that know neither pragma (MSVC), and
   processors other than x86, get the one baseline: SSE2 there, NEON on 64-bit Arm. */
#ifndef SKLKL_LEVELS_H
#define SKLKL_LEVELS_H

#include "portable.h"

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define X86_LEVELS 1
#else
#define X86_LEVELS 0
#endif

#define LEVEL_NAME baseline
#define HAVE_FMA BASELINE_FMA
#if defined(__aarch64__) || defined(_M_ARM64)
#define HAVE_CONVERSION 1
#else
#define HAVE_CONVERSION 0
#endif
#if defined(__GNUC__)
#define VECTOR_BYTES 16
#else
#define VECTOR_BYTES 0
#endif
#include LEVEL_BODY
#undef LEVEL_NAME
#undef HAVE_FMA
#undef HAVE_CONVERSION
#undef VECTOR_BYTES

#if X86_LEVELS
#define HAVE_FMA 1

#define LEVEL_NAME avx2
#define VECTOR_BYTES 32
#define HAVE_CONVERSION 0
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include LEVEL_BODY
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LEVEL_NAME
#undef VECTOR_BYTES
#undef HAVE_CONVERSION

#define LEVEL_NAME avx512
#define VECTOR_BYTES 64
#define HAVE_CONVERSION 1
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#include LEVEL_BODY
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LEVEL_NAME
#undef HAVE_FMA
#undef HAVE_CONVERSION
#undef VECTOR_BYTES
#endif

enum { MAX_LEVELS = 3 };  /* of any build: what available_levels may write */

typedef const level *const_level;

/* The levels of this build that this machine can run, lowest first; returns their number. */
static int available_levels(const level **out)
{
    int n = 0;
    out[n++] = &level_baseline;
#if X86_LEVELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        out[n++] = &level_avx2;
    if (n == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        out[n++] = &level_avx512;
#endif
    return n;
}

#endif
