"""The population stability index, of counts or of samples in bins."""

from collections import Counter
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.arrays import as_array, as_floating, is_missing
from sklkl._core.distributions import nats_to
from sklkl._core.names import label_at, names_of, orders, refuse_apart, with_all_levels
from sklkl._core.parameters import NON_NEGATIVE, Rule, check
from sklkl.divergences._counts import totals
from sklkl.divergences._divergences import jeffreys_divergence

BINS = Rule("an integer from 2 to 1e6, or edges", Integral, lambda v: 2 <= v <= 1e6)


def population_stability_index(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    bins: int | ArrayLike | None = None,
    pseudo_count: float = 0.0,
    base: float | None = None,
) -> float:
    r"""Compute the population stability index of two months, or other two populations.

    .. math::
        \mathrm{PSI} = \sum_j (p_j - q_j) \log \frac{p_j}{q_j}

    with p and q the shares of the levels: the Jeffreys divergence of what was counted.

    Parameters
    ----------
    reference, current : array-like of shape (n_levels,) or (n_samples,), or Series
        Without ``bins`` how often each level was seen; two Series, as of ``value_counts``, are
        matched by the names of their levels, of which those that one of them lacks were never
        seen there; the default names 0, 1, ... are none. Strings, booleans and categoricals
        are samples, whose levels are counted. With ``bins`` numbers, a sample each. Samples
        that are missing are a level.
    bins : int or array-like of edges, default=None
        The number of bins between quantiles of ``reference``, fewer if these coincide, with
        edges halfway between a quantile and the next value; or the edges between bins. A bin
        holds its right edge; the first and the last have no end.
    pseudo_count : float, default=0.0
        What is added to the count of every level, so that none is 0. Levels that neither of
        the two has seen are left out before.
    base : float, default=None
        Unit of the result: None for nats, 2 for bits.

    Returns
    -------
    index : float
        Non-negative, 0 for equal shares. inf if a level was seen in one of them alone, and
        ``pseudo_count`` is 0.

    Raises
    ------
    ValueError
        If a count is no whole number >= 0, one of the two holds nothing, or categories where
        the other has numbers, they have no level in common, lengths of counts without names
        differ, names of levels may be none, ``reference`` has a single value to make bins of,
        or ``bins`` or ``pseudo_count`` is out of range.

    See Also
    --------
    jeffreys_divergence : The same of probabilities.
    kl_interval_from_counts : How much of a divergence may be chance.

    Notes
    -----
    Without any drift the index is not 0 but, of k levels and samples of sizes n and m, about
    :math:`(k - 1)(1/n + 1/m)`, and as a multiple of :math:`1/n + 1/m` distributed as
    :math:`\chi^2_{k-1}`: of 10 bins and twice 200 samples it exceeds 0.1, the customary
    threshold, in 35 of 100 comparisons. With a level that was seen once in one month, each
    pseudo-count gives another index; 0.5 is customary.

    References
    ----------
    Yurdakul, B. and Naranjo, J. (2020). Statistical Properties of the Population Stability
    Index. Journal of Risk Model Validation 14(4).

    Examples
    --------
    >>> import pandas as pd
    >>> from sklkl.divergences import population_stability_index
    >>> january = pd.Series({"card": 500, "cash": 400, "voucher": 100})
    >>> february = pd.Series({"cash": 300, "card": 650, "phone": 50})
    >>> population_stability_index(january, february)
    inf
    >>> round(population_stability_index(january, february, pseudo_count=0.5), 3)
    0.827
    >>> population_stability_index(["card", "cash", "card"], ["cash", "card", "card"])
    0.0
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.normal(size=5000), rng.normal(0.5, size=5000)
    >>> round(population_stability_index(old, new, bins=10), 2)
    0.27
    """
    unit = nats_to(base)
    check("pseudo_count", pseudo_count, NON_NEGATIVE)
    data = {"reference": reference, "current": current}
    if bins is None:
        p, q = _levels(data)
    else:
        p, q = _binned(data, bins)
    seen = (p > 0) | (q > 0)
    p, q = p[seen] + pseudo_count, q[seen] + pseudo_count
    return float(jeffreys_divergence(p / p.sum(), q / q.sum()) * unit)


def _levels(data):
    """Return the counts of the same levels of both, matched by name if they have names."""
    tallies = {name: _tally(x, name) for name, x in data.items()}
    p, q = tallies.values()
    if p is not None and q is not None:
        refuse_apart({name: list(own) for name, own in tallies.items()}, "levels")
        levels = dict.fromkeys([*p, *q])
        return (np.array([own.get(v, 0) for v in levels], np.float64) for own in (p, q))
    if not (p is None and q is None):
        samples, other = ("reference", "current") if q is None else ("current", "reference")
        raise ValueError(
            f"{samples} holds samples of categories, and {other} numbers; pass samples of "
            f"both, or how often each level was seen, as {samples}.value_counts()."
        )
    data = with_all_levels(data, "levels")
    counts = {name: as_floating(x, name).astype(np.float64) for name, x in data.items()}
    for name, own in counts.items():
        if own.ndim != 1:
            raise ValueError(f"{name} must hold a count per level; got shape {own.shape}.")
        bad = ~((own >= 0) & (own == np.floor(own)) & (own < np.inf))
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(
                f"{name}[{label_at(data[name], i)}] is {own[i]:.6g}; pass how often each "
                "level was seen, whole numbers >= 0, or samples with bins=."
            )
        totals(data, name, own[np.newaxis], ())
    # Refuses names that repeat, and default ones beside the same numbers as names.
    orders({name: (names_of(x) or [None])[0] for name, x in data.items()}, "levels")
    p, q = counts.values()
    if len(p) != len(q):
        raise ValueError(
            f"reference has {len(p)} levels and current {len(q)}; pass Series whose index "
            "names the levels, as value_counts() does, or bins= if these are samples."
        )
    return p, q


def _tally(x, name):
    """Return how often each category occurs, None for missing ones; None if x has numbers."""
    values = as_array(x, name)
    categories = hasattr(getattr(x, "dtype", None), "categories")
    words = values.dtype.kind in "USb"
    if values.dtype.kind == "O":
        words = any(isinstance(v, str | bytes | bool | np.bool_) for v in values.flat)
    missing = values.size > 0 and all(map(is_missing, values.flat))
    if not (categories or words or missing):
        return None
    if values.ndim != 1 or not values.size:
        raise ValueError(f"{name} must hold a category per sample; got shape {values.shape}.")
    try:
        return Counter(None if is_missing(v) else v for v in values.tolist())
    except TypeError as error:
        raise TypeError(f"{name} must hold categories: {error}.") from None


def _binned(data, bins):
    """Return how many numbers of each lie in bins, and how many are missing."""
    samples = {}
    for name, x in data.items():
        own = as_floating(x, name).astype(np.float64)
        if own.ndim != 1 or not own.size:
            raise ValueError(f"{name} must hold a number per sample; got shape {own.shape}.")
        samples[name] = own
    known = samples["reference"][~np.isnan(samples["reference"])]
    if isinstance(bins, Integral | str):
        check("bins", bins, BINS)
        if not known.size:
            raise ValueError("reference holds nothing but missing values.")
        levels = np.arange(1, bins) / bins
        edges = np.unique(np.quantile(known, levels, method="inverted_cdf"))
        values = np.unique(known)
        if len(values) == 1:
            raise ValueError(
                f"reference holds the single value {values[0]:.6g}, of which there are no "
                "bins; pass edges, or counts of levels."
            )
        edges = edges[edges < values[-1]]  # beyond the largest there would be none
        edges = edges if edges.size else values[-2:-1]  # nearly all are the largest
        # Halfway to the next value: an edge at a value itself would part it from its rounding.
        at, halves = np.searchsorted(values, edges), np.nan_to_num(values) / 2
        halfway = halves[at] + halves[at + 1]
        edges = np.where(halfway < values[at + 1], halfway, edges)
    else:
        edges = as_floating(as_array(bins, "bins"), "bins").astype(np.float64)
        wrong = edges.ndim != 1 or not edges.size or np.isnan(edges).any()
        if wrong or not (np.diff(edges) > 0).all():
            raise ValueError(f"bins must be {BINS.text}, increasing; got {bins!r}.")
    n = len(edges) + 1
    return [
        np.bincount(np.where(np.isnan(x), n, np.searchsorted(edges, x)), minlength=n + 1)
        for x in samples.values()
    ]
