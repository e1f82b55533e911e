"""A classifier that pools the probabilities of several."""

from collections.abc import Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklkl._core.arrays import as_floating
from sklkl._core.classes import spread
from sklkl._core.docs import documented
from sklkl._core.meta import MetaClassifierMixin, refuse_metadata
from sklkl._core.models import (
    ABSENT,
    check_has_proba,
    check_partition,
    fit_and_predict,
    fit_clone,
    is_frozen,
    log_probabilities,
    probabilities,
    refuse_extreme_weights,
    refuse_offset,
    weight_params,
)
from sklkl._core.names import shown
from sklkl._core.parameters import N_JOBS, Rule, check_parameters, one_of
from sklkl._core.samples import check_same_rows, check_weights, indexed, take
from sklkl._core.sklearn import num_samples, side_by_side
from sklkl._core.targets import check_kind, check_target, one_hot
from sklkl._core.typing import Floats, Folds, Pooling, Samples
from sklkl.distillation._simplex import learn_weights
from sklkl.metrics._classifier import SoftLabelClassifierMixin
from sklkl.model_selection._split import check_soft_cv


def _are_folds(cv):
    if isinstance(cv, Integral):
        return cv >= 2
    return not isinstance(cv, str) and (hasattr(cv, "split") or hasattr(cv, "__iter__"))


FOLDS = Rule(
    "an integer >= 2, a splitter or an iterable of pairs of indices", good=_are_folds
).or_(None)
RULES = {"pooling": one_of(get_args(Pooling)), "cv": FOLDS, "n_jobs": N_JOBS}


class PooledClassifier(MetaClassifierMixin, SoftLabelClassifierMixin, BaseEstimator):
    r"""Pool the probabilities of several classifiers, with weights given or learned.

    Estimators with probabilities p_m and weights w_m, which sum to 1, make an arithmetic
    pool, :math:`\sum_m w_m p_m`, or a geometric one, proportional to
    :math:`\prod_m p_m^{w_m}`. To distil several teachers, pass the pool as the teacher.

    Parameters
    ----------
    estimators : list of estimators, list of (str, estimator) pairs, or dict
        Classifiers with ``predict_proba``; in a dict by name. Without names they are called
        as ``sklearn.pipeline.make_pipeline`` calls its steps. They are cloned and fitted, to
        soft targets as they are, unless wrapped in ``sklearn.frozen.FrozenEstimator``. The
        string "drop" in the place of one, as by ``set_params(name="drop")``, leaves it out.
    pooling : {"arithmetic", "geometric"}, default="arithmetic"
        The arithmetic pool is a mixture: a class is probable if it is for some estimator.
        In the geometric one it must be for all: a probability of 0 by one estimator of
        positive weight stays 0, also where a frozen one does not know the class. It is the
        softmax of the mean logits.
    weights : array-like of shape (n_estimators,), dict or "learned", default=None
        Non-negative numbers, in a dict by name; they are divided by their sum, dropped
        estimators left out. None means equal ones. "learned" ones minimise the mean KL
        divergence of the targets to the pool, on predictions for samples that the estimators
        were not fitted to. Frozen ones predict all samples as they are: they must not have
        been fitted to these.
    cv : int, splitter or iterable, default=None
        The folds for learned weights: their number, 5 by default, stratified, as
        in ``sklkl.model_selection.soft_cross_val_predict``. Or a splitter, or an iterable of
        indices, in which every sample is in exactly one test set.
    n_jobs : int, default=None
        Fits at once.

    Attributes
    ----------
    estimators_ : list
        The fitted estimators, without dropped ones.
    named_estimators_ : sklearn.utils.Bunch
        The fitted estimators by name.
    weights_ : ndarray of shape (n_estimators,)
        The weights, of sum 1. An estimator of weight 0 does not predict.
    classes_ : ndarray of shape (n_classes,)
        The classes. With labels, or without a target: those that occur or that an estimator
        knows, sorted. With a data frame: its columns; the estimators may know fewer. With
        soft targets in an array: the classes of the first estimator that knows as many as
        there are columns.
    n_features_in_ : int
        Number of features, if an estimator counts them.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if an estimator knows them.

    See Also
    --------
    DistilledClassifier : Fits a small student to the probabilities of the pool.
    sklearn.ensemble.VotingClassifier : Arithmetic pools of classifiers fitted to labels.

    Notes
    -----
    Both problems of learning weights are convex; weights below 1e-9 are exactly 0. For
    learning alone, arithmetic pools raise probabilities to the epsilon of their dtype, as
    ``sklkl.metrics.kl_loss`` does. Geometric pools do so with zeros only, and raise them no
    further than to the least positive probability of the sample.

    References
    ----------
    Genest, C. and Zidek, J. V. (1986). Combining Probability Distributions: A Critique and
    an Annotated Bibliography. Statistical Science 1(1).

    Breiman, L. (1996). Stacked Regressions. Machine Learning 24.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import DistilledClassifier, PooledClassifier
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> pool = PooledClassifier(
    ...     {"forest": RandomForestClassifier(20, random_state=0), "bayes": GaussianNB()},
    ...     weights="learned",
    ... )
    >>> pool.fit(X, y).weights_.round(1)
    array([0.7, 0.3])
    >>> student = DistilledClassifier(pool.set_params(forest__max_depth=5)).fit(X, y)
    >>> student.teacher_.named_estimators_.forest.max_depth
    5
    """

    def __init__(
        self,
        estimators: Any,
        *,
        pooling: Pooling = "arithmetic",
        weights: ArrayLike | Mapping[str, float] | None = None,
        cv: Folds = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.pooling = pooling
        self.weights = weights
        self.cv = cv
        self.n_jobs = n_jobs

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the pool.

        Parameters
        ----------
        deep : bool, default=True
            Also the estimators by name, and theirs as ``name__parameter``.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep=False)
        for name, estimator in name_estimators(self.estimators) if deep else ():
            params[name] = estimator  # or "drop"
            if hasattr(estimator, "get_params") and not isinstance(estimator, type):
                inner = estimator.get_params(deep=True)
                params.update({f"{name}__{key}": value for key, value in inner.items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the pool or of its estimators, or whole estimators.

        Parameters
        ----------
        **params : dict
            Keys are as in ``get_params()``. An estimator that replaces another in a list
            without names gets the name of that one; "drop" leaves it out.

        Returns
        -------
        self : PooledClassifier
            The pool.
        """
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        pairs = name_estimators(self.estimators)
        replaced = {name: params.pop(name) for name, _ in pairs if name in params}
        if replaced:
            pairs = [(name, replaced.get(name, estimator)) for name, estimator in pairs]
            self.estimators = dict(pairs) if isinstance(self.estimators, dict) else pairs
        return super().set_params(**params)

    def _inner_estimators(self):
        return dict(self._pairs())

    def _splitters(self):
        return {"cv": self.cv}  # no estimator can have this name, as it is a parameter

    def _sk_visual_block_(self):
        return side_by_side(self._inner_estimators())

    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimators, and learn their weights if these are "learned".

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row. May be left out if all estimators are
            frozen and weights are not learned.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, for the estimators that take them, and for
            learning the weights of the pool.
        **fit_params : dict
            Metadata for the estimators that request them, if metadata routing is enabled.

        Returns
        -------
        self : PooledClassifier
            The fitted pool.

        Raises
        ------
        TypeError
            If an estimator has no ``predict_proba``.
        ValueError
            If ``y`` is missing, no valid target or holds a single class, arguments name their
            rows in another order than X, a parameter is bad, all estimators are dropped, or
            one knows a class that soft targets do not.

        Warns
        -----
        UserWarning
            If the ``fit`` of an estimator takes no ``sample_weight``.
        """
        pairs, given = self._check_parameters()
        frozen = all(is_frozen(e) for _, e in pairs)
        needs_y = not frozen or given is None
        if y is None and needs_y:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the "
                "target y is None. Only a pool of FrozenEstimators whose weights are not "
                "learned does without."
            )
        weights = {} if isinstance(sample_weight, Real) else {"sample_weight": sample_weight}
        if X is not None or y is not None:
            check_same_rows(X=X, y=y, **weights)
        X, y = indexed(X, y)
        weight = None if sample_weight is None else check_weights(sample_weight, X)
        target = None
        if y is not None:
            target = check_target(y, refuse_integers=True, at_least=1 + needs_y)
            y = target.y if target.hard else y
        split_params, params = self._route(pairs, weight, fit_params)
        for name, estimator in pairs:
            refuse_offset(estimator, params[name], f"estimator {name!r}", "a pool")
            if params[name] and not is_frozen(estimator):
                refuse_extreme_weights(weight, estimator)
        splits = []
        if given is None and not frozen:
            splits = list(check_soft_cv(self.cv, target.values).split(X, y, **split_params))
            check_partition([test for _, test in splits], num_samples(X))
        frozen_models = {name: e for name, e in pairs if is_frozen(e)}
        if frozen_models:  # what is fitted already is refused before others are fitted
            pooled_classes(frozen_models, target)
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_clone)(estimator, X, y, params[name]) for name, estimator in pairs
        )
        models = {name: model for (name, _), model in zip(pairs, fitted, strict=True)}
        classes = pooled_classes(models, target)
        if given is None:
            predictions = self._out_of_fold(pairs, X, y, classes, splits, params)
            mass = one_hot(target.onto(classes), len(classes))
            if weight is not None:  # of which only ratios count; extreme ones lose digits
                mass = mass * (weight / weight.max())[:, np.newaxis]
            given = learn_weights(predictions, mass / mass.sum(), self.pooling)
        self.estimators_, self.named_estimators_ = list(models.values()), Bunch(**models)
        self.weights_, self.classes_ = given, classes
        self._set_features(*self.estimators_)
        return self

    def _pairs(self):
        """Return the named estimators, without dropped ones."""
        return [pair for pair in name_estimators(self.estimators) if not _is_dropped(pair)]

    def _check_parameters(self):
        """Return the named estimators, and the weights or None if they are to be learned."""
        pairs = name_estimators(self.estimators)
        if not pairs or any(isinstance(e, list | tuple) for _, e in pairs):
            raise TypeError(
                "estimators must be a list of classifiers, a list of (name, classifier) "
                f"pairs, or a dict, and not empty; got {self.estimators!r}."
            )
        names = [name for name, _ in pairs]
        reserved = super().get_params(deep=False)
        for name, estimator in pairs:
            if not isinstance(name, str) or "__" in name or name in reserved:
                raise ValueError(
                    f"estimators has the name {name!r}; names are strings without '__', and "
                    f"other than the parameters {list(reserved)}."
                )
            if names.count(name) > 1:
                raise ValueError(f"estimators has the name {name!r} twice.")
            if isinstance(estimator, type):
                raise TypeError(
                    f"The estimator {name!r} is a class; pass an instance, "
                    f"{estimator.__name__}()."
                )
            if not _is_dropped((name, estimator)):
                check_has_proba(estimator, f"estimator {name!r}")
            if is_frozen(estimator):
                check_is_fitted(estimator)
        kept = np.array([not _is_dropped(pair) for pair in pairs])
        if not kept.any():
            raise ValueError("estimators are all dropped; at least one must remain.")
        check_parameters(self, **RULES)
        if isinstance(self.weights, str) and self.weights == "learned":
            return self._pairs(), None
        return self._pairs(), check_pool_weights(self.weights, names, kept)

    def _route(self, pairs, sample_weight, fit_params):
        """Return what to pass to ``split``, and to the ``fit`` of each estimator by name."""
        routed = self._route_fit(sample_weight, fit_params)
        if routed is not None:
            return routed.cv.split, {name: routed[name].fit for name, _ in pairs}
        refuse_metadata("fit", fit_params, "the estimators")
        consequence = "it is fitted without."
        return {}, {
            name: weight_params(e, f"estimator {name!r},", sample_weight, consequence)
            for name, e in pairs
        }

    def _out_of_fold(self, pairs, X, y, classes, splits, params):
        """Return the predictions of each estimator for samples that it was not fitted to."""
        log = self.pooling == "geometric"
        parts = iter(
            Parallel(n_jobs=self.n_jobs)(
                delayed(_fold)(e, name, X, y, train, test, params[name], log)
                for name, e in pairs
                if not is_frozen(e)
                for train, test in splits
            )
        )
        predictions = []
        for name, estimator in pairs:
            if is_frozen(estimator):
                known, values = estimator.classes_, _predict(estimator, X, name, log)
                predictions.append(spread(known, values, classes, ABSENT[log]))
                continue
            # In the order of the folds; then in the order of the samples.
            folds = [
                spread(known, values, classes, ABSENT[log])
                for known, values in (next(parts) for _ in splits)
            ]
            order = np.argsort(np.concatenate([test for _, test in splits]))
            predictions.append(np.concatenate(folds)[order])
        return predictions

    def _weighted(self, X, log):
        """Generate the weights above 0, with the predictions of their estimators."""
        check_is_fitted(self)
        for (name, model), weight in zip(
            self.named_estimators_.items(), self.weights_, strict=True
        ):
            if weight > 0:
                values = _predict(model, X, name, log)
                yield weight, spread(model.classes_, values, self.classes_, ABSENT[log])

    def _mean_logs(self, X):
        """Return the weighted mean of the log-probabilities, -inf for excluded classes."""
        scores = sum(weight * logs for weight, logs in self._weighted(X, log=True))
        excluded = np.isneginf(scores).all(axis=1)
        if excluded.any():
            raise ValueError(
                f"Between them the estimators exclude every class of row {excluded.argmax()} "
                "of X: each has probability 0 by one of them. Use pooling='arithmetic'."
            )
        return scores

    @documented
    def predict_proba(self, X: Samples) -> Floats:
        """Predict the probabilities of the pool.

        %(X_to_proba)s

        Raises
        ------
        ValueError
            If the pool is geometric and each class of a row has probability 0 by one of the
            estimators of positive weight.
        """
        check_is_fitted(self)
        if self.pooling == "arithmetic":
            return sum(weight * proba for weight, proba in self._weighted(X, log=False))
        return softmax(self._mean_logs(X), axis=1)

    @documented
    def predict_log_proba(self, X: Samples) -> Floats:
        """Predict the log-probabilities of the pool.

        Those of the estimators are used, so that what underflows as a probability is right.

        %(X_to_log_proba)s

        Raises
        ------
        ValueError
            If the pool is geometric and each class of a row has probability 0 by one of the
            estimators of positive weight.
        """
        check_is_fitted(self)
        if self.pooling == "arithmetic":
            weighted = self._weighted(X, log=True)
            return np.logaddexp.reduce([np.log(weight) + logs for weight, logs in weighted])
        return log_softmax(self._mean_logs(X), axis=1)


def is_frozen_pool(pool):
    """Return whether fitting a pool does no more than to name its classes."""
    estimators = pool._inner_estimators().values()
    return bool(estimators) and all(map(is_frozen, estimators)) and pool.weights != "learned"


def _is_dropped(pair):
    return isinstance(pair[1], str) and pair[1] == "drop"


def name_estimators(estimators):
    """Return (name, estimator) pairs of what a user passed as ``estimators``.

    No pairs if it is something else: ``set_params`` takes anything, and ``fit`` complains.
    """
    if isinstance(estimators, dict):
        return list(estimators.items())
    if not isinstance(estimators, list | tuple):
        return []
    if all(isinstance(e, list | tuple) and len(e) == 2 for e in estimators):
        return [tuple(pair) for pair in estimators]
    return list(zip(_distinct_names(estimators), estimators, strict=True))


def _distinct_names(estimators):
    """Return the lower-case names of classes, numbered where there are several of one."""
    names = [e if isinstance(e, str) else type(e).__name__.lower() for e in estimators]
    return [
        f"{name}-{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def check_pool_weights(weights, names, kept):
    """Return non-negative weights of sum 1, one for each name that is kept."""
    if weights is None:
        return np.full(kept.sum(), 1.0 / kept.sum())
    if isinstance(weights, str):
        raise ValueError(f"weights must be numbers, None or 'learned'; got {weights!r}.")
    if isinstance(weights, dict):
        if set(dict(weights)) != set(names):  # of a DOK matrix, which is a dict, too
            raise ValueError(
                f"weights names {list(weights)}, but the estimators are {names}; give each "
                "a weight."
            )
        weights = [weights[name] for name in names]
    weights = as_floating(weights, "weights").astype(np.float64)
    if weights.shape != (len(names),):
        raise ValueError(
            f"weights must hold a number for each of the {len(names)} estimators; got shape "
            f"{weights.shape}."
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        m = int(bad.argmax())
        raise ValueError(
            f"weights must be finite and >= 0; that of {names[m]!r} is {weights[m]:.6g}."
        )
    weights = weights[kept]
    if not weights.any():
        raise ValueError("weights are all 0; at least one must be positive.")
    weights = weights / weights.max()  # so that their sum is finite
    return weights / weights.sum()


def pooled_classes(models, target):
    """Return the classes of the pool, given the classes of ``y``; refuse models with others.

    Labels show only what occurs: a frozen model, or one with ``classes``, may know more. The
    columns of soft targets are all classes.
    """
    parts = {name: np.asarray(model.classes_) for name, model in models.items()}
    known = None if target is None else target.classes
    if target is None or target.hard:
        what = "The labels in y" if known is not None else "The classes of the first estimator"
        first, *others = [known] * (known is not None) + list(parts.values())
        for classes in others:
            check_kind(first, classes, what)
        return np.unique(np.concatenate([first, *others]))
    if not target.named:
        known = next((c for c in parts.values() if len(c) == len(known)), known)
    for name, classes in parts.items():
        unknown = sorted(set(classes.tolist()) - set(known.tolist()))
        if unknown:
            raise ValueError(
                f"The estimator {name!r} knows classes that y does not: {shown(unknown)}; "
                f"those of y are {shown(known)}. Pass y as a data frame with a named column "
                "for each class."
            )
        if not target.named and len(classes) == len(known) and list(classes) != list(known):
            raise ValueError(
                "The columns of y have no names, and estimators have them in another order: "
                f"{name!r} has the classes {shown(classes)}, and another {shown(known)}. "
                "Pass y as a data frame whose columns are the classes."
            )
    return known


def _fold(estimator, name, X, y, train, test, params, log):
    predict = partial(_predict, name=name, log=log)
    model, proba = fit_and_predict(estimator, X, y, train, take(X, test), params, predict)
    return model.classes_, proba


def _predict(model, X, name, log):
    """Return probabilities or their logarithms, with a column for each class of a model."""
    return (log_probabilities if log else probabilities)(model, X, f"Estimator {name!r}:")
