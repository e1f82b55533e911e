"""Rows of what holds samples."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklkl._names import refuse_other_rows
from sklkl._targets import is_unlabeled
from sklkl.divergences._rows import as_array


def check_same_rows(**named):
    """Refuse arguments of other lengths, and rows that are named in another order.

    Parameters
    ----------
    **named : object
        What holds the samples, by the name of the argument, X first; None for what is
        not given.
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
    if isinstance(value, str) or not holds:
        raise TypeError(f"{name} must hold an entry for each sample; got {value!r}.")
    return _num_samples(value)


def holds_labels(y):
    """Return whether targets are labels, not probabilities."""
    return y is not None and not (np.ndim(y) == 2 and np.shape(y)[1] > 1)


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
            f"y[{i}] is {value}{also}. If such samples have no label, set unlabeled=np.nan, "
            "which stands for all that is missing; otherwise drop them."
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
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = as_array(X, "X")
    return _safe_indexing(X, rows)
