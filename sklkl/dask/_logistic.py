"""The student on Dask collections."""

from contextlib import contextmanager

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklkl import linear_model
from sklkl._core.docs import documented_with
from sklkl.dask._collections import is_collection
from sklkl.dask._data import checked_collections
from sklkl.dask._docs import sections_of
from sklkl.dask._predictions import CollectionPredictions, local
from sklkl.metrics._classifier import SoftLabelClassifierMixin

PLAIN = linear_model.SoftLabelLogisticRegression


@documented_with(parameters_and_attributes=sections_of(PLAIN))
class SoftLabelLogisticRegression(CollectionPredictions, PLAIN):
    """Logistic regression that learns from probabilities, on Dask collections.

    The model, and the numbers, of ``sklkl.linear_model.SoftLabelLogisticRegression``, which
    has the formulas. ``fit`` takes Dask arrays, data frames and Series: their partitions are
    held by the workers that compute them while the fit lasts, and what travels in every
    iteration is the coefficients and their gradient. A fit of many rows begins on a sample of
    them, of at most 256 MiB, which travels to this process once. Without a client the
    partitions are computed by Dask's scheduler, and kept in this process. Anything else than
    collections is treated as by the plain class; so ``partial_fit`` and ``coef_inference``
    take what fits in memory.

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
            of_rows = dict(arguments)
            if of_rows.pop("offset") is not None:
                raise ValueError("An offset is for rows in memory, not for collections.")
            with checked_collections(self, of_rows) as data:
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
        return local(self, PLAIN)


class OfStudent(CollectionPredictions, SoftLabelClassifierMixin, BaseEstimator):
    """Estimator that predicts as its ``student_`` does."""

    def _describe(self, names):
        """Take fitted attributes of the student, and what it knows of the features."""
        vars(self).pop("feature_names_in_", None)
        for name in (*names, "classes_", "n_features_in_", "feature_names_in_"):
            if hasattr(self.student_, name):
                setattr(self, name, getattr(self.student_, name))

    def to_local(self) -> PLAIN:
        """Return the student in memory, which needs no Dask.

        Returns
        -------
        model : sklkl.linear_model.SoftLabelLogisticRegression
            The plain class, fitted as the student is.
        """
        check_is_fitted(self)
        return self.student_.to_local()
