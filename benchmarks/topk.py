"""Students of the top k of many classes, beside dense targets: ``python -m benchmarks.topk``.

Each case runs in a process of its own, whose peak memory is reported. ``--markdown`` writes a
report.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import peak_bytes
from sklkl import TopK
from sklkl.linear_model import SoftLabelLogisticRegression

FEATURES, LISTED = 100, 20
FORMS = {"top-k": ("uniform", False), "bucket": ("bucket", False), "dense": ("uniform", True)}
# Form, rows, classes, iterations, rows that are scored.
CASES = [
    ("top-k", 2_000, 5_000, 5, 2_000),
    ("bucket", 2_000, 5_000, 5, 2_000),
    ("dense", 2_000, 5_000, 5, 2_000),
    ("top-k", 1_000, 50_000, 2, 1_000),
    ("dense", 1_000, 50_000, 2, 1_000),
]
LARGE = [("top-k", 20_000, 50_000, 1, 1_000)]


def data(n_samples, n_classes, rest):
    """Return X, float32, and targets whose classes have very different frequencies."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, FEATURES)).astype(np.float32)
    draws = (n_classes * rng.random((n_samples, 4 * LISTED)) ** 3).astype(int)
    indices = np.array([rng.permutation(np.unique(row))[:LISTED] for row in draws])
    proba = 0.9 * rng.dirichlet(np.ones(LISTED), size=n_samples)
    return X, TopK(indices, proba, n_classes, rest=rest)


def measure(form, n_samples, n_classes, max_iter, n_scored):
    """Return seconds of a fit and of a score, and bytes of memory before and at most."""
    rest, dense = FORMS[form]
    X, y = data(n_samples, n_classes, rest)
    y = y.to_dense().astype(np.float32) if dense else y
    before = peak_bytes()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few iterations
        model = SoftLabelLogisticRegression(max_iter=max_iter).fit(X, y)
    of_fit, peak = time.perf_counter() - start, peak_bytes()
    start = time.perf_counter()
    model.score(X[:n_scored], y[:n_scored])
    of_score = time.perf_counter() - start
    return of_fit, of_score, before, peak, peak_bytes()


def row(case):
    """Return a row of the table, measured in a process of its own."""
    call = f"print(json.dumps(measure(*{case})))"
    code = f"import json; from benchmarks.topk import measure; {call}"
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    of_fit, of_score, *memory = json.loads(run.stdout)
    form, n_samples, n_classes, max_iter, n_scored = case
    sizes = (f"{n:,}" for n in (n_samples, n_classes, max_iter))
    rate = 1000 * of_score / n_scored
    return [form, *sizes, short(of_fit), short(rate), *(f"{m / 1e6:,.0f}" for m in memory)]


def tables(cases):
    """Yield the report."""
    header = ["target", "rows", "classes", "iterations", "fit, s", "score of a row, ms"]
    header += [f"MB {when}" for when in ("before", "after the fit", "after the score")]
    yield heading(f"Top {LISTED} of many classes, {FEATURES} features, float32")
    yield markdown_table(header, [row(case) for case in cases])


def main():
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", metavar="PATH", help="write a report")
    parser.add_argument("--large", action="store_true", help="20,000 rows: minutes")
    options = parser.parse_args()
    cases = CASES + LARGE if options.large else CASES
    publish({"topk": tables(cases)}, options.markdown)


if __name__ == "__main__":
    main()
