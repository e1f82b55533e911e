"""Predictions of collections: collections again, which nobody has computed yet."""

from functools import wraps
from typing import Any

import dask
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklkl._core.docs import documented
from sklkl._core.typing import Samples
from sklkl.dask._collections import is_collection, is_frame, whole_rows
from sklkl.dask._docs import on_collections
from sklkl.dask._losses import score_by, score_of


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
    on_workers = dask.delayed(model)  # which each gets once, not with every task
    if is_frame(X):
        meta = _of_part(X._meta, model, method)
        return X.map_partitions(_of_part, on_workers, method, meta=meta)
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    meta = _of_part(np.zeros((0, X.shape[1]), dtype), model, method)
    columns = meta.shape[1:]
    return X.map_blocks(
        _of_part,
        model=on_workers,
        method=method,
        dtype=meta.dtype,
        chunks=(X.chunks[0], *((n,) for n in columns)),
        drop_axis=None if columns else 1,
        meta=meta,
    )


def _of_part(X, model, method):
    """Return the predictions for a part, which may be empty, in its own kind."""
    out = getattr(model, method)(X) if X.shape[0] else _of_nothing(X, model, method)
    if not hasattr(X, "columns"):
        return out
    if out.ndim == 1:
        return pd.Series(out, index=X.index)
    return pd.DataFrame(out, index=X.index, columns=model.classes_)


def _of_nothing(X, model, method):
    """Return the predictions for no rows, which scikit-learn refuses."""
    classes = np.asarray(model.classes_)
    if method == "predict":
        return classes[:0]
    binary = method == "decision_function" and len(classes) == 2
    dtypes = set(X.dtypes) if hasattr(X, "columns") else {X.dtype}
    dtype = np.float32 if dtypes == {np.dtype(np.float32)} else np.float64
    return np.zeros(0 if binary else (0, len(classes)), dtype)


def lazy(plain, method):
    """Return a method of a plain class for one that ``to_local`` returns fitted."""
    of_plain = getattr(plain, method)

    @wraps(of_plain)
    def of_collection(self, X):
        return predicted(self.to_local(), method, X)

    of_collection.__doc__ = on_collections(of_plain)
    return of_collection


def local(model, plain):
    """Return an instance of a plain class that is fitted as a model of a subclass is."""
    check_is_fitted(model)
    fitted = plain.__new__(plain)
    vars(fitted).update(vars(model))
    return fitted


class CollectionScore:
    """Classifier whose score is that of the model that ``to_local`` returns."""

    def _score_in_parts(self, scorer, X, y, sample_weight=None):
        """Return what a scorer of ``sklkl.metrics`` gives; None if X is no collection."""
        if not is_collection(X):
            return None
        return score_by(scorer, self.to_local(), X, y, sample_weight)

    @documented
    def score(self, X: Samples, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score the predictions: accuracy for labels, D² for soft targets.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; a collection if ``X`` is one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; a collection if ``X`` is one.

        Returns
        -------
        %(to_score)s

        Raises
        ------
        ValueError
            If ``y`` is no valid target, or its partitions are not those of ``X``.
        """
        return score_of(self.to_local(), X, y, sample_weight)


class CollectionPredictions(CollectionScore):
    """Classifier whose predictions are those of the model that ``to_local`` returns."""

    @documented
    def decision_function(self, X: Samples) -> Any:
        """Compute the logits, at temperature 1.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        logits : array or data frame of shape (n_samples, n_classes), (n_samples,) if binary
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class, if binary a Series.
        """
        return predicted(self.to_local(), "decision_function", X)

    @documented
    def predict(self, X: Samples) -> Any:
        """Predict the most probable class.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : array or Series of shape (n_samples,)
            Labels from ``classes_``, of the kind of X, nothing of which is computed if it is
            a collection.
        """
        return predicted(self.to_local(), "predict", X)

    @documented
    def predict_proba(self, X: Samples) -> Any:
        """Predict probabilities, at ``temperature``.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        proba : array or data frame of shape (n_samples, n_classes)
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class.
        """
        return predicted(self.to_local(), "predict_proba", X)

    @documented
    def predict_log_proba(self, X: Samples) -> Any:
        """Predict log-probabilities, at ``temperature``.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        log_proba : array or data frame of shape (n_samples, n_classes)
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class.
        """
        return predicted(self.to_local(), "predict_log_proba", X)
