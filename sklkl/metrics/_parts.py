"""Scores of rows in parts, as batches or partitions of a cluster, by sums over the parts.

Wherever the parts are, ``results(function)`` returns a list of what
``function(part, first_row)`` returns for each of them, in their order; ``first_row`` is the
number of rows before the part, which messages count on from. A score is that of all rows at
once.
"""

from functools import partial
from math import fsum
from typing import Any, NamedTuple

import numpy as np

from sklkl._core.devices import on_host
from sklkl._core.names import counting_from, refuse_other_rows
from sklkl._core.samples import check_weights, n_rows, refuse_total
from sklkl._core.targets import check_kind, check_target, class_mass
from sklkl.batches._batches import ahead, numbered
from sklkl.divergences import entropy
from sklkl.metrics._losses import d2_from, loss_of_prior, mean_divergence


class Samples(NamedTuple):
    """Some rows of what a user passes to ``score``."""

    X: Any
    y: Any
    sample_weight: Any = None


def results_of(batches):
    """Return the function ``results`` of ``Batches``; it reads them once."""

    def results(function):
        parts = ahead((Samples(*batch[:3]), row) for batch, row in numbered(batches))
        return [function(*part) for part in parts]

    return results


def mean_of(results, mean):
    """Return the weighted mean over all rows of what has the mean ``mean(part)``."""
    sums = results(partial(_sums, mean=mean))
    return _mean([own[:2] for own in sums])


def d2_of(results, loss, target_of):
    """Return the share of the KL divergence to the prior that a model explains.

    Parameters
    ----------
    loss : callable
        ``loss(part)`` is the mean KL divergence of the targets of a part to the predictions.
    target_of : callable
        ``target_of(part)`` returns the values of its target and the classes of their columns.
    """
    sums = results(partial(_sums, mean=loss, target_of=target_of))
    model_loss = _mean([own[:2] for own in sums])
    targets = [target for *_, target in sums if target is not None]
    mass = {}
    for hard, of_part in targets:
        if hard != targets[0][0]:
            raise ValueError("y holds labels in some parts, and probabilities in others.")
        for label, value in of_part.items():
            mass[label] = mass.get(label, 0.0) + value
    total = fsum(mass.values())
    prior = {label: value / total for label, value in mass.items()}
    if targets[0][0]:
        return d2_from(model_loss, entropy(np.array(list(prior.values()))))
    mean = partial(_kl_of_prior, target_of=target_of, prior=prior)
    return d2_from(model_loss, mean_of(results, mean))


def accuracy_of(part, model):
    """Return the accuracy of a model on a part, whose targets are labels."""
    target = check_target(part.y, of_part=True, sparse=True)
    if not target.hard:
        raise ValueError("y holds labels in some parts, and probabilities in others.")
    check_kind(target.classes, model.classes_, "The labels in y")
    right = target.y == on_host(model.predict(part.X), "predict")
    return float(np.average(right, weights=check_weights(part.sample_weight, part.X)))


def weight_of(part):
    """Return the weights of the rows; None if none has any, for which there is no mean."""
    if n_rows(part[0], "X") == 0:
        return None
    weight = check_weights(part.sample_weight, part[0], zeros=True)
    return weight if weight.any() else None


def _mean(sums):
    weight = sum(own for own, _ in sums)
    refuse_total(weight, "sample_weight")
    # Not of products with weights, which may overflow.
    return fsum(own / weight * mean for own, mean in sums)


def _sums(part, first_row, mean, target_of=None):
    """Return the sum of the weights, ``mean(part)``, and the sum of the target.

    The last is whether the target holds labels, and its sum by class; None without
    ``target_of``, or if no row has a weight.
    """
    with counting_from(first_row):
        refuse_other_rows(part._asdict(), strict=False)
        weight = weight_of(part)
        if weight is None:
            return 0.0, 0.0, None
        target = None
        if target_of is not None:
            values, classes = target_of(part)
            labels = np.asarray(classes).tolist()
            mass = class_mass(values, weight, len(labels)).tolist()
            target = values.ndim == 1, dict(zip(labels, mass, strict=True))
        return float(weight.sum()), mean(part), target


def _kl_of_prior(part, target_of, prior):
    values, classes = target_of(part)
    prior = np.array([prior[label] for label in np.asarray(classes).tolist()])
    loss = partial(mean_divergence, sample_weight=part.sample_weight)
    return loss_of_prior(values, prior, loss)
