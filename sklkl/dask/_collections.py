"""Dask collections that users pass: their partitions, and the rows of each, side by side."""

import dask
import numpy as np
from dask.array import Array


def is_frame(x):
    """Return whether it is a data frame, or a Series, of Dask."""
    return dask.is_dask_collection(x) and hasattr(x, "divisions")


def is_collection(x):
    """Return whether it is an array, a data frame or a Series of Dask."""
    return isinstance(x, Array) or is_frame(x)


def whole_rows(x, name):
    """Return a collection each partition of which holds all columns of its rows."""
    if is_frame(x):
        return x
    if x.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions; got shape {x.shape}.")
    return x.rechunk({1: -1}) if x.ndim == 2 and x.numblocks[1] > 1 else x


def n_partitions(x):
    """Return the number of partitions."""
    return x.npartitions if is_frame(x) else x.numblocks[0]


def pieces_of(kind, named):
    """Return the delayed rows of each argument by name, for each partition.

    Parameters
    ----------
    kind : type
        A named tuple of the arguments, without a default for those that have to be given.
    named : dict
        Collections by the names that messages use, the first of which has the partitions
        that arrays of the others are brought to; None for what is not given.

    Returns
    -------
    list of dict
    """
    given = {name: x for name, x in named.items() if x is not None}
    for name in kind._fields:
        if name not in given and name not in kind._field_defaults:
            raise ValueError(f"{name} must hold something for every row; got None.")
    for name, x in given.items():
        if not is_collection(x):
            raise TypeError(
                f"{name} is a {type(x).__name__}, and other arguments are collections of "
                "Dask. Pass all as such, as by dask.array.from_array, in the same partitions; "
                "or none."
            )
    given = {name: whole_rows(x, name) for name, x in given.items()}
    (first, reference), *others = given.items()
    for name, x in others:
        given[name] = _as_partitioned(x, reference, name, first)
    pieces = [
        x.to_delayed() if is_frame(x) else x.to_delayed().ravel() for x in given.values()
    ]
    return [dict(zip(given, rows, strict=True)) for rows in zip(*pieces, strict=True)]


def _as_partitioned(x, reference, name, first):
    """Return a collection with as many partitions as the reference, or refuse it."""
    if not (is_frame(x) or is_frame(reference)):
        rows, wanted = x.chunks[0], reference.chunks[0]
        known = not np.isnan([*rows, *wanted]).any()
        if known and sum(rows) != sum(wanted):
            raise ValueError(
                f"{first} and {name} have inconsistent numbers of samples: {sum(wanted)} and "
                f"{sum(rows)}."
            )
        if known:
            return x.rechunk({0: wanted})
    if n_partitions(x) != n_partitions(reference):
        raise ValueError(
            f"{first} has {n_partitions(reference)} partitions, and {name} has "
            f"{n_partitions(x)}. Take both from one data frame, or pass arrays of known "
            "chunks (compute_chunk_sizes), which are then brought to the same."
        )
    return x


def refuse_other_lengths(lengths):
    """Refuse partitions that hold more rows of one argument than of another.

    ``lengths`` is a list of the numbers of rows by the names of the arguments.
    """
    for i, rows in enumerate(lengths):
        (first, wanted), *others = rows.items()
        for name, found in others:
            if found != wanted:
                raise ValueError(
                    f"Partition {i} holds {wanted} rows of {first} and {found} of {name}. "
                    "Take both from one data frame, or pass arrays of known chunks "
                    "(compute_chunk_sizes), which are then brought to the same."
                )
