"""The minimiser on convex functions whose minimum is known."""

import numpy as np
import pytest

from sklkl.linear_model._lbfgs import minimize


class Quadratic:
    """0.5 (W - centre)' A (W - centre) with a metric that knows nothing, or the diagonal."""

    def __init__(self, A, centre, metric="identity"):
        self.A, self.centre, self.metric = A, centre, metric
        self.n_calls = 0

    def __call__(self, W):
        self.n_calls += 1
        residual = W - self.centre
        gradient = residual @ self.A
        return 0.5 * float(np.vdot(residual, gradient)), gradient

    def solve_curvature(self, W):
        if self.metric == "identity":
            return lambda G: G.copy()
        if self.metric == "diagonal":
            return lambda G: G / np.diag(self.A)
        return lambda G: np.linalg.solve(self.A, G.T).T


class Scalar:
    """A function of one number, given with its derivative."""

    def __init__(self, value, derivative):
        self.value, self.derivative = value, derivative

    def __call__(self, W):
        return float(self.value(W[0, 0])), self.derivative(W)

    def solve_curvature(self, W):
        return lambda G: G.copy()


def spectrum(eigenvalues, seed=0):
    """Make a symmetric matrix with these eigenvalues."""
    n = len(eigenvalues)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return (Q * eigenvalues) @ Q.T


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("n_rows", [1, 3])
def test_quadratic(condition, n_rows):
    A = spectrum(np.geomspace(1.0 / condition, 1.0, 12))
    centre = np.random.default_rng(1).normal(size=(n_rows, 12))
    tol = 1e-6 / condition
    result = minimize(Quadratic(A, centre), np.zeros((n_rows, 12)), tol=tol, max_iter=2000)
    assert result.converged
    assert result.largest_gradient <= tol
    np.testing.assert_allclose(result.W, centre, atol=2e-5)
    assert result.value == pytest.approx(0.0, abs=1e-10)


def test_badly_scaled_quadratic_is_easy_in_its_metric():
    A = np.diag(np.geomspace(1e-8, 1e8, 10))
    centre = np.random.default_rng(1).normal(size=(2, 10))
    result = minimize(
        Quadratic(A, centre, "diagonal"), np.zeros((2, 10)), tol=1e-7, max_iter=50
    )
    assert result.converged
    assert result.n_iter <= 3


def test_exact_metric_takes_one_iteration():
    A = spectrum(np.geomspace(1e-3, 1.0, 8))
    centre = np.random.default_rng(1).normal(size=(2, 8))
    result = minimize(Quadratic(A, centre, "full"), np.zeros((2, 8)), tol=1e-10, max_iter=9)
    assert result.converged
    assert result.n_iter == 1


@pytest.mark.parametrize("start", [-500.0, -30.0, -1.0, 0.0, 1.0, 30.0, 500.0])
def test_logistic(start):
    """log(1 + e^w) - 0.3 w is flat far away, and least at the logit of 0.3."""
    objective = Scalar(
        lambda w: np.logaddexp(0.0, w) - 0.3 * w,
        lambda W: 0.5 * (1.0 + np.tanh(0.5 * W)) - 0.3,
    )
    result = minimize(objective, np.array([[start]]), tol=1e-12, max_iter=200)
    assert result.converged
    assert result.W[0, 0] == pytest.approx(np.log(0.3 / 0.7), abs=1e-10)


def test_infinite_values_far_away_count_as_too_far():
    def value(w):
        return w - np.log(w) if w > 0 else np.inf

    def derivative(W):
        return np.where(W > 0, 1.0 - 1.0 / np.where(W > 0, W, 1.0), np.nan)

    result = minimize(Scalar(value, derivative), np.array([[1e-4]]), tol=1e-10, max_iter=100)
    assert result.converged
    assert result.W[0, 0] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_overflow_beyond_a_wall(bad):
    """The first step lands where the value is no number, with a slope that is none either."""

    def value(w):
        return 50.0 * (w - 0.5) ** 2 if abs(w) < 2 else bad

    def derivative(W):
        return np.where(np.abs(W) < 2, 100.0 * (W - 0.5), bad)

    result = minimize(Scalar(value, derivative), np.array([[-1.5]]), tol=1e-10, max_iter=100)
    assert result.converged
    assert result.W[0, 0] == pytest.approx(0.5, abs=1e-9)


def test_start_at_the_minimum():
    objective = Quadratic(np.eye(3), np.ones((1, 3)))
    start = np.ones((1, 3))
    result = minimize(objective, start, tol=1e-12, max_iter=10)
    assert result.converged
    assert result.n_iter == 0
    assert objective.n_calls == 1
    np.testing.assert_array_equal(result.W, start)


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_stops_at_max_iter(max_iter):
    A = spectrum(np.geomspace(1e-6, 1.0, 30))
    objective = Quadratic(A, np.ones((1, 30)))
    result = minimize(objective, np.zeros((1, 30)), tol=1e-14, max_iter=max_iter)
    assert result.n_iter == max_iter
    assert not result.converged
    assert result.largest_gradient > 1e-14
    value, gradient = objective(result.W)
    assert result.value == value
    assert result.largest_gradient == np.abs(gradient).max()


def test_unreachable_tolerance_ends_without_convergence():
    """Rounding leaves no descent at some point; it must stop there and say so."""
    A = spectrum(np.geomspace(1e-3, 1.0, 10))
    objective = Quadratic(A, np.full((1, 10), 1 / 3))
    result = minimize(objective, np.zeros((1, 10)), tol=1e-200, max_iter=10_000)
    assert result.largest_gradient < 1e-12
    assert result.converged == (result.largest_gradient <= 1e-200)
    assert result.n_iter < 10_000


def test_start_is_not_modified():
    start = np.zeros((2, 4))
    start.flags.writeable = False
    minimize(Quadratic(np.eye(4), np.ones((2, 4))), start, tol=1e-8, max_iter=10)
    np.testing.assert_array_equal(start, 0.0)


def test_verbose_prints_a_line_per_iteration(capsys):
    objective = Quadratic(spectrum(np.geomspace(1e-2, 1.0, 5)), np.ones((1, 5)))
    result = minimize(objective, np.zeros((1, 5)), tol=1e-8, max_iter=100, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("iteration 0: objective ")
    assert lines[-1].startswith(f"iteration {result.n_iter}: ")
    minimize(objective, np.zeros((1, 5)), tol=1e-8, max_iter=100)
    assert capsys.readouterr().out == ""
