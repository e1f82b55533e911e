"""Tests that every argument of sklkl.metrics is answered or refused by its name."""

import math
import warnings
from numbers import Real

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin

from sklkl import metrics

P = np.array([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
HOSTILE = [
    None,
    "a",
    b"ab",
    math.nan,
    math.inf,
    -1,
    0,
    1j,
    True,
    10**30,
    [],
    [[]],
    {},
    {"a": 1},
    {1, 2},
    len,
    [[0.5, 0.5], [1.0]],
    [None, "a", 1],
    ["a", "b", "c"],
    [b"a", b"b", b"c"],
    [1j, 0, 1],
    [{}, {}, {}],
    [math.nan, 0.5, 0.5],
    [2e299, 1e-300, 2e299],
    [1e-300, 2e-300, 0.0],
    [1e308, 1e308, 1e308],
    np.array([None, 0, 1], dtype=object),
    np.array([[None, 1.0], [0.5, 0.5], [0.5, 0.5]], dtype=object),
    np.full((3, 2, 2), 0.5),
    np.full((3, 2), np.nan),
    np.full((3, 2), np.inf),
    np.eye(3),
    np.ma.masked_invalid([np.nan, 1.0, 0.0]),
    sparse.eye_array(3).tocsr(),
    np.array(["2020-01-01"] * 3, dtype="datetime64[D]"),
]


class Model(ClassifierMixin, BaseEstimator):
    """A classifier that always predicts the same probabilities."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        return P


PREDICTIONS = {"y_true": [0, 1, 1], "y_proba": P, "labels": [0, 1], "sample_weight": [1, 2, 3]}
OPTIONS = {"base": None, "on_zero": "clip"}
PARAMETERS = {
    "jensen_shannon_loss": {"weight": 0.5},
    "alpha_loss": {"alpha": 0.5},
    "renyi_loss": {"order": 2},
}
UNITLESS = {
    "alpha_loss",
    "chi2_loss",
    "hellinger_loss",
    "jensen_shannon_distance_loss",
    "total_variation_loss",
    "d2_kl_score",
}
ARGUMENTS = {
    name: {
        **PREDICTIONS,
        **PARAMETERS.get(name, {}),
        "on_zero": "clip",
        **({} if name in UNITLESS else {"base": None}),
    }
    for name in metrics.__all__
    if name.endswith(("_loss", "_score"))
} | {
    "kl_interval": {
        **PREDICTIONS,
        **OPTIONS,
        "y_proba_other": P[::-1],
        "loss": "kl_loss",
        "groups": [0, 1, 2],
        "confidence_level": 0.9,
        "method": "bootstrap",
        "n_resamples": 9,
        "random_state": 0,
    },
    "fidelity_report": {
        "teacher": Model(),
        "student": Model(),
        "X": P,
        "y": [0, 1, 1],
        "sample_weight": [1, 2, 3],
        **OPTIONS,
        "timing": False,
        "digits": 3,
        "output_dict": True,
    },
    "get_scorer": {"name": "neg_kl_loss"},
    "make_divergence_scorer": {"name": "kl_loss", **OPTIONS},
    "make_fidelity_scorer": {"teacher": Model(), "divergence": "kl_divergence", **OPTIONS},
}


def numbers(result):
    """Return the numbers in a result."""
    if isinstance(result, dict):
        return [x for value in result.values() for x in numbers(value)]
    if isinstance(result, metrics.LossInterval):
        return list(vars(result).values())
    return [result] if isinstance(result, Real) else []


def outcome(function, arguments):
    """Return the result of a metric and the message of its refusal, one of them None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(metrics, function)(**arguments), None
        except (TypeError, ValueError) as error:
            return None, str(error)


@pytest.mark.parametrize(
    ("function", "argument"),
    [(function, name) for function, given in ARGUMENTS.items() for name in given],
)
def test_an_argument_is_answered_or_refused_by_name(function, argument):
    for value in HOSTILE:
        result, message = outcome(function, {**ARGUMENTS[function], argument: value})
        assert message is None or argument in message, value
        assert not any(math.isnan(x) for x in numbers(result)), value


def test_every_function_is_here():
    classes = {"KLDecomposition", "LossInterval"}
    tested_elsewhere = {"kl_decomposition", "get_scorer_names"}
    assert set(metrics.__all__) - classes - tested_elsewhere == set(ARGUMENTS)
