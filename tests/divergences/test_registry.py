"""What holds for every registered divergence of two distributions."""

import inspect
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

import sklkl.divergences
from sklkl.divergences._registry import DIVERGENCES
from sklkl.divergences._rows import SUM_TOLERANCE
from tests import _reference
from tests._reference import DIGITS_OF_TINY, error

each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def random_pair(n, k, seed=0, dtype=np.float64):
    rows = np.random.default_rng(seed).dirichlet(np.ones(k), size=2 * n).astype(dtype)
    return rows[:n], rows[n:]


def reference_of(divergence):
    return getattr(_reference, divergence.name)


def test_names_are_unique():
    names = [divergence.name for divergence in DIVERGENCES]
    assert len(set(names)) == len(names)


@each_divergence
def test_function_is_public(divergence):
    assert divergence.name in sklkl.divergences.__all__
    assert getattr(sklkl.divergences, divergence.name) is divergence.function


@each_divergence
def test_signature(divergence):
    parameters = inspect.signature(divergence.function).parameters
    assert list(parameters)[:2] == ["p", "q"]
    assert parameters["axis"].default == -1
    assert parameters["base"].default is None
    for name, parameter in parameters.items():
        if name not in ("p", "q"):
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not parameter.empty


@each_divergence
def test_title_is_what_the_docstring_calls_it(divergence):
    summary = inspect.getdoc(divergence.function).splitlines()[0]
    assert divergence.title in summary


@each_divergence
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 9, 129])
def test_kernel_is_the_function_in_nats(divergence, k, dtype):
    p, q = random_pair(20, k, dtype=dtype)
    out = np.empty(len(p))
    divergence.kernel(p, q, SUM_TOLERANCE, out, 1)
    assert_array_equal(out.astype(dtype), divergence.function(p, q))


@each_divergence
@each_dtype
def test_kernel_marks_invalid_rows(divergence, dtype):
    p, q = random_pair(4, 3, dtype=dtype)
    p[0], q[1], p[2, 1] = [0.5, 0.5, 0.5], [1.5, -0.5, 0.0], np.nan
    out = np.empty(len(p))
    divergence.kernel(p, q, SUM_TOLERANCE, out, 1)
    assert_array_equal(np.isnan(out), [True, True, True, False])


@each_divergence
@pytest.mark.parametrize("k", [2, 3, 10, 129, 1000])
def test_accuracy(divergence, k):
    p, q = random_pair(3, k, seed=k)
    reference = reference_of(divergence)
    near = p * (1 + 1e-9 * np.random.default_rng(k).uniform(-1, 1, size=p.shape))
    for other in (q, near):
        values = divergence.function(p, other * (1 + SUM_TOLERANCE / 2))
        for value, p_row, q_row in zip(values, p, other, strict=True):
            exact = reference(p_row, q_row * (1 + SUM_TOLERANCE / 2))
            assert error(value, exact) <= 1e-13


@each_divergence
@pytest.mark.parametrize("k", [2, 3, 10, 129, 1000])
def test_accuracy_for_float32(divergence, k):
    p, q = random_pair(3, k, seed=k, dtype=np.float32)
    reference = reference_of(divergence)
    for value, p_row, q_row in zip(divergence.function(p, q), p, q, strict=True):
        assert error(value, reference(p_row, q_row)) <= 2e-6


@each_divergence
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([1.0, 0.0, 0.0], [0.2, 0.3, 0.5]),
        ([0.2, 0.3, 0.5], [0.2, 0.8, 0.0]),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]),
        ([0.5, 0.5, 5e-324], [0.25, 0.75, 0.0]),
        ([0.5, 0.5, 5e-324], [0.25, 0.75, 2e-310]),
        ([0.5, 0.5, 1e-300], [0.25, 0.75, 1.0e-200]),
    ],
)
def test_zeros_and_tiny_entries(divergence, p, q):
    for first, second in ((p, q), (q, p)):
        exact = reference_of(divergence)(first, second, digits=DIGITS_OF_TINY)
        assert error(divergence.function(first, second), exact, atol=5e-324) <= 1e-13


@each_divergence
def test_finite_says_what_an_uncovered_outcome_costs(divergence):
    value = divergence.function([0.5, 0.5], [1.0, 0.0])
    assert value == math.inf if not divergence.finite else 0 < value < math.inf


@each_divergence
def test_reversible_divergence_is_not_symmetric(divergence):
    p, q = random_pair(50, 4)
    swapped = divergence.function(q, p)
    if divergence.reversible:
        assert not np.isclose(divergence.function(p, q), swapped).any()


@each_divergence
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 10, 200])
def test_not_negative_and_least_for_equal_rows(divergence, k, dtype):
    p, q = random_pair(50, k, dtype=dtype)
    least = divergence.function(p, p)
    assert (least >= 0).all()
    assert (divergence.function(p, q) >= least).all()


@each_divergence
@pytest.mark.parametrize("k", [2, 10, 200])
def test_order_of_outcomes_does_not_matter(divergence, k):
    p, q = random_pair(20, k)
    order = np.random.default_rng(1).permutation(k)
    expected = divergence.function(p, q)
    assert_allclose(divergence.function(p[:, order], q[:, order]), expected, rtol=1e-14)


@each_divergence
def test_common_zero_adds_nothing(divergence):
    p, q = random_pair(20, 5)
    widened = [np.insert(x, 2, 0.0, axis=1) for x in (p, q)]
    assert_allclose(divergence.function(*widened), divergence.function(p, q), rtol=1e-14)


@each_divergence
def test_split_of_outcomes_in_equal_shares(divergence):
    """Halving an outcome of both rows gives no information on which of them it is."""
    p, q = random_pair(20, 5)
    halved = [np.repeat(x, 2, axis=1) / 2 for x in (p, q)]
    value, least = (divergence.function(halved[0], x) for x in (halved[1], halved[0]))
    expected = divergence.function(p, q) - divergence.function(p, p)
    assert_allclose(value - least, expected, rtol=1e-12, atol=1e-14)


@each_divergence
def test_base(divergence):
    p, q = random_pair(20, 5)
    expected = divergence.function(p, q) / math.log(2)
    assert_allclose(divergence.function(p, q, base=2), expected, rtol=1e-15)


@each_divergence
@each_dtype
def test_result(divergence, dtype):
    p, q = random_pair(12, 5, dtype=dtype)
    result = divergence.function(p, q)
    assert result.shape == (12,)
    assert result.dtype == dtype
    assert type(divergence.function(p[0], q[0])) is float
    assert divergence.function(p[0], q[0]) == pytest.approx(result[0], rel=1e-7)
    assert divergence.function(p[:0], q[:0]).shape == (0,)
    assert_array_equal(divergence.function(p.T, q.T, axis=0), result)
    batch = divergence.function(p.reshape(3, 4, 5), q.reshape(3, 4, 5))
    assert_array_equal(batch, result.reshape(3, 4))
    assert_array_equal(divergence.function(p[0], q)[3], divergence.function(p[[0]], q[[3]])[0])


@each_divergence
def test_result_does_not_depend_on_threads(divergence):
    p, q = random_pair(1001, 50)
    with threadpool_limits(limits=1):
        expected = divergence.function(p, q)
    with threadpool_limits(limits=2):
        assert_array_equal(divergence.function(p, q), expected)


@each_divergence
def test_bad_rows_are_named(divergence):
    p, q = random_pair(8, 3)
    bad = p.copy()
    bad[5] = [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"^p\[5\] sums to 1.5 instead of 1"):
        divergence.function(bad, q)
    with pytest.raises(ValueError, match=r"^q\[5\] sums to 1.5 instead of 1"):
        divergence.function(q, bad)
    bad[5] = [np.nan, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"^q\[5\] contains NaN"):
        divergence.function(q, bad)
