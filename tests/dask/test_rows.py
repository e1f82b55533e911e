"""Rows in blocks: samples of samples, and sums in a tree."""

from functools import reduce
from operator import add

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklkl.dask import SoftLabelLogisticRegression, _rows
from sklkl.dask._data import checked_collections
from sklkl.dask._rows import joined
from sklkl.linear_model._loss import resolve_divergence
from sklkl.linear_model._rows import LocalRows
from sklkl.linear_model._summed import add as add_results
from tests.dask.test_logistic import CHUNKS, NAMES, WEIGHT, P, X, array


def test_sample_of_a_sample(monkeypatch):
    monkeypatch.setattr(_rows, "MOST_BYTES", 1)  # so that samples stay in their parts
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
        assert_allclose(mass, P[::7][::3].sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_samples_travel_unless_they_are_large(sparse, monkeypatch):
    x = csr_array(X) if sparse else X
    named = {
        "X": array(x),
        "y": array(P),
        "labels": array(NAMES),
        "label_weight": array(WEIGHT),
    }
    model = SoftLabelLogisticRegression(classes=["ham", "spam", "eggs"])
    with checked_collections(model, named) as data:
        (rows,) = data.stages(resolve_divergence("kl", None), 1.0, True)
        rows = rows.centered()
        monkeypatch.setattr(_rows, "MOST_BYTES", 1)
        size = rows.every(7).total(add, "nbytes")
        monkeypatch.setattr(_rows, "MOST_BYTES", size - 1)
        there = rows.every(7)
        monkeypatch.setattr(_rows, "SAMPLE_ROWS", 5)
        assert_array_equal(rows.every(7).terms[0].target, P[::11])
        monkeypatch.setattr(
            _rows, "SAMPLE_ROWS", 6
        )  # more than the 28 rows for 5 coefficients
        assert type(rows.every(7)) is _rows.DaskRows
        monkeypatch.setattr(_rows, "MOST_BYTES", size)
        here = rows.every(7)
        assert (type(there), type(here)) == (_rows.DaskRows, LocalRows)
        assert here.nbytes() == size or sparse  # of which each part has an index of rows
        assert_array_equal(here.X.toarray() if sparse else here.X, X[::7])
        assert_array_equal(here.terms[0].target, P[::7])
        of_labels = here.terms[1].weight / here.terms[0].weight
        assert_allclose(of_labels, WEIGHT[::7], rtol=1e-12)
        W = np.random.default_rng(2).normal(size=rows.shape)
        for found, expected in zip(here.objective(W), there.objective(W), strict=True):
            assert_allclose(found, expected, rtol=1e-11)
        assert_allclose(here.stats.mass, there.stats.mass, rtol=1e-12)


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


def test_how_much_results_hold():
    """By that they are kept from travelling one for each part."""
    model = SoftLabelLogisticRegression()
    with checked_collections(model, {"X": array(X), "y": array(P)}) as data:
        (rows,) = data.stages(resolve_divergence("kl", None), 1.0, True)
        W = np.zeros(rows.shape)
        for method, arguments in {
            "class_curvature": (W, True),
            "hessian": (W,),
            "score_products": (W[:, 1:], np.ones(len(W)), None),
            "curvature": (W, True, True),
        }.items():
            result = rows.total(add_results, method, *arguments)
            size = sum(map(np.size, result if isinstance(result, tuple) else [result]))
            assert size / 2.5 < rows.numbers_of(method) < 2.5 * size
