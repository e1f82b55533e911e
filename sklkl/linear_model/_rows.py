"""Rows: the only things that read X once it is checked.

An objective, the inference and predictions get from rows sums, maxima and predictions, and
nothing else. ``rows_of`` chooses the kind of rows for what a user passed. To fit on a new
kind, as on a cluster or on a GPU, write a class with the methods of ``Rows`` and choose it
there.

Shapes: coefficients W are (size, n_logits), float64. ``size`` is n_features, and one more with
an intercept, whose coefficients are the last row. A binary problem has one logit, of its
second class; the logit of the first is 0. x is a row of X, with a 1 for the intercept. Logits
are ``W' x``, plus the row's offset where there is one, all divided by a term's temperature.
"""

from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array, hstack, issparse, vstack
from scipy.special import softmax
from sklearn.utils import assert_all_finite

from sklkl._core import topk
from sklkl._core.devices import place_of
from sklkl._core.lazy import lazy
from sklkl._core.targets import class_mass, is_sparse, one_hot
from sklkl._kernels._linear import LOG_ODDS, PROBA, LinearRows
from sklkl.divergences import entropy
from sklkl.linear_model import _separation
from sklkl.linear_model._device import DeviceRows
from sklkl.linear_model._stats import Center, Stats, evenly, most_of_center

# Numbers in an array of the products of some rows.
HESSIAN_SLICE = 1 << 20

# Pairs of stored entries in an array of the products of some rows.
PAIRS = 1 << 18

# Numbers in an array of the scores of some rows, 16 MB.
SCORE_SLICE = 1 << 21


def rows_of(X, n_logits, fit_intercept, terms=(), unit=None, offset=None):
    """Return the ``Rows`` of a user's checked X: the one place where their kind is chosen.

    X is an array or a CSR matrix, float32 or float64, of any strides, in memory or in a
    memory map; ``n_logits`` the number of classes, 1 if binary; ``terms`` the one or two
    ``LossTerm`` of the loss, none for predictions; ``unit`` the largest of their weights,
    which has to be passed where these rows are a part of others; ``offset``, (n_samples,
    n_logits), float64, what is added to the logits, for X on the host.
    """
    if place_of(X, "X") is not None:
        return DeviceRows(X, n_logits, fit_intercept, terms, unit)
    return LocalRows(X, n_logits, fit_intercept, terms, unit, offset)


class Rows(Protocol):
    """Rows of X with the terms of a loss, whose weights w are in units of ``stats.unit``."""

    shape: tuple  # (size, n_logits), of coefficients
    stats: Stats
    center: np.ndarray | None  # (n_features,), what is taken off every row of X
    offset: np.ndarray | None  # (n_samples, n_logits), added to logits; None but in memory
    eps: float  # of the numbers that they compute with

    def objective(self, W):
        """Return the summed loss, nats, and its gradient.

        Forward KL counts the cross-entropy, without the entropy of the targets.

        Returns
        -------
        loss : float
        gradient : ndarray of shape (size, n_logits)
            float64, to be changed by the caller.
        """

    def curvature(self, W, full, products):
        """Return sums that make up a Kronecker-factored approximation of the Hessian.

        All divergences count as forward KL; of a term at temperature T the logits are divided
        by T, the weights by T².

        Returns
        -------
        total : float
            Sum of ``h = w sum(p (1 - p))``, if binary of ``h = w p (1 - p)``.
        gram : ndarray of shape (size, size), or its diagonal (size,) unless ``full``
            Sum of ``h x x'``.
        M : ndarray of shape (n_logits, n_logits), or its diagonal unless ``products``
            Sum of ``w (diag(p) - p p')``; None if binary.
        """

    def class_curvature(self, W, full):
        """Return the blocks of the Hessian on its diagonal, one for each logit.

        Returns
        -------
        blocks : ndarray of shape (n_logits, size, size), or (n_logits, size) unless ``full``
            Sums of ``w p_k (1 - p_k) x x'``, terms as in ``curvature``, or their diagonals.
        """

    def gram(self, full):
        """Return the sum of ``w x x'``, (size, size), or its diagonal (size,)."""

    def hessian(self, W):
        """Return the Hessian, terms as in ``curvature``, for more than one logit.

        Returns
        -------
        hessian : ndarray of shape (n_logits * size, n_logits * size)
            A block of rows and columns for each logit.
        """

    def largest_change(self, direction):
        """Return the largest difference of two logits of a row of positive weight.

        ``direction`` has the shape of W; NaN if it holds any. A binary problem has the logit
        0, too.
        """

    def largest_values(self):
        """Return the largest absolute value of each feature in rows of positive weight.

        (size,), with 1 for the intercept.
        """

    def score_products(self, V, scale, groups):
        """Return what a sandwich covariance consists of, for a single term of forward KL.

        Parameters
        ----------
        V : ndarray of shape (size, n_free)
            Coefficients of all logits but the first, which is 0.
        scale : ndarray of shape (size,)
            Every x is divided by it.
        groups : ndarray of shape (n_samples,), or None
            Numbers of the groups of dependent rows. None: each row is a group.

        Returns
        -------
        gradient : ndarray of shape (n_free * size,)
            Sum of the scores ``w (p - y) (x) x``, logit after logit.
        hessian : ndarray of shape (n_free * size, n_free * size)
            Their derivative.
        products : ndarray of shape (n_free * size, n_free * size)
            Sum over groups of ``u u'``, with u the sum of the scores of a group.
        """

    def predict(self, W, what, temperature=1.0):
        """Return RAW predictions, PROBA or LOG_PROBA of ``sklkl._kernels._linear``.

        Logits are divided by the temperature.

        Returns
        -------
        out : ndarray of shape (n_samples, n_classes); RAW ones (n_samples, n_logits)
            In the dtype of X.
        """

    def widen(self):
        """Compute in float64 from now on; return whether that is new."""

    def centered(self):
        """Return rows from which a ``center`` near the mean is taken; or these themselves."""

    def every(self, stride):
        """Return the rows whose numbers, from 0, are multiples of ``stride``."""

    def why_not_finite(self):
        """Return a message about the first value of X that is NaN or infinite, or None."""

    def separation(self, W):
        """Return the ``Separation`` of the targets, after a fit of forward KL has ended in W.

        None if there is none, or none that these rows can find.
        """


class LocalRows:
    """Rows in memory, or in a memory map: see ``rows_of``."""

    center = None

    def __init__(self, X, n_logits, fit_intercept, terms=(), unit=None, offset=None):
        self.X, self.offset = X, offset
        self.shape = (X.shape[1] + fit_intercept, n_logits)
        most = (float(term.weight.max(initial=0.0)) for term in terms)
        self.unit = unit or max(most, default=0.0) or 1.0
        self.terms = [replace(term, weight=term.weight / self.unit) for term in terms]
        self.dtype = X.dtype
        self.kernel = self._kernel()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "kernel"}

    def __setstate__(self, state):
        vars(self).update(state)
        self.kernel = self._kernel()

    @lazy
    def stats(self):
        """See ``Rows``."""
        return self.sums()

    def sums(self):
        """Return the ``stats``."""
        n_samples, n_features = self.X.shape
        n_classes = max(2, self.shape[1])
        mass = np.zeros(n_classes)
        weight = total_entropy = 0.0
        forward = True
        for term in self.terms:
            weight += float(term.weight.sum()) / term.temperature**2
            coarse = is_sparse(term.target) and term.target.coarse
            forward &= term.divergence == "kl" and not coarse
            mass_of = topk.listed_mass if coarse else class_mass
            mass += mass_of(term.target, term.weight, n_classes) / term.temperature
            if term.target.ndim == 2 and term.divergence == "kl":
                entropies = topk.entropies if is_sparse(term.target) else entropy
                # Not weight @ ..., a call of BLAS whose threads would go on waiting actively.
                total_entropy += float(np.sum(term.weight * entropies(term.target)))
        return Stats(
            n_samples=n_samples,
            n_features=n_features,
            n_stored=self.X.nnz / max(1, n_samples) if issparse(self.X) else n_features,
            unit=self.unit,
            weight=weight,
            squares=float(np.sum(self._weight() ** 2)),
            mass=mass,
            entropy=total_entropy,
            forward=forward,
        )

    def objective(self, W):
        """See ``Rows``."""
        return self.kernel.objective(W)

    def curvature(self, W, full, products):
        """See ``Rows``."""
        if not (full and self.stats.in_pairs):
            return self.kernel.curvature(W, full, products)
        total, _, M = self.kernel.curvature(W, False, products)
        h = self._variances(W).sum(axis=1, keepdims=True)
        return total, self._products(h, full)[0], M

    def class_curvature(self, W, full):
        """See ``Rows``."""
        n_samples, step = self.X.shape[0], max(1, SCORE_SLICE // W.shape[1])
        if n_samples <= step:
            return self._products(self._variances(W), full)
        total = 0.0
        for start in range(0, n_samples, step):
            some = self._some(slice(start, start + step))
            some.stats = self.stats  # for sums by the same way as of all rows
            total += some.class_curvature(W, full)
        return total

    def _variances(self, W):
        """Return ``w p (1 - p)`` of each row and logit, summed over terms."""
        variances = 0.0
        for p, rest, weight in self._terms_at(W):
            variances = variances + weight[:, np.newaxis] * p * rest
        return variances

    def _terms_at(self, W):
        """Yield probabilities p of the logits, 1 - p, and weights of rows, in each term."""
        of_logits = np.s_[:, -self.shape[1] :]
        for term in self.terms:
            p = self.predict(W, PROBA, term.temperature).astype(np.float64)
            yield p[of_logits], _rest(p)[of_logits], term.weight / term.temperature**2

    def gram(self, full):
        """See ``Rows``."""
        return self._products(self._weight()[:, np.newaxis], full)[0]

    def _products(self, h, full):
        """Return the sum of ``h_k x x'`` for each column of h, or its diagonal."""
        if full and self.stats.in_pairs:
            return sum(self._of_pairs(rows, h[rows]) for rows in self._pair_slices())
        size = self.shape[0]
        if full and h.shape[1] > size:  # products of a row are computed once
            step = max(1, HESSIAN_SLICE // size**2)
            products = np.zeros((h.shape[1], size**2))
            for start in range(0, len(h), step):
                X = self._dense(slice(start, start + step))
                products += h[start : start + step].T @ _row_products(X, X)
            return products.reshape(-1, size, size)
        if full:
            X = self._dense(slice(None))
            return np.stack([(X * h_k[:, np.newaxis]).T @ X for h_k in h.T])
        X = self.X if self.center is None else self.X - self.center
        squares = X.multiply(X).T @ h if issparse(X) else np.square(X, dtype=float).T @ h
        ones = h.sum(axis=0, keepdims=True)
        return np.vstack([squares, *[ones] * (self.shape[0] - X.shape[1])]).T

    def _dense(self, rows):
        """Return some rows, dense, float64, less the center, with 1 for the intercept.

        Row after row in memory, lest the bits of products with them depend on that.
        """
        X = self.X[rows]
        X = np.ascontiguousarray(X.toarray() if issparse(X) else X, dtype=np.float64)
        if self.center is not None:
            X = X - self.center
        if self.shape[0] == X.shape[1]:
            return X
        return np.hstack([X, np.ones((len(X), 1))])

    def hessian(self, W):
        """See ``Rows``."""
        n_logits = self.shape[1]
        if self.stats.in_pairs:
            return self._sparse_hessian(W)
        hessian = np.zeros((W.size, W.size))
        step = max(1, HESSIAN_SLICE // W.size)
        for start in range(0, self.X.shape[0], step):
            rows = slice(start, start + step)
            X = self._dense(rows)
            kernel = LinearRows(X, n_logits, False, offset=_some_of(self.offset, rows))
            for term in self.terms:
                proba = kernel.predict(W, PROBA, term.temperature)
                weight = term.weight[rows] / term.temperature**2
                _add_curvature(hessian, X, proba, _rest(proba), weight)
        return hessian

    def _sparse_hessian(self, W):
        size, n_logits = self.shape
        terms = list(self._terms_at(W))
        a, b = np.triu_indices(n_logits)
        blocks = np.zeros((len(a), size, size))
        for rows in self._pair_slices():
            h = np.zeros((rows.stop - rows.start, len(a)))
            for p, rest, weight in terms:
                p, rest, weight = p[rows], rest[rows], weight[rows, np.newaxis]
                h += weight * p[:, a] * np.where(a == b, rest[:, b], -p[:, b])
            blocks += self._of_pairs(rows, h)
        hessian = np.zeros((n_logits, size, n_logits, size))
        hessian[a, :, b] = hessian[b, :, a] = blocks
        return hessian.reshape(W.size, W.size)

    def _pair_slices(self):
        """Return slices of a sparse X with so many pairs of entries that arrays are small."""
        pairs = np.cumsum((np.diff(self.X.indptr) + 1.0) ** 2)
        stops = np.flatnonzero(np.diff(pairs // PAIRS)) + 1
        stops = [0, *stops.tolist(), len(pairs)]
        return [slice(*ends) for ends in pairwise(stops)]

    def _of_pairs(self, rows, h):
        """Return ``_products`` of full matrices, of some rows of a sparse X."""
        size = self.shape[0]
        X = self.X[rows].astype(np.float64)
        if size > X.shape[1]:
            X = hstack([X, np.ones((X.shape[0], 1))], format="csr")
        counts = np.diff(X.indptr)
        partners = np.repeat(counts, counts)  # of each entry, in its row
        first = np.repeat(np.arange(X.nnz), partners)
        begins = np.repeat(X.indptr[:-1], counts) - (np.cumsum(partners) - partners)
        second = np.arange(len(first)) + np.repeat(begins, partners)
        products = X.data[first] * X.data[second]
        places = X.indices[first] * size + X.indices[second]
        ends = np.append(0, np.cumsum(counts**2))
        of_rows = csr_array((products, places, ends), shape=(X.shape[0], size**2))
        return (of_rows.T @ h).T.reshape(-1, size, size)

    def largest_change(self, direction):
        """See ``Rows``."""
        change = self.kernel.predict(direction, LOG_ODDS)[:, 0]
        if self.counted is not None:
            change = change[self.counted]
        return float(change.max(initial=0.0))

    @lazy
    def counted(self):
        """True for rows of positive weight, (n_samples,); None if all rows have some."""
        counted = np.any([term.weight > 0.0 for term in self.terms], axis=0)
        return None if counted.all() else counted

    def largest_values(self):
        """See ``Rows``."""
        largest = np.zeros(self.shape[0])
        (term,) = self.terms
        for chunk in _chunks(np.flatnonzero(term.weight > 0.0), SCORE_SLICE // len(largest)):
            np.maximum(largest, np.abs(self._dense(chunk)).max(axis=0), out=largest)
        return largest

    def score_products(self, V, scale, groups):
        """See ``Rows``."""
        (term,) = self.terms
        rows = np.flatnonzero(term.weight > 0.0)
        group = np.arange(len(rows)) if groups is None else groups[rows]
        if groups is not None:
            order = np.argsort(group, kind="stable")
            rows, group = rows[order], group[order]
        m = V.size
        gradient, hessian, products = np.zeros(m), np.zeros((m, m)), np.zeros((m, m))
        open_group, of_open_group = -1, np.zeros(m)  # it may go on in the next chunk
        for here in _chunks(np.arange(len(rows)), SCORE_SLICE // m):
            X, weight = self._dense(rows[here]) / scale, term.weight[rows[here]]
            target = one_hot(term.target[rows[here]], V.shape[1] + 1)
            logits = np.hstack([np.zeros((len(X), 1)), X @ V])
            if self.offset is not None:
                logits[:, -self.shape[1] :] += self.offset[rows[here]]
            proba = softmax(logits, axis=1)
            _add_curvature(hessian, X, proba[:, 1:], _rest(proba)[:, 1:], weight)
            # Residuals sum to 0, which spares that of the largest p, near 1, its rounding.
            residual, largest = proba - target, _largest(proba)
            residual[largest] = 0.0
            residual[largest] = -residual.sum(axis=1)
            scores = _row_products(weight[:, np.newaxis] * residual[:, 1:], X)
            gradient += scores.sum(axis=0)
            begins = np.flatnonzero(np.diff(group[here], prepend=-1))
            first, last = group[here[0]], group[here[-1]]
            scores = np.add.reduceat(scores, begins, axis=0)
            if first == open_group:
                scores[0] += of_open_group
            else:
                products += np.outer(of_open_group, of_open_group)
            open_group, of_open_group = last, scores[-1].copy()
            products += scores[:-1].T @ scores[:-1]
        products += np.outer(of_open_group, of_open_group)
        return gradient, hessian, products

    def predict(self, W, what, temperature=1.0):
        """See ``Rows``."""
        return self.kernel.predict(W, what, temperature)

    @property
    def eps(self):
        """See ``Rows``."""
        return np.finfo(self.dtype).eps

    def widen(self):
        """See ``Rows``."""
        if self.dtype == np.float64:
            return False
        self.dtype = np.dtype(np.float64)
        self.kernel = self._kernel()
        return True

    def widened(self):
        """Return the same rows, which compute in float64."""
        widened = copy(self)
        widened.widen()
        return widened

    def centered(self):
        """Return rows from which the means of some rows are taken, if X is dense."""
        if issparse(self.X) or self.X.shape[1] == 0:
            return self
        center = self.about_center(most_of_center(self.X.shape[1])).value
        return self if center is None else self.around(center)

    def about_center(self, most):
        """Return the ``Center`` of dense rows, from at most so many of them."""
        weight = self._weight()
        rows = evenly(np.flatnonzero(weight > 0.0), most)
        return Center.of(self.X[rows], weight[rows])

    def around(self, center):
        """Return the rows with this center."""
        centered = copy(self)
        centered.center = center
        centered.kernel = centered._kernel()
        return centered

    def every(self, stride, first=0):
        """Return every so many-th row, from that of number ``first`` on."""
        return self._some(slice(first, None, stride))

    def _some(self, rows):
        """Return some rows, copied, as they are read again and again."""
        terms = [
            replace(term, target=term.target[rows], weight=term.weight[rows])
            for term in self.terms
        ]
        return self._of_other_rows(self.X[rows].copy(), terms, _some_of(self.offset, rows))

    def without_offset(self):
        """Return the same rows with nothing added to their logits."""
        return self._of_other_rows(self.X, self.terms, None)

    def _of_other_rows(self, X, terms, offset):
        """Return rows of the same kind, in the same unit and with the same center."""
        others = copy(self)
        others.X, others.terms, others.offset = X, terms, offset
        for known in ("stats", "counted"):
            vars(others).pop(known, None)
        others.kernel = others._kernel()
        return others

    def nbytes(self):
        """Return the bytes of X, and of the targets and weights."""
        X = self.X
        arrays = [X.data, X.indices, X.indptr] if issparse(X) else [X]
        arrays += [] if self.offset is None else [self.offset]
        for term in self.terms:
            arrays += [term.target, term.weight]
        return sum(array.nbytes for array in arrays)

    def why_not_finite(self):
        """See ``Rows``."""
        try:
            assert_all_finite(self.X, input_name="X")
        except ValueError as error:
            return str(error)
        return None

    def separation(self, W):
        """See ``Rows``."""
        size, n_logits = self.shape
        possible = _separation.possible_classes(self.terms, max(2, n_logits))
        if possible is None:
            return None
        W = np.hstack([np.zeros_like(W), W]) if n_logits == 1 else W
        rows, step = np.arange(len(possible)), SCORE_SLICE // size
        n_features = self.X.shape[1]
        return _separation.find(
            lambda: map(self._dense, _chunks(rows, step)),
            possible,
            n_features,
            size > n_features,
            W,
        )

    def _weight(self):
        """Return the weight of each row in all terms."""
        return sum(term.weight / term.temperature**2 for term in self.terms)

    def _kernel(self):
        """Return the compiled kernels, which compute in ``dtype``."""
        size, n_logits = self.shape
        fit_intercept = size > self.X.shape[1]
        data = self.X, n_logits, fit_intercept, self.terms, self.center, self.dtype
        return LinearRows(*data, offset=self.offset)


def stacked(parts):
    """Return the ``LocalRows`` of parts of others, one after the other, as one."""
    # Sparse rows may have parts without any that are dense.
    parts = [part for part in parts if part.X.shape[0]]
    Xs = [part.X for part in parts]
    X = vstack(Xs, format="csr") if issparse(Xs[0]) else np.concatenate(Xs)
    terms = [
        replace(
            own[0],
            target=np.concatenate([term.target for term in own]),
            weight=np.concatenate([term.weight for term in own]),
        )
        for own in zip(*(part.terms for part in parts), strict=True)
    ]
    offset = None if parts[0].offset is None else np.concatenate([p.offset for p in parts])
    return parts[0]._of_other_rows(X, terms, offset)


def _some_of(offset, rows):
    return None if offset is None else offset[rows]


def _chunks(rows, step):
    """Yield parts of an array of row numbers."""
    step = max(1, step)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _largest(proba):
    """Return the index of the largest probability of each row."""
    return np.arange(len(proba)), proba.argmax(axis=1)


def _rest(proba):
    """Return 1 - p, of the largest p of a row as the sum of the others, lest it cancels."""
    rest, others, largest = 1.0 - proba, proba.copy(), _largest(proba)
    others[largest] = 0.0
    rest[largest] = others.sum(axis=1)
    return rest


def _add_curvature(hessian, X, proba, rest, weight):
    """Add the sum of ``weight (diag(p) - p p') (x) x x'`` over rows to ``hessian``.

    Parameters
    ----------
    hessian : ndarray of shape (n_logits * size, n_logits * size)
        A block of rows and columns for each logit.
    X : ndarray of shape (n_samples, size)
    proba : ndarray of shape (n_samples, n_logits)
        Without the probabilities of a class whose logit is 0.
    rest : ndarray of shape (n_samples, n_logits)
        1 - p, with all its digits.
    weight : ndarray of shape (n_samples,)
    """
    size = X.shape[1]
    of_rows = _row_products(np.sqrt(weight)[:, np.newaxis] * proba, X)
    products = of_rows.T @ of_rows
    for k, h in enumerate((proba * rest).T):
        block = slice(k * size, (k + 1) * size)
        products[block, block] = -(X * (weight * h)[:, np.newaxis]).T @ X
    hessian -= products


def _row_products(A, X):
    """Return the Kronecker product of each row of A and of X."""
    return (A[:, :, np.newaxis] * X[:, np.newaxis, :]).reshape(len(X), -1)
