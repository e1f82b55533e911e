"""The kernels for every instruction set, each in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from sklkl._kernels import _rows
from sklkl._kernels._contributions import contribution_rows
from sklkl.divergences import entropy, kl_contributions, kl_divergence, pairwise_divergences
from tests._support.cases import CASES
from tests._support.reference import DIGITS, DIGITS_OF_TINY, error

LENGTHS = (2, 3, 33, 300)
LONG = 300  # what they have in common with the baseline will do
BOUND = {"float64": 1e-13, "float32": 2e-6}

# Computes every case for the rows in the file argv[1] into argv[2], and compares the rows of
# a batch with the same alone.
SCRIPT = """
import sys
import numpy as np
from sklkl._kernels import _rows
from tests._support.cases import CASES

results = {"level": _rows.LEVEL_NAME}
rows = np.load(sys.argv[1])
for key in {name.removesuffix("/p") for name in rows if name.endswith("/p")}:
    p, q = rows[key + "/p"], rows[key + "/q"]
    for name, case in CASES.items():
        batch = case(p, q)
        alone = [case(*pair) for pair in zip(p, q, strict=True)]
        np.testing.assert_array_equal(batch, alone, f"{name} {key}")
        results[f"{name}/{key}"] = batch
np.savez(sys.argv[2], **results)
"""


def run(*arguments, level):
    """Run Python with the modules that this process sees."""
    environment = {
        **os.environ,
        "SKLKL_SIMD": level,
        "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH")])),
    }
    return subprocess.Popen(
        [sys.executable, "-c", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


TINY, EQUAL = 7, 8


def rows_of_length(k):
    """Ordinary, near-equal, far rows; sums not quite 1; zeros and tiny entries."""
    rng = np.random.default_rng(k)
    p, q = rng.dirichlet(np.ones(k), size=(2, 9))
    q[1] = p[1] * (1 + 1e-9 * rng.uniform(-1, 1, size=k))
    p[2], q[2] = rng.dirichlet(np.full(k, 0.1), size=2)
    p[3] *= 1 + 3e-4
    p[4, 0] = 0.0
    p[5, 0] = q[5, 0] = 0.0
    q[6, 0] = 0.0
    p[TINY, 0], q[TINY, 0] = 1e-300, 1e-310
    q[EQUAL] = p[EQUAL]
    for x in (p, q):
        off = abs(x.sum(axis=1) - 1) > 3.1e-4
        x[off] /= x[off].sum(axis=1, keepdims=True)
    return p, q


def test_there_is_a_baseline_and_a_choice():
    assert _rows.available()[0] == "baseline"
    chosen = os.environ.get("SKLKL_SIMD") or _rows.available()[-1]
    assert chosen == _rows.LEVEL_NAME


def test_levels_are_accurate_and_agree(tmp_path):
    rows = {}
    for k in LENGTHS:
        for dtype in BOUND:
            for name, x in zip("pq", rows_of_length(k), strict=True):
                rows[f"{k}/{dtype}/{name}"] = x.astype(dtype)
    np.savez(tmp_path / "rows.npz", **rows)
    children = {
        level: run(SCRIPT, tmp_path / "rows.npz", tmp_path / f"{level}.npz", level=level)
        for level in _rows.available()
    }
    results = {}
    for level, child in children.items():
        output, _ = child.communicate(timeout=300)
        assert child.returncode == 0, f"{level}: {output}"
        results[level] = dict(np.load(tmp_path / f"{level}.npz"))
        assert results[level].pop("level") == level
    baseline = results["baseline"]
    assert len(baseline) == len(CASES) * len(rows) / 2
    wrong = []
    for key, values in baseline.items():
        name, k, dtype = key.split("/")
        limits = np.finfo(dtype)
        allowed = {"atol": limits.smallest_subnormal, "largest": float(limits.max)}
        pairs = zip(rows[f"{k}/{dtype}/p"], rows[f"{k}/{dtype}/q"], strict=True)
        exact = [
            CASES[name].exact(*pair, digits=DIGITS_OF_TINY if i in (TINY, EQUAL) else DIGITS)
            for i, pair in enumerate(pairs)
            if int(k) < LONG
        ]
        for level, found in results.items():
            assert found[key].dtype == dtype
            errors = [error(*pair, **allowed) for pair in zip(found[key], exact, strict=False)]
            if not max(errors, default=0.0) <= BOUND[dtype]:
                wrong.append(f"{level} {key}: {max(errors):.1e} in row {np.argmax(errors)}")
            same = 1e-14 if dtype == "float64" else BOUND[dtype]
            if not np.allclose(found[key], values, rtol=same, atol=allowed["atol"]):
                wrong.append(f"{level} {key} is not what the baseline gives")
    assert not wrong, "\n".join(wrong)


def test_unknown_level_is_refused_by_name():
    child = run("import sklkl._kernels._rows", level="AVX2")
    output, _ = child.communicate(timeout=60)
    assert child.returncode != 0
    last = output.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert all(name in last for name in ("AVX2", *_rows.available()))


def test_empty_level_is_the_highest():
    child = run("from sklkl._kernels._rows import LEVEL_NAME as n; print(n)", level="")
    output, _ = child.communicate(timeout=60)
    assert output.split() == _rows.available()[-1:]


def rounded_rows(k, dtype):
    """Rows with entries just below 0: first or last, of p, q or both; many of long ones."""
    rng = np.random.default_rng(k)
    x = rng.dirichlet(np.ones(k), size=(2, 7)) + 0.01 / k
    below = np.zeros(x.shape, bool)
    for row, places in enumerate([(0, 0), (0, -1), (1, 0), (1, -1)]):
        below[places[0], row, places[1]] = True
    below[0, 4, 0] = below[1, 4, -1] = below[:, 5, 0] = True
    below[:, :, 1 : k // 2 : 4] = k > 100  # they may add up to more than sums may be off by
    x /= np.where(below, 0.0, x).sum(axis=-1, keepdims=True)
    x[below] = rng.choice([-1e-6, -1e-9, -1e-17], size=below.sum())
    x[0, 5] *= 0.9998
    x[:, 6] = 0.0
    x[0, 6, 0], x[1, 6, 0], x[0, 6, -1] = 1.00000536, 1.0, -1e-17
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("k", [2, 3, 17, 65, 5000])
def test_what_rounding_left_below_zero_counts_as_zero(k, dtype):
    p, q = rounded_rows(k, dtype)
    zeros_p, zeros_q = np.maximum(p, 0), np.maximum(q, 0)
    calls = {
        **CASES,
        "entropy": lambda p, q: entropy(p),
        "contributions": kl_contributions,
        "pairwise": lambda p, q: pairwise_divergences(p, q, divergence="kl"),
    }
    # A divergence of 1e-50 has six digits left where sums are off by 2e-4.
    bounds = {"rtol": BOUND[dtype], "atol": 1e-50}
    for name, call in calls.items():
        np.testing.assert_allclose(call(p, q), call(zeros_p, zeros_q), **bounds, err_msg=name)


@pytest.mark.parametrize("bad", [-1.1e-6, -np.inf, np.nan, np.inf])
def test_what_no_rounding_explains_is_refused(bad):
    for k in (3, 17, 300):
        p = np.full((4, k), 1 / k)
        q = p.copy()
        q[2, -1] = bad
        q[2, 0] = 1 / k + 1e-6
        for arrays in ((p, q), (q, p)):
            for call in (kl_divergence, kl_contributions):
                with pytest.raises(ValueError, match=r"[pq]\[2\] "):
                    call(*arrays)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("k", [1, 2, 3, 17, 65, 300, 5000])
def test_check_accepts_what_kernels_accept(k, dtype):
    rng = np.random.default_rng(k)
    x = rng.dirichlet(np.ones(k), size=2000 if k < 100 else 7)
    x[1] *= 1 + 3.4e-4
    x[2, -1] = -0.0 if k == 1 else -1e-7
    x[2, 0] = 1 - x[2, 1:].sum()
    x = x.astype(dtype)
    kl = _rows.RowKernel("kl")
    for last in (*x[3, -1:], np.nan, np.inf, -np.inf, -1.1e-6, 2.0):
        x[-1, -1] = x[4, -1] = last
        for rows in (x, x[:4], x[::-1], np.asfortranarray(x), x[5:]):
            bad = np.flatnonzero(np.isnan(kl.rows(rows, rows, 1.0, 1)[0]))
            assert _rows.first_bad_row(rows) == (bad[0] if bad.size else -1)
        assert _rows.first_bad_row(x[4]) == (0 if kl.pair(x[4], x[4], 1.0)[1] else -1)
    assert _rows.first_bad_row([1.0]) is None


def test_kernels_never_change():
    kernel = _rows.RowKernel("kl")
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    value = kernel.pair(p, q, 1.0)
    kernel.__init__("chi2")
    assert kernel.pair(p, q, 1.0) == value


def test_arrays_that_do_not_fit_are_refused():
    kl, rows = _rows.RowKernel("kl"), np.full((4, 3), 1 / 3)
    misfits = [rows[:, :2], rows[:3], rows.astype(np.float32), rows[0], rows.astype(">f8")]
    misfits.append(np.frombuffer(bytes(97), np.uint8)[1:].view(np.float64).reshape(4, 3))
    for other in misfits:
        for call, *options in ((kl.rows, 1.0, 1), (_rows.logits_rows, 1.0, 1.0, 1)):
            with pytest.raises(ValueError, match="aligned two-dimensional arrays"):
                call(rows, other, *options)
        assert kl.pair(rows, other, 1.0) == (None, True)
        with pytest.raises(ValueError, match="aligned two-dimensional arrays"):
            contribution_rows(rows, other, 1.0, 3e-4, True)
    with pytest.raises(ValueError, match="rows of one length"):
        kl.pairwise(rows, rows[:, :2], 1.0, 1)
    assert kl.pairwise(rows, rows[:3], 1.0, 1)[0].shape == (4, 3)


@pytest.mark.parametrize("place", range(4))
def test_vectors_that_do_not_fit_are_refused(place):
    unaligned = np.zeros(25, np.uint8)[1:].view(np.float64)
    for other in (np.ones(3, np.float32), np.ones(6)[::2], np.ones(3, np.int64), unaligned):
        vectors = [np.ones(3) for _ in range(4)]
        vectors[place] = other
        with pytest.raises(ValueError, match="C-contiguous float64 of shape"):
            _rows.kl_terms(*vectors)


STACK = """
import threading
import numpy as np
from tests._support.cases import CASES

def work():
    rng = np.random.default_rng(0)
    for k in (17, 300):
        p, q = rng.dirichlet(np.ones(k), size=(2, 60))
        p[:, 0] = -1e-9
        p /= p.sum(axis=1, keepdims=True)
        for dtype in (np.float64, np.float32):
            for case in CASES.values():
                case(p.astype(dtype, order="F"), q.astype(dtype, order="F"))
    print("done")

threading.stack_size(112 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_a_thread_of_little_stack_will_do():
    """Under musl a thread has 128 KB."""
    output, _ = run(STACK, level=_rows.available()[-1]).communicate(timeout=60)
    assert output == "done\n"
