"""The parts of a loss: miscalibration, refinement, and the entropy of the targets.

Let c be the mean target given the prediction q. Then E D(y||q) = E D(c||q) + E D(y||c): what
recalibration can mend, and what only a better model could. c is not known; every method below
estimates it so that neither part is negative.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression

from sklkl._core.distributions import by_row, nats_to
from sklkl._core.docs import documented_with
from sklkl._core.models import check_partition
from sklkl._core.parameters import Rule, check, integer
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.results import NumbersRepr
from sklkl._core.samples import check_weights, relative
from sklkl._core.targets import class_mass, one_hot
from sklkl._core.typing import Estimator, Folds, OnZero
from sklkl.calibration._calibrated import METHODS as MAPS
from sklkl.divergences import entropy
from sklkl.divergences._registry import find
from sklkl.metrics._losses import check_options, clip, mean_divergence
from sklkl.model_selection._split import check_soft_cv

# Beyond, doubles hold no probability.
LARGEST_LOGIT = 1e3


@dataclass(frozen=True, repr=False)
class KLDecomposition(NumbersRepr):
    """Parts of a mean KL divergence, or cross-entropy, of targets to predictions.

    The result of ``kl_decomposition``: ``kl = miscalibration + refinement``, and
    ``cross_entropy = kl + entropy``.

    Parameters
    ----------
    cross_entropy : float
        Mean cross-entropy; of labels, the log loss.
    kl : float
        Mean KL divergence of the targets to the predictions.
    miscalibration : float
        The part that recalibration would take off.
    refinement : float
        The rest: the KL divergence of the targets to calibrated predictions.
    entropy : float
        Mean entropy of the targets, which no model can take off; of labels 0.
    uncertainty : float
        Mean KL divergence of the targets to their mean: the ``kl`` of a model that knows
        nothing.
    resolution : float
        ``uncertainty - refinement``: what the model knows, calibrated.

    Examples
    --------
    >>> from sklkl.calibration import kl_decomposition
    >>> y_proba = [[0.9, 0.1]] * 40 + [[0.1, 0.9]] * 40
    >>> y_true = ([0] * 3 + [1]) * 10 + ([1] * 3 + [0]) * 10
    >>> parts = kl_decomposition(y_true, y_proba, method="isotonic")
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3)
    (0.092, 0.562)
    """

    cross_entropy: float
    kl: float
    miscalibration: float
    refinement: float
    entropy: float
    uncertainty: float
    resolution: float


DOCS = {
    "method": """
        method : str or estimator, default="dirichlet"
            How c is estimated:

            - "dirichlet", "vector", "temperature": by the maps of ``sklkl.calibration``, or by
              one passed as an instance, or by another estimator that learns from soft targets:
              c is its prediction from q.
            - "isotonic": as an increasing function of the probability of the second of two
              classes, fitted to all samples (Dimitriadis, Gneiting and Jordan, 2021).
            - "binning": samples of the same predicted class are put into bins by its
              probability. The miscalibration is the divergence of the mean target to the mean
              prediction of each bin, less what is expected by chance: a lower bound, as
              differences within bins do not count, and a loose one with many classes.
        cv : int, splitter or iterable, default=5
            Folds in which a map is fitted to other samples than those whose c it gives, so
            that the miscalibration does not include what it overfits. None fits it to all
            samples. Not used by "isotonic" and "binning". Dependent samples, as all of one
            patient, are kept in one fold by the pairs of a splitter of groups,
            ``list(StratifiedSoftKFold().split(y_true, y_true, groups))``.
        n_bins : int, default=10
            Number of bins for each predicted class, of equal weight if no two predictions are
            equal; fewer if they would hold less than max(10, 5 * n_classes) samples. Used by
            "binning" only.""",
    "raises": """
        Raises
        ------
        ValueError
            If a row is not a probability vector, if classes, columns or names of rows do not
            match, if an argument is bad, if there are fewer samples than folds, or if the
            method does not fit the number of classes""",
}


@documented_with(**DOCS)
def kl_decomposition(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    method: str | Estimator = "dirichlet",
    cv: Folds = 5,
    n_bins: int = 10,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> KLDecomposition:
    r"""Split the KL divergence of targets to predictions into its parts.

    .. math::
        \underbrace{\mathrm{E}\, H(y, q)}_{\text{cross-entropy}}
        = \underbrace{\mathrm{E}\, D(c \| q)}_{\text{miscalibration}}
        + \underbrace{\mathrm{E}\, D(y \| c)}_{\text{refinement}}
        + \underbrace{\mathrm{E}\, H(y)}_{\text{entropy}}

    where c is the mean target given the prediction q. The first two parts are the KL
    divergence; for labels the last is 0.

    Parameters
    ----------
    %(y_true)s
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities, as for ``kl_loss``, of samples that the model was not fitted
        to.
    %(method)s
    %(labels)s
    %(sample_weight)s
    %(base)s
    %(on_zero_as_in_kl_loss)s

    Returns
    -------
    parts : KLDecomposition
        With the floats ``cross_entropy``, ``kl``, ``miscalibration``, ``refinement``,
        ``entropy``, ``uncertainty`` and ``resolution``. Miscalibration and refinement are
        never negative: a map that makes the divergence larger is taken for the identity.
        The resolution can be negative: c may be a worse prediction than the mean target.

    %(raises)s;
        on zeros, if ``on_zero="raise"`` and the divergence is infinite.

    See Also
    --------
    sklkl.metrics.kl_loss : The sum of the first two parts.
    squared_error_decomposition : The same of the squared error, Brier's score.
    SoftCalibratedClassifierCV : Mend miscalibration.

    Notes
    -----
    The overfit of "isotonic", and of a map without ``cv``, is taken for miscalibration: about
    1 / 2n nats for each parameter of a map. With "binning" the refinement is all that
    remains, an upper bound; it is not negative by the joint convexity of the KL divergence.
    Weights are sampling weights there, not frequencies, since chance depends on
    the number of samples.

    References
    ----------
    Bröcker, J. (2009). Reliability, Sufficiency, and the Decomposition of Proper Scores.
    Quarterly Journal of the Royal Meteorological Society 135, 1512-1519.

    Dimitriadis, T., Gneiting, T. and Jordan, A. I. (2021). Stable Reliability Diagrams for
    Probabilistic Classifiers. PNAS 118(8), arXiv:2008.03033.

    Berta, E., Holzmüller, D., Jordan, M. I. and Bach, F. (2025). Rethinking Early Stopping:
    Refine, Then Calibrate. arXiv:2501.19195.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.calibration import TemperatureScaling, kl_decomposition
    >>> truth = np.random.default_rng(0).dirichlet([1, 1, 1], size=10_000)
    >>> overconfident = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    >>> parts = kl_decomposition(truth, overconfident, method=TemperatureScaling())
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3), round(parts.entropy, 3)
    (0.11, 0.0, 0.832)
    """
    check_options(base, on_zero)
    kl, *parts = _parts(
        "kl", y_true, y_proba, method, cv, n_bins, labels, sample_weight, base, on_zero
    )
    miscalibration, refinement, own, uncertainty = parts
    return KLDecomposition(
        cross_entropy=kl + own,
        kl=kl,
        miscalibration=miscalibration,
        refinement=refinement,
        entropy=own,
        uncertainty=uncertainty,
        resolution=uncertainty - refinement,
    )


@dataclass(frozen=True, repr=False)
class SquaredErrorDecomposition(NumbersRepr):
    """Parts of a mean squared error of predictions, or Brier score, of targets.

    The result of ``squared_error_decomposition``: ``squared_error = miscalibration +
    refinement``, and ``brier = squared_error + impurity``.

    Parameters
    ----------
    brier : float
        Mean Brier score of labels that are drawn from the targets; of labels, theirs.
    squared_error : float
        Mean squared distance of the targets from the predictions.
    miscalibration : float
        The part that recalibration would take off; also called reliability.
    refinement : float
        The rest: the squared distance of the targets from calibrated predictions.
    impurity : float
        Mean of ``1 - sum(y**2)`` over the targets, which no model can take off; of labels 0.
    uncertainty : float
        Mean squared distance of the targets from their mean: the ``squared_error`` of a model
        that knows nothing.
    resolution : float
        ``uncertainty - refinement``: what the model knows, calibrated.

    Examples
    --------
    >>> from sklkl.calibration import squared_error_decomposition
    >>> y_proba = [[0.9, 0.1]] * 40 + [[0.1, 0.9]] * 40
    >>> y_true = ([0] * 3 + [1]) * 10 + ([1] * 3 + [0]) * 10
    >>> parts = squared_error_decomposition(y_true, y_proba, method="isotonic")
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3)
    (0.045, 0.375)
    """

    brier: float
    squared_error: float
    miscalibration: float
    refinement: float
    impurity: float
    uncertainty: float
    resolution: float


@documented_with(**DOCS)
def squared_error_decomposition(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    method: str | Estimator = "dirichlet",
    cv: Folds = 5,
    n_bins: int = 10,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> SquaredErrorDecomposition:
    r"""Split the squared error of predictions, the Brier score of labels, into its parts.

    .. math::
        \underbrace{\mathrm{E}\, \|y' - q\|^2}_{\text{Brier score}}
        = \underbrace{\mathrm{E}\, \|c - q\|^2}_{\text{miscalibration}}
        + \underbrace{\mathrm{E}\, \|y - c\|^2}_{\text{refinement}}
        + \underbrace{\mathrm{E}\, (1 - \|y\|^2)}_{\text{impurity}}

    where c is the mean target given the prediction q, and y' a label drawn from the target y.
    The first two parts are the squared error of the targets; for labels the last is 0. The
    sum over classes is that of Brier, between 0 and 2: for two classes the double of
    scikit-learn's ``brier_score_loss`` by default.

    Parameters
    ----------
    %(y_true)s
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities, as for ``kl_loss``, of samples that the model was not fitted
        to.
    %(method)s
    %(labels)s
    %(sample_weight)s

    Returns
    -------
    parts : SquaredErrorDecomposition
        With the floats ``brier``, ``squared_error``, ``miscalibration``, ``refinement``,
        ``impurity``, ``uncertainty`` and ``resolution``. Miscalibration and refinement are
        never negative: a map that makes the squared error larger is taken for the identity.

    %(raises)s.

    See Also
    --------
    kl_decomposition : The same of the KL divergence, with notes on the methods.
    sklkl.metrics.divergence_loss : With ``"squared_error"``, the sum of the first two parts.

    References
    ----------
    Brier, G. W. (1950). Verification of Forecasts Expressed in Terms of Probability. Monthly
    Weather Review 78, 1-3.

    Murphy, A. H. (1973). A New Vector Partition of the Probability Score. Journal of Applied
    Meteorology 12, 595-600.

    Bröcker, J. (2009). Reliability, Sufficiency, and the Decomposition of Proper Scores.
    Quarterly Journal of the Royal Meteorological Society 135, 1512-1519.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.calibration import TemperatureScaling, squared_error_decomposition
    >>> truth = np.random.default_rng(0).dirichlet([1, 1, 1], size=10_000)
    >>> overconfident = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    >>> parts = squared_error_decomposition(truth, overconfident, method=TemperatureScaling())
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3), round(parts.impurity, 3)
    (0.035, 0.0, 0.499)
    """
    error, *parts = _parts(
        "squared_error", y_true, y_proba, method, cv, n_bins, labels, sample_weight
    )
    miscalibration, refinement, own, uncertainty = parts
    return SquaredErrorDecomposition(
        brier=error + own,
        squared_error=error,
        miscalibration=miscalibration,
        refinement=refinement,
        impurity=own,
        uncertainty=uncertainty,
        resolution=uncertainty - refinement,
    )


def _parts(
    name, y_true, y_proba, method, cv, n_bins, labels, sample_weight, base=None, on_zero="clip"
):
    """Return a mean divergence, its two parts, the spread within targets, and between."""
    record = find(name)
    check("n_bins", n_bins, integer(1))
    calibrator = _check_method(method)
    together = {"sample_weight": sample_weight}
    target, proba = check_y_and_proba(y_true, y_proba, labels, together)
    hard, n_classes = target.ndim == 1, proba.shape[1]
    rows = one_hot(target, n_classes)
    if calibrator is not None and cv is not None:
        cv = check_soft_cv(cv, rows)
    weight = check_weights(sample_weight, target)
    mapped = partial(_mapped, calibrator, weight=weight, cv=cv)
    weight = relative(weight)

    def divergence(q, on_zero="clip"):
        options = {"sample_weight": weight, "base": base, "on_zero": on_zero}
        return mean_divergence(target, q, record, **options)

    def spread(p):
        """Return the mean divergence of what is drawn from each row of p to the row."""
        return entropy(p, base=base) if name == "kl" else (p * (1.0 - p)).sum(axis=-1)

    total = divergence(proba, on_zero)
    least = proba.dtype if on_zero == "clip" else None
    # Zeros stay: which are raised depends on the targets, of which c would learn that way.
    rows, proba = (x.astype(np.float64, copy=False) for x in (rows, proba))
    target = target if hard else rows
    if calibrator is None and method == "binning":
        bins = _bins(proba, weight, n_bins)
        miscalibration, refinement = _of_bins(record, rows, proba, weight, bins, base, least)
        miscalibration = min(max(0.0, miscalibration), total)
        if np.isfinite(miscalibration):
            refinement = total - miscalibration
    else:
        if calibrator is None:
            calibrated = _isotonic(rows, proba, weight)
        elif hard and isinstance(calibrator, tuple(MAPS.values())):
            # Labels take less time and memory; other estimators have to see every class.
            calibrator.set_params(classes=np.arange(n_classes))
            calibrated = mapped(target, proba)
        else:
            calibrated = mapped(rows, proba)
        refinement = min(divergence(calibrated), total)
        miscalibration = total - refinement
    mass = class_mass(target, weight, n_classes)
    prior = mass / mass.sum()
    if hard:
        own, uncertainty = 0.0, float(spread(prior))
    else:
        own = float(np.average(spread(target), weights=weight))
        uncertainty = divergence(np.broadcast_to(prior, target.shape))
    return total, miscalibration, refinement, own, uncertainty


def _check_method(method):
    """Return the unfitted calibration map that ``method`` stands for, or None."""
    names = (*MAPS, "isotonic", "binning")

    def good(value):
        if isinstance(value, str):
            return value in names
        return hasattr(value, "predict_proba") and not isinstance(value, type)

    rule = Rule(
        f"one of {names}, or an estimator such as sklkl.calibration.DirichletScaling()",
        good=good,
    )
    check("method", method, rule)
    if isinstance(method, str):
        return MAPS[method]() if method in MAPS else None
    method = clone(method)
    return method.set_params(from_logits=False) if hasattr(method, "from_logits") else method


def _mapped(calibrator, target, proba, *, weight, cv):
    """Return the predictions as a calibration map corrects them."""
    if cv is None:
        return calibrator.fit(proba, target, sample_weight=weight).predict_proba(proba)
    splits = list(cv.split(proba, target))
    check_partition([test for _, test in splits], len(target))
    calibrated = np.empty_like(proba)
    for train, test in splits:
        fitted = clone(calibrator).fit(
            proba[train], target[train], sample_weight=weight[train]
        )
        calibrated[test] = fitted.predict_proba(proba[test])
    return calibrated


def _bins(proba, weight, n_bins):
    """Return the bin of each row: its predicted class, and that one's probability."""
    predicted = proba.argmax(axis=1)
    top = proba[np.arange(len(proba)), predicted]
    least = max(10, 5 * proba.shape[1])
    n_bins = min(n_bins, len(proba))  # whose product with k must not overflow
    bins = np.empty(len(proba), dtype=np.intp)
    for k in np.unique(predicted):
        rows = np.flatnonzero(predicted == k)
        n = min(n_bins, max(1, np.count_nonzero(weight[rows]) // least))
        order = rows[np.argsort(top[rows])]
        mass = np.cumsum(weight[order])
        edges = top[order[np.searchsorted(mass, mass[-1] * np.arange(1, n) / n)]]
        bins[rows] = k * n_bins + np.searchsorted(edges, top[rows])
    return bins


def _of_bins(record, target, proba, weight, bins, base, least):
    """Return mean divergences: of mean targets to mean predictions, and of targets to means.

    The first is less what chance alone would give: the difference of the means has the
    variance of the residuals divided by their number, and the KL divergence is half the sum
    of its squares relative to the mean target. Mean predictions are raised to the epsilon of
    the dtype ``least`` where mean targets are positive, as in the loss.
    """
    counted = weight > 0.0
    target, proba, weight = target[counted], proba[counted], weight[counted]
    bins = np.unique(bins[counted], return_inverse=True)[1].reshape(-1)
    mass = np.bincount(bins, weight)

    def means(rows):
        columns = [np.bincount(bins, weight * column) / mass for column in rows.T]
        return np.stack(columns, axis=1)

    mean = means(target)
    predicted = means(proba)
    if least is not None:
        predicted = clip(mean, predicted.astype(least), "y_proba").astype(np.float64)
    divergence = by_row(record.kernel(), mean, predicted, base=base)
    share = weight / mass[bins]  # squares of huge or tiny weights are no numbers
    size = 1.0 / np.bincount(bins, share**2)  # of as many equal weights
    residual = target - proba
    variance = np.maximum(0.0, means(residual**2) - means(residual) ** 2)
    if record.name == "kl":
        variance = np.divide(variance, 2 * mean, where=mean > 0.0, out=np.zeros_like(mean))
    chance = variance.sum(axis=1) / np.maximum(size - 1.0, 1.0) * nats_to(base)
    left = by_row(record.kernel(), target, mean[bins], base=base)
    return (
        float(np.average(divergence - chance, weights=mass)),
        float(np.average(left, weights=weight)),
    )


def _isotonic(target, proba, weight):
    if proba.shape[1] != 2:
        raise ValueError(
            f"method='isotonic' is for two classes, not {proba.shape[1]}; use 'binning' or a "
            "calibration map such as sklkl.calibration.DirichletScaling()."
        )
    with np.errstate(divide="ignore"):
        logit = np.diff(np.log(proba), axis=1)[:, 0]  # distinct where 1 - p is not
    logit = np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT)
    # Each column by itself, as 1 - p would lose the digits of the other.
    return np.column_stack(
        [
            IsotonicRegression(increasing=increasing, out_of_bounds="clip").fit_transform(
                logit, column, sample_weight=weight
            )
            for increasing, column in zip((False, True), target.T, strict=True)
        ]
    )
