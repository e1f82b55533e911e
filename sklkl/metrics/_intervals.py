"""Confidence intervals of losses, and of their difference between two models.

Both methods see the data as independent units, rows or groups of them, each with a weight
w_g and a residual r_g, its weighted sum of loss - estimate. The estimate is a ratio of sums,
so its error is close to the mean of r_g over the mean of w_g: that is all they need.
"""

from dataclasses import dataclass
from math import nan, sqrt
from numbers import Integral
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit
from sklearn.utils import check_random_state

from sklkl._core.docs import documented
from sklkl._core.parameters import INNER_SHARE, Rule, check, one_of
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.results import NumbersRepr
from sklkl._core.samples import check_weights, encode_groups, relative
from sklkl._core.typing import (
    DivergenceName,
    DivergenceParams,
    IntervalMethod,
    OnZero,
    RandomState,
)
from sklkl.divergences._registry import find
from sklkl.metrics._losses import check_options, row_losses

METHOD = one_of(get_args(IntervalMethod))
N_RESAMPLES = Rule("an integer >= 2 and <= 1e9", Integral, lambda v: 2 <= v <= 1e9)
# Elements of 8 bytes in all arrays that hold resamples: 16 MB; more are not faster.
LARGEST_BATCH = 2_000_000
SIDES = np.array([1.0, -1.0])  # of a symmetric distribution, from its lower quantile


@dataclass(frozen=True, repr=False)
class LossInterval(NumbersRepr):
    """An estimated loss, or difference of losses, with its uncertainty.

    The result of ``loss_interval``.

    Parameters
    ----------
    estimate : float
        The weighted mean over rows.
    standard_error : float
        Estimated standard deviation of ``estimate``, in the same unit.
    low, high : float
        Ends of the confidence interval, in the same unit.

    Examples
    --------
    >>> from sklkl.metrics import loss_interval
    >>> interval = loss_interval([0, 1, 1], [0.2, 0.7, 0.9])
    >>> round(interval.estimate, 3), round(interval.standard_error, 3)
    (0.228, 0.073)
    """

    estimate: float
    standard_error: float
    low: float
    high: float


@documented
def loss_interval(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    y_proba_other: ArrayLike | None = None,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
    method: IntervalMethod = "delta",
    n_resamples: int = 9999,
    random_state: RandomState | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> LossInterval:
    r"""Compute a confidence interval of a mean loss, or of the difference of two models.

    The estimate is the loss itself, :math:`\hat\ell = \sum_i w_i \ell_i / \sum_i w_i`, as
    ``kl_loss`` computes it; with ``y_proba_other``, :math:`\ell_i` is the loss of ``y_proba``
    minus that of ``y_proba_other`` on the same row. The interval is for the mean loss of the
    same model on all data that the rows are a sample of.

    Parameters
    ----------
    %(y_true)s
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities, as for ``kl_loss``.
    y_proba_other : array-like of the same shapes, or data frame, default=None
        Predicted probabilities of another model for the same rows. The estimate is then a
        difference: negative where ``y_proba`` is better.
    divergence : str, default="kl"
        The divergence whose mean the loss is, as for ``divergence_loss``: "kl",
        "reverse_kl", "jensen_shannon", "hellinger", ...
    %(divergence_params)s
    %(labels)s
    sample_weight : array-like of shape (n_samples,), default=None
        Sampling or importance weights, non-negative. Their scale does not matter. They are
        not frequencies: a row of weight 2 is one observation, not two. A row of weight 0 is
        as good as absent.
    %(groups)s
    confidence_level : float, default=0.95
        Share of samples for which the interval is to hold the true mean, between 0 and 1.
    method : {"delta", "bootstrap"}, default="delta"
        "delta" is symmetric, instant, and needs units enough for the mean to be near normal;
        "bootstrap" resamples the units, and follows skew.
    n_resamples : int, default=9999
        The number of resamples of the bootstrap, at least 2.
    random_state : int, RandomState instance or None, default=None
        Source of the resamples; pass an int for the same result at each call.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits. None for a divergence without one.
    %(on_zero_as_in_kl_loss)s

    Returns
    -------
    interval : LossInterval
        With the floats ``estimate``, ``standard_error``, ``low`` and ``high``, in the unit of
        ``base``. With ``on_zero="inf"`` the estimate may be infinite, or NaN for a difference
        of infinities; the other three are then NaN: no sample tells how uncertain it is.

    Raises
    ------
    TypeError
        %(no_data)s
    ValueError
        If there is no such divergence, parameter or method, or if fewer than two units have a
        positive weight. %(bad_data)s

    Warns
    -----
    UserWarning
        %(unsorted)s

    See Also
    --------
    kl_loss, divergence_loss : The estimate alone.

    Notes
    -----
    With G units, :math:`w_g` the weight of a unit (the sum over its rows), and
    :math:`r_g = \sum_{i \in g} w_i (\ell_i - \hat\ell)`, the delta method linearises the
    ratio [1]_:

    .. math::
        \hat\ell \pm t_{G - 1} s, \qquad
        s^2 = \frac{G}{G - 1} \, \frac{\sum_g r_g^2}{\bigl(\sum_g w_g\bigr)^2}

    with t a quantile of Student's distribution: for equal weights the textbook interval of a
    mean, for groups the cluster-robust one [2]_. The bootstrap interval is the bias-corrected
    and accelerated one [3]_, with the acceleration
    :math:`\sum_g r_g^3 / \bigl(6 (\sum_g r_g^2)^{3/2}\bigr)`; its resamples take at most 16 MB
    at a time, or what a single one needs.

    Few units with skewed losses make both intervals too short: at a skewness of 2 and 100
    units, those of 95%% held the true mean for 93%% of samples. Both take the model as given:
    what another training set would change is no part of the interval. Rows that the model was
    fitted to are no sample of new data.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd ed., Wiley: chapters 6 (ratio
       estimators) and 9A (clusters of unequal sizes).

    .. [2] Cameron, A. C. and Miller, D. L. (2015). A Practitioner's Guide to Cluster-Robust
       Inference. Journal of Human Resources 50(2), 317-372.

    .. [3] Efron, B. (1987). Better Bootstrap Confidence Intervals. Journal of the American
       Statistical Association 82(397), 171-185.

    Examples
    --------
    >>> from sklkl.metrics import loss_interval
    >>> y_true = ["cat", "cat", "dog", "dog", "dog"]
    >>> p_dog = [0.1, 0.3, 0.8, 0.6, 0.9]
    >>> loss_interval(y_true, p_dog)
    LossInterval(estimate=0.260273, standard_error=0.0779244, low=0.0439202, high=0.476626)
    >>> coin = [0.5] * 5
    >>> difference = loss_interval(y_true, p_dog, coin)
    >>> difference.high < 0  # the model is better than a coin
    True
    """
    options = loss_options(divergence, divergence_params, base, on_zero)
    rng = check_method(method, confidence_level, n_resamples, random_state)
    together = {"sample_weight": sample_weight, "groups": groups}
    losses, weight, counted = losses_of(
        y_true, y_proba, y_proba_other, labels, together, options
    )
    weight = relative(weight)
    with np.errstate(invalid="ignore"):
        estimate = float(np.average(losses, weights=weight))
    unit, n_units = units_of(groups, counted)
    if not np.isfinite(estimate):
        return LossInterval(estimate, nan, nan, nan)
    losses = losses - estimate
    scale = np.abs(losses).max()
    if scale > 0:
        losses /= scale  # squares and cubes must not overflow
    residual = np.bincount(unit, weight * losses, minlength=n_units)
    weight = np.bincount(unit, weight, minlength=n_units)
    if not residual.any():
        return LossInterval(estimate, 0.0, estimate, estimate)
    tail = float((1 - confidence_level) / 2)  # where 1 - tail may round to 1
    if method == "delta":
        error, ends = _delta(residual, weight, tail)
    else:
        error, ends = _bootstrap(residual, weight, tail, n_resamples, rng)
    low, high = estimate + scale * ends
    return LossInterval(estimate, float(scale * error), float(low), float(high))


def loss_options(divergence, divergence_params, base, on_zero):
    """Return the checked options of ``row_losses``."""
    record = find(divergence)
    check_options(base, on_zero, record, divergence_params)
    of_record = {"divergence": record, "divergence_params": divergence_params}
    return of_record | {"base": base, "on_zero": on_zero}


def losses_of(y_true, y_proba, y_proba_other, labels, together, options):
    """Return the losses, or differences, and the weights, of the rows that have some.

    ``together`` holds what belongs to the rows, by name, the ``sample_weight`` among it; the
    third array tells which rows count.
    """
    record = options["divergence"]
    forms = {"sparse": True, "ordered": record.name if record.ordered else None}
    target, proba = check_y_and_proba(y_true, y_proba, labels, together, **forms)
    weight = check_weights(together["sample_weight"], target)
    counted = weight > 0
    options = options | {"counted": counted}
    losses = row_losses(target, proba, **options).astype(np.float64, copy=False)
    if y_proba_other is not None:
        name, together = "y_proba_other", together | {"y_proba": y_proba}
        target, proba = check_y_and_proba(
            y_true, y_proba_other, labels, together, name, **forms
        )
        other = row_losses(target, proba, name=name, **options)
        with np.errstate(invalid="ignore"):  # inf - inf is NaN
            losses = losses - other
    return losses[counted], weight[counted], counted


def mean_interval(values, weight, unit, tail):
    """Return both ends of the interval of a mean by the delta method, NaN if not finite."""
    estimate = float(np.average(values, weights=weight))
    if not np.isfinite(values).all():
        return nan, nan
    _, ends = _delta(np.bincount(unit, weight * (values - estimate)), weight, tail)
    low, high = estimate + ends
    return float(low), float(high)


def share_interval(values, weight, unit, tail):
    """Return both ends of Wilson's interval of a share, a mean of values from 0 to 1.

    Where all samples agree it still has a width. Values between 0 and 1 vary less than those
    of a share, 0 and 1, so that their interval is rather too wide. Weights count as so many
    samples of equal weight as have a mean of the same variance. Groups make it as many times
    fewer as the squared width by the delta method grows (Korn and Graubard, 1998), never more;
    where all samples agree, each group counts once.
    """
    share = float(np.average(values, weights=weight))
    residual = weight * (values - share)
    of_rows, of_units = (
        _delta(r, weight, tail)[1][1] for r in (residual, np.bincount(unit, residual))
    )
    counts = weight if of_units > 0 or of_rows > 0 else np.bincount(unit, weight)
    n = counts.sum() ** 2 / np.sum(counts**2)
    if of_units > of_rows:
        n *= (of_rows / of_units) ** 2
    z = -float(ndtri(tail))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(centre - half), float(centre + half)


def check_method(method, confidence_level, n_resamples, random_state):
    """Return the checked source of resamples; refuse what is bad of the others."""
    check("method", method, METHOD)
    check("confidence_level", confidence_level, INNER_SHARE)
    check("n_resamples", n_resamples, N_RESAMPLES)
    try:
        return check_random_state(random_state)
    except ValueError as error:
        raise ValueError(f"random_state must be an integer >= 0 or None: {error}") from None


def units_of(groups, counted):
    """Return the unit of each row that counts, from 0 on, and the number of units."""
    if groups is None:
        what, n_units = "rows", int(counted.sum())
        unit = np.arange(n_units)
    else:
        _, group_of = encode_groups(groups, len(counted))
        names, unit = np.unique(group_of[counted], return_inverse=True)
        what, n_units = "groups", len(names)
    refuse_few(n_units, what)
    return unit.reshape(-1), n_units


def refuse_few(n_units, what):
    """Refuse fewer than two units."""
    if n_units < 2:
        raise ValueError(
            f"Number of {what} with a positive weight: {n_units}; the uncertainty of a mean "
            f"needs at least two independent {what}."
        )


def _delta(residual, weight, tail):
    """Return the standard error and both ends of the interval, from the estimate."""
    return delta_of_sums(len(residual), np.sum(residual**2), weight.sum(), tail)


def delta_of_sums(n_units, squares, weight, tail):
    """As ``_delta``, from the sums of the squared residuals and of the weights."""
    error = sqrt(n_units / (n_units - 1) * squares) / weight
    return error, error * stdtrit(n_units - 1, tail) * SIDES


def _bootstrap(residual, weight, tail, n_resamples, rng):
    """As ``_delta``, by the bias-corrected and accelerated bootstrap."""
    n_units = len(residual)
    size = max(1, LARGEST_BATCH // (3 * n_units))  # units, residuals and weights
    deviation = np.empty(n_resamples)
    for start in range(0, n_resamples, size):
        batch = deviation[start : start + size]
        drawn = rng.randint(n_units, size=(len(batch), n_units), dtype=np.int64)
        batch[:] = residual[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
    error = deviation.std(ddof=1)
    # Losses of few values, as of hard predictions, repeat the estimate but for rounding;
    # the sign of the rounding must not count as bias.
    sides = np.sign(np.where(np.abs(deviation) <= 1e-10 * error, 0.0, deviation))
    # One more than n_resamples, so that all on one side is no infinite bias.
    bias = ndtri(0.5 - 0.5 * sides.sum() / (n_resamples + 1))
    residual = residual / np.abs(residual).max()  # of tiny weights it is tiny
    acceleration = np.sum(residual**3) / (6 * np.sum(residual**2) ** 1.5)
    shifted = bias + ndtri(tail) * SIDES
    # Where the divisor is no longer positive, the end is the extreme of the resamples.
    levels = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-300))
    return error, np.quantile(deviation, levels)
