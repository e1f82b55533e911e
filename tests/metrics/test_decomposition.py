"""Tests of kl_decomposition: exact identities, known truths, estimators against each other."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose
from scipy.special import rel_entr, softmax, xlogy
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold

from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling
from sklkl.metrics import KLDecomposition, kl_decomposition, kl_loss

MAPS = {
    "temperature": TemperatureScaling(),
    "vector": VectorScaling(C=np.inf),
    "dirichlet": DirichletScaling(C=1.0),
}
METHODS = {"binning": "binning", "isotonic": "isotonic", **MAPS}


def problem(n_classes, kind="soft", n_samples=500, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_samples, n_classes))
    truth = softmax(logits + rng.normal(size=(n_samples, n_classes)), axis=1)
    proba = softmax(2.0 * logits + np.arange(n_classes) / 3, axis=1)
    if kind == "hard":
        truth = draw(truth, rng)
    return truth, proba, rng.uniform(0.0, 2.0, n_samples)


def draw(proba, rng):
    codes = (rng.random((len(proba), 1)) > proba.cumsum(axis=1)).sum(axis=1)
    return np.minimum(codes, proba.shape[1] - 1)


def each_method(n_classes):
    return [name for name in METHODS if n_classes == 2 or name != "isotonic"]


each_problem = pytest.mark.parametrize(
    ("n_classes", "method"), [(k, m) for k in (2, 4) for m in each_method(k)]
)


@each_problem
@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("base", [None, 2])
def test_parts_add_up_and_are_not_negative(n_classes, method, kind, weighted, base):
    y, proba, weight = problem(n_classes, kind)
    weight = weight if weighted else None
    parts = kl_decomposition(y, proba, method=METHODS[method], sample_weight=weight, base=base)
    assert min(parts.miscalibration, parts.refinement, parts.entropy) >= 0.0
    assert_allclose(parts.miscalibration + parts.refinement, parts.kl, rtol=0, atol=1e-12)
    assert_allclose(parts.kl + parts.entropy, parts.cross_entropy, rtol=0, atol=1e-12)
    assert_allclose(parts.uncertainty - parts.resolution, parts.refinement, atol=1e-12)
    assert_allclose(parts.kl, kl_loss(y, proba, sample_weight=weight, base=base), rtol=1e-12)
    if kind == "hard":
        assert parts.entropy == 0.0
        unit = 1.0 if base is None else np.log(base)
        expected = log_loss(y, proba, sample_weight=weight) / unit
        assert_allclose(parts.cross_entropy, expected, rtol=1e-12)
    else:
        unit = 1.0 if base is None else np.log(base)
        expected = np.average(-xlogy(y, y).sum(axis=1), weights=weight) / unit
        assert_allclose(parts.entropy, expected, rtol=1e-12)
    assert parts.miscalibration > 0.05
    assert parts.resolution > 0.05


@pytest.mark.parametrize("method", METHODS)
def test_known_parts_of_an_overconfident_model(method):
    """Targets are labels drawn from p, predictions p squared: c is p."""
    rng = np.random.default_rng(1)
    truth = rng.dirichlet([1.0, 1.0], size=20_000)
    proba = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    y = draw(truth, rng)
    parts = kl_decomposition(y, proba, method=METHODS[method], n_bins=25)
    # Three standard errors; bins lose a little, and all overfit a little.
    rows = np.arange(len(y)), y
    for found, of_rows, expected, slack in (
        (
            parts.miscalibration,
            np.log(truth[rows] / proba[rows]),
            rel_entr(truth, proba).sum(axis=1).mean(),
            1e-3,
        ),
        (
            parts.refinement,
            -np.log(truth[rows]),
            -xlogy(truth, truth).sum(axis=1).mean(),
            2e-3,
        ),
    ):
        error = 3 * of_rows.std() / np.sqrt(len(y)) + slack
        assert_allclose(found, expected, rtol=0, atol=error)
    assert_allclose(parts.uncertainty, np.log(2), rtol=1e-3)


@pytest.mark.parametrize("method", ["binning", *MAPS])
def test_known_parts_with_several_classes(method):
    """Ten kinds of samples, each with its own prediction and its own noisy soft targets."""
    rng = np.random.default_rng(2)
    kinds = rng.dirichlet(np.ones(4), size=10)
    kind = rng.integers(10, size=10_000)
    alpha = 8.0 * kinds
    y = np.stack([rng.dirichlet(alpha[k]) for k in kind])
    proba = softmax(1.7 * np.log(kinds), axis=1)
    parts = kl_decomposition(y, proba[kind], method=METHODS[method], n_bins=10)
    divergence = rel_entr(kinds, proba).sum(axis=1)
    assert_allclose(parts.miscalibration, divergence[kind].mean(), rtol=0, atol=4e-3)
    if method == "binning":  # here every bin is one kind of sample
        expected = 0.0
        for k in range(10):
            of_kind = y[kind == k]
            mean = of_kind.mean(axis=0)
            chance = (of_kind.var(axis=0, ddof=1) / mean).sum() / (2 * len(of_kind))
            share = len(of_kind) / len(y)
            expected += share * (rel_entr(mean, proba[k]).sum() - chance)
        assert_allclose(parts.miscalibration, expected, rtol=1e-10)


@pytest.mark.parametrize("method", ["binning", "isotonic", "temperature", "dirichlet"])
def test_calibrated_model_has_little_miscalibration(method):
    rng = np.random.default_rng(3)
    truth = rng.dirichlet([1.0, 1.0], size=20_000)
    parts = kl_decomposition(draw(truth, rng), truth, method=METHODS[method])
    assert 0.0 <= parts.miscalibration < 4e-3


@pytest.mark.parametrize("method", METHODS)
def test_perfect_predictions(method):
    y, _, _ = problem(2)
    parts = kl_decomposition(y, y, method=METHODS[method])
    assert parts.kl == 0.0
    assert parts.miscalibration == parts.refinement == 0.0
    assert parts.resolution == parts.uncertainty > 0.0


def test_prior_is_calibrated_and_knows_nothing():
    y, _, weight = problem(3)
    prior = np.average(y, axis=0, weights=weight)
    parts = kl_decomposition(y, np.tile(prior, (len(y), 1)), sample_weight=weight)
    assert_allclose(parts.miscalibration, 0.0, atol=1e-14)
    assert_allclose(parts.refinement, parts.uncertainty, rtol=1e-12)
    assert_allclose(parts.resolution, 0.0, atol=1e-12)


def test_isotonic_by_hand():
    """The decreasing pair of labels is pooled."""
    y = [0, 1, 0, 1]
    p = [0.1, 0.4, 0.6, 0.8]
    parts = kl_decomposition(y, p, method="isotonic")
    assert_allclose(parts.refinement, log_loss(y, [0.0, 0.5, 0.5, 1.0]), rtol=1e-12)
    assert_allclose(parts.kl, log_loss(y, p), rtol=1e-12)


def test_isotonic_keeps_digits_near_one():
    """Predictions that differ in 1 - p alone, targets within 1e-12 of 1."""
    tiny = np.array([1e-20, 1e-18, 1e-16, 1e-14])
    y_tiny = np.array([3e-13, 2e-12, 5e-12, 9e-12])
    proba = np.column_stack([tiny, np.ones(4)])
    y = np.column_stack([y_tiny, 1.0 - y_tiny])
    parts = kl_decomposition(y, proba, method="isotonic", on_zero="inf")
    # c = y, as both increase; 1 - (1 - y) would leave an error of 1e-4 of each
    assert parts.refinement < 1e-12 * parts.kl


def test_isotonic_is_the_best_increasing_map():
    y, proba, weight = problem(2, "hard")
    parts = kl_decomposition(y, proba, method="isotonic", sample_weight=weight)
    for power in (0.3, 0.5, 0.8, 1.0):
        for shift in (-0.5, 0.0, 0.7):
            logits = power * np.log(proba) + [0.0, shift]
            other = kl_loss(y, softmax(logits, axis=1), sample_weight=weight)
            assert parts.refinement <= other


@pytest.mark.parametrize("method", MAPS)
def test_map_by_hand(method):
    y, proba, weight = problem(3)
    parts = kl_decomposition(y, proba, method=MAPS[method], cv=None, sample_weight=weight)
    calibrated = MAPS[method].fit(proba, y, weight).predict_proba(proba)
    expected = kl_loss(y, calibrated, sample_weight=weight)
    assert_allclose(parts.refinement, expected, rtol=1e-12)


def test_map_in_folds():
    y, proba, weight = problem(3)
    folds = list(KFold(4, shuffle=True, random_state=0).split(y))
    calibrated = np.empty_like(proba)
    for train, test in folds:
        model = DirichletScaling().fit(proba[train], y[train], weight[train])
        calibrated[test] = model.predict_proba(proba[test])
    parts = kl_decomposition(
        y, proba, method=DirichletScaling(), cv=folds, sample_weight=weight
    )
    expected = kl_loss(y, calibrated, sample_weight=weight)
    assert_allclose(parts.refinement, expected, rtol=1e-12)


def test_map_that_makes_it_worse_counts_as_the_identity():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(8), size=40)
    parts = kl_decomposition(
        draw(truth, rng), truth, method=DirichletScaling(C=np.inf), cv=4, labels=np.arange(8)
    )
    assert parts.miscalibration == 0.0
    assert parts.refinement == parts.kl


def test_map_is_not_changed():
    y, proba, _ = problem(3)
    method = TemperatureScaling()
    kl_decomposition(y, proba, method=method)
    assert not hasattr(method, "temperature_")


def test_weights_are_repetition():
    y, proba, _ = problem(3)
    counts = np.random.default_rng(0).integers(0, 3, size=len(y))
    weighted = kl_decomposition(y, proba, cv=None, sample_weight=counts)
    repeated = kl_decomposition(
        np.repeat(y, counts, axis=0), np.repeat(proba, counts, axis=0), cv=None
    )
    for name in vars(weighted):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-6)


@pytest.mark.parametrize("method", ["isotonic", "binning", "dirichlet"])
def test_rows_of_weight_zero_do_not_count(method):
    y, proba, weight = problem(2, "hard")
    weight[::3] = 0.0
    counted = weight > 0.0
    cv = None if method == "dirichlet" else 5
    expected = kl_decomposition(
        y[counted], proba[counted], method=method, cv=cv, sample_weight=weight[counted]
    )
    proba[::3] = np.eye(2)[1 - y[::3]]  # of infinite loss
    for on_zero in ("inf", "raise"):
        parts = kl_decomposition(
            y, proba, method=method, cv=cv, sample_weight=weight, on_zero=on_zero
        )
        for name in vars(parts):
            assert_allclose(getattr(parts, name), getattr(expected, name), rtol=1e-6)
    proba[0] *= 2
    with pytest.raises(ValueError, match=r"y_proba\[0\] sums to 2"):
        kl_decomposition(y, proba, method=method, sample_weight=weight)


@pytest.mark.parametrize("n_samples", [50, 500])
@pytest.mark.parametrize(("method", "bound"), [("dirichlet", 0.015), ("binning", 0.04)])
def test_little_miscalibration_is_made_up_by_chance(n_samples, method, bound):
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = rng.dirichlet(np.ones(3), size=n_samples)
        y = draw(truth, rng)
        parts = kl_decomposition(y, truth, method=method, labels=[0, 1, 2])
        found.append(parts.miscalibration)
    assert np.mean(found) < bound


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-300, 2e299])
def test_the_unit_of_weights(method, scale):
    y, proba, weight = problem(2, "hard")
    expected = kl_decomposition(y, proba, method=METHODS[method], sample_weight=weight)
    parts = kl_decomposition(y, proba, method=METHODS[method], sample_weight=scale * weight)
    # The scale of weights is that of C.
    atol = 0.01 if method in ("vector", "dirichlet") else 1e-3
    for name in vars(parts):
        assert_allclose(getattr(parts, name), getattr(expected, name), atol=atol)


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


def test_equal_predictions_share_a_bin():
    rng = np.random.default_rng(0)
    kinds = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    proba = kinds[rng.integers(3, size=300)]
    y = draw(proba, rng)
    few, many = (kl_decomposition(y, proba, method="binning", n_bins=n) for n in (3, 50))
    assert_allclose(few.miscalibration, many.miscalibration, rtol=1e-12)


def test_more_bins_find_more_miscalibration():
    y, proba, _ = problem(3)
    found = [
        kl_decomposition(y, proba, method="binning", n_bins=2**i).miscalibration
        for i in range(3)
    ]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("convert", ["list", "frame", "float32", "strided", "read-only"])
def test_containers(convert):
    y, proba, _ = problem(3)
    expected = kl_decomposition(y, proba)
    if convert == "list":
        y, proba = y.tolist(), proba.tolist()
    elif convert == "frame":
        y = pd.DataFrame(y, columns=["a", "b", "c"])
        proba = pd.DataFrame(proba, columns=["a", "b", "c"]).iloc[:, ::-1]
    elif convert == "float32":
        y, proba = y.astype(np.float32), proba.astype(np.float32)
    elif convert == "strided":
        y, proba = np.asfortranarray(y), np.repeat(proba, 2, axis=0)[::2]
    else:
        y.flags.writeable = proba.flags.writeable = False
    parts = kl_decomposition(y, proba)
    assert_allclose(parts.kl, expected.kl, rtol=1e-5 if convert == "float32" else 1e-12)
    assert_allclose(parts.miscalibration, expected.miscalibration, rtol=1e-3)


def test_positive_column_and_string_labels():
    y, proba, _ = problem(2, "hard")
    labels = np.array(["no", "yes"])[y]
    assert kl_decomposition(labels, proba[:, 1]) == kl_decomposition(
        y, np.column_stack([1 - proba[:, 1], proba[:, 1]])
    )


def test_zeros():
    y = np.array([0, 1, 1, 0])
    proba = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    parts = kl_decomposition(y, proba, cv=2)
    assert_allclose(parts.kl, log_loss(y, proba), rtol=1e-12)
    assert_allclose(parts.miscalibration + parts.refinement, parts.kl, rtol=1e-12)
    infinite = kl_decomposition(y, proba, on_zero="inf", method="isotonic")
    assert infinite.kl == infinite.miscalibration == np.inf
    assert np.isfinite(infinite.refinement)
    infinite = kl_decomposition(y, proba, on_zero="inf", method="binning")
    assert infinite.kl == np.inf
    assert np.isfinite(infinite.refinement)
    with pytest.raises(ValueError, match="infinite"):
        kl_decomposition(y, proba, on_zero="raise", cv=2)


def test_float32_is_clipped_as_in_the_loss():
    y = [0, 1, 1, 0]
    proba = np.array([[0, 1], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1]], dtype=np.float32)
    for method in ("isotonic", "binning"):
        parts = kl_decomposition(y, proba, method=method)
        assert_allclose(parts.kl, kl_loss(y, proba), rtol=1e-12)


def test_logits_are_not_expected():
    y, proba, _ = problem(3)
    expected = kl_decomposition(y, proba, method="temperature")
    method = TemperatureScaling(from_logits=True)
    assert kl_decomposition(y, proba, method=method) == expected


def test_metadata_routing():
    y, proba, weight = problem(3)
    expected = kl_decomposition(y, proba, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        assert kl_decomposition(y, proba, sample_weight=weight) == expected


def test_repr():
    parts = KLDecomposition(*np.arange(7.0))
    assert repr(parts).startswith("KLDecomposition(cross_entropy=0, kl=1, miscalibration=2,")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "platt"}, ValueError, "method must be one of"),
        ({"method": 3}, ValueError, "method must be one of"),
        ({"method": TemperatureScaling}, ValueError, "method must be one of"),
        ({"method": "isotonic"}, ValueError, "for two classes, not 3"),
        ({"cv": []}, ValueError, "cv holds no folds"),
        ({"cv": 1}, ValueError, "^cv must be an integer >= 2; got 1"),
        ({"cv": 10**400}, ValueError, "samples, fewer than the folds of cv, which is 5 by"),
        ({"cv": b"x"}, ValueError, "^cv must be an integer >= 2, a splitter, or pairs"),
        ({"cv": np.ones((3, 2, 4))}, ValueError, "^cv must be an integer >= 2, a splitter"),
        ({"cv": pd.DataFrame({"ab": [1], "cd": [2]})}, ValueError, "^cv must be an integer"),
        ({"n_bins": 0}, ValueError, "n_bins must be an integer >= 1"),
        ({"n_bins": 2.5}, ValueError, "n_bins must be an integer >= 1"),
        ({"base": 1}, ValueError, "base"),
        ({"on_zero": "drop"}, ValueError, "on_zero"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight"),
    ],
)
def test_bad_arguments(arguments, error, message):
    y, proba, _ = problem(3)
    with pytest.raises(error, match=message):
        kl_decomposition(y, proba, **arguments)


def test_bad_rows_are_named():
    y, proba, _ = problem(3)
    proba[7] *= 2
    with pytest.raises(ValueError, match=r"y_proba\[7\] sums to 2"):
        kl_decomposition(y, proba)


def test_names_of_rows_are_matched():
    y, proba, weight = problem(2, "hard")
    rows = [f"r{i}" for i in range(len(y))]
    y, weight = pd.Series(y, rows), pd.Series(weight, rows[::-1])
    with pytest.raises(ValueError, match="rows of y_true and sample_weight have different"):
        kl_decomposition(y, proba, sample_weight=weight)


@pytest.mark.parametrize("others", [1.0, 1e-300])
@pytest.mark.parametrize("method", ["temperature", "dirichlet", "binning", "isotonic"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_weight_above_all_others(method, others):
    """Its row alone counts: what no other row can teach is not known out of fold."""
    weight = [1e300, *[others] * 39]
    y, proba = [0, 1] * 20, np.linspace(0.1, 0.9, 40)
    parts = kl_decomposition(y, proba, method=method, sample_weight=weight)
    assert_allclose(parts.kl, -np.log(0.9))
    known = parts.kl if method in ("binning", "isotonic") else 0.0
    assert_allclose(parts.miscalibration, known, atol=1e-12)


def test_few_samples():
    few = [0, 1, 0], [0.2, 0.8, 0.3]
    with pytest.raises(ValueError, match="There are 3 samples, fewer than the folds of cv"):
        kl_decomposition(*few)
    assert kl_decomposition(*few, method="isotonic").refinement == 0.0
