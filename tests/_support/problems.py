"""Small data sets with soft and hard targets."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import softmax


class Problem(NamedTuple):
    """Features, labels, soft targets whose columns are the sorted classes, weights, groups."""

    X: np.ndarray
    hard: np.ndarray
    soft: np.ndarray
    weight: np.ndarray
    groups: np.ndarray

    def target(self, kind):
        """Return the "hard" or "soft" targets."""
        return getattr(self, kind)


def random_rows(n_rows, n_classes, seed=0, concentration=1.0, dtype=np.float64):
    """Return rows drawn from a Dirichlet distribution."""
    rng = np.random.default_rng([seed, n_classes])
    rows = rng.dirichlet(np.full(n_classes, concentration), size=n_rows)
    return rows.astype(dtype)


@cache
def make_problem(n_classes=3, n_samples=90, n_features=4, *, classes=None, noise=1.0, seed=0):
    """Return noisy softmax-linear targets, with labels drawn from them.

    Every seventh weight is 0; all classes occur among the labels. ``classes`` is a tuple of
    their names, sorted. Arrays are read-only, since tests share them.
    """
    rng = np.random.default_rng([seed, n_classes])
    classes = np.arange(n_classes) if classes is None else np.array(classes)
    n_classes = len(classes)
    X = rng.normal(size=(n_samples, n_features))
    logits = X @ rng.normal(size=(n_features, n_classes))
    soft = softmax(logits + noise * rng.normal(size=logits.shape), axis=1)
    codes = (rng.uniform(size=(n_samples, 1)) > soft.cumsum(axis=1)).sum(axis=1)
    codes = np.minimum(codes, n_classes - 1)
    codes[:n_classes] = np.arange(n_classes)
    weight = rng.uniform(0.2, 3.0, n_samples)
    weight[::7] = 0.0
    problem = Problem(X, classes[codes], soft, weight, rng.integers(0, 15, n_samples))
    for array in problem:
        array.setflags(write=False)
    return problem
