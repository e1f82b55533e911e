"""What is read as an array, and what rows count as probability vectors."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sklkl.divergences import (
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
    kl_from_counts,
    pairwise_divergences,
    renyi_divergence,
)
from sklkl.divergences._rows import as_floating, describe_bad_row

NA = pd.NA


@pytest.mark.parametrize(
    "p",
    [
        [[0.5, 0.5], [NA, 0.5]],
        np.array([[0.5, 0.5], [None, 0.5]], dtype=object),
        pd.DataFrame({"a": [0.5, NA], "b": [0.5, 0.5]}, dtype="Float64"),
        pd.DataFrame({"a": [0.5, NA], "b": [0.5, 0.5]}, dtype=object),
    ],
)
def test_the_row_of_a_missing_value_is_named(p):
    with pytest.raises(ValueError, match=r"^p\[1\] contains NaN; drop or fill"):
        kl_divergence(p, [0.5, 0.5])


def test_missing_value_of_pyarrow():
    pytest.importorskip("pyarrow")
    p = pd.DataFrame({"a": [0.5, NA], "b": [0.5, 0.5]}, dtype="float64[pyarrow]")
    with pytest.raises(ValueError, match=r"^p\[1\] contains NaN; drop or fill"):
        kl_divergence(p, [0.5, 0.5])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0.5, "0.5"], r"x\[1\] is '0\.5'"),
        (pd.Series(["0.5", "0.5"], dtype=object), r"x\[0\] is '0\.5'"),
        ([[0.5, 10**400]], r"x\[0, 1\] is 1000"),
        (np.array([0.5, 1j], dtype=object), r"x\[1\] is 1j"),
        ({"a": 1}, r"an array of real numbers; got \{'a': 1\}"),
        (None, "got None"),
    ],
)
def test_what_is_no_real_number_is_named(x, message):
    with pytest.raises(TypeError, match=rf"^x must .*{message}"):
        as_floating(x, "x")


def test_objects_that_are_numbers():
    assert as_floating([Decimal("0.5"), 1], "x").tolist() == [0.5, 1.0]


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
    with pytest.raises(TypeError, match=r"^p cannot be read as an array: .*to_dense"):
        kl_divergence(p.to_sparse(), q)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([1.0, -1e-17], None),
        ([1.00000536, 0.0], None),
        ([1.0, -0.99e-6], None),
        ([0.5, 0.5 - 3.4e-4], None),
        (np.float32([1.0, -5.96e-8]), None),
        ([1.0, -1.01e-6], "has the negative entry -1.01e-06 at position 1"),
        ([0.5, 0.5 - 3.6e-4], "sums to 0.99964 instead of 1"),
        # what counts as 0 is not taken from the sum
        ([1.0005] + [-1e-6] * 500, "sums to 1.0005 instead of 1"),
    ],
)
def test_rounding_is_no_error(row, problem):
    found = describe_bad_row(np.asarray(row))
    assert found is None if problem is None else found.startswith(problem)


@pytest.mark.parametrize("row", [[1.0, -1e-17], [1.00000536, 0.0], [1.0002, -1e-6]])
def test_rounding_is_taken_off(row):
    exact, q = [1.0, 0.0], [0.25, 0.75]
    for function in (kl_divergence, kl_contributions, jensen_shannon_divergence):
        assert_allclose(function(row, q), function(exact, q), rtol=1e-13)
        assert_allclose(function(q, row), function(q, exact), rtol=1e-13)
    assert renyi_divergence(row, q, order=np.inf) == pytest.approx(np.log(4), rel=1e-13)
    assert pairwise_divergences([row], [q]) == pytest.approx(np.log(4), rel=1e-13)
    assert kl_from_counts([3, 0], q=row) == kl_from_counts([3, 0], q=exact)
