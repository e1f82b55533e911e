"""Values of the divergences, in many digits and by what theory says of them."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from mpmath import nstr
from numpy.testing import assert_array_equal

from sklkl.divergences import (
    alpha_divergence,
    cross_entropy,
    entropy,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
    renyi_divergence,
)
from tests._support import reference
from tests._support.cases import CASES
from tests._support.problems import random_rows
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error

FAIR, BIASED = np.array([0.5, 0.5]), np.array([0.9, 0.1])
OFF_SUM = 3e-4  # a deviation of sums from 1 that is inside the tolerance
BOUND = {np.float64: 1e-13, np.float32: 2e-6}  # the relative error that the library promises

# The function and its oracle, both of a pair of rows.
ROW_FUNCTIONS = {
    **{name: (divergence, divergence.exact) for name, divergence in CASES.items()},
    "entropy": (
        lambda p, q, **options: entropy(p, **options),
        lambda p, q, **options: reference.entropy(p, **options),
    ),
}
each_row_function = pytest.mark.parametrize("name", ROW_FUNCTIONS)
each_case = pytest.mark.parametrize("name", CASES)


def near(p, perturbation):
    """Rows that differ from ``p`` by a relative perturbation."""
    noise = np.random.default_rng(p.shape[1]).uniform(-1, 1, size=p.shape)
    q = p * (1 + perturbation * noise)
    return q / q.sum(axis=-1, keepdims=True)


def check_accuracy(name, pairs, *, digits=DIGITS):
    """Compare pairs of batches with the oracle row by row, and look at type and sign."""
    function, oracle = ROW_FUNCTIONS[name]
    for p, q in pairs:
        values = function(p, q)
        assert values.dtype == p.dtype
        limits = np.finfo(p.dtype)
        # Results below the least normal number have few bits left; the last two may be off.
        # A single logarithm is known to 1e-32, which only the largest of them shows.
        atol = max(4 * limits.smallest_subnormal, 1e-31 * name.endswith("order=inf)"))
        for value, p_row, q_row in zip(values, p, q, strict=True):
            exact = oracle(p_row, q_row, digits=digits)
            off = error(value, exact, atol=atol, largest=float(limits.max))
            assert value >= 0
            assert off <= BOUND[p.dtype.type], (
                f"{name} of rows of {len(p_row)} outcomes is {value}, not {nstr(exact, 17)}: "
                f"p={p_row.tolist()[:10]}, q={q_row.tolist()[:10]}"
            )


def in_each_dtype(pairs):
    return [tuple(x.astype(dtype) for x in pair) for pair in pairs for dtype in BOUND]


# Accuracy: rows of all lengths, then of all kinds

# Around the lengths of vectors, of unrolled loops and of the blocks that a row is read in.
SHORT = range(1, 41)
LONG = (63, 64, 65, 127, 129, 255, 256, 257, 263)


@cache
def far_and_near_rows():
    pairs = []
    for k in (*SHORT, *LONG):
        p, q = random_rows(1, k, 1), random_rows(1, k, 2)
        pairs += in_each_dtype([(p, q)])
        if k < 66 or k == 257:
            pairs += [(p, near(p, 1e-9))]
            pairs += [(p.astype("f4"), near(p, 1e-3).astype("f4"))]
    return pairs


@each_row_function
def test_accuracy_at_every_length(name):
    check_accuracy(name, far_and_near_rows())


@cache
def rows_with_zeros():
    """In p, in q, in both at different places, in both at the same; at the end, or at many.

    And rows without, flat ones and such whose sums are off.
    """
    pairs = []
    for k in (2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 257):
        p, q = random_rows(8, k, 1), random_rows(8, k, 2)
        places = np.arange(k) == k - 1, np.random.default_rng(k).permutation(k) < k // 2
        for i, here in zip((0, 4), places, strict=True):
            p[i, here] = p[i + 2, here] = p[i + 3, here] = 0.0
            q[i + 1, here] = q[i + 2, np.roll(here, 1)] = q[i + 3, here] = 0.0
        p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
        pairs += in_each_dtype([(p, q)])
    for k in (2, 3, 10, 100):
        p, q = random_rows(2, k, 4), random_rows(2, k, 5, concentration=100.0)
        pairs += in_each_dtype([(p * (1 + OFF_SUM), p[::-1] * (1 - OFF_SUM)), (q, q[::-1])])
    return pairs


@each_row_function
def test_accuracy_for_rows_with_zeros(name):
    check_accuracy(name, rows_with_zeros())


@cache
def rows_summed_one_by_one():
    """Sums that differ by what is left when many entries are added up one by one."""
    pairs = []
    for k in (2, 10, 300):
        p, q = random_rows(2, k, 6), random_rows(2, k, 7, concentration=0.3)
        pairs += [(p, q * (1 + off)) for off in (1e-14, 1.1e-13, -1.1e-13, 1e-12)]
        pairs += [(x.astype("f4") for x in (p, q * (1 + off))) for off in (9e-7, -9e-7)]
    return [tuple(pair) for pair in pairs]


@each_row_function
def test_accuracy_where_sums_differ_a_little(name):
    check_accuracy(name, rows_summed_one_by_one())


@cache
def near_equal_rows():
    """Perturbations, sums that are off, concentrations, one bit."""
    pairs = []
    for perturbation in (1e-1, 1e-3, 1e-6, 1e-8, 1e-10, 1e-12):
        for k in (2, 10):
            p = random_rows(1, k, 3)
            q = near(p, perturbation)
            pairs.append((p, q))
            # Few outcomes may share one factor, and are then nearer than they were meant.
            if abs(q / p - 1).max() >= perturbation / 2:
                pairs.append((p * (1 + OFF_SUM), q * (1 - OFF_SUM)))
            if perturbation >= 1e-6:
                pairs.append((p.astype("f4"), q.astype("f4")))
    for k in (2, 8, 300):
        p, q = np.full((2, 1, k), 1 / k)
        q[0, -1] = np.nextafter(q[0, -1], 1)
        pairs.append((p, q))
    p = random_rows(2, 30, 3, concentration=100.0)
    pairs += [(p, near(p, 1e-8)), (p.astype("f4"), near(p, 1e-4).astype("f4"))]
    return pairs


@each_row_function
def test_accuracy_for_near_equal_rows(name):
    check_accuracy(name, near_equal_rows(), digits=100)


def test_ranked_probabilities_of_rows_nearer_than_their_masses():
    """The squares of what the masses differ by cancel, of all 256 outcomes."""
    rng = np.random.default_rng(0)
    pairs = []
    for gap in (1e-10, 1e-7):
        q = rng.dirichlet(np.r_[1e5, np.ones(255)], size=20)
        p = q * (1 + gap)
        p[:, 100] += gap
        p[:, 101:103] -= gap / 2
        pairs.append((np.abs(p), q))
    check_accuracy("ranked_probability", pairs)


AWKWARD_PAIRS = {
    "certain and fair": ([1.0, 0.0], [0.5, 0.5]),
    "zeros of p": ([0.0, 0.25, 0.0, 0.75], [0.1, 0.2, 0.3, 0.4]),
    "common zero": ([0.0, 0.3, 0.7], [0.0, 0.6, 0.4]),
    "zero of q": ([0.2, 0.3, 0.5], [0.0, 0.6, 0.4]),
    "disjoint": ([1.0, 0.0], [0.0, 1.0]),
    "nearly certain": ([1 - 1e-10, 1e-10], [1 - 3e-10, 3e-10]),
    "1e-300 in p": ([1.0, 1e-300], [0.5, 0.5]),
    "1e-300 in both": ([1.0, 1e-300], [1.0, 3e-300]),
    "1e-300 against zero": ([1.0, 0.0], [1.0, 1e-300]),
    "least double": ([1.0, 5e-324], [0.5, 0.5]),
    "subnormals": ([0.5, 3e-310, 0.5, 7e-320], [0.25, 0.25, 0.25, 0.25]),
    "subnormals in both": ([1.0, 3e-310, 5e-324], [1.0, 7e-310, 1e-323]),
    "least normal": ([1.0, 2.3e-308], [0.7, 0.3]),
}


@cache
def rows_with_tiny_entries():
    pairs = [tuple(np.array([x]) for x in pair) for pair in AWKWARD_PAIRS.values()]
    pairs = in_each_dtype(pairs + [(q, p) for p, q in pairs])
    for dtype in BOUND:
        # Subnormal numbers, small normal ones and ordinary ones in all combinations.
        least = float(np.finfo(dtype).smallest_subnormal)
        tiny = least * np.array([0, 1, 9, 1e5, 1e11, 1e24, 1e37])
        a, b = np.repeat(tiny, len(tiny))[1:], np.tile(tiny, len(tiny))[1:]
        for k, rows in ((3, slice(None)), (33, slice(None, None, 17))):
            p, q = random_rows(len(a), k, 1), random_rows(len(a), k, 2)
            p[:, 1], q[:, 1] = a, b
            p[::2], q[::2] = 0.0, 0.0  # nothing but the tiny entries tells these apart
            p[::2, 0], q[::2, 0], p[::2, 1], q[::2, 1] = 1.0, 1.0, a[::2], b[::2]
            p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
            pairs.append((p[rows].astype(dtype), q[rows].astype(dtype)))
        for k in (3, 8, 17, 40):
            p, q = (random_rows(1, k, seed, concentration=0.01) for seed in (8, 9))
            pairs.append((p.astype(dtype), q.astype(dtype)))
    return pairs


@each_row_function
def test_accuracy_for_rows_with_tiny_entries(name):
    check_accuracy(name, rows_with_tiny_entries(), digits=DIGITS_OF_TINY)


@cache
def entries_of_any_magnitude():
    """From 1 to the least number, in steps finer than what may be rounded away anywhere."""
    pairs = []
    for k, step, dtype, lowest in (
        (2, 6.0, np.float64, 324),
        (2, 1.0, np.float32, 45),
        (17, 50.0, np.float64, 324),
        (17, 8.0, np.float32, 45),
    ):
        tiny = 10.0 ** -np.arange(0.5, lowest, step)
        common = random_rows(1, k - 1)
        for a, b in ((0.5, tiny), (tiny, 0.5), (tiny, 3 * tiny), (0.0, tiny), (tiny, 0.0)):
            p, q = (
                np.column_stack([np.outer(1 - x, common), x])
                for x in (np.broadcast_to(x, tiny.shape) for x in (a, b))
            )
            pairs.append((p.astype(dtype), q.astype(dtype)))
    return pairs


@each_row_function
def test_accuracy_for_entries_of_any_magnitude(name):
    check_accuracy(name, entries_of_any_magnitude(), digits=DIGITS_OF_TINY)


A_VOCABULARY = ["kl_divergence", "hellinger_distance", "alpha_divergence(alpha=0.5)"]


@pytest.mark.parametrize("k", [1025, pytest.param(50_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [*A_VOCABULARY, "cross_entropy", "jensen_shannon_distance"])
def test_accuracy_for_a_vocabulary(name, k):
    p, q = random_rows(1, k, 1), random_rows(1, k, 2)
    check_accuracy(name, [(p, q), (p.astype("f4"), q.astype("f4"))])
    if name in A_VOCABULARY[:1] or k == 1025:
        check_accuracy(name, [(p, near(p, 1e-9))])


def test_last_outcome_is_seen():
    """What fills rows up to whole vectors counts neither as a probability nor as a zero."""
    for k in (*range(2, 41), *LONG, *range(264, 290), 1000):
        p, q = random_rows(2, k)
        q[-1] = 0.0
        q /= q.sum()
        assert kl_divergence(p, q) == math.inf
        assert kl_contributions(p, q)[-1] == math.inf
        assert kl_divergence(q, p) < math.inf
        q[-1] = np.nan
        for function in (kl_divergence, kl_contributions):
            with pytest.raises(ValueError, match="q contains NaN"):
                function(p, q)


def check_contributions(p, q, *, digits=DIGITS):
    exact = reference.kl_contributions(p, q, digits=digits)
    for value, term, x in zip(kl_contributions(p, q), exact, p, strict=True):
        assert error(value, term, atol=max(1e-30 * x, 5e-324)) <= 1e-13


def test_accuracy_of_contributions():
    for k in (1, 2, 3, 10, 127, 128, 129):
        p, other = random_rows(1, k, 1), random_rows(1, k, 2)
        for q in (other, *(near(p, e) for e in (1e-1, 1e-6, 1e-12)), p):
            check_contributions(p[0], q[0])
            check_contributions(p[0] * (1 + OFF_SUM), q[0] * (1 - OFF_SUM))
        assert_array_equal(kl_contributions(p, p.copy()), np.zeros_like(p))
    for p, q in AWKWARD_PAIRS.values():
        check_contributions(p, q, digits=DIGITS_OF_TINY)
        check_contributions(q, p, digits=DIGITS_OF_TINY)


# Equal rows


@each_case
def test_equal_rows(name):
    """Exactly zero; equal but for their sums, the rounding that is left, as it enters."""
    exact = [float(CASES[name].exact(FAIR, [0.5 - x, 0.5 + x])) for x in (0, 1e-3, 1e-4)]
    if exact[0] > 1e-20:
        assert name == "cross_entropy"
        return
    for k in (1, 2, 3, 10, 129, 257, 1000):
        p = random_rows(9, k, concentration=0.3)
        p[:, : k // 3 : 2] = 0.0
        p *= (1 + OFF_SUM / 2) / p.sum(axis=1, keepdims=True)
        for rows in (p, p.astype("f4")):
            assert_array_equal(CASES[name](rows, rows.copy()), np.zeros(len(p)))
    p = np.array([3, 5, 8, 16]) / 32
    q = p * (1 + 2.0**-12)
    # Ten where it grows as the difference, a hundred where it does as the square.
    growth = exact[1] / exact[2] if exact[2] else math.inf
    assert max(CASES[name](p, q), CASES[name](q, p)) <= (0.9 * growth) ** -15


# Parameters


def test_renyi_grows_with_the_order():
    p, q = random_rows(20, 17, 1), random_rows(20, 17, 2)
    orders = [0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1, 1 + 1e-9, 2, 5, 100, 1e5, 1e300, math.inf]
    values = np.array([renyi_divergence(p, q, order=order) for order in orders])
    assert (values[:-1] <= values[1:] * (1 + 1e-13)).all()


def test_renyi_of_huge_order_of_rows_that_are_equal_but_for_rounding():
    """The rounding of p / q alone makes the moment 0 or infinite."""
    for p, q in (
        ([0, 1.0002126885671312], [0, 0.999949650196826]),
        ([0.3, 0.7], [0.30003, 0.70007]),
    ):
        assert 0 <= renyi_divergence(p, q, order=1e100) < 1e-15
        assert 0 <= renyi_divergence(q, p, order=1e100) < 1e-15


def test_alpha_whose_inverse_overflows_is_zero():
    for alpha in (-1e-310, 1e-310, -5e-324):
        assert alpha_divergence(FAIR, FAIR, alpha=alpha) == 0.0
        assert alpha_divergence(FAIR, BIASED, alpha=alpha) == kl_divergence(BIASED, FAIR)


NO_NUMBERS = [math.nan, -math.inf, 10**400, "2", None, np.True_, np.array([0.5]), 1j]


@pytest.mark.parametrize(
    ("function", "name", "allowed", "others"),
    [
        (jensen_shannon_divergence, "weight", "a number from 0 to 1", [-0.1, 1.1]),
        (renyi_divergence, "order", "a number >= 0, at most 1e300, or np.inf", [-1, 1e301]),
        (alpha_divergence, "alpha", "a finite number within 1e300 of 0", [math.inf, -1e301]),
    ],
)
def test_parameters_are_checked(function, name, allowed, others):
    for value in NO_NUMBERS + others:
        with pytest.raises(ValueError, match=f"^{name} must be {allowed}; got "):
            function(FAIR, BIASED, **{name: value})
    if name != "weight":
        with pytest.raises(TypeError, match="required keyword-only argument"):
            function(FAIR, BIASED)


# Properties


@st.composite
def distributions(draw, n=2, max_k=40):
    """``n`` rows over the same outcomes, of any magnitudes, zeros among them."""
    k = draw(st.integers(1, max_k))
    entries = st.floats(0, 1) | st.floats(-300, 0).map(lambda x: 10.0**x)
    rows = stnp.arrays(np.float64, k, elements=entries).filter(lambda x: x.sum() > 0)
    return [row / row.sum() for row in (draw(rows) for _ in range(n))]


@st.composite
def counts(draw, n=2, max_k=10):
    """``n`` rows of integers, whose proportions can be compared exactly."""
    k = draw(st.integers(1, max_k))
    row = st.lists(st.integers(0, 20), min_size=k, max_size=k).filter(any)
    return [np.array(draw(row)) for _ in range(n)]


each_few = settings(deadline=None, max_examples=25)


@each_few
@given(distributions(), counts())
def test_nothing_is_negative_and_zero_of_equal_rows_alone(rows, whole):
    for name, (function, _) in ROW_FUNCTIONS.items():
        for dtype in BOUND:
            assert function(*(x.astype(dtype) for x in rows)) >= 0, name
    p, q = whole
    equal = np.array_equal(p * q.sum(), q * p.sum())
    p, q = p / p.sum(), q / q.sum()
    assert (kl_divergence(p, q) == 0) == equal
    assert (jensen_shannon_divergence(p, q) == 0) == equal


@each_few
@given(distributions(), st.integers(1, 39), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_merging_outcomes_loses_information(rows, n_merged, random):
    p, q = rows
    order = list(range(len(p)))
    random.shuffle(order)
    merged = [np.append(x[n_merged:], x[:n_merged].sum()) for x in (p, q)]
    for function in (kl_divergence, jensen_shannon_divergence):
        result = function(p[order], q[order])
        assert result == pytest.approx(function(p, q), rel=1e-14, abs=1e-30)
        # The merged sums are rounded, and a divergence is the square of a distance.
        distance, before = (math.sqrt(function(*rows)) for rows in (merged, (p, q)))
        assert distance <= before * (1 + 1e-13) + 1e-14


def test_rows_done_with_care_keep_the_unit_and_the_mass():
    """Cross-entropies near 0, of sums off in both directions; moments beyond all numbers."""
    p, q = np.array([0.999, 0.001]), np.array([0.995, 0.005])
    off = p * (1 + OFF_SUM), q * (1 - OFF_SUM)
    assert cross_entropy(*off) == pytest.approx(-p @ np.log(q), rel=1e-13)
    q = np.array([1 - 1e-10, 1e-10])
    value = (50 * np.log(0.5) + 49 * np.log(1e10)) / 49
    for base, unit in ((None, 1.0), (2, np.log(2))):
        found = renyi_divergence(FAIR, q, order=50, base=base)
        assert found == pytest.approx(value / unit, rel=1e-13)
