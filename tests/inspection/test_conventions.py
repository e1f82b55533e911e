"""What all displays share with those of scikit-learn."""

import subprocess
import sys
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.datasets import make_classification
from sklearn.naive_bayes import GaussianNB

import sklkl.inspection
from sklkl.distillation import DistilledClassifier
from sklkl.inspection import (
    DivergenceDisplay,
    DivergenceMapDisplay,
    FidelityDisplay,
    ReliabilityDisplay,
    TemperatureDisplay,
)
from sklkl.inspection._drawing import COLORS, MARKERS, margin_for, number, signed, unit_of

RNG = np.random.default_rng(0)
P, Q = RNG.dirichlet(np.ones(3), size=(2, 60))
SCORES = RNG.uniform(size=(2, 3, 5))
# name -> (how to make one, how many axes, arguments of subplots)
DISPLAYS = {
    "divergence": (lambda **kw: DivergenceDisplay.from_distributions(P[0], Q[0], **kw), 2),
    "map": (lambda **kw: DivergenceMapDisplay.from_distributions(P[:4], **kw), 1),
    "surface": (lambda **kw: DivergenceMapDisplay.from_metric(n_points=20, **kw), 1),
    "fidelity": (lambda **kw: FidelityDisplay.from_predictions(P, Q, **kw), 3),
    "reliability": (lambda **kw: ReliabilityDisplay.from_predictions(P, Q, **kw), 2),
    "temperature": (
        lambda **kw: TemperatureDisplay(np.array([1.0, 2.0, 4.0]), *SCORES).plot(**kw),
        2,
    ),
}
each_display = pytest.mark.parametrize(
    ("make", "n_axes"), DISPLAYS.values(), ids=DISPLAYS.keys()
)


def shown(axes):
    """All that is drawn on some axes, as numbers and texts."""
    out = []
    for ax in np.ravel(axes):
        out.append([t.get_text() for t in ax.texts])
        out.append([ax.get_title(), ax.get_xlabel(), ax.get_ylabel()])
        out += [line.get_xydata().tolist() for line in ax.lines]
        out += [bar.get_bbox().bounds for bar in ax.patches if hasattr(bar, "get_bbox")]
        out += [image.get_array().tolist() for image in ax.images]
        out += [[p.vertices.tolist() for p in c.get_paths()] for c in ax.collections]
    return out


@each_display
def test_draws_on_a_new_figure(make, n_axes):
    display = make()
    assert isinstance(display.figure_, plt.Figure)
    if n_axes == 1:
        assert isinstance(display.ax_, plt.Axes)
    else:
        assert isinstance(display.ax_, np.ndarray)
        assert display.ax_.shape == (n_axes,)
    assert all(ax.figure is display.figure_ for ax in np.ravel(display.ax_))
    display.figure_.canvas.draw()


@each_display
def test_draws_on_given_axes_and_again(make, n_axes):
    figure, axes = plt.subplots(ncols=n_axes, figsize=(12, 4))
    display = make(ax=axes)
    assert display.figure_ is figure
    assert np.ravel(display.ax_).tolist() == np.ravel(axes).tolist()
    first = shown(display.ax_)
    assert first
    figure, axes = plt.subplots(ncols=n_axes, figsize=(12, 4))
    assert display.plot(ax=list(np.ravel(axes))) is display
    assert display.figure_ is figure
    assert shown(display.ax_) == first
    figure.canvas.draw()


@each_display
def test_drawing_again_on_its_own_axes_does_not_turn_them(make, n_axes):
    display = make()
    inverted = [ax.yaxis_inverted() for ax in np.ravel(display.ax_)]
    display.plot(ax=display.ax_)
    assert [ax.yaxis_inverted() for ax in np.ravel(display.ax_)] == inverted


def test_axes_are_checked_before_anything_is_fitted():
    class Never(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError

    model = DistilledClassifier(Never())
    with pytest.raises(ValueError, match="ax must be"):
        TemperatureDisplay.from_estimator(model, [[0.0]], [0], ax="here")


@each_display
def test_refuses_other_axes(make, n_axes):
    _, axes = plt.subplots(ncols=n_axes + 1)
    for bad in (axes, "here", [None] * n_axes):
        with pytest.raises(ValueError, match="ax must be"):
            make(ax=bad)


@each_display
def test_draws_on_small_axes(make, n_axes):
    figure, axes = plt.subplots(nrows=n_axes, figsize=(2.5, 2.5), layout="constrained")
    make(ax=axes)
    figure.canvas.draw()


@each_display
def test_nothing_stays_open_but_one_figure(make, n_axes):
    make()
    assert len(plt.get_fignums()) == 1


def test_labels_of_bars_do_not_overlap():
    p, q = RNG.dirichlet(np.ones(16), size=2)
    display = DivergenceDisplay.from_distributions(p, q)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_[1].texts]
    assert len(boxes) == 16
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    frame = display.ax_[1].get_window_extent()
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


@pytest.mark.parametrize("name", ["fidelity", "reliability"])
def test_legend_is_outside_of_the_axes_and_inside_the_figure(name):
    make, _ = DISPLAYS[name]
    display = make()
    display.figure_.canvas.draw()
    ax = display.ax_[{"fidelity": 0, "reliability": 1}[name]]
    box = ax.get_legend().get_window_extent()
    assert box.y1 <= ax.xaxis.label.get_window_extent().y0
    assert box.y0 >= 0


def test_import_does_not_import_matplotlib():
    code = "import sys, sklkl.inspection; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklkl\[plot\]"):
        DivergenceDisplay.from_distributions([0.5, 0.5], [0.9, 0.1])


def test_all_is_exported():
    names = [n for n in dir(sklkl.inspection) if n.endswith("Display")]
    assert sorted(names) == sklkl.inspection.__all__


def test_neighbouring_classes_differ_in_lightness():
    lightness = [np.dot([0.299, 0.587, 0.114], to_rgb(color)) for color in COLORS]
    assert min(abs(np.diff([*lightness, lightness[0]]))) > 0.1
    styles = [(COLORS[j % len(COLORS)], MARKERS[j % len(MARKERS)]) for j in range(56)]
    assert len(set(styles)) == 56


def test_numbers_as_text():
    assert number(-0.4242) == "−0.424"
    assert number(np.inf) == "∞"
    assert [number(x) for x in (0.0, 4.2e-6, 0.00123)] == ["0.000", "4.2e−06", "0.001"]
    assert [signed(x) for x in (-1.0, 0.0, 2.0, np.inf)] == ["−1.000", "0", "+2.000", "+∞"]
    assert [unit_of(b) for b in (None, 2, 10, 3)] == ["nats", "bits", "bans", "units of log 3"]


def test_margin_leaves_room_for_labels():
    length, inches = 0.5, 3.0
    margin = margin_for(length, inches)
    assert margin / (1 + 2 * margin) * inches >= length - 1e-12
    assert margin_for(1.0, 0.1) > 0


def test_estimators_are_not_changed():
    X, y = make_classification(random_state=0)
    model = GaussianNB().fit(X, y)
    before = model.theta_.copy()
    ReliabilityDisplay.from_estimator(model, X, y)
    FidelityDisplay.from_estimator(model, model, X)
    assert (model.theta_ == before).all()
