"""Calibration maps of collections: those of all rows in memory."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

import sklkl.dask
from sklkl import calibration
from sklkl.calibration import _objective as objectives
from sklkl.dask import _places
from sklkl.dask._scaling import CollectionSums
from tests.dask.test_logistic import array, frame

CHUNKS = (1, 399, 0, 200, 2400)
N = sum(CHUNKS)
rng = np.random.default_rng(0)
LOGITS = rng.normal(0.0, 2.0, size=(N, 3))
Q = np.exp(LOGITS - logsumexp(LOGITS, axis=1, keepdims=True))
P = Q**0.6 * [2.0, 1.0, 1.5] * rng.lognormal(0.0, 0.5, size=(N, 3))
P /= P.sum(axis=1, keepdims=True)
CODES = (P.cumsum(axis=1) < rng.uniform(size=(N, 1))).sum(axis=1)
CODES[:600].sort()
NAMES = np.array(["spam", "eggs", "ham"])[CODES]
NAMES_OF_COLUMNS = np.array(["eggs", "ham", "spam"])[CODES]
WEIGHT = 100.0 * rng.lognormal(size=N) * (np.arange(N) >= 500)
FRAME = pd.DataFrame(Q, columns=["spam", "eggs", "ham"])
MAPS = ("TemperatureScaling", "VectorScaling", "DirichletScaling")
CASES = {
    "soft": ({}, (Q, P)),
    "weights": ({"classes": ["b", "c", "a"]}, (Q, P, WEIGHT)),
    "labels of columns": ({}, (FRAME, pd.Series(NAMES), pd.Series(WEIGHT))),
    "unnamed targets": ({}, (FRAME, P)),
    "named targets": ({}, (FRAME, pd.DataFrame(P[:, ::-1], columns=["ham", "eggs", "spam"]))),
    "labels": ({"classes": ["spam", "eggs", "ham"]}, (Q, NAMES)),
    "logits": ({"from_logits": True, "smoothing": 0.01}, (LOGITS, P)),
    "binary": ({}, (Q[:, :2] / Q[:, :2].sum(axis=1, keepdims=True), CODES == 1)),
}


def collections(arguments):
    return [(frame if hasattr(x, "iloc") else array)(x, CHUNKS) for x in arguments]


def fitted(name, params, arguments):
    """Return a map fitted in memory, and the same of collections."""
    plain = getattr(calibration, name)(**params).fit(*arguments)
    return plain, getattr(sklkl.dask, name)(**params).fit(*collections(arguments))


def assert_same(found, expected, atol):
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert_allclose(getattr(found, name), value, atol=atol)
        elif name.endswith("_") or name == "_columns":
            if isinstance(value, float):
                assert_allclose(getattr(found, name), value, atol=atol)
            else:
                assert_array_equal(getattr(found, name), value)


IN_TURNS = [(case, MAPS[i % 3], False) for i, case in enumerate(CASES)]
FEW = [("weights", name, True) for name in MAPS] + [("labels of columns", MAPS[1], True)]


@pytest.mark.parametrize(("case", "name", "few"), IN_TURNS + FEW)
def test_fits(case, name, few, monkeypatch):
    """Few rows are put together; of many, the sample is that in memory."""
    if not few:
        monkeypatch.setattr(objectives, "ENOUGH", 0)  # 1000 rows
    params, arguments = CASES[case]
    expected, found = fitted(name, params, arguments)
    assert_same(found, expected, atol=0.0 if few else 1e-6)
    assert found.smoothing_ == pytest.approx(expected.smoothing_, rel=1e-9)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("per_parameter", [10, np.inf])
def test_sums_of_all_rows(name, per_parameter, monkeypatch):
    """Also those for many classes, and for samples that are no metric of all rows."""
    monkeypatch.setattr(objectives, "ENOUGH", 0)
    monkeypatch.setattr(objectives, "FUSED", 0)
    monkeypatch.setattr(objectives, "PER_PARAMETER", per_parameter)
    expected, found = fitted(name, {"smoothing": 0.1}, (Q, CODES, WEIGHT))
    assert_same(found, expected, atol=1e-6)


def test_only_the_sample_travels(client, monkeypatch):
    monkeypatch.setattr(objectives, "ENOUGH", 0)
    sizes, gather = [], _places.Workers.gather

    def measured(self, futures):
        results = gather(self, futures)
        sizes.append(len(pickle.dumps(results)))
        return results

    monkeypatch.setattr(_places.Workers, "gather", measured)
    model = sklkl.dask.DirichletScaling().fit(*collections((Q, P, WEIGHT)))
    sample = 8 * 6 * 1000
    assert sample < max(sizes) < 1.1 * sample
    assert sum(sizes) - max(sizes) < sample
    assert_same(model, calibration.DirichletScaling().fit(Q, P, WEIGHT), atol=1e-6)


def test_how_much_the_curvature_holds(monkeypatch):
    """By that it is kept from travelling one for each part."""
    seen, total = [], CollectionSums.total

    def noted(self, combine, method, *arguments):
        result = total(self, combine, method, *arguments)
        if method == "curvature" and arguments[-1]:
            seen.append((sum(map(np.size, result)), self.numbers_of(method)))
        return result

    monkeypatch.setattr(objectives, "ENOUGH", 0)
    monkeypatch.setattr(objectives, "FUSED", 0)
    monkeypatch.setattr(objectives, "PER_PARAMETER", np.inf)
    monkeypatch.setattr(CollectionSums, "total", noted)
    sklkl.dask.VectorScaling(smoothing=0.1).fit(*collections((Q, P)))
    assert max(seen) == (3 * 3 * 3 + 3 * 3, 3 * 3 * 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predictions(method):
    expected, model = fitted("VectorScaling", {}, (FRAME, pd.Series(NAMES)))
    found = getattr(model, method)(frame(FRAME[["ham", "spam", "eggs"]], CHUNKS))
    expected = getattr(expected, method)(FRAME)
    assert found.divisions is not None  # nothing is computed yet
    assert_array_equal(found.compute(), expected)
    if expected.ndim == 2:
        assert_array_equal(found.columns, model.classes_)
    assert_array_equal(getattr(model, method)(FRAME), expected)


def test_model_in_memory_and_score():
    expected, model = fitted("TemperatureScaling", {}, (Q, NAMES_OF_COLUMNS))
    local = pickle.loads(pickle.dumps(model.to_local()))
    assert type(local) is calibration.TemperatureScaling
    assert local.temperature_ == expected.temperature_
    q = model.predict_proba(array(Q, CHUNKS))
    assert q.chunks == (CHUNKS, (3,))
    assert_array_equal(q.compute(), expected.predict_proba(Q))
    for y in (NAMES_OF_COLUMNS, P):
        score = model.score(*collections((Q, y, WEIGHT)))
        assert score == pytest.approx(expected.score(Q, y, WEIGHT), rel=1e-12)
    in_memory = sklkl.dask.TemperatureScaling().fit(Q, P)
    assert in_memory.temperature_ == calibration.TemperatureScaling().fit(Q, P).temperature_


def with_row(values, row, value):
    changed = values.copy()
    changed[row] = value
    return changed


REFUSED = {
    "sum": ({}, (with_row(Q, 701, 0.5), P), r"X\[701\]"),
    "NaN": ({}, (with_row(Q, 702, np.nan), P), "702"),
    "target": ({}, (Q, with_row(P, 703, 0.5)), r"y\[703\]"),
    "weight": ({}, (Q, P, with_row(WEIGHT, 704, -1.0)), "at row 704"),
    "width": ({"smoothing": 0.0}, (Q, CODES == 1), "X has 3 columns, but there are 2 classes"),
    "one class": ({}, (Q, 0 * CODES), "y holds only 1 class, 0"),
    "columns": ({}, (FRAME.rename(columns={"ham": "jam"}), pd.Series(NAMES)), "ham"),
    "parameter": ({"smoothing": 1.0}, (Q, P), "smoothing must be"),
    "order": (
        {},
        (FRAME, pd.Series(NAMES, index=[*range(99), 100, 99, *range(101, N)])),
        "row 99 is 99 in X and 100 in y",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, monkeypatch):
    """In memory, too."""
    monkeypatch.setattr(objectives, "ENOUGH", 0)
    params, arguments, message = REFUSED[case]
    model = sklkl.dask.TemperatureScaling(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(*collections(arguments))
    message = "have different labels" if case == "order" else message
    with pytest.raises(ValueError, match=message):
        calibration.TemperatureScaling(**params).fit(*arguments)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_what_is_no_collection_is_refused():
    with pytest.raises(TypeError, match="Pass all as such"):
        sklkl.dask.VectorScaling().fit(array(Q, CHUNKS), P)
