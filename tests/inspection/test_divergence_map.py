"""DivergenceMapDisplay: heat maps and surfaces show the divergences."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from scipy.special import rel_entr

from sklkl.divergences import pairwise_divergences
from sklkl.divergences._registry import DIVERGENCES
from sklkl.inspection import DivergenceMapDisplay
from tests._support.pictures import draw, ticks
from tests._support.problems import random_rows

COINS = [[0.5, 0.5], [0.9, 0.1]]
from_distributions = DivergenceMapDisplay.from_distributions
from_divergence = DivergenceMapDisplay.from_divergence


def texts(display):
    return [text.get_text() for text in display.texts_]


def label(display):
    return display.colorbar_.ax.get_ylabel()


# Heat maps


def test_two_coins():
    display = from_distributions(COINS, base=2)
    assert texts(display) == ["0.000", "0.737", "0.531", "0.000"]
    assert_allclose(display.image_.get_array()[0, 1], 0.737, atol=5e-4)
    assert label(display) == "KL divergence in bits"
    assert (display.ax_.get_ylabel(), display.ax_.get_xlabel()) == ("P", "Q")


@pytest.mark.parametrize(("n", "m"), [(3, 12), (13, 2), (40, 20), (6, 6)])
def test_cells_are_divergences(n, m):
    P, Q = random_rows(n, 4), random_rows(m, 4, seed=1)
    display = draw(from_distributions(P, Q))
    expected = rel_entr(P[:, np.newaxis], Q).sum(axis=-1)
    assert_allclose(display.image_.get_array(), expected, rtol=1e-10)
    annotated = max(n, m) <= 12
    top = expected.max() if annotated else np.quantile(expected, 0.97)
    assert_allclose(display.image_.get_clim(), (0, top))
    assert display.colorbar_.extend == ("neither" if annotated else "max")
    assert len(display.texts_) == (n * m if max(n, m) <= 12 else 0)
    cell = display.ax_.get_window_extent().width / m
    for text in display.texts_:
        x, y = text.get_position()
        decimals = 3 if max(n, m) <= 6 else 2
        assert text.get_text() == f"{expected[y, x]:.{decimals}f}"
        assert text.get_window_extent().width < cell
        color = display.image_.cmap(display.image_.norm(expected[y, x]))[:3]
        contrast = np.dot([0.299, 0.587, 0.114], np.subtract(to_rgb(text.get_color()), color))
        assert abs(contrast) > 0.45


def test_diagonal_does_not_take_the_scale_of_many_rows():
    """If all others are alike, colours are for their differences, arrows for the rest."""
    rng = np.random.default_rng(0)
    P = 0.8 * np.eye(40) + rng.uniform(0.004, 0.006, (40, 40))
    display = from_distributions(P / P.sum(axis=1, keepdims=True))
    others = display.divergences[~np.eye(40, dtype=bool)]
    low, high = display.image_.get_clim()
    assert low == others.min() > others.max() / 2
    assert high == np.quantile(others, 0.97)
    assert display.colorbar_.extend == "both"
    # Not of rows that differ by rounding alone, nor of few, whose numbers are in the cells.
    even = 0.8 * np.eye(40) + 0.005
    for P in (even, even[:12, :12] + np.eye(12)):
        display = from_distributions(P / P.sum(axis=1, keepdims=True))
        assert display.image_.get_clim()[0] == 0
        assert display.colorbar_.extend == "neither"


def test_small_and_large_cells():
    rows = np.array([[0.5, 0.5], [0.50001, 0.49999], [1e-4, 1 - 1e-4]])
    display = from_distributions(rows, divergence="chi2")
    cells = np.reshape(texts(display), (3, 3))
    assert cells[0, 1] == f"{display.divergences[0, 1]:.0e}"
    assert cells[0, 2] == f"{display.divergences[0, 2]:.0f}"


def test_infinite_cells_are_hatched_and_no_part_of_the_scale():
    display = draw(from_distributions([[0.5, 0.5], [1, 0]]))
    assert texts(display) == ["0.000", "∞", "0.693", "0.000"]
    assert display.image_.get_array().mask.tolist() == [[False, True], [False, False]]
    assert_allclose(display.image_.get_clim(), (0, np.log(2)))
    assert display.ax_.patch.get_hatch()


@pytest.mark.parametrize(
    ("P", "Q", "divergence", "expected"),
    [
        ([[1.0, 0.0]], [[0.0, 1.0]], "kl_divergence", (0, 1)),  # infinite
        ([[0.5, 0.5]], None, "kl_divergence", (0, 1)),
        ([[0.5, 0.5], [0.9, 0.1]], None, "kl_divergence", (0, 0.511)),
        ([[0.5, 0.5], [0.9, 0.1]], None, "cross_entropy", (0.325, 1.204)),
    ],
)
def test_scale_of_colours(P, Q, divergence, expected):
    display = draw(from_distributions(P, Q, divergence=divergence))
    assert_allclose(display.image_.get_clim(), expected, atol=5e-4)


def test_names():
    P = pd.DataFrame(COINS, index=["fair", "biased"])
    for arguments, options, rows, columns in (
        ([P], {}, ["fair", "biased"], ["fair", "biased"]),
        ([P, COINS], {}, ["fair", "biased"], ["0", "1"]),
        ([COINS, P], {}, ["0", "1"], ["fair", "biased"]),
        ([P], {"row_names": ["a", "b"], "column_names": [3, 4]}, ["a", "b"], ["3", "4"]),
    ):
        ax = from_distributions(*arguments, **options).ax_
        assert (ticks(ax.yaxis), ticks(ax.xaxis)) == (rows, columns)
        assert {t.get_rotation() for t in ax.get_xticklabels()} == {0}
    names = [f"row {i}" for i in range(50)]
    display = draw(from_distributions(random_rows(50, 4), row_names=names))
    assert ticks(display.ax_.yaxis) == names
    boxes = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
    assert 16 < len(boxes) < 50
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    assert {t.get_rotation() for t in display.ax_.get_xticklabels()} == {90}


def test_columns_of_data_frames_are_matched():
    P = pd.DataFrame([[0.5, 0.3, 0.2]], columns=list("abc"))
    assert from_distributions(P, P[["c", "b", "a"]]).divergences == 0.0


# Surfaces


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
def test_surface_of_every_divergence(divergence):
    values = {"order": 2, "alpha": 0.5, "weight": 0.3}
    parameters = {name: values[name] for name in divergence.parameters}
    display = from_divergence(divergence.name, divergence_params=parameters, n_points=12)
    points = display.points
    assert_allclose(points, np.linspace(1 / 24, 23 / 24, 12))
    P = np.column_stack([1 - points, points])
    expected = pairwise_divergences(
        P, divergence=divergence.name, divergence_params=parameters
    )
    assert_allclose(display.divergences, expected)
    levels = display.image_.levels
    assert (np.diff(levels) > 0).all()
    assert levels[0] <= expected.min()
    assert np.mean(expected > levels[-1]) <= 0.1
    assert set(display.lines_.levels) <= set(levels)
    written = {float(text) for text in texts(display)}
    assert written <= {float(f"{level:g}") for level in display.lines_.levels}
    assert (display.diagonal_ is None) == (divergence.name == "cross_entropy")
    assert divergence.title.replace("Kullback-Leibler", "KL") in label(display)
    assert ("in nats" in label(display)) == divergence.has_unit
    for name in parameters:
        assert f"{name} {values[name]}" in label(display)


def test_contour_lines_are_where_the_divergence_has_their_value():
    display = from_divergence(base=2)
    assert texts(display)
    for level, path in zip(display.lines_.levels, display.lines_.get_paths(), strict=True):
        p, q = path.vertices.T
        inside = np.minimum(q, 1 - q) > 0.05
        found = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)) / np.log(2)
        assert_allclose(found[inside], level, rtol=0.03, atol=0.003)


def test_surfaces_at_the_edge_of_parameters():
    display = draw(from_divergence("renyi", divergence_params={"order": 0}, n_points=2))
    assert display.lines_ is None
    assert display.texts_ == []
    assert "order ∞" in label(
        from_divergence("renyi", divergence_params={"order": np.inf}, n_points=9)
    )


@pytest.mark.parametrize("alpha", [0.5, 10.0, 100.0])
def test_levels_of_steep_surfaces_are_few_and_labelled(alpha):
    display = draw(from_divergence("alpha", divergence_params={"alpha": alpha}, n_points=50))
    levels = display.image_.levels
    assert 3 <= len(levels) <= 14
    marked = [float(t.replace("−", "-")) for t in ticks(display.colorbar_.ax.yaxis)]
    assert set(marked) <= set(levels.tolist())
    assert len(set(marked)) == len(marked) > 2


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (from_distributions, {"row_names": ["a"]}, "row_names has 1 names"),
        (from_distributions, {"column_names": ["a"]}, "column_names has 1 names"),
        (from_distributions, {"Q": [[0.5, 0.6]]}, r"Q\[0\] sums to 1.1"),
        (
            from_divergence,
            {"divergence": "cosine"},
            "divergence must be one of .* got 'cosine'",
        ),
        (from_divergence, {"n_points": 1}, "n_points must be"),
        (from_divergence, {"n_points": 2.5}, "n_points must be"),
    ],
)
def test_bad_arguments(call, options, message):
    given = {"P": COINS} if call is from_distributions else {}
    with pytest.raises(ValueError, match=message):
        call(**given, **options)
