"""Fit to more rows than memory holds: ``python -m benchmarks.batches FOLDER``.

Parquet files of 50 features and 10 soft classes, float32, are written to the folder unless
they are there, and deleted afterwards with ``--delete``. Beside the student's time per pass
stand those of pyarrow and DuckDB to read the same columns and do nothing, each in a process of
its own. To hold them to 1 GB, run it in a group of the system, once the files are there: as
``systemd-run --scope -p MemoryMax=1G python -m benchmarks.batches FOLDER``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from scipy.special import softmax

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import status_bytes
from sklkl.batches import Batches
from sklkl.linear_model import SoftLabelLogisticRegression

FEATURES = [f"x{j}" for j in range(50)]
CLASSES = [f"p{k}" for k in range(10)]
FILE_ROWS = 1 << 21  # 480 MiB
GROUP_ROWS = 1 << 20  # as pyarrow writes them by default
STEP = 1 << 17  # rows that are made at once
BATCH = 1 << 16


def write(folder, n_bytes):
    """Write files of so many bytes in all, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    W = np.random.default_rng(0).normal(size=(len(FEATURES), len(CLASSES))).astype("f4") / 5
    of_row = 4 * (len(FEATURES) + len(CLASSES))
    for j in range(max(1, round(n_bytes / of_row / FILE_ROWS))):
        path = folder / f"{j:04}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng(j)
        schema = pa.schema([(name, pa.float32()) for name in FEATURES + CLASSES])
        groups = FILE_ROWS // GROUP_ROWS
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for _ in range(groups):
                tables = [_table(rng, W) for _ in range(GROUP_ROWS // STEP)]
                writer.write_table(pa.concat_tables(tables), row_group_size=GROUP_ROWS)


def _table(rng, W):
    X = rng.standard_normal((STEP, len(FEATURES)), dtype="f4")
    noise = rng.standard_normal((STEP, len(CLASSES)), dtype="f4")
    P = softmax(X @ W + noise, axis=1)
    columns = [*np.ascontiguousarray(X.T), *np.ascontiguousarray(P.T)]
    return pa.table(dict(zip(FEATURES + CLASSES, columns, strict=True)))


def read_arrow(folder):
    """Read all columns in batches, with a stream for each column, as ``Batches`` does."""
    options = {"pre_buffer": False, "buffer_size": 1 << 16}
    files = (parquet.ParquetFile(path, **options) for path in sorted(folder.glob("*.parquet")))
    return sum(batch.num_rows for file in files for batch in file.iter_batches(BATCH))


def read_duckdb(folder):
    """Read all columns in batches of Arrow."""
    import duckdb

    relation = duckdb.read_parquet(f"{folder}/*.parquet")
    return sum(batch.num_rows for batch in relation.to_arrow_reader(BATCH))


def fit(folder):
    """Fit the student; return its numbers of rows and passes."""
    batches = Counted(str(folder), target=CLASSES, batch_size=BATCH)
    model = SoftLabelLogisticRegression().fit(batches)
    return batches.n_samples, batches.passes, model.n_iter_, model.loss_


class Counted(Batches):
    """Batches that count the passes over them."""

    passes = n_samples = 0

    def __iter__(self):
        """See ``Batches``."""
        self.passes += 1
        self.n_samples = 0
        for batch in super().__iter__():
            self.n_samples += len(batch[0])
            yield batch


JOBS = {"pyarrow": read_arrow, "DuckDB": read_duckdb, "fit": fit}


def run(name, folder):
    """Print what a job returns, its seconds, and the peaks of its memory."""
    peaks, done = {"RssAnon": 0, "VmRSS": 0}, threading.Event()

    def watch():
        while not done.wait(0.02):
            for key in peaks:
                peaks[key] = max(peaks[key], status_bytes(key))

    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    found = JOBS[name](folder)
    seconds = time.perf_counter() - start
    done.set()
    print(json.dumps([found, seconds, peaks]))


def race(folder):
    """Yield the table of all jobs, each in a process of its own."""
    rows = []
    for name in JOBS:
        command = [sys.executable, "-m", "benchmarks.batches", str(folder), "--job", name]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            why = run.stderr.splitlines()[-1:] or [f"ended with {run.returncode}"]
            rows.append([name, *why, *[""] * 5])
            continue
        found, seconds, peaks = json.loads(run.stdout)
        n_samples, passes, *_ = [*found, 0] if name == "fit" else [found, 1]
        rows.append(
            [name, f"{n_samples:,}", str(passes), short(seconds), short(seconds / passes)]
            + [f"{peaks[key] / 1e6:.0f}" for key in peaks]
        )
    header = ["", "rows", "passes", "seconds", "seconds per pass"]
    header += ["memory of its own, MB", "with mapped files, MB"]
    yield markdown_table(header, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=8.0, help="to write")
    parser.add_argument("--delete", action="store_true", help="the folder afterwards")
    parser.add_argument("--markdown", help="path of a report")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run(options.job, options.folder)
        return
    write(options.folder, int(options.gigabytes * 1e9))
    n_bytes = sum(path.stat().st_size for path in options.folder.glob("*.parquet"))
    title = heading("More rows than memory", [f"files: {n_bytes / 1e9:.2f} GB"])
    publish({"heading": [title], "batches": race(options.folder)}, options.markdown)
    if options.delete:
        shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
