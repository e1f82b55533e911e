"""Splitters and out-of-fold prediction that understand soft targets."""

from sklkl.model_selection._split import (
    RepeatedStratifiedSoftKFold,
    StratifiedSoftKFold,
    StratifiedSoftShuffleSplit,
)
from sklkl.model_selection._validation import soft_cross_val_predict

__all__ = [
    "RepeatedStratifiedSoftKFold",
    "StratifiedSoftKFold",
    "StratifiedSoftShuffleSplit",
    "soft_cross_val_predict",
]
