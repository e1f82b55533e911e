"""A fit without a warning is at its optimum, whatever the units of the data."""

import threading
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.special import expit, log_softmax, softmax
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from sklkl import TopK
from sklkl._optimize.solve import one_blas_thread
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import (
    SeparationWarning,
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _objective,
)
from sklkl.linear_model._rows import rows_of

ENOUGH = 1e-2  # what a relative change of p and of 1 - p may be at the default tolerance


def columns(p):
    return np.column_stack([1.0 - p, p])


def largest_error(log_proba, expected):
    """Return the largest relative error of a probability p, or of 1 - p."""
    of_others = 1.0 - np.eye(expected.shape[1])
    ratio = (np.exp(log_proba) @ of_others) / (np.exp(expected) @ of_others)
    return max(np.abs(np.expm1(log_proba - expected)).max(), np.abs(ratio - 1.0).max())


def optimum(X, y, weight, C):
    """Return the log-probabilities at the optimum, by damped Newton steps in float64.

    The features are standardised, the penalty is that of the features as they are. Of two
    classes each logit has half the coefficients, and they twice the penalty.
    """
    X, n_classes = X.astype(np.float64), y.shape[1]
    center, spread = X.mean(axis=0), X.std(axis=0)
    Z = np.column_stack([(X - center) / spread, np.ones(len(X))])
    size = Z.shape[1]
    penalty = np.append((1.0 + (n_classes == 2)) / (C * spread**2), 0.0)
    W = np.zeros((size, n_classes))

    def value(W):
        loss = -weight @ np.sum(np.where(y > 0, y * log_softmax(Z @ W, axis=1), 0), axis=1)
        return loss + 0.5 * float(penalty @ np.sum(W**2, axis=1))

    for _ in range(300):
        p = softmax(Z @ W, axis=1)
        gradient = Z.T @ (weight[:, None] * (p - y)) + penalty[:, None] * W
        rows = np.sqrt(weight)[:, None, None] * p[:, :, None] * Z[:, None, :]
        hessian = -np.tensordot(rows, rows, (0, 0)).reshape(2 * [W.size])
        for k in range(n_classes):
            block = slice(k * size, (k + 1) * size)
            hessian[block, block] += (Z * (weight * p[:, k])[:, None]).T @ Z
        hessian += np.diag(np.tile(penalty, n_classes))
        # All logits of a row may be shifted: nothing else makes the matrix singular.
        shift = np.diag(hessian).reshape(n_classes, size).mean(axis=0)
        hessian += np.kron(np.ones((n_classes, n_classes)), np.diag(shift))
        step = np.linalg.solve(hessian, -gradient.T.ravel()).reshape(n_classes, size).T
        change = np.ptp(Z @ step, axis=1).max()
        t = min(1.0, 2.0 / change)
        while value(W + t * step) > value(W) * (1 + 1e-13) and t > 1e-6:
            t /= 2
        W = W + t * step
        if change < 1e-9:
            return log_softmax(Z @ W, axis=1)
    return None


def random_problem(seed):
    """Make data of random units, offsets, rates of a class and weights."""
    rng = np.random.default_rng(seed)
    n, d, k = rng.integers(15, 150), rng.integers(1, 6), rng.integers(2, 6)
    dtype = rng.choice(["f4", "f8"])
    X = rng.standard_t(3, size=(n, d))
    X = X @ (np.eye(d) + rng.normal(size=(d, d)) * rng.integers(2))
    X /= X.std(axis=0)
    # An offset takes digits from the data themselves.
    offset = 10.0 ** rng.uniform(-1, 2 if dtype == "f4" else 6, size=d)
    X += offset * rng.integers(-1, 2, size=d)
    unit = 10.0 ** rng.uniform(-8, 8, size=d)
    X = (X * unit).astype(dtype)
    Z = (X - X.mean(axis=0, dtype="f8")) / X.std(axis=0, dtype="f8")
    logits = Z @ rng.normal(size=(d, k)) * rng.choice([0.1, 1.0, 2.0]) / np.sqrt(d)
    logits += rng.normal(size=k) + rng.normal(size=(n, k)) * rng.choice([0.0, 1.0])
    logits[:, 0] -= np.log(10.0) * rng.uniform(0, 6) * rng.integers(2)
    y = softmax(logits, axis=1)
    labels = rng.random(n) < rng.choice([0.0, 0.5, 1.0], p=[0.6, 0.2, 0.2])
    drawn = (rng.random((n, 1)) > y.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    y[labels] = np.eye(k)[drawn[labels]]
    y = y.astype(dtype).astype("f8")
    weight = rng.gamma(1.0, size=n) + 0.01
    # In units that let the penalty matter for some features; none only without labels.
    C = 10.0 ** rng.uniform(-2, 2) * np.median(unit**-2.0)
    C = np.inf if not labels.any() and rng.random() < 0.3 else C
    return X, y / y.sum(axis=1, keepdims=True), weight, C, 10.0 ** rng.uniform(-8, 8)


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 1000), marks=pytest.mark.slow)], ids=len
)
def test_every_prediction_is_that_of_the_optimum(seeds):
    worst, compared = 0.0, 0
    for seed in seeds:
        X, y, weight, C, unit = random_problem(seed)
        expected = optimum(X, y, weight, C) if (y.max(axis=0) > 0.0).all() else None
        if expected is None:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model = SoftLabelLogisticRegression(C=C / unit).fit(X, y, weight * unit)
        error = largest_error(model.predict_log_proba(X).astype("f8"), expected)
        alarms = [w for w in caught if w.category is not SeparationWarning]
        assert not alarms or error > 1e-4, f"false alarm, seed {seed}"
        if not caught:
            worst, compared = max(worst, error), compared + 1
    assert compared > 0.85 * len(seeds)
    assert worst <= ENOUGH


@pytest.mark.parametrize(("dtype", "intercept"), [("f4", -9.5), ("f8", -12.0)])
def test_rare_class(dtype, intercept):
    x = np.linspace(-2, 2, 41, dtype=dtype)[:, None]
    y = columns(expit(x[:, 0].astype("f8") + intercept))
    for params in ({}, {"solver": "proximal"}, {"l1_ratio": 1e-9, "C": 1e9}):
        model = SoftLabelLogisticRegression(**{"C": np.inf, **params}).fit(x, y)
        assert_allclose(model.predict_proba(x), y, rtol=ENOUGH)
        coefs = [model.coef_[0, 0], model.intercept_[0]]
        assert_allclose(coefs, [1, intercept], rtol=ENOUGH)


def test_rare_class_of_many_rows_and_of_a_distilled_student():
    x = np.tile(np.linspace(-2, 2, 41), 1000)[:, None]
    y = columns(expit(x[:, 0] - 9.5))
    models = [
        SoftLabelLogisticRegression().fit(x, y),
        DistilledClassifier(None).fit(x, teacher_proba=y),
        SoftLabelLogisticRegressionCV(Cs=[1.0], cv=2).fit(x, y),
        SoftLabelLogisticRegression().partial_fit(x, y),
    ]
    for model in models:
        rate = model.predict_proba(x)[:, 1].mean()
        assert rate == pytest.approx(y[:, 1].mean(), rel=ENOUGH)


@pytest.mark.parametrize("solver", ["lbfgs", "proximal"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("scale", "offset", "weight"),
    [(1e-8, 0.0, 1e-200), (1e8, 0.0, 1.0), (1.0, 1e6, 1e200)],
)
def test_units_do_not_matter(solver, n_classes, scale, offset, weight):
    """A penalty is the same beside weights and 1 / C that are scaled together."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = softmax(2 * X[:, :n_classes] + rng.normal(size=(200, n_classes)) - 3, axis=1)
    Z = X.copy()
    Z[:, 1] = (Z[:, 1] + offset) * scale
    for C, data in ((np.inf, Z), (0.1, X + offset)):
        expected = SoftLabelLogisticRegression(C=C, solver=solver).fit(X, y)
        model = SoftLabelLogisticRegression(C=C / weight, solver=solver)
        model.fit(data, y, np.full(200, weight))
        assert model.n_iter_ == expected.n_iter_
        assert_allclose(model.predict_proba(data), expected.predict_proba(X), rtol=1e-7)


@pytest.mark.parametrize(
    ("container", "params"),
    [(np.asarray, {"l1_ratio": 1.0}), (csr_array, {"solver": "proximal"}), (csr_array, {})],
)
def test_two_days_in_unix_time(container, params):
    """Beside an intercept an offset holds up coordinate descent, which sees a small step."""
    time = np.repeat([1.7e9, 1.7e9 + 86400], 100)[:, None]
    y = np.repeat([0, 1, 0, 1], [80, 20, 20, 80])
    model = SoftLabelLogisticRegression(**params).fit(container(time), y)
    proba = model.predict_proba(container(time))[[0, -1], 1]
    assert_allclose(proba, [0.2, 0.8], rtol=ENOUGH)


def test_classes_that_are_absent_from_one_of_two_cells():
    """A product of averages takes directions that only one cell knows for steep."""
    counts = [[22, 30, 11, 15, 5], [0, 26, 0, 15, 0]]
    X = np.repeat([[0.0], [1.0]], [sum(row) for row in counts], axis=0)
    y = np.concatenate([np.repeat(np.arange(5), row) for row in counts])
    model = SoftLabelLogisticRegression(C=1e3).fit(X, y)
    expected = SoftLabelLogisticRegression(C=1e3, tol=1e-9).fit(X, y)
    assert largest_error(*(m.predict_log_proba(X) for m in (model, expected))) <= ENOUGH


def test_levels_of_which_each_is_rarer_than_the_last(monkeypatch):
    """Steps that a diagonal metric makes shrink so slowly that three of them tell nothing."""
    rng = np.random.default_rng(0)
    level = np.minimum(rng.geometric(0.2, size=4000), 25) - 1
    X = np.eye(25)[level]
    logits = rng.normal(size=(25, 3))[level] + rng.normal(size=(4000, 3))
    y = np.eye(3)[np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)]
    X = np.column_stack([X, X[rng.permutation(4000)]])  # whose sums are the same
    expected = optimum(X, y, np.ones(4000), 1e4)
    assert rows_of(csr_array(X), 3, True).stats.in_pairs
    for most in (0, _objective.MAX_FULL_CURVATURE):
        monkeypatch.setattr(_objective, "MAX_FULL_CURVATURE", most)
        model = SoftLabelLogisticRegression(C=1e4).fit(csr_array(X), y)
        assert largest_error(model.predict_log_proba(csr_array(X)), expected) <= 1e-3


def test_a_step_along_a_flat_direction_is_not_remembered_for_good():
    """It changed a log-odds by 1e8 times its size, which later steps do not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    proba = softmax(2 * X @ rng.normal(size=(5, 30)), axis=1)
    top = np.argsort(-proba, axis=1)[:, :3]
    y = TopK(top, np.take_along_axis(proba, top, axis=1), 30, rest="bucket")
    assert SoftLabelLogisticRegression(tol=1e-7).fit(X, y).n_iter_ < 500


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_unix_times_raise_no_alarm(dtype):
    rng = np.random.default_rng(0)
    time = (1.7e9 + rng.uniform(0, 3e7, size=500)).astype(dtype)
    z = (time.astype("f8") - 1.715e9) / 1e7
    y = (rng.random(500) < expit(2 * z)).astype(int)
    model = SoftLabelLogisticRegression(C=np.inf).fit(time[:, None], y)
    expected = SoftLabelLogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], y)
    proba = model.predict_proba(time[:, None])
    assert_allclose(proba, expected.predict_proba(z[:, None]), rtol=ENOUGH)


@pytest.mark.parametrize(
    ("weight", "dtype", "container"),
    [(2e299, "f4", csr_array), (1e-300, "f8", np.asarray), (5e-324, "f4", np.asarray)],
)
def test_weights_of_any_size(weight, dtype, container):
    X, y = load_iris(return_X_y=True)
    X = container(X.astype(dtype))
    C = np.inf if weight < 1 else 1 / weight
    # The classes are separable; NumPy 1.25 sees 5e-324 / 5e-324 overflow, which is 1.
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SoftLabelLogisticRegression(C=C, max_iter=30).fit(X, y, np.full(150, weight))
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.loss_)
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize(("load", "tol"), [(load_wine, 1e-6), (load_iris, 1e-8)])
def test_float32_needs_hardly_more_iterations(load, tol):
    X, y = load(return_X_y=True)
    for target in (y, np.eye(3)[y]):
        narrow = SoftLabelLogisticRegression(tol=tol).fit(X.astype("f4"), target)
        wide = SoftLabelLogisticRegression(tol=tol).fit(X.astype("f4").astype("f8"), target)
        assert narrow.n_iter_ <= 3 * wide.n_iter_
        proba = narrow.predict_proba(X)
        assert_allclose(proba, wide.predict_proba(X), rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(
    ("C", "params"), [(1e-8, {"l1_ratio": 0.5}), (1e-20, {}), (1e-300, {"l1_ratio": 0.5})]
)
def test_strong_penalty_leaves_the_rates_of_classes(C, params):
    """Intercepts have none: their curvature is not to grow with it."""
    X, y = load_iris(return_X_y=True)
    y[:30] = 2
    model = SoftLabelLogisticRegression(C=C, **params).fit(X, y)
    rates = np.tile(np.bincount(y) / 150, (150, 1))
    assert_allclose(model.predict_proba(X), rates, rtol=ENOUGH)


def test_separable_classes_warn():
    X, y = load_iris(return_X_y=True)
    y = np.eye(2)[1 * (y == 0)]
    with pytest.warns(ConvergenceWarning, match="The classes are separable"):
        SoftLabelLogisticRegression(C=np.inf).fit(X, y)


def test_start_whose_predictions_overflow_is_refused():
    X, y = load_iris(return_X_y=True)
    model = SoftLabelLogisticRegression(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="The objective overflows: scale X"):
        model.fit(2e307 * X, y)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_absent_class_gets_no_probability_and_raises_no_alarm(n_classes):
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = np.zeros(100, dtype=int) if n_classes == 2 else (X[:, 0] > 0).astype(int)
    model = SoftLabelLogisticRegression(classes=range(n_classes)).fit(X, y)
    assert model.predict_proba(X)[:, -1].mean() < 1e-6


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def set_blas_threads(n):
    """Set them by a thread that ends: no other could set any while it lives."""
    thread = threading.Thread(target=threadpool_limits, args=(n, "blas"))
    thread.start()
    thread.join()


def test_fits_in_threads_restore_the_limit_of_blas():
    """Of two fits at once, the one that began first ends first."""
    set_blas_threads(2)
    before = blas_threads()
    begun, go_on = threading.Event(), threading.Event()

    def second():
        with one_blas_thread:
            begun.set()
            assert go_on.wait(10)

    with one_blas_thread:
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(10)
    assert blas_threads() == [1] * len(before)
    go_on.set()
    thread.join()
    assert blas_threads() == before
    SoftLabelLogisticRegression().fit(*load_iris(return_X_y=True))
    assert blas_threads() == before
