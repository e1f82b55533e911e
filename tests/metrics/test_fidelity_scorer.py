"""Tests of make_fidelity_scorer: students scored against what a teacher says of X."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import (
    get_scorer,
    jensen_shannon_distance_loss,
    kl_loss,
    make_divergence_scorer,
    make_fidelity_scorer,
    renyi_loss,
    reverse_kl_loss,
)
from sklkl.metrics._losses import ALIGNED
from sklkl.metrics._scorers import TEACHINGS
from tests.metrics.test_scorers import (
    CLASSES,
    COPIES,
    HAVE_UNIT,
    SCORERS,
    data,
    each_loss_with_unit,
    each_problem,
    each_scorer,
    fixed,
    matches,
    metric_of,
    routing,
    sign_of,
)


@cache
def teacher_of(problem):
    X, hard, _, _ = data(problem)
    return GaussianNB().fit(X, hard)


@cache
def student_of(problem):
    X, hard, _, _ = data(problem)
    return LogisticRegression(C=0.1).fit(X, hard)


def scorer_of(name, teacher, **options):
    return make_fidelity_scorer(teacher, name, **SCORERS[name], **options)


def by_hand(name, teacher, student, X, **kwargs):
    """Signed metric of the two ``predict_proba``, matched by name, absent columns 0."""
    target, proba = (
        pd.DataFrame(model.predict_proba(X), columns=model.classes_)
        for model in (teacher, student)
    )
    classes = sorted({*target.columns, *proba.columns})
    target, proba = (
        frame.reindex(columns=classes, fill_value=0.0) for frame in (target, proba)
    )
    return sign_of(name) * metric_of(name)(target, proba, **kwargs)


class Asked(ClassifierMixin, BaseEstimator):
    """A fitted teacher that writes down what it is asked, from any process."""

    def __init__(self, model, path):
        self.model = model
        self.path = path

    @property
    def classes_(self):
        return self.model.classes_

    def predict_proba(self, X):
        with open(self.path, "a") as file:
            file.write(f"{joblib.hash(X)}\n")
        return self.model.predict_proba(X)

    def questions(self):
        return self.path.read_text().split()


@pytest.fixture
def asked(tmp_path):
    """Make a teacher of ``model`` that counts."""
    paths = (tmp_path / f"{i}.txt" for i in range(100))
    return lambda model: Asked(model, next(paths))


@pytest.fixture
def memory(monkeypatch):
    """Let the memory of what teachers said be empty, and give it back afterwards."""
    monkeypatch.setattr(TEACHINGS, "said", OrderedDict())
    return lambda max_bytes: monkeypatch.setattr(TEACHINGS, "max_bytes", max_bytes)


# Values


@each_scorer
@each_problem
@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_is_the_metric_of_teacher_and_student(name, problem, weighted):
    X, hard, _, weight = data(problem)
    teacher, student = teacher_of(problem), student_of(problem)
    kwargs = {"sample_weight": weight} if weighted else {}
    expected = by_hand(name, teacher, student, X, **kwargs)
    assert np.isfinite(expected)
    for enabled in (False, True):
        with routing(enabled):
            result = scorer_of(name, teacher)(student, X, hard, **kwargs)
        assert isinstance(result, float)
        assert_allclose(result, expected, rtol=1e-12)


@each_scorer
def test_the_teacher_is_its_own_best_student(name):
    X, _, _, _ = data("multiclass")
    teacher = teacher_of("multiclass")
    scorer = scorer_of(name, teacher)
    own, other = scorer(teacher, X), scorer(student_of("multiclass"), X)
    assert own > other
    if name == "d2_kl":
        assert own == 1
    elif name != "neg_cross_entropy_loss":
        assert own == 0


@each_scorer
def test_weights_are_the_third_argument_after_the_student(name):
    X, _, _, weight = data("multiclass")
    teacher, student = teacher_of("multiclass"), student_of("multiclass")
    scorer = scorer_of(name, teacher)
    weighted = scorer(student, X, None, weight)
    assert weighted == scorer(student, X, sample_weight=weight)
    assert abs(weighted - scorer(student, X)) > 1e-6


@each_problem
def test_several_metrics(problem):
    X, hard, _, _ = data(problem)
    teacher = teacher_of(problem)
    scoring = {name: scorer_of(name, teacher) for name in SCORERS}
    scoring |= {"soft": get_scorer("neg_kl_loss")}
    cv = StratifiedKFold(3)
    result = cross_validate(
        BernoulliNB(),
        X,
        hard,
        scoring={**scoring, "accuracy": "accuracy"},
        cv=cv,
        return_train_score=True,
        return_estimator=True,
        error_score="raise",
    )
    for i, (train, test) in enumerate(cv.split(X, hard)):
        student = result["estimator"][i]
        for name in SCORERS:
            for part, rows in (("test", test), ("train", train)):
                expected = by_hand(name, teacher, student, X[rows])
                assert_allclose(result[f"{part}_{name}"][i], expected, rtol=1e-12)
        expected = -kl_loss(hard[test], student.predict_proba(X[test]))
        assert_allclose(result["test_soft"][i], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("divergence", "options", "loss"),
    [
        ("kl_divergence", {}, kl_loss),
        ("reverse_kl_divergence", {}, reverse_kl_loss),
        ("jensen_shannon_distance", {"base": 2}, jensen_shannon_distance_loss),
        ("renyi_divergence", {"order": 2}, renyi_loss),
        ("renyi_divergence", {"order": 0.5, "base": 2}, renyi_loss),
    ],
)
def test_names_of_divergences(divergence, options, loss):
    """The teacher is the first argument of a divergence."""
    X, _, _, _ = data("multiclass")
    teacher, student = teacher_of("multiclass"), student_of("multiclass")
    rows = teacher.predict_proba(X), student.predict_proba(X)
    scorer = make_fidelity_scorer(teacher, divergence, **options)
    assert scorer(student, X) == pytest.approx(-loss(*rows, **options), rel=1e-12)
    assert scorer(student, X) != pytest.approx(-loss(*rows[::-1], **options), rel=1e-3) or (
        divergence == "jensen_shannon_distance" or options.get("order") == 0.5  # symmetric
    )


@pytest.mark.parametrize("loss", ALIGNED)
def test_every_divergence_has_its_name(loss):
    job = ALIGNED[loss].keywords
    name = ("reverse_" if job["reverse"] else "") + job["divergence"].name
    teacher = teacher_of("binary")
    arguments = SCORERS[f"neg_{loss}"]
    scorers = [
        make_fidelity_scorer(teacher, form, **arguments)
        for form in (name, loss, f"neg_{loss}")
    ]
    assert len(set(map(repr, scorers))) == 1


def test_the_default_is_kl_from_the_teacher():
    teacher = teacher_of("binary")
    assert repr(make_fidelity_scorer(teacher)) == (
        "make_fidelity_scorer(GaussianNB(), 'neg_kl_loss')"
    )
    assert repr(make_fidelity_scorer(teacher, "d2_kl_score")) == (
        "make_fidelity_scorer(GaussianNB(), 'd2_kl')"
    )


@each_loss_with_unit
def test_base(loss):
    X, _, _, _ = data("binary")
    teacher, student = teacher_of("binary"), student_of("binary")
    nats, bits = (
        scorer_of(f"neg_{loss}", teacher, **options)(student, X)
        for options in ({}, {"base": 2})
    )
    unit = np.log(2) ** (0.5 if loss == "jensen_shannon_distance_loss" else 1)
    assert_allclose(bits, nats / unit, rtol=1e-13)


def test_on_zero():
    teacher, X = fixed(["a", "b"], [[0.9, 0.1], [0.5, 0.5]])
    student, _ = fixed(["a", "b"], [[0.9, 0.1], [1.0, 0.0]])
    assert np.isfinite(make_fidelity_scorer(teacher)(student, X))
    assert make_fidelity_scorer(teacher, on_zero="inf")(student, X) == -np.inf
    strict = make_fidelity_scorer(teacher, on_zero="raise")
    with pytest.raises(ValueError, match=matches("y_proba[1, 1] is 0")):
        strict(student, X)
    # Where the teacher is sure there is nothing to lose.
    assert make_fidelity_scorer(student, on_zero="raise")(teacher, X) == (
        pytest.approx(-np.log(2) / 2)
    )


# Columns


@each_scorer
@each_problem
def test_columns_are_matched_through_classes(name, problem):
    classes = CLASSES[problem]
    rng = np.random.default_rng(0)
    rows = softmax(rng.normal(size=(2, 20, len(classes))), axis=-1)
    expected = sign_of(name) * metric_of(name)(*rows)
    for order in (np.arange(len(classes)), np.arange(len(classes))[::-1]):
        teacher, X = fixed(np.array(classes)[order], rows[0][:, order])
        for other in (np.arange(len(classes)), np.arange(len(classes))[::-1]):
            student, _ = fixed(np.array(classes)[other], rows[1][:, other])
            assert_allclose(scorer_of(name, teacher)(student, X), expected, rtol=1e-12)


@each_scorer
def test_classes_that_only_one_of_the_two_knows(name):
    rng = np.random.default_rng(0)
    teacher, X = fixed(["b", "long", "a"], softmax(rng.normal(size=(9, 3)), axis=1))
    student, _ = fixed(["a", "b", "c", "d"], softmax(rng.normal(size=(9, 4)), axis=1))
    for one, other in ((teacher, student), (student, teacher)):
        result = scorer_of(name, one)(other, X)
        assert np.isfinite(result)
        assert_allclose(result, by_hand(name, one, other, X), rtol=1e-12)


def test_a_class_that_the_student_never_saw_costs_what_clipping_says():
    teacher, X = fixed([0, 1, 2], [[0.5, 0.25, 0.25]])
    student, _ = fixed([0, 1], [[0.75, 0.25]])
    eps = np.finfo(np.float64).eps
    q = np.array([0.75, 0.25, eps]) / (1 + eps)
    p = teacher.proba[0]
    assert make_fidelity_scorer(teacher)(student, X) == (
        pytest.approx(-(p * np.log(p / q)).sum(), rel=1e-13)
    )
    assert make_fidelity_scorer(teacher, on_zero="inf")(student, X) == -np.inf


@pytest.mark.parametrize(
    ("ours", "theirs"), [(["a", "b"], [0, 1]), ([0, 1], ["a", "b"]), (["0", "1"], [0, 1])]
)
def test_strings_and_numbers_do_not_match(ours, theirs):
    teacher, X = fixed(ours, [[0.9, 0.1]])
    student, _ = fixed(theirs, [[0.9, 0.1]])
    match = matches("The teacher's classes", repr(ours[0]), repr(theirs), "different types")
    with pytest.raises(ValueError, match=match):
        make_fidelity_scorer(teacher)(student, X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, bool, object])
@each_scorer
def test_probabilities_of_any_dtype(name, dtype):
    """One-hot rows of integers are probabilities too."""
    rows = np.array([[1, 0], [0, 1], [1, 0]], dtype=dtype)
    for ours, theirs in ((rows, rows[::-1]), (rows, rows[[1, 1, 0]])):
        teacher, X = fixed([0, 1], ours)
        student, _ = fixed([0, 1], theirs)
        result = scorer_of(name, teacher)(student, X)
        assert_allclose(result, by_hand(name, teacher, student, X), rtol=1e-6, atol=1e-12)


# y


@pytest.mark.parametrize("kind", ["none", "soft", "unknown", "marker", "object", "short"])
@each_scorer
def test_y_is_not_looked_at(name, kind):
    X, _, soft, _ = data("multiclass")
    teacher, student = teacher_of("multiclass"), student_of("multiclass")
    y = {
        "none": None,
        "soft": soft[::-1],
        "unknown": np.arange(len(X)) % 7,
        "marker": np.full(len(X), -1),
        "object": object(),
        "short": ["a"],
    }[kind]
    scorer = scorer_of(name, teacher)
    expected = by_hand(name, teacher, student, X)
    assert_allclose(scorer(student, X, y), expected, rtol=1e-12)
    assert scorer(student, X) == scorer(student, X, y)


@pytest.mark.parametrize("unlabeled", [-1, "unlabeled"])
def test_samples_without_a_label_count(unlabeled):
    """They are what a student learns from, and what it can be compared on."""
    X, hard, _, _ = data("multiclass")
    y = hard.astype(object) if isinstance(unlabeled, str) else (hard == "a").astype(int)
    teacher = GaussianNB().fit(X, y.tolist())
    y[::2] = unlabeled
    y = np.array(y.tolist())
    student = DistilledClassifier(FrozenEstimator(teacher), unlabeled=unlabeled)
    cv = KFold(3)
    scorer = make_fidelity_scorer(teacher)
    scores = cross_val_score(student, X, y, scoring=scorer, cv=cv, error_score="raise")
    expected = [
        by_hand("neg_kl_loss", teacher, clone(student).fit(X[train], y[train]), X[test])
        for train, test in cv.split(X)
    ]
    assert_allclose(scores, expected, rtol=1e-10)
    with pytest.raises(ValueError, match="without a label"):
        cross_val_score(
            student, X, y, scoring=get_scorer("neg_kl_loss"), cv=cv, error_score="raise"
        )


@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
def test_grid_search_on_targets_of_any_kind(kind):
    X, hard, soft, _ = data("multiclass")
    y = {"hard": hard, "soft": soft, "frame": pd.DataFrame(soft, columns=["a", "m", "z"])}
    if kind == "soft":
        teacher = SoftLabelLogisticRegression(C=10).fit(X, soft)
    else:
        teacher = teacher_of("multiclass")
    cv = KFold(3)
    search = GridSearchCV(
        SoftLabelLogisticRegression(),
        {"C": [1e-3, 1.0]},
        scoring=make_fidelity_scorer(teacher),
        cv=cv,
        error_score="raise",
    ).fit(X, y[kind])
    for i, (train, test) in enumerate(cv.split(X)):
        y_train = y[kind].iloc[train] if kind == "frame" else y[kind][train]
        for j, C in enumerate((1e-3, 1.0)):
            student = SoftLabelLogisticRegression(C=C).fit(X[train], y_train)
            expected = by_hand("neg_kl_loss", teacher, student, X[test])
            result = search.cv_results_[f"split{i}_test_score"][j]
            assert_allclose(result, expected, rtol=1e-10)
    assert search.best_params_ == {"C": 1.0}
    expected = by_hand("neg_kl_loss", teacher, search.best_estimator_, X)
    assert_allclose(search.score(X), expected, rtol=1e-12)


# How often the teacher is asked


def search_of(scoring, n_candidates=4, **options):
    return GridSearchCV(
        BernoulliNB(),
        {"alpha": np.logspace(-2, 1, n_candidates)},
        scoring=scoring,
        refit=False,
        cv=options.pop("cv", 3),
        error_score="raise",
        **options,
    )


@pytest.mark.parametrize("n_candidates", [1, 5])
@pytest.mark.parametrize("train_scores", [False, True])
def test_a_search_asks_once_for_each_set_of_samples(asked, n_candidates, train_scores):
    X, hard, _, _ = data("multiclass")
    teacher = asked(teacher_of("multiclass"))
    search = search_of(
        make_fidelity_scorer(teacher), n_candidates, return_train_score=train_scores
    )
    search.fit(X, hard)
    assert len(teacher.questions()) == len(set(teacher.questions())) == 3 * (1 + train_scores)
    search.fit(X, hard)
    assert len(teacher.questions()) == 3 * (1 + train_scores)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda X: pd.DataFrame(X),
        lambda X: pd.DataFrame(X, columns=["f", "g", "h"]).assign(g=X[:, 1].astype("f4")),
        lambda X: csr_matrix(X),
        lambda X: X.tolist(),
        lambda X: np.asfortranarray(X),
        lambda X: X.astype("f4"),
        lambda X: X.astype(object),
    ],
    ids=["frame", "mixed frame", "sparse", "list", "fortran", "float32", "object"],
)
def test_samples_of_any_type_are_recognized(asked, prepare):
    """Nothing that ``predict_proba`` does to X may make it look new."""
    X, hard, _, _ = data("multiclass")
    X = prepare(X)
    teacher = asked(LogisticRegression(C=10).fit(X, hard))
    cv = StratifiedKFold(3)
    scorer = make_fidelity_scorer(teacher)
    search = search_of(scorer, n_candidates=2, return_train_score=True, cv=cv)
    result = search.fit(X, hard).cv_results_
    assert len(teacher.questions()) == 6
    rows = pd.DataFrame(X) if isinstance(X, list) else X
    take = (lambda i: rows.iloc[i]) if hasattr(rows, "iloc") else lambda i: rows[i]
    for i, (train, test) in enumerate(cv.split(np.zeros(len(hard)), hard)):
        X_train, X_test = take(train), take(test)
        if isinstance(X, list):
            X_train, X_test = X_train.values.tolist(), X_test.values.tolist()
        for j, alpha in enumerate(np.logspace(-2, 1, 2)):
            student = BernoulliNB(alpha=alpha).fit(X_train, hard[train])
            expected = by_hand("neg_kl_loss", teacher.model, student, X_test)
            assert_allclose(result[f"split{i}_test_score"][j], expected, rtol=1e-6)


def test_the_same_frame_or_sparse_matrix_twice(asked):
    X, hard, _, _ = data("multiclass")
    student = student_of("multiclass")
    for rows in (pd.DataFrame(X).assign(extra=1)[[0, 1, 2]], csr_matrix(X)):
        teacher = asked(LogisticRegression().fit(X, hard))
        scorer = make_fidelity_scorer(teacher)
        first = scorer(student, rows)
        rows.sum(axis=0)
        assert scorer(student, rows) == first
        assert len(teacher.questions()) == 1


def test_documents(asked):
    """Samples need not be numbers."""
    words = np.random.default_rng(0).choice(["red", "green", "blue", "tree"], size=(60, 5))
    X = [" ".join(row) for row in words]
    y = np.array(["tree" in row for row in X]).astype(int)
    teacher = asked(make_pipeline(CountVectorizer(), MultinomialNB()).fit(X, y))
    search = GridSearchCV(
        make_pipeline(CountVectorizer(), SoftLabelLogisticRegression()),
        {"softlabellogisticregression__C": [0.01, 1.0, 10.0]},
        scoring=make_fidelity_scorer(teacher),
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert len(teacher.questions()) == 3
    expected = by_hand("neg_kl_loss", teacher.model, search, X)
    assert_allclose(search.score(X), expected, rtol=1e-12)


def test_frames_with_strings(asked):
    X, hard, _, _ = data("multiclass")
    frame = pd.DataFrame(X, columns=["f", "g", "h"], index=[f"row {i}" for i in range(60)])
    frame["colour"] = np.array(["red", "green", "blue"])[np.arange(60) % 3]
    frame["size"] = pd.Categorical(np.array(["s", "l"])[np.arange(60) % 2])

    def pipeline(model):
        encode = make_column_transformer(
            (OneHotEncoder(), ["colour", "size"]), remainder=StandardScaler()
        )
        return make_pipeline(encode, model)

    teacher = asked(pipeline(RandomForestClassifier(5, random_state=0)).fit(frame, hard))
    search = GridSearchCV(
        pipeline(BernoulliNB()),
        {"bernoullinb__alpha": [0.1, 1.0, 10.0]},
        scoring=make_fidelity_scorer(teacher, "d2_kl_score"),
        cv=3,
        return_train_score=True,
        error_score="raise",
    ).fit(frame, hard)
    assert len(teacher.questions()) == 6
    expected = by_hand("d2_kl", teacher.model, search, frame)
    assert_allclose(search.score(frame), expected, rtol=1e-12)


def test_several_teachers_are_kept_apart(asked):
    X, hard, soft, _ = data("multiclass")
    frame = pd.DataFrame(soft, columns=CLASSES["multiclass"])
    models = {
        "nb": GaussianNB().fit(X, hard),
        "smooth_nb": GaussianNB(var_smoothing=1.0).fit(X, hard),
        "logistic": SoftLabelLogisticRegression().fit(X, frame),
    }
    teachers = {key: asked(model) for key, model in models.items()}
    scoring = {key: make_fidelity_scorer(teacher) for key, teacher in teachers.items()}
    cv = StratifiedKFold(3)
    result = search_of({**scoring, "hard": get_scorer("d2_kl")}, cv=cv).fit(X, hard)
    for key, teacher in teachers.items():
        assert len(teacher.questions()) == 3
        for i, (train, test) in enumerate(cv.split(X, hard)):
            for j, alpha in enumerate(np.logspace(-2, 1, 4)):
                student = BernoulliNB(alpha=alpha).fit(X[train], hard[train])
                expected = by_hand("neg_kl_loss", models[key], student, X[test])
                score = result.cv_results_[f"split{i}_test_{key}"][j]
                assert_allclose(score, expected, rtol=1e-10)


def test_equal_teachers_with_different_fits_are_kept_apart():
    """Neither class, parameters nor place in memory tell teachers apart."""
    X, hard, _, _ = data("multiclass")
    student = student_of("multiclass")
    for seed in range(20):
        rows = np.random.default_rng(seed).choice(60, size=40)
        teacher = GaussianNB().fit(X[rows], hard[rows])  # dies before the next one is made
        score = make_fidelity_scorer(teacher)(student, X)
        assert_allclose(score, by_hand("neg_kl_loss", teacher, student, X), rtol=1e-12)
        del teacher


def test_one_teacher_of_several_scorers(asked):
    X, hard, _, _ = data("multiclass")
    teacher = asked(teacher_of("multiclass"))
    names = ["neg_kl_loss", "d2_kl", "neg_jensen_shannon_loss"]
    search_of({name: scorer_of(name, teacher) for name in names}).fit(X, hard)
    assert set(pd.Series(teacher.questions()).value_counts()) <= {1, len(names)}


@pytest.mark.parametrize("max_bytes", [0, 3000, 2**28])
def test_no_two_teachers_or_samples_are_mixed(memory, max_bytes):
    """In any order, from many threads, by copies, with little memory."""
    memory(max_bytes)
    X, hard, _, _ = data("multiclass")
    student = student_of("multiclass")
    rng = np.random.default_rng(0)
    rows = [X, X[::-1], X[:30], X[30:], X.astype("f4"), X + 1e-9]
    jobs = []
    for smoothing in (1e-9, 0.1, 1.0):
        teacher = GaussianNB(var_smoothing=smoothing).fit(X, hard)
        scorer = make_fidelity_scorer(teacher)
        for copy in (lambda s: s, *COPIES.values()):
            for samples in rows:
                expected = by_hand("neg_kl_loss", teacher, student, samples)
                jobs.append((copy(scorer), samples, expected))
    order = rng.permutation(np.repeat(np.arange(len(jobs)), 2))
    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(lambda i: jobs[i][0](student, jobs[i][1]), order))
    assert_allclose(scores, [jobs[i][2] for i in order], rtol=1e-12)
    assert sum(proba.nbytes for proba in TEACHINGS.said.values()) <= max_bytes


@pytest.mark.parametrize("how", COPIES)
def test_copies_share_what_was_said(asked, how):
    """A search hands each task its own copy."""
    X, _, _, _ = data("multiclass")
    student = student_of("multiclass")
    teacher = asked(teacher_of("multiclass"))
    scorer = make_fidelity_scorer(teacher)
    score = scorer(student, X)
    assert COPIES[how](scorer)(student, X) == score
    assert len(teacher.questions()) == 1


def test_the_oldest_answers_are_forgotten(memory, asked):
    X, _, _, _ = data("multiclass")
    teacher = asked(teacher_of("multiclass"))
    student = student_of("multiclass")
    scorer = make_fidelity_scorer(teacher)
    sets = [X[:20], X[20:40], X[40:]]
    size = teacher.model.predict_proba(X[:20]).nbytes
    memory(2 * size)

    def ask(*which):
        before = len(teacher.questions()) if teacher.path.exists() else 0
        for i in which:
            expected = by_hand("neg_kl_loss", teacher.model, student, sets[i])
            assert_allclose(scorer(student, sets[i]), expected, rtol=1e-12)
            assert sum(proba.nbytes for proba in TEACHINGS.said.values()) <= 2 * size
        return len(teacher.questions()) - before

    assert ask(0, 1, 0, 1) == 2
    assert ask(2) == 1  # forgets 0, the one that was not wanted for longest
    assert ask(1) == 0
    assert ask(0) == 1  # forgets 2
    assert ask(1) == 0
    assert ask(2) == 1


def test_an_answer_that_does_not_fit_is_not_kept(memory, asked):
    X, _, _, _ = data("multiclass")
    teacher = asked(teacher_of("multiclass"))
    student = student_of("multiclass")
    memory(100)
    scorer = make_fidelity_scorer(teacher)
    assert scorer(student, X) == scorer(student, X)
    assert len(teacher.questions()) == 2
    assert not TEACHINGS.said


def test_the_memory_is_256_megabytes():
    assert TEACHINGS.max_bytes == 2**28
    assert "256 MB" in make_fidelity_scorer.__doc__


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_jobs(asked, backend):
    X, hard, _, _ = data("multiclass")
    models = teacher_of("multiclass"), GaussianNB(var_smoothing=1.0).fit(X, hard)
    results = []
    for n_jobs in (1, 2):
        teachers = [asked(model) for model in models]
        scoring = {"one": make_fidelity_scorer(teachers[0], base=2)}
        scoring["two"] = make_fidelity_scorer(teachers[1], "d2_kl_score")
        with joblib.parallel_backend(backend):
            search = search_of(scoring, n_jobs=n_jobs).fit(X, hard)
        results.append(search.cv_results_)
        for teacher in teachers:  # at most once in each process or thread
            assert len(set(teacher.questions())) == 3
            assert 3 <= len(teacher.questions()) <= 3 * n_jobs
    for key in ("mean_test_one", "mean_test_two"):
        assert_allclose(results[1][key], results[0][key], rtol=1e-12)


def test_answers_are_not_changed_by_scoring(memory):
    """All kinds of scores use the same array."""
    X, _, _, weight = data("multiclass")
    rows = softmax(np.random.default_rng(0).normal(size=(60, 3)) * 30, axis=1)
    rows[::3] = [1, 0, 0]
    teacher, _ = fixed(["a", "m", "z"], rows)
    teacher.proba = rows.copy()
    for name in SCORERS:
        scorer = scorer_of(name, teacher)
        scores = [scorer(student_of("multiclass"), X, None, w) for w in (None, weight, None)]
        assert scores[0] == scores[2]
    for proba in TEACHINGS.said.values():
        assert (proba == rows).all()


# Copies, and metadata


@each_scorer
@pytest.mark.parametrize("how", COPIES)
def test_copies(name, how):
    X, _, _, weight = data("binary")
    teacher, student = teacher_of("binary"), student_of("binary")
    scorer = scorer_of(name, teacher, on_zero="inf")
    duplicate = COPIES[how](scorer)
    assert repr(duplicate) == repr(scorer)
    assert duplicate(student, X) == scorer(student, X)
    assert duplicate(student, X[::2], None, weight[::2]) == (
        scorer(student, X[::2], None, weight[::2])
    )


@pytest.mark.parametrize("how", COPIES)
def test_copies_keep_their_requests(how):
    with routing():
        scorer = make_fidelity_scorer(teacher_of("binary"))
        scorer.set_score_request(sample_weight=True)
        requests = COPIES[how](scorer).get_metadata_routing().score.requests
        assert requests["sample_weight"] is True


@each_scorer
@pytest.mark.parametrize("several", [False, True])
def test_routing_of_weights(name, several):
    X, hard, _, weight = data("multiclass")
    teacher = teacher_of("multiclass")
    cv = StratifiedKFold(3)
    with routing():
        student = BernoulliNB().set_fit_request(sample_weight=True)
        weighted = scorer_of(name, teacher).set_score_request(sample_weight=True)
        plain = scorer_of(name, teacher).set_score_request(sample_weight=False)
        result = cross_validate(
            student,
            X,
            hard,
            scoring={"weighted": weighted, "plain": plain} if several else weighted,
            cv=cv,
            params={"sample_weight": weight},
            return_estimator=True,
            error_score="raise",
        )
    for i, (_, test) in enumerate(cv.split(X, hard)):
        job = name, teacher, result["estimator"][i], X[test]
        expected = by_hand(*job, sample_weight=weight[test])
        key = "test_weighted" if several else "test_score"
        assert_allclose(result[key][i], expected, rtol=1e-10)
        if several:
            assert_allclose(result["test_plain"][i], by_hand(*job), rtol=1e-10)


def test_metadata_needs_routing():
    X, _, _, _ = data("binary")
    scorer = make_fidelity_scorer(teacher_of("binary"))
    student = student_of("binary")
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        scorer(student, X, base=2)
    with routing():
        assert scorer(student, X, base=2) == (
            make_fidelity_scorer(teacher_of("binary"), base=2)(student, X)
        )


# Other tools of scikit-learn


def test_halving_search(asked):
    X, hard, _, _ = data("multiclass")
    teacher = asked(teacher_of("multiclass"))
    search = HalvingGridSearchCV(
        LogisticRegression(),
        {"C": [1e-4, 1e-3, 1e-2, 1.0]},
        scoring=make_fidelity_scorer(teacher),
        cv=3,
        min_resources=30,
        random_state=0,
        error_score="raise",
        factor=2,
    ).fit(X, hard)
    assert search.best_params_ == {"C": 1.0}
    assert search.n_iterations_ == 2
    n_sets = 2 * 3 * 2  # iterations, folds, and the training rows of each
    assert len(set(teacher.questions())) == len(teacher.questions()) == n_sets


def test_permutation_importance(asked):
    """The teacher is asked about the permuted samples: of these its opinion differs too."""
    X, hard, _, _ = data("multiclass")
    teacher, student = asked(teacher_of("multiclass")), student_of("multiclass")
    options = {"n_repeats": 3, "random_state": 0}
    scorer = make_fidelity_scorer(teacher)
    result = permutation_importance(student, X, hard, scoring=scorer, **options)
    assert len(set(teacher.questions())) == len(teacher.questions()) == 1 + 3 * 3
    expected = permutation_importance(
        student,
        X,
        hard,
        scoring=lambda model, X, y: by_hand("neg_kl_loss", teacher.model, model, X),
        **options,
    )
    assert_allclose(result.importances, expected.importances, rtol=1e-9, atol=1e-12)
    own = permutation_importance(teacher.model, X, hard, scoring=scorer, **options)
    assert (own.importances == 0).all()


def test_sequential_feature_selector():
    """The teacher sees only the selected features, as the student does."""
    X, hard, _, _ = data("multiclass")
    teacher = DummyClassifier().fit(X, hard)
    select = SequentialFeatureSelector(
        DummyClassifier(), n_features_to_select=1, cv=3, scoring=make_fidelity_scorer(teacher)
    )
    assert select.fit(X, hard).get_support().sum() == 1
    select.set_params(scoring=make_fidelity_scorer(teacher_of("multiclass")))
    with pytest.warns(UserWarning, match=matches("Scoring failed", "1 features", "expecting")):
        select.fit(X, hard)


def test_teachers_that_are_searches_pipelines_and_frozen():
    X, hard, _, _ = data("multiclass")
    student = student_of("multiclass")
    for teacher in (
        GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 0.1]}).fit(X, hard),
        make_pipeline(StandardScaler(), GaussianNB()).fit(X, hard),
        FrozenEstimator(teacher_of("multiclass")),
        DistilledClassifier(GaussianNB()).fit(X, hard),
    ):
        score = make_fidelity_scorer(teacher)(student, X)
        assert_allclose(score, by_hand("neg_kl_loss", teacher, student, X), rtol=1e-12)


# Errors


@pytest.mark.parametrize(
    "teacher",
    [
        GaussianNB(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(GaussianNB(), {}),
        FrozenEstimator(LogisticRegression()),
        DistilledClassifier(GaussianNB()),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_a_teacher_that_is_not_fitted(teacher):
    with pytest.raises(ValueError, match=matches(type(teacher).__name__, "not fitted")):
        make_fidelity_scorer(teacher)


@pytest.mark.parametrize("fit", [False, True])
def test_a_teacher_without_predict_proba(fit):
    X, hard, _, _ = data("binary")
    for teacher in (Perceptron(), make_pipeline(StandardScaler(), Perceptron())):
        if fit:
            teacher.fit(X, hard)
        match = matches(type(teacher).__name__, "predict_proba", "CalibratedClassifierCV")
        with pytest.raises(TypeError, match=match):
            make_fidelity_scorer(teacher)
    with pytest.raises(TypeError, match="predict_proba"):
        make_fidelity_scorer("kl_divergence")


def test_a_student_without_predict_proba():
    X, hard, _, _ = data("binary")
    scorer = make_fidelity_scorer(teacher_of("binary"))
    with pytest.raises(TypeError, match=matches("Perceptron", "predict_proba")):
        scorer(Perceptron().fit(X, hard), X)
    with pytest.raises(NotFittedError, match="LogisticRegression"):
        scorer(LogisticRegression(), X)


@pytest.mark.parametrize("name", ["bogus", "neg_d2_kl", "accuracy", "", "KL_divergence"])
def test_unknown_divergences(name):
    with pytest.raises(ValueError, match=matches(repr(name), "'neg_kl_loss'")):
        make_fidelity_scorer(teacher_of("binary"), name)


def test_wrong_arguments():
    teacher = teacher_of("binary")
    with pytest.raises(ValueError, match=matches("renyi_loss", "needs", "order")):
        make_fidelity_scorer(teacher, "renyi_divergence")
    for argument in ("labels", "sample_weight", "foo"):
        with pytest.raises(ValueError, match=matches("kl_loss takes no", argument)):
            make_fidelity_scorer(teacher, **{argument: 1})
    with pytest.raises(ValueError, match="on_zero must be one of"):
        make_fidelity_scorer(teacher, on_zero="bogus")
    with pytest.raises(ValueError, match="base must be"):
        make_fidelity_scorer(teacher, base=1)
    without_unit = next(loss for loss in ALIGNED if loss not in HAVE_UNIT)
    with pytest.raises(ValueError, match=matches("takes no", "base")):
        scorer_of(f"neg_{without_unit}", teacher, base=2)


@each_scorer
@pytest.mark.parametrize(
    ("bad", "problem"),
    [([0.9, np.nan], "NaN"), ([1.5, -0.5], "negative"), ([0.9, 0.9], "sums to 1.8")],
)
def test_who_predicts_no_probabilities_is_named(name, bad, problem):
    good, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]])
    poor, _ = fixed(["a", "b"], [[0.9, 0.1], bad])
    with pytest.raises(ValueError, match=matches("y_proba[1]", problem)):
        scorer_of(name, good)(poor, X)
    with pytest.raises(ValueError, match=matches("teacher.predict_proba(X)[1]", problem)):
        scorer_of(name, poor)(good, X)


@each_scorer
@pytest.mark.parametrize(
    "rows", [[[0.2, 0.3, 0.5]] * 2, [0.9, 0.1], [[[0.9, 0.1]] * 2] * 2, [["a", "b"]] * 2]
)
def test_predictions_of_the_wrong_shape_or_kind(name, rows):
    good, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]])
    poor, _ = fixed(["a", "b"], rows)
    with pytest.raises((ValueError, TypeError), match=r"y_proba.* (shape|real numbers)"):
        scorer_of(name, good)(poor, X)
    with pytest.raises((ValueError, TypeError), match=r"teacher.* (shape|real numbers)"):
        scorer_of(name, poor)(good, X)


@each_scorer
@pytest.mark.parametrize("n_samples", [1, 2])
def test_predictions_for_other_samples(name, n_samples):
    """A single row is not repeated."""
    three, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]])
    few, _ = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]][:n_samples])
    for teacher, student in ((three, few), (few, three)):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            scorer_of(name, teacher)(student, X)


def test_make_divergence_scorer_takes_the_same_names():
    X, hard, _, _ = data("binary")
    teacher, student = teacher_of("binary"), student_of("binary")
    soft = teacher.predict_proba(X)
    for name in ("kl_divergence", "reverse_kl_divergence", "jensen_shannon_distance"):
        expected = make_divergence_scorer(name)(student, X, soft)
        assert make_fidelity_scorer(teacher, name)(student, X, hard) == expected
