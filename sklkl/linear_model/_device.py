"""Rows on a device, as a GPU, in operations of the array API alone.

Coefficients and the solver stay on the host, in float64, and get sums over rows. Rows are
taken in slices, lest an array of their logits fill the device. X is float32 or float64; sums
over slices are added in float64, those over the rows of a slice in the dtype that rows
compute in: float32 rows until the solver asks them to ``widen``, which a device without
float64 cannot.
"""

from copy import copy
from dataclasses import replace

import numpy as np
from sklearn.utils import assert_all_finite

from sklkl._core.devices import place_of, slices, to_host
from sklkl._core.lazy import lazy
from sklkl._core.targets import class_mass, one_hot
from sklkl._kernels._linear import LOG_PROBA, RAW
from sklkl.divergences import entropy
from sklkl.linear_model._stats import Center, Stats, evenly, most_of_center


def exponentials(xp, logits):
    """Return logits less the largest, which these are, and the sum of the others' exp.

    The largest adds 1 to the sum; of several, all but one are others.
    """
    z = logits - xp.max(logits, axis=1, keepdims=True)
    is_largest = z == 0.0
    others = xp.where(is_largest, xp.zeros_like(z), xp.exp(z))
    number = xp.sum(xp.astype(is_largest, z.dtype), axis=1, keepdims=True)
    return z, is_largest, xp.sum(others, axis=1, keepdims=True) + (number - 1.0)


def softmax(xp, logits):
    """Return the probabilities of rows of logits."""
    z, _, rest = exponentials(xp, logits)
    return xp.exp(z) / (1.0 + rest)


def log_softmax(xp, logits):
    """Return the logarithms of the probabilities of rows of logits, also of those near 1."""
    z, _, rest = exponentials(xp, logits)
    return z - xp.log1p(rest)


class DeviceRows:
    """Rows in arrays of another library: see ``rows_of``, and ``Rows`` for the methods."""

    center = offset = None

    def __init__(self, X, n_logits, fit_intercept, terms=(), unit=None):
        self.X, self.place = X, place_of(X, "X")
        self.xp, self.dtype = self.place.xp, X.dtype
        self.shape = (X.shape[1] + fit_intercept, n_logits)
        self.n_classes = max(2, n_logits)
        most = (float(term.weight.max(initial=0.0)) for term in terms)
        self.unit = unit or max(most, default=0.0) or 1.0
        self.terms = [replace(term, weight=term.weight / self.unit) for term in terms]
        self.weights = [self.place.put(term.weight, X.dtype) for term in self.terms]

    @lazy
    def stats(self):
        """See ``Rows``."""
        n_samples, n_features = self.X.shape
        weight, mass, of_targets = 0.0, np.zeros(self.n_classes), 0.0
        for term in self.terms:
            weight += float(term.weight.sum()) / term.temperature**2
            mass += class_mass(term.target, term.weight, self.n_classes) / term.temperature
            if term.target.ndim == 2:
                of_targets += float(np.sum(term.weight * to_host(entropy(term.target))))
        return Stats(
            n_samples=n_samples,
            n_features=n_features,
            n_stored=n_features,
            unit=self.unit,
            weight=weight,
            squares=float(np.sum(self._weight() ** 2)),
            mass=mass,
            entropy=of_targets,
            forward=True,
        )

    def objective(self, W):
        """See ``Rows``."""
        xp, V = self.xp, self._there(W)
        loss, gradient = 0.0, np.zeros(self.shape)
        for part in self._parts():
            X = self._dense(part)
            logits, residual = self._logits(X, V), 0.0
            for term, all_weights in zip(self.terms, self.weights, strict=True):
                weight = xp.astype(all_weights[part], self.dtype)
                target = xp.astype(one_hot(term.target[part, ...], self.n_classes), self.dtype)
                target = target / self._of_row(target)
                z, is_largest, rest = exponentials(xp, logits / term.temperature)
                gap = -xp.sum(target * z, axis=1)
                loss += self._sum(weight * (gap + xp.log1p(rest)[:, 0]))
                # The residual of a largest probability is the rest of the sum: the difference
                # of two numbers near 1 would lose what rare classes are fitted by.
                r = xp.exp(z) / (1.0 + rest) - target
                others = self._of_row(xp.where(is_largest, xp.zeros_like(r), r))
                alone = self._of_row(xp.astype(is_largest, r.dtype)) == 1.0
                r = xp.where(is_largest & alone, -others, r)
                residual = residual + r * (weight / term.temperature)[:, None]
            residual = residual[:, -self.shape[1] :]
            gradient += self._here(xp.matrix_transpose(X) @ residual)
        return loss, gradient

    def curvature(self, W, full, products):
        """See ``Rows``."""
        size, n_logits = self.shape
        total, gram = 0.0, np.zeros((size, size) if full else size)
        M = np.zeros((n_logits, n_logits) if products else n_logits)
        for _, X, p, variance, weight in self._curved(W):
            of_each = weight[:, None] * variance
            h = self._of_row(of_each)
            total += self._sum(h)
            gram += self._products(X, h, full)[0]
            if products:
                of_p = self._here(self.xp.matrix_transpose(p * weight[:, None]) @ p)
                M -= of_p
            else:
                M += self._here(self.xp.sum(of_each, axis=0))
        if products:  # its rows sum to 0
            np.fill_diagonal(M, 0.0)
            np.fill_diagonal(M, -M.sum(axis=1))
        return total, gram, M if n_logits > 1 else None

    def class_curvature(self, W, full):
        """See ``Rows``."""
        blocks = 0.0
        for _, X, _, variance, weight in self._curved(W):
            blocks = blocks + self._products(X, weight[:, None] * variance, full)
        return blocks

    def gram(self, full):
        """See ``Rows``."""
        weight = self.place.put(self._weight(), self.dtype)
        parts = ((self._dense(part), weight[part][:, None]) for part in self._parts())
        return sum(self._products(X, h, full)[0] for X, h in parts)

    def _products(self, X, h, full):
        """Return the sum of ``h_k x x'`` for each column of h, or its diagonal."""
        turned = self.xp.matrix_transpose
        if not full:
            return self._here(turned(h) @ (X * X))
        columns = (h[:, k : k + 1] for k in range(h.shape[1]))
        return np.stack([self._here(turned(X * h_k) @ X) for h_k in columns])

    def _curved(self, W):
        """Yield, for some rows and a term: term, X, p, p (1 - p), weights in a Hessian."""
        V, of_logits = self._there(W), np.s_[:, -self.shape[1] :]
        for part in self._parts(W.size):
            X = self._dense(part)
            logits = self._logits(X, V)
            for term, weight in zip(self.terms, self.weights, strict=True):
                z, _, rest = exponentials(self.xp, logits / term.temperature)
                of_term = self.xp.astype(weight[part], self.dtype) / term.temperature**2
                e = self.xp.exp(z)
                p = (e / (1.0 + rest))[of_logits]
                # 1 - p, which does not cancel where p is near 1.
                variance = p * ((rest + (1.0 - e)) / (1.0 + rest))[of_logits]
                yield term, X, p, variance, of_term

    def hessian(self, W):
        """See ``Rows``."""
        size = self.shape[0]
        turned, hessian = self.xp.matrix_transpose, np.zeros((W.size, W.size))
        for _, X, p, variance, weight in self._curved(W):
            rooted = (self.xp.sqrt(weight)[:, None] * p)[:, :, None] * X[:, None, :]
            rooted = self.xp.reshape(rooted, (X.shape[0], -1))
            products = self._here(turned(rooted) @ rooted)
            blocks = self._products(X, variance * weight[:, None], full=True)
            for k, block in enumerate(blocks):
                own = slice(k * size, (k + 1) * size)
                products[own, own] = -block
            hessian -= products
        return hessian

    def largest_change(self, direction):
        """See ``Rows``."""
        xp, V, largest = self.xp, self._there(direction), 0.0
        for part in self._parts():
            logits = self._logits(self._dense(part), V)
            change = xp.max(logits, axis=1) - xp.min(logits, axis=1)
            if self._counted is not None:
                change = xp.where(self._counted[part], change, xp.zeros_like(change))
            largest = np.maximum(largest, float(xp.max(change)))
        return float(largest)

    @lazy
    def _counted(self):
        """True for rows of positive weight, on the device; None if all rows have some."""
        counted = np.any([term.weight > 0.0 for term in self.terms], axis=0)
        return None if counted.all() else self.place.put(counted)

    def largest_values(self):
        """See ``Rows``."""
        xp, largest = self.xp, np.zeros(self.shape[0])
        for part in self._parts():
            X = xp.abs(self._dense(part))
            if self._counted is not None:
                X = xp.where(self._counted[part][:, None], X, xp.zeros_like(X))
            np.maximum(largest, self._here(xp.max(X, axis=0)), out=largest)
        return largest

    def score_products(self, V, scale, groups):
        """Refuse: what a sandwich covariance needs is not for arrays on a device."""
        raise ValueError("coef_inference needs X on the host: pass an array of NumPy.")

    def predict(self, W, what, temperature=1.0):
        """See ``Rows``; predictions are where X is."""
        V, predicted = self._there(W), []
        for part in self._parts():
            logits = self._logits(self._dense(part), V) / temperature
            if what == RAW:
                predicted.append(logits[:, -self.shape[1] :])
                continue
            function = log_softmax if what == LOG_PROBA else softmax
            predicted.append(function(self.xp, logits))
        return predicted[0] if len(predicted) == 1 else self.xp.concat(predicted)

    @property
    def eps(self):
        """See ``Rows``."""
        return float(self.xp.finfo(self.dtype).eps)

    def widen(self):
        """See ``Rows``."""
        if self.dtype == self.place.wide:
            return False
        self.dtype = self.place.wide
        return True

    def centered(self):
        """See ``Rows``."""
        if self.X.shape[1] == 0:
            return self
        weight = self._weight()
        rows = evenly(np.flatnonzero(weight > 0.0), most_of_center(self.X.shape[1]))
        sample = to_host(self.xp.take(self.X, self.place.put(rows), axis=0))
        center = Center.of(sample, weight[rows]).value
        if center is None:
            return self
        centered = copy(self)
        centered.center = center
        return centered

    def every(self, stride):
        """See ``Rows``."""
        some = copy(self)
        for known in ("stats", "_counted"):
            vars(some).pop(known, None)
        some.X = self.X[::stride, :]
        some.terms = [
            replace(term, target=term.target[::stride, ...], weight=term.weight[::stride])
            for term in self.terms
        ]
        some.weights = [weight[::stride] for weight in self.weights]
        return some

    def why_not_finite(self):
        """See ``Rows``."""
        for part in self._parts():
            finite = self.xp.all(self.xp.isfinite(self.X[part, :]), axis=1)
            if not self.xp.all(finite):
                i = part.start + int(np.argmin(to_host(finite)))
                try:
                    assert_all_finite(to_host(self.X[i : i + 1, :]), input_name="X")
                except ValueError as error:
                    return str(error)
        return None

    def separation(self, W):
        """See ``Rows``; it is looked for on the host only."""
        return None

    def _weight(self):
        """Return the weight of each row in all terms, on the host."""
        return sum(term.weight / term.temperature**2 for term in self.terms)

    def _parts(self, width=0):
        """Return slices of rows, so that an array of so many numbers for each is small."""
        return slices(self.X.shape[0], max(width, sum(self.shape)))

    def _dense(self, part):
        """Return some rows in the dtype of arithmetic, less the center, with 1 at the end."""
        X = self.xp.astype(self.X[part, :], self.dtype)
        if self.center is not None:
            X = X - self.place.put(self.center, self.dtype)
        if self.shape[0] == X.shape[1]:
            return X
        ones = self.xp.ones((X.shape[0], 1), dtype=self.dtype, device=self.place.device)
        return self.xp.concat([X, ones], axis=1)

    def _logits(self, X, V):
        """Return a logit for each class, also if there are two: (n_rows, n_classes)."""
        logits = X @ V
        if self.shape[1] > 1:
            return logits
        return self.xp.concat([self.xp.zeros_like(logits), logits], axis=1)

    def _of_row(self, x):
        return self.xp.sum(x, axis=1, keepdims=True)

    def _there(self, W):
        return self.place.put(W, self.dtype)

    def _here(self, x):
        return to_host(x).astype(np.float64)

    def _sum(self, x):
        return float(self.xp.sum(self.xp.astype(x, self.place.wide)))
