"""Every argument of sklkl.metrics is answered, or refused by its name."""

import math
import warnings
from dataclasses import asdict
from numbers import Real

import numpy as np
import pytest
from scipy import sparse

from sklkl import metrics
from sklkl.calibration import KLDecomposition, kl_decomposition
from tests._support.models import Says

P = np.array([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
HOSTILE = [
    *(None, "a", b"ab", math.nan, math.inf, -1, 0, 1j, True, 10**30, [], [[]], {}, {"a": 1}),
    *({1, 2}, len, [[0.5, 0.5], [1.0]], [None, "a", 1], ["a", "b", "c"], [b"a", b"b", b"c"]),
    *([1j, 0, 1], [{}, {}, {}], [math.nan, 0.5, 0.5], [2e299, 1e-300, 2e299]),
    *([1e-300, 2e-300, 0.0], [1e308, 1e308, 1e308]),
    np.array([None, 0, 1], dtype=object),
    np.array([[None, 1.0], [0.5, 0.5], [0.5, 0.5]], dtype=object),
    *(np.full((3, 2, 2), 0.5), np.full((3, 2), np.nan), np.full((3, 2), np.inf), np.eye(3)),
    np.ma.masked_invalid([np.nan, 1.0, 0.0]),
    sparse.csr_array(np.eye(3)),
    np.array(["2020-01-01"] * 3, dtype="datetime64[D]"),
]


def say(X):
    return P


MODEL = Says(say, 2)
DATA = {"y_true": [0, 1, 1], "y_proba": P, "labels": [0, 1], "sample_weight": [1, 2, 3]}
OPTIONS = {"base": None, "on_zero": "clip"}
OWN = {"divergence": "renyi", "divergence_params": {"order": 2}}
INTERVAL = {
    **{"y_proba_other": P[::-1], "divergence": "kl", "groups": [0, 1, 2], "random_state": 0},
    **{"confidence_level": 0.9, "method": "bootstrap", "n_resamples": 9},
}
REPORT = {"teacher": MODEL, "student": MODEL, "X": P, "y": [0, 1, 1], "sample_weight": [1] * 3}
ARGUMENTS = {
    "kl_loss": DATA | OPTIONS,
    "divergence_loss": DATA | OPTIONS | OWN,
    "calibration_error": DATA | {"n_bins": 1, "classes": "all", "confidence_level": 0.9},
    "d2_kl_score": DATA | {"on_zero": "clip"},
    "d2_score": DATA | {"on_zero": "clip", "divergence": "squared_error"},
    "loss_interval": DATA | OPTIONS | INTERVAL,
    "fidelity_report": REPORT | OPTIONS | {"timing": False, "digits": 3, "output_dict": True},
    "get_scorer": {"name": "neg_kl_loss"},
    "make_divergence_scorer": {**OWN, **OPTIONS},
    "make_fidelity_scorer": {"teacher": MODEL, **OWN, **OPTIONS},
}
VARIED = [(function, name) for function, given in ARGUMENTS.items() for name in given]
# Of the other losses, which take their data as the KL loss does.
NAMED = ("reverse_kl_loss", "cross_entropy_loss", "jensen_shannon_loss", "jeffreys_loss")
ARGUMENTS |= {name: DATA | OPTIONS for name in NAMED}
ARGUMENTS["jensen_shannon_loss"]["weight"] = 0.5
VARIED.append(("jensen_shannon_loss", "weight"))
RESULTS = metrics.LossInterval | metrics.CalibrationError | KLDecomposition
FUNCTIONS = {name: getattr(metrics, name) for name in ARGUMENTS}
FUNCTIONS["kl_decomposition"] = kl_decomposition
ARGUMENTS["kl_decomposition"] = DATA | OPTIONS | {"method": "binning", "n_bins": 10}
VARIED += [("kl_decomposition", name) for name in ARGUMENTS["kl_decomposition"]]


def numbers(result):
    """Return the numbers in a result."""
    if isinstance(result, RESULTS):
        result = asdict(result)
    if isinstance(result, dict):
        return [x for value in result.values() for x in numbers(value)]
    return [result] if isinstance(result, Real) else []


@pytest.mark.parametrize(("function", "argument"), VARIED)
def test_an_argument_is_answered_or_refused_by_name(function, argument):
    for value in HOSTILE:
        given = ARGUMENTS[function] | {argument: value}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result, message = FUNCTIONS[function](**given), argument
            except (TypeError, ValueError) as error:
                result, message = None, str(error)
        assert argument in message, value
        assert not any(math.isnan(x) for x in numbers(result)), value


def test_every_function_is_here():
    assert set(metrics.__all__) - {
        "CalibrationError",
        "LossInterval",
        "get_scorer_names",
    } < set(ARGUMENTS)
