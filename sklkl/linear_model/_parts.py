"""Data in parts: what all of them have to tell before one can be checked on its own.

A part holds some of the rows, as a batch of a file or the partition of a cluster::

    summaries = [summarise(estimator, part, first_row) for ...]   # anywhere, in any order
    whole = merge(estimator, summaries)                            # in the order of the parts
    data = whole.data(estimator, part, first_row)                  # anywhere
    data.stages(divergence, temperature, fit_intercept, whole.unit(temperature))

Classes, class weights, dtype, names of features and refusals are those of all rows at once.
``first_row`` is the number of rows before a part, which messages count on from; where it is
not known yet, pass 0, and call again with it when there was an error. What passes from one
function to the other can be pickled, and none changes its arguments.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets

from sklkl._core import topk
from sklkl._core.classes import match_columns
from sklkl._core.devices import on_host
from sklkl._core.names import counting_from, places, refuse_other_rows, shown
from sklkl._core.samples import check_weights, n_rows, refuse_total
from sklkl._core.targets import (
    check_target,
    class_factors,
    refuse_single_class,
    refuse_weightless,
)
from sklkl.linear_model._data import Data, check_features, check_labels, finished


class Part(NamedTuple):
    """Some rows of what a user passes to ``fit``."""

    X: Any
    y: Any
    sample_weight: Any = None
    labels: Any = None
    label_weight: Any = None

    @classmethod
    def on_host(cls, part):
        """Return a part whose arrays are on the host."""
        return cls(*(on_host(x, name) for x, name in zip(part, cls._fields, strict=False)))


LABELS = "labels"


def form_of(target):
    """Return what messages call the form of a ``Target``, which all parts have."""
    if target.hard:
        return LABELS
    if target.sparse:
        return f"probabilities of some classes, rest={target.values.rest!r},"
    return "probabilities"


@dataclass(frozen=True)
class Masses:
    """What the targets of a part are, and how much they weigh."""

    classes: np.ndarray
    form: str  # what messages call the form of the targets
    named: bool  # see ``Target``
    mass: np.ndarray  # (n_classes,), weighted sums of the targets
    peak: np.ndarray  # (n_classes,), the largest weight times target
    most: float  # the largest weight
    total: float  # the sum of the weights
    n_listed: int  # how many classes a ``TopK`` lists, 0 for anything else

    @property
    def hard(self):
        """Whether the targets are labels."""
        return self.form == LABELS

    @classmethod
    def of(cls, target, weight):
        """Return those of a ``Target`` and the weights of its samples."""
        n_classes = len(target.classes)
        if target.hard:
            peak = np.zeros(n_classes)
            np.maximum.at(peak, target.values, weight)
        elif target.sparse:
            peak = topk.peak(target.values, weight)
        else:
            peak = np.max(weight[:, np.newaxis] * target.values, axis=0)
        return cls(
            classes=target.classes,
            form=form_of(target),
            named=target.named,
            mass=target.mass(weight),
            peak=peak,
            most=float(weight.max()),
            total=float(weight.sum()),
            n_listed=len(target.values.listed) if target.sparse else 0,
        )

    def onto(self, classes):
        """Return ``(mass, peak)`` of these classes; what belongs to none is left out."""
        values = np.stack([self.mass, self.peak])
        if self.hard or self.named:
            at = places(self.classes.tolist(), classes.tolist())
        else:
            at = np.arange(len(self.classes))
        known = (at >= 0) & (at < len(classes))
        out = np.zeros((2, len(classes)))
        out[:, at[known]] = values[:, known]
        return out


@dataclass(frozen=True)
class Summary:
    """What a part tells about all rows; one without rows tells nothing but that."""

    n_samples: int
    n_features: int = 0
    names: np.ndarray | None = None  # of the features
    dtype: np.dtype | None = None
    sparse: bool = False
    target: Masses | None = None
    labels: Masses | None = None


def summarise(estimator, part, first_row=0):
    """Return the ``Summary`` of a part for a ``fit`` of the estimator; refuse bad rows."""
    with counting_from(first_row):
        return _summarise(copy(estimator), Part.on_host(part))


def _summarise(estimator, part):
    if n_rows(part.X, "X") == 0:
        return Summary(0)
    X, target, weight = _checked(estimator, part, estimator.classes)
    labels = None
    if part.labels is not None or part.label_weight is not None:
        # Those of the target, if these are known already: later labels are matched to all.
        known = None if target.hard and estimator.classes is None else target.classes
        labels = Masses.of(
            *check_labels(part.labels, part.label_weight, X, known, of_part=True)
        )
    return Summary(
        n_samples=X.shape[0],
        n_features=X.shape[1],
        names=getattr(estimator, "feature_names_in_", None),
        dtype=X.dtype,
        sparse=issparse(X),
        target=Masses.of(target, weight),
        labels=labels,
    )


def _checked(estimator, part, classes):
    """Return X, the target and the weights of a part."""
    if part.y is None:
        raise ValueError("y must hold the targets of the rows; got None.")
    refuse_other_rows(part._asdict(), strict=False)
    X = check_features(estimator, part.X)
    options = {"refuse_integers": True, "of_part": True, "sparse": True}
    target = check_target(part.y, classes=classes, **options)
    check_consistent_length(X, target)
    return X, target, check_weights(part.sample_weight, X, zeros=True)


@dataclass(frozen=True)
class Whole:
    """What holds for all rows."""

    lengths: tuple  # the number of rows of each part
    n_features: int
    names: np.ndarray | None  # of the features
    dtype: np.dtype  # of X, and of the coefficients
    sparse: bool
    classes: np.ndarray
    form: str  # of the target, see ``Masses``
    n_listed: int  # how many classes the target lists, if it is a ``TopK``, otherwise 0
    labelled: bool  # whether there are labels to learn besides
    factors: np.ndarray | None  # weights of the classes
    most: float  # about the largest weight, with that of its class
    label_most: float
    place = None  # as parts are on the host
    offset = None  # which is for rows in memory

    @property
    def hard(self):
        """Whether the target holds labels."""
        return self.form == LABELS

    @property
    def n_logits(self):
        """The number of columns of coefficients, 1 if binary."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def first_rows(self):
        """The number of rows before each part."""
        return [0, *np.cumsum(self.lengths[:-1]).tolist()]

    def unit(self, temperature):
        """Return the ``unit`` of the rows of every part, see ``Data.stages``."""
        return max(self.most, self.label_most / temperature**2)

    def describe(self, estimator):
        """Set the attributes of the estimator that describe the features."""
        estimator.n_features_in_ = self.n_features
        vars(estimator).pop("feature_names_in_", None)
        if self.names is not None:
            estimator.feature_names_in_ = self.names

    def data(self, estimator, part, first_row=0):
        """Return the checked ``Data`` of a part."""
        with counting_from(first_row):
            data = self._data(copy(estimator), Part.on_host(part))
        return replace(data, first_row=first_row)

    def _data(self, estimator, part):
        if n_rows(part.X, "X") == 0:
            target = np.zeros(0 if self.hard else (0, len(self.classes)))
            target = target.astype(np.intp if self.hard else self.dtype)
            if self.n_listed:
                target = topk.of_codes(np.zeros(0, np.intp), len(self.classes))
            X, weight = np.zeros((0, self.n_features), self.dtype), np.zeros(0)
            labels = (target, weight) if self.labelled else (None, None)
            return Data(X, self.classes, target, weight, *labels)
        X, target, weight = _checked(estimator, part, self.classes)
        if X.shape[1] != self.n_features or form_of(target) != self.form:
            raise ValueError("The data are not those that were read before.")
        data = Data(X, self.classes, target.values, weight)
        if self.labelled:
            labels, label_weight = check_labels(
                part.labels, part.label_weight, X, self.classes, of_part=True
            )
            data.labels, data.label_weight = labels.values, label_weight
        return finished(data, self.factors, self.dtype)


def merge(estimator, summaries):
    """Return the ``Whole`` of the summaries of all parts, in order; refuse what differs."""
    lengths = tuple(summary.n_samples for summary in summaries)
    full = [summary for summary in summaries if summary.n_samples]
    if not full:
        raise ValueError("X holds 0 samples, in all parts; at least 1 is needed.")
    rows = np.cumsum([0, *lengths])[:-1][np.array(lengths) > 0].tolist()
    first = full[0]
    for row, summary in zip(rows, full, strict=True):
        _refuse_other_kind(row, summary, first)
    targets = [summary.target for summary in full]
    n_samples = sum(lengths)
    classes = _classes_of(estimator.classes, targets, n_samples)
    refuse_total(sum(target.total for target in targets), "sample_weight")
    labels = [summary.labels for summary in full if summary.labels is not None]
    label_total = sum(own.total for own in labels)
    labels = labels if label_total > 0 else []
    if label_total:
        refuse_total(label_total, "label_weight")
    factors = _factors_of(estimator.class_weight, classes, targets, labels)
    return Whole(
        lengths=lengths,
        n_features=first.n_features,
        names=first.names,
        dtype=np.result_type(*(summary.dtype for summary in full)),
        sparse=first.sparse,
        classes=classes,
        form=first.target.form,
        n_listed=sum(target.n_listed for target in targets),
        labelled=bool(labels),
        factors=factors,
        most=_most(targets, classes, factors),
        label_most=_most(labels, classes, factors) if labels else 0.0,
    )


def _refuse_other_kind(row, summary, first):
    """Refuse a part, whose first row is of this number, that is unlike the first."""
    own, others = summary.target, first.target
    names, wanted = summary.names, first.names
    if (names is None) != (wanted is None) or not np.array_equal(
        [] if names is None else names, [] if wanted is None else wanted
    ):
        raise ValueError(
            f"The features of X are named {_named(names)} from row {row} on, and "
            f"{_named(wanted)} before; name them alike, in the same order."
        )
    same = {
        "has {} features": (summary.n_features, first.n_features),
        "is {}": tuple("sparse" if s.sparse else "dense" for s in (summary, first)),
    }
    for what, (here, before) in same.items():
        if here != before:
            raise ValueError(
                f"X {what.format(here)} from row {row} on, and {what.format(before)} before."
            )
    if own.form != others.form:
        raise ValueError(f"y holds {own.form} from row {row} on, and {others.form} before.")
    if not own.hard:
        if len(own.classes) != len(others.classes) or own.named != others.named:
            raise ValueError(
                f"y has the columns {_named(own.classes if own.named else None)} "
                f"({len(own.classes)}) from row {row} on, and "
                f"{_named(others.classes if others.named else None)} ({len(others.classes)}) "
                "before."
            )
        match_columns(own.classes[np.newaxis], own.classes, others.classes, "y")
    elif isinstance(own.classes.tolist()[0], str) != isinstance(
        others.classes.tolist()[0], str
    ):
        raise ValueError(
            f"y mixes strings with other values: from row {row} on it holds "
            f"{shown(own.classes)}, before {shown(others.classes)}. Use labels of one type."
        )
    if (summary.labels is None) != (first.labels is None):
        raise ValueError(f"labels are given for rows before row {row} or from it on, not all.")


def _named(names):
    return "nothing" if names is None else shown(names)


def _classes_of(given, targets, n_samples):
    first = targets[0]
    if not first.hard:
        return first.classes
    classes = np.unique(np.concatenate([target.classes for target in targets]))
    if given is None:
        if len(classes) < 2:
            refuse_single_class(classes, "y")
        check_classification_targets(np.resize(classes, min(n_samples, 2 * len(classes))))
    return classes


def _factors_of(class_weight, classes, targets, labels):
    """Return the weights of the classes, None for ones."""
    if class_weight is None:
        return None
    masses = [sum(own.onto(classes)[0] for own in kind) for kind in (targets, labels) if kind]
    factors = class_factors(class_weight, classes, sum(masses))
    for mass in masses:
        refuse_weightless(float(factors @ mass))
    return factors


def _most(targets, classes, factors):
    """Return about the largest weight of a row, with that of its class."""
    if factors is None:
        return max(target.most for target in targets)
    peak = factors * np.max([target.onto(classes)[1] for target in targets], axis=0)
    return float(peak.max() if targets[0].hard else peak.sum())
