"""TemperatureDisplay against cross_validate."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sklkl.distillation import DistilledClassifier
from sklkl.inspection import TemperatureDisplay
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import kl_loss, make_divergence_scorer
from sklkl.model_selection import StratifiedSoftKFold
from tests._support.messages import matches
from tests._support.models import routing
from tests._support.pictures import draw, ticks
from tests._support.problems import make_problem

PROBLEM = make_problem(n_samples=120)
X, CODES, SOFT = PROBLEM.X, PROBLEM.hard, PROBLEM.soft
MODEL = DistilledClassifier(GaussianNB())
IN_PIPELINE = "distilledclassifier__temperature"
from_estimator = TemperatureDisplay.from_estimator


@pytest.mark.parametrize("base", [None, 2])
def test_labels_agree_with_cross_validate(base):
    y = np.array(["ant", "bee", "cow"])[CODES]
    display = from_estimator(MODEL, X, y, temperatures=(4, 1), base=base, cv=3)
    assert_array_equal(display.temperatures, [1.0, 4.0])
    scoring = {"kl": make_divergence_scorer("kl_loss", base=base), "accuracy": "accuracy"}
    for i, t in enumerate((1, 4)):
        model = DistilledClassifier(GaussianNB(), temperature=t)
        expected = cross_validate(model, X, y, cv=3, scoring=scoring)
        assert_allclose(display.kl[i], -expected["test_kl"])
        assert_allclose(display.accuracy[i], expected["test_accuracy"])
    options = {"base": base, "cv": 3, "param_name": IN_PIPELINE}
    in_pipeline = from_estimator(make_pipeline(MODEL), X, y, temperatures=[1, 4], **options)
    assert_allclose(in_pipeline.kl, display.kl)
    assert in_pipeline.ax_[1].get_xlabel() == "temperature"
    assert MODEL.temperature == 1.0  # the given one is not touched


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame, lambda y: y[:, :1].round()])
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_folds_and_accuracy_of_soft_targets(wrap):
    """The accuracy is that expected of labels drawn from the targets."""
    y = wrap(SOFT)
    soft = y.shape[1] > 1
    model = DistilledClassifier(SoftLabelLogisticRegression(), temperature=2.0)
    display = from_estimator(model, X, y, temperatures=[2], cv=3)
    y = np.asarray(y) if soft else np.ravel(y)
    folds = StratifiedSoftKFold(3) if soft else StratifiedKFold(3)
    for i, (train, test) in enumerate(folds.split(X, y)):
        proba = model.fit(X[train], y[train]).predict_proba(X[test])
        assert_allclose(display.kl[0, i], kl_loss(y[test], proba))
        target = y[test] if soft else np.eye(2)[y[test].astype(int)]
        hit = target[np.arange(len(test)), proba.argmax(axis=1)]
        assert_allclose(display.accuracy[0, i], hit.mean())


def test_what_is_drawn():
    kl = np.array([[0.5, 0.7], [0.3, 0.5], [0.2, 1.0]])
    accuracy = 1 - kl
    display = draw(TemperatureDisplay(np.array([0.5, 1.0, 8.0]), kl, accuracy, base=2).plot())
    assert display.best_temperature_ == 1.0
    for i, scores in enumerate((kl, accuracy)):
        mean, spread = scores.mean(axis=1), scores.std(axis=1)
        assert_array_equal(display.lines_[i].get_xdata(), [0.5, 1, 8])
        assert_allclose(display.lines_[i].get_ydata(), mean)
        assert_array_equal(display.folds_[i].get_xdata(), [0.5, 0.5, 1, 1, 8, 8])
        assert_allclose(display.folds_[i].get_ydata(), scores.ravel())
        (path,) = display.bands_[i].get_paths()
        corners = {tuple(v) for v in path.vertices.round(12).tolist()}
        expected = np.concatenate([mean - spread, mean + spread]).round(12)
        assert set(zip([0.5, 1.0, 8.0] * 2, expected.tolist(), strict=True)) <= corners
        assert display.best_[i].get_xdata() == [1, 1]
        assert display.ax_[i].get_xscale() == "log"
    of_kl, of_accuracy = display.ax_
    title = "least KL 0.400 bits at temperature 1\nnot told apart by the folds: 8"
    assert of_kl.get_title() == title
    assert display.as_good_ == [8.0]
    assert_array_equal(display.hollow_[0].get_xydata(), [[8.0, kl[2].mean()]])
    assert of_kl.get_ylabel() == "KL in bits"
    assert of_accuracy.get_ylabel() == "accuracy"


def test_as_good_by_a_corrected_paired_test():
    """Of folds that differ much, and alike at all temperatures, the differences decide."""
    fold = 0.5 * np.random.default_rng(0).random(5)
    spread = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) / np.sqrt(0.625)
    # Without the correction, the first difference would be one.
    worse = 0.01 * (spread + np.array([[3.4], [6.0]]) / np.sqrt(5))
    kl = fold + np.vstack([np.zeros(5), worse])
    display = TemperatureDisplay([1.0, 2.0, 4.0], kl, 1 - kl).plot()
    for t, difference in zip([2.0, 4.0], worse, strict=True):
        test = ttest_1samp(difference, 0.0)
        assert test.pvalue < 0.05
        corrected = 2 * student_t(4).sf(test.statistic / np.sqrt(1 + 5 / 4))
        assert (t in display.as_good_) == (corrected >= 0.05)
    assert display.as_good_.tolist() == [2.0]
    # Equal ones are as good.
    kl[1] = kl[0]
    assert TemperatureDisplay([1.0, 2.0, 4.0], kl, kl).plot().as_good_.tolist() == [2.0]
    alone = TemperatureDisplay([1.0, 2.0, 4.0], kl[:, 1:2], kl[:, 1:2]).plot()
    assert alone.as_good_.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("kl", "words"),
    [
        ([0.1, 0.2, 0.3], "temperature 1, the lowest tried"),
        ([0.2, 0.1, 0.3], "temperature 2"),
        ([0.3, 0.2, 0.1], "temperature 4, the highest tried"),
        ([0.1], "temperature 1"),
    ],
)
def test_a_best_temperature_at_the_edge_is_said(kl, words):
    scores = np.repeat(np.transpose([kl]), 3, axis=1)
    display = TemperatureDisplay(2.0 ** np.arange(len(kl)), scores, scores).plot()
    assert display.ax_[0].get_title() == f"least KL 0.100 nats at {words}"
    many = np.arange(1.0, 7.0), *np.ones((2, 6, 3))
    assert TemperatureDisplay(*many).plot().ax_[0].get_title().endswith("5 others, hollow")


@pytest.mark.parametrize(
    ("temperatures", "expected"),
    [
        ([0.5, 1, 8], ["0.5", "1", "8"]),
        (np.arange(1, 11), ["1", "2", "4", "8"]),
        (np.linspace(1.1, 1.9, 10), ["1.1", "1.9"]),
        ([3], ["3"]),
    ],
)
def test_ticks(temperatures, expected):
    scores = np.full((2, len(temperatures), 3), 0.5)
    ax = TemperatureDisplay(np.asarray(temperatures, float), *scores).plot().ax_[1]
    assert ticks(ax.xaxis) == expected
    low, high = ax.get_xlim()
    assert low < temperatures[0] <= temperatures[-1] < high


@pytest.mark.parametrize("marker", [-1, np.nan])
def test_folds_of_labelled_samples(marker):
    y = CODES.astype(float)
    y[80:] = marker
    model = DistilledClassifier(GaussianNB(), unlabeled=marker, temperature=4.0)
    others = np.arange(80, 120)
    splits = [
        (np.concatenate([train, others]), test)
        for train, test in StratifiedKFold(2).split(X[:80], y[:80])
    ]
    display = from_estimator(model, X, y, temperatures=[1, 4], cv=iter(splits))
    train, test = splits[1]
    proba = model.fit(X[train], y[train]).predict_proba(X[test])
    assert_allclose(display.kl[1, 1], kl_loss(y[test], proba))
    options = {"param_name": IN_PIPELINE}
    for estimator, named in ((model, {}), (make_pipeline(model), options)):
        with pytest.raises(ValueError, match="labelled samples only"):
            from_estimator(estimator, X, y, **named)


def test_groups_and_teacher_proba_in_params():
    params = {"groups": np.arange(120) % 3, "teacher_proba": SOFT}
    model = DistilledClassifier(None, temperature=2.0)
    display = from_estimator(
        model, X, CODES, temperatures=[2], cv=GroupKFold(3), params=params
    )
    for i, (train, test) in enumerate(GroupKFold(3).split(X, CODES, params["groups"])):
        model.fit(X[train], CODES[train], teacher_proba=SOFT[train])
        assert_allclose(display.kl[0, i], kl_loss(CODES[test], model.predict_proba(X[test])))


def test_routed_weights_count_in_fits_and_scores():
    with routing():
        model = DistilledClassifier(
            GaussianNB().set_fit_request(sample_weight=True),
            SoftLabelLogisticRegression().set_fit_request(sample_weight=True),
            temperature=2.0,
        )
        params = {"sample_weight": PROBLEM.weight, "groups": PROBLEM.groups}
        cv = GroupKFold(3)
        display = from_estimator(model, X, CODES, temperatures=[2], cv=cv, params=params)
        train, test = next(cv.split(X, CODES, PROBLEM.groups))
        weight = PROBLEM.weight[test]
        model.fit(X[train], CODES[train], sample_weight=PROBLEM.weight[train])
        proba = model.predict_proba(X[test])
        hit = proba.argmax(axis=1) == CODES[test]
        assert_allclose(display.kl[0, 0], kl_loss(CODES[test], proba, sample_weight=weight))
        assert_allclose(display.accuracy[0, 0], np.average(hit, weights=weight))


@pytest.mark.slow
def test_processes_give_the_same():
    one, two = (
        from_estimator(MODEL, X, CODES, temperatures=[1, 4], cv=2, n_jobs=n) for n in (1, 2)
    )
    assert_array_equal(one.kl, two.kl)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        *[
            ({"temperatures": t}, ["temperatures must be positive numbers"])
            for t in ("auto", [], [0, 1], [np.inf], [np.nan], 2, [[1, 2]], [1 + 0j])
        ],
        ({"temperatures": [1, 1.0]}, ["temperatures names one twice"]),
        ({"estimator": make_pipeline(MODEL)}, ["param_name='temperature' ", IN_PIPELINE]),
        ({"base": 0}, ["base must be"]),
        ({"cv": 1}, ["cv must be None or an integer >= 2"]),
        ({"y": CODES[:-1]}, ["inconsistent numbers of samples: X has"]),
        ({"params": []}, ["params must be"]),
        ({"n_jobs": "all"}, ["n_jobs must be"]),
        ({"param_name": 2}, ["param_name must be"]),
        ({"estimator": LinearSVC(), "param_name": "C"}, ["no predict_proba"]),
    ],
)
def test_bad_arguments(options, parts):
    with pytest.raises((TypeError, ValueError), match=matches(*parts)):
        from_estimator(**{"estimator": MODEL, "X": X, "y": CODES, **options})


def test_scores_that_are_unknown_are_refused():
    with pytest.raises(ValueError, match="kl holds NaN in row 1"):
        TemperatureDisplay([1.0, 2.0], [[0.1, 0.2], [0.3, np.nan]], np.ones((2, 2)))


def test_scores_of_other_temperatures():
    with pytest.raises(ValueError, match="accuracy must have a row for each of the 2 temp"):
        TemperatureDisplay([1, 2], np.ones((2, 3)), np.ones((3, 2)))
