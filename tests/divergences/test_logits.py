"""Divergences from logits: values in many digits, memory, bad input."""

import tracemalloc
from collections import Counter
from fractions import Fraction
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
from mpmath import exp, fsum, log, mpf, sqrt
from mpmath import inf as infinite
from numpy.testing import assert_array_equal

from sklkl.divergences import divergence_from_logits, entropy, kl_divergence_from_logits
from tests._support.messages import matches
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error, workdps

BOUND = {np.float64: 1e-13, np.float32: 2e-6}  # the relative error that the library promises
SOME_SIZES = (1, 2, 3, 17, 100, 1025)  # around what vectors and the blocks of a row hold
ALL_SIZES = (*range(1, 41), 64, 65, 100, 1000, 1024, 1025, 5000, 50_257)
NOTHING = 1e-50  # what so many digits leave of zero

each_dtype = pytest.mark.parametrize("dtype", BOUND)


def exact_divergence(x, y, temperature=1.0, *, digits=DIGITS):
    """Return the divergence of the softmaxes of two rows, taken as exact numbers."""
    # Long rows repeat a few outcomes, or the exponentials here would take all the time.
    outcomes = Counter(zip(map(float, x), map(float, y), strict=True))
    with workdps(digits):
        p, q = (
            [mpf(z) / mpf(temperature) for z in row] for row in zip(*outcomes, strict=True)
        )
        p_max, q_max = max(p), max(q)
        weights = [n * exp(z - p_max) for z, n in zip(p, outcomes.values(), strict=True)]
        p_mass = sum(weights)
        q_mass = sum(n * exp(z - q_max) for z, n in zip(q, outcomes.values(), strict=True))
        total = mpf(0)
        for w, u, v in zip(weights, p, q, strict=True):
            if w > 0:
                if v == -infinite:
                    return infinite
                total += w * (u - v)
        return total / p_mass - (p_max + log(p_mass)) + (q_max + log(q_mass))


def check(x, y, temperature=1.0, *, dtype=None, digits=DIGITS, bound=None):
    """Compare rows with the oracle, and look at type and sign."""
    if dtype is not None:
        x, y = x.astype(dtype), y.astype(dtype)
    values = kl_divergence_from_logits(x, y, temperature=temperature)
    assert values.dtype == x.dtype
    assert (values >= 0).all()
    limits = np.finfo(x.dtype)
    # Results below the least normal number have few bits left.
    atol = max(float(limits.tiny), 10.0**-digits) if digits > DIGITS else NOTHING
    if x.dtype == np.float32:
        atol = max(atol, float(limits.tiny))
    for value, *rows in zip(values, x, y, strict=True):
        exact = exact_divergence(*rows, temperature, digits=digits)
        off = error(value, exact, atol=atol, largest=float(limits.max))
        assert off <= (bound or BOUND[x.dtype.type]), (len(rows[0]), value, exact)


def random_logits(n, k, *, seed=0, scale=2.0):
    """Return two arrays; rows of more than 100 outcomes repeat 100 of them."""
    rng = np.random.default_rng([seed, k])
    rows = scale * rng.standard_normal((2, n, min(k, 100)))
    if k > rows.shape[-1]:
        rows = rows[:, :, rng.integers(rows.shape[-1], size=k)]
    return np.ascontiguousarray(rows)


# Values


@each_dtype
def test_ordinary_logits(dtype):
    for k in ALL_SIZES:
        check(*random_logits(1, k), dtype=dtype)
    uniform, certain = np.zeros((2, 1, 50_257))
    certain[0, 1234] = 20.0
    check(uniform, certain, dtype=dtype)
    check(certain, uniform, dtype=dtype)


def spike(x):
    """One logit of a row."""
    return np.arange(x.shape[1]) == x.shape[1] // 2


def holes(x):
    """Logits of no mass: the first, the last, every other one."""
    j = np.arange(x.shape[1])
    return [np.where(hole, -inf, 0) for hole in (j == 0, j == j[-1], j % 2 == 1) if len(j) > 1]


SHIFTS = (2.0**10, -(2.0**20), 2.0**40, 2.0**60)
# Of ordinary logits x and of others, which serve as noise too.
PAIRS = {
    "huge": lambda x, y: [(s * x, s * y) for s in (15.0, 500.0, 5e3)],
    "one far": lambda x, y: [
        pair
        for far in (1e4 * spike(x), -1e4 * spike(x))
        for pair in ((x, x + far), (x + far, y + far[::-1]))
    ],
    "shifted": lambda x, y: [(x + s, y) for s in (1e3, 1e6, -1e6)],
    "near": lambda x, y: [(x, x + s * y) for s in 10.0 ** -np.arange(1, 13)],
    # A shift that rounds the one row leaves the other its digits below it.
    "near and shifted": lambda x, y: [
        (x + s, (x + s) - s + e * y)
        for s in SHIFTS[:3]
        for e in (x.dtype.type(e) for e in (1e-1, 1e-5, 1e-12))
    ],
    "constant": lambda x, y: [
        (np.full_like(x, s), e * y) for s in SHIFTS for e in (1e-2, 1e-7, 1e-12)
    ],
    # Masses that differ more than what is left of the divergence.
    "one perturbed": lambda x, y: [(x, x + s * spike(x)) for s in (20.0, 1.0, 1e-3)],
    # A probability that no float holds is a probability.
    "without mass of one": lambda x, y: [
        (s * x + e * np.isinf(hole), s * y + hole)
        for hole in holes(x)
        for s, e in ((1.0, 0.0), (500.0, 0.0), (1.0, -1e4))
    ],
    "without mass of both": lambda x, y: [
        (x + hole, other + hole)
        for hole in holes(x)
        for other in (y, x + y, x + 1e-3 * y, x + 1e-10 * y, x)
    ],
}


@each_dtype
@pytest.mark.parametrize("kind", PAIRS)
def test_logits_of_many_kinds(kind, dtype):
    for k in SOME_SIZES:
        for x, y in PAIRS[kind](*random_logits(1, k).astype(dtype)):
            check(x, y, dtype=dtype)
            check(y, x, dtype=dtype)


@each_dtype
@pytest.mark.parametrize("temperature", [0.1, 0.3, 2, 10.0, 100.0])
def test_temperature(dtype, temperature):
    for k, scale in ((2, 2.0), (17, 100.0), (1025, 2.0)):
        x, y = random_logits(2, k, scale=scale)
        check(x, y, temperature, dtype=dtype)
        check(x, x * (1 + 1e-6 * y / scale), temperature, dtype=dtype)
        check(x + holes(x)[0], y, temperature, dtype=dtype)


@each_dtype
def test_extreme_temperatures_and_other_numbers(dtype):
    x, y = random_logits(3, 5)
    check(x, y, 1e-30, dtype=dtype)
    # all that is left is the second order, which underflows at last
    check(x, y, 1e15)
    assert_array_equal(kl_divergence_from_logits(x, y, temperature=1e300), np.zeros(3))
    for temperature in (np.int64(2), np.float32(0.3), Fraction(1, 3)):
        values = kl_divergence_from_logits(x, y, temperature=temperature)
        expected = kl_divergence_from_logits(x, y, temperature=float(temperature))
        assert_array_equal(values, expected)


@pytest.mark.parametrize("gap", [20.3, 200.7, 400.1, 600.9, 700.7])
def test_certain_rows(gap):
    """What little divergence is left is the small mass that q has elsewhere."""
    # The rounding of an exponent is the relative error of its exponential.
    bound = max(BOUND[np.float64], gap * np.finfo(np.float64).eps)
    for top, temperature in ((0.0, 0.1), (0.1, 1 / 3), (30.7, 0.7), (1000.1, 0.1)):
        x = np.array([[top, top - 4e3, top - 3e3], [top, top - 2.0 * gap, top - 5e3]])
        y = np.array([[top, top - temperature * gap, top - 1e3]] * 2)
        check(x, y, temperature, digits=DIGITS_OF_TINY, bound=bound)


def test_far_logits_beside_some_of_no_mass():
    """A probability that underflows is not zero: its logarithm counts."""
    for gap in (700.0, 710.0, 1000.0, 1e5):
        for last in (-inf, 0.0):
            value = kl_divergence_from_logits([gap, 0.0, -inf], [0.0, gap, last])
            assert value == pytest.approx(gap, rel=1e-13)
    # one outcome left
    assert kl_divergence_from_logits([5.0, -inf], [-3.0, -inf]) == 0.0
    assert kl_divergence_from_logits([-inf, 5.0], [-3.0, -inf]) == inf


@each_dtype
def test_equal_logits(dtype):
    for k in (*range(1, 18), 1000, 1025, 5000):
        x = random_logits(3, k)[0].astype(dtype)
        assert_array_equal(kl_divergence_from_logits(x, x.copy()), np.zeros(3))
        # a grid on which a sum is not rounded
        x = np.round(x * 2**4) / dtype(2**4)
        for constant in (0.5, 100.0, -(2.0**16)):
            y = x + dtype(constant)
            assert_array_equal(kl_divergence_from_logits(x, y), np.zeros(3))
            assert_array_equal(kl_divergence_from_logits(y, x, temperature=0.7), np.zeros(3))


@pytest.mark.parametrize("kind", ["ordinary", "masked", "broadcast", "axis", "sequences"])
def test_memory_does_not_grow_with_the_input(kind):
    """Another array of the size of the input would take 8 MB."""
    x = np.random.default_rng(0).random((100, 20_000), dtype=np.float32)
    y, axis = x[::-1], -1
    if kind == "masked":
        x[:, 7] = -inf
    elif kind == "broadcast":
        y = x[3]
    elif kind == "axis":
        x, y, axis = x.T, y.T, 0
    elif kind == "sequences":
        x, y = x.reshape(5, 20, -1), y.reshape(5, 20, -1)
    tracemalloc.start()
    try:
        kl_divergence_from_logits(x, y, axis=axis)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1e6


# Bad input

BAD_ROWS = {
    "NaN": ([0.2, nan, 5.0], "contains NaN; drop or fill such rows."),
    "NaN and -inf": ([-inf, nan, 5.0], "contains NaN"),
    "inf": ([0.2, inf, 5.0], "contains inf; logits are finite or -inf."),
    "both infinities": ([-inf, inf, 5.0], "contains inf"),
    "only -inf": ([-inf, -inf, -inf], "is -inf everywhere"),
}


@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_named(problem):
    row, message = BAD_ROWS[problem]
    # A row where q lacks mass that p has is inf, but not if the other is no row at all.
    for dtype in BOUND:
        for good in ([0.2, -3.0, 5.0], [-inf, 1.0, 2.0]):
            good, bad = np.tile(np.array(good, dtype), (8, 1)), np.array([good] * 8, dtype)
            bad[3] = bad[5] = row
            with pytest.raises(ValueError, match=matches(f"p_logits[3] {message}")):
                kl_divergence_from_logits(bad, good)
            with pytest.raises(ValueError, match=matches(f"q_logits[:, 3] {message}")):
                kl_divergence_from_logits(good.T, bad.T, axis=0)


def test_bad_value_anywhere_in_a_row():
    for k in (1, 17, 1025):
        for j, value in ((0, nan), (k // 2, inf), (k - 1, nan), (k - 1, inf)):
            good, bad = random_logits(2, k)
            bad[1, j] = value
            for pair, name in (((bad, good), "p_logits"), ((good, bad), "q_logits")):
                with pytest.raises(ValueError, match=rf"^{name}\[1\] contains"):
                    kl_divergence_from_logits(*pair)


def test_logits_at_the_limits_of_float64():
    """Their difference overflows, which is no fault of a row."""
    largest = np.finfo(np.float64).max
    x, y = np.array([[largest, -largest]]), np.array([[0.0, 1.0]])
    check(x, y)
    assert kl_divergence_from_logits(y[0], x[0]) == inf
    assert kl_divergence_from_logits(x[0], x[0]) == 0.0
    assert kl_divergence_from_logits([largest] * 2, [-largest] * 2) == 0.0
    check(y, x, 1e300)


@pytest.mark.parametrize(
    "temperature", [0, -1.0, 5e-324, 1e-301, 1.1e300, 10**400, nan, inf, "1", None, [1.0], 1j]
)
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match=r"^temperature must be a positive number, from "):
        kl_divergence_from_logits([0.0, 1.0], [0.0, 1.0], temperature=temperature)


def test_unit_of_huge_logits():
    rows = np.array([[1e308, -1e308, 0.0]]), np.array([[-1e308, 1e308, 1e308]])
    for temperature in (10.0, 1e300):
        nats, bits = (
            kl_divergence_from_logits(*rows, temperature=temperature, base=base)[0]
            for base in (None, 2)
        )
        assert bits * np.log(2) == pytest.approx(nats, rel=1e-14)
    assert np.isfinite(bits)


# Other divergences


def exact_softmax(x, temperature):
    largest = mpf(max(x))
    weights = [exp((mpf(z) - largest) / mpf(temperature)) for z in x]
    return [w / fsum(weights) for w in weights]


def kl(p, q):
    return fsum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js(p, q, weight=0.5):
    weight = mpf(weight)
    m = [weight * a + (1 - weight) * b for a, b in zip(p, q, strict=True)]
    return weight * kl(p, m) + (1 - weight) * kl(q, m)


def squares(p, q):
    return fsum((a - b) ** 2 for a, b in zip(p, q, strict=True))


DEFINITIONS = {
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "jeffreys": lambda p, q: kl(p, q) + kl(q, p),
    "cross_entropy": lambda p, q: -fsum(a * log(b) for a, b in zip(p, q, strict=True)),
    "jensen_shannon": js,
    "jensen_shannon_distance": lambda p, q: sqrt(js(p, q)),
    "hellinger": lambda p, q: sqrt(squares(map(sqrt, p), map(sqrt, q)) / 2),
    "total_variation": lambda p, q: fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "squared_error": squares,
}


@pytest.mark.parametrize("divergence", DEFINITIONS)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_other_divergences(divergence, temperature):
    """Of far, near-equal and shifted logits, and those of a probability that underflows."""
    for k in (1, 2, 9):
        x, y = random_logits(1, k)
        spot = spike(x)
        pairs = [(x, y), (5e3 * x, 5e3 * y), (x, x + 1e4 * spot), (x - 1e4 * spot, y)]
        for e in (1e-1, 1e-6, 1e-12):
            pairs += [(x, x + e * y), (x + 2.0**20, (x + 2.0**20) - 2.0**20 + e * y)]
        for p, q in pairs:
            options = {"divergence": divergence, "temperature": temperature}
            (value,) = divergence_from_logits(p, q, **options)
            with workdps(80):
                rows = (exact_softmax(row[0], temperature) for row in (p, q))
                exact = DEFINITIONS[divergence](*rows)
            assert value >= 0
            assert error(value, exact, atol=1e-60) <= 1e-13, (k, p, q)


def test_other_divergences_by_parameters_and_units():
    x, y = random_logits(3, 5)
    with workdps(60):
        exact = js(exact_softmax(x[0], 1), exact_softmax(y[0], 1), 0.3) / log(2)
    options = {"divergence": "jensen_shannon", "divergence_params": {"weight": 0.3}, "base": 2}
    found = divergence_from_logits(x, y, **options)
    assert error(found[0], exact) < 1e-13
    assert_array_equal(found, divergence_from_logits(x.T, y.T, axis=0, **options))
    narrow = divergence_from_logits(*(z.astype(np.float32) for z in (x, y)), **options)
    assert narrow.dtype == np.float32
    root = divergence_from_logits(x, y, divergence="jensen_shannon_distance", base=2) ** 2
    assert root == pytest.approx(
        divergence_from_logits(x, y, divergence="jensen_shannon", base=2)
    )
    own = divergence_from_logits(x, x, divergence="cross_entropy")
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    assert own == pytest.approx(entropy(p), rel=1e-14)


@pytest.mark.parametrize("divergence", ["kl", "reverse_kl", "hellinger"])
def test_results_are_in_the_order_of_the_first(divergence):
    x, y = random_logits(3, 4)
    p, q = (pd.DataFrame(z, list("abc"), list("wxyz")) for z in (x, y))
    found = divergence_from_logits(p, q.iloc[[2, 0, 1], ::-1], divergence=divergence)
    assert_array_equal(found, divergence_from_logits(x, y, divergence=divergence))


def test_logits_of_no_mass_and_huge_ones():
    x, y = [0.0, 1.0, -inf], [0.0, -inf, 1.0]
    names = ("cross_entropy", "kl", "jeffreys")
    assert all(divergence_from_logits(x, y, divergence=name) == inf for name in names)
    # exp(-2000) underflows, and is not 0
    far = [0.0, -2000.0], [0.0, -inf]
    assert divergence_from_logits(*far, divergence="cross_entropy") == inf
    bounded = {"total_variation": 1 / (1 + np.exp(-1)), "jensen_shannon": None}
    for name, value in bounded.items():
        found = divergence_from_logits(x, y, divergence=name)
        assert value is None or found == pytest.approx(value, rel=1e-14)
        assert 0 < found < 1
        assert divergence_from_logits(x, x, divergence=name) == 0.0
        largest = np.finfo(float).max
        apart = divergence_from_logits(
            [largest, -largest], [-largest, largest], divergence=name
        )
        assert apart == pytest.approx(1.0 if name == "total_variation" else np.log(2))


def test_refusals_of_other_divergences():
    good, bad = [[0.0, 1.0]] * 2, [[0.0, 1.0], [nan, 1.0]]
    for options in ({"divergence": "reverse_kl"}, {"divergence": "hellinger"}):
        with pytest.raises(ValueError, match=r"^q_logits\[1\] contains NaN"):
            divergence_from_logits(good, bad, **options)
        with pytest.raises(ValueError, match=r"^p_logits\[1\] contains NaN"):
            divergence_from_logits(bad, good, **options)
    with pytest.raises(ValueError, match="divergence must be one of"):
        divergence_from_logits(good, good, divergence="chi2")
    with pytest.raises(ValueError, match="takes no parameters"):
        divergence_from_logits(good, good, divergence_params={"weight": 0.3})
    with pytest.raises(ValueError, match="has no unit"):
        divergence_from_logits(good, good, divergence="hellinger", base=2)
