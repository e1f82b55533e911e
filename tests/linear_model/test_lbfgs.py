"""The minimiser on convex functions whose minimum is known."""

from zlib import crc32

import numpy as np
import pytest

from sklkl._optimize.lbfgs import minimize
from sklkl._optimize.objective import DIAGONAL, FULL, Objective


class Function(Objective):
    """A function of coefficients that change log-odds as they are."""

    def largest_change(self, direction):
        return float(np.abs(direction).max())


class Quadratic(Function):
    """0.5 (W - centre)' A (W - centre), with a metric that knows nothing unless told."""

    def __init__(self, A, centre, *, diagonal=None, full=None, full_cost=np.inf):
        n = len(A)
        self.A, self.centre = A, centre
        given = {DIAGONAL: diagonal, FULL: full}
        self.inverse = {k: np.eye(n) if A is None else A for k, A in given.items()}
        self.full_cost = full_cost
        self.n_calls = 0
        self.asked_for = []  # how well, and where

    def __call__(self, W):
        self.n_calls += 1
        residual = W - self.centre
        gradient = self.A @ residual
        return 0.5 * float(np.vdot(residual, gradient)), gradient

    def metric(self, W, level):
        assert W.shape == self.centre.shape
        self.asked_for.append((level, W.copy()))
        return lambda G: self.inverse[level] @ G


class Scalar(Function):
    """A function of one number that gives its value and its derivative."""

    def __init__(self, function):
        self.function = function
        self.n_calls = 0

    def __call__(self, W):
        self.n_calls += 1
        value, derivative = self.function(W[0, 0])
        return float(value), np.full_like(W, derivative)

    def metric(self, W, level):
        return lambda G: G.copy()


def solve(objective, start=None, *, tol=1e-10, max_iter=9, **options):
    if start is None:
        start = np.zeros_like(objective.centre)
    return minimize(objective, start, tol=tol, max_iter=max_iter, **options)


def quadratic(condition, n=8, n_columns=2, factor=None, **options):
    """Return a quadratic, optionally with a multiple of the exact metric."""
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    A = (Q * np.geomspace(1.0 / condition, 1.0, n)) @ Q.T
    centre = np.random.default_rng(1).normal(size=(n, n_columns))
    if factor is not None:
        options = {"full": factor * np.linalg.inv(A), "full_cost": 1.0, **options}
    return Quadratic(A, centre, **options)


# With eigenvalues fewer than the corrections that are remembered.
@pytest.mark.parametrize(("condition", "n_columns"), [(1.0, 1), (1e4, 3), (1e6, 1)])
def test_quadratic(condition, n_columns):
    objective = quadratic(condition, 6, n_columns)
    result = solve(objective, tol=1e-6 / condition, max_iter=2000)
    assert result.converged
    assert not result.stopped
    assert result.left <= 1e-6 / condition
    np.testing.assert_allclose(result.W, objective.centre, atol=2e-5)
    assert result.value == pytest.approx(0.0, abs=1e-10)


def test_badly_scaled_quadratic_is_easy_in_its_metric():
    scales = np.geomspace(1e-8, 1e8, 10)
    centre = np.random.default_rng(1).normal(size=(10, 2))
    result = solve(Quadratic(np.diag(scales), centre, diagonal=np.diag(1 / scales)), tol=1e-7)
    assert result.converged
    assert result.n_iter <= 3


@pytest.mark.parametrize(
    ("factor", "most"), [(1.0, 1), (1e-12, 5), (1e-4, 5), (1e4, 5), (1e12, 5)]
)
def test_scale_of_the_metric_hardly_matters(factor, most):
    """The line search makes the first step long or short enough; then the scale is known."""
    result = solve(quadratic(1e3, factor=factor))
    assert result.converged
    assert result.n_iter <= most


def test_steps_are_hardly_searched_for():
    objective = quadratic(1e3, full=1e-4 * np.eye(8), full_cost=1.0)
    result = solve(objective, max_iter=500)
    assert result.converged
    assert objective.n_calls <= 1.5 * result.n_iter + 10


def solve_slow_quadratic(**metric):
    """Return a result of many iterations, and the numbers of those with a new metric."""
    objective, iteration_of = quadratic(1e6, 40, 1, **metric), {}

    def note(n_iter, W, *_):
        iteration_of.setdefault(W.tobytes(), n_iter)

    result = solve(objective, tol=1e-7, max_iter=400, callback=note)
    assert result.n_iter > 50
    return result, [(iteration_of[W.tobytes()], level) for level, W in objective.asked_for]


def test_cheap_full_metric_is_used_from_the_start_and_renewed_ever_more_rarely():
    result, new = solve_slow_quadratic(full_cost=1.0)
    assert all(level == FULL for _, level in new)
    iterations = np.array([n_iter for n_iter, _ in new])
    assert iterations[0] == 0
    assert iterations[1] <= 10
    assert len(iterations) >= 3
    assert (np.diff(iterations, 2) > 0).all()
    assert len(iterations) <= 3 + np.log2(result.n_iter)


@pytest.mark.parametrize("cost", [25.0, np.inf])
def test_full_metric_waits_for_as_many_iterations_as_it_costs(cost):
    _, new = solve_slow_quadratic(full_cost=cost)
    assert new[0] == (0, DIAGONAL)
    at_full = [n_iter for n_iter, level in new if level == FULL]
    assert bool(at_full) == (cost < np.inf)
    if at_full:
        assert 25 <= at_full[0] <= 50
        assert np.diff(at_full).min() >= 25


def test_exact_full_metric_ends_it_even_if_dear():
    result = solve(quadratic(1e8, 60, 1, factor=1.0, full_cost=20.0), tol=1e-9, max_iter=300)
    assert result.converged
    assert 20 < result.n_iter <= 50


def logistic(w):
    """log(1 + e^w) - 0.3 w is flat far away, and least at the logit of 0.3."""
    return np.logaddexp(0.0, w) - 0.3 * w, 0.5 * (1.0 + np.tanh(0.5 * w)) - 0.3


def barrier(w):
    return (w - np.log(w), 1.0 - 1.0 / w) if w > 0 else (np.inf, np.nan)


def walls_of(bad):
    """Make a function whose value and slope are no numbers far from its minimum."""
    return lambda w: (50.0 * (w - 0.5) ** 2, 100.0 * (w - 0.5)) if abs(w) < 2 else (bad, bad)


@pytest.mark.parametrize(
    ("function", "start", "minimum"),
    [
        *((logistic, start, np.log(0.3 / 0.7)) for start in (-500.0, -30.0, 0.0, 1.0, 500.0)),
        (barrier, 1e-4, 1.0),
        (walls_of(np.inf), -1.5, 0.5),
        (walls_of(np.nan), -1.5, 0.5),
    ],
)
def test_one_dimension(function, start, minimum):
    """Where the value is no number, the step was too long."""
    result = minimize(Scalar(function), np.array([[start]]), tol=1e-12, max_iter=200)
    assert result.converged
    assert result.W[0, 0] == pytest.approx(minimum, abs=1e-9)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("what", ["value", "gradient", "both"])
def test_start_that_is_not_finite_ends_at_once(bad, what):
    """The caller sees it by the value, or that there is no convergence."""
    value = 1.0 if what == "gradient" else bad
    gradient = 1.0 if what == "value" else bad
    objective = Scalar(lambda w: (value, gradient))
    result = minimize(objective, np.ones((1, 1)), tol=1e-10, max_iter=100)
    assert result.n_iter == 0
    assert not result.converged
    assert objective.n_calls == 1 or what == "gradient"


@pytest.mark.parametrize("n", [0, 1, 7])
def test_stops_at_max_iter_or_where_the_callback_says(n):
    objective = quadratic(1e6, 30, 1)
    at_limit = solve(objective, tol=1e-14, max_iter=n)
    told = solve(objective, tol=1e-14, max_iter=100, callback=lambda n_iter, *_: n_iter == n)
    for result in (at_limit, told):
        assert result.n_iter == n
        assert not result.converged
        assert result.stopped == (result is told)
        assert result.value == objective(result.W)[0]
    np.testing.assert_array_equal(told.W, at_limit.W)


def test_unreachable_tolerance_ends_where_rounding_leaves_no_descent():
    objective, seen = quadratic(1e3, 10, 1), []
    options = {"callback": lambda n, *_: seen.append(n)}
    result = solve(objective, tol=1e-200, max_iter=10_000, **options)
    np.testing.assert_allclose(result.W, objective.centre, rtol=1e-9)
    assert result.n_iter < 10_000
    # Also where no step was found an iteration is reported once.
    assert seen == list(range(result.n_iter + 1))


def test_steps_may_become_so_small_that_their_squares_underflow():
    objective = quadratic(1e3, 10, 1)
    objective.centre[:] = 0.0
    result = solve(objective, np.ones((10, 1)), tol=1e-250, max_iter=10_000)
    assert np.isfinite(result.W).all()
    assert np.abs(result.W).max() < 1e-150


def test_settled_value_ends_it():
    objective = quadratic(1e3)
    start = solve(objective, tol=1e-14, max_iter=5)
    objective.settled = start.value
    result = solve(objective, start.W, tol=1e-14)
    assert result.converged
    assert result.n_iter == 0


@pytest.mark.parametrize("noise", [1e-7, 1e-3])
def test_what_rounding_is_in_the_way_of_is_found_in_float64(noise):
    """Be it that no step is found or that steps do not become smaller."""

    class Rough(Quadratic):
        narrow = True

        def __call__(self, W):
            value, gradient = super().__call__(W)
            if self.narrow:
                rng = np.random.default_rng(crc32(W.tobytes()))
                value = 1.0 + np.float32(value)
                gradient = gradient + noise * rng.normal(size=W.shape)
            return float(value), gradient

        def widen(self):
            self.narrow, was = False, self.narrow
            return was

    plain = quadratic(1e3)
    objective = Rough(plain.A, plain.centre)
    result = solve(objective, tol=1e-9, max_iter=1000)
    assert result.converged
    assert not objective.narrow
    np.testing.assert_allclose(result.W, plain.centre, atol=1e-5)


def test_callback_sees_every_iteration():
    objective, seen = quadratic(1e2, 5, 1), []
    start = np.zeros((5, 1))
    start.flags.writeable = False
    result = solve(objective, start, max_iter=100, callback=lambda *of: seen.append(of))
    assert result.converged
    assert [n_iter for n_iter, *_ in seen] == list(range(result.n_iter + 1))
    np.testing.assert_array_equal(seen[0][1], start)
    np.testing.assert_array_equal(seen[-1][1], result.W)
    # Its arrays are its own: later iterations do not change them.
    for _, W, value, largest in seen:
        expected_value, gradient = objective(W)
        assert (value, largest) == (expected_value, np.abs(gradient).max())
