"""Distillation: a small student learns the probabilities of a large teacher."""

from sklkl.distillation._deferring import DeferringClassifier
from sklkl.distillation._distilled import DistilledClassifier
from sklkl.distillation._munge import munge
from sklkl.distillation._pooling import PooledClassifier

__all__ = ["DeferringClassifier", "DistilledClassifier", "PooledClassifier", "munge"]
