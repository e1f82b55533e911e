"""kl_interval: formulas by hand, invariances, coverage, bad input."""

import math
import re
import warnings
from dataclasses import FrozenInstanceError, astuple

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import log_loss

from sklkl.divergences import kl_divergence
from sklkl.metrics import _intervals, hellinger_loss, kl_loss, renyi_loss, reverse_kl_loss
from sklkl.metrics._intervals import LossInterval, kl_interval
from sklkl.metrics._losses import ALIGNED, LOSSES

LN2 = math.log(2.0)
METHODS = ["delta", "bootstrap"]
PARAMETERS = {"renyi_loss": {"order": 2}, "alpha_loss": {"alpha": 0.5}}

each_method = pytest.mark.parametrize("method", METHODS)
each_loss = pytest.mark.parametrize("loss", LOSSES)


def random_rows(n_samples, n_classes=3, seed=0):
    rows = np.random.default_rng(seed).dirichlet(np.full(n_classes, 2.0), size=n_samples)
    return (rows + 1e-3) / (1 + 1e-3 * n_classes)


def random_data(n_samples=80, seed=0):
    """Return soft targets, two models' predictions, weights and groups."""
    rng = np.random.default_rng(seed)
    y, p, other = (random_rows(n_samples, seed=(seed, i)) for i in range(3))
    return y, p, other, rng.uniform(0.1, 3.0, n_samples), rng.integers(12, size=n_samples)


def interval(*args, method="delta", **options):
    if method == "bootstrap":
        options = {"n_resamples": 500, "random_state": 0, **options}
    return kl_interval(*args, method=method, **options)


def assert_same(actual, expected, rtol=1e-10, atol=0.0):
    assert_allclose(astuple(actual), astuple(expected), rtol=rtol, atol=atol)


def linearised(losses, weight, groups, level=0.95):
    """Return the delta interval, written as a loop over groups."""
    total = sum(weight)
    estimate = sum(w * x for w, x in zip(weight, losses, strict=True)) / total
    sums = {}
    for x, w, g in zip(losses, weight, groups, strict=True):
        if w > 0:
            sums[g] = sums.get(g, 0.0) + w * (x - estimate) / total
    n_groups = len(sums)
    error = math.sqrt(n_groups / (n_groups - 1) * sum(z**2 for z in sums.values()))
    half = stats.t(n_groups - 1).ppf((1 + level) / 2) * error
    return LossInterval(estimate, error, estimate - half, estimate + half)


# Values


@pytest.mark.parametrize("n_samples", [2, 3, 10, 300])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_students_interval(n_samples, level):
    y, p = random_rows(n_samples), random_rows(n_samples, seed=1)
    losses = kl_divergence(y, p)
    error = stats.sem(losses)
    expected = stats.t.interval(level, n_samples - 1, losses.mean(), error)
    result = kl_interval(y, p, confidence_level=level)
    assert_same(result, LossInterval(losses.mean(), error, *expected))


def test_by_hand():
    """Losses 1 and 3 bits of weights 3 and 1: mean 3/2, residuals 3/8 (-1, 1)."""
    result = kl_interval(
        [0, 0], [[1 / 2, 1 / 2], [1 / 8, 7 / 8]], labels=[0, 1], sample_weight=[3, 1], base=2
    )
    error = math.sqrt(2 / 1 * 2 * (3 / 8) ** 2)
    half = math.tan(0.475 * math.pi) * error  # Student's t of one degree of freedom is Cauchy
    assert_same(result, LossInterval(1.5, error, 1.5 - half, 1.5 + half))


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_a_level_next_to_1(method):
    """Half of 1 + level rounds to 1, of which a quantile is infinite."""
    y, p = random_rows(100), random_rows(100, seed=1)
    options = {"method": method, "random_state": 0}
    result = kl_interval(y, p, confidence_level=1 - 1e-16, **options)
    narrow = kl_interval(y, p, confidence_level=0.9, **options)
    assert -np.inf < result.low < narrow.low < narrow.high < result.high < np.inf


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_weights_of_any_size(method):
    y, p = random_rows(4), random_rows(4, seed=1)
    options = {"method": method, "random_state": 0}
    expected = kl_interval(y, p, sample_weight=[2, 1, 1, 1], **options)
    result = kl_interval(y, p, sample_weight=[2e299, 1e299, 1e299, 1e299], **options)
    assert_same(result, expected)
    result = kl_interval(y, p, sample_weight=[2e299, 1e-300, 1e-300, 1e-300], **options)
    losses = kl_divergence(y, p)
    assert result.estimate == losses[0]
    assert 0 <= result.standard_error <= np.ptp(losses)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("paired", [True, False])
def test_linearised_ratio(weighted, grouped, paired):
    y, p, other, weight, groups = random_data()
    losses = kl_divergence(y, p) - (kl_divergence(y, other) if paired else 0)
    result = kl_interval(
        y,
        p,
        other if paired else None,
        sample_weight=weight if weighted else None,
        groups=groups if grouped else None,
        confidence_level=0.9,
    )
    expected = linearised(
        losses,
        weight if weighted else np.ones(len(y)),
        groups if grouped else range(len(y)),
        0.9,
    )
    assert_same(result, expected)


@each_loss
@each_method
@pytest.mark.parametrize("hard", [True, False])
def test_estimate_is_the_loss(loss, method, hard):
    y, p, other, weight, groups = random_data()
    if hard:
        y = y.argmax(axis=1)
        p[3] = [1, 0, 0]
        y[3] = 1  # clipped
    own = PARAMETERS.get(loss, {})
    options = {"loss": loss, "groups": groups, "method": method, **own}
    value = LOSSES[loss](y, p, sample_weight=weight, **own)
    result = interval(y, p, sample_weight=weight, **options)
    assert result.estimate == pytest.approx(value, rel=1e-13)
    assert 0 < result.standard_error < np.inf
    assert result.low < value < result.high
    rest = LOSSES[loss](y, other, sample_weight=weight, **own)
    result = interval(y, p, other, sample_weight=weight, **options)
    assert result.estimate == pytest.approx(value - rest, rel=1e-11)


def test_kl_by_default():
    y, p, *_ = random_data()
    assert kl_interval(y, p) == kl_interval(y, p, loss="kl_loss", method="delta")
    assert kl_interval(y, p) != kl_interval(y, p, loss="reverse_kl_loss")


@pytest.mark.parametrize("order", [0.5, 1, 2])
def test_parameters_of_the_loss(order):
    y, p, *_ = random_data()
    result = kl_interval(y, p, loss="renyi_loss", order=order, base=2)
    assert result.estimate == pytest.approx(renyi_loss(y, p, order=order, base=2))
    default = kl_interval(y, p, loss="jensen_shannon_loss")
    assert default == kl_interval(y, p, loss="jensen_shannon_loss", weight=0.5)
    assert default != kl_interval(y, p, loss="jensen_shannon_loss", weight=0.3)


@each_method
def test_log_loss(method):
    y, p, _, weight, _ = random_data()
    codes = y.argmax(axis=1)
    result = interval(codes, p, sample_weight=weight, method=method)
    assert result.estimate == pytest.approx(log_loss(codes, p, sample_weight=weight))


# Invariances


@each_method
def test_base(method):
    y, p, *_ = random_data()
    nats = interval(y, p, method=method)
    bits = interval(y, p, method=method, base=2)
    assert_same(LossInterval(*(LN2 * x for x in astuple(bits))), nats)


@each_method
@pytest.mark.parametrize("factor", [2.0**-1060, 1e-300, 0.3, 7, 1e300])
def test_scale_of_weights(method, factor):
    y, p, _, weight, groups = random_data()
    weight = np.round(weight * 64)
    result = interval(y, p, sample_weight=factor * weight, groups=groups, method=method)
    assert_same(result, interval(y, p, sample_weight=weight, groups=groups, method=method))


@each_method
def test_equal_weights_are_none(method):
    y, p, *_ = random_data()
    equal = interval(y, p, sample_weight=np.full(len(y), 3.5), method=method)
    assert_same(equal, interval(y, p, method=method))


def test_weights_are_no_frequencies():
    y, p, *_ = random_data()
    single = kl_interval(y, p)
    doubled = kl_interval(y, p, sample_weight=np.full(len(y), 2.0))
    repeated = kl_interval(np.repeat(y, 2, axis=0), np.repeat(p, 2, axis=0))
    assert doubled.standard_error == pytest.approx(single.standard_error)
    assert repeated.standard_error < 0.75 * single.standard_error
    groups = np.repeat(np.arange(len(y)), 2)
    grouped = kl_interval(np.repeat(y, 2, axis=0), np.repeat(p, 2, axis=0), groups=groups)
    assert_same(grouped, single)


@each_method
@pytest.mark.parametrize("grouped", [True, False])
def test_weight_zero_is_absent(method, grouped):
    y, p, other, weight, groups = random_data()
    weight[::3] = 0
    weight[groups == 5] = 0
    kept = weight > 0
    result = interval(
        y, p, other, sample_weight=weight, groups=groups if grouped else None, method=method
    )
    expected = interval(
        y[kept],
        p[kept],
        other[kept],
        sample_weight=weight[kept],
        groups=groups[kept] if grouped else None,
        method=method,
    )
    assert result == expected


@each_method
def test_infinite_loss_of_weight_zero(method):
    y, p, *_ = random_data(20)
    p[4] = y[5] = [1, 0, 0]
    p[5] = [0, 0.5, 0.5]
    weight = np.ones(20)
    weight[[4, 5]] = 0
    result = interval(y, p, sample_weight=weight, on_zero="inf", method=method)
    kept = weight > 0
    assert result == interval(y[kept], p[kept], method=method)


@each_method
def test_groups_of_one_row(method):
    y, p, _, weight, _ = random_data()
    alone = interval(y, p, sample_weight=weight, method=method)
    groups = [f"patient {i:03}" for i in range(len(y))]
    assert interval(y, p, sample_weight=weight, groups=groups, method=method) == alone


def test_order_of_rows():
    y, p, other, weight, groups = random_data()
    i = np.random.default_rng(0).permutation(len(y))
    assert_same(
        kl_interval(y[i], p[i], other[i], sample_weight=weight[i], groups=groups[i]),
        kl_interval(y, p, other, sample_weight=weight, groups=groups),
    )


@each_method
def test_names_of_groups(method):
    y, p, _, _, groups = random_data()
    names = np.array(list("abcdefghijkl"))[groups]
    expected = interval(y, p, groups=groups, method=method)
    for same in (names, names.tolist(), names.astype(object), pd.Series(names), groups + 0.5):
        assert interval(y, p, groups=same, method=method) == expected
    assert interval(y, p, groups=pd.Categorical(names), method=method) == expected


@each_method
def test_same_model_twice(method):
    y, p, _, weight, groups = random_data()
    for options in ({}, {"sample_weight": weight}, {"groups": groups}):
        result = interval(y, p, p.copy(), method=method, **options)
        assert result == LossInterval(0.0, 0.0, 0.0, 0.0)


def test_swapped_models():
    y, p, other, weight, groups = random_data()
    options = {"sample_weight": weight, "groups": groups}
    there, back = kl_interval(y, p, other, **options), kl_interval(y, other, p, **options)
    expected = LossInterval(-there.estimate, there.standard_error, -there.high, -there.low)
    assert_same(back, expected)


def test_pairs_are_worth_more_than_two_intervals():
    y, p, *_ = random_data(300)
    other = 0.9 * p + 0.1 / 3
    apart = [kl_interval(y, x).standard_error for x in (p, other)]
    assert kl_interval(y, p, other).standard_error < 0.5 * math.hypot(*apart)


@each_method
def test_equal_losses(method):
    result = interval([0, 0, 0, 0], [0.25] * 4, labels=[0, 1], method=method)
    assert_same(result, LossInterval(*[-math.log(0.75)] * 4), atol=0.3)
    assert result.standard_error <= 1e-15
    assert result.high - result.low <= 1e-15


@each_method
def test_huge_losses(method):
    """Their squares are beyond float64."""
    y, p = random_rows(9, 2), random_rows(9, 2, seed=1)
    p[0] = [1.0, 1e-290]
    result = interval(y, p, loss="chi2_loss", on_zero="inf", method=method)
    assert 1e200 < result.estimate < np.inf
    assert result.standard_error == pytest.approx(result.estimate, rel=0.5)
    assert result.low < result.estimate < result.high


# The bootstrap


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("paired", [True, False])
def test_methods_agree(weighted, grouped, paired):
    y, p, other, weight, _ = random_data(900)
    groups = np.arange(900) % 300
    args = (y, p, other) if paired else (y, p)
    options = {
        "sample_weight": weight if weighted else None,
        "groups": groups if grouped else None,
    }
    delta = kl_interval(*args, **options)
    bootstrap = kl_interval(*args, **options, method="bootstrap", random_state=0)
    assert bootstrap.estimate == delta.estimate
    assert bootstrap.standard_error == pytest.approx(delta.standard_error, rel=0.05)
    tolerance = 0.25 * delta.standard_error
    assert bootstrap.low == pytest.approx(delta.low, abs=tolerance)
    assert bootstrap.high == pytest.approx(delta.high, abs=tolerance)


def test_bootstrap_of_scipy():
    """Which takes its acceleration from the jackknife."""
    rng = np.random.default_rng(0)
    proba = np.exp(-rng.exponential(1.0, size=60))
    losses = -np.log(proba)
    options = {"n_resamples": 50_000, "random_state": 0}
    result = interval(np.ones(60, int), proba, labels=[0, 1], method="bootstrap", **options)
    expected = stats.bootstrap((losses,), np.mean, method="BCa", batch=5000, **options)
    assert result.standard_error == pytest.approx(expected.standard_error, rel=0.02)
    tolerance = 0.1 * result.standard_error
    assert result.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert result.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)
    # Losses are skewed to the right, and so is what is uncertain of their mean.
    assert result.high - result.estimate > 1.1 * (result.estimate - result.low)


@pytest.mark.parametrize("base", [None, 2, 10, 3.7])
def test_ties_are_no_bias(base):
    """Losses of two values: many resamples repeat the estimate, but for rounding."""
    y = np.repeat([0, 1], [14, 6])
    p = np.tile([0.3, 0.7], (20, 1))
    result = kl_interval(y, p, base=base, method="bootstrap", n_resamples=4000, random_state=0)
    unit = 1 if base is None else math.log(base)
    nats = kl_interval(y, p, method="bootstrap", n_resamples=4000, random_state=0)
    assert_same(LossInterval(*(unit * x for x in astuple(result))), nats)
    # Of a proportion: the exact interval of 14 of 20 is (0.457, 0.881).
    share = [(x + math.log(0.7)) / math.log(0.7 / 0.3) for x in (nats.low, nats.high)]
    assert 0.42 <= share[0] <= 0.52
    assert 0.83 <= share[1] <= 0.91


def test_random_state():
    y, p, *_ = random_data()
    options = {"method": "bootstrap", "n_resamples": 200}
    first = kl_interval(y, p, random_state=3, **options)
    assert kl_interval(y, p, random_state=3, **options) == first
    assert kl_interval(y, p, random_state=np.random.RandomState(3), **options) == first
    assert kl_interval(y, p, random_state=4, **options) != first
    assert kl_interval(y, p, random_state=None, **options).estimate == first.estimate


@pytest.mark.parametrize("largest", [1, 3 * 80, 3 * 80 * 7 + 5, 10**7])
def test_batches_do_not_matter(largest, monkeypatch):
    y, p, _, weight, _ = random_data()
    expected = interval(y, p, sample_weight=weight, method="bootstrap")
    monkeypatch.setattr(_intervals, "LARGEST_BATCH", largest)
    assert interval(y, p, sample_weight=weight, method="bootstrap") == expected


def test_more_resamples_than_fit_at_once(monkeypatch):
    """No array of the bootstrap is larger than it may be."""
    sizes = []

    class Recorder(np.random.RandomState):
        def randint(self, *args, size, **kwargs):
            sizes.append(math.prod(size))
            return super().randint(*args, size=size, **kwargs)

    y, p, *_ = random_data()
    monkeypatch.setattr(_intervals, "LARGEST_BATCH", 30_000)
    kl_interval(y, p, method="bootstrap", n_resamples=1001, random_state=Recorder(0))
    assert sum(sizes) == 1001 * 80
    assert max(sizes) <= 10_000


@pytest.mark.parametrize("n_resamples", [2, 3, 5])
@pytest.mark.parametrize("level", [0.5, 0.999999])
def test_few_resamples(n_resamples, level):
    """All on one side, perhaps: finite, without a warning."""
    y, p, *_ = random_data(4)
    for seed in range(20):
        result = kl_interval(
            y,
            p,
            method="bootstrap",
            n_resamples=n_resamples,
            confidence_level=level,
            random_state=seed,
        )
        assert np.isfinite(astuple(result)).all()
        assert result.low <= result.high


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_skew(sign):
    """One row holds all of the difference."""
    y = np.zeros(50, int)
    p, other = np.full(50, 0.3), np.full(50, 0.3)
    (p if sign > 0 else other)[7] = 1 - 1e-12
    result = kl_interval(
        y,
        p,
        other,
        labels=[0, 1],
        method="bootstrap",
        confidence_level=1 - 1e-9,
        random_state=0,
    )
    assert np.isfinite(astuple(result)).all()
    assert result.low <= result.estimate <= result.high


# Coverage. Samples are drawn from a finite population, whose mean loss is known exactly.

N_DATA_SETS = 2000


def covers(results, truth):
    return np.mean([r.low <= truth <= r.high for r in results])


def population(n_rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(3, 3.0), size=n_rows)
    other = 0.8 * p + 0.2 * rng.dirichlet(np.full(3, 3.0), size=n_rows)
    y = np.array([rng.dirichlet(8 * row + 0.3) for row in p])
    return y, p, other, rng


@pytest.mark.parametrize("case", ["kl", "log loss", "paired", "weighted"])
def test_coverage(case):
    y, p, other, rng = population()
    if case == "log loss":
        y = (y.cumsum(axis=1) < rng.uniform(size=(len(y), 1))).sum(axis=1)
    truth = kl_loss(y, p) - (kl_loss(y, other) if case == "paired" else 0)
    # Where weighted, rows of large loss are drawn more often, and weigh less.
    chance = 0.3 + p.max(axis=1) ** 2 if case == "weighted" else np.ones(len(y))
    drawn = rng.choice(len(y), size=(N_DATA_SETS, 300), p=chance / chance.sum())
    results = [
        kl_interval(
            y[i],
            p[i],
            other[i] if case == "paired" else None,
            sample_weight=1 / chance[i] if case == "weighted" else None,
        )
        for i in drawn
    ]
    assert 0.93 <= covers(results, truth) <= 0.97
    estimates = np.array([r.estimate for r in results])
    errors = np.array([r.standard_error for r in results])
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(estimates.std(), rel=0.05)


def clusters(n_clusters=600, seed=0):
    """Return predictions that are off by as much for all rows of a cluster."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 12, size=n_clusters)
    groups = np.repeat(np.arange(n_clusters), sizes)
    shift = (rng.choice([-1, 1], n_clusters) * rng.uniform(0.5, 1.5, n_clusters))[groups]
    logit = rng.normal(size=len(groups))
    y, p = (1 / (1 + np.exp(-z)) for z in (logit, logit + shift))
    y, p = (np.column_stack([1 - x, x]) for x in (y, p))
    return y, p, groups, sizes, rng


def draw_clusters(sizes, n_drawn, rng):
    """Return the rows of clusters drawn with replacement, and a group for each draw."""
    drawn = rng.integers(len(sizes), size=n_drawn)
    starts = np.cumsum(sizes) - sizes
    rows = np.concatenate([np.arange(starts[g], starts[g] + sizes[g]) for g in drawn])
    return rows, np.repeat(np.arange(n_drawn), sizes[drawn])


def test_coverage_of_clusters():
    y, p, _, sizes, rng = clusters()
    truth = kl_loss(y, p)
    results, ignorant = [], []
    for _ in range(N_DATA_SETS):
        rows, groups = draw_clusters(sizes, 40, rng)
        results.append(kl_interval(y[rows], p[rows], groups=groups))
        if len(ignorant) < 300:
            ignorant.append(kl_interval(y[rows], p[rows]))
    assert 0.93 <= covers(results, truth) <= 0.97
    assert covers(ignorant, truth) < 0.8


@pytest.mark.parametrize("grouped", [True, False])
def test_coverage_of_the_bootstrap(grouped):
    """Of losses of little skew: that of the KL divergence asks for more rows and resamples."""
    if grouped:
        y, p, _, sizes, rng = clusters()
    else:
        y, p, _, rng = population()
    truth = hellinger_loss(y, p)
    results = []
    for seed in range(N_DATA_SETS):
        rows, groups = rng.integers(len(y), size=100), None
        if grouped:
            rows, groups = draw_clusters(sizes, 60, rng)
        options = {"n_resamples": 400, "random_state": seed, "groups": groups}
        options |= {"loss": "hellinger_loss", "method": "bootstrap"}
        results.append(kl_interval(y[rows], p[rows], **options))
    assert 0.93 <= covers(results, truth) <= 0.97


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_coverage_of_other_levels(level):
    y, p, _, rng = population()
    drawn = rng.integers(len(y), size=(N_DATA_SETS, 100))
    results = [kl_interval(y[i], p[i], confidence_level=level) for i in drawn]
    slack = 4 * math.sqrt(level * (1 - level) / N_DATA_SETS) + 0.005
    assert covers(results, kl_loss(y, p)) == pytest.approx(level, abs=slack)


# Infinite losses


@pytest.fixture
def with_zeros():
    """Row 1 of the first model and row 2 of the second have an infinite loss."""
    y = np.full((4, 2), 0.5)
    p, other = np.full((4, 2), 0.5), np.full((4, 2), 0.5)
    p[1] = other[2] = [0, 1]
    p[3] = other[3] = [0.1, 0.9]
    return y, p, other


@each_method
def test_infinite_estimate(method, with_zeros):
    y, p, other = with_zeros
    fine = np.full((4, 2), 0.5)
    for args, estimate in (
        ((y, p), np.inf),
        ((y, p, fine), np.inf),
        ((y, fine, p), -np.inf),
        ((y, p, other), np.nan),
        ((y, p, p), np.nan),
    ):
        result = interval(*args, on_zero="inf", method=method)
        assert_array_equal(astuple(result), [estimate, np.nan, np.nan, np.nan])


@each_method
def test_clipping(method, with_zeros):
    y, p, other = with_zeros
    result = interval(y, p, other, method=method)
    assert result.estimate == pytest.approx(kl_loss(y, p) - kl_loss(y, other), abs=1e-14)
    assert np.isfinite(astuple(result)).all()
    result = interval(y, p, loss="reverse_kl_loss", method=method)
    assert result.estimate == reverse_kl_loss(y, p)


def test_raising(with_zeros):
    y, p, other = with_zeros
    with pytest.raises(ValueError, match=r"loss is infinite: y_proba\[1, 0\] is 0"):
        kl_interval(y, p, on_zero="raise")
    with pytest.raises(ValueError, match=r"loss is infinite: y_proba_other\[2, 0\] is 0"):
        kl_interval(y, y, other, on_zero="raise")


# Forms of input


def _with(x, change):
    if change == "read-only":
        x = x.copy()
        x.flags.writeable = False
        return x
    if change == "strided":
        return np.repeat(x, 2, axis=0)[::2]
    if change == "Fortran":
        return np.asfortranarray(x)
    if change == "list":
        return x.tolist()
    return pd.DataFrame(x) if x.ndim == 2 else pd.Series(x)


@each_method
@pytest.mark.parametrize("change", ["read-only", "strided", "Fortran", "list", "frame"])
@pytest.mark.parametrize("hard", [True, False])
def test_forms(change, hard, method):
    y, p, other, weight, groups = random_data()
    y = y.argmax(axis=1) if hard else y
    expected = interval(y, p, other, sample_weight=weight, groups=groups, method=method)
    y, p, other, weight, groups = (_with(x, change) for x in (y, p, other, weight, groups))
    result = interval(y, p, other, sample_weight=weight, groups=groups, method=method)
    assert_same(result, expected, rtol=1e-13)


@each_method
def test_float32(method):
    y, p, other, weight, _ = random_data()
    expected = interval(y, p, other, sample_weight=weight, method=method)
    y, p, other = (x.astype(np.float32) for x in (y, p, other))
    result = interval(y, p, other, sample_weight=weight.astype(np.float32), method=method)
    assert_same(result, expected, rtol=1e-4)
    assert all(type(x) is float for x in astuple(result))
    assert_same(
        interval(y, p, method=method), interval(y, p.astype(float), method=method), 1e-5
    )


def test_columns_by_name():
    y, p, other, *_ = random_data()
    names = ["ant", "bee", "cat"]
    labels = np.array(names)[y.argmax(axis=1)]
    expected = kl_interval(labels, p, other)
    turned = pd.DataFrame(other, columns=names)[["cat", "ant", "bee"]]
    assert kl_interval(labels, p, turned) == expected
    soft = pd.DataFrame(y, columns=names)
    assert kl_interval(soft, p, turned) == kl_interval(y, p, other)


def test_binary_column():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=30)
    p, other = rng.uniform(0.1, 0.9, size=(2, 30))
    expected = kl_interval(y, *(np.column_stack([1 - x, x]) for x in (p, other)))
    assert kl_interval(y, p, other) == expected


def test_labels():
    p = random_rows(4)
    expected = kl_interval(np.eye(3)[[0, 2, 0, 2]], p)
    assert kl_interval([0, 2, 0, 2], p, labels=[0, 1, 2]) == expected
    with pytest.warns(UserWarning, match="are taken in sorted order") as record:
        kl_interval([0, 2, 0, 2], p, p, labels=[2, 1, 0])
    assert {r.filename for r in record} == {__file__}


def test_arguments_are_left_alone():
    data = random_data()
    copies = [x.copy() for x in data]
    y, p, other, weight, groups = data
    for method in METHODS:
        interval(y, p, other, sample_weight=weight, groups=groups, method=method)
    for x, copy in zip(data, copies, strict=True):
        assert_array_equal(x, copy)


def test_no_warnings(with_zeros):
    y, p, other = with_zeros
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for on_zero in ("inf", "clip"):
            kl_interval(y, p, other, on_zero=on_zero, sample_weight=[0, 1, 1, 1e-320])


# The result


def test_result():
    result = LossInterval(0.123456789, 1e-9, -math.inf, math.nan)
    assert repr(result) == (
        "LossInterval(estimate=0.123457, standard_error=1e-09, low=-inf, high=nan)"
    )
    assert eval(repr(kl_interval([0, 1], [0.2, 0.7]))).estimate > 0
    with pytest.raises(FrozenInstanceError):
        result.estimate = 1.0


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "d2_kl_score"}, "loss must be one of ('kl_loss', "),
        ({"loss": kl_loss}, "got <function kl_loss"),
        ({"loss": "renyi_loss"}, "renyi_loss needs ['order']"),
        (
            {"loss": "alpha_loss", "order": 2},
            "alpha_loss takes no ['order']; it takes ['alpha",
        ),
        ({"order": 2}, "kl_loss takes no ['order']; it takes []"),
        ({"reverse": True}, "kl_loss takes no ['reverse']"),
        ({"loss": "renyi_loss", "order": -1}, "order must be a finite number >= 0"),
        ({"loss": "chi2_loss", "base": 2}, "chi2_loss has no unit; leave base=None, not 2"),
        ({"base": 1}, "base must be None (nats) or a number > 1"),
        ({"on_zero": "drop"}, "on_zero must be one of"),
        ({"method": "jackknife"}, "method must be one of ('delta', 'bootstrap'); got 'jack"),
        ({"method": ["delta"]}, "method must be one of"),
        (
            {"confidence_level": 95},
            "confidence_level must be a number between 0 and 1; got 95",
        ),
        ({"confidence_level": 0.0}, "confidence_level must be"),
        ({"confidence_level": 1}, "confidence_level must be"),
        ({"confidence_level": math.nan}, "confidence_level must be"),
        ({"confidence_level": "0.95"}, "confidence_level must be"),
        ({"n_resamples": 1}, "n_resamples must be an integer >= 2 and <= 1e9; got 1"),
        ({"n_resamples": 100.0}, "n_resamples must be an integer >= 2 and <= 1e9; got 100.0"),
        ({"method": "bootstrap", "random_state": "x"}, "'x' cannot be used to seed"),
        ({"groups": [1, 2]}, "y_true has 4, y_proba has 4, groups has 2"),
        ({"groups": [[1, 2]] * 4}, "y should be a 1d array"),
        ({"groups": [1, 2, 3, math.nan]}, "groups contains NaN"),
        ({"groups": [1, 1, 1, 1]}, "Number of groups with a positive weight: 1"),
        (
            {"groups": [1, 1, 2, 2], "sample_weight": [1, 1, 0, 0]},
            "Number of groups with a positive weight: 1",
        ),
        ({"sample_weight": [0, 0, 0, 3]}, "Number of rows with a positive weight: 1"),
        ({"sample_weight": [1, 1, 1, -1]}, "Negative values in data"),
        ({"sample_weight": [1, 1]}, "sample_weight has 2"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=f"(?s){re.escape(message)}"):
        kl_interval([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], **options)


@pytest.mark.parametrize("groups", [["a", None, "b", "b"], [1, "b", None, 2]])
def test_groups_of_different_types(groups):
    with pytest.raises(TypeError, match="groups mixes labels of different types"):
        kl_interval([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], groups=groups)


def test_weights_all_zero():
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):  # said by scikit-learn
        kl_interval([0, 1], [0.2, 0.7], sample_weight=[0, 0])


def test_one_row():
    with pytest.raises(ValueError, match="needs at least two independent rows"):
        kl_interval([[0.5, 0.5]], [[0.4, 0.6]])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([0.2, 1.7, 0.6, 0.4], r"^y_proba_other\[1\] is 1.7; a one-dimensional y_proba_other"),
        ([[0.5, 0.5]] * 3 + [[0.5, 0.6]], r"^y_proba_other\[3\] sums to 1.1"),
        ([[0.2, 0.3, 0.5]] * 4, r"^y_proba_other has 3 columns, but y_true has 2"),
        ([0.2, 0.3], r"inconsistent numbers of samples"),
        ([[[0.5]]], r"^y_proba_other must have shape"),
    ],
)
def test_bad_other(other, message):
    with pytest.raises(ValueError, match=message):
        kl_interval([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], other)
    with pytest.raises(ValueError, match=message.replace("_other", "")):
        kl_interval([0, 1, 1, 0], other)


def test_bad_type_of_other():
    with pytest.raises(TypeError, match="y_proba_other must hold real numbers"):
        kl_interval([0, 1], [0.2, 0.7], ["a", "b"])


def test_column_of_labels_warns():
    with pytest.warns(DataConversionWarning):
        kl_interval([[0], [1]], [0.2, 0.7])


def test_every_loss_is_known():
    assert list(LOSSES) == list(ALIGNED)
