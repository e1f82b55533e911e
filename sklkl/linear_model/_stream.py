"""What a stream has taught so far, as a Gaussian prior for its next batch."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import issparse

from sklkl._kernels._linear import PROBA, LinearRows

# Numbers that full precision matrices may take, 64 MB; beyond, their diagonals are kept.
MAX_PRECISION = 1 << 23


@dataclass
class Posterior:
    """Gaussian approximation of what the batches so far say of the coefficients.

    Attributes
    ----------
    mean : ndarray of shape (size, n_logits)
    precision : ndarray of shape (n_logits, size, size), or (n_logits, size)
        Of the coefficients of each class, or the diagonals.
    """

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def prior(cls, mean, n_features, *, full):
        """Return the L2 penalty around ``mean``, which leaves intercepts free."""
        size, n_logits = mean.shape
        ones = np.ones(size)
        ones[n_features:] = 0.0
        full = full and n_logits * size**2 <= MAX_PRECISION
        one = np.diag(ones) if full else ones
        return cls(mean, np.repeat(one[np.newaxis], n_logits, axis=0))

    @property
    def full(self):
        """Whether these are whole matrices."""
        return self.precision.ndim == 3

    def times(self, E):
        """Multiply coefficients (size, n_logits) by the precision."""
        equation = "kfg,gk->fk" if self.full else "kf,fk->fk"
        return np.einsum(equation, self.precision, E)


class StreamObjective:
    """Objective of one batch: its mean KL divergence, and the posterior before as a prior.

    With the prior of the first batch, the penalty, this is the objective of ``fit``.

    Parameters
    ----------
    objective : KLObjective
        Of the batch, without penalty.
    data : Data
        The batch.
    posterior : Posterior
        What the batches before it have taught.
    C : float
    """

    full_cost = 1.0
    exact_cost = np.inf
    l1 = 0.0
    center = None
    unattained = -np.inf

    def __init__(self, objective, data, posterior, C):
        self.objective = objective
        self.data = data
        self.posterior = posterior
        self.scale = 1.0 / (C * objective.total_weight)
        self.shape, self.n_features = objective.shape, objective.n_features
        self.absent = objective.absent

    def __call__(self, W):
        """Return ``(value, gradient)`` at W."""
        value, gradient = self.objective(W)
        E = W - self.posterior.mean
        pull = self.scale * self.posterior.times(E)
        return value + 0.5 * float(np.vdot(E, pull)), gradient + pull

    def rates(self, gradient):
        """Return no mean predictions: the gradient of the prior is in it."""
        return gradient[:0, 0]

    def centered(self):
        """Return itself: what earlier batches have taught is not centered."""
        return self

    def largest_change(self, direction):
        """See ``KLObjective.largest_change``."""
        return self.objective.largest_change(direction)

    def widen(self):
        """See ``KLObjective.widen``."""
        return self.objective.widen()

    def curvature(self, W):
        """Return the precision that the batch adds: blocks of its Hessian at W, times C.

        A class k has the block ``sum s p_k (1 - p_k) x x'``. Blocks alone, without those
        between classes, miss a factor K / (K - 1) on coefficients that sum to 0, exactly so
        where all classes are equally probable, and always if there are two.
        """
        size, n_logits = self.shape
        X, weight = self.data.X, self.data.weight / (self.scale * self.objective.total_weight)
        p = LinearRows(X, n_logits, size > X.shape[1]).predict(W, PROBA).astype(np.float64)
        h = weight[:, np.newaxis] * p * (1.0 - p)
        h = h[:, 1:] if n_logits == 1 else h * (n_logits / (n_logits - 1.0))
        ones = [np.ones((len(h), 1))] * (size - X.shape[1])
        if not self.posterior.full:
            squares = X.multiply(X).T @ h if issparse(X) else np.square(X, dtype=float).T @ h
            return np.vstack([squares, *(one.T @ h for one in ones)]).T
        X = np.hstack([X.toarray() if issparse(X) else X, *ones])
        return np.stack([(X * h_k[:, np.newaxis]).T @ X for h_k in h.T])

    def metric(self, W, level):
        """Return a function that multiplies by the inverse of the blocks of the Hessian."""
        precision = self.scale * (self.posterior.precision + self.curvature(W))
        if not self.posterior.full:
            return lambda G: G / np.where(precision == 0.0, 1.0, precision).T
        diagonal = np.einsum("kff->kf", precision)
        diagonal[diagonal == 0.0] = 1.0
        diagonal *= 1.0 + 1e-10
        try:
            factors = [cho_factor(block, check_finite=False) for block in precision]
        except LinAlgError:
            diagonal = diagonal.T.copy()
            return lambda G: G / diagonal
        return lambda G: np.column_stack(
            [cho_solve(f, g, check_finite=False) for f, g in zip(factors, G.T, strict=True)]
        )

    def posterior_at(self, W):
        """Return what this batch and those before have taught, given its minimiser W."""
        if W.shape[1] > 1:
            # Predictions do not depend on the sum of intercepts; let it not drift.
            n_features = self.objective.n_features
            W = W.copy()  # it may be the mean of the posterior before, and read-only
            W[n_features:] -= W[n_features:].mean(axis=1, keepdims=True)
        return Posterior(W, self.posterior.precision + self.curvature(W))
