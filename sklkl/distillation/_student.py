"""What a student can learn from, and how it is fitted to probabilities."""

from copy import copy

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object, process_routing
from sklearn.utils.validation import (
    _check_method_params,
    has_fit_parameter,
    validate_data,
)

from sklkl._core.classes import check_classes, spread
from sklkl._core.names import shown
from sklkl._core.samples import take
from sklkl.distillation._teaching import temper
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV


def check_student(student, needs_goal, needs_proba):
    """Refuse a student that cannot learn what is asked, before a teacher is fitted.

    Parameters
    ----------
    student : estimator
    needs_goal : str
        What only a plain logistic regression can learn, for the message; empty if nothing.
    needs_proba : bool
        Whether it has to predict probabilities.
    """
    name = type(student).__name__
    if isinstance(student, type) or not hasattr(student, "fit"):
        raise TypeError(f"The student must be a classifier, an instance; got {student!r}.")
    if is_regressor(student):
        raise TypeError(f"The student {name} is a regressor; use a classifier.")
    if needs_goal and not _is_plain(student):
        raise ValueError(
            f"{needs_goal} are for SoftLabelLogisticRegression, by itself or at the end of a "
            f"sklearn.pipeline.Pipeline; got the student {name}. Search from outside, over "
            "the student__ parameters, or set temperature=1 and divergence='kl'."
        )
    for search in searches(student):
        _check_search(search)
    told = classes_of_student(student)
    if told is not None:
        check_classes(told, "classes of the student")
    if learns_from_probabilities(student):
        if not has_search(student):  # which may replace what is bad
            innermost(student)._check_parameters()
        return
    if has_search(student):
        raise TypeError(
            "The student is a search over a classifier that needs labels; its folds "
            "would share samples. Search from outside, over the student__ parameters."
        )
    if weight_name(student) is None:
        raise TypeError(
            f"The student {name} learns neither from probabilities, "
            "nor has its fit an argument sample_weight. Use SoftLabelLogisticRegression, "
            "or a classifier whose fit has."
        )
    if needs_proba and not hasattr(student, "predict_proba"):
        raise TypeError(
            f"hard_label_weight='auto' compares log losses, but the student {name} has no "
            "predict_proba; set a number."
        )


def _check_search(search):
    """Refuse a search that leaves no student, or names parameters that there are not."""
    if not getattr(search, "refit", True):
        raise ValueError(
            "The student is a search with refit=False, which leaves no student; set "
            "refit=True."
        )
    if isinstance(getattr(search, "scoring", None), str):
        raise ValueError(
            f"The student is a search with scoring={search.scoring!r}, which scores labels, "
            "but its targets are probabilities; set scoring to a scorer of sklkl.metrics, as "
            "get_scorer('neg_kl_loss')."
        )
    grids = getattr(search, "param_grid", getattr(search, "param_distributions", {}))
    known = search.estimator.get_params()
    for grid in [grids] if isinstance(grids, dict) else list(grids):
        # The parameters of an estimator that the grid itself puts in are not known yet.
        unknown = [
            name
            for name in grid
            if name not in known and not any(name.startswith(f"{other}__") for other in grid)
        ]
        if unknown:
            raise ValueError(
                f"The student is a search over {unknown}, which its estimator "
                f"{type(search.estimator).__name__} has not; its parameters are "
                f"{shown(sorted(known))}."
            )


def check_samples(student, X):
    """Refuse samples that a logistic regression by itself cannot learn from."""
    if isinstance(student, SoftLabelLogisticRegression | SoftLabelLogisticRegressionCV):
        dtype = [np.float64, np.float32]
        try:
            validate_data(clone(student), X, accept_sparse="csr", dtype=dtype)
        except ValueError as error:
            raise ValueError(f"X is not for the student: {error}") from error


def refuse_extreme_weights(weight, estimator):
    """Refuse weights from whose squares an estimator of another library makes nonsense."""
    if weight is None or type(innermost(estimator)).__module__.startswith("sklkl."):
        return
    largest = np.max(weight)
    if not 1e-100 <= largest <= 1e100:
        raise ValueError(
            f"sample_weight goes up to {largest:.3g}, which is out of the range that "
            f"{type(innermost(estimator)).__name__} computes with; divide it by its largest "
            "value."
        )


def check_weights_arrive(student):
    """Refuse a pipeline or search whose routing keeps weights from its last step."""
    if not get_config()["enable_metadata_routing"] or _inner(student) is None:
        return
    key = weight_request(student)
    process_routing(student, "fit", **{key: np.ones(1)})
    last = innermost(student)
    if not get_routing_for_object(last).consumes("fit", [key]):
        raise ValueError(
            f"The student's last step, {type(last).__name__}, does not request sample_weight, "
            "by which it learns what the teacher says; call "
            "set_fit_request(sample_weight=True) on it."
        )


def fit_student(student, X, lesson, params):
    """Return a fitted clone of a student.

    Parameters
    ----------
    student : estimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    lesson : Lesson
    params : dict
        Metadata for ``fit``, without weights.

    Returns
    -------
    estimator
        It predicts at temperature 1 if it ``learns_from_probabilities``, otherwise at the
        temperature of the lesson.
    """
    student = clone(student)
    path = soft_student_path(student)
    mixed = lesson.mixed()
    if path is None:
        return _fit_on_rows(student, X, lesson.classes, *mixed, params)
    return _fit_logistic(student, path, X, lesson, mixed, params)


def _fit_logistic(student, path, X, lesson, mixed, params):
    """Fit a student that ends in a logistic regression of this library."""
    if has_search(student):
        return _fit_search(student, path, X, lesson, *mixed, params)
    learned = {
        "classes": lesson.classes,
        "temperature": lesson.temperature,
        "divergence": lesson.divergence,
        "divergence_params": lesson.divergence_params,
    }
    student.set_params(**{path + name: value for name, value in learned.items()})
    if mixed is not None:
        target, metadata = mixed[0], {"sample_weight": mixed[1]}
    else:
        target, metadata = lesson.proba, {"sample_weight": lesson.weight}
        if lesson.label_weight is not None:
            hard = lesson.labels.ndim == 1
            labels = lesson.classes[lesson.labels] if hard else lesson.labels
            metadata |= {"labels": labels, "label_weight": lesson.label_weight}
    routed = get_config()["enable_metadata_routing"]
    if routed and "labels" in metadata:
        innermost(student).set_fit_request(labels=True, label_weight=True)
    for name, value in metadata.items():
        if name == "sample_weight":
            name = _weight_key(student)
        elif not routed:
            name = path + name
        if value is not None:
            params = {**params, name: value}
    return student.fit(X, target, **params)


def _fit_search(student, path, X, lesson, target, weight, params):
    """Fit a search, whose scorers compare predictions at the temperature of the target.

    So it searches for the coefficients divided by the temperature.
    """
    T = lesson.temperature
    student.set_params(**{f"{path}classes": lesson.classes})
    if weight is not None:
        params = {**params, _weight_key(student): weight}
    tol = student.get_params()[f"{path}tol"]
    used = tol / (max(T, 1.0) if lesson.label_weight is None else T)
    student.set_params(**{f"{path}tol": used}).fit(X, target, **params)
    logistic = innermost(student)
    if logistic.tol == used:  # not one that a search chose
        logistic.tol = tol
    student.set_params(**{f"{path}tol": tol})
    logistic.coef_ *= T
    logistic.intercept_ *= T
    return student


def _fit_on_rows(student, X, classes, target, weight, params):
    """Fit a student that needs labels: a weighted row per sample and class.

    Rows of weight 0 stay, so that a scaler in front of the student sees every sample
    equally often.
    """
    n_samples, n_classes = target.shape
    rows = np.repeat(np.arange(n_samples), n_classes)
    params = _check_method_params(X, params, indices=rows)
    of_rows = target if weight is None else target * weight[:, np.newaxis]
    labels = np.tile(classes, n_samples)
    return student.fit(
        take(X, rows), labels, **{**params, _weight_key(student): of_rows.ravel()}
    )


def learns_from_probabilities(student):
    """Return whether a student is, or ends in, a logistic regression of this library."""
    return soft_student_path(student) is not None


def predict_proba_at_1(student, X, classes, temperature):
    """Return probabilities of ``classes``, at temperature 1, of a student."""
    proba = student.predict_proba(X)
    if learns_from_probabilities(student):
        return proba
    return temper(spread(student.classes_, proba, classes), 1.0 / temperature)


def to_sklearn(estimator):
    """Return an estimator that predicts the same without this library."""
    if isinstance(estimator, Pipeline):
        converted = copy(estimator)
        name, last = estimator.steps[-1]
        converted.steps = [*estimator.steps[:-1], (name, to_sklearn(last))]
        return converted
    if hasattr(estimator, "best_estimator_"):
        return to_sklearn(estimator.best_estimator_)
    if hasattr(estimator, "to_sklearn"):
        return estimator.to_sklearn()
    inside = [estimator, *estimator.get_params().values()]
    own = [type(e).__name__ for e in inside if type(e).__module__.startswith("sklkl.")]
    if own:
        raise ValueError(
            f"The student holds {', '.join(dict.fromkeys(own))}, for which scikit-learn has "
            "nothing that predicts the same; only logistic regressions, alone, in searches or "
            "at the end of pipelines, are converted by to_sklearn."
        )
    return estimator


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


def searches(estimator):
    """Return the searches that an estimator is, or ends in."""
    found = []
    while (inner := _inner(estimator)) is not None:
        if not isinstance(estimator, Pipeline):
            found.append(estimator)
        _, estimator = inner
    return found


def has_search(estimator):
    """Return whether an estimator is, or ends in, a search."""
    return bool(searches(estimator))


def innermost(estimator):
    """Return the estimator inside pipelines and searches."""
    while (inner := _inner(estimator)) is not None:
        _, estimator = inner
    return estimator


def _is_plain(student):
    """Return whether a student is a logistic regression, alone or behind transformers.

    Other pipelines than scikit-learn's may change the rows, which labels would not follow.
    """
    while type(student) is Pipeline:
        student = student.steps[-1][1]
    return isinstance(student, SoftLabelLogisticRegression)


def classes_of_student(student):
    """Return the classes that a student was told, None if none."""
    path = soft_student_path(student)
    return student.get_params().get(f"{path or ''}classes")


def soft_student_path(student):
    """Return the prefix of the parameters of the logistic regression in a student.

    None if there is none: the student does not learn from probabilities.
    """
    path = ""
    while (inner := _inner(student)) is not None:
        prefix, student = inner
        path += prefix
    learns = (SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV)
    return path if isinstance(student, learns) else None


def weight_name(estimator):
    """Return the name under which ``fit`` passes weights to the innermost estimator."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = weight_name(last)
        return None if inner is None else f"{name}__{inner}"
    inner = _inner(estimator)
    if inner is not None:
        return weight_name(inner[1])
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def weight_request(student):
    """Return the name by which metadata hold the weights of a student.

    It is another one than ``sample_weight`` if the last step of a pipeline requests that.
    """
    if not get_config()["enable_metadata_routing"] or _inner(student) is None:
        return "sample_weight"
    of_fit = getattr(get_routing_for_object(innermost(student)), "fit", None)
    alias = None if of_fit is None else of_fit.requests.get("sample_weight")
    renamed = isinstance(alias, str) and alias.isidentifier()
    return alias if renamed else "sample_weight"


def _weight_key(estimator):
    routed = get_config()["enable_metadata_routing"]
    return weight_request(estimator) if routed else weight_name(estimator)


def rename_weight(params, estimator):
    """Return metadata with weights under the name that reaches the innermost estimator."""
    params = dict(params)
    if "sample_weight" in params:
        weight = params.pop("sample_weight")
        params[weight_name(estimator)] = weight
    return params
