"""Distillation: a small student learns what a large teacher says."""

from sklkl.distillation._distilled import DistilledClassifier
from sklkl.distillation._munge import munge
from sklkl.distillation._pooling import PooledClassifier

__all__ = ["DistilledClassifier", "PooledClassifier", "munge"]
