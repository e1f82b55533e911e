"""Decompositions: exact identities, known truths, methods against each other, refusals."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose
from scipy.special import rel_entr, softmax, xlogy
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import KFold

from sklkl.calibration import (
    DirichletScaling,
    TemperatureScaling,
    VectorScaling,
    kl_decomposition,
    squared_error_decomposition,
)
from sklkl.metrics import kl_loss
from tests._support.messages import matches

MAPS = {"temperature": TemperatureScaling(), "vector": VectorScaling(C=np.inf)}
MAPS["dirichlet"] = DirichletScaling(C=1.0)
METHODS = {"binning": "binning", "isotonic": "isotonic", **MAPS}
each_method = pytest.mark.parametrize("method", METHODS)


def sizes(few, many):
    many = pytest.param(many, marks=pytest.mark.slow)
    return pytest.mark.parametrize("n_samples", [few, many])


def problem(n_classes, kind="soft", n_samples=500):
    """Targets, overconfident and shifted predictions, weights."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n_samples, n_classes))
    truth = softmax(logits + rng.normal(size=(n_samples, n_classes)), axis=1)
    proba = softmax(2.0 * logits + np.arange(n_classes) / 3, axis=1)
    truth = draw(truth, rng) if kind == "hard" else truth
    return truth, proba, rng.uniform(0.0, 2.0, n_samples)


def draw(proba, rng):
    codes = (rng.random((len(proba), 1)) > proba.cumsum(axis=1)).sum(axis=1)
    return np.minimum(codes, proba.shape[1] - 1)


def assert_same(parts, expected, **tolerance):
    assert_allclose(list(asdict(parts).values()), list(asdict(expected).values()), **tolerance)


# Identities and known truths


@pytest.mark.parametrize(
    ("n_classes", "method", "kind", "weighted", "base"),
    [
        (2, "binning", "soft", True, 2),
        (4, "binning", "hard", False, None),
        (2, "isotonic", "hard", True, None),
        (2, "isotonic", "soft", False, 2),
        (2, "temperature", "hard", False, 2),
        (4, "temperature", "soft", True, None),
        (4, "vector", "hard", True, 2),
        (2, "vector", "soft", False, None),
        (4, "dirichlet", "soft", False, 2),
        (2, "dirichlet", "hard", True, None),
    ],
)
def test_parts_add_up_and_are_not_negative(n_classes, method, kind, weighted, base):
    y, proba, weight = problem(n_classes, kind)
    weight = weight if weighted else None
    parts = kl_decomposition(y, proba, method=METHODS[method], sample_weight=weight, base=base)
    assert min(parts.miscalibration, parts.refinement, parts.entropy) >= 0.0
    assert_allclose(parts.miscalibration + parts.refinement, parts.kl, rtol=0, atol=1e-12)
    assert_allclose(parts.kl + parts.entropy, parts.cross_entropy, rtol=0, atol=1e-12)
    assert_allclose(parts.uncertainty - parts.resolution, parts.refinement, atol=1e-12)
    assert_allclose(parts.kl, kl_loss(y, proba, sample_weight=weight, base=base), rtol=1e-12)
    unit = 1.0 if base is None else np.log(base)
    if kind == "hard":
        assert parts.entropy == 0.0
        expected = log_loss(y, proba, sample_weight=weight) / unit
        assert_allclose(parts.cross_entropy, expected, rtol=1e-12)
    else:
        expected = np.average(-xlogy(y, y).sum(axis=1), weights=weight) / unit
        assert_allclose(parts.entropy, expected, rtol=1e-12)
    assert min(parts.miscalibration, parts.resolution) > 0.05


@pytest.mark.parametrize(
    ("n_classes", "method", "kind"),
    [
        (4, "binning", "hard"),
        (2, "isotonic", "soft"),
        (3, "temperature", "hard"),
        (3, "vector", "soft"),
    ],
)
def test_parts_of_the_squared_error(n_classes, method, kind):
    y, proba, weight = problem(n_classes, kind)
    proba[0] = np.eye(n_classes)[0]  # zeros cost what they cost
    options = {"method": METHODS[method], "sample_weight": weight}
    parts = squared_error_decomposition(y, proba, **options)
    rows = np.eye(n_classes)[y] if kind == "hard" else y

    def mean_square(p):
        return np.average(((rows - p) ** 2).sum(axis=1), weights=weight)

    assert_allclose(parts.squared_error, mean_square(proba), rtol=1e-12)
    assert_allclose(parts.miscalibration + parts.refinement, parts.squared_error, rtol=1e-12)
    prior = np.average(rows, axis=0, weights=weight)
    assert_allclose(parts.uncertainty, mean_square(prior), rtol=1e-12)
    assert_allclose(parts.resolution, parts.uncertainty - parts.refinement, rtol=1e-12)
    impurity = np.average(1 - (rows**2).sum(axis=1), weights=weight)
    assert_allclose(parts.impurity, impurity, rtol=1e-12, atol=1e-15)
    assert_allclose(parts.brier, parts.squared_error + impurity, rtol=1e-12)
    assert min(parts.miscalibration, parts.resolution) > 0.01


def test_squared_error_of_labels_and_of_targets_they_are_drawn_from():
    """Murphy's parts by isotonic regression; labels have the Brier score of their targets."""
    y, proba, _ = problem(2, n_samples=20_000)
    drawn = draw(y, np.random.default_rng(1))
    parts = squared_error_decomposition(drawn, proba, method="isotonic")
    c = IsotonicRegression().fit_transform(proba[:, 1], drawn)
    assert_allclose(parts.brier, 2 * brier_score_loss(drawn, proba[:, 1]), rtol=1e-12)
    assert_allclose(parts.refinement, 2 * brier_score_loss(drawn, c), rtol=1e-9)
    soft = squared_error_decomposition(y, proba, method="isotonic")
    for name in ("brier", "miscalibration", "resolution"):
        assert_allclose(getattr(parts, name), getattr(soft, name), atol=0.01)
    assert_allclose(parts.refinement, soft.refinement + soft.impurity, atol=0.01)


@pytest.mark.parametrize("method", ["binning", "dirichlet"])
def test_little_of_the_squared_error_is_made_up_by_chance(method):
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = rng.dirichlet(np.ones(2), size=500)
        parts = squared_error_decomposition(draw(truth, rng), truth, method=method)
        found.append(parts.miscalibration)
    assert np.mean(found) < 0.003


@each_method
def test_perfect_predictions(method):
    y, *_ = problem(2)
    parts = kl_decomposition(y, y, method=METHODS[method])
    assert parts.kl == parts.miscalibration == parts.refinement == 0.0
    assert parts.resolution == parts.uncertainty > 0.0


def test_prior_is_calibrated_and_knows_nothing():
    y, _, weight = problem(3)
    prior = np.average(y, axis=0, weights=weight)
    parts = kl_decomposition(y, np.tile(prior, (len(y), 1)), sample_weight=weight)
    assert_allclose(parts.miscalibration, 0.0, atol=1e-14)
    assert_allclose(parts.refinement, parts.uncertainty, rtol=1e-12)
    assert_allclose(parts.resolution, 0.0, atol=1e-12)


@each_method
@sizes(4_000, 20_000)
def test_known_parts_of_an_overconfident_and_of_a_calibrated_model(method, n_samples):
    """Targets are labels drawn from p, predictions p squared, or p: c is p."""
    rng = np.random.default_rng(1)
    truth = rng.dirichlet([1.0, 1.0], size=n_samples)
    proba = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    y = draw(truth, rng)
    options = {"method": METHODS[method], "cv": 2 if n_samples < 20_000 else 5}
    parts = kl_decomposition(y, proba, n_bins=25, **options)
    drawn = np.arange(n_samples), y
    for found, of_rows, expected, slack in (
        (parts.miscalibration, np.log((truth / proba)[drawn]), rel_entr(truth, proba), 1e-3),
        (parts.refinement, -np.log(truth[drawn]), -xlogy(truth, truth), 2e-3),
    ):
        # Three standard errors; bins lose a little, and all overfit a little.
        error = 3 * of_rows.std() / np.sqrt(n_samples) + slack
        assert_allclose(found, expected.sum(axis=1).mean(), rtol=0, atol=error)
    assert_allclose(parts.uncertainty, np.log(2), rtol=1e-3)
    parts = kl_decomposition(y, truth, **options)
    assert 0.0 <= parts.miscalibration < 4e-3 * (20_000 / n_samples) ** (2 / 3)


@pytest.mark.parametrize("method", ["binning", *MAPS])
@sizes(3_000, 10_000)
def test_known_parts_with_several_classes(method, n_samples):
    """Ten kinds of samples, each with its own prediction and its own noisy soft targets."""
    rng = np.random.default_rng(2)
    kinds = rng.dirichlet(np.ones(4), size=10)
    kind = rng.integers(10, size=n_samples)
    gamma = rng.gamma(8.0 * kinds[kind])
    y = gamma / gamma.sum(axis=1, keepdims=True)
    proba = softmax(1.7 * np.log(kinds), axis=1)
    parts = kl_decomposition(y, proba[kind], method=METHODS[method], cv=2)
    divergence = rel_entr(kinds, proba).sum(axis=1)
    assert_allclose(parts.miscalibration, divergence[kind].mean(), rtol=0, atol=4e-3)
    if method == "binning":  # here every bin is one kind of sample
        for weight in (np.ones(len(y)), rng.exponential(size=len(y)) ** 2):
            expected = 0.0
            for k in range(10):
                share = (weight * (kind == k))[:, None]
                share /= share.sum()
                mean = (share * y).sum(axis=0)
                variance = (share * (y - mean) ** 2).sum(axis=0)
                chance = (variance / mean).sum() / (2 * (1 / (share**2).sum() - 1))
                size = weight[kind == k].sum() / weight.sum()
                expected += size * (rel_entr(mean, proba[k]).sum() - chance)
            for base, unit in ((None, 1.0), (2, np.log(2))):
                options = {"method": "binning", "sample_weight": weight, "base": base}
                parts = kl_decomposition(y, proba[kind], **options)
                assert_allclose(parts.miscalibration, expected / unit, rtol=1e-10)


@pytest.mark.parametrize(("method", "bound"), [("dirichlet", 0.015), ("binning", 0.04)])
@sizes(50, 500)
def test_little_miscalibration_is_made_up_by_chance(method, bound, n_samples):
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth = rng.dirichlet(np.ones(3), size=n_samples)
        options = {"method": method, "labels": [0, 1, 2]}
        found.append(kl_decomposition(draw(truth, rng), truth, **options).miscalibration)
    assert np.mean(found) < bound


@pytest.mark.parametrize("method", ["vector", "dirichlet"])
def test_resolution_of_a_rare_class(method):
    """What isotonic regression finds, the maps find, whatever frequency the model takes."""
    rng = np.random.default_rng(0)
    truth = 1.0 / (1.0 + np.exp(4.5 + rng.normal(size=4000)))
    y = (rng.random(4000) < truth).astype(int)
    said = truth / (truth + 0.02)
    isotonic = kl_decomposition(y, said, method="isotonic")
    parts = kl_decomposition(y, said, method=method)
    assert isotonic.resolution > parts.resolution > 0.2 * isotonic.resolution
    assert_allclose(parts.miscalibration, isotonic.miscalibration, rtol=0.05)


# Methods and weights


def test_isotonic_by_hand():
    """The decreasing pair of labels is pooled."""
    y, p = [0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8]
    parts = kl_decomposition(y, p, method="isotonic")
    assert_allclose(parts.refinement, log_loss(y, [0.0, 0.5, 0.5, 1.0]), rtol=1e-12)
    assert_allclose(parts.kl, log_loss(y, p), rtol=1e-12)


def test_isotonic_keeps_digits_near_one():
    """Predictions that differ in 1 - p alone, targets within 1e-12 of 1."""
    tiny = np.array([1e-20, 1e-18, 1e-16, 1e-14])
    y_tiny = np.array([3e-13, 2e-12, 5e-12, 9e-12])
    proba, y = (np.column_stack([x, z]) for x, z in ((tiny, np.ones(4)), (y_tiny, 1 - y_tiny)))
    parts = kl_decomposition(y, proba, method="isotonic", on_zero="inf")
    # c = y, as both increase; 1 - (1 - y) would leave an error of 1e-4 of each
    assert parts.refinement < 1e-12 * parts.kl


@pytest.mark.parametrize("method", MAPS)
def test_maps_by_hand(method):
    """In folds, without, and by name; the map that is passed is not changed."""
    y, proba, weight = problem(3, n_samples=200)
    model, options = MAPS[method], {"sample_weight": weight}
    everything = np.arange(len(y))
    folds = list(KFold(3, shuffle=True, random_state=0).split(y))
    for cv, splits in ((folds, folds), (None, [(everything, everything)])):
        calibrated = np.empty_like(proba)
        for train, test in splits:
            fold = sklearn.clone(model).fit(proba[train], y[train], weight[train])
            calibrated[test] = fold.predict_proba(proba[test])
        parts = kl_decomposition(y, proba, method=model, cv=cv, **options)
        assert_allclose(parts.refinement, kl_loss(y, calibrated, **options), rtol=1e-12)
    assert not any(name.endswith("_") and name[0] != "_" for name in vars(model))
    default = type(model)()
    parts = kl_decomposition(y, proba, method=method, **options)
    assert kl_decomposition(y, proba, method=default, **options) == parts
    logits = default.set_params(from_logits=True)  # which are not what it gets
    assert kl_decomposition(y, proba, method=logits, **options) == parts
    with sklearn.config_context(enable_metadata_routing=True):
        assert kl_decomposition(y, proba, method=method, **options) == parts


@pytest.mark.parametrize("method", ["temperature", "vector", "dirichlet", "binning"])
def test_labels_are_one_hot_rows(method):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), size=60)
    y = draw(proba**2 / (proba**2).sum(axis=1, keepdims=True), rng)
    options = {"method": method, "sample_weight": rng.random(60)}
    parts = kl_decomposition(y, proba, **options)
    for name, value in vars(kl_decomposition(np.eye(3)[y], proba, **options)).items():
        assert getattr(parts, name) == pytest.approx(value, abs=1e-7)


def test_map_that_makes_it_worse_counts_as_the_identity():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(8), size=40)
    options = {"method": DirichletScaling(C=np.inf), "cv": 4, "labels": np.arange(8)}
    parts = kl_decomposition(draw(truth, rng), truth, **options)
    assert parts.miscalibration == 0.0
    assert parts.refinement == parts.kl


def miscalibration(y, proba, **options):
    return kl_decomposition(y, proba, method="binning", **options).miscalibration


def test_equal_predictions_share_a_bin():
    rng = np.random.default_rng(0)
    kinds = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    proba = kinds[rng.integers(3, size=300)]
    y = draw(proba, rng)
    few, *many = (miscalibration(y, proba, n_bins=n) for n in (3, 50, 2**62, 10**30))
    assert_allclose(many, few, rtol=1e-12)


def test_more_bins_find_more_miscalibration():
    found = [miscalibration(*problem(3)[:2], n_bins=n) for n in (1, 2, 4)]
    assert (np.diff(found) > 0).all()


def test_bins_of_different_classes_are_kept_apart():
    """A class that is predicted for few samples has fewer bins than the other."""
    rng = np.random.default_rng(0)
    few, many = np.tile([0.1, 0.9], (12, 1)), np.sort(rng.dirichlet([1, 4], size=400))[:, ::-1]
    proba = np.r_[few, many]
    y = draw(np.r_[few[:, ::-1], 0.5 * many + 0.25], rng)
    halves = slice(12), slice(12, None)
    alone = [miscalibration(y[rows], proba[rows], labels=[0, 1]) for rows in halves]
    assert alone[0] > 0.5 > alone[1] > 0.0
    expected = np.average(alone, weights=[12, 400])
    assert_allclose(miscalibration(y, proba), expected, rtol=1e-10)


@pytest.mark.parametrize("method", ["isotonic", "dirichlet"])
def test_weights_are_repetition(method):
    y, proba, _ = problem(2)
    counts = np.random.default_rng(0).integers(0, 3, size=len(y))
    weighted = kl_decomposition(y, proba, cv=None, method=method, sample_weight=counts)
    repeated = (np.repeat(x, counts, axis=0) for x in (y, proba))
    assert_same(weighted, kl_decomposition(*repeated, cv=None, method=method), rtol=1e-6)


@pytest.mark.parametrize("method", ["isotonic", "binning", "dirichlet"])
def test_rows_of_weight_zero_do_not_count(method):
    y, proba, weight = problem(2, "hard")
    weight[::3] = 0.0
    kept = weight > 0.0
    options = {"method": method, "cv": None if method == "dirichlet" else 5}
    expected = kl_decomposition(y[kept], proba[kept], sample_weight=weight[kept], **options)
    proba[::3] = np.eye(2)[1 - y[::3]]  # of infinite loss
    for on_zero in ("inf", "raise"):
        parts = kl_decomposition(y, proba, sample_weight=weight, on_zero=on_zero, **options)
        assert_same(parts, expected, rtol=1e-6)
    proba[0] *= 2
    with pytest.raises(ValueError, match=r"y_proba\[0\] sums to 2"):
        kl_decomposition(y, proba, method=method, sample_weight=weight)


@each_method
def test_the_unit_of_weights(method):
    y, proba, weight = problem(2, "hard")
    expected = kl_decomposition(y, proba, method=METHODS[method], sample_weight=weight)
    # The scale of weights is that of C.
    atol = 0.01 if method in ("vector", "dirichlet") else 1e-3
    for scale in (1e-300, 2e299):
        options = {"method": METHODS[method], "sample_weight": scale * weight}
        assert_same(kl_decomposition(y, proba, **options), expected, atol=atol)


@pytest.mark.parametrize(
    ("method", "others"),
    [("temperature", 1.0), ("dirichlet", 1e-300), ("binning", 1.0), ("isotonic", 1e-300)],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_weight_above_all_others(method, others):
    """Its row alone counts: what no other row can teach is not known out of fold."""
    y, proba = [0, 1] * 20, np.linspace(0.1, 0.9, 40)
    weight = [1e300, *[others] * 39]
    parts = kl_decomposition(y, proba, method=method, cv=2, sample_weight=weight)
    assert_allclose(parts.kl, -np.log(0.9))
    known = parts.kl if method in ("binning", "isotonic") else 0.0
    assert_allclose(parts.miscalibration, known, atol=1e-12)


# Zeros, forms of input, refusals


def test_zeros():
    y = np.array([0, 1, 1, 0])
    proba = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    parts = kl_decomposition(y, proba, cv=2)
    assert_allclose(parts.kl, log_loss(y, proba), rtol=1e-12)
    assert_allclose(parts.miscalibration + parts.refinement, parts.kl, rtol=1e-12)
    with pytest.raises(ValueError, match="infinite"):
        kl_decomposition(y, proba, on_zero="raise", cv=2)
    single = proba.astype(np.float32)
    for method in ("isotonic", "binning"):
        infinite = kl_decomposition(y, proba, on_zero="inf", method=method)
        assert infinite.kl == infinite.miscalibration + infinite.refinement == np.inf
        assert infinite.miscalibration >= 0.0 <= infinite.refinement
        assert method == "binning" or infinite.refinement < np.inf
        # float32 is clipped as in the loss.
        parts = kl_decomposition(y, single, method=method)
        assert_allclose(parts.kl, kl_loss(y, single), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["binning", "isotonic", "temperature"])
@pytest.mark.parametrize("decompose", [kl_decomposition, squared_error_decomposition])
def test_zeros_tell_nothing_of_targets(decompose, method, dtype):
    """Of sure predictions, a fifth of which is wrong, calibrated ones are 0.8."""
    sure = np.arange(500) % 2
    y = np.where(np.arange(500) % 5 == 0, 1 - sure, sure)
    parts = decompose(y, np.eye(2, dtype=dtype)[sure], method=method, cv=None)
    left = -np.log(0.8) * 0.8 - np.log(0.2) * 0.2
    expected = left if decompose is kl_decomposition else 2 * 0.8 * 0.2
    assert parts.refinement == pytest.approx(expected, abs=0.003)


def test_forms():
    y, proba, _ = problem(3)
    expected = kl_decomposition(y, proba, method="temperature")
    y_frame, frame = (pd.DataFrame(x, columns=["a", "b", "c"]) for x in (y, proba))
    for args, rtol in (
        ((y.tolist(), proba.tolist()), 1e-12),
        ((y_frame, frame.iloc[:, ::-1]), 1e-12),
        ((np.asfortranarray(y), np.repeat(proba, 2, axis=0)[::2]), 1e-12),
        ((y.astype(np.float32), proba.astype(np.float32)), 1e-5),
    ):
        copies = [np.array(x) for x in args]
        parts = kl_decomposition(*args, method="temperature")
        assert_allclose(parts.kl, expected.kl, rtol=rtol)
        assert_allclose(parts.miscalibration, expected.miscalibration, rtol=1e-3)
        assert all((copy == np.array(x)).all() for x, copy in zip(args, copies, strict=True))
    y, proba, _ = problem(2, "hard")
    both = np.column_stack([1 - proba[:, 1], proba[:, 1]])
    labels = np.array(["no", "yes"])[y]
    assert kl_decomposition(labels, proba[:, 1]) == kl_decomposition(y, both)


ROWS, HARD = [f"r{i}" for i in range(500)], np.arange(500) % 3


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"method": "platt"}, ["method must be one of"]),
        ({"method": "isotonic"}, ["for two classes, not 3"]),
        ({"cv": 1}, ["cv must be an integer >= 2; got 1"]),
        ({"cv": 10**400}, ["samples, fewer than the folds of cv, which is 5 by"]),
        ({"cv": [(np.arange(250), np.arange(250, 500))]}, ["exactly one test set"]),
        ({"n_bins": 0}, ["n_bins must be an integer >= 1"]),
        ({"base": 1}, ["base must be"]),
        ({"on_zero": "drop"}, ["on_zero must be"]),
        ({"sample_weight": [1.0]}, ["sample_weight has 1"]),
        ({"y_proba": 2 * problem(3)[1]}, ["y_proba[0] sums to 2"]),
        (
            {"y_true": pd.Series(HARD, ROWS), "sample_weight": pd.Series(1.0, ROWS[::-1])},
            ["rows of y_true and sample_weight have different"],
        ),
    ],
)
def test_refusals(arguments, parts):
    y, proba, _ = problem(3)
    with pytest.raises(ValueError, match=matches(*parts)):
        kl_decomposition(**{"y_true": y, "y_proba": proba, **arguments})


def test_few_samples():
    few = [0, 1, 0], [0.2, 0.8, 0.3]
    with pytest.raises(ValueError, match="There are 3 samples, fewer than the folds of cv"):
        kl_decomposition(*few)
    assert kl_decomposition(*few, method="isotonic").refinement == 0.0
