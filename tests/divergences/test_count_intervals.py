"""Intervals of divergences of counts: coverage, definition, refusals."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2_contingency, ncx2

from sklkl.divergences import (
    entropy,
    entropy_from_counts,
    entropy_interval_from_counts,
    jensen_shannon_divergence,
    jensen_shannon_from_counts,
    jensen_shannon_interval_from_counts,
    kl_divergence,
    kl_from_counts,
    kl_interval_from_counts,
)
from tests._support.messages import matches

NEAR = [0.3, 0.25, 0.2, 0.15, 0.1], [0.27, 0.27, 0.2, 0.13, 0.13]
FAR = [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("p", "q", "low", "high"),
    [(*NEAR, 0.93, 0.985), (*FAR, 0.93, 0.97), (FAR[0], FAR[0], 0.93, 1)],
)
@pytest.mark.parametrize("known", [False, True])
def test_coverage(p, q, low, high, known):
    rng = np.random.default_rng(0)
    x, y = rng.multinomial(400, p, size=4000), rng.multinomial(300, q, size=4000)
    other = {"q": q} if known else {"q_counts": y}
    interval = kl_interval_from_counts(x, **other)
    truth = kl_divergence(p, q)
    assert low <= np.mean((interval.low <= truth) & (truth <= interval.high)) <= high
    if p == q and not known:  # as often as a likelihood-ratio test rejects
        assert 0.01 <= np.mean(interval.low > 0) <= 0.04


def test_definition():
    x, y = np.array([70, 20, 10]), np.array([40, 40, 20])
    p, q = x / 100, y / 100
    interval = kl_interval_from_counts(x, y, confidence_level=0.9, base=2)
    assert interval.estimate == kl_from_counts(x, y, estimator="miller-madow", base=2)
    divergence = kl_divergence(p, q)
    variance = variance_of(p, q) / 100
    scale = variance / (4 * divergence)
    for end, share in ((interval.low, 0.95), (interval.high, 0.05)):
        noncentrality = end * np.log(2) / scale
        assert_allclose(ncx2.cdf(divergence / scale, 2, noncentrality), share, rtol=1e-6)


def test_counts_as_large_as_they_come():
    x, y = np.array([7, 2, 1]), np.array([4, 4, 2])
    for many in (1e6, 1e9, 1e12, 1e100):  # of which the first has no normal limit
        interval = kl_interval_from_counts(x * many, y * many)
        half = 1.96 * np.sqrt(variance_of(x / 10, y / 10) / (10 * many))
        truth = kl_divergence(x / 10, y / 10)
        ends = interval.low, interval.high
        assert_allclose(ends, [truth - half, truth + half], rtol=1e-3 * half / truth + 1e-13)


def variance_of(p, q):
    """Return n times the variance of the divergence of frequencies among n samples each."""
    logs = np.log(p / q)
    return p @ logs**2 - (p @ logs) ** 2 + q @ (p / q) ** 2 - 1


def test_equal_counts():
    interval = kl_interval_from_counts([50, 50], [50, 50])
    assert interval.low == 0
    assert_allclose(ncx2.cdf(1, 1, 100 * interval.high), 0.025, rtol=1e-6)
    one = kl_interval_from_counts([50, 0], [60, 0])
    assert one.low == 0 < one.high
    batch = kl_interval_from_counts([[50, 50], [80, 20]], [50, 50])
    assert_allclose(batch.high[0], interval.high)
    assert batch.low.shape == (2,)
    assert batch.low[1] > 0
    impossible = kl_interval_from_counts([50, 50], q=[1, 0])
    assert impossible.low == impossible.high == np.inf


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ([50, 4], {"q_counts": [30, 30]}, "p_counts has 4 of outcome 1"),
        ([50, 9], {"q_counts": [30, 0]}, "q_counts has 0 of outcome 1"),
        ([[50, 9], [3, 50]], {"q": [0.5, 0.5]}, "p_counts[1] has 3 of outcome 0"),
        ([50, 50], {"q_counts": [50, 50], "confidence_level": 1}, "confidence_level"),
        ([50.5, 50], {"q_counts": [50, 50]}, "whole numbers"),
        ([50, 50], {}, "Pass either q_counts"),
    ],
)
def test_refusals(x, options, message):
    with pytest.raises(ValueError, match=matches(message)):
        kl_interval_from_counts(x, **options)


@pytest.mark.parametrize(
    ("p", "q", "high"), [(*NEAR, 0.985), (*FAR, 0.97), (FAR[0], FAR[0], 0.985)]
)
def test_coverage_of_jensen_shannon(p, q, high):
    rng = np.random.default_rng(0)
    x, y = rng.multinomial(400, p, size=4000), rng.multinomial(300, q, size=4000)
    interval = jensen_shannon_interval_from_counts(x, y, base=2)
    truth = jensen_shannon_divergence(p, q, base=2)
    assert 0.93 <= np.mean((interval.low <= truth) & (truth <= interval.high)) <= high
    assert_allclose(interval.estimate, jensen_shannon_from_counts(x, y, base=2))
    if p == q:
        assert 0.01 <= np.mean(interval.low > 0) <= 0.04


@pytest.mark.parametrize(
    ("p", "low", "high"),
    [(FAR[0], 0.93, 0.97), ([0.97, 0.03], 0.92, 0.96), ([0.25] * 4, 0.93, 0.985)],
)
def test_coverage_of_entropy(p, low, high):
    x = np.random.default_rng(0).multinomial(600, p, size=4000)
    x = x[(x >= 5).all(axis=1)]
    interval = entropy_interval_from_counts(x, base=2)
    truth = entropy(p, base=2)
    held = (interval.low <= truth + 1e-12) & (truth <= interval.high + 1e-12)
    assert low <= np.mean(held) <= high
    assert_allclose(
        interval.estimate, entropy_from_counts(x, estimator="miller-madow", base=2)
    )


def test_limits_of_entropy_and_jensen_shannon():
    """The logarithm of the number of outcomes, and a bit."""
    assert entropy_interval_from_counts([50, 50], base=2).high == 1.0
    one = entropy_interval_from_counts([50])
    assert one.low == one.high == 0.0
    apart = jensen_shannon_interval_from_counts([[500, 5], [30, 30]], [5, 700], base=2)
    assert apart.low.shape == (2,)
    assert apart.low[0] < apart.high[0] <= 1.0
    sure = jensen_shannon_interval_from_counts(
        [60, 5], [5, 60], confidence_level=1 - 1e-9, base=2
    )
    assert sure.high == 1.0
    equal = jensen_shannon_interval_from_counts([50, 50], [50, 50])
    assert_allclose(ncx2.cdf(1, 1, 400 * equal.high), 0.025, rtol=1e-6)


def test_refusals_of_entropy_and_jensen_shannon():
    message = matches("counts[1] has 0 of outcome 1", "or take entropy_from_counts")
    with pytest.raises(ValueError, match=message):
        entropy_interval_from_counts([[50, 9], [50, 0]])
    message = matches("q_counts has 4 of outcome 0", "or take jensen_shannon_from_counts")
    with pytest.raises(ValueError, match=message):
        jensen_shannon_interval_from_counts([50, 9], [4, 30])
    with pytest.raises(ValueError, match="confidence_level"):
        entropy_interval_from_counts([50, 50], confidence_level=1)


def test_a_rare_outcome_is_named():
    then, now = pd.Series({"CH": 90, "DE": 40}), pd.Series({"IT": 30, "DE": 9, "CH": 20})
    with pytest.raises(ValueError, match="p_counts has 0 of outcome 'IT'"):
        jensen_shannon_interval_from_counts(then, now)
    with pytest.raises(ValueError, match=r"q_counts has 0 of outcome 'IT'"):
        kl_interval_from_counts(now, then)
    rows = pd.DataFrame([[9, 3], [9, 9]], columns=["CH", "DE"])
    with pytest.raises(ValueError, match=r"p_counts\[0\] has 3 of outcome 'DE'"):
        kl_interval_from_counts(rows, [20, 20])
    with pytest.raises(ValueError, match="q_counts has 1 of outcome 'CH'"):
        kl_interval_from_counts([9, 9], pd.Series({"CH": 1, "DE": 9}))


def test_statistic_of_the_g_test():
    x, y = np.array([70, 20, 0, 10]), np.array([30, 40, 3, 20])
    n, m = x.sum(), y.sum()
    found = chi2_contingency([x, y], correction=False, lambda_="log-likelihood").statistic
    weighted = jensen_shannon_divergence(x / n, y / m, weight=n / (n + m))
    assert_allclose(found, 2 * (n + m) * weighted, rtol=1e-12)


def test_more_counts_than_digits():
    """Without a variance that a float can hold, the interval is the estimate."""
    interval = entropy_interval_from_counts([1e308, 5.0])
    assert interval.low == interval.high == pytest.approx(interval.estimate, abs=1e-300)
