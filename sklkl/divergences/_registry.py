"""Records of the divergences that losses, scorers, pairwise divergences and tests go through.

To add one: a row of the table in ``_kernels/divergences.h`` with its term, a function in
``_divergences.py``, a record here, its definition in ``tests/_support/reference.py``.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

from sklkl._kernels._rows import RowKernel
from sklkl.divergences import _divergences as functions


@dataclass(frozen=True)
class Divergence:
    """Record of a divergence.

    Attributes
    ----------
    function : callable
        The public ``function(p, q, *, <parameters>, axis=-1)``, with ``base=None`` too if the
        result has a unit.
    kernel : callable
        The ``RowKernel`` for given ``<parameters>``.
    title : str
        Its name in text.
    reversible : bool
        Whether there is also a ``reverse_*`` loss, with the arguments swapped.
    linear_in_log_q : bool
        True if the divergence grows like ``-p_j log q_j`` as q_j -> 0 and all else stays
        bounded; scorers then restore underflowed probabilities from ``predict_log_proba``.
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
