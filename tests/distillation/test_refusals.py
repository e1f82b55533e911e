"""What DistilledClassifier refuses, early and with advice, and odd teachers that it takes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression

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
}


@pytest.mark.parametrize("case", UNABLE)
def test_students_are_refused_before_a_teacher_is_fitted(case):
    student, params, error = UNABLE[case]
    Teacher.fits = 0
    with pytest.raises(error, match=r"student|are for SoftLabelLogisticRegression"):
        DistilledClassifier(Teacher(), student, **params).fit(*data())
    assert Teacher.fits == 0


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


@pytest.mark.parametrize("cv", [None, 5, 1000, 1])
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
