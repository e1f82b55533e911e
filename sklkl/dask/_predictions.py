"""Predictions of collections: collections again, which nobody has computed yet."""

import dask
import numpy as np
import pandas as pd

from sklkl.dask._collections import is_collection, is_frame, whole_rows


def predicted(model, method, X):
    """Return what a method of a model predicts for the rows of X.

    Parameters
    ----------
    model : estimator
        A fitted classifier of scikit-learn's kind, which goes to every worker once.
    method : str
        Its ``predict``, ``predict_proba``, ``predict_log_proba`` or ``decision_function``.
    X : dask array or data frame, or anything else, which the model predicts at once

    Returns
    -------
    predictions : dask array; of a data frame a Series, or a data frame of classes
        With the index of X.
    """
    if not is_collection(X):
        return getattr(model, method)(X)
    X = whole_rows(X, "X")
    options = {"model": dask.delayed(model), "method": method}
    if is_frame(X):
        meta = _of_part(X._meta, model, method)
        return X.map_partitions(_of_part, **options, meta=meta)
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    meta = _of_part(np.zeros((0, X.shape[1]), dtype), model, method)
    columns = meta.shape[1:]
    return X.map_blocks(
        _of_part,
        **options,
        dtype=meta.dtype,
        chunks=(X.chunks[0], *((n,) for n in columns)),
        drop_axis=None if columns else 1,
        meta=meta,
    )


def _of_part(X, model, method):
    """Return the predictions for a part, which may be empty, in its own kind."""
    n_samples, is_array = X.shape[0], not hasattr(X, "columns")
    if n_samples > 0:
        rows = X
    elif is_array:  # scikit-learn refuses no rows at all
        rows = np.zeros((1, X.shape[1]), X.dtype)
    else:
        rows = pd.DataFrame(np.zeros((1, X.shape[1])), columns=X.columns)
    out = getattr(model, method)(rows)[:n_samples]
    if is_array:
        return out
    if out.ndim == 1:
        return pd.Series(out, index=X.index)
    return pd.DataFrame(out, index=X.index, columns=model.classes_)
