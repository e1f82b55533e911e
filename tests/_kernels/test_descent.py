"""Coordinate descent on a quadratic model against its optimality conditions."""

import itertools

import numpy as np
import pytest

from sklkl._kernels._descent import descend


class Quadratic:
    """A random model as ``descend`` takes it, and its dense Hessian."""

    def __init__(self, seed, *, diagonal, rank):
        rng = np.random.default_rng(seed)
        D, K = rng.integers(1, 7), rng.integers(1, 5)
        G, P = rng.normal(size=(D, D + 2)), rng.normal(size=(K, K + 2))
        self.A = np.abs(rng.normal(size=(1, D))) + 0.1 if diagonal else G @ G.T
        self.M = P @ P.T
        self.ridge = rng.uniform(0.1, 1.0, size=D)
        dense_A = np.diag(self.A[0]) if diagonal else self.A
        metric = np.kron(dense_A, self.M) + np.diag(np.repeat(self.ridge, K))
        Z = rng.normal(size=(D * K, rank))
        # Takes from the curvature along some directions, less than there is; adds on others.
        C = np.linalg.inv(Z.T @ np.linalg.solve(metric, Z) + np.eye(rank))
        C *= np.where(rng.random() < 0.5, 1.0, -1.0)
        self.hessian = metric - Z @ (Z @ C).T
        self.Z, self.CZ = Z.reshape(D, K, rank), (Z @ C).reshape(D, K, rank)
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
        model = (self.A, self.M, self.ridge, self.Z, self.CZ, u, self.H, self.l1)
        descend(W, R, *model, *entries, tol, max_sweeps)
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
        at_zero = np.maximum(np.abs(gradient) - l1, 0.0)
        return np.where(W == 0.0, at_zero, np.abs(gradient + l1 * np.sign(W)))

    def slow_sweep(self, W, entries):
        """One sweep of coordinate descent with the dense Hessian."""
        for f, k in zip(*entries, strict=True):
            slope, h = self.gradient_at(W)[f, k], self.H[f, k]
            target = W[f, k] - slope / h
            W[f, k] = np.sign(target) * max(abs(target) - self.l1[f] / h, 0.0)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 4])
def test_optimality_conditions(diagonal, rank):
    rng = np.random.default_rng(0)
    for seed in range(20):
        quadratic = Quadratic(seed, diagonal=diagonal, rank=rank)
        W, _, _ = quadratic.descend()
        np.testing.assert_allclose(quadratic.violation(W), 0.0, atol=1e-9)
        for V in (quadratic.start, W + 1e-3 * rng.normal(size=W.shape)):
            assert quadratic.value(W) <= quadratic.value(V)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("rank", [0, 3])
def test_sweeps_as_the_dense_hessian(diagonal, rank):
    for seed in range(10):
        quadratic = Quadratic(seed, diagonal=diagonal, rank=rank)
        chosen = np.random.default_rng(seed).random(quadratic.start.shape) < 0.6
        entries = np.nonzero(chosen)
        expected = quadratic.start.copy()
        for n_sweeps in range(4):
            W, R, u = quadratic.descend(entries, tol=0.0, max_sweeps=n_sweeps)
            np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-10)
            np.testing.assert_array_equal(W[~chosen], quadratic.start[~chosen])
            # What it keeps up to date adds up to the gradient.
            kept = R - quadratic.Z @ u
            np.testing.assert_allclose(kept, quadratic.gradient_at(W), rtol=1e-8, atol=1e-8)
            quadratic.slow_sweep(expected, entries)


def test_stops_at_its_tolerance():
    values = []
    for tol in (10.0, 1e-1, 1e-3, 1e-9):
        quadratic = Quadratic(5, diagonal=False, rank=0)
        W, _, _ = quadratic.descend(tol=tol)
        values.append(np.max(quadratic.violation(W)))
    assert values == sorted(values, reverse=True)
    assert values[0] > 1e-3
    assert values[-1] < 1e-7


def test_models_whose_shapes_do_not_agree_are_refused():
    """The loops would read or write beyond the ends of arrays."""
    W, R, A, M, ridge = (np.zeros(shape) for shape in ((2, 3), (2, 3), (2, 2), (3, 3), 2))
    Z, CZ, u, H, l1 = (np.zeros(shape) for shape in ((2, 3, 1), (2, 3, 1), 1, (2, 3), 2))
    model = [W, R, A, M, ridge, Z, CZ, u, H, l1]
    first, last = np.array([0]), np.array([2])
    descend(*model, first, last, 1.0, 1)
    for places in ((first, last + 1), (last, first), (-1 - first, first)):
        with pytest.raises(ValueError, match=r"is no place in W of shape \(2, 3\)"):
            descend(*model, *places, 1.0, 1)
    with pytest.raises(ValueError, match="1 features, but 2 classes"):
        descend(*model, first, np.array([0, 1]), 1.0, 1)
    wrong = []
    for i, axis in itertools.product(range(1, len(model)), range(3)):
        if axis < model[i].ndim and (i, axis) != (2, 0):  # A of one row is a diagonal
            shape = [n + (a == axis) for a, n in enumerate(model[i].shape)]
            wrong.append([*model[:i], np.zeros(shape), *model[i + 1 :]])
    wrong.append([W, R, np.zeros((3, 2)), *model[3:]])
    wrong.append([W, R, np.zeros((2, 2), order="F"), *model[3:]])
    for misfit in wrong:
        with pytest.raises(ValueError, match="must be aligned, C-contiguous float64"):
            descend(*misfit, first, last, 1.0, 1)
