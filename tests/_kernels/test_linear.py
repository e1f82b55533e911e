"""The kernels of linear models against definitions and many digits."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from sklkl._kernels._linear import LOG_ODDS, LOG_PROBA, PROBA, RAW, LinearRows
from sklkl._kernels._threads import n_threads_for
from sklkl.linear_model._loss import LossTerm
from tests._support import reference
from tests._support.layouts import LAYOUTS, reversed_in_memory, strided
from tests._support.messages import matches
from tests._support.reference import DIGITS_OF_TINY, error, workdps

EPS = {np.float64: 2.0**-52, np.float32: 2.0**-23}
# Below it exponentials are 0.
LEAST = {np.float64: 3.4e-308, np.float32: 1.7e-38}
FULL_AND_PRODUCTS = list(itertools.product([False, True], repeat=2))
CLASSES_AND_SOFT = list(itertools.product([2, 3], [False, True]))

# Rows, features and classes: around whole vectors and whole tiles, and of several runs.
SIZES = [
    *((37, *size) for size in itertools.product((3, 9, 17, 40), (2, 3, 4, 5))),
    *((37, n_features, 3) for n_features in (1, 2, 4, 5, 7, 8, 15, 16)),
    *((37, 4, n_classes) for n_classes in (6, 7, 8, 9, 13, 17, 33)),
    *((n_samples, 3, 2) for n_samples in (1, 15, 17, 256, 600)),
    *((n_samples, 3, 3) for n_samples in (2, 16, 255, 257)),
    *((n_samples, 3, 10) for n_samples in (1, 16, 600)),
    *((40, 0, n_classes) for n_classes in (2, 3)),
    (17_001, 2, 3),  # more tiles of the largest size than runs
    (1_101, 260, 2),  # more tiles of the smallest size than runs
    (99, 12, 150),  # more logits than features
    (99, 700, 2),  # sums too large for a run for each tile
]

each_dtype = pytest.mark.parametrize("dtype", EPS)


class Problem:
    """Random rows; a third of the entries are zeros, some rows empty, some weights zero.

    The sums of target rows are off by up to 3e-4. Everything is exact in ``dtype``.
    """

    def __init__(
        self, n_samples, n_features, n_classes, *, soft, intercept=True, dtype=np.float64
    ):
        rng = np.random.default_rng([n_samples, n_features, n_classes, soft, intercept])
        self.n_logits = 1 if n_classes == 2 else n_classes
        self.intercept = intercept
        X = rng.normal(size=(n_samples, n_features))
        X[rng.random(X.shape) < 1 / 3] = 0.0
        X[3::7] = 0.0
        W = rng.normal(size=(n_features + intercept, self.n_logits))
        W *= 2.0 / np.sqrt(max(1, len(W)))
        code = rng.integers(n_classes, size=n_samples)
        self.weight = rng.uniform(0.5, 2.0, size=n_samples).astype(dtype).astype(np.float64)
        self.weight[5::9] = 0.0
        self.X = X.astype(dtype)
        self.W = W.astype(dtype).astype(np.float64)
        if soft:
            target = softmax(3.0 * rng.normal(size=(n_samples, n_classes)), axis=1)
            target[4::5] = np.eye(n_classes)[code[4::5]]
            target *= 1.0 + 3e-4 * rng.uniform(-1.0, 1.0, size=(n_samples, 1))
            self.target = target.astype(dtype)
        else:
            self.target = code.astype(np.intp)

    def rows(self, X=None):
        """Return the rows, optionally with the data in another layout."""
        X = self.X if X is None else X
        terms = [LossTerm(self.target, self.weight)]
        return LinearRows(X, self.n_logits, self.intercept, terms)

    @property
    def design(self):
        """Features, float64, and the one of ones."""
        X = self.X.astype(np.float64)
        return np.column_stack([X, np.ones(len(X))]) if self.intercept else X

    def logits(self, W):
        """Logits of all classes; the first of a binary problem is 0."""
        z = self.design @ W
        return np.column_stack([np.zeros(len(z)), z]) if self.n_logits == 1 else z

    def objective(self, W):
        """Return loss and gradient by their definitions."""
        log_p = log_softmax(self.logits(W), axis=1)
        y = np.eye(log_p.shape[1])[self.target] if self.target.ndim == 1 else self.target
        y = y / y.sum(axis=1, keepdims=True, dtype=np.float64)
        residual = (np.exp(log_p) - y)[:, -self.n_logits :]
        loss = -np.sum(self.weight * np.sum(y * log_p, axis=1))
        return loss, self.design.T @ (self.weight[:, None] * residual)

    def curvature(self, W):
        """Return the sum of h, its sum with x x', and that of weight * (diag(p) - p p')."""
        p = softmax(self.logits(W), axis=1)
        h = self.weight * (p * (p @ (1.0 - np.eye(p.shape[1])))).sum(axis=1)
        if self.n_logits == 1:
            h /= 2.0
        M = np.diag(self.weight @ p) - (p * self.weight[:, None]).T @ p
        return h.sum(), (self.design * h[:, None]).T @ self.design, M


def assert_is_objective(rows, problem, err_msg=""):
    """Compare with the definition, relatively to a sum in which nothing cancels."""
    rounding = 100 * EPS[rows.dtype.type]
    loss, gradient = rows.objective(problem.W)
    exact_loss, exact_gradient = problem.objective(problem.W)
    assert isinstance(loss, float)
    assert gradient.dtype == np.float64
    assert_allclose(loss, exact_loss, rtol=rounding, atol=1e-300, err_msg=err_msg)
    scale = np.abs(problem.design).T @ problem.weight
    deviation = np.abs(gradient - exact_gradient)
    assert (deviation <= rounding * scale[:, None]).all(), err_msg


def assert_is_curvature(rows, problem, err_msg=""):
    rounding = 100 * EPS[rows.dtype.type]
    exact_total, exact_gram, exact_M = problem.curvature(problem.W)
    scale = np.sqrt(np.outer(exact_gram.diagonal(), exact_gram.diagonal()))
    for full, products in FULL_AND_PRODUCTS:
        total, gram, M = rows.curvature(problem.W, full, products)
        assert_allclose(total, exact_total, rtol=rounding, err_msg=err_msg)
        if full:
            assert_array_equal(gram, gram.T, err_msg=err_msg)
            assert (np.abs(gram - exact_gram) <= rounding * scale).all(), err_msg
        else:
            assert_allclose(gram, exact_gram.diagonal(), rtol=rounding, err_msg=err_msg)
        if problem.n_logits == 1:
            assert M is None
        else:
            scale_M = rounding * problem.weight.sum()
            wanted = exact_M if products else exact_M.diagonal()
            assert_allclose(M, wanted, rtol=0, atol=scale_M, err_msg=err_msg)


def assert_are_predictions(rows, problem, err_msg=""):
    eps = EPS[rows.dtype.type]
    raw, proba, log_proba, log_odds = (
        rows.predict(problem.W, what) for what in (RAW, PROBA, LOG_PROBA, LOG_ODDS)
    )
    for prediction in (raw, proba, log_proba, log_odds):
        assert prediction.dtype == rows.dtype
    exact = problem.logits(problem.W)
    rounding = 3 * eps * (np.abs(problem.design) @ np.abs(problem.W))
    assert raw.shape == rounding.shape, err_msg
    assert (np.abs(raw - exact[:, -problem.n_logits :]) <= rounding).all(), err_msg
    atol = 2 * rounding.max() + 4 * eps
    assert_allclose(log_proba, log_softmax(exact, axis=1), rtol=0, atol=atol, err_msg=err_msg)
    assert_allclose(proba, softmax(exact, axis=1), rtol=0, atol=atol, err_msg=err_msg)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=0, atol=8 * eps, err_msg=err_msg)
    assert_allclose(log_odds[:, 0], np.ptp(exact, axis=1), rtol=0, atol=atol, err_msg=err_msg)


def results(rows, W):
    """Yield everything that rows compute."""
    yield from rows.objective(W)
    for full, products in FULL_AND_PRODUCTS:
        yield from rows.curvature(W, full, products)[: 2 + products]
    for what in (RAW, PROBA, LOG_PROBA, LOG_ODDS):
        yield rows.predict(W, what)


def assert_same_bits(found, expected):
    for result, value in zip(found, expected, strict=True):
        assert_array_equal(result, value)


@each_dtype
@pytest.mark.parametrize("size", SIZES)
def test_sums_and_predictions_are_those_of_the_definition(size, dtype):
    for sparse, intercept in itertools.product([False, True], repeat=2):
        problem = Problem(*size, soft=sparse != intercept, intercept=intercept, dtype=dtype)
        rows = problem.rows(csr_array(problem.X) if sparse else problem.X)
        what = f"sparse: {sparse}, intercept: {intercept}"
        assert_is_objective(rows, problem, what)
        assert_is_curvature(rows, problem, what)
        assert_are_predictions(rows, problem, what)


@each_dtype
@pytest.mark.parametrize("size", [(600, 3, 2), (257, 9, 3), (37, 17, 33)])
@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_an_offset_is_as_features_with_given_coefficients(make, size, dtype):
    problem = Problem(*size, soft=True, intercept=False, dtype=dtype)
    (n, d), K = problem.X.shape, problem.n_logits
    offset = np.random.default_rng(0).normal(size=(n, K)).astype(dtype)
    terms = [LossTerm(problem.target, problem.weight, 2.0)]
    rows = LinearRows(make(problem.X), K, False, terms, offset=offset.astype(np.float64))
    whole = LinearRows(make(np.hstack([problem.X, offset])), K, False, terms)
    W = np.vstack([problem.W, np.eye(K)])
    close = {"rtol": 300 * EPS[dtype], "atol": 300 * EPS[dtype] * n}
    (loss, gradient), (wanted, more) = rows.objective(problem.W), whole.objective(W)
    assert_allclose(loss, wanted, rtol=100 * EPS[dtype])
    assert_allclose(gradient, more[:d], **close)
    for full, products in FULL_AND_PRODUCTS:
        total, gram, M = rows.curvature(problem.W, full, products)
        total_of, gram_of, M_of = whole.curvature(W, full, products)
        assert_allclose(total, total_of, **close)
        assert_allclose(gram, gram_of[:d, :d] if full else gram_of[:d], **close)
        if K > 1:
            assert_allclose(M, M_of, **close)
    for what in (RAW, PROBA, LOG_PROBA):
        expected = whole.predict(W / 2.0, what)
        assert_allclose(rows.predict(problem.W, what, 2.0), expected, **close)
    alone = LinearRows(make(problem.X), K, False).predict(problem.W, LOG_ODDS)
    assert_array_equal(rows.predict(problem.W, LOG_ODDS), alone)  # of a direction


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_rows_of_weight_zero_do_not_count(make):
    for n_classes, soft in CLASSES_AND_SOFT:
        problem = Problem(300, 5, n_classes, soft=soft)
        W = 1e4 * problem.W
        problem.weight[:] = 0.0
        rows = problem.rows(make(problem.X))
        for result in (*rows.objective(W), *rows.curvature(W, True, n_classes > 2)):
            if result is not None:
                assert_array_equal(result, np.zeros_like(result))


@each_dtype
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_show_in_the_loss(bad, dtype):
    """Estimators do not look at X before they have reason to."""
    for (n_classes, soft), make in itertools.product(
        CLASSES_AND_SOFT, (np.asarray, csr_array)
    ):
        problem = Problem(60, 5, n_classes, soft=soft, dtype=dtype)
        for i, j in ((0, 0), (5, 1), (59, 4)):  # the second has weight 0
            X = problem.X.copy()
            X[i, j] = bad
            for W in (0.0 * problem.W, problem.W):
                assert not np.isfinite(problem.rows(make(X)).objective(W)[0])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, csr_array])
def test_float32_data_in_float64_is_as_converted_data(make, n_classes):
    problem = Problem(300, 5, n_classes, soft=True, dtype=np.float32)
    X, n_logits = make(problem.X), problem.n_logits
    center = None if make is csr_array else X[0]
    terms = [LossTerm(problem.target, problem.weight)]
    wide = LinearRows(X, n_logits, True, terms, center, np.float64)
    terms = [LossTerm(problem.target.astype(np.float64), problem.weight)]
    converted = LinearRows(X.astype(np.float64), n_logits, True, terms, center)
    assert wide.dtype == np.float64
    assert_same_bits(results(wide, problem.W), results(converted, problem.W))
    with pytest.raises(ValueError, match="dtype must be float64 or that of X; got float32"):
        LinearRows(X.astype(np.float64), n_logits, True, dtype=np.float32)


DENSE = {
    **{name: layout for name, layout in LAYOUTS.items() if name != "byte order"},
    "strided columns": lambda X: strided(X.T).T,
    "reversed rows": lambda X: reversed_in_memory(X.T).T,
    "unaligned fortran": lambda X: LAYOUTS["unaligned"](X.T).T,
}


def with_indices(dtype):
    """Set the type of the indices, which constructors choose themselves."""

    def layout(X):
        X = csr_array(X)
        X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
        return X

    return layout


def with_room_to_grow(X):
    """Garbage follows the last row."""
    X = csr_array(X)
    X.data = np.append(X.data, X.data[:2] * X.dtype.type(np.nan))
    X.indices = np.append(X.indices, X.indices[-2:])
    return X


def explicit_zeros(X):
    entries = csr_array(np.ones_like(X))
    entries.data = X.ravel()
    return entries


def read_only_csr(X):
    X = csr_array(X)
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    return X


SPARSE = {
    "matrix": csr_matrix,
    **{t.__name__: with_indices(t) for t in (np.int16, np.uint32, np.int32, np.int64)},
    "slice": lambda X: csr_array(np.vstack([X[:5] + 1, X, X[:5] - 1]))[5:-5],
    "room to grow": with_room_to_grow,
    "explicit zeros": explicit_zeros,
    "read-only csr": read_only_csr,
}


@pytest.mark.parametrize("layout", [*DENSE, *SPARSE])
def test_layouts_give_the_same_bits(layout):
    make, plain = {**DENSE, **SPARSE}[layout], np.asarray if layout in DENSE else csr_array
    sizes = (300, 1, 2), (300, 4, 3), (150, 21, 10)
    for dtype, size in itertools.product(EPS, sizes):
        problem = Problem(*size, soft=True, intercept=size[1] > 1, dtype=dtype)
        found, expected = problem.rows(make(problem.X)), problem.rows(plain(problem.X))
        assert_same_bits(results(found, problem.W), results(expected, problem.W))


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda y: np.repeat(y, 2, axis=0)[::2]])
def test_layouts_of_targets_and_weights(layout):
    problem = Problem(40, 5, 3, soft=True)
    terms = [LossTerm(layout(problem.target), layout(problem.weight))]
    rows = LinearRows(problem.X, 3, True, terms)
    assert_same_bits(results(rows, problem.W), results(problem.rows(problem.X), problem.W))


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_layouts_of_coefficients(make):
    for n_classes, dtype in itertools.product((2, 3, 10), EPS):
        problem = Problem(40, 5, n_classes, soft=True, dtype=dtype)
        rows = problem.rows(make(problem.X))
        expected = list(results(rows, problem.W))
        for layout in (*DENSE.values(), lambda W, dtype=dtype: W.astype(dtype)):
            assert_same_bits(results(rows, layout(problem.W)), expected)


@pytest.mark.parametrize("order", ["C", "F"])
@each_dtype
def test_center_is_taken_off_every_row(dtype, order):
    problem = Problem(70, 5, 3, soft=True, dtype=dtype)
    center = np.linspace(-2, 2, 5).astype(dtype)
    terms = [LossTerm(problem.target, problem.weight)]
    rows = LinearRows(problem.X.astype(dtype, order=order), 3, True, terms, center)
    expected = problem.rows(problem.X - center)
    assert_same_bits(results(rows, problem.W), results(expected, problem.W))


@pytest.mark.parametrize("soft", [False, True])
def test_arrays_may_be_read_only_and_nothing_is_written_to(soft):
    problem = Problem(40, 5, 3, soft=soft)
    arrays = (problem.X, problem.W, problem.target, problem.weight)
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    assert all(np.isfinite(result).all() for result in results(problem.rows(), problem.W))
    assert_same_bits(arrays, before)


@pytest.mark.parametrize("make", [np.array, csr_array])
def test_rows_keep_their_data_alive(make):
    problem = Problem(1000, 5, 3, soft=True)
    expected = list(results(problem.rows(make(problem.X)), problem.W))
    term = LossTerm(problem.target.copy(), problem.weight.copy())
    rows = LinearRows(make(problem.X), 3, True, [term])
    del term
    # Of the sizes of the copies, so that the memory would be theirs if it were free.
    garbage = [
        np.full_like(a, np.nan)
        for a in (problem.X, problem.target, problem.weight, csr_array(problem.X).data)
        for _ in range(10)
    ]
    assert_same_bits(results(rows, problem.W), expected)
    assert len(garbage) == 40


@each_dtype
@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_predictions_of_a_row_do_not_depend_on_others(make, dtype):
    for n_classes in (2, 3, 10):
        problem = Problem(35, 5, n_classes, soft=True, dtype=dtype)
        X = make(problem.X)
        for what in (RAW, PROBA, LOG_PROBA):
            batch = problem.rows(X).predict(problem.W, what)
            for i in range(len(problem.X)):
                row = LinearRows(X[i : i + 1], problem.n_logits, True)
                assert_array_equal(row.predict(problem.W, what), batch[i : i + 1])


# Values of rows: a row per feature, so that coefficients are logits, exactly.

CERTAIN = [
    *([1e3, -1e3, 0.0], [1e4, -1e4, 1.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4 - 1]),
    *([1e3, 1e3 - 700, 1e3 - 745], [0.0, -800.0, 3.0], [0.0, 30.0, 0.0], [0.0, -45.0, -35.0]),
    *([-300.0, -200.0, -100.0], [1e30, -1e30, 0.0], [50.0, 0.0, 0.0], [0.5, 0.1, -2.0, 3.0]),
    *([sign * z] for z in (1e30, 1e3, 740.0, 700.0, 40.0, 17.0, 1e-9) for sign in (1, -1)),
    *([0.0], [0.0] * 10),
]
ORDINARY = [
    np.random.default_rng(seed).normal(scale=2.0, size=n_columns).tolist()
    for n_columns in (1, 3, 10)
    for seed in range(4)
]


def rows_of(raw, target=None, weight=1.0):
    """Return rows of logits ``raw``."""
    terms = []
    if target is not None:
        target = np.ascontiguousarray(target, np.intp if np.ndim(target) == 1 else raw.dtype)
        terms.append(LossTerm(target, np.full(len(raw), weight)))
    return LinearRows(np.eye(len(raw), dtype=raw.dtype), raw.shape[1], False, terms)


def loss_and_residuals(raw, target):
    """Loss and gradient of a row."""
    loss, gradient = rows_of(raw, target).objective(raw.astype(np.float64))
    return loss, gradient[0]


def exact_log_softmax(raw_row):
    """Return the logarithms for all classes; the logit of the first of two is 0."""
    logits = [0.0, *raw_row] if len(raw_row) == 1 else raw_row
    return reference.log_softmax(logits, digits=DIGITS_OF_TINY)


def exact_loss(target, raw_row):
    """Return the cross-entropy and its gradient by ``raw_row`` in many digits."""
    with workdps(DIGITS_OF_TINY):
        log_p = exact_log_softmax(raw_row)
        y = reference.normalised(target)
        loss = -sum(a * b for a, b in zip(y, log_p, strict=True))
        slopes = [mp.exp(b) - a for a, b in zip(y, log_p, strict=True)]
        return loss, slopes[-len(raw_row) :]


@each_dtype
@pytest.mark.parametrize("logits", CERTAIN + ORDINARY)
def test_values_of_rows(logits, dtype):
    """Of p, log(p) and 1 - p all digits are known, also next to 1 and where p underflows."""
    raw = np.array([logits], dtype)
    eps, least, W = EPS[dtype], LEAST[dtype], raw.astype(np.float64)
    if logits in ORDINARY:
        eps *= 1.5  # the differences of logits are rounded
    exact = exact_log_softmax(raw[0])
    n_classes = len(exact)
    rows = rows_of(raw, [0], 1.5)
    assert_array_equal(rows.predict(raw, RAW), raw)
    log_p, p = rows.predict(raw, LOG_PROBA)[0], rows.predict(raw, PROBA)[0]
    for value, log_value, expected in zip(p, log_p, exact, strict=True):
        assert error(log_value, expected, atol=least) <= 6 * eps
        assert error(value, mp.exp(expected), atol=least) <= 10 * eps
    # The curvature; what rounding to digits leaves of zero does not matter.
    with workdps(DIGITS_OF_TINY):
        p = [mp.exp(u) for u in exact]
        h = mpf(1.5) * sum(x * (1 - x) for x in p) / (2 if len(logits) == 1 else 1)
        pairs = itertools.product(range(n_classes), repeat=2)
        exact_M = [1.5 * (p[i] * (1 - p[i]) if i == j else -p[i] * p[j]) for i, j in pairs]
    total, gram, M = rows.curvature(W, True, len(logits) > 1)
    assert error(total, h, atol=2 * least) <= 20 * eps
    assert error(gram[0, 0], h, atol=2 * least) <= 20 * eps
    assert rows.curvature(W, False, False)[1][0] == gram[0, 0]
    for value, expected in zip(M.ravel() if M is not None else (), exact_M, strict=False):
        assert error(value, expected, atol=4 * least) <= 20 * eps
    # The losses: of labels, where residuals are relatively accurate, and of probabilities.
    even, skewed = np.ones(n_classes), np.full(n_classes, 1e-5)
    even[-1] = 1 + (n_classes > 2)
    skewed[-1] = 1 - skewed[1:].sum()
    for target in (*np.eye(n_classes), even / even.sum(), skewed):
        target = target.astype(dtype)
        exact_value, slopes = exact_loss(target, raw[0])
        loss, residuals = loss_and_residuals(raw, target[None])
        assert error(loss, exact_value, atol=least) <= 10 * eps
        for value, slope in zip(residuals, slopes, strict=True):
            assert abs(value - slope) <= 10 * eps
        if target.max() == 1:
            loss, residuals = loss_and_residuals(raw, [target.argmax()])
            assert error(loss, exact_value, atol=least) <= 10 * eps
            for value, slope in zip(residuals, slopes, strict=True):
                assert error(value, slope, atol=2 * least) <= 10 * eps


@each_dtype
@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-18])
def test_classes_of_a_binary_problem_can_be_swapped(small, dtype):
    """Neither class may be the one whose small probabilities are known less well."""
    target = np.array([[1 - small, small]], dtype)
    raw = np.array([[np.log(small) - np.log1p(-small) + 0.5]], dtype)
    loss, residual = loss_and_residuals(raw, target)
    swapped_loss, swapped_residual = loss_and_residuals(-raw, target[:, ::-1])
    assert_allclose(swapped_loss, loss, rtol=10 * EPS[dtype])
    assert_allclose(swapped_residual, -residual, rtol=10 * EPS[dtype])
    assert error(residual[0], exact_loss(target[0], raw[0])[1][0]) <= 50 * EPS[dtype]


@pytest.mark.parametrize(
    ("size", "soft", "make", "dtype"),
    [
        ((20_001, 4, 2), False, np.asarray, np.float64),
        ((5_001, 60, 3), True, csr_array, np.float32),
        ((3_001, 9, 40), True, np.asarray, np.float32),
        ((3_001, 9, 40), False, csr_array, np.float64),
    ],
)
def test_bits_do_not_depend_on_threads(size, soft, make, dtype, monkeypatch):
    problem = Problem(*size, soft=soft, dtype=dtype)
    rows = problem.rows(make(problem.X))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")  # whatever the number of cores
    expected = None
    for n_threads in (1, 2, 5):
        with threadpool_limits(limits=n_threads):
            assert n_threads_for(1 << 20) == n_threads
            found = list(results(rows, problem.W))
        expected = expected or found
        assert_same_bits(found, expected)


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_threads_may_share_rows(make):
    problem = Problem(1000, 6, 3, soft=True)
    rows = problem.rows(make(problem.X))
    Ws = [problem.W * scale for scale in np.linspace(0.1, 2.0, 20)]
    with ThreadPoolExecutor(4) as pool:
        for W, found in zip(Ws, pool.map(lambda W: list(results(rows, W)), Ws), strict=True):
            assert_same_bits(found, results(rows, W))


# What does not fit is refused: loops would read or write beyond the ends of arrays.


def csr(**changes):
    """A CSR matrix of shape (2, 3) with arrays exchanged, which SciPy does not look into."""
    X = csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    for name, values in changes.items():
        setattr(X, name, np.array(values))
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (csr(indices=[0, 2, 3]), "Row 1 of X has an entry in column 3, but X has 3 columns"),
        (csr(indices=[0, -1, 1]), "Row 0 of X has an entry in column -1"),
        (csr(indptr=[0, 2, 4]), "X.indptr must lie between 0 and 3"),
        (csr(indptr=[-1, 2, 3]), "X.indptr must lie between 0 and 3"),
        (csr(indptr=[0, 4, 3]), "X.indptr must not fall; at row 1 it goes from 4 to 3"),
        (csr(indptr=[0, 3]), "X.indptr must hold 3 integers"),
        (csr(indptr=[0.0, 2.0, 3.0]), "X.indptr must hold 3 integers"),
        (csr(indices=[0.0, 2.0, 1.0]), "X.indices must be a vector of integers"),
        (csr(data=[1.0, 2.0]), "X.indptr must lie between 0 and 2"),
        (csr().tocsc(), "an array or a CSR matrix; got the format 'csc'"),
        (np.zeros((2, 3), dtype=int), "X must be two-dimensional, float32 or float64"),
        (np.zeros((2, 3), dtype=">f8"), "X must be two-dimensional, float32 or float64"),
        (np.zeros(3), "X must be two-dimensional"),
    ],
)
def test_data_that_are_no_matrix_are_refused(X, message):
    with pytest.raises(ValueError, match=matches(message)):
        LinearRows(X, 1, True)


def term(target=(0, 1, 2), weight=None, **options):
    return LossTerm(np.asarray(target), np.ones(3) if weight is None else weight, **options)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([term([0, 1, 3])], "The target of row 2 is 3, but codes of 3 classes lie"),
        ([term([0, -1, 1])], "The target of row 1 is -1"),
        ([term([0, 1])], f"must hold 3 of {np.dtype(np.intp)}, one for each row"),
        ([term([0.0, 1.0, 2.0])], "got the shape (3,) of float64"),
        ([term(np.full((3, 2), 0.5))], "must have the shape (3, 3)"),
        ([term(np.full((2, 3), 0.5))], "must have the shape (3, 3)"),
        ([term(np.full((3, 3), 1 / 3, np.float32))], "float64; got"),
        ([term(weight=np.ones(2))], "The weight must hold 3 of float64"),
        ([term(weight=np.ones(3, np.float32))], "The weight must hold 3 of float64"),
        ([term(divergence="reverse_kl")], "'reverse_kl' needs a target of probabilities"),
        ([term()] * 3, "At most 2 terms"),
    ],
)
def test_terms_that_do_not_fit_the_rows_are_refused(terms, message):
    with pytest.raises(ValueError, match=matches(message)):
        LinearRows(np.zeros((3, 2)), 3, True, terms)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3,), (4, 3)])
def test_shapes_that_do_not_fit_are_refused(shape):
    rows = LinearRows(np.zeros((3, 2)), 3, True, [term()])
    calls = [(rows.objective,), (rows.curvature, True, True), (rows.predict, PROBA)]
    for method, *options in calls:
        with pytest.raises(ValueError, match=r"W must have the shape \(3, 3\)"):
            method(np.zeros(shape), *options)
    with pytest.raises(ValueError, match=r"offset must have the shape \(2, 3\); got \(3, 2\)"):
        LinearRows(np.ones((2, 2)), 3, True, offset=np.ones((3, 2)))
    with pytest.raises(ValueError, match="center has shape"):
        LinearRows(np.zeros((3, 2)), 3, True, [], np.zeros(shape))
    with pytest.raises(ValueError, match="n_logits must be at least 1; got 0"):
        LinearRows(np.zeros((3, 2)), 0, True)
