"""The Gaussian prior of the next batch of a stream: the posterior of all batches before."""

from dataclasses import dataclass, replace

import numpy as np

from sklkl._core.targets import apply_class_factors, class_mass
from sklkl._optimize.prior import WithPrior

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
    """Gaussian approximation of the coefficients, given the batches so far."""

    mean: np.ndarray  # (size, n_logits)
    # Of the coefficients of each class, with the penalty: (n_logits, size, size), or the
    # diagonals (n_logits, size).
    precision: np.ndarray
    # (size, size) or (size,): what batches would add to the precision if all p (1 - p) were 1.
    gram: np.ndarray
    C: float  # of the penalty
    counts: np.ndarray  # (n_classes,), rows of each class
    # (n_classes,): by how many rows the counts exceed what the shares before each batch let
    # expect, and the variance of this surplus by chance.
    surplus: np.ndarray
    variance: np.ndarray
    narrow: bool = False  # the last batch had at most half of the classes, two rows of each

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
        """True if precisions are whole matrices."""
        return self.gram.ndim == 2

    @property
    def surprises(self):
        """The surplus of each class, in standard deviations of one row more."""
        return self.surplus / np.sqrt(self.variance + 1.0)

    @property
    def surprised(self):
        """True if classes come otherwise than before."""
        return bool(np.abs(self.surprises).max() > MAX_SURPRISE)

    @property
    def forgetful(self):
        """True if ``surprised``, and classes come few at a time or hardly counted."""
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
        weight = data.weight / data.weight.max()
        target, weight = apply_class_factors(1.0 / factors, data.target, weight)
        weight *= weight.sum() / np.vdot(weight, weight)
        batch = class_mass(target, weight, len(factors))
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

    def objective(self, batch):
        """Return the objective of one batch: its mean KL divergence plus this as a prior.

        With the prior of the first batch, the penalty, this is the objective of ``fit``.

        Parameters
        ----------
        batch : KLObjective
            The loss of the batch, without penalty.
        """
        # What was learned for certain may have been so only of the batches until then.
        floor = FLOOR if self.surprised else 0.0
        precision = self.precision + floor * self.gram
        return WithPrior(batch, self.mean, precision, full=self.full, full_cost=1.0)

    def after(self, batch, W):
        """Return the approximation after a batch, given the minimiser W of its objective."""
        if W.shape[1] > 1:
            # Predictions do not depend on the sum of intercepts; let it not drift.
            W = W.copy()  # it may be the mean of the posterior before, and read-only
            intercepts = W[batch.n_features :]
            intercepts -= intercepts.mean(axis=1, keepdims=True)
        return replace(
            self,
            mean=W,
            precision=self.precision + batch.class_curvature(W, self.full),
            gram=self.gram + batch.gram(self.full),
        )
