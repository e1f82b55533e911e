"""The objective against its definition, finite differences, and other divisions of rows."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, issparse
from scipy.special import entr, rel_entr, softmax

from sklkl._kernels._linear import LinearRows
from sklkl.linear_model import _objective
from sklkl.linear_model._lbfgs import minimize
from sklkl.linear_model._objective import KLObjective, LossTerm, RowBlock
from sklkl.linear_model._solve import objective_of

N_SAMPLES, N_FEATURES = 150, 4

LAYOUTS = {
    "c": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "csr_array": csr_array,
    "csr_matrix": csr_matrix,
}

# What metric() adds to the curvature of classes so that it has an inverse.
RIDGE = 1e-6


def make_data(n_classes, soft, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES)).astype(dtype)
    X[rng.random(X.shape) < 0.3] = 0.0
    if soft:
        target = softmax(3.0 * rng.normal(size=(N_SAMPLES, n_classes)), axis=1)
        target[::5] = np.eye(n_classes)[rng.integers(n_classes, size=N_SAMPLES // 5)]
        target = target.astype(dtype)
    else:
        target = rng.integers(n_classes, size=N_SAMPLES).astype(np.intp)
    weight = rng.uniform(0.0, 3.0, size=N_SAMPLES)
    weight[:10] = 0.0
    return X, target, weight


def make_objective(
    X, target, weight, n_classes, *, fit_intercept=True, C=0.7, l1_ratio=0.0, blocks=None
):
    """Return the objective of rows, optionally with other blocks."""
    objective = objective_of(
        X,
        [LossTerm(target, weight)],
        n_classes=n_classes,
        fit_intercept=fit_intercept,
        C=C,
        l1_ratio=l1_ratio,
    )
    if blocks is not None:
        objective.blocks = blocks
        objective.total_weight, objective.unit = objective.sum_of_weights, 1.0
    return objective


def pieces(X, target, weight, n_classes, *, fit_intercept=True):
    """Return blocks of some rows each, in order; one of a single row."""
    n_logits = 1 if n_classes == 2 else n_classes
    cuts = [0, 1, 40, 41, 100, len(weight)]
    return [
        LinearRows(X[i:j], n_logits, fit_intercept, [LossTerm(target[i:j], weight[i:j])])
        for i, j in pairwise(cuts)
    ]


class NumpyBlock:
    """What is asked of a block, and nothing else, in the simplest way."""

    def __init__(self, X, target, weight, n_classes):
        self.X = np.column_stack([X, np.ones(len(X))])
        self.y = np.eye(n_classes)[target] if target.ndim == 1 else target
        self.weight = weight

    def probabilities(self, W):
        z = self.X @ W
        return softmax(np.column_stack([0.0 * z, z]) if z.shape[1] == 1 else z, axis=1)

    def objective(self, W):
        p = self.probabilities(W)
        residual = (self.weight[:, None] * (p - self.y))[:, -W.shape[1] :]
        return float(-self.weight @ np.sum(self.y * np.log(p), axis=1)), self.X.T @ residual

    def hessian(self, W):
        p = self.probabilities(W)
        spread = p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
        hessian = np.einsum("i,ikl,if,ig->kflg", self.weight, spread, self.X, self.X)
        return hessian.reshape(2 * [W.size])

    def largest_change(self, direction):
        z = self.X @ direction
        return np.abs(z).max() if z.shape[1] == 1 else np.ptp(z, axis=1).max()

    def curvature(self, W, full, products):
        p = self.probabilities(W)
        h = self.weight * (p[:, 0] * p[:, 1] if W.shape[1] == 1 else 1 - np.sum(p * p, axis=1))
        gram = (self.X * h[:, None]).T @ self.X
        M = np.diag(self.weight @ p) - (p * self.weight[:, None]).T @ p
        return (
            float(h.sum()),
            gram if full else gram.diagonal().copy(),
            M if products else None,
        )


def point_of(objective, seed=1):
    return np.random.default_rng(seed).normal(size=objective.shape)


def full_logits(X, W, fit_intercept):
    """Logits of every class; the first of a binary problem is 0."""
    raw = np.asarray(X, dtype=np.float64) @ W[:N_FEATURES]
    if fit_intercept:
        raw = raw + W[-1]
    return np.column_stack([np.zeros(len(X)), raw]) if W.shape[1] == 1 else raw


def mean_kl_and_entropy(X, target, weight, n_classes, W, fit_intercept):
    """Return the parts of the mean cross-entropy by their definitions."""
    y = np.eye(n_classes)[target] if target.ndim == 1 else target.astype(np.float64)
    y = y / y.sum(axis=1, keepdims=True)
    p = softmax(full_logits(X, W, fit_intercept), axis=1)
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


def assert_positive_definite(matrix):
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12 * np.abs(matrix).max())
    scale = np.sqrt(matrix.diagonal())
    assert np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min() > 0


# Value and gradient


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.05, np.inf])
def test_value_and_gradient(layout, soft, n_classes, fit_intercept, C):
    X, target, weight = make_data(n_classes, soft)
    objective = make_objective(
        LAYOUTS[layout](X), target, weight, n_classes, fit_intercept=fit_intercept, C=C
    )
    assert objective.binary == (n_classes == 2)
    W = point_of(objective)
    value, gradient = objective(W)
    kl, entropy = mean_kl_and_entropy(X, target, weight, n_classes, W, fit_intercept)
    penalty = 0.5 * np.sum(W[:N_FEATURES] ** 2) / (C * weight.sum())
    np.testing.assert_allclose(value, kl + entropy + penalty, rtol=1e-12)
    np.testing.assert_allclose(objective.loss_at(W, value), kl, rtol=1e-12)
    np.testing.assert_allclose(objective.penalty_at(W), penalty, rtol=1e-13)
    assert gradient.dtype == np.float64
    shape = (N_FEATURES + fit_intercept, 1 if n_classes == 2 else n_classes)
    assert gradient.shape == W.shape == objective.shape == shape
    differences = finite_differences(lambda V: objective(V)[0], W).reshape(shape)
    np.testing.assert_allclose(gradient, differences, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_float32_is_close_to_float64(layout, soft, n_classes, fit_intercept):
    X, target, weight = make_data(n_classes, soft, dtype=np.float32)
    single = make_objective(
        LAYOUTS[layout](X), target, weight, n_classes, fit_intercept=fit_intercept
    )
    wide = target.astype(np.float64) if soft else target
    double = make_objective(
        X.astype(np.float64), wide, weight, n_classes, fit_intercept=fit_intercept
    )
    W = point_of(double)
    value, gradient = single(W)
    expected_value, expected_gradient = double(W)
    np.testing.assert_allclose(value, expected_value, rtol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=2e-6)
    assert gradient.dtype == np.float64


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_hot_target_is_the_hard_target(layout, n_classes):
    X, codes, weight = make_data(n_classes, soft=False)
    X = LAYOUTS[layout](X)
    hard = make_objective(X, codes, weight, n_classes)
    soft = make_objective(X, np.eye(n_classes)[codes], weight, n_classes)
    W = point_of(hard)
    (hard_value, hard_gradient), (soft_value, soft_gradient) = hard(W), soft(W)
    np.testing.assert_allclose(soft_value, hard_value, rtol=1e-14)
    np.testing.assert_allclose(soft_gradient, hard_gradient, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_soft_rows_are_normalised(n_classes):
    """Rows that went through float32 sum to 1 only nearly; their sum carries no meaning."""
    X, target, weight = make_data(n_classes, soft=True)
    factor = 1 + 2e-4 * np.linspace(-1, 1, len(X))[:, None]
    exact = make_objective(X, target, weight, n_classes)
    scaled = make_objective(X, target * factor, weight, n_classes)
    W = point_of(exact)
    np.testing.assert_allclose(scaled(W)[0], exact(W)[0], rtol=1e-13)
    np.testing.assert_allclose(scaled(W)[1], exact(W)[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_weights_are_relative_without_penalty(n_classes):
    X, target, weight = make_data(n_classes, soft=True)
    once = make_objective(X, target, weight, n_classes, C=np.inf)
    often = make_objective(X, target, 1e6 * weight, n_classes, C=np.inf)
    W, G = point_of(once), point_of(once, seed=3)
    np.testing.assert_allclose(often(W)[0], once(W)[0], rtol=1e-14)
    np.testing.assert_allclose(often(W)[1], once(W)[1], rtol=1e-12, atol=1e-15)
    for full in (False, True):
        np.testing.assert_allclose(
            often.metric(W, full)(G), once.metric(W, full)(G), rtol=1e-9
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_zero_loss_at_the_target(n_classes):
    """The loss is the divergence, not the cross-entropy: 0 where the model is right."""
    X, _, weight = make_data(n_classes, soft=True)
    n_logits = 1 if n_classes == 2 else n_classes
    for seed in range(20):  # rounding may be of either sign; the loss is not
        W = np.random.default_rng(seed).normal(size=(N_FEATURES + 1, n_logits))
        target = softmax(full_logits(X, W, True), axis=1)
        objective = make_objective(X, target, weight, n_classes, C=np.inf)
        value, gradient = objective(W)
        assert 0.0 <= objective.loss_at(W, value) <= 1e-15
        np.testing.assert_allclose(gradient, 0.0, atol=1e-15)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_huge_logits_stay_finite(soft, n_classes):
    X, target, weight = make_data(n_classes, soft)
    objective = make_objective(X, target, weight, n_classes)
    W = 1e6 * point_of(objective)
    value, gradient = objective(W)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    for full in (False, True):
        assert np.isfinite(objective.metric(W, full)(gradient)).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_share_of_l1_is_not_part_of_the_value(n_classes):
    X, target, weight = make_data(n_classes, soft=True)
    mixed = make_objective(X, target, weight, n_classes, C=0.5, l1_ratio=0.75)
    assert mixed.l1 == pytest.approx(0.75 / (0.5 * weight.sum()), rel=1e-14)
    ridge = make_objective(X, target, weight, n_classes, C=0.5 / 0.25)
    assert ridge.l1 == 0.0
    W = point_of(ridge)
    np.testing.assert_allclose(mixed(W)[0], ridge(W)[0], rtol=1e-14)
    np.testing.assert_allclose(mixed(W)[1], ridge(W)[1], rtol=1e-14)
    value = mixed(W)[0] + mixed.l1 * np.sum(np.abs(W[:-1]))
    kl, _ = mean_kl_and_entropy(X, target, weight, n_classes, W, True)
    np.testing.assert_allclose(mixed.loss_at(W, value), kl, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_penalty_can_be_changed(n_classes):
    data = make_data(n_classes, soft=True)
    objective = make_objective(*data, n_classes, C=3.0)
    objective.set_penalty(0.2, 0.4)
    expected = make_objective(*data, n_classes, C=0.2, l1_ratio=0.4)
    W = point_of(objective)
    assert (objective.l1, objective.penalty) == (expected.l1, expected.penalty)
    assert objective(W)[0] == expected(W)[0]
    np.testing.assert_array_equal(objective(W)[1], expected(W)[1])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_read_only_and_memory_mapped_rows(tmp_path, soft, n_classes):
    arrays = make_data(n_classes, soft)
    objective = make_objective(*arrays, n_classes)
    W = point_of(objective)
    expected_value, expected_gradient = objective(W)
    mapped = []
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", array)
        mapped.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
        array.flags.writeable = False
    W.flags.writeable = False
    for rows in (arrays, mapped):
        value, gradient = make_objective(*rows, n_classes)(W)
        assert value == expected_value
        np.testing.assert_array_equal(gradient, expected_gradient)


# Blocks


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_small_blocks_add_up_to_one(layout, soft, n_classes):
    X, target, weight = make_data(n_classes, soft)
    X = LAYOUTS[layout](X)
    one = make_objective(X, target, weight, n_classes)
    blocks = pieces(X, target, weight, n_classes)
    many = make_objective(X, target, weight, n_classes, blocks=blocks)
    assert len(one.blocks) == 1
    assert len(many.blocks) == 5
    W, G = point_of(one), point_of(one, seed=3)
    (value, gradient), (expected_value, expected_gradient) = many(W), one(W)
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-14)
    for full in (False, True):
        for factor, expected in zip(
            many.curvature(W, full), one.curvature(W, full), strict=True
        ):
            np.testing.assert_allclose(factor, expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(many.metric(W, full)(G), one.metric(W, full)(G), rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_evaluations_do_not_change_blocks_nor_coefficients(n_classes):
    data = make_data(n_classes, soft=True)
    objective = make_objective(*data, n_classes, blocks=pieces(*data, n_classes))
    W = point_of(objective)
    before = W.copy()
    expected = objective(W)
    for full in (False, True):
        objective.metric(W, full)(expected[1].copy())
    value, gradient = objective(W)
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])
    np.testing.assert_array_equal(W, before)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_any_object_with_four_methods_is_a_block(soft, n_classes):
    X, target, weight = make_data(n_classes, soft)
    compiled = make_objective(X, target, weight, n_classes)
    start, end = slice(0, 60), slice(60, None)
    term = LossTerm(target[start], weight[start])
    whole = [NumpyBlock(X, target, weight, n_classes)]
    mixed = [
        NumpyBlock(X[end], target[end], weight[end], n_classes),
        RowBlock(X[start], [term], compiled.shape[1], True),
    ]
    W, G = point_of(compiled), point_of(compiled, seed=3)
    solution = minimize(compiled, np.zeros(compiled.shape), tol=1e-10, max_iter=500)
    assert solution.converged
    for blocks in (whole, mixed):
        objective = make_objective(X, target, weight, n_classes, blocks=blocks)
        np.testing.assert_allclose(objective(W)[0], compiled(W)[0], rtol=1e-12)
        np.testing.assert_allclose(objective(W)[1], compiled(W)[1], rtol=1e-11, atol=1e-13)
        for full in (False, True):
            np.testing.assert_allclose(
                objective.metric(W, full)(G), compiled.metric(W, full)(G), rtol=1e-8
            )
        result = minimize(objective, np.zeros(compiled.shape), tol=1e-10, max_iter=500)
        assert result.converged
        np.testing.assert_allclose(result.W, solution.W, rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_without_numbers_is_none_of_size_zero(dtype):
    X, target, weight = make_data(3, soft=False)
    objective = make_objective(X.astype(dtype), target, weight, 3)
    assert np.isnan(objective.largest_change(np.full(objective.shape, np.nan)))
    objective.widen()
    assert np.isnan(objective.largest_change(np.full(objective.shape, np.nan)))


# The metric


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_metric_of_a_binary_problem_is_the_inverse_hessian(layout, fit_intercept):
    X, target, weight = make_data(2, soft=True)
    objective = make_objective(
        LAYOUTS[layout](X), target, weight, 2, fit_intercept=fit_intercept, C=np.inf
    )
    for W in (point_of(objective), np.zeros(objective.shape)):
        inverse = matrix_of(objective.metric(W, True), objective.shape)
        hessian = hessian_of(objective, W)
        np.testing.assert_allclose(inverse @ hessian, np.eye(len(hessian)), atol=2 * RIDGE)
        inverse = matrix_of(objective.metric(W, False), objective.shape)
        expected = np.diag(1 / hessian.diagonal())
        np.testing.assert_allclose(inverse, expected, rtol=2 * RIDGE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("C", [100.0, 0.05])
def test_metric_of_a_penalised_binary_problem_is_a_multiple(layout, C):
    """The L-BFGS iteration takes care of the factor, but for its first step."""
    X, target, weight = make_data(2, soft=True)
    objective = make_objective(LAYOUTS[layout](X), target, weight, 2, C=C)
    W = point_of(objective)
    inverse = matrix_of(objective.metric(W, True), objective.shape)
    product = inverse @ hessian_of(objective, W)
    factor = product[0, 0]
    np.testing.assert_allclose(product, factor * np.eye(len(product)), atol=1e-6)
    assert factor < 1.0
    if C == 100.0:
        assert factor > 0.98


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [3, 6])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_metric_is_the_inverse_hessian_where_all_classes_are_equally_likely(
    soft, n_classes, fit_intercept
):
    """But for a shift of all logits, to which the loss is blind."""
    data = make_data(n_classes, soft)
    objective = make_objective(*data, n_classes, fit_intercept=fit_intercept, C=np.inf)
    W = np.zeros(objective.shape)
    inverse = matrix_of(objective.metric(W, True), objective.shape)
    hessian = hessian_of(objective, W)
    centre = np.eye(n_classes) - 1 / n_classes
    projection = np.kron(np.eye(len(W)), centre)
    np.testing.assert_allclose(hessian @ projection, hessian, atol=1e-10)
    np.testing.assert_allclose(inverse @ hessian, projection, atol=2 * RIDGE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("C", [0.05, np.inf])
@pytest.mark.parametrize("full", [False, True])
def test_metric_is_positive_definite(layout, n_classes, C, full):
    X, target, weight = make_data(n_classes, soft=True)
    for fit_intercept in (False, True):
        objective = make_objective(
            LAYOUTS[layout](X), target, weight, n_classes, fit_intercept=fit_intercept, C=C
        )
        for scale in (0.0, 1.0, 10.0):
            W = scale * point_of(objective)
            inverse = matrix_of(objective.metric(W, full), objective.shape)
            assert_positive_definite(inverse)


@pytest.mark.parametrize("n_classes", [3, 6])
def test_metric_is_close_to_the_inverse_hessian_elsewhere(n_classes):
    """Within a factor of 3 where probabilities are neither equal nor certain."""
    X, target, weight = make_data(n_classes, soft=True)
    objective = make_objective(X, target, weight, n_classes, C=100.0)
    W = 0.5 * point_of(objective)
    inverse = matrix_of(objective.metric(W, True), objective.shape)
    # Without the direction to which the loss is blind: an orthogonal basis of the rest.
    basis = np.linalg.qr(np.eye(n_classes) - 1 / n_classes)[0][:, : n_classes - 1]
    basis = np.kron(np.eye(len(W)), basis)
    spectrum = np.linalg.eigvals(
        basis.T @ inverse @ basis @ basis.T @ hessian_of(objective, W) @ basis
    ).real
    assert spectrum.min() > 1 / 3
    assert spectrum.max() < 3


def test_rare_classes_have_a_metric_of_their_own():
    """A class with a thousandth of the probability has a thousandth of the curvature."""
    X, target, weight = make_data(3, soft=True)
    objective = make_objective(X, target, weight, 3, C=np.inf)
    W = np.zeros(objective.shape)
    W[-1] = [0.0, 0.0, np.log(1e-3)]
    G = np.zeros(objective.shape)
    G[-1] = [0.5, -0.5, 0.0]
    common = np.abs(objective.metric(W, True)(G)).max()
    G[-1] = [-0.5, 0.0, 0.5]
    rare = np.abs(objective.metric(W, True)(G)).max()
    assert 100 < rare / common < 1000


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("full", [False, True])
def test_metric_without_correlation_of_classes(monkeypatch, n_classes, full):
    data = make_data(n_classes, soft=True)
    exact = make_objective(*data, n_classes)
    W = np.zeros(exact.shape)
    expected = matrix_of(exact.metric(W, full), exact.shape)
    monkeypatch.setattr(_objective, "MAX_CLASS_CORRELATION", 2)
    objective = make_objective(*data, n_classes)
    inverse = matrix_of(objective.metric(W, full), objective.shape)
    assert_positive_definite(inverse)
    # It is right where all classes are equally likely.
    centre = np.kron(np.eye(len(W)), np.eye(exact.shape[1]) - (n_classes > 2) / n_classes)
    np.testing.assert_allclose(centre @ inverse, centre @ expected, rtol=0.05, atol=1e-10)
    inverse = matrix_of(objective.metric(point_of(objective), full), objective.shape)
    assert_positive_definite(inverse)


def degenerate(case, n_classes):
    """Return data with a part that has no curvature."""
    X, target, weight = make_data(n_classes, soft=False)
    if case == "a feature of zeros":
        X[:, 1] = 0.0
    elif case == "a repeated feature":
        X[:, 2] = X[:, 3]
    elif case == "dependent features":
        X[:, 2] = X[:, 0] - 2 * X[:, 1]
        X[:, 3] = 1.0
    elif case == "a class that never occurs":
        target[target == n_classes - 1] = 0
    elif case == "fewer rows than features":
        weight[3:] = 0.0
        weight[:3] = 1.0
    elif case == "features of very different sizes":
        X *= 10.0 ** np.array([-6, -3, 3, 6])
    elif case == "nothing but zeros":
        X[:] = 0.0
    elif case == "no features":
        X = X[:, :0]
    return X, target, weight


DEGENERATE = (
    "a feature of zeros",
    "a repeated feature",
    "dependent features",
    "a class that never occurs",
    "fewer rows than features",
    "features of very different sizes",
    "nothing but zeros",
    "no features",
)


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("layout", ["c", "csr_array"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_metric_of_degenerate_data(case, layout, n_classes):
    """It gives a direction of descent without a penalty, and leads to the minimum with one."""
    X, target, weight = degenerate(case, n_classes)
    X = LAYOUTS[layout](X)
    for C in (np.inf, 0.5):
        objective = make_objective(X, target, weight, n_classes, C=C)
        for W in (np.zeros(objective.shape), point_of(objective), 30 * point_of(objective)):
            for full in (False, True):
                _, gradient = objective(W)
                direction = objective.metric(W, full)(gradient)
                assert np.isfinite(direction).all()
                assert np.vdot(gradient, direction) > 0
    result = minimize(objective, np.zeros(objective.shape), tol=1e-8, max_iter=300)
    assert result.converged
    assert np.isfinite(result.W).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_metric_of_many_dependent_features(n_classes, dtype):
    """In float32 rounding may leave a matrix without a Cholesky factor."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(200, 3)) @ rng.normal(size=(3, 60))).astype(dtype)
    target, weight = rng.integers(n_classes, size=200).astype(np.intp), np.ones(200)
    objective = make_objective(X, target, weight, n_classes, C=np.inf)
    for W in (np.zeros(objective.shape), 0.1 * point_of(objective)):
        _, gradient = objective(W)
        direction = objective.metric(W, True)(gradient)
        assert np.isfinite(direction).all()
        assert np.vdot(gradient, direction) > 0
    if dtype == np.float64:
        # With the diagonal alone it takes twice as many iterations.
        result = minimize(objective, np.zeros(objective.shape), tol=1e-8, max_iter=15)
        assert result.converged


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("scale", "C"), [(10, 1), (10, 1e6), (10, np.inf), (1e3, 1), (1e3, np.inf), (1e5, 1)]
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


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_metric_of_a_class_that_is_never_predicted(fit_intercept):
    """Its probabilities are 0 in double precision: no curvature, and no gradient."""
    X, target, weight = make_data(3, soft=False)
    target[target == 2] = 0
    objective = make_objective(
        np.abs(X) + 0.1, target, weight, 3, fit_intercept=fit_intercept, C=np.inf
    )
    W = np.zeros(objective.shape)
    W[:, 2] = -1e5
    for full in (False, True):
        assert_positive_definite(matrix_of(objective.metric(W, full), objective.shape))
        direction = objective.metric(W, full)(objective(W)[1])
        # The steps of the others are those of a problem of two classes.
        assert np.abs(direction[:, 2]).max() <= np.abs(direction[:, :2]).max()


# What a metric costs


def test_full_metric_costs_more_the_more_features_and_the_fewer_entries_there_are():
    def cost(n_features, n_nonzeros=None, n_logits=1):
        return KLObjective(
            [],
            total_weight=1.0,
            entropy=0.0,
            n_features=n_features,
            n_logits=n_logits,
            fit_intercept=True,
            C=1.0,
            n_nonzeros=n_nonzeros,
        ).full_cost

    assert 0 < cost(10) < cost(100) < cost(1000) < np.inf
    assert cost(1000) < cost(1000, n_nonzeros=20) < np.inf
    assert cost(1000, n_logits=10) < cost(1000)
    limit = _objective.MAX_FULL_CURVATURE
    assert cost(limit - 1) < np.inf
    assert cost(limit) == np.inf  # the intercept counts


@pytest.mark.parametrize("layout", LAYOUTS)
def test_entries_that_are_counted(layout):
    X, target, weight = make_data(3, soft=True)
    X = LAYOUTS[layout](X)
    expected = X.nnz / N_SAMPLES if issparse(X) else N_FEATURES
    assert make_objective(X, target, weight, 3).n_nonzeros == expected
