"""Every estimator on another kind of rows: nothing reads X behind their back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklkl.calibration import DirichletScaling, VectorScaling
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _rows,
)
from tests._support.models import exact
from tests._support.problems import make_problem
from tests._support.rows import NumpyRows


def fit(n_classes):
    X, hard, soft, weight, _ = make_problem(n_classes, 90)
    soft = 0.9 * soft + 0.1 / n_classes
    model = exact().fit(X, hard, sample_weight=weight)
    yield model.predict_proba(X), model.loss_
    yield exact(l1_ratio=0.5, C=0.3, fit_intercept=False).fit(X, soft).coef_
    labels = {"labels": hard, "label_weight": weight}
    yield exact(divergence="reverse_kl", temperature=2.0, C=2.0).fit(X, soft, **labels).coef_


def path(n_classes):
    X, _, soft, weight, _ = make_problem(n_classes, 90)
    model = SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=3, l1_ratios=[0.0, 0.5], tol=1e-9)
    model.fit(X, soft, sample_weight=weight)
    yield model.coefs_paths_, model.scores_, model.coef_
    yield model.score(X, soft), model.decision_function(X)


def stream(n_classes):
    X, _, soft, weight, _ = make_problem(n_classes, 90)
    model = exact()
    for i in range(0, 90, 30):
        model.partial_fit(X[i : i + 30], soft[i : i + 30], sample_weight=weight[i : i + 30])
    yield model.coef_, model.intercept_


def inference(n_classes):
    X, _, soft, weight, _ = make_problem(n_classes, 90)
    model = exact(C=10.0).fit(X, soft, sample_weight=weight)
    for groups in (None, np.arange(90) // 5):
        yield model.coef_inference(X, soft, weight, groups=groups)["std_error"]


def scaling(n_classes):
    _, hard, soft, weight, _ = make_problem(n_classes, 90)
    for map_of in (DirichletScaling, VectorScaling):
        yield map_of(smoothing=0.1).fit(soft, hard, sample_weight=weight).coef_


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("use", [fit, path, stream, inference, scaling])
def test_estimators_on_rows_of_numpy(use, n_classes, monkeypatch):
    wanted = list(use(n_classes))

    def unused(*args):
        raise AssertionError("X is read by compiled kernels")

    monkeypatch.setattr(_rows, "LinearRows", unused)
    monkeypatch.setattr(_rows, "rows_of", NumpyRows)
    for found, expected in zip(use(n_classes), wanted, strict=True):
        for a, b in zip(found, expected, strict=True):
            assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_values_that_are_not_finite(monkeypatch):
    monkeypatch.setattr(_rows, "rows_of", NumpyRows)
    X, hard, *_ = make_problem(3, 90)
    X = np.where(np.arange(90)[:, None] == 5, np.nan, X)
    with pytest.raises(ValueError, match=r"^X is not finite\.$"):
        SoftLabelLogisticRegression().fit(X, hard)
