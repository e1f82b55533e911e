"""Fitting models, to labels or soft targets, and asking them for probabilities."""

import warnings
from inspect import signature

import numpy as np
from scipy.special import log_softmax
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from sklkl._core.devices import floating, on_host
from sklkl._core.distributions import normalized
from sklkl._core.names import shown
from sklkl._core.samples import is_unlabeled, n_rows, take
from sklkl._core.sklearn import params_of_rows

# The probability of a class that a model never saw, and its logarithm.
ABSENT = 0.0, -np.inf


def check_has_proba(model, name):
    """Refuse a model that predicts no probabilities."""
    if isinstance(model, type):
        raise TypeError(f"The {name} {model.__name__} is a class; pass an instance.")
    if not hasattr(model, "predict_proba"):
        raise TypeError(
            f"The {name} {type(model).__name__} has no predict_proba; calibrate it, e.g. "
            "with sklkl.calibration.SoftCalibratedClassifierCV."
        )


def predict_columns(model, X, method="predict_proba", owner=None, *, stays=False, **params):
    """Return predictions as floating-point numbers, with a column for each class of a model.

    ``method`` is "predict_proba", "predict_log_proba" or "decision_function"; ``owner`` names
    the model in messages, as "The teacher's", by default by its class. Predictions are on the
    host, unless ``stays``: then they are where the model leaves them. ``params`` are further
    arguments of the method.
    """
    if isinstance(model, type):
        raise TypeError(f"{model.__name__} is a class; pass a fitted {model.__name__}().")
    kind, name = type(model).__name__, _name_of(model, method, owner)
    if not hasattr(model, method):
        raise TypeError(
            f"The estimator {kind} has no {method}; calibrate it, e.g. with "
            "sklkl.calibration.SoftCalibratedClassifierCV."
        )
    with np.errstate(divide="ignore"):  # some take the logarithm of their zeros
        predicted = getattr(model, method)(X, **params)
    if not hasattr(model, "classes_"):
        raise TypeError(f"{name}: the fitted {kind} has no classes_.")
    # A classifier of several outputs may take the columns of y for these; it returns a list.
    if isinstance(predicted, list):
        raise ValueError(
            f"{name} returned {len(predicted)} arrays, one for each column of y; pass labels "
            f"to {kind}, which does not learn from soft targets."
        )
    predicted = floating(predicted if stays else on_host(predicted, name), name)
    if predicted.ndim != 2 or predicted.shape[1] != len(model.classes_):
        raise ValueError(
            f"{name} returned an array of shape {tuple(predicted.shape)}, without a column "
            f"for each of the {len(model.classes_)} classes_, {shown(model.classes_)}."
        )
    if predicted.shape[0] != (n_samples := n_rows(X, "X")):
        raise ValueError(
            f"{name} and X have inconsistent numbers of samples: {predicted.shape[0]} and "
            f"{n_samples}."
        )
    return predicted


def _name_of(model, method, owner):
    return f"{type(model).__name__}.{method}" if owner is None else f"{owner} {method}"


def probabilities(model, X, owner=None):
    """Return the probability vectors of ``predict_columns``, of sum 1 to rounding."""
    name = _name_of(model, "predict_proba", owner)
    return normalized(predict_columns(model, X, owner=owner), name)


def log_probabilities(model, X, owner=None):
    """Return the logarithms of ``probabilities``: the model's own, if it has any."""
    method = "predict_log_proba"
    if not hasattr(model, method):
        with np.errstate(divide="ignore"):
            return np.log(probabilities(model, X, owner))
    logs = predict_columns(model, X, method, owner)
    proba = np.exp(logs)
    same = normalized(proba, _name_of(model, method, owner)) is proba
    return logs if same else log_softmax(logs, axis=1)


def compares_pairs(model):
    """Return whether the ``decision_function`` of a model has a column for each pair."""
    params = model.get_params() if hasattr(model, "get_params") else {}
    return any(k.endswith("decision_function_shape") and v == "ovo" for k, v in params.items())


def proba_or_logits(model, X):
    """Return the probabilities of a model; without these, a logit for each class."""
    if hasattr(model, "predict_proba"):
        return predict_columns(model, X)
    if len(model.classes_) == 2:
        logits = np.asarray(model.decision_function(X))
        return np.column_stack([np.zeros_like(logits), logits])
    if compares_pairs(model):
        raise ValueError(
            f"decision_function of {type(model).__name__} compares pairs of classes; set "
            "decision_function_shape='ovr'."
        )
    return predict_columns(model, X, "decision_function")


def refuse_unlabeled(model, y, name):
    """Refuse targets with samples that the ``unlabeled`` of a model marks."""
    marker = getattr(innermost(model), "unlabeled", None)
    if marker is not None and is_unlabeled(y, marker).any():
        raise ValueError(
            f"{name} holds {marker!r}, which marks samples without a label; leave these out, "
            "and let the test folds hold labelled samples only."
        )


def fit_to_target(model, X, y, params):
    """Fit a model, with advice if it does not learn from soft targets."""
    try:
        return model.fit(X, y, **params)
    except ValueError as error:
        if np.ndim(y) == 1:
            raise
        raise ValueError(
            f"{type(model).__name__}.fit refused soft targets: {error}\nIf it learns from "
            "labels only, fit it to labels; inside another estimator, wrap it in "
            "sklearn.frozen.FrozenEstimator then."
        ) from error


def fit_clone(model, X, y, params):
    """Return a clone that is fitted to labels or soft targets; a frozen model as it is."""
    return model if is_frozen(model) else fit_to_target(clone(model), X, y, params)


def fit_and_predict(model, X, y, train, X_test, params, predict):
    """Fit a clone to the rows ``train`` of X and y, and let it predict X_test.

    ``params`` is the metadata of all rows for ``fit``. Returns the fitted clone and
    ``predict(clone, X_test)``.
    """
    params = params_of_rows(X, params, train)
    fitted = fit_to_target(clone(model), take(X, train), take(y, train), params)
    return fitted, predict(fitted, X_test)


def check_partition(tests, n_samples):
    """Refuse test sets that are not a partition of the samples."""
    order = np.concatenate([np.empty(0, dtype=np.intp), *tests])
    if not np.array_equal(np.sort(order), np.arange(n_samples)):
        raise ValueError(
            "Every sample must be in exactly one test set; use a splitter such as "
            "StratifiedSoftKFold."
        )


def is_frozen(model):
    """Return whether fitting a model changes nothing."""
    return isinstance(model, FrozenEstimator)


def inner_estimator(model):
    """Return ``(prefix of its parameters, estimator)`` of a pipeline or search, else None."""
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        return f"{name}__", last
    if hasattr(model, "best_estimator_"):
        return "estimator__", model.best_estimator_
    if hasattr(model, "param_grid") or hasattr(model, "param_distributions"):
        return "estimator__", model.estimator
    return None


def innermost(model):
    """Return the estimator at the end of pipelines and inside searches."""
    while (inner := inner_estimator(model)) is not None:
        _, model = inner
    return model


def metadata_name(model, name):
    """Return the keyword by which ``fit`` passes an argument to the innermost estimator.

    With metadata routing that is the alias which the last step of a pipeline requests;
    without, ``step__name``; None if the innermost estimator takes no such argument.
    """
    if get_config()["enable_metadata_routing"]:
        request = getattr(get_routing_for_object(innermost(model)), "fit", None)
        alias = None if request is None else request.requests.get(name)
        renamed = isinstance(alias, str) and alias.isidentifier()
        return alias if renamed and inner_estimator(model) is not None else name
    prefix = ""
    while (inner := inner_estimator(model)) is not None:
        if isinstance(model, Pipeline):  # a search passes on what it gets
            prefix += inner[0]
        _, model = inner
    return prefix + name if takes(model, name) else None


def takes(model, name):
    """Return whether ``fit`` takes an argument, or hands keywords on to a base that does."""
    if has_fit_parameter(model, name):
        return True
    for base in type(model).__mro__:
        if "fit" in vars(base):
            parameters = signature(base.fit).parameters
            if name in parameters:
                return True
            if all(p.kind != p.VAR_KEYWORD for p in parameters.values()):
                break
    return False


def weight_params(model, name, weight, consequence, stacklevel=4):
    """Return the arguments that hand weights to ``fit``; warn if it takes none.

    Without metadata routing, which knows by itself. ``consequence`` ends the warning.
    """
    if weight is None or model is None or is_frozen(model):
        return {}
    key = metadata_name(model, "sample_weight")
    if key is None:
        warnings.warn(
            f"The {name} {type(model).__name__} takes no sample_weight; {consequence}",
            UserWarning,
            stacklevel=stacklevel,
        )
        return {}
    return {key: weight}


def refuse_offset(model, params, name, owner):
    """Refuse a model that predicts with an offset, for an owner that hands on none.

    ``params`` is the metadata that the model is to be fitted with.
    """
    if is_frozen(model):
        needs = getattr(innermost(model.estimator), "needs_offset_", False)
    else:
        bases = type(innermost(model)).__mro__
        own = any(base.__module__.startswith("sklkl.") for base in bases)
        needs = own and metadata_name(model, "offset") in params
    if needs:
        raise ValueError(
            f"The {name} {type(model).__name__} is fitted with an offset, and would need one "
            f"to predict, which {owner} does not hand on. Fit it without, or by itself."
        )


def refuse_extreme_weights(weight, model):
    """Refuse weights whose squares a model of another library cannot compute with."""
    if weight is None or type(innermost(model)).__module__.startswith("sklkl."):
        return
    largest = np.max(weight)
    if not 1e-100 <= largest <= 1e100:
        raise ValueError(
            f"sample_weight goes up to {largest:.3g}, which is out of the range that "
            f"{type(innermost(model)).__name__} computes with; divide it by its largest "
            "value."
        )
