"""Splitters: partitions, masses, groups, weights, scikit-learn's tools."""

import pickle
import warnings
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from threadpoolctl import threadpool_limits

from sklkl import TopK
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from sklkl.model_selection import (
    RepeatedStratifiedSoftKFold,
    StratifiedSoftKFold,
    StratifiedSoftShuffleSplit,
)
from tests._support.layouts import LAYOUTS
from tests._support.messages import matches
from tests._support.models import routing
from tests._support.problems import make_problem, random_rows

SPLITTERS = {
    "fold": StratifiedSoftKFold(3),
    "shuffled fold": StratifiedSoftKFold(3, shuffle=True, random_state=0),
    "repeated fold": RepeatedStratifiedSoftKFold(n_splits=3, n_repeats=2, random_state=0),
    "shuffle split": StratifiedSoftShuffleSplit(3, test_size=0.25, random_state=0),
    "rest": StratifiedSoftShuffleSplit(3, test_size=0.2, train_size=0.5, random_state=0),
}
NAMES_BACKWARDS = np.array(list("zyxwvutsrqponmlkjihgfedcba"))
LETTERS = NAMES_BACKWARDS[::-1]

each_splitter = pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)
each_side = pytest.mark.parametrize("name", ["fold", "rest"])


def make_y(n_samples=200, concentrations=(0.3, 1.0, 2.0, 0.5), seed=0):
    return random_rows(n_samples, len(concentrations), seed, concentrations)


def make_weight(n_samples=200, seed=1):
    weight = np.random.default_rng(seed).uniform(0.1, 4.0, n_samples)
    weight[::5] = 0.0
    return weight


def make_groups(n_samples=200, n_groups=20, seed=2):
    """Groups of different sizes and different classes."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(n_groups, 3.0))
    groups = rng.choice(n_groups, n_samples, p=share)
    groups[:n_groups] = np.arange(n_groups)
    centers = rng.dirichlet(np.full(4, 0.5), n_groups)
    y = np.stack([rng.dirichlet(4 * centers[g] + 0.05) for g in groups])
    return groups, y


def splits(splitter, y, **kwargs):
    return list(splitter.split(np.zeros((len(y), 1)), y, **kwargs))


def same_splits(a, b):
    return all(
        np.array_equal(p, q)
        for x, z in zip(a, b, strict=True)
        for p, q in zip(x, z, strict=True)
    )


def assert_partition(folds, n_samples, groups=None):
    every = np.arange(n_samples)
    for train, test in folds:
        assert train.dtype.kind == test.dtype.kind == "i"
        assert_array_equal(train, np.setdiff1d(every, test))
        assert min(len(train), len(test)) > 0
        assert groups is None or not set(groups[train]) & set(groups[test])
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), every)
    if groups is None:
        assert np.ptp([len(test) for _, test in folds]) <= 1


def deviation(part, y, weight=None):
    """Largest deviation of a class's share of the mass from that of the whole."""
    weight = np.ones(len(y)) if weight is None else weight
    whole = np.average(y, axis=0, weights=weight)
    return np.abs(np.average(y[part], axis=0, weights=weight[part]) - whole).max()


def share_of_mass(part, y, weight=None):
    """Share of each class's mass that is in a part."""
    mass = y if weight is None else y * weight[:, np.newaxis]
    return mass[part].sum(axis=0) / mass.sum(axis=0)


def worst(splitter, y, labels=None):
    folds = splits(splitter, y if labels is None else labels)
    return max(deviation(test, y) for _, test in folds)


@pytest.mark.parametrize(("n_samples", "n_splits"), [(2, 2), (10, 10), (11, 10), (200, 3)])
@pytest.mark.filterwarnings("ignore:The class")
def test_partition(n_samples, n_splits):
    y = make_y(n_samples, (1.0, 2.0))
    for target, shuffle in (
        (y, True),
        (y.argmax(axis=1), False),
        (np.arange(n_samples) % 20, True),
    ):
        folds = splits(StratifiedSoftKFold(n_splits, shuffle=shuffle), target)
        assert len(folds) == n_splits
        assert_partition(folds, n_samples)


def test_unshuffled_folds_are_the_same_every_time():
    expected = splits(StratifiedSoftKFold(4), make_y())
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    assert same_splits(splits(StratifiedSoftKFold(4), make_y()), expected)
    assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("splitter_class", "options"),
    [
        (StratifiedSoftKFold, {"shuffle": True}),
        (RepeatedStratifiedSoftKFold, {"n_repeats": 2}),
        (StratifiedSoftShuffleSplit, {}),
    ],
)
def test_random_state(splitter_class, options):
    y = make_y()

    def twice(random_state):
        splitter = splitter_class(n_splits=3, random_state=random_state, **options)
        return splits(splitter, y), splits(splitter, y)

    first, again = twice(3)
    assert same_splits(first, again)
    assert not same_splits(first, twice(4)[0])
    # An instance goes on where it stopped.
    a, b = twice(np.random.RandomState(3))
    assert same_splits(a, first)
    assert not same_splits(a, b)
    # Without one, the global one does.
    np.random.seed(3)
    c, d = twice(None)
    assert same_splits(c, a)
    assert same_splits(d, b)


def test_shuffling_leaves_the_choice_to_chance():
    """Pairs share a fold, and samples are in a random test set, at the rate of chance."""
    y = make_y(30, (2.0, 2.0, 2.0))
    together = np.zeros((30, 30))
    for seed in range(100):
        for _, test in splits(StratifiedSoftKFold(3, shuffle=True, random_state=seed), y):
            together[np.ix_(test, test)] += 1
    pairs = together[np.triu_indices(30, 1)] / 100
    assert pairs.mean() == pytest.approx(9 / 29)
    assert pairs.min() > 0.05
    assert pairs.std() < 2 * np.sqrt(9 / 29 * 20 / 29 / 100)
    splitter = StratifiedSoftShuffleSplit(100, test_size=0.25, random_state=0)
    tests = [test for _, test in splits(splitter, make_y())]
    assert np.bincount(np.concatenate(tests)).std() < 1.3 * np.sqrt(100 * 0.25 * 0.75)


# Parameters and data


BAD_OF_FOLDS = {
    "n_splits": (0, 1, 2.0, "2", None, True),
    "random_state": ("seed", 1.5, -1, 2**32, np.random.default_rng(0)),
    "shuffle": (1, "yes"),
}
BAD_OF_REPEATS = {"n_splits": (1,), "n_repeats": (0, 2.0, None), "random_state": (-1,)}
BAD_OF_SPLITS = {
    "n_splits": (0,),
    "random_state": (-1,),
    "test_size": (0, 1.5, -0.1, 1.0, "half", np.nan, True, [0.2]),
    "train_size": (0, np.inf),
}


@pytest.mark.parametrize(
    ("splitter_class", "name", "value"),
    [(StratifiedSoftKFold, name, v) for name, bad in BAD_OF_FOLDS.items() for v in bad]
    + [
        (RepeatedStratifiedSoftKFold, name, v)
        for name, bad in BAD_OF_REPEATS.items()
        for v in bad
    ]
    + [
        (StratifiedSoftShuffleSplit, name, v)
        for name, bad in BAD_OF_SPLITS.items()
        for v in bad
    ],
)
def test_bad_parameters_are_refused_where_they_are_passed(splitter_class, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*; got "):
        splitter_class(**{name: value})


def test_what_parameters_mean():
    assert StratifiedSoftKFold().get_n_splits() == 5
    assert StratifiedSoftShuffleSplit().get_n_splits() == 10
    assert StratifiedSoftKFold(7).get_n_splits([0], [1], [2], [3]) == 7
    assert RepeatedStratifiedSoftKFold().get_n_splits() == 50
    small = RepeatedStratifiedSoftKFold(n_splits=np.int8(100), n_repeats=np.int8(2))
    assert small.get_n_splits() == 200
    repeated = RepeatedStratifiedSoftKFold(n_splits=3, n_repeats=2, random_state=1)
    assert repeated.get_n_splits([0], [1], [2], [3]) == len(splits(repeated, make_y())) == 6
    assert repr(repeated) == (
        "RepeatedStratifiedSoftKFold(n_repeats=2, n_splits=3, random_state=1)"
    )
    with pytest.raises(TypeError):
        StratifiedSoftKFold(5, True)
    with pytest.raises(ValueError, match="random_state has no effect"):
        StratifiedSoftKFold(random_state=0)


def test_pickle_and_clone():
    splitter = StratifiedSoftKFold(3, shuffle=True, random_state=0)
    with routing():
        splitter.set_split_request(sample_weight=True)
    expected = splits(splitter, make_y())
    copy = clone(SoftLabelLogisticRegressionCV(cv=splitter)).cv
    assert copy is not splitter
    for other in (copy, pickle.loads(pickle.dumps(splitter))):
        assert same_splits(splits(other, make_y()), expected)
        assert other.get_metadata_routing().split.requests["sample_weight"] is True


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_does_not_matter(layout):
    groups, y = make_groups()
    weight = make_weight()
    expected = splits(StratifiedSoftKFold(3), y, sample_weight=weight, groups=groups)
    given = {"sample_weight": layout(weight), "groups": groups}
    assert same_splits(splits(StratifiedSoftKFold(3), layout(y), **given), expected)
    for _, test in splits(StratifiedSoftKFold(3), y.astype(np.float32), sample_weight=weight):
        assert deviation(test, y, weight) < 2e-3


@each_side
def test_forms_of_targets(name):
    """Labels of any kind are one-hot rows, and these a frame."""
    codes = make_y().argmax(axis=1)
    expected = splits(SPLITTERS[name], codes)
    labels = NAMES_BACKWARDS[codes]
    one_hot = np.eye(4)[codes]
    for y in (
        labels.tolist(),
        pd.Series(labels, index=np.arange(200)[::-1]).astype("category"),
        one_hot.astype(int),
        pd.DataFrame(one_hot, columns=NAMES_BACKWARDS[:4]),
    ):
        assert same_splits(splits(SPLITTERS[name], y), expected)


@each_side
def test_only_the_number_of_samples_in_X_matters(name):
    y = make_y(40)
    expected = splits(SPLITTERS[name], y)
    frame = pd.DataFrame({"a": ["text"] * 40})
    for X in (list(range(40)), frame, csr_array((40, 5)), np.full(40, np.nan)):
        assert same_splits(list(SPLITTERS[name].split(X, y)), expected)


FOLDS, SPLITS = SPLITTERS["fold"], StratifiedSoftShuffleSplit
Y = make_y(40)
HOLE, TWICE_AS_MUCH = Y.copy(), Y.copy()
HOLE[5, 0] = np.nan
TWICE_AS_MUCH[3] *= 2
ONCE = np.repeat([0, 1, 2], [20, 19, 1])
TWICE = np.where(np.arange(40) == 0, 2, ONCE)


@pytest.mark.parametrize(
    ("splitter", "y", "options", "parts"),
    [
        (FOLDS, None, {}, ["y is None"]),
        (FOLDS, Y[1:], {}, ["inconsistent numbers of samples"]),
        (FOLDS, Y[:, 0], {}, ["Unknown label type"]),
        (FOLDS, TWICE_AS_MUCH, {}, ["y[3] sums to"]),
        (FOLDS, HOLE, {}, ["NaN"]),
        (FOLDS, csr_array(0.5 * Y), {}, ["Row 0 of y sums to 0.5"]),
        (FOLDS, Y, {"groups": np.arange(39)}, ["groups must hold a label for each of the 40"]),
        (FOLDS, Y, {"groups": ["a", None] * 20}, ["groups mixes labels"]),
        (FOLDS, Y, {"sample_weight": np.zeros(40)}, ["zero"]),
        (FOLDS, Y, {"sample_weight": np.full(40, -1.0)}, ["egative"]),
        (StratifiedSoftKFold(41), Y, {}, ["n_splits=41", "number of samples, 40."]),
        (FOLDS, Y, {"groups": np.arange(40) % 2}, ["n_splits=3", "number of groups, 2."]),
        (SPLITS(), TWICE_AS_MUCH, {}, ["y[3] sums to"]),
        (SPLITS(test_size=4), ONCE, {}, ["class 2 has mass in only 1 of the samples"]),
        (
            SPLITS(test_size=2),
            TWICE,
            {},
            ["2 of the test set must be", "number of classes, 3"],
        ),
        (SPLITS(train_size=2), TWICE, {}, ["sizes 2 of the training set", "of classes, 3"]),
        (SPLITS(train_size=0.001), Y, {}, ["train set will be empty"]),
        (SPLITS(test_size=0.6, train_size=0.6), Y, {}, ["sum"]),
    ],
)
def test_bad_data(splitter, y, options, parts):
    with pytest.raises((ValueError, TypeError), match=matches(*parts)):
        list(splitter.split(np.zeros((40, 1)), y, **options))


@pytest.mark.parametrize("argument", ["y", "groups", "sample_weight"])
def test_names_of_rows_are_matched(argument):
    rows = [f"r{i}" for i in range(20)]
    given = {"y": [0, 1] * 10, "groups": range(20), "sample_weight": [1.0] * 20}
    given = {name: pd.Series(values, rows) for name, values in given.items()}
    X = pd.DataFrame(np.zeros((20, 1)), rows)
    assert len(list(StratifiedSoftKFold(2).split(X, **given))) == 2
    given[argument] = given[argument].iloc[::-1]
    with pytest.raises(ValueError, match=f"rows of X and {argument} have different labels"):
        next(StratifiedSoftKFold(2).split(X, **given))


# Balance


@pytest.mark.parametrize(("seed", "shuffle"), [(0, False), (1, True), (2, False), (2, True)])
def test_folds_of_labels_are_those_of_stratified_k_fold(seed, shuffle):
    """Whatever the classes are called, and the order of the columns of one-hot rows."""
    rng = np.random.default_rng(seed)
    n_classes, n_splits = 3 + seed, 2 + seed
    labels = rng.choice(n_classes, 400, p=rng.dirichlet(np.full(n_classes, 4.0)))
    one_hot = np.eye(n_classes)[labels]
    options = {"shuffle": shuffle, "random_state": seed if shuffle else None}
    expected = splits(StratifiedKFold(n_splits, **options), labels)
    smoothed = 0.6 * one_hot + 0.4 / n_classes
    for y in (labels, NAMES_BACKWARDS[labels], one_hot, one_hot[:, ::-1], smoothed):
        assert same_splits(splits(StratifiedSoftKFold(n_splits, **options), y), expected)


def test_repeats_are_other_partitions():
    """Of labels and weights, and groups, each as by a shuffled ``StratifiedSoftKFold``."""
    groups, y = make_groups()
    repeated = RepeatedStratifiedSoftKFold(n_splits=4, n_repeats=3, random_state=5)
    for kwargs in ({}, {"groups": groups}, {"sample_weight": make_weight()}):
        found = splits(repeated, y, **kwargs)
        once = StratifiedSoftKFold(4, shuffle=True, random_state=np.random.RandomState(5))
        repeats = [splits(once, y, **kwargs) for _ in range(3)]
        assert same_splits(found, [*chain(*repeats)])
        for folds in repeats:
            assert_partition(folds, 200, kwargs.get("groups"))
        if "groups" not in kwargs:  # of which there are few ways to divide them well
            assert len({tuple(test) for _, test in found}) == 12
    with pytest.warns(UserWarning, match="has mass in only 1 of the samples") as record:
        splits(repeated, np.arange(200) == 3)
    assert len(record) == 1
    theirs = RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=5)
    codes = y.argmax(axis=1)
    # Later ones differ, as the exchanges of the first draw numbers, too.
    assert same_splits(splits(repeated, codes)[:4], splits(theirs, codes)[:4])


def test_unshuffled_folds_keep_neighbours_together():
    y = make_y(2000)
    codes = y.argmax(axis=1)
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0

    def together(splitter):
        """Share of neighbours of one class that are in the same test set."""
        fold_of = np.empty(2000, dtype=int)
        for f, (_, test) in enumerate(splits(splitter, y)):
            fold_of[test] = f
        return (np.diff(fold_of[order]) == 0)[same].mean()

    assert together(StratifiedSoftKFold(5)) > 0.8
    assert together(StratifiedSoftKFold(5, shuffle=True, random_state=0)) < 0.3
    assert worst(StratifiedSoftKFold(5), y) < 1e-4


@each_splitter
def test_order_of_columns_does_not_matter(splitter):
    groups, y = make_groups()
    y[:20] = np.repeat([[0.25] * 4, [0.5, 0.5, 0, 0]], 10, axis=0)  # leading classes tie
    for kwargs in ({}, {"groups": groups}, {"sample_weight": make_weight()}):
        expected = splits(splitter, y, **kwargs)
        assert same_splits(splits(splitter, y[:, [3, 1, 0, 2]], **kwargs), expected)


@pytest.mark.parametrize("n_problems", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_deviation_is_far_smaller_than_of_other_splitters(n_problems):
    rng = np.random.default_rng(0)
    ours, plain, labels = [], [], []
    for seed in range(n_problems):
        n_samples, n_splits = int(rng.integers(100, 2001)), int(rng.integers(3, 11))
        y = rng.dirichlet(rng.uniform(0.1, 3.0, int(rng.integers(2, 11))), n_samples)
        random = {"shuffle": True, "random_state": seed}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare leading classes
            ours.append(worst(StratifiedSoftKFold(n_splits), y))
            plain.append(worst(KFold(n_splits, **random), y))
            labels.append(worst(StratifiedKFold(n_splits, **random), y, y.argmax(axis=1)))
    ours, plain, labels = np.array(ours), np.array(plain), np.array(labels)
    assert plain.mean() > 20 * ours.mean()
    assert labels.mean() > 12 * ours.mean()
    assert (plain > 4 * ours).all()
    assert (labels > 3 * ours).all()
    assert np.median(plain / ours) > 40


@pytest.mark.parametrize(
    ("concentration", "weighted"), [(0.01, False), (100.0, False), (1.0, True)]
)
@each_splitter
def test_masses(splitter, concentration, weighted):
    y = make_y(800, concentration * np.array([1, 2, 3, 4]))
    weight = make_weight(800) if weighted else None
    for train, test in splits(splitter, y, sample_weight=weight):
        assert_allclose(share_of_mass(test, y, weight), len(test) / 800, atol=2e-3)
        assert_allclose(share_of_mass(train, y, weight), len(train) / 800, atol=3e-3)


def test_many_classes_and_threads_of_blas():
    y = make_y(1000, np.full(200, 0.1))
    with threadpool_limits(1):
        expected = splits(StratifiedSoftKFold(5), y)
    with threadpool_limits(8):
        assert same_splits(splits(StratifiedSoftKFold(5), y), expected)
    ours = max(deviation(test, y) for _, test in expected)
    assert worst(KFold(5, shuffle=True, random_state=0), y) > 3 * ours


def test_class_without_mass():
    """But that of a sample of weight 0."""
    y, weight = np.insert(make_y(), 1, 0.0, axis=1), make_weight()
    y[5] = np.eye(5)[1]
    folds = splits(StratifiedSoftKFold(3), y, sample_weight=weight)
    assert_partition(folds, 200)
    assert max(deviation(test, y, weight) for _, test in folds) < 2e-3


CODES = np.zeros(60, dtype=int)
CODES[[5, 40]] = 1
FRAME = pd.DataFrame(np.eye(2)[CODES], columns=["a", "b"])
TWO, THREE = (StratifiedSoftKFold(n) for n in (2, 3))
FEW = SPLITS(2, test_size=2, random_state=0)
ONE_HOT = pd.DataFrame(np.eye(3)[TWICE], columns=["a", "b", "c"])
TOGETHER = {"groups": np.r_[0, np.arange(38) % 13 + 1, 0]}


@pytest.mark.parametrize(
    ("splitter", "y", "options", "message"),
    [
        (THREE, CODES, {}, "1 has mass in only 2 of the samples, fewer than n_splits=3"),
        (THREE, FRAME, {}, "class 'b' has mass in only 2 of the samples"),
        (TWO, CODES, {"groups": np.arange(60) % 5}, "in only 1 of the groups, fewer than"),
        (TWO, CODES, {"sample_weight": np.arange(60) != 5}, "in only 1 of the samples"),
        (SPLITS(2, test_size=4), TWICE, {}, "The class 2 has no mass in the test set"),
        (FEW, ONE_HOT, {}, "The class '.' has no mass in the test set"),
        (FEW, TWICE, TOGETHER, "The class 2 has no mass in the (training|test) set"),
    ],
)
def test_rare_class_warns(splitter, y, options, message):
    with pytest.warns(UserWarning, match=message) as record:
        splits(splitter, y, **options)
    assert len(record) == 1


def test_each_set_has_every_class_if_there_are_enough_samples():
    """Those of few samples, too; a class that nobody has is not missing."""
    for _, test in splits(TWO, CODES):
        assert CODES[test].sum() == 1
    for train, test in splits(SPLITS(2, test_size=0.5), TWICE):
        assert set(TWICE[train]) == set(TWICE[test]) == {0, 1, 2}
    for train, test in splits(SPLITS(3, test_size=1), make_y(2)):
        assert sorted([*train, *test]) == [0, 1]
    splits(SPLITS(2), np.insert(make_y(), 1, 0.0, axis=1))


def test_rare_classes_leave_the_others_balanced():
    y = np.zeros((600, 7))
    y[:, :4] = make_y(600)
    y[[10, 200, 350]] = np.eye(7)[4:]
    with pytest.warns(UserWarning, match="The class 4 has mass in only 1"):
        folds = splits(StratifiedSoftKFold(5), y)
    plain = worst(KFold(5, shuffle=True, random_state=0), y[:, :4])
    assert plain > 5 * max(deviation(test, y[:, :4]) for _, test in folds)


# Weights and groups


def test_weighted_labels():
    labels = make_y(800).argmax(axis=1)
    weight = make_weight(800)
    folds = splits(StratifiedSoftKFold(4), labels, sample_weight=weight)
    assert_partition(folds, 800)
    for _, test in folds:
        assert_allclose(share_of_mass(test, np.eye(4)[labels], weight), 0.25, atol=3e-3)


@pytest.mark.parametrize("exponent", [-1000, 1000])
@each_side
def test_extreme_weights(name, exponent):
    """Only their ratios count, to the last bit: 1e-300 and 2e299 are ordinary weights."""
    groups, y = make_groups()
    for weight in (1.5, make_weight()):
        for kwargs in ({}, {"groups": groups}):
            a, b = (
                splits(SPLITTERS[name], y, sample_weight=w, **kwargs)
                for w in (weight if np.ndim(weight) else None, np.ldexp(weight, exponent))
            )
            assert same_splits(a, b)


@pytest.mark.parametrize("giant", [100.0, 1e20, 1e300])
def test_giant_weight(giant):
    y = make_y(500)
    weight = np.ones(500)
    weight[7] = giant
    folds = splits(StratifiedSoftKFold(5), y, sample_weight=weight)
    assert_partition(folds, 500)
    # The other folds, which it is not in, resemble each other.
    shares = np.stack([y[test].mean(axis=0) for _, test in folds if 7 not in test])
    assert np.ptp(shares, axis=0).max() < 0.1


@pytest.mark.parametrize(("seed", "weighted", "shuffle"), [(0, False, True), (1, True, False)])
def test_groups(seed, weighted, shuffle):
    groups, y = make_groups(400, 50, seed)
    weight = make_weight(400) if weighted else None

    def worst_share(folds):
        return max(np.abs(4 * share_of_mass(test, y, weight) - 1).max() for _, test in folds)

    splitter = StratifiedSoftKFold(4, shuffle=shuffle, random_state=seed if shuffle else None)
    folds = splits(splitter, y, groups=groups, sample_weight=weight)
    assert_partition(folds, 400, groups)
    ours = worst_share(folds)
    assert ours < 0.12
    assert worst_share(splits(GroupKFold(4), y, groups=groups)) > 3 * ours


def test_forms_of_groups_and_targets():
    groups, y = make_groups()
    labels = y.argmax(axis=1)
    expected = splits(StratifiedSoftKFold(3), labels, groups=groups)
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(groups, unit="D")
    for names in (groups + 0.5, LETTERS[groups].tolist(), dates.to_numpy()):
        found = splits(StratifiedSoftKFold(3), np.eye(4)[labels], groups=names)
        assert same_splits(found, expected)


@pytest.mark.parametrize("seed", range(12))
def test_no_fold_is_empty(seed):
    """Groups of one class each: rounding alone decides if two may share a fold."""
    rng = np.random.default_rng(seed)
    n_splits = int(rng.integers(2, 6))
    n_groups = int(rng.integers(n_splits, n_splits + 3))
    groups = np.arange(n_groups * int(rng.integers(1, 8))) % n_groups
    y = np.eye(n_groups)[groups] if seed % 2 else groups % 2
    weight = rng.uniform(0.1, 3.0, len(groups))
    if seed % 3 == 0:
        weight[groups == 0] = rng.choice([0.0, 1e-12])
    splitter = StratifiedSoftKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes
        folds = splits(splitter, y, groups=groups, sample_weight=weight)
    assert_partition(folds, len(groups), groups)


def test_groups_without_mass_are_spread():
    groups = np.arange(60) // 2
    weight = np.repeat([1.0, 0.0], 30)
    folds = splits(StratifiedSoftKFold(5), make_y(60), groups=groups, sample_weight=weight)
    assert_partition(folds, 60, groups)
    assert [len(test) for _, test in folds] == [12] * 5


# Shuffle split


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"test_size": 0.301, "train_size": 0.699},
        {"test_size": 30},
        {"test_size": 30, "train_size": 0.5},
    ],
    ids=str,
)
def test_sizes(sizes):
    found = splits(StratifiedSoftShuffleSplit(4, **sizes, random_state=0), make_y(201))
    expected = splits(ShuffleSplit(4, **sizes, random_state=0), make_y(201))
    for (train, test), (their_train, their_test) in zip(found, expected, strict=True):
        assert (len(train), len(test)) == (len(their_train), len(their_test))
        both = np.concatenate([train, test])
        assert len(np.unique(both)) == len(both)
        assert set(both) <= set(range(201))
    # Each split is another one, in random order.
    assert len({tuple(test) for _, test in found}) == 4
    assert len({tuple(sorted(test)) for _, test in found}) == 4
    assert not any(len(p) > 1 and np.array_equal(p, np.sort(p)) for s in found for p in s)


def test_shuffle_split_of_labels():
    labels = make_y(500).argmax(axis=1)
    counts = np.bincount(labels)
    splitter = StratifiedSoftShuffleSplit(5, test_size=0.3, train_size=0.4)
    for train, test in splits(splitter, labels):
        assert np.abs(np.bincount(labels[test]) - 0.3 * counts).max() <= 1
        assert np.abs(np.bincount(labels[train]) - 0.4 * counts).max() <= 1


@pytest.mark.parametrize(
    ("sizes", "weighted"),
    [({}, True), ({"test_size": 10, "train_size": 20}, False), ({"train_size": 0.5}, True)],
)
def test_shuffle_split_of_groups(sizes, weighted):
    groups, y = make_groups(600, 60)
    options = {"groups": groups, "sample_weight": make_weight(600) if weighted else None}
    found = splits(StratifiedSoftShuffleSplit(4, **sizes, random_state=0), y, **options)
    expected = splits(GroupShuffleSplit(4, **sizes, random_state=0), y, groups=groups)
    for (train, test), (their_train, their_test) in zip(found, expected, strict=True):
        in_train, in_test = set(groups[train]), set(groups[test])
        assert not in_train & in_test
        assert len(in_train) == len(set(groups[their_train]))
        assert len(in_test) == len(set(groups[their_test]))
        # Whole groups, each sample once.
        for part, names in ((train, in_train), (test, in_test)):
            assert_array_equal(np.sort(part), np.flatnonzero(np.isin(groups, list(names))))
            assert not np.array_equal(part, np.sort(part))
        share = share_of_mass(test, y, options["sample_weight"])
        assert_allclose(share, len(in_test) / 60, rtol=0.15)


PROBLEM = make_problem(n_samples=60)


def assert_splits_of_tools(splitter, expected, model=None, **params):
    """Both ``cross_validate`` and a search fit and score these splits."""
    model = SoftLabelLogisticRegression() if model is None else model
    with routing():
        scorer = get_scorer("neg_kl_loss").set_score_request(sample_weight=False)
    given = {"cv": splitter, "scoring": scorer}
    result = cross_validate(
        model, PROBLEM.X, PROBLEM.soft, params=params, return_indices=True, **given
    )
    indices = result["indices"]
    assert same_splits(list(zip(indices["train"], indices["test"], strict=True)), expected)
    search = GridSearchCV(model, {"C": [1.0]}, **given).fit(PROBLEM.X, PROBLEM.soft, **params)
    assert search.n_splits_ == len(expected)
    assert search.best_score_ == pytest.approx(result["test_score"].mean(), rel=1e-9)


@pytest.mark.parametrize("name", ["fold", "repeated fold", "shuffle split"])
def test_groups_are_routed(name):
    """Groups wherever they are passed, weights only where they are asked for."""
    groups, weight = PROBLEM.groups, PROBLEM.weight
    expected = splits(SPLITTERS[name], PROBLEM.soft, groups=groups)
    both = splits(SPLITTERS[name], PROBLEM.soft, groups=groups, sample_weight=weight)
    assert not same_splits(expected, both)
    with routing():
        model = SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        given = {"model": model, "groups": groups, "sample_weight": weight}
        assert_splits_of_tools(SPLITTERS[name], expected, **given)
        asked = clone(SPLITTERS[name], safe=False).set_split_request(sample_weight=True)
        assert_splits_of_tools(asked, both, **given)
        requests = SPLITTERS[name].get_metadata_routing().split.requests
        assert requests == {"groups": True, "sample_weight": False}
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            assert_splits_of_tools(asked, both, sample_weight=weight)


# Lists of classes


def make_lists(n_samples=400, n_classes=60, rest="uniform", order=None, seed=0):
    """Targets of which five classes are known, some of them much more frequent than others."""
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(0.2 / np.arange(1, n_classes + 1) ** 0.5, n_samples)
    order = np.arange(n_classes) if order is None else order
    top = np.argsort(-y, axis=1, kind="stable")[:, :5]
    proba = 0.97 * np.take_along_axis(y, top, axis=1)
    return TopK(np.argsort(order)[top], proba, classes=LETTERS_2[order], rest=rest)


LETTERS_2 = np.array([a + b for a in "abcdef" for b in "klmnopqrst"])


@pytest.mark.filterwarnings("ignore:The class")
@pytest.mark.parametrize(
    ("name", "rest"),
    [*((name, "uniform") for name in SPLITTERS), ("fold", "renormalize"), ("fold", "bucket")],
)
def test_lists(name, rest, monkeypatch):
    """Masses are balanced without an array of all classes; names and order do not matter."""
    splitter, y = SPLITTERS[name], make_lists(rest=rest)
    dense = make_lists(rest="uniform" if rest == "bucket" else rest).to_dense()
    weight = make_weight(len(y))
    order = np.random.default_rng(1).permutation(60)
    monkeypatch.setattr(TopK, "to_dense", None)
    for kwargs in ({}, {"sample_weight": weight}):
        found = splits(splitter, y, **kwargs)
        assert_partition(found, len(y)) if type(splitter) is StratifiedSoftKFold else None
        other = make_lists(rest=rest, order=order)
        assert same_splits(splits(splitter, other, **kwargs), found)
    plain = ShuffleSplit(20, test_size=len(splits(splitter, y)[0][1]), random_state=0)

    def deviation(splitter, y):
        tests = [test for _, test in splits(splitter, y)]
        masses = np.array([dense[test].mean(axis=0) for test in tests])
        return np.mean((masses - dense.mean(axis=0)) ** 2 / dense.mean(axis=0))

    assert deviation(splitter, y) < 0.2 * deviation(plain, dense)


def test_lists_that_are_whole_are_dense_targets():
    y = make_y()
    y[y < 0.2] = 0.0
    y /= y.sum(axis=1, keepdims=True)
    assert same_splits(
        splits(StratifiedSoftKFold(3), TopK.from_csr(csr_array(y))),
        splits(StratifiedSoftKFold(3), y),
    )


def test_lists_warn_and_refuse():
    y = TopK([[0], [0], [1], [2]], [[0.9]] * 4, 4, rest="renormalize")
    with pytest.warns(UserWarning, match="The class [12] has mass in only 1 of the samples"):
        splits(StratifiedSoftKFold(2), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits(StratifiedSoftKFold(2), TopK(y.listed[:, None], [[0.9]] * 4, 4))
    with pytest.raises(ValueError, match="groups are for a dense y; of a TopK take"):
        splits(StratifiedSoftKFold(2), y, groups=[0, 0, 1, 1])
