"""KL divergence of softmaxes, from their logits."""

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows, nats_to, row_of
from sklkl._core.docs import documented
from sklkl._core.parameters import check, number
from sklkl._core.typing import RowValues
from sklkl._kernels._rows import logits_rows
from sklkl._kernels._threads import n_threads_for

TEMPERATURE = number("a positive number, from 1e-300 to 1e300", lambda v: 1e-300 <= v <= 1e300)
# Logits and temperature in another unit: the same divergence.
SHRINK = 2.0**-16


@documented
def kl_divergence_from_logits(
    p_logits: ArrayLike,
    q_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> RowValues:
    r"""Compute the Kullback-Leibler divergence of the softmaxes of each pair of rows.

    .. math::
        D(P \| Q), \quad p_j \propto e^{x_j / T}, \quad q_j \propto e^{y_j / T}

    No probability is stored: rows are read two or three times, and memory does not grow
    with the input. The result is exact for huge logits and for near-equal ones.

    Parameters
    ----------
    p_logits, q_logits : array-like of shape (..., n_outcomes)
        Logits x and y along ``axis``: logarithms of probabilities, up to a constant per
        row. -inf stands for the probability 0. The other axes broadcast. Data frames and
        Series are matched by the names of their outcomes and rows.
    temperature : float, default=1.0
        T, positive: 1e-300 to 1e300.
    axis : int, default=-1
        The axis along which the softmax is taken.
    %(base)s

    Returns
    -------
    divergence : float or ndarray of shape (...)
        Non-negative; inf where a logit of ``q_logits`` alone is -inf. %(array)s

    Raises
    ------
    ValueError
        If a row holds NaN, +inf, or nothing but -inf (the message names the argument and
        the row), names differ, or ``temperature`` is not positive.

    See Also
    --------
    kl_divergence : The same for probabilities.

    References
    ----------
    Hinton, G., Vinyals, O. and Dean, J. (2015). Distilling the Knowledge in a Neural
    Network. arXiv:1503.02531 (temperature).

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import kl_divergence_from_logits
    >>> p_logits, q_logits = np.log([0.5, 0.5]), np.log([0.9, 0.1]) + 1e4
    >>> round(kl_divergence_from_logits(p_logits, q_logits, base=2), 3)
    0.737
    """
    unit = nats_to(base)
    check("temperature", temperature, TEMPERATURE)
    arrays = {"p_logits": p_logits, "q_logits": q_logits}
    rows, shape = as_rows(arrays, axis)
    out, bad = logits_rows(*rows, float(temperature), unit, n_threads_for(rows[0].size))
    if bad:
        _raise_bad_logits(arrays, shape, int(np.argmax(np.isnan(out))), axis)
    huge = np.isinf(out)
    if rows[0].dtype == np.float64 and huge.any():  # of -inf, or of differences that overflow
        rows = [x[huge] * SHRINK for x in rows]
        out[huge] = logits_rows(*rows, float(temperature) * SHRINK, unit, 1)[0]
    return out.reshape(shape) if shape else float(out[0])


def _raise_bad_logits(arrays, shape, i, axis):
    for name in arrays:
        where, row = row_of(arrays, name, shape, i, axis)
        if np.isnan(row).any():
            raise ValueError(f"{where} contains NaN; drop or fill such rows.")
        if np.isposinf(row).any():
            raise ValueError(f"{where} contains inf; logits are finite or -inf.")
        if np.isneginf(row).all():
            raise ValueError(f"{where} is -inf everywhere: no outcome has a probability.")
    raise ValueError(f"Row {i} has no finite divergence.")
