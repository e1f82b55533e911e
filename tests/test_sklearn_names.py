"""The fallbacks for names that scikit-learn may take away do what the originals do."""

import builtins
import runpy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from sklkl._core import sklearn as names

ROWS = np.array([2, 0])
ARRAY = np.arange(12.0).reshape(4, 3)


@pytest.fixture(scope="module")
def fallbacks():
    """Return the module as it is where scikit-learn has none of the names."""
    imported = builtins.__import__

    def without_private(name, globals=None, locals=None, fromlist=(), level=0):
        private = any(n.startswith("_") for n in fromlist or ())
        if name.startswith("sklearn") and (private or "callback" in name):
            raise ImportError(name)
        return imported(name, globals, locals, fromlist, level)

    builtins.__import__ = without_private
    try:
        return runpy.run_path(names.__file__)
    finally:
        builtins.__import__ = imported


@pytest.mark.parametrize(
    "X", [ARRAY, ARRAY[:, 0], csr_array(ARRAY), pd.DataFrame(ARRAY), ARRAY.tolist()], ids=type
)
def test_rows(fallbacks, X):
    def dense(rows):
        return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)

    assert fallbacks["num_samples"](X) == names.num_samples(X) == 4
    expected = dense(names.take_rows(X, ROWS))
    assert_array_equal(dense(fallbacks["take_rows"](X, ROWS)), expected)
    params = {"weight": [1.0, 2.0, 3.0, 4.0], "short": [1, 2], "option": "a"}
    found, wanted = (
        f(X, params, ROWS) for f in (fallbacks["params_of_rows"], names.params_of_rows)
    )
    assert found == wanted == {**params, "weight": [3.0, 1.0]}


def test_no_rows(fallbacks):
    for num_samples in (fallbacks["num_samples"], names.num_samples):
        with pytest.raises(TypeError):
            num_samples(np.float64(1.0))


@pytest.mark.parametrize("X", [ARRAY, pd.DataFrame(ARRAY, columns=list("abc"))], ids=type)
def test_feature_names(fallbacks, X):
    model = LogisticRegression().fit(X, [0, 1, 0, 1])
    assert_array_equal(fallbacks["feature_names"](model), names.feature_names(model))


def test_scorer(fallbacks):
    class Scorer(fallbacks["BaseScorer"]):
        def _score(self, method_caller, estimator, X, y_true, **kwargs):
            return self._sign * kwargs.get("sample_weight", 1) * self._kwargs["factor"]

    scorer = Scorer(lambda y_true, y_pred, sample_weight=None: 0, -1, {"factor": 2})
    assert scorer._accept_sample_weight()
    assert scorer(None, ARRAY, None) == -2
    assert scorer(None, ARRAY, None, sample_weight=3) == -6


def test_callbacks(fallbacks):
    class Model(fallbacks["CallbackSupportMixin"]):
        @fallbacks["with_callbacks"]
        def fit(self):
            context = self._init_callback_context(max_subtasks=1)
            task = context.subcontext(task_name="fold").call_on_fit_task_begin(estimator=self)
            with task.propagate_callback_context(self):
                return task.call_on_fit_task_end(estimator=self)

    assert Model().fit() is False
