# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One divergence per pair of rows: the door between Python and the C kernels.

``RowKernel`` says what is computed; the loops are in ``rows.h``, the formulas and the table of
their names in ``divergences.h``. The instruction set is chosen once, at import.

Rows that are no probability vectors get NaN, which no valid row can give. The caller looks for
NaN in the (n_rows,) result and words the error; nothing is read twice for it.
"""
import os

import numpy as np

from cython.parallel cimport prange
from libc.math cimport fma
from libc.stdint cimport uintptr_t

from sklkl._kernels._buffers cimport Buffers

from sklkl._kernels._openmp import n_threads_for

np_ndarray = np.ndarray
np_empty = np.empty
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

cdef extern from "kernels_rows.h" nogil:
    ctypedef struct facts:
        const char* name
        int symmetric
    ctypedef struct settings:
        int term, inf_at_zero_p, inf_at_zero_q, swap
        double scale
    const facts* FACTS
    enum:
        N_TERMS
    settings settings_of(int, double, double, bint, double, bint, bint)
    ctypedef int rows_function(
        const settings*, const char*, const char*, Py_ssize_t, Py_ssize_t, const Py_ssize_t*,
        void*) noexcept
    ctypedef int pairs_function(
        rows_function*, const settings*, const char*, const char*, Py_ssize_t, Py_ssize_t,
        const Py_ssize_t*, void*) noexcept
    ctypedef int logits_function(
        const char*, const char*, Py_ssize_t, Py_ssize_t, const Py_ssize_t*, const double*,
        double, void*) noexcept
    ctypedef Py_ssize_t check_function(
        const char*, Py_ssize_t, Py_ssize_t, const Py_ssize_t*) noexcept
    ctypedef struct level:
        const char* name
        rows_function** rows_double
        rows_function** rows_float
        pairs_function* pairs_double
        pairs_function* pairs_float
        logits_function* logits_double
        logits_function* logits_float
        check_function* check_double
        check_function* check_float
        void (*kl_terms)(
            const double*, const double*, const double*, Py_ssize_t, double*) noexcept
    ctypedef level* const_level
    enum:
        MAX_LEVELS
    int available_levels(const_level*)
    Py_ssize_t tile_rows(Py_ssize_t)


cdef bint fit(const Py_buffer* p, const Py_buffer* q) noexcept:
    """Are these aligned arrays of one type, float32 or float64, with rows of one length?"""
    cdef int i
    if (p.ndim != q.ndim or p.ndim == 0 or p.ndim > 2 or p.format[1] != 0 or q.format[1] != 0
            or p.format[0] != q.format[0] or not (p.format[0] == b"d" or p.format[0] == b"f")):
        return False
    for i in range(p.ndim):
        if p.strides[i] % p.itemsize or q.strides[i] % p.itemsize:
            return False
    if <uintptr_t> p.buf % p.itemsize or <uintptr_t> q.buf % p.itemsize:
        return False
    return p.shape[p.ndim - 1] > 0 and p.shape[p.ndim - 1] == q.shape[p.ndim - 1]


cdef int refuse_misfits(const Py_buffer* p, const Py_buffer* q, bint pairs) except -1:
    """Refuse what the loops would read as something else, or beyond its end."""
    if not fit(p, q) or p.ndim != 2 or (pairs and p.shape[0] != q.shape[0]):
        raise ValueError(
            "p and q must be aligned two-dimensional arrays, both float32 or both float64, "
            "with rows of one length" + (" and as many of them." if pairs else "."))
    return 0


cdef dict TERMS = {FACTS[term].name.decode(): term for term in range(N_TERMS)}


cdef const_level choose_level() except NULL:
    """The highest level of this machine, or the one that SKLKL_SIMD names."""
    cdef const_level[MAX_LEVELS] levels
    cdef int n = available_levels(levels), i
    wanted = os.environ.get("SKLKL_SIMD")
    if not wanted:
        return levels[n - 1]
    for i in range(n):
        if levels[i].name == wanted.encode():
            return levels[i]
    raise ImportError(
        f"SKLKL_SIMD={wanted} is not available; this machine has "
        f"{', '.join(available())}.")


def available():
    """Names of the instruction sets that kernels exist for here, lowest first."""
    cdef const_level[MAX_LEVELS] levels
    return [levels[i].name.decode() for i in range(available_levels(levels))]


cdef const_level LEVEL = choose_level()
LEVEL_NAME = LEVEL.name.decode()


cdef class RowKernel:
    """What is computed of each pair of rows.

    Parameters
    ----------
    term : str
        The name of a term in ``divergences.h``.
    weight : float
        Of p in the mixture of "jensen_shannon".
    order : float
        Of p in the moment sum p^order q^(1 - order) of "power".
    renyi : bool
        The Rényi divergence instead of the alpha-divergence.
    factor : float
        Multiplies the result.
    root : bool
        Take the square root, at last.
    swap : bool
        Take p for q and q for p.
    """

    cdef settings f

    def __cinit__(  # not __init__: kernels are shared, and never change
        self, str term, *, double weight=0.5, double order=0.5, bint renyi=False,
        double factor=1.0, bint root=False, bint swap=False,
    ):
        self.f = settings_of(TERMS[term], weight, order, renyi, factor, root, swap)

    @property
    def inf_at_zero_p(self):
        """Is the result infinite where p = 0 < q?"""
        return bool(self.f.inf_at_zero_q if self.f.swap else self.f.inf_at_zero_p)

    @property
    def inf_at_zero_q(self):
        """Is the result infinite where q = 0 < p?"""
        return bool(self.f.inf_at_zero_p if self.f.swap else self.f.inf_at_zero_q)

    def pair(self, p, q, double unit):
        """Return the results for arrays that need no preparation, and whether a row is bad.

        That is: one or two axes, equal shapes, both float32 or both float64. For others return
        None and True. It makes the call for a single pair as short as one of a NumPy function.
        """
        cdef Buffers buffers
        cdef Py_buffer *a
        cdef Py_buffer *b
        cdef double value
        cdef float float_value
        cdef int n_threads
        cdef bint bad
        if type(p) is not np_ndarray or type(q) is not np_ndarray:
            return None, True
        if self.f.swap:
            p, q = q, p
        buffers = Buffers.__new__(Buffers)
        try:
            a, b = buffers.of(p), buffers.of(q)
        except ValueError:  # dtypes without a buffer, as of dates
            return None, True
        if not fit(a, b) or a.shape[0] != b.shape[0]:
            return None, True
        if a.ndim == 2:
            n_threads = n_threads_for(a.shape[0] * a.shape[1])
            return self.filled(buffers, a, b, unit, n_threads)
        if a.itemsize == 8:
            bad = self.run(a, b, unit, &value, 1)
            return value, bad
        bad = self.run(a, b, unit, &float_value, 1)
        return <double> float_value, bad

    def rows(self, p, q, double unit, int n_threads):
        """Return the results for 2-D arrays of one dtype, and whether a row is bad."""
        cdef Buffers buffers = Buffers.__new__(Buffers)
        cdef Py_buffer *a = buffers.of(q if self.f.swap else p)
        cdef Py_buffer *b = buffers.of(p if self.f.swap else q)
        refuse_misfits(a, b, True)
        return self.filled(buffers, a, b, unit, n_threads)

    cdef tuple filled(
        self, Buffers buffers, Py_buffer* p, Py_buffer* q, double unit, int n_threads,
    ):
        out = np_empty(p.shape[0], float64 if p.itemsize == 8 else float32)
        cdef bint bad = self.run(p, q, unit, buffers.of(out, True).buf, n_threads)
        return out, bad

    cdef bint run(
        self, Py_buffer* p, Py_buffer* q, double unit, void* out, int n_threads,
    ) noexcept:
        """One row (1-D buffers) or many; each thread takes a run of whole tiles."""
        cdef settings f = self.f
        cdef Py_ssize_t n = p.shape[0] if p.ndim == 2 else 1, k = p.shape[p.ndim - 1]
        cdef Py_ssize_t group = tile_rows(k), n_groups = (n + group - 1) // group
        cdef Py_ssize_t itemsize = p.itemsize, start, stop
        cdef Py_ssize_t[4] strides
        cdef rows_function* function = (
            LEVEL.rows_double[f.term] if itemsize == 8 else LEVEL.rows_float[f.term])
        cdef int thread, bad = 0
        f.scale *= unit
        strides[0] = p.strides[0] if p.ndim == 2 else k * itemsize
        strides[1] = p.strides[p.ndim - 1]
        strides[2] = q.strides[0] if p.ndim == 2 else k * itemsize
        strides[3] = q.strides[p.ndim - 1]
        if n * k < 4096:  # releasing the lock takes longer than this
            return function(&f, <char*> p.buf, <char*> q.buf, n, k, strides, out)
        for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            start = n_groups * thread // n_threads * group
            stop = min(n, n_groups * (thread + 1) // n_threads * group)
            bad |= function(
                &f, <char*> p.buf + start * strides[0], <char*> q.buf + start * strides[2],
                stop - start, k, strides, <char*> out + start * itemsize)
        return bad

    def pairwise(self, p, q, double unit, int n_threads):
        """Return the results for every row of p and every row of q, and whether one is bad.

        ``q`` is None for the rows of p themselves; where these may change places, half of the
        results are computed, and the matrix is symmetric to the last bit.
        """
        cdef bint mirrored = q is None and FACTS[self.f.term].symmetric
        cdef Buffers buffers = Buffers.__new__(Buffers)
        if q is None:
            q = p
        if self.f.swap:
            p, q = q, p
        cdef Py_buffer *a = buffers.of(p)
        cdef Py_buffer *b = buffers.of(q)
        refuse_misfits(a, b, False)
        out = np_empty((len(p), len(q)), p.dtype)
        cdef bint bad = self.run_pairs(
            a, b, unit, buffers.of(out, True).buf, mirrored, n_threads)
        if mirrored:
            mirror(out)
        return out.T if self.f.swap else out, bad

    cdef bint run_pairs(
        self, Py_buffer* p, Py_buffer* q, double unit, void* out, bint mirrored, int n_threads,
    ) noexcept:
        """All pairs, or those of the upper triangle."""
        cdef settings f = self.f
        cdef Py_ssize_t n = p.shape[0], m = q.shape[0], i, first, itemsize = p.itemsize
        cdef Py_ssize_t[4] strides
        cdef rows_function* function = (
            LEVEL.rows_double[f.term] if itemsize == 8 else LEVEL.rows_float[f.term])
        cdef pairs_function* pairs = LEVEL.pairs_double if itemsize == 8 else LEVEL.pairs_float
        cdef int bad = 0
        f.scale *= unit
        strides[0] = 0
        strides[1] = p.strides[1]
        strides[2] = q.strides[0]
        strides[3] = q.strides[1]
        for i in prange(n, nogil=True, schedule="dynamic", num_threads=n_threads):
            first = i if mirrored else 0
            bad |= pairs(
                function, &f, <char*> p.buf + i * p.strides[0],
                <char*> q.buf + first * strides[2], m - first, p.shape[1], strides,
                <char*> out + (i * m + first) * itemsize)
        return bad


def mirror(x):
    """Copy the upper triangle of a square matrix to the lower, in blocks that fit a cache."""
    for start in range(0, len(x), 64):
        stop = start + 64
        x[stop:, start:stop] = x[start:stop, stop:].T
        block = x[start:stop, start:stop]
        i, j = np.tril_indices(len(block), -1)
        block[i, j] = block[j, i]


def logits_rows(x, y, double temperature, double unit, int n_threads):
    """Return the KL divergences of the softmaxes of rows, and whether a row is bad.

    ``x`` and ``y`` are 2-D logits of one dtype and shape.
    """
    cdef Buffers buffers = Buffers.__new__(Buffers)
    cdef Py_buffer *a = buffers.of(x)
    cdef Py_buffer *b = buffers.of(y)
    refuse_misfits(a, b, True)
    out = np_empty(len(x), x.dtype)
    cdef bint bad = run_logits(a, b, temperature, unit, buffers.of(out, True).buf, n_threads)
    return out, bad


cdef bint run_logits(
    Py_buffer* x, Py_buffer* y, double temperature, double unit, void* out,
    int n_threads,
) noexcept:
    cdef Py_ssize_t n = x.shape[0], k = x.shape[1], i, itemsize = x.itemsize
    cdef Py_ssize_t[4] strides
    cdef logits_function* function = (
        LEVEL.logits_double if itemsize == 8 else LEVEL.logits_float)
    cdef int bad = 0
    cdef double[2] inverse
    inverse[0] = 1.0 / temperature
    inverse[1] = fma(-temperature, inverse[0], 1.0) / temperature
    strides[0] = x.strides[0]
    strides[1] = x.strides[1]
    strides[2] = y.strides[0]
    strides[3] = y.strides[1]
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        bad |= function(
            <char*> x.buf + i * strides[0], <char*> y.buf + i * strides[2], 1, k, strides,
            inverse, unit, <char*> out + i * itemsize)
    return bad


def first_bad_row(p):
    """Return the place of the first row that is no probability vector, -1 if there is none.

    What is accepted is what ``RowKernel`` accepts. ``p`` has one or two axes and is float32 or
    float64; for other arrays return None.
    """
    if type(p) is not np_ndarray or p.dtype.kind != "f":
        return None
    cdef Buffers buffers = Buffers.__new__(Buffers)
    cdef Py_buffer* view = buffers.of(p)
    if not fit(view, view):
        return None
    return run_check(view, n_threads_for(p.size))


cdef Py_ssize_t run_check(Py_buffer* p, int n_threads) except -2:
    """One row or many; each thread takes a run of whole tiles."""
    cdef Py_ssize_t n = p.shape[0] if p.ndim == 2 else 1, k = p.shape[p.ndim - 1]
    cdef Py_ssize_t group = tile_rows(k), n_groups = (n + group - 1) // group, start, stop
    cdef Py_ssize_t[2] strides
    cdef const char* rows = <const char*> p.buf
    cdef check_function* check = LEVEL.check_double if p.itemsize == 8 else LEVEL.check_float
    cdef int thread
    strides[0] = p.strides[0] if p.ndim == 2 else k * p.itemsize
    strides[1] = p.strides[p.ndim - 1]
    if n * k < 4096:  # releasing the lock takes longer than this
        return check(rows, n, k, strides)
    cdef Py_ssize_t[::1] bad = np_empty(n_threads, np.intp)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        start = n_groups * thread // n_threads * group
        stop = min(n, n_groups * (thread + 1) // n_threads * group)
        bad[thread] = check(rows + start * strides[0], stop - start, k, strides)
        if bad[thread] >= 0:
            bad[thread] += start
    return next((place for place in bad if place >= 0), -1)


def kl_terms(const double[::1] a, const double[::1] b, const double[::1] d, double[::1] out):
    """Fill out with a log(a / b) - a + b, given the differences d = a - b; a, b > 1e-300."""
    if not a.shape[0] == b.shape[0] == d.shape[0] == out.shape[0]:
        raise ValueError("a, b, d and out must have one length.")
    LEVEL.kl_terms(&a[0], &b[0], &d[0], a.shape[0], &out[0])
