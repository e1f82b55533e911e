"""The one place that turns a user's ``y`` into classes and a target.

A target is either hard, an integer array (n_samples,) of positions in ``classes``, or
soft, a floating array (n_samples, n_classes) of probabilities. ``target.ndim`` tells.
"""

from numbers import Real

import numpy as np
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

from sklkl._names import (
    has_default_columns,
    places,
    refuse_other_rows,
    shown,
)
from sklkl.divergences._divergences import ENTROPY
from sklkl.divergences._rows import ROUNDING, as_array, as_floating, by_row


def check_target(y, *, classes=None, name="y", refuse_integers=False):
    """Return ``(classes, target)`` of what a user passed as ``y``.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        Labels, or one row of probabilities per sample. The columns of a data frame are
        the classes, unless they are the default ones of its library: see ``frame_columns``.
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
    columns = frame_columns(y, classes, name)
    values = as_array(y, name)
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
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold labels.")
    if hasattr(y, "iloc"):
        values = y  # which scikit-learn converts, as nullable integers with a missing value
    return _check_hard(column_or_1d(values, warn=True), classes, name)


def check_classes(classes, name="classes"):
    """Return ``classes`` as a vector of at least two distinct labels."""
    try:
        values = np.asarray(classes)
        labels = classes if isinstance(classes, list | tuple) else values.tolist()
        repeated = len(set(labels)) < len(labels)
    except (TypeError, ValueError):  # not hashable, or lists of different lengths
        values = np.array(None)
    if values.ndim != 1 or values.dtype.kind == "c":
        raise ValueError(f"{name} must be a list of labels; got {classes!r}.")
    for j, label in enumerate(labels):
        if _is_missing(label):
            raise ValueError(f"{name}: label {j} is missing, {label!r}; name every class.")
    if len({isinstance(c, str) for c in labels}) > 1:
        raise TypeError(f"{name} mixes strings with other labels: {shown(list(labels))}.")
    if len(values) < 2:
        raise ValueError(f"{name} must name at least two classes; got {shown(values)}.")
    if repeated:
        raise ValueError(f"{name} names a class twice: {shown(values)}.")
    return values


def frame_columns(y, classes=None, name="the data frame"):
    """Return the column labels of a data frame with several columns, otherwise None.

    The default labels, 0, 1, ... of pandas and column_0, column_1, ... of polars, say nothing
    of the classes, so a frame with these is as good as an array, unless all ``classes`` are
    among these labels.
    """
    columns = getattr(y, "columns", None)
    if columns is None or getattr(y, "ndim", len(y.shape)) != 2 or y.shape[1] < 2:
        return None
    columns = getattr(y, "column_names", columns)  # an Arrow table has its data in columns
    if has_default_columns(columns):
        known = None if classes is None else set(np.asarray(classes).tolist())
        if known is None or not known <= set(columns):
            return None
    return check_classes(np.asarray(columns), f"The list of the columns of {name}")


def match_columns(values, columns, classes, name):
    """Put the columns of ``values``, labelled ``columns``, in the order of ``classes``."""
    columns, classes = np.asarray(columns).tolist(), np.asarray(classes).tolist()
    if columns == classes:
        return values
    at = places(classes, columns)
    missing = [c for c, j in zip(classes, at, strict=True) if j < 0]
    unknown = [c for c, j in zip(columns, places(columns, classes), strict=True) if j < 0]
    if missing or unknown:
        advice = "Name all classes with classes= (labels= in metrics)."
        if len(missing) == len(classes):
            advice = "Name the columns by the classes, as by columns=model.classes_."
        raise ValueError(
            f"The columns of {name} are not the classes: "
            f"without a column {shown(missing)}, unknown columns {shown(unknown)}. {advice}"
        )
    return values[:, at]


def match_rows(**arrays):
    """Refuse arrays of different lengths, or whose rows have different labels.

    Parameters
    ----------
    **arrays : dict of str to array-like, float or None
        What belongs together row by row, by the name that messages use. What has no labels
        matches by position, and so do the default labels of pandas, 0, 1, ..., unless those
        of another array are the same numbers.
    """
    arrays = {name: x for name, x in arrays.items() if not (x is None or isinstance(x, Real))}
    lengths = {name: n_rows(x, name) for name, x in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ValueError(f"Found inconsistent numbers of samples: {counts}.")
    refuse_other_rows(arrays)


def n_rows(x, name):
    """Return the number of samples of an argument."""
    try:
        if isinstance(x, str | bytes | dict | set):  # which have a length
            raise TypeError
        return _num_samples(x)
    except TypeError:
        raise TypeError(f"{name} must be an array of samples; got {x!r}.") from None


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
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    if labels.dtype.kind in "OM":  # a date may be missing, too
        _refuse_mixed(labels.tolist(), name)
    try:
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
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


def _refuse_mixed(labels, name):
    """Refuse labels of which some are missing, or strings while others are not."""
    for i, label in enumerate(labels):
        if _is_missing(label):
            raise TypeError(
                f"{name}[{i}] is missing: {label!r}. Drop samples without a label; only a "
                "DistilledClassifier takes them, with unlabeled=np.nan."
            )
        if isinstance(label, list | np.ndarray) or hasattr(label, "to_numpy"):
            raise TypeError(
                f"{name}[{i}] is not a label, but a {type(label).__name__}; pass "
                f"probabilities as a matrix, np.array(list({name})) or a data frame."
            )
        if isinstance(label, str) != isinstance(labels[0], str):
            raise TypeError(
                f"{name} mixes strings with other values: {name}[{i}] is {label!r} and "
                f"{name}[0] is {labels[0]!r}. Use labels of one type."
            )


def _are_several_labels(values):
    """Return whether a matrix marks several classes, or none, of some samples."""
    return np.isin(values, (0, 1)).all() and (values.sum(axis=1) != 1).any()


def _check_soft(values, columns, classes, name, refuse_integers):
    n_samples, n_columns = values.shape
    if n_samples == 0:
        raise ValueError(f"{name} is empty: 0 samples.")
    if refuse_integers and values.dtype.kind in "iu" and not _are_several_labels(values):
        raise ValueError(
            f"{name} is a matrix of integers, not probabilities: if these are counts, divide "
            f"each row by its sum; if one-hot rows, pass labels or {name}.astype(float). "
            "scikit-learn's cross_val_predict turns soft targets into ranks like these; use "
            "sklkl.model_selection.soft_cross_val_predict."
        )
    target = as_floating(values, name)
    try:
        target = check_rows(target, name)
    except ValueError as error:
        if not _are_several_labels(target):
            raise
        raise ValueError(
            f"{error} If these are several labels per sample, 0 or 1 each: a target is one "
            "distribution over classes of which each sample has one; fit a model per label."
        ) from None
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


def refuse_missing(rows, name):
    """Refuse a matrix with a missing value, naming the first row that has one."""
    values = np.asarray(rows)
    if values.ndim != 2 or values.dtype.kind not in "Of":
        return
    if values.dtype.kind == "O":
        missing = np.array([_is_missing(v) for v in values.ravel()]).reshape(values.shape)
    else:
        missing = np.isnan(values)
    if missing.any():
        i = int(np.argmax(missing.any(axis=1)))
        raise ValueError(f"{name}[{i}] contains NaN; drop or fill such rows.")


def encode_groups(groups, n_samples):
    """Return the number of groups and that of each sample, from 0 on."""
    try:
        if not hasattr(groups, "iloc"):
            groups = as_array(groups, "groups")
        groups = column_or_1d(
            check_array(
                groups, ensure_2d=False, allow_nd=True, dtype=None, input_name="groups"
            )
        )
        names, group_of = np.unique(groups, return_inverse=True)
    except TypeError as error:
        if "groups" in str(error):
            raise
        raise TypeError(
            "groups mixes labels of different types, or some are missing; use labels of one "
            "type, and give rows of no group a label each."
        ) from None
    except ValueError as error:
        if "groups" in str(error):
            raise
        raise ValueError(f"groups must hold a label per row: {error}") from None
    if len(groups) != n_samples:
        raise ValueError(
            f"groups must hold a label for each of the {n_samples} rows; got {len(groups)}."
        )
    return len(names), group_of.reshape(-1)


def check_rows(probabilities, name):
    """Return a matrix of probability vectors; refuse one with another row, naming the first.

    What rounding left below 0 becomes 0.
    """
    probabilities = without_rounding(probabilities)
    by_row(ENTROPY, probabilities, probabilities, names=(name, name))
    return probabilities


def without_rounding(probabilities):
    """Return an array with 0 for entries from -1e-6 on: what rounding left of some 1 - p."""
    if not (probabilities < 0.0).any():
        return probabilities
    rounding = (probabilities < 0.0) & (probabilities >= -ROUNDING)
    return np.where(rounding, probabilities.dtype.type(0), probabilities)


def one_hot(target, n_classes):
    """Return a target as probabilities, float64 if it was hard."""
    if target.ndim == 2:
        return target
    rows = np.zeros((len(target), n_classes))
    rows[np.arange(len(target)), target] = 1.0
    return rows


def check_weights(sample_weight, X):
    """Return non-negative float64 weights with a positive sum, ones by default."""
    n_samples = n_rows(X, "X")
    if sample_weight is None:
        return np.ones(n_samples)
    weight = as_floating(sample_weight, "sample_weight").astype(np.float64)
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.ndim != 1:
        raise ValueError(
            "Sample weights must be 1D, one for each sample; sample_weight has shape "
            f"{weight.shape}."
        )
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n_samples,)}.")
    assert_all_finite(weight, input_name="sample_weight")
    if (weight < 0).any():
        i = int(np.argmax(weight < 0))
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: {weight[i]:.6g} at row {i}."
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not 0 < total < np.inf:
        what = "is zero for every sample" if total == 0 else "has an infinite sum"
        raise ValueError(f"sample_weight {what}; give weights of ordinary size.")
    return weight


def relative(weight):
    """Return weights divided by the largest: no sum overflows, what was positive stays so."""
    tiny = np.finfo(np.float64).tiny
    return np.where(weight > 0, np.maximum(weight / weight.max(), tiny), 0.0)


def is_unlabeled(y, marker):
    """Return which samples carry the marker, in every column if ``y`` is soft."""
    values = as_array(y, "y")
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
    except ValueError:  # an array
        return False


def _is_marker(value, marker):
    if _is_missing(value) or _is_missing(marker):
        return _is_missing(value) and _is_missing(marker)
    return bool(value == marker)
