"""Batches of rows as ``fit`` takes them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config

from sklkl._core.names import shown
from sklkl._core.parameters import check, integer
from sklkl.batches._sources import (
    ITEMS,
    TUPLES,
    column_names,
    names_of,
    open_source,
    refuse_strange,
)

OF_FEATURES = (
    "leave it out of the features, or pass a transform, as a fitted ColumnTransformer"
)


class Batches:
    """Rows that do not fit into memory, to be read in batches in every pass over them.

    Pass it to ``SoftLabelLogisticRegression.fit`` as ``X``, without ``y``. The solution is
    that of all rows at once.

    Parameters
    ----------
    source : path, list of paths, dataset, relation, data frame, tuple or function
        Where rows come from:

        - the path of a Parquet, Feather (``.feather``, ``.arrow``) or CSV (``.csv``) file or a
          directory of Parquet files, a list of paths, or a ``pyarrow.dataset.Dataset``;
        - a relation of DuckDB, a ``LazyFrame`` of polars, or a table in memory of pyarrow,
          polars or pandas. Queries run again in every pass, and have to give the same rows;
        - a tuple (X, y), with sample_weight, labels and label_weight after them as far as
          there are any, None in between, of arrays, as memory maps, of paths of ``.npy``
          files, which are memory-mapped, or of lists of these, file by file;
        - a function without arguments that returns an iterator of batches. It is called for
          every pass. A batch is a table with named columns of any library above, or such a
          tuple of whatever ``fit`` takes, as a ``TopK`` for y. It should be small: a batch is
          held in memory as a whole.

    target : column, list of columns, or dict, default=None
        Of tables the column of labels; or the columns of probabilities, whose names are the
        classes; or a dict of columns of probabilities with the class of each.
    features : list of columns, default=None
        Of tables the columns of X, by default all others, in the order of the first batch.
    sample_weight : column, default=None
        Of tables the column of weights.
    labels : column, list of columns, or dict, default=None
        Of tables the labels to learn besides, as ``target``.
    label_weight : column, default=None
        Of tables the column of the weights of ``labels``.
    batch_size : int, default=65536
        Rows in a batch. Files, relations and frames are cut into batches of this size.
    transform : transformer or function, default=None
        A fitted transformer, or a function, which turns the features of a batch into X. It
        gets what stands in the tuple, of tables a pandas data frame.

    Raises
    ------
    TypeError
        If the source is none of the above, as an iterator, which can be read only once.
    ValueError
        If a table lacks a column, or a column of features does not hold numbers: the message
        names it.
    ImportError
        If pyarrow is not there to read files, or pandas to read tables.

    See Also
    --------
    predict_to_parquet : Predict in batches.

    Notes
    -----
    Iterating over it yields tuples (X, y, sample_weight, labels, label_weight): of tables X is
    a pandas data frame and so are probabilities, labels are an array; None stands for what
    there is not.

    A batch is read, checked and computed anew in every pass, the next one being read
    meanwhile. A fit takes two passes before the first iteration, and one for about every
    iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.batches import Batches
    >>> from sklkl.linear_model import SoftLabelLogisticRegression
    >>> def batches():
    ...     for seed in range(4):
    ...         X = np.random.default_rng(seed).normal(size=(50, 1))
    ...         p = 1 / (1 + np.exp(-2 * X[:, 0]))
    ...         yield X, np.column_stack([1 - p, p])
    >>> model = SoftLabelLogisticRegression().fit(Batches(batches))
    >>> model.coef_.round(1)
    array([[1.8]])
    """

    def __init__(
        self,
        source: Any,
        *,
        target: Any = None,
        features: list[Any] | None = None,
        sample_weight: Any = None,
        labels: Any = None,
        label_weight: Any = None,
        batch_size: int = 65_536,
        transform: Any = None,
    ) -> None:
        check("batch_size", batch_size, integer(1))
        self.source = source
        self.target = target
        self.features = features
        self.sample_weight = sample_weight
        self.labels = labels
        self.label_weight = label_weight
        self.batch_size = batch_size
        self.transform = transform
        self._transform = _function_of(transform)
        self._source = open_source(source, batch_size)
        self._columns = None
        if self._source.columns is not None:
            self._columns = self._columns_of(self._source.columns)

    def __repr__(self) -> str:
        return f"Batches({type(self.source).__name__}, batch_size={self.batch_size})"

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        raise TypeError(
            "Batches are for fit and score of SoftLabelLogisticRegression and of its "
            "cross-validated relative, and for scorers of sklkl.metrics. To predict, pass "
            "their source to sklkl.batches.predict_to_parquet, with make_pipeline(transform, "
            "model) if they have a transform; to learn from a stream, partial_fit(X, y, "
            "sample_weight=w) for X, y, w, *_ in batches; otherwise pass arrays, or memory "
            "maps."
        )

    def __iter__(self) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
        columns, first_row = self._columns, 0
        for batch in self._source.read(columns and columns.all):
            if isinstance(batch, tuple):
                part = self._of_tuple(batch)
            else:
                names = column_names(batch)
                columns = columns or self._columns_of(names)
                part = columns.part(batch, names, first_row, self._transform)
            if n := n_rows_of(part):
                first_row += n
                yield part

    def _of_tuple(self, batch):
        named = ("target", "features", "sample_weight", "labels", "label_weight")
        if any(getattr(self, name) is not None for name in named):
            raise ValueError(
                f"{', '.join(named)} name columns of tables; batches that are tuples have "
                "none."
            )
        if not 2 <= len(batch) <= len(ITEMS):
            raise ValueError(
                f"A batch must be {TUPLES}, None in between; got {len(batch)} items."
            )
        X, *others = (*batch, *[None] * len(ITEMS))[: len(ITEMS)]
        return X if self._transform is None else self._transform(X), *others

    def _columns_of(self, names):
        """Return the ``Columns`` of tables with these names."""
        if self.target is None:
            raise ValueError(
                "target must name the column of labels, or the columns of probabilities; "
                f"there are {shown(names)}."
            )
        others = {
            "target": TargetColumns.of(self.target, "target"),
            "labels": TargetColumns.of(self.labels, "labels"),
        }
        weights = {name: getattr(self, name) for name in ("sample_weight", "label_weight")}
        for name, column in weights.items():
            refuse_strange([column], name)
        columns = Columns([], **others, **weights)
        if self.features is None:
            columns.known = set(names)
            columns.features = [name for name in names if name not in columns.all]
        else:
            columns.features = names_of(self.features, "features")
        if not columns.features:
            raise ValueError(f"There are no columns of features, only {shown(names)}.")
        if len(set(columns.all)) < len(columns.all):
            raise ValueError(
                f"A column is named twice, as a feature or else: {shown(columns.all)}."
            )
        columns.refuse_missing(names, 0)
        return columns


def refuse_others(others):
    """Refuse arguments beside ``Batches``, which hold what is passed by these names."""
    if given := [name for name, value in others.items() if value is not None]:
        raise ValueError(
            f"X is Batches, which hold targets and weights; got {', '.join(given)} besides."
        )


def n_rows_of(batch):
    """Return the number of rows of a batch, a tuple with X first."""
    X = batch[0]
    return X.shape[0] if hasattr(X, "shape") else len(X)


def numbered(batches):
    """Yield each batch with the number of rows before it."""
    first_row = 0
    for batch in batches:
        yield batch, first_row
        first_row += n_rows_of(batch)


def ahead(items):
    """Yield items, of which a thread makes the next one meanwhile."""
    config = get_config()  # scikit-learn keeps one for each thread

    def make():
        with config_context(**config):
            return next(items, None)

    with ThreadPoolExecutor(1) as thread:
        later = thread.submit(make)
        while (item := later.result()) is not None:
            later = thread.submit(make)
            yield item


@dataclass
class TargetColumns:
    """The column of labels, or the columns of probabilities with their classes."""

    names: list
    classes: list | None  # None of labels

    @classmethod
    def of(cls, columns, name):
        """Return those that a user passed by the argument of this name; none are none."""
        if columns is None:
            return cls([], None)
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            refuse_strange([columns], name)
            return cls([columns], None)
        names = names_of(columns, name)
        if len(names) < 2:
            raise ValueError(f"{name} must name two columns at least; got {columns!r}.")
        return cls(names, list(columns.values()) if isinstance(columns, dict) else names)

    def part(self, table):
        """Return what stands in these columns of a table, None if there are none."""
        if not self.names:
            return None
        if self.classes is None:
            return np.asarray(table[self.names[0]])
        advice = "probabilities are numbers, and labels are one column"
        return frame_of(table, self.names, advice).set_axis(self.classes, axis=1)


@dataclass
class Columns:
    """The columns of tables by what they are for."""

    features: list
    target: TargetColumns
    labels: TargetColumns
    sample_weight: Any  # a column, or None
    label_weight: Any
    known: set | None = None  # all columns, if the features are those that are left over

    @property
    def all(self):
        """The names of all columns to read."""
        weights = [self.sample_weight, self.label_weight]
        weights = [name for name in weights if name is not None]
        return [*self.features, *self.target.names, *self.labels.names, *weights]

    def refuse_missing(self, names, first_row):
        """Refuse a table without a column, or with one of which nobody knows what it is."""
        if missing := [name for name in self.all if name not in names]:
            raise ValueError(
                f"There is no column {shown(missing)} from row {first_row} on, only "
                f"{shown(names)}."
            )
        unknown = [] if self.known is None else [n for n in names if n not in self.known]
        if unknown:
            raise ValueError(
                f"There are columns {shown(unknown)} from row {first_row} on, and not before; "
                "name the features."
            )

    def part(self, table, names, first_row, transform):
        """Return ``(X, y, sample_weight, labels, label_weight)``."""
        self.refuse_missing(names, first_row)
        X = frame_of(table, self.features, OF_FEATURES if transform is None else None)
        X = X if transform is None else transform(X)
        weight, label_weight = (
            None if name is None else np.asarray(table[name])
            for name in (self.sample_weight, self.label_weight)
        )
        return X, self.target.part(table), weight, self.labels.part(table), label_weight


def frame_of(table, names, advice=None):
    """Return columns as a data frame; with advice, refuse columns of anything but numbers.

    Numbers are in one array, column after column, which takes no second copy of the batch.
    """
    from pandas import DataFrame

    columns = [np.asarray(table[name]) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.dtype.kind in "fiub":
            continue
        if advice is not None:
            raise ValueError(
                f"The column {name!r} does not hold numbers, but {column.dtype}; {advice}."
            )
        return DataFrame(dict(zip(names, columns, strict=True)))
    values = np.empty((len(names), len(columns[0])), np.result_type(*columns))
    for row, column in zip(values, columns, strict=True):
        row[:] = column
    return DataFrame(values.T, columns=names, copy=False)


def _function_of(transform) -> Callable[[Any], Any] | None:
    if transform is None or callable(transform):
        return transform
    if hasattr(transform, "transform"):
        return transform.transform
    raise TypeError(
        f"transform must be a fitted transformer or a function; got {transform!r}."
    )
