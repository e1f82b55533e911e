"""The picture of what a distillation has tried."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklkl.distillation import DistilledClassifier
from sklkl.inspection import TuningDisplay
from tests._support.messages import matches
from tests._support.pictures import draw, ticks
from tests._support.problems import make_problem

PROBLEM = make_problem(n_samples=60)
GRID = {"temperature": [5, 1, 2], "student__C": [1.0, 0.1], "calibrate": [False, True]}


def test_least_loss_of_each_value():
    model = DistilledClassifier(GaussianNB(), tune=GRID).fit(PROBLEM.X, PROBLEM.hard)
    display = draw(TuningDisplay.from_estimator(model))
    results = model.tuning_results_
    for (name, value), loss in zip(display.values_, display.losses_, strict=True):
        of_value = [params[name] == value for params in results["params"]]
        assert loss == results["mean_loss"][of_value].min()
    heights = [container[0].get_ydata() for container in display.containers_]
    assert_array_equal(np.concatenate(heights), display.losses_)
    labels = ["temperature 1", "temperature 2", "temperature 5", "C 0.1", "C 1"]
    assert ticks(display.ax_.xaxis) == [*labels, "calibrate no", "calibrate yes"]
    filled = [
        int(line.get_xdata()[0]) for line in display.ax_.lines if len(line.get_xdata()) == 1
    ]
    assert [display.values_[i] for i in filled] == list(model.best_params_.items())
    assert display.least_.get_ydata()[0] == results["mean_loss"][0]


@pytest.mark.parametrize("n", [60, 300])
def test_labels_of_many_values_do_not_overlap(n):
    """Those of the chosen ones are there, even if there is no room for all."""
    losses = np.roll(np.linspace(0.3, 0.5, n), n // 3 + 1)
    params = [{"student__C": i, "temperature": i % 2} for i in range(n)]
    display = draw(TuningDisplay(params, losses, np.full(n, 0.01)).plot())
    labels = display.ax_.get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    assert min(box.y0 for box in boxes) >= 0
    written = ticks(display.ax_.xaxis)
    best = params[int(losses.argmin())]
    assert {f"C {best['student__C']}", f"temperature {best['temperature']}"} <= set(written)
    assert len(written) == n + 2 if n == 60 else 30 < len(written) < n


def test_values_of_all_kinds():
    """Each has a point of its own, and a name, also where two print the same."""
    few, more = (
        make_pipeline(FunctionTransformer(kw_args={"v": list(range(n))})) for n in (31, 32)
    )
    assert repr(few) == repr(more)
    values = [few, "gini", np.int64(3), more, None, np.True_, 0.5, np.int64(3)]
    display = draw(TuningDisplay([{"a": v} for v in values], np.arange(8), np.zeros(8)).plot())
    assert display.losses_.tolist() == [4, 6, 5, 2, 0, 1, 3]
    names = ["none", "0.5", "yes", "3", "Pipeline", "gini", "Pipeline"]
    assert ticks(display.ax_.xaxis) == [f"a {name}" for name in names]
    display = draw(TuningDisplay([{"cross_fit": None}], [0.0], [0.0]).plot())
    assert ticks(display.ax_.xaxis) == ["cross fit no"]


def test_refusals():
    model = DistilledClassifier(GaussianNB()).fit(PROBLEM.X, PROBLEM.hard)
    with pytest.raises(ValueError, match="fitted without tune"):
        TuningDisplay.from_estimator(model)
    with pytest.raises(ValueError, match=matches("an entry for each", "got 1, 2 and 1")):
        TuningDisplay([{"temperature": 1.0}], [0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="mean_loss holds NaN in row 1"):
        TuningDisplay([{"temperature": t} for t in (1, 2)], [0.1, np.nan], [0.1, 0.1])
