"""ReliabilityDisplay against kl_decomposition, and bins by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from sklkl.calibration import KLDecomposition, kl_decomposition
from sklkl.distillation import DistilledClassifier
from sklkl.inspection import ReliabilityDisplay
from tests._support.messages import matches
from tests._support.pictures import draw, legend
from tests._support.problems import make_problem

BINNING = {"method": "binning"}  # the cheapest
LETTERS = np.array(["a", "b", "c"])
THREE = make_problem(n_samples=300)
TWO = make_problem(2, n_samples=300)
from_predictions, from_estimator = (
    ReliabilityDisplay.from_predictions,
    ReliabilityDisplay.from_estimator,
)


def said(problem):
    """Return overconfident predictions."""
    return softmax(2.0 * np.log(problem.soft), axis=1)


def drawn(display, j=0):
    """Return points and half lengths of the error bars of a curve."""
    line, _, (bars,) = display.curves_[j].lines
    segments = np.array(bars.get_segments())
    return line.get_xydata(), (segments[:, 1, 1] - segments[:, 0, 1]) / 2


def title(display):
    return display.ax_[0].get_title()


@pytest.mark.parametrize(
    ("kind", "problem", "weighted", "options"),
    [
        ("soft", THREE, False, {"method": "temperature", "cv": 2}),
        ("soft", TWO, True, {"base": 2, **BINNING}),
        ("hard", THREE, True, {"method": "vector", "cv": 2}),
        ("hard", TWO, False, {"base": 2, "method": "isotonic"}),
    ],
)
def test_decomposition_is_that_of_the_metric(kind, problem, weighted, options):
    y, proba = problem.target(kind), said(problem)
    options = {**options, "sample_weight": problem.weight if weighted else None}
    display = from_predictions(y, proba, n_bins=4, **options)
    parts = kl_decomposition(y, proba, n_bins=4, **options)
    assert display.decomposition == parts
    unit = "bits" if "base" in options else "nats"
    lines = title(display).split("\n")
    assert lines[0] == (
        f"KL {parts.kl:.3f} = miscalibration {parts.miscalibration:.3f} + "
        f"refinement {parts.refinement:.3f} {unit}"
    )
    entropy = [f"entropy of the targets {parts.entropy:.3f} {unit}"]
    assert lines[1:] == (entropy if kind == "soft" else [])


@pytest.mark.parametrize(
    ("kind", "weighted", "strategy"),
    [
        ("soft", True, "uniform"),
        ("soft", False, "quantile"),
        ("hard", True, "quantile"),
        ("hard", True, "variance"),
    ],
)
def test_bins_by_hand(kind, weighted, strategy):
    y, proba, weight = THREE.target(kind), said(THREE), THREE.weight
    target = THREE.soft if kind == "soft" else np.eye(3)[THREE.hard]
    if not weighted:
        weight = np.ones(len(y))
    options = {**BINNING, "sample_weight": weight if weighted else None}
    display = from_predictions(y, proba, strategy=strategy, n_bins=4, **options)
    counted = weight > 0
    target, proba, weight = target[counted], proba[counted], weight[counted]
    for j in range(3):
        q, p = proba[:, j], target[:, j]
        if strategy == "uniform":
            bin_of = np.ceil(q * 4).astype(int)
        else:
            order = np.argsort(q)
            bin_of = np.empty(len(q), int)
            share = weight * q * (1 - q) if strategy == "variance" else weight
            below = np.cumsum(share[order]) - share[order]
            bin_of[order] = below / share.sum() * 4 + 1e-9
        points, halves = drawn(display, j)
        for b, point, half in zip(np.unique(bin_of), points, halves, strict=True):
            w, r, u = weight[bin_of == b], (p - q)[bin_of == b], q[bin_of == b]
            assert_allclose(point, [np.average(x[bin_of == b], weights=w) for x in (q, p)])
            mean, n = np.average(r, weights=w), len(w)
            error = np.sqrt(n / (n - 1) * np.sum((w * (r - mean)) ** 2)) / w.sum()
            if kind == "hard":
                error = np.sqrt(np.sum(w**2 * u * (1 - u))) / w.sum()
            assert_allclose(half, 2 * error)
        values, edges, _ = display.histograms_[j].get_data()
        expected, _ = np.histogram(q, 20, (0, 1), weights=weight)
        assert_allclose(values, expected, atol=1e-12)
        assert_allclose(edges, np.linspace(0, 1, 21))


@pytest.mark.parametrize(
    ("largest", "n", "runs"),
    [
        (0.1, 1000, 10),
        pytest.param(0.04, 300, 40, marks=pytest.mark.slow),
        pytest.param(1.0, 500, 40, marks=pytest.mark.slow),
    ],
)
def test_error_bars_of_calibrated_labels_cover_the_diagonal(largest, n, runs):
    """Also where a class is so rare that many bins hold none of it."""
    outside = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        q = rng.uniform(0, largest, n)
        y = (rng.random(n) < q).astype(int)
        display = from_predictions(y, q, labels=[0, 1], n_bins=5, **BINNING)
        gap = np.abs(display.prob_true[0] - display.prob_pred[0])
        outside += (gap > 2 * display.standard_errors[0]).tolist()
        plt.close("all")
    assert 0.0 < np.mean(outside) < 0.09


def test_equal_predictions_share_a_bin():
    proba = [[0.9, 0.1]] * 40 + [[0.1, 0.9]] * 40
    y = ([0] * 3 + [1]) * 10 + ([1] * 3 + [0]) * 10
    for given in (proba, np.array(proba)[:, 1]):  # that of the second class alone
        points, halves = drawn(from_predictions(y, given, **BINNING))
        assert_allclose(points, [[0.1, 0.25], [0.9, 0.75]])
        assert_allclose(halves, 2 * np.sqrt(0.1 * 0.9 / 40))


def test_bin_of_one_soft_target_has_no_error_bar():
    proba = np.array([0.05, 0.1, 0.15, 0.95, 0.5, 0.52])
    y = np.column_stack([1 - proba[::-1], proba[::-1]])
    display = draw(from_predictions(y, proba, strategy="uniform", **BINNING))
    assert np.isnan(display.standard_errors[0]).tolist() == [False, True, True, True, True]


def test_predictions_a_little_above_1_are_counted():
    proba = np.tile([[1.0003, 0.0], [0.0, 1.0003]], (20, 1))
    display = from_predictions([0, 1] * 20, proba, **BINNING)
    assert display.counts.sum() == 40
    assert_allclose(drawn(display)[0], [[0, 0], [1, 1]], atol=5e-4)


@pytest.mark.parametrize(("k", "expected"), [(2, [1]), (3, [0, 1, 2]), (10, None)])
def test_classes_that_are_drawn_by_default(k, expected):
    problem = make_problem(k, n_samples=300)
    display = from_predictions(problem.soft, said(problem), **BINNING)
    if expected is None:
        expected = sorted(np.argsort(-problem.soft.mean(axis=0))[:7].tolist())
    assert display.classes == expected
    assert legend(display.ax_[1]) == [str(c) for c in expected]
    assert len(display.curves_) == len(display.histograms_) == len(expected)


def test_bins_of_many_classes_are_not_all_at_0():
    """Nearly all predictions are; and the histogram shows the others, too."""
    k, rng = 50, np.random.default_rng(0)
    proba = softmax(2 * rng.normal(size=(2000, k)), axis=1)
    display = from_predictions(proba, proba, **BINNING)
    for mean in display.prob_pred:
        assert (mean > 0.1).sum() >= 4
        assert mean[-1] > 0.5
    assert display.ax_[1].get_yscale() == "log"
    assert display.ax_[1].get_legend().get_title().get_text() == "7 of 50 classes"
    few = from_predictions(THREE.soft, said(THREE), **BINNING)
    assert few.ax_[1].get_yscale() == "linear"
    assert few.ax_[1].get_legend().get_title().get_text() == "class"
    certain = from_predictions([0, 1, 1] * 9, np.eye(2)[[0, 1, 1] * 9], **BINNING)
    assert_array_equal(certain.prob_pred[0], [0.0, 1.0])


def test_names_and_order_of_classes():
    y, proba = LETTERS[THREE.hard], said(THREE)
    everything = from_predictions(y, proba, **BINNING)
    assert everything.classes == ["a", "b", "c"]
    frame = pd.DataFrame(proba, columns=LETTERS)[["c", "a", "b"]]
    for display in (
        from_predictions(y, proba, classes_of_interest=["c", "a"], **BINNING),
        from_predictions(y, frame, classes_of_interest=["c", "a"], **BINNING),
    ):
        assert display.classes == legend(display.ax_[1]) == ["c", "a"]
        assert_array_equal(display.prob_true[0], everything.prob_true[2])
        assert display.decomposition == everything.decomposition
    ordered = from_predictions(y, frame, **BINNING)
    assert ordered.classes == legend(ordered.ax_[1]) == ["c", "a", "b"]
    assert_array_equal(ordered.prob_true[0], everything.prob_true[2])
    assert ordered.decomposition == everything.decomposition
    soft = pd.DataFrame(THREE.soft, columns=list("xyz"))
    named = pd.DataFrame(proba, columns=list("xyz"))
    assert from_predictions(soft, proba, **BINNING).classes == list("xyz")
    assert from_predictions(THREE.soft, named, **BINNING).classes == list("xyz")
    display = from_predictions(THREE.soft, proba, labels=list("abc"), **BINNING)
    assert display.classes == ["a", "b", "c"]
    absent = from_predictions(np.minimum(THREE.hard, 1), proba, labels=[0, 1, 2], **BINNING)
    assert (absent.prob_true[2] == 0).all()


def test_from_estimator_is_from_predictions():
    y = LETTERS[THREE.hard]
    frame = pd.DataFrame(THREE.X).add_prefix("x")
    model = GaussianNB().fit(frame, y)
    options = {**BINNING, "sample_weight": THREE.weight, "classes_of_interest": ["b"]}
    for target in (y, THREE.soft, pd.DataFrame(THREE.soft, columns=LETTERS)[["c", "b", "a"]]):
        display = from_estimator(model, frame, target, **options)
        target = THREE.soft if np.ndim(target) == 2 else target
        names = {"labels": LETTERS}
        expected = from_predictions(target, model.predict_proba(frame), **names, **options)
        assert display.classes == ["b"]
        assert display.decomposition == expected.decomposition
        assert_array_equal(drawn(display)[0], drawn(expected)[0])


def test_class_that_the_estimator_never_saw():
    X, y = THREE.X, THREE.hard
    model = GaussianNB().fit(X[y > 0], y[y > 0])
    display = draw(from_estimator(model, X, y, on_zero="inf", **BINNING))
    assert display.classes == [1, 2, 0]
    assert_array_equal(display.prob_pred[2], [0.0])
    assert_allclose(display.prob_true[2], [np.mean(y == 0)])
    assert title(display).startswith("KL ∞ = miscalibration ∞ + refinement")


def test_a_huge_weight_leaves_the_errors_of_other_bins():
    y, proba = [0, 1] * 20, np.repeat([0.2, 0.8], 20)
    weight = [1e300] + [1e-300] * 39
    options = {"method": "isotonic", "strategy": "uniform"}
    display = from_predictions(y, proba, sample_weight=weight, **options)
    # One row counts in the first bin, all twenty in the last.
    assert_allclose(display.standard_errors[0], [0.4, 0.4 / np.sqrt(20)])


def test_title_breaks_where_the_axes_are_narrow():
    parts = KLDecomposition(0.5, 0.2, 0.05, 0.15, 0.3, 0.4, 0.25)
    half = [np.array([0.5])]
    display = ReliabilityDisplay(half, half, half, np.ones((1, 20)), parts, classes=["a"])
    _, axes = plt.subplots(nrows=2, figsize=(3.0, 4.0))
    assert len(title(display.plot(ax=axes)).split("\n")) == 3
    for ax in (display.ax_[0], display.plot().ax_[0]):
        ax.figure.canvas.draw()
        box = ax.title.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= ax.figure.bbox.width


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"strategy": "kmeans"}, ["strategy must be one of"]),
        ({"classes_of_interest": [3]}, ["among the classes [0, 1, 2]; got [3]"]),
        ({"classes_of_interest": [1, 1]}, ["must be different ones", "got [1, 1]"]),
        ({"classes_of_interest": []}, ["must be a list"]),
        ({"classes_of_interest": "a"}, ["must be a list"]),
        ({"y_proba": 2 * THREE.soft}, ["y_proba[0] sums to 2"]),
        ({"n_bins": 0}, ["n_bins must be"]),
    ],
)
def test_bad_predictions(options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        from_predictions(**{"y_true": THREE.hard, "y_proba": THREE.soft, **options})


def test_bad_data_of_an_estimator():
    X, y = pd.DataFrame(TWO.X).add_prefix("x"), pd.Series(TWO.hard)
    model = GaussianNB().fit(X, y)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        from_estimator(LinearSVC().fit(X, y), X, y)
    with pytest.raises(ValueError, match="rows of X and y have different labels"):
        from_estimator(model, X.add_prefix("r", axis=0), y[::-1].add_prefix("r"))
    marked = np.where(np.arange(300) % 3, y, -1)
    model = DistilledClassifier(GaussianNB(), unlabeled=-1).fit(X, marked)
    with pytest.raises(ValueError, match="y holds -1, which marks"):
        from_estimator(model, X, marked)
