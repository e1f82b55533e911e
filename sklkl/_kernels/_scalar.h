/* The pointwise terms in double for loops that the compiler may compile as it likes. */
#ifndef SKLKL_SCALAR_H
#define SKLKL_SCALAR_H

#include "_portable.h"

#define REAL double
#define BITS uint64_t
#define PRECISE 1
#define HAVE_FMA BASELINE_FMA
#define NAME(x) x##_scalar
#include "_terms.h"
#include "_undefine.h"
#undef HAVE_FMA

#endif
