"""What minimisers ask of an objective."""

import numpy as np

TINY = np.finfo(np.float64).tiny

# How the metric approximates the Hessian: by that of a sample of rows, by a diagonal, by a
# full matrix, or exactly.
SAMPLE, DIAGONAL, FULL, EXACT = range(4)


class Objective:
    """All that solvers call of an objective, with the answers that serve most.

    A function of coefficients W, of shape (size, n_columns), float64. A subclass has
    ``__call__``, ``metric`` and ``largest_change``; for the proximal method ``curvature``,
    ``metric_of`` and ``n_features``, too.

    Attributes
    ----------
    full_cost, exact_cost : float
        Evaluations that a full curvature, or the Hessian, costs; infinity if there is none.
    newton_cost : float
        Calls of the function that the Hessian costs, be it of a full curvature.
    l1 : float
        Factor of the L1 norm of the first ``n_features`` rows, which is not part of the value.
    penalty : float
        Factor of half their squared norm, which is part of the value.
    absent : ndarray of shape (n_columns,), or None
        Which columns have no finite optimum, as columns of classes that no target has.
    unattained : float
        Values up to this one are approached only by coefficients that grow without end, or
        leave no digits to tell an optimum by.
    settled : float
        Values up to this one are taken for the least there is.
    sample : Objective, or None
        The same function of a sample of rows, so many that it is much like this one and so few
        that it costs a small part of it; None if no sample is both.
    """

    full_cost = exact_cost = newton_cost = np.inf
    l1 = penalty = 0.0
    absent = sample = None
    unattained = settled = -np.inf

    def __call__(self, W):
        """Return ``(value, gradient)`` at W, the gradient of the shape of W."""
        raise NotImplementedError

    def metric(self, W, level):
        """Return a function that multiplies arrays like W by an approximate inverse Hessian.

        Parameters
        ----------
        W : ndarray of shape (size, n_columns)
            Where the Hessian is approximated.
        level : {DIAGONAL, FULL, EXACT}
            How well, at most.
        """
        raise NotImplementedError

    def curvature(self, W, full):
        """Return factors A and M of a Kronecker-factored Hessian of the loss at W.

        Returns
        -------
        A : ndarray of shape (size, size), or its diagonal (size,) unless ``full``
        M : ndarray of shape (n_columns, n_columns), or its diagonal (n_columns,)
        """
        raise NotImplementedError

    def metric_of(self, A, M):
        """Return the metric of such factors and the penalty; it may change both arrays."""
        raise NotImplementedError

    def largest_change(self, direction):
        """Return by how much a step changes a prediction at most: a log-odds of a row."""
        raise NotImplementedError

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
        """Return the coefficients W of the function before it was centered for this one."""
        return W

    def leave(self, W):
        """Return the coefficients of the function before it was centered, given these."""
        return W

    def uncertain(self):
        """Return the function, or one with its penalty, whose curvature is largest at 0."""
        return self

    def separated(self, W):
        """Return a message if coefficients grow without end where a fit has ended; or None."""

    def why_not_finite(self):
        """Return a message about a value that is not finite."""
        return "The objective overflows."
