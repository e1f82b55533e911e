"""The objective against its definition, finite differences, and other divisions of rows."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.special import entr, rel_entr, softmax

from sklkl._optimize.lbfgs import minimize
from sklkl._optimize.objective import DIAGONAL, EXACT, FULL
from sklkl.linear_model import _objective, _rows
from sklkl.linear_model._loss import LossTerm
from sklkl.linear_model._objective import MAX_FULL_CURVATURE, KLObjective
from sklkl.linear_model._rows import rows_of
from sklkl.linear_model._stats import Stats
from tests._support.problems import make_problem

N_FEATURES = 4

# What metric() adds to the curvature of classes so that it has an inverse.
RIDGE = 1e-6

each_n_classes = pytest.mark.parametrize("n_classes", [2, 3])


def make_data(n_classes, soft=True, dtype=np.float64):
    """Return X, of which a third are zeros, targets and weights."""
    problem = make_problem(n_classes, 150, N_FEATURES)
    X = np.where(problem.X > -0.4, problem.X, 0.0).astype(dtype)
    target = problem.soft.astype(dtype) if soft else problem.hard.astype(np.intp)
    return X, target, problem.weight


def make_objective(
    X, target, weight, n_classes, *, temperature=1.0, fit_intercept=True, C=0.7, make=rows_of
):
    """Return the objective of rows, of another kind if ``make`` makes one."""
    n_logits = 1 if n_classes == 2 else n_classes
    rows = make(X, n_logits, fit_intercept, [LossTerm(target, weight, temperature)])
    return KLObjective(rows, C=C)


def point_of(objective, seed=1):
    return np.random.default_rng(seed).normal(size=objective.shape)


def full_logits(X, W):
    """Logits of every class; the first of a binary problem is 0."""
    raw = np.asarray(X, dtype=np.float64) @ W[: X.shape[1]]
    raw += W[X.shape[1] :].sum(axis=0)
    return np.column_stack([np.zeros(len(X)), raw]) if W.shape[1] == 1 else raw


def mean_kl_and_entropy(X, target, weight, n_classes, W):
    """Return the parts of the mean cross-entropy by their definitions."""
    y = np.eye(n_classes)[target] if target.ndim == 1 else target
    p = softmax(full_logits(X, W), axis=1)
    divergence, entropy = rel_entr(y, p).sum(axis=1), entr(y).sum(axis=1)
    return weight @ divergence / weight.sum(), weight @ entropy / weight.sum()


def finite_differences(f, W, step=1e-3):
    """Return the slopes of f at W, of fourth order in the step: an entry of W a row."""
    slopes = []
    for index in np.ndindex(W.shape):
        E = np.zeros_like(W)
        E[index] = step
        near = f(W + E) - f(W - E)
        far = f(W + 2 * E) - f(W - 2 * E)
        slopes.append((8 * near - far) / (12 * step))
    return np.array(slopes)


def hessian_of(objective, W):
    """Return the Hessian of W.ravel()."""
    return finite_differences(lambda V: objective(V)[1].ravel(), W)


def matrix_of(metric, shape):
    """Return the matrix by which a metric multiplies W.ravel()."""
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    return np.array([metric(unit).ravel() for unit in units]).T


@pytest.mark.parametrize(
    ("make", "soft", "n_classes", "fit_intercept", "C"),
    [
        (np.asarray, True, 2, True, 0.05),
        (np.asfortranarray, False, 3, True, 0.7),
        (csr_array, True, 3, False, 0.05),
        (csr_matrix, False, 2, False, np.inf),
        (csr_array, True, 6, True, np.inf),
    ],
)
def test_value_and_gradient(make, soft, n_classes, fit_intercept, C):
    X, target, weight = make_data(n_classes, soft)
    options = {"fit_intercept": fit_intercept, "C": C}
    objective = make_objective(make(X), target, weight, n_classes, **options)
    W = point_of(objective)
    value, gradient = objective(W)
    kl, entropy = mean_kl_and_entropy(X, target, weight, n_classes, W)
    penalty = 0.5 * np.sum(W[:N_FEATURES] ** 2) / (C * weight.sum())
    assert_allclose(value, kl + entropy + penalty, rtol=1e-12)
    assert_allclose(objective.loss_at(W, value), kl, rtol=1e-12)
    assert_allclose(objective.penalty_at(W), penalty, rtol=1e-13)
    shape = (N_FEATURES + fit_intercept, 1 if n_classes == 2 else n_classes)
    assert gradient.shape == W.shape == objective.shape == shape
    differences = finite_differences(lambda V: objective(V)[0], W).reshape(shape)
    assert_allclose(gradient, differences, rtol=1e-8, atol=1e-10)


def test_value_and_gradient_at_a_temperature():
    """Its square multiplies: the weight of a term is that of the gradient of its logits."""
    X, target, weight = make_data(3)
    tempered = make_objective(X, target, weight, 3, temperature=2.0, C=np.inf)
    W = point_of(tempered)
    kl, entropy = mean_kl_and_entropy(X, target, weight, 3, W / 2)
    value, gradient = tempered(W)
    assert_allclose(value, 4 * (kl + entropy), rtol=1e-12)
    differences = finite_differences(lambda V: tempered(V)[0], W).reshape(W.shape)
    assert_allclose(gradient, differences, rtol=1e-8, atol=1e-10)


@each_n_classes
def test_float32_is_close_to_float64_until_it_is_widened(n_classes):
    X, target, weight = make_data(n_classes, dtype=np.float32)
    single = make_objective(X, target, weight, n_classes)
    double = make_objective(X.astype(float), target.astype(float), weight, n_classes)
    W = point_of(double)
    (value, gradient), (expected, expected_gradient) = single(W), double(W)
    assert_allclose(value, expected, rtol=2e-6)
    assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=2e-6)
    assert not double.widen()
    assert single.widen()
    assert not single.widen()
    assert_allclose(single(W)[0], expected, rtol=1e-14)
    assert_allclose(single(W)[1], expected_gradient, rtol=1e-12, atol=1e-14)


@each_n_classes
def test_zero_loss_at_the_target(n_classes):
    """The loss is the divergence, not the cross-entropy: 0 where the model is right."""
    X, _, weight = make_data(n_classes)
    for seed in range(20):  # rounding may be of either sign; the loss is not
        W = np.random.default_rng(seed).normal(size=(5, 1 if n_classes == 2 else n_classes))
        target = softmax(full_logits(X, W), axis=1)
        objective = make_objective(X, target, weight, n_classes, C=np.inf)
        value, gradient = objective(W)
        assert 0.0 <= objective.loss_at(W, value) <= 1e-15
        assert_allclose(gradient, 0.0, atol=1e-15)


def test_share_of_l1_is_not_part_of_the_value():
    data = X, target, weight = make_data(3)
    mixed = make_objective(*data, 3, C=3.0)
    mixed.set_penalty(0.5, 0.75)
    assert mixed.l1 == pytest.approx(0.75 / (0.5 * weight.sum()), rel=1e-14)
    ridge = make_objective(*data, 3, C=0.5 / 0.25)
    assert ridge.l1 == 0.0
    W = point_of(ridge)
    assert_allclose(mixed(W)[0], ridge(W)[0], rtol=1e-14)
    assert_allclose(mixed(W)[1], ridge(W)[1], rtol=1e-14)
    value = mixed(W)[0] + mixed.l1 * np.sum(np.abs(W[:-1]))
    kl, _ = mean_kl_and_entropy(X, target, weight, 3, W)
    assert_allclose(mixed.loss_at(W, value), kl, rtol=1e-12)


@each_n_classes
def test_centered_is_the_same_function_of_other_intercepts(n_classes):
    X, target, weight = make_data(n_classes)
    X += np.linspace(0, 1e4, N_FEATURES)
    X[:, 1] = 7.0
    objective = make_objective(X, target, weight, n_classes)
    centered = objective.centered()
    W = point_of(objective)
    # Predictions do not depend on the sums over classes; these are where a norm is least.
    expected = W if n_classes == 2 else W - W.mean(axis=1, keepdims=True)
    entered = centered.enter(W)
    assert_allclose(centered.leave(entered), expected, atol=1e-10)
    value, gradient = centered(entered)
    assert_allclose(value, objective(expected)[0], rtol=1e-10)
    # A constant feature becomes exactly zero: the penalty alone is left of its slope.
    assert_array_equal(gradient[1], centered.penalty * entered[1])
    sparse = make_objective(csr_array(X), target, weight, n_classes)
    assert sparse.centered() is sparse


@each_n_classes
def test_rates_are_mean_predictions(n_classes):
    """Of two terms with the weights that they have in the gradient of the intercepts."""
    X, soft, weight = make_data(n_classes)
    terms = [LossTerm(soft, weight, 2.0), LossTerm(soft.argmax(axis=1), weight[::-1].copy())]
    n_logits = 1 if n_classes == 2 else n_classes
    objective = KLObjective(rows_of(X, n_logits, True, terms), C=0.7)
    W = point_of(objective)
    expected = 0.0
    for term in terms:
        p = softmax(full_logits(X, W) / term.temperature, axis=1)
        expected = expected + term.weight @ p / term.temperature
    rates = objective.rates(objective(W)[1])
    assert_allclose(np.sort(rates), np.sort(expected / expected.sum()), rtol=1e-12)
    without = KLObjective(rows_of(X, n_logits, False, terms), C=0.7)
    assert len(without.rates(without(W[:-1])[1])) == 0


def test_largest_change_is_that_of_rows_with_weight_and_of_classes_that_occur():
    X, target, weight = make_data(4, soft=False)
    X = X.copy()
    X[weight == 0.0] *= 1e3
    target[target == 3] = 0
    objective = make_objective(X, target, weight, 4)
    assert_array_equal(objective.absent, [False, False, False, True])
    D = point_of(objective)
    expected = np.ptp(full_logits(X, D)[weight > 0, :3], axis=1).max()
    D[:, 3] = 1e6
    assert objective.largest_change(D) == pytest.approx(expected, rel=1e-12)
    for label, n_classes in ((0, 2), (1, 2)):
        only = make_objective(X, np.full(len(X), label), weight, n_classes)
        assert only.absent.all()
        assert only.largest_change(np.ones((5, 1))) == 0.0
    assert objective.unattained == -np.inf
    objective.set_penalty(np.inf, 0.0)
    assert 0.0 < objective.unattained < 1e-9


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_without_numbers_is_none_of_size_zero(dtype):
    objective = make_objective(*make_data(3, dtype=dtype), 3)
    assert np.isnan(objective.largest_change(np.full(objective.shape, np.nan)))
    objective.widen()
    assert np.isnan(objective.largest_change(np.full(objective.shape, np.nan)))


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize(("fit_intercept", "temperature"), [(False, 1.0), (True, 2.0)])
@pytest.mark.parametrize(("n_classes", "C"), [(2, np.inf), (3, 0.5)])
def test_best_metric_is_the_inverse_hessian(n_classes, C, make, fit_intercept, temperature):
    """But for a shift of all logits, to which the loss is blind."""
    X, target, weight = make_data(n_classes)
    options = {"fit_intercept": fit_intercept, "temperature": temperature, "C": C}
    objective = make_objective(make(X), target, weight, n_classes, **options)
    W = point_of(objective)
    blind = np.full((n_classes, n_classes), 1 / n_classes) if n_classes > 2 else np.zeros(1)
    centre = np.kron(np.eye(len(W)), np.eye(W.shape[1]) - blind)
    for f in (objective, objective.centered()):
        hessian = hessian_of(f, W)
        product = matrix_of(f.metric(W, FULL if n_classes == 2 else EXACT), W.shape) @ hessian
        assert_allclose(centre @ product @ centre, centre, atol=2 * RIDGE)
    if n_classes == 2:
        inverse = matrix_of(f.metric(W, DIAGONAL), W.shape)
        assert_allclose(inverse, np.diag(1 / hessian.diagonal()), rtol=2 * RIDGE)
        # With a penalty it is a multiple, which the iteration takes care of.
        f.set_penalty(0.05, 0.0)
        product = matrix_of(f.metric(W, FULL), W.shape) @ hessian_of(f, W)
        assert_allclose(product, product[0, 0] * np.eye(len(W)), atol=1e-6)


@pytest.mark.parametrize(("n_classes", "fit_intercept"), [(2, True), (3, False), (3, True)])
def test_curvature_of_hardly_any_entries_is_that_of_dense_rows(
    n_classes, fit_intercept, monkeypatch
):
    monkeypatch.setattr(_rows, "PAIRS", 100)
    _, target, weight = make_data(n_classes)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 60)) * (rng.random((150, 60)) < 0.02)
    X[:3] = 0.0
    terms = [LossTerm(target, weight, 2.0), LossTerm(target.argmax(axis=1), weight)]
    n_logits = 1 if n_classes == 2 else n_classes
    sparse, dense = (
        rows_of(make(X), n_logits, fit_intercept, terms) for make in (csr_array, np.asarray)
    )
    assert sparse.stats.in_pairs
    assert not dense.stats.in_pairs
    W = rng.normal(size=sparse.shape)
    for of in (
        lambda rows: rows.curvature(W, True, True),
        lambda rows: (rows.class_curvature(W, True), rows.gram(True)),
        lambda rows: (rows.hessian(W),) if n_classes > 2 else (),
    ):
        for value, expected in zip(of(sparse), of(dense), strict=True):
            assert (value is None) == (expected is None)
            if value is not None:
                assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("n_classes", [3, 7])  # fewer and more than columns of X
def test_metric_of_many_classes_has_a_block_for_each(n_classes, make, monkeypatch):
    """That of the Hessian, times what blocks alone miss where classes are equally likely."""
    monkeypatch.setattr(_objective, "MAX_CLASS_CORRELATION", 2)
    X, target, weight = make_data(n_classes)
    objective = make_objective(make(X), target, weight, n_classes)
    W = point_of(objective)
    hessian = hessian_of(objective, W)
    class_of = np.tile(np.arange(n_classes), len(W))
    hessian[class_of[:, np.newaxis] != class_of] = 0.0
    data = hessian.copy()
    penalised = np.repeat(np.arange(len(W)) < N_FEATURES, n_classes)
    data[np.diag(penalised)] -= objective.penalty
    wanted = np.linalg.inv(data * n_classes / (n_classes - 1.0) + hessian - data)
    for limit in (1 << 20, 40 * n_classes, 1):  # rows at a time: all, 40, 1
        monkeypatch.setattr(_rows, "SCORE_SLICE", limit)
        monkeypatch.setattr(_rows, "HESSIAN_SLICE", limit)
        inverse = matrix_of(objective.metric(W, FULL), W.shape)
        assert_allclose(inverse, wanted, rtol=1e-6, atol=1e-8)
        diagonal = objective.class_curvature(W, False)
        full = objective.class_curvature(W, True)
        assert_allclose(np.einsum("kff->kf", full), diagonal, rtol=1e-10)
    monkeypatch.setattr(_objective, "MAX_BLOCKS", 1)
    assert not objective.in_blocks


@pytest.mark.parametrize(("n_classes", "fit_intercept"), [(3, False), (6, True)])
def test_metric_of_classes_is_the_inverse_hessian_where_they_are_equally_likely(
    n_classes, fit_intercept
):
    """But for the shift; elsewhere it is right within some factor, beside a penalty, too."""
    data = make_data(n_classes)
    objective = make_objective(*data, n_classes, fit_intercept=fit_intercept, C=np.inf)
    W = np.zeros(objective.shape)
    inverse = matrix_of(objective.metric(W, FULL), W.shape)
    projection = np.kron(np.eye(len(W)), np.eye(n_classes) - 1 / n_classes)
    assert_allclose(inverse @ hessian_of(objective, W), projection, atol=2 * RIDGE)
    W = 0.5 * point_of(objective)
    basis = np.linalg.qr(np.eye(n_classes) - 1 / n_classes)[0][:, : n_classes - 1]
    basis = np.kron(np.eye(len(W)), basis)
    for C, least in ((100.0, 1 / 3), (0.05, 1 / 6)):
        objective.set_penalty(C, 0.0)
        inverse = basis.T @ matrix_of(objective.metric(W, FULL), W.shape) @ basis
        spectrum = np.linalg.eigvals(inverse @ basis.T @ hessian_of(objective, W) @ basis).real
        assert least < spectrum.min() <= spectrum.max() < 2


LAST = np.eye(N_FEATURES)[-1]
DEGENERATE = {
    "dependent features": lambda X, y, s: (X[:, [0, 3, 3, 0]] * [1, 0, 1, 0] + LAST, y, s),
    "a class that never occurs": lambda X, y, s: (X, np.where(y == y.max(), 0, y), s),
    "fewer rows than features": lambda X, y, s: (X, y, 1.0 * (np.arange(len(s)) < 3)),
    "features of very different sizes": lambda X, y, s: (X * [1e-6, 1e-3, 1e3, 1e6], y, s),
    "nothing but zeros": lambda X, y, s: (0.0 * X, y, s),
    "no features": lambda X, y, s: (X[:, :0], y, s),
}


@pytest.mark.parametrize("make", [np.asarray, csr_array])
@each_n_classes
@pytest.mark.parametrize("case", DEGENERATE)
def test_metric_of_degenerate_data(case, n_classes, make):
    """It gives a direction of descent without a penalty, and leads to the minimum with one."""
    X, target, weight = DEGENERATE[case](*make_data(n_classes, soft=False))
    for C in (np.inf, 0.5):
        objective = make_objective(make(X), target, weight, n_classes, C=C)
        for scale in (0, 1, 30):
            W = scale * point_of(objective)
            for level in (DIAGONAL, FULL, EXACT)[:n_classes]:
                _, gradient = objective(W)
                direction = objective.metric(W, level)(gradient)
                assert np.isfinite(direction).all()
                assert np.vdot(gradient, direction) > 0
    result = minimize(objective, np.zeros(objective.shape), tol=1e-8, max_iter=300)
    assert result.converged
    assert np.isfinite(result.W).all()


def test_metric_of_so_many_classes_that_their_correlation_is_left_out():
    """It is right where all classes are equally likely."""
    X = np.random.default_rng(0).normal(size=(1004, 1))
    objective = make_objective(X, np.arange(1004) % 502, np.ones(1004), 502, C=np.inf)
    W = np.zeros(objective.shape)
    _, gradient = objective(W)
    direction, exact = (objective.metric(W, level)(gradient) for level in (FULL, EXACT))
    assert_allclose(direction, exact, rtol=1e-4, atol=1e-10)


@each_n_classes
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_metric_of_many_dependent_features(n_classes, dtype):
    """In float32 rounding may leave a matrix without a Cholesky factor."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(200, 3)) @ rng.normal(size=(3, 60))).astype(dtype)
    target, weight = rng.integers(n_classes, size=200).astype(np.intp), np.ones(200)
    objective = make_objective(X, target, weight, n_classes, C=np.inf)
    for W in (np.zeros(objective.shape), 0.1 * point_of(objective)):
        _, gradient = objective(W)
        direction = objective.metric(W, FULL)(gradient)
        assert np.isfinite(direction).all()
        assert np.vdot(gradient, direction) > 0
    if dtype == np.float64:
        # With the diagonal alone it takes twice as many iterations.
        result = minimize(objective, np.zeros(objective.shape), tol=1e-8, max_iter=15)
        assert result.converged


@pytest.mark.parametrize(
    ("n_classes", "scale", "C"),
    [(2, 10, np.inf), (3, 10, 1e6), (2, 1e3, 1), (3, 1e3, np.inf), (3, 1e5, 1)],
)
def test_minimum_is_found_from_where_rows_are_certain(n_classes, scale, C):
    """A warm start may be far away, and have hardly any curvature."""
    X, target, weight = make_data(n_classes, soft=False)
    objective = make_objective(X, target, weight, n_classes, C=C)
    near = minimize(objective, np.zeros(objective.shape), tol=1e-8, max_iter=500)
    start = scale * point_of(objective)
    if n_classes > 2:
        start -= start.mean(axis=1, keepdims=True)
    far = minimize(objective, start, tol=1e-8, max_iter=500)
    assert near.converged
    assert far.converged
    assert far.value == pytest.approx(near.value, rel=1e-6)


def test_curvature_in_full_is_dear_and_beyond_a_size_impossible():
    def objective(n_features, n_stored=None, n_logits=1):
        rows = SimpleNamespace()
        n_stored = n_features if n_stored is None else n_stored
        mass = np.ones(n_logits + 1)
        rows.stats = Stats(9, n_features, n_stored, 1.0, 1.0, 1.0, mass, 0.0, True)
        rows.shape = n_features + 1, n_logits
        return KLObjective(rows, C=1.0)

    costs = [objective(n).full_cost for n in (10, 100, MAX_FULL_CURVATURE - 1)]
    assert 0 < costs[0] < costs[1] < costs[2] < np.inf
    assert costs[1] < objective(100, n_stored=20).full_cost < np.inf
    assert objective(100, n_stored=2).full_cost < objective(100, n_stored=20).full_cost
    assert objective(50, 2, 9).exact_cost < objective(50, 20, 9).exact_cost
    assert objective(100, n_logits=10).full_cost < costs[1]
    assert objective(MAX_FULL_CURVATURE).full_cost == np.inf  # the intercept counts
    assert costs[1] < objective(100, n_logits=10).exact_cost < np.inf
    assert objective(MAX_FULL_CURVATURE - 1, n_logits=2).exact_cost == np.inf
    assert objective(10).exact_cost == np.inf  # that of one logit is the other
    assert objective(10).newton_cost < objective(100).newton_cost < 1
    assert objective(MAX_FULL_CURVATURE).newton_cost == np.inf
    X, target, weight = make_data(3)
    X = csr_array(X)
    assert make_objective(X, target, weight, 3).n_stored == X.nnz / 150
