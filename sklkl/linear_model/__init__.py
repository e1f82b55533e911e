"""Linear models that learn from probabilities."""

from sklkl.linear_model._logistic import SoftLabelLogisticRegression

__all__ = ["SoftLabelLogisticRegression"]
