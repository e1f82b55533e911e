"""The one place that turns a user's ``y`` into classes and a target.

A target is either hard, an integer array (n_samples,) of positions in ``classes``, or
soft, a floating array (n_samples, n_classes) of probabilities. ``target.ndim`` tells.
"""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from sklkl._names import places, shown
from sklkl.divergences._divergences import ENTROPY
from sklkl.divergences._rows import as_floating, by_row


def check_target(y, *, classes=None, name="y", refuse_integers=False):
    """Return ``(classes, target)`` of what a user passed as ``y``.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        Labels, or one row of probabilities per sample. The columns of a data frame are
        the classes.
    classes : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of ``y``; a data frame's columns are put in
        this order. By default the sorted labels, the columns of the data frame, or
        0, ..., n_classes - 1.
    name : str, default="y"
        What error messages call ``y``.
    refuse_integers : bool, default=False
        Refuse an integer matrix even if its rows sum to 1. It may be ranks:
        ``cross_val_predict`` replaces every column of a soft ``y`` by its ranks, and those
        of smoothed labels look like one-hot rows.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    target : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, or C-contiguous float32 or float64 probabilities.
    """
    if classes is not None:
        classes = check_classes(classes)
    if y is None:
        raise ValueError(
            f"The call requires {name} to be passed, but the target {name} is None."
        )
    if issparse(y):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array: {name}.toarray().")
    columns = frame_columns(y)
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] > 1:
        return _check_soft(values, columns, classes, name, refuse_integers)
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples,), labels, or (n_samples, n_classes), "
            f"probabilities; got shape {values.shape}."
        )
    if values.size == 0:
        what = "samples" if len(values) == 0 else "columns"
        raise ValueError(f"{name} is empty: 0 {what}.")
    return _check_hard(column_or_1d(y, warn=True), classes, name)


def check_classes(classes, name="classes"):
    """Return ``classes`` as a vector of at least two distinct labels."""
    if np.ndim(classes) != 1:
        raise ValueError(f"{name} must be a list of labels; got {classes!r}.")
    if len({isinstance(c, str) for c in classes}) > 1:
        raise TypeError(f"{name} mixes strings with other labels: {list(classes)}.")
    classes = np.asarray(classes)
    if len(classes) < 2:
        raise ValueError(f"{name} must name at least two classes; got {shown(classes)}.")
    if len(set(classes.tolist())) < len(classes):
        raise ValueError(f"{name} names a class twice: {shown(classes)}.")
    return classes


def frame_columns(y):
    """Return the column labels of a data frame with several columns, otherwise None."""
    columns = getattr(y, "columns", None)
    if columns is None or getattr(y, "ndim", len(y.shape)) != 2 or y.shape[1] < 2:
        return None
    return check_classes(np.asarray(columns), "The columns of the data frame")


def match_columns(values, columns, classes, name):
    """Put the columns of ``values``, labelled ``columns``, in the order of ``classes``."""
    columns, classes = np.asarray(columns).tolist(), np.asarray(classes).tolist()
    if columns == classes:
        return values
    at = places(classes, columns)
    missing = [c for c, j in zip(classes, at, strict=True) if j < 0]
    unknown = [c for c, j in zip(columns, places(columns, classes), strict=True) if j < 0]
    if missing or unknown:
        raise ValueError(
            f"The columns of {name} are not the classes: "
            f"without a column {shown(missing)}, unknown columns {shown(unknown)}. Name all "
            "classes with classes= (labels= in metrics)."
        )
    return values[:, at]


def spread(classes, proba, wanted, absent=0.0, names=("The teacher", "the student")):
    """Put columns ``classes`` at their places among ``wanted``; the others are ``absent``."""
    classes, wanted = np.asarray(classes).tolist(), np.asarray(wanted).tolist()
    if classes == wanted:
        return proba
    at = places(classes, wanted)
    unknown = [c for c, j in zip(classes, at, strict=True) if j < 0]
    if unknown:
        raise ValueError(
            f"{names[0]} knows classes that {names[1]} does not: {shown(unknown)}; those "
            f"of {names[1]} are {shown(wanted)}."
        )
    out = np.full((len(proba), len(wanted)), absent, proba.dtype)
    out[:, at] = proba
    return out


def encode(labels, classes, name="y"):
    """Return the position in ``classes`` of each label; refuse unknown labels."""
    position = {c: j for j, c in enumerate(classes.tolist())}
    found, inverse = np.unique(labels, return_inverse=True)
    codes = np.array([position.get(c, -1) for c in found.tolist()], dtype=np.intp)
    codes = codes[inverse.reshape(-1)]
    if (codes < 0).any():
        i = int(np.argmax(codes < 0))
        raise ValueError(
            f"{name}[{i}] is {labels[i : i + 1].tolist()[0]!r}, not one of the classes "
            f"{shown(classes)}; name all classes with classes= (labels= in metrics)."
        )
    return codes


def _check_hard(labels, classes, name):
    if labels.dtype.kind in "fc":
        assert_all_finite(labels, input_name=name)
    is_string = {isinstance(c, str) for c in labels.tolist()} if labels.dtype == "O" else ()
    if len(is_string) > 1:
        raise TypeError(
            f"{name} mixes strings with other values, as None or numbers; use labels of one "
            "type, and drop samples without a label."
        )
    try:
        check_classification_targets(labels)
    except ValueError as error:
        hint = ""
        if labels.dtype.kind == "f":
            hint = (
                f" If {name} holds probabilities of the second of two classes, pass a column "
                "per class, np.column_stack([1 - p, p])."
            )
        raise ValueError(f"{error}{hint} (in {name})") from None
    if classes is None:
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, codes.reshape(-1).astype(np.intp, copy=False)
    return classes, encode(labels, classes, name)


def _check_soft(values, columns, classes, name, refuse_integers):
    n_samples, n_columns = values.shape
    if n_samples == 0:
        raise ValueError(f"{name} is empty: 0 samples.")
    if refuse_integers and values.dtype.kind in "iu":
        raise ValueError(
            f"{name} is a matrix of integers, not probabilities: if these are counts, divide "
            f"each row by its sum; if one-hot rows, pass labels or {name}.astype(float). "
            "scikit-learn's cross_val_predict turns soft targets into ranks like these; use "
            "sklkl.model_selection.soft_cross_val_predict."
        )
    target = as_floating(values, name)
    check_rows(target, name)
    if columns is not None and classes is not None:
        target = match_columns(target, columns, classes, name)
    if classes is None:
        classes = np.arange(n_columns) if columns is None else columns
    if len(classes) != n_columns:
        raise ValueError(
            f"{name} has {n_columns} columns, but there are {len(classes)} classes: "
            f"{shown(classes)}."
        )
    return classes, np.ascontiguousarray(target)


def encode_groups(groups, n_samples):
    """Return the number of groups and that of each sample, from 0 on."""
    try:
        groups = column_or_1d(
            check_array(
                groups, ensure_2d=False, allow_nd=True, dtype=None, input_name="groups"
            )
        )
        names, group_of = np.unique(groups, return_inverse=True)
    except TypeError:
        raise TypeError(
            "groups mixes labels of different types, or some are missing; use labels of one "
            "type, and give rows of no group a label each."
        ) from None
    if len(groups) != n_samples:
        raise ValueError(
            f"groups must hold a label for each of the {n_samples} rows; got {len(groups)}."
        )
    return len(names), group_of.reshape(-1)


def check_rows(probabilities, name):
    """Refuse a matrix with a row that is no probability vector, naming the first one."""
    by_row(ENTROPY, probabilities, probabilities, names=(name, name))


def one_hot(target, n_classes):
    """Return a target as probabilities, float64 if it was hard."""
    if target.ndim == 2:
        return target
    rows = np.zeros((len(target), n_classes))
    rows[np.arange(len(target)), target] = 1.0
    return rows


def check_weights(sample_weight, X):
    """Return non-negative float64 weights with a positive sum, ones by default."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not 0 < total < np.inf:
        what = "is zero for every sample" if total == 0 else "has an infinite sum"
        raise ValueError(f"sample_weight {what}; give weights of ordinary size.")
    return np.ascontiguousarray(weight)


def is_unlabeled(y, marker):
    """Return which samples carry the marker, in every column if ``y`` is soft."""
    # As objects, or NumPy would turn the NaN in a list of strings into the string "nan".
    values = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if values.dtype.kind == "O" or not isinstance(marker, Real | str):
        marked = np.array([_is_marker(v, marker) for v in values.ravel()], dtype=bool)
        marked = marked.reshape(values.shape)
    elif marker != marker:
        marked = values != values
    else:
        marked = values == marker
    return marked if values.ndim == 1 else marked.reshape(len(values), -1).all(axis=1)


def _is_missing(value):
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA, neither equal nor unequal to anything
        return True


def _is_marker(value, marker):
    if _is_missing(value) or _is_missing(marker):
        return _is_missing(value) and _is_missing(marker)
    return bool(value == marker)
