"""What a teacher says of samples, and how far it is to be believed."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.utils import check_consistent_length
from sklearn.utils._user_interface import _print_elapsed_time

from sklkl._core.arrays import as_floating
from sklkl._core.classes import spread
from sklkl._core.distributions import check_rows
from sklkl._core.models import fit_fold, fit_to_target
from sklkl._core.names import shown
from sklkl._core.samples import take
from sklkl._core.targets import one_hot
from sklkl.calibration._scaling import Doubt, fit_smoothing, fit_temperature, smoothed

MAX_TEMPERATURE = 1000.0
TINY, EPS = np.finfo(np.float64).tiny, np.finfo(np.float64).eps


@dataclass
class Teaching:
    """What a fitted teacher says.

    Attributes
    ----------
    teacher : estimator, or None
        The fitted teacher.
    classes : ndarray of shape (n_classes,)
        Of the columns below.
    proba : ndarray of shape (n_samples, n_classes)
        Of all samples, by the teacher that was fitted to all labelled ones.
    folds : list of (test, proba)
        For each fold the labelled samples that its teacher was not fitted to, as indices, and
        what that one says: of these, or of all samples.
    """

    teacher: object
    classes: np.ndarray
    proba: np.ndarray
    folds: list

    def out_of_fold(self):
        """Return the probabilities, of folds by teachers that do not know these."""
        out = self.proba.copy()
        for test, proba in self.folds:
            out[test] = proba[test] if len(proba) == len(out) else proba
        return out

    def with_folds(self, splits, rows):
        """Return the same with folds, of a teacher that none of them has taught.

        Parameters
        ----------
        splits : list of (train, test)
            Of the labelled samples.
        rows : ndarray of shape (n_labeled,), or None
            Their indices, None if all are labelled.
        """
        tests = [test if rows is None else rows[test] for _, test in splits]
        return replace(self, folds=[(test, self.proba) for test in tests])

    def for_classes(self, classes):
        """Return the same with other columns; those that the teacher does not know are 0."""
        return replace(
            self,
            classes=np.asarray(classes),
            proba=spread(self.classes, self.proba, classes),
            folds=[(test, spread(self.classes, proba, classes)) for test, proba in self.folds],
        )


def timed(task, verbose):
    """Return a context that prints how long a task of a ``DistilledClassifier`` took."""
    return _print_elapsed_time("DistilledClassifier", task if verbose else None)


def teach(teacher, X, y, rows, params, splits, everywhere, nested, verbose=False):
    """Fit a teacher, and one for each split, and let them predict.

    All that takes long, so that ``joblib.Memory`` can keep it; nothing here depends on the
    student.

    Parameters
    ----------
    teacher : estimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        All samples.
    y : array-like of shape (n_labeled,) or (n_labeled, n_classes), or None
        Targets of the labelled ones; None if the teacher is fitted.
    rows : ndarray of shape (n_labeled,), or None
        Their indices, None if all are labelled.
    params : dict
        Metadata of the labelled samples for ``fit``.
    splits : list of (train, test)
        Of the labelled samples.
    everywhere : bool
        Whether the teachers of splits predict all samples, not only those of their test set.
    nested : bool
        Whether what a split says of the test set of another comes from a teacher that was
        fitted to neither. Both splits share it.
    verbose : bool
        Whether to print how long each fit took.

    Returns
    -------
    Teaching
    """
    labeled = X if rows is None else take(X, rows)
    with timed("teacher", verbose and y is not None):
        fitted = clone(teacher)
        if y is not None:
            fit_to_target(fitted, labeled, y, params)
        proba = predict(fitted, X)
    classes = np.asarray(fitted.classes_)
    every = np.arange(len(proba)) if rows is None else rows

    def fit_and_predict(train, X, task):
        with timed(f"teacher without {task} of {len(splits)}", verbose):
            of_fold = fit_fold(teacher, labeled, y, train, params)
            return np.array(spread(of_fold.classes_, predict(of_fold, X), classes))

    folds = [
        (
            every[test],
            fit_and_predict(train, X if everywhere else take(labeled, test), f"fold {i}"),
        )
        for i, (train, test) in enumerate(splits, start=1)
    ]
    for (i, (train, test)), (j, (_, other)) in combinations(enumerate(splits), 2):
        if nested:
            both = take(labeled, np.concatenate([test, other]))
            task = f"folds {i + 1} and {j + 1}"
            says = fit_and_predict(np.setdiff1d(train, other), both, task)
            folds[i][1][every[other]] = says[len(test) :]
            folds[j][1][every[test]] = says[: len(test)]
    return Teaching(fitted, classes, proba, folds)


def predict(teacher, X):
    """Return probabilities with a column per class of the teacher; refuse anything else."""
    if not hasattr(teacher, "classes_"):
        raise TypeError(f"The teacher {type(teacher).__name__} has no classes_ once fitted.")
    proba = as_floating(teacher.predict_proba(X), "The teacher's predict_proba")
    classes = np.asarray(teacher.classes_)
    if proba.ndim != 2 or proba.shape[1] != len(classes):
        raise ValueError(
            f"The teacher's predict_proba has shape {proba.shape}, not a column for each "
            f"of its classes, {shown(classes)}."
        )
    check_consistent_length(X, proba)
    return normalized(proba, "The teacher's predict_proba")


def normalized(proba, name):
    """Return probability vectors whose sums are 1 to rounding; refuse what is none.

    Entries down to -1e-6 are the rounding of some 1 - p in float32, and count as 0.
    """
    proba = check_rows(proba, name)
    total = proba.sum(axis=1, keepdims=True)
    near = abs(total - 1.0).max(initial=0.0) < 16 * np.finfo(proba.dtype).eps
    return proba if near else proba / total


def calibrate(proba, target, weight, temperature, smoothing):
    """Choose temperature and smoothing by the log loss of a teacher's probabilities.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Of samples that the teacher was not fitted to.
    target : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, or probabilities.
    weight : ndarray of shape (n_samples,)
    temperature, smoothing : float or "auto"
        "auto" is chosen.

    Returns
    -------
    temperature, smoothing : float
    """
    proba = proba.astype(np.float64)
    weight = weight / (
        weight.max() or 1.0
    )  # so that neither sums nor products leave the range
    n_classes = proba.shape[1]
    if temperature == "auto":
        z = np.log(np.maximum(proba, TINY))
        doubt = Doubt()
        if smoothing == "auto":
            doubt = Doubt.of(proba, target, weight)
            # No temperature makes more of the zeros.
            smoothing = fit_smoothing(z, target, weight, doubt, needed=(proba == 0.0).any())
        # What the teacher excludes costs the same at every temperature.
        possible = proba if smoothing == 0.0 else np.ones_like(proba)
        kept = one_hot(target, n_classes) * (possible > 0.0)
        mass = kept.sum(axis=1)
        some = (mass > 0.0) & (weight > 0.0)
        if not some.any():
            return 1.0, smoothing
        inverse = fit_temperature(
            smoothed(z[some], smoothing),
            kept[some] / mass[some, np.newaxis],
            (weight * mass)[some],
            doubt,
        )
        return 1.0 / max(inverse, 1.0 / MAX_TEMPERATURE), smoothing
    if smoothing == "auto":
        truth = one_hot(target, n_classes)

        def loss(share):
            q = smooth(proba, share)
            return -float(weight @ np.sum(truth * np.log(np.maximum(q, EPS)), axis=1))

        best = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded")
        smoothing = float(best.x) if best.fun < loss(0.0) else 0.0
    return temperature, smoothing


def smooth(proba, share):
    """Return probabilities mixed with the uniform distribution."""
    return proba if share == 0.0 else (1.0 - share) * proba + share / proba.shape[1]


def temper(proba, temperature):
    """Return probabilities proportional to ``proba ** (1 / temperature)``.

    In logarithms, so that small probabilities do not underflow on the way; 0 stays 0. In
    float64, as at high temperatures the rows differ by less than what float32 resolves.
    """
    if temperature == 1.0:
        return proba
    with np.errstate(divide="ignore", over="ignore"):
        logits = np.log(proba, dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits /= temperature
    tempered = np.exp(logits, out=logits)
    tempered /= tempered.sum(axis=1, keepdims=True)
    return tempered


def corrected(tempered, proba, target, temperature, strength):
    r"""Return targets less dependent on the errors of the teacher.

    To first order in the error of a probability p, its tempered form
    :math:`p^{(T)} \propto p^{1/T}` is off by
    :math:`\frac{1}{T} p^{(T)}_c (e_c - p^{(T)}) / p_c` times the error, for each class c.
    The label y estimates p without error in the mean, and in place of the true probability
    leads to the target (Dao et al., 2021, the corrected loss for annealed cross-entropy)

    .. math:: p^{(T)} + \gamma \sum_c y_c a_c (e_c - p^{(T)}), \quad
              a_c = \frac{p^{(T)}_c}{T p_c},

    with the strength :math:`\gamma`. The factor :math:`\gamma a_c` is bounded by 1, so that it
    remains a distribution; without the bound its variance is large where p_c is small.
    """
    with np.errstate(all="ignore"):
        ratio = tempered / (temperature * proba)
    ratio[proba == 0.0] = 1.0 if temperature == 1.0 else np.inf if temperature > 1.0 else 0.0
    share = one_hot(target, proba.shape[1]) * np.minimum(1.0, strength * ratio)
    return (1.0 - share.sum(axis=1, keepdims=True)) * tempered + share
