"""partial_fit: the first batch is a fit, and a stream of batches ends near one."""

import pickle
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.datasets import load_digits

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import kl_loss
from tests._support.messages import matches

N_SAMPLES, N_FEATURES = 400, 5

each_container = pytest.mark.parametrize("container", [np.asarray, csr_array])


@cache
def make_problem(n_classes=3, soft=True, correlation=0.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    X += correlation * rng.normal(size=(N_SAMPLES, 1))
    logits = 1.5 * X @ rng.normal(size=(N_FEATURES, n_classes)) / (1.0 + correlation)
    noise = 0.5 * rng.normal(size=(N_SAMPLES, n_classes))
    y = softmax(logits + noise + np.arange(n_classes) / 2, axis=1)
    if not soft:
        drawn = rng.random((N_SAMPLES, 1)) > y.cumsum(axis=1)
        y = drawn.sum(axis=1).clip(max=n_classes - 1)
    return X, y


def fit(X, y, sample_weight=None, **params):
    model = SoftLabelLogisticRegression(**{"tol": 1e-10, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def learn(X, y, batches, *, container=np.asarray, classes=None, **params):
    model = SoftLabelLogisticRegression(**params)
    for batch in batches:
        model.partial_fit(container(X[batch]), y[batch], classes)
    return model


def stream(X, y, size, **options):
    """Learn from batches of this size."""
    return learn(X, y, [slice(i, i + size) for i in range(0, len(X), size)], **options)


def gap(model, X, y, full):
    """Return by how much less KL the full fit has, as a share of what it gains at all."""
    Y = np.eye(len(full.classes_))[y] if y.ndim == 1 else y
    best = kl_loss(Y, full.predict_proba(X))
    prior = kl_loss(Y, np.tile(Y.mean(axis=0), (len(Y), 1)))
    return (kl_loss(Y, model.predict_proba(X)) - best) / (prior - best)


def centred(model):
    """Return intercepts without the constant that may be added to all."""
    return model.intercept_ - (model.intercept_.mean() if len(model.intercept_) > 1 else 0.0)


def assert_same_model(model, expected, atol=1e-7):
    assert_allclose(model.coef_, expected.coef_, rtol=0, atol=atol)
    assert_allclose(centred(model), centred(expected), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("n_classes", "soft", "container", "weighted", "params"),
    [
        (2, False, csr_array, True, {"C": 0.01}),
        (2, True, np.asarray, False, {"C": 100.0, "fit_intercept": False}),
        (3, False, np.asarray, True, {"class_weight": {0: 3.0, 2: 0.5}}),
        (5, True, csr_array, False, {"fit_intercept": False}),
        (5, True, np.asarray, True, {"C": 100.0}),
    ],
)
def test_first_call_is_fit(n_classes, soft, container, weighted, params):
    X, y = make_problem(n_classes, soft)
    X = container(X)
    weight = np.random.default_rng(0).uniform(0.0, 2.0, size=N_SAMPLES) if weighted else None
    model = SoftLabelLogisticRegression(tol=1e-10, **params)
    assert model.partial_fit(X, y, range(n_classes), weight) is model
    expected = fit(X, y, weight, **params)
    assert_same_model(model, expected, atol=1e-5)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-7)
    assert model.classes_.tolist() == list(range(n_classes))
    assert model.n_iter_ > 0
    if n_classes > 2:  # as those of fit, since nothing else determines their sum
        assert model.intercept_.sum() == pytest.approx(0.0, abs=1e-10)


@each_container
def test_float32(container):
    X, y = make_problem()
    X32 = container(X.astype(np.float32))
    model = SoftLabelLogisticRegression(tol=1e-5).partial_fit(X32, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert_allclose(model.coef_, fit(X32, y, tol=1e-5).coef_, atol=2e-3)
    model.partial_fit(X32, y)
    assert model.coef_.dtype == np.float32


@pytest.mark.parametrize(
    ("n_classes", "soft", "container", "size", "intercept", "most"),
    [
        (2, True, np.asarray, 1, True, 0.04),
        (3, False, np.asarray, 10, False, 0.03),
        (2, False, np.asarray, 100, True, 0.005),
        (6, True, np.asarray, 20, True, 0.04),
        pytest.param(3, False, csr_array, 1, True, 0.08, marks=pytest.mark.slow),
        (3, True, csr_array, 10, True, 0.06),
        (3, False, csr_array, 100, True, 0.03),
    ],
)
def test_stream_ends_near_the_full_fit(n_classes, soft, container, size, intercept, most):
    X, y = make_problem(n_classes, soft)
    full = fit(X, y, fit_intercept=intercept)
    params = {"classes": range(n_classes), "fit_intercept": intercept}
    assert gap(stream(X, y, size, container=container, **params), X, y, full) < most
    if container is np.asarray and size in (10, 100):
        # Nor does it matter much how the rows are ordered.
        order = np.argsort(X[:, 0])
        assert gap(stream(X[order], y[order], size, **params), X, y, full) < 0.05


def test_posterior_keeps_correlations_of_dense_features():
    X, y = make_problem(correlation=3.0)
    full = fit(X, y)
    dense = gap(stream(X, y, 20), X, y, full)
    sparse = gap(stream(X, y, 20, container=csr_array), X, y, full)
    assert dense < 0.02
    assert dense < 0.5 * sparse


def test_wide_rows():
    """More features than matrices of their number squared would have room for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2900)) * (rng.random((200, 2900)) < 0.02)
    y = softmax(3.0 * X[:, :200] @ rng.normal(size=(200, 2)), axis=1)
    model = stream(X, y, 100)
    assert model.coef_.shape == (1, 2900)
    assert gap(model, X, y, fit(X, y, tol=1e-6)) < 0.1
    sparse = stream(X, y, 100, container=csr_array)
    assert_allclose(model.coef_, sparse.coef_, atol=1e-3)


def test_kinds_of_batches_may_alternate():
    X, y = make_problem()
    hard = y[:100].argmax(axis=1)
    model = SoftLabelLogisticRegression(tol=1e-8).partial_fit(X[:100], hard, [0, 1, 2])
    expected = SoftLabelLogisticRegression(tol=1e-8).partial_fit(X[:100], np.eye(3)[hard])
    assert_same_model(model, expected, atol=1e-6)
    for i, kind in ((100, csr_array), (200, np.asfortranarray), (300, np.ndarray.tolist)):
        model.partial_fit(kind(X[i : i + 100]), y[i : i + 100])
        expected.partial_fit(X[i : i + 100], y[i : i + 100])
    assert_same_model(model, expected, atol=1e-6)


FORGETFUL = "Mix the classes in every batch"


@pytest.mark.parametrize(
    ("n_classes", "size", "container"),
    [(2, 5, csr_array), (3, 50, np.asarray), (3, 400, csr_array), (2, 400, np.asarray)],
)
def test_classes_one_after_the_other(n_classes, size, container):
    """What the first classes taught is not forgotten, and the user is told once."""
    X, y = make_problem(n_classes, False)
    batches = []
    for rows in (np.flatnonzero(y == label) for label in range(n_classes)):
        batches += np.split(rows, range(size, len(rows), size))
    with pytest.warns(UserWarning, match=FORGETFUL) as told:
        model = learn(X, y, batches, container=container, classes=range(n_classes))
    assert len(told) == 1
    lost = 0.04 if container is np.asarray else 0.11
    assert model.score(X, y) > fit(X, y).score(X, y) - lost


def test_sorted_batches_of_many_classes_warn():
    """Each class is kept well enough by itself, but not against those of other batches."""
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")[::5]
    with pytest.warns(UserWarning, match=FORGETFUL) as told:
        learn(X / 16, y, np.array_split(order, 18), classes=range(10))
    assert len(told) == 1
    mixed = np.random.default_rng(0).permutation(order)
    learn(X / 16, y, np.array_split(mixed, 18), classes=range(10))


@pytest.mark.parametrize(("class_weight", "scale"), [(None, 1.0), ({1: 50.0}, 1e-9)])
def test_rare_class_in_mixed_batches(class_weight, scale):
    """That most batches lack it is no surprise: no warning, and its rate is right."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_000, 2))
    y = (rng.random(10_000) < expit(X[:, 0] - 5.0)).astype(int)
    assert y.sum() < 150
    model = SoftLabelLogisticRegression(C=1.0 / scale, class_weight=class_weight)
    for batch in np.split(np.arange(10_000), 200):
        model.partial_fit(X[batch], y[batch], [0, 1], np.full(50, scale))
    expected = SoftLabelLogisticRegression(class_weight=class_weight).fit(X, y)
    rates = [m.predict_proba(X)[:, 1].mean() for m in (model, expected)]
    assert rates[0] == pytest.approx(rates[1], rel=0.1)


def test_half_of_the_classes_at_a_time_are_few():
    """Two classes after two others are forgotten although each batch has some of both."""
    X, y = make_problem(6, False)
    X, y = X[y < 4], np.array(list("abcd"))[y[y < 4]]
    first, second = y < "c", y > "b"
    model = SoftLabelLogisticRegression().partial_fit(X[first], y[first], list("abcd"))
    n_rows = {label: np.count_nonzero(y == label) for label in "cd"}
    label = max(n_rows, key=n_rows.get)
    message = f"^Class '{label}' came {n_rows[label]} times.*{FORGETFUL}"
    with pytest.warns(UserWarning, match=message):
        model.partial_fit(X[second], y[second])
    rows = np.r_[np.flatnonzero(first), np.flatnonzero(second)]
    with pytest.warns(UserWarning, match=FORGETFUL) as told:
        stream(X[rows], y[rows], 4, classes=list("abcd"))
    assert len(told) == 1


def test_class_of_weight_zero():
    """Its rows are no rows; the others are learnt as without them."""
    X, y = make_problem(3, False)
    model = stream(X, y, 100, classes=range(3), class_weight={2: 0.0}, tol=1e-8)
    assert np.isfinite(model.coef_).all()
    assert model.predict_proba(X)[:, 2].max() < 0.01
    rest = y < 2
    assert model.score(X[rest], y[rest]) > fit(X[rest], y[rest]).score(X[rest], y[rest]) - 0.02


def test_batches_may_lack_classes():
    X, y = make_problem(3, False)
    labels = np.array(["a", "b", "c"])[y]
    only_b = y == 1
    model = SoftLabelLogisticRegression()
    model.partial_fit(X[only_b][:20], labels[only_b][:20], classes=["a", "b", "c"])
    assert model.coef_.shape == (3, N_FEATURES)
    assert (model.predict(X) == "b").all()
    for i in range(0, N_SAMPLES, 50):
        model.partial_fit(X[i : i + 50], labels[i : i + 50])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert gap(model, X, y, fit(X, y)) < 0.05
    # A later one does not make the others forgotten.
    model = stream(X[:210], y[:210], 30, classes=range(3))
    model.partial_fit(X[only_b][:20], y[only_b][:20])
    assert gap(model, X, y, fit(X, y)) < 0.05


@pytest.mark.parametrize("classes", [None, ["b", "c", "a"]])
def test_classes_may_be_the_parameter(classes):
    X, y = make_problem(3, False)
    labels = np.array(["a", "b", "c"])[y]
    model = SoftLabelLogisticRegression(classes=["c", "a", "b"])
    model.partial_fit(X, labels, classes=classes)  # of labels the order does not matter
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.score(X, labels) > 0.6


def test_soft_targets_name_the_classes():
    X, y = make_problem()
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = SoftLabelLogisticRegression().partial_fit(X[:200], frame[:200])
    assert model.classes_.tolist() == ["b", "c", "a"]
    # Later frames are put in this order.
    model.partial_fit(X[200:], frame[200:][["a", "b", "c"]])
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same_model(model, stream(X, y, 200), atol=0)
    with pytest.raises(ValueError, match=r"unknown columns \['z'\]"):
        model.partial_fit(X, frame.rename(columns={"a": "z"}))


def test_classes_missing_on_the_first_call():
    X, y = make_problem(3, False)
    model = SoftLabelLogisticRegression()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    assert not hasattr(model, "n_features_in_")
    model.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y\[0\] is 7, not one of the classes"):
        model.partial_fit(X, np.full(N_SAMPLES, 7))


@pytest.mark.parametrize("classes", [[0, 1], [2, 1, 0], [0, 1, 2, 3]])
def test_other_classes_on_a_later_call(classes):
    X, y = make_problem()
    model = SoftLabelLogisticRegression(tol=0.1).partial_fit(X, y)
    with pytest.raises(ValueError, match="are not the classes of the first call"):
        model.partial_fit(X, y, classes=classes)
    with pytest.raises(ValueError, match="are not the parameter classes"):
        model.set_params(classes=classes).partial_fit(X, y)
    with pytest.raises(ValueError, match="are not the parameter classes"):
        SoftLabelLogisticRegression(classes=classes).partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize(("soft", "container"), [(True, np.asarray), (False, csr_array)])
def test_weight_is_repetition(soft, container):
    """And a weight of 0 is removal."""
    X, y = make_problem(3, soft)
    repeats = np.random.default_rng(0).integers(0, 4, size=N_SAMPLES)
    X = np.where(repeats[:, None] > 0, X, 100.0)
    weighted, repeated = (SoftLabelLogisticRegression(tol=1e-10, C=0.5) for _ in range(2))
    for i in range(0, N_SAMPLES, 100):
        batch = slice(i, i + 100)
        weighted.partial_fit(container(X[batch]), y[batch], [0, 1, 2], repeats[batch])
        rows = np.repeat(np.arange(N_SAMPLES)[batch], repeats[batch])
        repeated.partial_fit(container(X[rows]), y[rows], [0, 1, 2])
        assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-6)
        # The loss is that of the batch alone, at the coefficients after it.
        proba = repeated.predict_proba(X[rows])
        assert repeated.loss_ == pytest.approx(kl_loss(y[rows], proba), rel=1e-6)
    assert_same_model(weighted, repeated)


def test_after_fit_coefficients_are_drawn_to_those_of_fit():
    X, y = make_problem()
    half = N_SAMPLES // 2
    model = fit(X[:half], y[:half])
    coef = model.coef_.copy()
    model.set_params(C=1e-4).partial_fit(X[half:], y[half:, ::-1])
    moved = np.linalg.norm(model.coef_ - coef)
    assert 1e-4 < moved < 0.1 * np.linalg.norm(coef)
    # Given strong evidence, they go where it says.
    model.set_params(C=1e4).fit(X[:half], y[:half]).partial_fit(X[half:], y[half:])
    expected = fit(X[half:], y[half:], C=1e4)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=0.01)


def test_fit_forgets_the_stream():
    X, y = make_problem()
    model = stream(X, y, 50, tol=1e-10).fit(X[:100], y[:100])
    fresh = fit(X[:100], y[:100])
    assert_same_model(model, fresh)
    model.partial_fit(X[100:200], y[100:200])
    assert_same_model(model, fresh.partial_fit(X[100:200], y[100:200]))


@each_container
def test_stored_streams_go_on(container, tmp_path):
    """From a pickle, and from a memory map, which must not be written to."""
    X, y = make_problem()
    model = stream(X[:200], y[:200], 100, container=container)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.coef_.flags.writeable
    # At the first tolerance, a batch moves nothing.
    for each in (mapped, pickle.loads(pickle.dumps(model)), model):
        for tol in (1e3, 1e-6):
            each.set_params(tol=tol).partial_fit(container(X[200:]), y[200:])
        assert_same_model(each, mapped, atol=0)
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert mapped.to_sklearn().coef_.flags.writeable
    mapped.set_params(warm_start=True, tol=1e-8).fit(container(X), y)
    assert len(mapped.sparsify().coef_inference(X, y)) == 3 * (N_FEATURES + 1)


def test_changed_coefficients_do_not_change_what_was_learned():
    X, y = make_problem()
    model, expected = stream(X[:200], y[:200], 200), stream(X[:200], y[:200], 200)
    model.coef_ *= 2.0
    assert_same_model(*(each.partial_fit(X[200:], y[200:]) for each in (model, expected)))


@pytest.mark.parametrize(("name", "value"), [("C", 0.5), ("C", 1e3), ("fit_intercept", False)])
def test_C_and_intercept_may_not_change_in_mid_stream(name, value):
    """The batches so far were approximated near the optimum with the C of then."""
    X, y = make_problem()
    model = stream(X, y, 100)
    message = matches(f"{name}={value}", "one of them differs from the first call")
    with pytest.raises(ValueError, match=message):
        model.set_params(**{name: value}).partial_fit(X, y)
    model.fit(X, y).partial_fit(X, y)


def test_refused_batch_leaves_the_stream_as_it_was():
    X, y = make_problem()
    frame = pd.DataFrame(X, columns=list("abcde"))
    bad = frame.where(frame["a"] < 2.0)
    fresh, begun, untouched = (SoftLabelLogisticRegression() for _ in range(3))
    for model in (begun, untouched):
        model.partial_fit(frame[:200], y[:200])
    for model in (fresh, begun):
        before = dict(vars(model))
        for C, batch, message in (
            (1.0, (bad, y), "Input X contains NaN"),
            (1.0, (frame, 2.0 * y), r"y\[0\] sums to"),
            (-1.0, (frame, y), "C must be a number > 0"),
        ):
            with pytest.raises(ValueError, match=message):
                model.set_params(C=C).partial_fit(*batch)
        assert vars(model.set_params(C=1.0)).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before if name != "C")
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame.rename(columns={"a": "z"}), y)
    rest = frame[200:], y[200:]
    assert_same_model(model.partial_fit(*rest), untouched.partial_fit(*rest), atol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("l1_ratio", 0.5), ("C", np.inf), ("class_weight", "balanced")],
)
def test_no_stream_where_there_can_be_none(name, value):
    X, y = make_problem()
    assert hasattr(SoftLabelLogisticRegression(), "partial_fit")
    for model in (SoftLabelLogisticRegression(), stream(X, y, N_SAMPLES)):
        assert not hasattr(model.set_params(**{name: value}), "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
            model.partial_fit(X, y)
        assert f"{name}={value!r}" in str(error.value.__cause__)


@each_container
@pytest.mark.parametrize("size", [1, 50])
def test_degenerate_columns(size, container):
    """Zero, constant and repeated columns, all also at once in batches of one."""
    X, y = (each[:200] for each in make_problem(3 if container is np.asarray else 2))
    wide = np.column_stack([np.zeros(200), X, np.full(200, 2.0), X[:, 0]])
    model = stream(wide, y, size, container=container)
    assert np.isfinite(model.coef_).all()
    assert (model.coef_[:, 0] == 0.0).all()
    assert_allclose(model.coef_[:, 1], model.coef_[:, -1], atol=1e-3)
    assert gap(model, wide, y, fit(wide, y)) < (0.05 if container is np.asarray else 0.25)


def test_column_that_appears_late():
    X, y = make_problem()
    X = X.copy()
    X[:200, 0] = 0.0
    model = stream(X[:200], y[:200], 100)
    assert (model.coef_[:, 0] == 0.0).all()
    model.partial_fit(X[200:300], y[200:300]).partial_fit(X[300:], y[300:])
    assert gap(model, X, y, fit(X, y)) < 0.05


@each_container
def test_columns_of_very_different_scales(container):
    X, y = make_problem(2)
    scale = np.geomspace(1e-3, 1e3, N_FEATURES)
    params = {"C": 1e8, "tol": 1e-6, "container": container}
    plain, scaled = stream(X, y, 100, **params), stream(X * scale, y, 100, **params)
    assert_allclose(scaled.coef_ * scale, plain.coef_, atol=0.05)


def test_separable_stream():
    X = np.random.default_rng(0).normal(size=(400, 3))
    y = (X[:, 0] > 0).astype(int)
    model = stream(X, y, 10, classes=[0, 1])
    assert model.score(X, y) > 0.97
    assert np.abs(model.coef_).max() < 100.0
