"""Matching by name: where labels stand among others, in time linear in their number."""

import numpy as np


def places(names, wanted):
    """Return where each of ``names`` stands in ``wanted``, -1 if it does not.

    Parameters
    ----------
    names, wanted : list
        Distinct hashable labels.

    Returns
    -------
    ndarray of shape (len(names),) and dtype intp
    """
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

    Parameters
    ----------
    named : dict of str to object
        By the names of messages. What has no labels matches by position, and so do the default
        labels of pandas, 0, 1, ..., unless those of another argument are the same numbers.
    strict : bool, default=True
        Otherwise different whole numbers match by position, too: slices of default labels, as
        cross-validation makes them, are no names.
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
                    f"The rows of {first} and {name} have different labels: row {i} is "
                    f"{a!r} in {first} and {b!r} in {name}. Bring them into the same order, "
                    f"as by {name}.loc[{first}.index], or pass {name}.to_numpy() to match by "
                    "position."
                )


def _is_permutation(index):
    """Return whether its labels are 0, 1, ... in any order."""
    labels = np.asarray(index)
    return labels.dtype.kind in "iu" and np.array_equal(np.sort(labels), range(len(labels)))
