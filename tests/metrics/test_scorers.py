"""Scorers, against targets and against teachers: values, columns, routing, searches."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklkl import metrics
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import (
    d2_kl_score,
    get_scorer,
    get_scorer_names,
    kl_loss,
    make_divergence_scorer,
    make_fidelity_scorer,
)
from tests._support import reference
from tests._support.cases import losses
from tests._support.messages import matches
from tests._support.models import Says, Table, routing
from tests._support.problems import make_problem, random_rows

EPS = np.finfo(np.float64).eps
LOSSES = [name for name in metrics.__all__ if name.endswith("_loss")]

# Scorer name -> the arguments that it needs.
SCORERS = {name: {} for name in get_scorer_names()}
SCORERS |= {"neg_renyi_loss": {"order": 2}, "neg_alpha_loss": {"alpha": 0.5}}

PROBLEMS = {"binary": ("no", "yes"), "multiclass": ("a", "m", "z")}
MODELS = {
    "logistic": LogisticRegression(C=0.1),
    "dummy": DummyClassifier(),
    "forest": RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0),
    "soft": SoftLabelLogisticRegression(),
}

each_scorer = pytest.mark.parametrize("name", SCORERS)
# A scorer compares with a target, or with what a teacher says.
each_way = pytest.mark.parametrize("taught", [False, True], ids=["target", "teacher"])


def data(problem):
    return make_problem(classes=PROBLEMS[problem])


@cache
def fitted(model, problem):
    return clone(MODELS[model]).fit(data(problem).X, data(problem).hard)


@cache
def teacher_of(problem):
    return GaussianNB().fit(data(problem).X, data(problem).hard)


def targets(problem, kind):
    """``y`` as a user passes it; the columns of data frames are in reverse order."""
    if kind == "frame":
        return pd.DataFrame(data(problem).soft, columns=PROBLEMS[problem]).iloc[:, ::-1]
    return data(problem).target(kind)


def scorer_of(name, teacher=None, **options):
    options = SCORERS[name] | options
    if teacher is None:
        return make_divergence_scorer(name, **options)
    return make_fidelity_scorer(teacher, name, **options)


def by_hand(name, model, X, y, **options):
    """Signed metric of a target, or a teacher, and a model, matched by name.

    What one side does not know has probability 0 there.
    """
    proba = pd.DataFrame(model.predict_proba(X), columns=model.classes_)
    if hasattr(y, "predict_proba"):
        y = pd.DataFrame(y.predict_proba(X), columns=y.classes_)
    elif np.ndim(y) == 2 and not hasattr(y, "columns"):
        y = pd.DataFrame(y, columns=model.classes_)
    soft = hasattr(y, "columns")
    classes = sorted({*model.classes_.tolist(), *(y.columns if soft else np.unique(y))})
    if soft:
        y = y.reindex(columns=classes, fill_value=0.0)
    else:
        options["labels"] = classes
    proba = proba.reindex(columns=classes, fill_value=0.0)
    metric = d2_kl_score if name == "d2_kl" else getattr(metrics, name.removeprefix("neg_"))
    return (1 if name == "d2_kl" else -1) * metric(y, proba, **SCORERS[name], **options)


def fixed(classes, proba):
    """Return a model of these rows, and samples that stand for them."""
    return Table(np.asarray(proba), classes), np.arange(len(proba))[:, None]


def take(y, rows):
    return y.iloc[rows] if hasattr(y, "iloc") else y[rows]


# Names


def test_names():
    names = get_scorer_names()
    assert names == sorted(name for name, needed in SCORERS.items() if not needed)
    assert set(SCORERS) == {"d2_kl", *(f"neg_{loss}" for loss in LOSSES)}


@each_way
def test_names_of_losses_and_divergences_do(taught):
    """The teacher, or the target, is the first argument of a divergence."""
    X, hard, soft, *_ = data("multiclass")
    model, teacher = fitted("logistic", "multiclass"), teacher_of("multiclass")
    y, target = (hard, teacher) if taught else (soft, soft)
    make = partial(make_fidelity_scorer, teacher) if taught else make_divergence_scorer
    forms = {"d2_kl": ["d2_kl", "d2_kl_score"]}
    for loss, divergence, reverse in losses():
        name = f"{'reverse_' * reverse}{divergence.name}"
        forms[f"neg_{loss}"] = [loss, f"neg_{loss}", name]
    for name, equivalent in forms.items():
        expected = by_hand(name, model, X, target)
        for form in equivalent:
            score = make(form, **SCORERS[name])(model, X, y)
            assert_allclose(score, expected, rtol=1e-12, err_msg=form)
    expected = by_hand("neg_kl_loss", model, X, teacher)
    assert_allclose(make_fidelity_scorer(teacher)(model, X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("makers", "name", "options", "parts"),
    [
        ("all", "bogus", {}, ["'bogus'", "'neg_kl_loss'"]),
        ("all", "neg_d2_kl", {}, ["'neg_d2_kl'", "'neg_kl_loss'"]),
        ("all", "KL_loss", {}, ["'KL_loss'", "'neg_kl_loss'"]),
        ("all", "neg_log_loss", {}, ["sklearn.metrics.get_scorer('neg_log_loss')"]),
        ("all", "renyi_loss", {}, ["renyi_loss"]),
        ("get", "kl_loss", {}, ["'kl_loss'", "'neg_kl_loss'"]),
        ("get", "neg_renyi_loss", {}, ["'neg_renyi_loss'", "needs", "['order']", "make_"]),
        ("make", "renyi_loss", {}, ["renyi_loss needs ['order']"]),
        ("make", "kl_loss", {"labels": [0, 1]}, ["kl_loss takes no ['labels']", "on_zero"]),
        ("make", "d2_kl", {"sample_weight": 1}, ["d2_kl_score takes no ['sample_weight']"]),
        ("make", "kl_divergence", {"foo": 1}, ["kl_loss takes no ['foo']", "base"]),
        ("make", "hellinger_loss", {"base": 2}, ["hellinger_loss takes no ['base']"]),
        ("make", "kl_loss", {"on_zero": "bogus"}, ["on_zero must be one of"]),
        ("make", "kl_loss", {"base": 1}, ["base must be None"]),
    ],
)
def test_names_and_arguments_that_are_refused(makers, name, options, parts):
    making = [make_divergence_scorer, partial(make_fidelity_scorer, teacher_of("binary"))]
    for make in {"all": [*making, get_scorer], "get": [get_scorer], "make": making}[makers]:
        with pytest.raises(ValueError, match=matches(*parts)):
            make(name, **options)


# Values


@each_way
@each_scorer
def test_a_scorer_is_its_metric(name, taught):
    """Each with each model; problems and kinds of targets in turn."""
    i = list(SCORERS).index(name)
    for j, model in enumerate(MODELS):
        problem = list(PROBLEMS)[(i + j // 2) % 2]
        X, _, _, weight, _ = data(problem)
        y = targets(problem, ("hard", "soft", "frame")[(i + j) % 3])
        teacher = teacher_of(problem) if taught else None
        model = fitted(model, problem)
        expected, weighted = (
            by_hand(name, model, X, teacher if taught else y, sample_weight=w)
            for w in (None, weight)
        )
        assert np.isfinite([expected, weighted]).all()
        assert abs(weighted - expected) > 1e-6
        scorer = scorer_of(name, teacher)
        with routing(j % 2 == 0):
            result = scorer(model, X, y)
            assert isinstance(result, float)
            assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
            result = scorer(model, X, y, sample_weight=weight)
            assert_allclose(result, weighted, rtol=1e-12, atol=1e-14)
            assert not taught or scorer(model, X, None, weight) == result


@each_way
def test_options(taught):
    X, hard, *_ = data("multiclass")
    teacher = teacher_of("multiclass") if taught else None
    model, target = fitted("forest", "multiclass"), teacher if taught else hard
    for name, options in (
        ("neg_kl_loss", {"base": 2}),
        ("neg_jensen_shannon_distance_loss", {"base": 2}),
        ("neg_jensen_shannon_loss", {"weight": 0.3, "base": 10}),
        ("d2_kl", {"on_zero": "clip"}),
    ):
        result = scorer_of(name, teacher, **options)(model, X, hard)
        assert_allclose(result, by_hand(name, model, X, target, **options), rtol=1e-12)
    with pytest.raises(ValueError, match=r"^order must be"):
        scorer_of("neg_renyi_loss", teacher, order=-1)(model, X, hard)
    # A tree gives probabilities of exactly 0, and some are wrong on new data.
    for name in ("neg_kl_loss", "d2_kl"):
        assert np.isfinite(scorer_of(name, teacher)(model, X[::-1] + 0.5, hard))
        assert scorer_of(name, teacher, on_zero="inf")(model, X + 0.5, hard[::-1]) == -np.inf
        with pytest.raises(ValueError, match=matches("y_proba[", "is 0 where y_true[")):
            scorer_of(name, teacher, on_zero="raise")(model, X + 0.5, hard[::-1])


def test_binary_columns_keep_their_digits():
    """1 - p has no digits of the small column: for 1e-17 it is 0."""
    exact = make_divergence_scorer("kl_loss", on_zero="inf")
    for tiny in (1e-17, 1e-12):
        model, X = fixed([0, 1], [[1.0 - tiny, tiny], [tiny, 1.0 - tiny]])
        for y in ([1, 0], np.eye(2)[[1, 0]]):
            assert_allclose(exact(model, X, y), np.log(tiny), rtol=1e-14)
        clipped = get_scorer("neg_kl_loss")(model, X, [1, 0])
        assert_allclose(clipped, np.log(max(tiny, EPS)), rtol=1e-14)


@each_way
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, bool, object])
def test_probabilities_of_any_dtype(taught, dtype):
    model, X = fixed([0, 1], np.array([[1, 0], [0, 1], [1, 0]], dtype=dtype))
    teacher, _ = fixed([0, 1], np.array([[1, 0], [1, 0], [0, 1]], dtype=dtype))
    for name in ("neg_kl_loss", "neg_hellinger_loss", "d2_kl"):
        y = [0, 0, 1]
        result = scorer_of(name, teacher if taught else None)(model, X, y)
        expected = by_hand(name, model, X, teacher if taught else y)
        assert_allclose(result, expected, rtol=1e-6, atol=1e-12)


# Columns


@each_way
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ["neg_reverse_kl_loss", "d2_kl"])
def test_columns_are_matched_through_classes(name, problem, taught):
    names = np.array(PROBLEMS[problem])
    rows, others = random_rows(20, len(names)), random_rows(20, len(names), 1)
    frame = pd.DataFrame(others, columns=names)
    hard = names[others.argmax(axis=1)]
    for turn, turn_target in ((0, 1), (1, 1), (1, 0), (2, 1)):
        order, other = (np.roll(np.arange(len(names)), -k) for k in (turn, turn_target))
        model, X = fixed(names[order], rows[:, order])
        if taught:
            teacher, _ = fixed(names[other], others[:, other])
            expected = by_hand(name, model, X, frame)
            assert_allclose(scorer_of(name, teacher)(model, X), expected, rtol=1e-12)
            continue
        for y in (hard, frame[names[other]]):
            expected = by_hand(name, model, X, y)
            assert_allclose(scorer_of(name)(model, X, y), expected, rtol=1e-12)
        result = scorer_of(name)(model, X, others[:, order])
        assert_allclose(result, by_hand(name, model, X, frame), rtol=1e-12)


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        (["a", "c"], ["a", "b", "c"]),
        (["a", "ab"], np.array(["a", "x", "a"])),  # fixed-width strings cut no others
        (["a", "b"], pd.Series(["a", "ab", "a"])),
        ([3, 300], np.array([3, 7, 3], dtype=np.int8)),
        ([3, 300], np.array([3, 7, 3], dtype=np.float32)),
        (["a", "b", "c"], ["a", "c", "a"]),  # which lacks one
    ],
    ids=str,
)
def test_labels_that_only_one_of_the_two_knows(classes, y):
    model, X = fixed(classes, random_rows(3, len(classes)))
    for name in ("neg_kl_loss", "neg_reverse_kl_loss", "d2_kl"):
        result = scorer_of(name)(model, X, y)
        assert np.isfinite(result)
        assert_allclose(result, by_hand(name, model, X, y), rtol=1e-13)
    assert np.isfinite(scorer_of("neg_kl_loss")(model, X[:1], y[:1]))


@each_scorer
def test_classes_that_only_one_of_the_two_knows(name):
    one, X = fixed(["b", "long", "a"], random_rows(9, 3))
    other, _ = fixed(["a", "b", "c", "d"], random_rows(9, 4))
    for teacher, student in ((one, other), (other, one)):
        result = scorer_of(name, teacher)(student, X)
        assert np.isfinite(result)
        assert_allclose(result, by_hand(name, student, X, teacher), rtol=1e-12)
    frame = pd.DataFrame(random_rows(9, 4), columns=["d", "long", "b", "a"])
    expected = by_hand(name, one, X, frame)
    assert_allclose(scorer_of(name)(one, X, frame), expected, rtol=1e-12)


@each_way
def test_a_class_that_the_model_never_saw_costs_the_clip_value(taught):
    model, X = fixed(["b", "a"], [[0.75, 0.25]])
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.75, EPS]) / (1 + EPS)
    teacher = fixed(["a", "b", "c"], [p])[0] if taught else None
    y = pd.DataFrame([p], columns=["a", "b", "c"])
    score = scorer_of("neg_kl_loss", teacher)(model, X, y)
    assert_allclose(score, (p * np.log(q / p)).sum(), rtol=1e-13)
    score = scorer_of("neg_cross_entropy_loss", teacher)(model, X, y)
    assert_allclose(score, (p * np.log(q)).sum(), rtol=1e-13)
    assert scorer_of("neg_kl_loss", teacher, on_zero="inf")(model, X, y) == -np.inf
    with pytest.raises(ValueError, match=r"y_proba\[0, [02]\] is 0 where y_true\[0, [02]\]"):
        scorer_of("neg_kl_loss", teacher, on_zero="raise")(model, X, y)


# What models and users get wrong


@pytest.mark.parametrize(
    ("says", "parts"),
    [
        ([[0.9, 0.1], [0.9, np.nan]], ["[1]", "NaN"]),
        ([[0.9, 0.1], [1.5, -0.5]], ["[1]", "negative"]),
        ([[0.9, 0.1], [0.9, 0.9]], ["[1]", "sums to 1.8"]),
        ([[0.2, 0.3, 0.5]] * 2, ["(2, 3)", "2 classes_"]),
        ([0.9, 0.1], ["shape (2,)"]),
        ([[[0.9, 0.1]] * 2] * 2, ["shape (2, 2, 2)"]),
        ([["a", "b"]] * 2, ["real numbers"]),
    ],
)
def test_who_predicts_no_probabilities_is_named(says, parts):
    good, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]])
    poor = Says(lambda X: np.array(says), ["a", "b"])
    for teacher in (None, good):
        with pytest.raises((ValueError, TypeError), match=matches("y_proba", *parts)):
            scorer_of("neg_kl_loss", teacher)(poor, X, ["a", "b"])
    parts = "teacher.predict_proba(X)", *parts
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        scorer_of("d2_kl", poor)(good, X)


def test_samples_and_predictions_of_different_lengths():
    """A single row is not repeated."""
    rows = random_rows(3, 2)
    student = SoftLabelLogisticRegression().fit(np.arange(3)[:, None], rows)
    for n_rows, n_samples in ((1, 3), (3, 1), (2, 3)):
        model, other = (Says(lambda X, n=n: rows[:n], ["a", "b"]) for n in (n_rows, n_samples))
        frame = pd.DataFrame(rows[:n_samples], columns=["b", "a"])
        for y in (["a", "b", "a"][:n_samples], rows[:n_samples], frame):
            with pytest.raises(ValueError, match="inconsistent numbers of samples"):
                scorer_of("neg_kl_loss")(model, np.zeros((3, 1)), y)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            scorer_of("neg_kl_loss", other)(model, np.zeros((3, 1)))
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            student.score(np.zeros((n_rows, 1)), rows[:n_samples])


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (random_rows(2, 3), ["y_true has 3 columns", "2 classes, ['a', 'b']", "data frame"]),
        (pd.DataFrame(random_rows(2, 2), columns=["a", "d"]), ["y_true", "['b']", "['d']"]),
        ([0, 1], ["y_true", "0", "['a', 'b']", "different types"]),
        (None, ["requires y_true"]),
    ],
)
def test_targets_that_do_not_fit(y, parts):
    model, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]])
    with pytest.raises(ValueError, match=matches(*parts)):
        scorer_of("neg_kl_loss")(model, X, y)


@each_way
def test_models_without_probabilities(taught):
    X, y, *_ = data("binary")
    scorer = scorer_of("neg_kl_loss", teacher_of("binary") if taught else None)
    model = Perceptron().fit(X, y)
    match = matches("Perceptron", "predict_proba", "neg_kl_loss")
    with pytest.raises(TypeError, match=match):
        scorer(model, X, y)
    with pytest.raises(TypeError, match=match):
        cross_val_score(model, X, y, scoring=scorer, error_score="raise")
    with pytest.raises(NotFittedError, match="LogisticRegression"):
        scorer(LogisticRegression(), X, y)


@pytest.mark.parametrize(
    ("teacher", "error", "parts"),
    [
        (Perceptron(), TypeError, ["Perceptron has no predict_proba", "calibrate it"]),
        (make_pipeline(StandardScaler(), Perceptron()), TypeError, ["Pipeline", "predict_"]),
        ("kl_divergence", TypeError, ["predict_proba"]),
        (GaussianNB(), ValueError, ["GaussianNB is not fitted"]),
        (make_pipeline(StandardScaler(), GaussianNB()), ValueError, ["not fitted"]),
        (GridSearchCV(GaussianNB(), {}), ValueError, ["not fitted"]),
        (FrozenEstimator(GaussianNB()), ValueError, ["not fitted"]),
        (DistilledClassifier(GaussianNB()), ValueError, ["not fitted"]),
    ],
    ids=lambda part: type(part).__name__,
)
def test_teachers_that_are_refused(teacher, error, parts):
    with pytest.raises(error, match=matches(*parts)):
        make_fidelity_scorer(teacher)


@pytest.mark.parametrize("ours", [["a", "b"], ["0", "1"]])
def test_classes_of_different_types(ours):
    teacher, X = fixed(ours, [[0.9, 0.1]])
    student, _ = fixed([0, 1], [[0.9, 0.1]])
    for first, second, label in ((teacher, student, ours[0]), (student, teacher, 0)):
        with pytest.raises(ValueError, match=matches("The teacher's classes", label, "types")):
            make_fidelity_scorer(first)(second, X)


def test_names_of_rows_are_matched():
    X, y = np.arange(20.0)[:, np.newaxis], np.array([0, 1] * 10)
    model = LogisticRegression().fit(X, y)
    rows = [f"r{i}" for i in range(20)]
    X, y, weight = pd.DataFrame(X, rows), pd.Series(y, rows), pd.Series(1.0, rows)
    score, fidelity = get_scorer("neg_kl_loss"), make_fidelity_scorer(model)
    with pytest.raises(ValueError, match="rows of X and y_true have different labels"):
        score(model, X, y.iloc[::-1])
    for scorer in (score, fidelity):
        with pytest.raises(ValueError, match="rows of X and sample_weight have different"):
            scorer(model, X, y, sample_weight=weight.iloc[::-1])
    expected = -kl_loss(y.to_numpy(), model.predict_proba(X))
    assert_allclose(score(model, X, y, sample_weight=weight), expected, rtol=1e-12)
    # A teacher speaks for X, whatever y is.
    assert fidelity(model, X, y.iloc[::-1], sample_weight=weight) == 0.0


# y, if there is a teacher


@pytest.mark.parametrize(
    "y", [np.arange(90) % 7, np.full(90, -1), object(), ["a"], random_rows(9, 5)], ids=range(5)
)
def test_a_teacher_speaks_whatever_y_is(y):
    X, teacher = data("multiclass").X, teacher_of("multiclass")
    student = fitted("logistic", "multiclass")
    expected = by_hand("neg_kl_loss", student, X, teacher)
    scorer = make_fidelity_scorer(teacher)
    assert scorer(student, X, y) == scorer(student, X) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unlabeled", [-1, "unlabeled"])
def test_samples_without_a_label(unlabeled):
    """They have no target to be scored by, but a teacher says what they are."""
    X, hard, *_ = data("multiclass")
    y = hard.astype(object) if unlabeled == "unlabeled" else (hard == "a").astype(int)
    teacher = GaussianNB().fit(X, y.tolist())
    y[::2] = unlabeled
    y = np.array(y.tolist())
    student = DistilledClassifier(FrozenEstimator(teacher), unlabeled=unlabeled)
    for model in (student, make_pipeline(StandardScaler(with_std=False), student)):
        model.fit(X, y)
        result = make_fidelity_scorer(teacher)(model, X, y)
        assert_allclose(result, by_hand("neg_kl_loss", model, X, teacher), rtol=1e-12)
        with pytest.raises(ValueError, match=matches("y_true", repr(unlabeled), "without a")):
            get_scorer("neg_kl_loss")(model, X, y)
        assert np.isfinite(get_scorer("neg_kl_loss")(model, X[1::2], y[1::2]))


# Model selection


@pytest.mark.parametrize(
    ("problem", "kind"), [("binary", "hard"), ("multiclass", "soft"), ("multiclass", "frame")]
)
def test_cross_validate(problem, kind):
    """With scikit-learn's scorers, of which some keep one column of binary problems."""
    X, y = data(problem).X, targets(problem, kind)
    teacher = SoftLabelLogisticRegression(C=10).fit(X, y)
    names = ["neg_kl_loss", "neg_renyi_loss", "d2_kl"]
    scoring = {name: scorer_of(name) for name in names}
    scoring |= {f"fidelity_{name}": scorer_of(name, teacher) for name in names}
    if kind == "hard":
        scoring["neg_log_loss"] = "neg_log_loss"
    for order in (list(scoring), list(scoring)[::-1])[: 1 + (kind == "hard")]:
        cv = KFold(3)
        result = cross_validate(
            SoftLabelLogisticRegression(),
            X,
            y,
            scoring={key: scoring[key] for key in order},
            cv=cv,
            return_train_score=True,
            return_estimator=True,
            error_score="raise",
        )
        for i, (train, test) in enumerate(cv.split(X)):
            model = result["estimator"][i]
            for part, rows in (("test", test), ("train", train)):
                for name in names:
                    for key, target in ((name, take(y, rows)), (f"fidelity_{name}", teacher)):
                        score = result[f"{part}_{key}"][i]
                        expected = by_hand(name, model, X[rows], target)
                        assert_allclose(score, expected, rtol=1e-12)
        if kind == "hard":
            ours, theirs = result["test_neg_kl_loss"], result["test_neg_log_loss"]
            assert_allclose(ours, theirs, rtol=1e-12)


@each_way
@pytest.mark.parametrize("name", ["neg_kl_loss", "d2_kl"])
def test_searches(name, taught):
    model = SoftLabelLogisticRegression()
    for kind in ("hard", "soft", "frame"):
        X, y = data("multiclass").X, targets("multiclass", kind)
        teacher = clone(model).fit(X, y) if taught else None
        scorer = scorer_of(name, teacher)
        search = GridSearchCV(model, {"C": [1e-4, 1.0]}, scoring=scorer, cv=3).fit(X, y)
        assert search.best_params_ == {"C": 1.0}
        expected = by_hand(name, search.best_estimator_, X, teacher if taught else y)
        assert_allclose(search.score(X, y), expected, rtol=1e-12)


# y has one "c" in its second half, and nowhere else; the last fold lacks "a" instead.
LABELS = np.array(list("abababababab" + "abababababcb" + "bbcbbc"))
SPLITS = [
    (np.arange(12), np.arange(12, 30)),  # no "c" to train on
    (np.arange(30), np.arange(12)),  # no "c" to test on
    (np.arange(24), np.arange(24, 30)),  # no "a" to test on
]


@pytest.mark.parametrize(
    ("model", "container"),
    [
        (GaussianNB(), list),
        (DummyClassifier(), pd.Series),
        (SoftLabelLogisticRegression(classes=["c", "a", "b"]), np.array),
    ],
)
def test_folds_that_lack_a_class(model, container):
    X = np.random.default_rng(0).normal(size=(len(LABELS), 2))
    scoring = {name: scorer_of(name) for name in SCORERS}
    result = cross_validate(
        model, X, container(LABELS), scoring=scoring, cv=SPLITS, error_score="raise"
    )
    for i, (train, test) in enumerate(SPLITS):
        fold = clone(model).fit(X[train], LABELS[train])
        for name in SCORERS:
            expected = by_hand(name, fold, X[test], LABELS[test])
            assert np.isfinite(expected)
            assert_allclose(result[f"test_{name}"][i], expected, rtol=1e-10)


@each_way
def test_thresholds_do_not_change_probabilities(taught):
    X, y, _, weight, _ = data("binary")
    teacher = fitted("logistic", "binary") if taught else None
    plain = GaussianNB().fit(X, y)
    model = FixedThresholdClassifier(GaussianNB(), threshold=0.2).fit(X, y)
    for name in ("neg_kl_loss", "d2_kl"):
        scorer = scorer_of(name, teacher)
        expected = by_hand(name, plain, X, teacher if taught else y, sample_weight=weight)
        assert_allclose(scorer(model, X, y, sample_weight=weight), expected, rtol=1e-12)
        tuned = TunedThresholdClassifierCV(GaussianNB(), scoring=scorer)
        with pytest.raises(TypeError, match=matches("kl", "threshold", "balanced_accuracy")):
            tuned.fit(X, y)


@each_way
def test_permutation_importance(taught):
    """A teacher is asked about the permuted samples: of these its opinion differs too."""
    X, y, _, weight, _ = data("multiclass")
    X = np.column_stack([X, np.ones(len(X))])
    model, teacher = (LogisticRegression(C=C).fit(X, y) for C in (0.1, 10))

    def expected(model, X, y, sample_weight):
        target = teacher if taught else y
        return by_hand("d2_kl", model, X, target, sample_weight=sample_weight)

    scorer = scorer_of("d2_kl", teacher if taught else None)
    options = {"n_repeats": 2, "random_state": 0, "sample_weight": weight}
    ours, theirs = (
        permutation_importance(model, X, y, scoring=scoring, **options).importances
        for scoring in (scorer, expected)
    )
    assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert ours[:4].max() > 1e-3
    assert_allclose(ours[4], 0, atol=1e-15)


@pytest.mark.slow
@each_way
def test_searches_in_processes(taught):
    X, y, *_ = data("binary")
    scorer = scorer_of("neg_kl_loss", teacher_of("binary") if taught else None, base=2)
    one, two = (
        GridSearchCV(BernoulliNB(), {"alpha": [0.1, 1]}, scoring=scorer, n_jobs=n).fit(X, y)
        for n in (1, 2)
    )
    scores = (search.cv_results_["mean_test_score"] for search in (one, two))
    assert_allclose(*scores, rtol=1e-12)


# Copies and metadata

COPIES = {
    "pickled": lambda scorer: pickle.loads(pickle.dumps(scorer)),
    "cloned": lambda scorer: clone(scorer, safe=False),
    "deepcopied": copy.deepcopy,
    "copied": copy.copy,
}


@each_way
@pytest.mark.parametrize("how", COPIES)
def test_copies(how, taught):
    X, y, _, weight, _ = data("binary")
    model, teacher = fitted("logistic", "binary"), teacher_of("binary") if taught else None
    for name in ("neg_renyi_loss", "d2_kl"):
        scorer = scorer_of(name, teacher, on_zero="inf")
        duplicate = COPIES[how](scorer)
        assert repr(duplicate) == repr(scorer)
        for w in (None, weight):
            expected = scorer(model, X, y, sample_weight=w)
            assert duplicate(model, X, y, sample_weight=w) == expected
    with routing():
        scorer.set_score_request(sample_weight=True)
        requests = COPIES[how](scorer).get_metadata_routing().score.requests
        assert requests["sample_weight"] is True
        # One set on a scorer does not show on the next.
        fresh = scorer_of(name, teacher).get_metadata_routing().score.requests
        assert fresh.get("sample_weight") is None


@each_way
@pytest.mark.parametrize("name", ["neg_kl_loss", "d2_kl"])
def test_routing(name, taught):
    """Each scorer gets the weights or not, as it requests, under the name that it says."""
    X, y, _, weight, _ = data("multiclass")
    teacher = fitted("logistic", "multiclass") if taught else None
    cv = StratifiedKFold(3)
    with routing():
        scoring = {
            request: scorer_of(name, teacher).set_score_request(sample_weight=request)
            for request in (True, False, "importance")
        }
        model = GaussianNB().set_fit_request(sample_weight=True)
        result = cross_validate(
            model,
            X,
            y,
            scoring={str(request): scorer for request, scorer in scoring.items()},
            cv=cv,
            params={"sample_weight": weight, "importance": weight**2},
            return_estimator=True,
            error_score="raise",
        )
        search = GridSearchCV(
            model, {"var_smoothing": [1e-9]}, scoring=scoring[True], cv=cv, error_score="raise"
        ).fit(X, y, sample_weight=weight)
        final = search.score(X, y, sample_weight=weight)
    for i, (train, test) in enumerate(cv.split(X, y)):
        fold = GaussianNB().fit(X[train], y[train], weight[train])
        rows = X[test], teacher if taught else y[test]
        weights = {True: weight[test], False: None, "importance": weight[test] ** 2}
        expected = {k: by_hand(name, fold, *rows, sample_weight=w) for k, w in weights.items()}
        assert len({round(value, 6) for value in expected.values()}) == 3
        for request, value in expected.items():
            assert_allclose(result[f"test_{request}"][i], value, rtol=1e-10)
    assert_allclose(search.best_score_, np.mean(result["test_True"]), rtol=1e-10)
    model = search.best_estimator_
    expected = by_hand(name, model, X, teacher if taught else y, sample_weight=weight)
    assert_allclose(final, expected, rtol=1e-12)


@each_way
def test_weights_that_nobody_requested(taught):
    """Newer scikit-learn refuses them, older passes them by: as for its own scorers."""
    X, y, _, weight, _ = data("binary")
    scorer = scorer_of("neg_kl_loss", teacher_of("binary") if taught else None)

    def outcome(scoring):
        model = GaussianNB().set_fit_request(sample_weight=True)
        params = {"sample_weight": weight}
        try:
            cross_validate(model, X, y, scoring=scoring, params=params, error_score="raise")
        except UnsetMetadataPassedError:
            return "refused"
        return "passed by"

    with routing():
        assert outcome(scorer) == outcome(get_sklearn_scorer("accuracy"))
    # Without routing they go at least to fit.
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, scoring=scorer, cv=3)
    assert np.isfinite(search.fit(X, y, sample_weight=weight).best_score_)


@each_way
def test_arguments_of_the_metric_can_be_routed(taught):
    X, y, *_ = data("binary")
    model, teacher = fitted("logistic", "binary"), teacher_of("binary") if taught else None
    scorer = scorer_of("neg_kl_loss", teacher)
    bits = scorer_of("neg_kl_loss", teacher, base=2)(model, X, y)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        scorer(model, X, y, base=2)
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        scorer.set_score_request(sample_weight=True)
    with routing():
        assert scorer.set_score_request(base=True)(model, X, y, base=2) == bits
        with pytest.warns(UserWarning, match="base"):
            result = scorer_of("neg_kl_loss", teacher, base=10)(model, X, y, base=2)
        assert result == bits


# Logarithms of what underflows


class Logarithms(Says):
    """Knows the logarithms of probabilities that its dtype need not hold."""

    def __init__(self, logs, dtype=np.float64):
        self.logs = np.array(logs)
        self.dtype = dtype
        self.classes = self.logs.shape[1]

    def predict_log_proba(self, X):
        return self.logs

    def predict_proba(self, X):
        return np.exp(self.logs).astype(self.dtype)


def exact_scores(y, logs):
    """Scores with ``on_zero="inf"`` of soft targets, in many digits."""
    entropy = np.mean([reference.entropy(row) for row in y])
    kl = np.mean([reference.kl_to_softmax(*pair) for pair in zip(y, logs, strict=True)])
    prior = np.mean([reference.kl_divergence(row, y.mean(axis=0)) for row in y])
    reverse = 0
    for row, log_row in zip(y, map(reference.log_softmax, logs), strict=True):
        for v, log_q in zip(reference.normalised(row), log_row, strict=True):
            if v > 0:
                reverse += mpmath.exp(log_q) * (log_q - mpmath.log(v)) / len(y)
    jeffreys = np.inf if (y == 0).any() else kl + reverse
    scores = {"kl_loss": kl, "cross_entropy_loss": kl + entropy, "jeffreys_loss": jeffreys}
    scores = {f"neg_{name}": -float(value) for name, value in scores.items()}
    return scores | {"d2_kl": float(1 - kl / prior)}


def assert_exact(model, X, y, rtol=1e-13):
    logs, proba = np.asarray(model.predict_log_proba(X)), model.predict_proba(X)
    assert (proba == 0).any()
    soft = y if y.ndim == 2 else np.eye(proba.shape[1])[y]
    for name, value in exact_scores(soft, logs).items():
        score = scorer_of(name, on_zero="inf")(model, X, y)
        assert_allclose(score, value, rtol=rtol, err_msg=name)
    for name in ("neg_reverse_kl_loss", "neg_jensen_shannon_loss", "neg_hellinger_loss"):
        plain = by_hand(name, model, X, y, on_zero="inf")
        assert_allclose(scorer_of(name, on_zero="inf")(model, X, y), plain, rtol=1e-12)
    # Whoever clips does not look at logarithms.
    expected = by_hand("neg_kl_loss", model, X, y)
    assert_allclose(scorer_of("neg_kl_loss")(model, X, y), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "model", [MultinomialNB(), GaussianNB(), SoftLabelLogisticRegression()], ids=str
)
def test_exact_logarithms(model):
    rng = np.random.default_rng(0)
    X = rng.poisson([50, 20, 5], size=(30, 3)).astype(float)
    hard = np.arange(30) % 3
    X[np.arange(30), hard] *= 20
    scale = 100 if isinstance(model, SoftLabelLogisticRegression) else 1
    model = clone(model).fit(X / scale, hard)
    for y in (random_rows(30, 3), hard[::-1]):
        assert_exact(model, X * 10, y)


@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f8"), ("f8", "f4")])
def test_exact_logarithms_of_any_dtype(dtypes):
    dtype, target_dtype = dtypes
    rng = np.random.default_rng(0)
    logs = -(10.0 ** rng.uniform(0, 5, size=(40, 3)))
    logs[np.arange(40), rng.integers(3, size=40)] = 0.0
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    y = random_rows(40, 3, dtype=target_dtype)
    rtol = 2e-6 if "f4" in dtypes else 1e-13
    assert_exact(Logarithms(logs, dtype), np.zeros((40, 1)), y, rtol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_subnormal_probabilities_have_lost_digits(dtype):
    """With logarithms the losses have all theirs, however far below the normal numbers."""
    for below in (0.5, 3, 10, 15.5, 30, 40):
        logs = np.array([[0.0, np.log(np.finfo(dtype).tiny) - below]])
        scorer = scorer_of("neg_kl_loss", on_zero="inf")
        score = scorer(Logarithms(logs, dtype), [[0]], np.array([[0.5, 0.5]]))
        rtol = 1e-13 if dtype is np.float64 else 1e-7
        assert_allclose(score, np.log(2) + logs[0, 1] / 2, rtol=rtol)


def test_logarithms_with_units_weights_and_classes_never_seen():
    logs = [[0.0, -2000.0], [-1.0, np.log1p(-np.exp(-1.0))], [-9999.0, 0.0]]
    model, X, y = Logarithms(logs), np.zeros((3, 1)), [1, 0, 0]
    bits = make_divergence_scorer("kl_loss", on_zero="inf", base=2)
    score = bits(model, X, y, sample_weight=[1.0, 2.0, 0.0])
    assert_allclose(score, -(2000 + 2) / 3 / np.log(2), rtol=1e-13)
    strict = make_divergence_scorer("kl_loss", on_zero="raise")
    assert_allclose(strict(model, X, y), -(2000 + 1 + 9999) / 3, rtol=1e-13)

    model, X = Logarithms([[0.0, -2000.0], [-2000.0, 0.0]]), np.zeros((2, 1))
    scorer = make_divergence_scorer("kl_loss", on_zero="inf")
    assert_allclose(scorer(model, X, [1, 1]), -1000, rtol=1e-13)
    assert scorer(model, X, [1, 2]) == -np.inf
    frame = pd.DataFrame([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], columns=[1, 0, 2])
    assert scorer(model, X, frame) == -np.inf
    frame = pd.DataFrame([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], columns=[1, 0, 2])
    assert_allclose(scorer(model, X, frame), -(1000 - np.log(2) + 2000) / 2, rtol=1e-13)


def test_logarithms_of_many_labels():
    """More than are written as probabilities at once."""
    n_samples, n_classes = 1200, 500
    logs = np.full((n_samples, n_classes), -1000.0 - np.arange(n_samples)[:, None])
    y = np.arange(n_samples) % n_classes
    logs[:, 0] = 0.0
    score = scorer_of("neg_kl_loss", on_zero="inf")(Logarithms(logs), np.zeros((1200, 1)), y)
    assert_allclose(score, logs[np.arange(n_samples), y].mean(), rtol=1e-13)


@pytest.mark.parametrize(
    "model",
    [DecisionTreeClassifier(), KNeighborsClassifier(1), LinearDiscriminantAnalysis()],
    ids=lambda model: type(model).__name__,
)
def test_zeros_of_which_no_logarithm_is_known_stay_infinite(model):
    """LinearDiscriminantAnalysis puts the least normal number for them in its logarithms."""
    y = np.arange(40) % 2
    X = y[:, None] + 1e-4 * np.random.default_rng(0).normal(size=(40, 2))
    model = clone(model).fit(X, y)
    assert (model.predict_proba(X) == 0).any()
    for name in ("neg_kl_loss", "d2_kl"):
        assert scorer_of(name, on_zero="inf")(model, X, 1 - y) == -np.inf
        with pytest.raises(ValueError, match="is 0 where"):
            scorer_of(name, on_zero="raise")(model, X, 1 - y)
        assert np.isfinite(scorer_of(name)(model, X, 1 - y))


# How often a teacher is asked


class Asked(FrozenEstimator):
    """A fitted teacher; counts what all its copies are asked."""

    questions = 0

    def predict_proba(self, X):
        Asked.questions += 1
        return self.estimator.predict_proba(X)


@pytest.fixture
def asked(monkeypatch):
    """Return how often a teacher was asked."""
    monkeypatch.setattr(Asked, "questions", 0)
    return lambda: Asked.questions


def test_several_scorers_share_a_prediction(asked):
    X, y, *_ = data("multiclass")
    calls = []
    for names in (["d2_kl"], SCORERS):
        scoring, before = {name: scorer_of(name) for name in names}, asked()
        cross_validate(Asked(fitted("logistic", "multiclass")), X, y, scoring=scoring)
        calls.append(asked() - before)
    assert calls[0] == calls[1]


def test_a_search_asks_once_for_each_set_of_samples(asked):
    X, y, *_ = data("multiclass")
    teacher = Asked(fitted("logistic", "multiclass"))
    options = {"scoring": make_fidelity_scorer(teacher), "return_train_score": True}
    search = GridSearchCV(BernoulliNB(), {"alpha": [0.1, 1.0]}, refit=False, cv=3, **options)
    for _ in range(2):
        search.fit(X, y)
        assert asked() == 6


NUMBERS = np.abs(data("multiclass").X)
WORDS = np.random.default_rng(0).choice(["red", "green", "blue"], size=(90, 5))


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame(NUMBERS, columns=list("fghi")).assign(g=NUMBERS[:, 1].astype("f4")),
        csr_matrix(NUMBERS),
        NUMBERS.tolist(),
        np.asfortranarray(NUMBERS),
        NUMBERS.astype("f4"),
        [" ".join(row) for row in WORDS],
    ],
    ids=["frame", "sparse", "list", "fortran", "float32", "texts"],
)
def test_samples_of_any_type_are_recognized(asked, X):
    """Nothing that ``predict_proba`` does to X may make it look new."""
    hard = data("multiclass").hard
    model = MultinomialNB()
    if isinstance(X, list) and isinstance(X[0], str):
        model = make_pipeline(CountVectorizer(), model)
    student = clone(model).fit(X, hard)
    teacher = clone(model).fit(X, hard[::-1])
    scorer = make_fidelity_scorer(Asked(teacher))
    expected = by_hand("neg_kl_loss", student, X, teacher)
    for _ in range(2):
        assert_allclose(scorer(student, X), expected, rtol=1e-6)
    assert asked() == 1


def test_teachers_are_kept_apart():
    """Neither class, parameters nor place in memory tell teachers apart."""
    X, y, *_ = data("multiclass")
    student = fitted("logistic", "multiclass")
    for seed in range(20):
        rows = np.random.default_rng(seed).choice(90, size=60)
        teacher = GaussianNB().fit(X[rows], y[rows])  # dies before the next one is made
        score = make_fidelity_scorer(teacher)(student, X)
        assert_allclose(score, by_hand("neg_kl_loss", student, X, teacher), rtol=1e-12)
        del teacher


def test_copies_share_what_was_said(asked):
    """A search hands each task its own copy."""
    X, student = data("multiclass").X, fitted("logistic", "multiclass")
    scorer = make_fidelity_scorer(Asked(teacher_of("multiclass")))
    assert len({make(scorer)(student, X) for make in COPIES.values()}) == 1
    assert asked() == 1


def test_no_two_teachers_or_samples_are_mixed():
    """In any order, from many threads."""
    X, hard, *_ = data("multiclass")
    student = fitted("logistic", "multiclass")
    jobs = []
    for smoothing in (1e-9, 0.1, 1.0):
        teacher = GaussianNB(var_smoothing=smoothing).fit(X, hard)
        scorer = make_fidelity_scorer(teacher)
        for samples in (X, X[::-1], X[:30], X[30:], X.astype("f4"), X + 1e-9):
            jobs.append((scorer, samples, by_hand("neg_kl_loss", student, samples, teacher)))
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(jobs)), 3))
    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(lambda i: jobs[i][0](student, jobs[i][1]), order))
    assert_allclose(scores, [jobs[i][2] for i in order], rtol=1e-12)


@pytest.mark.slow
def test_the_oldest_answers_are_forgotten(asked):
    """Of 256 MB in each process."""
    proba = np.eye(8)[:1]
    student = Says(lambda X: np.broadcast_to(proba, (len(X), 8)), 8)
    scorer = make_fidelity_scorer(Asked(student))

    def ask(*which, n_rows=100 * 2**20 // 64):  # 100 MB each
        before = asked()
        for i in which:
            assert scorer(student, np.full((n_rows, 1), i, dtype=np.int8)) == 0
        return asked() - before

    assert ask(0, 1, 0, 1) == 2
    assert ask(2) == 1  # forgets 0, the one that was not wanted for longest
    assert ask(1) == 0
    assert ask(0) == 1  # forgets 2
    assert ask(2) == 1
    assert ask(3, 3, n_rows=300 * 2**20 // 64) == 2  # too large to be kept


def test_answers_are_not_changed_by_scoring():
    X, _, _, weight, _ = data("multiclass")
    proba = random_rows(90, 3)
    proba[::3] = [1, 0, 0]
    kept = proba.copy()
    teacher = Says(lambda X: proba, ["a", "m", "z"])
    student = fitted("forest", "multiclass")
    for name in SCORERS:
        scorer = scorer_of(name, teacher)
        first, _, last = (scorer(student, X, None, w) for w in (None, weight, None))
        assert first == last
    assert (proba == kept).all()
