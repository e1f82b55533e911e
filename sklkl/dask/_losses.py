"""Losses and scores of collections: sums over their parts."""

from functools import partial, wraps
from math import fsum, isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score

from sklkl import metrics
from sklkl._core.classes import check_classes, spread
from sklkl._core.models import predict_columns
from sklkl._core.names import counting_from, refuse_other_rows, shown
from sklkl._core.parameters import INNER_SHARE, check
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import check_weights, n_rows, refuse_total
from sklkl._core.targets import align, check_target, class_mass
from sklkl.dask._blocks import gathered
from sklkl.dask._collections import is_collection
from sklkl.dask._docs import on_collections
from sklkl.divergences import entropy
from sklkl.metrics._intervals import (
    METHOD,
    LossInterval,
    delta_of_sums,
    loss_options,
    losses_of,
    refuse_few,
)
from sklkl.metrics._losses import NO_LOSS, mean_divergence
from sklkl.metrics._scorers import D2


class Predicted(NamedTuple):
    """Some rows of what a user passes to a loss."""

    y_true: Any
    y_proba: Any
    sample_weight: Any = None


class Compared(NamedTuple):
    """Some rows of what a user passes to ``loss_interval``."""

    y_true: Any
    y_proba: Any
    y_proba_other: Any = None
    sample_weight: Any = None


class Samples(NamedTuple):
    """Some rows of what a user passes to ``score``."""

    X: Any
    y: Any
    sample_weight: Any = None


class Scored(NamedTuple):
    """Some rows of what a user passes to a scorer, which may need no targets."""

    X: Any
    y: Any = None
    sample_weight: Any = None


def summed(loss):
    """Return a loss of ``sklkl.metrics`` that takes collections, too."""

    @wraps(loss)
    def loss_of(y_true, y_proba, *, labels=None, sample_weight=None, **options):
        named = {"y_true": y_true, "y_proba": y_proba, "sample_weight": sample_weight}
        if not any(map(is_collection, named.values())):
            return loss(**named, labels=labels, **options)
        with gathered(Predicted, named) as parts:
            known = classes_of(parts, "y_true", labels)
            if loss is metrics.d2_kl_score:
                return d2_of(parts, partial(_aligned_to_labels, labels=known), **options)
            return mean_of(parts, partial(_loss, loss=loss, labels=known, options=options))

    loss_of.__module__ = __name__
    loss_of.__doc__ = on_collections(loss)
    return loss_of


@wraps(metrics.loss_interval)
def loss_interval(
    y_true,
    y_proba,
    y_proba_other=None,
    *,
    divergence="kl",
    divergence_params=None,
    labels=None,
    sample_weight=None,
    groups=None,
    confidence_level=0.95,
    method="delta",
    base=None,
    on_zero="clip",
    **options,
):
    named = {"y_true": y_true, "y_proba": y_proba, "y_proba_other": y_proba_other}
    named["sample_weight"] = sample_weight
    loss = {"divergence_params": divergence_params, "base": base, "on_zero": on_zero}
    if not any(map(is_collection, [*named.values(), groups])):
        options |= {"groups": groups, "confidence_level": confidence_level, "method": method}
        return metrics.loss_interval(
            **named, labels=labels, divergence=divergence, **loss, **options
        )
    loss = loss_options(divergence, **loss)
    check("method", method, METHOD)
    check("confidence_level", confidence_level, INNER_SHARE)
    if groups is not None or method != "delta":
        raise ValueError(
            "groups, and method='bootstrap', need all rows in one place; compute the "
            "collections first, as by y_true.compute(), or leave both out."
        )
    with gathered(Compared, named) as parts:
        known = classes_of(parts, "y_true", labels)
        losses = partial(_losses, labels=known, options=loss)
        sums = parts.results(partial(_extent, losses=losses), parts.first_rows)
        n_rows, weights, totals, most, least_loss, most_loss = zip(*sums, strict=True)
        refuse_total(sum(weights), "sample_weight")
        refuse_few(sum(n_rows), "rows")
        weight, estimate = fsum(weights), float(sum(totals)) / fsum(weights)
        if not isfinite(estimate):
            return LossInterval(estimate, nan, nan, nan)
        scale = max(max(most_loss) - estimate, estimate - min(least_loss))
        if scale <= 0.0:
            return LossInterval(estimate, 0.0, estimate, estimate)
        # In units of the largest, so that squares stay in the range.
        squared = partial(_squares, losses=losses, at=estimate, units=(max(most), scale))
        squares = fsum(parts.results(squared, parts.first_rows))
    tail = (1.0 - confidence_level) / 2.0
    error, ends = delta_of_sums(sum(n_rows), squares, weight / max(most), tail)
    low, high = estimate + scale * ends
    return LossInterval(estimate, float(scale * error), float(low), float(high))


loss_interval.__module__ = __name__
loss_interval.__doc__ = (
    on_collections(metrics.loss_interval)
    .replace("Labels of groups", "Beside data in memory only: labels of groups")
    .replace('"bootstrap" resamples', '"bootstrap", of data in memory only, resamples')
)


def score_of(model, X, y, sample_weight):
    """Return the ``score`` of a fitted model in memory: accuracy, or D² of soft targets."""
    named = {"X": X, "y": y, "sample_weight": sample_weight}
    if not any(map(is_collection, named.values())):
        return model.score(**named)
    with gathered(Samples, named) as parts:
        if classes_of(parts, "y") is None:
            return d2_of(parts, partial(_aligned_to_model, model=model))
        return mean_of(parts, partial(_accuracy, model=model))


def score_by(scorer, model, X, y, sample_weight):
    """Return what a scorer of ``sklkl.metrics`` gives a fitted model in memory."""
    named = {"X": X, "y": y, "sample_weight": sample_weight}
    with gathered(Scored, named) as parts:
        if scorer.name != D2:
            return mean_of(parts, partial(_by_scorer, scorer=scorer, model=model))
        classes = None if y is None else classes_of(parts, "y")
        if classes is not None:  # also those that the model does not know
            classes = list(dict.fromkeys([*model.classes_.tolist(), *classes.tolist()]))
        aligned = partial(_aligned_by_scorer, scorer=scorer, model=model, classes=classes)
        loss = -mean_of(parts, partial(_by_scorer, scorer=scorer.loss(), model=model))
        return share_of(loss, parts, aligned)


def classes_of(parts, name, labels=None):
    """Return the sorted classes of the labels in all parts; None if they are probabilities.

    If ``labels`` are given, return them.
    """
    if labels is not None:
        labels = check_classes(labels, "labels")
        if not np.array_equal(labels, np.unique(labels)):
            raise ValueError(
                f"labels={shown(labels)} are not sorted; sort them, and the columns of "
                "y_proba."
            )
        return labels
    found = parts.results(partial(_classes, name=name), parts.first_rows)
    found = [classes for classes in found if classes is not None]
    return np.unique(np.concatenate(found)) if found else None


def mean_of(parts, function):
    """Return the weighted mean over all rows of what has the mean ``function(part)``."""
    sums = parts.results(partial(_weight_and_sum, function=function), parts.first_rows)
    weight, total = map(fsum, zip(*sums, strict=True))
    refuse_total(weight, "sample_weight")
    return total / weight


def d2_of(parts, aligned, on_zero="clip"):
    """Return the share of the KL divergence to the prior that a model explains.

    ``aligned(part)`` returns the target and the prediction of a part with the same columns.
    """
    loss = mean_of(parts, partial(_kl, aligned=aligned, on_zero=on_zero))
    return share_of(loss, parts, aligned)


def share_of(loss, parts, aligned):
    """Return the share, of the KL divergence to the prior, that the loss of a model is not."""
    masses = parts.results(partial(_mass, aligned=aligned), parts.first_rows)
    hard, mass = zip(*(own for own in masses if own is not None), strict=True)
    prior = sum(mass) / sum(mass).sum()
    if hard[0]:
        prior_loss = entropy(prior)
    else:
        prior_loss = mean_of(parts, partial(_kl_of_prior, aligned=aligned, prior=prior))
    if prior_loss <= NO_LOSS:
        return 1.0 if loss <= NO_LOSS else 0.0
    return 1.0 - loss / prior_loss


def _classes(part, first_row, name):
    y = getattr(part, name)
    if n_rows(y, name) == 0:
        return None
    with counting_from(first_row):
        target = check_target(y, name=name, of_part=True)
    return target.classes if target.hard else None


def _weight_of(part):
    """Return the weights of the rows; None if they are all 0, for which there is no mean."""
    if n_rows(part[0], "X") == 0:
        return None
    weight = check_weights(part.sample_weight, part[0], zeros=True)
    return weight if weight.any() else None


def _weight_and_sum(part, first_row, function):
    with counting_from(first_row):
        refuse_other_rows(part._asdict(), strict=False)
        weight = _weight_of(part)
        if weight is None:
            return 0.0, 0.0
        return weight.sum(), weight.sum() * function(part)


def _losses(part, first_row, labels, options):
    """Return the losses and the weights of the rows that have some."""
    with counting_from(first_row):
        refuse_other_rows(part._asdict(), strict=False)
        if _weight_of(part) is None:
            return np.zeros((2, 0))
        *rows, weight = part
        losses, weight, _ = losses_of(*rows, labels, {"sample_weight": weight}, options)
    return losses, weight


def _extent(part, first_row, losses):
    """Return how many rows count, sums and the largest weight, and the ends of the losses."""
    losses, weight = losses(part, first_row)
    with np.errstate(invalid="ignore"):
        total = float(np.sum(weight * losses))
    ends = losses.min(initial=np.inf), losses.max(initial=-np.inf)
    return len(weight), float(weight.sum()), total, weight.max(initial=0.0), *ends


def _squares(part, first_row, losses, at, units):
    """Return the sum of the squared residuals from an estimate."""
    losses, weight = losses(part, first_row)
    return float(np.sum((weight / units[0] * ((losses - at) / units[1])) ** 2))


def _mass(part, first_row, aligned):
    """Return whether the targets are labels, and the sums of those of each class."""
    with counting_from(first_row):
        weight = _weight_of(part)
        if weight is None:
            return None
        target, proba = aligned(part)
    return target.ndim == 1, class_mass(target, weight, proba.shape[1])


def _loss(part, loss, labels, options):
    return loss(**part._asdict(), labels=labels, **options)


def _accuracy(part, model):
    y_pred = model.predict(part.X)
    return accuracy_score(part.y, y_pred, sample_weight=part.sample_weight)


def _by_scorer(part, scorer, model):
    return scorer(model, part.X, part.y, sample_weight=part.sample_weight)


def _kl(part, aligned, on_zero):
    return mean_divergence(*aligned(part), sample_weight=part.sample_weight, on_zero=on_zero)


def _kl_of_prior(part, aligned, prior):
    target, _ = aligned(part)
    prior = np.broadcast_to(prior, target.shape)
    return mean_divergence(target, prior, sample_weight=part.sample_weight)


def _aligned_to_labels(part, labels):
    return check_y_and_proba(part.y_true, part.y_proba, labels, {})


def _aligned_by_scorer(part, scorer, model, classes):
    proba = predict_columns(model, part.X)
    if classes is None:
        target, classes = scorer.target(part.X, part.y, model.classes_)
    else:
        target = check_target(part.y, classes=classes, of_part=True).values
    return target, spread(model.classes_, proba, classes)


def _aligned_to_model(part, model):
    return align(part.y, model.predict_proba(part.X), model.classes_, "y")


kl_loss = summed(metrics.kl_loss)
reverse_kl_loss = summed(metrics.reverse_kl_loss)
cross_entropy_loss = summed(metrics.cross_entropy_loss)
jensen_shannon_loss = summed(metrics.jensen_shannon_loss)
jeffreys_loss = summed(metrics.jeffreys_loss)
divergence_loss = summed(metrics.divergence_loss)
d2_kl_score = summed(metrics.d2_kl_score)
