"""SoftLabelLogisticRegression against scikit-learn's LogisticRegression, and its contract."""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix, issparse
from scipy.special import log_softmax, softmax
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.linear_model._data import check_data
from sklkl.metrics import kl_loss
from tests._support import reference as exact
from tests._support.layouts import LAYOUTS
from tests._support.messages import matches
from tests._support.problems import make_problem


@cache
def load(name, kind):
    """Return a data set, standardised unless raw, with labels of which a third is noise.

    Soft targets are those of a random linear teacher with noise.
    """
    X, y = getattr(datasets, f"load_{name.split()[0]}")(return_X_y=True)
    rng = np.random.default_rng(3)
    if name == "digits":
        # The reference takes the cube of the number of all coefficients.
        X, y = X[:300, ::3] / 16.0, y[:300]
    elif not name.endswith("raw"):
        X = StandardScaler().fit_transform(X)
    if kind == "hard":
        noise = rng.random(len(y)) < 1 / 3
        return X, np.where(noise, rng.integers(y.max() + 1, size=len(y)), y)
    Z = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-3)
    raw = Z @ rng.normal(size=(X.shape[1], y.max() + 1)) / np.sqrt(X.shape[1])
    return X, softmax(2.0 * raw + rng.normal(size=raw.shape), axis=1)


def data(kind="soft", n_classes=3):
    problem = make_problem(n_classes)
    return problem.X, problem.target(kind)


def fit(X, y, sample_weight=None, **params):
    """Fit to the rounding floor: where the penalty is weak, the objective is flat."""
    model = SoftLabelLogisticRegression(**{"tol": 1e-12, "max_iter": 10_000, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def reference(X, y, sample_weight=None, **params):
    """Fit LogisticRegression, to soft targets by a row for each class of a sample."""
    if np.ndim(y) == 2:
        n_samples, n_classes = y.shape
        y = y if sample_weight is None else y * sample_weight[:, None]
        X, sample_weight = np.repeat(X, n_classes, axis=0), y.ravel()
        y = np.tile(np.arange(n_classes), n_samples)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=1000, **params)
    return model.fit(X, y, sample_weight=sample_weight)


def assert_same_model(model, expected, atol=1e-6):
    assert_allclose(model.coef_, expected.coef_, rtol=0, atol=atol)
    assert_allclose(model.intercept_, expected.intercept_, rtol=0, atol=atol)


# -- The optimum ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "C", "weighted", "container", "fit_intercept"),
    [
        ("iris", "hard", 0.01, False, np.asarray, True),
        ("iris", "soft", 100.0, True, csr_array, True),
        ("wine", "hard", 100.0, True, csr_array, np.False_),
        ("wine raw", "soft", 1.0, False, np.asarray, True),
        ("breast_cancer", "soft", 0.01, True, csr_array, False),
        ("breast_cancer", "hard", 1.0, False, csr_array, True),
        ("breast_cancer raw", "hard", 100.0, True, np.asarray, True),
        ("digits", "hard", 0.01, True, np.asarray, True),
        ("digits", "soft", 1.0, False, csr_array, True),
        ("iris", "hard", np.inf, True, np.asarray, False),
        ("wine", "soft", np.inf, False, np.asarray, True),
        ("wine raw", "hard", np.inf, False, csr_array, True),
        ("breast_cancer", "hard", np.inf, True, np.asarray, True),
    ],
)
def test_optimum_is_that_of_scikit_learn(name, kind, C, weighted, container, fit_intercept):
    X, y = load(name, kind)
    weight = np.resize([0.0, 0.5, 1.0, 2.0], len(X)) if weighted else None
    params = {"C": C, "fit_intercept": fit_intercept}
    model, expected = fit(container(X), y, weight, **params), reference(X, y, weight, **params)
    assert model.classes_.tolist() == expected.classes_.tolist()
    assert fit_intercept == model.intercept_.any()
    if np.isfinite(C):
        assert_same_model(model, expected)
        return
    # Without a penalty, adding a vector to the rows of all classes changes nothing, and
    # nothing holds the coefficients of nearly dependent features.
    if len(expected.classes_) > 2:
        assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-8)
        expected.coef_ = expected.coef_ - expected.coef_.mean(axis=0)
        expected.intercept_ = expected.intercept_ - expected.intercept_.mean()
    assert_same_model(model, expected, atol=1e-5)
    assert_allclose(model.predict_log_proba(X), expected.predict_log_proba(X), atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_recovers_the_model_that_made_the_targets(n_classes):
    X, y = data(n_classes=n_classes)
    first = SoftLabelLogisticRegression(C=10).fit(X, y)
    second = fit(X, first.predict_proba(X), C=np.inf)
    assert second.loss_ < 1e-15
    assert_allclose(second.predict_log_proba(X), first.predict_log_proba(X), atol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_features_next_to_nothing_leave_the_intercept_alone(n_classes):
    X, y = data(n_classes=n_classes)
    model = SoftLabelLogisticRegression(tol=1e-8).fit(1e-20 * X, y)
    proba = model.predict_proba(1e-20 * X[:1])[0]
    assert_allclose(proba, y.mean(axis=0), atol=1e-6)


# -- Classes and their weights -------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "n_classes", "class_weight"),
    [
        ("soft", 3, "balanced"),
        ("soft", 2, {"b": 2.0, "a": 0.3}),
        ("hard", 3, "balanced"),
        ("hard", 2, {"b": 3.0}),
    ],
)
def test_class_weight(kind, n_classes, class_weight):
    """By label; "balanced" counts the weights of rows, and so repetitions."""
    X, y, weight = *data(kind, n_classes), make_problem().weight
    names = ["a", "b", "c"][:n_classes]
    params = {"class_weight": class_weight, "classes": names, "C": 0.5}
    model = fit(X, y if kind == "soft" else np.array(names)[y], weight, **params)
    if class_weight == "balanced":
        mass = weight @ (y if kind == "soft" else np.eye(n_classes)[y])
        class_weight = dict(zip(names, mass.sum() / (n_classes * mass), strict=True))
    by_code = {names.index(name): value for name, value in class_weight.items()}
    assert_same_model(model, reference(X, y, weight, class_weight=by_code, C=0.5))


def test_class_of_weight_zero():
    """The remaining classes get what they get alone; the intercept of the other falls."""
    X, y, weight = *data(), make_problem().weight
    model = fit(X, y, weight, class_weight={1: 0.0}, tol=1e-8)
    assert model.predict_proba(X)[:, 1].max() < 1e-5
    rest = y[:, [0, 2]]
    mass = rest.sum(axis=1)
    # Two rows of coefficients w and -w have half the penalty of a single one, 2 w.
    alone = fit(X, rest / mass[:, None], weight * mass, C=2.0)
    assert_allclose(model.predict_proba(X)[:, [0, 2]], alone.predict_proba(X), atol=1e-4)
    X, y = data(n_classes=2)
    model = SoftLabelLogisticRegression(class_weight={1: 0.0}, tol=1e-6).fit(X, y)
    assert_allclose(model.predict_proba(X)[:, 0], 1.0, atol=1e-4)


def test_class_weight_may_empty_a_row():
    """A sample all of whose mass is on a class of weight 0 counts for nothing."""
    X, y = data()[0], data()[1].copy()
    y[:5] = [0.0, 1.0, 0.0]
    params = {"class_weight": {1: 0.0}, "C": 0.5, "tol": 1e-6}
    # Class 1 has no mass at all, so its intercept has no finite optimum: compare losses.
    everything, rest = fit(X, y, **params), fit(X[5:], y[5:], **params)
    assert everything.loss_ == pytest.approx(rest.loss_, abs=1e-5)
    assert_allclose(everything.predict_proba(X), rest.predict_proba(X), atol=1e-4)


def test_classes_name_and_order_the_columns():
    X, y = data()
    model, plain = fit(X, y, classes=["b", "c", "a"]), fit(X, y)
    assert model.classes_.tolist() == ["b", "c", "a"]
    assert_same_model(model, plain, atol=0)
    assert_array_equal(model.predict(X), model.classes_[plain.predict(X)])
    frame = pd.DataFrame(y, columns=["b", "c", "a"])
    model = fit(X, frame, classes=["a", "b", "c"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert_same_model(model, fit(X, y[:, [2, 0, 1]]), atol=0)


@pytest.mark.parametrize("names", [["a", "b", "c"], [False, True]])
def test_classes_of_labels_are_sorted(names):
    """scikit-learn's scorers of probabilities take that for granted."""
    X, y = data("hard", len(names))
    names = np.asarray(names)
    # The first is moved to the end, which is no reversal.
    model, expected = fit(X, names[y], classes=np.roll(names, -1)), fit(X, y)
    assert_array_equal(model.classes_, names)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(model.predict(X), names[expected.predict(X)])


@pytest.mark.parametrize(("class_weight", "share"), [(None, 2.0), ("balanced", 4.0 / 3.0)])
def test_absent_classes_keep_a_column(class_weight, share):
    """Two rows of coefficients w and -w have half the penalty of a single one, 2 w.

    And "balanced" shares the mass among all three classes.
    """
    X, y = data("hard", 2)
    params = {"class_weight": class_weight, "tol": 1e-6}
    model = fit(X, y, classes=[0, 1, 2], C=0.01, **params)
    assert model.coef_.shape == (3, X.shape[1])
    proba = model.predict_proba(X)
    assert proba[:, 2].max() < 1e-5
    alone = fit(X, y, C=0.01 * share, **params)
    assert_allclose(proba[:, :2], alone.predict_proba(X), atol=1e-4)


# -- Kinds of X and y ----------------------------------------------------------


def duplicates(X):
    """Return a CSR array in which every entry stands twice, as two halves, backwards."""
    n, d = X.shape
    columns = np.tile(np.repeat(np.arange(d), 2)[::-1], n)
    halves = np.repeat(X / 2, 2, axis=1)[:, ::-1].ravel()
    return csr_array((halves, columns, np.arange(0, 2 * n * d + 1, 2 * d)), shape=(n, d))


FORMATS = (np.ndarray.tolist, csr_array, csr_matrix, csc_array, coo_array, duplicates)
KINDS = {**LAYOUTS, **{make.__name__: make for make in FORMATS}}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_X(kind):
    X, y = data()
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    other = KINDS[kind](X)
    before = other.copy()
    model, expected = fit(other, y), fit(X, y)
    assert_same_model(model, expected, atol=1e-9)
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        got = getattr(model, method)(other)
        assert_allclose(got, getattr(expected, method)(X), atol=1e-8)
    if kind == "duplicates":
        assert_array_equal(other.data, before.data)
        assert_array_equal(other.indices, before.indices)


def test_X_that_is_not_aligned_is_copied_once():
    X, y = data()
    checked = check_data(SoftLabelLogisticRegression(), LAYOUTS["unaligned"](X), y, None)
    assert checked.X.flags.aligned
    assert check_data(SoftLabelLogisticRegression(), X, y, None).X is X


@pytest.mark.parametrize("n_classes", [2, 5, 520])
def test_dependent_features_in_float32(n_classes):
    """Coefficients that nothing determines do not grow with the rounding of gradients."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(1000, 4))
    y = softmax(Z @ rng.normal(size=(4, n_classes)), axis=1)
    for column in (Z[:, :1], Z[:, :2] @ [[1.0], [2.0]]):
        X = np.hstack([Z, column])
        models = [SoftLabelLogisticRegression(C=np.inf).fit(X.astype(t), y) for t in "fd"]
        sizes = [np.abs(model.coef_).max() for model in models]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


@pytest.mark.parametrize(
    ("kind", "n_classes", "container"),
    [("soft", 2, np.asarray), ("hard", 3, np.asarray), ("soft", 3, csc_array)],
)
def test_float32(kind, n_classes, container):
    X, y = data(kind, n_classes)
    X32 = X.astype(np.float32)
    model = SoftLabelLogisticRegression(tol=1e-5).fit(container(X32), y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.predict_proba(container(X32)).dtype == np.float32
    expected = fit(X32.astype(np.float64), y)
    assert_allclose(model.coef_, expected.coef_, atol=2e-3)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-3)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-2)
    # Rows of float64 are not rounded.
    raw = X @ model.coef_.T.astype(np.float64) + model.intercept_
    got = model.decision_function(X)
    assert_allclose(got, raw[:, 0] if n_classes == 2 else raw, rtol=1e-12)
    # Nor do targets of float32 lower the precision.
    if kind == "soft":
        model = fit(X, y.astype(np.float32))
        assert model.coef_.dtype == np.float64
        assert_allclose(model.coef_, fit(X, y).coef_, atol=1e-6)


def test_tensors_are_exact_or_refused_by_name():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.5, 1.0], [2.0, -1.0], [-0.25, 0.5]])
    y = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    model = SoftLabelLogisticRegression().fit(X.bfloat16(), y.bfloat16())
    expected = SoftLabelLogisticRegression().fit(X.numpy(), y.numpy())
    assert_array_equal(model.coef_, expected.coef_)
    grad = X.clone().requires_grad_()
    for use in (lambda: model.fit(grad, y), lambda: model.predict_proba(grad)):
        with pytest.raises(TypeError, match=r"X is a tensor .*pass X\.detach"):
            use()


# -- Predictions and loss ------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_predictions_follow_from_the_coefficients(n_classes):
    X, y = data(n_classes=n_classes)
    model = fit(X, y)
    n_logits = 1 if n_classes == 2 else n_classes
    assert model.coef_.shape == (n_logits, X.shape[1])
    assert model.intercept_.shape == (n_logits,)
    raw = X @ model.coef_.T + model.intercept_
    wanted = raw[:, 0] if n_classes == 2 else raw
    assert_allclose(model.decision_function(X), wanted, rtol=1e-12)
    if n_classes == 2:
        raw = np.hstack([np.zeros((len(X), 1)), raw])
    assert_allclose(model.predict_proba(X), softmax(raw, axis=1), rtol=1e-13)
    log_proba = model.predict_log_proba(X)
    assert_allclose(log_proba, log_softmax(raw, axis=1), rtol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[raw.argmax(axis=1)])


@pytest.mark.parametrize("coef", [[1.0], [0.0, 1.0, -1.0]])
def test_log_proba_of_huge_margins(coef):
    n_classes = max(2, len(coef))
    model = SoftLabelLogisticRegression(fit_intercept=False)
    model.fit(np.zeros((n_classes, 1)), np.arange(n_classes))
    model.coef_ = np.array(coef)[:, None]
    # Of classes that are equally probable the first is predicted.
    assert model.predict([[0.0]]) == [0]
    margin = np.array([0.0, 1e-9, 1.0, 37.0, 100.0, 700.0, 1e4, 1e300])
    margin = np.r_[margin, -margin][:, None]
    logits = margin * (coef if len(coef) > 1 else [0.0, *coef])
    for got, row in zip(model.predict_log_proba(margin), logits, strict=True):
        wanted = exact.log_softmax(row, digits=exact.DIGITS_OF_TINY)
        errors = [exact.error(a, b, atol=1e-308) for a, b in zip(got, wanted, strict=True)]
        assert max(errors) < 1e-15
    assert_allclose(model.predict_proba(margin).sum(axis=1), 1.0, rtol=1e-15)


@pytest.mark.parametrize(
    ("kind", "n_classes", "params", "weighted"),
    [
        ("soft", 2, {}, True),
        ("soft", 3, {"C": np.inf}, False),
        ("hard", 2, {"C": np.inf}, False),
        ("hard", 3, {"l1_ratio": 0.5, "C": 0.3}, True),
    ],
)
def test_loss(kind, n_classes, params, weighted):
    X, y = data(kind, n_classes)
    weight = make_problem().weight if weighted else None
    model = SoftLabelLogisticRegression(**params).fit(X, y, weight)
    assert isinstance(model.loss_, float)
    expected = kl_loss(y, model.predict_proba(X), sample_weight=weight)
    assert model.loss_ == pytest.approx(expected, rel=1e-11)


# -- Fits after fits -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_warm_start(kind):
    X, y = data(kind)
    model = SoftLabelLogisticRegression(warm_start=True, tol=1e-8).fit(X, y)
    first_n_iter = model.n_iter_
    assert model.fit(X, y).n_iter_ == 0
    model.set_params(C=1.1).fit(X, y)
    assert 0 < model.n_iter_ < first_n_iter
    assert_same_model(model, fit(X, y, C=1.1), atol=1e-5)
    # Across intercepts and precisions.
    model.set_params(fit_intercept=False).fit(X, y).set_params(fit_intercept=True).fit(X, y)
    assert_same_model(model, fit(X, y, C=1.1), atol=1e-5)
    model.set_params(tol=1e-5).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32


def test_warm_start_refuses_other_data():
    X, y = data()
    model = SoftLabelLogisticRegression(warm_start=True).fit(X, y)
    for classes in (["a", "b", "c"], [2, 1, 0]):
        message = matches("the last fit had the classes [0, 1, 2], now they are", classes)
        with pytest.raises(ValueError, match=message):
            model.fit(X, pd.DataFrame(y, columns=classes))
    with pytest.raises(ValueError, match="the last fit had 4 features, now there are 3"):
        model.fit(X[:, :3], y)


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.3, "C": 2.0}])
def test_verbose_prints_each_iteration(capsys, params):
    model = SoftLabelLogisticRegression(**params).fit(*data())
    assert capsys.readouterr().out == ""
    model.set_params(verbose=1).fit(*data())
    lines = capsys.readouterr().out.splitlines()
    numbers = [line.split(":")[0] for line in lines]
    assert numbers == [f"iteration {n}" for n in range(model.n_iter_ + 1)]
    values = [float(line.split("objective ")[1].split(",")[0]) for line in lines]
    gradients = [float(line.split("gradient ")[1]) for line in lines]
    assert values == sorted(values, reverse=True)
    assert gradients[-1] < 0.1 * gradients[0]


@pytest.mark.parametrize(
    "model", [SoftLabelLogisticRegression(), SoftLabelLogisticRegressionCV(Cs=2, cv=2)]
)
def test_failed_fit_leaves_the_model_as_it_was(model):
    """The objective finds what is not finite only after names have been taken."""
    X, y = data()
    bad = pd.DataFrame(X[:, :2].copy(), columns=["c", "d"])
    bad.iloc[3, 1] = np.inf
    frame = pd.DataFrame(X, columns=list("abef"))
    for state in (model, model.fit(frame, y)):
        before = dict(vars(state))
        with pytest.raises(ValueError, match="Input X contains infinity"):
            model.fit(bad, y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)


# -- What becomes of a model ---------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kind", "n_classes", "dtype"),
    [
        (SoftLabelLogisticRegression(C=2.0), "soft", 3, np.float32),
        (SoftLabelLogisticRegression(C=2.0, l1_ratio=0.5), "hard", 2, np.float64),
        (SoftLabelLogisticRegressionCV(Cs=[2.0], cv=2), "hard", 3, np.float64),
        (SoftLabelLogisticRegressionCV(Cs=[2], l1_ratios=[0.5]), "soft", 2, np.float64),
    ],
)
def test_to_sklearn(model, kind, n_classes, dtype):
    problem = make_problem(classes=tuple("xyz")[:n_classes])
    frame = pd.DataFrame(problem.X.astype(dtype), columns=list("abcd"))
    model.set_params(classes=list("xyz")[:n_classes]).fit(frame, problem.target(kind))
    plain = model.to_sklearn()
    assert type(plain) is LogisticRegression
    assert not np.shares_memory(plain.coef_, model.coef_)
    plain = pickle.loads(pickle.dumps(plain))
    assert plain.C == 2.0
    l1_ratio = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 0.0))
    assert (plain.l1_ratio or 0.0) == l1_ratio
    assert plain.n_iter_.tolist() == [np.max(model.n_iter_)]
    assert plain.n_features_in_ == 4
    for name in ("classes_", "feature_names_in_"):
        assert_array_equal(getattr(plain, name), getattr(model, name))
    assert_array_equal(plain.predict(frame), model.predict(frame))
    for method in ("decision_function", "predict_proba"):
        assert_allclose(
            getattr(plain, method)(frame), getattr(model, method)(frame), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    ("model", "n_classes"),
    [
        (SoftLabelLogisticRegression(tol=1e-8), 3),
        (SoftLabelLogisticRegressionCV(Cs=[1.0], cv=2, tol=1e-8), 2),
    ],
)
def test_sparsify(model, n_classes):
    X, y = data(n_classes=n_classes)
    dense = clone(model).fit(X, y)
    assert model.fit(X, y).sparsify().sparsify() is model
    assert issparse(model.coef_)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(dense, method)(X)
        for each in (model, pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
            assert_array_equal(getattr(each, method)(X), expected)
    assert_allclose(model.to_sklearn().predict_proba(X), dense.predict_proba(X))
    pd.testing.assert_frame_equal(model.coef_frame(), dense.coef_frame())
    pd.testing.assert_frame_equal(model.coef_inference(X, y), dense.coef_inference(X, y))
    assert model.densify().densify() is model
    assert type(model.coef_) is np.ndarray
    assert_array_equal(model.coef_, dense.coef_)


def test_fits_after_sparsify():
    X, y = data()
    model = fit(X, y, l1_ratio=1.0, C=0.08, warm_start=True)
    coef = model.coef_
    assert_array_equal(model.sparsify().coef_.toarray(), coef)
    assert model.fit(X, y).n_iter_ == 0
    assert_array_equal(model.coef_, coef)
    model, expected = fit(X, y).sparsify(), fit(X, y)
    assert_same_model(model.partial_fit(X, y), expected.partial_fit(X, y), atol=0)


@pytest.mark.parametrize("Model", [SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV])
def test_unfitted(Model):
    data = {"coef_inference": (np.eye(2), np.eye(2))}
    for method in ("to_sklearn", "sparsify", "densify", "coef_frame", "coef_inference"):
        with pytest.raises(NotFittedError):
            getattr(Model(), method)(*data.get(method, ()))


# -- What is refused -----------------------------------------------------------


REFUSED = {
    "C": ([None, "1", 0, -1.0, np.nan, True, [1.0], 1j], "must be a number > 0, np.inf for"),
    "l1_ratio": ([-0.1, 1.1], "must be a number from 0 to 1"),
    "fit_intercept": ([1, "True"], "must be True or False; got "),
    "classes": (["ab"], "must be a list of labels"),
    "class_weight": (["balance", [1.0, 2.0]], "must be a dict, 'balanced' or None"),
    "class_weight[0]": (["2", -1.0, np.inf], "must be a finite number >= 0"),
    "solver": ([None, "newton"], "must be one of ('auto', "),
    "tol": ([0, np.inf], "must be a finite number > 0; got "),
    "max_iter": ([0, 10.0, True], "must be an integer >= 1; got "),
    "warm_start": ([None], "must be True or False; got "),
    "verbose": ([-1, "1"], "must be True or False or an integer >= 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_parameters(name):
    """Each is named with what it must be, before any work, and nothing is left behind."""
    values, message = REFUSED[name]
    for value in values:
        params = {"class_weight": {0: value}} if "[" in name else {name: value}
        model = SoftLabelLogisticRegression(**params)
        with pytest.raises(ValueError, match=matches(name, message)):
            model.fit([[0.0], [1.0]], [[0.3, 0.7], [0.6, 0.4]])
        assert not hasattr(model, "n_features_in_")


HALVES = np.full((4, 2), 0.5)
NOTHING = {0: 0.0, 1: 0.0}


@pytest.mark.parametrize(
    ("y", "params", "parts"),
    [
        (HALVES, {"solver": "lbfgs", "l1_ratio": 0.5}, ["solver='lbfgs'", "l1_ratio=0.5"]),
        (["a"] * 4, {}, ["y holds only 1 class, 'a'; at least two are needed"]),
        (list("abca"), {"classes": ["a", "b"]}, ["y[2] is", "'c'", "not one of the classes"]),
        (HALVES, {"class_weight": {7: 2.0}}, ["names [7], not among the classes [0, 1]"]),
        (HALVES, {"class_weight": NOTHING}, ["class_weight leaves no sample with a weight"]),
        ([0, 1, 1, 0], {"class_weight": NOTHING}, ["class_weight leaves no sample"]),
    ],
)
def test_what_does_not_go_together(y, params, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        SoftLabelLogisticRegression(**params).fit(np.arange(4.0)[:, None], y)


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize(("bad", "what"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_bad_features(bad, what, container):
    X, y = data()
    model = SoftLabelLogisticRegression().fit(X, y)
    X = X.copy()
    X[3, 1] = bad
    for call in (model.predict, lambda X: SoftLabelLogisticRegression().fit(X, y)):
        with pytest.raises(ValueError, match=f"Input X contains {what}"):
            call(container(X))


def test_names_are_matched_by_all_methods():
    labels = [f"row {i}" for i in range(90)]
    X = pd.DataFrame(data()[0], index=labels, columns=list("abcd"))
    y = pd.DataFrame(data()[1], index=labels)
    model = SoftLabelLogisticRegression().fit(X, y)
    for call in (model.partial_fit, model.coef_inference):
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            call(X[list("dcba")], y)
        with pytest.raises(ValueError, match="rows of X and y have different labels"):
            call(X, y[::-1])
        with pytest.raises(ValueError, match="X and sample_weight have different labels"):
            call(X, y, sample_weight=y[0][::-1])
    with pytest.raises(ValueError, match="rows of X and groups have different labels"):
        model.coef_inference(X, y, groups=y[0][::-1])
    # Without labels of their own, rows match by position.
    expected = fit(X.to_numpy(), y.to_numpy()[::-1])
    assert_same_model(fit(X, y[::-1].reset_index(drop=True)), expected, atol=0)
