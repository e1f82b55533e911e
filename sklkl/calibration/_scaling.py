"""Calibration maps: what to make of probabilities that are off in a systematic way.

All are softmax regressions on log-probabilities z, written below with coefficients a, W and
intercepts b, and minimise the KL divergence of the targets:

    temperature  softmax(a z)              1 coefficient, 1 / temperature
    vector       softmax(a * z + b)        2 for each class
    Dirichlet    softmax(W z + b)          n_classes + 1 for each class

Vector and Dirichlet scaling are penalised for leaving the best temperature, not zero: with
few data they stay near it, with many they learn what it cannot. A logit of Dirichlet scaling
has as many coefficients as there are classes, so the penalty grows with these.

What models say of improbable classes is the least reliable: 1e-30 of an overconfident network,
or 0 of a forest, is no evidence of that much, and the logarithm stretches it without bound. So
z is the logarithm of probabilities q that were mixed with the uniform distribution, as much as
serves the temperature best. On digits of which 20 % are labelled anew that takes the log loss
of a network from 1.22 to 1.09 and of a forest from 1.35 to 1.04 (docs/benchmarks_scoring.md).
"""

from numbers import Real

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from sklkl._base import SoftLabelClassifierMixin
from sklkl._docs import documented
from sklkl._names import shown
from sklkl._targets import check_rows, check_target, check_weights, frame_columns
from sklkl.linear_model._data import Data, check_numbers
from sklkl.linear_model._solve import solve
from sklkl.linear_model._stream import Posterior, StreamObjective

SOLVE = {"solver": "lbfgs", "tol": 1e-8, "max_iter": 1000}
LOG_EPS = np.log(np.finfo(np.float64).eps)
LEAST_SMOOTHING, MOST_SMOOTHING = 1e-9, 0.99
GRID_SIZE = 5
ENOUGH = 200_000  # numbers, not rows
WORTHWHILE = 1e-8  # nats by which smoothing must lower the loss
CACHED = 1 << 14  # numbers at a time; temporaries stay in the cache


class ScalingObjective:
    r"""Mean cross-entropy of the targets and ``softmax(a * z + b)``, penalised.

    With parameters :math:`\theta` of shape (2, n_classes), rows a and b; or (1, 1), a alone,
    the same for all classes. The penalty is
    :math:`\frac{\lambda}{2} \|\theta - \theta_0\|^2`.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_classes)
        Log-probabilities, float64.
    target : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, or probabilities.
    weight : ndarray of shape (n_samples,)
    theta0 : ndarray of shape (1, 1) or (2, n_classes)
    penalty : float
        :math:`\lambda`.
    """

    full_cost = 1.0  # the curvature comes with the gradient
    exact_cost = np.inf
    l1 = 0.0
    center = None
    unattained = -np.inf

    def __init__(self, z, target, weight, theta0, penalty):
        self.z, self.target, self.weight = z, target, weight / weight.sum()
        self.theta0, self.penalty = theta0, penalty
        self.last = None, None
        self.absent = np.zeros(theta0.shape[1], dtype=bool)
        self.n_features = len(theta0)

    def rates(self, gradient):
        """Return no mean predictions: a map need not have intercepts."""
        return gradient[:0, 0]

    def centered(self):
        """Return itself."""
        return self

    def largest_change(self, direction):
        """Return by how much a step changes the log-odds of two classes of a row at most."""
        logits = self.z * direction[0] + (direction[1] if len(direction) == 2 else 0.0)
        return float(np.ptp(logits[self.weight > 0.0], axis=1).max())

    def widen(self):
        """Return False: all is float64."""
        return False

    def __call__(self, theta):
        """Return ``(value, gradient)`` at theta."""
        value, gradient, curvature = self._evaluate(theta)
        self.last = theta.copy(), curvature
        return value, gradient

    def metric(self, theta, level):
        """Return a function that divides by the diagonal of the Hessian at theta."""
        at, curvature = self.last
        if not np.array_equal(at, theta):
            _, _, curvature = self._evaluate(theta)
        curvature = np.where(curvature == 0.0, 1.0, curvature)
        return lambda gradient: gradient / curvature

    def _evaluate(self, theta):
        shift = theta - self.theta0
        value = 0.5 * self.penalty * float(np.vdot(shift, shift))
        gradient = self.penalty * shift
        curvature = np.full_like(theta, self.penalty)
        n_samples, n_classes = self.z.shape
        step = max(1, CACHED // n_classes)
        for start in range(0, n_samples, step):
            rows = slice(start, start + step)
            z, y, weight = self.z[rows], self.target[rows], self.weight[rows, np.newaxis]
            logits = z * theta[0]
            if len(theta) == 2:
                logits += theta[1]
            logits -= logits.max(axis=1, keepdims=True)
            proba = np.exp(logits)
            mass = proba.sum(axis=1, keepdims=True)
            proba /= mass
            logits -= np.log(mass)
            proba *= weight
            if y.ndim == 1:
                at = np.arange(len(y)), y
                value -= float(np.sum(weight[:, 0] * logits[at]))
                residual = proba.copy()
                residual[at] -= weight[:, 0]
            else:
                value -= float(np.sum(weight * y * logits))
                residual = proba - weight * y
            if len(theta) == 2:
                gradient += [np.einsum("ik,ik->k", residual, z), residual.sum(axis=0)]
                spread = proba - proba**2 / np.where(weight > 0.0, weight, 1.0)
                curvature += [np.einsum("ik,ik,ik->k", spread, z, z), spread.sum(axis=0)]
            else:
                gradient += np.einsum("ik,ik->", residual, z)
                first = np.einsum("ik,ik->i", proba, z) / np.where(weight > 0.0, weight, 1.0).T
                curvature += np.einsum("ik,ik,ik->", proba, z, z) - first**2 @ weight
        return value, gradient, np.maximum(curvature, 0.0)


def fit_temperature(z, target, weight, *, start=1.0, tol=SOLVE["tol"]):
    """Return ``(loss, inverse temperature)`` of the best temperature.

    The inverse is 0, never negative, if z is of no use.
    """
    start = np.full((1, 1), start)
    objective = ScalingObjective(z, target, weight, start, 0.0)
    result = solve(objective, start, X=z, **{**SOLVE, "tol": tol})
    if result.W[0, 0] > 0.0:
        return result.value, float(result.W[0, 0])
    return float(np.log(z.shape[1])), 0.0


def smoothed(log_proba, smoothing):
    """Return the logarithms of probabilities mixed with the uniform distribution."""
    if smoothing == 0.0:
        return log_proba
    n_classes = log_proba.shape[1]
    return np.log((1.0 - smoothing) * np.exp(log_proba) + smoothing / n_classes)


def fit_smoothing(log_proba, target, weight, needed=False):
    """Return the share of the uniform distribution that serves the best temperature best.

    0 if none does, unless some is ``needed``. To know one number, a sample of the rows is
    enough.
    """
    n_samples, n_classes = log_proba.shape
    enough = max(1000, ENOUGH // n_classes)
    if n_samples > enough:
        share = weight / weight.sum()
        rows = np.random.RandomState(0).choice(n_samples, enough, p=share)
        log_proba, target, weight = log_proba[rows], target[rows], np.ones(enough)

    def solved(log_smoothing, start):
        z = smoothed(log_proba, np.exp(log_smoothing))
        return fit_temperature(z, target, weight, start=start, tol=1e-5)

    # A grid first: there may be several minima, where some rows are far more certain than
    # others. Of 200 random problems 10 were stuck in a bad one without, by up to 0.1 nats.
    # The inverse temperature rises with smoothing, and a start below it does no harm.
    grid = np.linspace(np.log(LEAST_SMOOTHING), np.log(MOST_SMOOTHING), GRID_SIZE)
    without, inverse = fit_temperature(log_proba, target, weight, tol=1e-5)
    values, starts = [], []
    for log_smoothing in grid:
        starts.append(max(inverse, 1e-3))
        value, inverse = solved(log_smoothing, starts[-1])
        values.append(value)
    i = int(np.argmin(values))
    bounds = grid[max(0, i - 1)], grid[min(i + 1, GRID_SIZE - 1)]
    found = minimize_scalar(
        lambda log_smoothing: solved(log_smoothing, starts[i])[0],
        bounds=bounds,
        method="bounded",
        options={"xatol": 0.05},
    )
    least, best = min((found.fun, found.x), (values[i], grid[i]))
    return float(np.exp(best)) if needed or least < without - WORTHWHILE else 0.0


def _check_order(columns, classes):
    if columns.tolist() != classes.tolist():
        raise ValueError(
            f"The columns of X are {columns.tolist()}, the classes are {shown(classes)}; "
            "bring them into the same order."
        )


class _Scaling(SoftLabelClassifierMixin, BaseEstimator):
    """A map of predicted probabilities, fitted to the targets."""

    def fit(self, X, y, sample_weight=None):
        """Fit the map to predictions and what they were to predict.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``. Not those
            of samples that the model was fitted to.
        y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
            Labels, or a probability vector per row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative.

        Returns
        -------
        self : estimator
            The fitted map.

        Raises
        ------
        ValueError
            If a row of ``X`` or ``y`` is no probability vector, or if the columns of ``X``
            are not the classes of ``y``.
        """
        self._check_parameters()
        values = validate_data(self, X, dtype=np.float64)
        columns = frame_columns(X)
        named = columns if np.ndim(y) == 1 else None
        classes = named if self.classes is None else self.classes
        classes, target = check_target(y, classes=classes, refuse_integers=True)
        check_consistent_length(values, target)
        if len(classes) != values.shape[1]:
            raise ValueError(
                f"X has {values.shape[1]} columns, but there are {len(classes)} classes, "
                f"{shown(classes)}; name the classes of the columns with classes=."
            )
        if columns is not None and columns.tolist() != classes.tolist():
            if self.classes is not None or target.ndim == 1 or frame_columns(y) is not None:
                _check_order(columns, classes)
            classes = columns
        weight = check_weights(sample_weight, values)
        log_proba = self._log_proba(values)
        self.smoothing_ = self.smoothing
        if self.smoothing == "auto":
            self.smoothing_ = fit_smoothing(log_proba, target, weight)
        self.classes_ = classes
        z = smoothed(log_proba, self.smoothing_)
        _, inverse_temperature = fit_temperature(z, target, weight)
        self._fit(z, inverse_temperature, target, weight)
        return self

    def _check_parameters(self):
        if hasattr(self, "C"):
            check_numbers(self, "C")
        smoothing = self.smoothing
        if isinstance(smoothing, str) and smoothing == "auto":
            return
        if not isinstance(smoothing, Real) or not 0.0 <= smoothing < 1.0:
            raise ValueError(
                f"smoothing must be 'auto' or a number from 0 to below 1; got {smoothing!r}."
            )

    def _log_proba(self, values):
        if self.from_logits:
            return log_softmax(values, axis=1)
        check_rows(values, "X")
        with np.errstate(divide="ignore"):
            logs = np.log(values / values.sum(axis=1, keepdims=True))
        return np.maximum(logs, LOG_EPS)

    def _mapped(self, X):
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        columns = frame_columns(X)
        if columns is not None:
            _check_order(columns, self.classes_)
        return self._map(smoothed(self._log_proba(values), self.smoothing_))

    def predict_proba(self, X):
        """Calibrate probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row, columns as ``classes_``.
        """
        return softmax(self._mapped(X), axis=1)

    def predict_log_proba(self, X):
        """Calibrate probabilities, and return their logarithms.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms, columns as ``classes_``.
        """
        return log_softmax(self._mapped(X), axis=1)

    def predict(self, X):
        """Predict the class that is most probable after calibration.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_classes), or data frame
            Predicted probabilities of the classes, or logits if ``from_logits``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels from ``classes_``.
        """
        codes = self._mapped(X).argmax(axis=1)
        return self.classes_[codes]


scaling_documented = documented(
    C="""C : float, default=0.01
        Inverse strength of the penalty, positive; ``np.inf`` for none.""",
    parameters="""smoothing : "auto" or float, default="auto"
        Share of the uniform distribution in q, from 0 to below 1: it bounds what is made of
        tiny probabilities. "auto" takes the one with which a temperature has the least
        KL divergence. Probabilities below the epsilon of float64 are raised to it.
    classes : array-like of shape (n_classes,), default=None
        The classes in the order of the columns. By default the sorted labels, the columns of
        a data frame, or 0, ..., n_classes - 1.
    from_logits : bool, default=False
        The input holds logits: log-probabilities up to a constant per row.""",
    attributes="""classes_ : ndarray of shape (n_classes,)
        The classes.
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
    targets. T > 1 mends overconfidence, T < 1 the opposite; the most probable class stays the
    same. ``smoothing=0`` is temperature scaling in its original form.

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
    >>> round(TemperatureScaling().fit(proba, y).temperature_, 3)
    2.0
    """

    def __init__(self, *, smoothing="auto", classes=None, from_logits=False):
        self.smoothing = smoothing
        self.classes = classes
        self.from_logits = from_logits

    def _fit(self, z, inverse_temperature, target, weight):
        with np.errstate(divide="ignore"):
            self.temperature_ = float(np.divide(1.0, inverse_temperature))

    def _map(self, z):
        return z / self.temperature_


@scaling_documented
class VectorScaling(_Scaling):
    r"""Calibrate probabilities by a factor and an intercept for each class.

    Probabilities q, mixed with a share of the uniform distribution, become
    :math:`\mathrm{softmax}(a \log q + b)`, entry by entry, where a and b minimise

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(a \log q_i + b))
        + \frac{K}{2} \|a - 1 / T\|^2 + \frac{K}{2} \|b\|^2

    with sample weights s, K classes, and the share and T of ``TemperatureScaling``.

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
    >>> (model.intercept_ - model.intercept_[1]).round(2)
    array([0.69, 0.  , 0.  ])
    """

    def __init__(self, *, C=0.01, smoothing="auto", classes=None, from_logits=False):
        self.C = C
        self.smoothing = smoothing
        self.classes = classes
        self.from_logits = from_logits

    def _fit(self, z, inverse_temperature, target, weight):
        start = np.zeros((2, z.shape[1]))
        start[0] = inverse_temperature
        objective = ScalingObjective(
            z, target, weight, start, z.shape[1] / (self.C * weight.sum())
        )
        self.coef_, self.intercept_ = solve(objective, start, X=z, **SOLVE).W

    def _map(self, z):
        return self.coef_ * z + self.intercept_


@scaling_documented
class DirichletScaling(_Scaling):
    r"""Calibrate probabilities by a softmax regression on their logarithms.

    Probabilities q, mixed with a share of the uniform distribution, become
    :math:`\mathrm{softmax}(W \log q + b)`, where W and b minimise

    .. math::
        C \sum_i s_i D(y_i \| \mathrm{softmax}(W \log q_i + b))
        + \frac{K}{2} \|W - I / T\|^2 + \frac{K}{2} \|b\|^2

    with sample weights s, K classes, and the share and T of ``TemperatureScaling``. It is the
    right map if the q of every class are Dirichlet distributed.

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
    Kull et al. penalise intercepts and entries off the diagonal; here the penalty is for
    leaving the best temperature.

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

    def __init__(self, *, C=0.01, smoothing="auto", classes=None, from_logits=False):
        self.C = C
        self.smoothing = smoothing
        self.classes = classes
        self.from_logits = from_logits

    def _fit(self, z, inverse_temperature, target, weight):
        n_classes = z.shape[1]
        one = np.eye(n_classes) if n_classes > 2 else np.array([[-1.0, 1.0]]).T
        start = np.vstack([inverse_temperature * one, 0.0 * one[:1]])
        if target.ndim == 2:
            target = np.ascontiguousarray(target, dtype=np.float64)
        data = Data(np.ascontiguousarray(z), np.arange(n_classes), target, weight)
        objective = data.objective(True, np.inf, 0.0)
        if not np.isinf(self.C):
            # Of the intercept, too: with many classes it has much to overfit.
            prior = Posterior.prior(start, len(start), self.C / n_classes, full=True)
            objective = StreamObjective(objective, data, prior)
        W = solve(objective, start, X=z, **SOLVE).W
        self.coef_, self.intercept_ = np.ascontiguousarray(W[:-1].T), W[-1].copy()

    def _map(self, z):
        logits = z @ self.coef_.T + self.intercept_
        return (
            np.hstack([np.zeros_like(logits), logits]) if len(self.classes_) == 2 else logits
        )
