"""Distillation on Dask collections: each partition is taught where it is."""

from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse, vstack
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklkl._core.classes import spread
from sklkl._core.docs import documented
from sklkl._core.models import check_has_proba, takes
from sklkl._core.parameters import SHARE, check_parameters, integer, number
from sklkl._core.samples import holds_labels, take
from sklkl._core.typing import DivergenceName, DivergenceParams, Estimator, Samples
from sklkl.dask._blocks import gathered
from sklkl.dask._collections import is_collection, is_frame, pieces_of, whole_rows
from sklkl.dask._logistic import OfStudent, SoftLabelLogisticRegression
from sklkl.dask._predictions import CollectionPredictions, predicted
from sklkl.distillation._probability import smooth, temper
from sklkl.distillation._teacher import predict
from sklkl.linear_model._data import RULES as RULES_OF_NUMBERS

RULES = {
    "temperature": RULES_OF_NUMBERS["temperature"],
    "hard_label_weight": SHARE,
    "smoothing": number("a number from 0 to below 1", lambda v: 0 <= v < 1),
    "teacher_rows": integer(1),
}


class DistilledClassifier(OfStudent):
    r"""Student fitted to the probabilities of a teacher, on Dask collections.

    As ``sklkl.distillation.DistilledClassifier``, which has the formulas, for data of which
    the teacher sees a sample: it is fitted in memory, or was fitted before, and predicts
    every partition where this is. The student learns from all rows.

    Parameters
    ----------
    teacher : estimator
        Classifier with ``predict_proba``. It is cloned and fitted in memory to
        ``teacher_rows`` rows; to all of them if it is an estimator of ``sklkl.dask``; and not
        at all if it is wrapped in ``sklearn.frozen.FrozenEstimator``. To calibrate a teacher,
        or to average several, take a ``SoftCalibratedClassifierCV`` or a ``PooledClassifier``
        of it.
    student : sklkl.dask.SoftLabelLogisticRegression, default=None
        The student, with defaults by default.
    temperature : float, default=1.0
        The probabilities of the teacher become proportional to p^(1/temperature), and the
        student learns them at the same temperature; it predicts at temperature 1.
    hard_label_weight : float, default=0.0
        Share of the labels in the loss, from 0 to 1. At 1 the teacher is ignored.
    divergence : str, default="kl"
        Divergence of the student from the teacher, as in ``SoftLabelLogisticRegression``.
    divergence_params : dict, default=None
        Parameters of the divergence.
    smoothing : float, default=0.0
        Share, from 0 to below 1, of the uniform distribution that is mixed into the
        probabilities of the teacher, before any temperature.
    teacher_rows : int, default=100000
        Number of rows, evenly spaced, to which a teacher in memory is fitted at most. They
        travel to this process.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher; None if it is ignored.
    student_ : sklkl.dask.SoftLabelLogisticRegression
        The fitted student, which predicts at temperature 1.
    classes_ : ndarray of shape (n_classes,)
        The classes: those of the student if it has the parameter, otherwise of the teacher;
        sorted if ``y`` holds labels.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had any.

    See Also
    --------
    sklkl.distillation.DistilledClassifier : The same in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklkl.dask import DistilledClassifier
    >>> X, y = (da.from_array(a, chunks=50) for a in load_iris(return_X_y=True))
    >>> teacher = RandomForestClassifier(min_samples_leaf=5, random_state=0)
    >>> model = DistilledClassifier(teacher, temperature=2.0, teacher_rows=75).fit(X, y)
    >>> model.student_.coef_.shape
    (3, 4)
    >>> round(model.score(X, y), 2)
    0.94
    """

    def __init__(
        self,
        teacher: Estimator,
        student: Estimator = None,
        *,
        temperature: float = 1.0,
        hard_label_weight: float = 0.0,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        smoothing: float = 0.0,
        teacher_rows: int = 100_000,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.hard_label_weight = hard_label_weight
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.smoothing = smoothing
        self.teacher_rows = teacher_rows

    @documented
    def fit(
        self, X: Samples, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the teacher, and the student to its probabilities.

        Parameters
        ----------
        %(X)s
            A collection.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, \
                default=None
            Labels, or a probability vector per row; a collection. None if the teacher is
            frozen and there are no labels to learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, for the student, and for the teacher if it takes any; a
            collection.

        Returns
        -------
        self : DistilledClassifier
            The fitted model.

        Raises
        ------
        TypeError
            If an argument is no collection, or the teacher has no ``predict_proba``.
        ValueError
            If an argument is missing or bad, as for the student, or the student has no class
            that the teacher knows.
        """
        check_parameters(self, **RULES)
        check_has_proba(self.teacher, "teacher")
        student = SoftLabelLogisticRegression() if self.student is None else self.student
        if not isinstance(student, SoftLabelLogisticRegression):
            raise TypeError(
                "The student must be a sklkl.dask.SoftLabelLogisticRegression; got "
                f"{type(student).__name__}."
            )
        if not is_collection(X):
            raise TypeError(
                f"X is a {type(X).__name__}, and no collection of Dask; take "
                "sklkl.distillation.DistilledClassifier."
            )
        X, share = whole_rows(X, "X"), float(self.hard_label_weight)
        if y is None and share > 0.0:
            raise ValueError(f"y must hold labels to learn: hard_label_weight={share}.")
        student = clone(student)
        loss = {"divergence": self.divergence, "divergence_params": self.divergence_params}
        if share == 1.0:
            teacher = None
            student.fit(X, y, sample_weight)
        else:
            teacher = self._fitted_teacher(X, y, sample_weight)
            classes = teacher.classes_ if student.classes is None else student.classes
            if holds_labels(y):  # scorers take the classes of labels for sorted
                classes = np.sort(classes)
            taught = _Taught(teacher, classes, float(self.smoothing), float(self.temperature))
            student.set_params(classes=classes, temperature=self.temperature, **loss)
            given = {"sample_weight": sample_weight}
            if share > 0.0:
                given = {
                    "sample_weight": _scaled(X, sample_weight, 1.0 - share),
                    "labels": y,
                    "label_weight": _scaled(X, sample_weight, share),
                }
            student.fit(X, predicted(taught, "predict_proba", X), **given)
        student.set_params(temperature=1.0)
        self.teacher_, self.student_ = teacher, student
        self._student_temperature = 1.0 if share == 1.0 else float(self.temperature)
        self._describe([])
        return self

    def _fitted_teacher(self, X, y, sample_weight):
        """Return the teacher, fitted in memory to a sample unless it is frozen, or Dask's."""
        if isinstance(self.teacher, FrozenEstimator):
            check_is_fitted(self.teacher)
            if y is not None:  # which has to be of the rows of X even where it is not used
                pieces_of(Sampled, {"X": X, "y": y})
            return self.teacher
        teacher = clone(self.teacher)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        if isinstance(teacher, CollectionPredictions):
            return teacher.fit(X, y, **weight).to_local()
        rows = sample_of({"X": X, "y": y, "sample_weight": sample_weight}, self.teacher_rows)
        if sample_weight is None or not takes(teacher, "sample_weight"):
            return teacher.fit(rows.X, rows.y)
        return teacher.fit(rows.X, rows.y, sample_weight=rows.sample_weight)


class _Taught:
    """A teacher whose probabilities are as the student learns them."""

    def __init__(self, teacher, classes, smoothing, temperature):
        self.teacher, self.classes_ = teacher, np.asarray(classes)
        self.smoothing, self.temperature = smoothing, temperature

    def predict_proba(self, X):
        """Return the probabilities of the teacher, tempered."""
        proba = spread(self.teacher.classes_, predict(self.teacher, X), self.classes_)
        return temper(smooth(proba, self.smoothing), self.temperature)


class Sampled(NamedTuple):
    """Some rows of what the teacher is fitted to."""

    X: Any
    y: Any
    sample_weight: Any = None


def sample_of(named, most):
    """Return at most so many evenly spaced rows of collections by name, in memory."""
    with gathered(Sampled, named) as parts:
        if parts.n_rows == 0:
            raise ValueError("X holds 0 samples, in all parts; at least 1 is needed.")
        stride = -(-parts.n_rows // most)
        firsts = [-first % stride for first in parts.first_rows]
        strides = [stride] * len(firsts)
        some = [part for part in parts.results(_every, firsts, strides) if part is not None]
    return Sampled(
        *(None if own[0] is None else _joined(own) for own in zip(*some, strict=True))
    )


def _every(part, first, stride):
    """Return every so many-th row of a part, None if there are none."""
    n_samples = part.X.shape[0]
    if first >= n_samples:
        return None
    rows = np.arange(first, n_samples, stride)
    return Sampled(*(None if x is None else take(x, rows) for x in part))


def _joined(pieces):
    if hasattr(pieces[0], "iloc"):
        return pd.concat(pieces)
    return vstack(pieces, "csr") if issparse(pieces[0]) else np.concatenate(pieces)


def _scaled(X, sample_weight, factor):
    """Return the weights of all rows times a factor, a collection; ones if there are none."""
    if sample_weight is not None:
        return sample_weight * factor
    if is_frame(X):
        return X.map_partitions(_constant, factor, meta=pd.Series(dtype=float))
    return X.map_blocks(
        _constant, factor, dtype=float, drop_axis=1, chunks=(X.chunks[0],), meta=np.empty(0)
    )


def _constant(rows, value):
    if hasattr(rows, "iloc"):
        return pd.Series(value, index=rows.index, dtype=float)
    return np.full(rows.shape[0], value)
