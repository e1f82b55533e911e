"""Predictions of a linear softmax model."""

from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn import get_config
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from sklkl._core.devices import cast, labels_beside, namespace, place_of, to_host
from sklkl._core.docs import documented
from sklkl._core.names import refuse_other_rows
from sklkl._core.sklearn import check_same_namespace
from sklkl._core.typing import Estimator, Floats, Samples
from sklkl._kernels._linear import LOG_PROBA, PROBA, RAW
from sklkl.linear_model import _inference, _rows
from sklkl.linear_model._data import check_features, check_offset
from sklkl.metrics._classifier import SoftLabelClassifierMixin


class LinearSoftmaxMixin(SoftLabelClassifierMixin):
    """Classifier with ``coef_``, ``intercept_`` and ``classes_``."""

    # What ``fit`` takes, so that a subclass whose fit hands on keywords can request it, too.
    __metadata_request__fit = dict.fromkeys(
        ["sample_weight", "labels", "label_weight", "offset"]
    )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @documented
    def decision_function(self, X: Samples, offset: ArrayLike | None = None) -> Floats:
        """Compute the logits, at temperature 1.

        Parameters
        ----------
        %(X)s
        %(offset)s

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), or (n_samples,) if binary
            Linear scores, the offset included; if binary, of ``classes_[1]``.
        """
        raw = self._predict(X, RAW, "decision_function", offset)
        return raw[:, 0] if len(self.classes_) == 2 else raw

    @documented
    def predict(self, X: Samples, offset: ArrayLike | None = None) -> NDArray[Any]:
        """Predict the most probable class.

        Parameters
        ----------
        %(X)s
        %(offset)s

        Returns
        -------
        %(to_labels)s
        """
        raw = self._predict(X, RAW, "predict", offset)
        xp = namespace(raw)
        codes = raw[:, 0] > 0 if len(self.classes_) == 2 else xp.argmax(raw, axis=1)
        return labels_beside(raw, self.classes_[to_host(codes).astype(np.intp)])

    @documented
    def predict_proba(self, X: Samples, offset: ArrayLike | None = None) -> Floats:
        """Predict probabilities, at ``temperature``.

        Parameters
        ----------
        %(X)s
        %(offset)s

        Returns
        -------
        %(to_proba)s
        """
        return self._predict(X, PROBA, "predict_proba", offset)

    @documented
    def predict_log_proba(self, X: Samples, offset: ArrayLike | None = None) -> Floats:
        """Predict log-probabilities, at ``temperature``.

        They are computed directly: accurate near 0 and far below underflow.

        Parameters
        ----------
        %(X)s
        %(offset)s

        Returns
        -------
        %(to_log_proba)s
        """
        return self._predict(X, LOG_PROBA, "predict_log_proba", offset)

    def _predict(self, X, what, method, offset):
        check_is_fitted(self)
        offset = vars(self).get("_offset") if offset is None else offset
        self._refuse_missing(offset, method)
        refuse_other_rows({"X": X, "offset": offset}, strict=False)
        check_same_namespace(X, self, attribute="coef_", method=method)
        X = check_features(self, X, reset=False, finite=True)
        if place_of(X, "X") is None:
            X = X.astype(np.promote_types(X.dtype, self._coefficients().dtype), copy=False)
        else:
            X = cast(X, namespace(X).result_type(X.dtype, self.coef_.dtype))
        W = self._coefficients(intercept=True)
        rows = _rows.rows_of(
            X, W.shape[1], True, offset=check_offset(offset, X, self.classes_)
        )
        return rows.predict(W, what, 1.0 if what == RAW else float(self.temperature))

    def _refuse_missing(self, offset, method):
        """Refuse to do without the offset that a model was fitted with."""
        # Models that were stored before there were offsets have no such attribute.
        if offset is None and getattr(self, "needs_offset_", False):
            raise ValueError(
                f"This {type(self).__name__} was fitted with an offset, for which its "
                f"coefficients do not make up: pass offset= to {method}, zeros where there is "
                "none. Of estimators that hold it only pipelines and DistilledClassifier hand "
                "one on, as metadata, and no predictions of sklkl.dask do: call it itself, as "
                "model.best_estimator_ or model.to_local(), or fit it without."
            )

    def _at(self, offset):
        """Return a copy that adds this offset, for who asks models to predict X alone."""
        known = copy(self)
        known._offset = offset
        return known

    @documented
    def score(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Score the predictions: accuracy for labels, D² for soft targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
            Samples; or ``sklkl.batches.Batches``, which hold targets and weights as well, and
            of which one is in memory at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row, which may be a ``TopK``. None if
            ``X`` is ``Batches``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        %(offset)s

        Returns
        -------
        %(to_score)s

        Raises
        ------
        ValueError
            If ``y`` is no valid target, or arguments name their rows in another order than
            ``X``.
        """
        return self._score(X, y, sample_weight, offset=offset)

    def _coefficients(self, intercept=None):
        """Return dense coefficients, a column per logit.

        The intercepts are the last row, by default if there is one.
        """
        W = (self.coef_.toarray() if issparse(self.coef_) else to_host(self.coef_)).T
        if self.fit_intercept if intercept is None else intercept:
            W = np.vstack([W, to_host(self.intercept_)])
        return W

    def __sklearn_array_api_convert__(self, converter):
        """Return a copy with coefficients elsewhere; all else stays on the host.

        ``move_estimator_to`` of scikit-learn calls it; by itself it would move the classes.
        """
        moved = copy(self)
        for name in ("coef_", "intercept_"):
            if hasattr(self, name):  # of a search, the estimator is not fitted
                value = getattr(self, name)
                setattr(moved, name, converter(value.toarray() if issparse(value) else value))
        return moved

    def sparsify(self) -> Self:
        """Make ``coef_`` a sparse matrix, which an L1 norm makes worthwhile.

        Every method goes on working; the next fit makes ``coef_`` dense again.

        Returns
        -------
        self : estimator
            The fitted model. Its ``coef_`` is a ``scipy.sparse.csr_matrix``, or a
            ``csr_array`` if scikit-learn is configured to prefer that.

        Raises
        ------
        TypeError
            If ``coef_`` is an array of another library.
        """
        check_is_fitted(self)
        if not (issparse(self.coef_) or isinstance(self.coef_, np.ndarray)):
            raise TypeError(
                f"coef_ is a {type(self.coef_).__name__}, and sparse ones are SciPy's; "
                "move the model to the host first."
            )
        arrays = get_config().get("sparse_interface") == "sparray"  # since scikit-learn 1.9
        self.coef_ = (csr_array if arrays else csr_matrix)(self.coef_)
        return self

    def densify(self) -> Self:
        """Make ``coef_`` an array again, after ``sparsify``.

        Returns
        -------
        self : estimator
            The fitted model.
        """
        check_is_fitted(self)
        if issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self

    def coef_frame(self, *, base: Any = None) -> Any:
        """Return the coefficients as a data frame.

        The function ``coef_frame`` does the same for a pipeline, a search or a
        ``DistilledClassifier`` that ends in such a model.

        Parameters
        ----------
        base : label, default=None
            The class that the others are compared with: coefficients are differences from its
            own, and it has no column.

        Returns
        -------
        frame : pandas.DataFrame
            A row per feature, by name or as x0, x1, ..., the intercept last if there is one;
            a column per class, if binary and without a ``base`` one for ``classes_[1]`` alone.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If ``base`` is none of the classes.

        Examples
        --------
        >>> from sklkl.linear_model import SoftLabelLogisticRegression
        >>> X = [[0.0], [1.0], [2.0], [3.0]]
        >>> y = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]]
        >>> model = SoftLabelLogisticRegression(C=10, classes=["ham", "spam"]).fit(X, y)
        >>> model.coef_frame().round(2)
        class      spam
        feature
        x0         1.36
        intercept -1.88
        """
        return _inference.coef_frame(self, base=base)

    def coef_inference(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        confidence_level: float = 0.95,
        base: Any = None,
        offset: ArrayLike | None = None,
    ) -> Any:
        r"""Compute robust standard errors and confidence intervals of the coefficients.

        They need no more than that the mean of the targets is a softmax of linear logits:
        targets may be labels, or probabilities of any distribution around that mean [1]_.
        Errors that take soft targets for labels are far too large. If the mean is another,
        they are errors of the best approximation [2]_.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples of the fit.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels or targets of the fit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the fit. Here they are sampling or importance weights, whose scale does
            not matter without a penalty: a row of weight 2 is one observation, not two. For
            frequencies, repeat the rows. A row of weight 0 is as good as absent.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups of dependent rows, as all of one patient. The groups are then
            the independent units [3]_, otherwise the rows are.
        confidence_level : float, default=0.95
            Share of samples for which an interval is to hold the true value, between 0 and 1.
        base : label, default=None
            The class that the others are compared with: coefficients are differences from its
            own, with the errors of these.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            The offset of the fit, if it had one.

        Returns
        -------
        frame : pandas.DataFrame
            A row per class and feature, the intercept as the last feature if there is one,
            with the columns ``coef``, ``std_error``, ``z``, their quotient, ``p_value``, of
            the two-sided test for 0, ``low`` and ``high``. If binary, the class is
            ``classes_[1]``; with more, coefficients are differences from their mean over the
            classes. With a ``base``, all other classes.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If the penalty has an L1 norm, after which there are no valid standard errors; if
            the divergence is not "kl", or the temperature not 1; if the coefficients are not
            determined, because features are linearly dependent or classes separable; if
            they are not near the optimum for these data, as on other data than the fit had;
            if there are more than 5000 coefficients; if ``base`` is none of the classes; or on
            bad data.

        Warns
        -----
        ConvergenceWarning
            If the optimum for these data is more than a quarter of a standard error away:
            they are not the data of the fit, or its ``tol`` was too large for so many samples.

        Notes
        -----
        The covariance is :math:`A^{-1} B A^{-1}`, with A the Hessian of the objective and B
        the sum over rows, or groups, of the outer products of their weighted gradients less
        the mean gradient, without a factor for small samples (HC0). With few groups, below
        about 40, errors are too small.

        The L2 penalty shrinks coefficients, and the intervals are for the penalised
        coefficients of the whole population, not for the coefficients that produced the data.
        For the latter, fit with
        ``C=np.inf``, or a penalty that is small beside the data. Class weights are taken as
        given, and so is a penalty chosen by cross-validation.

        References
        ----------
        .. [1] Papke, L. E. and Wooldridge, J. M. (1996). Econometric Methods for Fractional
           Response Variables. Journal of Applied Econometrics 11(6), 619-632.

        .. [2] White, H. (1982). Maximum Likelihood Estimation of Misspecified Models.
           Econometrica 50(1), 1-25.

        .. [3] Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal Data Analysis Using
           Generalized Linear Models. Biometrika 73(1), 13-22.

        Examples
        --------
        >>> import numpy as np
        >>> from sklkl.linear_model import SoftLabelLogisticRegression
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 2))
        >>> mean = 1 / (1 + np.exp(-X[:, 0]))
        >>> p = rng.beta(5 * mean, 5 * (1 - mean))
        >>> y = np.column_stack([1 - p, p])
        >>> model = SoftLabelLogisticRegression(C=np.inf).fit(X, y)
        >>> model.coef_inference(X, y)[["coef", "std_error", "low", "high"]].round(2)
                         coef  std_error   low  high
        class feature
        1     x0         1.05       0.07  0.91  1.18
              x1         0.01       0.06 -0.10  0.13
              intercept  0.01       0.06 -0.10  0.13
        """
        check_is_fitted(self)
        return _inference.inference_frame(
            self, [], None, X, y, sample_weight, groups, confidence_level, base, offset
        )

    def to_sklearn(self) -> Estimator:
        """Convert to a fitted ``sklearn.linear_model.LogisticRegression``.

        Returns
        -------
        model : sklearn.linear_model.LogisticRegression
            Makes the same predictions and needs nothing but scikit-learn.

        Raises
        ------
        ValueError
            If the model was fitted with an offset, for which scikit-learn has no place.

        Examples
        --------
        >>> from sklkl.linear_model import SoftLabelLogisticRegression
        >>> model = SoftLabelLogisticRegression().fit([[0.0], [1.0]], [[0.8, 0.2], [0.1, 0.9]])
        >>> model.to_sklearn()
        LogisticRegression()
        """
        check_is_fitted(self)
        if getattr(self, "needs_offset_", False):
            raise ValueError(
                f"This {type(self).__name__} was fitted with an offset, which predictions of "
                "scikit-learn's LogisticRegression would leave out."
            )
        C, l1_ratio = self._penalty()
        params = {"fit_intercept": self.fit_intercept, "class_weight": self.class_weight}
        if l1_ratio:
            params |= {"l1_ratio": l1_ratio, "solver": "saga"}
        model = LogisticRegression(C=C, **params)
        for name in ("classes_", "coef_", "intercept_", "feature_names_in_"):
            if hasattr(self, name):
                value = getattr(self, name)
                setattr(model, name, copy(value if issparse(value) else to_host(value)))
        if self.temperature != 1.0:
            model.coef_, model.intercept_ = (
                array / self.temperature for array in (model.coef_, model.intercept_)
            )
        model.n_features_in_ = self.n_features_in_
        model.n_iter_ = np.array([np.max(self.n_iter_)], dtype=np.int32)
        return model
