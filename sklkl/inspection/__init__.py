"""Pictures of distributions, of students beside their teachers, and of losses.

They follow scikit-learn's Displays: a ``from_*`` method computes and draws, ``plot`` draws
again, ``figure_`` and ``ax_`` are what it drew on. matplotlib is imported when something is
drawn.
"""

from sklkl.inspection._deferral import DeferralDisplay
from sklkl.inspection._divergence import DivergenceDisplay
from sklkl.inspection._divergence_map import DivergenceMapDisplay
from sklkl.inspection._fidelity import FidelityDisplay
from sklkl.inspection._reliability import ReliabilityDisplay
from sklkl.inspection._temperature import TemperatureDisplay
from sklkl.inspection._tuning import TuningDisplay

__all__ = [
    "DeferralDisplay",
    "DivergenceDisplay",
    "DivergenceMapDisplay",
    "FidelityDisplay",
    "ReliabilityDisplay",
    "TemperatureDisplay",
    "TuningDisplay",
]
