"""Multinomial logistic regression on soft labels with a cross-validated penalty."""

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.metrics import get_scorer_names as get_sklearn_scorer_names
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklkl._core.arrays import is_sparse_matrix, n_dims
from sklkl._core.docs import documented
from sklkl._core.meta import refuse_metadata
from sklkl._core.parameters import BOOLEAN, N_JOBS, check, check_parameters, integer
from sklkl._core.samples import check_weights, holds_labels, n_rows, take
from sklkl._core.sklearn import (
    CallbackSupportMixin,
    feature_names,
    params_of_rows,
    scorer_function,
    scorer_with,
    with_callbacks,
)
from sklkl._core.targets import class_mass
from sklkl._core.typing import (
    ClassWeight,
    DivergenceName,
    DivergenceParams,
    Folds,
    Samples,
    Solver,
    keeps_type,
)
from sklkl._optimize.solve import check_solver, solve_stages
from sklkl.batches import Batches
from sklkl.batches._batches import ahead, numbered, refuse_others
from sklkl.linear_model._batched import check_batches
from sklkl.linear_model._data import RULES, check_data, check_numbers, unchanged_on_error
from sklkl.linear_model._logistic import SoftLabelLogisticRegression
from sklkl.linear_model._loss import resolve_divergence
from sklkl.linear_model._objective import objectives_of, step_tolerance
from sklkl.linear_model._softmax import LinearSoftmaxMixin
from sklkl.metrics import get_scorer
from sklkl.metrics._scorers import DivergenceScorer
from sklkl.model_selection._split import StratifiedSoftKFold, check_soft_cv

# What the model of all data gives.
OF_REFIT = ("coef_", "intercept_", "loss_")


class SoftLabelLogisticRegressionCV(CallbackSupportMixin, LinearSoftmaxMixin, BaseEstimator):
    """Logistic regression on probabilities that chooses its penalty by cross-validation.

    For every fold and ``l1_ratio`` the coefficients follow a path from the strongest
    penalty to the weakest, each fit starting from the last. See
    ``SoftLabelLogisticRegression`` for the model.

    Parameters
    ----------
    Cs : int or array-like of shape (n_Cs,), default=10
        Inverse strengths of the penalty to try, or how many on a logarithmic scale from
        1e-4 to 1e4.
    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Shares of the L1 norm in the penalty to try.
    fit_intercept : bool, default=True
        Add an intercept, which is not penalised.
    classes : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of a soft ``y``. It fixes the classes, so
        that labels absent from the data still get a column.
    cv : int, splitter or iterable, default=None
        Number of folds, 5 by default, stratified: ``StratifiedKFold`` for labels,
        ``sklkl.model_selection.StratifiedSoftKFold`` for soft targets; of a ``TopK`` or a
        sparse matrix random ones, a shuffled ``KFold``. Or a splitter, also one that divides
        the samples several times, as ``sklkl.model_selection.RepeatedStratifiedSoftKFold``,
        or an iterable of pairs of indices of training and test sets. A number of folds keeps
        ``groups`` together, of a ``TopK`` by ``GroupKFold``. ``Batches`` need a number: row i
        of all belongs to fold ``i % cv``.
    scoring : str or callable, default=None
        What is maximised over the held-out folds: a name of
        ``sklkl.metrics.get_scorer_names``, for labels also of
        ``sklearn.metrics.get_scorer_names``, or a scorer. By default "neg_kl_loss", for labels
        the negative log loss. A scorer of scikit-learn whose metric takes ``labels`` gets all
        classes, since a test set may lack some.
    class_weight : dict or "balanced", default=None
        Weights by class, as in ``SoftLabelLogisticRegression``; "balanced" refers to each
        training set.
    divergence : {"kl", "reverse_kl", "jeffreys", "jensen_shannon", "alpha"}, default="kl"
        As in ``SoftLabelLogisticRegression``.
    divergence_params : dict, default=None
        As in ``SoftLabelLogisticRegression``.
    temperature : float, default=1.0
        As in ``SoftLabelLogisticRegression``.
    solver : {"auto", "lbfgs", "proximal"}, default="auto"
        As in ``SoftLabelLogisticRegression``.
    tol : float, default=1e-3
        As in ``SoftLabelLogisticRegression``.
    max_iter : int, default=1000
        Bound for the number of iterations of each fit.
    n_jobs : int, default=None
        Folds fitted at once, in processes. The threads of a single one usually serve better.
    refit : bool, default=True
        Fit to all data at the best penalty. Otherwise the result is the mean of each fold's
        best solution, and ``C_`` and ``l1_ratio_`` are means.
    verbose : int, default=0
        Print the scores if positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the order of all results: sorted if ``y`` holds labels.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) if binary
        Coefficients.
    intercept_ : ndarray of shape (n_classes,), or (1,) if binary
        Intercepts.
    Cs_ : ndarray of shape (n_Cs,)
        The inverse strengths tried.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        The shares tried.
    C_ : float
        The best inverse strength.
    l1_ratio_ : float
        The best share.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Score of each held-out fold.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_rows, n_features + 1)
        Coefficients of each fit, n_rows as ``coef_``, the intercept last.
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Iterations of each fit.
    loss_ : float
        Mean divergence of the training targets to the model, nats, as in
        ``SoftLabelLogisticRegression``; with ``refit`` only.
    needs_offset_ : bool
        Whether the fit had an ``offset``, without which there are no predictions.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had any.

    See Also
    --------
    SoftLabelLogisticRegression : The same at a given penalty.
    sklearn.linear_model.LogisticRegressionCV : The same for labels alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl.linear_model import SoftLabelLogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftLabelLogisticRegressionCV(Cs=[0.01, 1, 100]).fit(X, y)
    >>> model.C_
    100.0
    >>> model.scores_.mean(axis=0).round(2)
    array([[-0.64, -0.14, -0.06]])
    """

    def __init__(
        self,
        *,
        Cs: ArrayLike = 10,
        l1_ratios: ArrayLike = (0.0,),
        fit_intercept: bool = True,
        classes: ArrayLike | None = None,
        cv: Folds = None,
        scoring: str | Callable[..., float] | None = None,
        class_weight: ClassWeight = None,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        temperature: float = 1.0,
        solver: Solver = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        refit: bool = True,
        verbose: int = 0,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.cv = cv
        self.scoring = scoring
        self.class_weight = class_weight
        self.divergence = divergence
        self.divergence_params = divergence_params
        self.temperature = temperature
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.refit = refit
        self.verbose = verbose

    @keeps_type(with_callbacks)
    @documented
    def fit(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        label_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Choose the penalty and fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
            Samples; or ``sklkl.batches.Batches``, which hold targets and weights as well.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels; or a probability vector per row, whose columns are ``classes``, or the
            columns of a data frame. Of many classes a ``TopK``, or a sparse matrix. None if
            ``X`` is ``Batches``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, in fits and in scores. If metadata routing is
            enabled, a scorer that is passed as ``scoring`` gets them if it requests them.
        labels : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, \
                default=None
            Labels to learn besides, as in ``SoftLabelLogisticRegression.fit``. Folds are
            scored by ``y`` alone.
        label_weight : array-like of shape (n_samples,), default=None
            Weights of the labels beside ``sample_weight``, non-negative.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Log-odds that are added to the linear scores, as in
            ``SoftLabelLogisticRegression.fit``, also where folds are scored.
        **params : dict
            ``groups``, the groups of the samples, for a splitter that needs them. If
            metadata routing is enabled, whatever the splitter and the scorer request.

        Returns
        -------
        self : SoftLabelLogisticRegressionCV
            The fitted model.

        Raises
        ------
        TypeError
            If metadata other than ``groups`` are passed, and metadata routing is not enabled.
        ValueError
            On bad data, as ``SoftLabelLogisticRegression.fit``, or a bad parameter; or if no
            score is a finite number. If of ``Batches`` a class has all its rows, as many as
            there are folds at least, in one fold.

        Warns
        -----
        ConvergenceWarning
            If a fit did not reach the tolerance.
        """
        Cs, l1_ratios = self._check_parameters()
        if isinstance(X, Batches):
            given = {"y": y, "sample_weight": sample_weight, "labels": labels}
            given |= {"label_weight": label_weight, "offset": offset}
            refuse_others(given | params)
            with unchanged_on_error(self):
                fitted = self._fit_batches(X, Cs, l1_ratios)
            return self._fitted(fitted)
        with unchanged_on_error(self):
            of_rows = sample_weight, labels, label_weight, offset
            data = check_data(self, X, y, *of_rows, sparse=True)
            targets = data.classes[data.target] if data.hard else indexable(y)[0]
            metadata = {"sample_weight": sample_weight, "label_weight": label_weight}
            metadata["labels"] = None if labels is None else indexable(labels)[0]
            if offset is not None:
                metadata["offset"] = data.offset if data.n_logits > 1 else data.offset[:, 0]
            metadata = {name: value for name, value in metadata.items() if value is not None}
            arguments = {"X": X, "y": y, "metadata": metadata or None}
            if sample_weight is not None:
                metadata = {**metadata, "sample_weight": check_weights(sample_weight, data.X)}
            split_params, score_params = self._route(metadata.get("sample_weight"), params)
            folds = check_soft_cv(self.cv, data.target, split_params.get("groups"))
            folds = list(folds.split(X, targets, **split_params))
            student = self._student(data.classes)
            scorer = self._scorer(data.classes, data.hard)
            context = self._init_callback_context(
                max_subtasks=len(folds) + bool(self.refit), sequential_subtasks=False
            ).call_on_fit_task_begin(estimator=self, **arguments)
            # All of them now: tasks that are being pickled share the tree.
            tasks = [
                context.subcontext(task_name="fold", task_id=i) for i in range(len(folds))
            ]
            names = feature_names(self)
            given = data.X, targets, metadata, scorer, score_params, names
            paths = Parallel(n_jobs=self.n_jobs, prefer="processes")(
                delayed(_path)(student, *given, train, test, Cs, l1_ratios, task)
                for (train, test), task in zip(folds, tasks, strict=True)
            )
            coefs, scores, n_iter = (np.stack(parts) for parts in zip(*paths, strict=True))
            if self.verbose > 0:
                print(f"mean scores by l1_ratio and C:\n{scores.mean(axis=0)}")
            fitted = self._choose(coefs, scores, Cs, l1_ratios)
            if self.refit:
                student.set_params(C=fitted["C_"], l1_ratio=fitted["l1_ratio_"])
                task = context.subcontext(task_name="refit", task_id=len(folds))
                fitted |= self._refit(student, X, targets, metadata, task, arguments)
            fitted |= {
                "classes_": data.classes,
                "Cs_": Cs,
                "l1_ratios_": l1_ratios,
                "coefs_paths_": coefs,
                "scores_": scores,
                "n_iter_": n_iter,
                "needs_offset_": offset is not None,
            }
            context.call_on_fit_task_end(
                estimator=self, **arguments, reconstruction_attributes=fitted
            )
        return self._fitted(fitted)

    def _fitted(self, attributes):
        vars(self).pop("loss_", None)  # of an earlier fit; with refit=False there is none
        vars(self).update(attributes)
        return self

    def _fit_batches(self, batches, Cs, l1_ratios):
        """Fit to batches, which are read anew in every pass of every fit."""
        n_folds = 5 if self.cv is None else self.cv
        check("cv", n_folds, integer(2))
        scorer, student = self._scorer_of_batches(), self._student(self.classes)
        arguments = {"X": batches, "y": None, "metadata": None}
        context = self._init_callback_context(max_subtasks=0).call_on_fit_task_begin(
            estimator=self, **arguments
        )
        whole = check_batches(student, batches)
        if whole.n_samples < n_folds:
            raise ValueError(f"cv={n_folds} folds need as many rows; X has {whole.n_samples}.")
        counts = _counts_in_turns(whole, n_folds)
        refuse_lone_folds(counts, whole.classes.tolist(), range(n_folds), "")
        whole.describe(self)
        grid = n_folds, len(l1_ratios), len(Cs)
        scores, n_iter = np.empty(grid), np.empty(grid, dtype=np.int32)
        coefs = np.empty((*grid, whole.n_logits, whole.n_features + 1), dtype=whole.dtype)
        trains = (
            {"X": in_turns(batches, n_folds, fold, held_out=False)} for fold in range(n_folds)
        )
        for place, model in fits_of_folds(student, trains, Cs, l1_ratios):
            held_out = in_turns(batches, n_folds, place[0], held_out=True)
            scores[place], n_iter[place] = scorer(model, held_out), model.n_iter_
            coefs[place] = np.column_stack([model.coef_, model.intercept_])
        if self.verbose > 0:
            print(f"mean scores by l1_ratio and C:\n{scores.mean(axis=0)}")
        fitted = self._choose(coefs, scores, Cs, l1_ratios)
        if self.refit:
            student.set_params(C=fitted["C_"], l1_ratio=fitted["l1_ratio_"]).fit(batches)
            fitted |= {name: getattr(student, name) for name in OF_REFIT}
        fitted |= {
            "classes_": whole.classes,
            "Cs_": Cs,
            "l1_ratios_": l1_ratios,
            "coefs_paths_": coefs,
            "scores_": scores,
            "n_iter_": n_iter,
            "needs_offset_": False,
        }
        context.call_on_fit_task_end(
            estimator=self, **arguments, reconstruction_attributes=fitted
        )
        return fitted

    def _refit(self, student, X, targets, metadata, task, arguments):
        """Fit to all data, from 0, lest folds matter; return attributes of the final model."""
        with task.propagate_callback_context(student):
            task.call_on_fit_task_begin(estimator=self, **arguments)
            student.fit(X, targets, **metadata)
        task.call_on_fit_task_end(estimator=self, **arguments)
        return {name: getattr(student, name) for name in OF_REFIT}

    def _student(self, classes):
        """Return the model of a fold, which has all classes, in this order."""
        own = SoftLabelLogisticRegression().get_params()
        shared = {name: value for name, value in self.get_params().items() if name in own}
        shared |= {"classes": classes, "verbose": 0}
        return SoftLabelLogisticRegression(**shared)

    def get_metadata_routing(self) -> Any:
        """Return where metadata of ``fit`` and ``score`` go: to the splitter and the scorer.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            The router.
        """
        to_split = MethodMapping().add(caller="fit", callee="split")
        to_score = MethodMapping().add(caller="fit", callee="score")
        to_score.add(caller="score", callee="score")
        number = self.cv is None or isinstance(self.cv, Integral)
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=StratifiedSoftKFold() if number else self.cv, method_mapping=to_split
            )
            .add(scorer=self._scorer(), method_mapping=to_score)
        )

    def _route(self, weight, params):
        """Return what to pass to ``split``, and to the scorer."""
        if weight is not None:
            # A power of 2 changes no digit, and sums of what is left do not overflow.
            weight = np.ldexp(weight, -np.frexp(weight.max())[1])
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=weight, **params)
            return routed.splitter.split, routed.scorer.score
        split_params = {name: params.pop(name) for name in ["groups"] if name in params}
        refuse_metadata("fit", params, "the splitter and the scorer")
        return split_params, {} if weight is None else {"sample_weight": weight}

    def _check_parameters(self):
        check_numbers(self, "tol", "max_iter", "temperature")
        resolve_divergence(self.divergence, self.divergence_params)
        check_parameters(
            self, fit_intercept=BOOLEAN, refit=BOOLEAN, n_jobs=N_JOBS, verbose=integer(0)
        )
        return check_penalties(self)

    def _scorer(self, classes=None, hard=True):
        """Return the scorer; classes that are known are made known to scikit-learn's."""
        scoring = "neg_kl_loss" if self.scoring is None else self.scoring
        if callable(scoring):
            return scoring if classes is None else _for_classes(scoring, classes)
        if isinstance(scoring, str) and scoring in get_sklearn_scorer_names():
            if not hard:
                raise ValueError(
                    f"scoring={scoring!r} is a score of labels, but y holds probabilities; "
                    "use a name of sklkl.metrics.get_scorer_names(), or a scorer."
                )
            scorer = get_sklearn_scorer(scoring)
        else:
            try:
                scorer = get_scorer(scoring)
            except ValueError as error:
                raise ValueError(
                    f"scoring={scoring!r}: {error} Or pass a scorer, as "
                    "sklearn.metrics.make_scorer makes them; for labels, a name of "
                    "sklearn.metrics.get_scorer_names() will do, too."
                ) from None
        if get_config()["enable_metadata_routing"]:
            # Who passes a name cannot request them.
            scorer.set_score_request(sample_weight=True)
        return scorer if classes is None else _for_classes(scorer, classes)

    def _scorer_of_batches(self):
        scorer = self._scorer()
        if not isinstance(scorer, DivergenceScorer):
            raise ValueError(
                f"scoring={self.scoring!r} scores rows in memory; for Batches take a name of "
                "sklkl.metrics.get_scorer_names(), or a scorer of sklkl.metrics."
            )
        return scorer

    def _choose(self, coefs, scores, Cs, l1_ratios):
        """Return the attributes of the final model that the folds determine."""
        if not self.refit:
            i, j = np.transpose([best_of(fold) for fold in scores])
            coef = coefs[np.arange(len(scores)), i, j].mean(axis=0)
            return {
                "C_": float(Cs[j].mean()),
                "l1_ratio_": float(l1_ratios[i].mean()),
                "coef_": np.ascontiguousarray(coef[:, :-1]),
                "intercept_": coef[:, -1].copy(),
            }
        i, j = best_of(scores.mean(axis=0))
        return {"C_": float(Cs[j]), "l1_ratio_": float(l1_ratios[i])}

    @documented
    def score(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Score predictions by ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
            Samples; or ``sklkl.batches.Batches``, which hold targets and weights as well, if
            the scorer is one of ``sklkl.metrics``.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row. None if ``X`` is ``Batches``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. If metadata routing is enabled, a scorer that is passed as
            ``scoring`` gets them if it requests them.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Log-odds that are added to the linear scores, as in ``fit``: needed if the fit had
            some, zeros otherwise.
        **params : dict
            What the scorer requests, if metadata routing is enabled.

        Returns
        -------
        score : float
            Larger is better.
        """
        check_is_fitted(self)
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "score", **params).scorer.score
        else:
            refuse_metadata("score", set(params) - {"sample_weight"}, "the scorer")
        if isinstance(X, Batches):
            refuse_others({"offset": offset})
            return self._scorer_of_batches()(self, X, y, **params)
        scorer = self._scorer(self.classes_, holds_labels(y))
        return _score(scorer, self, X, y, offset, params)

    def _penalty(self):
        return self.C_, self.l1_ratio_


def _rows(W, fit_intercept, dtype):
    """Return a row per logit, the intercept last, 0 if there is none."""
    if not fit_intercept:
        W = np.vstack([W, np.zeros(W.shape[1])])
    return np.ascontiguousarray(W.T, dtype=dtype)


def check_penalties(estimator):
    """Return the arrays of C and of l1_ratio that an estimator is to try."""
    Cs = estimator.Cs
    if isinstance(Cs, Integral) and not isinstance(Cs, bool):
        check("Cs", Cs, integer(1, 10**6))
        Cs = np.logspace(-4, 4, int(Cs))
    Cs = _checked_list("Cs", Cs, "C")
    l1_ratios = _checked_list("l1_ratios", estimator.l1_ratios, "l1_ratio")
    check_solver(estimator.solver, l1_ratios.max())
    return Cs, l1_ratios


def _checked_list(name, values, rule):
    """Return a parameter that lists numbers as an array."""
    if isinstance(values, str) or is_sparse_matrix(values) or n_dims(values, name) != 1:
        raise ValueError(f"{name} must be a list of numbers; got {values!r}.")
    if len(values) == 0:
        raise ValueError(f"{name} is empty.")
    for i, value in enumerate(values):
        check(f"{name}[{i}]", value, RULES[rule])
    return np.array(values, dtype=np.float64)


def _for_classes(scorer, classes):
    """Return a scorer of scikit-learn that knows the classes, of which a fold may lack some.

    As in scikit-learn's ``LogisticRegressionCV``. Other scorers are returned as they are.
    """
    metric = scorer_function(scorer)
    if isinstance(scorer, DivergenceScorer) or metric is None:
        return scorer
    accepted = inspect.signature(metric).parameters
    if "labels" not in accepted:
        return scorer
    known = {"labels": classes}
    if len(classes) == 2 and "pos_label" in accepted:
        known["pos_label"] = classes[1]
    return scorer_with(scorer, **known)


def fits_of_folds(student, trains, Cs, l1_ratios):
    """Fit a student to each fold for every penalty, from the strongest to the weakest.

    ``trains`` holds the arguments of ``fit`` for each fold. Yields ``(fold, i, j)``, where i
    and j are the places of the penalty in ``l1_ratios`` and ``Cs``, and the fitted model,
    which changes with the next fit.
    """
    for fold, arguments in enumerate(trains):
        for i, l1_ratio in enumerate(l1_ratios):
            path = clone(student).set_params(warm_start=True, l1_ratio=l1_ratio)
            for j in np.argsort(Cs):
                yield (fold, i, j), path.set_params(C=Cs[j]).fit(**arguments)


def in_turns(batches, n_folds, fold, *, held_out):
    """Return the same batches, with weights of 0 outside of a fold, or inside of it."""

    def weighted():
        for (X, y, weight, labels, label_weight), first_row in numbered(batches):
            n = n_rows(X, "X")
            inside = np.arange(first_row, first_row + n) % n_folds == fold
            counted = (inside if held_out else ~inside).astype(np.float64)
            weight = counted if weight is None else weight * counted
            if labels is not None:
                label_weight = counted if label_weight is None else label_weight * counted
            yield X, y, weight, labels, label_weight

    return Batches(weighted)


def _counts_in_turns(data, n_folds):
    """Return how many rows each class has in each fold, of those that count."""
    counts = np.zeros((n_folds, len(data.classes)))
    for own in ahead(data.parts()):
        for fold in range(n_folds):
            rows = slice((fold - own.first_row) % n_folds, None, n_folds)
            pairs = [(own.target, own.weight), (own.labels, own.label_weight)]
            for target, weight in pairs[: 1 + (own.labels is not None)]:
                counted = (weight[rows] > 0.0).astype(np.float64)
                counts[fold] += class_mass(target[rows], counted, len(data.classes))
    return counts


def refuse_lone_folds(counts, classes, numbers, advice):
    """Refuse folds one of which has a class for itself, with rows enough for all folds.

    As where labels come in turns, too. The model that is scored on it has never seen the
    class, so that the score chooses a wrong penalty. Of fewer rows it may be so by chance.
    """
    alone = (counts > 0.0).sum(axis=0) == 1
    alone &= counts.sum(axis=0) >= len(counts)
    if alone.any() and counts.any(axis=1).all():  # empty folds are refused where they score
        k = int(np.argmax(alone))
        raise ValueError(
            f"All rows of class {classes[k]!r} are in fold "
            f"{numbers[np.argmax(counts[:, k])]}; take another number of folds{advice}."
        )


def _score(scorer, model, X, y, offset, params):
    """Return the score of a model whose predictions may need an offset."""
    if offset is None:
        return scorer(model, X, y, **params)
    if isinstance(scorer, DivergenceScorer):
        return scorer(model, X, y, offset=offset, **params)
    return scorer(model._at(offset), X, y, **params)  # others ask for predictions of X alone


def best_of(scores):
    """Return where the largest score is."""
    best = int(scores.argmax())
    if not np.isfinite(scores.flat[best]):
        raise ValueError(
            f"No penalty can be chosen: by l1_ratio and C, the scores are {scores.tolist()}. "
            "Pass a scoring that returns finite numbers."
        )
    return np.unravel_index(best, scores.shape)


def _path(
    student, X, y, metadata, scorer, score_params, names, train, test, Cs, l1_ratios, context
):
    """Return coefficients, scores and numbers of iterations of one fold, for every penalty."""
    student = clone(student)  # tasks may be threads, which share what they are given
    X_train, y_train = X[train], take(y, train)
    X_test, y_test = X[test], take(y, test)
    offset = params_of_rows(X, metadata, test).get("offset")
    metadata = params_of_rows(X, metadata, train)
    score_params = params_of_rows(X, score_params, test)
    context.call_on_fit_task_begin(estimator=student, X=X_train, y=y_train)
    metadata = {"sample_weight": None, **metadata}
    data = check_data(student, X_train, y_train, **metadata, sparse=True)
    temperature = float(student.temperature)
    objectives = objectives_of(
        data,
        resolve_divergence(student.divergence, student.divergence_params),
        temperature=temperature,
        fit_intercept=student.fit_intercept,
        C=1.0,
        l1_ratio=0.0,
        feature_names=lambda: names,
    )
    shape = objectives[0].shape
    coefs = np.empty((len(l1_ratios), len(Cs), shape[1], X.shape[1] + 1), dtype=X.dtype)
    scores = np.empty((len(l1_ratios), len(Cs)))
    n_iter = np.empty((len(l1_ratios), len(Cs)), dtype=np.int32)
    for i, l1_ratio in enumerate(l1_ratios):
        W = np.zeros(shape)
        for j in np.argsort(Cs):
            for objective in objectives:
                objective.set_penalty(Cs[j], l1_ratio)
            _, result = solve_stages(
                objectives,
                W,
                solver=student.solver,
                tol=step_tolerance(student.tol, data, temperature),
                max_iter=student.max_iter,
            )
            W = result.W
            coefs[i, j] = temperature * _rows(W, student.fit_intercept, X.dtype)
            n_iter[i, j] = result.n_iter
            student.classes_ = data.classes
            student.coef_ = np.ascontiguousarray(coefs[i, j, :, :-1])
            student.intercept_ = coefs[i, j, :, -1]
            scores[i, j] = _score(scorer, student, X_test, y_test, offset, score_params)
    context.call_on_fit_task_end(estimator=student, X=X_train, y=y_train)
    return coefs, scores, n_iter
