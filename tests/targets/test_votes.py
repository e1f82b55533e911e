"""Shares of votes in long tables of any library."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.targets import dawid_skene, vote_shares
from tests._support.messages import matches

ITEM = ["b", "b", "a", "a", "a", "c"]
LABEL = ["yes", "no", "no", None, "no", "maybe"]
TABLE = pd.DataFrame({"item": ITEM, "label": LABEL})


def test_shares_by_name():
    shares = vote_shares(TABLE["item"], TABLE["label"])
    assert shares.proba.columns.tolist() == ["maybe", "no", "yes"]
    assert shares.proba.index.tolist() == ["b", "a", "c"]
    assert shares.proba.index.name == "item"
    assert_array_equal(shares.proba, [[0, 0.5, 0.5], [0, 1, 0], [1, 0, 0]])
    assert shares.n_votes.to_dict() == {"b": 2, "a": 2, "c": 1}


def test_order_of_items_and_classes():
    order = {"items": pd.Index(["c", "a", "b"]), "classes": ["yes", "no", "maybe", "never"]}
    shares = vote_shares(ITEM, LABEL, **order)
    assert shares.proba.index.tolist() == ["c", "a", "b"]
    assert_array_equal(shares.proba, [[0, 0, 1, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0]])


def test_order_of_an_ordered_categorical():
    levels = ["poor", "fair", "good", "best"]
    label = pd.Categorical(["good", "poor", "fair"], levels, ordered=True)
    for own in (label, pd.Series(label)):
        assert vote_shares([0, 0, 1], own).proba.columns.tolist() == levels
    unordered = label.as_unordered()
    assert vote_shares([0, 0, 1], unordered).proba.columns.tolist() == ["fair", "good", "poor"]


def test_weights_and_pseudo_counts():
    shares = vote_shares(ITEM, LABEL, weight=[3, 1, 1, 9, 0, 2], pseudo_count={"no": 1})
    assert_allclose(shares.proba, [[0, 2 / 5, 3 / 5], [0, 1, 0], [2 / 3, 1 / 3, 0]])
    assert shares.n_votes.tolist() == [4, 1, 2]
    even = vote_shares(ITEM, LABEL, items=["d", "a", "b", "c"], pseudo_count=0.5)
    assert_allclose(even.proba.loc["d"], 1 / 3)
    assert_allclose(even.proba.loc["a"], [0.5 / 3.5, 2.5 / 3.5, 0.5 / 3.5])


@pytest.mark.parametrize(
    "label",
    [
        pd.Series([1, 0, 0, None, 0, 2], dtype="Int64"),
        pd.Series([1, 0, 0, np.nan, 0, 2]),
        np.array([1, 0, 0, None, 0, 2], dtype=object),
    ],
)
def test_what_is_missing_is_no_vote(label):
    shares = vote_shares(ITEM, label)
    assert shares.proba.columns.tolist() == [0, 1, 2]
    assert_array_equal(shares.proba, [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 1]])


def test_polars():
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(TABLE)
    shares = vote_shares(table["item"], table["label"])
    assert isinstance(shares.proba, polars.DataFrame)
    assert shares.proba.columns == ["maybe", "no", "yes"]
    assert shares.items.to_list() == ["b", "a", "c"]
    assert shares.items.name == "item"
    assert_array_equal(shares.proba.to_numpy(), [[0, 0.5, 0.5], [0, 1, 0], [1, 0, 0]])
    votes = table.with_columns(who=polars.Series(["x", "y", "x", "x", "y", "x"]))
    result = dawid_skene(votes["item"], votes["who"], votes["label"])
    wanted = dawid_skene(ITEM, votes["who"].to_list(), LABEL)
    assert_array_equal(result.proba.to_numpy(), wanted.proba)
    assert_array_equal(result.confusion.drop("annotator", "true"), wanted.confusion)
    assert result.accuracy.rows() == list(wanted.accuracy.items())
    assert result.confusion["true"].to_list() == ["maybe", "no", "yes"] * 2
    levels = polars.Series(["yes", "no"], dtype=polars.Enum(["yes", "no", "maybe"]))
    assert vote_shares([0, 1], levels).proba.columns.tolist() == ["yes", "no", "maybe"]
    with pytest.raises(TypeError, match="Columns of polars are named by strings"):
        vote_shares(table["item"], [0, 1, 0, 1, 0, 1])
    with pytest.raises(TypeError, match="item must hold values of one kind"):
        vote_shares(polars.Series([0, 0.5], dtype=polars.Object), ["yes", "no"])


def test_results_are_targets():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(50, 2)), index=[f"r{i}" for i in range(50)])
    item = rng.choice(X.index, size=300)
    label = rng.choice(["cat", "dog"], size=300)
    shares = vote_shares(item, label, items=X.index, pseudo_count=1)
    model = SoftLabelLogisticRegression().fit(X, shares.proba, sample_weight=shares.n_votes)
    assert model.classes_.tolist() == ["cat", "dog"]
    with pytest.raises(ValueError, match="different labels"):
        model.fit(X[::-1], shares.proba)


@pytest.mark.parametrize(
    ("item", "label", "options", "message"),
    [
        (ITEM[:5], LABEL, {}, "item has 5, label has 6"),
        (TABLE["item"][::-1], TABLE["label"], {}, "different labels"),
        ([*ITEM[:5], None], LABEL, {}, "item[5] is missing"),
        ([ITEM], [LABEL], {}, "item must be a list of labels"),
        ([], [], {}, "item is empty."),
        (
            ITEM,
            ["no"] * 6,
            {},
            "label names fewer than two classes, ['no']; name all by classes=",
        ),
        (ITEM, LABEL, {"classes": ["no", "yes"]}, "label[5] is 'maybe', none of classes"),
        (ITEM, LABEL, {"items": ["a", "b"]}, "item[5] is 'c', none of items"),
        (ITEM, LABEL, {"items": ["a", "b", "a"]}, "items[2] names 'a' again"),
        (ITEM, LABEL, {"items": [*"abcd"]}, "Without a vote: ['d']"),
        (ITEM[:4], [*LABEL[:3], "yes"], {"weight": [1, 1, 0, 0]}, "Without a vote: ['a']"),
        (ITEM, LABEL, {"weight": [1, 1, 1, 1, 1, -1]}, "`weight`: -1 at row 5"),
        (ITEM, LABEL, {"pseudo_count": {"never": 1}}, "pseudo_count names ['never']"),
        (ITEM, LABEL, {"pseudo_count": -1}, "pseudo_count"),
    ],
)
def test_refusals(item, label, options, message):
    with pytest.raises(ValueError, match=matches(message)):
        vote_shares(item, label, **options)


def test_mixed_labels():
    with pytest.raises(TypeError, match="mixes strings with other labels"):
        vote_shares(ITEM, [1, "no", 1, 1, 1, 1])
