"""What rows tell once, before a fit: sums that depend on no coefficients, and a center."""

from dataclasses import dataclass, replace

import numpy as np

from sklkl._optimize.objective import TINY

# Numbers, and rows, from which the mean of a feature is estimated, evenly spaced: it is to be
# near the mean in units of the spread, and no pass over X.
SAMPLE = 1 << 21
LEAST_SAMPLE, MOST_SAMPLE = 100, 4096

# Multiplications of a dense row in the time that one pair of stored entries takes, 20 ns.
PAIR = 150


@dataclass(frozen=True)
class Stats:
    """Sums over all rows that do not depend on coefficients."""

    n_samples: int
    n_features: int
    n_stored: float  # mean number of stored entries per row, the cost of a pass
    # The largest weight of a row in a term. Every other sum, and every sum that ``Rows``
    # return, is of weights divided by it, which are ordinary numbers, in float32, too.
    unit: float
    weight: float  # sum of weights; a term divides its own by its temperature²
    squares: float  # sum of the squares of what rows have in ``weight``
    # (n_classes,): sum of the targets with the weights that they have in the gradient, which
    # are the weights of a term divided by its temperature. What is left in buckets is no
    # class's: one that nothing else has has no optimum.
    mass: np.ndarray
    entropy: float  # sum of the weighted entropies of targets of forward KL, nats
    # Whether every divergence is forward KL to a whole distribution, without a bucket, so that
    # the gradient of the intercepts is the difference of summed predictions and ``mass``.
    forward: bool

    @property
    def in_pairs(self):
        """Whether adding up ``x x'`` pair by pair of stored entries is faster."""
        size = self.n_features + 1
        return PAIR * (self.n_stored + 1.0) ** 2 < size**2

    def __add__(self, other):
        """Return the sums over these rows and others, in the same unit."""
        n_samples = self.n_samples + other.n_samples
        n_stored = self.n_samples * self.n_stored + other.n_samples * other.n_stored
        return replace(
            self,
            n_samples=n_samples,
            n_stored=n_stored / max(1, n_samples),
            weight=self.weight + other.weight,
            squares=self.squares + other.squares,
            mass=self.mass + other.mass,
            entropy=self.entropy + other.entropy,
            forward=self.forward and other.forward,
        )


@dataclass(frozen=True)
class Center:
    """What evenly spaced rows of positive weight tell about the mean of each feature."""

    weight: float
    total: np.ndarray  # (n_features,), weighted sum, float64
    least: np.ndarray
    most: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """Return that of some rows, an array of NumPy, and their weights."""
        total = np.einsum("i,if->f", weight, X, dtype=np.float64)
        ends = X.min(axis=0, initial=np.inf), X.max(axis=0, initial=-np.inf)
        return cls(float(weight.sum()), total, *ends)

    def __add__(self, other):
        """Return the same of these rows and others."""
        return Center(
            self.weight + other.weight,
            self.total + other.total,
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
        )

    @property
    def value(self):
        """The mean, 0 if not finite, in the dtype of X; None if every one is 0.

        A constant feature becomes exactly zero.
        """
        with np.errstate(invalid="ignore"):
            mean = (self.total / max(self.weight, TINY)).astype(self.least.dtype)
        mean = np.where(self.least == self.most, self.least, mean)
        mean[~np.isfinite(mean)] = 0.0
        return mean if mean.any() else None


def most_of_center(n_features):
    """Return of how many rows at most a center is the mean."""
    return int(np.clip(SAMPLE // max(1, n_features), LEAST_SAMPLE, MOST_SAMPLE))


def evenly(rows, most):
    """Return at most so many row numbers, evenly spaced."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]
