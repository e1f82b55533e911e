"""Every name that scikit-learn does not document as public, each with a fallback.

The fallbacks serve what this library needs of them; ``tests/test_sklearn_names.py`` compares
them with the originals.
"""

from contextlib import nullcontext
from copy import copy

import numpy as np
from scipy.sparse import issparse

try:
    from sklearn.utils import _safe_indexing as take_rows
except ImportError:

    def take_rows(X, indices):
        """Return rows of an array, a data frame or a list."""
        if hasattr(X, "iloc"):
            return X.iloc[indices]
        return X[indices] if hasattr(X, "shape") else [X[i] for i in indices]


try:
    from sklearn.utils.validation import _num_samples as num_samples
except ImportError:

    def num_samples(x):
        """Return the number of rows; raise TypeError for what has none."""
        shape = x.shape if hasattr(x, "shape") else (len(x),)
        if len(shape) == 0:
            raise TypeError(f"{x!r} has no rows.")
        return shape[0]


try:
    from sklearn.utils.validation import _check_method_params as params_of_rows
except ImportError:

    def params_of_rows(X, params, indices):
        """Return metadata, of which what holds an entry for each row of X is indexed."""

        def holds_rows(value):
            listed = hasattr(value, "__len__") and not isinstance(value, str | dict)
            return (listed or issparse(value)) and num_samples(value) == num_samples(X)

        return {
            name: take_rows(value, indices) if holds_rows(value) else value
            for name, value in params.items()
        }


try:
    from sklearn.utils.validation import _check_feature_names_in as feature_names
except ImportError:

    def feature_names(estimator):
        """Return the names of the features of a fitted estimator, by default x0, x1, ..."""
        default = [f"x{j}" for j in range(estimator.n_features_in_)]
        return getattr(estimator, "feature_names_in_", np.array(default, dtype=object))


try:  # since scikit-learn 1.9
    from sklearn.utils._array_api import (
        check_same_namespace,
        get_namespace_and_device,
        move_to,
    )

    ARRAY_API = True
except ImportError:  # every array is then one of NumPy
    ARRAY_API = False

    def get_namespace_and_device(*arrays):
        """Return NumPy, that it was not dispatched to, and no device."""
        return np, False, None

    def move_to(x, *, xp, device):
        """Return an array of NumPy as it is."""
        return x

    def check_same_namespace(X, estimator, *, attribute, method):
        """Do nothing: there is one namespace."""


try:
    from sklearn.metrics._scorer import _BaseScorer as BaseScorer
except ImportError:
    import inspect

    class BaseScorer:
        """A scorer without metadata routing."""

        def __init__(self, score_func, sign, kwargs, response_method="predict"):
            self._score_func, self._sign, self._kwargs = score_func, sign, kwargs
            self._response_method = response_method

        def _accept_sample_weight(self):
            return "sample_weight" in inspect.signature(self._score_func).parameters

        def _warn_overlap(self, message, kwargs):
            """Do nothing: arguments that are passed twice are those of the call."""

        def __call__(self, estimator, X, y_true, *, sample_weight=None, **kwargs):
            """Score an estimator."""
            if sample_weight is not None:
                kwargs["sample_weight"] = sample_weight
            return self._score(None, estimator, X, y_true, **kwargs)


try:  # since scikit-learn 1.7
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:
    try:
        from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock
    except ImportError:
        VisualBlock = None  # diagrams then show no boxes inside: scikit-learn catches errors


def side_by_side(estimators):
    """Return estimators, by name, as boxes of a diagram."""
    return VisualBlock(
        "parallel",
        list(estimators.values()),
        names=[f"{name}: {type(e).__name__}" for name, e in estimators.items()],
        name_details=[str(e) for e in estimators.values()],
    )


def scorer_function(scorer):
    """Return the metric of a scorer that scikit-learn made, or None."""
    return getattr(scorer, "_score_func", None)


def scorer_with(scorer, **options):
    """Return a copy of a scorer that scikit-learn made; options that it has stay."""
    scorer = copy(scorer)
    scorer._kwargs = options | scorer._kwargs
    return scorer


try:  # public, but experimental; it exists from version 1.9 on
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    WRAPPERS = 1  # stack frames that with_callbacks puts around a method
except ImportError:  # estimators then have no set_callbacks
    WRAPPERS = 0

    class CallbackSupportMixin:
        """Stands in for scikit-learn's class."""

        def _init_callback_context(self, **kwargs):
            return NoContext()

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def has_callbacks(context):
    """Return whether the context of a task has anybody to call, None standing for none."""
    return bool(getattr(context, "_callbacks", context))


class NoContext:
    """Stands in for scikit-learn's context of a task."""

    def subcontext(self, **kwargs):
        """Return the context of a part of the task."""
        return self

    def call_on_fit_task_begin(self, **kwargs):
        """Return the context."""
        return self

    def call_on_fit_task_end(self, **kwargs):
        """Return whether to stop."""
        return False

    def propagate_callback_context(self, estimator):
        """Return a context manager that does nothing."""
        return nullcontext()
