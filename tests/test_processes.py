"""Little memory, many threads, signals, forks and processes that are killed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from sklkl._optimize.solve import blas_libraries, one_blas_thread
from sklkl.distillation import DistilledClassifier
from sklkl.divergences import jensen_shannon_divergence
from sklkl.linear_model import SoftLabelLogisticRegression
from tests._support.problems import make_problem

X, HARD, Y, *_ = make_problem()
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sixty_four_threads_at_once(monkeypatch):
    """Of which each would like to have three threads of the kernels."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    p = np.random.default_rng(0).dirichlet(np.ones(10), size=40_000)

    def work(seed):
        q = p[np.random.default_rng(seed % 4).permutation(len(p))]
        model = SoftLabelLogisticRegression(C=1 + seed % 4).fit(X, Y)
        return jensen_shannon_divergence(p, q), model.coef_

    expected = [work(seed) for seed in range(4)]
    with ThreadPoolExecutor(64) as pool:
        for seed, found in enumerate(pool.map(work, range(64))):
            for some, same in zip(found, expected[seed % 4], strict=True):
                assert_array_equal(some, same)


LITTLE_MEMORY = """
import resource

import numpy as np

from sklkl.divergences import kl_divergence, pairwise_divergences
from sklkl.linear_model import SoftLabelLogisticRegression

rng = np.random.default_rng(0)
P, X = rng.dirichlet(np.ones(10), 20_000), rng.normal(size=(20_000, 10))
small, model = P[:50], SoftLabelLogisticRegression()
calls = {
    "divergence": lambda n: kl_divergence(P[:n, None], P[None, :n]),
    "pairs": lambda n: pairwise_divergences(P[:n]),
    "fit": lambda n: model.fit(X[:n], P[:n]).predict_proba(X[:n]),
}
expected = {name: call(50) for name, call in calls.items()}
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
refused = 0
for more in (0, 1 << 20, 1 << 22, 1 << 24):
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))
    for n in (50, 20_000):
        for name, call in calls.items():
            try:
                call(n)
            except MemoryError:
                refused += 1
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
same = [np.array_equal(call(50), expected[name]) for name, call in calls.items()]
print(refused > 0, all(same))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_little_memory_is_a_memory_error_and_leaves_all_well():
    printed, errors = start(LITTLE_MEMORY).communicate(timeout=300)
    assert printed == "True True\n", errors


ENDLESS = """
import sys
import threading

import numpy as np

from sklkl.linear_model import SoftLabelLogisticRegression

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(100_000, 20)), rng.dirichlet(np.ones(5), 100_000)
print("begun", flush=True)
SoftLabelLogisticRegression(max_iter=10**9, tol=1e-300).fit(X, Y)
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_a_fit_in_several_threads(name, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    process = start(ENDLESS)
    assert process.stdout.readline() == "begun\n"
    time.sleep(1.0)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -getattr(signal, name)
    assert ("KeyboardInterrupt" in errors) == (name == "SIGINT")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_until_the_limit_of_blas_is_set():
    """OpenBLAS has a lock, which a child would find locked."""
    held, done = Event(), []

    def limit():
        with one_blas_thread.lock:
            held.set()
            time.sleep(0.1)
            done.append(True)

    thread = Thread(target=limit)
    thread.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if done else 1)
    _, status = os.waitpid(child, 0)
    thread.join()
    assert status == 0
    assert one_blas_thread.lock.acquire(timeout=10)
    one_blas_thread.lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_fit_has_no_limit_of_blas():
    def state():
        return one_blas_thread.fits, [blas.num_threads for blas in blas_libraries()]

    with threadpool_limits(limits=2, user_api="blas"):
        before, found = state(), []
        with one_blas_thread:
            child = os.fork()
            found.append(state())
        found.append(state())
        if child == 0:
            os._exit(0 if found == [before, before] else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert found[1] == before


FORKS = """
import os
import signal
import threading

import numpy as np

from sklkl.divergences import kl_divergence
from sklkl.linear_model import SoftLabelLogisticRegression

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(2_000, 5)), rng.dirichlet(np.ones(3), 2_000)
p = rng.dirichlet(np.ones(10), 40_000)
expected = kl_divergence(p, p[::-1])

def fit():
    while True:
        SoftLabelLogisticRegression().fit(X, Y)

for _ in range(3):
    threading.Thread(target=fit, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # kills a child that waits for ever
        same = np.array_equal(kl_divergence(p, p[::-1]), expected)
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    if status:
        print("status", status)
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
def test_divergences_in_children_of_a_process_whose_threads_fit(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore::DeprecationWarning")
    printed, errors = start(FORKS).communicate(timeout=600)
    assert printed == "done\n", errors


KILLED = """
import sys

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from tests._support.problems import make_problem

X, HARD, *_ = make_problem()
print("begun", flush=True)
for C in range(1, 10**6):
    teacher = SoftLabelLogisticRegression(C=C)
    DistilledClassifier(teacher, cross_fit=3, memory=sys.argv[1]).fit(X, HARD)
"""


@posix
@pytest.mark.slow
def test_a_process_killed_while_it_writes_to_the_shared_memory(tmp_path):
    for delay in (0.1, 0.3, 0.6):
        process = start(KILLED, tmp_path)
        assert process.stdout.readline() == "begun\n"
        time.sleep(delay)
        process.kill()
        process.communicate()
    for C in (1, 2, 3, 50):
        teacher = SoftLabelLogisticRegression(C=C)
        shared, alone = (
            DistilledClassifier(teacher, cross_fit=3, memory=memory).fit(X, HARD)
            for memory in (str(tmp_path), None)
        )
        assert_array_equal(shared.student_.coef_, alone.student_.coef_)
