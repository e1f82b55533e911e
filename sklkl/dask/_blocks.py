"""Parts of the data in blocks, each of which is computed with at a time at one place."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sklkl._core.samples import n_rows
from sklkl.dask._collections import pieces_of, refuse_other_lengths
from sklkl.dask._places import place_in_use


class Block(NamedTuple):
    """The parts that one thread of a worker computes with."""

    worker: str | None  # their worker; None for our own process
    numbers: list  # of the parts
    parts: Any  # a dict of them by their numbers, or a future of one


class Shared(dict):
    """Parts by their numbers, and the bytes that they hold alone."""

    def __init__(self, parts, nbytes):
        super().__init__(parts)
        self.nbytes = nbytes

    def __sizeof__(self):
        # By which Dask decides what to write to disk: rows that share X count it once.
        return super().__sizeof__() + self.nbytes

    def __reduce__(self):
        return Shared, (dict(self), self.nbytes)


@dataclass
class Parts:
    """Collections in parts, which are held where they were computed."""

    place: Any  # Workers or Here
    blocks: list  # of ``Block``
    first_rows: list | None = None  # the number of rows before each part
    n_rows: int = 0  # in all parts

    def results(self, function, *arguments):
        """Return the results of a function of every part, in their order.

        Arguments are lists with an item for each part. An error of bad data is raised for the
        first part that has one.
        """
        futures = [
            self.place.submit(
                _each,
                parts,
                function,
                [of(numbers, own) for own in arguments],
                worker=worker,
            )
            for worker, numbers, parts in self.blocks
        ]
        results = {}
        for some in self.place.gather(futures):
            results |= some
        results = [results[i] for i in sorted(results)]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results


@contextmanager
def gathered(kind, named):
    """Yield the ``Parts`` of collections by name, each made by ``kind``; free them at the end.

    Partitions that hold different numbers of rows are refused.
    """
    pieces = pieces_of(kind, named)
    with place_in_use() as place:
        parts = Parts(place, _blocks_of(place, kind, pieces))
        lengths = parts.results(_lengths_of)
        refuse_other_lengths(lengths)
        first = next(iter(named))
        *parts.first_rows, parts.n_rows = np.cumsum(
            [0, *(rows[first] for rows in lengths)]
        ).tolist()
        yield parts


def of(numbers, items):
    """Return the items of some parts, by their numbers."""
    return {i: items[i] for i in numbers}


def _blocks_of(place, kind, pieces):
    """Return parts of delayed pieces as blocks, one for each thread of a worker.

    Parts are where their first piece is, X; others, as y, travel there if they have to. A call
    for each of a thousand parts would take Dask half a second, of which an evaluation may
    need thirty.
    """
    names = list(pieces[0])
    held, workers = place.hold([of_part[name] for of_part in pieces for name in names])
    firsts = range(0, len(held), len(names))
    held = [dict(zip(names, held[first:], strict=False)) for first in firsts]
    numbers = {}
    for i, first in enumerate(firsts):
        numbers.setdefault(workers[first], []).append(i)
    blocks = []
    for worker, own in numbers.items():
        for some in np.array_split(own, min(place.threads(worker), len(own))):
            some = some.tolist()
            parts = place.submit(_parts, kind, of(some, held), worker=worker)
            blocks.append(Block(worker, some, parts))
    return blocks


def _parts(kind, pieces):
    """Return parts by their numbers."""
    return {i: kind(**of_part) for i, of_part in pieces.items()}


def _lengths_of(part):
    """Return the numbers of rows of the arguments in a part, by their names."""
    return {name: n_rows(x, name) for name, x in part._asdict().items() if x is not None}


def _each(parts, function, arguments):
    """Return by its number what a function returns, or raises, for each part."""
    results = {}
    for i, part in parts.items():
        try:
            results[i] = function(part, *(own[i] for own in arguments))
        except (TypeError, ValueError) as error:
            return results | {i: error}
    return results
