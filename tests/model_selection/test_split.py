"""Tests of the splitters: partitions, masses, groups, weights, scikit-learn's tools."""

import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import DataConversionWarning, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    check_cv,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.model_selection._split import _RepeatedSplits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.metadata_routing import get_routing_for_object
from threadpoolctl import threadpool_limits

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from sklkl.model_selection import StratifiedSoftKFold, StratifiedSoftShuffleSplit
from sklkl.model_selection._split import check_soft_cv, deal

SPLITTERS = {
    "fold": StratifiedSoftKFold(3),
    "shuffled fold": StratifiedSoftKFold(3, shuffle=True, random_state=0),
    "shuffle split": StratifiedSoftShuffleSplit(3, test_size=0.25, random_state=0),
    "rest": StratifiedSoftShuffleSplit(3, test_size=0.2, train_size=0.5, random_state=0),
}
NAMES = np.array(["no", "perhaps", "yes", "zero"])
NAMES_BACKWARDS = np.array(list("zyxwvutsrqponmlkjihgfedcba"))

each_splitter = pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)
each_shuffle = pytest.mark.parametrize("shuffle", [False, True])
each_class = pytest.mark.parametrize(
    "splitter_class", [StratifiedSoftKFold, StratifiedSoftShuffleSplit]
)


def routing(enabled=True):
    return sklearn.config_context(enable_metadata_routing=enabled)


def make_y(n_samples=200, concentrations=(0.3, 1.0, 2.0, 0.5), seed=0):
    return np.random.default_rng(seed).dirichlet(concentrations, n_samples)


def make_weight(n_samples=200, seed=1):
    weight = np.random.default_rng(seed).uniform(0.1, 4.0, n_samples)
    weight[::5] = 0.0
    return weight


def make_groups(n_samples=200, n_groups=30, seed=2):
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


def held_out(splitter, y, **kwargs):
    return [test for _, test in splits(splitter, y, **kwargs)]


def assert_same_splits(a, b):
    assert len(a) == len(b)
    for (train_a, test_a), (train_b, test_b) in zip(a, b, strict=True):
        assert_array_equal(train_a, train_b)
        assert_array_equal(test_a, test_b)


def same_splits(a, b):
    return all(
        np.array_equal(p, q)
        for x, z in zip(a, b, strict=True)
        for p, q in zip(x, z, strict=True)
    )


def assert_partition(folds, n_samples, *, sizes=True):
    every = np.arange(n_samples)
    for train, test in folds:
        assert train.dtype.kind == test.dtype.kind == "i"
        assert_array_equal(train, np.setdiff1d(every, test))
        assert len(test) > 0
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), every)
    if sizes:
        lengths = [len(test) for _, test in folds]
        assert max(lengths) - min(lengths) <= 1


def deviation(part, y, weight=None):
    """Largest deviation of a class's share of the mass from that of the whole."""
    weight = np.ones(len(y)) if weight is None else weight
    whole = np.average(y, axis=0, weights=weight)
    return np.abs(np.average(y[part], axis=0, weights=weight[part]) - whole).max()


def share_of_mass(part, y, weight=None):
    """Share of each class's mass that is in a part."""
    mass = y if weight is None else y * weight[:, np.newaxis]
    return mass[part].sum(axis=0) / mass.sum(axis=0)


def worst(splitter, y, labels=None, **kwargs):
    parts = held_out(splitter, y if labels is None else labels, **kwargs)
    return max(deviation(part, y, kwargs.get("sample_weight")) for part in parts)


def soft_kinds():
    """The same soft target in every form in which a user may pass it."""
    y = make_y().astype(np.float32).astype(np.float64)
    y[:, -1] = 1 - y[:, :-1].sum(axis=1)
    y = np.clip(y, 0, 1)
    read_only = y.copy()
    read_only.setflags(write=False)
    wide = np.zeros((2 * len(y), 2 * y.shape[1]))
    wide[::2, ::2] = y
    return {
        "array": y,
        "Fortran": np.asfortranarray(y),
        "read-only": read_only,
        "strided": wide[::2, ::2],
        "list": y.tolist(),
        "frame": pd.DataFrame(y, columns=NAMES, index=np.arange(len(y))[::-1]),
        "object": y.astype(object),
    }


# Partitions and the choice among them


@pytest.mark.parametrize(
    ("n_samples", "n_splits", "shuffle", "hard"),
    [
        (10, 10, False, False),
        (11, 10, True, True),
        (59, 2, True, False),
        (200, 3, False, True),
    ],
)
def test_partition(n_samples, n_splits, shuffle, hard):
    y = make_y(n_samples, (1.0, 2.0))
    y = y.argmax(axis=1) if hard else y
    splitter = StratifiedSoftKFold(n_splits, shuffle=shuffle)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes
        folds = splits(splitter, y)
    assert len(folds) == n_splits
    assert_partition(folds, n_samples)


@pytest.mark.parametrize("seed", range(5))
def test_partition_with_everything(seed):
    groups, y = make_groups(seed=seed)
    weight = make_weight(seed=seed)
    splitter = StratifiedSoftKFold(4, shuffle=True, random_state=seed)
    for kwargs in ({"groups": groups}, {"groups": groups, "sample_weight": weight}):
        assert_partition(splits(splitter, y, **kwargs), len(y), sizes=False)
    assert_partition(splits(splitter, y, sample_weight=weight), len(y))


def test_unshuffled_folds_are_the_same_every_time():
    y = make_y()
    expected = splits(StratifiedSoftKFold(4), y)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    splitter = StratifiedSoftKFold(4)
    assert_same_splits(splits(splitter, y), expected)
    assert_same_splits(splits(splitter, y), expected)
    assert_array_equal(np.random.get_state()[1], state)


@each_class
def test_random_state(splitter_class):
    y = make_y()
    options = {"shuffle": True} if splitter_class is StratifiedSoftKFold else {}
    splitter = splitter_class(4, random_state=3, **options)
    first = splits(splitter, y)
    assert_same_splits(splits(splitter, y), first)
    other = splits(splitter_class(4, random_state=4, **options), y)
    assert not same_splits(other, first)
    # An instance goes on where it stopped, also inside of the splitter.
    state = np.random.RandomState(3)
    splitter = splitter_class(4, random_state=state, **options)
    assert_same_splits(splits(splitter, y), first)
    assert not same_splits(splits(splitter, y), first)


@each_class
def test_no_random_state_uses_the_global_one(splitter_class):
    y = make_y()
    options = {"shuffle": True} if splitter_class is StratifiedSoftKFold else {}
    splitter = splitter_class(2, **options)
    np.random.seed(0)
    first = splits(splitter, y)
    second = splits(splitter, y)
    np.random.seed(0)
    assert_same_splits(splits(splitter, y), first)
    assert not same_splits(first, second)


def test_shuffling_changes_the_folds():
    y = make_y()
    plain = splits(StratifiedSoftKFold(4), y)
    shuffled = splits(StratifiedSoftKFold(4, shuffle=True, random_state=0), y)
    assert not same_splits(plain, shuffled)
    # Hard labels, where the dealing alone decides.
    labels = np.arange(200) % 2
    plain = splits(StratifiedSoftKFold(4), labels)
    shuffled = splits(StratifiedSoftKFold(4, shuffle=True, random_state=0), labels)
    assert not same_splits(plain, shuffled)


def test_shuffling_leaves_the_choice_to_chance():
    """Pairs share a fold, and samples are in a random test set, at the rate of chance."""
    y = make_y(30, (2.0, 2.0, 2.0))
    together = np.zeros((30, 30))
    for seed in range(100):
        for test in held_out(StratifiedSoftKFold(3, shuffle=True, random_state=seed), y):
            together[np.ix_(test, test)] += 1
    pairs = together[np.triu_indices(30, 1)] / 100
    assert pairs.mean() == pytest.approx(9 / 29)
    assert pairs.min() > 0.05
    assert pairs.std() < 2 * np.sqrt(9 / 29 * 20 / 29 / 100)
    counts = np.zeros(200)
    splitter = StratifiedSoftShuffleSplit(100, test_size=0.25, random_state=0)
    for test in held_out(splitter, make_y()):
        counts[test] += 1
    assert counts.std() < 1.3 * np.sqrt(100 * 0.25 * 0.75)


@each_splitter
def test_arguments_are_not_changed(splitter):
    groups, y = make_groups()
    weight = make_weight()
    copies = y.copy(), groups.copy(), weight.copy()
    for kwargs in ({}, {"groups": groups}, {"sample_weight": weight}):
        splits(splitter, y, **kwargs)
    assert_array_equal(y, copies[0])
    assert_array_equal(groups, copies[1])
    assert_array_equal(weight, copies[2])


# Parameters


def test_repr():
    assert repr(StratifiedSoftKFold()) == (
        "StratifiedSoftKFold(n_splits=5, random_state=None, shuffle=False)"
    )
    assert repr(StratifiedSoftShuffleSplit(3, test_size=0.5)) == (
        "StratifiedSoftShuffleSplit(n_splits=3, random_state=None, test_size=0.5,\n"
        "              train_size=None)"
    )


HOSTILE = {
    "n_splits": (0, -3, 2.0, "2", None, True, np.nan, [3]),
    "random_state": ("seed", 1.5, -1, 2**32, True, np.random.default_rng(0)),
    "shuffle": (1, None, "yes"),
    "test_size": (0, 1.5, -1, -0.1, 1.0, "half", np.nan, True, [0.2]),
    "train_size": (0, 1.5, "half", np.inf),
}


@each_class
def test_hostile_parameters(splitter_class):
    """Each is refused where it is passed, by a message about itself."""
    known = inspect.signature(splitter_class).parameters
    assert set(known) <= set(HOSTILE)
    for name in known:
        for value in HOSTILE[name]:
            with pytest.raises(ValueError, match=f"^{name} must be .*; got "):
                splitter_class(**{name: value})


def test_parameters_that_make_no_sense_together():
    with pytest.raises(ValueError, match="n_splits must be an integer >= 2; got 1"):
        StratifiedSoftKFold(1)
    with pytest.raises(ValueError, match="random_state has no effect"):
        StratifiedSoftKFold(random_state=0)


@each_class
def test_get_n_splits(splitter_class):
    y = make_y()
    splitter = splitter_class(7)
    assert splitter.get_n_splits() == 7
    assert splitter.get_n_splits(y, y, np.arange(200)) == 7
    assert splitter_class().get_n_splits() == (
        5 if splitter_class is StratifiedSoftKFold else 10
    )
    with pytest.raises(TypeError):
        splitter_class(5, True)


@each_splitter
def test_pickle_and_clone(splitter):
    y = make_y()
    expected = splits(splitter, y)
    assert_same_splits(splits(pickle.loads(pickle.dumps(splitter)), y), expected)
    other = clone(splitter, safe=False)
    assert other is not splitter
    assert_same_splits(splits(other, y), expected)
    assert repr(other) == repr(splitter)


def test_clone_of_an_estimator_with_a_splitter():
    splitter = StratifiedSoftKFold(3, shuffle=True, random_state=0)
    with routing():
        splitter.set_split_request(sample_weight=True)
    model = clone(SoftLabelLogisticRegressionCV(cv=splitter))
    assert model.cv is not splitter
    assert repr(model.cv) == repr(splitter)
    assert get_routing_for_object(model.cv).split.requests["sample_weight"] is True


# Forms of targets


@pytest.mark.parametrize("kind", soft_kinds())
@each_splitter
def test_forms_of_soft_targets(kind, splitter):
    kinds = soft_kinds()
    expected = splits(splitter, kinds["array"])
    assert_same_splits(splits(splitter, kinds[kind]), expected)


@each_splitter
def test_float32(splitter):
    y = make_y()
    folds = splits(splitter, y.astype(np.float32))
    for train, test in folds:
        assert deviation(test, y) < 2e-3
        assert deviation(train, y) < 2e-3


@pytest.mark.parametrize("layout", ["read-only", "strided", "float32"])
def test_layouts_of_weights_and_groups(layout):
    groups, y = make_groups()
    weight = make_weight()
    weight = weight.astype(np.float32).astype(np.float64)
    expected = splits(StratifiedSoftKFold(3), y, sample_weight=weight, groups=groups)
    if layout == "read-only":
        weight.setflags(write=False)
        groups.setflags(write=False)
        y.setflags(write=False)
    elif layout == "strided":
        weight, groups = np.repeat(weight, 2)[::2], np.repeat(groups, 3)[::3]
    else:
        weight, groups = weight.astype(np.float32), groups.astype(np.float32)
    assert_same_splits(
        splits(StratifiedSoftKFold(3), y, sample_weight=weight, groups=groups), expected
    )


@each_splitter
def test_forms_of_labels(splitter):
    codes = make_y().argmax(axis=1)
    expected = splits(splitter, codes)
    labels = NAMES[codes]
    for y in (
        codes.tolist(),
        codes.astype(float),
        codes.astype(np.int8),
        10 * codes - 7,
        labels,
        labels.tolist(),
        labels.astype(object),
        pd.Series(labels, index=np.arange(200)[::-1]),
        pd.Series(labels).astype("category"),
    ):
        assert_same_splits(splits(splitter, y), expected)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert_same_splits(splits(splitter, codes[:, np.newaxis]), expected)
    # One-hot rows say the same as labels.
    one_hot = np.eye(4)[codes]
    assert_same_splits(splits(splitter, one_hot), expected)
    assert_same_splits(splits(splitter, one_hot.astype(int)), expected)


@each_splitter
def test_only_the_number_of_samples_in_X_matters(splitter):
    y = make_y(40)
    expected = list(splitter.split(np.zeros((40, 2)), y))
    frame = pd.DataFrame({"a": ["text"] * 40})
    for X in (
        y,
        list(range(40)),
        ["text"] * 40,
        frame,
        csr_array((40, 5)),
        np.full(40, np.nan),
    ):
        assert_same_splits(list(splitter.split(X, y)), expected)


@each_splitter
def test_bad_data(splitter):
    y = make_y(40)
    X = np.zeros((40, 1))
    with pytest.raises(ValueError, match="y is None"):
        list(splitter.split(X))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(splitter.split(X[1:], y))
    with pytest.raises(ValueError, match="groups must hold a label for each of the 40 rows"):
        list(splitter.split(X, y, np.arange(39)))
    with pytest.raises(TypeError, match="groups mixes labels"):
        list(splitter.split(X, y, ["a", None] * 20))
    with pytest.raises(ValueError, match="Unknown label type"):
        list(splitter.split(X, y[:, 0]))
    bad = y.copy()
    bad[3] *= 2
    with pytest.raises(ValueError, match=r"y\[3\]"):
        list(splitter.split(X, bad))
    with pytest.raises(ValueError, match="NaN"):
        list(splitter.split(X, np.where(y == y[5, 0], np.nan, y)))
    with pytest.raises(ValueError, match="empty"):
        list(splitter.split(X[:0], y[:0]))
    with pytest.raises(TypeError, match="sparse"):
        list(splitter.split(X, csr_array(y)))


@each_splitter
def test_bad_weights(splitter):
    y = make_y(40)
    for weight, message in [
        (np.zeros(40), "zero"),
        (np.full(40, -1.0), "[Nn]egative"),
        (np.full(40, np.nan), "NaN"),
        (np.full(40, 1e308), "infinite sum"),
        (np.ones(39), r"sample_weight.shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            splits(splitter, y, sample_weight=weight)


# Balance


@each_shuffle
@pytest.mark.parametrize("seed", range(3))
def test_folds_of_labels_are_those_of_stratified_k_fold(seed, shuffle):
    """Whatever the classes are called, and the order of the columns of one-hot rows."""
    rng = np.random.default_rng(seed)
    n_classes, n_splits = 3 + seed, 2 + seed
    labels = rng.choice(n_classes, 400, p=rng.dirichlet(np.full(n_classes, 4.0)))
    one_hot = np.eye(n_classes)[labels]
    options = {"shuffle": shuffle, "random_state": seed if shuffle else None}
    expected = splits(StratifiedKFold(n_splits, **options), labels)
    splitter = StratifiedSoftKFold(n_splits, **options)
    for y in (labels, NAMES_BACKWARDS[labels], one_hot, one_hot[:, ::-1], 0.6 * one_hot + 0.4):
        y = y / y.sum(axis=1, keepdims=True) if np.ndim(y) == 2 else y
        assert_same_splits(splits(splitter, y), expected)


def same_class_neighbours(folds, codes):
    """Share of neighbours of one class that are in the same test set."""
    fold_of = np.empty(len(codes), dtype=int)
    for f, (_, test) in enumerate(folds):
        fold_of[test] = f
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    return (np.diff(fold_of[order]) == 0)[same].mean()


def test_unshuffled_folds_keep_neighbours_together():
    y = make_y(2000)
    codes = y.argmax(axis=1)
    splitter = StratifiedSoftKFold(5)
    assert same_class_neighbours(splits(splitter, y), codes) > 0.8
    assert same_class_neighbours(splits(StratifiedKFold(5), codes), codes) > 0.98
    shuffled = StratifiedSoftKFold(5, shuffle=True, random_state=0)
    assert same_class_neighbours(splits(shuffled, y), codes) < 0.3
    assert worst(splitter, y) < 1e-4


def test_neighbours_leak_no_answers():
    """Digits come writer by writer; folds of every n-th row score 0.964."""
    X, y = load_digits(return_X_y=True)
    model = KNeighborsClassifier(1)
    proba = LogisticRegression(C=1e-4, max_iter=300).fit(X, y).predict_proba(X)
    accuracy = [
        np.mean([model.fit(X[a], y[a]).score(X[b], y[b]) for a, b in folds])
        for folds in (
            splits(StratifiedKFold(3), y),
            splits(StratifiedSoftKFold(3), proba),
            splits(StratifiedSoftKFold(3, shuffle=True, random_state=0), y),
        )
    ]
    assert accuracy[1] - accuracy[0] < 0.5 * (accuracy[2] - accuracy[0]), accuracy


@each_splitter
def test_order_of_columns_does_not_matter(splitter):
    groups, y = make_groups()
    y[:20] = np.repeat([[0.25] * 4, [0.5, 0.5, 0, 0]], 10, axis=0)  # leading classes tie
    for kwargs in ({}, {"groups": groups}, {"sample_weight": make_weight()}):
        expected = splits(splitter, y, **kwargs)
        for order in ([3, 1, 0, 2], [1, 0, 2, 3]):
            assert_same_splits(splits(splitter, y[:, order], **kwargs), expected)
    labels = y.argmax(axis=1)
    assert_same_splits(
        splits(splitter, NAMES_BACKWARDS[labels], groups=groups),
        splits(splitter, labels, groups=groups),
    )


def test_deviation_is_far_smaller_than_of_other_splitters():
    """The acceptance line: 100 random problems, beside KFold and StratifiedKFold."""
    rng = np.random.default_rng(0)
    ours, plain, labels = [], [], []
    for seed in range(100):
        n_samples, n_splits = int(rng.integers(100, 2001)), int(rng.integers(3, 11))
        y = rng.dirichlet(rng.uniform(0.1, 3.0, int(rng.integers(2, 11))), n_samples)
        random = {"shuffle": True, "random_state": seed}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare leading classes
            ours.append(worst(StratifiedSoftKFold(n_splits), y))
            plain.append(worst(KFold(n_splits, **random), y))
            leading = y.argmax(axis=1)
            labels.append(worst(StratifiedKFold(n_splits, **random), y, leading))
    ours, plain, labels = np.array(ours), np.array(plain), np.array(labels)
    assert plain.mean() > 20 * ours.mean()
    assert labels.mean() > 12 * ours.mean()
    assert (plain > 4 * ours).all()
    assert (labels > 3 * ours).all()
    assert np.median(plain / ours) > 40


@each_splitter
@pytest.mark.parametrize("concentration", [0.01, 100.0])
def test_masses(splitter, concentration):
    y = make_y(600, np.array([1, 2, 3, 4]) * concentration)
    for train, test in splits(splitter, y):
        assert_allclose(share_of_mass(test, y), len(test) / 600, atol=2e-3)
        assert_allclose(share_of_mass(train, y), len(train) / 600, atol=3e-3)


@each_splitter
def test_sorted_data(splitter):
    y = make_y(500)
    y = y[np.lexsort(y.T)]
    assert worst(KFold(3), y) > 0.1
    assert worst(splitter, y) < 1e-3
    assert worst(splitter, y[::-1]) < 1e-3


def test_duplicated_rows():
    y = np.tile([[0.5, 0.5], [0.9, 0.1]], (30, 1))
    for test in held_out(StratifiedSoftKFold(3), y):
        assert deviation(test, y) < 1e-12


def test_many_classes():
    y = make_y(1000, np.full(200, 0.1))
    random = KFold(5, shuffle=True, random_state=0)
    assert worst(random, y) > 3 * worst(StratifiedSoftKFold(5), y)


def test_threads_of_blas_do_not_matter():
    y = make_y(500, np.full(200, 0.1))
    with threadpool_limits(1):
        expected = splits(StratifiedSoftKFold(5), y)
    with threadpool_limits(8):
        assert_same_splits(splits(StratifiedSoftKFold(5), y), expected)


def test_class_without_mass():
    y = np.insert(make_y(), 1, 0.0, axis=1)
    for test in held_out(StratifiedSoftKFold(3), y):
        assert deviation(test, y) < 1e-3
    # A class that only samples of weight 0 have.
    y = np.insert(make_y(), 1, 0.0, axis=1)
    y[4] = [0, 1, 0, 0, 0]
    weight = make_weight()
    weight[4] = 0
    folds = splits(StratifiedSoftKFold(3), y, sample_weight=weight)
    assert_partition(folds, 200)
    assert max(deviation(test, y, weight) for _, test in folds) < 2e-3


def test_rare_class_warns():
    codes = np.zeros(60, dtype=int)
    codes[[5, 40]] = 1
    soft = make_y(60, (1.0, 1.0, 1.0))
    soft[:, 2] = 0
    soft[7] = [0.5, 0.25, 0.25]
    soft /= soft.sum(axis=1, keepdims=True)
    message = "The class {} has mass in only {} of the samples, fewer than n_splits=3"
    for y, name, count in [
        (codes, "1", 2),
        (NAMES[codes], "'perhaps'", 2),
        (np.eye(3)[codes], "1", 2),
        (pd.DataFrame(soft, columns=["a", "b", "c"]), "'c'", 1),
    ]:
        with pytest.warns(UserWarning, match=message.format(name, count)) as record:
            for _ in StratifiedSoftKFold(3).split(codes, y):
                pass
        assert len(record) == 1
        assert record[0].filename == __file__
    # Two folds can have it, and are given it.
    for test in held_out(StratifiedSoftKFold(2), codes):
        assert codes[test].sum() == 1
    # So do groups.
    with pytest.warns(UserWarning, match="in only 1 of the groups, fewer than n_splits=2"):
        splits(StratifiedSoftKFold(2), codes, groups=np.arange(60) % 5)
    # The weight decides, too.
    weight = np.ones(60)
    weight[5] = 0
    with pytest.warns(UserWarning, match="in only 1 of the samples"):
        splits(StratifiedSoftKFold(2), codes, sample_weight=weight)


def test_rare_classes_leave_the_others_balanced():
    y = np.zeros((600, 7))
    y[:, :4] = make_y(600)
    y[[10, 200, 350]] = np.eye(7)[4:]
    with pytest.warns(UserWarning, match="The class 4 has mass in only 1"):
        tests = held_out(StratifiedSoftKFold(5), y)
    plain = worst(KFold(5, shuffle=True, random_state=0), y[:, :4])
    assert plain > 5 * max(deviation(test, y[:, :4]) for test in tests)


@pytest.mark.parametrize("n_samples", [2, 3, 5, 10])
def test_a_sample_per_fold(n_samples):
    y = make_y(n_samples, (2.0, 3.0))
    folds = splits(StratifiedSoftKFold(n_samples), y)
    assert_partition(folds, n_samples)
    with pytest.warns(UserWarning, match="has mass in only"):
        folds = splits(StratifiedSoftKFold(n_samples), np.arange(n_samples))
    assert_partition(folds, n_samples)


def test_more_folds_than_samples():
    y = make_y(4)
    with pytest.raises(ValueError, match=r"n_splits=5 .* number of samples, 4\."):
        splits(StratifiedSoftKFold(5), y)
    with pytest.raises(ValueError, match=r"n_splits=5 .* number of samples, 4\."):
        splits(StratifiedSoftKFold(5), [0, 1, 0, 1])


# Weights


@each_splitter
def test_weighted_masses(splitter):
    y, weight = make_y(800), make_weight(800)
    for train, test in splits(splitter, y, sample_weight=weight):
        assert_allclose(share_of_mass(test, y, weight), len(test) / 800, atol=2e-3)
        assert_allclose(share_of_mass(train, y, weight), len(train) / 800, atol=3e-3)


def test_weighted_labels():
    labels = make_y(800).argmax(axis=1)
    weight = make_weight(800)
    one_hot = np.eye(4)[labels]
    folds = splits(StratifiedSoftKFold(4), labels, sample_weight=weight)
    assert_partition(folds, 800)
    for _, test in folds:
        assert_allclose(share_of_mass(test, one_hot, weight), 0.25, atol=3e-3)


@each_splitter
@pytest.mark.parametrize("value", [2.5, 1e-9])
def test_equal_weights_are_none(splitter, value):
    y = make_y()
    weight = np.full(200, value)
    assert_same_splits(splits(splitter, y, sample_weight=weight), splits(splitter, y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_splits(splits(splitter, y, sample_weight=value), splits(splitter, y))


@pytest.mark.parametrize("exponent", [-1000, 1000])
def test_extreme_weights(exponent):
    """Only their ratios count, to the last bit: 1e-300 and 2e299 are ordinary weights."""
    y, weight = make_y(), make_weight()
    groups, _ = make_groups()
    for splitter in (StratifiedSoftKFold(4), StratifiedSoftShuffleSplit(2, random_state=0)):
        for kwargs in ({}, {"groups": groups}):
            assert_same_splits(
                splits(splitter, y, sample_weight=np.ldexp(weight, exponent), **kwargs),
                splits(splitter, y, sample_weight=weight, **kwargs),
            )


@pytest.mark.parametrize("giant", [100.0, 1e6, 1e20, 1e300])
def test_giant_weight(giant):
    y = make_y(500)
    weight = np.ones(500)
    weight[7] = giant
    folds = splits(StratifiedSoftKFold(5), y, sample_weight=weight)
    assert_partition(folds, 500)
    # The other folds, which it is not in, resemble each other.
    shares = np.stack([y[test].mean(axis=0) for _, test in folds if 7 not in test])
    assert np.ptp(shares, axis=0).max() < 0.1


@each_shuffle
def test_weight_on_few_samples(shuffle):
    y = make_y()
    weight = np.zeros(200)
    weight[[3, 4]] = 1.0
    splitter = StratifiedSoftKFold(4, shuffle=shuffle)
    with pytest.warns(UserWarning, match="in only 2 of the samples"):
        folds = splits(splitter, y, sample_weight=weight)
    assert_partition(folds, 200)
    assert sum(weight[test].sum() > 0 for _, test in folds) == 2


# Groups


@each_shuffle
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_groups(seed, weighted, shuffle):
    groups, y = make_groups(400, 50, seed)
    weight = make_weight(400) if weighted else None
    splitter = StratifiedSoftKFold(4, shuffle=shuffle, random_state=seed if shuffle else None)
    folds = splits(splitter, y, groups=groups, sample_weight=weight)
    assert_partition(folds, 400, sizes=False)
    ours = []
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        ours.append(np.abs(4 * share_of_mass(test, y, weight) - 1).max())
    theirs = [
        np.abs(4 * share_of_mass(test, y, weight) - 1).max()
        for test in held_out(GroupKFold(4), y, groups=groups)
    ]
    assert max(theirs) > 3 * max(ours)
    assert max(ours) < 0.12


def test_group_names_do_not_matter_beyond_their_order():
    groups, y = make_groups(n_groups=20)
    expected = splits(StratifiedSoftKFold(3), y, groups=groups)
    letters = np.array(list("abcdefghijklmnopqrst"))
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(groups, unit="D")
    for names in (
        groups.tolist(),
        1000 * groups - 5,
        groups + 0.5,
        letters[groups],
        letters[groups].tolist(),
        letters[groups].astype(object),
        pd.Series(letters[groups], index=np.arange(200)[::-1]),
        pd.Series(letters[groups]).astype("category"),
        dates.to_numpy(),
    ):
        assert_same_splits(splits(StratifiedSoftKFold(3), y, groups=names), expected)


def test_groups_of_labels():
    groups, y = make_groups(400, 60)
    labels = y.argmax(axis=1)
    assert_same_splits(
        splits(StratifiedSoftKFold(3), labels, groups=groups),
        splits(StratifiedSoftKFold(3), np.eye(4)[labels], groups=groups),
    )


def test_a_group_per_sample_balances_as_none():
    y = make_y()
    folds = splits(StratifiedSoftKFold(4), y, groups=np.arange(200)[::-1])
    assert_partition(folds, 200, sizes=False)
    for _, test in folds:
        assert_allclose(share_of_mass(test, y), 0.25, atol=2e-3)


def test_as_many_groups_as_folds():
    _, y = make_groups()
    groups = np.repeat([2, 7, 5, 1], [20, 100, 50, 30])
    found = held_out(StratifiedSoftKFold(4), y, groups=groups)
    assert sorted(set(groups[test]).pop() for test in found) == [1, 2, 5, 7]
    assert all(len(set(groups[test])) == 1 for test in found)


def test_fewer_groups_than_folds():
    groups, y = make_groups(n_groups=4)
    with pytest.raises(ValueError, match=r"n_splits=5 .* number of groups, 4\."):
        splits(StratifiedSoftKFold(5), y, groups=groups)


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
    assert_partition(folds, len(groups), sizes=False)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) > 0


def test_groups_without_weight():
    groups, y = make_groups()
    weight = make_weight()
    weight[np.isin(groups, [0, 3, 8])] = 0.0
    folds = splits(StratifiedSoftKFold(4), y, groups=groups, sample_weight=weight)
    assert_partition(folds, 200, sizes=False)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])


@each_splitter
def test_bad_groups(splitter):
    y = make_y(40)
    groups = np.repeat(np.arange(10.0), 4)
    groups[5] = np.nan
    with pytest.raises(ValueError, match="groups contains NaN"):
        splits(splitter, y, groups=groups)
    with pytest.raises(ValueError, match="1d array"):
        splits(splitter, y, groups=np.zeros((40, 2)))


# Shuffle split


@pytest.mark.parametrize(
    ("test_size", "train_size"),
    [
        (None, None),
        (0.25, None),
        (None, 0.6),
        (0.25, 0.5),
        (0.301, 0.699),
        (30, None),
        (None, 30),
        (30, 60),
        (30, 0.5),
        (0.1, 77),
        (1, None),
        (None, 1),
        (1, 1),
        (100, 101),
    ],
)
def test_sizes(test_size, train_size):
    y = make_y(201)
    options = {"test_size": test_size, "train_size": train_size, "random_state": 0}
    found = splits(StratifiedSoftShuffleSplit(4, **options), y)
    expected = splits(ShuffleSplit(4, **options), y)
    assert len(found) == 4
    for (train, test), (their_train, their_test) in zip(found, expected, strict=True):
        assert len(train) == len(their_train)
        assert len(test) == len(their_test)
        both = np.concatenate([train, test])
        assert len(set(both.tolist())) == len(both)
        assert both.min() >= 0
        assert both.max() < 201
    if min(len(their_train), len(their_test)) > 1:
        assert len({tuple(sorted(test)) for _, test in found}) == 4


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_shuffle_split_balances_both_sets(seed, rest):
    y = make_y(500, seed=seed)
    options = {"test_size": 0.2, "train_size": 0.5 if rest else None, "random_state": seed}
    plain = splits(ShuffleSplit(5, **options), y)
    found = splits(StratifiedSoftShuffleSplit(5, **options), y)
    for side in (0, 1):
        ours = np.mean([deviation(split[side], y) for split in found])
        theirs = np.mean([deviation(split[side], y) for split in plain])
        assert theirs > 10 * ours


def test_shuffle_split_of_labels():
    labels = make_y(500).argmax(axis=1)
    counts = np.bincount(labels)
    for train, test in splits(StratifiedSoftShuffleSplit(5, test_size=0.3), labels):
        assert np.abs(np.bincount(labels[test]) - 0.3 * counts).max() <= 1
        assert np.abs(np.bincount(labels[train]) - 0.7 * counts).max() <= 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "sizes", [{}, {"test_size": 0.3}, {"test_size": 10, "train_size": 20}, {"train_size": 0.5}]
)
def test_shuffle_split_of_groups(sizes, weighted):
    groups, y = make_groups(600, 60)
    weight = make_weight(600) if weighted else None
    found = splits(
        StratifiedSoftShuffleSplit(4, **sizes, random_state=0),
        y,
        groups=groups,
        sample_weight=weight,
    )
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
        share = share_of_mass(test, y, weight)
        assert_allclose(share, len(in_test) / 60, rtol=0.15)


@pytest.mark.parametrize(
    "sizes",
    [
        {"test_size": 200},
        {"train_size": 201},
        {"test_size": 0.6, "train_size": 0.6},
        {"test_size": 100, "train_size": 101},
        {"train_size": 0.001},
    ],
    ids=str,
)
def test_bad_sizes_as_scikit_learn(sizes):
    y = make_y(200)
    with pytest.raises((ValueError, TypeError)) as expected:
        splits(ShuffleSplit(**sizes), y)
    with pytest.raises(expected.type) as error:
        splits(StratifiedSoftShuffleSplit(**sizes), y)
    assert str(error.value) == str(expected.value)


def test_shuffle_split_of_rare_classes():
    labels = np.repeat([0, 1, 2], [20, 20, 1])
    splitter = StratifiedSoftShuffleSplit(2, test_size=4, random_state=0)
    with pytest.raises(ValueError, match="The class 2 has mass in only 1 of the samples"):
        splits(splitter, labels)
    labels[0] = 2
    with pytest.warns(UserWarning, match="The class 2 has no mass in the test set"):
        splits(splitter, labels)
    for train, test in splits(StratifiedSoftShuffleSplit(2, test_size=0.5), labels):
        assert set(labels[train]) == set(labels[test]) == {0, 1, 2}
    small = StratifiedSoftShuffleSplit(2, test_size=2, random_state=0)
    with pytest.raises(
        ValueError, match="2 of the test set must be at least the number of classes, 3"
    ):
        splits(small, labels)
    one_hot = pd.DataFrame(np.eye(3)[labels], columns=["a", "b", "c"])
    with pytest.warns(
        UserWarning, match="The class '.' has no mass in the test set"
    ) as record:
        splits(small, one_hot)
    assert len(record) == 1
    assert record[0].filename == __file__
    groups = np.r_[0, np.arange(39) % 13 + 1, 0]
    with pytest.warns(UserWarning, match="The class 2 has no mass in the (training|test) set"):
        splits(splitter, labels, groups=groups)


def test_shuffle_split_of_two_samples():
    y = make_y(2)
    for train, test in splits(StratifiedSoftShuffleSplit(3, test_size=1), y):
        assert sorted([*train, *test]) == [0, 1]
    with pytest.raises(ValueError, match="train set will be empty"):
        splits(StratifiedSoftShuffleSplit(3), y[:1])


# What an integer stands for


@pytest.mark.parametrize("cv", [None, 3, np.int64(4)])
def test_check_soft_cv_of_numbers(cv):
    y = make_y()
    splitter = check_soft_cv(cv, y)
    assert type(splitter) is StratifiedSoftKFold
    assert splitter.get_n_splits() == (cv or 5)
    assert not splitter.shuffle
    splitter = check_soft_cv(cv, y.argmax(axis=1))
    assert type(splitter) is StratifiedKFold
    assert splitter.get_n_splits() == (cv or 5)


@pytest.mark.parametrize("hard", [False, True])
def test_check_soft_cv_of_splitters(hard):
    y = make_y()
    target = y.argmax(axis=1) if hard else y
    splitter = KFold(3)
    assert check_soft_cv(splitter, target) is splitter
    folds = splits(splitter, y)
    assert_same_splits(list(check_soft_cv(iter(folds), target).split(y)), folds)
    for cv in ("folds", 3.0, [1, 2], {"a": 1}, object()):
        with pytest.raises(ValueError, match="cv must be an integer >= 2, a splitter"):
            check_soft_cv(cv, target)
    for cv in (1, 0, -3, True):
        with pytest.raises(ValueError, match="cv must be an integer >= 2; got"):
            check_soft_cv(cv, target)
    with pytest.raises(ValueError, match="cv holds no folds"):
        check_soft_cv([], target)
    with pytest.raises(ValueError, match="groups are for a splitter"):
        check_soft_cv(folds, target, np.arange(200))
    # A number of folds keeps groups together, also of labels.
    assert type(check_soft_cv(3, target, np.arange(200))) is StratifiedSoftKFold


# scikit-learn's tools


def make_problem(kind="soft", n_samples=90):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = np.exp(X @ rng.normal(size=(3, 3)) + rng.normal(size=(n_samples, 3)))
    y /= y.sum(axis=1, keepdims=True)
    groups, weight = rng.integers(0, 15, n_samples), rng.uniform(0.5, 2.0, n_samples)
    if kind == "frame":
        y = pd.DataFrame(y, columns=["a", "b", "c"])
    elif kind == "hard":
        y = NAMES[y.argmax(axis=1)]
    return X, y, groups, weight


def rows(y, part):
    return y.iloc[part] if hasattr(y, "iloc") else y[part]


def scores_by_hand(X, y, folds, weight=None):
    scores = []
    for train, test in folds:
        params = {} if weight is None else {"sample_weight": weight[train]}
        model = SoftLabelLogisticRegression().fit(X[train], rows(y, train), **params)
        scores.append(get_scorer("neg_kl_loss")(model, X[test], rows(y, test)))
    return scores


class Spy(StratifiedSoftKFold):
    """Splitter that records what it gets."""

    def split(self, X, y=None, groups=None, sample_weight=None):
        self.got = {"y": y, "groups": groups, "sample_weight": sample_weight}
        return super().split(X, y, groups, sample_weight)


@pytest.mark.parametrize("kind", ["soft", "frame", "hard"])
@pytest.mark.parametrize("name", ["fold", "rest"])
def test_cross_validate(name, kind):
    splitter = SPLITTERS[name]
    X, y, _, _ = make_problem(kind)
    model, scorer = SoftLabelLogisticRegression(), get_scorer("neg_kl_loss")
    expected = scores_by_hand(X, y, list(splitter.split(X, y)))
    result = cross_validate(model, X, y, cv=splitter, scoring=scorer, return_indices=True)
    assert_allclose(result["test_score"], expected, rtol=1e-9)
    assert_same_splits(
        list(zip(result["indices"]["train"], result["indices"]["test"], strict=True)),
        list(splitter.split(X, y)),
    )
    scores = cross_val_score(model, X, y, cv=splitter, scoring=scorer)
    assert_allclose(scores, expected, rtol=1e-9)
    search = GridSearchCV(model, {"C": [1.0, 0.1]}, cv=splitter, scoring=scorer).fit(X, y)
    assert search.n_splits_ == 3
    found = [search.cv_results_[f"split{i}_test_score"][0] for i in range(3)]
    assert_allclose(found, expected, rtol=1e-9)
    sizes, train_scores, test_scores = learning_curve(
        model, X, y, cv=splitter, scoring=scorer, train_sizes=[0.5, 1.0]
    )
    assert len(sizes) == 2
    assert train_scores.shape == test_scores.shape == (2, 3)
    assert_allclose(test_scores[1], expected, rtol=1e-9)


def test_labels_in_scikit_learn_classifiers():
    X, y, _, _ = make_problem("hard")
    scores = cross_val_score(LogisticRegression(), X, y, cv=StratifiedSoftKFold(3))
    assert scores.shape == (3,)
    assert scores.mean() > 0.4


@pytest.mark.parametrize("enabled", [False, True])
def test_groups_in_tools(enabled):
    X, y, groups, _ = make_problem()
    model, scorer = SoftLabelLogisticRegression(), get_scorer("neg_kl_loss")
    expected = scores_by_hand(X, y, list(StratifiedSoftKFold(3).split(X, y, groups)))
    assert not np.allclose(expected, scores_by_hand(X, y, StratifiedSoftKFold(3).split(X, y)))
    splitter = Spy(3)
    with routing(enabled):
        kwargs = {"params": {"groups": groups}} if enabled else {"groups": groups}
        result = cross_validate(model, X, y, cv=splitter, scoring=scorer, **kwargs)
        assert_allclose(result["test_score"], expected, rtol=1e-9)
        assert splitter.got["sample_weight"] is None
        search = GridSearchCV(model, {"C": [1.0]}, cv=splitter, scoring=scorer)
        search.fit(X, y, groups=groups)
        assert search.best_score_ == pytest.approx(np.mean(expected), rel=1e-9)
        split = StratifiedSoftShuffleSplit(2, test_size=5, random_state=0)
        found = cross_validate(
            model, X, y, cv=split, scoring=scorer, return_indices=True, **kwargs
        )["indices"]["test"]
        for test in found:
            assert len(set(groups[test])) == 5


@each_class
def test_requests(splitter_class):
    with routing():
        splitter = splitter_class(3)
        requests = get_routing_for_object(splitter).split.requests
        assert requests == {"groups": True, "sample_weight": False}
        assert splitter.set_split_request(sample_weight=True, groups="patient") is splitter
        requests = get_routing_for_object(splitter).split.requests
        assert requests == {"groups": "patient", "sample_weight": True}
        # Another instance is not touched.
        requests = get_routing_for_object(splitter_class(3)).split.requests
        assert requests == {"groups": True, "sample_weight": False}


@pytest.mark.parametrize("asked", [False, True])
def test_weights_are_routed_where_asked_for(asked):
    X, y, _, weight = make_problem()
    scorer = get_scorer("neg_kl_loss")
    plain = list(StratifiedSoftKFold(3).split(X, y))
    weighted = list(StratifiedSoftKFold(3).split(X, y, sample_weight=weight))
    with routing():
        model = SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        scorer = scorer.set_score_request(sample_weight=False)
        splitter = Spy(3)
        if asked:
            splitter.set_split_request(sample_weight=True)
        result = cross_validate(
            model, X, y, cv=splitter, scoring=scorer, params={"sample_weight": weight}
        )
        expected = scores_by_hand(X, y, weighted if asked else plain, weight)
        assert_allclose(result["test_score"], expected, rtol=1e-9)
        assert (splitter.got["sample_weight"] is weight) == asked
        assert not same_splits(plain, weighted)
        search = GridSearchCV(model, {"C": [1.0]}, cv=splitter, scoring=scorer)
        search.fit(X, y, sample_weight=weight)
        assert search.best_score_ == pytest.approx(np.mean(expected), rel=1e-9)


def test_the_splitter_alone_asks_for_weights():
    X, y, _, weight = make_problem()
    with routing():
        splitter = StratifiedSoftKFold(3).set_split_request(sample_weight=True)
        model, scorer = SoftLabelLogisticRegression(), get_scorer("neg_kl_loss")
        kwargs = {"cv": splitter, "scoring": scorer, "params": {"sample_weight": weight}}
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_validate(model, X, y, **kwargs)


def test_logistic_cv_with_groups_and_splitter():
    X, y, groups, _ = make_problem()
    folds = list(StratifiedSoftKFold(3).split(X, y, groups))
    expected = SoftLabelLogisticRegressionCV(Cs=2, cv=folds).fit(X, y)
    model = SoftLabelLogisticRegressionCV(Cs=2, cv=3).fit(X, y, groups=groups)
    assert_array_equal(model.scores_, expected.scores_)


def test_repeated():
    """A wrapper like RepeatedKFold gives every repetition another random state."""
    X, y, _, _ = make_problem()
    repeated = _RepeatedSplits(StratifiedSoftKFold, n_repeats=3, random_state=0, n_splits=4)
    folds = list(repeated.split(X, y))
    assert len(folds) == repeated.get_n_splits(X, y) == 12
    assert_same_splits(list(repeated.split(X, y)), folds)
    for r in range(3):
        assert_partition(folds[4 * r : 4 * r + 4], 90)
    assert not same_splits(folds[:4], folds[4:8])


def test_check_cv_passes_it_on():
    splitter = StratifiedSoftKFold(3)
    assert check_cv(splitter, make_y(), classifier=True) is splitter
    assert isinstance(splitter, KFold)


def test_groups_without_mass_are_spread():
    groups = np.arange(60) // 2
    weight = np.repeat([1.0, 0.0], 30)
    folds = StratifiedSoftKFold(5).split(make_y(60), make_y(60), groups, weight)
    assert [len(test) for _, test in folds] == [12] * 5


def test_shuffle_split_starts_stratified():
    """Exchanges alone would not get there: the start is random within each leading class."""
    y = np.random.default_rng(0).dirichlet(np.full(3, 0.3), size=20_000)
    codes = y.argmax(axis=1)
    rng = np.random.RandomState(0)
    train, test, rest = deal(codes, [10_000, 4_000, 6_000], rng)
    assert_array_equal(np.sort(np.concatenate([train, test, rest])), np.arange(20_000))
    for part in (train, test, rest):
        share = np.bincount(codes[part]) / len(part)
        assert_allclose(share, np.bincount(codes) / 20_000, atol=5e-4)


@pytest.mark.parametrize("splitter", [StratifiedSoftKFold(2), StratifiedSoftShuffleSplit(2)])
@pytest.mark.parametrize("argument", ["y", "groups", "sample_weight"])
def test_names_of_rows_are_matched(splitter, argument):
    rows = [f"r{i}" for i in range(20)]
    given = {"y": [0, 1] * 10, "groups": range(20), "sample_weight": [1.0] * 20}
    given = {name: pd.Series(values, rows) for name, values in given.items()}
    X = pd.DataFrame(np.zeros((20, 1)), rows)
    assert len(list(splitter.split(X, **given))) == 2
    given[argument] = given[argument].iloc[::-1]
    with pytest.raises(ValueError, match=f"rows of X and {argument} have different labels"):
        next(splitter.split(X, **given))
