"""Predictions of collections: collections again, which nobody has computed yet."""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklkl.dask._collections import is_collection, is_frame, whole_rows


def predicted(model, method, X):
    """Return what a method of a model predicts for the rows of X.

    Parameters
    ----------
    model : estimator
        A fitted classifier of scikit-learn's kind, which goes to every worker.
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
    check_is_fitted(model)
    X = whole_rows(X, "X")
    predict = partial(_of_part, model, method)
    if is_frame(X):
        return X.map_partitions(predict)
    like = predict(np.zeros((1, model.n_features_in_), _floating(X.dtype)))
    columns = like.shape[1:]
    return X.map_blocks(
        predict,
        dtype=like.dtype,
        chunks=(X.chunks[0], *((n,) for n in columns)),
        drop_axis=None if columns else 1,
        meta=like[:0],
    )


def _floating(dtype):
    return dtype if dtype == np.float32 else np.float64


def _of_part(model, method, X):
    """Return the predictions for a part, which may be empty, in its own kind."""
    n_samples = X.shape[0]
    if n_samples == 0:
        filled = np.zeros((1, X.shape[1]))
        X_or_one = (
            filled if not hasattr(X, "iloc") else pd.DataFrame(filled, columns=X.columns)
        )
    else:
        X_or_one = X
    out = getattr(model, method)(X_or_one)[:n_samples]
    if not hasattr(X, "iloc"):
        return out
    if out.ndim == 1:
        return pd.Series(out, index=X.index)
    return pd.DataFrame(out, index=X.index, columns=model.classes_)
