"""A penalty that is chosen on collections: as in memory, on the same folds."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import get_scorer

from sklkl import linear_model
from sklkl.dask import SoftLabelLogisticRegressionCV
from sklkl.metrics import make_divergence_scorer
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
    "scorer": ({"scoring": make_divergence_scorer("d2_kl")}, (X, P, WEIGHT)),
    "name of a scorer": ({"scoring": "neg_hellinger_loss"}, (FEATURES, pd.Series(NAMES))),
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
    x, y, weight, *_ = [*arguments, None]
    score = expected.score(x, y, sample_weight=weight)
    rows = [frame(x) if hasattr(x, "iloc") else array(x) for x in arguments[:3]]
    assert model.score(*rows) == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, pd.Series])
def test_given_folds(kind):
    """Of unequal sizes, with rows that are never left out, and unlike those in turns."""
    numbers = np.random.default_rng(3).choice([-1, 0, 2, 7], N, p=[0.1, 0.2, 0.3, 0.4])
    folds = [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in (0, 2, 7)]
    params = {"Cs": [1.0, 0.01], "tol": 1e-8}
    expected = linear_model.SoftLabelLogisticRegressionCV(cv=folds, **params).fit(X, P)
    rows = [frame(x) if kind is pd.Series else array(np.asarray(x)) for x in (FEATURES, FRAME)]
    own = frame(pd.Series(numbers)) if kind is pd.Series else array(numbers)
    model = SoftLabelLogisticRegressionCV(**params).fit(*rows, folds=own)
    assert_allclose(model.scores_, expected.scores_, rtol=1e-6)
    assert_allclose(model.coef_, expected.coef_, atol=1e-6)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.zeros(N, dtype=int), "at least two folds"),
        (np.arange(N) % 2 - 1, "at least two folds"),
        (np.arange(N) % 2.0, "must hold an integer for each row"),
        (np.arange(N - 1) % 2, "inconsistent numbers of samples"),
        ((np.arange(N) < 50).astype(int), "is zero for every sample"),
        (FRAME.iloc[:, :1], "got 2 dimensions"),
        (pd.Series([0, 1, None] + [0] * (N - 3), dtype="Int64"), "folds"),
    ],
)
def test_bad_folds_are_refused(folds, message):
    if isinstance(folds, np.ndarray):
        rows, folds = (array(X), array(P), array(WEIGHT)), array(folds, (len(folds),))
    else:
        rows, folds = map(frame, (FEATURES, FRAME, pd.Series(WEIGHT))), frame(folds)
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegressionCV(Cs=1).fit(*rows, folds=folds)


@pytest.mark.parametrize("soft", [False, True])
def test_folds_that_keep_a_class(soft):
    """The penalty would be chosen by rows of a class that was never learned."""
    codes, mixed = np.arange(N) % 3, np.r_[2, 0, 1, np.arange(3, N) % 3]
    weight = (np.arange(N) >= 3) + 0.0
    y, mixed = (np.eye(3)[own] if soft else own for own in (codes, mixed))
    model = SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=3)
    for rows in ((X, y), (X, mixed, weight)):
        with pytest.raises(ValueError, match=r"class (\d) are in fold \1; .* folds="):
            model.fit(*map(array, rows))
    folds = np.where(np.arange(N) < 9, -1, codes)
    model.fit(array(X), array(y), folds=array(folds))
    assert model.scores_.shape == (3, 1, 2)


def test_refused():
    model = SoftLabelLogisticRegressionCV(cv=3)
    with pytest.raises(TypeError, match="no collection of Dask"):
        model.fit(X, P)
    with pytest.raises(TypeError, match="does not score collections"):
        SoftLabelLogisticRegressionCV(scoring=get_scorer("accuracy")).fit(array(X), array(P))
    with pytest.raises(ValueError, match="accuracy"):
        SoftLabelLogisticRegressionCV(scoring="accuracy").fit(array(X), array(P))
    with pytest.raises(ValueError, match="cv must be"):
        SoftLabelLogisticRegressionCV(cv=1).fit(array(X), array(P))
    with pytest.raises(ValueError, match="cv=3 folds need as many rows; X has 2"):
        model.fit(array(X[:2], (2,)), array(P[:2], (2,)))
    weight = pd.Series(WEIGHT, index=[*range(99), 100, 99, *range(101, N)])
    with pytest.raises(ValueError, match="row 99 is 99 in X and 100 in sample_weight"):
        model.fit(frame(FEATURES), frame(FRAME), frame(weight))
