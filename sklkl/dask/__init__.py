"""Estimators and losses on Dask collections, whose rows stay where they are."""

from sklkl.dask._distilled import DistilledClassifier
from sklkl.dask._logistic import SoftLabelLogisticRegression
from sklkl.dask._logistic_cv import SoftLabelLogisticRegressionCV
from sklkl.dask._losses import (
    cross_entropy_loss,
    d2_kl_score,
    divergence_loss,
    jeffreys_loss,
    jensen_shannon_loss,
    kl_loss,
    reverse_kl_loss,
)

__all__ = [
    "DistilledClassifier",
    "SoftLabelLogisticRegression",
    "SoftLabelLogisticRegressionCV",
    "cross_entropy_loss",
    "d2_kl_score",
    "divergence_loss",
    "jeffreys_loss",
    "jensen_shannon_loss",
    "kl_loss",
    "reverse_kl_loss",
]
