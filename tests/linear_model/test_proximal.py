"""Optimality conditions of both solvers, and the elastic net: SAGA, limits, odd columns."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from scipy.special import log_softmax, softmax, xlogy
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._objective import MAX_FULL_CURVATURE
from tests._support import problems

N_FEATURES = 8


def make_problem(n_classes):
    """Return X, of which a third are zeros, and the problem."""
    problem = problems.make_problem(n_classes, 120, N_FEATURES)
    X = np.where(problem.X > -0.4, problem.X, 0.0) * np.geomspace(0.3, 3.0, N_FEATURES)
    return X, problem


def soft_data(n_classes=3):
    X, problem = make_problem(n_classes)
    return X, problem.soft


def fit(X, y, sample_weight=None, **params):
    params = {"tol": 1e-10, "max_iter": 2000, **params}
    return SoftLabelLogisticRegression(**params).fit(X, y, sample_weight=sample_weight)


def centred(model):
    """Return intercepts without the constant that may be added to all."""
    return model.intercept_ - (model.intercept_.mean() if len(model.intercept_) > 1 else 0.0)


def parts(model, X, y, weight):
    """Return probabilities and targets by logit, and the weights."""
    X = (X.toarray() if issparse(X) else np.asarray(X)).astype(np.float64)
    coef, intercept = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    Z = X @ coef.T + intercept
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z])
    Y = np.eye(Z.shape[1])[y] if y.ndim == 1 else y
    return X, coef, Z, Y, np.ones(len(X)) if weight is None else weight


def assert_optimal(model, X, y, weight=None, atol=1e-9):
    """Compare 0 with the subdifferential of the objective divided by ``C * sum(s)``."""
    X, coef, Z, Y, s = parts(model, X, y, weight)
    residual = s[:, None] * (softmax(Z, axis=1) - Y) / s.sum()
    residual = residual[:, -len(coef) :]
    strength = 1.0 / (model.C * s.sum())
    l1 = model.l1_ratio * strength
    gradient = residual.T @ X + (1.0 - model.l1_ratio) * strength * coef
    at_zero = np.maximum(np.abs(gradient) - l1, 0.0)
    violation = np.where(coef == 0.0, at_zero, gradient + l1 * np.sign(coef))
    assert_allclose(violation, 0.0, atol=atol)
    if model.fit_intercept:
        assert_allclose(residual.sum(axis=0), 0.0, atol=atol)
    else:
        assert_array_equal(model.intercept_, 0.0)


def objective_value(model, X, y, weight=None):
    """Return the objective divided by ``C * sum(s)``."""
    X, coef, Z, Y, s = parts(model, X, y, weight)
    loss = s @ (xlogy(Y, Y) - Y * log_softmax(Z, axis=1)).sum(axis=1) / s.sum()
    ridge = 0.5 * (1.0 - model.l1_ratio) * np.sum(coef**2)
    return loss + (ridge + model.l1_ratio * np.abs(coef).sum()) / (model.C * s.sum())


@st.composite
def models_and_data(draw):
    """Draw the sizes and kinds; the numbers come from a seed."""
    n_samples, n_features = draw(st.integers(2, 40)), draw(st.integers(1, 6))
    n_classes = draw(st.integers(2, 5))
    soft, weighted, scaled = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    make = draw(st.sampled_from([np.asarray, np.asfortranarray, csr_array]))
    l1_ratio = draw(st.sampled_from([0.0, 0.0, 0.05, 0.5, 0.95, 1.0]))
    model = SoftLabelLogisticRegression(
        C=10.0 ** draw(st.integers(-3, 2 if l1_ratio else 3)),
        l1_ratio=l1_ratio,
        fit_intercept=draw(st.booleans()),
        classes=range(n_classes),
        max_iter=5000,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_samples, n_features))
    X[rng.random(X.shape) < 0.2] = 0.0
    if scaled:
        X *= 10.0 ** rng.uniform(-2.0, 2.0, size=n_features)
    y = rng.integers(n_classes, size=n_samples)
    if soft:
        Y = softmax(rng.choice([0.5, 3.0]) * rng.normal(size=(n_samples, n_classes)), axis=1)
        Y[:: rng.integers(2, 9)] = np.eye(n_classes)[y[0]]
        y = Y
    weight = rng.uniform(0.0, 3.0, size=n_samples) if weighted else None
    if weighted:
        weight[1:][rng.random(n_samples - 1) < 0.2] = 0.0
    return model, make(X), y, weight


def check_optimality(drawn):
    model, X, y, weight = drawn
    size = max(1.0, np.abs(X).max())
    # A class without any weight has no optimal intercept: the gradient approaches 0.
    s = np.ones(len(y)) if weight is None else weight
    Y = np.eye(len(model.classes))[y] if y.ndim == 1 else y
    absent = not (s @ Y > 0.0).all()
    tol, atol = (1e-9, 1e-8) if model.l1_ratio == 0.0 else (3e-5, 1e-4)
    model.set_params(tol=tol).fit(X, y, weight)
    assert_optimal(model, X, y, weight, atol=(1e-3 if absent else atol) * size)


@pytest.mark.parametrize("n_examples", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_optimality_conditions_of_random_problems(n_examples):
    options = {"deadline": None, "derandomize": True, "database": None}
    settings(max_examples=n_examples, **options)(given(models_and_data())(check_optimality))()


@pytest.mark.parametrize(
    ("n_classes", "kind", "make", "fit_intercept", "l1_ratio", "C"),
    [
        (2, "soft", csr_array, True, 0.1, 5.0),
        (2, "hard", np.asfortranarray, False, 1.0, 0.3),
        (3, "soft", np.asarray, False, 0.5, 5.0),
        (3, "hard", csr_array, True, 1.0, 0.3),
    ],
)
def test_optimality_conditions(n_classes, kind, make, fit_intercept, l1_ratio, C):
    X, problem = make_problem(n_classes)
    data = make(X), problem.target(kind), problem.weight
    model = fit(*data, C=C, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
    assert_optimal(model, *data)


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_optimality_conditions_in_float32(n_classes, make):
    X, y = soft_data(n_classes)
    X = make(X.astype(np.float32))
    model = fit(X, y, C=0.3, l1_ratio=1.0, tol=1e-5)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    # Coefficients are rounded to float32 at the end.
    assert_optimal(model, X, y, atol=2e-5)
    double = fit(X.astype(np.float64), y, C=0.3, l1_ratio=1.0)
    assert_allclose(model.coef_, double.coef_, atol=1e-3)
    assert_array_equal(model.coef_ == 0.0, double.coef_ == 0.0)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size


def test_optimum_is_below_all_neighbours():
    """The conditions above are those of the right function."""
    X, y = soft_data()
    model = fit(X, y, C=0.3, l1_ratio=0.7)
    best = objective_value(model, X, y)
    rng, coef = np.random.default_rng(0), model.coef_
    for _ in range(50):
        chosen = rng.random(coef.shape) < 0.3
        model.coef_ = coef + 1e-3 * rng.normal(size=coef.shape) * chosen
        assert objective_value(model, X, y) >= best
    model.coef_ = coef
    kl = np.mean((xlogy(y, y) - y * model.predict_log_proba(X)).sum(axis=1))
    assert model.loss_ == pytest.approx(kl, rel=1e-12)  # the divergence alone


@pytest.mark.parametrize("l1_ratio", [0.1, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_converges_to_the_rounding_floor(n_classes, l1_ratio):
    """Differences of norms must not drown the slope of the line search."""
    X, problem = make_problem(n_classes)
    for kind, tol in (("soft", 1e-12), ("hard", 1e-11)):
        y = problem.target(kind)
        model = fit(X, y, C=0.3, l1_ratio=l1_ratio, tol=tol)
        assert_optimal(model, X, y, atol=tol + 1e-14)


def saga(X, y, sample_weight=None, **params):
    if inspect.signature(LogisticRegression).parameters["penalty"].default != "deprecated":
        params["penalty"] = "elasticnet"  # before scikit-learn 1.8
    params |= {"tol": 1e-10, "max_iter": 200_000, "random_state": 0}
    return LogisticRegression(solver="saga", **params).fit(X, y, sample_weight)


def assert_as_saga(model, expected):
    assert_array_equal(model.coef_ == 0.0, expected.coef_ == 0.0)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size
    assert_allclose(model.coef_, expected.coef_, atol=1e-7)
    assert_allclose(centred(model), centred(expected), atol=1e-7)


@pytest.mark.parametrize(
    ("load", "C", "l1_ratio", "weighted"),
    [
        *((load_iris, 0.3, 0.3, True), (load_wine, 0.03, 0.5, False)),
        *((load_wine, 0.3, 0.9, True), (load_breast_cancer, 0.03, 1.0, False)),
    ],
)
def test_support_and_coefficients_as_saga(load, C, l1_ratio, weighted):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weight = np.random.default_rng(5).uniform(0.0, 2.0, size=len(X)) if weighted else None
    params = {"C": C, "l1_ratio": l1_ratio}
    assert_as_saga(fit(X, y, weight, **params), saga(X, y, weight, **params))


def test_soft_targets_as_saga_on_repeated_rows():
    X, y = soft_data()
    repeated = np.repeat(X, 3, axis=0), np.tile([0, 1, 2], len(X)), y.ravel()
    expected = saga(*repeated, C=0.2, l1_ratio=0.8)
    assert_as_saga(fit(X, y, C=0.2, l1_ratio=0.8), expected)


@pytest.mark.parametrize(("n_classes", "C"), [(2, 1.0), (3, np.inf)])
def test_proximal_without_l1_is_lbfgs(n_classes, C):
    X, y = soft_data(n_classes)
    proximal, lbfgs = (fit(X, y, C=C, solver=s, tol=1e-9) for s in ("proximal", "lbfgs"))
    assert_allclose(proximal.predict_proba(X), lbfgs.predict_proba(X), atol=1e-6)
    assert proximal.loss_ == pytest.approx(lbfgs.loss_, rel=1e-8)
    # Nothing else determines the sum of the intercepts of classes.
    assert n_classes == 2 or proximal.intercept_.sum() == pytest.approx(0.0, abs=1e-12)


def test_auto_is_proximal_only_with_l1():
    X, y = soft_data()
    for l1_ratio, solver in ((0.5, "proximal"), (0.0, "lbfgs")):
        auto, named = (fit(X, y, l1_ratio=l1_ratio, solver=s) for s in ("auto", solver))
        assert_array_equal(auto.coef_, named.coef_)
        assert auto.n_iter_ == named.n_iter_


@pytest.mark.parametrize(("n_classes", "make"), [(2, csr_array), (3, np.asarray)])
def test_strong_penalty_leaves_the_prior(n_classes, make):
    X, problem = make_problem(n_classes)
    model = fit(make(X), problem.soft, problem.weight, C=1e-4, l1_ratio=0.5)
    assert (model.coef_ == 0.0).all()
    prior = problem.weight @ problem.soft / problem.weight.sum()
    assert_allclose(model.predict_proba(X), np.tile(prior, (len(X), 1)), atol=1e-9)
    model.set_params(fit_intercept=False).fit(X, problem.soft)
    assert model.n_iter_ == 0
    assert_allclose(model.predict_proba(X), 1 / n_classes, atol=1e-15)


@pytest.mark.parametrize(("n_classes", "l1_ratio"), [(2, 1.0), (3, 0.3)])
def test_first_coefficient_appears_where_it_must(n_classes, l1_ratio):
    """At the prior, the largest gradient is the L1 strength below which all are zero."""
    X, y = soft_data(n_classes)
    residual = y.mean(axis=0) - y
    gradient = residual[:, 1:].T @ X if n_classes == 2 else residual.T @ X
    C = l1_ratio / np.max(np.abs(gradient))
    assert (fit(X, y, C=C * 0.9999, l1_ratio=l1_ratio).coef_ == 0.0).all()
    first = fit(X, y, C=C * 1.001, l1_ratio=l1_ratio)
    assert np.flatnonzero(first.coef_).tolist() == [np.argmax(np.abs(gradient))]


def test_warm_start():
    X, y = soft_data()
    params = {"C": 0.3, "l1_ratio": 0.5, "warm_start": True}
    model = fit(X, y, **params, tol=1e-8)
    coef, n_iter = model.coef_, model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ == 0
    assert_array_equal(model.coef_, coef)
    model.set_params(C=0.31).fit(X, y)
    assert 0 < model.n_iter_ < n_iter
    assert_optimal(model, X, y, atol=1.1e-8)


def test_warm_start_from_the_smooth_solution_finds_the_same_zeros():
    X, y = soft_data()
    cold = fit(X, y, C=0.1, l1_ratio=0.8)
    model = fit(X, y, C=10.0, warm_start=True)
    assert model.coef_.all()
    model.set_params(C=0.1, l1_ratio=0.8).fit(X, y)
    assert_array_equal(model.coef_ == 0.0, cold.coef_ == 0.0)
    assert_allclose(model.coef_, cold.coef_, atol=1e-7)


@pytest.mark.parametrize(("n_classes", "l1_ratio"), [(2, 1.0), (3, 0.3)])
def test_wide_sparse_rows(n_classes, l1_ratio):
    """Of more columns than the curvature is evaluated in full for."""
    rng = np.random.default_rng(0)
    n_features = MAX_FULL_CURVATURE + 1
    X = csr_array(rng.normal(size=(60, n_features)) * (rng.random((60, n_features)) < 0.02))
    y = softmax(2.0 * X @ rng.normal(size=(n_features, n_classes)), axis=1)
    model = fit(X, y, C=0.5, l1_ratio=l1_ratio, tol=1e-7)
    assert_optimal(model, X, y, atol=1.1e-7)
    assert 0 < np.count_nonzero(model.coef_) < 0.3 * model.coef_.size


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_degenerate_columns(make, n_classes):
    """Zero and constant ones get zeros, duplicates share their coefficient."""
    X, y = soft_data(n_classes)
    wide = np.column_stack([np.zeros(len(X)), X, np.full(len(X), 2.5)])
    model, expected = (fit(make(x), y, C=2.0, l1_ratio=0.5) for x in (wide, X))
    assert (model.coef_[:, [0, -1]] == 0.0).all()
    assert_allclose(model.coef_[:, 1:-1], expected.coef_, atol=1e-7)
    assert_allclose(centred(model), centred(expected), atol=1e-7)
    twice = make(np.column_stack([X, X[:, 0], X[:, 3]]))
    model = fit(twice, y, C=2.0, l1_ratio=0.5)
    assert_optimal(model, twice, y)
    assert model.coef_[:, [0, 3]].any()
    assert_allclose(model.coef_[:, [0, 3]], model.coef_[:, -2:], atol=1e-7)
    if n_classes == 2:
        # Under the lasso they add up.
        model, alone = (fit(x, y, C=2.0, l1_ratio=1.0) for x in (twice, X))
        assert_optimal(model, twice, y)
        together = model.coef_[:, :N_FEATURES].copy()
        together[:, [0, 3]] += model.coef_[:, -2:]
        assert_allclose(together, alone.coef_, atol=1e-7)
        assert (model.coef_[:, [0, 3]] * model.coef_[:, -2:] >= 0.0).all()


def test_separable_labels_and_columns_of_very_different_scales():
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    assert_optimal(fit(X, y, C=100.0, l1_ratio=1.0), X, y)
    X, y = soft_data(2)
    X = X * np.geomspace(1e-3, 1e3, N_FEATURES)
    model = fit(X, y, C=5.0, l1_ratio=0.5)
    assert_optimal(model, X, y, atol=1e-8)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size


def attributes(X, y, **params):
    model = SoftLabelLogisticRegression(tol=1e-4, **params).fit(X, y)
    assert model.n_iter_ >= 3
    log_proba = model.predict_log_proba(X)
    return model.coef_, model.intercept_, model.n_iter_, model.loss_, log_proba


@pytest.mark.parametrize(
    ("n_classes", "soft", "make", "shape", "params"),
    [
        (3, True, np.asarray, (1500, 24), {"l1_ratio": 0.5}),
        (2, True, csr_array, (1500, 24), {}),
        (3, False, np.float32, (1500, 24), {"class_weight": "balanced"}),
        # Sums by several threads, the diagonal of the curvature alone.
        (3, True, csr_array, (300, 2100), {"C": 0.03}),
    ],
)
def test_same_bits(n_classes, soft, make, shape, params):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) * (rng.random(shape) < (0.05 if shape[1] > 1000 else 0.5))
    y = softmax(X[:, :n_classes] + rng.normal(size=(shape[0], n_classes)), axis=1)
    X, y = make(X), y if soft else y.argmax(axis=1)
    results = []
    for n_threads in (1, 2, 2):
        with threadpool_limits(n_threads):
            results.append(attributes(X, y, **{"C": 0.01, **params}))
    for result in results[1:]:
        for got, want in zip(result, results[0], strict=True):
            assert_array_equal(got, want)
