"""Tests of TemperatureDisplay against cross_validate."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklkl.distillation import DistilledClassifier
from sklkl.inspection import TemperatureDisplay
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import get_scorer, kl_loss, make_divergence_scorer
from sklkl.model_selection import StratifiedSoftKFold

X, CODES = make_classification(
    120, 6, n_informative=4, n_classes=3, n_clusters_per_class=1, random_state=0
)
NAMES = np.array(["ant", "bee", "cow"])[CODES]
SOFT = 0.7 * np.eye(3)[CODES] + 0.1
MODEL = DistilledClassifier(GaussianNB())
SOFT_MODEL = DistilledClassifier(SoftLabelLogisticRegression())
TEMPERATURES = (1, 4)
FITS = []


class Counted(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        FITS.append(len(X))
        return super().fit(X, y, sample_weight)


def draw(display):
    display.figure_.canvas.draw()
    return display


@pytest.mark.parametrize("y", [CODES, NAMES], ids=["codes", "names"])
@pytest.mark.parametrize("base", [None, 2])
def test_labels_agree_with_cross_validate(y, base):
    display = draw(
        TemperatureDisplay.from_estimator(MODEL, X, y, temperatures=TEMPERATURES, base=base)
    )
    scoring = {"kl": make_divergence_scorer("kl_loss", base=base), "accuracy": "accuracy"}
    assert display.kl.shape == display.accuracy.shape == (2, 5)
    for i, t in enumerate(TEMPERATURES):
        model = DistilledClassifier(GaussianNB(), temperature=t)
        expected = cross_validate(model, X, y, cv=5, scoring=scoring)
        assert_allclose(display.kl[i], -expected["test_kl"])
        assert_allclose(display.accuracy[i], expected["test_accuracy"])
    assert display.best_temperature_ == TEMPERATURES[display.kl.mean(axis=1).argmin()]


@pytest.mark.parametrize("as_frame", [False, True])
def test_soft_targets(as_frame):
    y = pd.DataFrame(SOFT, columns=list("abc")) if as_frame else SOFT
    display = draw(TemperatureDisplay.from_estimator(SOFT_MODEL, X, y, temperatures=[2], cv=3))
    splits = list(StratifiedSoftKFold(3).split(X, SOFT))
    for i, (train, test) in enumerate(splits):
        model = DistilledClassifier(SoftLabelLogisticRegression(), temperature=2.0)
        proba = model.fit(X[train], SOFT[train]).predict_proba(X[test])
        assert_allclose(display.kl[0, i], kl_loss(SOFT[test], proba))
        expected = SOFT[test][np.arange(len(test)), proba.argmax(axis=1)].mean()
        assert_allclose(display.accuracy[0, i], expected)


def test_column_of_labels_is_taken_as_labels():
    from_vector = TemperatureDisplay.from_estimator(MODEL, X, CODES, temperatures=[1], cv=3)
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        display = TemperatureDisplay.from_estimator(
            MODEL, X, CODES[:, np.newaxis], temperatures=[1], cv=3
        )
    assert_allclose(display.kl, from_vector.kl)


def test_what_is_drawn():
    kl = np.array([[0.5, 0.7], [0.3, 0.5], [0.6, 0.6]])
    accuracy = 1 - kl
    display = draw(TemperatureDisplay(np.array([0.5, 1.0, 8.0]), kl, accuracy, base=2).plot())
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
        ax = display.ax_[i]
        assert ax.get_xscale() == "log"
        assert ax.get_xticks().tolist() == [0.5, 1, 8]
    labels = [t.get_text() for t in display.ax_[1].get_xticklabels()]
    assert labels == ["0.5", "1", "8"]
    assert display.ax_[0].get_title() == "least KL 0.400 bits at temperature 1"
    assert display.ax_[0].get_ylabel() == "KL in bits"
    assert display.ax_[1].get_ylabel() == "accuracy"
    assert display.ax_[1].get_xlabel() == "temperature"


@pytest.mark.parametrize(
    ("temperatures", "ticks"),
    [
        (np.arange(1, 10), [f"{t}" for t in range(1, 10)]),
        (np.arange(1, 11), ["1", "2", "4", "8"]),
        (np.linspace(1.1, 1.9, 10), ["1.1", "1.9"]),
        ([3], ["3"]),
    ],
)
def test_ticks(temperatures, ticks):
    scores = np.random.default_rng(0).uniform(size=(2, len(temperatures), 3))
    display = draw(TemperatureDisplay(np.asarray(temperatures, float), *scores).plot())
    assert [t.get_text() for t in display.ax_[1].get_xticklabels()] == ticks
    low, high = display.ax_[1].get_xlim()
    assert low < temperatures[0]
    assert temperatures[-1] < high


def test_temperatures_are_sorted():
    displays = [
        TemperatureDisplay.from_estimator(MODEL, X, CODES, temperatures=t, cv=2)
        for t in ([1, 4], (4, 1))
    ]
    for display in displays:
        assert_array_equal(display.temperatures, [1.0, 4.0])
    assert_allclose(displays[0].kl, displays[1].kl)


def test_pipeline():
    pipeline = make_pipeline(StandardScaler(), MODEL)
    name = "distilledclassifier__temperature"
    display = draw(
        TemperatureDisplay.from_estimator(
            pipeline, X, NAMES, temperatures=TEMPERATURES, param_name=name, cv=3
        )
    )
    for i, t in enumerate(TEMPERATURES):
        model = make_pipeline(
            StandardScaler(), DistilledClassifier(GaussianNB(), temperature=t)
        )
        scores = cross_validate(model, X, NAMES, cv=3, scoring=get_scorer("neg_kl_loss"))
        assert_allclose(display.kl[i], -scores["test_score"])
    assert display.ax_[1].get_xlabel() == "temperature"
    assert pipeline[-1].temperature == 1.0  # the given one is not touched


def test_all_temperatures_share_random_folds():
    displays = [
        TemperatureDisplay.from_estimator(
            LogisticRegression(),
            X,
            CODES,
            temperatures=[1e8, 2e8],
            param_name="C",
            cv=ShuffleSplit(2, random_state=np.random.RandomState(0)),
        )
        for _ in range(2)
    ]
    # Without a penalty worth the name both fits are alike, on the same folds.
    assert_allclose(displays[0].accuracy[0], displays[0].accuracy[1])
    assert_allclose(displays[0].kl, displays[1].kl)


def test_iterator_of_folds_of_labelled_samples():
    y = CODES.copy()
    y[80:] = -1
    model = DistilledClassifier(GaussianNB(), unlabeled=-1)
    labelled, others = np.arange(80), np.arange(80, 120)
    splits = [
        (np.concatenate([labelled[train], others]), labelled[test])
        for train, test in StratifiedKFold(4).split(X[:80], y[:80])
    ]
    display = TemperatureDisplay.from_estimator(
        model, X, y, temperatures=TEMPERATURES, cv=iter(splits)
    )
    train, test = splits[1]
    fitted = DistilledClassifier(GaussianNB(), unlabeled=-1, temperature=4.0)
    fitted.fit(X[train], y[train])
    expected = kl_loss(y[test], fitted.predict_proba(X[test]))
    assert_allclose(display.kl[1, 1], expected)
    with pytest.raises(ValueError, match="labelled samples only"):
        TemperatureDisplay.from_estimator(model, X, y)
    pipeline, name = make_pipeline(model), "distilledclassifier__temperature"
    with pytest.raises(ValueError, match="labelled samples only"):
        TemperatureDisplay.from_estimator(pipeline, X, y, param_name=name)
    in_pipeline = TemperatureDisplay.from_estimator(
        pipeline, X, y, temperatures=TEMPERATURES, param_name=name, cv=splits
    )
    assert_allclose(in_pipeline.kl, display.kl)


def test_missing_labels_as_nan():
    y = CODES.astype(float)
    y[80:] = np.nan
    model = DistilledClassifier(GaussianNB(), unlabeled=np.nan)
    splits = [(np.r_[20:120], np.r_[:20]), (np.r_[:20, 40:120], np.r_[20:40])]
    display = TemperatureDisplay.from_estimator(model, X, y, temperatures=[1], cv=splits)
    assert np.isfinite(display.kl).all()


def test_groups_and_teacher_proba_in_params():
    groups = np.arange(120) % 4
    proba = GaussianNB().fit(X, CODES).predict_proba(X)
    display = TemperatureDisplay.from_estimator(
        DistilledClassifier(None),
        X,
        CODES,
        temperatures=[2],
        cv=GroupKFold(4),
        params={"groups": groups, "teacher_proba": proba},
    )
    for i, (train, test) in enumerate(GroupKFold(4).split(X, CODES, groups)):
        model = DistilledClassifier(None, temperature=2.0)
        model.fit(X[train], CODES[train], teacher_proba=proba[train])
        assert_allclose(display.kl[0, i], kl_loss(CODES[test], model.predict_proba(X[test])))


def test_routed_weights_count_in_fits_and_scores():
    weight = np.random.default_rng(0).uniform(size=120)
    with sklearn.config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            GaussianNB().set_fit_request(sample_weight=True),
            SoftLabelLogisticRegression().set_fit_request(sample_weight=True),
        )
        display = TemperatureDisplay.from_estimator(
            model, X, CODES, temperatures=[2], cv=3, params={"sample_weight": weight}
        )
        train, test = next(StratifiedKFold(3).split(X, CODES))
        model.set_params(temperature=2.0)
        model.fit(X[train], CODES[train], sample_weight=weight[train])
        proba = model.predict_proba(X[test])
        hit = proba.argmax(axis=1) == CODES[test]
        assert_allclose(
            display.kl[0, 0], kl_loss(CODES[test], proba, sample_weight=weight[test])
        )
        assert_allclose(display.accuracy[0, 0], np.average(hit, weights=weight[test]))
        # Groups go to the splitter that asks for them.
        display = TemperatureDisplay.from_estimator(
            model, X, CODES, cv=GroupKFold(4), params={"groups": np.arange(120) % 4}
        )
        assert display.kl.shape == (5, 4)


def test_processes_give_the_same():
    one, two = (
        TemperatureDisplay.from_estimator(
            MODEL, X, CODES, temperatures=TEMPERATURES, cv=2, n_jobs=n
        )
        for n in (1, 2)
    )
    assert_array_equal(one.kl, two.kl)


def test_memory_keeps_teachers(tmp_path):
    FITS.clear()
    model = DistilledClassifier(Counted(), memory=str(tmp_path))
    TemperatureDisplay.from_estimator(model, X, CODES, cv=3)
    assert len(FITS) == 3


@pytest.mark.parametrize(
    "temperatures", ["auto", [], [0, 1], [-1], [np.inf], [np.nan], 2, [[1, 2]], None]
)
def test_bad_temperatures(temperatures):
    with pytest.raises(ValueError, match="temperatures must be positive numbers"):
        TemperatureDisplay.from_estimator(MODEL, X, CODES, temperatures=temperatures)


def test_scores_of_other_temperatures():
    with pytest.raises(ValueError, match="accuracy must have a row for each of the 2 temp"):
        TemperatureDisplay([1, 2], np.ones((2, 3)), np.ones((3, 2)))


def test_bad_arguments():
    with pytest.raises(ValueError, match="temperatures names one twice"):
        TemperatureDisplay.from_estimator(MODEL, X, CODES, temperatures=[1, 1.0])
    pipeline = make_pipeline(MODEL)
    with pytest.raises(ValueError, match=r"param_name='temperature' .*'distilledclassifier__"):
        TemperatureDisplay.from_estimator(pipeline, X, CODES)
    with pytest.raises(ValueError, match="base must be"):
        TemperatureDisplay.from_estimator(MODEL, X, CODES, base=0)
    with pytest.raises(ValueError, match="cv must be None or an integer >= 2"):
        TemperatureDisplay.from_estimator(MODEL, X, CODES, cv=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples: X has"):
        TemperatureDisplay.from_estimator(MODEL, X, CODES[:-1])
    with pytest.raises(TypeError, match="no predict_proba"):
        TemperatureDisplay.from_estimator(LinearSVC(), X, CODES, param_name="C")
