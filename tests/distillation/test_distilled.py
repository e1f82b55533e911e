"""DistilledClassifier against the same steps done by hand."""

from functools import partialmethod

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_html_repr

from sklkl.distillation import DistilledClassifier, PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from tests._support.messages import matches
from tests._support.models import Altered, Recorder, Says, exact, routing, taught, tempered
from tests._support.problems import make_problem

NAMES = np.array(["ash", "birch", "cedar"])
X, NAMED, SOFT, WEIGHT, GROUPS = make_problem(classes=tuple(NAMES.tolist()))
CODES = np.searchsorted(NAMES, NAMED)
N = len(X)
HIDDEN = np.arange(N) % 3 == 0
FROZEN = FrozenEstimator(LogisticRegression().fit(X, CODES))
FEWER = FrozenEstimator(LogisticRegression().fit(X[CODES < 2], NAMED[CODES < 2]))


def forest():
    """A teacher whose probabilities hold exact zeros and ones."""
    return RandomForestClassifier(n_estimators=5, random_state=0)


# -- Teachers and temperatures -------------------------------------------------


@pytest.mark.parametrize("y", [None, NAMED[::-3], np.full(N // 3, "?")], ids=type)
def test_frozen_teacher_is_not_fitted(y):
    teacher = LogisticRegression().fit(X, NAMED)
    coef = teacher.coef_.copy()
    model = DistilledClassifier(FrozenEstimator(teacher), unlabeled="?")
    model.fit(X[::3], y, sample_weight=WEIGHT[::3])
    assert model.teacher_.estimator is teacher
    assert_array_equal(teacher.coef_, coef)
    assert model.classes_.tolist() == NAMES.tolist()
    expected = SoftLabelLogisticRegression(classes=NAMES)
    expected.fit(X[::3], teacher.predict_proba(X[::3]), sample_weight=WEIGHT[::3])
    assert_array_equal(model.student_.coef_, expected.coef_)


def says_in_row_4(*row):
    def says(X):
        proba = np.full((len(X), 3), 1 / 3)
        proba[4] = row
        return proba

    return Says(says)


class Bare(BaseEstimator):
    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        (says_in_row_4(0.5, 0.6, 0.0), ValueError, "predict_proba[4] sums to 1.1 instead"),
        (says_in_row_4(1.5, -0.5, 0.0), ValueError, "predict_proba[4] has the negative entry"),
        (says_in_row_4(np.nan, 0.5, 0.5), ValueError, "predict_proba[4] contains NaN"),
        (Says(lambda X: np.full((len(X), 2), 0.5)), ValueError, "without a column for each"),
        (Says(lambda X: np.ones(len(X))), ValueError, "for each of the 3 classes_"),
        (Says(lambda X: np.eye(3)), ValueError, "inconsistent numbers of samples"),
        (Bare(), TypeError, "The teacher's predict_proba: the fitted Bare has no classes_"),
        (FrozenEstimator(LogisticRegression()), NotFittedError, "not fitted"),
    ],
)
def test_teacher_that_says_no_probabilities(teacher, error, message):
    with pytest.raises(error, match=matches(message)):
        DistilledClassifier(teacher).fit(X, CODES)


def one_hot(proba):
    return (proba == proba.max(axis=1, keepdims=True)).astype(int)


def read_only(proba):
    proba.flags.writeable = False
    return proba


@pytest.mark.parametrize(
    ("says", "same", "student", "tune"),
    [
        (one_hot, lambda p: one_hot(p).astype(float), None, False),
        (lambda p: one_hot(p).astype(bool), one_hot, GaussianNB(), False),
        (read_only, np.asarray, None, {"hard_label_weight": [0.0, 0.5, 1.0]}),
        (pd.DataFrame, np.asarray, None, False),
    ],
    ids=["integers", "bool", "read-only", "frame"],
)
def test_whatever_array_a_teacher_answers_with(says, same, student, tune):
    params = {"loss_correction": 0.5, "cross_fit": 3, "smoothing": 0.05, "tune": tune}
    params["temperature"] = 1.0 if tune else 2.0
    model, other = (
        DistilledClassifier(Altered(change=f), student, **params).fit(X, CODES)
        for f in (says, same)
    )
    assert model.best_params_ == other.best_params_
    assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-12)


def test_high_temperature_matches_the_logits():
    """In the limit the student fits centred logits (Hinton et al., 2015, section 2.1)."""
    student = SoftLabelLogisticRegression(C=1e4)
    model = DistilledClassifier(FROZEN, student, temperature=1e4).fit(X)
    expected, got = FROZEN.decision_function(X), model.decision_function(X)
    got -= got.mean(axis=1, keepdims=True)
    assert abs(got - expected).max() < 0.05 * abs(expected).max()


@pytest.mark.parametrize("temperature", [0.3, 100.0, 1e6])
def test_zeros_stay_zeros_and_small_probabilities_do_not_underflow(temperature):
    proba = SOFT.copy()
    proba[:4] = [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1e-300, 1.0, 0.0], [1e-300, 0.2, 0.8]]
    model = DistilledClassifier(None, Recorder(), temperature=temperature)
    model.fit(X, CODES, teacher_proba=proba)
    if temperature > 1.0:
        assert_array_equal(taught(model) == 0, proba == 0)
    assert_allclose(taught(model), tempered(proba, temperature), rtol=1e-12)
    assert_allclose(taught(model).sum(axis=1), 1.0, rtol=1e-14)


# -- Students and their classes ------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_default_student(n_classes):
    X, y, _, _, _ = make_problem(n_classes)
    model = DistilledClassifier(forest()).fit(X, y)
    student = SoftLabelLogisticRegression().fit(X, forest().fit(X, y).predict_proba(X))
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert_array_equal(getattr(model, method)(X), getattr(student, method)(X))
        assert_array_equal(getattr(model.student_, method)(X), getattr(student, method)(X))
    assert model.n_features_in_ == X.shape[1]
    log_proba = model.predict_log_proba(1e5 * X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -1e4


def search_over(estimator, name):
    grid = {name: [0.1, 10.0]}
    return GridSearchCV(estimator, grid, scoring=get_scorer("neg_kl_loss"), cv=KFold(2))


def soft_students():
    """Students, and the name of the weights of their logistic regression."""
    logit = SoftLabelLogisticRegression(tol=1e-9)
    pipeline = Pipeline([("scale", StandardScaler()), ("logit", logit)])
    nested = Pipeline([("scale", StandardScaler()), ("pipe", pipeline)])
    of_search = Pipeline([("scale", StandardScaler()), ("search", search_over(logit, "C"))])
    return {
        "logit": (logit, "sample_weight"),
        "nested pipeline": (nested, "pipe__logit__sample_weight"),
        "search over a pipeline": (search_over(pipeline, "logit__C"), "logit__sample_weight"),
        "pipeline of a search": (of_search, "search__sample_weight"),
    }


def logit_of(student):
    while not isinstance(student, SoftLabelLogisticRegression):
        student = student[-1] if isinstance(student, Pipeline) else student.best_estimator_
    return student


@pytest.mark.parametrize("kind", soft_students())
def test_students_that_learn_from_probabilities(kind):
    student, name = soft_students()[kind]
    teacher = FrozenEstimator(forest().fit(X, NAMED))
    model = DistilledClassifier(teacher, student, temperature=2.0)
    model.fit(X, NAMED, sample_weight=WEIGHT)
    assert model.classes_.tolist() == model.student_.classes_.tolist() == NAMES.tolist()
    expected = clone(student).fit(X, tempered(teacher.predict_proba(X), 2.0), **{name: WEIGHT})
    coef = logit_of(model.student_).coef_
    assert_allclose(coef, 2.0 * logit_of(expected).coef_, rtol=1e-6)
    assert_array_equal(model.predict(X), NAMES[expected.predict(X)])
    assert_array_equal(model.decision_function(X), model.student_.decision_function(X))


def test_labels_are_mixed_in_at_a_temperature_that_is_auto():
    """Any student can learn these, as it learns at temperature 1."""
    model = DistilledClassifier(None, Recorder(), calibrate=True, hard_label_weight=0.3)
    model.fit(X, CODES, sample_weight=WEIGHT, teacher_proba=SOFT)
    target = 0.7 * tempered(SOFT, model.calibration_temperature_) + 0.3 * np.eye(3)[CODES]
    assert_allclose(taught(model), WEIGHT[:, None] * target, rtol=1e-12)
    assert model.calibration_temperature_ != 1.0
    assert_array_equal(model.predict_proba(X), model.student_.predict_proba(X))


@pytest.mark.parametrize(
    "student",
    [
        DecisionTreeClassifier(min_samples_leaf=20, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        Pipeline([("scale", StandardScaler()), ("logit", LogisticRegression())]),
    ],
)
def test_students_that_need_labels(student):
    """They get a weighted row per sample and class."""
    model = DistilledClassifier(forest(), student, temperature=2.0)
    model.fit(X, NAMED, sample_weight=WEIGHT)
    proba = forest().fit(X, NAMED, sample_weight=WEIGHT).predict_proba(X)
    name = "logit__sample_weight" if isinstance(student, Pipeline) else "sample_weight"
    mass = (tempered(proba, 2.0) * WEIGHT[:, None]).ravel()
    expected = clone(student).fit(np.repeat(X, 3, axis=0), np.tile(NAMES, N), **{name: mass})
    learned = expected.predict_proba(X)
    assert_allclose(model.student_.predict_proba(X), learned, rtol=1e-6)
    # What was learned at the temperature is brought back to 1.
    assert_allclose(model.predict_proba(X), tempered(learned, 0.5), rtol=1e-5, atol=1e-300)
    assert_array_equal(model.predict(X), expected.predict(X))
    with np.errstate(divide="ignore"):
        expected = np.log(model.predict_proba(X))
    assert_array_equal(model.predict_log_proba(X), expected)


@pytest.mark.parametrize(("grid", "tol"), [({"tol": [1e-8]}, 1e-8), ({"C": [1.0]}, 1e-3)])
def test_tolerance_that_a_search_chose(grid, tol):
    search = GridSearchCV(SoftLabelLogisticRegression(), grid, cv=2)
    model = DistilledClassifier(GaussianNB(), search, temperature=4.0).fit(X, CODES)
    assert model.student_.best_estimator_.tol == tol


@pytest.mark.parametrize("student", [LinearSVC(), GaussianNB()])
def test_methods_are_those_of_the_student(student):
    lacks, has = ["predict_proba", "predict_log_proba"], "decision_function"
    if isinstance(student, GaussianNB):
        lacks, has = ["decision_function"], "predict_proba"
    model = DistilledClassifier(GaussianNB(), student)
    for _ in range(2):
        assert not any(hasattr(model, name) for name in lacks)
        assert hasattr(model, has)
        model.fit(X, NAMED)
    assert_array_equal(model.predict(X), model.student_.predict(X))
    assert getattr(model, has)(X).shape == (N, 3)


def test_classes_of_the_student_in_another_order():
    """They are sorted, as y holds labels."""
    student = make_pipeline(exact(classes=NAMES[[2, 0, 1]]))
    model = DistilledClassifier(GaussianNB(), student, hard_label_weight=0.2)
    with pytest.warns(DataConversionWarning):
        model.fit(X, NAMED[:, None])
    expected = DistilledClassifier(GaussianNB(), exact(), hard_label_weight=0.2).fit(X, NAMED)
    assert model.teacher_.classes_.tolist() == model.classes_.tolist() == NAMES.tolist()
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-9)
    assert_allclose(model.decision_function(X), expected.decision_function(X), atol=1e-7)
    assert_array_equal(model.predict(X), expected.predict(X))


# -- Samples without labels ----------------------------------------------------


def marked(marker, labels, dtype=None):
    return pd.Series(
        [marker if hidden else v for hidden, v in zip(HIDDEN, labels.tolist(), strict=True)],
        index=np.arange(N)[::-1],
        dtype=dtype,
    )


UNLABELED = {
    "int": (-1, marked(-1, CODES).to_numpy()),
    "float": (np.nan, marked(np.nan, CODES).to_numpy()),
    "list": ("?", marked("?", NAMED).tolist()),
    "series": (-1, marked(-1, CODES)),
    "nullable": (pd.NA, marked(pd.NA, CODES, "Int64")),
    # NaN stands for all that is missing.
    "strings": (np.nan, marked(pd.NA, NAMED, "string")),
    "None": (np.nan, marked(None, NAMED, object).to_numpy()),
}


@pytest.mark.parametrize("kind", UNLABELED)
def test_unlabeled(kind):
    marker, y = UNLABELED[kind]
    labels = NAMED if kind in ("list", "strings", "None") else CODES
    model = DistilledClassifier(Recorder(), Recorder(), unlabeled=marker)
    model.fit(X, y, sample_weight=WEIGHT)
    assert_array_equal(model.teacher_.X_, X[~HIDDEN])
    assert np.asarray(model.teacher_.y_).tolist() == labels[~HIDDEN].tolist()
    assert_array_equal(model.teacher_.sample_weight_, WEIGHT[~HIDDEN])
    assert_array_equal(model.student_.X_, np.repeat(X, 3, axis=0))
    said = model.teacher_.predict_proba(X)
    assert_allclose(taught(model), said * WEIGHT[:, None], rtol=1e-14)
    assert_array_equal(model.classes_, np.unique(labels))


@pytest.mark.parametrize(("marker", "frame"), [(-1, False), (np.nan, True)])
def test_unlabeled_rows_of_soft_targets(marker, frame):
    y = np.where(HIDDEN[:, None], marker, SOFT)
    if frame:
        y = pd.DataFrame(y, columns=["c", "a", "b"], index=np.arange(N)[::-1])
    teacher = Recorder(SoftLabelLogisticRegression())
    model = DistilledClassifier(teacher, unlabeled=marker).fit(X, y, sample_weight=WEIGHT)
    assert_array_equal(model.teacher_.X_, X[~HIDDEN])
    assert_array_equal(np.asarray(model.teacher_.y_), SOFT[~HIDDEN])
    assert_array_equal(model.teacher_.sample_weight_, WEIGHT[~HIDDEN])
    student = SoftLabelLogisticRegression()
    student.fit(X, model.teacher_.predict_proba(X), sample_weight=WEIGHT)
    assert_array_equal(model.student_.coef_, student.coef_)
    assert model.classes_.tolist() == (["c", "a", "b"] if frame else [0, 1, 2])


def test_markers_that_do_not_occur_and_nothing_that_marks():
    plain = DistilledClassifier(GaussianNB()).fit(X, NAMED)
    for marker in (-1, "?", np.nan, pd.NA):
        model = DistilledClassifier(GaussianNB(), unlabeled=marker).fit(X, NAMED)
        assert_array_equal(model.student_.coef_, plain.student_.coef_)
    model = DistilledClassifier(GaussianNB()).fit(X, UNLABELED["int"][1])
    assert model.classes_.tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("student", [exact(), LogisticRegression(tol=1e-8)])
def test_unlabeled_with_kinds_of_X(student):
    teacher, y = LogisticRegression(tol=1e-8), UNLABELED["int"][1]
    model = DistilledClassifier(teacher, student, unlabeled=-1)
    expected = model.fit(X, y).predict_proba(X)
    for given in (csr_array(X), X.tolist()):
        said = model.fit(given, y).predict_proba(given)
        assert_allclose(said, expected, rtol=0, atol=1e-5)


def test_unlabeled_samples_are_not_scored():
    model = DistilledClassifier(GaussianNB(), unlabeled=-1).fit(X, CODES)
    y = UNLABELED["int"][1]
    known = ~HIDDEN
    accuracy = accuracy_score(y[known], model.predict(X[known]), sample_weight=WEIGHT[known])
    assert model.score(X, y, WEIGHT) == accuracy
    search = GridSearchCV(model, {"student__C": [1.0]}, cv=2).fit(X, CODES)
    for scored in (model, make_pipeline(model).fit(X, CODES), search):
        with pytest.raises(ValueError, match="marks samples without a label"):
            get_scorer("neg_kl_loss")(scored, X, y)
    with pytest.raises(ValueError, match="y has no labelled sample"):
        model.score(X, np.full(N, -1))


def test_scores_of_pairs_of_classes_keep_their_order():
    student = SVC(decision_function_shape="ovo", random_state=0)
    model = DistilledClassifier(logistic(classes=NAMES[::-1]), student)
    model.fit(X, pd.DataFrame(SOFT, columns=NAMES[::-1]))
    assert model.classes_.tolist() != model.student_.classes_.tolist()
    assert_array_equal(model.decision_function(X), model.student_.decision_function(X))


def test_scorers_take_a_soft_target_with_the_marker_in_one_column():
    soft = np.eye(3)[CODES]
    model = DistilledClassifier(SoftLabelLogisticRegression(), unlabeled=0).fit(X, soft)
    assert get_scorer("neg_kl_loss")(make_pipeline(model), X, soft) < 0
    soft[0] = 0
    with pytest.raises(ValueError, match="y_true holds 0, which marks"):
        get_scorer("neg_kl_loss")(model, X, soft)


# -- Weights, metadata and parameters ------------------------------------------


def test_weights_reach_a_teacher_in_a_pipeline_in_a_search():
    teacher = make_pipeline(LogisticRegression())
    teacher = GridSearchCV(teacher, {"logisticregression__C": [1.0]}, cv=2)
    model = DistilledClassifier(teacher, exact()).fit(X, CODES, sample_weight=WEIGHT)
    proba = LogisticRegression().fit(X, CODES, sample_weight=WEIGHT).predict_proba(X)
    expected = exact().fit(X, proba, sample_weight=WEIGHT)
    assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)


def test_teacher_that_takes_no_weights():
    teacher = make_pipeline(StandardScaler(), KNeighborsClassifier())
    model = DistilledClassifier(teacher, exact())
    with pytest.warns(UserWarning, match="takes no sample_weight"):
        model.fit(X, CODES, sample_weight=WEIGHT)
    proba = clone(teacher).fit(X, CODES).predict_proba(X)
    expected = exact().fit(X, proba, sample_weight=WEIGHT)
    assert_allclose(model.student_.coef_, expected.coef_, rtol=1e-7)
    # One that is not fitted does not need them.
    DistilledClassifier(FrozenEstimator(teacher.fit(X, CODES))).fit(X, sample_weight=WEIGHT)


def test_labels_of_weight_0_are_not_chosen():
    y = np.where(np.arange(N) < N // 2, -1, CODES)
    model = DistilledClassifier(FROZEN, tune=True, unlabeled=-1)
    model.fit(X, y, sample_weight=np.where(y < 0, 1.0, 0.0))
    assert model.best_params_["hard_label_weight"] < 1.0


@pytest.mark.parametrize(
    ("of_teacher", "of_student"), [(True, True), (True, False), (False, True)]
)
def test_routed_weights(of_teacher, of_student):
    with routing():
        scale = StandardScaler().set_fit_request(sample_weight=False)
        last = Recorder().set_fit_request(sample_weight=True)
        if not of_student:  # what the teacher says needs no weights here
            last = exact().set_fit_request(sample_weight=False)
        teacher = Recorder().set_fit_request(sample_weight=of_teacher)
        model = DistilledClassifier(teacher, make_pipeline(scale, last))
        model.fit(X, CODES, sample_weight=WEIGHT)
    assert_array_equal(model.teacher_.sample_weight_, WEIGHT if of_teacher else None)
    proba = model.teacher_.predict_proba(X)
    if of_student:
        mass = (proba * WEIGHT[:, None]).ravel()
        assert_allclose(model.student_[-1].sample_weight_, mass, rtol=1e-14)
    else:
        expected = make_pipeline(StandardScaler(), exact()).fit(X, proba)
        assert_allclose(model.student_[-1].coef_, expected[-1].coef_, rtol=1e-9)


@pytest.mark.parametrize("last", [SoftLabelLogisticRegression(), Recorder()])
def test_weights_of_another_name_inside_a_pipeline(last):
    """They count in all that is chosen, too."""
    models = []
    for name, given in ((True, "sample_weight"), ("other", "other")):
        with routing():
            scale = StandardScaler().set_fit_request(sample_weight=False)
            student = make_pipeline(scale, clone(last).set_fit_request(sample_weight=name))
            teacher = GaussianNB().set_fit_request(sample_weight=False)
            model = DistilledClassifier(teacher, student, n_synthetic=5, random_state=0)
            model.set_params(calibrate=True, tune={"hard_label_weight": [0.0, 0.5, 1.0]})
            models.append(model.fit(X, CODES, **{given: WEIGHT}))
    assert models[0].calibration_temperature_ == models[1].calibration_temperature_
    assert_array_equal(models[0].predict_proba(X), models[1].predict_proba(X))


@pytest.mark.parametrize("student", [None, LogisticRegression()])
def test_students_need_no_request_for_what_the_teacher_says(student):
    weights = {} if student is not None else {"sample_weight": WEIGHT}
    expected = DistilledClassifier(FROZEN, student).fit(X, **weights)
    with routing():
        model = DistilledClassifier(FROZEN, student).fit(X, **weights)
    assert_array_equal(model.student_.coef_, expected.student_.coef_)


def hands_on(fit):
    """Wrap a method, and hide what it takes."""

    def wrapped(*args, **kwargs):
        return fit(*args, **kwargs)

    return wrapped


class Subclass(SoftLabelLogisticRegression):
    def fit(self, X, y=None, **fit_params):
        return super().fit(X, y, **fit_params)


class Decorated(SoftLabelLogisticRegressionCV):
    fit = hands_on(SoftLabelLogisticRegressionCV.fit)


class OfLabels(LogisticRegression):
    fit = partialmethod(LogisticRegression.fit)


@pytest.mark.parametrize("kind", [Subclass, Decorated, OfLabels])
def test_subclasses_that_hand_keywords_on(kind):
    params = {} if kind is OfLabels else {"temperature": 2.0, "hard_label_weight": 0.5}
    base = kind.__base__
    expected = DistilledClassifier(base(), base(), **params).fit(X, CODES, WEIGHT)
    model = DistilledClassifier(kind(), kind(), **params).fit(X, CODES, WEIGHT)
    assert_array_equal(model.student_.coef_, expected.student_.coef_)
    with routing():
        inner = kind().set_fit_request(sample_weight=True)
        model = DistilledClassifier(clone(inner), inner, **params)
        model.fit(X, CODES, sample_weight=WEIGHT)
    assert_array_equal(model.student_.coef_, expected.student_.coef_)
    scaled = [make_pipeline(StandardScaler(), cls()) for cls in (base, kind)]
    one, two = (DistilledClassifier(FROZEN, s, **params).fit(X, CODES, WEIGHT) for s in scaled)
    assert_array_equal(two.student_[-1].coef_, one.student_[-1].coef_)


def test_keywords_that_lead_nowhere():
    class Alone(BaseEstimator):
        fit = hands_on(LogisticRegression.fit)

    with pytest.raises(TypeError, match="nor has its fit an argument sample_weight"):
        DistilledClassifier(FROZEN, Alone()).fit(X)


@pytest.mark.parametrize("kind", [dict, list])
def test_diagram_shows_each_teacher(kind):
    pairs = {"trees": forest(), "bayes": GaussianNB(), "none": "drop"}
    teachers = pairs if kind is dict else list(pairs.items())
    pool = PooledClassifier(teachers)
    model = DistilledClassifier(pairs if kind is dict else pool)
    for shown in (estimator_html_repr(pool), estimator_html_repr(model)):
        assert "trees: RandomForestClassifier" in shown
        assert "bayes: GaussianNB" in shown
    assert "student: SoftLabelLogisticRegression" in shown
    assert "teacher: PooledClassifier" in shown
    given = estimator_html_repr(DistilledClassifier(None, GaussianNB()))
    assert "teacher: " not in given
    assert "DistilledClassifier" in estimator_html_repr(DistilledClassifier(3))


def test_lists_of_teachers_pass_on_weights_that_are_requested():
    teachers = [LogisticRegression(), GaussianNB()]
    expected = DistilledClassifier(teachers).fit(X, CODES, sample_weight=WEIGHT)
    with routing():
        teachers = [clone(e).set_fit_request(sample_weight=True) for e in teachers]
        model = DistilledClassifier(teachers).fit(X, CODES, sample_weight=WEIGHT)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-12)


def test_routed_metadata_follow_their_rows_and_names():
    with routing():
        teacher, student = (
            Recorder().set_fit_request(sample_weight=name, group=True) for name in ("a", "b")
        )
        model = DistilledClassifier(teacher, student, unlabeled=-1)
        model.fit(X, UNLABELED["int"][1], a=WEIGHT, b=WEIGHT[::-1], group=GROUPS)
    assert_array_equal(model.teacher_.group_, GROUPS[~HIDDEN])
    assert_array_equal(model.teacher_.sample_weight_, WEIGHT[~HIDDEN])
    assert_array_equal(model.student_.group_, np.repeat(GROUPS, 3))
    said = model.teacher_.predict_proba(X)
    assert_allclose(taught(model), said * WEIGHT[::-1, None], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "which"), [("sample_weight", "teacher"), ("group", "student")]
)
def test_metadata_that_nobody_asked_for(name, which):
    with pytest.raises(TypeError, match=r"fit got \['group'\].*enable_metadata_routing=True"):
        DistilledClassifier(Recorder()).fit(X, CODES, group=GROUPS)
    with routing():
        parts = {"teacher": Recorder(), "student": Recorder()}
        parts["student" if which == "teacher" else "teacher"].set_fit_request(**{name: True})
        with pytest.raises(UnsetMetadataPassedError, match=name):
            DistilledClassifier(**parts).fit(X, CODES, **{name: np.ones(N)})
        with pytest.raises(TypeError, match="unexpected argument"):
            DistilledClassifier(GaussianNB()).fit(X, CODES, group=GROUPS)


def test_parameters_of_the_default_student_and_of_no_teacher():
    model = DistilledClassifier(GaussianNB())
    assert model.get_params()["student__C"] == 1.0
    assert clone(model).student is None
    assert model.set_params(student__C=0.1) is model
    assert model.get_params()["student__C"] == 0.1
    assert clone(model).fit(X, CODES).student_.C == 0.1
    model.set_params(student=None, student__tol=1e-3)
    assert (model.student.C, model.student.tol) == (1.0, 1e-3)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        model.set_params(student__depth=1)
    for teacher in (None, [GaussianNB()]):
        with pytest.raises(ValueError, match="teacher__C is a parameter of the teacher, but"):
            DistilledClassifier(teacher).set_params(teacher__C=1.0)
    model = DistilledClassifier(None).set_params(teacher=LogisticRegression(), teacher__C=3.0)
    assert model.teacher.C == 3.0


# -- Refusals ------------------------------------------------------------------


logistic, logistic_cv = SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
MIXED = {"temperature": 2.0, "hard_label_weight": 0.5}
USES = {"calibrate": True, "hard_label_weight": 0.5, "loss_correction": 0.5, "cross_fit": 3}


def search(grid, estimator=None, **params):
    return GridSearchCV(estimator or logistic(), grid, **params)


def scaled(student):
    return make_pipeline(StandardScaler(), student)


def first(*values):
    return [*values, *NAMED[len(values) :]]


# Parameters, arguments of fit, and parts of the message.
PLAIN = "are for SoftLabelLogisticRegression, also at the end"
REFUSED = {
    # Students
    "divergence": ({"student": GaussianNB(), "divergence": "reverse_kl"}, {}, PLAIN),
    "labels": ({"student": scaled(GaussianNB()), **MIXED}, {}, PLAIN),
    "student's temperature": (
        {"student": scaled(logistic(temperature=2.0))}, {}, "of the student to 2.0",
    ),
    "student's divergence": (
        {"student": logistic(divergence="jeffreys")}, {}, "of the student to 'jeffreys'",
    ),
    "weights": (
        {"student": scaled(KNeighborsClassifier())}, {}, "neither from probabilities, nor has",
    ),
    "search": (
        {"student": scaled(search({}, GaussianNB()))}, {}, "from outside, over the student__",
    ),
    "regressor": ({"student": LinearRegression()}, {}, "is a regressor"),
    "class": ({"student": logistic}, {}, "must be a classifier, an instance"),
    "no probabilities": (
        {"student": LinearSVC(), "tune": True}, {}, "has no predict_proba",
    ),
    "refit": ({"student": search({}, scaled(logistic()), refit=False)}, {}, "set refit=True"),
    "names": ({"student": scaled(search({"D": [1.0]}))}, {}, "a search over ['D'], which"),
    "scoring": ({"student": search({}, scoring="accuracy")}, {}, "which scores labels"),
    "classes": ({"student": logistic(classes=["a", "a"])}, {}, "classes of the student"),
    "C": ({"student": logistic(C=-1.0)}, {}, "C must be"),
    "Cs": ({"student": logistic_cv(Cs=[0.0])}, {}, "Cs"),
    "class of y": (
        {"student": logistic(classes=NAMES[:2])}, {}, "is 'cedar', not one of the classes",
    ),
    "class of a teacher": (
        {"teacher": make_pipeline(FunctionTransformer(), FEWER), "hard_label_weight": 1.0}, {},
        "y has the labels ['cedar'], which are none of the classes",
    ),
    "columns in two orders": (
        {"student": logistic(classes=[2, 0, 1]), "teacher": FROZEN}, {"y": SOFT},
        "The columns of y have no names", "data frame",
    ),
    "search over classes": (
        {"student": search({"classes": [NAMES]})}, {}, "a search over ['classes'], by which",
    ),
    "search over losses": (
        {"student": scaled(search({"temperature": [4.0], "divergence": ["kl"]}))}, {},
        "over ['divergence', 'temperature'], by which",
    ),
    "search that replaces": (
        {"student": search({"last": [logistic()]}, Pipeline([("last", logistic())]))}, {},
        "a search over ['last'], by which it would lose",
    ),
    "class_weight": (
        {"student": logistic(class_weight={"ash": 0.0}), "divergence": "reverse_kl"},
        {"teacher_proba": SOFT}, "class_weight",
    ),
    # Targets
    "no y": ({}, {"y": None}, "y is None. Wrap a fitted teacher"),
    "uses of labels": (
        {"teacher": FROZEN, **USES}, {"y": None},
        "calibrate, hard_label_weight, loss_correction, cross_fit of this Distilled",
    ),
    "all marked": ({"unlabeled": -1}, {"y": np.full((N, 3), -1.0)}, "y has no labelled"),
    "partly marked": (
        {"teacher": logistic(), "unlabeled": -1}, {"y": [[-1.0, 0.5, 0.5], *SOFT[1:]]}, "y[0]",
    ),
    "None": ({}, {"y": first(None)}, "y[0] is None. If such samples have no label"),
    "other marker": ({"unlabeled": "?"}, {"y": first("?", None)}, "y[1] is None, and not '?'"),
    "NaN": ({}, {"y": [[np.nan] * 3, *SOFT[1:]]}, "y[0] is missing. If such samples"),
    "string of -1": ({"unlabeled": -1}, {"y": first("-1")}, "turn numbers into strings"),
    "string of NaN": ({"unlabeled": np.nan}, {"y": first("nan")}, "Set unlabeled='nan'"),
    "class of teacher": ({"teacher": FROZEN}, {}, f"y[0] is '{NAMED[0]}', not one of the"),
    "continuous": ({"teacher": FROZEN}, {"y": np.linspace(0, 1, N)}, "Unknown label type"),
    # Samples, probabilities and folds
    "no X": ({}, {"X": None}, "X must hold samples; got None"),
    "X without length": ({}, {"X": 3}, "X must hold an entry for each sample; got 3"),
    "NaN in X": ({}, {"X": np.full((N, 3), np.nan)}, "X is not for the student: ", "NaN"),
    "weights of 0": ({}, {"sample_weight": np.zeros(N)}, "sample_weight is zero for every"),
    "no partition": ({"cross_fit": ShuffleSplit(3)}, {}, "exactly one test set"),
    "two folds": (
        {"cross_fit": KFold(2), "tune": True}, {}, "at least 3 folds",
    ),
    "many folds": (
        {"cross_fit": 1000}, {}, "the folds of cross_fit=1000:", "Set cross_fit to fewer",
    ),
    "many folds of a grid": (
        {"tune": {"cross_fit": [1000]}}, {}, "cross_fit=1000 (for tune):",
    ),
    "default folds": (
        {"calibrate": True, "tune": True}, {"X": X[:6], "y": CODES[:6] % 2},
        "cross_fit=5 (for calibrate, tune):",
    ),
    "grid": ({"tune": {"divergence": ["kl"]}}, {}, "tune names 'divergence'"),
    "grid of a loss": ({"tune": {"student__temperature": [2]}}, {}, "tune names 'student__t"),
    "grid of a student": ({"tune": {"student__D": [2.0]}}, {}, "tune names 'student__D'"),
    "no values": ({"tune": {"temperature": 2.0}}, {}, "tune['temperature'] must be a list"),
    "bad value": ({"tune": {"smoothing": [0.0, 1.0]}}, {}, "tune['smoothing'] must be a num"),
    "correction": ({"loss_correction": 0.5, "divergence": "jeffreys"}, {}, "is for diver"),
    "grid of corrections": (
        {"tune": {"loss_correction": [0.0, 0.5]}, "divergence": "jeffreys"}, {},
        "is for divergence='kl'",
    ),
    "grid of numbers": ({"tune": {1: [1.0]}}, {}, "tune names 1, which it cannot choose"),
    "values for a student": (
        {"tune": {"student__C": [1.0, -1.0]}}, {}, "tune['student__C'] has -1.0: C must be",
    ),
    "two grids of folds": ({"tune": {"cross_fit": [3, 10]}}, {}, "one set of folds"),
    "folds besides a grid": (
        {"cross_fit": 10, "tune": {"cross_fit": [None, 5]}}, {}, "but got several",
    ),
    "folds for a fitted teacher": (
        {"teacher": FROZEN, "tune": {"cross_fit": [None, 5]}}, {"y": CODES}, "fitted already",
    ),
    "grid that no tree learns": (
        {
            "student": DecisionTreeClassifier(), "hard_label_weight": 0.5,
            "tune": {"temperature": [2.0, 5.0]},
        }, {},
        "Labels mixed in at a temperature other than 1 are for SoftLabel",
    ),
    "nothing to choose": (
        {
            "student": DecisionTreeClassifier(), "tune": True, "hard_label_weight": 0.5,
            "temperature": 2.0, "calibrate": True, "smoothing": 0.1, "cross_fit": 3,
        }, {}, "leaves nothing to choose",
    ),
}  # fmt: skip
PARAMETERS = {
    "temperature": [0, 1e-7, 1e7, np.nan, np.inf, "2", True, [1.0]],
    "teacher": ["forest", GaussianNB, LinearSVC()], "student": ["tree"],
    "hard_label_weight": [1.1], "divergence": ["chi2"],
    "loss_correction": ["auto"], "smoothing": [1.0, "auto"], "tune": ["auto", 3],
    "cross_fit": [1], "unlabeled": [[-1], {}],
    "unlabeled_weight": [-1.0], "n_synthetic": [-1], "memory": [3], "random_state": [-1],
    "verbose": ["loud"],
}  # fmt: skip


@pytest.fixture
def refuse(monkeypatch):
    """Refuse to fit, before a teacher is fitted."""
    monkeypatch.setattr(Altered, "n_fits", 0)

    def refuse(params, arguments, *message):
        model = DistilledClassifier(**{"teacher": Altered(), **params})
        with pytest.raises((TypeError, ValueError), match=matches(*message)):
            model.fit(**{"X": X, "y": NAMED, **arguments})
        assert Altered.n_fits == 0
        assert not hasattr(model, "student_")

    return refuse


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, refuse):
    refuse(*REFUSED[case])


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, values in PARAMETERS.items() for v in values]
)
def test_refused_parameters(name, value, refuse):
    refuse({name: value}, {}, name)


@pytest.mark.parametrize("scaler", [False, True])
def test_weights_that_routing_keeps_from_the_student(scaler, refuse):
    with routing():
        steps = StandardScaler(), DecisionTreeClassifier()
        if scaler:
            steps[0].set_fit_request(sample_weight=True)
            steps[1].set_fit_request(sample_weight=False)
        refuse({"student": make_pipeline(*steps)}, {}, "set_fit_request")
