# cython: language_level=3
"""The memory of arrays, for kernels that take pointers."""
cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer,
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
