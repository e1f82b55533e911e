"""The student's objective: a sum over blocks of rows, and approximations of its Hessian."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklkl._kernels._linear import LinearRows

TINY = np.finfo(np.float64).tiny

# The full curvature takes n_features^2 numbers, and n_features^3 operations to factorise.
MAX_FULL_CURVATURE = 2000

# Numbers of float32 data that are converted to float64 at a time.
WIDE_SLICE = 1 << 22

# Beyond, the correlation of classes is left out of the curvature: it takes n_classes^2
# operations for each row.
MAX_CLASS_CORRELATION = 500


@dataclass(frozen=True)
class LossTerm:
    """What a model is to learn: ``sum(weight * D(target || softmax(logits / temperature)))``.

    Attributes
    ----------
    target : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, intp, or probabilities of the dtype of X.
    weight : ndarray of shape (n_samples,)
        float64.
    temperature : float
    divergence : str
        A key of ``sklkl._kernels._linear.DIVERGENCES``, "kl" if the target holds codes. "kl"
        counts the cross-entropy, "jensen_shannon" the divergence with ``parameter`` as the
        weight of the target in the mixture, divided by ``parameter * (1 - parameter)``.
    parameter : float
        Of "jensen_shannon" and "alpha": not 0 or 1, where these are KL divergences.
    """

    target: np.ndarray
    weight: np.ndarray
    temperature: float = 1.0
    divergence: str = "kl"
    parameter: float = 0.5


class KLObjective:
    r"""Penalised mean cross-entropy of the targets and a linear softmax model.

    With weights :math:`s_i`, :math:`S = \sum_i s_i`, coefficients W of shape
    (n_features [+ 1], n_logits), the intercept in the last row, and
    :math:`z_i = W^T [x_i, 1]`:

    .. math::
        f(W) = \frac{1}{S} \sum_i s_i H(y_i, \mathrm{softmax}(z_i))
               + \frac{\lambda}{2} \sum_{fk} W_{fk}^2, \quad
        \lambda = \frac{1 - \mathrm{l1\_ratio}}{C S}

    .. math::
        \frac{\partial f}{\partial W} = \frac{1}{S} \sum_i s_i
            [x_i, 1] (\mathrm{softmax}(z_i) - y_i)^T + \lambda W

    the intercept not penalised. The cross-entropy H is the KL divergence of the target to the
    model plus the entropy of the target, a constant. W has a column per class; a binary
    problem has one column, the logit of the second class, the logit of the first being 0.
    The loss may also be that of other divergences, and a sum of two: ``LossTerm``. The L1 part
    of an elastic net is not part of f; ``l1`` is its factor.

    Parameters
    ----------
    blocks : list
        Where the sums over rows come from; all that is asked of a block are two methods,
        ``objective(W)`` and ``curvature(W, full, products)``, as ``RowBlock`` has them.
    total_weight : float
        S, of the rows.
    entropy : float
        What the loss is at best, nats: the mean entropy of the targets.
    n_features, n_logits : int
        n_logits is 1 if binary.
    fit_intercept : bool
    C : float
        Inverse strength of the penalty, infinity for none.
    l1_ratio : float
        Share of L1 in the penalty.
    n_nonzeros : float
        Average number of entries of a row that take time.
    """

    def __init__(
        self,
        blocks,
        *,
        total_weight,
        entropy,
        n_features,
        n_logits,
        fit_intercept,
        C,
        l1_ratio=0.0,
        n_nonzeros=None,
    ):
        self.blocks = blocks
        self.total_weight = total_weight
        self.entropy = entropy
        self.n_features = n_features
        self.n_nonzeros = n_features if n_nonzeros is None else n_nonzeros
        self.shape = (n_features + fit_intercept, n_logits)
        self.set_penalty(C, l1_ratio)

    @property
    def binary(self):
        """Whether there is one logit for two classes."""
        return self.shape[1] == 1

    def set_penalty(self, C, l1_ratio):
        """Change the penalty; everything else stays."""
        self.penalty = (1.0 - l1_ratio) / (C * self.total_weight)
        self.l1 = l1_ratio / (C * self.total_weight)

    def __call__(self, W):
        """Return ``(value, gradient)`` at W, float64."""
        loss, gradient = self.blocks[0].objective(W)
        for block in self.blocks[1:]:
            more, of_block = block.objective(W)
            loss += more
            gradient += of_block
        gradient /= self.total_weight
        coef = W[: self.n_features]
        gradient[: self.n_features] += self.penalty * coef
        return loss / self.total_weight + self.penalty_at(W), gradient

    def widen(self):
        """Let blocks that compute in float32 go over to float64; return whether any did."""
        return any([getattr(block, "widen", bool)() for block in self.blocks])

    def penalty_at(self, W):
        """Return the smooth part of the penalty."""
        coef = W[: self.n_features]
        return 0.5 * self.penalty * float(np.vdot(coef, coef))

    def loss_at(self, W, value):
        """Return the mean KL divergence, given the value of the whole objective."""
        l1 = self.l1 * float(np.abs(W[: self.n_features]).sum())
        return max(0.0, value - self.penalty_at(W) - l1 - self.entropy)

    @property
    def full_cost(self):
        """Passes over the data that a full curvature costs, infinity if it is too large."""
        size, n_logits = self.shape
        if size > MAX_FULL_CURVATURE:
            return np.inf
        return size * size / (3.0 * (self.n_nonzeros + 1) * (n_logits + 3))

    def curvature(self, W, full):
        """Return a Kronecker-factored approximation ``M (x) A`` of the Hessian at W.

        Each row adds ``s (diag(p) - p p') (x) x x'`` to the Hessian. Its sum is approximated
        by the product of a sum of the first factor, M, and a sum of the second weighted by
        the trace of the first, A: exact for a binary problem and at W = 0. A takes away the
        scaling of X and dependence between features, M that of classes, which differ where
        some are rare. (The approximation is that of Martens and Grosse, 2015, for a layer
        of a network.)

        Returns
        -------
        A : ndarray of shape (size, size), or its diagonal (size,) unless ``full``
        M : ndarray of shape (n_logits, n_logits)
        """
        n_logits = self.shape[1]
        products = 1 < n_logits <= MAX_CLASS_CORRELATION
        total, A, M = self.blocks[0].curvature(W, full, products)
        for block in self.blocks[1:]:
            more, of_block, of_classes = block.curvature(W, full, products)
            total += more
            A += of_block
            if products:
                M += of_classes
        if products:
            M /= self.total_weight
            # The rows of M sum to 0: all logits may be shifted. Make that direction harmless.
            M += np.trace(M) / n_logits**2
        else:
            M = np.eye(n_logits) * (total / self.total_weight / max(1, n_logits - 1))
        return A / max(total, TINY), M

    def metric(self, W, full):
        """Return a function that multiplies arrays like W by an inverse curvature at W.

        The penalty is added to both factors, as if the other were its average.
        """
        A, M = self.curvature(W, full)
        diagonal = np.einsum("ii->i", A) if full else A
        mean_A = diagonal.mean() if self.n_features else 0.0
        mean_M = np.trace(M) / len(M)
        # A class that is never predicted has no curvature, nor a gradient to speak of.
        penalty = self.penalty / mean_A if mean_A > 0.0 and not self.binary else 0.0
        np.einsum("ii->i", M)[:] += penalty + 1e-6 * mean_M + TINY
        diagonal[: self.n_features] += self.penalty / (mean_M + TINY)
        # So has a feature that is always zero.
        diagonal[diagonal == 0.0] = 1.0
        of_classes = np.linalg.inv(M)
        if full:
            # For a Cholesky factor where features are linearly dependent; in float32, too.
            for ridge in (1e-10, 1e-5):
                diagonal *= 1.0 + ridge
                try:
                    factor = cho_factor(A, check_finite=False)
                except LinAlgError:
                    continue
                return lambda G: cho_solve(factor, G, check_finite=False) @ of_classes
            A = diagonal.copy()
        return lambda G: (G / A[:, None]) @ of_classes


class RowBlock:
    """Rows in memory, or in a memory map.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 or float64, any strides.
    terms : list of LossTerm
        One or two.
    n_logits : int
    fit_intercept : bool
    """

    def __init__(self, X, terms, n_logits, fit_intercept):
        # Weights of any size are ordinary numbers in float32, too.
        self.scale = float(max(term.weight.max() for term in terms))
        self.X = X
        self.terms = [replace(term, weight=term.weight / self.scale) for term in terms]
        self.model = (n_logits, fit_intercept)
        self.slices = [LinearRows(X, *self.model, self.terms)]

    def widen(self):
        """Compute in float64 from now on, a slice at a time; return whether that is new."""
        if self.X.dtype == np.float64 or callable(self.slices):
            return False
        self.slices = self._wide_slices
        return True

    def _wide_slices(self):
        n_samples, n_features = self.X.shape
        step = max(1, WIDE_SLICE // (n_features + 1))
        for start in range(0, n_samples, step):
            rows = slice(start, start + step)
            terms = [
                replace(term, target=_wide(term.target[rows]), weight=term.weight[rows])
                for term in self.terms
            ]
            yield LinearRows(self.X[rows].astype(np.float64), *self.model, terms)

    def objective(self, W):
        """Return the loss and its gradient; see ``LinearRows.objective``."""
        return self._sum("objective", W)

    def curvature(self, W, full, products):
        """Return total, Gram matrix and class products; see ``LinearRows.curvature``."""
        return self._sum("curvature", W, full, products)

    def _sum(self, method, *arguments):
        slices = self.slices() if callable(self.slices) else self.slices
        sums = None
        for rows in slices:
            parts = getattr(rows, method)(*arguments)
            sums = (
                parts
                if sums is None
                else [None if a is None else a + b for a, b in zip(sums, parts, strict=True)]
            )
        if self.scale == 1.0:
            return sums
        return tuple(None if part is None else part * self.scale for part in sums)


def _wide(target):
    return target.astype(np.float64) if target.ndim == 2 else target
