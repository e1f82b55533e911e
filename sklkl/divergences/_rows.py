"""Row-wise evaluation: from what a user passes as distributions to the kernels and back."""

from math import inf, log, prod
from numbers import Real

import numpy as np
from scipy.sparse import issparse

from sklkl._kernels._openmp import n_threads_for

# Rows that once went through float32 are common, so this is the bound for every dtype:
# the square root of the machine epsilon of float32.
SUM_TOLERANCE = 3.5e-4

# Entries that are negative by no more are what rounding left of some 1 - p, and count as 0.
ROUNDING = 1e-6


def by_row(kernel, p, q, *, axis=-1, base=None, names=("p", "q")):
    """Run a ``RowKernel`` on broadcast rows; error messages call the arguments ``names``.

    ``q`` may be ``p`` itself, for a function of one distribution.
    """
    unit = nats_to(base)
    if axis == -1:
        result = kernel.pair(p, q, unit)
        if result is not None:
            return result
    arrays = {names[0]: p} if q is p else dict(zip(names, (p, q), strict=True))
    rows, shape = as_rows(arrays, axis)
    out, bad = kernel.rows(rows[0], rows[-1], unit, n_threads_for(rows[0].size))
    if bad:
        raise_bad_row(arrays, rows, shape, int(np.argmax(np.isnan(out))), axis)
    return out.reshape(shape) if shape else float(out[0])


def nats_to(base):
    """Factor that converts nats to the unit of ``base``; None stands for nats."""
    if base is None:
        return 1.0
    if not isinstance(base, Real) or not 1 < base < inf:
        raise ValueError(
            f"base must be None (nats) or a number > 1 (2 for bits); got {base!r}."
        )
    return 1.0 / log(base)


def as_floating(x, name):
    """Return ``x`` as an aligned native float32 or float64 array of any strides."""
    if issparse(x):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array: {name}.toarray().")
    if hasattr(x, "predict_proba"):
        raise TypeError(f"{name} is an estimator; pass {name}.predict_proba(X).")
    if np.ma.is_masked(x):
        raise ValueError(f"{name} has masked entries; fill or drop them.")
    try:
        x = np.asarray(x)
    except ValueError:
        raise ValueError(f"{name} must be an array: its rows differ in length.") from None
    if x.dtype.kind not in "fiub":
        try:
            x = x.astype(np.float64) if x.dtype.kind == "O" else None
        except (TypeError, ValueError, OverflowError):
            x = None
        if x is None:
            raise TypeError(f"{name} must hold real numbers.")
    small = x.dtype.kind == "f" and x.dtype.itemsize <= 4
    return np.require(x, np.float32 if small else np.float64, "A")


def refuse_other_order(arrays):
    """Refuse two data frames with the same columns in different orders."""
    names = [list(x.columns) for x in arrays.values() if hasattr(x, "columns")]
    if len(names) == 2 and names[0] != names[1] and set(names[0]) == set(names[1]):
        raise ValueError(
            f"{' and '.join(arrays)} are data frames whose columns are in different orders; "
            "bring them into the same order."
        )


def as_rows(arrays, axis=-1):
    """Broadcast one or two named arrays to two-dimensional rows of one dtype.

    Parameters
    ----------
    arrays : dict of str to array-like
        The distributions by the name of the argument that holds them.
    axis : int
        The axis along which each one is a distribution.

    Returns
    -------
    rows : list of ndarray of shape (n_rows, n_outcomes)
        May be read-only and strided; a broadcast argument is not copied.
    shape : tuple
        The leading shape: what the result of a row-wise function has.
    """
    refuse_other_order(arrays)
    moved = {}
    for name, value in arrays.items():
        x = as_floating(value, name)
        if x.ndim == 0:
            raise ValueError(f"{name} is a single number; pass a vector.")
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axis={axis} is out of range for {name} of shape {x.shape}.")
        if axis != -1:
            x = np.moveaxis(x, axis, -1)
        if x.shape[-1] == 0:
            raise ValueError(f"{name} is empty: it has no outcomes along axis {axis}.")
        moved[name] = x
    first, last = next(iter(moved.values())), x
    shape, k = last.shape[:-1], last.shape[-1]
    if first.shape != last.shape:
        if first.shape[-1] != k:
            detail = ", ".join(f"{name} has {x.shape[-1]}" for name, x in moved.items())
            raise ValueError(f"The arguments differ in their number of outcomes: {detail}.")
        try:
            shape = np.broadcast_shapes(first.shape[:-1], shape)
        except ValueError:
            detail = " and ".join(f"{name} {x.shape[:-1]}" for name, x in moved.items())
            raise ValueError(f"The leading shapes do not broadcast: {detail}.") from None
    dtype = np.promote_types(first.dtype, last.dtype)
    n = prod(shape)
    rows = []
    for x in moved.values():
        if x.shape != (*shape, k):
            x = np.broadcast_to(x, (*shape, k))
        rows.append(x.astype(dtype, copy=False).reshape(n, k))
    return rows, shape


def describe_bad_row(row):
    """Say what keeps ``row`` from being a probability vector, or None."""
    if np.isnan(row).any():
        return "contains NaN; drop or fill such rows"
    if np.isinf(row).any():
        return "contains an infinite value; probabilities lie between 0 and 1"
    if (row < -ROUNDING).any():
        j = int(np.argmax(row < -ROUNDING))
        return f"has the negative entry {row[j]:.6g} at position {j}; probabilities are >= 0"
    with np.errstate(over="ignore"):
        total = float(np.sum(np.maximum(row, 0), dtype=np.float64))
    if not abs(total - 1.0) <= SUM_TOLERANCE:
        return (
            f"sums to {total:.6g} instead of 1; pass probabilities, or divide the row by "
            "its sum if it holds counts or weights"
        )
    return None


def position(name, array, shape, i, axis=-1):
    """Say where row ``i`` of the broadcast rows stands in the argument ``name``."""
    index = np.unravel_index(i, shape) if shape else ()
    ndim = np.ndim(array)
    lead = np.moveaxis(np.asarray(array), axis, -1).shape[:-1]
    own = [
        str(j if size > 1 else 0)
        for j, size in zip(index[len(index) - len(lead) :], lead, strict=True)
    ]
    if axis % ndim != ndim - 1:
        own.insert(axis % ndim, ":")
    return f"{name}[{', '.join(own)}]" if own else name


def raise_bad_row(arrays, rows, shape, i, axis=-1):
    """Raise a ValueError about row ``i`` of the broadcast ``rows``."""
    for name, x in zip(arrays, rows, strict=True):
        problem = describe_bad_row(x[i])
        if problem is not None:
            raise ValueError(f"{position(name, arrays[name], shape, i, axis)} {problem}.")
    # The kernel and NumPy sum in different orders; a sum on the very bound can differ.
    raise ValueError(f"Row {i} of {' or '.join(arrays)} does not sum to 1.")
