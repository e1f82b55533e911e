"""Out-of-fold prediction: values, columns, routing, what it refuses."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import Perceptron
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.model_selection import StratifiedSoftKFold, soft_cross_val_predict
from tests._support.messages import matches
from tests._support.models import Says, routing
from tests._support.problems import make_problem

NAMES = np.array(["no", "perhaps", "yes"])
X, HARD, SOFT, WEIGHT, GROUPS = make_problem(n_samples=60)
LABELS = NAMES[HARD]
FRAME = pd.DataFrame(SOFT, columns=NAMES[[2, 0, 1]], index=np.arange(60) + 7)
TARGETS = {"soft": SOFT, "frame": FRAME, "hard": LABELS}
STUDENT = SoftLabelLogisticRegression()

each_kind = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
each_method = pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])


def rows(y, part):
    return y.iloc[part] if hasattr(y, "iloc") else y[part]


def stratified(y, n_splits=5):
    return (StratifiedKFold if y is LABELS else StratifiedSoftKFold)(n_splits)


def by_hand(estimator, y, splits, method="predict_proba", weight=None):
    """Loop over the splits; all models know all classes."""
    out = np.full((len(X), 3), np.nan)
    for train, test in splits:
        params = {} if weight is None else {"sample_weight": weight[train]}
        model = clone(estimator).fit(X[train], rows(y, train), **params)
        out[test] = getattr(model, method)(X[test])
    return out


class Leading(ClassifierMixin, BaseEstimator):
    """Learns the leading classes of soft rows, and knows those alone."""

    seen = None

    def fit(self, X, y, **params):
        if self.seen is not None:
            self.seen.append((X, y, params))
        self.model_ = GaussianNB().fit(X, np.asarray(y).argmax(axis=1))
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def predict_log_proba(self, X):
        return self.model_.predict_log_proba(X)


@each_kind
@each_method
def test_loop_by_hand(y, method):
    proba = soft_cross_val_predict(STUDENT, X, y, method=method)
    assert type(proba) is np.ndarray
    assert proba.dtype == np.float64
    expected = by_hand(STUDENT, y, stratified(y).split(X, y), method)
    assert_array_equal(proba, expected)
    assert not hasattr(STUDENT, "classes_")


@each_kind
def test_cv(y):
    splits = list(stratified(y, 3).split(X, y))
    expected = by_hand(STUDENT, y, splits, weight=WEIGHT)
    assert not np.allclose(by_hand(STUDENT, y, splits), expected, atol=1e-3)
    every = np.arange(len(X))
    masks = [[np.isin(every, part) for part in pair] for pair in splits]
    for cv in (np.int64(3), stratified(y, 3), iter(splits), masks):
        params = {"sample_weight": WEIGHT}
        assert_array_equal(
            soft_cross_val_predict(STUDENT, X, y, cv=cv, params=params), expected
        )


@each_kind
def test_groups(y):
    """A number of folds honours them, too; folds that are fixed cannot."""
    for cv, splitter in ((GroupKFold(3), GroupKFold(3)), (3, StratifiedSoftKFold(3))):
        splits = list(splitter.split(X, y, GROUPS))
        proba = soft_cross_val_predict(STUDENT, X, y, groups=GROUPS, cv=cv)
        assert_array_equal(proba, by_hand(STUDENT, y, splits))
    with pytest.raises(ValueError, match="groups are for a splitter"):
        soft_cross_val_predict(STUDENT, X, y, groups=GROUPS, cv=splits)


def test_one_sample_left_out():
    some, y = X[:12], SOFT[:12]
    expected = soft_cross_val_predict(STUDENT, some, y, cv=LeaveOneOut())
    assert_allclose(soft_cross_val_predict(STUDENT, some, y, cv=12), expected, rtol=1e-3)


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_jobs_and_verbosity(backend, capfd):
    options = {"cv": 4, "params": {"sample_weight": WEIGHT}}
    expected = soft_cross_val_predict(STUDENT, X, FRAME, **options)
    with joblib.parallel_backend(backend):
        found = soft_cross_val_predict(
            STUDENT, X, FRAME, **options, n_jobs=2, pre_dispatch=2, verbose=1
        )
    assert_array_equal(found, expected)
    assert "Done" in "".join(capfd.readouterr())


def test_forms_of_data():
    expected = soft_cross_val_predict(STUDENT, X, LABELS)
    series = pd.Series(LABELS, index=np.arange(60) + 7).astype("category")
    frame = pd.DataFrame(X, columns=list("abcd"), index=series.index)
    for data in ((X.tolist(), LABELS.tolist()), (frame, series), (X, HARD)):
        assert_array_equal(soft_cross_val_predict(STUDENT, *data), expected)
    sparse = soft_cross_val_predict(STUDENT, coo_array(X), LABELS)
    assert_allclose(sparse, expected, atol=1e-6)
    assert soft_cross_val_predict(STUDENT, X, HARD > 0).shape == (60, 2)


def test_what_the_estimator_is_given(monkeypatch):
    monkeypatch.setattr(Leading, "seen", [])
    frame = pd.DataFrame(X, columns=list("abcd"))
    weight = pd.Series(np.arange(1.0, 61.0), index=FRAME.index)
    params = {"flag": True, "short": [1, 2], "nothing": None, "sample_weight": weight}
    y = FRAME.set_axis([0, 1, 2], axis=1)
    soft_cross_val_predict(Leading(), frame, y, params=params, cv=2)
    splits = StratifiedSoftKFold(2).split(X, y)
    for (part, target, got), (train, _) in zip(Leading.seen, splits, strict=True):
        pd.testing.assert_frame_equal(part, frame.iloc[train])
        pd.testing.assert_frame_equal(target, y.iloc[train])
        assert_array_equal(got.pop("sample_weight"), train + 1.0)
        assert got == {"flag": True, "short": [1, 2], "nothing": None}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_the_predictions(dtype):
    model = Says(lambda X: pd.DataFrame(np.full((len(X), 3), 1 / 3, dtype)))
    proba = soft_cross_val_predict(model, X, SOFT)
    assert proba.dtype == dtype
    assert_array_equal(proba, np.full((60, 3), 1 / 3, dtype))


@pytest.mark.parametrize(
    ("missing", "method", "absent"),
    [(0, "predict_proba", 0.0), (1, "predict_log_proba", -np.inf), (2, "predict_proba", 0.0)],
)
def test_class_missing_in_a_fold(missing, method, absent):
    """Its column is 0, or the logarithm of it, and stands in its place."""
    lacks = np.equal(HARD, missing)
    some = np.flatnonzero(lacks | (np.arange(60) % 2 == 0))
    splits = [(np.flatnonzero(~lacks), np.flatnonzero(lacks)), (some, np.flatnonzero(~lacks))]
    proba = soft_cross_val_predict(GaussianNB(), X, LABELS, cv=splits, method=method)
    expected = np.full((60, 3), absent)
    others = [c for c in range(3) if c != missing]
    model = GaussianNB().fit(X[~lacks], HARD[~lacks])
    expected[np.ix_(lacks, others)] = getattr(model, method)(X[lacks])
    model = GaussianNB().fit(X[some], HARD[some])
    expected[~lacks] = getattr(model, method)(X[~lacks])
    assert_array_equal(proba, expected)


@each_method
def test_soft_columns_that_a_model_never_saw(method):
    leading = SOFT.argmax(axis=1)
    splits = [(np.flatnonzero(leading > 0), np.flatnonzero(leading == 0))]
    splits.append((np.flatnonzero(leading == 1), np.flatnonzero(leading == 2)))
    splits.append((np.arange(60), np.flatnonzero(leading == 1)))
    proba = soft_cross_val_predict(Leading(), X, SOFT, cv=splits, method=method)
    absent, certain = (0.0, 1.0) if method == "predict_proba" else (-np.inf, 0.0)
    assert (proba[leading == 0, 0] == absent).all()
    # A model of a single class, whose column is no scalar for all columns.
    assert_array_equal(proba[leading == 2], [[absent, certain, absent]] * sum(leading == 2))
    assert np.isfinite(proba[leading == 1]).all()


def test_columns_of_a_frame_are_matched_by_name():
    cv = KFold(5)
    expected = soft_cross_val_predict(STUDENT, X, FRAME, cv=cv)
    model = SoftLabelLogisticRegression(classes=["no", "yes", "perhaps"])
    # The same columns as of the array, whatever the model calls them.
    for y in (FRAME, SOFT):
        assert_allclose(soft_cross_val_predict(model, X, y, cv=cv), expected, atol=1e-4)
    flipped = soft_cross_val_predict(model, X, FRAME[NAMES], cv=cv)
    assert_allclose(flipped, expected[:, [1, 2, 0]], atol=1e-4)


# What it refuses


MORE = SoftLabelLogisticRegression(classes=["maybe", *NAMES])
ONE_HOT = np.eye(3)[HARD]
UNEQUAL = np.eye(3)[np.arange(60) // 40]  # outputs of different numbers of classes
NETWORK = MLPClassifier((3,), max_iter=5, random_state=0)
HALVES = np.arange(30), np.arange(30, 60)
PARTITION = ["Every sample must be in exactly one test set"]


@pytest.mark.parametrize(
    ("y", "options", "parts"),
    [
        (2 * SOFT, {}, ["y[0] sums to"]),
        (SOFT[:-1], {}, ["inconsistent numbers of samples"]),
        (SOFT, {"method": "predict"}, ["method must be one of"]),
        (SOFT, {"n_jobs": 0}, ["n_jobs must be None or an integer other than 0"]),
        (SOFT, {"verbose": -1}, ["verbose must be an integer >= 0"]),
        (SOFT, {"params": [1.0]}, ["params must be None or a dict"]),
        (SOFT, {"params": {"flag": 1}}, ["unexpected keyword argument 'flag'"]),
        (SOFT, {"pre_dispatch": 0}, ["pre_dispatch must be an integer >= 1"]),
        (SOFT, {"pre_dispatch": 2.5}, ["pre_dispatch must be an integer >= 1"]),
        (SOFT, {"cv": 61}, ["There are 60 samples, fewer than the folds of cv"]),
        (SOFT, {"cv": []}, ["cv holds no folds"]),
        (SOFT, {"cv": GroupKFold(3)}, ["'groups' parameter should not be None"]),
    ]
    + [(SOFT, {"cv": cv}, ["cv must be an integer >= 2; got"]) for cv in (1, 0, True)]
    + [
        (LABELS, {"cv": cv}, ["cv must be an integer >= 2, a splitter, or pairs"])
        for cv in (
            "folds",
            b"x",
            2.5,
            [1, 2],
            np.arange(4),
            [HALVES, (np.arange(30), np.arange(30, 61))],
            [HALVES, (np.arange(30.0), np.arange(30, 60))],
            [HALVES, (np.ones(59, bool), np.arange(30, 60))],
        )
    ]
    + [
        (SOFT, {"cv": cv}, PARTITION)
        for cv in (
            ShuffleSplit(3, random_state=0),
            RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
            [HALVES],
            [HALVES, (HALVES[1], HALVES[1] - 60)],
        )
    ],
)
def test_bad_arguments(y, options, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        soft_cross_val_predict(STUDENT, X, y, **options)


LOG = "predict_log_proba"
NO_COLUMNS = "without a column for each of the 3 classes_"
ONE_EACH = "arrays, one for each column of y"


@pytest.mark.parametrize(
    ("model", "y", "options", "parts"),
    [
        (MORE, LABELS, {}, ["A model knows", "y does not: ['maybe']"]),
        (Leading(), FRAME, {}, ["A model knows", "y does not: [0, 1, 2]"]),
        (Leading(), ONE_HOT.astype(int), {}, ["matrix of integers"]),
        (GaussianNB(), SOFT, {}, ["GaussianNB.fit refused soft targets", "1d", "Frozen"]),
        (Perceptron(), LABELS, {}, ["The estimator Perceptron has no predict_proba"]),
        # Rows of 0 and 1 are several labels at once for a network.
        (NETWORK, ONE_HOT, {}, ["MLPClassifier.predict_proba[0] sums to"]),
        (
            Says(lambda X: np.ones(len(X))),
            SOFT,
            {},
            ["Says.predict_proba returned", NO_COLUMNS],
        ),
        (Says(lambda X: np.ones((len(X), 1))), SOFT, {}, [NO_COLUMNS]),
        # The columns of y are outputs of their own for others.
        (RandomForestClassifier(2), ONE_HOT, {}, ["RandomForestClassifier", ONE_EACH]),
        (RandomForestClassifier(2), np.eye(2)[HARD // 2], {}, [ONE_EACH]),
        (DecisionTreeClassifier(), ONE_HOT, {"method": LOG}, [LOG, ONE_EACH]),
        (DummyClassifier(strategy="prior"), UNEQUAL, {"cv": KFold(3)}, [ONE_EACH]),
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:divide by zero")
def test_bad_models(model, y, options, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        soft_cross_val_predict(model, X, y, **options)


@pytest.mark.parametrize("argument", ["y", "groups", "weight"])
def test_names_of_rows_are_matched(argument):
    names = [f"r{i}" for i in range(60)]
    given = {"y": HARD, "groups": GROUPS, "weight": np.ones(60)}
    given = {name: pd.Series(values, names) for name, values in given.items()}
    given[argument] = given[argument].iloc[::-1]
    params = {"sample_weight": given.pop("weight")}
    frame = pd.DataFrame(X, names)
    with pytest.raises(ValueError, match="have different labels: row 0 is 'r0' in X"):
        soft_cross_val_predict(GaussianNB(), frame, **given, params=params)


def test_parameters_of_a_pipeline():
    model = make_pipeline(StandardScaler(), STUDENT)
    params = {"softlabellogisticregression__sample_weight": WEIGHT}
    expected = soft_cross_val_predict(model, X, SOFT, params=params)
    plain = soft_cross_val_predict(model, X, SOFT)
    assert not np.allclose(expected, plain, atol=1e-3)
    with routing():
        assert_array_equal(soft_cross_val_predict(model, X, SOFT), plain)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(scaler, clone(STUDENT).set_fit_request(sample_weight=True))
        proba = soft_cross_val_predict(model, X, SOFT, params={"sample_weight": WEIGHT})
        assert_array_equal(proba, expected)


@pytest.mark.parametrize(("fit", "split"), [(False, True), (True, False), (True, True)])
def test_requests_are_honoured(fit, split):
    with routing():
        model = clone(STUDENT).set_fit_request(sample_weight=fit)
        cv = StratifiedSoftKFold(3).set_split_request(sample_weight=split, groups="patient")
        params = {"sample_weight": WEIGHT, "patient": GROUPS}
        proba = soft_cross_val_predict(model, X, SOFT, cv=cv, params=params)
    splits = cv.split(X, SOFT, GROUPS, WEIGHT if split else None)
    expected = by_hand(STUDENT, SOFT, splits, weight=WEIGHT if fit else None)
    assert_array_equal(proba, expected)


def test_metadata_that_nobody_asked_for():
    with routing():
        deaf = clone(STUDENT).set_fit_request(sample_weight=False)
        with pytest.raises(UnsetMetadataPassedError, match=r"sample_weight.*soft_cross_val"):
            soft_cross_val_predict(STUDENT, X, SOFT, params={"sample_weight": WEIGHT})
        with pytest.raises(TypeError, match=r"unexpected argument.*sample_weight"):
            soft_cross_val_predict(deaf, X, SOFT, params={"sample_weight": WEIGHT})
        with pytest.raises(TypeError, match=r"unexpected argument.*groups"):
            soft_cross_val_predict(STUDENT, X, SOFT, cv=KFold(3), params={"groups": GROUPS})
        with pytest.raises(ValueError, match=r"pass groups in params: params=\{'groups'"):
            soft_cross_val_predict(STUDENT, X, SOFT, cv=3, groups=GROUPS)
