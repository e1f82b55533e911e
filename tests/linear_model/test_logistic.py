"""SoftLabelLogisticRegression against scikit-learn's LogisticRegression, and its contract."""

import pickle
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix, issparse
from scipy.special import log_softmax, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import d2_kl_score, get_scorer, kl_loss

NAMES = ["iris", "wine", "wine raw", "breast cancer", "breast cancer raw", "digits"]
STANDARDISED = [name for name in NAMES if not name.endswith("raw")]


@cache
def load(name):
    """Return X and labels of a data set, standardised unless raw."""
    loader = {
        "iris": load_iris,
        "wine": load_wine,
        "breast cancer": load_breast_cancer,
        "digits": load_digits,
    }[name.removesuffix(" raw")]
    X, y = loader(return_X_y=True)
    if name == "digits":
        # The reference takes the cube of the number of all coefficients.
        X, y = X[:300, ::3] / 16.0, y[:300]
    elif not name.endswith("raw"):
        X = StandardScaler().fit_transform(X)
    X.flags.writeable = False
    y.flags.writeable = False
    return X, y


def weights_for(X, weighted):
    if not weighted:
        return None
    weight = np.random.default_rng(5).uniform(0.0, 2.0, size=len(X))
    weight[::7] = 0.0
    return weight


def soft_targets(X, n_classes, seed=0):
    """Probabilities of a random linear teacher with noise."""
    rng = np.random.default_rng(seed)
    Z = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-3)
    raw = Z @ rng.normal(size=(X.shape[1], n_classes)) / np.sqrt(X.shape[1])
    return softmax(2.0 * raw + rng.normal(size=raw.shape), axis=1)


def fit(X, y, sample_weight=None, **params):
    """Fit to the rounding floor: where the penalty is weak, the objective is flat."""
    model = SoftLabelLogisticRegression(**{"tol": 1e-12, "max_iter": 10_000, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def reference(X, y, sample_weight=None, **params):
    params = {"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000, **params}
    return LogisticRegression(**params).fit(X, y, sample_weight=sample_weight)


def reference_on_rows(X, y, sample_weight=None, **params):
    """LogisticRegression on every row once per class, weighted by its probability."""
    n_samples, n_classes = y.shape
    weight = y if sample_weight is None else y * sample_weight[:, None]
    rows = np.repeat(X, n_classes, axis=0)
    labels = np.tile(np.arange(n_classes), n_samples)
    return reference(rows, labels, sample_weight=weight.ravel(), **params)


@cache
def hard_reference(name, C, weighted):
    X, y = load(name)
    return reference(X, y, weights_for(X, weighted), C=C)


def assert_same_model(model, expected, atol=1e-6):
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=0, atol=atol)


def small_problem(n_classes=3, n_samples=60, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    y = softmax(X[:, :n_classes] + rng.normal(size=(n_samples, n_classes)), axis=1)
    return X, y


# -- The optimum ---------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_hard_labels(name, C, weighted, sparse):
    X, y = load(name)
    model = fit(csr_array(X) if sparse else X, y, weights_for(X, weighted), C=C)
    assert_same_model(model, hard_reference(name, C, weighted))
    np.testing.assert_array_equal(model.classes_, np.unique(y))


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_hard_labels_of_all_digits(C):
    X, y = load_digits(return_X_y=True)
    assert_same_model(fit(X / 16.0, y, C=C), reference(X / 16.0, y, C=C))


@pytest.mark.parametrize("name", STANDARDISED)
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_hard_labels_as_lbfgs(name, C):
    X, y = load(name)
    expected = reference(X, y, C=C, solver="lbfgs", max_iter=10_000)
    # It stops at the precision of the value, half the digits of that of the gradient.
    assert_same_model(fit(X, y, C=C), expected, atol=1e-5)


def overlapping(name):
    """Two classes of iris in two features, or labels of which a third is noise."""
    if name == "iris, two classes":
        X, y = load("iris")
        return X[y > 0, :2], y[y > 0]
    X, y = load(name)
    rng = np.random.default_rng(3)
    noise = rng.random(len(y)) < 1 / 3
    return X, np.where(noise, rng.integers(y.max() + 1, size=len(y)), y)


@pytest.mark.parametrize(
    "name", ["iris, two classes", "iris", "wine", "wine raw", "breast cancer"]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_no_penalty(name, weighted, fit_intercept):
    X, y = overlapping(name)
    weight = weights_for(X, weighted)
    params = {"C": np.inf, "fit_intercept": fit_intercept}
    model = fit(X, y, weight, **params)
    expected = reference(X, y, weight, **params)
    # Without a penalty, adding a vector to the rows of all classes changes nothing.
    if len(expected.classes_) > 2:
        np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-8)
        expected.coef_ = expected.coef_ - expected.coef_.mean(axis=0)
        expected.intercept_ = expected.intercept_ - expected.intercept_.mean()
    # Nor does a penalty hold the coefficients of nearly dependent features.
    assert_same_model(model, expected, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_log_proba(X), expected.predict_log_proba(X), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0, np.inf])
@pytest.mark.parametrize("weighted", [False, True])
def test_soft_labels(name, C, weighted):
    if name == "digits" and np.isinf(C):
        C = 10.0  # corner pixels are constant: without penalty there is no single optimum
    X, labels = load(name)
    y = soft_targets(X, labels.max() + 1)
    weight = weights_for(X, weighted)
    model = fit(X, y, weight, C=C)
    expected = reference_on_rows(X, y, weight, C=C)
    if np.isinf(C):
        np.testing.assert_allclose(
            model.predict_log_proba(X), expected.predict_log_proba(X), atol=1e-6
        )
    else:
        assert_same_model(model, expected)


@pytest.mark.parametrize("name", STANDARDISED)
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_soft_labels_sparse(name, C, weighted):
    X, labels = load(name)
    y = soft_targets(X, labels.max() + 1)
    weight = weights_for(X, weighted)
    model = fit(csr_array(X), y, weight, C=C)
    assert_same_model(model, reference_on_rows(X, y, weight, C=C))


def test_soft_labels_of_all_digits():
    X, y = load_digits(return_X_y=True)
    y = soft_targets(X / 16.0, 10)
    expected = reference_on_rows(X / 16.0, y, C=1.0, solver="newton-cg", max_iter=100)
    assert_same_model(fit(X / 16.0, y, C=1.0), expected)


def balanced(y, weight):
    """Class weights n / (n_classes * mass) of soft targets, as a dict."""
    mass = y.sum(axis=0) if weight is None else weight @ y
    return dict(enumerate(mass.sum() / (y.shape[1] * mass)))


@pytest.mark.parametrize("name", ["wine", "breast cancer"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.3, 1: 2.0}])
def test_soft_labels_class_weight(name, weighted, class_weight):
    X, labels = load(name)
    y = soft_targets(X, labels.max() + 1)
    weight = weights_for(X, weighted)
    model = fit(X, y, weight, class_weight=class_weight, C=0.5)
    as_dict = balanced(y, weight) if class_weight == "balanced" else class_weight
    expected = reference_on_rows(X, y, weight, class_weight=as_dict, C=0.5)
    assert_same_model(model, expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_of_weight_zero(weighted):
    """The remaining classes get what they get alone; the intercept of the other falls."""
    X, y = small_problem()
    weight = weights_for(X, weighted)
    model = fit(X, y, weight, class_weight={1: 0.0}, tol=1e-8)
    assert model.predict_proba(X)[:, 1].max() < 1e-5
    rest = y[:, [0, 2]]
    mass = rest.sum(axis=1)
    rest_weight = mass if weight is None else weight * mass
    # Two rows of coefficients w and -w have half the penalty of a single one, 2 w.
    alone = fit(X, rest / mass[:, None], rest_weight, C=2.0)
    np.testing.assert_allclose(
        model.predict_proba(X)[:, [0, 2]], alone.predict_proba(X), atol=1e-4
    )


def test_only_class_with_a_weight():
    X, y = small_problem(2)
    model = SoftLabelLogisticRegression(class_weight={1: 0.0}, tol=1e-6).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X)[:, 0], 1.0, atol=1e-4)


@pytest.mark.parametrize("name", ["iris", "wine", "breast cancer"])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.2, 1: 3.0}])
def test_hard_labels_class_weight(name, class_weight):
    X, y = load(name)
    X, y = X[20:], y[20:]
    model = fit(X, y, class_weight=class_weight)
    assert_same_model(model, reference(X, y, class_weight=class_weight))


def test_class_weight_by_label():
    X, y = load("iris")
    names = np.array(["setosa", "versicolor", "virginica"])
    model = fit(X, names[y], class_weight={"virginica": 3.0, "setosa": 0.5})
    assert_same_model(model, fit(X, y, class_weight={2: 3.0, 0: 0.5}), atol=0)


def test_class_weight_may_empty_a_row():
    """A sample all of whose mass is on a class of weight 0 counts for nothing."""
    X, y = small_problem()
    y[:5] = [0.0, 1.0, 0.0]
    y[5:, 1] *= 0.5
    y /= y.sum(axis=1, keepdims=True)
    params = {"class_weight": {1: 0.0}, "C": 0.5}
    # Class 1 has no mass at all, so its intercept has no finite optimum: compare losses.
    everything, rest = fit(X, y, tol=1e-6, **params), fit(X[5:], y[5:], tol=1e-6, **params)
    assert everything.loss_ == pytest.approx(rest.loss_, abs=1e-5)
    np.testing.assert_allclose(everything.predict_proba(X), rest.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_fit_intercept(fit_intercept, n_classes):
    X, y = small_problem(n_classes)
    model = fit(X + 1.0, y, fit_intercept=fit_intercept)
    expected = reference_on_rows(X + 1.0, y, fit_intercept=fit_intercept)
    assert_same_model(model, expected)
    assert model.intercept_.shape == (1 if n_classes == 2 else n_classes,)
    assert fit_intercept or not model.intercept_.any()


# -- Weights and targets -------------------------------------------------------


def targets(kind, n_classes=3):
    X, y = small_problem(n_classes)
    return (X, y) if kind == "soft" else (X, y.argmax(axis=1))


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weight_is_repetition(kind, n_classes, class_weight):
    X, y = targets(kind, n_classes)
    repeats = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = fit(X, y, repeats, class_weight=class_weight)
    repeated = fit(
        np.repeat(X, repeats, axis=0), np.repeat(y, repeats, axis=0), class_weight=class_weight
    )
    assert_same_model(weighted, repeated, atol=1e-9)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_zero_weight_is_removal(kind, n_classes, class_weight):
    X, y = targets(kind, n_classes)
    keep = np.random.default_rng(1).random(len(X)) < 0.6
    X = np.where(keep[:, None], X, 100.0)
    weighted = fit(X, y, keep.astype(float), class_weight=class_weight)
    removed = fit(X[keep], y[keep], class_weight=class_weight)
    assert_same_model(weighted, removed, atol=1e-9)


def test_scaling_weights_is_scaling_C():
    X, y = small_problem()
    assert_same_model(fit(X, y, np.full(len(X), 4.0), C=0.5), fit(X, y, C=2.0), atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0}])
def test_one_hot_rows_are_labels(n_classes, class_weight):
    X, y = targets("hard", n_classes)
    soft = fit(X, np.eye(n_classes)[y], class_weight=class_weight)
    assert_same_model(soft, fit(X, y, class_weight=class_weight), atol=1e-9)
    np.testing.assert_array_equal(soft.classes_, np.arange(n_classes))


def test_uniform_targets_teach_nothing():
    X, _ = small_problem()
    model = fit(X, np.full((len(X), 3), 1 / 3))
    np.testing.assert_allclose(model.coef_, 0.0, atol=1e-12)
    assert model.loss_ == pytest.approx(0.0, abs=1e-15)
    assert model.n_iter_ == 0


@pytest.mark.parametrize("n_classes", [2, 4])
def test_recovers_the_model_that_made_the_targets(n_classes):
    X = np.random.default_rng(0).normal(size=(80, 5))
    first = SoftLabelLogisticRegression(C=10).fit(X, targets_of_digit(X, n_classes))
    second = fit(X, first.predict_proba(X), C=np.inf)
    assert second.loss_ < 1e-15
    np.testing.assert_allclose(
        second.predict_log_proba(X), first.predict_log_proba(X), atol=1e-8
    )


def targets_of_digit(X, n_classes):
    return np.digitize(X[:, 0] + X[:, 1], np.linspace(-1, 1, n_classes - 1))


def test_columns_of_a_data_frame_are_the_classes():
    X, y = small_problem()
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = fit(X, frame)
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same_model(model, fit(X, y), atol=0)
    assert set(model.predict(X)) <= {"a", "b", "c"}


def test_classes_put_the_columns_of_a_data_frame_in_order():
    X, y = small_problem()
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = fit(X, frame, classes=["a", "b", "c"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert_same_model(model, fit(X, y[:, [2, 0, 1]]), atol=0)


def test_classes_name_the_columns_of_a_matrix():
    X, y = small_problem()
    model = fit(X, y, classes=["b", "c", "a"])
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same_model(model, fit(X, y), atol=0)
    np.testing.assert_array_equal(
        model.predict(X), np.array(["b", "c", "a"])[model.predict_proba(X).argmax(axis=1)]
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_of_labels_are_sorted(n_classes):
    """scikit-learn's scorers of probabilities take that for granted."""
    X, y = targets("hard", n_classes)
    names = np.array(["a", "b", "c"])[:n_classes]
    model = fit(X, names[y], classes=names[::-1])
    expected = fit(X, names[y])
    assert model.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_absent_classes_keep_a_column(class_weight):
    X, y = targets("hard", 2)
    model = SoftLabelLogisticRegression(classes=[0, 1, 2], class_weight=class_weight)
    model.fit(X, y)
    assert model.coef_.shape == (3, X.shape[1])
    assert np.isfinite(model.coef_).all()
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), 3)
    assert proba[:, 2].max() < 0.01
    # Two rows of coefficients w and -w have half the penalty of a single one, 2 w; and
    # "balanced" shares the mass among all three classes.
    C = 2.0 if class_weight is None else 4.0 / 3.0
    alone = fit(X, y, class_weight=class_weight, C=C)
    np.testing.assert_allclose(proba[:, :2], alone.predict_proba(X), atol=0.01)


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        np.array(["no", "yes"], dtype=object),
        [False, True],
        [-1, 1],
        [1.0, 2.0],
    ],
    ids=["str", "object", "bool", "int", "float"],
)
def test_kinds_of_labels(labels):
    X, y = targets("hard", 2)
    labels = np.asarray(labels)
    model = fit(X, labels[y])
    np.testing.assert_array_equal(model.classes_, labels)
    assert model.classes_.dtype == labels.dtype
    assert_same_model(model, fit(X, y), atol=0)
    assert set(model.predict(X).tolist()) == set(labels.tolist())


def test_lists_are_taken():
    X, y = small_problem()
    weight = np.arange(1.0, len(X) + 1)
    assert_same_model(fit(X.tolist(), y.tolist(), weight.tolist()), fit(X, y, weight), atol=0)


def test_column_of_labels_warns():
    X, y = targets("hard")
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = fit(X, y[:, None])
    assert_same_model(model, fit(X, y), atol=0)


def test_y_is_not_modified():
    X, y = small_problem()
    before = y.copy()
    for class_weight in (None, "balanced", {0: 0.0}):
        SoftLabelLogisticRegression(class_weight=class_weight).fit(X, y)
        np.testing.assert_array_equal(y, before)


# -- Kinds of X ----------------------------------------------------------------


def as_memmap(array, tmp_path, name="array.npy"):
    np.save(tmp_path / name, array)
    return np.load(tmp_path / name, mmap_mode="r")


def as_read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_float32(kind, n_classes):
    X, y = targets(kind, n_classes)
    X32 = X.astype(np.float32)
    model = SoftLabelLogisticRegression(tol=1e-5).fit(X32, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.predict_proba(X32).dtype == np.float32
    expected = fit(X32.astype(np.float64), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=2e-3)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-3)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-2)


def test_soft_targets_of_float32_do_not_lower_the_precision():
    X, y = small_problem()
    model = fit(X, y.astype(np.float32))
    assert model.coef_.dtype == np.float64
    np.testing.assert_allclose(model.coef_, fit(X, y).coef_, atol=1e-6)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, as_read_only, lambda X: np.repeat(X, 2, axis=1)[:, ::2]],
    ids=["fortran", "read-only", "strided"],
)
def test_layouts(kind, layout):
    X, y = targets(kind)
    model = fit(layout(X), as_read_only(y), as_read_only(np.ones(len(X))))
    assert_same_model(model, fit(X, y), atol=1e-10)
    np.testing.assert_allclose(
        model.predict_proba(layout(X)), model.predict_proba(X), rtol=1e-14
    )


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_memory_maps(kind, n_classes, tmp_path):
    X, y = targets(kind, n_classes)
    X_map, y_map = as_memmap(X, tmp_path, "X.npy"), as_memmap(y, tmp_path, "y.npy")
    model = fit(X_map, y_map)
    assert_same_model(model, fit(X, y), atol=0)
    np.testing.assert_array_equal(model.predict_proba(X_map), model.predict_proba(X))


@pytest.mark.parametrize("container", [csr_array, csr_matrix, csc_array, coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_containers(container, dtype):
    X, y = small_problem()
    X = np.where(np.abs(X) < 0.5, 0.0, X).astype(dtype)
    tol = 1e-12 if dtype == np.float64 else 1e-5
    model = fit(container(X), y, tol=tol)
    assert model.coef_.dtype == dtype
    np.testing.assert_allclose(
        model.coef_, fit(X.astype(float), y).coef_, atol=1e-9 if tol < 1e-6 else 2e-3
    )
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        got = getattr(model, method)(container(X))
        assert isinstance(got, np.ndarray)
        if method != "predict":
            np.testing.assert_allclose(got, getattr(model, method)(X), rtol=1e-5)


def test_int_features():
    X, y = small_problem()
    X = np.rint(3 * X).astype(np.int32)
    assert_same_model(fit(X, y), fit(X.astype(float), y), atol=0)


def test_feature_names():
    X, y = small_problem()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    assert_same_model(model, fit(X, y), atol=1e-10)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


# -- Predictions ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_shapes_binary(kind):
    X, y = targets(kind, 2)
    model = fit(X, y)
    assert model.coef_.shape == (1, X.shape[1])
    assert model.intercept_.shape == (1,)
    logit = model.decision_function(X)
    assert logit.shape == (len(X),)
    np.testing.assert_allclose(logit, X @ model.coef_[0] + model.intercept_[0], rtol=1e-12)
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-13)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(logit > 0).astype(int)])


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_shapes_multiclass(kind):
    X, y = targets(kind, 3)
    model = fit(X, y)
    assert model.coef_.shape == (3, X.shape[1])
    assert model.intercept_.shape == (3,)
    raw = model.decision_function(X)
    assert raw.shape == (len(X), 3)
    np.testing.assert_allclose(raw, X @ model.coef_.T + model.intercept_, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), softmax(raw, axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        model.predict_log_proba(X), log_softmax(raw, axis=1), rtol=1e-12
    )
    np.testing.assert_array_equal(model.predict(X), model.classes_[raw.argmax(axis=1)])


def with_coefficients(coef):
    """A fitted model of one feature with these coefficients and no intercept."""
    n_classes = max(2, len(coef))
    X, y = np.zeros((n_classes, 1)), np.arange(n_classes)
    model = SoftLabelLogisticRegression(fit_intercept=False).fit(X, y)
    model.coef_ = np.array(coef, dtype=np.float64)[:, None]
    return model


@pytest.mark.filterwarnings("error")
def test_log_proba_of_huge_binary_margins():
    model = with_coefficients([1.0])
    margin = np.array([0.0, 1e-9, 1.0, 37.0, 100.0, 700.0, 1e4, 1e300])
    for sign in (-1.0, 1.0):
        likely = (1.0 + sign) / 2
        log_proba = model.predict_log_proba(sign * margin[:, None])
        assert np.isfinite(log_proba).all()
        near, far = log_proba[:, int(likely)], log_proba[:, int(1 - likely)]
        np.testing.assert_allclose(near, -np.log1p(np.exp(-margin)), rtol=1e-15)
        np.testing.assert_allclose(far, -margin - np.log1p(np.exp(-margin)), rtol=1e-15)
        proba = model.predict_proba(sign * margin[:, None])
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-15)


@pytest.mark.filterwarnings("error")
def test_log_proba_of_huge_multiclass_margins():
    model = with_coefficients([0.0, 1.0, -1.0])
    margin = np.array([1.0, 37.0, 100.0, 700.0, 1e4])
    log_proba = model.predict_log_proba(margin[:, None])
    rest = np.exp(-margin) + np.exp(-2 * margin)
    np.testing.assert_allclose(log_proba[:, 1], -np.log1p(rest), rtol=1e-15)
    np.testing.assert_allclose(log_proba[:, 0], -margin - np.log1p(rest), rtol=1e-15)
    np.testing.assert_allclose(log_proba[:, 2], -2 * margin - np.log1p(rest), rtol=1e-15)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss(kind, n_classes, C, weighted):
    X, y = targets(kind, n_classes)
    weight = weights_for(X, weighted)
    model = SoftLabelLogisticRegression(C=C).fit(X, y, weight)
    assert isinstance(model.loss_, float)
    expected = kl_loss(y, model.predict_proba(X), sample_weight=weight)
    assert model.loss_ == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_score(n_classes, weighted):
    X, y = small_problem(n_classes)
    weight = weights_for(X, weighted)
    model = fit(X, y)
    labels = y.argmax(axis=1)
    assert model.score(X, labels, weight) == accuracy_score(
        labels, model.predict(X), sample_weight=weight
    )
    expected = d2_kl_score(y, model.predict_proba(X), sample_weight=weight)
    assert model.score(X, y, weight) == pytest.approx(expected, rel=1e-14)
    assert model.score(X, y) > 0


def test_score_matches_the_columns_of_a_data_frame():
    X, y = small_problem()
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = fit(X, frame)
    assert model.score(X, frame[["a", "b", "c"]]) == pytest.approx(model.score(X, frame))


# -- The solver, and what scikit-learn expects ---------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_default_settings_suffice(name):
    """The default tolerance gives probabilities good to three digits, without a warning."""
    X, y = load(name)
    model = SoftLabelLogisticRegression().fit(X, y)
    expected = hard_reference(name, 1.0, False)
    assert model.n_iter_ < 100
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=5e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [1.0, 100.0])
def test_default_settings_suffice_for_float32(name, C):
    """Values of the objective are rounded more; that must not end the descent early."""
    X, y = load(name)
    model = SoftLabelLogisticRegression(C=C).fit(X.astype(np.float32), y)
    expected = hard_reference(name, C, False)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=0.02)


def test_scale_of_the_features_hardly_matters():
    X, y = small_problem()
    scale = np.array([1e-4, 1.0, 1e3, 1e6])
    plain = fit(X, y, C=np.inf, tol=1e-9)
    scaled = fit(X * scale, y, C=np.inf, tol=1e-9)
    assert scaled.n_iter_ < 200
    np.testing.assert_allclose(scaled.coef_ * scale, plain.coef_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_warm_start(kind):
    X, y = targets(kind)
    model = SoftLabelLogisticRegression(warm_start=True, tol=1e-8).fit(X, y)
    first_n_iter = model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ == 0
    model.set_params(C=1.1).fit(X, y)
    assert 0 < model.n_iter_ < first_n_iter
    assert_same_model(model, fit(X, y, C=1.1), atol=1e-5)


@pytest.mark.filterwarnings("ignore:No convergence")
def test_warm_start_continues():
    X, y = load("digits")
    model = SoftLabelLogisticRegression(warm_start=True, max_iter=3, tol=1e-6)
    values = []
    for _ in range(4):
        model.fit(X, y)
        values.append(model.loss_ + 0.5 * np.sum(model.coef_**2) / len(X))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_warm_start_across_precisions_and_intercepts():
    X, y = small_problem()
    model = SoftLabelLogisticRegression(warm_start=True, tol=1e-8, fit_intercept=False)
    model.fit(X, y)
    model.set_params(fit_intercept=True).fit(X, y)
    assert_same_model(model, fit(X, y), atol=1e-5)
    model.set_params(tol=1e-5).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32


def test_warm_start_refuses_other_data():
    X, y = small_problem()
    model = SoftLabelLogisticRegression(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"the last fit had the classes \[0, 1, 2\]"):
        model.fit(X, pd.DataFrame(y, columns=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"\[0, 1, 2\], now they are \[2, 1, 0\]"):
        model.set_params(classes=[2, 1, 0]).fit(X, y)
    model.set_params(classes=None)
    with pytest.raises(ValueError, match="the last fit had 4 features, now there are 3"):
        model.fit(X[:, :3], y)


def test_refit_without_warm_start_forgets():
    X, y = small_problem()
    model = fit(X, y)
    model.fit(X[:, :2], y[:, :2] / y[:, :2].sum(axis=1, keepdims=True))
    assert model.coef_.shape == (1, 2)
    assert model.classes_.tolist() == [0, 1]


def test_convergence_warning():
    X, y = load("wine")
    with pytest.warns(ConvergenceWarning, match="No convergence in 2 iterations") as record:
        model = SoftLabelLogisticRegression(max_iter=2).fit(X, y)
    assert model.n_iter_ == 2
    assert record[0].filename == __file__


def test_verbose(capsys):
    X, y = small_problem()
    SoftLabelLogisticRegression().fit(X, y)
    assert capsys.readouterr().out == ""
    SoftLabelLogisticRegression(verbose=1).fit(X, y)
    assert "iteration 0: objective " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_sklearn(kind, n_classes, dtype):
    X, y = targets(kind, n_classes)
    frame = pd.DataFrame(X.astype(dtype), columns=list("abcd"))
    model = SoftLabelLogisticRegression(C=2.0, classes=list("xyz")[:n_classes])
    model.fit(frame, y if kind == "soft" else np.array(list("xyz"))[y])
    plain = model.to_sklearn()
    assert type(plain) is LogisticRegression
    plain = pickle.loads(pickle.dumps(plain))
    assert plain.C == 2.0
    assert plain.classes_.tolist() == model.classes_.tolist()
    assert plain.feature_names_in_.tolist() == list("abcd")
    assert plain.n_features_in_ == 4
    np.testing.assert_array_equal(plain.predict(frame), model.predict(frame))
    for method in ("decision_function", "predict_proba"):
        np.testing.assert_allclose(
            getattr(plain, method)(frame), getattr(model, method)(frame), rtol=1e-5, atol=1e-6
        )
    assert not np.shares_memory(plain.coef_, model.coef_)


def test_clone_and_pickle():
    X, y = small_problem()
    model = SoftLabelLogisticRegression(C=3.0, classes=["c", "a", "b"]).fit(X, y)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))
    copy = clone(model)
    assert not hasattr(copy, "coef_")
    assert copy.get_params() == model.get_params()
    assert_same_model(copy.fit(X, y), model, atol=0)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(SoftLabelLogisticRegression(), method)(np.zeros((2, 2)))


def test_unfitted_to_sklearn():
    with pytest.raises(NotFittedError):
        SoftLabelLogisticRegression().to_sklearn()


@pytest.mark.parametrize("name", ["wine", "digits"])
@pytest.mark.parametrize("soft", [False, True])
def test_deterministic(name, soft):
    X, y = load(name)
    if soft:
        y = soft_targets(X, y.max() + 1)
    first, second = fit(X, y), fit(X, y)
    assert_same_model(first, second, atol=0)
    assert first.n_iter_ == second.n_iter_
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            limited = fit(X, y)
        # BLAS may add in another order.
        assert_same_model(limited, first, atol=1e-10)


# -- What is refused -----------------------------------------------------------


NOT_POSITIVE = [None, "1", 0, -1.0, np.nan, True, [1.0], np.ones(2), 1j]
NOT_BOOLEAN = [None, "True", 0, 1, np.nan, [True]]
HOSTILE = {
    "C": (NOT_POSITIVE, "must be a number > 0, np.inf for no penalty; got "),
    "l1_ratio": (
        [None, "0.5", -0.1, 1.1, np.nan, True, [0.5]],
        "must be a number from 0 to 1",
    ),
    "fit_intercept": (NOT_BOOLEAN, "must be True or False; got "),
    "classes": (["ab", 2, np.nan, {0, 1}, [[0, 1]], iter([0, 1])], "must be a list of labels"),
    "class_weight": (["balance", 1.0, [1.0, 2.0], True], "must be a dict, 'balanced' or None"),
    "class_weight[0]": (
        ["2", None, -1.0, np.nan, np.inf, [1.0]],
        "must be a finite number >= 0",
    ),
    "solver": ([None, "newton", 0, ["lbfgs"], np.ones(2)], "must be one of ('auto', "),
    "tol": ([*NOT_POSITIVE, np.inf], "must be a finite number > 0; got "),
    "max_iter": ([*NOT_POSITIVE, 10.0], "must be an integer >= 1; got "),
    "warm_start": (NOT_BOOLEAN, "must be True or False; got "),
    "verbose": ([None, "1", -1, 0.5, np.nan, [1]], "must be True or False or an integer >= 0"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_parameters(name, method):
    """Each is named with what it must be, before any work, and nothing is left behind."""
    values, message = HOSTILE[name]
    for value in values:
        params = {"class_weight": {0: value}} if "[" in name else {name: value}
        model = SoftLabelLogisticRegression(**params)
        if method == "partial_fit" and name == "l1_ratio":
            assert not hasattr(model, method)
            continue
        with pytest.raises(ValueError, match=re.escape(f"{name} {message}")):
            getattr(model, method)([[0.0], [1.0]], [[0.3, 0.7], [0.6, 0.4]])
        assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("value", [np.True_, np.False_])
def test_booleans_of_numpy(value):
    X, y = small_problem()
    params = {"fit_intercept": value, "warm_start": value}
    assert_same_model(fit(X, y, **params), fit(X, y, fit_intercept=bool(value)), atol=0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (["a"] * 4, "y holds only 1 class, 'a'; at least two are needed"),
        ([0.1, 0.2, 0.7, 0.9], "Unknown label type.* column per class"),
        ([0.0, 1.0, np.nan, 1.0], "Input y contains NaN"),
        ([], "y is empty"),
        ([[0, 1], [1, 0], [0, 1], [1, 0]], "y is a matrix of integers"),
        ([[0.5, 0.5], [0.5, 0.6], [1.0, 0.0], [0.0, 1.0]], r"y\[1\] sums to 1.1 instead of 1"),
        ([[0.5, 0.5], [1.5, -0.5], [1.0, 0.0], [0.0, 1.0]], r"y\[1\] has the negative entry"),
        ([[0.5, 0.5], [1, np.nan], [1.0, 0.0], [0.0, 1.0]], r"y\[1\] contains NaN"),
        ([[0.5, 0.5], [1, np.inf], [1.0, 0.0], [0.0, 1.0]], r"y\[1\] contains an infinite"),
        (np.zeros((4, 2, 2)), r"got shape \(4, 2, 2\)"),
        (["a", "b", "a"], r"inconsistent numbers of samples: \[4, 3\]"),
        ([[0.5, 0.5]], r"inconsistent numbers of samples: \[4, 1\]"),
    ],
)
def test_bad_y(y, message):
    X = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression().fit(X, y)


def test_sparse_y():
    X, y = small_problem()
    with pytest.raises(TypeError, match="y is a sparse matrix; pass a dense array"):
        SoftLabelLogisticRegression().fit(X, csr_array(y))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0.0, 0.0, 0.0, 0.0], "zero for every sample|at least one non-zero"),
        ([1.0, -1.0, 1.0, 1.0], "Negative values in data passed to `sample_weight`"),
        ([1.0, np.nan, 1.0, 1.0], "Input sample_weight contains NaN"),
        ([1.0, 1.0, 1.0], r"sample_weight.shape == \(3,\), expected \(4,\)"),
        (np.ones((4, 2)), "Sample weights must be 1D"),
    ],
)
def test_bad_weights(weight, message):
    X = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression().fit(X, [0, 0, 1, 1], sample_weight=weight)


@pytest.mark.parametrize(
    ("classes", "y", "message"),
    [
        (["a", "b"], ["a", "b", "c", "a"], r"y\[2\] is .*'c'.*not one of the classes"),
        (["a", "b", "c"], np.full((4, 2), 0.5), "y has 2 columns, but there are 3 classes"),
        (["a"], ["a"] * 4, "classes must name at least two classes"),
        (["a", "b", "a"], ["a", "b", "b", "a"], "classes names a class twice"),
        (
            ["a", "b"],
            pd.DataFrame(np.full((4, 2), 0.5), columns=["a", "z"]),
            r"without a column \['b'\], unknown columns \['z'\]",
        ),
    ],
)
def test_bad_classes(classes, y, message):
    X = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression(classes=classes).fit(X, y)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1.0, 7: 2.0}, r"class_weight names \[7\], not among the classes \[0, 1, 2\]"),
        ({0: 0.0, 1: 0.0, 2: 0.0}, "class_weight leaves no sample with a weight > 0"),
    ],
)
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_bad_class_weight(kind, class_weight, message):
    X, y = targets(kind)
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression(class_weight=class_weight).fit(X, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_features(bad):
    X, y = small_problem()
    X[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        SoftLabelLogisticRegression().fit(X, y)
    model = fit(np.nan_to_num(X, posinf=0.0), y)
    with pytest.raises(ValueError, match="Input X contains"):
        model.predict(X)


def test_other_number_of_features():
    X, y = small_problem()
    with pytest.raises(ValueError, match="X has 3 features"):
        fit(X, y).predict_proba(X[:, :3])


def test_columns_in_another_order_are_refused():
    X, y = small_problem()
    X = pd.DataFrame(X, columns=list("abcd"))
    model = SoftLabelLogisticRegression().fit(X, y)
    turned = X[list("dcba")]
    for call in (
        lambda: model.predict(turned),
        lambda: model.score(turned, y),
        lambda: model.partial_fit(turned, y),
        lambda: model.coef_inference(turned, y),
    ):
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            call()


def test_rows_in_another_order_are_refused():
    X, y = small_problem()
    labels = [f"row {i}" for i in range(len(X))]
    X = pd.DataFrame(X, index=labels)
    y = pd.DataFrame(y, index=labels)
    weight = pd.Series(1.0, index=labels)
    model = SoftLabelLogisticRegression().fit(X, y, weight)
    for call, name in (
        (lambda: SoftLabelLogisticRegression().fit(X, y[::-1]), "y"),
        (lambda: SoftLabelLogisticRegression().fit(X, y[0].round()[::-1]), "y"),
        (lambda: SoftLabelLogisticRegression().fit(X, y, weight[::-1]), "sample_weight"),
        (lambda: model.partial_fit(X, y[::-1]), "y"),
        (lambda: model.coef_inference(X, y, weight[::-1]), "sample_weight"),
        (lambda: model.coef_inference(X, y, groups=weight[::-1]), "groups"),
    ):
        with pytest.raises(ValueError, match=f"rows of X and {name} have different labels"):
            call()
    # Without labels of their own, and with others altogether, rows match by position.
    expected = fit(X.to_numpy(), y.to_numpy()[::-1])
    for other in (
        y[::-1].to_numpy(),
        y[::-1].reset_index(drop=True),
        y[::-1].set_axis(X.index),
    ):
        assert_same_model(fit(X, other), expected, atol=0)


# -- Sparse coefficients -------------------------------------------------------


@pytest.mark.parametrize("Model", [SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparsify(Model, n_classes):
    X, y = targets("soft", n_classes)
    params = {"Cs": [1.0], "cv": 2} if Model is SoftLabelLogisticRegressionCV else {}
    dense = Model(tol=1e-8, **params).fit(X, y)
    model = clone(dense).fit(X, y)
    assert model.sparsify().sparsify() is model
    assert issparse(model.coef_)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(dense, method)(X)
        for each in (model, pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
            np.testing.assert_array_equal(getattr(each, method)(X), expected)
    np.testing.assert_allclose(model.to_sklearn().predict_proba(X), dense.predict_proba(X))
    pd.testing.assert_frame_equal(model.coef_frame(), dense.coef_frame())
    pd.testing.assert_frame_equal(model.coef_inference(X, y), dense.coef_inference(X, y))
    assert model.densify().densify() is model
    np.testing.assert_array_equal(model.coef_, dense.coef_)
    with pytest.raises(NotFittedError):
        Model().sparsify()
    with pytest.raises(NotFittedError):
        Model().densify()


def test_fits_after_sparsify():
    X, y = small_problem()
    model = fit(X, y, l1_ratio=1.0, C=0.2, warm_start=True)
    coef = model.coef_
    kept = (coef != 0.0).any(axis=0)
    assert 0 < kept.sum() < 4
    selected = SelectFromModel(model.sparsify(), prefit=True, threshold=1e-12).transform(X)
    np.testing.assert_array_equal(selected, X[:, kept])
    assert model.fit(X, y).n_iter_ == 0
    np.testing.assert_array_equal(model.coef_, coef)
    model, expected = fit(X, y).sparsify(), fit(X, y)
    assert_same_model(model.partial_fit(X, y), expected.partial_fit(X, y), atol=0)


# -- Model selection -----------------------------------------------------------


def scores_by_hand(X, y, C, scorer, weight=None):
    scores = []
    for train, test in KFold(3).split(X):
        model = make_pipeline(StandardScaler(), SoftLabelLogisticRegression(C=C))
        fit_params = (
            {}
            if weight is None
            else {"softlabellogisticregression__sample_weight": weight[train]}
        )
        model.fit(X[train], y[train], **fit_params)
        kwargs = {} if weight is None else {"sample_weight": weight[test]}
        scores.append(scorer(model, X[test], y[test], **kwargs))
    return np.mean(scores)


def score_of_model(model, X, y):
    return model.score(X, y)


@pytest.mark.parametrize("scoring", [None, "neg_kl_loss", "d2_kl"])
def test_grid_search_with_soft_targets(scoring):
    X, _ = load("wine raw")
    y = soft_targets(X, 3)
    C = [0.01, 1.0, 100.0]
    model = Pipeline([("scale", StandardScaler()), ("logit", SoftLabelLogisticRegression())])
    scorer = None if scoring is None else get_scorer(scoring)
    search = GridSearchCV(
        model, {"logit__C": C}, scoring=scorer, cv=3, n_jobs=2, error_score="raise"
    )
    search.fit(X, y)
    expected = [scores_by_hand(X, y, c, scorer or score_of_model) for c in C]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-6)
    assert search.best_params_["logit__C"] == C[int(np.argmax(expected))]
    assert search.predict_proba(X).shape == y.shape
    assert search.score(X, y) > (-1.0 if scoring == "neg_kl_loss" else 0.0)


def test_cross_val_score_default_is_d2():
    X, y = small_problem()
    scores = cross_val_score(SoftLabelLogisticRegression(), X, y, cv=KFold(4))
    for score, (train, test) in zip(scores, KFold(4).split(X), strict=True):
        model = SoftLabelLogisticRegression().fit(X[train], y[train])
        expected = d2_kl_score(y[test], model.predict_proba(X[test]))
        assert score == pytest.approx(expected, rel=1e-12)


def test_routed_weights():
    X, _ = load("wine raw")
    y = soft_targets(X, 3)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=len(X))
    C = [0.01, 1.0]
    with config_context(enable_metadata_routing=True):
        logit = SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        scorer = get_scorer("neg_kl_loss").set_score_request(sample_weight=True)
        search = GridSearchCV(
            make_pipeline(StandardScaler().set_fit_request(sample_weight=False), logit),
            {"softlabellogisticregression__C": C},
            scoring=scorer,
            cv=3,
            error_score="raise",
        )
        search.fit(X, y, sample_weight=weight)
    expected = [scores_by_hand(X, y, c, get_scorer("neg_kl_loss"), weight) for c in C]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-6)


def test_routed_weights_of_the_default_score():
    X, y = small_problem()
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=len(X))
    with config_context(enable_metadata_routing=True):
        model = SoftLabelLogisticRegression()
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_val_score(model, X, y, cv=KFold(3), params={"sample_weight": weight})
    for score, (train, test) in zip(scores, KFold(3).split(X), strict=True):
        model = SoftLabelLogisticRegression().fit(X[train], y[train], weight[train])
        assert score == pytest.approx(model.score(X[test], y[test], weight[test]), rel=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_features_next_to_nothing_leave_the_intercept_alone(n_classes):
    X, y = targets("hard", n_classes)
    model = SoftLabelLogisticRegression(tol=1e-8).fit(1e-20 * X, y)
    frequencies = np.bincount(y, minlength=n_classes) / len(y)
    np.testing.assert_allclose(model.predict_proba(1e-20 * X[:1])[0], frequencies, atol=1e-6)


def test_tensors_are_exact_or_refused_by_name():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.5, 1.0], [2.0, -1.0], [-0.25, 0.5]])
    y = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    expected = SoftLabelLogisticRegression().fit(X.numpy(), y.numpy())
    short = X.bfloat16(), y.bfloat16()
    model = SoftLabelLogisticRegression().fit(*short)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    assert model.score(*short) == expected.score(X.numpy(), y.numpy())
    grad = X.clone().requires_grad_()
    for use in (lambda: model.fit(grad, y), lambda: model.predict_proba(grad)):
        with pytest.raises(TypeError, match=r"X is a tensor .*pass X\.detach"):
            use()
