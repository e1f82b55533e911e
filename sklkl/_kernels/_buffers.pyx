# cython: language_level=3
"""The memory of arrays, for kernels that take pointers."""
cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Buffers:
    """The memory of up to three arrays, released with this object."""

    cdef Py_buffer* of(self, array, bint writable=False) except NULL:
        """Return the memory of an array of any strides."""
        cdef Py_buffer* view = &self.views[self.n]
        PyObject_GetBuffer(
            array, view, (PyBUF_STRIDED if writable else PyBUF_STRIDED_RO) | PyBUF_FORMAT)
        self.n += 1
        return view

    def __dealloc__(self):
        cdef int i
        for i in range(self.n):
            PyBuffer_Release(&self.views[i])


cdef double* doubles(list held, array, tuple shape, bint writable=False) except NULL:
    """Return the memory of an array of float64, row after row, which ``held`` keeps alive."""
    cdef Buffers buffers = Buffers.__new__(Buffers)
    cdef Py_buffer* view = buffers.of(array, writable)
    if (array.shape != shape or view.format[0] != b"d" or view.format[1] != 0
            or not PyBuffer_IsContiguous(view, b"C") or <uintptr_t> view.buf % sizeof(double)):
        raise ValueError(
            f"An array must be aligned, C-contiguous float64 of shape {shape}; got "
            f"{array.shape} of {array.dtype}.")
    held.append(buffers)
    return <double*> view.buf


cdef int refuse_misfits(const Py_buffer* p, const Py_buffer* q, bint pairs) except -1:
    """Refuse what the loops would read as something else, or beyond its end."""
    if not fit(p, q) or p.ndim != 2 or (pairs and p.shape[0] != q.shape[0]):
        raise ValueError(
            "p and q must be aligned two-dimensional arrays, both float32 or both float64, "
            "with rows of one length" + (" and as many of them." if pairs else "."))
    return 0
