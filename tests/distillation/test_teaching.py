"""What a student is taught: by which teacher, how calibrated, how mixed with labels."""

import pickle
import re
from functools import partial
from itertools import product

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import DistilledClassifier, PooledClassifier, munge
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import loss_interval, make_divergence_scorer
from sklkl.model_selection import soft_cross_val_predict
from tests._support.messages import matches
from tests._support.models import Altered, Recorder, exact, routing, taught, tempered
from tests._support.problems import make_problem

NAMES = np.array(["ash", "birch", "cedar"])
N = 90
PROBLEM = make_problem(n_samples=N)
X, Y, SOFT, WEIGHT = PROBLEM.X, PROBLEM.hard, PROBLEM.soft, PROBLEM.weight
LABELED = np.arange(N) % 3 > 0
MARKED = np.where(LABELED, Y, -1)
FROZEN = FrozenEstimator(LogisticRegression().fit(X, Y))
SAID = FROZEN.predict_proba(X)
TREE = DecisionTreeClassifier(min_samples_leaf=4, random_state=0)


def one_hot(y, n_classes=3):
    return np.eye(n_classes)[y]


def smoothed(proba, share):
    return (1.0 - share) * proba + share / 3.0


def sharp(power=3.0):
    """Return a logistic regression that is too sure of itself, or not sure enough."""
    return Altered(LogisticRegression(), partial(tempered, temperature=1.0 / power))


SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]
CHOSEN = {"calibrate": True, "tune": {"hard_label_weight": SHARES, "smoothing": [0.0, 0.1]}}


# Cross-fitting


def test_weights_are_repetition():
    """With the same folds, also of what is chosen."""
    counts = np.random.default_rng(0).integers(0, 3, size=N)
    rows = np.repeat(np.arange(N), counts)
    folds = list(StratifiedKFold(3).split(X, Y))
    repeated = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
    weighted, wanted = (
        DistilledClassifier(sharp(), exact(), cross_fit=cross_fit, **CHOSEN).fit(*data)
        for cross_fit, data in ((folds, (X, Y, counts)), (repeated, (X[rows], Y[rows])))
    )
    assert_allclose(weighted.predict_proba(X), wanted.predict_proba(X), rtol=0, atol=1e-3)


@pytest.mark.parametrize("cv", [4, KFold(4, shuffle=True, random_state=0), "iterable"])
def test_cross_fitting(cv):
    """Labelled samples are taught by teachers that do not know them, others by that of all."""
    labeled = LABELED if cv != 4 else np.ones(N, bool)
    rows = np.flatnonzero(labeled)
    cv = list(KFold(4).split(rows)) if cv == "iterable" else cv
    target = np.where(labeled, NAMES[Y], "?")
    teacher = LogisticRegression()
    model = DistilledClassifier(teacher, Recorder(), cross_fit=cv, unlabeled="?")
    model.fit(X, target, sample_weight=WEIGHT)
    known = X[rows], target[rows], WEIGHT[rows]
    whole = clone(teacher).fit(*known)
    said = whole.predict_proba(X)
    params = {"sample_weight": known[2]}
    said[rows] = soft_cross_val_predict(teacher, *known[:2], cv=cv, params=params)
    assert_allclose(taught(model), said * WEIGHT[:, np.newaxis], rtol=1e-12)
    assert_array_equal(model.teacher_.coef_, whole.coef_)


def test_cross_fitting_with_soft_targets():
    model = DistilledClassifier(exact(), Recorder(), cross_fit=3, temperature=2.0)
    model.fit(X, pd.DataFrame(SOFT, columns=NAMES), sample_weight=WEIGHT)
    params = {"sample_weight": WEIGHT}
    said = tempered(soft_cross_val_predict(exact(), X, SOFT, cv=3, params=params), 2.0)
    assert_allclose(taught(model), said * WEIGHT[:, np.newaxis], rtol=1e-6)


def test_fold_without_a_class():
    """Its teacher gives the class probability 0, in its own column."""
    middle, rest = np.flatnonzero(Y == 1), np.flatnonzero(Y != 1)
    tests = [middle, rest[::2], rest[1::2]]
    cv = [(np.setdiff1d(np.arange(N), test), test) for test in tests]
    model = DistilledClassifier(LogisticRegression(), Recorder(), cross_fit=cv).fit(
        X, NAMES[Y]
    )
    for train, test in cv:
        teacher = LogisticRegression().fit(X[train], Y[train])
        wanted = np.zeros((len(test), 3))
        wanted[:, teacher.classes_] = teacher.predict_proba(X[test])
        assert_array_equal(taught(model)[test], wanted)
    assert not taught(model)[middle, 1].any()


# Calibration


def loss_of(proba, y, temperature, weight=None, share=0.0):
    """Return the mean log loss of samples whose label is possible."""
    q = tempered(smoothed(proba, share), temperature)[np.arange(len(y)), y]
    weight = np.ones(len(y)) if weight is None else weight
    return np.average(-np.log(q[q > 0.0]), weights=weight[q > 0.0])


def best_temperature(loss):
    """Search for the temperature of least loss; return both."""
    options = {"xatol": 1e-9}
    found = minimize_scalar(
        lambda log: loss(np.exp(log)), bounds=(-3.0, 4.0), method="bounded", options=options
    )
    return float(np.exp(found.x)), found.fun


@pytest.mark.parametrize(
    ("teacher", "weight", "cv"),
    [(TREE, None, None), (TREE, WEIGHT, 3), (sharp(), None, 3), (sharp(0.4), WEIGHT, None)],
)
def test_auto_temperature(teacher, weight, cv):
    """That of least log loss out of fold; the student learns what it makes of p, at 1."""
    model = DistilledClassifier(teacher, Recorder(), calibrate=True, cross_fit=cv)
    model.fit(X, Y, sample_weight=weight)
    params = None if weight is None else {"sample_weight": weight}
    said = soft_cross_val_predict(teacher, X, Y, cv=cv, params=params)
    wanted, _ = best_temperature(partial(loss_of, said, Y, weight=weight))
    assert model.calibration_temperature_ == pytest.approx(wanted, rel=1e-4)
    whole = clone(teacher).fit(X, Y, sample_weight=weight).predict_proba(X)
    target = tempered(whole if cv is None else said, model.calibration_temperature_)
    of_rows = 1.0 if weight is None else weight[:, np.newaxis]
    assert_allclose(taught(model), target * of_rows, rtol=1e-10)
    assert_array_equal(model.predict_proba(X), model.student_.predict_proba(X))


def test_auto_temperature_of_a_frozen_teacher_by_what_is_labelled():
    teacher = FrozenEstimator(sharp().fit(X[:30], Y[:30]))
    said = teacher.predict_proba(X)
    model = DistilledClassifier(teacher, GaussianNB(), calibrate=True, unlabeled=-1)
    model.fit(X, MARKED, sample_weight=WEIGHT)
    known = said[LABELED], Y[LABELED]
    wanted, _ = best_temperature(partial(loss_of, *known, weight=WEIGHT[LABELED]))
    assert model.calibration_temperature_ == pytest.approx(wanted, rel=1e-4)


def test_auto_temperature_with_soft_labels():
    """The log loss is the cross-entropy of what y says; what is excluded has no part."""
    said = tempered(softmax(one_hot(Y) + X[:, :3], axis=1), 0.5)
    said[::3, 0] = 0.0
    said /= said.sum(axis=1, keepdims=True)
    mass = WEIGHT[:, np.newaxis] * SOFT

    def loss(temperature):
        q = tempered(said, temperature)
        return -np.sum(mass[q > 0.0] * np.log(q[q > 0.0]))

    model = DistilledClassifier(None, calibrate=True)
    model.fit(X, SOFT, sample_weight=WEIGHT, teacher_proba=said)
    assert model.calibration_temperature_ == pytest.approx(best_temperature(loss)[0], rel=1e-4)


CONTRARY = softmax(-3.0 * one_hot(Y), axis=1)
WRONG = one_hot((Y + 1) % 3)


@pytest.mark.parametrize(
    ("proba", "smoothing", "temperature"),
    [
        (CONTRARY, 0.0, 1000.0),
        (CONTRARY, 0.1, 1000.0),
        (WRONG, 0.0, 1.0),  # none makes more of what is excluded
        (WRONG, 0.1, 1000.0),
    ],
)
def test_calibrated_teacher_that_is_always_wrong(proba, smoothing, temperature):
    model = DistilledClassifier(None, calibrate=True, smoothing=smoothing)
    model.fit(X, Y, teacher_proba=proba)
    assert model.calibration_temperature_ == temperature
    if temperature > 1.0:
        assert_allclose(model.predict_proba(X), 1.0 / 3.0, atol=0.01)


@pytest.mark.filterwarnings("ignore:The teacher's probabilities, at this temperature")
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_calibrated_teacher_that_is_always_right(share):
    model = DistilledClassifier(None, calibrate=True)
    model.fit(X, Y, teacher_proba=smoothed(one_hot(Y), share))
    assert 0.0 < model.calibration_temperature_ <= 1.0
    assert np.isfinite(model.predict_proba(X)).all()


def test_temperature_of_smoothed_probabilities():
    """Smoothing comes first; a temperature leaves 0 and 1 as they are."""
    model = DistilledClassifier(TREE, Recorder(), calibrate=True, smoothing=0.05)
    model.fit(X, Y, sample_weight=WEIGHT)
    said = soft_cross_val_predict(TREE, X, Y, params={"sample_weight": WEIGHT})
    wanted, _ = best_temperature(partial(loss_of, said, Y, weight=WEIGHT, share=0.05))
    assert model.calibration_temperature_ == pytest.approx(wanted, rel=1e-4)
    whole = clone(TREE).fit(X, Y, WEIGHT).predict_proba(X)
    wanted = tempered(smoothed(whole, 0.05), model.calibration_temperature_)
    assert_allclose(taught(model), wanted * WEIGHT[:, np.newaxis], rtol=1e-9)


# How much of the labels


def test_share_of_labels_and_weight_of_what_has_none():
    params = {"hard_label_weight": 0.4, "unlabeled_weight": 0.5, "unlabeled": -1}
    model = DistilledClassifier(FROZEN, Recorder(), **params)
    model.fit(X, MARKED, sample_weight=WEIGHT)
    mixed = np.where(LABELED[:, np.newaxis], 0.6 * SAID + 0.4 * one_hot(Y), 0.6 * 0.5 * SAID)
    assert_allclose(taught(model), mixed * WEIGHT[:, np.newaxis], rtol=1e-12)


# What is chosen


CORRECTED = {"unlabeled_weight": 0.3, "loss_correction": 0.3}
REVERSE = {"divergence": "reverse_kl", "smoothing": 0.05}


@pytest.mark.parametrize(
    ("params", "grid"),
    [
        (CORRECTED, {"hard_label_weight": [0.0, 0.5, 1.0]}),
        ({}, {"temperature": [2.0, 4.0], "hard_label_weight": [0.5, 0.0]}),
        (REVERSE, {"hard_label_weight": [0.0, 0.5], "smoothing": [0.05, 0.2]}),
        (
            {"cross_fit": KFold(5)},
            {"student__C": [0.01, 1.0], "calibrate": [False, True]},
        ),
        ({"teacher": FROZEN}, {"calibrate": [True, False], "smoothing": [0.0, 0.3]}),
    ],
    ids=str,
)
def test_choice_is_the_best_on_the_folds(params, grid):
    """Whatever was tried has the loss of fits that know nothing of a fold."""
    params = {"teacher": LogisticRegression(C=0.01), "unlabeled": -1, **params}
    rows = np.flatnonzero(LABELED)
    model = DistilledClassifier(student=exact(), tune=grid, **params)
    model.fit(X, MARKED, sample_weight=WEIGHT)
    cv, losses = params.get("cross_fit", StratifiedKFold(5)), []
    splits = [rows[test] for _, test in cv.split(rows, Y[rows])]
    results = model.tuning_results_
    for chosen in results["params"]:
        of_rows = np.zeros(N)
        for test in splits:
            keep = np.setdiff1d(np.arange(N), test)
            fold = DistilledClassifier(student=exact(), **params).set_params(**chosen)
            if "cross_fit" in params:  # by teachers without one more fold
                others = [np.searchsorted(keep[LABELED[keep]], t) for t in splits]
                every = np.arange(len(rows) - len(test))
                others = [t for t, of in zip(others, splits, strict=True) if of is not test]
                fold.cross_fit = [(np.setdiff1d(every, t), t) for t in others]
            fold.fit(X[keep], MARKED[keep], sample_weight=WEIGHT[keep])
            of_rows[test] = doubtful_losses(fold.predict_proba(X[test]), Y[test], len(rows))
        losses.append(np.average(of_rows[rows], weights=WEIGHT[rows]))
        assert chosen.keys() == grid.keys()
    assert_allclose(results["mean_loss"], losses, rtol=1e-6)
    assert (np.diff(results["mean_loss"]) >= 0.0).all()
    assert model.best_params_ == results["params"][0]
    assert np.ptp(losses) > 1e-3
    fixed = clone(model).set_params(tune=False, **model.best_params_)
    fixed.fit(X, MARKED, sample_weight=WEIGHT)
    assert_array_equal(fixed.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("teacher", "memorises"), [(LogisticRegression(), False), (KNeighborsClassifier(1), True)]
)
def test_what_is_tried_without_a_grid(teacher, memorises):
    """What is set to other than its default stays; memory calls for teaching out of fold."""
    student = make_pipeline(StandardScaler(), SoftLabelLogisticRegression(C=2.0))
    model = DistilledClassifier(teacher, student, temperature=3.0, tune=True).fit(X, Y)
    tried = model.tuning_results_["params"]
    C = "student__softlabellogisticregression__C"
    names = ["hard_label_weight", "calibrate", "smoothing", "cross_fit", C]
    assert list(model.best_params_) == list(tried[0]) == names
    assert {params[C] for params in tried} == {0.2, 2.0, 20.0}
    assert {params["cross_fit"] for params in tried} == ({None, 5} if memorises else {None})
    assert {0.0, 0.25, 1.0} < {params["hard_label_weight"] for params in tried}
    assert len(tried) == len({tuple(params.values()) for params in tried}) < 60
    best = model.tuning_results_["mean_loss"][0]
    assert best == model.tuning_results_["mean_loss"].min()
    assert model.best_params_[C] == model.student_[-1].C


def test_candidates_that_print_the_same():
    """Where labels are all, only what the student is makes a difference."""
    noise = np.zeros((N, 31))
    few, more = (
        ColumnTransformer([("", "passthrough", list(range(n)))]) for n in (31, 31 + X.shape[1])
    )
    assert repr(few) == repr(more)
    model = DistilledClassifier(FROZEN.estimator, make_pipeline(few, exact()))
    grid = {"student__columntransformer": [few, more], "temperature": [1.0, 2.0]}
    model.set_params(hard_label_weight=1.0, tune=grid)
    model.fit(np.hstack([noise, X]), Y)
    assert [p["student__columntransformer"] for p in model.tuning_results_["params"]] == [
        more,
        few,
    ]


def test_values_that_cannot_be_compared():
    folds = list(StratifiedKFold(4).split(X, Y))  # some of 22 samples, some of 23
    grid = {"cross_fit": [None, folds], "temperature": np.array([2.0, 2.0, 1.0])}
    model = DistilledClassifier(GaussianNB(), tune=grid).fit(X, Y)
    tried = model.tuning_results_["params"]
    assert len(tried) == 4
    assert {type(params["temperature"]) for params in tried} == {float}
    assert all(params["cross_fit"] in (None, folds) for params in tried)


def test_what_is_infinite_loses():
    """Where the teacher predicts a zero, reverse KL is infinite without smoothing."""
    tree = DecisionTreeClassifier(random_state=0)
    model = DistilledClassifier(tree, divergence="reverse_kl", tune={"smoothing": [0.0, 0.05]})
    assert model.fit(X.astype(np.float32), Y).tuning_results_["params"] == [
        {"smoothing": 0.05}
    ]
    with pytest.raises(ValueError, match=matches("nothing of finite loss", "smoothing above")):
        model.set_params(tune={"temperature": [1.0, 2.0]}).fit(X, Y)


def test_what_is_tried_without_use():
    """Neither C of a search, which chooses it, nor folds for a teacher that is fitted."""
    scoring = make_divergence_scorer()
    search = GridSearchCV(
        SoftLabelLogisticRegression(), {"C": [0.1, 1.0]}, scoring=scoring, cv=2
    )
    model = DistilledClassifier(FROZEN, search, temperature=2.0, smoothing=0.1, tune=True)
    assert list(model.fit(X, Y).best_params_) == ["hard_label_weight", "calibrate"]


def test_standard_errors_are_those_of_the_mean_loss():
    model = DistilledClassifier(None, tune={"hard_label_weight": [1.0]})
    model.fit(X, Y, teacher_proba=SAID, sample_weight=WEIGHT)
    q = soft_cross_val_predict(
        SoftLabelLogisticRegression(), X, Y, cv=5, params={"sample_weight": WEIGHT}
    )
    target = smoothed(one_hot(Y), 0.5 / N)
    wanted = loss_interval(target, q, divergence="cross_entropy", sample_weight=WEIGHT)
    (mean,), (error,) = (model.tuning_results_[k] for k in ("mean_loss", "standard_error"))
    assert mean == pytest.approx(wanted.estimate, rel=1e-6)
    assert error == pytest.approx(wanted.standard_error, rel=0.01)


def test_as_many_folds_as_hold_enough_samples(monkeypatch):
    results = []
    for enough, rows in ((18, slice(18)), (19, slice(36)), (1000, slice(None))):
        monkeypatch.setattr("sklkl.distillation._tuning.ENOUGH", enough)
        model = DistilledClassifier(None, exact(), cross_fit=None, tune={"temperature": [2.0]})
        model.fit(X, Y, teacher_proba=SAID, sample_weight=WEIGHT)
        tests = np.concatenate([test for _, test in StratifiedKFold(5).split(X, Y)])[rows]
        of_rows = np.zeros(N)
        for _, test in StratifiedKFold(5).split(X, Y):
            keep = np.setdiff1d(np.arange(N), test)
            fold = DistilledClassifier(None, exact(), temperature=2.0)
            fold.fit(X[keep], Y[keep], teacher_proba=SAID[keep], sample_weight=WEIGHT[keep])
            of_rows[test] = doubtful_losses(fold.predict_proba(X[test]), Y[test], N)
        results.append(np.average(of_rows[tests], weights=WEIGHT[tests]))
        assert model.tuning_results_["mean_loss"] == pytest.approx(results[-1], rel=1e-6)
    assert len(set(results)) == 3


def test_pairs_of_folds_that_are_not_judged_need_no_teacher(monkeypatch):
    monkeypatch.setattr("sklkl.distillation._tuning.ENOUGH", 20)  # of 18 in each fold
    monkeypatch.setattr(Altered, "n_fits", 0)
    teacher = Altered(GaussianNB())
    model = DistilledClassifier(
        teacher, exact(), tune={"cross_fit": [5], "temperature": [2.0]}
    )
    model.fit(X, Y)
    assert Altered.n_fits == 1 + 5 + 4 + 3
    folds, of_rows = list(StratifiedKFold(5).split(X, Y)), np.zeros(N)
    for _, test in folds[:2]:
        keep = np.setdiff1d(np.arange(N), test)
        others = [np.searchsorted(keep, t) for _, t in folds if t is not test]
        cv = [(np.setdiff1d(np.arange(len(keep)), t), t) for t in others]
        fold = DistilledClassifier(GaussianNB(), exact(), cross_fit=cv, temperature=2.0)
        fold.fit(X[keep], Y[keep])
        of_rows[test] = doubtful_losses(fold.predict_proba(X[test]), Y[test], N)
    wanted = of_rows[np.concatenate([test for _, test in folds[:2]])].mean()
    assert model.tuning_results_["mean_loss"] == pytest.approx(wanted, rel=1e-6)


def doubtful_losses(q, y, n):
    """Return log losses of labels, of which half of an n-th is anything."""
    known = -np.log(q[np.arange(len(y)), y])
    return (1.0 - 0.5 / n) * known - 0.5 / n * np.log(q).mean(axis=1)


class Nearest(GaussianNB):
    """The mean label of the nearest distinct sample, with weights."""

    def fit(self, X, y, sample_weight):
        self.classes_ = np.unique(y)
        self.X_, where = np.unique(X, axis=0, return_inverse=True)
        self.mass_ = np.full((len(self.X_), len(self.classes_)), 0.3)
        code = np.searchsorted(self.classes_, y)
        np.add.at(self.mass_, (where.ravel(), code), sample_weight)
        return self

    def predict_proba(self, X):
        distance = ((X[:, None] - self.X_) ** 2).sum(axis=2)
        mass = self.mass_[distance.argmin(axis=1)]
        return mass / mass.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("cv", [None, KFold(5, shuffle=True, random_state=0)], ids=type)
def test_choice_leaks_no_label(cv):
    """The choice is that of folds whose labels no teacher knows.

    Samples are twins. A teacher that knows one repeats its label for the other, from which
    the student would get the label that it is to be tested with. Without ``cv`` it would be
    by a twin without a label, with it by a teacher of another fold.
    """
    rng = np.random.default_rng(0)
    twins = np.repeat(rng.normal(size=(80, 2)), 2, axis=0) + 1e-6 * rng.normal(size=(160, 2))
    y = np.repeat(rng.integers(2, size=80), 2)
    y = np.where(rng.uniform(size=160) < 0.15, 1 - y, y)
    if cv is None:
        y[1::2] = -1
    rows = np.flatnonzero(y >= 0)
    params = {"smoothing": 0.1, "unlabeled": -1, "cross_fit": cv}
    teacher, losses = KNeighborsClassifier(1), []
    for share in SHARES:
        fold = DistilledClassifier(teacher, Nearest(), hard_label_weight=share, **params)
        losses.append(0.0)
        for _, test in (cv or StratifiedKFold(5)).split(rows, y[rows]):
            keep = np.setdiff1d(np.arange(160), rows[test])
            q = clone(fold).fit(twins[keep], y[keep]).predict_proba(twins[rows[test]])
            losses[-1] += doubtful_losses(q, y[rows[test]], len(rows)).sum()
    model = DistilledClassifier(
        teacher, Nearest(), tune={"hard_label_weight": SHARES}, **params
    )
    best = {"hard_label_weight": SHARES[int(np.argmin(losses))]}
    assert model.fit(twins, y).best_params_ == best


# Memory

slow_disk = pytest.mark.filterwarnings("ignore:Persisting input arguments")


@slow_disk
@pytest.mark.parametrize(("kind", "cv"), [(str, None), (partial(joblib.Memory, verbose=0), 3)])
def test_memory_in_a_search(tmp_path, kind, cv):
    grid = {"student__C": [0.1, 1.0], "temperature": [1.0, 2.0]}
    per_fit = 1 if cv is None else cv + 1
    student = SoftLabelLogisticRegression()
    model = DistilledClassifier(Altered(), student, memory=kind(tmp_path), cross_fit=cv)
    Altered.n_fits = 0
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, Y)
    assert Altered.n_fits == per_fit * 4
    plain = clone(search).set_params(estimator__memory=None).fit(X, Y)
    assert Altered.n_fits == per_fit * (4 + 3 * len(ParameterGrid(grid)) + 1)
    assert_array_equal(*(s.cv_results_["mean_test_score"] for s in (search, plain)))
    model.fit(X, Y)  # as the search did
    assert Altered.n_fits == per_fit * (4 + 3 * len(ParameterGrid(grid)) + 1)


class NoMemory:
    """All that is asked of a memory."""

    def cache(self, function):
        return function


@slow_disk
def test_memory_keeps_things_apart(tmp_path):
    other, marked = X.copy(), Y.copy()
    other[0, 0] += 1e-6
    marked[3] = -1
    frozen = [FrozenEstimator(Altered().fit(X[:n], Y[:n])) for n in (45, 60)]
    synthetic = {"n_synthetic": 50, "random_state": 0}
    inner = {"teacher__inner": GaussianNB(var_smoothing=0.5)}
    cases = [
        ({}, X, Y, None),
        ({}, X, Y, WEIGHT),
        ({}, X, Y, WEIGHT[::-1]),
        ({}, other, Y, None),
        ({}, X, Y[::-1], None),
        ({"unlabeled": -1}, X, marked, None),
        *(
            (params, X, Y, None)
            for params in ({"cross_fit": 3}, {"cross_fit": KFold(3)}, inner)
        ),
        *(({"teacher": teacher, **synthetic}, X, None, None) for teacher in frozen),
    ]
    for memory, (params, X_, y, weight) in product([str(tmp_path)] * 2 + [NoMemory()], cases):
        model = DistilledClassifier(Altered(), Recorder(), memory=memory)
        model.set_params(**params).fit(X_, y, sample_weight=weight)
        plain = clone(model).set_params(memory=None).fit(X_, y, sample_weight=weight)
        assert_array_equal(taught(model), taught(plain))
        assert_array_equal(model.teacher_.predict_proba(X), plain.teacher_.predict_proba(X))


# Given probabilities


AUTO = {"tune": {"hard_label_weight": SHARES}, "calibrate": True}
SET = {"loss_correction": 0.5, "temperature": 3.0, "unlabeled_weight": 0.5}


@pytest.mark.parametrize("params", [AUTO, SET], ids=str)
def test_given_probabilities_are_those_of_a_frozen_teacher(params):
    teacher = FrozenEstimator(LogisticRegression().fit(X, NAMES[Y]))
    marked = np.where(LABELED, NAMES[Y], "?")
    frame = pd.DataFrame(teacher.predict_proba(X), columns=NAMES)[NAMES[[2, 0, 1]]]
    wanted = DistilledClassifier(teacher, exact(), unlabeled="?", **params)
    wanted.fit(X, marked, sample_weight=WEIGHT)
    model = DistilledClassifier(None, exact(), unlabeled="?", **params)
    model.fit(X, marked, sample_weight=WEIGHT, teacher_proba=frame)
    assert_allclose(model.predict_proba(X), wanted.predict_proba(X), atol=1e-7)
    assert model.best_params_ == wanted.best_params_
    assert model.calibration_temperature_ == wanted.calibration_temperature_
    assert model.score(X, marked) == wanted.score(X, marked)


@pytest.mark.parametrize("teacher", [None, Altered()])
def test_given_probabilities_without_labels(teacher):
    Altered.n_fits = 0
    frame = pd.DataFrame(SAID, columns=NAMES)
    for given, classes in ((SAID, [0, 1, 2]), (frame, NAMES.tolist())):
        model = DistilledClassifier(teacher, Recorder()).fit(X, teacher_proba=given)
        assert_array_equal(taught(model), SAID)
        assert model.classes_.tolist() == classes
        assert model.teacher_ is None
    assert Altered.n_fits == 0


CEDAR_FIRST = NAMES[[2, 0, 1]]
TOLD = exact(classes=CEDAR_FIRST)


@pytest.mark.parametrize(
    "student", [TOLD, make_pipeline(TOLD), GridSearchCV(TOLD, {"C": [1.0]}, cv=2)], ids=type
)
def test_given_probabilities_have_the_columns_of_the_student(student):
    """Also where the logistic student is inside another one."""
    for labels, classes in ((NAMES[Y], NAMES), (None, CEDAR_FIRST)):
        model = DistilledClassifier(None, student)
        model.fit(X, labels, teacher_proba=SAID[:, [2, 0, 1]])
        assert model.classes_.tolist() == classes.tolist()  # those of labels are sorted
        assert model.score(X, SAID[:, np.searchsorted(NAMES, classes)]) > 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_functions_have_the_order_of_the_classes(n_classes):
    given = pd.DataFrame(SAID, columns=NAMES).iloc[:, n_classes - 1 :: -1]
    given = given.div(given.sum(axis=1), axis=0)
    model = DistilledClassifier(None, LogisticRegression()).fit(X, teacher_proba=given)
    scores, said = model.decision_function(X), model.predict_proba(X)
    logits = np.column_stack([0.0 * scores, scores]) if n_classes == 2 else scores
    assert_allclose(softmax(logits, axis=1), said, atol=1e-12)


FITTED = FrozenEstimator(clone(TOLD).fit(X, one_hot(Y)[:, [2, 0, 1]]))
FRAME = pd.DataFrame(FITTED.predict_proba(X), columns=CEDAR_FIRST)


@pytest.mark.parametrize(
    ("teacher", "given", "student"),
    [
        (None, {"teacher_proba": FRAME}, None),
        (FITTED, {}, GaussianNB()),
        ([FITTED, TOLD], {}, None),
        (PooledClassifier([FITTED]), {}, GaussianNB()),
    ],
)
def test_classes_are_sorted_where_y_holds_labels(teacher, given, student):
    """As scikit-learn's scorers take for granted, whatever order a teacher has."""
    model = DistilledClassifier(teacher, student, hard_label_weight=0.1)
    model.fit(X, NAMES[Y], **given)
    assert model.classes_.tolist() == model.student_.classes_.tolist() == NAMES.tolist()
    assert get_scorer("roc_auc_ovr")(model, X, NAMES[Y]) > 0.75
    if teacher is None or teacher is FITTED:
        model = DistilledClassifier(teacher).fit(X, **given)
        assert model.classes_.tolist() == CEDAR_FIRST.tolist()  # there are no labels


def test_rows_of_given_probabilities():
    frame = pd.DataFrame(X, index=np.arange(N) + 7)
    proba = pd.DataFrame(SAID, frame.index)
    model = DistilledClassifier(None)
    with pytest.raises(ValueError, match=r"rows of X and teacher_proba have different labels"):
        model.fit(frame, teacher_proba=proba[::-1])
    # In a search the default index is sliced, and is no name.
    search = GridSearchCV(model, {"student__C": [1.0]}, cv=2, error_score="raise")
    search.fit(frame, Y, teacher_proba=proba.reset_index(drop=True))


@pytest.mark.parametrize(
    "params", [{"temperature": 1e6}, {"calibrate": True, "smoothing": 0.1}], ids=str
)
def test_probabilities_are_those_of_the_normalised_rows(params):
    """Rounding below 0 counts as 0, and a sum off by less than 3.5e-4 as 1."""
    proba = SAID.copy()
    proba[::2, 0] = 0.0
    proba /= proba.sum(axis=1, keepdims=True)
    rounded = np.where(proba == 0.0, -1e-9, proba)
    off = proba * (1.0 + np.linspace(-3e-4, 3e-4, N)[:, np.newaxis])
    model = DistilledClassifier(None, Recorder(), loss_correction=0.5, **params)
    wanted = taught(model.fit(X, Y, teacher_proba=proba))
    for other in (rounded, off):
        found = taught(model.fit(X, Y, teacher_proba=other))
        assert_allclose(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [2e299, 1e-300])
def test_only_ratios_of_weights_count(scale):
    """Beside C, which a scale of all weights divides."""
    scaled, wanted = (
        DistilledClassifier(None, exact(C=1.0 / c), **CHOSEN).fit(
            X, Y, sample_weight=WEIGHT * c, teacher_proba=tempered(SAID, 0.3)
        )
        for c in (scale, 1.0)
    )
    assert scaled.calibration_temperature_ == pytest.approx(
        wanted.calibration_temperature_, rel=1e-9
    )
    assert scaled.best_params_ == wanted.best_params_
    assert_allclose(scaled.predict_proba(X), wanted.predict_proba(X), rtol=0, atol=1e-6)


def test_a_low_temperature_is_no_excuse_to_stop_at_once():
    """Of the most probable class alone is learned: who that is, for every sample."""
    model = DistilledClassifier(None, temperature=1e-6).fit(X, teacher_proba=SAID)
    argmax = SoftLabelLogisticRegression().fit(X, SAID.argmax(axis=1))
    assert_array_equal(model.predict(X), argmax.predict(X))


def test_a_high_temperature_and_probabilities_in_float32():
    proba = SAID.astype(np.float32)
    single, double = (
        DistilledClassifier(None, exact(), temperature=1e6).fit(X, teacher_proba=p).student_
        for p in (proba, proba.astype(np.float64))
    )
    assert_allclose(single.coef_, double.coef_, rtol=1e-5)


def test_search_slices_given_probabilities():
    given = pd.DataFrame(SOFT, columns=NAMES, index=np.arange(N)[::-1])
    model, folds = DistilledClassifier(None, exact()), KFold(3)
    params = {"param_grid": {"student__C": [0.01, 1.0]}, "scoring": "neg_log_loss"}
    with routing():
        model.set_fit_request(teacher_proba=True)
        search = GridSearchCV(model, **params, cv=folds, error_score="raise")
        search.fit(X, NAMES[Y], teacher_proba=given)
    for C, score in zip([0.01, 1.0], search.cv_results_["mean_test_score"], strict=True):
        scores = []
        for train, test in folds.split(X):
            q = exact(C=C).fit(X[train], SOFT[train]).predict_proba(X[test])
            scores.append(np.log(q[np.arange(len(test)), Y[test]]).mean())
        assert score == pytest.approx(np.mean(scores), rel=1e-9)


# Synthetic samples


UNLABELED = np.full((45, 3), -1.0)


@pytest.mark.parametrize(
    ("n_synthetic", "teacher", "y", "y_with_synthetic", "weight", "container"),
    [
        (45, GaussianNB(), MARKED, np.r_[MARKED, UNLABELED[:, 0]], WEIGHT, np.asarray),
        (0.5, exact(), SOFT, np.vstack([SOFT, UNLABELED]), None, pd.DataFrame),
        (45, FROZEN, None, None, WEIGHT, np.ndarray.tolist),
        (45, exact(), SOFT, np.vstack([SOFT, UNLABELED]), None, csr_array),
    ],
)
def test_synthetic_samples(n_synthetic, teacher, y, y_with_synthetic, weight, container):
    """They are samples without label, of average weight."""
    given, synthetic = container(X), munge(X, 45, random_state=3)
    params = {"temperature": 2.0, "unlabeled": -1, "unlabeled_weight": 0.4}
    params = {**params, "hard_label_weight": 0.0 if y is None else 0.3}
    model = DistilledClassifier(teacher, exact(), n_synthetic=n_synthetic, **params)
    model.set_params(random_state=3).fit(given, y, sample_weight=weight)
    plain = clone(model).set_params(n_synthetic=1e-6).fit(given, y, sample_weight=weight)
    wanted = clone(model).set_params(n_synthetic=0, teacher=FrozenEstimator(plain.teacher_))
    weights = None if weight is None else np.r_[weight, np.full(45, weight.mean())]
    wanted.fit(np.vstack([X, synthetic]), y_with_synthetic, sample_weight=weights)
    assert_allclose(model.student_.coef_, wanted.student_.coef_, rtol=0, atol=1e-8)
    assert abs(model.student_.coef_ - plain.student_.coef_).max() > 1e-3


def test_synthetic_samples_do_not_help_to_choose():
    """What is chosen is chosen by labelled samples."""
    plain, more = (
        DistilledClassifier(sharp(), n_synthetic=n, **CHOSEN).fit(X, Y) for n in (0, 50)
    )
    assert plain.calibration_temperature_ == more.calibration_temperature_
    assert_array_equal(*(m.tuning_results_["mean_loss"] for m in (plain, more)))


# Several teachers


SEVERAL = [LogisticRegression(), GaussianNB(), FROZEN]
NAMED = list(zip("abc", SEVERAL, strict=True))


@pytest.mark.parametrize("teacher", [SEVERAL, tuple(SEVERAL), NAMED, dict(NAMED)])
def test_teachers(teacher):
    model = DistilledClassifier(teacher, Recorder(), temperature=2.0)
    model.fit(X, Y, sample_weight=WEIGHT)
    assert isinstance(model.teacher_, PooledClassifier)
    assert model.teacher is teacher
    fitted = [*(clone(e).fit(X, Y, WEIGHT) for e in SEVERAL[:2]), FROZEN]
    said = np.mean([e.predict_proba(X) for e in fitted], axis=0)
    assert_allclose(model.teacher_.predict_proba(X), said, atol=1e-12)
    assert_allclose(taught(model), tempered(said, 2.0) * WEIGHT[:, None], atol=1e-12)


def test_teachers_that_are_all_frozen():
    """They are as fitted as one that is."""
    frozen = [FrozenEstimator(e.fit(X, Y)) for e in (LogisticRegression(), GaussianNB())]
    said = np.mean([e.predict_proba(X) for e in frozen], axis=0)
    for teacher in (frozen, PooledClassifier(frozen)):
        for y in (Y, None):
            model = DistilledClassifier(teacher, Recorder()).fit(X, y)
            assert_allclose(taught(model), said, rtol=1e-12)


# Teachers that memorise


def test_teacher_that_tells_the_labels():
    """Whoever is taught by it at a temperature that leaves them as they are learns no more."""
    tree = DecisionTreeClassifier(random_state=0)
    sharp = tempered(0.99 * one_hot(Y) + 0.01 / 3.0, 0.3)
    cases = [({"teacher": tree}, {}), ({"teacher": None}, {"teacher_proba": sharp})]
    for params, given in cases:
        with pytest.warns(UserWarning, match="are the labels, and the student learns nothing"):
            DistilledClassifier(**params).fit(X, Y, **given)
    DistilledClassifier(None, temperature=20.0).fit(X, Y, teacher_proba=sharp)
    DistilledClassifier(tree, cross_fit=3).fit(X, Y)
    DistilledClassifier(tree, unlabeled=-1).fit(X, MARKED)
    DistilledClassifier(tree, tune={"hard_label_weight": [0.0, 1.0]}).fit(X, Y)


def test_fitted_teacher_that_knows_the_labels():
    tree = FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X[:45], Y[:45]))
    model = DistilledClassifier(tree, tune={"student__C": [0.1, 1.0]})
    with pytest.warns(
        UserWarning, match=matches("seems to have been fitted to", "best student")
    ):
        model.fit(X[:45], Y[:45])
    model.fit(X[45:], Y[45:])  # which it does not know
    easy = X + 50.0 * one_hot(Y, X.shape[1])
    model.fit(easy, Y, teacher_proba=one_hot(Y))  # so does any student


# What a fit leaves behind


def test_fit_leaves_no_trace():
    teacher, student = LogisticRegression(), make_pipeline(StandardScaler(), exact())
    states = [pickle.dumps(e) for e in (teacher, student)]
    model = DistilledClassifier(teacher, student)
    defaults = model.get_params(deep=False)
    for settings in (
        CHOSEN,
        {"divergence": "reverse_kl", "temperature": 2.0, "hard_label_weight": 0.4},
        {"n_synthetic": 20, "random_state": 0, "cross_fit": 3},
    ):
        model.set_params(**{**defaults, **settings}).fit(X, Y, sample_weight=WEIGHT)
        fresh = DistilledClassifier(teacher, student, **settings)
        fresh.fit(X, Y, sample_weight=WEIGHT)
        assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))
        assert model.get_params(deep=False) == {**defaults, **settings}
        assert model.best_params_.keys() == settings.get("tune", {}).keys()
    assert model.teacher is teacher
    assert model.student is student
    assert [pickle.dumps(e) for e in (teacher, student)] == states


def test_fitted_students_fit_again_as_their_parameters_say():
    model = DistilledClassifier(LogisticRegression(), exact(), divergence="reverse_kl")
    model.set_params(temperature=3.0, hard_label_weight=0.5).fit(X, Y)
    assert vars(model.student_).keys() == vars(exact().fit(X, Y)).keys()
    soft = model.predict_proba(X)
    student = pickle.loads(pickle.dumps(model.student_)).fit(X, soft)
    wanted = exact(divergence="reverse_kl").fit(X, soft)
    assert_allclose(student.coef_, wanted.coef_, atol=1e-7)


class Fails(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        raise ValueError("no lesson today")


@pytest.mark.parametrize(
    "broken", [{"teacher": Fails()}, {"student": Fails()}, {"cross_fit": 1}]
)
def test_failed_fit_changes_nothing(broken):
    model = DistilledClassifier(LogisticRegression(), exact(), temperature=2.0)
    said = model.fit(X, Y).predict_proba(X)
    fitted = {name for name in vars(model) if name.endswith("_")}
    with pytest.raises(ValueError, match=r"no lesson|cross_fit"):
        model.set_params(**broken).fit(X, Y)
    assert {name for name in vars(model) if name.endswith("_")} == fitted
    assert_array_equal(model.predict_proba(X), said)


@slow_disk
def test_verbose_tells_of_every_fit_and_of_none_that_was_kept(tmp_path, capsys):
    def tasks():
        return re.findall(r"[ .]+(\w.*), total=", capsys.readouterr().out)

    model = DistilledClassifier(
        GaussianNB(), cross_fit=3, tune={"student__C": [0.1, 1.0]}, verbose=True
    )
    model.set_params(memory=str(tmp_path))
    clone(model).set_params(verbose=False).fit(X, Y)
    assert not tasks()
    model.fit(X, Y)
    assert tasks() == ["choice of parameters", "student"]
    model.set_params(memory=None).fit(X, Y)
    assert tasks() == [
        "teacher",
        *(f"teacher without fold {i} of 3" for i in (1, 2, 3)),
        *(f"teacher without folds {i} and {j} of 3" for i, j in ((1, 2), (1, 3), (2, 3))),
        "choice of parameters",
        "student",
    ]


# Refusals

HALVED = np.where(np.arange(N)[:, np.newaxis] == 7, 0.5, 1.0) * SAID
NEGATIVE = np.where(np.arange(N)[:, np.newaxis] == 4, [-0.5, 0.5, 1.0], SAID)
GIVEN = DistilledClassifier(None)


def told(proba, y=Y):
    return {"y": y, "teacher_proba": proba}


@pytest.mark.parametrize(
    ("model", "arguments", "parts"),
    [
        (DistilledClassifier(FROZEN, cross_fit=3), {"y": Y}, ["it is fitted already"]),
        (DistilledClassifier(GaussianNB(), cross_fit=3), told(SAID), ["it is fitted already"]),
        (DistilledClassifier(FROZEN, unlabeled_weight=0.0), {}, ["unlabeled_weight is 0"]),
        (DistilledClassifier([]), {"y": Y}, ["not empty"]),
        (GIVEN, {"y": Y}, ["There is no teacher"]),
        (GIVEN, told(HALVED), ["teacher_proba[7]"]),
        (GIVEN, told(NEGATIVE), ["teacher_proba"]),
        (GIVEN, told(SAID[:, 0]), ["teacher_proba must have shape"]),
        (GIVEN, told(SAID[:-1]), ["inconsistent numbers of samples"]),
        (GIVEN, told(one_hot(Y % 2, 2)), ["has 2 columns, but there are 3"]),
        (GIVEN, told(pd.DataFrame(SAID, columns=NAMES)), ["not one of the classes"]),
        (GIVEN, told(pd.DataFrame(SAID, columns=[*"aab"]), None), ["class twice"]),
        (DistilledClassifier(None, n_synthetic=9), told(SAID), ["n_synthetic needs a"]),
    ],
)
def test_refusals(model, arguments, parts):
    with pytest.raises((TypeError, ValueError), match=matches(*parts)):
        model.fit(**{"X": X, **arguments})


@pytest.mark.parametrize(
    ("model", "scale"),
    [(DistilledClassifier(GaussianNB()), 2e299), (DistilledClassifier(FROZEN, TREE), 1e-300)],
)
def test_weights_that_are_out_of_range_for_others(model, scale):
    with pytest.raises(ValueError, match="divide it by its largest"):
        model.fit(X, Y, sample_weight=WEIGHT * scale)
