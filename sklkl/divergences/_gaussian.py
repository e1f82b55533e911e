"""KL divergence of Gaussian distributions."""

import numpy as np

from sklkl._kernels._rows import kl_terms
from sklkl.divergences._rows import as_floating, nats_to


def gaussian_kl_divergence(mean_p, cov_p, mean_q=None, cov_q=None, *, base=None):
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
        Variances of P (not standard deviations), or its covariance matrix: a matrix if the
        last two axes are equal and there are more axes than in the mean. One matrix for a
        batch of means is ``cov[None]``.
    mean_q : array-like of shape (..., d), default=None
        Mean of Q; zeros if None.
    cov_q : array-like of shape (..., d) or (..., d, d), default=None
        Variances of Q, or its covariance matrix; ones if None.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative, and relatively accurate also for near-equal Gaussians. The leading axes
        broadcast. A float if there are none; otherwise an array, float32 if no input is
        wider, else float64.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, a variance is not positive, or a
        covariance matrix is not symmetric positive definite; the message names the argument
        and the place.

    See Also
    --------
    kl_divergence : The same for discrete distributions.

    Notes
    -----
    In a variational autoencoder P is the posterior of the encoder, with
    ``cov_p=exp(log_var)``, and Q the standard normal prior.

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
    given = {"mean_p": mean_p, "cov_p": cov_p, "mean_q": mean_q, "cov_q": cov_q}
    x = {name: as_floating(v, name) for name, v in given.items() if v is not None}
    dtype = np.result_type(*x.values())
    x = {name: v.astype(np.float64, copy=False) for name, v in x.items()}
    d = _check_means(x)
    x.setdefault("mean_q", np.zeros(x["mean_p"].shape))
    x.setdefault("cov_q", np.ones(d))
    full = {
        side: _check_covariance(f"cov_{side}", x[f"cov_{side}"], x[f"mean_{side}"], d)
        for side in "pq"
    }
    try:
        shapes = [x[f"mean_{s}"].shape[:-1] for s in "pq"]
        shapes += [x[f"cov_{s}"].shape[: -2 if full[s] else -1] for s in "pq"]
        np.broadcast_shapes(*shapes)
    except ValueError:
        detail = ", ".join(f"{name} {v.shape}" for name, v in x.items())
        raise ValueError(f"The leading shapes do not broadcast: {detail}.") from None
    with np.errstate(over="ignore", invalid="ignore"):
        difference = x["mean_p"] - x["mean_q"]
        if full["p"] or full["q"]:
            spread, distance = _full(difference, x["cov_p"], x["cov_q"], full)
        else:
            spread, distance = _diagonal(difference, x["cov_p"], x["cov_q"])
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


def _check_covariance(name, cov, mean, d):
    """Is ``cov`` a (batch of) matrices? Refuse what is no covariance."""
    full = cov.ndim > mean.ndim and cov.shape[-2:] == (d, d)
    if cov.ndim == 0 or cov.shape[-1] != d:
        raise ValueError(
            f"{name} has shape {cov.shape}; for {d} dimensions it must be (..., {d}) for "
            f"variances or (..., {d}, {d}) for matrices."
        )
    _check_finite(name, cov)
    if full:
        gap = abs(cov - np.swapaxes(cov, -1, -2)).max(axis=(-1, -2), initial=0)
        scale = abs(cov).max(axis=(-1, -2), initial=0)
        bad = gap > 1e-6 * scale
        problem = "is not symmetric"
    else:
        bad = cov <= 0
        problem = "is not positive; variances are squares of standard deviations"
    if np.any(bad):
        raise ValueError(f"{_place(name, bad)} {problem}.")
    return full


def _check_finite(name, x):
    bad = ~np.isfinite(x)
    if bad.any():
        raise ValueError(f"{_place(name, bad)} is not finite.")


def _place(name, bad):
    index = np.argwhere(bad)[0].tolist() if np.ndim(bad) else []
    return f"{name}{index}" if index else name


def _cholesky(name, matrix):
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        for index in np.ndindex(matrix.shape[:-2]):
            try:
                np.linalg.cholesky(matrix[index])
            except np.linalg.LinAlgError:
                where = f"{name}{list(index)}" if index else name
                raise ValueError(f"{where} is not positive definite.") from None
        raise


def _excess_of_logarithm(less_one):
    """Return y - log(1 + y) for y within 1/2 of 0: the KL term of 1 and 1 + y."""
    y = np.clip(less_one, -0.5, 0.5)
    terms = np.empty(y.shape)
    kl_terms(np.ones(y.size), 1 + y.ravel(), -y.ravel(), terms.reshape(-1))
    return terms


def _diagonal(difference, cov_p, cov_q):
    """Return the sum of lambda - 1 - log(lambda), and the whitened distance squared."""
    less_one = (cov_p - cov_q) / cov_q
    far = less_one - (np.log(cov_p) - np.log(cov_q))
    terms = np.where(abs(less_one) <= 0.5, _excess_of_logarithm(less_one), far)
    return terms.sum(axis=-1), ((difference / np.sqrt(cov_q)) ** 2).sum(axis=-1)


def _full(difference, cov_p, cov_q, full):
    """As _diagonal, for covariance matrices."""
    matrices = {}
    for side, cov in (("p", cov_p), ("q", cov_q)):
        matrices[side] = cov if full[side] else cov[..., None] * np.eye(cov.shape[-1])
    root_p = _cholesky("cov_p", matrices["p"])
    root_q = _cholesky("cov_q", matrices["q"])
    # Q^-1/2 (P - Q) Q^-1/2 has eigenvalues lambda - 1 that are accurate where they are small.
    half = np.linalg.solve(root_q, matrices["p"] - matrices["q"])
    white = np.linalg.solve(root_q, np.swapaxes(half, -1, -2))
    less_one = np.linalg.eigvalsh(0.5 * (white + np.swapaxes(white, -1, -2)))
    near = abs(less_one).max(axis=-1, initial=0) <= 0.5
    # Far off they are not, but then the sum is no small difference of large parts.
    log_det = 2 * (_log_diagonal(root_p) - _log_diagonal(root_q))
    near_sum = _excess_of_logarithm(less_one).sum(axis=-1)
    spread = np.where(near, near_sum, np.trace(white, axis1=-2, axis2=-1) - log_det)
    distance = np.linalg.solve(root_q, difference[..., None])[..., 0] ** 2
    return spread, distance.sum(axis=-1)


def _log_diagonal(root):
    return np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
