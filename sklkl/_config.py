"""Versions, instruction set and threads of this installation, for bug reports."""

import platform
import sys
from importlib.metadata import version

from sklkl._kernels._rows import LEVEL_NAME, available
from sklkl._kernels._threads import n_threads_for

DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")


def show_config() -> None:
    """Print versions, the instruction set and the threads that the kernels use.

    The instruction set is the best that the processor has. The environment variable
    ``SKLKL_SIMD``, read at import, names a lower one. The number of threads is the one
    that a large call made now would use.

    See Also
    --------
    sklearn.show_versions : The same of scikit-learn, with its thread pools.

    Examples
    --------
    >>> import sklkl
    >>> sklkl.show_config()  # doctest: +ELLIPSIS
    sklkl ...
    instruction set: ...
    threads: ...
    """
    print(f"sklkl {version('sklkl')}")
    print(f"Python {platform.python_version()} on {platform.machine()} {sys.platform}")
    for name in DEPENDENCIES:
        print(f"{name} {version(name)}")
    print(f"instruction set: {LEVEL_NAME} (available: {', '.join(available())})")
    print(f"threads: {n_threads_for(sys.maxsize)}")
