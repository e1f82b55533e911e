"""Calibration of probabilities on soft or hard targets."""

from sklkl.calibration._calibrated import SoftCalibratedClassifierCV
from sklkl.calibration._scaling import DirichletScaling, TemperatureScaling, VectorScaling

__all__ = [
    "DirichletScaling",
    "SoftCalibratedClassifierCV",
    "TemperatureScaling",
    "VectorScaling",
]
