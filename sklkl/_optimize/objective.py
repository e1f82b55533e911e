"""What minimisers ask of an objective."""

import numpy as np

TINY = np.finfo(np.float64).tiny

# How the metric approximates the Hessian.
DIAGONAL, FULL, EXACT = range(3)


class Objective:
    """What solvers ask of an objective, besides values and gradients, and what they get.

    Attributes
    ----------
    full_cost, exact_cost : float
        Evaluations that a full curvature, or the Hessian, costs; infinity if there is none.
    l1 : float
        Factor of the L1 norm, which is not part of the value.
    absent : ndarray of shape (n_logits,), or None
        Which columns of coefficients belong to classes that no target has.
    unattained : float
        Values up to this one are those of no minimum.
    settled : float
        Values up to this one are taken for the least there is.
    """

    full_cost = exact_cost = np.inf
    l1 = 0.0
    absent = None
    unattained = settled = -np.inf

    def widen(self):
        """Compute in float64 from now on; return whether that is new."""
        return False

    def rates(self, gradient):
        """Return mean predictions, as far as the gradient tells them."""
        return np.zeros(0)

    def centered(self):
        """Return the same function of coefficients in which a solver loses fewer digits."""
        return self

    def enter(self, W):
        """Return these coefficients, given those of the function before it was centered."""
        return W

    def leave(self, W):
        """Return those of the function before it was centered."""
        return W
