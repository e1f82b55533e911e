"""Calibration of probabilities on soft or hard targets, and its share of a loss."""

from sklkl.calibration._calibrated import SoftCalibratedClassifierCV
from sklkl.calibration._decomposition import (
    KLDecomposition,
    SquaredErrorDecomposition,
    kl_decomposition,
    squared_error_decomposition,
)
from sklkl.calibration._scaling import DirichletScaling, TemperatureScaling, VectorScaling

__all__ = [
    "DirichletScaling",
    "KLDecomposition",
    "SoftCalibratedClassifierCV",
    "SquaredErrorDecomposition",
    "TemperatureScaling",
    "VectorScaling",
    "kl_decomposition",
    "squared_error_decomposition",
]
