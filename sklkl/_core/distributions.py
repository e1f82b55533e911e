"""Rows that are distributions: from what a user passes to the kernels and back."""

from dataclasses import replace
from math import inf, log, prod
from numbers import Integral

import numpy as np

from sklkl._core.arrays import ROUNDING, SUM_TOLERANCE, as_floating
from sklkl._core.devices import common_place, namespace, place_of, slices, to_host
from sklkl._core.names import AS_IT_IS, names_of, orders, row_number
from sklkl._core.parameters import Rule, check, number
from sklkl._kernels import _arrays
from sklkl._kernels._rows import first_bad_row
from sklkl._kernels._threads import n_threads_for

LEAST_BASE = 1 + 2.0**-52  # above 1
BASE = replace(
    number("None (nats) or a number > 1 (2 for bits)", lambda v: LEAST_BASE <= v < inf),
    words=(None,),
)

AXIS = Rule("an integer", Integral)


def by_row(kernel, p, q, *, axis=-1, base=None, names=("p", "q")):
    """Run a ``RowKernel`` on broadcast rows; error messages call the arguments ``names``.

    ``q`` may be ``p`` itself, for a function of one distribution.
    """
    unit = nats_to(base)
    if type(axis) is not int:
        check("axis", axis, AXIS)
    out, bad = kernel.pair(p, q, unit) if axis == -1 else (None, True)
    if not bad:
        return out
    arrays = {names[0]: p} if q is p else dict(zip(names, (p, q), strict=True))
    if (place := common_place(**arrays)) is not None:
        return rows_elsewhere(
            lambda p, q: _arrays.rows(place.xp, kernel, p, q, unit),
            lambda p, q: kernel.rows(p, q, unit, n_threads_for(p.size))[0],
            arrays,
            place,
            axis,
        )
    if out is None:
        rows, shape = as_rows(arrays, axis)
        out, bad = kernel.rows(rows[0], rows[-1], unit, n_threads_for(rows[0].size))
    else:
        shape = p.shape[:-1]
    if bad:
        raise_bad_row(arrays, shape, int(np.argmax(np.isnan(out))), axis)
    return out.reshape(shape) if shape else float(out[0])


def nats_to(base):
    """Factor that converts nats to the unit of ``base``; None stands for nats."""
    if base is None:
        return 1.0
    check("base", base, BASE)
    return 1.0 / log(base)


def as_rows(arrays, axis=-1):
    """Broadcast one or two named arrays to two-dimensional rows of one dtype.

    Two arguments with names are put in the order of the first. Returns a list of arrays of
    shape (n_rows, n_outcomes), which may be read-only and strided, as a broadcast argument is
    not copied; and the leading shape, of the result of a row-wise function.
    """
    check("axis", axis, AXIS)
    moved = {name: _moved(value, name, axis) for name, value in arrays.items()}
    of_rows, of_outcomes = _orders(arrays, axis)
    for name, x in moved.items():
        if of_rows[name] is not AS_IT_IS:
            x = x[of_rows[name]]
        moved[name] = x if of_outcomes[name] is AS_IT_IS else x[..., of_outcomes[name]]
    *_, last = moved.values()
    first = next(iter(moved.values()))
    shape, k = _broadcast(moved, [x.shape for x in moved.values()]), last.shape[-1]
    dtype = np.promote_types(first.dtype, last.dtype)
    n = prod(shape)
    rows = []
    for x in moved.values():
        if x.shape != (*shape, k):
            x = np.broadcast_to(x, (*shape, k))
        rows.append(x.astype(dtype, copy=False).reshape(n, k))
    return rows, shape


def _broadcast(names, shapes):
    """Return the leading shape of one or two arguments, whose last axis has one length."""
    shape = shapes[-1][:-1]
    if shapes[0] == shapes[-1]:
        return shape
    if shapes[0][-1] != shapes[-1][-1]:
        detail = ", ".join(f"{n} has {s[-1]}" for n, s in zip(names, shapes, strict=True))
        raise ValueError(f"The arguments differ in their number of outcomes: {detail}.")
    try:
        return np.broadcast_shapes(shapes[0][:-1], shape)
    except ValueError:
        detail = " and ".join(f"{n} {s[:-1]}" for n, s in zip(names, shapes, strict=True))
        raise ValueError(f"The leading shapes do not broadcast: {detail}.") from None


def _moved(value, name, axis):
    """Return one argument as an array with the axis of outcomes last."""
    return _with_outcomes_last(as_floating(value, name), name, axis)


def _with_outcomes_last(x, name, axis):
    """Return an array, wherever it is, with the axis of outcomes last."""
    if x.ndim == 0:
        raise ValueError(f"{name} is a single number; pass a vector.")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis={axis} is out of range for {name} of shape {tuple(x.shape)}.")
    if axis % x.ndim != x.ndim - 1:
        place = place_of(x, name)
        x = (np if place is None else place.xp).moveaxis(x, axis, -1)
    if x.shape[-1] == 0:
        raise ValueError(f"{name} is empty: it has no outcomes along axis {axis}.")
    return x


def _orders(arrays, axis):
    """Return the order of the rows of each argument, and that of its outcomes."""
    names = {name: names_of(value) for name, value in arrays.items()}
    if not any(names.values()):
        return (dict.fromkeys(arrays, AS_IT_IS),) * 2
    outcomes = {name: own and own.pop(axis) for name, own in names.items()}
    rows = {name: own[0] if own else None for name, own in names.items()}
    return orders(rows, "rows"), orders(outcomes)


def rows_elsewhere(there, here, arrays, place, axis=-1):
    """Return what a function of two arrays of distributions gives for rows on a device.

    They are computed in float64 where there is one, in slices of rows; the result has the
    dtype of the rows and their leading shape, and a last axis if the function has one. It is a
    float where it is a single number. ``there`` returns results and whether they are known;
    rows of which they are not are brought ``here``, to the host.
    """
    xp = place.xp
    check("axis", axis, AXIS)
    moved = [_with_outcomes_last(place.floating(x, n), n, axis) for n, x in arrays.items()]
    first, last = moved[0], moved[-1]
    shape = _broadcast(arrays, [tuple(x.shape) for x in moved])
    dtype, k = xp.result_type(first.dtype, last.dtype), last.shape[-1]
    rows = [xp.reshape(xp.broadcast_to(x, (*shape, k)), (-1, k)) for x in moved]
    results = []
    for part in slices(prod(shape), k):
        p, q = (xp.astype(x[part, :], dtype) for x in (rows[0], rows[-1]))
        wide_p, wide_q = xp.astype(p, place.wide), xp.astype(q, place.wide)
        good = are_distributions(xp, wide_p) & are_distributions(xp, wide_q)
        if not xp.all(good):
            bad = part.start + int(xp.argmax(xp.astype(~good, xp.int8)))
            raise_bad_row(arrays, shape, bad, axis)
        result, known = there(wide_p, wide_q)
        result = xp.astype(result, dtype)
        if not xp.all(known):
            at = np.flatnonzero(~to_host(known))
            at_there = place.put(at)
            found = here(*(to_host(xp.take(x, at_there, axis=0)) for x in (p, q)))
            full = np.zeros(result.shape, found.dtype)
            full[at] = found
            known = xp.reshape(known, (-1, *[1] * (result.ndim - 1)))
            result = xp.where(known, result, place.put(full))
        results.append(result)
    out = results[0] if len(results) == 1 else xp.concat(results)
    if out.ndim == 1:
        return xp.reshape(out, shape) if shape else float(out[0])
    return xp.moveaxis(xp.reshape(out, (*shape, k)), -1, axis)


def are_distributions(xp, rows):
    """Return which rows of an array are probability vectors."""
    return _arrays.are_distributions(xp, rows, ROUNDING, SUM_TOLERANCE)


def describe_bad_row(row):
    """Say what keeps ``row`` from being a probability vector, or None."""
    if np.isnan(row).any():
        return "contains NaN; drop or fill such rows"
    if np.isinf(row).any():
        return "contains an infinite value; probabilities lie between 0 and 1"
    negative = row < -ROUNDING
    if negative.any():
        j = int(np.argmax(negative))
        return f"has the negative entry {row[j]:.6g} at position {j}; probabilities are >= 0"
    with np.errstate(over="ignore"):
        total = float(np.sum(np.maximum(row, 0), dtype=np.float64))
    if not abs(total - 1.0) <= SUM_TOLERANCE:
        return (
            f"sums to {total:.6g} instead of 1; pass probabilities, or divide the row by "
            "its sum if it holds counts or weights"
        )
    return None


def row_of(arrays, name, shape, i, axis=-1):
    """Return where row ``i`` of the broadcast rows stands in an argument, and the row.

    Both as the user passed them, whatever order ``as_rows`` put them in.
    """
    place = place_of(arrays[name], name)
    x = arrays[name] if place is None else place.floating(arrays[name], name)
    x = _moved(x, name, axis) if place is None else _with_outcomes_last(x, name, axis)
    index = np.unravel_index(i, shape) if shape else ()
    own = [
        int(j) if size > 1 else 0
        for j, size in zip(index[len(index) - x.ndim + 1 :], x.shape[:-1], strict=True)
    ]
    of_rows = _orders(arrays, axis)[0][name]
    if of_rows is not AS_IT_IS:
        own[0] = int(of_rows[own[0]])
    row = to_host(x[(*own, ...)])
    if own:
        own[0] = row_number(own[0])
    if axis % x.ndim != x.ndim - 1:
        own.insert(axis % x.ndim, ":")
    return f"{name}[{', '.join(map(str, own))}]" if own else name, row


def raise_bad_row(arrays, shape, i, axis=-1):
    """Raise a ValueError about row ``i`` of the broadcast rows of the arguments."""
    for name in arrays:
        where, row = row_of(arrays, name, shape, i, axis)
        problem = describe_bad_row(row)
        if problem is not None:
            raise ValueError(f"{where} {problem}.")
    # The kernel and NumPy sum in different orders; a sum on the very bound can differ.
    raise ValueError(f"Row {i} of {' or '.join(arrays)} does not sum to 1.")


def refuse_bad_rows(x, name):
    """Refuse an array-like of distributions of which one is no probability vector."""
    if (place := place_of(x, name)) is not None:
        rows_elsewhere(lambda p, q: (p[:, 0], p[:, 0] == p[:, 0]), None, {name: x}, place)
        return
    i = first_bad_row(x)
    if i is None:
        (rows,), shape = as_rows({name: x})
        i = first_bad_row(rows)
    else:
        shape = x.shape[:-1]
    if i >= 0:
        raise_bad_row({name: x}, shape, i)


def without_rounding(probabilities):
    """Return an array with 0 for entries from -1e-6 on: what rounding left of some 1 - p."""
    xp = namespace(probabilities)
    if not xp.any(probabilities < 0.0):
        return probabilities
    rounding = (probabilities < 0.0) & (probabilities >= -ROUNDING)
    return xp.where(rounding, xp.zeros_like(probabilities), probabilities)


def check_rows(probabilities, name):
    """Return an array of probability vectors, with 0 for what rounding left below it.

    Another row is refused; the message names the first.
    """
    probabilities = without_rounding(probabilities)
    refuse_bad_rows(probabilities, name)
    return probabilities


def normalized(proba, name):
    """Return probability vectors whose sums are 1 to rounding; refuse what is none.

    Entries down to -1e-6 are the rounding of some 1 - p in float32, and count as 0.
    """
    proba = check_rows(proba, name)
    total = proba.sum(axis=1, keepdims=True)
    near = abs(total - 1.0).max(initial=0.0) < 16 * np.finfo(proba.dtype).eps
    return proba if near else proba / total
