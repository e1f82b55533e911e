"""What a loss consists of: miscalibration, refinement, and the entropy of the targets.

Let c be the mean target given the prediction q. Then E D(y||q) = E D(c||q) + E D(y||c): what
recalibration can mend, and what only a better model could. c is not known; every method below
is an estimate of it that leaves both parts non-negative by its nature.
"""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression

from sklkl._targets import check_weights, one_hot
from sklkl.divergences import entropy
from sklkl.divergences._divergences import KL as KL_KERNEL
from sklkl.divergences._rows import by_row
from sklkl.metrics._losses import ALIGNED, check_options, check_y_and_proba, clip, row_losses
from sklkl.metrics._results import NumbersRepr
from sklkl.model_selection import soft_cross_val_predict

KL_LOSS = ALIGNED["kl_loss"].keywords
METHODS = ("binning", "isotonic")
# Beyond, doubles hold no probability.
LARGEST_LOGIT = 1e3


@dataclass(frozen=True, repr=False)
class KLDecomposition(NumbersRepr):
    """Parts of a mean KL divergence, or cross-entropy, of targets to predictions.

    What ``kl_decomposition`` returns: ``kl = miscalibration + refinement``, and
    ``cross_entropy = kl + entropy``.

    Parameters
    ----------
    cross_entropy : float
        Mean cross-entropy; of labels, the log loss.
    kl : float
        Mean KL divergence of the targets to the predictions.
    miscalibration : float
        What recalibration would take off.
    refinement : float
        What would be left: the KL divergence of the targets to calibrated predictions.
    entropy : float
        Mean entropy of the targets, which no model can take off; of labels 0.
    uncertainty : float
        Mean KL divergence of the targets to their mean: the ``kl`` of a model that knows
        nothing.
    resolution : float
        ``uncertainty - refinement``: what the model knows, calibrated.

    Examples
    --------
    >>> from sklkl.metrics import kl_decomposition
    >>> y_proba = [[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4
    >>> parts = kl_decomposition([0, 0, 0, 1, 1, 1, 1, 0], y_proba, base=2)
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3)
    (0.133, 0.811)
    """

    cross_entropy: float
    kl: float
    miscalibration: float
    refinement: float
    entropy: float
    uncertainty: float
    resolution: float


def kl_decomposition(
    y_true,
    y_proba,
    *,
    method="binning",
    n_bins=10,
    cv=None,
    labels=None,
    sample_weight=None,
    base=None,
    on_zero="clip",
):
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
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        True labels; or soft targets, a probability vector per row. The columns of a data
        frame are the classes.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities, as for ``kl_loss``, of samples that the model was not fitted
        to.
    method : {"binning", "isotonic"} or estimator, default="binning"
        How c is estimated:

        - "binning": samples of the same predicted class are put into bins by its
          probability; the miscalibration is the divergence of the mean target to the mean
          prediction of each bin, a lower bound that is exact if predictions in a bin are
          equal.
        - "isotonic": as an increasing function of the probability of the second of two
          classes (Dimitriadis, Gneiting and Jordan, 2021).
        - A calibration map that learns from soft targets, such as
          ``sklkl.calibration.DirichletScaling()``: c is what it makes of q.
    n_bins : int, default=10
        Number of bins for each predicted class, of equally many samples if no two
        predictions are equal; for "binning" only.
    cv : int, splitter or iterable, default=None
        Folds in which a calibration map is fitted to other samples than those whose c it
        gives, so that the miscalibration does not include what it overfits. By default it
        is fitted to all.
    labels : array-like of shape (n_classes,), default=None
        All classes, in sorted order. Needed where a class is absent from ``y_true``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, non-negative.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a prediction is 0 but its target is not, as in ``kl_loss``.

    Returns
    -------
    parts : KLDecomposition
        With the floats ``cross_entropy``, ``kl``, ``miscalibration``, ``refinement``,
        ``entropy``, ``uncertainty`` and ``resolution``. Miscalibration and refinement are
        never negative: a map that makes the divergence larger is taken for the identity.
        The resolution can be negative, if a calibration map is worse than the mean target.

    Raises
    ------
    ValueError
        If a row is not a probability vector, if classes and columns do not match, or if the
        method does not fit the number of classes or the other arguments; on zeros, if
        ``on_zero="raise"`` and the divergence is infinite.

    See Also
    --------
    kl_loss : The sum of the first two parts.
    sklkl.calibration.SoftCalibratedClassifierCV : Mend miscalibration.

    Notes
    -----
    What an estimate of c overfits is taken for miscalibration: about
    :math:`(K - 1) / 2n` nats for each bin of n labels in K classes, and 1 / 2n for each
    parameter of a map. With "binning" the refinement is what remains, at most the true one
    plus the resolution within bins; that it is not negative follows from the joint convexity
    of the KL divergence.

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
    >>> from sklkl.calibration import TemperatureScaling
    >>> from sklkl.metrics import kl_decomposition
    >>> truth = np.random.default_rng(0).dirichlet([1, 1, 1], size=10_000)
    >>> overconfident = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    >>> parts = kl_decomposition(truth, overconfident, method=TemperatureScaling())
    >>> round(parts.miscalibration, 3), round(parts.refinement, 3), round(parts.entropy, 3)
    (0.11, 0.0, 0.832)
    """
    check_options(base, on_zero)
    _check_method(method, n_bins, cv)
    target, proba = check_y_and_proba(y_true, y_proba, labels)
    target = one_hot(target, proba.shape[1]).astype(np.float64)
    proba = proba.astype(np.float64)
    weight = check_weights(sample_weight, proba)
    counted = weight > 0.0
    target, proba, weight = target[counted], proba[counted], weight[counted]

    def mean(rows):
        return float(np.average(rows, weights=weight))

    def divergence(q, on_zero="clip"):
        return mean(row_losses(target, q, base=base, on_zero=on_zero, **KL_LOSS))

    kl = divergence(proba, on_zero)
    if on_zero == "clip":
        proba = clip(target, proba, "y_proba")
    if isinstance(method, str) and method == "binning":
        miscalibration = _of_bins(target, proba, weight, _bins(proba, n_bins), base)
        miscalibration = min(miscalibration, kl)
        refinement = kl - miscalibration if np.isfinite(kl) else kl
    else:
        if isinstance(method, str):
            calibrated = _isotonic(target, proba, weight)
        elif cv is None:
            fitted = clone(method).fit(proba, target, sample_weight=weight)
            calibrated = fitted.predict_proba(proba)
        else:
            params = {"sample_weight": weight}
            calibrated = soft_cross_val_predict(method, proba, target, cv=cv, params=params)
        refinement = min(divergence(calibrated), kl)
        miscalibration = kl - refinement
    prior = np.average(target, axis=0, weights=weight)
    uncertainty = divergence(np.broadcast_to(prior / prior.sum(), target.shape))
    own = mean(entropy(target, base=base))
    return KLDecomposition(
        cross_entropy=kl + own,
        kl=kl,
        miscalibration=miscalibration,
        refinement=refinement,
        entropy=own,
        uncertainty=uncertainty,
        resolution=uncertainty - refinement,
    )


def _check_method(method, n_bins, cv):
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(
                f"method must be one of {METHODS}, or a calibration map such as "
                f"sklkl.calibration.DirichletScaling(); got {method!r}."
            )
        if cv is not None:
            raise ValueError(f"cv is for calibration maps, not for method={method!r}.")
    elif not (hasattr(method, "fit") and hasattr(method, "predict_proba")):
        raise TypeError(
            f"method must be one of {METHODS}, or a calibration map with fit and "
            f"predict_proba; got {method!r}."
        )
    if not isinstance(n_bins, Integral) or isinstance(n_bins, bool) or n_bins < 1:
        raise ValueError(f"n_bins must be an integer >= 1; got {n_bins!r}.")


def _bins(proba, n_bins):
    """Return the bin of each row: its predicted class, and that one's probability."""
    predicted = proba.argmax(axis=1)
    top = proba[np.arange(len(proba)), predicted]
    bins = np.empty(len(proba), dtype=np.intp)
    for k in np.unique(predicted):
        rows = predicted == k
        edges = np.quantile(top[rows], np.arange(1, n_bins) / n_bins, method="inverted_cdf")
        bins[rows] = k * n_bins + np.searchsorted(edges, top[rows])
    return np.unique(bins, return_inverse=True)[1].reshape(-1)


def _of_bins(target, proba, weight, bins, base):
    """Return the mean divergence of bins' mean targets to their mean predictions."""
    mass = np.bincount(bins, weight)

    def means(rows):
        columns = [np.bincount(bins, weight * column) / mass for column in rows.T]
        return np.stack(columns, axis=1)

    divergence = by_row(KL_KERNEL, means(target), means(proba), base=base)
    return float(np.average(divergence, weights=mass))


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
            IsotonicRegression(increasing=increasing).fit_transform(
                logit, column, sample_weight=weight
            )
            for increasing, column in zip((False, True), target.T, strict=True)
        ]
    )
