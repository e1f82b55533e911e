"""The stopping rule: a minimiser has arrived once a Newton step would change no prediction.

(a) A bound on the gradient would mean something else for every unit of a feature, rate of a
    class and scale of the weights. What a Newton step changes in the log-odds of rows depends
    on none of these, and relative changes of p and of 1 - p are no larger.
(b) The direction d of a quasi-Newton method approximates the Newton step. Its slope -g'd,
    which costs nothing, is the square of its size in the metric of the Hessian: the mean over
    rows of p (1 - p) times the squared change of log-odds, plus a part of the penalty.
(c) The largest change among all rows costs a product with X, a part of an evaluation. It is
    computed only where the size, times the ratio of both when last computed, is small enough;
    along a flat direction the ratio may be huge: it holds until the size is a tenth.
(d) Steps that shrink by a factor r are followed by others: what remains is 1 / (1 - r) times
    the step.
"""

import math

import numpy as np

FIRST_RATIO = 8.0  # at least 2, the value if all p are 1/2 and all rows change alike
CAUTION = 0.5  # the ratio may have fallen so much since it was computed
FORGOTTEN = 0.1  # of the size when it was computed, below which it says nothing any more
SPAN = 3  # steps from which the factor r is estimated
LONG_SPAN = 0.25  # or this share of all, if that is more: of slow steps, three tell little
FINEST = 1e-12  # a tolerance below which steps do not shrink for rounding alone
SLOWEST = 0.99
ABSENT = 1e-6  # probability that may be left, on average, for a class that no target has
PATIENCE = 6  # steps without progress, of which rounding may be the reason
HARDLY = 0.7  # and what is progress
NARROW = 1e-6  # of the value: what rounding to float32 hides of a decrease
NARROW_SIZE = 1e-5  # of a step: what is smaller is not known well from float32
EXHAUSTED = 1e-4  # a change of log-odds that rounding may be in the way of


class Arrival:
    """The answer, before every step, whether a minimiser has arrived.

    It asks an objective for its ``largest_change``, of which ``tol`` is the bound.
    """

    def __init__(self, objective, tol):
        self.objective, self.tol = objective, tol
        self.forget()

    def forget(self):
        """Begin anew, as after a change of precision."""
        self.sizes = []
        self.ratio = None
        self.change = math.inf

    @property
    def size(self):
        """Size of the last step in the metric of the Hessian."""
        return self.sizes[-1] if self.sizes else math.inf

    def __call__(self, gradient, direction, slopes):
        """Return whether no more than the tolerance is left to change.

        ``slopes`` are the slopes of the objective along the entries of the direction.
        """
        absent = self.objective.absent
        if absent is None:
            absent = np.zeros(gradient.shape[1], dtype=bool)
        slope = np.sum(slopes.sum(axis=0)[~absent])
        self.sizes.append(float(np.sqrt(np.maximum(0.0, -slope))))
        remaining = self._remaining()
        known = self.ratio is not None and self.size > FORGOTTEN * self.measured
        ratio = CAUTION * self.ratio if known else FIRST_RATIO
        # Written so that NaN is no arrival.
        if not ratio * self.size * remaining <= self.tol:
            return False
        if np.abs(gradient[-1, absent]).max(initial=0.0) > ABSENT:
            return False
        change = self.measure(direction)
        if self.size > 0.0:
            self.ratio, self.measured = change / self.size, self.size
        return change * remaining <= self.tol

    def measure(self, direction):
        """Return the largest change of log-odds that a step makes.

        The ratio stays: where no step is found, the direction is no Newton step, and its ratio
        out of all proportion where there is hardly any curvature.
        """
        self.change = self.objective.largest_change(direction)
        return self.change

    @property
    def left(self):
        """What the steps to come change of a log-odds, all together, about."""
        return self.change * self._remaining() if self.sizes else self.change

    def _remaining(self):
        """Return the sum of all steps to come, in units of the next."""
        share = LONG_SPAN if self.tol > FINEST else 0.0
        span = min(max(SPAN, int(share * len(self.sizes))), len(self.sizes) - 1)
        if span == 0 or self.size == 0.0:
            return 1.0
        before = self.sizes[-1 - span]
        r = (self.size / before) ** (1.0 / span) if before > 0.0 else SLOWEST
        return 1.0 / (1.0 - min(r, SLOWEST))

    def stagnates(self, value):
        """Return whether rounding to float32 may be what keeps steps from shrinking."""
        if len(self.sizes) <= PATIENCE or not self.size**2 < NARROW * abs(value):
            return False
        recent = min(self.sizes[-PATIENCE:])
        return recent > HARDLY * min(self.sizes[:-PATIENCE])
