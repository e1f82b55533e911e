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
    loss_interval,
    reverse_kl_loss,
)
from sklkl.dask._scaling import DirichletScaling, TemperatureScaling, VectorScaling

__all__ = [
    "DirichletScaling",
    "DistilledClassifier",
    "SoftLabelLogisticRegression",
    "SoftLabelLogisticRegressionCV",
    "TemperatureScaling",
    "VectorScaling",
    "cross_entropy_loss",
    "d2_kl_score",
    "divergence_loss",
    "jeffreys_loss",
    "jensen_shannon_loss",
    "kl_loss",
    "loss_interval",
    "reverse_kl_loss",
]
