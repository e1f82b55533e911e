"""What all functions of rows owe: layouts, types, axes, batches, threads, names, refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

from sklkl.divergences import (
    divergence_from_logits,
    entropy,
    entropy_from_counts,
    gaussian_kl_divergence,
    jensen_shannon_from_counts,
    kl_contributions,
    kl_divergence_from_logits,
    kl_from_counts,
    pairwise_divergences,
    sampled_kl,
)
from tests._support.cases import FUNCTIONS as DIVERGENCES
from tests._support.cases import Case, case
from tests._support.layouts import LAYOUTS
from tests._support.problems import random_rows

PARAMETERS = {
    "jensen_shannon_divergence": {"weight": 0.3},
    "renyi": {"order": 2},
    "alpha": {"alpha": 0.3},
}


def probabilities(n, k):
    """Ordinary and near-equal rows, with exact and inexact sums, zeros and tiny entries."""
    p, q = random_rows(n, k, 1), random_rows(n, k, 2)
    if k > 1:
        p[1::7, 0] = q[2::7, -1] = 0.0
        p[3::7, -1], q[3::7, -1] = 1e-300, 1e-310
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
    q[4::7] = p[4::7] * (1 + 1e-9 * np.linspace(-1, 1, k))
    p[5::7] *= 1 + 3e-4
    q[6::7] = p[6::7]
    return p, q


def logits(n, k):
    """Ordinary, huge, shifted, near-equal and equal rows, and such with -inf."""
    x, y = 2 * np.random.default_rng(k).standard_normal((2, n, k))
    x[1::8] *= 1e3
    y[2::8] += 2.0**20
    y[3::8] = x[3::8]
    y[3::8, 0] -= 1e-6
    y[4::8] = x[4::8]
    if k > 1:
        x[5::8, 0] = -np.inf
        x[6::8, -1] = y[6::8, -1] = -np.inf
        y[7::8, k // 2] = -np.inf
    return x, y


def logarithms(n, k):
    return -np.random.default_rng(k).exponential(3.0, size=(2, n, k))


def counts(n, k):
    rng = np.random.default_rng(k)
    return rng.poisson(9, size=(n, k)) + 1.0, rng.poisson(4, size=(n, k)) + 1.0


def mean_and_variances(n, k):
    mean, spread = np.random.default_rng(k).standard_normal((2, n, k))
    return mean, np.exp(spread)


@dataclass(frozen=True)
class RowFunction:
    """A function of two arrays with a row for each result."""

    call: Callable
    rows: Callable = probabilities  # two arrays of n rows of k
    names: tuple = ("p", "q")  # of the arguments, in messages
    axis: bool = True
    base: bool = True
    root: bool = False  # of a number in the unit
    stacks: bool = True  # takes leading axes, which broadcast
    per_outcome: bool = False
    narrow: bool = True  # float32 of float32
    whole: tuple = ([[1, 0, 0], [0, 0, 1]], [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]])
    rtol: float = 0.0  # for other layouts and batches

    def __call__(self, p, q, **options):
        return self.call(p, q, **options)


def of_divergence(divergence):
    return RowFunction(
        Case(divergence, PARAMETERS.get(divergence.name, {})),
        base=divergence.has_unit,
        root=divergence.name == "jensen_shannon_distance",
    )


FUNCTIONS = {d.spellings[1]: of_divergence(d) for d in DIVERGENCES} | {
    "renyi_divergence of order inf": RowFunction(case("renyi", order=np.inf)),
    "kl_contributions": RowFunction(kl_contributions, per_outcome=True),
    "entropy": RowFunction(lambda p, q, **options: entropy(p, **options), names=("p",)),
    "pairwise_divergences": RowFunction(
        pairwise_divergences, names=("P", "Q"), axis=False, stacks=False
    ),
    "kl_divergence_from_logits": RowFunction(
        kl_divergence_from_logits, logits, names=("p_logits", "q_logits")
    ),
    "divergence_from_logits": RowFunction(
        partial(divergence_from_logits, divergence="jensen_shannon"),
        logits,
        names=("p_logits", "q_logits"),
        rtol=1e-14,
    ),
    "entropy_from_counts": RowFunction(
        lambda x, y, **options: entropy_from_counts(x, **options),
        counts,
        names=("counts",),
        axis=False,
        narrow=False,
        whole=([[1, 0, 0], [0, 0, 1]], [[1, 2, 3], [3, 2, 1]]),
        rtol=1e-13,
    ),
    "jensen_shannon_from_counts": RowFunction(
        jensen_shannon_from_counts,
        counts,
        names=("p_counts", "q_counts"),
        axis=False,
        narrow=False,
        whole=([[1, 0, 0], [0, 0, 1]], [[1, 2, 3], [3, 2, 1]]),
        rtol=1e-13,
    ),
    "sampled_kl": RowFunction(sampled_kl, logarithms, names=("log_p", "log_q"), rtol=1e-14),
    "kl_from_counts": RowFunction(
        kl_from_counts,
        counts,
        names=("p_counts", "q_counts"),
        axis=False,
        narrow=False,
        whole=([[1, 0, 0], [0, 0, 1]], [[1, 2, 3], [3, 2, 1]]),
        rtol=1e-13,
    ),
    "gaussian_kl_divergence": RowFunction(
        lambda m, v, **options: gaussian_kl_divergence(
            m, v, covariance_type="diag", **options
        ),
        mean_and_variances,
        names=("mean_p", "cov_p"),
        axis=False,
        rtol=1e-14,
    ),
}
OF_TWO = [name for name, f in FUNCTIONS.items() if len(f.names) == 2]
STACKING = [name for name, f in FUNCTIONS.items() if f.stacks]
ALONG_AXES = [name for name, f in FUNCTIONS.items() if f.axis]
WITH_BASE = [name for name, f in FUNCTIONS.items() if f.base]


def each(names=FUNCTIONS):
    return pytest.mark.parametrize("function", [FUNCTIONS[n] for n in names], ids=names)


DTYPES = (np.float64, np.float32)


def with_each_replaced(function, pair, replace):
    """Yield the name of each argument, and the arguments with it replaced."""
    for i, name in enumerate(function.names):
        changed = list(pair)
        changed[i] = replace(pair[i])
        yield name, changed


# What arrays and batches there are


@each()
def test_layout_does_not_matter(function):
    for k, dtype in ((3, np.float64), (17, np.float32), (300, np.float64), (300, np.float32)):
        p, q = (x.astype(dtype) for x in function.rows(9, k))
        expected = function(p, q)
        for layout in LAYOUTS.values():
            for pair in ((layout(p), layout(q)), (layout(p), q), (p, layout(q))):
                assert_allclose(function(*pair), expected, rtol=function.rtol)
        if dtype == np.float64:
            assert_array_equal(function(p.tolist(), q.tolist()), expected)
        # and the arguments are left alone
        assert_array_equal((p, q), [x.astype(dtype) for x in function.rows(9, k)])


WIDER = {
    ("f8", "f8"): "f8",
    ("f4", "f8"): "f8",
    ("f8", "f4"): "f8",
    ("f2", "f2"): "f4",
    ("f2", "f4"): "f4",
    ("longdouble", "f4"): "f8",
    ("i8", "f4"): "f8",
    ("u1", "f8"): "f8",
    ("bool", "f4"): "f8",
    ("object", "f8"): "f8",
}


@each()
def test_dtype_of_result(function):
    p, q = map(np.array, function.whole)  # exact in every dtype
    for (p_dtype, q_dtype), expected in WIDER.items():
        if function.names == ("p",):
            expected = "f4" if p_dtype in ("f2", "f4") else "f8"
        result = function(p.astype(p_dtype), q.astype(q_dtype))
        assert result.dtype == (expected if function.narrow else "f8"), (p_dtype, q_dtype)
        rtol = 1e-6 if expected == "f4" else 1e-14
        assert_allclose(result, function(p.astype("f8"), q), rtol=rtol)


@each(STACKING)
def test_result_does_not_depend_on_the_batch(function):
    """Nor do rows that come alone, or one against many."""
    for k, dtype in product((1, 3, 17, 257), DTYPES):
        p, q = (x.astype(dtype) for x in function.rows(22, k))
        batch = function(p, q)
        rounding = 2e-7 if dtype == np.float32 and function.rtol else function.rtol
        equal = partial(assert_allclose, rtol=rounding, atol=function.rtol)
        equal([function(*rows) for rows in zip(p, q, strict=True)], batch)
        for rows in ([3], slice(1, 19), slice(None, None, -3)):
            equal(function(p[rows], q[rows]), batch[rows])
        copies = np.repeat(p[[5]], len(p), axis=0)
        equal(function(p[5], q), function(copies, q))
        copies = np.repeat(q[[5]], len(p), axis=0)
        equal(function(p, q[5]), function(p, copies))


SHAPES = [((4, 1), (3,)), ((1,), (3,)), ((2, 3), (2, 3)), ((2, 1, 3), (2, 1))]


@each(STACKING)
def test_leading_shapes_broadcast(function):
    for p_shape, q_shape in SHAPES:
        p, q = function.rows(6, 5)
        p, q = np.resize(p, (*p_shape, 5)), np.resize(q, (*q_shape, 5))
        result = function(p, q)
        if len(function.names) == 2:
            p, q = np.broadcast_arrays(p, q)
        shape = p.shape[:-1]
        assert result.shape == (p.shape if function.per_outcome else shape)
        alone = [
            function(p[i], q[i] if len(function.names) == 2 else q) for i in np.ndindex(shape)
        ]
        assert_allclose(result, np.reshape(alone, result.shape), rtol=function.rtol)


@each()
def test_vectors_and_empty_batches(function):
    for dtype in DTYPES:
        empty = np.empty((0, 3), dtype)
        result = function(empty, empty)
        assert result.dtype == (dtype if function.narrow else np.float64)
        if not function.stacks:
            assert result.shape == (0, 0)
            continue
        assert result.shape == ((0, 3) if function.per_outcome else (0,))
        empty = np.empty((2, 0, 3), dtype)
        assert function(empty, empty).shape[:2] == (2, 0)
        p, q = (x[0].astype(dtype) for x in function.rows(1, 3))
        for pair in ((p, q), (p.tolist(), q.tolist())):
            assert type(function(*pair)) is (np.ndarray if function.per_outcome else float)


@each(ALONG_AXES)
def test_axis(function):
    p, q = (x.reshape(3, 2, 5) for x in function.rows(6, 5))
    for axis in (-3, -2, 0, 1, np.int64(2)):
        result = function(np.moveaxis(p, -1, axis), np.moveaxis(q, -1, axis), axis=axis)
        if function.per_outcome:
            result = np.moveaxis(result, axis, -1)
        assert_allclose(result, function(p, q), rtol=function.rtol)
    for axis in (3, -4):
        with pytest.raises(ValueError, match=f"axis={axis} is out of range for "):
            function(p, q, axis=axis)
    with pytest.raises(ValueError, match=r"^axis must be .*an integer; got 0\.5"):
        function(p, q, axis=0.5)


@each()
def test_result_does_not_depend_on_threads(function):
    for n, k in ((400 if function.stacks else 30, 100), (2, 20_000)):
        p, q = function.rows(n, k)
        with threadpool_limits(limits=1):
            expected = function(p, q)
        for limit in (2, 3):
            with threadpool_limits(limits=limit):
                assert_array_equal(function(p, q), expected)


@each(WITH_BASE)
def test_base(function):
    p, q = function.rows(7, 5)
    for base in (2, 1.5, np.float32(10)):
        nats = np.log(base, dtype=float)
        expected = function(p, q) / (np.sqrt(nats) if function.root else nats)
        assert_allclose(function(p, q, base=base), expected, rtol=1e-14)
    with pytest.raises(
        ValueError, match=r"^base must be None \(nats\) or a number > 1.* 0\.5"
    ):
        function(p, q, base=0.5)


# Names


def frame(rows, index=None):
    return pd.DataFrame(rows, index=index, columns=list("abc"))


def shuffled(x):
    """The same names and values in another order."""
    return x.iloc[[2, 0, 1]] if x.ndim == 1 else x.iloc[:, [2, 0, 1]]


@each(OF_TWO)
def test_names_of_outcomes_are_matched(function):
    p, q = function.rows(4, 3)
    assert_array_equal(function(frame(p), shuffled(frame(q))), function(p, q))
    assert_array_equal(function(frame(p), q), function(p, q))
    if function.stacks:
        of_p, of_q = (pd.Series(x[0], list("abc")) for x in (p, q))
        assert_array_equal(function(frame(p), shuffled(of_q)), function(p, q[0]))
        assert_array_equal(function(of_p, shuffled(of_q)), function(p[0], q[0]))
    if function.axis:  # along axis 0, the index names the outcomes
        result = function(frame(p).T, shuffled(frame(q)).T, axis=0)
        assert_array_equal(result, function(p.T, q.T, axis=0))
    first, second = function.names
    with pytest.raises(
        ValueError, match=rf"only {first} has \['c'\], only {second} has \['x'\]"
    ):
        function(frame(p), frame(q).rename(columns={"c": "x"}))


@each([name for name in OF_TWO if FUNCTIONS[name].stacks])
def test_rows_of_data_frames_are_matched(function):
    p, q = function.rows(4, 3)
    expected = function(p, q)
    rows = list("xyzu")
    assert_array_equal(function(frame(p, rows), frame(q, rows)[::-1]), expected)
    first, second = function.names
    with pytest.raises(
        ValueError, match=rf"only {first} has \['u'\], only {second} has \['v'\]"
    ):
        function(frame(p, rows), frame(q, list("xyzv")))
    # rows of one name, in the same order, or one row for all
    p, q = frame(p, list("xxyy")), frame(q, list("xxyy"))
    assert_array_equal(function(p, q), expected)
    assert_array_equal(function(p, q[2:3]), function(p.to_numpy(), q[2:3].to_numpy()))
    with pytest.raises(ValueError, match="alike"):
        function(p, q[::-1])


# Refusals


@each()
def test_bad_row_is_named(function):
    def spoiled(x):
        x = x.copy()
        x[2:4, 0] = np.nan
        return x

    for name, pair in with_each_replaced(function, function.rows(4, 3), spoiled):
        with pytest.raises(ValueError, match=rf"^{name}\[2[^:]*\] (contains|has|is) "):
            function(*pair)
        if function.stacks:
            stacked = [x.reshape(2, 2, 3) for x in pair]
            with pytest.raises(ValueError, match=rf"^{name}\[1, 0[^:]*\] (contains|has|is) "):
                function(*stacked)
            one = [x[2] if np.isnan(x).any() else x for x in pair]
            with pytest.raises(ValueError, match=rf"^{name}(\[0\])? (contains|has|is) "):
                function(*one)


@each()
def test_argument_that_is_no_array_of_numbers_is_named(function):
    for replace, message in (
        (lambda x: np.full(x.shape, "a"), "must hold real numbers"),
        (csr_array, "is a sparse matrix"),
        (lambda x: GaussianNB(), "is an estimator"),
    ):
        for name, pair in with_each_replaced(function, function.rows(4, 3), replace):
            with pytest.raises(TypeError, match=f"^{name} {message}"):
                function(*pair)


@each()
def test_shapes_are_checked(function):
    p, q = function.rows(4, 3)
    either = "|".join(function.names)
    if function.rows is not mean_and_variances:  # nothing diverges in no dimensions
        with pytest.raises(ValueError, match=either):
            function(p[:, :0], q[:, :0])
    with pytest.raises(ValueError, match=either):
        function(1.0, 1.0)
    if len(function.names) == 1:
        return
    for pair in ((p[:, :2], q), (p, q[:, :2])):
        with pytest.raises(ValueError, match=rf"({either}).*\b2\b"):
            function(*pair)
    if function.stacks:
        with pytest.raises(ValueError, match=rf"not broadcast: .*{function.names[0]} \(3,"):
            function(p[:3], q)
