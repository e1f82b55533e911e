"""FidelityDisplay agrees with fidelity_report, and draws what it says."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from sklkl.inspection import FidelityDisplay
from sklkl.metrics import fidelity_report
from tests._support.messages import matches
from tests._support.pictures import draw, legend, texts, ticks
from tests._support.problems import make_problem, random_rows

NAMES = tuple("abcdefghij")
from_predictions, from_estimator = (
    FidelityDisplay.from_predictions,
    FidelityDisplay.from_estimator,
)


def widths(bars):
    return np.array([bar.get_width() for bar in bars])


def models(k, left_out=()):
    """Return two fitted models, the second without some classes, and features."""
    problem = make_problem(classes=NAMES[:k])
    known = ~np.isin(problem.hard, left_out)
    teacher = GaussianNB().fit(problem.X, problem.hard)
    student = LogisticRegression().fit(problem.X[known], problem.hard[known])
    return teacher, student, problem


def test_two_coins():
    display = from_predictions([[0.5, 0.5]], [[0.9, 0.1]], base=2, classes=["no", "yes"])
    assert texts(display.ax_[1]) == ["−0.424", "+1.161"]
    assert ticks(display.ax_[1].yaxis) == ["no", "yes"]
    assert display.ax_[1].get_title() == "D(teacher‖student) = 0.737 bits"
    assert texts(display.ax_[2]) == ["0.737"]
    assert display.ax_[2].get_xlabel() == "divergence in bits"


@pytest.mark.parametrize(
    ("k", "base", "weighted", "left_out", "on_zero", "swapped"),
    [
        (2, None, False, (), "clip", False),
        (3, 2, True, (), "clip", False),
        (10, None, True, (), "clip", False),
        (3, None, False, ("a",), "clip", False),
        (3, None, True, ("a",), "inf", False),
        (3, None, False, ("b",), "clip", True),
    ],
)
def test_agrees_with_fidelity_report(k, base, weighted, left_out, on_zero, swapped):
    teacher, student, problem = models(k, left_out)
    if swapped:
        teacher, student = student, teacher
    weight = problem.weight if weighted else None
    options = {"base": base, "sample_weight": weight, "on_zero": on_zero}
    display = from_estimator(teacher, student, problem.X, **options)
    report = fidelity_report(
        teacher, student, problem.X, timing=False, output_dict=True, **options
    )
    assert display.classes == list(report["classes"])
    assert_allclose(display.divergence, report["fidelity"]["kl"], rtol=1e-12)
    contributions = [numbers["kl"] for numbers in report["classes"].values()]
    assert_allclose(display.contributions, contributions, rtol=1e-12)
    # Each class has points of its own, at the probabilities of the samples that count.
    counted = weight > 0 if weighted else np.full(len(problem.X), True)
    p, q = display.teacher_proba[counted], display.student_proba[counted]
    for line in display.lines_[: min(k, 6)]:
        j = display.classes.index(line.get_label())
        assert_array_equal(line.get_xydata(), np.column_stack([p[:, j], q[:, j]]))
    known = [display.classes.index(c) for c in teacher.classes_]
    assert_allclose(p[:, known], teacher.predict_proba(problem.X)[counted], rtol=1e-12)
    drawn = widths(display.class_bars_)
    if on_zero == "inf":
        assert drawn[0] == max(drawn) < np.inf
        assert texts(display.ax_[1])[0] == "+∞"
        assert set(texts(display.ax_[2])) == {"∞"}
    elif not left_out:
        assert_allclose(drawn, contributions, rtol=1e-12)
        # The rows that differ most, the worst on top.
        rows = rel_entr(p, q).sum(axis=1) / np.log(base or np.e)
        assert_allclose(widths(display.row_bars_), np.sort(rows)[::-1][:10], rtol=1e-9)
        assert_array_equal(
            display.worst_rows_, np.flatnonzero(counted)[(-rows).argsort()[:10]]
        )
        assert ticks(display.ax_[2].yaxis) == [str(i) for i in display.worst_rows_]
        assert all(ax.yaxis_inverted() for ax in display.ax_[1:])


def test_equal_models():
    teacher, _, problem = models(3)
    display = draw(from_estimator(teacher, teacher, problem.X))
    assert display.divergence == 0
    assert texts(display.ax_[1]) == ["0"] * 3
    assert_array_equal(display.worst_rows_, np.arange(10))


def test_frames_are_matched_by_name():
    p, q = random_rows(30, 3), random_rows(30, 3, seed=1)
    expected = from_predictions(p, q, classes=list("abc"))
    rows = [f"r{i}" for i in range(30)]
    teacher = pd.DataFrame(p, columns=list("abc"), index=rows)
    student = pd.DataFrame(q, columns=list("abc"), index=rows)[list("cab")]
    for arguments in ((teacher, student), (teacher, q), (p, student[list("abc")])):
        display = from_predictions(*arguments)
        assert display.classes == ["a", "b", "c"]
        assert_array_equal(display.student_proba, q)
        assert_allclose(display.contributions, expected.contributions)
    display = from_predictions(teacher, student, classes=list("bca"), n_rows=1)
    assert display.classes == ["b", "c", "a"]
    assert_allclose(display.contributions, expected.contributions[[1, 2, 0]])
    worst = expected.worst_rows_[0]
    assert ticks(display.ax_[2].yaxis) == [f"{worst} (r{worst})"]
    # Default columns are names only where the other frame has the same numbers.
    frame = pd.DataFrame(p)
    assert from_predictions(frame, frame[[2, 0, 1]]).divergence == 0.0
    display = from_predictions(frame, teacher.reset_index(drop=True))
    assert (display.divergence, display.classes) == (0.0, ["a", "b", "c"])
    # A column that one lacks is probability 0.
    display = from_predictions(
        teacher[:2], pd.DataFrame({"c": [0.5, 1], "a": [0.5, 0]}, rows[:2])
    )
    assert_array_equal(display.student_proba, [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])


def test_samples_of_weight_zero_are_not_drawn():
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.3, 0.7]])
    q = np.array([[0.6, 0.4], [0.0, 1.0], [0.4, 0.6]])
    display = from_predictions(p, q, sample_weight=[1, 0, 2], on_zero="raise")
    assert len(display.lines_[0].get_xdata()) == 2
    assert sorted(display.worst_rows_) == [0, 2]
    assert_allclose(display.divergence, np.dot(rel_entr(p, q).sum(axis=1)[[0, 2]], [1, 2]) / 3)


@pytest.mark.parametrize(("n", "k"), [(2500, 2), (2501, 2), (1000, 10)])
def test_at_most_5000_points(n, k):
    p = random_rows(n, k)
    lines = from_predictions(p, p[::-1]).lines_
    assert {len(line.get_xdata()) for line in lines} == {min(n, 5000 // len(lines))}


@pytest.mark.parametrize(("k", "n_classes"), [(10, 16), (17, 16), (50, 16), (50, 50)])
def test_many_classes(k, n_classes):
    """The bars are those that contribute most, and add up; the other points are grey."""
    names = [f"w{j}" for j in range(k)]
    p, q = random_rows(30, k), random_rows(30, k, seed=1)
    display = from_predictions(p, q, n_rows=40, classes=names, n_classes=n_classes)
    drawn, all_of_them = display.drawn_classes_, k <= n_classes
    expected = np.argsort(-abs(display.contributions))[: k if all_of_them else n_classes - 1]
    assert set(drawn) == set(expected)
    lengths = widths(display.class_bars_)
    assert_allclose(lengths[: len(drawn)], display.contributions[drawn])
    assert_allclose(lengths.sum(), display.divergence)
    if k < 50 or not all_of_them:
        others = [] if all_of_them else [f"{k - len(drawn)} others"]
        assert ticks(display.ax_[1].yaxis) == [*(names[j] for j in drawn), *others]
        assert len([text for text in texts(display.ax_[1]) if text]) == len(lengths)
    assert len(display.row_bars_) == 30
    coloured = sorted(np.argsort(-abs(display.contributions))[:6])
    expected = [*(names[j] for j in coloured), f"{k - 6} others"]
    assert legend(display.ax_[0]) == [line.get_label() for line in display.lines_] == expected
    for j, line in zip(coloured, display.lines_, strict=False):
        assert_array_equal(line.get_xydata(), np.column_stack([p[:, j], q[:, j]]))
    rest = np.setdiff1d(np.arange(k), coloured)
    assert len(display.lines_[-1].get_xdata()) == min(30 * len(rest), 5000 // 7)
    assert set(display.lines_[-1].get_ydata()) <= set(q[:, rest].ravel())


def test_models_that_do_not_fit():
    teacher, _, problem = models(3)
    svm = LinearSVC().fit(problem.X, problem.hard)
    for name, pair in {"student": (teacher, svm), "teacher": (svm, teacher)}.items():
        with pytest.raises(TypeError, match=f"The {name} LinearSVC has no predict_proba"):
            from_estimator(*pair, problem.X)
    numbers = GaussianNB().fit(problem.X, np.searchsorted(NAMES, problem.hard))
    with pytest.raises(TypeError, match="mixes strings"):
        from_estimator(teacher, numbers, problem.X)


HALF = [[0.5, 0.5]] * 2
frame = pd.DataFrame


@pytest.mark.parametrize(
    ("p", "q", "options", "parts"),
    [
        (HALF, HALF, {"n_rows": 0}, ["n_rows must be"]),
        (HALF, HALF, {"n_classes": 1}, ["n_classes must be"]),
        (HALF, HALF, {"base": 1}, ["base must be"]),
        (HALF, HALF, {"classes": ["a"]}, ["two classes"]),
        (HALF, HALF, {"classes": list("abc")}, ["teacher_proba has 2 columns"]),
        (HALF, [[0.5, 0.6]] * 2, {}, ["student_proba[0] sums to 1.1"]),
        ([[0.5, 0.6]] * 2, HALF, {}, ["teacher_proba[0] sums to 1.1"]),
        (HALF, [[1.0]] * 2, {}, ["student_proba must have shape"]),
        (
            [[1.0, 0.0]],
            [[0.0, 1.0]],
            {"on_zero": "raise"},
            ["y_true: teacher_proba; y_proba: student_proba"],
        ),
        (frame(HALF, columns=["a", "b"]), HALF, {"classes": ["a", "c"]}, ["does not"]),
        (frame(HALF, columns=["a", "b"]), frame(HALF, columns=["A", "B"]), {}, ["in common"]),
        (frame(HALF, [0, 1]), frame(HALF, [1, 0]), {}, ["rows of teacher_proba and student_"]),
    ],
)
def test_bad_predictions(p, q, options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        from_predictions(p, q, **options)
