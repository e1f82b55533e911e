"""Splitters that give every part the same share of the mass of each class.

Samples are dealt out to parts by their leading class, as ``StratifiedKFold`` deals out labels;
then pairs of samples, or groups, of different parts change places as long as that brings the
masses of the classes nearer to the parts' shares. Labels are balanced from the start, so that
none moves. A pair is the best of all pairs between two small random subsets, which costs as
much for a million samples as for a thousand.
"""

import warnings
from collections.abc import Iterator
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, ShuffleSplit, check_cv
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from sklkl._core.docs import documented
from sklkl._core.names import refuse_other_rows
from sklkl._core.parameters import BOOLEAN, Rule, check, integer
from sklkl._core.samples import check_weights, encode_groups
from sklkl._core.targets import check_target, is_sparse
from sklkl._core.typing import RandomState, Samples

COUNTED = 1 << 12  # rows at a time in the search for rare classes
RANDOM_STATE = Rule(
    "an integer from 0 to 2**32 - 1 or a numpy.random.RandomState",
    (Integral, np.random.RandomState),
    lambda v: not isinstance(v, Integral) or 0 <= v < 2**32,
).or_(None)
SIZE = Rule(
    "a share between 0 and 1 or an integer >= 1",
    Real,
    lambda v: v >= 1 if isinstance(v, Integral) else 0 < v < 1,
).or_(None)

# Candidates on either side of an exchange: twice as many leave deviations smaller by a fifth
# (100,000 samples of 10 classes) to a half (1,000 of 3), in up to 1.6 times the time.
N_CANDIDATES = 64
# Rounds that together take off less than 5 % of the squared deviations are the last.
PATIENCE, WORTHWHILE = 10, 0.95
MAX_ROUNDS = 10_000
# An exchange takes off more than this share of what its samples add to the squared deviation:
# less may be rounding, up to 1e9 samples, and would part labels that are balanced.
GAIN = 1e-6


class Masses:
    """The mass that each unit, a sample or a group, adds to every class.

    Divided by the square root of the mass of the class, so that rare classes count. Classes
    are in an order that neither their names nor the order of the columns have a part in. Of a
    ``TopK`` the target is a sparse matrix, whose last column is what no list names: as one
    class, it is divided evenly, or not at all, in every part alike.
    """

    def __init__(self, X, y, groups, sample_weight):
        named = {"X": X, "y": y, "groups": groups, "sample_weight": sample_weight}
        refuse_other_rows(named, strict=False)
        target = check_target(y, sparse=True)
        if target.sparse and groups is not None:
            raise ValueError(
                "groups are for a dense y; of a TopK take sklearn.model_selection.GroupKFold, "
                "or pass y.to_dense()."
            )
        self.even = target.sparse and target.values.rest == "uniform"
        self.classes, self.target = (lists_by_content if target.sparse else by_content)(target)
        check_consistent_length(X, self.target)
        self.n_classes = len(self.classes)
        weight = check_weights(sample_weight, self.target)
        self.weight = weight / weight.max()
        self.group_of = None
        total = self._sum(np.zeros(self.target.shape[0], dtype=np.intp), 1)[0]
        self.scale = 1.0 / np.sqrt(np.where(total > 0.0, total, 1.0))
        self.n_units = self.target.shape[0]
        if groups is not None:
            self.n_units, self.group_of = encode_groups(groups, self.target.shape[0])
            self.of_group = self._sum(self.group_of, self.n_units) * self.scale
        self.total = total * self.scale

    def _sum(self, part, n_parts):
        """Return the unscaled masses of parts, each sample being in one."""
        if self.target.ndim == 1:
            cell = part * self.n_classes + self.target
            flat = np.bincount(cell, self.weight, n_parts * self.n_classes)
            return flat.reshape(n_parts, self.n_classes)
        # A sparse product reads the target row after row, once, and knows no threads.
        shape = n_parts, len(part)
        sums = csr_array((self.weight, (part, np.arange(len(part)))), shape) @ self.target
        return sums.toarray() if issparse(sums) else sums

    def of_pair(self, a, b):
        """Return the scaled masses of two lists of units, and the columns that these have."""
        if not issparse(self.target):
            return self.of_units(a), self.of_units(b), slice(None)
        rows = self.target[np.concatenate([a, b])]
        columns, at = np.unique(rows.indices, return_inverse=True)
        dense = np.zeros((rows.shape[0], len(columns)))
        dense[np.repeat(np.arange(len(dense)), np.diff(rows.indptr)), at] = rows.data
        dense *= np.concatenate([self.weight[a], self.weight[b]])[:, np.newaxis]
        dense *= self.scale[columns]
        return dense[: len(a)], dense[len(a) :], columns

    def of_units(self, units):
        """Return the scaled masses of some units; a negative number is no unit, mass 0."""
        if self.group_of is not None:
            return np.where(units[:, np.newaxis] < 0, 0.0, self.of_group[units])
        if self.target.ndim == 2:
            rows = self.target[units].astype(np.float64)
        else:
            rows = np.zeros((len(units), self.n_classes))
            rows[np.arange(len(units)), self.target[units]] = 1.0
        return rows * (self.weight[units, np.newaxis] * self.scale)

    def of_parts(self, parts):
        """Return the scaled masses of lists of units."""
        if self.group_of is not None:
            return np.stack([self.of_units(units).sum(axis=0) for units in parts])
        part = np.empty(self.n_units, dtype=np.intp)
        for f, units in enumerate(parts):
            part[units] = f
        return self._sum(part, len(parts)) * self.scale

    def leading_class(self):
        """Return the class of each sample that has most of it."""
        if self.target.ndim == 1:
            return self.target
        return np.asarray(self.target.argmax(axis=1)).ravel().astype(np.intp)

    def rare_class(self, n_parts):
        """Return words on a class with mass in fewer units than parts, None if there is none.

        No more than the first, and how many units have it.
        """
        if self.group_of is not None:
            counts = np.count_nonzero(self.of_group, axis=0)
        elif self.target.ndim == 1:
            counts = np.bincount(self.target, self.weight > 0, self.n_classes)
        elif issparse(self.target):
            listed = self.target[self.weight > 0]
            *counts, left = np.bincount(listed.indices, minlength=self.n_classes)
            # Of an even rest every class has some.
            counts = np.maximum(counts, left if self.even else 0)
        else:
            counts = np.zeros(self.n_classes, dtype=np.intp)
            for start in range(0, self.n_units, COUNTED):
                rows = slice(start, start + COUNTED)
                counts += np.count_nonzero(self.target[rows][self.weight[rows] > 0], axis=0)
                if (counts >= n_parts).all():
                    return None
        rare = np.flatnonzero((counts > 0) & (counts < n_parts))
        if len(rare) == 0:
            return None
        units = "samples" if self.group_of is None else "groups"
        return (
            f"The class {self.classes[rare[:1]].tolist()[0]!r} has mass in only "
            f"{int(counts[rare[0]])} of the {units}"
        )


def by_content(target):
    """Return classes and values, the classes in an order that the values alone decide.

    Labels in the order in which they appear; columns in the descending order of their first
    entries, then of their second, and so on, which is the same for one-hot rows.
    """
    hard, classes, target = target.hard, target.classes, target.values
    if hard:
        first = np.empty(len(classes), dtype=np.intp)
        first[target[::-1]] = np.arange(len(target))[::-1]
        order = np.argsort(first)
        return classes[order], np.argsort(order)[target]
    n_rows, keys = 1, []
    while len(set(keys)) < len(classes) and n_rows < 8 * len(target):
        # Positive numbers are in the order of their bytes, the highest first.
        keys = [column.astype(">f8").tobytes() for column in target[:n_rows].T]
        n_rows *= 8
    order = sorted(range(len(classes)), key=keys.__getitem__, reverse=True)
    return classes[order], np.take(target, order, axis=1)


def lists_by_content(target):
    """Return the same of a ``TopK``, a CSR matrix with what no list names as a class more."""
    lists, n = target.values, len(target)
    n_classes = len(target.classes)
    rows = np.concatenate([lists.samples, np.arange(n)])
    columns = np.concatenate([lists.listed, np.full(n, n_classes)])
    values = np.concatenate([lists.proba, lists.left])
    csr = csr_array((values, (rows, columns)), (n, n_classes + 1))
    csr.eliminate_zeros()
    csc = csr[:, :-1].tocsc()
    # As above: of two columns that differ first in a row, that with more there comes first.
    keys = [
        tuple(zip((-csc.indices[own]).tolist(), csc.data[own].tolist(), strict=True))
        for own in (slice(*ends) for ends in pairwise(csc.indptr))
    ]
    order = sorted(range(n_classes), key=keys.__getitem__, reverse=True)
    csr = csr[:, [*order, n_classes]]
    csr.sort_indices()
    return np.append(target.classes[order].astype(object), "not listed"), csr


def exchange(masses, parts, shares, rng):
    """Let pairs of units change places until the masses of the parts fit their shares.

    ``parts`` are lists of units, changed in place.
    """
    excess = masses.of_parts(parts) - np.outer(shares, masses.total)
    best, stale = np.inf, 0
    for _ in range(MAX_ROUNDS):
        order = rng.permutation(len(parts))
        for a, b in zip(order[::2], order[1::2], strict=False):
            i = rng.randint(len(parts[a]), size=N_CANDIDATES)
            j = rng.randint(len(parts[b]), size=N_CANDIDATES)
            v, w, columns = masses.of_pair(parts[a][i], parts[b][j])
            # Half of what the squared deviations grow by if v - w goes from a to b.
            gap = (excess[a] - excess[b])[columns]
            growth = np.add.outer((v * (v - gap)).sum(axis=1), (w * (w + gap)).sum(axis=1))
            # Not by BLAS, whose threads, waiting for busy cores, take sixty times as long.
            growth -= np.einsum("ik,jk->ij", 2.0 * v, w)
            k, m = divmod(int(growth.argmin()), N_CANDIDATES)
            here, there = parts[a][i[k]], parts[b][j[m]]
            # Rounding may make the last group of a part look better elsewhere.
            empties = (there < 0 and _is_last(parts[a])) or (here < 0 and _is_last(parts[b]))
            least = -GAIN * (np.square(v[k]).sum() + np.square(w[m]).sum())
            if growth[k, m] < least and not empties:
                parts[a][i[k]], parts[b][j[m]] = there, here
                excess[a, columns] -= v[k] - w[m]
                excess[b, columns] += v[k] - w[m]
        deviation = float(np.vdot(excess, excess))
        if deviation < WORTHWHILE * best:
            best, stale = deviation, 0
        else:
            stale += 1
        if stale == PATIENCE:
            break


def _is_last(units):
    return np.count_nonzero(units >= 0) == 1


class WeightedSplitMixin:
    """Accepts sample_weight in get_n_splits: searches pass it what they pass to ``split``."""

    def get_n_splits(
        self,
        X: Samples = None,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : object, default=None
            Ignored, as all arguments; the number is a parameter of the splitter.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.
        sample_weight : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            The number of splits.
        """
        return int(self.n_splits) * int(getattr(self, "n_repeats", 1))  # of more than 8 bits


class StratifiedSoftKFold(WeightedSplitMixin, KFold):
    """K-fold cross-validation with equal class masses, for soft and hard targets.

    The mass of a class is the sum of its targets, weighted if there are weights. In every
    fold each class has its share of the mass nearly as in the whole, and folds differ by one
    sample at most in size. For labels, and one-hot rows, folds are as by
    ``sklearn.model_selection.StratifiedKFold``. With ``groups`` every group is in one fold,
    and the sizes of folds follow from the masses. Names of classes, and the order of columns,
    do not matter.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Choose folds at random among those that fit. Otherwise they are the same every time,
        and samples with the same leading class stay together with their neighbours, except
        for those that the masses require elsewhere: if neighbours are alike, as in a series
        of measurements, a model does not know the answers in advance. Groups have no order.
    random_state : int, RandomState instance or None, default=None
        Governs the choice if ``shuffle`` is True.

    See Also
    --------
    RepeatedStratifiedSoftKFold : The same several times, shuffled.
    StratifiedSoftShuffleSplit : Random splits of any size.
    sklearn.model_selection.StratifiedKFold : Counts labels.
    sklearn.model_selection.StratifiedGroupKFold : Counts labels of groups.

    Notes
    -----
    For soft targets scikit-learn takes an integer ``cv`` for ``KFold`` without shuffling,
    whatever the targets are. Pass this splitter as ``cv`` instead.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.model_selection import StratifiedSoftKFold
    >>> y = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], size=500)
    >>> y = y[np.argsort(y[:, 0])]
    >>> y.mean(axis=0).round(3)
    array([0.329, 0.325, 0.346])
    >>> for train, test in StratifiedSoftKFold(3).split(y, y):
    ...     print(len(test), y[test].mean(axis=0).round(3))
    167 [0.329 0.325 0.346]
    167 [0.329 0.325 0.346]
    166 [0.329 0.325 0.346]
    """

    # Groups count where they are passed; weights only where requested.
    __metadata_request__split = {"groups": True, "sample_weight": False}  # noqa: RUF012

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: RandomState | None = None,
    ) -> None:
        check("n_splits", n_splits, integer(2))
        check("shuffle", shuffle, BOOLEAN)
        check("random_state", random_state, RANDOM_STATE)
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)

    @documented
    def split(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate indices of training and test sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; only their number matters.
        %(y)s
        groups : array-like of shape (n_samples,), default=None
            Samples of one group stay together.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the masses. Sizes of folds count samples all the same,
            unless there are groups.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training set.
        test : ndarray of shape (n_test,)
            Indices of the test set.

        Raises
        ------
        ValueError
            If ``y`` is no valid target, if arguments name their rows in another order than
            ``X``, or if there are fewer samples, or groups, than folds.

        Warns
        -----
        UserWarning
            If a class has mass in fewer samples, or groups, than there are folds.
        """
        masses = self._masses(X, y, groups, sample_weight)
        rng = check_random_state(self.random_state if self.shuffle else 0)
        yield from self._folds(masses, rng)

    def _masses(self, X, y, groups, sample_weight):
        """Return masses that can be divided; warn of those that not every fold can have."""
        masses = Masses(X, y, groups, sample_weight)
        if masses.n_units < self.n_splits:
            what = "samples" if groups is None else "groups"
            raise ValueError(
                f"n_splits={self.n_splits} is greater than the number of {what}, "
                f"{masses.n_units}."
            )
        if rare := masses.rare_class(self.n_splits):
            warnings.warn(
                f"{rare}, fewer than n_splits={self.n_splits}; some parts will lack it.",
                UserWarning,
                stacklevel=3,
            )
        return masses

    def _folds(self, masses, rng):
        """Generate indices of training and test sets."""
        shares = np.full(self.n_splits, 1.0 / self.n_splits)
        grouped = masses.group_of is not None
        folds = self._place(masses, rng) if grouped else self._deal(masses, rng)
        exchange(masses, folds, shares, rng)
        fold_of = np.empty(masses.n_units, dtype=np.intp)
        for f, units in enumerate(folds):
            fold_of[units[units >= 0]] = f
        if grouped:
            fold_of = fold_of[masses.group_of]
        for f in range(self.n_splits):
            yield np.flatnonzero(fold_of != f), np.flatnonzero(fold_of == f)

    def _deal(self, masses, rng):
        """Deal out the samples by leading class as ``StratifiedKFold`` does.

        Samples sorted by class take turns, which gives the numbers; a class is then cut into
        pieces of these numbers, or shuffled.
        """
        leading = masses.leading_class()
        # Of short integers NumPy has a stable sort that takes a fifth of the time.
        short = leading.astype(np.min_scalar_type(masses.n_classes))
        order = np.argsort(short, kind="stable")
        turn = np.arange(masses.n_units) % self.n_splits
        turn = np.sort(leading[order] * self.n_splits + turn) % self.n_splits
        if self.shuffle:
            for piece in np.split(turn, np.flatnonzero(np.diff(leading[order])) + 1):
                rng.shuffle(piece)
        fold_of = np.empty_like(turn)
        fold_of[order] = turn
        return [np.flatnonzero(fold_of == f) for f in range(self.n_splits)]

    def _place(self, masses, rng):
        """Place the largest group first, each where most is missing of what it has.

        Every fold gets as many empty places as groups, so that groups can move.
        """
        folds = [[] for _ in range(self.n_splits)]
        filled = np.zeros((self.n_splits, masses.n_classes))
        order = rng.permutation(masses.n_units)
        order = order[np.argsort(-masses.of_group[order].sum(axis=1), kind="stable")]
        for k, unit in enumerate(order):
            # Of folds that miss equally much, the one with the fewest groups.
            # Not by BLAS, whose sums depend on the number of threads.
            overlap = np.einsum("fk,k->f", filled, masses.of_group[unit])
            sizes = [len(units) for units in folds]
            f = int(np.lexsort((sizes, overlap))[0])
            f = k if k < self.n_splits else f
            folds[f].append(unit)
            filled[f] += masses.of_group[unit]
        return [np.array(units + [-1] * len(units)) for units in folds]


class RepeatedStratifiedSoftKFold(WeightedSplitMixin, RepeatedKFold):
    """``StratifiedSoftKFold``, shuffled anew several times.

    Repeats differ by chance alone, so that the mean over all folds depends less on how the
    samples happened to be dealt out. Each repeat is a partition with equal class masses.
    Few groups can be divided well in few ways, so that repeats may be the same.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    n_repeats : int, default=10
        Number of times that the samples are divided, at least 1.
    random_state : int, RandomState instance or None, default=None
        Governs the choice of folds.

    See Also
    --------
    StratifiedSoftKFold : A single partition.
    sklearn.model_selection.RepeatedStratifiedKFold : Counts labels.

    Notes
    -----
    Scores of repeats share their samples: their spread, divided by the square root of their
    number, is not a standard error of the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.model_selection import RepeatedStratifiedSoftKFold
    >>> y = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], size=500)
    >>> splitter = RepeatedStratifiedSoftKFold(n_splits=2, n_repeats=2, random_state=0)
    >>> splitter.get_n_splits()
    4
    >>> for train, test in splitter.split(y, y):
    ...     print(test[:4], y[test].mean(axis=0).round(3))
    [1 2 3 4] [0.329 0.325 0.346]
    [0 5 6 9] [0.329 0.325 0.346]
    [0 4 6 9] [0.329 0.325 0.346]
    [1 2 3 5] [0.329 0.325 0.346]
    """

    __metadata_request__split = {"groups": True, "sample_weight": False}  # noqa: RUF012

    def __init__(
        self,
        *,
        n_splits: int = 5,
        n_repeats: int = 10,
        random_state: RandomState | None = None,
    ) -> None:
        check("n_splits", n_splits, integer(2))
        check("n_repeats", n_repeats, integer(1))
        check("random_state", random_state, RANDOM_STATE)
        super().__init__(n_splits=n_splits, n_repeats=n_repeats, random_state=random_state)
        self.n_splits = n_splits

    @documented
    def split(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate indices of training and test sets, one repeat after the other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; only their number matters.
        %(y)s
        groups : array-like of shape (n_samples,), default=None
            Samples of one group stay together.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the masses. Sizes of folds count samples all the same,
            unless there are groups.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training set.
        test : ndarray of shape (n_test,)
            Indices of the test set.

        Raises
        ------
        ValueError
            If ``y`` is no valid target, if arguments name their rows in another order than
            ``X``, or if there are fewer samples, or groups, than folds.

        Warns
        -----
        UserWarning
            If a class has mass in fewer samples, or groups, than there are folds.
        """
        once = StratifiedSoftKFold(self.n_splits, shuffle=True)
        masses = once._masses(X, y, groups, sample_weight)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_repeats):
            yield from once._folds(masses, rng)


class StratifiedSoftShuffleSplit(WeightedSplitMixin, ShuffleSplit):
    """Random splits with equal class masses, for soft and hard targets.

    Training and test set of every split have the classes' shares of the mass nearly as the
    whole. With ``groups`` every group is in one of the sets, and sizes count groups, as in
    ``sklearn.model_selection.GroupShuffleSplit``.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.
    test_size : float or int, default=None
        Size of the test set, a share or a number; by default what ``train_size`` leaves, or
        0.1 (0.2 of the groups).
    train_size : float or int, default=None
        Size of the training set; by default what ``test_size`` leaves.
    random_state : int, RandomState instance or None, default=None
        Governs the splits.

    See Also
    --------
    StratifiedSoftKFold : Every sample in exactly one test set.
    sklearn.model_selection.StratifiedShuffleSplit : Counts labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.model_selection import StratifiedSoftShuffleSplit
    >>> y = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], size=500)
    >>> splitter = StratifiedSoftShuffleSplit(1, test_size=100, random_state=0)
    >>> train, test = next(splitter.split(y, y))
    >>> y[train].mean(axis=0).round(3), y[test].mean(axis=0).round(3)
    (array([0.329, 0.325, 0.346]), array([0.329, 0.325, 0.346]))
    """

    __metadata_request__split = {"groups": True, "sample_weight": False}  # noqa: RUF012

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        random_state: RandomState | None = None,
    ) -> None:
        check("n_splits", n_splits, integer(1))
        check("test_size", test_size, SIZE)
        check("train_size", train_size, SIZE)
        check("random_state", random_state, RANDOM_STATE)
        super().__init__(
            n_splits, test_size=test_size, train_size=train_size, random_state=random_state
        )

    @documented
    def split(
        self,
        X: Samples,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate indices of training and test sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; only their number matters.
        %(y)s
        groups : array-like of shape (n_samples,), default=None
            Samples of one group stay together.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the masses.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training set, in random order.
        test : ndarray of shape (n_test,)
            Indices of the test set, in random order.

        Raises
        ------
        ValueError
            If ``y`` is no valid target, if arguments name their rows in another order than
            ``X``, or if the sizes do not fit the number of samples. If labels are split,
            without groups, and a class has a single one, or a set has fewer samples than
            there are classes.

        Warns
        -----
        UserWarning
            If a class with mass has none in the training or the test set of a split.
        """
        masses = Masses(X, y, groups, sample_weight)
        rng = check_random_state(self.random_state)
        sizes = {"test_size": self.test_size, "train_size": self.train_size}
        if groups is not None and self.test_size is None and self.train_size is None:
            sizes["test_size"] = 0.2
        by_label = masses.target.ndim == 1 and groups is None
        if by_label and (rare := masses.rare_class(2)):
            raise ValueError(
                f"{rare}; it cannot be in the training and the test set. Merge it with "
                "another class, or leave it out."
            )
        warned = False
        draws = ShuffleSplit(self.n_splits, **sizes, random_state=rng)
        for train, test in draws.split(np.empty(masses.n_units)):
            sizes = [len(train), len(test), masses.n_units - len(train) - len(test)]
            if by_label and min(sizes[:2]) < masses.n_classes:
                raise ValueError(
                    f"The sizes {sizes[0]} of the training set and {sizes[1]} of the test set "
                    f"must be at least the number of classes, {masses.n_classes}."
                )
            if groups is None:
                parts = deal(masses.leading_class(), sizes, rng)
            else:
                order = np.concatenate([train, test, np.arange(masses.n_units)])
                order = order[np.sort(np.unique(order, return_index=True)[1])]
                parts = np.split(order, np.cumsum(sizes)[:-1])
            parts = [part.copy() for part in parts if len(part) > 0]
            shares = np.array([len(part) for part in parts]) / masses.n_units
            exchange(masses, parts, shares, rng)
            lacking = (masses.of_parts(parts)[:2] == 0.0) & (masses.total > 0.0)
            if lacking.any() and not warned:
                which, j = np.argwhere(lacking)[0]
                warned = True
                warnings.warn(
                    f"The class {masses.classes[[j]].tolist()[0]!r} has no mass in the "
                    f"{('training', 'test')[which]} set of a split; merge it with another "
                    "class, or leave it out.",
                    UserWarning,
                    stacklevel=2,
                )
            train, test = parts[:2]
            if groups is not None:
                train, test = (
                    np.flatnonzero(np.isin(masses.group_of, part)) for part in (train, test)
                )
            yield rng.permutation(train), rng.permutation(test)


def deal(labels, sizes, rng):
    """Deal out samples at random to parts of some sizes, label by label."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    # Every part takes one of each stretch of len(labels) / size samples.
    turns = [(np.arange(size) + rng.random_sample(size)) / size for size in sizes if size > 0]
    part = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(np.concatenate(turns))]
    return [order[part == f] for f in range(len(sizes))]


def check_soft_cv(cv, target, groups=None):
    """Return the splitter that ``cv`` stands for, given a checked target.

    An integer means stratified folds, of labels or of masses; of a ``TopK`` random folds, or
    whole groups, as most of its many classes have too little mass to be divided; None means
    5. Where groups
    are to be kept together, other than by an integer, ``cv`` is a splitter.
    """
    if cv is None or isinstance(cv, Integral):
        n_folds = 5 if cv is None else cv
        check("cv", n_folds, integer(2))
        if n_folds > len(target):
            raise ValueError(
                f"There are {len(target)} samples, fewer than the folds of cv, which is 5 by "
                f"default; set cv to a number from 2 to {len(target)}, or pass more samples."
            )
        if is_sparse(target):
            if groups is not None:
                return GroupKFold(n_folds)
            return KFold(n_folds, shuffle=True, random_state=0)
        if target.ndim == 2 or groups is not None:
            return StratifiedSoftKFold(n_folds)
    # Strings, arrays and tensors have a method of this name, too.
    elif (
        isinstance(cv, str | bytes | bytearray)
        or hasattr(cv, "__array__")
        or not hasattr(cv, "split")
    ):
        given = cv
        try:
            if issparse(cv):  # SciPy may read beyond the end of one
                raise TypeError("A sparse matrix holds no pairs.")
            cv = [
                tuple(_as_indices(rows, len(target)) for rows in (train, test))
                for train, test in cv
            ]
        except Exception as error:  # whatever refuses to be gone through raises
            raise ValueError(
                "cv must be an integer >= 2, a splitter, or pairs of indices of training and "
                f"test sets; got {repr(given)[:200]}."
            ) from error
        if not cv:
            raise ValueError("cv holds no folds.")
        if groups is not None:
            raise ValueError(
                "groups are for a splitter; the folds in cv are fixed. Leave out groups, or "
                "pass a splitter."
            )
    return check_cv(5 if cv is None else cv, target, classifier=target.ndim == 1)


def _as_indices(rows, n_samples):
    """Return an array of indices of samples, also of a mask; refuse anything else."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_samples,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError("These are no indices.")
    if rows.size and not -n_samples <= rows.min() <= rows.max() < n_samples:
        raise ValueError(f"There are {n_samples} samples.")
    return rows.astype(np.intp)
