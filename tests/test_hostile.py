"""Every public function, every argument, hostile values: an answer, or an error that names it.

``FUNCTIONS`` maps a function to good arguments; whatever a package exports is in it. Each
argument in turn is replaced by each hostile value.
"""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from sklkl import divergences, targets
from sklkl.divergences._registry import DIVERGENCES

P, Q = [[0.2, 0.8], [0.8, 0.2]], [[0.1, 0.9], [0.9, 0.1]]  # along either axis
PAIR = {"p": P, "q": Q, "axis": -1, "base": None}
NO_UNIT = {"p": P, "q": Q, "axis": -1}
GAUSSIAN = {"mean_p": [0.0, 1.0], "cov_p": [[2.0, 0.5], [0.5, 1.0]]}
GAUSSIAN |= {"mean_q": [1.0, 1.0], "cov_q": [1.0, 2.0], "covariance_type": "auto", "base": 2}
LOGITS = {"p_logits": P, "q_logits": Q, "temperature": 2.0, "axis": -1, "base": None}
COUNTS = {"p_counts": [3, 1], "q_counts": [2, 2], "estimator": "plugin", "base": None}
ROWS = {"P": P, "Q": Q, "divergence": "renyi", "divergence_params": {"order": 0.5}}
SAMPLES = {"log_p": [-1.0, -2.0], "log_q": [-2.0, -1.0], "estimator": "k1"}
SAMPLES |= {"axis": -1, "base": None}

INTERVAL = {"p_counts": [30, 10], "q_counts": [20, 20], "confidence_level": 0.9, "base": None}
STABILITY = {"reference": [3, 1], "current": [2, 2], "pseudo_count": 0.5, "base": None}
SEVERAL = {"P": P, "sample_weight": [1, 2], "base": None}
SHARES = {"item": ["a", "b"], "label": ["x", "y"], "weight": [1, 2], "items": ["b", "a"]}
SHARES |= {"classes": ["y", "x"]}
CROWD = {
    "annotator": ["c", "d"],
    "known": {"a": "x", "b": "y"},
    "prior": P,
    "tol": 1e-3,
    "max_iter": 9999,
}

RESULTS = {divergences.CountsInterval, targets.DawidSkene, targets.VoteShares}
PACKAGES = [divergences, targets]
FUNCTIONS = {
    d.function: (PAIR if d.has_unit else NO_UNIT) | dict.fromkeys(d.parameters, 0.3)
    for d in DIVERGENCES
} | {
    divergences.entropy: {"p": P, "axis": -1, "base": None},
    divergences.gaussian_kl_divergence: GAUSSIAN,
    divergences.kl_contributions: PAIR,
    divergences.kl_divergence_from_logits: LOGITS,
    divergences.jensen_shannon_of_several: SEVERAL,
    divergences.kl_from_counts: COUNTS,
    divergences.kl_interval_from_counts: INTERVAL,
    divergences.pairwise_divergences: ROWS | {"base": None},
    divergences.population_stability_index: STABILITY | {"bins": 2},
    divergences.sampled_kl: SAMPLES | {"sample_weight": [1.0, 2.0]},
    targets.dawid_skene: SHARES | CROWD | {"pseudo_count": 0.5},
    targets.vote_shares: SHARES | {"pseudo_count": 0.5},
}
HOSTILE = [
    *(None, "a", "", b"a", True, np.True_, 0, 0.0, -1, 0.5, 2, 1e306, -1e306, 5e-324, 10**400),
    *(np.nan, np.inf, -np.inf, 1j, np.float32(0.5), np.int64(1), np.array(0.5)),
    *([], [[]], {}, set(), {"a": 1}, {1, 2}, object, len, lambda: 0, object(), range(2)),
    *([[0.5, 0.5], [1.0]], ["a", "b"], ["0.5", "0.5"], [None, 1.0], [0.5 + 0j] * 2),
    *([x, 1.0] for x in (np.nan, np.inf, -np.inf, 1e306, 1e308, -1e308, 5e-324, 10**400)),
    *([1, 2], [[1, 2], [3, 4]], [[0.5, 0.5]] * 2, np.ones((2, 2, 2, 2)) / 2, np.ones((0, 2))),
    *(np.array([0.5, None]), np.array([pd.NA, 0.5]), np.array([[1.0], "a"], dtype=object)),
    *(datetime.date(2026, 1, 1), np.array(["2026", "2027"], dtype="datetime64[Y]")),
    *(csr_array([[0.5, 0.5]]), np.ma.array([0.5, 0.5], mask=[0, 1]), pd.Series(["a", "b"])),
    *(pd.Series([0.5, pd.NA], dtype="Float64"), pd.DataFrame({"a": [0.5], "b": ["x"]})),
]


def test_no_function_is_forgotten():
    public = {getattr(package, name) for package in PACKAGES for name in package.__all__}
    assert public == set(FUNCTIONS) | RESULTS


def is_nan(result):
    if type(result) in RESULTS:
        return any(
            is_nan(x) for x in (getattr(result, "proba", 0), getattr(result, "high", 0))
        )
    return np.isnan(np.asarray(result, dtype=float)).any()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_hostile_values(function):
    good = FUNCTIONS[function]
    assert not is_nan(function(**good))
    faults = []
    for name in good:
        for value in HOSTILE:
            call = f"{name}={value!r:.60}"
            try:
                with warnings.catch_warnings(action="error"):
                    result = function(**good | {name: value})
            except (TypeError, ValueError) as error:
                if not re.search(rf"\b{name}\b", str(error)):
                    faults.append(f"{call}: {error}")
            except Exception as error:
                faults.append(f"{call}: {error!r}")
            else:
                if is_nan(result):
                    faults.append(f"{call} gives {result}")
    assert not faults, "\n".join(faults)
