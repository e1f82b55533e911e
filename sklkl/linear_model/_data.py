"""What users pass to the estimators, checked."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from sklkl._core.arrays import without_tensor
from sklkl._core.names import refuse_other_rows
from sklkl._core.parameters import (
    BOOLEAN,
    POSITIVE,
    POSITIVE_OR_INFINITE,
    SHARE,
    check_parameters,
    integer,
)
from sklkl._core.samples import check_weights
from sklkl._core.targets import apply_class_weight, check_target
from sklkl.linear_model._objective import LossTerm, objective_of

RULES = {
    "C": POSITIVE_OR_INFINITE,
    "l1_ratio": SHARE,
    "tol": POSITIVE,
    "max_iter": integer(1),
    "fit_intercept": BOOLEAN,
    "warm_start": BOOLEAN,
    "verbose": integer(0).or_(True, False),
}


def check_numbers(estimator, *names):
    """Refuse parameters that break the rule of their name."""
    check_parameters(estimator, **{name: RULES[name] for name in names})


@dataclass
class Data:
    """Checked data of a fit.

    Attributes
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 or float64. Not looked at: entries may be NaN or infinite, which the first
        evaluation of the objective finds without a pass of its own.
    classes : ndarray of shape (n_classes,)
    target : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, or probabilities of the dtype of X.
    weight : ndarray of shape (n_samples,)
        float64.
    """

    X: object
    classes: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    @property
    def hard(self):
        """Whether the target is one of labels."""
        return self.target.ndim == 1

    def objective(self, fit_intercept, C, l1_ratio, terms=None):
        """Return the objective of all rows, by default their forward KL divergence."""
        return objective_of(
            self.X,
            terms or [LossTerm(self.target, self.weight)],
            n_classes=len(self.classes),
            fit_intercept=fit_intercept,
            C=float(C),
            l1_ratio=float(l1_ratio),
        )


def check_data(estimator, X, y, sample_weight, *, reset=True, classes=None):
    """Return the ``Data`` that a user passed to ``estimator.fit``."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the "
            "target y is None."
        )
    refuse_other_rows({"X": X, "y": y, "sample_weight": sample_weight}, strict=False)
    X = validate_data(
        estimator,
        without_tensor(X, "X"),
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        reset=reset,
    )
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()  # which also sorts each row
    given = estimator.classes if classes is None else classes
    of_target, target = check_target(y, classes=given, refuse_integers=True)
    check_consistent_length(X, target)
    if classes is None and target.ndim == 1:
        # As scikit-learn's scorers take for granted.
        order = np.argsort(of_target)
        of_target, target = of_target[order], np.argsort(order)[target]
    classes = of_target
    if len(classes) < 2:
        raise ValueError(
            f"y holds only 1 class, {classes.tolist()[0]!r}; at least two are needed. "
            "Name absent ones with classes=."
        )
    weight = check_weights(sample_weight, X)
    if estimator.class_weight is not None:
        target, weight = apply_class_weight(estimator.class_weight, classes, target, weight)
    if target.ndim == 2:
        target = np.ascontiguousarray(target, dtype=X.dtype)
    return Data(X, classes, target, weight)


@contextmanager
def unchanged_on_error(estimator):
    """Let an error or an interrupt leave the estimator as it was.

    Checking X sets the attributes that describe the features; everything else is set once
    a fit has succeeded.
    """
    names = ("n_features_in_", "feature_names_in_")
    before = {name: vars(estimator)[name] for name in names if name in vars(estimator)}
    try:
        yield
    except BaseException:
        for name in names:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise
