"""Synthetic samples for a teacher to label."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from sklkl._core.arrays import as_array
from sklkl._core.parameters import SHARE, Rule, check, integer, number
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
    X : array-like of shape (n_rows, n_features) or data frame
        Dense samples, at least two. Data frames are of pandas or polars.
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
        dtype.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, for a reproducible result.

    Returns
    -------
    synthetic : ndarray of shape (n_samples, n_features) or data frame
        Synthetic samples, of the dtypes of X; of a data frame, a frame of the same type with
        its columns, in pandas with a new index 0, ..., n_samples - 1.

    Raises
    ------
    TypeError
        If X, or a continuous column of it, is sparse, X is a frame of another library or a
        tensor that requires grad, or a column holds lists or numbers that NumPy lacks.
    ValueError
        If X is not a matrix of at least two rows, a continuous column is not numeric, holds
        infinite values or ones too far apart for its dtype, or a parameter is bad.

    Notes
    -----
    The original mutates both rows of a pair, one pair after the other, so that later pairs
    meet synthetic rows. Here each row is taken by itself, with its neighbour in X.

    The nearest row is another one, though maybe equal to e, of the least Euclidean distance,
    continuous columns being scaled to [0, 1] and each categorical column that differs adding
    1 to the square. Finding it takes n_rows × (number of categories) of memory.

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
    0.97
    """
    check("n_samples", n_samples, integer(1, 2**48).or_(None))
    check("swap_probability", swap_probability, SHARE)
    check("local_variance", local_variance, number("a number > 0", lambda v: v > 0))
    check("random_state", random_state, SEED)
    rng = check_random_state(random_state)
    X, columns, names = _columns_of(X)
    is_frame = hasattr(X, "columns")
    n_rows = len(X)
    n_samples = n_rows if n_samples is None else int(n_samples)  # of more than 8 bits
    categorical = _categorical_mask(categorical_features, columns, names, is_frame)
    values = [
        None if is_category else _as_float(column, name)
        for column, name, is_category in zip(columns, names, categorical, strict=True)
    ]
    rest = rng.permutation(n_rows)[: n_samples % n_rows]
    row = np.concatenate([np.tile(np.arange(n_rows), n_samples // n_rows), rest])
    other = _nearest_rows(columns, values, names)[row]
    synthetic = []
    for column, value, name in zip(columns, values, names, strict=True):
        swap = rng.uniform(size=n_samples) < swap_probability
        out = _take(column, np.where(swap, other, row))
        if value is not None:
            with np.errstate(over="ignore"):
                scale = np.abs(value[row] - value[other]) / local_variance
                draws = value[other] + scale * rng.standard_normal(n_samples)
            drawn = np.flatnonzero(swap & (scale > 0))  # not if a value is missing: NaN
            if drawn.size > 0:
                _put(out, drawn, _cast(draws[drawn], column, value, name))
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


def _cast(draws, column, value, name):
    """Return draws in the dtype of a column, whole and within its range if its values are."""
    dtype = column.head(0).to_numpy().dtype if _is_polars(column) else column.dtype
    dtype = getattr(dtype, "numpy_dtype", dtype)  # pandas' nullable dtypes
    known = value[~np.isnan(value)]
    if (known != np.rint(known)).any():
        with np.errstate(over="ignore"):
            draws = draws.astype(dtype)
        if not np.isfinite(draws).all():
            raise ValueError(
                f"A draw for column {name!r} of X is too large for its dtype, {column.dtype}; "
                "rescale the column, or raise local_variance."
            )
        return draws
    draws = np.clip(draws, known.min(), known.max())
    if dtype.kind == "f":
        return np.rint(draws).astype(dtype)
    high = np.nextafter(float(np.iinfo(dtype).max), 0.0)  # the maximum of 64 bits is too large
    draws = np.rint(np.minimum(draws, high)).astype(dtype)
    return np.clip(draws, column.min(), column.max())
