"""Scorers: losses and scores as ``scorer(estimator, X, y)`` for model selection.

scikit-learn's own ``make_scorer`` hands a metric the positive column alone in binary
problems; rebuilding the other as 1 - p loses its digits. The scorers here call
``predict_proba`` themselves, match its columns to the target through ``classes_``, and
take the rest (metadata routing, multi-metric scoring, repr) from scikit-learn's base class.
"""

import inspect
from numbers import Real

import numpy as np
from sklearn.metrics._scorer import _BaseScorer

from sklkl._targets import check_target, frame_columns, match_columns
from sklkl.metrics._losses import ALIGNED, LOSSES, check_options, d2_kl, d2_kl_score


def _names():
    yield "d2_kl", d2_kl_score, d2_kl
    for name, loss in LOSSES.items():
        yield f"neg_{name}", loss, ALIGNED[name]


EMPTY = inspect.Parameter.empty

# scorer name -> (public metric, the same on matching columns)
METRICS = {name: (metric, aligned) for name, metric, aligned in _names()}


class DivergenceScorer(_BaseScorer):
    """Score an estimator's ``predict_proba`` against soft or hard targets.

    Made by ``make_divergence_scorer`` and ``get_scorer``. Greater is better.
    """

    def __init__(self, name, **kwargs):
        self.name = name
        metric, _ = METRICS[name]
        sign = -1 if name.startswith("neg_") else 1
        super().__init__(metric, sign, kwargs, response_method="predict_proba")

    def __repr__(self):
        kwargs = "".join(f", {key}={value!r}" for key, value in self._kwargs.items())
        return f"make_divergence_scorer({self.name!r}{kwargs})"

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        self._warn_overlap("These are set on the scorer, and passed as metadata.", kwargs)
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{type(estimator).__name__} has no predict_proba, which the scorer "
                f"{self.name!r} needs; calibrate it, e.g. with CalibratedClassifierCV."
            )
        marker = getattr(estimator, "unlabeled", None)
        if isinstance(marker, Real | str) and np.any(np.asarray(y_true) == marker):
            raise ValueError(
                f"y_true holds {marker!r}, which marks samples without a label; let the test "
                "folds hold labelled samples only."
            )
        target, proba = align(y_true, estimator.predict_proba(X), estimator.classes_)
        _, aligned = METRICS[self.name]
        return self._sign * aligned(target, proba, **{**self._kwargs, **kwargs})


def align(y_true, proba, classes):
    """Return ``(target, proba)`` with columns ``classes``, then labels unknown to them.

    A label of ``y_true`` that the model never saw gets a column of zeros: that is the
    probability the model gives it.
    """
    proba = np.asarray(proba)
    classes = np.asarray(classes)
    y_classes, target = check_target(y_true, name="y_true")
    if target.ndim == 1:
        position = {c: j for j, c in enumerate(classes.tolist())}
        if isinstance(y_classes.tolist()[0], str) != isinstance(classes.tolist()[0], str):
            raise ValueError(
                f"The labels in y_true, as {y_classes.tolist()[0]!r}, and the estimator's "
                f"classes, {classes.tolist()}, are of different types."
            )
        codes = [position.setdefault(c, len(position)) for c in y_classes.tolist()]
        if (n_unseen := len(position) - len(classes)) > 0:
            proba = np.column_stack([proba, np.zeros((len(proba), n_unseen), proba.dtype)])
        return np.array(codes, dtype=np.intp)[target], proba
    if frame_columns(y_true) is not None:
        target = match_columns(target, y_classes, classes, "y_true")
    if target.shape[1] != proba.shape[1]:
        raise ValueError(
            f"y_true has {target.shape[1]} columns, but the estimator knows {len(classes)} "
            f"classes, {classes.tolist()}."
        )
    return target, proba


def make_divergence_scorer(name, **kwargs):
    """Make a scorer of a loss or score, for ``scoring=`` in model selection.

    Parameters
    ----------
    name : str
        One of ``get_scorer_names()``, or the name of a loss or score, as "kl_loss".
    **kwargs : dict
        Arguments of the metric, as ``base`` or ``on_zero``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, a float; losses are negated, so
        that greater is better. In nats unless ``base`` says otherwise. ``y`` may hold
        labels or soft targets; columns are matched through ``estimator.classes_``, and a
        class that the estimator never saw has probability 0.

    Raises
    ------
    ValueError
        If there is no such metric or argument.

    See Also
    --------
    get_scorer : The scorer with default arguments.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklkl.metrics import make_divergence_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = make_divergence_scorer("kl_loss", base=2)
    >>> model = LogisticRegression(max_iter=1000)
    >>> round(float(cross_val_score(model, X, y, scoring=scorer).mean()), 1)
    -0.2
    """
    candidates = (name, f"neg_{name}", str(name).removesuffix("_score"))
    full_name = next((c for c in candidates if c in METRICS), None)
    if full_name is None:
        raise ValueError(f"There is no metric {name!r}; use one of {get_scorer_names()}.")
    metric, _ = METRICS[full_name]
    known = set(_keywords(metric)) - {"labels", "sample_weight"}
    unknown = set(kwargs) - known
    if unknown:
        raise ValueError(
            f"{metric.__name__} takes no {sorted(unknown)} in a scorer; it takes "
            f"{sorted(known)}."
        )
    missing = _required(metric) - set(kwargs)
    if missing:
        raise ValueError(f"{metric.__name__} needs {sorted(missing)}.")
    check_options(kwargs.get("base"), kwargs.get("on_zero", "clip"))
    return DivergenceScorer(full_name, **kwargs)


def _keywords(metric):
    """Keyword-only arguments of a metric, by name."""
    parameters = inspect.signature(metric).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _required(metric):
    return {name for name, default in _keywords(metric).items() if default is EMPTY}


def get_scorer(name):
    """Get a scorer by name, for ``scoring=`` in model selection.

    Parameters
    ----------
    name : str
        One of ``get_scorer_names()``, as "neg_kl_loss" or "d2_kl".

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, a float; greater is better. In
        nats where it has a unit.

    Raises
    ------
    ValueError
        If there is no such scorer.

    See Also
    --------
    make_divergence_scorer : The same with arguments.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer
    >>> get_scorer("neg_kl_loss")
    make_divergence_scorer('neg_kl_loss')
    """
    if name not in METRICS:
        raise ValueError(f"There is no scorer {name!r}; use one of {get_scorer_names()}.")
    if missing := _required(METRICS[name][0]):
        raise ValueError(
            f"{name!r} needs {sorted(missing)}; use make_divergence_scorer({name!r}, ...)."
        )
    return DivergenceScorer(name)


def get_scorer_names():
    """List the names that ``get_scorer`` takes.

    Returns
    -------
    names : list of str
        In alphabetical order, without those that need an argument, as the order of a Rényi
        divergence.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer_names
    >>> "neg_kl_loss" in get_scorer_names()
    True
    """
    return sorted(name for name, (metric, _) in METRICS.items() if not _required(metric))
