"""SoftLabelLogisticRegressionCV against LogisticRegressionCV, and against loops by hand."""

import inspect
import pickle
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csc_array, csr_array
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import get_scorer as sklearn_scorer
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from sklkl.model_selection import StratifiedSoftKFold

CS = (0.01, 0.3, 10.0)

FITTED = (
    "coef_",
    "intercept_",
    "C_",
    "l1_ratio_",
    "Cs_",
    "l1_ratios_",
    "scores_",
    "coefs_paths_",
    "n_iter_",
)


def make_problem(n_classes=3, soft=True, n_samples=90, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    noise = rng.normal(size=(n_samples, n_classes))
    y = softmax(1.5 * X[:, :n_classes] + noise, axis=1)
    return X, y if soft else y.argmax(axis=1)


def weights_for(X):
    weight = np.random.default_rng(5).uniform(0.1, 2.0, size=X.shape[0])
    weight[::7] = 0.0
    return weight


def fit(X, y, sample_weight=None, groups=None, **params):
    params = {"Cs": CS, "cv": 3, "tol": 1e-8, **params}
    model = SoftLabelLogisticRegressionCV(**params)
    metadata = {} if groups is None else {"groups": groups}
    return model.fit(X, y, sample_weight=sample_weight, **metadata)


def single(X, y, sample_weight=None, **params):
    model = SoftLabelLogisticRegression(**{"tol": 1e-8, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def loop(X, y, folds, scorer, weight=None, *, Cs=CS, l1_ratios=(0.0,), **params):
    """Return scores and coefficients of every fold and penalty."""
    scores, paths = [], []
    for train, test in folds:
        for l1_ratio in l1_ratios:
            for C in Cs:
                fold_weight = None if weight is None else weight[train]
                model = single(
                    X[train], y[train], fold_weight, C=C, l1_ratio=l1_ratio, **params
                )
                of_test = {} if weight is None else {"sample_weight": weight[test]}
                scores.append(scorer(model, X[test], y[test], **of_test))
                paths.append(np.column_stack([model.coef_, model.intercept_]))
    shape = (len(folds), len(l1_ratios), len(Cs))
    return np.reshape(scores, shape), np.reshape(paths, (*shape, *paths[0].shape))


def folds_of(y, n_folds=3):
    """Return the folds that an integer gives for soft targets."""
    return list(StratifiedSoftKFold(n_folds).split(y, y))


def assert_same(model, expected, atol=0):
    for name in FITTED:
        np.testing.assert_allclose(
            getattr(model, name), getattr(expected, name), rtol=0, atol=atol, err_msg=name
        )


# -- scikit-learn on labels ----------------------------------------------------


def reference(X, y, sample_weight=None, *, scoring, **params):
    """Return C, scores (n_folds, n_l1_ratios, n_Cs) and the model of LogisticRegressionCV."""
    parameters = inspect.signature(LogisticRegressionCV).parameters
    if "use_legacy_attributes" in parameters:
        params["use_legacy_attributes"] = False
    if "l1_ratios" in params:
        params = {"solver": "saga", "random_state": 0, **params}
        if parameters["penalty"].default != "deprecated":
            params["penalty"] = "elasticnet"  # before scikit-learn 1.8
    elif parameters["l1_ratios"].default is not None:
        params["l1_ratios"] = (0.0,)
    params = {"solver": "newton-cg", "tol": 1e-10, "max_iter": 100_000, **params}
    model = LogisticRegressionCV(scoring=scoring, **{"Cs": CS, **params})
    model.fit(X, y, sample_weight=sample_weight)
    scores = model.scores_
    if isinstance(scores, dict):
        scores = next(iter(scores.values()))
        scores = scores[:, None] if scores.ndim == 2 else np.moveaxis(scores, 1, 2)
    return np.ravel(model.C_)[0], scores, model


@pytest.mark.parametrize(
    ("name", "scoring", "weighted", "refit"),
    [
        ("iris", "neg_log_loss", False, True),
        ("iris", "accuracy", True, False),
        ("breast cancer", "accuracy", False, False),
        ("breast cancer", "neg_log_loss", True, True),
    ],
)
def test_as_logistic_regression_cv(name, scoring, weighted, refit):
    loader = load_iris if name == "iris" else load_breast_cancer
    X, y = loader(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :8]
    weight = weights_for(X) if weighted else None
    scorer = sklearn_scorer(scoring)
    C, scores, expected = reference(X, y, weight, scoring=scorer, cv=3, refit=refit)
    model = fit(X, y, weight, scoring=scorer, refit=refit, tol=1e-10)
    assert pytest.approx(C) == model.C_
    assert model.l1_ratio_ == 0.0
    np.testing.assert_allclose(model.scores_, scores, atol=1e-7)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_elastic_net_as_logistic_regression_cv(n_classes):
    X, y = make_problem(n_classes, soft=False)
    scorer, l1_ratios = sklearn_scorer("neg_log_loss"), (0.2, 0.8)
    cv = StratifiedKFold(3, shuffle=True, random_state=1)
    # SAGA does not care for the intercepts while all coefficients are zero.
    params = {"scoring": scorer, "cv": cv, "l1_ratios": l1_ratios, "Cs": (0.1, 0.5, 10.0)}
    C, scores, expected = reference(X, y, **params)
    model = fit(X, y, **params)
    assert np.count_nonzero(model.coefs_paths_ == 0.0) > 0
    assert model.C_ == C
    assert model.l1_ratio_ == np.ravel(expected.l1_ratio_)[0]
    np.testing.assert_allclose(model.scores_, scores, atol=1e-6)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)


def test_default_score_of_labels_is_the_negative_log_loss():
    X, y = make_problem(3, soft=False)
    expected = fit(X, y, scoring=sklearn_scorer("neg_log_loss"))
    assert_same(fit(X, y), expected, atol=1e-12)


# -- A loop by hand ------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("scoring", "weighted", "fit_intercept"),
    [("neg_kl_loss", True, False), ("d2_kl", False, True)],
)
def test_loop_by_hand(n_classes, soft, scoring, weighted, fit_intercept):
    X, y = make_problem(n_classes, soft)
    weight = weights_for(X) if weighted else None
    l1_ratios = (0.0, 0.6)
    folds = list(StratifiedKFold(3).split(X, y)) if not soft else folds_of(y)
    params = {"fit_intercept": fit_intercept}
    scores, paths = loop(
        X, y, folds, get_scorer(scoring), weight, l1_ratios=l1_ratios, **params
    )
    model = fit(X, y, weight, l1_ratios=l1_ratios, scoring=scoring, **params)
    np.testing.assert_allclose(model.scores_, scores, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.coefs_paths_, paths, rtol=0, atol=1e-5)
    i, j = np.unravel_index(scores.mean(axis=0).argmax(), (2, 3))
    assert CS[j] == model.C_
    assert model.l1_ratio_ == l1_ratios[i]
    best = single(X, y, weight, C=CS[j], l1_ratio=l1_ratios[i], **params)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, best.intercept_, atol=1e-6)
    assert model.loss_ == pytest.approx(best.loss_, abs=1e-7)
    assert type(model.C_) is type(model.l1_ratio_) is float


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_refit_the_mean_of_the_folds(n_classes):
    X, y = make_problem(n_classes, n_samples=40)
    l1_ratios = (0.0, 0.6)
    model = fit(X, y, l1_ratios=l1_ratios, refit=False, cv=6)
    best = [np.unravel_index(s.argmax(), s.shape) for s in model.scores_]
    assert len(set(best)) > 1, "the test needs folds that disagree"
    mean = np.mean([path[b] for path, b in zip(model.coefs_paths_, best, strict=True)], axis=0)
    np.testing.assert_allclose(np.column_stack([model.coef_, model.intercept_]), mean)
    assert pytest.approx(np.mean([CS[j] for _, j in best])) == model.C_
    assert model.l1_ratio_ == pytest.approx(np.mean([l1_ratios[i] for i, _ in best]))
    assert not hasattr(model, "loss_")


def test_refit_is_of_the_best_mean_not_of_the_mean_of_bests():
    X, y = make_problem()
    model = fit(X, y)
    assert CS[model.scores_.mean(axis=0)[0].argmax()] == model.C_
    assert not np.allclose(model.coef_, fit(X, y, refit=False).coef_, atol=1e-3)


def test_fit_without_refit_forgets_the_loss_of_an_earlier_fit():
    X, y = make_problem()
    model = fit(X, y)
    assert model.loss_ > 0.0
    model.set_params(refit=False).fit(X, y)
    assert not hasattr(model, "loss_")


def test_order_of_Cs_is_kept():
    X, y = make_problem()
    model, other = fit(X, y, Cs=[10.0, 0.01, 0.3]), fit(X, y, Cs=[0.01, 0.3, 10.0])
    np.testing.assert_array_equal(model.Cs_, [10.0, 0.01, 0.3])
    order = np.argsort(model.Cs_)
    for name in ("scores_", "coefs_paths_", "n_iter_"):
        np.testing.assert_array_equal(getattr(model, name)[:, :, order], getattr(other, name))
    assert model.C_ == other.C_
    np.testing.assert_array_equal(model.coef_, other.coef_)


def test_no_penalty_among_Cs():
    X, y = make_problem()
    model = fit(X, y, Cs=[0.1, np.inf], tol=1e-6)
    train, _ = folds_of(y)[0]
    expected = single(X[train], y[train], C=np.inf, tol=1e-6)
    np.testing.assert_allclose(
        model.coefs_paths_[0, 0, 1, :, :-1], expected.coef_, rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("soft", [False, True])
def test_balanced_refers_to_each_training_set(soft):
    X, y = make_problem(3, soft)
    scorer = get_scorer("neg_kl_loss")
    folds = [(np.arange(30, 90), np.arange(30)), (np.arange(60), np.arange(60, 90))]
    scores, _ = loop(X, y, folds, scorer, class_weight="balanced")
    model = fit(X, y, cv=folds, class_weight="balanced")
    np.testing.assert_allclose(model.scores_, scores, atol=1e-7)
    best = single(X, y, C=model.C_, class_weight="balanced")
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-6)
    assert not np.allclose(scores, loop(X, y, folds, scorer)[0], atol=1e-5)


def test_class_weights_by_label():
    X, y = make_problem(3, soft=False)
    labels = np.array(["a", "b", "c"])[y]
    model = fit(X, labels, class_weight={"a": 3.0})
    assert_same(model, fit(X, y, class_weight={0: 3.0}))
    assert not np.allclose(model.coef_, fit(X, y).coef_, atol=1e-3)


# -- Attributes ----------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_shapes(n_classes, fit_intercept):
    X, y = make_problem(n_classes)
    model = fit(X, y, cv=4, l1_ratios=[0.0, 0.5], fit_intercept=fit_intercept, tol=1e-4)
    n_rows = 1 if n_classes == 2 else n_classes
    assert model.scores_.shape == model.n_iter_.shape == (4, 2, 3)
    assert model.coefs_paths_.shape == (4, 2, 3, n_rows, 6)
    assert model.coef_.shape == (n_rows, 5)
    assert model.intercept_.shape == (n_rows,)
    np.testing.assert_array_equal(model.Cs_, CS)
    np.testing.assert_array_equal(model.l1_ratios_, [0.0, 0.5])
    np.testing.assert_array_equal(model.classes_, np.arange(n_classes))
    assert model.n_features_in_ == 5
    assert model.n_iter_.dtype.kind == "i"
    assert (model.n_iter_[:, 0] > 0).all()
    assert fit_intercept == model.intercept_.any() == model.coefs_paths_[..., -1].any()


def test_Cs_as_a_number_of_them():
    X, y = make_problem()
    model = fit(X, y, Cs=4, tol=1e-4)
    np.testing.assert_allclose(model.Cs_, [1e-4, 10 ** (-4 / 3), 10 ** (4 / 3), 1e4])
    assert SoftLabelLogisticRegressionCV().fit(X, y).Cs_.shape == (10,)


def test_path_is_warm():
    """Each fit starts from the solution of the next stronger penalty."""
    X, y = make_problem()
    Cs = np.geomspace(0.9, 1.1, 5)
    model = fit(X, y, Cs=Cs)
    assert (model.n_iter_[:, :, 1:] < model.n_iter_[:, :, :1]).all()


@pytest.mark.parametrize("kind", ["csr", "csc", "fortran", "list", "frame"])
@pytest.mark.parametrize("soft", [False, True])
def test_kinds_of_X(kind, soft):
    X, y = make_problem(3, soft)
    X = np.where(np.abs(X) < 0.4, 0.0, X)
    convert = {
        "csr": csr_array,
        "csc": csc_array,
        "fortran": np.asfortranarray,
        "list": np.ndarray.tolist,
        "frame": lambda X: pd.DataFrame(X, columns=list("abcde")),
    }[kind]
    model, expected = fit(convert(X), y), fit(X, y)
    assert model.C_ == expected.C_
    np.testing.assert_allclose(model.scores_, expected.scores_, atol=1e-7)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(
        model.predict_proba(convert(X)), expected.predict_proba(X), atol=1e-6
    )
    if kind == "frame":
        assert model.feature_names_in_.tolist() == list("abcde")
        with pytest.raises(ValueError, match="feature names"):
            model.predict(pd.DataFrame(X, columns=list("abcdz")))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_float32(soft, container):
    X, y = make_problem(3, soft)
    model = fit(container(X.astype(np.float32)), y, tol=1e-5)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.coefs_paths_.dtype == np.float32
    assert model.scores_.dtype == np.float64
    expected = fit(X, y)
    assert model.C_ == expected.C_
    np.testing.assert_allclose(model.scores_, expected.scores_, atol=1e-4)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=2e-3)


def test_lists_are_taken():
    X, y = make_problem()
    weight = weights_for(X)
    assert_same(fit(X.tolist(), y.tolist(), weight.tolist()), fit(X, y, weight))


def test_columns_of_a_data_frame_are_the_classes():
    X, y = make_problem()
    # Another index than 0, 1, ... must not matter.
    frame = pd.DataFrame(y, columns=["b", "c", "a"], index=np.arange(len(y))[::-1] + 7)
    model = fit(X, frame)
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same(model, fit(X, y))
    named = fit(X, frame, classes=["a", "b", "c"])
    assert named.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(named.coef_, model.coef_[[2, 0, 1]], atol=1e-6)
    assert set(named.predict(X)) <= {"a", "b", "c"}


def test_series_of_labels():
    X, y = make_problem(3, soft=False)
    series = pd.Series(np.array(["c", "a", "b"])[y], index=np.arange(len(y))[::-1])
    model = fit(X, series)
    assert model.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(model.scores_, fit(X, y).scores_, atol=1e-7)


# -- Classes that folds lack ---------------------------------------------------


def test_fold_without_a_class():
    X, y = make_problem(3, soft=False)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    folds = list(KFold(3).split(X))
    assert {len(np.unique(y[train])) for train, _ in folds} == {2, 3}
    model = fit(X, y, cv=folds, Cs=[0.1, 1.0], tol=1e-4)
    assert model.coefs_paths_.shape == (3, 1, 2, 3, 6)
    assert np.isfinite(model.scores_).all()
    # Where the class that is tested was not seen, the loss is large.
    assert model.scores_[0].max() < -1.0
    scores, _ = loop(
        X, y, folds, get_scorer("neg_kl_loss"), Cs=[0.1, 1.0], classes=[0, 1, 2], tol=1e-4
    )
    # The intercept of an absent class has no optimum: it depends on where the path stops.
    seen = [i for i, (train, _) in enumerate(folds) if len(np.unique(y[train])) == 3]
    np.testing.assert_allclose(model.scores_[seen], scores[seen], atol=1e-3)


def test_training_fold_of_a_single_class():
    X, y = make_problem(2, soft=False)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    n_zeros = np.count_nonzero(y == 0)
    folds = [
        (np.arange(n_zeros), np.arange(n_zeros, len(y))),
        (np.arange(10, 80), np.arange(9)),
    ]
    model = fit(X, y, cv=folds, tol=1e-4)
    assert model.coefs_paths_.shape == (2, 1, 3, 1, 6)
    assert model.scores_[0].max() < np.log(0.5)


@pytest.mark.parametrize("soft", [False, True])
def test_named_class_that_is_absent_from_all_folds(soft):
    X, y = make_problem(2, soft)
    if soft:
        y = np.column_stack([y, np.zeros(len(y))])
    model = fit(X, y, classes=["a", "b", "c"] if soft else [0, 1, 2], tol=1e-4)
    assert model.coef_.shape == (3, 5)
    assert model.predict_proba(X)[:, 2].max() < 0.01
    assert np.isfinite(model.scores_).all()


# -- Folds ---------------------------------------------------------------------


def test_default_is_five_folds():
    X, y = make_problem()
    model = fit(X, y, cv=None)
    assert_same(model, fit(X, y, cv=5))
    assert model.scores_.shape[0] == 5


def test_integer_is_stratified_for_soft_targets():
    X, y = make_problem()
    order = np.argsort(y[:, 0])  # sorted data are what stratification is for
    X, y = X[order], y[order]
    model = fit(X, y)
    assert_same(model, fit(X, y, cv=folds_of(y)))
    assert not np.allclose(model.scores_, fit(X, y, cv=KFold(3)).scores_, atol=1e-3)


def test_integer_is_stratified_for_labels():
    X, y = make_problem(3, soft=False)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    assert_same(fit(X, y), fit(X, y, cv=StratifiedKFold(3)))


@pytest.mark.parametrize("soft", [False, True])
def test_splitter(soft):
    X, y = make_problem(3, soft)
    cv = ShuffleSplit(4, test_size=0.3, random_state=3)
    scores, _ = loop(X, y, list(cv.split(X)), get_scorer("neg_kl_loss"))
    model = fit(X, y, cv=cv)
    assert model.scores_.shape[0] == 4
    np.testing.assert_allclose(model.scores_, scores, atol=1e-7)


@pytest.mark.parametrize("soft", [False, True])
def test_iterable_of_indices_or_masks(soft):
    X, y = make_problem(3, soft)
    folds = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(20))]
    model = fit(X, y, cv=folds)
    scores, _ = loop(X, y, folds, get_scorer("neg_kl_loss"))
    np.testing.assert_allclose(model.scores_, scores, atol=1e-7)
    assert_same(fit(X, y, cv=iter(folds)), model)
    assert_same(fit(X, y, cv=[(a.tolist(), b.tolist()) for a, b in folds]), model)
    masks = [tuple(np.isin(np.arange(90), part) for part in fold) for fold in folds]
    assert_same(fit(X, y, weights_for(X), cv=masks), fit(X, y, weights_for(X), cv=folds))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("splitter", [GroupKFold(3), LeaveOneGroupOut()])
def test_groups(soft, splitter):
    X, y = make_problem(3, soft)
    groups = np.random.default_rng(0).integers(4, size=len(X))
    folds = list(splitter.split(X, None, groups))
    model = fit(X, y, groups=groups, cv=splitter)
    assert_same(model, fit(X, y, cv=folds))
    assert_same(fit(X, y, groups=groups.tolist(), cv=splitter), model)
    with pytest.raises(ValueError, match="groups"):
        fit(X, y, cv=splitter)


def slow_scorer(model, X, y):
    """Let other threads run while a model waits for its score."""
    time.sleep(0.005)
    return get_scorer("neg_kl_loss")(model, X, y)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_fits_share_nothing(backend):
    X, y = make_problem()
    expected = fit(X, y, scoring=slow_scorer)
    with joblib.parallel_config(backend, n_jobs=2):
        assert_same(fit(X, y, scoring=slow_scorer), expected)


@pytest.mark.parametrize("cv", [3, [(np.arange(60), np.arange(60, 90))]])
def test_groups_without_a_splitter(cv):
    """A number of folds keeps groups together, also of labels; fixed folds refuse them."""
    X, y = make_problem(3, soft=False)
    groups = np.arange(90) // 3
    if cv == 3:
        folds = list(StratifiedSoftKFold(3).split(X, y, groups))
        assert_same(fit(X, y, groups=groups), fit(X, y, cv=folds))
    else:
        with pytest.raises(ValueError, match="groups are for a splitter"):
            fit(X, y, groups=groups, cv=cv)


def test_one_hot_rows_choose_as_labels():
    X, y = load_digits(return_X_y=True)
    X, y = X[:600] / 16, y[:600]
    params = {"Cs": (0.1, 1.0, 100.0), "tol": 1e-4}
    labels, one_hot = fit(X, y, **params), fit(X, np.eye(10)[y], **params)
    assert labels.C_ == one_hot.C_
    np.testing.assert_allclose(labels.scores_, one_hot.scores_, atol=1e-9)


# -- Metadata routing ----------------------------------------------------------


class Spy(StratifiedSoftKFold):
    """Splitter that records what it gets."""

    def split(self, X, y=None, groups=None, sample_weight=None):
        self.got = groups, sample_weight
        return super().split(X, y, groups, sample_weight)


def test_requests_of_the_scorer_are_honoured():
    X, y = make_problem()
    weight = weights_for(X)
    weighted, unweighted = fit(X, y, weight), fit(X, y, weight, scoring=unweighted_scorer)
    assert not np.allclose(weighted.scores_, unweighted.scores_, atol=1e-4)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("neg_kl_loss")
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            fit(X, y, weight, scoring=scorer)
        asks = fit(X, y, weight, scoring=scorer.set_score_request(sample_weight=True))
        assert_same(asks, weighted)
        of_weighted = asks.score(X, y, weight)
        assert_same(fit(X, y, weight), weighted)
        assert_same(fit(X, y, weight, scoring="neg_kl_loss"), weighted)
        no = fit(X, y, weight, scoring=scorer.set_score_request(sample_weight=False))
        assert_same(no, unweighted)
        assert no.score(X, y, weight) == no.score(X, y) != of_weighted
        other = scorer.set_score_request(sample_weight="of_score")
        model = SoftLabelLogisticRegressionCV(Cs=CS, cv=3, tol=1e-8, scoring=other)
        model.fit(X, y, of_score=weight)
        scores, _ = loop(X, y, folds_of(y), unweighted_scorer)
        assert not np.allclose(model.scores_, scores, atol=1e-4)
        assert model.score(X, y, of_score=weight) == scorer(model, X, y, sample_weight=weight)
    assert of_weighted == weighted.score(X, y, weight)


def unweighted_scorer(model, X, y, sample_weight=None):
    return get_scorer("neg_kl_loss")(model, X, y)


def test_requests_of_the_splitter_are_honoured():
    X, y = make_problem()
    groups, weight = np.arange(90) // 3, weights_for(X)
    with sklearn.config_context(enable_metadata_routing=True):
        splitter = Spy(3).set_split_request(sample_weight=True)
        model = fit(X, y, weight, groups=groups, cv=splitter)
        assert splitter.got[0] is groups
        ratio = splitter.got[1][weight > 0] / weight[weight > 0]
        np.testing.assert_array_equal(ratio, ratio[0])
        folds = list(splitter.split(X, y, groups, weight))
        assert_same(fit(X, y, weight, cv=folds), model)
        assert_same(fit(X, y, groups=groups), fit(X, y, groups=groups, cv=Spy(3)))
        pipeline = make_pipeline(SoftLabelLogisticRegressionCV(Cs=CS, cv=Spy(3), tol=1e-8))
        pipeline.fit(X, y, groups=groups)
        assert_same(pipeline[-1], fit(X, y, groups=groups))
        with pytest.raises(TypeError, match="groups"):
            fit(X, y, groups=groups, cv=KFold(3))
    with pytest.raises(TypeError, match=r"fit got \['of_score'\]; .*enable_metadata_routing"):
        SoftLabelLogisticRegressionCV().fit(X, y, of_score=weight)
    with pytest.raises(
        TypeError, match=r"score got \['of_score'\]; .*enable_metadata_routing"
    ):
        model.score(X, y, of_score=weight)


# -- Scores --------------------------------------------------------------------


def test_scorers_of_scikit_learn_know_all_classes():
    """Each unshuffled fold of iris holds one class."""
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    for labels in (y, names):
        params = {"cv": KFold(3), "Cs": CS[:2], "tol": 1e-4}
        model = fit(X, labels, scoring=sklearn_scorer("neg_log_loss"), **params)
        assert_same(fit(X, labels, scoring="neg_log_loss", **params), model)
        assert_same(fit(X, labels, **params), model, atol=1e-9)
        first = model.score(X[:50], labels[:50])
        assert first == pytest.approx(get_scorer("neg_kl_loss")(model, X[:50], labels[:50]))
    two = fit(X[50:], names[50:], scoring="f1", cv=KFold(3, shuffle=True, random_state=0))
    assert 0.8 < two.scores_.mean() < 1.0


def test_classes_of_labels_are_sorted():
    X, y = make_problem(3, soft=False)
    labels = np.array(["a", "b", "c"])[y]
    model = fit(X, labels, classes=["c", "a", "d", "b"], scoring="neg_log_loss")
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    expected = fit(X, labels)
    np.testing.assert_allclose(model.scores_, expected.scores_, atol=1e-3)
    assert (model.predict(X) == expected.predict(X)).all()


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("refit", [False, True])
def test_scores_that_choose_nothing(refit, value):
    X, y = make_problem()
    with pytest.raises(ValueError, match=r"No penalty can be chosen: .* finite numbers"):
        fit(X, y, scoring=lambda model, X, y: value, refit=refit, tol=1e-2)


@pytest.mark.parametrize("exponent", [-1000, 990])
def test_scores_do_not_depend_on_the_scale_of_weights(exponent):
    """C times the weights is what the fits depend on; 1e-300 and 2e299 are about as far."""
    X, y = make_problem(3, soft=False)
    weight, scale = weights_for(X), 2.0**exponent
    expected = fit(X, y, weight, Cs=[0.5, 8.0])
    model = fit(X, y, scale * weight, Cs=[0.5 / scale, 8.0 / scale])
    np.testing.assert_allclose(model.scores_, expected.scores_, rtol=1e-6)
    assert model.score(X, y, weight) == pytest.approx(expected.score(X, y, weight))


def test_weights_count_in_fits_and_in_scores():
    X, y = make_problem()
    weight = weights_for(X)
    folds = folds_of(y)
    neither = fit(X, y, cv=folds).scores_
    both = fit(X, y, weight, cv=folds).scores_

    def ignoring(model, X, y, sample_weight=None):
        return get_scorer("neg_kl_loss")(model, X, y)

    only_fits = fit(X, y, weight, cv=folds, scoring=ignoring).scores_
    assert not np.allclose(both, only_fits, atol=1e-4)
    assert not np.allclose(neither, only_fits, atol=1e-4)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("refit", [False, True])
def test_zero_weight_is_removal(soft, refit):
    X, y = make_problem(3, soft)
    keep = np.random.default_rng(1).random(len(X)) < 0.7
    folds = folds_of(y)
    place = np.cumsum(keep) - 1
    kept_folds = [tuple(place[part[keep[part]]] for part in fold) for fold in folds]
    X = np.where(keep[:, None], X, 100.0)
    weighted = fit(X, y, keep.astype(float), cv=folds, refit=refit)
    removed = fit(X[keep], y[keep], cv=kept_folds, refit=refit)
    np.testing.assert_allclose(weighted.scores_, removed.scores_, atol=1e-7)
    np.testing.assert_allclose(weighted.coef_, removed.coef_, atol=1e-6)


@pytest.mark.parametrize(
    ("scoring", "soft"),
    [
        (None, False),
        (None, True),
        ("d2_kl", False),
        ("d2_kl", True),
        (sklearn_scorer("accuracy"), False),
    ],
)
def test_score_uses_scoring(scoring, soft):
    X, y = make_problem(3, soft)
    weight = weights_for(X)
    model = fit(X, y, scoring=scoring, tol=1e-4)
    scorer = scoring if callable(scoring) else get_scorer(scoring or "neg_kl_loss")
    assert model.score(X, y) == pytest.approx(scorer(model, X, y))
    weighted = model.score(X, y, sample_weight=weight)
    assert weighted == pytest.approx(scorer(model, X, y, sample_weight=weight))
    assert weighted != pytest.approx(model.score(X, y), rel=1e-4)


def test_callable_score():
    X, y = make_problem()
    calls = []

    def smallest_C(model, X, y):
        calls.append((type(model), X.shape, y.shape))
        return -np.abs(model.coef_).sum()

    model = fit(X, y, scoring=smallest_C)
    assert min(CS) == model.C_
    assert calls == 9 * [(SoftLabelLogisticRegression, (30, 5), (30, 3))]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_ties_choose_the_strongest_listed_first(n_classes):
    X, y = make_problem(n_classes)
    model = fit(X, y, scoring=lambda model, X, y: 0.0, l1_ratios=[0.0, 0.5])
    assert CS[0] == model.C_
    assert model.l1_ratio_ == 0.0


def test_verbose_prints_the_mean_scores(capsys):
    X, y = make_problem()
    fit(X, y)
    assert capsys.readouterr().out == ""
    model = fit(X, y, verbose=1)
    printed = capsys.readouterr().out
    assert "mean scores by l1_ratio and C" in printed
    assert str(model.scores_.mean(axis=0)) in printed


# -- In company ----------------------------------------------------------------


def test_pipeline():
    X, y = make_problem()
    X = X * [1.0, 100.0, 0.01, 1.0, 1.0] + 5.0
    pipeline = make_pipeline(StandardScaler(), SoftLabelLogisticRegressionCV(Cs=CS, cv=3))
    pipeline.fit(X, y)
    expected = SoftLabelLogisticRegressionCV(Cs=CS, cv=3)
    expected.fit(StandardScaler().fit_transform(X), y)
    assert_same(pipeline[-1], expected)
    assert pipeline.score(X, y) == pytest.approx(
        expected.score(StandardScaler().fit_transform(X), y)
    )


def test_cross_val_score():
    X, y = make_problem()
    scores = cross_val_score(
        SoftLabelLogisticRegressionCV(Cs=CS, cv=3), X, y, cv=KFold(3), error_score="raise"
    )
    for score, (train, test) in zip(scores, KFold(3).split(X), strict=True):
        model = SoftLabelLogisticRegressionCV(Cs=CS, cv=3).fit(X[train], y[train])
        assert score == pytest.approx(model.score(X[test], y[test]))
    assert (scores < 0).all()


def test_clone_and_pickle():
    X, y = make_problem()
    model = fit(X, y, classes=["c", "a", "b"], l1_ratios=[0.0, 0.5])
    restored = pickle.loads(pickle.dumps(model))
    assert_same(restored, model)
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))
    copy = clone(model)
    assert not hasattr(copy, "coef_")
    assert copy.get_params() == model.get_params()
    assert_same(copy.fit(X, y), model)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_to_sklearn(n_classes, l1_ratio):
    X, y = make_problem(n_classes)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = fit(frame, y, l1_ratios=[l1_ratio])
    plain = model.to_sklearn()
    assert type(plain) is LogisticRegression
    assert plain.C == model.C_
    assert (plain.l1_ratio or 0.0) == l1_ratio
    assert plain.feature_names_in_.tolist() == list("abcde")
    assert plain.n_iter_.tolist() == [model.n_iter_.max()]
    np.testing.assert_allclose(plain.predict_proba(frame), model.predict_proba(frame))


@pytest.mark.parametrize("name", ["predict", "predict_proba", "score", "to_sklearn"])
def test_unfitted(name):
    X, y = make_problem()
    arguments = {"score": (X, y), "to_sklearn": ()}.get(name, (X,))
    with pytest.raises(NotFittedError):
        getattr(SoftLabelLogisticRegressionCV(), name)(*arguments)


def test_inputs_are_not_modified():
    X, y = make_problem()
    weight = weights_for(X)
    Cs = np.array(CS)
    before = X.copy(), y.copy(), weight.copy(), Cs.copy()
    fit(X, y, weight, Cs=Cs, class_weight="balanced")
    for got, want in zip((X, y, weight, Cs), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_failed_fit_leaves_the_estimator_as_it_was():
    X, y = make_problem()

    def broken(model, X, y):
        raise RuntimeError("no score")

    model = SoftLabelLogisticRegressionCV(Cs=CS, cv=3, scoring=broken)
    with pytest.raises(RuntimeError, match="no score"):
        model.fit(X, y)
    assert [name for name in vars(model) if name.endswith("_")] == []
    model.set_params(scoring=None).fit(pd.DataFrame(X, columns=list("abcde")), y)
    before = {name: value for name, value in vars(model).items() if name.endswith("_")}
    model.set_params(scoring=broken)
    with pytest.raises(RuntimeError, match="no score"):
        model.fit(X[:, :3], y)
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


# -- What is refused -----------------------------------------------------------


HOSTILE = {
    "Cs": {
        "^Cs must be an integer >= 1; got": (0, -3),
        "^Cs must be a list of numbers; got": (2.0, True, None, "1", [[1.0]], {1.0}),
        "^Cs is empty": ([],),
        r"^Cs\[0\] must be a number > 0": (
            [0.0],
            [-1.0, 1.0],
            [np.nan],
            ["1"],
            [True],
            [None],
        ),
    },
    "l1_ratios": {
        "^l1_ratios must be a list of numbers; got": (0.5, None, "0"),
        "^l1_ratios is empty": ([],),
        r"^l1_ratios\[1\] must be a number from 0 to 1": ([0, 1.5], [0, -0.1], [0, np.nan]),
    },
    "fit_intercept": {"^fit_intercept must be True or False": (1, "yes", None)},
    "classes": {"^classes ": (["a", "a", "b"], ["a"], "abc", 3)},
    "cv": {
        "^cv must be an integer >= 2": (1, 0, -1, True, "many", 2.5, [1, 2]),
        "^cv holds no folds": ([],),
    },
    "scoring": {
        r"^scoring='kullback': .*sklearn\.metrics": ("kullback",),
        "^scoring=": (3, ["neg_kl_loss"], {}),
        "^scoring='accuracy' is a score of labels, but y holds": ("accuracy",),
    },
    "class_weight": {"^class_weight ": ("balance", {7: 1.0}, [1, 1, 1])},
    "solver": {"^solver must be one of": ("saga", None)},
    "tol": {"^tol must be a finite number > 0": (0.0, np.nan, "1", None)},
    "max_iter": {"^max_iter must be an integer >= 1": (0, 1.5, None)},
    "n_jobs": {"^n_jobs must be None or an integer other than 0": (0, 1.5, "2", True)},
    "refit": {"^refit must be True or False": (1, "yes", None)},
    "verbose": {"^verbose must be an integer >= 0": (-1, "1", None)},
}


def test_hostile_parameters():
    """Each is refused by a message about itself."""
    X, y = make_problem()
    assert set(HOSTILE) == set(SoftLabelLogisticRegressionCV().get_params())
    for name, cases in HOSTILE.items():
        for message, values in cases.items():
            for value in values:
                model = SoftLabelLogisticRegressionCV(**{name: value})
                with pytest.raises(ValueError, match=message):
                    model.fit(X, y)
                assert not hasattr(model, "n_features_in_")
    model = SoftLabelLogisticRegressionCV(solver="lbfgs", l1_ratios=[0.0, 0.5])
    with pytest.raises(ValueError, match=r"solver='lbfgs' .* l1_ratio=0\.5"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        (None, None, "requires y to be passed, but the target y is None"),
        (np.zeros(90), None, "y holds only 1 class"),
        (np.full((90, 3), 0.5), None, r"y\[0\] sums to 1.5 instead of 1"),
        (np.full((80, 2), 0.5), None, "inconsistent numbers of samples"),
        (np.full((90, 2), 0.5), -np.ones(90), "Negative values in data passed"),
        (np.full((90, 2), 0.5), np.zeros(90), "zero for every sample|at least one non-zero"),
    ],
)
def test_bad_data(y, weight, message):
    X, _ = make_problem()
    with pytest.raises(ValueError, match=message):
        fit(X, y, weight)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_features(bad):
    X, y = make_problem()
    X[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        fit(X, y)


def test_no_convergence_warns():
    X, y = make_problem()
    with pytest.warns(ConvergenceWarning, match="No convergence in 1 iteration") as record:
        fit(X, y, max_iter=1)
    assert len(record) == 3 * len(CS) + 1
