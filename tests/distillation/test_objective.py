"""What the student minimises, against the documented objective written out in NumPy."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array, issparse
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

try:
    from sklearn.callback import ProgressBar
except ImportError:
    ProgressBar = None

from sklkl.distillation import DistilledClassifier
from sklkl.distillation._teaching import corrected, temper
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV

needs_callbacks = pytest.mark.skipif(
    ProgressBar is None, reason="scikit-learn has callbacks from version 1.9 on"
)
CASES = [
    ("kl", 0.5),
    ("reverse_kl", 0.5),
    ("jeffreys", 0.5),
    ("jensen_shannon", 0.1),
    ("jensen_shannon", 0.5),
    ("jensen_shannon", 0.9),
    ("alpha", -0.5),
    ("alpha", 0.3),
    ("alpha", 2.0),
]
each_case = pytest.mark.parametrize(("divergence", "parameter"), CASES)
each_limit = pytest.mark.parametrize(
    ("divergence", "near", "limit"),
    [
        ("jensen_shannon", 0.0, "kl"),
        ("jensen_shannon", 1.0, "reverse_kl"),
        ("alpha", 1.0, "kl"),
        ("alpha", 0.0, "reverse_kl"),
    ],
)


class Known(ClassifierMixin, BaseEstimator):
    """A teacher of known probabilities, which no linear student can follow."""

    def __init__(self, n_classes=3, scale=1.5, classes=None):
        self.n_classes = n_classes
        self.scale = scale
        self.classes = classes

    def fit(self, X, y=None):
        self.classes_ = np.arange(self.n_classes) if self.classes is None else self.classes
        return self

    def predict_proba(self, X):
        X = np.asarray(X, dtype=np.float64)
        rng = np.random.default_rng(7)
        features = np.hstack([X, X**2 - 1.0, np.sin(3.0 * X)])
        return softmax(
            self.scale * features @ rng.normal(size=(features.shape[1], self.n_classes)) / 2.0,
            axis=1,
        )


class Written(ClassifierMixin, BaseEstimator):
    """A teacher whose probabilities are written in the columns of X."""

    def __init__(self, n_classes=3):
        self.n_classes = n_classes

    def fit(self, X, y=None):
        self.classes_ = np.arange(self.n_classes)
        return self

    def predict_proba(self, X):
        return np.asarray(X)[:, -self.n_classes :]


def known(n_classes=3, **params):
    return FrozenEstimator(Known(n_classes, **params).fit(None))


def written(n_classes=3):
    return FrozenEstimator(Written(n_classes).fit(None))


def exact(**params):
    return SoftLabelLogisticRegression(**{"tol": 1e-10, "max_iter": 10_000, **params})


def data(n_classes=3, n_samples=60, seed=0, dtype=np.float64):
    """Samples, labels drawn from the teacher, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2)).astype(dtype)
    proba = Known(n_classes).predict_proba(X)
    y = (rng.uniform(size=(n_samples, 1)) > proba.cumsum(axis=1)).sum(axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y, rng.uniform(0.2, 2.0, n_samples)


def distilled(teacher, student, divergence="kl", parameter=0.5, **params):
    name = {"jensen_shannon": "beta", "alpha": "alpha"}.get(divergence)
    of_divergence = {} if name is None else {name: parameter}
    return DistilledClassifier(
        teacher, student, divergence=divergence, **of_divergence, **params
    )


def raised(proba, temperature):
    powers = proba ** (1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def one_hot(y, n_classes):
    return np.eye(n_classes)[y]


def value_and_slope(divergence, c, p, q):
    """Divergences of rows, and their derivatives by q, as if its entries were free."""
    if divergence == "kl":
        return np.sum(p * np.log(p / q), axis=1), -p / q
    if divergence == "reverse_kl":
        return np.sum(q * np.log(q / p), axis=1), np.log(q / p) + 1.0
    if divergence == "jeffreys":
        return np.sum((q - p) * np.log(q / p), axis=1), np.log(q / p) + 1.0 - p / q
    if divergence == "jensen_shannon":
        m = c * p + (1.0 - c) * q
        value = np.sum(p * np.log(p / m) / (1.0 - c) + q * np.log(q / m) / c, axis=1)
        return value, -p / m + (np.log(q / m) + 1.0) / c - (1.0 - c) / c * q / m
    value = np.sum(c * p + (1.0 - c) * q - p**c * q ** (1.0 - c), axis=1) / (c * (1.0 - c))
    return value, (1.0 - (p / q) ** c) / c


class Reference:
    """The objective of the class docstring, and its gradient.

    ``loss`` of a coefficient vector: per logit the features, then the intercept. A binary
    student has the logit of its second class alone.
    """

    def __init__(self, X, proba, weight, labels, label_weight, T, divergence, parameter, C):
        self.X = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
        self.proba, self.weight, self.T = raised(proba, T), weight, T
        self.labels, self.label_weight = labels, label_weight
        self.divergence, self.parameter, self.C = divergence, parameter, C
        self.n_logits = 1 if proba.shape[1] == 2 else proba.shape[1]

    def __call__(self, theta):
        W = theta.reshape(self.n_logits, -1).T
        z = self.X @ W
        if self.n_logits == 1:
            z = np.column_stack([np.zeros(len(z)), z])
        q = softmax(z / self.T, axis=1)
        value, slope = value_and_slope(self.divergence, self.parameter, self.proba, q)
        by_z = q * (slope - np.sum(q * slope, axis=1, keepdims=True)) / self.T
        by_z *= (self.weight * self.T**2)[:, None]
        total = self.T**2 * float(self.weight @ value)
        total -= float(
            self.label_weight @ np.sum(self.labels * log_softmax(z, axis=1), axis=1)
        )
        by_z += self.label_weight[:, None] * (softmax(z, axis=1) - self.labels)
        gradient = self.C * self.X.T @ by_z[:, -self.n_logits :]
        gradient[:-1] += W[:-1]
        penalty = 0.5 * float(np.sum(W[:-1] ** 2))
        return self.C * total + penalty, gradient.T.ravel()

    def at(self, student):
        """Return the value, and the largest entry of the gradient as ``tol`` counts it."""
        value, gradient = self(theta_of(student))
        return value, abs(gradient).max() / (self.C * (self.weight + self.label_weight).sum())

    def minimum(self, starts):
        """Return the least value from starts, by BFGS."""
        return min(
            (minimize(self, x, jac=True, method="BFGS", tol=1e-9).fun for x in starts),
        )


def theta_of(student):
    return np.column_stack([student.coef_, student.intercept_]).ravel().astype(np.float64)


def starts(reference, n=20, seed=0):
    size = reference.X.shape[1] * reference.n_logits
    return 2.0 * np.random.default_rng(seed).normal(size=(n, size))


def reference_of(model, X, y=None, s=None, labeled=None, C=1.0):
    """Return the documented objective of a model with a frozen teacher."""
    proba = model.teacher.predict_proba(X)
    n, n_classes = proba.shape
    s = np.ones(n) if s is None else s
    labeled = np.full(n, y is not None) if labeled is None else labeled
    labels = np.zeros((n, n_classes))
    if y is not None:
        soft = y if np.ndim(y) == 2 else one_hot(np.where(labeled, y, 0), n_classes)
        labels[labeled] = np.asarray(soft)[labeled]
    w = model.hard_label_weight
    share = (1.0 - w) * s * np.where(labeled, 1.0, model.unlabeled_weight)
    parameter = model.beta if model.divergence == "jensen_shannon" else model.alpha
    return Reference(
        X, proba, share, labels, w * s * labeled, model.temperature, model.divergence,
        parameter, C,
    )  # fmt: skip


# -- The objective -------------------------------------------------------------


@each_case
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_gradient_of_the_reference(divergence, parameter, n_classes, temperature):
    X, y, s = data(n_classes)
    reference = Reference(
        X, Known(n_classes).predict_proba(X), s, one_hot(y, n_classes), s[::-1], temperature,
        divergence, parameter, 0.3,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    theta, direction = rng.normal(size=(2, 3 * reference.n_logits)) / 2.0
    h = 1e-3
    values = {j: reference(theta + j * h * direction)[0] for j in (-2, -1, 1, 2)}
    slope = (values[-2] - 8 * values[-1] + 8 * values[1] - values[2]) / (12 * h)
    assert slope == pytest.approx(reference(theta)[1] @ direction, rel=1e-7)


@each_case
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_student_is_stationary(divergence, parameter, n_classes, temperature, share):
    X, y, s = data(n_classes)
    C = 0.3
    model = distilled(
        known(n_classes), exact(C=C), divergence, parameter,
        temperature=temperature, hard_label_weight=share,
    ).fit(X, y, sample_weight=s)  # fmt: skip
    reference = reference_of(model, X, y, s, C=C)
    value, largest = reference.at(model.student_)
    assert largest < 3e-10
    if divergence == "kl" or share == 1.0:
        best = reference.minimum(np.zeros((1, theta_of(model.student_).size)))
        assert value == pytest.approx(best, rel=1e-9)


@each_case
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.3), (3.0, 0.3), (0.5, 0.0)])
def test_unlabeled_samples(divergence, parameter, soft, temperature, share):
    X, y, s = data()
    labeled = np.arange(len(y)) % 3 > 0
    if soft:
        rng = np.random.default_rng(2)
        y = softmax(rng.normal(size=(len(y), 3)), axis=1)
        y[~labeled] = -1.0
    else:
        y = np.where(labeled, y, -1)
    model = distilled(
        known(), exact(C=2.0), divergence, parameter, temperature=temperature,
        hard_label_weight=share, unlabeled=-1, unlabeled_weight=0.4,
    ).fit(X, y, sample_weight=s)  # fmt: skip
    reference = reference_of(model, X, y, s, labeled, C=2.0)
    assert reference.at(model.student_)[1] < 3e-10


@each_case
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_float32(divergence, parameter, temperature):
    X, y, s = data(dtype=np.float32, n_samples=200)
    model = distilled(
        known(), exact(tol=1e-6), divergence, parameter,
        temperature=temperature, hard_label_weight=0.3,
    ).fit(X, y, sample_weight=s)  # fmt: skip
    assert model.student_.coef_.dtype == np.float32
    # The target is rounded to float32, and the coefficients are.
    assert reference_of(model, X, y, s).at(model.student_)[1] < 3e-6


@each_case
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_other_divergences_end_where_restarts_do(divergence, parameter, temperature):
    X, y, s = data(n_samples=30, seed=3)
    params = {"temperature": temperature, "hard_label_weight": 0.2}
    model = distilled(known(), exact(), divergence, parameter, **params)
    model.fit(X, y, sample_weight=s)
    reference = reference_of(model, X, y, s)
    value, _ = reference.at(model.student_)
    with np.errstate(all="ignore"):  # starts that are too far for alpha
        best = reference.minimum(starts(reference))
    assert value <= best + 1e-8 * abs(best)
    forward = distilled(known(), exact(), **params).fit(X, y, sample_weight=s)
    assert value <= reference.at(forward.student_)[0] + 1e-12


@each_case
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_l1_norm(divergence, parameter, temperature, l1_ratio):
    """It counts temperature times."""
    X, y, s = data()
    X = np.hstack([X, np.random.default_rng(0).normal(size=(len(X), 4))])
    teacher = FrozenEstimator(
        make_pipeline(FunctionTransformer(first_columns), Known()).fit(X, y)
    )
    params = {"temperature": temperature, "hard_label_weight": 0.3}
    student = exact(C=0.4, l1_ratio=l1_ratio, tol=1e-8)
    model = distilled(teacher, student, divergence, parameter, **params)
    model.fit(X, y, sample_weight=s)
    reference = reference_of(model, X, y, s, C=0.4)
    theta = theta_of(model.student_)
    gradient = reference(theta)[1].reshape(3, -1)
    coef, slopes = model.student_.coef_, gradient[:, :-1] - l1_ratio * model.student_.coef_
    zero = coef == 0.0
    assert 0 < zero.sum() < zero.size
    strength = temperature * l1_ratio
    assert (abs(slopes[zero]) < strength + 1e-6).all()
    assert_allclose(slopes[~zero], -strength * np.sign(coef[~zero]), atol=1e-6)
    assert abs(gradient[:, -1]).max() < 1e-6


@each_case
@pytest.mark.parametrize("container", [csr_array, np.asfortranarray])
def test_containers_and_no_intercept(divergence, parameter, container):
    X, y, s = data()
    params = {"temperature": 2.0, "hard_label_weight": 0.3}
    teacher = FrozenEstimator(
        make_pipeline(FunctionTransformer(dense, accept_sparse=True), Known()).fit(X, y)
    )
    student = exact(fit_intercept=False)
    model = distilled(teacher, student, divergence, parameter, **params)
    model.fit(container(X), y, sample_weight=s)
    reference = reference_of(model, X, y, s)
    gradient = reference(theta_of(model.student_))[1].reshape(3, -1)[:, :-1]
    assert abs(gradient).max() / s.sum() < 3e-10
    assert not model.student_.intercept_.any()


@pytest.mark.parametrize("seed", range(6))
@each_case
def test_never_worse_than_forward_kl(divergence, parameter, seed):
    X, _, _ = data(n_samples=25, seed=seed)
    params = {"temperature": 2.0}
    sharp = known(scale=4.0)
    model = distilled(sharp, exact(C=10.0), divergence, parameter, **params).fit(X)
    forward = distilled(sharp, exact(C=10.0), **params).fit(X)
    reference = reference_of(model, X, C=10.0)
    value, largest = reference.at(model.student_)
    assert value <= reference.at(forward.student_)[0] * (1.0 + 1e-12)
    assert largest < 3e-10


# -- Limits --------------------------------------------------------------------


@each_limit
@pytest.mark.parametrize("distance", [0.0, 1e-13, 1e-11, 1e-8])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_limits(divergence, near, limit, distance, share):
    X, y, s = data()
    params = {"temperature": 2.0, "hard_label_weight": share}
    parameter = abs(near - distance)
    model, wanted = (
        distilled(known(), exact(), name, parameter, **params).fit(X, y, sample_weight=s)
        for name in (divergence, limit)
    )
    assert_allclose(model.student_.coef_, wanted.student_.coef_, rtol=0, atol=1e-6)
    if distance <= 1e-13:
        assert_array_equal(model.student_.coef_, wanted.student_.coef_)
        assert model.student_.n_iter_ == wanted.student_.n_iter_


def test_alpha_beyond_its_limits():
    X, y, _ = data()
    wanted = distilled(known(), exact(), "kl").fit(X, y).student_.coef_
    for alpha in (1.0 + 1e-13, 1.0 + 1e-9):
        model = distilled(known(), exact(), "alpha", alpha).fit(X, y)
        assert_allclose(model.student_.coef_, wanted, rtol=0, atol=1e-6)
    wanted = distilled(known(), exact(), "reverse_kl").fit(X, y).student_.coef_
    for alpha in (-1e-13, -1e-9):
        model = distilled(known(), exact(), "alpha", alpha).fit(X, y)
        assert_allclose(model.student_.coef_, wanted, rtol=0, atol=1e-6)


def test_limits_that_are_kl_take_every_student():
    """beta=0 is forward KL, which trees and searches can learn."""
    X, y, _ = data()
    for divergence, parameter in (("jensen_shannon", 0.0), ("alpha", 1.0)):
        for student in (GaussianNB(), SoftLabelLogisticRegressionCV(Cs=[1.0], cv=2)):
            model = distilled(known(), student, divergence, parameter).fit(X, y)
            wanted = distilled(known(), student).fit(X, y)
            assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))


def test_jeffreys_is_the_sum_of_both():
    """And Jensen-Shannon at 1/2 is four times the divergence of that name."""
    rng = np.random.default_rng(0)
    p, q = softmax(rng.normal(size=(2, 5, 3)), axis=2)
    both = sum(value_and_slope(name, 0.5, p, q)[0] for name in ("kl", "reverse_kl"))
    assert_allclose(value_and_slope("jeffreys", 0.5, p, q)[0], both)
    m = (p + q) / 2.0
    js = 0.5 * np.sum(p * np.log(p / m) + q * np.log(q / m), axis=1)
    assert_allclose(value_and_slope("jensen_shannon", 0.5, p, q)[0], 4.0 * js)


# -- Labels --------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("divergence", ["kl", "reverse_kl"])
@pytest.mark.parametrize("soft", [False, True])
def test_labels_alone(temperature, divergence, soft):
    X, y, s = data()
    labeled = np.arange(len(y)) % 4 > 0
    target = softmax(np.random.default_rng(1).normal(size=(len(y), 3)), axis=1) if soft else y
    marked = np.where(labeled[:, None] if soft else labeled, target, -1)
    model = distilled(
        known(), exact(), divergence, temperature=temperature, hard_label_weight=1.0,
        unlabeled=-1,
    ).fit(X, marked, sample_weight=s)  # fmt: skip
    plain = exact().fit(X[labeled], target[labeled], sample_weight=s[labeled])
    assert_allclose(model.student_.coef_, plain.coef_, rtol=0, atol=1e-7)
    assert_allclose(model.student_.intercept_, plain.intercept_, rtol=0, atol=1e-7)


@pytest.mark.parametrize("divergence", ["kl", "jeffreys"])
def test_labels_alone_need_no_possible_teacher(divergence):
    X, y, _ = data()
    proba = np.tile([1.0, 0.0, 0.0], (len(X), 1))
    X = np.hstack([X, proba])
    model = distilled(written(), exact(), divergence, hard_label_weight=1.0, temperature=2.0)
    assert_allclose(model.fit(X, y).student_.coef_, exact().fit(X, y).coef_, atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_mixed_targets_at_temperature_1(n_classes):
    X, y, s = data(n_classes)
    model = distilled(known(n_classes), exact(), hard_label_weight=0.3)
    model.fit(X, y, sample_weight=s)
    proba = Known(n_classes).predict_proba(X)
    target = 0.7 * proba + 0.3 * one_hot(y, n_classes)
    wanted = exact().fit(X, target, sample_weight=s)
    assert_allclose(model.student_.coef_, wanted.coef_, rtol=0, atol=1e-8)
    assert model.student_.loss_ == pytest.approx(wanted.loss_, rel=1e-9)


@pytest.mark.parametrize("student", ["logistic", "rows"])
def test_correction_at_temperature_1_is_a_share_of_labels(student):
    X, y, s = data()
    student = exact() if student == "logistic" else GaussianNB()
    labeled = np.arange(len(y)) % 3 > 0
    y = np.where(labeled, y, -1)
    g = 0.4
    for rows in (labeled, slice(None)):
        some = ~labeled[rows]
        # A share of labels takes its part from unlabelled samples, a correction does not.
        weight = (1.0 - g) if some.any() else 1.0
        corrects, shares = (
            DistilledClassifier(known(), student, unlabeled=-1, **params)
            .fit(X[rows], y[rows], sample_weight=s[rows])
            .predict_proba(X)
            for params in (
                {"loss_correction": g, "unlabeled_weight": 0.5 * weight},
                {"hard_label_weight": g, "unlabeled_weight": 0.5},
            )
        )
        assert_allclose(corrects, shares, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("soft", [False, True])
def test_correction_is_that_of_its_formula(temperature, soft):
    rng = np.random.default_rng(0)
    p = softmax(rng.normal(size=(20, 4)), axis=1)
    y = softmax(rng.normal(size=(20, 4)), axis=1) if soft else rng.integers(4, size=20)
    truth = y if soft else one_hot(y, 4)
    tempered = raised(p, temperature)
    got = corrected(tempered, p, y, temperature, 0.6)
    for i in range(20):
        wanted = tempered[i].copy()
        for c in range(4):
            a = min(1.0, 0.6 * tempered[i, c] / (temperature * p[i, c]))
            wanted += truth[i, c] * a * (np.eye(4)[c] - tempered[i])
        assert_allclose(got[i], wanted, rtol=1e-13)
    assert_allclose(got.sum(axis=1), 1.0)
    assert (got >= 0.0).all()


@pytest.mark.parametrize("temperature", [1.5, 3.0])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_correction_takes_away_first_order_errors(temperature, strength):
    """The mean over labels of the target no longer depends on errors of the teacher."""
    rng = np.random.default_rng(0)
    truth = softmax(0.3 * rng.normal(size=(1, 4)), axis=1)
    error = rng.normal(size=(1, 4))
    error -= error.mean()

    def target(h):
        proba = truth + h * error
        return corrected(temper(proba, temperature), proba, truth, temperature, strength)

    def uncorrected(h):
        return temper(truth + h * error, temperature)

    def slope(function, h=1e-4):
        return (function(h) - function(-h)) / (2.0 * h)

    assert_allclose(slope(target), (1.0 - strength) * slope(uncorrected), atol=1e-7)
    tempered = temper(truth, temperature)
    by_p = tempered / truth / temperature * error  # the first order, as documented
    assert_allclose(slope(uncorrected), by_p - tempered * by_p.sum(), atol=1e-7)
    # The labels do not move the target of a teacher that is right, in the mean.
    assert_allclose(target(0.0), tempered, atol=1e-14)


def test_correction_of_a_biased_teacher():
    """The corrected student of a biased teacher is nearer to that of the truth."""
    rng = np.random.default_rng(0)
    n = 4000
    X = rng.normal(size=(n, 1))
    truth = softmax(np.hstack([np.zeros((n, 1)), 1.5 * X]), axis=1)
    y = (rng.uniform(size=n) < truth[:, 1]).astype(int)
    biased = softmax(np.log(truth) + np.array([0.0, 0.6]), axis=1)
    student = make_pipeline(FunctionTransformer(first_column), exact(C=np.inf))

    def fit(proba, **params):
        model = DistilledClassifier(written(2), student, temperature=3.0, **params)
        return model.fit(np.hstack([X, proba]), y).student_[-1].intercept_[0]

    best, plain, corrects = fit(truth), fit(biased), fit(biased, loss_correction=1.0)
    assert abs(plain - best) > 0.5
    assert abs(corrects - best) < 0.3 * abs(plain - best)


def first_column(X):
    return X[:, :1]


def nothing(X):
    return np.zeros((len(X), 1))


# -- Class weights and classes -------------------------------------------------


@each_case
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_class_weight(divergence, parameter, temperature):
    """Class weights multiply the columns of both targets."""
    X, y, s = data()
    factors = np.array([1.0, 3.0, 0.5])
    student = exact(class_weight=dict(enumerate(factors)))
    params = {"temperature": temperature, "hard_label_weight": 0.3}
    model = distilled(known(), student, divergence, parameter, **params)
    model.fit(X, y, sample_weight=s)
    reference = reference_of(model, X, y, s)
    masses = reference.proba * factors
    reference.proba = masses / masses.sum(axis=1, keepdims=True)
    reference.weight = reference.weight * masses.sum(axis=1)
    reference.label_weight = reference.label_weight * factors[y]
    assert reference.at(model.student_)[1] < 1e-9


def test_balanced_classes_are_those_of_what_is_learned():
    """A temperature next to 1 makes no other student than 1."""
    X, y, s = data(n_samples=200)
    X, y, s = X[y < 2], y[y < 2], s[y < 2]  # the teacher says more of the third class
    y[0] = 2
    at_1, near_1 = (
        DistilledClassifier(
            known(), exact(class_weight="balanced"), temperature=T, hard_label_weight=0.5
        )
        .fit(X, y, sample_weight=s)
        .student_.coef_
        for T in (1.0, 1.0 + 1e-9)
    )
    assert_allclose(at_1, near_1, rtol=0, atol=1e-5)


@pytest.mark.parametrize("divergence", ["kl", "jensen_shannon"])
def test_student_with_more_classes(divergence):
    X, y, s = data(2)
    teacher = known(2, classes=np.array(["b", "c"]))
    names = np.array(["c", "a", "b"])
    labels = np.array(["b", "c"])[y]
    model = distilled(
        teacher, exact(classes=names), divergence, temperature=2.0, hard_label_weight=0.3
    ).fit(X, labels, sample_weight=s)
    assert model.classes_.tolist() == ["a", "b", "c"]
    proba = np.zeros((len(X), 3))
    proba[:, 1:] = raised(Known(2).predict_proba(X), 2.0)
    wanted = SoftReference(X, proba, 0.7 * s, one_hot(y + 1, 3), 0.3 * s)
    wanted.T, wanted.divergence = 2.0, divergence
    assert wanted.at(model.student_)[1] < 1e-9
    assert (model.predict_proba(X)[:, 0] < 0.1).all()


class SoftReference(Reference):
    """The objective for targets that are at the temperature already, and hold zeros."""

    def __init__(self, X, tempered, weight, labels, label_weight):
        super().__init__(X, tempered, weight, labels, label_weight, 1.0, "kl", 0.5, 1.0)
        self.proba = np.maximum(tempered, 1e-300)


@pytest.mark.parametrize("divergence", ["reverse_kl", "jeffreys"])
def test_class_that_the_teacher_does_not_know(divergence):
    X, y, _ = data(2)
    model = distilled(known(2), exact(classes=[0, 1, 2]), divergence)
    with pytest.raises(ValueError, match="gives class 2 of sample 0 probability 0"):
        model.fit(X, y)
    # The advice of the message has to help.
    model.set_params(smoothing=0.1).fit(X, y)


# -- Students ------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        SplineTransformer(4),
        Nystroem(n_components=6, random_state=0),
    ],
    ids=lambda step: type(step).__name__,
)
@pytest.mark.parametrize("divergence", ["kl", "reverse_kl", "jensen_shannon"])
def test_pipelines(step, divergence):
    X, y, s = data()
    student = make_pipeline(step, exact(C=0.5))
    params = {"temperature": 2.0, "hard_label_weight": 0.3}
    model = distilled(known(), student, divergence, **params).fit(X, y, sample_weight=s)
    reference = reference_of(model, X, y, s, C=0.5)
    features = model.student_[:-1].transform(X)
    reference.X = np.column_stack([features, np.ones(len(X))])
    assert reference.at(model.student_[-1])[1] < 1e-9
    # Neither the given student nor the fitted one keeps the goal.
    assert "_goal" not in vars(student[-1])
    assert "_goal" not in vars(model.student_[-1])
    assert model.student_[-1].tol == 1e-10


@pytest.mark.parametrize(
    "params", [{"divergence": "reverse_kl"}, {"temperature": 2.0, "hard_label_weight": 0.5}]
)
def test_a_pipeline_that_fits_a_clone_of_its_last_step(params, monkeypatch):
    """It would learn something else than it was asked to."""
    fit = Pipeline.fit

    def fit_clones(self, X, y, **kwargs):
        self.steps = [(name, clone(step)) for name, step in self.steps]
        return fit(self, X, y, **kwargs)

    monkeypatch.setattr(Pipeline, "fit", fit_clones)
    X, y, _ = data()
    with pytest.raises(RuntimeError, match="did not fit its last step itself, but a clone"):
        DistilledClassifier(known(), make_pipeline(StandardScaler(), exact()), **params).fit(
            X, y
        )


UNABLE = {
    "tree": DecisionTreeClassifier(),
    "cv": SoftLabelLogisticRegressionCV(Cs=[1.0]),
    "search": GridSearchCV(SoftLabelLogisticRegression(), {"C": [1.0]}),
    "pipeline": make_pipeline(StandardScaler(), GaussianNB()),
    "search at the end": make_pipeline(
        StandardScaler(), GridSearchCV(SoftLabelLogisticRegression(), {"C": [1.0]})
    ),
}


@pytest.mark.parametrize("kind", UNABLE)
@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 2.0, "hard_label_weight": 0.5},
        {"temperature": 2.0, "hard_label_weight": "auto"},
        {"divergence": "reverse_kl"},
        {"divergence": "alpha", "alpha": 2.0},
    ],
    ids=["labels", "auto", "reverse", "alpha"],
)
def test_students_that_cannot(kind, params):
    X, y, _ = data()
    model = DistilledClassifier(known(), UNABLE[kind], **params)
    with pytest.raises(ValueError, match="are for SoftLabelLogisticRegression, by itself"):
        model.fit(X, y)
    assert not hasattr(model, "student_")


@pytest.mark.parametrize(
    ("params", "infinite"),
    [
        ({"divergence": "kl"}, False),
        ({"divergence": "reverse_kl"}, True),
        ({"divergence": "jeffreys"}, True),
        ({"divergence": "jensen_shannon"}, False),
        ({"divergence": "jensen_shannon", "beta": 1.0}, True),
        ({"divergence": "alpha", "alpha": 0.2}, False),
        ({"divergence": "alpha", "alpha": 0.0}, True),
        ({"divergence": "alpha", "alpha": -0.5}, True),
        ({"divergence": "alpha", "alpha": 1.5}, False),
    ],
)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_teacher_that_says_0(params, infinite, temperature):
    rng = np.random.default_rng(0)
    proba = softmax(rng.normal(size=(12, 3)), axis=1)
    proba[5] = [0.4, 0.0, 0.6]
    model = DistilledClassifier(written(), temperature=temperature, **params)
    if infinite:
        with pytest.raises(ValueError, match="gives class 1 of sample 5 probability 0"):
            model.fit(proba)
        model.set_params(smoothing=1e-3)
    assert np.isfinite(model.fit(proba).student_.coef_).all()


def test_small_probabilities_of_float32_samples():
    """A probability that is 0 in float32 only is none that the message of zeros is for."""
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    teacher = known(scale=60.0)
    assert teacher.predict_proba(X).min() < 1e-60
    model = DistilledClassifier(teacher, divergence="reverse_kl")
    DistilledClassifier(teacher, divergence="reverse_kl").fit(X.astype(np.float64))
    with pytest.raises(ValueError, match="probability 0"):
        model.fit(X)


def test_class_weight_of_0_and_a_divergence_that_zeros_make_infinite():
    X, y, _ = data()
    student = SoftLabelLogisticRegression(class_weight={0: 0.0})
    with pytest.raises(ValueError, match="class_weight"):
        DistilledClassifier(known(), student, divergence="reverse_kl").fit(X, y)


def test_zeros_of_samples_that_do_not_count():
    rng = np.random.default_rng(0)
    proba = softmax(rng.normal(size=(30, 3)), axis=1)
    proba[20:] = [1.0, 0.0, 0.0]
    y = np.r_[np.tile([0, 1, 2], 7)[:20], np.full(10, -1)]
    model = DistilledClassifier(
        written(), exact(), divergence="reverse_kl", unlabeled=-1, unlabeled_weight=0.0
    ).fit(proba, y)
    alone = DistilledClassifier(written(), exact(), divergence="reverse_kl")
    alone.fit(proba[:20], y[:20])
    assert_allclose(model.student_.coef_, alone.student_.coef_, rtol=0, atol=1e-7)


# -- How it is fitted ----------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_iterations_of_both_stages(capsys, temperature):
    X, y, _ = data()
    params = {"temperature": temperature}
    forward = distilled(known(), exact(verbose=1), **params).fit(X, y)
    one = capsys.readouterr().out.splitlines()
    both = distilled(known(), exact(verbose=1), "reverse_kl", **params).fit(X, y)
    two = capsys.readouterr().out.splitlines()
    assert two[: len(one)] == one
    assert forward.student_.n_iter_ == len(one) - 1
    assert both.student_.n_iter_ > forward.student_.n_iter_
    numbers = [int(re.match(r"iteration (\d+):", line)[1]) for line in two]
    assert numbers == list(range(both.student_.n_iter_ + 1))


@pytest.mark.parametrize("divergence", ["kl", "reverse_kl"])
@pytest.mark.parametrize("max_iter", [1, 3, 5])
def test_max_iter_bounds_both_stages(divergence, max_iter):
    X, y, _ = data()
    model = distilled(known(), exact(max_iter=max_iter), divergence, temperature=2.0)
    message = f"No convergence in {max_iter} iterations"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model.fit(X, y)
    assert [str(w.message)[: len(message)] for w in caught] == [message] * len(caught)
    assert model.student_.n_iter_ == max_iter
    assert model.student_.max_iter == max_iter


def test_the_budget_may_end_between_the_stages():
    X, y, _ = data()
    n_first = distilled(known(), exact()).fit(X, y).student_.n_iter_
    model = distilled(known(), exact(max_iter=n_first), "reverse_kl")
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert f"No convergence in {n_first} iterations" in str(caught[0].message)
    assert model.student_.n_iter_ == n_first


class Counter:
    """A callback that counts iterations, and stops after some."""

    def __init__(self, stop=None):
        self.stop = stop
        self.models = []

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        """Do nothing."""

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        if context.task_name != "iteration":
            return False
        self.models.append(fitted_estimator)
        return len(self.models) == self.stop


@needs_callbacks
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_callbacks_see_both_stages(temperature):
    X, _, _ = data()
    params = {"temperature": temperature}
    n_first = distilled(known(), exact(), **params).fit(X).student_.n_iter_
    # A deep copy of a callback would count elsewhere; the clone of a student shares it.
    model = distilled(
        known(), exact().set_callbacks(counter := Counter()), "jeffreys", **params
    )
    model.fit(X)
    assert len(counter.models) == model.student_.n_iter_ > n_first
    coef = counter.models[-1].coef_ * temperature
    assert_allclose(coef, model.student_.coef_, rtol=0, atol=1e-8)
    for stop in (2, n_first + 2):
        student = exact().set_callbacks(counter := Counter(stop))
        model = distilled(known(), student, "jeffreys", **params).fit(X)
        assert len(counter.models) == model.student_.n_iter_ == stop
        assert_allclose(counter.models[-1].coef_ * temperature, model.student_.coef_)


@each_case
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_loss(divergence, parameter, share):
    """The recorded loss is that of the objective without penalty, at temperature 1."""
    X, y, s = data()
    model = distilled(known(), exact(), divergence, parameter, hard_label_weight=share)
    model.fit(X, y, sample_weight=s)
    reference = reference_of(model, X, y, s)
    if divergence == "kl" and share > 0.0:  # a divergence of the mixed target
        proba = (1.0 - share) * reference.proba + share * reference.labels
        wanted = value_and_slope("kl", 0.5, proba, model.predict_proba(X))[0]
        wanted = float(s @ wanted) / s.sum()
    else:
        value, _ = reference.at(model.student_)
        wanted = (value - 0.5 * np.sum(model.student_.coef_**2)) / s.sum()
    assert model.student_.loss_ == pytest.approx(wanted, rel=1e-10)


@each_case
def test_loss_at_a_temperature(divergence, parameter):
    """The student learned, and recorded its loss, at the temperature."""
    X, _, _ = data()
    model = distilled(known(), exact(), divergence, parameter, temperature=3.0).fit(X)
    q = softmax(model.decision_function(X) / 3.0, axis=1)
    p = raised(Known().predict_proba(X), 3.0)
    wanted = value_and_slope(divergence, parameter, p, q)[0].mean()
    assert model.student_.loss_ == pytest.approx(wanted, rel=1e-10)


# -- What divergences are for --------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_covering_and_committing(temperature):
    """A student that knows nothing but the mean, of a teacher of two minds."""
    modes = np.array([[0.96, 0.04], [0.04, 0.96]])
    proba = np.repeat(modes, [75, 25], axis=0)
    student = make_pipeline(FunctionTransformer(nothing), exact())
    said = {}
    for divergence, parameter in CASES:
        model = distilled(written(2), student, divergence, parameter, temperature=temperature)
        said[divergence, parameter] = raised(
            model.fit(proba).predict_proba(proba[:1]), temperature
        )[0]
    tempered = raised(proba, temperature)
    assert_allclose(said["kl", 0.5], tempered.mean(axis=0), atol=1e-8)
    geometric = np.exp(np.log(tempered).mean(axis=0))
    assert_allclose(said["reverse_kl", 0.5], geometric / geometric.sum(), atol=1e-8)
    entropies = {case: -np.sum(q * np.log(q)) for case, q in said.items()}
    assert entropies["reverse_kl", 0.5] < entropies["kl", 0.5] - 0.01
    for (divergence, parameter), q in said.items():

        def loss(first, divergence=divergence, parameter=parameter):
            q = np.full_like(tempered, 1.0 - first)
            q[:, 0] = first
            return value_and_slope(divergence, parameter, tempered, q)[0].sum()

        best = minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded")
        assert loss(q[0]) <= best.fun * (1.0 + 1e-12)


@pytest.mark.parametrize(
    "divergence", ["kl", "reverse_kl", "jeffreys", "jensen_shannon", "alpha"]
)
def test_a_teacher_that_the_student_can_follow(divergence):
    """Every divergence leads to the teacher, at every temperature."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    coef = rng.normal(size=(2, 3))
    proba = softmax(X @ coef, axis=1)
    student = make_pipeline(FunctionTransformer(first_columns), exact(C=np.inf))
    for temperature in (0.5, 1.0, 4.0):
        model = distilled(written(), student, divergence, temperature=temperature)
        said = model.fit(np.hstack([X, proba])).predict_proba(np.hstack([X, proba]))
        assert_allclose(said, proba, atol=1e-6)


def dense(X):
    return X.toarray() if issparse(X) else X


def first_columns(X):
    return X[:, :2]
