"""Speed from commit to commit.

``pytest benchmarks --benchmark-autosave --benchmark-compare``; the first run needs
``--benchmark-autosave`` alone.
"""

import numpy as np
import pytest

from sklkl.divergences import (
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergence_from_logits,
    pairwise_divergences,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_rows(rng, shape, dtype=np.float64):
    x = rng.random(shape) + 1e-3
    return (x / x.sum(axis=1, keepdims=True)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(500_000, 2), (100_000, 10), (2000, 1000)], ids=str)
def test_kl_divergence(benchmark, rng, shape, dtype):
    p, q = (random_rows(rng, shape, dtype) for _ in range(2))
    benchmark(kl_divergence, p, q)


def test_jensen_shannon_divergence(benchmark, rng):
    p, q = (random_rows(rng, (2000, 1000)) for _ in range(2))
    benchmark(jensen_shannon_divergence, p, q)


def test_from_logits(benchmark, rng):
    x, y = (rng.standard_normal((100, 50_257), dtype=np.float32) for _ in range(2))
    benchmark(kl_divergence_from_logits, x, y)


def test_pairwise(benchmark, rng):
    P = random_rows(rng, (300, 100))
    benchmark(pairwise_divergences, P, divergence="jensen_shannon_distance")


def test_single_pair(benchmark, rng):
    p, q = random_rows(rng, (2, 10))
    benchmark(kl_divergence, p, q)
