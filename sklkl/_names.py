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


def refuse_other_rows(**named):
    """Refuse data whose rows carry the same labels in another order.

    Parameters
    ----------
    **named : array-likes
        By the names of messages. All but data frames and Series with labels of their own,
        which the default numbers are not, pass; so do labels that are others altogether.
    """
    indices = {
        name: data.index
        for name, data in named.items()
        if hasattr(getattr(data, "index", None), "equals") and not _is_default(data.index)
    }
    for name, index in indices.items():
        first, expected = next(iter(indices.items()))
        if (
            len(index) == len(expected)
            and not index.equals(expected)
            and index.isin(expected).all()
            and expected.isin(index).all()
        ):
            raise ValueError(
                f"The rows of {first} and {name} have the same labels in another order; pass "
                f"{name}.loc[{first}.index], or {name}.to_numpy() if they match by position."
            )


def _is_default(index):
    return getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1
