/* Loops over pairs of rows. Included once for each instruction set, precision REAL of the
   arithmetic and type INPUT of the data; see _levels.h.

   A tile is what fits the first-level cache: as many short rows as BLOCK holds, or a block of
   one long row. The terms of a tile are computed as one flat loop, whatever the length of
   rows, and then summed row by row; that is what vectorises.

   (a) Rows are read once. For rows p, q of masses A, B (both 1 but for rounding) the
       divergence of the normalised rows is (S - c (A - B)^2 / A) / A with S the sum of terms
       and c half the second derivative at p = q, up to a relative error of (A - B) / A; for
       KL, where it would be (S - kl_term(A, B)) / A exactly, up to a relative error of the
       part that is subtracted. A - B is summed as differences, so it is accurate where A and
       B are not.
   (b) Where that is not accurate enough (sums that differ; entries near FLOOR; zeros that
       make the divergence infinite; S near the least number) the row is done again by
       exact_row, which normalises first: with rho = (A - B) / B the row t = q (1 + rho) has
       the mass of p, and p - t = (p - q) - q rho is computed without rounding in between. The
       rounding of rho leaves an excess r = sum(p - t), which is removed as in (a).
   (c) A row is computed in the same way wherever it stands: tiles are filled up to whole
       vectors with entries that count nothing, and which way a row goes depends on the row
       alone. So results depend neither on the number of threads nor on the batch.
   (d) A row that is no probability vector gets NaN, which no valid row can give. */

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

static NOINLINE void IN(sum_rows)(const REAL *restrict x, ptrdiff_t n, ptrdiff_t k, REAL *restrict out)
{
    switch (k) {
    case 1: IN(sum_rows_of)(x, n, 1, out); return;
    case 2: IN(sum_rows_of)(x, n, 2, out); return;
    case 3: IN(sum_rows_of)(x, n, 3, out); return;
    }
#if VECTOR_BYTES
    /* A few partial sums: whole vectors, and the rest as one more that reaches back into them,
       masked. Loops over the single entries of short rows cost more than the terms. */
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL) < 4 ? VECTOR_BYTES / sizeof(REAL) : 4 };
    typedef REAL vector __attribute__((vector_size(WIDTH * sizeof(REAL))));
    typedef BITS mask __attribute__((vector_size(WIDTH * sizeof(REAL))));
    const ptrdiff_t whole = k / WIDTH * WIDTH, rest = k - whole;
    mask in_rest;
    for (ptrdiff_t c = 0; c < WIDTH; c++)
        in_rest[c] = c >= WIDTH - rest ? ~(BITS)0 : 0;
    for (ptrdiff_t i = 0; i < n; i++, x += k) {
        vector v, sum;
        REAL total = 0;
        memcpy(&v, x + k - WIDTH, sizeof v);
        sum = (vector)((mask)v & in_rest);
        for (ptrdiff_t j = 0; j < whole; j += WIDTH) {
            memcpy(&v, x + j, sizeof v);
            sum += v;
        }
        for (int c = 0; c < WIDTH / 2; c++)
            total += sum[c] + sum[c + WIDTH / 2];
        out[i] = total;
    }
#else
    IN(sum_rows_of)(x, n, k, out);
#endif
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

INLINE REAL IN(term)(int term, REAL a, REAL b, REAL d, REAL *moment)
{
    switch (term) {
    case KL:
        return NAME(kl_term)(a, b, d);
    case JEFFREYS:
        return d * NAME(log_ratio)(a, b, d);
    case CHI2:
        return d * (d / b);
    case HELLINGER:
    case BHATTACHARYYA:
        return NAME(hellinger_term)(a, b, d, 0, moment);
    case TOTAL_VARIATION:
        return (REAL)0.5 * (d < 0 ? -d : d);
    case CROSS_ENTROPY:
        return -a * NAME(log_ratio)(b, 1, b - 1);
    default:  /* ENTROPY */
        return -a * NAME(log_ratio)(a, 1, a - 1);
    }
}

/* The first step of the terms that take two. */
INLINE void IN(first_steps)(
    int term, const REAL *restrict p, const REAL *restrict q, ptrdiff_t m, REAL weight,
    NAME(halves) *restrict to)
{
    if (!TWO_STEPS(term))
        return;
    SIMD()
    for (ptrdiff_t j = 0; j < m; j++) {
        const REAL a = p[j] + FLOOR, b = q[j] + FLOOR;
        NAME(half) h;
#if PRECISE
        if (term == POWER)
            h = NAME(power_half)(a, b, a - b);
        else
#endif
            h = NAME(js_half)(a, b, a - b, weight, 0);
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
    (void)f;
    *moment = 0;
#if PRECISE
    if (term == POWER)
        return NAME(power_term)(b, a - b, h, &f->power, 1, moment);
#endif
    if (term == JENSEN_SHANNON)
        return NAME(js_term)(h);
    return IN(term)(term, a, b, a - b, moment);
}

/* The terms of a tile of short rows, or of a step; may any entry be too small? */
INLINE int IN(fill_step)(
    int term, const settings *f, const REAL *restrict p, const REAL *restrict q, ptrdiff_t m,
    REAL *restrict terms, REAL *restrict difference, REAL *restrict moments)
{
    const REAL p_least = P_LEAST(f), q_least = Q_LEAST(f);
    BITS signs = 0;  /* their union: compilers vectorise it where they refuse a minimum */
    NAME(halves) first;
    const settings g = *f;  /* which no output can alias */
    m = m / LANES * LANES;
    IN(first_steps)(term, p, q, m, (REAL)f->weight, &first);
    SIMD(reduction(| : signs))
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL a = p[j] + FLOOR, b = q[j] + FLOOR, moment;
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
    const REAL p_least = P_LEAST(f), q_least = Q_LEAST(f);
    REAL A = 0, D = 0, S = 0, M = 0;
    BITS signs = 0;
    NAME(halves) first;
    m = m / LANES * LANES;
    IN(first_steps)(term, p, q, m, (REAL)f->weight, &first);
    SIMD(reduction(| : signs) reduction(+ : A, D, S, M))
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL a = p[j] + FLOOR, b = q[j] + FLOOR, moment;
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
    int term, REAL A, REAL D, REAL S, REAL M, REAL least, REAL curvature, REAL scale,
    const settings *f)
{
    const REAL p_off = A - 1, q_off = p_off - D, size = D < 0 ? -D : D;
    REAL p_far = p_off < 0 ? -p_off : p_off, q_far = q_off < 0 ? -q_off : q_off, value;
    int good;
    (void)M, (void)f;
    p_far = q_far > p_far ? q_far : p_far;
    if (term == CROSS_ENTROPY || term == ENTROPY) {
        /* S / A + log1p(z), to 1e-18 */
        const REAL z = term == ENTROPY ? p_off : q_off;
        value = S / A
            + z * (1 - z * ((REAL)0.5 - z * ((REAL)(1.0 / 3) - z * (REAL)0.25)));
        good = value >= (PRECISE ? (REAL)0.0625 : (REAL)0.25);
    } else if (term == TOTAL_VARIATION) {
        value = S / A;
        good = (size <= (REAL)RHO_LIMIT(INPUT) * S) & (S >= least);
    } else {
        /* The factor of curvature should be (A - B)^2 / A, or kl_term(A, B). */
        const REAL excess = curvature * (D * D);
        const REAL bound = excess * (REAL)(1 / EXCESS_LIMIT(INPUT));
        value = (S - excess) / A;
        good = S >= (bound > least ? bound : least);
        if (term != KL)
            good &= size <= (REAL)RHO_LIMIT(INPUT);
    }
    if (HAS_MOMENT(term) && f->renyi) {
        M /= A;
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
        /* Whole vectors as far as they go, so that only the last block may need copying. */
        m = k - start < LANES ? k - start : (k - start) / LANES * LANES;
        m = m < STEP_OF(term) ? m : STEP_OF(term);
        IN(add)(
            term, f, IN(tile)(p + start * p_stride, m * p_stride, p_stride, 1, m, p_buffer),
            IN(tile)(q + start * q_stride, m * q_stride, q_stride, 1, m, q_buffer), WHOLE(m), &sums);
    }
    if (sums.signs & TOP_BIT)
        return (REAL)NAN;
    return IN(finished)(
        term, (REAL)sums.A, (REAL)sums.D, (REAL)sums.S, (REAL)sums.moment,
        (REAL)(k * LEAST_SUM), (REAL)f->curvature, (REAL)f->scale, f);
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
    const REAL scale = (REAL)f->scale;
    const settings g = *f;  /* which out cannot alias */
    SIMD()
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (INPUT)IN(finished)(
            term, A[i], D[i], S[i], HAS_MOMENT(term) ? M[i] : 1, least_sum, curvature, scale, &g);
    if (!small)
        return;
    for (ptrdiff_t i = 0; i < n; i++, a += k, b += k)
        for (ptrdiff_t j = 0; j < k; j++)
            if (a[j] < P_LEAST(f) || b[j] < Q_LEAST(f))
                out[i] = (INPUT)NAN;
}

/* Fill out[:n] for the rows that start at p and q; is any of them bad? */
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
            out[j] = (INPUT)EXACT_ROW(
                f, p + j * strides[0], strides[1], q + j * strides[2], strides[3], k);
            bad |= out[j] != out[j];
        }
    }
    return bad;
}
