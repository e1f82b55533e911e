"""Distil a teacher's probabilities into a small student."""

from sklkl.distillation._distilled import DistilledClassifier

__all__ = ["DistilledClassifier"]
