"""A student that answers where it is known to agree, and hands on all other rows."""

import warnings
from numbers import Real
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ShuffleSplit
from sklearn.utils.validation import check_is_fitted

from sklkl._core.classes import spread
from sklkl._core.devices import refuse_elsewhere
from sklkl._core.docs import documented
from sklkl._core.meta import MetaClassifierMixin, refuse_metadata
from sklkl._core.models import (
    ABSENT,
    check_has_proba,
    fit_to_target,
    is_frozen,
    log_probabilities,
    probabilities,
    refuse_extreme_weights,
    refuse_offset,
    refuse_unlabeled,
    weight_params,
)
from sklkl._core.parameters import (
    INNER_SHARE,
    NON_NEGATIVE,
    check_parameters,
    one_of,
)
from sklkl._core.samples import check_same_rows, check_weights, indexed, take
from sklkl._core.sklearn import num_samples, params_of_rows
from sklkl._core.targets import check_target
from sklkl._core.typing import (
    DivergenceName,
    DivergenceParams,
    Estimator,
    Floats,
    Folds,
    RandomState,
    Reference,
    Samples,
)
from sklkl.distillation._certificate import certify, least_rows
from sklkl.distillation._munge import SEED
from sklkl.distillation._pooling import pooled_classes
from sklkl.divergences._registry import DIVERGENCES, find
from sklkl.metrics._classifier import SoftLabelClassifierMixin
from sklkl.metrics._losses import row_losses
from sklkl.model_selection._split import check_soft_cv

RULES = {
    "agreement": INNER_SHARE,
    "confidence_level": INNER_SHARE,
    "reference": one_of(get_args(Reference)),
    "max_divergence": NON_NEGATIVE.or_(None),
    "random_state": SEED,
}
# Labels that are words have no order by which others could compare them.
UNORDERED = [d.name for d in DIVERGENCES if not d.ordered]


class DeferringClassifier(MetaClassifierMixin, SoftLabelClassifierMixin, BaseEstimator):
    r"""Student that answers where it is certified to agree, and leaves the rest to a teacher.

    A row is answered by the student if its largest probability is at least ``threshold_``.
    That is a threshold at which, by rows that neither model was fitted to, the student agrees
    with the teacher, or with the targets, in a share of at least ``agreement`` of the rows
    that it answers, with confidence ``confidence_level``: of all classifiers, each fitted to
    data of its own, at most 5 % promise too much at the default level.

    Parameters
    ----------
    student : estimator
        Classifier with ``predict_proba``, as a ``DistilledClassifier``. It is cloned and
        fitted to a part of the rows, unless it is wrapped in
        ``sklearn.frozen.FrozenEstimator``.
    teacher : estimator, default=None
        Classifier with ``predict_proba`` that is asked for the rows that the student does not
        answer; cloned and fitted to the same part, unless it is frozen. If None, it is the
        ``teacher_`` of a ``DistilledClassifier`` as the student. Any other student abstains
        then: ``deferred`` tells from which rows, ``predict`` and the like refuse these, and
        ``reference`` must be "y".
    agreement : float, default=0.97
        The share, between 0 and 1, of the answered rows in which the student is to agree.
    confidence_level : float, default=0.95
        Probability, between 0 and 1, with which the share is at least that.
    reference : {"teacher", "y"}, default="teacher"
        Whether the student is to agree with the teacher, or with ``y``: with labels, or with
        probabilities, as those by a teacher that is not at hand.
    max_divergence : float, default=None
        The student agrees with a row if its ``divergence`` from the reference is at most
        this, in nats if the divergence has a unit. If None, it agrees if both have the same
        most probable class.
    divergence : str, default="kl"
        The divergence, by any of its names, other than "ranked_probability"; for
        ``max_divergence``.
    divergence_params : dict, default=None
        Parameters of the divergence, as ``{"order": 2}`` of "renyi".
    cv : float, int, splitter or iterable, default=0.25
        The rows that are held out, if there is anything to fit: a share of them, drawn at
        random; or the first test set of stratified folds, of a splitter, or of an iterable of
        pairs of indices. If all is frozen, all rows of ``fit`` are held out.
    random_state : int, RandomState instance or None, default=None
        For drawing held-out rows.

    Attributes
    ----------
    threshold_ : float
        The least probability of the student's class at which it answers. 0 if it answers
        everything, infinity if nothing could be certified.
    coverage_ : float
        Share of the tested rows that the student answers.
    curve_ : dict of ndarray of shape (n_thresholds,)
        What was tested, the highest threshold first: "threshold"; "n_answered" and
        "n_agreed", numbers of rows, all of the tested ones at the last threshold, 0;
        "lower_bound", the confidence bound of the share.
    student_ : estimator
        The fitted student.
    teacher_ : estimator or None
        The fitted teacher.
    classes_ : ndarray of shape (n_classes,)
        The classes that the student, the teacher or labels know, sorted; or the columns of a
        soft ``y``.
    n_features_in_ : int
        Number of features, if the student counts them.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the student knows them.

    See Also
    --------
    DistilledClassifier : Fits students.
    sklkl.inspection.DeferralDisplay : Draws the agreement at each threshold.
    sklkl.metrics.fidelity_report : Agreement on all rows.

    Notes
    -----
    Every tenth held-out row, but not many more than 400, chooses the thresholds, which are
    quantiles of the student's confidence [2]_; the others are tested. At a fixed threshold the
    number of answered rows that agree is binomial, and its bound that of Clopper and Pearson
    [3]_. Thresholds are tested from the strictest on, up to the first that fails, so that no
    level is divided among them [1]_. Nothing is assumed of the confidence, only that held-out
    rows are a random sample of the rows to come: where these drift, or where rows depend on
    each other, as those of one patient, the certificate is void. It is about rows, each of
    which counts once, and about these two fitted models.

    It takes ``log(1 - confidence_level) / log(agreement)`` tested rows without a single
    disagreement, 99 at the defaults, to certify anything, and with disagreements more.

    References
    ----------
    .. [1] Angelopoulos, A. N. et al. (2021). Learn then Test: Calibrating Predictive
       Algorithms to Achieve Risk Control. arXiv:2110.01052.

    .. [2] Geifman, Y. and El-Yaniv, R. (2017). Selective Classification for Deep Neural
       Networks. NeurIPS, arXiv:1705.08500.

    .. [3] Clopper, C. J. and Pearson, E. S. (1934). The Use of Confidence or Fiducial Limits
       Illustrated in the Case of the Binomial. Biometrika 26(4), 404-413.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from sklkl.distillation import DeferringClassifier, DistilledClassifier
    >>> X, X_new, y, y_new = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> forest = RandomForestClassifier(50, random_state=0)
    >>> model = DeferringClassifier(DistilledClassifier(forest), cv=0.5, random_state=0)
    >>> _ = model.fit(X / 16, y)
    >>> round(model.threshold_, 2), round(model.coverage_, 2)
    (0.45, 0.93)
    >>> asked = model.deferred(X_new / 16)
    >>> same = model.student_.predict(X_new / 16) == model.teacher_.predict(X_new / 16)
    >>> print(f"{asked.mean():.2f} {same.mean():.2f} {same[~asked].mean():.2f}")
    0.09 0.96 0.99
    """

    def __init__(
        self,
        student: Estimator,
        teacher: Estimator = None,
        *,
        agreement: float = 0.97,
        confidence_level: float = 0.95,
        reference: Reference = "teacher",
        max_divergence: float | None = None,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        cv: Folds = 0.25,
        random_state: RandomState | None = None,
    ) -> None:
        self.student = student
        self.teacher = teacher
        self.agreement = agreement
        self.confidence_level = confidence_level
        self.reference = reference
        self.max_divergence = max_divergence
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.cv = cv
        self.random_state = random_state

    def _inner_estimators(self):
        inner = {"student": self.student, "teacher": self.teacher}
        return {name: e for name, e in inner.items() if e is not None}

    def _splitters(self):
        return {"splitter": self.cv}

    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit student and teacher to a part of the rows, and find the threshold on the others.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row. May be left out if all is frozen and
            ``reference`` is "teacher".
        sample_weight : array-like of shape (n_samples,), default=None
            Weights for the fits of student and teacher. A held-out row of weight 0 is left
            out; the others count once each, since a share of weighted rows has no exact bound.
        **fit_params : dict
            Metadata for student, teacher and splitter, if metadata routing is enabled.

        Returns
        -------
        self : DeferringClassifier
            The fitted classifier.

        Raises
        ------
        TypeError
            If student or teacher has no ``predict_proba``, or X is on a device.
        ValueError
            If ``y`` is missing, no valid target or holds a single class; if there is no
            teacher to agree with; if ``y`` marks samples without a label (of frozen models, no
            ``y`` is needed); if arguments name their rows in another order than X; on unequal
            weights where there is nothing to fit; if no row is held out; or if a parameter is
            bad.

        Warns
        -----
        UserWarning
            If no threshold could be certified: the student answers nothing then.
        """
        refuse_elsewhere(X, type(self).__name__)
        self._check_parameters()
        frozen = all(map(is_frozen, self._inner_estimators().values()))
        if y is None and not (frozen and self.reference == "teacher"):
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the "
                "target y is None. Only frozen estimators with reference='teacher' do without."
            )
        weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
        check_same_rows(X=X, y=y, **weights)
        X, y = indexed(X, y)
        weight = None if sample_weight is None else check_weights(sample_weight, X)
        if frozen and weight is not None and len(np.unique(weight[weight > 0.0])) > 1:
            raise ValueError(
                "sample_weight differs between rows, but student and teacher are frozen, and "
                "the exact bound of a share counts rows, each once. Leave sample_weight out, "
                "or hold out rows that are drawn as the rows to come are."
            )
        target = None
        if y is not None:
            for estimator in self._inner_estimators().values():
                refuse_unlabeled(estimator, y, "y")
            target = check_target(y, refuse_integers=True, at_least=1 + (not frozen))
            y = target.y if target.hard else y
        params = self._route(weight, fit_params)
        for name, estimator in self._inner_estimators().items():
            refuse_offset(estimator, params[name], name, type(self).__name__)
        train, held = self._split(X, y, target, frozen, params["splitter"])
        if weight is not None:
            held = held[weight[held] > 0.0]
        if len(held) == 0:
            raise ValueError("cv holds out no row with a positive weight; hold out more.")
        models = {
            name: self._fit_part(estimator, X, y, train, weight, params[name])
            for name, estimator in self._inner_estimators().items()
        }
        student = models["student"]
        teacher = models.get("teacher", getattr(student, "teacher_", None))
        models = {"student": student} | ({} if teacher is None else {"teacher": teacher})
        classes = pooled_classes(models, target)
        X_held = take(X, held)
        proba = _predict("student", student, X_held, classes)
        if self.reference == "y":
            reference = target.onto(classes)[held]
        else:
            reference = _predict("teacher", teacher, X_held, classes)
        self.curve_, chosen = certify(
            proba.max(axis=1),
            self._agrees(reference, proba),
            float(self.agreement),
            float(self.confidence_level),
        )
        n_answered, n_tested = self.curve_["n_answered"], self.curve_["n_answered"][-1]
        if chosen is None:
            least = least_rows(self.agreement, self.confidence_level)
            first = {name: values[0] for name, values in self.curve_.items()}
            warnings.warn(
                f"Nothing is certified, and the student answers no row. Of {n_tested} tested "
                f"rows {first['n_answered']} are above the strictest threshold, and it agrees "
                f"in {first['n_agreed']}, which bounds the share by "
                f"{first['lower_bound']:.3g}; agreement={self.agreement} takes at least "
                f"{least} rows. Hold out more, or lower agreement or confidence_level.",
                UserWarning,
                stacklevel=2,
            )
        self.threshold_ = np.inf if chosen is None else float(self.curve_["threshold"][chosen])
        self.coverage_ = 0.0 if chosen is None else float(n_answered[chosen] / n_tested)
        self.student_, self.teacher_, self.classes_ = student, teacher, classes
        self._set_features(student)
        return self

    def _check_parameters(self):
        check_parameters(self, **RULES)
        record = find(self.divergence, UNORDERED)
        record.check(self.divergence_params)
        if self.max_divergence is None and (record.name != "kl" or self.divergence_params):
            raise ValueError(
                f"divergence={self.divergence!r} needs max_divergence, up to which the "
                "student agrees."
            )
        for name, estimator in self._inner_estimators().items():
            check_has_proba(estimator, name)
            if is_frozen(estimator):
                check_is_fitted(estimator)
        # A student that will be fitted may have another teacher from a fit before.
        own = getattr(self.student, "teacher_" if is_frozen(self.student) else "teacher", None)
        if self.reference == "teacher" and self.teacher is None and own is None:
            raise ValueError(
                "There is no teacher to agree with: teacher is None, and the student has "
                "none. Set teacher, or reference='y'."
            )

    def _route(self, weight, fit_params):
        """Return the metadata of student, teacher and splitter by name."""
        routed = self._route_fit(weight, fit_params)
        inner = self._inner_estimators()
        if routed is not None:
            return {
                "splitter": routed.splitter.split,
                **{name: routed[name].fit for name in inner},
            }
        refuse_metadata("fit", fit_params, "student and teacher")
        consequence = "it is fitted without."
        return {"splitter": {}} | {
            name: weight_params(e, name, weight, consequence, stacklevel=5)
            for name, e in inner.items()
        }

    def _split(self, X, y, target, frozen, params):
        """Return the indices of the rows to fit to, and of those that are held out."""
        if frozen:
            return None, np.arange(num_samples(X))
        cv = self.cv
        if isinstance(cv, Real) and 0.0 < cv < 1.0:
            cv = ShuffleSplit(1, test_size=float(cv), random_state=self.random_state)
        train, held = next(iter(check_soft_cv(cv, target.values).split(X, y, **params)))
        rows = np.arange(num_samples(X))
        train, held = rows[train], rows[held]  # negative ones are others from the end
        if len(both := np.intersect1d(train, held)):
            raise ValueError(f"cv holds out row {both[0]}, and fits to it, too.")
        if (times := np.bincount(held, minlength=1)).max() > 1:
            raise ValueError(
                f"cv holds out row {times.argmax()} {times.max()} times; each may count once."
            )
        return train, held

    def _fit_part(self, estimator, X, y, train, weight, params):
        if is_frozen(estimator):
            return estimator
        if params:
            refuse_extreme_weights(weight, estimator)
        params = params_of_rows(X, params, train)
        return fit_to_target(clone(estimator), take(X, train), take(y, train), params)

    def _agrees(self, reference, proba):
        """Return in which rows the student agrees with codes or probabilities."""
        if self.max_divergence is None:
            codes = reference if reference.ndim == 1 else reference.argmax(axis=1)
            return proba.argmax(axis=1) == codes
        losses = row_losses(
            reference,
            proba,
            find(self.divergence),
            divergence_params=self.divergence_params,
            on_zero="inf",
        )
        return losses <= self.max_divergence

    @documented
    def deferred(self, X: Samples) -> NDArray[np.bool_]:
        """Tell which rows the student does not answer.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        deferred : ndarray of shape (n_samples,)
            True where the teacher is asked, or the classifier abstains.
        """
        return self._of_student(X)[1]

    def _of_student(self, X):
        """Return the student's probabilities, and which rows it does not answer."""
        check_is_fitted(self)
        proba = _predict("student", self.student_, X, self.classes_)
        return proba, proba.max(axis=1) < self.threshold_

    @documented
    def predict_proba(self, X: Samples) -> Floats:
        """Predict probabilities with the student, and with the teacher where it is asked.

        The teacher gets the deferred rows only, in the container that ``X`` is.

        %(X_to_proba)s

        Raises
        ------
        ValueError
            If rows are deferred, and there is no teacher.
        """
        return self._answers(X, log=False)

    @documented
    def predict_log_proba(self, X: Samples) -> Floats:
        """Predict log-probabilities with the student, and with the teacher where it is asked.

        %(X_to_log_proba)s

        Raises
        ------
        ValueError
            If rows are deferred, and there is no teacher.
        """
        return self._answers(X, log=True)

    def _answers(self, X, log):
        answers, deferred = self._of_student(X)
        rows = np.flatnonzero(deferred)
        if len(rows) and self.teacher_ is None:
            raise ValueError(
                f"{len(rows)} of {num_samples(X)} rows of X, row {rows[0]} first, are "
                "deferred, and there is no teacher to ask. Predict the others only: "
                "deferred(X) tells which these are."
            )
        if log:
            answers = _predict("student", self.student_, X, self.classes_, log)
        if len(rows) == 0:
            return answers
        of_teacher = _predict("teacher", self.teacher_, take(X, rows), self.classes_, log)
        answers = answers.astype(np.result_type(answers, of_teacher))
        answers[rows] = of_teacher
        return answers


def _predict(name, model, X, classes, log=False):
    """Return probabilities or their logarithms, with the columns ``classes``."""
    values = (log_probabilities if log else probabilities)(model, X, f"The {name}'s")
    return spread(model.classes_, values, classes, ABSENT[log])
