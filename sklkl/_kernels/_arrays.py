"""Divergences of pairs of rows in operations on arrays, of any library with the array API.

(a) Rows go the careful way of ``rows.h``: q is scaled by ``1 + rho`` to the mass of p, and the
    difference ``d = (p - q) - q rho`` is computed without rounding in between. What its sum is
    off from 0, the rounding of rho, is taken off in proportion to q. The result is a sum over
    the row of terms in which nothing cancels; ``real.h`` has the identities.
(b) Instead of moving powers of two, a term takes the series of the logarithm where p and q are
    within a factor of two, and the logarithm of p / q elsewhere.
(c) Rows with entries near the least number, and those whose terms overflow, are left to the
    compiled kernels: results come with whether they are known.

Arrays are (n_rows, n_outcomes), sums over rows (n_rows, 1), all of one dtype; ``xp`` is their
namespace. ``kernel`` is the ``RowKernel`` that says what to compute.
"""

# atanh(s) / s = 1 + s² B(s²): B for s² up to NEAR², see poly_atanh_far in real.h.
ATANH = (
    *(0.3333333333333333, 0.19999999999912993, 0.14285714319305884, 0.11111107293964845),
    *(0.09091105008902105, 0.07686961408518136, 0.06749231476750553, 0.05164897720826525),
    0.08441385096511107,
)
NEAR = 1.0 / 3.0
# exp(x) = 1 + x + x² PHI(x) up to |x| = 1/2, see poly_phi in real.h.
PHI = (
    *(0.5, 0.16666666666666836, 0.041666666666666787, 0.0083333333331981266),
    *(0.0013888888888792351, 0.00019841270144086635, 2.480158751780227e-05),
    *(2.7557042448192959e-06, 2.7557121495012789e-07, 2.5162744626460178e-08),
    2.095576228949441e-09,
)
LEAST = {64: 2.0**-450, 32: 2.0**-86}  # entries that rows need not be looked at twice for
MOST_EXPONENT = {64: 150.0, 32: 30.0}  # beyond, its rounding is too much of the exponential
LEAST_ORDER = 1e-100


def bits(xp, x):
    """Return the size of a number in an array."""
    return int(xp.finfo(x.dtype).bits)


def polynomial(coefficients, x):
    """Return the value of a polynomial whose constant comes first."""
    value = x * 0.0 + coefficients[-1]
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value


def kl_term(xp, a, b, d):
    """Return ``a log(a / b) - a + b``, of positive a and b, given ``d = a - b``."""
    s = d / (a + b)
    near = d * s * (1.0 + s * (1.0 + s) * polynomial(ATANH, s * s))
    return xp.where(xp.abs(s) < NEAR, near, a * xp.log(a / b) - d)


def log_ratio(xp, a, b, d):
    """Return ``log(a / b)``, of positive a and b, given ``d = a - b``."""
    s = d / (a + b)
    near = 2.0 * s * (1.0 + s * s * polynomial(ATANH, s * s))
    return xp.where(xp.abs(s) < NEAR, near, xp.log(a / b))


def are_distributions(xp, x, rounding, tolerance):
    """Return which rows are probability vectors; NaN is in none."""
    total = xp.sum(xp.where(x > 0.0, x, xp.zeros_like(x)), axis=1)
    return (xp.min(x, axis=1) >= -rounding) & (xp.abs(total - 1.0) <= tolerance)


def leading_half(xp, x):
    """Return x rounded to half of its digits (Veltkamp, 1968)."""
    large = x * (2.0**27 + 1.0 if bits(xp, x) == 64 else 2.0**12 + 1.0)
    return large - (large - x)


def minus_scaled(xp, x, b, rho):
    """Return ``x - b rho``, rounded once, also where both nearly cancel (Dekker, 1971)."""
    b_high, rho_high = leading_half(xp, b), leading_half(xp, rho)
    b_low, rho_low = b - b_high, rho - rho_high
    return ((x - b_high * rho_high) - b_high * rho_low - b_low * rho_high) - b_low * rho_low


class Pairs:
    """Pairs of rows, the second brought to the mass of the first."""

    def __init__(self, xp, p, q):
        self.xp = xp
        p, q = (xp.where(x > 0.0, x, 0.0 * x) for x in (p, q))
        least = LEAST[bits(xp, p)]
        small = ((p > 0.0) & (p < least)) | ((q > 0.0) & (q < least))
        self.known = ~xp.any(small, axis=1, keepdims=True)
        self.mass, q_mass = self.sum(p), self.sum(q)
        rho = self.sum(p - q) / q_mass
        d = minus_scaled(xp, p - q, q, rho)
        self.d = d - q * (self.sum(d) / q_mass)
        self.p_zero, self.q_zero = p == 0.0, q == 0.0
        tiny = float(xp.finfo(p.dtype).smallest_normal)
        self.a, self.b = (xp.where(x > tiny, x, 0.0 * x + tiny) for x in (p, q + q * rho))

    def sum(self, x):
        """Return the sums over rows."""
        return self.xp.sum(x, axis=1, keepdims=True)

    def where_common(self, x):
        """Return x, with 0 for outcomes that one of the rows rules out."""
        return self.xp.where(self.p_zero | self.q_zero, 0.0 * self.a, x)


# A function of TERMS returns the sum of terms over each row.


def _kl(pairs, kernel):
    return pairs.sum(kl_term(pairs.xp, pairs.a, pairs.b, pairs.d))


def _jeffreys(pairs, kernel):
    return pairs.sum(pairs.d * log_ratio(pairs.xp, pairs.a, pairs.b, pairs.d))


def _jensen_shannon(pairs, kernel):
    w, xp, a, b, d = kernel.weight, pairs.xp, pairs.a, pairs.b, pairs.d
    m = w * a + (1.0 - w) * b
    terms = w * kl_term(xp, a, m, (1.0 - w) * d) + (1.0 - w) * kl_term(xp, b, m, -w * d)
    return pairs.sum(terms)


def _chi2(pairs, kernel):
    return pairs.sum(pairs.d * (pairs.d / pairs.b))


def _root_of_product(pairs):
    return pairs.where_common(pairs.xp.sqrt(pairs.a) * pairs.xp.sqrt(pairs.b))


def _hellinger(pairs, kernel):
    mean = _root_of_product(pairs)
    return pairs.sum(pairs.d * (pairs.d / (2.0 * (pairs.a + pairs.b) + 4.0 * mean)))


def _bhattacharyya(pairs, kernel):
    gap = _hellinger(pairs, kernel) / pairs.mass
    return pairs.mass * minus_log(pairs, _root_of_product(pairs), gap)


def _total_variation(pairs, kernel):
    return 0.5 * pairs.sum(pairs.xp.abs(pairs.d))


def _squared_error(pairs, kernel):
    return pairs.sum(pairs.d * pairs.d) / pairs.mass


def _ranked_probability(pairs, kernel):
    # Of all outcomes it is 0 but for rounding.
    so_far = pairs.xp.cumulative_sum(pairs.d, axis=1)[:, :-1]
    return pairs.sum(so_far * so_far) / pairs.mass


def _power(pairs, kernel):
    """See power_term in ``divergences.h``: the second form where log(a / b) is small."""
    xp, a, b, d = pairs.xp, pairs.a, pairs.b, pairs.d
    alpha = 1.0 - kernel.order if kernel.swap else kernel.order  # at most 1/2
    if abs(alpha) < LEAST_ORDER:
        pairs.known = pairs.known & False
        return pairs.mass
    u = log_ratio(xp, a, b, d)
    x = pairs.where_common(alpha * u)
    most = MOST_EXPONENT[bits(xp, x)]
    pairs.known = pairs.known & xp.all(xp.abs(x) < most, axis=1, keepdims=True)
    x = xp.clip(x, -most, most)
    near = kl_term(xp, b, a, -d) - b * (x * u * polynomial(PHI, x))
    small = (xp.abs(d) < NEAR * (a + b)) & (xp.abs(x) < 0.5)
    terms = xp.where(small, near, d - b * (xp.expm1(x) / alpha)) / (1.0 - alpha)
    terms = xp.where(pairs.q_zero, a / (1.0 - alpha), terms)
    terms = xp.where(pairs.p_zero, b / alpha, terms)
    value = pairs.sum(xp.where(pairs.p_zero & pairs.q_zero, 0.0 * terms, terms))
    if not kernel.renyi:
        return value
    gap = value / pairs.mass * (alpha * (1.0 - alpha))
    moment = pairs.where_common(b * xp.exp(x))
    return pairs.mass * minus_log(pairs, moment, gap) / (1.0 - kernel.order)


def minus_log(pairs, moment, gap):
    """Return minus the logarithm of the sum of a moment, given what it lacks to 1."""
    xp = pairs.xp
    small = xp.abs(gap) < 0.5
    total = pairs.sum(moment) / pairs.mass
    large = xp.where(total > 0.0, total, 1.0 + 0.0 * total)
    logs = xp.where(small, xp.log1p(-xp.where(small, gap, 0.0 * gap)), xp.log(large))
    return xp.where(small | (total > 0.0), -logs, 0.0 * logs + xp.inf)


TERMS = {
    "kl": _kl,
    "jeffreys": _jeffreys,
    "jensen_shannon": _jensen_shannon,
    "chi2": _chi2,
    "hellinger": _hellinger,
    "total_variation": _total_variation,
    "bhattacharyya": _bhattacharyya,
    "power": _power,
    "squared_error": _squared_error,
    "ranked_probability": _ranked_probability,
}


def _divergence(xp, kernel, p, q):
    if kernel.swap:
        p, q = q, p
    pairs = Pairs(xp, p, q)
    value = TERMS[kernel.term](pairs, kernel) / pairs.mass
    value = xp.where(value > 0.0, value, 0.0 * pairs.mass)
    infinite = pairs.known & False
    at_p, at_q = kernel.inf_at_zero_p, kernel.inf_at_zero_q
    for zero, other, is_infinite in (
        (pairs.p_zero, pairs.q_zero, at_q if kernel.swap else at_p),
        (pairs.q_zero, pairs.p_zero, at_p if kernel.swap else at_q),
    ):
        if is_infinite:
            infinite = infinite | xp.any(zero & ~other, axis=1, keepdims=True)
    known = infinite | (pairs.known & xp.isfinite(value))
    return xp.where(infinite, 0.0 * pairs.mass + xp.inf, value), known


def _cross_entropy(xp, kernel, p, q):
    """Return sum p log(sum q / q) / sum p, each logarithm non-negative and accurate.

    Only the largest q can exceed half of the mass; its logarithm is log1p(rest / largest).
    """
    p, q = (xp.where(x > 0.0, x, 0.0 * x) for x in (p, q))
    largest = xp.max(q, axis=1, keepdims=True)
    is_largest = q == largest
    number = xp.sum(xp.astype(is_largest, q.dtype), axis=1, keepdims=True)
    rest = xp.sum(xp.where(is_largest, 0.0 * q, q), axis=1, keepdims=True)
    rest = rest + (number - 1.0) * largest
    tiny = float(xp.finfo(q.dtype).smallest_normal)
    q_mass = rest + largest
    logs = xp.log(q_mass / xp.where(q > tiny, q, 0.0 * q + tiny))
    logs = xp.where(is_largest, xp.log1p(rest / largest), logs)
    value = xp.sum(p * logs, axis=1, keepdims=True) / xp.sum(p, axis=1, keepdims=True)
    impossible = xp.any((q == 0.0) & (p > 0.0), axis=1, keepdims=True)
    least = LEAST[bits(xp, p)]
    small = ((p > 0.0) & (p < least)) | ((q > 0.0) & (q < least))
    known = impossible | ~xp.any(small, axis=1, keepdims=True)
    return xp.where(impossible, 0.0 * value + xp.inf, value), known


def rows(xp, kernel, p, q, unit):
    """Return the results of a ``RowKernel`` for rows that are distributions.

    Returns
    -------
    value : array of shape (n_rows,)
    known : array of shape (n_rows,)
        False where another way has to be taken.
    """
    entropies = kernel.term in ("cross_entropy", "entropy")
    value, known = (_cross_entropy if entropies else _divergence)(xp, kernel, p, q)
    value = value * (kernel.factor * unit)
    return xp.reshape(xp.sqrt(value) if kernel.root else value, (-1,)), xp.reshape(
        known, (-1,)
    )


def log_ratios(xp, p, q, unit, *, weighted):
    """Return log(p / q) of each outcome of distributions, times p if ``weighted``.

    The second result is as that of ``rows``.
    """
    pairs = Pairs(xp, p, q)
    logs = log_ratio(xp, pairs.a, pairs.b, pairs.d) * unit
    if weighted:
        logs = logs * (pairs.a / pairs.mass)
    logs = xp.where(pairs.q_zero, 0.0 * logs + xp.inf, logs)
    at_zero = 0.0 * pairs.a if weighted else 0.0 * pairs.a - xp.inf
    return xp.where(pairs.p_zero, at_zero, logs), xp.reshape(pairs.known, (-1,))
