"""Divergences of every pair of rows of two matrices."""

from math import inf

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows, describe_bad_row, nats_to, raise_bad_row
from sklkl._core.docs import documented_with
from sklkl._core.names import names_of, orders
from sklkl._core.typing import DivergenceName, DivergenceParams, Floats
from sklkl._kernels._threads import n_threads_for
from sklkl.divergences._divergences import KL, is_infinite
from sklkl.divergences._registry import LISTS, find


@documented_with(**LISTS)
def pairwise_divergences(
    P: ArrayLike,
    Q: ArrayLike | None = None,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    base: float | None = None,
) -> Floats:
    r"""Compute the divergences of every row of one matrix from every row of another.

    Parameters
    ----------
    P : array-like of shape (n_rows, n_outcomes)
        Distributions, one per row. Each must sum to 1 within 3.5e-4 and is normalised
        exactly.
    Q : array-like of shape (m_rows, n_outcomes), default=None
        Other distributions; ``P`` itself if None. The columns of two data frames are matched
        by name.
    divergence : str, default="kl"
        The name of the divergence, or of its function, as "kl_divergence". One of
        %(divergences)s.
    divergence_params : dict, default=None
        Parameters of the divergence: ``{"order": 2}`` of "renyi", ``{"alpha": 0.5}`` of
        "alpha", which need them, ``{"weight": 0.3}`` of "jensen_shannon".
    base : float, default=None
        Unit of the result: None for nats, 2 for bits. For divergences with a unit only.

    Returns
    -------
    divergences : ndarray of shape (n_rows, m_rows)
        The divergence of ``P[i]`` and ``Q[j]`` in row i and column j; float32 if no input is
        wider, else float64. Without Q it is symmetric to the last bit where the divergence is
        symmetric.

    Raises
    ------
    ValueError
        If there is no such divergence or parameter, if a row is not a probability vector (the
        message names the argument and the row), or if the columns of P and Q have other names.

    See Also
    --------
    kl_divergence : Row by row, with broadcasting.
    sklearn.metrics.pairwise_distances : The same for distances of scikit-learn and SciPy.

    Examples
    --------
    >>> from sklkl.divergences import pairwise_divergences
    >>> P = [[0.5, 0.5], [0.9, 0.1]]
    >>> pairwise_divergences(P, divergence="kl", base=2).round(3)
    array([[0.   , 0.737],
           [0.531, 0.   ]])
    """
    divergence = find(divergence)
    params = divergence.check(divergence_params, base)
    largest = is_infinite(params.get("order"))
    kernel = KL if largest else divergence.kernel(**params)
    unit = nats_to(base)
    arrays = {"P": P} if Q is None else {"P": P, "Q": Q}
    p, q = _rows(arrays)
    n_threads = n_threads_for(len(p) * q.size)
    out, bad = kernel.pairwise(p, None if Q is None else q, unit, n_threads)
    if bad:
        i, j = np.argwhere(np.isnan(out))[0].tolist()
        if describe_bad_row(p[i]) is not None:
            raise_bad_row({"P": P}, p.shape[:1], i)
        name = next(reversed(arrays))
        raise_bad_row({name: arrays[name]}, q.shape[:1], j)
    if largest:
        for j, row in enumerate(q):
            out[:, j] = divergence(p, row, order=inf, base=base)
    return out


def _rows(arrays):
    """Return the rows of P and Q, C-contiguous, of one dtype and with matching columns."""
    rows = {}
    for name, x in arrays.items():
        (rows[name],), shape = as_rows({name: x})
        if len(shape) != 1:
            raise ValueError(
                f"{name} must be a matrix with a distribution per row; it has shape "
                f"{np.shape(x)}."
            )
    columns = orders({name: (names_of(x) or [None])[-1] for name, x in arrays.items()})
    rows = {name: x[:, columns[name]] for name, x in rows.items()}
    p, q = rows["P"], rows.get("Q", rows["P"])
    if p.shape[1] != q.shape[1]:
        raise ValueError(
            "The arguments differ in their number of outcomes: "
            f"P has {p.shape[1]}, Q has {q.shape[1]}."
        )
    dtype = np.promote_types(p.dtype, q.dtype)
    return tuple(np.ascontiguousarray(x, dtype) for x in (p, q))
