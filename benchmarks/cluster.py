"""Fit on a small cluster, beside memory: ``python -m benchmarks.cluster``.

Two worker processes of one thread each hold the rows, which this process then fits in memory,
with one thread and with two. Another table has what an evaluation of the objective costs where
there are hardly any rows, by the number of partitions, and the bytes that pass the loopback
device. ``--rows`` says how many rows there are, ``--markdown`` writes a report.
"""

import argparse
import time
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from scipy.special import softmax

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import n_threads
from sklkl import linear_model
from sklkl.dask import SoftLabelLogisticRegression
from sklkl.dask._data import checked_collections
from sklkl.linear_model._loss import resolve_divergence

D, K = 50, 10
PARTITIONS = (10, 100, 1000)
REPEATS = 20


def rows_of_block(seed, n):
    """Make the samples and targets of a partition, side by side, float32."""
    rng = np.random.default_rng(int(seed[0, 0]))
    X = rng.standard_normal((n, D), dtype=np.float32)
    W = np.random.default_rng(0).standard_normal((D, K), dtype=np.float32)
    noise = rng.standard_normal((n, K), dtype=np.float32)
    return np.hstack([X, softmax(0.3 * (X @ W) + noise, axis=1)])


def collections(client, n_rows, n_partitions):
    """Make X and y on the workers."""
    n = n_rows // n_partitions
    seeds = da.arange(n_partitions, chunks=1)[:, np.newaxis]
    both = seeds.map_blocks(
        rows_of_block, n, chunks=((n,) * n_partitions, (D + K,)), dtype=np.float32
    )
    X, y = client.persist([both[:, :D], both[:, D:]])
    wait([X, y])
    return X, y


def bytes_passed():
    """Bytes that the loopback device has received, 0 where nobody tells."""
    try:
        lines = Path("/proc/net/dev").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def evaluations(X, y):
    """Return median seconds, and mean bytes, of an evaluation of the objective."""
    model = SoftLabelLogisticRegression()
    named = {"X": X, "y": y, "sample_weight": None, "labels": None, "label_weight": None}
    with checked_collections(model, named) as data:
        (rows,) = data.stages(resolve_divergence("kl", None), 1.0, True)
        W = np.zeros(rows.shape)
        rows.objective(W)
        before, times = bytes_passed(), []
        for _ in range(REPEATS):
            start = time.perf_counter()
            rows.objective(W)
            times.append(time.perf_counter() - start)
        return float(np.median(times)), (bytes_passed() - before) / REPEATS


def timed(model, X, y):
    """Return the median seconds of three fits, after one to warm up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        model.fit(X, y)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        overhead = []
        for n_partitions in PARTITIONS:
            rows = collections(client, 20 * n_partitions, n_partitions)
            seconds, size = evaluations(*rows)
            of_fit = timed(SoftLabelLogisticRegression(), *rows)
            overhead.append(
                [str(n_partitions), short(1000 * seconds), short(size / 1e3), short(of_fit)]
            )
        X, y = collections(client, options.rows, 20)
        model, plain = (
            SoftLabelLogisticRegression(),
            linear_model.SoftLabelLogisticRegression(),
        )
        of_evaluation, size = evaluations(X, y)
        on_cluster = timed(model, X, y)
        X, y = client.compute([X, y], sync=True)
    assert X.dtype == y.dtype == np.float32
    times = {}
    for threads in (1, 2):
        with n_threads(threads):
            times[threads] = timed(plain, X, y)
    of_coef = float(np.abs(model.coef_ - plain.coef_).max() / np.abs(plain.coef_).max())
    of_proba = np.abs(model.predict_proba(X[:10_000]) - plain.predict_proba(X[:10_000])).max()
    fits = [
        ["two workers of one thread", short(on_cluster), str(model.n_iter_)],
        *(
            [f"in memory, threads: {threads}", short(seconds), str(plain.n_iter_)]
            for threads, seconds in times.items()
        ),
    ]
    differences = (
        f"An evaluation takes {short(1000 * of_evaluation)} ms and {short(size / 1e3)} kB. "
        f"Largest difference of coefficients {of_coef:.1e} of the largest, of probabilities "
        f"{of_proba:.1e}."
    )
    lines = [f"{len(X):,} rows, {D} features, {K} classes, float32, in 20 partitions"]
    header = ["partitions of 20 rows", "ms per evaluation", "kB", "seconds of a fit"]
    parts = {
        "title": [heading("Fits on a cluster", lines)],
        "fits": [markdown_table(["", "seconds", "iterations"], fits), differences],
        "partitions": [markdown_table(header, overhead)],
    }
    publish(parts, options.markdown)


if __name__ == "__main__":
    main()
