"""Weights of a pool of classifiers: the convex problem on the simplex."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp


def learn_weights(predictions, mass, pooling):
    """Return the weights whose pool has the least mean KL divergence from the targets.

    ``predictions`` is a list of the probabilities by each estimator, for a geometric pool of
    their logarithms; ``mass`` the targets times the weights of the samples, of sum 1.
    """
    if pooling == "arithmetic":
        counts = mass > 0
        proba = np.stack([np.maximum(p, np.finfo(p.dtype).eps)[counts] for p in predictions])
        loss = MixtureLoss(proba.astype(np.float64), mass[counts])
    else:
        counts = mass.any(axis=1)
        loss = ProductLoss(raised([log[counts] for log in predictions]), mass[counts])
    return minimize_on_simplex(loss, len(predictions))


def raised(logs):
    """Return the logarithms of all estimators as one array, with finite ones for zeros.

    These are not above any other of the same row: or a zero would count for more than a
    small probability.
    """
    floors = [np.full(len(log), np.log(np.finfo(log.dtype).eps)) for log in logs]
    logs, floors = np.stack(logs).astype(np.float64), np.stack(floors)
    least = np.where(np.isneginf(logs), 0.0, logs).min(axis=(0, 2))
    floors = np.minimum(floors, least)[:, :, np.newaxis]
    return np.where(np.isneginf(logs), floors, logs)


class MixtureLoss:
    """The mean KL divergence of the targets to a mixture, less a constant, in nats.

    With masses a_i of the outcomes, of sum 1, and their positive probabilities P_mi by
    estimator m, the pool is q = w P, and the loss -sum_i a_i log q_i.
    """

    def __init__(self, proba, mass):
        self.proba, self.mass = proba, mass

    def __call__(self, weights):
        """Return value and gradient."""
        pool = weights @ self.proba
        return -self.mass @ np.log(pool), -self.proba @ (self.mass / pool)


class ProductLoss:
    """The mean KL divergence of the targets to a normalised product, less a constant.

    With masses a_ik of row i and class k, of sum 1, and finite log-probabilities L_mik, the
    scores are s = sum_m w_m L_m, and the loss, in nats,
    sum_i a_i. logsumexp(s_i) - sum_ik a_ik s_ik.
    """

    def __init__(self, logs, mass):
        # A constant per row changes nothing; with this one it costs no digits.
        self.logs = logs - (logs * (mass / mass.sum(axis=1, keepdims=True))).sum(
            axis=2, keepdims=True
        )
        self.of_row = mass.sum(axis=1)

    def __call__(self, weights):
        """Return value and gradient."""
        scores = np.tensordot(weights, self.logs, axes=1)
        norms = logsumexp(scores, axis=1)
        mass = np.exp(scores - norms[:, np.newaxis]) * self.of_row[:, np.newaxis]
        return self.of_row @ norms, np.tensordot(self.logs, mass, axes=2)


def minimize_on_simplex(loss, n_weights):
    """Return the non-negative weights of sum 1 that minimise a convex loss.

    ``loss(weights)`` returns value and gradient. Weights at the boundary are exactly 0.
    """
    found = minimize(
        loss,
        np.full(n_weights, 1.0 / n_weights),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n_weights,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    weights = np.maximum(found.x, 0.0)
    weights[weights < 1e-9] = 0.0
    return weights / weights.sum()
