# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A linear softmax model over rows: the door between Python and the C kernels.

``LinearRows`` holds data and deals out runs of rows to threads; the loops are in
``linear.h``. How rows are divided into runs depends on shapes alone, and sums over runs are
added in order, so results do not depend on the number of threads.
"""
import numpy as np

from sklkl._kernels._buffers cimport Buffers

from sklkl._kernels._threads cimport Job

from sklkl._kernels._rows import LEVEL_NAME
from sklkl._kernels._threads import n_threads_for

cdef extern from "<stdint.h>" nogil:
    ctypedef int np_int32 "int32_t"

cdef extern from "kernels_linear.h" nogil:
    enum:
        LANES
        MAX_LEVELS
        MAX_TERMS
    ctypedef struct loss_term:
        const void* target
        int soft, narrow
        const Py_ssize_t* starts
        const np_int32* listed
        const void* left
        const void* shares
        const void* divisors
        const double* weight
        double inverse_temperature
        int divergence
        double parameter
    ctypedef struct linear:
        Py_ssize_t n_features, n_logits
        int intercept
        const char* x
        int narrow
        Py_ssize_t row_stride, column_stride
        const void* center
        const void* offset
        const void* indptr
        const void* indices
        int wide
        loss_term[MAX_TERMS] terms
        int n_terms
        Py_ssize_t most_listed, tile, width, columns
        int curvature
        const void* v
        int full, products
        Py_ssize_t n_gram
        int what
        double inverse_temperature
        void* out
    ctypedef double linear_kernel(
        const linear*, Py_ssize_t, Py_ssize_t, char*, double*) noexcept nogil
    ctypedef struct linear_kernels:
        Py_ssize_t work_size(const linear*) noexcept nogil
        linear_kernel* objective
        linear_kernel* curvature
        linear_kernel* predict
    ctypedef struct level:
        const char* name
        int vector_bytes
        linear_kernels of_double, of_float
    ctypedef level* const_level
    int available_levels(const_level*)
    enum:
        RAW_PREDICTION
        PROBABILITY
        LOG_PROBABILITY
        LARGEST_LOG_ODDS
    enum:
        N_LOSSES
    const char** LOSS_NAMES

LOSSES = {LOSS_NAMES[loss].decode(): loss for loss in range(N_LOSSES)}
RAW, PROBA, LOG_PROBA = RAW_PREDICTION, PROBABILITY, LOG_PROBABILITY
LOG_ODDS = LARGEST_LOG_ODDS

cdef enum:
    TILE_BYTES = 1 << 15  # what a tile and its logits may take of the first-level cache
    MAX_TILE = 256
    LONG_TILE = 64  # rows, where the sums over them take more of it than a tile
    LONG_TILE_BYTES = 1 << 18
    LONG_SUMS = 1 << 11  # numbers
    MAX_RUNS = 64
    TILES_OF_RUN = 4  # at least, unless that leaves hardly any runs
    LEAST_RUNS = 8
    SUMS = 1 << 21  # numbers that the sums of all runs may take, 16 MB


cdef const_level find_level() except NULL:
    cdef const_level[MAX_LEVELS] levels
    cdef int n = available_levels(levels), i
    for i in range(n):
        if levels[i].name == LEVEL_NAME.encode():
            return levels[i]
    raise ImportError(f"no kernels of linear models for {LEVEL_NAME}")


cdef const_level LEVEL = find_level()


cdef Py_ssize_t whole(Py_ssize_t n, Py_ssize_t step):
    return (n + step - 1) // step * step


def check_csr(X, name="X"):
    """Refuse a CSR matrix with entries that lie outside of it: SciPy does not look."""
    n, n_features = X.shape
    if X.format != "csr":
        raise ValueError(
            f"{name} must be an array or a CSR matrix; got the format {X.format!r}.")
    start = X.indptr
    if start.shape != (n + 1,) or start.dtype.kind not in "iu":
        raise ValueError(
            f"{name}.indptr must hold {n + 1} integers, one more than {name} has rows; "
            f"got the shape {start.shape} of {start.dtype}.")
    if X.indices.ndim != 1 or X.indices.dtype.kind not in "iu" or X.data.ndim != 1:
        raise ValueError(
            f"{name}.indices must be a vector of integers, and {name}.data of numbers.")
    size = min(len(X.indices), len(X.data))
    wrong = start[1:] < start[:n]
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{name}.indptr must not fall; at row {i} it goes from {start[i]} to "
            f"{start[i + 1]}.")
    if start[0] < 0 or start[n] > size:
        raise ValueError(
            f"{name}.indptr must lie between 0 and {size}, the number of entries; it goes "
            f"from {start[0]} to {start[n]}.")
    used = X.indices[start[0]:start[n]]
    if used.size and (used.min() < 0 or used.max() >= n_features):
        j = int(start[0]) + int(np.argmax((used < 0) | (used >= n_features)))
        i = int(np.searchsorted(start, j, side="right")) - 1
        raise ValueError(
            f"Row {i} of {name} has an entry in column {X.indices[j]}, but {name} has "
            f"{n_features} columns.")


def check_term(term, n, n_classes, dtype):
    """Refuse a loss term that does not fit ``n`` rows of ``dtype``."""
    target, weight = term.target, term.weight
    if hasattr(target, "starts"):
        check_lists(target, n, n_classes)
        if term.divergence != "kl" or n_classes == 2:
            raise ValueError(
                "A target that lists classes is for the divergence 'kl' and more than two "
                f"classes; got {term.divergence!r} and {n_classes}.")
    elif target.ndim == 1:
        if target.shape != (n,) or target.dtype != np.intp:
            raise ValueError(
                f"A target of codes must hold {n} of {np.dtype(np.intp)}, one for each row; "
                f"got the shape {target.shape} of {target.dtype}.")
        if n and not (target.min() >= 0 and target.max() < n_classes):
            i = int(np.argmax((target < 0) | (target >= n_classes)))
            raise ValueError(
                f"The target of row {i} is {target[i]}, but codes of {n_classes} classes lie "
                f"between 0 and {n_classes - 1}.")
        if term.divergence != "kl":
            raise ValueError(
                f"The divergence {term.divergence!r} needs a target of probabilities, "
                "not codes.")
    elif target.shape != (n, n_classes) or target.dtype != dtype:
        raise ValueError(
            f"A target of probabilities must have the shape {(n, n_classes)} and the dtype of "
            f"X, {dtype}; got {target.shape} of {target.dtype}.")
    if weight.shape != (n,) or weight.dtype != np.float64:
        raise ValueError(
            f"The weight must hold {n} of float64, one for each row; got the shape "
            f"{weight.shape} of {weight.dtype}.")


def check_lists(target, n, n_classes):
    """Refuse a target of lists that would lead loops out of an array."""
    starts, listed = target.starts, target.listed
    fits = (
        starts.shape == (n + 1,) and starts.dtype == np.intp
        and listed.ndim == 1 and listed.dtype == np.int32
        and target.proba.shape == listed.shape and target.left.shape == (n,)
        and target.shares.shape == (n_classes,))
    if fits and n:
        fits = starts[0] == 0 and starts[n] == len(listed) and (starts[1:] >= starts[:n]).all()
    if fits and listed.size:
        fits = listed.min() >= 0 and listed.max() < n_classes
    if not fits:
        raise ValueError(f"A target of lists must fit {n} rows of {n_classes} classes.")


cdef class Pass(Job):
    """A pass of a kernel over rows, in runs of whole tiles with sums of their own."""

    cdef linear m
    cdef linear_kernel* kernel
    cdef Py_ssize_t n, n_tiles, n_sums, work_size
    cdef double* totals
    cdef double* sums
    cdef char* memory
    cdef object keep  # what owns the memory behind pointers: a thread may outlive an interrupt

    cdef void part(self, Py_ssize_t i, Py_ssize_t worker) noexcept nogil:
        cdef Py_ssize_t tile = self.m.tile
        self.totals[i] = self.kernel(
            &self.m, self.n_tiles * i // self.n_parts * tile,
            min(self.n, self.n_tiles * (i + 1) // self.n_parts * tile),
            self.memory + worker * self.work_size, self.sums + i * self.n_sums)


cdef class LinearRows:
    """Rows of data with their targets and weights.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        float32 or float64. The diagonal curvature takes entries for distinct ones.
    n_logits : int
        Columns of logits, 1 if binary.
    fit_intercept : bool
    terms : list of LossTerm, default=()
        What the model learns, at most two; their probabilities have the dtype of X, or are a
        ``sklkl.TopK``. None for predictions.
    center : ndarray of shape (n_features,), default=None
        Taken off every row of a dense X, which is not copied: coefficients are those of the
        differences.
    dtype : dtype, default=None
        Of arithmetic and predictions, that of X or float64. A dense X and targets are not
        copied for it.
    offset : ndarray of shape (n_samples, n_logits), default=None
        Added to the logits.

    Raises
    ------
    ValueError
        If the arrays do not fit each other, so that loops would read or write beyond their
        ends: by shape, dtype, column of an entry, or code of a class.
    """

    cdef linear m
    cdef const linear_kernels* kernels
    cdef list buffers
    cdef Py_ssize_t n, row_entries
    cdef readonly object dtype

    def __cinit__(
        self, X, Py_ssize_t n_logits, bint fit_intercept, terms=(), center=None, dtype=None,
        offset=None,
    ):
        # Not __init__: threads share rows, which never change.
        cdef linear* m = &self.m
        cdef loss_term* t
        cdef bint sparse = not isinstance(X, np.ndarray)
        cdef Py_ssize_t lanes
        if X.ndim != 2 or X.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(
                "X must be two-dimensional, float32 or float64 in the byte order of this "
                f"machine; got the shape {X.shape} of {X.dtype}.")
        if n_logits < 1:
            raise ValueError(f"n_logits must be at least 1; got {n_logits}.")
        if len(terms) > MAX_TERMS:
            raise ValueError(f"At most {MAX_TERMS} terms are possible; got {len(terms)}.")
        self.buffers = []
        self.n = X.shape[0]
        self.row_entries = X.shape[1]
        self.dtype = np.dtype(X.dtype if dtype is None else dtype)
        if self.dtype not in (X.dtype, np.float64):
            raise ValueError(f"dtype must be float64 or that of X; got {self.dtype}.")
        m.n_features = X.shape[1]
        m.n_logits = n_logits
        m.intercept = fit_intercept
        if sparse:
            check_csr(X)
            self.row_entries = len(X.data) // max(1, self.n)
            m.wide = max(X.indices.dtype.itemsize, X.indptr.dtype.itemsize) > 4
            index = np.int64 if m.wide else np.int32
            m.x = self.get(np.ascontiguousarray(X.data, dtype=self.dtype))
            m.indptr = self.get(np.ascontiguousarray(X.indptr, dtype=index))
            m.indices = self.get(np.ascontiguousarray(X.indices, dtype=index))
        else:
            X = np.require(X, requirements="A")
            m.x = self.get(X)
            m.narrow = X.dtype != self.dtype
            m.row_stride, m.column_stride = X.strides
            if center is not None and np.shape(center) != (m.n_features,):
                raise ValueError(f"center has shape {np.shape(center)}")
        for term in terms:
            check_term(term, self.n, max(2, n_logits), X.dtype)
            t = &m.terms[m.n_terms]
            target = term.target
            if hasattr(target, "starts"):
                t.starts = <const Py_ssize_t*> self.get(np.ascontiguousarray(target.starts))
                t.listed = <const np_int32*> self.get(np.ascontiguousarray(target.listed))
                t.left = self.get(target.left.astype(self.dtype))
                if target.rest == "uniform":
                    t.shares = self.get(target.shares.astype(self.dtype))
                    t.divisors = self.get(target.divisors.astype(self.dtype))
                m.most_listed = max(m.most_listed, target.counts.max(initial=0))
                target = target.proba.astype(self.dtype)
            else:
                t.soft = target.ndim == 2
                t.narrow = t.soft and X.dtype != self.dtype
            t.target = self.get(np.ascontiguousarray(target))
            t.weight = <const double*> self.get(np.ascontiguousarray(term.weight))
            t.inverse_temperature = 1.0 / term.temperature
            t.divergence = LOSSES[term.divergence]
            t.parameter = term.parameter
            m.n_terms += 1
        if offset is not None:
            if offset.shape != (self.n, n_logits):
                raise ValueError(
                    f"offset must have the shape {(self.n, n_logits)}; got {offset.shape}.")
            m.offset = self.get(np.ascontiguousarray(offset, dtype=self.dtype))
        if self.dtype.itemsize == 8:
            self.kernels = &LEVEL.of_double
        else:
            self.kernels = &LEVEL.of_float
        lanes = max(1, LEVEL.vector_bytes // self.dtype.itemsize)
        m.columns = n_logits if sparse or n_logits == 1 else whole(n_logits, lanes)
        m.width = 0 if sparse else whole(m.n_features + fit_intercept, lanes)
        if not sparse:
            whole_center = np.zeros(whole(m.n_features + 1, lanes), self.dtype)
            if center is not None:
                whole_center[: m.n_features] = center
            m.center = self.get(whole_center)
        self.set_tile(m)

    cdef const char* get(self, array) except NULL:
        """Return the memory of an array, which is held as long as this object."""
        cdef Buffers buffers = Buffers.__new__(Buffers)
        self.buffers.append(buffers)
        return <const char*> buffers.of(np.require(array, requirements="A")).buf

    cdef void set_tile(self, linear* m):
        """So many rows that their tile stays in the cache."""
        cdef Py_ssize_t of_x = max(1, m.width) * self.dtype.itemsize
        m.tile = TILE_BYTES // (of_x + 4 * m.columns * self.dtype.itemsize)
        if m.n_logits * m.width > LONG_SUMS:
            m.tile = max(m.tile, min(LONG_TILE, LONG_TILE_BYTES // of_x))
        m.tile = min(max(m.tile // LANES * LANES, LANES), MAX_TILE)
        m.tile = min(m.tile, whole(max(1, self.n), LANES))

    cdef int n_threads(self):
        """Threads for what one row costs: a product with each logit, and exponentials."""
        return n_threads_for(
            self.n * (self.row_entries + 20.0) * (self.m.n_logits + 1) / 8.0)

    cdef tuple run(self, linear* m, linear_kernel* kernel, W, Py_ssize_t n_sums, out=None):
        """Return what a kernel returns and its sums, added up over runs of whole tiles.

        ``out`` is what it writes to besides.
        """
        cdef Py_ssize_t n = self.n, n_tiles = (n + m.tile - 1) // m.tile
        cdef Py_ssize_t n_runs = min(n_tiles, MAX_RUNS, max(2, SUMS // max(1, n_sums)))
        n_runs = max(1, min(n_runs, max(LEAST_RUNS, n_tiles // TILES_OF_RUN)))
        cdef Py_ssize_t work = self.kernels.work_size(m)
        cdef int n_threads = min(self.n_threads(), n_runs)
        cdef object totals = np.empty(n_runs), sums = np.zeros((n_runs, n_sums))
        cdef Pass job = Pass.__new__(Pass)
        cdef Buffers buffers = Buffers.__new__(Buffers), room = Buffers.__new__(Buffers)
        m.v = buffers.of(self.coefficients(m, W)).buf
        job.m, job.kernel, job.n, job.n_tiles, job.n_sums = m[0], kernel, n, n_tiles, n_sums
        job.totals = <double*> room.of(totals, True).buf
        job.sums = <double*> room.of(sums, True).buf
        job.memory = <char*> room.of(np.empty(n_threads * work, np.int8), True).buf
        job.work_size, job.keep = work, (self, buffers, room, out)
        job.run(n_runs, n_threads)
        return float(np.sum(totals)), sums[0] if n_runs == 1 else sums.sum(axis=0)

    cdef object coefficients(self, const linear* m, W):
        """W, (n_features + intercept, n_logits), as the kernels take it."""
        shape = (m.n_features + m.intercept, m.n_logits)
        if W.shape != shape:
            raise ValueError(f"W must have the shape {shape}; got {W.shape}.")
        flags = W.flags
        cdef bint binary = m.n_logits == 1 and m.indptr == NULL  # then (width,)
        if (m.columns == m.n_logits and W.dtype == self.dtype and flags.c_contiguous
                and flags.aligned and not (binary and m.width > W.shape[0])):
            return W
        V = np.zeros((m.width if binary else W.shape[0], m.columns), self.dtype)
        V[: W.shape[0], : m.n_logits] = W
        return V

    def objective(self, W):
        """Return the loss, summed over rows with their weights, and its gradient.

        The loss is in nats, the cross-entropy in the place of forward KL. W and the gradient
        have the shape (n_features + intercept, n_logits), float64.
        """
        cdef linear m = self.m
        cdef Py_ssize_t D = m.n_features + m.intercept, K = m.n_logits
        cdef Py_ssize_t size = K * m.width if m.indptr == NULL else D * K
        loss, gradient = self.run(&m, self.kernels.objective, W, size)
        if m.indptr == NULL:
            gradient = np.ascontiguousarray(gradient.reshape(K, m.width)[:, :D].T)
        else:
            gradient = gradient.reshape(D, K)
        return loss, gradient

    def curvature(self, W, bint full, bint products):
        """Return sums over rows that make up an approximation of the Hessian.

        With two terms, sums over both, the logits divided by their temperature, the weights
        by its square.

        Returns
        -------
        total : float
            Of ``h = weight * sum(p * (1 - p))``, for a binary target ``weight * p * (1 - p)``.
        gram : ndarray of shape (D, D), or (D,) unless ``full``
            Of ``h x x'``, with the intercept as the last of D features.
        M : ndarray of shape (n_logits, n_logits), or its diagonal unless ``products``
            Of ``weight * (diag(p) - p p')``; None if binary.
        """
        cdef linear m = self.m
        cdef Py_ssize_t D = m.n_features + m.intercept, K = m.n_logits
        cdef Py_ssize_t lanes = max(1, LEVEL.vector_bytes // self.dtype.itemsize)
        if full and m.indptr != NULL:
            m.width = whole(D, lanes)
        products = products and K > 1
        m.columns = m.columns if m.indptr == NULL or not products else whole(K, lanes)
        m.curvature = True
        self.set_tile(&m)
        cdef Py_ssize_t width = m.width if full or m.indptr == NULL else D
        cdef Py_ssize_t size = width * (width if full else 1)
        m.full, m.products, m.n_gram = full, products, size
        total, sums = self.run(
            &m, self.kernels.curvature, W, size + K * (m.columns if products else 1))
        gram = sums[:size]
        if full:
            gram = gram.reshape(width, width)[:D, :D]
            gram = np.triu(gram) + np.triu(gram, 1).T
        else:
            gram = gram[:D]
        M = sums[size:] if K > 1 else None
        if products:
            M = -sums[size:].reshape(K, m.columns)[:, :K]
            np.fill_diagonal(M, 0.0)
            np.fill_diagonal(M, -M.sum(axis=1))
        return total, gram, M

    def predict(self, W, int what, double temperature=1.0):
        """Return the RAW predictions, PROBA, LOG_PROBA, or LOG_ODDS, the largest in a row.

        Logits are divided by the temperature. W is a direction where LOG_ODDS are asked for,
        to which the offset has nothing to add.
        """
        cdef linear m = self.m
        cdef Py_ssize_t n_out = m.n_logits
        if what == LARGEST_LOG_ODDS:
            n_out = 1
        elif what != RAW_PREDICTION and n_out == 1:
            n_out = 2
        cdef object out = np.empty((self.n, n_out), self.dtype)
        cdef Buffers buffers = Buffers.__new__(Buffers)
        m.what, m.out = what, buffers.of(out, True).buf
        m.inverse_temperature = 1.0 / temperature
        if what == LARGEST_LOG_ODDS:
            m.offset = NULL
        self.run(&m, self.kernels.predict, W, 0, out)
        return out
