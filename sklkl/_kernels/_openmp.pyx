# cython: language_level=3
"""How many OpenMP threads a call may use: the rules of scikit-learn's own code."""
import os

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    static const int sklkl_openmp = 1;
    #else
    static const int sklkl_openmp = 0;
    static int omp_get_max_threads(void) { return 1; }
    #endif
    """
    const int sklkl_openmp
    int omp_get_max_threads() nogil

OPENMP_ENABLED = bool(sklkl_openmp)

# Below this many elements the work is over before a second thread is awake.
cdef Py_ssize_t SERIAL_BELOW = 1 << 15

cdef bint _in_forked_child = False

# Asked once: reading the quota of a cgroup takes 0.1 ms. Not at import: joblib, which knows
# it, takes as long to import as NumPy.
cdef int _n_cpus = 0


def _after_fork_in_child():
    # GNU's OpenMP hangs when a child made by fork() enters a parallel region after its
    # parent did. Such a child already is one of several workers, so one thread is right.
    global _in_forked_child
    _in_forked_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def n_threads_for(Py_ssize_t n_elements):
    """Return the number of threads for a loop over ``n_elements``.

    ``OMP_NUM_THREADS`` wins where it is set; otherwise the count is limited by the
    cores that the process may use (cgroup quotas included). OpenMP is asked at every call,
    so ``threadpoolctl`` limits are obeyed.
    """
    global _n_cpus
    if n_elements < SERIAL_BELOW or not sklkl_openmp or _in_forked_child:
        return 1
    cdef int limit = omp_get_max_threads()
    if limit == 1 or os.environ.get("OMP_NUM_THREADS"):
        return limit
    if _n_cpus == 0:
        from joblib import cpu_count
        _n_cpus = cpu_count()
    return min(limit, _n_cpus)
