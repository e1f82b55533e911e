"""Divergences of softmaxes, from their logits."""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows, nats_to, row_of
from sklkl._core.docs import documented
from sklkl._core.parameters import check, number
from sklkl._core.typing import DivergenceName, DivergenceParams, RowValues
from sklkl._kernels._rows import kl_terms, logits_rows
from sklkl._kernels._threads import n_threads_for
from sklkl.divergences._registry import find

TEMPERATURE = number("a positive number, from 1e-300 to 1e300", lambda v: 1e-300 <= v <= 1e300)
# Logits and temperature in another unit: the same divergence.
SHRINK = 2.0**-16
LARGE = 1e300  # differences of logits beyond may overflow
SLICE = 2**17  # entries that are computed with at a time
LEAST = 1e-290  # stands for the probability 0 where logarithms are taken
FROM_LOGITS = (
    *("kl", "reverse_kl", "jeffreys", "cross_entropy", "jensen_shannon"),
    *("jensen_shannon_distance", "hellinger", "total_variation", "squared_error"),
)


@documented
def kl_divergence_from_logits(
    p_logits: ArrayLike,
    q_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> RowValues:
    r"""Compute the Kullback-Leibler divergence of the softmaxes of each pair of rows.

    .. math::
        D(P \| Q), \quad p_j \propto e^{x_j / T}, \quad q_j \propto e^{y_j / T}

    No probability is stored: rows are read two or three times, and memory does not grow
    with the input. The result is exact for huge logits and for near-equal ones.

    Parameters
    ----------
    p_logits, q_logits : array-like of shape (..., n_outcomes)
        Logits x and y along ``axis``: logarithms of probabilities, up to a constant per
        row. -inf stands for the probability 0. The other axes broadcast. Data frames and
        Series are matched by the names of their outcomes and rows.
    temperature : float, default=1.0
        T, positive: 1e-300 to 1e300.
    axis : int, default=-1
        The axis along which the softmax is taken.
    %(base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative; inf where a logit of ``q_logits`` alone is -inf. %(array)s

    Raises
    ------
    ValueError
        If a row holds NaN, +inf, or nothing but -inf (the message names the argument and
        the row), names differ, or ``temperature`` is not positive.

    See Also
    --------
    divergence_from_logits : Other divergences.
    kl_divergence : The same for probabilities.

    References
    ----------
    Hinton, G., Vinyals, O. and Dean, J. (2015). Distilling the Knowledge in a Neural
    Network. arXiv:1503.02531 (temperature).

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import kl_divergence_from_logits
    >>> p_logits, q_logits = np.log([0.5, 0.5]), np.log([0.9, 0.1]) + 1e4
    >>> round(kl_divergence_from_logits(p_logits, q_logits, base=2), 3)
    0.737
    """
    unit = nats_to(base)
    check("temperature", temperature, TEMPERATURE)
    return _by_row(_kl, p_logits, q_logits, axis, float(temperature), unit)


@documented
def divergence_from_logits(
    p_logits: ArrayLike,
    q_logits: ArrayLike,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> RowValues:
    r"""Compute a divergence of the softmaxes of each pair of rows.

    Softmaxes of near-equal logits agree in most of their digits, and differences of them have
    few left. Here the logarithms of their ratios are taken from the logits, so that the result
    has all its digits for near-equal logits as for far ones.

    Parameters
    ----------
    p_logits, q_logits : array-like of shape (..., n_outcomes)
        Logits, as for ``kl_divergence_from_logits``.
    divergence : str, default="kl"
        One of "kl", "reverse_kl", "jeffreys", "cross_entropy", "jensen_shannon",
        "jensen_shannon_distance", "hellinger", "total_variation" and "squared_error". The
        cross-entropy of logits and themselves is the entropy of their softmax.
    divergence_params : dict, default=None
        Parameters of the divergence, as ``{"weight": 0.3}``.
    temperature : float, default=1.0
        T, positive: 1e-300 to 1e300.
    axis : int, default=-1
        The axis along which the softmax is taken.
    %(base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative. A probability that underflows is not 0: only -inf makes a divergence
        infinite. %(array)s

    Raises
    ------
    ValueError
        If a row holds NaN, +inf, or nothing but -inf (the message names the argument and
        the row), names differ, ``temperature`` is not positive, or the divergence is none of
        these or has other parameters.

    See Also
    --------
    kl_divergence_from_logits : The KL divergence alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import divergence_from_logits
    >>> p_logits, q_logits = np.log([0.5, 0.5]), np.log([0.9, 0.1]) + 1e4
    >>> js = divergence_from_logits(p_logits, q_logits, divergence="jensen_shannon", base=2)
    >>> round(js, 3)
    0.147
    >>> divergence_from_logits(p_logits, p_logits, divergence="cross_entropy", base=2)
    1.0
    """
    record = find(divergence, FROM_LOGITS)
    kernel = record.kernel(**record.check(divergence_params, base))
    check("temperature", temperature, TEMPERATURE)
    function = {
        "kl": _kl,
        "jeffreys": _jeffreys,
        "cross_entropy": _cross_entropy,
        "jensen_shannon": partial(_jensen_shannon, weight=kernel.weight),
        "hellinger": _hellinger,
        "total_variation": _total_variation,
        "squared_error": _squared_error,
    }[kernel.term]
    T, unit = float(temperature), nats_to(base)
    return _by_row(function, p_logits, q_logits, axis, T, unit, kernel.swap, kernel.root)


def _by_row(function, p_logits, q_logits, axis, T, unit, swap=False, root=False):
    """Return what a function of two matrices of logits gives for each pair of rows."""
    arrays = {"p_logits": p_logits, "q_logits": q_logits}
    rows, shape = as_rows(arrays, axis)  # named ones in the order of p_logits
    if swap:
        rows.reverse()
    if function is _kl:
        out, bad = _kl(*rows, T, unit)
    else:
        out, size = np.empty(len(rows[0]), rows[0].dtype), max(1, SLICE // rows[0].shape[1])
        for start in range(0, len(out), size):
            x, y = (r[start : start + size].astype(np.float64, copy=False) for r in rows)
            good = np.isfinite(x.max(axis=1)) & np.isfinite(y.max(axis=1))
            values = np.full(len(x), np.nan)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                values[good] = unit * function(*_shrunk(x[good], y[good], T))
            out[start : start + size] = np.sqrt(values) if root else values
        bad = np.isnan(out).any()
    if bad:
        _raise_bad_logits(arrays, shape, int(np.argmax(np.isnan(out))), axis)
    return out.reshape(shape) if shape else float(out[0])


def _kl(x, y, T, unit):
    """Return the KL divergences, and whether a row is bad."""
    out, bad = logits_rows(x, y, T, unit, n_threads_for(x.size))
    huge = np.isinf(out)
    if not bad and x.dtype == np.float64 and huge.any():  # of -inf, or of an overflow
        rows = [z[huge] * SHRINK for z in (x, y)]
        out[huge] = logits_rows(*rows, T * SHRINK, unit, 1)[0]
    return out, bad


def _shrunk(x, y, T):
    """Return logits whose differences do not overflow, and the temperature in their unit."""
    if max(np.max(np.abs(z), where=z > -np.inf, initial=0.0) for z in (x, y)) < LARGE:
        return x, y, T
    return x * SHRINK, y * SHRINK, T * SHRINK


def _jeffreys(x, y, T):
    return _kl(x, y, T, 1.0)[0] + _kl(y, x, T, 1.0)[0]


def _cross_entropy(x, y, T):
    """Sum terms none of which is negative, so that small ones keep their digits."""
    largest, top = y.max(axis=1, keepdims=True), y.argmax(axis=1)
    a, b = (np.exp((z - z.max(axis=1, keepdims=True)) / T) for z in (x, y))
    b[np.arange(len(b)), top] = 0.0
    terms = np.multiply(a, (largest - y) / T, where=a > 0.0, out=np.zeros(a.shape))
    out = terms.sum(axis=1) / a.sum(axis=1) + np.log1p(b.sum(axis=1))
    return np.where(((x > -np.inf) & (y == -np.inf)).any(axis=1), np.inf, out)


def _softmaxes(x, y, T):
    """Return both softmaxes, and their difference with all its digits.

    With u the logarithm of the ratio p / q, it is q (exp(u) - 1) or p (1 - exp(-u)). Rows may
    share an offset that hides their differences, so what rounds off is kept (Knuth's two-sum).
    """

    def difference(x, y):
        high = x - y
        part = high - x
        return high, (x - (high - part)) - (y + part)

    def less(a, b, u):
        return np.where(u < 0.0, b * np.expm1(u), -a * np.expm1(-u))

    x_max, y_max = x.max(axis=1, keepdims=True), y.max(axis=1, keepdims=True)
    high, low = difference(x, y)
    gap, gap_low = difference(x_max, y_max)
    u = ((high - gap) + (low - gap_low)) / T
    for_x, for_y = x == -np.inf, y == -np.inf
    u[for_x], u[for_y], u[for_x & for_y] = -np.inf, np.inf, 0.0
    a, b = np.exp((x - x_max) / T), np.exp((y - y_max) / T)
    A, B = a.sum(axis=1, keepdims=True), b.sum(axis=1, keepdims=True)
    D = less(a, b, u).sum(axis=1, keepdims=True)
    u -= np.where(np.abs(D) < 0.5 * B, np.log1p(D / B), np.log(A / B))
    p, q = a / A, b / B
    return p, q, less(p, q, u)


def _jensen_shannon(x, y, T, *, weight):
    """Sum the KL terms of p and q to their mixture, whose parts -p + m and -q + m cancel."""
    p, q, d = _softmaxes(x, y, T)
    p, q = np.maximum(p, LEAST), np.maximum(q, LEAST)
    mixture, term, out = weight * p + (1 - weight) * q, np.empty(p.shape), 0.0
    for share, own, less in ((weight, p, (1 - weight) * d), (1 - weight, q, -weight * d)):
        kl_terms(own.ravel(), mixture.ravel(), less.ravel(), term.ravel())
        out = out + share * term.sum(axis=1)
    return out


def _hellinger(x, y, T):
    p, q, d = _softmaxes(x, y, T)
    roots = np.sqrt(p) + np.sqrt(q)
    terms = np.divide(d, roots, where=roots > 0.0, out=np.zeros(d.shape))
    return (terms**2).sum(axis=1) / 2


def _total_variation(x, y, T):
    return np.abs(_softmaxes(x, y, T)[2]).sum(axis=1) / 2


def _squared_error(x, y, T):
    return (_softmaxes(x, y, T)[2] ** 2).sum(axis=1)


def _raise_bad_logits(arrays, shape, i, axis):
    for name in arrays:
        where, row = row_of(arrays, name, shape, i, axis)
        if np.isnan(row).any():
            raise ValueError(f"{where} contains NaN; drop or fill such rows.")
        if np.isposinf(row).any():
            raise ValueError(f"{where} contains inf; logits are finite or -inf.")
        if np.isneginf(row).all():
            raise ValueError(f"{where} is -inf everywhere: no outcome has a probability.")
    raise ValueError(f"Row {i} has no finite divergence.")
