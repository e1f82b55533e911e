"""Everything that a fit of ``DistilledClassifier`` can know before a teacher is fitted."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sklkl._core.arrays import as_floating
from sklkl._core.classes import frame_columns
from sklkl._core.devices import refuse_elsewhere
from sklkl._core.distributions import normalized
from sklkl._core.meta import refuse_metadata
from sklkl._core.models import (
    check_partition,
    is_frozen,
    metadata_name,
    refuse_extreme_weights,
    refuse_offset,
    weight_params,
)
from sklkl._core.names import shown
from sklkl._core.parameters import same
from sklkl._core.samples import (
    check_same_rows,
    check_weights,
    holds_labels,
    indexed,
    is_unlabeled,
    refuse_marker_as_string,
    refuse_missing_labels,
    take,
)
from sklkl._core.sklearn import num_samples, params_of_rows
from sklkl._core.targets import Target, check_target, is_sparse
from sklkl._core.topk import renamed
from sklkl.distillation import _tuning
from sklkl.distillation._munge import munge
from sklkl.distillation._pooling import PooledClassifier, is_frozen_pool
from sklkl.distillation._student import (
    check_samples,
    check_student,
    check_weights_arrive,
    classes_of_student,
    learns_from_probabilities,
    refuse_several_terms,
)
from sklkl.distillation._teacher import TeacherPredictions, fit_and_predict_folds, kept
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._loss import resolve_divergence
from sklkl.model_selection._split import check_soft_cv


def as_teacher(teacher):
    """Return the estimator of a ``teacher`` parameter: a pool of several."""
    if not isinstance(teacher, list | tuple | dict):
        return teacher
    pool = PooledClassifier(teacher)
    if get_config()["enable_metadata_routing"]:  # its estimators request what they take
        pool.set_fit_request(sample_weight=True)
    return pool


def as_student(student):
    """Return the estimator of a ``student`` parameter: the default one for None."""
    if student is not None:
        return student
    student = SoftLabelLogisticRegression()
    if get_config()["enable_metadata_routing"]:  # weights that are passed are meant for it
        student.set_fit_request(sample_weight=True)
    return student


def _frozen(teacher):
    """Return a pool of frozen estimators as one frozen estimator; others as they are."""
    if isinstance(teacher, PooledClassifier) and is_frozen_pool(teacher):
        return FrozenEstimator(clone(teacher).fit(None))
    return teacher


@dataclass(frozen=True)
class Plan:
    """The arguments of a fit, checked, and what follows from them."""

    teacher: object  # None with ``given``; a frozen one is fitted
    student: object
    X: object
    rows: np.ndarray | None  # indices of the labelled samples, None if all are
    y: object  # targets of the labelled samples as the teacher gets them, or None
    target: Target | None  # the same, checked
    of_labels: bool  # whether ``y`` holds labels, not probabilities
    settings: dict  # the parameters that make up the loss, and of the student if chosen
    grid: dict  # values to choose from, by name
    splits: list  # (train, test) of the labelled samples, if folds are needed
    teacher_params: dict  # metadata for ``fit``
    student_params: dict  # the same, without weights
    weight: np.ndarray | None  # of the samples for the student, None for ones
    given: TeacherPredictions | None  # ``teacher_proba``
    synthetic: object  # synthetic samples, or None

    @property
    def student_classes(self):
        """The ``classes`` of the student, None if it has none."""
        return classes_of_student(self.student)

    def predictions(self, options):
        """Return the probabilities by the teacher, which is fitted unless it is frozen."""
        if self.given is not None:
            return self.given.with_folds(self.splits, self.rows)
        call = kept(options.memory, fit_and_predict_folds, "verbose")
        if is_frozen(self.teacher):
            none = {"splits": [], "everywhere": False, "nested": False}
            found = call(self.teacher, self.X, None, self.rows, {}, **none)
            return found.with_folds(self.splits, self.rows)
        params = self.teacher_params
        if self.rows is not None:
            params = params_of_rows(self.X, params, self.rows)
        return call(
            clone(self.teacher),
            self.X,
            self.y,
            self.rows,
            params,
            self.splits,
            everywhere=bool(self.grid),
            nested=self._nested(options),
            n_judged=_tuning.n_judged([test for _, test in self.splits]),
            verbose=options.verbose,
        )

    def _nested(self, options):
        """Return whether to fit teachers without pairs of folds; None: if they memorise."""
        if not self.grid:
            return False
        if options.tune is True and "cross_fit" in self.grid:
            return None
        tried = self.grid.get("cross_fit", [self.settings["cross_fit"]])
        return any(folds is not None for folds in tried)


def resolve(options, X, y, sample_weight, teacher_proba, fit_params):
    """Return the ``Plan`` of a fit; refuse all that can be refused before a teacher is fitted.

    ``options`` is the ``DistilledClassifier``.
    """
    refuse_elsewhere(X, type(options).__name__)
    teacher, student = _frozen(as_teacher(options.teacher)), as_student(options.student)
    fitted = is_frozen(teacher) or teacher_proba is not None
    check_student(student, needs_proba=bool(options.tune))
    grid = _tuning.grid_of(options, student, fitted)
    refuse_several_terms(student, _several_terms(options, grid))
    _refuse_correction(options, grid)
    weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
    check_same_rows(X=X, y=y, teacher_proba=teacher_proba, **weights)
    X, y = indexed(X, y)
    check_samples(student, X)
    if sample_weight is not None:
        sample_weight = check_weights(sample_weight, X)
    of_teacher, of_student, of_splitter, weight = _route(
        options, teacher, student, sample_weight, fit_params
    )
    refuse_offset(teacher, of_teacher, "teacher", "the fit of a student")
    if options.tune:
        refuse_offset(student, of_student, "student", "tune")
    of_labels = holds_labels(y)
    if is_sparse(teacher_proba):
        _refuse_for_sparse(options, student, y, of_labels)
    rows, y = _labeled(options, teacher, X, y, teacher_proba)
    some_weigh = rows is not None and options.unlabeled_weight != 1.0
    share = bool(grid) or options.hard_label_weight > 0.0
    if not learns_from_probabilities(student) or weight is not None or share or some_weigh:
        check_weights_arrive(student)
    if of_teacher and not is_frozen(teacher):
        refuse_extreme_weights(sample_weight, teacher)
    refuse_extreme_weights(weight, student)
    if is_frozen(teacher) and teacher_proba is None:
        check_is_fitted(teacher)
    given = classes = None
    if teacher_proba is not None:
        given = _given(X, y, teacher, student, teacher_proba)
        classes = given.classes
    elif is_frozen(teacher):
        classes = teacher.classes_
    own = classes_of_student(student)
    if own is not None and y is not None and of_labels:
        check_target(y, classes=own)  # refuses labels that the student does not know
    target = None if y is None else check_target(y, classes=classes, refuse_integers=True)
    every = np.arange(num_samples(X)) if rows is None else rows
    return Plan(
        teacher,
        student,
        X,
        rows,
        target.y if target is not None and target.hard else y,
        target,
        of_labels,
        _tuning.start(options, student, grid),
        grid,
        _splits(options, grid, target, fitted, params_of_rows(X, of_splitter, every)),
        of_teacher,
        of_student,
        None if weight is None else check_weights(weight, X),
        given,
        _synthetic(options, X, teacher_proba, of_student),
    )


def _several_terms(options, grid):
    """Return why the loss is no cross-entropy of one target, for a message, or ""."""
    if resolve_divergence(options.divergence, options.divergence_params).name != "kl":
        return "Divergences other than 'kl'"
    if not _tuning.always_several_terms(_tuning.settings_of(options), grid):
        return ""
    return "Labels mixed in at a temperature other than 1"


def _refuse_correction(options, grid):
    """Refuse a correction of a loss that is not linear in the target."""
    divergence = resolve_divergence(options.divergence, options.divergence_params)
    strongest = max(grid.get("loss_correction", [options.loss_correction]))
    if strongest > 0.0 and divergence.name != "kl":
        raise ValueError(
            "loss_correction is for divergence='kl', whose loss is linear in the target; "
            f"got {options.divergence!r}."
        )


def _chosen(options):
    """Return the parameters for which labelled samples are predicted out of fold."""
    return [name for name in ("calibrate", "tune") if getattr(options, name)]


def _uses_of_labels(options):
    """Return the parameters that need labelled samples."""
    names = [n for n in ("hard_label_weight", "loss_correction") if getattr(options, n) != 0]
    cross_fit = [] if options.cross_fit is None else ["cross_fit"]
    return [*dict.fromkeys([*_chosen(options), *names]), *cross_fit]


def _route(options, teacher, student, sample_weight, fit_params):
    """Return the metadata of teacher, student and splitter, and the student's weights."""
    routed = options._route_fit(sample_weight, fit_params)
    if routed is None:
        refuse_metadata("fit", fit_params, "teacher and student")
        consequence = "the weights enter the student alone."
        of_teacher = weight_params(teacher, "teacher", sample_weight, consequence, 6)
        return of_teacher, {}, {}, sample_weight
    of_student = dict(routed.student.fit)
    weight = of_student.pop(metadata_name(student, "sample_weight"), None)
    of_teacher = {} if teacher is None else routed.teacher.fit
    return of_teacher, of_student, routed.splitter.split, weight


def _labeled(options, teacher, X, y, teacher_proba):
    """Return the indices of the labelled samples, and their targets or None.

    The indices are None if all samples are labelled.
    """
    given = is_frozen(teacher) or teacher_proba is not None
    if teacher is None and teacher_proba is None:
        raise ValueError("There is no teacher; set teacher, or pass teacher_proba to fit.")
    none = np.empty(0, dtype=np.intp)
    rows = none
    if y is None:
        if not given:
            raise ValueError(
                f"This {type(options).__name__} estimator requires y to be passed, but the "
                "target y is None. Wrap a fitted teacher in FrozenEstimator to distil "
                "it without labels."
            )
    else:
        check_consistent_length(X, y)
        rows = None
        if options.unlabeled is not None:
            rows = np.flatnonzero(~is_unlabeled(y, options.unlabeled))
            if len(rows) == num_samples(y):
                refuse_marker_as_string(y, options.unlabeled)
                rows = None
        refuse_missing_labels(y, options.unlabeled)
    if rows is None or len(rows) > 0:
        return rows, y if rows is None else take(y, rows)
    if y is not None and not given:
        raise ValueError(f"y has no labelled sample; all are {options.unlabeled!r}.")
    if used := _uses_of_labels(options):
        raise ValueError(
            f"{', '.join(used)} of this {type(options).__name__} need{'s' * (len(used) == 1)} "
            "labels; y has none."
        )
    if options.unlabeled_weight == 0.0:
        raise ValueError("unlabeled_weight is 0, but no sample has a label.")
    return none, None


def _given(X, y, teacher, student, teacher_proba):
    """Return ``teacher_proba`` as the predictions of a teacher."""
    if is_sparse(teacher_proba):
        target = check_target(
            teacher_proba, name="teacher_proba", refuse_integers=True, sparse=True
        )
        classes, proba = target.classes if target.named else None, target.values
    else:
        classes = frame_columns(teacher_proba, name="teacher_proba")
        proba = as_floating(teacher_proba, "teacher_proba")
    check_consistent_length(X, proba)
    if proba.ndim != 2:
        raise ValueError(
            "teacher_proba must have shape (n_samples, n_classes), a column per class; "
            f"got {proba.shape}."
        )
    if not is_sparse(proba):
        proba = normalized(proba, "teacher_proba")
    if classes is None:
        classes = classes_of_student(student)
    if classes is None and is_frozen(teacher):
        classes = teacher.classes_
    if classes is None and y is not None:
        classes = check_target(y, refuse_integers=True).classes
    classes = np.arange(proba.shape[1]) if classes is None else np.asarray(classes)
    if len(classes) != proba.shape[1]:
        raise ValueError(
            f"teacher_proba has {proba.shape[1]} columns, but there are {len(classes)} "
            f"classes, {shown(classes)}; pass a data frame whose columns are the classes, or "
            "the classes of a TopK."
        )
    if is_sparse(proba):
        proba = renamed(proba, classes)
    return TeacherPredictions(None, classes, proba, [])


def _refuse_for_sparse(options, student, y, of_labels):
    """Refuse what needs the teacher's probability of every class of every sample."""
    used = _uses_of_every_class(options)
    if used:
        raise ValueError(
            f"{', '.join(used)} of this {type(options).__name__} need{'s' * (len(used) == 1)} "
            "the probability of every class, but teacher_proba lists some classes only; set "
            "their defaults, or pass a dense array."
        )
    if not learns_from_probabilities(student):
        raise ValueError(
            "A teacher_proba that lists some classes only is for "
            "SoftLabelLogisticRegression, also at the end of a pipeline; got the student "
            f"{type(student).__name__}."
        )
    if y is not None and not of_labels:
        raise ValueError(
            "y must hold labels, or be left out, if teacher_proba lists some classes only."
        )


def _uses_of_every_class(options):
    """Return the parameters that are set to what a sparse ``teacher_proba`` cannot serve."""
    names = [*_chosen(options), *(["loss_correction"] if options.loss_correction else [])]
    names += [] if options.cross_fit is None else ["cross_fit"]
    divergence = resolve_divergence(options.divergence, options.divergence_params).name
    return [*names, *([] if divergence == "kl" else ["divergence"])]


def _splits(options, grid, target, fitted, params):
    """Return the folds of the labelled samples, if any are needed."""
    chosen = _chosen(options)
    tried = [v for v in (options.cross_fit, *grid.get("cross_fit", [])) if v is not None]
    if fitted and tried:
        raise ValueError(
            "cross_fit fits the teacher to parts of the samples, but it is fitted already; "
            "pass probabilities by teachers that do not know a sample as teacher_proba, or "
            "set cross_fit=None."
        )
    cross_fit = tried[0] if tried else None
    if not all(same(folds, cross_fit) for folds in tried):
        raise ValueError(
            "tune compares all candidates on the same folds; it can try cross_fit with one "
            "set of folds, and with None, but got several."
        )
    if target is None or (cross_fit is None and not chosen):
        return []
    try:
        cv = check_soft_cv(cross_fit, target.values)
        splits = list(cv.split(np.zeros((len(target), 1)), target.values, **params))
    except ValueError as error:
        folds = 5 if cross_fit is None else cross_fit
        why = f" (for {', '.join(chosen)})" if options.cross_fit is None else ""
        raise ValueError(
            f"The {len(target)} labelled samples could not be divided into the folds of "
            f"cross_fit={folds!r}{why}: {error} Set cross_fit to fewer folds, "
            "or to a list of pairs of indices."
        ) from error
    check_partition([test for _, test in splits], len(target))
    if grid and len(splits) < 3:
        raise ValueError(
            "tune fits a teacher without each pair of folds; cross_fit must make at least 3 "
            f"folds, got {len(splits)}."
        )
    return splits


def _synthetic(options, X, teacher_proba, params):
    """Return synthetic samples, None if there are to be none."""
    n_samples = options.n_synthetic
    if not isinstance(n_samples, Integral):
        n_samples = round(n_samples * num_samples(X))
    if options.n_synthetic and teacher_proba is not None:
        raise ValueError("n_synthetic needs a teacher to label samples; got teacher_proba.")
    if options.n_synthetic and params:
        raise ValueError(
            f"n_synthetic: synthetic samples have no {sorted(params)}, which the student "
            "gets for the others."
        )
    if n_samples == 0:
        return None
    return munge(X, n_samples, random_state=options.random_state)
