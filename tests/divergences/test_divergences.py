"""Values of the divergences: textbook figures, high precision, layouts, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from mpmath import nstr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon
from threadpoolctl import threadpool_limits

from sklkl.divergences import (
    alpha_divergence,
    bhattacharyya_distance,
    chi2_divergence,
    cross_entropy,
    entropy,
    hellinger_distance,
    jeffreys_divergence,
    jensen_shannon_distance,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
    renyi_divergence,
    total_variation_distance,
)
from tests._support import reference
from tests._support.cases import CASES, case
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error

FAIR = np.array([0.5, 0.5])
BIASED = np.array([0.9, 0.1])

# A deviation of sums from 1 that is inside the tolerance.
OFF_SUM = 3e-4

# The relative error that the library promises.
BOUND = {np.float64: 1e-13, np.float32: 2e-6}

# How far a symmetric divergence may change when its arguments are swapped.
SYMMETRY = 1e-14

jensen_shannon_030 = case("jensen_shannon_divergence", weight=0.3)

# The function and its oracle, both of a pair of rows.
ROW_FUNCTIONS = {
    **{name: (divergence, divergence.exact) for name, divergence in CASES.items()},
    "entropy": (
        lambda p, q, **options: entropy(p, **options),
        lambda p, q, **options: reference.entropy(p, **options),
    ),
}
PAIR_FUNCTIONS = {**CASES, "kl_contributions": kl_contributions}
HAVE_UNIT = [name for name in ROW_FUNCTIONS if name not in CASES or CASES[name].has_unit]

each_row_function = pytest.mark.parametrize("name", ROW_FUNCTIONS)
each_case = pytest.mark.parametrize("name", CASES)
each_pair_function = pytest.mark.parametrize(
    "function", PAIR_FUNCTIONS.values(), ids=PAIR_FUNCTIONS.keys()
)
each_dtype = pytest.mark.parametrize("dtype", BOUND)


def random_rows(n, k, seed=0, concentration=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration), size=n)


def random_pair(n, k, seed=0, concentration=1.0):
    rows = random_rows(2 * n, k, seed, concentration)
    return rows[:n], rows[n:]


def near(p, perturbation, seed=0):
    """Rows that differ from ``p`` by a relative perturbation."""
    q = p * (1 + perturbation * np.random.default_rng(seed).uniform(-1, 1, size=p.shape))
    return q / q.sum(axis=-1, keepdims=True)


def off_sums(p, q, seed=0):
    """Rows whose sums are not quite 1."""
    factors = 1 + np.random.default_rng(seed).uniform(-OFF_SUM, OFF_SUM, size=(2, len(p), 1))
    return p * factors[0], q * factors[1]


def n_rows(k, most=10):
    """Few rows where the oracle is slow."""
    return max(1, min(most, 1000 // k))


def check_accuracy(name, p, q, *, digits=DIGITS):
    """Compare with the oracle row by row, and look at type and sign."""
    function, oracle = ROW_FUNCTIONS[name]
    values = function(p, q)
    assert values.dtype == p.dtype
    assert (values >= 0).all()
    limits = np.finfo(p.dtype)
    # Results below the least normal number have few bits left; the last two may be off. And
    # a single logarithm is known to 1e-32, which only the largest of them shows.
    atol = max(4 * limits.smallest_subnormal, 1e-31 * name.endswith("order=inf)"))
    allowed = {"atol": atol, "largest": float(limits.max)}
    for value, p_row, q_row in zip(values, p, q, strict=True):
        exact = oracle(p_row, q_row, digits=digits)
        relative = error(value, exact, **allowed)
        assert relative <= BOUND[p.dtype.type], (
            f"{name} of rows of {len(p_row)} outcomes is {value}, not {nstr(exact, 17)}: "
            f"p={p_row.tolist()[:10]}, q={q_row.tolist()[:10]}"
        )


# Textbook figures


def test_fair_and_biased_coin():
    forward = kl_divergence(FAIR, BIASED, base=2)
    reverse = kl_divergence(BIASED, FAIR, base=2)
    bit = reference.entropy(FAIR)
    assert error(forward, reference.kl_divergence(FAIR, BIASED) / bit) <= 1e-15
    assert error(reverse, reference.kl_divergence(BIASED, FAIR) / bit) <= 1e-15
    assert round(forward, 3) == 0.737
    assert round(reverse, 3) == 0.531


def test_contributions_of_fair_and_biased_coin():
    contributions = kl_contributions(FAIR, BIASED, base=2)
    assert_array_equal(contributions.round(3), [-0.424, 1.161])
    assert contributions.sum() == pytest.approx(kl_divergence(FAIR, BIASED, base=2), rel=1e-15)


@pytest.mark.parametrize("base", [None, 2])
@pytest.mark.parametrize(("p", "q"), [(FAIR, BIASED), (BIASED, FAIR)])
def test_cross_entropy_is_entropy_plus_divergence(p, q, base):
    expected = entropy(p, base=base) + kl_divergence(p, q, base=base)
    assert cross_entropy(p, q, base=base) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("k", [1, 2, 3, 1000])
def test_entropy_of_certainty_is_zero(k):
    assert_array_equal(entropy(np.eye(k)), np.zeros(k))


def test_entropy_of_uniform_rows():
    assert entropy(FAIR) == pytest.approx(math.log(2), rel=1e-15)
    assert round(entropy(FAIR), 3) == 0.693
    for k in (2, 3, 10, 1000):
        assert entropy(np.full(k, 1 / k)) == pytest.approx(math.log(k), rel=2e-15)


@pytest.mark.parametrize(("probability", "bits"), [(0.9, 0.152), (0.5, 1.000)])
def test_cost_of_the_correct_token(probability, bits):
    n_tokens, correct = 50_000, 31_337
    truth = np.zeros(n_tokens)
    truth[correct] = 1.0
    model = np.full(n_tokens, (1 - probability) / (n_tokens - 1))
    model[correct] = probability
    cost = cross_entropy(truth, model, base=2)
    assert cost == pytest.approx(-math.log2(probability), rel=1e-12)
    assert round(cost, 3) == bits
    # The truth is certain, so all of the cost is divergence.
    assert kl_divergence(truth, model, base=2) == pytest.approx(cost, rel=1e-13)


def test_forward_covers_and_reverse_commits():
    x = np.linspace(-8.0, 8.0, 401)

    def bell(mean, sd):
        mean, sd = np.asarray(mean)[..., None], np.asarray(sd)[..., None]
        density = np.exp(-0.5 * ((x - mean) / sd) ** 2)
        return density / density.sum(axis=-1, keepdims=True)

    modes, width = (-2.5, 2.5), 0.6
    target = 0.55 * bell(modes[0], width) + 0.45 * bell(modes[1], width)
    means, sds = np.meshgrid(np.arange(-4.0, 4.01, 0.05), np.arange(0.3, 4.01, 0.05))
    students = bell(means, sds)

    covering = np.argmin(kl_divergence(target, students))
    mean = x @ target
    sd = np.sqrt((x - mean) ** 2 @ target)
    # In an exponential family forward KL is least where the moments match.
    assert means.flat[covering] == pytest.approx(mean, abs=0.05)
    assert sds.flat[covering] == pytest.approx(sd, abs=0.05)
    assert modes[0] + width < means.flat[covering] < modes[1] - width
    assert sds.flat[covering] > 4 * width

    committed = np.argmin(kl_divergence(students, target))
    assert means.flat[committed] == pytest.approx(modes[0], abs=0.1)
    assert sds.flat[committed] == pytest.approx(width, abs=0.1)


# Accuracy


# Around the lengths of vectors, of unrolled loops and of the blocks that a row is read in.
LENGTHS = [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 129]
LENGTHS += [255, 256, 257, 1000]

# Concentration 0.01 gives entries down to subnormal numbers, which few digits would forget.
CONCENTRATIONS = {0.01: DIGITS_OF_TINY, 1.0: DIGITS, 100.0: DIGITS}
each_concentration = pytest.mark.parametrize("concentration", CONCENTRATIONS)


@each_row_function
@each_dtype
@each_concentration
def test_accuracy_for_random_rows(name, concentration, dtype):
    digits = CONCENTRATIONS[concentration]
    for k in LENGTHS:
        p, q = random_pair(1 if k > 9 else 3, k, seed=k, concentration=concentration)
        p, q = p.astype(dtype), q.astype(dtype)
        check_accuracy(name, p, q, digits=digits)


@each_row_function
@each_dtype
@each_concentration
def test_accuracy_for_near_equal_rows(name, concentration, dtype):
    smallest = 1e-12 if dtype == np.float64 else 1e-6
    for k in (2, 3, 10, 100, 300):
        p = random_rows(n_rows(k, 2), k, seed=k, concentration=concentration)
        for perturbation in (1e-1, 1e-3, 1e-6, 1e-8, 1e-10, 1e-12):
            if perturbation >= smallest:
                p, q = p.astype(dtype), near(p, perturbation, seed=k).astype(dtype)
                # A row may differ from its neighbour by less than an outcome can.
                check_accuracy(name, p, q, digits=max(100, CONCENTRATIONS[concentration]))


@each_row_function
@each_dtype
def test_accuracy_for_rows_with_inexact_sums(name, dtype):
    for k in (2, 3, 10, 100, 257):
        p, q = off_sums(*random_pair(n_rows(k, 3), k, seed=k), seed=k)
        check_accuracy(name, p.astype(dtype), q.astype(dtype))


@each_row_function
@pytest.mark.parametrize("perturbation", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_accuracy_for_near_equal_rows_with_inexact_sums(name, perturbation):
    for k in (2, 3, 10, 100, 300):
        p = random_rows(20, k, seed=k)
        q = near(p, perturbation)
        # Few outcomes may share one factor, and are then nearer than the perturbation says.
        far = np.flatnonzero(abs(q / p - 1).max(axis=1) >= perturbation / 2)[: n_rows(k, 3)]
        p, q = p[far] * (1 + OFF_SUM), q[far] * (1 - OFF_SUM)
        check_accuracy(name, p, q)


def with_zeros(p, q, seed=0):
    """Rows with zeros: in p, in q, in both at different places, in both at the same."""
    rng = np.random.default_rng(seed)
    n, k = p.shape
    zeros = [rng.permuted(np.arange(n * k).reshape(n, k) % k < k // 2, axis=1) for _ in "pq"]
    i = np.arange(n)[:, None]
    p = np.where(zeros[0] & (i % 4 != 1), 0.0, p)
    q = np.where((zeros[1] & (i % 4 < 3) | zeros[0] & (i % 4 == 3)) & (i % 4 != 0), 0.0, q)
    return p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)


@each_row_function
@each_dtype
def test_accuracy_for_rows_with_zeros(name, dtype):
    for k in (2, 3, 7, 16, 17, 33, 256, 257, 1000):
        p, q = with_zeros(*random_pair(4, k, seed=k), seed=k)
        check_accuracy(name, p.astype(dtype), q.astype(dtype))


@each_row_function
@each_dtype
def test_accuracy_for_rows_with_tiny_entries(name, dtype):
    """Subnormal numbers, small normal ones and ordinary ones in all combinations."""
    least = float(np.finfo(dtype).smallest_subnormal)
    tiny = [least, 9 * least, 1e5 * least, 1e11 * least, 1e24 * least, 1e37 * least]
    a, b = np.repeat(tiny, len(tiny)), np.tile(tiny, len(tiny))
    zeros = np.zeros(len(tiny))
    a, b = np.concatenate([a, tiny, zeros]), np.concatenate([b, zeros, tiny])
    for k in (3, 300):
        p, q = random_pair(len(a), k, seed=k)
        p[:, 1], q[:, 1] = a, b
        p[::2], q[::2] = 0.0, 0.0  # nothing but the tiny entries tells these apart
        p[::2, 0], q[::2, 0], p[::2, 1], q[::2, 1] = 1.0, 1.0, a[::2], b[::2]
        p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
        rows = slice(None) if k == 3 else slice(None, None, 13)
        p, q = p[rows].astype(dtype), q[rows].astype(dtype)
        check_accuracy(name, p, q, digits=DIGITS_OF_TINY)


@each_row_function
@each_dtype
@pytest.mark.parametrize("k", [2, 100])
def test_accuracy_for_entries_of_any_magnitude(name, k, dtype):
    """From 1 to the least number, in steps finer than what may be rounded away anywhere."""
    exponents = np.arange(0.5, 324, 3) if dtype == np.float64 else np.arange(0.5, 45, 0.5)
    tiny = 10.0 ** -exponents[:: 1 if k == 2 else 16]
    common = np.random.default_rng(0).dirichlet(np.ones(k - 1))
    for a, b in ((0.5, tiny), (tiny, 0.5), (tiny, 3 * tiny), (0.0, tiny), (tiny, 0.0)):
        p, q = (
            np.column_stack([np.outer(1 - x, common), x])
            for x in (np.broadcast_to(x, tiny.shape) for x in (a, b))
        )
        check_accuracy(name, p.astype(dtype), q.astype(dtype), digits=DIGITS_OF_TINY)


AWKWARD_PAIRS = {
    "certain and fair": ([1.0, 0.0], [0.5, 0.5]),
    "zeros of p": ([0.0, 0.25, 0.0, 0.75], [0.1, 0.2, 0.3, 0.4]),
    "common zero": ([0.0, 0.3, 0.7], [0.0, 0.6, 0.4]),
    "zero of q": ([0.2, 0.3, 0.5], [0.0, 0.6, 0.4]),
    "disjoint": ([1.0, 0.0], [0.0, 1.0]),
    "nearly certain": ([1 - 1e-10, 1e-10], [1 - 3e-10, 3e-10]),
    "1e-300 in p": ([1.0, 1e-300], [0.5, 0.5]),
    "1e-300 in q": ([0.5, 0.5], [1.0, 1e-300]),
    "1e-300 in both": ([1.0, 1e-300], [1.0, 3e-300]),
    "1e-300 against zero": ([1.0, 0.0], [1.0, 1e-300]),
    "zero against 1e-300": ([1.0, 1e-300], [1.0, 0.0]),
    "least double in p": ([1.0, 5e-324], [0.5, 0.5]),
    "least double in q": ([0.5, 0.5], [1.0, 5e-324]),
    "subnormals in p": ([0.5, 3e-310, 0.5, 7e-320], [0.25, 0.25, 0.25, 0.25]),
    "subnormals in q": ([0.25, 0.25, 0.25, 0.25], [0.5, 3e-310, 0.5, 7e-320]),
    "subnormals in both": ([1.0, 3e-310, 5e-324], [1.0, 7e-310, 1e-323]),
    "least normal": ([1.0, 2.3e-308], [0.7, 0.3]),
}


@each_row_function
@each_dtype
def test_accuracy_for_zeros_and_tiny_entries(name, dtype):
    for p, q in AWKWARD_PAIRS.values():
        p, q = np.array([p], dtype), np.array([q], dtype)
        for first, second in ((p, q), (q, p)):
            check_accuracy(name, first, second, digits=DIGITS_OF_TINY)


@pytest.mark.parametrize(
    "name",
    [
        "kl_divergence",
        "cross_entropy",
        "hellinger_distance",
        "total_variation_distance",
        "renyi_divergence(order=2)",
        "alpha_divergence(alpha=0.5)",
    ],
)
def test_accuracy_for_a_vocabulary(name):
    p, q = random_pair(1, 50_000)
    check_accuracy(name, p, q)
    check_accuracy(name, p.astype(np.float32), q.astype(np.float32))


@pytest.mark.parametrize(
    "name",
    ["kl_divergence", "jensen_shannon_distance", "total_variation_distance"],
)
def test_accuracy_for_near_equal_rows_over_a_vocabulary(name):
    p = random_rows(1, 10_000)
    check_accuracy(name, p, near(p, 1e-9))


@pytest.mark.parametrize("k", LENGTHS)
def test_last_outcome_is_seen(k):
    p, q = random_pair(1, k, seed=k)
    p, q = p[0], q[0]
    q[0] += q[-1]
    q[-1] = 0.0
    assert kl_divergence(p, q) == math.inf
    assert cross_entropy(p, q) == math.inf
    assert kl_contributions(p, q)[-1] == math.inf
    q[-1] = np.nan
    with pytest.raises(ValueError, match="q contains NaN"):
        kl_divergence(p, q)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 127, 128, 129, 1000])
@pytest.mark.parametrize("perturbation", [None, 1e-1, 1e-6, 1e-12])
@pytest.mark.parametrize("off_sum", [0.0, OFF_SUM])
def test_accuracy_of_contributions(k, perturbation, off_sum):
    p, q = random_pair(n_rows(k), k, seed=k)
    if perturbation is not None:
        q = near(p, perturbation)
    rng = np.random.default_rng(k)
    p *= 1 + rng.uniform(-off_sum, off_sum, size=(len(p), 1))
    q *= 1 + rng.uniform(-off_sum, off_sum, size=(len(q), 1))
    for values, p_row, q_row in zip(kl_contributions(p, q), p, q, strict=True):
        exact = reference.kl_contributions(p_row, q_row)
        for value, term, x in zip(values, exact, p_row, strict=True):
            assert error(value, term, atol=1e-30 * x) <= 1e-13


@pytest.mark.parametrize("pair", AWKWARD_PAIRS)
def test_contributions_of_zeros_and_tiny_entries(pair):
    p, q = AWKWARD_PAIRS[pair]
    for first, second in ((p, q), (q, p)):
        exact = reference.kl_contributions(first, second, digits=DIGITS_OF_TINY)
        values = kl_contributions(first, second)
        for value, term, x in zip(values, exact, first, strict=True):
            assert error(value, term, atol=max(1e-30 * x, 5e-324)) <= 1e-13


# Zeros and equal rows


@each_pair_function
def test_common_zero_adds_nothing(function):
    p, q = random_pair(5, 4)
    widened = [np.insert(x, 2, 0.0, axis=1) for x in (p, q)]
    if function is kl_contributions:
        expected = np.insert(function(p, q), 2, 0.0, axis=1)
    else:
        expected = function(p, q)
    assert_allclose(function(*widened), expected, rtol=1e-14)


def test_zero_of_p_adds_nothing_to_the_divergence():
    assert kl_divergence([1.0, 0.0], FAIR) == pytest.approx(math.log(2), rel=1e-15)
    assert_array_equal(kl_contributions([1.0, 0.0], FAIR)[1], 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uncovered_outcome_is_infinite(dtype):
    p = np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0.5, 0.5]], dtype)
    q = np.array([[0.0, 0.6, 0.4], [0, 1, 0], [0, 0.5, 0.5]], dtype)
    assert_array_equal(np.isinf(kl_divergence(p, q)), [True, True, False])
    assert_array_equal(np.isinf(cross_entropy(p, q)), [True, True, False])
    assert_array_equal(np.isposinf(kl_contributions(p, q)), (p > 0) & (q == 0))
    assert not np.isnan(kl_contributions(p, q)).any()


def is_zero_for_equal_rows(name):
    return CASES[name].exact(FAIR, FAIR) < 1e-20


@each_case
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 10, 129, 257, 1000])
def test_equal_rows_give_exactly_zero(name, k, dtype):
    p = random_rows(20, k, seed=k, concentration=0.3)
    p[:, ::3] *= k == 1 or np.random.default_rng(0).integers(0, 2, size=p[:, ::3].shape)
    p = p[p.sum(axis=1) > 0]
    p = (p / p.sum(axis=1, keepdims=True) * (1 + OFF_SUM / 2)).astype(dtype)
    if is_zero_for_equal_rows(name):
        assert_array_equal(CASES[name](p, p.copy()), np.zeros(len(p)))
    assert_array_equal(kl_contributions(p, p.copy()), np.zeros_like(p))


@each_case
def test_rows_equal_but_for_their_sum(name):
    """The exact divergence is zero; all that is left is rounding, to the order it enters."""
    p = np.array([3, 5, 8, 16]) / 32
    q = p * (1 + 2.0**-12)
    exact = [CASES[name].exact(FAIR, [0.5 - x, 0.5 + x]) for x in (1e-3, 1e-4)]
    if is_zero_for_equal_rows(name):
        # Ten where it grows as the difference, a hundred where it does as the square.
        growth = float(exact[0] / exact[1]) if exact[1] else math.inf
        bound = (0.9 * growth) ** -15
        assert 0 <= CASES[name](p, q) <= bound
        assert 0 <= CASES[name](q, p) <= bound


@each_case
def test_rows_that_differ_in_one_bit(name):
    for k in (2, 8, 300):
        p = np.full((1, k), 1 / k)
        q = p.copy()
        q[0, -1] = np.nextafter(q[0, -1], 1)
        check_accuracy(name, p, q, digits=100)


# Jensen-Shannon


def test_disjoint_rows_reach_the_bound():
    p, q = np.eye(2)
    assert jensen_shannon_divergence(p, q) == pytest.approx(math.log(2), rel=1e-15)
    assert jensen_shannon_divergence(p, q, base=2) == 1.0
    bound = entropy([0.3, 0.7])
    assert jensen_shannon_030(p, q) == pytest.approx(bound, rel=1e-15)


def test_weight_swaps_with_the_arguments():
    p, q = random_pair(20, 5)
    swapped = jensen_shannon_divergence(q, p, weight=0.7)
    assert_allclose(jensen_shannon_divergence(p, q, weight=0.3), swapped, rtol=1e-14)


@pytest.mark.parametrize("weight", [0, 1, 0.0, 1.0])
@pytest.mark.parametrize(("p", "q"), [(FAIR, BIASED), ([1.0, 0.0], [0.0, 1.0])])
def test_extreme_weight_leaves_one_row(p, q, weight):
    assert jensen_shannon_divergence(p, q, weight=weight) == 0.0


# Identities


@pytest.fixture(params=[3, 17, 100, 300])
def pair(request):
    return random_pair(20, request.param, seed=request.param)


def test_jeffreys_is_forward_and_reverse(pair):
    p, q = pair
    expected = kl_divergence(p, q) + kl_divergence(q, p)
    assert_allclose(jeffreys_divergence(p, q), expected, rtol=1e-14)


def test_renyi_of_order_one_half_is_twice_bhattacharyya(pair):
    expected = 2 * bhattacharyya_distance(*pair)
    assert_allclose(renyi_divergence(*pair, order=0.5), expected, rtol=1e-15)


def test_renyi_is_a_logarithm_of_alpha(pair):
    for order in (0.3, 0.5, 2, 5):
        alpha = alpha_divergence(*pair, alpha=order)
        expected = np.log1p(order * (order - 1) * alpha) / (order - 1)
        assert_allclose(renyi_divergence(*pair, order=order), expected, rtol=1e-13)


def test_alpha_2_is_half_of_chi2(pair):
    assert_allclose(alpha_divergence(*pair, alpha=2), chi2_divergence(*pair) / 2, rtol=1e-14)


def test_alpha_one_half_is_four_times_the_square_of_hellinger(pair):
    expected = 4 * hellinger_distance(*pair) ** 2
    assert_allclose(alpha_divergence(*pair, alpha=0.5), expected, rtol=1e-14)


def test_alpha_swaps_with_the_arguments(pair):
    p, q = pair
    for alpha in (-1, 0, 0.25, 0.5, 2):
        expected = alpha_divergence(q, p, alpha=1 - alpha)
        assert_allclose(alpha_divergence(p, q, alpha=alpha), expected, rtol=1e-14)


def test_bhattacharyya_is_a_logarithm_of_hellinger(pair):
    expected = -np.log1p(-(hellinger_distance(*pair) ** 2))
    assert_allclose(bhattacharyya_distance(*pair), expected, rtol=1e-14)


def test_total_variation_is_the_largest_difference_of_an_event(pair):
    p, q = pair
    event = np.where(p > q, p - q, 0).sum(axis=1)
    assert_allclose(total_variation_distance(p, q), event, rtol=1e-13)


def test_jensen_shannon_distance_is_the_root_of_the_divergence(pair):
    expected = jensen_shannon_divergence(*pair)
    assert_allclose(jensen_shannon_distance(*pair) ** 2, expected, rtol=1e-15)


@pytest.mark.parametrize("base", [None, 2])
def test_jensen_shannon_distance_is_that_of_scipy(pair, base):
    expected = jensenshannon(*pair, base=base, axis=1)
    assert_allclose(jensen_shannon_distance(*pair, base=base), expected, rtol=1e-12)


def test_renyi_grows_with_the_order(pair):
    orders = [0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1, 1 + 1e-9, 2, 5, 100, math.inf]
    for p, q in (pair, with_zeros(*pair)):
        values = np.array([renyi_divergence(p, q, order=order) for order in orders])
        assert (values[:-1] <= values[1:] * (1 + 1e-13)).all()


def test_renyi_of_rows_that_are_equal_but_for_rounding():
    """At huge orders the rounding of p / q alone makes the moment 0 or infinite."""
    for p, q in (
        ([0, 1.0002126885671312], [0, 0.999949650196826]),
        ([0.3, 0.7], [0.30003, 0.70007]),
    ):
        assert 0 <= renyi_divergence(p, q, order=1e100) < 1e-15
        assert 0 <= renyi_divergence(q, p, order=1e100) < 1e-15


def test_orders_of_few_outcomes_by_hand():
    p, q = [0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.0, 0.5]
    assert renyi_divergence(p, q, order=0, base=2) == pytest.approx(1.0, rel=1e-15)
    assert renyi_divergence(p, q, order=0.5, base=2) == pytest.approx(
        -2 * math.log2(math.sqrt(1 / 8) + 1 / 4), rel=1e-14
    )
    for order in (1, 2, math.inf):
        assert renyi_divergence(p, q, order=order) == math.inf
    p, q = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    assert renyi_divergence(p, q, order=math.inf, base=2) == pytest.approx(1.0, rel=1e-15)
    assert renyi_divergence(p, q, order=2, base=2) == pytest.approx(
        math.log2(1 + 1 / 4 + 1 / 8), rel=1e-14
    )
    assert chi2_divergence(p, q) == pytest.approx(3 / 8, rel=1e-15)
    assert total_variation_distance(p, q) == 0.25


SYMMETRIC = {
    "jeffreys": jeffreys_divergence,
    "jensen_shannon_divergence": jensen_shannon_divergence,
    "jensen_shannon_distance": jensen_shannon_distance,
    "hellinger": hellinger_distance,
    "total_variation": total_variation_distance,
    "bhattacharyya": bhattacharyya_distance,
    "renyi": case("renyi_divergence", order=0.5),
    "alpha": case("alpha_divergence", alpha=0.5),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetry(name, pair):
    for p, q in (pair, with_zeros(*pair)):
        assert_allclose(SYMMETRIC[name](p, q), SYMMETRIC[name](q, p), rtol=SYMMETRY)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetry_of_near_equal_rows(name, pair):
    p, _ = pair
    q = near(p, 1e-9)
    assert_allclose(SYMMETRIC[name](p, q), SYMMETRIC[name](q, p), rtol=1e-13)


@pytest.mark.parametrize("name", ["hellinger", "total_variation", "jensen_shannon_distance"])
def test_triangle_inequality(name, pair):
    p, q = pair
    r = np.roll(p, 1, axis=0)
    distance = SYMMETRIC[name]
    assert (distance(p, q) <= (distance(p, r) + distance(r, q)) * (1 + 1e-14)).all()


def test_bounds_of_distances_of_disjoint_rows():
    p, q = np.eye(2)
    assert hellinger_distance(p, q) == 1.0
    assert total_variation_distance(p, q) == 1.0
    assert jensen_shannon_distance(p, q, base=2) == 1.0
    assert bhattacharyya_distance(p, q) == math.inf
    assert jensen_shannon_distance(p, q) == pytest.approx(math.sqrt(math.log(2)), rel=1e-15)


# Units


@pytest.mark.parametrize("name", HAVE_UNIT)
def test_base(name):
    function, reference = ROW_FUNCTIONS[name]
    p, q = random_pair(3, 5)
    for base in (2, 10, 1.5, np.e, np.float32(2)):
        exact = [reference(*rows, base=float(base)) for rows in zip(p, q, strict=True)]
        for value, expected in zip(function(p, q, base=base), exact, strict=True):
            assert error(value, expected) <= 1e-13


@each_case
def test_what_has_no_unit_takes_no_base(name):
    if name not in HAVE_UNIT:
        with pytest.raises(TypeError, match="base"):
            CASES[name](FAIR, BIASED, base=2)


def test_base_of_contributions():
    p, q = random_pair(10, 5)
    expected = kl_contributions(p, q) / math.log(2)
    assert_allclose(kl_contributions(p, q, base=2), expected, rtol=1e-15)


# Types, shapes and memory layouts


@pytest.mark.parametrize(
    ("p_dtype", "q_dtype", "expected"),
    [
        (np.float64, np.float64, np.float64),
        (np.float32, np.float32, np.float32),
        (np.float32, np.float64, np.float64),
        (np.float16, np.float16, np.float32),
        (np.float16, np.float32, np.float32),
        (np.longdouble, np.longdouble, np.float64),
        (np.longdouble, np.float32, np.float64),
        (np.int64, np.float64, np.float64),
        (np.int8, np.float32, np.float64),
        (np.uint8, np.float64, np.float64),
        (np.bool_, np.float32, np.float64),
        (object, np.float64, np.float64),
    ],
)
@each_pair_function
def test_dtype_of_result(function, p_dtype, q_dtype, expected):
    # Exact in every dtype.
    p = np.array([[1, 0, 0], [0, 0, 1]])
    q = np.array([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]])
    result = function(p.astype(p_dtype), q.astype(q_dtype))
    assert result.dtype == expected
    rtol = 1e-6 if expected == np.float32 else 1e-14
    assert_allclose(result, function(p.astype(np.float64), q), rtol=rtol)


def test_lists_and_tuples():
    p, q = [[0.5, 0.5], [1, 0]], ((0.9, 0.1), (0.5, 0.5))
    assert_array_equal(kl_divergence(p, q), kl_divergence(np.array(p), np.array(q)))


@each_row_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_give_a_python_float(name, dtype):
    function, _ = ROW_FUNCTIONS[name]
    assert type(function(FAIR.astype(dtype), BIASED.astype(dtype))) is float
    assert type(function([0.5, 0.5], [0.9, 0.1])) is float


def strided(x):
    wide = np.full((*x.shape[:-1], 3 * x.shape[-1]), np.nan, x.dtype)
    wide[..., ::3] = x
    return wide[..., ::3]


def reversed_in_memory(x):
    return x[..., ::-1, ::-1].copy()[..., ::-1, ::-1]


def rows_apart(x):
    tall = np.full((2 * x.shape[0], *x.shape[1:]), np.nan, x.dtype)
    tall[::2] = x
    return tall[::2]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x):
    buffer = bytearray(1) + x.tobytes()
    x = np.frombuffer(buffer, x.dtype, offset=1).reshape(x.shape)
    assert not x.flags.aligned
    return x


def foreign_byte_order(x):
    return x.astype(x.dtype.newbyteorder())


LAYOUTS = [
    np.asfortranarray,
    strided,
    reversed_in_memory,
    rows_apart,
    read_only,
    unaligned,
    foreign_byte_order,
    lambda x: read_only(strided(x)),
    lambda x: unaligned(x)[:, ::-1][:, ::-1],
    np.ndarray.tolist,
]


@each_pair_function
@pytest.mark.parametrize("k", [3, 17, 130, 300])
def test_layout_does_not_matter(function, k):
    p, q = random_pair(37, k)
    p[::5, 0] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    expected = function(p, q)
    for layout in LAYOUTS:
        assert_array_equal(function(layout(p), layout(q)), expected)
        assert_array_equal(function(layout(p), q), expected)
        assert_array_equal(function(p, layout(q)), expected)


@each_pair_function
@pytest.mark.parametrize("k", [17, 300])
def test_layout_does_not_matter_for_float32(function, k):
    p, q = (x.astype(np.float32) for x in random_pair(37, k))
    expected = function(p, q)
    assert expected.dtype == np.float32
    for layout in LAYOUTS[:-1]:
        assert_array_equal(function(layout(p), layout(q)), expected)


@each_pair_function
def test_memory_map(function, tmp_path):
    p, q = random_pair(6, 130)
    np.save(tmp_path / "q.npy", q)
    mapped = np.load(tmp_path / "q.npy", mmap_mode="r")
    assert_array_equal(function(p, mapped), function(p, q))


@each_pair_function
def test_arguments_are_left_alone(function):
    p, q = random_pair(6, 130)
    p_before, q_before = p.copy(), q.copy()
    function(p, q)
    assert_array_equal(p, p_before)
    assert_array_equal(q, q_before)


@each_pair_function
@pytest.mark.parametrize(
    ("p_shape", "q_shape"),
    [
        ((), (6,)),
        ((6,), ()),
        ((1,), (6,)),
        ((4, 1), (6,)),
        ((2, 3), (2, 3)),
        ((2, 1, 3), (5, 1)),
    ],
)
def test_leading_shapes_broadcast(function, p_shape, q_shape):
    k = 5
    p = random_rows(math.prod(p_shape), k, seed=1).reshape(*p_shape, k)
    q = random_rows(math.prod(q_shape), k, seed=2).reshape(*q_shape, k)
    result = function(p, q)
    p, q = np.broadcast_arrays(p, q)
    shape = p.shape[:-1]
    expected = [function(p[i], q[i]) for i in np.ndindex(shape)]
    assert_array_equal(result, np.reshape(expected, result.shape))
    assert result.shape == (p.shape if function is kl_contributions else shape)


@each_pair_function
@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_axis(function, axis):
    p, q = (x.reshape(3, 4, 5) for x in random_pair(12, 5))
    result = function(np.moveaxis(p, -1, axis), np.moveaxis(q, -1, axis), axis=axis)
    if function is kl_contributions:
        result = np.moveaxis(result, axis, -1)
    assert_array_equal(result, function(p, q))


def test_axis_of_entropy():
    p = random_rows(6, 5)
    assert_array_equal(entropy(p.T, axis=0), entropy(p))


@each_pair_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_empty_batch(function, dtype, shape):
    empty = np.empty(shape, dtype)
    result = function(empty, empty)
    assert result.shape == (shape if function is kl_contributions else shape[:-1])
    assert result.dtype == dtype


@each_pair_function
def test_single_outcome(function):
    assert_array_equal(function(np.ones((4, 1)), np.ones((4, 1))).ravel(), np.zeros(4))


# Batches and threads


def rows_of_many_kinds(n, k, dtype):
    """Ordinary and near-equal rows, with exact and inexact sums, zeros and tiny entries."""
    p, q = random_pair(n, k, seed=k)
    p[1::7], q[1::7] = (x[1::7] for x in with_zeros(p, q))
    q[2::7] = near(p[2::7], 1e-9)
    p[3::7], q[3::7] = off_sums(p[3::7], q[3::7])
    p[4::7, -1], q[5::7, -1] = 1e-300, 1e-310
    p, q = (
        x / np.where(abs(x.sum(axis=1) - 1) < OFF_SUM, 1, x.sum(axis=1))[:, None]
        for x in (p, q)
    )
    q[6::7] = p[6::7]
    return p.astype(dtype), q.astype(dtype)


@each_row_function
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 5, 16, 17, 100, 255, 256, 257, 1000])
def test_result_does_not_depend_on_the_batch(name, k, dtype):
    function, _ = ROW_FUNCTIONS[name]
    p, q = rows_of_many_kinds(70, k, dtype)
    batch = function(p, q)
    assert_array_equal([function(*rows) for rows in zip(p, q, strict=True)], batch)
    assert_array_equal([function(p[[i]], q[[i]])[0] for i in range(len(p))], batch)
    order = np.random.default_rng(0).permutation(len(p))
    assert_array_equal(function(p[order], q[order]), batch[order])
    for start, stop in ((1, 30), (13, 14), (33, 70)):
        assert_array_equal(function(p[start:stop], q[start:stop]), batch[start:stop])


@each_pair_function
@each_dtype
@pytest.mark.parametrize("k", [17, 300])
def test_result_of_a_broadcast_row(function, k, dtype):
    p, q = rows_of_many_kinds(70, k, dtype)
    for i in (0, 1, 3):
        copies = np.repeat(p[[i]], len(q), axis=0)
        assert_array_equal(function(p[i], q), function(copies, q))
        assert_array_equal(function(np.broadcast_to(p[i], q.shape), q), function(copies, q))
        assert_array_equal(function(q, p[i]), function(q, copies))


@each_pair_function
@pytest.mark.parametrize("shape", [(1000, 100), (7, 40_000)])
def test_result_does_not_depend_on_threads(function, shape):
    p, q = random_pair(*shape)
    with threadpool_limits(limits=1):
        expected = function(p, q)
    for limit in (2, 3):
        with threadpool_limits(limits=limit):
            assert_array_equal(function(p, q), expected)


# Properties


@st.composite
def distributions(draw, n, max_k=40):
    """``n`` rows over the same outcomes, of any magnitudes, zeros among them."""
    k = draw(st.integers(1, max_k))
    entries = st.floats(0, 1) | st.floats(-300, 0).map(lambda x: 10.0**x)
    rows = stnp.arrays(np.float64, k, elements=entries).filter(lambda x: x.sum() > 0)
    return [row / row.sum() for row in (draw(rows) for _ in range(n))]


@st.composite
def counts(draw, n, max_k=10):
    """``n`` rows of integers, whose proportions can be compared exactly."""
    k = draw(st.integers(1, max_k))
    row = st.lists(st.integers(0, 20), min_size=k, max_size=k).filter(any)
    return [np.array(draw(row)) for _ in range(n)]


each_hundred = settings(deadline=None, max_examples=100)


@each_hundred
@given(distributions(2))
def test_divergences_are_not_negative(rows):
    for name, (function, _) in ROW_FUNCTIONS.items():
        for dtype in BOUND:
            assert function(*(x.astype(dtype) for x in rows)) >= 0, name


@each_hundred
@given(counts(2))
def test_divergences_are_zero_only_for_equal_rows(rows):
    p, q = rows
    equal = np.array_equal(p * q.sum(), q * p.sum())
    p, q = p / p.sum(), q / q.sum()
    assert (kl_divergence(p, q) == 0) == equal
    assert (jensen_shannon_divergence(p, q) == 0) == equal


@each_hundred
@given(distributions(2), st.randoms(use_true_random=False))
def test_order_of_outcomes_does_not_matter(rows, random):
    p, q = rows
    order = list(range(len(p)))
    random.shuffle(order)
    for function in (kl_divergence, jensen_shannon_divergence, cross_entropy):
        result = function(p[order], q[order])
        assert result == pytest.approx(function(p, q), rel=1e-14, abs=1e-30)
    assert entropy(p[order]) == pytest.approx(entropy(p), rel=1e-14)


@each_hundred
@given(distributions(2))
def test_jensen_shannon_is_symmetric_and_bounded(rows):
    p, q = rows
    divergence = jensen_shannon_divergence(p, q)
    assert divergence == pytest.approx(jensen_shannon_divergence(q, p), rel=1e-14, abs=1e-30)
    assert divergence <= math.log(2) * (1 + 1e-14)


@each_hundred
@given(counts(2))
def test_jensen_shannon_is_the_mean_divergence_to_the_middle(rows):
    p, q = (x / x.sum() for x in rows)
    middle = 0.5 * (p + q)
    expected = 0.5 * (kl_divergence(p, middle) + kl_divergence(q, middle))
    # The rounding of the middle is one bit of an entry, and enters squared.
    assert jensen_shannon_divergence(p, q) == pytest.approx(expected, rel=1e-12, abs=1e-30)


@each_hundred
@given(distributions(2))
def test_cross_entropy_splits_into_entropy_and_divergence(rows):
    p, q = rows
    expected = entropy(p) + kl_divergence(p, q)
    assert cross_entropy(p, q) == pytest.approx(expected, rel=1e-13)


@each_hundred
@given(distributions(2))
def test_contributions_sum_to_the_divergence(rows):
    p, q = rows
    contributions = kl_contributions(p, q)
    if np.isinf(contributions).any():
        total, size = math.inf, 0.0
    else:
        total, size = math.fsum(contributions), math.fsum(abs(contributions))
    assert kl_divergence(p, q) == pytest.approx(total, rel=1e-13, abs=1e-14 * size + 1e-16)


@each_hundred
@given(distributions(1))
def test_entropy_is_bounded(rows):
    (p,) = rows
    assert entropy(p) <= math.log(len(p)) * (1 + 1e-14)


@each_hundred
@given(distributions(2), st.integers(1, 39))
def test_merging_outcomes_loses_information(rows, n_merged):
    """The data-processing inequality."""
    p, q = rows
    merged = [np.append(x[n_merged:], x[:n_merged].sum()) for x in (p, q)]
    for function in (kl_divergence, jensen_shannon_divergence):
        # The merged sums are rounded, and a divergence is the square of a distance.
        distance, before = (math.sqrt(function(*rows)) for rows in (merged, (p, q)))
        assert distance <= before * (1 + 1e-13) + 1e-14


# Bad input


def matrix(**changes):
    """Eight valid rows; ``row_3=...`` replaces a row."""
    rows = np.tile([0.2, 0.3, 0.5], (8, 1))
    for name, row in changes.items():
        rows[int(name.removeprefix("row_"))] = row
    return rows


BAD_ROWS = {
    "NaN": ([0.2, np.nan, 0.8], "contains NaN; drop or fill such rows"),
    "inf": ([0.2, np.inf, 0.8], "contains an infinite value; probabilities lie between 0"),
    "-inf": ([0.2, -np.inf, 0.8], "contains an infinite value; probabilities lie between 0"),
    "negative": ([0.7, -0.2, 0.5], "has the negative entry -0.2 at position 1; .* are >= 0"),
    "too much": ([0.3, 0.3, 0.5], r"sums to 1.1 instead of 1; .* divide the row by its sum"),
    "too little": ([0.2, 0.2995, 0.5], r"sums to 0.9995 instead of 1; .* divide the row"),
    "counts": ([2.0, 3.0, 5.0], r"sums to 10 instead of 1; .* if it holds counts"),
    "zeros": ([0.0, 0.0, 0.0], r"sums to 0 instead of 1; "),
    "huge": ([1e308, 1e308, 1e308], r"sums to inf instead of 1; "),
}


@each_pair_function
@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_named(function, problem):
    row, message = BAD_ROWS[problem]
    good = matrix()
    with pytest.raises(ValueError, match=rf"^p\[3\] {message}"):
        function(matrix(row_3=row, row_5=row), good)
    with pytest.raises(ValueError, match=rf"^q\[3\] {message}"):
        function(good, matrix(row_3=row, row_5=row))
    with pytest.raises(ValueError, match=rf"^q {message}"):
        function(good, row)
    with pytest.raises(ValueError, match=rf"^p {message}"):
        function(row, good[0])
    with pytest.raises(ValueError, match=rf"^p\[3\] {message}"):
        entropy(matrix(row_3=row))


@each_pair_function
def test_first_bad_row_is_named(function):
    bad = [0.3, 0.3, 0.5]
    with pytest.raises(ValueError, match=r"^q\[2\] sums"):
        function(matrix(row_3=bad), matrix(row_2=bad))


@each_pair_function
def test_bad_row_of_a_batch_is_named_by_all_indices(function):
    good = matrix().reshape(2, 4, 3)
    bad = matrix(row_6=[0.3, 0.3, 0.5]).reshape(2, 4, 3)
    with pytest.raises(ValueError, match=r"^p\[1, 2\] sums to 1.1"):
        function(bad, good)
    with pytest.raises(ValueError, match=r"^q\[1, 2\] sums to 1.1"):
        function(good, bad)


@each_pair_function
def test_bad_row_of_a_broadcast_argument_is_named_as_it_was_passed(function):
    good = matrix().reshape(2, 4, 3)
    with pytest.raises(ValueError, match=r"^q\[2\] sums"):
        function(good, matrix(row_2=[0.3, 0.3, 0.5])[:4])
    with pytest.raises(ValueError, match=r"^q\[1, 0\] sums"):
        function(good, np.array([[[0.2, 0.3, 0.5]], [[0.3, 0.3, 0.5]]]))


@each_pair_function
def test_bad_row_far_into_a_large_batch(function):
    p, q = random_pair(5000, 20)
    q[4321, 19] += 0.01
    with pytest.raises(ValueError, match=r"^q\[4321\] sums to 1.01 "):
        function(p, q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_pair_function
def test_sum_tolerance(function, dtype):
    row = np.array([0.25, 0.25, 0.5], dtype)
    for factor in (1 - 3.4e-4, 1 + 3.4e-4):
        function(row * dtype(factor), row)
        function(row, row * dtype(factor))
    for factor in (1 - 3.6e-4, 1 + 3.6e-4):
        with pytest.raises(ValueError, match=r"^p sums to"):
            function(row * dtype(factor), row)
        with pytest.raises(ValueError, match=r"^q sums to"):
            function(row, row * dtype(factor))


@each_pair_function
def test_numbers_of_outcomes_must_agree(function):
    with pytest.raises(ValueError, match=r"number of outcomes: p has 2, q has 3"):
        function(FAIR, [0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match=r"number of outcomes: p has 1, q has 2"):
        function([[1.0]], [FAIR])


@each_pair_function
def test_leading_shapes_must_broadcast(function):
    with pytest.raises(ValueError, match=r"do not broadcast: p \(2,\) and q \(3,\)"):
        function([FAIR] * 2, [FAIR] * 3)


@each_pair_function
@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_outcomes(function, shape):
    with pytest.raises(ValueError, match=r"^p is empty: it has no outcomes"):
        function(np.empty(shape), np.empty(shape))


@each_pair_function
def test_single_number(function):
    with pytest.raises(ValueError, match=r"^p is a single number; pass a vector"):
        function(1.0, [1.0])
    with pytest.raises(ValueError, match=r"^q is a single number; pass a vector"):
        function([1.0], 1.0)


@each_pair_function
@pytest.mark.parametrize("axis", [2, -3])
def test_axis_out_of_range(function, axis):
    with pytest.raises(ValueError, match=rf"axis={axis} is out of range for p .*\(8, 3\)"):
        function(matrix(), matrix(), axis=axis)


@each_pair_function
@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"],
        np.array([0.5 + 0j, 0.5]),
        np.array([0.5, "0.5"], dtype=object),
        np.array([1, 2], dtype="datetime64[s]"),
    ],
)
def test_not_real_numbers(function, values):
    with pytest.raises(TypeError, match=r"^p must hold real numbers"):
        function(values, FAIR)
    with pytest.raises(TypeError, match=r"^q must hold real numbers"):
        function(FAIR, values)


@each_pair_function
def test_none_is_a_missing_value(function):
    with pytest.raises(ValueError, match=r"^q contains NaN"):
        function(FAIR, [None, 0.5])


@each_pair_function
def test_sparse_matrix(function):
    with pytest.raises(TypeError, match=r"^q is a sparse matrix; .* q\.toarray\(\)"):
        function(matrix(), csr_array(matrix()))


@pytest.mark.parametrize("name", HAVE_UNIT)
@pytest.mark.parametrize("base", [1, 1.0, 0, -2, 0.5, "2", np.nan, np.inf, 2j, [2]])
def test_bad_base(name, base):
    function, _ = ROW_FUNCTIONS[name]
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        function(FAIR, BIASED, base=base)
    with pytest.raises(ValueError, match=r"^base must be None"):
        kl_contributions(FAIR, BIASED, base=base)


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan, np.inf, -np.inf])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match=r"^weight must be a number from 0 to 1; got"):
        jensen_shannon_divergence(FAIR, BIASED, weight=weight)


@pytest.mark.parametrize("order", [-1, np.nan, -np.inf, "2", None, np.True_])
def test_bad_order(order):
    with pytest.raises(
        ValueError, match=r"^order must be a number >= 0, at most 1e300, or np.inf; got"
    ):
        renyi_divergence(FAIR, BIASED, order=order)


@pytest.mark.parametrize("alpha", [np.nan, np.inf, -np.inf, "2", None, 1j])
def test_bad_alpha(alpha):
    with pytest.raises(
        ValueError, match=r"^alpha must be a finite number within 1e300 of 0; got"
    ):
        alpha_divergence(FAIR, BIASED, alpha=alpha)


@pytest.mark.parametrize("function", [renyi_divergence, alpha_divergence])
def test_parameter_without_a_default_is_required(function):
    with pytest.raises(TypeError, match="required keyword-only argument"):
        function(FAIR, BIASED)


# Found in review


@pytest.mark.parametrize("alpha", [-1e-310, 1e-310, -5e-324])
def test_alpha_whose_inverse_overflows_is_zero(alpha):
    assert alpha_divergence(FAIR, FAIR, alpha=alpha) == 0.0
    assert alpha_divergence(FAIR, BIASED, alpha=alpha) == kl_divergence(BIASED, FAIR)


@pytest.mark.parametrize("order", [1e301, 10**400, np.array([1.0, 2.0]), "2", np.nan])
def test_orders_out_of_range(order):
    with pytest.raises(ValueError, match="order must be"):
        renyi_divergence(FAIR, BIASED, order=order)
    with pytest.raises(ValueError, match="alpha must be"):
        alpha_divergence(FAIR, BIASED, alpha=order)


def test_masked_entries_are_refused():
    masked = np.ma.array([0.5, 0.5, 99.0], mask=[0, 0, 1])
    with pytest.raises(ValueError, match="p has masked entries"):
        kl_divergence(masked, [0.2, 0.3, 0.5])


def test_rows_of_different_lengths():
    with pytest.raises(ValueError, match="p must be an array"):
        kl_divergence([[0.5, 0.5], [1.0]], FAIR)


def test_long_rows_that_are_no_whole_vectors_keep_their_digits_and_their_zeros():
    """What fills them up counts neither as a probability nor as a zero."""
    for k in range(257, 290):
        p, q = random_pair(1, k, seed=k)
        assert error(kl_divergence(p, q)[0], reference.kl_divergence(p[0], q[0])) <= 1e-14
        q[0, -1] = 0.0
        assert kl_divergence(p, q / q.sum())[0] == math.inf
