"""Tests of DivergenceDisplay: what is drawn are the numbers."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import rel_entr

from sklkl.inspection import DivergenceDisplay

COINS = [0.5, 0.5], [0.9, 0.1]


def heights(bars):
    return [bar.get_height() for bar in bars]


def labels(ax):
    return [text.get_text() for text in ax.texts]


def test_two_coins():
    display = DivergenceDisplay.from_distributions(
        *COINS, base=2, outcomes=["heads", "tails"], names=("fair", "biased")
    )
    assert heights(display.p_bars_) == COINS[0]
    assert heights(display.q_bars_) == COINS[1]
    assert_allclose(heights(display.contribution_bars_), [-0.424, 1.161], atol=5e-4)
    assert labels(display.ax_[1]) == ["−0.424", "+1.161"]
    assert display.ax_[1].get_title() == "D(fair‖biased) = 0.737 bits"
    assert display.ax_[1].get_ylabel() == "contribution in bits"
    ticks = [t.get_text() for t in display.ax_[1].get_xticklabels()]
    assert ticks == ["heads", "tails"]
    legend = [t.get_text() for t in display.ax_[0].get_legend().get_texts()]
    assert legend == ["fair", "biased"]


@pytest.mark.parametrize("k", [2, 3, 16, 17, 50])
def test_contributions_of_random_distributions(k):
    p, q = np.random.default_rng(k).dirichlet(np.ones(k), size=2)
    display = DivergenceDisplay.from_distributions(p, q)
    assert_allclose(heights(display.contribution_bars_), p * np.log(p / q), rtol=1e-10)
    assert_allclose(display.divergence, rel_entr(p, q).sum(), rtol=1e-10)
    assert len(labels(display.ax_[1])) == (k if k <= 16 else 0)


def test_bars_of_both_signs_differ_in_color_and_hatch():
    bars = DivergenceDisplay.from_distributions(*COINS).contribution_bars_
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    assert bars[0].get_hatch() != bars[1].get_hatch()


def test_infinite_and_zero_contributions():
    display = DivergenceDisplay.from_distributions([0.5, 0.5, 0], [1, 0, 0])
    assert labels(display.ax_[1]) == ["−0.347", "+∞", "0"]
    drawn = heights(display.contribution_bars_)
    assert np.isfinite(drawn).all()
    assert drawn[1] == max(drawn)
    assert "= ∞ nats" in display.ax_[1].get_title()
    display.figure_.canvas.draw()


def test_equal_and_disjoint_distributions():
    display = DivergenceDisplay.from_distributions([0.5, 0.5], [0.5, 0.5])
    assert heights(display.contribution_bars_) == [0, 0]
    display.figure_.canvas.draw()
    display = DivergenceDisplay.from_distributions([1, 0], [0, 1])
    assert heights(display.contribution_bars_) == [1, 0]
    display.figure_.canvas.draw()


@pytest.mark.parametrize("k", [3, 20])
def test_infinite_bars_are_the_longest_and_say_so(k):
    p, q = np.full(k, 1 / k), np.full(k, 1 / (k - 1))
    q[0] = 0.0
    display = DivergenceDisplay.from_distributions(p, q)
    drawn = heights(display.contribution_bars_)
    assert drawn[0] > max(np.abs(drawn[1:]))
    assert labels(display.ax_[1])[0] == "+∞"


def test_names_of_many_outcomes():
    p, q = np.random.default_rng(0).dirichlet(np.ones(20), size=2)
    names = [f"w{j}" for j in range(20)]
    display = DivergenceDisplay.from_distributions(p, q, outcomes=names)
    ticks = display.ax_[1].get_xticklabels()
    assert [t.get_text() for t in ticks] == names[::2]
    assert [t.get_position()[0] for t in ticks] == list(range(0, 20, 2))


def test_small_numbers_are_not_shown_as_0():
    display = DivergenceDisplay.from_distributions([0.2, 0.3, 0.5], [0.201, 0.299, 0.5])
    assert display.ax_[1].get_title() == "D(P‖Q) = 4.2e−06 nats"


def test_series_name_the_outcomes():
    p = pd.Series([0.2, 0.8], index=["a", "b"])
    display = DivergenceDisplay.from_distributions(p, [0.5, 0.5])
    assert [t.get_text() for t in display.ax_[1].get_xticklabels()] == ["a", "b"]
    display = DivergenceDisplay.from_distributions([0.5, 0.5], p)
    assert [t.get_text() for t in display.ax_[1].get_xticklabels()] == ["a", "b"]


def test_series_are_matched_by_their_labels():
    p = pd.Series([0.2, 0.8], index=["a", "b"])
    display = DivergenceDisplay.from_distributions(p, p[::-1])
    assert display.divergence == 0.0
    assert heights(display.q_bars_) == heights(display.p_bars_) == [0.2, 0.8]
    with pytest.raises(ValueError, match=r"only p has \['a'\], only q has \['c'\]"):
        DivergenceDisplay.from_distributions(p, p.set_axis(["b", "c"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5, 0.5]] * 2, [0.5, 0.5]), "one distribution each"),
        (([0.5, 0.6], [0.5, 0.5]), "p sums to 1.1"),
        (([0.5, 0.5], [0.2, 0.3, 0.5]), "number of outcomes"),
    ],
)
def test_bad_distributions(arguments, message):
    with pytest.raises(ValueError, match=message):
        DivergenceDisplay.from_distributions(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcomes": ["a"]}, "outcomes has 1 names"),
        ({"names": ("P",)}, "names must be a pair"),
        ({"base": 1}, "base must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DivergenceDisplay.from_distributions(*COINS, **options)
