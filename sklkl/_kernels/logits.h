/* The KL divergence of the softmaxes of two rows of logits. Included once for each instruction
   set and INPUT type; all arithmetic is double.

   With a = exp((x - max x) / T), b = exp((y - max y) / T) of masses A and B and
   u = log(a / b), the divergence is (sum a (exp(-u) - 1 + u) - kl_term(A, B)) / A; nothing
   cancels, and no probability is ever stored. For |u| <= 1/2 a term is a u^2 PHI(-u), otherwise
   b - a + a u. If A and B differ so much that their kl_term hides the rest, a second pass
   takes log(A / B) out of u. Logits may be -inf, which is the probability 0; rows that hold
   such are done again by the same loop with selections for them. */

/* 1 / temperature in two parts: exp(x / T) of a large x shows the rounding of 1 / T. */
typedef struct {
    double high, low;
} IN(inverse);

INLINE double IN(scaled)(double x, const IN(inverse) *inverse)
{
    return x * inverse->high + x * inverse->low;
}

/* x - y - gap, where gap = x_max - y_max in two parts. Rows may share a huge offset that hides
   their difference, so the rounding error of x - y is kept (Knuth's two-sum). */
INLINE double IN(gap_less)(double x, double y, double gap, double gap_low)
{
    const double high = x - y, part = high - x, low = (x - (high - part)) - (y + part);
    return (high - gap) + (low - gap_low);
}

/* A block of a row: in place if it is contiguous. */
INLINE const INPUT *IN(block)(const char *x, ptrdiff_t stride, ptrdiff_t m, INPUT *buffer)
{
    if (stride == sizeof(INPUT))
        return (const INPUT *)x;
    for (ptrdiff_t j = 0; j < m; j++)
        buffer[j] = *(const INPUT *)(x + j * stride);
    return buffer;
}

typedef struct {
    double A, B, S, D;  /* sums of a, b, terms, a - b */
} IN(logit_sums);

INLINE IN(logit_sums) IN(sum_logits)(
    int masked, const char *x, ptrdiff_t x_stride, const char *y, ptrdiff_t y_stride,
    ptrdiff_t k, double x_max, double y_max, const IN(inverse) *inverse, double shift)
{
    IN(logit_sums) sums = {0, 0, 0, 0};
    INPUT x_buffer[BLOCK], y_buffer[BLOCK];
    const double factor = exp(shift);  /* of b, so that u = log(a / b) stays true */
    const double gap = x_max - y_max, gap_low = IN(gap_less)(x_max, y_max, gap, 0);
    for (ptrdiff_t start = 0; start < k; start += BLOCK) {
        const ptrdiff_t m = k - start < BLOCK ? k - start : BLOCK;
        const INPUT *x_block = IN(block)(x + start * x_stride, x_stride, m, x_buffer);
        const INPUT *y_block = IN(block)(y + start * y_stride, y_stride, m, y_buffer);
        double A = 0, B = 0, S = 0, D = 0;
        SIMD(reduction(+ : A, B, S, D))
        for (ptrdiff_t j = 0; j < m; j++) {
            const double x_j = x_block[j], y_j = y_block[j];
            double a = NAME(exp_of)(IN(scaled)(x_j - x_max, inverse));
            double b = NAME(exp_of)(IN(scaled)(y_j - y_max, inverse)) * factor;
            double u = IN(scaled)(IN(gap_less)(x_j, y_j, gap, gap_low), inverse) - shift, t;
            if (masked) {
                a = x_j == -INFINITY ? 0 : a;
                b = y_j == -INFINITY ? 0 : b;
                u = a == 0 || y_j == -INFINITY ? 0 : u;
            }
            t = u * u <= 0.25 ? a * (u * u) * NAME(poly_phi)(-u) : b - a + a * u;
            if (masked)
                t = a == 0 ? b : t;
            A += a;
            B += b;
            S += t;
            D += a * u - t;
        }
        sums.A += A;
        sums.B += B;
        sums.S += S;
        sums.D += D;
    }
    return sums;
}

INLINE double IN(logits_row)(
    int masked, const char *x, ptrdiff_t x_stride, const char *y, ptrdiff_t y_stride,
    ptrdiff_t k, const IN(inverse) *inverse)
{
    IN(logit_sums) sums;
    double excess;
    INPUT x_max = -INFINITY, y_max = -INFINITY;
    SIMD(reduction(max : x_max, y_max))
    for (ptrdiff_t j = 0; j < k; j++) {
        const INPUT x_j = *(const INPUT *)(x + j * x_stride);
        const INPUT y_j = *(const INPUT *)(y + j * y_stride);
        x_max = x_j > x_max ? x_j : x_max;
        y_max = y_j > y_max ? y_j : y_max;
    }
    if (!(x_max > -INFINITY && x_max < INFINITY && y_max > -INFINITY && y_max < INFINITY))
        return NAN;
    sums = IN(sum_logits)(
        masked, x, x_stride, y, y_stride, k, x_max, y_max, inverse, 0);
    excess = NAME(kl_term)(sums.A, sums.B, sums.D);
    if (excess > 0.25 * sums.S && sums.S < INFINITY) {
        sums = IN(sum_logits)(
            masked, x, x_stride, y, y_stride, k, x_max, y_max, inverse,
            NAME(log_ratio)(sums.A, sums.B, sums.D));
        excess = NAME(kl_term)(sums.A, sums.B, sums.D);
    }
    if (!(sums.S - sums.S == 0))
        return masked ? INFINITY : NAN;  /* an overflow, once NaN and -inf are ruled out */
    return sums.S > excess ? (sums.S - excess) / sums.A : 0;
}

/* The masked loop; NaN for rows with NaN, +inf, or -inf alone. */
static NOINLINE double IN(masked_logits_row)(
    const char *x, ptrdiff_t x_stride, const char *y, ptrdiff_t y_stride, ptrdiff_t k,
    const IN(inverse) *inverse)
{
    int uncovered = 0, bad = 0, x_any = 0, y_any = 0;
    for (ptrdiff_t j = 0; j < k; j++) {
        const INPUT x_j = *(const INPUT *)(x + j * x_stride);
        const INPUT y_j = *(const INPUT *)(y + j * y_stride);
        bad |= x_j != x_j || y_j != y_j;
        x_any |= x_j > -INFINITY;
        y_any |= y_j > -INFINITY;
        uncovered |= x_j > -INFINITY && y_j == -INFINITY;
    }
    /* clang begins a maximum with the least finite number, which hides -inf alone. */
    if (bad || !x_any || !y_any)
        return NAN;
    const double value = IN(logits_row)(1, x, x_stride, y, y_stride, k, inverse);
    return uncovered && value == value ? INFINITY : value;
}

static int IN(logits_rows)(
    const char *x, const char *y, ptrdiff_t n, ptrdiff_t k, const ptrdiff_t *strides,
    const double *inverse_temperature, double scale, INPUT *out)
{
    const IN(inverse) inverse = {inverse_temperature[0], inverse_temperature[1]};
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const char *x_row = x + i * strides[0], *y_row = y + i * strides[2];
        double value = IN(logits_row)(0, x_row, strides[1], y_row, strides[3], k, &inverse);
        if (!(value < INFINITY))
            value = IN(masked_logits_row)(x_row, strides[1], y_row, strides[3], k, &inverse);
        bad |= value != value;
        out[i] = (INPUT)(value * scale);
    }
    return bad;
}
