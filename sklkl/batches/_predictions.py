"""Predictions of rows that are read in batches."""

import os
from contextlib import suppress
from typing import Any, get_args

from sklkl._core.models import predict_columns
from sklkl._core.names import shown
from sklkl._core.parameters import Rule, check, integer, one_of
from sklkl._core.typing import Estimator, ProbaMethod
from sklkl.batches._batches import Batches, frame_of
from sklkl.batches._sources import column_names, module_of_arrow, names_of, open_source

METHODS = get_args(ProbaMethod)


def predict_to_parquet(
    model: Estimator,
    source: Any,
    path: str | os.PathLike[str],
    *,
    features: list[Any] | None = None,
    keep: list[Any] | tuple[Any, ...] = (),
    method: ProbaMethod = "predict_proba",
    batch_size: int = 65_536,
) -> int:
    """Predict in batches, and write a Parquet file with a column for each class.

    Parameters
    ----------
    model : classifier
        Fitted, with ``classes_``: any of scikit-learn's.
    source : path, list of paths, dataset, relation, data frame, or function
        Tables with named columns, as ``Batches`` takes them.
    path : path
        The file to write. It appears once it is whole; one of this name is replaced.
    features : list of columns, default=None
        The columns of X, in the order of the fit. By default the ``feature_names_in_`` of the
        model; all columns but those to keep if it has none.
    keep : list of columns, default=()
        Columns to copy, as an identifier of the rows.
    method : {"predict_proba", "predict_log_proba"}, default="predict_proba"
        What to predict.
    batch_size : int, default=65536
        Rows in a batch.

    Returns
    -------
    n_samples : int
        The number of rows that were written.

    Raises
    ------
    TypeError
        If the source holds no tables, or ``features`` or ``keep`` is no list.
    ValueError
        If a column is missing, or does not hold what the model predicts from; if a column to
        keep has the name of a class, or another type in a later batch; if there are no rows.
    ImportError
        If pandas or pyarrow is missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from sklkl.batches import predict_to_parquet
    >>> from sklkl.linear_model import SoftLabelLogisticRegression
    >>> frame = pd.DataFrame({"id": [7, 8], "size": [0.0, 3.0]})
    >>> y = pd.DataFrame({"ham": [0.9, 0.1], "spam": [0.1, 0.9]})
    >>> model = SoftLabelLogisticRegression().fit(frame[["size"]], y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "predictions.parquet"
    ...     n = predict_to_parquet(model, frame, path, keep=["id"])
    ...     list(pd.read_parquet(path))
    ['id', 'ham', 'spam']
    """
    ParquetWriter = module_of_arrow("parquet", "Writing").ParquetWriter
    from pyarrow import table as arrow_table

    check("batch_size", batch_size, integer(1))
    check("method", method, one_of(METHODS))
    check("path", path, Rule("a path", str | os.PathLike))
    known = getattr(model, "feature_names_in_", None)
    if isinstance(source, Batches):
        raise TypeError(
            "source is Batches, which hold targets; pass the source that they were made of, "
            "and as the model make_pipeline(transform, model) if they have a transform."
        )
    keep = names_of(keep, "keep")
    features = known if features is None else features
    features = None if features is None else names_of(features, "features")
    source = open_source(source, batch_size)
    unfinished, writer, n_samples = f"{os.fspath(path)}.unfinished", None, 0
    try:
        os.fsencode(unfinished)
    except UnicodeError as error:
        raise ValueError(f"path names no file: {error}") from None
    try:
        columns = features and list(dict.fromkeys([*keep, *features]))
        for table in source.read(columns):
            if isinstance(table, tuple):
                raise TypeError("source must hold tables with named columns, not tuples.")
            names = column_names(table)
            features = features or [name for name in names if name not in keep]
            if missing := [name for name in (*features, *keep) if name not in names]:
                raise ValueError(f"There is no column {shown(missing)}, only {shown(names)}.")
            X = frame_of(table, features)
            if not len(X):
                continue
            predicted = predict_columns(
                model, X if known is not None else X.to_numpy(), method
            )
            out = {str(name): _of_arrow(table[name]) for name in keep}
            if writer is not None:
                _refuse_other_types(out, writer.schema, n_samples)
            classes = [str(label) for label in model.classes_.tolist()]
            if len({*out, *classes}) < len(out) + len(classes):
                raise ValueError(
                    f"keep={shown(keep)} has the name of a class, {shown(classes)}; "
                    "rename the column."
                )
            out |= dict(zip(classes, predicted.T, strict=True))
            out = arrow_table(out)
            writer = writer or ParquetWriter(unfinished, out.schema)
            writer.write_table(out.cast(writer.schema))
            n_samples += len(X)
        if writer is None:
            raise ValueError("source holds 0 rows.")
        writer.close()
        os.replace(unfinished, path)
    except BaseException:
        if writer is not None:
            writer.close()
        with suppress(FileNotFoundError):
            os.remove(unfinished)
        raise
    return n_samples


def _refuse_other_types(columns, schema, first_row):
    """Refuse columns that hold another type than before, as "007", which would become 7."""
    from pyarrow import null

    for name, column in columns.items():
        if column.type not in (before := schema.field(name).type, null()):
            raise ValueError(
                f"The column {name!r} holds {column.type} from row {first_row} on, and "
                f"{before} before; give it one type, or do not keep it."
            )


def _of_arrow(column):
    """Return a column of a table of any library in the type that Arrow has for it."""
    from pyarrow import Array, ChunkedArray, array

    if isinstance(column, Array | ChunkedArray):
        return column
    return column.to_arrow() if hasattr(column, "to_arrow") else array(column)
