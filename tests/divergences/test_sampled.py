"""sampled_kl: values in many digits, expectations over all outcomes, bad input."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from mpmath import expm1, mpf
from mpmath import inf as infinite
from numpy.testing import assert_allclose, assert_array_equal

from sklkl.divergences import kl_divergence, sampled_kl
from tests._support import reference
from tests._support.messages import matches
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error, workdps

BOUND = {np.float64: 1e-13, np.float32: 2e-6}
ESTIMATORS = ["k1", "k2", "k3"]

each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def exact_estimate(log_p, log_q, estimator, *, digits=DIGITS):
    """Return the mean over samples given as exact numbers."""
    with workdps(digits):
        total = mpf(0)
        for x, y in zip(log_p, log_q, strict=True):
            log_r = mpf(float(y)) - mpf(float(x))
            if log_r == -infinite:
                return infinite
            if estimator == "k1":
                total -= log_r
            elif estimator == "k2":
                total += log_r**2 / 2
            else:
                total += expm1(log_r) - log_r
        return total / len(log_p)


def random_logs(shape, seed=0, dtype=np.float64):
    log_p, log_q = -np.random.default_rng(seed).exponential(3.0, size=(2, *shape))
    return log_p.astype(dtype), log_q.astype(dtype)


# Values

# Also around the log ratios where formulas change.
SIZES = [
    *(m * 10.0**-e for e in range(1, 13) for m in (1.0, 3.7)),
    *(0.28, 0.29, 0.4, 0.41, 0.5, 0.69, 0.7, 1.0, 1.1, 2.0, 3.0, 7.7, 30.0),
    *(100.0, 300.0, 599.9, 600.0, 600.1, 650.0, 700.0, 709.0),
]
NO_MASS_OF_Q = [-601.0, -745.0, -1e3, -1e10, -1e150]


@each_estimator
def test_single_sample(estimator):
    for size in (*SIZES, *(-x for x in SIZES), *NO_MASS_OF_Q):
        for log_p, log_q in ((0.0, size), (-size, 0.0), (-1.5, size - 1.5)):
            value = sampled_kl([log_p], [log_q], estimator=estimator)
            assert error(value, exact_estimate([log_p], [log_q], estimator)) <= 1e-13, size
    value = sampled_kl([0.0], [-1e300], estimator=estimator)
    assert value == (math.inf if estimator == "k2" else pytest.approx(1e300, rel=1e-13))


def test_k3_by_default_near_zero_and_beyond_float64():
    for size in (10.0**-e for e in range(13, 150, 8)):  # half the square
        for log_r in (size, -size):
            exact = exact_estimate([0.0], [log_r], "k3", digits=DIGITS_OF_TINY)
            assert error(sampled_kl([0.0], [log_r]), exact) <= 1e-13
    for log_r in (710.0, 1e3, 1e300):
        assert sampled_kl([0.0], [log_r]) == math.inf


@each_estimator
def test_no_mass_of_q(estimator):
    result = sampled_kl(np.zeros((2, 2)), [[0.0, -1.0], [0.0, -math.inf]], estimator=estimator)
    assert_array_equal(result == math.inf, [False, True])


@pytest.mark.parametrize("log_r", [709.0, 710.0, 1e3, 1e300])
def test_ratio_beyond_float64(log_r):
    exact = exact_estimate([0.0], [min(log_r, 1e6)], "k3")
    assert error(sampled_kl([0.0], [log_r]), exact) <= 1e-13


@each_estimator
def test_mean_over_samples(estimator):
    for n, dtype in product((1, 2, 7, 100, 1000), BOUND):
        log_p, log_q = random_logs((3, n), n, dtype)
        values = sampled_kl(log_p, log_q, estimator=estimator)
        for value, *rows in zip(values, log_p, log_q, strict=True):
            exact = exact_estimate(*rows, estimator)
            # k1 is a sum of numbers of both signs
            size = np.abs(rows[0] - rows[1]).mean() if estimator == "k1" else 0
            assert error(value, exact, atol=BOUND[dtype] * size) <= BOUND[dtype]


@each_estimator
def test_near_and_equal_policies(estimator):
    log_p, noise = random_logs((3, 50))
    for perturbation in (1e-1, 1e-3, 1e-6, 1e-9, 1e-12):
        log_q = log_p + perturbation * noise
        values = sampled_kl(log_p, log_q, estimator=estimator)
        for value, *rows in zip(values, log_p, log_q, strict=True):
            assert error(value, exact_estimate(*rows, estimator)) <= 1e-13
        assert estimator == "k1" or (values > 0).all()
    assert_array_equal(sampled_kl(log_p, log_p.copy(), estimator=estimator), np.zeros(3))


# Expectations, by going through all outcomes


@pytest.mark.parametrize("estimator", ["k1", "k3"])
@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_unbiased(n_samples, estimator):
    for p, q in (
        ([0.1, 0.2, 0.7], [0.3, 0.6, 0.1]),
        ([0.7, 0.2, 0.1], [0.001, 0.009, 0.99]),
        ([0.97, 0.02, 0.01], [0.5, 0.25, 0.25]),
    ):
        samples = np.array(list(product(range(3), repeat=n_samples)))
        weights = np.array(p)[samples].prod(axis=1)
        logs = np.log(p)[samples], np.log(q)[samples]
        values = sampled_kl(*logs, estimator=estimator, base=2)
        expectation = math.fsum(weights * values)
        assert error(expectation, reference.kl_divergence(p, q, base=2)) <= 1e-13


def test_k2_is_biased():
    """Its expectation is the divergence but for the third order."""
    p, log_p = np.array([0.2, 0.8]), np.log([0.2, 0.8])
    for step in (1e-2, 1e-3):
        q = p + np.array([step, -step])
        expectation = p @ sampled_kl(log_p[:, None], np.log(q)[:, None], estimator="k2")
        bias = abs(expectation - kl_divergence(p, q))
        assert 0 < bias < 100 * step**3


def test_k3_needs_no_more_mass_of_q():
    """An outcome that P never gives is never sampled: k3 misses its mass, k1 does not."""
    logs = np.log([0.5, 0.5]), np.log([0.25, 0.25])
    assert sampled_kl(*logs, estimator="k1") == pytest.approx(math.log(2))
    assert sampled_kl(*logs, estimator="k3") == pytest.approx(math.log(2) - 0.5)


# Shapes and types


def test_float32_is_summed_in_float64():
    log_p, log_q = random_logs((6, 5), dtype=np.float32)
    expected = sampled_kl(log_p.astype(np.float64), log_q.astype(np.float64))
    assert_array_equal(sampled_kl(log_p, log_q), expected.astype(np.float32))
    result = sampled_kl(np.zeros((2, 1), np.float32), np.array([[80], [100]], np.float32))
    assert_allclose(result, np.float32([math.exp(80), math.inf]), rtol=1e-6)


def test_samples_broadcast_and_stand_along_all_axes():
    log_p, log_q = random_logs((3, 4, 5))
    result = sampled_kl(log_p, log_q, axis=None)
    assert type(result) is float
    assert result == pytest.approx(sampled_kl(log_p.ravel(), log_q.ravel()), rel=1e-14)
    log_p, log_q = random_logs((6, 1))[0], random_logs((4, 1, 5))[1]
    expected = sampled_kl(*map(np.copy, np.broadcast_arrays(log_p, log_q)))
    assert expected.shape == (4, 6)
    assert_array_equal(sampled_kl(log_p, log_q), expected)
    assert sampled_kl(-1.0, [-2.0, -2.0], estimator="k1") == 1.0
    assert sampled_kl(-1.0, -2.0, estimator="k1", axis=None) == 1.0
    # beyond this, infinities of both signs would add up to NaN
    assert sampled_kl([1e300, 1e300], [-1e300, -1e300], estimator="k1") == 2e300


UNKNOWN = "estimator must be one of ('k1', 'k2', 'k3'); got "


@pytest.mark.parametrize(
    ("log_p", "log_q", "options", "parts"),
    [
        ([[0, -1], [-1, math.nan]], [0, 0], {}, ("log_p[1, 1] is nan; samples of p have",)),
        ([0, math.inf], [0, 0], {}, ("log_p[1] is inf",)),
        ([0, -math.inf], [0, 0], {}, ("log_p[1] is -inf",)),
        ([0, 0, 0], [-math.inf, math.nan, 0], {}, ("log_q[1] is nan",)),
        ([0, 0, 0], [-math.inf, math.inf, 0], {}, ("log_q[1] is inf",)),
        ([1.7e308, -1], [-1, -1], {}, ("log_p[0] is 1.7e+308;", "within 1e300")),
        ([-1, -1], [-1.7e308, -1], {}, ("log_q[0] is -1.7e+308;", "within 1e300")),
        ([0, 0], [0, 0], {"estimator": "k4"}, (UNKNOWN, "'k4'")),
        ([0, 0], [0, 0], {"estimator": None}, (UNKNOWN,)),
        (np.zeros((3, 0)), np.zeros((3, 0)), {}, ("log_p and log_q hold no samples along",)),
        ([], [], {"axis": None}, ("log_p and log_q hold no samples",)),
        (-1.0, -2.0, {}, ("log_p and log_q are single numbers",)),
    ],
)
def test_refusals(log_p, log_q, options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        sampled_kl(log_p, log_q, **options)


# Weights and masks


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_weights_are_repetitions(estimator):
    rng = np.random.default_rng(0)
    log_p, log_q = -rng.exponential(size=(2, 3, 5))
    times = rng.integers(0, 4, size=(3, 5))
    times[:, 0] = 1
    weighted = sampled_kl(log_p, log_q, sample_weight=times, estimator=estimator)
    for row, (p, q, n) in enumerate(zip(log_p, log_q, times, strict=True)):
        wanted = sampled_kl(np.repeat(p, n), np.repeat(q, n), estimator=estimator)
        assert_allclose(weighted[row], wanted, rtol=1e-12)
    whole = sampled_kl(log_p, log_q, sample_weight=times[0], axis=None, estimator=estimator)
    by_hand = np.average(
        [
            sampled_kl([p], [q], estimator=estimator)
            for p, q in zip(log_p.ravel(), log_q.ravel(), strict=True)
        ],
        weights=np.broadcast_to(times[0], (3, 5)).ravel(),
    )
    assert_allclose(whole, by_hand, rtol=1e-12)
    for scale in (5e307, 2.0**-1070):  # their sum overflows, or loses digits
        scaled = sampled_kl(log_p, log_q, sample_weight=scale * times, estimator=estimator)
        assert_allclose(scaled, weighted, rtol=1e-12)


def test_what_is_masked_may_be_anything():
    log_p, log_q = np.log([[0.5, 0.4], [0.8, 0.1]]), np.log([[0.4, 0.5], [0.9, 0.1]])
    mask = np.array([[True, True], [True, False]])
    wanted = [sampled_kl(log_p[0], log_q[0]), sampled_kl(log_p[1, :1], log_q[1, :1])]
    for p, q in ((np.nan, 0.0), (-np.inf, np.inf), (1e301, -np.inf), (0.0, -np.inf)):
        log_p[1, 1], log_q[1, 1] = p, q
        assert_allclose(sampled_kl(log_p, log_q, sample_weight=mask), wanted, rtol=1e-13)
    small = sampled_kl(log_p.astype("f4"), log_q.astype("f4"), sample_weight=mask)
    assert small.dtype == np.float32


def test_weights_by_name():
    tokens = pd.Index(["a", "b", "c"])
    log_p, log_q = pd.Series([-1.0, -2.0, -3.0], tokens), pd.Series([-2.0, -2.0, -1.0], tokens)
    weight = pd.Series([1.0, 0.0, 3.0], tokens)
    wanted = sampled_kl(log_p.to_numpy(), log_q.to_numpy(), sample_weight=weight.to_numpy())
    for p, q, w in (
        (log_p, log_q[::-1], weight[::-1]),
        (log_p, log_q[::-1], weight.to_numpy()),
        (log_p.to_numpy(), log_q, weight[::-1]),
    ):
        assert_allclose(sampled_kl(p, q, sample_weight=w), wanted, rtol=1e-13)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([[1, 1], [0, 0]], "zero for every sample in row [1]"),
        ([1, -1], "finite numbers >= 0"),
        ([1, np.nan], "finite numbers >= 0"),
        ([1, 1, 1], "sample_weight (3,)"),
    ],
)
def test_weights_that_are_refused(weight, message):
    with pytest.raises(ValueError, match=matches(message)):
        sampled_kl(-np.ones((2, 2)), -np.ones((2, 2)), sample_weight=weight)
    with pytest.raises(ValueError, match=matches("log_p[0, 1] is nan")):
        sampled_kl([[-1, np.nan]], [[-1, -1]], sample_weight=[1, 1])
