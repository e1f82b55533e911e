"""Tests of DivergenceMapDisplay: heat maps and surfaces show the divergences."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from scipy.special import rel_entr

from sklkl.divergences import cross_entropy, pairwise_divergences, renyi_divergence
from sklkl.divergences._registry import DIVERGENCES
from sklkl.inspection import DivergenceMapDisplay

COINS = [[0.5, 0.5], [0.9, 0.1]]


def texts(display):
    return [text.get_text() for text in display.texts_]


def ticks(axis):
    return [t.get_text() for t in axis.get_ticklabels()]


def dirichlet(n, k=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(k), size=n)


def test_two_coins():
    display = DivergenceMapDisplay.from_distributions(COINS, base=2)
    assert texts(display) == ["0.000", "0.737", "0.531", "0.000"]
    assert_allclose(display.image_.get_array()[0, 1], 0.737, atol=5e-4)
    assert display.colorbar_.ax.get_ylabel() == "KL divergence in bits"
    assert (display.ax_.get_ylabel(), display.ax_.get_xlabel()) == ("P", "Q")


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 12), (12, 3), (12, 12), (13, 2), (40, 50)])
def test_cells_are_divergences(n, m):
    P, Q = dirichlet(n), dirichlet(m, seed=1)
    display = DivergenceMapDisplay.from_distributions(P, Q)
    expected = rel_entr(P[:, np.newaxis], Q).sum(axis=-1)
    assert_allclose(display.image_.get_array(), expected, rtol=1e-10)
    assert_allclose(display.image_.get_clim(), (0, expected.max()))
    assert len(display.texts_) == (n * m if max(n, m) <= 12 else 0)
    for text in display.texts_:
        x, y = text.get_position()
        decimals = 3 if max(n, m) <= 6 else 2
        assert text.get_text() == f"{expected[y, x]:.{decimals}f}"
    assert len(display.ax_.get_xticks()) <= 16
    display.figure_.canvas.draw()


def test_texts_are_readable_on_their_cells():
    display = DivergenceMapDisplay.from_distributions(dirichlet(6))
    for text in display.texts_:
        x, y = text.get_position()
        cell = display.image_.cmap(display.image_.norm(display.divergences[y, x]))[:3]
        contrast = np.dot([0.299, 0.587, 0.114], np.subtract(to_rgb(text.get_color()), cell))
        assert abs(contrast) > 0.45
    assert {to_rgb(t.get_color()) for t in display.texts_} == {(0, 0, 0), (1, 1, 1)}


def test_texts_fit_into_their_cells():
    for n in (2, 6, 7, 12):
        display = DivergenceMapDisplay.from_distributions(dirichlet(n))
        display.figure_.canvas.draw()
        cell = display.ax_.get_window_extent().width / n
        assert max(t.get_window_extent().width for t in display.texts_) < cell


def test_infinite_cells_are_hatched_and_no_part_of_the_scale():
    display = DivergenceMapDisplay.from_distributions([[0.5, 0.5], [1, 0]])
    assert texts(display) == ["0.000", "∞", "0.693", "0.000"]
    assert display.image_.get_array().mask.tolist() == [[False, True], [False, False]]
    assert_allclose(display.image_.get_clim(), (0, np.log(2)))
    assert display.ax_.patch.get_hatch()
    display.figure_.canvas.draw()


@pytest.mark.parametrize(("P", "Q"), [([[1.0, 0.0]], [[0.0, 1.0]]), ([[0.5, 0.5]], None)])
def test_scale_without_a_range(P, Q):
    display = DivergenceMapDisplay.from_distributions(P, Q)
    assert display.image_.get_clim() == (0, 1)
    display.figure_.canvas.draw()


def test_names():
    P = pd.DataFrame(COINS, index=["fair", "biased"])
    display = DivergenceMapDisplay.from_distributions(P)
    assert ticks(display.ax_.yaxis) == ticks(display.ax_.xaxis) == ["fair", "biased"]
    display = DivergenceMapDisplay.from_distributions(P, COINS)
    assert ticks(display.ax_.yaxis) == ["fair", "biased"]
    assert ticks(display.ax_.xaxis) == ["0", "1"]
    display = DivergenceMapDisplay.from_distributions(
        P, row_names=["a", "b"], column_names=[3, 4]
    )
    assert ticks(display.ax_.yaxis) == ["a", "b"]
    assert ticks(display.ax_.xaxis) == ["3", "4"]


def test_long_names_are_rotated():
    names = [f"a rather long name {i}" for i in range(5)]
    display = DivergenceMapDisplay.from_distributions(dirichlet(5), row_names=names)
    assert {t.get_rotation() for t in display.ax_.get_xticklabels()} == {90}
    display = DivergenceMapDisplay.from_distributions(dirichlet(5))
    assert {t.get_rotation() for t in display.ax_.get_xticklabels()} == {0}


def test_many_rows_name_a_part():
    names = [f"row {i}" for i in range(40)]
    display = DivergenceMapDisplay.from_distributions(dirichlet(40), row_names=names)
    assert display.ax_.get_yticks().tolist() == list(range(0, 40, 3))
    assert ticks(display.ax_.yaxis) == names[::3]


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
def test_surface_of_every_divergence(divergence):
    values = {"order": 2, "alpha": 0.5, "weight": 0.3}
    parameters = {name: values[name] for name in divergence.parameters}
    display = DivergenceMapDisplay.from_metric(divergence.name, n_points=30, **parameters)
    points = display.points
    assert_allclose(points, np.linspace(1 / 60, 59 / 60, 30))
    P = np.column_stack([1 - points, points])
    expected = pairwise_divergences(P, metric=divergence.name, **parameters)
    assert_allclose(display.divergences, expected)
    # The filled contours: p is x, q is y.
    levels = display.image_.levels
    assert (np.diff(levels) > 0).all()
    assert levels[0] <= expected.min()
    assert np.mean(expected > levels[-1]) <= 0.1
    assert set(display.lines_.levels) <= set(levels)
    written = {float(text) for text in texts(display)}
    assert written
    assert written <= {float(f"{level:g}") for level in display.lines_.levels}
    assert (display.diagonal_ is None) == (divergence.name == "cross_entropy")
    label = display.colorbar_.ax.get_ylabel()
    assert divergence.title.replace("Kullback-Leibler", "KL") in label
    assert ("in nats" in label) == divergence.has_unit
    for name in parameters:
        assert f"{name} {values[name]}" in label
    display.figure_.canvas.draw()


def test_contour_lines_are_where_the_divergence_has_their_value():
    display = DivergenceMapDisplay.from_metric("kl_divergence", base=2)
    for level, path in zip(display.lines_.levels, display.lines_.get_paths(), strict=True):
        p, q = path.vertices.T
        inside = np.minimum(q, 1 - q) > 0.05
        found = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)) / np.log(2)
        assert_allclose(found[inside], level, rtol=0.03, atol=0.003)


def test_surfaces_at_the_edge_of_parameters():
    display = DivergenceMapDisplay.from_metric("renyi_divergence", order=0, n_points=5)
    assert display.lines_ is None
    assert display.texts_ == []
    display.figure_.canvas.draw()
    display = DivergenceMapDisplay.from_metric("renyi_divergence", order=np.inf, n_points=20)
    p = np.column_stack([1 - display.points, display.points])
    assert_allclose(display.divergences[3], renyi_divergence(p[3], p, order=np.inf))
    assert "order ∞" in display.colorbar_.ax.get_ylabel()
    DivergenceMapDisplay.from_metric(n_points=2).figure_.canvas.draw()


def test_scale_of_the_cross_entropy_does_not_start_at_zero():
    P = np.array([[0.5, 0.5], [0.6, 0.4]])
    display = DivergenceMapDisplay.from_distributions(P, metric="cross_entropy")
    expected = cross_entropy(P[:, np.newaxis], P)
    assert_allclose(display.image_.get_clim(), (expected.min(), expected.max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row_names": ["a"]}, "row_names has 1 names"),
        ({"column_names": ["a"]}, "column_names has 1 names"),
        ({"metric": "cosine"}, "metric must be one of .* got 'cosine'"),
        ({"metric": "hellinger_distance", "base": 2}, "no unit"),
        ({"metric": "renyi_divergence"}, "needs"),
        ({"order": 2}, "takes"),
        ({"Q": [[0.5, 0.6]]}, r"Q\[0\] sums to 1.1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        DivergenceMapDisplay.from_distributions(COINS, **options)


@pytest.mark.parametrize("n_points", [1, 2.5, True, "many"])
def test_bad_n_points(n_points):
    with pytest.raises(ValueError, match="n_points must be"):
        DivergenceMapDisplay.from_metric(n_points=n_points)


@pytest.mark.parametrize("alpha", [0.5, 5.0, 10.0, 100.0])
def test_levels_of_steep_surfaces_are_few_and_labelled(alpha):
    display = DivergenceMapDisplay.from_metric("alpha_divergence", alpha=alpha, n_points=50)
    display.figure_.canvas.draw()
    levels = display.image_.levels
    assert 3 <= len(levels) <= 14
    ticks = [
        float(t.get_text().replace("−", "-")) for t in display.colorbar_.ax.get_yticklabels()
    ]
    assert set(ticks) <= set(levels.tolist())
    assert len(set(ticks)) == len(ticks) > 2


def test_columns_of_data_frames_are_matched():
    P = pd.DataFrame([[0.5, 0.3, 0.2]], columns=list("abc"))
    display = DivergenceMapDisplay.from_distributions(P, P[["c", "b", "a"]])
    assert display.divergences == 0.0
    with pytest.raises(ValueError, match="P and Q name different outcomes"):
        DivergenceMapDisplay.from_distributions(P, P.set_axis(list("abd"), axis=1))


def test_small_and_large_cells():
    rows = np.array([[0.5, 0.5], [0.50001, 0.49999], [1e-4, 1 - 1e-4]])
    display = DivergenceMapDisplay.from_distributions(rows, metric="chi2_divergence")
    cells = np.reshape([text.get_text() for text in display.texts_], (3, 3))
    assert cells[0, 1] == f"{display.divergences[0, 1]:.0e}"
    assert cells[0, 2] == f"{display.divergences[0, 2]:.0f}"
