"""The inverse Hessian of L-BFGS against the two loops of the textbook."""

import numpy as np
import pytest

from sklkl._optimize.pairs import Pairs


def two_loops(gradient, pairs, metric, rescales):
    """Nocedal and Wright (2006), algorithm 7.4."""
    d, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append(np.vdot(s, d) / np.vdot(s, y))
        d -= alphas[-1] * y
    d = metric(d)
    if pairs and rescales:
        s, y = pairs[-1]
        d *= np.vdot(s, y) / np.vdot(y, metric(y))
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        d += (alpha - np.vdot(y, d) / np.vdot(s, y)) * s
    return d


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rescales", [True, False])
def test_times_inverse_is_two_loops_over_the_last_pairs(rescales, order):
    rng = np.random.default_rng(0)
    shape, most = (7, 3), 4
    curvature = np.exp(rng.uniform(-3.0, 3.0, shape))
    metric_diagonal = np.exp(rng.uniform(-3.0, 3.0, shape))
    pairs, expected = Pairs(most, shape), []
    for _ in range(2 * most + 1):
        gradient = np.asarray(rng.normal(size=shape), order=order)
        got = pairs.times_inverse(gradient, lambda G: G / metric_diagonal, rescales)
        want = two_loops(gradient, expected, lambda G: G / metric_diagonal, rescales)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        s = np.asarray(rng.normal(size=shape), order=order)
        pairs.append(s, curvature * s)
        expected = [*expected, (s, curvature * s)][-most:]
        np.testing.assert_array_equal(list(pairs), expected)


def test_pairs_without_curvature_are_refused_and_all_forgotten():
    pairs, ones = Pairs(2, (3, 1)), np.ones((3, 1))
    pairs.append(ones, -ones)
    pairs.append(ones, 0.0 * ones)
    pairs.append(ones, np.nan * ones)
    assert not list(pairs)
    pairs.append(ones, 2.0 * ones)
    assert len(list(pairs)) == 1
    pairs.clear()
    np.testing.assert_array_equal(pairs.times_inverse(ones, lambda G: 3.0 * G), 3.0 * ones)
