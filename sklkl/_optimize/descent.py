"""The loop of both minimisers: propose a step, ask whether it matters, search along it."""

from dataclasses import dataclass

import numpy as np

from sklkl._optimize.objective import DIAGONAL, EXACT, FULL, SAMPLE
from sklkl._optimize.stopping import EXHAUSTED, NARROW_SIZE, Arrival

FIRST_RENEWAL = 3  # iterations with the first metric, doubled with each
GOOD = 0.3  # keep the metric if the last of three steps is below this share of the first
AT_ONCE = 4.0  # use a full metric at once if it costs at most so many evaluations
CHEAP = 0.5  # and the Hessian, anew in every iteration
STALE = 0.7  # of the logarithm of a mean prediction: a factor of two
PATIENT = 10  # iterations before the Hessian itself is evaluated, however small it is


@dataclass
class Result:
    """Where the minimiser stopped."""

    W: np.ndarray
    value: float  # the objective at W
    n_iter: int
    converged: bool  # within the tolerance, or as near as rounding allows
    stopped: bool  # by the callback
    left: float  # to change of a log-odds, about, infinity if not known


def first_level(objective):
    """Return the level of the first metric, but for that of a sample."""
    if objective.newton_cost <= CHEAP:
        return EXACT
    return FULL if objective.full_cost <= AT_ONCE else DIAGONAL


class Metric:
    """The metric of a method: when to evaluate the curvature anew, and how well.

    That of a sample serves first, if there is one. A full one is worth its cost from the
    start if that is small. Otherwise it has to wait until as many evaluations were spent
    without it, and so has the Hessian itself: at worst the time is doubled. Each serves as
    long as it makes the steps shrink well. A Hessian that costs next to nothing is evaluated
    in every iteration: these are the steps of Newton.
    """

    def __init__(self, method, objective):
        self.method, self.objective = method, objective
        self.costs = {FULL: objective.full_cost, EXACT: max(objective.exact_cost, PATIENT)}
        self.first = first_level(objective)
        sampled = objective.sample is not None and method.most == EXACT
        self.level = SAMPLE if sampled else min(self.first, method.most)
        self.newton = self.level == EXACT
        self.wait = FIRST_RENEWAL
        self.forget()

    def forget(self):
        """Begin anew, as after a change of precision."""
        self.next = 0
        self.rates = None  # mean predictions where the curvature was evaluated
        self.stale = False  # whether predictions have become quite different since

    def keep_current(self, W, gradient, n_iter, failures, sizes):
        """Evaluate the curvature at W if it is time, before iteration ``n_iter``.

        ``failures`` counts the steps that were not found; ``sizes`` are the sizes of all steps
        so far, in the metric of the Hessian.
        """
        self.stale = self.rates is not None and _differ(
            self.objective.rates(gradient), self.rates
        )
        if failures and self.level == SAMPLE:
            self.level = self.first
        if failures == 2:
            # Where all predictions are certain there is no curvature, but where none is.
            self.method.renew(np.zeros_like(W), self.level, self.objective.uncertain())
            self.rates = None
        elif failures == 1 or self._due(n_iter, sizes):
            self.renew(W, gradient)

    def renew(self, W, gradient):
        """Evaluate the curvature at W."""
        if self.newton:
            self.method.forget()
        self.method.renew(W, self.level)
        self.rates, self.stale = self.objective.rates(gradient), False

    def _due(self, n_iter, sizes):
        if self.newton:
            return True
        if n_iter < self.next:
            return False
        recent = sizes[-FIRST_RENEWAL:]
        judged = len(recent) == FIRST_RENEWAL
        shrinks = judged and recent[-1] < GOOD * recent[0]
        if shrinks and not self.stale:
            self.next = n_iter + FIRST_RENEWAL
            return False
        if self.level == SAMPLE:
            if not judged or self.stale:
                self.next = n_iter + FIRST_RENEWAL
                return True
            self.level = self.first
        for level in range(self.level + 1, self.method.most + 1):
            if n_iter >= self.costs[level]:
                self.level, self.wait = level, FIRST_RENEWAL
        self.next = n_iter + max(self.wait, int(self.costs.get(self.level, 0)))
        self.wait *= 2
        return True

    def certifies(self, n_iter):
        """Return whether to ask a better metric whether the fit ends.

        This is the Hessian, where it is cheap beside the fit.
        """
        cheap = 2.0 * self.objective.exact_cost <= n_iter
        if self.method.most < EXACT or self.level in (SAMPLE, EXACT) or not cheap:
            return self.stale
        self.level = EXACT
        return True


@np.errstate(all="ignore")  # a step may go too far; the line search finds out
def descend(method, objective, W, *, tol, max_iter, callback=None):
    """Minimise a function from W by steps of ``method``, an ``LBFGS`` or a ``Proximal``.

    Stops when a step would change no log-odds of a row by more than ``tol``, or when
    ``callback(n_iter, W, value, largest_gradient)``, called before each iteration and at the
    end, returns true. Returns a ``Result``.
    """
    arrival = Arrival(objective, tol)
    metric = Metric(method, objective)
    value, gradient = method.evaluate(W)
    n_iter = failures = 0
    reported = -1
    stop = False
    while True:
        if callback is not None and n_iter > reported:
            stop = callback(n_iter, W, value, float(np.max(np.abs(gradient))))
            reported = n_iter
        converged = not stop and value <= objective.settled
        # Written so that NaN stops.
        if stop or converged or not value < np.inf:
            break
        metric.keep_current(W, gradient, n_iter, failures, arrival.sizes)
        direction, slope, newton = method.propose(W, gradient)
        # The metric at 0 says nothing of a Newton step at W.
        unattained = value <= objective.unattained
        converged = failures < 2 and arrival(gradient, *newton) and not unattained
        if converged and metric.certifies(n_iter):
            # Of a class that has become rare meanwhile the metric sees too much curvature, and
            # a product of averages may see too much of a flat direction.
            method.forget()
            metric.renew(W, gradient)
            direction, slope, newton = method.propose(W, gradient)
            converged = arrival(gradient, *newton)
        step = None
        if converged:
            if arrival.size > NARROW_SIZE or not objective.widen():
                break
        elif n_iter >= max_iter or unattained:
            arrival.measure(newton[0])
            break
        elif not arrival.stagnates(value) or not objective.widen():
            if failures == 1:
                arrival.measure(newton[0])
            step = method.search(W, value, gradient, direction, slope) if slope < 0.0 else None
            if step is None:
                failures += 1
                method.forget()
                if failures < 3:
                    continue
                if not objective.widen():
                    # Rounding leaves no descent.
                    converged = arrival.change <= max(tol, EXHAUSTED)
                    break
        if step is None:
            # Rounding to float32 was, or may have been, in the way, and in the pairs.
            arrival.forget()
            method.forget()
            value, gradient = method.evaluate(W)
            failures = 0
            metric.forget()
            continue
        n_iter += 1
        failures = 0
        new_W, value, new_gradient = step
        method.learn(new_W - W, new_gradient - gradient)
        W, gradient = new_W, new_gradient
    return Result(W, value, n_iter, converged, stop, arrival.left)


def _differ(rates, others):
    """Return whether one of the mean predictions is quite different."""
    if len(rates) != len(others):
        return True
    return bool(np.any(np.abs(np.log(rates / others)) > STALE))
