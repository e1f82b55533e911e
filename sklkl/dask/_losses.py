"""Losses and scores of collections: sums over their parts."""

from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np

from sklkl import metrics
from sklkl._core.classes import check_classes
from sklkl._core.names import counting_from, shown
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import n_rows
from sklkl._core.targets import align, align_target, check_target
from sklkl._core.typing import T
from sklkl.dask._blocks import gathered
from sklkl.dask._collections import is_collection
from sklkl.metrics._losses import mean_divergence
from sklkl.metrics._parts import Samples, accuracy_of, d2_of, mean_of


class Predicted(NamedTuple):
    """Some rows of what a user passes to a loss."""

    y_true: Any
    y_proba: Any
    sample_weight: Any = None


def on_collections(loss: T) -> T:
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
    loss_of.__doc__ = (
        (loss.__doc__ or "")
        .replace("array-like of", "Dask collection or array-like of")
        .replace("sklkl.metrics import", "sklkl.dask import")
    )
    return loss_of


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


def kl_of(model, X, y, sample_weight):
    """Return the mean KL divergence of collections to what a model in memory predicts."""
    named = {"X": X, "y": y, "sample_weight": sample_weight}
    with gathered(Samples, named) as parts:
        return mean_of(results_of(parts), partial(_kl_of_model, model=model))


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


kl_loss = on_collections(metrics.kl_loss)
reverse_kl_loss = on_collections(metrics.reverse_kl_loss)
cross_entropy_loss = on_collections(metrics.cross_entropy_loss)
jensen_shannon_loss = on_collections(metrics.jensen_shannon_loss)
jeffreys_loss = on_collections(metrics.jeffreys_loss)
divergence_loss = on_collections(metrics.divergence_loss)
d2_kl_score = on_collections(metrics.d2_kl_score)
