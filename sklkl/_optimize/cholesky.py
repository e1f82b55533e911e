"""Solutions of symmetric positive definite systems."""

from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotrs


def solver(A):
    """Return a function that solves ``A X = B``, of which it takes the upper triangle.

    LAPACK is called without SciPy's checks: ``cho_solve`` takes ten times as long for small
    matrices, and is called twice in every step of a fit.
    """
    factor, failed = dpotrf(A, lower=False, clean=False)
    if failed:
        raise LinAlgError("The matrix is not positive definite.")
    return lambda B: dpotrs(factor, B, lower=False)[0]
