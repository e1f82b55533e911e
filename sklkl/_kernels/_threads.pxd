from libc.stdint cimport int64_t


cdef extern from "threads.h" nogil:
    int64_t ADD(int64_t*, int64_t)
    int64_t wait_for_zero(int64_t*, int64_t)


cdef class Job:
    cdef Py_ssize_t n_parts
    cdef int64_t next, inside, n_workers
    cdef void part(self, Py_ssize_t i, Py_ssize_t worker) noexcept nogil
    cdef int run(self, Py_ssize_t n_parts, int n_threads) except -1
