"""What this machine can do at best: ``python -m benchmarks.limits``.

The limit of a job is the longer of two times: that of moving its bytes, each once, and that of
the arithmetic that it cannot do without. It is not their sum, since a processor fetches what
comes next while it computes; kinds of arithmetic do add up, as they share the vector units.
Rates are the best that anything installed here reaches, with as many threads as the race has.
They are no law: a kernel that keeps logarithms in registers may take less time than a library
that writes each of them to an array.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import product

import joblib
import numpy as np
from scipy.sparse import issparse

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import n_threads

LEAST, MOST = 2**20, 2**29  # bytes that are read over and over: in a cache, and in none
TURNS = 7
TURN = 2**27  # bytes that are read in a turn, at least
CHUNK = 2**16  # numbers that a thread has in its cache
SQUARE = (1024, 1024, 1024)
SKINNY = (100_000, 50, 10)  # a favourable product, and one of many rows and few columns
DTYPES = (np.float64, np.float32)


@dataclass(frozen=True)
class Job:
    """What a computation cannot do without.

    Attributes
    ----------
    n_bytes : int
        Bytes of its inputs and results; those written count as those read.
    dtype : dtype
        That of the arithmetic.
    multiply_adds, exponentials, logarithms : int
        How many of each.
    """

    n_bytes: int
    dtype: np.dtype
    multiply_adds: int = 0
    exponentials: int = 0
    logarithms: int = 0


def divergence_job(p):
    """Count for divergences of the rows of two arrays like p: a logarithm of each ratio."""
    return Job((2 * p.size + len(p)) * p.itemsize, p.dtype, logarithms=p.size)


def logits_job(x):
    """Count for the same from logits: exponentials of both, and logarithms of their sums."""
    n_bytes = (2 * x.size + len(x)) * x.itemsize
    return Job(n_bytes, x.dtype, exponentials=2 * x.size, logarithms=2 * len(x))


def pairwise_job(P):
    """Count for Jensen-Shannon divergences of all pairs of rows, each pair once.

    The entropy of a row can be shared by its pairs. What remains is a logarithm of the mean of
    two entries, none where both are 0.
    """
    present = np.count_nonzero(P, axis=0)
    absent = len(P) - present
    pairs = len(P) * (len(P) - 1) // 2 * P.shape[1] - np.sum(absent * (absent - 1) // 2)
    return Job((P.size + len(P) ** 2) * P.itemsize, P.dtype, logarithms=int(pairs))


def pass_job(X, y, n_classes):
    """Count for a pass of logistic regression: loss and gradient of all rows.

    X and y are read. Each entry of X takes a multiply-add per logit for the logits and one
    more for the gradient, each logit an exponential, each row a logarithm. Two classes have
    one logit.
    """
    arrays = (X.data, X.indices, X.indptr, y) if issparse(X) else (X, y)
    n_logits = n_classes if n_classes > 2 else 1
    entries = X.nnz if issparse(X) else X.size
    return Job(
        sum(a.nbytes for a in arrays),
        X.dtype,
        multiply_adds=2 * entries * n_logits,
        exponentials=len(y) * n_logits,
        logarithms=len(y),
    )


def prediction_job(n_samples, n_features, n_classes, dtype=np.float64):
    """Count for probabilities that a linear model predicts."""
    n_logits = n_classes if n_classes > 2 else 1
    return Job(
        n_samples * (n_features + n_classes) * np.dtype(dtype).itemsize,
        np.dtype(dtype),
        multiply_adds=n_samples * n_features * n_logits,
        exponentials=n_samples * n_logits,
    )


def limit_of(job, threads):
    """Return the seconds that this machine takes at least for a job."""
    size = min(max(LEAST, 2 ** (int(job.n_bytes).bit_length() - 1)), MOST)
    moving = job.n_bytes * per_byte(size, job.dtype, threads)
    arithmetic = 0.0
    if job.multiply_adds:
        arithmetic += job.multiply_adds * per_multiply_add(SQUARE, job.dtype, threads)
    if job.exponentials:
        arithmetic += job.exponentials * per_value("exp", job.dtype, threads)
    if job.logarithms:
        arithmetic += job.logarithms * per_value("log", job.dtype, threads)
    return max(moving, arithmetic)


def quickest(calls):
    """Seconds of the quickest of some functions, at its best; they are called in turn."""
    best = np.inf
    for turn in range(TURNS + 1):
        for call in calls:
            start = time.perf_counter()
            call()
            if turn:  # the first is the warm-up
                best = min(best, time.perf_counter() - start)
    return best


def quickest_in_threads(functions, threads, rounds):
    """Seconds of so many rounds of the quickest function, in as many threads.

    A function takes the number of its thread.
    """

    def everywhere(function):
        def work(thread):
            for _ in range(rounds):
                function(thread)

        return lambda: list(pool.map(work, range(threads)))

    with n_threads(1), ThreadPoolExecutor(threads) as pool:
        return quickest([everywhere(function) for function in functions])


@cache
def per_byte(size, dtype, threads):
    """Seconds per byte of an array of so many bytes that is read over and over."""
    parts = np.array_split(np.ones(size // dtype.itemsize, dtype), threads)
    readers = (  # the second is quicker in a cache
        lambda thread: np.maximum.reduce(parts[thread]),
        lambda thread: np.dot(parts[thread], parts[thread]),
    )
    rounds = max(1, TURN // size)
    return quickest_in_threads(readers, threads, rounds) / (rounds * size)


@cache
def per_value(name, dtype, threads):
    """Seconds per exponential or logarithm of NumPy or PyTorch, in a cache."""
    x = np.random.default_rng(0).uniform(0.1, 1.0, (threads, CHUNK)).astype(dtype)
    out = np.empty_like(x)
    functions = [lambda thread: getattr(np, name)(x[thread], out=out[thread])]
    if find_spec("torch"):
        import torch

        X, OUT = torch.from_numpy(x), torch.from_numpy(out)
        functions.append(lambda thread: getattr(torch, name)(X[thread], out=OUT[thread]))
    rounds = TURN // (CHUNK * 8)
    return quickest_in_threads(functions, threads, rounds) / (rounds * x.size)


@cache
def per_multiply_add(shape, dtype, threads):
    """Seconds per multiply-add of the product of an (n, m) and an (m, k) matrix by BLAS."""
    n, m, k = shape
    A, B = np.ones((n, m), dtype), np.ones((m, k), dtype)
    with n_threads(threads):
        return quickest([lambda: A @ B]) / (n * m * k)


RATES = {
    f"bytes, an array of {LEAST >> 20} MiB": partial(per_byte, LEAST),
    f"bytes, an array of {MOST >> 20} MiB": partial(per_byte, MOST),
    "multiply-adds, {:,} × {:,} × {:,}".format(*SQUARE): partial(per_multiply_add, SQUARE),
    "multiply-adds, {:,} × {:,} × {:,}".format(*SKINNY): partial(per_multiply_add, SKINNY),
    "exponentials": partial(per_value, "exp"),
    "logarithms": partial(per_value, "log"),
}


def limits(threads):
    """Yield the table of the rates that limits are made of."""
    columns = list(product(map(np.dtype, DTYPES), sorted({1, threads})))
    rows = [
        [name, *(short(1e-9 / rate(*column)) for column in columns)]
        for name, rate in RATES.items()
    ]
    header = ["", *(f"{dtype.name}, {n} thread{'s' * (n > 1)}" for dtype, n in columns)]
    yield (
        "## Limits\n\nThousand millions per second, the best measured here. The limit of a "
        "computation is the longer\nof two times: that of reading its inputs and writing its "
        "results, each byte once, and that of\nthe arithmetic that it cannot do without.\n\n"
        + markdown_table(header, rows)
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=joblib.cpu_count())
    args = parser.parse_args()
    publish({"title": [heading("Limits of a machine")], "limits": limits(args.threads)}, None)


if __name__ == "__main__":
    main()
