"""The fidelity report: every number by hand, columns by name, times, text, refusals."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse, stats
from scipy.stats import binomtest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import accuracy_score, log_loss
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import metrics
from sklkl.divergences import kl_contributions
from sklkl.metrics import (
    cross_entropy_loss,
    d2_kl_score,
    divergence_loss,
    fidelity_report,
    kl_loss,
)
from tests._support.messages import matches
from tests._support.models import Says, Table
from tests._support.problems import make_problem, random_rows

CLASSES = {"binary": ("no", "yes"), "numbers": (3, 5, 10, 40)}
COSTS = ["bytes", "microseconds_per_row", "microseconds_single_row"]


def samples(n_samples):
    return np.arange(n_samples)[:, None]


def data(problem):
    return make_problem(n_features=3, classes=CLASSES[problem])


def fitted(problem):
    """The forest has its own classes in order; the labels of a pipeline's student, too."""
    X, hard, *_ = data(problem)
    teacher = RandomForestClassifier(n_estimators=5, min_samples_leaf=5, random_state=0)
    student = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return teacher.fit(X, hard), student.fit(X, hard)


def full(*args, timing=False, **options):
    return fidelity_report(*args, output_dict=True, timing=timing, **options)


def flatten(report):
    """Map the path of each number to the number."""
    if not isinstance(report, dict):
        return {(): report}
    return {
        (key, *path): value
        for key, part in report.items()
        for path, value in flatten(part).items()
    }


def assert_same(report, expected, rtol=1e-12):
    """The same keys in the same order, and the same numbers; costs aside."""
    found, wanted = map(flatten, (report, expected))
    keys = [path for path in found if path[-1] not in COSTS]
    assert keys == [path for path in wanted if path[-1] not in COSTS]
    numbers = ([values[key] for key in keys] for values in (found, wanted))
    assert_allclose(*numbers, rtol=rtol, atol=1e-15)


def by_hand(teacher, student, X, y=None, *, sample_weight=None, base=None):
    """All but the costs, of models with the same classes in the same order."""
    p, q, classes = teacher.predict_proba(X), student.predict_proba(X), teacher.classes_
    weighted, unit = {"sample_weight": sample_weight}, {"base": base}
    both = weighted | unit
    report = {"teacher": {}, "student": {}}
    sides = (("teacher", teacher, p), ("student", student, q))
    for name, model, proba in sides if y is not None else ():
        if np.ndim(y) == 1:
            accuracy = accuracy_score(y, model.predict(X), **weighted)
            loss = log_loss(y, proba, labels=classes, **weighted) / np.log(base or np.e)
            kl, target, options = loss, y, {"labels": classes}
        else:
            target, options = y[classes].to_numpy() if hasattr(y, "columns") else y, {}
            hit = target[np.arange(len(target)), proba.argmax(axis=1)]
            accuracy = np.average(hit, weights=sample_weight)
            loss, kl = (f(target, proba, **both) for f in (cross_entropy_loss, kl_loss))
        d2 = d2_kl_score(target, proba, **weighted, **options)
        report[name] = {"accuracy": accuracy, "log_loss": loss, "kl": kl, "d2": d2}
    agree = teacher.predict(X) == student.predict(X)
    report["fidelity"] = {
        "kl": kl_loss(p, q, **both),
        "reverse_kl": metrics.reverse_kl_loss(p, q, **both),
        "jensen_shannon": metrics.jensen_shannon_loss(p, q, **both),
        "total_variation": divergence_loss(p, q, divergence="total_variation", **weighted),
        "d2": d2_kl_score(p, q, **weighted),
        "agreement": np.average(agree, weights=sample_weight),
    }
    columns = p, q, kl_contributions(p, q, **unit)
    means = [np.average(x, axis=0, weights=sample_weight) for x in columns]
    report["classes"] = {
        c: dict(zip(("teacher", "student", "kl"), values, strict=True))
        for c, *values in zip(classes.tolist(), *means, strict=True)
    }
    return report


# Numbers and classes


@pytest.mark.parametrize(
    ("problem", "kind", "weighted", "base"),
    [
        ("binary", "none", False, None),
        ("numbers", "none", True, 2),
        ("binary", "hard", True, 10),
        ("numbers", "hard", False, None),
        ("binary", "soft", False, 2),
        ("numbers", "soft", True, None),
        ("binary", "frame", True, None),
        ("numbers", "frame", False, 10),
    ],
)
def test_every_number(problem, kind, weighted, base):
    X, hard, soft, weight, _ = data(problem)
    frame = pd.DataFrame(soft, columns=CLASSES[problem]).iloc[:, ::-1]
    y = {"none": None, "hard": hard, "soft": soft, "frame": frame}[kind]
    options = {"sample_weight": weight if weighted else None, "base": base}
    models = fitted(problem)
    assert_same(full(*models, X, y, **options), by_hand(*models, X, y, **options))


def test_plain_numbers_and_costs():
    models = [Table(random_rows(3, 2, seed), ["a", "b"]) for seed in (0, 1)]
    report = full(*models, samples(3), ["a", "b", "a"], timing=True)
    assert {type(v) for v in flatten(report).values()} == {int, float}
    assert list(report) == ["teacher", "student", "fidelity", "classes"]
    assert json.loads(json.dumps(report)) == report
    for name, model in zip(("teacher", "student"), models, strict=True):
        assert list(report[name])[-3:] == COSTS
        assert report[name]["bytes"] == len(pickle.dumps(model))
        assert min(report[name][key] for key in COSTS) > 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_contributions_add_up(dtype):
    """Also with zeros, which are clipped, and with signs that differ."""
    p, q = random_rows(50, 4), random_rows(50, 4, seed=1)
    p[::3, 0] = q[::4, 2] = 0.0
    q[:, 3] += 1.0
    p, q = ((x / x.sum(axis=1, keepdims=True)).astype(dtype) for x in (p, q))
    weight, names = np.arange(50.0), list("abcd")
    for base in (None, 2, 10):
        options = {"sample_weight": weight, "base": base}
        report = full(Table(p, names), Table(q, names), samples(50), **options)
        parts = [numbers["kl"] for numbers in report["classes"].values()]
        assert report["fidelity"]["kl"] == kl_loss(p, q, **options)
        rel = 1e-12 if dtype is np.float64 else 1e-6
        assert sum(parts) == pytest.approx(kl_loss(p, q, **options), rel=rel)
        assert min(parts) < 0 < max(parts)


def test_columns_are_matched_by_name():
    """The order of the student's columns changes nothing, that of the teacher's the order."""
    p, q = random_rows(9, 3), random_rows(9, 3, seed=1)
    X, y = samples(9), pd.DataFrame(random_rows(9, 3, seed=2), columns=list("abc"))
    teacher, student = Table(p, list("abc")), Table(q, list("abc"))
    report = full(teacher, student, X, y)
    assert_same(full(teacher, Table(q[:, [2, 0, 1]], list("cab")), X, y), report)
    teacher = Table(p[:, ::-1], list("cba"))
    turned = full(teacher, student, X, y)
    assert list(turned["classes"]) == list("cba")
    for key, numbers in report["classes"].items():
        assert turned["classes"][key] == pytest.approx(numbers)
    assert_same(full(teacher, student, X, y[list("cba")].to_numpy()), turned)


def test_a_tie_goes_to_the_class_that_the_model_has_first():
    X, even = samples(1), [[0.5, 0.5]]
    report = full(Table(even, ["a", "b"]), Table(even, ["b", "a"]), X, ["b"])
    assert [report[name]["accuracy"] for name in ("teacher", "student")] == [0, 1]
    assert report["fidelity"]["agreement"] == report["fidelity"]["kl"] == 0


@pytest.mark.parametrize(
    ("teacher_classes", "student_classes", "kind"),
    [
        (["a", "b", "c"], ["a", "c"], "hard"),
        (["a", "c"], ["a", "b", "c"], "frame"),
        (["b", "c"], ["c", "a"], "hard"),
        (["b", "c"], ["c", "a"], "narrow frame"),
        ([3, 1], [2, 3], "frame"),
    ],
)
def test_a_class_that_one_model_does_not_know_has_probability_0(
    teacher_classes, student_classes, kind
):
    known = list(dict.fromkeys(teacher_classes + student_classes))
    X, weight = samples(12), np.random.default_rng(3).uniform(size=12)

    def rows(columns, seed):
        return pd.DataFrame(random_rows(12, len(columns), seed), columns=columns)

    p, q = rows(teacher_classes, 0), rows(student_classes, 1)
    y = rows(known if kind == "frame" else known[1:3], 2)
    y = np.resize(known, 12) if kind == "hard" else y
    models = Table(p.to_numpy(), teacher_classes), Table(q.to_numpy(), student_classes)
    report = full(*models, X, y, sample_weight=weight)

    p, q = (x.reindex(columns=known, fill_value=0.0).to_numpy() for x in (p, q))
    complete = y if kind == "hard" else y.reindex(columns=known, fill_value=0.0)
    expected = full(Table(p, known), Table(q, known), X, complete, sample_weight=weight)
    assert_same(report, expected)
    assert list(report["classes"]) == known
    lost = set(known) - set(student_classes)
    assert all(report["classes"][c]["student"] == 0 for c in lost)
    assert report["fidelity"]["kl"] == kl_loss(p, q, sample_weight=weight)
    options = {"labels": sorted(known), "sample_weight": weight}
    expected = kl_loss(complete, pd.DataFrame(q, columns=known), **options)
    assert report["student"]["kl"] == pytest.approx(expected, rel=1e-12)


def test_an_infinite_loss():
    X = samples(3)
    teacher = Table([[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.1, 0.1, 0.8]], list("abc"))
    student = Table([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5]], list("ab"))
    report = full(teacher, student, X, list("aba"), on_zero="inf")
    assert report["fidelity"]["kl"] == report["classes"]["c"]["kl"] == np.inf
    assert report["fidelity"]["d2"] == -np.inf
    finite = report["fidelity"]["reverse_kl"], report["student"]["kl"]
    assert np.isfinite([*finite, *(report["classes"][c]["kl"] for c in "ab")]).all()
    assert "inf" in fidelity_report(teacher, student, X, on_zero="inf")
    # Its only rows with a zero do not count.
    first = full(teacher, student, X, sample_weight=[0, 1, 0], on_zero="inf")
    assert first["fidelity"]["kl"] == first["classes"]["c"]["kl"] == 0
    with pytest.raises(
        ValueError, match=matches("infinite", "y_true: The teacher's", "['a', 'b', ")
    ):
        full(teacher, student, X, sample_weight=[1, 1, 0], on_zero="raise")
    with pytest.raises(ValueError, match=matches("infinite", "y_true: y;", "The teacher's")):
        full(teacher, teacher, X, list("aca"), on_zero="raise")


# What X and the models may be


@pytest.mark.parametrize(
    "make",
    [np.ndarray.tolist, pd.DataFrame, sparse.csr_array, sparse.coo_matrix, sparse.csc_array],
)
def test_containers_of_x(make):
    X, hard, _, weight, _ = data("binary")
    X = np.abs(X)
    models = MultinomialNB().fit(X, hard), MultinomialNB(alpha=9.0).fit(X, hard)
    options = {"sample_weight": weight.tolist(), "timing": True}
    report = full(*models, make(X), hard.tolist(), **options)
    assert_same(report, full(*models, X, hard, sample_weight=weight))


def test_texts_and_feature_names():
    X, y = ["good film", "bad film", "very good", "very bad", "film"], list("ynynn")
    models = [make_pipeline(CountVectorizer(), MultinomialNB(alpha=a)) for a in (1, 5)]
    models = [model.fit(X, y) for model in models]
    for make in (list, np.array, pd.Series):
        assert full(*models, make(X), y, timing=True)["teacher"]["accuracy"] == 1
    X, hard, *_ = data("binary")
    X = pd.DataFrame(X, columns=["u", "v", "w"])
    models = [LogisticRegression(C=C).fit(X, hard) for C in (1, 0.1)]
    assert_same(full(*models, X, hard, timing=True), by_hand(*models, X, hard))


def test_a_model_that_cannot_be_pickled():
    models = Table([[0.2, 0.8]]), Table([[0.2, 0.8]])
    models[0].function = lambda x: x
    report = full(*models, samples(1))
    assert np.isnan(report["teacher"]["bytes"])
    assert report["student"]["bytes"] == len(pickle.dumps(models[1]))
    assert re.search(r"bytes +nan +[\d,]+\n", fidelity_report(*models, samples(1)))


# Times and text


class Slow(Table):
    """Predicts a row in ``seconds`` of its clock, noisily; notes what it was asked."""

    def __init__(self, proba, classes=None, seconds=0.0):
        super().__init__(proba, classes)
        self.seconds = seconds
        self.asked, self.now = [], 0.0

    def clock(self):
        return self.now

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        repeated = len(X) in map(len, self.asked)
        self.asked.append(X[:, 0])
        self.now += self.seconds * len(X)
        return proba[:, ::-1] if repeated and len(X) == len(self.proba) else proba


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 1e-5, 1e-3, 0.5])
def test_timing_is_short_and_right(seconds, monkeypatch):
    p, q = random_rows(1001, 2), random_rows(1001, 2, seed=1)
    student = Slow(q, ["a", "b"], seconds)
    monkeypatch.setattr("sklkl.metrics._report.perf_counter", student.clock)
    report = full(Table(p, ["a", "b"]), student, samples(1001), timing=True)
    assert report["student"]["microseconds_single_row"] == pytest.approx(1e6 * seconds)
    assert report["student"]["microseconds_per_row"] == pytest.approx(1e6 * seconds)
    # All rows once, and what is timed: half a second, or two runs of each kind.
    assert student.now <= seconds * 1001 + max(0.6, 4 * seconds)
    sizes = list(map(len, student.asked))
    assert max(sizes) == 1001
    if seconds >= 1e-3:
        assert sizes.count(1001) == 1
        timed = student.asked[-1]
        assert timed[0] == 0
        if len(timed) > 1:  # evenly spaced
            assert timed[-1] == 1000
            assert np.ptp(np.diff(timed)) <= 1
    # The probabilities are those of the first prediction of all rows.
    assert report["fidelity"]["kl"] == kl_loss(p, q)
    assert report["classes"]["a"]["student"] == pytest.approx(q[:, 0].mean())


def test_without_timing_each_model_predicts_once():
    teacher, student = (Slow(random_rows(9, 2, seed), ["a", "b"]) for seed in (0, 1))
    assert "microseconds" not in fidelity_report(teacher, student, samples(9), timing=False)
    assert len(teacher.asked) == len(student.asked) == 1
    report = full(teacher, student, samples(9))
    assert not any(key.startswith("microseconds") for key in report["teacher"])


@pytest.mark.parametrize(
    ("problem", "digits", "hard"),
    [("binary", 0, True), ("numbers", 3, False), ("binary", 6, True)],
)
def test_text_holds_the_numbers(problem, digits, hard):
    X, y, _, weight, _ = data(problem)
    args = *fitted(problem), X, y if hard else None
    options = {"sample_weight": weight, "base": 2, "timing": False}
    report, text = full(*args, **options), fidelity_report(*args, digits=digits, **options)
    lines = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    both = {k: (v, report["student"][k]) for k, v in report["teacher"].items()}
    single = {k: [v] for k, v in report["fidelity"].items()}
    of_classes = {str(k): numbers.values() for k, numbers in report["classes"].items()}
    for key, values in [*both.items(), *single.items(), *of_classes.items()]:
        shown = [f"{v:,}" if isinstance(v, int) else f"{v:z,.{digits}f}" for v in values]
        assert [key.replace("_", " "), *shown] in lines
    assert ("accuracy" in text) == hard


def test_names_of_two_models():
    """The text differs in the names alone; a dictionary not at all."""
    y, p, q = [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], [[0.7, 0.3], [0.5, 0.5], [0, 1]]
    options = {"y": y, "confidence_level": 0.9}
    plain, names = fidelity_report(p, q, **options), ("in June", "in July")
    text = fidelity_report(p, q, names=names, **options)
    assert text == plain.replace("teacher", names[0]).replace("student", names[1])
    assert full(p, q, names=names, **options) == full(p, q, **options)
    assert "in July accuracy" in fidelity_report(None, q, names=names, **options)


def test_thousands_zeros_and_units():
    """Sizes have separators, and nothing is minus zero."""
    p, q = np.full((9 * 999, 2), 0.5), np.array([[0.5 + 1e-6, 0.5 - 1e-6]] * 9)
    models, X = (Table(p, ["a", "b"]), Table(q, ["a", "b"])), samples(9)
    assert full(*models, X)["classes"]["a"]["kl"] < 0
    text = fidelity_report(*models, X)
    assert f" {len(pickle.dumps(models[0])):,} " in text
    assert "-0" not in text
    for base, unit in ((None, "nats"), (2.0, "bits"), (10, "units of base 10")):
        assert f" in {unit};\n" in fidelity_report(*models, X, base=base, timing=False)


# Refusals

TEACHER = Table(random_rows(4, 3), ["a", "b", "c"])
STUDENT = Table(random_rows(4, 2), ["a", "b"])


@pytest.mark.parametrize("name", ["teacher", "student"])
@pytest.mark.parametrize(
    ("proba", "parts"),
    [
        (np.full((4, 2), 0.6), ["[0] sums to 1.2"]),
        (np.full((4, 3), 1 / 3), ["(4, 3), without a column for each", "['a', 'b']"]),
        (np.full(4, 0.5), ["(4,), without a column for each"]),
        (np.array([[0.5, 0.5]] * 3 + [[np.nan, 1]]), ["[3] contains NaN"]),
    ],
)
def test_bad_probabilities(name, proba, parts):
    models = {"teacher": STUDENT, "student": STUDENT, name: Says(lambda X: proba, ["a", "b"])}
    with pytest.raises(ValueError, match=matches(f"The {name}'s predict_proba", *parts)):
        fidelity_report(**models, X=samples(4), timing=False)


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (list("abad"), ["y has classes that neither", "['d']", "['a', 'b', 'c']"]),
        ([0, 1, 0, 1], ["y has classes that neither", "[0, 1]"]),
        (pd.DataFrame(np.eye(2)[[0, 1, 1, 1]], columns=["a", "d"]), ["neither", "['d']"]),
        (random_rows(4, 4), ["y has 4 columns", "3 classes", "data frame"]),
        ([0.1, 0.2, 0.3, 0.4], ["Unknown label type"]),
        (list("abc"), ["inconsistent numbers of samples: X has 4, y has 3"]),
    ],
)
def test_bad_y(y, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        full(TEACHER, STUDENT, samples(4), y)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"sample_weight": [1, 1, 1]}, ["sample_weight has 3"]),
        ({"base": 1}, ["base must be"]),
        ({"on_zero": "ignore"}, ["on_zero must be one of"]),
        ({"timing": "no"}, ["timing must be"]),
        ({"names": "ab"}, ["names must be a pair"]),
        ({"digits": -1}, ["digits must be an integer from 0 to 100"]),
        ({"output_dict": "yes"}, ["output_dict must be"]),
    ],
)
def test_bad_options(options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        fidelity_report(TEACHER, STUDENT, samples(4), **options)


def test_models_and_data_of_the_wrong_kind():
    X, hard, *_ = data("binary")
    good = LogisticRegression().fit(X, hard)
    poor = make_pipeline(StandardScaler(), Perceptron()).fit(X, hard)
    for models, name in (((poor, good), "teacher"), ((good, poor), "student")):
        with pytest.raises(TypeError, match=f"^The {name} Pipeline has no predict_proba"):
            fidelity_report(*models, X, hard)
    with pytest.raises(NotFittedError):
        fidelity_report(good, LogisticRegression(), X, timing=False)
    with pytest.raises(TypeError, match=matches("teacher's and student's", "mixes strings")):
        full(STUDENT, Table(random_rows(4, 2), [0, 1]), samples(4))
    with pytest.raises(TypeError, match=r"^X must be an array of samples; got"):
        full(TEACHER, STUDENT, {"a": 1})
    with pytest.raises(ValueError, match=r"^Row 3 of y lists no class"):
        full(TEACHER, STUDENT, samples(4), sparse.csr_array(np.eye(4, 3)))


# Probabilities in the place of models


@pytest.mark.parametrize("problem", ["binary", "numbers"])
def test_probabilities_in_the_place_of_models(problem):
    X, hard, *_ = data(problem)
    models = fitted(problem)
    said = [model.predict_proba(X) for model in models]
    frames = [pd.DataFrame(p, columns=m.classes_) for p, m in zip(said, models, strict=True)]
    wanted = full(*models, X, hard)
    for of in ("teacher", "student"):
        del wanted[of]["bytes"]
    backwards = frames[0][frames[0].columns[::-1]]
    classes = models[0].classes_
    for teacher, student, options in (
        (*frames, {}),
        (backwards, frames[1], {}),
        (*said, {"classes": classes}),
        (frames[0], said[1], {}),
    ):
        found = flatten(full(teacher, student, y=hard, **options))
        assert found == pytest.approx(flatten(wanted), rel=1e-9)
    mixed = full(models[0], said[1], X, hard)
    assert "bytes" in mixed["teacher"]
    assert "bytes" not in mixed["student"]
    assert mixed["fidelity"] == pytest.approx(wanted["fidelity"], rel=1e-9)
    assert "nan" in fidelity_report(models[0], said[1], X, hard, timing=False)


def test_intervals_are_those_of_the_losses():
    X, hard, _, weight = data("numbers")[:4]
    models = fitted("numbers")
    options = {"sample_weight": weight, "base": 2}
    report = full(*models, X, hard, confidence_level=0.9, **options)
    said = [model.predict_proba(X) for model in models]
    labels = {"labels": models[0].classes_, "confidence_level": 0.9, **options}
    pairs = {"teacher": said[:1], "student": said[1:], "difference": said[::-1]}
    for who, probas in pairs.items():
        wanted = metrics.loss_interval(hard, *probas, **labels)
        for key in ("log_loss", "kl"):
            ends = report["intervals"][who][key]
            assert ends == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    wanted = metrics.loss_interval(said[0], said[1], confidence_level=0.9, **options)
    ends = report["intervals"]["fidelity"]["kl"]
    assert ends == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    hit = models[1].predict(X) == hard
    equal = full(*models, X, hard, confidence_level=0.9, sample_weight=np.full(len(X), 7.0))
    wanted = binomtest(hit.sum(), len(hit)).proportion_ci(0.9, method="wilson")
    ends = equal["intervals"]["student"]["accuracy"]
    assert ends == pytest.approx(tuple(wanted), rel=1e-9)
    assert {type(end) for end in ends} == {float}
    low, high = report["intervals"]["student"]["accuracy"]
    assert low < report["student"]["accuracy"] < high
    assert high - low > ends[1] - ends[0]
    text = fidelity_report(*models, X, hard, confidence_level=0.9, timing=False, **options)
    assert "0.9 interval" in text
    assert "difference log loss" in text
    assert "intervals" not in full(*models, X, hard)


def test_groups_of_intervals():
    """Losses as in loss_interval; shares by as many samples as have the same variance."""
    X, hard, _, weight = data("numbers")[:4]
    models = fitted("numbers")
    hit = (models[1].predict(X) == hard).astype(float)
    groups = np.argsort(np.argsort(hit, kind="stable")) // 5  # whose rows are alike
    options = {"sample_weight": weight, "confidence_level": 0.9}
    report = full(*models, X, hard, groups=groups, **options)
    proba = models[1].predict_proba(X)
    own = {"labels": models[1].classes_, "groups": groups, **options}
    wanted = metrics.loss_interval(hard, proba, **own)
    ends = report["intervals"]["student"]["log_loss"]
    assert ends == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    # Korn and Graubard: the ends have the distance of a share of n_effective samples.
    share = np.average(hit, weights=weight)
    counted = weight > 0
    residual = (weight * (hit - share))[counted]
    width = [
        stats.t(len(r) - 1).ppf(0.95) * np.sqrt(len(r) / (len(r) - 1) * np.sum(r**2))
        for r in (residual, pd.Series(residual).groupby(groups[counted]).sum())
    ]
    n_effective = weight.sum() ** 2 / np.sum(weight**2) * (width[0] / width[1]) ** 2
    ends = np.array(report["intervals"]["student"]["accuracy"])
    z_squared = n_effective * (ends - share) ** 2 / (ends * (1 - ends))
    assert_allclose(z_squared, stats.norm.ppf(0.95) ** 2, rtol=1e-9)
    rows = full(*models, X, hard, **options)["intervals"]
    assert full(*models, X, hard, groups=np.arange(len(X)), **options)["intervals"] == rows
    # Where all agree, a group counts once.
    same = full(
        None,
        proba,
        y=models[1].predict(X),
        classes=CLASSES["numbers"],
        groups=groups,
        confidence_level=0.9,
    )
    n = groups.max() + 1
    wanted = binomtest(n, n).proportion_ci(0.9, method="wilson")
    assert same["intervals"]["student"]["accuracy"] == pytest.approx(tuple(wanted), rel=1e-9)
    with pytest.raises(ValueError, match="groups with a positive weight: 1"):
        full(*models, X, hard, groups=np.zeros(len(X)), confidence_level=0.9)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        full(*models, X, hard, groups=groups[1:])


def test_an_infinite_loss_has_no_interval():
    report = full(
        None, [[1.0, 0.0], [0.5, 0.5]], y=[1, 0], on_zero="inf", confidence_level=0.5
    )
    assert report["student"]["log_loss"] == np.inf
    assert np.isnan(report["intervals"]["student"]["log_loss"]).all()
    assert report["classes"] == {0: {"student": 0.75}, 1: {"student": 0.25}}


@pytest.mark.parametrize(
    ("arguments", "options", "parts"),
    [
        ((None, [[0.5, 0.5]]), {}, ["needs y"]),
        (([[0.5, 0.5]], Says(samples)), {}, ["X may be left out"]),
        (([[0.5, 0.5]], [[0.5, 0.3]]), {}, ["student"]),
        (([[0.5, 0.5]], [[0.5, 0.3, 0.2]]), {}, ["student has 3 columns"]),
        (([[0.5, 0.5]], [[0.5, 0.5]] * 2), {}, ["inconsistent numbers of samples"]),
        (([[0.5, 0.5]], [0.5]), {}, ["student must have shape"]),
        ((np.empty((0, 2)), np.empty((0, 2))), {}, ["teacher is empty: 0 samples"]),
        (([[0.5, 0.5]], [[0.5, 0.5]]), {"confidence_level": 1.0}, ["confidence_level"]),
        (([[0.5, 0.5]], [[0.5, 0.5]]), {"classes": [1]}, ["classes"]),
    ],
)
def test_bad_probabilities_in_the_place_of_models(arguments, options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        full(*arguments, **options)
