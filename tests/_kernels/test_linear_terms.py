"""Divergences, temperatures and second terms of linear models, against high precision."""

import itertools

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import softmax

from sklkl._kernels._linear import LOSSES, LinearRows
from sklkl.linear_model._loss import LossTerm
from tests._support.reference import workdps

TOLERANCE = {np.float64: 1e-12, np.float32: 2e-4}
PARAMETERS = {
    "jensen_shannon": (1e-12, 1e-3, 0.3, 0.5, 0.9, 1 - 1e-9),
    "alpha": (-1.0, -1e-9, 1e-9, 0.3, 0.5, 0.6, 1 - 1e-9, 1 + 1e-9, 2.0),
}
CASES = [(name, c) for name in LOSSES for c in PARAMETERS.get(name, (0.5,))]

each_case = pytest.mark.parametrize(("divergence", "parameter"), CASES)
# Zeros make these infinite; callers refuse them there.
INFINITE = {("reverse_kl", 0.5), ("jeffreys", 0.5), ("alpha", -1.0), ("alpha", -1e-9)}

each_divergence = pytest.mark.parametrize("divergence", LOSSES)
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def outcome(divergence, c, p, q):
    """What one outcome adds, by definition, and its derivative by q."""
    if divergence == "kl":
        return (-p * mp.log(q) if p else mpf(0)), -p / q
    if divergence == "reverse_kl":
        return q * mp.log(q / p), mp.log(q / p) + 1
    if divergence == "jeffreys":
        return (q - p) * mp.log(q / p), mp.log(q / p) + 1 - p / q
    if divergence == "jensen_shannon":
        m = c * p + (1 - c) * q
        of_p = p * mp.log(p / m) if p else mpf(0)
        value = (c * of_p + (1 - c) * q * mp.log(q / m)) / (c * (1 - c))
        by_m = -(c * p + (1 - c) * q) / m
        slope = (by_m * (1 - c) + (1 - c) * (mp.log(q / m) + 1)) / (c * (1 - c))
        return value, slope
    power = p**c * q ** (1 - c) if p else mpf(0)
    return (c * p + (1 - c) * q - power) / (c * (1 - c)), (1 - power / q) / c


def reference(divergence, c, target, logits, temperature):
    """Loss of a row and its derivatives by the logits, by definition."""
    p = [mpf(float(x)) for x in target]
    p = [x / sum(p) for x in p]
    z = [mpf(float(x)) / temperature for x in logits]
    e = [mp.exp(x - max(z)) for x in z]
    q = [x / sum(e) for x in e]
    outcomes = [outcome(divergence, mpf(c), a, b) for a, b in zip(p, q, strict=True)]
    mean = sum(a * slope for a, (_, slope) in zip(q, outcomes, strict=True))
    slopes = [a * (b - mean) / temperature for a, (_, b) in zip(q, outcomes, strict=True)]
    return sum(value for value, _ in outcomes), slopes


def targets(n_classes, dtype, *, zeros, far=20.0, seed=0):
    rng = np.random.default_rng(seed)
    target = softmax(3.0 * rng.normal(size=(12, n_classes)), axis=1)
    if zeros:
        target[::3, 0] = 0.0
    target *= 1.0 + 3e-4 * rng.uniform(-1.0, 1.0, size=(12, 1)) / (1.0 + zeros)
    target = target.astype(dtype)
    noise = rng.normal(size=target.shape)
    noise[1::2] *= 1e-7
    logits = np.log(np.maximum(target, 1e-3)) + noise
    logits[4] *= far
    return target, logits.astype(dtype).astype(np.float64)


@each_dtype
@each_case
@pytest.mark.parametrize(("n_classes", "temperature"), [(2, 3.0), (3, 1.0), (10, 3.0)])
def test_values_and_gradients_are_those_of_the_definition(
    divergence, parameter, n_classes, temperature, dtype
):
    with workdps(60):
        far = 3.0 if divergence == "alpha" and parameter > 1 else 20.0  # it overflows
        zeros = (divergence, parameter) not in INFINITE
        target, logits = targets(n_classes, dtype, zeros=zeros, far=far)
        if n_classes == 2:
            logits[:, 0] = 0.0
        raw = logits if n_classes > 2 else logits[:, 1:]
        weight = np.arange(1.0, 13.0)
        term = LossTerm(target, weight, temperature, divergence, parameter)
        rows = LinearRows(np.eye(12, dtype=dtype), raw.shape[1], False, [term])
        value, gradient = rows.objective(raw)
        pairs = zip(target, logits, strict=True)
        expected = [reference(divergence, parameter, *pair, temperature) for pair in pairs]
        tolerance = TOLERANCE[dtype]
        total = sum(w * v for w, (v, _) in zip(weight, expected, strict=True))
        size = sum(w * (1 + abs(v)) for w, (v, _) in zip(weight, expected, strict=True))
        assert abs(value - float(total)) < tolerance * float(size)
        for i, (value_i, slopes) in enumerate(expected):
            wanted = weight[i] * np.array([float(s) for s in slopes])
            wanted = wanted if n_classes > 2 else wanted[1:]
            largest = weight[i] * (1.0 + float(abs(value_i)) + abs(wanted).max() / weight[i])
            assert_allclose(gradient[i], wanted, rtol=0, atol=tolerance * largest)


@each_dtype
@each_divergence
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sum_of_two_terms_is_the_sum(divergence, n_classes, dtype):
    """In any layout; the curvature is that of forward KL at the temperature."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(700, 7)).astype(dtype)
    n_logits = 1 if n_classes == 2 else n_classes
    W = rng.normal(size=(8, n_logits)).astype(dtype).astype(np.float64)
    soft = softmax(rng.normal(size=(700, n_classes)), axis=1).astype(dtype)
    hard = rng.integers(n_classes, size=700).astype(np.intp)
    weight, hard_weight = rng.uniform(0.0, 2.0, (2, 700))
    first = LossTerm(soft, weight, 2.5, divergence, 0.3)
    second = LossTerm(hard, hard_weight, 0.4)

    def rows(terms, data=X):
        return LinearRows(data, n_logits, True, terms)

    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    parts = [rows([term]).objective(W) for term in (first, second)]
    size = max(abs(p[1]).max() for p in parts)
    plain = [
        (rows([LossTerm(soft, weight / 2.5**2)]), W / 2.5),
        (rows([LossTerm(hard, hard_weight / 0.4**2)]), W / 0.4),
    ]
    value, gradient = rows([first, second]).objective(W)
    assert value == pytest.approx(parts[0][0] + parts[1][0], rel=tolerance)
    assert_allclose(gradient, parts[0][1] + parts[1][1], rtol=tolerance, atol=tolerance * size)
    fortran, sparse = (rows([first, second], f(X)) for f in (np.asfortranarray, csr_array))
    assert fortran.objective(W)[0] == value
    assert_array_equal(fortran.objective(W)[1], gradient)
    assert sparse.objective(W)[0] == pytest.approx(value, rel=tolerance)
    assert_allclose(sparse.objective(W)[1], gradient, rtol=tolerance, atol=tolerance * size)
    for both in (fortran, sparse):
        for full, products in itertools.product([False, True], repeat=2):
            wanted = [one.curvature(V, full, products) for one, V in plain]
            for a, b, c in zip(both.curvature(W, full, products), *wanted, strict=True):
                if c is not None:
                    assert_allclose(a, b + c, rtol=10 * tolerance, atol=10 * tolerance)


# Beyond an alpha of 1 the divergence itself overflows.
@each_dtype
@pytest.mark.parametrize(
    ("divergence", "parameter"), [c for c in CASES if c[0] != "alpha" or c[1] <= 1.0]
)
def test_predictions_that_underflow_leave_finite_gradients(divergence, parameter, dtype):
    target = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]], dtype)
    term = LossTerm(target, np.ones(2), 1.0, divergence, parameter)
    rows = LinearRows(np.eye(2, dtype=dtype), 3, False, [term])
    far, farther = [[0, -700, -300], [-90, 0, 1]], [[0, -2e3, 5], [1e4, -1e4, 0]]
    for raw in (far, farther):
        value, gradient = rows.objective(np.array(raw, dtype=np.float64))
        assert 0.0 <= value < np.inf
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@each_divergence
def test_what_rounding_left_of_a_target_counts_as_zero(divergence, n_classes):
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(40, 2)), rng.normal(size=(3, 1 if n_classes == 2 else n_classes))
    target = rng.dirichlet(np.ones(n_classes), size=40)
    target[::2, 1] += target[::2, 0]
    parts = []
    for below in (0.0, -1e-9, -1e-6):
        target[::2, 0] = below
        term = LossTerm(target.copy(), np.ones(40), divergence=divergence, parameter=0.3)
        parts.append(LinearRows(X, W.shape[1], True, [term]).objective(W))
    for loss, gradient in parts[1:]:
        assert loss == parts[0][0] < np.inf
        assert_array_equal(gradient, parts[0][1])


@each_dtype
@each_divergence
def test_rows_of_weight_zero_do_not_count(divergence, dtype):
    """Where the divergence of a row may be infinite."""
    target, logits = targets(3, dtype, zeros=False)
    target[::2] = [0.0, 0.0, 1.0]
    logits[::2] *= 100.0
    kept = np.arange(12) % 2 == 1
    # A negative alpha makes it infinite.
    loss = {"temperature": 2.0, "divergence": divergence}
    loss["parameter"] = -1.0 if divergence == "alpha" else 0.3

    def objective(target, weight, logits):
        X = np.eye(len(target), dtype=dtype)
        return LinearRows(X, 3, False, [LossTerm(target, weight, **loss)]).objective(logits)

    value, gradient = objective(target, 1.0 * kept, logits)
    wanted, of_kept = objective(target[kept], np.ones(6), logits[kept])
    assert value == pytest.approx(wanted, rel=10 * float(np.finfo(dtype).eps))
    assert_array_equal(gradient[kept], of_kept)
    assert_array_equal(gradient[~kept], 0.0)
