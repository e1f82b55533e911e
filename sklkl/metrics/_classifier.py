"""The score of all classifiers: accuracy for labels, D² for soft targets."""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sklkl._core.devices import on_host
from sklkl._core.docs import documented
from sklkl._core.home import DOCUMENTATION
from sklkl._core.names import refuse_other_rows
from sklkl._core.samples import check_weights, match_rows
from sklkl._core.targets import align, align_target, check_target, is_sparse
from sklkl._core.typing import Samples
from sklkl.batches import Batches
from sklkl.batches._batches import refuse_others
from sklkl.metrics._losses import SlicedPredictions, d2
from sklkl.metrics._parts import accuracy_of, mean_of, results_of
from sklkl.metrics._scorers import D2, DivergenceScorer


class SoftLabelClassifierMixin(ClassifierMixin):
    """Classifier whose ``score`` takes labels or soft targets."""

    # What BaseEstimator builds the links of its HTML diagram from; of "" it builds none.
    _doc_link_module = "sklkl" if DOCUMENTATION else ""
    _doc_link_template = (
        f"{DOCUMENTATION}/generated/{{estimator_module}}.{{estimator_name}}.html"
    )

    @documented
    def score(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
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

        Returns
        -------
        %(to_score)s

        Raises
        ------
        ValueError
            If ``y`` is no valid target, or arguments name their rows in another order than
            ``X``.
        """
        return self._score(X, y, sample_weight)

    def _score(self, X, y, sample_weight, **more):
        """Return the score; further arguments are for models whose predictions take them."""
        check_is_fitted(self)
        more = {name: value for name, value in more.items() if value is not None}
        given = {"y": y, "sample_weight": sample_weight, **more}
        if isinstance(X, Batches):
            refuse_others(given)
            return self._score_batches(X)
        refuse_other_rows({"X": X, **given}, strict=False)
        if is_sparse(y):
            target, _ = align_target(y, self.classes_, "y", sparse=True)
            match_rows(y=target, X=X)
            return d2(target, SlicedPredictions(self, X, **more), sample_weight=sample_weight)
        if not check_target(y, stays=True).hard:
            target, proba = align(y, self.predict_proba(X, **more), self.classes_, "y")
            return d2(target, proba, sample_weight=sample_weight)
        weight = None if sample_weight is None else check_weights(sample_weight, y)
        predicted = on_host(self.predict(X, **more), "predict")
        with np.errstate(invalid="ignore"):  # it tries whether labels like 1e308 are integers
            return float(accuracy_score(on_host(y, "y"), predicted, sample_weight=weight))

    def _score_batches(self, batches):
        first = next(iter(batches), None)
        if first is None:
            raise ValueError("X holds 0 samples, in all batches; at least 1 is needed.")
        if not check_target(first[1], of_part=True, sparse=True).hard:
            return DivergenceScorer(D2)(self, batches)
        return mean_of(results_of(batches), partial(accuracy_of, model=self))
