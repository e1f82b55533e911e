"""Random problems against SciPy's optimiser, and the same bits every time."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from sklkl.linear_model import SoftLabelLogisticRegression

LAYOUTS = {"c": np.ascontiguousarray, "fortran": np.asfortranarray, "csr": csr_array}


@dataclass
class Problem:
    """The objective divided by ``C * sum(weight)``, its gradient and Hessian, densely."""

    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray
    C: float
    fit_intercept: bool

    def __post_init__(self):
        self.share = self.weight / self.weight.sum()
        self.features = self.X
        if self.fit_intercept:
            self.features = np.column_stack([self.X, np.ones(len(self.X))])
        self.n_logits = 1 if self.Y.shape[1] == 2 else self.Y.shape[1]
        self.shape = (self.features.shape[1], self.n_logits)
        ridge = np.full(self.shape, 1.0 / (self.C * self.weight.sum()))
        ridge[self.X.shape[1] :] = 0.0
        self.ridge = ridge.ravel()

    def logits(self, w):
        Z = self.features @ w.reshape(self.shape)
        return np.column_stack([np.zeros(len(Z)), Z]) if self.n_logits == 1 else Z

    def value(self, w):
        loss = -self.share @ (self.Y * log_softmax(self.logits(w), axis=1)).sum(axis=1)
        return loss + 0.5 * self.ridge @ w**2

    def gradient(self, w):
        residual = self.share[:, None] * (softmax(self.logits(w), axis=1) - self.Y)
        gradient = self.features.T @ residual[:, -self.n_logits :]
        return gradient.ravel() + self.ridge * w

    def hessian(self, w):
        P = softmax(self.logits(w), axis=1)[:, -self.n_logits :]
        D, K = self.shape
        blocks = P[:, :, None] * (np.eye(K) - P[:, None, :])
        squares = self.features[:, :, None] * self.features[:, None, :]
        weighted = self.share[:, None] * squares.reshape(-1, D * D)
        hessian = (weighted.T @ blocks.reshape(-1, K * K)).reshape(D, D, K, K)
        return hessian.swapaxes(1, 2).reshape(D * K, D * K) + np.diag(self.ridge)

    def coefficients(self, model):
        W = model.coef_.T
        if self.fit_intercept:
            W = np.vstack([W, model.intercept_])
        return W.astype(np.float64).ravel()

    def minimum(self):
        """Return what SciPy's trust region finds, after a few steps of Newton's method."""
        size = self.ridge.size
        result = minimize(
            self.value,
            np.zeros(size),
            jac=self.gradient,
            hess=self.hessian,
            method="trust-ncg",
            options={"gtol": 1e-7, "maxiter": 500},
        )
        w, value = result.x, result.fun
        for _ in range(3):
            step = np.linalg.lstsq(self.hessian(w), self.gradient(w), rcond=1e-12)[0]
            if (polished := self.value(w - step)) < value:
                w, value = w - step, polished
        return w, value


@st.composite
def problems(draw):
    """Draw the sizes and kinds; the numbers come from a seed."""
    n_samples = draw(st.integers(2, 40))
    n_features = draw(st.integers(1, 6))
    n_classes = draw(st.integers(2, 5))
    soft = draw(st.booleans())
    weighted = draw(st.booleans())
    scaled = draw(st.booleans())
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    C = 10.0 ** draw(st.integers(-3, 3))
    fit_intercept = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_samples, n_features))
    X[rng.random(X.shape) < 0.2] = 0.0
    if scaled:
        X *= 10.0 ** rng.uniform(-2.0, 2.0, size=n_features)
    if soft:
        Y = softmax(rng.choice([0.5, 3.0]) * rng.normal(size=(n_samples, n_classes)), axis=1)
        Y[:: rng.integers(2, 9)] = np.eye(n_classes)[rng.integers(n_classes)]
        y = Y
    else:
        y = rng.integers(n_classes, size=n_samples)
        Y = np.eye(n_classes)[y]
    weight = np.ones(n_samples)
    if weighted:
        weight = rng.uniform(0.0, 3.0, size=n_samples)
        weight[1:][rng.random(n_samples - 1) < 0.2] = 0.0
    return Problem(X, Y, weight, C, fit_intercept), y, layout, weighted


def check_minimum(drawn):
    problem, y, layout, weighted = drawn
    model = SoftLabelLogisticRegression(
        C=problem.C,
        fit_intercept=problem.fit_intercept,
        classes=range(problem.Y.shape[1]),
        tol=1e-9,
    )
    model.fit(LAYOUTS[layout](problem.X), y, problem.weight if weighted else None)
    w = problem.coefficients(model)
    expected, minimum = problem.minimum()
    # A class without any weight has no optimal intercept: values approach 0 like gradients.
    assert problem.value(w) <= minimum + 2e-6
    if (problem.weight @ problem.Y > 0.0).all():
        assert problem.value(w) <= minimum + 1e-8 * max(minimum, 1.0)
    curvature = np.linalg.eigvalsh(problem.hessian(expected))
    if curvature[0] > 1e-4:
        np.testing.assert_allclose(w, expected, atol=1e-4, rtol=0)
        distance = np.linalg.norm(problem.gradient(w) - problem.gradient(expected))
        assert np.linalg.norm(w - expected) <= 2.0 * distance / curvature[0] + 1e-9


def check_elastic_net(drawn, l1_ratio):
    problem, y, layout, weighted = drawn
    model = SoftLabelLogisticRegression(
        C=problem.C,
        l1_ratio=l1_ratio,
        fit_intercept=problem.fit_intercept,
        classes=range(problem.Y.shape[1]),
        tol=1e-4,
        max_iter=5000,
    )
    model.fit(LAYOUTS[layout](problem.X), y, problem.weight if weighted else None)
    w = problem.coefficients(model)
    # ridge is 1 / (C * sum(weight)), and 0 for intercepts.
    gradient = problem.gradient(w) - l1_ratio * problem.ridge * w
    l1 = l1_ratio * problem.ridge
    violation = np.where(
        w == 0.0, np.maximum(np.abs(gradient) - l1, 0.0), np.abs(gradient + l1 * np.sign(w))
    )
    assert np.max(violation) <= 1e-4 * max(1.0, np.abs(problem.X).max())


@pytest.mark.parametrize("n_examples", [25, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("check", "drawn"),
    [
        (check_minimum, [problems()]),
        (check_elastic_net, [problems(), st.sampled_from([0.05, 0.5, 0.95, 1.0])]),
    ],
)
def test_random_problems(check, drawn, n_examples):
    effort = settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    effort(given(*drawn)(check))()


# The same bits twice, and with any number of threads


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
            np.testing.assert_array_equal(got, want)
