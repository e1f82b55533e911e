"""Checked data and parameters of the estimators."""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.validation import validate_data

from sklkl._core.arrays import as_array, as_floating, without_tensor
from sklkl._core.classes import frame_columns, match_columns
from sklkl._core.devices import (
    beside,
    cast,
    on_host,
    place_of,
    refuse_elsewhere,
    to_host,
)
from sklkl._core.names import refuse_other_rows, row_number, shown
from sklkl._core.parameters import (
    BOOLEAN,
    POSITIVE,
    POSITIVE_OR_INFINITE,
    SHARE,
    check_parameters,
    integer,
    number,
)
from sklkl._core.samples import check_weights
from sklkl._core.sparse import canonical, check_entries
from sklkl._core.targets import (
    apply_class_factors,
    check_target,
    class_factors,
    class_mass,
    is_sparse,
    refuse_weightless,
)
from sklkl._core.topk import TopK
from sklkl.batches import Batches
from sklkl.linear_model import _rows
from sklkl.linear_model._loss import KL_SPELLINGS, stages_of

RULES = {
    "C": POSITIVE_OR_INFINITE,
    "l1_ratio": SHARE,
    # Beyond, the square of it leaves too few digits.
    "temperature": number("a number from 1e-6 to 1e6", lambda v: 1e-6 <= v <= 1e6),
    "tol": POSITIVE,
    "max_iter": integer(1),
    "fit_intercept": BOOLEAN,
    "warm_start": BOOLEAN,
    "verbose": integer(0).or_(True, False),
}


def check_numbers(estimator, *names):
    """Refuse parameters that break the rule of their name."""
    check_parameters(estimator, **{name: RULES[name] for name in names})


# Of an offset, far beyond what float32 tells from certainty; sums of losses do not overflow.
MOST_OFFSET = 1e30


@dataclass
class Data:
    """Checked data of a fit."""

    # ndarray, CSR matrix, or array on a device, float32 or float64. Not looked at: entries may
    # be NaN or infinite, which the first evaluation of the objective finds without a pass of
    # its own.
    X: object
    classes: np.ndarray
    target: np.ndarray | TopK  # codes (n_samples,), or probabilities: arrays of the dtype of X
    weight: np.ndarray  # float64
    labels: np.ndarray | None = None  # to learn besides, as target
    label_weight: np.ndarray | None = None  # float64
    offset: np.ndarray | None = None  # float64, (n_samples, n_logits), added to the logits
    first_row: int = 0  # the number of rows before these, if they are a part

    @property
    def hard(self):
        """True if the target holds labels."""
        return self.target.ndim == 1

    @property
    def labelled(self):
        """True if there are labels to learn besides."""
        return self.labels is not None

    @property
    def place(self):
        """The ``Place`` of X on a device, None on the host."""
        return place_of(self.X, "X")

    @property
    def n_features(self):
        """The number of features."""
        return self.X.shape[1]

    @property
    def dtype(self):
        """The dtype of X, and of the coefficients."""
        return self.X.dtype

    @property
    def n_logits(self):
        """The number of columns of coefficients, 1 if binary."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def stages(self, divergence, temperature, fit_intercept, unit=None):
        """Return the ``Rows`` of the losses to minimise one after the other."""
        # Of logits that are divided by the temperature, as coefficients are.
        offset = None if self.offset is None else self.offset / temperature
        return [
            _rows.rows_of(self.X, self.n_logits, fit_intercept, terms, unit, offset)
            for terms in stages_of(self, divergence, temperature)
        ]


def check_data(
    estimator,
    X,
    y,
    sample_weight,
    labels=None,
    label_weight=None,
    offset=None,
    *,
    reset=True,
    classes=None,
    sparse=False,
):
    """Return the ``Data`` that a user passed to ``estimator.fit``, class weights applied.

    With ``sparse`` the target may be a ``TopK``.
    """
    if isinstance(X, Batches):
        np.asarray(X)  # which tells what they are for
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the "
            "target y is None."
        )
    named = {"X": X, "y": y, "sample_weight": sample_weight}
    named |= {"labels": labels, "label_weight": label_weight, "offset": offset}
    refuse_other_rows(named, strict=False)
    X = check_features(estimator, X, reset=reset)
    given = estimator.classes if classes is None else classes
    forms = {"sparse": sparse, "stays": True}
    target = check_target(y, classes=given, refuse_integers=True, at_least=2, **forms)
    check_consistent_length(X, target)
    if classes is None:  # sorted labels are what scikit-learn's scorers take for granted
        target = target.ordered()
    data = Data(X, target.classes, target.values, check_weights(sample_weight, X))
    data.offset = check_offset(offset, X, target.classes)
    labels, label_weight = check_labels(labels, label_weight, X, target.classes)
    if labels is not None and label_weight.any():
        data.labels, data.label_weight = labels.values, label_weight
    data = finished(data, _factors(data, estimator.class_weight))
    for weight in (data.weight, data.label_weight):
        if estimator.class_weight is not None and weight is not None:
            refuse_weightless(weight.sum())
    return data


def check_features(estimator, X, *, reset=True, finite=False, **options):
    """Return an array or a canonical CSR matrix; the estimator learns names of features."""
    place = place_of(X, "X")
    if place is not None and not get_tags(estimator).array_api_support:
        divergence = getattr(estimator, "divergence", "kl")
        which = "" if divergence in KL_SPELLINGS else f" with divergence={divergence!r}"
        refuse_elsewhere(X, f"{type(estimator).__name__}{which}")
    if issparse(X):
        check_entries(X, "X")
    if place is None:
        X = without_tensor(X, "X") if hasattr(X, "shape") else as_array(X, "X")
    X = validate_data(
        estimator,
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32] if place is None else place.floats,
        ensure_all_finite=finite,
        reset=reset,
        **options,
    )
    if issparse(X):
        return canonical(X)
    # Once, as every kernel would; arrays that were sent from process to process often need it.
    return np.require(X, requirements="A") if place is None else X


def check_labels(labels, label_weight, X, classes, *, of_part=False):
    """Return the ``Target`` of labels and their weights, None if there are none."""
    if labels is None:
        if label_weight is not None:
            raise ValueError("label_weight weighs labels, but labels is None; pass both.")
        return None, None
    labels = check_target(
        labels,
        classes=classes,
        name="labels",
        refuse_integers=True,
        of_part=of_part,
        stays=True,
    )
    check_consistent_length(X, labels)
    return labels, check_weights(label_weight, X, "label_weight", zeros=True)


def check_offset(offset, X, classes):
    """Return an offset as logits get it, (n_samples, n_logits), float64; None for none.

    What classes have in common, which changes no probability, is taken off.
    """
    if offset is None:
        return None
    if place_of(X, "X") is not None:
        raise TypeError("An offset is for X on the host; pass an array of NumPy as X.")
    values = as_floating(on_host(offset, "offset"), "offset").astype(np.float64)
    n_samples, n_classes = X.shape[0], len(classes)
    if values.shape == (n_samples,) and n_classes == 2:
        _refuse_name(offset, classes)
    elif values.shape != (n_samples, n_classes):
        also = f", or {(n_samples,)} of log-odds of {shown(classes[1:])}" * (n_classes == 2)
        raise ValueError(
            f"offset must have the shape {(n_samples, n_classes)}, a column for each of the "
            f"classes {shown(classes)}{also}; got {values.shape}."
        )
    elif (columns := frame_columns(offset, classes, "offset")) is not None:
        values = match_columns(values, columns, classes, "offset")
    values = values.reshape(n_samples, -1)
    bad = ~(np.abs(values) <= MOST_OFFSET)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"offset holds {values[i, j]:.6g} in row {row_number(i)}; log-odds must be finite "
            f"numbers, of at most {MOST_OFFSET:.0e}. The logarithm of a probability of 0 is "
            "none: mix such probabilities with some of the uniform distribution."
        )
    if n_classes == 2:
        return values if values.shape[1] == 1 else values[:, 1:] - values[:, :1]
    return values - values.mean(axis=1, keepdims=True)


def _refuse_name(offset, classes):
    """Refuse a Series that is named by the class whose log-odds it cannot hold."""
    first, second = classes.tolist()
    if getattr(offset, "name", None) == first:
        raise ValueError(
            f"offset is named {first!r}, as one of the classes, but it holds the log-odds of "
            f"the other, {second!r}; pass -offset.rename(None), or offset.to_numpy()."
        )


def _factors(data, class_weight):
    """Return the weights of the classes, None for ones."""
    if class_weight is None:
        return None
    mass = class_mass(data.target, data.weight, len(data.classes))
    if data.labelled:
        mass = mass + class_mass(data.labels, data.label_weight, len(data.classes))
    return class_factors(class_weight, data.classes, mass)


def finished(data, factors, dtype=None):
    """Return the data with weights of classes applied, and all of the dtype of X."""
    dtype = dtype or data.X.dtype
    target, weight = data.target, data.weight
    labels, label_weight = data.labels, data.label_weight
    if factors is not None:
        target, weight = apply_class_factors(factors, _beside(target, data.X), weight, dtype)
        if data.labelled:
            labels, label_weight = apply_class_factors(
                factors, _beside(labels, data.X), label_weight, dtype
            )
    return replace(
        data,
        X=data.X.astype(dtype, copy=False) if issparse(data.X) else cast(data.X, dtype),
        target=_of_target(target, data.X, dtype),
        weight=weight,
        labels=labels if labels is None else _of_target(labels, data.X, dtype),
        label_weight=label_weight,
    )


def _beside(target, X):
    """Return codes, or probabilities, where X is."""
    if is_sparse(target):
        if place_of(X, "X") is not None:
            raise TypeError(
                "y lists some classes only, which is for X on the host; pass an array of "
                "NumPy as X, or a dense y."
            )
        return target
    return to_host(target) if issparse(X) else beside(X, target)


def _of_target(target, X, dtype):
    """Return codes, or probabilities of a dtype, where X is."""
    target = _beside(target, X)
    if target.ndim == 1 or is_sparse(target):
        return target
    if isinstance(target, np.ndarray):
        return np.ascontiguousarray(target, dtype=dtype)
    return cast(target, dtype)


@contextmanager
def unchanged_on_error(estimator):
    """Let an error or an interrupt leave the estimator as it was."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
