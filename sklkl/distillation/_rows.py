"""Rows of what holds samples: which have no label, and taking some."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing


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


def _is_missing(value):
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA, neither equal nor unequal to anything
        return True


def _is_marker(value, marker):
    if _is_missing(value) or _is_missing(marker):
        return _is_missing(value) and _is_missing(marker)
    return bool(value == marker)


def take(X, rows):
    """Return rows of anything that holds samples."""
    if issparse(X):
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = np.asarray(X)
    return _safe_indexing(X, rows)
