"""A cluster in this process, for all tests of collections."""

import time

import pytest
from distributed import Client, LocalCluster


def keys_of(client):
    """Return what the scheduler holds, once what was released has had time to go."""
    deadline = time.monotonic() + 10.0
    while (keys := list(client.cluster.scheduler.tasks)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return keys


@pytest.fixture(scope="session")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """Yield a client that is in use; nothing may be left on the workers afterwards."""
    with Client(cluster) as client:
        yield client
        assert keys_of(client) == []
