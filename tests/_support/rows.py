"""Rows in plain NumPy: all that ``sklkl.linear_model`` asks of X, in the simplest way."""

from copy import copy
from functools import reduce

import numpy as np
from scipy.special import entr, log_softmax, rel_entr, softmax

from sklkl._kernels._linear import LOG_PROBA, PROBA
from sklkl.linear_model._stats import Stats
from sklkl.linear_model._summed import SummedRows


class NumpyRows:
    """See ``sklkl.linear_model._rows.Rows``; dense X, and forward or reverse KL."""

    center, eps = None, np.finfo(float).eps

    def __init__(self, X, n_logits, fit_intercept, terms=(), unit=None, offset=None):
        self.X, self.dtype = X.astype(float), X.dtype
        self.offset = np.zeros((len(X), n_logits)) if offset is None else offset
        self.rows = np.hstack([self.X, np.ones((len(X), int(fit_intercept)))])
        self.shape = (self.rows.shape[1], n_logits)
        unit = unit or max((term.weight.max() for term in terms), default=0.0) or 1.0
        one_hot = np.eye(max(2, n_logits))
        # Weights, target, temperature, and whether the divergence is reverse KL, of each term.
        self.terms = [
            (
                term.weight / unit,
                (one_hot[term.target] if term.target.ndim == 1 else term.target).astype(float),
                term.temperature,
                term.divergence == "reverse_kl",
            )
            for term in terms
        ]
        self.unit = float(unit)
        self.stats = self.sums_of(self.terms)

    def sums_of(self, terms):
        forward = [(s, y, T) for s, y, T, reverse in terms if not reverse]
        weight = sum((s / T**2 for s, _, T, _ in terms), np.zeros(1))
        return Stats(
            n_samples=len(weight),
            n_features=self.X.shape[1],
            n_stored=self.X.shape[1],
            unit=self.unit,
            weight=weight.sum(),
            squares=np.sum(weight**2),
            mass=sum((s @ y / T for s, y, T, _ in terms), np.zeros(max(2, self.shape[1]))),
            entropy=sum(s @ entr(y).sum(axis=1) for s, y, _ in forward),
            forward=len(forward) == len(terms),
        )

    def log_proba(self, W, T=1.0):
        z = (self.rows @ W + self.offset) / T
        return log_softmax(np.hstack([0.0 * z, z]) if self.shape[1] == 1 else z, axis=1)

    def objective(self, W):
        loss, gradient = 0.0, 0.0
        for s, y, T, reverse in self.terms:
            logs = self.log_proba(W, T)
            p = np.exp(logs)
            per_row, residual = -(y * logs).sum(axis=1), p - y
            if reverse:
                per_row = rel_entr(p, y).sum(axis=1)
                residual = p * (logs - np.log(y) - per_row[:, None])
            loss += float(s @ per_row)
            gradient = gradient + self.rows.T @ (s[:, None] / T * residual)
        return loss, gradient[:, -self.shape[1] :]

    def each_curvature(self, W):
        """Yield weights times temperature^-2, and probabilities of the columns of W."""
        for s, _, T, _ in self.terms:
            yield s / T**2, np.exp(self.log_proba(W, T))[:, -self.shape[1] :]

    def curvature(self, W, full, products):
        h, M = 0.0, 0.0
        for s, p in self.each_curvature(W):
            h = h + s * (p * (1 - p)).sum(axis=1)
            M = M + np.diag(s @ p) - (p * s[:, None]).T @ p
        gram = (self.rows * h[:, None]).T @ self.rows
        return (
            float(h.sum()),
            gram if full else gram.diagonal().copy(),
            M if products else M.diagonal().copy() if self.shape[1] > 1 else None,
        )

    def class_curvature(self, W, full):
        h = sum(s[:, None] * p * (1 - p) for s, p in self.each_curvature(W))
        blocks = np.einsum("ik,if,ig->kfg", h, self.rows, self.rows)
        return blocks if full else np.einsum("kff->kf", blocks).copy()

    def gram(self, full):
        h = sum(s / T**2 for s, _, T, _ in self.terms)
        gram = (self.rows * h[:, None]).T @ self.rows
        return gram if full else gram.diagonal().copy()

    def hessian(self, W):
        hessian = 0.0
        for s, p in self.each_curvature(W):
            spread = s[:, None, None] * p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
            hessian = hessian + np.einsum("ikl,if,ig->kflg", spread, self.rows, self.rows)
        return hessian.reshape(W.size, W.size)

    def counted(self):
        return self.rows[np.any([s > 0 for s, *_ in self.terms], axis=0)]

    def largest_change(self, direction):
        z = self.counted() @ direction
        return np.abs(z).max() if z.shape[1] == 1 else np.ptp(z, axis=1).max()

    def largest_values(self):
        return np.abs(self.counted()).max(axis=0)

    def score_products(self, V, scale, groups):
        ((s, y, _, _),) = self.terms
        X = self.rows / scale
        z = np.hstack([np.zeros((len(X), 1)), X @ V])
        z[:, -self.shape[1] :] += self.offset
        p = softmax(z, axis=1)[:, 1:]
        scores = np.einsum("ik,if->ikf", s[:, None] * (p - y[:, 1:]), X).reshape(len(X), -1)
        spread = s[:, None, None] * p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
        hessian = np.einsum("ikl,if,ig->kflg", spread, X, X).reshape(V.size, V.size)
        names = np.arange(len(X)) if groups is None else groups
        sums = np.array([scores[names == name].sum(axis=0) for name in np.unique(names)])
        return scores.sum(axis=0), hessian, sums.T @ sums

    def predict(self, W, what, temperature=1.0):
        logs = self.log_proba(W, temperature)
        out = {PROBA: np.exp(logs), LOG_PROBA: logs}.get(what, self.rows @ W + self.offset)
        return out.astype(self.dtype)

    def widen(self):
        return False

    def centered(self):
        return self

    def every(self, stride):
        some = copy(self)
        some.X, some.rows = self.X[::stride], self.rows[::stride]
        some.offset = self.offset[::stride]
        some.terms = [(s[::stride], y[::stride], T, r) for s, y, T, r in self.terms]
        some.stats = self.sums_of(some.terms)
        return some

    def why_not_finite(self):
        return None if np.isfinite(self.X).all() else "X is not finite."


class ListedRows(SummedRows):
    """Rows in a list of ``LocalRows``."""

    def __init__(self, parts, dense):
        super().__init__(parts[0].shape, parts[-1].X.dtype, dense=dense)
        self.parts = parts

    @property
    def lengths(self):
        return [part.X.shape[0] for part in self.parts]

    def total(self, combine, method, *arguments):
        return reduce(combine, (getattr(part, method)(*arguments) for part in self.parts))

    def changed(self, method, *arguments):
        changed = copy(self)
        each = zip(self.parts, *arguments, strict=True)
        changed.parts = [getattr(part, method)(*own) for part, *own in each]
        return changed
