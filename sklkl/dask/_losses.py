"""Losses and scores of collections: sums over their parts."""

from functools import partial, wraps
from math import fsum, isfinite, nan
from typing import Any, NamedTuple

import numpy as np

from sklkl import metrics
from sklkl._core.classes import check_classes
from sklkl._core.names import counting_from, refuse_other_rows, shown
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import n_rows, refuse_total, relative
from sklkl._core.targets import align, align_target, check_target
from sklkl._core.typing import T
from sklkl.dask._blocks import gathered
from sklkl.dask._collections import is_collection
from sklkl.dask._docs import on_collections
from sklkl.metrics._intervals import (
    LossInterval,
    check_method,
    delta_of_sums,
    loss_options,
    losses_of,
    refuse_few,
)
from sklkl.metrics._losses import mean_divergence
from sklkl.metrics._parts import Samples, accuracy_of, d2_of, mean_of, weight_of


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


class Scored(NamedTuple):
    """Some rows of what a user passes to a scorer, which may need no targets."""

    X: Any
    y: Any = None
    sample_weight: Any = None


def summed(loss: T) -> T:
    """Return a loss of ``sklkl.metrics`` that takes collections, too."""

    @wraps(loss)
    def loss_of(y_true, y_proba, *, labels=None, sample_weight=None, **options):
        named = {"y_true": y_true, "y_proba": y_proba, "sample_weight": sample_weight}
        if not any(map(is_collection, named.values())):
            return loss(**named, labels=labels, **options)
        with gathered(Predicted, named) as parts:
            known = classes_of(parts, "y_true", labels)
            results = results_of(parts)
            if loss is metrics.d2_kl_score:
                on_zero = options.get("on_zero", "clip")
                of_part = partial(_kl_of_labels, labels=known, on_zero=on_zero)
                return d2_of(results, of_part, partial(_target_of_labels, labels=known))
            of_part = partial(_loss, loss=loss, labels=known, options=options)
            return mean_of(results, of_part)

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
    n_resamples=9999,
    random_state=None,
    base=None,
    on_zero="clip",
):
    named = {"y_true": y_true, "y_proba": y_proba, "y_proba_other": y_proba_other}
    named["sample_weight"] = sample_weight
    loss = {"divergence_params": divergence_params, "base": base, "on_zero": on_zero}
    if not any(map(is_collection, [*named.values(), groups])):
        options = {"groups": groups, "confidence_level": confidence_level, "method": method}
        options |= {"n_resamples": n_resamples, "random_state": random_state}
        return metrics.loss_interval(
            **named, labels=labels, divergence=divergence, **loss, **options
        )
    loss = loss_options(divergence, **loss)
    check_method(method, confidence_level, n_resamples, random_state)
    if groups is not None or method != "delta":
        raise ValueError(
            "groups, and method='bootstrap', need all rows in one place; compute the "
            "collections first, as by y_true.compute(), or leave both out."
        )
    with gathered(Compared, named) as parts:
        known = classes_of(parts, "y_true", labels)
        losses = partial(_losses, labels=known, options=loss)
        sums = parts.results(partial(_extent, losses=losses), parts.first_rows)
        n_rows, weights, means, most, least_loss, most_loss = zip(*sums, strict=True)
        refuse_total(sum(weights), "sample_weight")
        refuse_few(sum(n_rows), "rows")
        weight = fsum(weights)
        # Not of products with weights, which may overflow.
        estimate = sum(own / weight * mean for own, mean in zip(weights, means, strict=True))
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
            target_of = partial(_target_of_model, model=model)
            return d2_of(results_of(parts), partial(_kl_of_model, model=model), target_of)
        return mean_of(results_of(parts), partial(accuracy_of, model=model))


def score_by(scorer, model, X, y, sample_weight):
    """Return what a scorer of ``sklkl.metrics`` gives a fitted model in memory."""
    with gathered(Scored, {"X": X, "y": y, "sample_weight": sample_weight}) as parts:
        return scorer.score_parts(model, results_of(parts))


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


def results_of(parts):
    """Return the function ``results`` of ``sklkl.metrics._parts``."""
    return lambda function: parts.results(function, parts.first_rows)


def _classes(part, first_row, name):
    y = getattr(part, name)
    if n_rows(y, name) == 0:
        return None
    with counting_from(first_row):
        target = check_target(y, name=name, of_part=True)
    return target.classes if target.hard else None


def _losses(part, first_row, labels, options):
    """Return the losses and the weights of the rows that have some."""
    with counting_from(first_row):
        refuse_other_rows(part._asdict(), strict=False)
        if weight_of(part) is None:
            return np.zeros((2, 0))
        *rows, weight = part
        losses, weight, _ = losses_of(*rows, labels, {"sample_weight": weight}, options)
    return losses, weight


def _extent(part, first_row, losses):
    """Return how many rows count, their weight, mean, largest weight and ends of losses."""
    losses, weight = losses(part, first_row)
    with np.errstate(invalid="ignore"):
        mean = float(np.average(losses, weights=relative(weight))) if len(weight) else 0.0
    ends = losses.min(initial=np.inf), losses.max(initial=-np.inf)
    return len(weight), float(weight.sum()), mean, weight.max(initial=0.0), *ends


def _squares(part, first_row, losses, at, units):
    """Return the sum of the squared residuals from an estimate."""
    losses, weight = losses(part, first_row)
    return float(np.sum((weight / units[0] * ((losses - at) / units[1])) ** 2))


def _loss(part, loss, labels, options):
    return loss(**part._asdict(), labels=labels, **options)


def _kl_of_labels(part, labels, on_zero):
    target, proba = check_y_and_proba(part.y_true, part.y_proba, labels, {})
    return mean_divergence(target, proba, sample_weight=part.sample_weight, on_zero=on_zero)


def _target_of_labels(part, labels):
    target, proba = check_y_and_proba(part.y_true, part.y_proba, labels, {})
    return target, range(proba.shape[1])


def _kl_of_model(part, model):
    target, proba = align(part.y, model.predict_proba(part.X), model.classes_, "y")
    return mean_divergence(target, proba, sample_weight=part.sample_weight)


def _target_of_model(part, model):
    return align_target(part.y, model.classes_, "y")


kl_loss = summed(metrics.kl_loss)
reverse_kl_loss = summed(metrics.reverse_kl_loss)
cross_entropy_loss = summed(metrics.cross_entropy_loss)
jensen_shannon_loss = summed(metrics.jensen_shannon_loss)
jeffreys_loss = summed(metrics.jeffreys_loss)
divergence_loss = summed(metrics.divergence_loss)
d2_kl_score = summed(metrics.d2_kl_score)
