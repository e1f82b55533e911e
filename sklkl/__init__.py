"""Learn from and score with probability targets, the scikit-learn way."""

from importlib.metadata import version

from sklkl._config import show_config

__version__ = version("sklkl")

__all__ = ["__version__", "show_config"]
