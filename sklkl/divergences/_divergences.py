"""Row-wise divergences: validate, dispatch to the kernels, convert the unit."""

from functools import partial
from numbers import Real

import numpy as np

from sklkl._kernels import _rows
from sklkl._kernels._openmp import n_threads_for
from sklkl.divergences._rows import SUM_TOLERANCE, as_rows, nats_to, raise_bad_row


def by_row(kernel, arrays, *, axis=-1, base=None):
    """Run ``kernel(p, q, tolerance, out, n_threads)`` on broadcast rows.

    ``arrays`` maps the name of each argument, one or two, to what the user passed for it;
    error messages use the names.
    """
    scale = nats_to(base)
    rows, shape = as_rows(arrays, axis)
    p, q = rows[0], rows[-1]
    out = np.empty(len(p))
    kernel(p, q, SUM_TOLERANCE, out, n_threads_for(p.size))
    if np.isnan(out.sum()):
        raise_bad_row(arrays, rows, shape, int(np.argmax(np.isnan(out))), axis)
    if scale != 1.0:
        out *= scale
    if not shape:
        return float(out[0])
    return out.astype(p.dtype, copy=False).reshape(shape)


cross_entropy_kernel = _rows.cross_entropy_rows


def kl_kernel(p, q, tolerance, out, n_threads):
    _rows.divergence_rows(_rows.Term.KL, p, q, 0.5, tolerance, out, n_threads)


def jensen_shannon_kernel(p, q, tolerance, out, n_threads, weight=0.5):
    _rows.divergence_rows(_rows.Term.JENSEN_SHANNON, p, q, weight, tolerance, out, n_threads)


def entropy(p, *, axis=-1, base=None):
    r"""Compute the Shannon entropy of each distribution.

    .. math:: H(P) = -\sum_j p_j \log p_j

    Parameters
    ----------
    p : array-like of shape (..., n_outcomes)
        Distributions along ``axis``. Each must sum to 1 within 3.5e-4 and is normalised
        exactly.
    axis : int, default=-1
        The axis along which ``p`` is a distribution.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    entropy : float or ndarray of shape (...)
        Entropy, between 0 (all mass on one outcome) and log(n_outcomes). A float if ``p``
        is 1-D; otherwise an array, float32 for float32 input, else float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector; the message names the row.

    See Also
    --------
    cross_entropy : Cost of coding one distribution with another's code.

    References
    ----------
    Shannon, C. E. (1948). A Mathematical Theory of Communication. Bell System Technical
    Journal 27, 379-423.

    Examples
    --------
    >>> from sklkl.divergences import entropy
    >>> entropy([0.5, 0.5], base=2)
    1.0
    """
    return by_row(cross_entropy_kernel, {"p": p}, axis=axis, base=base)


def cross_entropy(p, q, *, axis=-1, base=None):
    r"""Compute the cross-entropy of each pair of distributions.

    .. math:: H(P, Q) = -\sum_j p_j \log q_j = H(P) + D(P \| Q)

    Parameters
    ----------
    p, q : array-like of shape (..., n_outcomes)
        Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
        within 3.5e-4 and is normalised exactly.
    axis : int, default=-1
        The axis along which ``p`` and ``q`` are distributions.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    cross_entropy : float or ndarray of shape (...)
        Cross-entropy, non-negative; inf where some p > 0 = q. A float for two 1-D inputs;
        otherwise an array, float32 if no input is wider, else float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector; the message names the argument and the row.

    See Also
    --------
    kl_divergence : The part of the cross-entropy that a better ``q`` can save.

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed.,
    section 5.4 (cost of the wrong code).

    Examples
    --------
    >>> from sklkl.divergences import cross_entropy
    >>> round(cross_entropy([0.5, 0.5], [0.9, 0.1], base=2), 3)
    1.737
    """
    return by_row(cross_entropy_kernel, {"p": p, "q": q}, axis=axis, base=base)


def kl_divergence(p, q, *, axis=-1, base=None):
    r"""Compute the Kullback-Leibler divergence of each pair of distributions.

    .. math:: D(P \| Q) = \sum_j p_j \log \frac{p_j}{q_j}

    The expectation is over ``p``: forward KL of a model ``q`` to the truth ``p``. Swap the
    arguments for reverse KL.

    Parameters
    ----------
    p, q : array-like of shape (..., n_outcomes)
        Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
        within 3.5e-4 and is normalised exactly.
    axis : int, default=-1
        The axis along which ``p`` and ``q`` are distributions.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative; 0 for equal rows; inf where some p > 0 = q. Outcomes with p = 0 count
        0. A float for two 1-D inputs; otherwise an array, float32 if no input is
        wider, else float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector; the message names the argument and the row.

    See Also
    --------
    kl_contributions : What each outcome adds.
    jensen_shannon_divergence : A symmetric, bounded relative.

    Notes
    -----
    The relative error is at most 1e-13 for float64 (2e-6 for float32), also for rows that
    agree to 12 digits, for which summing ``p * log(p / q)`` keeps none.

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On Information and Sufficiency. Annals of
    Mathematical Statistics 22(1), 79-86.

    Examples
    --------
    >>> from sklkl.divergences import kl_divergence
    >>> fair, biased = [0.5, 0.5], [0.9, 0.1]
    >>> round(kl_divergence(fair, biased, base=2), 3)
    0.737
    >>> round(kl_divergence(biased, fair, base=2), 3)
    0.531
    """
    return by_row(kl_kernel, {"p": p, "q": q}, axis=axis, base=base)


def jensen_shannon_divergence(p, q, *, weight=0.5, axis=-1, base=None):
    r"""Compute the Jensen-Shannon divergence of each pair of distributions.

    .. math::
        \mathrm{JS}_w(P, Q) = w D(P \| M) + (1 - w) D(Q \| M), \quad M = w P + (1 - w) Q

    Parameters
    ----------
    p, q : array-like of shape (..., n_outcomes)
        Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
        within 3.5e-4 and is normalised exactly.
    weight : float, default=0.5
        Weight w of ``p`` in the mixture, between 0 and 1. Symmetric in ``p`` and ``q`` at
        0.5.
    axis : int, default=-1
        The axis along which ``p`` and ``q`` are distributions.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Between 0 (equal rows) and the entropy of (w, 1 - w): log(2) nats or 1 bit at
        w = 0.5, reached by rows without a common outcome. It is always finite. A float for
        two 1-D inputs; otherwise an array, float32 if both inputs are float32, else
        float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector (the message names the argument and the row)
        or ``weight`` is outside [0, 1].

    See Also
    --------
    kl_divergence : The divergence that it symmetrises.

    Notes
    -----
    ``scipy.spatial.distance.jensenshannon`` returns the Jensen-Shannon *distance*, the
    square root of this.

    References
    ----------
    Lin, J. (1991). Divergence Measures Based on the Shannon Entropy. IEEE Transactions on
    Information Theory 37(1), 145-151.

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_divergence
    >>> jensen_shannon_divergence([1, 0], [0, 1], base=2)
    1.0
    """
    if not isinstance(weight, Real) or not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight must be between 0 and 1; got {weight!r}.")
    kernel = partial(jensen_shannon_kernel, weight=float(weight))
    return by_row(kernel, {"p": p, "q": q}, axis=axis, base=base)


def kl_contributions(p, q, *, axis=-1, base=None):
    r"""Compute what each outcome adds to the Kullback-Leibler divergence.

    .. math:: c_j = p_j \log \frac{p_j}{q_j}, \quad \sum_j c_j = D(P \| Q)

    Parameters
    ----------
    p, q : array-like of shape (..., n_outcomes)
        Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
        within 3.5e-4 and is normalised exactly.
    axis : int, default=-1
        The axis along which ``p`` and ``q`` are distributions.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    contributions : ndarray of shape (..., n_outcomes)
        Signed: negative where q > p, 0 where p = 0, inf where p > 0 = q. The broadcast
        shape of ``p`` and ``q``; float32 if none is wider, else float64.

    Raises
    ------
    ValueError
        If a row is not a probability vector; the message names the argument and the row.

    See Also
    --------
    kl_divergence : The sum over outcomes, itself accurate where this sum cancels.

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On Information and Sufficiency. Annals of
    Mathematical Statistics 22(1), 79-86.

    Examples
    --------
    >>> from sklkl.divergences import kl_contributions
    >>> kl_contributions([0.5, 0.5], [0.9, 0.1], base=2).round(3)
    array([-0.424,  1.161])
    """
    scale = nats_to(base)
    arrays = {"p": p, "q": q}
    rows, shape = as_rows(arrays, axis)
    p_rows, q_rows = rows
    out = np.empty(p_rows.shape, p_rows.dtype)
    _rows.contribution_rows(p_rows, q_rows, scale, SUM_TOLERANCE, out, n_threads_for(out.size))
    bad = np.isnan(out[:, 0])
    if bad.any():
        raise_bad_row(arrays, rows, shape, int(np.argmax(bad)), axis)
    return np.moveaxis(out.reshape(*shape, out.shape[1]), -1, axis)
