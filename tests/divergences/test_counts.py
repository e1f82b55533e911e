"""Estimates from counts: values in exact arithmetic, expectations, bias, bad input."""

import math
from fractions import Fraction
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import log, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multinomial

from sklkl.divergences import (
    entropy,
    entropy_from_counts,
    jensen_shannon_divergence,
    jensen_shannon_from_counts,
    kl_divergence,
    kl_from_counts,
)
from tests._support.messages import matches
from tests._support.problems import random_rows
from tests._support.reference import error, in_many_digits

ESTIMATORS = ["plugin", "miller-madow", "zhang-grabchak"]

each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def series_of_q(y, m):
    """Zhang and Grabchak's series for -log q, in rational numbers."""
    total, factor = Fraction(0), Fraction(1)
    for v in range(1, m - y + 1):
        factor *= 1 - Fraction(y, m - v + 1)
        total += factor / v
    return total


def series_of_p(x, n):
    """The same for -log p at x > 0."""
    total, factor = Fraction(0), Fraction(1)
    for v in range(1, n - x + 1):
        factor *= 1 - Fraction(x - 1, n - v)
        total += factor / v
    return total


def to_mpf(fraction):
    return mpf(fraction.numerator) / fraction.denominator


@in_many_digits
def exact_estimate(p_counts, q_counts=None, *, q=None, estimator):
    """Return the definition, literally."""
    n = sum(p_counts)
    m = sum(q_counts) if q is None else None
    shares = [Fraction(y, m) for y in q_counts] if q is None else q
    total = mpf(0)
    for j, x in enumerate(p_counts):
        if x == 0:
            continue
        share = Fraction(x, n)
        if estimator == "zhang-grabchak":
            first = to_mpf(series_of_q(q_counts[j], m)) if q is None else -log(mpf(q[j]))
            total += to_mpf(share) * (first - to_mpf(series_of_p(x, n)))
            continue
        if shares[j] == 0:
            return mpf("inf")
        other = to_mpf(shares[j]) if q is None else mpf(shares[j])
        total += to_mpf(share) * log(to_mpf(share) / other)
        if estimator == "miller-madow" and q is None:
            total -= to_mpf(share * (1 - shares[j]) / (2 * m * shares[j]))
    if estimator == "miller-madow":
        total -= mpf(sum(x > 0 for x in p_counts) - 1) / (2 * n)
    return total


# Values


@each_estimator
@pytest.mark.parametrize(
    ("p_counts", "q"),
    [
        ([5], {"q_counts": [3]}),
        ([1, 0], {"q_counts": [0, 1]}),
        ([7, 2, 1], {"q_counts": [4, 6, 0]}),
        ([3, 0, 1, 2, 0, 9], {"q_counts": [100, 1, 90, 33, 0, 2]}),
        ([250, 251, 249], {"q_counts": [330, 340, 330]}),
        ([3, 1], {"q": [0.5, 0.5]}),
        ([7, 0], {"q": [0.125, 0.875]}),
        ([500, 501], {"q": [0.75, 0.25]}),
    ],
)
def test_definition(p_counts, q, estimator):
    value = kl_from_counts(p_counts, **q, estimator=estimator)
    assert (
        error(value, exact_estimate(p_counts, **q, estimator=estimator), atol=1e-14) <= 1e-13
    )


@given(
    st.integers(1, 6).flatmap(
        lambda k: st.tuples(*2 * [st.lists(st.integers(0, 40), min_size=k, max_size=k)])
    )
)
@settings(max_examples=25, deadline=None)
def test_any_counts(counts):
    p_counts, q_counts = counts
    p_counts[0] += 1
    q_counts[-1] += 1
    for estimator in ESTIMATORS:
        value = kl_from_counts(p_counts, q_counts, estimator=estimator)
        exact = exact_estimate(p_counts, q_counts, estimator=estimator)
        assert error(value, exact, atol=1e-13) <= 1e-13
    assert kl_from_counts(p_counts, q_counts) == value  # by default


@each_estimator
def test_huge_counts(estimator):
    """Nothing overflows, and what is left is the divergence of the frequencies."""
    p, q = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    value = kl_from_counts(p * 1e306, q * 1e306, estimator=estimator)
    assert value == pytest.approx(kl_divergence(p / 4, q / 3), rel=1e-12)


# Zeros


def test_outcome_not_seen_among_samples_of_q():
    for estimator in ESTIMATORS[:2]:
        result = kl_from_counts([[1, 1], [2, 0]], [5, 0], estimator=estimator)
        assert_array_equal(result, [math.inf, 0.0])
    assert math.isfinite(kl_from_counts([1, 1], [5, 0]))


@each_estimator
def test_outcomes_without_mass(estimator):
    estimate = partial(kl_from_counts, estimator=estimator)
    assert estimate([3, 1], q=[1.0, 0.0]) == math.inf
    assert estimate([3, 0], q=[1.0, 0.0]) == 0.0
    # what was never seen changes nothing
    assert estimate([4, 1, 0], [2, 3, 0]) == estimate([4, 1], [2, 3])
    assert estimate([4, 1, 0], q=[0.4, 0.6, 0.0]) == estimate([4, 1], q=[0.4, 0.6])


# Expectations


def all_counts(total, k):
    return np.array([c for c in product(range(total + 1), repeat=k) if sum(c) == total])


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 5), (6, 4)])
def test_expectation_of_zhang_grabchak(n, m):
    """Over all samples there are: the series of the logarithms, cut off at n - 1 and m."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.1, 0.3])
    X, Y = all_counts(n, 3), all_counts(m, 3)
    gain = sum(((1 - p) ** v / v for v in range(1, n)), np.zeros(3))
    mean = multinomial.pmf(X, n, p) @ kl_from_counts(X, q=q)
    assert mean == pytest.approx(p @ (-np.log(q) - gain), abs=1e-13)
    cost = sum((1 - q) ** v / v for v in range(1, m + 1))
    values = kl_from_counts(X[:, None], Y)
    mean = multinomial.pmf(X, n, p) @ values @ multinomial.pmf(Y, m, q)
    assert mean == pytest.approx(p @ (cost - gain), abs=1e-13)


@pytest.mark.parametrize("known", [True, False])
def test_bias(known):
    """Each estimator's mean over 20,000 data sets."""
    rng = np.random.default_rng(0)
    n, m, k = 120, 160, 8
    p = np.arange(1, k + 1) / 36
    q = p[::-1] * 0.3 + p * 0.7
    p_counts = rng.multinomial(n, p, size=20_000)
    q_counts = rng.multinomial(m, q, size=20_000)
    assert (q_counts > 0).all()  # or the first two means would be infinite
    options = {"q": q} if known else {"q_counts": q_counts}
    bias = {
        estimator: kl_from_counts(p_counts, **options, estimator=estimator).mean()
        - kl_divergence(p, q)
        for estimator in ESTIMATORS
    }
    first_order = (k - 1) / (2 * n) + (0 if known else np.sum(p * (1 - q) / q) / (2 * m))
    assert bias["plugin"] == pytest.approx(first_order, rel=0.25)
    assert abs(bias["miller-madow"]) < 0.2 * bias["plugin"]
    assert abs(bias["zhang-grabchak"]) < 0.1 * bias["plugin"]
    # To be right on average where P is Q, estimates must be negative at times.
    assert (kl_from_counts(p_counts[::2], p_counts[1::2]) < 0).mean() > 0.3


# Types and bad input


@each_estimator
def test_known_rows_are_normalised(estimator):
    p = np.random.default_rng(7).multinomial(90, [0.1, 0.2, 0.3, 0.4], size=5)
    q = random_rows(5, 4, dtype=np.float32)
    wide = q.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    expected = kl_from_counts(p, q=wide, estimator=estimator)
    for other in (q, wide * (1 + 2e-4)):
        result = kl_from_counts(p.astype(np.float32), q=other, estimator=estimator)
        assert result.dtype == np.float64
        assert_allclose(result, expected, rtol=1e-13, atol=1e-15)


WHICH = "estimator must be one of ('plugin', 'miller-madow', 'zhang-grabchak'); got"


@pytest.mark.parametrize(
    ("p_counts", "options", "parts"),
    [
        ([1, 2], {}, ("Pass either q_counts", "got neither")),
        ([1, 2], {"q_counts": [1, 2], "q": [0.5, 0.5]}, ("Pass either", "got both")),
        ([1, -2], {"q_counts": [1, 2]}, ("p_counts has -2 of outcome 1; pass how often",)),
        ([1, 2], {"q_counts": [0.5, 0.5]}, ("q_counts has 0.5 of outcome 0;", "as q=")),
        ([[1, 2], [1, math.nan]], {"q_counts": [1, 2]}, ("p_counts[1] has nan of outcome",)),
        ([1, 2], {"q_counts": [[[1, 2], [math.inf, 1]]]}, ("q_counts[0, 1] has inf of",)),
        ([[1, 2], [0, 0]], {"q_counts": [1, 2]}, ("p_counts[1] has no counts", "Drop")),
        ([[[1, 2]], [[3, 4]]], {"q_counts": [[1, 2], [0, 0]]}, ("q_counts[1] has no count",)),
        ([1, 2], {"q": [0.5, 0.6]}, ("q sums to 1.1 instead of 1",)),
        ([1, 2], {"q": [[0.5, 0.5], [-1, 2]]}, ("q[1] has the negative entry -1",)),
        ([1, 2], {"q_counts": [1e308, 1e308]}, ("q_counts has counts whose sum is too",)),
        ([1, 2], {"q_counts": [1, 2], "estimator": "k3"}, (WHICH, "'k3'")),
        ([1, 2], {"q_counts": [1, 2], "estimator": None}, (WHICH,)),
    ],
)
def test_refusals(p_counts, options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        kl_from_counts(p_counts, **options)
    with pytest.raises(TypeError, match="takes from 1 to 2 positional"):
        kl_from_counts(p_counts, None, [0.5, 0.5])  # which would be counts


def test_outcomes_that_a_series_does_not_name_were_never_seen():
    p = pd.Series(["CH", "DE", "DE", np.nan, "gone"]).value_counts(dropna=False)
    q = pd.Series({"IT": 6, "DE": 5, "CH": 7})
    levels = ["CH", "DE", np.nan, "gone", "IT"]
    x, y = ([own.get(level, 0) for level in levels] for own in (p, q))
    assert x == [1, 2, 1, 1, 0]
    for function in (kl_from_counts, jensen_shannon_from_counts):
        assert_allclose(function(p, q), function(x, y), rtol=1e-14)
        assert_allclose(function(q, p), function(y, x), rtol=1e-14)
    assert kl_from_counts(p, q, estimator="plugin") == math.inf
    with pytest.raises(ValueError, match=r"no outcomes in common: \['a'\] and \['b'\]"):
        kl_from_counts(pd.Series({"a": 3}), pd.Series({"b": 3}))
    # Probabilities that lack an outcome are another matter.
    with pytest.raises(ValueError, match="p_counts and q name different outcomes"):
        kl_from_counts(q, q=pd.Series({"DE": 0.5, "CH": 0.5}))
    frame = pd.DataFrame([[1, 2]], columns=["CH", "DE"])
    with pytest.raises(ValueError, match="name different outcomes"):
        kl_from_counts(frame, pd.DataFrame([[1, 2]], columns=["CH", "IT"]))


# Entropy and Jensen-Shannon divergence


def test_entropy_by_definition():
    """Grassberger's G by its recursion: G(i + 1) = G(i), G(i + 2) = G(i) + 2 / (i + 1)."""
    g = {0: -np.euler_gamma - math.log(2)}
    for i in range(0, 40, 2):
        g[i + 1], g[i + 2] = g[i], g[i] + 2 / (i + 1)
    x = np.array([7, 12, 1, 0, 20])
    n = x.sum()
    expected = math.log(n) - sum(v * g[v] for v in x) / n
    assert_allclose(entropy_from_counts(x), expected, rtol=1e-13)
    plain = entropy_from_counts(x, estimator="plugin")
    assert_allclose(plain, entropy(x / n), rtol=1e-14)
    corrected = entropy_from_counts([x, x], estimator="miller-madow", base=2)
    assert_allclose(corrected, [(plain + 3 / (2 * n)) / np.log(2)] * 2, rtol=1e-14)


def mean_and_truth(function, truth, *distributions, n_samples, **options):
    rng = np.random.default_rng(0)
    counts = [rng.multinomial(n_samples, p, size=20_000) for p in distributions]
    return function(*counts, **options).mean() - truth(*distributions)


@pytest.mark.parametrize("p", [[0.4, 0.3, 0.2, 0.1], [0.25] * 4])
def test_estimates_of_entropy_have_less_bias(p):
    bias = {
        e: mean_and_truth(entropy_from_counts, entropy, p, n_samples=50, estimator=e)
        for e in ("plugin", "miller-madow", "grassberger")
    }
    assert_allclose(bias["plugin"], -3 / 100, rtol=0.1)
    assert abs(bias["miller-madow"]) < 0.1 * abs(bias["plugin"])
    assert abs(bias["grassberger"]) < 0.4 * abs(bias["plugin"])


@pytest.mark.parametrize(
    ("p", "q"), [([0.4, 0.3, 0.3], [0.4, 0.3, 0.3]), ([0.7, 0.2, 0.1], [0.2, 0.3, 0.5])]
)
def test_estimates_of_jensen_shannon_have_less_bias(p, q):
    bias = {
        e: mean_and_truth(
            jensen_shannon_from_counts,
            jensen_shannon_divergence,
            *(p, q),
            n_samples=80,
            estimator=e,
        )
        for e in ("plugin", "miller-madow")
    }
    assert bias["plugin"] > 0.002
    assert abs(bias["miller-madow"]) < 0.1 * bias["plugin"]


def test_jensen_shannon_of_disjoint_counts():
    assert jensen_shannon_from_counts([5, 0], [0, 9], base=2) == 1.0


@pytest.mark.parametrize("function", [entropy_from_counts, jensen_shannon_from_counts])
def test_refusals_of_other_estimates(function):
    names = ("p_counts", "q_counts") if function is jensen_shannon_from_counts else ("counts",)
    good = [[3, 1], [2, 2]]
    for i, name in enumerate(names):
        for bad, message in (([[3, 1], [2, 0.5]], "has 0.5"), ([[3, 1], [0, 0]], "no counts")):
            arguments = [good] * len(names)
            arguments[i] = bad
            with pytest.raises(ValueError, match=matches(f"{name}[1]", message)) as raised:
                function(*arguments)
            assert "q=" not in str(raised.value)  # which these do not take
    with pytest.raises(ValueError, match="estimator must be one of"):
        function(*[good] * len(names), estimator="zhang-grabchak")
