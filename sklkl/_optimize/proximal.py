"""Proximal quasi-Newton method for a smooth convex function plus an L1 norm."""

import numpy as np

from sklkl._kernels import _descent
from sklkl._optimize.descent import descend
from sklkl._optimize.lbfgs import ARMIJO, MAX_TRIALS, ROUNDING, SHORT_MEMORY, WOLFE
from sklkl._optimize.objective import FULL, TINY
from sklkl._optimize.pairs import Pairs

MAX_SWEEPS = 100
MAX_SCALE = 10.0  # of the metric, up or down, by the last step
INNER = 0.05  # how much smaller the violation of the model's optimum shall be


def minimize(objective, W, **options):
    """Minimise a smooth convex function plus ``objective.l1`` times an L1 norm.

    Every step minimises a quadratic model of the function, with the Hessian of L-BFGS in the
    metric of the objective, plus the norm itself, by coordinate descent over the entries
    that are not zero or that want to become so (Lee, Sun and Saunders, 2014, SIAM Journal on
    Optimization 24, 1420-1443; Zhong, Yen, Dhillon and Ravikumar, 2014, NeurIPS). Zeros are
    exact. The norm is of the first ``objective.n_features`` rows of W, and part of the value.
    See ``descend`` for the options.
    """
    return descend(Proximal(objective, W.shape), objective, W, **options)


class Proximal:
    """Steps to the minimiser of a quadratic model plus the norm."""

    most = FULL

    def __init__(self, objective, shape):
        penalised = np.arange(shape[0]) < objective.n_features
        self.objective = objective
        self.l1 = np.where(penalised, objective.l1, 0.0)
        self.ridge = np.where(penalised, objective.penalty, 0.0)
        self.pairs = Pairs(SHORT_MEMORY, shape)

    def evaluate(self, W):
        """Return ``(value, gradient)`` at W, the norm in the value alone."""
        value, gradient = self.objective(W)
        return value + _norm(W, self.l1), gradient

    def renew(self, W, level, objective=None):
        """Take the metric at W from now on, of another objective if one is passed."""
        A, self.M = (objective or self.objective).curvature(W, level == FULL)
        self.M = np.diag(self.M) if self.M.ndim == 1 else self.M
        self.A = np.atleast_2d(A)
        self.metric = self.objective.metric_of(A.copy(), self.M.copy())

    def propose(self, W, gradient):
        """Return a direction, the slope along it, and what stands for the Newton step.

        The minimiser of the model may not have been found, so that its direction says nothing
        of the distance from the optimum. A step of L-BFGS along the subgradient of least norm
        does.
        """
        subgradient = _subgradient(W, gradient, self.l1)
        violation = np.abs(subgradient)
        end = self._minimize_model(W, gradient, violation)
        direction, l1 = end - W, self.l1[:, None]
        # Term by term, since at the optimum the gradient and the norm cancel.
        crossing = gradient * direction + l1 * (np.abs(end) - np.abs(W))
        slopes = np.where(W * end > 0.0, (gradient + l1 * np.sign(W)) * direction, crossing)
        newton = -self.pairs.times_inverse(subgradient, self.metric)
        return direction, float(np.sum(slopes)), (newton, subgradient * newton)

    def _minimize_model(self, W, gradient, violation):
        """Return the minimiser of the model, found where features have no mean.

        Beside an intercept, a feature far from zero would hold up coordinate descent.
        """
        A, n_features = self.A, self.objective.n_features
        rest = self.ridge, self.l1
        if len(A) == 1 or len(A) == n_features or not A[-1, -1] > 0.0:
            return _minimize_model(W, gradient, violation, list(self.pairs), A, self.M, *rest)
        mean = A[:-1, -1] / A[-1, -1]
        A = A.copy()
        A[:-1, :-1] -= np.outer(mean, A[-1, :-1])
        A[:-1, -1] = A[-1, :-1] = 0.0
        diagonal = np.einsum("ii->i", A)
        diagonal[:] = np.maximum(diagonal, 0.0)

        def of_coefficients(W, sign=1.0):
            return np.vstack([W[:-1], W[-1] + sign * (mean @ W[:-1])])

        def of_gradient(G):
            return np.vstack([G[:-1] - np.outer(mean, G[-1]), G[-1:]])

        pairs = [(of_coefficients(s), of_gradient(y)) for s, y in self.pairs]
        W, gradient = of_coefficients(W), of_gradient(gradient)
        new_W = _minimize_model(W, gradient, violation, pairs, A, self.M, *rest)
        return of_coefficients(new_W, -1.0)

    def search(self, W, value, gradient, direction, slope):
        """Return ``(W, value, gradient)`` after a step, None if none is found."""
        return _line_search(self.evaluate, W, value, slope, direction, self.l1)

    def learn(self, s, y):
        """Remember a pair of changes, of W and of the gradient."""
        self.pairs.append(s, y)

    def forget(self):
        """Forget all pairs."""
        self.pairs.clear()


def _norm(W, l1):
    return float(np.sum(l1 * np.abs(W).sum(axis=1)))


def _subgradient(W, gradient, l1):
    """Return the subgradient of least norm."""
    l1 = l1[:, None]
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0.0)
    return np.where(W != 0.0, gradient + l1 * np.sign(W), at_zero)


def _minimize_model(W, gradient, violation, pairs, A, M, ridge, l1):
    """Return the minimiser of the quadratic model plus the norm."""
    # Coefficients without curvature, as the intercept of an absent class, shall not run away.
    M = M + np.eye(len(M)) * (1e-6 * np.trace(M) / len(M))
    full = len(A) > 1
    diagonal = np.diag(A) if full else A[0]

    def times_metric(S):
        product = A @ S if full else diagonal[:, None] * S
        return product @ M

    if pairs:
        # The compact form of Byrd, Nocedal and Schnabel (1994), Z C Z' below the metric.
        s, y = pairs[-1]
        scale = np.vdot(s, y - ridge[:, None] * s) / np.vdot(s, times_metric(s))
        M = M * np.clip(scale, 1.0 / MAX_SCALE, MAX_SCALE)
        S = np.array([s.ravel() for s, _ in pairs])
        Y = np.array([y.ravel() for _, y in pairs])
        BS = np.array([(times_metric(s) + ridge[:, None] * s).ravel() for s, _ in pairs])
        SY = S @ Y.T
        L = np.tril(SY, -1)
        middle = np.block([[S @ BS.T, L], [L.T, -np.diag(np.diag(SY))]])
        Z = np.concatenate([BS, Y]).T
        try:
            CZ = np.linalg.solve(middle, Z.T).T
        except np.linalg.LinAlgError:  # steps that depend on one another
            pairs = []
    if not pairs:
        Z = CZ = np.zeros((W.size, 0))
    H = np.outer(diagonal, np.diag(M)) + ridge[:, None] - (Z * CZ).sum(axis=1).reshape(W.shape)
    features, classes = np.nonzero((W != 0.0) | (violation > 0.0))
    shape = (*W.shape, Z.shape[1])
    new_W = W.copy()
    _descent.descend(
        new_W,
        gradient.copy(),
        np.ascontiguousarray(A),
        M,
        ridge,
        np.ascontiguousarray(Z).reshape(shape),
        np.ascontiguousarray(CZ).reshape(shape),
        np.zeros(Z.shape[1]),
        H,
        l1,
        features,
        classes,
        INNER * float(np.max(violation / np.sqrt(np.maximum(H, TINY)))),
        MAX_SWEEPS,
    )
    return new_W


def _line_search(evaluate, W, value, slope, direction, l1):
    """Halve the step until the value decreases enough; None if it never does.

    Where differences of values drown in rounding, the slope at the end decides.
    """
    t = 1.0
    for _ in range(MAX_TRIALS):
        new_W = W + t * direction
        new_value, new_gradient = evaluate(new_W)
        if new_value <= value + ARMIJO * t * slope:
            return new_W, new_value, new_gradient
        if new_value <= value + ROUNDING * abs(value):
            signs = l1[:, None] * np.sign(new_W)
            if np.vdot(new_gradient + signs, direction) <= -WOLFE * slope:
                return new_W, new_value, new_gradient
        t *= 0.5
    return None
