"""Learn from and score with probability targets, the scikit-learn way."""

from importlib.metadata import version

__version__ = version("sklkl")

__all__ = ["__version__"]
