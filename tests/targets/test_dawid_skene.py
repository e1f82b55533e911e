"""The EM algorithm against its definition in many digits, and what it is good for."""

import warnings

import numpy as np
import pandas as pd
import pytest
from mpmath import mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import kl_loss
from sklkl.targets import dawid_skene, vote_shares
from tests._support.messages import matches
from tests._support.reference import workdps


def em_in_many_digits(votes, classes, known, pseudo_count, n_iter):
    """Return probabilities by item after some iterations, written as the formulas stand."""
    items = list(dict.fromkeys(item for item, _, _ in votes))
    annotators = list(dict.fromkeys(who for _, who, _ in votes))
    share = {i: {j: mpf(0) for j in classes} for i in items}
    for item, _, label in votes:
        share[item][label] += 1
    t = {i: {j: v / sum(own.values()) for j, v in own.items()} for i, own in share.items()}
    t |= {i: {j: mpf(j == true) for j in classes} for i, true in known.items()}
    c = mpf(pseudo_count)
    for _ in range(n_iter):
        prior = {j: c + sum(t[i][j] for i in items) for j in classes}
        prior = {j: v / sum(prior.values()) for j, v in prior.items()}
        theta = {}
        for a in annotators:
            for j in classes:
                row = {k: c for k in classes}
                for item, who, label in votes:
                    if who == a:
                        row[label] += t[item][j]
                theta[a, j] = {k: v / sum(row.values()) for k, v in row.items()}
        for i in set(items) - set(known):
            product = dict(prior)
            for item, who, label in votes:
                if item == i:
                    product = {j: v * theta[who, j][label] for j, v in product.items()}
            t[i] = {j: v / sum(product.values()) for j, v in product.items()}
    return np.array([[float(t[i][j]) for j in classes] for i in items])


def crowd(seed, n_items=40, reliability=(0.9, 0.8, 0.6, 0.5), n_classes=3, missing=0.3):
    """Return true classes, and votes as rows of item, annotator and label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n_items)
    return truth, judge(rng, truth, reliability, n_classes, missing)


def judge(rng, truth, reliability, n_classes, missing):
    votes = []
    for a, chance in enumerate(reliability):
        right = rng.random(len(truth)) < chance
        other = (truth + rng.integers(1, n_classes, size=len(truth))) % n_classes
        voted = rng.random(len(truth)) >= missing
        votes += [
            (i, f"w{a}", int(truth[i] if right[i] else other[i]))
            for i in np.flatnonzero(voted).tolist()
        ]
    return votes


@pytest.mark.parametrize(("pseudo_count", "with_known"), [(0.1, False), (0.5, True)])
def test_definition(pseudo_count, with_known):
    truth, votes = crowd(0, n_items=20)
    known = {i: int(truth[i]) for i in (votes[0][0], votes[3][0])} if with_known else {}
    with workdps(25):
        exact = em_in_many_digits(votes, range(3), known, pseudo_count, n_iter=100)
    result = dawid_skene(*zip(*votes, strict=True), known=known, pseudo_count=pseudo_count)
    assert_allclose(result.proba, exact, rtol=0, atol=1e-6)


def test_it_ends_at_the_optimum():
    _, votes = crowd(1)
    columns = list(zip(*votes, strict=True))
    far = dawid_skene(*columns, tol=1e-13, max_iter=10**5)
    near = dawid_skene(*columns, tol=1e-4)
    assert near.n_iter < far.n_iter
    assert_allclose(near.proba, far.proba, rtol=0, atol=2e-4)
    assert near.log_likelihood <= far.log_likelihood
    with pytest.warns(ConvergenceWarning, match="No convergence in 3 iterations"):
        dawid_skene(*columns, max_iter=3)


def test_reliabilities():
    truth, votes = crowd(2, n_items=2000, missing=0.2)
    result = dawid_skene(*zip(*votes, strict=True))
    assert_allclose(result.accuracy, [0.9, 0.8, 0.6, 0.5], atol=0.05)
    assert result.accuracy.index.tolist() == ["w0", "w1", "w2", "w3"]
    assert_allclose(result.confusion.sum(axis=1), 1)
    assert_allclose(result.confusion.loc[("w1", 2)], [0.1, 0.1, 0.8], atol=0.05)
    named = pd.Series(truth)[result.items]
    shares = vote_shares([v[0] for v in votes], [v[2] for v in votes], items=result.items)
    assert kl_loss(named, result.proba) < 0.8 * kl_loss(named, shares.proba)


def test_known_items_correct_a_majority_that_is_wrong():
    truth, votes = crowd(3, n_items=300, reliability=(0.9, 0.2, 0.2, 0.2, 0.2), n_classes=2)
    columns = list(zip(*votes, strict=True))
    known = dict(list(enumerate(truth.tolist()))[:60])
    known = pd.Series({i: t for i, t in known.items() if i in columns[0]})
    for given, least, most in ((None, 0.0, 0.5), (known, 0.9, 1.0)):
        result = dawid_skene(*columns, known=given)
        right = np.mean(result.proba.idxmax(axis=1) == truth[result.proba.index])
        assert least <= right <= most
    assert_array_equal(result.proba.loc[known.index], np.eye(2)[known])


def test_weights_and_repeated_votes():
    _, votes = crowd(4)
    twice = dawid_skene(*zip(*votes, *votes, strict=True))
    weighted = dawid_skene(*zip(*votes, strict=True), weight=np.full(len(votes), 2))
    assert_allclose(weighted.proba, twice.proba, atol=1e-12)
    assert_allclose(weighted.n_votes, twice.n_votes)


def test_prior_by_name():
    _, votes = crowd(5, n_items=10)
    columns = list(zip(*votes, strict=True))
    plain = dawid_skene(*columns)
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=len(plain.items))
    prior = pd.DataFrame(proba, index=plain.items, columns=[0, 1, 2])
    wanted = dawid_skene(*columns, prior=proba, items=plain.items)
    assert_array_equal(dawid_skene(*columns, prior=prior.iloc[::-1, ::-1]).proba, wanted.proba)
    assert abs(wanted.proba - plain.proba).to_numpy().max() > 0.01
    # Default names are the items' where these are just the numbers 0, 1, ...
    default = prior.sort_index().reset_index(drop=True)
    assert plain.items.tolist() != default.index.tolist()
    assert_array_equal(dawid_skene(*columns, prior=default).proba, wanted.proba)
    words = [f"item {i}" for i in columns[0]]
    named = {"items": [f"item {i}" for i in plain.items]}
    by_position = prior.reset_index(drop=True)
    result = dawid_skene(words, *columns[1:], prior=by_position, **named)
    assert_array_equal(result.proba, wanted.proba)
    for of, unnamed in ((columns[0], proba), (words, proba), (words, by_position)):
        with pytest.raises(ValueError, match="rows of prior have no names: pass items="):
            dawid_skene(of, *columns[1:], prior=unnamed)
    with pytest.raises(ValueError, match="prior names an item twice"):
        dawid_skene(*columns, prior=pd.concat([prior, prior.iloc[:1]]))
    prior.loc[99] = [0.2, 0.3, 0.5]  # which has no vote
    more = dawid_skene(*columns, prior=prior, items=prior.index)
    assert_allclose(more.proba.loc[99], prior.loc[99], rtol=1e-12)
    assert_allclose(more.proba.iloc[:-1], wanted.proba, atol=0.05)
    with pytest.raises(ValueError, match="prior has no row for the items"):
        dawid_skene(*columns, prior=prior[1:])  # named by items
    with pytest.raises(ValueError, match=r"prior has \d rows for \d+ items"):
        dawid_skene(*columns, prior=proba[1:], items=plain.items)
    with pytest.raises(ValueError, match="a row of probabilities per item"):
        dawid_skene(*columns, prior=[0, 1, 2])


def test_priors_of_zero():
    """What is known is certain whatever the prior says; what that excludes is impossible."""
    columns = list("aabbcc"), list("uvuvuv"), list("xyyyxy")
    prior = pd.DataFrame([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]], ["a", "b", "c"], ["x", "y"])
    result = dawid_skene(*columns, prior=prior, known={"a": "y"}, pseudo_count=0.1)
    assert_array_equal(result.proba.loc[["a", "b"]], [[0, 1], [1, 0]])
    assert np.isfinite(result.log_likelihood)
    result = dawid_skene(*columns, prior=prior, known={"c": "y"}, pseudo_count=0)
    assert_array_equal(result.proba, [[1, 0], [1, 0], [0, 1]])


def test_probabilities_of_many_votes_sum_to_1():
    _, votes = crowd(6)
    proba = dawid_skene(*zip(*votes, strict=True), weight=np.full(len(votes), 1e12)).proba
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_likelihood_never_falls(with_prior):
    _, votes = crowd(7, n_items=15)
    columns = list(zip(*votes, strict=True))
    items = list(dict.fromkeys(columns[0]))
    prior = np.random.default_rng(0).dirichlet([0.3] * 3, len(items)) if with_prior else None
    options = {"prior": prior, "items": items, "pseudo_count": 10.0, "tol": 1e-15}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [dawid_skene(*columns, max_iter=m, **options) for m in range(1, 12)]
    assert (np.diff([result.log_likelihood for result in found]) > -1e-9).all()


def test_students_of_shares_of_em_and_of_both_together():
    """Five annotators, 95 to 34 % reliable, who judge 65 % of the items each."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(5, 3))
    X, X_new = rng.normal(size=(1500, 5)), rng.normal(size=(2000, 5))
    truth = np.array([rng.choice(3, p=p) for p in softmax(X @ W, axis=1)])
    votes = judge(rng, truth, (0.95, 0.8, 0.65, 0.5, 0.34), 3, 0.35)
    item, who, label = zip(*votes, strict=True)
    items = sorted(set(item))
    X = X[items]
    shares = vote_shares(item, label, items=items).proba
    majority = np.eye(3)[shares.to_numpy().argmax(axis=1)]
    em = dawid_skene(item, who, label, items=items).proba
    student = SoftLabelLogisticRegression()
    joint = em
    for _ in range(4):
        prior = student.fit(X, joint).predict_proba(X)
        joint = dawid_skene(item, who, label, items=items, prior=prior).proba
    losses = [
        kl_loss(softmax(X_new @ W, axis=1), student.fit(X, y).predict_proba(X_new))
        for y in (shares, majority, em, joint)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[3] < 0.02 < 0.1 < losses[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"known": {99: 0}}, ValueError, "known has [99], which are none of the items"),
        ({"known": {0: 7}}, ValueError, "known has [7], which are none of the classes"),
        ({"known": pd.Series([0, 1], [0, 0])}, ValueError, "known names an item twice"),
        ({"known": [0, 1]}, TypeError, "known must be a dictionary or a Series"),
        ({"pseudo_count": -1}, ValueError, "pseudo_count"),
        ({"tol": 0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"items": range(41)}, ValueError, "Without a vote: [40]"),
    ],
)
def test_refusals(options, error, message):
    votes = crowd(0, missing=0)[1]
    with pytest.raises(error, match=matches(message)):
        dawid_skene(*zip(*votes, strict=True), **options)


def test_without_pseudo_counts_and_votes_that_contradict_what_is_known():
    votes = [("a", "x", 0), ("b", "x", 1), ("c", "x", 0), ("a", "y", 0), ("b", "y", 1)]
    columns = list(zip(*votes, strict=True))
    result = dawid_skene(*columns, known={"a": 1, "b": 1, "c": 0}, pseudo_count=0)
    assert_array_equal(result.proba, [[0, 1], [0, 1], [1, 0]])
    # y never voted on an item of class 0.
    assert_array_equal(result.confusion.loc["y"], [[0.5, 0.5], [0.5, 0.5]])
    assert np.isfinite(result.log_likelihood)
