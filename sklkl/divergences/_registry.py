"""The divergences of two distributions that losses, scorers and tests walk through.

To add one: a pointwise term in ``_kernels/_terms.pxd`` with its branch in ``_rows.pyx``, a
documented function in ``_divergences.py``, a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sklkl.divergences import _divergences as functions


@dataclass(frozen=True)
class Divergence:
    """What the rest of the library must know of a divergence.

    Attributes
    ----------
    function : callable
        The public ``function(p, q, *, axis=-1, base=None)``.
    kernel : callable
        What ``by_row`` takes.
    title : str
        What documentation calls it.
    finite : bool
        Is it finite also where one distribution is 0 and the other is not?
    reversible : bool
        Does swapping the arguments give another divergence that is of use as a loss?
    """

    function: Callable
    kernel: Callable
    title: str
    finite: bool
    reversible: bool

    @property
    def name(self):
        return self.function.__name__


DIVERGENCES = (
    Divergence(
        function=functions.kl_divergence,
        kernel=functions.kl_kernel,
        title="Kullback-Leibler divergence",
        finite=False,
        reversible=True,
    ),
    Divergence(
        function=functions.jensen_shannon_divergence,
        kernel=functions.jensen_shannon_kernel,
        title="Jensen-Shannon divergence",
        finite=True,
        reversible=False,
    ),
    Divergence(
        function=functions.cross_entropy,
        kernel=functions.cross_entropy_kernel,
        title="cross-entropy",
        finite=False,
        reversible=False,
    ),
)
