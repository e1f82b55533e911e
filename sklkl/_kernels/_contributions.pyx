# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What each outcome adds to a KL divergence.

Here every term must be accurate by itself, not only their sum: the masses of both rows are
summed to twice the working precision, and the factor 1 + rho that gives q the mass of p is
kept in two parts. Entries are scaled as in the careful way of ``rows.h``.
"""
import numpy as np

from libc.math cimport INFINITY, NAN, fabs

from sklkl._kernels._buffers cimport Buffers, refuse_misfits

cdef extern from *:
    """
    #include "portable.h"
    #define LEVEL_NAME baseline
    #define HAVE_FMA BASELINE_FMA
    #define PRECISE 1
    #include "real.h"
    """

cdef extern from * nogil:
    double log_ratio "log_ratio_d_baseline"(double, double, double)
    double minus_scaled "minus_scaled_d_baseline"(double, double, double)
    const double SCALE
    const double TINY
    const double ROUNDING

ctypedef fused floating:
    float
    double


cdef inline double entry(const floating* row, Py_ssize_t stride, Py_ssize_t j) noexcept nogil:
    cdef double x = (<const floating*> (<const char*> row + j * stride))[0]
    return 0.0 if -ROUNDING <= x < 0.0 else SCALE * x


cdef inline double raised(double x) noexcept nogil:
    return x if x > TINY else TINY


cdef struct Mass:
    double high
    double low
    bint valid


cdef Mass mass_of(
    const floating* row, Py_ssize_t stride, Py_ssize_t k, double tolerance
) noexcept nogil:
    """Sum of a row in two parts: nothing is lost (Knuth, 1969); is the row valid?"""
    cdef Mass mass
    cdef double x, total, part
    cdef Py_ssize_t j
    mass.high = mass.low = 0.0
    mass.valid = True
    for j in range(k):
        x = entry(row, stride, j)
        mass.valid &= x >= 0.0
        total = mass.high + x
        part = total - mass.high
        mass.low += (mass.high - (total - part)) + (x - part)
        mass.high = total
    mass.valid &= fabs(mass.high / SCALE - 1.0) <= tolerance
    return mass


cdef void contributions_of_row(
    const floating* p, Py_ssize_t p_stride, const floating* q, Py_ssize_t q_stride,
    Py_ssize_t k, double scale, double tolerance, bint weighted, floating* out,
) noexcept nogil:
    cdef Mass p_mass = mass_of(p, p_stride, k, tolerance)
    cdef Mass q_mass = mass_of(q, q_stride, k, tolerance)
    cdef double gap, low_gap, rho, rho_low, a, b, difference, log_p_q
    cdef Py_ssize_t j
    if not (p_mass.valid and q_mass.valid):
        out[0] = NAN
        return
    gap = p_mass.high - q_mass.high
    low_gap = p_mass.low - q_mass.low
    rho = (gap + low_gap) / q_mass.high
    rho_low = (
        minus_scaled(gap, q_mass.high, rho) + low_gap - rho * q_mass.low) / q_mass.high
    for j in range(k):
        a = entry(p, p_stride, j)
        b = entry(q, q_stride, j)
        if a == 0.0:
            out[j] = <floating> (0.0 if weighted else -INFINITY)
        elif b == 0.0:
            out[j] = <floating> INFINITY
        else:
            difference = minus_scaled(a - b, b, rho) - b * rho_low
            log_p_q = log_ratio(raised(a), raised(b + b * rho), difference)
            out[j] = <floating> (scale * log_p_q * (a / p_mass.high if weighted else 1.0))


cdef void fill(
    const floating* p, const Py_buffer* a, const floating* q, const Py_buffer* b,
    double scale, double tolerance, bint weighted, floating* out,
) noexcept nogil:
    cdef Py_ssize_t i, k = a.shape[1]
    for i in range(a.shape[0]):
        contributions_of_row(
            <const floating*> (<const char*> p + i * a.strides[0]), a.strides[1],
            <const floating*> (<const char*> q + i * b.strides[0]), b.strides[1],
            k, scale, tolerance, weighted, out + i * k)


def contribution_rows(p, q, double scale, double tolerance, bint weighted):
    """Return p log(p / q) times scale for 2-D arrays; out[i, 0] is NaN for an invalid row.

    Not weighted: log(p / q), and -inf where p is 0.
    """
    cdef Buffers buffers = Buffers.__new__(Buffers)
    cdef Py_buffer *a = buffers.of(p)
    cdef Py_buffer *b = buffers.of(q)
    refuse_misfits(a, b, True)
    result = np.empty(p.shape, p.dtype)
    cdef void* out = buffers.of(result, True).buf
    with nogil:
        if a.itemsize == 8:
            fill(<const double*> a.buf, a, <const double*> b.buf, b,
                 scale, tolerance, weighted, <double*> out)
        else:
            fill(<const float*> a.buf, a, <const float*> b.buf, b,
                 scale, tolerance, weighted, <float*> out)
    return result
