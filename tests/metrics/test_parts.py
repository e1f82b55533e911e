"""Scores of batches: the numbers of all rows at once, with one batch in memory."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from sklkl import TopK
from sklkl.batches import Batches
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import get_scorer, make_divergence_scorer, make_fidelity_scorer

N = 90
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
P = pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=["ham", "spam", "eggs"])
LABELS = np.sort(np.array(["ham", "spam", "eggs"])[P.to_numpy().argmax(axis=1)])
W = rng.random(N) * (np.arange(N) >= 20)  # none in the first batch
SOFT = SoftLabelLogisticRegression().fit(X, P)
HARD = LogisticRegression().fit(X, LABELS)
NARROW = LogisticRegression().fit(X[LABELS != "ham"], LABELS[LABELS != "ham"])
TOP = np.argsort(-P.to_numpy(), axis=1)[:, :2]
LISTS = {
    rest: TopK(
        TOP,
        np.take_along_axis(P.to_numpy(), TOP, axis=1),
        classes=list(P),
        rest=rest,
    )
    for rest in ("uniform", "bucket", "renormalize")
}


def batches(*arrays, size=20):
    """Return ``Batches`` that are read once for each of the passes that ``passes`` counts."""

    def source():
        source.passes += 1
        for a in range(0, N, size):
            yield tuple(
                None if x is None else getattr(x, "iloc", x)[a : a + size] for x in arrays
            )

    source.passes = 0
    return Batches(source), source


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("name", ["neg_kl_loss", "d2_kl", "neg_hellinger_loss"])
@pytest.mark.parametrize(
    ("model", "y"),
    [
        (SOFT, P),
        (SOFT, P.iloc[:, ::-1]),
        (SOFT, LABELS),
        (HARD, LABELS),
        (NARROW, LABELS),
        (HARD, P.to_numpy()),
        *[(SOFT, y) for y in LISTS.values()],
    ],
)
def test_scorers(model, y, name, weight):
    scorer = get_scorer(name)
    given, _ = batches(X, y, weight)
    expected = scorer(model, X, y, sample_weight=weight)
    assert_allclose(scorer(model, given), expected, rtol=1e-12)


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize(
    ("y", "passes"), [(P, 2), (LABELS, 1), (LISTS["bucket"], 2), (P.iloc[[0] * N], 2)]
)
def test_score(y, passes, weight):
    y = y.set_index(X.index) if hasattr(y, "iloc") else y
    given, source = batches(X, y, weight)
    expected = SOFT.score(X, y, sample_weight=weight)
    assert_allclose(SOFT.score(given), expected, rtol=1e-12)
    assert source.passes == passes + 1  # that looks at the first batch


def test_options_and_teachers():
    given, _ = batches(X, P, W)
    scorer = make_divergence_scorer("renyi", divergence_params={"order": 2}, base=2)
    assert_allclose(scorer(SOFT, given), scorer(SOFT, X, P, sample_weight=W))
    for name in ("kl", "d2_kl"):
        scorer = make_fidelity_scorer(HARD, name)
        assert_allclose(scorer(SOFT, given), scorer(SOFT, X, sample_weight=W))
    exact = make_divergence_scorer("kl", on_zero="inf")
    assert exact(NARROW, batches(X, LABELS)[0]) == -np.inf


def test_labels_of_small_batches():
    """No warning that most labels of a batch occur once."""
    y = np.arange(N) // 2
    model = SoftLabelLogisticRegression(max_iter=1).set_params(classes=np.arange(N))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    given, _ = batches(X, y, size=10)
    expected = (model.predict(X) == y).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(model.score(given), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda given: SOFT.score(given, P), "got y besides"),
        (lambda given: SOFT.score(given, sample_weight=W), "got sample_weight besides"),
        (lambda given: get_scorer("kl")(SOFT, given, P), "got y_true besides"),
        (lambda given: SOFT.score(Batches(lambda: iter([]))), "0 samples"),
        (lambda given: SOFT.score(batches(X, P, 0 * W)[0]), "sample_weight is zero"),
        (lambda given: SOFT.score(batches(X, np.arange(N) % 3)[0]), "of different types"),
        (lambda given: SOFT.score(of(LABELS, P)), "y holds labels in some parts"),
        (lambda given: SOFT.score(of(P, LABELS)), "y holds labels in some parts"),
        (lambda given: SOFT.score(of(P, P * 2)), r"y\[90\] sums to 2"),
        (lambda given: get_scorer("kl")(SOFT, of(P, P * 2)), r"^y\[90\] sums to 2"),
        (lambda given: SOFT.score(X), "requires y to be passed"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(batches(X, P)[0])


def of(*targets):
    return Batches(lambda: iter([(X, y) for y in targets]))


def test_a_distilled_student_with_unlabelled_samples():
    model = DistilledClassifier(HARD, unlabeled=-1)
    with pytest.raises(TypeError, match="Batches are for fit and score"):
        model.fit(X, LABELS).score(batches(X, LABELS)[0], None)
