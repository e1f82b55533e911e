"""Names win over positions: where labels stand among others, and what carries names."""

from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_first_row = ContextVar("first_row", default=0)


@contextmanager
def counting_from(row):
    """Let messages count the rows of the data that are checked, a part, from ``row`` on."""
    token = _first_row.set(row)
    try:
        yield
    finally:
        _first_row.reset(token)


def row_number(i):
    """Return what messages call row ``i`` of the data that are checked."""
    return _first_row.get() + int(i)


def places(names, wanted):
    """Return where each of ``names`` stands in the list ``wanted``, -1 if it does not."""
    position = {label: j for j, label in enumerate(wanted)}
    return np.array([position.get(label, -1) for label in names], dtype=np.intp)


def shown(labels):
    """Return a list of labels for a message, not all if they are many."""
    labels = np.asarray(labels).tolist() if not isinstance(labels, list) else labels
    if len(labels) <= 20:
        return str(labels)
    return f"[{', '.join(map(repr, labels[:10]))}, ... ({len(labels)} in all)]"


def is_default_index(index):
    """Return whether it is the index 0, 1, ... that pandas gives to what has no labels."""
    return getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1


def is_default_of_polars(names):
    """Return whether names are those of a polars data frame that nobody gave any."""
    return str(next(iter(names), None)) == "column_0" and list(map(str, names)) == [
        f"column_{j}" for j in range(len(names))
    ]


def has_default_columns(columns):
    """Return whether the columns of a data frame have the names that its library gives."""
    return is_default_index(columns) or is_default_of_polars(columns)


def refuse_other_rows(named, strict=True):
    """Refuse data that belong together row by row, but whose rows have different labels.

    ``named`` holds the data by the names of messages. What has no labels matches by
    position, and so do the default labels of pandas, 0, 1, ..., unless the labels of another
    argument are the same numbers. Unless ``strict``, different whole numbers match by
    position, too: slices of default labels, as cross-validation makes them, are no names.
    """
    indices = {
        name: data.index
        for name, data in named.items()
        if hasattr(getattr(data, "index", None), "equals")
    }
    first = next((name for name, own in indices.items() if not is_default_index(own)), None)
    if first is None:
        return
    wanted = indices.pop(first)
    numbers = _is_permutation(wanted)
    for name, index in indices.items():
        default = is_default_index(index)
        if index.equals(wanted) or (default and not numbers):
            continue
        # Cross-validation slices by arrays of integers, which leaves no range.
        ranges = hasattr(index, "step") and hasattr(wanted, "step")
        integers = "i" in (index.dtype.kind, wanted.dtype.kind) and not ranges
        if not (strict or default) and integers and set(index) != set(wanted):
            continue
        for i, (a, b) in enumerate(zip(wanted.tolist(), index.tolist(), strict=False)):
            if a != b:
                raise ValueError(
                    f"The rows of {first} and {name} have different labels: row "
                    f"{row_number(i)} is {a!r} in {first} and {b!r} in {name}. "
                    f"Bring them into the same order, as by {name}.loc[{first}.index], or "
                    f"pass {name}.to_numpy() to match by position."
                )


def _is_permutation(index):
    """Return whether its labels are 0, 1, ... in any order."""
    labels = np.asarray(index)
    return labels.dtype.kind in "iu" and np.array_equal(np.sort(labels), range(len(labels)))


AS_IT_IS = slice(None)

# Several of them may have one name, as rows of one patient, or tokens that are words.
MAY_REPEAT = ("rows", "samples")


def names_of(x):
    """Return the names along each axis: None for no names, a range for the default ones.

    Data frames have two axes, a pandas Series has one, anything else is without names: None.
    """
    columns = getattr(x, "column_names", None)  # of pyarrow, whose ``columns`` are data
    if columns is None:
        columns = getattr(x, "columns", None)
    index = getattr(x, "index", None)
    index = None if callable(index) else index  # a method of lists
    if columns is None:
        return None if index is None else [_names(index)]
    return [_names(index), _names(columns)]


def _names(index):
    if index is None:
        return None
    if is_default_index(index):
        return range(len(index))
    if is_default_of_polars(index):
        return None
    return index


def is_named(x):
    """Return whether something carries names that are no default ones."""
    return any(n is not None and not isinstance(n, range) for n in names_of(x) or ())


def label_at(x, j):
    """Return what messages call entry ``j`` along the last axis: its name, or its position."""
    names = (names_of(x) or [None])[-1]
    return j if names is None or isinstance(names, range) else repr(_listed(names)[j])


def with_all_levels(counts, what="outcomes"):
    """Return counts by argument, two Series with the names that either of them has.

    What one of them does not name was never seen there. Series that have no name in common
    are refused: names are spelled differently, or of different types.
    """
    named = [name for name, x in counts.items() if is_named(x) and np.ndim(x) == 1]
    if len(named) < 2:
        return counts
    lists = {name: _listed(counts[name].index) for name in named}
    if any(len(set(own)) < len(own) for own in lists.values()):
        return counts  # which ``orders`` refuses
    refuse_apart(lists, what)
    either = list(dict.fromkeys(level for own in lists.values() for level in own))
    for name, own in lists.items():
        x, seen = counts[name], dict(zip(own, counts[name], strict=True))
        values = [seen.get(level, 0) for level in either]
        counts = counts | {name: type(x)(values, either, dtype=x.dtype)}
    return counts


def refuse_apart(lists, what):
    """Refuse two lists of names, by argument, that have none in common."""
    if not set.intersection(*map(set, lists.values())):
        raise ValueError(
            f"{' and '.join(lists)} have no {what} in common: "
            f"{' and '.join(map(shown, lists.values()))}. Spell their names alike, as the "
            "same type, or pass arrays of counts, which are compared by position."
        )


def orders(names, what="outcomes"):
    """Return what to index an axis of each argument with to match all by name, or refuse them.

    ``names`` are as ``names_of`` returns them, by argument; arguments without names stay as
    they are. ``what`` bears the names: "outcomes", "dimensions", "rows" or "samples". Rows and
    samples broadcast: their numbers may differ.
    """
    result = dict.fromkeys(names, AS_IT_IS)
    named = {name: own for name, own in names.items() if own is not None}
    first = next((name for name, own in named.items() if not isinstance(own, range)), None)
    if first is None or (what in MAY_REPEAT and len(set(map(len, named.values()))) > 1):
        return result
    for name, own in named.items():
        if name != first:
            result[name] = _order(first, named[first], name, own, what)
    return result


def _order(first, wanted, other, given, what):
    """Return where ``other``, with these names, has those that ``first`` wants."""
    equal = hasattr(wanted, "equals") and wanted.equals(given)
    if equal and (what in MAY_REPEAT or wanted.is_unique):
        return AS_IT_IS  # found at once, also of many rows
    wanted, labels = _listed(wanted), _listed(given)
    mine, theirs = set(wanted), set(labels)
    distinct = list(dict.fromkeys(wanted))
    same = np.array_equal(places(labels, distinct), places(wanted, distinct))
    if isinstance(given, range):
        if not same and len(wanted) == len(labels) and mine == theirs:
            raise ValueError(
                f"{first} has {what} with the names {shown(wanted)}, and {other} with the "
                f"default names 0 to {len(labels) - 1}, which may be no names at all. Name "
                "them on purpose, or pass arrays, which are compared by position."
            )
        return AS_IT_IS
    if same and (what in MAY_REPEAT or len(mine) == len(wanted)):
        return AS_IT_IS
    for name, own in ((first, wanted), (other, labels)):
        if len(set(own)) < len(own):
            raise ValueError(
                f"{name} names several {what} alike, so that they cannot be matched by name: "
                f"{shown(own)}."
            )
    if mine != theirs:
        raise ValueError(
            f"{first} and {other} name different {what}: only {first} has "
            f"{shown([x for x in wanted if x not in theirs])}, only {other} has "
            f"{shown([x for x in labels if x not in mine])}. Give both the same names, or "
            "pass arrays, which are compared by position."
        )
    return places(wanted, labels)


def _listed(index):
    """Return labels as a list, NaN as None: it is not equal to itself."""
    labels = index.tolist() if hasattr(index, "tolist") else list(index)
    return [None if isinstance(x, float) and x != x else x for x in labels]
