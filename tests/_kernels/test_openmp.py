"""How many threads a loop gets, and that forked processes go on working."""

import multiprocessing
import os
import subprocess
import sys

import joblib
import pytest
from threadpoolctl import threadpool_limits

from sklkl._kernels import _openmp

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


def threads(wanted):
    """``wanted``, or 1 where the extension was built without OpenMP."""
    return wanted if _openmp.OPENMP_ENABLED else 1


def test_threadpoolctl_limits_are_asked_at_each_call(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for limit in (1, 2, 1, 4096):
        with threadpool_limits(limits=limit):
            assert _openmp.n_threads_for(LARGE) == threads(min(limit, joblib.cpu_count()))
            assert _openmp.n_threads_for(SMALL) == _openmp.n_threads_for(0) == 1


PRINT_THREADS = f"""
from sklkl._kernels._openmp import n_threads_for
print(n_threads_for({SMALL}), n_threads_for({LARGE}))
"""


def test_environment_variable_wins():
    """Also over the number of cores, as in every program that uses OpenMP."""
    assert run(PRINT_THREADS, OMP_NUM_THREADS="3") == f"1 {threads(3)}"
    assert run(PRINT_THREADS) == f"1 {threads(joblib.cpu_count())}"


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

from sklkl._kernels._openmp import n_threads_for
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
    # A forked child would hang in GNU's OpenMP, so it works alone.
    expected = 1 if method == "fork" else threads(2)
    assert printed == f"{threads(2)} {expected}"
