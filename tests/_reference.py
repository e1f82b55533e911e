"""Slow, obvious definitions in many digits: what the fast code must agree with.

A row is a sequence of floats, taken as the exact numbers that they are and divided by
their exact sum. The default digits serve rows that agree to 12 of them; a row with
entries like 1e-300 next to 1 needs ``digits=DIGITS_OF_TINY``, or their sum forgets them.
"""

from mpmath import inf, log, mp, mpf

DIGITS = 60
DIGITS_OF_TINY = 400


def normalised(row):
    exact = [mpf(float(x)) for x in row]
    total = sum(exact)
    return [x / total for x in exact]


def contribution(x, y):
    """Return x log(x / y) with its limits at zero."""
    if x == 0:
        return mpf(0)
    if y == 0:
        return inf
    return x * log(x / y)


def entropy(p, *, digits=DIGITS):
    return cross_entropy(p, p, digits=digits)


def cross_entropy(p, q, *, digits=DIGITS):
    with mp.workdps(digits):
        return sum(
            mpf(0) if x == 0 else inf if y == 0 else -x * log(y)
            for x, y in zip(normalised(p), normalised(q), strict=True)
        )


def kl_contributions(p, q, *, digits=DIGITS):
    with mp.workdps(digits):
        return [contribution(x, y) for x, y in zip(normalised(p), normalised(q), strict=True)]


def kl_divergence(p, q, *, digits=DIGITS):
    with mp.workdps(digits):
        return sum(kl_contributions(p, q, digits=digits))


def jensen_shannon_divergence(p, q, *, weight=0.5, digits=DIGITS):
    with mp.workdps(digits):
        w = mpf(weight)
        p, q = normalised(p), normalised(q)
        total = mpf(0)
        for x, y in zip(p, q, strict=True):
            middle = w * x + (1 - w) * y
            # A weight of 0 or 1 leaves one row out, also where the other is 0.
            if w > 0:
                total += w * contribution(x, middle)
            if w < 1:
                total += (1 - w) * contribution(y, middle)
        return total


def log_softmax(logits, *, digits=DIGITS):
    with mp.workdps(digits):
        exact = [mpf(float(z)) for z in logits]
        largest = max(exact)
        log_total = largest + log(sum(mp.exp(z - largest) for z in exact))
        return [z - log_total for z in exact]


def kl_to_softmax(target, logits, *, digits=DIGITS):
    """Return the KL divergence of a target to the softmax of logits."""
    with mp.workdps(digits):
        log_p = log_softmax(logits, digits=digits)
        return sum(
            mpf(0) if y == 0 else y * (log(y) - z)
            for y, z in zip(normalised(target), log_p, strict=True)
        )


def gradient_of_kl_to_softmax(target, logits, *, digits=DIGITS):
    """Return softmax(logits) - target."""
    with mp.workdps(digits):
        log_p = log_softmax(logits, digits=digits)
        return [mp.exp(z) - y for y, z in zip(normalised(target), log_p, strict=True)]


def error(actual, exact, *, atol=0.0):
    """Return the relative error of what deviates by more than ``atol``."""
    actual = float(actual)
    if actual != actual:
        return float("nan")
    if mp.isinf(exact) or actual in (float("inf"), float("-inf")):
        return 0.0 if mpf(actual) == exact else float("inf")
    deviation = abs(mpf(actual) - exact) - mpf(float(atol))
    if deviation <= 0:
        return 0.0
    return float(deviation / abs(exact)) if exact != 0 else float("inf")
