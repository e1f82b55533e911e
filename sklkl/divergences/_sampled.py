"""KL divergence estimated from samples."""

from itertools import zip_longest
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.arrays import as_floating
from sklkl._core.distributions import AXIS, nats_to
from sklkl._core.names import AS_IT_IS, names_of, orders
from sklkl._core.parameters import check, one_of
from sklkl._core.typing import RowValues, SampledEstimator
from sklkl._kernels._rows import kl_terms

ESTIMATOR = one_of(get_args(SampledEstimator))
# Differences of larger ones, and their sums, overflow.
LARGEST_LOG = np.float64(1e300)


def sampled_kl(
    log_p: ArrayLike,
    log_q: ArrayLike,
    *,
    estimator: SampledEstimator = "k3",
    sample_weight: ArrayLike | None = None,
    axis: int = -1,
    base: float | None = None,
) -> RowValues:
    r"""Estimate the Kullback-Leibler divergence from samples of the first distribution.

    With samples :math:`x_i` of P and :math:`r_i = q(x_i) / p(x_i)`, the mean [1]_ of

    .. math::
        k_1 = -\log r, \qquad k_2 = \tfrac12 (\log r)^2, \qquad k_3 = (r - 1) - \log r

    Parameters
    ----------
    log_p, log_q : array-like of shape (..., n_samples)
        Logarithms (natural) of the probabilities or densities that both distributions
        give to the same samples of P, as a policy and a reference policy give to the tokens
        that the policy wrote. They broadcast; data frames and Series are matched by their
        names.
    estimator : {"k1", "k2", "k3"}, default="k3"
        "k1" is unbiased, of high variance, and may be negative; "k2" is biased, of low
        variance and non-negative; "k3" is unbiased, of low variance for near distributions,
        and non-negative. k3 needs :math:`E[r] = 1`: q must not have mass where p has none.
    sample_weight : array-like of shape (..., n_samples), default=None
        Weights of the samples, or a mask: what has weight 0, or False, as the padding of short
        answers, is left out, whatever its logarithms are. It broadcasts with them.
    axis : int or None, default=-1
        The axis of samples; None for all.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    estimate : float or ndarray of shape (...)
        Mean over the samples. A float if no axis is left; otherwise an array, float32 if no
        input is wider, else float64.

    Raises
    ------
    ValueError
        If there is no such estimator, if ``log_p`` is not finite (a sample of P has
        p > 0) or ``log_q`` is NaN or +inf, if one is beyond 1e300, if shapes or names do not
        match, if weights are negative or not finite, or if there are no samples.

    See Also
    --------
    kl_divergence : The exact value where probabilities of all outcomes are known.

    Notes
    -----
    These are estimates of the value. With fixed samples, the expected gradient by p of k1 is
    0; of k2 it is the gradient of :math:`D(P \| Q)`, and of k3 of :math:`D(Q \| P)` [2]_.

    References
    ----------
    .. [1] Schulman, J. (2020). Approximating KL Divergence.
           http://joschu.net/blog/kl-approx.html
    .. [2] Tang, Y. and Munos, R. (2025). On a Few Pitfalls in KL Divergence Gradient
           Estimation for RL. arXiv:2506.09477.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import kl_divergence, sampled_kl
    >>> p, q = np.array([0.5, 0.5]), np.array([0.6, 0.4])
    >>> tokens = np.random.default_rng(0).integers(2, size=10_000)
    >>> round(sampled_kl(np.log(p)[tokens], np.log(q)[tokens]), 3)
    0.02
    >>> round(kl_divergence(p, q), 3)
    0.02

    Answers of different lengths, of which the shorter one is padded:

    >>> log_p, log_q = np.log([[0.5, 0.4], [0.8, np.nan]]), np.log([[0.4, 0.5], [0.9, np.nan]])
    >>> sampled_kl(log_p, log_q, sample_weight=~np.isnan(log_p)).round(3)
    array([0.025, 0.007])
    """
    unit = nats_to(base)
    check("estimator", estimator, ESTIMATOR)
    check("axis", axis, AXIS.or_(None))
    given = {"log_p": log_p, "log_q": log_q}
    if sample_weight is not None:
        given["sample_weight"] = sample_weight
    arrays = {name: as_floating(x, name) for name, x in given.items()}
    counted = None
    if sample_weight is None:
        _refuse_bad_logs(arrays, counted)
    names = [reversed(names_of(x) or []) for x in given.values()]  # as axes broadcast
    for j, own in enumerate(zip_longest(*names)):
        order = orders(dict(zip(arrays, own, strict=True)), "samples")
        for name, x in arrays.items():
            if order[name] is not AS_IT_IS:
                x = np.moveaxis(np.moveaxis(x, -1 - j, 0)[order[name]], 0, -1 - j)
                arrays[name] = x
    if sample_weight is not None:
        weight = arrays["sample_weight"].astype(np.float64)
        if not ((weight >= 0) & (weight < np.inf)).all():
            raise ValueError("sample_weight must hold finite numbers >= 0, or booleans.")
        log_p, log_q, weight = _broadcast(arrays | {"sample_weight": weight})
        counted = weight > 0
        _refuse_bad_logs({"log_p": log_p, "log_q": log_q}, counted)
        log_p, log_q = (np.where(counted, x, x.dtype.type(0)) for x in (log_p, log_q))
        arrays = {"log_p": log_p, "log_q": log_q}
    log_p, log_q = arrays["log_p"], arrays["log_q"]
    dtype = np.promote_types(log_p.dtype, log_q.dtype)
    log_p, log_q = _broadcast({"log_p": log_p, "log_q": log_q})
    log_r = np.asarray(log_q.astype(np.float64) - log_p)
    if axis is not None and log_r.ndim == 0:
        raise ValueError("log_p and log_q are single numbers; pass vectors of samples.")
    if axis is not None and not -log_r.ndim <= axis < log_r.ndim:
        raise ValueError(
            f"axis={axis} is out of range for log_p and log_q, of shape {log_r.shape}."
        )
    n_samples = log_r.size if axis is None else np.size(log_r, axis)
    if n_samples == 0:
        raise ValueError(
            f"log_p and log_q hold no samples along axis {axis} of shape {log_r.shape}."
        )
    with np.errstate(over="ignore"):  # inf is the answer
        if estimator == "k1":
            values = -log_r
        elif estimator == "k2":
            values = 0.5 * log_r**2
        else:
            values = expm1_minus(log_r)
        if sample_weight is None:
            result = np.mean(values, axis=axis) * unit
        else:
            result = _weighted_mean(values, weight, axis) * unit
        return result.astype(dtype, copy=False) if np.ndim(result) else float(result)


def _broadcast(arrays):
    """Return the arrays in one shape, or refuse them by their names."""
    try:
        return np.broadcast_arrays(*arrays.values())
    except ValueError:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise ValueError(f"The shapes do not broadcast: {shapes}.") from None


def _refuse_bad_logs(arrays, counted):
    """Refuse logarithms that no sample of P can have, among those that count."""
    for name, x in arrays.items():
        bad = ~(abs(x) <= LARGEST_LOG)
        if name == "log_q":
            bad &= ~np.isneginf(x)
        if counted is not None:
            bad &= counted
        if bad.any():
            index = tuple(int(j) for j in np.argwhere(bad)[0])
            raise ValueError(
                f"{name}{list(index)} is {x[index]}; samples of p have a finite log_p, and "
                "log_q is finite or -inf, both within 1e300 of 0 where they are finite."
            )


def _weighted_mean(values, weight, axis):
    """Return the weighted mean along an axis; refuse where no sample has a weight."""
    largest = weight.max(axis=axis, keepdims=True)  # the sum of such might overflow
    weight = weight / np.where(largest > 0, largest, 1.0)
    total = weight.sum(axis=axis)
    if not np.all(total > 0):
        i = tuple(int(j) for j in np.argwhere(np.asarray(total) <= 0)[0])
        where = f" in row {list(i)}" if i else ""
        raise ValueError(f"sample_weight is zero for every sample{where}; drop such rows.")
    values = np.where(weight > 0, values, 0.0)  # not 0 * inf
    return np.sum(values * weight, axis=axis) / total


def expm1_minus(x):
    """exp(x) - 1 - x >= 0 without cancellation; x is float64 and may be -inf."""
    # a log(a / b) - a + b at a = 1, b = exp(x)
    near = np.clip(x, -600.0, 600.0)
    out = np.empty(x.shape)
    b = np.exp(near)
    kl_terms(np.ones(x.size), b.ravel(), -np.expm1(near).ravel(), out.reshape(-1))
    return np.where(near == x, out, np.where(x > 0, np.exp(x), -1 - x))
