"""Calibration maps against their definitions, written down anew."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array
from scipy.special import rel_entr, softmax
from sklearn.base import clone

from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling
from sklkl.metrics import kl_loss
from tests._support.layouts import LAYOUTS
from tests._support.messages import matches
from tests._support.problems import make_problem

MATRICES = {"vector": VectorScaling, "dirichlet": DirichletScaling}
MAPS = {"temperature": TemperatureScaling, **MATRICES}
NAMES = np.array(["a", "m", "z"])
EPS = np.finfo(np.float64).eps
HALVES = np.array([-0.5, 0.5])

each_map = pytest.mark.parametrize("scaling", MAPS.values(), ids=MAPS)
each_matrix = pytest.mark.parametrize("scaling", MATRICES.values(), ids=MATRICES)


@cache
def data(n_classes=3, n_samples=200):
    """Overconfident predictions, labels, soft targets, weights of which some are 0."""
    problem = make_problem(n_classes, n_samples, noise=0.5)
    noise = np.random.default_rng(0).normal(size=problem.soft.shape)
    q = softmax(1.5 * np.log(problem.soft) + noise, axis=1)
    q.setflags(write=False)
    return q, problem.hard, problem.soft, problem.weight


def rows_of(y, n_classes):
    return np.eye(n_classes)[y] if y.ndim == 1 else y


def penalised(scaling, C, **options):
    """A map with this C, if it has one."""
    return scaling(**options) if scaling is TemperatureScaling else scaling(C=C, **options)


def spoilt(array, row, value):
    array = array.copy()
    array[row] = value
    return array


@pytest.mark.parametrize(
    ("n_classes", "kind", "smoothing"), [(2, "soft", 0.0), (3, "hard", 0.1), (6, "soft", 0.1)]
)
def test_temperature_is_the_best(n_classes, kind, smoothing):
    q, hard, soft, weight = data(n_classes)
    y = hard if kind == "hard" else soft
    z = np.log((1.0 - smoothing) * q + smoothing / n_classes)
    rows = rows_of(y, n_classes)

    def loss(inverse):
        return weight @ rel_entr(rows, softmax(inverse * z, axis=1)).sum(axis=1)

    options = {"xatol": 1e-10}
    best = minimize_scalar(loss, bounds=(0, 50), method="bounded", options=options).x
    model = TemperatureScaling(smoothing=smoothing).fit(q, y, weight)
    assert model.smoothing_ == smoothing
    assert 1.0 / model.temperature_ == pytest.approx(best, rel=1e-6)
    assert_allclose(model.predict_proba(q), softmax(z * best, axis=1), atol=1e-6)


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
    q, hard, soft, weight = data(n_classes)
    y = hard if kind == "hard" else soft
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

    slope, *b = minimum(lambda t: loss(t[0] * z, t[1:]), np.eye(1, k + 1)[0])

    def parts(t):
        """Return matrix, intercepts, and what the penalty is on."""
        if scaling is VectorScaling:
            return np.diag(t[:k]), t[k:], t[:k] - slope
        if k == 2:
            return np.array([[0, 0], t[:2]]), t[2] * HALVES, t[:2] - 2 * slope * HALVES
        W = t[:-k].reshape(k, k)
        return W, t[-k:], W - slope * np.eye(k)

    def objective(t):
        W, b, away = parts(t)
        return loss(z @ W.T, b) + away.size / (2.0 * C * weight.sum()) * (away**2).sum()

    W = np.full(k, slope) if scaling is VectorScaling else slope * np.eye(k).ravel()
    start = np.append(W, b)
    if k == 2 and scaling is DirichletScaling:
        start = np.array([-slope, slope, b[1] - b[0]])
    W, b, _ = parts(minimum(objective, start))
    model = scaling(C=C, smoothing=0.0).fit(q, y, weight)
    assert_allclose(model.predict_proba(q), softmax(z @ W.T + b, axis=1), atol=1e-5)


@each_matrix
def test_more_rows_than_are_taken_at_a_time(scaling):
    q, hard, _, weight = data()
    many = scaling(smoothing=0.1).fit(*(np.tile(a.T, 50).T for a in (q, hard, weight)))
    once = scaling(smoothing=0.1).fit(q, hard, 50.0 * weight)
    assert_allclose(many.predict_proba(q), once.predict_proba(q), atol=1e-7)


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
    model = penalised(scaling, np.inf, smoothing=0.0).fit(q, y)
    other = rng.dirichlet(np.ones(n_classes), 20)
    expected = softmax(np.log(other) @ M.T + b, axis=1)
    assert_allclose(model.predict_proba(other), expected, atol=1e-6)
    if scaling is TemperatureScaling:
        assert model.temperature_ == pytest.approx(1.7, rel=1e-6)
        return
    # What all logits have in common is free.
    coef = np.diag(model.coef_) if scaling is VectorScaling else model.coef_
    if n_classes == 2 and scaling is DirichletScaling:
        M, b = M[1:] - M[:1], b[1:] - b[:1]
    elif scaling is DirichletScaling:
        coef, M = coef - coef[0], M - M[0]
    if len(b) > 1:
        b = b - b[0] + model.intercept_[0]
    assert_allclose(coef, M, atol=1e-4)
    assert_allclose(model.intercept_, b, atol=1e-4)


@each_map
def test_what_is_right_stays(scaling):
    """Up to what 200 rows cannot exclude; exactly if no doubt is wanted."""
    q = spoilt(data()[0], slice(None, None, 3), np.eye(3)[0])
    model = scaling().fit(q, q)
    assert 0.0 < model.smoothing_ < 0.01
    assert_allclose(model.predict_proba(q), q, atol=0.2 / 200)
    model = penalised(scaling, np.inf, smoothing=0.0).fit(q, q)
    assert_allclose(model.predict_proba(q), q, atol=1e-9)


@each_map
def test_less_than_was_seen_in_fit(scaling):
    """Predictions that were right in a narrow range are left alone beyond it."""
    near = np.random.default_rng(0).dirichlet([500, 500, 500], 200)
    far = np.array([[0.98, 0.015, 0.005], [1e-6, 0.5, 0.499999]])
    # Up to what 200 rows cannot exclude.
    assert_allclose(scaling().fit(near, near).predict_proba(far), far, rtol=0.02)


@pytest.mark.parametrize(("n_classes", "smoothing"), [(2, 0.0), (3, "auto"), (6, "auto")])
def test_no_map_does_worse_in_sample_than_a_simpler_one(n_classes, smoothing):
    q, hard, _, weight = data(n_classes, 30)
    q = np.where(q < 0.02, 0.0, q)
    q /= q.sum(axis=1, keepdims=True)
    losses = [kl_loss(hard, q, sample_weight=weight)]
    for scaling in MAPS.values():
        proba = scaling(smoothing=smoothing).fit(q, hard, weight).predict_proba(q)
        losses.append(kl_loss(hard, proba, sample_weight=weight))
    identity, temperature, vector, dirichlet = losses
    assert temperature <= identity + 1e-12
    assert max(vector, dirichlet) <= temperature + 1e-12


@each_map
def test_many_classes(scaling):
    q, hard, soft, _ = data(50, 300)
    proba = scaling(classes=range(50)).fit(q, hard).predict_proba(q)
    assert_allclose(proba.sum(axis=1), 1.0, atol=1e-12)
    assert kl_loss(hard, proba, labels=range(50)) < kl_loss(hard, q, labels=range(50))
    assert kl_loss(soft, scaling().fit(q, soft).predict_proba(q)) < 0.5 * kl_loss(soft, q)


def test_temperature_of_hundreds_of_classes():
    rng = np.random.default_rng(0)
    q, noise = rng.dirichlet(np.full(300, 0.3), size=(2, 500))
    y = 0.3 * q + 0.7 * noise
    best = minimize_scalar(
        lambda inverse: rel_entr(y, softmax(inverse * np.log(q), axis=1)).sum(),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-10},
    )
    model = TemperatureScaling(smoothing=0.0).fit(q, y)
    # Targets are mixed with a part of a row of the uniform distribution.
    assert 1.0 / model.temperature_ == pytest.approx(best.x, rel=2e-3)


@each_matrix
def test_many_coefficients_of_few_rows(scaling):
    """Where a temperature is all that is needed, they stay near it: intercepts cost more."""
    rng = np.random.default_rng(0)
    logits = 2.0 * rng.normal(size=(1000, 40))
    truth = softmax(logits, axis=1)
    y = [rng.choice(40, p=p) for p in truth[:400]]
    model = scaling(classes=range(40)).fit(softmax(1.5 * logits[:400], axis=1), y)
    proba = model.predict_proba(softmax(1.5 * logits[400:], axis=1))
    assert kl_loss(truth[400:], proba) < 0.1


def forest_like(n_classes=4, n_samples=300, scale=1.5):
    """Predictions with zeros where there should be none."""
    rng = np.random.default_rng(1)
    p = softmax(scale * rng.normal(size=(n_samples, n_classes)), axis=1)
    y = np.array([rng.choice(n_classes, p=row) for row in p])
    votes = np.stack([rng.multinomial(10, row) for row in p])
    return votes / 10, y


def mostly_right():
    """Most rows uncertain and right, some certain and wrong: a search downhill gets stuck."""
    rng = np.random.default_rng(152)
    n_classes, n_samples = rng.integers(2, 6), rng.integers(3, 200)
    logits = rng.normal(scale=rng.choice([1, 5, 30]), size=(n_samples, n_classes))
    right = rng.random(n_samples) < rng.random()
    y = np.where(right, logits.argmax(axis=1), rng.integers(n_classes, size=n_samples))
    return softmax(logits, axis=1), y


@pytest.mark.parametrize("make", [forest_like, mostly_right])
def test_smoothing_is_nearly_the_best(make):
    q, y = make()

    def loss(smoothing):
        model = TemperatureScaling(smoothing=smoothing, classes=range(q.shape[1])).fit(q, y)
        return kl_loss(y, model.predict_proba(q), labels=range(q.shape[1]))

    grid = 0.0, 1e-9, 1e-6, 1e-3, 0.01, *np.linspace(0.05, 0.99, 10)
    assert loss("auto") <= min(map(loss, grid)) + 1e-4


def test_maps_with_intercepts_choose_their_own_smoothing():
    q, y = forest_like()
    temperature, vector, dirichlet = (scaling().fit(q, y) for scaling in MAPS.values())
    assert 1e-3 < temperature.smoothing_ < 0.9
    assert vector.smoothing_ == dirichlet.smoothing_ != temperature.smoothing_


@each_map
def test_smoothing_is_a_mixture(scaling):
    """A map of mixed probabilities is the map of the probabilities, mixed."""
    q, y = forest_like()
    mixed = 0.8 * q + 0.2 / q.shape[1]
    found = scaling(smoothing=0.2).fit(q, y).predict_proba(q)
    expected = scaling(smoothing=0.0).fit(mixed, y).predict_proba(mixed)
    assert_allclose(found, expected, atol=1e-9)


def test_smoothing_of_many_rows():
    """A sample of them serves, drawn by weight, which then counts no more."""
    q, y = forest_like(40, 2600, scale=3.0)
    weight = np.where(np.arange(len(y)) % 2, 0.3, 1.0)
    y[1::2] = np.random.default_rng(0).integers(40, size=len(y) // 2)

    def smoothing(*data):
        return TemperatureScaling(classes=range(40)).fit(*data).smoothing_

    thrice = np.column_stack([y, y, 0 * y]).ravel(), np.outer(weight, [1, 1, 0]).ravel()
    plain = smoothing(q, y, weight)
    assert smoothing(q.repeat(3, axis=0), *thrice) == pytest.approx(plain, abs=0.03)
    assert smoothing(q, y, weight**2) < plain - 0.06


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
    [
        (500, 2, 0.5),
        (500, 2, 0.004),
        (2000, 10, 1e-3),
        pytest.param(100_000, 2, 1e-3, marks=pytest.mark.slow),
        pytest.param(5000, 100, 1e-3, marks=pytest.mark.slow),
    ],
)
@each_matrix
def test_mean_predictions_are_mean_targets(scaling, n_samples, n_classes, rate):
    q, y = shifted(n_samples, n_classes, rate)
    mean = np.bincount(y) / n_samples
    half_errors = 0.5 * np.sqrt(mean * (1.0 - mean) / n_samples)
    assert (np.abs(q.mean(axis=0) - mean) > half_errors).any()
    proba = scaling().fit(q, y).predict_proba(q)
    assert (np.abs(proba.mean(axis=0) - mean) <= half_errors).all()


@pytest.mark.parametrize(
    ("n_classes", "rate", "scale"),
    [
        (2, 0.02, 1e-300),
        (5, 0.5, 1.0),
        (20, 0.1, 2e299),
        pytest.param(100, 0.01, 1.0, marks=pytest.mark.slow),
    ],
)
@each_matrix
def test_uniform_predictions_of_rare_classes(scaling, n_classes, rate, scale):
    """The coefficient has nothing to go by; the intercepts converge all the same."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(500) < rate, n_classes - 1, rng.integers(n_classes, size=500))
    y = y if n_classes > 2 else np.arange(500) // 490
    mean = np.bincount(y, minlength=n_classes) / 500
    q, weight = np.full((500, n_classes), 1 / n_classes), np.full(500, scale)
    proba = scaling(classes=range(n_classes)).fit(q, y, weight).predict_proba(q[:1])[0]
    errors = np.sqrt(np.maximum(mean * (1.0 - mean), 1 / 500) / 500)
    assert (np.abs(proba - mean) <= 0.5 * errors).all()


@pytest.mark.parametrize("scale", [1e-300, 1e6])  # many rows leave no doubt
@each_matrix
def test_the_scale_of_weights_is_that_of_C(scaling, scale):
    q, hard, _, weight = data()
    expected = scaling(C=0.01).fit(q, hard, weight).predict_proba(q)
    model = scaling(C=0.01 / scale).fit(q, hard, scale * weight)
    assert_allclose(model.predict_proba(q), expected, atol=0.02)


# Zeros, logits, extremes


@pytest.mark.parametrize("n_classes", [2, 3])
@each_map
def test_certain_predictions_that_err(scaling, n_classes):
    """All but one zero in every row, as of a tree: the map learns how often that errs."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=2000)
    said = np.where(rng.random(2000) < 0.7, y, rng.integers(n_classes, size=2000))
    model = penalised(scaling, 100.0).fit(np.eye(n_classes)[said], y)
    proba = model.predict_proba(np.eye(n_classes))
    assert_allclose(np.diag(proba), 0.7 + 0.3 / n_classes, atol=0.06)


@each_map
def test_zeros_that_were_right_so_far(scaling):
    """They are small, not impossible: 60 rows cannot exclude an error in 300."""
    y = np.arange(60) % 3
    proba = scaling().fit(np.eye(3)[y], y).predict_proba(np.eye(3))
    assert_allclose(proba, np.eye(3), atol=1 / 300)
    assert (proba > 1e-3).all()
    rng = np.random.default_rng(0)  # as votes of a forest
    p = rng.beta(0.3, 0.3, size=100)
    votes, y = rng.binomial(20, p) / 20, rng.binomial(1, p)
    y[votes == 0.0], y[votes == 1.0] = 0, 1
    proba = scaling().fit(np.column_stack([1 - votes, votes]), y).predict_proba([[1.0, 0.0]])
    assert 1e-3 < proba[0, 1] < 0.05


@pytest.mark.parametrize("smoothing", ["auto", 0.0])
@each_map
def test_tiny_probabilities(scaling, smoothing):
    q, hard, _, _ = data()
    q = spoilt(q, slice(None, None, 2), [1e-300, 5e-324, 1.0])
    q[::5] = [0.0, 1e-20, 1.0]
    model = scaling(smoothing=smoothing).fit(q, hard)
    assert np.isfinite(model.predict_log_proba(q)).all()
    # They are raised to the epsilon, like zeros.
    a, b, c = model.predict_log_proba([[1e-300, 0.5, 0.5], [0.0, 0.5, 0.5], [EPS, 0.5, 0.5]])
    assert_allclose([a, b], [c, c], rtol=1e-12)


@pytest.mark.parametrize(("n_classes", "smoothing"), [(2, "auto"), (3, 0.0)])
@each_map
def test_logits(scaling, n_classes, smoothing):
    q, hard, _, _ = data(n_classes)
    expected = scaling(smoothing=smoothing).fit(q, hard).predict_proba(q)
    shift = np.random.default_rng(0).normal(scale=100, size=(len(q), 1))
    model = scaling(smoothing=smoothing, from_logits=True).fit(np.log(q) + shift, hard)
    assert_allclose(model.predict_proba(np.log(q) + 7.0), expected, atol=1e-6)
    assert_array_equal(model.predict(np.log(q)), expected.argmax(axis=1))


@pytest.mark.parametrize("smoothing", ["auto", 0.0])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_map
def test_extreme_logits(scaling, n_classes, smoothing):
    rng = np.random.default_rng(0)
    logits = 1e4 * rng.normal(size=(200, n_classes))
    truth = softmax(logits / 1e4, axis=1)
    model = scaling(smoothing=smoothing, from_logits=True)
    log_proba = model.fit(logits, truth).predict_log_proba(logits)
    assert np.isfinite(log_proba).all()
    if scaling is TemperatureScaling and smoothing == 0.0:
        assert model.temperature_ == pytest.approx(1e4, rel=1e-6)
    # Those that are right, all of them.
    model.fit(logits, logits.argmax(axis=1))
    assert_array_equal(model.predict(logits), logits.argmax(axis=1))
    # Also where no number holds the probability.
    assert np.isfinite(model.predict_log_proba(1e3 * logits)).all()


@pytest.mark.parametrize("smoothing", ["auto", 0.0])
def test_temperature_of_useless_predictions_is_infinite(smoothing):
    q = data()[0]
    model = TemperatureScaling(smoothing=smoothing).fit(q, (1.0 - q) / 2.0)
    assert model.temperature_ == np.inf
    assert_allclose(model.predict_proba(q), 1 / 3, atol=1e-6)
    model.fit(q, np.full_like(q, 1 / 3))
    assert_allclose(model.predict_log_proba(q), -np.log(3), atol=1e-6)


@each_matrix
def test_useless_predictions_leave_class_frequencies(scaling):
    q = data()[0]
    y = (1.0 - q) / 2.0
    proba = scaling(C=1e-9).fit(q, y).predict_proba(q)
    assert_allclose(proba, np.tile(proba[0], (len(q), 1)), atol=1e-5)
    assert_allclose(proba[0], y.mean(axis=0), atol=0.01)


# Columns and classes


def test_every_kind_of_array():
    q, _, soft, weight = data()
    model = DirichletScaling().fit(q, soft, weight)
    expected = model.predict_proba(q)
    kinds = [list, *LAYOUTS.values()]
    for kind in kinds:
        again = DirichletScaling().fit(kind(q), kind(soft), weight.tolist())
        assert_allclose(again.predict_proba(kind(q)), expected, atol=1e-9)
    q, soft = q.astype(np.float32), soft.astype(np.float32)
    single = DirichletScaling().fit(q, soft, weight).predict_proba(q)
    assert single.dtype == np.float64
    assert_allclose(single, expected, atol=1e-4)


@each_map
def test_names_of_columns(scaling):
    """Those of a frame, or ``classes``, say which column is which class."""
    q, _, soft, _ = data()
    X, Y = pd.DataFrame(q, columns=NAMES), pd.DataFrame(soft, columns=NAMES)
    turned = X[["m", "z", "a"]]
    expected = scaling().fit(q, soft).predict_proba(q)
    for model in (
        scaling().fit(X, soft),
        scaling().fit(turned, Y),
        scaling(classes=NAMES).fit(turned, soft),
        scaling(classes=NAMES).fit(X, Y[["z", "m", "a"]]),
    ):
        assert_array_equal(model.classes_, NAMES)
        assert_allclose(model.predict_proba(X), expected, atol=1e-6)
        assert_array_equal(model.predict_proba(turned), model.predict_proba(X))
    model = scaling().fit(q, Y)
    assert_array_equal(model.classes_, NAMES)
    assert_array_equal(model.predict_proba(q), expected)


@each_map
def test_classes_of_labels_are_sorted(scaling):
    q, hard, _, _ = data()
    labels, order = NAMES[hard], ["z", "a", "m"]
    X = pd.DataFrame(q, columns=NAMES)
    expected = scaling().fit(q, labels).predict_proba(q)
    turned = X[order].to_numpy()
    by_frame = scaling().fit(X[order], labels)
    by_list = scaling(classes=order).fit(turned, labels)
    for model in (by_frame, by_list):
        assert_array_equal(model.classes_, NAMES)
        assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    # The columns of an array are those that fit got.
    assert_allclose(by_list.predict_proba(turned), expected, atol=1e-6)
    assert_array_equal(by_list.predict(turned), NAMES[expected.argmax(axis=1)])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_allclose(by_frame.predict_proba(turned), expected, atol=1e-6)


@each_map
def test_a_class_that_no_label_has(scaling):
    q, hard, _, _ = data()
    y = np.where(hard == 2, 0, hard)
    model = scaling(classes=[0, 1, 2]).fit(q, y)
    proba = model.predict_proba(q)
    assert proba.shape == q.shape
    assert (proba > 0).all()
    one_hot = scaling().fit(q, np.eye(3)[y])
    assert_allclose(one_hot.predict_proba(q), proba, atol=1e-6)
    X = pd.DataFrame(q, columns=NAMES)
    assert_allclose(scaling().fit(X, NAMES[y]).predict_proba(X), proba, atol=1e-6)
    # One sample, or one class, alone.
    assert np.isfinite(clone(model).fit(q[:1], y[:1]).predict_proba(q)).all()
    proba = model.fit(q, np.ones(len(q), int)).predict_proba(q)
    assert np.isfinite(proba).all()
    assert scaling is TemperatureScaling or (proba.argmax(axis=1) == 1).all()


def test_numbered_columns_at_prediction():
    """scikit-learn sees names of columns only if they are strings."""
    q, hard, _, _ = data()
    X = pd.DataFrame(q)
    model = VectorScaling().fit(X, hard)
    for method in (model.predict_proba, model.predict_log_proba, model.predict):
        assert_array_equal(method(X[[2, 0, 1]]), method(q))


# What is refused


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [("C", value, "a number > 0") for value in (0, -1.0, np.nan, "1", None, True)]
    + [
        ("smoothing", value, "'auto' or a number from 0 to below 1")
        for value in (-0.1, 1.0, np.nan, "some", None, [0.1])
    ]
    + [("from_logits", "no", "True or False")],
)
def test_bad_parameters(name, value, rule):
    q, hard, _, _ = data()
    with pytest.raises(ValueError, match=matches(f"{name} must be {rule}", "got")):
        VectorScaling(**{name: value}).fit(q, hard)


Q, HARD, SOFT, _ = data()
UNREADABLE = SimpleNamespace(requires_grad=True)
HOLE = pd.DataFrame(Q.copy(), columns=NAMES).astype("Float64")
HOLE.iloc[3, 1] = pd.NA


@pytest.mark.parametrize(
    ("X", "y", "options", "parts"),
    [
        (spoilt(Q, 3, np.nan), HARD, {}, ["NaN"]),
        (spoilt(Q, 3, np.inf), HARD, {"from_logits": True}, ["infinity"]),
        (spoilt(Q, 17, 0.5), HARD, {}, ["X[17] sums to"]),
        (spoilt(Q, 4, [-0.1, 0.6, 0.5]), HARD, {}, ["X[4]", "negative"]),
        (Q, SOFT[:-1], {}, ["inconsistent numbers of samples"]),
        (Q[:, :2], HARD, {}, ["X has 2 columns, but there are 3 classes", "classes="]),
        (Q, SOFT, {"classes": range(4)}, ["y has 3 columns, but there are 4 classes"]),
        (Q, HARD, {"classes": [0, 1, 7]}, ["not one of the classes"]),
        (pd.DataFrame(Q, columns=["p", "q", "r"]), NAMES[HARD], {}, ["['p', 'q', 'r']"]),
        (csr_array(Q), HARD, {}, ["parse"]),
        (UNREADABLE, HARD, {}, ["X is a tensor that requires grad"]),
        (HOLE, HARD, {}, ["X[3] contains NaN; drop or fill such rows"]),
    ],
)
def test_bad_input(X, y, options, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        DirichletScaling(**options).fit(X, y)


@pytest.mark.parametrize(
    ("X", "parts"),
    [
        (Q[:, :2], ["expecting 3 features"]),
        (2.0 * Q, ["X[0] sums to"]),
        (np.nan * Q, ["NaN"]),
        (HOLE, ["X[3] contains NaN; drop or fill such rows"]),
        (pd.DataFrame(Q, columns=["a", "b", "z"]), ["columns of X are not the classes"]),
        (UNREADABLE, ["X is a tensor that requires grad"]),
    ],
)
def test_bad_input_at_prediction(X, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        TemperatureScaling().fit(Q, NAMES[HARD]).predict_proba(X)
