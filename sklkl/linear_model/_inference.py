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

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpocon
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sklkl._core.names import refuse_other_rows
from sklkl._core.parameters import INNER_SHARE, check
from sklkl._core.samples import encode_groups
from sklkl._core.sklearn import feature_names
from sklkl.linear_model._data import check_data
from sklkl.linear_model._loss import KL, resolve_divergence

# A matrix of so many rows takes 200 MB, and there are about six at a time.
MAX_PARAMETERS = 5_000

# Below this the Hessian, its diagonal scaled to 1, is singular but for rounding.
MIN_RCOND = 1e-12

# Of a coefficient in units of the data; a larger one is 0 at this penalty, too.
MAX_PENALTY = 1e307

# Where classes are separable, each Newton step moves log-odds by about 1, however small
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


def coef_inference(model, X, y, sample_weight, groups, confidence_level, offset):
    """Return estimates and errors; see ``LinearSoftmaxMixin.coef_inference``."""
    check_is_fitted(model)
    pandas = import_pandas("coef_inference")
    check("confidence_level", confidence_level, INNER_SHARE)
    coef, covariance, scale = sandwich_covariance(model, X, y, sample_weight, groups, offset)
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


def sandwich_covariance(model, X, y, sample_weight=None, groups=None, offset=None):
    """Return the coefficients and their covariance; see ``LinearSoftmaxMixin.coef_inference``.

    Returns
    -------
    coef : ndarray of shape (n_logits * size,)
        Class after class, each with a coefficient per feature and then, with
        ``fit_intercept``, the intercept; one logit if binary. With more classes, they sum to
        0 over the classes: a constant is taken off where a fit started elsewhere.
    covariance : ndarray of shape (n_logits * size, n_logits * size)
        In this order, of the coefficients times ``scale``, lest it overflow or vanish.
    scale : ndarray of shape (n_logits * size,)
    """
    C = _check_model(model)
    model._refuse_missing(offset, "coef_inference")
    refuse_other_rows({"X": X, "groups": groups}, strict=False)
    known = {"reset": False, "classes": model.classes_}
    data = check_data(model, X, y, sample_weight, offset=offset, **known)
    W = model._coefficients().astype(np.float64)
    size, n_logits = W.shape
    (rows,) = data.stages(KL, 1.0, model.fit_intercept)
    if (message := rows.why_not_finite()) is not None:
        raise ValueError(message)
    groups, n_units = _units(data.weight, groups)
    largest = rows.largest_values()
    # Powers of 2 change no digit.
    width = np.where(largest > 0.0, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
    W *= width[:, np.newaxis]
    if n_logits == 1:
        V, T = W, np.ones((1, 1))
    else:
        W -= W.mean(axis=1, keepdims=True)
        V = W[:, 1:] - W[:, :1]
        T = np.eye(n_logits)[:, 1:] - 1.0 / n_logits
    gradient, hessian, products = rows.score_products(V, width, groups)
    products -= np.outer(gradient, gradient) / n_units
    with np.errstate(over="ignore", divide="ignore"):
        penalty = np.full(size, 1.0) / C / rows.stats.unit / width / width
    penalty[model.n_features_in_ :] = 0.0
    penalty = np.kron(T.T @ T, np.diag(np.minimum(penalty, MAX_PENALTY)))
    hessian += penalty
    gradient += penalty @ V.T.reshape(-1)
    covariance, step, scale = _solve(hessian, products, gradient)
    # Of what is exactly 0 for any data, as the penalised coefficient of a constant feature,
    # the error is nothing but rounding.
    error = np.sqrt(np.maximum(np.diag(covariance), 1e-12)) / scale
    step = (step / scale).reshape(-1, size).T
    all_logits = step if n_logits == 1 else np.hstack([np.zeros((size, 1)), step])
    _check_optimum(rows.largest_change(all_logits / width[:, np.newaxis]), step, error)
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
    names = feature_names(model).tolist()
    return [*names, "intercept"] if model.fit_intercept else names


def _column_names(model):
    return model.classes_[-model.coef_.shape[0] :]


def _check_model(model):
    """Return C; refuse a model without standard errors."""
    C, l1_ratio = model._penalty()
    if l1_ratio:
        raise ValueError(
            "There are no valid standard errors after an L1 norm has chosen coefficients; got "
            f"l1_ratio={l1_ratio}. Fit a model with l1_ratio=0, on other data "
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
            "Standard errors are for a model of the mean target, which is what "
            f"divergence='kl' at temperature=1 fits; got divergence={model.divergence!r}, "
            f"temperature={model.temperature!r}."
        )
    n_parameters = model.coef_.shape[0] * (model.n_features_in_ + model.fit_intercept)
    if n_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"The model has {n_parameters} parameters; their covariance matrix is computed "
            f"for up to {MAX_PARAMETERS}. Use fewer features."
        )
    return float(C)


def _units(weight, groups):
    """Return the number of the group of each row, None without groups, and how many count."""
    counted = weight > 0.0
    what, n_units = "rows", np.count_nonzero(counted)
    if groups is not None:
        groups = encode_groups(groups, len(weight))[1]
        what, n_units = "groups", len(np.unique(groups[counted]))
    if n_units == 1:
        raise ValueError(
            f"Number of {what} with a positive weight: 1; standard errors need at least two "
            f"independent {what}."
        )
    return groups, n_units


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


def _check_optimum(shift, step, error):
    """Refuse coefficients far from the optimum; warn if they are not quite near it."""
    if not shift <= MAX_SHIFT:
        raise ValueError(
            "The coefficients are not the optimum for these data: a Newton step changes "
            f"log-odds by {shift:.2g}. Pass the X, y and sample_weight of the fit; if they "
            "are, lower tol, or penalise the coefficients (a smaller C) if classes are "
            "separable."
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
