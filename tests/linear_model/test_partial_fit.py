"""partial_fit: the first batch is a fit, and a stream of batches ends near one."""

import pickle
import warnings
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklkl.linear_model import SoftLabelLogisticRegression, _stream
from sklkl.metrics import kl_loss

N_SAMPLES, N_FEATURES = 400, 5

CONTAINERS = {"dense": np.asarray, "csr": csr_array}


@cache
def make_problem(n_classes, soft, correlation=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    X += correlation * rng.normal(size=(N_SAMPLES, 1))
    logits = 1.5 * X @ rng.normal(size=(N_FEATURES, n_classes)) / (1.0 + correlation)
    noise = 0.5 * rng.normal(size=(N_SAMPLES, n_classes))
    y = softmax(logits + noise + np.arange(n_classes) / 2, axis=1)
    if not soft:
        drawn = rng.random((N_SAMPLES, 1)) > y.cumsum(axis=1)
        y = drawn.sum(axis=1).clip(max=n_classes - 1)
    return X, y


def rows(y, n_classes):
    return np.eye(n_classes)[y] if y.ndim == 1 else y


def fit(X, y, sample_weight=None, **params):
    model = SoftLabelLogisticRegression(**{"tol": 1e-10, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def first_call(X, y, sample_weight=None, classes=None, **params):
    model = SoftLabelLogisticRegression(**{"tol": 1e-10, **params})
    return model.partial_fit(X, y, classes, sample_weight)


def stream(X, y, size, *, order=None, container=np.asarray, classes=None, **params):
    """Learn from batches of this size."""
    order = np.arange(len(X)) if order is None else order
    model = SoftLabelLogisticRegression(**params)
    for i in range(0, len(X), size):
        batch = order[i : i + size]
        model.partial_fit(container(X[batch]), y[batch], classes=classes)
    return model


def gap(model, X, y, full):
    """Return by how much less KL the full fit has, as a share of what it gains at all."""
    Y = rows(y, len(full.classes_))
    best = kl_loss(Y, full.predict_proba(X))
    prior = kl_loss(Y, np.tile(Y.mean(axis=0), (len(Y), 1)))
    return (kl_loss(Y, model.predict_proba(X)) - best) / (prior - best)


def centred(model):
    """Return intercepts without the constant that may be added to all."""
    return model.intercept_ - (model.intercept_.mean() if len(model.intercept_) > 1 else 0.0)


def assert_same_model(model, expected, atol=1e-7):
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(centred(model), centred(expected), rtol=0, atol=atol)


# -- The first batch -----------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_first_call_is_fit(n_classes, soft, container, fit_intercept, weighted):
    X, y = make_problem(n_classes, soft)
    X = CONTAINERS[container](X)
    weight = np.random.default_rng(0).uniform(0.0, 2.0, size=N_SAMPLES) if weighted else None
    for C in (0.01, 1.0, 100.0):
        params = {"fit_intercept": fit_intercept, "C": C}
        model = first_call(X, y, weight, range(n_classes), **params)
        expected = fit(X, y, weight, **params)
        assert_same_model(model, expected, atol=1e-5)
        assert model.loss_ == pytest.approx(expected.loss_, rel=1e-7)
        np.testing.assert_array_equal(model.classes_, expected.classes_)
        assert model.classes_.tolist() == list(range(n_classes))
        assert model.n_features_in_ == N_FEATURES
        assert model.coef_.shape == expected.coef_.shape
        assert model.n_iter_ > 0


@pytest.mark.parametrize("container", CONTAINERS)
def test_intercepts_of_the_first_call_sum_to_zero(container):
    """As those of fit, since nothing else determines their sum."""
    X, y = make_problem(5, True)
    model = first_call(CONTAINERS[container](X), y)
    assert model.intercept_.sum() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("container", CONTAINERS)
def test_first_call_in_float32(container):
    X, y = make_problem(3, True)
    X = CONTAINERS[container](X.astype(np.float32))
    model = first_call(X, y, tol=1e-5)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, fit(X, y, tol=1e-5).coef_, atol=2e-3)


def test_first_call_with_class_weights():
    X, y = make_problem(3, False)
    params = {"class_weight": {0: 3.0, 2: 0.5}}
    model = first_call(X, y, classes=[0, 1, 2], **params)
    assert_same_model(model, fit(X, y, **params), atol=1e-6)


def test_first_call_takes_feature_names():
    X, y = make_problem(3, True)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = first_call(frame, y)
    assert model.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame.rename(columns={"a": "z"}), y)
    assert model.feature_names_in_.tolist() == list("abcde")


def test_returns_itself():
    X, y = make_problem(3, True)
    model = SoftLabelLogisticRegression()
    assert model.partial_fit(X, y) is model
    assert model.partial_fit(X, y) is model


# -- Many batches --------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("size", "fit_intercept", "largest_gap"),
    [(1, True, 0.04), (10, False, 0.03), (10, True, 0.03), (100, True, 0.005)],
)
def test_stream_ends_near_the_full_fit(n_classes, soft, fit_intercept, size, largest_gap):
    X, y = make_problem(n_classes, soft)
    full = fit(X, y, fit_intercept=fit_intercept)
    model = stream(X, y, size, classes=range(n_classes), fit_intercept=fit_intercept)
    assert gap(model, X, y, full) < largest_gap


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("size", "largest_gap"), [(1, 0.08), (10, 0.06), (100, 0.03)])
def test_sparse_stream_ends_near_the_full_fit(soft, size, largest_gap):
    X, y = make_problem(3, soft)
    model = stream(X, y, size, container=csr_array, classes=range(3))
    assert gap(model, X, y, fit(X, y)) < largest_gap


@pytest.mark.parametrize("soft", [False, True])
def test_stream_of_many_classes(soft):
    X, y = make_problem(6, soft)
    assert gap(stream(X, y, 20, classes=range(6)), X, y, fit(X, y)) < 0.04


def test_larger_batches_come_nearer():
    X, y = make_problem(3, True)
    full = fit(X, y)
    distances = [
        np.linalg.norm(stream(X, y, size, tol=1e-8).coef_ - full.coef_)
        for size in (5, 50, 200, N_SAMPLES)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-5


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("size", [1, 10, 100])
def test_order_of_batches_matters_little(soft, size):
    X, y = make_problem(3, soft)
    full = fit(X, y)
    model = stream(X, y, size, order=np.argsort(X[:, 0]), classes=range(3))
    assert gap(model, X, y, full) < 0.05
    if size > 1:
        turned = stream(X, y, size, order=np.arange(N_SAMPLES)[::-1], classes=range(3))
        ahead = stream(X, y, size, classes=range(3))
        np.testing.assert_allclose(
            turned.predict_proba(X), ahead.predict_proba(X), rtol=0, atol=0.1
        )


# -- Batches that are not mixed ------------------------------------------------


FORGETFUL = "Mix the classes in every batch, or fit all rows at once"


def sorted_stream(X, y, size, n_classes, container=np.asarray):
    """Learn from batches of one class each, class after class; return warnings, too."""
    order = np.argsort(y, kind="stable")
    starts = [np.arange(0, np.sum(y == k), size) + np.sum(y < k) for k in range(n_classes)]
    model = SoftLabelLogisticRegression()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for batch in np.split(order, np.concatenate(starts)[1:]):
            assert len(set(y[batch])) == 1
            model.partial_fit(container(X[batch]), y[batch], range(n_classes))
    return model, told


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("size", [5, 50, N_SAMPLES])
@pytest.mark.parametrize("container", CONTAINERS)
def test_classes_one_after_the_other(n_classes, size, container):
    """What the first classes taught is not forgotten, and the user is told."""
    X, y = make_problem(n_classes, False)
    model, told = sorted_stream(X, y, size, n_classes, CONTAINERS[container])
    assert [FORGETFUL in str(warning.message) for warning in told] == [True]
    lost = 0.04 if container == "dense" else 0.11
    assert model.score(X, y) > fit(X, y).score(X, y) - lost


def test_single_rows_one_class_after_the_other():
    """There nothing helps, but a warning does."""
    _, told = sorted_stream(*make_problem(3, False), 1, 3)
    assert FORGETFUL in str(told[0].message)


def test_sorted_batches_of_many_classes_warn():
    """Each class is kept well enough by itself, but not against those of other batches."""
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")[::5]
    for rows, n_warnings in ((order, 1), (np.random.default_rng(0).permutation(order), 0)):
        model = SoftLabelLogisticRegression()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for batch in np.array_split(rows, 18):
                model.partial_fit(X[batch] / 16, y[batch], range(10))
        assert len(told) == n_warnings


def test_message_about_batches_that_are_not_mixed():
    X, y = make_problem(2, False)
    labels = np.array(["ham", "spam"])[y]
    model = SoftLabelLogisticRegression()
    model.partial_fit(X[y == 0][:90], labels[y == 0][:90], classes=["ham", "spam"])
    with pytest.warns(UserWarning, match=f"^Class 'spam' came 90 times.*{FORGETFUL}") as told:
        model.partial_fit(X[y == 1][:90], labels[y == 1][:90])
    assert told[0].filename == __file__


@pytest.mark.parametrize("class_weight", [None, {1: 50.0}])
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_rare_class_in_mixed_batches(class_weight, scale):
    """That most batches lack it is no surprise: no warning, and its rate is right."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_000, 2))
    y = (rng.random(10_000) < expit(X[:, 0] - 5.0)).astype(int)
    assert y.sum() < 150
    model = SoftLabelLogisticRegression(C=1.0 / scale, class_weight=class_weight)
    for i in range(0, 10_000, 50):
        batch = slice(i, i + 50)
        model.partial_fit(X[batch], y[batch], [0, 1], sample_weight=np.full(50, scale))
    expected = SoftLabelLogisticRegression(class_weight=class_weight).fit(X, y)
    rates = [m.predict_proba(X)[:, 1].mean() for m in (model, expected)]
    assert rates[0] == pytest.approx(rates[1], rel=0.1)


def test_posterior_learns_more_slowly_than_it_knows():
    """A later batch that contradicts moves the coefficients less than an early one."""
    X, y = make_problem(2, True)
    early = stream(X[:20], y[:20], 20)
    late = stream(X, y, 20)
    steps = []
    for model in (early, late):
        before = model.coef_.copy()
        model.partial_fit(X[:20], y[:20, ::-1])
        steps.append(np.linalg.norm(model.coef_ - before))
    assert steps[1] < 0.6 * steps[0]


def test_posterior_keeps_correlations_of_dense_features():
    X, y = make_problem(3, True, correlation=3.0)
    full = fit(X, y)
    dense = gap(stream(X, y, 20), X, y, full)
    sparse = gap(stream(X, y, 20, container=csr_array), X, y, full)
    assert dense < 0.02
    assert dense < 0.5 * sparse


def test_too_wide_for_matrices(monkeypatch):
    X, y = make_problem(3, True)
    sparse = stream(X, y, 50, container=csr_array, tol=1e-8)
    assert not np.allclose(stream(X, y, 50, tol=1e-8).coef_, sparse.coef_, atol=1e-3)
    monkeypatch.setattr(_stream, "MAX_PRECISION", 4 * (N_FEATURES + 1) ** 2 - 1)
    assert_same_model(stream(X, y, 50, tol=1e-8), sparse, atol=1e-6)
    monkeypatch.setattr(_stream, "MAX_PRECISION", 4 * (N_FEATURES + 1) ** 2)
    assert not np.allclose(stream(X, y, 50, tol=1e-8).coef_, sparse.coef_, atol=1e-3)


def test_wide_rows():
    """More features than matrices of their number squared would have room for."""
    rng = np.random.default_rng(0)
    n_features = 2900
    X = rng.normal(size=(200, n_features)) * (rng.random((200, n_features)) < 0.02)
    y = softmax(3.0 * X[:, :200] @ rng.normal(size=(200, 2)), axis=1)
    model = SoftLabelLogisticRegression()
    for i in range(0, 200, 50):
        model.partial_fit(X[i : i + 50], y[i : i + 50])
    assert model.coef_.shape == (1, n_features)
    assert gap(model, X, y, fit(X, y, tol=1e-6)) < 0.1
    sparse = SoftLabelLogisticRegression()
    for i in range(0, 200, 50):
        sparse.partial_fit(csr_array(X[i : i + 50]), y[i : i + 50])
    np.testing.assert_allclose(model.coef_, sparse.coef_, atol=1e-3)


def test_kinds_of_batches_may_alternate():
    X, y = make_problem(3, True)
    frames = [np.asarray, csr_array, np.asfortranarray]
    model, expected = SoftLabelLogisticRegression(), SoftLabelLogisticRegression()
    for i in range(0, N_SAMPLES, 100):
        batch = slice(i, i + 100)
        model.partial_fit(frames[i // 100 % 3](X[batch]), y[batch])
        expected.partial_fit(X[batch], y[batch])
    assert_same_model(model, expected, atol=1e-3)


def test_stream_in_float32():
    X, y = make_problem(3, True)
    model = stream(X.astype(np.float32), y, 50)
    assert model.coef_.dtype == np.float32
    assert_same_model(model, stream(X, y, 50), atol=0.01)
    assert gap(model, X, y, fit(X, y)) < 0.02


def test_soft_batches_after_hard_ones():
    X, y = make_problem(3, True)
    hard = y.argmax(axis=1)
    model = SoftLabelLogisticRegression()
    model.partial_fit(X[:100], hard[:100], classes=[0, 1, 2])
    model.partial_fit(X[100:200], y[100:200])
    expected = SoftLabelLogisticRegression()
    expected.partial_fit(X[:100], np.eye(3)[hard[:100]])
    expected.partial_fit(X[100:200], y[100:200])
    assert_same_model(model, expected, atol=1e-6)


@pytest.mark.parametrize("soft", [False, True])
def test_deterministic(soft):
    X, y = make_problem(3, soft)
    first, second = (stream(X, y, 50, classes=range(3)) for _ in range(2))
    assert_same_model(first, second, atol=0)


# -- Classes -------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_batch_that_lacks_classes(n_classes):
    X, y = make_problem(n_classes, False)
    labels = np.array(["a", "b", "c"])[y]
    model = SoftLabelLogisticRegression()
    for i in range(0, 200, 30):
        model.partial_fit(
            X[i : i + 30], labels[i : i + 30], classes=["a", "b", "c"][:n_classes]
        )
    accuracy = model.score(X, labels)
    only_a = np.flatnonzero(labels == "a")[:20]
    model.partial_fit(X[only_a], labels[only_a])
    assert model.classes_.tolist() == ["a", "b", "c"][:n_classes]
    assert model.score(X, labels) > accuracy - 0.05
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_first_batch_may_lack_classes():
    X, y = make_problem(3, False)
    model = first_call(X[y == 1][:20], y[y == 1][:20], classes=[0, 1, 2], tol=1e-4)
    assert model.coef_.shape == (3, N_FEATURES)
    assert (model.predict(X) == 1).all()
    for i in range(0, N_SAMPLES, 50):
        model.partial_fit(X[i : i + 50], y[i : i + 50])
    assert gap(model, X, y, fit(X, y)) < 0.05


@pytest.mark.parametrize("classes", ["c", ["c", "a", "b"]])
def test_classes_may_be_the_parameter(classes):
    X, y = make_problem(3, False)
    labels = np.array(["a", "b", "c"])[y]
    order = ["c", "a", "b"]
    model = SoftLabelLogisticRegression(classes=order)
    model.partial_fit(X, labels, classes=None if classes == "c" else classes)
    assert model.classes_.tolist() == sorted(order)
    assert model.score(X, labels) > 0.6


def test_soft_targets_name_the_classes():
    X, y = make_problem(3, True)
    assert first_call(X, y).classes_.tolist() == [0, 1, 2]
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = first_call(X[:200], frame[:200])
    assert model.classes_.tolist() == ["b", "c", "a"]
    # Later frames are put in this order.
    model.partial_fit(X[200:], frame[200:][["a", "b", "c"]])
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same_model(
        model, first_call(X[:200], y[:200]).partial_fit(X[200:], y[200:]), atol=0
    )
    with pytest.raises(ValueError, match=r"unknown columns \['z'\]"):
        model.partial_fit(X, frame.rename(columns={"a": "z"}))


def test_classes_missing_on_the_first_call():
    X, y = make_problem(3, False)
    model = SoftLabelLogisticRegression()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    assert not hasattr(model, "n_features_in_")
    model.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)


def test_other_classes_on_a_later_call():
    X, y = make_problem(3, False)
    model = first_call(X, y, classes=[0, 1, 2])
    model.partial_fit(X, y, classes=[2, 1, 0])  # of labels the order does not matter
    y = np.eye(3)[y]
    for classes in ([0, 1], [2, 1, 0], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="are not those of the first call"):
            model.partial_fit(X, y, classes=classes)
        with pytest.raises(ValueError, match="are not the parameter classes"):
            model.set_params(classes=classes).partial_fit(X, y)
        model.set_params(classes=None)
    with pytest.raises(ValueError, match="are not the parameter classes"):
        SoftLabelLogisticRegression(classes=[2, 1, 0]).partial_fit(X, y, classes=[0, 1, 2])


def test_unknown_label():
    X, y = make_problem(3, False)
    with pytest.raises(ValueError, match=r"y\[\d+\] is 2, not one of the classes \[0, 1\]"):
        first_call(X, y, classes=[0, 1])
    model = first_call(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y\[0\] is 7, not one of the classes"):
        model.partial_fit(X, np.full(N_SAMPLES, 7))


# -- Weights -------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("container", CONTAINERS)
def test_weight_is_repetition(soft, container):
    X, y = make_problem(3, soft)
    repeats = np.random.default_rng(0).integers(0, 4, size=N_SAMPLES)
    params = {"tol": 1e-10, "C": 0.5}
    weighted = SoftLabelLogisticRegression(**params)
    repeated = SoftLabelLogisticRegression(**params)
    for i in range(0, N_SAMPLES, 100):
        batch = slice(i, i + 100)
        each = CONTAINERS[container](X[batch])
        weighted.partial_fit(each, y[batch], [0, 1, 2], sample_weight=repeats[batch])
        rows = np.repeat(np.arange(N_SAMPLES)[batch], repeats[batch])
        repeated.partial_fit(CONTAINERS[container](X[rows]), y[rows], [0, 1, 2])
        assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-6)
    assert_same_model(weighted, repeated)


@pytest.mark.parametrize("container", CONTAINERS)
def test_zero_weight_is_removal(container):
    X, y = make_problem(3, True)
    keep = np.random.default_rng(1).random(N_SAMPLES) < 0.6
    X = np.where(keep[:, None], X, 100.0)
    weighted = SoftLabelLogisticRegression(tol=1e-10)
    removed = SoftLabelLogisticRegression(tol=1e-10)
    for part in np.array_split(np.arange(N_SAMPLES), 2):
        kept = part[keep[part]]
        weighted.partial_fit(
            CONTAINERS[container](X[part]), y[part], sample_weight=keep[part].astype(float)
        )
        removed.partial_fit(CONTAINERS[container](X[kept]), y[kept])
    assert_same_model(weighted, removed)


def test_C_weighs_the_data_against_the_penalty():
    """Weights and C enter by their product alone."""
    X, y = make_problem(3, True)
    scaled = SoftLabelLogisticRegression(C=0.25, tol=1e-10)
    plain = SoftLabelLogisticRegression(C=1.0, tol=1e-10)
    for i in range(0, N_SAMPLES, 200):
        batch = slice(i, i + 200)
        scaled.partial_fit(X[batch], y[batch], sample_weight=np.full(200, 4.0))
        plain.partial_fit(X[batch], y[batch])
    assert_same_model(scaled, plain, atol=1e-6)


# -- State ---------------------------------------------------------------------


def test_after_fit_coefficients_are_drawn_to_those_of_fit():
    X, y = make_problem(3, True)
    half = N_SAMPLES // 2
    model = fit(X[:half], y[:half])
    coef = model.coef_.copy()
    model.set_params(C=1e-4).partial_fit(X[half:], y[half:, ::-1])
    moved = np.linalg.norm(model.coef_ - coef)
    assert 1e-4 < moved < 0.1 * np.linalg.norm(coef)
    # Given strong evidence, they go where it says.
    model.set_params(C=1e4).fit(X[:half], y[:half]).partial_fit(X[half:], y[half:])
    expected = fit(X[half:], y[half:], C=1e4)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=0.01)


def test_fit_forgets_the_stream():
    X, y = make_problem(3, True)
    model = stream(X, y, 50, tol=1e-10)
    model.fit(X[:100], y[:100])
    fresh = fit(X[:100], y[:100])
    assert_same_model(model, fresh)
    model.partial_fit(X[100:200], y[100:200])
    assert_same_model(model, fresh.partial_fit(X[100:200], y[100:200]))


@pytest.mark.parametrize("container", CONTAINERS)
def test_pickling_in_mid_stream(container):
    X, y = make_problem(3, True)
    convert = CONTAINERS[container]
    model = stream(X[:200], y[:200], 50, container=convert)
    restored = pickle.loads(pickle.dumps(model))
    for i in range(200, N_SAMPLES, 50):
        model.partial_fit(convert(X[i : i + 50]), y[i : i + 50])
        restored.partial_fit(convert(X[i : i + 50]), y[i : i + 50])
    assert_same_model(restored, model, atol=0)


def test_a_stream_in_a_memory_map_goes_on(tmp_path):
    """Also with a batch that moves nothing: its minimiser is the mean of the posterior."""
    X, y = make_problem(3, True)
    model = stream(X[:200], y[:200], 50)
    joblib.dump(model, tmp_path / "model")
    for tol in (1e-4, 1e3):
        restored = joblib.load(tmp_path / "model", mmap_mode="r").set_params(tol=tol)
        expected = pickle.loads(pickle.dumps(model)).set_params(tol=tol)
        before = restored._posterior.mean.copy()
        old = restored._posterior
        restored.partial_fit(X[200:], y[200:])
        assert_same_model(restored, expected.partial_fit(X[200:], y[200:]), atol=0)
        np.testing.assert_array_equal(old.mean, before)


def test_coefficients_are_not_those_of_the_posterior():
    X, y = make_problem(3, True)
    model = first_call(X[:, :1], y)
    mean = model._posterior.mean.copy()
    model.coef_ *= 2.0
    np.testing.assert_array_equal(model._posterior.mean, mean)


def test_clone_drops_the_state():
    X, y = make_problem(3, True)
    model = stream(X, y, 100, tol=1e-10)
    copy = clone(model)
    assert not hasattr(copy, "coef_")
    copy.partial_fit(X[:100], y[:100])
    assert_same_model(copy, first_call(X[:100], y[:100]))


def test_parameters_may_change_in_mid_stream():
    X, y = make_problem(3, True)
    model = stream(X[:200], y[:200], 100)
    model.set_params(tol=1e-8, max_iter=500).partial_fit(X[200:], y[200:])
    assert gap(model, X, y, fit(X, y)) < 0.02


@pytest.mark.parametrize("C", [0.5, 1e-3, 1e3])
def test_C_may_not_change_in_mid_stream(C):
    """The batches so far were approximated near the optimum with the C of then."""
    X, y = make_problem(3, True)
    model = stream(X, y, 100)
    with pytest.raises(ValueError, match=f"C={C}: one of them differs from the first call"):
        model.set_params(C=C).partial_fit(X, y)
    model.fit(X, y).partial_fit(X, y)


@pytest.mark.parametrize("container", CONTAINERS)
def test_memory_mapped_model_goes_on(container, tmp_path):
    X, y = make_problem(3, True)
    convert = CONTAINERS[container]
    model = stream(X[:200], y[:200], 100, container=convert)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert not mapped.coef_.flags.writeable
    np.testing.assert_array_equal(mapped.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        mapped.to_sklearn().coef_, mapped.coef_frame().to_numpy()[:-1].T
    )
    # Without an iteration, too, and then with some.
    mapped.set_params(tol=1e3).partial_fit(convert(X[200:]), y[200:])
    model.set_params(tol=1e3).partial_fit(convert(X[200:]), y[200:])
    assert mapped.n_iter_ == 0
    for each in (mapped, model):
        each.set_params(tol=1e-6).partial_fit(convert(X[200:]), y[200:])
    assert_same_model(mapped, model, atol=0)
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    mapped.set_params(warm_start=True, tol=1e-8).fit(convert(X), y)
    assert len(mapped.sparsify().coef_inference(X, y)) == 3 * (N_FEATURES + 1)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("n_features", [1, 5])
def test_intercept_may_not_come_or_go_in_mid_stream(before, n_features):
    X, y = make_problem(3, True)
    X = X[:, :n_features]
    model = stream(X, y, 100, fit_intercept=before)
    with pytest.raises(ValueError, match="fit_intercept"):
        model.set_params(fit_intercept=not before).partial_fit(X, y)


def test_refused_batch_leaves_the_stream_as_it_was():
    X, y = make_problem(3, True)
    model = stream(X[:200], y[:200], 100)
    untouched = stream(X[:200], y[:200], 100)
    bad = X.copy()
    bad[4, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.partial_fit(bad, y)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match=r"y\[0\] sums to"):
        model.partial_fit(X, 2.0 * y)
    with pytest.raises(ValueError, match=r"zero for every sample|at least one non-zero"):
        model.partial_fit(X, y, sample_weight=np.zeros(N_SAMPLES))
    assert model.n_features_in_ == N_FEATURES
    assert_same_model(model, untouched, atol=0)
    model.partial_fit(X[200:], y[200:])
    untouched.partial_fit(X[200:], y[200:])
    assert_same_model(model, untouched, atol=0)


def test_refused_first_batch_leaves_nothing():
    X, y = make_problem(3, True)
    model = SoftLabelLogisticRegression()
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.partial_fit(np.full((N_SAMPLES, 2), np.nan), y)
    assert [name for name in vars(model) if name.endswith("_")] == []
    assert_same_model(model.partial_fit(X, y), fit(X, y), atol=3e-3)


@pytest.mark.parametrize(
    ("params", "got"),
    [
        ({"l1_ratio": 0.5}, "l1_ratio=0.5"),
        ({"C": np.inf}, "C=inf"),
        ({"class_weight": "balanced"}, "class_weight='balanced'"),
    ],
)
def test_no_stream_where_there_can_be_none(params, got):
    X, y = make_problem(3, True)
    assert hasattr(SoftLabelLogisticRegression(), "partial_fit")
    for model in (SoftLabelLogisticRegression(), first_call(X, y)):
        assert not hasattr(model.set_params(**params), "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
            model.partial_fit(X, y)
        assert got in str(error.value.__cause__)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        SoftLabelLogisticRegression.partial_fit(model, X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tol": 0.0}, "^tol must be a finite number > 0"),
        ({"C": -1.0}, "^C must be a number > 0"),
        ({"classes": 3}, "^classes must be a list"),
    ],
)
def test_refused_parameters(params, message):
    X, y = make_problem(3, True)
    model = SoftLabelLogisticRegression(**params)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y)
    assert not hasattr(model, "coef_")
    fitted = first_call(X, y).set_params(**params)
    with pytest.raises(ValueError, match=message):
        fitted.partial_fit(X, y)


# -- Degenerate data -----------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_degenerate_columns(container, n_classes):
    """Zero, constant and repeated columns, all also at once in batches of one."""
    X, y = make_problem(n_classes, True)
    X, y = X[:200], y[:200]
    wide = np.column_stack([np.zeros(200), X, np.full(200, 2.0), X[:, 0]])
    for size in (1, 50):
        model = stream(wide, y, size, container=CONTAINERS[container])
        assert np.isfinite(model.coef_).all()
        assert (model.coef_[:, 0] == 0.0).all()
        np.testing.assert_allclose(model.coef_[:, 1], model.coef_[:, -1], atol=1e-3)
        assert gap(model, wide, y, fit(wide, y)) < (0.05 if container == "dense" else 0.25)


@pytest.mark.parametrize("container", CONTAINERS)
def test_nothing_but_zeros(container):
    _, y = make_problem(3, True)
    X = np.zeros((N_SAMPLES, 2))
    model = stream(X, y, 100, container=CONTAINERS[container])
    assert (model.coef_ == 0.0).all()
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], y.mean(axis=0), atol=0.01)


def test_column_that_appears_late():
    X, y = make_problem(3, True)
    X = X.copy()
    X[:200, 0] = 0.0
    model = stream(X[:200], y[:200], 100)
    assert (model.coef_[:, 0] == 0.0).all()
    for i in range(200, N_SAMPLES, 100):
        model.partial_fit(X[i : i + 100], y[i : i + 100])
    assert gap(model, X, y, fit(X, y)) < 0.05


@pytest.mark.parametrize("container", CONTAINERS)
def test_columns_of_very_different_scales(container):
    X, y = make_problem(2, True)
    scale = np.geomspace(1e-3, 1e3, N_FEATURES)
    params = {"C": 1e8, "tol": 1e-6}
    plain = stream(X, y, 100, container=CONTAINERS[container], **params)
    scaled = stream(X * scale, y, 100, container=CONTAINERS[container], **params)
    np.testing.assert_allclose(scaled.coef_ * scale, plain.coef_, atol=0.05)


def test_separable_stream():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] > 0).astype(int)
    model = stream(X, y, 10, classes=[0, 1])
    assert model.score(X, y) > 0.97
    assert np.abs(model.coef_).max() < 100.0
