"""Targets and the probabilities that somebody predicted for them, with the same columns."""

import warnings
from numbers import Integral

import numpy as np

from sklkl._core import topk
from sklkl._core.arrays import ROUNDING
from sklkl._core.classes import (
    check_classes,
    frame_columns,
    in_order,
    match_columns,
    ordered_categories,
    refuse_sorted_words,
)
from sklkl._core.devices import beside, floating, namespace, on_host, to_host
from sklkl._core.distributions import without_rounding
from sklkl._core.names import has_default_columns, places, shown
from sklkl._core.samples import holds_labels, match_rows
from sklkl._core.targets import check_target, is_sparse


def check_y_and_proba(
    y_true,
    y_proba,
    labels,
    together,
    name="y_proba",
    stacklevel=3,
    *,
    sparse=False,
    stays=False,
    ordered=None,
):
    """Return ``(target, proba)`` with the same columns from the arguments of a loss.

    The target holds codes of labels, or probabilities. ``together`` holds further arguments
    that belong to the same samples, by name; messages call ``y_proba`` by ``name``. With
    ``sparse`` both may be a ``TopK``. Results are on the host, unless ``stays``: then both are
    where ``y_proba`` is. ``ordered`` names a divergence to which the order of the columns
    matters: that of categories, of columns with names that nobody has sorted, or of numbers.
    """
    order = None if ordered is None else _order_of_categories(y_true, labels)
    if order is not None:
        labels = order
    elif labels is not None:
        given = check_classes(labels, "labels")
        labels = in_order(given, "labels")
        if ordered is not None:
            refuse_sorted_words(ordered, labels, "labels=, which are taken in sorted order")
        if (labels != given).any():
            warnings.warn(
                f"labels={shown(given)} are taken in sorted order, {shown(labels)}, as "
                f"sklearn.metrics.log_loss does; the columns of {name} must be in it.",
                UserWarning,
                stacklevel=stacklevel,
            )
    if sparse and is_sparse(y_proba):
        own = getattr(y_proba, "classes", None)
        if labels is None and own is not None and holds_labels(y_true):
            labels = in_order(own, f"The classes of {name}")
        target = check_target(y_true, classes=labels, name="y_true", sparse=True)
        match_rows(y_true=y_true, **{name: y_proba}, **together)
        proba = check_target(y_proba, classes=target.classes, name=name, sparse=True)
        if ordered is not None:
            _check_order(ordered, order, y_true, target, own, name)
        return target.values, proba.values
    if not stays:
        y_true, y_proba = on_host(y_true, "y_true"), on_host(y_proba, name)
    proba = without_rounding(floating(y_proba, name))
    if proba.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples, n_classes), or (n_samples,) for two "
            f"classes; got {tuple(proba.shape)}."
        )
    forms = {"sparse": sparse, "stays": stays}
    target = check_target(y_true, classes=labels, name="y_true", **forms)
    classes = target.classes
    match_rows(y_true=y_true, **{name: y_proba}, **together)
    if len(classes) == 1:
        raise ValueError(
            f"y_true holds the single label {classes.tolist()[0]!r}; name all classes with "
            "labels=."
        )
    if proba.ndim == 1 or proba.shape[1] == 1:
        proba = _both_columns(proba, y_proba, classes, name)
    columns = frame_columns(y_proba, classes, name)
    if ordered is not None:
        _check_order(ordered, order, y_true, target, columns, name)
    # The default columns of y_true name the classes, too, if those of y_proba do.
    named = labels is not None or target.hard or frame_columns(y_true, columns) is not None
    named |= target.named and is_sparse(y_true)
    if columns is not None and named:
        proba = match_columns(proba, columns, classes, name)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"{name} has {proba.shape[1]} columns, but y_true has {len(classes)} classes, "
            f"{shown(classes)}; name the classes of the columns with labels=."
        )
    values = target.values
    return (values if is_sparse(values) else beside(proba, values)), proba


def _order_of_categories(y_true, labels):
    """Return the categories of an ordered categorical, labels or columns, or None."""
    order = ordered_categories(y_true)
    if order is None or len(order) <= 2:  # of two classes either order gives the same
        return None
    order = check_classes(order, "The list of the categories of y_true")
    if (columns := frame_columns(y_true)) is not None:
        order = order[places(order.tolist(), columns.tolist()) >= 0]
    if labels is not None and set(check_classes(labels, "labels").tolist()) != set(order):
        raise ValueError(
            f"labels={shown(labels)} are not the categories of y_true, {shown(order)}, which "
            "name all classes; leave labels out, or add categories."
        )
    return order


def _check_order(divergence, order, y_true, target, columns, name):
    """Refuse words without an order, and columns without names that have another order.

    ``order`` is that of categories, or None, and ``columns`` the names of those of ``name``.
    """
    if order is None:
        named = target.named
        if named or columns is not None:
            what = f"the {'labels in' if target.hard else 'columns of'} y_true"
            what = what if named else f"the columns of {name}"
            refuse_sorted_words(divergence, target.classes if named else columns, what)
        return
    own = np.sort(order) if target.hard else frame_columns(y_true)
    if columns is None and own.tolist() != order.tolist():
        raise ValueError(
            f"The columns of {name} have no names, so that their order is {shown(own)}, but "
            f"that of the categories of y_true is {shown(order)}. Name them, as by "
            f"pd.DataFrame({name}, columns=model.classes_)."
        )


def _both_columns(positive, y_proba, classes, name):
    """Return two columns from the probabilities of one class: the second, or the named one.

    A Series may have any name, but the only column of a data frame is named by a class. The
    number 0 among the classes 0 and 1 may be either class: pandas numbers columns by default.
    """
    xp = namespace(positive)
    positive = xp.reshape(positive, (-1,))
    outside = to_host(~((positive >= 0) & (positive <= 1 + ROUNDING)))
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"{name}[{i}] is {float(positive[i]):.6g}; a one-dimensional {name} holds the "
            "probability of the positive class, between 0 and 1."
        )
    proba = without_rounding(xp.stack([1 - positive, positive], axis=1))
    column, classes = getattr(y_proba, "name", None), classes.tolist()
    columns = getattr(y_proba, "column_names", getattr(y_proba, "columns", None))
    if columns is not None and not has_default_columns(columns):
        column = next(iter(columns))
        if column not in classes:
            raise ValueError(
                f"The only column of {name} is {column!r}, none of the classes "
                f"{shown(classes)}; name it by the class whose probability it holds."
            )
    numbered = isinstance(column, Integral) and not isinstance(column, bool | np.bool_)
    if numbered and column == 0 and classes == [0, 1]:
        raise ValueError(
            f"{name} is named 0, which may be the class 0 or the number that pandas gives to "
            f"a column. If it holds the probability of class 1, pass {name}.to_numpy(); if "
            f"that of class 0, 1 - {name}.to_numpy()."
        )
    return proba[:, ::-1] if len(classes) == 2 and column == classes[0] else proba


def hits(target, predicted):
    """Return for each sample the probability, 0 or 1 of a label, of the predicted class."""
    if target.ndim == 1:
        return target == predicted
    if is_sparse(target):
        return topk.proba_of(target, predicted)
    return target[np.arange(len(target)), predicted]
