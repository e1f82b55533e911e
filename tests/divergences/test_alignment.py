"""Names win over positions: what carries names is matched by them, or refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklkl import divergences
from sklkl.divergences import (
    entropy,
    gaussian_kl_divergence,
    jeffreys_divergence,
    jensen_shannon_distance,
    kl_contributions,
    kl_divergence,
    kl_divergence_from_logits,
    kl_from_counts,
    pairwise_divergences,
    sampled_kl,
)
from tests._support.cases import CASES

NAMES = ["a", "b", "c"]
ORDER = [2, 0, 1]
P, Q = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4))

# All functions of two arguments along whose last axis outcomes, or what else, have names.
FUNCTIONS = {
    **CASES,
    "kl_contributions": kl_contributions,
    "renyi_divergence(order=inf)": lambda p, q, **o: divergences.renyi_divergence(
        p, q, order=np.inf, **o
    ),
    "kl_divergence_from_logits": kl_divergence_from_logits,
    "sampled_kl": sampled_kl,
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def series(row, names=NAMES):
    return pd.Series(row, index=names)


def frame(rows, index=None, columns=NAMES):
    return pd.DataFrame(rows, index=index, columns=columns)


def shuffled(x):
    """The same names and values in another order."""
    return x.iloc[ORDER] if x.ndim == 1 else x.iloc[:, ORDER]


def test_value_counts_come_in_the_order_of_their_counts():
    p, q = (
        pd.Series(list(letters)).value_counts(normalize=True)
        for letters in ("aaaaaabbbc", "bbbbbbaaac")
    )
    plain = [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]
    for function, expected in (
        (kl_divergence, 0.208),
        (jensen_shannon_distance, 0.226),
        (jeffreys_divergence, 0.416),
    ):
        assert function(p, q) == function(*plain)
        assert round(function(p, q), 3) == expected
    assert_array_equal(kl_contributions(p, q), kl_contributions(*plain))  # in the order of p
    counts = [x * 10 for x in (p, q)]
    assert kl_from_counts(*counts) == kl_from_counts([6, 3, 1], [3, 6, 1])
    assert kl_from_counts(counts[0], q=q) == kl_from_counts([6, 3, 1], q=[0.3, 0.6, 0.1])


@each_function
def test_names_are_matched(function):
    expected = function(P, Q)
    assert_array_equal(function(frame(P), shuffled(frame(Q))), expected)
    assert_array_equal(function(frame(P), shuffled(series(Q[0]))), function(P, Q[0]))
    assert_array_equal(function(series(P[0]), shuffled(series(Q[0]))), function(P[0], Q[0]))
    # along axis 0, the index names the outcomes
    p, q = frame(P).T, shuffled(frame(Q)).T
    assert_array_equal(function(p, q, axis=0), function(P.T, Q.T, axis=0))
    q = shuffled(series(Q[0]))
    if function is not sampled_kl:  # whose axes broadcast from the last
        assert_array_equal(function(p, q, axis=0), function(P.T, Q[0], axis=0))
    with pytest.raises(
        ValueError, match=r"only \w*p\w* has \['c'\], only \w*q\w* has \['x'\]"
    ):
        function(series(P[0]), series(Q[0], ["a", "b", "x"]))


def test_pairwise():
    expected = pairwise_divergences(P, Q[:2])
    assert_array_equal(pairwise_divergences(frame(P), shuffled(frame(Q[:2]))), expected)
    with pytest.raises(ValueError, match="P and Q name different outcomes"):
        pairwise_divergences(frame(P), frame(Q, columns=["a", "b", "x"]))
    bad = frame([[0.2, 0.3, 0.5], [0.5, -0.5, 1.0]])
    with pytest.raises(ValueError, match=r"Q\[1\] has the negative entry -0.5 at position 2"):
        pairwise_divergences(frame(P), shuffled(bad))


@each_function
def test_rows_of_data_frames_are_matched(function):
    rows = ["x", "y", "z", "u"]
    p, q = frame(P, rows), frame(Q, rows)
    assert_array_equal(function(p, q[::-1]), function(P, Q))
    with pytest.raises(
        ValueError, match=r"only \w*p\w* has \['u'\], only \w*q\w* has \['v'\]"
    ):
        function(p, q.rename(index={"u": "v"}))
    # rows of one name, in the same order, or one row for all
    p, q = frame(P, ["x", "x", "y", "y"]), frame(Q, ["x", "x", "y", "y"])
    assert_array_equal(function(p, q), function(P, Q))
    assert_array_equal(function(p, q[2:3]), function(P, Q[2:3]))
    with pytest.raises(ValueError, match="alike"):
        function(p, q[::-1])


def test_one_named_and_one_unnamed_go_by_position():
    expected = kl_divergence(P, Q)
    default = pd.DataFrame(Q)
    polars_default = pd.DataFrame(Q, columns=[f"column_{j}" for j in range(3)])
    for q in (Q, Q.tolist(), default, polars_default):
        assert_array_equal(kl_divergence(frame(P, list("xyzu")), q), expected)
        assert_array_equal(kl_divergence(q, frame(P, list("xyzu"))), kl_divergence(Q, P))
    # a part of the rows, and predictions for it
    assert_array_equal(kl_divergence(frame(P, [17, 3, 90, 4]), default), expected)


def test_default_names_beside_the_same_in_another_order():
    """Either they are names, or a position; none can tell."""
    p, q = series(P[0], [1, 0, 2]), pd.Series(Q[0])
    for arguments in ((p, q), (q, p)):
        with pytest.raises(ValueError, match=r"has outcomes with the names \[1, 0, 2\]"):
            kl_divergence(*arguments)
    with pytest.raises(ValueError, match=r"rows with the names \[1, 0, 2, 3\]"):
        kl_divergence(frame(P, [1, 0, 2, 3]), frame(Q))
    # numbers that are names
    p, q = series(P[0], [0, 1, 2]), series(Q[0], [1, 0, 2])
    assert kl_divergence(p, q) == kl_divergence(P[0], Q[0][[1, 0, 2]])


@pytest.mark.parametrize("names", [["a", "b", "a"], ["a", "a", "b"]])
def test_outcomes_of_one_name_are_refused(names):
    p = series(P[0], names)
    for q in (p.copy(), series(Q[0]), series(Q[0], ["a", "b", "a"])):
        with pytest.raises(ValueError, match=r"[pq] names several outcomes alike.*\['a', "):
            kl_divergence(p, q)
    assert kl_divergence(p, Q[0]) == kl_divergence(P[0], Q[0])
    assert entropy(p) == entropy(P[0])


def test_missing_values_and_tuples_are_names():
    for names in (
        [np.nan, 1.0, 2.0],
        pd.MultiIndex.from_tuples([(0, "a"), (0, "b"), (1, "a")]),
    ):
        p, q = series(P[0], names), series(Q[0], names)
        assert kl_divergence(p, shuffled(q)) == kl_divergence(P[0], Q[0])


def test_a_bad_row_is_named_where_the_user_passed_it():
    rows = list("xyzu")
    q = Q.copy()
    q[1] = [0.5, -0.5, 1.0]
    message = r"^q\[2\] has the negative entry -0.5 at position 2"
    with pytest.raises(ValueError, match=message):
        kl_divergence(frame(P, rows), shuffled(frame(q, rows))[::-1])
    q = shuffled(frame(q, rows))[::-1].T
    with pytest.raises(ValueError, match=r"^q\[:, 2\] has the negative entry -0.5 at pos"):
        kl_divergence(frame(P, rows).T, q, axis=0)
    counts = frame([[1, 2, 3], [1, 2.5, 3]], ["x", "y"])
    with pytest.raises(ValueError, match=r"^q_counts\[0\] has 2.5 at position 2"):
        kl_from_counts(frame([[1, 2, 3]] * 2, ["x", "y"]), shuffled(counts)[::-1])
    logits = frame([[1, 2, 3], [1, np.nan, 3]], ["x", "y"])
    with pytest.raises(ValueError, match=r"^q_logits\[0\] contains NaN"):
        kl_divergence_from_logits(frame([[1, 2, 3]] * 2, ["x", "y"]), logits[::-1])


def test_a_list_of_series_would_lose_its_names():
    rows = [series(P[0]), shuffled(series(P[1]))]
    with pytest.raises(TypeError, match=r"p is a list of Series .* pandas\.DataFrame"):
        kl_divergence(rows, Q[:2])
    assert_array_equal(kl_divergence(pd.DataFrame(rows), Q[:2]), kl_divergence(P[:2], Q[:2]))


def test_dimensions_of_gaussians():
    rng = np.random.default_rng(0)
    mean_p, mean_q = rng.standard_normal((2, 3))
    root = rng.standard_normal((2, 3, 3))
    cov_p, cov_q = root @ root.swapaxes(1, 2) + np.eye(3)
    expected = gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q)
    named = {
        "mean_p": series(mean_p),
        "cov_p": frame(cov_p, NAMES),
        "mean_q": series(mean_q),
        "cov_q": frame(cov_q, NAMES),
    }
    for name, x in named.items():
        other = x.iloc[ORDER] if name.startswith("mean") else x.iloc[ORDER, ORDER]
        assert_allclose(gaussian_kl_divergence(**named | {name: other}), expected, rtol=1e-14)
    one_axis = named["cov_q"].iloc[ORDER]
    assert_allclose(
        gaussian_kl_divergence(**named | {"cov_q": one_axis}), expected, rtol=1e-14
    )
    other = named["cov_q"].set_axis(["a", "b", "x"])
    with pytest.raises(ValueError, match="mean_p and the index of cov_q name different dim"):
        gaussian_kl_divergence(**named | {"cov_q": other})
    other = named["cov_q"].set_axis(["a", "b", "x"], axis=1)
    with pytest.raises(ValueError, match="mean_p and cov_q name different dimensions"):
        gaussian_kl_divergence(**named | {"cov_q": other})
    # rows of variances
    rows = ["x", "y"]
    means, variances = frame(root[0][:2], rows), frame(root[1][:2] ** 2, rows)
    assert_array_equal(
        gaussian_kl_divergence(means, shuffled(variances)[::-1]),
        gaussian_kl_divergence(root[0][:2], root[1][:2] ** 2),
    )


def test_polars():
    pl = pytest.importorskip("polars")
    p, q = pl.DataFrame(frame(P).to_dict("list")), pl.DataFrame(frame(Q).to_dict("list"))
    expected = kl_divergence(P, Q)
    assert_array_equal(kl_divergence(p, q.select(["c", "a", "b"])), expected)
    assert_array_equal(kl_divergence(frame(P), q.select(["c", "a", "b"])), expected)
    assert_array_equal(kl_divergence(p, pl.DataFrame(Q)), expected)
    with pytest.raises(ValueError, match=r"only p has \['c'\], only q has \['x'\]"):
        kl_divergence(p, q.rename({"c": "x"}))
    counts = pl.Series("letter", list("aaab")).value_counts(normalize=True)
    with pytest.raises(TypeError, match=r"^p must hold real numbers; p\[0, 0\] is '[ab]'"):
        kl_divergence(counts, counts)


def test_pyarrow():
    pa = pytest.importorskip("pyarrow")
    p, q = (pa.table(frame(x).to_dict("list")) for x in (P, Q))
    assert_array_equal(kl_divergence(p, q.select(["c", "a", "b"])), kl_divergence(P, Q))
