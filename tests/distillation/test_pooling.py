"""PooledClassifier against SciPy, scikit-learn, grids, and the same steps done by hand."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_backend
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sklkl.distillation import PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.model_selection import soft_cross_val_predict
from tests._support.models import Altered, Recorder, Table, routing
from tests._support.problems import make_problem

NAMES = np.array(["a", "m", "z"])
POOLINGS = ["arithmetic", "geometric"]
PROBLEM = make_problem(n_samples=120)
X, Y, SOFT = PROBLEM.X, PROBLEM.hard, PROBLEM.soft
WEIGHT = np.maximum(PROBLEM.weight, 0.1)

each_pooling = pytest.mark.parametrize("pooling", POOLINGS)


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


def drawn(proba):
    u = np.random.default_rng(0).random((len(proba), 1))
    return (proba.cumsum(axis=1) > u).argmax(axis=1)


def pool(logs, weights, pooling):
    """The definition, where there are no zeros."""
    if pooling == "arithmetic":
        return sum(w * np.exp(log) for w, log in zip(weights, logs, strict=True))
    return softmax(sum(w * log for w, log in zip(weights, logs, strict=True)), axis=1)


def logs_of(models):
    return [model.predict_log_proba(X) for model in models]


# Pools with given weights


@pytest.mark.parametrize("weights", [None, [3, 0, 1]])
def test_arithmetic_is_soft_voting(weights):
    y = NAMES[Y]
    models = [GaussianNB(), DecisionTreeClassifier(max_depth=3), LogisticRegression()]
    pairs = list(zip("abc", models, strict=True))
    model = PooledClassifier(pairs, weights=weights).fit(X, y, WEIGHT)
    voting = VotingClassifier(pairs, voting="soft", weights=weights)
    voting.fit(X, y, sample_weight=WEIGHT)
    proba = voting.predict_proba(X)
    assert_allclose(model.predict_proba(X), proba, rtol=1e-13, atol=1e-16)
    with np.errstate(divide="ignore"):
        assert_allclose(model.predict_log_proba(X), np.log(proba), rtol=1e-9, atol=1e-13)
    assert_array_equal(model.predict(X), voting.predict(X))
    assert model.score(X, y, WEIGHT) == pytest.approx(voting.score(X, y, WEIGHT))


@each_pooling
def test_logarithms_do_not_underflow(pooling):
    """The logits differ by thousands, where probabilities are 0 in floating point."""
    models = [SoftLabelLogisticRegression(C=C).fit(X, Y) for C in (0.1, 10.0)]
    for inner in models:
        inner.coef_ *= 3000.0
    frozen = [FrozenEstimator(inner) for inner in models]
    model = PooledClassifier(frozen, pooling=pooling, weights=[0.25, 0.75]).fit(X)
    logs = logs_of(models)
    if pooling == "geometric":
        expected = log_softmax(0.25 * logs[0] + 0.75 * logs[1], axis=1)
    else:
        expected = np.logaddexp(np.log(0.25) + logs[0], np.log(0.75) + logs[1])
    assert expected.min() < -2000
    assert_allclose(model.predict_log_proba(X), expected, rtol=1e-12, atol=1e-12)
    assert_allclose(model.predict_proba(X), np.exp(expected), rtol=1e-10, atol=1e-300)


def test_zeros():
    p = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    q = [[0.2, 0.4, 0.4], [0.1, 0.2, 0.7]]
    model = PooledClassifier(tables(p, q), pooling="geometric").fit(rows(2))
    root = np.sqrt([0.1, 0.2])
    expected = [[*(root / root.sum()), 0.0], [1.0, 0.0, 0.0]]
    assert_allclose(model.predict_proba(rows(2)), expected, rtol=1e-14, atol=0)
    assert_array_equal(np.isneginf(model.predict_log_proba(rows(2))), np.equal(expected, 0))
    # An estimator without weight excludes nothing.
    model.set_params(weights=[0, 2]).fit(rows(2))
    assert_allclose(model.predict_proba(rows(2)), q, rtol=1e-14)


def test_a_row_without_any_class():
    p, q = [[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]
    model = PooledClassifier(tables(p, q), pooling="geometric").fit(rows(2))
    for method in (model.predict_proba, model.predict_log_proba):
        with pytest.raises(ValueError, match=r"every class of row 1 of X.*='arithmetic'"):
            method(rows(2))
    assert_allclose(model.predict_proba([[0]]), [[0.5, 0.5]])


class OffByLogs(Table):
    """A table that has logarithms, too, of sums that are off."""

    def predict_log_proba(self, X):
        return np.log(self.predict_proba(X)) + 3e-4


def test_rows_are_normalised_or_refused():
    bad = FrozenEstimator(Table([[0.5, 0.5], [0.5, 0.6]]))
    model = PooledClassifier({"fine": known(0, n_classes=2), "bad": bad}, weights=[0, 1])
    with pytest.raises(ValueError, match=r"(?s)Estimator 'bad': predict_proba.*1\.1"):
        model.fit(rows(2)).predict_proba(rows(2))
    p = [[0.5, 0.5], [0.2, 0.8]]
    off = FrozenEstimator(OffByLogs(p))
    for pooling in POOLINGS:
        model = PooledClassifier([off], pooling=pooling).fit(rows(2))
        assert_allclose(model.predict_log_proba(rows(2)), np.log(p), rtol=1e-12)


def test_weights_are_normalised():
    models = {"a": known(0), "b": known(1), "c": known(2)}
    huge, tiny = np.array([3e307, 6e307, 1.5e308]), pd.Series([1e-300, 2e-300, 5e-300])
    for weights in ((0.125, 0.25, 0.625), {"c": 5, "a": 1, "b": 2}, huge, tiny):
        model = PooledClassifier(models, weights=weights).fit(X)
        assert_allclose(model.weights_, [0.125, 0.25, 0.625], rtol=1e-15)


# Learned weights


@each_pooling
@pytest.mark.parametrize(
    ("scale", "soft", "factor"), [(0.1, False, 2e299), (1.0, True, 1e-300), (30.0, False, 1.0)]
)
def test_conditions_of_the_optimum(pooling, scale, soft, factor):
    """Slopes are equal where weights are positive, and nowhere less."""
    models = [known(seed, scale) for seed in range(6)]
    logs = logs_of(models)
    proba = pool(logs, [0.4, 0.4, 0.2, 0.0, 0.0, 0.0], pooling)
    target = 0.8 * proba + 0.2 * SOFT if soft else np.eye(3)[drawn(proba)]
    y = target if soft else target.argmax(axis=1)
    model = PooledClassifier(models, pooling=pooling, weights="learned")
    found = model.fit(X, y, WEIGHT * factor).weights_
    of_rows = WEIGHT / WEIGHT.sum()
    if pooling == "arithmetic":  # as in kl_loss
        logs = [np.maximum(log, np.log(np.finfo(float).eps)) for log in logs]
        ratios = np.exp(logs) / pool(logs, found, pooling)
        slopes = -np.einsum("n,nk,mnk->m", of_rows, target, ratios)
    else:
        off = pool(logs, found, pooling) - target
        slopes = np.einsum("n,nk,mnk->m", of_rows, off, logs)
    positive = found > 0
    assert found.sum() == pytest.approx(1.0, abs=1e-15)
    assert 1 < positive.sum() < 6 or soft
    assert np.ptp(slopes[positive]) < 1e-7 * max(1.0, scale)
    assert (slopes >= slopes[positive].mean() - 1e-7 * max(1.0, scale)).all()


@pytest.mark.parametrize(
    ("pooling", "dtype", "small", "floor"),
    [
        ("arithmetic", np.float64, 0.1, 2.0**-52),
        ("arithmetic", np.float32, 0.1, 2.0**-23),
        ("geometric", np.float32, 0.1, 2.0**-23),
        # Or an estimator would gain by saying 0 in place of 1e-30.
        ("geometric", np.float64, 1e-30, 1e-30),
    ],
)
def test_zeros_when_learning(pooling, dtype, small, floor):
    """They count as epsilon; in geometric pools for no more than the least that others say."""
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [1.0 - small, small], [1, 0]], dtype)
    q = np.array([[0.6, 0.4], [0.5, 0.5], [0.4, 0.6], [1.0, 0.0], [1.0, 0.0]], dtype)
    y = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.99, 0.01], [1.0, 0.0]]
    found, wanted = (
        PooledClassifier(tables(*said), pooling=pooling, weights="learned")
        .fit(rows(5), y)
        .weights_
        for said in ((p, q), (np.maximum(p, floor).astype(dtype), np.maximum(q, floor)))
    )
    assert 0.01 < wanted[0] < 0.99
    assert_allclose(found, wanted, rtol=1e-7)


BY_NAME = pd.DataFrame(SOFT, columns=["z", "a", "m"])
SOFT_MODELS = [SoftLabelLogisticRegression(C=C) for C in (3.0, 1e-3)]


@pytest.mark.parametrize(
    ("pooling", "y", "classes", "fitted"),
    [
        ("arithmetic", NAMES[Y], NAMES, [LogisticRegression(), GaussianNB()]),
        ("geometric", SOFT, [0, 1, 2], SOFT_MODELS),
        ("arithmetic", BY_NAME, BY_NAME.columns, SOFT_MODELS),
    ],
    ids=["labels", "soft", "frame"],
)
def test_weights_are_learned_out_of_fold(pooling, y, classes, fitted):
    """Frozen estimators that say what each does out of fold get the same weights."""
    params = {"pooling": pooling, "weights": "learned"}
    frozen, folds = known(0, classes=classes), KFold(4, shuffle=True, random_state=0)
    model = PooledClassifier([frozen, *fitted], cv=folds, **params).fit(X, y, WEIGHT)
    of_rows = {"sample_weight": WEIGHT}
    says = [soft_cross_val_predict(m, X, y, cv=folds, params=of_rows) for m in fitted]
    says = [frozen.predict_proba(X), *says]
    wanted = PooledClassifier([FrozenEstimator(Table(p, classes)) for p in says], **params)
    wanted.fit(rows(len(X)), y, WEIGHT)
    assert np.count_nonzero(wanted.weights_) > 1
    assert_allclose(model.weights_, wanted.weights_, rtol=1e-6, atol=1e-9)
    assert_array_equal(model.classes_, classes)
    assert model.estimators_[0] is frozen


# Classes


@pytest.mark.parametrize(
    ("pooling", "weights"), [("arithmetic", None), ("geometric", "learned")]
)
def test_columns_are_matched_by_name(pooling, weights):
    models = [known(0, classes=["m", "z", "a"]), known(1, classes=["z", "a", "m"])]
    first, second = (model.predict_proba(X) for model in models)
    proba = [first[:, [2, 0, 1]], second[:, [1, 2, 0]]]
    model = PooledClassifier(models, pooling=pooling, weights=weights).fit(X, NAMES[Y])
    assert_array_equal(model.classes_, NAMES)
    said = pool(np.log(proba), model.weights_, pooling)
    assert_allclose(model.predict_proba(X), said, rtol=1e-12)
    # Columns of soft targets are those of an estimator that knows as many.
    named = [known(1, n_classes=2, classes=["a", "z"]), known(0, classes=NAMES)]
    assert_array_equal(PooledClassifier(named, weights="learned").fit(X, SOFT).classes_, NAMES)


def test_frozen_estimators_that_know_other_classes():
    few, many = known(0, n_classes=2, classes=["a", "z"]), known(1, classes=["a", "b", "z"])
    model = PooledClassifier([few, many]).fit(X)
    assert_array_equal(model.classes_, ["a", "b", "z"])
    expected = many.predict_proba(X)
    expected[:, [0, 2]] += few.predict_proba(X)
    assert_allclose(model.predict_proba(X), expected / 2, rtol=1e-14)
    # With labels: those that occur, too.
    model.set_params(weights="learned", pooling="geometric").fit(X, NAMES[Y])
    assert_array_equal(model.classes_, ["a", "b", "m", "z"])
    proba = model.predict_proba(X)
    assert_array_equal(proba[:, 2], 0)
    assert_array_equal(proba[:, 1] == 0, np.full(len(X), model.weights_[0] > 0))
    # One that is fitted beside them does not know "b".
    model = PooledClassifier([GaussianNB(), many]).fit(X, NAMES[Y])
    assert_array_equal(model.classes_, ["a", "b", "m", "z"])
    assert_allclose(model.predict_proba(X)[:, 1], many.predict_proba(X)[:, 1] / 2)
    single = PooledClassifier([many]).fit(X, ["z"] * len(X))
    assert_array_equal(single.classes_, ["a", "b", "z"])


def test_columns_without_names_that_estimators_name_in_other_orders():
    a, b = (SoftLabelLogisticRegression(classes=names) for names in (NAMES, NAMES[::-1]))
    for second in (b, FrozenEstimator(b.fit(X, SOFT))):
        with pytest.raises(ValueError, match="estimators have them in another order"):
            PooledClassifier([a, second]).fit(X, SOFT)
    frame = pd.DataFrame(SOFT, columns=NAMES)
    model = PooledClassifier([a, b]).fit(X, frame)
    alone = a.fit(X, frame)
    assert_allclose(model.predict_proba(X), alone.predict_proba(X), rtol=1e-3)


def test_classes_that_do_not_occur_change_no_weight():
    said = [known(seed).predict_proba(X) for seed in (0, 1)]
    few = [FrozenEstimator(Table(p, NAMES)) for p in said]
    wide = Table(np.insert(said[0], 1, 0.0, axis=1), [*"abmz"])
    learned, wanted = (
        PooledClassifier(models, weights="learned").fit(rows(len(X)), NAMES[Y]).weights_
        for models in ([FrozenEstimator(wide), few[1]], few)
    )
    assert 0.01 < wanted[0] < 0.99
    assert_allclose(learned, wanted, rtol=1e-6)


def test_a_class_that_a_fold_lacks():
    y = np.where(np.arange(len(Y)) < 12, 2, Y % 2)
    pair = [GaussianNB(), LogisticRegression()]
    model = PooledClassifier(pair, weights="learned", cv=KFold(10), pooling="geometric")
    assert_allclose(model.fit(X, y).predict_proba(X).sum(axis=1), 1.0)
    assert model.weights_.sum() == pytest.approx(1.0)


# Estimators and their parameters


LISTED = [GaussianNB(), LogisticRegression(), LogisticRegression(C=0.1)]
GIVEN_NAMES = ["gaussiannb", "logisticregression-1", "logisticregression-2"]
NAMED = dict(zip(GIVEN_NAMES, LISTED, strict=True))
FORMS = {"list": LISTED, "pairs": list(NAMED.items()), "dict": NAMED}


@pytest.mark.parametrize("form", FORMS)
def test_parameters_of_the_estimators(form):
    model = PooledClassifier(clone(FORMS[form], safe=False), pooling="geometric").fit(X, Y)
    assert model.named_estimators_ == dict(zip(NAMED, model.estimators_, strict=True))
    assert list(model.named_estimators_) == GIVEN_NAMES
    assert not any(hasattr(e, "classes_") for e in LISTED)
    assert type(clone(model).estimators) is type(FORMS[form])
    own = {"estimators", "pooling", "weights", "cv", "n_jobs"}
    assert set(model.get_params(deep=False)) == own
    changes = {"logisticregression-2__C": 7.0, "pooling": "arithmetic"}
    assert model.set_params(**changes) is model
    params = model.get_params()
    assert {name: params[name] for name in changes} == changes
    assert params["logisticregression-1__C"] == 1.0
    before = model.estimators
    model.set_params(gaussiannb=DecisionTreeClassifier(), gaussiannb__max_depth=4)
    assert model.get_params()["gaussiannb__max_depth"] == 4
    assert isinstance(PooledClassifier(before).get_params()["gaussiannb"], GaussianNB)
    model.set_params(estimators=[KNeighborsClassifier()], kneighborsclassifier__n_neighbors=2)
    assert model.estimators[0].n_neighbors == 2
    with pytest.raises(ValueError, match="Invalid parameter 'gaussiannb'"):
        model.set_params(gaussiannb__var_smoothing=1)


@pytest.mark.parametrize(
    ("form", "weights"), [("list", None), ("pairs", [5, 2, 3]), ("dict", "learned")]
)
def test_dropped_estimators_are_left_out(form, weights):
    """As by VotingClassifier: they keep name and weight, but neither fit nor count."""
    model = PooledClassifier(clone(FORMS[form], safe=False), weights=weights, cv=2)
    model.set_params(gaussiannb="drop")
    assert model.get_params()["gaussiannb"] == "drop"
    fitted = clone(model).fit(X, Y)
    rest = dict(list(NAMED.items())[1:])
    others = PooledClassifier(rest, weights=[2, 3] if form == "pairs" else weights, cv=2)
    assert list(fitted.named_estimators_) == list(rest)
    assert_array_equal(fitted.weights_, others.fit(X, Y).weights_)
    assert_array_equal(fitted.predict_proba(X), others.predict_proba(X))
    with routing():
        assert_array_equal(clone(model).fit(X, Y).weights_, fitted.weights_)


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_the_same_if_estimators_share_a_generator(backend):
    """Or are one object under two names: serial, in threads and in processes."""
    rng = np.random.RandomState(0)
    tree = DecisionTreeClassifier(max_features=1, random_state=rng)
    three = {"one": tree, "two": tree, "forest": RandomForestClassifier(3, random_state=rng)}
    pooled = PooledClassifier(three, weights="learned", cv=3)
    wanted = clone(pooled).fit(X, Y)
    with parallel_backend(backend, n_jobs=2):
        model = pooled.fit(X, Y)
    assert_array_equal(model.weights_, wanted.weights_)
    assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))
    assert not hasattr(tree, "tree_")
    assert rng.rand() == np.random.RandomState(0).rand()


# Refusals

PAIR = {"nb": GaussianNB(), "lr": LogisticRegression()}
ALL_DROPPED = {"a": "drop", "b": "drop"}
FROZEN, OTHERS = known(0), known(0, classes=["a", "b", "z"])
FEW = known(1, n_classes=2, classes=["a", "z"])


@pytest.mark.parametrize(
    ("estimators", "params", "y", "message"),
    [
        ([], {}, Y, "not empty"),
        (GaussianNB(), {}, Y, "must be a list"),
        ([("a", GaussianNB()), GaussianNB()], {}, Y, "must be a list"),
        ([GaussianNB], {}, Y, "is a class"),
        ([GaussianNB(), LinearSVC()], {}, Y, "'linearsvc' LinearSVC has no predict_proba"),
        ([("a", GaussianNB()), ("a", GaussianNB())], {}, Y, "'a' twice"),
        ({"a__b": GaussianNB()}, {}, Y, "'a__b'"),
        ({"cv": GaussianNB()}, {}, Y, "'cv'"),
        ({3: GaussianNB()}, {}, Y, "3"),
        (ALL_DROPPED, {}, Y, "all dropped"),
        ([FrozenEstimator(GaussianNB())], {}, Y, "not fitted"),
        (PAIR, {"pooling": "harmonic"}, Y, "pooling must be one of .*'harmonic'"),
        (PAIR, {"weights": "equal"}, Y, "'learned'; got 'equal'"),
        (PAIR, {"weights": [1, 2, 3]}, Y, r"each of the 2 estimators; got shape \(3,\)"),
        (PAIR, {"weights": [1, -0.5]}, Y, "that of 'lr' is -0.5"),
        (PAIR, {"weights": [1, np.inf]}, Y, "that of 'lr' is inf"),
        (PAIR, {"weights": [0, 0]}, Y, "all 0"),
        ({**PAIR, "nb": "drop"}, {"weights": [1, 0]}, Y, "all 0"),
        (PAIR, {"weights": {"nb": 1}}, Y, r"\['nb'\], but the estimators are \['nb', 'lr'\]"),
        (PAIR, {"weights": {"nb": 1, "lr": 1, "x": 1}}, Y, "'x'"),
        (PAIR, {"weights": "learned", "cv": 1}, Y, "cv must be"),
        (PAIR, {"n_jobs": 0}, Y, "n_jobs must be"),
        ([FROZEN, GaussianNB()], {}, None, "requires y to be passed"),
        ([FROZEN], {"weights": "learned"}, None, "requires y to be passed"),
        (PAIR, {}, SOFT, r"GaussianNB\.fit refused soft targets"),
        ([FROZEN], {}, Y[1:], "inconsistent numbers of samples"),
        ([OTHERS], {}, pd.DataFrame(SOFT, columns=NAMES), r"' knows.*\['b'\].*data frame"),
        ([FEW, FEW], {}, SOFT, r"'frozenestimator-1' knows.*\['a', 'z'\]"),
        ([FROZEN], {}, NAMES[Y], "The labels in y.*different types"),
        ([FROZEN, OTHERS], {}, None, "The classes of the first.*different types"),
    ],
)
def test_refusals(estimators, params, y, message):
    with pytest.raises((TypeError, ValueError), match=message):  # or NotFittedError
        PooledClassifier(estimators, **params).fit(X, y)


@pytest.mark.parametrize(
    ("bad", "sample_weight", "message"),
    [
        ({"weights": "learned", "cv": ShuffleSplit(3)}, None, "exactly one test set"),
        ({"known": OTHERS}, None, "different types"),
        ({}, np.full(len(X), 2e299), "divide it by its largest"),
    ],
)
def test_what_is_refused_before_anything_is_fitted(bad, sample_weight, message):
    model = PooledClassifier({"a": Altered(), "known": known(0)}).set_params(**bad)
    Altered.n_fits = 0
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, sample_weight=sample_weight)
    assert Altered.n_fits == 0


# Weights of samples, and other metadata


def test_sample_weight_goes_to_all_that_take_it():
    pipe = make_pipeline(StandardScaler(), Recorder())
    pooled = PooledClassifier({"plain": Recorder(), "pipe": pipe, "frozen": known(0)})
    model = pooled.fit(X, Y, WEIGHT)
    assert_array_equal(model.named_estimators_.plain.sample_weight_, WEIGHT)
    assert_array_equal(model.named_estimators_.pipe[-1].sample_weight_, WEIGHT)


def test_an_estimator_without_sample_weight():
    model = PooledClassifier({"knn": KNeighborsClassifier(), "nb": GaussianNB()})
    with pytest.warns(UserWarning, match="'knn', KNeighborsClassifier takes no") as caught:
        model.fit(X, Y, WEIGHT)
    assert len(caught) == 1
    expected = GaussianNB().fit(X, Y, WEIGHT).predict_proba(X)
    assert_array_equal(model.estimators_[1].predict_proba(X), expected)
    with pytest.raises(TypeError, match=r"\['group'\].*enable_metadata_routing"):
        model.fit(X, Y, group=Y)


def test_routing():
    groups = np.arange(len(X)) // 10
    with routing():
        one = Recorder().set_fit_request(sample_weight=True, group=True)
        other = Recorder().set_fit_request(sample_weight=False, group=False)
        estimators = {"one": one, "other": other, "frozen": known(0)}
        model = PooledClassifier(estimators, weights="learned", cv=GroupKFold(4))
        model.fit(X, Y, WEIGHT, group=Y, groups=groups)
        fitted = model.named_estimators_
        assert_array_equal(fitted.one.sample_weight_, WEIGHT)
        assert_array_equal(fitted.one.group_, Y)
        assert fitted.other.sample_weight_ is None
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            PooledClassifier([Recorder()]).fit(X, Y, WEIGHT)
        pair = [GaussianNB(), KNeighborsClassifier()]
        model = PooledClassifier(pair, weights="learned", cv=GroupKFold(4))
        routed = model.fit(X, Y, groups=groups).weights_
    splits = list(GroupKFold(4).split(X, Y, groups))
    assert_array_equal(model.set_params(cv=splits).fit(X, Y).weights_, routed)
    assert abs(model.set_params(cv=4).fit(X, Y).weights_ - routed).max() > 1e-6
