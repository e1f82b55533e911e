/* One pair of rows, the careful way: see (b) in _rows.h. Included once for each instruction
   set and INPUT type; all arithmetic is double.

   Entries are scaled and zeros raised, see _portable.h. */

#ifndef EXACT_ONCE
#define EXACT_ONCE
enum { PIECE = 512 };  /* four buffers of it fit the first-level cache */

typedef struct {
    double a[PIECE], b[PIECE], c[PIECE];
} pieces;
#endif

/* Load scaled entries into x[:WHOLE(m)], padded with zeros, which also stand for what ROUNDING
   explains; is any negative? */
static NOINLINE int IN(load)(const char *row, ptrdiff_t stride, ptrdiff_t m, double *x)
{
    int negative = 0;
    for (ptrdiff_t j = 0; j < m; j++) {
        const double value = SCALE * *(const INPUT *)(row + j * stride);
        negative |= value < -ROUNDING * SCALE;
        x[j] = value < 0 ? 0 : value;  /* written so that NaN stays */
    }
    for (ptrdiff_t j = m; j < WHOLE(m); j++)
        x[j] = 0;
    return negative;
}

INLINE int IN(is_distribution)(int negative, double total)
{
    /* Written so that NaN fails. */
    return !negative && fabs(total / SCALE - 1) <= TOLERANCE;
}

INLINE double IN(raised)(double x)
{
    return x > TINY ? x : TINY;
}

INLINE double IN(exact_term)(
    int term, const settings *f, double a, double b, double d, double *moment)
{
    switch (term) {
    case KL:
        return D(kl_term)(a, b, d);
    case JEFFREYS:
        return d * D(log_ratio)(a, b, d);
    case JENSEN_SHANNON:
        return D(js_term)(D(js_half)(a, b, d, f->weight, 1));
    case CHI2:
        return d * (1 / SCALE) * (d / b);  /* not scaled: it is unbounded */
    case HELLINGER:
    case BHATTACHARYYA:
        return D(hellinger_term)(a, b, d, 1, moment);
    case TOTAL_VARIATION:
        return 0.5 * fabs(d);
    default:
        return 0;
    }
}

/* The Renyi divergence where the moment overflows: by its logarithm, as log-sum-exp. Far
   rows only, so nothing cancels. */
static double IN(renyi_of_large)(
    const settings *f, const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride,
    ptrdiff_t k, double p_sum, double q_sum)
{
    const double alpha = f->power.alpha;
    double largest = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (ptrdiff_t j = 0; j < k; j++) {
            const double a = *(const INPUT *)(p + j * p_stride) * (SCALE / p_sum);
            const double b = *(const INPUT *)(q + j * q_stride) * (SCALE / q_sum);
            if (a <= 0 || b <= 0)
                continue;
            const double moment = alpha * log(a) + (1 - alpha) * log(b);
            if (pass == 0)
                largest = moment > largest ? moment : largest;
            else
                sum += exp(moment - largest);
        }
    const double value = -(largest + log(sum)) * f->power.renyi_factor;
    return value > 0 ? value : 0;  /* rounding of equal rows */
}

INLINE double IN(exact_divergence)(
    int term, const settings *f, const char *p, ptrdiff_t p_stride, const char *q,
    ptrdiff_t q_stride, ptrdiff_t k, pieces *x)
{
    double p_sum = 0, q_sum = 0, gap = 0, S = 0, M = 0, excess = 0;
    double above = 0, below = 0, above_q = 0, below_q = 0;
    int p_negative = 0, q_negative = 0, p_zero = 0, q_zero = 0;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        p_negative |= IN(load)(p + start * p_stride, p_stride, m, x->a);
        q_negative |= IN(load)(q + start * q_stride, q_stride, m, x->b);
        for (ptrdiff_t j = 0; j < WHOLE(m); j++)
            x->c[j] = x->a[j] - x->b[j];
        p_sum += D(sum)(x->a, WHOLE(m));
        q_sum += D(sum)(x->b, WHOLE(m));
        gap += D(sum)(x->c, WHOLE(m));
    }
    if (!(IN(is_distribution)(p_negative, p_sum)
            && IN(is_distribution)(q_negative, q_sum)))
        return NAN;
    const double rho = gap / q_sum;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        if (k > PIECE) {
            IN(load)(p + start * p_stride, p_stride, m, x->a);
            IN(load)(q + start * q_stride, q_stride, m, x->b);
        }
        double *restrict a = x->a, *restrict b = x->b, *restrict c = x->c;
        for (ptrdiff_t j = 0; j < WHOLE(m); j++) {
            p_zero |= (a[j] == 0) & (b[j] > 0);
            q_zero |= (b[j] == 0) & (a[j] > 0);
            c[j] = D(minus_scaled)(a[j] - b[j], b[j], rho);
            b[j] += b[j] * rho;
        }
        excess += D(sum)(c, WHOLE(m));
        if (term == TOTAL_VARIATION) {
            for (ptrdiff_t j = 0; j < m; j++) {
                above += c[j] > 0 ? c[j] : 0;
                below += c[j] < 0 ? -c[j] : 0;
                above_q += c[j] > 0 ? b[j] : 0;
                below_q += c[j] < 0 ? b[j] : 0;
            }
        } else if (term == POWER) {
            for (ptrdiff_t j = 0; j < m; j++) {
                const double b_j = IN(raised)(b[j]);
                const D(half) first = D(power_half)(IN(raised)(a[j]), b_j, c[j]);
                double moment, t = D(power_term)(b_j, c[j], first, &f->power, 1, &moment);
                t *= 1 / SCALE;
                moment *= 1 / SCALE;
                if (!(t < INFINITY && moment < INFINITY))
                    t = D(power_term)(b_j, c[j], first, &f->power, 1 / SCALE, &moment);
                if (b[j] == 0)
                    t = a[j] * (1 / SCALE) * f->power.inverse_other;
                else if (a[j] == 0)
                    t = b[j] * (1 / SCALE) * f->power.inverse;
                if (f->power.alpha == ORDER_0 && a[j] > 0)
                    t = 0;
                S += t;
                M += a[j] == 0 || b[j] == 0 ? 0 : moment;
            }
        } else {
            for (ptrdiff_t j = 0; j < WHOLE(m); j++) {
                double moment = 0;
                c[j] = IN(exact_term)(
                    term, f, IN(raised)(a[j]), IN(raised)(b[j]), c[j], &moment);
                if (term == BHATTACHARYYA)
                    b[j] = a[j] == 0 || b[j] == 0 ? 0 : moment;
            }
            if (term == BHATTACHARYYA)
                M += D(sum)(b, WHOLE(m));
            S += D(sum)(c, WHOLE(m));
        }
    }
    double value, unit = term == CHI2 || term == POWER ? SCALE : 1;
    if ((p_zero && f->inf_at_zero_p) || (q_zero && f->inf_at_zero_q))
        return INFINITY;
    if (term == TOTAL_VARIATION && above_q + below_q > 0)
        /* Both parts should be equal; an error of rho moves them apart in this proportion. */
        S = above * (below_q / (above_q + below_q)) + below * (above_q / (above_q + below_q));
    if (!(S < INFINITY))
        S = INFINITY;  /* also where an overflow made it NaN */
    excess = f->curvature * (excess / unit) * (excess / p_sum);
    S = S > excess ? S - excess : 0;
    if (f->root)  /* of each: their quotient may be subnormal and short of digits */
        return sqrt(S * f->scale) / sqrt(p_sum);
    value = S * (unit / p_sum);
    if (HAS_MOMENT(term) && f->renyi) {
        M *= unit / p_sum;
        if (!(M < INFINITY))
            return IN(renyi_of_large)(
                f, p, p_stride, q, q_stride, k, p_sum, q_sum) * f->scale;
        const double gap_to_1 = value * f->power.one_less;
        if (M == 0)  /* at orders above 1, where it is at least 1, by rounding of equal rows */
            value = f->power.alpha < 0 ? 0 : INFINITY;
        else if (fabs(gap_to_1) < 1e-290)  /* its own logarithm, but short of digits */
            value *= f->power.one_less * f->power.renyi_factor;
        else
            value = D(log_ratio)(1, M, gap_to_1) * f->power.renyi_factor;
        value = value > 0 ? value : 0;
    }
    return value * f->scale;
}

/* sum p log(sum q / q) / sum p, each logarithm non-negative and relatively accurate: only the
   largest q can exceed half of the mass, and its logarithm is log1p(rest / largest). */
static NOINLINE double IN(exact_cross_entropy)(
    const settings *f, const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride,
    ptrdiff_t k, pieces *x)
{
    double p_sum = 0, rest = 0, largest = 0, result = 0;
    int p_negative = 0, q_negative = 0, q_zero = 0;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        double piece = 0;
        p_negative |= IN(load)(p + start * p_stride, p_stride, m, x->a);
        q_negative |= IN(load)(q + start * q_stride, q_stride, m, x->b);
        p_sum += D(sum)(x->a, WHOLE(m));
        for (ptrdiff_t j = 0; j < m; j++) {
            piece += x->b[j] >= largest ? largest : x->b[j];  /* NaN sticks in it */
            largest = x->b[j] > largest ? x->b[j] : largest;
        }
        rest += piece;
    }
    const double q_sum = rest + largest;
    if (!(IN(is_distribution)(p_negative, p_sum)
            && IN(is_distribution)(q_negative, q_sum)))
        return NAN;
    const double largest_term = log1p(rest / largest);
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        if (k > PIECE) {
            IN(load)(p + start * p_stride, p_stride, m, x->a);
            IN(load)(q + start * q_stride, q_stride, m, x->b);
        }
        for (ptrdiff_t j = 0; j < WHOLE(m); j++) {
            const double a = x->a[j], b = x->b[j];
            const double term = D(log_ratio)(q_sum, IN(raised)(b), q_sum - b);
            q_zero |= (a > 0) & (b == 0);
            x->c[j] = a * (b == largest ? largest_term : term);
        }
        result += D(sum)(x->c, WHOLE(m));
    }
    return q_zero ? INFINITY : result / p_sum * f->scale;
}

#define DEFINE(term) \
    static NOINLINE double IN(exact_##term)( \
        const settings *f, const char *p, ptrdiff_t p_stride, const char *q, \
        ptrdiff_t q_stride, ptrdiff_t k, pieces *x) \
    { return IN(exact_divergence)(term, f, p, p_stride, q, q_stride, k, x); }
FOR_EACH_DIVERGENCE(DEFINE)
#undef DEFINE

static double IN(exact_row)(
    const settings *f, const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride,
    ptrdiff_t k)
{
    pieces x;
    switch (f->term) {
#define CASE(term) \
    case term: return IN(exact_##term)(f, p, p_stride, q, q_stride, k, &x);
    FOR_EACH_DIVERGENCE(CASE)
#undef CASE
    default:
        return IN(exact_cross_entropy)(f, p, p_stride, q, q_stride, k, &x);
    }
}
