"""Tests of out-of-fold prediction: values, columns, routing, what it refuses."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    UnsetMetadataPassedError,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import d2_kl_score, get_scorer
from sklkl.model_selection import (
    StratifiedSoftKFold,
    StratifiedSoftShuffleSplit,
    soft_cross_val_predict,
)

NAMES = np.array(["no", "perhaps", "yes"])
KINDS = ["soft", "frame", "hard"]

each_kind = pytest.mark.parametrize("kind", KINDS)
each_method = pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])


def routing(enabled=True):
    return sklearn.config_context(enable_metadata_routing=enabled)


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(part) for part in parts)


def make_problem(kind="soft", n_samples=90):
    """Features, targets, groups, weights; the columns of a frame are not sorted."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = np.exp(X @ rng.normal(size=(3, 3)) + rng.normal(size=(n_samples, 3)))
    y /= y.sum(axis=1, keepdims=True)
    groups, weight = rng.integers(0, 15, n_samples), rng.uniform(0.5, 2.0, n_samples)
    if kind == "frame":
        y = pd.DataFrame(y, columns=NAMES[[2, 0, 1]], index=np.arange(n_samples) + 7)
    elif kind == "hard":
        y = NAMES[y.argmax(axis=1)]
    return X, y, groups, weight


def rows(y, part):
    return y.iloc[part] if hasattr(y, "iloc") else y[part]


def default_cv(kind, n_splits=5):
    return (StratifiedKFold if kind == "hard" else StratifiedSoftKFold)(n_splits)


def by_hand(estimator, X, y, splits, method="predict_proba", weight=None):
    """Loop over the splits; all models know all classes."""
    out = np.full((X.shape[0], 3), np.nan)
    for train, test in splits:
        params = {} if weight is None else {"sample_weight": weight[train]}
        model = clone(estimator).fit(rows(X, train), rows(y, train), **params)
        out[test] = getattr(model, method)(rows(X, test))
    assert not np.isnan(out).any()
    return out


class Leading(ClassifierMixin, BaseEstimator):
    """Learns the leading classes of soft rows, and knows those alone."""

    def fit(self, X, y):
        y = np.asarray(y)
        assert y.dtype.kind == "f"
        self.model_ = GaussianNB().fit(X, y.argmax(axis=1))
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def predict_log_proba(self, X):
        return self.model_.predict_log_proba(X)


class Fixed(ClassifierMixin, BaseEstimator):
    """Returns what it is told, of what type ever."""

    def __init__(self, make=None):
        self.make = make

    def fit(self, X, y):
        self.classes_ = np.arange(3)
        return self

    def predict_proba(self, X):
        return self.make(len(X))


# Values


@each_kind
@each_method
def test_loop_by_hand(kind, method):
    X, y, _, _ = make_problem(kind)
    model = SoftLabelLogisticRegression()
    proba = soft_cross_val_predict(model, X, y, method=method)
    expected = by_hand(model, X, y, default_cv(kind).split(X, y), method)
    assert_array_equal(proba, expected)
    assert type(proba) is np.ndarray
    assert proba.dtype == np.float64
    total = (np.exp(proba) if method == "predict_log_proba" else proba).sum(axis=1)
    assert_allclose(total, 1, rtol=1e-12)
    assert not hasattr(model, "classes_")


@each_kind
def test_it_predicts_better_than_the_prior(kind):
    X, y, _, _ = make_problem(kind, 300)
    proba = soft_cross_val_predict(SoftLabelLogisticRegression(), X, y)
    assert d2_kl_score(y, proba) > 0.15


@each_kind
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        np.int64(3),
        KFold(4, shuffle=True, random_state=0),
        StratifiedSoftKFold(3, shuffle=True, random_state=1),
    ],
    ids=str,
)
def test_cv(kind, cv, weighted):
    X, y, _, weight = make_problem(kind)
    weight = weight if weighted else None
    model = SoftLabelLogisticRegression()
    params = {"sample_weight": weight} if weighted else None
    proba = soft_cross_val_predict(model, X, y, cv=cv, params=params)
    splitter = cv if hasattr(cv, "split") else default_cv(kind, cv)
    splits = list(splitter.split(X, y))
    expected = by_hand(model, X, y, splits, weight=weight)
    assert_array_equal(proba, expected)
    for iterable in (splits, iter(splits), [(list(a), list(b)) for a, b in splits]):
        proba = soft_cross_val_predict(model, X, y, cv=iterable, params=params)
        assert_array_equal(proba, expected)
    if weighted:
        assert not np.allclose(by_hand(model, X, y, splits), expected, atol=1e-3)


@each_kind
def test_groups(kind):
    X, y, groups, _ = make_problem(kind)
    model = SoftLabelLogisticRegression()
    splitters = [GroupKFold(3), StratifiedSoftKFold(3)]
    if kind == "hard":
        splitters.append(StratifiedGroupKFold(3))
    for cv in splitters:
        proba = soft_cross_val_predict(model, X, y, groups=groups, cv=cv)
        expected = by_hand(model, X, y, cv.split(X, y, groups))
        assert_array_equal(proba, expected)
        as_frame = soft_cross_val_predict(model, X, y, groups=pd.Series(groups), cv=cv)
        assert_array_equal(as_frame, expected)
    # A number of folds honours them, too; folds that are fixed cannot.
    proba = soft_cross_val_predict(model, X, y, groups=groups)
    splits = list(StratifiedSoftKFold(5).split(X, y, groups))
    assert_array_equal(proba, by_hand(model, X, y, splits))
    with pytest.raises(ValueError, match="groups are for a splitter"):
        soft_cross_val_predict(model, X, y, groups=groups, cv=splits)
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        soft_cross_val_predict(model, X, y, cv=GroupKFold(3))


@each_kind
@each_method
def test_n_jobs(kind, method):
    X, y, _, weight = make_problem(kind)
    options = {"method": method, "params": {"sample_weight": weight}, "cv": 4}
    model = SoftLabelLogisticRegression()
    expected = soft_cross_val_predict(model, X, y, **options)
    with sklearn.utils.parallel.joblib.parallel_backend("threading"):
        found = soft_cross_val_predict(model, X, y, **options, n_jobs=2, pre_dispatch=2)
    assert_array_equal(found, expected)


def test_processes_and_verbosity(capfd):
    X, y, _, _ = make_problem("frame")
    model = SoftLabelLogisticRegression()
    proba = soft_cross_val_predict(model, X, y, n_jobs=2, verbose=1)
    assert_array_equal(proba, soft_cross_val_predict(model, X, y))
    out, err = capfd.readouterr()
    assert "Done" in out + err


def test_labels_as_by_scikit_learn():
    X, y, _, weight = make_problem("hard")
    for model in (
        GaussianNB(),
        RandomForestClassifier(3, random_state=0),
    ):
        for params in (None, {"sample_weight": weight}):
            expected = cross_val_predict(model, X, y, method="predict_proba", params=params)
            assert_array_equal(soft_cross_val_predict(model, X, y, params=params), expected)


def test_forms_of_labels():
    X, labels, _, _ = make_problem("hard")
    model = GaussianNB()
    expected = soft_cross_val_predict(model, X, labels)
    codes = np.searchsorted(NAMES, labels)
    for y in (
        labels.tolist(),
        labels.astype(object),
        pd.Series(labels, index=np.arange(90) + 7),
        pd.Series(labels).astype("category"),
        codes,
        codes.astype(float),
        10 * codes - 7,
    ):
        assert_array_equal(soft_cross_val_predict(model, X, y), expected)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        proba = soft_cross_val_predict(model, X, codes[:, np.newaxis])
    assert_array_equal(proba, expected)
    binary = soft_cross_val_predict(model, X, codes > 0)
    assert binary.shape == (90, 2)
    assert_allclose(binary.sum(axis=1), 1, rtol=1e-12)


def test_forms_of_soft_targets():
    X, y, _, _ = make_problem()
    model = SoftLabelLogisticRegression()
    expected = soft_cross_val_predict(model, X, y)
    read_only = y.copy()
    read_only.setflags(write=False)
    wide = np.repeat(y, 2, axis=0)[::2]
    for same in (y.tolist(), read_only, np.asfortranarray(y), wide, y.astype(object)):
        assert_array_equal(soft_cross_val_predict(model, X, same), expected)
    single = soft_cross_val_predict(model, X.astype(np.float32), y.astype(np.float32))
    assert_allclose(single, expected, rtol=5e-2)


@each_kind
def test_forms_of_X(kind):
    X, y, _, _ = make_problem(kind)
    model = SoftLabelLogisticRegression()
    expected = soft_cross_val_predict(model, X, y)
    index = getattr(y, "index", np.arange(90) * 7 % 90)
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    assert_array_equal(soft_cross_val_predict(model, frame, y), expected)
    assert_array_equal(soft_cross_val_predict(model, X.tolist(), y), expected)
    for sparse in (csr_array(X), coo_array(X)):
        assert_allclose(soft_cross_val_predict(model, sparse, y), expected, atol=1e-6)


def test_frame_reaches_the_estimator_as_it_is():
    X, y, _, _ = make_problem("frame")
    seen = []

    class Spy(SoftLabelLogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append((X, y, sample_weight))
            return super().fit(X, y, sample_weight)

    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    weight = pd.Series(np.arange(1.0, 91.0), index=np.arange(90) + 7)
    soft_cross_val_predict(Spy(), frame, y, params={"sample_weight": weight})
    for (part, target, part_weight), (train, _) in zip(
        seen, StratifiedSoftKFold(5).split(X, y), strict=True
    ):
        pd.testing.assert_frame_equal(part, frame.iloc[train])
        pd.testing.assert_frame_equal(target, y.iloc[train])
        assert_array_equal(part_weight, train + 1.0)


def test_params_of_other_lengths_are_passed_as_they_are():
    X, y, _, _ = make_problem()
    seen = []

    class Spy(Leading):
        def fit(self, X, y, **params):
            seen.append(params)
            return super().fit(X, y)

    params = {"flag": True, "short": [1, 2], "per_sample": np.arange(90), "nothing": None}
    soft_cross_val_predict(Spy(), X, y, params=params, cv=2)
    for got, (train, _) in zip(seen, StratifiedSoftKFold(2).split(X, y), strict=True):
        assert got["flag"] is True
        assert got["short"] == [1, 2]
        assert got["nothing"] is None
        assert_array_equal(got["per_sample"], train)
    assert_array_equal(params["per_sample"], np.arange(90))


def test_dtype_of_the_predictions():
    X, y, _, _ = make_problem()
    for dtype in (np.float32, np.float64):
        model = Fixed(lambda n, dtype=dtype: np.full((n, 3), 1 / 3, dtype))
        assert soft_cross_val_predict(model, X, y).dtype == dtype
    model = Fixed(lambda n: pd.DataFrame(np.full((n, 3), 1 / 3)))
    assert_array_equal(soft_cross_val_predict(model, X, y), np.full((90, 3), 1 / 3))


def test_one_sample_left_out():
    X, y, _, _ = make_problem(n_samples=12)
    model = SoftLabelLogisticRegression()
    proba = soft_cross_val_predict(model, X, y, cv=LeaveOneOut())
    assert_array_equal(proba, by_hand(model, X, y, LeaveOneOut().split(X)))
    proba = soft_cross_val_predict(model, X, y, cv=12)
    assert_allclose(proba, by_hand(model, X, y, LeaveOneOut().split(X)), rtol=1e-3)


# Columns


@each_method
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_class_missing_in_a_fold(missing, method):
    """Its column is 0, or the logarithm of it, and stands in its place."""
    X, labels, _, _ = make_problem("hard")
    lacks = labels == NAMES[missing]
    splits = [(np.flatnonzero(~lacks), np.flatnonzero(lacks))]
    splits.append(splits[0][::-1])
    splits[1] = (np.arange(90)[lacks | (np.arange(90) % 2 == 0)], splits[0][0])
    proba = soft_cross_val_predict(GaussianNB(), X, labels, cv=splits, method=method)
    absent = 0.0 if method == "predict_proba" else -np.inf
    assert proba.shape == (90, 3)
    assert (proba[lacks, missing] == absent).all()
    others = [c for c in range(3) if c != missing]
    model = GaussianNB().fit(X[~lacks], labels[~lacks])
    assert_array_equal(proba[np.ix_(lacks, others)], getattr(model, method)(X[lacks]))
    model = GaussianNB().fit(X[splits[1][0]], labels[splits[1][0]])
    assert_array_equal(proba[~lacks], getattr(model, method)(X[~lacks]))
    total = (np.exp(proba) if method == "predict_log_proba" else proba).sum(axis=1)
    assert_allclose(total, 1, rtol=1e-12)


def test_classes_missing_in_folds_of_sorted_labels():
    X, labels, _, _ = make_problem("hard")
    order = np.argsort(labels)
    proba = soft_cross_val_predict(GaussianNB(), X[order], labels[order], cv=KFold(2))
    assert proba.shape == (90, 3)
    assert (proba == 0).any()
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    # With the classes named, the model has all of them.
    model = SoftLabelLogisticRegression(classes=NAMES[::-1])
    proba = soft_cross_val_predict(model, X[order], labels[order], cv=KFold(2))
    expected = by_hand(model, X[order], labels[order], KFold(2).split(X))
    assert_array_equal(proba, expected)


@each_method
def test_soft_columns_that_a_model_never_saw(method):
    X, y, _, _ = make_problem()
    leading = y.argmax(axis=1)
    order = np.argsort(leading, kind="stable")
    X, y, leading = X[order], y[order], leading[order]
    splits = [(np.flatnonzero(leading > 0), np.flatnonzero(leading == 0))]
    splits.append((np.flatnonzero(leading == 1), np.flatnonzero(leading == 2)))
    splits.append((np.arange(90), np.flatnonzero(leading == 1)))
    proba = soft_cross_val_predict(Leading(), X, y, cv=splits, method=method)
    absent, certain = (0.0, 1.0) if method == "predict_proba" else (-np.inf, 0.0)
    assert (proba[leading == 0, 0] == absent).all()
    # A model of a single class, whose column is no scalar for all columns.
    assert_array_equal(proba[leading == 2], [[absent, certain, absent]] * sum(leading == 2))
    assert np.isfinite(proba[leading == 1]).all()


def test_columns_of_a_frame_are_matched_by_name():
    X, y, _, _ = make_problem("frame")
    cv = KFold(5)
    expected = soft_cross_val_predict(SoftLabelLogisticRegression(), X, y, cv=cv)
    model = SoftLabelLogisticRegression(classes=["no", "yes", "perhaps"])
    assert_allclose(soft_cross_val_predict(model, X, y, cv=cv), expected, atol=1e-4)
    # The same columns as of the array, whatever the model calls them.
    proba = soft_cross_val_predict(model, X, y.to_numpy(), cv=cv)
    assert_allclose(proba, expected, atol=1e-4)
    flipped = soft_cross_val_predict(model, X, y[NAMES], cv=cv)
    assert_allclose(flipped, expected[:, [1, 2, 0]], atol=1e-4)


def test_model_knows_more_classes_than_y():
    X, y, _, _ = make_problem("hard")
    model = SoftLabelLogisticRegression(classes=["maybe", *NAMES])
    with pytest.raises(ValueError, match=matches("A model knows", "y does not: ['maybe']")):
        soft_cross_val_predict(model, X, y)
    _, y, _, _ = make_problem("frame")
    with pytest.raises(ValueError, match=matches("A model knows", "y does not: [0, 1, 2]")):
        soft_cross_val_predict(Leading(), X, y)


# Estimators


@each_kind
def test_pipeline(kind):
    X, y, _, weight = make_problem(kind)
    model = make_pipeline(StandardScaler(), SoftLabelLogisticRegression())
    proba = soft_cross_val_predict(model, X, y, cv=3)
    assert_array_equal(proba, by_hand(model, X, y, default_cv(kind, 3).split(X, y)))
    params = {"softlabellogisticregression__sample_weight": weight}
    weighted = soft_cross_val_predict(model, X, y, cv=3, params=params)
    assert not np.allclose(weighted, proba, atol=1e-3)


@each_kind
def test_search_and_cv(kind):
    X, y, _, _ = make_problem(kind)
    splits = list(default_cv(kind, 3).split(X, y))
    search = GridSearchCV(
        SoftLabelLogisticRegression(),
        {"C": [0.1, 1.0]},
        cv=KFold(2),
        scoring=get_scorer("neg_kl_loss"),
    )
    for model in (search, SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=2)):
        proba = soft_cross_val_predict(model, X, y, cv=3)
        assert_array_equal(proba, by_hand(model, X, y, splits))


@each_kind
@each_method
def test_distilled_classifier(kind, method):
    X, y, _, weight = make_problem(kind)
    model = DistilledClassifier(SoftLabelLogisticRegression(), temperature=2.0)
    splits = list(default_cv(kind, 3).split(X, y))
    options = {"cv": 3, "method": method, "params": {"sample_weight": weight}}
    proba = soft_cross_val_predict(model, X, y, **options)
    assert_array_equal(proba, by_hand(model, X, y, splits, method, weight))


def test_distilled_classifier_of_labels_that_a_fold_lacks():
    X, y, _, _ = make_problem("hard")
    order = np.argsort(y)
    model = DistilledClassifier(GaussianNB())
    proba = soft_cross_val_predict(model, X[order], y[order], cv=KFold(2))
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert (proba == 0).any()


def test_frozen_estimator():
    X, y, _, _ = make_problem()
    model = SoftLabelLogisticRegression().fit(X, y)
    proba = soft_cross_val_predict(FrozenEstimator(model), X, y)
    assert_allclose(proba, model.predict_proba(X), rtol=1e-12)


def test_estimators_without_soft_targets_raise_their_own_error():
    X, y, _, _ = make_problem()
    for model, message in [
        (LogisticRegression(), "y should be a 1d array"),
        (GaussianNB(), "y should be a 1d array"),
        (RandomForestClassifier(), "Unknown label type"),
        (KNeighborsClassifier(), "Unknown label type"),
        (DistilledClassifier(LogisticRegression()), "y should be a 1d array"),
    ]:
        with pytest.raises(ValueError, match=message):
            soft_cross_val_predict(model, X, y)
    with pytest.raises(TypeError, match="The estimator Perceptron has no predict_proba"):
        soft_cross_val_predict(Perceptron(), X, y.argmax(axis=1))


@each_method
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(2),
        DecisionTreeClassifier(),
        DummyClassifier(strategy="prior"),
    ],
    ids=str,
)
def test_classifiers_that_take_the_columns_for_outputs(model, frame, n_classes, method):
    X, _, _, _ = make_problem()
    y = np.eye(n_classes)[np.arange(90) % n_classes]
    if frame:
        y = pd.DataFrame(y, columns=NAMES[:n_classes])
    message = f"{type(model).__name__}.{method} returned no array with a column per class"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of log(0)
        with pytest.raises(ValueError, match=message):
            soft_cross_val_predict(model, X, y, method=method)
    # Not even if the outputs have different numbers of classes.
    y = np.eye(n_classes)[np.r_[np.zeros(60, int), np.ones(30, int)]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=message):
            soft_cross_val_predict(model, X, y, method=method, cv=KFold(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.full(n, 0.5),
        lambda n: np.full((n, 2), 0.5),
        lambda n: np.full((n, 1), 1.0),
        lambda n: np.full((n, 3, 1), 0.5),
        lambda n: [[0.5, 0.25, 0.25]] * n,
    ],
)
def test_predictions_of_other_shapes(make):
    X, y, _, _ = make_problem()
    with pytest.raises(ValueError, match=r"Fixed.predict_proba returned no array"):
        soft_cross_val_predict(Fixed(make), X, y)


# What it refuses


def test_integer_matrix():
    """It may be the ranks that cross_val_predict makes of soft targets."""
    X, _, _, _ = make_problem()
    y = np.eye(3, dtype=int)[np.arange(90) % 3]
    for bad in (y, y.tolist(), pd.DataFrame(y)):
        with pytest.raises(ValueError, match="matrix of integers"):
            soft_cross_val_predict(SoftLabelLogisticRegression(), X, bad)
    proba = soft_cross_val_predict(SoftLabelLogisticRegression(), X, y.astype(float))
    assert proba.shape == (90, 3)


def test_bad_targets():
    X, y, _, _ = make_problem()
    model = SoftLabelLogisticRegression()
    with pytest.raises(ValueError, match=r"y\[0\]"):
        soft_cross_val_predict(model, X, 2 * y)
    with pytest.raises(ValueError, match="Unknown label type"):
        soft_cross_val_predict(model, X, y[:, 0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        soft_cross_val_predict(model, X[:-1], y)
    with pytest.raises(ValueError, match=r"\by\b"):
        soft_cross_val_predict(model, X, None)


@each_kind
@pytest.mark.parametrize(
    "cv",
    [
        ShuffleSplit(3, random_state=0),
        StratifiedSoftShuffleSplit(3, random_state=0),
        RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
        [(np.arange(45), np.arange(45, 90))],
        [(np.arange(45), np.arange(44, 90)), (np.arange(45, 90), np.arange(45))],
        [(np.arange(45), np.arange(45, 90)), (np.arange(45, 90), np.arange(-90, -45))],
    ],
)
def test_no_partition(kind, cv):
    X, y, _, _ = make_problem(kind)
    with pytest.raises(ValueError, match="Every sample must be in exactly one test set"):
        soft_cross_val_predict(SoftLabelLogisticRegression(), X, y, cv=cv)


HOSTILE = {
    "method": ("one of", ("predict", "decision_function", "", None, 3)),
    "cv": ("an integer >= 2", (1, 0, True, "folds", b"x", 2.5, [1, 2])),
    "n_jobs": ("None or an integer other than 0", (0, 1.5, "2", True, 10**400)),
    "verbose": ("an integer >= 0", (-1, None, "1")),
    "params": ("None or a dict", ([1.0], "sample_weight", 3)),
    "pre_dispatch": ("an integer >= 1", (0, 2.5, None)),
}


def test_hostile_arguments():
    """Each is refused by a message about itself."""
    X, y, _, _ = make_problem()
    model = SoftLabelLogisticRegression()
    for name, (rule, values) in HOSTILE.items():
        for value in values:
            with pytest.raises(ValueError, match=f"^{name} must be {rule}"):
                soft_cross_val_predict(model, X, y, **{name: value})
    with pytest.raises(ValueError, match="There are 90 samples, fewer than the folds of cv"):
        soft_cross_val_predict(model, X, y, cv=91)


def test_arguments_by_keyword_only():
    X, y, groups, _ = make_problem()
    with pytest.raises(TypeError):
        soft_cross_val_predict(SoftLabelLogisticRegression(), X, y, groups)


def test_unknown_parameter_of_fit():
    X, y, _, _ = make_problem()
    with pytest.raises(TypeError, match="flag"):
        soft_cross_val_predict(SoftLabelLogisticRegression(), X, y, params={"flag": 1})


# Metadata routing


@each_kind
def test_routing_without_metadata(kind):
    X, y, _, _ = make_problem(kind)
    model = SoftLabelLogisticRegression()
    expected = soft_cross_val_predict(model, X, y)
    with routing():
        assert_array_equal(soft_cross_val_predict(model, X, y), expected)
        splits = list(default_cv(kind).split(X, y))
        assert_array_equal(soft_cross_val_predict(model, X, y, cv=splits), expected)
        pipeline = make_pipeline(StandardScaler(), model)
        assert soft_cross_val_predict(pipeline, X, y).shape == (90, 3)


@each_kind
@pytest.mark.parametrize(("fit", "split"), [(False, True), (True, False), (True, True)])
def test_requests_are_honoured(kind, fit, split):
    X, y, _, weight = make_problem(kind)
    with routing():
        model = SoftLabelLogisticRegression().set_fit_request(sample_weight=fit)
        cv = StratifiedSoftKFold(3).set_split_request(sample_weight=split)
        proba = soft_cross_val_predict(model, X, y, cv=cv, params={"sample_weight": weight})
        splits = list(cv.split(X, y, sample_weight=weight if split else None))
        expected = by_hand(model, X, y, splits, weight=weight if fit else None)
        assert_array_equal(proba, expected)


@each_kind
def test_groups_are_routed(kind):
    X, y, groups, _ = make_problem(kind)
    model = SoftLabelLogisticRegression()
    cv = StratifiedSoftKFold(3)
    expected = soft_cross_val_predict(model, X, y, groups=groups, cv=cv)
    with routing():
        params = {"groups": groups}
        assert_array_equal(soft_cross_val_predict(model, X, y, cv=cv, params=params), expected)
        proba = soft_cross_val_predict(model, X, y, cv=GroupKFold(3), params=params)
        assert_array_equal(proba, by_hand(model, X, y, GroupKFold(3).split(X, y, groups)))
        with pytest.raises(ValueError, match=r"pass groups in params: params=\{'groups'"):
            soft_cross_val_predict(model, X, y, cv=cv, groups=groups)
        cv = StratifiedSoftKFold(3).set_split_request(groups="patient")
        params = {"patient": groups}
        assert_array_equal(soft_cross_val_predict(model, X, y, cv=cv, params=params), expected)


def test_metadata_that_nobody_asked_for():
    X, y, groups, weight = make_problem()
    model = SoftLabelLogisticRegression()
    with routing():
        with pytest.raises(
            UnsetMetadataPassedError, match=r"sample_weight.*soft_cross_val_pr"
        ):
            soft_cross_val_predict(model, X, y, params={"sample_weight": weight})
        deaf = SoftLabelLogisticRegression().set_fit_request(sample_weight=False)
        with pytest.raises(TypeError, match=r"unexpected argument.*sample_weight"):
            soft_cross_val_predict(deaf, X, y, params={"sample_weight": weight})
        with pytest.raises(TypeError, match=r"unexpected argument.*nonsense"):
            soft_cross_val_predict(model, X, y, params={"nonsense": weight})
        with pytest.raises(TypeError, match=r"unexpected argument.*groups"):
            soft_cross_val_predict(model, X, y, cv=KFold(3), params={"groups": groups})


def test_routing_through_meta_estimators():
    X, y, groups, weight = make_problem()
    student = SoftLabelLogisticRegression()
    cv = StratifiedSoftKFold(3)
    pipeline = make_pipeline(StandardScaler(), student)
    params = {"softlabellogisticregression__sample_weight": weight}
    expected = soft_cross_val_predict(pipeline, X, y, groups=groups, cv=cv, params=params)
    distilled = DistilledClassifier(student, student)
    params = {"sample_weight": weight}
    taught = soft_cross_val_predict(distilled, X, y, groups=groups, cv=cv, params=params)
    params = {"sample_weight": weight, "groups": groups}
    with routing():
        student = SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, student)
        proba = soft_cross_val_predict(pipeline, X, y, cv=cv, params=params)
        assert_array_equal(proba, expected)
        distilled = DistilledClassifier(student, student)
        proba = soft_cross_val_predict(distilled, X, y, cv=cv, params=params)
        assert_array_equal(proba, taught)


def test_rows_that_are_no_probabilities():
    """Rows of 0 and 1 are several labels at once for a network."""
    X, y, _, _ = make_problem("soft")
    one_hot = np.eye(3)[y.argmax(axis=1)]
    network = MLPClassifier((3,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.raises(ValueError, match=r"MLPClassifier\.predict_proba\[0\] sums to"):
            soft_cross_val_predict(network, X, one_hot)


@pytest.mark.parametrize("argument", ["y", "groups", "weight"])
def test_names_of_rows_are_matched(argument):
    X, y, _, _ = make_problem()
    rows = [f"r{i}" for i in range(len(X))]
    given = {"y": y.argmax(axis=1), "groups": np.arange(90) // 2, "weight": np.ones(90)}
    given = {name: pd.Series(values, rows) for name, values in given.items()}
    given[argument] = given[argument].iloc[::-1]
    params = {"sample_weight": given.pop("weight")}
    with pytest.raises(ValueError, match="have different labels: row 0 is 'r0' in X"):
        soft_cross_val_predict(
            LogisticRegression(), pd.DataFrame(X, rows), **given, params=params
        )
