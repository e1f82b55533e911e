"""Brier's squared error and the ranked probability score as losses, scores and scorers."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

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


RANKED = {"divergence": "ranked_probability"}
GRADES = ["low", "mid", "high", "top"]


def test_the_order_of_words_is_not_guessed():
    words = np.array(GRADES)[Y]
    X, options = np.zeros((60, 1)), RANKED
    model = DummyClassifier(strategy="prior").fit(X, words)
    named = pd.DataFrame(PROBA, columns=GRADES)
    dummies, listed = pd.get_dummies(words), np.tile(np.arange(4), (60, 1))
    rows = pd.DataFrame(X, index=[f"r{i}" for i in range(60)])
    for refused in (
        lambda: divergence_loss(words, PROBA, **options),
        lambda: loss_interval(words, PROBA, **options),
        lambda: d2_score(pd.Series(words, dtype="category"), PROBA, **options),
        lambda: get_scorer("ranked_probability")(model, X, words),
        # The columns are sorted where nobody has named them.
        lambda: divergence_loss(dummies, named, **options),
        lambda: loss_interval(dummies, named, **options),
        lambda: d2_score(dummies, PROBA, **options),
        lambda: divergence_loss(SOFT, named[sorted(GRADES)], **options),
        lambda: divergence_loss(TopK(listed, SOFT, classes=sorted(GRADES)), PROBA, **options),
        lambda: get_scorer("ranked_probability")(model, X, dummies),
        lambda: make_fidelity_scorer(dummies.set_index(rows.index), **options)(model, rows),
        lambda: divergence_loss(dummies[GRADES], named, labels=sorted(GRADES), **options),
        lambda: divergence_loss(words, PROBA, labels=GRADES, **options),  # without a warning
    ):
        with pytest.raises(ValueError, match="sorted as in a dictionary"):
            refused()
    with pytest.raises(ValueError, match="Pass y_true as an ordered categorical"):
        divergence_loss(SOFT, named[sorted(GRADES)], **options)
    with pytest.raises(ValueError, match="Pass a data frame of the teacher's probabilities"):
        make_fidelity_scorer(dummies.set_index(rows.index), **options)(model, rows)
    frame = pd.DataFrame(SOFT, columns=["low", "mid", "high", "top"])
    wanted = by_hand("ranked_probability", SOFT, PROBA)
    assert_allclose(divergence_loss(frame, PROBA, **options), wanted, rtol=1e-12)
    student = SoftLabelLogisticRegression(C=1e-9).fit(X, frame)
    wanted = by_hand("ranked_probability", SOFT, student.predict_proba(X))
    assert_allclose(-get_scorer("ranked_probability")(student, X, frame), wanted, rtol=1e-12)


def test_the_order_of_categories():
    """Also of one that no sample has, and against columns and models in another order."""
    y = np.where(Y == 1, 2, Y)
    wanted = by_hand("ranked_probability", y, PROBA)
    named, X = pd.DataFrame(PROBA, columns=GRADES), RNG.normal(size=(60, 2))
    for names in (GRADES, [2, 0, 3, 1]):
        labels = pd.Categorical(np.array(names)[y], names, ordered=True)
        proba = named.set_axis(names, axis=1)[sorted(names)]
        columns = pd.get_dummies(labels)[sorted(names)]  # which are an ordered categorical
        for given in (labels, pd.Series(labels), columns):
            assert_allclose(divergence_loss(given, proba, **RANKED), wanted, rtol=1e-12)
            interval = loss_interval(given, proba, proba, **RANKED)
            assert interval.estimate == 0
            prior = np.tile(np.bincount(y, minlength=4) / 60, (60, 1))
            share = 1 - wanted / by_hand("ranked_probability", y, prior)
            assert_allclose(d2_score(given, proba, **RANKED), share, rtol=1e-12)
        # Columns are the classes, whatever the categories.
        three, soft = random_rows(60, 3, 3), random_rows(60, 3, 4)
        index = columns.columns[[0, 1, 3]]
        in_order = [index.get_loc(c) for c in names if c in index]
        score = by_hand("ranked_probability", three[:, in_order], soft[:, in_order])
        given = pd.DataFrame(three, columns=index)
        found = divergence_loss(
            given, pd.DataFrame(soft, columns=index.astype(object)), **RANKED
        )
        assert_allclose(found, score, rtol=1e-12)
        for without_names in (PROBA, TopK(np.tile(range(4), (60, 1)), PROBA, 4)):
            with pytest.raises(ValueError, match="The columns of y_proba have no names"):
                divergence_loss(labels, without_names, **RANKED)
        assert_allclose(divergence_loss(pd.get_dummies(labels), PROBA, **RANKED), wanted)
        with pytest.raises(ValueError, match="The columns of y_proba have no names"):
            divergence_loss(columns, PROBA, **RANKED)
        with pytest.raises(ValueError, match="not the categories of y_true"):
            divergence_loss(labels, proba, labels=[*names[:3], names[3] * 9], **RANKED)
        model = LogisticRegression().fit(X, np.array(names)[Y])  # which knows all
        predicted = pd.DataFrame(model.predict_proba(X), columns=model.classes_)
        score = by_hand("ranked_probability", y, predicted[names].to_numpy())
        scorer = get_scorer("ranked_probability")
        for given in (labels, pd.Series(labels), columns):
            assert_allclose(-scorer(model, X, given), score, rtol=1e-12)
        few = LogisticRegression().fit(X, np.array(names)[y])  # nobody has seen the second
        predicted = pd.DataFrame(few.predict_proba(X), columns=few.classes_)
        spread = predicted.reindex(columns=names, fill_value=0.0).to_numpy()
        score = by_hand("ranked_probability", y, spread)
        assert_allclose(-scorer(few, X, labels), score, rtol=1e-12)
        search = cross_val_score(model, X, pd.Series(labels), scoring=scorer, cv=3)
        assert np.isfinite(search).all()
        rows = pd.RangeIndex(1, 61)
        teacher = columns.set_index(rows).astype(float)
        fidelity = make_fidelity_scorer(teacher, **RANKED)
        assert_allclose(-fidelity(few, pd.DataFrame(X, rows)), score, rtol=1e-12)
        with pytest.raises(ValueError, match="has no place for"):
            scorer(model, X, labels.remove_unused_categories())
    # Sorted, on purpose, and of two classes, columns are where they are without names.
    graded = pd.Categorical(np.array(list("ABCD"))[Y], ordered=True)
    wanted = by_hand("ranked_probability", Y, PROBA)
    assert_allclose(divergence_loss(graded, PROBA, **RANKED), wanted, rtol=1e-12)
    assert_allclose(divergence_loss(pd.get_dummies(graded), PROBA, **RANKED), wanted)
    two = pd.Categorical(np.array(["yes", "no"])[y // 2], ["yes", "no"], ordered=True)
    p = PROBA[:, 0]
    wanted = np.mean(((y // 2 == 0) - p) ** 2)
    assert_allclose(divergence_loss(two, p, **RANKED), wanted, rtol=1e-12)


def test_the_order_of_an_enum_of_polars():
    polars = pytest.importorskip("polars")
    labels = polars.Series(np.array(GRADES)[Y], dtype=polars.Enum(GRADES))
    proba = polars.DataFrame(PROBA, schema=GRADES).select(sorted(GRADES))
    wanted = by_hand("ranked_probability", Y, PROBA)
    assert_allclose(divergence_loss(labels, proba, **RANKED), wanted, rtol=1e-12)


@pytest.mark.parametrize("names", [GRADES, [2, 0, 3, 1]])
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
        few = pd.DataFrame(random_rows(60, 3, 3), rows, ["low", "high", "mid"])
        with pytest.raises(ValueError, match=r"has no place for \['top'\]"):
            make_fidelity_scorer(few, **options)(student, samples)


def test_other_divergences_have_no_share():
    with pytest.raises(ValueError, match="divergence must be one of"):
        d2_score(Y, PROBA, divergence="jensen_shannon")
