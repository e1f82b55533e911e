"""Votes of annotators that differ in reliability: the EM algorithm of Dawid and Skene."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning

from sklkl._core.arrays import as_array
from sklkl._core.docs import documented_with
from sklkl._core.names import names_of, places, shown
from sklkl._core.parameters import NON_NEGATIVE, POSITIVE, check, integer
from sklkl._core.targets import check_target
from sklkl.targets._votes import DOCS, Votes, check_votes


@dataclass(frozen=True)
class DawidSkene:
    """Soft labels from annotators of different reliability.

    The result of ``dawid_skene``.

    Parameters
    ----------
    proba : data frame of shape (n_items, n_classes)
        The probability of each class, a soft label per item.
    n_votes : series of shape (n_items,)
        The number of votes on each item, or the sum of their weights.
    items : index or series of shape (n_items,)
        The items, in the order of the rows.
    accuracy : series of shape (n_annotators,)
        The probability that an annotator is right on items like these; in polars, a data frame
        with the annotators as its first column.
    confusion : data frame of shape (n_annotators * n_classes, n_classes)
        The probability of each vote, given the annotator and the true class, which are the
        levels of the index, or the first two columns in polars.
    log_likelihood : float
        The logarithm of the probability of the votes, in nats, plus the one of the parameters
        that ``pseudo_count`` implies, but for a constant.
    n_iter : int
        The number of iterations.

    Examples
    --------
    >>> from sklkl.targets import dawid_skene
    >>> votes = [(item, who, item % 2) for item in range(8) for who in ("ann", "bob")]
    >>> votes += [(item, "cid", 1) for item in range(8)]
    >>> dawid_skene(*zip(*votes, strict=True)).accuracy.round(2).to_dict()
    {'ann': 0.98, 'bob': 0.98, 'cid': 0.5}
    """

    proba: Any
    n_votes: Any
    items: Any
    accuracy: Any
    confusion: Any
    log_likelihood: float
    n_iter: int


@documented_with(**DOCS)
def dawid_skene(
    item: ArrayLike,
    annotator: ArrayLike,
    label: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    items: ArrayLike | Iterable[Any] | None = None,
    classes: ArrayLike | None = None,
    known: Mapping[Any, Any] | Any | None = None,
    prior: ArrayLike | None = None,
    pseudo_count: float = 0.1,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> DawidSkene:
    r"""Compute soft labels from votes of annotators that differ in reliability.

    Each annotator has a confusion matrix, the probabilities of the votes given the true class,
    and votes are independent given the class. The EM algorithm [1]_ finds the matrices under
    which the votes are most probable; the soft labels are the probabilities of the classes
    given the votes.

    Parameters
    ----------
    %(item)s
    annotator : array-like of shape (n_votes,)
        Who voted. An annotator may vote on an item more than once, each time independently.
    %(label)s
    %(votes)s
    known : dict or Series, default=None
        The true classes of some items, by item. Their soft labels are these classes, and
        annotators are measured by them, too.
    prior : array-like of shape (n_items, n_classes), or data frame, default=None
        The probabilities of the classes of each item before any vote, as a model predicts them
        from other data. By default those of all items together are estimated. The rows and
        columns of a data frame are matched to the items and classes by name, and rows with
        the default names 0, 1, ... where the items are just these numbers; what has no names
        of rows needs ``items``, in the order of its rows, and an array has its columns in the
        order of the classes of the result.
    pseudo_count : float, default=0.1
        Votes that each annotator is taken to have cast besides, for each vote and true class;
        and items of each class. With 0 a single observation can make a vote impossible.
    tol : float, default=1e-6
        The iterations end when all later ones together would change no probability by more,
        as far as the last two tell.
    max_iter : int, default=1000
        The largest number of iterations.

    Returns
    -------
    result : DawidSkene
        With ``proba``, ``n_votes``, ``items``, ``accuracy``, ``confusion``,
        ``log_likelihood`` and ``n_iter``. %(frames)s

    Raises
    ------
    TypeError
        If labels are of different types, or the classes cannot name columns of polars.
    ValueError
        If columns differ in length or in the labels of their rows, an item or annotator is
        missing, a label is none of ``classes`` or an item none of ``items`` (the message names
        the row), if ``known`` names other items or classes, ``prior`` has no row for an item,
        or no names of rows without ``items``, or an item has no vote, is not known and has no
        prior.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` comes first.

    See Also
    --------
    vote_shares : The shares of votes, for annotators that are alike.

    Notes
    -----
    With :math:`n_{ial}` votes of annotator a on item i for class l, probabilities
    :math:`t_{ij}`, priors :math:`\pi_j` and confusion matrices :math:`\theta_{ajl}`, an
    iteration is

    .. math::
        \pi_j \propto c + \sum_i t_{ij}, \quad
        \theta_{ajl} \propto c + \sum_i t_{ij} n_{ial}, \quad
        t_{ij} \propto \pi_j \prod_{al} \theta_{ajl}^{n_{ial}}

    from the shares of votes on, with the rows of ``prior`` for :math:`\pi` if it is given.

    Where annotators err on the same items, because these are hard, votes are not independent,
    and the probabilities are too near 0 and 1: calibrate models that learn from them on items
    whose classes are known. The maximum that is found is the one near the shares; if most
    annotators are wrong, and no items are ``known``, it is not the truth.

    Probabilities given the votes alone are drawn to the rates of the classes, and so is what
    learns from them. With the predictions of a model as ``prior``, a model of the result, and
    so on for some rounds, both improve [2]_.

    References
    ----------
    .. [1] Dawid, A. P. and Skene, A. M. (1979). Maximum Likelihood Estimation of Observer
       Error-Rates Using the EM Algorithm. Journal of the Royal Statistical Society C 28(1),
       20-28.
    .. [2] Raykar, V. C. et al. (2010). Learning From Crowds. Journal of Machine Learning
       Research 11, 1297-1322.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklkl.targets import dawid_skene
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=200)
    >>> reliability = {"ann": 0.95, "bob": 0.9, "cid": 0.6, "dot": 0.6, "eve": 0.6}
    >>> votes = pd.DataFrame(
    ...     {
    ...         name: np.where(rng.random(200) < chance, truth, 1 - truth)
    ...         for name, chance in reliability.items()
    ...     }
    ... )
    >>> votes = votes.melt(ignore_index=False, var_name="who", value_name="vote")
    >>> result = dawid_skene(votes.index, votes["who"], votes["vote"])
    >>> result.accuracy.round(2).to_dict()
    {'ann': 0.9, 'bob': 0.94, 'cid': 0.62, 'dot': 0.59, 'eve': 0.6}
    >>> majority = votes["vote"].groupby(votes.index).mean() > 0.5
    >>> found = result.proba.idxmax(axis=1)
    >>> [float(np.mean(labels.to_numpy() == truth).round(2)) for labels in (majority, found)]
    [0.88, 0.96]
    """
    check("pseudo_count", pseudo_count, NON_NEGATIVE)
    check("tol", tol, POSITIVE)
    check("max_iter", max_iter, integer(1))
    columns = {"item": item, "annotator": annotator, "label": label}
    votes = check_votes(weight, items, classes, **columns)
    known_at, known_class = _known(known, votes)
    prior = _prior(prior, votes, in_order=items is not None)
    shares = votes.of_classes()
    if prior is None:
        votes.refuse_without_votes("pass a prior", but=known_at)
    else:
        prior[known_at] = np.eye(len(votes.classes))[known_class]
        shares *= prior > 0
        # Of items without a vote that may be right it is all there is.
        shares = np.where(shares.sum(axis=1, keepdims=True) > 0, shares, prior)
    proba = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    proba[known_at] = np.eye(len(votes.classes))[known_class]
    before = change = np.inf
    for n_iter in range(1, max_iter + 1):
        rates, confusion = _maximise(votes, proba, pseudo_count)
        before_votes = rates if prior is None else prior
        new, log_likelihood = _expect(votes, before_votes, confusion, known_at, known_class)
        before, change = change, abs(new - proba).max()
        proba = new
        # Changes shrink by a factor in the end, so that all later ones are a geometric series.
        if change == 0.0 or (n_iter > 1 and change * change <= tol * (before - change)):
            break
    else:
        warnings.warn(
            f"No convergence in {max_iter} iterations. The last one still changed a "
            f"probability by {change:.2g}; tol={tol:g}. Raise max_iter, tol or pseudo_count.",
            ConvergenceWarning,
            stacklevel=2,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        of_parameters = np.log(confusion).sum()
        of_parameters += np.log(rates).sum() if prior is None else 0.0
    log_likelihood += pseudo_count * of_parameters if pseudo_count else 0.0
    return _result(votes, proba, confusion, float(log_likelihood), n_iter)


def _known(known, votes):
    """Return the places of the items whose class is known, and the numbers of the classes."""
    if known is None:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    is_series = hasattr(known, "iloc") and known.ndim == 1
    if not isinstance(known, Mapping) and not is_series:
        raise TypeError(
            "known must be a dictionary or a Series of pandas from items to classes; got a "
            f"{type(known).__name__}."
        )
    names, labels = map(list, zip(*known.items(), strict=True)) if len(known) else ([], [])
    at, of_class = places(names, votes.items), places(labels, votes.classes.tolist())
    for where, what, given in ((at, "items", names), (of_class, "classes", labels)):
        unknown = list(dict.fromkeys(given[i] for i in np.flatnonzero(where < 0)))
        if unknown:
            raise ValueError(
                f"known has {shown(unknown)}, which are none of the {what}; leave them out, "
                f"or name all by {what}=."
            )
    if len(set(names)) < len(names):
        raise ValueError("known names an item twice; name each once.")
    return at, of_class


def _prior(prior, votes, in_order):
    """Return what a user passed as probabilities before any vote as rows for the items.

    Rows without names are refused, unless the user gave the order of the items.
    """
    if prior is None:
        return None
    shape = np.shape(prior if hasattr(prior, "shape") else as_array(prior, "prior"))
    if len(shape) != 2 or shape[1] < 2:
        raise ValueError(
            f"prior must hold a row of probabilities per item; its shape is {shape}."
        )
    target = check_target(prior, classes=votes.classes, name="prior")
    values, names = target.values, names_of(prior)
    own = list(names[0]) if names and names[0] is not None else None
    # Default names are names where the items are just these numbers.
    if own is not None and (not isinstance(names[0], range) or set(own) == set(votes.items)):
        if len(set(own)) < len(own):
            raise ValueError("prior names an item twice; name each once.")
        at = places(votes.items, own)
        if (at < 0).any():
            missing = [votes.items[i] for i in np.flatnonzero(at < 0)]
            raise ValueError(f"prior has no row for the items {shown(missing)}.")
        values = values[at]
    elif not in_order:
        raise ValueError(
            "The rows of prior have no names: pass items=, the items in the order of its "
            "rows, or a data frame of pandas whose index holds the items."
        )
    if len(values) != len(votes.items):
        raise ValueError(f"prior has {len(values)} rows for {len(votes.items)} items.")
    return values / values.sum(axis=1, keepdims=True)


def _maximise(votes, proba, pseudo_count):
    """Return the rates of classes, and confusion matrices, (n_annotators, true, voted)."""
    n_classes = len(votes.classes)
    rates = proba.sum(axis=0) + pseudo_count
    counts = (votes.counts.T @ proba).reshape(-1, n_classes, n_classes).swapaxes(1, 2)
    counts = counts + pseudo_count
    total = counts.sum(axis=2, keepdims=True)
    # Nothing is known of an annotator who never voted on a class.
    confusion = np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1 / n_classes)
    return rates / rates.sum(), confusion


def _expect(votes, prior, confusion, known_at, known_class):
    """Return the probabilities of the classes of items, and the likelihood of all votes."""
    with np.errstate(divide="ignore"):  # what never happened is impossible
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    n_classes = len(votes.classes)
    logs = votes.counts @ log_confusion.swapaxes(1, 2).reshape(-1, n_classes) + log_prior
    logs[known_at] = np.where(
        np.arange(n_classes) == known_class[:, np.newaxis], logs[known_at], -np.inf
    )
    return softmax(logs, axis=1), logsumexp(logs, axis=1).sum()


def _result(votes: Votes, proba, confusion, log_likelihood, n_iter):
    accuracy = np.diagonal(confusion, axis1=1, axis2=2) @ proba.mean(axis=0)
    classes, library = votes.classes.tolist(), votes.library
    flat = confusion.reshape(-1, len(classes))
    if library.__name__ == "polars":
        names = [name for name in votes.annotators for _ in classes]
        keys = {"annotator": names, "true": classes * len(votes.annotators)}
        table = library.DataFrame(keys).hstack(votes.frame(flat))
        of_annotators = {"annotator": votes.annotators, "accuracy": accuracy}
        accuracy = library.DataFrame(of_annotators)
    else:
        accuracy = votes.series(accuracy, "accuracy", votes.annotators)
        keys = {"names": ["annotator", "true"]}
        index = library.MultiIndex.from_product([votes.annotators, classes], **keys)
        table = votes.frame(flat, index)
    return DawidSkene(
        proba=votes.frame(proba),
        n_votes=votes.series(votes.n_votes, "n_votes"),
        items=votes.index,
        accuracy=accuracy,
        confusion=table,
        log_likelihood=log_likelihood,
        n_iter=n_iter,
    )
