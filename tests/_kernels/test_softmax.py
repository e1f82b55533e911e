"""Softmax kernels against high precision and finite differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklkl._kernels import _softmax
from tests import _reference
from tests._reference import DIGITS_OF_TINY, error

HUGE_LOGITS = [
    [1e3, -1e3, 0.0],
    [1e4, -1e4, 1.0],
    [-1e4, -1e4, -1e4],
    [1e4, 1e4, 1e4 - 1],
    [1e3, 1e3 - 700, 1e3 - 745],
    [0.0, -800.0, 3.0],
]

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_size = pytest.mark.parametrize("n_columns", [1, 3, 10])


def soft(raw, target, weight=None, n_threads=1):
    """Loss and gradient of each row."""
    raw = np.ascontiguousarray(raw)
    target = np.ascontiguousarray(target, dtype=raw.dtype)
    weight = np.ones(len(raw)) if weight is None else weight
    loss, gradient = np.full(len(raw), np.nan), np.full_like(raw, np.nan)
    _softmax.kl_soft(raw, target, weight, loss, gradient, n_threads)
    return loss, gradient


def hard(raw, code, weight=None, n_threads=1):
    """Loss and gradient of each row."""
    raw = np.ascontiguousarray(raw)
    code = np.asarray(code, dtype=np.intp)
    weight = np.ones(len(raw)) if weight is None else weight
    loss, gradient = np.full(len(raw), np.nan), np.full_like(raw, np.nan)
    _softmax.kl_hard(raw, code, weight, loss, gradient, n_threads)
    return loss, gradient


def log_softmax(raw, n_threads=1):
    raw = np.ascontiguousarray(raw)
    out = np.full((len(raw), max(2, raw.shape[1])), np.nan, raw.dtype)
    _softmax.log_softmax(raw, out, n_threads)
    return out


def logits_of(raw_row):
    """All logits of a row; that of the first of two classes is 0."""
    return [0.0, *raw_row] if len(raw_row) == 1 else list(raw_row)


def raw_gradient(exact, raw_row):
    """Return the part of a gradient by all logits that belongs to ``raw_row``."""
    return exact[-len(raw_row) :]


def one_hot(code, n_classes):
    return np.eye(n_classes)[code]


def problem(n, n_columns, dtype=np.float64, seed=0):
    """Random logits, soft targets with some zeros, codes, weights."""
    rng = np.random.default_rng(seed)
    n_classes = max(2, n_columns)
    raw = rng.normal(scale=2.0, size=(n, n_columns)).astype(dtype)
    target = rng.dirichlet(np.ones(n_classes), size=n)
    target[::4, 0] = 0.0
    target[1::4, 1] = 0.0
    target = (target / target.sum(axis=1, keepdims=True)).astype(dtype)
    code = rng.integers(0, n_classes, size=n)
    return raw, target, code, rng.uniform(0.5, 2.0, size=n)


def finite_difference(loss_of, raw, h=2e-3):
    """Fourth-order central differences; rows are independent, so one column at a time."""
    gradient = np.empty_like(raw)
    for j in range(raw.shape[1]):

        def shifted(steps, j=j):
            moved = raw.copy()
            moved[:, j] += steps * h
            return loss_of(moved)

        gradient[:, j] = (shifted(-2) - 8 * shifted(-1) + 8 * shifted(1) - shifted(2)) / (
            12 * h
        )
    return gradient


# Loss and gradient


@each_size
def test_soft_gradient_is_the_slope_of_the_loss(n_columns):
    raw, target, _, weight = problem(20, n_columns)
    _, gradient = soft(raw, target, weight)
    slope = finite_difference(lambda moved: soft(moved, target, weight)[0], raw)
    assert_allclose(gradient, slope, rtol=1e-9, atol=1e-10)


@each_size
def test_hard_gradient_is_the_slope_of_the_loss(n_columns):
    raw, _, code, weight = problem(20, n_columns)
    _, gradient = hard(raw, code, weight)
    slope = finite_difference(lambda moved: hard(moved, code, weight)[0], raw)
    assert_allclose(gradient, slope, rtol=1e-9, atol=1e-10)


@each_size
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_soft_values(n_columns, dtype, tolerance):
    raw, target, _, weight = problem(20, n_columns, dtype)
    loss, gradient = soft(raw, target, weight)
    for i in range(len(raw)):
        logits = logits_of(raw[i])
        exact = weight[i] * _reference.kl_to_softmax(target[i], logits)
        assert error(loss[i], exact) <= tolerance
        slopes = _reference.gradient_of_kl_to_softmax(target[i], logits)
        for value, slope in zip(gradient[i], raw_gradient(slopes, raw[i]), strict=True):
            assert abs(value - weight[i] * slope) <= tolerance


@each_size
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-5)])
def test_hard_values(n_columns, dtype, tolerance):
    """With hard labels nothing cancels: the gradient, too, is relatively accurate."""
    raw, target, code, weight = problem(20, n_columns, dtype)
    n_classes = target.shape[1]
    raw[::3] *= 10
    loss, gradient = hard(raw, code, weight)
    for i in range(len(raw)):
        logits, truth = logits_of(raw[i]), one_hot(code[i], n_classes)
        exact = weight[i] * _reference.kl_to_softmax(truth, logits)
        assert error(loss[i], exact) <= tolerance
        slopes = _reference.gradient_of_kl_to_softmax(truth, logits)
        for value, slope in zip(gradient[i], raw_gradient(slopes, raw[i]), strict=True):
            assert error(value, weight[i] * slope) <= tolerance


@each_size
def test_soft_target_that_is_certain_is_a_hard_one(n_columns):
    raw, target, code, weight = problem(20, n_columns)
    soft_loss, soft_gradient = soft(raw, one_hot(code, target.shape[1]), weight)
    hard_loss, hard_gradient = hard(raw, code, weight)
    assert_allclose(soft_loss, hard_loss, rtol=1e-13)
    assert_allclose(soft_gradient, hard_gradient, rtol=1e-13, atol=1e-15)


@each_dtype
def test_single_column_is_the_logit_of_the_second_class(dtype):
    raw, target, code, weight = problem(30, 1, dtype)
    two = np.hstack([np.zeros_like(raw), raw])
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    for kernel, truth in ((soft, target), (hard, code)):
        loss, gradient = kernel(raw, truth, weight)
        two_loss, two_gradient = kernel(two, truth, weight)
        assert_allclose(loss, two_loss, rtol=rtol)
        assert_allclose(gradient[:, 0], two_gradient[:, 1], rtol=rtol, atol=rtol)
    assert_allclose(log_softmax(raw), log_softmax(two), rtol=rtol)


@each_dtype
def test_classes_of_a_binary_problem_can_be_swapped(dtype):
    """Neither class may be the one whose small probabilities are known less well."""
    small = np.array([1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-18], dtype)
    target = np.column_stack([1 - small, small])
    raw = (np.log(small) - np.log1p(-small) + dtype(0.5))[:, None]
    loss, gradient = soft(raw, target)
    swapped_loss, swapped_gradient = soft(-raw, target[:, ::-1])
    rtol = 1e-13 if dtype == np.float64 else 1e-6
    assert_allclose(swapped_loss, loss, rtol=rtol)
    assert_allclose(swapped_gradient, -gradient, rtol=rtol)


@each_size
@pytest.mark.parametrize("perturbation", [1e-2, 1e-4, 1e-6])
def test_soft_loss_near_its_least_value(n_columns, perturbation):
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(20, n_columns))
    target = np.exp(log_softmax(raw + perturbation * rng.normal(size=raw.shape)))
    loss, _ = soft(raw, target)
    for value, y, row in zip(loss, target, raw, strict=True):
        exact = _reference.kl_to_softmax(y, logits_of(row))
        # The softmax is rounded in its last bit, and the loss is the square of a distance.
        assert error(value, exact, atol=1e-15 * float(exact) ** 0.5) <= 1e-13


@each_size
def test_soft_loss_at_its_least_value(n_columns):
    raw, *_ = problem(200, n_columns)
    loss, gradient = soft(raw, np.exp(log_softmax(raw)))
    assert (loss >= 0).all()
    assert (loss <= 1e-29).all()
    assert (abs(gradient) <= 1e-15).all()


@each_dtype
@each_size
def test_target_rows_are_divided_by_their_sum(n_columns, dtype):
    raw, target, _, weight = problem(20, n_columns, dtype)
    scaled = target * dtype(1 + 1e-4)
    loss, gradient = soft(raw, scaled, weight)
    expected_loss, expected_gradient = soft(raw, target, weight)
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    assert_allclose(loss, expected_loss, rtol=rtol)
    assert_allclose(gradient, expected_gradient, rtol=rtol, atol=rtol)


@each_dtype
@each_size
def test_weight_multiplies(n_columns, dtype):
    raw, target, code, _ = problem(20, n_columns, dtype)
    for kernel, truth in ((soft, target), (hard, code)):
        loss, gradient = kernel(raw, truth)
        # Powers of two, for an exact comparison.
        weight = 2.0 ** np.arange(-10, 10)
        weighted_loss, weighted_gradient = kernel(raw, truth, weight)
        assert_array_equal(weighted_loss, weight * loss)
        assert_array_equal(weighted_gradient, weight[:, None] * gradient)


@each_dtype
@each_size
def test_zero_weight(n_columns, dtype):
    raw, target, code, _ = problem(20, n_columns, dtype)
    raw[:5] *= 1e4
    for kernel, truth in ((soft, target), (hard, code)):
        loss, gradient = kernel(raw, truth, np.zeros(len(raw)))
        assert_array_equal(loss, np.zeros_like(loss))
        assert_array_equal(gradient, np.zeros_like(raw))


# Huge logits

# Probabilities below it may count as 0 where the target is 0.
NEGLIGIBLE = 1e-289


@each_dtype
@pytest.mark.parametrize("logits", HUGE_LOGITS)
def test_huge_logits(logits, dtype):
    raw = np.array([logits], dtype)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    negligible = NEGLIGIBLE if dtype == np.float64 else np.finfo(dtype).tiny
    for code in range(3):
        truth = one_hot(code, 3)
        exact = _reference.kl_to_softmax(truth, raw[0], digits=DIGITS_OF_TINY)
        slopes = _reference.gradient_of_kl_to_softmax(truth, raw[0], digits=DIGITS_OF_TINY)
        for loss, gradient in (hard(raw, [code]), soft(raw, truth[None])):
            assert error(loss[0], exact, atol=negligible) <= tolerance
            for value, slope in zip(gradient[0], slopes, strict=True):
                assert abs(value - slope) <= tolerance
    target = np.array([[0.25, 0.25, 0.5]])
    loss, gradient = soft(raw, target)
    exact = _reference.kl_to_softmax(target[0], raw[0], digits=DIGITS_OF_TINY)
    assert error(loss[0], exact) <= tolerance
    assert np.isfinite(gradient).all()


@each_dtype
@pytest.mark.parametrize("logit", [1e4, -1e4, 1e3, -1e3, 700.0, -740.0, 40.0, -40.0])
def test_huge_logit_of_a_binary_problem(logit, dtype):
    raw = np.array([[logit]], dtype)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    targets = np.array([[1, 0], [0, 1], [0.25, 0.75], [1e-5, 1 - 1e-5]], dtype)
    for target in targets:
        loss, gradient = soft(raw, target[None])
        exact = _reference.kl_to_softmax(target, [0.0, logit], digits=DIGITS_OF_TINY)
        assert error(loss[0], exact, atol=NEGLIGIBLE) <= tolerance
        assert np.isfinite(gradient).all()
    for code in (0, 1):
        loss, gradient = hard(raw, [code])
        truth = one_hot(code, 2)
        exact = _reference.kl_to_softmax(truth, [0.0, logit], digits=DIGITS_OF_TINY)
        assert error(loss[0], exact, atol=np.finfo(np.float64).tiny) <= tolerance
        assert np.isfinite(gradient).all()


# Logarithms of probabilities


@pytest.mark.parametrize(
    "logits",
    [
        [50.0, 0.0, 0.0],
        [0.0, 0.0, 30.0],
        [700.0, 0.0, 0.0],
        [0.0],
        [50.0],
        [-50.0],
        [1e-9],
        [0.1, 0.2, 0.3],
        [0.0] * 10,
        *HUGE_LOGITS,
        *([1e4], [-1e4], [1e3]),
    ],
)
def test_log_softmax_of_single_rows(logits):
    log_p = log_softmax(np.array([logits]))[0]
    exact = _reference.log_softmax(logits_of(logits), digits=DIGITS_OF_TINY)
    tiny = np.finfo(np.float64).tiny
    for value, expected in zip(log_p, exact, strict=True):
        assert error(value, expected, atol=tiny) <= 1e-15


@each_size
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-15), (np.float32, 1e-6)])
def test_log_softmax(n_columns, dtype, tolerance):
    raw, *_ = problem(50, n_columns, dtype)
    raw[::3] *= 10
    for row, log_p in zip(raw, log_softmax(raw), strict=True):
        for value, exact in zip(log_p, _reference.log_softmax(logits_of(row)), strict=True):
            assert error(value, exact) <= tolerance


# Threads


@each_dtype
@each_size
@pytest.mark.parametrize("n_threads", [2, 3])
def test_result_does_not_depend_on_threads(n_threads, n_columns, dtype):
    raw, target, code, weight = problem(1001, n_columns, dtype)
    for kernel, truth in ((soft, target), (hard, code)):
        for one, many in zip(
            kernel(raw, truth, weight), kernel(raw, truth, weight, n_threads), strict=True
        ):
            assert_array_equal(many, one)
    assert_array_equal(log_softmax(raw, n_threads), log_softmax(raw))


@each_dtype
def test_no_rows(dtype):
    empty = np.empty((0, 3), dtype)
    loss, gradient = soft(empty, empty)
    assert loss.shape == (0,)
    assert gradient.shape == (0, 3)
    assert log_softmax(empty).shape == (0, 3)


@each_dtype
def test_read_only_input(dtype):
    raw, target, code, weight = problem(20, 3, dtype)
    expected = [*soft(raw, target, weight), *hard(raw, code, weight), log_softmax(raw)]
    for array in (raw, target, code, weight):
        array.flags.writeable = False
    results = [*soft(raw, target, weight), *hard(raw, code, weight), log_softmax(raw)]
    for result, value in zip(results, expected, strict=True):
        assert_array_equal(result, value)
