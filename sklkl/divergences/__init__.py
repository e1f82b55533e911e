"""Divergences between batches of probability distributions."""

from sklkl.divergences import _divergences
from sklkl.divergences._count_intervals import (
    CountsInterval,
    entropy_interval_from_counts,
    jensen_shannon_interval_from_counts,
    kl_interval_from_counts,
)
from sklkl.divergences._counts import (
    entropy_from_counts,
    jensen_shannon_from_counts,
    kl_from_counts,
)
from sklkl.divergences._divergences import *  # noqa: F403
from sklkl.divergences._gaussian import gaussian_kl_divergence
from sklkl.divergences._logits import divergence_from_logits, kl_divergence_from_logits
from sklkl.divergences._pairwise import pairwise_divergences
from sklkl.divergences._sampled import sampled_kl
from sklkl.divergences._several import jensen_shannon_of_several
from sklkl.divergences._stability import population_stability_index

__all__ = [
    "CountsInterval",
    "divergence_from_logits",
    "entropy_from_counts",
    "entropy_interval_from_counts",
    "gaussian_kl_divergence",
    "jensen_shannon_from_counts",
    "jensen_shannon_interval_from_counts",
    "jensen_shannon_of_several",
    "kl_divergence_from_logits",
    "kl_from_counts",
    "kl_interval_from_counts",
    "pairwise_divergences",
    "population_stability_index",
    "sampled_kl",
]
__all__ += _divergences.__all__
