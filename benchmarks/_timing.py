"""Timing that treats all contenders alike on a noisy machine."""

import ctypes
import signal
import statistics
import sys
import time
from contextlib import contextmanager, suppress

from threadpoolctl import threadpool_info, threadpool_limits

# Peers' threads spin for some milliseconds after a call; the next contender must not pay.
PAUSE = 0.01


def medians(functions, repeats, number=1):
    """Median seconds per call of each named function, called in turn after a warm-up."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            for _ in range(number):
                function()
            times[name].append((time.perf_counter() - start) / number)
    return {name: statistics.median(t) for name, t in times.items()}


@contextmanager
def time_limit(seconds):
    """Raise TimeoutError in the block after so long, where the system has such signals.

    Code that does not return to the interpreter is not interrupted.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(signum, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def one_thread():
    """Hold sklkl, OpenMP, BLAS, PyTorch and Numba to one thread, the last two if imported."""
    return n_threads(1)


@contextmanager
def n_threads(number):
    """Hold all of these to so many threads."""
    modules = [sys.modules[name] for name in ("torch", "numba") if name in sys.modules]
    before = [module.get_num_threads() for module in modules]
    with threadpool_limits(number):
        for module in modules:
            module.set_num_threads(number)
        try:
            yield
        finally:
            for module, earlier in zip(modules, before, strict=True):
                module.set_num_threads(earlier)


def threads_of_blas():
    """Return the number of threads to which BLAS is held now."""
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def reset_peak():
    """Let the peak of memory start from the memory in use, where Linux allows it."""
    with suppress(OSError, AttributeError):  # what malloc keeps for later would hide growth
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def status_bytes(field):
    """Memory of this process as Linux tells it, or None: VmHWM is its peak."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(f"{field}:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def peak_bytes():
    """Peak resident memory of this process so far, or None where it cannot be read."""
    # Not ru_maxrss: on Linux a child process inherits that of its parent.
    if (peak := status_bytes("VmHWM")) is not None:
        return peak
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
