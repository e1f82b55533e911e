"""A classifier with its calibration."""

import warnings
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklkl._core.classes import spread
from sklkl._core.docs import documented
from sklkl._core.meta import MetaClassifierMixin
from sklkl._core.models import (
    check_partition,
    fit_and_predict,
    fit_to_target,
    is_frozen,
    proba_or_logits,
    refuse_offset,
    weight_params,
)
from sklkl._core.names import places, refuse_other_rows, shown
from sklkl._core.parameters import BOOLEAN, N_JOBS, Rule, check_parameters
from sklkl._core.samples import check_weights, indexed, row_params, take
from sklkl._core.sklearn import num_samples
from sklkl._core.targets import check_target
from sklkl._core.typing import Estimator, Floats, Folds, Samples
from sklkl.calibration._scaling import DirichletScaling, TemperatureScaling, VectorScaling
from sklkl.metrics._classifier import SoftLabelClassifierMixin
from sklkl.model_selection._split import check_soft_cv

METHODS = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "dirichlet": DirichletScaling,
}


RULES = {
    "method": Rule(
        f"one of {tuple(METHODS)}, or a scaling such as DirichletScaling()",
        (str, *METHODS.values()),
        lambda v: not isinstance(v, str) or v in METHODS,
    ),
    "n_jobs": N_JOBS,
    "ensemble": BOOLEAN.or_("auto"),
}


class SoftCalibratedClassifierCV(MetaClassifierMixin, SoftLabelClassifierMixin, BaseEstimator):
    """Calibrate the probabilities of a classifier on soft or hard targets.

    Calibration maps are fitted to predictions for samples that the classifier was not fitted
    to, as in ``sklearn.calibration.CalibratedClassifierCV``.

    Parameters
    ----------
    estimator : estimator
        Classifier with ``predict_proba``, or else with ``decision_function``, whose values
        then serve as logits. It is cloned and fitted, to soft targets as they are; unless it
        is wrapped in ``sklearn.frozen.FrozenEstimator``: then all data serve to calibrate it.
    method : {"temperature", "vector", "dirichlet"} or estimator, default="vector"
        The calibration map, by name or as an instance, such as ``DirichletScaling(C=0.1)``,
        whose ``classes`` and ``from_logits`` are set here. "temperature" keeps the class
        frequencies that the model believes in: it does not calibrate a model with class
        weights, or one of resampled data.
    cv : int, splitter or iterable, default=None
        Number of folds, 5 by default, stratified: ``StratifiedKFold`` for labels,
        ``sklkl.model_selection.StratifiedSoftKFold`` for soft targets. Or a splitter, or an
        iterable of indices.
    n_jobs : int, default=None
        Folds fitted at once.
    ensemble : bool or "auto", default="auto"
        If True, every fold gives a classifier with its calibration, and predictions are the
        mean of theirs. If False, one map is fitted to the out-of-fold predictions, and
        the classifier to all data; every sample must then be in one test set. "auto"
        means True, unless the estimator is frozen.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted if ``y`` held labels.
    calibrated_classifiers_ : list
        The pairs of a fitted ``estimator`` and its fitted ``scaling``.
    n_features_in_ : int
        Number of features, if the estimator counts them.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the estimator knows them.

    See Also
    --------
    TemperatureScaling : The maps by themselves, for probabilities without an estimator.
    sklearn.calibration.CalibratedClassifierCV : For labels; sigmoids and isotonic maps, too.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.calibration import SoftCalibratedClassifierCV
    >>> from sklkl.metrics import kl_loss
    >>> X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> bayes = GaussianNB(var_smoothing=1e-3).fit(X, y)
    >>> round(kl_loss(y_test, bayes.predict_proba(X_test)), 1)
    1.5
    >>> model = SoftCalibratedClassifierCV(bayes, method="dirichlet").fit(X, y)
    >>> round(kl_loss(y_test, model.predict_proba(X_test)), 1)
    0.3
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        method: Any = "vector",
        cv: Folds = None,
        n_jobs: int | None = None,
        ensemble: bool | Literal["auto"] = "auto",
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs
        self.ensemble = ensemble

    def _inner_estimators(self):
        return {"estimator": self.estimator}

    def _splitters(self):
        return {"splitter": self.cv}

    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the classifier and its calibration.

        Parameters
        ----------
        %(X)s
        %(y)s
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, in the calibration and, if it takes them, in
            the estimator's fit.
        **fit_params : dict
            Arguments for the estimator's ``fit``; if metadata routing is enabled, for the
            estimator and the splitter, as they request.

        Returns
        -------
        self : SoftCalibratedClassifierCV
            The fitted classifier.

        Raises
        ------
        TypeError
            If the estimator has neither ``predict_proba`` nor ``decision_function``.
        ValueError
            If ``y`` is no valid target or holds a single class, arguments name their rows in
            another order than ``X``, or a parameter is bad; or if a model of a fold lacks a
            class and has only a ``decision_function``.

        Warns
        -----
        UserWarning
            If the estimator's ``fit`` takes no ``sample_weight``, or if a training fold, or
            what a frozen estimator learnt from, lacks a class: that model then gives it the
            share that it has in ``y``, for every sample.
        """
        scaling, ensemble = self._check_parameters()
        named = {"X": X, "y": y, "sample_weight": sample_weight, **row_params(X, fit_params)}
        refuse_other_rows(named, strict=False)
        X, y = indexed(X, y)
        target = check_target(y, refuse_integers=True, at_least=2)
        classes = target.classes
        weight = None if sample_weight is None else check_weights(sample_weight, X)
        y = target.y if target.hard else y
        folds, fit_params = self._fit_folds(X, y, target, weight, fit_params)
        first, _, _ = folds[0]
        known = np.asarray(first.classes_)
        counted = np.ones(len(target)) if weight is None else weight / weight.max()
        mass = target.mass(counted)
        # With labels it may know, frozen or by its classes=, more than occur.
        if not target.named:
            classes = known
        elif target.hard and set(classes.tolist()) < set(known.tolist()):
            known = np.sort(known)
            mass = mass[places(known.tolist(), classes.tolist())] * np.isin(known, classes)
            classes = known
        scaling.set_params(classes=classes, from_logits=not hasattr(first, "predict_proba"))
        shares = dict(zip(classes.tolist(), mass / mass.sum(), strict=False))
        warn_of_absent(folds, classes, scaling.from_logits)
        folds = [
            (model, test, _aligned(model, proba, classes, absent_shares(model, shares)))
            for model, test, proba in folds
        ]
        if not ensemble and len(folds) > 1:
            folds = [self._fit_one(X, y, folds, fit_params)]
        pairs = []
        for model, test, proba in folds:
            y_test = y[test] if target.hard else target.values[test]
            fitted = clone(scaling).fit(
                proba, y_test, None if weight is None else weight[test]
            )
            pairs.append(CalibratedPair(model, fitted, classes, absent_shares(model, shares)))
        self.calibrated_classifiers_ = pairs
        self.classes_ = classes
        self._set_features(pairs[0].estimator)
        return self

    def _fit_folds(self, X, y, target, weight, fit_params):
        """Return triples of a model, test indices and its predictions; and what fit got."""
        split_params, fit_params = self._route(weight, fit_params)
        refuse_offset(self.estimator, fit_params, "estimator", type(self).__name__)
        if is_frozen(self.estimator):
            everything = np.arange(num_samples(X))
            return [(self.estimator, everything, proba_or_logits(self.estimator, X))], {}
        splits = list(check_soft_cv(self.cv, target.values).split(X, y, **split_params))
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_and_predict)(
                self.estimator, X, y, train, take(X, test), fit_params, proba_or_logits
            )
            for train, test in splits
        )
        folds = [
            (model, test, proba)
            for (model, proba), (_, test) in zip(fitted, splits, strict=True)
        ]
        return folds, fit_params

    def _fit_one(self, X, y, folds, fit_params):
        """Return a triple of a model fitted to all data and the out-of-fold predictions."""
        tests = [test for _, test, _ in folds]
        check_partition(tests, num_samples(X))
        model = fit_to_target(clone(self.estimator), X, y, fit_params)
        return model, np.concatenate(tests), np.concatenate([proba for _, _, proba in folds])

    def _check_parameters(self):
        """Return an unfitted calibration map and whether to make an ensemble."""
        check_parameters(self, **RULES)
        method = self.method
        scaling = METHODS[method]() if isinstance(method, str) else clone(method)
        if not any(hasattr(self.estimator, m) for m in ("predict_proba", "decision_function")):
            raise TypeError(
                f"The estimator {type(self.estimator).__name__} has neither predict_proba nor "
                "decision_function."
            )
        return scaling, bool(self.ensemble)

    def _route(self, sample_weight, fit_params):
        """Return what to pass to ``split`` and to the estimator's ``fit``."""
        routed = self._route_fit(sample_weight, fit_params)
        if routed is not None:
            return routed.splitter.split, routed.estimator.fit
        consequence = "the weights enter the calibration alone."
        weights = weight_params(
            self.estimator, "estimator", sample_weight, consequence, stacklevel=5
        )
        return {}, {**fit_params, **weights}

    @documented
    def predict_proba(self, X: Samples) -> Floats:
        """Predict calibrated probabilities.

        %(X_to_proba)s
        """
        check_is_fitted(self)
        probas = [pair.predict_proba(X) for pair in self.calibrated_classifiers_]
        return probas[0] if len(probas) == 1 else np.mean(probas, axis=0)


class CalibratedPair:
    """A fitted classifier and the fitted map of its probabilities.

    ``classes_`` are the classes of the result; the estimator may know fewer, and ``absent``
    holds the probabilities of the classes that it does not know, 0 of the others.
    """

    def __init__(self, estimator, scaling, classes, absent):
        self.estimator, self.scaling, self.classes_ = estimator, scaling, classes
        self.absent = absent

    def predict_proba(self, X):
        """Predict calibrated probabilities."""
        proba = proba_or_logits(self.estimator, X)
        return self.scaling.predict_proba(
            _aligned(self.estimator, proba, self.classes_, self.absent)
        )


def warn_of_absent(folds, classes, from_logits):
    """Warn of classes that a model has never seen; refuse them if it has no probabilities."""
    known = [set(np.asarray(model.classes_).tolist()) for model, _, _ in folds]
    absent = [c for c in classes.tolist() if not all(c in names for names in known)]
    if absent and from_logits:
        raise ValueError(
            f"A training fold lacks the classes {shown(absent)}, for which decision_function "
            "then has no column; use fewer folds, or an estimator with predict_proba."
        )
    if absent:
        warnings.warn(
            f"A training fold, or what a frozen estimator learnt from, lacks the classes "
            f"{shown(absent)}: that model gives them the share that they have in y, for every "
            "sample. Use stratified folds, or fewer of them.",
            UserWarning,
            stacklevel=3,
        )


def absent_shares(model, shares):
    """Return the shares of the classes that the model does not know, 0 of the others."""
    known = set(np.asarray(model.classes_).tolist())
    return np.array([0.0 if c in known else share for c, share in shares.items()])


def _aligned(model, proba, classes, absent):
    """Return predictions with the columns ``classes``, absent ones with their shares."""
    proba = spread(model.classes_, proba, classes, names=("The estimator", "y"))
    return proba if not absent.any() else (1.0 - absent.sum()) * proba + absent
