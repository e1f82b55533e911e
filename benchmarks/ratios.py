"""Is one version slower than another? Both are timed in turn, each in a process of its own.

``python benchmarks/ratios.py base/bin/python head/bin/python`` takes the interpreters of two
environments, prints the ratio of the least times, head to base, and fails if one is above
``--limit``. Times are those of the processor, in one thread, so that other work counts little.
What one of the two does not have is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import time

SECONDS = 0.03  # of a timing: so many calls as take that long


def calls():
    """Return the calls by name; each begins with what it needs, which is not timed."""
    import numpy as np
    from scipy.sparse import random_array

    rng = np.random.default_rng(0)

    def rows(n, k, dtype=np.float64):
        x = rng.random((n, k)) + 1e-3
        return (x / x.sum(axis=1, keepdims=True)).astype(dtype)

    def of_rows(name, shape, dtype=np.float64, **options):
        from sklkl import divergences

        p, q = rows(*shape, dtype), rows(*shape, dtype)
        return lambda: getattr(divergences, name)(p, q, **options)

    def logits():
        from sklkl.divergences import kl_divergence_from_logits

        x, y = rng.standard_normal((2, 20, 50_257), dtype=np.float32)
        return lambda: kl_divergence_from_logits(x, y)

    def pairwise():
        from sklkl.divergences import pairwise_divergences

        P = rows(150, 100)
        return lambda: pairwise_divergences(P, divergence="jensen_shannon")

    def loss_of_labels():
        from sklkl.metrics import kl_loss

        y, proba = rng.integers(10, size=20_000), rows(20_000, 10)
        return lambda: kl_loss(y, proba)

    def fit(n, d, k, sparse=False):
        from sklkl.linear_model import SoftLabelLogisticRegression

        X = random_array((n, d), density=0.02, rng=rng, format="csr") if sparse else None
        X = rng.standard_normal((n, d)) if X is None else X
        y, model = rows(n, k), SoftLabelLogisticRegression()
        return lambda: model.fit(X, y)

    def calibrate():
        from sklkl.calibration import VectorScaling

        proba, y, model = rows(10_000, 5), rng.integers(5, size=10_000), VectorScaling()
        return lambda: model.fit(proba, y)

    return {
        "one pair": lambda: of_rows("kl_divergence", (1, 10)),
        "KL, 2 outcomes": lambda: of_rows("kl_divergence", (100_000, 2)),
        "KL, 10 outcomes": lambda: of_rows("kl_divergence", (20_000, 10)),
        "KL, float32": lambda: of_rows("kl_divergence", (500, 1000), np.float32),
        "Jensen-Shannon": lambda: of_rows("jensen_shannon_divergence", (500, 1000)),
        "Rényi": lambda: of_rows("renyi_divergence", (2000, 100), order=2),
        "logits": logits,
        "all pairs": pairwise,
        "loss of labels": loss_of_labels,
        "small fit": lambda: fit(200, 4, 3),
        "large fit": lambda: fit(20_000, 30, 4),
        "sparse fit": lambda: fit(5000, 1000, 3, sparse=True),
        "calibration map": calibrate,
    }


def serve():
    """Answer the name of a call, a line of the input, with its seconds."""
    known, ready = calls(), {}
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        name = line.rstrip("\n")
        try:
            if name not in ready:
                call = known[name]()
                call()
                start = time.process_time()
                call()
                once = time.process_time() - start
                ready[name] = call, max(1, int(SECONDS / once))
            call, number = ready[name]
            start = time.process_time()
            for _ in range(number):
                call()
            seconds = (time.process_time() - start) / number
        except (AttributeError, ImportError, TypeError):  # this version does not have it
            seconds = None
        print(json.dumps(seconds), flush=True)


class Version:
    """A process that answers by ``serve``, with an interpreter that has some version."""

    def __init__(self, python):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)  # it may lead to a third version
        self.process = subprocess.Popen(
            [python, "-P", __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**environment, "PYTHONIOENCODING": "utf-8"},
        )
        self.names = self.answer()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def seconds(self, name):
        """Return the seconds of a call, None if this version does not have it."""
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def least_times(base, head, name, rounds):
    """Return the least times of both versions, None if one does not have the call."""
    times = []
    for i in range(rounds):
        pair = (base, head) if i % 2 else (head, base)
        found = {version: version.seconds(name) for version in pair}
        if None in found.values():
            return None
        times.append((found[base], found[head]))
    return tuple(map(min, zip(*times, strict=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("head")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--limit", type=float, default=1.25)
    options = parser.parse_args()
    base, head = Version(options.base), Version(options.head)
    slower = []
    print("| call | base, µs | head to base |\n|---|---|---|")
    for name in head.names:
        if (times := least_times(base, head, name, options.rounds)) is None:
            print(f"| {name} | | not in both |", flush=True)
            continue
        ratio = times[1] / times[0]
        print(f"| {name} | {1e6 * times[0]:.0f} | {ratio:.2f} |", flush=True)
        if ratio > options.limit:
            slower.append(name)
    base.close()
    head.close()
    if slower:
        sys.exit(f"More than {options.limit} times the time of the base: {', '.join(slower)}.")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
