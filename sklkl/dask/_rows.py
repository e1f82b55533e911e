"""Rows on the workers of a cluster."""

import pickle
from copy import copy
from itertools import chain

import numpy as np

from sklkl.dask._blocks import Parts, Shared, of
from sklkl.linear_model._batched import MOST_BYTES, prime_from
from sklkl.linear_model._objective import SAMPLE_ROWS
from sklkl.linear_model._rows import stacked
from sklkl.linear_model._summed import SummedRows, add

FAN_IN = 8  # results that are added at one place

# Bytes of the results of all parts, beyond which the order of sums follows the places of the
# parts: elsewhere each block sends one result for every part without a neighbour.
WIDE = 1 << 28


def joined(many, n_parts, combine):
    """Combine results of parts as far as neighbours are there, in a binary tree over all.

    So the order of sums depends on the number of parts alone, and not on where they are.

    Parameters
    ----------
    many : iterable of dict
        Results by their places in the tree: (0, i) of part i, (level + 1, i // 2) above.
    n_parts : int
        The number of all parts.
    combine : callable
        Makes one of two results, the first of which comes before the other.

    Returns
    -------
    dict
        Results whose neighbours are missing; of all parts, one.
    """
    results = {}
    for (level, i), result in chain.from_iterable(some.items() for some in many):
        while (width := -(-n_parts >> level)) > 1:
            other = i ^ 1
            if other < width:
                if (level, other) not in results:
                    break
                neighbours = results.pop((level, other)), result
                result = combine(*(neighbours if other < i else neighbours[::-1]))
            level, i = level + 1, i // 2
        results[level, i] = result
    return results


def evaluate(parts, places, n_parts, combine, method, arguments):
    """Return the ``joined`` results of a method of each part of a block, pickled.

    ``places`` are those of the parts in the tree. Dask would send every array on its own: 500
    small ones took 80 ms, in one pickle 30.
    """
    results = (
        {(0, place): getattr(rows, method)(*arguments)}
        for place, rows in zip(places, parts.values(), strict=True)
    )
    return pickle.dumps(joined(results, n_parts, combine), pickle.HIGHEST_PROTOCOL)


def join(many, n_parts, combine):
    """Return the ``joined`` results of pickled ones, pickled."""
    results = joined(map(pickle.loads, many), n_parts, combine)
    return pickle.dumps(results, pickle.HIGHEST_PROTOCOL)


def change(parts, method, arguments):
    """Return what a method of each part of a block returns, given its own arguments."""
    rows = {i: getattr(rows, method)(*arguments[i]) for i, rows in parts.items()}
    own = method in ("every", "mixed")  # others go on with the X that they have
    return Shared(rows, sum(some.nbytes() for some in rows.values()) if own else 0)


class DaskParts:
    """Objects in blocks on workers, or here, one for each part of the data."""

    def __init__(self, place, blocks, n_parts):
        self.place, self.blocks, self.n_parts = place, blocks, n_parts

    def numbers_of(self, method):
        """Return how many numbers a result of a method holds at most, 0 if hardly any."""
        return 0

    def total(self, combine, method, *arguments):
        """See ``SummedRows``."""
        wide = 8 * self.numbers_of(method) * self.n_parts > WIDE
        submit, n_parts = self.place.submit, self.n_parts
        first_places = np.cumsum([0, *(len(numbers) for _, numbers, _ in self.blocks)])
        arguments = self.place.shared(arguments, len(self.blocks))
        results = []
        for (worker, numbers, parts), first in zip(self.blocks, first_places, strict=False):
            places = range(first, first + len(numbers)) if wide else numbers
            own = (places, n_parts, combine, method, arguments)
            results.append(submit(evaluate, parts, *own, worker=worker))
        while len(results) > FAN_IN:
            results = [
                submit(join, results[i : i + FAN_IN], n_parts, combine)
                for i in range(0, len(results), FAN_IN)
            ]
        results = map(pickle.loads, self.place.gather(results))
        (total,) = joined(results, n_parts, combine).values()
        return total

    def blocks_of(self, method, *arguments):
        """Return the blocks of what a method of every part returns.

        Arguments are lists with an item for each part.
        """
        own = list(zip(*arguments, strict=True)) if arguments else [()] * self.n_parts
        return [
            block._replace(
                parts=self.place.submit(
                    change, block.parts, method, of(block.numbers, own), worker=block.worker
                )
            )
            for block in self.blocks
        ]


class DaskRows(DaskParts, SummedRows):
    """Rows in blocks on workers, or here.

    Parameters
    ----------
    place : Workers or Here
        Where the blocks are.
    blocks : list of Block
        Of ``LocalRows``.
    lengths : list of int
        The number of rows of each part.
    shape, dtype, dense
        As of ``SummedRows``.
    """

    lengths = None

    def __init__(self, place, blocks, lengths, shape, dtype, *, dense):
        DaskParts.__init__(self, place, blocks, len(lengths))
        SummedRows.__init__(self, shape, dtype, dense=dense)
        self.lengths = lengths

    def numbers_of(self, method):
        """See ``DaskParts``."""
        size, n_logits = self.shape
        if method == "class_curvature":
            return n_logits * size**2
        if method in ("hessian", "score_products"):
            return 2 * (n_logits * size) ** 2
        return size * (size + n_logits)

    def changed(self, method, *arguments):
        """See ``SummedRows``."""
        changed = copy(self)
        changed.blocks = self.blocks_of(method, *arguments)
        if method == "every":
            each = zip(self.lengths, *arguments, strict=True)
            changed.lengths = [len(range(first, n, stride)) for n, stride, first in each]
        return changed

    def every(self, stride):
        """See ``Rows``: put together here, since most evaluations of a fit are of a sample.

        Of what would take more than ``MOST_BYTES`` every so many-th row less, as long as that
        is a sample; else all stay where they are.
        """
        some = super().every(stride)
        if (size := some.total(add, "nbytes")) > MOST_BYTES:
            stride = prime_from(stride * size // MOST_BYTES + 1)
            if sum(self.lengths) < SAMPLE_ROWS * self.shape[0] * stride:
                return some
            some = super().every(stride)
        pickled = Parts(self.place, some.blocks).results(pickle.dumps)
        return stacked(map(pickle.loads, pickled))

    def objective(self, W):
        """See ``Rows``."""
        value, gradient = super().objective(W)
        return value, np.array(gradient)  # what has travelled may be read-only
