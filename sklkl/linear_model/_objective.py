"""The student's objective: a sum over blocks of rows, and approximations of its Hessian."""

from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import issparse

from sklkl._kernels._linear import LOG_ODDS, PROBA, LinearRows
from sklkl._optimize.objective import EXACT, FULL, TINY, Objective
from sklkl.divergences import entropy
from sklkl.linear_model._loss import stages_of


def objectives_of(data, divergence, *, temperature, fit_intercept, C, l1_ratio):
    """Return the objectives to minimise one after the other, each from the last solution.

    Parameters
    ----------
    data : Data
    divergence : Divergence
    temperature : float
        By which the coefficients of the minimiser have been divided.
    fit_intercept : bool
    C, l1_ratio : float

    Returns
    -------
    list of KLObjective
    """
    return [
        objective_of(
            data.X,
            terms,
            n_classes=len(data.classes),
            fit_intercept=fit_intercept,
            C=float(C),
            l1_ratio=float(l1_ratio),
            temperature=float(temperature),
        )
        for terms in stages_of(data, divergence, float(temperature))
    ]


def step_tolerance(tol, data, temperature):
    """Return the tolerance for steps of coefficients that are divided by the temperature.

    Logits are divided by it, too. Below 1 predictions at temperature 1 change less than those
    at the temperature of the targets, which have to be known as well as at 1, unless labels
    at temperature 1 outweigh them.
    """
    return tol / (max(temperature, 1.0) if data.labels is None else temperature)


def objective_of(X, terms, *, n_classes, fit_intercept, C, l1_ratio, temperature=1.0):
    """Return the objective of rows in memory, or in a memory map.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 or float64, any strides.
    terms : list of LossTerm
        One or two.
    n_classes : int
    fit_intercept : bool
    C, l1_ratio, temperature : float

    Returns
    -------
    KLObjective
    """
    n_samples, n_features = X.shape
    n_logits = 1 if n_classes == 2 else n_classes
    # Weights of any size become ordinary numbers, in float32, too.
    unit = float(max(term.weight.max() for term in terms))
    terms = [replace(term, weight=term.weight / unit) for term in terms]
    # The gradient of a term is divided by its temperature twice, if its target is, too.
    total_weight = sum(float(term.weight.sum()) / term.temperature**2 for term in terms)
    # Not weight @ ..., a call of BLAS whose threads would go on waiting actively for more.
    total_entropy = sum(
        float(np.sum(term.weight * entropy(term.target)))
        for term in terms
        if term.target.ndim == 2 and term.divergence == "kl"
    )
    return KLObjective(
        [RowBlock(X, terms, n_logits, fit_intercept)],
        total_weight=total_weight,
        unit=unit,
        entropy=total_entropy / total_weight,
        n_features=n_features,
        n_logits=n_logits,
        fit_intercept=fit_intercept,
        C=C,
        l1_ratio=l1_ratio,
        temperature=temperature,
        n_nonzeros=X.nnz / n_samples if issparse(X) else None,
        **_masses(terms, n_classes, total_weight) if fit_intercept else {},
    )


def _masses(terms, n_classes, total_weight):
    """Return the mean targets, weighted as in the gradient, and the sum of these weights."""
    mass = np.zeros(n_classes)
    for term in terms:
        if term.target.ndim == 1:
            of_term = np.bincount(term.target, term.weight, minlength=n_classes)
        else:
            of_term = np.einsum("i,ik->k", term.weight, term.target)
        mass += of_term / term.temperature
    total = mass.sum()
    forward = all(term.divergence == "kl" for term in terms)
    return {
        "mass": mass[1:] / total if n_classes == 2 else mass / total,
        "mass_weight": total / total_weight if forward else np.nan,
    }


# The full curvature takes n_features^2 numbers, and n_features^3 operations to factorise.
MAX_FULL_CURVATURE = 2000

# Numbers of float32 data that are converted to float64 at a time.
WIDE_SLICE = 1 << 22

# Beyond, the correlation of classes is left out of the curvature: it takes n_classes^2
# operations for each row.
MAX_CLASS_CORRELATION = 500

# Numbers, and rows, from which the mean of a feature is estimated, evenly spaced: it is to be
# near the mean in units of the spread, and no pass over X.
SAMPLE = 1 << 21
LEAST_SAMPLE, MOST_SAMPLE = 100, 4096

# Numbers in an array of the products of some rows.
HESSIAN_SLICE = 1 << 20

# Beyond, squares of coefficients would be lost or overflow.
MOST_PENALTY = 1e300

# Mean loss of labels below which all are predicted with certainty.
SEPARATED = 1e-12


class KLObjective(Objective):
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
        Where the sums over rows come from; all that is asked of a block are
        ``objective(W)``, ``curvature(W, full, products)``, ``hessian(W)`` and
        ``largest_change(direction)``, as ``RowBlock`` has them.
    total_weight : float
        S, of the rows, in this unit:
    unit : float, default=1.0
        The largest weight; weights of blocks are quotients.
    entropy : float
        What the loss is at best, nats: the mean entropy of the targets.
    n_features, n_logits : int
        n_logits is 1 if binary.
    fit_intercept : bool
    C : float
        Inverse strength of the penalty, infinity for none.
    l1_ratio : float
        Share of L1 in the penalty.
    temperature : float, default=1.0
        W holds the coefficients that are penalised, divided by the temperature, and f the
        objective of these, divided by its square: so the L1 norm is divided once.
    n_nonzeros : float
        Average number of entries of a row that take time.
    mass : ndarray of shape (n_logits,), default=None
        Mean targets of the classes of the columns, if there is an intercept.
    mass_weight : float, default=nan
        Sum of the weights that residuals have in the gradient, beside S; NaN if these are not
        differences of probabilities.
    """

    def __init__(
        self,
        blocks,
        *,
        total_weight,
        unit=1.0,
        entropy,
        n_features,
        n_logits,
        fit_intercept,
        C,
        l1_ratio=0.0,
        temperature=1.0,
        n_nonzeros=None,
        mass=None,
        mass_weight=np.nan,
    ):
        self.blocks = blocks
        self.center = None
        self.mass = np.full(n_logits, np.nan) if mass is None else mass
        self.mass_weight = mass_weight
        self.total_weight, self.unit = total_weight, unit
        self.entropy = entropy
        self.n_features = n_features
        self.n_nonzeros = n_features if n_nonzeros is None else n_nonzeros
        self.shape = (n_features + fit_intercept, n_logits)
        self.temperature = temperature
        self.set_penalty(C, l1_ratio)

    @property
    def binary(self):
        """Whether there is one logit for two classes."""
        return self.shape[1] == 1

    @property
    def sum_of_weights(self):
        """S in the unit of the user."""
        return self.total_weight * self.unit

    def set_penalty(self, C, l1_ratio):
        """Change the penalty; everything else stays."""
        penalty = min(1.0 / C / self.unit / self.total_weight, MOST_PENALTY)
        self.penalty = (1.0 - l1_ratio) * penalty
        self.l1 = l1_ratio * penalty / self.temperature

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

    def centered(self):
        """Return the same function of coefficients whose intercepts are logits at a center.

        For dense rows with an intercept: ``center``, of shape (n_features,), is then taken off
        every row, so that no digits are lost where a feature is far from zero.
        """
        if len(self.blocks) > 1 or self.shape[0] == self.n_features:
            return self
        block = self.blocks[0].centered()
        if block.center is None:
            return self
        objective = copy(self)
        objective.blocks, objective.center = [block], block.center.astype(np.float64)
        return objective

    def enter(self, W):
        """Return these coefficients, given those of the function before it was centered.

        Predictions do not depend on the sum over classes; 0 is where an L2 norm is least.
        """
        if self.shape[1] > 1 and self.l1 == 0.0:
            W = W - W.mean(axis=1, keepdims=True)
        return self._shifted(W, 1.0)

    def leave(self, W):
        """Return those of the function before it was centered.

        Nothing determines the sum of the intercepts of classes: it becomes 0.
        """
        W = self._shifted(W, -1.0)
        if self.shape[1] > 1:
            intercepts = W[self.n_features :]
            W = np.vstack(
                [W[: self.n_features], intercepts - intercepts.mean(axis=1)[:, None]]
            )
        return W

    def _shifted(self, W, sign):
        if self.center is None:
            return W
        return np.vstack([W[:-1], W[-1] + sign * (self.center @ W[:-1])])

    @property
    def unattained(self):
        """What the value comes near to only if coefficients grow without end, or -inf.

        Labels alone, without a penalty, can be predicted ever better if they are separable.
        """
        unbounded = self.penalty == 0.0 and self.l1 == 0.0 and self.entropy == 0.0
        return SEPARATED if unbounded else -np.inf

    @property
    def absent(self):
        """Which columns belong to classes without any target: their logits have no optimum."""
        if self.binary:
            return (self.mass <= 0.0) | (self.mass >= 1.0 - 1e-15)
        return self.mass == 0.0

    def rates(self, gradient):
        """Return the mean predictions of the classes, which the intercepts' gradient tells.

        Of two classes those of both; none if there is no intercept or another divergence than
        forward KL.
        """
        rates = gradient[-1] / self.mass_weight + self.mass
        rates = np.append(rates, 1.0 - rates) if self.binary else rates
        return rates[rates > 0.0] if np.isfinite(rates).all() else rates[:0]

    def largest_change(self, direction):
        """Return by how much a step changes the log-odds of two classes of a row at most."""
        if self.absent.all():
            return 0.0
        if self.absent.any():
            direction = direction.copy()
            direction[:, self.absent] = direction[:, [np.argmin(self.absent)]]
        return float(np.max([block.largest_change(direction) for block in self.blocks]))

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

    @property
    def exact_cost(self):
        """Passes over the data that the Hessian itself costs, infinity if it is too large."""
        size, n_logits = self.shape
        if n_logits == 1 or size * n_logits > MAX_FULL_CURVATURE:
            return np.inf
        return (size * n_logits) ** 2 / (2.0 * (self.n_nonzeros + 1) * (n_logits + 3))

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

    def metric(self, W, level):
        """Return a function that multiplies arrays like W by an inverse curvature at W.

        ``level`` is DIAGONAL, of the diagonal of A; FULL, of A and M, to both of which the
        penalty is added as if the other were its average; or EXACT, of the Hessian.
        """
        if level == EXACT:
            return self._exact_metric(W)
        return self.metric_of(*self.curvature(W, level == FULL))

    def metric_of(self, A, M):
        """Return the metric of a curvature, whose arrays it changes."""
        full = A.ndim == 2
        diagonal = np.einsum("ii->i", A) if full else A
        mean_A = diagonal.mean() if self.n_features else 0.0
        mean_M = np.trace(M) / len(M)
        of_features, of_classes = self._penalties(mean_A, mean_M)
        # A class that is never predicted has no curvature, nor a gradient to speak of.
        np.einsum("ii->i", M)[:] += of_classes + 1e-6 * np.diag(M) + TINY
        diagonal[: self.n_features] += of_features
        # So has a feature that is always zero.
        diagonal[diagonal == 0.0] = 1.0
        M = np.linalg.inv(M)
        if full:
            # For a Cholesky factor where features are linearly dependent; in float32, too.
            for ridge in (1e-10, 1e-5):
                diagonal *= 1.0 + ridge
                try:
                    factor = cho_factor(A, check_finite=False)
                except LinAlgError:
                    continue
                return lambda G: cho_solve(factor, G, check_finite=False) @ M
            A = diagonal.copy()
        return lambda G: (G / A[:, None]) @ M

    def _penalties(self, mean_A, mean_M):
        """Return what to add to A and to M, so that their product has about the penalty more.

        The penalty of a class is to be right within a factor of two, and the curvature of its
        intercept, which has no penalty, too: what M gets is at most its average.
        """
        if self.binary:
            return self.penalty / (mean_M + TINY), 0.0
        if not mean_A * mean_M > self.penalty * TINY:
            return (np.sqrt(self.penalty),) * 2
        of_classes = min(self.penalty / mean_A, mean_M)
        return self.penalty / (mean_M + of_classes), of_classes

    def _exact_metric(self, W):
        size, n_logits = self.shape
        hessian = sum(block.hessian(W) for block in self.blocks) / self.total_weight
        H = hessian.reshape(n_logits, size, n_logits, size)
        # All logits may be shifted; make that direction harmless, as in ``curvature``.
        shift = np.einsum("kfkf->f", H) / n_logits**2
        np.einsum("kflf->klf", H)[:] += shift
        diagonal = np.einsum("ii->i", hessian)
        diagonal.reshape(n_logits, size)[:, : self.n_features] += self.penalty
        diagonal[diagonal == 0.0] = 1.0
        diagonal *= 1.0 + 1e-10
        try:
            factor = cho_factor(hessian, check_finite=False)
        except LinAlgError:
            return self.metric(W, FULL)
        solved = partial(cho_solve, factor, check_finite=False)
        return lambda G: solved(G.T.ravel()).reshape(G.T.shape).T


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

    center = None

    def __init__(self, X, terms, n_logits, fit_intercept):
        self.X, self.terms = X, terms
        self.model = (n_logits, fit_intercept)
        self.slices = [self._rows(slice(None))]

    def _rows(self, rows, dtype=None):
        whole = rows == slice(None)
        terms = [
            term
            if whole
            else replace(term, target=_wide(term.target[rows]), weight=term.weight[rows])
            for term in self.terms
        ]
        X = self.X if whole else self.X[rows].astype(dtype)
        return LinearRows(X, *self.model, terms, self.center)

    def centered(self):
        """Return the block with the means of some rows taken off every row, if X is dense.

        A constant feature becomes exactly zero.
        """
        if issparse(self.X) or self.X.shape[1] == 0:
            return self
        weight = sum(term.weight / term.temperature**2 for term in self.terms)
        rows = np.flatnonzero(weight > 0.0)
        most = int(np.clip(SAMPLE // self.X.shape[1], LEAST_SAMPLE, MOST_SAMPLE))
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]
        sample = self.X[rows]
        center = np.einsum("i,if->f", weight[rows], sample) / weight[rows].sum()
        center = center.astype(self.X.dtype)
        constant = (sample == sample[0]).all(axis=0)
        center[constant] = sample[0, constant]
        center[~np.isfinite(center)] = 0.0
        if not center.any():
            return self
        block = copy(self)
        block.center = center
        block.slices = [block._rows(slice(None))]
        return block

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
            yield self._rows(slice(start, start + step), np.float64)

    def hessian(self, W):
        """Return the Hessian of the loss, (n_logits * size, n_logits * size), class by class.

        With two terms as ``LinearRows.curvature``. Not for a single logit, where the curvature
        is that.
        """
        n_logits, fit_intercept = self.model
        n_samples, n_features = self.X.shape
        size = n_features + fit_intercept
        hessian = np.zeros((n_logits * size, n_logits * size))
        step = max(1, HESSIAN_SLICE // (n_logits * size))
        for start in range(0, n_samples, step):
            rows = slice(start, start + step)
            X = self.X[rows]
            X = (X.toarray() if issparse(X) else X).astype(np.float64)
            if self.center is not None:
                X -= self.center
            for term in self.terms:
                V = W / term.temperature
                proba = LinearRows(X, n_logits, fit_intercept).predict(V, PROBA)
                add_curvature(
                    hessian,
                    np.hstack([X, np.ones((len(X), 1))]) if fit_intercept else X,
                    proba,
                    term.weight[rows] / term.temperature**2,
                )
        return hessian

    def largest_change(self, direction):
        """Return the largest log-odds of rows with a weight, for logits without a target."""
        largest = 0.0
        start = 0
        for rows in self.slices() if callable(self.slices) else self.slices:
            change = rows.predict(direction, LOG_ODDS)[:, 0]
            here = slice(start, start := start + len(change))
            counted = np.any([term.weight[here] > 0.0 for term in self.terms], axis=0)
            largest = np.maximum(largest, change.max(initial=0.0, where=counted))
        return float(largest)

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
        return sums


def _wide(target):
    return target.astype(np.float64) if target.ndim == 2 else target


def add_curvature(hessian, X, proba, weight):
    """Add the sum of ``weight (diag(p) - p p') (x) x x'`` over rows to ``hessian``.

    Parameters
    ----------
    hessian : ndarray of shape (n_logits * size, n_logits * size)
        A block of rows and columns for each logit.
    X : ndarray of shape (n_samples, size)
    proba : ndarray of shape (n_samples, n_logits)
        Without those of a class whose logit is 0.
    weight : ndarray of shape (n_samples,)
    """
    size = X.shape[1]
    of_rows = row_products(np.sqrt(weight)[:, np.newaxis] * proba, X)
    hessian -= of_rows.T @ of_rows
    for k, p in enumerate(proba.T):
        block = slice(k * size, (k + 1) * size)
        hessian[block, block] += (X * (weight * p)[:, np.newaxis]).T @ X


def row_products(A, X):
    """Return the Kronecker product of each row of A and of X."""
    return (A[:, :, np.newaxis] * X[:, np.newaxis, :]).reshape(len(X), -1)
