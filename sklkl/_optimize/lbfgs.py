"""L-BFGS in a changing metric, for smooth convex functions."""

import math
from functools import partial

import numpy as np

from sklkl._optimize.descent import descend, first_level
from sklkl._optimize.objective import EXACT, SAMPLE
from sklkl._optimize.pairs import Pairs

MEMORY = 20  # pairs
SHORT_MEMORY = 10  # where vectors are so long that the memory costs as much as an evaluation
LONG = 100_000
MOST_NUMBERS = 1 << 27  # that pairs may take, 1 GB; reached by 6.7 million coefficients
LEAST_MEMORY = 3
MAX_TRIALS = 30
ARMIJO = 1e-4
WOLFE = 0.9
ROUNDING = 1e-6  # Hager and Zhang's; 1e-10 is too small for values from float32
ROUGH = 0.1  # tolerance of the optimum of a sample, which is not that of all rows
SHARE = 0.1  # of the first step that the last one may have when a sample's metric is applied
MOST_INNER = 20  # steps of it


def minimize(objective, W, **options):
    """Minimise a smooth convex function by L-BFGS (Nocedal and Wright, 2006, chapter 7).

    Every step starts in ``objective.metric(W, level)``, or in the metric of its sample. From 0
    it goes to the optimum of the sample first. See ``descend`` for the options.
    """
    method = LBFGS(objective, W.shape)
    if objective.sample is not None and not W.any():
        W = method.of_sample.start(W)
    return descend(method, objective, W, **options)


class LBFGS:
    """Steps from the last pairs of changes, of W and of the gradient."""

    most = EXACT

    def __init__(self, objective, shape):
        self.objective = objective
        size = math.prod(shape)
        most = max(LEAST_MEMORY, MOST_NUMBERS // (2 * max(1, size)))
        self.pairs = Pairs(min(most, SHORT_MEMORY if size > LONG else MEMORY), shape)
        if objective.sample is not None:
            self.of_sample = SampleMetric(objective.sample, shape)

    def evaluate(self, W):
        """Return ``(value, gradient)`` at W."""
        return self.objective(W)

    def renew(self, W, level, objective=None):
        """Take the metric at W from now on, of another objective if one is passed."""
        self.rescales = level != SAMPLE  # the others may be wrong by a factor
        objective = objective or self.objective
        self.metric = self.of_sample.at(W) if level == SAMPLE else objective.metric(W, level)

    def propose(self, W, gradient):
        """Return a direction, the slope along it, and what stands for the Newton step.

        This is the direction, with the slope along each of its entries.
        """
        direction = -self.pairs.times_inverse(gradient, self.metric, self.rescales)
        slopes = gradient * direction
        return direction, float(np.sum(slopes)), (direction, slopes)

    def search(self, W, value, gradient, direction, slope):
        """Return ``(W, value, gradient)`` after a step, None if none is found."""
        return _line_search(self.objective, W, value, slope, direction)

    def learn(self, s, y):
        """Remember a pair of changes."""
        self.pairs.append(s, y)

    def forget(self):
        """Forget all pairs."""
        self.pairs.clear()


def _dot(a, b):
    return float(np.vdot(a, b))


class SampleMetric:
    """The inverse Hessian of an objective's sample, as what its minimiser moves by.

    A linear function added to the sample moves its minimiser, in first order, by the inverse
    Hessian times its slope. So the optimum is found on the sample, and a gradient of all rows
    says where it is mistaken: steps by this metric are those of Shamir, Srebro and Zhang
    (2014), Communication-Efficient Distributed Optimization using an Approximate Newton-type
    Method, with one machine.
    """

    def __init__(self, sample, shape):
        self.sample = sample
        self.inner = LBFGS(sample, shape)

    def start(self, W):
        """Return roughly the optimum of the sample."""
        return descend(self.inner, self.sample, W, tol=ROUGH, max_iter=MOST_INNER).W

    def at(self, W):
        """Return the metric at W; pairs that were learned elsewhere are kept."""
        if not hasattr(self.inner, "metric"):
            self.inner.renew(W, first_level(self.sample))
        value, gradient = self.sample(W)
        return partial(self._apply, W, value, gradient)

    def _apply(self, start, value, start_gradient, G):
        slope = G - start_gradient

        def tilted(W):
            value, gradient = self.sample(W)
            return value + _dot(slope, W), gradient + slope

        inner, W, value, gradient = self.inner, start, value + _dot(slope, start), G
        first = None
        for _ in range(MOST_INNER):
            direction, along, _ = inner.propose(W, gradient)
            if not along < 0.0 or (first is not None and along > SHARE**2 * first):
                break
            first = along if first is None else first
            step = _line_search(tilted, W, value, along, direction)
            if step is None:
                break
            new_W, value, new_gradient = step
            inner.learn(new_W - W, new_gradient - gradient)
            W, gradient = new_W, new_gradient
        return start - W


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
