# cython: cdivision=True
"""The pointwise terms: what one outcome adds to a divergence.

Every term is written so that nothing cancels. They rest on

    kl_term(a, b) = a log(a / b) - a + b  >=  0,

whose sum over a pair of rows of equal mass is the KL divergence. Because each term is
non-negative, the relative accuracy of a term is that of the sum. Three points:

(a) The difference ``a - b`` is an argument of its own. The caller knows it to full
    relative accuracy even when a and b agree to 12 digits and b was rescaled;
    subtracting the rounded numbers would lose what matters.
(b) The ratio a / b is brought into [2/3, 3/2] by moving a power of two 2^e into b, exactly
    and without a branch, through the bit patterns. With s = (a - b) / (a + b) and
    w = s^2 <= 0.04, log(a / b) = 2 atanh(s) = 2 s (1 + w B(w)) and
    kl_term = (a + b) w (1 + s (1 + s) B(w)).
(c) B(w) = (atanh(s)/s - 1)/w is the degree-7 interpolant at the Chebyshev nodes of
    [0, 0.0401]; its relative error is 6e-17.

Arguments are finite and >= TINY_SCALED: the callers scale rows by 2^64 and raise zeros to
TINY_SCALED, a quarter of the least positive double after that scaling. So no subnormal
number and no division 0 / 0 occurs, and the effect of a raised zero is below rounding.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define SKLKL_SCALE 0x1p64
    #define SKLKL_TINY_SCALED 0x1p-1012
    """
    const double SCALE "SKLKL_SCALE"
    const double TINY_SCALED "SKLKL_TINY_SCALED"


cdef inline double poly_atanh(double w) noexcept nogil:
    """B(w) = (atanh(sqrt(w))/sqrt(w) - 1) / w for 0 <= w <= 0.0401."""
    # Even and odd powers apart: half the latency of Horner's rule.
    cdef double v = w * w
    cdef double even = 0.3333333333333333 + v * (
        0.14285714283637968 + v * (0.09090868813151469 + v * 0.06604854121029731))
    cdef double odd = 0.2000000000000397 + v * (
        0.11111111524175794 + v * (0.07694433902806859 + v * 0.06804515131429249))
    return even + w * odd


cdef inline uint64_t bits_of(double x) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &x, 8)
    return bits


cdef inline double double_of(uint64_t bits) noexcept nogil:
    cdef double x
    memcpy(&x, &bits, 8)
    return x


cdef inline uint64_t biased_exponent(double a, double b) noexcept nogil:
    """2048 + e, where 2^e is near a / b.

    The bias keeps the shift logical: vector units before AVX-512 have no arithmetic one.
    """
    return (bits_of(a) - bits_of(b) + ((<uint64_t> 1 << 63) + (<uint64_t> 1 << 51))) >> 52


cdef inline double exponent(uint64_t biased) noexcept nogil:
    """e as a double: the low bits of 2^52, which vectorises, as a conversion does not."""
    return double_of(biased | <uint64_t> 0x4330000000000000) - (4503599627370496.0 + 2048.0)


cdef inline double shifted(double b, uint64_t biased) noexcept nogil:
    """2^e b, exactly."""
    return double_of(bits_of(b) + (biased << 52) - (<uint64_t> 1 << 63))


cdef inline double difference_after_shift(
    double a, double b2, double a_minus_b, uint64_t biased
) noexcept nogil:
    """a_minus_b where nothing was shifted, else a - b2: a selection without a branch."""
    cdef uint64_t same = 0 - (((biased ^ 2048) - 1) >> 63)
    return double_of((bits_of(a_minus_b) & same) | (bits_of(a - b2) & ~same))


cdef inline double raised(double x) noexcept nogil:
    """max(x, TINY_SCALED)."""
    return x if x > TINY_SCALED else TINY_SCALED


cdef inline double log_ratio(double a, double b, double a_minus_b) noexcept nogil:
    """log(a / b)."""
    cdef uint64_t biased = biased_exponent(a, b)
    cdef double e = exponent(biased)
    cdef double b2 = shifted(b, biased)
    cdef double diff = difference_after_shift(a, b2, a_minus_b, biased)
    cdef double s = diff / (a + b2)
    cdef double w = s * s
    return e * 0.6931471805599453 + 2.0 * s * (1.0 + w * poly_atanh(w))


cdef inline double kl_term(double a, double b, double a_minus_b) noexcept nogil:
    """a log(a / b) - a + b."""
    cdef uint64_t biased = biased_exponent(a, b)
    cdef double e = exponent(biased)
    cdef double b2 = shifted(b, biased)
    cdef double diff = difference_after_shift(a, b2, a_minus_b, biased)
    cdef double total = a + b2
    cdef double s = diff / total
    cdef double w = s * s
    cdef double near = total * w * (1.0 + s * (1.0 + s) * poly_atanh(w))
    return a * (e * 0.6931471805599453) + near + (b - b2)


cdef inline double js_term(
    double a, double b, double a_minus_b, double weight
) noexcept nogil:
    """weight a log(a / m) + (1 - weight) b log(b / m), m = weight a + (1 - weight) b.

    The parts -a + m and -b + m of the two KL terms cancel once weighted.
    """
    cdef double m = weight * a + (1.0 - weight) * b
    return weight * kl_term(a, m, (1.0 - weight) * a_minus_b) + (
        1.0 - weight) * kl_term(b, m, -weight * a_minus_b)


cdef inline double minus_scaled(double x, double b, double rho) noexcept nogil:
    """x - b * rho, rounded once, also where x and b * rho nearly cancel.

    Veltkamp's splitting and Dekker's product: the parts of b * rho are exact.
    """
    cdef double c = 134217729.0 * b
    cdef double b_high = c - (c - b)
    cdef double b_low = b - b_high
    c = 134217729.0 * rho
    cdef double rho_high = c - (c - rho)
    cdef double rho_low = rho - rho_high
    return ((x - b_high * rho_high) - b_high * rho_low - b_low * rho_high) - b_low * rho_low
