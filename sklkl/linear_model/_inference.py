r"""Robust standard errors of the coefficients.

With weights s, let u be the sum over the rows of a unit (a row, or a group of rows) of
:math:`s_i \, (p_i - y_i) \otimes [x_i, 1]`, and A the Hessian of the penalised sum of losses,
:math:`\sum_i s_i (\mathrm{diag}(p_i) - p_i p_i^T) \otimes [x_i, 1] [x_i, 1]^T` plus 1 / C on
the diagonal of what is penalised. The covariance of the coefficients is

.. math::
    A^{-1} \Bigl( \sum_u (u - \bar u) (u - \bar u)^T \Bigr) A^{-1}

The mean of u is 0 without a penalty. With one it is not: the penalty, a constant, balances it.

All is computed for the logits against the first class, ``V[:, k] = W[:, k + 1] - W[:, 0]``,
which the data determine. What is reported, ``W - W.mean(axis=1)`` or the differences from a
base class, is a linear function of V: ``W = V @ T.T``. A binary model has the single logit to
begin with, and T is 1, or -1 where the second class is the base.

Numbers may be of any size: features are divided by their largest values, their widths,
weights by the largest one, and the matrices by the diagonal of A.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpocon
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklkl._core.models import inner_estimator
from sklkl._core.names import places, refuse_other_rows, shown
from sklkl._core.parameters import INNER_SHARE, check
from sklkl._core.samples import encode_groups
from sklkl._core.sklearn import feature_names
from sklkl._core.typing import Estimator, Samples
from sklkl.linear_model._data import check_data
from sklkl.linear_model._loss import KL, resolve_divergence

# A matrix of so many rows takes 200 MB, and there are about six at a time.
MAX_PARAMETERS = 5_000

# Below this the Hessian, its diagonal scaled to 1, is singular but for rounding.
MIN_RCOND = 1e-12

# Of the root of a diagonal entry, whose fourth power would underflow in products of scores.
LEAST_SCALE = 1e-75

# Of a coefficient in units of the data; a larger one is 0 at this penalty, too.
MAX_PENALTY = 1e307

# Where classes are separable, each Newton step moves log-odds by about 1, however small
# the gradient has become; at an optimum it moves none.
MAX_SHIFT = 0.5

# In standard errors; then 94.3 instead of 95% of the intervals hold what they should.
MAX_BIAS = 0.25


def coef_frame(model: Estimator, *, base: Any = None) -> Any:
    """Return the coefficients of a model that ends in a logistic student, by name.

    Parameters
    ----------
    model : estimator
        A fitted ``SoftLabelLogisticRegression`` or ``SoftLabelLogisticRegressionCV``; or a
        pipeline, a search or a ``DistilledClassifier`` that ends in one. Features have the
        names that the transformers in front of it give them, by ``get_feature_names_out``.
    base : label, default=None
        The class that the others are compared with: coefficients are differences from its own.

    Returns
    -------
    frame : pandas.DataFrame
        As the method ``coef_frame`` of the student returns it.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If the model does not end in a logistic student, or a transformer has no
        ``get_feature_names_out``.
    ValueError
        If ``base`` is none of the classes.

    See Also
    --------
    coef_inference : With standard errors.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklkl.distillation import DistilledClassifier
    >>> from sklkl.linear_model import SoftLabelLogisticRegression, coef_frame
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> student = make_pipeline(StandardScaler(), SoftLabelLogisticRegression())
    >>> model = DistilledClassifier(GaussianNB(), student).fit(X, y)
    >>> coef_frame(model, base=0).round(1)
    class                1    2
    feature
    sepal length (cm)  1.4  1.9
    sepal width (cm)  -1.6 -1.2
    petal length (cm)  1.8  3.8
    petal width (cm)   0.9  4.4
    intercept          2.2 -1.2
    """
    student, _, names = _student_behind(model)
    pandas = import_pandas("coef_frame")
    coef, classes = student._coefficients(), student.classes_
    if base is None:
        columns = classes[-student.coef_.shape[0] :]
    else:
        contrast, columns = _contrast(classes, base)
        logits = np.hstack([0.0 * coef, coef]) if coef.shape[1] == 1 else coef
        coef = (logits @ contrast.T).astype(coef.dtype, copy=False)
    return pandas.DataFrame(
        coef,
        index=pandas.Index(_row_names(student, names), name="feature"),
        columns=pandas.Index(columns, name="class"),
    )


def coef_inference(
    model: Estimator,
    X: Samples,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
    base: Any = None,
    offset: ArrayLike | None = None,
) -> Any:
    """Compute standard errors for a model that ends in a logistic student, by name.

    Parameters
    ----------
    model : estimator
        A fitted student or what holds one, as for ``coef_frame``. The student must have been
        fitted to ``y``: one that was distilled, to the teacher's probabilities at
        temperature 1.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples of the fit of the whole model; its transformers are applied to them, and taken
        as given.
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        Labels or targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit, as for the method ``coef_inference`` of the student.
    groups : array-like of shape (n_samples,), default=None
        Labels of groups of dependent rows.
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
        As the method returns it.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If the model does not end in a logistic student, or a transformer has no
        ``get_feature_names_out``.
    ValueError
        If ``base`` is none of the classes, a student was distilled at another temperature
        than 1, and where the method raises one.

    Warns
    -----
    ConvergenceWarning
        If the optimum for these data is more than a quarter of a standard error away.

    See Also
    --------
    coef_frame : Coefficients alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklkl.linear_model import SoftLabelLogisticRegression, coef_inference
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X = X[["petal length (cm)"]]
    >>> model = make_pipeline(StandardScaler(), SoftLabelLogisticRegression()).fit(X, y)
    >>> coef_inference(model, X, y, base=1)[["coef", "std_error"]].round(1)
                             coef  std_error
    class feature
    0     petal length (cm)  -3.7        0.1
          intercept          -2.0        0.2
    2     petal length (cm)   4.2        0.2
          intercept          -2.6        0.2
    """
    found = _student_behind(model, of_fit=True)
    return inference_frame(*found, X, y, sample_weight, groups, confidence_level, base, offset)


def inference_frame(
    student,
    transformers,
    names,
    X,
    y,
    sample_weight,
    groups,
    confidence_level,
    base,
    offset,
):
    """Return what the function ``coef_inference`` and the method return, of what it found."""
    pandas = import_pandas("coef_inference")
    check("confidence_level", confidence_level, INNER_SHARE)
    # Before transformers, which may leave arrays without names.
    given = {"y": y, "sample_weight": sample_weight, "groups": groups, "offset": offset}
    refuse_other_rows({"X": X, **given}, strict=False)
    for transformer in transformers:
        X = transformer.transform(X)
    coef, covariance, scale, classes = sandwich_covariance(
        student, X, y, sample_weight, groups, base, offset
    )
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale
    with np.errstate(divide="ignore", invalid="ignore"):  # errors of 0, of a perfect fit
        z = coef / error
    half = norm.isf((1.0 - float(confidence_level)) / 2.0) * error
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
            [classes, _row_names(student, names)], names=["class", "feature"]
        ),
    )


def _student_behind(model, of_fit=False):
    """Return a fitted student, the transformers in front of it, and names of its features.

    ``of_fit`` refuses a student that learned at another temperature than it predicts at.
    """
    check_is_fitted(model)
    whole, transformers, names, temperature = model, [], None, 1.0
    while not hasattr(model, "coef_inference"):
        if hasattr(model, "student_"):  # of a distilled classifier
            temperature = getattr(model, "_student_temperature", 1.0)
            model = model.student_
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif (inner := inner_estimator(model)) is not None:
            if isinstance(model, Pipeline) and len(model) > 1:
                front = model[:-1]
                transformers.append(front)
                names = _names_out(front, names)
            _, model = inner
        else:
            raise TypeError(
                f"This {type(whole).__name__} ends in a {type(model).__name__}, not in a "
                "SoftLabelLogisticRegression, whose coefficients have these methods."
            )
    check_is_fitted(model, msg="The %(name)s inside is not fitted; a search needs refit=True.")
    if of_fit and temperature != 1.0:
        raise ValueError(
            f"The student learned at temperature {temperature}: its coefficients, for "
            "predictions at temperature 1, are the optimum for no targets there, and have no "
            "such standard errors. Distil at temperature=1."
        )
    return model, transformers, getattr(model, "feature_names_in_", names)


def _names_out(front, names):
    try:
        return front.get_feature_names_out(names)
    except AttributeError as error:
        raise TypeError(
            f"A transformer in front of the student does not name its features: {error} Give "
            "it get_feature_names_out, as FunctionTransformer has with feature_names_out; or "
            "ask the last step of the pipeline, whose features are x0, x1, ..."
        ) from error


def _contrast(classes, base):
    """Return the matrix of differences from one class, and the other classes."""
    try:
        (at,) = places([base], classes.tolist())
    except (TypeError, ValueError):  # not hashable, as a memoryview
        at = -1
    if at < 0:
        raise ValueError(f"base must be one of the classes {shown(classes)}; got {base!r}.")
    others = np.delete(np.eye(len(classes)), at, axis=0)
    others[:, at] = -1.0
    return others, np.delete(classes, at)


def sandwich_covariance(model, X, y, sample_weight=None, groups=None, base=None, offset=None):
    """Return the coefficients and their covariance; see ``LinearSoftmaxMixin.coef_inference``.

    Returns
    -------
    coef : ndarray of shape (n_logits * size,)
        Class after class, each with a coefficient per feature and then, with
        ``fit_intercept``, the intercept; one logit if binary. With more classes, they sum to
        0 over the classes: a constant is taken off where a fit started elsewhere. With a
        ``base``, differences from that class, which is left out.
    covariance : ndarray of shape (n_logits * size, n_logits * size)
        In this order, of the coefficients times ``scale``, lest it overflow or vanish.
    scale : ndarray of shape (n_logits * size,)
    classes : ndarray of shape (n_logits,)
    """
    C = _check_model(model)
    classes = model.classes_[-model.coef_.shape[0] :]
    if base is not None:
        contrast, classes = _contrast(model.classes_, base)
    model._refuse_missing(offset, "coef_inference")
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
    if base is not None:
        T = contrast[:, 1:]  # the first logit of V is 0
        W = V @ T.T
    least = scale.min(axis=0)
    covariance = covariance.reshape(len(scale), size, len(scale), size)
    covariance *= (least / scale)[:, :, np.newaxis, np.newaxis] * (least / scale)
    covariance = np.einsum("ka,afbg,lb->kflg", T, covariance, T, optimize=True)
    return (
        (W / width[:, np.newaxis]).T.reshape(-1),
        covariance.reshape(W.size, W.size),
        np.tile(least * width, len(classes)),
        classes,
    )


def import_pandas(caller):
    """Return pandas, which nothing else needs."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{caller} returns a data frame: pip install pandas.") from error
    return pandas


def _row_names(model, names):
    names = list(feature_names(model) if names is None else names)
    return [*names, "intercept"] if model.fit_intercept else names


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
    singular = not scale.min() > LEAST_SCALE
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
            "linearly dependent (or constant, beside an intercept), classes are separable, or "
            "an offset is certain of all labels. Drop such features, or penalise the "
            "coefficients (a finite C)."
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
