"""Numbers of parameters mean the same in every type that numbers have."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklkl import divergences, metrics
from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from tests._support.problems import make_problem, random_rows

X, _, Y, WEIGHT, _ = make_problem(n_samples=60)
P = random_rows(60, 3)
LOGISTIC = SoftLabelLogisticRegression()
CASES = [
    (SoftLabelLogisticRegression(), {"C": 1100, "temperature": 0.3, "tol": 1e-4}),
    (SoftLabelLogisticRegression(), {"C": 0.3, "l1_ratio": 0.3, "temperature": 3.3}),
    (SoftLabelLogisticRegressionCV(cv=2), {"Cs": [0.1, 1100], "temperature": 0.3}),
    (DirichletScaling(), {"C": 0.3, "smoothing": 0.1}),
    (VectorScaling(), {"C": 1100, "smoothing": 0.1}),
    (TemperatureScaling(), {"smoothing": 0.1}),
    (
        DistilledClassifier(LOGISTIC, cross_fit=2, random_state=0),
        {"temperature": 3.3, "hard_label_weight": 0.3, "smoothing": 0.1, "n_synthetic": 0.3},
    ),
    (DistilledClassifier(LOGISTIC, cross_fit=2), {"loss_correction": 0.3}),
]


def narrow(value, dtype):
    """Return numbers in a narrow type, and the same numbers as Python's."""
    given = np.array(value, dtype)
    return (list(given), given.tolist()) if given.ndim else (given[()], float(given))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(("model", "params"), CASES, ids=lambda x: type(x).__name__)
def test_parameters_of_estimators(model, params, dtype):
    data = P if hasattr(model, "from_logits") else X
    pairs = {name: narrow(value, dtype) for name, value in params.items()}
    found, expected = (
        model.set_params(**{name: pair[i] for name, pair in pairs.items()})
        .fit(data, Y, WEIGHT)
        .predict_proba(data)
        for i in range(2)
    )
    assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    ("function", "params"),
    [
        (divergences.jensen_shannon_divergence, {"weight": 0.3, "base": 1100}),
        (divergences.renyi_divergence, {"order": 1.3}),
        (divergences.alpha_divergence, {"alpha": -0.3}),
        (divergences.kl_divergence_from_logits, {"temperature": 0.3, "base": 1100}),
        (divergences.kl_from_counts, {"base": 1.1}),
        (metrics.jensen_shannon_loss, {"weight": 0.3, "base": 1100}),
        (metrics.loss_interval, {"confidence_level": 0.9, "base": 1.1}),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_parameters_of_functions(function, params, dtype):
    p, q = (100 * Y // 1, 100 * P // 1) if "counts" in function.__name__ else (Y, P)
    pairs = {name: narrow(value, dtype) for name, value in params.items()}
    found, expected = (
        function(p, q, **{name: pair[i] for name, pair in pairs.items()}) for i in range(2)
    )
    assert_array_equal(found, expected)
    assert np.asarray(found, dtype=object).dtype == object or found.dtype == np.float64
