"""Losses, scores and scorers for probability targets, soft or hard."""

from sklkl.metrics._losses import (
    cross_entropy_loss,
    d2_kl_score,
    jensen_shannon_loss,
    kl_loss,
    reverse_kl_loss,
)
from sklkl.metrics._scorers import get_scorer, get_scorer_names, make_divergence_scorer

__all__ = [
    "cross_entropy_loss",
    "d2_kl_score",
    "get_scorer",
    "get_scorer_names",
    "jensen_shannon_loss",
    "kl_loss",
    "make_divergence_scorer",
    "reverse_kl_loss",
]
