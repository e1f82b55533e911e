"""SoftLabelLogisticRegressionCV against LogisticRegressionCV, and against loops by hand."""

import inspect
import time
from functools import cache
from itertools import product

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import get_scorer as sklearn_scorer
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from sklkl.model_selection import StratifiedSoftKFold
from tests._support.messages import matches
from tests._support.models import routing
from tests._support.problems import make_problem

CS = (0.01, 0.3, 10.0)

FITTED = (
    *("coef_", "intercept_", "C_", "l1_ratio_", "Cs_"),
    *("l1_ratios_", "scores_", "coefs_paths_", "n_iter_"),
)


def data(kind="soft", n_classes=3, **params):
    problem = make_problem(n_classes, **params)
    return problem.X, problem.target(kind)


def fit(X, y, sample_weight=None, groups=None, **params):
    model = SoftLabelLogisticRegressionCV(**{"Cs": CS, "cv": 3, "tol": 1e-8, **params})
    metadata = {} if groups is None else {"groups": groups}
    return model.fit(X, y, sample_weight=sample_weight, **metadata)


@cache
def fitted():
    """Return a model of the soft problem; tests only look at it."""
    return fit(*data())


def single(X, y, sample_weight=None, **params):
    model = SoftLabelLogisticRegression(**{"tol": 1e-8, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def loop(X, y, folds, scorer, weight=None, *, Cs=CS, l1_ratios=(0.0,), **params):
    """Return scores and coefficients of every fold and penalty."""
    weight = np.ones(len(X)) if weight is None else weight
    scores, paths = [], []
    for (train, test), l1_ratio, C in product(folds, l1_ratios, Cs):
        penalty = {"C": C, "l1_ratio": l1_ratio}
        model = single(X[train], y[train], weight[train], **penalty, **params)
        scores.append(scorer(model, X[test], y[test], sample_weight=weight[test]))
        paths.append(np.column_stack([model.coef_, model.intercept_]))
    shape = (len(folds), len(l1_ratios), len(Cs))
    return np.reshape(scores, shape), np.reshape(paths, (*shape, *paths[0].shape))


def assert_same(model, expected, atol=0):
    for name in FITTED:
        values = getattr(model, name), getattr(expected, name)
        assert_allclose(*values, rtol=0, atol=atol, err_msg=name)


# -- scikit-learn on labels ----------------------------------------------------


@pytest.mark.parametrize(
    ("loader", "scoring", "weighted", "refit"),
    [(load_iris, "neg_log_loss", False, True), (load_breast_cancer, "accuracy", True, False)],
)
def test_as_logistic_regression_cv(loader, scoring, weighted, refit):
    X, y = loader(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :8]
    weight = np.resize(np.arange(6) / 3.0, len(X)) if weighted else None
    params = {"Cs": CS, "cv": 3, "scoring": sklearn_scorer(scoring), "refit": refit}
    model = fit(X, y, weight, tol=1e-10, **params)
    if "use_legacy_attributes" in inspect.signature(LogisticRegressionCV).parameters:
        # Without a refit scikit-learn 1.8.0 has legacy attributes only.
        params |= {"use_legacy_attributes": not refit, "l1_ratios": (0.0,)}
    expected = LogisticRegressionCV(solver="newton-cg", tol=1e-10, max_iter=1000, **params)
    expected.fit(X, y, weight)
    assert pytest.approx(np.ravel(expected.C_)[0]) == model.C_
    assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    assert_allclose(model.intercept_, expected.intercept_, atol=1e-6)


# -- A loop by hand ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "n_classes", "scoring", "weighted", "params"),
    [
        ("soft", 2, "neg_kl_loss", True, {"fit_intercept": False}),
        ("soft", 3, "d2_kl", False, {"class_weight": "balanced"}),
        ("hard", 3, "neg_kl_loss", True, {"class_weight": {1: 3.0}}),
    ],
)
def test_loop_by_hand(kind, n_classes, scoring, weighted, params):
    problem = make_problem(n_classes)
    X, y = problem.X, problem.target(kind)
    weight = problem.weight if weighted else None
    l1_ratios = (0.0, 0.6)
    # Folds of different sizes, so that class weights refer to each training set.
    folds = [(np.arange(25, 90), np.arange(25)), (np.arange(60), np.arange(60, 90))]
    grid = {"l1_ratios": l1_ratios, **params}
    scores, paths = loop(X, y, folds, get_scorer(scoring), weight, **grid)
    model = fit(X, y, weight, scoring=scoring, cv=folds, **grid)
    assert_allclose(model.scores_, scores, rtol=0, atol=1e-6)
    assert_allclose(model.coefs_paths_, paths, rtol=0, atol=1e-5)
    assert model.n_iter_.shape == scores.shape
    assert_array_equal(model.Cs_, CS)
    assert_array_equal(model.l1_ratios_, l1_ratios)
    i, j = np.unravel_index(scores.mean(axis=0).argmax(), (2, 3))
    assert CS[j] == model.C_
    assert model.l1_ratio_ == l1_ratios[i]
    best = single(X, y, weight, C=CS[j], l1_ratio=l1_ratios[i], **params)
    assert_allclose(model.coef_, best.coef_, atol=1e-6)
    assert_allclose(model.intercept_, best.intercept_, atol=1e-6)
    assert model.loss_ == pytest.approx(best.loss_, abs=1e-7)
    assert type(model.C_) is type(model.l1_ratio_) is float


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_refit_the_mean_of_the_folds(n_classes):
    X, y = data(n_classes=n_classes, n_samples=40)
    l1_ratios = (0.0, 0.6)
    model = fit(X, y, l1_ratios=l1_ratios, cv=6)
    assert model.loss_ > 0.0
    model.set_params(refit=False).fit(X, y)
    best = [np.unravel_index(s.argmax(), s.shape) for s in model.scores_]
    assert len(set(best)) > 1, "the test needs folds that disagree"
    mean = np.mean([path[b] for path, b in zip(model.coefs_paths_, best, strict=True)], axis=0)
    assert_allclose(np.column_stack([model.coef_, model.intercept_]), mean)
    assert pytest.approx(np.mean([CS[j] for _, j in best])) == model.C_
    assert model.l1_ratio_ == pytest.approx(np.mean([l1_ratios[i] for i, _ in best]))
    assert not hasattr(model, "loss_")  # nor that of an earlier fit


def test_order_of_Cs_is_kept():
    model = fit(*data(), Cs=[10.0, 0.01, 0.3])
    assert_array_equal(model.Cs_, [10.0, 0.01, 0.3])
    for name in ("scores_", "coefs_paths_", "n_iter_"):
        setattr(model, name, getattr(model, name)[:, :, [1, 2, 0]])
    model.Cs_ = model.Cs_[[1, 2, 0]]
    assert_same(model, fitted())


def test_path_is_warm():
    """Each fit starts from the solution of the next stronger penalty."""
    model = fit(*data(), Cs=np.geomspace(0.9, 1.1, 5))
    assert (model.n_iter_[:, :, 1:] < model.n_iter_[:, :, :1]).all()


def test_defaults_of_Cs_and_folds():
    X, y = data()
    model = SoftLabelLogisticRegressionCV().fit(X, y)
    assert_allclose(model.Cs_, np.logspace(-4, 4, 10))
    assert_same(SoftLabelLogisticRegressionCV(Cs=10, cv=5).fit(X, y), model)
    assert model.scores_.shape == (5, 1, 10)


# -- Kinds of X and y ----------------------------------------------------------


@pytest.mark.parametrize("container", [np.ndarray.tolist, csr_array])
def test_kinds_of_X(container):
    X, y = data()
    X = np.where(np.abs(X) < 0.4, 0.0, X)
    assert_same(fit(container(X), y.tolist()), fit(X, y), atol=1e-6)


def test_float32():
    X, y = data()
    model, expected = fit(X.astype(np.float32), y, tol=1e-5), fitted()
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.coefs_paths_.dtype == np.float32
    assert model.scores_.dtype == np.float64
    assert model.C_ == expected.C_
    assert_allclose(model.scores_, expected.scores_, atol=1e-4)
    assert_allclose(model.coef_, expected.coef_, atol=2e-3)


def test_pandas_targets_with_any_index():
    X, y = data()
    index = np.arange(len(y))[::-1] + 7
    model = fit(X, pd.DataFrame(y, columns=["b", "c", "a"], index=index))
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same(model, fitted())
    y = data("hard")[1]
    model = fit(X, pd.Series(np.array(["c", "a", "b"])[y], index=index))
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert_allclose(model.scores_, fit(X, y).scores_, atol=1e-7)


# -- Classes that folds lack ---------------------------------------------------


def sorted_by_label(n_classes):
    X, y = data("hard", n_classes)
    order = np.argsort(y, kind="stable")
    return X[order], y[order]


def test_fold_without_a_class():
    X, y = sorted_by_label(3)
    folds = list(KFold(3).split(X))
    assert {len(np.unique(y[train])) for train, _ in folds} == {2, 3}
    params = {"Cs": [0.1, 1.0], "tol": 1e-4}
    model = fit(X, y, cv=folds, **params)
    assert np.isfinite(model.scores_).all()
    # Where the class that is tested was not seen, the loss is large.
    unseen = [set(y[test]) > set(y[train]) & set(y[test]) for train, test in folds]
    assert model.scores_[unseen].max() < -1.0
    scores, _ = loop(X, y, folds, get_scorer("neg_kl_loss"), classes=[0, 1, 2], **params)
    # The intercept of an absent class has no optimum: it depends on where the path stops.
    seen = [len(np.unique(y[train])) == 3 for train, _ in folds]
    assert_allclose(model.scores_[seen], scores[seen], atol=1e-3)


def test_training_fold_of_a_single_class():
    X, y = sorted_by_label(2)
    folds = [(np.flatnonzero(y == 0), np.flatnonzero(y)), (np.arange(10, 80), np.arange(9))]
    model = fit(X, y, cv=folds, tol=1e-4)
    assert model.coefs_paths_.shape == (2, 1, 3, 1, 5)
    assert model.scores_[0].max() < np.log(0.5)


# -- Folds ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_integer_is_stratified(kind):
    X, y = data(kind)
    order = np.argsort(y[:, 0] if kind == "soft" else y, kind="stable")
    X, y = X[order], y[order]  # sorted data are what stratification is for
    splitter = StratifiedSoftKFold(3) if kind == "soft" else StratifiedKFold(3)
    model = fit(X, y)
    assert_same(model, fit(X, y, cv=list(splitter.split(X, y))))
    assert not np.allclose(model.scores_, fit(X, y, cv=KFold(3)).scores_, atol=1e-3)


def test_iterable_of_indices_or_masks():
    X, y = data()
    weight = make_problem().weight
    folds = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(20))]
    model = fit(X, y, weight, cv=folds)
    assert_same(fit(X, y, weight, cv=iter(folds)), model)
    assert_same(fit(X, y, weight, cv=[(a.tolist(), b.tolist()) for a, b in folds]), model)
    masks = [tuple(np.isin(np.arange(90), part) for part in fold) for fold in folds]
    assert_same(fit(X, y, weight, cv=masks), model)


def test_groups():
    """A number of folds keeps them together, also of labels; fixed folds refuse them."""
    X, y = data("hard")
    groups = make_problem().groups
    folds = list(GroupKFold(3).split(X, None, groups))
    model = fit(X, y, groups=groups.tolist(), cv=GroupKFold(3))
    assert_same(model, fit(X, y, cv=folds))
    folds = list(StratifiedSoftKFold(3).split(X, y, groups))
    assert_same(fit(X, y, groups=groups), fit(X, y, cv=folds))
    with pytest.raises(ValueError, match="groups are for a splitter"):
        fit(X, y, groups=groups, cv=folds)


def slow_scorer(model, X, y):
    """Let other threads run while a model waits for its score."""
    time.sleep(0.005)
    return get_scorer("neg_kl_loss")(model, X, y)


def test_fits_in_threads_share_nothing():
    with joblib.parallel_backend("threading", n_jobs=3):
        model = fit(*data(), scoring=slow_scorer)
    assert_same(model, fitted())


# -- Metadata routing ----------------------------------------------------------


class Spy(StratifiedSoftKFold):
    """Splitter that records what it gets."""

    def split(self, X, y=None, groups=None, sample_weight=None):
        self.got = groups, sample_weight
        return super().split(X, y, groups, sample_weight)


def unweighted_scorer(model, X, y, sample_weight=None):
    return get_scorer("neg_kl_loss")(model, X, y)


def test_requests_of_the_scorer_are_honoured():
    X, y, weight = *data(), make_problem().weight
    weighted, unweighted = fit(X, y, weight), fit(X, y, weight, scoring=unweighted_scorer)
    assert not np.allclose(weighted.scores_, unweighted.scores_, atol=1e-4)
    of_weighted = weighted.score(X, y, weight)
    with routing():
        scorer = get_scorer("neg_kl_loss")
        if parse_version(sklearn.__version__) >= parse_version("1.9"):  # others pass none
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                fit(X, y, weight, scoring=scorer)
        asks = fit(X, y, weight, scoring=scorer.set_score_request(sample_weight=True))
        assert_same(asks, weighted)
        assert asks.score(X, y, weight) == of_weighted
        # Who passes a name cannot request weights.
        assert_same(fit(X, y, weight, scoring="neg_kl_loss"), weighted)
        no = fit(X, y, weight, scoring=scorer.set_score_request(sample_weight=False))
        assert_same(no, unweighted)
        assert no.score(X, y, weight) == no.score(X, y) != of_weighted
        other = scorer.set_score_request(sample_weight="of_score")
        model = SoftLabelLogisticRegressionCV(Cs=CS, cv=3, tol=1e-8, scoring=other)
        model.fit(X, y, of_score=weight)
        assert not np.allclose(model.scores_, fitted().scores_, atol=1e-4)
        assert model.score(X, y, of_score=weight) == scorer(model, X, y, sample_weight=weight)


def test_requests_of_the_splitter_are_honoured():
    X, y, weight = *data(), make_problem().weight
    groups = np.arange(90) // 3
    with routing():
        splitter = Spy(3).set_split_request(sample_weight=True)
        model = fit(X, y, weight, groups=groups, cv=splitter)
        assert splitter.got[0] is groups
        ratio = splitter.got[1][weight > 0] / weight[weight > 0]
        assert_array_equal(ratio, ratio[0])
        folds = list(splitter.split(X, y, groups, weight))
        assert_same(fit(X, y, weight, cv=folds), model)
        pipeline = make_pipeline(SoftLabelLogisticRegressionCV(Cs=CS, cv=Spy(3), tol=1e-8))
        pipeline.fit(X, y, groups=groups)
        assert_same(pipeline[-1], fit(X, y, groups=groups))
        with pytest.raises(TypeError, match="groups"):
            fit(X, y, groups=groups, cv=KFold(3))
    for call, method in ((SoftLabelLogisticRegressionCV().fit, "fit"), (model.score, "score")):
        message = matches(f"{method} got ['of_score'];", "enable_metadata_routing")
        with pytest.raises(TypeError, match=message):
            call(X, y, of_score=weight)


# -- Scores --------------------------------------------------------------------


def test_scorers_of_scikit_learn_know_all_classes():
    """Each unshuffled fold of iris holds one class."""
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    scorer = sklearn_scorer("neg_log_loss")
    params = {"cv": KFold(3), "Cs": CS[:2], "tol": 1e-4}
    model = fit(X, names, scoring=scorer, **params)
    assert_same(fit(X, names, scoring="neg_log_loss", **params), model)
    assert_same(fit(X, names, **params), model, atol=1e-9)  # the default
    first = model.score(X[:50], names[:50])
    assert first == pytest.approx(get_scorer("neg_kl_loss")(model, X[:50], names[:50]))
    # The scorer is the user's and does not change: of one class it still knows no other.
    with pytest.raises(ValueError, match="only one label"):
        scorer(model, X[:50], names[:50])


def test_second_class_is_the_positive_one():
    X, y = data("hard", 2)
    labels = np.array(["no", "yes"])[y]
    model = fit(X, labels, scoring="recall")
    assert_array_equal(model.scores_, fit(X, y, scoring="recall").scores_)
    hit = model.predict(X)[y == 1] == "yes"
    assert model.score(X, labels) == pytest.approx(hit.mean())


def test_labels_of_a_scorer_are_kept():
    """What the user has told it counts more than the classes."""
    scorer = make_scorer(log_loss, response_method="predict_proba", labels=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="number of classes in labels"):
        fit(*data("hard"), scoring=scorer)


def test_classes_of_labels_are_sorted():
    X, y = data("hard")
    labels = np.array(["a", "b", "c"])[y]
    model = fit(X, labels, classes=["c", "a", "d", "b"], scoring="neg_log_loss")
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    expected = fit(X, labels)
    assert_allclose(model.scores_, expected.scores_, atol=1e-3)
    assert (model.predict(X) == expected.predict(X)).all()


@pytest.mark.parametrize(("value", "refit"), [(np.nan, True), (-np.inf, False)])
def test_scores_that_choose_nothing(refit, value):
    with pytest.raises(ValueError, match=matches("No penalty can be", "finite numbers")):
        fit(*data(), scoring=lambda model, X, y: value, refit=refit, tol=1e-2)


@pytest.mark.parametrize("exponent", [-1000, 990])
def test_scores_do_not_depend_on_the_scale_of_weights(exponent):
    """C times the weights is what the fits depend on; 1e-300 and 2e299 are about as far."""
    X, y, weight = *data("hard"), make_problem().weight
    scale = 2.0**exponent
    expected = fit(X, y, weight, Cs=[0.5, 8.0])
    model = fit(X, y, scale * weight, Cs=[0.5 / scale, 8.0 / scale])
    assert_allclose(model.scores_, expected.scores_, rtol=1e-6)
    assert model.score(X, y, weight) == pytest.approx(expected.score(X, y, weight))


@pytest.mark.parametrize(
    ("scoring", "kind"), [(None, "hard"), ("d2_kl", "soft"), ("accuracy", "hard")]
)
def test_score_uses_scoring(scoring, kind):
    X, y, weight = *data(kind), make_problem().weight
    model = fit(X, y, scoring=scoring, tol=1e-4)
    of_labels = scoring == "accuracy"
    scorer = sklearn_scorer(scoring) if of_labels else get_scorer(scoring or "neg_kl_loss")
    assert model.score(X, y) == pytest.approx(scorer(model, X, y))
    weighted = model.score(X, y, sample_weight=weight)
    assert weighted == pytest.approx(scorer(model, X, y, sample_weight=weight))
    assert weighted != pytest.approx(model.score(X, y), rel=1e-4)


def test_of_equal_scores_the_first_is_taken():
    model = fit(*data(), scoring=lambda model, X, y: 0.0, l1_ratios=[0.0, 0.5])
    assert (model.C_, model.l1_ratio_) == (CS[0], 0.0)


def test_verbose_prints_the_mean_scores(capsys):
    fit(*data())
    assert capsys.readouterr().out == ""
    model = fit(*data(), verbose=1)
    expected = f"mean scores by l1_ratio and C:\n{model.scores_.mean(axis=0)}\n"
    assert capsys.readouterr().out == expected


# -- What is refused -----------------------------------------------------------


REFUSED = [
    ("Cs", 0, "must be an integer from 1 to 1000000; got"),
    *(("Cs", bad, "must be a list of numbers; got") for bad in (True, "1", [[1.0]])),
    ("Cs", [], "is empty"),
    ("Cs", [1.0, -1.0], "[1] must be a number > 0"),
    ("l1_ratios", 0.5, "must be a list of numbers; got"),
    ("l1_ratios", [0, 1.5], "[1] must be a number from 0 to 1"),
    ("fit_intercept", 1, "must be True or False"),
    ("classes", ["a", "a", "b"], " names a class twice"),
    ("cv", 1, "must be an integer >= 2"),
    ("cv", [], "holds no folds"),
    ("scoring", "kullback", "='kullback': ", "sklearn.metrics"),
    ("scoring", 3, "=3"),
    ("scoring", "accuracy", "='accuracy' is a score of labels, but y holds"),
    ("class_weight", {7: 1.0}, " names [7]"),
    ("solver", "saga", "must be one of"),
    ("solver", "lbfgs", "='lbfgs'", "l1_ratio=0.5"),
    ("tol", 0.0, "must be a finite number > 0"),
    ("max_iter", 1.5, "must be an integer >= 1"),
    ("n_jobs", 0, "must be None or an integer other than 0"),
    ("refit", None, "must be True or False"),
    ("verbose", -1, "must be an integer >= 0"),
]


@pytest.mark.parametrize(("name", "value", "parts"), [(n, v, p) for n, v, *p in REFUSED])
def test_bad_parameters(name, value, parts):
    others = {"l1_ratios": [0.0, 0.5]} if value == "lbfgs" else {}
    model = SoftLabelLogisticRegressionCV(**{name: value}, **others)
    with pytest.raises(ValueError, match=matches(name, *parts)):
        model.fit(*data())
    assert not hasattr(model, "n_features_in_")


def test_no_convergence_warns():
    with pytest.warns(ConvergenceWarning, match="No convergence in 1 iteration") as record:
        fit(*data(), max_iter=1)
    assert len(record) == 3 * len(CS) + 1
