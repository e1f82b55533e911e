"""The divergences of two distributions that losses, scorers, pairwise and tests walk through.

To add one: a pointwise term in ``_kernels/_terms.h`` with its case in ``_rows.h`` and
``_exact.h``, a documented function in ``_divergences.py``, a line here.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

from sklkl._kernels._rows import RowKernel
from sklkl.divergences import _divergences as functions


@dataclass(frozen=True)
class Divergence:
    """What the rest of the library must know of a divergence.

    Attributes
    ----------
    function : callable
        The public ``function(p, q, *, <parameters>, axis=-1)``, with ``base=None`` too if the
        result has a unit.
    kernel : callable
        The ``RowKernel`` for given ``<parameters>``.
    title : str
        What documentation calls it.
    reversible : bool
        Does swapping the arguments give another divergence that is of use as a loss?
    linear_in_log_q : bool
        Does a vanishing q add ``-p log(q)`` to it, and nothing else of note?
    name, parameters, has_unit
        Read off ``function``; ``parameters`` maps a name to its default, or to
        ``inspect.Parameter.empty``.
    """

    function: Callable
    kernel: Callable[..., RowKernel]
    title: str
    reversible: bool = False
    linear_in_log_q: bool = False
    name: str = field(init=False)
    parameters: dict = field(init=False)
    has_unit: bool = field(init=False)

    def __post_init__(self):
        keywords = {
            p.name: p.default
            for p in inspect.signature(self.function).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        object.__setattr__(self, "name", self.function.__name__)
        object.__setattr__(self, "has_unit", "base" in keywords)
        own = {k: v for k, v in keywords.items() if k not in ("axis", "base")}
        object.__setattr__(self, "parameters", own)


DIVERGENCES = (
    Divergence(
        functions.kl_divergence,
        lambda: functions.KL,
        "Kullback-Leibler divergence",
        reversible=True,
        linear_in_log_q=True,
    ),
    Divergence(
        functions.jeffreys_divergence,
        lambda: functions.JEFFREYS,
        "Jeffreys divergence",
        linear_in_log_q=True,
    ),
    Divergence(
        functions.jensen_shannon_divergence,
        functions.jensen_shannon_kernel,
        "Jensen-Shannon divergence",
    ),
    Divergence(
        functions.jensen_shannon_distance,
        lambda: functions.jensen_shannon_kernel(root=True),
        "Jensen-Shannon distance",
    ),
    Divergence(functions.renyi_divergence, functions.renyi_kernel, "Rényi divergence"),
    Divergence(functions.alpha_divergence, functions.alpha_kernel, "alpha-divergence"),
    Divergence(functions.chi2_divergence, lambda: functions.CHI2, "chi-squared divergence"),
    Divergence(
        functions.hellinger_distance, lambda: functions.HELLINGER, "Hellinger distance"
    ),
    Divergence(
        functions.total_variation_distance,
        lambda: functions.TOTAL_VARIATION,
        "total variation distance",
    ),
    Divergence(
        functions.bhattacharyya_distance,
        lambda: functions.BHATTACHARYYA,
        "Bhattacharyya distance",
    ),
    Divergence(
        functions.cross_entropy,
        lambda: functions.CROSS_ENTROPY,
        "cross-entropy",
        linear_in_log_q=True,
    ),
)
