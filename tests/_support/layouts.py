"""The same numbers, laid out in memory in all ways that NumPy has."""

import numpy as np


def strided(x):
    """Every third number of each row."""
    wide = np.full((*x.shape[:-1], 3 * x.shape[-1]), np.nan, x.dtype)
    wide[..., ::3] = x
    return wide[..., ::3]


def reversed_in_memory(x):
    """Negative strides along the last axis."""
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


def rows_apart(x):
    """Rows with numbers between them that do not belong to the array."""
    wide = np.full((*x.shape[:-1], x.shape[-1] + 3), np.nan, x.dtype)
    wide[..., :-3] = x
    return wide[..., :-3]


def read_only(x):
    """A copy that must not be written to."""
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x):
    """Numbers that start at an odd address."""
    buffer = np.empty(x.nbytes + 1, dtype=np.uint8)[1:]
    out = buffer.view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def foreign_byte_order(x):
    """The other order of bytes."""
    return x.astype(x.dtype.newbyteorder())


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reversed_in_memory,
    "rows apart": rows_apart,
    "read-only": read_only,
    "unaligned": unaligned,
    "byte order": foreign_byte_order,
}
