"""Sparse matrices of SciPy, without importing it."""

from sklkl._kernels._linear import check_csr


def check_entries(x, name):
    """Refuse a sparse matrix with entries outside of it, where SciPy would read and write."""
    if x.format in ("csr", "csc"):
        check_csr(x if x.format == "csr" else x.T, name)


def canonical(x):
    """Return a CSR matrix with each row sorted, and no entry twice."""
    if not x.has_canonical_format:
        x = x.copy()
        x.sum_duplicates()
    return x
