"""Extension modules; everything else about the package is in pyproject.toml."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# (compile flags, link flags) that switch OpenMP on, most likely first. "{omp}" stands for
# the prefix of a separately installed libomp, as Homebrew keeps it on macOS.
OPENMP_FLAGS = {
    "msvc": [(["/openmp"], [])],
    "darwin": [
        (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
        (
            ["-Xpreprocessor", "-fopenmp", "-I/opt/homebrew/opt/libomp/include"],
            ["-L/opt/homebrew/opt/libomp/lib", "-lomp"],
        ),
        (["-fopenmp"], ["-fopenmp"]),
    ],
    "other": [(["-fopenmp"], ["-fopenmp"])],
}

OPENMP_PROGRAM = """
#include <omp.h>
int main(void) {
    int n = 0;
    #pragma omp parallel for reduction(+:n)
    for (int i = 0; i < 10; ++i) n += i;
    return n == 45 && omp_get_max_threads() > 0 ? 0 : 1;
}
"""


class BuildExt(build_ext):
    """Find out by compiling, linking and running which OpenMP flags work, if any."""

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        # What helps a debugger (-g) makes the modules four times larger, and takes a fifth of
        # the time. The kernels allow fused multiply-adds: where they need separately rounded
        # operations, they ask what the target has. -fopenmp-simd is not OpenMP's runtime
        # but its promise that a loop may be vectorised. The others change no value; without
        # them gcc leaves loops with a selection or a square root scalar.
        optimise = (
            ["/O2"]
            if msvc
            else [
                "-g0",
                "-O3",
                "-ffp-contract=fast",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fopenmp-simd",
            ]
        )
        compile_flags, link_flags = self.find_openmp()
        for extension in self.extensions:
            extension.extra_compile_args += optimise + compile_flags
            extension.extra_link_args += link_flags
        super().build_extensions()

    def find_openmp(self):
        if os.environ.get("SKLKL_NO_OPENMP"):
            return [], []
        kind = self.compiler.compiler_type
        if kind != "msvc":
            kind = "darwin" if sys.platform == "darwin" else "other"
        for compile_flags, link_flags in OPENMP_FLAGS[kind]:
            if self.runs(compile_flags, link_flags):
                return compile_flags, link_flags
        print("sklkl: no working OpenMP found; building single-threaded kernels")
        return [], []

    def runs(self, compile_flags, link_flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=compile_flags
                )
                self.compiler.link_executable(
                    objects, "probe", output_dir=folder, extra_postargs=link_flags
                )
                program = self.compiler.executable_filename("probe", output_dir=folder)
                return subprocess.run([program], timeout=60).returncode == 0
            except Exception:  # each compiler class has errors of its own
                return False


def extension(name):
    folder = Path("sklkl", "_kernels")
    ext = Extension(
        f"sklkl._kernels.{name}",
        [f"{folder.as_posix()}/{name}.pyx"],
        include_dirs=[folder.as_posix()],
        depends=[
            x.as_posix() for end in ("h", "pxd") for x in sorted(folder.glob(f"*.{end}"))
        ],
    )
    ext.cython_c_in_temp = True  # generated C stays out of the source tree
    return ext


EXTENSIONS = ("_buffers", "_contributions", "_descent", "_linear", "_openmp", "_rows")

setup(
    ext_modules=[extension(name) for name in EXTENSIONS],
    cmdclass={"build_ext": BuildExt},
)
