"""Sources of batches, which can be read again and again."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from os import PathLike, fspath
from typing import Any

import numpy as np

from sklkl._core.arrays import is_sparse_matrix
from sklkl._core.names import shown

# Of a batch that is a tuple, in this order.
ITEMS = ("X", "y", "sample_weight", "labels", "label_weight")
TUPLES = "(X, y), (X, y, sample_weight), or up to (X, y, sample_weight, labels, label_weight)"
KINDS = (
    "a path or a list of paths of Parquet, Feather or CSV files, a pyarrow dataset or table, "
    "a DuckDB relation, a data frame of polars or pandas, a tuple (X, y) of arrays or paths "
    "of .npy files, or a function that returns an iterator of batches"
)


@dataclass(frozen=True)
class Source:
    """What batches come from: tables with named columns, or tuples of arrays."""

    # The names of all columns; None of a function, or of arrays.
    columns: list | None
    # Called with names of columns, or None for all, it begins to read anew: an iterator of
    # tables, which may have other columns besides, or of tuples.
    read: Callable[[list | None], Any]


def open_source(source, batch_size):
    """Return the ``Source`` that a user passed."""
    batch_size = int(batch_size)  # an integer of 8 bits would overflow where rows are counted
    if hasattr(source, "__dask_graph__"):
        raise TypeError("source is a collection of Dask; pass it to estimators of sklkl.dask.")
    if isinstance(source, tuple):
        return _of_arrays(source, batch_size)
    if hasattr(source, "__next__"):
        raise TypeError(
            f"source is a {type(source).__name__}, which can be read once only; pass the "
            "function that returns it, which is called for every pass over the rows."
        )
    if isinstance(source, str | PathLike | list):
        source, form = _dataset_of(source)
        if form == "parquet":
            return _of_parquet(source, batch_size)
    if hasattr(source, "scanner"):  # a dataset
        return _of_dataset(source, batch_size)
    if hasattr(source, "collect_schema") and hasattr(source, "collect"):  # a LazyFrame
        names = source.collect_schema().names()
        return Source(
            names,
            lambda columns: source.select(columns or names).collect_batches(
                chunk_size=batch_size, maintain_order=True
            ),
        )
    if hasattr(source, "fetch_arrow_table"):  # a DuckDB relation
        return Source(
            list(source.columns),
            lambda columns: _cut(_relation_reader(source, columns, batch_size), batch_size),
        )
    if hasattr(source, "iloc") or hasattr(source, "slice"):  # a table in memory
        n, take = len(source), _slicer(source)
        return Source(
            column_names(source),
            lambda columns: (take(a, batch_size) for a in range(0, n, batch_size)),
        )
    if callable(source):
        return Source(None, lambda columns: _called(source))
    raise TypeError(f"source must be {KINDS}; got {source!r}.")


def _called(source):
    """Return the batches of a function of a user."""
    try:
        inspect.signature(source).bind()
    except TypeError:
        raise TypeError(
            f"source is the function {source!r}, which needs arguments; pass one without."
        ) from None
    except ValueError:  # built-in ones without a signature
        pass
    batches = source()
    if not hasattr(batches, "__iter__"):
        raise TypeError(
            f"source() must return an iterator of batches; it returned {repr(batches)[:200]}."
        )
    return batches


def column_names(table):
    """Return the names of the columns of a table; refuse what is none, or names twice."""
    names = getattr(table, "column_names", None)  # of pyarrow, whose ``columns`` are data
    names = getattr(table, "columns", None) if names is None else names
    if names is None:
        raise TypeError(
            f"A batch must be a table with named columns, or a tuple {TUPLES}; got a "
            f"{type(table).__name__}."
        )
    names = list(names)
    if len({None if name != name else name for name in names}) < len(names):  # NaN is another
        raise ValueError(f"A batch names several columns alike: {shown(names)}.")
    return names


def names_of(columns, name):
    """Return columns, an argument of this name, as a list; refuse a single one."""
    try:
        if isinstance(columns, str) or is_sparse_matrix(columns):
            raise TypeError
        columns = list(columns)
    except Exception:  # whatever refuses to be gone through raises
        raise TypeError(f"{name} must be a list of columns; got {columns!r}.") from None
    refuse_strange(columns, name)
    return columns


def refuse_strange(columns, name):
    """Refuse what cannot name a column."""
    for column in columns:
        try:
            hash(column)
            named = column == column or isinstance(column, float)  # NaN
            strange = isinstance(column, np.void) or not isinstance(named, bool | np.bool_)
        except Exception:  # whatever refuses to be hashed or compared raises
            strange = True
        if strange:
            raise TypeError(f"{name} must name columns; got {column!r}.")


def _slicer(table):
    if hasattr(table, "iloc"):
        return lambda start, n: table.iloc[start : start + n]
    return table.slice


def module_of_arrow(name, doing):
    """Return a module of pyarrow, or say what to install for reading or writing files."""
    try:
        return import_module(f"pyarrow.{name}")
    except ImportError as error:
        raise ImportError(f"{doing} files takes pyarrow: pip install pyarrow") from error


def _dataset_of(paths):
    dataset = module_of_arrow("dataset", "Reading").dataset
    listed = paths if isinstance(paths, list) else [paths]
    if not all(isinstance(path, str | PathLike) for path in listed):
        raise TypeError(f"source must be {KINDS}; got a list of other things.")
    paths = [fspath(path) for path in listed]
    if not paths:
        raise ValueError("source is an empty list of paths.")
    ends = {path.rpartition(".")[2].lower() for path in paths}
    if "npy" in ends:
        raise ValueError("Pass .npy files as a tuple of paths, or of lists of them: (X, y).")
    form = ends.pop() if len(ends) == 1 and ends <= {"csv", "feather", "arrow"} else "parquet"
    try:
        return dataset(paths if len(paths) > 1 else paths[0], format=form), form
    except ValueError as error:  # of pyarrow, or as no text that names a file
        raise ValueError(f"source holds no {form} file: {error}") from None


def _of_parquet(dataset, batch_size):
    """Return the source of Parquet files alone.

    By default pyarrow holds what two row groups take in the file, 0.5 GB of 60 columns float32
    as it writes them; a stream for each column takes 55 MB, and no longer.
    """
    from pyarrow.parquet import ParquetFile

    columns = list(dataset.schema.names)

    def read(wanted):
        wanted = columns if wanted is None else wanted
        for path in dataset.files:
            options = {"pre_buffer": False, "buffer_size": 1 << 16}
            with ParquetFile(path, filesystem=dataset.filesystem, **options) as file:
                _refuse_missing(path, wanted, file.schema_arrow.names)
                for batch in file.iter_batches(batch_size, columns=wanted):
                    yield batch.select(wanted)

    return Source(columns, lambda wanted: _cut(read(wanted), batch_size))


def _refuse_missing(path, wanted, names):
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(f"{path} lacks the columns {shown(missing)}.")


def _of_dataset(dataset, batch_size):
    from pyarrow.dataset import get_partition_keys

    columns = list(dataset.schema.names)

    def read(wanted):
        wanted = columns if wanted is None else wanted
        scanner = dataset.scanner(
            columns=wanted, batch_size=batch_size, batch_readahead=1, fragment_readahead=1
        )
        for tagged in scanner.scan_batches():
            # A column that a file lacks is read as missing values.
            file = tagged.fragment
            keys = get_partition_keys(file.partition_expression)
            here = [*file.physical_schema.names, *keys]
            _refuse_missing(getattr(file, "path", file), wanted, here)
            yield tagged.record_batch

    return Source(columns, lambda wanted: _cut(read(wanted), batch_size))


def _relation_reader(relation, columns, batch_size):
    if columns is not None:
        names = [name.replace('"', '""') for name in columns]
        relation = relation.project(", ".join(f'"{name}"' for name in names))
    if hasattr(relation, "to_arrow_reader"):
        return relation.to_arrow_reader(batch_size)
    return relation.fetch_record_batch(batch_size)


def _cut(batches, size):
    """Yield tables of so many rows, the last of what is left, from Arrow's record batches."""
    from pyarrow import Table

    held, n = [], 0
    for batch in batches:
        if held and batch.schema != held[0].schema:  # as in another file
            yield Table.from_batches(held)
            held, n = [], 0
        while n + batch.num_rows >= size:
            yield Table.from_batches([*held, batch.slice(0, size - n)])
            batch = batch.slice(size - n)
            held, n = [], 0
        if batch.num_rows:
            held.append(batch)
            n += batch.num_rows
    if held:
        yield Table.from_batches(held)


def _of_arrays(source, batch_size):
    if not 2 <= len(source) <= len(ITEMS):
        raise ValueError(f"A tuple as source must be {TUPLES}; got {len(source)} items.")
    given = [i for i, item in enumerate(source) if item is not None]
    files = [_opened(source[i]) for i in given]
    if len(set(map(len, files))) > 1:
        raise ValueError(f"X, y, ... are in different numbers of files: {[*map(len, files)]}.")
    files = list(zip(*files, strict=True))
    for j, arrays in enumerate(files):
        if len(lengths := {array.shape[0] for array in arrays}) > 1:
            raise ValueError(
                f"Arrays number {j} of X, y, ... differ in their numbers of rows: "
                f"{sorted(lengths)}."
            )

    def read(columns):
        for arrays in files:
            for start in range(0, arrays[0].shape[0], batch_size):
                rows, batch = slice(start, start + batch_size), [None] * len(source)
                for i, array in zip(given, arrays, strict=True):
                    # Slices of frames may mean labels of their index.
                    batch[i] = getattr(array, "iloc", array)[rows]
                yield tuple(batch)

    return Source(None, read)


def _opened(item):
    """Return the arrays of an item of a source: given ones, or those of ``.npy`` files."""
    listed = item if isinstance(item, list) else [item]
    arrays = []
    for path in listed:
        if isinstance(path, str | PathLike):
            path = np.load(path, mmap_mode="r", allow_pickle=False)
        if not hasattr(path, "shape"):
            raise TypeError(
                "A tuple as source holds arrays, paths of .npy files, or lists of these; got "
                f"{path!r:.60}."
            )
        arrays.append(path)
    return arrays
