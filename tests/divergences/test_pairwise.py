"""pairwise_divergences: equal to the row-wise functions, pair by pair."""

from math import inf, nan

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from sklkl.divergences import kl_divergence, pairwise_divergences
from sklkl.divergences._registry import DIVERGENCES
from tests._support.cases import CASES

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
HAVE_UNIT = [d.name for d in DIVERGENCES if d.has_unit]
HAVE_NO_UNIT = [d.name for d in DIVERGENCES if not d.has_unit]
# Arguments for all metrics, those included that need one.
NEEDED = {"renyi_divergence": {"order": 2}, "alpha_divergence": {"alpha": 2}}
ALL = [(d.name, NEEDED.get(d.name, {})) for d in DIVERGENCES]


def random_rows(n, k, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, k]).dirichlet(np.ones(k), size=n).astype(dtype)


def rows_of_many_kinds(n, m, k, dtype=np.float64):
    """Ordinary, near-equal and equal rows; zeros, tiny entries, and sums that are off."""
    p, q = random_rows(n, k, 1), random_rows(m, k, 2)
    if k > 2:
        p[1::5, 0] = q[2::5, 0] = q[2::5, -1] = 0.0
        q[3::5, -1] = 1e-300
        q[0] = p[0] * (1 + 1e-9 * np.arange(k) / k)
    p /= p.sum(axis=1, keepdims=True)
    q /= q.sum(axis=1, keepdims=True)
    p[-1] *= 1 + 3e-4
    q[-1] = p[-1]
    return p.astype(dtype), q.astype(dtype)


def pairwise(case, P, Q=None, **options):
    return pairwise_divergences(
        P, Q, metric=case.divergence.name, **case.parameters, **options
    )


def pair_by_pair(case, P, Q):
    return [[case(p, q) for q in Q] for p in P]


# Values


@each_case
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 17, 256, 257, 1025])
def test_is_the_row_wise_function_of_each_pair(case, k, dtype):
    P, Q = rows_of_many_kinds(5, 7, k, dtype)
    for first, second in ((P, Q), (Q, P)):
        result = pairwise(case, first, second)
        assert result.dtype == dtype
        assert result.shape == (len(first), len(second))
        assert_array_equal(result, pair_by_pair(case, first, second))
        assert_array_equal(result, case(first[:, None], second))


@each_case
@pytest.mark.parametrize("k", [3, 300])
def test_one_matrix(case, k):
    P, Q = rows_of_many_kinds(5, 7, k)
    for rows in (P, Q):
        result = pairwise(case, rows)
        assert_array_equal(result, pairwise(case, rows, rows))
        assert_array_equal(result, pair_by_pair(case, rows, rows))


@each_case
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 50), (50, 1), (70, 33)])
def test_any_numbers_of_rows(case, n, m):
    P, Q = random_rows(n, 5, 1), random_rows(m, 5, 2)
    assert_array_equal(pairwise(case, P, Q), case(P[:, None], Q[None]))


def test_default_metric():
    P, Q = rows_of_many_kinds(5, 7, 4)
    assert_array_equal(pairwise_divergences(P, Q), kl_divergence(P[:, None], Q))
    assert_array_equal(pairwise_divergences(P), kl_divergence(P[:, None], P))


@pytest.mark.parametrize("metric", HAVE_UNIT)
def test_base(metric):
    P, Q = random_rows(5, 4, 1), random_rows(7, 4, 2)
    options = {"metric": metric, **NEEDED.get(metric, {})}
    bits = pairwise_divergences(P, Q, base=2, **options)
    nats = pairwise_divergences(P, Q, **options)
    root = metric == "jensen_shannon_distance"
    assert_allclose(bits, nats / (np.sqrt(np.log(2)) if root else np.log(2)), rtol=1e-14)
    case = next(c for c in CASES.values() if c.divergence.name == metric)
    in_bits = pairwise(case, P, Q, base=2)
    assert_array_equal(in_bits, case(P[:, None], Q, base=2))


@pytest.mark.parametrize("base", [None, 2])
@pytest.mark.parametrize("k", [2, 10, 300])
def test_agrees_with_scipy(base, k):
    P, Q = random_rows(20, k, 1), random_rows(30, k, 2)
    expected = cdist(P, Q, "jensenshannon") / (1.0 if base is None else np.sqrt(np.log(base)))
    result = pairwise_divergences(P, Q, metric="jensen_shannon_distance", base=base)
    # SciPy loses digits where rows are near.
    assert_allclose(result, expected, rtol=1e-12, atol=1e-13)
    expected = 0.5 * cdist(P, Q, "cityblock")
    result = pairwise_divergences(P, Q, metric="total_variation_distance")
    assert_allclose(result, expected, rtol=1e-12)


# Types and layouts


@each_case
def test_float32_with_float64(case):
    P, Q = random_rows(4, 9, 1), random_rows(5, 9, 2, np.float32)
    for first, second in ((P, Q), (Q, P)):
        result = pairwise(case, first, second)
        assert result.dtype == np.float64
        assert_array_equal(result, case(first[:, None], second))


def test_other_types():
    P = random_rows(4, 5)
    certain = np.eye(5, dtype=int)
    expected = kl_divergence(certain[:, None], P)
    assert_array_equal(pairwise_divergences(certain, P), expected)
    assert_array_equal(pairwise_divergences(certain.tolist(), P.tolist()), expected)
    assert_array_equal(pairwise_divergences(certain.astype(bool), P), expected)
    half = P.astype(np.float16)
    assert pairwise_divergences(half).dtype == np.float32
    assert_array_equal(pairwise_divergences(half), pairwise_divergences(half.astype("f4")))


def strided(x):
    wide = np.full((x.shape[0], 3 * x.shape[1]), np.nan, x.dtype)
    wide[:, ::3] = x
    return wide[:, ::3]


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


@each_case
@each_dtype
@pytest.mark.parametrize("k", [3, 300])
def test_layout_does_not_matter(case, k, dtype):
    P, Q = rows_of_many_kinds(5, 7, k, dtype)
    expected = pairwise(case, P, Q)
    for layout in LAYOUTS:
        assert_array_equal(pairwise(case, layout(P), layout(Q)), expected)
    same = pairwise(case, P)
    for layout in LAYOUTS:
        assert_array_equal(pairwise(case, layout(P)), same)


@each_case
def test_arguments_are_left_alone(case):
    P, Q = rows_of_many_kinds(5, 7, 130)
    P_before, Q_before = P.copy(), Q.copy()
    pairwise(case, P, Q)
    assert_array_equal(P, P_before)
    assert_array_equal(Q, Q_before)


@each_case
@pytest.mark.parametrize(("n", "m", "k"), [(40, 50, 30), (2, 60, 1025)])
def test_result_does_not_depend_on_threads(case, n, m, k):
    P, Q = rows_of_many_kinds(n, m, k)
    with threadpool_limits(limits=1):
        expected = pairwise(case, P, Q)
    for limit in (2, 3):
        with threadpool_limits(limits=limit):
            assert_array_equal(pairwise(case, P, Q), expected)


@each_case
@each_dtype
def test_no_rows(case, dtype):
    some, none = random_rows(3, 4, dtype=dtype), np.empty((0, 4), dtype)
    for P, Q, shape in (
        (none, some, (0, 3)),
        (some, none, (3, 0)),
        (none, none, (0, 0)),
        (none, None, (0, 0)),
    ):
        result = pairwise(case, P, Q)
        assert result.shape == shape
        assert result.dtype == dtype


# Bad input


def matrix(**changes):
    """Eight valid rows; ``row_3=...`` replaces a row."""
    rows = np.tile([0.2, 0.3, 0.5], (8, 1))
    for name, row in changes.items():
        rows[int(name.removeprefix("row_"))] = row
    return rows


BAD_ROWS = {
    "NaN": ([0.2, nan, 0.8], "contains NaN"),
    "inf": ([0.2, inf, 0.8], "contains an infinite value"),
    "negative": ([0.7, -0.2, 0.5], "has the negative entry -0.2 at position 1"),
    "too much": ([0.3, 0.3, 0.5], "sums to 1.1 instead of 1"),
    "zeros": ([0.0, 0.0, 0.0], "sums to 0 instead of 1"),
}


@pytest.mark.parametrize(("metric", "needed"), ALL, ids=[name for name, _ in ALL])
@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_named(metric, needed, problem):
    row, message = BAD_ROWS[problem]
    good, bad = matrix(), matrix(row_3=row, row_5=row)
    options = {"metric": metric, **needed}
    with pytest.raises(ValueError, match=rf"^P\[3\] {message}"):
        pairwise_divergences(bad, good, **options)
    with pytest.raises(ValueError, match=rf"^Q\[3\] {message}"):
        pairwise_divergences(good, bad, **options)
    with pytest.raises(ValueError, match=rf"^P\[3\] {message}"):
        pairwise_divergences(bad, **options)
    with pytest.raises(ValueError, match=rf"^[PQ]\[3\] {message}"):
        pairwise_divergences(bad, bad, **options)
    with pytest.raises(ValueError, match=rf"^Q\[0\] {message}"):
        pairwise_divergences(good, [row], **options)


def test_bad_row_of_long_rows_and_many_pairs():
    P, Q = random_rows(40, 300, 1), random_rows(50, 300, 2)
    Q[49, 299] += 0.01
    with pytest.raises(ValueError, match=r"^Q\[49\] sums to 1.01 "):
        pairwise_divergences(P, Q)
    P[39, 0] = nan
    with pytest.raises(ValueError, match=r"^P\[39\] contains NaN"):
        pairwise_divergences(P, random_rows(50, 300, 2))


@pytest.mark.parametrize(
    "metric", ["kl", None, kl_divergence, ["kl"], "entropy", "sampled_kl"]
)
def test_unknown_metric(metric):
    with pytest.raises(ValueError, match=r"^metric must be one of .*'kl_divergence'"):
        pairwise_divergences(matrix(), metric=metric)


def test_unknown_parameter():
    with pytest.raises(ValueError, match=r"^kl_divergence takes no parameters.* \['order'\]"):
        pairwise_divergences(matrix(), order=2)
    with pytest.raises(
        ValueError, match=r"^renyi_divergence takes \['order'\].* \['alpha', 'order'\]"
    ):
        pairwise_divergences(matrix(), metric="renyi_divergence", order=2, alpha=3)
    with pytest.raises(ValueError, match=r"^jensen_shannon_divergence takes \['weight'\]"):
        pairwise_divergences(matrix(), metric="jensen_shannon_divergence", axis=0)


@pytest.mark.parametrize(
    ("metric", "name"), [("renyi_divergence", "order"), ("alpha_divergence", "alpha")]
)
def test_missing_parameter(metric, name):
    with pytest.raises(ValueError, match=rf"^{metric} takes .* needs \['{name}'\]; got \[\]"):
        pairwise_divergences(matrix(), metric=metric)


@pytest.mark.parametrize(
    ("metric", "parameters", "message"),
    [
        ("renyi_divergence", {"order": -1}, "^order must be "),
        ("renyi_divergence", {"order": nan}, "^order must be "),
        ("renyi_divergence", {"order": "2"}, "^order must be "),
        ("alpha_divergence", {"alpha": inf}, "^alpha must be a finite number"),
        (
            "jensen_shannon_divergence",
            {"weight": None},
            "^weight must be a number from 0 to 1",
        ),
    ],
)
def test_bad_parameter(metric, parameters, message):
    with pytest.raises(ValueError, match=message):
        pairwise_divergences(matrix(), metric=metric, **parameters)


@pytest.mark.parametrize("metric", HAVE_NO_UNIT)
def test_base_for_a_metric_without_a_unit(metric):
    with pytest.raises(ValueError, match=rf"^{metric} has no unit.*; got 2\.$"):
        pairwise_divergences(matrix(), metric=metric, base=2)


@pytest.mark.parametrize("base", [1, 0, -2, nan, inf, "2"])
def test_bad_base(base):
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        pairwise_divergences(matrix(), base=base)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_not_a_matrix(shape):
    x = np.full(shape, 1 / 3)
    with pytest.raises(ValueError, match=r"^P must be a matrix .* it has shape \("):
        pairwise_divergences(x, matrix())
    with pytest.raises(ValueError, match=r"^Q must be a matrix .* it has shape \("):
        pairwise_divergences(matrix(), x)


def test_single_number():
    with pytest.raises(ValueError, match=r"^P is a single number"):
        pairwise_divergences(1.0, matrix())
    with pytest.raises(ValueError, match=r"^Q is a single number"):
        pairwise_divergences(matrix(), 1.0)


def test_numbers_of_outcomes_must_agree():
    with pytest.raises(ValueError, match=r"number of outcomes: P has 3, Q has 2\.$"):
        pairwise_divergences(matrix(), [[0.5, 0.5]])


@pytest.mark.parametrize("n", [0, 3])
def test_no_outcomes(n):
    with pytest.raises(ValueError, match=r"^P is empty: it has no outcomes"):
        pairwise_divergences(np.empty((n, 0)))
    with pytest.raises(ValueError, match=r"^Q is empty: it has no outcomes"):
        pairwise_divergences(matrix(), np.empty((n, 0)))


def test_sparse_matrix():
    with pytest.raises(TypeError, match=r"^P is a sparse matrix"):
        pairwise_divergences(csr_array(matrix()))
    with pytest.raises(TypeError, match=r"^Q is a sparse matrix"):
        pairwise_divergences(matrix(), csr_array(matrix()))


def test_not_real_numbers():
    with pytest.raises(TypeError, match=r"^Q must hold real numbers"):
        pairwise_divergences(matrix(), [["a", "b", "c"]])
