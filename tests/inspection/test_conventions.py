"""What all displays share with those of scikit-learn."""

import subprocess
import sys
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sklkl.distillation import DistilledClassifier
from sklkl.inspection import (
    DeferralDisplay,
    DivergenceDisplay,
    DivergenceMapDisplay,
    FidelityDisplay,
    ReliabilityDisplay,
    TemperatureDisplay,
    TuningDisplay,
)
from tests._support.pictures import draw, legend, ticks
from tests._support.problems import random_rows

P, Q = random_rows(60, 3), random_rows(60, 3, seed=1)
SCORES = np.random.default_rng(0).uniform(size=(2, 3, 5))
TRIED = [{"temperature": t, "calibrate": t < 3.0} for t in (1.0, 2.0, 5.0)]
# name -> (how to make one, how many axes)
DISPLAYS = {
    "deferral": (
        lambda **kw: DeferralDisplay(
            [9, 20, 30], [9, 19, 25], [0.7, 0.8, 0.7], 0.8, 2 / 3
        ).plot(**kw),
        1,
    ),
    "divergence": (lambda **kw: DivergenceDisplay.from_distributions(P[0], Q[0], **kw), 2),
    "map": (lambda **kw: DivergenceMapDisplay.from_distributions(P[:4], **kw), 1),
    "surface": (lambda **kw: DivergenceMapDisplay.from_divergence(n_points=20, **kw), 1),
    "fidelity": (lambda **kw: FidelityDisplay.from_predictions(P, Q, **kw), 3),
    "reliability": (
        lambda **kw: ReliabilityDisplay.from_predictions(P, Q, method="binning", **kw),
        2,
    ),
    "temperature": (
        lambda **kw: TemperatureDisplay(np.array([1.0, 2.0, 4.0]), *SCORES).plot(**kw),
        2,
    ),
    "tuning": (lambda **kw: TuningDisplay(TRIED, [0.4, 0.3, 0.5], [0.1] * 3).plot(**kw), 1),
}
each_display = pytest.mark.parametrize(("make", "n_axes"), DISPLAYS.values(), ids=DISPLAYS)


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
    display = draw(make())
    assert plt.get_fignums() == [display.figure_.number]
    if n_axes == 1:
        assert isinstance(display.ax_, plt.Axes)
    else:
        assert display.ax_.shape == (n_axes,)
    assert all(ax.figure is display.figure_ for ax in np.ravel(display.ax_))


@each_display
def test_draws_on_given_axes_and_again(make, n_axes):
    figure, axes = plt.subplots(ncols=n_axes, figsize=(12, 4))
    display = make(ax=axes)
    assert display.figure_ is figure
    assert np.ravel(display.ax_).tolist() == np.ravel(axes).tolist()
    first = shown(display.ax_)
    figure, axes = plt.subplots(nrows=n_axes, figsize=(2.5, 2.5), layout="constrained")
    assert display.plot(ax=list(np.ravel(axes))) is display
    assert draw(display).figure_ is figure  # though it is small
    figure, axes = plt.subplots(ncols=n_axes, figsize=(12, 4))
    assert shown(display.plot(ax=axes).ax_) == first
    inverted = [ax.yaxis_inverted() for ax in np.ravel(display.ax_)]
    display.plot(ax=display.ax_)
    assert [ax.yaxis_inverted() for ax in np.ravel(display.ax_)] == inverted


@each_display
def test_refuses_other_axes(make, n_axes):
    _, axes = plt.subplots(ncols=n_axes + 1)
    for bad in (axes, "here", [None] * n_axes):
        with pytest.raises(ValueError, match="ax must be"):
            make(ax=bad)


def test_axes_are_checked_before_anything_is_fitted():
    with pytest.raises(ValueError, match="ax must be"):
        TemperatureDisplay.from_estimator(DistilledClassifier(None), None, None, ax="here")


def test_labels_of_bars_do_not_overlap():
    p, q = random_rows(2, 16)
    display = draw(DivergenceDisplay.from_distributions(p, q))
    boxes = [text.get_window_extent() for text in display.ax_[1].texts]
    assert len(boxes) == 16
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    frame = display.ax_[1].get_window_extent()
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


@pytest.mark.parametrize(("name", "place"), [("fidelity", 0), ("reliability", 1)])
def test_legend_is_outside_of_the_axes_and_inside_the_figure(name, place):
    make, _ = DISPLAYS[name]
    ax = draw(make()).ax_[place]
    box = ax.get_legend().get_window_extent()
    assert box.y1 <= ax.xaxis.label.get_window_extent().y0
    assert box.y0 >= 0


@pytest.mark.parametrize("k", [7, 50])
def test_classes_are_told_apart_without_colours(k):
    p, q = random_rows(2, k), random_rows(2, k, seed=1)
    lines = FidelityDisplay.from_predictions(p, q).lines_
    assert len({line.get_marker() for line in lines}) == len(lines) == 7
    assert len({line.get_color() for line in lines}) == 7
    lightness = [np.dot([0.299, 0.587, 0.114], to_rgb(line.get_color())) for line in lines[:6]]
    assert min(abs(np.diff(lightness))) > 0.09


@each_display
def test_nothing_is_drawn_in_the_colour_of_a_dark_background(make, n_axes):
    with plt.style.context("dark_background"):
        display = make()
        for ax in np.ravel(display.ax_):
            lines = [line.get_color() for line in ax.lines]
            edges = [patch.get_edgecolor() for patch in ax.patches]
            marks = [text.get_color() for text in ax.texts if text.get_bbox_patch() is None]
            if display.__class__ is DivergenceMapDisplay:
                marks = []  # on cells
            assert (0.0, 0.0, 0.0) not in {to_rgb(c) for c in lines + edges + marks}
            assert to_rgb(ax.get_facecolor()) == (0.0, 0.0, 0.0) or ax.patch.get_hatch()


@pytest.mark.parametrize("name", ["fidelity", "reliability", "divergence"])
def test_long_names_lose_their_middle_and_legends_stay_inside(name):
    k, long = 10, "the name of a class that nobody abbreviates, number"
    p, q = random_rows(60, k), random_rows(60, k, seed=1)
    names = [f"{long} {j}" for j in range(k)]
    if name == "divergence":
        display = DivergenceDisplay.from_distributions(p[0], q[0], outcomes=names)
        written = ticks(display.ax_[1].xaxis)
    elif name == "fidelity":
        display = draw(FidelityDisplay.from_predictions(p, q, classes=names))
        written = ticks(display.ax_[1].yaxis)
    else:
        display = draw(
            ReliabilityDisplay.from_predictions(p, q, labels=names, method="binning")
        )
        written = legend(display.ax_[1])
    assert len(set(written)) == len(written) >= 7
    assert all(len(text) <= 30 and text.startswith("the name of a") for text in written)
    if name != "divergence":
        box = display.figure_.legends or [
            ax.get_legend() for ax in display.ax_ if ax.get_legend()
        ]
        box = box[0].get_window_extent()
        assert 0 <= box.x0 < box.x1 <= display.figure_.bbox.width
        assert box.y0 >= 0


def test_names_that_matplotlib_would_not_show():
    """It takes dollars for a formula, and leaves out of legends what begins with "_"."""
    names = ["_silence_", "$5 to $50", "yes"]
    display = FidelityDisplay.from_predictions(P, Q, classes=names)
    expected = ["_silence_", r"\$5 to \$50", "yes"]
    assert [name.strip() for name in legend(display.ax_[0])] == expected
    assert [name.strip() for name in ticks(display.ax_[1].yaxis)] == expected


def test_import_does_not_import_matplotlib():
    code = "import sys, sklkl.inspection; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        DivergenceDisplay.from_distributions([0.5, 0.5], [0.9, 0.1])
