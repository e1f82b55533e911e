"""Divergences between batches of probability distributions."""

from sklkl.divergences._divergences import (
    cross_entropy,
    entropy,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
)

__all__ = [
    "cross_entropy",
    "entropy",
    "jensen_shannon_divergence",
    "kl_contributions",
    "kl_divergence",
]
