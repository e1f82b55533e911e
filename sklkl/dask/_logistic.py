"""The student on Dask collections."""

from contextlib import contextmanager
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklkl import linear_model
from sklkl._core.docs import documented, documented_with
from sklkl._core.typing import Samples
from sklkl.dask._collections import is_collection
from sklkl.dask._data import checked_collections
from sklkl.dask._losses import score_of
from sklkl.dask._predictions import predicted

PLAIN = linear_model.SoftLabelLogisticRegression
_, _, _SECTIONS = (PLAIN.__doc__ or "").partition("Parameters\n    ----------\n")


@documented_with(parameters_and_attributes=_SECTIONS.partition("    See Also\n")[0])
class SoftLabelLogisticRegression(PLAIN):
    """Logistic regression that learns from probabilities, on Dask collections.

    The model, and the numbers, of ``sklkl.linear_model.SoftLabelLogisticRegression``, which
    has the formulas. ``fit`` takes Dask arrays, data frames and Series: their partitions are
    held by the workers that compute them while the fit lasts, and what travels in every
    iteration is the coefficients and their gradient. Without a client the partitions are
    computed by Dask's scheduler, and kept in this process. Anything else than collections is
    treated as by the plain class; so ``partial_fit`` and ``coef_inference`` take what fits in
    memory.

    Parameters
    ----------
    %(parameters_and_attributes)s

    See Also
    --------
    sklkl.linear_model.SoftLabelLogisticRegression : The same in memory.

    Notes
    -----
    Rows of all arguments are side by side in partitions. Arrays of known chunks are brought to
    those of ``X``; columns in several chunks are put together. Sums over partitions are added
    in an order that depends on their number alone (of wide models, whose sums take more than
    256 MB in all partitions, also on the places of these), so that a fit gives the same bits
    wherever they are. A worker that is lost is replaced as Dask does it: what it held is
    computed anew.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklkl.dask import SoftLabelLogisticRegression
    >>> X = da.from_array(np.array([[0.0], [1.0], [2.0], [3.0]]), chunks=(2, 1))
    >>> y = da.from_array(np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]]))
    >>> model = SoftLabelLogisticRegression(C=10, classes=["ham", "spam"]).fit(X, y)
    >>> proba = model.predict_proba(X)
    >>> type(proba), proba.chunks
    (<class 'dask.array.core.Array'>, ((2, 2), (2,)))
    >>> proba.compute().round(2)
    array([[0.87, 0.13],
           [0.63, 0.37],
           [0.3 , 0.7 ],
           [0.1 , 0.9 ]])
    """

    @contextmanager
    def _checked(self, arguments):
        if any(map(is_collection, arguments.values())):
            with checked_collections(self, arguments) as data:
                yield data
        else:
            with super()._checked(arguments) as data:
                yield data

    def to_local(self) -> PLAIN:
        """Return the model in memory, which needs no Dask.

        Returns
        -------
        model : sklkl.linear_model.SoftLabelLogisticRegression
            The plain class, fitted as this model is.
        """
        check_is_fitted(self)
        local = PLAIN.__new__(PLAIN)
        vars(local).update(vars(self))
        return local

    @documented
    def decision_function(self, X: Samples) -> Any:
        """Compute the logits, at temperature 1.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        logits : array or data frame of shape (n_samples, n_classes), (n_samples,) if binary
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class, if binary a Series.
        """
        return predicted(self.to_local(), "decision_function", X)

    @documented
    def predict(self, X: Samples) -> Any:
        """Predict the most probable class.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : array or Series of shape (n_samples,)
            Labels from ``classes_``, of the kind of X, nothing of which is computed if it is
            a collection.
        """
        return predicted(self.to_local(), "predict", X)

    @documented
    def predict_proba(self, X: Samples) -> Any:
        """Predict probabilities, at ``temperature``.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        proba : array or data frame of shape (n_samples, n_classes)
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class.
        """
        return predicted(self.to_local(), "predict_proba", X)

    @documented
    def predict_log_proba(self, X: Samples) -> Any:
        """Predict log-probabilities, at ``temperature``.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        log_proba : array or data frame of shape (n_samples, n_classes)
            Of the kind of X, nothing of which is computed if it is a collection; of a data
            frame a column per class.
        """
        return predicted(self.to_local(), "predict_log_proba", X)

    @documented
    def score(self, X: Samples, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score the predictions: accuracy for labels, D² for soft targets.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            True labels, or a probability vector per row; a collection if ``X`` is one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; a collection if ``X`` is one.

        Returns
        -------
        %(to_score)s

        Raises
        ------
        ValueError
            If ``y`` is no valid target, or its partitions are not those of ``X``.
        """
        return score_of(self.to_local(), X, y, sample_weight)
