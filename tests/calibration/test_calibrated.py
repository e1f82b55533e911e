"""SoftCalibratedClassifierCV against its steps done by hand, and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import get_scorer
from sklkl.model_selection import StratifiedSoftKFold
from tests._support.messages import matches
from tests._support.models import Altered, Recorder, routing
from tests._support.problems import make_problem

MAPS = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "dirichlet": DirichletScaling,
}
NAMES = np.array(["a", "m", "z"])
SKLEARN_HAS_TEMPERATURE = "temperature" in (CalibratedClassifierCV.__doc__ or "")
X, HARD, SOFT, WEIGHT, GROUPS = make_problem(n_samples=120)
LOGISTIC = SoftLabelLogisticRegression(C=10)
NAMED = SoftLabelLogisticRegression(classes=["z", "a", "m"])

each_ensemble = pytest.mark.parametrize("ensemble", [True, False])


TARGETS = {
    "hard": HARD,
    "strings": NAMES[HARD],
    "soft": SOFT,
    "frame": pd.DataFrame(SOFT, columns=["z", "a", "m"]),  # in another order than sorted
}


def estimator_of(kind):
    return GaussianNB() if kind in ("hard", "strings") else LOGISTIC


def take(y, rows):
    return y.iloc[rows] if hasattr(y, "iloc") else y[rows]


@pytest.mark.parametrize(
    ("kind", "method", "ensemble", "weighted"),
    [
        ("hard", "temperature", True, True),
        ("strings", "dirichlet", False, False),
        ("strings", "vector", "auto", False),
        ("soft", "vector", False, True),
        ("soft", "dirichlet", np.True_, False),
        ("frame", "dirichlet", True, True),
        ("frame", "temperature", np.False_, False),
    ],
)
def test_by_hand(kind, method, ensemble, weighted):
    y, estimator = TARGETS[kind], estimator_of(kind)

    def fit(model, rows_of_X, y, rows):
        return model.fit(rows_of_X, y, WEIGHT[rows]) if weighted else model.fit(rows_of_X, y)

    model = SoftCalibratedClassifierCV(estimator, method=method, cv=3, ensemble=ensemble)
    model.fit(X, y, WEIGHT if weighted else None)
    assert not hasattr(estimator, "classes_")

    probas, tests, parts = [], [], []
    cv = StratifiedKFold(3) if np.ndim(y) == 1 else StratifiedSoftKFold(3)
    for train, test in cv.split(X, y):
        part = fit(clone(estimator), X[train], take(y, train), train)
        q = part.predict_proba(X[test])
        parts.append(q)
        tests.append(test)
        scaling = fit(MAPS[method](classes=part.classes_), q, take(y, test), test)
        probas.append(scaling.predict_proba(part.predict_proba(X)))
    if not ensemble:
        tests = np.concatenate(tests)
        scaling = MAPS[method](classes=part.classes_)
        fit(scaling, np.concatenate(parts), take(y, tests), tests)
        whole = fit(clone(estimator), X, y, np.arange(len(X)))
        probas = [scaling.predict_proba(whole.predict_proba(X))]
    assert len(model.calibrated_classifiers_) == len(probas)
    assert_array_equal(model.classes_, part.classes_)
    expected = np.mean(probas, axis=0)
    assert_allclose(model.predict_proba(X), expected, rtol=1e-9, atol=1e-12)
    assert_array_equal(model.predict(X), part.classes_[expected.argmax(axis=1)])


def test_an_instance_as_method():
    method = DirichletScaling(C=3.0, smoothing=0.1)
    model = SoftCalibratedClassifierCV(GaussianNB(), method=method, cv=3).fit(X, HARD)
    assert method.classes is None
    assert not hasattr(method, "classes_")
    scalings = [pair.scaling for pair in model.calibrated_classifiers_]
    assert len({id(scaling) for scaling in [method, *scalings]}) == 4
    assert all((s.C, s.smoothing_) == (3.0, 0.1) for s in scalings)


@pytest.mark.parametrize(("n_classes", "ensemble"), [(2, True), (3, False)])
def test_decision_function(n_classes, ensemble):
    """The values are logits; that of a binary problem is of the second class."""
    X, hard, _, _, _ = make_problem(n_classes, 120)
    estimator, cv = LinearSVC(), StratifiedKFold(3)
    method = TemperatureScaling(smoothing=0.0)
    model = SoftCalibratedClassifierCV(estimator, method=method, cv=cv, ensemble=ensemble)
    model.fit(X, NAMES[hard])
    splits = list(cv.split(X, hard))
    logits = [
        clone(estimator).fit(X[train], hard[train]).decision_function(X[test])
        for train, test in splits
    ]
    tests = [test for _, test in splits]
    logits, test = (a[0] if ensemble else np.concatenate(a) for a in (logits, tests))
    if n_classes == 2:
        logits = np.column_stack([np.zeros(len(logits)), logits])
    scaling = TemperatureScaling(smoothing=0.0, from_logits=True).fit(logits, hard[test])
    found = model.calibrated_classifiers_[0].scaling
    assert found.temperature_ == pytest.approx(scaling.temperature_, rel=1e-6)
    assert accuracy_score(NAMES[hard], model.predict(X)) > 0.5


@pytest.mark.parametrize(
    ("kind", "method", "ensemble"),
    [("strings", "vector", "auto"), ("frame", "dirichlet", False), ("soft", "vector", True)],
)
def test_frozen(kind, method, ensemble):
    y = TARGETS[kind]
    fitted = estimator_of(kind).fit(X[:60], take(y, slice(60)))
    frozen = FrozenEstimator(fitted)
    model = SoftCalibratedClassifierCV(frozen, method=method, ensemble=ensemble)
    rest = take(y, slice(60, None))
    model.fit(X[60:], rest, WEIGHT[60:])
    scaling = MAPS[method](classes=fitted.classes_)
    scaling.fit(fitted.predict_proba(X[60:]), rest, WEIGHT[60:])
    expected = scaling.predict_proba(fitted.predict_proba(X))
    assert_allclose(model.predict_proba(X), expected, rtol=1e-9)
    (pair,) = model.calibrated_classifiers_
    assert pair.estimator.estimator is fitted
    assert_array_equal(model.classes_, fitted.classes_)


@pytest.mark.filterwarnings("ignore:A training fold")
def test_frozen_that_does_not_know_a_class():
    """It has its share in y, with weights."""
    y, some, times = NAMES[HARD], HARD > 0, np.where(HARD == 0, 5, 1)
    fitted = FrozenEstimator(GaussianNB().fit(X[some], y[some]))
    model = SoftCalibratedClassifierCV(fitted, method="temperature")
    weighted = model.fit(X, y, times).predict_proba(X)
    repeated = model.fit(X.repeat(times, axis=0), y.repeat(times)).predict_proba(X)
    assert_allclose(weighted, repeated, atol=1e-6)
    with pytest.warns(UserWarning, match=r"frozen estimator learnt from, lacks the classes"):
        share = model.set_params(method="vector").fit(X, y).predict_proba(X)[:, 0].mean()
    assert_array_equal(model.classes_, NAMES)
    assert share == pytest.approx(np.mean(HARD == 0), abs=0.02)
    # Soft targets without names cannot say which column it knows.
    with pytest.raises(ValueError, match=r"3 columns|2 columns"):
        model.fit(X, SOFT)


@pytest.mark.parametrize(("method", "ensemble"), [("vector", True), ("dirichlet", False)])
def test_a_fold_that_lacks_a_class(method, ensemble):
    """The only row of "a": the model that never saw it gives it its share, and it is said."""
    y = NAMES[np.maximum(HARD, 1)]
    y[0] = "a"
    options = {"method": method, "cv": KFold(3), "ensemble": ensemble}
    model = SoftCalibratedClassifierCV(GaussianNB(), **options)
    with pytest.warns(UserWarning, match=r"lacks the classes \['a'\]"):
        model.fit(X, y)
    proba = model.predict_proba(X)
    assert_array_equal(model.classes_, NAMES)
    assert_allclose(proba.sum(axis=1), 1.0)
    error = np.sqrt(1 / len(X)) / np.sqrt(len(X))
    assert proba[:, 0].mean() == pytest.approx(1 / len(X), abs=1.5 * error)
    # By decision_function no one knows what of the class that is lacking.
    with pytest.raises(ValueError, match=r"training fold lacks the classes \['a'\]"):
        model.set_params(estimator=LinearSVC()).fit(X, y)


@each_ensemble
def test_columns_stay_in_place_if_a_fold_lacks_a_class(ensemble):
    """The first training set never saw "a": what is learnt is of the others all the same."""
    X, hard, _, _, _ = make_problem(n_samples=400)
    rest = np.flatnonzero(hard > 0)
    split = [(rest[::2], np.setdiff1d(np.arange(len(X)), rest[::2]))]
    if not ensemble:
        split.append((np.arange(len(X)), rest[::2]))
    model = SoftCalibratedClassifierCV(GaussianNB(), cv=split, ensemble=ensemble)
    with pytest.warns(UserWarning, match=r"lacks the classes \['a'\]"):
        model.fit(X, NAMES[hard])
    of_rest = model.predict_proba(X[rest])
    assert accuracy_score(NAMES[hard[rest]], NAMES[1 + of_rest[:, 1:].argmax(axis=1)]) > 0.7


@each_ensemble
def test_soft_targets_have_the_classes_of_the_estimator(ensemble):
    model = SoftCalibratedClassifierCV(NAMED, cv=KFold(3), ensemble=ensemble).fit(X, SOFT)
    assert_array_equal(model.classes_, ["z", "a", "m"])
    expected = model.predict_proba(X)
    plain = clone(model).set_params(estimator=SoftLabelLogisticRegression()).fit(X, SOFT)
    assert_allclose(plain.predict_proba(X), expected, rtol=1e-9)
    frame = TARGETS["frame"][["m", "a", "z"]]
    proba = pd.DataFrame(model.fit(X, frame).predict_proba(X), columns=model.classes_)
    assert_allclose(proba[["z", "a", "m"]], expected, atol=1e-6)


def test_labels_may_be_fewer_than_the_classes_of_the_estimator():
    some = HARD < 2
    labels = np.array(["z", "a"])[HARD[some]]
    model = SoftCalibratedClassifierCV(NAMED, method="dirichlet", cv=3).fit(X[some], labels)
    assert_array_equal(model.classes_, ["a", "m", "z"])
    assert np.isfinite(model.predict_proba(X)).all()
    assert accuracy_score(labels, model.predict(X[some])) > 0.7


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_cv(kind):
    y = TARGETS[kind]
    model = SoftCalibratedClassifierCV(
        estimator_of(kind), method=VectorScaling(smoothing=0.01)
    )

    def proba(cv, **options):
        return clone(model).set_params(cv=cv, **options).fit(X, y).predict_proba(X)

    splitter = StratifiedKFold(5) if kind == "hard" else StratifiedSoftKFold(5)
    default = proba(None)
    assert_array_equal(default, proba(splitter))
    assert_array_equal(default, proba(splitter.split(X, y)))
    shuffle = ShuffleSplit(3, random_state=0)
    assert np.isfinite(proba(shuffle)).all()
    for cv in (shuffle, [*KFold(3).split(X), *KFold(3).split(X)]):
        with pytest.raises(ValueError, match="Every sample must be in exactly one test set"):
            proba(cv, ensemble=False)


@each_ensemble
def test_groups(ensemble):
    for cv in (GroupKFold(3), StratifiedSoftKFold(3)):
        model = SoftCalibratedClassifierCV(GaussianNB(), cv=cv, ensemble=ensemble)
        with routing():
            found = model.fit(X, HARD, groups=GROUPS).predict_proba(X)
        model.set_params(cv=list(cv.split(X, HARD, groups=GROUPS)))
        assert_allclose(found, model.fit(X, HARD).predict_proba(X), rtol=1e-9)


def test_routing_of_weights():
    with routing():
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            SoftCalibratedClassifierCV(GaussianNB()).fit(X, HARD, sample_weight=WEIGHT)
        # Not asked for: the weights enter the calibration alone.
        deaf = GaussianNB().set_fit_request(sample_weight=False)
        model = SoftCalibratedClassifierCV(deaf, cv=2).fit(X, HARD, sample_weight=WEIGHT)
        for pair in model.calibrated_classifiers_:
            assert_array_equal(pair.estimator.class_count_ % 1.0, 0.0)


@each_ensemble
def test_what_the_estimator_is_given(ensemble):
    model = SoftCalibratedClassifierCV(Recorder(), cv=3, ensemble=ensemble)
    model.fit(X, HARD, WEIGHT, group=np.arange(len(X)))
    for pair in model.calibrated_classifiers_:
        rows = pair.estimator.group_
        assert len(rows) == (len(X) * 2 // 3 if ensemble else len(X))
        assert_array_equal(pair.estimator.X_, X[rows])
        assert_array_equal(pair.estimator.y_, HARD[rows])
        assert_array_equal(pair.estimator.sample_weight_, WEIGHT[rows])


def test_an_estimator_that_takes_no_weights():
    knn = KNeighborsClassifier(15)
    model = SoftCalibratedClassifierCV(knn, method="temperature", cv=3)
    with pytest.warns(UserWarning, match="KNeighborsClassifier takes no sample_weight"):
        model.fit(X, HARD, WEIGHT)
    splits = StratifiedKFold(3).split(X, HARD)
    for pair, (train, test) in zip(model.calibrated_classifiers_, splits, strict=True):
        q = clone(knn).fit(X[train], HARD[train]).predict_proba(X[test])
        expected = TemperatureScaling().fit(q, HARD[test], WEIGHT[test]).temperature_
        assert pair.scaling.temperature_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("kind", "ensemble"), [("hard", True), ("soft", False)])
def test_sparse(kind, ensemble):
    y = TARGETS[kind]
    estimator, method = SoftLabelLogisticRegression(tol=1e-9), TemperatureScaling()
    model = SoftCalibratedClassifierCV(estimator, method=method, cv=3, ensemble=ensemble)
    expected = model.fit(X, y).predict_proba(X)
    found = model.fit(coo_array(X), y).predict_proba(csr_array(X))
    assert_allclose(found, expected, atol=1e-6)


def test_search_over_a_pipeline():
    """The parameters of the map and of the estimator are within reach."""
    estimator = make_pipeline(StandardScaler(), GaussianNB())
    model = SoftCalibratedClassifierCV(
        estimator, method=DirichletScaling(smoothing=0.01), cv=2
    )
    grid = {"method__C": [1e-3, 1.0], "estimator__gaussiannb__var_smoothing": [1e-9, 0.1]}
    scoring = get_scorer("neg_kl_loss")
    search = GridSearchCV(model, grid, cv=2, scoring=scoring).fit(100.0 * X + 5.0, HARD)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_estimator_.n_features_in_ == 4


@pytest.mark.parametrize("scale", [1e-300, None, 2e299])
def test_a_model_with_class_weights(scale):
    """By default class frequencies are calibrated, whatever the unit of the weights."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [3940, 60])
    X = rng.normal(size=(4000, 3)) + y[:, np.newaxis]
    estimator = LogisticRegression(class_weight="balanced").fit(X, y)
    assert estimator.predict_proba(X)[:, 1].mean() > 0.1
    weight = None if scale is None else np.full(4000, scale)
    model = SoftCalibratedClassifierCV(
        FrozenEstimator(estimator) if scale else estimator, cv=3
    )
    half_error = 0.5 * np.sqrt(0.015 * 0.985 / 4000)
    share = model.fit(X, y, weight).predict_proba(X)[:, 1].mean()
    assert share == pytest.approx(0.015, abs=half_error)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(GaussianNB(var_smoothing=1e-3), id="bayes"),
        pytest.param(
            RandomForestClassifier(50, random_state=0), id="forest", marks=pytest.mark.slow
        ),
    ],
)
def test_the_best_map_is_no_worse_than_the_best_of_scikit_learn(model):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order] / 16.0, y[order]
    fitted = [clone(model).fit(X[:400], y[:400]), clone(model).fit(X[400:800], y[400:800])]

    def loss(wrapper, method):
        parts = [slice(400, 800), slice(400)]
        probas = [
            wrapper(FrozenEstimator(f), method=method).fit(X[p], y[p]).predict_proba(X[800:])
            for f, p in zip(fitted, parts, strict=True)
        ]
        return log_loss(y[800:], np.mean(probas, axis=0))

    theirs = ["sigmoid", "isotonic"] + ["temperature"] * SKLEARN_HAS_TEMPERATURE
    ours = min(loss(SoftCalibratedClassifierCV, method) for method in MAPS)
    assert ours <= min(loss(CalibratedClassifierCV, method) for method in theirs) + 1e-3


# What is refused


class Mute(ClassifierMixin, BaseEstimator):
    """A classifier that says nothing."""


PAIRS = SVC(decision_function_shape="ovo")


@pytest.mark.parametrize(
    ("estimator", "options", "y", "error", "parts"),
    [
        (
            GaussianNB(),
            {"method": method},
            HARD,
            ValueError,
            ["method must be one of ('temper"],
        )
        for method in ("sigmoid", None, TemperatureScaling, GaussianNB())
    ]
    + [
        (GaussianNB(), {"ensemble": 1}, HARD, ValueError, ["ensemble must be 'auto' or True"]),
        (GaussianNB(), {"n_jobs": 0}, HARD, ValueError, ["n_jobs must be None or an integer"]),
        (GaussianNB(), {"cv": "five"}, HARD, ValueError, ["cv must be an integer >= 2"]),
        (GaussianNB(), {"method": VectorScaling(C=0)}, HARD, ValueError, ["C must be"]),
        (
            Mute(),
            {},
            HARD,
            TypeError,
            ["Mute has neither predict_proba nor decision_function"],
        ),
        (FrozenEstimator(GaussianNB()), {}, HARD, NotFittedError, ["not fitted"]),
        (Altered(change=lambda p: 2.0 * p), {}, HARD, ValueError, ["X[0] sums to 2"]),
        (PAIRS, {}, HARD, ValueError, ["SVC compares pairs of classes", "'ovr'"]),
        (make_pipeline(PAIRS), {}, HARD, ValueError, ["compares pairs of classes"]),
        (GaussianNB(), {}, np.zeros(120), ValueError, ["y holds only 1 class, 0", "two"]),
        (
            GaussianNB(),
            {},
            SOFT,
            ValueError,
            ["GaussianNB.fit refused soft targets", "Frozen"],
        ),
    ],
)
@each_ensemble
def test_bad_input(estimator, options, y, error, parts, ensemble):
    model = SoftCalibratedClassifierCV(estimator, **{"ensemble": ensemble, **options})
    with pytest.raises(error, match=matches(*parts)):
        model.fit(X, y)
