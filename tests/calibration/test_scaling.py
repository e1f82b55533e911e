"""Calibration maps against their definitions, written down anew."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array
from scipy.special import log_softmax, rel_entr, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling, _scaling
from sklkl.calibration._scaling import CACHED, Doubt, ScalingObjective
from sklkl.metrics import d2_kl_score, get_scorer, get_scorer_names, kl_loss
from sklkl.model_selection import StratifiedSoftKFold

MAPS = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "dirichlet": DirichletScaling,
}
MATRICES = {name: MAPS[name] for name in ("vector", "dirichlet")}
EPS = np.finfo(np.float64).eps

each_map = pytest.mark.parametrize("scaling", MAPS.values(), ids=MAPS)
each_matrix = pytest.mark.parametrize("scaling", MATRICES.values(), ids=MATRICES)
each_kind = pytest.mark.parametrize("kind", ["hard", "soft"])
each_size = pytest.mark.parametrize("n_classes", [2, 3, 6])


@cache
def data(n_classes=3, n_samples=200):
    """Overconfident predictions, labels, soft targets, weights of which some are 0."""
    rng = np.random.default_rng(n_classes)
    logits = rng.normal(size=(n_samples, n_classes))
    soft = softmax(logits + 0.5 * rng.normal(size=logits.shape), axis=1)
    hard = np.array([rng.choice(n_classes, p=p) for p in soft])
    weight = rng.uniform(0.1, 3.0, n_samples)
    weight[::7] = 0.0
    arrays = softmax(2.0 * logits, axis=1), hard, soft, weight
    for array in arrays:
        array.setflags(write=False)
    return arrays


def target_of(kind, n_classes=3):
    _, hard, soft, _ = data(n_classes)
    return hard if kind == "hard" else soft


def rows_of(y, n_classes):
    return np.eye(n_classes)[y] if y.ndim == 1 else y


def penalised(scaling, C):
    """A map with this C, if it has one."""
    return scaling() if scaling is TemperatureScaling else scaling(C=C)


def parameters(model):
    if isinstance(model, TemperatureScaling):
        return np.array([1.0 / model.temperature_])
    return np.concatenate([model.coef_.ravel(), model.intercept_])


# -- The objective -------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 4)])
@pytest.mark.parametrize("n_samples", [40, CACHED // 4 + 7])
def test_gradient_and_metric(kind, shape, n_samples):
    """Finite differences of fourth order; more rows than are taken at a time."""
    rng = np.random.default_rng(0)
    k = 4
    z = log_softmax(rng.normal(size=(n_samples, k)), axis=1)
    target = (
        rng.dirichlet(np.ones(k), n_samples)
        if kind == "soft"
        else rng.integers(k, size=n_samples)
    )
    weight = rng.uniform(size=n_samples)
    theta = rng.normal(size=shape)
    # Intercepts on both sides of where the pull is at its most.
    doubt = Doubt(0.1, np.array([0.3, 0.1, 0.2, 0.4]), np.array([9.0, 0.01, 9.0, 0.01]))
    objective = ScalingObjective(z, target, weight, doubt, 0.7, 0.3)
    value, gradient = objective(theta)

    a = theta[0, :1] if len(theta) == 1 else theta[0]
    b = np.append(theta, np.zeros(k))[a.size : a.size + k]
    rows = 0.9 * rows_of(target, k) + 0.1 / k
    loss = -(rows * log_softmax(a * z + b, axis=1)).sum(axis=1)
    pull = np.where(
        doubt.information * np.abs(b) < doubt.most,
        0.5 * doubt.information * b**2,
        doubt.most * (np.abs(b) - 0.5 * doubt.most / doubt.information),
    )
    expected = np.average(loss, weights=weight) + 0.15 * ((a - 0.7) ** 2).sum() + pull.sum()
    assert value == pytest.approx(expected, rel=1e-13)

    def slopes_at(place):
        moved = []
        for j in (-2, -1, 1, 2):
            other = theta.copy()
            other[place] += j * 1e-3
            moved.append(objective(other))
        weights = np.array([1.0, -8.0, 8.0, -1.0]) / 12e-3
        return weights @ [v for v, _ in moved], np.tensordot(
            weights, [g for _, g in moved], axes=1
        )

    for place in np.ndindex(shape):
        slope, row = slopes_at(place)
        assert gradient[place] == pytest.approx(slope, abs=1e-10)
        if shape != (1, 5):  # whose intercepts are taken for independent
            if len(theta) == 2:  # a slope and its intercept
                row[:, np.arange(k) != place[1]] = 0.0
            unit = np.zeros(shape)
            unit[place] = 1.0
            assert_allclose(objective.metric(theta, False)(row), unit, atol=1e-7)


def test_no_curvature_is_no_division_by_zero():
    """Where all is certain, or z constant."""
    z = np.array([[0.0, -1.0], [0.0, -2.0]])
    certain = ScalingObjective(z, np.zeros(2, int), np.ones(2), Doubt())
    far = np.array([[1e5, 1e5], [0.0, 0.0]])
    assert_allclose(certain.metric(far, False)(np.ones((2, 2))), 1.0)
    flat = ScalingObjective(0.0 * z, np.zeros(2, int), np.ones(2), Doubt())
    assert_allclose(flat.metric(np.ones((1, 1)), False)(np.full((1, 1), 3.0)), 3.0)
    assert np.isfinite(flat.metric(np.ones((1, 3)), False)(np.ones((1, 3)))).all()
    assert certain.widen() is False


# -- The optimum ---------------------------------------------------------------


def best_temperature(z, rows, weight):
    def loss(inverse):
        return weight @ rel_entr(rows, softmax(inverse * z, axis=1)).sum(axis=1)

    return minimize_scalar(loss, bounds=(0, 50), method="bounded", options={"xatol": 1e-10}).x


@each_size
@each_kind
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_temperature_is_the_best(kind, n_classes, smoothing):
    q, _, _, weight = data(n_classes)
    y = target_of(kind, n_classes)
    model = TemperatureScaling(smoothing=smoothing).fit(q, y, weight)
    z = np.log((1.0 - smoothing) * q + smoothing / n_classes)
    inverse = best_temperature(z, rows_of(y, n_classes), weight)
    assert 1.0 / model.temperature_ == pytest.approx(inverse, rel=1e-6)
    assert_allclose(model.predict_proba(q), softmax(z * inverse, axis=1), atol=1e-6)


def doubt_of(q, rows, weight):
    """Share of the uniform distribution, and information and bound of the pull."""
    n = max(weight.sum(), np.count_nonzero(weight))
    mean = np.average(rows, axis=0, weights=weight)
    variance = np.average(rows**2, axis=0, weights=weight) - mean**2
    error = np.sqrt(variance / n)
    off = np.abs(np.average(q, axis=0, weights=weight) - mean) / error
    return 0.2 / n, variance, 0.2 * error / np.maximum(1.0, off)


def minimum(objective, start):
    options = {"gtol": 1e-9, "maxiter": 10_000}
    return minimize(objective, start, method="BFGS", options=options).x


@pytest.mark.parametrize(
    ("n_classes", "kind", "C"), [(2, "hard", 0.01), (3, "soft", 0.01), (3, "hard", 100.0)]
)
@each_matrix
def test_the_objective_of_the_docstring(scaling, kind, n_classes, C):
    q, _, _, weight = data(n_classes)
    y = target_of(kind, n_classes)
    rows, z = rows_of(y, n_classes), np.log(q)
    share, information, most = doubt_of(q, rows, weight)
    rows = (1.0 - share) * rows + share / n_classes
    k = n_classes

    def loss(logits, b):
        pull = np.where(
            information * np.abs(b) < most,
            0.5 * information * b**2,
            most * (np.abs(b) - 0.5 * most / information),
        )
        of_rows = rel_entr(rows, softmax(logits + b, axis=1)).sum(axis=1)
        return np.average(of_rows, weights=weight) + pull.sum()

    best = minimum(lambda t: loss(t[0] * z, t[1:]), np.eye(1, k + 1)[0])
    scale = k / (2.0 * C * weight.sum())
    if scaling is VectorScaling:

        def objective(t):
            return loss(t[:k] * z, t[k:]) + scale * ((t[:k] - best[0]) ** 2).sum()

        start = np.append(np.full(k, best[0]), best[1:])
        logits = (t := minimum(objective, start))[:k] * z + t[k:]
    elif k == 2:

        def objective(t):
            logits = np.column_stack([np.zeros(len(z)), z @ t[:2]])
            away = t[:2] - best[0] * np.array([-1.0, 1.0])
            return loss(logits, t[2] * np.array([-0.5, 0.5])) + scale * (away**2).sum()

        t = minimum(objective, np.array([-best[0], best[0], best[2] - best[1]]))
        logits = np.column_stack([np.zeros(len(z)), z @ t[:2] + t[2]])
    else:

        def objective(t):
            W = t[: k * k].reshape(k, k)
            return loss(z @ W.T, t[k * k :]) + scale * ((W - best[0] * np.eye(k)) ** 2).sum()

        t = minimum(objective, np.append(best[0] * np.eye(k), best[1:]))
        logits = z @ t[: k * k].reshape(k, k).T + t[k * k :]
    model = scaling(C=C, smoothing=0.0).fit(q, y, weight)
    assert_allclose(model.predict_proba(q), softmax(logits, axis=1), atol=1e-5)


@each_matrix
def test_without_penalty(scaling):
    """The limit of large C; of the many optima the one that predicts the same."""
    q, hard, _, _ = data(n_samples=1000)
    unpenalised = scaling(C=np.inf).fit(q, hard).predict_proba(q)
    assert_allclose(scaling(C=1e6).fit(q, hard).predict_proba(q), unpenalised, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
@each_map
def test_known_maps_are_recovered(scaling, n_classes):
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(n_classes), 400)
    b = rng.normal(size=n_classes)
    if scaling is TemperatureScaling:
        M, b = np.eye(n_classes) / 1.7, 0.0 * b
    elif scaling is VectorScaling:
        M = np.diag(rng.uniform(0.3, 2.0, n_classes))
    else:
        M = np.eye(n_classes) + 0.3 * rng.normal(size=(n_classes, n_classes))
    y = softmax(np.log(q) @ M.T + b, axis=1)
    model = scaling(smoothing=0.0)
    if scaling is not TemperatureScaling:
        model.set_params(C=np.inf)
    model.fit(q, y)
    assert_allclose(model.predict_proba(q), y, atol=1e-6)
    other = rng.dirichlet(np.ones(n_classes), 20)
    assert_allclose(
        model.predict_proba(other), softmax(np.log(other) @ M.T + b, axis=1), atol=1e-6
    )
    if scaling is TemperatureScaling:
        assert model.temperature_ == pytest.approx(1.7, rel=1e-6)
    elif scaling is VectorScaling:
        # What all intercepts have in common is free.
        assert_allclose(model.coef_, np.diag(M), atol=1e-4)
        assert_allclose(model.intercept_ - model.intercept_[0], b - b[0], atol=1e-4)
    elif n_classes == 2:
        assert_allclose(model.coef_, M[1:] - M[:1], atol=1e-4)
    else:
        assert_allclose(model.coef_ - model.coef_[0], M - M[0], atol=1e-4)


@pytest.mark.parametrize("zeros", [False, True])
@each_map
def test_what_is_right_stays(scaling, zeros):
    """Up to what 200 rows cannot exclude; exactly if no doubt is wanted."""
    q = data()[0].copy()
    if zeros:
        q[::3] = np.eye(3)[0]
    model = scaling().fit(q, q)
    assert 0.0 < model.smoothing_ < 0.01
    assert_allclose(model.predict_proba(q), q, atol=0.2 / 200)
    model = penalised(scaling, np.inf).set_params(smoothing=0.0).fit(q, q)
    assert_allclose(model.predict_proba(q), q, atol=1e-9)


@each_size
@each_kind
@pytest.mark.parametrize("smoothing", ["auto", 0.0])
@pytest.mark.parametrize("seed", range(2))
def test_no_map_does_worse_in_sample_than_a_simpler_one(kind, n_classes, smoothing, seed):
    rng = np.random.default_rng(seed)
    q = softmax(rng.normal(scale=3, size=(30, n_classes)), axis=1)
    q = np.where(q < 0.02, 0.0, q)
    q /= q.sum(axis=1, keepdims=True)
    y = (
        rng.dirichlet(np.ones(n_classes), 30)
        if kind == "soft"
        else rng.integers(n_classes, size=30)
    )
    weight = rng.uniform(size=30)

    def loss(proba):
        return kl_loss(y, proba, labels=np.arange(n_classes), sample_weight=weight)

    losses = [loss(q)]
    for scaling in (TemperatureScaling, VectorScaling, DirichletScaling):
        model = scaling(smoothing=smoothing, classes=range(n_classes)).fit(q, y, weight)
        losses.append(loss(model.predict_proba(q)))
    identity, temperature, vector, dirichlet = losses
    assert temperature <= identity + 1e-12
    assert vector <= temperature + 1e-12
    assert dirichlet <= temperature + 1e-12


# -- Smoothing -----------------------------------------------------------------


def forest_like(n_classes=4, n_samples=300):
    """Predictions with zeros where there should be none."""
    rng = np.random.default_rng(1)
    p = softmax(1.5 * rng.normal(size=(n_samples, n_classes)), axis=1)
    y = np.array([rng.choice(n_classes, p=row) for row in p])
    votes = np.stack([rng.multinomial(10, row) for row in p])
    return votes / 10, y


def test_smoothing_is_nearly_the_best():
    q, y = forest_like()
    model = TemperatureScaling().fit(q, y)
    assert 1e-3 < model.smoothing_ < 0.9
    found = kl_loss(y, model.predict_proba(q))
    for smoothing in [0.0, *np.geomspace(1e-9, 0.99, 40)]:
        fixed = TemperatureScaling(smoothing=smoothing).fit(q, y)
        assert fixed.smoothing_ == smoothing
        assert found <= kl_loss(y, fixed.predict_proba(q)) + 1e-4
    # The maps with intercepts choose the same one, theirs.
    vector, dirichlet = (scaling().fit(q, y) for scaling in MATRICES.values())
    assert vector.smoothing_ == dirichlet.smoothing_ != model.smoothing_


def test_smoothing_with_several_minima():
    """Most rows uncertain and right, some certain and wrong: a search downhill gets stuck."""
    rng = np.random.default_rng(152)
    n_classes, n_samples = rng.integers(2, 6), rng.integers(3, 200)
    logits = rng.normal(scale=rng.choice([1, 5, 30]), size=(n_samples, n_classes))
    right = rng.random(n_samples) < rng.random()
    y = np.where(right, logits.argmax(axis=1), rng.integers(n_classes, size=n_samples))

    def loss(smoothing):
        model = TemperatureScaling(smoothing=smoothing, classes=range(n_classes))
        proba = model.fit(softmax(logits, axis=1), y).predict_proba(softmax(logits, axis=1))
        return kl_loss(y, proba, labels=range(n_classes))

    assert loss("auto") <= min(loss(s) for s in (0.0, 1e-6, 1e-3, 0.1, 0.5, 0.99)) + 1e-4


def test_smoothing_of_many_rows(monkeypatch):
    """A sample serves; whatever period the rows have, and without those of weight 0."""
    monkeypatch.setattr(_scaling, "ENOUGH", 3 * 2000)
    q, y = forest_like(3, 1500)
    q, said = q.repeat(2, axis=0), np.tile([0.0, 1.0], len(y))
    plain = TemperatureScaling().fit(q[1::2], y)
    for other in (y, np.zeros_like(y)):
        both = np.column_stack([other, y]).ravel()
        model = TemperatureScaling().fit(q, both, said)
        # A sample of rows tells the share less exactly; the loss hardly depends on it.
        assert model.smoothing_ == pytest.approx(plain.smoothing_, rel=0.3)
        assert plain.smoothing_ > 1e-3
        losses = [kl_loss(y, m.predict_proba(q[1::2])) for m in (model, plain)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    model = TemperatureScaling().fit(q, y.repeat(2))
    losses = [kl_loss(y.repeat(2), m.predict_proba(q)) for m in (model, plain)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


@each_map
def test_smoothing_is_a_mixture(scaling):
    """A map of mixed probabilities is the map of the probabilities, mixed."""
    q, y = forest_like()
    mixed = 0.8 * q + 0.2 / q.shape[1]
    model = scaling(smoothing=0.2).fit(q, y)
    plain = scaling(smoothing=0.0).fit(mixed, y)
    assert_allclose(parameters(model), parameters(plain), rtol=1e-6, atol=1e-9)
    assert_allclose(model.predict_proba(q), plain.predict_proba(mixed), atol=1e-9)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2, np.nan, "some", None, [0.1]])
@each_map
def test_bad_smoothing(scaling, smoothing):
    q, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^smoothing must be 'auto' or a number from 0"):
        scaling(smoothing=smoothing).fit(q, hard)


# -- Targets and weights -------------------------------------------------------


@each_size
@each_map
def test_labels_are_one_hot_rows(scaling, n_classes):
    q, hard, _, weight = data(n_classes)
    of_labels = scaling().fit(q, hard, weight)
    of_rows = scaling().fit(q, np.eye(n_classes)[hard], weight)
    assert of_labels.smoothing_ == pytest.approx(of_rows.smoothing_, abs=1e-9)
    assert_allclose(parameters(of_labels), parameters(of_rows), rtol=1e-6, atol=1e-7)


@each_kind
@each_map
@pytest.mark.parametrize("smoothing", ["auto", 0.0])
def test_weights_are_repetitions(scaling, kind, smoothing):
    q, y = data()[0], target_of(kind)
    times = np.random.default_rng(0).integers(0, 4, len(q))
    weighted = scaling(smoothing=smoothing).fit(q, y, times)
    repeated = scaling(smoothing=smoothing).fit(
        q.repeat(times, axis=0), y.repeat(times, axis=0)
    )
    assert_allclose(weighted.predict_proba(q), repeated.predict_proba(q), atol=1e-6)


@each_map
def test_rows_of_weight_zero_are_ignored(scaling):
    q, hard, soft, _ = data()
    wild = np.vstack([np.eye(3), [[1e-300, 0.5, 0.5], [1.0, 0.0, 0.0]]])
    weight = np.append(np.ones(len(q)), np.zeros(len(wild)))
    for y, more in ((hard, np.array([2, 0, 1, 0, 2])), (soft, np.eye(3)[[2, 0, 1, 0, 2]])):
        alone = scaling().fit(q, y)
        beside = scaling().fit(np.vstack([q, wild]), np.concatenate([y, more]), weight)
        assert_allclose(parameters(beside), parameters(alone), rtol=1e-6, atol=1e-7)
        assert beside.smoothing_ == pytest.approx(alone.smoothing_, abs=1e-9)


@each_map
def test_the_scale_of_weights_is_that_of_C(scaling):
    q, hard, _, weight = data()
    expected = penalised(scaling, 0.01).fit(q, hard, weight)
    for scale in (1e-300, 1e-6, 1e6):  # many rows leave no doubt, in the third case
        model = penalised(scaling, 0.01 / scale).fit(q, hard, scale * weight)
        assert_allclose(model.predict_proba(q), expected.predict_proba(q), atol=0.02)


@each_map
def test_every_kind_of_array(scaling):
    q, hard, soft, weight = data()
    expected = scaling().fit(q, soft, weight)
    proba = expected.predict_proba(q)
    wide = np.zeros((2 * len(q), 6))
    wide[::2, ::2] = q
    for X in (q.tolist(), np.asfortranarray(q), wide[::2, ::2], q[::-1].copy()[::-1]):
        y = np.asfortranarray(soft) if isinstance(X, np.ndarray) else soft.tolist()
        model = scaling().fit(X, y, weight.tolist())
        assert_allclose(parameters(model), parameters(expected), rtol=1e-7, atol=1e-9)
        assert_allclose(model.predict_proba(X), proba, atol=1e-9)
    single = scaling(smoothing=0.0).fit(q.astype(np.float32), soft.astype(np.float32), weight)
    double = scaling(smoothing=0.0).fit(q, soft, weight)
    assert_allclose(single.predict_proba(q), double.predict_proba(q), atol=1e-5)
    assert single.predict_proba(q.astype(np.float32)).dtype == np.float64
    mixed = scaling(smoothing=0.0).fit(q, soft.astype(np.float32), weight)
    assert_allclose(mixed.predict_proba(q), double.predict_proba(q), atol=1e-6)
    assert_array_equal(scaling().fit(q, hard.tolist()).classes_, [0, 1, 2])


@each_map
def test_classes(scaling):
    q, hard, soft, _ = data()
    names = np.array(["a", "m", "z"])
    expected = scaling().fit(q, hard)
    model = scaling().fit(q, names[hard])
    assert_array_equal(model.classes_, names)
    assert_array_equal(model.predict_proba(q), expected.predict_proba(q))
    assert_array_equal(model.predict(q), names[expected.predict(q)])
    assert model.score(q, names[hard]) == accuracy_score(hard, expected.predict(q))
    # Columns in an order of their own.
    model = scaling(classes=["z", "a", "m"]).fit(q[:, [2, 0, 1]], names[hard])
    assert_array_equal(model.classes_, names)
    assert_allclose(model.predict_proba(q[:, [2, 0, 1]]), expected.predict_proba(q), atol=1e-6)
    assert_array_equal(scaling(classes=names).fit(q, soft).classes_, names)
    with pytest.raises(ValueError, match="not one of the classes"):
        scaling(classes=["a", "m", "x"]).fit(q, names[hard])


@each_map
def test_a_class_that_no_label_has(scaling):
    q, hard, _, _ = data()
    y = np.where(hard == 2, 0, hard)
    with pytest.raises(
        ValueError, match=r"X has 3 columns, but there are 2 classes.*classes="
    ):
        scaling().fit(q, y)
    model = scaling(classes=[0, 1, 2]).fit(q, y)
    proba = model.predict_proba(q)
    assert proba.shape == q.shape
    assert (proba > 0).all()
    one_hot = scaling().fit(q, np.eye(3)[y])
    assert_allclose(proba, one_hot.predict_proba(q), atol=1e-6)
    # One class alone.
    proba = scaling(classes=[0, 1, 2]).fit(q, np.ones(len(q), int)).predict_proba(q)
    assert np.isfinite(proba).all()
    assert scaling is TemperatureScaling or (proba.argmax(axis=1) == 1).all()


# -- Data frames ---------------------------------------------------------------


@each_map
def test_frames(scaling):
    q, hard, soft, _ = data()
    names = ["a", "m", "z"]
    X, Y = pd.DataFrame(q, columns=names), pd.DataFrame(soft, columns=names)
    expected = scaling().fit(q, soft).predict_proba(q)
    for y in (Y, soft):
        model = scaling().fit(X, y)
        assert_array_equal(model.classes_, names)
        assert_array_equal(model.feature_names_in_, names)
        assert model.n_features_in_ == 3
        assert_allclose(model.predict_proba(X), expected, atol=1e-9)
    assert_array_equal(scaling().fit(q, Y).classes_, names)
    assert model.score(X, Y[["z", "m", "a"]]) == pytest.approx(model.score(X, Y))
    labels = np.array(names)[hard]
    assert_array_equal(scaling().fit(X, pd.Series(labels)).classes_, ["a", "m", "z"])
    # They name the classes of labels, also of absent ones.
    turned = X[["m", "z", "a"]]
    assert_array_equal(scaling().fit(turned, labels).classes_, ["a", "m", "z"])
    present = labels != "m"
    assert_array_equal(scaling().fit(X[present], labels[present]).classes_, ["a", "m", "z"])
    for model in (scaling().fit(turned, Y), scaling(classes=names).fit(turned, soft)):
        assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"not one of the classes \['p0', 'p1', 'p2'\]"):
        scaling().fit(pd.DataFrame(q, columns=["p0", "p1", "p2"]), labels)
    # A y in another order is put in that of classes=.
    model = scaling(classes=names).fit(X, Y[["z", "m", "a"]])
    assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    assert_array_equal(model.predict_proba(turned), model.predict_proba(X))
    with pytest.raises(ValueError, match=r"columns of X are not the classes"):
        model.predict_proba(X.rename(columns={"a": "b"}))


@each_map
def test_classes_of_labels_are_sorted(scaling):
    q, hard, _, _ = data()
    names = np.array(["a", "b", "c"])
    labels, turned = names[hard], ["c", "a", "b"]
    X = pd.DataFrame(q, columns=names)
    expected = scaling().fit(q, labels).predict_proba(q)
    by_frame = scaling().fit(X[turned], labels)
    by_list = scaling(classes=turned).fit(X[turned].to_numpy(), labels)
    for model in (by_frame, by_list):
        assert_array_equal(model.classes_, names)
        assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    # The columns of an array are those that fit got.
    assert_allclose(by_list.predict_proba(X[turned].to_numpy()), expected, atol=1e-6)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_allclose(by_frame.predict_proba(X[turned].to_numpy()), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["Float64", "object", "float64[pyarrow]"])
def test_missing_probabilities_are_named_by_their_row(dtype):
    if dtype == "float64[pyarrow]":
        pytest.importorskip("pyarrow")
    good = pd.DataFrame([[0.5, 0.5], [0.4, 0.6]] * 5, columns=["a", "b"])
    bad = good.astype(dtype)
    bad.iloc[3, 1] = pd.NA
    labels = ["a", "b"] * 5
    with pytest.raises(ValueError, match=r"^X\[3\] contains NaN; drop or fill such rows"):
        TemperatureScaling().fit(bad, labels)
    with pytest.raises(ValueError, match=r"^X\[3\] contains NaN; drop or fill such rows"):
        TemperatureScaling().fit(good, labels).predict_proba(bad)


@pytest.mark.parametrize("argument", ["y", "sample_weight"])
def test_names_of_rows_are_matched(argument):
    q, hard, _, _ = data()
    rows = [f"r{i}" for i in range(len(q))]
    given = {"y": pd.Series(hard, rows), "sample_weight": pd.Series(1.0, rows)}
    given[argument] = given[argument].iloc[::-1]
    with pytest.raises(ValueError, match=f"rows of X and {argument} have different labels"):
        TemperatureScaling().fit(pd.DataFrame(q, rows), **given)


@each_map
def test_numbered_columns_at_prediction(scaling):
    """scikit-learn sees names of columns only if they are strings."""
    q, hard, _, _ = data()
    X = pd.DataFrame(q)
    model = scaling().fit(X, hard)
    assert_array_equal(model.predict_proba(X), model.predict_proba(q))
    for method in (model.predict_proba, model.predict_log_proba, model.predict):
        assert_array_equal(method(X[[2, 0, 1]]), method(X))


# -- Binary, and many classes --------------------------------------------------


def test_shapes():
    for n_classes, logits in ((2, 1), (3, 3), (6, 6)):
        q, hard, _, _ = data(n_classes)
        vector, dirichlet = VectorScaling().fit(q, hard), DirichletScaling().fit(q, hard)
        assert vector.coef_.shape == vector.intercept_.shape == (n_classes,)
        assert dirichlet.coef_.shape == (logits, n_classes)
        assert dirichlet.intercept_.shape == (logits,)
        assert isinstance(TemperatureScaling().fit(q, hard).temperature_, float)
        assert dirichlet.predict_proba(q).shape == q.shape


def test_binary_vector_scaling_is_beta_calibration():
    q, hard, _, _ = data(2)
    p = q[:, 1]
    model = VectorScaling(C=np.inf, smoothing=0.0).fit(q, hard)
    dirichlet = DirichletScaling(C=np.inf, smoothing=0.0).fit(q, hard)

    def loss(theta):
        logit = theta[0] * np.log(p) - theta[1] * np.log1p(-p) + theta[2]
        return np.mean(np.logaddexp(0.0, logit) - hard * logit)

    a, b, c = minimize(loss, [1.0, 1.0, 0.0], method="BFGS", options={"gtol": 1e-7}).x
    assert_allclose(model.coef_, [b, a], atol=1e-3)
    assert model.intercept_[1] - model.intercept_[0] == pytest.approx(c, abs=1e-3)
    assert_allclose(dirichlet.coef_, [[-b, a]], atol=1e-3)
    assert_allclose(dirichlet.predict_proba(q), model.predict_proba(q), atol=1e-6)


@each_map
def test_many_classes(scaling):
    q, hard, soft, _ = data(100, 500)
    model = scaling(classes=range(100)).fit(q, hard)
    proba = model.predict_proba(q)
    assert_allclose(proba.sum(axis=1), 1.0, atol=1e-12)
    assert kl_loss(hard, proba, labels=range(100)) < kl_loss(hard, q, labels=range(100))
    assert kl_loss(soft, scaling().fit(q, soft).predict_proba(q)) < 0.5 * kl_loss(soft, q)


# -- Zeros, logits, extremes ---------------------------------------------------


@each_size
@each_map
def test_certain_predictions_that_err(scaling, n_classes):
    """All but one zero in every row, as of a tree: the map learns how often that errs."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=2000)
    said = np.where(rng.random(2000) < 0.7, y, rng.integers(n_classes, size=2000))
    model = penalised(scaling, 100.0).fit(np.eye(n_classes)[said], y)
    proba = model.predict_proba(np.eye(n_classes))
    right = 0.7 + 0.3 / n_classes
    assert_allclose(np.diag(proba), right, atol=0.06)
    assert_allclose(proba.sum(axis=1), 1.0)


@each_map
def test_certain_predictions_that_are_right(scaling):
    """So far: 60 rows cannot exclude an error in 300."""
    y = np.arange(60) % 3
    model = scaling().fit(np.eye(3)[y], y)
    assert_allclose(model.predict_proba(np.eye(3)), np.eye(3), atol=1 / 300)
    assert (model.predict_proba(np.eye(3)) > 1e-3).all()


@each_map
def test_zeros_that_no_row_has_at_its_truth(scaling):
    """A forest's zeros are small, not impossible: the next row may have one."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.3, 0.3, size=100)
    votes = rng.binomial(20, p) / 20
    y = rng.binomial(1, p)
    y[votes == 0.0], y[votes == 1.0] = 0, 1
    model = scaling().fit(np.column_stack([1 - votes, votes]), y)
    assert 1e-3 < model.predict_proba([[1.0, 0.0]])[0, 1] < 0.05


# -- Class frequencies ---------------------------------------------------------


def shifted(n_samples, n_classes, rate):
    """Labels of which ``rate`` have the last class, a model that takes all for as frequent."""
    rng = np.random.default_rng(0)
    rest = np.full(n_classes - 1, (1.0 - rate) / (n_classes - 1))
    y = rng.choice(n_classes, size=n_samples, p=np.append(rest, rate))
    y[: 2 * n_classes] = np.tile(np.arange(n_classes), 2)
    logits = rng.normal(size=(n_samples, n_classes))
    logits[np.arange(n_samples), y] += 1.5
    return softmax(2.0 * logits, axis=1), y


@pytest.mark.parametrize(
    ("n_samples", "n_classes", "rate"),
    [(500, 2, 0.5), (500, 2, 0.004), (100_000, 2, 1e-3), (2000, 10, 1e-3), (5000, 100, 1e-3)],
)
@each_matrix
def test_mean_predictions_are_mean_targets(scaling, n_samples, n_classes, rate):
    q, y = shifted(n_samples, n_classes, rate)
    mean = np.bincount(y) / n_samples
    half_errors = 0.5 * np.sqrt(mean * (1.0 - mean) / n_samples)
    assert (np.abs(q.mean(axis=0) - mean) > half_errors).any()
    proba = scaling().fit(q, y).predict_proba(q)
    assert (np.abs(proba.mean(axis=0) - mean) <= half_errors).all()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 2e299])
@each_matrix
def test_rare_class_of_useless_predictions(scaling, scale):
    """Whatever the unit of the weights."""
    y = np.zeros(4000, int)
    y[:80] = 1
    q = np.full((4000, 2), 0.5)
    proba = scaling().fit(q, y, np.full(4000, scale)).predict_proba(q[:1])
    assert proba[0, 1] == pytest.approx(0.02, abs=0.5 * np.sqrt(0.02 * 0.98 / 4000))


@each_map
@pytest.mark.parametrize("smoothing", ["auto", 0.0, 0.1])
def test_tiny_probabilities(scaling, smoothing):
    q, hard, _, _ = data()
    q = q.copy()
    q[::2] = [1e-300, 5e-324, 1.0]
    q[::5] = [0.0, 1e-20, 1.0]
    model = scaling(smoothing=smoothing).fit(q, hard)
    assert np.isfinite(model.predict_log_proba(q)).all()
    assert_allclose(model.predict_proba(q).sum(axis=1), 1.0)
    # They are raised to the epsilon, like zeros.
    rows = [[1e-300, 0.5, 0.5], [0.0, 0.5, 0.5], [EPS, 0.5, 0.5]]
    a, b, c = model.predict_log_proba(rows)
    assert_allclose(a, b, rtol=1e-12)
    assert_allclose(a, c, rtol=1e-12)


@each_map
def test_less_than_was_seen_in_fit(scaling):
    """Predictions that were right in a narrow range are left alone beyond it."""
    near = np.random.default_rng(0).dirichlet([500, 500, 500], 200)
    far = np.array([[0.98, 0.015, 0.005], [1e-6, 0.5, 0.499999]])
    # Up to what 200 rows cannot exclude.
    assert_allclose(scaling().fit(near, near).predict_proba(far), far, rtol=0.02)


@each_size
@each_map
@pytest.mark.parametrize("smoothing", ["auto", 0.0])
def test_logits(scaling, n_classes, smoothing):
    q, hard, _, _ = data(n_classes)
    rng = np.random.default_rng(0)
    of_proba = scaling(smoothing=smoothing).fit(q, hard)
    for shift in (0.0, 1e3, rng.normal(scale=10, size=(len(q), 1))):
        logits = np.log(q) + shift
        model = scaling(smoothing=smoothing, from_logits=True).fit(logits, hard)
        assert_allclose(parameters(model), parameters(of_proba), rtol=1e-5, atol=1e-6)
        assert_allclose(model.predict_proba(logits), of_proba.predict_proba(q), atol=1e-6)
        assert_array_equal(model.predict(logits), model.predict(logits + 5.0))
        assert_allclose(
            model.predict_log_proba(logits + 7.0), model.predict_log_proba(logits), atol=1e-9
        )


@each_size
@each_map
@each_kind
@pytest.mark.parametrize("smoothing", ["auto", 0.0])
def test_extreme_logits(scaling, n_classes, kind, smoothing):
    rng = np.random.default_rng(0)
    logits = 1e4 * rng.normal(size=(200, n_classes))
    truth = softmax(logits / 1e4, axis=1)
    y = truth if kind == "soft" else np.array([rng.choice(n_classes, p=p) for p in truth])
    model = scaling(smoothing=smoothing, from_logits=True).fit(logits, y)
    assert np.isfinite(model.predict_log_proba(logits)).all()
    assert_allclose(model.predict_proba(logits).sum(axis=1), 1.0)
    if kind == "soft" and scaling is TemperatureScaling and smoothing == 0.0:
        assert model.temperature_ == pytest.approx(1e4, rel=1e-6)
    # Those that are right, all of them.
    right = scaling(smoothing=smoothing, from_logits=True).fit(logits, logits.argmax(axis=1))
    assert_array_equal(right.predict(logits), logits.argmax(axis=1))


def test_useless_predictions():
    q = data()[0]
    for y in ((1.0 - q) / 2.0, np.full_like(q, 1 / 3)):
        for smoothing in ("auto", 0.0):
            model = TemperatureScaling(smoothing=smoothing).fit(q, y)
            if y[0, 0] != 1 / 3:
                assert model.temperature_ == np.inf
            assert_allclose(model.predict_proba(q), 1 / 3, atol=1e-6)
            assert_allclose(model.predict_log_proba(q), -np.log(3), atol=1e-6)
    for scaling in MATRICES.values():
        y = (1.0 - q) / 2.0
        proba = scaling(C=1e-9).fit(q, y).predict_proba(q)
        assert_allclose(proba, np.tile(proba[0], (len(q), 1)), atol=1e-5)
        assert_allclose(proba[0], y.mean(axis=0), atol=0.01)


@each_map
def test_uniform_predictions(scaling):
    y = np.arange(90) % 3
    model = scaling().fit(np.full((90, 3), 1 / 3), y)
    assert_allclose(model.predict_proba(np.full((1, 3), 1 / 3)), 1 / 3, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 5, 20, 100])
@each_matrix
def test_uniform_predictions_of_rare_classes(scaling, n_classes):
    """The coefficient has nothing to go by; the intercepts converge all the same."""
    rng = np.random.default_rng(0)
    for rate in (0.5, 0.1, 0.01):
        y = np.where(rng.random(500) < rate, n_classes - 1, rng.integers(n_classes, size=500))
        mean = np.bincount(y, minlength=n_classes) / 500
        model = scaling(classes=range(n_classes)).fit(
            np.full((500, n_classes), 1 / n_classes), y
        )
        proba = model.predict_proba(np.full((1, n_classes), 1 / n_classes))[0]
        assert (np.abs(proba - mean) <= 0.5 * np.sqrt(np.maximum(mean, 1 / 500) / 500)).all()


@each_map
def test_one_sample(scaling):
    model = scaling(classes=["a", "b", "c"]).fit([[0.2, 0.3, 0.5]], ["a"])
    assert np.isfinite(model.predict_proba([[0.2, 0.3, 0.5]])).all()


# -- What is refused -----------------------------------------------------------


@pytest.mark.parametrize("C", [0, -1.0, np.nan, "1", None, True])
@each_matrix
def test_bad_C(scaling, C):
    q, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^C must be a number > 0"):
        scaling(C=C).fit(q, hard)


def test_bad_from_logits():
    q, hard, _, _ = data()
    with pytest.raises(ValueError, match=r"^from_logits must be True or False; got 'no'"):
        TemperatureScaling(from_logits="no").fit(q, hard)


@each_map
def test_bad_input(scaling):
    q, hard, soft, _ = data()

    def spoilt(array, row, value):
        array = array.copy()
        array[row] = value
        return array

    for value in (np.nan, np.inf):
        for from_logits in (False, True):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                scaling(from_logits=from_logits).fit(spoilt(q, 3, value), hard)
    with pytest.raises(ValueError, match=r"X\[17\].*sum"):
        scaling().fit(spoilt(q, 17, 0.5), hard)
    with pytest.raises(ValueError, match=r"y\[18\].*sum"):
        scaling().fit(q, spoilt(soft, 18, 0.5))
    with pytest.raises(ValueError, match=r"X\[4\]"):
        scaling().fit(spoilt(q, 4, [-0.1, 0.6, 0.5]), hard)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        scaling().fit(q, hard[:-1])
    with pytest.raises(ValueError, match="X has 2 columns, but there are 3 classes"):
        scaling().fit(data(2)[0], hard)
    with pytest.raises(ValueError, match="y has 3 columns, but there are 4 classes"):
        scaling(classes=range(4)).fit(q, soft)
    with pytest.raises(ValueError, match="matrix of integers"):
        scaling().fit(q, np.eye(3, dtype=int)[hard])
    with pytest.raises(ValueError, match="Negative values"):
        scaling().fit(q, hard, -np.ones(len(q)))
    with pytest.raises(ValueError, match=r"zero for every sample|non-zero"):
        scaling().fit(q, hard, np.zeros(len(q)))
    with pytest.raises(ValueError, match="y"):
        scaling().fit(q, None)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        scaling().fit(csr_array(q), hard)


@each_map
def test_bad_input_at_prediction(scaling):
    q, hard, _, _ = data()
    model = scaling()
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(scaling(), method)(q)
    model.fit(q, hard)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(ValueError, match="expecting 3 features"):
            getattr(model, method)(q[:, :2])
        with pytest.raises(ValueError, match=r"X\[0\].*sum"):
            getattr(model, method)(2.0 * q)
        with pytest.raises(ValueError, match="NaN"):
            getattr(model, method)(np.nan * q)


# -- An estimator like others --------------------------------------------------


@each_map
def test_estimator(scaling):
    q, hard, soft, weight = data()
    model = scaling(classes=[0, 1, 2], smoothing=0.3)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert set(model.get_params()) >= {"classes", "from_logits", "smoothing"}
    model.fit(q, hard)
    assert not hasattr(clone(model), "classes_")
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(q), model.predict_proba(q))
    assert_allclose(np.exp(model.predict_log_proba(q)), model.predict_proba(q), rtol=1e-12)
    assert_array_equal(model.predict(q), model.predict_proba(q).argmax(axis=1))
    assert model.score(q, hard, weight) == pytest.approx(
        accuracy_score(hard, model.predict(q), sample_weight=weight)
    )
    assert model.score(q, soft, weight) == pytest.approx(
        d2_kl_score(soft, model.predict_proba(q), sample_weight=weight)
    )
    # Nothing of a fit before is left.
    other = model.set_params(classes=None).fit(q[:, [1, 2, 0]], soft[:, [1, 2, 0]])
    assert_array_equal(other.classes_, [0, 1, 2])


def test_temperature_keeps_the_order_of_classes():
    q, y = forest_like()
    model = TemperatureScaling().fit(q, y)
    assert_array_equal(
        np.argsort(model.predict_proba(q), axis=1, kind="stable"),
        np.argsort(q, axis=1, kind="stable"),
    )


@each_map
@each_kind
def test_scorers(scaling, kind):
    q, y = data()[0], target_of(kind)
    model = scaling().fit(q, y)
    names = get_scorer_names()
    for name in names:
        assert np.isfinite(get_scorer(name)(model, q, y))
    score = get_scorer("neg_kl_loss")(model, q, y)
    assert score == pytest.approx(-kl_loss(y, model.predict_proba(q)), rel=1e-12)


@each_matrix
def test_search(scaling):
    q, _, soft, _ = data()
    cv = StratifiedSoftKFold(3)
    Cs = [1e-4, 1e-2, 1.0]
    scoring = get_scorer("neg_kl_loss")
    search = GridSearchCV(scaling(), {"C": Cs}, cv=cv, scoring=scoring).fit(q, soft)
    scores = [
        cross_val_score(scaling(C=C), q, soft, cv=cv, scoring=scoring).mean() for C in Cs
    ]
    assert_allclose(search.cv_results_["mean_test_score"], scores)
    assert search.best_params_["C"] == Cs[int(np.argmax(scores))]
    assert search.score(q, soft) > -kl_loss(soft, q)


def test_tensors_are_exact_or_refused_by_name():
    torch = pytest.importorskip("torch")
    P = torch.tensor([[0.25, 0.75], [0.875, 0.125], [0.5, 0.5]])
    expected = TemperatureScaling().fit(P.numpy(), P.numpy())
    model = TemperatureScaling().fit(P.bfloat16(), P.bfloat16())
    assert_allclose(
        model.predict_proba(P.bfloat16()), expected.predict_proba(P.numpy()), rtol=1e-12
    )
    with pytest.raises(TypeError, match="X is a tensor that requires grad"):
        model.fit(P.clone().requires_grad_(), P)
