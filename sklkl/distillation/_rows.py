"""Rows of what holds samples."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing


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
        X = np.asarray(X)
    return _safe_indexing(X, rows)
