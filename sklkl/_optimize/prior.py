"""A loss plus a Gaussian prior: a quadratic penalty for leaving given coefficients."""

import numpy as np
from scipy.linalg import LinAlgError

from sklkl._optimize.cholesky import solver
from sklkl._optimize.objective import Objective


class WithPrior(Objective):
    r"""A loss f plus the negative logarithm of a Gaussian prior of each column of W.

    .. math::
        f(W) + \frac{1}{2 S} \sum_k (W_k - m_k)^T P_k (W_k - m_k)

    With f the mean of a loss over rows, and S the sum of their weights, the precisions
    :math:`P_k` are sums that rows add to by their curvature.

    Parameters
    ----------
    objective : Objective
        f, without penalty. It has ``sum_of_weights``, S, and ``class_curvature(W, full)``, the
        blocks on the diagonal of the Hessian of S f.
    mean : ndarray of shape (size, n_columns)
    precision : ndarray of shape (n_columns, size, size), or (n_columns, size), the diagonals
    full : bool
        Whether the metric has whole blocks, of cost ``full_cost``, or their diagonals.
    """

    def __init__(self, objective, mean, precision, *, full, full_cost):
        self.objective, self.mean, self.precision = objective, mean, precision
        self.full, self.full_cost = full, full_cost
        self.scale = 1.0 / objective.sum_of_weights
        self.absent = objective.absent
        self.widen = objective.widen
        self.largest_change = objective.largest_change
        self.why_not_finite = objective.why_not_finite

    def __call__(self, W):
        """Return ``(value, gradient)`` at W."""
        value, gradient = self.objective(W)
        E = W - self.mean
        equation = "kfg,gk->fk" if self.precision.ndim == 3 else "kf,fk->fk"
        pull = self.scale * np.einsum(equation, self.precision, E)
        return value + 0.5 * float(np.vdot(E, pull)), gradient + pull

    def metric(self, W, level):
        """Return a function that multiplies by the inverse of the blocks of the Hessian."""
        blocks = self.objective.class_curvature(W, self.full)
        diagonal = np.einsum("kff->kf", blocks) if self.full else blocks
        if self.precision.ndim == blocks.ndim:
            blocks += self.precision
        else:
            diagonal += self.precision
        blocks *= self.scale
        diagonal[diagonal == 0.0] = 1.0
        if self.full:
            diagonal *= 1.0 + 1e-10
            try:
                solvers = [solver(block) for block in blocks]
            except LinAlgError:
                pass
            else:
                return lambda G: np.column_stack(
                    [solve(g) for solve, g in zip(solvers, G.T, strict=True)]
                )
        diagonal = diagonal.T.copy()
        return lambda G: G / diagonal
