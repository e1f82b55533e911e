"""L-BFGS in a changing metric, for smooth convex functions."""

from collections import deque
from dataclasses import dataclass

import numpy as np

MEMORY = 20
SHORT_MEMORY = 10  # where vectors are so long that the memory costs as much as an evaluation
LONG = 100_000
FIRST_RENEWAL = 3  # iterations with the first metric, doubled with each
GOOD = 0.2  # a metric that made the gradient so small meanwhile serves on
AT_ONCE = 4.0  # a full metric that costs so many passes is worth it from the start
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
    stopped : bool
        Did the callback ask to stop?
    largest_gradient : float
        That entry.
    """

    W: np.ndarray
    value: float
    n_iter: int
    converged: bool
    stopped: bool
    largest_gradient: float


class Renewals:
    """When to evaluate the curvature anew, and whether in full or the diagonal alone.

    A full one is worth its cost from the start if that is small. Otherwise it has to wait
    until as many evaluations were spent without it: at worst the time is doubled. Each
    serves as long as it makes the gradient shrink well.
    """

    def __init__(self, objective):
        self.cost = objective.full_cost
        self.full = self.cost <= AT_ONCE
        self.next = 0
        self.wait = FIRST_RENEWAL
        self.largest = np.inf

    def due(self, n_iter, largest):
        """Return whether it is time, before iteration ``n_iter``.

        ``largest`` is the largest entry of the gradient.
        """
        if n_iter < self.next:
            return False
        shrunk, self.largest = largest < GOOD * self.largest, largest
        if shrunk and n_iter > 0:
            self.next = n_iter + FIRST_RENEWAL
            return False
        self.full = self.full or n_iter >= self.cost
        self.next = n_iter + (max(self.wait, int(self.cost)) if self.full else self.wait)
        self.wait *= 2
        return True


@np.errstate(all="ignore")  # a step may go too far; the line search finds out
def minimize(objective, W, *, tol, max_iter, callback=None):
    """Minimise a smooth convex function by L-BFGS (Nocedal and Wright, 2006, chapter 7).

    Parameters
    ----------
    objective : callable
        ``objective(W) -> (value, gradient)``. ``objective.metric(W, full)`` returns a
        function that multiplies an array of the shape of W by an approximation of the
        inverse Hessian at W, the metric in which every step starts; ``objective.full_cost``
        is what a full one costs, in evaluations.
    W : ndarray
        Start.
    tol : float
        Stop when no entry of the gradient is larger in absolute value.
    max_iter : int
    callback : callable, default=None
        ``callback(n_iter, W, value, largest_gradient)``, called before each iteration and
        at the end; a true return value stops.

    Returns
    -------
    Result
    """
    value, gradient = objective(W)
    pairs = deque(maxlen=SHORT_MEMORY if W.size > LONG else MEMORY)
    renewals = Renewals(objective)
    n_iter = 0
    failures = 0
    while True:
        largest = float(np.max(np.abs(gradient)))
        stop = failures == 0 and callback is not None and callback(n_iter, W, value, largest)
        # Written so that NaN stops.
        if stop or not largest > tol or n_iter >= max_iter or not value < np.inf:
            break
        if failures == 2:
            # Where all predictions are certain there is no curvature, but at 0 there is most.
            metric = objective.metric(np.zeros_like(W), renewals.full)
        elif renewals.due(n_iter, largest):
            metric = objective.metric(W, renewals.full)
        direction = -_two_loop(gradient, pairs, metric)
        slope = _dot(gradient, direction)
        step = _line_search(objective, W, value, slope, direction) if slope < 0 else None
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
        if (sy := _dot(s, y)) > 0:
            pairs.append((s, y, sy))
        W, gradient = new_W, new_gradient
    return Result(W, value, n_iter, largest <= tol, stop, largest)


def _dot(a, b):
    return float(np.vdot(a, b))


def _two_loop(gradient, pairs, metric):
    """Multiply the gradient by the L-BFGS inverse Hessian."""
    d = gradient.copy()
    alphas = []
    for s, y, sy in reversed(pairs):
        alpha = _dot(s, d) / sy
        d -= alpha * y
        alphas.append(alpha)
    d = metric(d)
    if pairs:
        s, y, sy = pairs[-1]
        d *= sy / _dot(y, metric(y))
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
    low, low_value, low_slope, high, high_slope = 0.0, value, slope, None, None
    t = 1.0
    for _ in range(MAX_TRIALS):
        new_W = W + t * direction
        new_value, gradient = objective(new_W)
        new_slope = _dot(gradient, direction)
        # Written so that overflow to inf or NaN counts as too far.
        if not (new_value <= value + ARMIJO * t * slope + rounding):
            high, high_slope = t, None
            # The parabola through both values falls this much steeper than its secant.
            fall = -low_slope * (t - low)
            fraction = 0.5 * fall / (fall + new_value - low_value)
        elif abs(new_slope) <= -WOLFE * slope:
            return new_W, new_value, gradient
        elif new_slope > 0:
            high, high_slope = t, new_slope
        else:
            low, low_value, low_slope = t, new_value, new_slope
        if high is None:
            # The slope of a convex function rises; aim where the secant meets 0.
            fraction = slope / (slope - low_slope) if low_slope > slope else 10.0
            t = float(np.clip(t * fraction, 2.0 * t, 10.0 * t))
        else:
            width = high - low
            if high_slope is not None:
                fraction = low_slope / (low_slope - high_slope)
            elif low == t:
                fraction = 0.5
            t = low + width * min(max(0.1, fraction), 0.9)  # NaN becomes 0.1
    return None
