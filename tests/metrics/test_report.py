"""Tests of the fidelity report: every number by hand, columns by name, text, errors."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import accuracy_score, log_loss
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.distillation import DistilledClassifier
from sklkl.divergences import kl_contributions
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import _report as report_module
from sklkl.metrics import (
    cross_entropy_loss,
    d2_kl_score,
    jensen_shannon_loss,
    kl_loss,
    make_divergence_scorer,
    reverse_kl_loss,
    total_variation_loss,
)
from sklkl.metrics._report import fidelity_report

CLASSES = {
    "binary": ["no", "yes"],
    "multiclass": ["a", "m", "z"],
    "numbers": [3, 5, 10, 40],
}
COSTS = ["bytes", "microseconds_per_row", "microseconds_single_row"]

MOST_RUNS = report_module.MOST_RUNS

each_problem = pytest.mark.parametrize("problem", CLASSES)
each_base = pytest.mark.parametrize("base", [None, 2, 10])


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    """Save time where times do not matter."""
    monkeypatch.setattr(report_module, "MOST_RUNS", 2)


class Fixed(ClassifierMixin, BaseEstimator):
    """Predicts row i of ``proba`` for the sample [i]."""

    def __init__(self, proba, classes):
        self.proba = proba
        self.classes_ = np.asarray(classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(self.proba)[np.asarray(X)[:, 0].astype(int)]


def samples(n_samples):
    return np.arange(n_samples)[:, None]


def random_rows(n_samples, n_classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=n_samples)


def data(problem, n_samples=90):
    """Features, labels, soft targets with columns in sorted order, weights."""
    rng = np.random.default_rng(0)
    classes = np.array(CLASSES[problem])
    X = rng.normal(size=(n_samples, 3))
    soft = np.exp(X @ rng.normal(size=(3, len(classes))) + rng.normal(size=len(classes)) / 2)
    soft /= soft.sum(axis=1, keepdims=True)
    codes = [rng.choice(len(classes), p=row) for row in soft]
    codes[: len(classes)] = range(len(classes))
    weight = rng.uniform(0.1, 3.0, n_samples)
    weight[::7] = 0.0
    return X, classes[codes], soft, weight


def fitted(problem):
    X, hard, _, _ = data(problem)
    teacher = RandomForestClassifier(n_estimators=5, min_samples_leaf=5, random_state=0)
    student = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return teacher.fit(X, hard), student.fit(X, hard)


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(part) for part in parts)


def full(*args, **kwargs):
    return fidelity_report(*args, output_dict=True, **kwargs)


def by_hand(teacher, student, X, y=None, *, sample_weight=None, base=None):
    """All but the costs, of models with the same classes in the same order."""
    p, q = teacher.predict_proba(X), student.predict_proba(X)
    classes = teacher.classes_
    weighted, unit = {"sample_weight": sample_weight}, {"base": base}
    report = {"teacher": {}, "student": {}}
    for name, model, proba in (("teacher", teacher, p), ("student", student, q)):
        if y is None:
            continue
        if np.ndim(y) == 1:
            accuracy = accuracy_score(y, model.predict(X), **weighted)
            loss = log_loss(y, proba, labels=classes, **weighted) / np.log(base or np.e)
            kl, options = loss, {"labels": classes}
        else:
            target = y[classes].to_numpy() if hasattr(y, "columns") else y
            hit = target[np.arange(len(target)), proba.argmax(axis=1)]
            accuracy = np.average(hit, weights=sample_weight)
            loss = cross_entropy_loss(target, proba, **weighted, **unit)
            kl, options = kl_loss(target, proba, **weighted, **unit), {}
        d2 = d2_kl_score(y if np.ndim(y) == 1 else target, proba, **weighted, **options)
        report[name] = {"accuracy": accuracy, "log_loss": loss, "kl": kl, "d2": d2}
    agree = teacher.predict(X) == student.predict(X)
    report["fidelity"] = {
        "kl": kl_loss(p, q, **weighted, **unit),
        "reverse_kl": reverse_kl_loss(p, q, **weighted, **unit),
        "jensen_shannon": jensen_shannon_loss(p, q, **weighted, **unit),
        "total_variation": total_variation_loss(p, q, **weighted),
        "d2": d2_kl_score(p, q, **weighted),
        "agreement": np.average(agree, weights=sample_weight),
    }
    means = [
        np.average(x, axis=0, weights=sample_weight)
        for x in (p, q, kl_contributions(p, q, **unit))
    ]
    report["classes"] = {
        c: dict(zip(("teacher", "student", "kl"), values, strict=True))
        for c, *values in zip(classes.tolist(), *means, strict=True)
    }
    return report


def without_costs(report):
    return {
        key: {k: v for k, v in part.items() if k not in COSTS} for key, part in report.items()
    }


def assert_same(report, expected, rtol=1e-12):
    """The same keys in the same order, and the same numbers."""
    flat, flat_expected = flatten(report), flatten(expected)
    assert list(flat) == list(flat_expected)
    assert_allclose(
        list(flat.values()), list(flat_expected.values()), rtol=rtol, atol=1e-15, verbose=True
    )


def flatten(report):
    """Map the path of each number to the number."""
    if not isinstance(report, dict):
        return {(): report}
    return {
        (key, *path): value
        for key, part in report.items()
        for path, value in flatten(part).items()
    }


# The numbers


@each_problem
@each_base
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["none", "hard", "soft", "frame"])
def test_every_number(problem, base, weighted, kind):
    X, hard, soft, weight = data(problem)
    frame = pd.DataFrame(soft, columns=CLASSES[problem]).iloc[:, ::-1]
    y = {"none": None, "hard": hard, "soft": soft, "frame": frame}[kind]
    options = {"sample_weight": weight if weighted else None, "base": base}
    models = fitted(problem)
    report = full(*models, X, y, **options)
    assert_same(without_costs(report), by_hand(*models, X, y, **options))


@pytest.mark.parametrize("y", [None, ["a", "b", "a"]])
def test_plain_numbers(y):
    teacher, student = (Fixed(random_rows(3, 2, seed), ["a", "b"]) for seed in (0, 1))
    report = full(teacher, student, samples(3), y)
    assert {type(v) for v in flatten(report).values()} == {int, float}
    assert list(report) == ["teacher", "student", "fidelity", "classes"]
    assert json.loads(json.dumps(report)) == report


@each_problem
def test_costs(problem):
    X, hard, _, _ = data(problem)
    models = fitted(problem)
    for y in (None, hard):
        report = full(*models, X, y)
        for name, model in zip(("teacher", "student"), models, strict=True):
            assert list(report[name])[-3:] == COSTS
            assert report[name]["bytes"] == len(pickle.dumps(model))
            assert report[name]["microseconds_per_row"] > 0
            assert report[name]["microseconds_single_row"] > 0


@each_base
def test_contributions_add_up(base):
    """Also with zeros, which are clipped, and with signs that differ."""
    p, q = random_rows(50, 4), random_rows(50, 4, seed=1)
    p[::3, 0] = 0.0
    q[::4, 2] = 0.0
    q[:, 3] += 1.0
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
    weight = np.arange(50.0)
    X, classes = samples(50), list("abcd")
    report = full(Fixed(p, classes), Fixed(q, classes), X, sample_weight=weight, base=base)
    parts = [numbers["kl"] for numbers in report["classes"].values()]
    kl = kl_loss(p, q, sample_weight=weight, base=base)
    assert report["fidelity"]["kl"] == kl
    assert sum(parts) == pytest.approx(kl, rel=1e-12)
    assert min(parts) < 0 < max(parts)


def test_contributions_add_up_in_float32():
    p, q = (random_rows(50, 4, seed).astype(np.float32) for seed in (0, 1))
    q[0] = [0, 0, 0, 1]
    report = full(Fixed(p, list("abcd")), Fixed(q, list("abcd")), samples(50))
    parts = [numbers["kl"] for numbers in report["classes"].values()]
    assert report["fidelity"]["kl"] == kl_loss(p, q)
    assert sum(parts) == pytest.approx(kl_loss(p, q), rel=1e-6)


@each_problem
def test_identical_models(problem):
    X, hard, _, _ = data(problem)
    teacher, _ = fitted(problem)
    report = full(teacher, teacher, X, hard)
    assert report["fidelity"] == {
        "kl": 0,
        "reverse_kl": 0,
        "jensen_shannon": 0,
        "total_variation": 0,
        "d2": 1,
        "agreement": 1,
    }
    assert {numbers["kl"] for numbers in report["classes"].values()} == {0.0}
    accuracy, loss = (report["teacher"][key] for key in ("accuracy", "log_loss"))
    assert (accuracy, loss) == tuple(
        report["student"][key] for key in ("accuracy", "log_loss")
    )


def test_labels_equal_their_one_hot_rows():
    X, hard, _, weight = data("multiclass")
    frame = pd.get_dummies(hard).astype(float)
    models = fitted("multiclass")
    reports = [full(*models, X, y, sample_weight=weight) for y in (hard, frame)]
    assert_same(*map(without_costs, reports), rtol=1e-14)


def test_weights_equal_repetition():
    X, hard, soft, _ = data("multiclass")
    times = np.arange(len(X)) % 4
    models = fitted("multiclass")
    for y in (hard, soft):
        weighted = full(*models, X, y, sample_weight=times)
        repeated = full(*models, np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
        assert_same(*map(without_costs, (weighted, repeated)))


def test_labels_given_as_a_column():
    X, hard, _, _ = data("binary")
    models = fitted("binary")
    with pytest.warns(DataConversionWarning):
        report = full(*models, X, hard[:, None])
    assert_same(without_costs(report), without_costs(full(*models, X, hard)))


# Classes


def test_columns_are_matched_by_name():
    """The order of the student's columns changes nothing, that of the teacher's the order."""
    p, q = random_rows(9, 3), random_rows(9, 3, seed=1)
    X, y = samples(9), pd.DataFrame(random_rows(9, 3, seed=2), columns=list("abc"))
    report = full(Fixed(p, list("abc")), Fixed(q, list("abc")), X, y)
    other = full(Fixed(p, list("abc")), Fixed(q[:, [2, 0, 1]], list("cab")), X, y)
    assert_same(without_costs(other), without_costs(report))
    turned = full(Fixed(p[:, ::-1], list("cba")), Fixed(q, list("abc")), X, y)
    assert list(turned["classes"]) == list("cba")
    assert turned["classes"]["a"] == pytest.approx(report["classes"]["a"])
    matrix = y[list("cba")].to_numpy()
    same = full(Fixed(p[:, ::-1], list("cba")), Fixed(q, list("abc")), X, matrix)
    assert_same(without_costs(same), without_costs(turned))


def test_a_tie_goes_to_the_class_that_the_model_has_first():
    X, even = samples(1), [[0.5, 0.5]]
    models = Fixed(even, ["a", "b"]), Fixed(even, ["b", "a"])
    report = full(*models, X, ["b"])
    assert [report[name]["accuracy"] for name in ("teacher", "student")] == [0, 1]
    assert report["fidelity"]["agreement"] == 0
    assert report["fidelity"]["kl"] == 0


PARTIAL = {
    "student lacks one": (["a", "b", "c"], ["a", "c"]),
    "student has one more": (["a", "c"], ["a", "b", "c"]),
    "each has one of its own": (["b", "c"], ["c", "a"]),
    "numbers": ([3, 1], [2, 3]),
}


@pytest.mark.parametrize("case", PARTIAL)
@pytest.mark.parametrize("kind", ["hard", "frame", "narrow frame"])
def test_a_class_that_one_model_does_not_know_has_probability_0(case, kind):
    teacher_classes, student_classes = PARTIAL[case]
    known = list(dict.fromkeys(teacher_classes + student_classes))
    k, n_samples = len(known), 12
    rng = np.random.default_rng(3)
    p = pd.DataFrame(random_rows(n_samples, len(teacher_classes)), columns=teacher_classes)
    q = pd.DataFrame(random_rows(n_samples, len(student_classes), 1), columns=student_classes)
    X, weight = samples(n_samples), rng.uniform(size=n_samples)
    y = np.array(known)[np.r_[:k, rng.integers(k, size=n_samples - k)]]
    if kind == "frame":
        y = pd.DataFrame(random_rows(n_samples, k, seed=2), columns=known)
    elif kind == "narrow frame":
        y = pd.DataFrame(random_rows(n_samples, 2, seed=2), columns=known[1:3])
    models = Fixed(p.to_numpy(), teacher_classes), Fixed(q.to_numpy(), student_classes)
    report = full(*models, X, y, sample_weight=weight)

    p, q = (x.reindex(columns=known, fill_value=0.0).to_numpy() for x in (p, q))
    complete = y if kind == "hard" else y.reindex(columns=known, fill_value=0.0)
    expected = full(Fixed(p, known), Fixed(q, known), X, complete, sample_weight=weight)
    assert_same(without_costs(report), without_costs(expected))
    assert list(report["classes"]) == known
    lost = set(known) - set(student_classes)
    assert all(report["classes"][c]["student"] == 0 for c in lost)
    assert report["fidelity"]["kl"] == kl_loss(p, q, sample_weight=weight)
    contributions = [numbers["kl"] for numbers in report["classes"].values()]
    assert sum(contributions) == pytest.approx(report["fidelity"]["kl"], rel=1e-12)
    if kind != "narrow frame":
        for name, model in zip(("teacher", "student"), models, strict=True):
            if kind == "hard" or len(model.classes_) == k:
                score = make_divergence_scorer("kl_loss")(model, X, y, sample_weight=weight)
                assert report[name]["kl"] == pytest.approx(-score, rel=1e-12)


def test_an_infinite_loss():
    X, weight = samples(3), [1.0, 1.0, 0.0]
    teacher = Fixed([[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.1, 0.1, 0.8]], list("abc"))
    student = Fixed([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5]], list("ab"))
    report = full(teacher, student, X, list("aba"), on_zero="inf")
    assert report["fidelity"]["kl"] == report["classes"]["c"]["kl"] == np.inf
    assert report["fidelity"]["d2"] == -np.inf
    assert np.isfinite(report["fidelity"]["reverse_kl"])
    assert np.isfinite(report["student"]["kl"])
    assert np.isfinite([report["classes"][c]["kl"] for c in "ab"]).all()
    assert "inf" in fidelity_report(teacher, student, X, on_zero="inf")
    # Its only rows with a zero do not count.
    first = full(teacher, student, X, sample_weight=[0, 1, 0], on_zero="inf")
    assert first["fidelity"]["kl"] == first["classes"]["c"]["kl"] == 0
    with pytest.raises(
        ValueError, match=matches("infinite", "the teacher's", "['a', 'b', 'c']")
    ):
        fidelity_report(teacher, student, X, sample_weight=weight, on_zero="raise")
    with pytest.raises(ValueError, match=matches("infinite", "y_true is y", "the student's")):
        fidelity_report(teacher, student, X, list("abc"), on_zero="raise")


# What X and the models may be


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        np.ndarray.tolist,
        pd.DataFrame,
        sparse.csr_array,
        sparse.coo_matrix,
        sparse.csc_array,
    ],
)
def test_containers_of_x(make):
    X, hard, _, weight = data("multiclass")
    X = np.abs(X)
    models = MultinomialNB().fit(X, hard), MultinomialNB(alpha=9.0).fit(X, hard)
    expected = full(*models, X, hard, sample_weight=weight)
    report = full(*models, make(X), hard.tolist(), sample_weight=weight.tolist())
    assert_same(without_costs(report), without_costs(expected))


@pytest.mark.parametrize("make", [list, np.array, pd.Series])
def test_texts(make):
    X = make(["good film", "bad film", "very good", "very bad", "film"])
    y = ["yes", "no", "yes", "no", "no"]
    teacher = make_pipeline(CountVectorizer(), MultinomialNB()).fit(X, y)
    student = make_pipeline(CountVectorizer(), MultinomialNB(alpha=5.0)).fit(X, y)
    assert full(teacher, student, X, y)["teacher"]["accuracy"] == 1


def test_feature_names_reach_the_models():
    X, hard, _, _ = data("binary")
    X = pd.DataFrame(X, columns=["u", "v", "w"])
    student = LogisticRegression().fit(X, hard)
    model = DistilledClassifier(LogisticRegression(C=0.1), SoftLabelLogisticRegression())
    model.fit(X, hard)
    report = full(model.teacher_, student, X, hard)
    assert_same(without_costs(report), by_hand(model.teacher_, student, X, hard))


def test_one_sample():
    models = Fixed([[0.2, 0.8]], ["a", "b"]), Fixed([[0.3, 0.7]], ["a", "b"])
    report = full(*models, samples(1), ["b"])
    assert report["fidelity"]["kl"] == kl_loss([[0.2, 0.8]], [[0.3, 0.7]])
    assert report["teacher"]["accuracy"] == report["fidelity"]["agreement"] == 1


def test_a_model_that_cannot_be_pickled():
    models = Fixed([[0.2, 0.8]], ["a", "b"]), Fixed([[0.2, 0.8]], ["a", "b"])
    models[0].function = lambda x: x
    report = full(*models, samples(1))
    assert np.isnan(report["teacher"]["bytes"])
    assert report["student"]["bytes"] == len(pickle.dumps(models[1]))
    assert re.search(r"bytes +nan +[\d,]+\n", fidelity_report(*models, samples(1)))


# Time


class Slow(Fixed):
    """Predicts a row in ``seconds`` of its clock, noisily; counts what it was asked."""

    def __init__(self, proba, classes, clock, seconds):
        super().__init__(proba, classes)
        self.clock, self.seconds = clock, seconds
        self.sizes = []

    def predict_proba(self, X):
        self.sizes.append(len(X))
        self.clock.now += self.seconds * len(X)
        proba = super().predict_proba(X)
        n_calls = sum(size == len(self.proba) for size in self.sizes)
        return proba if n_calls <= 1 else proba[:, ::-1]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(report_module, "perf_counter", clock)
    monkeypatch.setattr(report_module, "MOST_RUNS", MOST_RUNS)
    return clock


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 1e-5, 1e-3, 0.5])
def test_timing_is_short_and_right(clock, seconds):
    n_samples = 1000
    p, q = random_rows(n_samples, 2), random_rows(n_samples, 2, seed=1)
    student = Slow(q, ["a", "b"], clock, seconds)
    report = full(Fixed(p, ["a", "b"]), student, samples(n_samples))
    assert report["student"]["microseconds_single_row"] == pytest.approx(1e6 * seconds)
    assert report["student"]["microseconds_per_row"] == pytest.approx(1e6 * seconds)
    # All rows once, and what is timed: half a second, or two runs of each kind.
    assert clock.now <= seconds * n_samples + max(0.6, 4 * seconds)
    assert max(student.sizes) == n_samples
    if seconds >= 1e-3:
        assert student.sizes.count(n_samples) == 1
    # The probabilities are those of the first prediction of all rows.
    assert report["fidelity"]["kl"] == kl_loss(p, q)
    assert report["classes"]["a"]["student"] == pytest.approx(q[:, 0].mean())


def test_the_rows_that_are_timed_are_spread_over_x(clock):
    class Seen(Slow):
        def predict_proba(self, X):
            self.last = np.asarray(X)[:, 0]
            return super().predict_proba(X)

    proba = random_rows(1001, 2)
    model = Seen(proba, ["a", "b"], clock, 1e-3)
    full(model, Fixed(proba, ["a", "b"]), samples(1001))
    assert model.last[0] == 0
    assert model.last[-1] == 1000
    assert np.ptp(np.diff(model.last)) <= 1


# Text


@each_problem
@pytest.mark.parametrize("digits", [0, 3, 6])
@pytest.mark.parametrize("kind", ["none", "hard"])
def test_text_holds_the_numbers(problem, digits, kind):
    X, hard, _, weight = data(problem)
    y = hard if kind == "hard" else None
    options = {"sample_weight": weight, "base": 2, "digits": digits}
    models = fitted(problem)
    report = full(*models, X, y, **options)
    text = fidelity_report(*models, X, y, **options)
    rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]

    def shown(value):
        return f"{value:,}" if isinstance(value, int) else f"{value:z,.{digits}f}"

    for key in report["teacher"]:
        values = [report[name][key] for name in ("teacher", "student")]
        if key.startswith("microseconds"):
            assert any(row[0] == key.replace("_", " ") and len(row) == 3 for row in rows)
        else:
            assert [key.replace("_", " "), *map(shown, values)] in rows
    for key, value in report["fidelity"].items():
        assert [key.replace("_", " "), shown(value)] in rows
    for label, numbers in report["classes"].items():
        assert [str(label), *map(shown, numbers.values())] in rows
    assert ("accuracy" in text) == (kind == "hard")


@pytest.mark.parametrize("classes", [["a", "b"], ["a class with a very long name", "y"]])
@pytest.mark.parametrize("digits", [1, 9])
def test_lines_are_aligned(classes, digits):
    models = (Fixed(random_rows(9, 2, seed), classes) for seed in (0, 1))
    text = fidelity_report(*models, samples(9), classes * 4 + classes[:1], digits=digits)
    *table, _, unit, note = text.splitlines()
    ends = {tuple(m.end() for m in re.finditer(r"\S+(?: \S+)*", line)) for line in table}
    ends_of_names = {end[0] for end in ends if len(end) == 4}
    (name_end,) = ends_of_names
    (columns,) = {end[1:] for end in ends if len(end) == 4}
    width = columns[1] - columns[0]
    assert name_end + width == columns[0]
    assert columns[1] + width == columns[2]
    grid = (name_end, *columns)
    # Header lines without a name, lines of the whole grid, and blank ones.
    allowed = [grid[i:j] for i in (0, 1) for j in (2, 3, 4)]
    assert ends <= {(), *allowed}
    assert all(line == line.rstrip() for line in text.splitlines())
    assert unit.endswith("in nats;")
    assert "add" in note


def test_thousands_and_zeros():
    """Sizes have separators, and nothing is minus zero."""
    p, q = np.full((9, 2), 0.5), np.array([[0.5 + 1e-6, 0.5 - 1e-6]] * 9)
    models = Fixed(np.repeat(p, 999, axis=0), ["a", "b"]), Fixed(q, ["a", "b"])
    text = fidelity_report(*models, samples(9))
    size = len(pickle.dumps(models[0]))
    assert size > 100_000
    assert f" {size:,} " in text
    assert full(*models, samples(9))["classes"]["a"]["kl"] < 0
    assert "-0" not in text


@pytest.mark.parametrize(
    ("base", "unit"), [(None, "nats"), (2, "bits"), (2.0, "bits"), (10, "units of base 10")]
)
def test_unit_is_stated(base, unit):
    model = Fixed(random_rows(3, 2), ["a", "b"])
    assert f" in {unit};\n" in fidelity_report(model, model, samples(3), base=base)


# Errors

TEACHER = Fixed(random_rows(4, 3), ["a", "b", "c"])
STUDENT = Fixed(random_rows(4, 2), ["a", "b"])


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_a_model_without_probabilities(name):
    X, hard, _, _ = data("binary")
    models = {"teacher": LogisticRegression().fit(X, hard)}
    models["student"] = models["teacher"]
    models[name] = make_pipeline(StandardScaler(), Perceptron()).fit(X, hard)
    with pytest.raises(TypeError, match=f"^The {name} Pipeline has no predict_proba"):
        fidelity_report(**models, X=X, y=hard)


def test_a_model_that_is_not_fitted():
    X, hard, _, _ = data("binary")
    with pytest.raises(NotFittedError):
        fidelity_report(LogisticRegression().fit(X, hard), LogisticRegression(), X)


@pytest.mark.parametrize("name", ["teacher", "student"])
@pytest.mark.parametrize(
    ("proba", "message"),
    [
        (np.full((4, 2), 0.6), r"\[0\] sums to 1.2"),
        (np.full((4, 3), 1 / 3), r" has shape \(4, 3\), not a column for each"),
        (np.full(4, 0.5), r" has shape \(.*\), not a column for each"),
        (np.array([[0.5, 0.5]] * 3 + [[np.nan, 1]]), r"\[3\] contains NaN"),
    ],
)
def test_bad_probabilities(name, proba, message):
    models = {"teacher": STUDENT, "student": STUDENT, name: Fixed(proba, ["a", "b"])}
    with pytest.raises(ValueError, match=f"^The {name}'s predict_proba{message}"):
        fidelity_report(**models, X=samples(4))


def test_classes_of_different_types():
    models = Fixed(random_rows(4, 2), ["a", "b"]), Fixed(random_rows(4, 2), [0, 1])
    with pytest.raises(TypeError, match=matches("teacher's and student's", "mixes strings")):
        fidelity_report(*models, samples(4))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (list("abad"), ("y has classes that neither", "['d']", "['a', 'b', 'c']")),
        ([0, 1, 0, 1], ("y has classes that neither", "[0, 1]")),
        (
            pd.DataFrame(random_rows(4, 2), columns=["a", "d"]),
            ("y has classes that neither", "['d']"),
        ),
        (random_rows(4, 2), ("y has 2 columns", "3 classes", "data frame")),
        (random_rows(4, 4), ("y has 4 columns", "3 classes", "data frame")),
        (np.ones((4, 3)), ("y[0] sums to 3",)),
        ([0.1, 0.2, 0.3, 0.4], ("Unknown label type",)),
        (list("abc"), ("inconsistent numbers of samples: X has 4, y has 3",)),
        (random_rows(5, 3), ("inconsistent numbers of samples: X has 4, y has 5",)),
    ],
)
def test_bad_y(y, message):
    with pytest.raises(ValueError, match=matches(*message)):
        fidelity_report(TEACHER, STUDENT, samples(4), y)


@pytest.mark.parametrize("X", [{"a": 1}, ""])
def test_bad_x(X):
    with pytest.raises(TypeError, match=r"^X must be an array of samples; got"):
        fidelity_report(TEACHER, STUDENT, X)


def test_sparse_y():
    with pytest.raises(TypeError, match=r"^y is a sparse matrix"):
        fidelity_report(TEACHER, STUDENT, samples(4), sparse.csr_array(np.eye(4, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": [1, 1, 1]}, "sample_weight has 3"),
        ({"sample_weight": [1, 1, 1, -1]}, "sample_weight"),
        ({"sample_weight": np.zeros(4)}, "zero"),
        ({"base": 1}, "^base must be"),
        ({"on_zero": "ignore"}, "^on_zero must be one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        fidelity_report(TEACHER, STUDENT, samples(4), **options)


def test_without_timing_each_model_predicts_once():
    X, y = load_iris(return_X_y=True)

    class Counting(GaussianNB):
        calls = 0

        def predict_proba(self, X):
            type(self).calls += 1
            return super().predict_proba(X)

    teacher = Counting().fit(X, y)
    report = fidelity_report(
        teacher, GaussianNB().fit(X, y), X, y, timing=False, output_dict=True
    )
    assert Counting.calls == 1
    assert not any(key.startswith("microseconds") for key in report["teacher"])
    assert "microseconds" not in fidelity_report(teacher, teacher, X, timing=False)


@pytest.mark.parametrize("digits", [-1, 2.5, "3"])
def test_bad_digits(digits):
    X, y = load_iris(return_X_y=True)
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match="digits must be an integer >= 0"):
        fidelity_report(model, model, X, digits=digits)
