"""A picture of losses and accuracies over the temperature of a distillation."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit
from sklearn import get_config
from sklearn.model_selection import GridSearchCV

from sklkl._core.arrays import as_array, as_floating
from sklkl._core.docs import documented
from sklkl._core.models import check_has_proba, predict_columns, refuse_unlabeled
from sklkl._core.parameters import N_JOBS, Rule, check, integer
from sklkl._core.predictions import hits
from sklkl._core.samples import check_weights, indexed, match_rows, relative
from sklkl._core.targets import align
from sklkl._core.typing import Axes, Estimator, Folds, Samples
from sklkl.inspection._drawing import (
    BLUE,
    ORANGE,
    VERMILLION,
    axes_of,
    check_ax,
    ink_of,
    number,
    unit_of,
    without_nan,
)
from sklkl.metrics._losses import check_options, mean_divergence
from sklkl.metrics._scorers import DivergenceScorer
from sklkl.model_selection._split import check_soft_cv

MOST_TICKS = 9
MOST_NAMED = 3


class TemperatureDisplay:
    r"""KL divergence and accuracy over the temperature, with the spread of the folds.

    Use ``from_estimator`` to make one. It has two axes, one above the other: the KL
    divergence of the targets to the predictions of held-out samples, and their accuracy. A
    line joins the means over folds, a band of one standard deviation on both sides shows the
    spread, small dots are single folds. The temperature of least mean divergence is marked.
    The title says where that is the lowest or the highest of all, so that a better one may lie
    beyond, and which others the folds do not tell from it; their means are hollow.

    Parameters
    ----------
    temperatures : ndarray of shape (n_temperatures,)
        The temperatures, in increasing order.
    kl : ndarray of shape (n_temperatures, n_folds)
        Mean divergence of each test fold.
    accuracy : ndarray of shape (n_temperatures, n_folds)
        Accuracy of each test fold.
    base : float, default=None
        Unit of the divergence: None for nats, 2 for bits.
    param_name : str, default="temperature"
        The parameter that was varied.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : ndarray of shape (2,) of matplotlib Axes
        Axes of the divergence and of the accuracy.
    best_temperature_ : float
        The temperature of least mean divergence; of equal ones the lowest.
    as_good_ : ndarray of shape (n_as_good,)
        Other temperatures whose mean divergences do not differ from the least by more than
        chance explains.
    lines_ : list of matplotlib Line2D
        The means, of the divergence and of the accuracy.
    bands_ : list of matplotlib PolyCollection
        One standard deviation of the folds on both sides.
    folds_ : list of matplotlib Line2D
        The folds.
    best_ : list of matplotlib Line2D
        The mark of the best temperature.
    hollow_ : list of matplotlib Line2D
        The means at the temperatures that may be as good.

    See Also
    --------
    sklkl.distillation.DistilledClassifier : The estimator with a temperature.
    sklearn.model_selection.ValidationCurveDisplay : Any score over any parameter.

    Notes
    -----
    The spread of the folds is not the uncertainty of a difference between temperatures: all
    share their folds, so that most of the spread is common to them. ``as_good_`` comes from
    the differences in each of n folds, by a paired t-test at 5 %, whose variance is multiplied
    by 1 + n / (n - 1), since folds share training samples [1]_. Repeated folds share more, so
    that more temperatures may be as good than it says. A single fold tells none apart.

    References
    ----------
    .. [1] Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine
       Learning 52.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.inspection import TemperatureDisplay
    >>> kl = np.array([[0.5, 0.7], [0.3, 0.5]])
    >>> display = TemperatureDisplay(np.array([1.0, 2.0]), kl, 1 - kl).plot()
    >>> display.best_temperature_
    2.0
    >>> display.lines_[0].get_ydata()
    array([0.6, 0.4])
    """

    def __init__(
        self,
        temperatures: ArrayLike,
        kl: ArrayLike,
        accuracy: ArrayLike,
        *,
        base: float | None = None,
        param_name: str = "temperature",
    ) -> None:
        self.temperatures = np.asarray(temperatures)
        self.kl = without_nan(kl, "kl")
        self.accuracy = without_nan(accuracy, "accuracy")
        for name, scores in {"kl": self.kl, "accuracy": self.accuracy}.items():
            if scores.ndim != 2 or len(scores) != self.temperatures.size:
                raise ValueError(
                    f"{name} must have a row for each of the {self.temperatures.size} "
                    f"temperatures and a column per fold; got shape {scores.shape}."
                )
        self.base = base
        self.param_name = param_name

    @classmethod
    @documented
    def from_estimator(
        cls,
        estimator: Estimator,
        X: Samples,
        y: ArrayLike,
        *,
        temperatures: ArrayLike = (0.5, 1, 2, 4, 8),
        param_name: str = "temperature",
        cv: Folds = None,
        base: float | None = None,
        n_jobs: int | None = None,
        params: dict[str, Any] | None = None,
        ax: Axes = None,
    ) -> Self:
        """Fit the estimator at each temperature, on the same folds, and draw the scores.

        Parameters
        ----------
        estimator : estimator
            A ``DistilledClassifier``, or a pipeline that ends in one. It is cloned for each
            temperature and fold. Give it ``memory``, so that a teacher is fitted once for
            each fold and not once for each temperature.
        X : array-like of shape (n_samples, n_features)
            Samples.
        %(y)s
        temperatures : array-like of shape (n_temperatures,), default=(0.5, 1, 2, 4, 8)
            The temperatures to try, positive.
        param_name : str, default="temperature"
            The parameter to vary, as "distilledclassifier__temperature" of a pipeline.
        cv : int, splitter or iterable, default=None
            Number of folds, 5 by default, stratified: ``StratifiedKFold`` for labels,
            ``StratifiedSoftKFold`` for soft targets. Or a splitter, also one that divides
            samples several times, as ``RepeatedStratifiedSoftKFold``, or an iterable of pairs
            of indices. If some samples are unlabelled, pass pairs whose test indices are of
            labelled samples only; others are refused.
        base : float, default=None
            Unit of the divergence: None for nats, 2 for bits.
        n_jobs : int, default=None
            Fits at once, in processes.
        params : dict, default=None
            Arguments of ``fit``, as ``teacher_proba``, ``sample_weight`` or ``groups``, in
            the way of ``GridSearchCV.fit``. If metadata routing is enabled, estimators get
            the metadata they request, and ``sample_weight`` counts in the scores, too.
        ax : pair of matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : TemperatureDisplay
            The display, drawn. With soft targets, the accuracy is the mean probability of
            the predicted label: the accuracy expected of labels drawn from the targets.

        Raises
        ------
        TypeError
            If the estimator has no ``predict_proba``.
        ValueError
            If a temperature is not a positive number, there is no such parameter, or a test
            fold holds samples without a label.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklkl.distillation import DistilledClassifier
        >>> from sklkl.inspection import TemperatureDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> display = TemperatureDisplay.from_estimator(
        ...     DistilledClassifier(GaussianNB()), X, y, temperatures=[1, 3, 9]
        ... )
        >>> display.kl.mean(axis=1).round(2), display.best_temperature_
        (array([0.16, 0.15, 0.24]), 3.0)
        """
        check_ax(ax, 2)
        check_options(base)
        check_has_proba(estimator, "estimator")
        check("param_name", param_name, Rule("the name of a parameter", str))
        check("n_jobs", n_jobs, N_JOBS)
        check("params", params, Rule("a dictionary of arguments of fit", dict).or_(None))
        temperatures = _check_temperatures(temperatures)
        if param_name not in (known := estimator.get_params()):
            names = sorted(name for name in known if name.endswith("temperature"))
            raise ValueError(
                f"param_name={param_name!r} is no parameter of the estimator"
                f"{', but ' + str(names) if names else ''}."
            )
        match_rows(X=X, y=y)
        if cv is None or isinstance(cv, Integral):
            check("cv", cv, integer(2).or_(None))
            refuse_unlabeled(estimator, y, "y")  # the folds would hold them
        # Markers of unlabelled samples make y no valid target, so it is not checked here.
        target = as_array(y, "y")
        if target.ndim == 0:
            raise TypeError(f"y must hold an entry for each sample; got {y!r}.")
        if target.ndim == 2 and target.shape[1] == 1:
            target = target[:, 0]
        X, y = indexed(X, y)
        search = GridSearchCV(
            estimator,
            {param_name: temperatures.tolist()},
            scoring=_scorer(base),
            cv=check_soft_cv(cv, target),
            n_jobs=n_jobs,
            refit=False,
            error_score="raise",
        ).fit(X, y, **(params or {}))
        folds = range(search.n_splits_)
        kl, accuracy = (
            np.column_stack([search.cv_results_[f"split{i}_test_{name}"] for i in folds])
            for name in ("kl", "accuracy")
        )
        return cls(temperatures, kl, accuracy, base=base, param_name=param_name).plot(ax=ax)

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the divergence and the accuracy over the temperature.

        Parameters
        ----------
        ax : pair of matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : TemperatureDisplay
            The display itself.
        """
        self.figure_, self.ax_ = axes_of(ax, 2, nrows=2, sharex=True, figsize=(5.5, 5.5))
        at = int(np.argmin(self.kl.mean(axis=1)))
        self.best_temperature_ = float(self.temperatures[at])
        as_good = self._as_good(at)
        self.as_good_ = self.temperatures[as_good]
        self.lines_, self.bands_, self.folds_ = [], [], []
        self.best_, self.hollow_ = [], []
        name, unit = self.param_name.rpartition("__")[2], unit_of(self.base)
        title = f"least KL {number(self.kl[at].mean())} {unit} at {name} "
        title += f"{self.best_temperature_:.4g}{self._edge(at)}{_said(self.as_good_)}"
        of_kl, of_accuracy = self.ax_
        self._draw(of_kl, self.kl, as_good, BLUE, "o")
        self._draw(of_accuracy, self.accuracy, as_good, ORANGE, "s")
        of_kl.set_title(title, fontsize="medium")
        of_kl.set_ylabel(f"KL in {unit}")
        of_accuracy.set(ylabel="accuracy", xlabel=name)
        return self

    def _as_good(self, at):
        """Return a mask of the other temperatures that the folds do not tell from the best."""
        n = self.kl.shape[1]
        others = np.arange(len(self.kl)) != at
        if n == 1:
            return others
        worse = self.kl - self.kl[at]
        error = worse.std(axis=1, ddof=1) * np.sqrt(1 / n + 1 / (n - 1))
        return others & (worse.mean(axis=1) <= stdtrit(n - 1, 0.975) * error)

    def _edge(self, at):
        """Return words on a best temperature beyond which none was tried."""
        last = len(self.temperatures) - 1
        return (
            {0: ", the lowest tried", last: ", the highest tried"}.get(at, "") if last else ""
        )

    def _draw(self, ax, scores, as_good, color, marker):
        t, mean, spread = self.temperatures, scores.mean(axis=1), scores.std(axis=1)
        ax.set_xscale("log", base=2)
        band = ax.fill_between(
            t, mean - spread, mean + spread, color=color, alpha=0.25, linewidth=0
        )
        (folds,) = ax.plot(
            np.repeat(t, scores.shape[1]),
            scores.ravel(),
            linestyle="",
            marker=".",
            markersize=6,
            markeredgewidth=0,
            color=ink_of(ax),
            alpha=0.4,
        )
        (line,) = ax.plot(t, mean, color=color, marker=marker)
        (hollow,) = ax.plot(
            t[as_good],
            mean[as_good],
            linestyle="",
            color=color,
            marker=marker,
            markerfacecolor=ax.get_facecolor(),
        )
        best = ax.axvline(
            self.best_temperature_, color=VERMILLION, linestyle="--", linewidth=1, zorder=1
        )
        ticks = t
        if len(t) > MOST_TICKS:  # powers of two instead, or the ends if there are none
            powers = 2.0 ** np.arange(np.ceil(np.log2(t[0])), np.floor(np.log2(t[-1])) + 1)
            ticks = powers if len(powers) > 1 else t[[0, -1]]
        ax.set_xticks(ticks, [f"{x:.4g}" for x in ticks])
        ax.minorticks_off()
        margin = (t.max() / t.min()) ** 0.05 if len(t) > 1 else 2.0
        ax.set_xlim(t.min() / margin, t.max() * margin)
        self.bands_.append(band)
        self.folds_.append(folds)
        self.lines_.append(line)
        self.best_.append(best)
        self.hollow_.append(hollow)


def _said(as_good):
    """Return a line that names a few temperatures, or counts them."""
    if len(as_good) == 0:
        return ""
    named = ", ".join(f"{t:.4g}" for t in as_good)
    what = named if len(as_good) <= MOST_NAMED else f"{len(as_good)} others, hollow"
    return f"\nnot told apart by the folds: {what}"


def _check_temperatures(temperatures):
    """Return the temperatures as floats in increasing order."""
    try:
        values = as_floating(temperatures, "temperatures").astype(np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim != 1 or not len(values) or not ((values > 0) & (values < np.inf)).all():
        raise ValueError(f"temperatures must be positive numbers; got {temperatures!r}.")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"temperatures names one twice; got {temperatures!r}.")
    return np.sort(values)


class _KLAndAccuracy(DivergenceScorer):
    """Both scores of one prediction, as a dictionary."""

    def _score(self, method_caller, estimator, X, y_true=None, sample_weight=None):
        check_has_proba(estimator, "estimator")
        self._check_given(estimator, X, y_true, sample_weight)
        proba = predict_columns(estimator, X)
        target, proba = align(y_true, proba, estimator.classes_)
        weight = relative(check_weights(sample_weight, target))
        hit = hits(target, proba.argmax(axis=1))
        return {
            "kl": mean_divergence(target, proba, sample_weight=weight, **self._kwargs),
            "accuracy": float(np.average(hit, weights=weight)),
        }


def _scorer(base):
    scorer = _KLAndAccuracy("kl", base=base)
    if get_config()["enable_metadata_routing"]:
        scorer.set_score_request(sample_weight=True)
    return scorer
