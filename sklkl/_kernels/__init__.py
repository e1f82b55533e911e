"""Compiled arithmetic on typed buffers.

This layer knows nothing of scikit-learn, validates no Python object and holds no
global interpreter lock inside its loops. See ``docs/development.md`` for the map.
"""

try:
    from sklkl._kernels import _threads  # noqa: F401
except ImportError as error:
    if error.name != "sklkl._kernels":  # something else is missing
        raise
    raise ImportError(
        "The compiled part of sklkl is missing. If this is its source folder, start Python in "
        "another one, or install it there with pip install -e ."
    ) from error
