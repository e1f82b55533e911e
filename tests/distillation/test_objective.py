"""What the student minimises, against the documented objective written out in NumPy."""

import re
from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklkl import divergences
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer, kl_loss
from tests._support.callbacks import needs_callbacks
from tests._support.models import Recorder, Says, exact, taught, tempered
from tests._support.problems import random_rows

CASES = [
    ("kl", 0.5), ("reverse_kl", 0.5), ("jeffreys", 0.5),
    ("jensen_shannon", 0.1), ("jensen_shannon", 0.5), ("jensen_shannon", 0.9),
    ("alpha", -0.5), ("alpha", 0.3), ("alpha", 2.0),
]  # fmt: skip
each_case = pytest.mark.parametrize(("divergence", "parameter"), CASES)


def teacher_of(X, n_classes=3, scale=1.5):
    """Probabilities that no linear student can follow."""
    X = np.asarray(X, dtype=np.float64)
    features = np.hstack([X, X**2 - 1.0, np.sin(3.0 * X)])
    coef = np.random.default_rng(7).normal(size=(features.shape[1], n_classes))
    return softmax(scale * features @ coef / 2.0, axis=1)


def data(n_classes=3, n_samples=60, seed=0, dtype=np.float64):
    """Samples, labels drawn from the teacher, weights, and what the teacher says."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2)).astype(dtype)
    proba = teacher_of(X, n_classes)
    y = (rng.uniform(size=(n_samples, 1)) > proba.cumsum(axis=1)).sum(axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y, rng.uniform(0.2, 2.0, n_samples), proba


def distilled(student, divergence="kl", parameter=0.5, **params):
    name = {"jensen_shannon": "weight", "alpha": "alpha"}.get(divergence)
    of_divergence = None if name is None else {name: parameter}
    params = {"divergence": divergence, "divergence_params": of_divergence, **params}
    return DistilledClassifier(None, student, **params)


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

    ``target`` is the teacher's at the temperature. A coefficient vector holds per logit the
    features, then the intercept; a binary student has the logit of its second class alone.
    """

    def __init__(self, X, target, weight, labels, label_weight, T, divergence, parameter, C):
        self.X = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
        self.target, self.weight, self.T = target, weight, T
        self.labels, self.label_weight = labels, label_weight
        self.divergence, self.parameter, self.C = divergence, parameter, C
        self.n_logits = 1 if target.shape[1] == 2 else target.shape[1]

    def __call__(self, theta):
        W = theta.reshape(self.n_logits, -1).T
        z = self.X @ W
        if self.n_logits == 1:
            z = np.column_stack([np.zeros(len(z)), z])
        q = softmax(z / self.T, axis=1)
        value, slope = value_and_slope(self.divergence, self.parameter, self.target, q)
        by_z = q * (slope - np.sum(q * slope, axis=1, keepdims=True)) / self.T
        by_z *= (self.weight * self.T**2)[:, None]
        total = self.T**2 * float(self.weight @ value)
        total -= float(self.label_weight @ (self.labels * log_softmax(z, axis=1)).sum(axis=1))
        by_z += self.label_weight[:, None] * (softmax(z, axis=1) - self.labels)
        gradient = self.C * self.X.T @ by_z[:, -self.n_logits :]
        gradient[:-1] += W[:-1]
        penalty = 0.5 * float(np.sum(W[:-1] ** 2))
        return self.C * total + penalty, gradient.T.ravel()

    def weigh_classes(self, factors):
        """Let class weights multiply the columns of both targets."""
        for target, weight in (("target", "weight"), ("labels", "label_weight")):
            masses = getattr(self, target) * factors
            total = masses.sum(axis=1)
            setattr(self, weight, getattr(self, weight) * total)
            setattr(self, target, masses / np.where(total > 0, total, 1)[:, None])

    def balanced(self):
        """Return the class weights that make all classes count the same."""
        mass = self.weight @ self.target + self.label_weight @ self.labels
        return mass.sum() / (len(mass) * mass)

    def at(self, student):
        """Return the value, and the largest entry of the gradient as ``tol`` counts it."""
        value, gradient = self(theta_of(student))
        if not student.fit_intercept:
            gradient = gradient.reshape(self.n_logits, -1)[:, :-1]
        return value, abs(gradient).max() / (self.C * (self.weight + self.label_weight).sum())


def theta_of(student):
    return np.column_stack([student.coef_, student.intercept_]).ravel().astype(np.float64)


def reference_of(model, X, proba, y=None, s=None, labeled=None, C=1.0):
    n, n_classes = proba.shape
    s = np.ones(n) if s is None else s
    labeled = np.full(n, y is not None) if labeled is None else labeled
    labels = np.zeros((n, n_classes))
    if y is not None:
        soft = y if np.ndim(y) == 2 else np.eye(n_classes)[np.where(labeled, y, 0)]
        labels[labeled] = np.asarray(soft)[labeled]
    w, T = model.hard_label_weight, model.temperature
    share = (1.0 - w) * s * np.where(labeled, 1.0, model.unlabeled_weight)
    parameter = next(iter((model.divergence_params or {"": 0.5}).values()))
    goal = X, tempered(proba, T), share, labels, w * s * labeled, T
    return Reference(*goal, model.divergence, parameter, C)


# -- The objective -------------------------------------------------------------


@each_case
def test_reference(divergence, parameter):
    """It has the documented values, and the derivatives of these."""
    p, q = random_rows(5, 3), random_rows(5, 3, seed=1)
    if divergence == "reverse_kl":
        wanted = divergences.kl_divergence(q, p)
    elif divergence == "jensen_shannon":
        wanted = divergences.jensen_shannon_divergence(p, q, weight=parameter)
        wanted /= parameter * (1.0 - parameter)
    else:
        params = {"alpha": parameter} if divergence == "alpha" else {}
        wanted = getattr(divergences, f"{divergence}_divergence")(p, q, **params)
    value, _ = value_and_slope(divergence, parameter, p, q)
    assert_allclose(value, wanted, rtol=1e-12)
    n_classes = 2 if parameter == 0.5 else 3
    X, y, s, proba = data(n_classes)
    goal = X, tempered(proba, 3.0), s, np.eye(n_classes)[y], s[::-1], 3.0
    reference = Reference(*goal, divergence, parameter, 0.3)
    theta, step = np.random.default_rng(1).normal(size=(2, 3 * reference.n_logits)) / 2.0
    h = 1e-3
    values = {j: reference(theta + j * h * step)[0] for j in (-2, -1, 1, 2)}
    slope = (values[-2] - 8 * values[-1] + 8 * values[1] - values[2]) / (12 * h)
    assert slope == pytest.approx(reference(theta)[1] @ step, rel=1e-7)


def covering():
    """Yield settings in which each two values of two options meet."""
    for (i, case), (j, temperature) in product(enumerate(CASES), enumerate((0.5, 1.0, 3.0))):
        a, b = i % 3, i // 3
        yield (
            *case,
            {"temperature": temperature, "hard_label_weight": (0.0, 0.3, 0.7)[(a + j) % 3]},
            ("hard", "marked", "soft and marked")[(a + 2 * j) % 3],
            (2, 3, 4)[(a + b + j) % 3],
            (np.asarray, csr_array, np.asfortranarray)[(b + j) % 3],
            (None, "dict", "balanced")[(b + 2 * j) % 3],
            (True, True, False)[(a + b + 2 * j) % 3],
        )


@pytest.mark.parametrize("setting", covering())
def test_student_is_stationary(setting):
    divergence, parameter, params, kind, n_classes, container, *of_student = setting
    class_weight, intercept = of_student
    X, y, s, proba = data(n_classes)
    labeled = np.arange(len(y)) % 3 > 0
    if kind == "soft and marked":
        y = np.where(labeled[:, None], random_rows(len(y), n_classes), -1.0)
    elif kind == "marked":
        y = np.where(labeled, y, -1)
    else:
        labeled = None
    factors = np.array([1.0, 3.0, 0.5, 2.0])[:n_classes]
    given = dict(enumerate(factors)) if class_weight == "dict" else class_weight
    student = exact(C=0.3, class_weight=given, fit_intercept=intercept)
    params = {**params, "unlabeled": -1, "unlabeled_weight": 0.4}
    model = distilled(student, divergence, parameter, **params)
    model.fit(container(X), y, sample_weight=s, teacher_proba=proba)
    reference = reference_of(model, X, proba, y, s, labeled, C=0.3)
    if class_weight is not None:
        reference.weigh_classes(factors if class_weight == "dict" else reference.balanced())
    assert reference.at(model.student_)[1] < 3e-10
    assert intercept or not model.student_.intercept_.any()


@pytest.mark.parametrize(
    ("divergence", "temperature"), [("kl", 3.0), ("jensen_shannon", 1.0), ("alpha", 3.0)]
)
def test_float32(divergence, temperature):
    X, y, s, proba = data(dtype=np.float32, n_samples=200)
    model = distilled(exact(tol=1e-6), divergence, temperature=temperature)
    model.set_params(hard_label_weight=0.3).fit(X, y, sample_weight=s, teacher_proba=proba)
    assert model.student_.coef_.dtype == np.float32
    # The target is rounded to float32, and the coefficients are.
    assert reference_of(model, X, proba, y, s).at(model.student_)[1] < 3e-6


@pytest.mark.parametrize("divergence", ["reverse_kl", "jeffreys", "jensen_shannon", "alpha"])
@pytest.mark.parametrize("seed", [0, 1])
def test_other_divergences_start_from_the_optimum_of_kl(divergence, seed):
    """They are not convex: the teacher is too sure of itself to be followed."""
    X, _, _, _ = data(n_samples=25, seed=seed)
    sharp = teacher_of(X, scale=4.0)
    model, forward = (
        distilled(exact(C=10.0), name, temperature=2.0).fit(X, teacher_proba=sharp)
        for name in (divergence, "kl")
    )
    reference = reference_of(model, X, sharp, C=10.0)
    value, largest = reference.at(model.student_)
    assert value <= reference.at(forward.student_)[0] * (1.0 + 1e-12)
    assert largest < 3e-10


@pytest.mark.parametrize(
    ("divergence", "temperature", "l1_ratio"),
    [("kl", 2.0, 0.5), ("reverse_kl", 1.0, 1.0), ("jensen_shannon", 2.0, 1.0)],
)
def test_l1_norm(divergence, temperature, l1_ratio):
    X, y, s, proba = data()
    X = np.hstack([X, np.random.default_rng(0).normal(size=(len(X), 4))])
    student = exact(C=0.4, l1_ratio=l1_ratio, tol=1e-8)
    model = distilled(student, divergence, temperature=temperature, hard_label_weight=0.3)
    model.fit(X, y, sample_weight=s, teacher_proba=proba)
    reference = reference_of(model, X, proba, y, s, C=0.4)
    gradient = reference(theta_of(model.student_))[1].reshape(3, -1)
    coef, slopes = model.student_.coef_, gradient[:, :-1] - l1_ratio * model.student_.coef_
    zero = coef == 0.0
    assert 0 < zero.sum() < zero.size
    assert (abs(slopes[zero]) < l1_ratio + 1e-6).all()
    assert_allclose(slopes[~zero], -l1_ratio * np.sign(coef[~zero]), atol=1e-6)
    assert abs(gradient[:, -1]).max() < 1e-6


@pytest.mark.parametrize(
    ("divergence", "limit", "same", "near"),
    [
        ("jensen_shannon", "kl", [1e-13], [1e-11]),
        ("jensen_shannon", "reverse_kl", [1.0], [1.0 - 1e-8]),
        ("alpha", "kl", [1.0], [1.0 - 1e-11, 1.0 + 1e-9]),
        ("alpha", "reverse_kl", [-1e-13], [-1e-9, 1e-8]),
    ],
)
def test_limits(divergence, limit, same, near):
    X, y, s, proba = data()

    def coef(name, parameter):
        model = distilled(exact(), name, parameter, temperature=2.0, hard_label_weight=0.3)
        return model.fit(X, y, sample_weight=s, teacher_proba=proba).student_.coef_

    wanted = coef(limit, 0.5)
    for parameter in same + near:
        found = coef(divergence, parameter)
        assert_allclose(found, wanted, rtol=0, atol=0 if parameter in same else 1e-6)


@pytest.mark.parametrize(
    ("divergence", "parameter", "student"),
    [
        ("jensen_shannon", 0.0, GaussianNB()),
        ("alpha", 1.0, SoftLabelLogisticRegressionCV(Cs=[1.0], cv=2)),
    ],
)
def test_limits_that_are_kl_take_every_student(divergence, parameter, student):
    X, y, _, proba = data()
    model, wanted = (
        distilled(student, name, parameter).fit(X, y, teacher_proba=proba)
        for name in (divergence, "kl")
    )
    assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))


# -- Labels --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("divergence", "temperature", "soft"),
    [("kl", 3.0, False), ("reverse_kl", 3.0, True), ("kl", 1.0, True)],
)
def test_labels_alone(divergence, temperature, soft):
    """The teacher has no share, even where it makes the divergence infinite."""
    X, y, s, proba = data()
    proba[5] = [0.4, 0.0, 0.6]
    labeled = np.arange(len(y)) % 4 > 0
    target = random_rows(len(y), 3) if soft else y
    marked = np.where(labeled[:, None] if soft else labeled, target, -1)
    params = {"temperature": temperature, "hard_label_weight": 1.0, "unlabeled": -1}
    model = distilled(exact(), divergence, **params)
    model.fit(X, marked, sample_weight=s, teacher_proba=proba)
    plain = exact().fit(X[labeled], target[labeled], sample_weight=s[labeled])
    assert_allclose(theta_of(model.student_), theta_of(plain), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("temperature", "soft"), [(0.5, True), (1.0, False), (3.0, False), (3.0, True)]
)
def test_correction_is_that_of_its_formula(temperature, soft):
    p = random_rows(20, 4)
    p[7] = [0.5, 0.0, 0.3, 0.2]
    y = random_rows(20, 4, seed=1) if soft else np.arange(20) * 3 % 4
    truth = y if soft else np.eye(4)[y]
    q = tempered(p, temperature)
    wanted = q.copy()
    for i, c in np.ndindex(q.shape):
        # Where the teacher says 0, the limit of the bounded ratio.
        limit = {0.5: 0.0, 1.0: 0.6, 3.0: 1.0}[temperature]
        a = min(1.0, 0.6 * q[i, c] / (temperature * p[i, c])) if p[i, c] > 0 else limit
        wanted[i] += truth[i, c] * a * (np.eye(4)[c] - q[i])
    model = distilled(Recorder(), temperature=temperature, loss_correction=0.6)
    got = taught(model.fit(np.zeros((20, 1)), y, teacher_proba=p))
    assert_allclose(got, wanted, rtol=1e-13, atol=1e-16)
    assert_allclose(got.sum(axis=1), 1.0)


def test_correction_takes_nothing_from_unlabeled_samples():
    """At temperature 1 it is a share of labels, which takes its part from these, too."""
    X, y, s, proba = data()
    y = np.where(np.arange(len(y)) % 3, y, -1)
    corrects = distilled(Recorder(), loss_correction=0.4, unlabeled_weight=0.3, unlabeled=-1)
    shares = distilled(Recorder(), hard_label_weight=0.4, unlabeled_weight=0.5, unlabeled=-1)
    for model in (corrects, shares):
        model.fit(X, y, sample_weight=s, teacher_proba=proba)
    assert_allclose(taught(corrects), taught(shares), rtol=1e-12)


# -- Classes and students ------------------------------------------------------


@pytest.mark.parametrize("divergence", ["kl", "jensen_shannon"])
def test_student_with_more_classes(divergence):
    X, y, _, proba = data(2)
    names = np.array(["b", "c"])
    model = distilled(exact(classes=["c", "a", "b"]), divergence, temperature=2.0)
    model.set_params(teacher=Says(partial(teacher_of, n_classes=2), names))
    model.set_params(hard_label_weight=0.3).fit(X, names[y])
    assert model.classes_.tolist() == ["a", "b", "c"]
    target = np.full((len(X), 3), 1e-300)
    target[:, 1:] = tempered(proba, 2.0)
    ones = np.ones(len(X))
    goal = X, target, 0.7 * ones, np.eye(3)[y + 1], 0.3 * ones, 2.0
    reference = Reference(*goal, divergence, 0.5, 1.0)
    # What the stopping rule may leave of a class without a target; of others, far less.
    assert reference.at(model.student_)[1] < 1e-6
    assert (model.predict_proba(X)[:, 0] < 0.1).all()


@pytest.mark.parametrize(
    ("steps", "divergence"),
    [
        ([PolynomialFeatures(2, include_bias=False)], "reverse_kl"),
        ([StandardScaler(), PolynomialFeatures(2)], "kl"),
    ],
)
def test_pipelines(steps, divergence):
    X, y, s, proba = data()
    student = make_pipeline(*steps, exact(C=0.5, class_weight="balanced"))
    model = distilled(student, divergence, temperature=2.0, hard_label_weight=0.3)
    model.fit(X, y, sample_weight=s, teacher_proba=proba)
    features = model.student_[:-1].transform(X)
    reference = reference_of(model, features, proba, y, s, C=0.5)
    reference.weigh_classes(reference.balanced())
    assert reference.at(model.student_[-1])[1] < 1e-9
    # The fitted student has the parameters that were given, but for what it was to learn.
    learned = ("classes", "divergence", "divergence_params", "temperature")
    given, params = student[-1].get_params(), model.student_[-1].get_params()
    assert all(params[name] == given[name] for name in params if name not in learned)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("transformers", [[], [StandardScaler()]], ids=len)
def test_searches_learn_by_any_divergence_and_from_labels(transformers, routed):
    """Labels reach the last step, by fold; scores compare predictions at the temperature."""
    X, y, s, proba = data()
    options = {"temperature": 4.0, "hard_label_weight": 0.3}
    with config_context(enable_metadata_routing=routed):
        last, scorer = exact(), get_scorer("neg_kl_loss")
        if routed:
            last.set_fit_request(sample_weight=True)
            scorer.set_score_request(sample_weight=True)
            transformers = [t.set_fit_request(sample_weight=False) for t in transformers]
        student = make_pipeline(*transformers, last)
        grid = {f"{student.steps[-1][0]}__C": [0.01, 0.1, 1.0]}
        search = GridSearchCV(student, grid, scoring=scorer, cv=KFold(3))
        model = distilled(search, "reverse_kl", **options)
        model.fit(X, y, sample_weight=s, teacher_proba=proba)
        found = model.student_.best_estimator_
        student.set_params(**model.student_.best_params_)
        alone = distilled(student, "reverse_kl", **options)
        alone.fit(X, y, sample_weight=s, teacher_proba=proba)
    assert_allclose(theta_of(found[-1]), theta_of(alone.student_[-1]), rtol=0, atol=1e-9)
    assert_allclose(model.predict_proba(X), alone.predict_proba(X), rtol=0, atol=1e-9)
    target = tempered(proba, 4.0)
    for i, C in enumerate((0.01, 0.1, 1.0)):
        train, test = next(KFold(3).split(X))
        student.set_params(**{next(iter(grid)): C})
        alone.fit(X[train], y[train], sample_weight=s[train], teacher_proba=proba[train])
        q = softmax(alone.decision_function(X[test]) / 4.0, axis=1)
        loss = kl_loss(target[test], q, sample_weight=s[test] if routed else None)
        score = model.student_.cv_results_["split0_test_score"][i]
        assert score == pytest.approx(-loss, rel=1e-6)


INFINITE = [
    ("reverse_kl", 0.5), ("jeffreys", 0.5), ("jensen_shannon", 1.0),
    ("alpha", 0.0), ("alpha", -0.5),
]  # fmt: skip
FINITE = [("kl", 0.5), ("jensen_shannon", 0.5), ("alpha", 0.2), ("alpha", 1.5)]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(("divergence", "parameter"), [*INFINITE, *FINITE])
def test_teacher_that_says_0(divergence, parameter, temperature):
    X, proba = random_rows(12, 3, seed=1), random_rows(12, 3)
    proba[5] = [0.4, 0.0, 0.6]
    model = distilled(None, divergence, parameter, temperature=temperature)
    if (divergence, parameter) not in FINITE:
        with pytest.raises(ValueError, match="gives class 1 of sample 5 probability 0"):
            model.fit(X, teacher_proba=proba)
        model.set_params(smoothing=1e-3)
    assert np.isfinite(model.fit(X, teacher_proba=proba).student_.coef_).all()


def test_small_probabilities_of_float32_samples():
    """They are 0 in float32 only."""
    X, _, _, _ = data(n_samples=30, dtype=np.float32)
    proba = teacher_of(X, scale=60.0)
    assert proba.min() < 1e-60
    model = distilled(None, "reverse_kl")
    model.fit(X.astype(np.float64), teacher_proba=proba)
    with pytest.raises(ValueError, match="probability 0"):
        model.fit(X, teacher_proba=proba)


def test_zeros_of_samples_that_do_not_count():
    X, _, _, proba = data(n_samples=30)
    proba[20:] = [1.0, 0.0, 0.0]
    y = np.r_[np.tile([0, 1, 2], 7)[:20], np.full(10, -1)]
    model = distilled(exact(), "reverse_kl", unlabeled=-1, unlabeled_weight=0.0)
    model.fit(X, y, teacher_proba=proba)
    alone = distilled(exact(), "reverse_kl").fit(X[:20], y[:20], teacher_proba=proba[:20])
    assert_allclose(model.student_.coef_, alone.student_.coef_, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("alpha", "dtype"), [(5.0, np.float32), (-3.0, np.float64)])
def test_samples_of_weight_0_may_be_infinitely_wrong(alpha, dtype):
    X = np.random.default_rng(0).normal(size=(120, 3))
    p = 1.0 / (1.0 + np.exp(-X[:, :1]))
    proba = np.hstack([1.0 - p, p])
    far = np.vstack([X, [[1e4, 0.0, 0.0]] * 3]).astype(dtype)
    says = np.vstack([proba, [[0.999, 0.001]] * 3])
    weight = np.r_[np.ones(120), np.zeros(3)]
    model = distilled(None, "alpha", alpha)
    without = model.fit(X.astype(dtype), teacher_proba=proba).student_.coef_
    found = model.fit(far, teacher_proba=says, sample_weight=weight).student_.coef_
    assert_allclose(found, without, rtol=0, atol=1e-3)


# -- How it is fitted ----------------------------------------------------------


def test_iterations_of_both_stages(capsys):
    X, _, _, proba = data()
    students = []
    for divergence in ("kl", "reverse_kl"):
        model = distilled(exact(verbose=1), divergence, temperature=2.0)
        students.append(model.fit(X, teacher_proba=proba).student_)
        lines = capsys.readouterr().out.splitlines()
        numbers = [int(re.match(r"iteration (\d+):", line)[1]) for line in lines]
        assert numbers == list(range(model.student_.n_iter_ + 1))
    n_first = students[0].n_iter_
    assert students[1].n_iter_ > n_first
    # max_iter bounds both: it may end the first, the second, or fall between.
    for max_iter in (3, n_first, n_first + 1):
        model = distilled(exact(max_iter=max_iter), "reverse_kl", temperature=2.0)
        message = f"No convergence in {max_iter} iterations"
        with pytest.warns(ConvergenceWarning, match=message) as caught:
            model.fit(X, teacher_proba=proba)
        assert len(caught) == 1
        assert model.student_.n_iter_ == model.student_.max_iter == max_iter


class Counter:
    """A callback that counts iterations, and stops after some."""

    def __init__(self, stop):
        self.stop, self.models = stop, []

    def setup(self, *args, **kwargs):
        """Do nothing."""

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        if context.task_name == "iteration":
            self.models.append(fitted_estimator)
        return len(self.models) == self.stop


@needs_callbacks
def test_callbacks_see_both_stages():
    X, _, _, proba = data()
    forward, both = (
        distilled(exact(), name, temperature=2.0).fit(X, teacher_proba=proba).student_.n_iter_
        for name in ("kl", "jeffreys")
    )
    for stop in (forward - 1, forward + 2, both):
        # A deep copy of a callback would count elsewhere; the clone of a student shares it.
        student = exact().set_callbacks(counter := Counter(stop))
        model = distilled(student, "jeffreys", temperature=2.0).fit(X, teacher_proba=proba)
        assert len(counter.models) == model.student_.n_iter_ == stop
        assert_allclose(counter.models[-1].coef_, model.student_.coef_, rtol=0, atol=1e-8)


@pytest.mark.parametrize("divergence", ["kl", "jensen_shannon", "alpha"])
@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.3), (3.0, 0.0)])
def test_loss(divergence, temperature, share):
    """The recorded loss is that of the objective without penalty, at the temperature."""
    X, y, s, proba = data()
    model = distilled(exact(), divergence, temperature=temperature, hard_label_weight=share)
    model.fit(X, y, sample_weight=s, teacher_proba=proba)
    target = tempered(proba, temperature)
    q = softmax(model.decision_function(X) / temperature, axis=1)
    if divergence == "kl":  # a divergence of the mixed target
        target = (1.0 - share) * target + share * np.eye(3)[y]
        wanted = value_and_slope("kl", 0.5, np.maximum(target, 1e-300), q)[0]
    else:
        log_q = np.log(q[np.arange(len(y)), y])
        wanted = (1.0 - share) * value_and_slope(divergence, 0.5, target, q)[0] - share * log_q
    assert model.student_.loss_ == pytest.approx(float(s @ wanted) / s.sum(), rel=1e-10)
