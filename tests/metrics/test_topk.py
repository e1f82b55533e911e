"""Losses and scorers of targets that list a few classes of each sample."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.special import softmax

from sklkl import TopK
from sklkl._core.topk import coarsened
from sklkl.divergences._registry import DIVERGENCES
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import _losses as losses
from sklkl.metrics import (
    d2_kl_score,
    divergence_loss,
    fidelity_report,
    kl_loss,
    loss_interval,
    make_divergence_scorer,
    make_fidelity_scorer,
)

VALUES = {"order": 2.0, "alpha": 0.3, "weight": 0.3}
each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)


def problem(n_samples=30, n_classes=7, k=3):
    rng = np.random.default_rng(0)
    proba = softmax(rng.normal(size=(n_samples, n_classes)), axis=1)
    indices = np.argsort(-proba, axis=1)[:, :k]
    q = softmax(rng.normal(size=proba.shape), axis=1)
    return indices, np.take_along_axis(proba, indices, axis=1), q


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks of 4 rows."""
    monkeypatch.setattr(losses, "SPARSE_BLOCK", 4 * 7)


@pytest.mark.parametrize("rest", ["uniform", "renormalize"])
@each_divergence
def test_losses_are_those_of_the_dense_target(divergence, rest):
    indices, proba, q = problem()
    y = TopK(indices, proba, 7, rest=rest)
    params = {name: VALUES[name] for name in divergence.parameters}
    weight = np.linspace(0.0, 2.0, len(y))
    options = {"divergence": divergence.name, "divergence_params": params}
    options["sample_weight"] = weight
    wanted = divergence_loss(y.to_dense(), q, **options)
    assert_allclose(divergence_loss(y, q, **options), wanted, rtol=1e-13)
    if rest == "renormalize":
        as_csr = divergence_loss(csr_array(y.to_dense()), q, **options)
        assert_allclose(as_csr, wanted, rtol=1e-13)


@each_divergence
def test_a_bucket_is_one_outcome(divergence):
    indices, proba, q = problem()
    # A block of rows that leave nothing, and one in which some do.
    proba[:4] = proba[5] = [0.5, 0.25, 0.25]
    y = TopK(indices, proba, 7, rest="bucket")
    known = np.take_along_axis(q, indices, axis=1)
    p = np.column_stack([y.proba.reshape(-1, 3), y.left])
    q_rows = np.column_stack([known, 1.0 - known.sum(axis=1)])
    params = {name: VALUES[name] for name in divergence.parameters}
    options = {"divergence": divergence.name, "divergence_params": params}
    if divergence.name == "ranked_probability":
        with pytest.raises(ValueError, match="order of classes needs the probability"):
            divergence_loss(y, q, **options)
        return
    wanted = divergence_loss(p, q_rows, **options)
    assert_allclose(divergence_loss(y, q, **options), wanted, rtol=1e-12)
    wanted = divergence_loss(p[:4], q_rows[:4], **options)
    assert_allclose(divergence_loss(y[:4], q[:4], **options), wanted, rtol=1e-12)


def test_zeros_and_predictions_that_are_sparse():
    indices, proba, q = problem()
    y, other = TopK(indices, proba, 7), TopK(indices[::-1], proba[::-1], 7, rest="renormalize")
    dense = y.to_dense(), other.to_dense()
    for pair in ((y, other), (dense[0], other), (y, dense[1])):
        assert_allclose(kl_loss(*pair), kl_loss(*dense), rtol=1e-13)
        assert kl_loss(*pair, on_zero="inf") == np.inf
        with pytest.raises(
            ValueError, match=r"y_proba\[0, \d\] is 0 where y_true\[0, \d\] is"
        ):
            kl_loss(*pair, on_zero="raise")
    assert kl_loss(y, y) == 0.0
    assert_allclose(d2_kl_score(y, q), d2_kl_score(dense[0], q), rtol=1e-12)
    labels = np.argmax(dense[0], axis=1)
    assert_allclose(kl_loss(labels, y), kl_loss(labels, dense[0]), rtol=1e-13)


@pytest.mark.parametrize("named", [False, True])
def test_labels_are_matched_to_sparse_predictions(named):
    indices, proba, _ = problem()
    names = np.array(list("gfedcba"))
    q = TopK(indices, proba, classes=names) if named else TopK(6 - indices, proba, 7)
    labels = names[indices[:, 0]]
    wanted = -np.log(proba[:, 0]).mean()
    with pytest.warns(UserWarning, match="are taken in sorted order"):
        assert_allclose(kl_loss(labels, q, labels=names), wanted, rtol=1e-13)
    if named:  # also of labels that are not there
        some = labels != "a"
        wanted = -np.log(proba[some, 0]).mean()
        assert_allclose(kl_loss(labels[some], q[some]), wanted, rtol=1e-13)


def test_an_infinite_loss_of_a_bucket_is_told_by_class():
    y = TopK([[0, 1], [4, 3]], [[0.6, 0.4], [0.5, 0.3]], 5, rest="bucket")
    row = [0.6, 0.4, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match=r"y_proba\[1, 4\] is 0 where y_true\[1, 4\] is 0.5"):
        kl_loss(y, [row, [0.2, 0.2, 0.1, 0.5, 0.0]], on_zero="raise")
    others = r"y_proba\[1, all classes that are not listed\] is 0 where .* is 0.2"
    with pytest.raises(ValueError, match=others):
        kl_loss(y, [row, [0.0, 0.0, 0.0, 0.5, 0.5]], on_zero="raise")


def test_messages_count_the_rows_of_all_blocks():
    indices, proba, q = problem()
    y = TopK(indices, proba, 7)
    for rest in ("uniform", "bucket"):
        bad = q.copy()
        bad[9] *= 2.0
        with pytest.raises(ValueError, match=r"y_proba\[9\] sums to 2"):
            kl_loss(TopK(indices, proba, 7, rest=rest), bad)
    q[13] = np.eye(7)[indices[13, 1]]
    with pytest.raises(ValueError, match=r"y_proba\[13, \d\] is 0"):
        kl_loss(y, q, on_zero="raise")
    with pytest.raises(ValueError, match="Found inconsistent numbers of samples"):
        kl_loss(y, q[1:])
    with pytest.raises(ValueError, match="y_proba has 6 columns"):
        kl_loss(y, q[:, 1:] / q[:, 1:].sum(axis=1, keepdims=True))


def test_scorers_match_classes_by_name():
    rng = np.random.default_rng(1)
    indices, proba, _ = problem()
    X, names = rng.normal(size=(len(indices), 2)), np.array(list("gfedcba"))
    y = TopK(indices, proba, classes=names)
    model = SoftLabelLogisticRegression(classes=np.sort(names)).fit(X, y)
    wanted = kl_loss(y, model.predict_proba(X)[:, ::-1])
    assert_allclose(-make_divergence_scorer("kl")(model, X, y), wanted, rtol=1e-12)
    score = make_divergence_scorer("d2_kl", on_zero="inf")(model, X, y)
    assert_allclose(score, model.score(X, y), rtol=1e-12)
    unnamed = TopK(6 - indices, proba, 7)
    assert_allclose(-make_divergence_scorer("kl")(model, X, unnamed), wanted, rtol=1e-12)
    with pytest.raises(ValueError, match="but there are 7 classes"):
        make_divergence_scorer("kl")(
            model, X, TopK(indices, proba, 8, classes=list("abcdefgh"))
        )
    with pytest.raises(ValueError, match="nconsistent numbers of samples"):
        model.score(X[1:], y)


@pytest.mark.parametrize("rest", ["uniform", "bucket"])
def test_scorers_restore_what_underflowed(rest):
    rng = np.random.default_rng(3)
    indices, proba, _ = problem()
    X = rng.normal(size=(len(indices), 2))
    y = TopK(indices, proba, 7, rest=rest)
    model = SoftLabelLogisticRegression().fit(X, y)
    logs = model.predict_log_proba(2000.0 * X)
    p = TopK(indices, proba, 7).to_dense()
    if rest == "bucket":
        p, logs = coarsened(y), coarsened(y, logs, logs=True)
    assert logs.min() < -800.0
    wanted = -np.sum(p * logs, axis=1).mean()
    scorer = make_divergence_scorer("cross_entropy", on_zero="inf")
    assert_allclose(-scorer(model, 2000.0 * X, y), wanted, rtol=1e-12)


def test_fidelity_scorers_do_not_look_at_the_target():
    X = np.random.default_rng(4).normal(size=(40, 2))
    labels = np.arange(40) % 4
    teacher = SoftLabelLogisticRegression().fit(X, labels)
    student = SoftLabelLogisticRegression().fit(X[labels < 3], labels[labels < 3])
    y = TopK(labels[:, np.newaxis], np.full((40, 1), 0.8), 4)
    scorer = make_fidelity_scorer(teacher)
    assert scorer(student, X, y) == scorer(student, X, None)


def test_scorers_of_two_classes():
    X = np.random.default_rng(2).normal(size=(20, 2))
    y = TopK((X[:, :1] > 0).astype(int), np.full((20, 1), 0.8), 2)
    model = SoftLabelLogisticRegression().fit(X, y)
    scorer = make_divergence_scorer("kl")
    assert_allclose(scorer(model, X, y), scorer(model, X, y.to_dense()), rtol=1e-13)
    assert_allclose(model.score(X, y), model.score(X, y.to_dense()), rtol=1e-13)


@pytest.mark.parametrize("rest", ["uniform", "renormalize", "bucket"])
def test_intervals(rest):
    indices, proba, q = problem()
    y = TopK(indices, proba, 7, rest=rest)
    options = {"sample_weight": np.linspace(0.0, 2.0, len(y))}
    interval = loss_interval(y, q, **options)
    assert_allclose(interval.estimate, kl_loss(y, q, **options), rtol=1e-13)
    other = q[:, ::-1]
    if rest != "bucket":
        dense = y.to_dense()
        # Predictions may be lists, too.
        for ours, theirs in (
            ((y, q), (dense, q)),
            ((y, q, other), (dense, q, other)),
            ((dense, y, q), (dense, dense, q)),
        ):
            found, expected = (astuple(loss_interval(*x, **options)) for x in (ours, theirs))
            assert_allclose(found, expected)
    else:
        difference = loss_interval(y, q, other, **options).estimate
        expected = interval.estimate - kl_loss(y, other, **options)
        assert_allclose(difference, expected, rtol=1e-12)


@pytest.mark.parametrize("rest", ["uniform", "renormalize"])
def test_reports(rest):
    """Of the truth, by name: the accuracy, and the losses of both models."""
    indices, proba, q = problem()
    X = np.random.default_rng(1).normal(size=(30, 2))
    names = np.array(list("gfedcba"))
    teacher = SoftLabelLogisticRegression(classes=names).fit(X, q)
    student = SoftLabelLogisticRegression(classes=names[::-1]).fit(X, q[:, ::-1])
    for classes in (None, names, names[::-1]):
        y = TopK(indices, proba, 7, classes=classes, rest=rest)
        dense = pd.DataFrame(y.to_dense(), columns=names if classes is None else classes)
        options = {"timing": False, "output_dict": True}
        report, expected = (
            fidelity_report(teacher, student, X, t, **options) for t in (y, dense)
        )
        for model in ("teacher", "student"):
            assert_allclose(list(report[model].values()), list(expected[model].values()))
    bucket = TopK(indices, proba, 7, rest="bucket")
    with pytest.raises(ValueError, match="The accuracy needs the probability of every class"):
        fidelity_report(teacher, student, X, bucket, timing=False)
    with pytest.raises(ValueError, match="y has 8 columns, but the teacher knows 7"):
        fidelity_report(teacher, student, X, TopK(indices, proba, 8), timing=False)
    two = TopK([[0], [1]], [[0.7], [0.8]], classes=["n", "y"])
    pair = SoftLabelLogisticRegression(classes=["y", "n"]).fit(X[:2], [[0.3, 0.7], [0.9, 0.1]])
    report = fidelity_report(pair, pair, X[:2], two, timing=False, output_dict=True)
    assert_allclose(
        report["teacher"]["kl"], kl_loss([[0.3, 0.7], [0.8, 0.2]], pair.predict_proba(X[:2]))
    )
