"""pairwise_divergences: equal to the row-wise functions, pair by pair."""

from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from sklkl.divergences import kl_divergence, pairwise_divergences
from tests._support.cases import CASES
from tests._support.messages import matches
from tests._support.problems import random_rows

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def rows_of_many_kinds(n, m, k, dtype=np.float64):
    """Ordinary, near-equal and equal rows; zeros, tiny entries, and sums that are off."""
    p, q = random_rows(n, k, 1), random_rows(m, k, 2)
    if k > 2:
        p[1::5, 0] = q[2::5, 0] = q[2::5, -1] = 0.0
        q[3::5, -1] = 1e-300
        q[0] = p[0] * (1 + 1e-9 * np.arange(k) / k)
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
    p[-1] *= 1 + 3e-4
    q[-1] = p[-1]
    return p.astype(dtype), q.astype(dtype)


def pairwise(case, P, Q=None, **options):
    return pairwise_divergences(
        P,
        Q,
        divergence=case.divergence.name,
        divergence_params=case.parameters,
        **options,
    )


@each_case
def test_is_the_row_wise_function_of_each_pair(case):
    for k, dtype in (
        *((k, np.float64) for k in (1, 2, 17, 256, 257, 1025)),
        *((k, np.float32) for k in (3, 257)),
    ):
        P, Q = rows_of_many_kinds(5, 7, k, dtype)
        for first, second in ((P, Q), (Q, P), (P, P)):
            result = pairwise(case, first, second)
            assert result.dtype == dtype
            assert_array_equal(result, [[case(p, q) for q in second] for p in first])
        # Half of a symmetric matrix is not computed, and may differ by rounding.
        own = pairwise(case, P)
        assert_array_equal(np.triu(own), np.triu(result))
        assert_allclose(own, result, rtol=1e-13 if dtype == np.float64 else 2e-6)
    mixed = pairwise(case, P, Q.astype(np.float64))
    assert_array_equal(mixed, case(P[:, None], Q.astype(np.float64)))
    if case.has_unit:
        assert_array_equal(pairwise(case, P, Q, base=2), case(P[:, None], Q, base=2))


@each_case
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_zeros(case, dtype):
    """What p rules out is merged; but not entries of q just below zero."""
    for k in (16, 100, 1024) if dtype == np.float64 else (100,):
        P, Q = random_rows(24, k, 1), random_rows(24, k, 2)
        rng = np.random.default_rng(k)
        P[5:] *= rng.random((19, k)) < 0.2
        Q[7:22] *= rng.random((15, k)) < 0.4
        P[:, 1] += 1e-3
        Q[8:22, 1] += 1e-3
        Q[20] = P[20]
        P, Q = (x / x.sum(axis=1, keepdims=True) for x in (P, Q))
        Q[3, :3] = Q[3, 0], Q[3, 1] + Q[3, 2] + 1e-7, -1e-7
        P, Q = P.astype(dtype), Q.astype(dtype)
        bounds = {"rtol": 1e-13 if dtype == np.float64 else 2e-6, "atol": 1e-50}
        result = pairwise(case, P, Q)
        assert_allclose(result, case(P[:, None], Q), **bounds)
        assert_allclose(pairwise(case, Q, P), case(Q[:, None], P), **bounds)
        assert_allclose(pairwise(case, P), case(P[:, None], P), **bounds)
        assert pairwise(case, P[20:21], Q[20:21]) == result[20, 20]


def test_long_doubles_are_right_afterwards():
    """Registers of MMX, which compilers may use where vectors are short, are those of x87."""
    rows = np.repeat(np.eye(20, dtype=np.float32), 2, axis=0)
    pairwise_divergences(rows, divergence="jensen_shannon")
    with np.errstate(invalid="raise"):
        assert np.longdouble(3.0).astype(np.float64) == 3.0
        assert (np.full(3, 0.5, np.longdouble).astype(np.float64) == 0.5).all()


def test_symmetric_divergences_of_own_rows_are_symmetric():
    P = random_rows(130, 17, 1)
    for name in (
        "jeffreys",
        "jensen_shannon",
        "jensen_shannon_distance",
        "hellinger",
        "total_variation",
        "bhattacharyya",
    ):
        own = pairwise_divergences(P, divergence=name)
        assert_array_equal(own, own.T)
        assert_array_equal(np.diagonal(own), 0)


@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (1, 50), (50, 1), (70, 33), (0, 3), (3, 0), (0, 0)]
)
def test_any_numbers_of_rows(n, m):
    P, Q = random_rows(n, 5, 1), random_rows(m, 5, 2)
    for case in CASES.values():
        assert_array_equal(pairwise(case, P, Q), case(P[:, None], Q[None]))
    assert_array_equal(pairwise_divergences(P, Q), kl_divergence(P[:, None], Q))


def test_agrees_with_scipy():
    for k in (2, 300):
        P, Q = random_rows(20, k, 1), random_rows(30, k, 2)
        result = pairwise_divergences(P, Q, divergence="jensen_shannon_distance")
        # SciPy loses digits where rows are near.
        assert_allclose(result, cdist(P, Q, "jensenshannon"), rtol=1e-12, atol=1e-13)
        result = pairwise_divergences(P, Q, divergence="total_variation")
        assert_allclose(result, 0.5 * cdist(P, Q, "cityblock"), rtol=1e-12)


@pytest.mark.parametrize("order", [2, inf])
def test_bad_row_is_named(order):
    good = random_rows(40, 300)
    bad = good.copy()
    bad[[3, 39], 299] += 0.5
    options = {"divergence": "renyi", "divergence_params": {"order": order}}
    for P, Q, where in (
        (bad, good, "P[3]"),
        (good, bad, "Q[3]"),
        (bad, None, "P[3]"),
        (good, bad[3:4], "Q[0]"),
    ):
        with pytest.raises(ValueError, match=matches(f"{where} sums to 1.5 instead of 1")):
            pairwise_divergences(P, Q, **options)


NAME = "divergence must be one of ['kl', 'reverse_kl',"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"divergence": "cosine"}, (NAME, "'kl_divergence'", "got 'cosine'")),
        ({"divergence": None}, (NAME,)),
        ({"divergence": kl_divergence}, (NAME,)),
        ({"divergence": "entropy"}, (NAME,)),
        ({"divergence_params": {"order": 2}}, ("'kl' takes no parameters", "{'order': 2}")),
        ({"divergence_params": 2}, ("divergence_params must be None or a dictionary",)),
        (
            {"divergence": "renyi", "divergence_params": {"order": 2, "alpha": 3}},
            ("'renyi' takes ['order']", "got divergence_params={'order': 2, 'alpha': 3}"),
        ),
        (
            {"divergence": "jensen_shannon", "divergence_params": {"axis": 0}},
            ("'jensen_shannon' takes ['weight'];",),
        ),
        ({"divergence": "renyi"}, ("needs ['order']; got divergence_params=None",)),
        ({"divergence": "renyi", "divergence_params": {"order": -1}}, ("order must be ",)),
        (
            {"divergence": "alpha", "divergence_params": {"alpha": inf}},
            ("alpha must be a finite number",),
        ),
        ({"divergence": "chi2", "base": 2}, ("'chi2' has no unit", "got 2.")),
        ({"P": [1, 0]}, ("P must be a matrix", "it has shape (2,)")),
        ({"Q": np.full((2, 4, 3), 1 / 3)}, ("Q must be a matrix", "it has shape (2, 4, 3)")),
        ({"Q": [[0.5, 0.5]]}, ("number of outcomes: P has 3, Q has 2.",)),
    ],
)
def test_refusals(options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        pairwise_divergences(**{"P": [[0.2, 0.3, 0.5]]} | options)
