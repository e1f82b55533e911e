"""Losses of collections: those of all rows in memory."""

from dataclasses import astuple
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import sklkl.dask
from sklkl import metrics
from sklkl.linear_model import SoftLabelLogisticRegression as Plain
from tests.dask.test_logistic import (
    CHUNKS,
    FEATURES,
    FRAME,
    NAMES,
    WEIGHT,
    N,
    P,
    X,
    array,
    frame,
)

rng = np.random.default_rng(1)
Q = rng.dirichlet(np.ones(3), N)
Q_FRAME = pd.DataFrame(Q, columns=["spam", "eggs", "ham"])
LOSSES = [name for name in sklkl.dask.__all__ if name.endswith(("_loss", "_score"))]
TARGETS = {
    "labels": (NAMES, Q),
    "labels and a frame": (pd.Series(NAMES), Q_FRAME),
    "soft": (P, Q),
    "frames": (FRAME, Q_FRAME),
    "binary": (NAMES == "ham", Q[:, 0]),
}


def collection(x):
    return frame(x) if hasattr(x, "iloc") else array(x)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss, plain = (getattr(module, name) for module in (sklkl.dask, metrics))
    params = {"on_zero": "inf"} if name == "d2_kl_score" else {"base": 2}
    for case, (y_true, y_proba) in TARGETS.items():
        expected = plain(y_true, y_proba, sample_weight=WEIGHT, **params)
        found = loss(
            collection(y_true), collection(y_proba), sample_weight=array(WEIGHT), **params
        )
        assert_allclose(found, expected, rtol=1e-12, err_msg=case)
        assert loss(y_true, y_proba, sample_weight=WEIGHT, **params) == expected


def test_labels_that_no_part_holds(client):
    y, labels = NAMES, ["eggs", "ham", "none", "spam"]
    q = np.random.default_rng(0).dirichlet(np.ones(4), N)
    found = sklkl.dask.kl_loss(array(y), array(q), labels=labels)
    assert_allclose(found, metrics.kl_loss(y, q, labels=labels), rtol=1e-12)
    with pytest.raises(ValueError, match="are not sorted"):
        sklkl.dask.kl_loss(array(y), array(q), labels=labels[::-1])


def test_divergence_by_name():
    loss = partial(
        sklkl.dask.divergence_loss, divergence="renyi", divergence_params={"order": 2}
    )
    assert_allclose(loss(array(P), array(Q)), loss(P, Q), rtol=1e-12)


TEACHER = Plain(C=0.01).fit(X, NAMES)
SCORERS = {
    "kl": metrics.get_scorer("neg_kl_loss"),
    "infinite": metrics.make_divergence_scorer("kl", on_zero="inf"),
    "renyi": metrics.make_divergence_scorer("renyi", divergence_params={"order": 2}, base=2),
    "d2": metrics.get_scorer("d2_kl"),
    "d2 of logarithms": metrics.make_divergence_scorer("d2_kl", on_zero="inf"),
    "fidelity": metrics.make_fidelity_scorer(TEACHER),
    "fidelity as d2": metrics.make_fidelity_scorer(TEACHER, "d2_kl"),
}
SCORED = {
    "labels": (X, NAMES),
    "labels that no model saw": (X, np.where(np.arange(N) % 90, NAMES, "jam")),
    "soft": (X, P),
    "frames": (FEATURES, FRAME),
}


@pytest.mark.filterwarnings("ignore:X has feature names")  # which the teacher does not know
@pytest.mark.parametrize("scored", SCORED)
@pytest.mark.parametrize("name", SCORERS)
def test_scorers(name, scored, monkeypatch):
    """Scores of parts are put together, and the number is that in memory."""
    scorer, (x, y) = SCORERS[name], SCORED[scored]
    names = pd.Series(NAMES) if x is FEATURES else NAMES
    model = sklkl.dask.SoftLabelLogisticRegression().fit(collection(x), collection(names))
    model.coef_ = 300.0 * model.coef_  # so that probabilities underflow
    expected = scorer(model.to_local(), x, y, sample_weight=WEIGHT)
    sizes = []
    predict = Plain.predict_proba
    monkeypatch.setattr(
        Plain, "predict_proba", lambda self, X: sizes.append(len(X)) or predict(self, X)
    )
    found = scorer(model, collection(x), collection(y), sample_weight=array(WEIGHT))
    assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert max(sizes) == max(CHUNKS)
    assert scorer(model, x, y, sample_weight=WEIGHT) == expected


def test_bad_rows_of_scorers():
    model = sklkl.dask.SoftLabelLogisticRegression().fit(array(X), array(NAMES))
    bad = P.copy()
    bad[123] = 0.5
    with pytest.raises(ValueError, match=r"y\[123\]"):
        SCORERS["kl"](model, array(X), array(bad))
    with pytest.raises(TypeError, match="Pass all as such"):
        SCORERS["kl"](model, array(X), P)
    assert SCORERS["fidelity"](model, array(X)) < 0.0


INTERVALS = {
    "labels": (NAMES, Q),
    "two models": (P, Q, P[::-1].copy()),
    "frames": (FRAME, Q_FRAME, FRAME),
    "equal": (P, P),
}


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e305])
@pytest.mark.parametrize("case", INTERVALS)
def test_intervals(case, scale):
    arguments, weight = INTERVALS[case], scale * WEIGHT
    options = {"confidence_level": 0.8, "base": 2}
    expected = metrics.loss_interval(*arguments, sample_weight=weight, **options)
    found = sklkl.dask.loss_interval(
        *map(collection, arguments), sample_weight=array(weight), **options
    )
    assert_allclose(astuple(found), astuple(expected), rtol=1e-10)
    assert sklkl.dask.loss_interval(*arguments, sample_weight=weight, **options) == expected


def test_intervals_of_what_is_infinite():
    p, q = P.copy(), Q.copy()
    q[[3, 200]] = [1.0, 0.0, 0.0]
    for other in ((), (array(q[::-1].copy()),)):
        found = sklkl.dask.loss_interval(array(p), array(q), *other, on_zero="inf")
        assert np.isnan(astuple(found)[1:]).all()
        assert found.estimate == np.inf or other


def test_intervals_refused():
    both = array(P), array(Q)
    for options in ({"groups": array(NAMES)}, {"method": "bootstrap"}):
        with pytest.raises(ValueError, match="need all rows in one place"):
            sklkl.dask.loss_interval(*both, **options)
    with pytest.raises(ValueError, match="at least two independent rows"):
        sklkl.dask.loss_interval(*both, sample_weight=array(np.eye(1, N)[0]))
    for options in ({"method": "jackknife"}, {"confidence_level": 1.0}, {"on_zero": "no"}):
        with pytest.raises(ValueError, match="must be"):
            sklkl.dask.loss_interval(*both, **options)
    with pytest.raises(ValueError, match="n_resamples must be"):
        sklkl.dask.loss_interval(*both, n_resamples=1)
    with pytest.raises(TypeError, match="confidence_leve"):
        sklkl.dask.loss_interval(*both, confidence_leve=0.5)
    with pytest.raises(ValueError, match="has an infinite sum"):
        sklkl.dask.loss_interval(*both, sample_weight=array(np.full(N, 1e306)))
    bad = Q.copy()
    bad[123] = 0.5
    with pytest.raises(ValueError, match=r"y_proba_other\[123\]"):
        sklkl.dask.loss_interval(*both, array(bad))


@pytest.mark.parametrize("name", ["kl_loss", "d2_kl_score"])
def test_weights_near_the_end_of_the_range(name):
    loss, plain = (getattr(module, name) for module in (sklkl.dask, metrics))
    q, weight = np.where(P.max(axis=1, keepdims=True) - 1e-9 < P, 0.0, P), 1e305 * WEIGHT
    q /= q.sum(axis=1, keepdims=True)
    found = loss(array(P), array(q), sample_weight=array(weight))
    assert_allclose(found, plain(P, q, sample_weight=weight), rtol=1e-12)


def test_bad_row_has_its_number():
    bad = Q.copy()
    bad[123] = 0.5
    with pytest.raises(ValueError, match=r"y_proba\[123\]"):
        sklkl.dask.kl_loss(array(P), array(bad))
    for weight, message in ((0.0, "is zero for every sample"), (1e306, "an infinite sum")):
        with pytest.raises(ValueError, match=message):
            sklkl.dask.kl_loss(array(P), array(Q), sample_weight=array(np.full(N, weight)))


def test_d2_of_equal_targets():
    y = np.tile([0.2, 0.3, 0.5], (N, 1))
    assert sklkl.dask.d2_kl_score(array(y), array(y)) == 1.0
    assert sklkl.dask.d2_kl_score(array(y), array(Q)) == 0.0
