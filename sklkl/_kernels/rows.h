/* Loops over pairs of rows. Included once for each instruction set, precision REAL of the
   arithmetic and type INPUT of the data, after divergences.h; IN(x) names its functions.

   A tile is what fits the first-level cache: as many short rows as BLOCK holds, or a block of
   one long row. The terms of a tile are computed as one flat loop, whatever the length of
   rows, and then summed row by row; that is what vectorises.

   (a) Rows are read once. For rows p, q of masses A, B (both 1 but for rounding) the
       divergence of the normalised rows is (S (1 + g (A - B)) - c (A - B)^2 / A) / A with S the
       sum of terms, c half the second derivative at p = q and g the growth of the table, up to
       a relative error of g (A - B) at most; for KL, where it would be (S - kl_term(A, B)) / A
       exactly, up to a relative error of the part that is subtracted. A - B is summed as
       differences, so it is accurate where A and B are not.
   (b) Where that is not accurate enough (sums that differ; entries near FLOOR; zeros that
       make the divergence infinite; S near the least number) the row is done again by
       exact_row, which normalises first: with rho = (A - B) / B the row t = q (1 + rho) has
       the mass of p, and p - t = (p - q) - q rho is computed without rounding in between. The
       rounding of rho leaves an excess r = sum(p - t), which is removed as in (a).
   (c) A row is computed in the same way wherever it stands: tiles are filled up to whole
       vectors with entries that count nothing, and which way a row goes depends on the row
       alone. So results depend neither on the number of threads nor on the batch.
   (d) A row that is no probability vector gets NaN, which no valid row can give. */
#ifndef SKLKL_ROWS_H
#define SKLKL_ROWS_H

enum {
    LONGEST_SHORT_ROW = 256,
    TILE_ROWS = BLOCK / 2, /* at most: all that is on the stack must leave room in 128 KB */
    PIECE = 512            /* four buffers of it fit the first-level cache */
};
#define WHOLE(m) (((m) + LANES - 1) / LANES * LANES)
#define HAS_MOMENT(term) FACTS[term].has_moment
#define TWO_STEPS(term) (FACTS[term].steps == 2)
#define STEP_OF(term) (TWO_STEPS(term) ? STEP : BLOCK)
/* What entries must reach for the plain sum of terms, where FLOOR is added to each. */
#define P_LEAST(term) (FACTS[term].positive_p ? LEAST_ENTRY : 0)
#define Q_LEAST(term) (FACTS[term].positive_q ? LEAST_ENTRY : 0)
#define P_ENTRY(term, x) (FACTS[term].positive_p ? (x) : (x) + FLOOR)
#define Q_ENTRY(term, x) (FACTS[term].positive_q ? (x) : (x) + FLOOR)
/* Largest g (A - B) that may enter the relative error: long rows that were divided by a sum taken
   one by one are off by more than 2^-48. Largest share in a sum of the excess, known to 1e-3. */
#define GROWTH_LIMIT(type) (sizeof(type) == sizeof(double) ? 0x1p-44 : 0x1p-21)
#define EXCESS_LIMIT(type) (sizeof(type) == sizeof(double) ? 0x1p-37 : 0x1p-13)
/* Largest (A - B)^2 as part of a sum of squares. */
#define SQUARE_LIMIT(type) (sizeof(type) == sizeof(double) ? 0x1p-92 : 0x1p-43)

typedef struct {
    double a[PIECE], b[PIECE], c[PIECE];
} pieces;

/* Rows of a tile: whole vectors, so that only the last tile of all must be filled up. */
static ptrdiff_t tile_rows(ptrdiff_t k)
{
    const ptrdiff_t most = BLOCK / k < TILE_ROWS ? BLOCK / k : TILE_ROWS;
    ptrdiff_t step = LANES;
    if (k > LONGEST_SHORT_ROW)
        return 1;
    while (step > 1 && step / 2 * k % LANES == 0)
        step /= 2;
    return step > most ? 1 : most / step * step;
}

/* Entries of the next block of a long row: whole vectors as far as they go, so that only the last
   block may need copying. */
INLINE ptrdiff_t block_size(ptrdiff_t left, ptrdiff_t most)
{
    const ptrdiff_t size = left < LANES ? left : left / LANES * LANES;
    return size < most ? size : most;
}

#endif

#if PRECISE
/* One pair of rows, the careful way of (b). Entries are scaled and zeros raised, see portable.h. */

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

static NOINLINE int IN(is_distribution_row)(const char *row, ptrdiff_t stride, ptrdiff_t k)
{
    double x[PIECE], total = 0;
    int negative = 0;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        negative |= IN(load)(row + start * stride, stride, m, x);
        total += NAME(sum)(x, WHOLE(m));
    }
    return IN(is_distribution)(negative, total);
}

INLINE double IN(raised)(double x)
{
    return x > TINY ? x : TINY;
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

/* The masses of both rows, and their difference. Of a row of one piece, x holds the entries then.
   Returns 0 if one is no distribution. */
static NOINLINE int IN(masses)(
    const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride, ptrdiff_t k, pieces *x,
    double *p_mass, double *q_mass, double *difference)
{
    double p_sum = 0, q_sum = 0, gap = 0;
    int p_negative = 0, q_negative = 0;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        p_negative |= IN(load)(p + start * p_stride, p_stride, m, x->a);
        q_negative |= IN(load)(q + start * q_stride, q_stride, m, x->b);
        for (ptrdiff_t j = 0; j < WHOLE(m); j++)
            x->c[j] = x->a[j] - x->b[j];
        p_sum += NAME(sum)(x->a, WHOLE(m));
        q_sum += NAME(sum)(x->b, WHOLE(m));
        gap += NAME(sum)(x->c, WHOLE(m));
    }
    *p_mass = p_sum;
    *q_mass = q_sum;
    *difference = gap;
    return IN(is_distribution)(p_negative, p_sum) && IN(is_distribution)(q_negative, q_sum);
}

INLINE double IN(exact_divergence)(
    int term, const settings *f, const char *p, ptrdiff_t p_stride, const char *q,
    ptrdiff_t q_stride, ptrdiff_t k, pieces *x)
{
    double p_sum, q_sum, gap, S = 0, M = 0, excess = 0;
    double above = 0, below = 0, above_q = 0, below_q = 0;
    int p_zero = 0, q_zero = 0;
    if (!IN(masses)(p, p_stride, q, q_stride, k, x, &p_sum, &q_sum, &gap))
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
            c[j] = NAME(minus_scaled)(a[j] - b[j], b[j], rho);
            b[j] += b[j] * rho;
        }
        excess += NAME(sum)(c, WHOLE(m));
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
                const NAME(half) first = NAME(power_half)(IN(raised)(a[j]), b_j, c[j]);
                double moment, t = NAME(power_term)(b_j, c[j], first, &f->power, 1, &moment);
                t *= 1 / SCALE;
                moment *= 1 / SCALE;
                if (!(t < INFINITY && moment < INFINITY))
                    t = NAME(power_term)(b_j, c[j], first, &f->power, 1 / SCALE, &moment);
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
                c[j] = NAME(term)(
                    term, IN(raised)(a[j]), IN(raised)(b[j]), c[j], f, 1, &moment);
                if (term == BHATTACHARYYA)
                    b[j] = a[j] == 0 || b[j] == 0 ? 0 : moment;
            }
            if (term == BHATTACHARYYA)
                M += NAME(sum)(b, WHOLE(m));
            S += NAME(sum)(c, WHOLE(m));
        }
    }
    double value, unit = FACTS[term].unscaled ? SCALE : 1;
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
            value = NAME(log_ratio)(1, M, gap_to_1) * f->power.renyi_factor;
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
        p_sum += NAME(sum)(x->a, WHOLE(m));
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
            const double term = NAME(log_ratio)(q_sum, IN(raised)(b), q_sum - b);
            q_zero |= (a > 0) & (b == 0);
            x->c[j] = a * (b == largest ? largest_term : term);
        }
        result += NAME(sum)(x->c, WHOLE(m));
    }
    return q_zero ? INFINITY : result / p_sum * f->scale;
}

/* The sum of (p / A - q / B)^2, or the same of cumulative sums c and b of p - t and q. The
   excess of (b) is part of each difference in proportion to q: sum (c - b excess / B)^2. */
INLINE double IN(exact_squares)(
    int term, const settings *f, const char *p, ptrdiff_t p_stride, const char *q,
    ptrdiff_t q_stride, ptrdiff_t k, pieces *x)
{
    double p_sum, q_sum, gap, excess = 0, squares = 0, products = 0, of_q = 0;
    double c_so_far = 0, lost = 0, b_so_far = 0;
    if (!IN(masses)(p, p_stride, q, q_stride, k, x, &p_sum, &q_sum, &gap))
        return NAN;
    const double rho = gap / q_sum;
    for (ptrdiff_t start = 0; start < k; start += PIECE) {
        const ptrdiff_t m = k - start < PIECE ? k - start : PIECE;
        if (k > PIECE) {
            IN(load)(p + start * p_stride, p_stride, m, x->a);
            IN(load)(q + start * q_stride, q_stride, m, x->b);
        }
        double *restrict a = x->a, *restrict b = x->b, *restrict c = x->c;
        for (ptrdiff_t j = 0; j < WHOLE(m); j++)
            c[j] = NAME(minus_scaled)(a[j] - b[j], b[j], rho);
        excess += NAME(sum)(c, WHOLE(m));
        for (ptrdiff_t j = 0; term == RANKED_PROBABILITY && j < m; j++) {
            /* Of the last outcome it is 0. What rounding loses is kept (Neumaier, 1974): of 50,000
               outcomes it would be too much. */
            const double before = c_so_far;
            c_so_far += c[j];
            lost += fabs(before) >= fabs(c[j]) ? (before - c_so_far) + c[j]
                                               : (c[j] - c_so_far) + before;
            b_so_far += b[j];
            c[j] = start + j < k - 1 ? c_so_far + lost : 0;
            b[j] = start + j < k - 1 ? b_so_far : 0;
        }
        for (ptrdiff_t j = 0; j < WHOLE(m); j++)
            a[j] = c[j] * c[j];
        squares += NAME(sum)(a, WHOLE(m));
        for (ptrdiff_t j = 0; j < WHOLE(m); j++) {
            c[j] *= b[j];
            b[j] *= b[j];
        }
        products += NAME(sum)(c, WHOLE(m));
        of_q += NAME(sum)(b, WHOLE(m));
    }
    const double off = excess / q_sum, S = squares - off * (2 * products - off * of_q);
    return (S > 0 ? S : 0) / p_sum / p_sum * f->scale;
}

#define DEFINE(term, ...) \
    static NOINLINE double IN(exact_##term)( \
        const settings *f, const char *p, ptrdiff_t p_stride, const char *q, \
        ptrdiff_t q_stride, ptrdiff_t k, pieces *x) \
    { return IN(exact_squares)(term, f, p, p_stride, q, q_stride, k, x); }
SQUARES(DEFINE)
#undef DEFINE

#define DEFINE(term, ...) \
    static NOINLINE double IN(exact_##term)( \
        const settings *f, const char *p, ptrdiff_t p_stride, const char *q, \
        ptrdiff_t q_stride, ptrdiff_t k, pieces *x) \
    { return IN(exact_divergence)(term, f, p, p_stride, q, q_stride, k, x); }
DIVERGENCES(DEFINE) POWERS(DEFINE)
#undef DEFINE

static double IN(exact_row)(
    const settings *f, const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride,
    ptrdiff_t k)
{
    pieces x;
    switch (f->term) {
#define CASE(term, ...) \
    case term: return IN(exact_##term)(f, p, p_stride, q, q_stride, k, &x);
    DIVERGENCES(CASE) POWERS(CASE) SQUARES(CASE)
#undef CASE
    default:
        return IN(exact_cross_entropy)(f, p, p_stride, q, q_stride, k, &x);
    }
}

/* The sum of squares of cumulative differences of a short row in one pass; NaN where it would lose
   digits, and for what is no probability vector. A difference is at most twice the largest of the
   sums, whose rounding is therefore next to nothing; but where the masses differ by more than the
   rows do, squares cancel. */
INLINE double IN(ranked_row)(
    const char *p, ptrdiff_t p_stride, const char *q, ptrdiff_t q_stride, ptrdiff_t k)
{
    double a_sum = 0, b_sum = 0, c = 0, squares = 0, products = 0, of_q = 0;
    int negative = 0;
    for (ptrdiff_t j = 0; j < k; j++) {
        const double a = *(const INPUT *)(p + j * p_stride), b = *(const INPUT *)(q + j * q_stride);
        negative |= (a < 0) | (b < 0);
        /* Of the last outcome, whose sum is 0, what came before; written so that NaN fails. */
        squares += c * c;
        products += c * b_sum;
        of_q += b_sum * b_sum;
        c += a - b;
        a_sum += a;
        b_sum += b;
    }
    const double rho = c / b_sum, S = squares - rho * (2 * products - rho * of_q);
    const int good = !negative & (fabs(a_sum - 1) <= TOLERANCE) & (fabs(b_sum - 1) <= TOLERANCE)
        & (c * c * of_q <= S) & (S >= k * LEAST_SUM);
    return good ? S / a_sum / a_sum : NAN;
}

/* Fill out[:n] with these, of other rows the careful way. Returns 1 if one is no probability
   vector. */
static NOINLINE int IN(ranked_rows)(
    const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k,
    const ptrdiff_t *strides, INPUT *out)
{
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++, p += strides[0], q += strides[2]) {
        double value = NAN;
        if (k <= LONGEST_SHORT_ROW)
            value = IN(ranked_row)(p, strides[1], q, strides[3], k) * f->scale;
        if (value != value)
            value = IN(exact_row)(f, p, strides[1], q, strides[3], k);
        out[i] = (INPUT)value;
        bad |= out[i] != out[i];
    }
    return bad;
}

#define CAREFUL(x) IN(x)
#else
#define CAREFUL(x) LEVEL(x##_fd)  /* of the same data, in double precision */
#endif

/* The sums of consecutive short rows of k entries. */
INLINE void IN(sum_rows_of)(const REAL *restrict x, ptrdiff_t n, ptrdiff_t k, REAL *restrict out)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL total = x[i * k];
        for (ptrdiff_t j = 1; j < k; j++)
            total += x[i * k + j];
        out[i] = total;
    }
}

/* The same by partial sums: whole vectors, and the rest as one more that reaches back into them,
   masked; then of many rows at once the sums of these. */
INLINE void IN(sum_longer_rows_of)(
    const REAL *restrict x, ptrdiff_t n, ptrdiff_t k, REAL *restrict out)
{
#if VECTOR_BYTES
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL) < 4 ? VECTOR_BYTES / sizeof(REAL) : 4, ROWS = 64 };
    typedef REAL vector __attribute__((vector_size(WIDTH * sizeof(REAL))));
    typedef BITS mask __attribute__((vector_size(WIDTH * sizeof(REAL))));
    const ptrdiff_t whole = k / WIDTH * WIDTH, rest = k - whole;
    mask in_rest;
    for (ptrdiff_t c = 0; c < WIDTH; c++)
        in_rest[c] = c >= WIDTH - rest ? ~(BITS)0 : 0;
    for (ptrdiff_t start = 0; start < n; start += ROWS) {
        const ptrdiff_t m = n - start < ROWS ? n - start : ROWS;
        REAL partial[ROWS * WIDTH];
        for (ptrdiff_t i = 0; i < m; i++, x += k) {
            vector v, sum;
            memcpy(&v, x + k - WIDTH, sizeof v);
            sum = (vector)((mask)v & in_rest);
            for (ptrdiff_t j = 0; j < whole; j += WIDTH) {
                memcpy(&v, x + j, sizeof v);
                sum += v;
            }
            memcpy(partial + i * WIDTH, &sum, sizeof sum);
        }
        IN(sum_rows_of)(partial, m, WIDTH, out + start);
    }
#else
    IN(sum_rows_of)(x, n, k, out);
#endif
}

/* Loops over the single entries of short rows cost more than the terms, and loops of unknown
   length over their vectors nearly as much. */
static NOINLINE void IN(sum_rows)(
    const REAL *restrict x, ptrdiff_t n, ptrdiff_t k, REAL *restrict out)
{
    switch (k) {
#define CASE(k, sum) case k: IN(sum)(x, n, k, out); return;
    CASE(1, sum_rows_of) CASE(2, sum_rows_of) CASE(3, sum_rows_of) CASE(4, sum_rows_of)
    CASE(5, sum_longer_rows_of) CASE(6, sum_longer_rows_of) CASE(7, sum_longer_rows_of)
    CASE(8, sum_longer_rows_of) CASE(9, sum_longer_rows_of) CASE(10, sum_longer_rows_of)
#undef CASE
    default: IN(sum_longer_rows_of)(x, n, k, out);
    }
}

/* n rows of m entries as one flat buffer of whole vectors: in place if they are one. */
static NOINLINE const REAL *IN(tile)(
    const char *x, ptrdiff_t row_stride, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t m, REAL *buffer)
{
    if (stride == sizeof(INPUT) && row_stride == m * stride) {
        m *= n;
        n = 1;
        if (sizeof(INPUT) == sizeof(REAL) && m % LANES == 0)
            return (const REAL *)x;
    }
    for (ptrdiff_t i = 0; i < n; i++, x += row_stride) {
        if (stride == sizeof(INPUT))
            for (ptrdiff_t j = 0; j < m; j++)
                buffer[i * m + j] = (REAL)((const INPUT *)x)[j];
        else
            for (ptrdiff_t j = 0; j < m; j++)
                buffer[i * m + j] = (REAL) * (const INPUT *)(x + j * stride);
    }
    for (ptrdiff_t j = n * m; j < WHOLE(n * m); j++)
        buffer[j] = LEAST_ENTRY;  /* of both rows: it adds nothing, and passes as positive */
    return buffer;
}

/* The first step of the terms that take two. */
INLINE void IN(first_steps)(
    int term, const REAL *restrict p, const REAL *restrict q, ptrdiff_t m, const settings *f,
    NAME(halves) *restrict to)
{
    if (!TWO_STEPS(term))
        return;
    SIMD()
    for (ptrdiff_t j = 0; j < m; j++) {
        const REAL a = P_ENTRY(term, p[j]), b = Q_ENTRY(term, q[j]);
        const NAME(half) h = NAME(first_step)(term, a, b, a - b, f);
        for (int i = 0; i < (term == POWER ? 3 : 5); i++)
            to->x[i][j] = h.x[i];
    }
}

INLINE REAL IN(term_with_moment)(
    int term, const settings *f, REAL a, REAL b, const NAME(halves) *restrict first,
    ptrdiff_t j, REAL *moment)
{
    NAME(half) h;
    for (int i = 0; i < 5; i++)
        h.x[i] = TWO_STEPS(term) && !(term == POWER && i > 2) ? first->x[i][j] : 0;
    *moment = 0;
    if (TWO_STEPS(term))
        return NAME(second_step)(term, b, a - b, h, f, moment);
    return NAME(term)(term, a, b, a - b, f, 0, moment);
}

/* Compute the terms of a tile of short rows, or of a step of it. Returns 1 if an entry is below
   its threshold, so that some row needs the careful way. */
INLINE int IN(fill_step)(
    int term, const settings *f, const REAL *restrict p, const REAL *restrict q, ptrdiff_t m,
    REAL *restrict terms, REAL *restrict difference, REAL *restrict moments)
{
    const REAL p_least = P_LEAST(term), q_least = Q_LEAST(term);
    BITS signs = 0;  /* their union: compilers vectorise it where they refuse a minimum */
    NAME(halves) first;
    const settings g = *f;  /* which no output can alias */
    m = m / LANES * LANES;
    IN(first_steps)(term, p, q, m, f, &first);
    SIMD(reduction(| : signs))
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL a = P_ENTRY(term, p[j]), b = Q_ENTRY(term, q[j]), moment;
        signs |= NAME(bits_of)(p[j] - p_least) | NAME(bits_of)(q[j] - q_least);
        difference[j] = a - b;
        terms[j] = IN(term_with_moment)(term, &g, a, b, &first, j, &moment);
        if (HAS_MOMENT(term))
            moments[j] = moment;
    }
    return (signs & TOP_BIT) != 0;
}

INLINE int IN(fill)(
    int term, const settings *f, const REAL *p, const REAL *q, ptrdiff_t m, REAL *terms,
    REAL *difference, REAL *moments)
{
    int small = 0;
    if (!TWO_STEPS(term))  /* a loop around this one costs rows of two entries a fifth */
        return IN(fill_step)(term, f, p, q, m, terms, difference, moments);
    for (ptrdiff_t j = 0; j < m; j += STEP)
        small |= IN(fill_step)(
            term, f, p + j, q + j, m - j < STEP ? m - j : STEP, terms + j, difference + j,
            moments + j);
    return small;
}

typedef struct {
    double A, D, S, moment;
    BITS signs;
} IN(sums);

/* Add a block of a long row to its sums. */
INLINE void IN(add)(
    int term, const settings *f, const REAL *restrict p, const REAL *restrict q, ptrdiff_t m,
    IN(sums) *to)
{
    const REAL p_least = P_LEAST(term), q_least = Q_LEAST(term);
    REAL A = 0, D = 0, S = 0, M = 0;
    BITS signs = 0;
    NAME(halves) first;
    m = m / LANES * LANES;
    IN(first_steps)(term, p, q, m, f, &first);
    SIMD(reduction(| : signs) reduction(+ : A, D, S, M))
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL a = P_ENTRY(term, p[j]), b = Q_ENTRY(term, q[j]), moment;
        signs |= NAME(bits_of)(p[j] - p_least) | NAME(bits_of)(q[j] - q_least);
        A += a;
        D += a - b;
        S += IN(term_with_moment)(term, f, a, b, &first, j, &moment);
        if (HAS_MOMENT(term))
            M += moment;
    }
    to->A += A;
    to->D += D;
    to->S += S;
    to->moment += M;
    to->signs |= signs;
}

/* The divergence from the sums over a row: A, D = A - B, S and the moment; NaN where the
   result would lose digits and for rows that are no probability vectors. No branch depends
   on the row, so that this vectorises over short rows. */
INLINE REAL IN(finished)(
    int term, REAL A, REAL D, REAL S, REAL M, REAL least, REAL curvature, REAL growth,
    REAL scale, const settings *f)
{
    const REAL p_off = A - 1, q_off = p_off - D, grown = growth * D;
    const REAL size = grown < 0 ? -grown : grown;
    /* 1 / A to the last digit within TOLERANCE: for rows of two entries half the price. Less 1, so
       that a sum of products leaves compilers no choice which one to fuse. */
    const REAL less = -p_off * (1 - p_off * (PRECISE ? 1 - p_off * (1 - p_off) : 1));
    const REAL inverse = 1 + less;
    REAL p_far = p_off < 0 ? -p_off : p_off, q_far = q_off < 0 ? -q_off : q_off, value;
    int good;
    (void)M, (void)f;
    p_far = q_far > p_far ? q_far : p_far;
    if (term == CROSS_ENTROPY || term == ENTROPY) {
        /* S / A + log1p(z), to 1e-18 */
        const REAL z = term == ENTROPY ? p_off : q_off;
        value = (S + S * less)
            + z * (1 - z * ((REAL)0.5 - z * ((REAL)(1.0 / 3) - z * (REAL)0.25)));
        good = value >= (PRECISE ? (REAL)0.0625 : (REAL)0.25);
    } else if (term == TOTAL_VARIATION) {
        value = S * inverse;
        good = (size <= (REAL)GROWTH_LIMIT(INPUT) * S) & (S >= least);
    } else if (term == SQUARED_ERROR) {
        value = S * inverse * inverse;  /* to 2 (A - B) / sqrt(S) */
        good = (D * D <= (REAL)SQUARE_LIMIT(INPUT) * S) & (S >= least);
    } else {
        /* The factor of curvature should be (A - B)^2 / A, or kl_term(A, B). */
        const REAL excess = curvature * (D * D);
        const REAL bound = excess * (REAL)(1 / EXCESS_LIMIT(INPUT));
        if (term != KL)
            S += S * grown;
        value = (S - excess) * inverse;
        good = S >= (bound > least ? bound : least);
        if (term != KL)
            good &= size <= (REAL)GROWTH_LIMIT(INPUT);
    }
    if (HAS_MOMENT(term) && f->renyi) {
        M += M * grown;
        M *= inverse;
        good &= (M >= FLOOR) & (M <= 1 / FLOOR);
        value *= f->power.alpha == ORDER_0 ? 0 : (REAL)f->power.one_less;
        value = NAME(log_ratio)(1, good ? M : 1, value)
            * (REAL)f->power.renyi_factor;
    }
    good &= p_far <= (REAL)TOLERANCE;
    value *= scale;
    if (f->root)
        value = SQRT(value);
    return good ? value : (REAL)NAN;
}

/* One long row. */
INLINE REAL IN(long_row)(
    int term, const settings *f, const char *p, ptrdiff_t p_stride, const char *q,
    ptrdiff_t q_stride, ptrdiff_t k)
{
    REAL p_buffer[BLOCK], q_buffer[BLOCK];
    IN(sums) sums = {0, 0, 0, 0, 0};
    for (ptrdiff_t start = 0, m; start < k; start += m) {
        m = block_size(k - start, STEP_OF(term));
        IN(add)(
            term, f, IN(tile)(p + start * p_stride, m * p_stride, p_stride, 1, m, p_buffer),
            IN(tile)(q + start * q_stride, m * q_stride, q_stride, 1, m, q_buffer), WHOLE(m), &sums);
    }
    if (sums.signs & TOP_BIT)
        return (REAL)NAN;
    return IN(finished)(
        term, (REAL)sums.A, (REAL)sums.D, (REAL)sums.S, (REAL)sums.moment,
        (REAL)(k * LEAST_SUM), (REAL)f->curvature, (REAL)f->growth, (REAL)f->scale, f);
}

/* A tile of n short rows. */
INLINE void IN(short_rows)(
    int term, const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k,
    const ptrdiff_t *strides, INPUT *out)
{
    REAL p_buffer[BLOCK], q_buffer[BLOCK], terms[BLOCK], difference[BLOCK];
    REAL moments[BLOCK], A[TILE_ROWS], D[TILE_ROWS], S[TILE_ROWS], M[TILE_ROWS];
    const REAL *a = IN(tile)(p, strides[0], strides[1], n, k, p_buffer);
    const REAL *b = IN(tile)(q, strides[2], strides[3], n, k, q_buffer);
    const int small = IN(fill)(term, f, a, b, WHOLE(n * k), terms, difference, moments);
    IN(sum_rows)(a, n, k, A);
    IN(sum_rows)(difference, n, k, D);
    IN(sum_rows)(terms, n, k, S);
    if (HAS_MOMENT(term))
        IN(sum_rows)(moments, n, k, M);
    const REAL least_sum = (REAL)(k * LEAST_SUM), curvature = (REAL)f->curvature;
    const REAL growth = (REAL)f->growth, scale = (REAL)f->scale;
    const settings g = *f;  /* which out cannot alias */
    SIMD()
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (INPUT)IN(finished)(
            term, A[i], D[i], S[i], HAS_MOMENT(term) ? M[i] : 1, least_sum, curvature, growth,
            scale, &g);
    if (!small)
        return;
    for (ptrdiff_t i = 0; i < n; i++, a += k, b += k)
        for (ptrdiff_t j = 0; j < k; j++)
            if (a[j] < P_LEAST(term) || b[j] < Q_LEAST(term))
                out[i] = (INPUT)NAN;
}

/* Fill out[:n] for the rows that start at p and q. Returns 1 if one is no probability vector. */
INLINE int IN(rows_of)(
    int term, const settings *f, const char *p, const char *q, ptrdiff_t n, ptrdiff_t k,
    const ptrdiff_t *strides, INPUT *out)
{
    const ptrdiff_t group = tile_rows(k);
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i += group) {
        const ptrdiff_t m = n - i < group ? n - i : group;
        if (group == 1)
            out[i] = (INPUT)IN(long_row)(
                term, f, p + i * strides[0], strides[1], q + i * strides[2], strides[3], k);
        else
            IN(short_rows)(
                term, f, p + i * strides[0], q + i * strides[2], m, k, strides, out + i);
        for (ptrdiff_t j = i; j < i + m; j++) {
            if (out[j] == out[j])
                continue;
            out[j] = (INPUT)CAREFUL(exact_row)(
                f, p + j * strides[0], strides[1], q + j * strides[2], strides[3], k);
            bad |= out[j] != out[j];
        }
    }
    return bad;
}

/* Fill out[:n] for the row p and n rows of q. Outcomes that p rules out may count as one, which
   has the probability of them all: the divergence is the same, unless it is one of SQUARES. Where they are more than half it
   takes less time, too. */
INLINE int IN(row_with_rows)(
    rows_function *function, const settings *f, const char *p, const char *q, ptrdiff_t n,
    ptrdiff_t k, const ptrdiff_t *strides, INPUT *out)
{
    uint16_t places[BLOCK];
    INPUT ruled_out[BLOCK], p_merged[BLOCK], q_merged[BLOCK];
    ptrdiff_t kept = 0;
    int bad = 0;
    if (k < LANES || k > BLOCK || strides[3] != sizeof(INPUT) || IS_SQUARES(f->term))
        return function(f, p, q, n, k, strides, out);
    for (ptrdiff_t j = 0; j < k; j++) {
        const INPUT x = *(const INPUT *)(p + j * strides[1]);
        places[kept] = (uint16_t)j;
        p_merged[kept] = x;
        ruled_out[j] = x == 0;
        kept += x != 0;
    }
    if (2 * kept >= k)
        return function(f, p, q, n, k, strides, out);
    p_merged[kept++] = 0;
    const ptrdiff_t group = tile_rows(kept);
    const ptrdiff_t merged[4] = {0, sizeof(INPUT), kept * sizeof(INPUT), sizeof(INPUT)};
    for (ptrdiff_t i = 0; i < n; i += group) {
        const ptrdiff_t m = n - i < group ? n - i : group;
        char negative[TILE_ROWS];
        for (ptrdiff_t r = 0; r < m; r++) {
            const INPUT *x = (const INPUT *)(q + (i + r) * strides[2]);
            INPUT *to = q_merged + r * kept, rest = 0;
            int below = 0;
            for (ptrdiff_t j = 0; j < kept - 1; j++)
                to[j] = x[places[j]];
            SIMD(reduction(+ : rest) reduction(| : below))
            for (ptrdiff_t j = 0; j < k; j++) {
                rest += ruled_out[j] * x[j];
                below |= x[j] < 0;
            }
            to[kept - 1] = rest;
            negative[r] = (char)below;
        }
        function(f, (const char *)p_merged, (const char *)q_merged, m, kept, merged, out + i);
        for (ptrdiff_t r = 0; r < m; r++) {
            if (negative[r])  /* what counts as 0 must not be added up */
                function(f, p, q + (i + r) * strides[2], 1, k, strides, out + i + r);
            bad |= out[i + r] != out[i + r];
        }
    }
    return bad;
}

/* The first of n rows that is no distribution, or -1. The sum that decides is that of the plain
   loops; where it is off, and where an entry lies below 0, that of the careful way. */
INLINE ptrdiff_t IN(first_bad_row)(
    const char *p, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides)
{
    const ptrdiff_t group = tile_rows(k);
    for (ptrdiff_t i = 0; i < n; i += group) {
        REAL buffer[BLOCK], sums[TILE_ROWS];
        const char *first = p + i * strides[0];
        const ptrdiff_t m = n - i < group ? n - i : group;
        BITS signs = 0;
        if (group == 1) {
            sums[0] = 0;
            for (ptrdiff_t j = 0, size; j < k; j += size) {
                size = block_size(k - j, BLOCK);
                const REAL *x = IN(tile)(
                    first + j * strides[1], size * strides[1], strides[1], 1, size, buffer);
                signs |= NAME(signs)(x, WHOLE(size));
                sums[0] += NAME(sum)(x, WHOLE(size));
            }
        } else {
            const REAL *x = IN(tile)(first, strides[0], strides[1], m, k, buffer);
            signs = NAME(signs)(x, WHOLE(m * k));
            IN(sum_rows)(x, m, k, sums);
        }
        for (ptrdiff_t j = 0; j < m; j++) {
            const REAL off = sums[j] < 1 ? 1 - sums[j] : sums[j] - 1;
            if ((signs & TOP_BIT || !(off <= (REAL)TOLERANCE))
                    && !CAREFUL(is_distribution_row)(first + j * strides[0], strides[1], k))
                return i + j;
        }
    }
    return -1;
}

#undef CAREFUL
