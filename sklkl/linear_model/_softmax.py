"""Predictions of a linear softmax model."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted, validate_data

from sklkl._base import SoftLabelClassifierMixin
from sklkl._kernels._linear import LOG_PROBA, PROBA, RAW, LinearRows


class LinearSoftmaxMixin(SoftLabelClassifierMixin):
    """Classifier with ``coef_``, ``intercept_`` and ``classes_``."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X):
        """Compute the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), or (n_samples,) if binary
            Linear scores; if binary, of ``classes_[1]``.
        """
        raw = self._predict(X, RAW)
        return raw[:, 0] if len(self.classes_) == 2 else raw

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels from ``classes_``.
        """
        raw = self._predict(X, RAW)
        codes = raw[:, 0] > 0 if len(self.classes_) == 2 else raw.argmax(axis=1)
        return self.classes_[codes.astype(np.intp)]

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row, columns as ``classes_``.
        """
        return self._predict(X, PROBA)

    def predict_log_proba(self, X):
        """Predict log-probabilities, directly: accurate near 0 and far below underflow.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms, columns as ``classes_``.
        """
        return self._predict(X, LOG_PROBA)

    def _predict(self, X, what):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )
        X = X.astype(np.promote_types(X.dtype, self.coef_.dtype), copy=False)
        W = np.vstack([self.coef_.T, self.intercept_])
        return LinearRows(X, W.shape[1], True).predict(W, what)

    def to_sklearn(self):
        """Convert to a fitted ``sklearn.linear_model.LogisticRegression``.

        Returns
        -------
        model : sklearn.linear_model.LogisticRegression
            Makes the same predictions and needs nothing but scikit-learn.

        Examples
        --------
        >>> from sklkl.linear_model import SoftLabelLogisticRegression
        >>> model = SoftLabelLogisticRegression().fit([[0.0], [1.0]], [[0.8, 0.2], [0.1, 0.9]])
        >>> model.to_sklearn()
        LogisticRegression()
        """
        check_is_fitted(self)
        model = LogisticRegression(**self._sklearn_parameters())
        for name in ("classes_", "coef_", "intercept_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(model, name, getattr(self, name).copy())
        model.n_features_in_ = self.n_features_in_
        model.n_iter_ = np.array([np.max(self.n_iter_)], dtype=np.int32)
        return model
