"""Divergences and entropies estimated from counts."""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows, nats_to, refuse_bad_rows, row_of
from sklkl._core.names import label_at, with_all_levels
from sklkl._core.parameters import check, one_of
from sklkl._core.typing import (
    CountsEstimator,
    EntropyEstimator,
    RowValues,
    SecondOrderEstimator,
)
from sklkl.divergences._divergences import entropy, jensen_shannon_divergence, kl_divergence

ESTIMATOR = one_of(get_args(CountsEstimator))
ENTROPY_ESTIMATOR = one_of(get_args(EntropyEstimator))
SECOND_ORDER = one_of(get_args(SecondOrderEstimator))


def kl_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike | None = None,
    *,
    q: ArrayLike | None = None,
    estimator: CountsEstimator = "zhang-grabchak",
    base: float | None = None,
) -> RowValues:
    r"""Estimate the Kullback-Leibler divergence from counts of outcomes.

    With :math:`X_j` the counts of n samples of P and :math:`\hat p_j = X_j / n`, and the same
    of Q, :math:`Y_j` of m samples and :math:`\hat q_j = Y_j / m`:

    .. math::
        \begin{align*}
        \hat D_{\mathrm{plugin}} &= \sum_j \hat p_j \log \frac{\hat p_j}{\hat q_j} \\
        \hat D_{\mathrm{MM}} &= \hat D_{\mathrm{plugin}}
        - \frac{\#\{j : X_j > 0\} - 1}{2 n}
        - \sum_j \hat p_j \frac{1 - \hat q_j}{2 m \hat q_j} \\
        \hat D_{\mathrm{ZG}} &= \sum_j \hat p_j \bigl[
        \psi(m + 1) - \psi(Y_j + 1) - \psi(n) + \psi(X_j) \bigr]
        \end{align*}

    over outcomes with :math:`X_j > 0`, where :math:`\psi` is the digamma function. If Q is
    known, :math:`\hat q_j` is :math:`q_j`, the last sum of the second falls away, and
    :math:`-\log q_j` stands for the first two terms of the third.

    Parameters
    ----------
    p_counts : array-like of shape (..., n_outcomes)
        How often each outcome was seen among samples of P: whole numbers, of positive sum in
        each row. The leading axes broadcast. Series, as of ``value_counts``, are matched by
        the names of their outcomes, of which those that one of them lacks were never seen
        there; data frames by the names of outcomes and rows.
    q_counts : array-like of shape (..., n_outcomes), default=None
        The same for samples of Q, independent of those of P; their number may differ.
    q : array-like of shape (..., n_outcomes), default=None
        Q itself, if it is known: probability rows. Give either this or ``q_counts``.
    estimator : {"plugin", "miller-madow", "zhang-grabchak"}, default="zhang-grabchak"
        "plugin" is the divergence of the observed frequencies: too large by about
        (n_outcomes - 1) / 2 (1 / n + 1 / m) nats for near distributions, and infinite where an
        outcome of P was never seen among samples of Q. "miller-madow" takes off its bias of
        order 1/n and 1/m, and is infinite where it is. "zhang-grabchak" has a bias that
        decays exponentially in n and m, and is finite for any counts of Q; it is too small
        where outcomes of P are so rare in Q that its samples may lack them.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    estimate : float or ndarray of shape (...)
        A float for 1-D inputs; otherwise an array of float64. Estimates other than "plugin"
        may be negative, as they must to be right on average where P is near Q; they are not
        clipped. Where the known ``q`` is 0 and the count of P is not, all are inf.

    Raises
    ------
    ValueError
        If not exactly one of ``q_counts`` and ``q`` is given, if a count is not a whole
        number >= 0 or a row has none, if a row of ``q`` is not a probability vector (the
        message names the argument and the row), if shapes or names do not match, or if there
        is no such estimator.

    See Also
    --------
    kl_divergence : The exact value where both distributions are known.
    sampled_kl : An estimate where samples come with probabilities instead.

    Notes
    -----
    With P = (0.7, 0.2, 0.1) and Q uniform and known, a divergence of 0.297 nats, the mean
    estimates from 3, 7 and 20 samples are 0.65, 0.46 and 0.35 by "plugin", 0.53, 0.37 and 0.31
    by "miller-madow", 0.50, 0.36 and 0.30 by "zhang-grabchak". A single sample tells nothing.

    The correction of "miller-madow" is, for the entropy of P, the one of Miller [1]_, and for
    :math:`-\log \hat q_j` the second-order term of its Taylor series, half the relative
    variance of :math:`\hat q_j`. "zhang-grabchak" is the estimator of [2]_, whose double
    series are differences of harmonic numbers.

    References
    ----------
    .. [1] Miller, G. A. (1955). Note on the Bias of Information Estimates. In: Information
       Theory in Psychology, 95-100. Free Press.

    .. [2] Zhang, Z. and Grabchak, M. (2014). Nonparametric Estimation of Küllback-Leibler
       Divergence. Neural Computation 26(11), 2570-2593.

    Examples
    --------
    >>> from sklkl.divergences import kl_from_counts
    >>> round(kl_from_counts([7, 2, 1], [4, 6, 0]), 3)
    0.067
    >>> kl_from_counts([7, 2, 1], [4, 6, 0], estimator="plugin")
    inf
    >>> round(kl_from_counts([7, 2, 1], q=[0.5, 0.3, 0.2], base=2), 3)
    -0.039
    """
    unit = nats_to(base)
    check("estimator", estimator, ESTIMATOR)
    if (q_counts is None) == (q is None):
        raise ValueError(
            "Pass either q_counts, counts of samples of Q, or q=, its known probabilities; "
            f"got {'neither' if q is None else 'both'}."
        )
    arrays = pair_of(p_counts, q_counts, q)
    rows, shape = as_rows(arrays)
    x, y = (row.astype(np.float64, copy=False) for row in rows)
    n = totals(arrays, "p_counts", x, shape)
    p = x / n
    if q_counts is None:
        refuse_bad_rows(q, "q")
        q = np.maximum(y, 0)
        q /= q.sum(axis=1, keepdims=True)
    else:
        hint = " (Known probabilities of Q are passed as q=.)"
        m = totals(arrays, "q_counts", y, shape, hint)
        q = y / m
    if estimator == "zhang-grabchak":
        from scipy.special import psi  # not for all who import divergences: it takes a while

        if q_counts is None:
            with np.errstate(divide="ignore"):  # inf is the answer
                cost = -np.log(q)
        else:
            cost = psi(m + 1) - psi(y + 1)
        seen = x > 0
        terms = cost - (psi(n) - psi(np.where(seen, x, 1)))
        nats = np.multiply(p, terms, where=seen, out=np.zeros(x.shape)).sum(axis=1)
    else:
        nats = kl_divergence(p, q)
        if estimator == "miller-madow":
            nats -= ((x > 0).sum(axis=1) - 1) / (2 * n[:, 0])
            if q_counts is not None:
                ratio = np.divide(p, q, where=q > 0, out=np.zeros(x.shape))
                nats -= (ratio * (1 - q)).sum(axis=1) / (2 * m[:, 0])
    result = nats * unit
    return result.reshape(shape) if shape else float(result[0])


def entropy_from_counts(
    counts: ArrayLike,
    *,
    estimator: EntropyEstimator = "grassberger",
    base: float | None = None,
) -> RowValues:
    r"""Estimate the Shannon entropy of a distribution from counts of outcomes.

    With :math:`X_j` the counts of n samples and :math:`\hat p_j = X_j / n`:

    .. math::
        \begin{align*}
        \hat H_{\mathrm{plugin}} &= -\sum_j \hat p_j \log \hat p_j \\
        \hat H_{\mathrm{MM}} &= \hat H_{\mathrm{plugin}} + \frac{\#\{j : X_j > 0\} - 1}{2 n} \\
        \hat H_{\mathrm{G}} &= \log n - \sum_j \hat p_j \Bigl[ \psi(X_j)
        + \frac{(-1)^{X_j}}{2} \Bigl( \psi\bigl(\tfrac{X_j + 1}{2}\bigr)
        - \psi\bigl(\tfrac{X_j}{2}\bigr) \Bigr) \Bigr]
        \end{align*}

    where :math:`\psi` is the digamma function, over outcomes with :math:`X_j > 0`.

    Parameters
    ----------
    counts : array-like of shape (..., n_outcomes)
        How often each outcome was seen: whole numbers, of positive sum in each row.
    estimator : {"plugin", "miller-madow", "grassberger"}, default="grassberger"
        "plugin" is the entropy of the frequencies, too small by about (n_outcomes - 1) / 2n
        nats. "miller-madow" [1]_ adds that for the outcomes that were seen. "grassberger" [2]_
        allows for outcomes that were not, too.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    estimate : float or ndarray of shape (...)
        A float for a 1-D input; otherwise an array of float64. Estimates other than "plugin"
        may exceed the logarithm of the number of outcomes; they are not clipped.

    Raises
    ------
    ValueError
        If a count is not a whole number >= 0, if a row has none, or if there is no such
        estimator.

    See Also
    --------
    entropy_interval_from_counts : With a confidence interval.
    entropy : The exact value where the distribution is known.

    Notes
    -----
    Where there are many more outcomes than samples no estimate is good. Mean errors over
    Dirichlet distributions of concentration 1, in nats, "plugin", "miller-madow" and
    "grassberger": of 10 outcomes and 50 samples -0.095, -0.020, 0.004; of 100 outcomes and 50
    samples -0.80, -0.47, -0.18; of 100 outcomes and 300 samples -0.17, -0.05, -0.01.

    References
    ----------
    .. [1] Miller, G. A. (1955). Note on the Bias of Information Estimates. In: Information
       Theory in Psychology, 95-100. Free Press.

    .. [2] Grassberger, P. (2003). Entropy Estimates from Insufficient Samplings.
       arXiv:physics/0307138.

    Examples
    --------
    >>> from sklkl.divergences import entropy_from_counts
    >>> round(entropy_from_counts([4, 4, 2, 2], estimator="plugin", base=2), 3)
    1.918
    >>> round(entropy_from_counts([4, 4, 2, 2], base=2), 3)
    1.891
    """
    unit = nats_to(base)
    check("estimator", estimator, ENTROPY_ESTIMATOR)
    arrays = {"counts": counts}
    (x,), shape = as_rows(arrays)
    x = x.astype(np.float64, copy=False)
    n = totals(arrays, "counts", x, shape)
    if estimator == "grassberger":
        from scipy.special import psi  # as above

        seen = np.maximum(x, 1.0)
        sign = np.where(seen % 2, -0.5, 0.5)
        logs = psi(seen) + sign * (psi((seen + 1) / 2) - psi(seen / 2))
        nats = np.log(n[:, 0]) - (x / n * logs).sum(axis=1)
    else:
        nats = entropy(x / n)
        if estimator == "miller-madow":
            nats += ((x > 0).sum(axis=1) - 1) / 2 / n[:, 0]
    result = nats * unit
    return result.reshape(shape) if shape else float(result[0])


def jensen_shannon_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike,
    *,
    estimator: SecondOrderEstimator = "miller-madow",
    base: float | None = None,
) -> RowValues:
    r"""Estimate the Jensen-Shannon divergence of two distributions from counts of outcomes.

    With :math:`\hat p` and :math:`\hat q` the frequencies in n and m samples:

    .. math::
        \hat J_{\mathrm{MM}} = \hat J_{\mathrm{plugin}}
        - \sum_j \frac{1}{4 (\hat p_j + \hat q_j)} \Bigl[
        \frac{(1 - \hat p_j) \hat q_j}{n} + \frac{(1 - \hat q_j) \hat p_j}{m} \Bigr]

    over outcomes that both samples have. It is finite whatever one sample lacks.

    Parameters
    ----------
    p_counts, q_counts : array-like of shape (..., n_outcomes)
        How often each outcome was seen among samples of P, and of Q: whole numbers, of
        positive sum in each row. The leading axes broadcast. Series, as of
        ``value_counts``, are matched by the names of their outcomes, of which those that one
        of them lacks were never seen there; data frames by the names of outcomes and rows.
    estimator : {"plugin", "miller-madow"}, default="miller-madow"
        "plugin" is the divergence of the frequencies, too large by about
        (n_outcomes - 1) / 8 (1 / n + 1 / m) nats for near distributions. "miller-madow" takes
        off its bias of order 1/n and 1/m, as that of ``kl_from_counts``.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    estimate : float or ndarray of shape (...)
        A float for 1-D inputs; otherwise an array of float64. It may be negative, as it must
        to be right on average where P is near Q.

    Raises
    ------
    ValueError
        If a count is not a whole number >= 0, if a row has none, if shapes or names do not
        match, or if there is no such estimator.

    See Also
    --------
    jensen_shannon_interval_from_counts : With a confidence interval.
    jensen_shannon_divergence : The exact value where both distributions are known.

    Notes
    -----
    The correction is the second-order term of a Taylor series in the frequencies, whose
    variances are those of multinomial ones, as Miller's [1]_ of the entropy. Terms of outcomes
    that one sample lacks have no such series, and get none.

    References
    ----------
    .. [1] Miller, G. A. (1955). Note on the Bias of Information Estimates. In: Information
       Theory in Psychology, 95-100. Free Press.

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_from_counts
    >>> round(jensen_shannon_from_counts([70, 20, 10], [40, 60, 0], base=2), 4)
    0.1511
    >>> round(jensen_shannon_from_counts([7, 2, 1], [6, 2, 2], base=2), 4)
    -0.0578
    """
    unit = nats_to(base)
    check("estimator", estimator, SECOND_ORDER)
    arrays = pair_of(p_counts, q_counts)
    rows, shape = as_rows(arrays)
    x, y = (row.astype(np.float64, copy=False) for row in rows)
    n, m = totals(arrays, "p_counts", x, shape), totals(arrays, "q_counts", y, shape)
    p, q = x / n, y / m
    nats = jensen_shannon_divergence(p, q)
    if estimator == "miller-madow":
        both = (x > 0) & (y > 0)
        bias = (1 - p) * q / n + (1 - q) * p / m
        nats -= np.divide(bias, 4 * (p + q), where=both, out=np.zeros(x.shape)).sum(axis=1)
    result = nats * unit
    return result.reshape(shape) if shape else float(result[0])


def pair_of(p_counts, q_counts, q=None):
    """Return what is compared by the name of the argument: two counts, or counts and ``q``."""
    if q_counts is None and q is not None:
        return {"p_counts": p_counts, "q": q}
    return with_all_levels({"p_counts": p_counts, "q_counts": q_counts})


def totals(arrays, name, counts, shape, hint=""):
    """Return the sum of each row of ``counts``, with a last axis; refuse what is no count."""
    whole = _whole(counts)
    if not whole.all():
        i = int(np.argmin(whole.all(axis=1)))
        where, row = row_of(arrays, name, shape, i)
        j = int(np.argmin(_whole(row)))
        raise ValueError(
            f"{where} has {row[j]:.6g} of outcome {label_at(arrays[name], j)}; pass how often "
            f"each outcome was seen, whole numbers >= 0.{hint}"
        )
    with np.errstate(over="ignore"):
        totals = counts.sum(axis=1, keepdims=True)
    bad = (totals == 0) | (totals == np.inf)
    if bad.any():
        i = int(np.argmax(bad))
        where, _ = row_of(arrays, name, shape, i)
        if totals[i] == 0:
            raise ValueError(
                f"{where} has no counts: they sum to 0. Drop such rows, there is nothing to "
                "estimate from."
            )
        raise ValueError(f"{where} has counts whose sum is too large for a float.")
    return totals


def _whole(counts):
    return (counts >= 0) & (counts == np.floor(counts)) & (counts < np.inf)
