"""Separable classes: found where they are, named, and nowhere else."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from sklkl.linear_model import (
    SeparationWarning,
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _separation,
)
from sklkl.linear_model._rows import LocalRows

N = 120
rng = np.random.default_rng(3)
X = rng.normal(size=(N, 4))
NOISY = (X[:, 0] + rng.logistic(size=N) > 0).astype(int)
THREE = (X[:, :3] + rng.gumbel(size=(N, 3))).argmax(axis=1)
RARE = rng.random(N) < 0.08
WITH_RARE = np.column_stack([X[:, :3], RARE])


def fit(X, y, **params):
    """Return a model fitted without a penalty, and the warning, None if there was none."""
    sample = params.pop("given", {})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SoftLabelLogisticRegression(**{"C": np.inf, **params}).fit(X, y, **sample)
    caught = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert len(caught) <= 1
    return model, caught[0] if caught else None


# -- against the programme of Konis for all rows -----------------------------------------


def separable(X, possible):
    """Return whether there is a direction, by the sum of margins in a box."""
    n_classes = possible.shape[1]
    A, A_equal = [], []
    for x, own in zip(X, possible, strict=True):
        first = np.flatnonzero(own)[:1]
        for k in first:
            for j in range(n_classes):
                row = np.zeros((X.shape[1], n_classes))
                row[:, k] += x
                row[:, j] -= x
                if j != k:
                    (A_equal if own[j] else A).append(row.ravel())
    A, A_equal = np.array(A), np.array(A_equal) if A_equal else None
    if not len(A):
        return False
    zero = None if A_equal is None else np.zeros(len(A_equal))
    found = linprog(-A.sum(axis=0), -A, np.zeros(len(A)), A_equal, zero, bounds=(-1, 1))
    return -found.fun > 1e-6


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("intercept", [True, False])
def test_verdicts_are_those_of_the_whole_programme(n_classes, intercept):
    verdicts = []
    for seed in range(30):
        rng = np.random.default_rng([seed, n_classes, intercept])
        n, d = int(rng.integers(4, 25 if intercept else 12)), int(rng.integers(1, 4))
        X = (
            rng.integers(-2, 3, size=(n, d)).astype(float)
            if seed % 2
            else rng.normal(size=(n, d))
        )
        X = X * 10.0 ** rng.integers(-3, 4, size=d) + (100.0 if intercept else 0.0)
        possible = np.eye(n_classes, dtype=bool)[rng.integers(n_classes, size=n)]
        possible |= rng.random(possible.shape) < 0.05
        possible[rng.random(n) < 0.1] = False
        present = possible.any(axis=0)
        design = np.hstack([X, np.ones((n, 1))]) if intercept else X
        W = rng.normal(size=(design.shape[1], n_classes))
        halves = [design[: n // 2], design[n // 2 :]]
        found = _separation.find(lambda parts=halves: iter(parts), possible, d, intercept, W)
        scaled = X - 100.0 if intercept else X
        scaled = scaled / np.abs(scaled).max(axis=0)
        scaled = np.hstack([scaled, np.ones((n, 1))]) if intercept else scaled
        wanted = present.sum() > 1 and separable(scaled, possible[:, present])
        assert (found is not None) == wanted, seed
        verdicts.append(wanted)
    assert 4 < sum(verdicts) < 26


def test_rows_that_were_left_out_at_first_are_looked_at():
    X = np.random.default_rng(0).normal(size=(400, 2))
    y = X.sum(axis=1) > 0
    W = np.array([[1.0, -1.0]] * 2)  # by which what binds comes last
    for broken in (False, True):
        y[X.sum(axis=1).argmax()] = not broken
        found = _separation.find(lambda: [X], np.column_stack([~y, y]), 2, False, W)
        assert (found is None) == broken


# -- messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (WITH_RARE, np.where(RARE, 1, NOISY), ("by 'x3' no row of class 1 lies below",)),
        (
            csr_array(WITH_RARE),
            np.where(RARE, 0, NOISY),
            ("by 'x3' no row of class 0", "below"),
        ),
        (
            pd.DataFrame(WITH_RARE, columns=["age", "dose", "weight", "region_9"]),
            np.array(["ham", "eggs", "spam"])[np.where(RARE, 2, THREE)],
            ("by 'region_9' no row of class 'spam' lies below one of another class. Without",),
        ),
        (
            WITH_RARE,
            np.where(RARE & (THREE == 1), 2, THREE),
            ("by 'x3' no row of class 1 lies above one of another class",),
        ),
        (X, X[:, 1] > 0.2, ("by 'x1' no row of class False lies above",)),
        (
            np.column_stack([X, -X[:, 1]]).astype("f4"),
            X[:, 1] > 0.2,
            ("by 'x4' no row of class False lies below", "by 'x1' no row of class False"),
        ),
        (
            np.column_stack([X, 2.0 * X[:, 1]]),
            X[:, 1] > 0.2,
            ("by 'x1', 'x4', each alone, no row of class False lies above",),
        ),
        (X, X[:, 1] + X[:, 2] > 0.2, ("separable: False, True by", "together. Without")),
        (
            np.column_stack([X, X[:, 1] + RARE]),
            np.where(RARE, 2, THREE),
            ("separable: 2 by", "'x1'", "together"),
        ),
    ],
)
def test_what_separates_is_named(X, y, message):
    model, warning = fit(X, y)
    assert warning.category is SeparationWarning
    text = str(warning.message)
    assert "no optimum" in text
    assert all(part in text for part in message), text
    assert model.predict_proba(X).max() > 0.99


def test_soft_targets_with_zeros():
    y = np.eye(3)[THREE] * 0.7 + 0.1
    y[RARE] = [0.0, 0.5, 0.5]
    _, warning = fit(WITH_RARE, y)
    assert warning.category is SeparationWarning
    assert "by 'x3' no row of class 0 lies above" in str(warning.message)
    y[RARE] = [0.02, 0.49, 0.49]
    assert fit(WITH_RARE, y)[1] is None


def test_labels_beside_and_rows_without_weight():
    y = np.where(RARE, 1, NOISY)
    other = {"labels": NOISY, "label_weight": RARE.astype(float)}
    assert fit(WITH_RARE, y)[1] is not None
    assert fit(WITH_RARE, np.eye(2)[y], given=other)[1] is None
    y = np.where(np.cumsum(RARE) == 3, 0, y)  # a row, or some, that break it
    assert fit(WITH_RARE, y)[1] is None
    counted = np.where(RARE & (y == 0), 0.0, 1.0)
    assert fit(WITH_RARE, y, given={"sample_weight": counted})[1] is not None


def test_a_penalty_whose_strength_overflows_is_none():
    path = SoftLabelLogisticRegressionCV(Cs=[1e300], cv=3, tol=1e-8)
    path.fit(X, NOISY, sample_weight=1e200)  # in silence
    none = SoftLabelLogisticRegression(C=np.inf, tol=1e-8).fit(X, NOISY)
    assert_allclose(path.coef_, none.coef_, rtol=1e-6)


def test_a_weak_penalty():
    y = np.where(RARE, 1, NOISY)
    _, warning = fit(WITH_RARE, y, C=1e9)
    assert warning.category is SeparationWarning
    assert "The penalty is so weak that it alone" in str(warning.message)


# -- no alarms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y"),
    [(X, NOISY), (X, THREE), (100.0 * X, THREE), (X, np.eye(2)[NOISY] * 0.998 + 0.001)],
)
def test_classes_that_overlap(X, y):
    assert fit(X, y)[1] is None


@pytest.mark.parametrize("far", [1e11, 1e13, 1e200])
def test_a_far_row_hides_no_overlap(far):
    far_X = X.copy()
    far_X[np.argmax(NOISY), 0] = far
    _, warning = fit(far_X, NOISY, max_iter=50)
    assert warning is None or warning.category is ConvergenceWarning


def test_far_log_odds_alone_are_no_separation():
    x = np.linspace(-60.0, 60.0, 400)[:, None]
    y = (x[:, 0] + np.tile([0.0, 0.4, -0.4, 0.2], 100) > 0).astype(int)
    y[198:202] = [1, 0, 1, 0]
    model, warning = fit(x, y)
    assert np.abs(model.decision_function(x)).max() > 10.0
    assert warning is None


def test_a_penalty_costs_nothing(monkeypatch):
    def unused(*args):
        raise AssertionError("separation is looked for")

    monkeypatch.setattr(LocalRows, "separation", unused)
    for C in (1.0, 1e5):
        assert fit(X, X[:, 1] > 0.2, C=C)[1] is None
    assert fit(X, NOISY)[1] is None  # nor where all log-odds are small


def test_an_absent_class_is_no_separation():
    assert fit(X, THREE, classes=[0, 1, 2, 3])[1] is None


def test_a_path_warns():
    y = np.where(RARE, 1, NOISY)
    people = pd.DataFrame(WITH_RARE, columns=["age", "dose", "weight", "region_9"])
    path = SoftLabelLogisticRegressionCV(Cs=[np.inf], cv=2)
    with pytest.warns(SeparationWarning) as caught:
        path.fit(people, y)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 3  # of two folds, and of the final fit
    assert all("by 'region_9' no row of class 1 lies below" in text for text in texts)
