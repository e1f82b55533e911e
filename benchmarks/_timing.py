"""Timing that treats all contenders alike on a noisy machine."""

import statistics
import sys
import time
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

# OpenMP threads spin for some milliseconds after a call; the next contender must not pay.
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
def one_thread():
    """Hold OpenMP, BLAS, PyTorch and Numba to one thread, the last two if imported."""
    modules = [sys.modules[name] for name in ("torch", "numba") if name in sys.modules]
    before = [module.get_num_threads() for module in modules]
    with threadpool_limits(1):
        for module in modules:
            module.set_num_threads(1)
        try:
            yield
        finally:
            for module, n_threads in zip(modules, before, strict=True):
                module.set_num_threads(n_threads)


def peak_bytes():
    """Peak resident memory of this process so far, or None where it cannot be read."""
    try:
        # Not ru_maxrss: on Linux a child process inherits that of its parent.
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
