# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Loops over pairs of rows: one divergence per row.

How a row runs. It is read in blocks that fit the first-level cache: *load* turns any
dtype and stride into scaled doubles, a first pass sums and checks, a second pass
normalises, applies the pointwise term (``_terms.pxd``) and sums. The parts are separate
loops over short contiguous buffers, which is what compilers vectorise, and what makes
dtype, stride and term independent of each other.

(a) Rows are normalised exactly: with rho = (sum p - sum q) / sum q, the row t = q (1 + rho)
    has the mass of p, and sum_j kl_term(p_j, t_j) / sum p is the KL divergence of the
    normalised rows. The difference p - t is computed as (p - q) - q rho without rounding in
    between, so near-equal rows keep their digits. The rounding of rho leaves an excess
    r = sum (p - t), which adds r^2 / (2 sum p) to the sum of terms to third order (weight
    (1 - weight) times that in the Jensen-Shannon divergence); it is subtracted.
(b) A row belongs to one thread and is summed in a fixed order: results do not depend on the
    number of threads.
(c) A row that is no probability vector gets NaN, which no valid row can give. The caller
    looks for NaN in the (n_rows,) result and words the error; nothing is read twice for it.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, fabs, log1p

from sklkl._kernels._terms cimport (
    SCALE, js_term, kl_term, log_ratio, minus_scaled, raised,
)

ctypedef fused floating:
    float
    double

cdef enum:
    BLOCK = 128  # doubles: four buffers take 4 KiB of the first-level cache
    LANES = 8

cpdef enum Term:
    KL = 0
    JENSEN_SHANNON = 1


cdef inline bint load(
    const floating* row, Py_ssize_t stride, Py_ssize_t start, int m, double* out
) noexcept nogil:
    """Copy m strided numbers, scaled, to a buffer padded with zeros; any negative?

    ``stride`` is in bytes, as buffers have it.
    """
    cdef const char* first = <const char*> row + start * stride
    cdef int j
    cdef bint negative = False
    if stride == sizeof(floating):
        for j in range(m):
            out[j] = SCALE * (<const floating*> first)[j]
    else:
        for j in range(m):
            out[j] = SCALE * (<const floating*> (first + j * stride))[0]
    for j in range(m):
        negative |= out[j] < 0.0
    for j in range(m, padded(m)):
        out[j] = 0.0
    return negative


cdef inline int padded(int m) noexcept nogil:
    """Length up to which buffers are filled: whole lanes, but short rows stay short."""
    return (m + LANES - 1) // LANES * LANES if m > LANES // 2 else m


cdef inline Py_ssize_t n_blocks(Py_ssize_t k) noexcept nogil:
    return (k + BLOCK - 1) // BLOCK


cdef inline double sum_block(const double* x, int m) noexcept nogil:
    """Sum of x[:padded(m)] in independent lanes, which keeps the error near one ulp."""
    cdef double[LANES] lane
    cdef double total
    cdef int j, i
    if m <= LANES // 2:
        total = x[0]
        for j in range(1, m):
            total += x[j]
        return total
    for i in range(LANES):
        lane[i] = x[i]
    for j in range(1, padded(m) // LANES):
        for i in range(LANES):
            lane[i] += x[j * LANES + i]
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + (
        (lane[2] + lane[6]) + (lane[3] + lane[7]))


cdef inline bint is_distribution(
    bint negative, double total, double tolerance,
) noexcept nogil:
    # Written so that NaN fails; a sum of finite rows is scaled by SCALE.
    return not negative and fabs(total / SCALE - 1.0) <= tolerance


cdef inline bint normalise_one(
    double* p, double* q, double* difference, double rho
) noexcept nogil:
    """Give q its share of the mass of p, set p - q, raise zeros; is p > 0 where q = 0?"""
    cdef bint uncovered = (p[0] > 0.0) & (q[0] == 0.0)
    difference[0] = minus_scaled(p[0] - q[0], q[0], rho)
    q[0] += q[0] * rho
    p[0] = raised(p[0])
    q[0] = raised(q[0])
    return uncovered


cdef inline bint normalise(
    double* p, double* q, double* difference, int m, double rho
) noexcept nogil:
    """normalise_one for a block; the padding gets terms that are zero."""
    cdef int j
    cdef bint uncovered = False
    for j in range(m):
        uncovered |= normalise_one(&p[j], &q[j], &difference[j], rho)
    for j in range(m, padded(m)):
        p[j] = 1.0
        q[j] = 1.0
        difference[j] = 0.0
    return uncovered


cdef double divergence_of_row(
    Term term, const floating* p, Py_ssize_t p_stride, const floating* q, Py_ssize_t q_stride,
    Py_ssize_t k, double weight, double tolerance,
) noexcept nogil:
    cdef double[BLOCK] a, b, c
    cdef double p_sum = 0.0, q_sum = 0.0, difference_sum = 0.0, result = 0.0, rho
    cdef double excess = 0.0  # of the mass of p over that of q, once q is scaled
    cdef bint p_negative = False, q_negative = False, uncovered = False
    cdef Py_ssize_t block, start = 0
    cdef int j, m = 0
    for block in range(n_blocks(k)):
        start = block * BLOCK
        m = <int> min(BLOCK, k - start)
        p_negative |= load(p, p_stride, start, m, a)
        q_negative |= load(q, q_stride, start, m, b)
        for j in range(padded(m)):
            c[j] = a[j] - b[j]
        p_sum += sum_block(a, m)
        q_sum += sum_block(b, m)
        difference_sum += sum_block(c, m)
    if not (is_distribution(p_negative, p_sum, tolerance)
            and is_distribution(q_negative, q_sum, tolerance)):
        return NAN
    rho = difference_sum / q_sum
    for block in range(n_blocks(k)):
        start = block * BLOCK
        if k > BLOCK:
            m = <int> min(BLOCK, k - start)
            load(p, p_stride, start, m, a)
            load(q, q_stride, start, m, b)
        uncovered |= normalise(a, b, c, m, rho)
        excess += sum_block(c, m)
        if term == KL:
            for j in range(padded(m)):
                c[j] = kl_term(a[j], b[j], c[j])
        elif term == JENSEN_SHANNON:
            for j in range(padded(m)):
                c[j] = js_term(a[j], b[j], c[j], weight)
        result += sum_block(c, m)
    excess = 0.5 * excess * (excess / p_sum)
    if term == KL:
        return INFINITY if uncovered else max(result - excess, 0.0) / p_sum
    return max(result - weight * (1.0 - weight) * excess, 0.0) / p_sum


def divergence_rows(
    Term term, const floating[:, :] p, const floating[:, :] q, double weight,
    double tolerance, double[::1] out, int n_threads,
):
    """Fill out[i] with the divergence (nats) of rows i; NaN where a row is invalid.

    ``weight`` is used by JENSEN_SHANNON alone; ``tolerance`` bounds abs(sum - 1).
    """
    cdef Py_ssize_t i, n = p.shape[0], k = p.shape[1]
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        out[i] = divergence_of_row(
            term, &p[i, 0], p.strides[1], &q[i, 0],
            q.strides[1], k, weight, tolerance)


cdef struct SplitSum:
    double rest
    double largest
    bint negative


cdef inline void add_split(SplitSum* s, const double* x, int m) noexcept nogil:
    """Sum a row apart from its largest entry, which may hide the rest in rounding."""
    cdef int j
    cdef double rest = 0.0
    for j in range(m):
        rest += s.largest if x[j] >= s.largest else x[j]  # NaN sticks in rest
        s.largest = x[j] if x[j] > s.largest else s.largest
    s.rest += rest


cdef double cross_entropy_of_row(
    const floating* p, Py_ssize_t p_stride, const floating* q, Py_ssize_t q_stride,
    Py_ssize_t k, double tolerance,
) noexcept nogil:
    """sum p log(sum q / q) / sum p, each logarithm non-negative and relatively accurate.

    Only the largest q can exceed half of the mass; its logarithm is log1p(rest / largest).
    """
    cdef double[BLOCK] a, b
    cdef double p_sum = 0.0, q_sum, largest_term, term, result = 0.0
    cdef bint p_negative = False, uncovered = False
    cdef SplitSum split
    cdef Py_ssize_t block, start = 0
    cdef int j, m = 0
    split.rest = split.largest = 0.0
    split.negative = False
    for block in range(n_blocks(k)):
        start = block * BLOCK
        m = <int> min(BLOCK, k - start)
        p_negative |= load(p, p_stride, start, m, a)
        split.negative |= load(q, q_stride, start, m, b)
        p_sum += sum_block(a, m)
        add_split(&split, b, m)
    q_sum = split.rest + split.largest
    if not (is_distribution(p_negative, p_sum, tolerance)
            and is_distribution(split.negative, q_sum, tolerance)):
        return NAN
    largest_term = log1p(split.rest / split.largest)
    for block in range(n_blocks(k)):
        start = block * BLOCK
        if k > BLOCK:
            m = <int> min(BLOCK, k - start)
            load(p, p_stride, start, m, a)
            load(q, q_stride, start, m, b)
        for j in range(m):
            uncovered |= (a[j] > 0.0) & (b[j] == 0.0)
            term = log_ratio(q_sum, raised(b[j]), q_sum - b[j])
            b[j] = a[j] * (largest_term if b[j] == split.largest else term)
        result += sum_block(b, m)
    return INFINITY if uncovered else result / p_sum


def cross_entropy_rows(
    const floating[:, :] p, const floating[:, :] q, double tolerance, double[::1] out,
    int n_threads,
):
    """Fill out[i] with the cross-entropy (nats) of rows i; NaN where a row is invalid."""
    cdef Py_ssize_t i, n = p.shape[0], k = p.shape[1]
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        out[i] = cross_entropy_of_row(
            &p[i, 0], p.strides[1], &q[i, 0], q.strides[1],
            k, tolerance)


cdef inline void two_sum(double* high, double* low, double x) noexcept nogil:
    """high + low + x without loss (Knuth, 1969): the error of the sum goes to low."""
    cdef double total = high[0] + x
    cdef double part = total - high[0]
    low[0] += (high[0] - (total - part)) + (x - part)
    high[0] = total


cdef void contributions_of_row(
    const floating* p, Py_ssize_t p_stride, const floating* q, Py_ssize_t q_stride,
    Py_ssize_t k, double scale, double tolerance, floating* out,
) noexcept nogil:
    """p log(p / q) of each outcome of the normalised rows.

    Here every term must be accurate by itself, not only their sum: both masses are
    summed to twice the working precision, and rho is kept in two parts.
    """
    cdef double[BLOCK] a, b
    cdef double p_sum = 0.0, p_low = 0.0, q_sum = 0.0, q_low = 0.0, gap, rho, rho_low
    cdef double difference, low_part
    cdef bint p_negative = False, q_negative = False, uncovered
    cdef Py_ssize_t block, start = 0
    cdef int j, m = 0
    for block in range(n_blocks(k)):
        start = block * BLOCK
        m = <int> min(BLOCK, k - start)
        p_negative |= load(p, p_stride, start, m, a)
        q_negative |= load(q, q_stride, start, m, b)
        for j in range(m):
            two_sum(&p_sum, &p_low, a[j])
            two_sum(&q_sum, &q_low, b[j])
    if not (is_distribution(p_negative, p_sum, tolerance)
            and is_distribution(q_negative, q_sum, tolerance)):
        out[0] = NAN
        return
    gap = p_sum - q_sum
    rho = (gap + (p_low - q_low)) / q_sum
    rho_low = (minus_scaled(gap, q_sum, rho) + (p_low - q_low) - rho * q_low) / q_sum
    for block in range(n_blocks(k)):
        start = block * BLOCK
        if k > BLOCK:
            m = <int> min(BLOCK, k - start)
            load(p, p_stride, start, m, a)
            load(q, q_stride, start, m, b)
        for j in range(m):
            if a[j] == 0.0:
                out[start + j] = 0.0
                continue
            low_part = b[j] * rho_low
            uncovered = normalise_one(&a[j], &b[j], &difference, rho)
            difference -= low_part
            out[start + j] = <floating> (
                INFINITY if uncovered
                else a[j] / p_sum * log_ratio(a[j], b[j], difference) * scale)


def contribution_rows(
    const floating[:, :] p, const floating[:, :] q, double scale, double tolerance,
    floating[:, ::1] out, int n_threads,
):
    """Fill out[i, j] with p log(p / q) times scale; out[i, 0] is NaN for an invalid row."""
    cdef Py_ssize_t i, n = p.shape[0], k = p.shape[1]
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        contributions_of_row(
            &p[i, 0], p.strides[1], &q[i, 0], q.strides[1],
            k, scale, tolerance, &out[i, 0])
