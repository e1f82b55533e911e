"""What every estimator promises: weights, soft and hard targets, names, refusals, threads.

Whatever a package exports is in ``ESTIMATORS``; the last test says so.
"""

import importlib
import inspect
import pickle
import pkgutil
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

import sklkl
from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.distillation import DeferringClassifier, DistilledClassifier, PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import d2_kl_score
from tests._support.messages import matches
from tests._support.models import routing
from tests._support.problems import make_problem, random_rows

NAMES = np.array(["ant", "bee", "cat"])
PROBLEM = make_problem(classes=tuple(NAMES), n_samples=60)
X, HARD, SOFT, GROUPS = PROBLEM.X, PROBLEM.hard, PROBLEM.soft, PROBLEM.groups
SAID = 0.6 * SOFT + 0.4 * random_rows(len(SOFT), 3)  # what maps of probabilities get
ONE_HOT = np.eye(3)[np.searchsorted(NAMES, HARD)]
COUNTS = np.random.default_rng(0).integers(0, 4, len(X))
ROWS = [f"r{i}" for i in range(len(X))]


class FoldsOfRows:
    """Two folds that depend on what a row is, not on where it stands."""

    def split(self, X, y=None, groups=None):
        values = X.to_numpy() if hasattr(X, "to_numpy") else X
        fold = np.floor(1000.0 * np.abs(values[:, 0])) % 2
        for test in range(2):
            yield np.flatnonzero(fold != test), np.flatnonzero(fold == test)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


CV = FoldsOfRows()
LOGISTIC = SoftLabelLogisticRegression(tol=1e-9)
STRONG = SoftLabelLogisticRegression(C=0.1, tol=1e-9)
ESTIMATORS = {
    "logistic": LOGISTIC,
    "proximal": SoftLabelLogisticRegression(l1_ratio=0.5, tol=1e-9),
    "logistic_cv": SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=CV, tol=1e-9),
    "logistic_cv_mean": SoftLabelLogisticRegressionCV(
        Cs=[0.1, 1.0], cv=CV, refit=False, tol=1e-9
    ),
    "distilled": DistilledClassifier(LOGISTIC, STRONG, hard_label_weight=0.5, temperature=2.0),
    "distilled_sklearn": DistilledClassifier(LOGISTIC, GaussianNB()),
    "pooled": PooledClassifier([LOGISTIC, STRONG]),
    "pooled_learned": PooledClassifier(
        [LOGISTIC, STRONG], pooling="geometric", weights="learned", cv=CV
    ),
    # All is answered, by the student, however often a row counts.
    "deferring": DeferringClassifier(
        LOGISTIC, STRONG, agreement=0.5, confidence_level=0.5, cv=CV
    ),
    "calibrated": SoftCalibratedClassifierCV(
        STRONG, method=VectorScaling(smoothing=0.01), cv=CV
    ),
    "calibrated_one": SoftCalibratedClassifierCV(
        STRONG, method=TemperatureScaling(smoothing=0.0), cv=CV, ensemble=False
    ),
    "temperature": TemperatureScaling(),
    "vector": VectorScaling(),
    "dirichlet": DirichletScaling(smoothing=0.01),
}
MAPS = (TemperatureScaling, VectorScaling, DirichletScaling)

each = pytest.mark.parametrize("name", ESTIMATORS)
each_with_folds = pytest.mark.parametrize(
    "name", [name for name, e in ESTIMATORS.items() if hasattr(e, "n_jobs")]
)


# As in scikit-learn, this class scores by what it maximised.
each_with_own_score = pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if not name.startswith("logistic_cv")]
)


def is_map(name):
    return isinstance(ESTIMATORS[name], MAPS)


def samples(name, rows=slice(None)):
    """Return what an estimator of the table takes for X."""
    return (SAID if is_map(name) else X)[rows]


def frame(name, **options):
    """Return the same, with names of the columns."""
    columns = NAMES if is_map(name) else [f"x{j}" for j in range(X.shape[1])]
    return pd.DataFrame(samples(name), columns=columns, **options)


def fit(name, X, y, **arguments):
    return clone(ESTIMATORS[name]).fit(X, y, **arguments)


@cache
def fitted(name, kind="hard"):
    return fit(name, samples(name), PROBLEM.target(kind))


def assert_same(first, second, name, X=None):
    """Compare predictions, columns by the names of classes."""
    X = samples(name) if X is None else X
    order = [second.classes_.tolist().index(c) for c in first.classes_.tolist()]
    assert_allclose(
        first.predict_proba(X), second.predict_proba(X)[:, order], rtol=1e-5, atol=1e-7
    )


# Weights


@each
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_weights_are_numbers_of_rows(name, kind):
    """A weight of 2 is a row twice, one of 0 none; also in the score."""
    y = PROBLEM.target(kind)
    rows = np.repeat(np.arange(len(X)), COUNTS)
    weighted = fit(name, samples(name), y, sample_weight=COUNTS)
    repeated = fit(name, samples(name, rows), y[rows])
    assert_same(weighted, repeated, name)
    assert weighted.score(samples(name), y, sample_weight=COUNTS) == pytest.approx(
        weighted.score(samples(name, rows), y[rows]), rel=1e-12
    )


@each
def test_a_number_weighs_every_row(name):
    number = fit(name, samples(name), SOFT, sample_weight=2.0)
    assert_same(number, fit(name, samples(name), SOFT, sample_weight=[2] * len(X)), name)


@each
def test_bad_weights_are_refused(name):
    bad = np.ones(len(X))
    bad[3] = -1.0
    with pytest.raises(ValueError, match=r"[Nn]egative values.*sample_weight.*row 3"):
        fit(name, samples(name), HARD, sample_weight=bad)
    for y in (HARD, SOFT):
        model = fitted(name, "hard" if y is HARD else "soft")
        with pytest.raises(ValueError, match=r"[Nn]egative values.*sample_weight.*row 3"):
            model.score(samples(name), y, sample_weight=bad)


def requesting(estimator):
    """Return an estimator that asks for weights, as do those inside of it."""
    estimator = clone(estimator)
    # A pool in a list has no parameters of its own before it is asked by name.
    for inner in [estimator, *estimator.get_params(deep=True).values()]:
        if isinstance(inner, BaseEstimator) and hasattr(inner, "set_fit_request"):
            if "sample_weight" in inspect.signature(inner.set_fit_request).parameters:
                inner.set_fit_request(sample_weight=True)
            inner.set_score_request(sample_weight=True)
    return estimator


@each
def test_weights_are_routed(name):
    expected = fit(name, samples(name), SOFT, sample_weight=COUNTS)
    score = expected.score(samples(name), SOFT, sample_weight=COUNTS)
    with routing():
        pipeline = Pipeline([("model", requesting(ESTIMATORS[name]))])
        pipeline.fit(samples(name), SOFT, sample_weight=COUNTS)
        routed = pipeline.score(samples(name), SOFT, sample_weight=COUNTS)
    assert_same(pipeline, expected, name)
    assert routed == pytest.approx(score, rel=1e-6)


# Targets


@each
def test_one_hot_rows_are_labels(name):
    labels = fitted(name)
    assert_array_equal(labels.classes_, NAMES)
    y = pd.DataFrame(ONE_HOT, columns=NAMES)
    assert_same(labels, fit(name, samples(name), y), name)
    numbered = fit(name, samples(name), ONE_HOT)
    assert_array_equal(numbered.classes_, [0, 1, 2])
    assert_allclose(
        numbered.predict_proba(samples(name)),
        labels.predict_proba(samples(name)),
        rtol=1e-5,
        atol=1e-7,
    )


@each
def test_columns_of_a_frame_are_classes_in_any_order(name):
    y = pd.DataFrame(SOFT, columns=NAMES)
    # The columns of an array of probabilities would be in the order of those of y.
    given = frame(name) if is_map(name) else X
    first, second = fit(name, given, y), fit(name, given, y[NAMES[[2, 0, 1]]])
    assert_array_equal(first.classes_, NAMES)
    assert_same(first, second, name, given)
    unnamed = fitted(name, "soft")
    assert_allclose(first.predict_proba(given), unnamed.predict_proba(samples(name)), 1e-5)
    scores = [first.score(given, y) for y in (SOFT, pd.DataFrame(SOFT), y, y[NAMES[::-1]])]
    assert scores == pytest.approx([scores[0]] * 4, rel=1e-13)


@each_with_own_score
def test_score_of_soft_targets_is_d2(name):
    model, given = fitted(name, "soft"), samples(name)
    expected = d2_kl_score(SOFT, model.predict_proba(given))
    assert model.score(given, SOFT) == pytest.approx(expected, rel=1e-13)


@each
def test_predictions_agree(name):
    model, given = fitted(name), samples(name)
    proba = model.predict_proba(given)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(model.predict(given), NAMES[proba.argmax(axis=1)])


@each_with_own_score
def test_score_of_labels_is_accuracy(name):
    """Weighted, whatever the size of the weights."""
    model, given = fitted(name), samples(name)
    hit = model.predict(given) == HARD
    score = model.score(given, HARD, sample_weight=1e299 * PROBLEM.weight)
    assert score == pytest.approx(np.average(hit, weights=PROBLEM.weight), rel=1e-13)
    assert model.score(given, HARD) == accuracy_score(HARD, model.predict(given))


ONE_BAD_ROW = SOFT.copy()
ONE_BAD_ROW[4] = [0.5, 0.5, 0.5]
BAD_TARGETS = {
    "None": (None, ["requires y to be passed", "y is None"]),
    "row": (ONE_BAD_ROW, ["y[4] sums to 1.5"]),
    "probability": (SOFT[:, 1], ["y holds probabilities", "np.column_stack"]),
    "ranks": (ONE_HOT.astype(int), ["y is a matrix of integers", "soft_cross_val_predict"]),
    "one class": (HARD[HARD == "ant"].repeat(60)[:60], ["class", "'ant'"]),
    "length": (HARD[:-1], ["onsistent numbers of samples", "59"]),
    "missing": (HARD.astype(object), ["y[2] is", "None"]),
}
BAD_TARGETS["missing"][0][2] = None


@each
@pytest.mark.parametrize("fault", BAD_TARGETS)
def test_bad_targets_are_refused(name, fault):
    y, parts = BAD_TARGETS[fault]
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        fit(name, samples(name), y)


@each
def test_score_refuses_bad_data(name):
    with pytest.raises(ValueError, match=r"\[4\] sums to 1.5"):
        fitted(name).score(samples(name), ONE_BAD_ROW)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples|samples: y has 59"):
        fitted(name, "soft").score(samples(name), SOFT[:-1])
    with pytest.raises(TypeError, match="sample_weight must hold real numbers"):
        fitted(name, "soft").score(samples(name), SOFT, sample_weight=["a"] * len(X))


# Names of columns and rows


@each
def test_names_of_features_are_kept(name):
    given = frame(name)
    model = fit(name, given, HARD)
    assert_array_equal(model.feature_names_in_, given.columns)
    assert model.n_features_in_ == given.shape[1]
    expected = fitted(name).predict_proba(samples(name))
    assert_allclose(model.predict_proba(given), expected, rtol=1e-12)
    other = given.rename(columns={given.columns[0]: "other"})
    with pytest.raises(ValueError, match=r"feature names should match|columns of X are not"):
        model.predict_proba(other)


@each
@pytest.mark.parametrize("argument", ["y", "sample_weight"])
def test_other_names_of_rows_are_refused(name, argument):
    given = {"y": pd.Series(HARD, ROWS), "sample_weight": pd.Series(1.0, ROWS)}
    X = frame(name, index=ROWS)
    model = fit(name, X, **given)
    model.score(X, **given)
    given[argument] = given[argument].iloc[::-1]
    for call in (clone(model).fit, model.score):
        with pytest.raises(ValueError, match=f"rows of X and {argument}.* have different"):
            call(X, **given)


# States and threads


@each
def test_pickle_and_clone(name):
    model, given = fitted(name), samples(name)
    stored = pickle.loads(pickle.dumps(model))
    assert_array_equal(stored.predict_proba(given), model.predict_proba(given))
    assert_array_equal(stored.classes_, NAMES)
    again = clone(model)
    assert not hasattr(again, "classes_")
    assert_array_equal(again.fit(given, HARD).predict_proba(given), model.predict_proba(given))


@each
def test_unfitted(name):
    unfitted = clone(ESTIMATORS[name])
    for call in (unfitted.predict, unfitted.predict_proba):
        with pytest.raises(NotFittedError):
            call(samples(name))
    with pytest.raises(NotFittedError):
        unfitted.score(samples(name), HARD)


@each
def test_refit_forgets(name):
    """Nothing is left of a fit to other names, classes and numbers of columns."""
    model = clone(ESTIMATORS[name])
    wide = pd.DataFrame(random_rows(60, 4), columns=list("abcd"))
    model.fit(wide, pd.DataFrame(random_rows(60, 4, seed=1), columns=list("abcd")))
    model.fit(samples(name), HARD)
    assert not hasattr(model, "feature_names_in_")
    assert_array_equal(
        model.predict_proba(samples(name)), fitted(name).predict_proba(samples(name))
    )


@each
def test_fits_in_threads(name):
    """Many at once, of one object's clones: the same bits as one after the other."""
    with joblib.parallel_backend("threading"):
        models = joblib.Parallel(n_jobs=4)(
            joblib.delayed(fit)(name, samples(name), y) for y in (HARD, SOFT) * 3
        )
    for model, kind in zip(models, ("hard", "soft") * 3, strict=True):
        expected = fitted(name, kind).predict_proba(samples(name))
        assert_array_equal(model.predict_proba(samples(name)), expected)


@each_with_folds
@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_result_does_not_depend_on_n_jobs(name, backend):
    model = clone(ESTIMATORS[name]).set_params(n_jobs=2)
    with joblib.parallel_backend(backend):
        model.fit(X, SOFT)
    assert_array_equal(model.predict_proba(X), fitted(name, "soft").predict_proba(X))


def test_no_estimator_is_forgotten():
    public = set()
    for module in pkgutil.iter_modules(sklkl.__path__, "sklkl."):
        # Those of sklkl.dask take collections, and have tests of their own.
        if module.name.split(".")[-1].startswith("_") or module.name == "sklkl.dask":
            continue
        package = importlib.import_module(module.name)
        values = (getattr(package, name) for name in package.__all__)
        public |= {v for v in values if inspect.isclass(v) and issubclass(v, BaseEstimator)}
    assert public == {type(e) for e in ESTIMATORS.values()}
