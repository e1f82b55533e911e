"""How often a certified student promises too much: ``python -m benchmarks.deferral``.

Each run draws held-out rows, certifies a threshold as ``DeferringClassifier`` does, and
compares the agreement above it, by a million rows whose chances to agree are known, with the
promise. A line has the kind of confidence, the number of rows, the share of runs that break
the promise, at most 5 % by the theory, the share of rows that students answer in the mean, and
the share that could be answered at best.
"""

import argparse

import numpy as np

from sklkl.distillation._certificate import certify

N_TRUTH = 1_000_000
LEAVES = [0.6, 0.8, 0.95]


def logistic(log_odds):
    """Return confidences of log-odds."""
    return 1.0 / (1.0 + np.exp(-np.abs(log_odds)))


# name -> (confidences of n rows, the shares of agreement at these)
KINDS = {
    "calibrated": (lambda n, rng: logistic(3.0 * rng.normal(size=n) + 1.5), lambda c: c),
    "modest": (
        lambda n, rng: logistic(3.0 * rng.normal(size=n) + 1.5),
        lambda c: 1.0 - 0.5 * (1.0 - c),
    ),
    "worth nothing": (
        lambda n, rng: rng.uniform(0.5, 1.0, n),
        lambda c: np.full(len(c), 0.9699),
    ),
    "upside down": (lambda n, rng: rng.uniform(0.5, 1.0, n), lambda c: 1.47 - c),
    "up and down": (
        lambda n, rng: rng.uniform(0.5, 1.0, n),
        lambda c: 0.9699 + 0.03 * np.sin(40.0 * c),
    ),
    "three leaves": (
        lambda n, rng: rng.choice(LEAVES, n),
        lambda c: np.select([c == 0.95, c == 0.8], [0.9699, 0.975], 0.9),
    ),
}


def simulate(kind, n, n_runs, agreement=0.97):
    """Return the share of broken promises, and the coverages, mean and best."""
    draw, share_of = KINDS[kind]
    confidence = np.sort(draw(N_TRUTH, np.random.default_rng(0)))[::-1]
    means = np.cumsum(share_of(confidence)) / np.arange(1, N_TRUTH + 1)
    falling, broken, coverage = -confidence, 0, []
    for run in range(n_runs):
        rng = np.random.default_rng([run, n])
        own = draw(n, rng)
        curve, chosen = certify(own, rng.random(n) < share_of(own), agreement, 0.95)
        threshold = np.inf if chosen is None else curve["threshold"][chosen]
        n_answered = np.searchsorted(falling, -threshold, side="right")
        coverage.append(n_answered / N_TRUTH)
        broken += n_answered > 0 and means[n_answered - 1] < agreement
    ends = np.flatnonzero(np.append(np.diff(confidence) < 0.0, True))  # of ties
    good = ends[means[ends] >= agreement]
    return broken / n_runs, np.mean(coverage), (good[-1] + 1) / N_TRUTH if len(good) else 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs="*", default=[400, 1000, 4000])
    options = parser.parse_args()
    for name in KINDS:
        for n_rows in options.rows:
            found = simulate(name, n_rows, options.runs)
            print(
                f"{name:14s} {n_rows:6d} " + " ".join(f"{x:7.3f}" for x in found), flush=True
            )
