"""DeferringClassifier: the certificate against SciPy and simulations, and who answers what."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import binomtest
from sklearn.base import BaseEstimator
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.naive_bayes import GaussianNB

from sklkl.distillation import DeferringClassifier, DistilledClassifier
from sklkl.divergences import jensen_shannon_divergence, kl_divergence
from sklkl.linear_model import SoftLabelLogisticRegression
from tests._support.messages import matches
from tests._support.models import Recorder, Says, Table, routing
from tests._support.problems import make_problem, random_rows

PROBLEM = make_problem(n_samples=400, noise=0.3)
X, Y, SOFT = PROBLEM.X, PROBLEM.hard, PROBLEM.soft
ALL = {"agreement": 0.01, "confidence_level": 0.5}  # a single row that agrees certifies
pytestmark = pytest.mark.filterwarnings("error:Nothing is certified")


def rows(n):
    return np.arange(n)[:, np.newaxis]


def binary(p):
    return np.column_stack([1.0 - p, p])


def certified(student, y, **params):
    """Return a classifier whose student is certified on rows that agree or not with ``y``."""
    model = DeferringClassifier(FrozenEstimator(Table(student)), reference="y", **params)
    return model.fit(rows(len(y)), y)


# -- the certificate -----------------------------------------------------------


def drawn(kind, n, rng):
    """Return confidences, and the true shares of agreement at each."""
    confidence = rng.uniform(0.5, 1.0, n)
    if kind == "rises":
        return confidence, confidence
    if kind == "falls":  # the confidence is worth less than nothing
        return confidence, 1.45 - confidence
    if kind == "just below":
        return confidence, np.full(n, 0.8999)
    confidence = rng.choice([0.6, 0.8, 0.95], n)  # as the leaves of a tree
    return confidence, np.where(confidence == 0.8, 0.8999, 0.89)


def share_of_violations(kind, n, n_sets):
    """Return the share of sets with a threshold above which rows agree too rarely."""
    confidence, share = drawn(kind, 200_000, np.random.default_rng(0))
    order = np.argsort(-confidence, kind="stable")
    confidence, share = confidence[order], share[order]
    means = np.cumsum(share) / np.arange(1, len(share) + 1)
    n_bad = 0
    for seed in range(n_sets):
        rng = np.random.default_rng([seed, 1])
        own, rate = drawn(kind, n, rng)
        y = (rng.random(n) < rate).astype(int)  # the student always says 1
        with warnings.catch_warnings(action="ignore"):
            model = certified(binary(own), y, agreement=0.9)
        n_answered = np.searchsorted(-confidence, -model.threshold_, side="right")
        n_bad += n_answered > 0 and means[n_answered - 1] < 0.9
    return n_bad / n_sets


@pytest.mark.parametrize("kind", ["rises", "falls", "just below", "ties"])
@pytest.mark.parametrize(
    "n_sets", [100, pytest.param(2000, marks=pytest.mark.slow, id="many")]
)
def test_promises_too_much_in_at_most_five_percent(kind, n_sets):
    """The bound of 5 %, and what chance adds to it at most."""
    assert share_of_violations(kind, 500, n_sets) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / n_sets)


def test_bounds_are_those_of_clopper_and_pearson():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 900)
    y = (rng.random(900) < confidence).astype(int)
    model = certified(binary(confidence), y, agreement=0.9, confidence_level=0.8)
    curve = model.curve_
    assert curve["n_answered"][-1] == 900 - 90  # every tenth row has chosen thresholds
    assert curve["threshold"][-1] == 0.0
    assert (np.diff(curve["threshold"]) < 0.0).all()
    for k, n, bound in zip(
        curve["n_agreed"], curve["n_answered"], curve["lower_bound"], strict=True
    ):
        exact = binomtest(k, n, alternative="greater").proportion_ci(0.8, "exact")
        assert bound == pytest.approx(exact.low, rel=1e-9)
    tested = np.arange(900) % 10 != 9
    for threshold, n, k in zip(
        curve["threshold"], curve["n_answered"], curve["n_agreed"], strict=True
    ):
        answered = tested & (confidence >= threshold)
        assert (n, k) == (answered.sum(), y[answered].sum())
    at = np.flatnonzero(curve["lower_bound"] < 0.9)[0] - 1
    assert model.threshold_ == curve["threshold"][at]
    assert model.coverage_ == curve["n_answered"][at] / 810
    asked = model.deferred(rows(900))
    assert_array_equal(asked, confidence < model.threshold_)
    assert (confidence == model.threshold_).sum() == 1  # which is answered


def test_thresholds_do_not_depend_on_tested_rows():
    rng = np.random.default_rng(1)
    confidence, other = rng.uniform(0.5, 1.0, (2, 1000))
    other[9::10] = confidence[9::10]
    y = np.ones(1000, dtype=int)
    y[0] = 0
    curves = [certified(binary(c), y).curve_["threshold"] for c in (confidence, other)]
    assert_array_equal(*curves)


def test_the_sequence_ends_at_the_first_failure():
    """What a laxer threshold would pass does not count."""
    confidence = np.linspace(1.0, 0.6, 1000)
    y = np.ones(1000, dtype=int)
    y[200:260] = 0
    model = certified(binary(confidence), y, agreement=0.9)
    bound = model.curve_["lower_bound"]
    assert bound[-1] > 0.9 > bound.min()
    assert confidence[260] < model.threshold_ < confidence[180]


def test_all_and_nothing():
    proba = binary(np.full(111, 0.7))
    y = np.ones(111, dtype=int)
    y[9] = 0  # the first that chooses thresholds, and is not tested
    model = certified(proba, y)
    assert (model.threshold_, model.coverage_) == (0.0, 1.0)
    assert not model.deferred(rows(111)).any()
    message = matches("Of 90 tested rows", "at least 99 rows", "lower agreement")
    with pytest.warns(UserWarning, match=message):
        model = certified(proba[:100], np.append(0, np.ones(99, dtype=int)))
    assert (model.threshold_, model.coverage_) == (np.inf, 0.0)
    assert model.deferred(rows(100)).all()


# -- what counts as agreement --------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_agreement_within_a_divergence(n_classes):
    p, q = random_rows(500, n_classes), random_rows(500, n_classes, seed=1)
    for options, values in (
        ({"max_divergence": 0.7}, kl_divergence(p, q)),
        (
            {
                "max_divergence": 0.05,
                "divergence": "jensen_shannon_loss",
                "divergence_params": {"weight": 0.3},
            },
            jensen_shannon_divergence(p, q, weight=0.3),
        ),
        ({}, p.argmax(axis=1) != q.argmax(axis=1)),
    ):
        agrees = values <= options.get("max_divergence", 0.0)
        teacher = FrozenEstimator(Table(p))
        student = FrozenEstimator(Table(q))
        model = DeferringClassifier(student, teacher, **ALL, **options).fit(rows(500))
        tested = np.arange(500) % 10 != 9
        assert model.curve_["n_agreed"][-1] == agrees[tested].sum()
        of_y = DeferringClassifier(student, **ALL, **options, reference="y").fit(rows(500), p)
        assert_array_equal(of_y.curve_["n_agreed"], model.curve_["n_agreed"])


def test_divergence_from_labels_is_their_log_loss():
    q = random_rows(300, 3, concentration=3.0)
    q[5] = [1.0, 0.0, 0.0]
    y = np.arange(300) % 3
    model = certified(q, y, max_divergence=1.2, **ALL)
    with np.errstate(divide="ignore"):
        agrees = -np.log(q[np.arange(300), y]) <= 1.2
    assert model.curve_["n_agreed"][-1] == agrees[np.arange(300) % 10 != 9].sum()


# -- who answers ---------------------------------------------------------------


class Asked(BaseEstimator):
    """A fitted teacher that keeps what it was asked."""

    classes_ = np.array(["b", "c", "a"])
    asked = None

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        type(self).asked = X
        return np.tile([0.2, 0.5, 0.3], (X.shape[0], 1))


def confident(X):
    """Return probabilities of a and b, by the first column, float32."""
    first = X.iloc[:, 0].to_numpy() if hasattr(X, "iloc") else X[:, [0]].toarray()[:, 0]
    return binary(first).astype(np.float32)


@pytest.mark.parametrize("container", [pd.DataFrame, csr_array])
def test_teacher_answers_deferred_rows_alone_in_their_container(container):
    """Classes are matched by name, and the union is sorted."""
    first = np.linspace(0.5, 1.0, 400)
    data = container(np.column_stack([first, np.ones(400)]))
    student = FrozenEstimator(Says(confident, classes=["a", "b"]))
    y = np.where(first > 0.75, "b", "a")
    model = DeferringClassifier(student, FrozenEstimator(Asked()), reference="y")
    model.fit(data, y)
    asked = model.deferred(data)
    assert 0.6 < first[asked].max() < 0.8
    assert model.classes_.tolist() == ["a", "b", "c"]
    Asked.asked = None
    proba = model.predict_proba(data)
    assert type(Asked.asked) is type(data)
    assert Asked.asked.shape == (asked.sum(), 2)
    expected = np.column_stack([1 - first, first, np.zeros(400)])
    expected[asked] = [0.3, 0.2, 0.5]
    assert_allclose(proba, expected, rtol=1e-6, atol=1e-7)
    assert_array_equal(model.predict(data), np.where(asked, "c", "b"))
    with np.errstate(divide="ignore"):
        assert_allclose(model.predict_log_proba(data), np.log(expected), rtol=1e-6, atol=1e-6)
    Asked.asked = None
    model.predict_proba(data[-5:] if container is csr_array else data.iloc[-5:])
    assert Asked.asked is None


def test_without_a_teacher_deferred_rows_are_refused():
    first = np.linspace(0.5, 1.0, 400)
    model = certified(binary(first), (first > 0.7).astype(int))
    asked = model.deferred(rows(400))
    assert model.teacher_ is None
    assert 0 < asked.sum() < 400
    message = matches(
        f"{asked.sum()} of 400 rows of X, row 0 first, are deferred", "no teacher"
    )
    for call in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(ValueError, match=message):
            call(rows(400))
    assert_array_equal(model.predict(rows(400)[~asked]), 1)


def test_teacher_of_a_distilled_student():
    """It is fitted once, to the rows that are not held out."""
    student = DistilledClassifier(GaussianNB())
    test_fold = np.arange(len(X)) % 2 - 1
    cv = PredefinedSplit(test_fold)
    model = DeferringClassifier(student, **ALL, cv=cv).fit(X, Y)
    expected = DistilledClassifier(GaussianNB()).fit(X[test_fold < 0], Y[test_fold < 0])
    assert model.teacher_ is model.student_.teacher_
    assert_allclose(
        model.student_.predict_proba(X), expected.predict_proba(X), rtol=1e-12, atol=0
    )
    frozen = DeferringClassifier(FrozenEstimator(expected), **ALL).fit(X[test_fold == 0])
    assert_array_equal(frozen.curve_["n_agreed"], model.curve_["n_agreed"])
    assert model.curve_["n_answered"][-1] == 180


def test_a_student_is_judged_by_the_teacher_that_it_will_have():
    """Not by that of an earlier fit."""
    student = DistilledClassifier(GaussianNB()).fit(X, Y, teacher_proba=SOFT)
    assert student.teacher_ is None
    model = DeferringClassifier(student, **ALL).fit(X, Y)
    assert isinstance(model.teacher_, GaussianNB)
    with pytest.raises(ValueError, match="There is no teacher to agree with"):
        DeferringClassifier(FrozenEstimator(student), **ALL).fit(X, Y)


def test_a_student_is_asked_once():
    asked = []

    def says(X):
        asked.append(len(X))
        return binary(np.linspace(0.5, 1.0, len(X)))

    model = DeferringClassifier(FrozenEstimator(Says(says, 2)), reference="y", **ALL)
    model.fit(rows(400), np.ones(400, dtype=int))
    asked.clear()
    model.predict(rows(7))
    assert asked == [7]


def test_a_student_with_an_offset_is_refused():
    """Nobody could ask it together with the offset of a row."""
    with routing():
        student = SoftLabelLogisticRegression().set_fit_request(
            offset=True, sample_weight=False
        )
        for params in (
            {"student": student, "teacher": GaussianNB()},
            {"student": DistilledClassifier(GaussianNB(), student)},
        ):
            with pytest.raises(
                ValueError, match=matches("student", "offset", "DeferringClassifier does not")
            ):
                DeferringClassifier(**params, **ALL).fit(X, Y, offset=np.zeros((400, 3)))


def test_weights_are_for_fits_and_zeros_are_left_out():
    weight = np.where(np.arange(400) % 4 == 3, 0.0, 1.0 + np.arange(400) % 2)
    cv = [(np.arange(200), np.arange(200, 400))]
    model = DeferringClassifier(Recorder(), GaussianNB(), **ALL, cv=cv)
    model.fit(X, Y, sample_weight=weight)
    assert_array_equal(model.student_.sample_weight_, weight[:200])
    kept = weight > 0
    kept[:200] = False
    alone = DeferringClassifier(
        FrozenEstimator(model.student_), FrozenEstimator(model.teacher_), **ALL
    )
    few = alone.fit(X[kept]).curve_
    for name, values in model.curve_.items():
        assert_array_equal(values, few[name])
    alone.fit(X, Y, sample_weight=(weight > 0) * 3.0)  # all the same: nothing to refuse
    with pytest.raises(ValueError, match="sample_weight differs between rows"):
        alone.fit(X, Y, sample_weight=weight)


def test_metadata_is_routed():
    group = np.arange(400)
    model = DeferringClassifier(Recorder(), GaussianNB(), **ALL, random_state=0)
    with pytest.raises(TypeError, match=r"fit got \['group'\].*student and teacher"):
        model.fit(X, Y, group=group)
    with routing():
        with pytest.raises(UnsetMetadataPassedError):
            model.fit(X, Y, group=group)
        model.set_params(student=Recorder().set_fit_request(group=True))
        model.fit(X, Y, group=group)
    assert_array_equal(X[model.student_.group_], model.student_.X_)
    assert len(model.student_.group_) == 300


# -- refusals ------------------------------------------------------------------

KNOWN = FrozenEstimator(Table(SOFT))
NAMED = FrozenEstimator(Table(SOFT, ["x", "y", "z"]))


@pytest.mark.parametrize(
    ("params", "arguments", "message"),
    [
        ({"agreement": 1.0}, {}, "agreement must be a number between 0 and 1; got 1.0"),
        ({"confidence_level": 95}, {}, "confidence_level must be a number between 0 and 1"),
        ({"reference": "labels"}, {}, "reference must be one of"),
        ({"max_divergence": -1.0}, {}, "max_divergence must be None or a finite number >= 0"),
        ({"divergence": "jeffreys"}, {}, "divergence='jeffreys' needs max_divergence"),
        ({"divergence": "ranked_probability"}, {}, "divergence must be one of"),
        ({"max_divergence": 1.0, "divergence": "renyi"}, {}, "'renyi' takes ['order']"),
        ({"teacher": None}, {}, "There is no teacher to agree with"),
        ({"teacher": NAMED}, {}, "The labels in y, as 0, and the estimator's classes"),
        ({"teacher": FrozenEstimator(GaussianNB())}, {}, "is not fitted"),
        ({"reference": "y"}, {"y": None}, "y to be passed, but the target y is None"),
        ({"student": LogisticRegression()}, {"y": None}, "requires y to be passed"),
        ({}, {"y": Y[:-1]}, "inconsistent numbers of samples: 400 and 399"),
        ({"student": LogisticRegression(), "cv": 1.5}, {}, "cv must be an integer"),
        (
            {"student": LogisticRegression(), "cv": [(np.arange(400), np.arange(9))]},
            {},
            "cv holds out row 0, and fits to it, too",
        ),
        (
            {"student": LogisticRegression(), "cv": [(np.arange(400), [-1])]},
            {},
            "cv holds out row 399, and fits to it, too",
        ),
        (
            {"student": LogisticRegression(), "cv": [(np.arange(300), [300, 301, 301])]},
            {},
            "cv holds out row 301 2 times",
        ),
        (
            {"student": FrozenEstimator(Table(SOFT, [2, 1, 0]))},
            {"y": SOFT},
            "'teacher' has the classes [0, 1, 2], and another [2, 1, 0]",
        ),
    ],
)
def test_refusals(params, arguments, message):
    model = DeferringClassifier(KNOWN, KNOWN).set_params(**params)
    with pytest.raises(ValueError, match=matches(message)):
        model.fit(**{"X": rows(400), "y": Y, **arguments})


def test_models_without_probabilities_are_refused():
    for params in ({"student": BaseEstimator()}, {"teacher": GaussianNB}):
        name = next(iter(params))
        with pytest.raises(TypeError, match=f"The {name} "):
            DeferringClassifier(KNOWN, KNOWN).set_params(**params).fit(rows(400), Y)


def test_samples_without_a_label_are_refused():
    """They would be a class; of a frozen student they need no y."""
    y = np.where(np.arange(400) % 2, Y, -1)
    student = DistilledClassifier(GaussianNB(), unlabeled=-1)
    for model in (student, FrozenEstimator(student.fit(X, y))):
        with pytest.raises(
            ValueError, match="y holds -1, which marks samples without a label"
        ):
            DeferringClassifier(model, **ALL).fit(X, y)
    assert DeferringClassifier(model, **ALL).fit(X).classes_.tolist() == [0, 1, 2]


def test_rows_in_another_order_are_refused():
    names = [f"r{i}" for i in range(400)]
    data, y = pd.DataFrame(X, index=names), pd.Series(Y, index=names)
    model = DeferringClassifier(SoftLabelLogisticRegression(), GaussianNB(), **ALL)
    model.fit(data, y)
    with pytest.raises(ValueError, match="rows of X and y have different labels"):
        model.fit(data, y[::-1])
