"""The population stability index: by hand, in bins of quantiles, with levels unseen."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from sklkl.divergences import jeffreys_divergence, population_stability_index
from tests._support.messages import matches


def test_counts_by_hand():
    p, q = np.array([500, 300, 200]) / 1000, np.array([40, 40, 20]) / 100
    wanted = np.sum((p - q) * np.log(p / q))
    assert_allclose(population_stability_index([500, 300, 200], [40, 40, 20]), wanted)
    bits = population_stability_index([500, 300, 200], [40, 40, 20], base=2)
    assert_allclose(bits, wanted / np.log(2))


def test_levels_by_name_of_which_some_are_new_or_gone():
    old = pd.Series({"a": 5, "b": 3, "gone": 2, "never": 0})
    new = pd.Series({"new": 1, "b": 6, "a": 3, "never": 0})
    assert population_stability_index(old, new) == np.inf
    index = population_stability_index(old, new, pseudo_count=0.5)
    wanted = jeffreys_divergence(
        np.array([5.5, 3.5, 2.5, 0.5]) / 12, np.array([3.5, 6.5, 0.5, 1.5]) / 12
    )
    assert_allclose(index, wanted)
    seen = pd.Series({"b": 1, "a": 1})
    assert_allclose(population_stability_index(seen, pd.Series({"a": 3, "b": 3})), 0)


@pytest.mark.parametrize(
    "kind", ["list", "object", "category", "string", "numbers", "interval", "bool", "polars"]
)
def test_samples_of_categories(kind):
    """The index of their counts, of which what is missing is a level."""
    rng = np.random.default_rng(0)
    old, new = rng.integers(3, size=200), rng.integers(4, size=90)
    words = np.array(["CH", "DE", "AT", "IT"], dtype=object)
    if kind == "numbers":  # of a categorical are no counts
        samples = [pd.Series(x, dtype="category") for x in (old, new)]
    elif kind == "interval":
        samples = [pd.cut(x, [-1, 0, 1, 2, 3]) for x in (old, new)]
    elif kind == "bool":
        old, new = old > 1, new > 1
        samples = [old, new]
    else:
        words[1] = None
        old, new = words[old], words[new]
        samples = [old, new] if kind == "object" else [old.tolist(), new.tolist()]
        if kind in ("category", "string"):
            samples = [pd.Series(x, dtype=kind) for x in samples]
        if kind == "polars":
            polars = pytest.importorskip("polars")
            samples = [polars.Series(x) for x in samples]
    counts = [pd.Series(x).value_counts(dropna=False).to_dict() for x in (old, new)]
    levels = list(counts[0] | counts[1])
    wanted = [[c.get(level, 0) for level in levels] for c in counts]
    index = population_stability_index(*samples, pseudo_count=0.5)
    assert_allclose(index, population_stability_index(*wanted, pseudo_count=0.5))
    assert index > 0


def test_samples_against_counts():
    samples = pd.Series(["a", "b", "a"])
    for pair in ((samples, samples.value_counts()), (samples.value_counts(), samples)):
        with pytest.raises(ValueError, match=r"holds samples of categories, .*value_counts"):
            population_stability_index(*pair)
    with pytest.raises(ValueError, match="must hold a category per sample"):
        population_stability_index([["a"], ["b"]], ["a", "b"])
    with pytest.raises(TypeError, match="must hold categories: unhashable"):
        population_stability_index(np.array(["a", None, []], dtype=object), ["a", "b"])


def test_quantile_bins():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=1003), rng.normal(0.3, size=500)
    old.sort()
    edges = [(old[i] + old[i + 1]) / 2 for i in (250, 501, 752)]  # after the quantiles
    bins = [-np.inf, *edges, np.inf]
    counts = [pd.cut(x, bins).value_counts().to_numpy() for x in (old, new)]
    wanted = population_stability_index(*counts)
    assert_allclose(population_stability_index(old, new, bins=4), wanted)
    assert_allclose(population_stability_index(old, new, bins=edges), wanted)


def test_rounding_is_no_drift():
    grid = np.random.default_rng(0).integers(1, 21, size=500) / 20
    for values in ([0.1, 0.2, 0.3], grid, [-np.inf, 0.1, np.inf]):
        for dtypes in ((np.float64, np.float32), (np.float32, np.float64)):
            old, new = (np.array(values, dtype) for dtype in dtypes)
            assert population_stability_index(old, new, bins=3) == 0.0
    near = [1.0, np.nextafter(1, 2)]
    index = population_stability_index(near, near[:1] * 3 + near[1:], bins=2)
    assert_allclose(index, population_stability_index([1, 1], [3, 1]))


def test_default_names_are_no_names():
    named, default = pd.Series([10, 20, 30], list("xyz")), pd.Series([30, 20, 10])
    wanted = population_stability_index([10, 20, 30], [30, 20, 10])
    for pair in ((named, default), (default, named)):
        assert_allclose(population_stability_index(*pair), wanted)
    with pytest.raises(ValueError, match="which may be no names at all"):
        population_stability_index(named.set_axis([2, 1, 0]), default)


def test_ties_and_missing_numbers():
    old = [0, 0, 0, 0, 0, 0, 1, 2, 3, 3]
    # Bins: 0, from there to 1, to 2, to 3 and beyond.
    index = population_stability_index(old, [0, 0, 0, 1, 2, 4], bins=10)
    assert_allclose(index, population_stability_index([6, 1, 1, 2], [3, 1, 1, 1]))
    with_missing = population_stability_index([*old, np.nan], [0, 1, 2, 3, np.nan], bins=10)
    wanted = population_stability_index([6, 1, 1, 2, 1], [1, 1, 1, 1, 1])
    assert_allclose(with_missing, wanted)
    assert population_stability_index(old, [0, 1, 2, 3, np.nan], bins=10) == np.inf
    few = population_stability_index([0, 1] + [2] * 38, [0, 1, 2, 3], bins=10)
    assert_allclose(few, population_stability_index([2, 38], [2, 2]))


def test_chance_alone():
    rng = np.random.default_rng(0)
    values = [
        population_stability_index(rng.normal(size=200), rng.normal(size=200), bins=10)
        for _ in range(1000)
    ]
    assert abs(np.mean(np.array(values) > 0.1) - chi2.sf(10, 9)) < 0.05


def test_levels_of_other_kinds():
    with pytest.raises(ValueError, match="have no levels in common"):
        population_stability_index(pd.Series([1, 2], ["1", "2"]), pd.Series([1, 2], [1, 2]))
    with pytest.raises(ValueError, match=r"no levels in common: \['1', '2'\] and \[1, 2\]"):
        population_stability_index(["1", "2", "1"], pd.Categorical([1, 2]), pseudo_count=0.5)
    flags = pd.Series([True, False, True, None]).value_counts(dropna=False)
    numbers = pd.Series([1, 0, None, 2]).value_counts(dropna=False)
    index = population_stability_index(flags, numbers, pseudo_count=1)
    assert_allclose(index, population_stability_index([3, 2, 2, 1], [2, 2, 2, 2]))
    for gone in ([None] * 3, np.full(3, np.nan)):
        index = population_stability_index(["a", None, "a"], gone, pseudo_count=1)
        assert_allclose(index, population_stability_index([2, 1], [0, 3], pseudo_count=1))
    missing = pd.Series(["a", None, "a", "b"]).value_counts(dropna=False)
    index = population_stability_index(missing, pd.Series({"a": 1, "b": 1}), pseudo_count=1)
    assert_allclose(index, population_stability_index([3, 2, 2], [2, 2, 1]))


@pytest.mark.parametrize(
    ("reference", "current", "options", "message"),
    [
        ([0.5, 0.5], [0.4, 0.6], {}, "reference[0] is 0.5; pass how often"),
        ([5, 5], [4, -1], {}, "current[1] is -1"),
        (pd.Series({"a": 1}), pd.Series({"b": 0.5, "a": 1}), {}, "current['b'] is 0.5"),
        ([5, 5], [0, 0], {}, "current has no counts"),
        ([5, 5], [4, 1, 2], {}, "reference has 2 levels and current 3"),
        ([[5, 5]], [4, 1], {}, "a count per level"),
        (
            pd.Series([1, 2], ["a", "a"]),
            pd.Series([1, 2], ["a", "b"]),
            {},
            "several levels alike",
        ),
        ([5, 5], [4, 1], {"pseudo_count": -1}, "pseudo_count"),
        ([5.0], [4.0], {"bins": 1}, "bins must be"),
        ([5.0], [4.0], {"bins": [2, 1]}, "increasing"),
        ([np.nan], [4.0], {"bins": 2}, "nothing but missing"),
        ([1, np.nan, 1], [1, 2, 0], {"bins": 5}, "reference holds the single value 1,"),
        ([1, 2, 3], [10, 20], {"bins": [np.nan]}, "bins must be"),
        ([1e308, 1e308], [4, 5], {}, "reference has counts whose sum is too large"),
        ([], [4.0], {"bins": 2}, "a number per sample"),
    ],
)
def test_refusals(reference, current, options, message):
    with pytest.raises(ValueError, match=matches(message)):
        population_stability_index(reference, current, **options)
