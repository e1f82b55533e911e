"""Probabilities by a teacher that is fitted, frozen or not at hand."""

import timeit
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from joblib import Memory
from sklearn.utils.validation import check_memory

from sklkl._core.classes import spread
from sklkl._core.models import fit_and_predict, fit_clone, probabilities
from sklkl._core.samples import take
from sklkl._core.targets import check_target, of_classes, one_hot
from sklkl._core.topk import TopK
from sklkl.metrics import kl_loss

# A teacher memorises if its mean log loss of the samples that it was fitted to is below this
# share of its loss of others. With 300 digits and with wine forests were at 0.27 and 0.30,
# networks of 512 units and boosted trees at 0.004 to 0.03, 1-nearest-neighbours at 0.
MEMORY = 0.1


@dataclass
class Fold:
    """Probabilities by a teacher that was fitted without a fold."""

    test: np.ndarray  # the indices of its labelled samples
    proba: np.ndarray | TopK  # of these, or of all samples
    # Of all samples, those of other folds by teachers that were fitted to neither fold.
    nested: np.ndarray | None = None

    def for_classes(self, classes, wanted):
        """Return a copy with other columns."""
        nested = None if self.nested is None else spread(classes, self.nested, wanted)
        return Fold(self.test, spread(classes, self.proba, wanted), nested)


@dataclass
class TeacherPredictions:
    """Probabilities by a teacher, and by teachers that were fitted without a fold."""

    teacher: object  # fitted, or None
    classes: np.ndarray  # of the columns
    # Of all samples, by the teacher that was fitted to all labelled ones; or given.
    proba: np.ndarray | TopK
    folds: list  # of ``Fold``

    def out_of_fold(self):
        """Return the probabilities, each by a teacher that was fitted without the sample."""
        out = self.proba.copy()
        for fold in self.folds:
            whole = len(fold.proba) == len(out)
            out[fold.test] = fold.proba[fold.test] if whole else fold.proba
        return out

    def memorises(self, rows, labels):
        """Return whether the teacher knows the labels of the samples that it was fitted to.

        ``labels`` are codes or probabilities of the samples ``rows``.
        """
        truth = one_hot(labels, len(self.classes))
        known, honest = (kl_loss(truth, p[rows]) for p in (self.proba, self.out_of_fold()))
        return known < MEMORY * honest

    def with_folds(self, splits, rows):
        """Return a copy with folds that have these probabilities, as no fold was fitted to.

        ``splits`` and ``rows`` are as in ``Plan``.
        """
        tests = [test if rows is None else rows[test] for _, test in splits]
        return replace(self, folds=[Fold(test, self.proba) for test in tests])

    def for_classes(self, classes):
        """Return a copy with columns for ``classes``; the teacher's unknown ones are 0."""
        return replace(
            self,
            classes=np.asarray(classes),
            proba=of_classes(self.classes, self.proba, classes),
            folds=[fold.for_classes(self.classes, classes) for fold in self.folds],
        )


@contextmanager
def timed(task, verbose):
    """Print how long a task of a ``DistilledClassifier`` took."""
    start = timeit.default_timer()
    yield
    if verbose:
        end = f" {task}, total={timeit.default_timer() - start:6.1f}s"
        print(f"[DistilledClassifier] {end:.>48}")


def predict(teacher, X):
    """Return the probabilities of a fitted teacher."""
    return probabilities(teacher, X, "The teacher's")


def fit_and_predict_folds(
    teacher, X, y, rows, params, splits, everywhere, nested, n_judged=0, verbose=False
):
    """Fit a teacher, and one without each fold, and return their ``TeacherPredictions``.

    All that takes long, so that ``joblib.Memory`` can keep it; nothing here depends on the
    student.

    Parameters
    ----------
    teacher, X, y, rows, splits
        As in ``Plan``; y is None for a frozen teacher.
    params : dict
        Metadata of the labelled samples for ``fit``.
    everywhere : bool
        Whether the teachers of folds predict all samples, not only the samples of their fold.
    nested : bool or None
        Whether the predictions for one fold, where another is left out, come from a teacher
        that was fitted to neither. Both folds share it. None: if the teacher memorises.
    n_judged : int
        How many folds, from the first on, have such ``nested`` predictions.
    verbose : bool
        Whether to print how long each fit took.
    """
    labeled = X if rows is None else take(X, rows)
    with timed("teacher", verbose and y is not None):
        fitted = fit_clone(teacher, labeled, y, params)
        proba = predict(fitted, X)
    classes = np.asarray(fitted.classes_)
    every = np.arange(len(proba)) if rows is None else rows

    def without(test, train, X_test, task):
        with timed(f"teacher without {task} of {len(splits)}", verbose):
            model, of_test = fit_and_predict(
                teacher, labeled, y, train, X_test, params, predict
            )
            return np.array(spread(model.classes_, of_test, classes))

    folds = [
        Fold(
            every[test],
            without(test, train, X if everywhere else take(labeled, test), f"fold {i}"),
        )
        for i, (train, test) in enumerate(splits, start=1)
    ]
    found = TeacherPredictions(fitted, classes, proba, folds)
    if nested is None:
        nested = found.memorises(every, check_target(y, classes=classes).values)
    if not nested:
        return found
    judged = folds[:n_judged]
    for fold in judged:
        fold.nested = fold.proba.copy()
    for (i, (train, test)), (j, (_, other)) in combinations(enumerate(splits), 2):
        if i >= len(judged):
            break
        both = np.concatenate([test, other])
        task = f"folds {i + 1} and {j + 1}"
        of_both = without(both, np.setdiff1d(train, other), take(labeled, both), task)
        folds[i].nested[every[other]] = of_both[len(test) :]
        if j < len(judged):
            folds[j].nested[every[test]] = of_both[: len(test)]
    return found


def as_memory(memory):
    """Return what a user passed as ``memory``, as an object that can keep results."""
    try:
        found = check_memory(memory)
    except (OSError, ValueError) as error:  # as of a file that is no folder
        raise ValueError(f"memory={memory!r} cannot keep results: {error}") from None
    if not callable(found.cache):
        raise ValueError(f"memory={memory!r} cannot keep results: its cache is no method.")
    return found


def kept(memory, function, *ignored):
    """Return a function with results kept in ``memory``, whatever ``ignored`` ones are."""
    memory = as_memory(memory)
    if isinstance(memory, Memory):  # others with its interface may know no such option
        return memory.cache(function, ignore=list(ignored))
    cached = memory.cache(function)
    if not callable(cached):
        raise ValueError(
            f"memory={memory!r} cannot keep results: its cache returned {cached!r}, and no "
            "function."
        )
    return cached
