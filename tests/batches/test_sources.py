"""Batches give the rows of their source, in order, whatever holds them."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_array, issparse

from sklkl.batches import Batches, _sources, predict_to_parquet

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
dataset = pytest.importorskip("pyarrow.dataset")

N, SIZE = 100, 32
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c d"])
P = pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=["ham", "eggs", 'sp"am'])
W = rng.lognormal(size=N)
FRAME = pd.concat([X, P], axis=1).assign(w=W)
TARGET = list(P)


def parquet_file(folder):
    path = folder / "all.parquet"
    FRAME.to_parquet(path, row_group_size=30)
    return path


def csv_file(folder):
    path = folder / "all.csv"
    FRAME.to_csv(path, index=False)
    return str(path)


def feather_file(folder):
    FRAME.to_feather(folder / "all.feather")
    return folder / "all.feather"


def list_of_files(folder):
    """Return files with the columns in another order, and more of them."""
    paths = [str(folder / f"{j}.parquet") for j in (1, 0)]
    FRAME[:45].to_parquet(paths[0])
    FRAME[45:].iloc[:, ::-1].to_parquet(paths[1])
    return paths


def directory(folder):
    FRAME[:45].to_parquet(folder / "0.parquet")
    FRAME[45:].to_parquet(folder / "1.parquet")
    return folder


def relation(folder):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.read_parquet(str(parquet_file(folder)))


def lazy_frame(folder):
    return pytest.importorskip("polars").scan_parquet(parquet_file(folder))


def polars_frame(folder):
    return pytest.importorskip("polars").from_pandas(FRAME)


TABLES = {
    "parquet": parquet_file,
    "csv": csv_file,
    "feather": feather_file,
    "list": list_of_files,
    "directory": directory,
    "dataset": lambda folder: dataset.dataset(parquet_file(folder)),
    "filter": lambda folder: dataset.dataset(
        pa.Table.from_pandas(pd.concat([FRAME.assign(keep=k) for k in (0, 1)]))
    ).filter(dataset.field("keep") == 1),
    "union": lambda folder: dataset.dataset(
        [
            dataset.dataset(list_of_files(folder)[:1]),
            dataset.dataset(list_of_files(folder)[1:]),
        ]
    ),
    "pandas": lambda folder: FRAME.set_index(FRAME.index + 7),
    "pyarrow": lambda folder: pa.Table.from_pandas(FRAME),
    "polars": polars_frame,
    "lazy": lazy_frame,
    "duckdb": relation,
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind, tmp_path):
    options = {"features": X.columns} if kind == "filter" else {}
    batches = Batches(
        TABLES[kind](tmp_path), target=P.columns, sample_weight="w", batch_size=SIZE, **options
    )
    for _ in range(2):
        read = list(batches)
        assert [len(part[0]) for part in read] == [32, 32, 32, 4]
        for values, expected in zip(zip(*read, strict=True), (X, P), strict=False):
            found = pd.concat(values, ignore_index=True)
            assert_frame_equal(found, expected, check_exact=kind != "csv")
        assert_array_equal(np.concatenate([part[2] for part in read]), W)


@pytest.mark.parametrize("kind", ["arrays", "files", "lists", "frames", "sparse"])
def test_arrays(kind, tmp_path):
    arrays = X.to_numpy(), P.to_numpy(), W
    paths = [tmp_path / f"{name}.npy" for name in "XPW"]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    source = {
        "arrays": arrays,
        "files": (str(paths[0]), paths[1], W),
        "lists": tuple([array[:40], array[40:]] for array in arrays),
        "frames": tuple(
            pd.DataFrame(array).set_index(np.arange(N) / 2).squeeze() for array in arrays
        ),
        "sparse": (csr_array(arrays[0]), *arrays[1:]),
    }[kind]
    read = list(Batches(source, batch_size=SIZE))
    assert [part[0].shape[0] for part in read] == (
        [32, 8, 32, 28] if kind == "lists" else [32, 32, 32, 4]
    )
    for values, expected in zip(zip(*read, strict=True), arrays, strict=False):
        values = [x.toarray() if issparse(x) else x for x in values]
        assert_array_equal(np.concatenate(values), expected)
    if kind == "files":
        assert isinstance(read[0][0], np.memmap)


def test_functions_of_tables():
    polars = pytest.importorskip("polars")

    def tables():
        yield FRAME[:50]
        yield FRAME[:0]
        yield polars.from_pandas(FRAME[50:80].iloc[:, ::-1])
        yield pa.RecordBatch.from_pandas(FRAME[80:], preserve_index=False)

    read = list(Batches(tables, target=TARGET, sample_weight="w"))
    assert [len(part[0]) for part in read] == [50, 30, 20]
    assert_frame_equal(pd.concat([part[0] for part in read], ignore_index=True), X)
    assert_frame_equal(pd.concat([part[1] for part in read], ignore_index=True), P)


def test_targets_and_features():
    labels = np.resize(["ham", "eggs"], N)
    frame = FRAME.assign(label=labels)
    X_, y, *others = next(iter(Batches(frame, target="label", features=["b", "a"])))
    assert_frame_equal(X_, X[["b", "a"]])
    assert_array_equal(y, labels)
    assert others == [None, None, None]
    _, y, *_ = next(iter(Batches(FRAME, target={'sp"am': 1, "ham": 0, "eggs": 2})))
    assert list(y) == [1, 0, 2]
    assert_array_equal(y[1], P['sp"am'])


def test_labels_besides():
    """They are no features, and come after the weights."""
    frame = FRAME.assign(label=np.resize(["ham", "eggs"], N))
    columns = {"target": TARGET, "labels": "label", "label_weight": "w"}
    batches = Batches(frame, **columns, batch_size=SIZE)
    parts = list(zip(*batches, strict=True))[:2]
    found = [pd.concat(frames, ignore_index=True) for frames in parts]
    assert_frame_equal(found[0], X)
    assert_frame_equal(found[1], P)
    *_, weight, labels, label_weight = next(iter(batches))
    assert weight is None
    assert_array_equal(labels, frame["label"][:SIZE])
    assert_array_equal(label_weight, W[:SIZE])
    *_, labels, _ = next(iter(Batches(frame, target="label", labels={"ham": 1, "eggs": 0})))
    assert list(labels) == [1, 0]
    parts = zip(*Batches((X, P, None, W), batch_size=SIZE), strict=True)
    _, _, weight, labels, label_weight = parts
    assert_array_equal(np.concatenate(labels), W)
    assert weight == label_weight == (None,) * 4


def test_dtypes():
    frame = FRAME.astype({"a": np.float32, "b": np.float32, "c d": np.int8})
    X_, y, *_ = next(iter(Batches(frame, target=TARGET, features=["a", "b"])))
    assert set(X_.dtypes) == {np.dtype(np.float32)}
    assert set(y.dtypes) == {np.dtype(np.float64)}
    X_, *_ = next(iter(Batches(frame, target=TARGET, features=["a", "c d"])))
    assert set(X_.dtypes) == {np.dtype(np.float32)}


def test_files_of_other_types_are_not_cast(tmp_path):
    paths = [tmp_path / f"{j}.parquet" for j in range(2)]
    FRAME[:40].astype(np.float32).to_parquet(paths[0])
    FRAME[40:].to_parquet(paths[1])
    read = [part[0] for part in Batches(paths, target=TARGET, features=["a", "b"])]
    assert [x.dtypes["a"] for x in read] == [np.float32, np.float64]
    assert_array_equal(read[1], X[["a", "b"]][40:])


def test_transform():
    frame = FRAME.assign(city=np.resize(["Rome", "Oslo"], N))
    batches = Batches(frame, target=TARGET, sample_weight="w", transform=lambda f: f["city"])
    assert_array_equal(next(iter(batches))[0], frame["city"])
    batches = Batches((X, P), transform=lambda x: x + 1)
    assert_frame_equal(next(iter(batches))[0], X + 1)


def later(frame):
    return lambda: iter([FRAME, frame])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (iter([]), {}, "can be read once only; pass the function"),
        (3, {}, "source must be a path"),
        ([3], {}, "source must be a path"),
        ([], {}, "empty list"),
        ("x.npy", {}, "as a tuple of paths"),
        (FRAME, {}, "target must name"),
        (FRAME, {"target": "z"}, r"no column \['z'\] from row 0"),
        (FRAME, {"target": ["ham"]}, "two columns"),
        (FRAME, {"target": "ham", "sample_weight": "ham"}, "named twice"),
        (FRAME, {"target": "ham", "features": ["ham"]}, "named twice"),
        (FRAME[["ham", "eggs"]], {"target": ["ham", "eggs"]}, "no columns of features"),
        (FRAME.assign(s="x"), {"target": "w"}, "column 's' does not hold numbers"),
        (later(FRAME.drop(columns="b")), {"target": "w"}, r"no column \['b'\] from row 100"),
        (later(FRAME.assign(z=1)), {"target": "w"}, r"columns \['z'\] from row 100"),
        (later(np.ones((2, 2))), {"target": "w"}, "must be a table"),
        (later(FRAME[["a", "a"]]), {"target": "w"}, "several columns alike"),
        ((X, P), {"target": "w"}, "batches that are tuples have none"),
        (later((1,)), {"target": "w", "features": ["a"]}, "tuples have none"),
        (lambda: [(X,)], {}, "got 1 items"),
        ((X, P, W, W, W, W), {}, "got 6"),
        (lambda: [(X, P, W, W, W, W)], {}, "got 6"),
        ((X, P), {"label_weight": "w"}, "batches that are tuples have none"),
        (FRAME, {"target": TARGET, "labels": ["w"]}, "labels must name two columns"),
        (FRAME, {"target": TARGET, "labels": "z"}, r"no column \['z'\] from row 0"),
        (([X, X], [P]), {}, r"numbers of files: \[2, 1\]"),
        ((X, P[:50]), {}, "differ in their numbers of rows"),
        ((X.to_numpy().tolist(), P), {}, "holds arrays"),
        (FRAME, {"target": "w", "transform": 3}, "fitted transformer or a function"),
        (FRAME, {"target": "w", "batch_size": 0}, "batch_size"),
        (FRAME, {"target": "w", "features": "ab"}, "features must be a list"),
        (FRAME.assign(b="x"), {"target": ("ham", "b")}, "'b' does not .*probabilities are"),
    ],
)
def test_refused(source, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        list(Batches(source, **options))


@pytest.mark.parametrize("kind", ["paths", "dataset"])
def test_file_that_lacks_a_column(kind, tmp_path):
    paths = [str(tmp_path / f"{j}.parquet") for j in range(2)]
    FRAME.to_parquet(paths[0])
    FRAME.drop(columns="b").to_parquet(paths[1])
    source = paths if kind == "paths" else dataset.dataset(paths)
    with pytest.raises(ValueError, match=r"1.parquet lacks the columns \['b'\]"):
        list(Batches(source, target=TARGET))


def test_only_columns_that_are_needed_are_read(tmp_path):
    source = _sources.open_source(parquet_file(tmp_path), SIZE)
    assert next(source.read(["b", "w"])).column_names == ["b", "w"]


def test_without_pyarrow(monkeypatch):
    for name in ("dataset", "parquet"):
        monkeypatch.setitem(sys.modules, f"pyarrow.{name}", None)
    with pytest.raises(ImportError, match="Writing files takes pyarrow: pip install pyarrow"):
        predict_to_parquet(None, FRAME, "a")
    with pytest.raises(ImportError, match="Reading files takes pyarrow: pip install pyarrow"):
        Batches("x.parquet", target="y")
