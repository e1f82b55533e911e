"""Parts that docstrings share: whole entries, or whole sections."""

import re
from collections.abc import Callable
from inspect import cleandoc
from textwrap import dedent
from typing import TypeVar

T = TypeVar("T")
PLACE = re.compile(r"%\((\w+)\)s")


def documented_with(**own: str) -> Callable[[T], T]:
    """Return a decorator that fills ``%(name)s`` in a docstring from these parts and PARTS.

    The lines of a part get the indentation of the line in which the part is named.
    """
    parts = PARTS | _dedented(own)

    def fill(thing: T) -> T:
        if thing.__doc__:  # None under python -OO
            thing.__doc__ = _filled(cleandoc(thing.__doc__), parts) + "\n"
        return thing

    return fill


def documented(thing: T) -> T:
    """Fill ``%(name)s`` in the docstring of a function or class from PARTS."""
    return documented_with()(thing)


def _filled(text, parts):
    lines = []
    for line in text.split("\n"):
        if "%" in line:
            indent = "\n" + " " * (len(line) - len(line.lstrip()))
            line %= {n: parts[n].replace("\n", indent) for n in PLACE.findall(line)}
        lines.append(line)
    return "\n".join(lines)


def _dedented(parts):
    return {name: dedent(part).strip() for name, part in parts.items()}


PARTS = {
    # Of functions of two distributions.
    "pair": """
        p, q : array-like of shape (..., n_outcomes)
            Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
            within 3.5e-4 and is normalised exactly; entries down to -1e-6 count as 0. Data
            frames and Series are matched by the names of their outcomes and rows.""",
    "axis": """
        axis : int, default=-1
            The axis along which ``p`` and ``q`` are distributions.""",
    "base": """
        base : float, default=None
            Unit of the result: None for nats, 2 for bits.""",
    "array": """
        A float for two 1-D inputs; otherwise an array, float32 if no input is wider, else
        float64.""",
    "bad_row": """
        If a row is not a probability vector; the message names the argument and the row. If
        both arguments have names, and these differ.""",
    # Of functions of targets and predictions.
    "y_true": """
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels; or soft targets, a probability vector per row. The columns of a data
            frame are the classes. Losses take a ``TopK`` or a sparse matrix, too.""",
    "y_proba": """
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
            Predicted probabilities: a column per class in sorted order of the labels, or in
            the order of the columns of ``y_true``. The columns of a data frame are matched by
            name, unless they are the default ones of pandas or polars, or ``y_true`` is a
            matrix without names and ``labels`` is None. With shape (n_samples,), the
            probability of the second of two classes, or of the one that a Series or the only
            column of a data frame is named by. The name 0 is refused if the classes are 0 and
            1: it may be the default of pandas.""",
    "labels": """
        labels : array-like of shape (n_classes,), default=None
            All classes, in sorted order. Needed where a class is absent from ``y_true``.""",
    "sample_weight": """
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean, non-negative.""",
    "groups": """
        groups : array-like of shape (n_samples,), default=None
            Labels of groups of dependent rows, as all of one patient. The groups are then the
            independent units, otherwise the rows are.""",
    "on_zero": """
        on_zero : {"clip", "inf", "raise"}, default="clip"
            What to do where a zero of one makes the loss infinite because the other is not 0.
            "clip" raises it, and anything smaller than that, to the epsilon of its dtype, as
            ``sklearn.metrics.log_loss`` does, but not above the other; "inf" returns the
            exact value, infinity; "raise" refuses such input. Finite losses are not
            touched.""",
    "on_zero_as_in_kl_loss": """
        on_zero : {"clip", "inf", "raise"}, default="clip"
            What to do where a prediction is 0 but its target is not, as in ``kl_loss``.""",
    "divergence_params": """
        divergence_params : dict, default=None
            Parameters of the divergence: ``{"order": 2}`` of "renyi", ``{"alpha": 0.5}`` of
            "alpha", which need them, ``{"weight": 0.3}`` of "jensen_shannon".""",
    "no_data": "If an argument does not hold labels, probabilities or numbers.",
    "bad_data": """
        If a row is not a probability vector, if classes and columns do not match, or rows are
        labelled differently; on zeros, if ``on_zero="raise"`` and the loss is infinite.""",
    "unsorted": "If ``labels`` are not in sorted order.",
    # Of estimators.
    "X": """
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.""",
    "offset": """
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Log-odds that are added to the linear scores, as in ``fit``: needed if the fit had
            some, zeros otherwise.""",
    "of_student": """
        **params : dict
            Metadata that the student requests for it, as the ``offset`` of a logistic one, if
            metadata routing is enabled.""",
    "y": """
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row.""",
    "X_of_map": """
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``. The named
            columns of a data frame are matched to the classes by name; the columns of an
            array have the order of the columns that ``fit`` got.""",
    "to_labels": """
        labels : ndarray of shape (n_samples,)
            Labels from ``classes_``.""",
    "to_proba": """
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row, columns as ``classes_``.""",
    "to_log_proba": """
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms, columns as ``classes_``.""",
    "to_score": """
        score : float
            ``sklearn.metrics.accuracy_score`` for labels, ``sklkl.metrics.d2_kl_score`` for
            soft targets.""",
}
RAISES = """
    Raises
    ------
    TypeError
        %(no_data)s
    ValueError
        %(bad_data)s

    Warns
    -----
    UserWarning
        %(unsorted)s"""
LOSS = """
    Returns
    -------
    loss : float
        Non-negative, lower is better.
"""
PREDICTION = """
    Parameters
    ----------
    %(X)s

    Returns
    -------
    %(to_{})s"""
PARTS = _dedented(PARTS)
PARTS |= {
    name: _filled(text, PARTS)
    for name, text in _dedented(
        {
            "raises": RAISES,
            "loss": LOSS + RAISES,
            "raises_bad_row": "Raises\n------\nValueError\n    %(bad_row)s",
            "axis_and_base": "%(axis)s\n%(base)s",
            "y_and_proba": "%(y_true)s\n%(y_proba)s",
            "options": "%(labels)s\n%(sample_weight)s\n%(base)s\n%(on_zero)s",
            "X_to_labels": PREDICTION.format("labels"),
            "X_to_proba": PREDICTION.format("proba"),
            "X_to_log_proba": PREDICTION.format("log_proba"),
        }
    ).items()
}
