"""Scorers: losses and scores as ``scorer(estimator, X, y)`` for model selection.

scikit-learn's own ``make_scorer`` hands a metric the positive column alone in binary
problems; rebuilding the other as 1 - p loses its digits. The scorers here call
``predict_proba`` themselves, match its columns to the target through ``classes_``, and
take the rest (metadata routing, multi-metric scoring, repr) from scikit-learn's base class.
"""

import inspect
from collections import OrderedDict
from threading import Lock
from uuid import uuid4

import joblib
import numpy as np
from sklearn.metrics import get_scorer_names as sklearn_names
from sklearn.metrics._scorer import _BaseScorer

from sklkl._core.classes import spread
from sklkl._core.distributions import check_rows
from sklkl._core.models import check_has_proba, predict_columns, refuse_unlabeled
from sklkl._core.names import refuse_other_rows
from sklkl._core.samples import match_rows
from sklkl._core.targets import align_target, check_kind
from sklkl.metrics._losses import ALIGNED, LOSSES, check_options, d2_kl, d2_kl_score


def _names():
    yield "d2_kl", d2_kl_score, d2_kl
    for name, loss in LOSSES.items():
        yield f"neg_{name}", loss, ALIGNED[name]


EMPTY = inspect.Parameter.empty

# scorer name -> (public metric, the same on matching columns)
METRICS = {name: (metric, aligned) for name, metric, aligned in _names()}

# Names of divergences -> names of the scorers of their losses
ALIASES = {
    ("reverse_" if job.keywords["reverse"] else "") + job.keywords["divergence"].name: (
        f"neg_{loss}"
    )
    for loss, job in ALIGNED.items()
}


class ProbabilityMetric:
    """The signature of a metric, for who calls it with labels: it refuses.

    Parameters
    ----------
    metric : callable
    """

    def __init__(self, metric):
        self.metric = metric
        self.__name__ = metric.__name__

    @property
    def __signature__(self):
        return inspect.signature(self.metric)

    def __call__(self, y_true, y_pred, **kwargs):
        """Raise TypeError."""
        raise TypeError(
            f"{self.__name__} scores probabilities, which a decision threshold does not "
            "change; tune thresholds by a score of labels, such as 'balanced_accuracy'."
        )


class DivergenceScorer(_BaseScorer):
    """Score an estimator's ``predict_proba`` against soft or hard targets.

    Made by ``make_divergence_scorer`` and ``get_scorer``. Greater is better.
    """

    def __init__(self, name, **kwargs):
        self.name = name
        metric, _ = METRICS[name]
        sign = -1 if name.startswith("neg_") else 1
        # scikit-learn reads the signature, and calls it to tune thresholds.
        super().__init__(ProbabilityMetric(metric), sign, kwargs, "predict_proba")

    def __repr__(self):
        return f"make_divergence_scorer({self.name!r}{self._options()})"

    def _options(self):
        return "".join(f", {key}={value!r}" for key, value in self._kwargs.items())

    def _score(self, method_caller, estimator, X, y_true=None, **kwargs):
        self._warn_overlap("These are set on the scorer, and passed as metadata.", kwargs)
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{type(estimator).__name__} has no predict_proba, which the scorer "
                f"{self.name!r} needs; calibrate it, e.g. with "
                "sklkl.calibration.SoftCalibratedClassifierCV."
            )
        self._check_given(estimator, X, y_true, kwargs.get("sample_weight"))
        # Of several scorers each gets the predictions of the first.
        cache = getattr(method_caller, "args", (None,))[0]
        cache = {} if cache is None else cache
        if PREDICTIONS not in cache:
            cache[PREDICTIONS] = predict_columns(estimator, X)
        proba = cache[PREDICTIONS]
        target, classes = self._target(X, y_true, estimator.classes_)
        # A single row would be repeated.
        match_rows(y_true=target, y_proba=proba)
        options = {**self._kwargs, **kwargs}
        spread_to = {"classes": estimator.classes_, "wanted": classes}
        has_logs = hasattr(estimator, "predict_log_proba")
        tiny = np.finfo(proba.dtype).tiny
        exact = options.get("on_zero", "clip") != "clip"
        if exact and has_logs and (proba < tiny).any():
            # Of what is lost by underflow the estimator may know the logarithms.
            with np.errstate(divide="ignore"):  # or it takes them of its zeros
                logs = np.asarray(estimator.predict_log_proba(X))
            options["log_proba"] = spread(proba=logs, absent=-np.inf, **spread_to)
        _, aligned = METRICS[self.name]
        return self._sign * aligned(target, spread(proba=proba, **spread_to), **options)

    def _check_given(self, estimator, X, y_true, weight):
        refuse_unlabeled(estimator, y_true, "y_true")
        refuse_other_rows({"X": X, "y_true": y_true, "sample_weight": weight}, strict=False)

    def _target(self, X, y_true, classes):
        """Return the target, and the classes that its columns or codes refer to."""
        return align_target(y_true, classes)


class FidelityScorer(DivergenceScorer):
    """Score a student's ``predict_proba`` against what a teacher says of the same samples.

    Made by ``make_fidelity_scorer``.
    """

    def __init__(self, teacher, name, **kwargs):
        super().__init__(name, **kwargs)
        self.teacher = teacher
        self._token = uuid4().hex

    def __repr__(self):
        return f"make_fidelity_scorer({self.teacher!r}, {self.name!r}{self._options()})"

    def __call__(self, estimator, X, y_true=None, sample_weight=None, **kwargs):
        """Score a student.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier with ``predict_proba``.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y_true : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        **kwargs : dict
            Further metadata, if routing is enabled.

        Returns
        -------
        score : float
            Greater is better.
        """
        return super().__call__(estimator, X, y_true, sample_weight=sample_weight, **kwargs)

    def _check_given(self, estimator, X, y_true, weight):
        """Take anything for ``y_true``: it is not looked at."""
        refuse_other_rows({"X": X, "sample_weight": weight}, strict=False)

    def _target(self, X, y_true, classes):
        proba = TEACHINGS.of(self._token, self.teacher, X)
        known = np.asarray(self.teacher.classes_)
        check_kind(known, classes, "The teacher's classes")
        union = list(dict.fromkeys([*np.asarray(classes).tolist(), *known.tolist()]))
        return spread(known, proba, union), union


class Teachings:
    """What teachers said of the last samples, so that a search asks each but once.

    It belongs to the process, not to a scorer: searches that run in several processes send a
    new copy of their scorer with each task.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.said = OrderedDict()
        self.lock = Lock()

    def of(self, token, teacher, X):
        """Return the teacher's probabilities; ``token`` stands for the teacher."""
        key = token, joblib.hash(X)
        with self.lock:
            if key in self.said:
                self.said.move_to_end(key)
                return self.said[key]
        name = "The teacher's predict_proba"
        proba = predict_columns(teacher, X, owner="The teacher's")
        proba = check_rows(proba, name)
        with self.lock:
            self.said[key] = proba
            while sum(p.nbytes for p in self.said.values()) > self.max_bytes:
                self.said.popitem(last=False)
        return proba


TEACHINGS = Teachings(max_bytes=2**28)
PREDICTIONS = "sklkl.predict_proba"


def make_divergence_scorer(name, **kwargs):
    """Make a scorer of a loss or score, for ``scoring=`` in model selection.

    Parameters
    ----------
    name : str
        One of ``get_scorer_names()``, or the name of a loss or score, as "kl_loss", or of a
        divergence, as "kl_divergence".
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
    make_fidelity_scorer : Against a teacher instead of ``y``.

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
    return DivergenceScorer(_checked(name, kwargs), **kwargs)


def make_fidelity_scorer(teacher, divergence="kl_divergence", **kwargs):
    """Make a scorer of how near a student is to its teacher.

    Whatever ``y`` is, the target is what the teacher says of the same samples. A scorer asks
    the teacher once for each set of samples, however many students are scored on it (threads
    that start together may each ask); up to 256 MB of answers are kept in each process.

    Parameters
    ----------
    teacher : estimator
        Fitted classifier with ``predict_proba``. It must not change while the scorer is in
        use.
    divergence : str, default="kl_divergence"
        The name of a divergence, as "jensen_shannon_divergence", in which the teacher is the
        first argument; "reverse_kl_divergence"; or of a loss or score, as "d2_kl_score".
    **kwargs : dict
        Arguments of the loss, as ``base``, ``on_zero`` or ``order``.

    Returns
    -------
    scorer : callable
        ``scorer(student, X, y=None, sample_weight=None)``, a float; divergences are negated,
        so that greater is better. Columns are matched through ``classes_``; a class that
        one of the two does not know has probability 0 there.

    Raises
    ------
    TypeError
        If the teacher has no ``predict_proba``.
    ValueError
        If it is not fitted, or if there is no such divergence or argument.

    See Also
    --------
    make_divergence_scorer : Against the targets in ``y``.
    fidelity_report : All about one student.

    Notes
    -----
    The teacher sees what the student sees. Where that is not its own input, as in
    ``SequentialFeatureSelector``, take ``teacher.predict_proba(X)`` for ``y`` and a scorer of
    ``make_divergence_scorer``; also in ``permutation_importance``, unless the teacher's
    answers to permuted features are meant.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.linear_model import SoftLabelLogisticRegression
    >>> from sklkl.metrics import make_fidelity_scorer
    >>> from sklkl.model_selection import StratifiedSoftKFold
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = GaussianNB().fit(X, y)
    >>> search = GridSearchCV(
    ...     SoftLabelLogisticRegression(),
    ...     {"C": [0.01, 1, 100]},
    ...     scoring=make_fidelity_scorer(teacher, base=2),
    ...     cv=StratifiedSoftKFold(),
    ... )
    >>> search.fit(X, teacher.predict_proba(X)).best_params_
    {'C': 100}
    """
    check_has_proba(teacher, "teacher")
    if not hasattr(teacher, "classes_"):
        raise ValueError(f"The teacher {type(teacher).__name__} is not fitted; fit it first.")
    return FidelityScorer(teacher, _checked(divergence, kwargs), **kwargs)


def _checked(name, kwargs):
    """Return the name of the scorer for a name in any form, if it takes ``kwargs``."""
    given, name = name, ALIASES.get(str(name), str(name))
    candidates = (name, f"neg_{name}", name.removesuffix("_score"))
    full_name = next((c for c in candidates if c in METRICS), None)
    if full_name is None:
        raise ValueError(
            f"{_no_scorer(given)} use one of {get_scorer_names()}, or the name of a "
            f"divergence, of {list(ALIASES)}."
        )
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
    return full_name


def _no_scorer(name):
    """Begin the message that there is no scorer of a name."""
    if isinstance(name, str) and name in sklearn_names():
        return (
            f"The scorer {name!r} is scikit-learn's: where a scorer is asked for, pass the "
            f"object, sklearn.metrics.get_scorer({name!r}). For one of sklkl,"
        )
    return f"There is no scorer, loss or divergence of the name {name!r};"


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
        If there is no such scorer. Those of scikit-learn are had from
        ``sklearn.metrics.get_scorer``.

    See Also
    --------
    make_divergence_scorer : The same with arguments.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer
    >>> get_scorer("neg_kl_loss")
    make_divergence_scorer('neg_kl_loss')
    """
    if not isinstance(name, str) or name not in METRICS:
        raise ValueError(f"{_no_scorer(name)} use one of {get_scorer_names()}.")
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
