"""Students of targets that list a few classes of each sample, against dense targets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.sparse import csr_array, csr_matrix
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score

from sklkl import TopK
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer

each_known = pytest.mark.parametrize("rest", ["uniform", "renormalize"])


def problem(n_samples=120, n_features=4, n_classes=8, k=3, seed=0):
    """Return X, and the classes and probabilities of the k most probable."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    proba = softmax(X @ rng.normal(size=(n_features, n_classes)), axis=1)
    indices = np.argsort(-proba, axis=1)[:, :k]
    return X, indices, np.take_along_axis(proba, indices, axis=1)


def fit(X, y, **params):
    params = {"tol": 1e-9, "max_iter": 2000} | params
    return SoftLabelLogisticRegression(**params).fit(X, y)


@each_known
@pytest.mark.parametrize(
    ("params", "weighted"),
    [
        ({}, True),
        ({"temperature": 3.0}, False),
        ({"fit_intercept": False}, False),
        ({"class_weight": "balanced"}, True),
        ({"class_weight": {0: 0.0, 3: 9.0}, "temperature": 0.5}, False),
        ({"l1_ratio": 0.5, "tol": 1e-5}, False),
    ],
)
def test_coefficients_are_those_of_the_dense_target(params, weighted, rest):
    X, indices, proba = problem()
    y = TopK(indices, proba, 8, rest=rest)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X)) if weighted else None
    model, dense = (
        SoftLabelLogisticRegression(**({"tol": 1e-9, "max_iter": 2000} | params)).fit(
            X, target, sample_weight=weight
        )
        for target in (y, y.to_dense())
    )
    atol = 1e-4 if "l1_ratio" in params else 1e-9
    assert_allclose(model.coef_, dense.coef_, atol=atol)
    assert_allclose(model.loss_, dense.loss_, rtol=1e-6)
    assert_allclose(model.predict_proba(X), dense.predict_proba(X), atol=atol)


def test_coefficients_of_float32_and_of_labels_besides():
    X, indices, proba = problem()
    y = TopK(indices, proba, 8)
    labels = np.arange(len(X)) % 8
    for data in (X.astype(np.float32), csr_array(X)):
        model, dense = (
            SoftLabelLogisticRegression(tol=1e-5).fit(
                data, target, labels=labels, label_weight=0.2 * np.ones(len(X))
            )
            for target in (y, y.to_dense())
        )
        assert_allclose(model.coef_, dense.coef_, atol=1e-4)


def test_bucket_is_at_its_optimum():
    """Against a minimiser of SciPy that has the definition and no gradient."""
    X, indices, proba = problem(n_samples=40, n_features=2, n_classes=4, k=2)
    y = TopK(indices, proba, 4, rest="bucket")
    known = np.zeros((40, 4))
    np.put_along_axis(known, indices, proba, axis=1)

    def objective(w):
        W = w.reshape(3, 4)
        log_p = log_softmax(X @ W[:2] + W[2], axis=1)
        others = np.where(known > 0, -np.inf, log_p)
        loss = -np.sum(known * log_p) - y.left @ logsumexp(others, axis=1)
        return loss + 0.5 * np.sum(W[:2] ** 2)

    model = fit(X, y)
    W = np.vstack([model.coef_.T, model.intercept_])
    best = minimize(objective, W.ravel(), options={"gtol": 1e-6})
    assert_allclose(objective(W.ravel()), best.fun, rtol=1e-9)
    assert_allclose(W, best.x.reshape(3, 4), atol=1e-3)


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_sparse_matrices_are_exact_targets(kind):
    X, indices, proba = problem()
    dense = TopK(indices, proba, 8, rest="renormalize").to_dense()
    assert_allclose(fit(X, kind(dense)).coef_, fit(X, dense).coef_, atol=1e-9)
    with pytest.raises(ValueError, match=r"y\[0\] sums to 0.75 .*TopK.from_csr\(y, rest"):
        fit(X[:2], kind([[0.5, 0.25, 0.0], [0.0, 1.0, 0.0]]))
    with pytest.raises(ValueError, match="sparse matrix of integers"):
        fit(X[:2], kind([[1, 0, 0], [0, 1, 0]]))


def test_two_classes():
    X, indices, proba = problem(n_classes=2, k=1)
    y = TopK(indices, proba, classes=["a", "b"])
    dense = np.column_stack(
        [np.where(indices[:, 0] == k, proba[:, 0], 1 - proba[:, 0]) for k in (0, 1)]
    )
    for rest in ("uniform", "bucket"):
        model = fit(X, TopK(indices, proba, 2, rest=rest))
        assert_allclose(model.coef_, fit(X, dense).coef_, atol=1e-9)
    assert fit(X, y).classes_.tolist() == ["a", "b"]


def test_classes_are_matched_by_name():
    X, indices, proba = problem()
    names = np.array(list("hgfedcba"))
    y = TopK(indices, proba, classes=names)
    model = fit(X, y)
    assert model.classes_.tolist() == names.tolist()
    other = fit(X, y, classes=names[::-1])
    assert_allclose(other.coef_[::-1], model.coef_, atol=1e-9)
    assert fit(X, TopK(indices, proba, 8), classes=names).classes_.tolist() == names.tolist()
    with pytest.raises(ValueError, match=r"y has the classes .*'h'.* but there are 7 classes"):
        fit(X, y, classes=names[1:])
    with pytest.raises(ValueError, match="y has 8 columns, but there are 7 classes"):
        fit(X, TopK(indices, proba, 8), classes=names[1:])


def test_many_classes_have_a_metric_each():
    """Beyond 500 classes; the optimum is the dense one, and found without a warning."""
    X, indices, proba = problem(n_samples=300, n_features=3, n_classes=520, k=5)
    y = TopK(indices, proba, 520)
    model, dense = fit(X, y, tol=1e-6), fit(X, y.to_dense(), tol=1e-6)
    assert_allclose(model.coef_, dense.coef_, atol=1e-5)
    assert model.n_iter_ < 20  # 26 with one matrix for all classes, 153 with the bucket below
    for rest in ("renormalize", "bucket"):
        assert fit(X, TopK(indices, proba, 520, rest=rest), tol=1e-3).n_iter_ < 100
    with pytest.warns(ConvergenceWarning):
        fit(X, y, max_iter=2)


def test_path_of_penalties():
    X, indices, proba = problem()
    y = TopK(indices, proba, 8)
    models = [
        SoftLabelLogisticRegressionCV(Cs=[0.1, 10.0], cv=KFold(3)).fit(X, target)
        for target in (y, y.to_dense())
    ]
    assert models[0].C_ == models[1].C_
    assert_allclose(models[0].coef_, models[1].coef_, atol=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"divergence": "reverse_kl"}, "A sparse y is for divergence='kl'"),
        ({"class_weight": "balanced"}, "class_weight needs the probability of every class"),
        ({"class_weight": {k: 0.0 for k in range(8)}}, "class_weight leaves no sample"),
    ],
)
def test_refusals(params, message):
    X, indices, proba = problem()
    rest = "bucket" if "balanced" in params.values() else "uniform"
    with pytest.raises(ValueError, match=message):
        fit(X, TopK(indices, proba, 8, rest=rest), **params)


def test_a_sample_whose_classes_all_have_weight_0():
    """It counts as a dense one does: not at all."""
    X, indices, proba = problem()
    indices[:2], proba[:2] = [[0, 1, 2], [2, 1, 0]], 1 / 3
    for rest in ("uniform", "renormalize"):
        y = TopK(indices, proba, 8, rest=rest)
        factors = {0: 0.0, 1: 0.0, 2: 0.0}
        model, dense = (fit(X, t, class_weight=factors) for t in (y, y.to_dense()))
        assert_allclose(model.coef_, dense.coef_, atol=1e-9)
        assert_allclose(model.loss_, dense.loss_, rtol=1e-9)


@each_known
@pytest.mark.parametrize("class_weight", [None, {0: 0.0, 3: 9.0}])
def test_streams(class_weight, rest):
    """As of dense targets, batch by batch."""
    X, indices, proba = problem()
    y = TopK(indices, proba, 8, rest=rest)
    models = []
    for target in (y, y.to_dense()):
        model = SoftLabelLogisticRegression(tol=1e-9, class_weight=class_weight)
        for rows in (slice(0, 50), slice(50, 120)):
            model.partial_fit(X[rows], target[rows])
        models.append(model)
    assert_allclose(models[0].coef_, models[1].coef_, atol=1e-9)
    assert_allclose(models[0]._posterior.counts, models[1]._posterior.counts)
    assert_allclose(models[0].loss_, models[1].loss_)
    with pytest.raises(ValueError, match="needs the probability of every class"):
        model.partial_fit(X, TopK(indices, proba, 8, rest="bucket"))


def test_other_places_say_what_to_pass():
    X, indices, proba = problem()
    y = TopK(indices, proba, 8)
    model = fit(X, y)
    with pytest.raises(TypeError, match=r"TopK, which is not taken here; .* y.to_dense\(\)"):
        model.coef_inference(X, y)
    with pytest.raises(TypeError, match=r"sparse matrix, which is not .* y.toarray\(\)"):
        model.coef_inference(X, csr_array(y.to_dense()))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fit(X[1:], y)


def test_entries_outside_of_sparse_matrices_are_refused():
    """Before SciPy sorts them, which would write there."""
    good, bad = csr_array(np.eye(3)), csr_array(np.eye(3))
    bad.indptr[1] = 5
    for X, y, name in (
        (good, bad, "y"),
        (bad, np.arange(3), "X"),
        (bad.T, np.arange(3), r"X\.T"),
        (bad, good, "X"),
    ):
        with pytest.raises(ValueError, match=f"{name}.indptr must not fall; at row 1"):
            SoftLabelLogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"X\.indptr must not fall"):
        fit(good, np.arange(3)).predict(bad)
    with pytest.raises(ValueError, match=r"y must have shape .* at least two classes"):
        fit(good, csr_array(np.ones((3, 1))))


def test_scores_and_searches():
    X, indices, proba = problem()
    y = TopK(indices, proba, 8)
    dense, model = y.to_dense(), fit(X, y)
    assert_allclose(model.score(X, y), model.score(X, dense), rtol=1e-12)
    scores = [
        cross_val_score(SoftLabelLogisticRegression(), X, target, cv=KFold(3))
        for target in (y, dense)
    ]
    assert_allclose(scores[0], scores[1], rtol=1e-9)
    search = GridSearchCV(
        SoftLabelLogisticRegression(),
        {"C": [0.1, 10.0]},
        scoring=get_scorer("kl"),
        cv=KFold(3),
    )
    assert search.fit(X, y).best_params_ == search.fit(X, dense).best_params_
    paths = SoftLabelLogisticRegressionCV(Cs=[0.1, 10.0], cv=4)
    assert len(paths.fit(X, y).scores_) == 4
    groups = np.arange(len(X)) // 10
    by_group = list(GroupKFold(4).split(X, groups=groups))
    wanted = clone(paths).set_params(cv=by_group).fit(X, y)
    assert_allclose(paths.fit(X, y, groups=groups).scores_, wanted.scores_)
