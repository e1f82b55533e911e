"""What DistilledClassifier refuses, early and with advice, and odd teachers that it takes."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import DistilledClassifier, PooledClassifier, munge
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV

NAMES = np.array(["ash", "birch", "cedar"])


def data(n_samples=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    return X, (X[:, 0] + rng.normal(size=n_samples) > 0).astype(int) + (X[:, 1] > 1)


class Teacher(ClassifierMixin, BaseEstimator):
    """A logistic regression that counts fits, and says what it says as it is told."""

    fits = 0

    def __init__(self, says=np.asarray):
        self.says = says

    def fit(self, X, y):
        type(self).fits += 1
        self.inner_ = LogisticRegression().fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.says(self.inner_.predict_proba(X))


class Selector(Pipeline):
    """A pipeline that leaves rows out, as those of other libraries may."""

    def fit(self, X, y, **params):
        return super().fit(X[::2], y[::2], **params)


logistic = SoftLabelLogisticRegression


def search(grid=None, **params):
    return GridSearchCV(logistic(), {"C": [1.0]} if grid is None else grid, **params)


UNABLE = {
    "divergence": (DecisionTreeClassifier(), {"divergence": "reverse_kl"}, ValueError),
    "labels": (
        DecisionTreeClassifier(),
        {"temperature": 2.0, "hard_label_weight": 0.5},
        ValueError,
    ),
    "rows": (
        Selector([("last", SoftLabelLogisticRegression())]),
        {"temperature": 2.0, "hard_label_weight": 0.5},
        ValueError,
    ),
    "weights": (KNeighborsClassifier(), {"cv": 5}, TypeError),
    "search": (GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}), {}, TypeError),
    "regressor": (RandomForestRegressor(), {}, TypeError),
    "class": (SoftLabelLogisticRegression, {}, TypeError),
    "no probabilities": (RidgeClassifier(), {"hard_label_weight": "auto"}, TypeError),
    "search without refit": (
        make_pipeline(StandardScaler(), search(refit=False)), {}, ValueError,
    ),
    "search of a pipeline without refit": (
        GridSearchCV(make_pipeline(StandardScaler(), logistic()), {}, refit=False),
        {},
        ValueError,
    ),
    "unknown parameter in a grid": (
        make_pipeline(StandardScaler(), search(grid={"D": [1.0]})), {}, ValueError,
    ),
    "scorer of labels": (search(scoring="accuracy"), {}, ValueError),
    "classes named twice": (logistic(classes=["a", "a"]), {}, ValueError),
}  # fmt: skip


@pytest.mark.parametrize("case", UNABLE)
def test_students_are_refused_before_a_teacher_is_fitted(case):
    student, params, error = UNABLE[case]
    Teacher.fits = 0
    with pytest.raises(error, match=r"student|are for SoftLabelLogisticRegression"):
        DistilledClassifier(Teacher(), student, **params).fit(*data())
    assert Teacher.fits == 0


REFUSED = {
    "C of the student": ({"student": logistic(C=-1.0)}, {}, "C must be"),
    "Cs of the student": ({"student": SoftLabelLogisticRegressionCV(Cs=[0.0])}, {}, "Cs"),
    "NaN in X": ({}, {"X": np.full((120, 3), np.nan)}, "X contains NaN"),
    "a label beyond the classes": ({"student": logistic(classes=[0, 1])}, {}, "y.*is 2, not"),
    "sparse X with munge": ({"n_synthetic": 5}, {"X": csr_array(np.eye(120))}, "sparse"),
    "shape of teacher_proba": ({}, {"teacher_proba": np.ones((120, 2)) / 2}, "2 columns"),
    "None among labels": ({}, {"y": [None, *"ab" * 59, "a"]}, r"y\[0\] is None.*unlabeled=np"),
    "None beside the marker": (
        {"unlabeled": "?"}, {"y": ["a", None, *"?b" * 59]}, r"y\[1\] is None, and not '\?'",
    ),
    "rows without a target": (
        {}, {"y": np.vstack([[np.nan] * 2, *[[0.5, 0.5]] * 119])}, r"y\[0\] is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_fit_refuses_before_a_teacher_is_fitted(case):
    params, arguments, message = REFUSED[case]
    X, y = data()
    Teacher.fits = 0
    with pytest.raises((TypeError, ValueError), match=message):
        DistilledClassifier(Teacher(), **params).fit(**{"X": X, "y": y, **arguments})
    assert Teacher.fits == 0


@pytest.mark.parametrize("scaler", [None, True])
def test_weights_that_routing_keeps_from_the_student(scaler):
    X, y = data()
    Teacher.fits = 0
    with config_context(enable_metadata_routing=True):
        steps = StandardScaler(), DecisionTreeClassifier()
        if scaler:
            steps[0].set_fit_request(sample_weight=True)
            steps[1].set_fit_request(sample_weight=False)
        with pytest.raises(ValueError, match="set_fit_request"):
            DistilledClassifier(Teacher(), make_pipeline(*steps)).fit(X, y)
    assert Teacher.fits == 0


DISTILLED = {
    "teacher": ["forest", 3, GaussianNB, RidgeClassifier()],
    "student": ["tree", 3, GaussianNB],
    "temperature": [0, -1, np.inf, np.nan, "high", True, None, [1.0]],
    "hard_label_weight": [-0.1, 1.1, np.nan, "half", True, None],
    "divergence": ["chi2", None, 1, ["kl"]],
    "beta": [-0.1, 1.1, np.nan, "a", None, False],
    "alpha": [np.inf, np.nan, "a", None],
    "loss_correction": [-0.1, 1.1, np.nan, "a", None],
    "smoothing": [-0.1, 1.0, np.nan, "a", None],
    "cv": [0, 1, -3, 2.5, "five", True],
    "unlabeled": [[-1], np.array([1, 2]), {}],
    "unlabeled_weight": [-1.0, np.inf, np.nan, "a", None],
    "n_synthetic": [-1, np.inf, np.nan, "a", None, True],
    "memory": [3, 1.5, ["a"]],
    "random_state": ["seed", 1.5, -1],
    "verbose": ["loud", None, 1.5],
}
POOLED = {
    "estimators": ["forest", 3, None, [], [3], [GaussianNB], {"a__b": GaussianNB()}],
    "pooling": ["harmonic", None, 3],
    "weights": ["equal", 3, [1], [1, -1], [1, np.nan], [0, 0], [1, "a"], {"x": 1}, True],
    "cv": [0, 1, 2.5, "five", True],
    "n_jobs": [0, 1.5, "two", True],
}
FIT = {
    "X": [None, 3, "samples", np.ones((119, 3))],
    "y": [
        None,
        3,
        "ab",
        np.ones(119),
        np.array(["a", 3] * 60, object),
        np.ones((120, 3)),
        np.linspace(0, 1, 120),
    ],
    "sample_weight": [
        -np.ones(120),
        np.zeros(120),
        np.ones(119),
        "heavy",
        np.full(120, np.nan),
    ],
    "teacher_proba": [3, "sure", np.ones(120), np.ones((120, 3)), GaussianNB(), np.eye(3)],
}
MUNGE = {
    "n_samples": [0, -1, 1.5, True, "10", np.nan],
    "swap_probability": [-0.1, 1.1, np.nan, None, "0.5", True],
    "local_variance": [0, -1.0, np.nan, None, "1", True],
    "categorical_features": ["a", 1, [True, False], [0.0], [[0, 1]], [3], [-1], {}],
    "random_state": ["seed", 1.5, -1],
}


@pytest.mark.parametrize("table", ["DISTILLED", "POOLED", "FIT", "FIT of a pool", "MUNGE"])
def test_hostile_values_are_refused_by_name(table):
    X, y = data()
    pair = [GaussianNB(), GaussianNB()]

    def attempt(name, value):
        if table == "DISTILLED":
            DistilledClassifier(**{"teacher": GaussianNB(), name: value}).fit(X, y)
        elif table == "POOLED":
            PooledClassifier(**{"estimators": pair, name: value}).fit(X, y)
        elif table == "MUNGE":
            munge(X, **{name: value})
        else:
            model = DistilledClassifier(GaussianNB())
            model = PooledClassifier(pair) if "pool" in table else model
            model.fit(**{"X": X, "y": y, name: value})

    accepted = []
    for name, values in globals()[table.split()[0]].items():
        if table == "FIT of a pool" and name == "teacher_proba":
            continue
        for value in values:
            try:
                attempt(name, value)
            except (TypeError, ValueError) as error:
                named = name.replace("_", "[_ ]").rstrip("s")  # scikit-learn: Sample weights
                if re.search(rf"\b{named}s?\b", str(error), re.IGNORECASE):
                    continue
                accepted.append(f"{name}={value!r}: {error}")
            else:
                accepted.append(f"{name}={value!r} is accepted")
    assert not accepted, "\n".join(accepted)


def hard(proba):
    return (proba == proba.max(axis=1, keepdims=True)).astype(int)


def read_only(proba):
    proba.flags.writeable = False
    return proba


@pytest.mark.parametrize(
    "student", [None, DecisionTreeClassifier(max_depth=3, random_state=0)]
)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(
    ("says", "same"),
    [
        (hard, lambda p: hard(p).astype(float)),
        (lambda p: hard(p).astype(bool), lambda p: hard(p).astype(float)),
        (read_only, np.asarray),
        (pd.DataFrame, np.asarray),
    ],
    ids=["integers", "bool", "read-only", "frame"],
)
def test_whatever_array_a_teacher_answers_with(says, same, temperature, student):
    X, y = data()
    params = {"loss_correction": 0.5, "cv": 3, "smoothing": 0.05, "temperature": temperature}
    if temperature == 1.0:
        params["hard_label_weight"] = "auto"
    model, other = (
        DistilledClassifier(Teacher(f), student, **params).fit(X, y) for f in (says, same)
    )
    assert model.hard_label_weight_ == other.hard_label_weight_
    assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-12)


def test_the_choice_of_a_share_needs_three_folds_of_its_own():
    X, y = data()
    with pytest.raises(ValueError, match="at least 3 folds, got 2"):
        DistilledClassifier(Teacher(), cv=KFold(2), hard_label_weight="auto").fit(X, y)
    model = DistilledClassifier(Teacher(), cv=3, hard_label_weight="auto").fit(X, y)
    assert 0.0 <= model.hard_label_weight_ <= 1.0


@pytest.mark.parametrize("cv", [None, 5, 1000])
def test_folds_that_cannot_be_made_name_the_parameter(cv):
    X, _ = data(6)
    with pytest.raises(ValueError, match="Set cv to fewer folds") as caught:
        DistilledClassifier(Teacher(), temperature="auto", cv=cv).fit(X, np.arange(6) % 2)
    assert ("(5), for temperature" in str(caught.value)) == (cv is None)


def test_groups_are_passed_as_folds():
    X, y = data()
    folds = list(GroupKFold(4).split(X, y, np.arange(120) // 10))
    model = DistilledClassifier(Teacher(), cv=folds, temperature="auto").fit(X, y)
    assert np.isfinite(model.temperature_)


@pytest.mark.parametrize(
    "y", [np.array(["-1", "a", "b"] * 40), np.array(["nan", "a", "b"] * 40)]
)
def test_a_marker_that_became_a_string(y):
    X, _ = data()
    marker = -1 if "-1" in y else np.nan
    with pytest.raises(ValueError, match=r"arrays of strings turn numbers into strings"):
        DistilledClassifier(Teacher(), unlabeled=marker).fit(X, y)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_nan_marks_all_that_is_missing(missing):
    X, y = data()
    marked = NAMES[y].astype(object)
    marked[::3] = missing
    model = DistilledClassifier(LogisticRegression(), unlabeled=np.nan).fit(X, marked)
    known = np.where(np.arange(120) % 3 > 0, y, -1)
    other = DistilledClassifier(LogisticRegression(), unlabeled=-1).fit(X, known)
    assert model.classes_.tolist() == NAMES.tolist()
    assert_allclose(model.student_.coef_, other.student_.coef_, rtol=0, atol=1e-12)


def test_a_single_class():
    X, _ = data()
    with pytest.raises(ValueError, match="y holds only 1 class, 'a'; at least two"):
        DistilledClassifier(GaussianNB()).fit(X, np.repeat("a", 120))


def test_a_teacher_without_classes():
    class Bare(BaseEstimator):
        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    with pytest.raises(TypeError, match="The teacher Bare has no classes_"):
        DistilledClassifier(Bare()).fit(*data())


def test_lists_of_teachers_pass_on_weights_that_are_requested():
    X, y = data()
    weight = np.random.default_rng(0).uniform(size=120)
    expected = DistilledClassifier([LogisticRegression(), GaussianNB()])
    expected.fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        teachers = [
            e.set_fit_request(sample_weight=True) for e in (LogisticRegression(), GaussianNB())
        ]
        model = DistilledClassifier(teachers).fit(X, y, sample_weight=weight)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [{"alpha": 5.0}, {"alpha": -3.0}], ids=str)
def test_rows_of_weight_0_may_be_infinitely_wrong(params, dtype):
    X, _ = data()
    p = 1.0 / (1.0 + np.exp(-X[:, :1]))
    proba = np.hstack([1.0 - p, p])
    far = np.vstack([X, [[1e4, 0.0, 0.0]] * 3]).astype(dtype)
    says = np.vstack([proba, [[0.999, 0.001]] * 3])
    weight = np.r_[np.ones(120), np.zeros(3)]
    model = DistilledClassifier(None, divergence="alpha", **params)
    without = model.fit(X.astype(dtype), teacher_proba=proba).student_.coef_
    found = model.fit(far, teacher_proba=says, sample_weight=weight).student_.coef_
    assert_allclose(found, without, rtol=0, atol=1e-3)


def test_labels_of_weight_0_are_not_chosen():
    X, y = data()
    marked = np.where(np.arange(120) < 60, -1, y)
    weight = np.where(marked < 0, 1.0, 0.0)
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    model = DistilledClassifier(teacher, hard_label_weight="auto", unlabeled=-1)
    assert model.fit(X, marked, sample_weight=weight).hard_label_weight_ < 1.0
