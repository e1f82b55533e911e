r"""Robust standard errors of the coefficients.

With weights s, let u be the sum over the rows of a unit (a row, or a group of rows) of
:math:`s_i \, (p_i - y_i) \otimes [x_i, 1]`, and A the Hessian of the penalised sum of losses,
:math:`\sum_i s_i (\mathrm{diag}(p_i) - p_i p_i^T) \otimes [x_i, 1] [x_i, 1]^T` plus 1 / C on
the diagonal of what is penalised. The covariance of the coefficients is

.. math::
    A^{-1} \Bigl( \sum_u (u - \bar u) (u - \bar u)^T \Bigr) A^{-1}

The mean of u is 0 without a penalty. With one it is not: the penalty, a constant, balances it.

All is computed for the logits against the first class, ``V[:, k] = W[:, k + 1] - W[:, 0]``,
which the data determine. What is reported, ``W - W.mean(axis=1)``, is a linear function of V:
``W = V @ T.T``. A binary model has the single logit to begin with, and T is 1.

Numbers may be of any size: features are divided by their largest values, their widths,
weights by the largest one, and the matrices by the diagonal of A.
"""

import warnings
from dataclasses import replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpocon
from scipy.sparse import issparse
from scipy.special import softmax
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklkl._core.names import refuse_other_rows
from sklkl._core.parameters import INNER_SHARE, check
from sklkl._core.samples import encode_groups
from sklkl._core.targets import one_hot
from sklkl.linear_model._data import check_data
from sklkl.linear_model._loss import resolve_divergence
from sklkl.linear_model._objective import add_curvature, row_products

# A matrix of so many rows takes 200 MB, and there are about six at a time.
MAX_PARAMETERS = 5_000

# Numbers in an array of the scores of some rows, 16 MB.
CHUNK = 1 << 21

# Below this the Hessian, its diagonal scaled to 1, is singular but for rounding.
MIN_RCOND = 1e-12

# Of a coefficient in units of the data; a larger one is 0 at this penalty, too.
MAX_PENALTY = 1e307

# Where classes are separable, each Newton step moves the logits by about 1, however small
# the gradient has become; at an optimum it moves none.
MAX_SHIFT = 0.5

# In standard errors; then 94.3 instead of 95% of the intervals hold what they should.
MAX_BIAS = 0.25


def coef_frame(model):
    """Return the coefficients as a data frame; see ``LinearSoftmaxMixin.coef_frame``."""
    check_is_fitted(model)
    pandas = import_pandas("coef_frame")
    return pandas.DataFrame(
        model._coefficients(),
        index=pandas.Index(_row_names(model), name="feature"),
        columns=pandas.Index(_column_names(model), name="class"),
    )


def coef_inference(model, X, y, sample_weight, groups, confidence_level):
    """Return estimates and errors; see ``LinearSoftmaxMixin.coef_inference``."""
    check_is_fitted(model)
    pandas = import_pandas("coef_inference")
    check("confidence_level", confidence_level, INNER_SHARE)
    coef, covariance, scale = sandwich_covariance(model, X, y, sample_weight, groups)
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale
    with np.errstate(divide="ignore", invalid="ignore"):  # errors of 0, of a perfect fit
        z = coef / error
    half = norm.isf((1.0 - confidence_level) / 2.0) * error
    return pandas.DataFrame(
        {
            "coef": coef,
            "std_error": error,
            "z": z,
            "p_value": 2.0 * norm.sf(np.abs(z)),
            "low": coef - half,
            "high": coef + half,
        },
        index=pandas.MultiIndex.from_product(
            [_column_names(model), _row_names(model)], names=["class", "feature"]
        ),
    )


def sandwich_covariance(model, X, y, sample_weight=None, groups=None):
    """Return the coefficients and their covariance.

    Parameters
    ----------
    model : LinearSoftmaxMixin
        Fitted to these data.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
    sample_weight, groups : array-like of shape (n_samples,), default=None

    Returns
    -------
    coef : ndarray of shape (n_logits * size,)
        Class after class, each with a coefficient per feature and then, with
        ``fit_intercept``, the intercept; one logit if binary. With more classes, they sum to
        0 over the classes: a constant is taken off those of a fit that started elsewhere.
    covariance : ndarray of shape (n_logits * size, n_logits * size)
        In this order, of the coefficients times ``scale``, lest it overflow or vanish.
    scale : ndarray of shape (n_logits * size,)

    Raises
    ------
    ValueError
        As ``LinearSoftmaxMixin.coef_inference``.

    Warns
    -----
    ConvergenceWarning
        As ``LinearSoftmaxMixin.coef_inference``.
    """
    C = _check_model(model)
    refuse_other_rows({"X": X, "groups": groups}, strict=False)
    data = check_data(model, X, y, sample_weight, reset=False, classes=model.classes_)
    assert_all_finite(data.X, input_name="X")
    rows, unit = _units(data.weight, groups)
    heaviest = data.weight.max()
    data = replace(data, weight=data.weight / heaviest)
    W = model._coefficients().astype(np.float64)
    size, n_logits = W.shape
    width = _widths(data.X, rows, size)
    W *= width[:, np.newaxis]
    if n_logits == 1:
        V, T = W, np.ones((1, 1))
    else:
        W -= W.mean(axis=1, keepdims=True)
        V = W[:, 1:] - W[:, :1]
        T = np.eye(n_logits)[:, 1:] - 1.0 / n_logits
    gradient, hessian, products = _sums(data, width, V, rows, unit)
    n_units = len(np.unique(unit))
    products -= np.outer(gradient, gradient) / n_units
    with np.errstate(over="ignore", divide="ignore"):
        penalty = np.full(size, 1.0) / C / heaviest / width / width
    penalty[model.n_features_in_ :] = 0.0
    penalty = np.kron(T.T @ T, np.diag(np.minimum(penalty, MAX_PENALTY)))
    hessian += penalty
    gradient += penalty @ V.T.reshape(-1)
    covariance, step, scale = _solve(hessian, products, gradient)
    # Of what is exactly 0 for any data, as the penalised coefficient of a constant feature,
    # the error is nothing but rounding.
    error = np.sqrt(np.maximum(np.diag(covariance), 1e-12)) / scale
    _check_optimum(data, width, rows, (step / scale).reshape(-1, size).T, error)
    scale = scale.reshape(-1, size)
    least = scale.min(axis=0)
    covariance = covariance.reshape(len(scale), size, len(scale), size)
    covariance *= (least / scale)[:, :, np.newaxis, np.newaxis] * (least / scale)
    covariance = np.einsum("ka,afbg,lb->kflg", T, covariance, T, optimize=True)
    return (
        (W / width[:, np.newaxis]).T.reshape(-1),
        covariance.reshape(W.size, W.size),
        np.tile(least * width, n_logits),
    )


def import_pandas(caller):
    """Return pandas, which nothing else needs."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{caller} returns a data frame: pip install pandas.") from error
    return pandas


def _row_names(model):
    names = _check_feature_names_in(model).tolist()
    return [*names, "intercept"] if model.fit_intercept else names


def _column_names(model):
    return model.classes_[-model.coef_.shape[0] :]


def _check_model(model):
    """Return C; refuse a model without standard errors."""
    parameters = model._sklearn_parameters()
    if parameters.get("l1_ratio"):
        raise ValueError(
            "There are no valid standard errors after an L1 norm has chosen coefficients; got "
            f"l1_ratio={parameters['l1_ratio']}. Fit a model with l1_ratio=0, on other data "
            "than those that chose the features."
        )
    if not getattr(model, "refit", True):
        raise ValueError(
            "With refit=False the coefficients are means over folds, the optimum of no data "
            "set, and have no such standard errors. Set refit=True."
        )
    if resolve_divergence(model.divergence, model.divergence_params).name != "kl" or (
        model.temperature != 1.0
    ):
        raise ValueError(
            "Standard errors are those of a model of the mean target, which is what "
            f"divergence='kl' at temperature=1 fits; got divergence={model.divergence!r}, "
            f"temperature={model.temperature!r}."
        )
    n_parameters = model.coef_.shape[0] * (model.n_features_in_ + model.fit_intercept)
    if n_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"The model has {n_parameters} parameters; their covariance matrix is computed "
            f"for up to {MAX_PARAMETERS}. Use fewer features."
        )
    return float(parameters["C"])


def _units(weight, groups):
    """Return the rows that count, group by group, and the unit of each in ascending order."""
    rows = np.flatnonzero(weight > 0.0)
    unit = np.arange(len(rows))
    what = "rows"
    if groups is not None:
        unit = encode_groups(groups, len(weight))[1][rows]
        order = np.argsort(unit, kind="stable")
        rows, unit = rows[order], unit[order]
        what = "groups"
    if unit[0] == unit[-1]:
        raise ValueError(
            f"Number of {what} with a positive weight: 1; standard errors need at least two "
            f"independent {what}."
        )
    return rows, unit


def _chunks(X, rows, width, n_logits):
    """Yield a slice of ``rows`` at a time, and X there, dense, with a column of ones."""
    size = len(width)
    step = max(1, CHUNK // (n_logits * size))
    for start in range(0, len(rows), step):
        chunk = slice(start, start + step)
        part = X[rows[chunk]]
        part = (part.toarray() if issparse(part) else part).astype(np.float64, copy=False)
        ones = np.ones((len(part), size - X.shape[1]))
        yield chunk, np.hstack([part, ones]) / width


def _widths(X, rows, size):
    """Return by what to divide features, powers of 2, and 1 for an intercept."""
    largest = np.zeros(size)
    for _, part in _chunks(X, rows, np.ones(size), 1):
        np.maximum(largest, np.abs(part).max(axis=0), out=largest)
    return np.where(largest > 0.0, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)


def _sums(data, width, V, rows, unit):
    """Return sums over rows, for the logits V: gradient, Hessian, and products of scores."""
    m, n_logits = V.size, V.shape[1]
    gradient, hessian, products = np.zeros(m), np.zeros((m, m)), np.zeros((m, m))
    open_unit, of_open_unit = -1, np.zeros(m)  # the last of a chunk may go on in the next
    for chunk, X in _chunks(data.X, rows, width, n_logits):
        here = rows[chunk]
        weight = data.weight[here, np.newaxis]
        target = one_hot(data.target[here], len(data.classes))[:, 1:]
        proba = softmax(np.hstack([np.zeros((len(X), 1)), X @ V]), axis=1)[:, 1:]

        add_curvature(hessian, X, proba, weight[:, 0])
        scores = row_products(weight * (proba - target), X)
        gradient += scores.sum(axis=0)
        begins = np.flatnonzero(np.diff(unit[chunk], prepend=-1))
        scores = np.add.reduceat(scores, begins, axis=0)
        if unit[chunk][0] == open_unit:
            scores[0] += of_open_unit
        else:
            products += np.outer(of_open_unit, of_open_unit)
        open_unit, of_open_unit = unit[chunk][-1], scores[-1].copy()
        products += scores[:-1].T @ scores[:-1]
    products += np.outer(of_open_unit, of_open_unit)
    return gradient, hessian, products


def _solve(hessian, products, gradient):
    """Return ``inv(hessian) @ products @ inv(hessian)``, the Newton step, and scales.

    The first and the second are multiplied by the scales.
    """
    scale = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    singular = not scale.all()
    if not singular:
        hessian /= np.outer(scale, scale)
        largest = np.abs(hessian).sum(axis=0).max()
        try:
            factor = cho_factor(hessian, lower=True, check_finite=False)
            singular = not dpocon(factor[0], largest, uplo="L")[0] > MIN_RCOND
        except LinAlgError:
            singular = True
    if singular:
        raise ValueError(
            "The Hessian is singular, the coefficients are not determined: features are "
            "linearly dependent (or constant, beside an intercept), or classes are separable. "
            "Drop such features, or penalise the coefficients (a finite C)."
        )
    half = cho_solve(factor, products / np.outer(scale, scale), check_finite=False)
    covariance = cho_solve(factor, half.T, check_finite=False)
    step = -cho_solve(factor, gradient / scale, check_finite=False)
    return covariance, step, scale


def _check_optimum(data, width, rows, step, error):
    """Refuse coefficients that are no optimum of these data; warn if they are a rough one."""
    shift = max(np.abs(X @ step).max() for _, X in _chunks(data.X, rows, width, step.shape[1]))
    if not shift <= MAX_SHIFT:
        raise ValueError(
            "The coefficients are not the optimum for these data: a Newton step changes a "
            f"logit by {shift:.2g}. Pass the X, y and sample_weight of the fit; if they are, "
            "lower tol, or penalise the coefficients (a smaller C) if classes are separable."
        )
    worst = np.max(np.abs(step.T.reshape(-1)) / error)
    if worst > MAX_BIAS:
        warnings.warn(
            f"The coefficients are up to {worst:.2g} standard errors from the optimum for "
            "these data. Pass the X, y and sample_weight of the fit; if they are, fit with a "
            "lower tol.",
            ConvergenceWarning,
            stacklevel=5,
        )
