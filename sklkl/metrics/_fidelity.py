"""The comparison of a student with its teacher, which a report writes and a display draws."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from sklkl._core.classes import check_classes, spread
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


def compare(probas, classes, names, sample_weight, base, on_zero):
    """Return the ``Fidelity`` of a student to its teacher, given the options of a loss.

    ``probas``, ``classes`` and ``names`` are pairs, of the teacher and of the student: the
    probabilities, the classes that are their columns, as a list, and the name of the
    probabilities in messages.
    """
    probas = [check_rows(proba, name) for proba, name in zip(probas, names, strict=True)]
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


@contextmanager
def named(target, proba, classes):
    """Add to messages about y_true and y_proba what they are."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"{error} (y_true: {target}; y_proba: {proba}; columns: {shown(classes)}.)"
        ) from None
