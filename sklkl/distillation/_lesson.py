"""From what a teacher says, and labels, to what a student is to learn."""

from dataclasses import dataclass, replace

import numpy as np

from sklkl._core.targets import one_hot
from sklkl.distillation._teaching import corrected, smooth, temper


@dataclass(frozen=True)
class Material:
    """What is known of samples.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Of the columns below.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the teacher.
    labels : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes or probabilities; anything where there is none.
    labeled : ndarray of shape (n_samples,)
        Where there is one, bool.
    weight : ndarray of shape (n_samples,), or None for ones
    """

    classes: np.ndarray
    proba: np.ndarray
    labels: np.ndarray
    labeled: np.ndarray
    weight: np.ndarray | None

    def at(self, rows):
        """Return the material of some samples."""
        return replace(
            self,
            proba=self.proba[rows],
            labels=self.labels[rows],
            labeled=self.labeled[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

    def followed_by(self, proba):
        """Return the material with more samples, without labels, of average weight."""
        n, weight = len(proba), self.weight
        if weight is not None:
            weight = np.concatenate([weight, np.full(n, weight.mean())])
        any_labels = proba if self.labels.ndim == 2 else np.zeros(n, dtype=np.intp)
        return replace(
            self,
            proba=np.concatenate([self.proba, proba]),
            labels=np.concatenate([self.labels, any_labels]),
            labeled=np.concatenate([self.labeled, np.zeros(n, dtype=bool)]),
            weight=weight,
        )


@dataclass(frozen=True)
class Lesson:
    """What a student is to learn.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Of the columns below.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the teacher, at the temperature.
    weight : ndarray of shape (n_samples,), or None for ones
        Of the divergence of these, times temperature².
    labels : ndarray of shape (n_samples,) or (n_samples, n_classes)
        As in the material.
    label_weight : ndarray of shape (n_samples,), or None for zeros
        Of the cross-entropy of these, at temperature 1.
    temperature : float
    divergence : str
    divergence_params : dict or None
        Those of ``SoftLabelLogisticRegression``.
    """

    classes: np.ndarray
    proba: np.ndarray
    weight: np.ndarray | None
    labels: np.ndarray
    label_weight: np.ndarray | None
    temperature: float
    divergence: str
    divergence_params: dict | None

    def has_weight(self):
        """Return whether any sample counts."""
        weights = [self.label_weight, np.ones(1) if self.weight is None else self.weight]
        return any(weight is not None and weight.any() for weight in weights)

    def mixed(self):
        """Return a single target with weights that says the same, None if there is none.

        Cross-entropies at one temperature are linear in their targets.
        """
        if self.divergence != "kl":
            return None
        if self.label_weight is None:
            return self.proba, self.weight
        if self.temperature != 1.0:
            return None
        weight = self.weight + self.label_weight
        share = (self.label_weight / np.where(weight > 0.0, weight, 1.0))[:, np.newaxis]
        labels = one_hot(self.labels, len(self.classes))
        return (1.0 - share) * self.proba + share * labels, weight


@dataclass(frozen=True)
class Recipe:
    """How to make a lesson; see the parameters of ``DistilledClassifier``.

    Attributes
    ----------
    temperature : float
        Of the teacher's probabilities.
    student_temperature : float
        At which the student learns them: the same, or 1 if the temperature is chosen to
        calibrate the teacher.
    smoothing, hard_label_weight, loss_correction, unlabeled_weight : float
    divergence : str
    divergence_params : dict or None
    """

    temperature: float
    student_temperature: float
    smoothing: float
    hard_label_weight: float
    loss_correction: float
    unlabeled_weight: float
    divergence: str
    divergence_params: dict | None

    def lesson(self, material):
        """Return what the student is to learn of the material."""
        share, labeled = self.hard_label_weight, material.labeled
        proba = smooth(material.proba, self.smoothing)
        tempered = temper(proba, self.temperature)
        if self.student_temperature != self.temperature:
            proba = tempered
        if self.loss_correction > 0.0:
            tempered = tempered.copy()
            tempered[labeled] = corrected(
                tempered[labeled],
                proba[labeled],
                material.labels[labeled],
                self.student_temperature,
                self.loss_correction,
            )
        weight, label_weight = material.weight, None
        if share > 0.0 or (self.unlabeled_weight != 1.0 and not labeled.all()):
            ones = np.ones(len(proba)) if weight is None else weight
            weight = (1.0 - share) * ones * np.where(labeled, 1.0, self.unlabeled_weight)
            label_weight = share * ones * labeled if share > 0.0 else None
        of_labels = share == 1.0  # the student's own way is that of labels, temperature 1
        return Lesson(
            material.classes,
            tempered,
            weight,
            material.labels,
            label_weight,
            1.0 if of_labels else self.student_temperature,
            "kl" if of_labels else self.divergence,
            None if of_labels else self.divergence_params,
        )
