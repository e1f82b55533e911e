"""What a student is taught: by which teacher, how calibrated, how mixed with labels."""

import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import expit, rel_entr, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ParameterGrid,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from sklkl.distillation import DistilledClassifier, PooledClassifier, munge
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import kl_loss
from sklkl.model_selection import soft_cross_val_predict

NAMES = np.array(["ash", "birch", "cedar"])


class Witness(ClassifierMixin, BaseEstimator):
    """A teacher that signs what it says; the first column of X numbers the samples."""

    fits = ()

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.number_ = len(Witness.fits)
        Witness.fits = (*Witness.fits, (set(X[:, 0].astype(int)), sample_weight))
        return self

    def predict_proba(self, X):
        first = np.full((len(X), 1), 0.25 + 0.01 * self.number_)
        rest = np.tile((1.0 - first) / (len(self.classes_) - 1), len(self.classes_) - 1)
        return np.hstack([first, rest])


class Pupil(ClassifierMixin, BaseEstimator):
    """A student that writes down what it is taught, a row of probabilities per sample."""

    fits = ()

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.taught_ = np.asarray(sample_weight).reshape(-1, len(self.classes_))
        self.samples_ = np.asarray(X)[:: len(self.classes_), 0].astype(int)
        Pupil.fits = (*Pupil.fits, self)
        return self

    def predict_proba(self, X):
        self.asked_ = np.asarray(X)[:, 0].astype(int)
        return np.full((len(X), len(self.classes_)), 1.0 / len(self.classes_))

    def predict(self, X):
        return self.classes_[np.zeros(len(X), int)]


class Sharp(ClassifierMixin, BaseEstimator):
    """A logistic regression that is too sure of itself, or not sure enough."""

    def __init__(self, power=3.0):
        self.power = power

    def fit(self, X, y, sample_weight=None):
        self.inner_ = LogisticRegression().fit(X, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return tempered(self.inner_.predict_proba(X), 1.0 / self.power)


class Noise(ClassifierMixin, BaseEstimator):
    """A teacher whose probabilities have nothing to do with the labels."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        seed = int(abs(np.asarray(X)).sum() * 1e3) % 2**32
        rng = np.random.default_rng(seed)
        return softmax(2.0 * rng.normal(size=(len(X), len(self.classes_))), axis=1)


class Truth(ClassifierMixin, BaseEstimator):
    """A teacher that knows the probabilities that labels are drawn with."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(3)
        return self

    def predict_proba(self, X):
        coef = np.array([[2.0, -1.0, 0.0], [0.0, 1.0, -2.0]])
        return softmax(np.asarray(X)[:, :2] @ coef, axis=1)


class Counting(ClassifierMixin, BaseEstimator):
    """A teacher that counts its fits."""

    n_fits = 0

    def __init__(self, C=1.0):
        self.C = C

    def fit(self, X, y, sample_weight=None):
        Counting.n_fits += 1
        self.inner_ = LogisticRegression(C=self.C).fit(X, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Spare small fits the threads of BLAS, which would wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def forget():
    """Empty what classes have written down."""
    Witness.fits, Pupil.fits, Counting.n_fits = (), (), 0


def tempered(proba, temperature):
    powers = np.power(proba, 1.0 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def exact(**params):
    return SoftLabelLogisticRegression(**{"tol": 1e-9, "max_iter": 5000, **params})


def one_hot(y, n_classes):
    return np.eye(n_classes)[y]


def data(n_samples=150, flip_y=0.1, seed=0):
    X, y = make_classification(
        n_samples, 4, n_informative=3, n_redundant=0, n_classes=3, n_clusters_per_class=1,
        flip_y=flip_y, class_sep=1.0, random_state=seed,
    )  # fmt: skip
    return X, y, np.random.default_rng(seed).uniform(0.2, 2.0, n_samples)


def drawn(n_samples, seed=0):
    """Samples and labels that were drawn with the probabilities of ``Truth``."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    proba = Truth().predict_proba(X)
    return X, (rng.uniform(size=(n_samples, 1)) > proba.cumsum(axis=1)).sum(axis=1)


def on_rows(student, X, target, classes, weight=None):
    """Fit a student to a weighted row per sample and class."""
    weights = target if weight is None else target * weight[:, None]
    n_samples, n_classes = target.shape
    rows = np.repeat(np.arange(n_samples), n_classes)
    return clone(student).fit(
        X[rows], np.tile(classes, n_samples), sample_weight=weights.ravel()
    )


# -- Cross-fitting -------------------------------------------------------------


def folds_of(kind, y):
    if kind == "int":
        return 4
    if kind == "splitter":
        return KFold(4, shuffle=True, random_state=0)
    return list(KFold(4).split(y))


@pytest.mark.parametrize("kind", ["int", "splitter", "iterable"])
@pytest.mark.parametrize("unlabeled", [False, True])
def test_cross_fitting(kind, unlabeled):
    X, y, s = data(60)
    X[:, 0] = np.arange(60)
    labeled = np.arange(60) % 3 > 0 if unlabeled else np.ones(60, bool)
    target = np.where(labeled, NAMES[y], "?")
    model = DistilledClassifier(
        Witness(), Pupil(), cv=folds_of(kind, y[labeled]), unlabeled="?"
    ).fit(X, target, sample_weight=s)
    taught = model.student_.taught_ / s[:, None]
    by = np.round((taught[:, 0] - 0.25) / 0.01).astype(int)
    assert len(Witness.fits) == 5
    for i, number in enumerate(by):
        seen, _ = Witness.fits[number]
        assert i not in seen
        assert len(seen) == labeled.sum() if not labeled[i] else len(seen) < labeled.sum()
    for seen, weight in Witness.fits:
        assert_array_equal(weight, s[sorted(seen)])
    assert model.teacher_.number_ == by[~labeled][0] if unlabeled else True
    assert len(Witness.fits[model.teacher_.number_][0]) == labeled.sum()


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=1)])
def test_cross_fitting_is_cross_val_predict(cv):
    X, y, s = data()
    teacher = LogisticRegression()
    model = DistilledClassifier(teacher, exact(), cv=cv).fit(X, NAMES[y], sample_weight=s)
    said = cross_val_predict(
        teacher, X, NAMES[y], cv=cv, params={"sample_weight": s}, method="predict_proba"
    )
    wanted = exact(classes=NAMES).fit(X, said, sample_weight=s)
    assert_allclose(model.student_.coef_, wanted.coef_, rtol=0, atol=1e-8)
    whole = clone(teacher).fit(X, NAMES[y], s)
    assert_array_equal(model.teacher_.coef_, whole.coef_)


def test_cross_fitting_with_soft_targets():
    X, y, s = data()
    soft = softmax(one_hot(y, 3) + np.random.default_rng(0).normal(size=(150, 3)), axis=1)
    frame = pd.DataFrame(soft, columns=NAMES)
    teacher = exact()
    for target in (soft, frame):
        model = DistilledClassifier(teacher, exact(), cv=3, temperature=2.0)
        model.fit(X, target, sample_weight=s)
        said = soft_cross_val_predict(teacher, X, target, cv=3, params={"sample_weight": s})
        q = softmax(model.decision_function(X) / 2.0, axis=1)
        gradient = X.T @ (s[:, None] * (q - tempered(said, 2.0))) * 2.0
        assert_allclose(gradient, -model.student_.coef_.T, atol=1e-5)


def test_fold_without_a_class():
    """Its teacher gives the class probability 0, in its own column."""
    X, y, _ = data(90)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    n_middle = np.count_nonzero(y == 1)
    middle = np.flatnonzero(y == 1)
    rest = np.flatnonzero(y != 1)
    tests = [middle, rest[::2], rest[1::2]]
    cv = [(np.setdiff1d(np.arange(90), test), test) for test in tests]
    model = DistilledClassifier(LogisticRegression(), Pupil(), cv=cv).fit(X, NAMES[y])
    taught = model.student_.taught_
    assert n_middle > 10
    for train, test in cv:
        teacher = LogisticRegression().fit(X[train], NAMES[y[train]])
        columns = np.searchsorted(NAMES, teacher.classes_)
        wanted = np.zeros((len(test), 3))
        wanted[:, columns] = teacher.predict_proba(X[test])
        assert_array_equal(taught[test], wanted)
    assert not taught[middle, 1].any()


def test_folds_that_are_no_partition():
    X, y, _ = data(60)
    for cv in (ShuffleSplit(3, random_state=0), list(KFold(3).split(X))[:2]):
        with pytest.raises(ValueError, match="exactly one test set"):
            DistilledClassifier(LogisticRegression(), cv=cv).fit(X, y)


def test_cv_is_for_teachers_that_are_fitted_here():
    X, y, _ = data(60)
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match="it is fitted already"):
        DistilledClassifier(teacher, cv=3).fit(X, y)
    model = DistilledClassifier(LogisticRegression(), cv=3)
    with pytest.raises(ValueError, match="it is fitted already"):
        model.fit(X, y, teacher_proba=teacher.predict_proba(X))
    for name in ("cv", "temperature", "smoothing", "hard_label_weight", "loss_correction"):
        value = {"cv": 3, "loss_correction": 0.5}.get(name, "auto")
        with pytest.raises(ValueError, match=f"{name} of this .* need labels"):
            DistilledClassifier(teacher, **{name: value}).fit(X)


# -- Calibration ---------------------------------------------------------------


def best_temperature(proba, y, weight=None):
    """Search for the temperature of least log loss among samples that are possible."""
    weight = np.ones(len(y)) if weight is None else weight
    possible = proba[np.arange(len(y)), y] > 0.0
    proba, y, weight = proba[possible], y[possible], weight[possible]

    def loss(log_temperature):
        q = tempered(proba, np.exp(log_temperature))
        return -float(weight @ np.log(q[np.arange(len(y)), y]))

    best = minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(best.x))


CALIBRATED = {
    "forest": (RandomForestClassifier(10, min_samples_leaf=8, random_state=0), 0.0, 1.0),
    "full forest": (RandomForestClassifier(10, random_state=0), 0.0, np.inf),
    "sharp": (Sharp(), 1.0, np.inf),
    "blunt": (Sharp(0.4), 0.0, 1.0),
}


@pytest.mark.parametrize("kind", CALIBRATED)
@pytest.mark.parametrize(("cv", "weighted"), [(None, False), (None, True), (3, True)])
def test_auto_temperature(kind, cv, weighted):
    teacher, low, high = CALIBRATED[kind]
    X, y, s = data(300)
    s = s if weighted else None
    model = DistilledClassifier(teacher, exact(), temperature="auto", cv=cv)
    model.fit(X, y, sample_weight=s)
    said = soft_cross_val_predict(
        teacher, X, y, cv=cv, params={"sample_weight": s} if weighted else None
    )
    wanted = best_temperature(said, y, s)
    assert model.temperature_ == pytest.approx(wanted, rel=1e-4)
    assert low < model.temperature_ < high
    # The student learns, and predicts, the calibrated probabilities.
    whole = clone(teacher).fit(X, y, s).predict_proba(X)
    target = tempered(whole if cv is None else said, model.temperature_)
    student = exact().fit(X, target, sample_weight=s)
    assert_allclose(model.predict_proba(X), student.predict_proba(X), atol=1e-7)


def test_auto_temperature_undoes_a_power():
    X, y, _ = data(300, flip_y=0.3)
    plain, sharp = (
        DistilledClassifier(Sharp(power), exact(), temperature="auto").fit(X, y)
        for power in (1.0, 3.0)
    )
    assert sharp.temperature_ == pytest.approx(3.0 * plain.temperature_, rel=1e-5)
    assert_allclose(plain.predict_proba(X), sharp.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("student", [exact(), GaussianNB()], ids=["logistic", "rows"])
def test_auto_temperature_of_frozen_teachers_and_given_probabilities(student):
    X, y, s = data(300)
    teacher = FrozenEstimator(Sharp().fit(X[:100], y[:100]))
    X, y, s = X[100:], y[100:], s[100:]
    said = teacher.predict_proba(X)
    model = DistilledClassifier(teacher, student, temperature="auto")
    model.fit(X, y, sample_weight=s)
    assert model.temperature_ == pytest.approx(best_temperature(said, y, s), rel=1e-4)
    given = DistilledClassifier(None, student, temperature="auto")
    given.fit(X, y, sample_weight=s, teacher_proba=said)
    assert given.temperature_ == model.temperature_
    assert given.teacher_ is None
    assert_array_equal(given.predict_proba(X), model.predict_proba(X))


def test_auto_temperature_with_unlabeled_samples():
    """Only labelled ones count."""
    X, y, s = data(300)
    marked = np.where(np.arange(300) % 2, y, -1)
    model = DistilledClassifier(Sharp(), temperature="auto", unlabeled=-1)
    model.fit(X, marked, sample_weight=s)
    alone = DistilledClassifier(Sharp(), temperature="auto")
    alone.fit(X[1::2], y[1::2], sample_weight=s[1::2])
    assert model.temperature_ == alone.temperature_


@pytest.mark.parametrize("smoothing", [0.0, "auto"])
def test_useless_teacher(smoothing):
    X, y, _ = data(300)
    model = DistilledClassifier(
        FrozenEstimator(Noise().fit(X, y)), temperature="auto", smoothing=smoothing
    ).fit(X, y)
    assert model.temperature_ > 5.0
    assert np.isfinite(model.predict_proba(X)).all()
    # One that says the contrary is no better.
    contrary = softmax(-3.0 * one_hot(y, 3), axis=1)
    model = DistilledClassifier(None, temperature="auto", smoothing=smoothing)
    model.fit(X, y, teacher_proba=contrary)
    assert model.temperature_ == 1000.0
    assert_allclose(model.predict_proba(X), 1.0 / 3.0, atol=0.01)


@pytest.mark.parametrize("auto", ["temperature", "smoothing"])
def test_teacher_that_is_always_right(auto):
    X, y, _ = data(90)
    certain = one_hot(y, 3)
    for proba in (certain, 0.9 * certain + 0.1 / 3.0):
        model = DistilledClassifier(None, **{auto: "auto"}).fit(X, y, teacher_proba=proba)
        assert 0.0 < model.temperature_ <= 1.0
        assert model.smoothing_ == 0.0
        assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("auto", ["temperature", "smoothing", "both"])
def test_teacher_that_excludes_every_label(auto):
    X, y, _ = data(90)
    wrong = one_hot((y + 1) % 3, 3)
    names = {"both": ["temperature", "smoothing"]}.get(auto, [auto])
    model = DistilledClassifier(None, **dict.fromkeys(names, "auto"))
    model.fit(X, y, teacher_proba=wrong)
    assert np.isfinite([model.temperature_, model.smoothing_]).all()
    if "smoothing" in names:  # what remains is next to uniform, by smoothing or temperature
        assert model.smoothing_ > 0.0
        assert_allclose(model.predict_proba(X), 1.0 / 3.0, atol=0.05)


@pytest.mark.parametrize(
    "teacher",
    [DecisionTreeClassifier(random_state=0), KNeighborsClassifier(1)],
    ids=["tree", "1"],
)
def test_teacher_that_is_certain_and_often_wrong(teacher):
    """A temperature leaves 0 and 1 as they are: smoothing has to be chosen with it."""
    X, y, _ = data(300, flip_y=0.4)
    model = DistilledClassifier(teacher, temperature="auto", smoothing="auto").fit(X, y)
    said = soft_cross_val_predict(teacher, X, y)
    share = np.average(said[np.arange(300), y] == 0.0) * 1.5  # of errors, n_classes = 3
    q = tempered((1.0 - model.smoothing_) * said + model.smoothing_ / 3.0, model.temperature_)
    loss = -np.log(np.maximum(q[np.arange(300), y], 1e-300)).mean()
    assert loss <= smoothed_loss(said, y, share) + 1e-4


def smoothed_loss(proba, y, share, temperature=1.0, weight=None):
    n_classes = proba.shape[1]
    q = tempered((1.0 - share) * proba + share / n_classes, temperature)
    return np.average(-np.log(q[np.arange(len(y)), y]), weights=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_auto_smoothing(weighted):
    X, y, s = data(300)
    s = s if weighted else None
    teacher = RandomForestClassifier(10, random_state=0)
    model = DistilledClassifier(teacher, exact(), smoothing="auto")
    model.fit(X, y, sample_weight=s)
    params = {"sample_weight": s} if weighted else None
    said = soft_cross_val_predict(teacher, X, y, params=params)
    assert (said[np.arange(300), y] == 0.0).any()
    best = minimize_scalar(
        lambda share: smoothed_loss(said, y, share, weight=s),
        bounds=(1e-9, 1),
        method="bounded",
    )
    assert model.smoothing_ == pytest.approx(best.x, rel=1e-3)
    assert model.temperature_ == 1.0
    whole = clone(teacher).fit(X, y, s).predict_proba(X)
    target = (1.0 - model.smoothing_) * whole + model.smoothing_ / 3.0
    wanted = exact().fit(X, target, sample_weight=s)
    assert_allclose(model.student_.coef_, wanted.coef_, rtol=0, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.05, "auto"])
def test_temperature_and_smoothing_together(smoothing):
    X, y, s = data(300)
    teacher = RandomForestClassifier(10, random_state=0)
    model = DistilledClassifier(teacher, exact(), temperature="auto", smoothing=smoothing)
    model.fit(X, y, sample_weight=s)
    said = soft_cross_val_predict(teacher, X, y, params={"sample_weight": s})
    shares = [smoothing] if smoothing != "auto" else np.geomspace(1e-3, 0.9, 60)

    def best(share):
        def loss(log_temperature):
            return smoothed_loss(said, y, share, np.exp(log_temperature), s)

        return minimize_scalar(loss, bounds=(-2.0, 3.0), method="bounded")

    found = smoothed_loss(said, y, model.smoothing_, model.temperature_, s)
    assert found <= min(best(share).fun for share in shares) + 1e-5
    if smoothing != "auto":
        assert model.smoothing_ == smoothing
    whole = clone(teacher).fit(X, y, s).predict_proba(X)
    whole = (1.0 - model.smoothing_) * whole + model.smoothing_ / 3.0
    wanted = exact().fit(X, tempered(whole, model.temperature_), sample_weight=s)
    assert_allclose(model.predict_proba(X), wanted.predict_proba(X), rtol=0, atol=1e-6)


def test_smoothing_is_before_the_temperature():
    X, y, _ = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    model = DistilledClassifier(teacher, Pupil(), smoothing=0.2, temperature=3.0).fit(X)
    proba = 0.8 * teacher.predict_proba(X) + 0.2 / 3.0
    assert_allclose(model.student_.taught_, tempered(proba, 3.0))
    assert model.smoothing_ == 0.2


def test_auto_with_soft_labels():
    """The log loss is the cross-entropy of what y says."""
    X, y, s = data()
    soft = 0.8 * one_hot(y, 3) + 0.2 / 3.0
    said = tempered(softmax(one_hot(y, 3) + X[:, :3], axis=1), 0.5)

    def loss(log_temperature):
        q = tempered(said, np.exp(log_temperature))
        return -float(s @ np.sum(soft * np.log(q), axis=1))

    best = minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded", options={"xatol": 1e-9})
    model = DistilledClassifier(None, temperature="auto")
    model.fit(X, soft, sample_weight=s, teacher_proba=said)
    assert model.temperature_ == pytest.approx(np.exp(best.x), rel=1e-4)


# -- How much of the labels ----------------------------------------------------


def test_auto_share_trusts_a_teacher_that_knows():
    X, y = drawn(150)
    model = DistilledClassifier(FrozenEstimator(Truth().fit(X)), hard_label_weight="auto")
    assert model.fit(X, y).hard_label_weight_ <= 0.25


@pytest.mark.parametrize("student", [None, GaussianNB()], ids=["logistic", "rows"])
@pytest.mark.parametrize("frozen", [False, True])
def test_auto_share_distrusts_noise(student, frozen):
    X, y, _ = data(200)
    teacher = FrozenEstimator(Noise().fit(X, y)) if frozen else Noise()
    model = DistilledClassifier(teacher, student, hard_label_weight="auto").fit(X, y)
    # Noise may serve to make a student less sure of itself.
    assert model.hard_label_weight_ >= (1.0 if student is None else 0.5)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 2.0},
        {"temperature": "auto"},
        {"divergence": "reverse_kl", "smoothing": 0.01},
        {"cv": 3},
        {"cv": KFold(4, shuffle=True, random_state=0), "loss_correction": 0.3},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_auto_share_is_that_share(params, weighted):
    X, y, s = data(200)
    s = s if weighted else None
    teacher = RandomForestClassifier(10, random_state=0)
    model = DistilledClassifier(teacher, hard_label_weight="auto", **params)
    model.fit(X, y, sample_weight=s)
    fixed = clone(model).set_params(hard_label_weight=model.hard_label_weight_)
    fixed.fit(X, y, sample_weight=s)
    assert_array_equal(model.predict_proba(X), fixed.predict_proba(X))
    assert model.hard_label_weight == "auto"


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_auto_share_is_the_best_on_the_folds(temperature):
    X, y, s = data(120)
    marked = np.where(np.arange(120) % 4 > 0, y, -1)
    labeled = np.flatnonzero(marked >= 0)
    teacher = LogisticRegression(C=0.01)
    params = {"temperature": temperature, "unlabeled": -1, "unlabeled_weight": 0.3}
    model = DistilledClassifier(teacher, exact(), hard_label_weight="auto", **params)
    model.fit(X, marked, sample_weight=s)
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    losses = np.zeros(5)
    for _, test in StratifiedKFold(5).split(X[labeled], y[labeled]):
        test = labeled[test]
        keep = np.setdiff1d(np.arange(120), test)
        for k, share in enumerate(shares):
            fold = DistilledClassifier(teacher, exact(), hard_label_weight=share, **params)
            fold.fit(X[keep], marked[keep], sample_weight=s[keep])
            q = fold.predict_proba(X[test])
            losses[k] -= s[test] @ np.log(q[np.arange(len(test)), y[test]])
    assert model.hard_label_weight_ == shares[np.argmin(losses)]
    assert np.ptp(losses) > 1e-3


def test_auto_share_leaks_no_label():
    X, y, _ = data(60)
    X[:, 0] = np.arange(60)
    marked = np.where(np.arange(60) % 3 > 0, y, -1)
    DistilledClassifier(Witness(), Pupil(), hard_label_weight="auto", unlabeled=-1).fit(
        X, marked
    )
    assert len(Witness.fits) == 6
    assert len(Pupil.fits) == 26
    labeled = set(np.flatnonzero(marked >= 0).tolist())
    tested = []
    for number, pupil in enumerate(Pupil.fits[:5]):  # without a share of labels
        by = np.round((pupil.taught_[:, 0] - 0.25) / 0.01).astype(int)
        seen, _ = Witness.fits[by[0]]
        assert (by == by[0]).all()
        test = set(pupil.asked_.tolist())
        assert not test & set(pupil.samples_.tolist())
        assert not test & seen
        assert seen == labeled - test
        assert test | set(pupil.samples_.tolist()) == set(range(60))
        tested += sorted(test)
        for later in Pupil.fits[5 + number : 25 : 5]:
            assert set(later.asked_.tolist()) == test
    assert sorted(tested) == sorted(labeled)


def test_auto_share_leaks_no_label_through_cross_fitting():
    """The choice is that of folds whose labels no teacher knows.

    Samples are twins. A nearest neighbour that does not know a sample repeats what it knows
    of the twin, so that the student gets the label that it is to be tested with.
    """
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(100, 2)), 2, axis=0) + 1e-6 * rng.normal(size=(200, 2))
    y = np.repeat(rng.integers(2, size=100), 2)
    y = np.where(rng.uniform(size=200) < 0.15, 1 - y, y)
    cv = KFold(5, shuffle=True, random_state=0)
    params = {"cv": cv, "smoothing": 0.1}
    teacher, student = KNeighborsClassifier(1), KNeighborsWeighted()
    shares, losses = [0.0, 0.25, 0.5, 0.75, 1.0], []
    for share in shares:
        fold = DistilledClassifier(teacher, student, hard_label_weight=share, **params)
        q = soft_cross_val_predict(fold, X, y, cv=cv)
        losses.append(kl_loss(y, q))
    model = DistilledClassifier(teacher, student, hard_label_weight="auto", **params)
    assert model.fit(X, y).hard_label_weight_ == shares[int(np.argmin(losses))]


class KNeighborsWeighted(ClassifierMixin, BaseEstimator):
    """The nearest distinct sample's mean label, with weights."""

    def fit(self, X, y, sample_weight):
        self.classes_ = np.unique(y)
        self.X_, where = np.unique(X, axis=0, return_inverse=True)
        self.mass_ = np.zeros((len(self.X_), len(self.classes_)))
        np.add.at(
            self.mass_, (where.ravel(), np.searchsorted(self.classes_, y)), sample_weight
        )
        self.mass_ += 0.3
        return self

    def predict_proba(self, X):
        distance = ((X[:, None] - self.X_) ** 2).sum(axis=2)
        mass = self.mass_[distance.argmin(axis=1)]
        return mass / mass.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


# -- Memory --------------------------------------------------------------------


GRID = {
    "student__C": [0.01, 0.1, 1.0, 10.0, 100.0],
    "temperature": [1.0, 2.0],
    "hard_label_weight": [0.0, 0.5],
}


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("kind", [str, joblib.Memory])
def test_memory_in_a_search(tmp_path, kind, cv):
    X, y, _ = data(90)
    memory = str(tmp_path) if kind is str else joblib.Memory(tmp_path, verbose=0)
    grid = GRID if (kind, cv) == (str, None) else {"student__C": [0.1, 1.0]}
    n_settings = len(ParameterGrid(grid))
    per_fit = 1 if cv is None else cv + 1
    student = SoftLabelLogisticRegression()
    model = DistilledClassifier(Counting(), student, memory=memory, cv=cv)
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y)
    assert Counting.n_fits == per_fit * 4
    plain = clone(search).set_params(estimator__memory=None).fit(X, y)
    assert Counting.n_fits == per_fit * (4 + 3 * n_settings + 1)
    for name in ("mean_test_score", "std_test_score"):
        assert_array_equal(search.cv_results_[name], plain.cv_results_[name])
    assert_array_equal(search.predict_proba(X), plain.predict_proba(X))
    # Another session, so to speak: nothing is fitted.
    Counting.n_fits = 0
    model.fit(X, y)
    assert Counting.n_fits == 0
    wanted = clone(model).set_params(memory=None).fit(X, y)
    assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))


def test_memory_keeps_things_apart(tmp_path):
    X, y, s = data()
    other = X.copy()
    other[0, 0] += 1e-6
    marked = y.copy()
    marked[3] = -1
    cases = [
        ({}, X, y, None),
        ({"teacher__C": 0.5}, X, y, None),
        ({}, X, y, s),
        ({}, X, y, s[::-1]),
        ({}, other, y, None),
        ({}, X, y[::-1], None),
        ({"unlabeled": -1}, X, marked, None),
        ({"cv": 3}, X, y, None),
        ({"cv": KFold(3)}, X, y, None),
    ]
    for _ in range(2):
        for params, X_, y_, s_ in cases:
            model = DistilledClassifier(Counting(), exact(), memory=str(tmp_path))
            model.set_params(**params).fit(X_, y_, sample_weight=s_)
            plain = clone(model).set_params(memory=None).fit(X_, y_, sample_weight=s_)
            assert_array_equal(model.student_.coef_, plain.student_.coef_)
            assert_array_equal(model.teacher_.inner_.coef_, plain.teacher_.inner_.coef_)


def test_memory_of_frozen_teachers_and_synthetic_samples(tmp_path):
    X, y, _ = data()
    params = {"n_synthetic": 50, "random_state": 0}
    for n in (75, 100):
        teacher = FrozenEstimator(Counting().fit(X[:n], y[:n]))
        plain = DistilledClassifier(teacher, exact(), **params).fit(X)
        for _ in range(2):
            model = DistilledClassifier(teacher, exact(), memory=str(tmp_path), **params)
            assert_array_equal(model.fit(X).student_.coef_, plain.student_.coef_)


# -- Given probabilities -------------------------------------------------------


def test_given_probabilities_are_those_of_a_frozen_teacher():
    X, y, s = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, NAMES[y]))
    marked = np.where(np.arange(150) % 3 > 0, NAMES[y], "?")
    proba = teacher.predict_proba(X)
    shuffled = pd.DataFrame(proba, columns=NAMES)[["cedar", "ash", "birch"]]
    for params in (
        {},
        {"temperature": 2.0, "hard_label_weight": 0.3},
        {"hard_label_weight": "auto", "temperature": "auto"},
        {"divergence": "jensen_shannon", "smoothing": 0.1},
        {"loss_correction": 0.5, "temperature": 3.0, "unlabeled_weight": 0.5},
    ):
        wanted = DistilledClassifier(teacher, exact(), unlabeled="?", **params)
        wanted.fit(X, marked, sample_weight=s)
        for given in (proba, shuffled):
            model = DistilledClassifier(None, exact(), unlabeled="?", **params)
            model.fit(X, marked, sample_weight=s, teacher_proba=given)
            order = np.searchsorted(NAMES, model.classes_)
            assert_allclose(
                model.predict_proba(X), wanted.predict_proba(X)[:, order], atol=1e-7
            )
            assert model.hard_label_weight_ == wanted.hard_label_weight_
            assert_array_equal(model.predict(X), wanted.predict(X))
            assert model.score(X, marked) == wanted.score(X, marked)


def test_given_probabilities_without_labels():
    X, y, _ = data()
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    wanted = exact().fit(X, proba).coef_
    for teacher in (None, Counting()):
        model = DistilledClassifier(teacher, exact()).fit(X, teacher_proba=proba)
        assert_array_equal(model.student_.coef_, wanted)
        assert model.classes_.tolist() == [0, 1, 2]
        assert model.teacher_ is None
    assert Counting.n_fits == 0
    named = DistilledClassifier(None, exact(classes=NAMES)).fit(X, teacher_proba=proba)
    assert_array_equal(named.student_.coef_, wanted)
    assert named.classes_.tolist() == NAMES.tolist()
    frame = pd.DataFrame(proba, columns=NAMES)
    named = DistilledClassifier(None, GaussianNB()).fit(X, teacher_proba=frame)
    assert_array_equal(
        named.predict_proba(X), on_rows(GaussianNB(), X, proba, NAMES).predict_proba(X)
    )


@pytest.mark.parametrize("kind", ["bare", "pipeline", "search"])
def test_given_probabilities_have_the_columns_of_the_student(kind):
    """Also where the logistic student is inside another one."""
    X, y, _ = data()
    order = [2, 0, 1]
    proba = LogisticRegression().fit(X, y).predict_proba(X)[:, order]
    logistic = exact(classes=NAMES[order])
    student = {
        "bare": logistic,
        "pipeline": make_pipeline(StandardScaler(), logistic),
        "search": GridSearchCV(logistic, {"C": [1.0]}, cv=2),
    }[kind]
    for labels in (NAMES[y], None):
        model = DistilledClassifier(None, student).fit(X, labels, teacher_proba=proba)
        wanted = NAMES[order] if labels is None else NAMES  # those of labels are sorted
        assert model.classes_.tolist() == wanted.tolist()
        assert model.score(X, NAMES[y]) > 0.7


CEDAR_FIRST = NAMES[[2, 0, 1]]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_functions_have_the_order_of_the_classes(n_classes):
    X, y, _ = data()
    X, y = X[y < n_classes], y[y < n_classes]
    proba = LogisticRegression().fit(X, y).predict_proba(X)[:, ::-1]
    given = pd.DataFrame(proba, columns=NAMES[:n_classes][::-1])
    model = DistilledClassifier(None, LogisticRegression()).fit(X, teacher_proba=given)
    scores, said = model.decision_function(X), model.predict_proba(X)
    logits = expit(scores) if n_classes == 2 else softmax(scores, axis=1)
    assert_allclose(logits, said[:, 1] if n_classes == 2 else said, atol=1e-12)


def out_of_order(X, y):
    """Teachers, and what fit gets besides, whose classes are not sorted."""
    told = exact(classes=CEDAR_FIRST)
    fitted = told.fit(X, np.eye(3)[y][:, [2, 0, 1]])
    frame = pd.DataFrame(fitted.predict_proba(X), columns=CEDAR_FIRST)
    frozen = FrozenEstimator(fitted)
    return {
        "frame": (None, {"teacher_proba": frame}),
        "frozen": (frozen, {}),
        "fitted here": (clone(told), {}),
        "list": ([frozen, clone(told)], {}),
        "pool": (PooledClassifier([frozen]), {}),
    }


@pytest.mark.parametrize("student", [None, GaussianNB(), exact(classes=CEDAR_FIRST)], ids=str)
@pytest.mark.parametrize("kind", ["frame", "frozen", "fitted here", "list", "pool"])
def test_classes_are_sorted_where_y_holds_labels(kind, student):
    """As scikit-learn's scorers take for granted, whatever order a teacher has."""
    X, y, _ = data()
    teacher, given = out_of_order(X, y)[kind]
    model = DistilledClassifier(teacher, student, hard_label_weight=0.1)
    model.fit(X, NAMES[y], **given)
    assert model.classes_.tolist() == model.student_.classes_.tolist() == NAMES.tolist()
    assert get_scorer("roc_auc_ovr")(model, X, NAMES[y]) > 0.85
    for other in ("frame", "frozen"):
        soft, given = out_of_order(X, y)[other]
        model = DistilledClassifier(soft).fit(X, **given)
        assert model.classes_.tolist() == CEDAR_FIRST.tolist()  # there are no labels


@pytest.mark.parametrize(
    "model", [DistilledClassifier(GaussianNB()), PooledClassifier([exact()])]
)
def test_rows_are_not_compared_by_position_if_they_have_names(model):
    X, y, s = data()
    rows = np.array([f"row {i}" for i in range(150)])
    X, y, s = pd.DataFrame(X, rows), pd.Series(y, rows), pd.Series(s, rows)
    wanted = clone(model).fit(X, y, sample_weight=s).predict_proba(X)
    shuffled = rows[np.random.default_rng(0).permutation(150)]
    for arguments in (
        {"y": y.loc[shuffled]},
        {"sample_weight": s.loc[shuffled]},
        {"y": y.rename(lambda row: f"another {row}")},
    ):
        with pytest.raises(ValueError, match=r"rows of X and (y|sample_weight) have diff"):
            clone(model).fit(X, **{"y": y, **arguments})
    for unnamed in (y.to_numpy(), y.reset_index(drop=True), y.to_list()):
        again = clone(model).fit(X, unnamed, sample_weight=s)
        assert_array_equal(again.predict_proba(X), wanted)
    some = X.loc[shuffled[:100]]  # as train_test_split makes them
    clone(model).fit(some, y.loc[some.index])
    with pytest.raises(ValueError, match="feature names"):
        clone(model).fit(X.rename(columns=str), y).predict(X.rename(columns=str).iloc[:, ::-1])


def test_rows_of_given_probabilities():
    X, y, _ = data()
    X = pd.DataFrame(X, index=np.arange(150) + 7)
    proba = pd.DataFrame(LogisticRegression().fit(X, y).predict_proba(X), X.index)
    model = DistilledClassifier(None)
    with pytest.raises(
        ValueError, match="The rows of X and teacher_proba have different labels"
    ):
        model.fit(X, teacher_proba=proba[::-1])
    # In a search the default index is sliced, and is no name.
    GridSearchCV(model, {"student__C": [1.0]}, cv=2, error_score="raise").fit(
        X, y, teacher_proba=proba.reset_index(drop=True)
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 1e-6},
        {"temperature": 1e6},
        {"temperature": "auto", "smoothing": "auto"},
        {"hard_label_weight": "auto"},
        {"temperature": 3.0, "loss_correction": 0.5},
        {"divergence": "jensen_shannon", "hard_label_weight": 0.3},
    ],
    ids=str,
)
def test_probabilities_are_those_of_the_normalised_rows(params):
    """Rounding below 0 counts as 0, and a sum off by less than 3.5e-4 as 1."""
    X, y, s = data()
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    proba[::2, 0] = 0.0
    proba /= proba.sum(axis=1, keepdims=True)
    rounded = np.where(proba == 0.0, -1e-9, proba)
    off = proba * (1.0 + np.linspace(-3e-4, 3e-4, 150)[:, np.newaxis])
    fits = [
        DistilledClassifier(None, exact(), **params).fit(X, y, teacher_proba=p)
        for p in (proba, rounded, off)
    ]
    for model in fits[1:]:
        assert_allclose(model.predict_proba(X), fits[0].predict_proba(X), rtol=0, atol=1e-9)
    for scale in (2e299, 1e-300):  # of weights, and C with it
        model = DistilledClassifier(None, exact(C=1.0 / scale), **params)
        scaled = model.fit(X, y, sample_weight=s * scale, teacher_proba=proba)
        wanted = DistilledClassifier(None, exact(), **params)
        wanted.fit(X, y, sample_weight=s, teacher_proba=proba)
        assert scaled.temperature_ == pytest.approx(wanted.temperature_, rel=1e-9)
        assert scaled.hard_label_weight_ == wanted.hard_label_weight_
        assert_allclose(scaled.predict_proba(X), wanted.predict_proba(X), rtol=0, atol=1e-6)


def test_a_low_temperature_is_no_excuse_to_stop_at_once():
    """Of the most probable class alone is learned: who that is, for every sample."""
    X, y, _ = data()
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    model = DistilledClassifier(None, temperature=1e-6).fit(X, teacher_proba=proba)
    argmax = SoftLabelLogisticRegression().fit(X, proba.argmax(axis=1))
    assert np.mean(model.predict(X) == argmax.predict(X)) == 1.0


def test_a_high_temperature_and_probabilities_in_float32():
    X, y, _ = data()
    proba = LogisticRegression().fit(X, y).predict_proba(X).astype(np.float32)
    fits = [
        DistilledClassifier(None, exact(), temperature=1e6).fit(X, teacher_proba=p)
        for p in (proba, proba.astype(np.float64))
    ]
    assert_allclose(fits[0].student_.coef_, fits[1].student_.coef_, rtol=1e-5)


def test_weights_that_are_out_of_range_for_others():
    X, y, s = data()
    for model in (
        DistilledClassifier(GaussianNB()),
        DistilledClassifier(FrozenEstimator(GaussianNB().fit(X, y)), DecisionTreeClassifier()),
        PooledClassifier([GaussianNB()]),
    ):
        for scale in (2e299, 1e-300):
            with pytest.raises(ValueError, match="divide it by its largest"):
                model.fit(X, y, sample_weight=s * scale)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("frame", [False, True])
def test_search_slices_given_probabilities(routing, frame):
    X, y, _ = data()
    proba = softmax(np.random.default_rng(0).normal(size=(150, 3)) + one_hot(y, 3), axis=1)
    given = pd.DataFrame(proba, columns=NAMES, index=np.arange(150)[::-1]) if frame else proba
    labels = NAMES[y]
    grid = {"student__C": [0.01, 1.0]}
    with config_context(enable_metadata_routing=routing):
        model = DistilledClassifier(None, exact())
        if routing:
            model.set_fit_request(teacher_proba=True)
        search = GridSearchCV(
            model, grid, cv=KFold(3), error_score="raise", scoring="neg_log_loss"
        ).fit(X, labels, teacher_proba=given)
    for C, score in zip(
        grid["student__C"], search.cv_results_["mean_test_score"], strict=True
    ):
        scores = []
        for train, test in KFold(3).split(X):
            student = exact(C=C).fit(X[train], proba[train])
            q = student.predict_proba(X[test])
            scores.append(np.log(q[np.arange(len(test)), y[test]]).mean())
        assert score == pytest.approx(np.mean(scores), rel=1e-9)


def test_bad_given_probabilities():
    X, y, _ = data(60)
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    bad = proba.copy()
    bad[7] *= 0.5
    negative = proba.copy()
    negative[4] = [-0.5, 0.5, 1.0]
    missing = proba.copy()
    missing[5, 1] = np.nan
    twice = pd.DataFrame(proba, columns=["a", "a", "b"])
    for given, labels, message in (
        (bad, y, "teacher_proba.*row 7|row 7.*teacher_proba|teacher_proba\\[7\\]"),
        (negative, y, "teacher_proba"),
        (missing, y, "teacher_proba"),
        (proba[:, 0], y, "teacher_proba must have shape"),
        (proba[:-1], y, "inconsistent numbers of samples"),
        (
            proba[:, :2] / proba[:, :2].sum(axis=1)[:, None],
            y,
            "has 2 columns, but there are 3",
        ),
        (pd.DataFrame(proba, columns=NAMES), y, "not one of the classes"),
        (twice, None, "class twice"),
        (y, y, "teacher_proba must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            DistilledClassifier(None).fit(X, labels, teacher_proba=given)
    with pytest.raises(ValueError, match="There is no teacher"):
        DistilledClassifier(None).fit(X, y)
    with pytest.raises(ValueError, match="n_synthetic needs a teacher"):
        DistilledClassifier(None, n_synthetic=10).fit(X, y, teacher_proba=proba)


# -- Synthetic samples ---------------------------------------------------------


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("n_synthetic", [40, 0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_synthetic_samples(frame, n_synthetic, weighted):
    X, y, s = data()
    s = s if weighted else None
    X = pd.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7) if frame else X
    marked = np.where(np.arange(150) % 3 > 0, y, -1)
    params = {"temperature": 2.0, "hard_label_weight": 0.3, "unlabeled_weight": 0.4}
    model = DistilledClassifier(
        LogisticRegression(), exact(), unlabeled=-1, n_synthetic=n_synthetic, random_state=3,
        **params,
    ).fit(X, marked, sample_weight=s)  # fmt: skip
    n = {40: 40, 0.5: 75, 2.0: 300}[n_synthetic]
    synthetic = munge(X, n, random_state=3)
    everything = np.vstack([np.asarray(X), np.asarray(synthetic)])
    labels = np.r_[marked, np.full(n, -1)]
    teacher = LogisticRegression().fit(
        np.asarray(X)[marked >= 0], y[marked >= 0], None if s is None else s[marked >= 0]
    )
    weights = None if s is None else np.r_[s, np.full(n, s.mean())]
    wanted = DistilledClassifier(FrozenEstimator(teacher), exact(), unlabeled=-1, **params)
    wanted.fit(everything, labels, sample_weight=weights)
    assert_allclose(model.student_.coef_, wanted.student_.coef_, rtol=0, atol=1e-8)
    assert hasattr(model, "feature_names_in_") == frame
    again = clone(model).fit(X, marked, sample_weight=s)
    assert_array_equal(again.student_.coef_, model.student_.coef_)
    other = clone(model).set_params(random_state=4).fit(X, marked, sample_weight=s)
    assert abs(other.student_.coef_ - model.student_.coef_).max() > 1e-8


def test_synthetic_samples_of_soft_targets_and_none():
    X, y, _ = data()
    soft = 0.9 * one_hot(y, 3) + 0.1 / 3.0
    model = DistilledClassifier(exact(), exact(), n_synthetic=30, random_state=0,
                                hard_label_weight=0.5).fit(X, soft)  # fmt: skip
    teacher = exact().fit(X, soft)
    synthetic = munge(X, 30, random_state=0)
    target = np.vstack(
        [0.5 * (soft + teacher.predict_proba(X)), teacher.predict_proba(synthetic)]
    )
    weight = np.r_[np.ones(150), np.full(30, 0.5)]
    wanted = exact().fit(np.vstack([X, synthetic]), target, sample_weight=weight)
    assert_allclose(model.student_.coef_, wanted.coef_, rtol=0, atol=1e-7)
    none, plain = (
        DistilledClassifier(exact(), exact(), n_synthetic=n).fit(X, soft) for n in (1e-6, 0)
    )
    assert_array_equal(none.student_.coef_, plain.student_.coef_)
    listed = DistilledClassifier(exact(), exact(), n_synthetic=30, random_state=0)
    listed.set_params(hard_label_weight=0.5).fit(X.tolist(), soft)
    assert_array_equal(listed.student_.coef_, model.student_.coef_)


def test_synthetic_samples_without_labels_and_for_rows():
    X, y, s = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, NAMES[y]))
    student = DecisionTreeClassifier(max_depth=4, random_state=0)
    model = DistilledClassifier(teacher, student, n_synthetic=1.0, random_state=0)
    model.fit(X, sample_weight=s)
    everything = np.vstack([X, munge(X, 150, random_state=0)])
    wanted = on_rows(student, everything, teacher.predict_proba(everything), NAMES,
                     np.r_[s, np.full(150, s.mean())])  # fmt: skip
    assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))


def test_synthetic_samples_that_cannot_be():
    X, y, _ = data(60)
    with pytest.raises(TypeError, match="X is a sparse matrix"):
        DistilledClassifier(LogisticRegression(), n_synthetic=5).fit(csr_array(X), y)
    for n in (-1, np.inf, "many", None, True):
        with pytest.raises(ValueError, match="n_synthetic must be"):
            DistilledClassifier(LogisticRegression(), n_synthetic=n).fit(X, y)


def test_synthetic_samples_do_not_help_to_choose():
    """What is "auto" is chosen by labelled samples."""
    X, y, _ = data()
    params = {"temperature": "auto", "smoothing": "auto", "hard_label_weight": "auto"}
    plain, more = (
        DistilledClassifier(Sharp(), n_synthetic=n, random_state=0, **params).fit(X, y)
        for n in (0, 100)
    )
    for name in ("temperature_", "smoothing_", "hard_label_weight_"):
        assert getattr(plain, name) == getattr(more, name)


# -- Several teachers ----------------------------------------------------------


def test_teachers():
    X, y, s = data()
    several = [LogisticRegression(), GaussianNB(), FrozenEstimator(Counting(0.1).fit(X, y))]
    named = dict(zip("abc", several, strict=True))
    said = np.mean(
        [
            LogisticRegression().fit(X, y, s).predict_proba(X),
            GaussianNB().fit(X, y, s).predict_proba(X),
            several[2].predict_proba(X),
        ],
        axis=0,
    )
    wanted = exact().fit(X, tempered(said, 2.0), sample_weight=s)
    for teacher in (several, tuple(several), named, list(named.items())):
        model = DistilledClassifier(teacher, exact(), temperature=2.0)
        model.fit(X, y, sample_weight=s)
        assert isinstance(model.teacher_, PooledClassifier)
        assert model.teacher is teacher
        logits = wanted.decision_function(X)
        gap = softmax(model.decision_function(X) / 2.0, axis=1) - softmax(logits, axis=1)
        assert abs(gap).max() < 0.05  # C means something else at a temperature
        pool = DistilledClassifier(PooledClassifier(teacher), exact(), temperature=2.0)
        pool.fit(X, y, sample_weight=s)
        assert_array_equal(model.predict_proba(X), pool.predict_proba(X))
        assert_allclose(model.teacher_.predict_proba(X), said, atol=1e-12)
        assert clone(model).fit(X, y, sample_weight=s).score(X, y) == model.score(X, y)


def test_teachers_that_are_all_frozen():
    """They are as fitted as one that is."""
    X, y, _ = data()
    frozen = [FrozenEstimator(e.fit(X, y)) for e in (LogisticRegression(), GaussianNB())]
    said = np.mean([e.predict_proba(X) for e in frozen], axis=0)
    wanted = exact().fit(X, said).coef_
    for teacher in (frozen, PooledClassifier(frozen)):
        assert_allclose(DistilledClassifier(teacher, exact()).fit(X, y).student_.coef_, wanted)
        assert_allclose(DistilledClassifier(teacher, exact()).fit(X).student_.coef_, wanted)


@pytest.mark.parametrize("teacher", [[], [LogisticRegression], {"a b": 1}, "forest"])
def test_bad_teachers(teacher):
    X, y, _ = data(60)
    with pytest.raises((TypeError, ValueError)):
        DistilledClassifier(teacher).fit(X, y)


@pytest.mark.parametrize("kind", [list, dict])
def test_teachers_cross_fitted_and_searched(kind, tmp_path):
    X, y, _ = data()
    teacher = [Counting(), GaussianNB()]
    teacher = {"a": teacher[0], "b": teacher[1]} if kind is dict else teacher
    model = DistilledClassifier(teacher, exact(), cv=3, memory=str(tmp_path)).fit(X, y)
    said = np.mean(
        [soft_cross_val_predict(e, X, y, cv=3) for e in (Counting(), GaussianNB())], axis=0
    )
    wanted = exact().fit(X, said)
    assert_allclose(model.student_.coef_, wanted.coef_, rtol=0, atol=1e-7)
    Counting.n_fits = 0
    search = GridSearchCV(model, {"student__C": [0.1, 1.0]}, cv=2, error_score="raise")
    search.fit(X, y)
    assert Counting.n_fits <= 2 * 4


# -- Weights, and students of labels -------------------------------------------


@pytest.mark.parametrize(
    "student",
    [exact(), GaussianNB(), DecisionTreeClassifier(random_state=0)],
    ids=["logistic", "bayes", "tree"],
)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_weight_0_is_absence(student, share):
    X, y, s = data()
    labeled = np.arange(150) % 3 > 0
    marked = np.where(labeled, y, -1)
    params = {"unlabeled": -1, "hard_label_weight": share}
    model = DistilledClassifier(LogisticRegression(), student, unlabeled_weight=0.0, **params)
    model.fit(X, marked, sample_weight=s)
    alone = DistilledClassifier(LogisticRegression(), student, **params)
    alone.fit(X[labeled], y[labeled], sample_weight=s[labeled])
    assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-7)
    doubled = DistilledClassifier(
        LogisticRegression(), student, unlabeled_weight=2.0, **params
    )
    doubled.fit(X, marked, sample_weight=s)
    twice = np.r_[np.arange(150), np.flatnonzero(~labeled)]
    repeated = DistilledClassifier(LogisticRegression(), student, **params)
    repeated.fit(X[twice], marked[twice], sample_weight=s[twice])
    if not isinstance(student, DecisionTreeClassifier):  # ties between splits
        assert_allclose(doubled.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


def test_weight_0_of_all_samples():
    X, y, _ = data()
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match="unlabeled_weight"):
        DistilledClassifier(teacher, unlabeled_weight=0.0).fit(X)


STUDENTS = {
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, early_stopping=False),
    "network": MLPClassifier((5,), tol=0.1, n_iter_no_change=5, random_state=0),
}


@pytest.mark.parametrize("kind", STUDENTS)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hard_label_weight": 0.4, "unlabeled_weight": 0.5},
        {"temperature": 2.0, "smoothing": 0.1},
        {"temperature": 3.0, "loss_correction": 0.7},
        {"temperature": 3.0, "hard_label_weight": 1.0},
    ],
    ids=str,
)
def test_students_of_labels(kind, params):
    X, y, s = data(100)
    labeled = np.arange(100) % 3 > 0
    marked = np.where(labeled, NAMES[y], "?")
    teacher = FrozenEstimator(LogisticRegression().fit(X, NAMES[y]))
    student = STUDENTS[kind]
    model = DistilledClassifier(teacher, student, unlabeled="?", **params)
    model.fit(X, marked, sample_weight=s)
    T = params.get("temperature", 1.0)
    w = params.get("hard_label_weight", 0.0)
    smoothing = params.get("smoothing", 0.0)
    proba = (1.0 - smoothing) * teacher.predict_proba(X) + smoothing / 3.0
    p, labels = tempered(proba, T), one_hot(y, 3)
    if g := params.get("loss_correction"):
        a = np.minimum(1.0, g * p / (T * proba))[np.arange(100), y][:, None]
        p = np.where(labeled[:, None], (1.0 - a) * p + a * labels, p)
    mass = (1.0 - w) * p * np.where(labeled, 1.0, params.get("unlabeled_weight", 1.0))[:, None]
    mass = (mass + w * labels * labeled[:, None]) * s[:, None]
    wanted = on_rows(student, X, mass, NAMES).predict_proba(X)
    if w < 1.0:  # labels alone are learned at temperature 1
        wanted = tempered(wanted, 1.0 / T)
    assert_allclose(model.predict_proba(X), wanted, atol=1e-6)


# -- Without this library ------------------------------------------------------


def students():
    logistic = exact()
    return {
        "logistic": logistic,
        "cv": SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=2),
        "pipeline": make_pipeline(StandardScaler(), PolynomialFeatures(2), logistic),
        "nested": make_pipeline(
            StandardScaler(), make_pipeline(PolynomialFeatures(2), logistic)
        ),
        "search": GridSearchCV(logistic, {"C": [0.1, 1.0]}, cv=2),
        "search of a pipeline": GridSearchCV(
            make_pipeline(StandardScaler(), logistic),
            {"softlabellogisticregression__C": [0.1, 1.0]}, cv=2,
        ),
        "pipeline of a search": make_pipeline(
            StandardScaler(), GridSearchCV(logistic, {"C": [0.1, 1.0]}, cv=2)
        ),
        "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
        "pipeline of a tree": make_pipeline(
            StandardScaler(), DecisionTreeClassifier(max_depth=4)
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", students())
@pytest.mark.parametrize("temperature", [1.0, 2.0, "auto"])
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_to_sklearn(kind, temperature, frame, n_classes):
    X, y, s = data()
    X, y, s = X[y < n_classes], y[y < n_classes], s[y < n_classes]
    X = pd.DataFrame(X, columns=list("abcd")) if frame else X
    teacher = FrozenEstimator(LogisticRegression().fit(X, NAMES[y]))
    model = DistilledClassifier(teacher, students()[kind], temperature=temperature)
    if not frame and "pipeline" not in kind and "search" not in kind:
        model.fit(X, NAMES[y], sample_weight=s)
    else:
        model.fit(X, NAMES[y])
    if temperature == 2.0 and "tree" in kind:
        with pytest.raises(ValueError, match=r"predicts at temperature 2\.0"):
            model.to_sklearn()
        return
    before = pickle.dumps(model)
    converted = model.to_sklearn()
    assert pickle.dumps(model) == before
    dumped = pickle.dumps(converted)
    assert b"sklkl" not in dumped
    loaded = pickle.loads(dumped)
    assert_allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=1e-12, atol=1e-15)
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.score(X, NAMES[y]) == model.score(X, NAMES[y])


def test_to_sklearn_with_labels_alone():
    X, y, _ = data()
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    model = DistilledClassifier(
        LogisticRegression(), tree, temperature=2.0, hard_label_weight=1.0
    ).fit(X, y)
    assert_array_equal(model.to_sklearn().predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_to_sklearn_with_classes_out_of_order(temperature):
    X, y, _ = data()
    model = DistilledClassifier(
        LogisticRegression(), exact(classes=NAMES[[2, 0, 1]]), temperature=temperature
    ).fit(X, NAMES[y])
    converted = model.to_sklearn()
    assert_allclose(converted.predict_proba(X), model.predict_proba(X))
    assert_array_equal(converted.predict(X), model.predict(X))


# -- What a fit leaves behind --------------------------------------------------


SETTINGS = {
    "plain": {},
    "mixed": {"temperature": 3.0, "hard_label_weight": 0.4},
    "auto": {"temperature": "auto", "smoothing": "auto", "hard_label_weight": "auto"},
    "reverse": {"divergence": "reverse_kl", "temperature": 2.0},
    "synthetic": {"n_synthetic": 20, "random_state": 0, "cv": 3},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_fit_leaves_no_trace(settings):
    X, y, s = data()
    X.flags.writeable = y.flags.writeable = s.flags.writeable = False
    teacher, student = LogisticRegression(), make_pipeline(StandardScaler(), exact())
    model = DistilledClassifier(teacher, student, **SETTINGS[settings])
    before = repr(model.get_params())
    states = [pickle.dumps(e) for e in (teacher, student)]
    model.fit(X, y, sample_weight=s)
    assert repr(model.get_params()) == before
    assert [pickle.dumps(e) for e in (teacher, student)] == states
    assert model.teacher is teacher
    assert model.student is student
    first = model.predict_proba(X)
    for other in SETTINGS.values():
        defaults = DistilledClassifier(teacher).get_params(deep=False)
        defaults = {k: v for k, v in defaults.items() if k not in ("teacher", "student")}
        model.set_params(**{**defaults, **other}).fit(X, y, sample_weight=s)
    model.set_params(**{**defaults, **SETTINGS[settings]}).fit(X, y, sample_weight=s)
    assert_array_equal(model.predict_proba(X), first)


def test_fitted_students_fit_again_as_their_parameters_say():
    X, y, _ = data()
    model = DistilledClassifier(
        LogisticRegression(), exact(), temperature=3.0, divergence="reverse_kl",
        hard_label_weight=0.5,
    ).fit(X, y)  # fmt: skip
    assert vars(model.student_).keys() == vars(exact().fit(X, y)).keys()
    student = pickle.loads(pickle.dumps(model.student_)).fit(X, y)
    assert_allclose(student.coef_, exact().fit(X, y).coef_, atol=1e-7)


class Fails(ClassifierMixin, BaseEstimator):
    def fit(self, X, y, sample_weight=None):
        raise ValueError("no lesson today")

    def predict_proba(self, X):
        return X


@pytest.mark.parametrize(
    "broken",
    [
        {"teacher": Fails()},
        {"student": Fails()},
        {"temperature": -1.0},
        {"divergence": "chi2"},
        {"n_synthetic": -1},
        {"student": DecisionTreeClassifier(), "divergence": "reverse_kl"},
        {"student": SoftLabelLogisticRegression(C=-1.0), "temperature": 2.0},
        {"student": SoftLabelLogisticRegression(tol="a")},
        {"cv": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("fitted", [False, True])
def test_failed_fit(broken, fitted):
    X, y, _ = data()
    model = DistilledClassifier(LogisticRegression(), exact(), temperature=2.0)
    if fitted:
        model.fit(X, y)
        said = model.predict_proba(X)
    fitted_names = {name for name in vars(model) if name.endswith("_")}
    with pytest.raises((ValueError, TypeError)):
        model.set_params(**broken).fit(X, y)
    assert {name for name in vars(model) if name.endswith("_")} == fitted_names
    if fitted:
        assert_array_equal(model.predict_proba(X), said)


def test_divergence_of_student_and_teacher_is_what_was_asked_for():
    """Of two students, each is nearer by its own divergence."""
    X, y, _ = data(300, flip_y=0.0)
    teacher = FrozenEstimator(RandomForestClassifier(30, random_state=0).fit(X, y))
    p = 0.99 * teacher.predict_proba(X) + 0.01 / 3.0
    forward, reverse = (
        DistilledClassifier(teacher, exact(C=np.inf), divergence=d, smoothing=0.01)
        .fit(X)
        .predict_proba(X)
        for d in ("kl", "reverse_kl")
    )
    assert rel_entr(p, forward).sum() < rel_entr(p, reverse).sum()
    assert rel_entr(reverse, p).sum() < rel_entr(forward, p).sum()


def tasks(capsys):
    """What a verbose fit has printed the time of."""
    return re.findall(r"[ .]+(\w.*), total=", capsys.readouterr().out)


def test_verbose_tells_of_every_fit_and_of_none_that_was_kept(tmp_path, capsys):
    X, y, _ = data()
    teacher = RandomForestClassifier(5, random_state=0)
    model = DistilledClassifier(
        teacher, cv=3, hard_label_weight="auto", memory=str(tmp_path), verbose=True
    )
    clone(model).set_params(verbose=False).fit(X, y)
    assert not capsys.readouterr().out
    model.fit(X, y)
    assert tasks(capsys) == ["share of labels", "student"]
    model.set_params(memory=None).fit(X, y)
    assert tasks(capsys) == [
        "teacher",
        *(f"teacher without fold {i} of 3" for i in (1, 2, 3)),
        *(f"teacher without folds {i} and {j} of 3" for i, j in ((1, 2), (1, 3), (2, 3))),
        "share of labels",
        "student",
    ]


def test_memory_with_the_least_interface():
    class Memory:
        def cache(self, func):
            return func

    X, y, _ = data()
    model = DistilledClassifier(GaussianNB(), memory=Memory()).fit(X, y)
    assert_array_equal(
        model.predict_proba(X), clone(model).set_params(memory=None).fit(X, y).predict_proba(X)
    )
