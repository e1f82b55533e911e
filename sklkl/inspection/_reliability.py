"""A reliability diagram, for soft targets, too, with the parts of the KL divergence."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from sklkl._core.arrays import n_dims
from sklkl._core.classes import frame_columns, spread
from sklkl._core.docs import documented_with
from sklkl._core.models import check_has_proba, predict_columns, refuse_unlabeled
from sklkl._core.names import places, shown
from sklkl._core.parameters import check, one_of
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import check_weights, match_rows
from sklkl._core.targets import align_target, check_target, one_hot
from sklkl._core.typing import Axes, BinStrategy, Estimator, Floats, Folds, OnZero, Samples
from sklkl.calibration import KLDecomposition, kl_decomposition
from sklkl.inspection._drawing import (
    INCHES_PER_CHARACTER,
    LEGEND_BELOW,
    axes_of,
    check_ax,
    columns_for,
    inches_of,
    style_of,
    texts_of,
    unit_of,
)

MOST_CURVES = 7  # as there are colours
EDGES = np.linspace(0.0, 1.0, 21)
CROWDED = 0.5  # of the weight in one part of the histogram
WIDTH = 5.5
LINESTYLES = ["-", "--", "-.", ":"]


of_reliability = documented_with(
    options="""
        classes_of_interest : array-like, default=None
            The classes to draw. By default the second of two, or all if they are at most 7,
            or the 7 with the largest mean targets, in the order of the columns.
        n_bins : int, default=10
            Number of bins for each class; empty ones are left out.
        strategy : {"variance", "quantile", "uniform"}, default="variance"
            Bins with equal sums of weight times q (1 - q), for predictions q, which is the
            variance of labels of calibrated predictions: of many classes, whose predictions
            are nearly all close to 0, most bins are where the others are. Or bins of equal
            weight, or of equal width. Equal predictions share a bin.
        method : str or estimator, default="dirichlet"
            How the calibrated probabilities are estimated, as in ``kl_decomposition``. Its
            "binning" has bins of its own, ``n_bins`` for each predicted class.
        cv : int, splitter or iterable, default=5
            Folds for the ``method``, as in ``kl_decomposition``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative.
        base : float, default=None
            Unit of the divergences: None for nats, 2 for bits.
        on_zero : {"clip", "inf", "raise"}, default="clip"
            What to do where a prediction is 0 but its target is not, as in ``kl_loss``.
        ax : pair of matplotlib Axes, default=None
            Where to draw the curves and the histogram; new ones if None. For models side by
            side, ``ax[:, i]`` of ``plt.subplots(2, n_models, height_ratios=[3, 1])``.""",
)


@dataclass(eq=False, repr=False)
class ReliabilityDisplay:
    """Mean targets over mean predictions, and what miscalibration costs.

    Use ``from_estimator`` or ``from_predictions`` to make one. It has two axes: for each
    class the mean target over the mean prediction of bins of its predicted probability, with
    two standard errors on both sides; and a histogram of the predicted probabilities. The
    title splits the KL divergence into what recalibration would take off and what would be
    left. Targets may be soft.

    Parameters
    ----------
    prob_true, prob_pred : list of ndarray of shape (n_bins,)
        Mean targets and mean predictions of the bins that are not empty, for each class that
        is drawn.
    standard_errors : list of ndarray of shape (n_bins,)
        Standard errors of the mean differences of targets and predictions in the bins: for
        labels, as of calibrated predictions; for soft targets, from their spread, NaN in bins
        of a single sample.
    counts : ndarray of shape (n_curves, 20)
        Weight of the samples with predictions in each twentieth of [0, 1], for each class
        that is drawn.
    decomposition : KLDecomposition
        The result of ``kl_decomposition``.
    classes : sequence of length n_curves
        Names of the classes that are drawn.
    n_all_classes : int, default=None
        How many classes there are, for the legend; as many as are drawn if None.
    base : float, default=None
        Unit of the divergences: None for nats, 2 for bits.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : ndarray of shape (2,) of matplotlib Axes
        Axes of the curves and of the histogram.
    curves_ : list of matplotlib ErrorbarContainer
        The curves.
    diagonal_ : matplotlib Line2D
        Where predictions are calibrated.
    histograms_ : list of matplotlib StepPatch
        The histograms.

    See Also
    --------
    sklkl.calibration.kl_decomposition : The numbers in the title.
    sklearn.calibration.CalibrationDisplay : The same curve for labels of two classes.

    Notes
    -----
    The parts in the title belong to whole probability vectors, and do not depend on the
    bins of the curves; a curve shows one class at a time. A model may be calibrated for each
    class by itself and not as a whole.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.inspection import ReliabilityDisplay
    >>> truth = np.random.default_rng(0).dirichlet([1, 1, 1], size=2000)
    >>> overconfident = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    >>> display = ReliabilityDisplay.from_predictions(truth, overconfident, n_bins=4)
    >>> print(display.ax_[0].get_title())
    KL 0.110 = miscalibration 0.110 + refinement 0.000 nats
    entropy of the targets 0.835 nats
    >>> display.prob_pred[0].round(2), display.prob_true[0].round(2)
    (array([0.06, 0.32, 0.53, 0.84]), array([0.14, 0.36, 0.46, 0.67]))
    """

    prob_true: Sequence[Floats]
    prob_pred: Sequence[Floats]
    standard_errors: Sequence[Floats]
    counts: Floats
    decomposition: KLDecomposition
    _: KW_ONLY
    classes: Sequence[Any]
    n_all_classes: int | None = None
    base: float | None = None

    @classmethod
    @of_reliability
    def from_estimator(
        cls,
        estimator: Estimator,
        X: Samples,
        y: ArrayLike,
        *,
        classes_of_interest: ArrayLike | None = None,
        n_bins: int = 10,
        strategy: BinStrategy = "variance",
        method: str | Estimator = "dirichlet",
        cv: Folds = 5,
        sample_weight: ArrayLike | None = None,
        base: float | None = None,
        on_zero: OnZero = "clip",
        ax: Axes = None,
    ) -> Self:
        """Predict by a fitted classifier, compare with the targets and draw.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier with ``predict_proba``. A class that it never saw has
            probability 0.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Samples that the classifier was not fitted to.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels; or soft targets, a probability vector per row. The columns of a
            matrix are ``estimator.classes_``; the columns of a data frame match by name.
        %(options)s

        Returns
        -------
        display : ReliabilityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``predict_proba``.
        ValueError
            If a row is not a probability vector, an argument is bad, or names its rows in
            another order than ``X``, or there are too few samples for ``cv``.

        Examples
        --------
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.model_selection import train_test_split
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklkl.inspection import ReliabilityDisplay
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
        >>> display = ReliabilityDisplay.from_estimator(GaussianNB().fit(X, y), X_test, y_test)
        >>> parts = display.decomposition
        >>> parts.miscalibration > parts.refinement
        True
        """
        check_ax(ax, 2)
        check_has_proba(estimator, "estimator")
        refuse_unlabeled(estimator, y, "y")
        proba = predict_columns(estimator, X, owner="The estimator's")
        match_rows(X=X, y=y, sample_weight=sample_weight)
        target, known = align_target(y, estimator.classes_, "y")
        check_consistent_length(target, proba)
        proba = spread(estimator.classes_, proba, known)
        return cls._compute(
            target,
            proba,
            np.asarray(known).tolist(),
            classes_of_interest=classes_of_interest,
            n_bins=n_bins,
            strategy=strategy,
            method=method,
            cv=cv,
            sample_weight=sample_weight,
            base=base,
            on_zero=on_zero,
        ).plot(ax=ax)

    @classmethod
    @of_reliability
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        classes_of_interest: ArrayLike | None = None,
        n_bins: int = 10,
        strategy: BinStrategy = "variance",
        method: str | Estimator = "dirichlet",
        cv: Folds = 5,
        sample_weight: ArrayLike | None = None,
        base: float | None = None,
        on_zero: OnZero = "clip",
        ax: Axes = None,
    ) -> Self:
        """Compare predicted probabilities with the targets and draw.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels; or soft targets, a probability vector per row. The columns of a data
            frame are the classes.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
            Predicted probabilities, as for ``kl_loss``, of samples that the model was not
            fitted to.
        labels : array-like of shape (n_classes,), default=None
            All classes, in sorted order. Needed where a class is absent from ``y_true``; of
            matrices without names, the names of the columns.
        %(options)s

        Returns
        -------
        display : ReliabilityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a row is not a probability vector, classes, columns or names of rows do not
            match, an argument is bad, or there are too few samples for ``cv``.

        Examples
        --------
        >>> from sklkl.inspection import ReliabilityDisplay
        >>> y_proba = [[0.9, 0.1]] * 40 + [[0.1, 0.9]] * 40
        >>> y_true = (["no"] * 3 + ["yes"]) * 10 + (["yes"] * 3 + ["no"]) * 10
        >>> display = ReliabilityDisplay.from_predictions(y_true, y_proba, method="isotonic")
        >>> display.classes, display.prob_pred[0].round(2), display.prob_true[0].round(2)
        (['yes'], array([0.1, 0.9]), array([0.25, 0.75]))
        >>> display.ax_[0].get_title()
        'KL 0.655 = miscalibration 0.092 + refinement 0.562 nats'
        """
        check_ax(ax, 2)
        together = {"sample_weight": sample_weight}
        target, proba = check_y_and_proba(y_true, y_proba, labels, together)
        known = None if labels is None else np.unique(labels)
        if known is None and target.ndim == 2 and frame_columns(y_true) is None:
            known = frame_columns(y_proba)
        if known is None:
            known = check_target(y_true, name="y_true").classes
        return cls._compute(
            target,
            proba,
            known.tolist(),
            order=frame_columns(y_proba, known) if target.ndim == 1 else None,
            classes_of_interest=classes_of_interest,
            n_bins=n_bins,
            strategy=strategy,
            method=method,
            cv=cv,
            sample_weight=sample_weight,
            base=base,
            on_zero=on_zero,
        ).plot(ax=ax)

    @classmethod
    def _compute(
        cls,
        target,
        proba,
        known,
        *,
        order=None,
        classes_of_interest,
        n_bins,
        strategy,
        method,
        cv,
        sample_weight,
        base,
        on_zero,
    ):
        check("strategy", strategy, one_of(get_args(BinStrategy)))
        decomposition = kl_decomposition(
            target,
            proba,
            method=method,
            cv=cv,
            n_bins=n_bins,
            labels=range(len(known)),
            sample_weight=sample_weight,
            base=base,
            on_zero=on_zero,
        )
        weight = check_weights(sample_weight, target)
        counted = weight > 0.0
        of_labels = target.ndim == 1
        target = one_hot(target, len(known))[counted].astype(np.float64)
        proba, weight = proba[counted].astype(np.float64), weight[counted]
        mass = np.average(target, axis=0, weights=weight)
        columns = _check_drawn(classes_of_interest, known, mass, order)
        drawn = proba.T[columns]
        curves = [
            _curve(target[:, j], q, weight, _edges(q, weight, n_bins, strategy), of_labels)
            for j, q in zip(columns, drawn, strict=True)
        ]
        prob_true, prob_pred, errors = (list(part) for part in zip(*curves, strict=True))
        counts = np.stack(
            [np.histogram(q.clip(0.0, 1.0), EDGES, weights=weight)[0] for q in drawn]
        )
        return cls(
            prob_true,
            prob_pred,
            errors,
            counts,
            decomposition,
            classes=[known[j] for j in columns],
            n_all_classes=len(known),
            base=base,
        )

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the curves and the histogram.

        Parameters
        ----------
        ax : pair of matplotlib Axes, default=None
            Where to draw the curves and the histogram; new ones if None. The legend is
            below; a figure with ``layout="constrained"`` leaves room for it.

        Returns
        -------
        display : ReliabilityDisplay
            The display itself.
        """
        names = texts_of(self.classes, range(len(self.classes)))
        n_columns = min(4, columns_for(names, WIDTH))
        height = 6.1 + 0.2 * np.ceil(len(names) / n_columns)
        self.figure_, self.ax_ = axes_of(
            ax, 2, nrows=2, sharex=True, figsize=(WIDTH, height), height_ratios=[3, 1]
        )
        of_curves, of_counts = self.ax_
        (self.diagonal_,) = of_curves.plot([0, 1], [0, 1], color="0.6", linewidth=1)
        self.curves_, self.histograms_ = [], []
        for j, name in enumerate(names):
            style = style_of(j, of_curves)
            marker = style.pop("marker")
            style["linestyle"] = LINESTYLES[j % len(LINESTYLES)]
            curve = of_curves.errorbar(
                self.prob_pred[j],
                self.prob_true[j],
                2 * self.standard_errors[j],
                marker=marker,
                markersize=5,
                linewidth=1.2,
                elinewidth=1,
                capsize=2,
                label=name,
                **style,
            )
            self.curves_.append(curve)
            self.histograms_.append(of_counts.stairs(self.counts[j], EDGES, **style))
        of_curves.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="mean target")
        of_curves.set_title(self._title(inches_of(of_curves)[0]), fontsize="medium")
        whole = np.array_equal(self.counts, np.round(self.counts))
        of_counts.set(xlabel="predicted probability", ylabel="samples" if whole else "weight")
        # Most classes are improbable in most rows, which leaves nothing to see of the rest.
        if np.median(self.counts.max(axis=1) / self.counts.sum(axis=1)) > CROWDED:
            of_counts.set_yscale("log")
        drawn = len(self.classes)
        title = (
            "class"
            if self.n_all_classes in (None, 2, drawn)
            else f"{drawn} of {self.n_all_classes} classes"
        )
        of_counts.legend(self.curves_, names, title=title, **LEGEND_BELOW, ncols=n_columns)
        return self

    def _title(self, width):
        """Write the parts in lines that are not much wider than so many inches."""
        parts, unit = self.decomposition, unit_of(self.base)
        lines = [f"KL {_fixed(parts.kl)} ="]
        for text in (
            f"miscalibration {_fixed(parts.miscalibration)} +",
            f"refinement {_fixed(parts.refinement)} {unit}",
        ):
            if INCHES_PER_CHARACTER * len(f"{lines[-1]} {text}") < 1.2 * width:
                lines[-1] += f" {text}"
            else:
                lines.append(text)
        if parts.entropy:
            lines.append(f"entropy of the targets {_fixed(parts.entropy)} {unit}")
        return "\n".join(lines)


def _fixed(value):
    """Write a number with three decimals, that sums in the title add up."""
    return f"{value:.3f}".replace("inf", "∞")


def _check_drawn(wanted, known, mass, order):
    """Return the columns to draw, by default in the order of the names ``order``."""
    if wanted is None:
        if len(known) == 2:
            return [1]
        in_order = np.arange(len(known)) if order is None else places(order, known)
        largest = np.argsort(-mass, kind="stable")[:MOST_CURVES]
        return in_order[np.isin(in_order, largest)].tolist()
    name = "classes_of_interest"
    if isinstance(wanted, str) or n_dims(wanted, name) != 1 or not len(wanted):
        raise ValueError(f"{name} must be a list of the classes to draw; got {wanted!r}.")
    wanted = np.asarray(wanted).tolist()
    unknown = [c for c in wanted if c not in known]
    if unknown or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"classes_of_interest must be different ones among the classes {shown(known)}; "
            f"got {shown(wanted)}. Columns without names get them from labels=, or from a "
            "data frame."
        )
    return [known.index(c) for c in wanted]


def _edges(proba, weight, n_bins, strategy):
    """Return the n_bins - 1 edges between bins; a bin holds its upper edge."""
    if strategy == "uniform":
        return np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
    if strategy == "variance":
        weight = weight * (proba * (1.0 - proba)).clip(0.0)
    order = np.argsort(proba)
    mass = np.cumsum(weight[order])
    return proba[order[np.searchsorted(mass, mass[-1] * np.arange(1, n_bins) / n_bins)]]


def _curve(target, proba, weight, edges, of_labels):
    """Return means of targets and of predictions, and standard errors of the difference.

    Those of labels are what calibrated predictions would have: a bin of rare labels may hold
    none at all, and yet is not certain.
    """
    _, bins = np.unique(np.searchsorted(edges, proba), return_inverse=True)
    # Of each bin by itself: squares of huge or tiny ones are no numbers.
    mass = np.bincount(bins, weight)
    share = weight / mass[bins]

    def mean(values):
        return np.bincount(bins, weight * values) / mass

    if of_labels:
        squares = np.bincount(bins, share**2 * (proba * (1 - proba)).clip(0.0))
        return mean(target), mean(proba), np.sqrt(squares)
    residual = target - proba
    squares = np.bincount(bins, (share * (residual - mean(residual)[bins])) ** 2)
    n = np.bincount(bins)
    few = np.divide(n, n - 1, where=n > 1, out=np.full(len(n), np.nan))
    return mean(target), mean(proba), np.sqrt(few * squares)
