/* The pointwise terms: what one outcome adds to a divergence.

   This file is included once for each instruction set and precision, with REAL, BITS (the
   unsigned integer of the same width), PRECISE (1 for double) and NAME(x) defined.

   Every term is written so that nothing cancels. They rest on

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

#if PRECISE
#define MANTISSA 52
#define MAGIC 0x4330000000000000u  /* the bits of 2^52: integers below it are its low bits */
#define OFFSET (0x1p52 + 0x1p11)
#define LN2_HIGH 0.6931471805599453
#define LN2_LONG 0x1.62e42feep-1  /* log(2) in two parts, the first of so few bits that */
#define LN2_REST 0x1.a39ef35793c76p-33  /* its products with exponents are exact */
#define ROUNDER 0x1.8p52  /* added, it rounds to an integer */
#define BIAS 1023
#define LEAST_EXPONENT (-708)
#define FLOOR 0x1p-500
#define ROOT_OF_FLOOR 0x1p-250
#define SQRT sqrt
#define LEAST_SUM (FLOOR * 0x1p110)
#define LEAST_ENTRY (FLOOR * 0x1p50)
#else
#define MANTISSA 23
#define MAGIC 0x4b000000u
#define OFFSET (0x1p23f + 0x1p8f)
#define LN2_HIGH 0x1.62ep-1f
#define LN2_LOW 0x1.0bfbe8p-15f
#define LN2_LONG LN2_HIGH
#define LN2_REST LN2_LOW
#define ROUNDER 0x1.8p23f
#define BIAS 127
#define LEAST_EXPONENT (-87)
#define FLOOR 0x1p-110f
#define ROOT_OF_FLOOR 0x1p-55f
#define SQRT sqrtf
#define LEAST_SUM (FLOOR * 0x1p48f)
#define LEAST_ENTRY (FLOOR * 0x1p24f)
#endif
#define TOP_BIT ((BITS)1 << (8 * sizeof(REAL) - 1))

typedef struct {
    REAL e;      /* as in (a) */
    REAL b2;
    REAL difference;
    REAL total;  /* a + b2 */
} NAME(ratio);

/* What the first of two steps hands to the second, and room for STEP of it. The chain of
   operations of the longest terms is so long that a processor cannot overlap enough steps of one
   loop; two loops take two thirds of the time. */
typedef struct {
    REAL x[5];
} NAME(half);
typedef struct {
    REAL x[5][STEP];
} NAME(halves);

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

/* The integer in the top bits of x, above the mantissa, as a real number; a conversion
   instruction would not vectorise before AVX-512. */
INLINE REAL NAME(top_integer)(BITS x)
{
    return NAME(real_of)(((x ^ TOP_BIT) >> MANTISSA) | MAGIC) - OFFSET;
}

INLINE REAL NAME(times_ln2)(REAL e, REAL factor, REAL rest)
{
#if PRECISE
    return factor * (e * LN2_HIGH) + rest;
#else
    return (factor * (e * LN2_HIGH) + rest) + factor * (e * LN2_LOW);
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

INLINE NAME(ratio) NAME(reduced)(REAL a, REAL b, REAL d)
{
    NAME(ratio) r;
    BITS shift = NAME(bits_of)(a) - NAME(bits_of)(b) + ((BITS)1 << (MANTISSA - 1));
    r.e = NAME(top_integer)(shift);
    shift &= ~(((BITS)1 << MANTISSA) - 1);
    r.b2 = NAME(real_of)(NAME(bits_of)(b) + shift);
    r.difference = shift ? a - r.b2 : d;
    r.total = a + r.b2;
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

/* weight a log(a / m) + (1 - weight) b log(b / m) with the mixture m of a and b. The parts
   -a + m and -b + m of the two KL terms cancel once weighted. In two steps; see halves. */
INLINE NAME(half) NAME(js_half)(REAL a, REAL b, REAL d, REAL weight, int tiny)
{
    NAME(half) h;
    REAL other = 1 - weight, m = weight * a + other * b, a_near, b_near;
    NAME(ratio) ra = NAME(reduced)(a, m, other * d), rb = NAME(reduced)(b, m, -weight * d);
    if (PRECISE && !tiny) {
        /* One division for both, which are what double-precision loops wait for. The
           product stays normal as long as a, b >= FLOOR. */
        REAL inverse = 1 / (ra.total * rb.total);
        h.x[0] = ra.difference * (rb.total * inverse);
        h.x[1] = rb.difference * (ra.total * inverse);
    } else {
        h.x[0] = ra.difference / ra.total;
        h.x[1] = rb.difference / rb.total;
    }
    a_near = NAME(times_ln2)(ra.e, a, m - ra.b2);
    b_near = NAME(times_ln2)(rb.e, b, m - rb.b2);
    h.x[2] = weight * a_near + other * b_near;
    h.x[3] = weight * (ra.difference * h.x[0]);
    h.x[4] = other * (rb.difference * h.x[1]);
    return h;
}

INLINE REAL NAME(js_term)(NAME(half) h)
{
    REAL s = h.x[0], t = h.x[1], v = s * s, w = t * t;
    return h.x[2] + h.x[3] * (1 + (s + v) * NAME(poly_atanh)(v))
        + h.x[4] * (1 + (t + w) * NAME(poly_atanh)(w));
}

/* (sqrt(a) - sqrt(b))^2 / 2; *moment becomes sqrt(a b). */
INLINE REAL NAME(hellinger_term)(REAL a, REAL b, REAL d, int tiny, REAL *moment)
{
    REAL mean;
    if (tiny)  /* a raised zero must not count: its root is not tiny enough */
        mean = a > (REAL)TINY && b > (REAL)TINY ? SQRT(a) * SQRT(b) : 0;
    else  /* one root instead of two */
        mean = SQRT(a * (1 / FLOOR) * b) * ROOT_OF_FLOOR;
    *moment = mean;
    return d * (d / (2 * (a + b) + 4 * mean));
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

#if PRECISE
INLINE double NAME(poly_phi)(double x)
{
    double v = x * x;
    double even = 0.5 + v * (0.041666666666666787 + v * (0.0013888888888792351 + v * (
        2.480158751780227e-05 + v * (2.7557121595012789e-07 + v * 2.095576228949441e-09))));
    double odd = 0.16666666666666836 + v * (0.0083333333331981266 + v * (
        0.00019841270144086635 + v * (2.7557042448192959e-06 + v * 2.5162744626460178e-08)));
    return even + x * odd;
}
#endif

#if !PRECISE
INLINE float NAME(poly_phi)(float x)
{
    return 0.5f + x * (0.166665763f + x * (0.0416665524f + x * (
        0.00836334564f + x * 0.00139263924f)));
}
#endif

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
/* (alpha a + (1 - alpha) b - a^alpha b^(1 - alpha)) / (alpha (1 - alpha)) for alpha <= 1/2,
   times unit; *moment becomes a^alpha b^(1 - alpha) times unit.

   With u = log(a / b), x = alpha u and h(x) = exp(x) - 1 - x = x^2 PHI(x), it is
   (a - b - b (exp(x) - 1) / alpha) / (1 - alpha), or b (h(u) - h(x) / alpha) / (1 - alpha),
   which does not cancel for small u, where b h(u) = w (a + b - 2 b s B(w)). Written for alpha
   <= 1/2, neither form cancels for any alpha down to 0; above 1/2 the caller swaps a and b.
   Large parts of x are taken out as powers of two in two steps: only the result overflows. */
INLINE NAME(half) NAME(power_half)(double a, double b, double d)
{
    NAME(half) h = {{0}};
    NAME(ratio) r = NAME(reduced)(a, b, d);
    double s = r.difference / r.total, w = s * s, wB = w * NAME(poly_atanh)(w);
    h.x[0] = r.e;
    h.x[1] = 2 * s * (1 + wB);  /* log(a / b) = e log(2) + this */
    h.x[2] = w * r.total - 2 * b * s * wB;  /* b h(u) if e = 0 */
    return h;
}

INLINE double NAME(power_term)(
    double b, double d, NAME(half) first, const power *c, double unit, double *moment)
{
    const double e = first.x[0];
    double x = c->alpha * first.x[1];
    double n = NAME(nearest_integer)(c->alpha * e + x * (1 / LN2_HIGH));
    n = n > 2040 ? 2040 : n;
    n = n < -2040 ? -2040 : n;
    x += ((c->high * e - n) + c->low * e) * LN2_HIGH;
    x = x > 1 ? 1 : x;
    x = x < -1 ? -1 : x;
    double h = x * x * NAME(poly_phi)(x), half = NAME(nearest_integer)(0.5 * n);
    double b2 = b * NAME(power_of_two)(half) * unit * NAME(power_of_two)(n - half);
    double far = d * unit - (b2 * (x + h) + (b2 - b * unit)) * c->inverse;
    double near = (first.x[2] - b * h * c->inverse) * unit;
    *moment = b2 + b2 * (x + h);
    return (e * e + n * n == 0 ? near : far) * c->inverse_other;
}

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
