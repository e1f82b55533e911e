"""Confidence intervals of divergences and entropies of counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows, nats_to, row_of
from sklkl._core.names import label_at
from sklkl._core.parameters import INNER_SHARE, check
from sklkl.divergences._counts import (
    entropy_from_counts,
    jensen_shannon_from_counts,
    kl_from_counts,
    pair_of,
)
from sklkl.divergences._divergences import jensen_shannon_divergence, kl_divergence

LEAST_COUNT = 5
# From about 1e10 on chndtrinc of SciPy returns NaN; the normal limit is right to 1e-7 at this.
LARGEST_STATISTIC = 1e8


@dataclass(frozen=True)
class CountsInterval:
    """An estimated divergence or entropy of counts, with its uncertainty.

    The result of ``kl_interval_from_counts``, ``jensen_shannon_interval_from_counts`` and
    ``entropy_interval_from_counts``.

    Parameters
    ----------
    estimate : float or ndarray of shape (...)
        The estimate, corrected for bias.
    low, high : float or ndarray of shape (...)
        Ends of the confidence interval, in the same unit.

    Examples
    --------
    >>> from sklkl.divergences import kl_interval_from_counts
    >>> interval = kl_interval_from_counts([70, 20, 10], [40, 40, 20])
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.049, 0.374)
    """

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


def kl_interval_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike | None = None,
    *,
    q: ArrayLike | None = None,
    confidence_level: float = 0.95,
    base: float | None = None,
) -> CountsInterval:
    r"""Compute a confidence interval of a Kullback-Leibler divergence from counts.

    Parameters
    ----------
    p_counts, q_counts : array-like of shape (..., n_outcomes)
        How often each outcome was seen among samples of P, and of Q, as for
        ``kl_from_counts``.
    q : array-like of shape (..., n_outcomes), default=None
        The probabilities Q, if they are known.
    confidence_level : float, default=0.95
        Share of samples for which the interval is to hold the divergence, between 0 and 1.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    interval : CountsInterval
        With ``estimate``, that of ``kl_from_counts`` by "miller-madow", which may be negative,
        ``low`` and ``high``: floats for 1-D inputs, otherwise arrays. ``low`` is 0
        where the samples may be of one distribution.

    Raises
    ------
    ValueError
        If an outcome was seen fewer than 5 times in one sample, and is possible in the other:
        no interval is known that covers then. What was never seen in Q may have any small
        probability, and the divergence any size: with counts that rare, add up outcomes.
        Also on what ``kl_from_counts`` refuses.

    See Also
    --------
    kl_from_counts : The estimate alone, of any counts.

    Notes
    -----
    With :math:`\hat D` the divergence of the frequencies and V its variance by the delta
    method,

    .. math::
        V = \frac1n \operatorname{Var}_{\hat p} \log \frac{\hat p}{\hat q}
        + \frac1m \operatorname{Var}_{\hat q} \frac{\hat p}{\hat q}

    the statistic :math:`\hat D / c`, :math:`c = V / (4 \hat D)`, is taken for noncentral
    :math:`\chi^2_{k-1}` with noncentrality :math:`D / c`. For near distributions c is
    :math:`(1/n + 1/m) / 2`, and the statistic the likelihood ratio of equal ones; for far ones
    it has the mean and variance of :math:`\hat D`. For the upper end it is taken for k - 1 at
    least. In simulations of 2 to 20 outcomes and
    100 to 5000 samples, 95 % intervals held the divergence of different distributions in 94 to
    98 of 100, and of equal ones in 96 to 99.

    Examples
    --------
    >>> from sklkl.divergences import kl_interval_from_counts
    >>> interval = kl_interval_from_counts([30, 45, 25], [25, 52, 23])
    >>> round(interval.estimate, 3), interval.low, round(interval.high, 3)
    (-0.01, 0.0, 0.099)
    """
    unit = nats_to(base)
    check("confidence_level", confidence_level, INNER_SHARE)
    with np.errstate(over="ignore"):  # of counts like 1e308
        estimate = kl_from_counts(p_counts, q_counts, q=q, estimator="miller-madow", base=base)
    arrays = pair_of(p_counts, q_counts, q)
    (x, y), shape = as_rows(arrays)
    x, y = x.astype(np.float64), y.astype(np.float64)
    _refuse_rare(arrays, x, y, shape, "kl_from_counts")
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = _ends(
            *_kl_moments(x, np.maximum(y, 0.0), q_counts is None), confidence_level
        )
    return _interval(estimate, low * unit, high * unit, shape)


def jensen_shannon_interval_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike,
    *,
    confidence_level: float = 0.95,
    base: float | None = None,
) -> CountsInterval:
    r"""Compute a confidence interval of a Jensen-Shannon divergence from counts.

    Parameters
    ----------
    p_counts, q_counts : array-like of shape (..., n_outcomes)
        How often each outcome was seen among samples of P, and of Q, as for
        ``jensen_shannon_from_counts``.
    confidence_level : float, default=0.95
        Share of samples for which the interval is to hold the divergence, between 0 and 1.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    interval : CountsInterval
        With ``estimate``, that of ``jensen_shannon_from_counts``, which may be negative,
        ``low`` and ``high``: floats for 1-D inputs, otherwise arrays. ``low`` is 0 where the
        samples may be of one distribution; ``high`` is at most 1 bit.

    Raises
    ------
    ValueError
        If an outcome was seen fewer than 5 times in one sample, and occurs in the other: of 5
        outcomes of which some were that rare, intervals held the divergence in as few as 74 of
        100. Also on what ``jensen_shannon_from_counts`` refuses.

    See Also
    --------
    jensen_shannon_from_counts : The estimate alone, of any counts.
    scipy.stats.chi2_contingency : The test whether there is any difference.

    Notes
    -----
    With few of an outcome there is a test, if no interval: the statistic of
    ``chi2_contingency([p_counts, q_counts], correction=False, lambda_="log-likelihood")`` is
    2 (n + m) times the divergence of the frequencies in nats, with ``weight=n / (n + m)``.

    As that of ``kl_interval_from_counts``, with the variance of this divergence by the delta
    method,

    .. math::
        V = \frac1{4n} \operatorname{Var}_{\hat p} \log \frac{2 \hat p}{\hat p + \hat q}
        + \frac1{4m} \operatorname{Var}_{\hat q} \log \frac{2 \hat q}{\hat p + \hat q}

    and the scale (1/n + 1/m) / 8 for equal frequencies. In simulations of 2 to 20 outcomes and
    50 to 5000 samples, where half of the counts or more were not refused, 95 % intervals held
    the divergence of different distributions in 94 to 98 of 100, and of equal ones in 97 to 98
    (5 to 95 % of the cases; 93 at least).

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_interval_from_counts
    >>> interval = jensen_shannon_interval_from_counts([70, 20, 10], [40, 40, 20], base=2)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (0.059, 0.018, 0.135)
    """
    unit = nats_to(base)
    check("confidence_level", confidence_level, INNER_SHARE)
    estimate = jensen_shannon_from_counts(p_counts, q_counts, base=base)
    arrays = pair_of(p_counts, q_counts)
    (x, y), shape = as_rows(arrays)
    x, y = x.astype(np.float64), y.astype(np.float64)
    _refuse_rare(arrays, x, y, shape, "jensen_shannon_from_counts")
    low, high = _ends(*_jensen_shannon_moments(x, y), confidence_level)
    return _interval(estimate, low * unit, np.minimum(high, np.log(2)) * unit, shape)


def entropy_interval_from_counts(
    counts: ArrayLike,
    *,
    confidence_level: float = 0.95,
    base: float | None = None,
) -> CountsInterval:
    r"""Compute a confidence interval of a Shannon entropy from counts.

    Parameters
    ----------
    counts : array-like of shape (..., n_outcomes)
        How often each possible outcome was seen, as for ``entropy_from_counts``. Leave out
        outcomes that cannot occur.
    confidence_level : float, default=0.95
        Share of samples for which the interval is to hold the entropy, between 0 and 1.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    interval : CountsInterval
        With ``estimate``, that of ``entropy_from_counts`` by "miller-madow", ``low`` and
        ``high``: floats for a 1-D input, otherwise arrays. ``high`` is log(n_outcomes) where
        all outcomes may be equally probable.

    Raises
    ------
    ValueError
        If an outcome was seen fewer than 5 times: of distributions with outcomes that rare,
        intervals held the entropy in as few as 84 of 100 with 10 outcomes and 50 samples, and
        in none with 50. Also on what ``entropy_from_counts`` refuses.

    See Also
    --------
    entropy_from_counts : The estimate alone, of any counts.

    Notes
    -----
    The entropy of k outcomes is log(k) less the KL divergence from the uniform distribution,
    of which ``kl_interval_from_counts`` gives the interval. In simulations of 2
    to 20 outcomes and 50 to 5000 samples, where half of the counts or more were not refused,
    95 % intervals held the entropy of distributions drawn from Dirichlet distributions of
    concentration 2 and 5 in 93 to 98 of 100. Near the uniform distribution they are too wide:
    for concentrations 20 and 100 they held it in 94 to 99.8, for uniform ones in 96 to 99 (5
    to 95 % of the cases). Few samples of two outcomes are the worst case, as their counts have
    few values: 92 of 100 at some probabilities, of 50 or 100 samples.

    Examples
    --------
    >>> from sklkl.divergences import entropy_interval_from_counts
    >>> interval = entropy_interval_from_counts([70, 20, 10], base=2)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (1.171, 0.942, 1.338)
    """
    unit = nats_to(base)
    check("confidence_level", confidence_level, INNER_SHARE)
    estimate = entropy_from_counts(counts, estimator="miller-madow", base=base)
    (x,), shape = as_rows({"counts": counts})
    x = x.astype(np.float64)
    uniform = np.full(x.shape, 1.0 / x.shape[1])
    _refuse_rare({"counts": counts}, x, uniform, shape, "entropy_from_counts")
    low, high = _ends(*_kl_moments(x, uniform, True), confidence_level)
    most = np.log(x.shape[1])
    return _interval(estimate, np.maximum(most - high, 0.0) * unit, (most - low) * unit, shape)


def _interval(estimate, low, high, shape):
    if shape:
        return CountsInterval(estimate, low.reshape(shape), high.reshape(shape))
    return CountsInterval(estimate, float(low[0]), float(high[0]))


def _jensen_shannon_moments(x, y):
    """Return the divergence of frequencies, its variance and scale, and the freedom."""
    n, m = x.sum(axis=1, keepdims=True), y.sum(axis=1, keepdims=True)
    p, q = x / n, y / m
    variance = 0.0
    for own, number in ((p, n), (q, m)):
        ratio = np.divide(2 * own, p + q, where=own > 0, out=np.ones(x.shape))
        logs = np.log(ratio)
        shift = (own * logs).sum(axis=1, keepdims=True)
        variance += (own * (logs - shift) ** 2).sum(axis=1) / 4 / number[:, 0]
    freedom = np.maximum(((x > 0) & (y > 0)).sum(axis=1) - 1.0, 1.0)
    return jensen_shannon_divergence(p, q), variance, (1 / n + 1 / m)[:, 0] / 8, freedom


def _kl_moments(x, y, known):
    """Return the same of the KL divergence; y are probabilities if Q is ``known``.

    The scale is that of samples of one distribution, of which the divergence is a chi-squared
    variable times it.
    """
    n, m = x.sum(axis=1, keepdims=True), y.sum(axis=1, keepdims=True)
    p, q = x / n, y / m
    both = (x > 0) & (y > 0)
    ratio = np.divide(p, q, where=both, out=np.zeros(x.shape))
    logs = np.log(ratio, where=both, out=np.zeros(x.shape))
    divergence = kl_divergence(p, q)
    shift = (p * logs).sum(axis=1, keepdims=True)
    variance, inverse = (p * (logs - shift) ** 2).sum(axis=1) / n[:, 0], 1 / n[:, 0]
    if not known:
        variance += (q * (ratio - 1) ** 2).sum(axis=1) / m[:, 0]
        inverse += 1 / m[:, 0]
    return divergence, variance, inverse / 2, np.maximum(both.sum(axis=1) - 1.0, 1.0)


def _ends(divergence, variance, scale, freedom, confidence_level):
    """Return both ends of the interval in nats."""
    scale = np.divide(variance, 4 * divergence, where=divergence > 1e-12, out=scale.copy())
    statistic = np.divide(divergence, scale, where=scale > 0, out=np.zeros(scale.shape))
    statistic[~np.isfinite(statistic)] = 0.0
    tail = (1 - float(confidence_level)) / 2
    ends = []
    # Frequencies that happen to agree prove nothing: k - 1 is the mean of equal distributions.
    for seen, share in ((statistic, 1 - tail), (np.maximum(statistic, freedom), tail)):
        end = scale * noncentrality(seen, freedom, share)
        end = np.where(scale > 0, end, divergence)  # of more counts than there are digits
        ends.append(np.where(np.isinf(divergence), np.inf, end))
    ends[0][np.isinf(scale) & np.isfinite(divergence)] = 0.0
    return ends


def noncentrality(statistic, freedom, share):
    """Return the noncentrality at which a share lies below the statistic, 0 if none does."""
    from scipy.special import chndtr, chndtrinc, ndtri  # divergences need NumPy alone

    near = np.minimum(statistic, LARGEST_STATISTIC)
    inside = chndtr(near, freedom, 0.0) > share
    beyond = statistic - freedom - 2.0 * ndtri(share) * np.sqrt(statistic)
    found = np.where(near < statistic, beyond, chndtrinc(near, freedom, share))
    return np.where(inside, found, 0.0)


def _refuse_rare(arrays, x, y, shape, function):
    """Refuse counts of outcomes that are too few."""
    for name, own, other in (("counts", x, y), ("p_counts", x, y), ("q_counts", y, x)):
        if name in arrays:
            rare = (own < LEAST_COUNT) & ((own > 0) | (other > 0))
            if rare.any():
                i = int(np.argmax(rare.any(axis=1)))
                where, _ = row_of(arrays, name, shape, i)
                j = int(np.argmax(rare[i]))
                # Rows are in the order of the first argument that names outcomes.
                named = next(
                    (x for x in arrays.values() if isinstance(label_at(x, j), str)), None
                )
                raise ValueError(
                    f"{where} has {own[i, j]:.0f} of outcome {label_at(named, j)}: with fewer "
                    f"than {LEAST_COUNT} no interval is known to hold the truth. Add up rare "
                    f"outcomes, or take {function}, without an interval."
                )
