"""Splitters and out-of-fold prediction that understand soft targets."""

from sklkl.model_selection._split import StratifiedSoftKFold, StratifiedSoftShuffleSplit
from sklkl.model_selection._validation import soft_cross_val_predict

__all__ = ["StratifiedSoftKFold", "StratifiedSoftShuffleSplit", "soft_cross_val_predict"]
