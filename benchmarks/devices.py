"""Students and divergences on a device: ``SCIPY_ARRAY_API=1 python -m benchmarks.devices``.

Options: ``--device cuda``. The contenders are the student on arrays of NumPy, by compiled
kernels, the same on tensors of PyTorch, and L-BFGS of PyTorch on the same objective, which
begins at 0 and stops at a gap of 1e-6 nats to the optimum, which the student passes.
"""

import argparse
import os
import time
from functools import partial

import numpy as np

from benchmarks._report import markdown_table
from benchmarks._timing import medians

SHAPES = ((50_000, 50, 10), (5_000, 100, 50))  # rows, features, classes
OPTIONS = {"C": 1.0}
REPEATS = 3
GAP = 1e-6  # nats


def problem(n, d, k):
    """Return X, float64, and soft targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    logits = X @ rng.standard_normal((d, k)) / np.sqrt(d) + 0.3 * rng.standard_normal((n, k))
    logits -= logits.max(axis=1, keepdims=True)
    y = np.exp(logits)
    return X, y / y.sum(axis=1, keepdims=True)


def value_of(X, y, coef, intercept):
    """Return the penalised objective per row, on the host."""
    from scipy.special import log_softmax

    loss = -np.sum(y * log_softmax(X @ coef.T + intercept, axis=1))
    return (loss + 0.5 / OPTIONS["C"] * np.sum(coef**2)) / len(X)


def torch_fit(X, y, target, seconds=20.0):
    """Return the coefficients of PyTorch's L-BFGS, stopped at a value of the objective."""
    import torch

    shape = (y.shape[1], X.shape[1])
    coef = torch.zeros(shape, dtype=X.dtype, device=X.device, requires_grad=True)
    intercept = torch.zeros(shape[0], dtype=X.dtype, device=X.device, requires_grad=True)
    solver = torch.optim.LBFGS(
        [coef, intercept],
        max_iter=1,
        history_size=10,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )

    def closure():
        solver.zero_grad()
        loss = -(y * torch.log_softmax(X @ coef.T + intercept, dim=1)).sum()
        value = (loss + 0.5 / OPTIONS["C"] * (coef**2).sum()) / len(X)
        value.backward()
        return value

    end = time.perf_counter() + seconds
    while solver.step(closure).item() > target and time.perf_counter() < end:
        pass
    return coef.detach().cpu().numpy(), intercept.detach().cpu().numpy()


def race(n, d, k, device):
    """Return a row of the table for each contender."""
    import torch

    from sklkl.linear_model import SoftLabelLogisticRegression

    X, y = problem(n, d, k)
    exact = SoftLabelLogisticRegression(**OPTIONS, tol=1e-9).fit(X, y)
    best = value_of(X, y, exact.coef_, exact.intercept_)
    X_there, y_there = (torch.from_numpy(x).to(device) for x in (X, y))

    def fit(X, y):
        return SoftLabelLogisticRegression(**OPTIONS).fit(X, y)

    here, there = fit(X, y), fit(X_there, y_there)
    there = there.coef_.cpu().numpy(), there.intercept_.cpu().numpy()
    reached = {"sklkl, NumPy": (here.coef_, here.intercept_), "sklkl, PyTorch": there}
    contenders = {
        "sklkl, NumPy": partial(fit, X, y),
        "sklkl, PyTorch": partial(fit, X_there, y_there),
        "PyTorch L-BFGS": partial(torch_fit, X_there, y_there, best + GAP),
    }
    reached["PyTorch L-BFGS"] = contenders["PyTorch L-BFGS"]()
    seconds = medians(contenders, REPEATS)
    gaps = {name: value_of(X, y, *coefs) - best for name, coefs in reached.items()}
    shape = f"{n:,} x {d}, {k} classes"
    return [[shape, name, f"{seconds[name]:.3f}", f"{gaps[name]:.0e}"] for name in contenders]


def divergences(n, k, device):
    """Return the seconds of the KL divergences of rows, and the largest relative error."""
    import torch

    from sklkl.divergences import kl_divergence

    p, q = np.random.default_rng(0).dirichlet(np.ones(k), size=(2, n))
    p_there, q_there = (torch.from_numpy(x).to(device) for x in (p, q))

    def there():
        result = kl_divergence(p_there, q_there)
        return result.cpu()  # waits for it

    contenders = {"sklkl, NumPy": partial(kl_divergence, p, q), "sklkl, PyTorch": there}
    seconds, here = medians(contenders, REPEATS), kl_divergence(p, q)
    error = np.abs(there().numpy() / here - 1.0).max()
    return [
        [
            f"{n:,} x {k}",
            name,
            f"{seconds[name]:.3f}",
            f"{error:.0e}" * (name != "sklkl, NumPy"),
        ]
        for name in contenders
    ]


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        parser.error("set SCIPY_ARRAY_API=1 in the environment")
    import sklearn

    with sklearn.config_context(array_api_dispatch=True):
        rows = [row for shape in SHAPES for row in race(*shape, device)]
        print(f"Fits, PyTorch on {device}\n")
        print(markdown_table(["rows", "contender", "seconds", "gap, nats"], rows))
        rows = divergences(20_000, 100, device) + divergences(200, 10_000, device)
        print(f"\nKL divergences of rows, PyTorch on {device}\n")
        print(markdown_table(["rows", "contender", "seconds", "relative error"], rows))


if __name__ == "__main__":
    main()
