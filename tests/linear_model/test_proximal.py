"""The elastic net: its optimality conditions, scikit-learn's SAGA, and its inner solver."""

import inspect
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.sparse import csr_array, issparse
from scipy.special import log_softmax, softmax, xlogy
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklkl._kernels._descent import descend
from sklkl.linear_model import SoftLabelLogisticRegression, _objective
from sklkl.linear_model._objective import KLObjective

LAYOUTS = {"c": np.ascontiguousarray, "fortran": np.asfortranarray, "csr": csr_array}

N_SAMPLES, N_FEATURES = 120, 8


@cache
def make_problem(n_classes, soft, seed=0):
    """Return X, of which a few features matter and a third of the entries are 0, and y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES)) * np.geomspace(0.3, 3.0, N_FEATURES)
    X[rng.random(X.shape) < 1 / 3] = 0.0
    teacher = np.zeros((N_FEATURES, n_classes))
    teacher[::3] = rng.normal(size=teacher[::3].shape)
    y = softmax(X @ teacher + rng.normal(size=(N_SAMPLES, n_classes)) + 0.3, axis=1)
    return X, y if soft else y.argmax(axis=1)


def weights_for(X):
    weight = np.random.default_rng(5).uniform(0.0, 2.0, size=X.shape[0])
    weight[::7] = 0.0
    return weight


def fit(X, y, sample_weight=None, **params):
    params = {"tol": 1e-10, "max_iter": 2000, **params}
    return SoftLabelLogisticRegression(**params).fit(X, y, sample_weight=sample_weight)


def centred(model):
    """Return intercepts without the constant that may be added to all."""
    return model.intercept_ - (model.intercept_.mean() if len(model.intercept_) > 1 else 0.0)


# -- By definition -------------------------------------------------------------


def parts(model, X, y, weight):
    """Return probabilities and targets by logit, and the weights with their sum 1."""
    X = (X.toarray() if issparse(X) else np.asarray(X)).astype(np.float64)
    coef, intercept = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    Z = X @ coef.T + intercept
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z])
    Y = np.eye(Z.shape[1])[y] if y.ndim == 1 else y
    s = np.ones(len(X)) if weight is None else weight
    return X, coef, Z, Y, s


def violations(model, X, y, weight=None):
    """Return the optimality conditions of the coefficients and of the intercepts.

    Distances of 0 to the subdifferential of the objective divided by ``C * sum(s)``.
    """
    X, coef, Z, Y, s = parts(model, X, y, weight)
    residual = s[:, None] * (softmax(Z, axis=1) - Y) / s.sum()
    if len(coef) == 1:
        residual = residual[:, 1:]
    strength = 1.0 / (model.C * s.sum())
    l1 = model.l1_ratio * strength
    gradient = residual.T @ X + (1.0 - model.l1_ratio) * strength * coef
    of_coef = np.where(
        coef == 0.0, np.maximum(np.abs(gradient) - l1, 0.0), gradient + l1 * np.sign(coef)
    )
    return of_coef, residual.sum(axis=0)


def objective_value(model, X, y, weight=None):
    """Return the objective divided by ``C * sum(s)``."""
    X, coef, Z, Y, s = parts(model, X, y, weight)
    loss = s @ (xlogy(Y, Y) - Y * log_softmax(Z, axis=1)).sum(axis=1) / s.sum()
    ridge = 0.5 * (1.0 - model.l1_ratio) * np.sum(coef**2)
    return loss + (ridge + model.l1_ratio * np.abs(coef).sum()) / (model.C * s.sum())


def assert_optimal(model, X, y, weight=None, atol=1e-9):
    of_coef, of_intercept = violations(model, X, y, weight)
    np.testing.assert_allclose(of_coef, 0.0, atol=atol)
    if model.fit_intercept:
        np.testing.assert_allclose(of_intercept, 0.0, atol=atol)
    else:
        np.testing.assert_array_equal(model.intercept_, 0.0)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_optimality_conditions(n_classes, soft, layout, fit_intercept):
    X, y = make_problem(n_classes, soft)
    weights = weights_for(X)
    X = LAYOUTS[layout](X)
    for l1_ratio in (0.1, 0.5, 1.0):
        zeros = []
        for C, weight in ((0.02, None), (0.02, weights), (0.3, None), (5.0, weights)):
            model = fit(X, y, weight, C=C, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
            assert_optimal(model, X, y, weight)
            zeros.append(np.count_nonzero(model.coef_ == 0.0))
        assert zeros[0] > zeros[-1]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 1.0])
def test_optimality_conditions_in_float32(n_classes, soft, layout, l1_ratio):
    X, y = make_problem(n_classes, soft)
    X = LAYOUTS[layout](X.astype(np.float32))
    model = fit(X, y, C=0.3, l1_ratio=l1_ratio, tol=1e-5)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    # Coefficients are rounded to float32 at the end.
    assert_optimal(model, X, y, atol=2e-5)
    double = fit(X.astype(np.float64), y, C=0.3, l1_ratio=l1_ratio)
    np.testing.assert_allclose(model.coef_, double.coef_, atol=1e-3)
    if l1_ratio == 1.0:
        np.testing.assert_array_equal(model.coef_ == 0.0, double.coef_ == 0.0)
        assert 0 < np.count_nonzero(model.coef_) < model.coef_.size


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.3, 1: 2.0}])
def test_class_weights_are_sample_weights(class_weight):
    X, y = make_problem(3, False)
    factors = (
        len(y) / (3 * np.bincount(y))
        if class_weight == "balanced"
        else np.array([0.3, 2.0, 1])
    )
    model = fit(X, y, C=0.3, l1_ratio=0.5, class_weight=class_weight)
    assert_optimal(model, X, y, factors[y])


def test_optimum_is_below_all_neighbours():
    """The conditions above are those of the right function."""
    X, y = make_problem(3, True)
    model = fit(X, y, C=0.3, l1_ratio=0.7)
    best = objective_value(model, X, y)
    rng = np.random.default_rng(0)
    coef = model.coef_
    for _ in range(50):
        model.coef_ = coef + 1e-3 * rng.normal(size=coef.shape) * (
            rng.random(coef.shape) < 0.3
        )
        assert objective_value(model, X, y) >= best


def test_loss_is_the_divergence_alone():
    X, y = make_problem(3, True)
    model = fit(X, y, C=0.3, l1_ratio=0.7)
    log_proba = model.predict_log_proba(X)
    expected = np.mean((xlogy(y, y) - y * log_proba).sum(axis=1))
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


# -- SAGA ----------------------------------------------------------------------


def saga(X, y, sample_weight=None, **params):
    if inspect.signature(LogisticRegression).parameters["penalty"].default != "deprecated":
        params["penalty"] = "elasticnet"  # before scikit-learn 1.8
    model = LogisticRegression(
        solver="saga", tol=1e-10, max_iter=200_000, random_state=0, **params
    )
    return model.fit(X, y, sample_weight=sample_weight)


def load(name):
    loader = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}[name]
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("name", ["iris", "wine", "breast cancer"])
@pytest.mark.parametrize(("C", "l1_ratio"), [(0.03, 0.5), (0.03, 0.9), (0.3, 0.3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_support_and_coefficients_as_saga(name, C, l1_ratio, weighted):
    X, y = load(name)
    weight = weights_for(X) if weighted else None
    expected = saga(X, y, weight, C=C, l1_ratio=l1_ratio)
    model = fit(X, y, weight, C=C, l1_ratio=l1_ratio)
    np.testing.assert_array_equal(model.coef_ == 0.0, expected.coef_ == 0.0)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-7)
    np.testing.assert_allclose(centred(model), centred(expected), atol=1e-7)


@pytest.mark.parametrize("C", [0.03, 0.3])
def test_lasso_as_saga_if_binary(C):
    X, y = load("breast cancer")
    expected = saga(X, y, C=C, l1_ratio=1.0)
    model = fit(X, y, C=C, l1_ratio=1.0)
    np.testing.assert_array_equal(model.coef_ == 0.0, expected.coef_ == 0.0)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_intercepts_of_classes_sum_to_zero(l1_ratio, soft):
    """As those of the smooth solver, and of SAGA: nothing else determines their sum."""
    X, y = make_problem(3, soft)
    model = fit(X + 0.3, y, C=0.5, l1_ratio=l1_ratio, solver="proximal", tol=1e-8)
    assert model.intercept_.sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("tol", [1e-9, 1e-10, 1e-11, 1e-12])
def test_converges_to_the_rounding_floor(tol):
    """Differences of norms must not drown the slope of the line search."""
    for n_classes in (2, 3):
        for soft in (False, True):
            X, y = make_problem(n_classes, soft)
            for l1_ratio in (0.1, 0.5, 1.0):
                model = fit(X, y, C=0.3, l1_ratio=l1_ratio, tol=tol)
                assert_optimal(model, X, y, atol=tol + 1e-14)


@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize("C", [0.03, 0.3])
def test_lasso_as_good_as_saga(name, C):
    """Adding a constant to a feature's coefficients may leave their norm as it is."""
    X, y = load(name)
    expected = saga(X, y, C=C, l1_ratio=1.0)
    model = fit(X, y, C=C, l1_ratio=1.0)
    assert_optimal(model, X, y)
    value = objective_value(model, X, y)
    model.coef_, model.intercept_ = expected.coef_, expected.intercept_
    assert value == pytest.approx(objective_value(model, X, y), rel=1e-12)


def test_soft_targets_as_saga_on_repeated_rows():
    X, y = make_problem(3, True)
    expected = saga(
        np.repeat(X, 3, axis=0), np.tile([0, 1, 2], len(X)), y.ravel(), C=0.2, l1_ratio=0.8
    )
    model = fit(X, y, C=0.2, l1_ratio=0.8)
    np.testing.assert_array_equal(model.coef_ == 0.0, expected.coef_ == 0.0)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-7)


# -- Limits --------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_little_l1_is_continuous_with_the_smooth_solver(n_classes, soft, C):
    X, y = make_problem(n_classes, soft)
    smooth = fit(X, y, C=C)
    distances = []
    for l1_ratio in (1e-2, 1e-4, 1e-6, 1e-9):
        model = fit(X, y, C=C, l1_ratio=l1_ratio)
        distances.append(np.max(np.abs(model.coef_ - smooth.coef_)))
    # In proportion, until the tolerance shows.
    assert distances[0] > 1e-5
    assert distances[1] == pytest.approx(distances[0] / 100, rel=0.5)
    assert distances[2] == pytest.approx(distances[1] / 100, rel=0.5, abs=1e-8)
    assert distances[3] < 1e-8


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.01, 1.0, 20.0])
def test_proximal_without_l1_is_lbfgs(n_classes, soft, layout, fit_intercept, C):
    X, y = make_problem(n_classes, soft)
    X = LAYOUTS[layout](X)
    params = {"C": C, "fit_intercept": fit_intercept}
    proximal = fit(X, y, solver="proximal", **params)
    lbfgs = fit(X, y, solver="lbfgs", **params)
    np.testing.assert_allclose(proximal.coef_, lbfgs.coef_, atol=1e-6)
    np.testing.assert_allclose(centred(proximal), centred(lbfgs), atol=1e-6)
    assert proximal.loss_ == pytest.approx(lbfgs.loss_, rel=1e-8)
    assert_optimal(proximal, X, y)


def test_proximal_without_a_penalty_is_lbfgs():
    X, y = make_problem(3, True)
    params = {"C": np.inf, "tol": 1e-9}
    proximal, lbfgs = fit(X, y, solver="proximal", **params), fit(X, y, **params)
    np.testing.assert_allclose(proximal.predict_proba(X), lbfgs.predict_proba(X), atol=1e-6)


def test_auto_is_proximal_only_with_l1():
    X, y = make_problem(3, True)
    for l1_ratio, solver in ((0.5, "proximal"), (0.0, "lbfgs")):
        auto = fit(X, y, l1_ratio=l1_ratio)
        named = fit(X, y, l1_ratio=l1_ratio, solver=solver)
        np.testing.assert_array_equal(auto.coef_, named.coef_)
        assert auto.n_iter_ == named.n_iter_
    with pytest.raises(ValueError, match=r"solver='lbfgs' is for .* got l1_ratio=0\.5"):
        fit(X, y, l1_ratio=0.5, solver="lbfgs")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_strong_penalty_leaves_the_prior(n_classes, soft, layout, l1_ratio):
    X, y = make_problem(n_classes, soft)
    weight = weights_for(X)
    model = fit(LAYOUTS[layout](X), y, weight, C=1e-4, l1_ratio=l1_ratio)
    assert (model.coef_ == 0.0).all()
    Y = np.eye(n_classes)[y] if y.ndim == 1 else y
    prior = weight @ Y / weight.sum()
    np.testing.assert_allclose(model.predict_proba(X), np.tile(prior, (len(X), 1)), atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_first_coefficient_appears_where_it_must(n_classes, l1_ratio):
    """At the prior, the largest gradient is the L1 strength below which all are zero."""
    X, y = make_problem(n_classes, True)
    residual = y.mean(axis=0) - y
    gradient = residual[:, 1:].T @ X if n_classes == 2 else residual.T @ X
    C = l1_ratio / np.max(np.abs(gradient))
    assert (fit(X, y, C=C * 0.9999, l1_ratio=l1_ratio).coef_ == 0.0).all()
    first = fit(X, y, C=C * 1.001, l1_ratio=l1_ratio)
    assert np.flatnonzero(first.coef_).tolist() == [np.argmax(np.abs(gradient))]


def test_strong_penalty_without_intercept_is_uniform():
    X, y = make_problem(3, True)
    model = fit(X, y, C=1e-4, l1_ratio=1.0, fit_intercept=False)
    assert model.n_iter_ == 0
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3, atol=1e-15)


def test_path_from_nothing_to_everything():
    X, y = make_problem(3, True)
    counts = [
        np.count_nonzero(fit(X, y, C=C, l1_ratio=0.9).coef_)
        for C in np.geomspace(1e-3, 1e3, 7)
    ]
    assert counts[0] == 0
    # One of three coefficients stays zero: the norm alone determines their sum.
    assert counts[-1] >= 2 * N_FEATURES
    assert counts == sorted(counts)


# -- Starts --------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
def test_warm_start(soft):
    X, y = make_problem(3, soft)
    model = SoftLabelLogisticRegression(
        C=0.3, l1_ratio=0.5, warm_start=True, tol=1e-8, max_iter=2000
    ).fit(X, y)
    coef, n_iter = model.coef_, model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ == 0
    np.testing.assert_array_equal(model.coef_, coef)
    model.set_params(C=0.31).fit(X, y)
    assert 0 < model.n_iter_ < n_iter
    assert_optimal(model, X, y, atol=1.1e-8)


def test_warm_start_from_the_smooth_solution_finds_the_same_zeros():
    X, y = make_problem(3, True)
    cold = fit(X, y, C=0.1, l1_ratio=0.8)
    model = fit(X, y, C=10.0, warm_start=True)
    assert model.coef_.all()
    model.set_params(C=0.1, l1_ratio=0.8).fit(X, y)
    np.testing.assert_array_equal(model.coef_ == 0.0, cold.coef_ == 0.0)
    np.testing.assert_allclose(model.coef_, cold.coef_, atol=1e-7)


def test_warm_start_continues_downhill():
    X, y = make_problem(3, True)
    model = SoftLabelLogisticRegression(
        C=5.0, l1_ratio=0.5, warm_start=True, max_iter=2, tol=1e-10
    )
    values = []
    for _ in range(4):
        with pytest.warns(ConvergenceWarning, match="No convergence in 2 iterations"):
            model.fit(X, y)
        values.append(objective_value(model, X, y))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


# -- The curvature -------------------------------------------------------------


def record_curvature(monkeypatch):
    """Return a list to which every call of curvature adds whether it was full."""
    calls = []
    plain = KLObjective.curvature

    def curvature(self, W, full):
        calls.append(full)
        return plain(self, W, full)

    monkeypatch.setattr(KLObjective, "curvature", curvature)
    return calls


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_wide_sparse_rows_use_the_diagonal_alone(monkeypatch, n_classes, l1_ratio):
    rng = np.random.default_rng(0)
    n_features = _objective.MAX_FULL_CURVATURE + 1
    X = rng.normal(size=(200, n_features)) * (rng.random((200, n_features)) < 0.02)
    X = csr_array(X)
    y = softmax(2.0 * X @ rng.normal(size=(n_features, n_classes)), axis=1)
    calls = record_curvature(monkeypatch)
    model = fit(X, y, C=0.5, l1_ratio=l1_ratio, tol=1e-7)
    assert calls
    assert not any(calls)
    assert_optimal(model, X, y, atol=1.1e-7)
    assert 0 < np.count_nonzero(model.coef_) < 0.3 * model.coef_.size


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_diagonal_and_full_curvature_give_one_result(monkeypatch, n_classes, layout):
    X, y = make_problem(n_classes, True)
    X = LAYOUTS[layout](X)
    calls = record_curvature(monkeypatch)
    full = fit(X, y, C=1.0, l1_ratio=0.5)
    assert all(calls)
    calls.clear()
    monkeypatch.setattr(_objective, "MAX_FULL_CURVATURE", 2)
    diagonal = fit(X, y, C=1.0, l1_ratio=0.5)
    assert calls
    assert not any(calls)
    np.testing.assert_array_equal(diagonal.coef_ == 0.0, full.coef_ == 0.0)
    np.testing.assert_allclose(diagonal.coef_, full.coef_, atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_without_correlation_give_the_same_result(monkeypatch, n_classes):
    X, y = make_problem(n_classes, True)
    expected = fit(X, y, C=1.0, l1_ratio=0.5)
    monkeypatch.setattr(_objective, "MAX_CLASS_CORRELATION", 1)
    np.testing.assert_allclose(fit(X, y, C=1.0, l1_ratio=0.5).coef_, expected.coef_, atol=1e-7)


# -- Degenerate columns --------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_zero_and_constant_columns_get_zeros(layout, l1_ratio, n_classes):
    X, y = make_problem(n_classes, True)
    wide = np.column_stack([np.zeros(len(X)), X, np.full(len(X), 2.5)])
    model = fit(LAYOUTS[layout](wide), y, C=2.0, l1_ratio=l1_ratio)
    assert (model.coef_[:, [0, -1]] == 0.0).all()
    assert_optimal(model, wide, y)
    if l1_ratio < 1.0:
        expected = fit(X, y, C=2.0, l1_ratio=l1_ratio)
        np.testing.assert_allclose(model.coef_[:, 1:-1], expected.coef_, atol=1e-7)
        np.testing.assert_allclose(centred(model), centred(expected), atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_duplicated_columns_share_their_coefficient(layout, n_classes):
    X, y = make_problem(n_classes, True)
    twice = LAYOUTS[layout](np.column_stack([X, X[:, 0], X[:, 3]]))
    model = fit(twice, y, C=2.0, l1_ratio=0.5)
    assert_optimal(model, twice, y)
    assert model.coef_[:, [0, 3]].any()
    np.testing.assert_allclose(model.coef_[:, [0, 3]], model.coef_[:, -2:], atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_duplicated_columns_add_up_under_the_lasso(layout):
    X, y = make_problem(2, True)
    twice = LAYOUTS[layout](np.column_stack([X, X[:, 0], X[:, 3]]))
    model = fit(twice, y, C=2.0, l1_ratio=1.0)
    alone = fit(X, y, C=2.0, l1_ratio=1.0)
    assert_optimal(model, twice, y)
    together = model.coef_[:, :N_FEATURES].copy()
    together[:, [0, 3]] += model.coef_[:, -2:]
    np.testing.assert_allclose(together, alone.coef_, atol=1e-7)
    assert (model.coef_[:, [0, 3]] * model.coef_[:, -2:] >= 0.0).all()


def test_nothing_but_zeros():
    _, y = make_problem(3, True)
    model = fit(np.zeros((len(y), 2)), y, l1_ratio=0.5)
    assert (model.coef_ == 0.0).all()
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 2)))[0], y.mean(axis=0))


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_separable_labels(l1_ratio):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    for C in (1.0, 100.0):
        model = fit(X, y, C=C, l1_ratio=l1_ratio)
        assert_optimal(model, X, y)
        assert model.score(X, y) > 0.95


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_columns_of_very_different_scales(l1_ratio):
    X, y = make_problem(3, True)
    X = X * np.geomspace(1e-3, 1e3, N_FEATURES)
    model = fit(X, y, C=5.0, l1_ratio=l1_ratio, tol=1e-10)
    assert_optimal(model, X, y, atol=1e-8)
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size


# -- The inner solver ----------------------------------------------------------


class Quadratic:
    """A random model as ``descend`` takes it, and its dense Hessian."""

    def __init__(self, seed, *, diagonal, rank, ridge=True):
        rng = np.random.default_rng(seed)
        D, K = rng.integers(1, 7), rng.integers(1, 5)
        G, P = rng.normal(size=(D, D + 2)), rng.normal(size=(K, K + 2))
        self.A = np.abs(rng.normal(size=(1, D))) + 0.1 if diagonal else G @ G.T
        self.M = P @ P.T
        self.ridge = rng.uniform(0.1, 1.0, size=D) if ridge else np.zeros(D)
        dense_A = np.diag(self.A[0]) if diagonal else self.A
        metric = np.kron(dense_A, self.M) + np.diag(np.repeat(self.ridge, K))
        Z = rng.normal(size=(D * K, rank))
        # Takes from the curvature along some directions, less than there is; adds on others.
        C = np.linalg.inv(Z.T @ np.linalg.solve(metric, Z) + np.eye(rank))
        C *= np.where(rng.random() < 0.5, 1.0, -1.0)
        CZ = Z @ C
        self.hessian = metric - Z @ CZ.T
        self.metric = metric
        self.Z, self.CZ = Z.reshape(D, K, rank), CZ.reshape(D, K, rank)
        self.H = np.diag(self.hessian).reshape(D, K).copy()
        self.gradient = rng.normal(size=(D, K))
        self.l1 = rng.uniform(0.0, 1.0, size=D)
        self.l1[rng.random(D) < 0.2] = 0.0
        self.start = rng.normal(size=(D, K)) * (rng.random((D, K)) < 0.7)
        self.rank = rank

    def descend(self, entries=None, tol=1e-13, max_sweeps=100_000):
        """Return the minimiser, the gradient without the low rank, and that part."""
        if entries is None:
            entries = np.nonzero(np.ones_like(self.start))
        W, R, u = self.start.copy(), self.gradient.copy(), np.zeros(self.rank)
        descend(
            W,
            R,
            self.A,
            self.M,
            self.ridge,
            self.Z,
            self.CZ,
            u,
            self.H,
            self.l1,
            *entries,
            tol,
            max_sweeps,
        )
        return W, R, u

    def gradient_at(self, W):
        step = (W - self.start).ravel()
        return self.gradient + (self.hessian @ step).reshape(W.shape)

    def value(self, W):
        step = (W - self.start).ravel()
        smooth = self.gradient.ravel() @ step + 0.5 * step @ self.hessian @ step
        return smooth + np.sum(self.l1[:, None] * np.abs(W))

    def violation(self, W):
        l1 = self.l1[:, None]
        gradient = self.gradient_at(W)
        return np.where(
            W == 0.0,
            np.maximum(np.abs(gradient) - l1, 0.0),
            np.abs(gradient + l1 * np.sign(W)),
        )

    def slow_sweep(self, W, entries):
        """One sweep of coordinate descent with the dense Hessian."""
        for f, k in zip(*entries, strict=True):
            slope, h = self.gradient_at(W)[f, k], self.H[f, k]
            target = W[f, k] - slope / h
            W[f, k] = np.sign(target) * max(abs(target) - self.l1[f] / h, 0.0)

    def split(self):
        """Return the minimiser found by SciPy for positive and negative parts apart."""
        size, shape = self.start.size, self.start.shape

        def function(v):
            W = (v[:size] - v[size:]).reshape(shape)
            step = (W - self.start).ravel()
            gradient = self.gradient_at(W).ravel()
            l1 = np.repeat(self.l1, shape[1])
            value = self.gradient.ravel() @ step + 0.5 * step @ self.hessian @ step
            value += l1 @ v[:size] + l1 @ v[size:]
            return value, np.concatenate([gradient + l1, l1 - gradient])

        result = scipy_minimize(
            function,
            np.zeros(2 * size),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * (2 * size),
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 20_000, "maxfun": 100_000},
        )
        return (result.x[:size] - result.x[size:]).reshape(shape)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 4])
def test_descend_meets_the_optimality_conditions(diagonal, rank):
    for seed in range(30):
        quadratic = Quadratic(seed, diagonal=diagonal, rank=rank)
        W, _, _ = quadratic.descend()
        np.testing.assert_allclose(quadratic.violation(W), 0.0, atol=1e-9)
        assert quadratic.value(W) <= quadratic.value(quadratic.start)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 4])
@pytest.mark.parametrize("seed", [1, 4])
def test_descend_finds_the_minimum_of_split_variables(diagonal, rank, seed):
    quadratic = Quadratic(seed, diagonal=diagonal, rank=rank)
    W, _, _ = quadratic.descend()
    expected = quadratic.split()
    assert quadratic.value(W) <= quadratic.value(expected) + 1e-9
    np.testing.assert_allclose(W, expected, atol=1e-4)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("rank", [0, 3])
def test_descend_sweeps_as_the_dense_hessian(diagonal, rank):
    for seed in range(10):
        quadratic = Quadratic(seed, diagonal=diagonal, rank=rank)
        entries = np.nonzero(np.random.default_rng(seed).random(quadratic.start.shape) < 0.6)
        expected = quadratic.start.copy()
        for n_sweeps in range(4):
            W, R, u = quadratic.descend(entries, tol=0.0, max_sweeps=n_sweeps)
            np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-10)
            # What it keeps up to date adds up to the gradient.
            np.testing.assert_allclose(
                R - quadratic.Z @ u, quadratic.gradient_at(W), rtol=1e-8, atol=1e-8
            )
            quadratic.slow_sweep(expected, entries)


def test_descend_leaves_other_entries_alone():
    quadratic = Quadratic(3, diagonal=False, rank=2)
    chosen = np.random.default_rng(0).random(quadratic.start.shape) < 0.5
    assert chosen.any()
    assert not chosen.all()
    W, _, _ = quadratic.descend(np.nonzero(chosen))
    np.testing.assert_array_equal(W[~chosen], quadratic.start[~chosen])
    assert np.max(quadratic.violation(W)[chosen]) < 1e-9
    assert np.max(quadratic.violation(W)[~chosen]) > 1e-3


def test_descend_of_no_entries_does_nothing():
    quadratic = Quadratic(0, diagonal=False, rank=0)
    W, R, _ = quadratic.descend((np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)))
    np.testing.assert_array_equal(W, quadratic.start)
    np.testing.assert_array_equal(R, quadratic.gradient)


def test_descend_stops_at_its_tolerance():
    values = []
    for tol in (10.0, 1e-1, 1e-3, 1e-9):
        quadratic = Quadratic(5, diagonal=False, rank=0)
        W, _, _ = quadratic.descend(tol=tol)
        values.append(np.max(quadratic.violation(W)))
    assert values == sorted(values, reverse=True)
    assert values[0] > 1e-3
    assert values[-1] < 1e-7
