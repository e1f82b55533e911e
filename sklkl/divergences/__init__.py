"""Divergences between batches of probability distributions."""

from sklkl.divergences._counts import kl_from_counts
from sklkl.divergences._divergences import (
    alpha_divergence,
    bhattacharyya_distance,
    chi2_divergence,
    cross_entropy,
    entropy,
    hellinger_distance,
    jeffreys_divergence,
    jensen_shannon_distance,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
    renyi_divergence,
    total_variation_distance,
)
from sklkl.divergences._gaussian import gaussian_kl_divergence
from sklkl.divergences._logits import kl_divergence_from_logits
from sklkl.divergences._pairwise import pairwise_divergences
from sklkl.divergences._sampled import sampled_kl

__all__ = [
    "alpha_divergence",
    "bhattacharyya_distance",
    "chi2_divergence",
    "cross_entropy",
    "entropy",
    "gaussian_kl_divergence",
    "hellinger_distance",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl_contributions",
    "kl_divergence",
    "kl_divergence_from_logits",
    "kl_from_counts",
    "pairwise_divergences",
    "renyi_divergence",
    "sampled_kl",
    "total_variation_distance",
]
