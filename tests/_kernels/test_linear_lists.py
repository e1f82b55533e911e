"""Targets that list some classes of each row, in linear models, against dense ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.special import log_softmax, logsumexp, xlogy

from sklkl import TopK
from sklkl._kernels._linear import PROBA, LinearRows
from sklkl.linear_model._loss import LossTerm

TOLERANCE = {np.float64: 1e-13, np.float32: 1e-5}
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
each_rest = pytest.mark.parametrize("rest", ["uniform", "renormalize", "bucket"])


class Lists:
    """Random rows, of which one lists a single class, one all, and one the largest logit."""

    def __init__(self, n_classes, rest, *, dtype=np.float64, n_samples=37, size=1.0):
        rng = np.random.default_rng([n_classes, n_samples])
        rows = []
        for i in range(n_samples):
            count = (1, n_classes, 2)[i] if i < 3 else rng.integers(1, n_classes)
            listed = rng.permutation(n_classes)[:count]
            proba = rng.dirichlet(np.ones(count + (count < n_classes)))[:count]
            proba[1:2] *= i % 4 > 0  # listed, and known to be impossible
            proba /= proba.sum() if count == n_classes else 1.0
            rows.append(dict(zip(listed.tolist(), proba.tolist(), strict=True)))
        with np.errstate(divide="ignore"):
            logs = [{k: float(np.log(p)) for k, p in row.items()} for row in rows]
        self.target = TopK.from_dicts(logs, classes=range(n_classes), rest=rest)
        self.X = rng.normal(size=(n_samples, 3)).astype(dtype)
        self.W = (size * rng.normal(size=(4, n_classes))).astype(dtype).astype(float)
        self.weight = rng.uniform(0.5, 2.0, n_samples)
        self.weight[5::9] = 0.0

    def rows(self, target=None, X=None, **options):
        target = self.target if target is None else target
        terms = [LossTerm(target, self.weight, **options)]
        return LinearRows(self.X if X is None else X, self.W.shape[1], True, terms)

    def loss(self, W):
        """Return the loss by definition: the cross-entropy of the listed and one outcome."""
        log_p = log_softmax(np.column_stack([self.X, np.ones(len(self.X))]) @ W, axis=1)
        total = 0.0
        for i, weight in enumerate(self.weight):
            row, own = self.target[i], log_p[i]
            others = np.delete(own, row.listed)
            loss = -float(row.proba @ own[row.listed])
            if len(others) and self.target.rest == "bucket":
                loss -= row.left[0] * logsumexp(others)
            elif len(others):
                loss -= row.left[0] * others.mean()
            total += weight * loss
        return total


@each_rest
@each_dtype
@pytest.mark.parametrize("n_classes", [3, 7, 17, 40])
def test_loss_is_that_of_the_definition(n_classes, dtype, rest):
    lists = Lists(n_classes, rest, dtype=dtype)
    loss, _ = lists.rows().objective(lists.W)
    assert_allclose(loss, lists.loss(lists.W), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("size", [1.0, 30.0])
@each_dtype
@pytest.mark.parametrize("rest", ["uniform", "renormalize"])
def test_sums_are_those_of_the_dense_target(rest, dtype, size):
    lists = Lists(9, rest, dtype=dtype, size=size)
    dense = lists.rows(lists.target.to_dense().astype(dtype))
    rtol = TOLERANCE[dtype]
    for X in (lists.X, csr_array(lists.X)):
        loss, gradient = lists.rows(X=X).objective(lists.W)
        wanted, wanted_gradient = dense.objective(lists.W)
        assert_allclose(loss, wanted, rtol=rtol)
        assert_allclose(gradient, wanted_gradient, rtol=0, atol=10 * rtol)
    for a, b in zip(
        lists.rows().curvature(lists.W, True, True),
        dense.curvature(lists.W, True, True),
        strict=True,
    ):
        assert_allclose(a, b, rtol=rtol)


@each_rest
def test_gradient_is_that_of_finite_differences(rest):
    lists, h = Lists(7, rest), 1e-3
    rows = lists.rows()
    _, gradient = rows.objective(lists.W)
    for index in np.ndindex(gradient.shape):
        step = np.zeros(gradient.shape)
        step[index] = h
        near, far = (
            rows.objective(lists.W + c * step)[0] - rows.objective(lists.W - c * step)[0]
            for c in (1, 2)
        )
        assert_allclose(gradient[index], (8 * near - far) / (12 * h), rtol=1e-8, atol=1e-8)


@each_rest
def test_a_sure_model_keeps_the_digits_of_its_residuals(rest):
    """The residual of a probability near 1 is the sum of the others, not 1 - p."""
    target = TopK([[0, 1]], [[1.0 - 1e-12, 4e-13]], 4, rest=rest)
    W = np.array([[0.0, -30.0, -31.0, -32.0]])
    rows = LinearRows(np.ones((1, 1)), 4, False, [LossTerm(target, np.ones(1))])
    _, gradient = rows.objective(W)
    assert_allclose(gradient[0, 0], -gradient[0, 1:].sum(), rtol=1e-13)
    assert_allclose(gradient[0, 1], np.exp(-30.0) - target.proba[1], rtol=1e-10)


def test_temperature_and_a_second_term():
    lists = Lists(7, "uniform")
    codes = np.arange(len(lists.X), dtype=np.intp) % 7
    terms = {
        kind: [LossTerm(target, lists.weight, 2.0), LossTerm(codes, lists.weight, 0.7)]
        for kind, target in (("lists", lists.target), ("dense", lists.target.to_dense()))
    }
    both = [LinearRows(lists.X, 7, True, terms[kind]).objective(lists.W) for kind in terms]
    for a, b in zip(*both, strict=True):
        assert_allclose(a, b, rtol=1e-12)


def test_arithmetic_may_be_wider_than_the_data():
    lists = Lists(7, "uniform", dtype=np.float32)
    terms = [LossTerm(lists.target, lists.weight)]
    wide = LinearRows(lists.X, 7, True, terms, dtype=np.float64).objective(lists.W)
    wanted = lists.rows(X=lists.X.astype(float)).objective(lists.W)
    for a, b in zip(wide, wanted, strict=True):
        assert_allclose(a, b, rtol=1e-14)


def test_loss_of_a_bucket_is_least_where_the_sums_agree():
    target = TopK([[0, 2]], [[0.5, 0.2]], 5, rest="bucket")
    rows = LinearRows(np.ones((1, 1)), 5, False, [LossTerm(target, np.ones(1))])
    loss, gradient = rows.objective(np.log([[0.5, 0.1, 0.2, 0.05, 0.15]]))
    assert_allclose(loss, -np.sum(xlogy([0.5, 0.2, 0.3], [0.5, 0.2, 0.3])))
    assert_allclose(gradient, 0.0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("starts", lambda a: a[:-1]),
        ("starts", lambda a: a.astype(np.int32)),
        ("starts", lambda a: a + 1),
        ("starts", lambda a: a[::-1].copy()),
        ("listed", lambda a: a + 2),
        ("listed", lambda a: a - 1),
        ("listed", lambda a: a.astype(np.int64)),
        ("proba", lambda a: a[:-1]),
        ("left", lambda a: a[:-1]),
    ],
)
def test_refuses_lists_that_lead_out_of_an_array(name, change):
    target = TopK([[0, 2], [1, 0]], [[0.5, 0.2], [0.1, 0.2]], 3)
    setattr(target, name, change(getattr(target, name)))
    with pytest.raises(ValueError, match="must fit 2 rows of 3 classes"):
        LinearRows(np.ones((2, 1)), 3, False, [LossTerm(target, np.ones(2))])


@pytest.mark.parametrize(("divergence", "n_logits"), [("reverse_kl", 3), ("kl", 1)])
def test_refuses_lists_for_other_losses(divergence, n_logits):
    target = TopK([[0, 1]], [[0.5, 0.5]], max(2, n_logits))
    term = LossTerm(target, np.ones(1), divergence=divergence)
    with pytest.raises(ValueError, match="for the divergence 'kl' and more than two"):
        LinearRows(np.ones((1, 1)), n_logits, False, [term])


def test_probabilities_of_many_classes_sum_to_one():
    """Of 50,000 floats added one after the other the sum was off by 4e-4."""
    W = 1e-3 * np.random.default_rng(0).normal(size=(2, 50_000))
    X = np.random.default_rng(1).normal(size=(16, 2)).astype(np.float32)
    proba = LinearRows(X, 50_000, False).predict(W, PROBA)
    assert_allclose(proba.sum(axis=1, dtype=float), 1.0, rtol=2e-6)
    lists = TopK(np.arange(32).reshape(16, 2), np.full((16, 2), 0.3), 50_000)
    terms = [[LossTerm(y, np.ones(16))] for y in (lists, lists.to_dense().astype(np.float32))]
    exact = LinearRows(X.astype(float), 50_000, False, terms[0]).objective(W)
    for term, atol in zip(terms, (1e-6, 1e-4), strict=True):
        loss, gradient = LinearRows(X, 50_000, False, term).objective(W)
        assert_allclose(loss, exact[0], rtol=1e-6)
        assert_allclose(gradient, exact[1], rtol=0, atol=atol)
