"""The student's objective: sums over rows, the penalty, and approximations of its Hessian."""

from copy import copy

import numpy as np
from scipy.linalg import LinAlgError

from sklkl._core.lazy import lazy
from sklkl._optimize.cholesky import solver
from sklkl._optimize.objective import EXACT, FULL, TINY, Objective
from sklkl.linear_model._loss import KL


def objectives_of(
    data, divergence, *, temperature, fit_intercept, C, l1_ratio, feature_names=None
):
    """Return the ``KLObjective`` to minimise one after the other, each from the last solution.

    The coefficients of the minimiser have been divided by the temperature. ``feature_names()``
    returns what messages call the features.
    """
    fixed = {"C": float(C), "l1_ratio": float(l1_ratio), "temperature": float(temperature)}
    names = data.classes, feature_names
    return [
        KLObjective(rows, **fixed, names=names)
        for rows in data.stages(divergence, float(temperature), fit_intercept)
    ]


def kl_objective(data, fit_intercept):
    """Return the mean KL objective of the target of ``Data``, without a penalty."""
    (rows,) = data.stages(KL, 1.0, fit_intercept)
    return KLObjective(rows, C=np.inf)


def step_tolerance(tol, data, temperature):
    """Return the tolerance for steps of coefficients that are divided by the temperature.

    Logits are divided by it, too. Below 1 predictions at temperature 1 change less than those
    at the temperature of the targets, which have to be known as well as at 1, unless labels
    at temperature 1 outweigh them.
    """
    return tol / (temperature if data.labelled else max(temperature, 1.0))


# The full curvature takes n_features^2 numbers, and n_features^3 operations to factorise.
MAX_FULL_CURVATURE = 2000

# Beyond, the correlation of classes is left out of the curvature, as it takes n_classes^2
# operations for each row; how frequent they are is not.
MAX_CLASS_CORRELATION = 500

# Numbers that the blocks of the Hessian, one for each class, may take, 64 MB. They serve then
# instead of a product.
MAX_BLOCKS = 1 << 23

# Rows that a sample has for each coefficient of a logit: its Hessian is then within about a
# fifth of that of all rows.
SAMPLE_ROWS = 80

# Every how many rows one is taken, the largest that leaves so many. Primes, since rows may
# come in turns: as those of a year, or once for each class.
STRIDES = (61, 31, 17, 11, 7)

# Numbers, about, that a pass over rows takes, below which calls cost more than a sample saves.
LEAST_PASS = 4_000_000

# What a pass over hardly any rows costs, in units of multiplications: the call.
CALL = 500_000

# Multiplications for blocks in the time of one in a pass: 20 to 100 features, 1000 classes.
BLOCK = 2.0

# Multiplications of a pass over sparse rows in the time of a pair of stored entries.
SPARSE_PAIR = 17

# Beyond, squares of coefficients would be lost or overflow.
MOST_PENALTY = 1e300

# Mean loss of labels below which all are predicted with certainty; and, where an offset does
# that, below which products of the small probabilities that are left would underflow.
SEPARATED, LOST = 1e-12, 1e-300

# C times the largest weight from which on a penalty is as good as none for separable classes;
# and log-odds of a row that are reason enough then to ask whether they are.
WEAK, CERTAIN = 1e6, 10.0

# Classes, and features of each, that a message names.
MOST_NAMED = 5


def sample_stride(n_samples, size):
    """Return every how many rows one is taken, for coefficients of this size; or None."""
    return next((s for s in STRIDES if n_samples >= SAMPLE_ROWS * size * s), None)


class KLObjective(Objective):
    r"""Penalised mean cross-entropy of the targets and a linear softmax model.

    With weights :math:`s_i`, :math:`S = \sum_i s_i`, coefficients W of shape
    (n_features [+ 1], n_logits), the intercept in the last row, and
    :math:`z_i = W^T [x_i, 1]`, plus the offset of the row where there is one:

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
    Other divergences may take the place of H, and the loss may be a sum of two: see
    ``LossTerm``. The L1 part
    of an elastic net is not part of f; ``l1`` is its factor.

    Parameters
    ----------
    rows : Rows
        Where the sums over rows come from; S is ``stats.weight`` times ``stats.unit``.
    C : float
        Inverse strength of the penalty, infinity for none.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty.
    temperature : float, default=1.0
        W holds the coefficients that are penalised, divided by the temperature, and f the
        objective of the penalised ones, divided by its square: so the L1 norm is divided once.
    names : tuple, default=None
        The classes, and a function that returns the names of the features, or None; for
        messages.

    Attributes
    ----------
    entropy : float
        What the loss is at best, nats: the mean entropy of the targets.
    mass : ndarray of shape (n_logits,)
        Mean targets of the classes of the columns; NaN without an intercept.
    mass_weight : float
        Sum of the weights that residuals have in the gradient, beside S; NaN if these are not
        differences of probabilities.
    """

    def __init__(self, rows, *, C, l1_ratio=0.0, temperature=1.0, names=None):
        self.shape, self.temperature, self.names = rows.shape, temperature, names
        self._sum_up(rows)
        self.set_penalty(C, l1_ratio)

    def _sum_up(self, rows):
        """Take what does not depend on coefficients from the rows."""
        self.rows = rows
        stats, n_logits = rows.stats, rows.shape[1]
        self.n_features, self.n_stored = stats.n_features, stats.n_stored
        self.unit, self.total_weight = stats.unit, stats.weight
        self.entropy = stats.entropy / self.total_weight
        self.mass, self.mass_weight = np.full(n_logits, np.nan), np.nan
        if self.shape[0] > self.n_features:
            total = stats.mass.sum()
            self.mass = (stats.mass[1:] if self.binary else stats.mass) / total
            self.mass_weight = total / self.total_weight if stats.forward else np.nan

    @lazy
    def sample(self):
        """The same function of evenly spaced rows, with the same penalty."""
        size, n_logits = self.shape
        stats = self.rows.stats
        if stats.n_samples * (self.n_stored + 8) * (n_logits + 1) < LEAST_PASS:
            return None
        if not stats.forward:
            return None  # beside other divergences a linear function may have no minimum
        # Rows of equal weight that would tell as much (Kish, 1965).
        stride = sample_stride(stats.weight**2 / max(stats.squares, TINY), size)
        if stride is None:
            return None
        sample = copy(self)
        sample._sum_up(self.rows.every(stride))
        vars(sample)["sample"] = None
        return sample if self._resembles(sample) else None

    def _resembles(self, sample):
        """Return whether no class is more than twice as frequent here, or there."""
        mass, others = self.rows.stats.mass, sample.rows.stats.mass
        mass, others = mass * others.sum(), others * mass.sum()
        return bool(np.all((mass <= 2.0 * others) & (others <= 2.0 * mass)) and others.any())

    @property
    def binary(self):
        """True if there is one logit for two classes."""
        return self.shape[1] == 1

    @property
    def sum_of_weights(self):
        """S in the unit of the user."""
        return self.total_weight * self.unit

    def set_penalty(self, C, l1_ratio):
        """Change the penalty; everything else stays."""
        self.weak = float(C) * float(self.unit) >= WEAK  # inf without a warning
        penalty = min(1.0 / C / self.unit / self.total_weight, MOST_PENALTY)
        self.penalty = (1.0 - l1_ratio) * penalty
        self.l1 = l1_ratio * penalty / self.temperature
        vars(self).pop("sample", None)

    def __call__(self, W):
        """Return ``(value, gradient)`` at W, float64."""
        loss, gradient = self.rows.objective(W)
        gradient /= self.total_weight
        coef = W[: self.n_features]
        gradient[: self.n_features] += self.penalty * coef
        return loss / self.total_weight + self.penalty_at(W), gradient

    def centered(self):
        """Return the same function of coefficients whose intercepts are logits at a center.

        For dense rows with an intercept: ``center``, of shape (n_features,), is then taken off
        every row, so that no digits are lost where a feature is far from zero.
        """
        if self.shape[0] == self.n_features:
            return self
        rows = self.rows.centered()
        if rows.center is None:
            return self
        objective = copy(self)
        objective.rows = rows
        vars(objective).pop("sample", None)
        return objective

    def enter(self, W):
        """Return the coefficients W of the function before it was centered for this one.

        Predictions do not depend on the sum over classes; 0 is where an L2 norm is least.
        """
        if self.shape[1] > 1 and self.l1 == 0.0:
            W = W - W.mean(axis=1, keepdims=True)
        return self._shifted(W, 1.0)

    def leave(self, W):
        """Return the coefficients of the function before it was centered, given these.

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
        if self.rows.center is None:
            return W
        center = self.rows.center.astype(np.float64)
        return np.vstack([W[:-1], W[-1] + sign * (center @ W[:-1])])

    def uncertain(self):
        """Return the function without offsets, which may leave no curvature at 0."""
        if self.rows.offset is None:
            return self
        objective = copy(self)
        objective.rows = self.rows.without_offset()
        return objective

    @property
    def unattained(self):
        """Values up to this one have no optimum that could be found; -inf if all have.

        Labels alone, without a penalty, can be predicted ever better if they are separable;
        but an offset may predict them so without any coefficients.
        """
        if self.penalty > 0.0 or self.l1 > 0.0 or self.entropy != 0.0:
            return -np.inf
        return SEPARATED if self.rows.offset is None else LOST

    def separated(self, W):
        """Return a message if classes are separable, and no penalty to speak of holds W."""
        looked_at = self.weak and self.rows.stats.forward and self.names is not None
        if not looked_at or self.largest_change(W) < CERTAIN:
            return None
        found = self.rows.separation(W)
        if found is None:
            return None
        classes, feature_names = self.names
        of_classes = classes.tolist()
        names = None if feature_names is None else feature_names().tolist()

        def features(numbers):
            known = [repr(f"x{f}" if names is None else names[f]) for f in numbers]
            more = f" and {len(known) - MOST_NAMED} others" * (len(known) > MOST_NAMED)
            return ", ".join(known[:MOST_NAMED]) + more

        what = [
            f"by {features(own)}{', each alone,' * (len(own) > 1)} no row of class "
            f"{of_classes[k]!r} lies {side} one of another class"
            for k, side, own in found.alone[:MOST_NAMED]
        ]
        if not what:
            several = ", ".join(repr(of_classes[k]) for k in found.classes[: 2 * MOST_NAMED])
            what = [f"{several} by {features(found.features)} together"]
        end = (
            "Without a penalty there is no optimum: the coefficients found are where the fit "
            "has ended, and would grow without end"
            if self.penalty == self.l1 == 0.0
            else "The penalty is so weak that it alone determines how large coefficients are"
        )
        return (
            f"The classes are separable: {'; '.join(what)}. {end}. Penalise them (a smaller "
            "C, as 1), or do without these features or classes."
        )

    @property
    def absent(self):
        """True for columns of classes without any target, whose logits have no optimum."""
        if self.binary:
            return (self.mass <= 0.0) | (self.mass >= 1.0 - 1e-15)
        return self.mass == 0.0

    def rates(self, gradient):
        """Return the mean predictions of all classes, from the gradient of the intercepts.

        Empty without an intercept, or with another divergence than forward KL.
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
        return self.rows.largest_change(direction)

    def widen(self):
        """Let rows that compute in float32 go over to float64; return whether they did."""
        return self.rows.widen()

    def why_not_finite(self):
        """Return a message about a value that is not finite."""
        return self.rows.why_not_finite() or (
            "The objective overflows: scale X, whose numbers are too large, or take a "
            "divergence that small probabilities do not make so large (alpha below 1)."
        )

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
        of_row = size * size / 3.0
        if self.in_blocks:
            of_row = n_logits * size * size / BLOCK
        elif self.rows.stats.in_pairs:
            of_row = SPARSE_PAIR * (self.n_stored + 1) ** 2
        return of_row / ((self.n_stored + 1) * (n_logits + 3))

    @property
    def in_blocks(self):
        """True if a full curvature consists of a block for each of many classes.

        A class of many is probable in a few rows, of which the average over all rows tells
        little.
        """
        size, n_logits = self.shape
        return n_logits > MAX_CLASS_CORRELATION and n_logits * size * size <= MAX_BLOCKS

    @property
    def exact_cost(self):
        """Passes over the data that the Hessian itself costs, infinity if it is too large."""
        size, n_logits = self.shape
        if n_logits == 1 or size * n_logits > MAX_FULL_CURVATURE:
            return np.inf
        of_row = (size * n_logits) ** 2 / 2.0
        if self.rows.stats.in_pairs:
            of_row = (SPARSE_PAIR + n_logits**2 / 2.0) * (self.n_stored + 1) ** 2
        return of_row / ((self.n_stored + 1) * (n_logits + 3))

    @property
    def newton_cost(self):
        """The same in calls, which take their time where there are hardly any rows.

        Infinity where the curvature is not the Hessian: beside other divergences.
        """
        size, n_logits = self.shape
        stats = self.rows.stats
        if size * n_logits > MAX_FULL_CURVATURE or not stats.forward:
            return np.inf
        of_pass = stats.n_samples * (self.n_stored + 1) * (n_logits + 3)
        return stats.n_samples * (size * n_logits) ** 2 / (2.0 * (of_pass + CALL))

    def curvature(self, W, full):
        """Return a Kronecker-factored approximation ``M (x) A`` of the Hessian at W.

        Each row adds ``s (diag(p) - p p') (x) x x'`` to the Hessian. Its sum is approximated
        by the product of a sum of the first factor, M, and a sum of the second weighted by
        the trace of the first, A: exact for a binary problem and at W = 0. A takes away the
        scaling of X and dependence between features, M the scaling of classes, which differ
        where some are rare. (Martens and Grosse, 2015, approximate a layer of a network so.)

        Returns
        -------
        A : ndarray of shape (size, size), or its diagonal (size,) unless ``full``
        M : ndarray of shape (n_logits, n_logits), or its diagonal (n_logits,) for many classes
        """
        n_logits = self.shape[1]
        products = 1 < n_logits <= MAX_CLASS_CORRELATION
        total, A, M = self.rows.curvature(W, full, products)
        M = (np.array([[total]]) if M is None else M) / self.total_weight
        if products:
            # The rows of M sum to 0: all logits may be shifted. Make that direction harmless.
            M += np.trace(M) / n_logits**2
        elif n_logits > 1:  # as in ``class_curvature``
            M *= n_logits / (n_logits - 1.0)
        return A / max(total, TINY), M

    def class_curvature(self, W, full):
        """Return the blocks of the Hessian of the sum S f on its diagonal, without penalty.

        Blocks alone, without those between classes, miss a factor K / (K - 1) on coefficients
        that sum to 0, exactly so where all K classes are equally probable, and always if there
        are two logits. They have it here.

        Returns
        -------
        blocks : ndarray of shape (n_logits, size, size), or (n_logits, size) unless ``full``
        """
        factor = 1.0 if self.binary else self.shape[1] / (self.shape[1] - 1.0)
        return factor * self.unit * self.rows.class_curvature(W, full)

    def gram(self, full):
        """Return what ``class_curvature`` would be of each logit if p (1 - p) were 1."""
        return self.unit * self.rows.gram(full)

    def metric(self, W, level):
        """Return a function that multiplies arrays like W by an inverse curvature at W.

        ``level`` is DIAGONAL, of the diagonal of A; FULL, of A and M, to both of which the
        penalty is added as if the other were its average, or of many classes of blocks of the
        Hessian; or EXACT, of the Hessian.
        """
        if level == EXACT and not self.binary:
            return self._exact_metric(W)
        if level >= FULL and self.in_blocks:
            return self._block_metric(W)
        return self.metric_of(*self.curvature(W, level >= FULL))

    def metric_of(self, A, M):
        """Return the metric of a curvature, whose arrays it changes."""
        full = A.ndim == 2
        diagonal = np.einsum("ii->i", A) if full else A
        of_each = np.einsum("ii->i", M) if M.ndim == 2 else M
        mean_A = diagonal.mean() if self.n_features else 0.0
        of_features, of_classes = self._penalties(mean_A, of_each.mean())
        # A class that is never predicted has no curvature, nor a gradient to speak of.
        of_each += of_classes + 1e-6 * of_each + TINY
        diagonal[: self.n_features] += of_features
        # So has a feature that is always zero.
        diagonal[diagonal == 0.0] = 1.0
        M = np.linalg.inv(M) if M.ndim == 2 else M

        def divided(G):
            return G @ M if M.ndim == 2 else G / M

        if full:
            # For a Cholesky factor where features are linearly dependent; in float32, too.
            for ridge in (self._ridge(diagonal, of_features), 1e-5):
                diagonal *= 1.0 + ridge
                try:
                    solve = solver(A)
                except LinAlgError:
                    continue
                return lambda G: divided(solve(G))
            A = diagonal.copy()
        return lambda G: divided(G / A[:, None])

    def _ridge(self, diagonal, penalty):
        """Return what share of it a diagonal gets more, where features may be dependent.

        The rounding of a gradient in float32, about 6e-8, must not be blown up where nothing
        else determines coefficients. A penalty that does would be lost beside so much.
        """
        loose = self.rows.eps > 1e-10 and penalty < 1e-9 * diagonal.mean()
        return 1e-5 if loose else 1e-10

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

    def _block_metric(self, W):
        """Return the metric of the blocks of the Hessian, one for each class."""
        blocks = self.class_curvature(W, True)  # at the peak, 2.5 times their memory
        blocks /= self.sum_of_weights
        diagonal = np.einsum("kff->kf", blocks)
        diagonal[:, : self.n_features] += self.penalty
        # A class that is never predicted has no curvature, nor a gradient to speak of.
        diagonal[diagonal == 0.0] = 1.0
        diagonal *= 1.0 + self._ridge(diagonal, self.penalty)
        inverse = np.linalg.inv(blocks)
        return lambda G: np.matmul(inverse, G.T[:, :, np.newaxis])[:, :, 0].T

    def _exact_metric(self, W):
        size, n_logits = self.shape
        hessian = self.rows.hessian(W) / self.total_weight
        H = hessian.reshape(n_logits, size, n_logits, size)
        # All logits may be shifted; make that direction harmless, as in ``curvature``.
        shift = np.einsum("kfkf->f", H) / n_logits**2
        np.einsum("kflf->klf", H)[:] += shift
        diagonal = np.einsum("ii->i", hessian)
        diagonal.reshape(n_logits, size)[:, : self.n_features] += self.penalty
        diagonal[diagonal == 0.0] = 1.0
        diagonal *= 1.0 + self._ridge(diagonal, self.penalty)
        try:
            solve = solver(hessian)
        except LinAlgError:
            return self.metric(W, FULL)
        present = ~self.absent

        def times_inverse(G):
            D = solve(G.T.ravel()).reshape(G.T.shape).T
            D -= D.mean(axis=1, keepdims=True)
            if (
                not present.all()
            ):  # whose intercepts go on and on, and shall not take others along
                D[-1] -= D[-1, present].mean()
            return D

        return times_inverse
