"""The comparison of a student with its teacher, which a report writes and a display draws."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from sklkl._core.arrays import as_floating
from sklkl._core.classes import check_classes, frame_columns, spread
from sklkl._core.distributions import check_rows
from sklkl._core.names import shown
from sklkl._core.samples import check_weights, column_means, relative
from sklkl.divergences import kl_contributions
from sklkl.metrics._losses import clip, row_losses


@dataclass(frozen=True)
class Fidelity:
    """Probabilities of teacher and student side by side, and their KL divergence."""

    classes: list  # the classes that one of them knows, the teacher's first
    teacher_proba: np.ndarray  # (n_samples, n_classes), 0 for a class that it does not know
    student_proba: np.ndarray
    weight: np.ndarray  # (n_samples,), at most 1
    row_divergences: np.ndarray  # (n_samples,), NaN where a sample has no weight
    divergence: float  # their weighted mean
    contributions: np.ndarray  # (n_classes,), mean contribution of each class to it

    def mean(self, values):
        """Return the weighted mean of values of the samples."""
        return float(np.average(values, weights=self.weight))


def compare(probas, classes, names, sample_weight, base, on_zero):
    """Return the ``Fidelity`` of a student to its teacher, given the options of a loss.

    ``probas``, ``classes`` and ``names`` are pairs, of the teacher and of the student: the
    probabilities, the classes that are their columns, as a list, and the name of the
    probabilities in messages.
    """
    probas = [check_rows(proba, name) for proba, name in zip(probas, names, strict=True)]
    if len(probas[0]) == 0:
        raise ValueError(f"{names[0]} is empty: 0 samples.")
    weight = relative(check_weights(sample_weight, probas[0]))
    known = list(dict.fromkeys([*classes[0], *classes[1]]))
    check_classes(known, "The list of the teacher's and student's classes")
    if len(known) == len(classes[0]) + len(classes[1]):
        raise ValueError(
            f"The teacher's classes {shown(classes[0])} and the student's "
            f"{shown(classes[1])} have none in common."
        )
    p, q = (spread(own, proba, known) for own, proba in zip(classes, probas, strict=True))
    counted = weight > 0  # not 0 * inf
    options = {"base": base, "on_zero": on_zero, "counted": counted}
    with named(*names, known):
        rows = row_losses(p, q, **options)
    clipped = clip(p, q, names[1]) if on_zero == "clip" else q
    used = slice(None) if counted.all() else counted  # a slice copies nothing
    contributions = kl_contributions(p[used], clipped[used], base=base)
    return Fidelity(
        classes=known,
        teacher_proba=p,
        student_proba=q,
        weight=weight,
        row_divergences=np.where(counted, rows, np.nan),
        divergence=float(np.average(np.where(counted, rows, 0.0), weights=weight)),
        contributions=column_means(contributions, weight[used]),
    )


def are_predictions(model):
    """Return whether probabilities are given in the place of a model."""
    return isinstance(model, list | tuple) or hasattr(model, "shape")


def with_columns(given, names, classes=None, own=(None, None)):
    """Return the probabilities of teacher and student, and the classes of their columns.

    Parameters
    ----------
    given : pair of array-like
        Probabilities of the same samples, as arrays or data frames.
    names : pair of str
        Their names in messages.
    classes : array-like of shape (n_classes,), default=None
        The classes, in the order of the columns of an array. By default those of the model or
        of the data frame on the other side, or 0, 1, ...
    own : pair of list, default=(None, None)
        The classes of a model whose predictions are given.
    """
    if classes is not None:
        classes = check_classes(classes).tolist()
        named = [classes, classes]
    else:
        named = [frame_columns(x) if o is None else o for x, o in zip(given, own, strict=True)]
    columns = [frame_columns(x, c) for x, c in zip(given, named[::-1], strict=True)]
    columns = [None if c is None else c.tolist() for c in columns]
    columns = [c if o is None else o for c, o in zip(columns, own, strict=True)]
    default = classes or columns[0] or columns[1]
    probas, of_columns = [], []
    for name, x, own_columns in zip(names, given, columns, strict=True):
        proba = as_floating(x, name)
        if proba.ndim != 2 or proba.shape[1] < 2:
            raise ValueError(
                f"{name} must have shape (n_samples, n_classes), a column for each of at "
                f"least two classes; got {proba.shape}."
            )
        default = default or list(range(proba.shape[1]))
        known = own_columns or default
        if len(known) != proba.shape[1]:
            raise ValueError(
                f"{name} has {proba.shape[1]} columns, but there are {len(known)} classes: "
                f"{shown(known)}."
            )
        if classes is not None:
            proba, known = spread(known, proba, classes, names=(name, "classes")), classes
        probas.append(proba)
        of_columns.append(known)
    return probas, of_columns


@contextmanager
def named(target, proba, classes):
    """Add to messages about y_true and y_proba what they are."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"{error} (y_true: {target}; y_proba: {proba}; columns: {shown(classes)}.)"
        ) from None
