"""Row-wise divergences: what is computed, and what users read about it."""

from functools import lru_cache, partial
from math import inf
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.arrays import SUM_TOLERANCE
from sklkl._core.devices import common_place, namespace
from sklkl._core.distributions import (
    as_rows,
    by_row,
    nats_to,
    raise_bad_row,
    rows_elsewhere,
)
from sklkl._core.docs import documented
from sklkl._core.parameters import SHARE, check, number
from sklkl._core.typing import Floats, RowValues
from sklkl._kernels import _arrays
from sklkl._kernels._contributions import contribution_rows
from sklkl._kernels._rows import RowKernel

__all__ = [
    "alpha_divergence",
    "bhattacharyya_distance",
    "chi2_divergence",
    "cross_entropy",
    "entropy",
    "hellinger_distance",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl_contributions",
    "kl_divergence",
    "ranked_probability",
    "renyi_divergence",
    "squared_error",
    "total_variation_distance",
]

CROSS_ENTROPY = RowKernel("cross_entropy")
ENTROPY = RowKernel("entropy")
KL = RowKernel("kl")
REVERSE_KL = RowKernel("kl", swap=True)
JEFFREYS = RowKernel("jeffreys")
CHI2 = RowKernel("chi2")
HELLINGER = RowKernel("hellinger", root=True)
TOTAL_VARIATION = RowKernel("total_variation")
BHATTACHARYYA = RowKernel("bhattacharyya")
SQUARED_ERROR = RowKernel("squared_error")
RANKED_PROBABILITY = RowKernel("ranked_probability")


# Beyond it, the parts of order log(p / q) overflow.
LARGEST_ORDER = 1e300
ORDER = number("a finite number >= 0, at most 1e300", lambda v: 0 <= v <= LARGEST_ORDER)
ORDER_OR_INFINITE = number("a number >= 0, at most 1e300, or np.inf", ORDER.good)
ALPHA = number("a finite number within 1e300 of 0", lambda v: abs(v) <= LARGEST_ORDER)

# Building one takes as long as a call; the common parameters are few.
cached_kernel = lru_cache(maxsize=64)(RowKernel)


def jensen_shannon_kernel(weight=0.5, *, root=False):
    """Kernel of the Jensen-Shannon divergence, or of its square root."""
    check("weight", weight, SHARE)
    return cached_kernel("jensen_shannon", weight=weight, root=root)


def renyi_kernel(order):
    """Kernel of the Rényi divergence of finite order."""
    check("order", order, ORDER)
    if order == 0.5:
        return cached_kernel("bhattacharyya", factor=2.0)
    return KL if order == 1 else cached_kernel("power", order=order, renyi=True)


def alpha_kernel(alpha):
    """Kernel of the alpha-divergence."""
    check("alpha", alpha, ALPHA)
    alpha = float(alpha)
    if alpha == 1:
        return KL
    if abs(alpha) < 2.3e-308:  # 0 as far as its inverse can tell
        return REVERSE_KL
    return cached_kernel("power", order=alpha)


@documented
def entropy(p: ArrayLike, *, axis: int = -1, base: float | None = None) -> RowValues:
    r"""Compute the Shannon entropy of each distribution.

    .. math:: H(P) = -\sum_j p_j \log p_j

    Parameters
    ----------
    p : array-like of shape (..., n_outcomes)
        Distributions along ``axis``. Each must sum to 1 within 3.5e-4 and is normalised
        exactly; entries down to -1e-6 count as 0.
    axis : int, default=-1
        The axis along which ``p`` is a distribution.
    %(base)s

    Returns
    -------
    entropy : float or ndarray of shape (...)
        Entropy, between 0 (all mass on one outcome) and log(n_outcomes). A float if ``p``
        is 1-D; otherwise an array, float32 for float32 input, else float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector; the message names the row.

    See Also
    --------
    cross_entropy : Cost of coding one distribution with another's code.

    References
    ----------
    Shannon, C. E. (1948). A Mathematical Theory of Communication. Bell System Technical
    Journal 27, 379-423.

    Examples
    --------
    >>> from sklkl.divergences import entropy
    >>> entropy([0.5, 0.5], base=2)
    1.0
    """
    return by_row(ENTROPY, p, p, axis=axis, base=base)


@documented
def cross_entropy(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the cross-entropy of each pair of distributions.

    .. math:: H(P, Q) = -\sum_j p_j \log q_j = H(P) + D(P \| Q)

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    cross_entropy : float or ndarray of shape (...)
        Cross-entropy, non-negative; inf where some p > 0 = q. A float for two 1-D inputs;
        otherwise an array, float32 if no input is wider, else float64.

    %(raises_bad_row)s

    See Also
    --------
    kl_divergence : The part of the cross-entropy that a better ``q`` can save.

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed.,
    section 5.4 (cost of the wrong code).

    Examples
    --------
    >>> from sklkl.divergences import cross_entropy
    >>> round(cross_entropy([0.5, 0.5], [0.9, 0.1], base=2), 3)
    1.737
    """
    return by_row(CROSS_ENTROPY, p, q, axis=axis, base=base)


@documented
def kl_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the Kullback-Leibler divergence of each pair of distributions.

    .. math:: D(P \| Q) = \sum_j p_j \log \frac{p_j}{q_j}

    The expectation is over ``p``: forward KL of a model ``q`` to the truth ``p``. Swap the
    arguments for reverse KL.

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative; 0 for equal rows; inf where some p > 0 = q. Outcomes with p = 0 count
        0. %(array)s

    %(raises_bad_row)s

    See Also
    --------
    kl_contributions : The summand of each outcome.
    jensen_shannon_divergence : A symmetric, bounded relative.

    Notes
    -----
    The relative error is at most 1e-13 for float64 (2e-6 for float32), also for rows that
    agree to 12 digits, for which summing ``p * log(p / q)`` keeps none.

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On Information and Sufficiency. Annals of
    Mathematical Statistics 22(1), 79-86.

    Examples
    --------
    >>> from sklkl.divergences import kl_divergence
    >>> fair, biased = [0.5, 0.5], [0.9, 0.1]
    >>> round(kl_divergence(fair, biased, base=2), 3)
    0.737
    >>> round(kl_divergence(biased, fair, base=2), 3)
    0.531
    """
    return by_row(KL, p, q, axis=axis, base=base)


@documented
def jeffreys_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the Jeffreys divergence of each pair of distributions.

    .. math::
        J(P, Q) = D(P \| Q) + D(Q \| P) = \sum_j (p_j - q_j) \log \frac{p_j}{q_j}

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative and symmetric; inf where one of p and q is 0 and the other is not.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    kl_divergence : Either half of it.
    jensen_shannon_divergence : Symmetric and finite.

    References
    ----------
    Jeffreys, H. (1946). An Invariant Form for the Prior Probability in Estimation Problems.
    Proceedings of the Royal Society A 186, 453-461.

    Examples
    --------
    >>> from sklkl.divergences import jeffreys_divergence
    >>> round(jeffreys_divergence([0.5, 0.5], [0.9, 0.1], base=2), 3)
    1.268
    """
    return by_row(JEFFREYS, p, q, axis=axis, base=base)


@documented
def jensen_shannon_divergence(
    p: ArrayLike,
    q: ArrayLike,
    *,
    weight: float = 0.5,
    axis: int = -1,
    base: float | None = None,
) -> RowValues:
    r"""Compute the Jensen-Shannon divergence of each pair of distributions.

    .. math::
        \mathrm{JS}_w(P, Q) = w D(P \| M) + (1 - w) D(Q \| M), \quad M = w P + (1 - w) Q

    Parameters
    ----------
    %(pair)s
    weight : float, default=0.5
        Weight w of ``p`` in the mixture, between 0 and 1. Symmetric in ``p`` and ``q`` at
        0.5.
    %(axis_and_base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Between 0 (equal rows) and the entropy of (w, 1 - w): log(2) nats or 1 bit at
        w = 0.5, reached by rows without a common outcome. It is always finite. %(array)s

    Raises
    ------
    ValueError
        If a row is not a probability vector (the message names the argument and the row)
        or ``weight`` is outside [0, 1].

    See Also
    --------
    jensen_shannon_distance : Its square root, a metric.
    kl_divergence : The divergence that it symmetrises.

    References
    ----------
    Lin, J. (1991). Divergence Measures Based on the Shannon Entropy. IEEE Transactions on
    Information Theory 37(1), 145-151.

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_divergence
    >>> jensen_shannon_divergence([1, 0], [0, 1], base=2)
    1.0
    """
    return by_row(jensen_shannon_kernel(weight), p, q, axis=axis, base=base)


@documented
def jensen_shannon_distance(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the Jensen-Shannon distance of each pair of distributions.

    .. math::
        d(P, Q) = \sqrt{\tfrac12 D(P \| M) + \tfrac12 D(Q \| M)}, \quad M = \tfrac12 (P + Q)

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    distance : float or ndarray of shape (...)
        Square root of the Jensen-Shannon divergence in the unit of ``base``: a metric,
        between 0 (equal rows) and 1 for bits, sqrt(log(2)) for nats.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    jensen_shannon_divergence : Its square.
    scipy.spatial.distance.jensenshannon : The same.

    References
    ----------
    Endres, D. M. and Schindelin, J. E. (2003). A New Metric for Probability Distributions.
    IEEE Transactions on Information Theory 49(7), 1858-1860.

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_distance
    >>> jensen_shannon_distance([1, 0], [0, 1], base=2)
    1.0
    """
    return by_row(jensen_shannon_kernel(root=True), p, q, axis=axis, base=base)


@documented
def renyi_divergence(
    p: ArrayLike, q: ArrayLike, *, order: float, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the Rényi divergence of each pair of distributions.

    .. math::
        D_\alpha(P \| Q) = \frac{1}{\alpha - 1} \log \sum_j p_j^\alpha q_j^{1 - \alpha}

    Parameters
    ----------
    %(pair)s
    order : float
        The order alpha, from 0 to 1e300, or inf. At 1, and near it without loss of digits, the
        Kullback-Leibler divergence; at 1/2, twice the Bhattacharyya distance; at 0, minus
        the logarithm of the mass that ``q`` has where p > 0; at inf, the logarithm of the
        largest p / q.
    %(axis_and_base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative and growing with the order; inf where no outcome has p > 0 and q > 0,
        and for orders from 1 where some p > 0 = q.
        %(array)s

    Raises
    ------
    ValueError
        %(bad_row)s
        Or if ``order`` is outside of its range.

    See Also
    --------
    alpha_divergence : The same moment without the logarithm.
    bhattacharyya_distance : Half of it at order 1/2.

    References
    ----------
    Rényi, A. (1961). On Measures of Entropy and Information. Proceedings of the 4th Berkeley
    Symposium on Mathematics, Statistics and Probability 1, 547-561.

    van Erven, T. and Harremoës, P. (2014). Rényi Divergence and Kullback-Leibler Divergence.
    IEEE Transactions on Information Theory 60(7), 3797-3820.

    Examples
    --------
    >>> from sklkl.divergences import renyi_divergence
    >>> fair, biased = [0.5, 0.5], [0.9, 0.1]
    >>> round(renyi_divergence(fair, biased, order=2, base=2), 3)
    1.474
    >>> round(renyi_divergence(fair, biased, order=1, base=2), 3)
    0.737
    """
    if is_infinite(order):
        return _max_divergence(p, q, axis, base)
    check("order", order, ORDER_OR_INFINITE)
    return by_row(renyi_kernel(order), p, q, axis=axis, base=base)


def is_infinite(order):
    """Return whether an order is inf: a maximum, which has no kernel."""
    return isinstance(order, Real) and order == inf


def _max_divergence(p, q, axis, base):
    """Rényi divergence of infinite order: the largest log(p / q)."""
    logs = _log_ratios(p, q, axis, base, weighted=False)
    xp = namespace(logs)
    result = xp.clip(xp.max(logs, axis=axis), 0.0, None)
    return result if result.ndim else float(result)


def _log_ratios(p, q, axis, base, *, weighted):
    """Compute log(p / q) of each outcome, times p if ``weighted``."""
    arrays, unit = {"p": p, "q": q}, nats_to(base)

    def contributions(p, q):
        return contribution_rows(p, q, unit, SUM_TOLERANCE, weighted)

    if (place := common_place(**arrays)) is not None:
        there = partial(_arrays.log_ratios, place.xp, unit=unit, weighted=weighted)
        return rows_elsewhere(there, contributions, arrays, place, axis)
    rows, shape = as_rows(arrays, axis)
    out = contributions(*rows)
    bad = np.isnan(out[:, 0])
    if bad.any():
        raise_bad_row(arrays, shape, int(np.argmax(bad)), axis)
    return np.moveaxis(out.reshape(*shape, out.shape[1]), -1, axis)


@documented
def alpha_divergence(
    p: ArrayLike, q: ArrayLike, *, alpha: float, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute Amari's alpha-divergence of each pair of distributions.

    .. math::
        D_\alpha(P \| Q) = \frac{1 - \sum_j p_j^\alpha q_j^{1 - \alpha}}{\alpha (1 - \alpha)}

    Parameters
    ----------
    %(pair)s
    alpha : float
        A number within 1e300 of 0. At 1 the Kullback-Leibler divergence of ``p`` from
        ``q``, at 0 the one of ``q`` from ``p``, and continuous there without loss of digits;
        at 1/2, four times the squared Hellinger distance; at 2, half the chi-squared
        divergence.
    %(axis_and_base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative; inf where some p > 0 = q if alpha >= 1, and where some q > 0 = p if
        alpha <= 0.
        %(array)s

    Raises
    ------
    ValueError
        %(bad_row)s
        Or if ``alpha`` is outside of its range.

    See Also
    --------
    renyi_divergence : A function of the same moment.

    Notes
    -----
    The parameter is the one of Cichocki and Amari; Amari's older one is 1 - 2 alpha. For alpha
    other than 0 and 1 the result is a number without a unit; ``base`` divides it by
    log(base), which makes it continuous there.

    References
    ----------
    Cichocki, A. and Amari, S. (2010). Families of Alpha- Beta- and Gamma-Divergences. Entropy
    12(6), 1532-1568.

    Examples
    --------
    >>> from sklkl.divergences import alpha_divergence
    >>> fair, biased = [0.5, 0.5], [0.9, 0.1]
    >>> round(alpha_divergence(fair, biased, alpha=1, base=2), 3)
    0.737
    >>> round(alpha_divergence(fair, biased, alpha=0, base=2), 3)
    0.531
    """
    return by_row(alpha_kernel(alpha), p, q, axis=axis, base=base)


@documented
def chi2_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues:
    r"""Compute Pearson's chi-squared divergence of each pair of distributions.

    .. math::
        \chi^2(P \| Q) = \sum_j \frac{(p_j - q_j)^2}{q_j}

    Parameters
    ----------
    %(pair)s
    %(axis)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative, without a unit; inf where some p > 0 = q.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    alpha_divergence : Half of it at alpha = 2.

    References
    ----------
    Pearson, K. (1900). On the Criterion that a Given System of Deviations is Such that it Can
    be Reasonably Supposed to Have Arisen from Random Sampling. Philosophical Magazine 50,
    157-175.

    Examples
    --------
    >>> from sklkl.divergences import chi2_divergence
    >>> round(chi2_divergence([0.5, 0.5], [0.9, 0.1]), 3)
    1.778
    """
    return by_row(CHI2, p, q, axis=axis)


@documented
def hellinger_distance(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues:
    r"""Compute the Hellinger distance of each pair of distributions.

    .. math::
        H(P, Q) = \sqrt{\tfrac12 \sum_j \bigl(\sqrt{p_j} - \sqrt{q_j}\bigr)^2}

    Parameters
    ----------
    %(pair)s
    %(axis)s

    Returns
    -------
    distance : float or ndarray of shape (...)
        A metric between 0 (equal rows) and 1 (no common outcome), without a unit.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    bhattacharyya_distance : Minus log(1 - H^2).

    References
    ----------
    Hellinger, E. (1909). Neue Begründung der Theorie quadratischer Formen von unendlichvielen
    Veränderlichen. Journal für die reine und angewandte Mathematik 136, 210-271.

    Examples
    --------
    >>> from sklkl.divergences import hellinger_distance
    >>> round(hellinger_distance([0.5, 0.5], [0.9, 0.1]), 3)
    0.325
    """
    return by_row(HELLINGER, p, q, axis=axis)


@documented
def total_variation_distance(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues:
    r"""Compute the total variation distance of each pair of distributions.

    .. math::
        \mathrm{TV}(P, Q) = \tfrac12 \sum_j |p_j - q_j|

    Parameters
    ----------
    %(pair)s
    %(axis)s

    Returns
    -------
    distance : float or ndarray of shape (...)
        The largest difference of the probabilities of any event: a metric between 0 (equal
        rows) and 1 (no common outcome), without a unit.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    hellinger_distance : A metric that weighs rare outcomes more.

    References
    ----------
    Levin, D. A. and Peres, Y. (2017). Markov Chains and Mixing Times, 2nd ed., section 4.1.

    Examples
    --------
    >>> from sklkl.divergences import total_variation_distance
    >>> round(total_variation_distance([0.5, 0.5], [0.9, 0.1]), 3)
    0.4
    """
    return by_row(TOTAL_VARIATION, p, q, axis=axis)


@documented
def bhattacharyya_distance(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues:
    r"""Compute the Bhattacharyya distance of each pair of distributions.

    .. math::
        D_B(P, Q) = -\log \sum_j \sqrt{p_j q_j}

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    distance : float or ndarray of shape (...)
        Non-negative and symmetric; inf where no outcome has p > 0 and q > 0. It does not obey
        the triangle inequality.
        %(array)s

    %(raises_bad_row)s

    See Also
    --------
    renyi_divergence : Twice it at order 1/2.
    hellinger_distance : A metric of the same sum.

    References
    ----------
    Bhattacharyya, A. (1943). On a Measure of Divergence between Two Statistical Populations
    Defined by Their Probability Distributions. Bulletin of the Calcutta Mathematical Society
    35, 99-109.

    Examples
    --------
    >>> from sklkl.divergences import bhattacharyya_distance
    >>> round(bhattacharyya_distance([0.5, 0.5], [0.9, 0.1], base=2), 3)
    0.161
    """
    return by_row(BHATTACHARYYA, p, q, axis=axis, base=base)


@documented
def squared_error(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues:
    r"""Compute the squared error, Brier's, of each pair of distributions.

    .. math::
        \mathrm{SE}(P, Q) = \sum_j (p_j - q_j)^2

    Parameters
    ----------
    %(pair)s
    %(axis)s

    Returns
    -------
    error : float or ndarray of shape (...)
        Between 0 (equal rows) and 2 (each certain of another outcome), symmetric, without a
        unit. The sum is over all outcomes, as Brier's [1]_: of two outcomes it is twice the
        square of one difference. %(array)s

    %(raises_bad_row)s

    See Also
    --------
    ranked_probability : The same of cumulative probabilities, for ordered outcomes.
    kl_divergence : Proper, too, but without a bound where q is near 0.
    sklearn.metrics.brier_score_loss : The mean for labels, halved for two classes.

    References
    ----------
    .. [1] Brier, G. W. (1950). Verification of Forecasts Expressed in Terms of Probability.
       Monthly Weather Review 78(1), 1-3.

    Examples
    --------
    >>> from sklkl.divergences import squared_error
    >>> round(squared_error([0.5, 0.5], [0.9, 0.1]), 3)
    0.32
    """
    return by_row(SQUARED_ERROR, p, q, axis=axis)


@documented
def ranked_probability(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues:
    r"""Compute the ranked probability score of each pair of distributions of ordered outcomes.

    .. math::
        \mathrm{RPS}(P, Q) = \sum_{j=1}^{k-1} \Bigl(\sum_{i \le j} (p_i - q_i)\Bigr)^2

    A probability that is far from where it belongs costs more than one that is near: outcomes
    are in the order of the axis, as grades from bad to good; where names of outcomes are
    matched, in that of the first argument.

    Parameters
    ----------
    %(pair)s
    %(axis)s

    Returns
    -------
    score : float or ndarray of shape (...)
        Between 0 (equal rows) and k - 1 (all mass at opposite ends), symmetric, without a
        unit. Divide by k - 1 for the normalised score. %(array)s

    %(raises_bad_row)s

    See Also
    --------
    squared_error : The same of outcomes without an order; twice this one for two outcomes.
    scipy.stats.wasserstein_distance : The sum of absolute cumulative differences.

    References
    ----------
    Epstein, E. S. (1969). A Scoring System for Probability Forecasts of Ranked Categories.
    Journal of Applied Meteorology 8(6), 985-987.

    Examples
    --------
    >>> from sklkl.divergences import ranked_probability
    >>> good, near, far = [0, 0, 1], [0, 1, 0], [1, 0, 0]
    >>> ranked_probability(good, near), ranked_probability(good, far)
    (1.0, 2.0)
    """
    return by_row(RANKED_PROBABILITY, p, q, axis=axis)


@documented
def kl_contributions(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats:
    r"""Compute what each outcome adds to the Kullback-Leibler divergence.

    .. math:: c_j = p_j \log \frac{p_j}{q_j}, \quad \sum_j c_j = D(P \| Q)

    Parameters
    ----------
    %(pair)s
    %(axis_and_base)s

    Returns
    -------
    contributions : ndarray of shape (..., n_outcomes)
        Signed: negative where q > p, 0 where p = 0, inf where p > 0 = q. The broadcast
        shape of ``p`` and ``q``, in the order of the names of ``p``; float32 if none is wider,
        else float64.

    %(raises_bad_row)s

    See Also
    --------
    kl_divergence : The sum over outcomes, itself accurate where this sum cancels.

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On Information and Sufficiency. Annals of
    Mathematical Statistics 22(1), 79-86.

    Examples
    --------
    >>> from sklkl.divergences import kl_contributions
    >>> kl_contributions([0.5, 0.5], [0.9, 0.1], base=2).round(3)
    array([-0.424,  1.161])
    """
    return _log_ratios(p, q, axis, base, weighted=True)
