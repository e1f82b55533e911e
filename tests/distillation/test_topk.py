"""Distilling the top-k classes of a teacher, against the dense probabilities."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import TopK
from sklkl.distillation import DistilledClassifier
from sklkl.distillation._probability import smooth, temper
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import get_scorer

NAMES = np.array(list("fedcba"))


def problem(rest="uniform", **options):
    """Return X, labels, and the three most probable of six classes, by name."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    proba = softmax(X @ rng.normal(size=(3, 6)), axis=1)
    indices = np.argsort(-proba, axis=1)[:, :3]
    listed = np.take_along_axis(proba, indices, axis=1)
    y = NAMES[[rng.choice(6, p=p) for p in proba]]
    return X, y, TopK(indices, listed, classes=NAMES, rest=rest, **options)


def student():
    return SoftLabelLogisticRegression(tol=1e-8, max_iter=1000)


def as_frame(target):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(target.to_dense(), columns=NAMES)


@pytest.mark.parametrize("rest", ["uniform", "renormalize"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_tempered_and_smoothed_rows_are_those_of_the_dense_ones(temperature, rest):
    _, _, target = problem(rest)
    dense = target.to_dense()
    assert_allclose(
        temper(target, temperature).to_dense(), temper(dense, temperature), atol=1e-15
    )
    for share in (0.0, 0.3, 1.0):
        assert_allclose(smooth(target, share).to_dense(), smooth(dense, share), atol=1e-15)


def test_zeros_stay_zeros_at_any_temperature():
    target = TopK([[0, 1]], [[0.9, 0.0]], 4)
    tempered = temper(target, 3.0).to_dense()
    assert_allclose(tempered, temper(target.to_dense(), 3.0), atol=1e-15)
    assert tempered[0, 1] == 0.0


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 3.0},
        {"smoothing": 0.1},
        {"hard_label_weight": 0.4},
        {"hard_label_weight": 1.0},
        {"temperature": 3.0, "hard_label_weight": 0.4, "smoothing": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("rest", ["uniform", "renormalize"])
def test_students_are_those_of_the_dense_probabilities(params, rest):
    X, y, target = problem(rest)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    sparse, dense = (
        DistilledClassifier(None, student=student(), **params).fit(
            X, y, teacher_proba=proba, sample_weight=weight
        )
        for proba in (target, as_frame(target))
    )
    assert_array_equal(sparse.classes_, np.sort(NAMES))
    assert_allclose(sparse.predict_proba(X), dense.predict_proba(X), atol=1e-7)
    assert_allclose(sparse.score(X, target), dense.score(X, as_frame(target)), atol=1e-7)


def test_samples_without_labels():
    X, y, target = problem()
    y = y.astype(object)
    y[::3] = None
    options = {"hard_label_weight": 0.5, "unlabeled": np.nan, "unlabeled_weight": 0.7}
    sparse, dense = (
        DistilledClassifier(None, student=student(), **options).fit(X, y, teacher_proba=proba)
        for proba in (target, as_frame(target))
    )
    assert_allclose(sparse.predict_proba(X), dense.predict_proba(X), atol=1e-7)
    assert_allclose(sparse.score(X, target), dense.student_.score(X, target), atol=1e-7)
    alone = DistilledClassifier(None, student=student()).fit(X, teacher_proba=target)
    assert_array_equal(alone.classes_, NAMES)


def test_a_bucket_and_a_sparse_matrix():
    X, y, target = problem("bucket")
    model = DistilledClassifier(None, student=student()).fit(X, teacher_proba=target)
    direct = student().fit(X, target)
    assert_allclose(model.student_.coef_, direct.coef_, atol=1e-9)
    with pytest.raises(ValueError, match="A temperature needs the probability of every class"):
        DistilledClassifier(None, temperature=2.0).fit(X, teacher_proba=target)
    labels = DistilledClassifier(None, student(), temperature=2.0, hard_label_weight=1.0)
    wanted = student().fit(X, y).coef_
    model = labels.fit(X, y, teacher_proba=target)
    assert_allclose(model.student_.coef_, wanted, atol=1e-6)
    exact = problem("renormalize")[2].to_dense()
    for proba in (csr_array(exact), exact):
        model = DistilledClassifier(None, student=student()).fit(X, teacher_proba=proba)
        assert_array_equal(model.classes_, range(6))
        wanted = student().fit(X, exact).coef_
        assert_allclose(model.student_.coef_, wanted, atol=1e-9)


def test_pipelines_and_searches():
    X, y, target = problem()
    scaled = make_pipeline(StandardScaler(), student())
    sparse, dense = (
        DistilledClassifier(None, student=scaled).fit(X, y, teacher_proba=proba)
        for proba in (target, as_frame(target))
    )
    assert_allclose(sparse.predict_proba(X), dense.predict_proba(X), atol=1e-7)
    best = [
        GridSearchCV(
            DistilledClassifier(None),
            {"temperature": [1.0, 5.0]},
            scoring=get_scorer("kl"),
            cv=KFold(3),
        ).fit(X, y, teacher_proba=proba)
        for proba in (target, as_frame(target))
    ]
    assert_allclose(*(search.cv_results_["mean_test_score"] for search in best), rtol=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"calibrate": True}, "calibrate of this DistilledClassifier needs the probability"),
        ({"tune": True}, "tune of this"),
        ({"loss_correction": 0.5}, "loss_correction of this"),
        ({"cross_fit": 3}, "cross_fit of this"),
        ({"divergence": "reverse_kl"}, "divergence of this"),
        (
            {"student": GaussianNB()},
            "SoftLabelLogisticRegression, also at the end of a pipeline",
        ),
    ],
)
def test_refusals(params, message):
    X, y, target = problem()
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(None, **params).fit(X, y, teacher_proba=target)


def test_refusals_of_targets_and_classes():
    X, y, target = problem()
    with pytest.raises(ValueError, match="y must hold labels, or be left out"):
        DistilledClassifier(None).fit(X, target.to_dense(), teacher_proba=target)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DistilledClassifier(None).fit(X, y, teacher_proba=target[1:])
    own = SoftLabelLogisticRegression(classes=[*NAMES, "g"])
    with pytest.raises(ValueError, match=r"teacher's TopK has the classes .* there are 7"):
        DistilledClassifier(None, student=own).fit(X, y, teacher_proba=target)
    unnamed = TopK([[0, 1]] * 80, [[0.5, 0.4]] * 80, 7)
    with pytest.raises(
        ValueError, match=r"7 columns, but there are 6 classes.*classes of a TopK"
    ):
        DistilledClassifier(None).fit(X, y, teacher_proba=unnamed)
