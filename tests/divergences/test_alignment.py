"""Names win over positions: what carries names is matched by them, or refused.

That all functions of rows do so is tested with what else they have in common.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklkl.divergences import (
    entropy,
    gaussian_kl_divergence,
    kl_contributions,
    kl_divergence,
    kl_divergence_from_logits,
    kl_from_counts,
    pairwise_divergences,
    sampled_kl,
)

NAMES = ["a", "b", "c"]
ORDER = [2, 0, 1]
P, Q = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4))


def series(row, names=NAMES):
    return pd.Series(row, index=names)


def frame(rows, index=None, columns=NAMES):
    return pd.DataFrame(rows, index=index, columns=columns)


def shuffled(x):
    """The same names and values in another order."""
    return x.iloc[ORDER] if x.ndim == 1 else x.iloc[:, ORDER]


def test_one_row_along_axis_0():
    result = kl_divergence(frame(P).T, shuffled(series(Q[0])), axis=0)
    assert_array_equal(result, kl_divergence(P.T, Q[0], axis=0))


def test_value_counts_come_in_the_order_of_their_counts():
    p, q = (
        pd.Series(list(letters)).value_counts(normalize=True)
        for letters in ("aaaaaabbbc", "bbbbbbaaac")
    )
    plain = [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]
    assert kl_divergence(p, q) == kl_divergence(*plain)
    assert_array_equal(kl_contributions(p, q), kl_contributions(*plain))  # in the order of p
    counts = [x * 10 for x in (p, q)]
    assert kl_from_counts(*counts) == kl_from_counts([6, 3, 1], [3, 6, 1])
    assert kl_from_counts(counts[0], q=q) == kl_from_counts([6, 3, 1], q=[0.3, 0.6, 0.1])


def test_pairs_are_not_matched_by_rows():
    expected = pairwise_divergences(P, Q[:2])
    result = pairwise_divergences(frame(P, list("xyzu")), shuffled(frame(Q[:2], list("yx"))))
    assert_array_equal(result, expected)
    bad = frame([[0.2, 0.3, 0.5], [0.5, -0.5, 1.0]])
    with pytest.raises(ValueError, match=r"Q\[1\] has the negative entry -0.5 at position 2"):
        pairwise_divergences(frame(P), shuffled(bad))


def test_samples_along_two_axes():
    """The axes broadcast from the last, and so do their names; samples may share one."""
    log_p, log_q = frame(np.log(P), list("xyzu")), frame(np.log(Q), list("xyzu"))
    expected = sampled_kl(np.log(P), np.log(Q), axis=None)
    assert sampled_kl(log_p, shuffled(log_q)[::-1], axis=None) == pytest.approx(expected)
    tokens = ["the", "a", "the"]
    logs = (pd.Series(np.log(x[0]), index=tokens) for x in (P, Q))
    assert sampled_kl(*logs) == sampled_kl(np.log(P[0]), np.log(Q[0]))


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


def test_outcomes_of_one_name_are_refused():
    p = series(P[0], ["a", "b", "a"])
    for q in (p.copy(), series(Q[0]), series(Q[0], ["a", "a", "b"])):
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
    with pytest.raises(ValueError, match=r"^q_counts\[0\] has 2.5 of outcome 'b'"):
        kl_from_counts(frame([[1, 2, 3]] * 2, ["x", "y"]), shuffled(counts)[::-1])
    logits = frame([[1, 2, 3], [1, np.nan, 3]], ["x", "y"])
    with pytest.raises(ValueError, match=r"^q_logits\[0\] contains NaN"):
        kl_divergence_from_logits(frame([[1, 2, 3]] * 2, ["x", "y"]), logits[::-1])


def test_a_list_of_series_would_lose_its_names():
    unnamed = [pd.Series(x) for x in P[:2]]
    assert_array_equal(kl_divergence(unnamed, Q[:2]), kl_divergence(P[:2], Q[:2]))
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
    near = partial(assert_allclose, desired=expected, rtol=1e-14)
    for name, x in named.items():
        other = x.iloc[ORDER] if name.startswith("mean") else x.iloc[ORDER, ORDER]
        near(gaussian_kl_divergence(**named | {name: other}))
    near(gaussian_kl_divergence(**named | {"cov_q": named["cov_q"].iloc[ORDER]}))
    for axis, what in enumerate(("the index of cov_q", "cov_q")):
        other = named["cov_q"].set_axis(["a", "b", "x"], axis=axis)
        with pytest.raises(ValueError, match=f"mean_p and {what} name different dimensions"):
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
    assert_array_equal(kl_divergence(frame(P), q), expected)
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
