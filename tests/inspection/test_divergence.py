"""DivergenceDisplay: what is drawn are the numbers."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import rel_entr

from sklkl.inspection import DivergenceDisplay
from tests._support.messages import matches
from tests._support.pictures import draw, legend, texts, ticks
from tests._support.problems import random_rows

COINS = [0.5, 0.5], [0.9, 0.1]
from_distributions = DivergenceDisplay.from_distributions


def heights(bars):
    return [bar.get_height() for bar in bars]


@pytest.mark.parametrize(
    ("base", "contributions", "total"),
    [
        (None, ["−0.294", "+0.805"], "0.511 nats"),
        (2, ["−0.424", "+1.161"], "0.737 bits"),
        (10, ["−0.128", "+0.349"], "0.222 bans"),
        (3, ["−0.268", "+0.732"], "0.465 units of log 3"),
    ],
)
def test_two_coins(base, contributions, total):
    display = from_distributions(
        *COINS, base=base, outcomes=["heads", "tails"], names=("fair", "biased")
    )
    assert heights(display.p_bars_) == COINS[0]
    assert heights(display.q_bars_) == COINS[1]
    of_probability, of_contribution = display.ax_
    assert texts(of_contribution) == contributions
    assert of_contribution.get_title() == f"D(fair‖biased) = {total}"
    assert of_contribution.get_ylabel() == f"contribution in {total.partition(' ')[2]}"
    assert ticks(of_contribution.xaxis) == ["heads", "tails"]
    assert legend(of_probability) == ["fair", "biased"]
    less, more = display.contribution_bars_
    assert less.get_facecolor() != more.get_facecolor()
    assert less.get_hatch() != more.get_hatch()


@pytest.mark.parametrize(("k", "n_outcomes"), [(3, 16), (16, 16), (40, 40)])
def test_all_outcomes(k, n_outcomes):
    p, q = random_rows(2, k)
    names = [f"w{j}" for j in range(k)]
    display = from_distributions(p, q, outcomes=names, n_outcomes=n_outcomes)
    assert_allclose(heights(display.contribution_bars_), p * np.log(p / q), rtol=1e-10)
    assert_allclose(display.divergence, rel_entr(p, q).sum(), rtol=1e-10)
    assert len(texts(display.ax_[1])) == k
    assert ticks(display.ax_[1].xaxis) == names
    assert display.drawn_.tolist() == list(range(k))


@pytest.mark.parametrize(("k", "n_outcomes"), [(17, 16), (40, 3), (40, 16)])
def test_many_outcomes_are_sorted_and_the_others_summed(k, n_outcomes):
    p, q = random_rows(2, k)
    names = [f"w{j}" for j in range(k)]
    display = from_distributions(p, q, outcomes=names, n_outcomes=n_outcomes)
    summands = p * np.log(p / q)
    largest = np.argsort(-abs(summands))[: n_outcomes - 1]
    largest = largest[np.argsort(-summands[largest])]
    assert display.drawn_.tolist() == largest.tolist()
    rest = np.setdiff1d(np.arange(k), largest)
    assert ticks(display.ax_[1].xaxis) == [
        *(names[j] for j in largest),
        f"{k - n_outcomes + 1}\nothers",
    ]
    for bars, values in (
        (display.p_bars_, p),
        (display.q_bars_, q),
        (display.contribution_bars_, summands),
    ):
        assert_allclose(heights(bars), [*values[largest], values[rest].sum()])
    assert_allclose(sum(heights(display.contribution_bars_)), display.divergence)
    assert len(texts(display.ax_[1])) == n_outcomes


@pytest.mark.parametrize(("k", "zeros"), [(3, 1), (40, 3), (40, 20)])
def test_infinite_bars_are_the_longest_and_say_so(k, zeros):
    """All that there is room for, with their names, and the others say so, too."""
    p, q = np.full(k, 1 / k), np.full(k, 1 / (k - zeros))
    q[k - zeros :] = 0.0
    display = draw(from_distributions(p, q, outcomes=[f"w{j}" for j in range(k)]))
    drawn = np.array(heights(display.contribution_bars_))
    infinite = np.array(texts(display.ax_[1])) == "+∞"
    assert infinite.sum() == min(zeros, 16)
    assert np.isfinite(drawn).all()
    assert drawn[infinite].min() > abs(drawn[~infinite]).max(initial=0.0)
    shown = set(np.array(ticks(display.ax_[1].xaxis))[infinite]) - {"25\nothers"}
    assert shown <= {f"w{j}" for j in range(k - zeros, k)}
    assert "= ∞ nats" in display.ax_[1].get_title()


def test_equal_and_disjoint_distributions():
    display = draw(from_distributions([0.5, 0.5, 0], [0.5, 0.5, 0]))
    assert heights(display.contribution_bars_) == [0, 0, 0]
    assert texts(display.ax_[1]) == ["0", "0", "0"]
    display = draw(from_distributions([1, 0], [0, 1]))
    assert heights(display.contribution_bars_) == [1, 0]


def test_small_numbers_are_not_shown_as_0():
    display = from_distributions([0.2, 0.3, 0.5], [0.201, 0.299, 0.5])
    assert display.ax_[1].get_title() == "D(P‖Q) = 4.2e−06 nats"


def test_series_name_the_outcomes_and_are_matched_by_them():
    p = pd.Series([0.2, 0.8], index=["a", "b"])
    for pair in ((p, [0.5, 0.5]), ([0.5, 0.5], p)):
        assert ticks(from_distributions(*pair).ax_[1].xaxis) == ["a", "b"]
    display = from_distributions(p, p[::-1])
    assert display.divergence == 0.0
    assert heights(display.q_bars_) == heights(display.p_bars_) == [0.2, 0.8]


@pytest.mark.parametrize(
    ("arguments", "options", "parts"),
    [
        (([[0.5, 0.5]] * 2, [0.5, 0.5]), {}, ["one distribution each"]),
        (([0.5, 0.6], [0.5, 0.5]), {}, ["p sums to 1.1"]),
        (COINS, {"outcomes": ["a"]}, ["outcomes has 1 names"]),
        (COINS, {"names": ("P",)}, ["names must be a pair"]),
        (COINS, {"base": 1}, ["base must be"]),
        (COINS, {"n_outcomes": 1}, ["n_outcomes must be an integer >= 2"]),
    ],
)
def test_bad_arguments(arguments, options, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        from_distributions(*arguments, **options)
