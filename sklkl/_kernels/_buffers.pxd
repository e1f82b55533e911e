cdef class Buffers:
    cdef Py_buffer[3] views
    cdef int n
    cdef Py_buffer* of(self, array, bint writable=*) except NULL
