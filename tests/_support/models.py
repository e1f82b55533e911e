"""Classifiers that say what they are told, or keep what they were given."""

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.naive_bayes import GaussianNB

from sklkl.linear_model import SoftLabelLogisticRegression


def routing(enabled=True):
    """Return a context with metadata routing."""
    return sklearn.config_context(enable_metadata_routing=enabled)


def exact(**params):
    """Return a logistic regression that converges to many digits."""
    return SoftLabelLogisticRegression(**{"tol": 1e-10, "max_iter": 10_000, **params})


def tempered(proba, temperature):
    """Return probabilities at another temperature."""
    powers = np.power(proba, 1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def taught(model):
    """Return what a ``Recorder`` as the student was taught, a row for each sample."""
    return model.student_.sample_weight_.reshape(-1, len(model.classes_))


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what its ``fit`` was given."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y, sample_weight=None, group=None):
        self.X_, self.y_, self.sample_weight_, self.group_ = X, y, sample_weight, group
        inner = GaussianNB() if self.inner is None else clone(self.inner)
        self.inner_ = inner.fit(X, y, sample_weight=sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)

    def predict(self, X):
        return self.inner_.predict(X)


class Says(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are ``says(X)``.

    Its classes are 0 to n - 1 unless they are named; ``fit`` does nothing.
    """

    def __init__(self, says, classes=3):
        self.says = says
        self.classes = classes

    @property
    def classes_(self):
        return (
            np.arange(self.classes) if np.ndim(self.classes) == 0 else np.array(self.classes)
        )

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return self.says(X)


class Table(Says):
    """A fitted classifier that predicts row ``X[i, 0]`` of a table."""

    def __init__(self, proba, classes=None):
        self.proba = proba
        self.classes = classes

    @property
    def classes_(self):
        n_classes = np.shape(self.proba)[1]
        return np.arange(n_classes) if self.classes is None else np.array(self.classes)

    def predict_proba(self, X):
        return np.asarray(self.proba)[np.asarray(X)[:, 0].astype(int)]


class Altered(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are ``change`` of those of another; counts its fits.

    It has no ``decision_function`` and no ``predict_log_proba``.
    """

    n_fits = 0

    def __init__(self, inner=None, change=np.asarray):
        self.inner = inner
        self.change = change

    def fit(self, X, y, sample_weight=None):
        type(self).n_fits += 1
        inner = GaussianNB() if self.inner is None else clone(self.inner)
        self.inner_ = inner.fit(X, y, sample_weight=sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.change(self.inner_.predict_proba(X))
