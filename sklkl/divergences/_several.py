"""The Jensen-Shannon divergence of several distributions."""

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.arrays import as_floating
from sklkl._core.distributions import check_rows, nats_to
from sklkl._core.docs import documented
from sklkl._kernels._arrays import Pairs
from sklkl._kernels._rows import kl_terms

LEAST = 1e-300  # what is below counts as 0


@documented
def jensen_shannon_of_several(
    P: ArrayLike, *, sample_weight: ArrayLike | None = None, base: float | None = None
) -> float:
    r"""Compute the Jensen-Shannon divergence of several distributions.

    .. math::
        \mathrm{JS}_w(P_1, \dots, P_n) = \sum_i w_i D(P_i \| M), \quad M = \sum_i w_i P_i

    It tells how much a distribution tells of where it is from: the mutual information of the
    index i, drawn with probability :math:`w_i`, and an outcome. Of voters' or models'
    probabilities it is their disagreement, the entropy of the mean less the mean entropy.

    Parameters
    ----------
    P : array-like of shape (n_distributions, n_outcomes), or data frame
        A distribution per row, as for ``kl_divergence``.
    sample_weight : array-like of shape (n_distributions,), default=None
        The weights :math:`w_i`, non-negative; they are divided by their sum. Equal by default.
    %(base)s

    Returns
    -------
    divergence : float
        Between 0 (equal rows) and the entropy of the weights, at most the logarithm of the
        number of distributions, which rows without common outcomes reach.

    Raises
    ------
    ValueError
        If a row is not a probability vector (the message names it), or a weight is negative.

    See Also
    --------
    jensen_shannon_divergence : Of pairs of rows.
    pairwise_divergences : Of all pairs of rows.

    Notes
    -----
    Rows that nearly agree keep their digits, as in all divergences here: what the difference
    of two entropies would lose.

    References
    ----------
    Lin, J. (1991). Divergence Measures Based on the Shannon Entropy. IEEE Transactions on
    Information Theory 37(1), 145-151.

    Examples
    --------
    >>> from sklkl.divergences import jensen_shannon_of_several
    >>> round(jensen_shannon_of_several([[0.5, 0.5], [0.9, 0.1], [0.6, 0.4]], base=2), 3)
    0.105
    >>> round(jensen_shannon_of_several([[1, 0, 0], [0, 1, 0], [0, 0, 1]], base=3), 3)
    1.0
    """
    from sklkl._core.samples import check_weights, match_rows  # divergences need NumPy alone

    unit = nats_to(base)
    rows = as_floating(P, "P").astype(np.float64)
    if rows.ndim != 2:
        raise ValueError(
            f"P must have shape (n_distributions, n_outcomes); its shape is {rows.shape}."
        )
    if not len(rows):
        raise ValueError("P holds no distribution; pass one at least.")
    rows = check_rows(rows, "P")
    match_rows(P=P, sample_weight=sample_weight)
    weight = check_weights(sample_weight, rows)
    weight = weight / weight.sum()
    # Differences from one row, exact to rounding, and so those from the mean.
    first = rows[np.argmax(weight)]
    pairs = Pairs(np, np.broadcast_to(first, rows.shape), rows)
    difference = -pairs.d
    # How the mean, and each row, differ from it.
    of_mean = weight @ difference
    mean, own = first + of_mean, first + difference
    difference = difference - of_mean
    seen = (own > LEAST) & (mean > LEAST)
    a, b = np.where(seen, own, 1.0), np.where(seen, mean, 1.0)
    terms = np.empty(rows.shape)
    kl_terms(a.ravel(), b.ravel(), np.where(seen, difference, 0.0).ravel(), terms.reshape(-1))
    terms = np.where(own > LEAST, terms, mean)
    value = weight @ terms.sum(axis=1) / first.sum()
    return float(max(value, 0.0) * unit)
