"""kl_from_counts: values in exact arithmetic, expectations, bias, bad input."""

import math
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import log, mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import multinomial

from sklkl.divergences import kl_divergence
from sklkl.divergences._counts import kl_from_counts
from tests._support.reference import DIGITS, error, in_many_digits

LN2 = math.log(2.0)
ESTIMATORS = ["plugin", "miller-madow", "zhang-grabchak"]

each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
each_corrected = pytest.mark.parametrize("estimator", ESTIMATORS[1:])


def series_of_q(y, m):
    """Zhang and Grabchak's series for -log q, in rational numbers."""
    total, factor = Fraction(0), Fraction(1)
    for v in range(1, m - y + 1):
        factor *= 1 - Fraction(y, m - v + 1)
        total += factor / v
    return total


def series_of_p(x, n):
    """The same for -log p at x > 0."""
    total, factor = Fraction(0), Fraction(1)
    for v in range(1, n - x + 1):
        factor *= 1 - Fraction(x - 1, n - v)
        total += factor / v
    return total


def to_mpf(fraction):
    return mpf(fraction.numerator) / fraction.denominator


@in_many_digits
def exact_estimate(p_counts, q_counts=None, *, q=None, estimator):
    """Return the definition, literally."""
    n = sum(p_counts)
    m = sum(q_counts) if q is None else None
    shares = [Fraction(y, m) for y in q_counts] if q is None else q
    total = mpf(0)
    for j, x in enumerate(p_counts):
        if x == 0:
            continue
        share = Fraction(x, n)
        if estimator == "zhang-grabchak":
            first = to_mpf(series_of_q(q_counts[j], m)) if q is None else -log(mpf(q[j]))
            total += to_mpf(share) * (first - to_mpf(series_of_p(x, n)))
            continue
        if shares[j] == 0:
            return mpf("inf")
        other = to_mpf(shares[j]) if q is None else mpf(shares[j])
        total += to_mpf(share) * log(to_mpf(share) / other)
        if estimator == "miller-madow" and q is None:
            total -= to_mpf(share * (1 - shares[j]) / (2 * m * shares[j]))
    if estimator == "miller-madow":
        total -= mpf(sum(x > 0 for x in p_counts) - 1) / (2 * n)
    return total


def random_counts(shape, total, seed=0):
    rng = np.random.default_rng(seed)
    return rng.multinomial(total, rng.dirichlet(np.ones(shape[-1])), size=shape[:-1])


# Values


@pytest.mark.parametrize("total", [1, 2, 3, 7, 20, 61])
def test_series_are_differences_of_harmonic_numbers(total):
    """What lets digamma functions stand for the double series."""
    harmonic = [sum((Fraction(1, i) for i in range(1, k + 1)), Fraction(0)) for k in range(99)]
    for count in range(total + 1):
        assert series_of_q(count, total) == harmonic[total] - harmonic[count]
        if count > 0:
            assert series_of_p(count, total) == harmonic[total - 1] - harmonic[count - 1]


@each_estimator
@pytest.mark.parametrize(
    ("p_counts", "q_counts"),
    [
        ([1], [1]),
        ([5], [3]),
        ([1, 0], [0, 1]),
        ([1, 1], [1, 1]),
        ([7, 2, 1], [4, 6, 0]),
        ([7, 3, 0], [4, 5, 1]),
        ([40, 30, 20, 10], [1, 2, 3, 4]),
        ([3, 0, 1, 2, 0, 9], [100, 1, 90, 33, 0, 2]),
        ([250, 251, 249], [330, 340, 330]),
    ],
)
def test_definition(p_counts, q_counts, estimator):
    value = kl_from_counts(p_counts, q_counts, estimator=estimator)
    exact = exact_estimate(p_counts, q_counts, estimator=estimator)
    assert isinstance(value, float)
    assert error(value, exact, atol=1e-14) <= 1e-13


@each_estimator
@pytest.mark.parametrize("p_counts", [[3, 1], [7, 0], [1, 0], [500, 501]])
@pytest.mark.parametrize("q", [[0.5, 0.5], [0.125, 0.875], [0.75, 0.25]])
def test_definition_with_known_q(p_counts, q, estimator):
    value = kl_from_counts(p_counts, q=q, estimator=estimator)
    exact = exact_estimate(p_counts, q=q, estimator=estimator)
    assert error(value, exact, atol=1e-14) <= 1e-13


def test_by_hand():
    """X = (2, 1), Y = (1, 1): differences of harmonic numbers, small enough to see."""
    by_hand = 2 / 3 * ((1 + 1 / 2) - 1 - (1 + 1 / 2) + 1) + 1 / 3 * (
        (1 + 1 / 2) - 1 - (1 + 1 / 2) + 0
    )
    assert kl_from_counts([2, 1], [1, 1]) == pytest.approx(by_hand, abs=1e-15)
    plugin = 2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)
    assert kl_from_counts([2, 1], [1, 1], estimator="plugin") == pytest.approx(plugin)
    corrected = plugin - 1 / 6 - 1 / 4
    assert kl_from_counts([2, 1], [1, 1], estimator="miller-madow") == pytest.approx(corrected)


def test_plugin_is_the_divergence_of_frequencies():
    p, q = random_counts((6, 5), 300, 1) + 1, random_counts((6, 5), 200, 2) + 1
    expected = kl_divergence(
        p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    )
    assert_array_equal(kl_from_counts(p, q, estimator="plugin"), expected)
    assert kl_from_counts(p[0], p[0], estimator="plugin") == 0.0


def test_zhang_grabchak_by_default():
    assert kl_from_counts([3, 1], [2, 2]) == kl_from_counts(
        [3, 1], [2, 2], estimator="zhang-grabchak"
    )


@given(
    st.integers(1, 6).flatmap(
        lambda k: st.tuples(*2 * [st.lists(st.integers(0, 40), min_size=k, max_size=k)])
    )
)
@settings(max_examples=200, deadline=None)
def test_any_counts(counts):
    p_counts, q_counts = counts
    p_counts[0] += 1
    q_counts[-1] += 1
    for estimator in ESTIMATORS:
        value = kl_from_counts(p_counts, q_counts, estimator=estimator)
        exact = exact_estimate(p_counts, q_counts, estimator=estimator)
        assert error(value, exact, atol=1e-13) <= 1e-13


@each_estimator
def test_many_samples_give_the_divergence(estimator):
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.5, 0.375])
    n = 2**40
    for options in ({"q_counts": q * n}, {"q": q}):
        value = kl_from_counts(p * n, **options, estimator=estimator)
        assert value == pytest.approx(kl_divergence(p, q), rel=1e-11)


# Zeros


def test_outcome_not_seen_among_samples_of_q():
    assert kl_from_counts([1, 1], [5, 0], estimator="plugin") == math.inf
    assert kl_from_counts([1, 1], [5, 0], estimator="miller-madow") == math.inf
    assert math.isfinite(kl_from_counts([1, 1], [5, 0]))
    result = kl_from_counts([[1, 1], [2, 0]], [5, 0], estimator="miller-madow")
    assert_array_equal(result, [math.inf, 0.0])


@each_estimator
def test_known_zero(estimator):
    assert kl_from_counts([3, 1], q=[1.0, 0.0], estimator=estimator) == math.inf
    assert kl_from_counts([3, 0], q=[1.0, 0.0], estimator=estimator) == 0.0


@each_estimator
@pytest.mark.parametrize("options", [{"q_counts": [2, 3, 0]}, {"q": [0.4, 0.6, 0.0]}])
def test_outcome_never_seen_changes_nothing(options, estimator):
    (name, values), *_ = options.items()
    shorter = kl_from_counts([4, 1], **{name: values[:2]}, estimator=estimator)
    assert kl_from_counts([4, 1, 0], **options, estimator=estimator) == shorter


# Expectations


def all_counts(total, k):
    return [c for c in product(range(total + 1), repeat=k) if sum(c) == total]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 5), (6, 4), (8, 8)])
@pytest.mark.parametrize("known", [True, False])
def test_expectation_of_zhang_grabchak(n, m, known):
    """Over all samples there are: the series of the logarithms, cut off at n - 1 and m."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.1, 0.3])
    X, Y = np.array(all_counts(n, 3)), np.array(all_counts(m, 3))
    if known:
        values = kl_from_counts(X, q=q)
        cost = -np.log(q)
        mean = multinomial.pmf(X, n, p) @ values
    else:
        values = kl_from_counts(X[:, None], Y)
        cost = sum((1 - q) ** v / v for v in range(1, m + 1))
        mean = multinomial.pmf(X, n, p) @ values @ multinomial.pmf(Y, m, q)
    gain = sum(((1 - p) ** v / v for v in range(1, n)), np.zeros(3))
    assert mean == pytest.approx(p @ (cost - gain), abs=1e-13)


@pytest.mark.parametrize("known", [True, False])
def test_bias(known):
    """Each estimator's mean over 20,000 data sets."""
    rng = np.random.default_rng(0)
    n, m, k = 120, 160, 8
    p = np.arange(1, k + 1) / 36
    q = p[::-1] * 0.3 + p * 0.7
    truth = kl_divergence(p, q)
    p_counts = rng.multinomial(n, p, size=20_000)
    q_counts = rng.multinomial(m, q, size=20_000)
    assert (q_counts > 0).all()  # or the first two means would be infinite
    options = {"q": q} if known else {"q_counts": q_counts}
    bias = {
        estimator: kl_from_counts(p_counts, **options, estimator=estimator).mean() - truth
        for estimator in ESTIMATORS
    }
    first_order = (k - 1) / (2 * n) + (0 if known else np.sum(p * (1 - q) / q) / (2 * m))
    assert bias["plugin"] == pytest.approx(first_order, rel=0.25)
    assert abs(bias["miller-madow"]) < 0.2 * bias["plugin"]
    assert abs(bias["zhang-grabchak"]) < 0.1 * bias["plugin"]


def test_right_on_average_where_p_is_q():
    rng = np.random.default_rng(1)
    p = np.full(5, 0.2)
    counts = rng.multinomial(50, p, size=(2, 20_000))
    values = kl_from_counts(*counts)
    assert (values < 0).mean() > 0.3
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(20_000) + 1e-4


# Units, shapes and types


@each_estimator
def test_base(estimator):
    p, q = [7, 2, 1], [4, 5, 1]
    nats = kl_from_counts(p, q, estimator=estimator)
    assert kl_from_counts(p, q, estimator=estimator, base=2) == pytest.approx(nats / LN2)
    assert kl_from_counts(p, q, estimator=estimator, base=10) == pytest.approx(
        nats / math.log(10)
    )


@each_estimator
def test_order_of_outcomes(estimator):
    p, q = random_counts((4, 9), 80, 3), random_counts((4, 9), 50, 4) + 1
    order = np.random.default_rng(0).permutation(9)
    assert_allclose(
        kl_from_counts(p[:, order], q[:, order], estimator=estimator),
        kl_from_counts(p, q, estimator=estimator),
        rtol=1e-12,
        atol=1e-14,
    )


@each_estimator
@pytest.mark.parametrize(
    ("p_shape", "q_shape"),
    [
        ((4,), (4,)),
        ((3, 4), (4,)),
        ((4,), (3, 4)),
        ((3, 4), (1, 4)),
        ((2, 1, 4), (3, 4)),
        ((0, 4), (4,)),
        ((2, 3, 1), (2, 3, 1)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_broadcasting(p_shape, q_shape, known, estimator):
    p, q = random_counts(p_shape, 30, 5), random_counts(q_shape, 20, 6) + 1
    if known:
        q = q / q.sum(axis=-1, keepdims=True)
    name = "q" if known else "q_counts"
    result = kl_from_counts(p, **{name: q}, estimator=estimator)
    shape = np.broadcast_shapes(p_shape[:-1], q_shape[:-1])
    assert np.shape(result) == shape
    if not shape:
        assert isinstance(result, float)
        return
    assert result.dtype == np.float64
    P, Q = (np.broadcast_to(a, (*shape, a.shape[-1])) for a in (p, q))
    for index in np.ndindex(shape):
        alone = kl_from_counts(P[index], **{name: Q[index]}, estimator=estimator)
        assert alone == pytest.approx(result[index], rel=1e-14, abs=1e-15)


def _with(x, change):
    if change == "read-only":
        x = x.copy()
        x.flags.writeable = False
        return x
    if change == "strided":
        return np.repeat(x, 2, axis=0)[::2]
    if change == "reversed":
        return x[::-1, ::-1].copy()[::-1, ::-1]
    if change == "Fortran":
        return np.asfortranarray(x)
    if change == "list":
        return x.tolist()
    if change == "frame":
        return pd.DataFrame(x)
    return x.astype(change)


@each_estimator
@pytest.mark.parametrize(
    "change",
    [
        *("read-only", "strided", "reversed", "Fortran", "list", "frame"),
        *("uint8", "int32", "uint64", "float16", "float32", "float64", ">i4", "object"),
    ],
)
def test_forms_of_counts(change, estimator):
    p, q = random_counts((5, 4), 90, 7), random_counts((5, 4), 70, 8) + 1
    expected = kl_from_counts(p, q, estimator=estimator)
    result = kl_from_counts(_with(p, change), _with(q, change), estimator=estimator)
    assert result.dtype == np.float64
    assert_array_equal(result, expected)


@each_estimator
def test_float32_q(estimator):
    """Rows that do not sum to 1 exactly are normalised."""
    p = random_counts((5, 4), 90, 7)
    q = np.random.default_rng(0).dirichlet(np.ones(4), size=5).astype(np.float32)
    wide = q.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    expected = kl_from_counts(p, q=wide, estimator=estimator)
    assert_allclose(kl_from_counts(p, q=q, estimator=estimator), expected, rtol=1e-13)
    scaled = kl_from_counts(p, q=wide * (1 + 2e-4), estimator=estimator)
    assert_allclose(scaled, expected, rtol=1e-13, atol=1e-15)
    counts = p.astype(np.float32)
    assert_allclose(kl_from_counts(counts, q=q, estimator=estimator), expected, rtol=1e-13)


def test_arguments_are_left_alone():
    p, q = random_counts((5, 4), 90, 7), random_counts((5, 4), 70, 8).astype(np.float64) + 1
    copies = p.copy(), q.copy()
    for estimator in ESTIMATORS:
        kl_from_counts(p, q, estimator=estimator)
        kl_from_counts(p, q=q / q.sum(axis=1, keepdims=True), estimator=estimator)
    assert_array_equal(p, copies[0])
    assert_array_equal(q, copies[1])


@each_corrected
def test_estimates_approach_the_plugin(estimator):
    p, q = np.array([5, 3, 2]), np.array([3, 4, 3])
    gaps = [
        abs(
            kl_from_counts(p * c, q * c, estimator=estimator)
            - kl_from_counts(p * c, q * c, estimator="plugin")
        )
        for c in (1, 10, 100, 1000)
    ]
    assert all(small < 0.2 * large for large, small in pairwise(gaps))


@each_estimator
def test_huge_counts(estimator):
    """Nothing overflows, and what is left is the divergence of the frequencies."""
    p, q = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    value = kl_from_counts(p * 1e306, q * 1e306, estimator=estimator)
    assert value == pytest.approx(kl_divergence(p / 4, q / 3), rel=1e-12)


# Bad input


@pytest.mark.parametrize(
    ("p_counts", "options", "message"),
    [
        ([1, 2], {}, r"Pass either q_counts.*got neither"),
        ([1, 2], {"q_counts": [1, 2], "q": [0.5, 0.5]}, r"Pass either.*got both"),
        ([1, -2], {"q_counts": [1, 2]}, r"^p_counts has -2 at position 1; pass how often"),
        ([1, 2], {"q_counts": [0.5, 0.5]}, r"^q_counts has 0.5 at position 0;.*as q="),
        ([[1, 2], [1, math.nan]], {"q_counts": [1, 2]}, r"^p_counts\[1\] has nan at pos"),
        ([1, 2], {"q_counts": [[[1, 2], [math.inf, 1]]]}, r"^q_counts\[0, 1\] has inf at"),
        ([[1, 2], [0, 0]], {"q_counts": [1, 2]}, r"^p_counts\[1\] has no counts.*Drop"),
        ([[[1, 2]], [[3, 4]]], {"q_counts": [[1, 2], [0, 0]]}, r"^q_counts\[1\] has no count"),
        ([1, 2], {"q": [0.5, 0.6]}, r"^q sums to 1.1 instead of 1"),
        ([1, 2], {"q": [[0.5, 0.5], [-1, 2]]}, r"^q\[1\] has the negative entry -1"),
        ([1, 2], {"q": [math.nan, 0.5]}, r"^q contains NaN"),
        ([1, 2], {"q_counts": [1, 2, 3]}, r"p_counts has 2, q_counts has 3"),
        ([1, 2], {"q_counts": [1e308, 1e308]}, r"^q_counts has counts whose sum is too large"),
        ([1, 2], {"q": [0.2, 0.3, 0.5]}, r"p_counts has 2, q has 3"),
        (np.ones((3, 2)), {"q_counts": np.ones((4, 2))}, r"do not broadcast: p_counts \(3,\)"),
        (3, {"q_counts": [1, 2]}, r"^p_counts is a single number"),
        ([], {"q_counts": []}, r"^p_counts is empty"),
        ([[1, 2], [3]], {"q_counts": [1, 2]}, r"^p_counts must be an array: its rows differ"),
    ],
)
@each_estimator
def test_bad_arrays(p_counts, options, message, estimator):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        kl_from_counts(p_counts, **options, estimator=estimator)


def test_bad_types():
    with pytest.raises(TypeError, match="p_counts is a sparse matrix"):
        kl_from_counts(csr_array([[1, 2]]), [1, 2])
    with pytest.raises(TypeError, match="q_counts must hold real numbers"):
        kl_from_counts([1, 2], ["a", "b"])
    with pytest.raises(TypeError, match="takes from 1 to 2 positional"):
        kl_from_counts([1, 2], None, [0.5, 0.5])


@pytest.mark.parametrize("estimator", ["k3", "Plugin", None, 1, ["plugin"]])
def test_bad_estimator(estimator):
    with pytest.raises(ValueError, match=r"estimator must be one of .*zhang-grabchak"):
        kl_from_counts([1, 2], [1, 2], estimator=estimator)


@pytest.mark.parametrize("base", [1, 0, -2, math.inf, "e"])
def test_bad_base(base):
    with pytest.raises(ValueError, match="base must be None"):
        kl_from_counts([1, 2], [1, 2], base=base)


def test_digits_of_the_reference():
    """The oracle itself: X = (1, 1), Y = (1, 1) is 0 - 1 by the series."""
    with mp.workdps(DIGITS):
        value = exact_estimate([1, 1], [1, 1], estimator="zhang-grabchak")
        assert value == mpf(1) / 2 - 1
