"""Sparse matrices of SciPy, without importing it."""

from typing import NamedTuple

import numpy as np

from sklkl._kernels._linear import check_csr


def check_entries(x, name):
    """Refuse a sparse matrix with entries outside of it, where SciPy would read and write."""
    if x.format == "csr":
        check_csr(x, name)
    elif x.format == "csc":
        check_csr(Entries(x.shape[::-1], x.indptr, x.indices, x.data), f"{name}.T")
    elif x.format == "bsr":
        (height, width), blocks = x.blocksize, f"The matrix of blocks of {name}"
        shape = x.shape[0] // height, x.shape[1] // width
        check_csr(Entries(shape, x.indptr, x.indices, x.data[:, 0, 0]), blocks)
    elif x.format == "coo" and x.ndim == 2:
        for index, size, axis in zip((x.row, x.col), x.shape, ("row", "column"), strict=True):
            if len(index) != len(x.data) or np.any((index < 0) | (index >= size)):
                raise ValueError(
                    f"{name} is a COO matrix with entries beyond its {size} {axis}s, or not "
                    f"as many {axis}s as entries; check {name}.coords."
                )
    if x.format in ("csr", "csc", "bsr") and x.indptr[0] != 0:
        raise ValueError(f"{name}.indptr must begin with 0; got {x.indptr[0]}.")


class Entries(NamedTuple):
    """Entries of another matrix, as those of a CSR matrix."""

    shape: tuple
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    format: str = "csr"


def canonical(x):
    """Return a CSR matrix with each row sorted, and no entry twice."""
    if not x.has_canonical_format:
        x = x.copy()
        x.sum_duplicates()
    return x
