"""Predictions in batches are those of all rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

from sklkl.batches import Batches, predict_to_parquet
from sklkl.linear_model import SoftLabelLogisticRegression

pa = pytest.importorskip("pyarrow")

N = 50
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
P = pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=["ham", "spam", "eggs"])
FRAME = X.assign(id=np.arange(N), name="x")
SOFT = SoftLabelLogisticRegression().fit(X, P)
FOREST = RandomForestClassifier(3, random_state=0).fit(X, np.arange(N) % 3)
NAMELESS = SoftLabelLogisticRegression().fit(X.to_numpy(), P)

UNWRITABLE = pa.Table.from_pandas(X).append_column("id", pa.array([{}] * N))


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("model", [SOFT, FOREST])
def test_predictions(model, method, tmp_path):
    path = tmp_path / "out.parquet"
    for kept in (["id", "name"], []):  # the second replaces the first
        with np.errstate(divide="ignore"):
            n = predict_to_parquet(
                model, FRAME.iloc[:, ::-1], path, keep=kept, method=method, batch_size=7
            )
            expected = getattr(model, method)(X)
        assert n == N
        out = pd.read_parquet(path)
        assert list(out) == [*kept, *map(str, model.classes_)]
        assert_array_equal(out[map(str, model.classes_)], expected)
        assert_array_equal(out[kept], FRAME[kept])
    assert list(tmp_path.iterdir()) == [path]


def test_features(tmp_path):
    path = tmp_path / "out.parquet"
    predict_to_parquet(NAMELESS, FRAME, path, features=["a", "b"], keep=["a"])
    assert_array_equal(pd.read_parquet(path)["spam"], SOFT.predict_proba(X)[:, 1])
    batches = [FRAME.iloc[:0], FRAME[:30], FRAME[30:]]
    predict_to_parquet(NAMELESS, lambda: iter(batches), path, keep=["id", "name"])
    assert_array_equal(pd.read_parquet(path)["spam"], SOFT.predict_proba(X)[:, 1])


@pytest.mark.parametrize("kind", ["parquet", "pyarrow", "polars", "lazy", "duckdb"])
def test_sources_and_types_that_are_kept(kind, tmp_path):
    frame = FRAME.assign(day=pd.date_range("2026-01-01", periods=N))
    frame.to_parquet(tmp_path / "in.parquet")
    if kind == "parquet":
        source = str(tmp_path / "in.parquet")
    elif kind == "pyarrow":
        source = pa.Table.from_pandas(frame, preserve_index=False)
    elif kind == "duckdb":
        source = pytest.importorskip("duckdb").read_parquet(str(tmp_path / "in.parquet"))
    else:
        source = pytest.importorskip("polars").from_pandas(frame)
        source = source.lazy() if kind == "lazy" else source
    out = tmp_path / "out.parquet"
    for model in (SOFT, NAMELESS):
        predict_to_parquet(model, source, out, keep=["id", "name", "day"], batch_size=20)
        table = pd.read_parquet(out)
        assert_array_equal(table[["id", "name", "day"]], frame[["id", "name", "day"]])
        assert table["day"].dtype.kind == "M"
        assert_array_equal(table["spam"], SOFT.predict_proba(X)[:, 1])


@pytest.mark.parametrize(
    ("model", "source", "options", "message"),
    [
        (SOFT, FRAME[["a"]], {}, "b"),
        (SOFT, lambda: iter([FRAME, FRAME[["b"]]]), {}, r"no column \['a'\]"),
        (SOFT, (X, P), {}, "not tuples"),
        (SOFT, FRAME[:0], {}, "0 rows"),
        (SOFT, FRAME.assign(ham=1), {"keep": ["ham"]}, "the name of a class"),
        (SOFT, FRAME, {"method": "predict"}, "method must be one of"),
        (SOFT, FRAME, {"keep": "id"}, "keep must be a list"),
        (SOFT, FRAME, {"features": "ab"}, "features must be a list"),
        (SOFT, Batches(FRAME[["a", "id"]], target="id"), {}, "make_pipeline"),
        (
            SOFT,
            lambda: iter([FRAME.assign(id=7), FRAME.assign(id="007")]),
            {"keep": ["id"]},
            "'id' holds .*string from row 50 on, and int64 before",
        ),
        (
            SOFT,
            lambda: iter([FRAME.assign(id=None), FRAME]),
            {"keep": ["id"]},
            "'id' holds int64 from row 50 on, and null before",
        ),
        (LinearSVC().fit(X, X["a"] > 0), FRAME, {}, "has no predict_proba"),
    ],
)
def test_refused(model, source, options, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=message):
        predict_to_parquet(model, source, tmp_path / "out.parquet", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_parquet_cannot_hold_leaves_no_file(tmp_path):
    with pytest.raises(NotImplementedError, match="struct"):
        predict_to_parquet(SOFT, UNWRITABLE, tmp_path / "out.parquet", keep=["id"])
    assert list(tmp_path.iterdir()) == []
