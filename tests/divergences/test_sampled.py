"""sampled_kl: the three estimators in many digits, their expectations, bad input."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import expm1, mp, mpf
from mpmath import inf as infinite
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklkl.divergences import kl_divergence, sampled_kl
from tests._support import reference
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error

BOUND = {np.float64: 1e-13, np.float32: 2e-6}
ESTIMATORS = ["k1", "k2", "k3"]

each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
each_dtype = pytest.mark.parametrize("dtype", BOUND)


def exact_estimate(log_p, log_q, estimator, *, digits=DIGITS):
    """Return the mean over samples given as exact numbers."""
    with mp.workdps(digits):
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


@each_estimator
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "size",
    [
        *(m * 10.0**-e for e in range(1, 13) for m in (1.0, 3.7)),
        *(0.28, 0.29, 0.4, 0.41, 0.5, 0.69, 0.7, 1.0, 1.1, 2.0, 3.0, 7.7, 30.0),
        *(100.0, 300.0, 599.9, 600.0, 600.1, 650.0, 700.0),
    ],
)
def test_single_sample(estimator, size, sign):
    """Also around the log ratios where formulas change."""
    for log_p, log_q in ((0.0, sign * size), (-sign * size, 0.0), (-1.5, sign * size - 1.5)):
        value = sampled_kl([log_p], [log_q], estimator=estimator)
        exact = exact_estimate([log_p], [log_q], estimator)
        assert error(value, exact) <= 1e-13


@pytest.mark.parametrize("size", [10.0**-e for e in range(13, 150, 8)])
def test_k3_near_zero_is_half_the_square(size):
    for log_r in (size, -size):
        value = sampled_kl([0.0], [log_r], estimator="k3")
        assert (
            error(value, exact_estimate([0.0], [log_r], "k3", digits=DIGITS_OF_TINY)) <= 1e-13
        )


@pytest.mark.parametrize("log_r", [-601.0, -700.0, -709.0, -745.0, -1e3, -1e10, -1e150])
@each_estimator
def test_almost_no_mass_of_q(estimator, log_r):
    value = sampled_kl([0.0], [log_r], estimator=estimator)
    assert error(value, exact_estimate([0.0], [log_r], estimator)) <= 1e-13


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_next_to_no_mass_of_q(estimator):
    """As far as float64 goes; the square of k2 overflows there."""
    assert sampled_kl([0.0], [-1e300], estimator=estimator) == pytest.approx(1e300, rel=1e-13)


@each_estimator
def test_no_mass_of_q(estimator):
    assert sampled_kl([-1.0, -1.0], [-1.0, -math.inf], estimator=estimator) == math.inf
    result = sampled_kl(np.zeros((2, 2)), [[0.0, -1.0], [0.0, -math.inf]], estimator=estimator)
    assert_array_equal(np.isinf(result), [False, True])
    assert result[1] == math.inf


@pytest.mark.parametrize("log_r", [709.0, 710.0, 1e3, 1e300])
def test_ratio_beyond_float64(log_r):
    value = sampled_kl([0.0], [log_r], estimator="k3")
    assert error(value, exact_estimate([0.0], [min(log_r, 1e6)], "k3")) <= 1e-13


def test_square_beyond_float64_is_infinite():
    assert sampled_kl([0.0], [-1e200], estimator="k2") == math.inf


@each_estimator
@each_dtype
@pytest.mark.parametrize("n", [1, 2, 7, 100, 1000])
def test_mean_over_samples(estimator, n, dtype):
    log_p, log_q = random_logs((3, n), n, dtype)
    values = sampled_kl(log_p, log_q, estimator=estimator)
    assert values.dtype == dtype
    for value, *rows in zip(values, log_p, log_q, strict=True):
        exact = exact_estimate(*rows, estimator)
        # k1 is a sum of numbers of both signs
        size = 0 if estimator != "k1" else BOUND[dtype] * np.abs(rows[0] - rows[1]).mean()
        assert error(value, exact, atol=size) <= BOUND[dtype]


@each_estimator
@pytest.mark.parametrize("perturbation", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_near_policies(estimator, perturbation):
    log_p, noise = random_logs((3, 50))
    log_q = log_p + perturbation * noise
    values = sampled_kl(log_p, log_q, estimator=estimator)
    for value, *rows in zip(values, log_p, log_q, strict=True):
        assert error(value, exact_estimate(*rows, estimator)) <= 1e-13


@each_estimator
def test_equal_policies(estimator):
    log_p, _ = random_logs((3, 50))
    result = sampled_kl(log_p, log_p.copy(), estimator=estimator)
    assert_array_equal(result, np.zeros(3))


def test_k3_by_default():
    log_p, log_q = random_logs((3, 50))
    assert_array_equal(sampled_kl(log_p, log_q), sampled_kl(log_p, log_q, estimator="k3"))


def test_formulas():
    log_p, log_q = random_logs((50,))
    log_r = log_q - log_p
    for estimator, expected in (
        ("k1", np.mean(-log_r)),
        ("k2", np.mean(log_r**2 / 2)),
        ("k3", np.mean(np.exp(log_r) - 1 - log_r)),
    ):
        value = sampled_kl(log_p, log_q, estimator=estimator)
        assert value == pytest.approx(expected, rel=1e-12)


def test_densities():
    """Logarithms of densities may be positive."""
    log_p, log_q = random_logs((50,))
    assert_allclose(
        sampled_kl(log_p + 16.0, log_q + 16.0), sampled_kl(log_p, log_q), rtol=1e-12
    )


# Expectations, by going through all outcomes

DISTRIBUTIONS = [
    ([0.5, 0.5], [0.9, 0.1]),
    ([0.25, 0.75], [0.75, 0.25]),
    ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]),
    ([0.7, 0.2, 0.1], [0.001, 0.009, 0.99]),
    ([0.97, 0.02, 0.01], [0.5, 0.25, 0.25]),
]


@pytest.mark.parametrize("estimator", ["k1", "k3"])
@pytest.mark.parametrize(("p", "q"), DISTRIBUTIONS)
@pytest.mark.parametrize("base", [None, 2])
def test_unbiased(p, q, base, estimator):
    log_p, log_q = np.log(p), np.log(q)
    values = sampled_kl(log_p[:, None], log_q[:, None], estimator=estimator, base=base)
    expectation = math.fsum(np.array(p) * values)
    assert error(expectation, reference.kl_divergence(p, q, base=base)) <= 1e-13


@pytest.mark.parametrize("estimator", ["k1", "k3"])
@pytest.mark.parametrize("n_samples", [2, 3])
def test_unbiased_for_several_samples(n_samples, estimator):
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.6, 0.1])
    samples = np.array(list(product(range(3), repeat=n_samples)))
    weights = p[samples].prod(axis=1)
    values = sampled_kl(np.log(p)[samples], np.log(q)[samples], estimator=estimator)
    assert error(math.fsum(weights * values), reference.kl_divergence(p, q)) <= 1e-13


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
    log_p, log_q = np.log([0.5, 0.5]), np.log([0.25, 0.25])
    assert np.mean(sampled_kl(log_p, log_q, estimator="k1")) == pytest.approx(math.log(2))
    assert np.mean(sampled_kl(log_p, log_q, estimator="k3")) == pytest.approx(
        math.log(2) - 0.5
    )


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e2), st.floats(-1e6, 1e2)), min_size=1, max_size=20)
)
def test_k2_and_k3_are_not_negative(rows):
    log_p, log_q = np.array(rows).T
    for estimator in ("k2", "k3"):
        values = sampled_kl(log_p[:, None], log_q[:, None], estimator=estimator)
        assert (values >= 0).all()
        far = abs(log_q - log_p) > 1e-100
        assert (values[far] > 0).all()
        assert sampled_kl(log_p, log_q, estimator=estimator) >= 0


# Shapes and types


@each_estimator
@each_dtype
def test_result(estimator, dtype):
    log_p, log_q = random_logs((6, 5), dtype=dtype)
    result = sampled_kl(log_p, log_q, estimator=estimator)
    assert result.shape == (6,)
    assert result.dtype == dtype
    single = sampled_kl(log_p[0], log_q[0], estimator=estimator)
    assert type(single) is float
    assert single == pytest.approx(result[0], rel=1e-6)
    assert type(sampled_kl(log_p, log_q, estimator=estimator, axis=None)) is float


def test_float32_with_float64():
    log_p, log_q = random_logs((6, 5), dtype=np.float32)
    expected = sampled_kl(log_p.astype(np.float64), log_q.astype(np.float64))
    assert_array_equal(sampled_kl(log_p, log_q.astype(np.float64)), expected)
    assert_array_equal(sampled_kl(log_p.astype(np.float64), log_q), expected)
    assert_array_equal(sampled_kl(log_p, log_q), expected.astype(np.float32))
    assert sampled_kl(log_p.astype(np.float16), log_q).dtype == np.float32
    whole = np.round(log_p).astype(int)
    assert sampled_kl(whole, whole).dtype == np.float64


def test_float32_beyond_its_largest_number_is_infinite():
    result = sampled_kl(np.zeros((2, 1), np.float32), np.array([[80], [100]], np.float32))
    assert result.dtype == np.float32
    assert result[0] == pytest.approx(math.exp(80), rel=1e-6)
    assert result[1] == math.inf


@each_estimator
@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_axis(estimator, axis):
    log_p, log_q = random_logs((3, 4, 5))
    expected = sampled_kl(log_p, log_q, estimator=estimator)
    moved = [np.moveaxis(x, -1, axis) for x in (log_p, log_q)]
    assert_allclose(sampled_kl(*moved, estimator=estimator, axis=axis), expected, rtol=1e-14)


@each_estimator
def test_all_axes(estimator):
    log_p, log_q = random_logs((3, 4, 5))
    flat = sampled_kl(log_p.ravel(), log_q.ravel(), estimator=estimator)
    assert sampled_kl(log_p, log_q, estimator=estimator, axis=None) == pytest.approx(
        flat, rel=1e-14
    )
    by_row = sampled_kl(log_p, log_q, estimator=estimator)
    assert np.mean(by_row) == pytest.approx(flat, rel=1e-14)


@each_estimator
@pytest.mark.parametrize(
    ("p_shape", "q_shape"),
    [((5,), (6, 5)), ((6, 5), (5,)), ((4, 1, 5), (6, 5)), ((6, 5), (6, 1)), ((1,), (5,))],
)
def test_broadcasting(estimator, p_shape, q_shape):
    log_p, _ = random_logs(p_shape, seed=1)
    _, log_q = random_logs(q_shape, seed=2)
    result = sampled_kl(log_p, log_q, estimator=estimator)
    expected = sampled_kl(
        *map(np.copy, np.broadcast_arrays(log_p, log_q)), estimator=estimator
    )
    assert_array_equal(result, expected)
    assert np.shape(result) == np.broadcast_shapes(p_shape, q_shape)[:-1]


@each_estimator
def test_base(estimator):
    log_p, log_q = random_logs((6, 5))
    assert_allclose(
        sampled_kl(log_p, log_q, estimator=estimator, base=2) * math.log(2),
        sampled_kl(log_p, log_q, estimator=estimator),
        rtol=1e-15,
    )


def test_layout_does_not_matter():
    log_p, log_q = random_logs((6, 50))
    expected = sampled_kl(log_p, log_q)
    log_p.flags.writeable = log_q.flags.writeable = False
    assert_array_equal(sampled_kl(log_p, log_q), expected)
    strided = [np.repeat(x, 3, axis=1)[:, ::3] for x in (log_p, log_q)]
    assert_array_equal(sampled_kl(*strided), expected)
    assert_array_equal(sampled_kl(log_p.tolist(), log_q.tolist()), expected)
    columns = [np.asfortranarray(x) for x in (log_p, log_q)]
    assert_allclose(sampled_kl(*columns), expected, rtol=1e-14)


def test_empty_batch():
    result = sampled_kl(np.empty((0, 5)), np.empty((0, 5)))
    assert result.shape == (0,)
    assert result.dtype == np.float64


# Bad input


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0)])
@each_estimator
def test_no_samples(shape, estimator):
    with pytest.raises(ValueError, match=r"^log_p and log_q hold no samples"):
        sampled_kl(np.empty(shape), np.empty(shape), estimator=estimator)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@each_estimator
def test_log_p_is_not_finite(bad, estimator):
    with pytest.raises(ValueError, match=rf"^log_p\[2\] is {bad}"):
        sampled_kl([0.0, -1.0, bad], [0.0, -1.0, -2.0], estimator=estimator)
    log_p, log_q = random_logs((3, 4))
    log_p[1, 2] = log_p[2, 0] = bad
    with pytest.raises(ValueError, match=rf"^log_p\[1, 2\] is {bad}"):
        sampled_kl(log_p, log_q, estimator=estimator)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@each_estimator
def test_log_q_is_not_below_infinity(bad, estimator):
    log_p, log_q = random_logs((3, 4))
    log_q[0, 1] = -math.inf
    log_q[1, 2] = log_q[2, 0] = bad
    with pytest.raises(ValueError, match=rf"^log_q\[1, 2\] is {bad}"):
        sampled_kl(log_p, log_q, estimator=estimator)
    with pytest.raises(ValueError, match=rf"^log_q\[1\] is {bad}"):
        sampled_kl(log_p[0], [0.0, bad, 0.0, 0.0], estimator=estimator)


def test_logarithms_so_large_that_sums_overflow():
    """Infinities of both signs would add up to NaN."""
    assert sampled_kl([1e300, 1e300], [-1e300, -1e300], estimator="k1") == 2e300
    for name, log_p, log_q in (("log_p", 1.7e308, -1.0), ("log_q", -1.0, -1.7e308)):
        with pytest.raises(ValueError, match=rf"^{name}\[0\] is -?1.7e\+308; .* within 1e300"):
            sampled_kl([log_p, -1.0], [log_q, -1.0])


@pytest.mark.parametrize("estimator", ["k4", "K1", "", None, 3, ["k1"]])
def test_unknown_estimator(estimator):
    with pytest.raises(ValueError, match=r"^estimator must be one of \('k1', 'k2', 'k3'\)"):
        sampled_kl([0.0], [0.0], estimator=estimator)


@pytest.mark.parametrize("base", [1, 0, -2, math.nan, math.inf, "2"])
def test_bad_base(base):
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        sampled_kl([0.0], [0.0], base=base)


def test_shapes_must_broadcast():
    with pytest.raises(ValueError, match=r"broadcast.*log_p \(3,\).*log_q \(4,\)"):
        sampled_kl(np.zeros(3), np.zeros(4))


def test_single_number():
    with pytest.raises(ValueError, match="log_p"):
        sampled_kl(-1.0, -2.0)
    assert sampled_kl(-1.0, [-2.0, -2.0], estimator="k1") == 1.0
    assert sampled_kl(-1.0, -2.0, estimator="k1", axis=None) == 1.0


@pytest.mark.parametrize("axis", [2, -3])
def test_axis_out_of_range(axis):
    with pytest.raises(ValueError, match=rf"axis.*{axis}.* is out of "):
        sampled_kl(np.zeros((3, 4)), np.zeros((3, 4)), axis=axis)


@pytest.mark.parametrize("name", ["log_p", "log_q"])
def test_not_real_numbers(name):
    arguments = {"log_p": [0.0, 0.0], "log_q": [0.0, 0.0]}
    with pytest.raises(TypeError, match=rf"^{name} must hold real numbers") as e:
        sampled_kl(**arguments | {name: ["a", "b"]})
    assert "the probabilities" not in str(e.value)  # but their logarithms
    with pytest.raises(TypeError, match=rf"^{name} is a sparse matrix"):
        sampled_kl(**arguments | {name: csr_array([[0.0, 0.0]])})
