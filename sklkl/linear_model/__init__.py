"""Linear models that learn from probabilities."""

from sklkl._optimize.solve import SeparationWarning
from sklkl.linear_model._inference import coef_frame, coef_inference
from sklkl.linear_model._logistic import SoftLabelLogisticRegression
from sklkl.linear_model._logistic_cv import SoftLabelLogisticRegressionCV

__all__ = [
    "SeparationWarning",
    "SoftLabelLogisticRegression",
    "SoftLabelLogisticRegressionCV",
    "coef_frame",
    "coef_inference",
]
