"""What a stream has taught so far, as a Gaussian prior for its next batch."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import issparse

from sklkl._core.targets import one_hot
from sklkl._kernels._linear import PROBA, LinearRows
from sklkl._optimize.objective import Objective

# Numbers that full precision matrices may take, 64 MB; beyond, their diagonals are kept.
MAX_PRECISION = 1 << 23

# In standard deviations: how far the classes of a stream may be from what their shares so far
# let expect. In random streams of 14 kinds the largest value was 0.6 to 4 in the median, at
# most 5; where batches hold one class, five rows of another give more than 4.
MAX_SURPRISE = 4.0

# Rows of each class to begin with; of a class that comes late, few must have been expected.
FIRST_COUNT = 0.05

# For what a row then counts at least, as p (1 - p). Sorted streams of 2, 3 and 6 classes came
# nearest to a fit between 0.02 and 0.05.
FLOOR = 0.03


@dataclass
class Posterior:
    """Gaussian approximation of what the batches so far say of the coefficients.

    Attributes
    ----------
    mean : ndarray of shape (size, n_logits)
    precision : ndarray of shape (n_logits, size, size), or (n_logits, size)
        Of the coefficients of each class, or the diagonals; with the penalty.
    gram : ndarray of shape (size, size), or (size,)
        What batches would add to the precision if each ``p (1 - p)`` were 1.
    C : float
        Of the penalty.
    counts : ndarray of shape (n_classes,)
        Rows of each class.
    surplus, variance : ndarray of shape (n_classes,)
        By how many rows the counts exceed what the shares before each batch let expect, and
        the variance of that by chance.
    narrow : bool
        Whether the last batch had at most half of the classes, and two rows of each.
    """

    mean: np.ndarray
    precision: np.ndarray
    gram: np.ndarray
    C: float
    counts: np.ndarray
    surplus: np.ndarray
    variance: np.ndarray
    narrow: bool = False

    @classmethod
    def prior(cls, mean, n_features, C, *, full):
        """Return the L2 penalty around ``mean``, which leaves intercepts free."""
        size, n_logits = mean.shape
        ridge = np.zeros(size)
        ridge[:n_features] = 1.0 / C
        full = full and (n_logits + 1) * size**2 <= MAX_PRECISION
        one = np.diag(ridge) if full else ridge
        none = np.zeros(max(2, n_logits))
        return cls(mean, np.stack([one] * n_logits), np.zeros_like(one), C, none, none, none)

    @property
    def full(self):
        """Whether these are whole matrices."""
        return self.gram.ndim == 2

    @property
    def surprises(self):
        """The surplus of each class, in standard deviations of one row more."""
        return self.surplus / np.sqrt(self.variance + 1.0)

    @property
    def surprised(self):
        """Whether classes come otherwise than before."""
        return bool(np.abs(self.surprises).max() > MAX_SURPRISE)

    @property
    def forgetful(self):
        """Whether classes come otherwise than before, and few at a time or hardly counted."""
        precision = np.einsum("kff->kf", self.precision) if self.full else self.precision
        gram = np.einsum("ff->f", self.gram) if self.full else self.gram
        seen = gram > 0.0
        if not (self.surprised and seen.any()):
            return False
        if self.narrow:
            return True
        counted = np.median(precision[:, seen] / gram[seen], axis=1)
        return bool((counted < FLOOR).any())

    def with_counts(self, data, class_weight):
        """Return this with the rows of one more batch counted.

        Class weights and the scale of sample weights, which are no rows, are undone.
        """
        factors = np.array([(class_weight or {}).get(c, 1.0) for c in data.classes.tolist()])
        factors[factors == 0.0] = 1.0  # no weight is left of its rows
        y = one_hot(data.target, len(factors)) / factors
        mass = y.sum(axis=1)
        weight = mass * data.weight / data.weight.max()
        weight *= weight.sum() / np.vdot(weight, weight)
        batch = (weight / mass) @ y
        n = batch.sum()
        if not self.counts.any():
            return replace(self, counts=batch)
        first = self.counts + FIRST_COUNT
        share = first / first.sum()
        variance = n * share * (1.0 - share) * (1.0 + n / first.sum())
        return replace(
            self,
            counts=self.counts + batch,
            narrow=2 * np.count_nonzero(batch) <= min(len(batch), n),
            surplus=self.surplus + batch - n * share,
            variance=self.variance + variance,
        )


def _proba(X, W):
    return LinearRows(X, W.shape[1], len(W) > X.shape[1]).predict(W, PROBA).astype(np.float64)


class StreamObjective(Objective):
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
    """

    full_cost = 1.0

    def __init__(self, objective, data, posterior):
        self.objective = objective
        self.data = data
        self.posterior = posterior
        self.shape = objective.shape
        self.absent = objective.absent
        self.scale = 1.0 / objective.sum_of_weights
        # What was learned for certain may have been so only of the batches until then.
        floor = FLOOR if posterior.surprised else 0.0
        self.precision = posterior.precision + floor * posterior.gram

    def __call__(self, W):
        """Return ``(value, gradient)`` at W."""
        value, gradient = self.objective(W)
        E = W - self.posterior.mean
        equation = "kfg,gk->fk" if self.posterior.full else "kf,fk->fk"
        pull = self.scale * np.einsum(equation, self.precision, E)
        return value + 0.5 * float(np.vdot(E, pull)), gradient + pull

    def largest_change(self, direction):
        """See ``KLObjective.largest_change``."""
        return self.objective.largest_change(direction)

    def widen(self):
        """See ``KLObjective.widen``."""
        return self.objective.widen()

    def _products(self, h):
        """Return ``sum h_k x x'`` of each column of h, or the diagonals."""
        X = self.data.X
        ones = [np.ones((len(h), 1))] * (self.shape[0] - X.shape[1])
        if not self.posterior.full:
            squares = X.multiply(X).T @ h if issparse(X) else np.square(X, dtype=float).T @ h
            return np.vstack([squares, *(one.T @ h for one in ones)]).T
        X = np.hstack([X.toarray() if issparse(X) else X, *ones])
        return np.stack([(X * h_k[:, np.newaxis]).T @ X for h_k in h.T])

    def curvature(self, W):
        """Return the precision that the batch adds: blocks of its Hessian at W.

        A class k has the block ``sum s p_k (1 - p_k) x x'``. Blocks alone, without those
        between classes, miss a factor K / (K - 1) on coefficients that sum to 0, exactly so
        where all classes are equally probable, and always if there are two.
        """
        n_logits = self.shape[1]
        p = _proba(self.data.X, W)
        h = self.data.weight[:, np.newaxis] * p * (1.0 - p)
        return self._products(h[:, 1:] if n_logits == 1 else h * (n_logits / (n_logits - 1.0)))

    def metric(self, W, level):
        """Return a function that multiplies by the inverse of the blocks of the Hessian."""
        precision = self.scale * (self.precision + self.curvature(W))
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
        before = self.posterior
        if W.shape[1] > 1:
            # Predictions do not depend on the sum of intercepts; let it not drift.
            n_features = self.objective.n_features
            W = W.copy()  # it may be the mean of the posterior before, and read-only
            W[n_features:] -= W[n_features:].mean(axis=1, keepdims=True)
        return replace(
            before,
            mean=W,
            precision=before.precision + self.curvature(W),
            gram=before.gram + self._products(self.data.weight[:, np.newaxis])[0],
        )
