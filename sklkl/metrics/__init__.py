"""Losses, scores and scorers for probability targets, soft or hard."""

from sklkl.metrics._intervals import LossInterval, kl_interval
from sklkl.metrics._losses import (
    alpha_loss,
    bhattacharyya_loss,
    chi2_loss,
    cross_entropy_loss,
    d2_kl_score,
    hellinger_loss,
    jeffreys_loss,
    jensen_shannon_distance_loss,
    jensen_shannon_loss,
    kl_loss,
    renyi_loss,
    reverse_kl_loss,
    total_variation_loss,
)
from sklkl.metrics._report import fidelity_report
from sklkl.metrics._scorers import (
    get_scorer,
    get_scorer_names,
    make_divergence_scorer,
    make_fidelity_scorer,
)

__all__ = [
    "LossInterval",
    "alpha_loss",
    "bhattacharyya_loss",
    "chi2_loss",
    "cross_entropy_loss",
    "d2_kl_score",
    "fidelity_report",
    "get_scorer",
    "get_scorer_names",
    "hellinger_loss",
    "jeffreys_loss",
    "jensen_shannon_distance_loss",
    "jensen_shannon_loss",
    "kl_interval",
    "kl_loss",
    "make_divergence_scorer",
    "make_fidelity_scorer",
    "renyi_loss",
    "reverse_kl_loss",
    "total_variation_loss",
]
