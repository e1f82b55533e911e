"""The loss that a student minimises, from the probabilities of a teacher and labels."""

from dataclasses import dataclass, replace

import numpy as np

from sklkl._core.targets import is_sparse, one_hot
from sklkl._core.topk import TopK, of_codes
from sklkl.distillation._probability import calibration_temperature, corrected, smooth, temper
from sklkl.linear_model._loss import LossTerm, ResolvedDivergence


@dataclass(frozen=True)
class SampleTargets:
    """Targets of all samples, from the teacher and from labels."""

    proba: np.ndarray | TopK  # (n_samples, n_classes), by the teacher
    labels: np.ndarray  # codes or probabilities; arbitrary where a sample has no label
    labeled: np.ndarray  # (n_samples,), whether a sample has a label
    weight: np.ndarray | None  # None for ones

    def at(self, rows):
        """Return some of the samples."""
        return SampleTargets(
            self.proba[rows],
            self.labels[rows],
            self.labeled[rows],
            None if self.weight is None else self.weight[rows],
        )

    def followed_by(self, proba):
        """Return the samples and, after them, others without labels, of average weight."""
        n, weight = len(proba), self.weight
        if weight is not None:
            weight = np.concatenate([weight, np.full(n, weight.mean())])
        any_labels = proba if self.labels.ndim == 2 else np.zeros(n, dtype=np.intp)
        return SampleTargets(
            np.concatenate([self.proba, proba]),
            np.concatenate([self.labels, any_labels]),
            np.concatenate([self.labeled, np.zeros(n, dtype=bool)]),
            weight,
        )


@dataclass(frozen=True)
class Composition:
    """The parameters of ``DistilledClassifier`` that make up the loss."""

    calibration_temperature: float  # these two change the probabilities of the teacher first
    smoothing: float
    temperature: float  # the temperature of Hinton et al.
    hard_label_weight: float
    loss_correction: float
    unlabeled_weight: float
    divergence: ResolvedDivergence

    def terms(self, samples):
        """Return the terms of the loss: of the teacher's probabilities and of labels, if any.

        Weights are None for ones. The weight of the first term lacks the factor
        temperature², which the student adds.
        """
        share, labeled = self.hard_label_weight, samples.labeled
        proba = temper(smooth(samples.proba, self.smoothing), self.calibration_temperature)
        # Labels alone, where the teacher has no say, need no tempered bucket.
        target = proba if share == 1.0 else temper(proba, self.temperature)
        if self.loss_correction > 0.0:
            target = target.copy()
            target[labeled] = corrected(
                target[labeled],
                proba[labeled],
                samples.labels[labeled],
                self.temperature,
                self.loss_correction,
            )
        weight = samples.weight
        ones = np.ones(len(proba)) if weight is None else weight
        if share > 0.0 or (self.unlabeled_weight != 1.0 and not labeled.all()):
            weight = (1.0 - share) * ones * np.where(labeled, 1.0, self.unlabeled_weight)
        divergence = self.divergence
        first = LossTerm(
            target, weight, self.temperature, divergence.name, divergence.parameter
        )
        if share == 0.0:
            return [first]
        if share == 1.0:  # labels alone, whose loss is cross-entropy at temperature 1
            first = LossTerm(target, weight)
        return [first, LossTerm(samples.labels, share * ones * labeled)]


def compose(settings, teacher, samples, divergence):
    """Return the ``Composition`` of settings, parameters of ``DistilledClassifier`` by name.

    A teacher is calibrated on ``samples`` that it was not fitted to.
    """
    calibration, rows = 1.0, samples.labeled
    if settings["calibrate"]:
        weight = np.ones(len(rows)) if samples.weight is None else samples.weight
        calibration = calibration_temperature(
            teacher.out_of_fold()[rows],
            samples.labels[rows],
            weight[rows],
            float(settings["smoothing"]),
        )
    numbers = ("smoothing", "temperature", "hard_label_weight", "loss_correction")
    return Composition(
        calibration,
        *(float(settings[name]) for name in (*numbers, "unlabeled_weight")),
        divergence,
    )


def has_weight(terms):
    """Return whether any sample counts."""
    return any(term.weight is None or term.weight.any() for term in terms)


def as_one_term(terms):
    """Return a single term of the same loss, None if there is none.

    Cross-entropies at one temperature are linear in their targets.
    """
    first, *others = terms
    if first.divergence != "kl":
        return None
    if not others:
        return first
    (labels,) = others
    if is_sparse(first.target):
        if first.weight.any():
            return None
        return replace(labels, target=of_codes(labels.target, first.target.shape[1]))
    if first.temperature != 1.0:
        return None
    weight = first.weight + labels.weight
    share = (labels.weight / np.where(weight > 0.0, weight, 1.0))[:, np.newaxis]
    rows = one_hot(labels.target, first.target.shape[1])
    return replace(first, target=(1.0 - share) * first.target + share * rows, weight=weight)
