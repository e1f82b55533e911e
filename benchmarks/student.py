"""The student on soft labels against the workaround with scikit-learn.

The workaround repeats every row once per class with the probabilities as weights. Both get
``tol=1e-4`` and must end at the same objective; the relative gap is printed. Times are
medians of 5 fits after a warm-up fit.
"""

import statistics
import time

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import cross_entropy_loss

SHAPES = ((50_000, 50, 10), (20_000, 500, 5), (200_000, 20, 3))


def seconds(function, repeats=5):
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    """Print the table."""
    rng = np.random.default_rng(0)
    for n_samples, n_features, n_classes in SHAPES:
        X = rng.standard_normal((n_samples, n_features))
        W = rng.standard_normal((n_features, n_classes)) / np.sqrt(n_features)
        y = softmax(2 * X @ W + rng.standard_normal((n_samples, n_classes)), axis=1)
        rows = np.repeat(np.arange(n_samples), n_classes)
        labels = np.tile(np.arange(n_classes), n_samples)
        X_rows, weight = X[rows], y.ravel()
        ours = SoftLabelLogisticRegression()
        peer = LogisticRegression(max_iter=10_000)
        ours_seconds = seconds(lambda: ours.fit(X, y))  # noqa: B023
        peer_seconds = seconds(lambda: peer.fit(X_rows, labels, weight))  # noqa: B023

        def objective(model):
            loss = cross_entropy_loss(y, model.predict_proba(X))  # noqa: B023
            return loss + 0.5 * np.sum(model.coef_**2) / n_samples  # noqa: B023

        gap = (objective(ours) - objective(peer)) / objective(peer)
        print(
            f"{n_samples:>7} x {n_features:<4} {n_classes:>3} classes: "
            f"sklkl {ours_seconds:.3f} s, rows repeated {peer_seconds:.3f} s, "
            f"ratio {peer_seconds / ours_seconds:.1f}, objective {gap:+.1e}"
        )


if __name__ == "__main__":
    main()
