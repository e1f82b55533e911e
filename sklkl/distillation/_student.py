"""Checks of a student, and its fit to probabilities."""

from copy import copy

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object, process_routing
from sklearn.utils.validation import validate_data

from sklkl._core.classes import check_classes, spread
from sklkl._core.distributions import check_rows
from sklkl._core.models import inner_estimator, innermost, metadata_name, predict_columns
from sklkl._core.names import shown
from sklkl._core.samples import take
from sklkl._core.sklearn import params_of_rows
from sklkl.distillation._boosting import booster_of, fit_boosted
from sklkl.distillation._composition import as_one_term
from sklkl.distillation._probability import temper
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.linear_model._loss import KL_SPELLINGS, ResolvedDivergence

# Parameters of a logistic student that a distillation sets.
LOSS_PARAMETERS = ("classes", "divergence", "divergence_params", "temperature")


def check_student(student, needs_proba):
    """Refuse a student that cannot learn from a teacher, before one is fitted.

    ``needs_proba`` is true if the student has to predict probabilities.
    """
    name = type(student).__name__
    if isinstance(student, type) or not hasattr(student, "fit"):
        raise TypeError(f"The student must be a classifier, an instance; got {student!r}.")
    if is_regressor(student):
        raise TypeError(f"The student {name} is a regressor; use a classifier.")
    _check_loss(student)
    for search in searches(student):
        _check_search(search)
    if (classes := classes_of_student(student)) is not None:
        check_classes(classes, "classes of the student")
    if learns_from_probabilities(student):
        if not has_search(student):  # which may replace what is bad
            innermost(student)._check_parameters()
        return
    if has_search(student):
        raise TypeError(
            "The student is a search over a classifier that needs labels; its folds "
            "would share samples. Search from outside, over the student__ parameters."
        )
    if metadata_name(student, "sample_weight") is None:
        raise TypeError(
            f"The student {name} learns neither from probabilities, "
            "nor has its fit an argument sample_weight. Use SoftLabelLogisticRegression, "
            "or a classifier whose fit has."
        )
    if needs_proba and not hasattr(student, "predict_proba"):
        raise TypeError(
            f"tune compares log losses, but the student {name} has no predict_proba; set "
            "tune=False."
        )


def refuse_several_terms(student, reason):
    """Refuse a student that learns one target at a time, if the loss has more for a reason."""
    if reason and not learns_from_probabilities(student):
        raise ValueError(
            f"{reason} are for SoftLabelLogisticRegression, also at the end of a pipeline or "
            f"in a search; got the student {type(student).__name__}. Set temperature=1 and "
            "divergence='kl'."
        )


def _check_loss(student):
    """Refuse a student with a loss of its own, which would be replaced."""
    path = soft_student_path(student)
    defaults = {"divergence": KL_SPELLINGS, "temperature": (1.0,)}
    for name in defaults if path is not None else ():
        own = student.get_params()[f"{path}{name}"]
        if own not in defaults[name]:
            raise ValueError(
                f"Set {name} of the DistilledClassifier, not of the student to {own!r}: it is "
                "what the student is fitted with."
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
    path = soft_student_path(search.estimator) or ""
    steps = path.split("__")[:-1]
    given = {f"{path}{name}" for name in LOSS_PARAMETERS}
    given |= {"__".join(steps[:i]) for i in range(1, len(steps) + 1)}
    for grid in [grids] if isinstance(grids, dict) else list(grids):
        if replaced := sorted(given & set(grid)):
            raise ValueError(
                f"The student is a search over {replaced}, by which it would lose its classes "
                "or the loss that it is fitted with; search over other parameters, and over "
                "those of the DistilledClassifier from outside."
            )
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


def check_weights_arrive(student):
    """Refuse a pipeline or search whose routing keeps weights from its last step."""
    if not get_config()["enable_metadata_routing"] or inner_estimator(student) is None:
        return
    key = metadata_name(student, "sample_weight")
    process_routing(student, "fit", **{key: np.ones(1)})
    last = innermost(student)
    if not get_routing_for_object(last).consumes("fit", [key]):
        raise ValueError(
            f"The student's last step, {type(last).__name__}, does not request sample_weight, "
            "by which it learns the teacher's probabilities; call "
            "set_fit_request(sample_weight=True) on it."
        )


def fit_student(student, X, classes, terms, params):
    """Return a clone of a student, fitted to ``terms`` as ``Composition.terms`` returns them.

    ``classes`` are the columns of targets; ``params`` is metadata for ``fit``, without
    weights. The student predicts at temperature 1 if it ``learns_from_probabilities``,
    otherwise at the temperature of the first term.
    """
    student = clone(student)
    path = soft_student_path(student)
    single = as_one_term(terms)
    if path is None:
        library = booster_of(student, single.target, params)
        data = X, classes, single.target, single.weight
        fitted = None if library is None else fit_boosted(library, student, *data)
        return _fit_on_rows(student, *data, params) if fitted is None else fitted
    first, *others = terms if single is None else [single]
    divergence = ResolvedDivergence(first.divergence, first.parameter)
    student.set_params(
        **{
            f"{path}classes": classes,
            f"{path}temperature": first.temperature,
            f"{path}divergence": divergence.name,
            f"{path}divergence_params": divergence.params,
        }
    )
    given = {"sample_weight": first.weight}
    for labels in others:
        given |= {"labels": labels.target, "label_weight": labels.weight}
        if labels.target.ndim == 1:
            given["labels"] = classes[labels.target]
        if get_config()["enable_metadata_routing"]:
            innermost(student).set_fit_request(labels=True, label_weight=True)
    of_terms = {metadata_name(student, k): v for k, v in given.items() if v is not None}
    student.fit(X, first.target, **params, **of_terms)
    student.set_params(**{f"{path}temperature": 1.0})
    innermost(student).set_params(temperature=1.0)
    return student


def _fit_on_rows(student, X, classes, target, weight, params):
    """Fit a student that needs labels: a weighted row per sample and class.

    Rows of weight 0 stay, so that a scaler in front of the student sees every sample
    equally often.
    """
    n_samples, n_classes = target.shape
    rows = np.repeat(np.arange(n_samples), n_classes)
    params = params_of_rows(X, params, rows)
    of_rows = target if weight is None else target * weight[:, np.newaxis]
    labels = np.tile(classes, n_samples)
    return student.fit(
        take(X, rows),
        labels,
        **{**params, metadata_name(student, "sample_weight"): of_rows.ravel()},
    )


def learns_from_probabilities(student):
    """Return whether a student is, or ends in, a logistic regression of this library."""
    return soft_student_path(student) is not None


def predict_proba_at_1(student, X, classes, temperature, **params):
    """Return probabilities of ``classes``, at temperature 1, of a student."""
    proba = predict_columns(student, X, owner="The student's", **params)
    if learns_from_probabilities(student):
        return proba
    # A booster that was told a loss of the user's own may return its raw scores.
    proba = check_rows(proba, "The student's predict_proba")
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


def searches(estimator):
    """Return the searches that an estimator is, or ends in."""
    found = []
    while (inner := inner_estimator(estimator)) is not None:
        if not isinstance(estimator, Pipeline):
            found.append(estimator)
        _, estimator = inner
    return found


def has_search(estimator):
    """Return whether an estimator is, or ends in, a search."""
    return bool(searches(estimator))


def classes_of_student(student):
    """Return the parameter ``classes`` of a student, None if it has none."""
    path = soft_student_path(student)
    return student.get_params().get(f"{path or ''}classes")


def soft_student_path(student):
    """Return the prefix of the parameters of the logistic regression in a student.

    None if there is none: the student does not learn from probabilities.
    """
    path = ""
    while (inner := inner_estimator(student)) is not None:
        prefix, student = inner
        path += prefix
    learns = (SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV)
    return path if isinstance(student, learns) else None
