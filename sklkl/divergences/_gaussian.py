"""KL divergence of Gaussian distributions."""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.arrays import as_floating
from sklkl._core.distributions import nats_to
from sklkl._core.names import names_of, orders
from sklkl._core.parameters import check, one_of
from sklkl._core.typing import CovarianceType, RowValues
from sklkl._kernels._rows import kl_terms

COVARIANCE_TYPE = one_of(get_args(CovarianceType))
# Of the variance of a dimension, the share that the dimensions before it leave. Smaller ones
# are what rounding leaves of 0, or have no four digits.
LEAST_SHARE = 1e-12


def gaussian_kl_divergence(
    mean_p: ArrayLike,
    cov_p: ArrayLike,
    mean_q: ArrayLike | None = None,
    cov_q: ArrayLike | None = None,
    *,
    covariance_type: CovarianceType = "auto",
    base: float | None = None,
) -> RowValues:
    r"""Compute the Kullback-Leibler divergence of Gaussians, the term of a VAE by default.

    .. math::
        D(P \| Q) = \tfrac12 \Bigl[ \sum_i (\lambda_i - 1 - \log \lambda_i)
        + (\mu_P - \mu_Q)^\top \Sigma_Q^{-1} (\mu_P - \mu_Q) \Bigr]

    with :math:`\lambda_i` the eigenvalues of :math:`\Sigma_Q^{-1} \Sigma_P`.

    Parameters
    ----------
    mean_p : array-like of shape (..., d)
        Mean of P.
    cov_p : array-like of shape (..., d) or (..., d, d)
        Variances of P (not standard deviations), or its covariance matrix.
    mean_q : array-like of shape (..., d), default=None
        Mean of Q; zeros if None.
    cov_q : array-like of shape (..., d) or (..., d, d), default=None
        Variances of Q, or its covariance matrix; ones if None.
    covariance_type : {"auto", "diag", "full"}, default="auto"
        "diag" takes ``cov_p`` and ``cov_q`` for variances, "full" for covariance matrices.
        "auto" takes an array of shape (..., d, d) for matrices if it has more axes than the
        mean; otherwise for what broadcasts with the mean, and refuses it if both do, as for
        d rows of means.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative, and relatively accurate also for near-equal Gaussians. The leading axes
        broadcast, and names, of the dimensions and of the rows of data frames, are matched.
        A float if there are none; otherwise an array, float32 if no input is wider, else
        float64.

    Raises
    ------
    ValueError
        If shapes do not match or do not tell variances from matrices, a value is not finite,
        a variance is not positive, a covariance matrix is not symmetric positive definite or
        is singular but for rounding, or names differ; the message names the argument and the
        place.

    See Also
    --------
    kl_divergence : The same for discrete distributions.

    Notes
    -----
    In a variational autoencoder P is the posterior of the encoder, with
    ``cov_p=exp(log_var)``, and Q the standard normal prior. A batch may have as many rows as
    there are dimensions: pass ``covariance_type="diag"``.

    A covariance matrix costs digits: about as many as its correlation matrix is near to a
    singular one.

    References
    ----------
    Kingma, D. P. and Welling, M. (2014). Auto-Encoding Variational Bayes. arXiv:1312.6114,
    appendix B.

    Duchi, J. (2007). Derivations for Linear Algebra and Optimization, section 9.

    Examples
    --------
    >>> from sklkl.divergences import gaussian_kl_divergence
    >>> gaussian_kl_divergence([1.0, 0.0], [1.0, 1.0])
    0.5
    >>> round(gaussian_kl_divergence([0.0, 0.0], [[2.0, 0.5], [0.5, 1.0]]), 3)
    0.22
    """
    unit = nats_to(base)
    check("covariance_type", covariance_type, COVARIANCE_TYPE)
    given = {"mean_p": mean_p, "cov_p": cov_p, "mean_q": mean_q, "cov_q": cov_q}
    given = {name: v for name, v in given.items() if v is not None or name.endswith("_p")}
    x = {name: as_floating(v, name) for name, v in given.items()}
    dtype = np.result_type(*x.values())
    x = {name: v.astype(np.float64, copy=False) for name, v in x.items()}
    d = _check_means(x)
    x.setdefault("mean_q", np.zeros(x["mean_p"].shape))
    full = {"cov_p": False, "cov_q": False}
    for name in [name for name in full if name in x]:
        mean = "mean" + name[3:]
        full[name] = _is_full(name, x[name], mean, x[mean], d, covariance_type)
        _check_finite(name, x[name])
        if not full[name]:
            problem = "is not positive; variances are squares of standard deviations"
            _refuse(name, x[name] <= 0, problem)
    x.setdefault("cov_q", np.ones(d))
    _align(x, given, full)
    if not _fit(*(v.shape[: -2 if full.get(name) else -1] for name, v in x.items())):
        detail = ", ".join(f"{name} {v.shape}" for name, v in x.items())
        raise ValueError(f"The leading shapes do not broadcast: {detail}.")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        difference = x["mean_p"] - x["mean_q"]
        compare = _full if any(full.values()) else _diagonal
        spread, distance = compare(difference, x["cov_p"], x["cov_q"], full)
        result = 0.5 * unit * (spread + distance)
        result = np.where(np.isnan(result), np.inf, result)  # NaN comes of overflow alone
        return result.astype(dtype, copy=False) if np.ndim(result) else float(result)


def _check_means(x):
    for name in ("mean_p", "mean_q"):
        if name in x:
            if x[name].ndim == 0:
                raise ValueError(f"{name} is a single number; pass a vector.")
            _check_finite(name, x[name])
    d = x["mean_p"].shape[-1]
    if "mean_q" in x and x["mean_q"].shape[-1] != d:
        raise ValueError(f"mean_p has {d} dimensions, but mean_q has {x['mean_q'].shape[-1]}.")
    return d


def _is_full(name, cov, mean_name, mean, d, covariance_type):
    """Return whether ``cov`` is a (batch of) matrices; refuse what may be both or neither."""
    square = cov.ndim > 1 and cov.shape[-2:] == (d, d)
    if cov.ndim == 0 or cov.shape[-1] != d or (covariance_type == "full" and not square):
        raise ValueError(
            f"{name} has shape {cov.shape}; for {d} dimensions it must be (..., {d}) for "
            f"variances or (..., {d}, {d}) for matrices. (covariance_type={covariance_type!r})"
        )
    if covariance_type != "auto":
        return covariance_type == "full"
    if not square or cov.ndim > mean.ndim:
        return square
    as_rows, as_matrix = (_fit(mean.shape[:-1], cov.shape[:axis]) for axis in (-1, -2))
    if as_rows and as_matrix and d > 1:
        raise ValueError(
            f"{name} of shape {cov.shape} may hold rows of variances, or a matrix for several "
            f"rows of {mean_name}, of shape {mean.shape}; pass covariance_type='diag' or "
            "'full'."
        )
    return as_matrix and not as_rows


def _fit(*shapes):
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _align(x, given, full):
    """Bring the dimensions, and the rows of data frames, in the order of the first names."""
    names = {name: own for name, v in given.items() if (own := names_of(v)) is not None}
    dimensions = {name: own[-1] for name, own in names.items()}
    frames = {name: own[0] for name, own in names.items() if len(own) == 2}
    rows = {name: labels for name, labels in frames.items() if not full.get(name)}
    dimensions |= {f"the index of {n}": own for n, own in frames.items() if full.get(n)}
    dimensions, rows = orders(dimensions, "dimensions"), orders(rows, "rows")
    for name in names:
        x[name] = x[name][..., dimensions[name]]
        if full.get(name):
            x[name] = x[name][dimensions[f"the index of {name}"]]
        elif name in rows:
            x[name] = x[name][rows[name]]


def _check_finite(name, x):
    _refuse(name, ~np.isfinite(x), "is not finite")


def _refuse(name, bad, problem):
    if np.any(bad):
        index = np.argwhere(bad)[0].tolist() if np.ndim(bad) else []
        raise ValueError(f"{name}{index or ''} {problem}.")


def _scale_of(cov):
    """Return powers of 2 that bring variances near 1."""
    return np.ldexp(1.0, -(np.frexp(cov)[1] // 2))


def _scaled(matrix, scale):
    return matrix * scale[..., None] * scale[..., None, :]


def _cholesky(name, matrix):
    """Return the scale of a (batch of) matrices, and the root of the scaled ones."""
    gap = abs(matrix - np.swapaxes(matrix, -1, -2)).max(axis=(-1, -2), initial=0)
    size = abs(matrix).max(axis=(-1, -2), initial=0)
    _refuse(name, gap > 1e-6 * size, "is not symmetric, as covariance matrices are")
    problem = "is not positive definite"
    variances = np.diagonal(matrix, axis1=-2, axis2=-1)
    _refuse(name, (variances <= 0).any(axis=-1), problem)
    scale = _scale_of(variances)
    matrix = _scaled(matrix, scale)
    try:
        root = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        root = np.empty(matrix.shape)
        for index in np.ndindex(matrix.shape[:-2]):
            try:
                root[index] = np.linalg.cholesky(matrix[index])
            except np.linalg.LinAlgError:
                root[index] = np.nan
    _refuse(name, np.isnan(root).any(axis=(-1, -2)), problem)
    shares = np.diagonal(root, axis1=-2, axis2=-1) ** 2 / (variances * scale * scale)
    problem += " beyond rounding: some dimension is a combination of others"
    _refuse(name, (shares < LEAST_SHARE).any(axis=-1), problem)
    return scale, root


def _excess_of_logarithm(less_one):
    """Return y - log(1 + y) for y within 1/2 of 0: the KL term of 1 and 1 + y."""
    y = np.clip(less_one, -0.5, 0.5)
    terms = np.empty(y.shape)
    kl_terms(np.ones(y.size), 1 + y.ravel(), -y.ravel(), terms.reshape(-1))
    return terms


def _diagonal(difference, cov_p, cov_q, _):
    """Return the sum of lambda - 1 - log(lambda), and the whitened distance squared."""
    less_one = (cov_p - cov_q) / cov_q
    far = less_one - (np.log(cov_p) - np.log(cov_q))
    terms = np.where(abs(less_one) <= 0.5, _excess_of_logarithm(less_one), far)
    return terms.sum(axis=-1), ((difference / np.sqrt(cov_q)) ** 2).sum(axis=-1)


def _full(difference, cov_p, cov_q, full):
    """As _diagonal, for covariance matrices."""
    eye = np.eye(difference.shape[-1])
    p = cov_p if full["cov_p"] else cov_p[..., None] * eye
    q = cov_q if full["cov_q"] else cov_q[..., None] * eye
    scale_p, root_p = _cholesky("cov_p", p)
    scale_q, root_q = _cholesky("cov_q", q)
    # Q^-1/2 (P - Q) Q^-1/2 has eigenvalues lambda - 1 that are accurate where they are small.
    half = np.linalg.solve(root_q, _scaled(p - q, scale_q))
    white = np.linalg.solve(root_q, np.swapaxes(half, -1, -2))
    finite = np.isfinite(white).all(axis=(-1, -2))
    white = np.where(finite[..., None, None], white, 0.0)
    less_one = np.linalg.eigvalsh(0.5 * (white + np.swapaxes(white, -1, -2)))
    near = abs(less_one).max(axis=-1, initial=0) <= 0.5
    # Far off they are not, but then the sum is no small difference of large parts.
    log_det = 2 * (_log_diagonal(root_p, scale_p) - _log_diagonal(root_q, scale_q))
    near_sum = _excess_of_logarithm(less_one).sum(axis=-1)
    spread = np.where(near, near_sum, np.trace(white, axis1=-2, axis2=-1) - log_det)
    distance = np.linalg.solve(root_q, (difference * scale_q)[..., None])[..., 0] ** 2
    return np.where(finite, spread, np.inf), distance.sum(axis=-1)


def _log_diagonal(root, scale):
    return (np.log(np.diagonal(root, axis1=-2, axis2=-1)) - np.log(scale)).sum(axis=-1)
