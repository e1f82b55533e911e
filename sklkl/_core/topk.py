"""Probabilities of a few classes of each sample, and what becomes of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklkl._core.arrays import (
    ROUNDING,
    SUM_TOLERANCE,
    as_array,
    as_floating,
    is_sparse_matrix,
)
from sklkl._core.classes import check_classes
from sklkl._core.names import places, row_number, shown
from sklkl._core.parameters import Rule, check, integer, one_of
from sklkl._core.sparse import canonical, check_entries
from sklkl._core.typing import Floats, Rest

RESTS = one_of(get_args(Rest))
FUNCTION = Rule("a function of a key", good=callable)
N_CLASSES = integer(2, np.iinfo(np.int32).max)


class TopK:
    r"""Targets of which only the most probable classes of each sample are known.

    A language model tells the probabilities of its most probable tokens, not of all 50,000.
    What it leaves out, 1 less the sum of those that it tells, is the *rest*. Losses, scorers,
    ``SoftLabelLogisticRegression``, its cross-validated relative and the ``teacher_proba`` of
    ``DistilledClassifier`` take this class, and store no array of shape
    (n_samples, n_classes). For all others there is ``to_dense``.

    Parameters
    ----------
    indices : array-like of shape (n_samples, k)
        The classes listed for each sample, from 0 to n_classes - 1, in any order, each at most
        once.
    proba : array-like of shape (n_samples, k), default=None
        Their probabilities, of which the sum of a row is at most 1. A class that is listed
        with probability 0 is known to have none, and gets nothing of the rest.
    n_classes : int, default=None
        Number of all classes, by default that of ``classes``.
    log_proba : array-like of shape (n_samples, k), default=None
        Natural logarithms of the probabilities, in their place: at most 0; ``-inf`` for 0.
    rest : {"uniform", "bucket", "renormalize"}, default="uniform"
        What becomes of the rest. "uniform" divides it evenly among the classes that are not
        listed. "renormalize" leaves it out, and divides each row by its sum. "bucket" keeps it
        as one outcome: the divergence is then between the listed classes and "another class",
        of which nothing but the sum is compared.
    classes : array-like of shape (n_classes,), default=None
        The names of the classes, in the order of the indices.

    Attributes
    ----------
    shape : tuple
        (n_samples, n_classes).
    classes : ndarray of shape (n_classes,), or None
        The names of the classes.
    rest : str
        What becomes of the rest.
    starts : ndarray of shape (n_samples + 1,)
        The classes of sample i are ``listed[starts[i]:starts[i + 1]]``.
    listed : ndarray of shape (n_listed,)
        Listed classes, sample after sample.
    proba : ndarray of shape (n_listed,)
        Their probabilities; with those in ``left`` each sample has the sum 1, exactly.
    left : ndarray of shape (n_samples,)
        The rest; 0 after "renormalize".
    counts, n_others : ndarray of shape (n_samples,)
        The number of classes that are listed, and that are not.
    shares : ndarray of shape (n_classes,)
        In proportion to which classes that are not listed get the rest: ones.
    divisors : ndarray of shape (n_samples,)
        The sum of the shares of the classes that are not listed: their number.
    share : ndarray of shape (n_samples,)
        The rest, divided by this sum.
    samples : ndarray of shape (n_listed,)
        The sample of each place in ``listed``.
    coarse : bool
        Whether something is left in a bucket.

    Raises
    ------
    ValueError
        If an index is out of range or occurs twice in a row, a probability is negative, a
        logarithm is positive, n_classes is above 2**31 - 1, the sum of a row is above
        1 + 3.5e-4, or all classes are listed
        and their sum is below 1. The message names the first such row.

    See Also
    --------
    TopK.from_dicts : From dictionaries of tokens, as APIs of language models give them.
    TopK.from_csr : From a sparse matrix.

    Notes
    -----
    With a bucket, and q the probabilities of a model, the cross-entropy of a sample is
    :math:`-\sum_{k \in L} p_k \log q_k - r \log \sum_{k \notin L} q_k`, where L are the listed
    classes and r is the rest. As a function of logits it is not convex.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl import TopK
    >>> y = TopK([[2, 0], [1, 3]], [[0.7, 0.2], [0.5, 0.3]], n_classes=5)
    >>> y.to_dense().round(3)
    array([[0.2  , 0.033, 0.7  , 0.033, 0.033],
           [0.067, 0.5  , 0.067, 0.3  , 0.067]])
    >>> y[[1]]
    TopK of 1 sample, 5 classes, at most 2 listed, rest='uniform'
    """

    ndim = 2
    _uneven = None  # (n_classes,), the shares of classes if they are not all 1

    def __init__(
        self,
        indices: ArrayLike,
        proba: ArrayLike | None = None,
        n_classes: int | None = None,
        *,
        log_proba: ArrayLike | None = None,
        rest: Rest = "uniform",
        classes: ArrayLike | None = None,
    ) -> None:
        if (proba is None) == (log_proba is None):
            raise ValueError("Pass either proba or log_proba, the probabilities of indices.")
        name, values = ("proba", proba) if log_proba is None else ("log_proba", log_proba)
        indices, values = as_array(indices, "indices"), as_floating(values, name)
        if indices.ndim != 2 or values.shape != indices.shape or not indices.shape[1]:
            raise ValueError(
                f"indices and {name} must have the same shape (n_samples, k), with k at least "
                f"1; got {indices.shape} and {values.shape}."
            )
        if indices.dtype.kind not in "iu":
            raise ValueError(f"indices must hold integers; their dtype is {indices.dtype}.")
        starts = np.arange(0, indices.size + 1, indices.shape[1], dtype=np.intp)
        if log_proba is not None:
            values = _exponentials(values)
        names = ("indices", name)
        self._set(starts, indices.ravel(), values.ravel(), n_classes, rest, classes, names)

    @classmethod
    def from_csr(
        cls, proba: Any, *, rest: Rest = "uniform", classes: ArrayLike | None = None
    ) -> TopK:
        """Make targets of a sparse matrix of probabilities.

        Also where scikit-learn refuses a sparse matrix as y, as in ``cross_val_score``: if its
        rows sum to 1, by ``rest="renormalize"``.

        Parameters
        ----------
        proba : sparse matrix of shape (n_samples, n_classes)
            Probabilities of the listed classes, in any format of SciPy. A stored 0 is a listed
            class; each row lists at least one.
        rest : {"uniform", "bucket", "renormalize"}, default="uniform"
            What becomes of the rest, as in the class.
        classes : array-like of shape (n_classes,), default=None
            The names of the columns.

        Returns
        -------
        targets : TopK
            The targets.

        Raises
        ------
        TypeError
            If ``proba`` is no sparse matrix.
        ValueError
            If a row is none of the class.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> from sklkl import TopK
        >>> TopK.from_csr(csr_array([[0.0, 0.7, 0.2], [1.0, 0.0, 0.0]]))
        TopK of 2 samples, 3 classes, at most 2 listed, rest='uniform'
        """
        if not is_sparse_matrix(proba):
            raise TypeError(f"proba must be a sparse matrix; got a {type(proba).__name__}.")
        return cls._of_csr(proba, rest, classes, "proba")

    @classmethod
    def _of_csr(cls, proba, rest, classes, name):
        if proba.ndim != 2 or proba.shape[1] < 2:
            raise ValueError(
                f"{name} must have shape (n_samples, n_classes), with at least two classes; "
                f"got {proba.shape}."
            )
        check_entries(proba, name)
        csr = canonical(proba.tocsr())
        starts = csr.indptr.astype(np.intp)
        used = slice(starts[-1])  # a matrix may have room for more
        values = as_floating(csr.data[used], name)
        self = cls.__new__(cls)
        self._set(starts, csr.indices[used], values, csr.shape[1], rest, classes, (name, name))
        return self

    @classmethod
    def from_dicts(
        cls,
        rows: Iterable[Mapping[Any, float] | Sequence[Mapping[str, Any]]],
        *,
        classes: ArrayLike | None = None,
        class_of: Callable[[Any], Any] | None = None,
        rest: Rest = "uniform",
    ) -> TopK:
        """Make targets of the tokens of each sample and their log-probabilities.

        The number of tokens may differ between samples.

        Parameters
        ----------
        rows : iterable of dict or of list of dict
            For each sample the natural logarithms of the probabilities of some classes: a
            dictionary by class, or a list with a dictionary for each, as chat completions have
            it in JSON, ``{"token": "yes", "logprob": -0.1}``; other entries are not used. Of
            objects make ``{t.token: t.logprob for t in position.top_logprobs}``.
        classes : array-like of shape (n_classes,), default=None
            All classes, by default those that occur, sorted.
        class_of : callable, default=None
            Takes a token, and returns the class that it stands for, or None if it is no
            answer. The probabilities of tokens of one class, as of " Yes" and "yes", are added
            up. The target is what remains given that there is an answer: what is known to be
            none is left out, and all else divided by its sum, before the rest is divided. A
            sample that lists all classes is divided by its sum, too, as the rest can only be
            other spellings, or no answer. By default each token is a class.
        rest : {"uniform", "bucket", "renormalize"}, default="uniform"
            What becomes of the rest, as in the class.

        Returns
        -------
        targets : TopK
            The targets, with the names of the classes.

        Raises
        ------
        ValueError
            If a sample has a class that is none of ``classes``, or none at all, or only such
            of probability 0, or a row is none of the class.

        Examples
        --------
        >>> from sklkl import TopK
        >>> rows = [{"yes": -0.1, "no": -2.5}, {"no": -0.01}]
        >>> y = TopK.from_dicts(rows, classes=["yes", "no", "maybe"])
        >>> y.to_dense().round(3)
        array([[0.905, 0.082, 0.013],
               [0.005, 0.99 , 0.005]])

        Spellings of one answer, and a token that is none. The first sample lists all answers;
        the second leaves 0.046 for "yes":

        >>> rows = [{"Yes": -0.4, " yes": -2, "no": -2.5, "The": -3}, {"no": -0.2, "No": -2}]
        >>> answer = {"yes": "yes", "no": "no"}
        >>> def class_of(token):
        ...     return answer.get(token.strip().lower())
        >>> y = TopK.from_dicts(rows, classes=["no", "yes"], class_of=class_of)
        >>> y.to_dense().round(3)
        array([[0.092, 0.908],
               [0.954, 0.046]])
        """
        try:
            rows = list(rows)
        except Exception:  # whatever refuses to be gone through raises
            raise TypeError(f"rows must be a list of dicts; got {rows!r}.") from None
        rows = [_tokens(row, row_number(i)) for i, row in enumerate(rows)]
        if class_of is not None:
            check("class_of", class_of, FUNCTION)
        labels = [label for row in rows for label, _ in row]
        counts = np.array([len(row) for row in rows], dtype=np.intp)
        starts = np.concatenate([[0], np.cumsum(counts, dtype=np.intp)])
        values = _exponentials(_logs(rows), starts, "rows")
        if class_of is not None:
            _refuse_sums(np.bincount(np.repeat(np.arange(len(rows)), counts), values), "rows")
            labels, values, starts = _by_class(labels, values, starts, class_of)
        if classes is None:
            classes = sorted(check_classes(list(dict.fromkeys(labels))).tolist())
        classes = check_classes(classes)
        listed = places(labels, classes.tolist())
        if (listed < 0).any():
            j = int(np.argmax(listed < 0))
            i = int(np.searchsorted(starts, j, side="right")) - 1
            raise ValueError(
                f"rows[{row_number(i)}] has {labels[j]!r}, which is none of the classes "
                f"{shown(classes)}. If it is no answer, let class_of= return None for it."
            )
        self = cls.__new__(cls)
        names = ("rows", "rows")
        of_tokens = class_of is not None
        self._set(starts, listed, values, len(classes), rest, classes, names, of_tokens)
        return self

    def _set(self, starts, listed, values, n_classes, rest, classes, names, of_tokens=False):
        """Set all attributes; refuse what is no list of probabilities.

        Messages call the classes and their probabilities by the two ``names``. Samples that
        list all classes are divided by their sums if these are ``of_tokens``, of which the
        others are no classes.
        """
        check("rest", rest, RESTS)
        if n_classes is not None:
            check("n_classes", n_classes, N_CLASSES)
        if classes is not None:
            classes = check_classes(classes)
            if n_classes is None:
                n_classes = len(classes)
            elif n_classes != len(classes):
                raise ValueError(
                    f"There are {n_classes} classes, but classes has {len(classes)} names."
                )
        if n_classes is None:
            raise ValueError("Pass n_classes, the number of all classes, or their names.")
        self.shape = (len(starts) - 1, int(n_classes))
        self.classes, self.rest, self.starts = classes, rest, starts
        _check_lists(starts, listed, n_classes, names[0])
        name = names[1]
        self.listed = listed.astype(np.int32)
        values = values.astype(np.float64)
        _refuse(starts, ~(values >= -ROUNDING), values, "has the probability", name)
        self.proba = np.maximum(values, 0.0)
        total = self._sums(self.proba)
        _refuse_sums(total, name)
        lists_all = np.diff(starts) == n_classes
        divided = (rest == "renormalize") | (lists_all & of_tokens)
        lacks = np.where(divided, total == 0.0, lists_all & (total < 1.0 - SUM_TOLERANCE))
        if lacks.any():
            i = int(np.argmax(lacks))
            why = "there is nothing to renormalize"
            if not divided[i]:
                why = (
                    "all classes are listed, and nothing can be left for others. Divide such "
                    "rows by their sums, as TopK.from_dicts does with class_of=; to divide "
                    "all rows, with 0 for classes not listed, pass rest='renormalize'"
                )
            raise ValueError(f"Row {row_number(i)} of {name} sums to {total[i]:.6g}: {why}.")
        whole = (total > 1.0) | lists_all | divided
        divisor = np.where(whole, total, 1.0)
        self.proba /= np.repeat(divisor, np.diff(starts))
        self.left = np.where(whole, 0.0, 1.0 - total)

    def _sums(self, of_listed):
        """Return the sum over the listed classes of each sample."""
        return np.add.reduceat(of_listed, self.starts[:-1])

    def _with(self, **attributes):
        """Return a copy with other attributes."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self):
        n, n_classes = self.shape
        return (
            f"TopK of {n} sample{'s' * (n != 1)}, {n_classes} classes, at most "
            f"{self.counts.max(initial=0)} listed, rest={self.rest!r}"
        )

    def __array__(self, dtype=None, copy=None):
        """Refuse to become a dense array in silence."""
        raise TypeError(
            "A TopK becomes no dense array by itself, which may be large; pass .to_dense() "
            "where only arrays are taken."
        )

    def __getitem__(self, rows: Any) -> TopK:
        """Return the targets of some samples: by a slice, indices, or a mask."""
        if isinstance(rows, tuple):  # as scikit-learn indexes rows: y[rows, ...]
            whole = isinstance(rows[-1], slice) and rows[-1] == slice(None)
            if len(rows) != 2 or not (rows[1] is Ellipsis or whole):
                raise IndexError("A TopK is indexed by rows only.")
            rows = rows[0]
        if isinstance(rows, slice) and rows.step in (None, 1):
            first, last, _ = rows.indices(len(self))
            last = max(first, last)
            places = slice(self.starts[first], self.starts[last])
            starts, left = self.starts[first : last + 1], self.left[first:last]
            starts = starts - starts[0]
        else:
            chosen = np.atleast_1d(np.arange(len(self))[rows])
            if chosen.ndim != 1:
                raise IndexError("A TopK is indexed by rows only.")
            counts, left = self.counts[chosen], self.left[chosen]
            starts = np.concatenate([[0], np.cumsum(counts, dtype=np.intp)])
            places = np.repeat(self.starts[chosen] - starts[:-1], counts) + np.arange(
                starts[-1]
            )
        return self._with(
            shape=(len(left), self.shape[1]),
            starts=starts,
            listed=self.listed[places],
            proba=self.proba[places],
            left=left,
        )

    @property
    def counts(self) -> NDArray[np.intp]:
        """The number of classes listed for each sample, (n_samples,)."""
        return np.diff(self.starts)

    @property
    def n_others(self) -> NDArray[np.intp]:
        """The number of classes not listed for each sample, (n_samples,)."""
        return self.shape[1] - self.counts

    @property
    def samples(self) -> NDArray[np.intp]:
        """The sample of each place in ``listed``, (n_listed,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def coarse(self) -> bool:
        """Whether something is left in a bucket, so that not every probability is known."""
        return self.rest == "bucket" and bool(self.left.any())

    @property
    def shares(self) -> Floats:
        """In proportion to which classes that are not listed get the rest, (n_classes,)."""
        return np.ones(self.shape[1]) if self._uneven is None else self._uneven

    @property
    def divisors(self) -> Floats:
        """The sum of the shares of the classes that are not listed, (n_samples,)."""
        return self._of_others(self.shares)

    def _of_others(self, of_classes):
        """Return the sum over the classes that are not listed for each sample."""
        others = np.maximum(of_classes.sum() - self._sums(of_classes[self.listed]), 0.0)
        return np.where(self.n_others > 0, others, 0.0)

    @property
    def share(self) -> Floats:
        """The rest, divided by the shares of the classes that get it, (n_samples,)."""
        divisors = self.divisors
        return self.left / np.where(divisors > 0.0, divisors, 1.0)

    def to_dense(self) -> Floats:
        """Return the targets as an array.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            A probability vector per row.

        Raises
        ------
        ValueError
            If something is in a bucket: how it is divided is not known.
        """
        refuse_bucket(self, "A dense array")
        dense = self.share[:, np.newaxis] * self.shares
        dense[self.samples, self.listed] = self.proba
        return dense


def _tokens(row, i):
    """Return the pairs of tokens and logarithms of a dictionary, or of a list as in JSON."""
    given = row
    try:
        if isinstance(row, Mapping):
            if all(np.ndim(value) == 0 for value in row.values()):
                return list(row.items())
            row = None  # a whole record, with a list of tokens in it
        return [(token["token"], token["logprob"]) for token in row]
    except Exception:  # whatever else it is that refuses
        raise TypeError(
            f"rows[{i}] must be a dict of log-probabilities, or a list of dicts with 'token' "
            f"and 'logprob', as [record['top_logprobs'] for record in records]; got {given!r}."
        ) from None


def _logs(rows):
    """Return the logarithms of all rows; refuse what is no number, naming the row."""
    try:
        return as_floating([value for row in rows for _, value in row], "rows")
    except (TypeError, ValueError):
        for i, row in enumerate(rows):
            as_floating([value for _, value in row], f"rows[{row_number(i)}]")
        raise


def _by_class(keys, values, starts, class_of):
    """Return the classes of keys, the sums of their probabilities, and new starts.

    The probabilities are those given that a key is of a class.
    """
    labels, sums, new_starts = [], [], [0]
    for i, (first, last) in enumerate(pairwise(starts)):
        own, no_class = {}, 0.0
        for key, value in zip(keys[first:last], values[first:last].tolist(), strict=True):
            if (label := class_of(key)) is None:
                no_class += value
                continue
            try:
                own[label] = own.get(label, 0.0) + value
            except TypeError:  # which is not hashable
                raise TypeError(
                    f"class_of must return a class, or None; of {key!r}, in "
                    f"rows[{row_number(i)}], it returned {label!r}."
                ) from None
        listed = sum(own.values())
        if not listed:
            what = "only classes of probability 0" if own else "no class"
            raise ValueError(
                f"class_of finds {what} in rows[{row_number(i)}], {shown(keys[first:last])}; "
                "leave out such samples."
            )
        divisor = max(listed, 1.0 - no_class) if no_class else 1.0
        labels += own
        sums += (value / divisor for value in own.values())
        new_starts.append(len(labels))
    return labels, np.array(sums), np.array(new_starts, dtype=np.intp)


def exact(proba, name):
    """Return a sparse matrix of probability vectors as ``TopK``; refuse other rows."""
    target = TopK._of_csr(proba, "bucket", None, name)
    if (short := target.left > SUM_TOLERANCE).any():
        i = int(np.argmax(short))
        raise ValueError(
            f"{name}[{row_number(i)}] sums to {1.0 - target.left[i]:.6g} instead of 1. If the "
            "sparse matrix lists some classes only, say what becomes of the others: "
            f"sklkl.TopK.from_csr({name}, rest=...)."
        )
    proba = target.proba / target._sums(target.proba)[target.samples]
    return target._with(proba=proba, left=np.zeros(len(target)), rest="renormalize")


def named(target, classes, name):
    """Return targets whose columns are ``classes``, by name if they have names."""
    classes = np.asarray(classes)
    own = classes if target.classes is None else target.classes
    at = places(own.tolist(), classes.tolist())
    if len(classes) != target.shape[1] or (at < 0).any():
        theirs = (
            f"{target.shape[1]} columns" if own is classes else f"the classes {shown(own)}"
        )
        raise ValueError(
            f"{name} has {theirs}, but there are {len(classes)} classes: {shown(classes)}."
        )
    return target._with(classes=classes, listed=at[target.listed].astype(np.int32))


def renamed(target, classes):
    """Return targets with other names of the classes."""
    return target._with(classes=classes)


def of_codes(codes, n_classes):
    """Return targets that are labels."""
    return TopK(codes[:, np.newaxis], np.ones((len(codes), 1)), n_classes)


def both_classes(target):
    """Return targets of two classes as an array: what is left is the other class's."""
    return target._with(rest="uniform").to_dense()


def mass(target, weight):
    """Return the weighted sum of the targets of each class; a bucket counts as if even."""
    of_each = weight * target.share
    shares, n_classes = of_each[target.samples], target.shape[1]
    others = of_each.sum() - np.bincount(target.listed, shares, minlength=n_classes)
    # What every sample lists gets no share: the difference is then rounding.
    without = np.bincount(target.listed, shares > 0.0, minlength=n_classes)
    others[without == np.count_nonzero(of_each)] = 0.0
    return target.shares * np.maximum(others, 0.0) + listed_mass(target, weight, n_classes)


def peak(target, weight):
    """Return of each class about the largest target, times the weight of its sample."""
    most = target.shares * np.max(weight * target.share)
    np.maximum.at(most, target.listed, weight[target.samples] * target.proba)
    return most


def proba_of(target, codes):
    """Return the probability of one class of each sample."""
    refuse_bucket(target, "The accuracy")
    proba, found = target.share.copy(), target.listed == codes[target.samples]
    proba[target.samples[found]] = target.proba[found]
    return proba


def weighted(target, factors):
    """Return the targets times weights of classes, and the sums by which they are divided."""
    refuse_bucket(target, "class_weight")
    proba, shares = target.proba * factors[target.listed], target.shares * factors
    left = target.share * target._with(_uneven=shares).divisors
    total = target._sums(proba) + left
    empty = total == 0.0  # weight 0; any distribution serves
    divisor = np.where(empty, 1.0, total)
    proba = np.where(empty[target.samples], 1.0, proba / divisor[target.samples])
    proba /= np.where(empty, target.counts, 1.0)[target.samples]
    left = np.where(empty, 0.0, left / divisor)
    return target._with(proba=proba, left=left, _uneven=shares), total


def joined(targets):
    """Return the targets of several parts of the same classes, one after the other."""
    counts, first = np.concatenate([target.counts for target in targets]), targets[0]
    lists = {
        name: np.concatenate([getattr(target, name) for target in targets])
        for name in ("listed", "proba", "left")
    }
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.intp)])
    return first._with(shape=(len(counts), first.shape[1]), starts=starts, **lists)


def listed_mass(target, weight, n_classes):
    """Return the same without the rest: a class that is never listed has none."""
    listed = weight[target.samples] * target.proba
    return np.bincount(target.listed, listed, minlength=n_classes)


def entropies(target):
    """Return the entropy of each sample, nats; a bucket is one outcome."""
    entropy = target._sums(_entropy_terms(target.proba)) + _entropy_terms(target.left)
    if target.rest == "uniform":
        divisors = target.divisors
        entropy += target.left * np.log(np.where(divisors > 0.0, divisors, 1.0))
        if target._uneven is not None:
            terms = _entropy_terms(target.shares)
            entropy += target.share * (terms.sum() - target._sums(terms[target.listed]))
    return entropy


def _entropy_terms(p):
    return -p * np.log(np.where(p > 0.0, p, 1.0))


def tempered(target, temperature):
    """Return probabilities proportional to ``p ** (1 / temperature)``; 0 stays 0."""
    if temperature == 1.0:
        return target
    refuse_bucket(target, "A temperature")
    with np.errstate(divide="ignore"):
        logs, others = np.log(target.proba), np.log(target.share)
    most = np.maximum(np.maximum.reduceat(logs, target.starts[:-1]), others)
    proba = np.exp((logs - most[target.samples]) / temperature)
    left = np.exp((others - most) / temperature) * target.n_others
    total = target._sums(proba) + left
    return target._with(proba=proba / total[target.samples], left=left / total)


def smoothed(target, share):
    """Return probabilities mixed with the uniform distribution."""
    if share == 0.0:
        return target
    n_classes = target.shape[1]
    return target._with(
        proba=(1.0 - share) * target.proba + share / n_classes,
        left=(1.0 - share) * target.left + share * target.n_others / n_classes,
        rest="uniform" if target.rest == "renormalize" else target.rest,
    )


def refuse_bucket(target, what):
    """Refuse what needs to know how the rest is divided."""
    if target.coarse:
        raise ValueError(
            f"{what} needs the probability of every class, but rest='bucket' leaves open how "
            "the rest is divided; set rest='uniform' or 'renormalize'."
        )


def coarsened(target, proba=None, *, logs=False):
    """Return rows of the listed classes, then of all others as one outcome.

    Of predictions ``proba``, (n_samples, n_classes), or their logarithms with ``logs``; by
    default of the target itself. The result has the shape (n_samples, k + 1), with 0 where a
    sample lists fewer than k.
    """
    rows = target.samples
    columns = np.arange(len(rows)) - target.starts[rows]
    values, others = target.proba, target.left
    if proba is not None:
        values = proba[rows, target.listed]
        others = proba.copy()  # a difference of sums would lose the digits of a small rest
        others[rows, target.listed] = -np.inf if logs else 0.0
        if logs:
            from scipy.special import logsumexp  # which importing sklkl does without

            others = logsumexp(others, axis=1)
        else:
            others = others.sum(axis=1, dtype=np.float64)
    out = np.zeros((len(target), target.counts.max() + 1), values.dtype)
    out[rows, columns] = values
    out[:, -1] = others
    return out


def _exponentials(logs, starts=None, name="log_proba"):
    """Return probabilities; refuse logarithms above 0, up to rounding, and NaN."""
    if starts is None:
        starts = np.arange(0, logs.size + 1, logs.shape[1], dtype=np.intp)
    bad = ~(logs.ravel() <= ROUNDING)
    _refuse(starts, bad, logs.ravel(), "has the log-probability", name)
    return np.exp(logs, dtype=np.float64)


def _refuse(starts, bad, values, what, name):
    """Refuse lists of which a place is bad, naming the row."""
    if bad.any():
        j = int(np.argmax(bad))
        i = int(np.searchsorted(starts, j, side="right")) - 1
        raise ValueError(
            f"Row {row_number(i)} of {name} {what} {values[j]:.6g} at place {j - starts[i]}; "
            "probabilities lie between 0 and 1, their logarithms below 0."
        )


def _refuse_sums(total, name):
    """Refuse lists whose sum is above 1, naming the row."""
    if (total > 1.0 + SUM_TOLERANCE).any():
        i = int(np.argmax(total > 1.0 + SUM_TOLERANCE))
        raise ValueError(
            f"The probabilities of row {row_number(i)} of {name} sum to {total[i]:.6g}, "
            "more than 1; divide them by their sum if they are all there is."
        )


def _check_lists(starts, listed, n_classes, name):
    """Refuse lists that are empty, or hold a class twice or one that does not exist."""
    counts = np.diff(starts)
    if (counts == 0).any():
        raise ValueError(
            f"Row {row_number(np.argmax(counts == 0))} of {name} lists no class; leave out "
            "such samples."
        )
    rows = np.repeat(np.arange(len(counts)), counts)
    outside = (listed < 0) | (listed >= n_classes)
    if outside.any():
        j = int(np.argmax(outside))
        raise ValueError(
            f"Row {row_number(rows[j])} of {name} lists the class {listed[j]}, but there are "
            f"{n_classes} classes, 0 to {n_classes - 1}."
        )
    keys = rows * int(n_classes) + listed.astype(np.int64)
    keys.sort()  # rows stay in order
    if (same := keys[1:] == keys[:-1]).any():
        i, k = divmod(int(keys[int(np.argmax(same))]), int(n_classes))
        raise ValueError(f"Row {row_number(i)} of {name} lists the class {k} twice.")
