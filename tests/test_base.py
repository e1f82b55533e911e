"""Tests of the score that all classifiers share."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator

from sklkl.distillation import PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import d2_kl_score

X, CODES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
MODEL = SoftLabelLogisticRegression().fit(X, NAMES[CODES])
SOFT = 0.5 * np.eye(3)[CODES] + 0.5 * MODEL.predict_proba(X)[::-1]


def test_soft_targets_in_frames():
    """Columns are matched to classes_, rows refused if they are in another order."""
    expected = d2_kl_score(SOFT, MODEL.predict_proba(X))
    named = pd.DataFrame(SOFT, columns=NAMES)
    for y in (SOFT, pd.DataFrame(SOFT), named, named[NAMES[::-1]]):
        assert MODEL.score(X, y) == pytest.approx(expected, rel=1e-13)
    with pytest.raises(ValueError, match="have different labels: row 0 is 149"):
        MODEL.score(pd.DataFrame(X), named.set_axis(np.arange(150)[::-1]))


def test_labels():
    weight = np.linspace(0.5, 2.0, 150)
    hit = MODEL.predict(X) == NAMES[CODES]
    assert MODEL.score(X, NAMES[CODES]) == hit.mean()
    score = MODEL.score(X, NAMES[CODES], sample_weight=1e299 * weight)
    assert score == pytest.approx(np.average(hit, weights=weight), rel=1e-13)


def test_what_is_no_target():
    with pytest.raises(ValueError, match=r"y holds probabilities.*np\.column_stack"):
        MODEL.score(X, SOFT[:, 1])
    with pytest.raises(ValueError, match="y must be an array: its rows differ in length"):
        MODEL.score(X, [[0.5, 0.5], [1.0]])
    with pytest.raises(ValueError, match="samples: y has 149, predict_proba has 150"):
        MODEL.score(X, SOFT[:-1])
    with pytest.raises(TypeError, match="sample_weight must hold real numbers"):
        MODEL.score(X, SOFT, sample_weight=["a"] * 150)


@pytest.mark.parametrize("argument", ["y", "sample_weight"])
def test_names_of_rows_are_matched(argument):
    rows = [f"r{i}" for i in range(150)]
    given = {"y": pd.Series(NAMES[CODES], rows), "sample_weight": pd.Series(1.0, rows)}
    given[argument] = given[argument].iloc[::-1]
    pool = PooledClassifier([FrozenEstimator(MODEL)]).fit(X)
    for model in (MODEL, pool):
        with pytest.raises(ValueError, match=f"rows of X and {argument} have different"):
            model.score(pd.DataFrame(X, rows), **given)
