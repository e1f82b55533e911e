"""The calibration error: by hand, without bias, and intervals that cover."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri

from sklkl.metrics import calibration_error
from tests._support.messages import matches
from tests._support.problems import random_rows


def draws(seed, n=400, k=3, power=1.0):
    """Return labels drawn from probabilities, and predictions, these to a power."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), size=n)
    y = (rng.random((n, 1)) < np.cumsum(p, axis=1)).argmax(axis=1)
    q = p**power
    return y, q / q.sum(axis=1, keepdims=True)


def by_hand(y, q, n_bins, weight):
    """Return the squares without and with the bias of each bin."""
    plugin = debiased = 0.0
    for k in range(q.shape[1]):
        edges = np.quantile(q[:, k], np.arange(1, n_bins) / n_bins, method="inverted_cdf")
        bins = np.searchsorted(edges, q[:, k])
        for b in range(n_bins):
            here = bins == b
            r, w = (y[here, k] - q[here, k]), weight[here] / weight[here].sum()
            n = here.sum()
            share = weight[here].sum() / weight.sum() / q.shape[1]
            mean = w @ r
            plugin += share * mean**2
            variance = n / (n - 1) * np.sum(w**2 * (r - mean) ** 2)
            if np.ptp(y[here, k]) == 0:  # labels that agree
                variance = np.sum(w**2 * q[here, k] * (1 - q[here, k]))
            debiased += share * (mean**2 - variance)
    return plugin, debiased


@pytest.mark.parametrize("weighted", [False, True])
def test_definition(weighted):
    y, q = draws(0, power=2)
    weight = (
        np.random.default_rng(0).uniform(0.5, 1, size=len(y)) if weighted else np.ones(400)
    )
    result = calibration_error(y, q, n_bins=8, sample_weight=weight if weighted else None)
    plugin, debiased = by_hand(np.eye(3)[y], q, 8, weight)
    assert_allclose([result.plugin**2, result.estimate**2], [plugin, debiased], rtol=1e-12)
    assert 0 < result.low < result.estimate < result.high
    options = {"n_bins": 3, "sample_weight": weight}  # in whose bins labels differ
    result = calibration_error(y, q, **options)
    soft = calibration_error(0.5 * np.eye(3)[y] + 0.5 * q, q, **options)
    assert_allclose(soft.estimate, result.estimate / 2, rtol=1e-12)
    assert_allclose(soft.high, result.high / 2, rtol=1e-9)


def test_two_classes_and_names():
    y, q = draws(1, k=2, power=2)
    one = calibration_error(y, q[:, 1], n_bins=5)
    both = calibration_error(y, q, n_bins=5)
    assert_allclose(one.estimate, both.estimate, rtol=1e-12)
    plugin, _ = by_hand(np.eye(2)[y], q, 5, np.ones(400))
    assert_allclose(one.plugin**2, plugin, rtol=1e-12)
    named = pd.DataFrame(q[:, ::-1], columns=["b", "a"])
    words = np.array(["a", "b"])[y]
    assert calibration_error(words, named, n_bins=5) == both


def test_top_class():
    y, q = draws(2, power=2)
    top = q.argmax(axis=1)
    result = calibration_error(y, q, classes="top", n_bins=6)
    hit = (y == top).astype(float)[:, np.newaxis]
    plugin, debiased = by_hand(hit, q.max(axis=1, keepdims=True), 6, np.ones(400))
    assert_allclose([result.plugin**2, result.estimate**2], [plugin, debiased], rtol=1e-12)


@pytest.mark.parametrize(("power", "least", "most"), [(1.0, 0.93, 1.0), (2.0, 0.91, 0.98)])
def test_bias_and_coverage(power, least, most):
    """Of calibrated predictions the square is right on average, which no plug-in is."""
    large = calibration_error(*draws(0, n=200_000, power=power), n_bins=10)
    truth = 0.0 if power == 1 else large.estimate
    results = [calibration_error(*draws(s, power=power), n_bins=10) for s in range(1, 301)]
    covered = np.mean([r.low <= truth <= r.high or r.low == truth for r in results])
    assert least <= covered <= most
    estimates, plugins = (
        np.mean([getattr(r, name) for r in results]) for name in ("estimate", "plugin")
    )
    assert abs(estimates - truth) < 0.6 * abs(plugins - truth)


def test_groups_by_hand():
    """Of each bin, the variance of the mean is that of the sums of groups."""
    y, q = draws(0, power=2)
    weight, groups = np.random.default_rng(0).uniform(0.5, 1, size=400), np.arange(400) // 8
    result = calibration_error(y, q, n_bins=4, sample_weight=weight, groups=groups)
    debiased = 0.0
    for k in range(3):
        edges = np.quantile(q[:, k], np.arange(1, 4) / 4, method="inverted_cdf")
        bins = np.searchsorted(edges, q[:, k])
        for b in range(4):
            here = bins == b
            r, w = ((y == k) - q[:, k])[here], weight[here] / weight[here].sum()
            sums = pd.Series(w * (r - w @ r)).groupby(groups[here]).sum()
            variance = len(sums) / (len(sums) - 1) * np.sum(sums**2)
            share = weight[here].sum() / weight.sum() / 3
            debiased += share * ((w @ r) ** 2 - variance)
    assert_allclose(result.estimate**2, debiased, rtol=1e-12)
    # Groups of one row each are rows; rows that are repeated tell nothing more.
    alone = calibration_error(y, q, n_bins=4)
    assert calibration_error(y, q, n_bins=4, groups=np.arange(400)[::-1]) == alone
    twice = calibration_error(
        np.tile(y, 2), np.tile(q, (2, 1)), n_bins=4, groups=np.tile(range(400), 2)
    )
    assert_allclose(
        [twice.low, twice.estimate, twice.high], [alone.low, alone.estimate, alone.high]
    )


def test_coverage_with_groups():
    """Labels that depend on each other within groups, of calibrated predictions."""
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(40), 25)
    covered = np.zeros(2)
    for _ in range(100):
        p = rng.uniform(0.1, 0.9, size=1000)
        noise = np.sqrt(0.4) * rng.normal(size=40)[groups] + np.sqrt(0.6) * rng.normal(
            size=1000
        )
        y = noise < ndtri(p)
        for i, own in enumerate((None, groups)):
            covered[i] += calibration_error(y, p, n_bins=8, groups=own).low == 0
    assert covered[0] < 85
    assert covered[1] >= 93


@pytest.mark.parametrize("p", [0.97, 0.99])
def test_very_sure_predictions(p):
    """Labels of a bin that all agree are no proof of an error."""
    rng = np.random.default_rng(0)
    draws = [(rng.random(60) < p).astype(int) for _ in range(100)]
    results = [calibration_error(y, np.full(60, p), labels=[0, 1]) for y in draws]
    assert np.mean([result.low == 0 < result.high for result in results]) >= 0.95
    # One sample alone in its bin.
    q = np.array([0.5] * 99 + [0.99])
    for y in (np.arange(100) % 2, np.column_stack([1 - q, q])):
        assert calibration_error(y, q, classes="top", labels=[0, 1]).low == 0.0


def test_predictions_that_coincide():
    y = np.array([0, 0, 0, 1] * 25)
    constant = calibration_error(y, np.full(100, 0.25))
    assert constant.plugin == constant.estimate == constant.low == 0.0
    assert 0 < constant.high < 0.15
    sure = calibration_error(y, y.astype(float))
    assert sure.plugin == sure.high == 0.0
    assert calibration_error(y, 1.0 - y).low == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 0}, "n_bins"),
        ({"n_bins": 31}, "n_bins=31 is too many for 60 samples"),
        ({"groups": np.arange(60) // 3, "n_bins": 11}, "n_bins=11 is too many for 20 groups"),
        ({"groups": np.arange(9)}, "inconsistent numbers"),
        ({"classes": "some"}, "classes"),
        ({"confidence_level": 1.0}, "confidence_level"),
        ({"sample_weight": np.ones(3)}, "inconsistent numbers"),
    ],
)
def test_refusals(options, message):
    y, q = draws(0, n=60)
    with pytest.raises(ValueError, match=matches(message)):
        calibration_error(y, q, **options)


def test_too_many_classes():
    q = random_rows(60, 400, 0)
    with pytest.raises(ValueError, match="classes='top' takes one"):
        calibration_error(q, q, n_bins=10)
    assert calibration_error(q, q, n_bins=10, classes="top").plugin == 0.0
