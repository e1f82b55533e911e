"""Rows in parts: the same sums, and the same fits, as of all rows at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Barrier

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from sklkl.linear_model import SoftLabelLogisticRegression, _objective, _rows
from sklkl.linear_model._loss import LossTerm
from sklkl.linear_model._rows import LocalRows
from tests._support.rows import ListedRows

# Sorted, unequal, empty, and one without any weight.
ENDS = [0, 1, 40, 40, 300, 310, 600]
K = 3


def listed(X, n_logits, fit_intercept, terms=(), unit=None, offset=None):
    unit = max(term.weight.max() for term in terms)
    parts = []
    for a, b in pairwise(ENDS):
        own = [replace(t, target=t.target[a:b], weight=t.weight[a:b]) for t in terms]
        parts.append(LocalRows(X[a:b], n_logits, fit_intercept, own, unit))
    return ListedRows(parts, dense=isinstance(X, np.ndarray))


def problem(n_classes=K, dtype=np.float64, sparse=False):
    rng = np.random.default_rng(0)
    n = ENDS[-1]
    X = rng.normal(5.0, 1.0, size=(n, 4))
    X[:, 3] = 7.0  # constant
    y = rng.dirichlet(np.ones(n_classes), n)
    order = y.argmax(axis=1).argsort(kind="stable")
    weight = rng.lognormal(size=n)
    weight[ENDS[4] : ENDS[5]] = 0.0
    X = X.astype(dtype)
    return (csr_array(X) if sparse else X), y[order], weight


@pytest.mark.parametrize("n_classes", [2, K])
@pytest.mark.parametrize("kind", ["dense", "float32", "sparse"])
def test_sums(kind, n_classes):
    X, y, weight = problem(
        n_classes, np.float32 if kind == "float32" else np.float64, kind == "sparse"
    )
    n_logits = 1 if n_classes == 2 else n_classes
    terms = [
        LossTerm(y.astype(X.dtype), weight),
        LossTerm(y.argmax(axis=1), weight[::-1].copy(), 0.5),
    ]
    whole, parts = (make(X, n_logits, True, terms) for make in (LocalRows, listed))
    W = np.random.default_rng(1).normal(size=whole.shape)
    rtol = 1e-4 if kind == "float32" else 1e-11
    for _ in range(2):
        for name, stats in vars(whole.stats).items():
            assert_allclose(getattr(parts.stats, name), stats, rtol=rtol)
        calls = {
            "objective": (W,),
            "curvature": (W, True, n_logits > 1),
            "class_curvature": (W, False),
            "gram": (True,),
            "largest_change": (W,),
        }
        if n_logits > 1:
            calls["hessian"] = (W,)
        for method, arguments in calls.items():
            found, expected = (getattr(r, method)(*arguments) for r in (parts, whole))
            if not isinstance(expected, tuple):
                found, expected = (found,), (expected,)
            for a, b in zip(found, expected, strict=True):
                if b is not None:
                    atol = rtol * np.abs(b).max()
                    assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=method)
        whole, parts = whole.every(7), parts.every(7)


@pytest.mark.parametrize("divergence", ["kl", "jensen_shannon"])
@pytest.mark.parametrize("kind", ["soft", "labels", "sparse", "float32", "elastic net"])
def test_fits(kind, divergence, monkeypatch):
    dtype = np.float32 if kind == "float32" else np.float64
    X, y, weight = problem(dtype=dtype, sparse=kind == "sparse")
    y = y.argmax(axis=1) if kind == "labels" else y
    model = SoftLabelLogisticRegression(
        C=0.1, divergence=divergence, tol=1e-8, l1_ratio=0.5 * (kind == "elastic net")
    )
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)
    monkeypatch.setattr(_objective, "SAMPLE_ROWS", 2)
    expected = model.fit(X, y, weight).predict_proba(X)
    with monkeypatch.context() as patch:
        patch.setattr(_rows, "rows_of", listed)
        model.fit(X, y, weight)
    rtol = 1e-5 if dtype == np.float32 else 1e-7
    assert_allclose(model.predict_proba(X), expected, rtol=rtol)


def test_first_value_that_is_not_finite(monkeypatch):
    X, y, weight = problem()
    X[450, 1] = np.nan
    monkeypatch.setattr(_rows, "rows_of", listed)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        SoftLabelLogisticRegression().fit(X, y, weight)


def test_sums_of_some_rows_do_not_wait_for_those_of_others():
    """Tasks of Dask that fit may hold all the threads that the sums of another fit need."""
    both = Barrier(2)

    class Meeting(ListedRows):
        def total(self, *arguments):
            both.wait(10)
            return super().total(*arguments)

    X, y, weight = problem()
    parts = listed(X, K, True, [LossTerm(y, weight)]).parts
    rows = [Meeting(parts, dense=True) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda rows: rows.stats, rows)
    assert first.n_samples == second.n_samples == len(X)
    assert rows[0].stats is first
