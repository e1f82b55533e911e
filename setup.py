"""Extension modules; everything else about the package is in pyproject.toml."""

import platform
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildExt(build_ext):
    """Compile with flags that depend on the compiler."""

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
        if sys.platform == "linux" and platform.machine() in ("x86_64", "i686"):
            # gcc may move a number through a register of MMX, after which the x87 unit, and
            # with it NumPy's long double, computes nonsense.
            optimise.append("-mno-mmx")
        for extension in self.extensions:
            extension.extra_compile_args += optimise
        super().build_extensions()


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


EXTENSIONS = ("_buffers", "_contributions", "_descent", "_linear", "_rows", "_threads")

setup(
    ext_modules=[extension(name) for name in EXTENSIONS],
    cmdclass={"build_ext": BuildExt},
)
