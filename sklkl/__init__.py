"""Learn from and score with probability targets, the scikit-learn way."""

from importlib.metadata import version

from sklkl._config import show_config
from sklkl._core.topk import TopK

__version__ = version("sklkl")

__all__ = ["TopK", "__version__", "show_config"]
