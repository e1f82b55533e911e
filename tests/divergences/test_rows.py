"""What is read as an array, what rows count as probability vectors, and how others are named.

All functions of rows share this; kl_divergence speaks for them.
"""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.naive_bayes import GaussianNB

from sklkl.divergences import (
    entropy,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
    kl_from_counts,
    pairwise_divergences,
    renyi_divergence,
)
from tests._support.cases import CASES
from tests._support.messages import matches
from tests._support.problems import random_rows

NA = pd.NA
FAIR = [0.5, 0.5]
ROW = [0.2, 0.3, 0.5]

# Reading


class Unreadable:
    def __array__(self, *_, **__):
        raise RuntimeError("no data")


@pytest.mark.parametrize(
    "p",
    [
        [[0.5, 0.5], [NA, 0.5]],
        [[0.5, 0.5], [None, 0.5]],
        np.array([[0.5, 0.5], [None, 0.5]], dtype=object),
        pd.DataFrame({"a": [0.5, NA], "b": [0.5, 0.5]}, dtype="Float64"),
        pd.DataFrame({"a": [0.5, NA], "b": [0.5, 0.5]}, dtype=object),
    ],
)
def test_the_row_of_a_missing_value_is_named(p):
    with pytest.raises(ValueError, match=r"^p\[1\] contains NaN; drop or fill"):
        kl_divergence(p, FAIR)
    if isinstance(p, pd.DataFrame):
        pytest.importorskip("pyarrow")
        with pytest.raises(ValueError, match=r"^p\[1\] contains NaN; drop or fill"):
            kl_divergence(p.astype("float64[pyarrow]"), FAIR)


@pytest.mark.parametrize(
    ("p", "parts"),
    [
        ([0.5, "0.5"], ("p must hold real numbers; p[1] is '0.5'",)),
        (["0.5", "0.5"], ("p must hold real numbers",)),
        (pd.Series(["0.5", "0.5"], dtype=object), ("p[0] is '0.5'",)),
        ([[0.5, 10**400]], ("p[0, 1] is 1000",)),
        (np.array([0.5, 1j], dtype=object), ("p[1] is 1j",)),
        (np.array([0.5 + 0j, 0.5]), ("p must hold real numbers; its dtype is complex128",)),
        (np.array([1, 2], dtype="datetime64[s]"), ("p must hold real numbers",)),
        ({"a": 1}, ("p must be an array of real numbers; got {'a': 1}",)),
        (None, ("got None",)),
        (csr_array([FAIR]), ("p is a sparse matrix", "p.toarray()")),
        (Unreadable(), ("p cannot be read as an array: no data",)),
        (GaussianNB(), ("p is an estimator; pass p.predict_proba(X)",)),
        ([pd.Series(FAIR, ["a", "b"])], ("p is a list of Series", "pandas.DataFrame(p)")),
    ],
)
def test_what_holds_no_real_numbers(p, parts):
    with pytest.raises(TypeError, match=matches(*parts)):
        kl_divergence(p, FAIR)


@pytest.mark.parametrize(
    ("p", "parts"),
    [
        ([FAIR, [1.0]], ("p must be an array", "differ in length")),
        (np.ma.array([*FAIR, 99.0], mask=[0, 0, 1]), ("p has masked entries",)),
        (1.0, ("p is a single number; pass a vector",)),
        (np.empty((3, 0)), ("p is empty: it has no outcomes along axis -1",)),
        (np.array([np.longdouble("1e400")] * 2), ("p contains an infinite value",)),
        ([1.0], ("number of outcomes: p has 1, q has 2",)),
    ],
)
def test_what_has_no_rows(p, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        kl_divergence(p, FAIR)


def test_other_arrays_of_numbers():
    for p in ([Decimal("0.5"), Fraction(1, 2)], np.ma.array(FAIR), memoryview(np.array(FAIR))):
        assert kl_divergence(p, [0.9, 0.1]) == kl_divergence(FAIR, [0.9, 0.1])


def test_tensors():
    torch = pytest.importorskip("torch")
    p, q = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).double()
    expected = kl_divergence(p.numpy(), q.numpy())
    assert kl_divergence(p, q) == expected
    short = kl_divergence(p.to(torch.bfloat16), q.to(torch.bfloat16))
    assert short == kl_divergence(p.float().numpy(), q.float().numpy())
    with pytest.raises(TypeError, match=r"^q is a tensor that requires grad; pass q.detach()"):
        kl_divergence(p, q.requires_grad_())
    with pytest.raises(TypeError, match=r"^p is a tensor on meta; pass p.cpu()"):
        kl_divergence(p.to("meta"), q)
    with pytest.raises(TypeError, match=r"^p is a sparse tensor; .*to_dense"):
        kl_divergence(p.to_sparse(), q)


# Rows that are no probability vectors

BAD_ROWS = {
    "NaN": ([0.2, np.nan, 0.8], "contains NaN; drop or fill such rows"),
    "inf": ([0.2, np.inf, 0.8], "contains an infinite value; probabilities lie between 0"),
    "-inf": ([0.2, -np.inf, 0.8], "contains an infinite value; probabilities lie between 0"),
    "negative": ([0.7, -0.2, 0.5], "has the negative entry -0.2 at position 1; prob"),
    "just negative": ([1.0, -1.01e-6, 0.0], "has the negative entry -1.01e-06 at position 1"),
    "too much": ([0.3, 0.3, 0.5], "sums to 1.1 instead of 1; pass probabilities, or divide"),
    "too little": ([0.2, 0.29964, 0.5], "sums to 0.99964 instead of 1"),
    "counts": ([2.0, 3.0, 5.0], "sums to 10 instead of 1"),
    "zeros": ([0.0, 0.0, 0.0], "sums to 0 instead of 1; "),
    "huge": ([1e308, 1e308, 1e308], "sums to inf instead of 1; "),
}


@pytest.mark.parametrize("problem", BAD_ROWS)
def test_bad_row_is_named(problem):
    row, message = BAD_ROWS[problem]
    good = np.tile(ROW, (8, 1))
    bad = good.copy()
    bad[3] = bad[5] = row
    for function in (kl_divergence, kl_contributions):
        for p, q, where in (
            (bad, good, "p[3]"),
            (good, bad, "q[3]"),
            (good, row, "q"),
            (row, ROW, "p"),
            (bad.reshape(2, 4, 3), good[0], "p[0, 3]"),
            (good.reshape(2, 4, 3), bad[:4], "q[3]"),
            (good.reshape(2, 4, 3), bad[2:4, None], "q[1, 0]"),
        ):
            with pytest.raises(ValueError, match=matches(f"{where} {message}")):
                function(p, q)
        with pytest.raises(ValueError, match=matches(f"q[:, 3] {message}")):
            function(good.T, bad.T, axis=0)
    with pytest.raises(ValueError, match=matches(f"p[3] {message}")):
        entropy(bad)


def test_first_bad_row_is_named():
    p, q = random_rows(5000, 20, 1), random_rows(5000, 20, 2)
    q[4321, 19] += 0.01
    with pytest.raises(ValueError, match=r"^q\[4321\] sums to 1.01 "):
        kl_divergence(p, q)
    p[4400] = q[4000, 0] = np.nan
    with pytest.raises(ValueError, match=r"^q\[4000\] contains NaN"):
        kl_divergence(p, q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sum_tolerance(dtype):
    """Of both rows, near each other and far, by every divergence."""
    row, far = np.array([0.25, 0.25, 0.5], dtype), np.array([0.625, 0.25, 0.125], dtype)
    for function in (kl_contributions, *CASES.values()):
        for factor in (1 - 3.4e-4, 1 + 3.4e-4):
            for other in (row, far):
                value = function(row, other)
                for pair in ((row * dtype(factor), other), (row, other * dtype(factor))):
                    assert_allclose(function(*pair), value, rtol=1e-5, atol=1e-6)
        for factor in (1 - 3.6e-4, 1 + 3.6e-4):
            for other in (row, far):
                with pytest.raises(ValueError, match=r"^p sums to"):
                    function(row * dtype(factor), other)
                with pytest.raises(ValueError, match=r"^q sums to"):
                    function(row, other * dtype(factor))


@pytest.mark.parametrize(
    "row", [[1.0, -1e-17], [1.00000536, 0.0], [1.0002, -1e-6], [1.0, np.float32(-5.96e-8)]]
)
def test_rounding_is_taken_off(row):
    exact, q = [1.0, 0.0], [0.25, 0.75]
    for function in (kl_divergence, kl_contributions, jensen_shannon_divergence):
        assert_allclose(function(row, q), function(exact, q), rtol=1e-13)
        assert_allclose(function(q, row), function(q, exact), rtol=1e-13)
    assert renyi_divergence(row, q, order=np.inf) == pytest.approx(np.log(4), rel=1e-13)
    assert pairwise_divergences([row], [q]) == pytest.approx(np.log(4), rel=1e-13)
    assert kl_from_counts([3, 0], q=row) == kl_from_counts([3, 0], q=exact)


def test_what_counts_as_zero_is_not_taken_from_the_sum():
    row = [1.0005] + [-1e-6] * 500
    with pytest.raises(ValueError, match=r"p sums to 1\.0005 instead of 1"):
        entropy(row)


@pytest.mark.parametrize("base", [1, 1.0, 0, -2, 0.5, "2", math.nan, math.inf, 2j, [2], True])
def test_bad_base(base):
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        entropy(FAIR, base=base)
