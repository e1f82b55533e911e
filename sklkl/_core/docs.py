"""Docstrings that share parts."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Of functions that take targets and predictions; indented as in the docstring of a function.
PREDICTIONS = {
    "y_true": """\
y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        True labels; or soft targets, a probability vector per row. The columns of a data
        frame are the classes.""",
    "y_proba": """\
y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities: a column per class in sorted order of the labels, or that
        of ``y_true``. The columns of a data frame are matched by name, unless they are the
        default ones of pandas or polars, or ``y_true`` is a matrix without names and
        ``labels`` is None. With shape (n_samples,), the probability of the second of two
        classes, or of the one that a Series or the only column of a data frame is named by.
        The name 0 is refused if the classes are 0 and 1: it may be the default of pandas.""",
    "labels": """labels : array-like of shape (n_classes,), default=None
        All classes, in sorted order. Needed where a class is absent from ``y_true``.""",
    "sample_weight": """sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the mean, non-negative.""",
    "base": """base : float, default=None
        Unit of the result: None for nats, 2 for bits.""",
    "on_zero": """on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a zero of one makes the loss infinite because the other is not 0.
        "clip" raises it, and anything smaller than that, to the epsilon of its dtype, as
        ``sklearn.metrics.log_loss`` does, but not above the other; "inf" returns the exact
        value, infinity; "raise" refuses such input. Finite losses are not touched.""",
    "no_data": "If an argument does not hold labels, probabilities or numbers.",
    "bad_data": """If a row is not a probability vector, if classes and columns do not match,
        or rows are labelled differently; on zeros, if ``on_zero="raise"`` and the loss is
        infinite.""",
    "unsorted": "If ``labels`` are not in sorted order.",
}


def documented(**shared: str) -> Callable[[T], T]:
    """Return a decorator that fills ``%(name)s`` in docstrings from ``shared``."""

    def fill(thing: T) -> T:
        thing.__doc__ = thing.__doc__ and thing.__doc__ % shared  # None under python -OO
        return thing

    return fill


with_predictions = documented(**PREDICTIONS)
