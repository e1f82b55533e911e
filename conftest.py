"""What holds for all tests and doctests."""

import os
import sys
from importlib.util import find_spec

import pytest

# Workers that run tests side by side have a thread each: threads of several processes on the
# same cores wait for one another, and tests that fit many small models take more than twice as
# long. Tests of many threads ask for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.setdefault("MPLBACKEND", "agg")

collect_ignore = ["tests/typing"]  # for mypy
# Packages of extras, and what does nothing without them.
for package, paths in {
    "distributed": ["sklkl/dask", "tests/dask"],
    "pyarrow": ["sklkl/batches/_predictions.py"],
}.items():
    if find_spec(package) is None:
        collect_ignore += paths


@pytest.fixture(autouse=True)
def _closed_figures():
    """Close what a test has drawn: matplotlib warns of more than 20 figures."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
