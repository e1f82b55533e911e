# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent on a quadratic model with an L1 norm, for the proximal method."""
from libc.math cimport fabs, fmax, sqrt


def descend(
    double[:, ::1] W, double[:, ::1] R, const double[:, ::1] A, const double[:, ::1] M,
    const double[::1] ridge, const double[:, :, ::1] Z, const double[:, :, ::1] CZ,
    double[::1] u, const double[:, ::1] H, const double[::1] l1,
    const Py_ssize_t[:] features, const Py_ssize_t[:] classes, double tol, int max_sweeps,
):
    """Minimise the model over the entries (features, classes) of W, in place.

    The Hessian of the model is ``M (x) A + diag(ridge) - Z C Z'``, with the diagonal H.

    Parameters
    ----------
    W : (D, K)
        Start, and result.
    R : (D, K)
        Gradient of the model at W without its part from Z. It is kept up to date.
    A : (D, D), or (1, D) if diagonal
    M : (K, K)
    ridge, l1 : (D,)
        By feature: what is added to the Hessian, and the factor of the L1 norm.
    Z, CZ : (D, K, m)
        The low-rank part, and the same multiplied by C.
    u : (m,)
        Room for C Z' times the change of W; zeros.
    tol : float
        Stop when no step of a sweep is larger, in the metric of its own curvature.

    Raises
    ------
    ValueError
        If shapes do not agree, or ``features`` and ``classes`` are no places in W.
    """
    cdef bint diagonal = A.shape[0] == 1
    cdef Py_ssize_t D = W.shape[0], K = W.shape[1], n = features.shape[0], m = u.shape[0]
    cdef Py_ssize_t j, f, k, g, c, a
    cdef double x, slope, curvature, delta, largest, factor
    cdef int _sweep
    if not (
        R.shape[0] == H.shape[0] == ridge.shape[0] == l1.shape[0] == A.shape[1] == D
        and Z.shape[0] == CZ.shape[0] == D and (diagonal or A.shape[0] == D)
        and R.shape[1] == H.shape[1] == M.shape[0] == M.shape[1] == K
        and Z.shape[1] == CZ.shape[1] == K and Z.shape[2] == CZ.shape[2] == m
        and classes.shape[0] == n
    ):
        raise ValueError("The shapes of the model do not agree.")
    for j in range(n):
        if not (0 <= features[j] < D and 0 <= classes[j] < K):
            raise ValueError(
                f"({features[j]}, {classes[j]}) is no place in W of shape {(D, K)}.")
    with nogil:
        for _sweep in range(max_sweeps):
            largest = 0.0
            for j in range(n):
                f = features[j]
                k = classes[j]
                slope = R[f, k]
                for a in range(m):
                    slope -= Z[f, k, a] * u[a]
                curvature = fmax(H[f, k], 1e-300)
                x = W[f, k] - slope / curvature
                if x > l1[f] / curvature:
                    x -= l1[f] / curvature
                elif x < -l1[f] / curvature:
                    x += l1[f] / curvature
                else:
                    x = 0.0
                delta = x - W[f, k]
                if delta == 0.0:
                    continue
                W[f, k] = x
                largest = fmax(largest, fabs(delta) * sqrt(curvature))
                R[f, k] += delta * ridge[f]
                for a in range(m):
                    u[a] += delta * CZ[f, k, a]
                for g in range(f if diagonal else 0, f + 1 if diagonal else D):
                    factor = delta * (A[0, f] if diagonal else A[f, g])
                    for c in range(K):
                        R[g, c] += factor * M[k, c]
            if largest <= tol:
                break
