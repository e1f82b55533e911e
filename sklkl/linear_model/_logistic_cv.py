"""Multinomial logistic regression on soft labels with a cross-validated penalty."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight

from sklkl._checks import check, integer
from sklkl.linear_model._data import (
    RULES,
    check_data,
    check_numbers,
    unchanged_on_error,
)
from sklkl.linear_model._logistic import SoftLabelLogisticRegression
from sklkl.linear_model._softmax import LinearSoftmaxMixin
from sklkl.linear_model._solve import check_solver, solve
from sklkl.metrics import get_scorer
from sklkl.model_selection._split import check_soft_cv


class SoftLabelLogisticRegressionCV(LinearSoftmaxMixin, BaseEstimator):
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
        The classes in the order of the columns of a soft ``y``, as in
        ``SoftLabelLogisticRegression``.
    cv : int, splitter or iterable, default=None
        Number of folds, 5 by default, stratified: ``StratifiedKFold`` for labels,
        ``sklkl.model_selection.StratifiedSoftKFold`` for soft targets. Or a splitter, or an
        iterable of indices.
    scoring : str or callable, default=None
        What is maximised over the held-out folds: a name of
        ``sklkl.metrics.get_scorer_names``, or a scorer. By default "neg_kl_loss", for labels
        the negative log loss.
    class_weight : dict or "balanced", default=None
        Weights by class, as in ``SoftLabelLogisticRegression``; "balanced" refers to each
        training set.
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
        The classes, in the order of all results.
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
        Mean KL divergence of the training targets to the model, nats; with ``refit`` only.
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
        Cs=10,
        l1_ratios=(0.0,),
        fit_intercept=True,
        classes=None,
        cv=None,
        scoring=None,
        class_weight=None,
        solver="auto",
        tol=1e-3,
        max_iter=1000,
        n_jobs=None,
        refit=True,
        verbose=0,
    ):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.cv = cv
        self.scoring = scoring
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.refit = refit
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the penalty and fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, in fits and in scores.
        groups : array-like of shape (n_samples,), default=None
            Groups of the samples, for a splitter that asks for them.

        Returns
        -------
        self : SoftLabelLogisticRegressionCV
            The fitted model.

        Raises
        ------
        ValueError
            On bad data, as ``SoftLabelLogisticRegression.fit``, or a bad parameter.

        Warns
        -----
        ConvergenceWarning
            If a fit did not reach the tolerance.
        """
        Cs, l1_ratios = self._check_parameters()
        with unchanged_on_error(self):
            data = check_data(self, X, y, sample_weight)
            (y,) = indexable(y)
            # Every fold has all classes, in this order.
            student = SoftLabelLogisticRegression(
                fit_intercept=self.fit_intercept,
                classes=data.classes,
                class_weight=self.class_weight,
                solver=self.solver,
                tol=self.tol,
                max_iter=self.max_iter,
            )
            scorer = self._scorer()
            weight = sample_weight
            if weight is not None:
                weight = _check_sample_weight(weight, data.X)
            folds = check_soft_cv(self.cv, data.target).split(X, y, groups)
            paths = Parallel(n_jobs=self.n_jobs, prefer="processes")(
                delayed(_path)(student, data.X, y, weight, scorer, train, test, Cs, l1_ratios)
                for train, test in folds
            )
            coefs, scores, n_iter = (np.stack(parts) for parts in zip(*paths, strict=True))
            if self.verbose > 0:
                print(f"mean scores by l1_ratio and C:\n{scores.mean(axis=0)}")
            fitted = self._refit(data, coefs, scores, Cs, l1_ratios)
        vars(self).pop("loss_", None)  # of an earlier fit; with refit=False there is none
        vars(self).update(fitted)
        self.classes_ = data.classes
        self.Cs_, self.l1_ratios_ = Cs, l1_ratios
        self.coefs_paths_, self.scores_, self.n_iter_ = coefs, scores, n_iter
        return self

    def _check_parameters(self):
        check_numbers(self, "tol", "max_iter")
        Cs = self.Cs
        if isinstance(Cs, Integral) and not isinstance(Cs, bool):
            check("Cs", Cs, integer(1))
            Cs = np.logspace(-4, 4, Cs)
        Cs, l1_ratios = np.atleast_1d(Cs).tolist(), np.atleast_1d(self.l1_ratios).tolist()
        for name, values, rule in (("Cs", Cs, "C"), ("l1_ratios", l1_ratios, "l1_ratio")):
            if not values:
                raise ValueError(f"{name} is empty.")
            for i, value in enumerate(values):
                check(f"{name}[{i}]", value, RULES[rule])
        check_solver(self.solver, max(l1_ratios))
        return np.array(Cs, dtype=np.float64), np.array(l1_ratios, dtype=np.float64)

    def _scorer(self):
        if callable(self.scoring):
            return self.scoring
        return get_scorer("neg_kl_loss" if self.scoring is None else self.scoring)

    def _refit(self, data, coefs, scores, Cs, l1_ratios):
        """Return the attributes of the final model."""
        n_folds = len(scores)
        if not self.refit:
            best = scores.reshape(n_folds, -1).argmax(axis=1)
            i, j = np.unravel_index(best, scores.shape[1:])
            coef = coefs[np.arange(n_folds), i, j].mean(axis=0)
            return {
                "C_": float(Cs[j].mean()),
                "l1_ratio_": float(l1_ratios[i].mean()),
                "coef_": np.ascontiguousarray(coef[:, :-1]),
                "intercept_": coef[:, -1].copy(),
            }
        i, j = np.unravel_index(scores.mean(axis=0).argmax(), scores.shape[1:])
        C, l1_ratio = float(Cs[j]), float(l1_ratios[i])
        objective = data.objective(self.fit_intercept, C, l1_ratio)
        result = solve(
            objective,
            np.zeros(objective.shape),  # not the folds' solutions: folds shall not matter
            X=data.X,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        coef = _rows(result.W, self.fit_intercept, data.X.dtype)
        return {
            "C_": C,
            "l1_ratio_": l1_ratio,
            "coef_": np.ascontiguousarray(coef[:, :-1]),
            "intercept_": coef[:, -1].copy(),
            "loss_": objective.loss_at(result.W, result.value),
        }

    def score(self, X, y, sample_weight=None):
        """Score predictions by ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Larger is better.
        """
        scorer = self._scorer()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return scorer(self, X, y, **weights)

    def _sklearn_parameters(self):
        elastic = {"l1_ratio": self.l1_ratio_, "solver": "saga"} if self.l1_ratio_ else {}
        return {
            "C": self.C_,
            "fit_intercept": self.fit_intercept,
            "class_weight": self.class_weight,
            **elastic,
        }


def _rows(W, fit_intercept, dtype):
    """Return a row per logit, the intercept last, 0 if there is none."""
    if not fit_intercept:
        W = np.vstack([W, np.zeros(W.shape[1])])
    return np.ascontiguousarray(W.T, dtype=dtype)


def _path(student, X, y, weight, scorer, train, test, Cs, l1_ratios):
    """Return coefficients, scores and numbers of iterations of one fold, for every penalty."""
    fold_weight = None if weight is None else weight[train]
    data = check_data(student, X[train], _safe_indexing(y, train), fold_weight)
    X_test, y_test = X[test], _safe_indexing(y, test)
    weights = {} if weight is None else {"sample_weight": weight[test]}
    objective = data.objective(student.fit_intercept, 1.0, 0.0)
    coefs = np.empty(
        (len(l1_ratios), len(Cs), objective.shape[1], X.shape[1] + 1), dtype=X.dtype
    )
    scores = np.empty((len(l1_ratios), len(Cs)))
    n_iter = np.empty((len(l1_ratios), len(Cs)), dtype=np.int32)
    for i, l1_ratio in enumerate(l1_ratios):
        W = np.zeros(objective.shape)
        for j in np.argsort(Cs):
            objective.set_penalty(Cs[j], l1_ratio)
            result = solve(
                objective,
                W,
                X=data.X,
                solver=student.solver,
                tol=student.tol,
                max_iter=student.max_iter,
            )
            W = result.W
            coefs[i, j] = _rows(W, student.fit_intercept, X.dtype)
            n_iter[i, j] = result.n_iter
            student.classes_ = data.classes
            student.coef_ = np.ascontiguousarray(coefs[i, j, :, :-1])
            student.intercept_ = coefs[i, j, :, -1]
            scores[i, j] = scorer(student, X_test, y_test, **weights)
    return coefs, scores, n_iter
