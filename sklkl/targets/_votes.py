"""Votes in a long table, a row each, and their shares."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from sklkl._core.arrays import as_array, is_missing, is_sparse_matrix
from sklkl._core.classes import check_classes, ordered_categories
from sklkl._core.docs import documented_with
from sklkl._core.names import places, row_number, shown
from sklkl._core.parameters import NON_NEGATIVE, check
from sklkl._core.samples import check_weights, match_rows

DOCS = {
    "item": """
        item : array-like of shape (n_votes,)
            The item that each vote is about: any labels, none missing. Columns of a data frame
            of pandas or polars, or arrays.""",
    "label": """
        label : array-like of shape (n_votes,)
            The class that each vote is for. A missing one, NaN, None, null or ``pandas.NA``,
            is no vote.""",
    "votes": """
        weight : array-like of shape (n_votes,), default=None
            The number of votes that each counts as, non-negative; 1 by default.
        items : array-like of shape (n_items,), default=None
            The items in the order of the result, as ``X.index``; by default those of ``item``,
            in the order in which they first occur: order these by ``.loc[X.index]``.
        classes : array-like of shape (n_classes,), default=None
            The classes in the order of the result; by default the categories of ``label`` if
            it is an ordered categorical, otherwise what it holds, sorted.""",
    "frames": """
        Frames and series are of polars if ``item`` is, otherwise of pandas, with the items as
        their index. Arrays and frames of polars have no names of rows: where X is one, pass
        ``items`` in its order.""",
}


@dataclass(frozen=True)
class Votes:
    """Votes whose items, annotators and classes are numbers."""

    items: list
    annotators: list
    classes: np.ndarray
    # Numbers of votes, (n_items, n_annotators * n_classes): a block of classes per annotator.
    counts: csr_array
    library: Any  # that results are made with, pandas or polars
    item_name: Any

    @property
    def n_votes(self):
        """Return the number of votes on each item."""
        return self.counts.sum(axis=1)

    def of_classes(self):
        """Return the number of votes on each item for each class."""
        blocks = csr_array(np.tile(np.eye(len(self.classes)), (len(self.annotators), 1)))
        return (self.counts @ blocks).toarray()

    def frame(self, values, index=None):
        """Return a matrix with a column per class as a data frame; its rows are the items."""
        columns = self.classes.tolist()
        if self.library.__name__ == "polars":
            return self.library.DataFrame(values, schema=columns)
        return self.library.DataFrame(
            values, index=self.index if index is None else index, columns=columns
        )

    def series(self, values, name, index=None):
        """Return a vector with an entry per item as a series."""
        if self.library.__name__ == "polars":
            return self.library.Series(name, values)
        index = self.index if index is None else index
        return self.library.Series(values, index=index, name=name)

    @property
    def index(self):
        """Return the items as an index of pandas or a series of polars."""
        if self.library.__name__ == "polars":
            try:
                return self.library.Series(self.item_name, self.items)
            except TypeError:
                raise TypeError(
                    "item must hold values of one kind, which a column of polars can have; "
                    f"got {shown(self.items)}."
                ) from None
        return self.library.Index(self.items, name=self.item_name)

    def refuse_without_votes(self, advice, but=()):
        """Refuse items that nobody voted on, of which nothing is known."""
        empty = np.setdiff1d(np.flatnonzero(self.n_votes == 0), but)
        if empty.size:
            raise ValueError(
                f"Without a vote: {shown([self.items[i] for i in empty])}. Drop these items, "
                f"or {advice}."
            )


def check_votes(weight, items, classes, **columns):
    """Return the ``Votes`` of the columns of a long table; refuse what is none."""
    match_rows(**columns, weight=weight)
    values = {name: _column(x, name) for name, x in columns.items()}
    names = {name: list(dict.fromkeys(own)) for name, own in values.items()}
    for name in values.keys() - {"label"}:
        if any(map(is_missing, names[name])):
            i = next(i for i, value in enumerate(values[name]) if is_missing(value))
            raise ValueError(f"{name}[{row_number(i)}] is missing; drop such votes.")
    item_names = names["item"] if items is None else _distinct(_column(items, "items"))
    annotators = names.get("annotator", [None])
    if classes is None:
        classes = ordered_categories(columns["label"])
    if classes is None:
        found = [label for label in names["label"] if not is_missing(label)]
        if len(found) < 2:
            raise ValueError(
                f"label names fewer than two classes, {found}; name all by classes=."
            )
        classes = np.array(sorted(check_classes(found, "The list of labels").tolist()))
    classes = check_classes(classes)
    of_item = _codes("item", values["item"], item_names, "items")
    of_label = _codes("label", values["label"], classes.tolist(), "classes")
    of_annotator = places(values.get("annotator", [None] * len(of_item)), annotators)
    weight = check_weights(weight, of_item, "weight")
    voted = (of_label >= 0) & (weight > 0)
    column = of_annotator * len(classes) + of_label
    counts = csr_array(
        (weight[voted], (of_item[voted], column[voted])),
        shape=(len(item_names), len(annotators) * len(classes)),
    )
    library, name = _library(columns["item"], classes)
    return Votes(item_names, annotators, classes, counts, library, name)


def _column(x, name):
    """Return the entries of a column as a list."""
    values = as_array(x, name)
    if values.ndim != 1:
        raise ValueError(
            f"{name} must be a list of labels; its shape is {values.shape}. A table with a "
            "column per annotator becomes long by DataFrame.melt of pandas, or unpivot of "
            "polars."
        )
    if values.size == 0:
        raise ValueError(f"{name} is empty.")
    values = values.tolist()
    try:
        set(values)
    except TypeError as error:
        raise TypeError(f"{name} must hold labels: {error}.") from None
    return values


def _distinct(names):
    seen = set()
    for i, name in enumerate(names):
        if is_missing(name) or name in seen:
            what = "is missing" if is_missing(name) else f"names {name!r} again"
            raise ValueError(f"items[{i}] {what}; name each item once.")
        seen.add(name)
    return names


def _codes(name, values, known, where):
    """Return the places of values among the known ones, -1 for what is missing."""
    codes = places(values, known)
    for i in np.flatnonzero(codes < 0):
        if not is_missing(values[i]):
            raise ValueError(
                f"{name}[{row_number(i)}] is {values[i]!r}, none of {where}={shown(known)}."
            )
    return codes


def _library(item, classes):
    """Return the library that results are made with, and the name of the column of items."""
    name = getattr(item, "name", None)
    polars = sys.modules.get("polars")  # who passes one of its series has imported it
    if polars is None or not isinstance(item, polars.Series):
        import pandas

        return pandas, name
    if not all(isinstance(c, str) for c in classes.tolist()):
        raise TypeError(
            f"Columns of polars are named by strings, and the classes are {shown(classes)}; "
            "cast label to strings, or pass item.to_numpy() for a data frame of pandas."
        )
    return polars, name


@dataclass(frozen=True)
class VoteShares:
    """Shares of votes.

    The result of ``vote_shares``.

    Parameters
    ----------
    proba : data frame of shape (n_items, n_classes)
        The share of each class, a soft label per item.
    n_votes : series of shape (n_items,)
        The number of votes on each item, or the sum of their weights.
    items : index or series of shape (n_items,)
        The items, in the order of the rows.

    Examples
    --------
    >>> from sklkl.targets import vote_shares
    >>> vote_shares(["a", "a", "b"], ["yes", "no", "no"]).n_votes.to_dict()
    {'a': 2.0, 'b': 1.0}
    """

    proba: Any
    n_votes: Any
    items: Any


@documented_with(**DOCS)
def vote_shares(
    item: ArrayLike,
    label: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    items: ArrayLike | Iterable[Any] | None = None,
    classes: ArrayLike | None = None,
    pseudo_count: float | Mapping[Any, float] = 0.0,
) -> VoteShares:
    """Compute soft labels from a long table of votes: the share of each class in its item's.

    Parameters
    ----------
    %(item)s
    %(label)s
    %(votes)s
    pseudo_count : float or dict, default=0.0
        Votes that every item gets besides, for each class: a number for all, or a dictionary
        from classes to numbers.

    Returns
    -------
    shares : VoteShares
        With ``proba``, ``n_votes`` and ``items``. %(frames)s

    Raises
    ------
    TypeError
        If labels are of different types, or the classes cannot name columns of polars.
    ValueError
        If columns differ in length or in the labels of their rows, an item is missing, a label
        is none of ``classes`` or an item none of ``items`` (the message names the row), or an
        item has no vote and ``pseudo_count`` is 0.

    See Also
    --------
    dawid_skene : For annotators that differ in reliability, where shares may be worse than
        the majority.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklkl.targets import vote_shares
    >>> votes = pd.DataFrame(
    ...     {
    ...         "item": ["a", "a", "a", "b", "b"],
    ...         "label": ["cat", "dog", "cat", "dog", None],
    ...     }
    ... )
    >>> shares = vote_shares(votes["item"], votes["label"], pseudo_count=0.5)
    >>> shares.proba
            cat    dog
    item
    a     0.625  0.375
    b     0.250  0.750
    >>> shares.n_votes.tolist()
    [3.0, 1.0]
    """
    votes = check_votes(weight, items, classes, item=item, label=label)
    added = _pseudo_counts(pseudo_count, votes.classes)
    if not added.any():
        votes.refuse_without_votes("give every class a pseudo_count")
    counts = votes.of_classes() + added
    proba = counts / counts.sum(axis=1, keepdims=True)
    return VoteShares(votes.frame(proba), votes.series(votes.n_votes, "n_votes"), votes.index)


def _pseudo_counts(pseudo_count, classes):
    """Return the pseudo-count of each class."""
    if not isinstance(pseudo_count, Mapping) or is_sparse_matrix(pseudo_count):  # DOK
        check("pseudo_count", pseudo_count, NON_NEGATIVE)
        return np.full(len(classes), float(pseudo_count))
    labels = classes.tolist()
    unknown = [c for c in pseudo_count if c not in labels]
    if unknown:
        raise ValueError(f"pseudo_count names {unknown}, none of the classes {shown(labels)}.")
    for c, value in pseudo_count.items():
        check(f"pseudo_count[{c!r}]", value, NON_NEGATIVE)
    return np.array([float(pseudo_count.get(c, 0.0)) for c in labels])
