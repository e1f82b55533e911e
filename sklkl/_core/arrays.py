"""Arrays of NumPy from what users pass, or errors that name the argument."""

import sys
from contextlib import nullcontext

import numpy as np

from sklkl._core.names import is_named, row_number

# Rows that once went through float32 are common, so these are the bounds for every dtype: of
# the sum, the square root of the machine epsilon of float32; of what is 0, but was computed as
# the difference of numbers near 1, a few times this epsilon.
SUM_TOLERANCE = 3.5e-4
ROUNDING = 1e-6
PLAIN = {float, int, list, tuple}


def as_floating(x, name):
    """Return ``x`` as an aligned native float32 or float64 array of any strides."""
    if hasattr(x, "predict_proba"):
        raise TypeError(f"{name} is an estimator; pass {name}.predict_proba(X).")
    if isinstance(x, list | tuple) and any(type(v) not in PLAIN and is_named(v) for v in x):
        raise TypeError(
            f"{name} is a list of Series or data frames, whose names would be lost; pass a "
            f"data frame, as pandas.DataFrame({name})."
        )
    x = as_array(x, name)
    if x.dtype.kind == "O":
        x = _of_objects(x, name)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; its dtype is {x.dtype}.")
    small = x.dtype.kind == "f" and x.dtype.itemsize <= 4
    with np.errstate(over="ignore") if x.dtype.itemsize > 8 else nullcontext():
        return np.require(x, np.float32 if small else np.float64, "A")


def as_array(x, name):
    """Return ``x``, labels or numbers, as an array of NumPy, or refuse it by its name.

    A list in which strings stand among other values becomes an array of objects: NumPy alone
    would turn NaN into the string "nan", and 3 into "3".
    """
    if is_sparse_matrix(x):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array: {name}.toarray().")
    x = without_tensor(x, name)
    try:
        masked = np.ma.is_masked(x)
        array = np.asarray(x)
        if array.dtype.kind in "SU" and not hasattr(x, "__array__"):
            objects = np.asarray(x, dtype=object)
            text = str if array.dtype.kind == "U" else bytes
            if not all(issubclass(kind, text) for kind in set(map(type, objects.flat))):
                return objects
    except ValueError:
        raise ValueError(f"{name} must be an array: its rows differ in length.") from None
    except Exception as error:  # whatever the library that x is from may raise
        raise TypeError(f"{name} cannot be read as an array: {error}") from None
    if masked:
        raise ValueError(f"{name} has masked entries; fill or drop them.")
    return array


def n_dims(x, name):
    """Return the number of dimensions; refuse lists of different lengths by name."""
    return x.ndim if hasattr(x, "ndim") else as_array(x, name).ndim


def is_sparse_matrix(x):
    """Return whether it is a sparse matrix or array of SciPy."""
    sparse = sys.modules.get("scipy.sparse")  # who passes one has imported it
    return sparse is not None and sparse.issparse(x)


def without_tensor(x, name):
    """Return ``x``, or its values as an array if it is a tensor of PyTorch."""
    if not hasattr(x, "requires_grad"):
        return x
    refuse_tensor(x, name)
    if x.device.type != "cpu":
        advice = f"pass {name}.cpu()"
        if not dispatches():
            advice += (
                ", or let it stay there where that is supported, by "
                "sklearn.set_config(array_api_dispatch=True)"
            )
        raise TypeError(f"{name} is a tensor on {x.device}; {advice}.")
    # bfloat16 and others of few bits, which NumPy lacks: exactly
    short = x.is_floating_point() and x.element_size() < 4
    try:
        return np.asarray(x.float() if short else x)
    except Exception as error:  # as of a quantised one
        raise TypeError(f"{name} cannot be read as an array: {error}") from None


def dispatches():
    """Return whether arrays of other libraries are to stay what they are."""
    sklearn = sys.modules.get("sklearn")  # who has configured it has imported it
    return sklearn is not None and sklearn.get_config().get("array_api_dispatch", False)


def refuse_tensor(x, name):
    """Refuse a tensor of PyTorch that records what is done with it, or is sparse."""
    if getattr(x, "requires_grad", False):
        raise TypeError(f"{name} is a tensor that requires grad; pass {name}.detach().")
    if "sparse" in str(getattr(x, "layout", "")):
        raise TypeError(f"{name} is a sparse tensor; pass a dense one: {name}.to_dense().")


def _of_objects(x, name):
    """Return an array of objects as float64, what is missing as NaN."""
    if x.ndim == 0:
        raise TypeError(f"{name} must be an array of real numbers; got {repr(x.item())[:40]}.")
    out = np.empty(x.shape)
    for index, value in np.ndenumerate(x):
        missing = value is None or type(value).__name__ == "NAType"  # pandas.NA
        try:
            if isinstance(value, str | bytes | np.complexfloating):  # which would be cut
                raise TypeError
            out[index] = np.nan if missing else float(value)
        except (TypeError, ValueError, OverflowError):
            where = f"{name}{[row_number(index[0]), *index[1:]]}"
            raise TypeError(
                f"{name} must hold real numbers; {where} is {repr(value)[:40]}."
            ) from None
    return out


def is_missing(value):
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA, neither equal nor unequal to anything
        return True
    except ValueError:  # an array
        return False
