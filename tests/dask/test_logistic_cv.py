"""A penalty that is chosen on collections: as in memory, on the same folds."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklkl import linear_model
from sklkl.dask import SoftLabelLogisticRegressionCV
from tests.dask.test_logistic import (
    CODES,
    FEATURES,
    FRAME,
    NAMES,
    WEIGHT,
    N,
    P,
    X,
    array,
    frame,
)

FOLDS = [(np.flatnonzero(np.arange(N) % 3 != f), np.arange(f, N, 3)) for f in range(3)]
CASES = {
    "soft": ({}, (X, P)),
    "frames": ({"class_weight": "balanced"}, (FEATURES, pd.Series(NAMES), pd.Series(WEIGHT))),
    "elastic net": ({"l1_ratios": [0.0, 0.5]}, (FEATURES, FRAME)),
    "labels": ({"temperature": 2.0}, (X, P, WEIGHT, CODES, WEIGHT[::-1].copy())),
}


@pytest.mark.parametrize("case", CASES)
def test_scores(case):
    params, arguments = CASES[case]
    params = {"Cs": [1.0, 0.01], "tol": 1e-8, **params}
    expected = linear_model.SoftLabelLogisticRegressionCV(cv=FOLDS, **params).fit(*arguments)
    model = SoftLabelLogisticRegressionCV(cv=3, **params)
    model.fit(*(frame(x) if hasattr(x, "iloc") else array(x) for x in arguments))
    assert_allclose(model.scores_, expected.scores_, rtol=1e-6)
    for name in ("C_", "l1_ratio_", "coef_", "intercept_", "loss_"):
        assert_allclose(getattr(model, name), getattr(expected, name), atol=1e-6)
    assert_array_equal(model.classes_, expected.classes_)
    assert_array_equal(model.predict(arguments[0]), expected.predict(arguments[0]))
    assert model.to_local().C == model.C_


def test_refused():
    model = SoftLabelLogisticRegressionCV(cv=3)
    with pytest.raises(TypeError, match="no collection of Dask"):
        model.fit(X, P)
    with pytest.raises(ValueError, match="cv must be"):
        SoftLabelLogisticRegressionCV(cv=1).fit(array(X), array(P))
    with pytest.raises(ValueError, match="cv=3 folds need as many rows; X has 2"):
        model.fit(array(X[:2], (2,)), array(P[:2], (2,)))
    weight = pd.Series(WEIGHT, index=[*range(99), 100, 99, *range(101, N)])
    with pytest.raises(ValueError, match="row 99 is 99 in X and 100 in sample_weight"):
        model.fit(frame(FEATURES), frame(FRAME), frame(weight))
