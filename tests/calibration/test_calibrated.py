"""SoftCalibratedClassifierCV against its steps done by hand, and against scikit-learn."""

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import (
    ConvergenceWarning,
    NotFittedError,
    UnsetMetadataPassedError,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import d2_kl_score, get_scorer, kl_loss
from sklkl.model_selection import StratifiedSoftKFold

MAPS = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "dirichlet": DirichletScaling,
}
NAMES = np.array(["a", "m", "z"])
SKLEARN_HAS_TEMPERATURE = "temperature" in (CalibratedClassifierCV.__doc__ or "")

each_method = pytest.mark.parametrize("method", MAPS)
each_ensemble = pytest.mark.parametrize("ensemble", [True, False])
each_kind = pytest.mark.parametrize("kind", ["hard", "strings", "soft", "frame"])


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what its ``fit`` was given."""

    def fit(self, X, y, sample_weight=None, group=None):
        self.X_, self.y_, self.sample_weight_, self.group_ = X, y, sample_weight, group
        self.inner_ = GaussianNB().fit(X, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


class ProbaOnly(ClassifierMixin, BaseEstimator):
    """A classifier without ``decision_function``."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y):
        self.inner_ = clone(self.inner).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)

    def predict(self, X):
        return self.inner_.predict(X)


@cache
def data(n_classes=3, n_samples=120):
    """Features, labels, soft targets, weights."""
    rng = np.random.default_rng(n_classes)
    X = rng.normal(size=(n_samples, 4))
    logits = X @ rng.normal(size=(4, n_classes)) + rng.normal(size=(n_samples, n_classes))
    soft = softmax(logits, axis=1)
    arrays = X, soft.argmax(axis=1), soft, rng.uniform(0.2, 3.0, n_samples)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def target_of(kind):
    _, hard, soft, _ = data()
    if kind == "strings":
        return NAMES[hard]
    if kind == "frame":
        # Not in the order of the alphabet.
        return pd.DataFrame(soft, columns=["z", "a", "m"])
    return hard if kind == "hard" else soft


def estimator_of(kind):
    return GaussianNB() if kind in ("hard", "strings") else SoftLabelLogisticRegression(C=10)


def take(y, rows):
    return y.iloc[rows] if hasattr(y, "iloc") else y[rows]


def splitter_of(y, n_splits=5):
    return StratifiedKFold(n_splits) if np.ndim(y) == 1 else StratifiedSoftKFold(n_splits)


def routing():
    return sklearn.config_context(enable_metadata_routing=True)


# -- The same by hand ----------------------------------------------------------


@each_kind
@each_ensemble
@each_method
def test_by_hand(kind, ensemble, method):
    X, _, _, weight = data()
    y, estimator, weighted = target_of(kind), estimator_of(kind), kind in ("strings", "soft")

    def fit(model, rows_of_X, y, rows):
        return model.fit(rows_of_X, y, weight[rows]) if weighted else model.fit(rows_of_X, y)

    model = SoftCalibratedClassifierCV(estimator, method=method, ensemble=ensemble)
    model.fit(X, y, weight if weighted else None)
    assert not hasattr(estimator, "classes_")
    proba = model.predict_proba(X)

    everything = np.arange(len(X))
    probas, tests, parts = [], [], []
    for train, test in splitter_of(y).split(X, y):
        part = fit(clone(estimator), X[train], take(y, train), train)
        q = part.predict_proba(X[test])
        parts.append(q)
        tests.append(test)
        if ensemble:
            scaling = fit(MAPS[method](classes=part.classes_), q, take(y, test), test)
            probas.append(scaling.predict_proba(part.predict_proba(X)))
    if not ensemble:
        tests = np.concatenate(tests)
        scaling = MAPS[method](classes=part.classes_)
        fit(scaling, np.concatenate(parts), take(y, tests), tests)
        whole = fit(clone(estimator), X, y, everything)
        probas = [scaling.predict_proba(whole.predict_proba(X))]
    assert len(model.calibrated_classifiers_) == len(probas)
    assert_allclose(proba, np.mean(probas, axis=0), rtol=1e-9, atol=1e-12)
    assert_array_equal(model.classes_, part.classes_)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    if np.ndim(y) == 1:
        assert model.score(X, y, weight) == pytest.approx(
            accuracy_score(y, model.predict(X), sample_weight=weight)
        )
    else:
        assert model.score(X, y, weight) == pytest.approx(
            d2_kl_score(np.asarray(y), proba, sample_weight=weight)
        )


def test_an_instance_as_method():
    X, hard, _, _ = data()
    method = DirichletScaling(C=3.0, smoothing=0.1)
    model = SoftCalibratedClassifierCV(GaussianNB(), method=method, cv=3).fit(X, hard)
    assert method.classes is None
    assert not hasattr(method, "classes_")
    for pair in model.calibrated_classifiers_:
        assert pair.scaling is not method
        assert (pair.scaling.C, pair.scaling.smoothing_) == (3.0, 0.1)
    default = SoftCalibratedClassifierCV(GaussianNB(), method="dirichlet", cv=3).fit(X, hard)
    assert abs(model.predict_proba(X) - default.predict_proba(X)).max() > 1e-3


@each_ensemble
@pytest.mark.skipif(not SKLEARN_HAS_TEMPERATURE, reason="scikit-learn >= 1.8 has it")
def test_temperature_of_sklearn(ensemble):
    """In its original form, without smoothing."""
    X, _, _, _ = data()
    y = target_of("strings")
    estimator = ProbaOnly(LogisticRegression(C=100.0))
    options = {"cv": 4, "ensemble": ensemble}
    method = TemperatureScaling(smoothing=0.0)
    model = SoftCalibratedClassifierCV(estimator, method=method, **options).fit(X, y)
    other = CalibratedClassifierCV(estimator, method="temperature", **options).fit(X, y)
    assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-4)
    assert_array_equal(model.classes_, other.classes_)


# -- Frozen estimators ---------------------------------------------------------


@each_kind
@each_method
@pytest.mark.parametrize("ensemble", ["auto", True, False])
def test_frozen(kind, method, ensemble):
    X, _, _, weight = data()
    y = target_of(kind)
    fitted = estimator_of(kind).fit(X[:60], take(y, slice(60)))
    model = SoftCalibratedClassifierCV(
        FrozenEstimator(fitted), method=method, ensemble=ensemble
    )
    rest = take(y, slice(60, None))
    model.fit(X[60:], rest, weight[60:])
    scaling = MAPS[method](classes=fitted.classes_)
    scaling.fit(fitted.predict_proba(X[60:]), rest, weight[60:])
    expected = scaling.predict_proba(fitted.predict_proba(X))
    assert_allclose(model.predict_proba(X), expected, rtol=1e-9)
    (pair,) = model.calibrated_classifiers_
    assert pair.estimator.estimator is fitted
    assert_array_equal(model.classes_, fitted.classes_)


def test_frozen_that_knows_more_classes():
    """A small sample to calibrate with may lack a rare class."""
    X, hard, _, _ = data()
    fitted = GaussianNB().fit(X, NAMES[hard])
    some = hard > 0
    model = SoftCalibratedClassifierCV(FrozenEstimator(fitted)).fit(X[some], NAMES[hard[some]])
    assert_array_equal(model.classes_, NAMES)
    assert model.predict_proba(X).shape == (len(X), 3)
    assert accuracy_score(NAMES[hard], model.predict(X)) > 0.5


def test_frozen_that_does_not_know_a_class():
    X, hard, _, _ = data()
    some = hard > 0
    fitted = FrozenEstimator(GaussianNB().fit(X[some], NAMES[hard[some]]))
    with pytest.warns(UserWarning, match=r"frozen estimator learnt from, lacks the classes"):
        model = SoftCalibratedClassifierCV(fitted).fit(X, NAMES[hard])
    proba = model.predict_proba(X)
    assert_array_equal(model.classes_, NAMES)
    assert proba[:, 0].mean() == pytest.approx(np.mean(hard == 0), abs=0.02)
    # Soft targets without names cannot say which column it knows.
    with pytest.raises(ValueError, match=r"3 columns|2 columns"):
        SoftCalibratedClassifierCV(fitted).fit(X, data()[2])


def test_frozen_but_not_fitted():
    X, hard, _, _ = data()
    with pytest.raises(NotFittedError):
        SoftCalibratedClassifierCV(FrozenEstimator(GaussianNB())).fit(X, hard)


# -- Classes -------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@each_method
@each_ensemble
def test_decision_function(n_classes, method, ensemble):
    """The values are logits; that of a binary problem is of the second class."""
    X, hard, _, _ = data(n_classes)
    estimator = LinearSVC()
    model = SoftCalibratedClassifierCV(estimator, method=method, cv=3, ensemble=ensemble)
    model.fit(X, NAMES[hard])
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), n_classes)
    assert_allclose(proba.sum(axis=1), 1.0)
    assert accuracy_score(NAMES[hard], model.predict(X)) > 0.5
    for pair in model.calibrated_classifiers_:
        assert pair.scaling.from_logits
    if method == "temperature":
        (train, test), *_ = StratifiedKFold(3).split(X, hard)
        if not ensemble:
            parts = [
                (part, clone(estimator).fit(X[rest], hard[rest]).decision_function(X[part]))
                for rest, part in StratifiedKFold(3).split(X, hard)
            ]
            test = np.concatenate([part for part, _ in parts])
            logits = np.concatenate([values for _, values in parts])
        else:
            logits = clone(estimator).fit(X[train], hard[train]).decision_function(X[test])
        if n_classes == 2:
            logits = np.column_stack([np.zeros(len(logits)), logits])
        scaling = TemperatureScaling(from_logits=True).fit(logits, hard[test])
        found = model.calibrated_classifiers_[0].scaling
        assert found.temperature_ == pytest.approx(scaling.temperature_, rel=1e-4)


@each_method
@each_ensemble
def test_a_fold_that_lacks_a_class(method, ensemble):
    """The only row of "a": the model that never saw it gives it its share, and it is said."""
    X, hard, _, _ = data()
    y = NAMES[np.maximum(hard, 1)]
    y[0] = "a"
    model = SoftCalibratedClassifierCV(
        GaussianNB(), method=method, cv=KFold(3), ensemble=ensemble
    )
    with pytest.warns(UserWarning, match=r"lacks the classes \['a'\]") as found:
        model.fit(X, y)
    assert found[0].filename == __file__
    proba = model.predict_proba(X)
    assert_array_equal(model.classes_, NAMES)
    assert_allclose(proba.sum(axis=1), 1.0)
    if method != "temperature":
        error = np.sqrt(1 / len(X)) / np.sqrt(len(X))
        assert proba[:, 0].mean() == pytest.approx(1 / len(X), abs=1.5 * error)
    # By decision_function no one knows what of the class that is lacking.
    with pytest.raises(ValueError, match=r"training fold lacks the classes \['a'\]"):
        SoftCalibratedClassifierCV(LinearSVC(), cv=KFold(3)).fit(X, y)


@each_ensemble
def test_columns_stay_in_place_if_a_fold_lacks_a_class(ensemble):
    """The first training set never saw "a": what is learnt is of the others all the same."""
    X, hard, _, _ = data(n_samples=400)
    rest = np.flatnonzero(hard > 0)
    split = [(rest[::2], np.setdiff1d(np.arange(len(X)), rest[::2]))]
    if not ensemble:
        split.append((np.arange(len(X)), rest[::2]))
    model = SoftCalibratedClassifierCV(GaussianNB(), cv=split, ensemble=ensemble)
    with pytest.warns(UserWarning, match=r"lacks the classes \['a'\]"):
        model.fit(X, NAMES[hard])
    of_rest = model.predict_proba(X[rest])
    assert accuracy_score(NAMES[hard[rest]], NAMES[1 + of_rest[:, 1:].argmax(axis=1)]) > 0.7


def test_classes_of_the_estimator():
    """Soft targets without names have those of the estimator; labels may be fewer."""
    X, hard, soft, _ = data()
    named = SoftLabelLogisticRegression(classes=["z", "a", "m"])
    for model in (
        SoftCalibratedClassifierCV(named),
        SoftCalibratedClassifierCV(named, ensemble=False),
    ):
        model.fit(X, soft)
        assert_array_equal(model.classes_, ["z", "a", "m"])
        plain = clone(model).set_params(estimator=SoftLabelLogisticRegression()).fit(X, soft)
        assert_allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    some = hard < 2
    labels = np.array(["z", "a"])[hard[some]]
    model = SoftCalibratedClassifierCV(named, method="dirichlet").fit(X[some], labels)
    assert_array_equal(model.classes_, ["a", "m", "z"])
    assert np.isfinite(model.predict_proba(X)).all()
    assert accuracy_score(labels, model.predict(X[some])) > 0.7


def test_columns_of_a_frame_in_another_order_than_the_classes():
    X, _, soft, _ = data()
    named = SoftLabelLogisticRegression(classes=["z", "a", "m"])
    frame = pd.DataFrame(soft, columns=["z", "a", "m"])
    cv = KFold(5)  # stratified folds depend on the order of columns
    expected = SoftCalibratedClassifierCV(named, cv=cv).fit(X, soft).predict_proba(X)
    model = SoftCalibratedClassifierCV(named, cv=cv).fit(X, frame[["m", "a", "z"]])
    proba = pd.DataFrame(model.predict_proba(X), columns=model.classes_)
    assert_allclose(proba[["z", "a", "m"]], expected, atol=1e-6)


# -- Splitters, weights, metadata ----------------------------------------------


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_cv(kind):
    X, y = data()[0], target_of(kind)
    estimator = estimator_of(kind)

    def proba(cv, **options):
        return (
            SoftCalibratedClassifierCV(estimator, cv=cv, **options).fit(X, y).predict_proba(X)
        )

    default = proba(None)
    assert_array_equal(default, proba(5))
    assert_array_equal(default, proba(splitter_of(y)))
    assert_array_equal(default, proba(list(splitter_of(y).split(X, y))))
    assert_array_equal(default, proba(splitter_of(y).split(X, y)))
    assert abs(default - proba(3)).max() > 1e-6
    shuffle = ShuffleSplit(3, random_state=0)
    assert np.isfinite(proba(shuffle)).all()
    message = "Every sample must be in exactly one test set"
    with pytest.raises(ValueError, match=message):
        proba(shuffle, ensemble=False)
    twice = [*KFold(3).split(X), *KFold(3).split(X)]
    with pytest.raises(ValueError, match=message):
        proba(twice, ensemble=False)
    for bad in (1, "five", 0):
        with pytest.raises((ValueError, TypeError)):
            proba(bad)


@each_ensemble
def test_groups(ensemble):
    X, hard, _, _ = data()
    groups = np.arange(len(X)) % 6
    for cv in (GroupKFold(3), LeaveOneGroupOut(), StratifiedSoftKFold(3)):
        with routing():
            model = SoftCalibratedClassifierCV(GaussianNB(), cv=cv, ensemble=ensemble)
            model.fit(X, hard, groups=groups)
        splits = list(cv.split(X, hard, groups=groups))
        expected = SoftCalibratedClassifierCV(GaussianNB(), cv=splits, ensemble=ensemble)
        assert_allclose(
            model.predict_proba(X), expected.fit(X, hard).predict_proba(X), rtol=1e-9
        )


def test_routing_of_weights():
    X, hard, _, weight = data()
    expected = SoftCalibratedClassifierCV(GaussianNB()).fit(X, hard, weight).predict_proba(X)
    with routing():
        asked = GaussianNB().set_fit_request(sample_weight=True)
        model = SoftCalibratedClassifierCV(asked).fit(X, hard, sample_weight=weight)
        assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            SoftCalibratedClassifierCV(GaussianNB()).fit(X, hard, sample_weight=weight)
        # Not asked for: the weights enter the calibration alone.
        without = SoftCalibratedClassifierCV(GaussianNB().set_fit_request(sample_weight=False))
        without.fit(X, hard, sample_weight=weight)
        for pair in without.calibrated_classifiers_:
            assert_array_equal(pair.estimator.class_count_ % 1.0, 0.0)
        # Through a search, whose own requests are those of the whole.
        model = SoftCalibratedClassifierCV(asked, cv=3)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        grid = {"method": ["temperature", "vector"]}
        search = GridSearchCV(model, grid, cv=3).fit(X, hard, sample_weight=weight)
        best = clone(search.best_estimator_).fit(X, hard, sample_weight=weight)
        assert_allclose(search.predict_proba(X), best.predict_proba(X), rtol=1e-12)
        # Nothing to route.
        assert np.isfinite(
            SoftCalibratedClassifierCV(asked).fit(X, hard).predict_proba(X)
        ).all()


@each_ensemble
def test_what_the_estimator_is_given(ensemble):
    X, hard, _, weight = data()
    group = np.arange(len(X))
    model = SoftCalibratedClassifierCV(Recorder(), cv=3, ensemble=ensemble)
    model.fit(X, hard, weight, group=group)
    for pair in model.calibrated_classifiers_:
        rows = pair.estimator.group_
        assert len(rows) == (len(X) * 2 // 3 if ensemble else len(X))
        assert_array_equal(pair.estimator.X_, X[rows])
        assert_array_equal(pair.estimator.y_, hard[rows])
        assert_array_equal(pair.estimator.sample_weight_, weight[rows])


def test_an_estimator_that_takes_no_weights():
    X, hard, _, weight = data()
    knn = KNeighborsClassifier(15)
    model = SoftCalibratedClassifierCV(knn, method="vector", cv=3)
    with pytest.warns(
        UserWarning, match="KNeighborsClassifier takes no sample_weight"
    ) as found:
        model.fit(X, hard, weight)
    assert found[0].filename == __file__
    for pair, (train, test) in zip(
        model.calibrated_classifiers_, StratifiedKFold(3).split(X, hard), strict=True
    ):
        q = clone(knn).fit(X[train], hard[train]).predict_proba(X[test])
        expected = VectorScaling().fit(q, hard[test], weight[test])
        assert_allclose(pair.scaling.coef_, expected.coef_, rtol=1e-9)


@each_ensemble
def test_weights_are_repetitions_of_what_is_frozen(ensemble):
    X, hard, _, _ = data()
    times = np.random.default_rng(0).integers(0, 3, len(X))
    frozen = FrozenEstimator(GaussianNB().fit(X, hard))
    model = SoftCalibratedClassifierCV(frozen, method="dirichlet", ensemble=ensemble)
    weighted = model.fit(X, hard, times).predict_proba(X)
    repeated = model.fit(X.repeat(times, axis=0), hard.repeat(times)).predict_proba(X)
    assert_allclose(weighted, repeated, atol=1e-6)


def test_bad_weights():
    X, hard, _, weight = data()
    model = SoftCalibratedClassifierCV(GaussianNB())
    for bad in (-weight, weight[1:], np.nan * weight):
        with pytest.raises(ValueError, match=r"weight|NaN|Negative"):
            model.fit(X, hard, bad)


# -- Company -------------------------------------------------------------------


def test_jobs():
    X, hard, _, weight = data()
    model = SoftCalibratedClassifierCV(GaussianNB(), cv=2)
    expected = model.fit(X, hard, weight).predict_proba(X)
    with parallel_config("threading"):  # processes take seconds to start
        proba = model.set_params(n_jobs=2).fit(X, hard, weight).predict_proba(X)
    assert_array_equal(proba, expected)


@pytest.mark.parametrize("kind", ["hard", "soft"])
@each_ensemble
def test_sparse(kind, ensemble):
    X, y = data()[0], target_of(kind)
    model = SoftCalibratedClassifierCV(
        SoftLabelLogisticRegression(tol=1e-9), ensemble=ensemble
    )
    expected = model.fit(X, y).predict_proba(X)
    for sparse in (csr_array(X), coo_array(X)):
        assert_allclose(model.fit(sparse, y).predict_proba(csr_array(X)), expected, atol=1e-6)
    frozen = FrozenEstimator(SoftLabelLogisticRegression().fit(X, y))
    model = SoftCalibratedClassifierCV(frozen).fit(csr_array(X), y)
    assert np.isfinite(model.predict_proba(csr_array(X))).all()


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_pipelines(kind):
    X, y = data()[0], target_of(kind)
    X = 100.0 * X + 5.0
    inner = SoftCalibratedClassifierCV(make_pipeline(StandardScaler(), estimator_of(kind)))
    inner.fit(X, y)
    outer = make_pipeline(StandardScaler(), SoftCalibratedClassifierCV(estimator_of(kind)))
    outer.fit(X, y)
    assert_allclose(inner.predict_proba(X), outer.predict_proba(X), atol=0.05)
    assert inner.n_features_in_ == 4
    assert outer.score(X, y) > 0.2


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_search(kind):
    X, y = data()[0], target_of(kind)
    model = SoftCalibratedClassifierCV(SoftLabelLogisticRegression(), cv=2)
    grid = {"method": ["temperature", VectorScaling(C=0.1)], "estimator__C": [0.01, 1.0]}
    cv = splitter_of(y, 2)
    scoring = get_scorer("neg_kl_loss")
    search = GridSearchCV(model, grid, cv=cv, scoring=scoring).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = clone(model).set_params(**search.best_params_)
    score = cross_val_score(best, X, y, cv=cv, scoring=scoring).mean()
    assert search.best_score_ == pytest.approx(score)
    assert search.predict_proba(X).shape == (len(X), 3)
    # The map's own parameters are within reach, too.
    model.set_params(method=DirichletScaling())
    search = GridSearchCV(model, {"method__C": [1e-3, 1.0]}, cv=cv, scoring=scoring).fit(X, y)
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0


@each_method
def test_clone_and_pickle(method):
    X, hard, _, _ = data()
    model = SoftCalibratedClassifierCV(GaussianNB(), method=method, cv=3, n_jobs=1).fit(
        X, hard
    )
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    again = clone(model)
    assert not hasattr(again, "classes_")
    with pytest.raises(NotFittedError):
        again.predict_proba(X)
    with pytest.raises(NotFittedError):
        again.predict(X)
    assert_array_equal(again.fit(X, hard).predict_proba(X), model.predict_proba(X))


def test_features():
    X, hard, _, _ = data()
    frame = pd.DataFrame(X, columns=list("pqrs"))
    model = SoftCalibratedClassifierCV(GaussianNB()).fit(frame, hard)
    assert_array_equal(model.feature_names_in_, list("pqrs"))
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names"):
        model.predict_proba(frame[list("qprs")])
    with pytest.raises(ValueError, match="3 features"):
        SoftCalibratedClassifierCV(GaussianNB()).fit(X, hard).predict_proba(X[:, :3])
    model.fit(X, hard)
    assert not hasattr(model, "feature_names_in_")
    model.set_params(estimator=FrozenEstimator(GaussianNB().fit(frame, hard))).fit(frame, hard)
    assert_array_equal(model.feature_names_in_, list("pqrs"))


def test_lists_and_other_arrays():
    X, hard, soft, weight = data()
    expected = SoftCalibratedClassifierCV(GaussianNB()).fit(X, hard, weight).predict_proba(X)
    arrays = X.tolist(), np.asfortranarray(X), X[::-1].copy()[::-1]
    for as_X, y in zip(arrays, (hard.tolist(), pd.Series(hard), hard * 1.0), strict=True):
        model = SoftCalibratedClassifierCV(GaussianNB()).fit(as_X, y, weight.tolist())
        assert_allclose(model.predict_proba(as_X), expected, rtol=1e-6)
    estimator = SoftLabelLogisticRegression(tol=1e-9)
    expected = SoftCalibratedClassifierCV(estimator).fit(X, soft).predict_proba(X)
    model = SoftCalibratedClassifierCV(estimator).fit(X, soft.tolist())
    assert_allclose(model.predict_proba(X), expected, atol=1e-9)
    estimator.set_params(tol=1e-4)
    single = SoftCalibratedClassifierCV(estimator).fit(X.astype(np.float32), soft.astype("f4"))
    assert_allclose(single.predict_proba(X.astype(np.float32)), expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_calibrating_a_distilled_classifier(kind):
    X, y = data()[0], target_of(kind)
    teacher = GaussianNB() if kind == "hard" else SoftLabelLogisticRegression()
    model = SoftCalibratedClassifierCV(DistilledClassifier(teacher, temperature=3.0), cv=3)
    model.fit(X, y)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert model.score(X, y) > 0.3
    # And the other way round.
    student = DistilledClassifier(SoftCalibratedClassifierCV(teacher, cv=3)).fit(X, y)
    assert student.score(X, y) > 0.3


def test_calibration_of_a_tree():
    """Certain in every leaf, and often wrong."""
    X, hard, soft, _ = data(n_samples=400)
    tree = DecisionTreeClassifier(random_state=0)
    model = SoftCalibratedClassifierCV(tree).fit(X[:200], hard[:200])
    plain = clone(tree).fit(X[:200], hard[:200])
    before = kl_loss(soft[200:], plain.predict_proba(X[200:]))
    assert kl_loss(soft[200:], model.predict_proba(X[200:])) < 0.2 * before
    assert model.score(X[200:], hard[200:]) > 0.5


# -- What is refused -----------------------------------------------------------


@pytest.mark.parametrize("method", ["sigmoid", None, 1, TemperatureScaling, GaussianNB()])
def test_bad_method(method):
    X, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^method must be one of \('temperature', 'vector'"):
        SoftCalibratedClassifierCV(GaussianNB(), method=method).fit(X, hard)


@pytest.mark.parametrize("ensemble", ["yes", None, 1])
def test_bad_ensemble(ensemble):
    X, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^ensemble must be 'auto' or True or False"):
        SoftCalibratedClassifierCV(GaussianNB(), ensemble=ensemble).fit(X, hard)


@pytest.mark.parametrize("ensemble", [np.True_, np.False_])
def test_what_counts_as_true(ensemble):
    """A search over an array sets bools of NumPy."""
    X, hard, _, _ = data()
    model = SoftCalibratedClassifierCV(GaussianNB(), ensemble=ensemble).fit(X, hard)
    assert len(model.calibrated_classifiers_) == (5 if ensemble else 1)


def test_bad_n_jobs():
    X, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^n_jobs must be None or an integer other than 0"):
        SoftCalibratedClassifierCV(GaussianNB(), n_jobs=0).fit(X, hard)


def test_bad_estimator():
    X, hard, _, _ = data()

    class Mute(ClassifierMixin, BaseEstimator):
        pass

    with pytest.raises(
        TypeError, match="Mute has neither predict_proba nor decision_function"
    ):
        SoftCalibratedClassifierCV(Mute()).fit(X, hard)
    # A decision_function will do.
    SoftCalibratedClassifierCV(Perceptron()).fit(X, hard)


def test_bad_target():
    X, hard, soft, _ = data()
    model = SoftCalibratedClassifierCV(SoftLabelLogisticRegression())
    with pytest.raises(ValueError, match=r"y holds only 1 class, 0; at least two"):
        model.fit(X, np.zeros(len(X), int))
    with pytest.raises(ValueError, match="Unknown label type"):
        model.fit(X, soft[:, 0])
    with pytest.raises(ValueError, match="matrix of integers"):
        model.fit(X, np.eye(3, dtype=int)[hard])
    with pytest.raises(ValueError, match=r"y\[0\].*sum"):
        model.fit(X, 2.0 * soft)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, hard[1:])
    with pytest.raises(ValueError, match="y"):
        model.fit(X, None)
    with pytest.raises(ValueError, match=r"^C must be"):
        model.set_params(method=VectorScaling(C=0)).fit(X, hard)


def test_predictions_that_are_no_probabilities():
    X, hard, _, _ = data()

    class Loud(GaussianNB):
        def predict_proba(self, X):
            return 2.0 * super().predict_proba(X)

    with pytest.raises(ValueError, match=r"X\[0\].*sum"):
        SoftCalibratedClassifierCV(Loud()).fit(X, hard)


# -- Class frequencies ---------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-300, None, 2e299])
def test_a_model_with_class_weights(scale):
    """By default class frequencies are calibrated, whatever the unit of the weights."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [3940, 60])
    X = rng.normal(size=(4000, 3)) + y[:, np.newaxis]
    estimator = LogisticRegression(class_weight="balanced")
    weight = None if scale is None else np.full(4000, scale)
    if scale is not None:
        estimator = FrozenEstimator(estimator.fit(X, y))
    model = SoftCalibratedClassifierCV(estimator).fit(X, y, weight)
    assert estimator.fit(X, y).predict_proba(X)[:, 1].mean() > 0.1
    half_error = 0.5 * np.sqrt(0.015 * 0.985 / 4000)
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(0.015, abs=half_error)


# -- Acceptance ----------------------------------------------------------------

FITS = {}


class Remembering(ClassifierMixin, BaseEstimator):
    """An estimator that is fitted once to the same data: every method shares the fits."""

    def __init__(self, inner, name):
        self.inner, self.name = inner, name

    def fit(self, X, y):
        key = self.name, X.tobytes(), np.asarray(y).tobytes()
        if key not in FITS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                FITS[key] = clone(self.inner).fit(X, y)
        self.inner_ = FITS[key]
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


MODELS = {
    "bayes": GaussianNB(var_smoothing=1e-3),
    "forest": RandomForestClassifier(50, random_state=0),
    "network": MLPClassifier((50,), alpha=0, max_iter=100, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_acceptance(name):
    """The best map is no worse than the best that scikit-learn has."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    X, y = X[order] / 16.0, y[order]
    if name == "network":
        y = np.where(rng.random(len(y)) < 0.2, rng.integers(10, size=len(y)), y)
    estimator = Remembering(MODELS[name], name)
    options = {"cv": 5, "ensemble": True}

    def loss(wrapper, method):
        model = wrapper(estimator, method=method, **options).fit(X[:900], y[:900])
        return log_loss(y[900:], model.predict_proba(X[900:]))

    theirs = ["sigmoid", "isotonic"] + ["temperature"] * SKLEARN_HAS_TEMPERATURE
    with threadpool_limits(1, user_api="blas"):
        ours = {method: loss(SoftCalibratedClassifierCV, method) for method in MAPS}
        peers = {method: loss(CalibratedClassifierCV, method) for method in theirs}
    FITS.clear()
    assert min(ours.values()) <= min(peers.values()) + 1e-3


def test_decision_values_of_pairs_are_refused():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.repeat([0, 1, 2], 20)
    with pytest.raises(ValueError, match="compares pairs of classes"):
        SoftCalibratedClassifierCV(SVC(decision_function_shape="ovo"), cv=2).fit(X, y)


@pytest.mark.parametrize("ensemble", [True, False])
def test_estimator_that_refuses_soft_targets_is_named(ensemble):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.dirichlet(np.ones(3), size=40)
    model = SoftCalibratedClassifierCV(LogisticRegression(), cv=2, ensemble=ensemble)
    with pytest.raises(ValueError, match=r"(?s)LogisticRegression\.fit refused.*Frozen"):
        model.fit(X, y)


@pytest.mark.parametrize("argument", ["y", "sample_weight"])
def test_names_of_rows_are_matched(argument):
    rows = [f"r{i}" for i in range(20)]
    X = pd.DataFrame(np.arange(20.0)[:, np.newaxis], rows)
    given = {"y": pd.Series([0, 1] * 10, rows), "sample_weight": pd.Series(1.0, rows)}
    given[argument] = given[argument].iloc[::-1]
    with pytest.raises(ValueError, match=f"rows of X and {argument} have different labels"):
        SoftCalibratedClassifierCV(LogisticRegression()).fit(X, **given)
