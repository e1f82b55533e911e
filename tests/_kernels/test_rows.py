"""The kernels for every instruction set, each in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from sklkl._kernels import _rows
from tests._cases import CASES
from tests._reference import DIGITS_OF_TINY, error

LENGTHS = (2, 3, 9, 33, 300)
BOUND = {"float64": 1e-13, "float32": 2e-6}

# Computes every case for the rows in the file argv[1] into argv[2], and compares the rows of
# a batch with the same alone.
SCRIPT = """
import sys
import numpy as np
from sklkl._kernels import _rows
from tests._cases import CASES

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
    p[7, 0], q[7, 0] = 1e-300, 1e-310
    q[8] = p[8]
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
        exact = [CASES[name].exact(*pair, digits=DIGITS_OF_TINY) for pair in pairs]
        for level, found in results.items():
            assert found[key].dtype == dtype
            errors = [error(*pair, **allowed) for pair in zip(found[key], exact, strict=True)]
            if not max(errors) <= BOUND[dtype]:
                wrong.append(f"{level} {key}: {max(errors):.1e} in row {np.argmax(errors)}")
            if dtype == "float64" and not np.allclose(found[key], values, rtol=1e-14, atol=0):
                wrong.append(f"{level} {key} is not what the baseline gives")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("level", ["sse", "AVX2", "baseline,avx2"])
def test_unknown_level_is_refused_by_name(level):
    child = run("import sklkl._kernels._rows", level=level)
    output, _ = child.communicate(timeout=60)
    assert child.returncode != 0
    last = output.splitlines()[-1]
    assert last.startswith("ImportError: ")
    for name in (level, *_rows.available()):
        assert name in last


def test_empty_level_is_the_highest():
    child = run("from sklkl._kernels._rows import LEVEL_NAME as n; print(n)", level="")
    output, _ = child.communicate(timeout=60)
    assert output.split() == _rows.available()[-1:]
