"""Fits by all instruction sets find the same optimum, as far as the stopping rule asks."""

import os
import subprocess
import sys

import numpy as np
import pytest

from sklkl._kernels._rows import available

SCRIPT = """
import sys

import numpy as np

from sklkl._kernels._rows import LEVEL_NAME
from sklkl.linear_model import SoftLabelLogisticRegression
from tests._support.problems import make_problem

X, hard, soft, _, _ = make_problem(n_classes=4, n_samples=300, n_features=7)
found = {"level": LEVEL_NAME}
for dtype in ("float32", "float64"):
    for l1_ratio in (0.0, 0.5):
        for kind, y in {"hard": hard, "soft": soft}.items():
            model = SoftLabelLogisticRegression(C=10, l1_ratio=l1_ratio)
            proba = model.fit(X.astype(dtype), y).predict_proba(X.astype(dtype))
            found[f"{dtype} {l1_ratio} {kind}"] = proba
np.savez(sys.argv[1], **found)
"""


@pytest.mark.skipif(len(available()) == 1, reason="there is one instruction set")
def test_predictions_of_all_levels_agree(tmp_path):
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH")]))
    children = {
        level: subprocess.Popen(
            [sys.executable, "-c", SCRIPT, tmp_path / f"{level}.npz"],
            env={**os.environ, "SKLKL_SIMD": level, "PYTHONPATH": path},
        )
        for level in available()
    }
    found = {}
    for level, child in children.items():
        assert child.wait(timeout=300) == 0, level
        found[level] = dict(np.load(tmp_path / f"{level}.npz"))
        assert found[level].pop("level") == level
    baseline = found.pop("baseline")
    for others in found.values():
        for key, p in baseline.items():
            rtol = 1e-9 if key.startswith("float64 0.0") else 0.01
            np.testing.assert_allclose(others[key], p, rtol=rtol, err_msg=key)
            np.testing.assert_allclose(1 - others[key], 1 - p, rtol=rtol, err_msg=key)
