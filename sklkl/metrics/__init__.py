"""Losses, scores and scorers for probability targets, soft or hard."""

from sklkl.metrics._calibration_error import CalibrationError, calibration_error
from sklkl.metrics._intervals import LossInterval, loss_interval
from sklkl.metrics._losses import (
    cross_entropy_loss,
    d2_kl_score,
    d2_score,
    divergence_loss,
    jeffreys_loss,
    jensen_shannon_loss,
    kl_loss,
    reverse_kl_loss,
)
from sklkl.metrics._report import fidelity_report
from sklkl.metrics._scorers import (
    get_scorer,
    get_scorer_names,
    make_divergence_scorer,
    make_fidelity_scorer,
)

__all__ = [
    "CalibrationError",
    "LossInterval",
    "calibration_error",
    "cross_entropy_loss",
    "d2_kl_score",
    "d2_score",
    "divergence_loss",
    "fidelity_report",
    "get_scorer",
    "get_scorer_names",
    "jeffreys_loss",
    "jensen_shannon_loss",
    "kl_loss",
    "loss_interval",
    "make_divergence_scorer",
    "make_fidelity_scorer",
    "reverse_kl_loss",
]
