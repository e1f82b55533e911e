"""show_config: what a bug report needs, and what the environment changes in it."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import joblib
import pytest

import sklkl
from sklkl._kernels._openmp import OPENMP_ENABLED
from sklkl._kernels._rows import LEVEL_NAME, available

SHOW = "import sklkl; sklkl.show_config()"


def run(code, **environment):
    """Run ``code`` in a new interpreter."""
    changed = {"OMP_NUM_THREADS", "SKLKL_SIMD"}
    inherited = {name: x for name, x in os.environ.items() if name not in changed}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def show(code=SHOW, **environment):
    """Return what is printed in a new interpreter, by what stands before the colon."""
    result = run(code, **environment)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return dict(line.split(": ", 1) for line in result.stdout.splitlines() if ": " in line)


def threads(n):
    return f"{n} (OpenMP)" if OPENMP_ENABLED else "1 (built without OpenMP)"


def test_what_is_printed(capsys):
    assert "show_config" in sklkl.__all__
    assert sklkl.show_config() is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"sklkl {sklkl.__version__}"
    assert lines[1].startswith(f"Python {platform.python_version()} on ")
    for name in ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl"):
        assert f"{name} {version(name)}" in lines
    assert f"instruction set: {LEVEL_NAME} (available: {', '.join(available())})" in lines


def test_the_best_instruction_set_and_all_threads_are_the_default():
    assert available()[0] == "baseline"
    for environment in ({}, {"SKLKL_SIMD": ""}):
        shown = show(**environment)
        assert shown["instruction set"].split()[0] == available()[-1]
        assert shown["threads"] == threads(joblib.cpu_count())


@pytest.mark.parametrize("level", available())
def test_environment_names_the_instruction_set_and_threads(level):
    shown = show(SKLKL_SIMD=level, OMP_NUM_THREADS="3")
    assert shown["instruction set"].startswith(f"{level} (available: baseline")
    assert shown["threads"] == threads(3)


def test_unknown_instruction_set():
    result = run(SHOW, SKLKL_SIMD="avx1024")
    assert result.returncode != 0
    last = result.stderr.splitlines()[-1]
    assert "SKLKL_SIMD=avx1024 is not available; this machine has" in last
    assert all(level in last for level in available())


def test_number_of_threads_is_that_of_a_call_now():
    code = (
        "from threadpoolctl import threadpool_limits; import sklkl\n"
        "with threadpool_limits(limits=1): sklkl.show_config()"
    )
    assert show(code)["threads"] == threads(1)


def test_import_of_sources_that_are_not_compiled(tmp_path):
    package = Path(sklkl.__file__).parent
    compiled = shutil.ignore_patterns("*.so", "*.pyd")
    shutil.copytree(package, tmp_path / "sklkl", ignore=compiled)
    result = run(f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import sklkl")
    assert "The compiled part of sklkl is missing" in result.stderr.splitlines()[-1]


def test_import_without_a_dependency_names_it():
    result = run("import sys; sys.modules['joblib'] = None; import sklkl.metrics")
    assert "import of joblib halted" in result.stderr.splitlines()[-1]
