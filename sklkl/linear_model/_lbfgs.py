"""Preconditioned L-BFGS for smooth convex functions."""

from collections import deque
from dataclasses import dataclass

import numpy as np

MEMORY = 20
RENEW = 10  # iterations between two evaluations of the curvature
MAX_TRIALS = 30
ARMIJO = 1e-4
WOLFE = 0.9
ROUNDING = 1e-6  # Hager and Zhang's; 1e-10 is too small for values from float32


@dataclass
class Result:
    """Where the minimiser stopped.

    Attributes
    ----------
    W : ndarray
        The minimiser.
    value : float
        The objective there.
    n_iter : int
    converged : bool
        Is the largest entry of the gradient at most ``tol``?
    largest_gradient : float
        That entry.
    """

    W: np.ndarray
    value: float
    n_iter: int
    converged: bool
    largest_gradient: float


def minimize(objective, W, *, tol, max_iter, verbose=0):
    """Minimise a smooth convex function by L-BFGS (Nocedal and Wright, 2006, chapter 7).

    Parameters
    ----------
    objective : callable
        ``objective(W) -> (value, gradient)``, and ``objective.solve_curvature(W)`` returns
        a function that multiplies an array of the shape of W by an approximation of the
        inverse Hessian at W: the metric in which every step starts.
    W : ndarray
        Start.
    tol : float
        Stop when no entry of the gradient is larger in absolute value.
    max_iter : int
    verbose : int
        Print a line per iteration if positive.

    Returns
    -------
    Result
    """
    value, gradient = objective(W)
    pairs = deque(maxlen=MEMORY)
    n_iter = 0
    while True:
        largest = float(np.max(np.abs(gradient)))
        if verbose > 0:
            print(f"iteration {n_iter}: objective {value:.12g}, gradient {largest:.3e}")
        if largest <= tol or n_iter >= max_iter:
            break
        if n_iter % RENEW == 0:
            solve_curvature = objective.solve_curvature(W)
        direction = -_two_loop(gradient, pairs, solve_curvature)
        slope = _dot(gradient, direction)
        step = _line_search(objective, W, value, slope, direction) if slope < 0 else None
        if step is None:
            if not pairs:
                break  # rounding leaves no descent even along the plain direction
            pairs.clear()
            continue
        n_iter += 1
        new_W, value, new_gradient = step
        s, y = new_W - W, new_gradient - gradient
        if (sy := _dot(s, y)) > 0:
            pairs.append((s, y, sy))
        W, gradient = new_W, new_gradient
    return Result(W, value, n_iter, largest <= tol, largest)


def _dot(a, b):
    return float(np.vdot(a, b))


def _two_loop(gradient, pairs, solve_curvature):
    """Multiply the gradient by the L-BFGS inverse Hessian."""
    d = gradient.copy()
    alphas = []
    for s, y, sy in reversed(pairs):
        alpha = _dot(s, d) / sy
        d -= alpha * y
        alphas.append(alpha)
    d = solve_curvature(d)
    if pairs:
        s, y, sy = pairs[-1]
        d *= sy / _dot(y, solve_curvature(y))
    for (s, y, sy), alpha in zip(pairs, reversed(alphas), strict=True):
        d += (alpha - _dot(y, d) / sy) * s
    return d


def _line_search(objective, W, value, slope, direction):
    """Find a step that satisfies the Wolfe conditions, by bracketing and secants.

    Near the optimum differences of values drown in rounding while slopes do not, so the
    decrease is asked for up to rounding only, and slopes decide (the approximate Wolfe
    conditions of Hager and Zhang, 2005, SIAM Journal on Optimization 16, 170-192). Returns
    None if no step is found.
    """
    rounding = ROUNDING * abs(value)
    low, low_slope, high, high_slope = 0.0, slope, None, None
    t = 1.0
    for _ in range(MAX_TRIALS):
        new_W = W + t * direction
        new_value, gradient = objective(new_W)
        new_slope = _dot(gradient, direction)
        # Written so that overflow to inf or NaN counts as too far.
        if not (new_value <= value + ARMIJO * t * slope + rounding):
            high, high_slope = t, None
        elif abs(new_slope) <= -WOLFE * slope:
            return new_W, new_value, gradient
        elif new_slope > 0:
            high, high_slope = t, new_slope
        else:
            low, low_slope = t, new_slope
        if high is None:
            # The slope of a convex function rises; aim where the secant meets 0.
            fraction = slope / (slope - low_slope) if low_slope > slope else 10.0
            t = float(np.clip(t * fraction, 2.0 * t, 10.0 * t))
        else:
            width = high - low
            fraction = 0.5
            if high_slope is not None and np.isfinite(high_slope):
                fraction = low_slope / (low_slope - high_slope)
            t = low + width * min(max(fraction, 0.1), 0.9)
    return None
