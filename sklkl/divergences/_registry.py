"""The divergences of two distributions, a record for each: names, kernel, what losses need.

Every divergence has one name, as "kl". The names of its function, its loss and its scorer,
"kl_divergence", "kl_loss" and "neg_kl_loss", stand for it, too, wherever one is asked for.

To add one: a row of the table in ``_kernels/divergences.h`` with its term, a function with
its docstring in ``_divergences.py``, a record here, and a definition in
``tests/_support/reference.py``.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sklkl._core.distributions import nats_to
from sklkl._core.parameters import Rule, check
from sklkl._kernels._rows import RowKernel
from sklkl.divergences import _divergences as functions

PARAMS = Rule("a dictionary of parameters of the divergence", Mapping).or_(None)


@dataclass(frozen=True)
class Divergence:
    """A divergence: its names, its functions, and the facts that losses and scorers use."""

    name: str  # that users pass, as "kl"
    # The public ``function(p, q, *, <parameters>, axis=-1)``, with ``base=None`` too if the
    # result has a unit.
    function: Callable
    kernel: Callable[..., RowKernel]  # returns the kernel for given <parameters>
    title: str  # the name in documentation and pictures
    swapped: bool = False  # whether the divergence of (p, q) is ``function(q, p)``
    # Whether it grows like ``-p_j log q_j`` as q_j -> 0 and all else stays bounded; scorers
    # then restore underflowed probabilities from ``predict_log_proba``.
    linear_in_log_q: bool = False
    ordered: bool = False  # whether it depends on the order of the outcomes
    parameters: dict = field(init=False)  # each with its default or inspect.Parameter.empty
    has_unit: bool = field(init=False)  # whether ``function`` has a ``base``

    def __post_init__(self):
        keywords = {
            p.name: p.default
            for p in inspect.signature(self.function).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        object.__setattr__(self, "has_unit", "base" in keywords)
        own = {k: v for k, v in keywords.items() if k not in ("axis", "base")}
        object.__setattr__(self, "parameters", own)

    def __call__(self, p, q, **options):
        """Return the divergence of each pair of rows."""
        return self.function(*((q, p) if self.swapped else (p, q)), **options)

    @property
    def spellings(self):
        """Return all names of the divergence, its own first."""
        function = f"{'reverse_' * self.swapped}{self.function.__name__}"
        return self.name, function, f"{self.name}_loss", f"neg_{self.name}_loss"

    @property
    def required(self):
        """Return the names of the parameters without a default."""
        return {k for k, v in self.parameters.items() if v is inspect.Parameter.empty}

    def check(self, params=None, base=None):
        """Return ``params`` as a dictionary; refuse other ones than the divergence takes."""
        check("divergence_params", params, PARAMS)
        params = {} if params is None else dict(params)  # of SciPy's DOK matrices, too
        if not self.required <= set(params) <= set(self.parameters):
            takes = sorted(self.parameters) or "no parameters"
            needs = f", of which it needs {sorted(self.required)}" if self.required else ""
            got = f"divergence_params={params or None!r}"
            raise ValueError(f"{self.name!r} takes {takes}{needs}; got {got}.")
        if base is not None and not self.has_unit:
            raise ValueError(f"{self.name!r} has no unit, so base must be None; got {base!r}.")
        nats_to(base)
        return params


DIVERGENCES = (
    Divergence(
        "kl",
        functions.kl_divergence,
        lambda: functions.KL,
        "Kullback-Leibler divergence",
        linear_in_log_q=True,
    ),
    Divergence(
        "reverse_kl",
        functions.kl_divergence,
        lambda: functions.REVERSE_KL,
        "reverse Kullback-Leibler divergence",
        swapped=True,
    ),
    Divergence(
        "jeffreys",
        functions.jeffreys_divergence,
        lambda: functions.JEFFREYS,
        "Jeffreys divergence",
        linear_in_log_q=True,
    ),
    Divergence(
        "jensen_shannon",
        functions.jensen_shannon_divergence,
        functions.jensen_shannon_kernel,
        "Jensen-Shannon divergence",
    ),
    Divergence(
        "jensen_shannon_distance",
        functions.jensen_shannon_distance,
        lambda: functions.jensen_shannon_kernel(root=True),
        "Jensen-Shannon distance",
    ),
    Divergence(
        "renyi", functions.renyi_divergence, functions.renyi_kernel, "Rényi divergence"
    ),
    Divergence(
        "alpha", functions.alpha_divergence, functions.alpha_kernel, "alpha-divergence"
    ),
    Divergence(
        "chi2", functions.chi2_divergence, lambda: functions.CHI2, "chi-squared divergence"
    ),
    Divergence(
        "hellinger",
        functions.hellinger_distance,
        lambda: functions.HELLINGER,
        "Hellinger distance",
    ),
    Divergence(
        "total_variation",
        functions.total_variation_distance,
        lambda: functions.TOTAL_VARIATION,
        "total variation distance",
    ),
    Divergence(
        "bhattacharyya",
        functions.bhattacharyya_distance,
        lambda: functions.BHATTACHARYYA,
        "Bhattacharyya distance",
    ),
    Divergence(
        "cross_entropy",
        functions.cross_entropy,
        lambda: functions.CROSS_ENTROPY,
        "cross-entropy",
        linear_in_log_q=True,
    ),
    Divergence(
        "squared_error",
        functions.squared_error,
        lambda: functions.SQUARED_ERROR,
        "squared error",
    ),
    Divergence(
        "ranked_probability",
        functions.ranked_probability,
        lambda: functions.RANKED_PROBABILITY,
        "ranked probability score",
        ordered=True,
    ),
)
NAMES = [divergence.name for divergence in DIVERGENCES]
# For docstrings.
LISTS = {
    name: textwrap.fill(", ".join(f'"{d.name}"' for d in of_kind), 83)
    for name, of_kind in {
        "divergences": DIVERGENCES,
        "without_unit": [d for d in DIVERGENCES if not d.has_unit],
    }.items()
}
# What others call them, for messages. A log loss is either one, if targets are labels.
ELSEWHERE = {
    **dict.fromkeys(("brier", "brier_score", "brier_score_loss"), ("squared_error",)),
    "log_loss": ("cross_entropy", "kl"),
    "rps": ("ranked_probability",),
}
BY_SPELLING = {name: d for d in DIVERGENCES for name in d.spellings}


def find(name, among=NAMES, also=()):
    """Return the divergence of a name in any spelling; refuse others, and names not ``among``.

    ``also`` are further names that the caller takes, for the message.
    """
    known = isinstance(name, str) and name in BY_SPELLING
    if not known or BY_SPELLING[name].name not in among:
        theirs = ELSEWHERE.get(name, ()) if isinstance(name, str) else ()
        meant = " or ".join(repr(own) for own in theirs if own in among)
        hint = f" Here {name!r} is {meant}." if meant else ""
        raise ValueError(
            f"divergence must be one of {[*among, *also]}, or the name of a function, loss or "
            "scorer of one, as 'kl_divergence', 'kl_loss' or 'neg_kl_loss'; "
            f"got {name!r}.{hint}"
        )
    return BY_SPELLING[name]
