"""Fits that go to the optimum of a sample first end where all others end, and sooner."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from sklkl.linear_model import SoftLabelLogisticRegression, _objective
from sklkl.linear_model._loss import LossTerm
from sklkl.linear_model._rows import LocalRows, rows_of

N, D, K = 6000, 4, 3


@pytest.fixture
def small_passes(monkeypatch):
    """Let data so small that tests are fast have a sample."""
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)


@pytest.fixture
def passes(monkeypatch):
    """Return a list that gets the number of rows of every evaluation."""
    counts, evaluate = [], LocalRows.objective

    def counted(self, W):
        counts.append(self.X.shape[0])
        return evaluate(self, W)

    monkeypatch.setattr(LocalRows, "objective", counted)
    return counts


def problem(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D))
    logits = X @ rng.normal(size=(D, K)) + rng.gumbel(size=(N, K)) * 0.5
    y = np.exp(logits)
    return X, y / y.sum(axis=1, keepdims=True)


def cases():
    X, y = problem()
    labels = y.argmax(axis=1)
    order = np.lexsort((X[:, 0], labels))
    rare = X.copy()
    rare[:, 1] = 0.0
    rare[31 * np.arange(5), 1] = 1.0  # in every sample far more often than elsewhere
    drift = np.linspace(0.0, 9.0, N)[:, None]
    turns = np.where(np.arange(N) % 7 == 0, 0, labels)
    weight = np.random.default_rng(1).lognormal(0.0, 1.0, N)
    yield "soft", X, y, None
    yield "labels", X, labels, None
    yield "sorted", X[order], labels[order], None
    yield "rare feature", rare, labels, None
    yield "drift", X + drift, labels, None
    yield "turns", X, turns, None
    yield "weights", X, y, weight
    yield "weight of a few rows", X, y, np.where(np.arange(N) < 60, 1.0, 1e-6)
    yield "two classes", X, y[:, :2] / y[:, :2].sum(axis=1, keepdims=True), None
    yield "sparse", csr_array(np.where(X > 0.5, X, 0.0)), labels, None
    yield "float32", X.astype(np.float32), labels, None


@pytest.mark.parametrize("case", cases(), ids=lambda case: case[0])
def test_the_optimum_is_that_of_all_rows(case, small_passes):
    _, X, y, weight = case
    found = SoftLabelLogisticRegression().fit(X, y, sample_weight=weight)
    exact = SoftLabelLogisticRegression(tol=1e-8).fit(X.astype(float), y, sample_weight=weight)
    differences = found.predict_log_proba(X) - exact.predict_log_proba(X)
    assert np.abs(differences).max() < 0.01


@pytest.mark.parametrize("soft", [True, False])
def test_all_rows_are_passed_over_more_rarely(soft, passes, monkeypatch):
    X, y = problem()
    y = y if soft else y.argmax(axis=1)
    SoftLabelLogisticRegression().fit(X, y)
    before = passes.count(N)
    passes.clear()
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)
    SoftLabelLogisticRegression().fit(X, y)
    assert passes.count(N) <= 0.75 * before


def objective(X, target, weight=None, **options):
    term = LossTerm(target, np.ones(len(X)) if weight is None else weight)
    rows = rows_of(X, K, True, [replace(term, **options)])
    return _objective.KLObjective(rows, C=2.0)


def test_a_sample_is_the_same_function_of_evenly_spaced_rows(small_passes):
    X, y = problem()
    whole = objective(X, y)
    W = np.random.default_rng(2).normal(size=whole.shape)
    stride = round(N / len(whole.sample.rows.X))
    same = objective(X[::stride], y[::stride])
    same.set_penalty(2.0 * len(X) / len(X[::stride]), 0.0)
    assert 7 <= stride <= 61
    for found, expected in zip(whole.sample(W), same(W), strict=True):
        assert_allclose(found, expected, rtol=1e-12)
    whole.set_penalty(1e-3, 0.0)
    assert whole.sample(W)[0] > same(W)[0]


def test_where_no_sample_is_like_all_rows(small_passes):
    X, y = problem()
    labels = y.argmax(axis=1)
    alternating = np.arange(N) % 2  # class 2 in a single row: samples lack it
    alternating[1] = 2
    assert objective(X, labels).sample is not None
    assert objective(X, alternating).sample is None
    assert objective(X, y, np.where(np.arange(N) < 60, 1.0, 1e-6)).sample is None
    assert objective(X, y, divergence="reverse_kl").sample is None
    assert objective(np.hstack([X] * 20), y).sample is None
    assert objective(X[:500], y[:500]).sample is None


def test_small_data_have_none():
    X, y = problem()
    assert objective(X, y).sample is None
