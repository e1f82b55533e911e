"""Slow, obvious definitions in many digits: what the fast code must agree with.

A row is a sequence of floats, taken as the exact numbers that they are and divided by
their exact sum. The default digits serve rows that agree to 12 of them; a row with
entries like 1e-300 next to 1 needs ``digits=DIGITS_OF_TINY``, or their sum forgets them.
"""

from contextlib import contextmanager
from functools import lru_cache, wraps
from math import inf as infinity
from sys import float_info
from threading import RLock

from mpmath import exp, inf, log, mp, mpf, sqrt

DIGITS = 60
DIGITS_OF_TINY = 400
_LOCK = RLock()


@contextmanager
def workdps(digits):
    """Compute in so many digits, which mpmath has for all threads at once."""
    with _LOCK, mp.workdps(digits):
        yield


def in_many_digits(oracle):
    """Give a function of mpmath the argument ``digits``."""

    @wraps(oracle)
    def with_digits(*rows, digits=DIGITS, **arguments):
        with workdps(digits):
            return oracle(*rows, **arguments)

    return with_digits


def normalised(row):
    return list(_normalised(tuple(map(float, row)), mp.dps))


# Many divergences are tried on the same rows, and logarithms are what takes the time.
@lru_cache(maxsize=1000)
def _normalised(row, digits):
    exact = [mpf(x) for x in row]
    total = sum(exact)
    return [x / total for x in exact]


def log_ratios(p, q):
    """Return log(p / q) where both are positive, else None."""
    return _log_ratios(tuple(map(float, p)), tuple(map(float, q)), mp.dps)


@lru_cache(maxsize=1000)
def _log_ratios(p, q, digits):
    return [
        log(x / y) if x > 0 and y > 0 else None
        for x, y in zip(_normalised(p, digits), _normalised(q, digits), strict=True)
    ]


def outcomes(p, q):
    """Return p, q and log(p / q) of each outcome."""
    return zip(normalised(p), normalised(q), log_ratios(p, q), strict=True)


def in_unit(nats, base):
    return nats if base is None else nats / log(mpf(base))


def contribution(x, y):
    """Return x log(x / y) with its limits at zero."""
    if x == 0:
        return mpf(0)
    if y == 0:
        return inf
    return x * log(x / y)


def divergence_of_order_1(p, q):
    return sum(
        x * u if u is not None else mpf(0) if x == 0 else inf for x, _, u in outcomes(p, q)
    )


def moment(p, q, order):
    """Return the sum of p^order q^(1 - order) over outcomes, for any order but 0 and 1."""
    return _moment(tuple(map(float, p)), tuple(map(float, q)), order, mp.dps)


@lru_cache(maxsize=5000)
def _moment(p, q, order, digits):
    total = mpf(0)
    for x, y, u in outcomes(p, q):
        if u is not None:
            total += y * exp(mpf(order) * u)
        elif (x > 0 and order > 1) or (y > 0 and order < 0):
            return inf
    return total


@in_many_digits
def entropy(p, *, base=None):
    return in_unit(-sum(x * log(x) for x in normalised(p) if x > 0), base)


@in_many_digits
def cross_entropy(p, q, *, base=None):
    return in_unit(
        sum(
            mpf(0) if x == 0 else inf if y == 0 else -x * log(y)
            for x, y in zip(normalised(p), normalised(q), strict=True)
        ),
        base,
    )


@in_many_digits
def kl_contributions(p, q, *, base=None):
    return [
        in_unit(contribution(x, y), base)
        for x, y in zip(normalised(p), normalised(q), strict=True)
    ]


@in_many_digits
def kl_divergence(p, q, *, base=None):
    return in_unit(divergence_of_order_1(p, q), base)


@in_many_digits
def jeffreys_divergence(p, q, *, base=None):
    return in_unit(divergence_of_order_1(p, q) + divergence_of_order_1(q, p), base)


def mixture_divergence(p, q, weight):
    w = mpf(weight)
    total = mpf(0)
    for x, y in zip(normalised(p), normalised(q), strict=True):
        middle = w * x + (1 - w) * y
        # A weight of 0 or 1 leaves one row out, also where the other is 0.
        if w > 0:
            total += w * contribution(x, middle)
        if w < 1:
            total += (1 - w) * contribution(y, middle)
    # What rounding leaves of zero may be negative, and have no root.
    return max(total, mpf(0))


@in_many_digits
def jensen_shannon_divergence(p, q, *, weight=0.5, base=None):
    return in_unit(mixture_divergence(p, q, weight), base)


@in_many_digits
def jensen_shannon_distance(p, q, *, base=None):
    return sqrt(in_unit(mixture_divergence(p, q, 0.5), base))


def divergence_of_order(p, q, order):
    if order == infinity:
        return max(u if u is not None else inf for x, _, u in outcomes(p, q) if x > 0)
    if order == 1:
        return divergence_of_order_1(p, q)
    if order == 0:
        # One minus what lies outside: exactly 1 if nothing does.
        inside = 1 - sum(y for x, y, _ in outcomes(p, q) if x == 0)
        shared = any(u is not None for _, _, u in outcomes(p, q))
        return -log(inside) if shared else inf
    total = moment(p, q, order)
    return inf if total in (0, inf) else log(total) / (mpf(order) - 1)


@in_many_digits
def renyi_divergence(p, q, *, order, base=None):
    return in_unit(divergence_of_order(p, q, order), base)


@in_many_digits
def bhattacharyya_distance(p, q, *, base=None):
    return in_unit(divergence_of_order(p, q, 0.5) / 2, base)


@in_many_digits
def alpha_divergence(p, q, *, alpha, base=None):
    if alpha == 1:
        return in_unit(divergence_of_order_1(p, q), base)
    if alpha == 0:
        return in_unit(divergence_of_order_1(q, p), base)
    a = mpf(alpha)
    total = moment(p, q, alpha)
    return inf if total == inf else in_unit((1 - total) / (a * (1 - a)), base)


@in_many_digits
def chi2_divergence(p, q):
    return sum(
        (x - y) ** 2 / y if y > 0 else inf if x > 0 else mpf(0)
        for x, y in zip(normalised(p), normalised(q), strict=True)
    )


@in_many_digits
def hellinger_distance(p, q):
    pairs = zip(normalised(p), normalised(q), strict=True)
    return sqrt(sum((sqrt(x) - sqrt(y)) ** 2 for x, y in pairs) / 2)


@in_many_digits
def total_variation_distance(p, q):
    return sum(abs(x - y) for x, y in zip(normalised(p), normalised(q), strict=True)) / 2


@in_many_digits
def squared_error(p, q):
    return sum((x - y) ** 2 for x, y in zip(normalised(p), normalised(q), strict=True))


@in_many_digits
def ranked_probability(p, q):
    total = so_far = mpf(0)
    for x, y in list(zip(normalised(p), normalised(q), strict=True))[:-1]:
        so_far += x - y
        total += so_far**2
    return total


def log_softmax(logits, *, digits=DIGITS):
    with workdps(digits):
        exact = [mpf(float(z)) for z in logits]
        largest = max(exact)
        log_total = largest + log(sum(mp.exp(z - largest) for z in exact))
        return [z - log_total for z in exact]


def kl_to_softmax(target, logits, *, digits=DIGITS):
    """Return the KL divergence of a target to the softmax of logits."""
    with workdps(digits):
        log_p = log_softmax(logits, digits=digits)
        return sum(
            mpf(0) if y == 0 else y * (log(y) - z)
            for y, z in zip(normalised(target), log_p, strict=True)
        )


def gradient_of_kl_to_softmax(target, logits, *, digits=DIGITS):
    """Return softmax(logits) - target."""
    with workdps(digits):
        log_p = log_softmax(logits, digits=digits)
        return [mp.exp(z) - y for y, z in zip(normalised(target), log_p, strict=True)]


def error(actual, exact, *, atol=0.0, largest=float_info.max):
    """Return the relative error of what deviates by more than ``atol``.

    Infinity is right for all that exceeds ``largest``.
    """
    actual = float(actual)
    if actual != actual:
        return infinity
    if abs(actual) == infinity or mp.isinf(exact):
        agree = mpf(actual) * exact > 0 and abs(exact) > largest and abs(actual) == infinity
        return 0.0 if agree else infinity
    deviation = abs(mpf(actual) - exact) - mpf(float(atol))
    if deviation <= 0:
        return 0.0
    return float(deviation / abs(exact)) if exact != 0 else infinity
