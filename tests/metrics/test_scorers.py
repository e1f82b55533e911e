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
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import load_iris
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
    GridSearchCV,
    KFold,
    StratifiedKFold,
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
from sklkl.divergences._registry import DIVERGENCES, NAMES
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import (
    d2_kl_score,
    divergence_loss,
    get_scorer,
    make_divergence_scorer,
    make_fidelity_scorer,
)
from tests._support import reference
from tests._support.messages import matches
from tests._support.models import Says, Table, routing
from tests._support.problems import make_problem, random_rows

EPS = np.finfo(np.float64).eps

# Scorer name -> the parameters that it needs.
SCORERS = {name: {} for name in metrics.get_scorer_names()}
SCORERS |= {
    "neg_renyi_loss": {"divergence_params": {"order": 2}},
    "neg_alpha_loss": {"divergence_params": {"alpha": 0.5}},
}

PROBLEMS = {"binary": ("no", "yes"), "multiclass": ("a", "m", "z")}
MODELS = {
    "logistic": LogisticRegression(C=0.1),
    "dummy": DummyClassifier(),
    "forest": RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0),
    "soft": SoftLabelLogisticRegression(),
}

each_scorer = pytest.mark.parametrize("name", SCORERS)
# Of three words or more the order is not known.
OF_WORDS = [name for name in SCORERS if name != "neg_ranked_probability_loss"]
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
        y.columns = pd.CategoricalIndex(classes, ordered=True)  # in order, though sorted
    else:
        options["labels"] = classes
    proba = proba.reindex(columns=classes, fill_value=0.0)
    if name == "d2_kl":
        return d2_kl_score(y, proba, **options)
    return -divergence_loss(y, proba, divergence=name, **SCORERS[name], **options)


def check_score(name, model, X, y=None, teacher=None, sample_weight=None, **options):
    """Compare a score with the one by hand; return it."""
    score = scorer_of(name, teacher, **options)(model, X, y, sample_weight=sample_weight)
    target = y if teacher is None else teacher
    expected = by_hand(name, model, X, target, sample_weight=sample_weight, **options)
    assert np.isfinite(score)
    assert_allclose(score, expected, rtol=1e-12, atol=1e-14)
    return score


def fixed(classes, proba):
    """Return a model of these rows, and samples that stand for them."""
    return Table(np.asarray(proba), classes), np.arange(len(proba))[:, None]


# Names and values


def test_names():
    names = metrics.get_scorer_names()
    assert names == sorted(name for name, needed in SCORERS.items() if not needed)
    assert set(SCORERS) == {"d2_kl", *(f"neg_{name}_loss" for name in NAMES)}
    for name in names:
        assert repr(get_scorer(name)) == repr(make_divergence_scorer(name))


@each_way
def test_names_of_losses_and_divergences_do(taught):
    """The teacher, or the target, is the first argument of a divergence."""
    X, hard, soft, *_ = data("multiclass")
    model, teacher = fitted("logistic", "multiclass"), teacher_of("multiclass")
    y, target = (hard, teacher) if taught else (soft, soft)
    make = partial(make_fidelity_scorer, teacher) if taught else make_divergence_scorer
    forms = {"d2_kl": ["d2_kl", "d2_kl_score"]}
    forms |= {f"neg_{d.name}_loss": d.spellings for d in DIVERGENCES if not d.ordered}
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
        ("all", "bogus", {}, ["'kl', ", "'d2_kl'", "'neg_kl_loss'", "got 'bogus'"]),
        ("all", "neg_log_loss", {}, ["sklearn.metrics.get_scorer('neg_log_loss')"]),
        ("all", "neg_d2_kl", {}, ["'neg_kl_loss'", "'neg_d2_kl'"]),
        ("get", "neg_renyi_loss", {}, ["'renyi'", "needs ['order']"]),
        ("make", "renyi_loss", {}, ["'renyi'", "needs ['order']"]),
        ("make", "kl", {"divergence_params": {"foo": 1}}, ["'kl' takes no parameters"]),
        ("make", "d2_kl", {"divergence_params": {"foo": 1}}, ["takes no parameters"]),
        ("make", "d2_kl", {"base": 2}, ["'d2_kl' has no unit, so base must be None"]),
        ("make", "hellinger", {"base": 2}, ["'hellinger' has no unit"]),
        ("make", "kl_loss", {"on_zero": "bogus"}, ["on_zero must be one of"]),
        ("make", "kl_loss", {"base": 1}, ["base must be None"]),
    ],
)
def test_names_and_arguments_that_are_refused(makers, name, options, parts):
    making = [make_divergence_scorer, partial(make_fidelity_scorer, teacher_of("binary"))]
    for make in {"all": [*making, get_scorer], "get": [get_scorer], "make": making}[makers]:
        with pytest.raises(ValueError, match=matches(*parts)):
            make(name, **options)


@each_way
@each_scorer
def test_a_scorer_is_its_metric(name, taught):
    """Each with each model; problems and kinds of targets in turn."""
    i = list(SCORERS).index(name)
    for j, model in enumerate(MODELS):
        ordered = name not in OF_WORDS  # words are in order in a data frame alone
        problem = list(PROBLEMS)[0 if ordered and taught else (i + j // 2) % 2]
        X, _, _, weight, _ = data(problem)
        y = targets(problem, "frame" if ordered else ("hard", "soft", "frame")[(i + j) % 3])
        teacher = teacher_of(problem) if taught else None
        model = fitted(model, problem)
        with routing(j % 2 == 0):
            plain, weighted = (
                check_score(name, model, X, y, teacher, w) for w in (None, weight)
            )
            assert isinstance(plain, float)
            assert abs(weighted - plain) > 1e-6
            assert not taught or scorer_of(name, teacher)(model, X, None, weight) == weighted


@each_way
def test_options(taught):
    X, hard, *_ = data("multiclass")
    teacher = teacher_of("multiclass") if taught else None
    model = fitted("forest", "multiclass")
    for name, options in (
        ("neg_kl_loss", {"base": 2}),
        ("neg_jensen_shannon_distance_loss", {"base": 2}),
        ("neg_jensen_shannon_loss", {"divergence_params": {"weight": 0.3}, "base": 10}),
        ("d2_kl", {"on_zero": "clip"}),
    ):
        check_score(name, model, X, hard, teacher, **options)
    with pytest.raises(ValueError, match=r"^order must be"):
        scorer_of("neg_renyi_loss", teacher, divergence_params={"order": -1})(model, X, hard)
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
    target = teacher if taught else [0, 0, 1]
    for name in ("neg_kl_loss", "neg_hellinger_loss", "d2_kl"):
        result = scorer_of(name, teacher if taught else None)(model, X, [0, 0, 1])
        assert_allclose(result, by_hand(name, model, X, target), rtol=1e-6, atol=1e-12)


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
            check_score(name, model, X, teacher=teacher)
            continue
        for y in (hard, frame[names[other]], others[:, order]):
            check_score(name, model, X, y)


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
        check_score(name, model, X, y)
    assert np.isfinite(scorer_of("neg_kl_loss")(model, X[:1], y[:1]))


@pytest.mark.parametrize("name", OF_WORDS)
def test_classes_that_only_one_of_the_two_knows(name):
    one, X = fixed(["b", "long", "a"], random_rows(9, 3))
    other, _ = fixed(["a", "b", "c", "d"], random_rows(9, 4))
    for teacher, student in ((one, other), (other, one)):
        check_score(name, student, X, teacher=teacher)
    check_score(name, one, X, pd.DataFrame(random_rows(9, 4), columns=["d", "long", "b", "a"]))


@each_way
def test_a_class_that_the_model_never_saw_costs_the_clip_value(taught):
    model, X = fixed(["b", "a"], [[0.75, 0.25]])
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.75, EPS]) / (1 + EPS)
    teacher = fixed(["a", "b", "c"], [p])[0] if taught else None
    y = pd.DataFrame([p], columns=["a", "b", "c"])
    for name, terms in (("neg_kl_loss", q / p), ("neg_cross_entropy_loss", q)):
        score = scorer_of(name, teacher)(model, X, y)
        assert_allclose(score, (p * np.log(terms)).sum(), rtol=1e-13)
    assert scorer_of("neg_kl_loss", teacher, on_zero="inf")(model, X, y) == -np.inf
    with pytest.raises(ValueError, match=r"y_proba\[0, [02]\] is 0 where y_true\[0, [02]\]"):
        scorer_of("neg_kl_loss", teacher, on_zero="raise")(model, X, y)


# What models and users get wrong, and what a teacher makes good


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
        with pytest.raises((ValueError, TypeError), match=matches("_proba", *parts)):
            scorer_of("neg_kl_loss", teacher)(poor, X, ["a", "b"])
    parts = "The teacher's predict_proba", *parts
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        scorer_of("d2_kl", poor)(good, X)


def test_samples_and_predictions_of_different_lengths():
    """A single row is not repeated."""
    rows, X = random_rows(3, 2), np.arange(3.0)[:, None]
    student = SoftLabelLogisticRegression().fit(X, rows)
    for n_rows, n_samples in ((1, 3), (3, 1), (2, 3)):
        model, other = (Says(lambda X, n=n: rows[:n], ["a", "b"]) for n in (n_rows, n_samples))
        frame = pd.DataFrame(rows[:n_samples], columns=["b", "a"])
        score = partial(scorer_of("neg_kl_loss"), model, X)
        calls = [partial(score, y) for y in (list("aba")[:n_samples], rows[:n_samples], frame)]
        calls.append(partial(scorer_of("neg_kl_loss", other), model, X))
        calls.append(partial(student.score, X[:n_rows], rows[:n_samples]))
        for call in calls:
            with pytest.raises(ValueError, match="inconsistent numbers of samples"):
                call()


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
    with pytest.raises(TypeError, match=matches("Perceptron", "no predict_proba")):
        scorer(Perceptron().fit(X, y), X, y)
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
    rows = [f"r{i}" for i in range(90)]
    X, y, weight = pd.DataFrame(data("binary").X, rows), data("binary").hard, np.ones(90)
    model = GaussianNB().fit(X, y)
    y, weight = pd.Series(y, rows), pd.Series(weight, rows)
    score, fidelity = get_scorer("neg_kl_loss"), make_fidelity_scorer(model)
    with pytest.raises(ValueError, match="rows of X and y_true have different labels"):
        score(model, X, y.iloc[::-1])
    for scorer in (score, fidelity):
        with pytest.raises(ValueError, match="rows of X and sample_weight have different"):
            scorer(model, X, y, sample_weight=weight.iloc[::-1])
    check_score("neg_kl_loss", model, X, y.to_numpy(), sample_weight=weight)
    # A teacher speaks for X, whatever y is.
    assert fidelity(model, X, y.iloc[::-1], sample_weight=weight) == 0.0


def test_a_teacher_speaks_whatever_y_is():
    X, teacher = data("multiclass").X, teacher_of("multiclass")
    student = fitted("logistic", "multiclass")
    expected = check_score("neg_kl_loss", student, X, teacher=teacher)
    for y in (np.arange(90) % 7, np.full(90, -1), object(), ["a"], random_rows(9, 5)):
        assert make_fidelity_scorer(teacher)(student, X, y) == expected


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
        check_score("neg_kl_loss", model, X, y, teacher)
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
    options = {"cv": KFold(3), "return_estimator": True, "error_score": "raise"}
    if kind == "hard":
        scoring["neg_log_loss"] = "neg_log_loss"
    for step in (1, -1):
        options["scoring"] = dict(list(scoring.items())[::step])
        result = cross_validate(SoftLabelLogisticRegression(), X, y, **options)
        for i, (_, test) in enumerate(KFold(3).split(X)):
            for name in names:
                of_test = y.iloc[test] if kind == "frame" else y[test]
                for key, target in ((name, of_test), (f"fidelity_{name}", teacher)):
                    expected = by_hand(name, result["estimator"][i], X[test], target)
                    assert_allclose(result[f"test_{key}"][i], expected, rtol=1e-12)
        if kind == "hard":
            ours, theirs = result["test_neg_kl_loss"], result["test_neg_log_loss"]
            assert_allclose(ours, theirs, rtol=1e-12)


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
    scoring = {name: scorer_of(name) for name in OF_WORDS}
    options = {"scoring": scoring, "cv": SPLITS, "error_score": "raise"}
    result = cross_validate(model, X, container(LABELS), **options)
    for i, (train, test) in enumerate(SPLITS):
        fold = clone(model).fit(X[train], LABELS[train])
        for name in OF_WORDS:
            expected = by_hand(name, fold, X[test], LABELS[test])
            assert np.isfinite(expected)
            assert_allclose(result[f"test_{name}"][i], expected, rtol=1e-10)


@each_way
def test_thresholds_do_not_change_probabilities(taught):
    X, y, _, weight, _ = data("binary")
    teacher = fitted("logistic", "binary") if taught else None
    model = model_selection.FixedThresholdClassifier(GaussianNB(), threshold=0.2).fit(X, y)
    for name in ("neg_kl_loss", "d2_kl"):
        expected = check_score(name, GaussianNB().fit(X, y), X, y, teacher, weight)
        scorer = scorer_of(name, teacher)
        assert scorer(model, X, y, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
        tuned = model_selection.TunedThresholdClassifierCV(GaussianNB(), scoring=scorer)
        with pytest.raises(TypeError, match=matches("threshold", "balanced_accuracy")):
            tuned.fit(X, y)


@each_way
def test_permutation_importance(taught):
    """A teacher is asked about the permuted samples: of these its opinion differs too."""
    X, y, _, weight, _ = data("multiclass")
    X = np.column_stack([X, np.ones(len(X))])
    model, teacher = (LogisticRegression(C=C).fit(X, y) for C in (0.1, 10))

    def expected(model, X, y, sample_weight):
        return by_hand(
            "d2_kl", model, X, teacher if taught else y, sample_weight=sample_weight
        )

    ours, theirs = (
        permutation_importance(
            model, X, y, scoring=scoring, n_repeats=2, random_state=0, sample_weight=weight
        ).importances
        for scoring in (scorer_of("d2_kl", teacher if taught else None), expected)
    )
    assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert ours[:4].max() > 1e-3
    assert_allclose(ours[4], 0, atol=1e-15)


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
    options = {"cv": StratifiedKFold(3), "error_score": "raise"}
    weights = {"True": weight, "False": None, "importance": weight**2}
    with routing():
        scoring = {
            key: scorer_of(name, teacher).set_score_request(sample_weight=request)
            for key, request in zip(weights, (True, False, "importance"), strict=True)
        }
        model = GaussianNB().set_fit_request(sample_weight=True)
        params = {"sample_weight": weight, "importance": weight**2}
        result = cross_validate(model, X, y, scoring=scoring, params=params, **options)
        search = GridSearchCV(
            model, {"var_smoothing": [1e-9]}, scoring=scoring["True"], **options
        ).fit(X, y, sample_weight=weight)
        final = search.score(X, y, sample_weight=weight)
    for i, (train, test) in enumerate(options["cv"].split(X, y)):
        fold = GaussianNB().fit(X[train], y[train], weight[train])
        given = {key: None if w is None else w[test] for key, w in weights.items()}
        expected = [
            check_score(name, fold, X[test], y[test], teacher, w) for w in given.values()
        ]
        assert len(set(np.round(expected, 6))) == 3
        assert_allclose([result[f"test_{key}"][i] for key in weights], expected, rtol=1e-10)
    assert_allclose(search.best_score_, np.mean(result["test_True"]), rtol=1e-10)
    expected = check_score(name, search.best_estimator_, X, y, teacher, weight)
    assert final == pytest.approx(expected, rel=1e-12)


@each_way
def test_weights_that_nobody_requested(taught):
    """Newer scikit-learn refuses them, older passes them by: as for its own scorers."""
    X, y, _, weight, _ = data("binary")
    scorer = scorer_of("neg_kl_loss", teacher_of("binary") if taught else None)

    def refused(scoring):
        model = GaussianNB().set_fit_request(sample_weight=True)
        options = {"params": {"sample_weight": weight}, "error_score": "raise"}
        try:
            return not cross_validate(model, X, y, scoring=scoring, **options)
        except UnsetMetadataPassedError:
            return True

    with routing():
        assert refused(scorer) == refused(get_sklearn_scorer("accuracy"))
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
    check_score("neg_kl_loss", model, X, y)  # whoever clips does not look at logarithms


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
    bits = scorer_of("neg_kl_loss", on_zero="inf", base=2)
    score = bits(model, X, y, sample_weight=[1, 2, 0])
    assert_allclose(score, -(2000 + 2) / 3 / np.log(2), rtol=1e-13)
    strict = scorer_of("neg_kl_loss", on_zero="raise")(model, X, y)
    assert_allclose(strict, -(2000 + 1 + 9999) / 3, rtol=1e-13)

    model, X = Logarithms([[0.0, -2000.0], [-2000.0, 0.0]]), np.zeros((2, 1))
    soft = [[[0.5, 0.5, 0.0], row] for row in ([0.0, 0.5, 0.5], [0.0, 1.0, 0.0])]
    unseen, seen = (pd.DataFrame(rows, columns=[1, 0, 2]) for rows in soft)
    finite = -(1000 - np.log(2) + 2000) / 2
    for y, expected in (([1, 1], -1000), ([1, 2], -np.inf), (unseen, -np.inf), (seen, finite)):
        score = scorer_of("neg_kl_loss", on_zero="inf")(model, X, y)
        assert_allclose(score, expected, rtol=1e-13)


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
    for names in (["d2_kl"], OF_WORDS):
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
SAMPLES = {
    "frame": pd.DataFrame(NUMBERS, columns=list("fghi")).assign(g=np.float32(NUMBERS[:, 1])),
    "sparse": csr_matrix(NUMBERS),
    "list": NUMBERS.tolist(),
    "fortran": np.asfortranarray(NUMBERS),
    "float32": NUMBERS.astype("f4"),
    "texts": [" ".join(row) for row in WORDS],
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_of_any_type_are_recognized(asked, kind):
    """Nothing that ``predict_proba`` does to X may make it look new."""
    X, hard = SAMPLES[kind], data("multiclass").hard
    model = make_pipeline(CountVectorizer(), MultinomialNB())
    model = model if kind == "texts" else MultinomialNB()
    student, teacher = (clone(model).fit(X, y) for y in (hard, hard[::-1]))
    scorer = make_fidelity_scorer(Asked(teacher))
    expected = by_hand("neg_kl_loss", student, X, teacher)
    for _ in range(2):
        assert_allclose(scorer(student, X), expected, rtol=1e-6)
    assert asked() == 1


def test_teachers_are_kept_apart():
    """Neither class, parameters nor place in memory tell teachers apart."""
    X, y, *_ = data("multiclass")
    for seed in range(20):
        rows = np.random.default_rng(seed).choice(90, size=60)
        teacher = GaussianNB().fit(X[rows], y[rows])  # dies before the next one is made
        check_score("neg_kl_loss", fitted("logistic", "multiclass"), X, teacher=teacher)
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
    student, jobs = fitted("logistic", "multiclass"), []
    for smoothing in (1e-9, 0.1, 1.0):
        teacher = GaussianNB(var_smoothing=smoothing).fit(X, hard)
        for samples in (X, X[::-1], X[:30], X[30:], X.astype("f4"), X + 1e-9):
            jobs.append((teacher, samples, make_fidelity_scorer(teacher)))
    jobs = [jobs[i] for i in np.random.default_rng(0).permutation(len(jobs))] * 3
    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(lambda job: job[2](student, job[1]), jobs))
    expected = [by_hand("neg_kl_loss", student, samples, t) for t, samples, _ in jobs]
    assert_allclose(scores, expected, rtol=1e-12)


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
    for name in OF_WORDS:
        score = partial(scorer_of(name, teacher), fitted("forest", "multiclass"), X, None)
        first, _, last = (score(w) for w in (None, weight, None))
        assert first == last
    assert (proba == kept).all()


# Probabilities in the place of a teacher


def test_probabilities_of_a_teacher_are_found_by_name():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.index = [f"flower {i}" for i in range(150)]
    teacher = GaussianNB().fit(X, y)
    frame = pd.DataFrame(teacher.predict_proba(X), index=X.index)[[2, 0, 1]].sample(frac=1)
    student = LogisticRegression(max_iter=1000).fit(X, y)
    by_model, by_name = (make_fidelity_scorer(t, "reverse_kl") for t in (teacher, frame))
    for part in (X, X[::3], X[:1]):
        assert by_name(student, part) == pytest.approx(by_model(student, part), rel=1e-12)
    scores = cross_val_score(student, X, y.to_numpy(), scoring=by_name, error_score="raise")
    assert_allclose(scores, cross_val_score(student, X, y.to_numpy(), scoring=by_model))
    with pytest.raises(ValueError, match="no row 'other'"):
        by_name(student, X[:1].rename(index={"flower 0": "other"}))
    with pytest.raises(ValueError, match="pass X as a data frame"):
        by_name(clone(student).fit(X.to_numpy(), y), X.to_numpy())
    for bad, message in (
        (frame.to_numpy(), "index names the samples"),
        (frame.reset_index(drop=True), "index names the samples"),
        (pd.concat([frame[:1]] * 2), "twice"),
        (2.0 * frame, "teacher"),
    ):
        with pytest.raises(ValueError, match=message):
            make_fidelity_scorer(bad)
