"""Calibration maps, which correct probabilities that are off in a systematic way.

All are softmax regressions on log-probabilities z, written below with coefficients a, W and
intercepts b, and minimise the KL divergence of the targets:

    temperature  softmax(a z)              1 coefficient, 1 / temperature
    vector       softmax(a * z + b)        2 for each class
    Dirichlet    softmax(W z + b)          n_classes + 1 for each class

The coefficients of vector and Dirichlet scaling are penalised for leaving the best
temperature, not zero: with few data they stay near it, with many they learn what it cannot.
The penalty grows with the number of coefficients, which is 10,000 for 100 classes. That
temperature is the best beside intercepts: without them, a model of shifted class frequencies
is taken for an overconfident one.

Intercepts are to move the mean prediction of every class, however rare, to its mean target. So
their pull to 0 is bounded: it may leave a difference of a fifth of a standard error, and has
no more influence. Without any, intercepts fit what is chance: on digits, ten classes in 180
rows, the log loss of a network is 0.118 then, and 0.112 so.

n rows cannot exclude what happens once in n. So the targets are mixed with the uniform
distribution, as much as a fifth of a row makes up: a class without a row has a finite
intercept, separable classes have finite coefficients, and where a model's zeros were right n
times they become small, and no smaller.

Probabilities of improbable classes are the least reliable: 1e-30 by an overconfident network,
or 0 by a forest, is no evidence of that much, and the logarithm stretches it without bound. So
z is the logarithm of probabilities q that were mixed with the uniform distribution, as much as
serves the temperature best, beside intercepts if the map has them. On digits of which 20 % are
labelled anew that takes the log loss of a network from 1.22 to 1.09 and of a forest from 1.35
to 1.04 (docs/benchmarks_scoring.md).
"""

from contextlib import contextmanager
from copy import copy
from functools import partial
from math import prod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from sklkl._core.arrays import without_tensor
from sklkl._core.classes import encode, frame_columns, match_columns
from sklkl._core.devices import (
    beside,
    labels_beside,
    namespace,
    on_host,
    place_of,
    slices,
    to_host,
)
from sklkl._core.distributions import check_rows
from sklkl._core.docs import documented, documented_with
from sklkl._core.names import counting_from, places, refuse_other_rows, row_number, shown
from sklkl._core.parameters import BOOLEAN, POSITIVE_OR_INFINITE, check_parameters, number
from sklkl._core.samples import check_weights, n_rows, refuse_missing
from sklkl._core.targets import Target, check_target, refuse_single_class
from sklkl._core.typing import Floats, Samples
from sklkl._optimize.solve import one_blas_thread
from sklkl.calibration._objective import (
    Data,
    DirichletObjective,
    Doubt,
    ScalingObjective,
    smoothed,
    solved,
)
from sklkl.linear_model import _device
from sklkl.linear_model._data import unchanged_on_error
from sklkl.metrics._classifier import SoftLabelClassifierMixin

SOLVE = {"solver": "lbfgs", "tol": 1e-6, "max_iter": 1000}
LOG_EPS = np.log(np.finfo(np.float64).eps)
LEAST_SMOOTHING, MOST_SMOOTHING = 1e-9, 0.99
GRID_SIZE = 5
MOST_PENALTY = 1e6  # beside a mean loss; more would only drown in rounding
WORTHWHILE = 1e-8  # nats by which smoothing must lower the loss
RULES = {
    "C": POSITIVE_OR_INFINITE,
    "smoothing": number("a number from 0 to below 1", lambda v: 0 <= v < 1).or_("auto"),
    "from_logits": BOOLEAN,
}


def fit_common(data, doubt, start, tol=SOLVE["tol"]):
    """Return ``(loss, parameters)`` of the best common slope, and intercepts if any.

    The slope is never negative, and 0 if z is uninformative.
    """
    make = partial(ScalingObjective, doubt=doubt)
    result = solved(make, data, start, **{**SOLVE, "tol": tol})
    if result.W[0, 0] > 0.0:
        return result.value, result.W
    n_classes = data.n_classes
    mean = np.full(n_classes, 1.0 / n_classes)
    if start.size > 1:
        moments = data.moments(0.0)
        mean = doubt.share * mean + (1.0 - doubt.share) * moments.mean / moments.weight
    logs = np.log(np.maximum(mean, np.finfo(np.float64).tiny))
    theta = np.zeros_like(start)
    theta[0, 1:] = logs[: start.size - 1]
    return -float(mean @ logs), theta


def fit_temperature(data, doubt):
    """Return the inverse of the best temperature: never negative, 0 if z is uninformative."""
    _, theta = fit_common(data, doubt, np.ones((1, 1)))
    return float(theta[0, 0])


def fit_smoothing(data, doubt, *, intercepts=False, needed=False):
    """Return the share of the uniform distribution with which a temperature serves best.

    A temperature and ``intercepts`` for each class, if the map to come has them: without,
    the share would have to mend shifted class frequencies. 0 if no share serves, unless
    some is ``needed``. To know one number, a sample of the rows is enough.
    """
    data = data.sample or data

    def solved_with(log_smoothing, start):
        return fit_common(data.mixed(np.exp(log_smoothing)), doubt, start, tol=1e-5)

    # A grid first: there may be several minima, where some rows are far more certain than
    # others. Of 200 random problems 10 were stuck in a bad one without, by up to 0.1 nats.
    # The inverse temperature rises with smoothing, and a start below it does no harm.
    grid = np.linspace(np.log(LEAST_SMOOTHING), np.log(MOST_SMOOTHING), GRID_SIZE)
    theta = np.zeros((1, 1 + data.n_classes * intercepts))
    theta[0, 0] = 1.0
    without, theta = fit_common(data, doubt, theta, tol=1e-5)
    values, starts = [], []
    for log_smoothing in grid:
        theta = theta.copy()
        theta[0, 0] = max(theta[0, 0], 1e-3)
        starts.append(theta)
        value, theta = solved_with(log_smoothing, theta)
        values.append(value)
    i = int(np.argmin(values))
    bounds = grid[max(0, i - 1)], grid[min(i + 1, GRID_SIZE - 1)]
    found = minimize_scalar(
        lambda log_smoothing: solved_with(log_smoothing, starts[i])[0],
        bounds=bounds,
        method="bounded",
        options={"xatol": 0.05},
    )
    least, best = min((found.fun, found.x), (values[i], grid[i]))
    return float(np.exp(best)) if needed or least < without - WORTHWHILE else 0.0


def refuse_other_width(n_columns, classes):
    """Refuse predictions that have not a column for each class."""
    if len(classes) != n_columns:
        raise ValueError(
            f"X has {n_columns} columns, but there are {len(classes)} classes, "
            f"{shown(classes)}; name the classes of the columns with classes=."
        )


def normalised(target):
    """Return targets as ``Data`` has them."""
    if target.ndim == 1:
        return target
    target = np.asfortranarray(target, np.float64)
    return target / target.sum(axis=1, keepdims=True)


class _Scaling(SoftLabelClassifierMixin, BaseEstimator):
    """A map of predicted probabilities, fitted to the targets."""

    @documented
    def fit(self, X: Samples, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the map to predictions and what they were to predict.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``. Not those
            of samples that the model was fitted to. The named columns of a data frame are
            matched to the classes by name. Those of an array are in the order of ``classes``,
            by default in the order of the columns of ``y``, or the sorted order of labels.
        %(y)s
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative.

        Returns
        -------
        self : estimator
            The fitted map.

        Raises
        ------
        ValueError
            If a parameter is bad, a row of ``X`` or ``y`` is no probability vector, or the
            columns of ``X`` are not the classes of ``y``, or if arguments name their rows
            in another order than ``X``.
        """
        check_parameters(self, **{name: RULES[name] for name in RULES if hasattr(self, name)})
        with unchanged_on_error(self), self._checked(X, y, sample_weight) as data:
            self._fit_to(data)
        return self

    @contextmanager
    def _checked(self, X, y, sample_weight):
        """Yield the checked ``Data``; learn the classes, and the columns that they have."""
        refuse_other_rows({"X": X, "y": y, "sample_weight": sample_weight}, strict=False)
        # A map has few parameters, and its objective passes over X hundreds of times.
        X, y = without_tensor(on_host(X, "X"), "X"), on_host(y, "y")
        refuse_missing(X, "X")
        values = validate_data(self, X, dtype=np.float64)
        target = check_target(y, classes=self.classes, refuse_integers=True)
        classes = target.classes
        check_consistent_length(values, target)
        columns = frame_columns(X, classes, name="X")
        unnamed = not target.hard and frame_columns(y, columns) is None
        if self.classes is None and columns is not None and unnamed:
            target = Target(columns, target.values)
        elif self.classes is None and columns is not None and target.hard:
            target = Target(columns, encode(classes, target.values, columns))
        classes = target.classes
        if len(classes) < 2:
            refuse_single_class(classes, "y")
        refuse_other_width(values.shape[1], classes)
        self._columns = classes if columns is None else columns
        target = target.ordered()
        classes, target = target.classes, target.values
        values = match_columns(values, self._columns, classes, "X")
        log_proba = self._log_proba(values)
        self.classes_ = classes
        weight = check_weights(sample_weight, values)
        yield Data.of(log_proba, normalised(target), weight)

    def _fit_to(self, data):
        """Fit the map to checked data."""
        n_classes, automatic = data.n_classes, isinstance(self.smoothing, str)
        C, intercepts = float(getattr(self, "C", np.inf)), hasattr(self, "C")
        smoothing = 0.0 if automatic else float(self.smoothing)
        moments = data.moments(smoothing)
        sure = np.isinf(C) and not automatic
        doubt = Doubt() if sure else Doubt.of(moments, data.unit)
        penalty = 1.0 / max(C * data.unit * moments.weight, 1.0 / MOST_PENALTY)
        self.smoothing_ = smoothing
        with one_blas_thread:  # once for all fits, which takes 1 ms
            if automatic:
                self.smoothing_ = fit_smoothing(data, doubt, intercepts=intercepts)
            data = data.mixed(self.smoothing_)
            start = np.eye(1, 1 + n_classes * intercepts)
            _, start = fit_common(data, doubt, start)
            self._fit(data, doubt, start, penalty)

    def __sklearn_array_api_convert__(self, converter):
        """Return a copy: the fitted numbers stay on the host, wherever X is."""
        return copy(self)

    def _log_proba(self, values):
        """Return logarithms, column after column, as ``Data`` has them, if on the host."""
        if (place := place_of(values, "X")) is not None:
            xp = place.xp
            if self.from_logits:
                return _device.log_softmax(xp, values)
            values = check_rows(values, "X")
            least = float(np.finfo(np.float64).eps)
            proba = values / xp.sum(values, axis=1, keepdims=True)
            return xp.log(xp.where(proba < least, least + xp.zeros_like(proba), proba))
        if self.from_logits:
            return log_softmax(np.asfortranarray(values), axis=1)
        values = np.asfortranarray(check_rows(values, "X"))
        logs = values / values.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            np.log(logs, out=logs)
        return np.maximum(logs, LOG_EPS, out=logs)

    def _predicted(self, X, here, there):
        """Return a function of the mapped logits, another one of slices if X is elsewhere."""
        check_is_fitted(self)
        if (place := place_of(X, "X")) is None:
            return here(self._mapped(X))
        predicted = []
        for part in slices(n_rows(X, "X"), prod(X.shape[1:])):
            with counting_from(row_number(part.start)):
                predicted.append(there(place.xp, self._mapped(X[part, ...])))
        return predicted[0] if len(predicted) == 1 else place.xp.concat(predicted)

    def _mapped(self, X):
        if (place := place_of(X, "X")) is not None:
            refuse_missing(X, "X")
            values = validate_data(self, X, dtype=place.wide, reset=False)
            at = places(self.classes_.tolist(), np.asarray(self._columns).tolist())
            values = place.xp.take(values, place.put(at), axis=1)
            return self._map(smoothed(self._log_proba(values), self.smoothing_))
        return self._map(smoothed(self._log_proba(self._values(X)), self.smoothing_))

    def _values(self, X):
        """Return checked probabilities, or logits, of ``classes_``."""
        X = without_tensor(X, "X")
        refuse_missing(X, "X")
        columns = frame_columns(X, self.classes_, name="X")
        if columns is None:
            columns = self._columns
            values = validate_data(self, X, dtype=np.float64, reset=False)
        else:  # scikit-learn would refuse another order
            values = check_array(X, dtype=np.float64, estimator=self, input_name="X")
        return match_columns(values, columns, self.classes_, "X")

    @documented
    def predict_proba(self, X: Samples) -> Floats:
        """Calibrate probabilities.

        Parameters
        ----------
        %(X_of_map)s

        Returns
        -------
        %(to_proba)s
        """
        return self._predicted(
            X, lambda z: np.ascontiguousarray(softmax(z, axis=1)), _device.softmax
        )

    @documented
    def predict_log_proba(self, X: Samples) -> Floats:
        """Calibrate probabilities, and return their logarithms.

        Parameters
        ----------
        %(X_of_map)s

        Returns
        -------
        %(to_log_proba)s
        """
        return self._predicted(
            X, lambda z: np.ascontiguousarray(log_softmax(z, axis=1)), _device.log_softmax
        )

    @documented
    def predict(self, X: Samples) -> NDArray[Any]:
        """Predict the class that is most probable after calibration.

        Parameters
        ----------
        %(X_of_map)s

        Returns
        -------
        %(to_labels)s
        """
        codes = self._predicted(
            X, lambda z: z.argmax(axis=1), lambda xp, z: xp.argmax(z, axis=1)
        )
        return labels_beside(codes, self.classes_[to_host(codes)])


scaling_documented = documented_with(
    C="""
        C : float, default=1.0
            Inverse strength of the penalty on the coefficients, positive; ``np.inf`` for
            none.""",
    parameters="""
        smoothing : "auto" or float, default="auto"
            Share of the uniform distribution in q, from 0 to below 1: it bounds the effect of
            tiny probabilities. "auto" takes the one with which a temperature, and intercepts
            if the map has them, have the least KL divergence. Probabilities below the epsilon
            of float64 are raised to it.
        classes : array-like of shape (n_classes,), default=None
            The classes in the order of the columns of arrays. By default the sorted labels,
            the columns of a data frame, or 0, ..., n_classes - 1.
        from_logits : bool, default=False
            The input holds logits: log-probabilities up to a constant per row.""",
    attributes="""
        classes_ : ndarray of shape (n_classes,)
            The classes in the order of the columns of the result: sorted, if ``y`` held
            labels.
        smoothing_ : float
            The share of the uniform distribution.
        n_features_in_ : int
            Number of classes.
        feature_names_in_ : ndarray of shape (`n_features_in_`,)
            Names of the columns, if they are strings.""",
)


@scaling_documented
class TemperatureScaling(_Scaling):
    r"""Calibrate probabilities by one temperature.

    Probabilities q, mixed with a share of the uniform distribution, become
    :math:`\mathrm{softmax}(\log q / T)`. The share and T minimise the KL divergence of the
    targets, which are mixed with the uniform distribution, too, as much as a fifth of a row
    makes up: n rows cannot exclude what happens once in n. T > 1 mends overconfidence, T < 1
    the opposite; the most probable class stays the same. So do shifted class frequencies,
    which no temperature mends: take ``VectorScaling``. ``smoothing=0`` is temperature scaling
    in its original form.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    temperature_ : float
        T; infinite if the predictions are of no use.
    %(attributes)s

    See Also
    --------
    VectorScaling : Two parameters for each class.
    DirichletScaling : A matrix.
    SoftCalibratedClassifierCV : A classifier with its calibration.

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y. and Weinberger, K. Q. (2017). On Calibration of Modern Neural
    Networks. International Conference on Machine Learning, arXiv:1706.04599.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.calibration import TemperatureScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=100)
    >>> y = np.sqrt(proba) / np.sqrt(proba).sum(axis=1, keepdims=True)
    >>> round(TemperatureScaling().fit(proba, y).temperature_, 1)
    2.0
    """

    def __init__(
        self,
        *,
        smoothing: float | Literal["auto"] = "auto",
        classes: ArrayLike | None = None,
        from_logits: bool = False,
    ) -> None:
        self.smoothing = smoothing
        self.classes = classes
        self.from_logits = from_logits

    def _fit(self, data, doubt, start, penalty):
        with np.errstate(divide="ignore"):
            self.temperature_ = float(np.divide(1.0, start[0, 0]))

    def _map(self, z):
        return z / self.temperature_


class _PenalisedScaling(_Scaling):
    """A map whose coefficients are penalised."""

    def __init__(
        self,
        *,
        C: float = 1.0,
        smoothing: float | Literal["auto"] = "auto",
        classes: ArrayLike | None = None,
        from_logits: bool = False,
    ) -> None:
        self.C = C
        self.smoothing = smoothing
        self.classes = classes
        self.from_logits = from_logits


@scaling_documented
class VectorScaling(_PenalisedScaling):
    r"""Calibrate probabilities by a factor and an intercept for each class.

    Probabilities q, mixed with a share of the uniform distribution, become
    :math:`\mathrm{softmax}(a \log q + b)`, entry by entry, where a and b minimise

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(a \log q_i + b))
        + \frac{K}{2} \|a - 1 / T\|^2 + R(b)

    with sample weights s and K classes. The share and T are the best of a map that has one T
    for all classes, and intercepts. R pulls the intercepts to 0, by so little that the mean
    prediction of a class is within a fifth of a standard error of its mean target. The
    targets y are mixed with the uniform distribution, as much as a fifth of a row makes up;
    neither is done with ``C=np.inf`` and a given ``smoothing``.

    Parameters
    ----------
    %(C)s
    %(parameters)s

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes,)
        The factors a.
    intercept_ : ndarray of shape (n_classes,)
        The intercepts b.
    %(attributes)s

    See Also
    --------
    TemperatureScaling : One parameter.
    DirichletScaling : A matrix.
    SoftCalibratedClassifierCV : A classifier with its calibration.

    Notes
    -----
    If binary, this is beta calibration (Kull, Silva Filho and Flach, 2017).

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y. and Weinberger, K. Q. (2017). On Calibration of Modern Neural
    Networks. International Conference on Machine Learning, arXiv:1706.04599.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.calibration import VectorScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=1000)
    >>> y = proba * [2, 1, 1]
    >>> y /= y.sum(axis=1, keepdims=True)
    >>> model = VectorScaling(C=100).fit(proba, y)
    >>> (model.intercept_ - model.intercept_.min()).round(1)
    array([0.7, 0. , 0. ])
    """

    def _fit(self, data, doubt, start, penalty):
        slope = start[0, 0]
        start = np.vstack([np.full(data.n_classes, slope), start[0, 1:]])
        penalty *= data.n_classes
        make = partial(ScalingObjective, doubt=doubt, slopes=slope, penalty=penalty)
        self.coef_, self.intercept_ = solved(make, data, start, **SOLVE).W

    def _map(self, z):
        coef, intercept = beside(z, self.coef_, self.intercept_)
        return coef * z + intercept


@scaling_documented
class DirichletScaling(_PenalisedScaling):
    r"""Calibrate probabilities by a softmax regression on their logarithms.

    Probabilities q, mixed with a share of the uniform distribution, become
    :math:`\mathrm{softmax}(W \log q + b)`, where W and b minimise

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(W \log q_i + b))
        + \frac{M}{2} \|W - I / T\|^2 + R(b)

    with M coefficients, and s, T, R, y and the share as in ``VectorScaling``. It is the right
    map if the q of every class are Dirichlet distributed.

    Parameters
    ----------
    %(C)s
    %(parameters)s

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_classes), or (1, 2) if binary
        The matrix W; if binary, the difference of its rows, penalised for leaving
        (-1 / T, 1 / T).
    intercept_ : ndarray of shape (n_classes,), or (1,) if binary
        The intercepts b.
    %(attributes)s

    See Also
    --------
    TemperatureScaling : One parameter.
    VectorScaling : Two parameters for each class.
    SoftCalibratedClassifierCV : A classifier with its calibration.

    Notes
    -----
    Kull et al. penalise entries off the diagonal and, in logits, the intercepts; here the
    penalty is for leaving the best temperature.

    References
    ----------
    Kull, M., Perello Nieto, M., Kängsepp, M., Silva Filho, T., Song, H. and Flach, P. (2019).
    Beyond Temperature Scaling: Obtaining Well-calibrated Multi-class Probabilities with
    Dirichlet Calibration. NeurIPS, arXiv:1910.12656.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.calibration import DirichletScaling
    >>> proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=1000)
    >>> y = proba * (1 + proba[:, [1, 2, 0]])
    >>> y /= y.sum(axis=1, keepdims=True)
    >>> model = DirichletScaling(C=100).fit(proba, y)
    >>> model.coef_.round(1)
    array([[ 0.9,  0.1, -0.1],
           [-0.1,  0.9,  0.1],
           [ 0.1, -0.1,  0.9]])
    """

    def _fit(self, data, doubt, start, penalty):
        slopes = start[0, 0] * np.eye(data.n_classes)
        start = np.vstack([slopes, start[0, 1:]])
        if data.n_classes == 2:
            start = start[:, 1:] - start[:, :1]
            doubt = doubt.of_difference()
        center = start[:-1]
        penalty *= center.size
        make = partial(DirichletObjective, doubt=doubt, center=center, penalty=penalty)
        W = solved(make, data, start, **SOLVE).W
        self.coef_, self.intercept_ = np.ascontiguousarray(W[:-1].T), W[-1].copy()

    def _map(self, z):
        coef, intercept = beside(z, self.coef_, self.intercept_)
        logits = (coef @ z.T).T + intercept
        if len(self.classes_) > 2:
            return logits
        xp, logit = namespace(logits), logits[:, 0]
        return xp.stack([xp.zeros_like(logit), logit], axis=1)
