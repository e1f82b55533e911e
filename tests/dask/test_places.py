"""Where collections are computed with: blocks, memory, and clients of all kinds."""

import asyncio
import time

import distributed
import numpy as np
import pytest
from dask.sizeof import sizeof
from numpy.testing import assert_array_equal

from sklkl.dask import SoftLabelLogisticRegression, _places
from sklkl.dask._blocks import Shared
from sklkl.dask._data import checked_collections
from sklkl.dask._places import Here, place_in_use
from sklkl.linear_model._loss import resolve_divergence
from tests.dask.test_logistic import P, X, array

CHUNKS = (30,) * 10


def test_a_block_for_each_thread(client):
    worker = next(iter(client.scheduler_info()["workers"]))
    rows = client.persist([array(X, CHUNKS), array(P, CHUNKS)], workers=worker)
    distributed.wait(rows)
    arguments = dict(zip(("X", "y"), rows, strict=True))
    del rows
    with checked_collections(SoftLabelLogisticRegression(), arguments) as data:
        blocks = [(block.worker, len(block.numbers)) for block in data.parts.blocks]
    arguments.clear()
    assert blocks == [(worker, 5), (worker, 5)]


def test_what_was_passed_is_not_held_beside_what_is_checked(client):
    def held():
        tasks = client.cluster.scheduler.tasks.values()
        return [task.key for task in tasks if task.who_has and "sklkl-_parts" in task.key]

    arguments = {"X": array(X), "y": array(P)}
    with checked_collections(SoftLabelLogisticRegression(), arguments) as data:
        assert held()
        rows = data.stages(resolve_divergence("kl", None), 1.0, True)
        deadline = time.monotonic() + 10.0
        while held() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not held()
        assert rows[0].stats.n_samples == len(X)


def test_large_arguments_travel_once_to_each_worker(client):
    W = np.zeros(_places.SPARED // 8)
    with place_in_use() as place:
        assert place.shared((W, 1), 2)[1] == 1  # as many as there are workers
        assert place.shared((W[1:], 1), 3)[1] == 1
        (found, _), expected = place.shared((W, 1), 3).result(), W
    assert_array_equal(found, expected)
    with Here() as place:
        assert place.shared((W, 1), 3)[1] == 1


def test_bytes_of_parts():
    assert sizeof(Shared({}, 10_000)) - sizeof(Shared({}, 0)) == 10_000


def fitted(_=None):
    return SoftLabelLogisticRegression(tol=1e-9).fit(array(X), array(P)).coef_


def test_fits_in_tasks_do_not_wait_for_threads(client):
    n_threads = sum(client.nthreads().values())
    futures = client.map(fitted, range(n_threads))
    expected = fitted()
    for future in futures:
        assert_array_equal(future.result(60), expected)
    place = client.submit(lambda: type(place_in_use()) is Here)
    assert place.result()


def test_asynchronous_clients_are_refused(cluster):
    async def fit():
        async with distributed.Client(cluster.scheduler_address, asynchronous=True):
            fitted()

    with pytest.raises(TypeError, match="without asynchronous=True"):
        asyncio.run(fit())


def test_clients_without_workers():
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        pytest.warns(UserWarning, match="has no workers"),
    ):
        place_in_use()
