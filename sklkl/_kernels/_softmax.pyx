# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Softmax, its logarithm, and the KL divergence of a target to it with its gradient.

``raw`` holds logits, (n, K). A single column is the binary problem: the logit of the
second of two classes. A target is either soft, rows of probabilities (n, K), two columns
in the binary problem, or hard, codes (n,) of the true class.

(a) Logarithms of probabilities are exact near 0: with the largest logit z_max and the sum r
    of exp(z_j - z_max) over the others, log p_max = -log1p(r).
(b) The loss of a soft target is a sum of the non-negative ``kl_term``. It is insensitive to
    rounding of the probabilities near the optimum, which keeps line searches honest.
(c) Per sample results only; who sums them, sums in a fixed order.
"""
from cython.parallel cimport prange
from libc.math cimport exp, fabs, fmax, log, log1p

cdef extern from "_scalar.h" nogil:
    double kl_term "kl_term_scalar"(double, double, double)
    const double SCALE
    const double TINY

ctypedef fused floating:
    float
    double


cdef inline double kl_to_softmax(double y, double p, double log_p) noexcept nogil:
    """y log(y / p) - y + p; log_p serves where p has underflowed."""
    if p < 1e-290:
        return y * (log(y) - log_p - 1.0) if y > 0.0 else 0.0
    return kl_term(fmax(y * SCALE, TINY), p * SCALE, (y - p) * SCALE) / SCALE


cdef inline double exp_shifted(
    const floating* z, Py_ssize_t k, Py_ssize_t largest, floating* out
) noexcept nogil:
    """out[j] = exp(z[j] - z[largest]); return the sum of all but the largest."""
    cdef Py_ssize_t j
    cdef double rest = 0.0
    for j in range(k):
        if j == largest:
            out[j] = 1
        else:
            out[j] = <floating> exp(<double> z[j] - z[largest])
            rest += out[j]
    return rest


cdef inline Py_ssize_t argmax(const floating* z, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t j, largest = 0
    for j in range(1, k):
        if z[j] > z[largest]:
            largest = j
    return largest


cdef double soft_row(
    const floating* z, const floating* y, Py_ssize_t k, double weight, floating* gradient
) noexcept nogil:
    cdef Py_ssize_t j, largest = argmax(z, k)
    cdef double rest = exp_shifted(z, k, largest, gradient)
    cdef double log_total = log1p(rest), y_sum = 0.0, loss = 0.0, p, target
    for j in range(k):
        y_sum += y[j]
    for j in range(k):
        target = y[j] / y_sum
        p = gradient[j] / (1.0 + rest)
        loss += kl_to_softmax(target, p, <double> z[j] - z[largest] - log_total)
        gradient[j] = <floating> (weight * (p - target))
    return weight * loss


cdef double hard_row(
    const floating* z, Py_ssize_t code, Py_ssize_t k, double weight, floating* gradient
) noexcept nogil:
    cdef Py_ssize_t j, largest = argmax(z, k)
    cdef double rest = exp_shifted(z, k, largest, gradient)
    cdef double total = 1.0 + rest
    # p_code - 1 is minus the probability of the other classes, summed without cancelling.
    cdef double others = rest if code == largest else total - gradient[code]
    for j in range(k):
        gradient[j] = <floating> (weight * (gradient[j] / total))
    gradient[code] = <floating> (-weight * (others / total))
    return weight * (<double> z[largest] - z[code] + log1p(rest))


cdef double binary_row(
    double z, double y0, double y1, double weight, bint soft, floating* gradient
) noexcept nogil:
    """One logit z of the second class, whose target probability is y1 = 1 - y0."""
    cdef double small = exp(-fabs(z))
    cdef double log_total = log1p(small)
    cdef double p_large = 1.0 / (1.0 + small), p_small = small / (1.0 + small)
    cdef double p1 = p_large if z > 0.0 else p_small
    cdef double p0 = p_small if z > 0.0 else p_large
    cdef double log_p1 = (0.0 if z > 0.0 else z) - log_total
    cdef double log_p0 = (-z if z > 0.0 else 0.0) - log_total
    # The difference of the smaller numbers, p1 - y1 or y0 - p0, keeps more digits.
    gradient[0] = <floating> (weight * (p1 - y1 if y1 < 0.5 else y0 - p0))
    if soft:
        return weight * (kl_to_softmax(y1, p1, log_p1) + kl_to_softmax(y0, p0, log_p0))
    return -weight * (log_p1 if y1 == 1.0 else log_p0)


def kl_soft(
    const floating[:, ::1] raw, const floating[:, ::1] target, const double[::1] weight,
    double[::1] loss, floating[:, ::1] gradient, int n_threads,
):
    """Fill loss[i] = weight[i] KL(target[i], softmax(raw[i])), nats, and its gradient.

    ``gradient`` has the shape of ``raw`` and is with respect to it. Target rows are
    divided by their sum.
    """
    cdef Py_ssize_t i, n = raw.shape[0], k = raw.shape[1]
    cdef double y_sum
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        if k == 1:
            y_sum = <double> target[i, 0] + target[i, 1]
            loss[i] = binary_row(
                raw[i, 0], target[i, 0] / y_sum, target[i, 1] / y_sum, weight[i], True,
                &gradient[i, 0])
        else:
            loss[i] = soft_row(&raw[i, 0], &target[i, 0], k, weight[i], &gradient[i, 0])


def kl_hard(
    const floating[:, ::1] raw, const Py_ssize_t[::1] code, const double[::1] weight,
    double[::1] loss, floating[:, ::1] gradient, int n_threads,
):
    """As kl_soft for the true class code[i]: the log loss."""
    cdef Py_ssize_t i, n = raw.shape[0], k = raw.shape[1]
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        if k == 1:
            loss[i] = binary_row(
                raw[i, 0], 1.0 - code[i], <double> code[i], weight[i], False,
                &gradient[i, 0])
        else:
            loss[i] = hard_row(&raw[i, 0], code[i], k, weight[i], &gradient[i, 0])


def log_softmax(const floating[:, ::1] raw, floating[:, ::1] out, int n_threads):
    """Fill out with log(softmax(raw)); a single column of raw gives two of out."""
    cdef Py_ssize_t i, j, largest, n = raw.shape[0], k = raw.shape[1]
    cdef double log_total, z
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        if k == 1:
            z = raw[i, 0]
            log_total = log1p(exp(-fabs(z)))
            out[i, 0] = <floating> ((-z if z > 0.0 else 0.0) - log_total)
            out[i, 1] = <floating> ((0.0 if z > 0.0 else z) - log_total)
        else:
            largest = argmax(&raw[i, 0], k)
            log_total = log1p(exp_shifted(&raw[i, 0], k, largest, &out[i, 0]))
            for j in range(k):
                out[i, j] = <floating> (<double> raw[i, j] - raw[i, largest] - log_total)
