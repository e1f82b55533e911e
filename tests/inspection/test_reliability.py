"""Tests of ReliabilityDisplay against kl_decomposition and calibration_curve."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklkl.calibration import TemperatureScaling
from sklkl.distillation import DistilledClassifier
from sklkl.inspection import ReliabilityDisplay
from sklkl.metrics import KLDecomposition, kl_decomposition

FAST = {"method": "temperature", "cv": 2}


def problem(k=3, n=400, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 1.5
    truth = softmax(logits, axis=1)
    labels = np.minimum((rng.random((n, 1)) > truth.cumsum(axis=1)).sum(axis=1), k - 1)
    return truth, labels, softmax(2 * logits, axis=1), rng.uniform(0.5, 2.0, n)


def draw(display):
    display.figure_.canvas.draw()
    return display


def drawn(display, j=0):
    """Points and half lengths of the error bars of a curve."""
    line, _, (bars,) = display.curves_[j].lines
    segments = np.array(bars.get_segments())
    return line.get_xydata(), (segments[:, 1, 1] - segments[:, 0, 1]) / 2


def title(display):
    return display.ax_[0].get_title()


def names(display):
    return [t.get_text() for t in display.ax_[1].get_legend().get_texts()]


@pytest.mark.parametrize(
    ("kind", "k", "weighted", "base"),
    [
        ("soft", 3, False, None),
        ("soft", 2, True, 2),
        ("hard", 3, True, None),
        ("hard", 2, False, 2),
    ],
)
def test_decomposition_is_that_of_the_metric(kind, k, weighted, base):
    truth, labels, proba, weight = problem(k)
    y = truth if kind == "soft" else labels
    options = {**FAST, "base": base, "sample_weight": weight if weighted else None}
    display = draw(ReliabilityDisplay.from_predictions(y, proba, **options))
    parts = kl_decomposition(y, proba, **options)
    assert display.decomposition == parts
    unit = {None: "nats", 2: "bits"}[base]
    lines = title(display).split("\n")
    assert lines[0] == (
        f"KL {parts.kl:.3f} = miscalibration {parts.miscalibration:.3f} + "
        f"refinement {parts.refinement:.3f} {unit}"
    )
    assert lines[1:] == (
        [f"entropy of the targets {parts.entropy:.3f} {unit}"] if kind == "soft" else []
    )


@pytest.mark.parametrize(
    "method", ["dirichlet", "vector", "isotonic", "binning", TemperatureScaling()]
)
def test_methods(method):
    _, labels, proba, _ = problem(2)
    display = ReliabilityDisplay.from_predictions(labels, proba, method=method, n_bins=4)
    assert display.decomposition == kl_decomposition(labels, proba, method=method, n_bins=4)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_curve_is_that_of_scikit_learn(strategy):
    _, labels, proba, _ = problem(2, n=401)
    display = draw(
        ReliabilityDisplay.from_predictions(labels, proba, strategy=strategy, n_bins=5, **FAST)
    )
    expected = calibration_curve(labels, proba[:, 1], strategy=strategy, n_bins=5)
    points, _ = drawn(display)
    # Its quantiles are interpolated, which moves a sample over an edge.
    assert_allclose(
        points, np.column_stack(expected[::-1]), atol=0.0 if strategy == "uniform" else 0.01
    )
    assert display.classes == [1]


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_bins_by_hand(kind, weighted, strategy):
    truth, labels, proba, weight = problem(3)
    y = truth if kind == "soft" else labels
    target = truth if kind == "soft" else np.eye(3)[labels]
    if not weighted:
        weight = np.ones(len(y))
    options = {**FAST, "sample_weight": weight if weighted else None}
    display = draw(
        ReliabilityDisplay.from_predictions(y, proba, strategy=strategy, n_bins=4, **options)
    )
    for j in range(3):
        q, p = proba[:, j], target[:, j]
        if strategy == "uniform":
            bin_of = np.ceil(q * 4).astype(int)
        else:
            order = np.argsort(q)
            bin_of = np.empty(len(q), int)
            below = np.cumsum(weight[order]) - weight[order]
            bin_of[order] = below / weight.sum() * 4 + 1e-9
        points, halves = drawn(display, j)
        assert len(points) == 4
        for b, (x, y_), half in zip(np.unique(bin_of), points, halves, strict=True):
            w, r = weight[bin_of == b], (p - q)[bin_of == b]
            assert_allclose(x, np.average(q[bin_of == b], weights=w))
            assert_allclose(y_, np.average(p[bin_of == b], weights=w))
            mean, n = np.average(r, weights=w), len(w)
            error = np.sqrt(n / (n - 1) * np.sum((w * (r - mean)) ** 2)) / w.sum()
            if kind == "hard":
                u = q[bin_of == b]
                error = np.sqrt(np.sum(w**2 * u * (1 - u))) / w.sum()
            elif not weighted:
                assert_allclose(error, r.std(ddof=1) / np.sqrt(n))
            assert_allclose(half, 2 * error)


@pytest.mark.parametrize(("largest", "n"), [(0.04, 300), (0.1, 1000), (1.0, 500)])
def test_error_bars_of_calibrated_labels_cover_the_diagonal(largest, n):
    """Also where a class is so rare that many bins hold none of it."""
    outside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        q = rng.uniform(0, largest, n)
        y = (rng.random(n) < q).astype(int)
        display = ReliabilityDisplay.from_predictions(
            y, q, labels=[0, 1], method="binning", n_bins=5
        )
        gap = np.abs(display.prob_true[0] - display.prob_pred[0])
        outside += (gap > 2 * display.standard_errors[0]).tolist()
        plt.close("all")
    assert 0.0 < np.mean(outside) < 0.09


def test_samples_without_labels_are_refused():
    X, y = make_classification(200, random_state=0)
    model = DistilledClassifier(GaussianNB(), unlabeled=-1).fit(X, y)
    marked = np.where(np.arange(200) % 3, y, -1)
    for estimator in (model, make_pipeline(model)):
        with pytest.raises(ValueError, match="y holds -1, which marks"):
            ReliabilityDisplay.from_estimator(estimator, X, marked)


def test_predictions_a_little_above_1_are_counted():
    proba = np.tile([[1.0003, 0.0], [0.0, 1.0003]], (20, 1))
    display = ReliabilityDisplay.from_predictions([0, 1] * 20, proba, method="binning")
    assert display.counts.sum() == 40


def test_quantile_bins_hold_equal_weight():
    _, labels, proba, _ = problem(2, n=400)
    display = ReliabilityDisplay.from_predictions(labels, proba, n_bins=8, **FAST)
    chunks = np.sort(proba[:, 1]).reshape(8, 50)
    assert_allclose(display.prob_pred[0], chunks.mean(axis=1))


def test_histogram():
    _, labels, proba, weight = problem(3)
    display = draw(
        ReliabilityDisplay.from_predictions(labels, proba, sample_weight=weight, **FAST)
    )
    for j, patch in enumerate(display.histograms_):
        values, edges, _ = patch.get_data()
        expected, _ = np.histogram(proba[:, j], 20, (0, 1), weights=weight)
        assert_allclose(values, expected)
        assert_allclose(edges, np.linspace(0, 1, 21))
        assert_allclose(values.sum(), weight.sum())


def test_equal_predictions_share_a_bin():
    proba = [[0.9, 0.1]] * 40 + [[0.1, 0.9]] * 40
    y = ([0] * 3 + [1]) * 10 + ([1] * 3 + [0]) * 10
    display = draw(ReliabilityDisplay.from_predictions(y, proba, **FAST))
    points, halves = drawn(display)
    assert_allclose(points, [[0.1, 0.25], [0.9, 0.75]])
    assert_allclose(halves, 2 * np.sqrt(0.1 * 0.9 / 40))


def test_bin_of_one_soft_target_has_no_error_bar():
    proba = np.array([0.05, 0.1, 0.15, 0.95, 0.5, 0.52])
    y = np.column_stack([1 - proba[::-1], proba[::-1]])
    options = {"strategy": "uniform", "method": "binning"}
    display = draw(ReliabilityDisplay.from_predictions(y, proba, n_bins=2, **options))
    assert len(display.prob_pred[0]) == 2
    display = draw(ReliabilityDisplay.from_predictions(y, proba, **options))
    assert np.isnan(display.standard_errors[0]).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("k", "expected"), [(2, [1]), (3, [0, 1, 2]), (7, list(range(7))), (10, None)]
)
def test_classes_that_are_drawn_by_default(k, expected):
    truth, _, proba, _ = problem(k)
    display = draw(ReliabilityDisplay.from_predictions(truth, proba, **FAST))
    if expected is None:
        expected = sorted(np.argsort(-truth.mean(axis=0))[:7].tolist())
    assert display.classes == expected
    assert names(display) == [str(c) for c in expected]
    assert len(display.curves_) == len(display.histograms_) == len(expected)


def test_chosen_classes():
    truth, labels, proba, _ = problem(3)
    letters = np.array(["a", "b", "c"])
    everything = ReliabilityDisplay.from_predictions(letters[labels], proba, **FAST)
    assert everything.classes == ["a", "b", "c"]
    display = ReliabilityDisplay.from_predictions(
        letters[labels], proba, classes_of_interest=["c", "a"], **FAST
    )
    assert display.classes == names(display) == ["c", "a"]
    assert_array_equal(display.prob_true[0], everything.prob_true[2])
    assert display.decomposition == everything.decomposition
    frame = pd.DataFrame(truth, columns=list("xyz"))
    assert ReliabilityDisplay.from_predictions(frame, proba, **FAST).classes == list("xyz")
    named = pd.DataFrame(proba, columns=list("xyz"))
    assert ReliabilityDisplay.from_predictions(truth, named, **FAST).classes == list("xyz")
    display = ReliabilityDisplay.from_predictions(truth, proba, labels=list("abc"), **FAST)
    assert display.classes == ["a", "b", "c"]


def test_columns_of_data_frames_are_matched():
    _, labels, proba, _ = problem(3)
    y = np.array(["a", "b", "c"])[labels]
    frame = pd.DataFrame(proba, columns=["a", "b", "c"])[["c", "a", "b"]]
    display = ReliabilityDisplay.from_predictions(y, frame, **FAST)
    expected = ReliabilityDisplay.from_predictions(y, proba, **FAST)
    assert display.decomposition == expected.decomposition
    for one, other in zip(display.prob_true, expected.prob_true, strict=True):
        assert_array_equal(one, other)


def test_label_absent_from_y_true():
    _, labels, proba, _ = problem(3)
    y = np.minimum(labels, 1)
    display = draw(
        ReliabilityDisplay.from_predictions(y, proba, labels=[0, 1, 2], method="binning")
    )
    assert (display.prob_true[2] == 0).all()


def test_probability_of_the_second_class_alone():
    _, labels, proba, _ = problem(2)
    one = ReliabilityDisplay.from_predictions(labels, proba[:, 1], **FAST)
    two = ReliabilityDisplay.from_predictions(labels, proba, **FAST)
    assert_allclose(one.prob_true[0], two.prob_true[0])


@pytest.mark.parametrize("strings", [False, True])
def test_from_estimator_is_from_predictions(strings):
    X, y = make_classification(300, n_classes=3, n_informative=4, random_state=0)
    y = np.array(["ant", "bee", "cow"])[y] if strings else y
    frame = pd.DataFrame(X).add_prefix("x")
    model = make_pipeline(StandardScaler(), GaussianNB()).fit(frame, y)
    weight = np.random.default_rng(0).uniform(size=300)
    options = {**FAST, "sample_weight": weight, "classes_of_interest": [y[0]], "n_bins": 5}
    display = draw(ReliabilityDisplay.from_estimator(model, frame, y, **options))
    proba = model.predict_proba(frame)
    expected = ReliabilityDisplay.from_predictions(y, proba, **options)
    assert display.decomposition == expected.decomposition
    assert display.classes == [y[0]]
    assert_array_equal(drawn(display)[0], drawn(expected)[0])


def test_from_estimator_with_soft_targets():
    X, y = make_classification(200, random_state=0)
    model = LogisticRegression().fit(X, np.array(["no", "yes"])[y])
    soft = 0.8 * np.eye(2)[y] + 0.1
    display = ReliabilityDisplay.from_estimator(model, X, soft, **FAST)
    assert display.classes == ["yes"]
    swapped = pd.DataFrame(soft, columns=["no", "yes"])[["yes", "no"]]
    named = ReliabilityDisplay.from_estimator(model, X, swapped, **FAST)
    assert named.decomposition == display.decomposition
    assert display.decomposition == kl_decomposition(soft, model.predict_proba(X), **FAST)


def test_class_that_the_estimator_never_saw():
    X, y = make_classification(300, n_classes=3, n_informative=4, random_state=0)
    model = GaussianNB().fit(X[y > 0], y[y > 0])
    display = draw(ReliabilityDisplay.from_estimator(model, X, y, **FAST))
    assert display.classes == [1, 2, 0]
    assert_array_equal(display.prob_pred[2], [0.0])
    assert_allclose(display.prob_true[2], [np.mean(y == 0)])
    display = draw(ReliabilityDisplay.from_estimator(model, X, y, on_zero="inf", **FAST))
    assert title(display).startswith("KL ∞ = miscalibration ∞ + refinement")


def test_perfect_predictions():
    display = draw(
        ReliabilityDisplay.from_predictions([0, 1] * 20, [[1.0, 0.0], [0.0, 1.0]] * 20, **FAST)
    )
    assert_array_equal(drawn(display)[0], [[0, 0], [1, 1]])
    assert title(display).startswith("KL 0.000 = ")


def test_samples_of_weight_zero_do_not_count():
    _, labels, proba, _ = problem(2)
    weight = np.repeat([1.0, 0.0], 200)
    display = ReliabilityDisplay.from_predictions(labels, proba, sample_weight=weight, **FAST)
    half = ReliabilityDisplay.from_predictions(labels[:200], proba[:200], **FAST)
    assert_allclose(display.prob_true[0], half.prob_true[0])
    assert_allclose(display.standard_errors[0], half.standard_errors[0])
    assert_allclose(display.counts, half.counts)


@pytest.mark.parametrize("scale", [1e-300, 2e299])
def test_the_unit_of_weights(scale):
    _, labels, proba, _ = problem(2)
    plain = ReliabilityDisplay.from_predictions(labels, proba, **FAST)
    weight = np.full(len(labels), scale)
    weight[0] = 5e-324  # next to the others as good as 0
    display = ReliabilityDisplay.from_predictions(labels, proba, sample_weight=weight, **FAST)
    assert_allclose(display.prob_true[0], plain.prob_true[0], atol=0.05)
    assert_allclose(display.standard_errors[0], plain.standard_errors[0], rtol=0.2)
    assert_allclose(display.decomposition.kl, plain.decomposition.kl, rtol=0.05)


def test_title_breaks_where_the_axes_are_narrow():
    parts = KLDecomposition(0.5, 0.2, 0.05, 0.15, 0.3, 0.4, 0.25)
    numbers = [np.array([0.5])] * 3
    display = ReliabilityDisplay(
        *([x] for x in numbers), np.ones((1, 20)), parts, classes=["a"]
    )
    figure, axes = plt.subplots(nrows=2, figsize=(3.0, 4.0))
    display.plot(ax=axes)
    assert title(display).split("\n") == [
        "KL 0.200 = miscalibration 0.050 +",
        "refinement 0.150 nats",
        "entropy of the targets 0.300 nats",
    ]
    figure.canvas.draw()
    for axes_of_title in (display.ax_[0], display.plot().ax_[0]):
        axes_of_title.figure.canvas.draw()
        box = axes_of_title.title.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= axes_of_title.figure.bbox.width


TRUTH, LABELS, PROBA, _ = problem(3, n=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 0}, "n_bins must be"),
        ({"n_bins": 2.5}, "n_bins must be"),
        ({"strategy": "kmeans"}, "strategy must be one of"),
        ({"method": "platt"}, "method must be one of"),
        ({"method": "isotonic"}, "two classes"),
        ({"base": 1}, "base must be"),
        ({"on_zero": "no"}, "on_zero must be"),
        ({"cv": 1}, "cv must be an integer >= 2; got 1"),
        ({"cv": 61}, "There are 60 samples, fewer than the folds of cv"),
        ({"classes_of_interest": [3]}, r"among the classes \[0, 1, 2\]; got \[3\]"),
        ({"classes_of_interest": [1, 1]}, r"must be different ones.*got \[1, 1\]"),
        ({"classes_of_interest": []}, "must be a list"),
        ({"classes_of_interest": "a"}, "must be a list"),
        ({"classes_of_interest": 1}, "must be a list"),
        ({"labels": [0, 1]}, "classes"),
        ({"sample_weight": [1.0]}, "sample_weight"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityDisplay.from_predictions(TRUTH, PROBA, **options)


def test_bad_data():
    with pytest.raises(ValueError, match=r"y_proba\[0\] sums to"):
        ReliabilityDisplay.from_predictions(LABELS, 2 * PROBA)
    with pytest.raises(ValueError, match="single label"):
        ReliabilityDisplay.from_predictions(np.zeros(60, int), PROBA)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReliabilityDisplay.from_predictions(LABELS[:50], PROBA)
    X, y = make_classification(60, random_state=0)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        ReliabilityDisplay.from_estimator(LinearSVC().fit(X, y), X, y)
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReliabilityDisplay.from_estimator(model, X, y[:50])
    with pytest.raises(ValueError, match="loss is infinite"):
        ReliabilityDisplay.from_predictions([0, 1] * 5, [[1.0, 0.0]] * 10, on_zero="raise")


def test_names_of_rows_are_matched():
    _, labels, proba, _ = problem(2)
    rows = [f"r{i}" for i in range(len(labels))]
    y, weight = pd.Series(labels, rows), pd.Series(1.0, rows[::-1])
    with pytest.raises(ValueError, match="rows of y_true and sample_weight have different"):
        ReliabilityDisplay.from_predictions(y, proba, sample_weight=weight, **FAST)
    X = pd.DataFrame(proba, rows)
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match="rows of X and y have different labels"):
        ReliabilityDisplay.from_estimator(model, X, y.iloc[::-1], **FAST)


def test_a_huge_weight_leaves_the_errors_of_other_bins():
    y, proba = [0, 1] * 20, np.repeat([0.2, 0.8], 20)
    weight = [1e300] + [1e-300] * 39
    options = {"method": "isotonic", "strategy": "uniform"}
    display = ReliabilityDisplay.from_predictions(y, proba, sample_weight=weight, **options)
    # One row counts in the first bin, all twenty in the last.
    assert_allclose(display.standard_errors[0], [0.4, 0.4 / np.sqrt(20)])
