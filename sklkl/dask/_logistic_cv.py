"""The student on Dask collections, with a penalty that is chosen by cross-validation."""

from functools import partial
from typing import Any, NamedTuple, Self

import dask.array as da
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklkl import linear_model
from sklkl._core.docs import documented, documented_with
from sklkl._core.names import counting_from, refuse_other_rows
from sklkl._core.parameters import BOOLEAN, check_parameters, integer
from sklkl._core.samples import check_weights, n_rows, refuse_missing
from sklkl._core.targets import check_target
from sklkl._core.typing import ClassWeight, DivergenceName, DivergenceParams, Samples, Solver
from sklkl.dask._blocks import gathered
from sklkl.dask._collections import is_collection, is_frame
from sklkl.dask._docs import entries_of
from sklkl.dask._logistic import OfStudent, SoftLabelLogisticRegression
from sklkl.linear_model._logistic_cv import (
    best_of,
    check_penalties,
    fits_of_folds,
    refuse_lone_folds,
)
from sklkl.metrics import get_scorer
from sklkl.metrics._scorers import DivergenceScorer

PLAIN = linear_model.SoftLabelLogisticRegressionCV


@documented_with(
    penalties=entries_of(PLAIN, "Cs", "l1_ratios", "fit_intercept", "classes"),
    of_a_fit=entries_of(
        PLAIN,
        "class_weight",
        "divergence",
        "divergence_params",
        "temperature",
        "solver",
        "tol",
        "max_iter",
    ),
    chosen=entries_of(
        PLAIN, "classes_", "coef_", "intercept_", "Cs_", "l1_ratios_", "C_", "l1_ratio_"
    ),
    learned=entries_of(PLAIN, "n_features_in_", "feature_names_in_"),
)
class SoftLabelLogisticRegressionCV(OfStudent):
    """Logistic regression on Dask collections, with a cross-validated penalty.

    Folds take turns, row i of all belongs to fold ``i %% cv``, or are given. Each fold is left
    out by weights of 0, so that no row moves, and scored. The best penalty is the one with the
    largest mean score over the folds; the model is then fitted to all rows.

    Parameters
    ----------
    %(penalties)s
    cv : int, default=5
        Number of folds, at least 2, unless ``fit`` is given some.
    scoring : str or scorer of ``sklkl.metrics``, default="neg_kl_loss"
        What is maximised over the folds left out: a name of
        ``sklkl.metrics.get_scorer_names``, or what ``make_divergence_scorer`` or
        ``make_fidelity_scorer`` makes.
    %(of_a_fit)s

    Attributes
    ----------
    %(chosen)s
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Score of each fold left out, given ones in the order of their numbers.
    student_ : sklkl.dask.SoftLabelLogisticRegression
        The model fitted to all rows.
    loss_ : float
        Mean divergence of the training targets to the model, nats.
    %(learned)s

    See Also
    --------
    sklkl.linear_model.SoftLabelLogisticRegressionCV : The same in memory.

    Notes
    -----
    Every fit reads the collections, so persist them before.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_iris
    >>> from sklkl.dask import SoftLabelLogisticRegressionCV
    >>> X, y = (da.from_array(a, chunks=50) for a in load_iris(return_X_y=True))
    >>> model = SoftLabelLogisticRegressionCV(Cs=[0.01, 1, 100]).fit(X, y)
    >>> model.C_
    100.0
    """

    def __init__(
        self,
        *,
        Cs: ArrayLike = 10,
        l1_ratios: ArrayLike = (0.0,),
        fit_intercept: bool = True,
        classes: ArrayLike | None = None,
        cv: int = 5,
        scoring: str | DivergenceScorer = "neg_kl_loss",
        class_weight: ClassWeight = None,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        temperature: float = 1.0,
        solver: Solver = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.cv = cv
        self.scoring = scoring
        self.class_weight = class_weight
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.temperature = temperature
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter

    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        label_weight: ArrayLike | None = None,
        folds: ArrayLike | None = None,
    ) -> Self:
        """Choose the penalty and fit the model.

        Parameters
        ----------
        %(X)s
            A collection, as all that follows.
        %(y)s
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, in fits and in scores.
        labels : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, \
                default=None
            Labels to learn besides, as in ``SoftLabelLogisticRegression.fit``. Folds are
            scored by ``y`` alone.
        label_weight : array-like of shape (n_samples,), default=None
            Weights of the labels beside ``sample_weight``, non-negative.
        folds : array-like of shape (n_samples,), default=None
            The number of the fold of every row, as the same for all rows of a group. Rows of a
            negative number are in every training set. By default row i is in ``i %% cv``.

        Returns
        -------
        self : SoftLabelLogisticRegressionCV
            The fitted model.

        Raises
        ------
        TypeError
            If an argument is no collection, or ``scoring`` no scorer of ``sklkl.metrics``.
        ValueError
            On bad data, as ``SoftLabelLogisticRegression.fit``, or a bad parameter; or if
            there is one fold only, a fold has no weight, or a class has all its rows, as many
            as there are folds at least, in one.
        """
        check_parameters(self, cv=integer(2), fit_intercept=BOOLEAN)
        scorer = self._scorer()
        Cs, l1_ratios = check_penalties(self)
        if not is_collection(X):
            raise TypeError(
                f"X is a {type(X).__name__}, and no collection of Dask; take "
                "sklkl.linear_model.SoftLabelLogisticRegressionCV."
            )
        arguments = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "labels": labels,
            "label_weight": label_weight,
        }
        own = SoftLabelLogisticRegression().get_params()
        shared = {name: value for name, value in self.get_params().items() if name in own}
        student = SoftLabelLogisticRegression(**shared)
        lengths = _lengths_of(arguments | {"folds": folds})
        if folds is None:
            fold_of, numbers = _in_turns(self.cv, lengths)
        else:
            fold_of, numbers = _given(folds, lengths)
        _refuse_lone_folds(arguments, fold_of, numbers, self.classes)
        weight = _weights(sample_weight, lengths)

        def train(fold):
            train = arguments | {"sample_weight": da.where(fold_of == fold, 0.0, weight)}
            if labels is not None:
                of_labels = _weights(label_weight, lengths)
                train["label_weight"] = da.where(fold_of == fold, 0.0, of_labels)
            return train

        scores = np.empty((len(numbers), len(l1_ratios), len(Cs)))
        trains = map(train, numbers)
        for place, model in fits_of_folds(student, trains, Cs, l1_ratios):
            held_out = da.where(fold_of == numbers[place[0]], weight, 0.0)
            scores[place] = scorer(model, X, y, sample_weight=held_out)
        i, j = best_of(scores.mean(axis=0))
        student.set_params(C=float(Cs[j]), l1_ratio=float(l1_ratios[i])).fit(**arguments)
        self.Cs_, self.l1_ratios_, self.scores_ = Cs, l1_ratios, scores
        self.C_, self.l1_ratio_, self.student_ = student.C, student.l1_ratio, student
        self._describe(["coef_", "intercept_", "loss_"])
        return self

    def _scorer(self):
        scorer = get_scorer(self.scoring) if isinstance(self.scoring, str) else self.scoring
        if not isinstance(scorer, DivergenceScorer):
            raise TypeError(
                f"scoring={self.scoring!r} does not score collections; take a name of "
                "sklkl.metrics.get_scorer_names(), or what make_divergence_scorer or "
                "make_fidelity_scorer makes."
            )
        return scorer

    @documented
    def score(
        self, X: Samples, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score predictions by ``scoring``.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; a collection if ``X`` is one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; a collection if ``X`` is one.

        Returns
        -------
        score : float
            Larger is better.
        """
        check_is_fitted(self)
        return self._scorer()(self, X, y, sample_weight=sample_weight)


class Folded(NamedTuple):
    """Some rows of what a user passes, with the numbers of their folds."""

    X: Any
    y: Any
    sample_weight: Any = None
    labels: Any = None
    label_weight: Any = None
    folds: Any = None


class Counted(NamedTuple):
    """Some rows of the targets and their weights, with the numbers of their folds."""

    y: Any
    sample_weight: Any = None
    labels: Any = None
    label_weight: Any = None
    folds: Any = None


def _in_turns(n_folds, lengths):
    """Return the fold of every row, and the numbers of all folds."""
    if sum(lengths) < n_folds:
        raise ValueError(f"cv={n_folds} folds need as many rows; X has {sum(lengths)}.")
    return da.arange(sum(lengths), chunks=(lengths,)) % n_folds, range(n_folds)


def _refuse_lone_folds(arguments, fold_of, numbers, classes):
    """Refuse folds one of which has a class for itself."""
    named = {name: arguments[name] for name in Counted._fields[:-1]} | {"folds": fold_of}
    counts = {}
    with gathered(Counted, named) as parts:
        counted = partial(_counted, classes=classes)
        for of_part in parts.results(counted, parts.first_rows):
            for key, count in of_part.items():
                counts[key] = counts.get(key, 0.0) + count
    always = {label for (label, fold), count in counts.items() if fold < 0 and count > 0.0}
    labels = list(dict.fromkeys(label for label, _ in counts if label not in always))
    counts = [[counts.get((label, fold), 0.0) for label in labels] for fold in numbers]
    refuse_lone_folds(np.array(counts), labels, numbers, ", or pass folds=")


def _counted(part, first_row, classes):
    """Return how many rows there are by class and fold, of those that count."""
    counts = {}
    pairs = {"y": part.sample_weight, "labels": part.label_weight}
    with counting_from(first_row):
        for name, weight in pairs.items():
            y = getattr(part, name)
            if y is None or n_rows(y, name) == 0:
                continue
            target = check_target(y, classes=classes, name=name, of_part=True)
            counts_here = check_weights(weight, target, zeros=True) > 0.0
            for fold in np.unique(part.folds).tolist():
                mass = target.mass((counts_here & (part.folds == fold)).astype(np.float64))
                for label, count in zip(target.classes.tolist(), mass.tolist(), strict=True):
                    counts[label, fold] = counts.get((label, fold), 0.0) + count
    return counts


def _given(folds, lengths):
    """As ``_in_turns``, of folds that a user chose."""
    if folds.ndim != 1 or folds.dtype.kind not in "iu":
        got = f"dtype {folds.dtype}" if folds.ndim == 1 else f"{folds.ndim} dimensions"
        raise ValueError(
            f"folds must hold an integer for each row, the number of its fold; got {got}."
        )
    fold_of = _weights(folds, lengths)
    numbers = da.unique(fold_of).compute()
    numbers = numbers[numbers >= 0].tolist()
    if len(numbers) < 2:
        raise ValueError(f"folds must hold the numbers of at least two folds; got {numbers}.")
    return fold_of, numbers


def _lengths_of(arguments):
    """Return the number of rows in each partition; refuse rows named in another order."""
    with gathered(Folded, arguments) as parts:
        parts.results(_refuse_other_rows, parts.first_rows)
        return tuple(np.diff([*parts.first_rows, parts.n_rows]).tolist())


def _refuse_other_rows(part, first_row):
    with counting_from(first_row):
        refuse_other_rows(part._asdict(), strict=False)
        if part.folds is not None:
            refuse_missing(np.asarray(part.folds)[:, np.newaxis], "folds")


def _weights(weight, lengths):
    """Return numbers of rows, by default ones, as an array in partitions of these lengths."""
    if weight is None:
        return da.ones(sum(lengths), chunks=(lengths,))
    if is_frame(weight):
        return weight.to_dask_array(lengths=lengths)
    if not np.isnan(weight.chunks[0]).any():
        return weight.rechunk((lengths,))
    return da.Array(weight.dask, weight.name, (lengths,), weight.dtype, weight._meta)
