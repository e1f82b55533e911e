"""Fits and predictions of collections: those of all rows in memory."""

import os
import pickle
import signal

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import clone

from sklkl.batches import Batches
from sklkl.dask import SoftLabelLogisticRegression, _places, _rows
from sklkl.linear_model import SoftLabelLogisticRegression as Plain
from sklkl.linear_model import _objective
from tests.dask.conftest import keys_of

# Unequal, empty, of one row, and one that lacks classes.
CHUNKS = (1, 39, 0, 20, 240)
N = sum(CHUNKS)
rng = np.random.default_rng(0)
X = rng.normal(5.0, 1.0, size=(N, 4))
P = rng.dirichlet(np.ones(3), N)
CODES = np.sort(P.argmax(axis=1))
NAMES = np.array(["ham", "eggs", "spam"])[CODES]
WEIGHT = rng.lognormal(size=N) * (np.arange(N) >= 50)


def array(x, chunks=CHUNKS):
    """Return rows as a Dask array in partitions."""
    if x is None:
        return None
    if issparse(x):
        own = [da.from_array(x[a:b], asarray=False) for a, b in ends(chunks)]
        return da.concatenate(own)
    return da.from_array(x, chunks=(chunks, *x.shape[1:]))


def ends(chunks):
    last = np.cumsum(chunks)
    return zip(last - chunks, last, strict=True)


def frame(x, chunks=CHUNKS):
    """Return rows of a data frame or Series as one of Dask, the index going on."""
    return dd.from_delayed([dask.delayed(x.iloc[a:b]) for a, b in ends(chunks)], meta=x)


FEATURES = pd.DataFrame(X, columns=["x", "y", "z", "w"])
FRAME = pd.DataFrame(P, columns=["ham", "spam", "eggs"])
CASES = {
    "soft": ({}, (X, P)),
    "weights": ({"classes": ["b", "c", "a"]}, (X, P, WEIGHT)),
    "frames": ({}, (FEATURES, FRAME, pd.Series(WEIGHT))),
    "strings": ({"class_weight": "balanced"}, (FEATURES, pd.Series(NAMES))),
    "binary": ({}, (X, CODES > 0, WEIGHT)),
    "elastic net": ({"l1_ratio": 0.5, "C": 0.05}, (X, P)),
    "float32": ({}, (X.astype(np.float32), P)),
    "sparse": ({}, (csr_array(X), P)),
    "no intercept": ({"fit_intercept": False}, (X, P)),
    "divergence": ({"divergence": "jensen_shannon", "temperature": 2.0}, (X, P)),
    "labels": ({"temperature": 2.0}, (X, P, None, CODES, WEIGHT)),
    "sample": ({}, (X, P)),
}


def collections(arguments):
    return [frame(x) if hasattr(x, "iloc") else array(x) for x in arguments]


@pytest.fixture
def anywhere(request):
    """Let collections be computed on a cluster or, which takes less time, in this process."""
    if request.param == "cluster":
        request.getfixturevalue("client")


def here_and_on_a_cluster(cases, on_cluster):
    """Parametrise by all cases without a client, and by some with one."""
    both = [(case, "here") for case in cases] + [(case, "cluster") for case in on_cluster]
    return pytest.mark.parametrize(("case", "anywhere"), both, indirect=["anywhere"])


@here_and_on_a_cluster(CASES, ["frames", "sparse", "divergence", "sample"])
def test_fits(case, anywhere, monkeypatch):
    params, arguments = CASES[case]
    if case == "sample":
        monkeypatch.setattr(_objective, "LEAST_PASS", 0)
        monkeypatch.setattr(_objective, "SAMPLE_ROWS", 2)
    params = {"tol": 1e-7, "C": 0.3, **params}
    plain = Plain(**params).fit(*arguments)
    model = SoftLabelLogisticRegression(**params).fit(*collections(arguments))
    for name, value in vars(plain).items():
        if name in ("coef_", "intercept_", "loss_"):
            atol = 1e-5 if case == "float32" else 1e-7
            assert_allclose(getattr(model, name), value, rtol=1e-6, atol=atol)
        elif name.endswith("_") and name != "n_iter_":
            assert_array_equal(getattr(model, name), value)


def test_data_in_memory():
    plain = SoftLabelLogisticRegression().fit(X, P)
    assert_array_equal(plain.coef_, Plain().fit(X, P).coef_)


def test_chunks_are_brought_to_those_of_X():
    model = SoftLabelLogisticRegression(tol=1e-9)
    expected = model.fit(array(X), array(P)).coef_
    other = da.from_array(X, chunks=(CHUNKS, 3)), da.from_array(P, chunks=(70, 2))
    assert_array_equal(model.fit(*other).coef_, expected)


@pytest.mark.parametrize("wide", [False, True])
def test_sums_do_not_depend_on_places(wide, client, monkeypatch):
    monkeypatch.setattr(_rows, "FAN_IN", 2)
    monkeypatch.setattr(_rows, "WIDE", 0 if wide else 1 << 28)
    chunks = (23,) * 13 + (1,)
    found = []
    workers = list(client.scheduler_info()["workers"])
    for own in (workers, workers[:1]):
        rows = client.persist([array(X, chunks), array(P, chunks)], workers=own)
        found.append(SoftLabelLogisticRegression(tol=1e-9).fit(*rows).coef_)
    del rows
    if wide:
        assert_allclose(*found, atol=1e-9)
    else:
        assert_array_equal(*found)


@pytest.mark.parametrize("n_features", [1, 40])
def test_X_stays(n_features, client):
    """Both where y, which may travel, is larger, and where X is."""
    n, chunk = 20_000, 1_000
    x = np.random.default_rng(1).normal(size=(n, n_features))
    y = np.random.default_rng(2).dirichlet(np.ones(10), n)
    workers = list(client.scheduler_info()["workers"])
    dx, dy = (da.from_array(a, chunks=(chunk, -1)) for a in (x, y))
    rows = client.persist(dx, workers=workers[0]), client.persist(dy, workers=workers[1])
    distributed.wait(rows)
    logs = [worker.transfer_incoming_log for worker in client.cluster.workers.values()]
    for log in logs:
        log.clear()
    SoftLabelLogisticRegression(max_iter=3, tol=1.0).fit(*rows)
    names = [rows[0].name, rows[1].name]
    del rows
    keys = [str(key) for log in logs for transfer in log for key in transfer["keys"]]
    of_X, of_y = ([key for key in keys if name in key] for name in names)
    assert (len(of_X), len(of_y)) == (0, n // chunk)


def test_all_that_travels_is_a_sample(client, monkeypatch):
    """And sums: most evaluations are of the sample, which is put together once."""
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)
    monkeypatch.setattr(_objective, "SAMPLE_ROWS", 20)
    n, n_features = 4_000, 10
    x = np.random.default_rng(1).normal(size=(n, n_features))
    y = np.random.default_rng(2).dirichlet(np.ones(10) / 5, n)
    sizes, gather = [], _places.Workers.gather

    def measured(self, futures):
        results = gather(self, futures)
        sizes.append(len(pickle.dumps(results)))
        return results

    monkeypatch.setattr(_places.Workers, "gather", measured)
    calls = at_evaluation(0, None, monkeypatch)
    SoftLabelLogisticRegression().fit(*(da.from_array(a, chunks=(1_000, -1)) for a in (x, y)))
    sample = 8 * (n_features + 10 + 1) * -(-n // 17)  # of every 17th row, X, y and a weight
    assert sample < max(sizes) < 1.1 * sample
    assert sum(sizes) - max(sizes) < 2 * sample
    assert len(calls) < 10


def test_large_coefficients_are_shared(client, monkeypatch):
    expected = SoftLabelLogisticRegression(tol=1e-9).fit(array(X), array(P)).coef_
    shared, share = [], _places.Workers.shared

    def noted(self, arguments, copies):
        shared.append(share(self, arguments, copies))
        return shared[-1]

    monkeypatch.setattr(_places, "SPARED", -np.inf)
    monkeypatch.setattr(_places.Workers, "shared", noted)
    found = SoftLabelLogisticRegression(tol=1e-9).fit(array(X), array(P)).coef_
    assert_array_equal(found, expected)
    assert {type(arguments) for arguments in shared} == {distributed.Future}
    shared.clear()


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_predictions(method, n_classes):
    y = NAMES if n_classes == 3 else NAMES == "ham"
    model = SoftLabelLogisticRegression().fit(frame(FEATURES), frame(pd.Series(y)))
    expected = getattr(model.to_local(), method)(FEATURES)
    found = getattr(model, method)(frame(FEATURES))
    computed = found.compute()
    assert_array_equal(computed, expected)
    assert computed.index.equals(FEATURES.index)
    if expected.ndim == 2:
        assert_array_equal(found.columns, model.classes_)
    assert_array_equal(getattr(model, method)(FEATURES), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(model, method)(frame(FEATURES[["x", "z", "y", "w"]])).compute()
    x = X.astype(np.float32)
    model = SoftLabelLogisticRegression().fit(array(x), array(y))
    found = getattr(model, method)(da.from_array(x, chunks=(CHUNKS, 3)))
    expected = getattr(model.to_local(), method)(x)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert_array_equal(found.compute(), expected)


def test_model_in_memory():
    model = SoftLabelLogisticRegression(C=0.5).fit(array(X), array(NAMES))
    local = pickle.loads(pickle.dumps(model.to_local()))
    assert type(local) is Plain
    assert_array_equal(local.predict(X), model.predict(X))
    assert_array_equal(model.to_sklearn().coef_, local.coef_)
    assert clone(model).C == 0.5


def test_warm_start_and_verbose(capsys):
    model = SoftLabelLogisticRegression(warm_start=True, verbose=1)
    iterations = [model.fit(array(X), array(P)).n_iter_ for _ in range(2)]
    assert iterations[1] < iterations[0]
    assert "iteration 1: objective" in capsys.readouterr().out


@pytest.mark.parametrize("soft", [False, True])
def test_score(soft):
    model = SoftLabelLogisticRegression().fit(frame(FEATURES), frame(pd.Series(NAMES)))
    y = FRAME if soft else pd.Series(NAMES)
    expected = model.to_local().score(FEATURES, y, WEIGHT)
    found = model.score(frame(FEATURES), frame(y), frame(pd.Series(WEIGHT)))
    assert_allclose(found, expected, rtol=1e-12)
    assert model.score(FEATURES, y, WEIGHT) == expected


def with_row(values, row, value):
    changed = values.copy()
    changed[row] = value
    return changed


REFUSED = {
    "bad row": ((array(X), array(with_row(P, 105, 0.5))), r"y\[105\]"),
    "NaN": ((array(with_row(X, 200, np.nan)), array(P)), "Input X contains NaN"),
    "weights": ((array(X), array(P), array(with_row(WEIGHT, 250, -1.0))), "at row 250"),
    "zeros": ((array(X), array(with_row(P, 222, [0.0, 0.5, 0.5]))), "sample 222"),
    "fewer": ((array(X), array(P[1:], (N - 1,))), "X has|inconsistent numbers of samples"),
    "partitions": ((frame(FEATURES), frame(FRAME, (100, 200))), "X has 5 partitions, and y"),
    "lengths": (
        (frame(FEATURES), frame(FRAME, (1, 39, 0, 21, 239))),
        "Partition 3 holds 20 rows of X and 21 of y",
    ),
    "order": (
        (frame(FEATURES), frame(FRAME.iloc[[*range(99), 100, 99, *range(101, N)]])),
        "row 99 is 99 in X and 100 in y",
    ),
    "one class": ((array(X), array(np.zeros(N, dtype=int))), "only 1 class"),
    "dimensions": ((array(X), da.ones((N, 3, 1), chunks=50)), "one or two dimensions"),
    "no y": ((array(X), None), "y must hold something for every row"),
}


@here_and_on_a_cluster(REFUSED, ["bad row", "zeros", "lengths"])
def test_refused(case, anywhere):
    arguments, message = REFUSED[case]
    divergence = "reverse_kl" if case == "zeros" else "kl"
    model = SoftLabelLogisticRegression(divergence=divergence)
    with pytest.raises(ValueError, match=message):
        model.fit(*arguments)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_what_is_no_collection_is_refused():
    for arguments in ((array(X), P), (X, array(P))):
        with pytest.raises(TypeError, match="Pass all as such"):
            SoftLabelLogisticRegression().fit(*arguments)
    with pytest.raises(TypeError, match=r"pass it to estimators of sklkl\.dask"):
        Batches(frame(FEATURES), target="x")


def test_interrupt_leaves_nothing(client, monkeypatch):
    def interrupted(self, W):
        raise KeyboardInterrupt

    monkeypatch.setattr(_rows.DaskRows, "objective", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:
        SoftLabelLogisticRegression().fit(array(X), array(P))
    assert kept.tb is not None  # which holds the frames, and the futures in them


def at_evaluation(number, do, monkeypatch):
    """Let something be done before an evaluation of the objective."""
    calls = []
    objective = _rows.DaskRows.objective

    def counted(self, W):
        calls.append(W)
        if len(calls) == number:
            do()
        return objective(self, W)

    monkeypatch.setattr(_rows.DaskRows, "objective", counted)
    return calls


def test_closed_client(cluster, monkeypatch):
    client = distributed.Client(cluster)
    calls = at_evaluation(2, client.close, monkeypatch)
    with pytest.raises(Exception, match=r"(?i)clos|cancel"):
        SoftLabelLogisticRegression().fit(array(X), array(P))
    assert len(calls) == 2
    with distributed.Client(cluster) as client:
        assert keys_of(client) == []


@pytest.mark.parametrize(
    "processes",
    [
        False,
        pytest.param(
            True,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal"),
            ],
        ),
    ],
)
def test_lost_worker(processes, monkeypatch):
    """A worker is closed, or its process killed, in the middle of a fit."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        chunks = (30,) * 10
        model = SoftLabelLogisticRegression(tol=1e-9)
        expected = model.fit(array(X, chunks), array(P, chunks)).coef_
        pids = client.run(os.getpid)

        def lose():
            if processes:
                os.kill(next(iter(pids.values())), signal.SIGKILL)
                return
            lost = cluster.workers[0]
            assert lost.data  # which nobody else holds
            cluster.sync(lost.close, executor_wait=False)

        calls = at_evaluation(3, lose, monkeypatch)
        found = model.fit(array(X, chunks), array(P, chunks)).coef_
        assert len(calls) > 3
        assert_array_equal(found, expected)


def test_an_offset_is_refused():
    with pytest.raises(ValueError, match="An offset is for rows in memory"):
        SoftLabelLogisticRegression().fit(array(X), array(P), offset=array(np.zeros((N, 3))))
    model = SoftLabelLogisticRegression().fit(X, P, offset=np.zeros((N, 3)))
    with pytest.raises(ValueError, match=r"was fitted with an offset.*model.to_local\(\)"):
        model.predict_proba(array(X)).compute()
