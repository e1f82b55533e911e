"""Tests of FidelityDisplay: it agrees with fidelity_report, and draws what it says."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import DistilledClassifier
from sklkl.inspection import FidelityDisplay
from sklkl.metrics import fidelity_report

COINS = [[0.5, 0.5]], [[0.9, 0.1]]
NAMES = np.array(["ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"])


def problem(k=3, n=200, seed=0):
    return make_classification(
        n, 8, n_informative=6, n_classes=k, n_clusters_per_class=1, random_state=seed
    )


def widths(bars):
    return np.array([bar.get_width() for bar in bars])


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def draw(display):
    display.figure_.canvas.draw()
    return display


def report_of(teacher, student, X, **options):
    report = fidelity_report(teacher, student, X, timing=False, output_dict=True, **options)
    contributions = [numbers["kl"] for numbers in report["classes"].values()]
    return list(report["classes"]), report["fidelity"]["kl"], contributions


def test_two_coins():
    display = draw(FidelityDisplay.from_predictions(*COINS, base=2, classes=["no", "yes"]))
    assert_allclose(widths(display.class_bars_), [-0.424, 1.161], atol=5e-4)
    assert texts(display.ax_[1]) == ["−0.424", "+1.161"]
    assert ticks(display.ax_[1]) == ["no", "yes"]
    assert display.ax_[1].get_title() == "D(teacher‖student) = 0.737 bits"
    assert texts(display.ax_[2]) == ["0.737"]
    assert display.ax_[2].get_xlabel() == "divergence in bits"


@pytest.mark.parametrize(
    ("k", "base", "weighted"),
    [(2, None, False), (2, 2, True), (3, 2, False), (10, None, True)],
)
def test_agrees_with_fidelity_report(k, base, weighted):
    X, y = problem(k)
    teacher = GaussianNB().fit(X, NAMES[y])
    student = DistilledClassifier(teacher).fit(X, NAMES[y])
    weight = np.random.default_rng(0).integers(0, 3, len(X)) if weighted else None
    options = {"base": base, "sample_weight": weight}
    display = draw(FidelityDisplay.from_estimator(teacher, student, X, **options))
    classes, kl, contributions = report_of(teacher, student, X, **options)
    assert display.classes == classes
    assert_allclose(display.divergence, kl, rtol=1e-12)
    assert_allclose(widths(display.class_bars_), contributions, rtol=1e-12)
    assert_allclose(sum(contributions), kl, rtol=1e-9)
    # Each class has points of its own, at the probabilities of the samples that count.
    counted = np.ones(len(X), bool) if weight is None else weight > 0
    p, q = (m.predict_proba(X)[counted] for m in (teacher, student))
    assert len(display.lines_) == k
    for j, line in enumerate(display.lines_):
        assert_array_equal(line.get_xydata(), np.column_stack([p[:, j], q[:, j]]))
        assert line.get_label() == classes[j]
    styles = {(line.get_color(), line.get_marker()) for line in display.lines_}
    assert len(styles) == k
    # The rows that differ most, the worst on top.
    rows = rel_entr(p, q).sum(axis=1) / np.log(base or np.e)
    found = widths(display.row_bars_)
    assert_allclose(found, np.sort(rows)[::-1][:10], rtol=1e-9)
    assert_array_equal(display.worst_rows_, np.flatnonzero(counted)[np.argsort(-rows)[:10]])
    assert ticks(display.ax_[2]) == [str(i) for i in display.worst_rows_]
    for ax in display.ax_[1:]:
        bottom, top = ax.get_ylim()
        assert bottom > top


def test_float32_agrees_with_fidelity_report():
    p, q = np.random.default_rng(0).dirichlet(np.ones(3), (2, 50)).astype(np.float32)
    display = FidelityDisplay.from_predictions(p, q)
    assert_allclose(display.divergence, rel_entr(p, q).sum(axis=1).mean(), rtol=1e-5)
    assert_allclose(display.contributions.sum(), display.divergence, rtol=1e-5)


@pytest.mark.parametrize("on_zero", ["clip", "inf"])
def test_class_that_the_student_does_not_know(on_zero):
    X, y = problem(3)
    teacher = LogisticRegression().fit(X, NAMES[y])
    student = LogisticRegression().fit(X[y > 0], NAMES[y[y > 0]])
    display = draw(FidelityDisplay.from_estimator(teacher, student, X, on_zero=on_zero))
    classes, kl, contributions = report_of(teacher, student, X, on_zero=on_zero)
    assert display.classes == classes == ["ant", "bee", "cow"]
    assert_allclose(display.divergence, kl)
    assert_allclose(display.contributions, contributions)
    assert (display.lines_[0].get_ydata() == 0).all()
    drawn = widths(display.class_bars_)
    assert np.isfinite(drawn).all()
    if on_zero == "inf":
        assert texts(display.ax_[1])[0] == "+∞"
        assert drawn[0] == max(drawn)
        assert set(texts(display.ax_[2])) == {"∞"}
        assert "= ∞ nats" in display.ax_[1].get_title()


def test_class_that_the_teacher_does_not_know():
    X, y = problem(3)
    teacher = LogisticRegression().fit(X[y > 0], y[y > 0])
    student = LogisticRegression().fit(X, y)
    display = FidelityDisplay.from_estimator(teacher, student, X)
    classes, kl, contributions = report_of(teacher, student, X)
    assert display.classes == classes == [1, 2, 0]
    assert_allclose(display.contributions, contributions)
    assert_allclose(display.divergence, kl)


def test_equal_models():
    X, y = problem()
    model = GaussianNB().fit(X, y)
    display = draw(FidelityDisplay.from_estimator(model, model, X))
    assert display.divergence == 0
    assert texts(display.ax_[1]) == ["0"] * 3
    assert_array_equal(display.worst_rows_, np.arange(10))


def test_pipelines_and_data_frames():
    X, y = problem()
    frame = pd.DataFrame(X, index=[f"patient {i}" for i in range(len(X))]).add_prefix("x")
    teacher = make_pipeline(StandardScaler(), GaussianNB()).fit(frame, y)
    student = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2))
    student.fit(frame, y)
    display = draw(FidelityDisplay.from_estimator(teacher, student, frame, n_rows=4))
    assert ticks(display.ax_[2]) == [f"{i} (patient {i})" for i in display.worst_rows_]
    assert len(display.worst_rows_) == 4
    plain = FidelityDisplay.from_estimator(
        teacher, student, frame.reset_index(drop=True), n_rows=4
    )
    assert ticks(plain.ax_[2]) == [str(i) for i in plain.worst_rows_]


def test_predictions_in_data_frames_are_matched_by_name():
    p, q = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 30))
    expected = FidelityDisplay.from_predictions(p, q, classes=list("abc"))
    teacher = pd.DataFrame(p, columns=list("abc"), index=[f"r{i}" for i in range(30)])
    student = pd.DataFrame(q, columns=list("abc"), index=teacher.index)[list("cab")]
    for arguments in ((teacher, student), (teacher, q), (p, student[list("abc")])):
        display = FidelityDisplay.from_predictions(*arguments)
        assert display.classes == ["a", "b", "c"]
        assert_array_equal(display.student_proba, q)
        assert_allclose(display.contributions, expected.contributions)
    display = FidelityDisplay.from_predictions(teacher, student, classes=list("bca"))
    assert display.classes == ["b", "c", "a"]
    assert_allclose(display.contributions, expected.contributions[[1, 2, 0]])
    label = ticks(FidelityDisplay.from_predictions(teacher, student).ax_[2])[0]
    assert label == "{0} (r{0})".format(expected.worst_rows_[0])


def test_default_columns():
    """They are names where the other frame has the same numbers, and positions otherwise."""
    y = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    frame = pd.DataFrame(y)
    assert FidelityDisplay.from_predictions(frame, frame[[2, 0, 1]]).divergence == 0.0
    named = pd.DataFrame(y, columns=["a", "b", "c"])
    display = FidelityDisplay.from_predictions(frame, named)
    assert display.divergence == 0.0
    assert list(display.classes) == ["a", "b", "c"]


def test_column_missing_in_one_data_frame():
    teacher = pd.DataFrame([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], columns=list("abc"))
    student = pd.DataFrame([[0.5, 0.5], [0.2, 0.8]], columns=list("ca"))
    display = FidelityDisplay.from_predictions(teacher, student)
    assert display.classes == ["a", "b", "c"]
    assert_array_equal(display.student_proba, [[0.5, 0.0, 0.5], [0.8, 0.0, 0.2]])
    assert np.isfinite(display.divergence)


def test_samples_of_weight_zero_are_not_drawn():
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.3, 0.7]])
    q = np.array([[0.6, 0.4], [0.0, 1.0], [0.4, 0.6]])
    display = FidelityDisplay.from_predictions(p, q, sample_weight=[1, 0, 2], on_zero="raise")
    assert len(display.lines_[0].get_xdata()) == 2
    assert sorted(display.worst_rows_) == [0, 2]
    assert_allclose(display.divergence, np.dot(rel_entr(p, q).sum(axis=1)[[0, 2]], [1, 2]) / 3)


@pytest.mark.parametrize(("n", "k"), [(2500, 2), (2501, 2), (3000, 10), (200_000, 3)])
def test_at_most_5000_points(n, k):
    p, q = np.random.default_rng(0).dirichlet(np.ones(k), size=(2, n))
    points = [FidelityDisplay.from_predictions(p, q).lines_ for _ in range(2)]
    for first, second in zip(*points, strict=True):
        assert_array_equal(first.get_xydata(), second.get_xydata())
        assert len(first.get_xdata()) == min(n, 5000 // k)


@pytest.mark.parametrize(("k", "n_labels"), [(16, 16), (17, 0)])
def test_many_classes(k, n_labels):
    p, q = np.random.default_rng(0).dirichlet(np.ones(k), size=(2, 30))
    display = draw(FidelityDisplay.from_predictions(p, q, n_rows=40))
    assert len([text for text in texts(display.ax_[1]) if text]) == n_labels
    assert (display.ax_[0].get_legend() is None) == (n_labels == 0)
    assert len(display.row_bars_) == 30


def test_models_that_do_not_fit():
    X, y = problem()
    model, svm = GaussianNB().fit(X, y), LinearSVC().fit(X, y)
    with pytest.raises(TypeError, match="The student LinearSVC has no predict_proba"):
        FidelityDisplay.from_estimator(model, svm, X)
    with pytest.raises(TypeError, match="The teacher LinearSVC has no predict_proba"):
        FidelityDisplay.from_estimator(svm, model, X)
    with pytest.raises(TypeError, match="mixes strings"):
        FidelityDisplay.from_estimator(model, GaussianNB().fit(X, NAMES[y]), X)


@pytest.mark.parametrize("k", [3, 17, 40])
def test_infinite_bars_are_the_longest_and_say_so(k):
    p = np.full((40, k), 1 / k)
    q = p.copy()
    q[:, 0], q[:, 1] = 0.0, 2 / k
    q[20:] = p[20:] * np.linspace(0.9, 1.1, k)
    q /= q.sum(axis=1, keepdims=True)
    display = draw(FidelityDisplay.from_predictions(p, q, on_zero="inf", n_rows=40))
    for ax, bars in (
        (display.ax_[1], display.class_bars_),
        (display.ax_[2], display.row_bars_),
    ):
        lengths = np.array([bar.get_width() for bar in bars])
        infinite = np.array(["∞" in text for text in texts(ax)])
        assert infinite.any()
        assert lengths[infinite].min() > lengths[~infinite].max()


def test_names_that_matplotlib_would_not_show():
    classes = ["_silence_", "$5 to $50", "yes"]
    p, q = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 30))
    display = draw(FidelityDisplay.from_predictions(p, q, classes=classes))
    legend = [t.get_text().strip() for t in display.ax_[0].get_legend().get_texts()]
    assert legend == ["_silence_", r"\$5 to \$50", "yes"]


def test_names_of_many_classes():
    p, q = np.random.default_rng(0).dirichlet(np.ones(20), size=(2, 30))
    classes = [f"w{j}" for j in range(20)]
    display = draw(FidelityDisplay.from_predictions(p, q, classes=classes))
    shown = [t.get_text() for t in display.ax_[1].get_yticklabels()]
    assert shown == classes[::2]


HALF = [[0.5, 0.5]] * 2


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((HALF, HALF), {"n_rows": 0}, "n_rows must be"),
        ((HALF, HALF), {"n_rows": 2.5}, "n_rows must be"),
        (
            (
                pd.DataFrame(HALF, columns=["no", "yes"]),
                pd.DataFrame(HALF, columns=["No", "Yes"]),
            ),
            {},
            "none in common",
        ),
        ((HALF, HALF), {"on_zero": "ignore"}, "on_zero must be"),
        ((HALF, HALF), {"base": 1}, "base must be"),
        ((HALF, HALF), {"sample_weight": ["a", "b"]}, "sample_weight must hold real numbers"),
        ((HALF, HALF), {"sample_weight": [1, -1]}, "sample_weight"),
        ((HALF, HALF), {"sample_weight": [0, 0]}, "non-zero|is zero"),
        ((HALF, HALF), {"classes": ["a"]}, "two classes"),
        ((HALF, HALF), {"classes": ["a", "b", "c"]}, "teacher_proba has 2 columns"),
        ((HALF, [[0.5, 0.6]] * 2), {}, r"student_proba\[0\] sums to 1.1"),
        (([[0.5, 0.6]] * 2, HALF), {}, r"teacher_proba\[0\] sums to 1.1"),
        ((HALF, HALF * 2), {}, "inconsistent numbers of samples"),
        (([0.5, 0.5], HALF), {}, "teacher_proba must have shape"),
        ((HALF, [[1.0]] * 2), {}, "student_proba must have shape"),
        (([[1.0, 0.0]], [[0.0, 1.0]]), {"on_zero": "raise"}, "y_true are the teacher's"),
        (
            (pd.DataFrame(HALF, columns=["a", "b"]), HALF),
            {"classes": ["a", "c"]},
            "does not",
        ),
        (
            (pd.DataFrame(HALF, index=[0, 1]), pd.DataFrame(HALF, index=[1, 0])),
            {},
            "rows of teacher_proba and student_proba have different labels: row 0 is 0",
        ),
    ],
)
def test_bad_predictions(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        FidelityDisplay.from_predictions(*arguments, **options)
