"""Standard errors of coefficients against statsmodels, plain formulas and simulations."""

import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    StandardScaler,
)

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _rows,
    coef_frame,
    coef_inference,
)
from sklkl.linear_model._inference import sandwich_covariance
from sklkl.metrics import get_scorer
from tests._support.messages import matches


def make_problem(n_classes=2, soft=True, n_samples=200, concentration=4.0, seed=0):
    """Return features, and targets around (or labels drawn from) a softmax of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3)) * [1.0, 2.0, 0.5] + [0.0, 1.0, 0.0]
    W = np.random.default_rng(99).normal(size=(3, n_classes)) / [[1.0], [2.0], [0.5]]
    return X, draw(softmax(0.7 * X @ W, axis=1), soft, concentration, rng)


def draw(mean, soft, concentration, rng):
    if not soft:
        return (rng.random((len(mean), 1)) > mean.cumsum(axis=1)[:, :-1]).sum(axis=1)
    gamma = rng.standard_gamma(concentration * mean) + 1e-300
    return gamma / gamma.sum(axis=1, keepdims=True)


def weights_for(X):
    return np.random.default_rng(5).uniform(0.2, 3.0, size=X.shape[0])


def groups_for(X):
    return np.random.default_rng(6).choice(["a", "b", "c", "d", "e", "f"], size=X.shape[0])


def fit(X, y, sample_weight=None, **params):
    model = SoftLabelLogisticRegression(**{"C": np.inf, "tol": 1e-10, **params})
    return model.fit(X, y, sample_weight=sample_weight)


def errors(model, *data, **options):
    return model.coef_inference(*data, **options)["std_error"].to_numpy()


# -- statsmodels and plain formulas --------------------------------------------


@pytest.mark.filterwarnings("ignore:cov_type not fully supported with var_weights")
@pytest.mark.parametrize(
    ("soft", "weighted", "fit_intercept", "clustered"),
    [
        *((True, True, True, False), (True, False, False, True)),
        *((False, True, True, True), (False, False, False, False)),
    ],
)
def test_binary_as_statsmodels_glm(soft, weighted, fit_intercept, clustered):
    sm = pytest.importorskip("statsmodels.api")
    X, y = make_problem(soft=soft)
    weight = weights_for(X) if weighted else None
    groups = groups_for(X) if clustered else None
    model = fit(X, y, weight, fit_intercept=fit_intercept)
    frame = model.coef_inference(X, y, weight, groups=groups, confidence_level=0.9)
    design = np.column_stack([X, np.ones(len(X))]) if fit_intercept else X
    peer = sm.GLM(y[:, 1] if soft else y, design, sm.families.Binomial(), var_weights=weight)
    robust = {"cov_type": "HC0"}
    if clustered:
        cov_kwds = {"groups": np.unique(groups, return_inverse=True)[1]}
        robust = {"cov_type": "cluster", "cov_kwds": cov_kwds | {"use_correction": False}}
    result = peer.fit(tol=1e-14, maxiter=100, **robust)
    assert list(frame) == ["coef", "std_error", "z", "p_value", "low", "high"]
    assert_allclose(frame["coef"], result.params, rtol=1e-6, atol=1e-8)
    assert_allclose(frame["std_error"], result.bse, rtol=1e-6)
    assert_allclose(frame["z"], result.tvalues, rtol=1e-6, atol=1e-6)
    assert_allclose(frame["p_value"], result.pvalues, rtol=1e-5)
    assert_allclose(frame[["low", "high"]], result.conf_int(alpha=0.1), rtol=1e-6, atol=1e-7)


def plain_errors(model, X, y, weight, groups):
    """Return the errors by loops and a pseudo-inverse, every class with parameters."""
    design = np.column_stack([X, np.ones(len(X))]) if model.fit_intercept else X
    n_classes, size = len(model.classes_), design.shape[1]
    penalised = np.r_[np.ones(X.shape[1]), np.zeros(size - X.shape[1])] / model.C
    if n_classes == 2:
        penalised *= 2.0  # two rows of coefficients w / 2 and -w / 2, of half the norm of w
    proba = model.predict_proba(X)
    hessian = np.diag(np.tile(penalised, n_classes))
    scores = {}
    for x, p, t, s, g in zip(design, proba, y, weight, groups, strict=True):
        hessian += s * np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x))
        scores[g] = scores.get(g, 0.0) + s * np.kron(p - t, x)
    centred = np.array(list(scores.values()))
    centred -= centred.mean(axis=0)
    bread = np.linalg.pinv(hessian, rcond=1e-10)
    found = np.sqrt(np.diag(bread @ (centred.T @ centred) @ bread))
    return 2.0 * found[size:] if n_classes == 2 else found


@pytest.mark.parametrize(
    ("n_classes", "params", "clustered", "chunk", "container"),
    [
        (4, {}, False, 100, np.asarray),  # 8 or 11 rows at a time
        (4, {"C": 0.05, "fit_intercept": False}, True, 100, csr_array),
        (4, {"C": 0.05}, True, None, np.asarray),
        (2, {"C": 0.02}, False, None, csr_array),
    ],
)
def test_as_plain_formula(n_classes, params, clustered, chunk, container, monkeypatch):
    if chunk:
        monkeypatch.setattr(_rows, "SCORE_SLICE", chunk)
    X, y = make_problem(n_classes=n_classes)
    X[np.abs(X) < 0.5] = 0.0
    weight, groups = weights_for(X), groups_for(X) if clustered else None
    model = fit(X, y, weight, **params)
    frame = model.coef_inference(container(X), y, weight, groups=groups)
    expected = plain_errors(model, X, y, weight, groups if clustered else np.arange(len(X)))
    assert_allclose(frame["std_error"], expected, rtol=1e-6)
    assert_allclose(frame["coef"], model.coef_frame().to_numpy().T.ravel(), rtol=0, atol=1e-12)


# -- contrasts to a class ------------------------------------------------------


@pytest.mark.parametrize("base", [0, 2])
def test_contrasts_as_statsmodels_mnlogit(base):
    sm = pytest.importorskip("statsmodels.api")
    X, y = make_problem(n_classes=4, soft=False)
    frame = fit(X, y).coef_inference(X, y, base=base)
    order = [base, *(k for k in range(4) if k != base)]
    codes = np.argsort(order)[y]  # its base is the least label
    peer = sm.MNLogit(codes, np.column_stack([X, np.ones(len(X))]))
    result = peer.fit(disp=False, tol=1e-14, maxiter=100, cov_type="HC0")
    assert_allclose(frame["coef"], result.params.T.ravel(), rtol=1e-6, atol=1e-8)
    assert_allclose(frame["std_error"], result.bse.T.ravel(), rtol=1e-6)
    assert frame.index.unique("class").tolist() == order[1:]


@pytest.mark.parametrize("C", [np.inf, 0.05])
def test_contrasts_to_the_first_of_two_classes_are_the_coefficients(C):
    X, y = make_problem()
    model = fit(X, y, weights_for(X), C=C, classes=["no", "yes"])
    data = X, y, weights_for(X)
    expected = model.coef_inference(*data)
    pd.testing.assert_frame_equal(model.coef_inference(*data, base="no"), expected)
    other = model.coef_inference(*data, base="yes")
    assert_array_equal(other["coef"], -expected["coef"])
    assert_array_equal(other["std_error"], expected["std_error"])
    assert other.index.unique("class").tolist() == ["no"]


def test_contrasts_of_a_penalised_model_are_differences():
    """Their errors are those of the covariance by the plain formula."""
    X, y = make_problem(n_classes=3)
    X = X.astype(np.float32)
    model = fit(X, y, C=0.05, tol=1e-6, classes=["a", "b", "c"])
    every, contrast = model.coef_frame(), model.coef_frame(base="b")
    assert list(contrast) == ["a", "c"]
    assert (contrast.dtypes == np.float32).all()
    assert_allclose(contrast, every[["a", "c"]].sub(every["b"], axis=0), rtol=1e-6)
    frame = model.coef_inference(X, y, base="b")
    assert_allclose(frame.loc["c", "coef"], contrast["c"], rtol=1e-6)
    _, covariance, scale, _ = sandwich_covariance(model, X, y)
    covariance = covariance / np.outer(scale, scale)
    change = np.kron([[0.0, -1.0, 1.0]], np.eye(4))
    error = np.sqrt(np.diag(change @ covariance @ change.T))
    assert_allclose(frame.loc["c", "std_error"], error, rtol=1e-9)


def test_other_bases_are_refused(binary):
    model, *data = binary
    for base in (2, [1], memoryview(bytearray(1))):
        message = matches("base must be one of the classes [0, 1]; got", base)
        with pytest.raises(ValueError, match=message):
            model.coef_frame(base=base)
        with pytest.raises(ValueError, match=message):
            coef_inference(model, *data, base=base)


# -- simulations ---------------------------------------------------------------


def test_errors_of_soft_targets_are_smaller_than_model_based_ones():
    """The beta distribution has 1 / (1 + concentration) of the variance of a label."""
    sm = pytest.importorskip("statsmodels.api")
    X, y = make_problem(n_samples=20_000, concentration=8.0)
    design = np.column_stack([X, np.ones(len(X))])
    naive = sm.GLM(y[:, 1], design, sm.families.Binomial()).fit().bse
    assert_allclose(errors(fit(X, y), X, y), naive / 3, rtol=0.05)


def coverage(n_classes, soft, grouped, n_sets):
    """Return the share of 95% intervals that hold the true coefficient."""
    W = np.array([[1.0, -0.5], [0.3, 0.8], [-0.4, -0.2]])[:n_classes]
    W = W - (W[:1] if n_classes == 2 else W.mean(axis=0))
    true, inside = W[n_classes == 2 :].ravel(), []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(300, 1))
        y = draw(softmax(np.hstack([x, np.ones_like(x)]) @ W.T, axis=1), soft, 5.0, rng)
        rows = np.repeat(np.arange(300), 3 if grouped else 1)  # that differ in nothing
        x, y = x[rows], y[rows]
        model = fit(x, y, tol=1e-5)
        frame = model.coef_inference(x, y, groups=rows if grouped else None)
        inside.append(frame["low"].lt(true) & frame["high"].gt(true))
    return np.mean(inside)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "soft", "grouped"),
    [*((k, soft, False) for k in (2, 3) for soft in (True, False)), (2, True, True)],
)
def test_coverage(n_classes, soft, grouped):
    assert 0.93 <= coverage(n_classes, soft, grouped, 1000) <= 0.97


def test_coverage_in_few_data_sets():
    """Errors without groups would be 1.7 times smaller, those of labels 2.4 times larger."""
    assert 0.89 <= coverage(3, True, True, 50) <= 0.99


@pytest.mark.parametrize(
    ("n_sets", "rtol"), [(60, 0.2), pytest.param(1000, 0.07, marks=pytest.mark.slow)]
)
def test_errors_under_a_strong_penalty_are_deviations_over_data_sets(n_sets, rtol):
    """Without taking off the mean gradient they would be 57% too large."""
    coefs, found = [], []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(150, 1))
        p = expit(2.5 * x)
        y = draw(np.hstack([1 - p, p]), True, 30.0, rng)
        model = fit(x, y, C=0.02, fit_intercept=False)
        coefs.append(model.coef_[0, 0])
        found.append(errors(model, x, y)[0])
    assert_allclose(np.mean(found), np.std(coefs), rtol=rtol)  # 9 or 2.2% of chance


# -- weights, groups and classes -----------------------------------------------


def test_rows_of_weight_zero_are_as_good_as_absent():
    X, y = make_problem(n_classes=3)
    weight, groups = weights_for(X), groups_for(X)
    weight[::5] = weight[groups == "c"] = 0
    kept = weight > 0
    model = fit(X, y, weight, C=0.1)
    few = errors(model, X[kept], y[kept], weight[kept], groups=groups[kept])
    assert_allclose(errors(model, X, y, weight, groups=groups), few, rtol=1e-10)


def test_a_weight_of_two_is_a_group_of_two_rows():
    X, y = make_problem(n_classes=3)
    counts = np.random.default_rng(0).integers(1, 4, size=len(X))
    model = fit(X, y, counts, C=0.1)
    row = np.repeat(np.arange(len(X)), counts)
    repeated = errors(model, X[row], y[row], groups=row)
    assert_allclose(errors(model, X, y, counts), repeated, rtol=1e-9)


def test_class_weights_are_weights_and_other_targets():
    X, labels = make_problem(n_classes=3, soft=False)
    _, soft = make_problem(n_classes=3)
    mass = soft @ [2.0, 1.0, 0.3]
    other = soft * [2.0, 1.0, 0.3] / mass[:, np.newaxis]
    of_labels = len(labels) / (3 * np.bincount(labels))[labels]
    for y, class_weight, expected in (
        (labels, "balanced", (X, labels, of_labels)),
        (soft, {0: 2.0, 2: 0.3}, (X, other, mass)),
    ):
        found = errors(fit(X, y, class_weight=class_weight), X, y)
        assert_allclose(found, errors(fit(*expected), *expected), rtol=1e-6)


# -- numbers of any size -------------------------------------------------------


@pytest.mark.parametrize(
    ("n_classes", "scale", "container"),
    [(2, 1e-160, np.asarray), (3, 1e-150, csr_array), (3, 1e160, np.asarray)],
)
def test_features_whose_squares_overflow_or_vanish(n_classes, scale, container):
    X, y = make_problem(n_classes=n_classes)
    scales = np.tile([scale, scale, 1.0, 1.0], n_classes if n_classes > 2 else 1)
    model = fit(X, y)
    expected = model.coef_inference(X, y)
    model.coef_ = model.coef_ / scales[:3]
    frame = model.coef_inference(container(X * scales[:3]), y)
    assert_allclose(frame["std_error"] * scales, expected["std_error"], rtol=1e-9)
    assert_allclose(frame[["z", "p_value"]], expected[["z", "p_value"]], rtol=1e-6)


@pytest.mark.parametrize(("scale", "C"), [(2e299, 1.0), (1e-300, 1.0), (1e-300, np.inf)])
def test_weights_of_any_size(scale, C):
    X, y = make_problem(n_classes=3)
    weight = weights_for(X)
    model = fit(X, y, weight, C=C)
    expected = model.coef_inference(X, y, weight)
    model.set_params(C=C / scale)
    assert_allclose(model.coef_inference(X, y, scale * weight), expected, rtol=1e-9)


def test_penalty_of_any_size():
    """Coefficients and errors are in proportion to C where it is small."""
    X, y = make_problem()
    expected = fit(X, y, C=1e-9).coef_inference(X, y)
    frame = fit(X, y, C=1e-300).coef_inference(X, y)
    factors = [1e291, 1e291, 1e291, 1.0]
    assert_allclose(frame["std_error"] * factors, expected["std_error"], rtol=1e-5)
    assert np.isfinite(frame).all(axis=None)


# -- what goes in and what comes out -------------------------------------------


def test_frames_have_names():
    X, y = make_problem(n_classes=3)
    expected = fit(X, y).coef_inference(X, y)
    X = pd.DataFrame(X, columns=["age", "height", "dose"])
    Y = pd.DataFrame(y, columns=["no", "some", "much"])
    model = fit(X, Y)
    coef = model.coef_frame()
    assert list(coef.columns) == ["no", "some", "much"]
    assert list(coef.index) == ["age", "height", "dose", "intercept"]
    assert_array_equal(coef.to_numpy(), np.vstack([model.coef_.T, model.intercept_]))
    frame = model.coef_inference(X, Y[["much", "no", "some"]])  # put in order, as by fit
    assert frame.index.names == ["class", "feature"]
    assert list(frame.loc["some"].index) == ["age", "height", "dose", "intercept"]
    assert_allclose(frame, expected, rtol=1e-9)
    assert_allclose(frame.loc["much", "coef"], coef["much"], rtol=1e-9)


def test_frames_of_a_binary_model_without_names_or_intercept():
    X, y = make_problem()
    X = X.astype(np.float32)
    model = fit(X, y, tol=1e-4, fit_intercept=False, classes=["no", "yes"])
    frame = model.coef_frame()
    expected = pd.DataFrame(model.coef_.T, columns=["yes"], index=["x0", "x1", "x2"])
    pd.testing.assert_frame_equal(frame, expected, check_names=False)
    assert (frame.dtypes == np.float32).all()
    frame = model.coef_inference(X, y)
    assert list(frame.index) == [("yes", "x0"), ("yes", "x1"), ("yes", "x2")]


def test_float32_at_a_rough_tolerance():
    X, y = make_problem(n_classes=3)
    expected = fit(X, y).coef_inference(X, y)
    X, y = X.astype(np.float32), y.astype(np.float32)
    frame = fit(X, y, tol=1e-4).coef_inference(X, y)
    assert (frame.dtypes == np.float64).all()
    assert_allclose(frame["std_error"], expected["std_error"], rtol=5e-3)
    assert_allclose(frame["coef"] / expected["std_error"], expected["z"], rtol=0, atol=0.25)


def test_cross_validated_model_has_errors_at_its_penalty():
    X, y = make_problem(n_classes=3)
    model = SoftLabelLogisticRegressionCV(Cs=[1e-3, 0.1, 10], cv=3, tol=1e-10).fit(X, y)
    expected = fit(X, y, C=model.C_).coef_inference(X, y)
    assert_allclose(model.coef_inference(X, y), expected, rtol=1e-6)


def test_constant_taken_off_coefficients_of_all_classes():
    """An intercept that a warm start shifted is no less an optimum."""
    X, y = make_problem(n_classes=3)
    model = fit(X, y)
    expected = model.coef_inference(X, y)
    model.intercept_ = model.intercept_ + 3.0
    assert_allclose(model.coef_inference(X, y), expected, rtol=1e-9)


def test_targets_without_noise_have_no_errors():
    X = make_problem()[0]
    y = np.full((len(X), 2), 0.5)
    frame = fit(X, y).coef_inference(X, y)
    assert_array_equal(frame[["coef", "std_error", "low", "high"]], 0.0)
    assert frame[["z", "p_value"]].isna().all(axis=None)


# -- students behind transformers ----------------------------------------------


def table(n_samples=200):
    X, y = make_problem(n_samples=n_samples)
    frame = pd.DataFrame(X, columns=["age", "height", "dose"])
    return frame.assign(town=np.array(["Bonn", "Ulm", "Jena"])[np.arange(len(X)) % 3]), y


def encoder():
    return ColumnTransformer(
        [
            ("n", StandardScaler(), ["age", "dose"]),
            ("c", OneHotEncoder(drop="first"), ["town"]),
        ]
    )


NAMES = ["n__age", "n__dose", "c__town_Jena", "c__town_Ulm", "intercept"]


def test_names_of_features_behind_transformers():
    """Of pipelines in pipelines, searches, and distilled students, by name."""
    X, y = table()
    student = SoftLabelLogisticRegression(tol=1e-8)
    nested = make_pipeline(encoder(), make_pipeline(MaxAbsScaler(), student))
    pipeline = nested.fit(X, y)
    search = GridSearchCV(
        make_pipeline(encoder(), student),
        {"softlabellogisticregression__C": [0.1]},
        scoring=get_scorer("neg_kl_loss"),
    ).fit(X, y)
    distilled = DistilledClassifier(
        FrozenEstimator(pipeline), make_pipeline(encoder(), student)
    )
    for model, last in (
        (pipeline, pipeline[-1][-1]),
        (search, search.best_estimator_[-1]),
        (distilled.fit(X), distilled.student_[-1]),
        (FrozenEstimator(pipeline), pipeline[-1][-1]),
    ):
        frame = coef_frame(model)
        assert list(frame.index) == NAMES
        assert_array_equal(frame, last.coef_frame())
    own = encoder().set_output(transform="pandas").set_params(c__sparse_output=False)
    model = make_pipeline(own, student).fit(X, y)
    assert list(coef_frame(model).index) == list(model[-1].coef_frame().index) == NAMES


def test_inference_behind_transformers():
    X, y = table()
    student = SoftLabelLogisticRegression(C=1.0, tol=1e-8)
    model = make_pipeline(encoder(), make_pipeline(MaxAbsScaler(), student)).fit(X, y)
    weight, groups = np.ones(len(X)), groups_for(X)
    options = {"groups": groups, "confidence_level": 0.8}
    frame = coef_inference(model, X, y, weight, **options)
    transformed = model[-1][0].transform(model[0].transform(X))
    expected = model[-1][-1].coef_inference(transformed, y, weight, **options)
    assert_array_equal(frame, expected)
    assert list(frame.loc[1].index) == NAMES


def test_an_offset_behind_transformers():
    X, y = table()
    offset = pd.Series(np.linspace(-1.0, 1.0, len(X)), name=1)
    with config_context(enable_metadata_routing=True):
        student = SoftLabelLogisticRegression(tol=1e-8).set_fit_request(offset=True)
        model = make_pipeline(encoder(), student).fit(X, y, offset=offset)
    expected = model[-1].coef_inference(model[0].transform(X), y, offset=offset)
    assert_array_equal(coef_inference(model, X, y, offset=offset), expected)
    with pytest.raises(ValueError, match="pass offset= to coef_inference"):
        coef_inference(model, X, y)


@pytest.mark.parametrize("name", ["y", "sample_weight", "groups", "offset"])
def test_rows_behind_transformers_are_matched_by_name(name):
    """The transformers' output has no names."""
    X, y = table()
    X.index = [f"r{i}" for i in range(len(X))]
    model = make_pipeline(encoder(), SoftLabelLogisticRegression()).fit(X, y)
    data = {"y": y, "sample_weight": np.ones(len(X)), "groups": groups_for(X)}
    data |= {"offset": np.zeros(len(X))}
    coef_inference(model, X, **data)
    of_rows = pd.DataFrame if name == "y" else pd.Series
    data[name] = of_rows(data[name], index=X.index)[::-1]
    with pytest.raises(ValueError, match=f"rows of X and {name} have different labels"):
        coef_inference(model, X, **data)


def test_inference_of_a_student_fitted_to_the_teacher():
    X, y = make_problem()
    student = fit(X, y)
    model = DistilledClassifier(
        FrozenEstimator(student), SoftLabelLogisticRegression(tol=1e-8)
    )
    proba = student.predict_proba(X) * 0.9 + 0.05
    model.fit(X, teacher_proba=proba)
    frame = coef_inference(model, X, proba)
    pd.testing.assert_frame_equal(frame, model.student_.coef_inference(X, proba))
    # Near enough to 1 for the coefficients to seem the optimum.
    model.set_params(temperature=1.0001).fit(X, teacher_proba=proba)
    with pytest.raises(ValueError, match=matches("temperature 1.0001", "Distil at")):
        coef_inference(model, X, proba)
    assert len(coef_frame(model)) == X.shape[1] + 1


def test_models_that_do_not_end_in_a_student_are_refused():
    X, y = make_problem(soft=False)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(
        TypeError, match="This Pipeline ends in a LogisticRegression, not in a"
    ):
        coef_frame(model)
    nameless = FunctionTransformer(np.asarray)
    model = make_pipeline(nameless, SoftLabelLogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"does not name its features.*feature_names_out"):
        coef_frame(model)
    assert list(model[-1].coef_frame().index) == ["x0", "x1", "x2", "intercept"]
    with pytest.raises(NotFittedError):
        coef_frame(make_pipeline(StandardScaler(), SoftLabelLogisticRegression()))
    search = GridSearchCV(SoftLabelLogisticRegression(), {"C": [1.0]}, refit=False)
    with pytest.raises(NotFittedError, match="inside is not fitted; a search needs refit"):
        coef_frame(search.fit(X, y))


# -- errors and warnings -------------------------------------------------------


def test_other_data_and_rough_optima_warn():
    X, y = make_problem(n_classes=3, n_samples=2000)
    SoftLabelLogisticRegression().fit(X, y).coef_inference(X, y)
    for model, data in (
        (fit(X, y), make_problem(n_classes=3, n_samples=2000, seed=1)),
        (fit(X, y, weights_for(X)), (X, y)),
        (fit(X, y, tol=0.3), (X, y)),
    ):
        with pytest.warns(ConvergenceWarning, match="standard errors.*of the fit.*lower tol"):
            model.coef_inference(*data)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_half_a_standard_error_from_the_optimum_warns(sign):
    X, y = make_problem()
    model = fit(X[:, :1], y, fit_intercept=False)
    model.coef_ += sign * 0.5 * errors(model, X[:, :1], y)
    for call in (model.coef_inference, partial(coef_inference, model)):
        with pytest.warns(ConvergenceWarning, match=r"up to 0\.\d+ standard errors") as caught:
            call(X[:, :1], y)
        assert caught[0].filename == __file__


def test_other_targets_are_refused():
    X, y = make_problem(soft=False)
    labels = np.array(["no", "yes"])[y]
    model = fit(X, labels)
    # Labels that the data of inference lack keep their class.
    for other in (labels[::-1], np.full(len(X), "yes")):
        with pytest.raises(ValueError, match="not the optimum for these data: a Newton step"):
            model.coef_inference(X, other)


@pytest.mark.parametrize(
    ("n_classes", "tol", "spread"), [(2, 1e-2, 1.0), (3, 1e-4, 0.0), (2, 1e-8, 0.0)]
)
def test_separable_classes_are_refused(n_classes, tol, spread):
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=100)
    X = np.eye(n_classes)[y][:, 1:] * 5 + spread * rng.uniform(-1, 1, (100, n_classes - 1))
    with pytest.warns(ConvergenceWarning, match="The classes are separable"):
        model = fit(X, y, tol=tol)
    with pytest.raises(ValueError, match="separable"):
        model.coef_inference(X, y)


@pytest.mark.parametrize(
    ("n_classes", "sums", "constant", "dtype"),
    [
        (2, [1.0, -2.0, 0.3], 0.0, np.float32),
        (3, [0.0, 0.0, 0.0], 1.0, np.float64),
        (3, [0.0, 0.0, 0.0], 0.0, np.float32),
    ],
)
def test_dependent_features_are_refused_without_a_penalty(n_classes, sums, constant, dtype):
    X, y = make_problem(n_classes=n_classes)
    X = np.column_stack([X, X @ sums + constant]).astype(dtype)
    model = fit(X, y, tol=1e-4)
    with pytest.raises(ValueError, match="Hessian is singular"):
        model.coef_inference(X, y)
    frame = fit(X, y, C=1.0, tol=1e-6).coef_inference(X, y)
    assert np.isfinite(frame["std_error"]).all()
    if not X[:, 3].std():  # its penalised coefficient is 0 for any data, and so is its error
        found = frame.xs("x3", level="feature")[["coef", "std_error"]]
        assert_allclose(found.astype(float), 0, atol=1e-6)


def test_models_without_valid_errors_are_refused():
    X, y = make_problem(n_classes=3)
    CV = SoftLabelLogisticRegressionCV
    wide = np.eye(200, 1700)
    for model, part in (
        (fit(X, y, C=1.0, l1_ratio=0.5), "l1_ratio=0.5"),
        (CV(Cs=[1.0], l1_ratios=[0.3], cv=3).fit(X, y), "l1_ratio=0.3"),
        (CV(Cs=[1.0], cv=3, refit=False).fit(X, y), "refit=False"),
        (fit(wide, y, C=1.0, tol=0.1), "5103 parameters; their covariance matrix"),
    ):
        with pytest.raises(ValueError, match=matches(part)):
            model.coef_inference(X if model.n_features_in_ == 3 else wide, y)


@pytest.fixture(scope="module")
def binary():
    X, y = make_problem()
    return fit(X, y), X, y


def test_bad_arguments(binary):
    model, X, y = binary
    single = np.eye(len(X))[0]
    holes = np.where(single[:, np.newaxis], np.nan, X)
    bad_level = "confidence_level must be a number between 0 and"
    for arguments, message in (
        *(({"confidence_level": x}, bad_level) for x in (0, 1, 95, "0.95", np.nan, True)),
        ({"groups": np.zeros(len(X))}, "Number of groups with a positive weight: 1"),
        ({"groups": np.zeros(3)}, "groups must hold a label for each of the 200 rows"),
        ({"sample_weight": single}, "Number of rows with a positive weight: 1"),
        ({"y": make_problem(n_classes=3)[1]}, "y has 3 columns, but there are 2 classes"),
        ({"X": X[:, :2]}, "X has 2 features"),
        ({"X": X[:-1]}, "inconsistent numbers of samples"),
        ({"X": holes}, "X contains NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            model.coef_inference(**{"X": X, "y": y, **arguments})


def test_without_pandas(binary, monkeypatch):
    model, *data = binary
    monkeypatch.setitem(sys.modules, "pandas", None)
    for method, arguments in (("coef_frame", ()), ("coef_inference", data)):
        with pytest.raises(ImportError, match=f"{method} returns a data frame: pip install"):
            getattr(model, method)(*arguments)
