"""Proximal quasi-Newton method for a smooth convex function plus an L1 norm."""

from collections import deque

import numpy as np

from sklkl._kernels._descent import descend
from sklkl.linear_model._lbfgs import (
    ARMIJO,
    MAX_TRIALS,
    ROUNDING,
    SHORT_MEMORY,
    WOLFE,
    Renewals,
    Result,
)

MAX_SWEEPS = 100
MAX_SCALE = 10.0  # of the metric, up or down, by the last step
INNER = 0.05  # how much smaller the violation of the model's optimum shall be


@np.errstate(all="ignore")  # a step may go too far; the line search finds out
def minimize(objective, W, *, tol, max_iter, callback=None):
    """Minimise a smooth convex function plus ``objective.l1`` times an L1 norm.

    Every step minimises a quadratic model of the function, with the Hessian of L-BFGS in the
    metric of the objective, plus the norm itself, by coordinate descent over the entries
    that are not zero or that want to become so (Lee, Sun and Saunders, 2014, SIAM Journal on
    Optimization 24, 1420-1443; Zhong, Yen, Dhillon and Ravikumar, 2014, NeurIPS). Zeros are
    exact.

    Parameters
    ----------
    objective : callable
        As in ``_lbfgs.minimize``, with ``objective.curvature``, the factors of the metric,
        and ``objective.penalty`` in place of ``objective.metric``.
    W : ndarray of shape (size, n_logits)
        Start. The norm is of its first ``objective.n_features`` rows.
    tol : float
        Stop when no entry of the subgradient of least norm is larger in absolute value.
    max_iter : int
    callback : callable, default=None
        As in ``_lbfgs.minimize``.

    Returns
    -------
    Result
        With the L1 norm in its value.
    """
    W = W.copy()
    size = len(W)
    penalised = np.arange(size) < objective.n_features
    l1 = np.where(penalised, objective.l1, 0.0)
    ridge = np.where(penalised, objective.penalty, 0.0)
    pairs = deque(maxlen=SHORT_MEMORY)
    renewals = Renewals(objective)
    value, gradient = objective(W)
    value += _norm(W, l1)
    n_iter = 0
    failures = 0
    while True:
        violation = _violation(W, gradient, l1)
        largest = float(np.max(violation))
        stop = failures == 0 and callback is not None and callback(n_iter, W, value, largest)
        # Written so that NaN stops.
        if stop or not largest > tol or n_iter >= max_iter or not value < np.inf:
            break
        if failures == 2:
            A, M = objective.curvature(np.zeros_like(W), renewals.full)  # as L-BFGS does
        elif renewals.due(n_iter, largest):
            A, M = objective.curvature(W, renewals.full)
        A = np.atleast_2d(A)
        direction = _minimize_model(W, gradient, violation, pairs, A, M, ridge, l1) - W
        step = _line_search(objective, W, value, gradient, direction, l1)
        if step is None:
            failures += 1
            if failures == 3:
                break  # rounding leaves no descent
            if not pairs:
                failures = 2
            pairs.clear()
            continue
        n_iter += 1
        failures = 0
        new_W, value, new_gradient = step
        s, y = new_W - W, new_gradient - gradient
        if np.vdot(s, y) > 0:
            pairs.append((s, y))
        W, gradient = new_W, new_gradient
    if W.shape[1] > 1:
        # Nothing else determines their sum; the smooth solver keeps it 0 by itself.
        W[objective.n_features :] -= W[objective.n_features :].mean(axis=1, keepdims=True)
    return Result(W, value, n_iter, largest <= tol, stop, largest)


def _norm(W, l1):
    return float(np.sum(l1 * np.abs(W).sum(axis=1)))


def _violation(W, gradient, l1):
    """Return the absolute values of the subgradient of least norm."""
    l1 = l1[:, None]
    return np.where(
        W != 0.0, np.abs(gradient + l1 * np.sign(W)), np.maximum(np.abs(gradient) - l1, 0.0)
    )


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
        CZ = np.linalg.solve(middle, Z.T).T
    else:
        Z = CZ = np.zeros((W.size, 0))
    H = np.outer(diagonal, np.diag(M)) + ridge[:, None] - (Z * CZ).sum(axis=1).reshape(W.shape)
    features, classes = np.nonzero((W != 0.0) | (violation > 0.0))
    shape = (*W.shape, Z.shape[1])
    new_W = W.copy()
    descend(
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
        INNER * float(np.max(violation)),
        MAX_SWEEPS,
    )
    return new_W


def _line_search(objective, W, value, gradient, direction, l1):
    """Halve the step until the value decreases enough; None if it never does.

    Where differences of values drown in rounding, the slope at the end decides.
    """
    # Term by term, since at the optimum the gradient and the norm cancel.
    end, signs = W + direction, l1[:, None] * np.sign(W)
    crossing = gradient * direction + l1[:, None] * (np.abs(end) - np.abs(W))
    slope = float(np.sum(np.where(W * end > 0.0, (gradient + signs) * direction, crossing)))
    if not slope < 0.0:
        return None
    t = 1.0
    for _ in range(MAX_TRIALS):
        new_W = W + t * direction
        new_value, new_gradient = objective(new_W)
        new_value += _norm(new_W, l1)
        if new_value <= value + ARMIJO * t * slope:
            return new_W, new_value, new_gradient
        if new_value <= value + ROUNDING * abs(value):
            signs = l1[:, None] * np.sign(new_W)
            if np.vdot(new_gradient + signs, direction) <= -WOLFE * slope:
                return new_W, new_value, new_gradient
        t *= 0.5
    return None
