"""The picture of how often a student agrees with its teacher."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator

from sklkl.distillation import DeferringClassifier, PooledClassifier
from sklkl.inspection import DeferralDisplay
from tests._support.messages import matches
from tests._support.models import Table
from tests._support.pictures import draw


def fitted(n_samples, share):
    """Return a classifier whose student is right more often the more confident it is."""
    confidence = np.linspace(0.5, 1.0, n_samples)
    y = (np.random.default_rng(0).random(n_samples) < share + (1 - share) * confidence).astype(
        int
    )
    student = FrozenEstimator(Table(np.column_stack([1 - confidence, confidence])))
    model = DeferringClassifier(student, reference="y", agreement=0.9)
    return model.fit(np.arange(n_samples)[:, np.newaxis], y)


def test_curve_and_chosen_point():
    model = fitted(2000, 0.4)
    display = draw(DeferralDisplay.from_estimator(model))
    curve = model.curve_
    coverage = curve["n_answered"] / curve["n_answered"][-1]
    assert 0.2 < model.coverage_ < 0.9
    assert_allclose(display.line_.get_xdata(), coverage)
    assert_allclose(display.line_.get_ydata(), curve["n_agreed"] / curve["n_answered"])
    outline = display.bound_.get_paths()[0].vertices
    assert np.isclose(outline[:, 1], curve["lower_bound"].min()).any()
    assert display.agreement_.get_ydata()[0] == 0.9
    assert display.chosen_.get_xdata() == [model.coverage_]
    assert display.ax_.get_title() == f"the student answers {model.coverage_:.0%}"


def test_nothing_chosen():
    with pytest.warns(UserWarning, match="Nothing is certified"):
        model = fitted(20, 0.4)
    display = draw(DeferralDisplay.from_estimator(model))
    assert display.chosen_ is None
    # Of no rows there is no share.
    display = draw(DeferralDisplay([0, 9], [0, 8], [0.0, 0.6]).plot())
    assert_allclose(display.line_.get_ydata(), [8 / 9])
    assert display.agreement_ is None


def test_refusals():
    with pytest.raises(ValueError, match=matches("an entry for each", "got 1, 2 and 1")):
        DeferralDisplay([1], [1, 2], [0.5])
    pool = PooledClassifier([FrozenEstimator(Table(np.eye(2)))]).fit(None)
    with pytest.raises(TypeError, match="This PooledClassifier has no curve_"):
        DeferralDisplay.from_estimator(pool)
