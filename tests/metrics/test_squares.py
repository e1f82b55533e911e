"""Brier's squared error and the ranked probability score as losses, scores and scorers."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from sklkl import TopK
from sklkl.batches import Batches
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import (
    d2_score,
    divergence_loss,
    get_scorer,
    loss_interval,
    make_fidelity_scorer,
)
from tests._support.problems import random_rows

RNG = np.random.default_rng(0)
Y = RNG.integers(4, size=60)
SOFT, PROBA = random_rows(60, 4, 1), random_rows(60, 4, 2)
WEIGHT = RNG.uniform(size=60)
SQUARES = ["squared_error", "ranked_probability"]


def by_hand(divergence, y, proba, weight=None):
    d = (np.eye(4)[y] if np.ndim(y) == 1 else y) - proba
    if divergence == "ranked_probability":
        d = np.cumsum(d, axis=1)[:, :-1]
    return np.average(np.sum(d**2, axis=1), weights=weight)


@pytest.mark.parametrize("divergence", SQUARES)
@pytest.mark.parametrize("y", [Y, SOFT], ids=["hard", "soft"])
def test_losses_and_scores(divergence, y):
    loss = divergence_loss(y, PROBA, divergence=divergence)
    assert_allclose(loss, by_hand(divergence, y, PROBA), rtol=1e-13)
    assert loss_interval(y, PROBA, divergence=divergence).estimate == loss
    options = {"divergence": divergence, "sample_weight": WEIGHT}
    loss = divergence_loss(y, PROBA, **options)
    assert_allclose(loss, by_hand(divergence, y, PROBA, WEIGHT), rtol=1e-12)
    target = np.eye(4)[y] if y.ndim == 1 else y
    prior = np.broadcast_to(np.average(target, axis=0, weights=WEIGHT), (60, 4))
    wanted = 1 - loss / by_hand(divergence, y, prior, WEIGHT)
    assert_allclose(d2_score(y, PROBA, **options), wanted, rtol=1e-12)
    assert d2_score(y, target, divergence=divergence) == 1.0
    assert_allclose(d2_score(y, prior, **options), 0, atol=1e-12)


def test_scikit_learns_brier_score():
    brier = sklearn.metrics.brier_score_loss
    y, p = (Y > 1).astype(int), PROBA[:, 0]
    ours = divergence_loss(y, p, divergence="squared_error", sample_weight=WEIGHT)
    assert_allclose(ours, 2 * brier(y, p, sample_weight=WEIGHT), rtol=1e-12)
    if hasattr(sklearn.metrics, "d2_brier_score"):  # which is as new as several classes
        ours = divergence_loss(Y, PROBA, divergence="squared_error")
        assert_allclose(ours, brier(Y, PROBA), rtol=1e-12)
        ours = d2_score(Y, PROBA, divergence="squared_error")
        assert_allclose(ours, sklearn.metrics.d2_brier_score(Y, PROBA), rtol=1e-12)


@pytest.mark.parametrize("divergence", SQUARES)
def test_scorers_and_classes_that_the_model_never_saw(divergence):
    X = RNG.normal(size=(60, 2))
    model = LogisticRegression().fit(X[Y != 1], Y[Y != 1])
    proba = np.zeros((60, 4))
    proba[:, [0, 2, 3]] = model.predict_proba(X)
    score = get_scorer(divergence)(model, X, Y)
    assert_allclose(-score, by_hand(divergence, Y, proba), rtol=1e-12)


def test_the_order_of_words_is_not_guessed():
    words = np.array(["low", "mid", "high", "top"])[Y]
    X, options = np.zeros((60, 1)), {"divergence": "ranked_probability"}
    model = DummyClassifier(strategy="prior").fit(X, words)
    for refused in (
        lambda: divergence_loss(words, PROBA, **options),
        lambda: loss_interval(words, PROBA, **options),
        lambda: d2_score(pd.Series(words, dtype="category"), PROBA, **options),
        lambda: get_scorer("ranked_probability")(model, X, words),
    ):
        with pytest.raises(ValueError, match="depends on the order of the classes"):
            refused()
    frame = pd.DataFrame(SOFT, columns=["low", "mid", "high", "top"])
    wanted = by_hand("ranked_probability", SOFT, PROBA)
    assert_allclose(divergence_loss(frame, PROBA, **options), wanted, rtol=1e-12)
    student = SoftLabelLogisticRegression(C=1e-9).fit(X, frame)
    wanted = by_hand("ranked_probability", SOFT, student.predict_proba(X))
    assert_allclose(-get_scorer("ranked_probability")(student, X, frame), wanted, rtol=1e-12)


@pytest.mark.parametrize("names", [["low", "mid", "high", "top"], [2, 0, 3, 1]])
def test_scorers_take_the_order_of_the_target(names):
    X = RNG.normal(size=(60, 2))
    options = {"divergence": "ranked_probability"}
    score = get_scorer("ranked_probability")
    frame = pd.DataFrame(SOFT, columns=names)
    model = LogisticRegression().fit(X, np.array(names)[Y])  # whose classes are sorted
    student = SoftLabelLogisticRegression().fit(X, frame)  # whose classes are in order
    listed = np.tile(np.arange(4), (60, 1))
    top = TopK(listed, SOFT, 4, classes=names)
    for fitted in (model, student):
        proba = pd.DataFrame(fitted.predict_proba(X), columns=fitted.classes_)
        wanted = by_hand("ranked_probability", SOFT, proba[names].to_numpy())
        for y in (frame, top):
            assert_allclose(divergence_loss(y, proba, **options), wanted, rtol=1e-12)
            assert_allclose(-score(fitted, X, y), wanted, rtol=1e-12)
        assert_allclose(
            -score(fitted, Batches(lambda: iter([(X, frame)]))), wanted, rtol=1e-12
        )
        rows = [f"r{i}" for i in range(60)]
        samples, said = pd.DataFrame(X, index=rows), frame.set_axis(rows)
        model_of_arrays = make_fidelity_scorer(said, **options)
        assert_allclose(-model_of_arrays(fitted, samples), wanted, rtol=1e-12)
    # The columns of arrays are the classes of the model.
    proba = student.predict_proba(X)
    wanted = divergence_loss(SOFT, proba, **options)
    for y in (SOFT, csr_array(SOFT)):
        assert_allclose(-score(student, X, y), wanted, rtol=1e-12)
    other = pd.DataFrame(model.predict_proba(X), columns=model.classes_)[names]
    taught = divergence_loss(proba, other.to_numpy(), **options)
    assert_allclose(-make_fidelity_scorer(student, **options)(model, X), taught, rtol=1e-12)
    if isinstance(names[0], str):
        for refused in (
            lambda: score(model, X, SOFT),
            lambda: score(model, X, csr_array(SOFT)),
            lambda: make_fidelity_scorer(model, **options)(student, X),
        ):
            with pytest.raises(ValueError, match="sorted as in a dictionary"):
                refused()
        few = LogisticRegression().fit(X[Y != 1], np.array(names)[Y][Y != 1])
        with pytest.raises(ValueError, match="has no place for"):
            make_fidelity_scorer(few, **options)(student, X)


def test_other_divergences_have_no_share():
    with pytest.raises(ValueError, match="divergence must be one of"):
        d2_score(Y, PROBA, divergence="jensen_shannon")
