"""Samples: their number, names, weights, groups, and which of them have labels."""

from collections.abc import MappingView, Set
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array, column_or_1d, indexable

from sklkl._core.arrays import as_array, as_floating, is_missing, n_dims
from sklkl._core.devices import on_host, place_of, to_host
from sklkl._core.names import refuse_other_rows, row_number
from sklkl._core.sklearn import num_samples, take_rows
from sklkl._core.sparse import check_entries


def match_rows(**arrays):
    """Refuse arrays of different lengths, or whose rows have different labels.

    The arrays are given by the name that messages use; None and floats are left out. What has
    no labels matches by position, and so do the default labels of pandas, 0, 1, ..., unless
    the labels of another array are the same numbers.
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
        # Which have a length, but no rows.
        if isinstance(x, str | bytes | dict | Set | MappingView):
            raise TypeError
        return num_samples(x)
    except Exception:  # whatever the library that x is from may raise
        raise TypeError(f"{name} must be an array of samples; got {x!r}.") from None


def indexed(X, y):
    """Return samples and their targets, or None, as what rows can be taken from."""
    for name, rows in {"X": X, "y": y}.items():  # before SciPy takes them to CSR
        if issparse(rows):
            check_entries(rows, name)
    if isinstance(X, memoryview):
        X = np.asarray(X)
    return indexable(X, y)


def refuse_missing(rows, name):
    """Refuse a matrix with a missing value, naming the first row that has one."""
    if (place := place_of(rows, name)) is not None:
        rows = to_host(place.xp.any(place.xp.isnan(rows), axis=1))
        rows = np.where(rows, np.nan, 0.0)[:, np.newaxis]
    values = as_array(rows, name)
    if values.ndim != 2 or values.dtype.kind not in "Of":
        return
    if values.dtype.kind == "O":
        missing = np.array([is_missing(v) for v in values.ravel()]).reshape(values.shape)
    else:
        missing = np.isnan(values)
    if missing.any():
        i = int(np.argmax(missing.any(axis=1)))
        raise ValueError(f"{name}[{row_number(i)}] contains NaN; drop or fill such rows.")


def encode_groups(groups, n_samples):
    """Return the number of groups and that of each sample, from 0 on."""
    try:
        if not hasattr(groups, "iloc"):
            groups = as_array(on_host(groups, "groups"), "groups")
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


def check_weights(sample_weight, X, name="sample_weight", *, zeros=False):
    """Return non-negative float64 weights, ones by default.

    Their sum must be positive, unless ``zeros`` are allowed; messages call them ``name``.
    """
    n_samples = n_rows(X, "X")
    if sample_weight is None:
        return np.ones(n_samples)
    weight = as_floating(on_host(sample_weight, name), name).astype(np.float64)
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D, one for each sample; {name} has shape {weight.shape}."
        )
    if weight.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}.")
    assert_all_finite(weight, input_name=name)
    if (weight < 0).any():
        i = int(np.argmax(weight < 0))
        raise ValueError(
            f"Negative values in data passed to `{name}`: {weight[i]:.6g} at row "
            f"{row_number(i)}."
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not (zeros and total == 0):
        refuse_total(total, name)
    return weight


def refuse_total(total, name):
    """Refuse weights by their sum."""
    if not 0 < total < np.inf:
        what = "is zero for every sample" if total == 0 else "has an infinite sum"
        raise ValueError(f"{name} {what}; give weights of ordinary size.")


def relative(weight):
    """Return weights divided by the largest: no sum overflows, what was positive stays so."""
    tiny = np.finfo(np.float64).tiny
    result = weight / weight.max()
    result[(result < tiny) & (weight > 0)] = tiny
    return result


def column_means(rows, weight):
    """Return the weighted mean of each column."""
    # Four times as fast as np.average; not weight @ rows, see ``class_mass``.
    return np.einsum("i,ik->k", weight, rows) / weight.sum()


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


def _is_marker(value, marker):
    if is_missing(value) or is_missing(marker):
        return is_missing(value) and is_missing(marker)
    return bool(value == marker)


def check_same_rows(**named):
    """Refuse arguments of other lengths than X, and rows that are named in another order.

    The arguments are given by name, X first, and None where they are not given.
    """
    lengths = {name: _length(name, v) for name, v in named.items() if v is not None}
    if named["X"] is None:
        raise ValueError("X must hold samples; got None.")
    for name, length in lengths.items():
        if length != lengths["X"]:
            raise ValueError(
                f"X and {name} have inconsistent numbers of samples: {lengths['X']} and "
                f"{length}."
            )
    refuse_other_rows(named, strict=False)


def _length(name, value):
    holds = any(hasattr(value, name) for name in ("__len__", "shape", "__array__"))
    if isinstance(value, str | bytes | dict | set) or not holds:
        raise TypeError(f"{name} must hold an entry for each sample; got {value!r}.")
    return num_samples(value)


def holds_labels(y):
    """Return whether targets are labels, not probabilities."""
    return y is not None and not (n_dims(y, "y") == 2 and np.shape(y)[1] > 1)


def refuse_missing_labels(y, marker):
    """Refuse targets that are missing without carrying the marker of what has no label."""
    missing = is_unlabeled(y, np.nan)
    if marker is not None:
        missing &= ~is_unlabeled(y, marker)
    if missing.any():
        i = int(missing.argmax())
        value = as_array(y, "y").tolist()[i]
        value = repr(value) if np.ndim(value) == 0 else "missing"
        also = "" if marker is None else f", and not {marker!r}, the value of unlabeled"
        raise ValueError(
            f"y[{row_number(i)}] is {value}{also}. If such samples have no label, set "
            "unlabeled=np.nan, which stands for all that is missing; otherwise drop them."
        )


def refuse_marker_as_string(y, marker):
    """Refuse labels among which the marker stands as a string: NumPy may have made it one."""
    if isinstance(marker, str) or np.ndim(y) != 1:
        return
    if any(isinstance(v, str) and v == str(marker) for v in np.asarray(y).tolist()):
        raise ValueError(
            f"y holds the string {str(marker)!r}, and not unlabeled={marker!r}: arrays of "
            f"strings turn numbers into strings. Set unlabeled={str(marker)!r}, or give y the "
            "dtype object."
        )


def take(X, rows):
    """Return rows of anything that holds samples."""
    if issparse(X):
        check_entries(X, "X")
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = as_array(X, "X")
    return take_rows(X, rows)


def row_params(X, params):
    """Return the parameters of a fit that have an index with an entry for each row of X."""
    n_samples = n_rows(X, "X")
    return {
        name: value
        for name, value in (params or {}).items()
        if hasattr(value, "index") and np.shape(value)[:1] == (n_samples,)
    }
