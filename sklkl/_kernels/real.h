/* Logarithms, exponentials and sums in one precision. This file is included once for each
   instruction set and precision, with LEVEL_NAME, HAVE_FMA and PRECISE (1: double, 0: float)
   defined; it defines REAL, BITS (the unsigned integer of the same width) and NAME(x).

   Divergences are sums of terms in which nothing cancels. They rest on

       kl_term(a, b) = a log(a / b) - a + b  >=  0,

   whose sum over a pair of rows of equal mass is the KL divergence. Because each term is
   non-negative, the relative accuracy of a term is that of the sum. Four points:

   (a) The ratio a / b is brought into [2/3, 4/3] by moving a power of two 2^e into b, exactly
       and without a branch, through the bit patterns. With b2 = 2^e b, s = (a - b2)/(a + b2)
       and w = s^2 <= 0.04, log(a / b2) = 2 atanh(s) = 2 s (1 + w B(w)) and
       kl_term(a, b2) = (a - b2) s (1 + s (1 + s) B(w)).
   (b) The difference d = a - b is an argument of its own. A caller that has rescaled b knows
       it to full relative accuracy even when a and b agree to 12 digits; subtracting the
       rounded numbers would lose what matters. It serves where e = 0.
   (c) B(w) = (atanh(s)/s - 1)/w and PHI(x) = (exp(x) - 1 - x)/x^2 are polynomials that
       interpolate at the Chebyshev nodes of [0, 0.0401] and [-1/2, 1/2], with errors of
       4e-15 and 2e-16 (float: 7e-7). B enters a term with a factor below 0.08.
   (d) In float, e log(2) is kept in two parts: near a / b = 4/3 its sum with b - b2 cancels
       all but 1/18, which double can afford.

   Arguments are finite and at least TINY, so that neither a subnormal number nor a division
   0 / 0 occurs. Plain loops over these functions vectorise: there is no branch, only
   selections, and no call. */

#undef REAL
#undef BITS
#undef NAME
#undef SQRT
#undef SIGNED
#undef CONVERTS
#undef E_UNIT
#if PRECISE
#define REAL double
#define BITS uint64_t
#define SIGNED int64_t
#define CONVERTS HAVE_CONVERSION
#define NAME(x) LEVEL(x##_d)
#define SQRT sqrt
#else
#define REAL float
#define BITS uint32_t
#define SIGNED int32_t
#define CONVERTS 1
#define NAME(x) LEVEL(x##_f)
#define SQRT sqrtf
#endif

#if CONVERTS
#define E_UNIT EITHER(0x1p52, 0x1p23f)
#else
#define E_UNIT 1
#endif

#ifndef SKLKL_REAL_H
#define SKLKL_REAL_H

#include "portable.h"

/* The first of two numbers in double precision, the second in single precision. */
#define EITHER(of_double, of_float) ((REAL)(PRECISE ? (of_double) : (of_float)))

#define MANTISSA (PRECISE ? 52 : 23)
#define TOP_BIT ((BITS)1 << (8 * sizeof(REAL) - 1))
/* The bits of 2^MANTISSA: integers below it are its low bits. */
#define MAGIC ((BITS)(PRECISE ? 0x4330000000000000u : 0x4b000000u))
#define OFFSET EITHER(0x1p52 + 0x1p11, 0x1p23f + 0x1p8f)
#define ROUNDER EITHER(0x1.8p52, 0x1.8p23f)  /* added, it rounds to an integer */
#define BIAS (PRECISE ? 1023 : 127)
#define LEAST_EXPONENT (PRECISE ? -708 : -87)
#define LN2_HIGH EITHER(0.6931471805599453, 0x1.62ep-1f)
#define LN2_LOW 0x1.0bfbe8p-15f  /* the rest, in single precision */
/* log(2) in two parts, the first of so few bits that its products with exponents are exact */
#define LN2_LONG EITHER(0x1.62e42feep-1, 0x1.62ep-1f)
#define LN2_REST EITHER(0x1.a39ef35793c76p-33, 0x1.0bfbe8p-15f)
/* Added to entries in the plain sum of terms; what sums and entries must reach for that. */
#define FLOOR EITHER(0x1p-500, 0x1p-110f)
#define ROOT_OF_FLOOR EITHER(0x1p-250, 0x1p-55f)
#define LEAST_SUM EITHER(0x1p-390, 0x1p-62f)
#define LEAST_ENTRY EITHER(0x1p-450, 0x1p-86f)
#define LEAST_NORMAL EITHER(0x1p-1022, 0x1p-126f)

#endif

typedef struct {
    REAL e;      /* as in (a) */
    REAL b2;
    REAL difference;
    REAL total;  /* a + b2 */
} NAME(ratio);

INLINE BITS NAME(bits_of)(REAL x)
{
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE REAL NAME(real_of)(BITS bits)
{
    REAL x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The integer in the top bits of x, above the mantissa, as a real number times E_UNIT; its other
   bits are 0. Before AVX-512, vectors have no conversion of 64-bit integers. */
INLINE REAL NAME(top_integer)(BITS x)
{
#if CONVERTS
    return (REAL)(SIGNED)x;
#else
    return NAME(real_of)(((x ^ TOP_BIT) >> MANTISSA) | MAGIC) - OFFSET;
#endif
}

INLINE REAL NAME(times_ln2)(REAL e, REAL factor, REAL rest)
{
#if PRECISE
    return factor * (e * (LN2_HIGH / E_UNIT)) + rest;
#else
    return (factor * (e * (LN2_HIGH / E_UNIT)) + rest) + factor * (e * (LN2_LOW / E_UNIT));
#endif
}

INLINE REAL NAME(poly_atanh)(REAL w)
{
#if PRECISE
    /* Even and odd powers apart: half the latency of Horner's rule. */
    REAL v = w * w;
    REAL even = 0.33333333333333469 + v * (
        0.14285714418022775 + v * (0.090923051231470323 + v * 0.075592435543622857));
    REAL odd = 0.19999999999667778 + v * (0.11111091388337241 + v * 0.076418518762015734);
    return even + w * odd;
#else
    return 0.333333569f + w * (0.199894551f + w * 0.149795984f);
#endif
}

/* The same up to w = 1/9, which is a node, since there outcomes are that one row rules out. */
INLINE REAL NAME(poly_atanh_far)(REAL w)
{
#if PRECISE
    REAL v = w * w;
    REAL even = 0.3333333333333333 + v * (0.14285714319305884 + v * (0.09091105008902105 + v * (
        0.06749231476750553 + v * 0.08441385096511107)));
    REAL odd = 0.19999999999912993 + v * (0.11111107293964845 + v * (
        0.07686961408518136 + v * 0.05164897720826525));
    return even + w * odd;
#else
    return 0.333333343f + w * (0.200028449f + w * (0.141259432f + w * 0.134337738f));
#endif
}

INLINE NAME(ratio) NAME(ratio_of)(REAL a, REAL b)
{
    NAME(ratio) r;
    BITS shift = NAME(bits_of)(a) - NAME(bits_of)(b) + ((BITS)1 << (MANTISSA - 1));
    shift &= ~(((BITS)1 << MANTISSA) - 1);
    r.e = NAME(top_integer)(shift);
    r.b2 = NAME(real_of)(NAME(bits_of)(b) + shift);
    r.difference = a - r.b2;
    r.total = a + r.b2;
    return r;
}

INLINE NAME(ratio) NAME(reduced)(REAL a, REAL b, REAL d)
{
    NAME(ratio) r = NAME(ratio_of)(a, b);
    r.difference = r.b2 == b ? d : r.difference;
    return r;
}

/* a log(a / b) - a + b, given s = difference / total. */
INLINE REAL NAME(kl_of)(REAL a, REAL b, NAME(ratio) r, REAL s)
{
    REAL w = s * s;
    REAL near = (r.difference * s) * (1 + (s + w) * NAME(poly_atanh)(w));
    return NAME(times_ln2)(r.e, a, b - r.b2) + near;
}

INLINE REAL NAME(kl_term)(REAL a, REAL b, REAL d)
{
    NAME(ratio) r = NAME(reduced)(a, b, d);
    return NAME(kl_of)(a, b, r, r.difference / r.total);
}

INLINE REAL NAME(log_ratio)(REAL a, REAL b, REAL d)
{
    NAME(ratio) r = NAME(reduced)(a, b, d);
    REAL s = r.difference / r.total, w = s * s;
    return NAME(times_ln2)(r.e, 1, 2 * s * (1 + w * NAME(poly_atanh)(w)));
}

/* The sum of x[:m]; m is a multiple of LANES. */
INLINE REAL NAME(sum)(const REAL *x, ptrdiff_t m)
{
    REAL total = 0;
    m = m / LANES * LANES;
    SIMD(reduction(+ : total))
    for (ptrdiff_t j = 0; j < m; j++)
        total += x[j];
    return total;
}

/* The union of the bits of x[:m], to find a sign among them. */
INLINE BITS NAME(signs)(const REAL *x, ptrdiff_t m)
{
    BITS signs = 0;
    m = m / LANES * LANES;
    SIMD(reduction(| : signs))
    for (ptrdiff_t j = 0; j < m; j++)
        signs |= NAME(bits_of)(x[j]);
    return signs;
}

INLINE REAL NAME(poly_phi)(REAL x)
{
#if PRECISE
    double v = x * x;
    double even = 0.5 + v * (0.041666666666666787 + v * (0.0013888888888792351 + v * (
        2.480158751780227e-05 + v * (2.7557121595012789e-07 + v * 2.095576228949441e-09))));
    double odd = 0.16666666666666836 + v * (0.0083333333331981266 + v * (
        0.00019841270144086635 + v * (2.7557042448192959e-06 + v * 2.5162744626460178e-08)));
    return even + x * odd;
#else
    return 0.5f + x * (0.166665763f + x * (0.0416665524f + x * (
        0.00836334564f + x * 0.00139263924f)));
#endif
}

/* 2^n for an integer n, of ordinary exponent. */
INLINE REAL NAME(power_of_two)(REAL n)
{
    return NAME(real_of)(NAME(bits_of)(n + (ROUNDER + BIAS)) << MANTISSA);
}

INLINE REAL NAME(nearest_integer)(REAL x)
{
    return (x + ROUNDER) - ROUNDER;
}

/* exp(x) for x <= 0, or 0 below exp(LEAST_EXPONENT). */
INLINE REAL NAME(exp_of)(REAL x)
{
    const REAL bounded = x > LEAST_EXPONENT ? x : LEAST_EXPONENT;
    const REAL n = NAME(nearest_integer)(bounded * (REAL)1.4426950408889634);
    const REAL y = (bounded - n * LN2_LONG) - n * LN2_REST;
    const REAL value = NAME(power_of_two)(n) * (1 + (y + y * y * NAME(poly_phi)(y)));
    return x > LEAST_EXPONENT ? value : 0;
}

#if PRECISE
/* x - b rho, rounded once, also where x and b rho nearly cancel. */
INLINE double NAME(minus_scaled)(double x, double b, double rho)
{
#if HAVE_FMA
    return fma(-b, rho, x);
#else
    /* Dekker's product (1971): the parts of b rho are exact, up to the last. */
    double b_high = leading_bits(b), b_low = b - b_high;
    double rho_high = leading_bits(rho), rho_low = rho - rho_high;
    return ((x - b_high * rho_high) - b_high * rho_low - b_low * rho_high)
        - b_low * rho_low;
#endif
}
#endif
