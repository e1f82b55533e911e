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

from libc.math cimport fma

from sklkl._kernels._buffers cimport Buffers, doubles, fit, refuse_misfits
from sklkl._kernels._threads cimport ADD, Job, int64_t

from sklkl._kernels._threads import n_threads_for

cdef enum:
    PARTS = 8  # of a job, for each thread

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


cdef class RowsJob(Job):
    """Some work on rows p, or pairs of rows p and q, in parts of whole tiles."""

    cdef const char* p
    cdef const char* q
    cdef char* out
    cdef Py_ssize_t n, k, group, itemsize
    cdef Py_ssize_t[4] strides
    cdef int64_t n_bad
    cdef object keep  # what owns the memory: a thread may outlive an interrupt

    cdef void part(self, Py_ssize_t i, Py_ssize_t worker) noexcept nogil:
        cdef Py_ssize_t n_groups = (self.n + self.group - 1) // self.group
        self.rows(
            n_groups * i // self.n_parts * self.group,
            min(self.n, n_groups * (i + 1) // self.n_parts * self.group))

    cdef void rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        """Do the work on rows [start, stop)."""

    cdef int share(self, int n_threads) except -1:
        """Do the work on all rows."""
        cdef Py_ssize_t n_groups = (self.n + self.group - 1) // self.group
        return self.run(min(n_groups, PARTS * n_threads if n_threads > 1 else 1), n_threads)


cdef class DivergenceJob(RowsJob):
    """A divergence for each pair of rows."""

    cdef settings f
    cdef rows_function* function

    cdef void rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        ADD(&self.n_bad, self.function(
            &self.f, self.p + start * self.strides[0], self.q + start * self.strides[2],
            stop - start, self.k, self.strides, self.out + start * self.itemsize))


cdef class PairwiseJob(RowsJob):
    """A divergence for every row of p and every row of q; or for the upper triangle."""

    cdef settings f
    cdef rows_function* function
    cdef pairs_function* pairs
    cdef Py_ssize_t n_q
    cdef bint mirrored

    cdef void rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        cdef Py_ssize_t i, first
        cdef Py_ssize_t[4] strides
        strides[0], strides[1], strides[2], strides[3] = (
            0, self.strides[1], self.strides[2], self.strides[3])
        for i in range(start, stop):
            first = i if self.mirrored else 0
            ADD(&self.n_bad, self.pairs(
                self.function, &self.f, self.p + i * self.strides[0],
                self.q + first * strides[2], self.n_q - first, self.k, strides,
                self.out + (i * self.n_q + first) * self.itemsize))


cdef class LogitsJob(RowsJob):
    """The KL divergence of the softmaxes of each pair of rows."""

    cdef logits_function* function
    cdef double[2] inverse
    cdef double unit

    cdef void rows(self, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        ADD(&self.n_bad, self.function(
            self.p + start * self.strides[0], self.q + start * self.strides[2], stop - start,
            self.k, self.strides, self.inverse, self.unit, self.out + start * self.itemsize))


cdef class CheckJob(RowsJob):
    """The first row of each part that is no probability vector, -1 if there is none."""

    cdef check_function* function
    cdef Py_ssize_t* found

    cdef void part(self, Py_ssize_t i, Py_ssize_t worker) noexcept nogil:
        cdef Py_ssize_t n_groups = (self.n + self.group - 1) // self.group
        cdef Py_ssize_t start = n_groups * i // self.n_parts * self.group
        cdef Py_ssize_t stop = min(self.n, n_groups * (i + 1) // self.n_parts * self.group)
        self.found[i] = self.function(
            self.p + start * self.strides[0], stop - start, self.k, self.strides)
        if self.found[i] >= 0:
            self.found[i] += start


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
        Take p for q and q for p. As an attribute, whether a "power" above 1/2 is to be, too.
    """

    cdef settings f
    cdef readonly str term
    cdef readonly double weight, order, factor
    cdef readonly bint renyi, root, swap

    def __cinit__(  # not __init__: kernels are shared, and never change
        self, str term, *, double weight=0.5, double order=0.5, bint renyi=False,
        double factor=1.0, bint root=False, bint swap=False,
    ):
        self.f = settings_of(TERMS[term], weight, order, renyi, factor, root, swap)
        self.term, self.weight, self.order, self.factor = term, weight, order, factor
        self.renyi, self.root, self.swap = renyi, root, self.f.swap

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
            bad = self.run(buffers, a, b, unit, &value, 1)
            return value, bad
        bad = self.run(buffers, a, b, unit, &float_value, 1)
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
        cdef bint bad = self.run(buffers, p, q, unit, buffers.of(out, True).buf, n_threads)
        return out, bad

    cdef int run(
        self, Buffers buffers, Py_buffer* p, Py_buffer* q, double unit, void* out,
        int n_threads,
    ) except -1:
        """One row (1-D buffers) or many; is one of them bad?"""
        cdef settings f = self.f
        cdef Py_ssize_t n = p.shape[0] if p.ndim == 2 else 1, k = p.shape[p.ndim - 1]
        cdef Py_ssize_t itemsize = p.itemsize
        cdef Py_ssize_t[4] strides
        cdef rows_function* function = (
            LEVEL.rows_double[f.term] if itemsize == 8 else LEVEL.rows_float[f.term])
        cdef DivergenceJob job
        f.scale *= unit
        strides[0] = p.strides[0] if p.ndim == 2 else k * itemsize
        strides[1] = p.strides[p.ndim - 1]
        strides[2] = q.strides[0] if p.ndim == 2 else k * itemsize
        strides[3] = q.strides[p.ndim - 1]
        if n * k < 4096:  # releasing the lock takes longer than this
            return function(&f, <char*> p.buf, <char*> q.buf, n, k, strides, out)
        job = DivergenceJob.__new__(DivergenceJob)
        job.f, job.function, job.keep = f, function, buffers
        job.p, job.q, job.out = <char*> p.buf, <char*> q.buf, <char*> out
        job.n, job.k, job.group, job.itemsize = n, k, tile_rows(k), itemsize
        job.strides = [strides[0], strides[1], strides[2], strides[3]]
        job.share(n_threads)
        return job.n_bad > 0

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
            buffers, a, b, unit, buffers.of(out, True).buf, mirrored, n_threads)
        if mirrored:
            mirror(out)
        return out.T if self.f.swap else out, bad

    cdef int run_pairs(
        self, Buffers buffers, Py_buffer* p, Py_buffer* q, double unit, void* out,
        bint mirrored, int n_threads,
    ) except -1:
        """All pairs, or those of the upper triangle; is one of them bad?"""
        cdef PairwiseJob job = PairwiseJob.__new__(PairwiseJob)
        job.f, job.keep, job.mirrored = self.f, buffers, mirrored
        job.f.scale *= unit
        job.function = (
            LEVEL.rows_double[job.f.term] if p.itemsize == 8 else LEVEL.rows_float[job.f.term])
        job.pairs = LEVEL.pairs_double if p.itemsize == 8 else LEVEL.pairs_float
        job.p, job.q, job.out = <char*> p.buf, <char*> q.buf, <char*> out
        job.n, job.k, job.group, job.itemsize = p.shape[0], p.shape[1], 1, p.itemsize
        job.n_q = q.shape[0]
        job.strides = [p.strides[0], p.strides[1], q.strides[0], q.strides[1]]
        job.share(n_threads)
        return job.n_bad > 0


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
    cdef LogitsJob job = LogitsJob.__new__(LogitsJob)
    job.function = LEVEL.logits_double if a.itemsize == 8 else LEVEL.logits_float
    job.p, job.q, job.out = <char*> a.buf, <char*> b.buf, <char*> buffers.of(out, True).buf
    job.n, job.k, job.group, job.itemsize = a.shape[0], a.shape[1], 1, a.itemsize
    job.strides = [a.strides[0], a.strides[1], b.strides[0], b.strides[1]]
    job.inverse[0] = 1.0 / temperature
    job.inverse[1] = fma(-temperature, job.inverse[0], 1.0) / temperature
    job.unit, job.keep = unit, buffers
    job.share(n_threads)
    return out, job.n_bad > 0


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
    cdef Py_ssize_t k = view.shape[view.ndim - 1]
    cdef int n_threads = n_threads_for(p.size)
    cdef CheckJob job = CheckJob.__new__(CheckJob)
    job.function = LEVEL.check_double if view.itemsize == 8 else LEVEL.check_float
    job.p, job.keep = <char*> view.buf, buffers
    job.n, job.k, job.group = view.shape[0] if view.ndim == 2 else 1, k, tile_rows(k)
    job.strides[0] = view.strides[0] if view.ndim == 2 else k * view.itemsize
    job.strides[1] = view.strides[view.ndim - 1]
    if p.size < 4096:  # releasing the lock takes longer than this
        return job.function(job.p, job.n, k, job.strides)
    found = np.full(PARTS * n_threads, -1, np.intp)
    job.found = <Py_ssize_t*> buffers.of(found, True).buf
    job.share(n_threads)
    return int(next((place for place in found if place >= 0), -1))


def kl_terms(a, b, d, out):
    """Fill out with a log(a / b) - a + b, given the differences d = a - b; a, b > 1e-300."""
    cdef tuple shape = (out.size,)
    cdef list held = []
    LEVEL.kl_terms(
        doubles(held, a, shape), doubles(held, b, shape), doubles(held, d, shape), out.size,
        doubles(held, out, shape, True))
