"""A classifier taught by another one's probabilities."""

import warnings
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    Bunch,
    _safe_indexing,
    check_consistent_length,
    get_tags,
)
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_method_params,
    check_is_fitted,
    has_fit_parameter,
)

from sklkl._base import SoftLabelClassifierMixin
from sklkl._targets import check_rows, check_target, check_weights, spread
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics._scorers import check_has_proba
from sklkl.model_selection._validation import fit_to_target


def _student_has(method):
    def check(self):
        student = self.student_ if hasattr(self, "student_") else self._student()
        getattr(student, method)  # its AttributeError says what is missing
        return True

    return check


class DistilledClassifier(MetaEstimatorMixin, SoftLabelClassifierMixin, BaseEstimator):
    r"""Student classifier fitted to the probabilities of a teacher.

    The teacher is fitted to the labelled samples and predicts probabilities for all
    samples, labelled or not; the student is fitted to these by minimising the KL divergence
    of the teacher to the student.

    Parameters
    ----------
    teacher : estimator
        Classifier with ``predict_proba``. It is cloned and fitted, unless it is wrapped in
        ``sklearn.frozen.FrozenEstimator``.
    student : estimator, default=None
        Classifier to fit, by default ``SoftLabelLogisticRegression()``. That one and
        ``SoftLabelLogisticRegressionCV``, also as the last step of a pipeline or inside a
        search, learn from the probabilities themselves. Any other classifier gets every
        sample once per class with the probabilities as ``sample_weight``, which it must
        support, and request if it is a pipeline and metadata routing is enabled. Beware of
        one that splits its data, for early stopping say: it splits these rows.
    temperature : float, default=1.0
        The teacher's probabilities p become proportional to p^(1/temperature), and the
        student learns them at the same temperature; it predicts at temperature 1. Values
        above 1 stress what the teacher says of improbable classes; zeros stay zeros. The
        divergence counts temperature² times, so that ``C`` of the default student keeps its
        meaning (an L1 norm counts temperature times).
    unlabeled : object, default=None
        The value in ``y`` that marks a sample without a label, as -1; in a soft ``y``, in
        every column. None if all samples have labels. ``score`` leaves such samples out.
        The scorers of ``sklkl.metrics`` refuse the marker, scikit-learn's own take it for a
        label: let the test folds of a search hold labelled samples only.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher.
    student_ : estimator
        The fitted student. A logistic student predicts at temperature 1 by itself, so it
        can be deployed alone; another one learned, and predicts, at ``temperature``, as does
        every ``loss_`` or score that the student recorded while it was fitted.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_features_in_ : int
        Number of features, if the student counts them.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if the student knows them.

    See Also
    --------
    sklkl.linear_model.SoftLabelLogisticRegression : The default student.

    References
    ----------
    Hinton, G., Vinyals, O. and Dean, J. (2015). Distilling the Knowledge in a Neural
    Network. arXiv:1503.02531.

    Bucilă, C., Caruana, R. and Niculescu-Mizil, A. (2006). Model Compression. KDD.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklkl.distillation import DistilledClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = RandomForestClassifier(min_samples_leaf=5, random_state=0)
    >>> model = DistilledClassifier(teacher, temperature=2.0).fit(X, y)
    >>> model.student_.coef_.shape
    (3, 4)
    >>> round(model.score(X, y), 2)
    0.96
    """

    # The teacher and the student consume weights, each as it requests; this class routes.
    __metadata_request__fit = {"sample_weight": UNUSED}  # noqa: RUF012

    def __init__(self, teacher, student=None, *, temperature=1.0, unlabeled=None):
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.unlabeled = unlabeled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = [get_tags(self.teacher).input_tags, get_tags(self._student()).input_tags]
        tags.input_tags.sparse = all(t.sparse for t in inner)
        tags.input_tags.allow_nan = all(t.allow_nan for t in inner)
        return tags

    def get_metadata_routing(self):
        """Say which metadata go where: those of ``fit`` to teacher and student.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The router.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(teacher=self.teacher, method_mapping=mapping)
            .add(student=self._student(), method_mapping=mapping)
        )

    def fit(self, X, y=None, sample_weight=None, **fit_params):
        """Fit the teacher, then the student to what it says of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, labelled or not.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Labels, or soft targets if the teacher takes those; ``unlabeled`` where there
            is none. May be left out if the teacher is frozen.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples for teacher and student. If metadata routing is enabled,
            each gets what it requests.
        **fit_params : dict
            Further metadata for the teacher and the student, if routing is enabled.

        Returns
        -------
        self : DistilledClassifier
            The fitted classifier.

        Raises
        ------
        TypeError
            If the teacher has no ``predict_proba``, or the student learns neither from
            probabilities nor with ``sample_weight``.
        ValueError
            If ``y`` is missing or bad, or the classes of teacher and student differ.
        """
        temperature = self.temperature
        is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
        if not is_number or not 0 < temperature < np.inf:
            raise ValueError(f"temperature must be a number > 0; got {temperature!r}.")
        check_has_proba(self.teacher, "teacher")
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, X)
        params = self._route(sample_weight, fit_params)
        teacher = self._fit_teacher(X, y, params.teacher.fit)
        proba = np.asarray(teacher.predict_proba(X))
        classes = np.asarray(teacher.classes_)
        if proba.ndim != 2 or proba.shape[1] != len(classes):
            raise ValueError(
                f"The teacher's predict_proba has shape {proba.shape}, not a column for each "
                f"of its classes, {classes.tolist()}."
            )
        check_consistent_length(X, proba)
        check_rows(proba, "The teacher's predict_proba")
        student, classes = self._fit_student(X, proba, classes, params.student.fit)
        self.teacher_, self.student_, self.classes_ = teacher, student, classes
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.student_, name):
                setattr(self, name, getattr(self.student_, name))
            elif hasattr(self, name):
                delattr(self, name)
        return self

    def _student(self):
        return SoftLabelLogisticRegression() if self.student is None else self.student

    def _route(self, sample_weight, fit_params):
        """Return the metadata of ``teacher.fit`` and ``student.fit``."""
        if sample_weight is not None:
            fit_params = {**fit_params, "sample_weight": sample_weight}
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **fit_params)
        extra = set(fit_params) - {"sample_weight"}
        if extra:
            raise TypeError(
                f"fit got {sorted(extra)}; to pass metadata to teacher and student, use "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        teacher_params = dict(fit_params)
        if fit_params and _weight_name(self.teacher) is None:
            if not isinstance(self.teacher, FrozenEstimator):
                warnings.warn(
                    f"The teacher {type(self.teacher).__name__} takes no sample_weight; "
                    "the weights enter the student alone.",
                    UserWarning,
                    stacklevel=3,
                )
            teacher_params = {}
        return Bunch(
            teacher=Bunch(fit=_rename_weight(teacher_params, self.teacher)),
            student=Bunch(fit=fit_params),
        )

    def _fit_teacher(self, X, y, params):
        teacher = clone(self.teacher)
        if y is None:
            if not isinstance(teacher, FrozenEstimator):
                raise ValueError(
                    f"This {type(self).__name__} estimator requires y to be passed, but the "
                    "target y is None. Wrap a fitted teacher in FrozenEstimator to distil "
                    "it without labels."
                )
            return teacher
        check_consistent_length(X, y)
        frozen = isinstance(teacher, FrozenEstimator)
        if frozen:
            check_is_fitted(teacher)
        if self.unlabeled is not None:
            if frozen and is_unlabeled(y, self.unlabeled).all():
                return teacher
            X, y, params = self._labeled(X, y, params)
        if frozen:
            check_target(y, classes=teacher.classes_, refuse_integers=True)
            return teacher
        classes, target = check_target(y, refuse_integers=True)
        if target.ndim == 1:
            y = classes[target]
        return fit_to_target(teacher, X, y, params)

    def _fit_student(self, X, proba, classes, params):
        student = clone(self._student())
        path = _soft_student_path(student)
        if path is None:
            return self._fit_on_rows(student, X, proba, classes, params), classes
        if _has_search(student) and not getattr(student, "refit", True):
            raise ValueError(
                "The student is a search with refit=False, which leaves no student; set "
                "refit=True."
            )
        wanted = student.get_params()[f"{path}classes"]
        if wanted is None:
            student.set_params(**{f"{path}classes": classes})
        else:
            proba = spread(classes, proba, wanted)
        if not get_config()["enable_metadata_routing"]:
            params = _rename_weight(params, student)
        # With coefficients W = temperature * V, fitting V to the tempered probabilities is
        # fitting W to the divergence times temperature^2; gradients differ by that factor.
        tol = student.get_params()[f"{path}tol"]
        student.set_params(**{f"{path}tol": tol / self.temperature})
        student.fit(X, temper(proba, self.temperature), **params)
        logistic = _innermost(student)
        if logistic.tol == tol / self.temperature:  # not one that a search chose
            logistic.tol = tol
        student.set_params(**{f"{path}tol": tol})
        logistic.coef_ *= self.temperature
        logistic.intercept_ *= self.temperature
        return student, student.classes_

    def _fit_on_rows(self, student, X, proba, classes, params):
        """Fit a student that needs labels: a weighted row per sample and class.

        Rows of weight 0 stay, so that a scaler in front of the student sees every sample
        equally often.
        """
        name = _weight_name(student)
        if _has_search(student):
            raise TypeError(
                "The student is a search over a classifier that needs labels; its folds "
                "would share samples. Search from outside, over the student__ parameters."
            )
        if name is None:
            raise TypeError(
                f"The student {type(student).__name__} learns neither from probabilities, "
                "nor has its fit an argument sample_weight. Use SoftLabelLogisticRegression, "
                "or a classifier whose fit has."
            )
        n_samples, n_classes = proba.shape
        rows = np.repeat(np.arange(n_samples), n_classes)
        params = _check_method_params(X, params, indices=rows)
        weight = temper(proba, self.temperature).ravel()
        key = "sample_weight" if get_config()["enable_metadata_routing"] else name
        if "sample_weight" in params:
            weight = weight * params.pop("sample_weight")
        labels = np.tile(classes, n_samples)
        return student.fit(_take(X, rows), labels, **{**params, key: weight})

    def score(self, X, y, sample_weight=None):
        """Score the student on the labelled samples: accuracy for labels, D² if soft.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; ``unlabeled`` where there is none.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            ``sklearn.metrics.accuracy_score`` for labels,
            ``sklkl.metrics.d2_kl_score`` for soft targets.
        """
        if self.unlabeled is not None:
            X, y, params = self._labeled(X, y, {"sample_weight": sample_weight})
            sample_weight = params["sample_weight"]
        return super().score(X, y, sample_weight=sample_weight)

    def _labeled(self, X, y, params):
        """Return the labelled samples and their share of the metadata."""
        rows = np.flatnonzero(~is_unlabeled(y, self.unlabeled))
        if len(rows) == 0:
            raise ValueError(f"y has no labelled sample; all are {self.unlabeled!r}.")
        if len(rows) == len(y):
            return X, y, params
        return _take(X, rows), _take(y, rows), _check_method_params(X, params, indices=rows)

    def predict(self, X):
        """Predict labels with the student.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels from ``classes_``.
        """
        check_is_fitted(self)
        return self.student_.predict(X)

    @available_if(_student_has("predict_proba"))
    def predict_proba(self, X):
        """Predict probabilities with the student, at temperature 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row, columns as ``classes_``.
        """
        check_is_fitted(self)
        proba = self.student_.predict_proba(X)
        if _soft_student_path(self.student_) is not None:
            return proba
        proba = spread(self.student_.classes_, proba, self.classes_)
        return temper(proba, 1.0 / self.temperature)

    @available_if(_student_has("predict_proba"))
    def predict_log_proba(self, X):
        """Predict log-probabilities with the student, at temperature 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms, columns as ``classes_``.
        """
        check_is_fitted(self)
        if _soft_student_path(self.student_) is not None:
            return self.student_.predict_log_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_student_has("decision_function"))
    def decision_function(self, X):
        """Compute the student's decision function.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) if binary
            Logits at temperature 1 of a logistic student; otherwise what the student
            returns.
        """
        check_is_fitted(self)
        return self.student_.decision_function(X)


def temper(proba, temperature):
    """Return probabilities proportional to ``proba ** (1 / temperature)``.

    In logarithms, so that small probabilities do not underflow on the way; 0 stays 0.
    """
    if temperature == 1.0:
        return proba
    with np.errstate(divide="ignore"):
        logits = np.log(proba) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    tempered = np.exp(logits, out=logits)
    tempered /= tempered.sum(axis=1, keepdims=True)
    return tempered


def is_unlabeled(y, marker):
    """Return which samples carry the marker, in every column if ``y`` is soft."""
    # As objects, or NumPy would turn the NaN in a list of strings into the string "nan".
    values = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if values.dtype.kind == "O" or not isinstance(marker, Real | str):
        marked = np.array([_is_marker(v, marker) for v in values.ravel()], dtype=bool)
        marked = marked.reshape(values.shape)
    elif marker != marker:
        marked = values != values
    else:
        marked = values == marker
    return marked if values.ndim == 1 else marked.reshape(len(values), -1).all(axis=1)


def _is_missing(value):
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA, neither equal nor unequal to anything
        return True


def _is_marker(value, marker):
    if _is_missing(value) or _is_missing(marker):
        return _is_missing(value) and _is_missing(marker)
    return bool(value == marker)


def _take(X, rows):
    if issparse(X):
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = np.asarray(X)
    return _safe_indexing(X, rows)


def _inner(estimator):
    """Return ``(prefix of its parameters, estimator inside)``, or None at the innermost."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return f"{name}__", last
    if hasattr(estimator, "best_estimator_"):
        return "estimator__", estimator.best_estimator_
    if hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions"):
        return "estimator__", estimator.estimator
    return None


def _has_search(estimator):
    if not isinstance(estimator, Pipeline):
        return _inner(estimator) is not None
    return _has_search(estimator.steps[-1][1])


def _innermost(estimator):
    while (inner := _inner(estimator)) is not None:
        _, estimator = inner
    return estimator


def _soft_student_path(student):
    """Return the prefix of the parameters of the logistic regression in a student.

    None if there is none: the student does not learn from probabilities.
    """
    path = ""
    while (inner := _inner(student)) is not None:
        prefix, student = inner
        path += prefix
    learns = (SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV)
    return path if isinstance(student, learns) else None


def _weight_name(estimator):
    """Return the name under which ``fit`` passes weights to the innermost estimator."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = _weight_name(last)
        return None if inner is None else f"{name}__{inner}"
    inner = _inner(estimator)
    if inner is not None:
        return _weight_name(inner[1])
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def _rename_weight(params, estimator):
    params = dict(params)
    if "sample_weight" in params:
        weight = params.pop("sample_weight")
        params[_weight_name(estimator)] = weight
    return params
