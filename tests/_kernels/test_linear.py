"""The kernels of linear models against definitions, high precision and finite differences."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from sklkl._kernels import _openmp
from sklkl._kernels._linear import DIVERGENCES, LOG_PROBA, PROBA, RAW, LinearRows
from sklkl.linear_model._objective import LossTerm
from tests._support import reference
from tests._support.reference import DIGITS_OF_TINY, error

# Around whole vectors and whole tiles, and of several runs.
N_FEATURES = (*range(1, 10), 15, 16, 17, 40)
N_CLASSES = (*range(2, 10), 13, 17, 33)
N_SAMPLES = (1, 2, 15, 16, 17, 255, 256, 257, 600)

EPS = {np.float64: 2.0**-52, np.float32: 2.0**-23}
# Below it exponentials are 0.
LEAST = {np.float64: 3.4e-308, np.float32: 1.7e-38}
FULL_AND_PRODUCTS = list(itertools.product([False, True], repeat=2))

each_dtype = pytest.mark.parametrize("dtype", EPS)
each_kind = pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
each_n_classes = pytest.mark.parametrize("n_classes", [2, 3, 10])


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
        return LinearRows(
            X, self.n_logits, self.intercept, [LossTerm(self.target, self.weight)]
        )

    @property
    def design(self):
        """Features, float64, and the one of ones."""
        X = self.X.astype(np.float64)
        return np.column_stack([X, np.ones(len(X))]) if self.intercept else X

    def logits(self, W):
        """Logits of all classes; the first of a binary problem is 0."""
        z = self.design @ W
        return np.column_stack([np.zeros(len(z)), z]) if self.n_logits == 1 else z

    def probabilities(self, W):
        """Of all classes, p and 1 - p."""
        p = softmax(self.logits(W), axis=1)
        return p, p @ (1.0 - np.eye(p.shape[1]))

    def objective(self, W):
        """Return loss and gradient by their definitions."""
        log_p = log_softmax(self.logits(W), axis=1)
        n_classes = log_p.shape[1]
        y = np.eye(n_classes)[self.target] if self.target.ndim == 1 else self.target
        y = y / y.sum(axis=1, keepdims=True, dtype=np.float64)
        residual = (np.exp(log_p) - y)[:, -self.n_logits :]
        loss = -np.sum(self.weight * np.sum(y * log_p, axis=1))
        return loss, self.design.T @ (self.weight[:, None] * residual)

    def curvature(self, W):
        """Return the sum of h, its sum with x x', and that of weight * (diag(p) - p p')."""
        p, other = self.probabilities(W)
        h = self.weight * (p * other).sum(axis=1)
        if self.n_logits == 1:
            h /= 2.0
        M = np.diag(self.weight @ p) - (p * self.weight[:, None]).T @ p
        return h.sum(), (self.design * h[:, None]).T @ self.design, M


def finite_differences(f, W, step=2e-3):
    """Gradient of f at W with an error of fourth order in the step."""
    gradient = np.empty_like(W)
    for index in np.ndindex(W.shape):
        E = np.zeros_like(W)
        E[index] = step
        near, far = f(W + E) - f(W - E), f(W + 2 * E) - f(W - 2 * E)
        gradient[index] = (8 * near - far) / (12 * step)
    return gradient


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


def assert_is_curvature(rows, problem, err_msg="", only=FULL_AND_PRODUCTS):
    rounding = 100 * EPS[rows.dtype.type]
    exact_total, exact_gram, exact_M = problem.curvature(problem.W)
    scale = np.sqrt(np.outer(exact_gram.diagonal(), exact_gram.diagonal()))
    for full, products in only:
        total, gram, M = rows.curvature(problem.W, full, products)
        assert_allclose(total, exact_total, rtol=rounding, err_msg=err_msg)
        if full:
            assert_array_equal(gram, gram.T, err_msg=err_msg)
            assert (np.abs(gram - exact_gram) <= rounding * scale).all(), err_msg
        else:
            assert_allclose(gram, exact_gram.diagonal(), rtol=rounding, err_msg=err_msg)
        if not products:
            assert M is None
        elif problem.n_logits > 1:
            scale_M = rounding * problem.weight.sum()
            assert_allclose(M, exact_M, rtol=0, atol=scale_M, err_msg=err_msg)


def assert_are_predictions(rows, problem, err_msg=""):
    eps = EPS[rows.dtype.type]
    raw, proba, log_proba = (rows.predict(problem.W, what) for what in (RAW, PROBA, LOG_PROBA))
    for prediction in (raw, proba, log_proba):
        assert prediction.dtype == rows.dtype
    exact = problem.logits(problem.W)
    rounding = 2 * eps * (np.abs(problem.design) @ np.abs(problem.W))
    assert raw.shape == rounding.shape, err_msg
    assert (np.abs(raw - exact[:, -problem.n_logits :]) <= rounding).all(), err_msg
    atol = 2 * rounding.max() + 4 * eps
    assert_allclose(log_proba, log_softmax(exact, axis=1), rtol=0, atol=atol, err_msg=err_msg)
    assert_allclose(proba, softmax(exact, axis=1), rtol=0, atol=atol, err_msg=err_msg)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=0, atol=8 * eps, err_msg=err_msg)


def assert_same_results(rows, expected, W, *, exactly=True, err_msg=""):
    """Compare everything that rows compute with what others do."""

    def results(rows):
        yield from rows.objective(W)
        for full, products in FULL_AND_PRODUCTS:
            total, gram, M = rows.curvature(W, full, products)
            yield from (total, gram) if M is None else (total, gram, M)
        for what in (RAW, PROBA, LOG_PROBA):
            yield rows.predict(W, what)

    for result, value in zip(results(rows), results(expected), strict=True):
        if exactly:
            assert_array_equal(result, value, err_msg=err_msg)
        else:
            rounding = 100 * EPS[rows.dtype.type]
            atol = rounding * np.max(np.abs(value))
            assert_allclose(result, value, rtol=rounding, atol=atol, err_msg=err_msg)


def sparse_and_intercept(problem_of):
    """Yield rows, their problem and a text: dense and sparse, with and without intercept."""
    for intercept in (False, True):
        problem = problem_of(intercept)
        for kind, X in (("dense", problem.X), ("sparse", csr_array(problem.X))):
            yield problem.rows(X), problem, f"{kind}, intercept: {intercept}"


# Sums over rows


@each_dtype
@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("n_features", N_FEATURES)
def test_every_width(n_features, n_classes, dtype):
    for soft in (False, True):

        def problem_of(intercept, soft=soft):
            return Problem(
                37, n_features, n_classes, soft=soft, intercept=intercept, dtype=dtype
            )

        for rows, problem, what in sparse_and_intercept(problem_of):
            assert_is_objective(rows, problem, f"{what}, soft: {soft}")
            if soft:  # of no consequence for these
                assert_is_curvature(rows, problem, what)
                assert_are_predictions(rows, problem, what)


@each_dtype
@each_kind
@each_n_classes
@pytest.mark.parametrize("n_samples", N_SAMPLES)
def test_every_height(n_samples, n_classes, soft, dtype):
    def problem_of(intercept):
        return Problem(n_samples, 3, n_classes, soft=soft, intercept=intercept, dtype=dtype)

    for rows, problem, what in sparse_and_intercept(problem_of):
        assert_is_objective(rows, problem, what)
        assert_is_curvature(rows, problem, what)
        assert_are_predictions(rows, problem, what)


@each_dtype
@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_classes"),
    [
        (17_001, 2, 3),  # more tiles of the largest size than runs
        (1_101, 260, 2),  # more tiles of the smallest size than runs
        (99, 12, 150),  # more logits than features
        (99, 700, 2),  # sums too large for a run for each tile
    ],
)
def test_tall_and_wide_problems(n_samples, n_features, n_classes, dtype):
    problem = Problem(n_samples, n_features, n_classes, soft=True, dtype=dtype)
    for X in (problem.X, csr_array(problem.X)):
        assert_is_objective(problem.rows(X), problem)
        assert_is_curvature(problem.rows(X), problem)
        assert_are_predictions(problem.rows(X), problem)


@each_kind
@each_n_classes
def test_gradient_is_the_slope_of_the_loss(n_classes, soft):
    def problem_of(intercept):
        return Problem(41, 5, n_classes, soft=soft, intercept=intercept)

    for rows, problem, what in sparse_and_intercept(problem_of):
        slope = finite_differences(lambda W, rows=rows: rows.objective(W)[0], problem.W)
        gradient = rows.objective(problem.W)[1]
        assert_allclose(gradient, slope, rtol=1e-8, atol=1e-8, err_msg=what)


@each_dtype
@each_n_classes
def test_certain_soft_target_is_a_hard_one(n_classes, dtype):
    problem = Problem(50, 5, n_classes, soft=False, dtype=dtype)
    hard_loss, hard_gradient = problem.rows().objective(problem.W)
    problem.target = np.eye(n_classes, dtype=dtype)[problem.target]
    loss, gradient = problem.rows().objective(problem.W)
    assert_allclose(loss, hard_loss, rtol=10 * EPS[dtype])
    assert_allclose(gradient, hard_gradient, rtol=0, atol=100 * EPS[dtype])


@each_dtype
@each_kind
@each_n_classes
def test_weight_multiplies(n_classes, soft, dtype):
    problem = Problem(50, 5, n_classes, soft=soft, dtype=dtype)
    loss, gradient = problem.rows().objective(problem.W)
    total, gram, M = problem.rows().curvature(problem.W, True, True)
    factor = 2.0**-20  # for an exact comparison
    problem.weight *= factor
    weighted_loss, weighted_gradient = problem.rows().objective(problem.W)
    weighted_total, weighted_gram, weighted_M = problem.rows().curvature(problem.W, True, True)
    assert weighted_loss == factor * loss
    assert weighted_total == factor * total
    assert_array_equal(weighted_gradient, factor * gradient)
    assert_array_equal(weighted_gram, factor * gram)
    assert_array_equal(weighted_M, factor * M)


@each_dtype
@each_kind
@each_n_classes
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_of_weight_zero_do_not_count(sparse, n_classes, soft, dtype):
    problem = Problem(300, 5, n_classes, soft=soft, dtype=dtype)
    problem.X[::3] *= 1e4
    problem.weight[::3] = 0.0
    layout = csr_array if sparse else np.asarray
    rows, kept = problem.rows(layout(problem.X)), problem.weight > 0
    problem.X, problem.target = problem.X[kept], problem.target[kept]
    problem.weight = problem.weight[kept]
    assert_is_objective(rows, problem)
    assert_is_curvature(rows, problem)
    problem.weight[:] = 0.0
    rows = problem.rows(layout(problem.X))
    loss, gradient = rows.objective(1e4 * problem.W)
    assert loss == 0.0
    assert_array_equal(gradient, np.zeros_like(problem.W))
    for result in rows.curvature(1e4 * problem.W, True, True):
        assert_array_equal(result, np.zeros_like(result))


@each_dtype
@each_kind
@each_n_classes
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_show_in_the_loss(bad, sparse, n_classes, soft, dtype):
    """Estimators do not look at X before they have reason to."""
    problem = Problem(60, 5, n_classes, soft=soft, dtype=dtype)
    for i, j in ((0, 0), (5, 1), (33, 2), (59, 4)):  # the second has weight 0
        X = problem.X.copy()
        X[i, j] = bad
        rows = problem.rows(csr_array(X) if sparse else X)
        for W in (0.0 * problem.W, problem.W):
            assert not np.isfinite(rows.objective(W)[0])


# Memory


def strided(X):
    out = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, X.dtype)
    out[::2, ::3] = X
    return out[::2, ::3]


def strided_rows(X):
    """Whole rows next to other data."""
    out = np.full((X.shape[0], X.shape[1] + 5), np.nan, X.dtype)
    out[:, 2:-3] = X
    return out[:, 2:-3]


def reversed_both_ways(X):
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def reversed_rows(X):
    return np.ascontiguousarray(X[::-1])[::-1]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    memory = np.empty(X.nbytes + 1, np.uint8)[1:]
    out = memory.view(X.dtype).reshape(X.shape)
    out[:] = X
    assert not out.flags.aligned
    return out


DENSE = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "strided rows": strided_rows,
    "strided columns": lambda X: strided(X.T).T,
    "reversed": reversed_both_ways,
    "reversed rows": reversed_rows,
    "read-only": read_only,
    "unaligned": unaligned,
    "unaligned fortran": lambda X: unaligned(X.T).T,
}


def with_indices(X, dtype):
    """Set the type of the indices, which constructors choose themselves."""
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def unsorted_with_duplicates(X):
    """Make every x the sum of 2x and -x, right to left."""
    n_samples, n_features = X.shape
    data = np.hstack([2 * X[:, ::-1], -X[:, ::-1]])
    order = np.arange(n_features)[::-1]
    indices = np.tile(np.concatenate([order, order]), n_samples)
    keep = data.ravel() != 0.0
    counts = keep.reshape(data.shape).sum(axis=1)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    out = csr_array((data.ravel()[keep], indices[keep], indptr), shape=X.shape)
    assert not out.has_canonical_format
    assert_array_equal(out.toarray(), X)
    return out


def with_room_to_grow(X):
    """Garbage follows the last row."""
    X = csr_array(X)
    X.data = np.append(X.data, X.data[:2] * X.dtype.type(np.nan))
    X.indices = np.append(X.indices, X.indices[-2:])
    return X


def explicit_zeros(X):
    n_samples, n_features = X.shape
    indices = np.tile(np.arange(n_features), n_samples)
    indptr = np.arange(0, X.size + 1, n_features)
    return csr_array((X.ravel(), indices, indptr), shape=X.shape)


def read_only_csr(X):
    X = csr_array(X)
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    return X


SPARSE = {
    "matrix": csr_matrix,
    "int32": lambda X: with_indices(csr_array(X), np.int32),
    "int64": lambda X: with_indices(csr_array(X), np.int64),
    "slice": lambda X: csr_array(np.vstack([X[:5] + 1, X, X[:5] - 1]))[5:-5],
    "room to grow": with_room_to_grow,
    "explicit zeros": explicit_zeros,
    "read-only": read_only_csr,
}


def problems_of_two_tiles(dtype):
    """Yield narrow and wide problems, small enough for one thread."""
    for n_features, n_classes, soft, intercept in (
        (1, 2, True, False),
        (4, 3, False, True),
        (21, 10, True, True),
    ):
        yield Problem(
            150 if n_features > 4 else 300,
            n_features,
            n_classes,
            soft=soft,
            intercept=intercept,
            dtype=dtype,
        )


@each_dtype
@pytest.mark.parametrize("layout", DENSE)
def test_dense_layouts_give_the_same_bits(layout, dtype):
    for problem in problems_of_two_tiles(dtype):
        X = DENSE[layout](problem.X)
        assert_array_equal(X, problem.X)
        assert_same_results(problem.rows(X), problem.rows(), problem.W)


@each_dtype
@pytest.mark.parametrize("layout", SPARSE)
def test_sparse_layouts_give_the_same_bits(layout, dtype):
    for problem in problems_of_two_tiles(dtype):
        X = SPARSE[layout](problem.X)
        assert_array_equal(X.toarray(), problem.X)
        assert_same_results(problem.rows(X), problem.rows(csr_array(problem.X)), problem.W)


@each_dtype
@each_n_classes
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_duplicate_entries_are_added(index_dtype, n_classes, dtype):
    """But for the diagonal curvature, which takes them for distinct ones."""
    problem = Problem(200, 6, n_classes, soft=True, dtype=dtype)
    rows = problem.rows(with_indices(unsorted_with_duplicates(problem.X), index_dtype))
    assert_is_objective(rows, problem)
    assert_is_curvature(rows, problem, only=[(True, True)])
    raw, expected = rows.predict(problem.W, RAW), problem.rows().predict(problem.W, RAW)
    assert_allclose(raw, expected, rtol=0, atol=100 * EPS[dtype])


@each_dtype
def test_matrix_without_entries(dtype):
    problem = Problem(40, 5, 3, soft=True, dtype=dtype)
    problem.X[:] = 0.0
    rows = problem.rows(csr_array(problem.X))
    assert_is_objective(rows, problem)
    assert_is_curvature(rows, problem)
    assert_are_predictions(rows, problem)


@each_dtype
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_data_without_features(n_classes, intercept, dtype):
    problem = Problem(40, 0, n_classes, soft=True, intercept=intercept, dtype=dtype)
    for X in (problem.X, csr_array(problem.X)):
        rows = problem.rows(X)
        assert_is_objective(rows, problem)
        assert_is_curvature(rows, problem)
        assert_are_predictions(rows, problem)


@pytest.mark.parametrize("sparse", [False, True])
@each_dtype
@each_n_classes
def test_layouts_of_coefficients(n_classes, dtype, sparse):
    problem = Problem(40, 5, n_classes, soft=True, dtype=dtype)
    rows = problem.rows(csr_array(problem.X) if sparse else None)
    expected_loss, expected_gradient = rows.objective(problem.W)
    expected = rows.predict(problem.W, RAW)
    layouts = [DENSE[name] for name in DENSE if not name.startswith("unaligned")]
    for layout in (*layouts, lambda W: W.astype(dtype)):
        W = layout(problem.W)
        loss, gradient = rows.objective(W)
        assert loss == expected_loss
        assert_array_equal(gradient, expected_gradient)
        assert_array_equal(rows.predict(W, RAW), expected)


@each_dtype
@each_kind
def test_other_arrays_may_be_read_only_and_nothing_is_written_to(soft, dtype):
    problem = Problem(40, 5, 3, soft=soft, dtype=dtype)
    arrays = (problem.X, problem.W, problem.target, problem.weight)
    expected = [array.copy() for array in arrays]
    writeable = problem.rows()
    assert_same_results(problem.rows(), writeable, problem.W)
    for array, before in zip(arrays, expected, strict=True):
        assert_array_equal(array, before)
        array.flags.writeable = False
    assert_same_results(problem.rows(), writeable, problem.W)


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_keep_their_data_alive(sparse):
    problem = Problem(1000, 5, 3, soft=True)
    layout = csr_array if sparse else np.array
    expected = problem.rows(layout(problem.X))
    term = LossTerm(problem.target.copy(), problem.weight.copy())
    rows = LinearRows(layout(problem.X), 3, True, [term])
    del term
    # Of the sizes of the copies, so that the memory would be theirs if it were free.
    garbage = [
        np.full_like(a, np.nan)
        for a in (problem.X, problem.target, problem.weight, csr_array(problem.X).data)
        for _ in range(10)
    ]
    assert_same_results(rows, expected, problem.W)
    assert len(garbage) == 40


@each_dtype
@each_n_classes
@pytest.mark.parametrize("sparse", [False, True])
def test_predictions_of_a_row_do_not_depend_on_others(sparse, n_classes, dtype):
    problem = Problem(70, 5, n_classes, soft=True, dtype=dtype)
    X = csr_array(problem.X) if sparse else problem.X
    for what in (RAW, PROBA, LOG_PROBA):
        batch = problem.rows(X).predict(problem.W, what)
        for i in range(len(problem.X)):
            row = LinearRows(X[i : i + 1], problem.n_logits, True)
            assert_array_equal(row.predict(problem.W, what), batch[i : i + 1])


# Values of rows: a row per feature, so that coefficients are logits, exactly.

HUGE_LOGITS = [
    [1e3, -1e3, 0.0],
    [1e4, -1e4, 1.0],
    [-1e4, -1e4, -1e4],
    [1e4, 1e4, 1e4 - 1],
    [1e3, 1e3 - 700, 1e3 - 745],
    [0.0, -800.0, 3.0],
    [0.0, 30.0, 0.0],
    [0.0, -45.0, -35.0],
    [-300.0, -200.0, -100.0],
    [1e30, -1e30, 0.0],
]
HUGE_BINARY_LOGITS = [1e30, 1e4, 1e3, 740.0, 700.0, 100.0, 40.0, 17.0, 1e-9]


def rows_of(raw, target=None, weight=None):
    """Return rows of logits ``raw``."""
    terms = []
    if target is not None:
        target = np.ascontiguousarray(target, np.intp if np.ndim(target) == 1 else raw.dtype)
        weight = np.ones(len(raw)) if weight is None else np.asarray(weight, np.float64)
        terms.append(LossTerm(target, weight))
    return LinearRows(np.eye(len(raw), dtype=raw.dtype), raw.shape[1], False, terms)


def losses_and_residuals(raw, target, weight=None):
    """Loss and gradient of each row."""
    W = raw.astype(np.float64)
    gradient = rows_of(raw, target, weight).objective(W)[1]
    losses = np.empty(len(raw))
    for i in range(len(raw)):
        one = slice(i, i + 1)
        losses[i], _ = rows_of(
            raw[one], target[one], None if weight is None else weight[one]
        ).objective(W[one])
    return losses, gradient


def rounding_of(raw_row):
    """Bound the relative error of a probability: that of the difference of its logit."""
    logits = np.array(logits_of(raw_row))
    return (8 + np.ptp(logits) / 2) * EPS[raw_row.dtype.type]


def logits_of(raw_row):
    """All logits of a row; that of the first of two classes is 0."""
    return [0.0, *raw_row] if len(raw_row) == 1 else list(raw_row)


def exact_loss(target, raw_row, digits=reference.DIGITS):
    """Return the cross-entropy and its gradient by ``raw_row`` in many digits."""
    with mp.workdps(digits):
        log_p = reference.log_softmax(logits_of(raw_row), digits=digits)
        y = reference.normalised(target)
        loss = -sum(a * b for a, b in zip(y, log_p, strict=True))
        slopes = [mp.exp(b) - a for a, b in zip(y, log_p, strict=True)]
        return loss, slopes[-len(raw_row) :]


def row_problem(n, n_columns, dtype, scale=2.0):
    """Return logits, soft targets with some zeros, codes, and weights."""
    rng = np.random.default_rng(n_columns)
    n_classes = max(2, n_columns)
    raw = rng.normal(scale=scale, size=(n, n_columns)).astype(dtype)
    target = rng.dirichlet(np.ones(n_classes), size=n)
    target[::4, 0] = 0.0
    target[1::4, 1] = 0.0
    target = (target / target.sum(axis=1, keepdims=True)).astype(dtype)
    code = rng.integers(0, n_classes, size=n)
    weight = rng.uniform(0.5, 2.0, size=n).astype(dtype).astype(np.float64)
    return raw, target, code, weight


each_n_columns = pytest.mark.parametrize("n_columns", [1, 3, 10])


@each_n_columns
@each_dtype
def test_soft_values(n_columns, dtype):
    raw, target, _, weight = row_problem(20, n_columns, dtype)
    losses, residuals = losses_and_residuals(raw, target, weight)
    for i in range(len(raw)):
        loss, slopes = exact_loss(target[i], raw[i])
        assert error(losses[i], weight[i] * loss) <= 10 * EPS[dtype]
        for value, slope in zip(residuals[i], slopes, strict=True):
            assert abs(value - weight[i] * slope) <= 10 * EPS[dtype]


@each_n_columns
@each_dtype
def test_hard_values(n_columns, dtype):
    """With hard labels nothing cancels: the gradient, too, is relatively accurate."""
    raw, _, code, weight = row_problem(20, n_columns, dtype)
    raw[::3] *= 10
    losses, residuals = losses_and_residuals(raw, code, weight)
    for i in range(len(raw)):
        loss, slopes = exact_loss(np.eye(max(2, n_columns))[code[i]], raw[i])
        rounding = rounding_of(raw[i])
        assert error(losses[i], weight[i] * loss, atol=LEAST[dtype]) <= rounding
        for value, slope in zip(residuals[i], slopes, strict=True):
            assert error(value, weight[i] * slope, atol=2 * LEAST[dtype]) <= rounding


@each_dtype
@pytest.mark.parametrize("logits", HUGE_LOGITS)
def test_huge_logits(logits, dtype):
    raw = np.array([logits], dtype)
    rounding = 10 * EPS[dtype]
    for code in range(3):
        loss, slopes = exact_loss(np.eye(3)[code], raw[0], DIGITS_OF_TINY)
        losses, residuals = losses_and_residuals(raw, np.array([code]))
        assert error(losses[0], loss, atol=LEAST[dtype]) <= rounding
        for value, slope in zip(residuals[0], slopes, strict=True):
            assert error(value, slope, atol=2 * LEAST[dtype]) <= rounding
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.25, 0.25, 0.5]], dtype)
    for target in targets:
        loss, slopes = exact_loss(target, raw[0], DIGITS_OF_TINY)
        losses, residuals = losses_and_residuals(raw, target[None])
        assert error(losses[0], loss, atol=LEAST[dtype]) <= rounding
        for value, slope in zip(residuals[0], slopes, strict=True):
            assert abs(value - slope) <= rounding


@each_dtype
@pytest.mark.parametrize("size", HUGE_BINARY_LOGITS)
def test_huge_logit_of_a_binary_problem(size, dtype):
    targets = np.array([[1, 0], [0, 1], [0.25, 0.75], [1e-5, 1 - 1e-5]], dtype)
    for logit in (size, -size):
        raw = np.array([[logit]], dtype)
        for target in targets:
            losses, residuals = losses_and_residuals(raw, target[None])
            loss, (slope,) = exact_loss(target, raw[0], DIGITS_OF_TINY)
            assert error(losses[0], loss, atol=LEAST[dtype]) <= 10 * EPS[dtype]
            assert abs(residuals[0, 0] - slope) <= 10 * EPS[dtype]
        for code in (0, 1):
            losses, residuals = losses_and_residuals(raw, np.array([code]))
            loss, (slope,) = exact_loss(np.eye(2)[code], raw[0], DIGITS_OF_TINY)
            assert error(losses[0], loss, atol=LEAST[dtype]) <= 10 * EPS[dtype]
            assert error(residuals[0, 0], slope, atol=LEAST[dtype]) <= 10 * EPS[dtype]


@each_dtype
def test_classes_of_a_binary_problem_can_be_swapped(dtype):
    """Neither class may be the one whose small probabilities are known less well."""
    small = np.array([1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-18], dtype)
    target = np.column_stack([1 - small, small])
    raw = (np.log(small) - np.log1p(-small) + dtype(0.5))[:, None]
    losses, residuals = losses_and_residuals(raw, target)
    swapped_losses, swapped_residuals = losses_and_residuals(-raw, target[:, ::-1])
    assert_allclose(swapped_losses, losses, rtol=10 * EPS[dtype])
    assert_allclose(swapped_residuals, -residuals, rtol=10 * EPS[dtype])
    for i in range(len(raw)):
        _, (slope,) = exact_loss(target[i], raw[i], DIGITS_OF_TINY)
        assert error(residuals[i, 0], slope) <= 50 * EPS[dtype]


@each_dtype
def test_single_column_is_the_logit_of_the_second_class(dtype):
    raw, target, code, weight = row_problem(30, 1, dtype)
    two = np.hstack([np.zeros_like(raw), raw])
    for truth in (target, code):
        losses, residuals = losses_and_residuals(raw, truth, weight)
        two_losses, two_residuals = losses_and_residuals(two, truth, weight)
        assert_allclose(losses, two_losses, rtol=10 * EPS[dtype])
        assert_allclose(residuals[:, 0], two_residuals[:, 1], rtol=0, atol=10 * EPS[dtype])
    for what in (PROBA, LOG_PROBA):
        one = rows_of(raw).predict(raw, what)
        assert_allclose(one, rows_of(two).predict(two, what), rtol=10 * EPS[dtype])


@each_dtype
@pytest.mark.parametrize(
    "logits",
    [
        *HUGE_LOGITS,
        [0.5, 0.1, -2.0, 3.0],
        *([s * z] for z in HUGE_BINARY_LOGITS for s in (1, -1)),
    ],
)
def test_curvature_of_rows_that_are_nearly_certain(logits, dtype):
    """1 - p is known to all digits where p is next to 1."""
    raw = np.array([logits], dtype)
    W = raw.astype(np.float64)
    with mp.workdps(DIGITS_OF_TINY):
        log_p = reference.log_softmax(logits_of(raw[0]), digits=DIGITS_OF_TINY)
        p = [mp.exp(u) for u in log_p]
        # What rounding to digits leaves of zero does not matter: see LEAST.
        h = sum(x * (1 - x) for x in p)
        exact_M = [
            [x * (1 - y) if i == j else -x * y for j, y in enumerate(p)]
            for i, x in enumerate(p)
        ]
    rows = rows_of(raw, [0], [1.5])
    total, gram, M = rows.curvature(W, True, len(logits) > 1)
    h *= mpf(1.5) / (2 if len(logits) == 1 else 1)
    assert error(total, h, atol=2 * LEAST[dtype]) <= 20 * EPS[dtype]
    assert error(gram[0, 0], h, atol=2 * LEAST[dtype]) <= 20 * EPS[dtype]
    assert rows.curvature(W, False, False)[1][0] == gram[0, 0]
    if M is not None:
        for value, exact in zip(M.ravel(), itertools.chain(*exact_M), strict=True):
            assert error(value, 1.5 * exact, atol=4 * LEAST[dtype]) <= 20 * EPS[dtype]


# Predictions


@each_dtype
@pytest.mark.parametrize(
    "logits",
    [
        *HUGE_LOGITS,
        [50.0, 0.0, 0.0],
        [700.0, 0.0, 0.0],
        [0.1, 0.2, 0.3],
        [0.0] * 10,
        *([s * z] for z in HUGE_BINARY_LOGITS for s in (1, -1)),
        [0.0],
    ],
)
def test_probabilities_of_single_rows(logits, dtype):
    """Logarithms are accurate next to 0, and far below what a probability can be."""
    raw = np.array([logits], dtype)
    rows = rows_of(raw)
    assert_array_equal(rows.predict(raw, RAW), raw)
    log_p, p = rows.predict(raw, LOG_PROBA)[0], rows.predict(raw, PROBA)[0]
    exact = reference.log_softmax(logits_of(raw[0]), digits=DIGITS_OF_TINY)
    for value, log_value, expected in zip(p, log_p, exact, strict=True):
        assert error(log_value, expected, atol=LEAST[dtype]) <= 6 * EPS[dtype]
        assert error(value, mp.exp(expected), atol=LEAST[dtype]) <= 10 * EPS[dtype]


@each_n_columns
@each_dtype
def test_probabilities_of_ordinary_rows(n_columns, dtype):
    raw, *_ = row_problem(50, n_columns, dtype)
    raw[::3] *= 10
    log_proba = rows_of(raw).predict(raw, LOG_PROBA)
    proba = rows_of(raw).predict(raw, PROBA)
    for i in range(len(raw)):
        exact = reference.log_softmax(logits_of(raw[i]))
        for value, log_value, expected in zip(proba[i], log_proba[i], exact, strict=True):
            assert error(log_value, expected, atol=LEAST[dtype]) <= rounding_of(raw[i])
            assert error(value, mp.exp(expected), atol=LEAST[dtype]) <= rounding_of(raw[i])
            assert abs(log_value - expected) <= 4 * EPS[dtype] * max(1, -expected)


# Threads


@pytest.fixture
def with_threads(monkeypatch):
    """Return a function that calls another with so many threads, cores or not."""
    monkeypatch.setenv("OMP_NUM_THREADS", "5")

    def call(function, n_threads):
        with threadpool_limits(limits=n_threads):
            if _openmp.OPENMP_ENABLED:
                assert _openmp.n_threads_for(1 << 20) == n_threads
            return function()

    return call


@each_dtype
@each_kind
@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_classes"), [(20_001, 4, 2), (5_001, 60, 3), (3_001, 9, 40)]
)
@pytest.mark.parametrize("sparse", [False, True])
def test_bits_do_not_depend_on_threads(
    sparse, n_samples, n_features, n_classes, soft, dtype, with_threads
):
    problem = Problem(n_samples, n_features, n_classes, soft=soft, dtype=dtype)
    rows = problem.rows(csr_array(problem.X) if sparse else problem.X)

    def results():
        yield from rows.objective(problem.W)
        yield from rows.curvature(problem.W, True, True)
        yield rows.curvature(problem.W, False, False)[1]
        yield rows.predict(problem.W, LOG_PROBA)

    expected = with_threads(lambda: list(results()), 1)
    for n_threads in (2, 5):
        many = with_threads(lambda: list(results()), n_threads)
        for result, value in zip(many, expected, strict=True):
            assert_array_equal(result, value)


# ---------------------------------------------------------------------------------------------
# What does not fit is refused.
# ---------------------------------------------------------------------------------------------


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
        (csr(indices=[0.0, 2.0, 1.0]), "X.indices must be a vector of integers"),
        (csr(data=[1.0, 2.0]), "X.indptr must lie between 0 and 2"),
        (csr().tocsc(), "an array or a CSR matrix; got the format 'csc'"),
        (np.zeros((2, 3), dtype=int), "X must be two-dimensional, float32 or float64"),
        (np.zeros((2, 3), dtype=">f8"), "X must be two-dimensional, float32 or float64"),
        (np.zeros(3), "X must be two-dimensional"),
    ],
)
def test_data_with_entries_outside_of_it_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        LinearRows(X, 1, True)


@pytest.mark.parametrize(
    ("target", "weight", "message"),
    [
        (
            [0, 1, 3],
            None,
            "The target of row 2 is 3, but codes of 3 classes lie",
        ),
        ([0, -1, 1], None, "The target of row 1 is -1"),
        ([0, 1], None, "must hold 3 of int64, one for each row"),
        ([0.0, 1.0, 2.0], None, "got the shape \\(3,\\) of float64"),
        (np.full((3, 2), 0.5), None, "must have the shape \\(3, 3\\)"),
        (np.full((2, 3), 0.5), None, "must have the shape \\(3, 3\\)"),
        (np.full((3, 3), 1 / 3, np.float32), None, "float64; got"),
        ([0, 1, 2], np.ones(2), "The weight must hold 3 of float64"),
        ([0, 1, 2], np.ones(3, np.float32), "The weight must hold 3 of float64"),
    ],
)
def test_terms_that_do_not_fit_the_rows_are_refused(target, weight, message):
    term = LossTerm(np.asarray(target), np.ones(3) if weight is None else weight)
    with pytest.raises(ValueError, match=message):
        LinearRows(np.zeros((3, 2)), 3, True, [term])


def test_codes_serve_the_first_divergence_only():
    term = LossTerm(np.array([0, 1, 2]), np.ones(3), divergence="reverse_kl")
    with pytest.raises(ValueError, match="'reverse_kl' needs a target of probabilities"):
        LinearRows(np.zeros((3, 2)), 3, True, [term])


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3,), (4, 3)])
def test_coefficients_of_another_shape_are_refused(shape):
    rows = LinearRows(np.zeros((3, 2)), 3, True, [LossTerm(np.array([0, 1, 2]), np.ones(3))])
    W = np.zeros(shape)
    for call in (
        lambda: rows.objective(W),
        lambda: rows.curvature(W, True, True),
        lambda: rows.predict(W, PROBA),
    ):
        with pytest.raises(ValueError, match=r"W must have the shape \(3, 3\)"):
            call()


@pytest.mark.parametrize("index", [np.int16, np.uint32, np.int64])
def test_integers_of_any_size_index_columns(index):
    X, W = csr(), np.arange(4.0)[:, None]
    expected = LinearRows(X, 1, True).predict(W, RAW)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    assert_array_equal(LinearRows(X, 1, True).predict(W, RAW), expected)


@pytest.mark.parametrize("divergence", ["kl", *sorted(set(DIVERGENCES) - {"kl"})])
def test_what_rounding_left_of_a_target_counts_as_zero(divergence):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    for K in (2, 3):
        W = rng.normal(size=(3, max(1, K - (K == 2))))
        target = rng.dirichlet(np.ones(K), size=40)
        target[::2, 0], target[::2, 1] = 0.0, 1.0 - target[::2, 2:].sum(axis=1)
        parts = []
        for below in (0.0, -1e-9, -1e-6):
            target[::2, 0] = below
            term = LossTerm(target.copy(), np.ones(40), divergence=divergence, parameter=0.3)
            parts.append(LinearRows(X, W.shape[1], True, [term]).objective(W))
        for loss, gradient in parts[1:]:
            assert loss == parts[0][0] < np.inf
            assert_array_equal(gradient, parts[0][1])


@pytest.mark.parametrize("sparse", [False, True])
def test_threads_may_share_rows(sparse):
    problem = Problem(2000, 6, 3, soft=True)
    rows = problem.rows(csr_array(problem.X) if sparse else None)
    Ws = [problem.W * scale for scale in np.linspace(0.1, 2.0, 40)]

    def evaluate(W):
        return *rows.objective(W), *rows.curvature(W, True, True), rows.predict(W, PROBA)

    serial = [evaluate(W) for W in Ws]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(evaluate, Ws), serial, strict=True):
            for a, b in zip(found, expected, strict=True):
                assert_array_equal(a, b)
