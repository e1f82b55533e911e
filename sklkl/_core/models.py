"""Fitting models and asking them for probabilities."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from sklkl._core.arrays import as_floating
from sklkl._core.samples import is_unlabeled

ABSENT = {"predict_proba": 0.0, "predict_log_proba": -np.inf}


def check_partition(tests, n_samples):
    """Refuse test sets that are not a partition of the samples."""
    order = np.concatenate([np.empty(0, dtype=np.intp), *tests])
    if not np.array_equal(np.sort(order), np.arange(n_samples)):
        raise ValueError(
            "Every sample must be in exactly one test set; use a splitter such as "
            "StratifiedSoftKFold."
        )


def fit_fold(estimator, X, y, train, params):
    """Return a clone of the estimator, fitted to the training set."""
    params = _check_method_params(X, params, indices=train)
    y = _safe_indexing(y, train)
    return fit_to_target(clone(estimator), _safe_indexing(X, train), y, params)


def fit_to_target(estimator, X, y, params):
    """Fit an estimator, with advice if it does not learn from soft targets."""
    try:
        return estimator.fit(X, y, **params)
    except ValueError as error:
        if np.ndim(y) == 1:
            raise
        raise ValueError(
            f"{type(estimator).__name__}.fit refused soft targets: {error}\nIf it learns from "
            "labels only, fit it to labels; inside another estimator, wrap it in "
            "sklearn.frozen.FrozenEstimator then."
        ) from error


def predict_columns(estimator, method, X):
    """Return predictions with a column per class; refuse anything else."""
    if not hasattr(estimator, method):
        raise TypeError(
            f"The estimator {type(estimator).__name__} has no {method}; calibrate it, e.g. "
            "with sklkl.calibration.SoftCalibratedClassifierCV."
        )
    predicted = getattr(estimator, method)(X)
    # A classifier of several outputs may take the columns of y for these; it returns a list.
    is_list = isinstance(predicted, list)
    if is_list or np.shape(predicted)[1:] != (len(estimator.classes_),):
        raise ValueError(
            f"{type(estimator).__name__}.{method} returned no array with a column per class; "
            "pass labels to a classifier that does not learn from soft targets."
        )
    return np.asarray(predicted)


def check_has_proba(estimator, name):
    """Refuse an estimator that predicts no probabilities."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"The {name} {type(estimator).__name__} has no predict_proba; calibrate it, e.g. "
            "with sklkl.calibration.SoftCalibratedClassifierCV."
        )


def predict_proba(estimator, X, name):
    """Return floating-point probabilities with a column per class."""
    proba = as_floating(estimator.predict_proba(X), name)
    n_classes = len(estimator.classes_)
    if proba.ndim != 2 or proba.shape[1] != n_classes:
        raise ValueError(
            f"{name} of {type(estimator).__name__} has shape {proba.shape}, but there are "
            f"{n_classes} classes_."
        )
    return proba


def refuse_unlabeled(estimator, y, name):
    """Refuse targets with samples that the estimator's ``unlabeled`` marks."""
    while hasattr(estimator, "steps"):  # the last of a pipeline knows the marker
        estimator = estimator.steps[-1][1]
    marker = getattr(estimator, "unlabeled", None)
    if marker is not None and is_unlabeled(y, marker).any():
        raise ValueError(
            f"{name} holds {marker!r}, which marks samples without a label; leave these out, "
            "and let the test folds hold labelled samples only."
        )
