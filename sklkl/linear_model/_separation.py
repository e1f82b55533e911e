r"""Separation: coefficients that the loss lets grow without end.

Call the classes that a row's target holds possible P, one for a label. Without a penalty the
loss has a minimum unless there are coefficients D whose scores :math:`z = D^T x` are equal for
all classes in P and nowhere larger for others, and smaller somewhere: along D the loss falls
for ever (Albert and Anderson, 1984). Targets without zeros exclude that.

Two searches, both exact but for rounding. A single feature tells class k from all others if
its values in rows of k lie on one side of those in other rows: minima and maxima tell. Whether
several do so together is a linear programme (Konis, 2007), here of least :math:`\|D\|_1`, so
that D has few features. It is solved for the rows that bind, those that a fit is least sure
of; rows that its solution breaks are added until there are none, or no D is left.

References
----------
Albert, A. and Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
logistic regression models. Biometrika 71(1), 1-10.

Konis, K. (2007). Linear programming algorithms for detecting separated data in binary logistic
regression models. DPhil thesis, University of Oxford.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from sklkl._core.targets import is_sparse, one_hot

# Multiplications of either search, about a second's.
MOST_WORK = 1 << 30

# Of a linear programme: coefficients, two variables each; numbers of X, 128 MB; and rounds.
MOST_COEFFICIENTS = 500
MOST_NUMBERS = 1 << 24
MOST_ROUNDS = 20

# By how much a row may break D, in units of the mean of what separates rows.
ROUNDING = 1e-8


@dataclass
class Separation:
    """What separates classes: numbers of classes and features, the first the clearest."""

    # (class, "below" or "above", features): on this side of rows of others it has none.
    alone: list
    classes: list  # those that ``features`` tell apart together, if none does alone
    features: list


def find(chunks, possible, n_features, intercept, W):
    """Return the ``Separation`` of rows; None if there is none, or it takes too long to tell.

    Parameters
    ----------
    chunks : function
        Returns an iterator of some rows after the other, (n_rows, size), with 1 last for an
        intercept.
    possible : ndarray of shape (n_samples, n_classes)
        True for classes that the target of the row holds possible; False for all, if the row
        does not count.
    n_features : int
    intercept : bool
    W : ndarray of shape (size, n_classes)
        The coefficients of a fit.
    """
    present = np.flatnonzero(possible.any(axis=0))
    if len(present) < 2 or 2 * W.shape[0] * possible.size > MOST_WORK:
        return None
    possible = possible[:, present]
    low, high = _extremes(chunks, possible, n_features)
    alone = _alone(low, high, intercept)
    if alone:
        return Separation([(present[k], *own) for k, *own in alone], [], [])
    size = W.shape[0]
    if size * len(present) > MOST_COEFFICIENTS or len(possible) * size > MOST_NUMBERS:
        return None
    # Of each feature, its middle is taken off and its spread 1, which leaves D its meaning, as
    # does a positive factor of a row: far rows hide nothing of others in rounding then.
    X = np.vstack([chunk[:, :n_features] for chunk in chunks()])
    middle = np.median(X, axis=0) if intercept else np.zeros(n_features)
    X -= middle
    width = _spreads(X)
    X /= width
    W = W[:, present]
    if intercept:
        X = np.hstack([X, np.ones((len(X), 1))])
        W = np.vstack([W[:-1] * width[:, None], W[-1] + middle @ W[:-1]])
    else:
        W = W * width[:, None]
    largest = np.abs(X).max(axis=1, keepdims=True)
    X /= np.where(largest > 0.0, largest, 1.0)
    D = _together(X, possible, n_features, W)
    if D is None:
        return None
    D = D - np.median(D, axis=1, keepdims=True) if D.shape[1] > 2 else D
    sizes = np.abs(D)
    of_features = np.ptp(D[:n_features], axis=1)
    features = [f for f in np.argsort(-of_features) if of_features[f] > 1e-6 * sizes.max()]
    moved = sizes.max(axis=0) > 1e-6 * sizes.max() if D.shape[1] > 2 else [True, True]
    return Separation([], present[moved].tolist(), features)


def _extremes(chunks, possible, n_features):
    """Return the least and the largest value of each feature, (2, n_classes, n_features).

    First in rows for which the class is possible, then in rows for which another is.
    """
    n_classes = possible.shape[1]
    low = np.full((2, n_classes, n_features), np.inf)
    high, first = -low, 0
    for chunk in chunks():
        chunk = chunk[:, :n_features]
        own = possible[first : first + len(chunk)]
        first += len(chunk)
        n_possible = own.sum(axis=1)
        for k in range(n_classes):
            for side, rows in enumerate((own[:, k], n_possible > own[:, k])):
                if rows.any():
                    some = chunk[rows]
                    np.minimum(low[side, k], some.min(axis=0), out=low[side, k])
                    np.maximum(high[side, k], some.max(axis=0), out=high[side, k])
    return low, high


def _spreads(X):
    """Return the median size of each feature where it is not 0, 1 if it is nowhere."""
    spreads = np.ones(X.shape[1])
    for f, own in enumerate(np.abs(X.T)):
        own = own[own > 0.0]
        if own.size:
            spreads[f] = np.median(own)
    return spreads


def _alone(low, high, intercept):
    """Return ``alone`` of ``Separation``, from what ``_extremes`` returns."""
    (low_in, low_out), (high_in, high_out) = low, high  # (n_classes, n_features)
    above = (low_in >= high_out) & (high_in > low_out)
    below = (high_in <= low_out) & (low_in < high_out)
    if not intercept:  # then 0 has to lie between them
        above &= (low_in >= 0.0) & (high_out <= 0.0)
        below &= (high_in <= 0.0) & (low_out >= 0.0)
    # Where values occur with one class alone, it goes without saying that others lack them.
    has_own = (above & (high_in > high_out)) | (below & (low_in < low_out))
    said = has_own | ~has_own.any(axis=0)
    if len(said) == 2:  # what one class is told by tells the other
        said[1] &= ~(said[0] & (above | below)[0])
    found = []
    for k in range(len(said)):
        for side, holds in (("below", above[k]), ("above", below[k])):
            if (features := np.flatnonzero(holds & said[k])).size:
                found.append((k, side, features.tolist()))
    return found


def _together(X, possible, n_features, W):
    """Return D of few features, (size, n_classes), or None if there is none, or no verdict."""
    n_samples, n_classes = possible.shape
    size = X.shape[1]
    counted = possible.any(axis=1)
    best = possible.argmax(axis=1)  # of each row a possible class, whose score is the largest
    row, other = np.nonzero(counted[:, None] & (np.arange(n_classes) != best[:, None]))
    equal = possible[row, other]

    def margins(D):
        scores = X @ D
        return scores[row, best[row]] - scores[row, other]

    def constraints(some):
        """Return the rows of the programme for ``margins(D)[some]``."""
        A = np.zeros((len(some), size, n_classes))
        places = np.arange(len(some))
        A[places, :, best[row[some]]] += X[row[some]]
        A[places, :, other[some]] -= X[row[some]]
        return A.reshape(len(some), size * n_classes)

    # The mean of what has to be positive, margins of classes that are not possible.
    total = np.zeros((size, n_classes))
    gain = np.zeros((n_samples, n_classes))
    np.add.at(gain, (row, best[row]), ~equal)
    np.add.at(gain, (row, other), -1.0 * ~equal)
    total = (X.T @ gain).ravel() / max(1, np.count_nonzero(~equal))
    cost = np.ones((size, n_classes))
    cost[n_features:] = 0.0
    cost = np.tile(cost.ravel(), 2)
    step = 10 * size * n_classes
    order = np.argsort(np.where(equal, 0.0, margins(W)), kind="stable")
    chosen = order[:step]
    for _ in range(MOST_ROUNDS):
        ties = chosen[equal[chosen]]
        A, A_equal = constraints(chosen[~equal[chosen]]), constraints(ties)
        A = np.vstack([-total, -A])
        found = linprog(
            cost,
            np.hstack([A, -A]),
            np.append(-1.0, np.zeros(len(A) - 1)),
            np.hstack([A_equal, -A_equal]),
            np.zeros(len(A_equal)),
            options={"primal_feasibility_tolerance": 1e-10},
        )
        if found.status != 0:  # 2: there is no D; otherwise nobody knows
            return None
        plus, minus = found.x.reshape(2, size, n_classes)
        D = plus - minus
        broken = margins(D)
        broken = np.where(equal, np.abs(broken), -broken)
        worst = np.argsort(-broken, kind="stable")[:step]
        worst = worst[broken[worst] > ROUNDING]
        if len(worst) == 0:
            return D
        more = np.setdiff1d(worst, chosen)
        if len(more) == 0:
            return None  # rounding decides
        chosen = np.concatenate([chosen, more])
    return None


def possible_classes(terms, n_classes):
    """Return ``possible`` of ``find`` for the terms of a loss; None if targets are lists."""
    possible = False
    for term in terms:
        if is_sparse(term.target):
            return None
        counted = (term.weight > 0.0)[:, np.newaxis]
        possible = possible | (counted & (one_hot(term.target, n_classes) > 0.0))
    return possible
