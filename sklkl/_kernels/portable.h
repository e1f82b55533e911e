/* What the headers of kernels share, whatever the compiler. */
#ifndef SKLKL_PORTABLE_H
#define SKLKL_PORTABLE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define INLINE static __forceinline
#define NOINLINE __declspec(noinline)
#define SIMD(clauses)
#define restrict __restrict
#else
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define PRAGMA(text) _Pragma(#text)
/* OpenMP's promise that iterations may be reordered; needs -fopenmp-simd, not its runtime. */
#define SIMD(clauses) PRAGMA(omp simd clauses)
#endif

/* Ask for memory that will be needed: rows that a sparse matrix picks at random; and, no nearer
   than the second-level cache, rows that come after those at work. */
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#define PREFETCH_LATER(address) __builtin_prefetch((const void *)(address), 0, 2)
#else
#define PREFETCH(address)
#define PREFETCH_LATER(address)
#endif
enum { CACHE_LINE = 64 };

/* Can the entries of two vectors be shuffled? (GCC 12, Clang) */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAVE_SHUFFLE 1
#endif
#endif
#ifndef HAVE_SHUFFLE
#define HAVE_SHUFFLE 0
#endif
enum { AHEAD = 8 };  /* entries between asking and need */

/* Where subnormal numbers must keep their digits, entries are scaled by SCALE, and zeros raised
   to TINY, which is 2^-66 times the least positive double after that scaling. */
#define SCALE 0x1p128
#define TINY 0x1p-1012

/* What the sum of a row may be off by, and how far below 0 an entry may lie: it is then what
   rounding left of some 1 - p, and counts as 0. */
#define TOLERANCE 3.5e-4
#define ROUNDING 1e-6

/* Does the plain target multiply and add with one rounding? */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(_M_ARM64)
#define BASELINE_FMA 1
#else
#define BASELINE_FMA 0
#endif

enum {
    LANES = 16,  /* every vector loop runs over a multiple of it */
    BLOCK = 1024, /* entries of a tile */
    STEP = 256    /* of which the first of two steps is taken before the second */
};

/* The leading 26 bits of x; what is left has 27. Found by arithmetic (Veltkamp, 1968) they would be
   all of x wherever a compiler contracts a product and a difference to one operation. */
INLINE double leading_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~(((uint64_t)1 << 27) - 1);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Functions are written once and compiled for each instruction set, LEVEL_NAME. */
#define PASTE(a, b) a##_##b
#define JOIN(a, b) PASTE(a, b)
#define LEVEL(x) JOIN(x, LEVEL_NAME)
#define STRING(x) #x
#define NAME_OF(x) STRING(x)

#endif
