# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Coordinate descent on a quadratic model with an L1 norm, for the proximal method."""
import numpy as np

from libc.math cimport fabs, fmax, sqrt

from sklkl._kernels._buffers cimport Buffers, doubles


cdef struct Model:  # see descend
    double *W
    double *R
    double *u
    const double *A
    const double *M
    const double *ridge
    const double *Z
    const double *CZ
    const double *H
    const double *l1
    Py_ssize_t D, K, m
    bint diagonal


cdef double step(const Model* model, Py_ssize_t f, Py_ssize_t k) noexcept nogil:
    """Minimise the model over one entry of W; return the step in its metric."""
    cdef Py_ssize_t D = model.D, K = model.K, m = model.m, place = f * K + k, g, c, a
    cdef const double* Z = model.Z + place * m
    cdef const double* CZ = model.CZ + place * m
    cdef const double* M = model.M + k * K
    cdef double* u = model.u
    cdef double* R = model.R + f * K
    cdef double slope = R[k], curvature = fmax(model.H[place], 1e-300)
    cdef double bound = model.l1[f] / curvature, x, delta, factor
    for a in range(m):
        slope -= Z[a] * u[a]
    x = model.W[place] - slope / curvature
    if x > bound:
        x -= bound
    elif x < -bound:
        x += bound
    else:
        x = 0.0
    delta = x - model.W[place]
    if delta == 0.0:
        return 0.0
    model.W[place] = x
    R[k] += delta * model.ridge[f]
    for a in range(m):
        u[a] += delta * CZ[a]
    for g in range(f if model.diagonal else 0, f + 1 if model.diagonal else D):
        factor = delta * (model.A[f] if model.diagonal else model.A[f * D + g])
        R = model.R + g * K
        for c in range(K):
            R[c] += factor * M[c]
    return fabs(delta) * sqrt(curvature)


def descend(
    W, R, A, M, ridge, Z, CZ, u, H, l1, features, classes, double tol, int max_sweeps,
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
        If arrays are not C-contiguous float64 of these shapes, or ``features`` and ``classes``
        are no places in W.
    """
    cdef Model model
    cdef list held = []
    cdef Buffers buffers = Buffers.__new__(Buffers)
    cdef Py_ssize_t D = W.shape[0], K = W.shape[1], m = len(u), n = len(features), j
    cdef double largest
    cdef int _sweep
    model.D, model.K, model.m, model.diagonal = D, K, m, len(A) == 1
    model.W, model.R = doubles(held, W, (D, K), True), doubles(held, R, (D, K), True)
    model.u, model.H = doubles(held, u, (m,), True), doubles(held, H, (D, K))
    model.A = doubles(held, A, (1 if model.diagonal else D, D))
    model.M = doubles(held, M, (K, K))
    model.ridge, model.l1 = doubles(held, ridge, (D,)), doubles(held, l1, (D,))
    model.Z, model.CZ = doubles(held, Z, (D, K, m)), doubles(held, CZ, (D, K, m))
    if len(classes) != n:
        raise ValueError(f"There are {n} features, but {len(classes)} classes.")
    cdef const Py_ssize_t* f = <Py_ssize_t*> buffers.of(
        np.ascontiguousarray(features, np.intp)).buf
    cdef const Py_ssize_t* k = <Py_ssize_t*> buffers.of(
        np.ascontiguousarray(classes, np.intp)).buf
    for j in range(n):
        if not (0 <= f[j] < D and 0 <= k[j] < K):
            raise ValueError(f"({f[j]}, {k[j]}) is no place in W of shape {(D, K)}.")
    with nogil:
        for _sweep in range(max_sweeps):
            largest = 0.0
            for j in range(n):
                largest = fmax(largest, step(&model, f[j], k[j]))
            if largest <= tol:
                break
