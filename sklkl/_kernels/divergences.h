/* The divergences: a table of what the rest must know of each, and the formulas.

   A formula is what one outcome adds; real.h tells how it is written so that nothing cancels.
   The first part of this file is included once, the second for each instruction set and
   precision, after real.h. To add a divergence, write a row of DIVERGENCES and its TERM; of
   SQUARES, also what exact_squares in rows.h adds up. */
#ifndef SKLKL_DIVERGENCES_H
#define SKLKL_DIVERGENCES_H

#include "portable.h"

/* A row holds, for a term of p and q,
   - its name in C, and in Python;
   - its curvature, half the second derivative by p at p = q = 1;
   - its growth: which part of itself the sum of terms gains when q grows by a factor, as part of
     what that exceeds 1, the curvature aside; halfway where that may be anything from 0 to 1;
   - whether it is infinite where p = 0 < q, and where q = 0 < p;
   - whether all entries of p, and of q, must be positive for the plain sum of terms, as they
     must where a zero makes it infinite;
   - whether it has a second sum, the moment sum p^alpha q^(1 - alpha);
   - whether it is computed in 1 step or 2, see halves;
   - whether its careful terms are left unscaled, because a scaled one might overflow;
   - whether the rows may change places. */
#define DIVERGENCES(X) \
    /* name            in Python        curvature growth infinite positive moment steps unscaled symmetric */ \
    X(KL,              "kl",              0.5,       0.0, 0, 1,    0, 1,    0,     1,    0,        0) \
    X(JEFFREYS,        "jeffreys",        1.0,       0.5, 1, 1,    1, 1,    0,     1,    0,        1) \
    X(JENSEN_SHANNON,  "jensen_shannon",  0.5,       0.5, 0, 0,    0, 0,    0,     2,    0,        0) \
    X(EVEN_JS,         "even_js",         0.5,       0.5, 0, 0,    0, 0,    0,     1,    0,        1) \
    X(CHI2,            "chi2",            1.0,      -1.0, 0, 1,    0, 1,    0,     1,    1,        0) \
    X(HELLINGER,       "hellinger",       0.125,     0.5, 0, 0,    0, 0,    0,     1,    0,        1) \
    X(TOTAL_VARIATION, "total_variation", 0.5,       0.5, 0, 0,    0, 0,    0,     1,    0,        1) \
    X(BHATTACHARYYA,   "bhattacharyya",   0.125,     0.5, 0, 0,    1, 1,    1,     1,    0,        1)
/* The curvature of JENSEN_SHANNON is that times weight (1 - weight), and EVEN_JS stands for it at
   weight 1/2. The growth of POWER is 1 - alpha. Single-precision rows of it are computed in double
   precision; the order decides whether it is infinite at zeros. */
#define POWERS(X) \
    X(POWER,           "power",           0.5,       0.5, 0, 0,    1, 1,    1,     2,    1,        0)
#define ENTROPIES(X) \
    X(CROSS_ENTROPY,   "cross_entropy",   0.5,       0.0, 0, 1,    0, 1,    0,     1,    0,        0) \
    X(ENTROPY,         "entropy",         0.5,       0.0, 0, 0,    0, 0,    0,     1,    0,        0)
/* Sums of squared differences of probabilities, and of cumulative ones, which have a loop of their
   own. They do not scale with the rows. */
#define SQUARED(X) \
    X(SQUARED_ERROR,      "squared_error",      0.0, 0.0, 0, 0, 0, 0, 0, 1, 0, 1)
#define RANKED(X) \
    X(RANKED_PROBABILITY, "ranked_probability", 0.0, 0.0, 0, 0, 0, 0, 0, 1, 0, 1)
#define SQUARES(X) SQUARED(X) RANKED(X)
#define IS_SQUARES(term) ((term) == SQUARED_ERROR || (term) == RANKED_PROBABILITY)
#define SINGLE_PRECISION_TERMS(X) DIVERGENCES(X) ENTROPIES(X) SQUARED(X)
#define TERMS(X) SINGLE_PRECISION_TERMS(X) POWERS(X) RANKED(X)

#define CONSTANT(name, ...) name,
enum { TERMS(CONSTANT) N_TERMS };
#undef CONSTANT

typedef struct {
    const char *name;
    double curvature, growth;
    int inf_at_zero_p, inf_at_zero_q, positive_p, positive_q, has_moment, steps, unscaled,
        symmetric;
} facts;

#define ROW(name, ...) {__VA_ARGS__},
static const facts FACTS[] = {TERMS(ROW)};
#undef ROW

/* Stands for the order 0, where only outcomes of one row alone count. */
#define ORDER_0 0x1p-1022

/* Constants of a^alpha b^(1 - alpha), alpha <= 1/2. */
typedef struct {
    double alpha, high, low;  /* high: the leading 26 bits, low: the rest */
    double inverse;           /* 1 / alpha */
    double inverse_other;     /* 1 / (1 - alpha) */
    double one_less;          /* alpha (1 - alpha); for BHATTACHARYYA 1 */
    double renyi_factor;      /* 1 / (1 - order); for BHATTACHARYYA 1 */
} power;

/* What is computed of each pair of rows. */
typedef struct {
    int term;
    double weight;     /* of p in the mixture: JENSEN_SHANNON */
    double curvature, growth;  /* these and what is infinite are those of the term */
    double scale;      /* nats to the unit of the result */
    int inf_at_zero_p, inf_at_zero_q;
    int root;          /* the result is the square root */
    int swap;          /* the caller takes p for q and q for p */
    int renyi;         /* the result is the logarithm of the moment, times a factor */
    power power;
} settings;

/* The settings of a term; `weight` serves JENSEN_SHANNON, `order` and `renyi` POWER. */
INLINE settings settings_of(
    int term, double weight, double order, int renyi, double scale, int root, int swap)
{
    const int even = term == JENSEN_SHANNON && weight == 0.5;
    const facts *of = &FACTS[even ? EVEN_JS : term];
    settings f = {
        .term = term, .weight = weight, .curvature = of->curvature,
        .growth = of->growth, .scale = scale,
        .inf_at_zero_p = of->inf_at_zero_p, .inf_at_zero_q = of->inf_at_zero_q,
        .root = root, .swap = swap, .renyi = renyi};
    power *c = &f.power;
    if (even) {
        f.term = EVEN_JS;
        f.scale *= 0.25;
    } else if (term == JENSEN_SHANNON) {
        f.curvature *= weight * (1 - weight);
    }
    if (term == BHATTACHARYYA) {
        f.renyi = 1;
        c->one_less = c->renyi_factor = 1;
    }
    if (term == POWER) {
        /* The term wants alpha <= 1/2: the moment is that of q and p at 1 - order. */
        f.swap = order > 0.5;
        c->renyi_factor = 1 / (1 - order);
        c->alpha = f.swap ? 1 - order : order;
        if (0 <= c->alpha && c->alpha < ORDER_0)
            c->alpha = ORDER_0;
        c->high = leading_bits(c->alpha);
        c->low = c->alpha - c->high;
        c->inverse = 1 / c->alpha;
        c->inverse_other = 1 / (1 - c->alpha);
        c->one_less = c->alpha * (1 - c->alpha);
        f.growth = 1 - c->alpha;
        f.inf_at_zero_p = c->alpha < 0;
    }
    return f;
}

/* Losses D(p || q) of a target p and a model q = softmax(z): their names in C, and in Python. All
   but FORWARD_KL are non-convex in z, because they are not linear in log q. */
#define NON_CONVEX_LOSSES(X) \
    X(REVERSE_KL, "reverse_kl") \
    X(JEFFREYS_KL, "jeffreys") \
    X(SKEWED_JS, "jensen_shannon") \
    X(ALPHA, "alpha")
#define LOSSES(X) X(FORWARD_KL, "kl") NON_CONVEX_LOSSES(X)

#define CONSTANT(name, text) name,
enum { LOSSES(CONSTANT) N_LOSSES };
#undef CONSTANT

#define TEXT(name, text) text,
static const char *const LOSS_NAMES[] = {LOSSES(TEXT)};
#undef TEXT

#endif

#ifdef PRECISE

/* TERM(NAME) is what one outcome adds, of the entries a and b of p and q, both positive, and d =
   a - b. `careful` is set where entries are scaled and zeros raised. *moment becomes its part of
   the moment, of terms that have one. */
#define TERM(name) \
    INLINE REAL NAME(name##_term)( \
        REAL a, REAL b, REAL d, const settings *f, int careful, REAL *moment)

TERM(KL)
{
    NAME(ratio) r;
    if (careful)
        return NAME(kl_term)(a, b, d);
    r = NAME(ratio_of)(a, b);
    return NAME(kl_of)(a, b, r, r.difference / r.total);
}

TERM(JEFFREYS)
{
    return d * NAME(log_ratio)(a, b, d);
}

TERM(CHI2)
{
    if (careful)
        return d * (REAL)(1 / SCALE) * (d / b);
    return d * (d / b);
}

/* (sqrt(a) - sqrt(b))^2 / 2; the moment is sqrt(a b). */
TERM(HELLINGER)
{
    REAL mean;
    if (careful)  /* a raised zero must not count: its root is not tiny enough */
        mean = a > (REAL)TINY && b > (REAL)TINY ? SQRT(a) * SQRT(b) : 0;
    else  /* one root instead of two */
        mean = SQRT(a * (1 / FLOOR) * b) * ROOT_OF_FLOOR;
    *moment = mean;
    return d * (d / (2 * (a + b) + 4 * mean));
}

TERM(BHATTACHARYYA)
{
    return NAME(HELLINGER_term)(a, b, d, f, careful, moment);
}

TERM(TOTAL_VARIATION)
{
    return (REAL)0.5 * (d < 0 ? -d : d);
}

TERM(SQUARED_ERROR)
{
    return d * d;
}

TERM(CROSS_ENTROPY)
{
    return -a * NAME(log_ratio)(b, 1, b - 1);
}

TERM(ENTROPY)
{
    return -a * NAME(log_ratio)(a, 1, a - 1);
}

/* What the first of two steps hands to the second, and room for STEP of it. The chain of
   operations of the longest terms is so long that a processor cannot overlap enough steps of one
   loop; two loops take two thirds of the time. */
typedef struct {
    REAL x[5];
} NAME(half);
typedef struct {
    REAL x[5][STEP];
} NAME(halves);

/* weight a log(a / m) + (1 - weight) b log(b / m) with the mixture m of a and b. The parts
   -a + m and -b + m of the two KL terms cancel once weighted. In two steps; see halves. */
INLINE NAME(half) NAME(js_half)(REAL a, REAL b, REAL d, REAL weight, int careful)
{
    NAME(half) h;
    REAL other = 1 - weight, m = weight * a + other * b, a_near, b_near;
    NAME(ratio) ra = NAME(reduced)(a, m, other * d), rb = NAME(reduced)(b, m, -weight * d);
    if (PRECISE && !careful) {
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

TERM(JENSEN_SHANNON)
{
    return NAME(js_term)(NAME(js_half)(a, b, d, (REAL)f->weight, careful));
}

/* The same of weight 1/2, times 4: h log(h / m) + l log(l / m) with h the double of the larger of a
   and b, l that of the smaller, and m = a + b. Since h / m lies between 1 and 2, it needs no
   power of two. */
TERM(EVEN_JS)
{
    const REAL far = d < 0 ? -d : d, m = a + b, l = 2 * (a < b ? a : b), total = 2 * m + far;
    const NAME(ratio) r = NAME(reduced)(l, m, -far);
    REAL s = far / total, t = r.difference / r.total, w;
    if (PRECISE && !careful) {  /* one division for both, as above */
        const REAL inverse = 1 / (total * r.total);
        s = far * (r.total * inverse);
        t = r.difference * (total * inverse);
    }
    w = s * s;
    return far * s * (1 + (s + w) * NAME(poly_atanh_far)(w)) + NAME(kl_of)(l, m, r, t);
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
    h.x[0] = r.e * (1 / E_UNIT);
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

#endif

/* The term of one outcome, whatever steps it takes. */
INLINE REAL NAME(term)(
    int term, REAL a, REAL b, REAL d, const settings *f, int careful, REAL *moment)
{
    switch (term) {
#define CASE(name, ...) \
    case name: \
        return NAME(name##_term)(a, b, d, f, careful, moment);
    SINGLE_PRECISION_TERMS(CASE)
#undef CASE
    }
    return 0;
}

/* The first of two steps of a term. */
INLINE NAME(half) NAME(first_step)(int term, REAL a, REAL b, REAL d, const settings *f)
{
#if PRECISE
    if (term == POWER)
        return NAME(power_half)(a, b, d);
#endif
    return NAME(js_half)(a, b, d, (REAL)f->weight, 0);
}

/* The second. */
INLINE REAL NAME(second_step)(
    int term, REAL b, REAL d, NAME(half) first, const settings *f, REAL *moment)
{
#if PRECISE
    if (term == POWER)
        return NAME(power_term)(b, d, first, &f->power, 1, moment);
#endif
    return NAME(js_term)(first);
}

/* LOSS(NAME) is what one class adds to a loss, of a probability p of the target and q =
   exp(log_q) of the model. *slope becomes q times its derivative by q, up to a multiple of q.
   `c` is the parameter of the loss, `other` is 1 - c. */
#define LOSS(name) \
    INLINE REAL NAME(name##_loss)(REAL p, REAL q, REAL log_q, REAL c, REAL other, REAL *slope)

/* log p, of zeros as of the least normal number. */
INLINE REAL NAME(log_of)(REAL p)
{
    const REAL a = p > LEAST_NORMAL ? p : LEAST_NORMAL;
    return NAME(log_ratio)(a, 1, a - 1);
}

LOSS(REVERSE_KL)
{
    const REAL difference = log_q - NAME(log_of)(p);
    *slope = q * difference;
    return q * difference - q + p;
}

LOSS(JEFFREYS_KL)
{
    const REAL difference = log_q - NAME(log_of)(p);
    *slope = q * difference - p;
    return (q - p) * difference;
}

/* KL(p, m) / (1 - c) + KL(q, m) / c with the mixture m = c p + (1 - c) q. Differences that are
   known before rounding make it continuous towards c = 0 and 1. */
LOSS(SKEWED_JS)
{
    const REAL a = p > FLOOR ? p : FLOOR, b = q > FLOOR ? q : FLOOR, d = a - b;
    const REAL mixture = c * a + other * b;
    *slope = -q * (NAME(log_ratio)(mixture, b, c * d) / c);
    return NAME(kl_term)(a, mixture, other * d) / other
        + NAME(kl_term)(b, mixture, -c * d) / c;
}

/* (c p + other q - p^c q^other) / (c other), from the side where little cancels: with the power
   less q, which is q (exp(x) - 1), or less p. */
LOSS(ALPHA)
{
    const REAL log_p = NAME(log_of)(p), difference = log_q - log_p;
    const int of_q = c <= (REAL)0.5;
    const REAL base = of_q ? q : p, x = of_q ? -c * difference : other * difference;
    const REAL log_power = c * log_p + other * log_q;
    const REAL small = NAME(exp_of)(log_power < 0 ? log_power : -log_power);
    const REAL power = p > 0 ? (log_power < 0 ? small : 1 / small) : 0;
    const REAL near = base * (x + x * x * NAME(poly_phi)(x));
    const REAL less = p > 0 && x * x < (REAL)0.25 ? near : power - base;
    *slope = of_q ? -less / c : (q - p - less) / c;
    return of_q ? (p - q - less / c) / other : (q - p - less / other) / c;
}

#undef TERM
#undef LOSS
#endif
