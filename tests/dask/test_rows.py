"""Rows in blocks: samples of samples, and sums in a tree."""

from functools import reduce
from operator import add

import numpy as np
import pytest

from sklkl.dask import SoftLabelLogisticRegression
from sklkl.dask._data import checked_collections
from sklkl.dask._rows import joined
from sklkl.linear_model._loss import resolve_divergence
from tests.dask.test_logistic import CHUNKS, P, X, array


def test_sample_of_a_sample():
    with checked_collections(
        SoftLabelLogisticRegression(), {"X": array(X), "y": array(P)}
    ) as data:
        (rows,) = data.stages(resolve_divergence("kl", None), 1.0, True)
        some = rows.every(7)
        assert tuple(rows.lengths) == CHUNKS
        assert sum(some.lengths) == some.stats.n_samples == len(X[::7])
        # A sample has an X of its own; centered rows share that which they come from.
        assert [block.parts.nbytes for block in some.blocks] == [nbytes(some)]
        assert [block.parts.nbytes for block in some.centered().blocks] == [0]
        mass = some.every(3).stats.mass
        np.testing.assert_allclose(mass, P[::7][::3].sum(axis=0), rtol=1e-12)


def nbytes(rows):
    own = [part for block in rows.blocks for part in block.parts.values()]
    return sum(
        part.X.nbytes + part.terms[0].target.nbytes + part.terms[0].weight.nbytes
        for part in own
    )


@pytest.mark.parametrize("n_parts", [1, 2, 3, 8, 13, 64])
def test_order_of_a_tree(n_parts):
    """Neighbours are put together in order, and alike in whatever blocks they come."""
    rng = np.random.default_rng(n_parts)
    found = set()
    for n_blocks in (1, 2, 5):
        block_of = rng.integers(n_blocks, size=n_parts)
        blocks = [
            joined(
                ({(0, i): f"({i})"} for i in np.flatnonzero(block_of == b)), n_parts, paired
            )
            for b in range(n_blocks)
        ]
        (result,) = joined(blocks, n_parts, paired).values()
        found.add(result)
    assert len(found) == 1
    numbers = reduce(add, found).replace("(", " ").replace(")", " ").split()
    assert numbers == [str(i) for i in range(n_parts)]


def paired(a, b):
    return f"({a}{b})"
