"""PooledClassifier against SciPy, scikit-learn, grids, and the same steps done by hand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_backend, parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import log_softmax, rel_entr, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklkl.distillation import DistilledClassifier, PooledClassifier
from sklkl.distillation._pooling import MixtureLoss, ProductLoss, raised
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import d2_kl_score, kl_loss
from sklkl.model_selection import soft_cross_val_predict

NAMES = np.array(["a", "m", "z"])
METHODS = {"arithmetic": "predict_proba", "geometric": "predict_log_proba"}

each_pooling = pytest.mark.parametrize("pooling", METHODS)


class Table(ClassifierMixin, BaseEstimator):
    """A fitted classifier that says what it is told of row ``X[i, 0]``; no logarithms."""

    def __init__(self, proba, classes=None):
        self.proba = proba
        self.classes = classes
        self.classes_ = np.arange(np.shape(proba)[1]) if classes is None else np.array(classes)

    def fit(self, X, y):
        raise AssertionError("It is frozen.")

    def predict_proba(self, X):
        return np.asarray(self.proba)[np.asarray(X)[:, 0].astype(int)]


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what its ``fit`` was given."""

    def fit(self, X, y, sample_weight=None, group=None):
        self.y_, self.sample_weight_, self.group_ = y, sample_weight, group
        self.inner_ = GaussianNB().fit(X, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


def known(seed, scale=1.0, n_classes=3, classes=None):
    """Make a frozen model with coefficients of its own."""
    rng = np.random.default_rng(seed)
    model = LogisticRegression()
    model.coef_ = scale * rng.normal(size=(n_classes, 4))
    model.intercept_ = scale * rng.normal(size=n_classes)
    model.classes_ = np.arange(n_classes) if classes is None else np.array(classes)
    return FrozenEstimator(model)


def tables(*probas):
    return [FrozenEstimator(Table(p)) for p in probas]


def rows(n_samples):
    return np.arange(n_samples)[:, np.newaxis]


def features(n_samples=200, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, 4))


def data(n_samples=200):
    """Features, labels, soft targets, weights."""
    rng = np.random.default_rng(n_samples)
    X = features(n_samples)
    soft = softmax(2 * X[:, :3] + rng.normal(size=(n_samples, 3)), axis=1)
    return X, soft.argmax(axis=1), soft, rng.uniform(0.2, 3.0, n_samples)


def drawn(proba, seed=0):
    u = np.random.default_rng(seed).random((len(proba), 1))
    return (proba.cumsum(axis=1) > u).argmax(axis=1)


def pool(logs, weights, pooling):
    """The definition, where there are no zeros."""
    if pooling == "arithmetic":
        return sum(w * np.exp(log) for w, log in zip(weights, logs, strict=True))
    return softmax(sum(w * log for w, log in zip(weights, logs, strict=True)), axis=1)


def loss_of(target, logs, weights, pooling, sample_weight=None):
    losses = rel_entr(target, pool(logs, weights, pooling)).sum(axis=1)
    return np.average(losses, weights=sample_weight)


def logs_of(models, X):
    return [model.predict_log_proba(X) for model in models]


# -- scikit-learn's checks -----------------------------------------------------


@parametrize_with_checks(
    [
        PooledClassifier([GaussianNB(), LogisticRegression()], pooling="geometric"),
        PooledClassifier(
            {"bayes": GaussianNB(), "lr": LogisticRegression()}, weights="learned", cv=3
        ),
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)


# -- Pools with given weights --------------------------------------------------


@pytest.mark.parametrize("weights", [None, [0.2, 0.5, 0.3], [3, 0, 1]])
@pytest.mark.parametrize("strings", [False, True])
def test_arithmetic_is_soft_voting(weights, strings):
    X, y, _, weight = data()
    y = NAMES[y] if strings else y
    pairs = [
        ("bayes", GaussianNB()),
        ("tree", DecisionTreeClassifier(max_depth=3)),
        ("lr", LogisticRegression()),
    ]
    model = PooledClassifier(pairs, weights=weights).fit(X, y, weight)
    voting = VotingClassifier(pairs, voting="soft", weights=weights)
    voting.fit(X, y, sample_weight=weight)
    proba = voting.predict_proba(X)
    assert_allclose(model.predict_proba(X), proba, rtol=1e-13, atol=1e-16)
    with np.errstate(divide="ignore"):
        assert_allclose(model.predict_log_proba(X), np.log(proba), rtol=1e-9, atol=1e-13)
    assert_array_equal(model.predict(X), voting.predict(X))
    assert_array_equal(model.classes_, voting.classes_)
    assert model.score(X, y, weight) == pytest.approx(voting.score(X, y, weight))
    assert model.n_features_in_ == 4


def test_geometric_is_the_softmax_of_mean_logits():
    X = features()
    models = [known(0), known(1), known(2)]
    weights = np.array([0.5, 0.2, 0.3])
    model = PooledClassifier(models, pooling="geometric", weights=10 * weights).fit(X)
    logits = sum(w * m.decision_function(X) for w, m in zip(weights, models, strict=True))
    assert_allclose(model.weights_, weights, rtol=1e-15)
    assert_allclose(model.predict_proba(X), softmax(logits, axis=1), rtol=1e-12)
    assert_allclose(model.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-11)
    assert_array_equal(model.predict(X), logits.argmax(axis=1))


@each_pooling
def test_logarithms_do_not_underflow(pooling):
    """The logits differ by thousands, where probabilities are 0 in floating point."""
    X, y, _, _ = data()
    models = [SoftLabelLogisticRegression(C=C).fit(X, y) for C in (0.1, 10.0)]
    for inner in models:
        inner.coef_ *= 3000.0
    frozen = [FrozenEstimator(inner) for inner in models]
    model = PooledClassifier(frozen, pooling=pooling, weights=[0.25, 0.75]).fit(X)
    logs = logs_of(models, X)
    assert (model.predict_proba(X) == 0).any()
    if pooling == "geometric":
        expected = log_softmax(0.25 * logs[0] + 0.75 * logs[1], axis=1)
    else:
        expected = np.logaddexp(np.log(0.25) + logs[0], np.log(0.75) + logs[1])
    assert np.isfinite(expected).all()
    assert expected.min() < -2000
    assert_allclose(model.predict_log_proba(X), expected, rtol=1e-12, atol=1e-12)


def test_zeros():
    p = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    q = [[0.2, 0.4, 0.4], [0.1, 0.2, 0.7]]
    X = rows(2)
    model = PooledClassifier(tables(p, q), pooling="geometric").fit(X)
    root = np.sqrt([0.1, 0.2])
    expected = [[*(root / root.sum()), 0.0], [1.0, 0.0, 0.0]]
    assert_allclose(model.predict_proba(X), expected, rtol=1e-14, atol=0)
    assert_array_equal(np.isneginf(model.predict_log_proba(X)), np.equal(expected, 0))
    # An estimator without weight excludes nothing.
    model.set_params(weights=[0, 2]).fit(X)
    assert_allclose(model.predict_proba(X), q, rtol=1e-14)
    model.set_params(weights=None, pooling="arithmetic").fit(X)
    assert_allclose(model.predict_proba(X), (np.array(p) + q) / 2, rtol=1e-15)


def test_a_row_without_any_class():
    p, q = [[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]
    model = PooledClassifier(tables(p, q), pooling="geometric").fit(rows(2))
    message = r"every class of row 1 of X.*pooling='arithmetic'"
    for method in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(ValueError, match=message):
            method(rows(2))
    assert_allclose(model.predict_proba([[0]]), [[0.5, 0.5]])


def test_what_is_no_probability_is_refused():
    bad = FrozenEstimator(Table([[0.5, 0.5], [0.5, 0.6]]))
    model = PooledClassifier({"fine": known(0, n_classes=2), "bad": bad}, weights=[0, 1])
    with pytest.raises(ValueError, match=r"(?s)predict_proba of the estimator 'bad'.*1\.1"):
        model.fit(rows(2)).predict_proba(rows(2))


@pytest.mark.parametrize(
    "weights",
    [
        [1, 2, 5],
        (0.125, 0.25, 0.625),
        {"c": 5, "a": 1, "b": 2},
        np.array([3e307, 6e307, 1.5e308]),
        pd.Series([1e-300, 2e-300, 5e-300]),
    ],
)
def test_weights_are_normalised(weights):
    models = {"a": known(0), "b": known(1), "c": known(2)}
    model = PooledClassifier(models, weights=weights).fit(features())
    assert_allclose(model.weights_, [0.125, 0.25, 0.625], rtol=1e-15)


# -- Learned weights -----------------------------------------------------------


@each_pooling
def test_planted_weights_are_found_from_labels(pooling):
    X = features(20000)
    models = [known(0, 2.0), known(1, 2.0), known(2, 2.0)]
    y = drawn(pool(logs_of(models, X), [0.7, 0.3, 0.0], pooling))
    model = PooledClassifier(models, pooling=pooling, weights="learned").fit(X, y)
    assert_allclose(model.weights_, [0.7, 0.3, 0.0], atol=0.02)
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-15)


@each_pooling
@pytest.mark.parametrize("weights", [[0.7, 0.3, 0.0], [0.15, 0.6, 0.25], [0.0, 1.0, 0.0]])
def test_planted_weights_are_found_from_probabilities(pooling, weights):
    X = features(300)
    models = [known(0, 2.0), known(1, 2.0), known(2, 2.0)]
    y = pool(logs_of(models, X), weights, pooling)
    model = PooledClassifier(models, pooling=pooling, weights="learned").fit(X, y)
    assert_allclose(model.weights_, weights, atol=2e-7)
    assert kl_loss(y, model.predict_proba(X)) < 1e-13


@each_pooling
@pytest.mark.parametrize(("second", "boundary"), [(1, False), (3, True)])
def test_a_grid_finds_no_better_weights(pooling, second, boundary):
    X = features(80)
    models = [known(0), known(second)]
    logs = logs_of(models, X)
    y = drawn(pool(logs, [1.0, 0.0] if boundary else [0.5, 0.5], pooling), seed=3)
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(X))
    model = PooledClassifier(models, pooling=pooling, weights="learned").fit(X, y, weight)
    grid = np.linspace(0, 1, 20001)
    values = [loss_of(np.eye(3)[y], logs, [1 - w, w], pooling, weight) for w in grid[::50]]
    best = 50 * int(np.argmin(values))
    near = grid[max(best - 50, 0) : best + 51]
    values = [loss_of(np.eye(3)[y], logs, [1 - w, w], pooling, weight) for w in near]
    assert model.weights_[1] == pytest.approx(near[np.argmin(values)], abs=5e-5)
    assert (model.weights_[1] == 0) == boundary


@each_pooling
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("soft", [False, True])
def test_conditions_of_the_optimum(pooling, scale, soft):
    """Slopes are equal where weights are positive, and nowhere less."""
    X = features(150)
    models = [known(seed, scale) for seed in range(6)]
    logs = logs_of(models, X)
    proba = pool(logs, [0.4, 0.4, 0.2, 0.0, 0.0, 0.0], pooling)
    noise = softmax(np.random.default_rng(0).normal(size=proba.shape), axis=1)
    target = 0.8 * proba + 0.2 * noise if soft else np.eye(3)[drawn(proba)]
    y = target if soft else target.argmax(axis=1)
    model = PooledClassifier(models, pooling=pooling, weights="learned").fit(X, y)
    found = model.weights_
    if pooling == "arithmetic":  # as in kl_loss
        logs = [np.maximum(log, np.log(np.finfo(float).eps)) for log in logs]
        ratios = np.exp(logs) / pool(logs, found, pooling)
        slopes = -np.einsum("nk,mnk->m", target, ratios) / len(X)
    else:
        slopes = np.einsum("nk,mnk->m", pool(logs, found, pooling) - target, logs) / len(X)

    def loss(weights):
        return loss_of(target, logs, weights, pooling)

    positive = found > 0
    assert 1 < positive.sum() < 6 or soft
    # The conditions of the optimum: one slope where weights are positive, none below it.
    assert np.ptp(slopes[positive]) < 1e-7 * max(1.0, scale)
    assert (slopes >= slopes[positive].mean() - 1e-7 * max(1.0, scale)).all()
    for other in np.random.default_rng(1).dirichlet(np.ones(6), size=200):
        assert loss(found) <= loss(0.01 * other + 0.99 * found) + 1e-12


@each_pooling
def test_derivatives_of_the_losses(pooling):
    """Gradients by differences of fourth order, at weights of any sum."""
    X = features(40)
    logs = np.stack(logs_of([known(seed) for seed in range(4)], X))
    mass = np.random.default_rng(0).dirichlet(np.ones(120)).reshape(40, 3)
    if pooling == "arithmetic":
        loss = MixtureLoss(np.exp(logs).reshape(4, -1), mass.ravel())
    else:
        loss = ProductLoss(logs, mass)
    weights, h = np.array([0.1, 0.4, 0.2, 0.3]), 1e-3
    _, gradient = loss(weights)

    def difference(step):
        ahead, back, far, far_back = (loss(weights + t * step)[0] for t in (1, -1, 2, -2))
        return (8 * (ahead - back) - far + far_back) / (12 * h)

    assert_allclose(gradient, [difference(s) for s in h * np.eye(4)], rtol=1e-8)


@each_pooling
def test_weights_of_samples_are_repetitions(pooling):
    X, y, soft, _ = data()
    models = [known(0), known(1), known(2)]
    times = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(np.arange(len(X)), times)
    for target in (y, soft):
        model = PooledClassifier(models, pooling=pooling, weights="learned")
        weighted = clone(model).fit(X, target, times)
        model.fit(X[repeated], target[repeated])
        assert_allclose(weighted.weights_, model.weights_, atol=1e-6)
        unweighted = clone(model).fit(X, target)
        assert abs(unweighted.weights_ - model.weights_).max() > 1e-3


@each_pooling
def test_equal_estimators_share_equally(pooling):
    X, y, _, _ = data()
    model = PooledClassifier([known(0)] * 3, pooling=pooling, weights="learned").fit(X, y)
    assert_allclose(model.weights_, 1 / 3, rtol=1e-12)
    model = PooledClassifier([known(0)], pooling=pooling, weights="learned").fit(X, y)
    assert_array_equal(model.weights_, [1.0])
    pair = PooledClassifier([known(0), known(1)], pooling=pooling, weights="learned")
    pair.fit(X, y)
    three = clone(pair).set_params(estimators=[known(0), known(1), known(1)]).fit(X, y)
    first, second = pair.weights_
    assert 0.01 < second < 0.99
    assert_allclose(three.weights_, [first, second / 2, second / 2], rtol=2e-3)


@each_pooling
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_when_learning(pooling, dtype):
    """One estimator excludes what occurs in rows 3 and 4; both do in row 4."""
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [1.0, 0.0], [1.0, 0.0]], dtype)
    q = np.array([[0.6, 0.4], [0.5, 0.5], [0.4, 0.6], [0.3, 0.7], [1.0, 0.0]], dtype)
    y = np.array([0, 1, 0, 1, 1])
    model = PooledClassifier(tables(p, q), pooling=pooling, weights="learned")
    model.fit(rows(5), y)
    eps = np.finfo(dtype).eps
    logs = [np.log(np.maximum(r, eps).astype(float)) for r in (p, q)]
    grid = np.linspace(0, 1, 100001)[:, np.newaxis]
    losses = 0.0
    for first, second, k in zip(*logs, y, strict=True):
        if pooling == "arithmetic":
            log_pool = np.log((1 - grid) * np.exp(first) + grid * np.exp(second))
        else:
            log_pool = log_softmax((1 - grid) * first + grid * second, axis=1)
        losses = losses - log_pool[:, k]
    assert model.weights_[1] == pytest.approx(grid[losses.argmin(), 0], abs=2e-5)


def test_a_zero_counts_for_no_more_than_what_is_small():
    """Otherwise an estimator would gain by saying 0 in place of 1e-30."""
    logs = [np.log([[0.5, 0.5], [1.0, 1e-30]]), np.log([[0.6, 0.4], [0.9, 0.1]])]
    with np.errstate(divide="ignore"):
        zeros = [np.log([[0.0, 1.0], [0.5, 0.5]]), np.log([[0.6, 0.4], [1.0, 0.0]])]
    small, other = raised([logs[0], zeros[1]])
    assert_array_equal(small, logs[0])
    assert other[1, 1] == logs[0][1, 1]
    zero, other = raised([zeros[0], logs[1]])
    assert zero[0, 0] == np.log(np.finfo(float).eps)
    assert_array_equal(other, logs[1])


@each_pooling
@pytest.mark.parametrize("kind", ["strings", "soft", "frame"])
def test_weights_are_learned_out_of_fold(pooling, kind):
    """As from the out-of-fold predictions of each estimator by itself."""
    X, y, soft, weight = data(120)
    if kind == "strings":
        y, target, second = NAMES[y], np.eye(3)[y], GaussianNB()
    elif kind == "soft":
        y, target, second = soft, soft, SoftLabelLogisticRegression(C=1e-3)
    else:
        y = pd.DataFrame(soft, columns=["z", "a", "m"])
        target, second = soft, SoftLabelLogisticRegression(C=1e-3)
    models = {"l": SoftLabelLogisticRegression(C=3.0), "other": second}
    model = PooledClassifier(models, cv=4, pooling=pooling, weights="learned")
    model.fit(X, y, weight)
    with parallel_backend("threading"):
        at_once = clone(model).set_params(n_jobs=2).fit(X, y, weight)
    assert_array_equal(at_once.weights_, model.weights_)
    assert_array_equal(at_once.predict_proba(X), model.predict_proba(X))
    logs = [
        soft_cross_val_predict(
            m, X, y, cv=4, method="predict_log_proba", params={"sample_weight": weight}
        )
        for m in models.values()
    ]
    grid = np.linspace(0, 1, 1001)
    losses = [loss_of(target, logs, [w, 1 - w], pooling, weight) for w in grid]
    best = grid[int(np.argmin(losses))]
    assert model.weights_[0] == pytest.approx(best, abs=1e-3)
    whole = [clone(m).fit(X, y, sample_weight=weight) for m in models.values()]
    expected = pool(logs_of(whole, X), model.weights_, pooling)
    assert_allclose(model.predict_proba(X), expected, rtol=1e-9, atol=1e-14)
    assert_array_equal(model.classes_, whole[0].classes_)


def test_overfitting_is_not_rewarded():
    """A tree that knows the training labels by heart, of which half are noise."""
    X, y, _, _ = data()
    y = np.where(np.arange(len(y)) % 2, y, np.random.default_rng(0).integers(0, 3, len(y)))
    pair = [DecisionTreeClassifier(random_state=0), LogisticRegression()]
    model = PooledClassifier(pair, weights="learned", cv=KFold(4)).fit(X, y)
    assert model.estimators_[0].score(X, y) == 1.0
    assert model.weights_[0] < 0.2


def test_a_mixture_of_frozen_and_fitted():
    X, y, _, _ = data()
    frozen = known(0)
    model = PooledClassifier([frozen, GaussianNB()], weights="learned").fit(X, y)
    assert model.estimators_[0] is frozen
    proba = [frozen.predict_proba(X), soft_cross_val_predict(GaussianNB(), X, y)]
    grid = np.linspace(0, 1, 1001)
    losses = [loss_of(np.eye(3)[y], np.log(proba), [1 - w, w], "arithmetic") for w in grid]
    assert model.weights_[1] == pytest.approx(grid[np.argmin(losses)], abs=1e-3)


# -- Classes -------------------------------------------------------------------


@each_pooling
@pytest.mark.parametrize("weights", [None, "learned"])
def test_columns_are_matched_by_name(pooling, weights):
    """Whatever the order of columns in an estimator is."""
    X, y, _, _ = data()
    models = [known(0, classes=["m", "z", "a"]), known(1, classes=["z", "a", "m"])]
    proba = [
        models[0].predict_proba(X)[:, [2, 0, 1]],
        models[1].predict_proba(X)[:, [1, 2, 0]],
    ]
    model = PooledClassifier(models, pooling=pooling, weights=weights).fit(X, NAMES[y])
    assert_array_equal(model.classes_, NAMES)
    assert_allclose(
        model.predict_proba(X), pool(np.log(proba), model.weights_, pooling), rtol=1e-12
    )
    frame = pd.DataFrame(np.eye(3)[y], columns=NAMES)
    framed = clone(model).fit(X, frame[["z", "m", "a"]])
    assert_array_equal(framed.classes_, ["z", "m", "a"])
    assert_allclose(framed.weights_, model.weights_, rtol=1e-9)
    assert_allclose(framed.predict_proba(X)[:, ::-1][:, [0, 1, 2]], model.predict_proba(X))


def test_frozen_estimators_that_know_other_classes():
    X, y, _, _ = data()
    few, many = known(0, n_classes=2, classes=["a", "z"]), known(1, classes=["a", "b", "z"])
    model = PooledClassifier([few, many]).fit(X)
    assert_array_equal(model.classes_, ["a", "b", "z"])
    expected = many.predict_proba(X)
    expected[:, [0, 2]] += few.predict_proba(X)
    assert_allclose(model.predict_proba(X), expected / 2, rtol=1e-14)
    # With labels: those that occur, too.
    model.set_params(weights="learned", pooling="geometric").fit(X, NAMES[y])
    assert_array_equal(model.classes_, ["a", "b", "m", "z"])
    proba = model.predict_proba(X)
    assert_array_equal(proba[:, 2], 0)
    assert_array_equal(proba[:, 1] == 0, np.full(len(X), model.weights_[0] > 0))
    # One that is fitted beside them does not know "b".
    model = PooledClassifier([GaussianNB(), many]).fit(X, NAMES[y])
    assert_array_equal(model.classes_, ["a", "b", "m", "z"])
    assert_allclose(model.predict_proba(X)[:, 1], many.predict_proba(X)[:, 1] / 2)
    assert_array_equal(
        PooledClassifier([many]).fit(X, ["z"] * len(X)).classes_, ["a", "b", "z"]
    )


def test_a_class_that_a_fold_lacks():
    X, y, _, _ = data()
    y = y.copy()
    y[:20], y[20:] = 2, y[20:] % 2
    model = PooledClassifier(
        [GaussianNB(), LogisticRegression()],
        weights="learned",
        cv=KFold(10),
        pooling="geometric",
    )
    assert_allclose(model.fit(X, y).predict_proba(X).sum(axis=1), 1.0)
    assert model.weights_.sum() == pytest.approx(1.0)


def test_columns_of_soft_targets():
    X, _, soft, _ = data()
    named = [known(0, classes=NAMES), known(1, n_classes=2, classes=["a", "z"])]
    model = PooledClassifier(named, weights="learned").fit(X, soft)
    assert_array_equal(model.classes_, NAMES)
    with pytest.raises(ValueError, match=r"'frozenestimator' knows.*\['b'\].*data frame"):
        PooledClassifier([known(0, classes=["a", "b", "z"])]).fit(
            X, pd.DataFrame(soft, columns=NAMES)
        )
    with pytest.raises(ValueError, match=r"'frozenestimator-1' knows.*\['a', 'z'\]"):
        PooledClassifier(named[1:] * 2).fit(X, soft)


def test_classes_of_different_types():
    X, y, _, _ = data()
    with pytest.raises(ValueError, match=r"The labels in y.*different types"):
        PooledClassifier([known(0)]).fit(X, NAMES[y])
    with pytest.raises(ValueError, match=r"The classes of the first.*different types"):
        PooledClassifier([known(0), known(1, classes=NAMES)]).fit(X)


# -- Estimators and their parameters -------------------------------------------


FORMS = {
    "list": [GaussianNB(), LogisticRegression(), LogisticRegression(C=0.1)],
    "pairs": [
        ("gaussiannb", GaussianNB()),
        ("logisticregression-1", LogisticRegression()),
        ("logisticregression-2", LogisticRegression(C=0.1)),
    ],
}
FORMS["dict"] = dict(FORMS["pairs"])

each_form = pytest.mark.parametrize("form", FORMS)


@each_form
def test_forms(form):
    X, y, _, _ = data()
    model = PooledClassifier(clone(FORMS[form], safe=False)).fit(X, y)
    assert list(model.named_estimators_) == list(FORMS["dict"])
    assert [type(m) for m in model.estimators_] == [type(m) for m in FORMS["list"]]
    assert model.named_estimators_.gaussiannb is model.estimators_[0]
    assert not any(hasattr(e, "classes_") for e in FORMS["list"])
    fitted = [clone(e).fit(X, y).predict_proba(X) for e in FORMS["list"]]
    assert_allclose(model.predict_proba(X), np.mean(fitted, axis=0), rtol=1e-12)
    copy = clone(model)
    assert type(copy.estimators) is type(FORMS[form])
    assert_array_equal(copy.fit(X, y).predict_proba(X), model.predict_proba(X))
    assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X)
    )


@each_form
def test_parameters_of_the_estimators(form):
    model = PooledClassifier(clone(FORMS[form], safe=False), pooling="geometric")
    params = model.get_params()
    assert params["logisticregression-2__C"] == 0.1
    assert isinstance(params["gaussiannb"], GaussianNB)
    assert set(model.get_params(deep=False)) == {
        "estimators",
        "pooling",
        "weights",
        "cv",
        "n_jobs",
    }
    assert (
        model.set_params(**{"logisticregression-2__C": 7.0, "pooling": "arithmetic"}) is model
    )
    assert model.get_params()["logisticregression-2__C"] == 7.0
    assert model.get_params()["logisticregression-1__C"] == 1.0
    before = model.estimators
    model.set_params(gaussiannb=DecisionTreeClassifier(), gaussiannb__max_depth=4)
    assert model.get_params()["gaussiannb__max_depth"] == 4
    assert "gaussiannb__var_smoothing" in PooledClassifier(before).get_params()
    model.set_params(estimators=[KNeighborsClassifier()], kneighborsclassifier__n_neighbors=2)
    assert model.estimators[0].n_neighbors == 2
    with pytest.raises(ValueError, match="Invalid parameter 'gaussiannb'"):
        model.set_params(gaussiannb__var_smoothing=1)


@each_form
@pytest.mark.parametrize("weights", [None, [5, 2, 3], "learned"])
def test_dropped_estimators_are_left_out(form, weights):
    """As by VotingClassifier: they keep name and weight, but neither fit nor count."""
    X, y, _, _ = data()
    model = PooledClassifier(clone(FORMS[form], safe=False), weights=weights)
    model.set_params(gaussiannb="drop")
    assert model.get_params()["gaussiannb"] == "drop"
    fitted = clone(model).fit(X, y)
    rest = dict(list(FORMS["dict"].items())[1:])
    others = PooledClassifier(rest, weights=[2, 3] if isinstance(weights, list) else weights)
    assert list(fitted.named_estimators_) == list(rest)
    assert_array_equal(fitted.weights_, others.fit(X, y).weights_)
    assert_array_equal(fitted.predict_proba(X), others.predict_proba(X))
    with config_context(enable_metadata_routing=True):
        assert_array_equal(clone(model).fit(X, y).weights_, fitted.weights_)
    student = DistilledClassifier(model).fit(X, y)
    assert list(student.teacher_.named_estimators_) == list(rest)
    with pytest.raises(ValueError, match="all dropped"):
        PooledClassifier(dict.fromkeys("ab", "drop")).fit(X, y)
    with pytest.raises(ValueError, match="all 0"):
        PooledClassifier({"a": "drop", "b": GaussianNB()}, weights=[1, 0]).fit(X, y)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_same_serial_in_threads_and_in_processes(backend):
    """Also if estimators share a generator, or are one object under two names."""
    X, y, _, _ = data(90)
    rng = np.random.RandomState(0)
    tree = DecisionTreeClassifier(max_features=1, random_state=rng)
    pooled = PooledClassifier(
        {"one": tree, "two": tree, "three": RandomForestClassifier(3, random_state=rng)},
        weights="learned",
    )
    wanted = clone(pooled).fit(X, y)
    with parallel_config(backend, n_jobs=2):
        model = pooled.fit(X, y)
    assert_array_equal(model.weights_, wanted.weights_)
    assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))
    assert not hasattr(tree, "tree_")
    assert rng.rand() == np.random.RandomState(0).rand()


@pytest.mark.parametrize("scale", [2e299, 1e-300])
@each_pooling
def test_only_ratios_of_weights_count(scale, pooling):
    X, y, _, weight = data()
    pooled = PooledClassifier(
        [known(0), known(1), known(2)], weights="learned", pooling=pooling
    )
    wanted = clone(pooled).fit(X, y, weight).weights_
    assert_allclose(pooled.fit(X, y, weight * scale).weights_, wanted, rtol=1e-9)


def test_folds_are_made_before_anything_is_fitted():
    X, y, _, _ = data()
    broken = PooledClassifier([Table([[0.5, 0.5]])], weights="learned", cv=ShuffleSplit(3))
    with pytest.raises(ValueError, match="exactly one test set"):
        broken.fit(X, y)  # and not the AssertionError of the table's fit


@each_form
def test_grid_search(form):
    X, y, _, _ = data(60)
    grid = {
        "logisticregression-1__C": [1e-4, 1.0],
        "gaussiannb": [GaussianNB(), DecisionTreeClassifier(max_depth=1)],
    }
    pooled = PooledClassifier(clone(FORMS[form], safe=False), weights=[1, 1, 0])
    search = GridSearchCV(pooled, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4
    assert search.best_params_["logisticregression-1__C"] == 1.0
    assert search.best_estimator_.get_params()["logisticregression-1__C"] == 1.0
    best = search.best_estimator_.named_estimators_.gaussiannb
    assert type(best) is type(search.best_params_["gaussiannb"])


@pytest.mark.parametrize(
    ("estimators", "message"),
    [
        ([], "not empty"),
        (None, "must be a list"),
        (GaussianNB(), "must be a list"),
        ([("a", GaussianNB()), GaussianNB()], "must be a list"),
        ([GaussianNB], "is a class"),
        ([GaussianNB(), LinearSVC()], r"'linearsvc' LinearSVC has no predict_proba"),
        ([("a", GaussianNB()), ("a", GaussianNB())], "'a' twice"),
        ({"a__b": GaussianNB()}, "'a__b'"),
        ({"cv": GaussianNB()}, "'cv'"),
        ({3: GaussianNB()}, "3"),
    ],
)
def test_bad_estimators(estimators, message):
    X, y, _, _ = data()
    with pytest.raises((TypeError, ValueError), match=message):
        PooledClassifier(estimators).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pooling": "harmonic"}, "pooling must be one of .*'harmonic'"),
        ({"weights": "equal"}, "'learned'; got 'equal'"),
        ({"weights": [1, 2, 3]}, r"each of the 2 estimators; got shape \(3,\)"),
        ({"weights": [[1, 2]]}, r"got shape \(1, 2\)"),
        ({"weights": [1, -0.5]}, "that of 'lr' is -0.5"),
        ({"weights": [np.nan, 1]}, "that of 'nb' is nan"),
        ({"weights": [1, np.inf]}, "that of 'lr' is inf"),
        ({"weights": [0, 0]}, "all 0"),
        ({"weights": {"nb": 1}}, r"\['nb'\], but the estimators are \['nb', 'lr'\]"),
        ({"weights": {"nb": 1, "lr": 1, "x": 1}}, "'x'"),
        ({"weights": "learned", "cv": ShuffleSplit(3)}, "exactly one test set"),
        ({"weights": "learned", "cv": 1}, "cv must be"),
    ],
)
def test_bad_parameters(params, message):
    X, y, _, _ = data()
    model = PooledClassifier({"nb": GaussianNB(), "lr": LogisticRegression()}, **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_bad_targets():
    X, y, soft, _ = data()
    model = PooledClassifier([known(0), GaussianNB()])
    for weights in (None, "learned"):
        with pytest.raises(ValueError, match="requires y to be passed"):
            model.set_params(weights=weights).fit(X)
        with pytest.raises(ValueError, match="only 1 class, 2"):
            model.fit(X, np.full(len(X), 2))
    with pytest.raises(ValueError, match="requires y to be passed"):
        PooledClassifier([known(0)], weights="learned").fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[1:])
    with pytest.raises(ValueError, match=r"y\[3\] sums to 2"):
        PooledClassifier([known(0)]).fit(
            X, np.where(np.arange(len(X)) == 3, 2.0, 1.0)[:, None] * soft
        )
    with pytest.raises(ValueError, match=r"GaussianNB\.fit refused soft targets"):
        model.set_params(weights=None).fit(X, soft)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        model.fit(X, y, np.zeros(len(X)))
    with pytest.raises(NotFittedError):
        clone(model).predict(X)
    with pytest.raises(NotFittedError):
        PooledClassifier([FrozenEstimator(GaussianNB())]).fit(X)


# -- Weights of samples, and other metadata ------------------------------------


def test_sample_weight_goes_to_all_that_take_it():
    X, y, _, weight = data()
    pooled = PooledClassifier(
        {
            "plain": Recorder(),
            "pipe": make_pipeline(StandardScaler(), Recorder()),
            "frozen": known(0),
        }
    )
    model = pooled.fit(X, y, weight)
    assert_array_equal(model.named_estimators_.plain.sample_weight_, weight)
    assert_array_equal(model.named_estimators_.pipe[-1].sample_weight_, weight)
    model.set_params(weights="learned", cv=3).fit(X, y, weight)
    assert model.fit(X, y).named_estimators_.plain.sample_weight_ is None


def test_an_estimator_without_sample_weight():
    X, y, _, weight = data()
    model = PooledClassifier({"knn": KNeighborsClassifier(), "nb": GaussianNB()})
    with pytest.warns(UserWarning, match="'knn', KNeighborsClassifier, takes no") as caught:
        model.fit(X, y, weight)
    assert [w.filename for w in caught] == [__file__]
    expected = GaussianNB().fit(X, y, weight).predict_proba(X)
    assert_array_equal(model.estimators_[1].predict_proba(X), expected)
    with pytest.raises(TypeError, match=r"\['group'\].*enable_metadata_routing"):
        model.fit(X, y, group=y)


def test_routing():
    X, y, _, weight = data()
    groups = np.arange(len(X)) // 10
    with config_context(enable_metadata_routing=True):
        one = Recorder().set_fit_request(sample_weight=True, group=True)
        other = Recorder().set_fit_request(sample_weight=False, group=False)
        estimators = {"one": one, "other": other, "frozen": known(0)}
        model = PooledClassifier(estimators, weights="learned", cv=GroupKFold(4))
        model.fit(X, y, weight, group=y, groups=groups)
        fitted = model.named_estimators_
        assert_array_equal(fitted.one.sample_weight_, weight)
        assert_array_equal(fitted.one.group_, y)
        assert fitted.other.sample_weight_ is None
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            PooledClassifier([Recorder()]).fit(X, y, weight)
        pair = [GaussianNB(), KNeighborsClassifier()]
        model = PooledClassifier(pair, weights="learned", cv=GroupKFold(4))
        routed = model.fit(X, y, groups=groups).weights_
    splits = list(GroupKFold(4).split(X, y, groups))
    assert_array_equal(model.set_params(cv=splits).fit(X, y).weights_, routed)
    assert abs(model.set_params(cv=4).fit(X, y).weights_ - routed).max() > 1e-6


# -- Inputs, and the pool as a teacher -----------------------------------------


def test_features():
    X, y, _, _ = data()
    frame = pd.DataFrame(X, columns=list("pqrs"))
    model = PooledClassifier([LogisticRegression(), DecisionTreeClassifier()]).fit(frame, y)
    assert_array_equal(model.feature_names_in_, list("pqrs"))
    assert model.fit(X, y).n_features_in_ == 4
    assert not hasattr(model, "feature_names_in_")
    expected = model.predict_proba(X)
    sparse = model.fit(csr_array(X), y).predict_proba(csr_array(X))
    assert_allclose(sparse, expected, atol=1e-3)
    assert model.__sklearn_tags__().input_tags.sparse
    assert not PooledClassifier([GaussianNB()]).__sklearn_tags__().input_tags.sparse


@each_pooling
def test_as_the_teacher(pooling):
    X, y, _, weight = data()
    teacher = PooledClassifier(
        {
            "forest": RandomForestClassifier(10, min_samples_leaf=5, random_state=0),
            "nb": GaussianNB(),
        },
        pooling=pooling,
        weights="learned",
    )
    model = DistilledClassifier(teacher, temperature=2.0).fit(X, NAMES[y], weight)
    proba = clone(teacher).fit(X, NAMES[y], weight).predict_proba(X)
    assert_allclose(model.teacher_.predict_proba(X), proba, rtol=1e-12)
    frozen = FrozenEstimator(PooledClassifier([known(0), known(1)], pooling=pooling).fit(X))
    student = DistilledClassifier(frozen, SoftLabelLogisticRegression(C=1e4, tol=1e-8)).fit(X)
    score = d2_kl_score(frozen.predict_proba(X), student.predict_proba(X))
    # A geometric pool of linear models is one.
    assert score > (0.999 if pooling == "geometric" else 0.85)
    model.set_params(teacher__nb__var_smoothing=0.1)
    assert teacher.estimators["nb"].var_smoothing == 0.1


def test_a_pool_of_pools():
    X = features()
    models = [known(0), known(1), known(2)]
    inner = FrozenEstimator(PooledClassifier(models[:2], pooling="geometric").fit(X))
    outer = PooledClassifier([inner, models[2]], pooling="geometric", weights=[2, 1]).fit(X)
    flat = PooledClassifier(models, pooling="geometric").fit(X)
    assert_allclose(outer.predict_log_proba(X), flat.predict_log_proba(X), rtol=1e-11)
