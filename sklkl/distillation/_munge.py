"""Synthetic samples for a teacher to label."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import vstack
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from sklkl._core.arrays import as_array, is_sparse_matrix
from sklkl._core.parameters import SHARE, Rule, check, integer, number
from sklkl._core.sparse import canonical, check_entries
from sklkl._core.typing import RandomState, Samples

SEED = Rule(
    "an integer from 0 to 2**32 - 1 or a RandomState",
    good=lambda v: (
        isinstance(v, np.random.RandomState) or (isinstance(v, Integral) and 0 <= v < 2**32)
    ),
).or_(None)


def munge(
    X: Samples,
    n_samples: int | None = None,
    *,
    swap_probability: float = 0.5,
    local_variance: float = 1.0,
    categorical_features: ArrayLike | None = None,
    random_state: RandomState | None = None,
) -> Any:
    r"""Draw synthetic samples near the samples of X, by MUNGE.

    A synthetic sample is a copy of a row e of X, some of whose entries come from the row e'
    nearest to e: each entry is replaced with probability ``swap_probability``, a continuous
    one by a draw from the normal law of mean :math:`e'_a` and standard deviation
    :math:`|e_a - e'_a|` / ``local_variance``, a categorical one by :math:`e'_a`.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
        Samples, at least two. Data frames are of pandas or polars, and dense.
    n_samples : int, default=None
        Number of synthetic samples, by default n_rows. Every row is copied
        ``n_samples // n_rows`` times, in the order of X, then random rows once more.
    swap_probability : float, default=0.5
        Probability, from 0 to 1, that an entry is replaced.
    local_variance : float, default=1.0
        Divides the standard deviation of the draws; the higher, the nearer they are to the
        neighbour's value. ``np.inf`` swaps values without noise.
    categorical_features : array-like of bool, int or str, default=None
        Mask, positions, or names in a data frame, of the categorical columns. By default
        the columns of a data frame whose dtype is not numeric, as object, string, category,
        bool or date; of an array, none. Other columns must have an integer or floating
        dtype. A sparse matrix has none.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, for a reproducible result.

    Returns
    -------
    synthetic : {ndarray, sparse matrix, data frame} of shape (n_samples, n_features)
        Synthetic samples, of the dtypes of X; of a sparse matrix, one of its format; of a data
        frame, a frame of the same type with its columns, in pandas with a new index 0, ...,
        n_samples - 1.

    Raises
    ------
    TypeError
        If a continuous column of a data frame is sparse, X is a frame of another library or a
        tensor that requires grad, or a column holds lists or numbers that NumPy lacks.
    ValueError
        If X is not a matrix of at least two rows, a continuous column is not numeric, holds
        infinite values or ones too far apart for its dtype, X is sparse and a value is
        missing, or a parameter is bad.

    Notes
    -----
    The original mutates both rows of a pair, one pair after the other, so that later pairs
    meet synthetic rows. Here each row is taken by itself, with its neighbour in X.

    The nearest row is another one, though maybe equal to e, of the least Euclidean distance,
    continuous columns being scaled to [0, 1] and each categorical column that differs adding
    1 to the square. Finding it takes n_rows × (number of categories) of memory, and, if X is
    sparse or has more than 15 columns, n_rows² distances, a few rows of them at a time.

    A sparse matrix gives what its dense form does, up to the choice between rows that are
    equally near, and neither it nor the result is made dense. An entry that one row of the
    pair has and the other lacks is drawn like all others: counts stay counts, but shares, as
    of tf-idf, come out close to 0, or negative, where they would be absent. There,
    ``local_variance=np.inf`` swaps entries as they are.

    Draws are not clipped and may leave the range of the column. But in a column that holds
    whole numbers only, of whatever dtype, as counts or flags, they are rounded and held to
    the range of the column.

    A missing value, NaN, None, null or ``pandas.NA``, is a category of its own, swapped as it
    is. In the distance it adds 1 to the square against any value of a continuous column,
    besides what the mean of the column would add in its place.

    References
    ----------
    Bucilă, C., Caruana, R. and Niculescu-Mizil, A. (2006). Model Compression. KDD.

    Fakoor, R. et al. (2020). Fast, Accurate, and Simple Models for Tabular Data via
    Augmented Distillation. arXiv:2006.14284.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklkl.distillation import DistilledClassifier, munge
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X, y)
    >>> synthetic = munge(X, 1000, random_state=0)
    >>> synthetic.shape
    (1000, 4)
    >>> student = DecisionTreeClassifier(max_depth=3, random_state=0)
    >>> model = DistilledClassifier(FrozenEstimator(teacher), student).fit(synthetic)
    >>> round(model.score(X, y), 2)
    0.96
    """
    check("n_samples", n_samples, integer(1, 2**48).or_(None))
    check("swap_probability", swap_probability, SHARE)
    check("local_variance", local_variance, number("a number > 0", lambda v: v > 0))
    check("random_state", random_state, SEED)
    rng = check_random_state(random_state)
    if is_sparse_matrix(X):
        if categorical_features is not None:
            raise ValueError(
                "categorical_features are for dense X; pass X.toarray(), or leave them out: "
                "whole numbers, as flags, are swapped whole and within their range."
            )
        return _sparse(X, n_samples, swap_probability, local_variance, rng)
    X, columns, names = _columns_of(X)
    is_frame = hasattr(X, "columns")
    row = _copied(len(X), n_samples, rng)
    categorical = _categorical_mask(categorical_features, columns, names, is_frame)
    values = [
        None if is_category else _as_float(column, name)
        for column, name, is_category in zip(columns, names, categorical, strict=True)
    ]
    other = _nearest_rows(columns, values, names)[row]
    # Numbers are drawn where the pair differs, in the order of a sparse matrix.
    swaps = []
    for value in values:
        cells = np.arange(len(row))
        if value is not None:
            cells = np.flatnonzero(value[row] != value[other])
        swaps.append(cells[rng.uniform(size=len(cells)) < swap_probability])
    synthetic = []
    for column, value, name, swap in zip(columns, values, names, swaps, strict=True):
        origin = row.copy()
        origin[swap] = other[swap]
        out = _take(column, origin)
        if value is not None:
            draws, drawn = _draw(value[row[swap]], value[other[swap]], local_variance, rng)
            if drawn.any():
                _put(out, swap[drawn], _cast(draws[drawn], *_range_of(column, value), name))
        # Without its dtype pandas takes a column of objects for one of strings.
        is_pandas = hasattr(column, "iloc")
        synthetic.append(type(column)(out, dtype=column.dtype) if is_pandas else out)
    if not is_frame:
        return np.stack(synthetic, axis=1)
    if _is_polars(X):
        return type(X)(synthetic)
    frame = type(X)(dict(enumerate(synthetic)))
    frame.columns = X.columns
    return frame


def _copied(n_rows, n_samples, rng):
    """Return the rows that are copied."""
    n_samples = n_rows if n_samples is None else int(n_samples)  # of more than 8 bits
    rest = rng.permutation(n_rows)[: n_samples % n_rows]
    return np.concatenate([np.tile(np.arange(n_rows), n_samples // n_rows), rest])


def _draw(own, mean, local_variance, rng):
    """Return draws near the neighbours' values, and whether they differ from these."""
    with np.errstate(over="ignore"):
        scale = np.abs(own - mean) / local_variance
        draws = mean + scale * rng.standard_normal(len(own))
    return draws, scale > 0  # not if a value is missing: NaN


def _sparse(X, n_samples, swap_probability, local_variance, rng):
    """Return synthetic samples of a sparse matrix."""
    check_entries(X, "X")
    if X.ndim != 2 or X.shape[0] < 2 or X.shape[1] == 0:
        raise ValueError(
            "X must have shape (n_rows, n_features), with at least two rows and one "
            f"feature; got shape {X.shape}."
        )
    if X.dtype.kind not in "iuf":
        raise ValueError(f"X has dtype {X.dtype}, which is not numeric; convert it.")
    given, X = X, canonical(X.tocsr())
    d = X.shape[1]
    values = X.astype(np.float64)
    if not np.isfinite(values.data).all():
        at = int(np.argmin(np.isfinite(values.data)))
        i = int(np.searchsorted(X.indptr, at, side="right")) - 1
        what = "holds NaN" if np.isnan(values.data[at]) else "is infinite"
        advice = "impute it, or pass a dense X" if what == "holds NaN" else "drop such rows"
        raise ValueError(f"X {what} in row {i}, column {int(X.indices[at])}; {advice}.")
    low, high = (f(axis=0).toarray().ravel() for f in (X.min, X.max))
    whole = np.bincount(X.indices, values.data != np.rint(values.data), d) == 0
    row = _copied(X.shape[0], n_samples, rng)
    other = _nearest_sparse_rows(values, low.astype(np.float64), high.astype(np.float64))[row]
    differ = (values[other] - values[row]).tocsc()
    differ.eliminate_zeros()
    differ.sort_indices()
    swap = rng.uniform(size=differ.nnz) < swap_probability
    column = np.repeat(np.arange(d), np.diff(differ.indptr))[swap]
    sample = differ.indices[swap]
    own, mean = (_entries(values, rows[sample], column) for rows in (row, other))
    draws, drawn = _draw(own, mean, local_variance, rng)
    new = _entries(X, other[sample], column)
    at = column[drawn]
    new[drawn] = _cast(draws[drawn], X.dtype, whole[at], low[at], high[at], at)
    out = X[row]
    place, wanted = _places(out), sample.astype(np.int64) * d + column
    out.data[np.isin(place, wanted, assume_unique=True)] = 0
    out = out + type(X)((new, (sample, column)), out.shape, dtype=X.dtype)
    out.eliminate_zeros()
    return out.asformat(given.format)


def _nearest_sparse_rows(values, low, high):
    """Return the position of the row nearest to each, other than itself."""
    with np.errstate(over="ignore"):
        width = high - low
    if np.isinf(width).any():
        raise ValueError(
            f"Column {int(np.argmax(width))} of X spans more than float64 holds; rescale the "
            "column."
        )
    # A column without zeros is shifted to one with zeros, and a constant one left out.
    shift = np.clip(0.0, low, high)[values.indices]
    width = np.where(width > 0, width, np.inf)[values.indices]
    scaled = values.copy()
    scaled.data = (values.data - shift) / width
    neighbors = NearestNeighbors(n_neighbors=1).fit(scaled)
    return neighbors.kneighbors(return_distance=False)[:, 0]


def _places(X):
    """Return where the entries of a CSR matrix are, in the rows one after the other."""
    row = np.repeat(np.arange(X.shape[0], dtype=np.int64), np.diff(X.indptr))
    return row * X.shape[1] + X.indices


def _entries(X, rows, columns):
    """Return some entries of a canonical CSR matrix, also those that are not stored."""
    place, wanted = _places(X), rows.astype(np.int64) * X.shape[1] + columns
    at = np.minimum(np.searchsorted(place, wanted), len(place) - 1)
    return np.where(place[at] == wanted, X.data[at], X.dtype.type(0))


def _columns_of(X):
    """Return X as a data frame or an array, its columns, and their names."""
    is_frame = hasattr(X, "columns")
    if is_frame and not (hasattr(X, "iloc") or _is_polars(X)):
        raise TypeError(
            f"X is a {type(X).__name__}; pass an array, or a data frame of pandas or polars."
        )
    X = X if is_frame else as_array(X, "X")
    if len(X.shape) != 2 or len(X) < 2 or X.shape[1] == 0:
        raise ValueError(
            "X must have shape (n_rows, n_features), with at least two rows and one "
            f"feature; got shape {X.shape}."
        )
    if not is_frame:
        return X, list(X.T), list(range(X.shape[1]))
    if _is_polars(X):
        return X, X.get_columns(), list(X.columns)
    return X, [X.iloc[:, j] for j in range(X.shape[1])], list(X.columns)


def followed_by(X, synthetic):
    """Return samples with synthetic ones at the end, of the same kind."""
    if hasattr(X, "iloc"):
        import pandas  # as X is one of its frames

        return pandas.concat([X, synthetic], ignore_index=True)
    if _is_polars(X):
        return X.vstack(synthetic)
    if is_sparse_matrix(X):
        return vstack([X, synthetic], format=X.format)
    return np.concatenate([as_array(X, "X"), synthetic])


def _is_polars(X):
    """Return whether something is a frame or a Series of polars."""
    return type(X).__module__.split(".")[0] == "polars"


def _kind(column):
    """Return the letter of NumPy for the kind of a column, "O" if it has none for it."""
    if not _is_polars(column):
        return column.dtype.kind
    return "i" if column.dtype.is_integer() else "f" if column.dtype.is_float() else "O"


def _take(column, rows):
    """Return entries of a column, in what can be written to."""
    if _is_polars(column):
        return column.gather(rows)
    return getattr(column, "array", column).take(rows)


def _put(column, rows, values):
    if _is_polars(column):
        column.scatter(rows, values)
    else:
        column[rows] = values


def _categorical_mask(features, columns, names, is_frame):
    """Return for each column whether it is categorical."""
    if features is None:
        return [is_frame and _kind(column) not in "iuf" for column in columns]
    wanted = as_array(features, "categorical_features")
    kind = wanted.dtype.kind if wanted.size > 0 else "i"
    if wanted.shape == (len(names),) and kind == "b":
        return wanted
    if wanted.ndim != 1 or kind not in ("iuOUT" if is_frame else "iu"):
        raise ValueError(
            f"categorical_features must be a mask of the {len(names)} columns, a list of "
            f"positions or, if X is a data frame, of names; got {features!r}."
        )
    known, wanted = range(len(names)) if kind in "iu" else names, wanted.tolist()
    unknown = [f for f in wanted if f not in known]
    if unknown:
        raise ValueError(f"categorical_features names columns that X lacks: {unknown}.")
    return [name in wanted for name in known]


def _as_float(column, name):
    """Return a continuous column in float64, with NaN where a value is missing."""
    if _kind(column) not in "iuf":
        raise ValueError(
            f"Column {name!r} of X has dtype {column.dtype}, which is not numeric; convert "
            "it, or name it in categorical_features."
        )
    if hasattr(column, "sparse"):
        raise TypeError(f"Column {name!r} of X is sparse; use its sparse.to_dense().")
    if hasattr(column, "array"):
        value = column.to_numpy(np.float64, na_value=np.nan)
    elif _is_polars(column):
        if "128" in str(column.dtype):
            raise TypeError(
                f"Column {name!r} of X has dtype {column.dtype}, which NumPy lacks; cast it "
                "to Int64 or Float64."
            )
        value = column.to_numpy().astype(np.float64)  # nulls are NaN
    else:
        value = column.astype(np.float64)
    if np.isinf(value).any():
        i = int(np.argmax(np.isinf(value)))
        raise ValueError(f"X is infinite in row {i}, column {name!r}; drop such rows.")
    known = value[~np.isnan(value)]
    with np.errstate(over="ignore"):
        if known.size > 0 and np.isinf(np.ptp(known)):
            raise ValueError(
                f"Column {name!r} of X spans more than float64 holds; rescale the column."
            )
    return value


def _nearest_rows(columns, values, names):
    """Return the position of the row nearest to each, other than itself."""
    parts = [np.zeros((len(columns[0]), 1))]  # if all columns are constant
    for column, value, name in zip(columns, values, names, strict=True):
        if value is None:
            code = {}
            keys = map(_category, column.to_list() if _is_polars(column) else column.tolist())
            try:
                codes = np.array([code.setdefault(key, len(code)) for key in keys])
            except (TypeError, ValueError):  # not hashable, or arrays
                raise TypeError(
                    f"Column {name!r} of X has the dtype {column.dtype}, whose values are no "
                    "categories; drop the column, or make columns of its parts."
                ) from None
            parts.append((codes[:, np.newaxis] == np.arange(len(code))) / np.sqrt(2.0))
            continue
        missing = np.isnan(value)
        known = value[~missing]
        if missing.any():
            parts.append(missing[:, np.newaxis])
        if known.size > 0 and np.ptp(known) > 0:
            scaled = (value - known.min()) / np.ptp(known)
            scaled[missing] = scaled[~missing].mean()
            parts.append(scaled[:, np.newaxis])
    neighbors = NearestNeighbors(n_neighbors=1).fit(np.hstack(parts))
    return neighbors.kneighbors(return_distance=False)[:, 0]


def _category(value):
    """Return a categorical value, None if it is missing."""
    try:
        return value if value == value else None  # NaN and NaT are not
    except TypeError:  # pandas.NA, neither equal nor unequal to anything
        return None


def _range_of(column, value):
    """Return the dtype of a column, whether all it holds is whole, and its range."""
    dtype = column.head(0).to_numpy().dtype if _is_polars(column) else column.dtype
    dtype = getattr(dtype, "numpy_dtype", dtype)  # pandas' nullable dtypes
    known = value[~np.isnan(value)]
    whole = not (known != np.rint(known)).any()
    of = known if dtype.kind == "f" else column  # integers of 64 bits to the last digit
    return dtype, whole, of.min(), of.max()


def _cast(draws, dtype, whole, low, high, name):
    """Return draws in a dtype, whole and within a range where the values of a column are."""
    draws = np.where(whole, np.rint(np.clip(draws, low, high)), draws)
    if dtype.kind != "f":
        top = np.nextafter(
            float(np.iinfo(dtype).max), 0.0
        )  # of 64 bits the maximum is too large
        return np.clip(np.rint(np.minimum(draws, top)).astype(dtype), low, high)
    with np.errstate(over="ignore"):
        draws = draws.astype(dtype)
    if not (finite := np.isfinite(draws)).all():
        name = int(name[np.argmin(finite)]) if isinstance(name, np.ndarray) else name
        raise ValueError(
            f"A draw for column {name!r} of X is too large for its dtype, {dtype}; rescale "
            "the column, or raise local_variance."
        )
    return draws
