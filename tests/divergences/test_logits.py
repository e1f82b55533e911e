"""kl_divergence_from_logits: values in many digits, layouts, memory, bad input."""

import tracemalloc
from collections import Counter
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from mpmath import exp, log, mp, mpf
from mpmath import inf as infinite
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from sklkl.divergences import kl_divergence, kl_divergence_from_logits
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error

# The relative error that the library promises.
BOUND = {np.float64: 1e-13, np.float32: 2e-6}
SIZES = [1, 2, 3, 7, 16, 17, 33, 100, 1000, 1025, 5000]
# What so many digits leave of zero.
NOTHING = 1e-50

each_dtype = pytest.mark.parametrize("dtype", BOUND)
each_size = pytest.mark.parametrize("k", SIZES)


def exact_divergence(x, y, temperature=1.0, *, digits=DIGITS):
    """Return the divergence of the softmaxes of two rows, taken as exact numbers."""
    # Long rows repeat a few outcomes, or the exponentials here would take all the time.
    outcomes = Counter(zip(map(float, x), map(float, y), strict=True))
    with mp.workdps(digits):
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


def worst_error(x, y, temperature=1.0, *, digits=DIGITS):
    """Return the largest relative error for rows, after a look at type and sign."""
    values = kl_divergence_from_logits(x, y, temperature=temperature)
    assert values.dtype == x.dtype
    assert (values >= 0).all()
    limits = np.finfo(x.dtype)
    # Results below the least normal number have few bits left.
    atol = max(float(limits.tiny), 10.0**-digits) if digits > DIGITS else NOTHING
    if x.dtype == np.float32:
        atol = max(atol, float(limits.tiny))
    return max(
        error(
            value,
            exact_divergence(x_row, y_row, temperature, digits=digits),
            atol=atol,
            largest=float(limits.max),
        )
        for value, x_row, y_row in zip(values, x, y, strict=True)
    )


def random_logits(n, k, *, seed=0, scale=2.0, dtype=np.float64):
    """Return two arrays; rows of more than 300 outcomes repeat 300 of them."""
    rng = np.random.default_rng([seed, k])
    rows = scale * rng.standard_normal((2, n, min(k, 300)))
    if k > rows.shape[-1]:
        rows = rows[:, :, rng.integers(rows.shape[-1], size=k)]
    # Contiguous whatever the indexing gave: layouts have tests of their own.
    x, y = np.ascontiguousarray(rows, dtype)
    return x, y


def n_rows(k):
    """Few rows where the oracle is slow."""
    return 4 if k <= 20 else 2


# Values


@each_dtype
@each_size
def test_ordinary_logits(k, dtype):
    assert worst_error(*random_logits(n_rows(k), k, dtype=dtype)) <= BOUND[dtype]


@each_dtype
@each_size
@pytest.mark.parametrize("scale", [30.0, 1e3, 1e4])
def test_huge_logits(k, dtype, scale):
    assert worst_error(*random_logits(n_rows(k), k, scale=scale, dtype=dtype)) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("k", [2, 3, 17, 1025])
@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_one_logit_far_from_the_others(k, dtype, gap):
    x, y = random_logits(3, k, dtype=dtype)
    far = x.copy()
    far[:, k // 2] += dtype(gap)
    assert worst_error(x, far) <= BOUND[dtype]
    assert worst_error(far, x) <= BOUND[dtype]
    other = y.copy()
    other[:, 0] += dtype(gap)
    assert worst_error(far, other) <= BOUND[dtype]


@each_dtype
@each_size
@pytest.mark.parametrize("shift", [1e3, 1e6, -1e6])
def test_a_shift_of_one_row_against_the_other(k, dtype, shift):
    x, y = random_logits(n_rows(k), k, dtype=dtype)
    assert worst_error(x + dtype(shift), y) <= BOUND[dtype]
    assert worst_error(x, y + dtype(shift)) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("k", [2, 17, 1025])
@pytest.mark.parametrize("perturbation", [10.0**-e for e in range(1, 13)])
def test_near_equal_logits(k, dtype, perturbation):
    x, noise = random_logits(n_rows(k), k)
    x = x.astype(dtype)
    assert worst_error(x, (x + perturbation * noise).astype(dtype)) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("k", [2, 3, 17, 1025])
@pytest.mark.parametrize("shift", [2.0**10, -(2.0**20), 2.0**40])
@pytest.mark.parametrize("perturbation", [1e-1, 1e-5, 1e-12])
def test_near_equal_logits_far_apart(k, dtype, shift, perturbation):
    """A shift that rounds the one row leaves the other its digits below it."""
    x, noise = random_logits(2, k)
    shifted = x.astype(dtype) + dtype(shift)
    rest = (shifted - dtype(shift)).astype(np.float64)
    y = (rest + perturbation * noise).astype(dtype)
    assert worst_error(shifted, y) <= BOUND[dtype]
    assert worst_error(y, shifted) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("shift", [2.0**10, 2.0**20, 2.0**40, 2.0**60])
@pytest.mark.parametrize("perturbation", [1e-2, 1e-7, 1e-12])
def test_constant_logits_far_from_small_ones(dtype, shift, perturbation):
    x, noise = random_logits(2, 7)
    constant, y = np.full(x.shape, dtype(shift)), (perturbation * noise).astype(dtype)
    assert worst_error(constant, y) <= BOUND[dtype]
    assert worst_error(y, constant) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("k", [3, 100])
@pytest.mark.parametrize("base", [None, 2])
def test_perturbation_of_one_logit(k, dtype, base):
    """Masses that differ more than what is left of the divergence."""
    x, _ = random_logits(3, k, dtype=dtype)
    for difference in (20.0, 1.0, 1e-3):
        y = x.copy()
        y[:, 0] += dtype(difference)
        assert worst_error(x, y) <= BOUND[dtype]
        assert worst_error(y, x) <= BOUND[dtype]
        in_unit = kl_divergence_from_logits(x, y, base=base)
        factor = 1.0 if base is None else np.log(base)
        assert_allclose(in_unit * factor, kl_divergence_from_logits(x, y), rtol=BOUND[dtype])


@each_dtype
@pytest.mark.parametrize("k", [2, 17, 1025])
@pytest.mark.parametrize("temperature", [0.1, 0.3, 2, 10.0, 100.0])
@pytest.mark.parametrize("scale", [2.0, 100.0])
def test_temperature(k, dtype, temperature, scale):
    x, y = random_logits(2, k, scale=scale, dtype=dtype)
    assert worst_error(x, y, temperature) <= BOUND[dtype]
    near = (x * (1 + 1e-6 * y / scale)).astype(dtype)
    assert worst_error(x, near, temperature) <= BOUND[dtype]


@pytest.mark.parametrize("temperature", [0.1, 1 / 3, 0.7])
@pytest.mark.parametrize("top", [0.0, 0.1, 30.7, 1000.1])
@pytest.mark.parametrize("gap", [20.3, 200.7, 400.1, 600.9, 700.7])
def test_certain_rows(top, gap, temperature):
    """What little divergence is left is the small mass that q has elsewhere."""
    x = np.array([[top, top - 4000.0, top - 3000.0], [top, top - 2.0 * gap, top - 5000.0]])
    y = np.array([[top, top - temperature * gap, top - 1000.0]] * 2)
    # The rounding of an exponent is the relative error of its exponential.
    bound = max(BOUND[np.float64], gap * np.finfo(np.float64).eps)
    assert worst_error(x, y, temperature, digits=DIGITS_OF_TINY) <= bound


@each_dtype
@pytest.mark.parametrize("k", [2, 17, 1025])
@pytest.mark.parametrize("scale", [2.0, 1e3])
def test_no_mass_of_p_somewhere(k, dtype, scale):
    x, y = random_logits(3, k, scale=scale, dtype=dtype)
    x[0, 0] = x[1, k - 1] = x[2, ::2] = -inf
    assert worst_error(x, y) <= BOUND[dtype]
    assert worst_error(x, y, 0.3) <= BOUND[dtype]


@each_dtype
@pytest.mark.parametrize("k", [3, 17, 1025])
@pytest.mark.parametrize("perturbation", [1.0, 1e-3, 1e-10, 0.0])
def test_no_mass_of_both_somewhere(k, dtype, perturbation):
    x, noise = random_logits(3, k)
    y = (x + perturbation * noise).astype(dtype)
    x = x.astype(dtype)
    x[0, 0] = x[1, k - 1] = x[2, ::2] = -inf
    y[0, 0] = y[1, k - 1] = y[2, ::2] = -inf
    assert worst_error(x, y) <= BOUND[dtype]
    without = kl_divergence_from_logits(x[0, 1:], y[0, 1:])
    assert kl_divergence_from_logits(x[0], y[0]) == pytest.approx(without, rel=BOUND[dtype])


def test_far_logits_beside_some_of_no_mass():
    """A probability that underflows is not zero: its logarithm counts."""
    for gap in (700.0, 710.0, 1000.0, 1e5):
        value = kl_divergence_from_logits([gap, 0.0, -inf], [0.0, gap, -inf])
        assert value == pytest.approx(gap, rel=1e-13)
        value = kl_divergence_from_logits([gap, 0.0, -inf], [0.0, gap, 0.0])
        assert value == pytest.approx(gap, rel=1e-13)


@each_dtype
@pytest.mark.parametrize("k", [2, 17, 1025])
@pytest.mark.parametrize("where", [0, 1, -1])
def test_no_mass_of_q_where_p_has_some(k, dtype, where):
    x, y = random_logits(3, k, dtype=dtype)
    y[1, where] = -inf
    assert_array_equal(np.isinf(kl_divergence_from_logits(x, y)), [False, True, False])
    x[1, where] = -1e4  # a probability that no float holds is a probability
    assert kl_divergence_from_logits(x, y)[1] == inf
    x[1, where] = -inf
    assert kl_divergence_from_logits(x, y)[1] < inf


def test_one_outcome_left():
    assert kl_divergence_from_logits([5.0, -inf], [-3.0, -inf]) == 0.0
    assert kl_divergence_from_logits([-inf, 5.0], [-3.0, -inf]) == inf
    assert kl_divergence_from_logits([-inf, 5.0], [7.0, 7.0], base=2) == pytest.approx(
        1.0, rel=1e-15
    )


@each_dtype
@each_size
def test_equal_logits(k, dtype):
    x, _ = random_logits(3, k, dtype=dtype)
    assert_array_equal(kl_divergence_from_logits(x, x), np.zeros(3))
    assert_array_equal(kl_divergence_from_logits(x, x.copy(), temperature=0.3), np.zeros(3))
    # a grid on which a sum is not rounded
    x = np.round(x * 2**4) / dtype(2**4)
    for constant in (0.5, 100.0, -(2.0**16)):
        y = x + dtype(constant)
        assert_array_equal(y - dtype(constant), x)
        assert_array_equal(kl_divergence_from_logits(x, y), np.zeros(3))
        assert_array_equal(kl_divergence_from_logits(y, x, temperature=0.7), np.zeros(3))


@each_dtype
def test_large_vocabulary(dtype):
    x, y = random_logits(1, 50_257, scale=4.0, dtype=dtype)
    assert worst_error(x, y) <= BOUND[dtype]
    near = (x + 1e-3 * y).astype(dtype)
    assert worst_error(x, near) <= BOUND[dtype]


def test_uniform_against_one_certain_outcome_of_many():
    x, y = np.zeros((2, 1, 50_257))
    y[0, 1234] = 20.0
    assert worst_error(x, y) <= BOUND[np.float64]
    assert worst_error(y, x) <= BOUND[np.float64]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_agrees_with_the_divergence_of_probabilities(temperature):
    x, y = random_logits(20, 50)
    p, q = (softmax(z / temperature, axis=1) for z in (x, y))
    values = kl_divergence_from_logits(x, y, temperature=temperature)
    assert_allclose(values, kl_divergence(p, q), rtol=1e-12)
    # log-softmax gives logits too, as do logarithms of probabilities
    for logits in (log_softmax(x / temperature, axis=1), np.log(p)):
        assert_allclose(kl_divergence_from_logits(logits, y / temperature), values, rtol=1e-12)


def test_fair_and_biased_coin():
    fair, biased = [0.0, 0.0], [np.log(9.0), 0.0]
    assert kl_divergence_from_logits(fair, biased, base=2) == pytest.approx(
        np.log2(5 / 3), rel=1e-15
    )


@pytest.mark.parametrize("temperature", [0.5, np.int64(2), np.float32(0.3), Fraction(1, 3)])
def test_any_real_number_is_a_temperature(temperature):
    x, y = random_logits(3, 10)
    values = kl_divergence_from_logits(x, y, temperature=temperature)
    assert_allclose(
        values,
        kl_divergence_from_logits(x, y, temperature=float(temperature)),
        rtol=1e-15,
    )


@each_dtype
def test_extreme_temperatures(dtype):
    x, y = random_logits(3, 5, dtype=dtype)
    assert worst_error(x, y, 1e-30) <= BOUND[dtype]
    # all that is left is the second order, which underflows at last
    assert worst_error(x.astype(np.float64), y.astype(np.float64), 1e15) <= BOUND[np.float64]
    assert_array_equal(kl_divergence_from_logits(x, y, temperature=1e300), np.zeros(3))


# Result


@each_dtype
def test_result(dtype):
    x, y = random_logits(6, 5, dtype=dtype)
    result = kl_divergence_from_logits(x, y)
    assert result.shape == (6,)
    assert result.dtype == dtype
    single = kl_divergence_from_logits(x[0], y[0])
    assert type(single) is float
    assert single == result[0]


def test_dtype_of_the_result():
    x, y = random_logits(6, 5, dtype=np.float32)
    assert kl_divergence_from_logits(x, y.astype(np.float64)).dtype == np.float64
    assert kl_divergence_from_logits(x.astype(np.float16), y).dtype == np.float32
    whole = np.round(x).astype(int)
    expected = kl_divergence_from_logits(whole.astype(np.float64), np.round(y))
    assert_array_equal(kl_divergence_from_logits(whole.tolist(), np.round(y)), expected)
    half = x.astype(np.float16)
    assert_array_equal(
        kl_divergence_from_logits(half, y), kl_divergence_from_logits(half.astype("f4"), y)
    )


@each_dtype
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_empty_batch(shape, dtype):
    result = kl_divergence_from_logits(np.empty(shape, dtype), np.empty(shape, dtype))
    assert result.shape == shape[:-1]
    assert result.dtype == dtype


def test_base():
    x, y = random_logits(6, 5)
    assert_allclose(
        kl_divergence_from_logits(x, y, base=2) * np.log(2),
        kl_divergence_from_logits(x, y),
        rtol=1e-15,
    )


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
def test_leading_shapes_broadcast(p_shape, q_shape):
    k = 5
    x = np.random.default_rng(1).standard_normal((*p_shape, k))
    y = np.random.default_rng(2).standard_normal((*q_shape, k))
    result = kl_divergence_from_logits(x, y)
    x, y = np.broadcast_arrays(x, y)
    shape = x.shape[:-1]
    expected = [kl_divergence_from_logits(x[i], y[i]) for i in np.ndindex(shape)]
    assert result.shape == shape
    assert_array_equal(result, np.reshape(expected, shape))


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_axis(axis):
    x, y = (z.reshape(3, 4, 5) for z in random_logits(12, 5))
    result = kl_divergence_from_logits(
        np.moveaxis(x, -1, axis), np.moveaxis(y, -1, axis), axis=axis
    )
    assert_array_equal(result, kl_divergence_from_logits(x, y))


# Layouts, batches, threads, memory


def strided(x):
    wide = np.full((*x.shape[:-1], 3 * x.shape[-1]), np.nan, x.dtype)
    wide[..., ::3] = x
    return wide[..., ::3]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = [
    strided,
    read_only,
    np.asfortranarray,
    lambda x: read_only(strided(x)),
    lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    lambda x: np.repeat(x, 2, axis=0)[::2],
    lambda x: x.astype(x.dtype.newbyteorder()),
    lambda x: np.frombuffer(bytearray(1) + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
]


def logits_of_many_kinds(n, k, dtype):
    """Ordinary, huge, shifted, near-equal and equal rows, and such with -inf."""
    x, y = random_logits(n, k)
    x[1::8] *= 1e3
    y[1::16] *= 1e3
    y[2::8] += 1e6
    y[3::8] = x[3::8] + 1e-9
    y[4::8] = x[4::8]
    y[3::8, 0] -= 1e-9
    if k > 1:
        x[5::8, 0] = -inf
        x[6::8, -1] = y[6::8, -1] = -inf
        y[7::8, k // 2] = -inf
    return x.astype(dtype), y.astype(dtype)


@each_dtype
@pytest.mark.parametrize("k", [1, 3, 17, 1025])
def test_layout_does_not_matter(k, dtype):
    x, y = logits_of_many_kinds(17, k, dtype)
    expected = kl_divergence_from_logits(x, y)
    for layout in LAYOUTS:
        assert_array_equal(kl_divergence_from_logits(layout(x), layout(y)), expected)
        assert_array_equal(kl_divergence_from_logits(layout(x), y), expected)
        assert_array_equal(kl_divergence_from_logits(x, layout(y)), expected)


def test_arguments_are_left_alone():
    x, y = logits_of_many_kinds(17, 130, np.float64)
    x_before, y_before = x.copy(), y.copy()
    kl_divergence_from_logits(x, y, temperature=3.0)
    assert_array_equal(x, x_before)
    assert_array_equal(y, y_before)


@each_dtype
@each_size
def test_result_does_not_depend_on_the_batch(k, dtype):
    x, y = logits_of_many_kinds(33, k, dtype)
    batch = kl_divergence_from_logits(x, y)
    single = [kl_divergence_from_logits(*rows) for rows in zip(x, y, strict=True)]
    assert_array_equal(single, batch)
    assert_array_equal(kl_divergence_from_logits(x[5:30], y[5:30]), batch[5:30])
    assert_array_equal(kl_divergence_from_logits(x[::-3], y[::-3]), batch[::-3])
    repeated = np.repeat(x[:1], len(y), axis=0)
    assert_array_equal(
        kl_divergence_from_logits(x[0], y), kl_divergence_from_logits(repeated, y)
    )


@each_dtype
@pytest.mark.parametrize("shape", [(2000, 50), (7, 50_257), (100, 1025)])
def test_result_does_not_depend_on_threads(shape, dtype):
    x, y = logits_of_many_kinds(*shape, dtype)
    with threadpool_limits(limits=1):
        expected = kl_divergence_from_logits(x, y)
    for limit in (2, 3):
        with threadpool_limits(limits=limit):
            assert_array_equal(kl_divergence_from_logits(x, y), expected)


@pytest.mark.parametrize("kind", ["ordinary", "masked", "broadcast", "axis", "sequences"])
def test_memory_does_not_grow_with_the_input(kind):
    """Another array of the size of the input would take 100 MB."""
    x = np.random.default_rng(0).random((500, 50_257), dtype=np.float32)
    y = x[::-1]
    axis = -1
    if kind == "masked":
        x[:, 7] = -inf
    elif kind == "broadcast":
        y = x[3]
    elif kind == "axis":
        x, y, axis = x.T, y.T, 0
    elif kind == "sequences":
        x, y = x.reshape(5, 100, -1), y.reshape(5, 100, -1)
    tracemalloc.start()
    try:
        kl_divergence_from_logits(x, y, axis=axis)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10e6


# Bad input


def matrix(**changes):
    """Eight valid rows; ``row_3=...`` replaces a row."""
    rows = np.tile([0.2, -3.0, 5.0], (8, 1))
    for name, row in changes.items():
        rows[int(name.removeprefix("row_"))] = row
    return rows


BAD_ROWS = {
    "NaN": ([0.2, nan, 5.0], "contains NaN"),
    "NaN and -inf": ([-inf, nan, 5.0], "contains NaN"),
    "inf": ([0.2, inf, 5.0], "contains inf"),
    "both infinities": ([-inf, inf, 5.0], "contains inf"),
    "only -inf": ([-inf, -inf, -inf], "is -inf everywhere"),
}


@each_dtype
@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_named(problem, dtype):
    row, message = BAD_ROWS[problem]
    good, bad = matrix().astype(dtype), matrix(row_3=row, row_5=row).astype(dtype)
    row = np.array(row, dtype)
    with pytest.raises(ValueError, match=rf"^p_logits\[3\] {message}"):
        kl_divergence_from_logits(bad, good)
    with pytest.raises(ValueError, match=rf"^q_logits\[3\] {message}"):
        kl_divergence_from_logits(good, bad)
    with pytest.raises(ValueError, match=rf"^q_logits\[3\] {message}"):
        kl_divergence_from_logits(strided(good), strided(bad))
    with pytest.raises(ValueError, match=rf"^q_logits {message}"):
        kl_divergence_from_logits(good, row)
    with pytest.raises(ValueError, match=rf"^p_logits {message}"):
        kl_divergence_from_logits(row, good[0])
    with pytest.raises(ValueError, match=rf"^q_logits\[:, 3\] {message}"):
        kl_divergence_from_logits(good.T, bad.T, axis=0)
    with pytest.raises(ValueError, match=rf"^q_logits\[0, 3\] {message}"):
        kl_divergence_from_logits(good.reshape(2, 4, 3), bad.reshape(2, 4, 3))


@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_found_beside_one_that_is_infinite(problem):
    """A row where q lacks mass that p has is inf, but not if the other is no row at all."""
    row, message = BAD_ROWS[problem]
    uncovering = [-inf, 1.0, 2.0]
    with pytest.raises(ValueError, match=rf"^p_logits {message}"):
        kl_divergence_from_logits(row, uncovering)
    with pytest.raises(ValueError, match=rf"^q_logits {message}"):
        kl_divergence_from_logits(uncovering, row)
    with pytest.raises(ValueError, match=rf"^q_logits {message}"):
        kl_divergence_from_logits([0.0, 1.0, 2.0], row)


@pytest.mark.parametrize("k", [1, 17, 1025])
@pytest.mark.parametrize("value", [nan, inf])
def test_bad_value_anywhere_in_a_row(k, value):
    x, y = random_logits(2, k)
    for j in {0, k // 2, k - 1}:
        bad = x.copy()
        bad[1, j] = value
        with pytest.raises(ValueError, match=r"^p_logits\[1\] contains"):
            kl_divergence_from_logits(bad, y)
        with pytest.raises(ValueError, match=r"^q_logits\[1\] contains"):
            kl_divergence_from_logits(y, bad)


def test_bad_row_far_into_a_large_batch():
    x, y = random_logits(5000, 20)
    y[4321, 19] = nan
    with pytest.raises(ValueError, match=r"^q_logits\[4321\] contains NaN"):
        kl_divergence_from_logits(x, y)


def test_logits_at_the_limits_of_float64():
    """Their difference overflows, which is no fault of a row."""
    largest = np.finfo(np.float64).max
    x, y = np.array([largest, -largest]), np.array([0.0, 1.0])
    exact = exact_divergence(x, y)
    assert error(kl_divergence_from_logits(x, y), exact) <= BOUND[np.float64]
    assert kl_divergence_from_logits(y, x) == inf
    assert kl_divergence_from_logits(x, x) == 0.0
    assert kl_divergence_from_logits([largest] * 2, [-largest] * 2) == 0.0
    value = kl_divergence_from_logits(y, x, temperature=1e300)
    assert error(value, exact_divergence(y, x, 1e300)) <= BOUND[np.float64]


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, nan, inf, -inf, "1", None, [1.0], 1j])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match=r"^temperature must be a positive number, from "):
        kl_divergence_from_logits([0.0, 1.0], [0.0, 1.0], temperature=temperature)


@pytest.mark.parametrize(
    "temperature", [5e-324, 1e-310, 10**400], ids=["5e-324", "1e-310", "1e400"]
)
def test_temperature_without_an_inverse(temperature):
    """Either a value or an error about the temperature, but none about a row."""
    for x, y in (([0.0, 1.0], [0.0, 2.0]), ([0.0, 1.0], [1.0, 0.0])):
        try:
            value = kl_divergence_from_logits(x, y, temperature=temperature)
        except ValueError as problem:
            assert "temperature" in str(problem)  # noqa: PT017
        else:
            exact = exact_divergence(x, y, temperature, digits=DIGITS_OF_TINY)
            assert error(value, exact, atol=1e-300) <= BOUND[np.float64]


@pytest.mark.parametrize("base", [1, 0.5, 0, -2, nan, inf, "2"])
def test_bad_base(base):
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        kl_divergence_from_logits([0.0, 1.0], [0.0, 1.0], base=base)


def test_numbers_of_outcomes_must_agree():
    with pytest.raises(
        ValueError, match=r"number of outcomes: p_logits has 3, q_logits has 2\.$"
    ):
        kl_divergence_from_logits(np.zeros((4, 3)), np.zeros((4, 2)))


def test_leading_shapes_must_broadcast():
    with pytest.raises(ValueError, match=r"p_logits \(4,\) and q_logits \(3,\)\.$"):
        kl_divergence_from_logits(np.zeros((4, 3)), np.zeros((3, 3)))


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_outcomes(shape):
    with pytest.raises(ValueError, match=r"^p_logits is empty: it has no outcomes"):
        kl_divergence_from_logits(np.zeros(shape), np.zeros(shape))
    with pytest.raises(ValueError, match=r"^q_logits is empty: it has no outcomes"):
        kl_divergence_from_logits(np.zeros(3), np.zeros(shape))


def test_single_number():
    with pytest.raises(ValueError, match=r"^p_logits is a single number; pass a vector") as e:
        kl_divergence_from_logits(1.0, [0.0, 1.0])
    assert "probabilities" not in str(e.value)  # logits are what is missing


@pytest.mark.parametrize("axis", [2, -3])
def test_axis_out_of_range(axis):
    with pytest.raises(ValueError, match=rf"^axis={axis} is out of range for p_logits"):
        kl_divergence_from_logits(matrix(), matrix(), axis=axis)


@pytest.mark.parametrize("values", [["a", "b"], [1j, 2.0], [[1.0], [1.0, 2.0]]])
def test_not_real_numbers(values):
    if isinstance(values[0], list):
        values = np.array(values, dtype=object)
    with pytest.raises(TypeError, match=r"^q_logits must hold real numbers") as e:
        kl_divergence_from_logits([0.0, 1.0], values)
    assert "probabilities" not in str(e.value)


def test_sparse_matrix():
    sparse = csr_array(matrix())
    with pytest.raises(TypeError, match=r"^p_logits is a sparse matrix"):
        kl_divergence_from_logits(sparse, matrix())
    with pytest.raises(TypeError, match=r"^q_logits is a sparse matrix"):
        kl_divergence_from_logits(matrix(), sparse)
