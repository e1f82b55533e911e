"""Data in parts: what a user sees is what all rows at once give."""

import pickle
import warnings
from copy import copy
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._data import unchanged_on_error
from sklkl.linear_model._parts import Part, merge, summarise
from tests._support.rows import ListedRows

# Unequal, empty, of one row, and one that lacks classes.
ENDS = [0, 0, 1, 40, 40, 60, 120]
rng = np.random.default_rng(0)
X = rng.normal(size=(ENDS[-1], 3))
P = rng.dirichlet(np.ones(3), len(X))
CODES = np.sort(P.argmax(axis=1))
WEIGHT = rng.lognormal(size=len(X)) * (np.arange(len(X)) >= 50)


class PartedData:
    """Checked data in a list."""

    def __init__(self, whole, data):
        self.whole, self.data = whole, data

    def __getattr__(self, name):
        return getattr(self.whole, name)

    def stages(self, divergence, temperature, fit_intercept):
        unit = self.whole.unit(temperature)
        stages = [
            own.stages(divergence, temperature, fit_intercept, unit) for own in self.data
        ]
        return [ListedRows(list(s), not self.whole.sparse) for s in zip(*stages, strict=True)]


def rows_of(x, a, b):
    return None if x is None else x.iloc[a:b] if hasattr(x, "iloc") else x[a:b]


def parts_of(*arguments):
    return [Part(*(rows_of(x, a, b) for x in arguments)) for a, b in pairwise(ENDS)]


def fit_parts(model, parts):
    with unchanged_on_error(model):
        divergence = model._check_parameters()
        first_rows = [0, *np.cumsum([part.X.shape[0] for part in parts]).tolist()]
        pairs = list(zip(parts, first_rows, strict=False))
        whole = merge(model, [summarise(model, *pair) for pair in pairs])
        whole = pickle.loads(pickle.dumps(whole))
        whole.describe(model)
        data = PartedData(whole, [whole.data(model, *pair) for pair in pairs])
        model._fit(data, divergence, {"X": None, "y": None})
    return model


LABELS = np.array(["ham", "eggs", "spam"])[CODES]
FRAME = pd.DataFrame(P, columns=["ham", "spam", "eggs"])
CASES = {
    "soft": ({}, (X, P)),
    "classes": ({"classes": ["b", "c", "a"]}, (X, P, WEIGHT)),
    "frames": ({}, (pd.DataFrame(X, columns=["x", "y", "z"]), FRAME, WEIGHT)),
    "reordered": ({"classes": ["eggs", "ham", "spam"]}, (X, FRAME)),
    "strings": ({}, (X, LABELS)),
    "series": ({"classes": ["spam", "ham", "eggs", "none"]}, (X, pd.Series(LABELS))),
    "binary": ({}, (X, CODES > 0, WEIGHT)),
    "balanced": ({"class_weight": "balanced"}, (X, CODES, WEIGHT)),
    "balanced soft": ({"class_weight": "balanced"}, (X, FRAME)),
    "dict": ({"class_weight": {0: 3.0, 1: 0.0}}, (X, P)),
    "float32": ({}, (X.astype(np.float32), P)),
    "sparse": ({}, (csr_array(X), P)),
    "divergence": ({"divergence": "jensen_shannon", "temperature": 2.0}, (X, P)),
    "labels": ({"temperature": 2.0}, (X, P, None, CODES, WEIGHT)),
    "balanced labels": (
        {"class_weight": "balanced"},
        (X, LABELS, WEIGHT, FRAME, WEIGHT[::-1].copy()),
    ),
    "weightless labels": ({"temperature": 0.5}, (X, P, None, CODES, np.zeros(len(X)))),
    "warm": ({"warm_start": True}, (X, P)),
}


@pytest.mark.parametrize("case", CASES)
def test_fits(case):
    params, arguments = CASES[case]
    model = SoftLabelLogisticRegression(tol=1e-9, C=0.3, **params)
    whole = model.fit(*arguments)
    parts = (
        copy(whole) if case == "warm" else SoftLabelLogisticRegression(**whole.get_params())
    )
    fit_parts(parts, parts_of(*arguments))
    assert parts.classes_.dtype == whole.classes_.dtype
    for name, value in vars(whole).items():
        if name in ("coef_", "intercept_", "loss_"):
            atol = 1e-5 if case == "float32" else 1e-7
            assert_allclose(getattr(parts, name), value, rtol=1e-6, atol=atol)
        elif name.endswith("_") and name != "n_iter_":
            assert_array_equal(getattr(parts, name), value)


def with_row(array, row, value):
    changed = array.copy()
    changed[row] = value
    return changed


REFUSED = {
    "soft row": ({}, (X, with_row(P, 45, 0.5))),
    "soft objects": ({}, (X, with_row(P.astype(object), (45, 1), "?"))),
    "missing label": ({}, (X, with_row(LABELS.astype(object), 45, None))),
    "mixed in a part": ({}, (X, with_row(LABELS.astype(object), 45, 3))),
    "unknown label": ({"classes": ["ham", "eggs"]}, (X, LABELS)),
    "unknown extra label": ({}, (X, P, None, with_row(CODES, 45, 7))),
    "negative weight": ({}, (X, P, with_row(WEIGHT, 45, -1.0))),
    "refused zero": ({"divergence": "reverse_kl"}, (X, with_row(P, 45, [0.5, 0.5, 0.0]))),
    "one class": ({}, (X, np.full(len(X), "ham"))),
    "continuous": ({}, (X, X[:, 0])),
    "not finite": ({}, (with_row(X, 45, np.nan), P)),
    "all weights zero": ({}, (X, P, 0.0 * WEIGHT)),
    "class weights zero": ({"class_weight": {0: 0, 1: 0, 2: 0}}, (X, P)),
    "unknown class weight": ({"class_weight": {5: 1}}, (X, P)),
    "label weights alone": ({}, (X, P, None, None, WEIGHT)),
    "bad class weight": ({"class_weight": "even"}, (X, P)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_messages_are_those_of_all_rows(case):
    params, arguments = REFUSED[case]
    model = SoftLabelLogisticRegression(**params)
    with pytest.raises((TypeError, ValueError)) as expected:
        model.fit(*arguments)
    with pytest.raises(expected.type) as found:
        fit_parts(model, parts_of(*arguments))
    a, b = str(found.value), str(expected.value)
    if case == "mixed in a part":  # compares with the first row of the part
        a, b = (text.split(" and ")[0] for text in (a, b))
    assert a == b
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([Part(X, P), Part(X[:, :2], P)], "X has 2 features from row 120 on, and has 3"),
        ([Part(X, P), Part(csr_array(X), P)], "X is sparse from row 120"),
        ([Part(X, P), Part(pd.DataFrame(X, columns=list("abc")), P)], "and nothing before"),
        ([Part(X, CODES), Part(X, P)], "probabilities from row 120 on, and labels"),
        ([Part(X, CODES), Part(X, LABELS)], "mixes strings .* from row 120 on"),
        ([Part(X, P), Part(X, P[:, :2] / P[:, :2].sum(1, keepdims=True))], "y has .*row 120"),
        ([Part(X, FRAME), Part(X, FRAME.set_axis(list("abc"), axis=1))], "columns of y are"),
        ([Part(X, P, labels=CODES), Part(X, P)], "not all"),
        ([Part(X[:0], P[:0])], "0 samples"),
    ],
)
def test_parts_that_differ(parts, message):
    with pytest.raises(ValueError, match=message):
        fit_parts(SoftLabelLogisticRegression(), parts)


def test_columns_are_matched_by_name():
    model = SoftLabelLogisticRegression(tol=1e-9)
    parts = [Part(X, FRAME), Part(X, FRAME[["eggs", "ham", "spam"]])]
    expected = copy(model).fit(np.vstack([X, X]), pd.concat([FRAME, FRAME]).to_numpy())
    assert_allclose(fit_parts(model, parts).coef_, expected.coef_, atol=1e-7)


def test_labels_of_several_types():
    y = np.arange(4) % 2
    parts = [Part(X[:2], y[:2]), Part(X[2:4], y[2:].astype(float)), Part(X[:1], y[:1] > 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_parts(SoftLabelLogisticRegression(), parts)
    assert_array_equal(model.classes_, [0.0, 1.0])
    assert model.classes_.dtype == float


def test_float32_only_if_every_part_is():
    parts = [Part(X.astype(np.float32), P), Part(X, P)]
    assert fit_parts(SoftLabelLogisticRegression(), parts).coef_.dtype == np.float64
    assert fit_parts(SoftLabelLogisticRegression(), parts[:1]).coef_.dtype == np.float32


def test_labels_without_weight_are_none():
    model, part = SoftLabelLogisticRegression(), Part(X, P, None, CODES, np.zeros(len(X)))
    whole = merge(model, [summarise(model, part)])
    assert not whole.labelled
    assert whole.data(model, part).labels is None
    part = part._replace(label_weight=WEIGHT)
    assert merge(model, [summarise(model, part)]).labelled


def test_estimators_stay_as_they_are():
    model, part = SoftLabelLogisticRegression(), Part(pd.DataFrame(X, columns=list("abc")), P)
    before = vars(model).copy()
    merge(model, [summarise(model, part)]).data(model, part)
    assert vars(model) == before
