"""Rows that are read anew, batch by batch, in every pass over them.

A fit takes one pass to learn what parts tell each other (``_parts``), and another for the sums
that do not depend on coefficients, in which the center and the sample are collected, too.
After that an evaluation is a pass. In memory are a batch, the next one, and the sample.
"""

from collections import deque
from copy import copy
from dataclasses import replace
from functools import reduce
from itertools import count
from math import isqrt
from operator import methodcaller

import numpy as np
from scipy.sparse import issparse, vstack

from sklkl._core import topk
from sklkl._core.lazy import lazy
from sklkl._core.targets import is_sparse
from sklkl.batches._batches import ahead, numbered, refuse_others
from sklkl.linear_model._objective import sample_stride
from sklkl.linear_model._parts import Part, merge, summarise
from sklkl.linear_model._stats import most_of_center
from sklkl.linear_model._summed import SummedRows, add

MOST_BYTES = 1 << 28  # of a sample


def check_batches(estimator, X, **others):
    """Return the ``BatchData`` of ``Batches``, beside which ``fit`` takes no ``others``."""
    refuse_others(others)
    whole = merge(
        estimator,
        [summarise(estimator, Part(*batch), row) for batch, row in ahead(numbered(X))],
    )
    whole.describe(estimator)
    return BatchData(X, estimator, whole)


class BatchData:
    """Checked data that are read batch by batch; of all rows it knows what ``Whole`` does."""

    def __init__(self, batches, estimator, whole):
        self.batches, self.estimator, self.whole = batches, estimator, whole

    def __getattr__(self, name):
        return getattr(vars(self)["whole"], name)

    def parts(self):
        """Yield the checked ``Data`` of each batch."""
        n_samples = 0
        for batch, first_row in numbered(self.batches):
            data = self.whole.data(self.estimator, Part(*batch), first_row)
            n_samples = first_row + data.X.shape[0]
            if n_samples > self.n_samples:
                self._refuse(f"{n_samples} or more")
            yield data
        if n_samples < self.n_samples:
            self._refuse(n_samples)

    def _refuse(self, found):
        raise ValueError(
            f"The batches held {self.n_samples} rows at first, and {found} when they were "
            "read again. Their source must give the same rows in every pass: a function has "
            "to make a new iterator each time."
        )

    @lazy
    def n_samples(self):
        """The number of rows."""
        return sum(self.whole.lengths)

    def stages(self, divergence, temperature, fit_intercept):
        """See ``Data.stages``."""
        options = divergence, temperature, fit_intercept, self.whole.unit(temperature)
        n_stages = 1 if divergence.name == "kl" else 2
        return [BatchRows(self, options, stage) for stage in range(n_stages)]


class BatchRows(SummedRows):
    """Rows that are read batch by batch."""

    def __init__(self, data, options, stage):
        shape = (data.n_features + options[2], data.n_logits)
        super().__init__(shape, data.dtype, dense=not data.sparse)
        self.data, self.options, self.stage = data, options, stage
        self.changes = ()  # of the rows of a batch, once they are read

    @property
    def lengths(self):
        """See ``SummedRows``."""
        return self.data.lengths

    def _rows(self, data):
        """Return the ``LocalRows`` of some data, changed as all are."""
        rows = data.stages(*self.options)[self.stage]
        for method, arguments in self.changes:
            rows = getattr(rows, method)(*arguments)
        return rows

    def total(self, combine, method, *arguments):
        """See ``SummedRows``."""
        parts = ahead(self._rows(data) for data in self.data.parts())
        return reduce(combine, map(methodcaller(method, *arguments), parts))

    def changed(self, method, *arguments):
        """See ``SummedRows``; arguments are the same for all parts."""
        changed = copy(self)
        changed.changes = (*self.changes, (method, [own[0] for own in arguments]))
        return changed

    @lazy
    def stats(self):
        """See ``Rows``."""
        return self._first_pass[0]

    @lazy
    def _first_pass(self):
        """The stats, the center, None of sparse rows, and the ``Sample`` that is likely."""
        stride = sample_stride(self.data.n_samples, self.shape[0])
        sample = None if stride is None else Sample(self.data, stride)
        most = -(-most_of_center(self.data.n_features) // len(self.lengths))

        def of_part(data):
            if sample is not None:
                sample.add(data)
            rows = self._rows(data)
            return rows.sums(), rows.about_center(most) if self.dense else None

        stats, center = reduce(add, map(of_part, ahead(self.data.parts())))
        return stats, None if center is None else center.value, sample

    def centered(self):
        """See ``Rows``."""
        _, center, _ = self._first_pass
        if center is None or self.data.n_features == 0:
            return self
        centered = self.changed("around", [center])
        centered.center = center
        return centered

    def every(self, stride):
        """See ``Rows``."""
        _, _, sample = self._first_pass
        if sample is None or sample.asked != stride:
            sample = Sample(self.data, stride)
            deque(map(sample.add, ahead(self.data.parts())), maxlen=0)
        return self._rows(sample.data)


class Sample:
    """Every so many-th row of batches, as many as take ``MOST_BYTES`` at most."""

    def __init__(self, data, stride):
        self.whole, self.asked = data.whole, stride
        size = data.dtype.itemsize
        of_proba = len(data.classes) * size + 8  # labels may be probabilities, too
        of_row = data.n_features * size + (16 if data.hard else of_proba)
        if data.n_listed:
            of_row += 24 + 12 * data.n_listed // data.n_samples - of_proba
        of_row += data.labelled * of_proba
        self.stride = prime_from(max(stride, data.n_samples * of_row // MOST_BYTES))
        self.n_samples = -(-data.n_samples // self.stride)
        self.n = 0
        # By the name of what ``Data`` holds; of what is sparse, a list of parts.
        self.arrays = {}

    def add(self, data):
        """Take the rows of the next batch."""
        rows = slice(-data.first_row % self.stride, None, self.stride)
        for name in ("X", "target", "weight", "labels", "label_weight"):
            values = getattr(data, name)
            if issparse(values) or is_sparse(values):
                self.arrays.setdefault(name, []).append(values[rows])
            elif values is not None:
                if name not in self.arrays:  # as a whole: to join many takes memory twice
                    shape = (self.n_samples, *values.shape[1:])
                    self.arrays[name] = np.empty(shape, values.dtype)
                values = values[rows]
                self.arrays[name][self.n : self.n + len(values)] = values
        self.n += len(range(*rows.indices(data.X.shape[0])))
        self.like = data

    @property
    def data(self):
        """The ``Data`` of these rows."""
        arrays = dict(self.arrays)
        if isinstance(arrays["X"], list):
            arrays["X"] = vstack(arrays["X"], format="csr")
        if isinstance(arrays["target"], list):
            arrays["target"] = topk.joined(arrays["target"])
        return replace(self.like, **arrays)


def prime_from(n):
    """Return the first prime from n, which is at least 2, on."""
    return next(p for p in count(n) if all(p % q for q in range(2, isqrt(p) + 1)))
