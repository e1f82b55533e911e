# cython: language_level=3
"""Jobs whose parts several threads take, and how many threads a call may use.

The threads are those of Python, which wait for jobs without keeping a core busy. Who calls
takes parts, too, and needs nobody: where cores are busy with other work, a call takes as long
as its share of them, and not until the last thread of a team has been given one. The threads
of OpenMP, which wait actively, made a fit take ten times its time then.
"""
import os
import threading
import time
from queue import SimpleQueue

from threadpoolctl import LibController, register

cdef enum:
    # Below so many nanoseconds of work, about, a second thread is awake too late.
    SERIAL_BELOW = 1 << 18
    MOST_THREADS = 1024  # whatever a variable or a machine says
    # Looks at what others still do: some ten microseconds. A part rarely takes longer.
    PATIENCE = 1 << 11

# Threads may read and set these numbers at once, without a lock: each is set whole, to a value
# that is right by itself.
cdef int _limit = 0  # what threadpoolctl allows; 0 for no limit
cdef int _n_cpus = 0  # asked once: reading the quota of a control group takes 0.1 ms
cdef bint _in_forked_child = False  # set before a child has threads


cdef class Job:
    """Parts 0 to ``n_parts`` - 1 of some work, which write to different places."""

    cdef void part(self, Py_ssize_t i, Py_ssize_t worker) noexcept nogil:
        """Do a part; no other thread has the number ``worker``."""

    def work(self):
        """Do parts until there are none left."""
        cdef int64_t i, worker
        with nogil:
            ADD(&self.inside, 1)
            worker = ADD(&self.n_workers, 1)
            while True:
                i = ADD(&self.next, 1)
                if i >= self.n_parts:
                    break
                self.part(i, worker)
            ADD(&self.inside, -1)

    cdef int run(self, Py_ssize_t n_parts, int n_threads) except -1:
        """Do all parts, with up to so many threads. Once only."""
        cdef int64_t inside
        self.n_parts = n_parts
        if n_threads > 1 and n_parts > 1:
            pool.offer(self, min(n_threads, n_parts) - 1)
        self.work()
        with nogil:
            inside = wait_for_zero(&self.inside, PATIENCE)
        while inside:  # a thread is in a part, or another one waits for its turn
            time.sleep(5e-5)
            inside = ADD(&self.inside, 0)
        return 0


class Pool:
    """Threads that do the jobs of a queue, started when they are first needed."""

    def __init__(self):
        self.queue = SimpleQueue()
        self.lock = threading.Lock()
        self.n_threads = 0

    def offer(self, job, n):
        """Let up to n threads take parts of a job, fewer if they are behind with others."""
        with self.lock:
            while self.n_threads < n:
                name = f"sklkl-{self.n_threads}"
                try:
                    threading.Thread(target=self._serve, name=name, daemon=True).start()
                except RuntimeError:  # a limit of the system, or the end of the interpreter
                    n = self.n_threads
                    break
                self.n_threads += 1
        for _ in range(n - self.queue.qsize()):
            self.queue.put(job)

    def _serve(self):
        while True:
            job = self.queue.get()
            job.work()
            del job  # lest its arrays are kept until the next


pool = Pool()


def _after_fork_in_child():
    # Its threads are those of its parent, and it is one of several workers: one will do.
    global _in_forked_child, pool
    _in_forked_child = True
    pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


cdef public int sklkl_threads = 0  # by its name threadpoolctl knows this library


class Controller(LibController):
    """Lets threadpoolctl limit the threads where it limits those of OpenMP."""

    user_api = "openmp"
    internal_api = "sklkl"
    filename_prefixes = ("_threads",)
    check_symbols = ("sklkl_threads",)

    def get_num_threads(self):
        """Return the number of threads of a large call."""
        return _max_threads()  # not by way of C, where an interrupt would be lost

    def set_num_threads(self, num_threads):
        """Set the most threads of a call."""
        global _limit
        # Lifted by more, as at the end of a limit.
        _limit = num_threads if 0 < num_threads < _n_cores() else 0

    def get_version(self):
        """Return None: that of the package is no number of a library."""

    def set_additional_attributes(self):
        """Set nothing besides."""


register(Controller)


cdef int _n_cores() except -1:  # an interrupt in here must not count as no threads
    global _n_cpus
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal() and int(given) > 0:
        return min(int(given), MOST_THREADS)
    if _n_cpus == 0:
        from joblib import cpu_count

        _n_cpus = min(cpu_count(), MOST_THREADS)
    return _n_cpus


cdef int _max_threads() except -1:
    cdef int n = _n_cores(), limit = _limit  # read once
    return min(n, limit) if limit else n


def n_threads_for(double nanoseconds):
    """Return the number of threads for a call that takes one of them so long, about.

    ``OMP_NUM_THREADS`` wins where it is set; otherwise the count is that of the cores that the
    process may use (quotas of control groups included). Limits of threadpoolctl are obeyed.
    """
    if nanoseconds < SERIAL_BELOW or _in_forked_child:
        return 1
    return _max_threads()
