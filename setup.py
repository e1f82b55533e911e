"""Extension modules; everything else about the package is in pyproject.toml."""

import os
import platform
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildExt(build_ext):
    """Compile all modules at once, with flags that depend on the compiler."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        # Not in the threads that compile: Cython keeps global state.
        generated = cythonize(
            self.extensions,
            nthreads=self.parallel,
            build_dir=self.build_temp,  # generated C stays out of the source tree
            force=self.force,
            compiler_directives={"freethreading_compatible": True},
        )
        for extension, done in zip(self.extensions, generated, strict=True):
            extension.sources = done.sources
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
    folder = "sklkl/_kernels"
    return Extension(
        f"sklkl._kernels.{name}",
        [f"{folder}/{name}.pyx"],
        include_dirs=[folder],
        depends=[x.as_posix() for x in sorted(Path(folder).glob("*.h"))],
    )


# Those that take the longest come first, lest they are waited for.
EXTENSIONS = ("_rows", "_linear", "_threads", "_descent", "_contributions", "_buffers")

if __name__ == "__main__":  # not again in each process of Cython
    setup(
        ext_modules=[extension(name) for name in EXTENSIONS],
        cmdclass={"build_ext": BuildExt},
    )
