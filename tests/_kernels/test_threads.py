"""How many threads a call gets, and that it waits for all of them and for nobody else."""

import multiprocessing
import os
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklkl._kernels._threads import n_threads_for
from sklkl.divergences import kl_divergence

SMALL, LARGE = 100, 1 << 24


def run(code, **environment):
    """Run ``code`` in a new interpreter and return what it prints."""
    variables = {name: x for name, x in os.environ.items() if name != "OMP_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_threadpoolctl_limits_are_asked_at_each_call(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for limit in (1, 2, 1, 4096):
        with threadpool_limits(limits=limit):
            assert n_threads_for(LARGE) == min(limit, joblib.cpu_count())
            assert n_threads_for(SMALL) == n_threads_for(0) == 1


def test_an_inner_limit_may_be_larger(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with threadpool_limits(limits=2):
        with threadpool_limits(limits=4):
            assert n_threads_for(LARGE) == 4
        assert n_threads_for(LARGE) == 2
    assert n_threads_for(LARGE) == 8


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="for free-threaded Python"
)
def test_importing_keeps_the_interpreter_lock_off():
    code = "import sys, sklkl.divergences; print(sys._is_gil_enabled())"
    assert run(code, PYTHON_GIL="") == "False"


PRINT_THREADS = f"""
from sklkl._kernels._threads import n_threads_for
print(n_threads_for({SMALL}), n_threads_for({LARGE}))
"""


def test_environment_variable_wins():
    """Also over the number of cores, as in programs that use OpenMP."""
    assert run(PRINT_THREADS, OMP_NUM_THREADS="3") == "1 3"
    assert run(PRINT_THREADS, OMP_NUM_THREADS="4,2") == "1 4"  # the second is of nested loops
    assert run(PRINT_THREADS, OMP_NUM_THREADS="99999999999") == "1 1024"
    for nonsense in ("", "0", "-1", "many"):
        assert run(PRINT_THREADS, OMP_NUM_THREADS=nonsense) == f"1 {joblib.cpu_count()}"


LIGHT = f"""
import sys
import numpy as np
import sklkl.divergences
sklkl.divergences.kl_divergence([0.5, 0.5], [0.9, 0.1])
print(*sorted({{"sklearn", "scipy", "pandas", "joblib"}} & set(sys.modules)))
p = np.full(({LARGE} >> 4, 2), 0.5)
sklkl.divergences.jensen_shannon_divergence(p, p)
print(*sorted({{"sklearn", "scipy", "pandas"}} & set(sys.modules)))
"""


def test_divergences_need_no_more_than_numpy():
    """Importing them takes half the time; joblib comes with the first large call."""
    assert run(LIGHT) == ""


# A pool that is left by an error is terminated, so a child that hangs ends with the test.
CHILD_AFTER_PARENT = f"""
import multiprocessing
import sys

import numpy as np

from sklkl._kernels._threads import n_threads_for
from sklkl.divergences import kl_divergence

if __name__ == "__main__":
    p, q = np.random.default_rng(0).dirichlet(np.ones(50), size=(2, 20_000))
    expected = kl_divergence(p, q)
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        result = pool.apply_async(kl_divergence, (p, q)).get(timeout=60)
        child = pool.apply_async(n_threads_for, ({LARGE},)).get(timeout=60)
    assert np.array_equal(result, expected)
    assert np.array_equal(kl_divergence(p, q), expected)
    print(n_threads_for({LARGE}), child)
"""


@pytest.mark.parametrize(
    "method",
    [
        method if method == "fork" else pytest.param(method, marks=pytest.mark.slow)
        for method in multiprocessing.get_all_start_methods()
    ],
)
def test_child_process_works_after_its_parent_used_threads(method):
    code = CHILD_AFTER_PARENT.replace("sys.argv[1]", repr(method))
    printed = run(code, OMP_NUM_THREADS="2")
    # A forked child has none of its parent's threads, and is one of several workers.
    assert printed == f"2 {1 if method == 'fork' else 2}"


def test_calls_from_many_threads_share_the_same_few(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    p, q = np.random.default_rng(0).dirichlet(np.ones(10), size=(2, 40_000))
    expected = kl_divergence(p, q)
    with ThreadPoolExecutor(8) as executor:
        for found in executor.map(lambda _: kl_divergence(p, q), range(40)):
            assert np.array_equal(found, expected)
    own = [thread for thread in threading.enumerate() if thread.name.startswith("sklkl-")]
    assert 2 <= len(own) < 8


class Interrupted(dict):
    def get(self, *args):
        raise KeyboardInterrupt


def test_an_interrupt_while_threads_are_counted_is_not_lost(monkeypatch):
    """A call with no threads at all would have no memory to work in."""
    monkeypatch.setattr(os, "environ", Interrupted(os.environ))
    with pytest.raises(KeyboardInterrupt):
        n_threads_for(LARGE)
    with pytest.raises(KeyboardInterrupt):
        threadpool_info()


INTERRUPTED = """
import _thread
import signal
import threading
import time

import numpy as np

from sklkl._kernels._linear import PROBA
from sklkl.linear_model._rows import rows_of

armed, stop = False, False

def raise_if_armed(*args):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

def interrupt():
    while not stop:
        time.sleep(0.003)
        _thread.interrupt_main()

signal.signal(signal.SIGINT, raise_if_armed)
rows = rows_of(np.ones((400_000, 10)), 5, True)
W, kept = np.zeros((11, 5)), []
thread = threading.Thread(target=interrupt)
thread.start()
for _ in range(40):
    try:
        armed = True
        rows.predict(W, PROBA)
        armed = False
    except KeyboardInterrupt:
        pass
    kept = [*kept[-2:], np.full((400_000, 5), 7.0)]  # where the predictions were
stop = True
thread.join()
print(all((x == 7.0).all() for x in kept))
"""


def test_an_interrupt_leaves_no_thread_that_writes_to_freed_memory():
    assert run(INTERRUPTED, OMP_NUM_THREADS="2") == "True"
