"""The benchmarks import what there is, and count what a job needs."""

from importlib import import_module

import numpy as np
import pytest
from scipy.sparse import csr_array

limits = pytest.importorskip("benchmarks.limits", reason="not beside a source tree")


NAMES = ["calibration", "cluster", "deferral", "devices", "distillation", "divergences"]


@pytest.mark.parametrize("name", [*NAMES, "scoring", "student", "topk"])
def test_all_that_is_imported_is_there(name):
    if name == "cluster":
        pytest.importorskip("distributed")
    import_module(f"benchmarks.{name}")


def test_pass_job():
    X, y = np.ones((10, 3), np.float32), np.ones((10, 4), np.float32)
    job = limits.pass_job(X, y, 4)
    assert job == limits.Job(4 * (30 + 40), X.dtype, 2 * 30 * 4, 40, 10)
    assert limits.pass_job(X, y[:, :2], 2).exponentials == 10  # one logit
    assert limits.pass_job(csr_array(np.eye(10)), y, 4).multiply_adds == 2 * 10 * 4


def test_pairwise_job():
    P = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
    pairs = [(0, 1), (0, 2), (1, 2)]
    needed = sum(np.count_nonzero(P[i] + P[j]) for i, j in pairs)
    assert limits.pairwise_job(P).logarithms == needed
    assert limits.pairwise_job(P + 1.0).logarithms == 9


def test_the_longer_time_is_the_limit(monkeypatch):
    monkeypatch.setattr(limits, "per_byte", lambda size, dtype, threads: 1.0)
    monkeypatch.setattr(limits, "per_value", lambda name, dtype, threads: 10.0)
    job = limits.Job(100, np.dtype(float), exponentials=4, logarithms=5)
    assert limits.limit_of(job, 1) == 100.0
    assert limits.limit_of(limits.Job(80, job.dtype, 0, 4, 5), 1) == 90.0


class Version:
    """Answers as a process of the ratios of two versions does."""

    def __init__(self, *seconds):
        self.left = list(seconds)

    def seconds(self, name):
        return self.left.pop(0)


def test_least_times_of_two_versions():
    ratios = import_module("benchmarks.ratios")
    times = ratios.least_times(
        Version(3.0, 1.0, 2.0), Version(2.0, 4.0, 5.0), "call", rounds=3
    )
    assert times == (1.0, 2.0)
    assert ratios.least_times(Version(1.0), Version(None), "call", rounds=1) is None


def test_all_calls_of_the_ratios_run():
    ratios = import_module("benchmarks.ratios")
    for name, prepare in ratios.calls().items():
        if name in ("one pair", "loss of labels", "small fit"):  # the others take long
            prepare()()
