from libc.stdint cimport uintptr_t


cdef class Buffers:
    cdef Py_buffer[3] views
    cdef int n
    cdef Py_buffer* of(self, array, bint writable=*) except NULL


cdef double* doubles(list held, array, tuple shape, bint writable=*) except NULL


cdef inline bint fit(const Py_buffer* p, const Py_buffer* q) noexcept:
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


cdef int refuse_misfits(const Py_buffer* p, const Py_buffer* q, bint pairs) except -1
