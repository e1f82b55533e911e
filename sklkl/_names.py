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
