"""Scorers: losses and scores as ``scorer(estimator, X, y)`` for model selection.

scikit-learn's own ``make_scorer`` hands a metric the positive column alone in binary
problems; rebuilding the other as 1 - p loses its digits. The scorers here call
``predict_proba`` themselves, match its columns to the target through ``classes_``, and
take the rest (metadata routing, multi-metric scoring, repr) from scikit-learn's base class.
"""

from collections import OrderedDict
from copy import copy
from functools import partial
from threading import Lock
from uuid import uuid4

import joblib
import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer_names as sklearn_names

from sklkl._core import topk
from sklkl._core.arrays import as_floating
from sklkl._core.classes import frame_columns, ordered_categories, refuse_sorted_words, spread
from sklkl._core.devices import beside, namespace
from sklkl._core.distributions import check_rows
from sklkl._core.docs import documented
from sklkl._core.models import check_has_proba, predict_columns, refuse_unlabeled
from sklkl._core.names import is_default_index, places, refuse_other_rows, shown
from sklkl._core.samples import match_rows
from sklkl._core.sklearn import BaseScorer
from sklkl._core.targets import align_target, check_kind, is_sparse
from sklkl._core.topk import TopK
from sklkl._core.typing import DivergenceName, DivergenceParams, Estimator, OnZero
from sklkl.batches import Batches
from sklkl.batches._batches import refuse_others
from sklkl.divergences._registry import DIVERGENCES, find
from sklkl.metrics._fidelity import are_predictions
from sklkl.metrics._losses import (
    KL,
    SlicedPredictions,
    check_options,
    d2,
    mean_divergence,
)
from sklkl.metrics._parts import d2_of, mean_of, results_of

D2 = "d2_kl"
D2_SPELLINGS = (D2, "d2_kl_score")
ORDERED = [d.name for d in DIVERGENCES if d.ordered]
# Options of a metric with their defaults, which a scorer does not repeat.
OPTIONS = {"divergence_params": None, "base": None, "on_zero": "clip"}


def refuse_labels(y_true, y_pred, *, sample_weight=None, **kwargs):
    """Raise TypeError: stands for a metric where scikit-learn calls one with predicted labels.

    scikit-learn reads in the signature that scorers take weights.
    """
    raise TypeError(
        "Divergences score probabilities, which a decision threshold does not change; tune "
        "thresholds by a score of labels, such as 'balanced_accuracy'."
    )


class DivergenceScorer(BaseScorer):
    """Score an estimator's ``predict_proba`` against soft or hard targets.

    Made by ``make_divergence_scorer`` and ``get_scorer``. Greater is better.
    """

    _name_of_y = "y_true"  # in messages

    def __init__(self, name, **kwargs):
        self.name = name
        super().__init__(refuse_labels, 1 if name == D2 else -1, kwargs, "predict_proba")

    def __repr__(self):
        return f"make_divergence_scorer({self.name!r}{self._options()})"

    def _options(self):
        return "".join(f", {key}={value!r}" for key, value in self._kwargs.items())

    @documented
    def __call__(self, estimator, X, y_true=None, sample_weight=None, offset=None, **kwargs):
        """Score an estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier with ``predict_proba``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
            Samples; or ``sklkl.batches.Batches``, which hold targets and weights as well, and
            of which one is in memory at a time.
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Labels or soft targets; None if ``X`` is ``Batches``, or a teacher is the target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            What the estimator adds to its log-odds: the ``offset`` of its predictions.
        **kwargs : dict
            Further metadata, if routing is enabled.

        Returns
        -------
        score : float
            Greater is better.
        """
        if offset is None:
            return super().__call__(
                estimator, X, y_true, sample_weight=sample_weight, **kwargs
            )
        # Which takes further metadata only if routing is enabled.
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return self._score(None, estimator, X, y_true, offset=offset, **kwargs)

    def _score(self, method_caller, estimator, X, y_true=None, **kwargs):
        self._warn_overlap("These are set on the scorer, and passed as metadata.", kwargs)
        check_has_proba(estimator, "estimator")
        if isinstance(X, Batches):
            refuse_others({"y_true": y_true, **kwargs})
            return self.score_parts(estimator, results_of(X))
        offset = kwargs.pop("offset", None)
        of_model = {} if offset is None else {"offset": offset}
        # Estimators of data in parts let these be scored where they are.
        if not of_model and hasattr(estimator, "_score_in_parts"):
            score = estimator._score_in_parts(self, X, y_true, **kwargs)
            if score is not None:
                return score
        self._check_given(estimator, X, y_true, kwargs.get("sample_weight"))
        options = {**self._kwargs, **kwargs}
        exact = options.get("on_zero", "clip") != "clip"
        has_logs = hasattr(estimator, "predict_log_proba")
        if is_sparse(y_true):
            target, classes = self._target(X, y_true, estimator.classes_)
            columns = slice(None)
            if self.name in ORDERED:
                target, classes = self._in_order(y_true, target, classes, estimator.classes_)
                columns = places(list(classes), estimator.classes_.tolist())
            match_rows(y_true=target, X=X)
            proba = SlicedPredictions(estimator, X, columns=columns, **of_model)
            if exact and has_logs:
                logs = SlicedPredictions(
                    estimator, X, "predict_log_proba", columns, **of_model
                )
                options["log_proba"] = logs
            return self._sign * self._metric(target, proba, **options)
        # Several scorers of an estimator share its predictions, which are not in slices.
        cache = getattr(method_caller, "args", (None,))[0]
        cache = {} if cache is None else cache
        key = PREDICTIONS, id(offset)  # one of them may ask for none
        if key not in cache:
            cache[key] = predict_columns(estimator, X, stays=True, **of_model)
        proba = cache[key]
        target, classes = self._target(X, y_true, estimator.classes_)
        if self.name in ORDERED:
            target, classes = self._in_order(y_true, target, classes, estimator.classes_)
        # A single row would be repeated.
        match_rows(y_true=target, y_proba=proba)
        target = beside(proba, target)
        spread_to = {"classes": estimator.classes_, "wanted": classes}
        xp = namespace(proba)
        tiny = float(xp.finfo(proba.dtype).smallest_normal)
        if exact and has_logs and xp.any(proba < tiny):
            # The estimator may know the logarithms of what is lost by underflow.
            logs = predict_columns(estimator, X, "predict_log_proba", stays=True, **of_model)
            options["log_proba"] = spread(proba=logs, absent=-np.inf, **spread_to)
        return self._sign * self._metric(target, spread(proba=proba, **spread_to), **options)

    def score_parts(self, estimator, results):
        """Score rows in parts, which have a ``y``: see ``sklkl.metrics._parts``."""
        scorer = copy(self)
        scorer._name_of_y = "y"
        if self.name != D2:
            return mean_of(results, partial(scorer._of_part, estimator=estimator))
        loss = copy(scorer)
        loss.name, loss._sign = KL.name, -1
        return d2_of(
            results,
            lambda part: -loss._of_part(part, estimator),
            lambda part: scorer._target(part.X, part.y, estimator.classes_),
        )

    def _of_part(self, part, estimator):
        return self(estimator, part.X, part.y, sample_weight=part.sample_weight)

    @property
    def _metric(self):
        """The function of a target and probabilities that scores are, or losses to negate."""
        if self.name == D2:
            return d2
        return partial(mean_divergence, divergence=find(self.name))

    def _in_order(self, y_true, target, classes, known):
        """Return a target and its classes in order: of categories, columns, or numbers."""
        labels = np.asarray(classes).tolist()
        order = labels  # of two either one gives the same
        if len(labels) > 2:
            order = self._order(y_true, sorted(labels) if target.ndim == 1 else known)
            order = np.asarray(order).tolist()
            if lacks := [c for c in labels if c not in order]:
                if target.ndim == 1 or isinstance(lacks[0], str):
                    raise ValueError(
                        f"The order of the classes {shown(order)} has no place for "
                        f"{shown(lacks)}."
                    )
                order = sorted(labels)
        if target.ndim == 1:  # of which a category may be no label
            return places(labels, order)[target], order
        order = [c for c in order if c in labels]
        if is_sparse(target):
            return topk.named(topk.renamed(target, np.asarray(labels)), order, "y_true"), order
        return target[:, places(order, labels)], order

    def _order(self, y_true, known):
        """Return the order of the classes of a target; ``known`` if it names none itself."""
        order = ordered_categories(y_true)
        if order is None:
            named = (
                y_true.classes if isinstance(y_true, TopK) else frame_columns(y_true, known)
            )
            order = known if named is None else named
            refuse_sorted_words(self.name, order, "those of y_true or of the model")
        return order

    def _check_given(self, estimator, X, y_true, weight):
        refuse_unlabeled(estimator, y_true, "y_true")
        refuse_other_rows({"X": X, "y_true": y_true, "sample_weight": weight}, strict=False)

    def _target(self, X, y_true, classes):
        """Return the target, and the classes of its columns or codes."""
        return align_target(y_true, classes, self._name_of_y, sparse=True)


class FidelityScorer(DivergenceScorer):
    """Score a student's ``predict_proba`` against its teacher's, on the same samples.

    Made by ``make_fidelity_scorer``.
    """

    def __init__(self, teacher, name, **kwargs):
        super().__init__(name, **kwargs)
        self.teacher = teacher
        self._token = uuid4().hex

    def __repr__(self):
        return f"make_fidelity_scorer({self.teacher!r}, {self.name!r}{self._options()})"

    def _score(self, method_caller, estimator, X, y_true=None, **kwargs):
        """Score without ``y_true``, which is not used."""
        return super()._score(method_caller, estimator, X, None, **kwargs)

    def _check_given(self, estimator, X, y_true, weight):
        """Check what is used."""
        refuse_other_rows({"X": X, "sample_weight": weight}, strict=False)

    def _order(self, y_true, known):
        order = getattr(self.teacher, "order", None)  # of named predictions
        if order is None:
            order = self.teacher.classes_
            advice = "a data frame of the teacher's probabilities with columns in order"
            refuse_sorted_words(self.name, order, "those of the teacher", advice)
        return order

    def _target(self, X, y_true, classes):
        proba = TEACHER_PREDICTIONS.predict(self._token, self.teacher, X)
        known = np.asarray(self.teacher.classes_)
        check_kind(known, classes, "The teacher's classes")
        union = list(dict.fromkeys([*np.asarray(classes).tolist(), *known.tolist()]))
        return spread(known, proba, union), union


class NamedPredictions:
    """Probabilities in a data frame as a model, which finds samples by their labels."""

    def __init__(self, frame):
        index = getattr(frame, "index", None)
        if not hasattr(index, "get_indexer") or is_default_index(index):
            raise ValueError(
                "Probabilities of a teacher need a data frame of pandas whose index names the "
                "samples, as X does: set its index, or pass the fitted teacher."
            )
        if not index.is_unique:
            raise ValueError(
                f"The teacher's probabilities name {index[index.duplicated()][0]!r} twice."
            )
        columns = frame_columns(frame, name="the teacher's probabilities")
        self.classes_ = np.arange(frame.shape[1]) if columns is None else columns
        self.order = ordered_categories(frame)
        self.index = index
        self.proba = check_rows(as_floating(frame, "teacher"), "teacher")

    def predict_proba(self, X):
        """Return the probabilities of the samples in a data frame."""
        index = getattr(X, "index", None)
        if not hasattr(index, "get_indexer"):
            raise ValueError(
                "The teacher's probabilities are found by the labels of the rows of X; pass X "
                "as a data frame of pandas."
            )
        rows = self.index.get_indexer(index)
        if (rows < 0).any():
            raise ValueError(
                f"The teacher's probabilities have no row {index[rows < 0][0]!r}, as X has."
            )
        return self.proba[rows]


class PredictionCache:
    """The probabilities that teachers predicted last, by teacher and samples.

    A search scores many students on the same samples, and asks the teacher once. The cache
    belongs to the process, not to a scorer: searches that run in several processes send a new
    copy of their scorer with each task. ``max_bytes`` is the size of all that is kept.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.predictions = OrderedDict()
        self.lock = Lock()

    def predict(self, token, teacher, X):
        """Return the teacher's probabilities; ``token`` stands for the teacher."""
        key = token, joblib.hash(X)
        with self.lock:
            if key in self.predictions:
                self.predictions.move_to_end(key)
                return self.predictions[key]
        proba = predict_columns(teacher, X, owner="The teacher's")
        proba = check_rows(proba, "The teacher's predict_proba")
        with self.lock:
            self.predictions[key] = proba
            while sum(p.nbytes for p in self.predictions.values()) > self.max_bytes:
                self.predictions.popitem(last=False)
        return proba


TEACHER_PREDICTIONS = PredictionCache(max_bytes=2**28)
PREDICTIONS = "sklkl.predict_proba"


def make_divergence_scorer(
    divergence: DivergenceName = "kl",
    *,
    divergence_params: DivergenceParams | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> DivergenceScorer:
    """Make a scorer of a divergence, for ``scoring=`` in model selection.

    Parameters
    ----------
    divergence : str, default="kl"
        The divergence whose mean the loss is, as for ``divergence_loss``: "kl",
        "reverse_kl", "jensen_shannon", "hellinger", ... Or "d2_kl", the score
        ``d2_kl_score``.
    divergence_params : dict, default=None
        Parameters of the divergence: ``{"order": 2}`` of "renyi", ``{"alpha": 0.5}`` of
        "alpha", which need them, ``{"weight": 0.3}`` of "jensen_shannon".
    base : float, default=None
        Unit of the loss: None for nats, 2 for bits. None for what has no unit.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a zero makes the loss infinite, as in ``kl_loss``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, a float; losses are negated, so
        that greater is better. Or ``scorer(estimator, batches)``, with ``Batches`` of
        ``sklkl.batches``. ``y`` may hold labels or soft targets; columns are matched
        through ``estimator.classes_``, and a class that the estimator never saw has
        probability 0.

    Raises
    ------
    ValueError
        If there is no such divergence, parameter or option.

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
    >>> scorer = make_divergence_scorer("kl", base=2)
    >>> model = LogisticRegression(max_iter=1000)
    >>> round(float(cross_val_score(model, X, y, scoring=scorer).mean()), 1)
    -0.2
    """
    name, options = _resolved(divergence, divergence_params, base, on_zero)
    return DivergenceScorer(name, **options)


def make_fidelity_scorer(
    teacher: Estimator | ArrayLike,
    divergence: DivergenceName = "kl",
    *,
    divergence_params: DivergenceParams | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> FidelityScorer:
    """Make a scorer of how near a student is to its teacher.

    Whatever ``y`` is, the target is the teacher's prediction for the same samples. A scorer
    asks the teacher once for each set of samples, however many students are scored on it
    (threads that start together may each ask); up to 256 MB of predictions are kept in each
    process.

    Parameters
    ----------
    teacher : estimator or data frame of shape (n_samples, n_classes)
        Fitted classifier with ``predict_proba``. It must not change while the scorer is in
        use. Or its probabilities, columns named by the classes and rows by the samples, by
        which they are found: the scorer takes a data frame X with these labels then.
    divergence : str, default="kl"
        The divergence, of which the teacher is the first argument, as for
        ``divergence_loss``: "kl", "reverse_kl", "jensen_shannon", "hellinger", ... Or
        "d2_kl", the score ``d2_kl_score``.
    divergence_params : dict, default=None
        Parameters of the divergence: ``{"order": 2}`` of "renyi", ``{"alpha": 0.5}`` of
        "alpha", which need them, ``{"weight": 0.3}`` of "jensen_shannon".
    base : float, default=None
        Unit of the divergence: None for nats, 2 for bits. None for what has no unit.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a zero makes the divergence infinite, as in ``kl_loss``.

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
        If it is not fitted, if the rows of a data frame have no labels, or one twice, or if
        there is no such divergence, parameter or option.

    See Also
    --------
    make_divergence_scorer : Against the targets in ``y``.
    fidelity_report : All about one student.

    Notes
    -----
    The teacher sees what the student sees. Where this is not its own input, as in
    ``SequentialFeatureSelector``, take ``teacher.predict_proba(X)`` for ``y`` and a scorer of
    ``make_divergence_scorer``; also in ``permutation_importance``, unless the teacher's
    predictions for permuted features are meant.

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
    if are_predictions(teacher):
        teacher = NamedPredictions(teacher)
    check_has_proba(teacher, "teacher")
    if not hasattr(teacher, "classes_"):
        raise ValueError(f"The teacher {type(teacher).__name__} is not fitted; fit it first.")
    name, options = _resolved(divergence, divergence_params, base, on_zero)
    return FidelityScorer(teacher, name, **options)


def get_scorer(name: str) -> DivergenceScorer:
    """Get a scorer by name, for ``scoring=`` in model selection.

    Parameters
    ----------
    name : str
        One of ``get_scorer_names()``, as "neg_kl_loss" or "d2_kl"; or the name of the
        divergence or its loss, as "kl" or "kl_loss".

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, a float; greater is better. In
        nats where it has a unit.

    Raises
    ------
    ValueError
        If there is no such scorer, or it needs a parameter. Those of scikit-learn are had
        from ``sklearn.metrics.get_scorer``.

    See Also
    --------
    make_divergence_scorer : The same with arguments.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer
    >>> get_scorer("neg_kl_loss")
    make_divergence_scorer('kl')
    """
    return DivergenceScorer(_resolved(name)[0])


def get_scorer_names() -> list[str]:
    """List the names of the scorers that ``get_scorer`` returns.

    Returns
    -------
    names : list of str
        In alphabetical order, without those that need a parameter, as the order of a Rényi
        divergence.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer_names
    >>> "neg_kl_loss" in get_scorer_names()
    True
    """
    return sorted([D2, *(f"neg_{d.name}_loss" for d in DIVERGENCES if not d.required)])


def _resolved(divergence, divergence_params=None, base=None, on_zero="clip"):
    """Return the name of a scorer, in one spelling, and its options that are no defaults."""
    if isinstance(divergence, str) and divergence in sklearn_names():
        raise ValueError(
            f"divergence={divergence!r} is a scorer of scikit-learn: where a scorer is asked "
            f"for, pass the object, sklearn.metrics.get_scorer({divergence!r})."
        )
    of_d2 = isinstance(divergence, str) and divergence in D2_SPELLINGS
    record = KL if of_d2 else find(divergence, also=(D2,))
    if of_d2 and base is not None:
        raise ValueError(f"{D2!r} has no unit, so base must be None; got {base!r}.")
    check_options(base, on_zero, record, divergence_params)
    given = {"divergence_params": divergence_params, "base": base, "on_zero": on_zero}
    options = {key: value for key, value in given.items() if value != OPTIONS[key]}
    return D2 if of_d2 else record.name, options
