"""The Jensen-Shannon divergence of several distributions, in many digits."""

import numpy as np
import pandas as pd
import pytest
from mpmath import mpf
from numpy.testing import assert_allclose

from sklkl.divergences import entropy, jensen_shannon_divergence, jensen_shannon_of_several
from tests._support.messages import matches
from tests._support.problems import random_rows
from tests._support.reference import contribution, error, in_many_digits, normalised


@in_many_digits
def exact(rows, weight):
    total = sum(mpf(float(w)) for w in weight)
    weight = [mpf(float(w)) / total for w in weight]
    rows = [normalised(row) for row in rows]
    columns = zip(*rows, strict=True)
    mean = [sum(w * x for w, x in zip(weight, xs, strict=True)) for xs in columns]
    return sum(
        w * sum(contribution(x, m) for x, m in zip(row, mean, strict=True))
        for w, row in zip(weight, rows, strict=True)
        if w > 0
    )


@pytest.mark.parametrize("perturbation", [None, 1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 5), (6, 20)])
def test_accuracy(n, k, perturbation):
    rng = np.random.default_rng(n)
    rows = random_rows(n, k, 1)
    if perturbation is not None:
        rows = rows[:1] * (1 + perturbation * rng.uniform(-1, 1, size=(n, k)))
        rows /= rows.sum(axis=1, keepdims=True)
    for off in (0.0, 2e-4):
        rows = rows * (1 + off * rng.uniform(-1, 1, size=(n, 1)))
        for weight in (np.ones(n), rng.uniform(size=n), 10.0 ** -np.arange(n)):
            value = jensen_shannon_of_several(rows, sample_weight=weight)
            assert error(value, exact(rows, weight)) < 1e-13


def test_zeros_and_limits():
    rows = random_rows(4, 5, 1)
    rows[0, :2] = rows[2, :3] = rows[:, 4] = 0.0
    rows /= rows.sum(axis=1, keepdims=True)
    weight = [1, 0, 2, 3]
    value = jensen_shannon_of_several(rows, sample_weight=weight)
    assert error(value, exact(rows, weight)) < 1e-13
    assert jensen_shannon_of_several(rows[[1, 1, 1]]) == 0.0
    weight = [0.5, 0.3, 0.2]
    value = jensen_shannon_of_several(np.eye(3), sample_weight=weight, base=2)
    assert_allclose(value, entropy(weight, base=2), rtol=1e-13)
    pair = random_rows(2, 4, 2)
    wanted = jensen_shannon_divergence(*pair, weight=0.3)
    assert_allclose(jensen_shannon_of_several(pair, sample_weight=[3, 7]), wanted, rtol=1e-13)


def test_refusals():
    names = ["a", "b"]
    frame = pd.DataFrame([[0.5, 0.5], [0.2, 0.8]], index=names)
    for P, weight, message in (
        ([[0.5, 0.5], [0.5, 0.6]], None, "P[1] sums to 1.1"),
        ([0.5, 0.5], None, "P must have shape"),
        (frame, [1, -1], "`sample_weight`: -1 at row 1"),
        (frame, pd.Series([1, 2], names[::-1]), "different labels"),
    ):
        with pytest.raises(ValueError, match=matches(message)):
            jensen_shannon_of_several(P, sample_weight=weight)
