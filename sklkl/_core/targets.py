"""The one place that turns a user's ``y`` into classes and a target.

Numerical code below takes the values of a ``Target``: codes, an integer array (n_samples,),
probabilities, a floating array (n_samples, n_classes), or a ``TopK``, which lists some of
them. The last is for callers that ask ``check_target`` for it, by ``sparse``.
"""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklkl._core import topk
from sklkl._core.arrays import as_array, is_missing, is_sparse_matrix
from sklkl._core.classes import (
    check_classes,
    encode,
    frame_columns,
    match_columns,
    spread,
    unique,
)
from sklkl._core.devices import (
    beside,
    cast,
    floating,
    namespace,
    place_of,
    slices,
    to_host,
    widest,
)
from sklkl._core.distributions import check_rows
from sklkl._core.names import places, row_number, shown
from sklkl._core.parameters import NON_NEGATIVE, check
from sklkl._core.samples import match_rows
from sklkl._core.topk import TopK


@dataclass(frozen=True)
class Target:
    """The targets of samples: labels or probabilities of classes.

    Codes are on the host, and probabilities, unless they were to stay where they are.
    """

    classes: np.ndarray
    # Codes, the positions of labels in ``classes``, of dtype intp, (n_samples,); or
    # probabilities, C-contiguous float32 or float64, (n_samples, n_classes), or a ``TopK``.
    values: np.ndarray | TopK
    named: bool = True  # whether the user named the classes, as by labels or a data frame

    def __len__(self):
        return self.values.shape[0]

    @property
    def hard(self):
        """Whether the targets are labels."""
        return self.values.ndim == 1

    @property
    def sparse(self):
        """Whether the targets list some classes of each sample."""
        return is_sparse(self.values)

    @property
    def y(self):
        """The targets as labels, or rows of probabilities."""
        return self.classes[self.values] if self.hard else self.values

    def mass(self, weight):
        """Return the sum of the targets of each class, with the weights of the samples."""
        return class_mass(self.values, weight, len(self.classes))

    def ordered(self):
        """Return labels with sorted classes; probabilities as they are."""
        if not self.hard:
            return self
        order = np.argsort(self.classes)
        return replace(
            self, classes=self.classes[order], values=np.argsort(order)[self.values]
        )

    def onto(self, classes):
        """Return codes of other classes, or probabilities of these.

        Columns that nobody named are the classes, in order, if there are as many.
        """
        if not self.named and len(self.classes) == len(classes):
            return self.values
        if self.hard:
            at = places(self.classes.tolist(), np.asarray(classes).tolist())
            if (unknown := self.classes[at < 0]).size:
                raise ValueError(
                    f"y has the labels {shown(unknown)}, which are none of the classes "
                    f"{shown(classes)}."
                )
            return at[self.values]
        return spread(self.classes, self.values, classes, names=("y", "the teacher"))


def is_sparse(y):
    """Return whether targets, as a user passes them or checked, are sparse rows."""
    return isinstance(y, TopK) or is_sparse_matrix(y)


def of_classes(known, proba, classes):
    """Return a teacher's probabilities of classes that it knows, with columns for others."""
    if is_sparse(proba):
        return topk.named(proba, classes, "The teacher's TopK")
    return spread(known, proba, classes)


def check_target(
    y,
    *,
    classes=None,
    name="y",
    refuse_integers=False,
    at_least=1,
    of_part=False,
    sparse=False,
    stays=False,
):
    """Return the ``Target`` that a user passed as ``y``.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes), data frame, TopK or sparse
        Labels, or one row of probabilities per sample. The columns of a data frame are
        the classes, unless they are the default ones of its library: see ``frame_columns``.
    classes : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of ``y``; a data frame's columns are put in
        this order. By default the sorted labels, the columns of the data frame, or
        0, ..., n_classes - 1.
    name : str, default="y"
        What error messages call ``y``.
    refuse_integers : bool, default=False
        Refuse an integer matrix even if its rows sum to 1. It may be ranks:
        ``cross_val_predict`` replaces every column of a soft ``y`` by its ranks, and those
        of smoothed labels look like one-hot rows.
    at_least : int, default=1
        The number of classes below which to refuse the target.
    of_part : bool, default=False
        The samples are a part of others, with which a class may come more than once: no
        warning that most labels occur once.
    sparse : bool, default=False
        Whether the caller can use a ``TopK``; of two classes it becomes an array.
    stays : bool, default=False
        Let probabilities in an array of another library stay where they are.

    Returns
    -------
    Target
    """
    if classes is not None:
        classes = check_classes(classes)
    if y is None:
        raise ValueError(
            f"The call requires {name} to be passed, but the target {name} is None."
        )
    if is_sparse(y):
        return _check_sparse(y, classes, name, refuse_integers, sparse)
    columns = frame_columns(y, classes, name)
    elsewhere = place_of(y, name) is not None
    if not (stays and elsewhere and y.ndim == 2 and y.shape[1] > 1):
        y, elsewhere = (to_host(y) if elsewhere else y), False
    values = y if elsewhere else as_array(y, name)
    if values.ndim == 2 and values.shape[1] > 1:
        known, values = _check_soft(values, columns, classes, name, refuse_integers)
        return Target(known, values, named=columns is not None)
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples,), labels, or (n_samples, n_classes), "
            f"probabilities; got shape {values.shape}."
        )
    if values.size == 0:
        what = "samples" if len(values) == 0 else "columns"
        raise ValueError(f"{name} is empty: 0 {what}.")
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold labels.")
    if values.dtype.names is not None:
        fields = list(values.dtype.names)
        raise ValueError(f"{name} is a structured array of fields {fields}; pass one field.")
    if hasattr(y, "iloc"):
        values = y  # which scikit-learn converts, as nullable integers with a missing value
    known, values = _check_hard(column_or_1d(values, warn=True), classes, name, of_part)
    if len(known) < at_least:
        refuse_single_class(known, name)
    return Target(known, values)


def refuse_single_class(classes, name):
    """Raise a ValueError about labels of one class."""
    raise ValueError(
        f"{name} holds only 1 class, {classes.tolist()[0]!r}; at least two are needed. (A "
        "parameter classes can name absent ones.)"
    )


def _check_sparse(y, classes, name, refuse_integers, sparse):
    if not sparse:
        kind = "TopK" if isinstance(y, TopK) else "sparse matrix"
        dense = "to_dense" if kind == "TopK" else "toarray"
        raise TypeError(
            f"{name} is a {kind}, which is not taken here; pass a dense array: "
            f"{name}.{dense}()."
        )
    if is_sparse_matrix(y):
        if refuse_integers and y.dtype.kind in "iub":
            raise ValueError(
                f"{name} is a sparse matrix of integers, not of probabilities; if each row "
                f"holds a single 1, pass labels, or {name}.astype(float)."
            )
        y = topk.exact(y, name)
    if len(y) == 0:
        raise ValueError(f"{name} is empty: 0 samples.")
    named = y.classes is not None
    if classes is None:
        classes = y.classes if named else np.arange(y.shape[1])
    values = topk.named(y, classes, name)
    if len(classes) == 2:  # of which one is a bucket of its own
        values = topk.both_classes(values)
    return Target(classes, values, named=named)


def _check_hard(labels, classes, name, of_part):
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    if labels.dtype.kind in "OM":  # a date may be missing, too
        _refuse_mixed(labels.tolist(), name)
    try:
        found, codes = unique(labels)
        # scikit-learn looks for what a label is, and warns if most occur once; it sorts
        # twice what it gets, which takes longer than a loss of all the samples.
        twice = np.repeat(found, 2)
        often = of_part or len(twice) <= len(labels)
        with np.errstate(invalid="ignore"):  # it turns them into integers, to compare
            check_classification_targets(twice if often else labels)
    except (TypeError, ValueError) as error:
        hint = ""
        if labels.dtype.kind == "f":
            hint = (
                f" If {name} holds probabilities of the second of two classes, pass a column "
                "per class, np.column_stack([1 - p, p])."
            )
        raise ValueError(f"{error}{hint} (in {name})") from None
    if classes is None:
        return found, codes
    return classes, encode(found, codes, classes, name)


def _refuse_mixed(labels, name):
    """Refuse labels of which some are missing, or strings while others are not."""
    if set(map(type, labels)) == {str}:
        return
    for i, label in enumerate(labels, row_number(0)):
        if is_missing(label):
            raise TypeError(
                f"{name}[{i}] is missing: {label!r}. Drop samples without a label; only a "
                "DistilledClassifier takes them, with unlabeled=np.nan."
            )
        if isinstance(label, list | np.ndarray) or hasattr(label, "to_numpy"):
            raise TypeError(
                f"{name}[{i}] is not a label, but a {type(label).__name__}; pass "
                f"probabilities as a matrix, np.array(list({name})) or a data frame."
            )
        if isinstance(label, str) != isinstance(labels[0], str):
            raise TypeError(
                f"{name} mixes strings with other values: {name}[{i}] is {label!r} and "
                f"{name}[{row_number(0)}] is {labels[0]!r}. Use labels of one type."
            )


def _are_several_labels(values):
    """Return whether a matrix marks several classes, or none, of some samples."""
    xp = namespace(values)
    return xp.all((values == 0) | (values == 1)) and xp.any(xp.sum(values, axis=1) != 1)


def _are_integers(values):
    place = place_of(values, "y")
    if place is None:
        return values.dtype.kind in "iu"
    return place.xp.isdtype(values.dtype, "integral")


def _check_soft(values, columns, classes, name, refuse_integers):
    n_samples, n_columns = values.shape
    if n_samples == 0:
        raise ValueError(f"{name} is empty: 0 samples.")
    integers = _are_integers(values)
    if refuse_integers and integers and not _are_several_labels(values):
        raise ValueError(
            f"{name} is a matrix of integers, not probabilities: if these are counts, divide "
            f"each row by its sum; if one-hot rows, pass labels or {name}.astype(float). "
            "scikit-learn's cross_val_predict turns soft targets into ranks like these; use "
            "sklkl.model_selection.soft_cross_val_predict."
        )
    target = floating(values, name)
    try:
        target = check_rows(target, name)
    except ValueError as error:
        unknown = columns is not None and (classes is None or not set(columns) <= set(classes))
        if unknown and not _are_several_labels(target):
            raise ValueError(
                f"{error} The columns are {shown(columns)}: drop what is no class, as an id, "
                "or make it the index."
            ) from None
        if not _are_several_labels(target):
            raise
        raise ValueError(
            f"{error} If these are several labels per sample, 0 or 1 each: a target is one "
            "distribution over classes of which each sample has one; fit a model per label."
        ) from None
    if columns is not None and classes is not None:
        target = match_columns(target, columns, classes, name)
    if classes is None:
        classes = np.arange(n_columns) if columns is None else columns
    if len(classes) != n_columns:
        raise ValueError(
            f"{name} has {n_columns} columns, but there are {len(classes)} classes: "
            f"{shown(classes)}."
        )
    return classes, np.ascontiguousarray(target) if isinstance(target, np.ndarray) else target


def one_hot(target, n_classes):
    """Return a target as probabilities, float64 if it was hard."""
    if is_sparse(target):
        return target.to_dense()
    if target.ndim == 2:
        return target
    if (place := place_of(target, "y")) is not None:
        classes = place.xp.arange(n_classes, device=place.device)
        return place.xp.astype(target[:, None] == classes, place.wide)
    rows = np.zeros((len(target), n_classes))
    rows[np.arange(len(target)), target] = 1.0
    return rows


def balanced(mass):
    """Return the class weights "balanced" for masses of classes, 1 where there is none."""
    factors = np.ones(len(mass))
    present = mass > 0
    factors[present] = mass.sum() / (len(mass) * mass[present])
    return factors


def class_mass(target, weight, n_classes):
    """Return the sum of the targets of each class over the samples, with their weights."""
    if is_sparse(target):
        return topk.mass(target, weight)
    if target.ndim == 2 and (place := place_of(target, "y")) is not None:
        mass = np.zeros(n_classes)
        for part in slices(target.shape[0], n_classes):
            own = place.xp.astype(target[part, :], place.wide)
            mass += to_host(place.put(weight[part], place.wide) @ own)
        return mass
    target = to_host(target)
    if target.ndim == 2:
        # Not weight @ target, whose last bits may depend on the number of threads of BLAS.
        return np.einsum("i,ik->k", weight, target)
    return np.bincount(target, weight, minlength=n_classes)


def class_factors(class_weight, classes, mass=None):
    """Return the weights of classes as an array; ``mass`` is what "balanced" makes even."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return balanced(mass)
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight must be a dict, 'balanced' or None; got {class_weight!r}."
        )
    factors = np.ones(len(classes))
    position = {c: j for j, c in enumerate(classes.tolist())}
    unknown = [c for c in class_weight if c not in position]
    if unknown:
        raise ValueError(
            f"class_weight names {unknown}, not among the classes {classes.tolist()}."
        )
    for label, value in class_weight.items():
        check(f"class_weight[{label!r}]", value, NON_NEGATIVE)
        factors[position[label]] = value
    return factors


def apply_class_factors(factors, target, weight, dtype=None):
    """Return the target and the sample weights that weights of classes turn these into.

    Probabilities get the dtype, of the library that they are of; by default theirs. They are
    computed in slices of rows in the widest one, so that no other array is as large.
    """
    if is_sparse(target):
        target, mass = topk.weighted(target, factors)
        return target, weight * mass
    if target.ndim == 1:
        return target, weight * factors[target]
    xp, factors = namespace(target), widest(beside(target, factors))
    weighted, mass = xp.empty_like(target, dtype=dtype), np.empty(len(weight))
    for part in slices(*target.shape):
        rows = widest(target[part, :]) * factors
        total = xp.sum(rows, axis=1)
        mass[part] = to_host(total)
        empty = total == 0.0  # weight 0; any distribution serves
        rows = xp.where(empty[:, None], rows + 1.0 / rows.shape[1], rows)
        rows = rows / xp.where(empty, xp.ones_like(total), total)[:, None]
        weighted[part, :] = cast(rows, weighted.dtype)
    return weighted, weight * mass


def refuse_weightless(total):
    """Refuse class weights by the sum of the weights of samples that they leave."""
    if not total > 0:
        raise ValueError("class_weight leaves no sample with a weight > 0.")


def check_kind(labels, classes, what):
    """Refuse labels that are strings where classes are not, or the reverse."""
    labels, classes = np.asarray(labels).tolist(), np.asarray(classes).tolist()
    if isinstance(labels[0], str) != isinstance(classes[0], str):
        raise ValueError(
            f"{what}, as {labels[0]!r}, and the estimator's classes, {shown(classes)}, are of "
            "different types."
        )


def align_target(y_true, classes, name="y_true", *, sparse=False):
    """Return ``(target, classes)``, where labels unknown to ``classes`` are put at the end.

    A model that never saw a class gives it probability 0. With ``sparse`` the target may be a
    ``TopK``.
    """
    classes = np.asarray(classes)
    target = check_target(y_true, name=name, sparse=sparse, stays=True)
    y_classes = target.classes
    by_name = frame_columns(y_true, classes) is not None
    if not target.hard and not (target.named if is_sparse(y_true) else by_name):
        if len(y_classes) != len(classes):
            raise ValueError(
                f"{name} has {len(y_classes)} columns, but the estimator knows "
                f"{len(classes)} classes, {shown(classes)}; name the columns with a data "
                "frame."
            )
        return target.values, classes
    check_kind(y_classes, classes, f"The labels in {name}")
    if target.sparse:
        return topk.named(target.values, classes, name), classes
    union = list(dict.fromkeys([*classes.tolist(), *y_classes.tolist()]))
    if target.hard:
        return target.onto(union), union
    if not set(classes.tolist()) <= set(y_classes.tolist()):
        union = classes  # of which y_true lacks some: an error, with both lists of names
    return match_columns(target.values, y_classes, union, name), union


def align(y_true, proba, classes, name="y_true"):
    """Return ``(target, proba)`` with the same columns: ``classes``, then unknown labels."""
    target, union = align_target(y_true, classes, name)
    match_rows(**{name: target, "predict_proba": proba})
    proba = spread(classes, floating(proba, "predict_proba"), union)
    return beside(proba, target), proba
