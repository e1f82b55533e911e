"""loss_interval: formulas by hand, invariances, coverage, refusals."""

import math
import tracemalloc
from dataclasses import astuple
from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.exceptions import DataConversionWarning

from sklkl.divergences import kl_divergence
from sklkl.divergences._registry import NAMES
from sklkl.metrics import LossInterval, divergence_loss, kl_loss, loss_interval
from tests._support.layouts import read_only
from tests._support.messages import matches
from tests._support.problems import random_rows

PARAMETERS = {"renyi": {"order": 2}, "alpha": {"alpha": 0.5}}
METHODS = ("delta", "bootstrap")
each_method = pytest.mark.parametrize("method", METHODS)


def rows(n_samples, n_classes=3, seed=0):
    return random_rows(n_samples, n_classes, seed, concentration=2.0)


def random_data(n_samples=80):
    """Return soft targets, two models' predictions, weights and groups."""
    rng = np.random.default_rng(0)
    y, p, other = (rows(n_samples, seed=i) for i in range(3))
    return y, p, other, rng.uniform(0.1, 3.0, n_samples), rng.integers(12, size=n_samples)


def interval(*args, method="delta", **options):
    if method == "bootstrap":
        options = {"n_resamples": 500, "random_state": 0, **options}
    return loss_interval(*args, method=method, **options)


def assert_same(actual, expected, rtol=1e-10, atol=0.0):
    assert_allclose(astuple(actual), astuple(expected), rtol=rtol, atol=atol)


# Values


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("paired", [True, False])
def test_linearised_ratio(weighted, grouped, paired):
    y, *models, weight, groups = random_data()
    models = models if paired else models[:1]
    weight, groups = weight if weighted else np.ones(80), groups if grouped else np.arange(80)
    losses = kl_divergence(y, models[0]) - (kl_divergence(y, models[1]) if paired else 0)
    estimate = np.average(losses, weights=weight)
    residuals = np.bincount(groups, weight * (losses - estimate) / weight.sum())
    n = len(residuals)
    error = math.sqrt(n / (n - 1) * (residuals**2).sum())
    options = {"sample_weight": weight} if weighted else {}
    options |= {"groups": groups} if grouped else {}
    for level in (0.5, 0.9, 0.999):
        half = stats.t(n - 1).ppf((1 + level) / 2) * error
        result = loss_interval(y, *models, confidence_level=level, **options)
        assert_same(result, LossInterval(estimate, error, estimate - half, estimate + half))


@pytest.mark.parametrize("divergence", NAMES)
def test_estimate_is_the_loss(divergence):
    y, p, other, weight, groups = random_data()
    own = {"divergence": divergence, "divergence_params": PARAMETERS.get(divergence)}
    hard, clipped = y.argmax(axis=1), p.copy()
    clipped[3], hard[3] = [1, 0, 0], 1
    for (y_true, proba), method in zip(((y, p), (hard, clipped)), METHODS, strict=True):
        options = own | {"sample_weight": weight}
        value, rest = (divergence_loss(y_true, q, **options) for q in (proba, other))
        options |= {"groups": groups, "method": method}
        result = interval(y_true, proba, **options)
        assert result.estimate == pytest.approx(value, rel=1e-13)
        assert 0 < result.standard_error < np.inf
        assert result.low < value < result.high
        result = interval(y_true, proba, other, **options)
        assert result.estimate == pytest.approx(value - rest, rel=1e-11)


@each_method
def test_a_level_next_to_1(method):
    """Half of 1 + level rounds to 1, of which a quantile is infinite."""
    y, p, *_ = random_data()
    wide = interval(y, p, confidence_level=1 - 1e-16, method=method)
    narrow = interval(y, p, confidence_level=0.9, method=method)
    assert -np.inf < wide.low < narrow.low < narrow.high < wide.high < np.inf


# Weights, groups, pairs, and losses of special size


@each_method
def test_scale_of_weights(method):
    y, p, _, weight, groups = random_data()
    weight = np.round(weight * 64)
    options = {"groups": groups, "method": method}
    expected = interval(y, p, sample_weight=weight, **options)
    for factor in (2.0**-1060, 1e-300, 0.3, 1e300):
        assert_same(interval(y, p, sample_weight=factor * weight, **options), expected)
    equal = interval(y, p, sample_weight=np.full(80, 3.5), method=method)
    assert_same(equal, interval(y, p, method=method))
    # One row above all others.
    weight = [2e299, 1e-300, 1e-300, 1e-300]
    result = interval(y[:4], p[:4], sample_weight=weight, method=method)
    losses = kl_divergence(y[:4], p[:4])
    assert result.estimate == losses[0]
    assert 0 <= result.standard_error <= np.ptp(losses)


def test_weights_are_no_frequencies():
    y, p, *_ = random_data()
    single = loss_interval(y, p)
    doubled = loss_interval(y, p, sample_weight=np.full(80, 2.0))
    assert doubled.standard_error == pytest.approx(single.standard_error)
    twice = np.repeat(y, 2, axis=0), np.repeat(p, 2, axis=0)
    assert loss_interval(*twice).standard_error < 0.75 * single.standard_error
    assert_same(loss_interval(*twice, groups=np.repeat(np.arange(80), 2)), single)


@each_method
def test_weight_zero_is_absent(method):
    """Also where it is all of a group, or of infinite loss."""
    y, p, other, weight, groups = random_data()
    weight[::3] = weight[groups == 5] = 0
    kept = weight > 0
    p[0], y[3], p[3] = [1, 0, 0], [1, 0, 0], [0, 0.5, 0.5]
    for grouped, on_zero in ((True, "inf"), (False, "raise")):
        options = {"method": method, "on_zero": on_zero}
        own = groups if grouped else None
        result = interval(y, p, other, sample_weight=weight, groups=own, **options)
        own = groups[kept] if grouped else None
        rest = y[kept], p[kept], other[kept]
        assert interval(*rest, sample_weight=weight[kept], groups=own, **options) == result


@each_method
def test_labels_of_groups(method):
    y, p, _, weight, groups = random_data()
    names = np.array(list("abcdefghijkl"))[groups]
    expected = interval(y, p, groups=groups, method=method)
    for labels in (names.tolist(), pd.Series(names), pd.Categorical(names), groups + 0.5):
        assert interval(y, p, groups=labels, method=method) == expected
    alone = interval(y, p, sample_weight=weight, method=method)
    groups = [f"patient {i:03}" for i in range(80)]
    assert interval(y, p, sample_weight=weight, groups=groups, method=method) == alone


def test_order_of_rows_and_models():
    y, p, other, weight, groups = random_data()
    i = np.random.default_rng(0).permutation(80)
    expected = loss_interval(y, p, other, sample_weight=weight, groups=groups)
    options = {"sample_weight": weight[i], "groups": groups[i]}
    assert_same(loss_interval(y[i], p[i], other[i], **options), expected)
    back = loss_interval(y[i], other[i], p[i], **options)
    back = LossInterval(-back.estimate, back.standard_error, -back.high, -back.low)
    assert_same(back, expected)


@each_method
def test_same_model_twice(method):
    y, p, _, weight, groups = random_data()
    for options in ({}, {"sample_weight": weight}, {"groups": groups}):
        result = interval(y, p, p.copy(), method=method, **options)
        assert result == LossInterval(0.0, 0.0, 0.0, 0.0)


@each_method
def test_equal_and_huge_losses(method):
    result = interval([0, 0, 0, 0], [0.25] * 4, labels=[0, 1], method=method)
    assert result.estimate == pytest.approx(-math.log(0.75))
    assert max(result.standard_error, result.high - result.low) <= 1e-15
    # Their squares are beyond float64.
    y, p = rows(9, 2), rows(9, 2, seed=1)
    p[0] = [1.0, 1e-290]
    result = interval(y, p, divergence="chi2", on_zero="inf", method=method)
    assert 1e200 < result.estimate < np.inf
    assert result.standard_error == pytest.approx(result.estimate, rel=0.5)
    assert result.low < result.estimate < result.high


# The bootstrap


@pytest.mark.parametrize("full", [False, True])
def test_methods_agree(full):
    """Without weights, groups and another model, and with them."""
    y, p, other, weight, _ = random_data(900)
    options = {"sample_weight": weight, "groups": np.arange(900) % 300} if full else {}
    args = (y, p, other) if full else (y, p)
    delta = loss_interval(*args, **options)
    bootstrap = interval(*args, method="bootstrap", n_resamples=4000, **options)
    assert bootstrap.estimate == delta.estimate
    assert bootstrap.standard_error == pytest.approx(delta.standard_error, rel=0.05)
    tolerance = 0.25 * delta.standard_error
    assert_same(bootstrap, delta, rtol=0, atol=tolerance)


def test_bootstrap_of_scipy():
    """Which takes its acceleration from the jackknife."""
    proba = np.exp(-np.random.default_rng(0).exponential(1.0, size=60))
    options = {"n_resamples": 20_000, "random_state": 0}
    result = interval(np.ones(60, int), proba, labels=[0, 1], method="bootstrap", **options)
    losses = (-np.log(proba),)
    expected = stats.bootstrap(losses, np.mean, method="BCa", batch=5000, **options)
    assert result.standard_error == pytest.approx(expected.standard_error, rel=0.02)
    tolerance = 0.1 * result.standard_error
    assert result.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert result.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)
    # Losses are skewed to the right, and so is what is uncertain of their mean.
    assert result.high - result.estimate > 1.1 * (result.estimate - result.low)


@pytest.mark.parametrize("base", [2, 10, 3.7])
def test_ties_are_no_bias(base):
    """Losses of two values: many resamples repeat the estimate, but for rounding."""
    y, p = np.repeat([0, 1], [14, 6]), np.tile([0.3, 0.7], (20, 1))
    options = {"method": "bootstrap", "n_resamples": 4000}
    result, nats = (interval(y, p, base=b, **options) for b in (base, None))
    assert_same(LossInterval(*(math.log(base) * x for x in astuple(result))), nats)
    # Of a proportion: the exact interval of 14 of 20 is (0.457, 0.881).
    low, high = ((x + math.log(0.7)) / math.log(0.7 / 0.3) for x in (nats.low, nats.high))
    assert 0.42 <= low <= 0.52
    assert 0.83 <= high <= 0.91


def test_random_state():
    y, p, *_ = random_data()

    def of(state):
        return loss_interval(y, p, random_state=state, method="bootstrap", n_resamples=200)

    assert of(3) == of(3) == of(np.random.RandomState(3)) != of(4)
    assert of(None).estimate == of(3).estimate


def test_memory_of_the_bootstrap():
    y, p, *_ = random_data(3000)
    tracemalloc.start()
    interval(y, p, method="bootstrap", n_resamples=1500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6  # 16 MB; 108 MB with all resamples at once


def test_few_resamples_and_extreme_skew():
    """All on one side, or one row with all of the difference: finite, without a warning."""
    few = random_data(4)[:2]
    for n_resamples, level, seed in product((2, 3, 5), (0.5, 0.999999), range(20)):
        options = {"n_resamples": n_resamples, "random_state": seed}
        result = interval(*few, confidence_level=level, method="bootstrap", **options)
        assert -np.inf < result.low <= result.high < np.inf
        assert np.isfinite(result.standard_error)
    p, other = np.full(50, 0.3), np.full(50, 0.3)
    p[7] = 1 - 1e-12
    options = {"labels": [0, 1], "confidence_level": 1 - 1e-9, "method": "bootstrap"}
    for models in ((p, other), (other, p)):
        result = interval(np.zeros(50, int), *models, **options)
        assert -np.inf < result.low <= result.estimate <= result.high < np.inf
        assert np.isfinite(result.standard_error)


# Coverage. Samples are drawn from a finite population, whose mean loss is known exactly.


def population():
    """Return targets, the predictions of two models, and a way to draw rows."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(3, 3.0), size=3000)
    other = 0.8 * p + 0.2 * rng.dirichlet(np.full(3, 3.0), size=3000)
    y = np.array([rng.dirichlet(8 * row + 0.3) for row in p])
    return y, p, other, rng


def clusters():
    """Return predictions that are off by as much for all rows of a cluster, and a way to draw.

    It draws clusters with replacement, and returns their rows and a group for each draw.
    """
    rng = np.random.default_rng(0)
    sizes = rng.integers(4, 12, size=600)
    starts = np.cumsum(sizes) - sizes
    shift = np.repeat(rng.choice([-1, 1], 600) * rng.uniform(0.5, 1.5, 600), sizes)
    logit = rng.normal(size=len(shift))
    y, p = (1 / (1 + np.exp(-z)) for z in (logit, logit + shift))
    y, p = (np.column_stack([1 - x, x]) for x in (y, p))

    def draw(n_drawn):
        drawn = rng.integers(600, size=n_drawn)
        own = [np.arange(starts[g], starts[g] + sizes[g]) for g in drawn]
        return np.concatenate(own), np.repeat(np.arange(n_drawn), sizes[drawn])

    return y, p, draw


def each_case(*cases, fast=()):
    """Few data sets for the ``fast`` cases, many for all."""
    few = [pytest.param(case, 300, id=f"{case}-300") for case in fast]
    many = [pytest.param(case, 2000, marks=pytest.mark.slow) for case in cases]
    return pytest.mark.parametrize(("case", "n_data_sets"), [*few, *many])


def share_that_covers(results, truth):
    return np.mean([r.low <= truth <= r.high for r in results])


def assert_covers(results, truth, level=0.95):
    slack = 3 * math.sqrt(level * (1 - level) / len(results)) + 0.005
    assert share_that_covers(results, truth) == pytest.approx(level, abs=slack)


@each_case("kl", "log loss", "paired", "weighted", "level 0.5", fast=["weighted"])
def test_coverage(case, n_data_sets):
    y, p, other, rng = population()
    if case == "log loss":
        y = (y.cumsum(axis=1) < rng.uniform(size=(len(y), 1))).sum(axis=1)
    truth = kl_loss(y, p) - (kl_loss(y, other) if case == "paired" else 0)
    # Where weighted, rows of large loss are drawn more often, and weigh less.
    weighted, level = case == "weighted", float(case[6:]) if "level" in case else 0.95
    chance = 0.3 + p.max(axis=1) ** 2 if weighted else np.ones(len(y))
    drawn = rng.choice(len(y), size=(n_data_sets, 300), p=chance / chance.sum())
    results = []
    for i in drawn:
        args = (y[i], p[i], other[i]) if case == "paired" else (y[i], p[i])
        weight = 1 / chance[i] if weighted else None
        results.append(loss_interval(*args, sample_weight=weight, confidence_level=level))
    assert_covers(results, truth, level)
    estimate, error, *_ = np.transpose([astuple(r) for r in results])
    rel = 0.05 if n_data_sets > 1000 else 0.12
    assert np.sqrt(np.mean(error**2)) == pytest.approx(estimate.std(), rel=rel)


@each_case(*METHODS, fast=METHODS)
def test_coverage_of_clusters(case, n_data_sets):
    """The bootstrap of losses of little skew: those of KL ask for more rows and resamples."""
    y, p, draw = clusters()
    own = {"divergence": "kl" if case == "delta" else "hellinger"}
    loss = divergence_loss(y, p, **own)
    results, ignorant = [], []
    for seed in range(n_data_sets):
        drawn, groups = draw(60 if case == "bootstrap" else 40)
        args, options = (y[drawn], p[drawn]), own | {"method": case}
        options |= {"n_resamples": 400, "random_state": seed}
        results.append(loss_interval(*args, groups=groups, **options))
        ignorant.append(loss_interval(*args, **own))
    assert_covers(results, loss)
    assert share_that_covers(ignorant, loss) < 0.8


# Infinite losses, and forms of input


@each_method
def test_infinite_losses(method):
    y, fine, p, other = (np.full((4, 2), 0.5) for _ in range(4))
    p[1] = other[2] = [0, 1]
    p[3] = other[3] = [0.1, 0.9]
    signs = {np.inf: [(p,), (p, fine)], -np.inf: [(fine, p)], np.nan: [(p, other), (p, p)]}
    for estimate, models in signs.items():
        for args in models:
            result = interval(y, *args, on_zero="inf", method=method)
            assert_array_equal(astuple(result), [estimate, np.nan, np.nan, np.nan])
            weight = [0, 1, 1, 1e-320]
            interval(y, *args, on_zero="inf", method=method, sample_weight=weight)
    result = interval(y, p, fine, method=method)
    assert result.estimate == pytest.approx(kl_loss(y, p), abs=1e-14)
    assert np.isfinite(astuple(result)).all()
    with pytest.raises(ValueError, match=matches("infinite: y_proba[1, 0] is 0")):
        interval(y, p, on_zero="raise", method=method)
    with pytest.raises(ValueError, match=matches("infinite: y_proba_other[2, 0] is 0")):
        interval(y, y, other, on_zero="raise", method=method)


@each_method
def test_forms(method):
    """Arguments are left alone, whatever they are."""
    y, *rest = random_data()
    args = [y.argmax(axis=1), *rest] if method == "delta" else [y, *rest]
    forms = {
        "array": np.asarray,
        "list": np.ndarray.tolist,
        "frame": lambda x: pd.DataFrame(x) if x.ndim == 2 else pd.Series(x),
        "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
        "read-only": read_only,
        "float32": lambda x: x.astype(np.float32) if x.dtype == float else x,
    }
    results = {}
    for name, form in forms.items():
        given = [form(x) for x in args]
        copies = [np.array(x) for x in given]
        options = {"sample_weight": given[3], "groups": given[4], "method": method}
        results[name] = interval(*given[:3], **options)
        rtol = 1e-4 if name == "float32" else 1e-13
        assert_same(results[name], results["array"], rtol=rtol)
        assert all(type(x) is float for x in astuple(results[name]))
        for x, copy in zip(given, copies, strict=True):
            assert_array_equal(x, copy)


def test_columns_labels_and_names():
    y, p, other, *_ = random_data()
    names = ["ant", "bee", "cat"]
    labels, soft = np.array(names)[y.argmax(axis=1)], pd.DataFrame(y, columns=names)
    turned = pd.DataFrame(other, columns=names)[["cat", "ant", "bee"]]
    assert loss_interval(labels, p, turned) == loss_interval(labels, p, other)
    assert loss_interval(soft, p, turned) == loss_interval(y, p, other)
    two = np.arange(80) % 2
    columns = (np.column_stack([1 - x[:, 0], x[:, 0]]) for x in (p, other))
    assert loss_interval(two, p[:, 0], other[:, 0]) == loss_interval(two, *columns)
    expected = loss_interval(np.eye(3)[2 * two], p)
    assert loss_interval(2 * two, p, labels=[0, 1, 2]) == expected
    with pytest.warns(UserWarning, match="are taken in sorted order"):
        loss_interval(2 * two, p, p, labels=[2, 1, 0])
    with pytest.warns(DataConversionWarning):
        loss_interval(two[:, None], p[:, 0])


def test_rows_are_matched_by_their_labels():
    y, p, other, weight, groups = random_data()
    names = [f"r{i}" for i in range(80)]
    given = {"y_proba": pd.DataFrame(p, names), "y_proba_other": pd.DataFrame(other, names)}
    given |= {"sample_weight": pd.Series(weight, names), "groups": pd.Series(groups, names)}
    expected = loss_interval(y, p, other, sample_weight=weight, groups=groups)
    assert loss_interval(y, **given) == expected
    for name in ("y_proba_other", "sample_weight", "groups"):
        turned = given | {name: given[name].iloc[::-1]}
        with pytest.raises(ValueError, match=f"rows of (y_proba|{name}) and .* have diff"):
            loss_interval(y, **turned)


# Refusals


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"divergence": "d2_kl_score"}, ["divergence must be one of ['kl', "]),
        ({"divergence": kl_loss}, ["divergence must be one of", "got <function kl_loss"]),
        ({"divergence": "renyi"}, ["needs ['order']"]),
        ({"divergence_params": {"order": 2}}, ["'kl' takes no parameters"]),
        (
            {"divergence": "renyi_loss", "divergence_params": {"order": -1}},
            ["order must be a finite number >= 0"],
        ),
        ({"divergence": "chi2", "base": 2}, ["'chi2' has no unit, so base must be None"]),
        ({"base": 1}, ["base must be None (nats) or a number > 1"]),
        ({"on_zero": "drop"}, ["on_zero must be one of"]),
        ({"method": "jackknife"}, ["method must be one of ('delta', 'bootstrap')", "'jack"]),
        ({"confidence_level": 95}, ["confidence_level must be a number between 0 and 1"]),
        ({"n_resamples": 1}, ["n_resamples must be an integer >= 2 and <= 1e9; got 1"]),
        ({"random_state": "x"}, ["random_state must be", "'x' cannot be used to seed"]),
        ({"groups": [1, 2]}, ["y_true has 4, y_proba has 4, groups has 2"]),
        ({"groups": [1, 1, 1, 1]}, ["groups with a positive weight: 1"]),
        ({"groups": [1, 1, 2, 2], "sample_weight": [1, 1, 0, 0]}, ["positive weight: 1"]),
        ({"sample_weight": [0, 0, 0, 3]}, ["rows with a positive weight: 1", "two indep"]),
        ({"sample_weight": [1, 1, 1, -1]}, ["Negative values in data"]),
        ({"sample_weight": [1, 1]}, ["sample_weight has 2"]),
    ],
)
def test_bad_options(options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        loss_interval([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], **options)


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        ([0.2, 1.7, 0.6, 0.4], ["y_proba_other[1] is 1.7", "one-dimensional y_proba_other"]),
        ([[0.5, 0.5]] * 3 + [[0.5, 0.6]], ["y_proba_other[3] sums to 1.1"]),
        ([[0.2, 0.3, 0.5]] * 4, ["y_proba_other has 3 columns, but y_true has 2"]),
        ([0.2, 0.3], ["inconsistent numbers of samples", "y_proba_other has 2"]),
        (["a", "b", "a", "b"], ["y_proba_other must hold real numbers"]),
    ],
)
def test_the_other_predictions_are_checked_by_their_name(other, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        loss_interval([0, 1, 1, 0], [0.2, 0.7, 0.6, 0.4], other)
