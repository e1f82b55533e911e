"""Rows in parts, as batches of a file or the workers of a cluster would hold them."""

from abc import ABC, abstractmethod

import numpy as np

from sklkl._core.lazy import lazy
from sklkl.linear_model._stats import most_of_center


def add(a, b):
    """Return the sum of two results; of tuples, that of their items, None if one is None."""
    if isinstance(a, tuple):
        return tuple(add(*items) for items in zip(a, b, strict=True))
    return None if a is None else a + b


def first_known(a, b):
    """Return the first of two results that is not None."""
    return b if a is None else a


class SummedRows(ABC):
    """Rows that are the sum of parts, each of them ``LocalRows`` of the same ``unit``.

    Methods return what ``Rows`` says. ``predict`` is missing: it takes no sums.
    """

    center = offset = None

    def __init__(self, shape, dtype, *, dense):
        self.shape, self.dtype, self.dense = shape, dtype, dense

    @abstractmethod
    def total(self, combine, method, *arguments):
        """Return what ``combine`` makes of the results of a method of every part.

        ``combine`` takes two results of parts, the first of which comes before the other. In
        what order pairs are combined depends on nothing but the number of parts.
        """

    @abstractmethod
    def changed(self, method, *arguments):
        """Return rows whose parts are what a method of every part returns.

        Arguments are lists with an item for each part.
        """

    @property
    @abstractmethod
    def lengths(self):
        """The number of rows of each part."""

    @lazy
    def stats(self):
        """See ``Rows``."""
        return self.total(add, "sums")

    def objective(self, W):
        """See ``Rows``."""
        return self.total(add, "objective", W)

    def curvature(self, W, full, products):
        """See ``Rows``."""
        return self.total(add, "curvature", W, full, products)

    def class_curvature(self, W, full):
        """See ``Rows``."""
        return self.total(add, "class_curvature", W, full)

    def gram(self, full):
        """See ``Rows``."""
        return self.total(add, "gram", full)

    def hessian(self, W):
        """See ``Rows``."""
        return self.total(add, "hessian", W)

    def largest_change(self, direction):
        """See ``Rows``."""
        return float(self.total(np.maximum, "largest_change", direction))

    def largest_values(self):
        """See ``Rows``."""
        return self.total(np.maximum, "largest_values")

    def score_products(self, V, scale, groups):
        """See ``Rows``; rows of one group would have to be in one part."""
        if groups is not None:
            raise ValueError("groups: pass the rows in memory, where groups can be gathered.")
        return self.total(add, "score_products", V, scale, None)

    @property
    def eps(self):
        """See ``Rows``."""
        return np.finfo(self.dtype).eps

    def widen(self):
        """See ``Rows``."""
        if self.dtype == np.float64:
            return False
        vars(self).update(vars(self.changed("widened")), dtype=np.dtype(np.float64))
        return True

    def centered(self):
        """See ``Rows``."""
        n_features = self.stats.n_features
        if not self.dense or n_features == 0:
            return self
        most = -(-most_of_center(n_features) // len(self.lengths))
        center = self.total(add, "about_center", most).value
        if center is None:
            return self
        centered = self.changed("around", [center] * len(self.lengths))
        centered.center = center
        return centered

    def every(self, stride):
        """See ``Rows``."""
        first_rows = np.cumsum([0, *self.lengths[:-1]])
        some = self.changed(
            "every", [stride] * len(first_rows), (-first_rows % stride).tolist()
        )
        vars(some).pop("stats", None)
        return some

    def why_not_finite(self):
        """See ``Rows``."""
        return self.total(first_known, "why_not_finite")

    def separation(self, W):
        """See ``Rows``; it is looked for in memory only."""
        return None
