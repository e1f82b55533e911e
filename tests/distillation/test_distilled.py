"""DistilledClassifier against the same steps done by hand."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import rel_entr, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sklkl._targets import is_unlabeled
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import d2_kl_score, get_scorer

NAMES = np.array(["setosa", "versicolor", "virginica"])


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what its ``fit`` was given."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y, sample_weight=None, group=None):
        self.X_, self.y_, self.sample_weight_, self.group_ = X, y, sample_weight, group
        inner = LogisticRegression(max_iter=1000) if self.inner is None else clone(self.inner)
        self.inner_ = inner.fit(X, y, sample_weight=sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)

    def predict(self, X):
        return self.inner_.predict(X)


class Uncertain(ClassifierMixin, BaseEstimator):
    """A teacher that says what it is told to, whatever X is."""

    def __init__(self, proba):
        self.proba = proba

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.asarray(self.proba)


def data(n_classes=3):
    load = load_iris if n_classes == 3 else load_breast_cancer
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X)[::2, :6], y[::2]


def weights(n_samples, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 3.0, size=n_samples)


def forest():
    """A teacher whose probabilities hold exact zeros and ones."""
    return RandomForestClassifier(n_estimators=10, random_state=0)


TEACHERS = [LogisticRegression(), forest()]


def tempered(proba, temperature):
    powers = np.power(proba, 1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def exact(**params):
    return SoftLabelLogisticRegression(**{"tol": 1e-11, "max_iter": 10_000, **params})


def fit_on_rows(student, X, proba, classes, sample_weight=None, name="sample_weight"):
    """Fit a student to a weighted row per sample and class."""
    n_samples, n_classes = proba.shape
    weight = proba if sample_weight is None else proba * sample_weight[:, None]
    rows = np.repeat(X, n_classes, axis=0)
    labels = np.tile(classes, n_samples)
    return clone(student).fit(rows, labels, **{name: weight.ravel()})


# -- Teachers ------------------------------------------------------------------


def test_teacher_is_cloned_and_fitted():
    X, y = data()
    teacher, student = LogisticRegression(C=0.3), SoftLabelLogisticRegression(C=5.0)
    model = DistilledClassifier(teacher, student).fit(X, y)
    assert not hasattr(teacher, "coef_")
    assert not hasattr(student, "coef_")
    assert student.classes is None
    assert model.teacher_ is not teacher
    np.testing.assert_array_equal(model.teacher_.coef_, clone(teacher).fit(X, y).coef_)


@pytest.mark.parametrize("with_labels", [False, True])
def test_frozen_teacher_is_not_fitted(with_labels):
    X, y = data()
    teacher = LogisticRegression().fit(X, NAMES[y])
    coef = teacher.coef_.copy()
    model = DistilledClassifier(FrozenEstimator(teacher))
    model.fit(X[::3], NAMES[y[::-3]] if with_labels else None)
    np.testing.assert_array_equal(teacher.coef_, coef)
    assert model.teacher_.estimator is teacher
    assert model.classes_.tolist() == NAMES.tolist()
    expected = SoftLabelLogisticRegression(classes=NAMES)
    expected.fit(X[::3], teacher.predict_proba(X[::3]))
    np.testing.assert_array_equal(model.student_.coef_, expected.coef_)


def test_labels_are_needed_unless_the_teacher_is_frozen():
    X, y = data()
    for teacher in (LogisticRegression(), LogisticRegression().fit(X, y)):
        with pytest.raises(ValueError, match=r"y is None\. Wrap a fitted teacher"):
            DistilledClassifier(teacher).fit(X)


def test_unfitted_frozen_teacher():
    X, _ = data()
    with pytest.raises(NotFittedError):
        DistilledClassifier(FrozenEstimator(LogisticRegression())).fit(X)


def test_teacher_without_probabilities():
    X, y = data()
    with pytest.raises(TypeError, match="The teacher LinearSVC has no predict_proba"):
        DistilledClassifier(LinearSVC()).fit(X, y)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.6, 0.0], "sums to 1.1 instead of 1"),
        ([1.5, -0.5, 0.0], "has the negative entry"),
        ([np.nan, 0.5, 0.5], "contains NaN"),
    ],
)
def test_teacher_with_bad_probabilities(row, message):
    X, y = data()
    proba = np.full((len(X), 3), 1 / 3)
    proba[4] = row
    with pytest.raises(ValueError, match=rf"The teacher's predict_proba\[4\] {message}"):
        DistilledClassifier(Uncertain(proba)).fit(X, y)


def test_soft_teacher_learns_from_soft_targets():
    X, y = data()
    targets = softmax(np.eye(3)[y] + X[:, :3], axis=1)
    model = DistilledClassifier(SoftLabelLogisticRegression()).fit(X, targets)
    teacher = SoftLabelLogisticRegression().fit(X, targets)
    np.testing.assert_array_equal(model.teacher_.coef_, teacher.coef_)


def test_soft_teacher_learns_the_columns_of_a_data_frame():
    X, y = data()
    targets = pd.DataFrame(softmax(np.eye(3)[y] + X[:, :3], axis=1), columns=["c", "a", "b"])
    model = DistilledClassifier(SoftLabelLogisticRegression()).fit(X, targets)
    assert model.teacher_.classes_.tolist() == ["c", "a", "b"]
    assert model.classes_.tolist() == ["c", "a", "b"]
    assert set(model.predict(X)) <= set("abc")


# -- The logistic student ------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("teacher", TEACHERS, ids=["logistic", "forest"])
def test_default_student(n_classes, teacher):
    X, y = data(n_classes)
    model = DistilledClassifier(teacher).fit(X, y)
    proba = clone(teacher).fit(X, y).predict_proba(X)
    student = SoftLabelLogisticRegression().fit(X, proba)
    assert isinstance(model.student_, SoftLabelLogisticRegression)
    np.testing.assert_array_equal(model.student_.coef_, student.coef_)
    np.testing.assert_array_equal(model.student_.intercept_, student.intercept_)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(student, method)(X)
        np.testing.assert_array_equal(getattr(model, method)(X), expected)
        np.testing.assert_array_equal(getattr(model.student_, method)(X), expected)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-14)
    assert model.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
@pytest.mark.parametrize("teacher", TEACHERS, ids=["logistic", "forest"])
def test_temperature(n_classes, temperature, teacher):
    X, y = data(n_classes)
    model = DistilledClassifier(teacher, exact(), temperature=temperature).fit(X, y)
    proba = clone(teacher).fit(X, y).predict_proba(X)
    student = exact().fit(X, tempered(proba, temperature))
    np.testing.assert_allclose(
        model.student_.coef_, temperature * student.coef_, rtol=1e-7, atol=1e-8
    )
    np.testing.assert_allclose(
        model.student_.intercept_, temperature * student.intercept_, rtol=1e-7, atol=1e-8
    )
    np.testing.assert_array_equal(model.predict_proba(X), model.student_.predict_proba(X))


def test_temperature_one_is_no_temperature():
    X, y = data()
    plain = DistilledClassifier(forest()).fit(X, y)
    one = DistilledClassifier(forest(), temperature=1).fit(X, y)
    np.testing.assert_array_equal(one.student_.coef_, plain.student_.coef_)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("C", [0.1, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_objective_of_the_student(n_classes, temperature, C, weighted):
    """The student minimises C T² sum(s KL(p_T, softmax(z / T))) + |W|² / 2."""
    X, y = data(n_classes)
    weight = weights(len(X)) if weighted else None
    s = np.ones(len(X)) if weight is None else weight
    model = DistilledClassifier(LogisticRegression(), exact(C=C), temperature=temperature)
    model.fit(X, y, sample_weight=weight)
    p = tempered(model.teacher_.predict_proba(X), temperature)

    def objective(W):
        raw = X @ W[:, :-1].T + W[:, -1]
        if n_classes == 2:
            raw = np.column_stack([np.zeros(len(X)), raw])
        divergence = rel_entr(p, softmax(raw / temperature, axis=1)).sum(axis=1)
        return C * temperature**2 * (s @ divergence) + 0.5 * np.sum(W[:, :-1] ** 2)

    W = np.column_stack([model.student_.coef_, model.student_.intercept_])
    step = 1e-4
    for index in np.ndindex(W.shape):
        E = np.zeros_like(W)
        E[index] = step
        slope = (objective(W + E) - objective(W - E)) / (2 * step)
        assert abs(slope) < 1e-5


@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 1e2, 1e6])
@pytest.mark.parametrize("teacher", TEACHERS, ids=["logistic", "forest"])
def test_extreme_temperatures_stay_finite(temperature, teacher):
    X, y = data()
    model = DistilledClassifier(teacher, temperature=temperature).fit(X, y)
    assert np.isfinite(model.student_.coef_).all()
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 10.0, 1e2, 1e3, 1e4])
def test_high_temperature_matches_the_logits(temperature):
    """In the limit the student fits centred logits (Hinton et al., 2015, section 2.1).

    Tempered targets are then nearly uniform, and so is a student that was not trained at
    all: the tolerance has to follow.
    """
    X, y = data()
    teacher = LogisticRegression().fit(X, y)
    model = DistilledClassifier(
        FrozenEstimator(teacher), SoftLabelLogisticRegression(C=1e4), temperature=temperature
    )
    model.fit(X)
    expected = teacher.decision_function(X)
    got = model.decision_function(X)
    got -= got.mean(axis=1, keepdims=True)
    assert abs(got - expected).max() < 0.05 * abs(expected).max()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_zeros_stay_zeros(temperature):
    X, y = data()
    student = Recorder(GaussianNB())
    model = DistilledClassifier(forest(), student, temperature=temperature).fit(X, y)
    proba = model.teacher_.predict_proba(X)
    taught = model.student_.sample_weight_.reshape(proba.shape)
    assert (proba == 0).any()
    np.testing.assert_array_equal(taught == 0, proba == 0)
    np.testing.assert_allclose(taught, tempered(proba, temperature), rtol=1e-12)
    np.testing.assert_allclose(taught.sum(axis=1), 1.0, rtol=1e-14)


def test_small_probabilities_do_not_underflow():
    X, y = data(2)
    proba = np.tile([1e-300, 1.0 - 1e-300], (len(X), 1))
    model = DistilledClassifier(Uncertain(proba), Recorder(GaussianNB()), temperature=100.0)
    taught = model.fit(X, y).student_.sample_weight_.reshape(proba.shape)
    np.testing.assert_allclose(taught[:, 0], 1e-3 / 1.001, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0, -1.0, 1e-7, 1e7, np.nan, np.inf, "2", None])
def test_bad_temperature(temperature):
    X, y = data()
    with pytest.raises(
        ValueError, match="temperature must be 'auto' or a number from 1e-6 to 1e6; got"
    ):
        DistilledClassifier(forest(), temperature=temperature).fit(X, y)


# -- Students that hold a logistic one -----------------------------------------


def search_over(estimator, name):
    grid = {name: [0.1, 10.0]}
    return GridSearchCV(estimator, grid, scoring=get_scorer("neg_kl_loss"), cv=KFold(3))


def soft_students():
    logit = SoftLabelLogisticRegression(tol=1e-9)
    pipeline = Pipeline([("scale", StandardScaler()), ("logit", logit)])
    return {
        "logit": logit,
        "pipeline": pipeline,
        "nested pipeline": make_pipeline(StandardScaler(), pipeline),
        "search": search_over(logit, "C"),
        "search over a pipeline": search_over(pipeline, "logit__C"),
        "pipeline of a search": make_pipeline(StandardScaler(), search_over(logit, "C")),
    }


def logit_of(student):
    while not isinstance(student, SoftLabelLogisticRegression):
        student = student[-1] if isinstance(student, Pipeline) else student.best_estimator_
    return student


@pytest.mark.parametrize("kind", soft_students())
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_students_that_learn_from_probabilities(kind, temperature):
    X, y = data()
    X = 3.0 * X + 1.0
    student = soft_students()[kind]
    model = DistilledClassifier(forest(), student, temperature=temperature).fit(X, NAMES[y])
    assert model.classes_.tolist() == NAMES.tolist()
    assert model.student_.classes_.tolist() == NAMES.tolist()
    proba = forest().fit(X, y).predict_proba(X)
    expected = clone(student).fit(X, tempered(proba, temperature))
    logit, expected_logit = logit_of(model.student_), logit_of(expected)
    np.testing.assert_allclose(logit.coef_, temperature * expected_logit.coef_, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), NAMES[expected.predict(X)])
    np.testing.assert_array_equal(
        model.decision_function(X), model.student_.decision_function(X)
    )


@pytest.mark.parametrize("kind", soft_students())
def test_weights_reach_nested_logistic_students(kind):
    X, y = data()
    student = soft_students()[kind]
    teacher = LogisticRegression().fit(X, y)
    weight = np.r_[np.full(40, 5.0), np.full(len(X) - 40, 0.1)]
    plain = DistilledClassifier(FrozenEstimator(teacher), student).fit(X)
    weighted = clone(plain).fit(X, sample_weight=weight)
    scaled = clone(plain).fit(X, sample_weight=np.full(len(X), 1.0))
    assert abs(logit_of(weighted.student_).coef_ - logit_of(plain.student_).coef_).max() > 1e-3
    np.testing.assert_allclose(
        logit_of(scaled.student_).coef_, logit_of(plain.student_).coef_, rtol=1e-10
    )


# -- Other students ------------------------------------------------------------


OTHER_STUDENTS = {
    "tree": DecisionTreeClassifier(min_samples_leaf=20, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "bayes": GaussianNB(),
    "logistic": LogisticRegression(),
    "pipeline": Pipeline([("scale", StandardScaler()), ("logit", LogisticRegression())]),
}


@pytest.mark.parametrize("kind", OTHER_STUDENTS)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_students_that_need_labels(kind, temperature, weighted):
    X, y = data()
    X = 3.0 * X + 1.0
    student = OTHER_STUDENTS[kind]
    weight = weights(len(X)) if weighted else None
    model = DistilledClassifier(forest(), student, temperature=temperature)
    model.fit(X, NAMES[y], sample_weight=weight)
    proba = forest().fit(X, NAMES[y], sample_weight=weight).predict_proba(X)
    name = "logit__sample_weight" if kind == "pipeline" else "sample_weight"
    taught = tempered(proba, temperature)
    expected = fit_on_rows(student, X, taught, NAMES, weight, name).predict_proba(X)
    np.testing.assert_allclose(model.student_.predict_proba(X), expected, rtol=1e-6)
    # What was learnt at the temperature is brought back to 1.
    np.testing.assert_allclose(
        model.predict_proba(X), tempered(expected, 1 / temperature), rtol=1e-5, atol=1e-300
    )
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.student_.predict(X))
    assert model.classes_.tolist() == NAMES.tolist()


def test_both_kinds_of_logistic_student_agree():
    X, y = data()
    for temperature in (1.0, 3.0):
        native = DistilledClassifier(forest(), exact(), temperature=temperature).fit(X, y)
        rows = DistilledClassifier(
            forest(),
            LogisticRegression(solver="newton-cholesky", tol=1e-10),
            temperature=temperature,
        ).fit(X, y)
        np.testing.assert_allclose(native.predict_proba(X), rows.predict_proba(X), atol=1e-7)


@pytest.mark.parametrize("pipeline", [False, True])
def test_search_over_students_that_need_labels(pipeline):
    """Its folds would hold rows of one sample on both sides."""
    X, y = data()
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=KFold(3))
    student = make_pipeline(StandardScaler(), search) if pipeline else search
    with pytest.raises(TypeError, match="Search from outside, over the student__ parameters"):
        DistilledClassifier(forest(), student).fit(X, NAMES[y])


def test_search_that_leaves_no_student():
    X, y = data()
    search = GridSearchCV(SoftLabelLogisticRegression(), {"C": [0.1, 1.0]}, refit=False)
    with pytest.raises(ValueError, match="set refit=True"):
        DistilledClassifier(forest(), search).fit(X, NAMES[y])


def test_a_failed_refit_changes_nothing():
    X, y = data()
    model = DistilledClassifier(LogisticRegression(), SoftLabelLogisticRegression())
    with pytest.raises(ValueError, match="C must be"):
        clone(model).set_params(student__C=-1).fit(X, y)
    model.fit(X, y)
    before = dict(vars(model))
    model.set_params(student__C=-1)
    with pytest.raises(ValueError, match="C must be"):
        model.fit(X, NAMES[y])
    assert model.teacher_ is before["teacher_"]
    assert model.student_ is before["student_"]
    assert model.classes_ is before["classes_"]


def test_tolerance_that_a_search_chose():
    X, y = data()
    for grid, expected in (({"tol": [1e-8]}, 1e-8), ({"C": [1.0]}, 1e-3)):
        search = GridSearchCV(SoftLabelLogisticRegression(), grid)
        model = DistilledClassifier(forest(), search, temperature=4.0).fit(X, y)
        assert model.student_.best_estimator_.tol == expected


def test_frozen_teacher_and_no_label_at_all():
    X, y = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    expected = DistilledClassifier(teacher).fit(X)
    model = DistilledClassifier(teacher, unlabeled=-1).fit(X, np.full(len(y), -1))
    np.testing.assert_array_equal(model.student_.coef_, expected.student_.coef_)


def test_unfitted_frozen_teacher_with_labels():
    X, y = data()
    with pytest.raises(NotFittedError):
        DistilledClassifier(FrozenEstimator(LogisticRegression())).fit(X, y)


def test_labels_that_a_frozen_teacher_does_not_know():
    X, y = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"y\[0\] is 'setosa', not one of the classes"):
        DistilledClassifier(teacher).fit(X, NAMES[np.sort(y)])
    with pytest.raises(ValueError, match="Unknown label type"):
        DistilledClassifier(teacher).fit(X, np.linspace(0, 1, len(X)))


class BadTeacher(LogisticRegression):
    """Gives probabilities of a shape that they must not have."""

    def __init__(self, cut=None):
        super().__init__()
        self.cut = cut

    def predict_proba(self, X):
        return super().predict_proba(X)[self.cut]


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ((slice(None), slice(2)), "has shape .* not a column for each of its classes"),
        ((slice(None), 0), "not a column for each of its classes"),
        (slice(-1), "inconsistent numbers of samples"),
    ],
)
@pytest.mark.parametrize("student", [None, DecisionTreeClassifier()])
def test_teacher_with_probabilities_of_a_bad_shape(cut, message, student):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(BadTeacher(cut), student).fit(X, y)


@pytest.mark.parametrize(
    ("y", "marker"),
    [
        (["a", np.nan, "b", "a"], np.nan),
        ([1.0, np.nan, 2.0, 1.0], np.nan),
        (np.array([1.0, np.nan, 2.0, 1.0]), np.nan),
        (["a", "?", "b", "a"], "?"),
        (pd.Series(["a", pd.NA, "b", "a"], dtype="string"), pd.NA),
        (pd.Series([1, pd.NA, 2, 1], dtype="Int64"), pd.NA),
    ],
)
def test_markers(y, marker):
    assert is_unlabeled(y, marker).tolist() == [False, True, False, False]


@pytest.mark.parametrize("y", [["a", "-1"], [1.0, 2.0], [1, 2], pd.Series(["a", "b"])])
@pytest.mark.parametrize("marker", [-1, "?", np.nan, pd.NA])
def test_markers_that_do_not_occur(y, marker):
    for values in (y, np.asarray(y)):
        assert is_unlabeled(values, marker).tolist() == [False, False]


def test_score_leaves_unlabeled_samples_out():
    X, y = data()
    model = DistilledClassifier(LogisticRegression(), unlabeled=-1).fit(X, y)
    marked = np.where(np.arange(len(y)) % 2, y, -1)
    odd = np.arange(len(y)) % 2 == 1
    weight = weights(len(y))
    assert model.score(X, marked) == model.score(X[odd], y[odd])
    assert model.score(X, marked, weight) == model.score(X[odd], y[odd], weight[odd])
    with pytest.raises(ValueError, match="marks samples without a label"):
        get_scorer("neg_kl_loss")(model, X, marked)
    with pytest.raises(ValueError, match="marks samples without a label"):
        get_scorer("neg_kl_loss")(make_pipeline(model).fit(X, y), X, marked)


def test_scorers_take_a_soft_target_with_the_marker_in_one_column():
    X, y = data()
    soft = np.eye(len(np.unique(y)))[y]
    model = DistilledClassifier(SoftLabelLogisticRegression(), unlabeled=0).fit(X, soft)
    assert get_scorer("neg_kl_loss")(make_pipeline(model), X, soft) < 0
    soft[0] = 0
    with pytest.raises(ValueError, match="y_true holds 0, which marks"):
        get_scorer("neg_kl_loss")(model, X, soft)


def test_score_requests_weights():
    X, y = data()
    weight = weights(len(y))
    with config_context(enable_metadata_routing=True):
        teacher = LogisticRegression().set_fit_request(sample_weight=False)
        student = SoftLabelLogisticRegression().set_fit_request(sample_weight=False)
        model = DistilledClassifier(teacher, student).set_score_request(sample_weight=True)
        folds = KFold(3, shuffle=True, random_state=0)
        scores = cross_val_score(model, X, y, cv=folds, params={"sample_weight": weight})
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        fitted = DistilledClassifier(LogisticRegression()).fit(X[train], y[train])
        assert score == fitted.score(X[test], y[test], weight[test])


def test_student_that_takes_no_weights():
    X, y = data()
    for student in (
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ):
        with pytest.raises(TypeError, match="neither from probabilities, nor has its fit"):
            DistilledClassifier(forest(), student).fit(X, y)


def test_log_proba_of_a_student_that_is_certain():
    X, y = data()
    model = DistilledClassifier(forest(), DecisionTreeClassifier(random_state=0)).fit(X, y)
    with np.errstate(divide="ignore"):
        expected = np.log(model.predict_proba(X))
    np.testing.assert_array_equal(model.predict_log_proba(X), expected)


def test_log_proba_of_the_logistic_student_does_not_underflow():
    X, y = data(2)
    model = DistilledClassifier(LogisticRegression()).fit(X, y)
    log_proba = model.predict_log_proba(1e5 * X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -1e4


def test_student_without_probabilities():
    X, y = data()
    model = DistilledClassifier(forest(), LinearSVC())
    for _ in range(2):
        assert not hasattr(model, "predict_proba")
        assert not hasattr(model, "predict_log_proba")
        assert hasattr(model, "decision_function")
        model.fit(X, NAMES[y])
    assert set(model.predict(X)) <= set(NAMES)
    assert model.score(X, NAMES[y]) > 0.9
    assert model.decision_function(X).shape == (len(X), 3)


def test_student_without_decision_function():
    X, y = data()
    model = DistilledClassifier(forest(), GaussianNB())
    assert not hasattr(model, "decision_function")
    assert not hasattr(model.fit(X, y), "decision_function")


# -- Classes -------------------------------------------------------------------


@pytest.mark.parametrize("student", [None, GaussianNB()], ids=["logistic", "bayes"])
def test_string_classes(student):
    X, y = data()
    model = DistilledClassifier(forest(), student).fit(X, NAMES[y])
    codes = DistilledClassifier(forest(), student).fit(X, y)
    assert model.classes_.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(model.predict(X), NAMES[codes.predict(X)])
    np.testing.assert_array_equal(model.predict_proba(X), codes.predict_proba(X))


@pytest.mark.parametrize("nested", [False, True])
def test_classes_of_the_student_in_another_order(nested):
    X, y = data()
    order = [2, 0, 1]
    student = exact(classes=NAMES[order].tolist())
    if nested:
        student = make_pipeline(StandardScaler(with_mean=False, with_std=False), student)
    model = DistilledClassifier(forest(), student).fit(X, NAMES[y])
    expected = DistilledClassifier(forest(), exact()).fit(X, NAMES[y])
    assert model.teacher_.classes_.tolist() == NAMES.tolist()
    assert model.classes_.tolist() == NAMES.tolist()  # sorted, as y holds labels
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_student_with_more_classes(temperature):
    X, y = data()
    classes = [*NAMES[::-1].tolist(), "unheard of"]
    student = SoftLabelLogisticRegression(classes=classes)
    model = DistilledClassifier(LogisticRegression(), student, temperature=temperature)
    model.fit(X, NAMES[y])
    assert model.classes_.tolist() == sorted(classes)
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), 4)
    assert proba[:, 1].max() < 0.01
    expected = DistilledClassifier(LogisticRegression(), temperature=temperature)
    expected.fit(X, NAMES[y])
    others = np.delete(proba, 1, axis=1)
    np.testing.assert_allclose(others, expected.predict_proba(X), atol=0.01)


def test_student_with_fewer_classes():
    X, y = data()
    student = SoftLabelLogisticRegression(classes=["setosa", "versicolor"])
    with pytest.raises(ValueError, match=r"y\[50\] is 'virginica', not one of the classes"):
        DistilledClassifier(forest(), student).fit(X, NAMES[y])


# -- Samples without labels ----------------------------------------------------


def markers():
    """Marker, labels of any kind, and the same labels with every third one removed."""
    _, y = data()
    hidden = np.arange(len(y)) % 3 == 0
    names = NAMES[y]
    return hidden, {
        "int": (-1, y, np.where(hidden, -1, y)),
        "str": ("?", names, np.where(hidden, "?", names)),
        "object": ("?", names.astype(object), np.where(hidden, "?", names).astype(object)),
        "nan": (np.nan, y.astype(float), np.where(hidden, np.nan, y)),
        "list": (-1, y, np.where(hidden, -1, y).tolist()),
        "series": (-1, y, pd.Series(np.where(hidden, -1, y), index=np.arange(len(y))[::-1])),
    }


@pytest.mark.parametrize("kind", markers()[1])
@pytest.mark.parametrize("weighted", [False, True])
def test_unlabeled(kind, weighted):
    hidden, cases = markers()
    marker, labels, y = cases[kind]
    X, _ = data()
    weight = weights(len(X)) if weighted else None
    student = Recorder(GaussianNB())
    model = DistilledClassifier(Recorder(), student, unlabeled=marker)
    model.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.teacher_.X_, X[~hidden])
    np.testing.assert_array_equal(model.teacher_.y_, labels[~hidden])
    np.testing.assert_array_equal(model.student_.X_, np.repeat(X, 3, axis=0))
    proba = model.teacher_.predict_proba(X)
    if weighted:
        np.testing.assert_array_equal(model.teacher_.sample_weight_, weight[~hidden])
        proba = proba * weight[:, None]
    else:
        assert model.teacher_.sample_weight_ is None
    np.testing.assert_allclose(model.student_.sample_weight_, proba.ravel(), rtol=1e-14)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))


@pytest.mark.parametrize("marker", [-1.0, -1, np.nan])
@pytest.mark.parametrize("frame", [False, True])
def test_unlabeled_rows_of_soft_targets(marker, frame):
    X, labels = data()
    hidden = np.arange(len(X)) % 3 == 0
    targets = softmax(np.eye(3)[labels] + X[:, :3], axis=1)
    y = np.where(hidden[:, None], marker, targets)
    if frame:
        y = pd.DataFrame(y, columns=["c", "a", "b"], index=np.arange(len(X))[::-1])
    teacher = Recorder(SoftLabelLogisticRegression())
    weight = weights(len(X))
    model = DistilledClassifier(teacher, unlabeled=marker).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.teacher_.X_, X[~hidden])
    np.testing.assert_array_equal(np.asarray(model.teacher_.y_), targets[~hidden])
    np.testing.assert_array_equal(model.teacher_.sample_weight_, weight[~hidden])
    student = SoftLabelLogisticRegression()
    student.fit(X, model.teacher_.predict_proba(X), sample_weight=weight)
    np.testing.assert_array_equal(model.student_.coef_, student.coef_)
    assert model.classes_.tolist() == (["c", "a", "b"] if frame else [0, 1, 2])


def test_partly_marked_soft_row_is_an_error():
    X, labels = data()
    y = np.eye(3)[labels]
    y[5, 0] = -1.0
    with pytest.raises(ValueError, match=r"y\[5\]"):
        DistilledClassifier(SoftLabelLogisticRegression(), unlabeled=-1).fit(X, y)


@pytest.mark.parametrize("marker", [None, -1, "?", np.nan])
def test_marker_that_does_not_occur(marker):
    X, y = data()
    plain = DistilledClassifier(LogisticRegression()).fit(X, NAMES[y])
    model = DistilledClassifier(LogisticRegression(), unlabeled=marker).fit(X, NAMES[y])
    np.testing.assert_array_equal(model.student_.coef_, plain.student_.coef_)


@pytest.mark.parametrize("soft", [False, True])
def test_no_labelled_sample(soft):
    X, _ = data()
    y = np.full((len(X), 3), -1.0) if soft else np.full(len(X), -1)
    with pytest.raises(ValueError, match="y has no labelled sample"):
        DistilledClassifier(SoftLabelLogisticRegression(), unlabeled=-1).fit(X, y)


def test_unlabeled_without_the_marker_is_a_class():
    X, y = data()
    y = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    model = DistilledClassifier(LogisticRegression()).fit(X, y)
    assert model.classes_.tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("container", [csr_array, pd.DataFrame, np.ndarray.tolist])
def test_unlabeled_with_kinds_of_X(container):
    _, cases = markers()
    marker, _, y = cases["int"]
    X, _ = data()
    expected = DistilledClassifier(LogisticRegression(), exact(), unlabeled=marker).fit(X, y)
    model = clone(expected).fit(container(X), y)
    np.testing.assert_allclose(
        model.predict_proba(X if container is np.ndarray.tolist else container(X)),
        expected.predict_proba(X),
        atol=1e-4,
    )


# -- Kinds of X, bad y ---------------------------------------------------------


@pytest.mark.parametrize("student", [None, LogisticRegression()], ids=["soft", "rows"])
def test_sparse(student):
    X, y = data()
    X = np.where(abs(X) < 0.3, 0.0, X)
    student = exact() if student is None else student.set_params(tol=1e-8)
    teacher = LogisticRegression(tol=1e-8)
    model = DistilledClassifier(teacher, student).fit(csr_array(X), y)
    expected = DistilledClassifier(teacher, student).fit(X, y)
    np.testing.assert_allclose(
        model.predict_proba(csr_array(X)), expected.predict_proba(X), atol=1e-5
    )


@pytest.mark.parametrize("student", [None, LogisticRegression()], ids=["soft", "rows"])
def test_feature_names(student):
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcd"))
    with warnings.catch_warnings():
        # A step that got an array where another got names would say so here.
        warnings.simplefilter("error")
        model = DistilledClassifier(LogisticRegression(), student).fit(frame, y)
        proba = model.predict_proba(frame)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    expected = DistilledClassifier(LogisticRegression(), student).fit(X, y)
    np.testing.assert_allclose(proba, expected.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(74, dtype=int), r"inconsistent numbers of samples: 75 and 74"),
        (np.linspace(0, 1, 75), "Unknown label type"),
        (np.eye(3, dtype=int)[np.arange(75) % 3], "y is a matrix of integers"),
        (np.full((75, 3), 0.4), r"y\[0\] sums to 1.2 instead of 1"),
    ],
)
def test_bad_y(y, message):
    X, _ = data()
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(SoftLabelLogisticRegression()).fit(X, y)


# -- Weights and metadata ------------------------------------------------------


def search_of_one(estimator, name):
    return GridSearchCV(estimator, {name: [1.0]}, cv=3)


WEIGHTED_TEACHERS = {
    "plain": LogisticRegression(),
    "pipeline": make_pipeline("passthrough", LogisticRegression()),
    "search": search_of_one(LogisticRegression(), "C"),
    "search over a pipeline": search_of_one(
        make_pipeline("passthrough", LogisticRegression()), "logisticregression__C"
    ),
}


@pytest.mark.parametrize("kind", WEIGHTED_TEACHERS)
def test_weights_reach_teacher_and_student(kind):
    X, y = data()
    weight = weights(len(X))
    model = DistilledClassifier(WEIGHTED_TEACHERS[kind], exact())
    model.fit(X, y, sample_weight=weight)
    expected_teacher = LogisticRegression().fit(X, y, sample_weight=weight)
    proba = model.teacher_.predict_proba(X)
    np.testing.assert_allclose(proba, expected_teacher.predict_proba(X), rtol=1e-10)
    expected = exact().fit(X, proba, sample_weight=weight)
    np.testing.assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)


def test_weights_reach_the_last_steps_of_pipelines():
    X, y = data()
    weight = weights(len(X))
    pipeline = Pipeline([("scale", StandardScaler()), ("last", Recorder())])
    model = DistilledClassifier(pipeline, pipeline).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.teacher_["last"].sample_weight_, weight)
    proba = model.teacher_.predict_proba(X)
    np.testing.assert_allclose(
        model.student_["last"].sample_weight_, (proba * weight[:, None]).ravel(), rtol=1e-14
    )


@pytest.mark.parametrize("nested", [False, True])
def test_teacher_that_takes_no_weights(nested):
    X, y = data()
    teacher = KNeighborsClassifier()
    if nested:
        teacher = make_pipeline(StandardScaler(), teacher)
    weight = weights(len(X))
    model = DistilledClassifier(teacher, exact())
    with pytest.warns(UserWarning, match="takes no sample_weight") as record:
        model.fit(X, y, sample_weight=weight)
    assert record[0].filename == __file__
    proba = clone(teacher).fit(X, y).predict_proba(X)
    expected = exact().fit(X, proba, sample_weight=weight)
    np.testing.assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)


def test_frozen_teacher_with_weights():
    X, y = data()
    teacher = LogisticRegression().fit(X, y)
    weight = weights(len(X))
    model = DistilledClassifier(FrozenEstimator(teacher), exact())
    model.fit(X, sample_weight=weight)
    expected = exact().fit(X, teacher.predict_proba(X), sample_weight=weight)
    np.testing.assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)


def test_weight_is_repetition():
    X, y = data()
    repeats = np.random.default_rng(0).integers(0, 3, size=len(X))
    teacher = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    weighted = DistilledClassifier(teacher, exact(), temperature=2.0)
    weighted.fit(X, y, sample_weight=repeats)
    repeated = clone(weighted).fit(np.repeat(X, repeats, axis=0), np.repeat(y, repeats))
    np.testing.assert_allclose(
        weighted.student_.coef_, repeated.student_.coef_, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(75), "zero for every sample|at least one non-zero"),
        (-np.ones(75), "Negative values in data passed to `sample_weight`"),
        (np.ones(74), r"sample_weight have inconsistent numbers"),
    ],
)
def test_bad_weights(weight, message):
    X, y = data()
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)


def test_other_metadata_need_routing():
    X, y = data()
    with pytest.raises(TypeError, match=r"fit got \['group'\].*enable_metadata_routing=True"):
        DistilledClassifier(Recorder()).fit(X, y, group=np.arange(len(X)))


def requesting(**requests):
    return Recorder().set_fit_request(**requests)


@pytest.mark.parametrize(
    ("teacher_asks", "student_asks"), [(True, True), (True, False), (False, True)]
)
def test_routed_weights(teacher_asks, student_asks):
    X, y = data()
    weight = weights(len(X))
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            requesting(sample_weight=teacher_asks), requesting(sample_weight=student_asks)
        ).fit(X, y, sample_weight=weight)
    if teacher_asks:
        np.testing.assert_array_equal(model.teacher_.sample_weight_, weight)
    else:
        assert model.teacher_.sample_weight_ is None
    taught = model.teacher_.predict_proba(X)
    if student_asks:
        taught = taught * weight[:, None]
    np.testing.assert_allclose(model.student_.sample_weight_, taught.ravel(), rtol=1e-14)


@pytest.mark.parametrize("asks", [False, True])
def test_routed_weights_of_the_logistic_student(asks):
    X, y = data()
    weight = weights(len(X))
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            LogisticRegression().set_fit_request(sample_weight=not asks),
            make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                exact().set_fit_request(sample_weight=asks),
            ),
        ).fit(X, y, sample_weight=weight)
    teacher = LogisticRegression().fit(X, y, sample_weight=None if asks else weight)
    expected = make_pipeline(StandardScaler(), exact())
    expected.fit(
        X,
        teacher.predict_proba(X),
        softlabellogisticregression__sample_weight=weight if asks else None,
    )
    np.testing.assert_allclose(
        logit_of(model.student_).coef_, logit_of(expected).coef_, rtol=1e-7
    )


def test_routed_weights_of_a_pipeline_that_needs_labels():
    X, y = data()
    weight = weights(len(X))
    with config_context(enable_metadata_routing=True):
        student = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            requesting(sample_weight=True),
        )
        model = DistilledClassifier(requesting(sample_weight=True), student)
        model.fit(X, y, sample_weight=weight)
    taught = model.teacher_.predict_proba(X) * weight[:, None]
    np.testing.assert_allclose(model.student_[-1].sample_weight_, taught.ravel(), rtol=1e-14)


@pytest.mark.parametrize("student", [Recorder(), LogisticRegression(), GaussianNB()])
def test_students_that_need_labels_with_routing_on(student):
    """The weights that carry the probabilities are no metadata of the user's."""
    X, y = data()
    expected = DistilledClassifier(LogisticRegression(), student).fit(X, y)
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(LogisticRegression(), student).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_weights_requested_by_another_name():
    X, y = data()
    first, second = weights(len(X), 1), weights(len(X), 2)
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            requesting(sample_weight="teacher_weight"),
            requesting(sample_weight="student_weight"),
        ).fit(X, y, teacher_weight=first, student_weight=second)
    np.testing.assert_array_equal(model.teacher_.sample_weight_, first)
    taught = model.teacher_.predict_proba(X) * second[:, None]
    np.testing.assert_allclose(model.student_.sample_weight_, taught.ravel(), rtol=1e-14)


def test_routed_metadata_follow_their_rows():
    X, y = data()
    hidden, cases = markers()
    marker, _, y = cases["int"]
    group = np.arange(len(X))
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            requesting(group=True), requesting(group=True), unlabeled=marker
        ).fit(X, y, group=group)
    np.testing.assert_array_equal(model.teacher_.group_, group[~hidden])
    np.testing.assert_array_equal(model.student_.group_, np.repeat(group, 3))


@pytest.mark.parametrize("name", ["sample_weight", "group"])
@pytest.mark.parametrize("which", ["teacher", "student"])
def test_unrequested_metadata_raise(name, which):
    X, y = data()
    with config_context(enable_metadata_routing=True):
        parts = {"teacher": Recorder(), "student": Recorder()}
        other = "student" if which == "teacher" else "teacher"
        parts[other].set_fit_request(**{name: True})
        model = DistilledClassifier(**parts)
        with pytest.raises(UnsetMetadataPassedError, match=name):
            model.fit(X, y, **{name: np.ones(len(X))})


def test_the_default_student_takes_weights():
    X, y = data()
    weight = np.random.default_rng(0).uniform(size=len(X))
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    expected = DistilledClassifier(teacher).fit(X, y, sample_weight=weight).student_
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(teacher).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.student_.coef_, expected.coef_)


def test_metadata_that_nobody_takes():
    X, y = data()
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(LogisticRegression())
        with pytest.raises(TypeError, match="unexpected argument"):
            model.fit(X, y, group=np.ones(len(X)))


def test_frozen_teacher_with_routing():
    X, y = data()
    weight = weights(len(X))
    teacher = LogisticRegression().fit(X, y)
    with config_context(enable_metadata_routing=True):
        student = exact().set_fit_request(sample_weight=True)
        model = DistilledClassifier(FrozenEstimator(teacher), student)
        model.fit(X, sample_weight=weight)
    expected = exact().fit(X, teacher.predict_proba(X), sample_weight=weight)
    np.testing.assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)


def test_search_routes_weights_through():
    X, y = data()
    weight = weights(len(X))
    with config_context(enable_metadata_routing=True):
        model = DistilledClassifier(
            LogisticRegression().set_fit_request(sample_weight=True),
            SoftLabelLogisticRegression().set_fit_request(sample_weight=True),
        )
        scorer = get_scorer("neg_kl_loss").set_score_request(sample_weight=True)
        search = GridSearchCV(
            model, {"temperature": [1.0, 2.0]}, scoring=scorer, cv=3, error_score="raise"
        )
        search.fit(X, y, sample_weight=weight)
    for i, temperature in enumerate([1.0, 2.0]):
        scores = []
        for train, test in StratifiedKFold(3).split(X, y):
            model = DistilledClassifier(LogisticRegression(), temperature=temperature)
            model.fit(X[train], y[train], sample_weight=weight[train])
            plain = get_scorer("neg_kl_loss")
            scores.append(plain(model, X[test], y[test], sample_weight=weight[test]))
        assert search.cv_results_["mean_test_score"][i] == pytest.approx(np.mean(scores))


# -- As a part of scikit-learn -------------------------------------------------


def test_grid_search():
    X, y = data()
    names = NAMES[y]
    model = DistilledClassifier(LogisticRegression(), SoftLabelLogisticRegression())
    grid = {"teacher__C": [0.1, 10.0], "student__C": [0.1, 10.0], "temperature": [1.0, 3.0]}
    scorer = get_scorer("neg_kl_loss")
    search = GridSearchCV(model, grid, scoring=scorer, cv=3, n_jobs=2, error_score="raise")
    search.fit(X, names)
    results = search.cv_results_
    assert len(results["params"]) == 8
    for params, mean in zip(results["params"], results["mean_test_score"], strict=True):
        scores = [
            scorer(clone(model).set_params(**params).fit(X[a], names[a]), X[b], names[b])
            for a, b in StratifiedKFold(3).split(X, names)
        ]
        assert mean == pytest.approx(np.mean(scores), rel=1e-6)
    assert search.predict_proba(X).shape == (len(X), 3)
    assert search.score(X, names) == pytest.approx(scorer(search, X, names))
    assert search.best_estimator_.score(X, names) > 0.9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_score(n_classes):
    X, y = data(n_classes)
    weight = weights(len(X))
    model = DistilledClassifier(LogisticRegression()).fit(X, y)
    accuracy = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, weight) == accuracy
    soft = softmax(np.eye(n_classes)[y] + X[:, :n_classes], axis=1)
    expected = d2_kl_score(soft, model.predict_proba(X), sample_weight=weight)
    assert model.score(X, soft, weight) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", ["default", *OTHER_STUDENTS])
def test_clone_and_pickle(kind):
    X, y = data()
    model = DistilledClassifier(
        forest(), OTHER_STUDENTS.get(kind), temperature=1.5, unlabeled=-1
    ).fit(X, y)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))
    copy = clone(model)
    assert not hasattr(copy, "student_")
    assert copy.temperature == 1.5
    assert copy.unlabeled == -1
    np.testing.assert_array_equal(copy.fit(X, y).predict_proba(X), model.predict_proba(X))


def test_parameters_of_the_default_student_and_of_no_teacher():
    X, y = data()
    model = DistilledClassifier(GaussianNB())
    assert model.get_params()["student__C"] == 1.0
    assert clone(model).student is None
    assert model.set_params(student__C=0.1) is model
    assert model.get_params()["student__C"] == 0.1
    assert clone(model).fit(X, y).student_.C == 0.1
    model.set_params(student=None, student__tol=1e-3)
    assert (model.student.C, model.student.tol) == (1.0, 1e-3)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        model.set_params(student__depth=1)
    for teacher in (None, [GaussianNB()]):
        with pytest.raises(ValueError, match="teacher__C is a parameter of the teacher, but"):
            DistilledClassifier(teacher).set_params(teacher__C=1.0)
    model = DistilledClassifier(None).set_params(teacher=LogisticRegression(), teacher__C=3.0)
    assert model.teacher.C == 3.0


def test_refit_forgets():
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = DistilledClassifier(LogisticRegression()).fit(frame, y)
    X2, y2 = data(2)
    model.fit(X2, y2)
    assert model.classes_.tolist() == [0, 1]
    assert model.n_features_in_ == 6
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(DistilledClassifier(LogisticRegression()), method)(np.zeros((2, 2)))
