/* The softmax of a linear model over a run of rows: the loss of targets with its gradient, the
   curvature, and predictions. Included once for each instruction set and each type REAL of the
   data; sums over tiles are double.

   Rows pass in tiles of T. With K columns of logits (1 if binary: the logit of the second class):

   (a) A dense tile is copied to (T, width): whole vectors, the intercept a feature of ones, rows
       and features beyond the data zeros. One pair of loops then serves every memory order, and
       no loop has a remainder. The tile stays in the cache for both products: X is read once.
   (b) logits = tile V and gradient = residual' tile are sums held in registers, 12 of the 16
       that AVX2 has, 24 of the 32 of AVX-512, over features and over rows. The next tile is asked
       for meanwhile: with data from main memory that takes a quarter off.
   (c) In between tiles are transposed, (K, T), so that the softmax is elementwise over rows for
       every K.
   (d) Probabilities beside the largest are summed apart from it, so that log p and 1 - p of the
       largest keep their digits. The loss is the cross-entropy, log sum exp(z) - sum y z, as a
       sum of non-negative parts; who wants the KL divergence subtracts the entropy of y.
   (e) Of several loss terms, as of a teacher at its temperature and of labels, each has its own
       softmax of the same logits; X is still read once.
   (f) Runs are independent and their results are added in a fixed order by the caller. */

#if VECTOR_BYTES
typedef REAL NAME(vector)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef BITS NAME(bits) __attribute__((vector_size(VECTOR_BYTES)));
#define WIDTH ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#else
typedef REAL NAME(vector);
#define WIDTH ((ptrdiff_t)1)
#endif

/* Blocks of sums: of so many rows for several vectors of columns, in so many parts for one; and of
   so many classes and vectors of features. */
#if VECTOR_BYTES == 64
#define LOGITS_ROWS 8
#define SPLIT 2
#define MOST_CLASSES 6
#define MOST_VECTORS 4
#else
#define LOGITS_ROWS 4
#define SPLIT 1
#define MOST_CLASSES 4
#define MOST_VECTORS 3
#endif

/* The most even division of what is left into parts of at most so many. */
INLINE ptrdiff_t NAME(part)(ptrdiff_t left, ptrdiff_t most)
{
    const ptrdiff_t parts = (left + most - 1) / most;
    return (left + parts - 1) / parts;
}

/* The parts of the workspace of a run; x, v, z and r begin at whole vectors. */
typedef struct {
    REAL *x;        /* (T, width), dense data only */
    REAL *scaled;   /* (T, width), curvature of dense data only */
    REAL *z;        /* (T, columns), logits */
    REAL *r;        /* (K, T), logits, then residuals */
    REAL *y;        /* (K, T) or (2, T), soft targets */
    REAL *saved;    /* (K, T), logits that a second term needs */
    REAL *logs;     /* (K, T) or (2, T), log-probabilities for divergences after the first */
    REAL *pair;     /* (2, T), both logits if binary, for the same */
    REAL *listed;   /* (T, most_listed), logits of listed classes, then residuals */
    REAL *largest, *ones, *rest, *gap, *scale, *weight, *part;  /* (T,) */
} NAME(work);

/* Deal out memory, from its first whole vector on, unless it is NULL; returns the bytes dealt. */
static ptrdiff_t NAME(partition)(const linear *m, char *memory, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, K = m->n_logits, outputs = K > 1 ? K : 2;
    char *first = (char *)(((uintptr_t)memory + 63) / 64 * 64);
    ptrdiff_t used = 0;
    int diverges = 0;
    for (int i = 0; i < m->n_terms; i++)
        diverges |= m->terms[i].divergence != FORWARD_KL;
    const struct {
        REAL **at;
        ptrdiff_t size;
    } parts[] = {
        {&w->x, T * m->width},
        {&w->scaled, m->curvature ? T * m->width : 0},
        {&w->z, T * m->columns},
        {&w->r, T * K},
        {&w->y, T * outputs},
        {&w->saved, m->n_terms > 1 ? T * K : 0},
        {&w->logs, diverges ? T * outputs : 0},
        {&w->pair, diverges ? T * 2 : 0},
        {&w->listed, T * m->most_listed},
        {&w->largest, T}, {&w->ones, T}, {&w->rest, T}, {&w->gap, T}, {&w->scale, T},
        {&w->weight, T}, {&w->part, T}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (memory)
            *parts[i].at = (REAL *)(first + used);
        used += (parts[i].size + LANES - 1) / LANES * LANES * sizeof(REAL);
    }
    return used;
}

#if VECTOR_BYTES && HAVE_SHUFFLE
#if VECTOR_BYTES / (PRECISE ? 8 : 4) == 2
#define LOW 0, 2
#define HIGH 1, 3
#elif VECTOR_BYTES / (PRECISE ? 8 : 4) == 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#elif VECTOR_BYTES / (PRECISE ? 8 : 4) == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* The halves of two vectors, entry by entry in turn. */
INLINE NAME(vector) NAME(low)(NAME(vector) a, NAME(vector) b)
{
    return __builtin_shufflevector(a, b, LOW);
}

INLINE NAME(vector) NAME(high)(NAME(vector) a, NAME(vector) b)
{
    return __builtin_shufflevector(a, b, HIGH);
}

/* Transpose a square of WIDTH vectors, as rounds of perfect shuffles. */
INLINE void NAME(transpose)(NAME(vector) *a)
{
    for (int round = 1; round < WIDTH; round *= 2) {
        NAME(vector) b[WIDTH];
        for (int i = 0; i < WIDTH / 2; i++) {
            b[2 * i] = NAME(low)(a[i], a[i + WIDTH / 2]);
            b[2 * i + 1] = NAME(high)(a[i], a[i + WIDTH / 2]);
        }
        memcpy(a, b, sizeof b);
    }
}

/* The sums of the entries of each of WIDTH vectors. */
INLINE NAME(vector) NAME(sums_of)(NAME(vector) *a)
{
    for (int n = WIDTH / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            a[i] = NAME(low)(a[i], a[i + n]) + NAME(high)(a[i], a[i + n]);
    return a[0];
}
#undef LOW
#undef HIGH
#else
INLINE NAME(vector) NAME(sums_of)(NAME(vector) *a)
{
    NAME(vector) out;
    REAL lanes[WIDTH], sums[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        memcpy(lanes, &a[i], sizeof lanes);
        sums[i] = lanes[0];
        for (int l = 1; l < WIDTH; l++)
            sums[i] += lanes[l];
    }
    memcpy(&out, sums, sizeof out);
    return out;
}
#endif

/* Copy rows [start, start + n) of a dense X of float, less the center, to a tile of double, with
   ones for the intercept and zeros beyond. */
static NOINLINE void NAME(pack_narrow)(
    const linear *m, ptrdiff_t start, ptrdiff_t n, REAL *restrict x)
{
    const ptrdiff_t width = m->width, d = m->n_features;
    const char *from = m->x + start * m->row_stride;
    const REAL *restrict center = (const REAL *)m->center;
    memset(x, 0, m->tile * width * sizeof(REAL));
    for (ptrdiff_t i = 0; i < n; i++, from += m->row_stride, x += width) {
        if (m->column_stride == sizeof(float))
            for (ptrdiff_t j = 0; j < d; j++)
                x[j] = (REAL)((const float *)from)[j] - center[j];
        else
            for (ptrdiff_t j = 0; j < d; j++)
                x[j] = (REAL)*(const float *)(from + j * m->column_stride) - center[j];
        if (m->intercept)
            x[d] = 1;
    }
}

/* The same of an X of the type of the tile. */
static NOINLINE void NAME(pack)(const linear *m, ptrdiff_t start, ptrdiff_t n, REAL *restrict x)
{
    const ptrdiff_t width = m->width, d = m->n_features, whole = d / WIDTH * WIDTH;
    const ptrdiff_t row_bytes = d * (ptrdiff_t)sizeof(REAL);
    const char *from = m->x + start * m->row_stride;
    const REAL *restrict center = (const REAL *)m->center;
    ptrdiff_t first = 0;
#if VECTOR_BYTES
    if (m->column_stride == sizeof(REAL) && m->row_stride >= row_bytes && d > 0) {
        /* Whole vectors; the last one reaches into later rows, of which there must be some. */
        NAME(bits) keep = {0};
        NAME(vector) one = {0};
        for (ptrdiff_t j = 0; j < d - whole; j++)
            keep[j] = ~(BITS)0;
        if (m->intercept)
            one[d - whole] = 1;
        for (; first < n - (VECTOR_BYTES + row_bytes - 1) / row_bytes; first++) {
            const REAL *row = (const REAL *)(from + first * m->row_stride);
            REAL *to = x + first * width;
            for (ptrdiff_t j = 0; j < whole; j += WIDTH)
                *(NAME(vector) *)(to + j) =
                    *(const NAME(vector) *)(row + j) - *(const NAME(vector) *)(center + j);
            if (whole < width) {
                const NAME(vector) last = *(const NAME(vector) *)(row + whole)
                    - *(const NAME(vector) *)(center + whole);
                *(NAME(vector) *)(to + whole) = (NAME(vector))((NAME(bits))last & keep) + one;
            }
        }
    }
#endif
    memset(x + first * width, 0, (m->tile - first) * width * sizeof(REAL));
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t i = first; i < n; i++)
            x[i * width + j] =
                *(const REAL *)(from + i * m->row_stride + j * m->column_stride) - center[j];
    for (ptrdiff_t i = first; i < n && m->intercept; i++)
        x[i * width + d] = 1;
}

INLINE ptrdiff_t NAME(index)(const void *indices, int wide, ptrdiff_t j)
{
    return wide ? (ptrdiff_t)((const int64_t *)indices)[j] : ((const int32_t *)indices)[j];
}

/* The same for a CSR matrix, filling in zeros. */
static NOINLINE void NAME(pack_sparse)(
    const linear *m, ptrdiff_t start, ptrdiff_t n, REAL *restrict x)
{
    const REAL *data = (const REAL *)m->x;
    memset(x, 0, m->tile * m->width * sizeof(REAL));
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL *row = x + i * m->width;
        const ptrdiff_t stop = NAME(index)(m->indptr, m->wide, start + i + 1);
        for (ptrdiff_t j = NAME(index)(m->indptr, m->wide, start + i); j < stop; j++)
            row[NAME(index)(m->indices, m->wide, j)] += data[j];
        if (m->intercept)
            row[m->n_features] = 1;
    }
}

/* z[r, c] = sum over f of x[r, f] v[f, c] for MR rows and NV vectors of columns, in NS parts of
   every NS-th f: so many sums are needed to hide what an addition takes. */
INLINE void NAME(product)(
    const int MR, const int NV, const int NS, const REAL *x, ptrdiff_t width,
    ptrdiff_t n_features, const REAL *v, REAL *z, ptrdiff_t columns)
{
    NAME(vector) sum[2][8][3];
    ptrdiff_t f = 0;
    for (int s = 0; s < NS; s++)
        for (int r = 0; r < MR; r++)
            for (int c = 0; c < NV; c++)
                sum[s][r][c] = (NAME(vector)){0};
    for (; f + NS <= n_features; f += NS)
        for (int s = 0; s < NS; s++) {
            NAME(vector) v_f[3];
            for (int c = 0; c < NV; c++)
                v_f[c] = *(const NAME(vector) *)(v + (f + s) * columns + c * WIDTH);
            for (int r = 0; r < MR; r++)
                for (int c = 0; c < NV; c++)
                    sum[s][r][c] += x[r * width + f + s] * v_f[c];
        }
    if (f < n_features)
        for (int r = 0; r < MR; r++)
            for (int c = 0; c < NV; c++)
                sum[0][r][c] += x[r * width + f] * *(const NAME(vector) *)(v + f * columns + c * WIDTH);
    for (int r = 0; r < MR; r++)
        for (int c = 0; c < NV; c++) {
            if (NS == 2)
                sum[0][r][c] += sum[1][r][c];
            *(NAME(vector) *)(z + r * columns + c * WIDTH) = sum[0][r][c];
        }
}

/* Ask for n rows of a dense X that will be needed; they may lie beyond the last. */
INLINE void NAME(ask_for)(const linear *m, ptrdiff_t start, ptrdiff_t n)
{
    const ptrdiff_t bytes = m->narrow ? sizeof(float) : sizeof(REAL);
    const ptrdiff_t row_bytes = m->column_stride == bytes ? m->n_features * bytes : 0;
    for (ptrdiff_t i = start; i < start + n; i++)
        for (ptrdiff_t b = 0; b < row_bytes; b += CACHE_LINE)
            PREFETCH_LATER((uintptr_t)m->x + i * m->row_stride + b);
}

static NOINLINE void NAME(dense_logits)(
    const linear *m, ptrdiff_t start, const REAL *x, const REAL *v, REAL *z)
{
    const ptrdiff_t T = m->tile, width = m->width, columns = m->columns;
    const ptrdiff_t n_features = m->n_features + m->intercept;
    for (ptrdiff_t c = 0; c < columns;) {
        const ptrdiff_t vectors = NAME(part)((columns - c) / WIDTH, 3);
        const ptrdiff_t rows = vectors == 1 ? 8 : LOGITS_ROWS;
        const REAL *v_c = v + c;
        for (ptrdiff_t i = 0; i < T; i += rows) {
            const REAL *x_i = x + i * width;
            REAL *z_i = z + i * columns + c;
            if (c == 0)
                NAME(ask_for)(m, start + T + i, rows);
            if (vectors == 1)
                NAME(product)(8, 1, SPLIT, x_i, width, n_features, v_c, z_i, columns);
            else if (vectors == 2)
                NAME(product)(LOGITS_ROWS, 2, 1, x_i, width, n_features, v_c, z_i, columns);
            else
                NAME(product)(LOGITS_ROWS, 3, 1, x_i, width, n_features, v_c, z_i, columns);
        }
        c += vectors * WIDTH;
    }
}

/* The single logits of a binary tile, as sums of vectors of features. */
static NOINLINE void NAME(binary_logits)(
    const linear *m, ptrdiff_t start, const REAL *x, const REAL *v, REAL *z)
{
    const ptrdiff_t width = m->width;
    for (ptrdiff_t i = 0; i < m->tile; i += WIDTH, x += WIDTH * width) {
        NAME(vector) sum[WIDTH];
        NAME(ask_for)(m, start + m->tile + i, WIDTH);
        for (int r = 0; r < WIDTH; r++)
            sum[r] = (NAME(vector)){0};
        for (ptrdiff_t f = 0; f < width; f += WIDTH)
            for (int r = 0; r < WIDTH; r++)
                sum[r] += *(const NAME(vector) *)(x + r * width + f)
                    * *(const NAME(vector) *)(v + f);
        *(NAME(vector) *)(z + i) = NAME(sums_of)(sum);
    }
}

static NOINLINE void NAME(sparse_logits)(
    const linear *m, ptrdiff_t start, ptrdiff_t n, const REAL *v, REAL *z)
{
    const REAL *data = (const REAL *)m->x;
    const ptrdiff_t K = m->columns;
    memset(z + n * K, 0, (m->tile - n) * K * sizeof(REAL));
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL *restrict z_i = z + i * K;
        const ptrdiff_t stop = NAME(index)(m->indptr, m->wide, start + i + 1);
        for (ptrdiff_t k = 0; k < K; k++)
            z_i[k] = m->intercept ? v[m->n_features * K + k] : 0;
        for (ptrdiff_t j = NAME(index)(m->indptr, m->wide, start + i); j < stop; j++) {
            const REAL *restrict v_f = v + NAME(index)(m->indices, m->wide, j) * K;
            const REAL x = data[j];
            if (j + AHEAD < stop)
                PREFETCH(v + NAME(index)(m->indices, m->wide, j + AHEAD) * K);
            SIMD()
            for (ptrdiff_t k = 0; k < K; k++)
                z_i[k] += x * v_f[k];
        }
    }
}

/* to[k, i] = from[i, k] for n rows of K numbers, `stride` apart. Of the first `whole` of them
   whole vectors may be read, though they reach beyond the row. */
INLINE void NAME(turn)(
    const REAL *restrict from, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t K, ptrdiff_t whole,
    REAL *restrict to, ptrdiff_t T)
{
    ptrdiff_t i = 0;
#if VECTOR_BYTES && HAVE_SHUFFLE
    for (; i + WIDTH <= whole; i += WIDTH)
        for (ptrdiff_t k = 0; k < K; k += WIDTH) {
            NAME(vector) square[WIDTH];
            for (int r = 0; r < WIDTH; r++)
                square[r] = *(const NAME(vector) *)(from + (i + r) * stride + k);
            NAME(transpose)(square);
            for (int c = 0; c < WIDTH; c++)
                if (k + c < K)
                    *(NAME(vector) *)(to + (k + c) * T + i) = square[c];
        }
#endif
    for (ptrdiff_t k = 0; k < K; k++)
        for (ptrdiff_t j = i; j < n; j++)
            to[k * T + j] = from[j * stride + k];
}

/* Fill r (K, T) with the logits of rows [start, start + n), and w->x with the rows if dense. */
static NOINLINE void NAME(tile_logits)(
    const linear *m, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, K = m->n_logits;
    const REAL *v = (const REAL *)m->v;
    if (m->indptr) {
        NAME(sparse_logits)(m, start, n, v, w->z);
    } else {
        if (m->narrow)
            NAME(pack_narrow)(m, start, n, w->x);
        else
            NAME(pack)(m, start, n, w->x);
        if (K == 1)
            NAME(binary_logits)(m, start, w->x, v, w->r);
        else
            NAME(dense_logits)(m, start, w->x, v, w->z);
    }
    if (m->indptr || K > 1)
        NAME(turn)(w->z, m->columns, T, K, T, w->r, T);
    if (m->offset) {
        const REAL *offset = (const REAL *)m->offset + start * K;
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                w->r[k * T + i] += offset[i * K + k];
    }
}

/* out[c, f] += sum over rows i of r[c, i] x[i, f] for MC rows of out and NV vectors; in parts of
   every other row where there are few sums. */
INLINE void NAME(outer)(
    const int MC, const int NV, const REAL *r, ptrdiff_t r_class, ptrdiff_t r_row,
    const REAL *x, ptrdiff_t width, ptrdiff_t T, double *out, ptrdiff_t out_stride)
{
    const int NS = MC * NV <= 4 ? 4 : 1;
    NAME(vector) sum[4][MOST_CLASSES][MOST_VECTORS];
    for (int s = 0; s < NS; s++)
        for (int c = 0; c < MC; c++)
            for (int f = 0; f < NV; f++)
                sum[s][c][f] = (NAME(vector)){0};
    for (ptrdiff_t i = 0; i < T; i += NS)
        for (int s = 0; s < NS; s++) {
            NAME(vector) x_i[MOST_VECTORS];
            for (int f = 0; f < NV; f++)
                x_i[f] = *(const NAME(vector) *)(x + (i + s) * width + f * WIDTH);
            for (int c = 0; c < MC; c++)
                for (int f = 0; f < NV; f++)
                    sum[s][c][f] += r[c * r_class + (i + s) * r_row] * x_i[f];
        }
    for (int c = 0; c < MC; c++)
        for (int f = 0; f < NV; f++) {
            REAL lanes[WIDTH];
            if (NS == 4)
                sum[0][c][f] = (sum[0][c][f] + sum[1][c][f]) + (sum[2][c][f] + sum[3][c][f]);
            memcpy(lanes, &sum[0][c][f], sizeof lanes);
            for (int l = 0; l < WIDTH; l++)
                out[c * out_stride + f * WIDTH + l] += lanes[l];
        }
}

/* out (n_out, width) += r x; with `upper` only blocks that reach the upper triangle. */
static NOINLINE void NAME(add_product)(
    const REAL *r, ptrdiff_t r_class, ptrdiff_t r_row, ptrdiff_t n_out, const REAL *x,
    ptrdiff_t width, ptrdiff_t T, double *out, int upper)
{
    const ptrdiff_t n_blocks = (n_out + MOST_CLASSES - 1) / MOST_CLASSES;
    for (ptrdiff_t block = 0; block < n_blocks; block++) {
        /* blocks of nearly one size */
        const ptrdiff_t c = block * n_out / n_blocks;
        const ptrdiff_t rows = (block + 1) * n_out / n_blocks - c;
        ptrdiff_t f = upper ? c / WIDTH * WIDTH : 0;
        while (f < width) {
            const ptrdiff_t vectors = NAME(part)((width - f) / WIDTH, MOST_VECTORS);
            const REAL *r_c = r + c * r_class, *x_f = x + f;
            double *o = out + c * width + f;
#define CASE(MC, NV) \
    case 8 * NV + MC: \
        NAME(outer)(MC, NV, r_c, r_class, r_row, x_f, width, T, o, width); \
        break;
            switch (8 * vectors + rows) {
                CASE(1, 1) CASE(2, 1) CASE(3, 1) CASE(4, 1)
                CASE(1, 2) CASE(2, 2) CASE(3, 2) CASE(4, 2)
                CASE(1, 3) CASE(2, 3) CASE(3, 3) CASE(4, 3)
#if MOST_CLASSES == 6
                CASE(5, 1) CASE(5, 2) CASE(5, 3)
                CASE(6, 1) CASE(6, 2) CASE(6, 3)
                CASE(1, 4) CASE(2, 4) CASE(3, 4) CASE(4, 4) CASE(5, 4) CASE(6, 4)
#endif
            }
#undef CASE
            f += vectors * WIDTH;
        }
    }
}

/* The largest logit of each row. */
static NOINLINE void NAME(find_largest)(
    const REAL *restrict z, ptrdiff_t K, ptrdiff_t T, REAL *restrict largest)
{
    memcpy(largest, z, T * sizeof(REAL));
    for (ptrdiff_t k = 1; k < K; k++) {
        const REAL *restrict z_k = z + k * T;
        SIMD()
        for (ptrdiff_t i = 0; i < T; i++)
            largest[i] = z_k[i] > largest[i] ? z_k[i] : largest[i];
    }
}

/* total += part, which becomes 0. */
INLINE void NAME(add_part)(ptrdiff_t T, REAL *restrict part, REAL *restrict total)
{
    for (ptrdiff_t i = 0; i < T; i++) {
        total[i] += part[i];
        part[i] = 0;
    }
}

/* z becomes exp(z - largest), rest their sum without one of those that are 1. */
static NOINLINE void NAME(exponentials)(
    REAL *restrict z, ptrdiff_t K, ptrdiff_t T, const REAL *restrict largest,
    REAL *restrict ones, REAL *restrict rest, REAL *restrict part)
{
    memset(rest, 0, T * sizeof(REAL));
    memset(ones, 0, T * sizeof(REAL));
    memset(part, 0, T * sizeof(REAL));
    for (ptrdiff_t k = 0; k < K; k++) {
        REAL *restrict z_k = z + k * T;
        SIMD()
        for (ptrdiff_t i = 0; i < T; i++) {
            const REAL e = NAME(exp_of)(z_k[i] - largest[i]);
            const REAL one = e == 1 ? 1 : 0;
            ones[i] += one;
            part[i] += e - one;
            z_k[i] = e;
        }
        if ((k + 1) % SUMMED == 0 || k + 1 == K)
            NAME(add_part)(T, part, rest);
    }
    for (ptrdiff_t i = 0; i < T; i++)
        rest[i] += ones[i] - 1;
}

/* z becomes exp(z - largest), w->rest as above; logs becomes z - largest unless it is NULL. */
static void NAME(softmax)(
    REAL *restrict z, ptrdiff_t K, ptrdiff_t T, const NAME(work) *w, REAL *restrict logs)
{
    NAME(find_largest)(z, K, T, w->largest);
    for (ptrdiff_t k = 0; logs && k < K; k++)
        for (ptrdiff_t i = 0; i < T; i++)
            logs[k * T + i] = z[k * T + i] - w->largest[i];
    NAME(exponentials)(z, K, T, w->largest, w->ones, w->rest, w->part);
}

INLINE REAL NAME(log_1_plus)(REAL x)
{
    return NAME(log_ratio)(1 + x, 1, x);
}

/* The soft targets of a tile, (K, T), and the reciprocals of their sums. What is below 0 is the
   rounding of 0; written so that NaN stays. */
static NOINLINE void NAME(load_target)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, REAL *restrict y,
    REAL *restrict scale, REAL *restrict part)
{
    const ptrdiff_t T = m->tile, K = m->n_logits > 1 ? m->n_logits : 2;
    const ptrdiff_t beyond = (K + WIDTH - 1) / WIDTH * WIDTH - K;
    const ptrdiff_t whole = n - (beyond + K - 1) / K;  /* the vectors of others end in a later row */
    if (t->narrow)
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                y[k * T + i] = ((const float *)t->target)[(start + i) * K + k];
    else
        NAME(turn)((const REAL *)t->target + start * K, K, n, K, whole, y, T);
    memset(scale, 0, T * sizeof(REAL));
    memset(part, 0, T * sizeof(REAL));
    for (ptrdiff_t k = 0; k < K; k++) {
        REAL *restrict y_k = y + k * T;
        for (ptrdiff_t i = n; i < T; i++)
            y_k[i] = 1;
        SIMD()
        for (ptrdiff_t i = 0; i < T; i++) {
            y_k[i] = y_k[i] < 0 ? 0 : y_k[i];
            part[i] += y_k[i];
        }
        if ((k + 1) % SUMMED == 0 || k + 1 == K)
            NAME(add_part)(T, part, scale);
    }
    SIMD()
    for (ptrdiff_t i = 0; i < T; i++)
        scale[i] = 1 / scale[i];
}

static void NAME(load_weight)(
    const loss_term *t, double factor, ptrdiff_t start, ptrdiff_t n, ptrdiff_t T, REAL *weight)
{
    for (ptrdiff_t i = 0; i < T; i++)
        weight[i] = i < n ? (REAL)(factor * t->weight[start + i]) : 0;
}

/* z becomes factor z. */
static void NAME(scale_by)(REAL factor, REAL *restrict z, ptrdiff_t size)
{
    if (factor != 1)
        for (ptrdiff_t i = 0; i < size; i++)
            z[i] *= factor;
}

/* Weighted losses of a tile of logits w->r, which become residuals: weight (p - y). */
static NOINLINE double NAME(multinomial_tile)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, K = m->n_logits;
    const ptrdiff_t *code = (const ptrdiff_t *)t->target + start;
    REAL *restrict z = w->r, *restrict gap = w->gap, *restrict factor = w->largest;
    REAL *restrict scale = w->scale;
    const REAL *restrict y = w->y, *restrict rest = w->rest, *restrict weight = w->weight;
    double loss = 0;
    NAME(find_largest)(z, K, T, w->largest);
    memset(gap, 0, T * sizeof(REAL));
    if (t->soft) {
        NAME(load_target)(m, t, start, n, w->y, w->scale, w->part);
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < T; i++)
                gap[i] += y[k * T + i] * scale[i] * (w->largest[i] - z[k * T + i]);
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            gap[i] = w->largest[i] - z[code[i] * T + i];
    }
    NAME(exponentials)(z, K, T, w->largest, w->ones, w->rest, w->part);
    SIMD(reduction(+ : loss))
    for (ptrdiff_t i = 0; i < T; i++) {
        loss += weight[i] * (gap[i] + NAME(log_1_plus)(rest[i]));
        factor[i] = weight[i] / (1 + rest[i]);
    }
    if (t->soft) {
        /* Residuals sum to 0. That of a single largest probability is the rest of the sum: the
           difference of two numbers near 1 would lose what rare classes are fitted by. */
        REAL *restrict others = gap, *restrict part = w->part;
        const REAL *restrict ones = w->ones;
        for (ptrdiff_t i = 0; i < T; i++) {
            others[i] = 0;
            scale[i] *= weight[i];
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            REAL *restrict z_k = z + k * T;
            const REAL *restrict y_k = y + k * T;
            SIMD()
            for (ptrdiff_t i = 0; i < T; i++) {
                const REAL r = z_k[i] * factor[i] - y_k[i] * scale[i];
                part[i] += z_k[i] == 1 ? 0 : r;
            }
            if ((k + 1) % SUMMED == 0 || k + 1 == K)
                NAME(add_part)(T, part, others);
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            REAL *restrict z_k = z + k * T;
            const REAL *restrict y_k = y + k * T;
            SIMD()
            for (ptrdiff_t i = 0; i < T; i++) {
                const REAL r = z_k[i] * factor[i] - y_k[i] * scale[i];
                z_k[i] = ((z_k[i] == 1) & (ones[i] == 1)) ? -others[i] : r;
            }
        }
    } else {
        for (ptrdiff_t i = 0; i < n; i++)  /* p - 1, which does not cancel where p is near 1 */
            gap[i] = -factor[i] * (rest[i] + (1 - z[code[i] * T + i]));
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < T; i++)
                z[k * T + i] *= factor[i];
        for (ptrdiff_t i = 0; i < n; i++)
            z[code[i] * T + i] = gap[i];
    }
    return loss;
}

/* Weighted loss of one row whose target lists `count` classes, with logits z, and leaves `left` to
   one outcome more, with the logit `others`; a list of all leaves nothing. Logits become residuals;
   that of the outcome is `of_others`. */
static double NAME(listed_row)(
    const REAL *restrict y, ptrdiff_t count, REAL left, REAL weight, REAL *restrict z, REAL others,
    REAL *of_others)
{
    REAL largest = others, loss = 0, ones = 0, rest = 0, sum = 0;
    for (ptrdiff_t j = 0; j < count; j++)
        largest = z[j] > largest ? z[j] : largest;
    if (left > 0)
        loss = left * (largest - others);
    for (ptrdiff_t j = 0; j <= count; j++) {
        REAL *z_j = j < count ? &z[j] : &others;
        if (j < count)
            loss += y[j] * (largest - *z_j);
        *z_j = NAME(exp_of)(*z_j - largest);
        if (*z_j == 1)
            ones++;
        else
            rest += *z_j;
    }
    rest += ones - 1;
    /* The residual of a single largest probability is the rest of their sum, 0, as below. */
    REAL *single = NULL;
    for (ptrdiff_t j = 0; j <= count; j++) {
        REAL *z_j = j < count ? &z[j] : &others;
        const REAL r = weight * (*z_j / (1 + rest) - (j < count ? y[j] : left));
        if (*z_j == 1 && ones == 1)
            single = z_j;
        else
            sum += r;
        *z_j = r;
    }
    if (single)
        *single = -sum;
    *of_others = others;
    return weight * (loss + NAME(log_1_plus)(rest));
}

/* The same for targets that list some classes of each row. All others are one outcome, whose logit
   is the logarithm of the sum of their exponentials. What remains for them is either not divided
   any further, or in proportion to the shares of the classes: by the chain rule, the loss then has
   the loss of this distribution among them, times what remains. Residuals are that of the outcome,
   times the softmax among the others, and that of the second loss. */
static NOINLINE double NAME(listed_tile)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, K = m->n_logits, *starts = t->starts + start;
    const REAL *target = (const REAL *)t->target, *left = (const REAL *)t->left + start;
    const REAL *shares = (const REAL *)t->shares;
    REAL *restrict z = w->r, *restrict gap = w->gap, *restrict scale = w->scale;
    REAL *restrict base = w->ones, *restrict part = w->part;
    double loss = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = starts[i]; j < starts[i + 1]; j++) {
            w->listed[j - starts[0]] = z[t->listed[j] * T + i];
            z[t->listed[j] * T + i] = -(REAL)INFINITY;
        }
    NAME(find_largest)(z, K, T, w->largest);
    memset(gap, 0, T * sizeof(REAL));
    memset(part, 0, T * sizeof(REAL));
    for (ptrdiff_t k = 0; shares && k < K; k++) {
        for (ptrdiff_t i = 0; i < T; i++) {
            const REAL below = z[k * T + i] == -(REAL)INFINITY ? 0 : w->largest[i] - z[k * T + i];
            part[i] += shares[k] * below;
        }
        if ((k + 1) % SUMMED == 0 || k + 1 == K)
            NAME(add_part)(T, part, gap);
    }
    NAME(exponentials)(z, K, T, w->largest, w->ones, w->rest, w->part);
    for (ptrdiff_t i = 0; i < T; i++) {
        scale[i] = base[i] = 0;
        if (i >= n)
            continue;
        const ptrdiff_t count = starts[i + 1] - starts[i], n_others = K - count;
        const REAL log_total = n_others ? NAME(log_1_plus)(w->rest[i]) : 0;
        loss += NAME(listed_row)(
            target + starts[i], count, left[i], w->weight[i], w->listed + starts[i] - starts[0],
            w->largest[i] + log_total, &scale[i]);
        if (shares && n_others > 1 && left[i] > 0) {
            const REAL divided = w->weight[i] * left[i];
            const REAL divisor = ((const REAL *)t->divisors)[start + i];
            base[i] = divided / divisor;
            scale[i] += divided;
            loss += base[i] * (gap[i] + divisor * log_total);
        }
        if (n_others)
            scale[i] /= 1 + w->rest[i];
    }
    for (ptrdiff_t k = 0; k < K; k++) {
        const REAL share = shares ? shares[k] : 0;
        for (ptrdiff_t i = 0; i < T; i++)
            z[k * T + i] = z[k * T + i] * scale[i] - share * base[i];
    }
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = starts[i]; j < starts[i + 1]; j++)
            z[t->listed[j] * T + i] = w->listed[j - starts[0]];
    return loss;
}

/* The same for one logit, that of the second class. */
static NOINLINE double NAME(binary_tile)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, *code = (const ptrdiff_t *)t->target + start;
    REAL *restrict z = w->r, *restrict y0 = w->y, *restrict y1 = w->y + T;
    const REAL *restrict scale = w->scale, *restrict weight = w->weight;
    double loss = 0;
    if (t->soft) {
        NAME(load_target)(m, t, start, n, w->y, w->scale, w->part);
    } else {
        for (ptrdiff_t i = 0; i < T; i++) {
            y1[i] = i < n ? (REAL)code[i] : 0;
            y0[i] = 1 - y1[i];
            w->scale[i] = 1;
        }
    }
    SIMD(reduction(+ : loss))
    for (ptrdiff_t i = 0; i < T; i++) {
        const int positive = z[i] > 0;
        const REAL size = positive ? z[i] : -z[i], small = NAME(exp_of)(-size);
        const REAL p = small / (1 + small), y = (positive ? y0[i] : y1[i]) * scale[i];
        loss += weight[i] * (y * size + NAME(log_1_plus)(small));
        /* the difference of the smaller probabilities, which keeps more digits */
        z[i] = weight[i] * (positive ? y - p : p - y);
    }
    return loss;
}

INLINE REAL NAME(loss)(
    int divergence, REAL p, REAL q, REAL log_q, REAL c, REAL other, REAL *slope)
{
    switch (divergence) {
#define CASE(name, text) \
    case name: \
        return NAME(name##_loss)(p, q, log_q, c, other, slope);
    NON_CONVEX_LOSSES(CASE)
#undef CASE
    }
    return 0;
}

INLINE REAL NAME(outcomes)(
    const int divergence, ptrdiff_t K, ptrdiff_t T, double parameter, REAL *restrict z,
    REAL *restrict y, const REAL *restrict logs, const NAME(work) *w)
{
    const REAL c = (REAL)parameter, other = (REAL)(1 - parameter);
    REAL loss = 0;
    const REAL *restrict factor = w->largest, *restrict log_total = w->gap;
    const REAL *restrict scale = w->scale, *restrict weight = w->weight;
    REAL *restrict mean = w->ones;
    memset(mean, 0, T * sizeof(REAL));
    for (ptrdiff_t k = 0; k < K; k++) {
        REAL *restrict z_k = z + k * T, *restrict y_k = y + k * T;
        const REAL *restrict logs_k = logs + k * T;
        SIMD(reduction(+ : loss))
        for (ptrdiff_t i = 0; i < T; i++) {
            const REAL q = z_k[i] * factor[i];
            REAL slope;
            const REAL value = NAME(loss)(
                divergence, y_k[i] * scale[i], q, logs_k[i] - log_total[i], c, other, &slope);
            const int counts = weight[i] > 0;  /* if not, it may be infinite */
            slope = counts ? slope : 0;
            loss += counts ? weight[i] * value : 0;
            mean[i] += slope;
            z_k[i] = q;
            y_k[i] = slope;
        }
    }
    return loss;
}

/* The same for divergences after the first, with one logit or several. */
static NOINLINE double NAME(divergence_tile)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, K = m->n_logits > 1 ? m->n_logits : 2;
    REAL *restrict z = m->n_logits > 1 ? w->r : w->pair, *restrict y = w->y;
    double loss = 0;
    if (m->n_logits == 1) {
        memset(z, 0, T * sizeof(REAL));
        memcpy(z + T, w->r, T * sizeof(REAL));
    }
    NAME(load_target)(m, t, start, n, y, w->scale, w->part);
    NAME(softmax)(z, K, T, w, w->logs);
    for (ptrdiff_t i = 0; i < T; i++) {
        w->gap[i] = NAME(log_1_plus)(w->rest[i]);
        w->largest[i] = 1 / (1 + w->rest[i]);
    }
    switch (t->divergence) {
#define CASE(name, text) \
    case name: \
        loss = NAME(outcomes)(name, K, T, t->parameter, z, y, w->logs, w); \
        break;
    NON_CONVEX_LOSSES(CASE)
#undef CASE
    }
    y += (K - m->n_logits) * T;  /* if binary, the second class */
    z += (K - m->n_logits) * T;
    for (ptrdiff_t k = 0; k < m->n_logits; k++)
        for (ptrdiff_t i = 0; i < T; i++)
            w->r[k * T + i] = w->weight[i] * (y[k * T + i] - z[k * T + i] * w->ones[i]);
    return loss;
}

/* Weighted losses of a tile of logits w->r by one term; these become its residuals. */
static double NAME(term_tile)(
    const linear *m, const loss_term *t, ptrdiff_t start, ptrdiff_t n, NAME(work) *w)
{
    const ptrdiff_t T = m->tile, size = m->n_logits * T;
    const REAL factor = (REAL)t->inverse_temperature;
    double loss;
    NAME(load_weight)(t, 1, start, n, T, w->weight);
    NAME(scale_by)(factor, w->r, size);
    if (t->divergence != FORWARD_KL)
        loss = NAME(divergence_tile)(m, t, start, n, w);
    else if (t->starts)
        loss = NAME(listed_tile)(m, t, start, n, w);
    else
        loss = (m->n_logits == 1 ? NAME(binary_tile) : NAME(multinomial_tile))(
            m, t, start, n, w);
    NAME(scale_by)(factor, w->r, size);
    return loss;
}

/* Logits become probabilities unless binary; h as in curvature below, whose sums over rows for each
   class are added to of_classes unless that is NULL. */
static NOINLINE void NAME(curvature_tile)(
    const linear *m, NAME(work) *w, REAL *restrict h, double *restrict of_classes)
{
    const ptrdiff_t T = m->tile, K = m->n_logits;
    REAL *restrict z = w->r, *restrict factor = w->largest;
    const REAL *restrict rest = w->rest, *restrict weight = w->weight;
    if (K == 1) {
        SIMD()
        for (ptrdiff_t i = 0; i < T; i++) {
            const REAL small = NAME(exp_of)(z[i] > 0 ? -z[i] : z[i]), total = 1 + small;
            h[i] = weight[i] * (small / (total * total));
        }
        return;
    }
    NAME(softmax)(z, K, T, w, NULL);
    for (ptrdiff_t i = 0; i < T; i++) {
        factor[i] = 1 / (1 + rest[i]);
        h[i] = 0;
    }
    for (ptrdiff_t k = 0; k < K; k++) {
        REAL sum = 0;
        SIMD(reduction(+ : sum))
        for (ptrdiff_t i = 0; i < T; i++) {
            const REAL e = z[k * T + i], p = e * factor[i];
            const REAL of_class = p * ((rest[i] + (1 - e)) * factor[i]);
            h[i] += of_class;
            sum += weight[i] * of_class;
            z[k * T + i] = p;
        }
        if (of_classes)
            of_classes[k] += sum;
    }
    for (ptrdiff_t i = 0; i < T; i++)
        h[i] *= weight[i];
}

/* gradient[f, k] += x[i, f] r[k, i] for a CSR matrix */
static NOINLINE void NAME(add_sparse)(
    const linear *m, ptrdiff_t start, ptrdiff_t n, const NAME(work) *w, double *gradient)
{
    const REAL *data = (const REAL *)m->x;
    const ptrdiff_t T = m->tile, K = m->n_logits;
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL *restrict r = w->z;
        const ptrdiff_t stop = NAME(index)(m->indptr, m->wide, start + i + 1);
        for (ptrdiff_t k = 0; k < K; k++)
            r[k] = w->r[k * T + i];
        for (ptrdiff_t j = NAME(index)(m->indptr, m->wide, start + i); j < stop; j++) {
            double *restrict g = gradient + NAME(index)(m->indices, m->wide, j) * K;
            const REAL x = data[j];
            if (j + AHEAD < stop)
                PREFETCH(gradient + NAME(index)(m->indices, m->wide, j + AHEAD) * K);
            SIMD()
            for (ptrdiff_t k = 0; k < K; k++)
                g[k] += x * r[k];
        }
        if (m->intercept)
            for (ptrdiff_t k = 0; k < K; k++)
                gradient[m->n_features * K + k] += r[k];
    }
}

/* Add to gradient (K, width), for CSR data (n_features + intercept, K); returns the loss of rows
   [start, stop). */
static double NAME(objective)(
    const linear *m, ptrdiff_t start, ptrdiff_t stop, char *memory, double *gradient)
{
    const ptrdiff_t T = m->tile, K = m->n_logits;
    double loss = 0;
    NAME(work) w;
    NAME(partition)(m, memory, &w);
    for (; start < stop; start += T) {
        const ptrdiff_t n = stop - start < T ? stop - start : T;
        NAME(tile_logits)(m, start, n, &w);
        if (m->n_terms == 1) {
            loss += NAME(term_tile)(m, &m->terms[0], start, n, &w);
        } else {
            REAL *logits = w.r;
            memcpy(w.saved, logits, K * T * sizeof(REAL));
            loss += NAME(term_tile)(m, &m->terms[0], start, n, &w);
            w.r = w.saved;
            loss += NAME(term_tile)(m, &m->terms[1], start, n, &w);
            for (ptrdiff_t j = 0; j < K * T; j++)
                logits[j] += w.saved[j];
            w.r = logits;
        }
        if (m->indptr)
            NAME(add_sparse)(m, start, n, &w, gradient);
        else
            NAME(add_product)(w.r, T, 1, K, w.x, m->width, T, gradient, 0);
    }
    return loss;
}

/* Accumulate the curvature over rows [start, stop) and all loss terms. Every divergence is
   approximated by forward KL, which is exact where model and target agree. Returns the sum of
   h = weight sum p (1 - p), for a binary target weight p (1 - p). Adds h x x' to the Gram matrix,
   the upper triangle of (width, width) if m->full, otherwise the diagonal, and behind it weight
   p p', (K, columns), if m->products, otherwise weight p (1 - p), (K,). */
static double NAME(curvature)(
    const linear *m, ptrdiff_t start, ptrdiff_t stop, char *memory, double *gram)
{
    const ptrdiff_t T = m->tile, K = m->n_logits, width = m->width;
    double *products = gram + m->n_gram;
    const int full = m->full;
    double total = 0;
    NAME(work) w;
    NAME(partition)(m, memory, &w);
    for (; start < stop; start += T) {
        const ptrdiff_t n = stop - start < T ? stop - start : T;
        REAL *h = w.gap;
        NAME(tile_logits)(m, start, n, &w);
        if (m->n_terms > 1)
            memcpy(w.saved, w.r, K * T * sizeof(REAL));
        for (int j = 0; j < m->n_terms; j++) {
            const loss_term *t = &m->terms[j];
            const double factor = t->inverse_temperature;
            if (j > 0)
                memcpy(w.r, w.saved, K * T * sizeof(REAL));
            NAME(load_weight)(t, factor * factor, start, n, T, w.weight);
            NAME(scale_by)((REAL)factor, w.r, K * T);
            NAME(curvature_tile)(m, &w, j == 0 ? h : w.scale, m->products ? NULL : products);
            for (ptrdiff_t i = 0; i < T && j > 0; i++)
                h[i] += w.scale[i];
            if (!m->products)
                continue;
            for (ptrdiff_t k = 0; k < K; k++)
                for (ptrdiff_t i = 0; i < T; i++) {
                    w.z[i * m->columns + k] = w.r[k * T + i];
                    w.r[k * T + i] *= w.weight[i];
                }
            NAME(add_product)(w.r, T, 1, K, w.z, m->columns, T, products, 0);
        }
        for (ptrdiff_t i = 0; i < n; i++)
            total += h[i];
        if (m->indptr && !full) {
            const REAL *data = (const REAL *)m->x;
            for (ptrdiff_t i = 0; i < n; i++) {
                const ptrdiff_t end = NAME(index)(m->indptr, m->wide, start + i + 1);
                for (ptrdiff_t j = NAME(index)(m->indptr, m->wide, start + i); j < end; j++)
                    gram[NAME(index)(m->indices, m->wide, j)] += h[i] * data[j] * data[j];
                if (m->intercept)
                    gram[m->n_features] += h[i];
            }
            continue;
        }
        if (m->indptr)
            NAME(pack_sparse)(m, start, n, w.x);
        for (ptrdiff_t i = 0; i < T; i++)
            for (ptrdiff_t f = 0; f < width; f++)
                w.scaled[i * width + f] = h[i] * w.x[i * width + f];
        if (full) {
            NAME(add_product)(
                w.scaled, 1, width, m->n_features + m->intercept, w.x, width, T, gram, 1);
        } else {
            for (ptrdiff_t i = 0; i < T; i++)
                for (ptrdiff_t f = 0; f < width; f++)
                    gram[f] += w.scaled[i * width + f] * w.x[i * width + f];
        }
    }
    return total;
}

/* Write what is predicted of rows [start, stop), of outputs (n, K), (n, 2) if binary; raw
   predictions (n, K), the largest log-odds (n, 1). Returns 0. */
static double NAME(predict)(
    const linear *m, ptrdiff_t start, ptrdiff_t stop, char *memory, double *unused)
{
    const ptrdiff_t T = m->tile, K = m->n_logits;
    const int what = m->what;
    const int probabilities = what == PROBABILITY || what == LOG_PROBABILITY;
    const ptrdiff_t n_out = what == LARGEST_LOG_ODDS ? 1 : probabilities && K == 1 ? 2 : K;
    REAL *out = (REAL *)m->out + start * n_out;
    NAME(work) w;
    NAME(partition)(m, memory, &w);
    for (; start < stop; start += T, out += T * n_out) {
        const ptrdiff_t n = stop - start < T ? stop - start : T;
        REAL *restrict z = w.r;
        NAME(tile_logits)(m, start, n, &w);
        NAME(scale_by)((REAL)m->inverse_temperature, z, K * T);
        if (what == LARGEST_LOG_ODDS) {
            REAL *restrict smallest = w.rest;
            NAME(find_largest)(z, K, T, w.largest);
            for (ptrdiff_t i = 0; i < T; i++)
                smallest[i] = K == 1 && z[i] > 0 ? -z[i] : z[i];
            for (ptrdiff_t j = T; j < K * T; j += T)
                for (ptrdiff_t i = 0; i < T; i++)
                    smallest[i] = z[j + i] < smallest[i] ? z[j + i] : smallest[i];
            for (ptrdiff_t i = 0; i < T; i++)
                w.largest[i] = K == 1 ? -smallest[i] : w.largest[i] - smallest[i];
            z = w.largest;
        } else if (probabilities && K == 1) {
            SIMD()
            for (ptrdiff_t i = 0; i < T; i++) {
                const int positive = z[i] > 0;
                const REAL size = positive ? z[i] : -z[i], small = NAME(exp_of)(-size);
                const REAL log_total = NAME(log_1_plus)(small), total = 1 + small;
                const REAL larger = what == PROBABILITY ? 1 / total : -log_total;
                const REAL smaller = what == PROBABILITY ? small / total : -size - log_total;
                w.y[i] = positive ? smaller : larger;
                w.y[T + i] = positive ? larger : smaller;
            }
            z = w.y;
        } else if (probabilities) {
            REAL *restrict log_p = w.y;
            NAME(softmax)(z, K, T, &w, log_p);
            SIMD()
            for (ptrdiff_t i = 0; i < T; i++)
                w.gap[i] = what == PROBABILITY ? 1 / (1 + w.rest[i]) : NAME(log_1_plus)(w.rest[i]);
            for (ptrdiff_t j = 0; j < K * T; j += T)
                for (ptrdiff_t i = 0; i < T; i++)
                    log_p[j + i] = what == PROBABILITY ? z[j + i] * w.gap[i]
                        : log_p[j + i] - w.gap[i];
            z = log_p;
        }
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t k = 0; k < n_out; k++)
                out[i * n_out + k] = z[k * T + i];
    }
    return 0;
}

static ptrdiff_t NAME(work_size)(const linear *m)
{
    NAME(work) w;
    return NAME(partition)(m, NULL, &w) + 64;
}

#undef WIDTH
#undef LOGITS_ROWS
#undef SPLIT
#undef MOST_CLASSES
#undef MOST_VECTORS
