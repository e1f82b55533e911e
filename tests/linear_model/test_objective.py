"""The objective against its definition, finite differences, and other layouts of X."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from scipy.special import logsumexp, rel_entr, softmax

from sklkl.linear_model import _objective
from sklkl.linear_model._objective import KLObjective, blocks_of, log_softmax

N_SAMPLES, N_FEATURES = 150, 4

LAYOUTS = {
    "c": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "csr_array": csr_array,
    "csr_matrix": csr_matrix,
}


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


def make_objective(X, target, weight, n_classes, *, fit_intercept=True, C=0.7):
    blocks = list(blocks_of(X, target, weight))
    return KLObjective(blocks, n_classes=n_classes, fit_intercept=fit_intercept, C=C)


def point_of(objective, seed=1):
    return np.random.default_rng(seed).normal(size=objective.shape)


def full_logits(X, W, fit_intercept):
    """Logits of every class; the first of a binary problem is 0."""
    X = np.asarray(X, dtype=np.float64)
    raw = X @ W[:, :N_FEATURES].T
    if fit_intercept:
        raw = raw + W[:, -1]
    return np.column_stack([np.zeros(len(X)), raw]) if len(W) == 1 else raw


def value_by_definition(X, target, weight, n_classes, W, fit_intercept, C):
    y = np.eye(n_classes)[target] if target.ndim == 1 else target.astype(np.float64)
    y = y / y.sum(axis=1, keepdims=True)
    p = softmax(full_logits(X, W, fit_intercept), axis=1)
    divergence = rel_entr(y, p).sum(axis=1)
    total = weight.sum()
    penalty = 0.5 * np.sum(W[:, :N_FEATURES] ** 2) / (C * total)
    return weight @ divergence / total + penalty


def finite_differences(f, W, step=1e-3):
    """Gradient of f at W with an error of fourth order in the step."""
    gradient = np.empty_like(W)
    for index in np.ndindex(W.shape):
        E = np.zeros_like(W)
        E[index] = step
        near = f(W + E) - f(W - E)
        far = f(W + 2 * E) - f(W - 2 * E)
        gradient[index] = (8 * near - far) / (12 * step)
    return gradient


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
    W = point_of(objective)
    value, gradient = objective(W)
    expected = value_by_definition(X, target, weight, n_classes, W, fit_intercept, C)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert gradient.dtype == np.float64
    assert (
        gradient.shape
        == W.shape
        == (
            1 if n_classes == 2 else n_classes,
            N_FEATURES + fit_intercept,
        )
    )
    differences = finite_differences(lambda V: objective(V)[0], W)
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
    exact = make_objective(X, target, weight, n_classes)
    scaled = make_objective(X, target * (1 + 2e-4), weight, n_classes)
    W = point_of(exact)
    np.testing.assert_allclose(scaled(W)[0], exact(W)[0], rtol=1e-13)
    np.testing.assert_allclose(scaled(W)[1], exact(W)[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_weights_are_relative_without_penalty(n_classes):
    X, target, weight = make_data(n_classes, soft=True)
    once = make_objective(X, target, weight, n_classes, C=np.inf)
    often = make_objective(X, target, 1e6 * weight, n_classes, C=np.inf)
    W = point_of(once)
    np.testing.assert_allclose(often(W)[0], once(W)[0], rtol=1e-14)
    np.testing.assert_allclose(often(W)[1], once(W)[1], rtol=1e-12, atol=1e-15)


def test_zero_loss_at_the_target():
    """The value is the divergence, not the cross-entropy: 0 where the model is right."""
    X, _, weight = make_data(3, soft=True)
    W = np.random.default_rng(2).normal(size=(3, N_FEATURES + 1))
    target = softmax(full_logits(X, W, True), axis=1)
    value, gradient = make_objective(X, target, weight, 3, C=np.inf)(W)
    assert 0.0 <= value < 1e-30
    np.testing.assert_allclose(gradient, 0.0, atol=1e-15)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_huge_logits_stay_finite(soft, n_classes):
    X, target, weight = make_data(n_classes, soft)
    objective = make_objective(X, target, weight, n_classes)
    value, gradient = objective(1e6 * point_of(objective))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_small_blocks_add_up_to_one(monkeypatch, layout, soft, n_classes):
    X, target, weight = make_data(n_classes, soft)
    X = LAYOUTS[layout](X)
    one = make_objective(X, target, weight, n_classes)
    monkeypatch.setattr(_objective, "BLOCK_SIZE", 1)
    many = make_objective(X, target, weight, n_classes)
    assert len(one.blocks) == 1
    assert len(many.blocks) == 3
    assert many.total_weight == pytest.approx(one.total_weight, rel=1e-14)
    W = point_of(one)
    (value, gradient), (expected_value, expected_gradient) = many(W), one(W)
    np.testing.assert_allclose(value, expected_value, rtol=1e-14)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-14, atol=1e-14)
    G = point_of(one, seed=3)
    np.testing.assert_allclose(
        many.solve_curvature(W)(G), one.solve_curvature(W)(G), rtol=1e-10
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_cover_the_rows_in_order(monkeypatch, layout):
    monkeypatch.setattr(_objective, "BLOCK_SIZE", 1)
    X, target, weight = make_data(3, soft=True)
    blocks = list(blocks_of(LAYOUTS[layout](X), target, weight))
    rows = [b.toarray() if hasattr(b, "toarray") else b for b, _, _ in blocks]
    np.testing.assert_array_equal(np.concatenate(rows), X)
    np.testing.assert_array_equal(np.concatenate([t for _, t, _ in blocks]), target)
    np.testing.assert_array_equal(np.concatenate([w for _, _, w in blocks]), weight)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_do_not_copy(monkeypatch, layout):
    monkeypatch.setattr(_objective, "BLOCK_SIZE", 1)
    X, target, weight = make_data(3, soft=True)
    X = LAYOUTS[layout](X)
    for block, target_block, weight_block in blocks_of(X, target, weight):
        if layout.startswith("csr"):
            assert np.shares_memory(block.data, X.data)
            assert np.shares_memory(block.indices, X.indices)
        else:
            assert np.shares_memory(block, X)
        assert np.shares_memory(target_block, target)
        assert np.shares_memory(weight_block, weight)


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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("C", [0.05, np.inf])
def test_curvature_is_positive_definite_and_bounds_the_hessian(layout, n_classes, C):
    """A dense X has a full bound of every diagonal block; a sparse X only its diagonal."""
    X, target, weight = make_data(n_classes, soft=True)
    objective = make_objective(LAYOUTS[layout](X), target, weight, n_classes, C=C)
    W = point_of(objective)
    solve = objective.solve_curvature(W)
    n_columns = objective.shape[1]

    def in_first_row(vector):
        V = np.zeros(objective.shape)
        V[0] = vector
        return V

    units = np.eye(n_columns)
    inverse = np.array([solve(in_first_row(unit))[0] for unit in units])
    np.testing.assert_allclose(inverse, inverse.T, rtol=1e-10, atol=1e-12)
    assert np.linalg.eigvalsh(inverse).min() > 0
    step = 1e-5
    hessian = np.array(
        [
            (objective(W + step * V)[1][0] - objective(W - step * V)[1][0]) / (2 * step)
            for V in map(in_first_row, units)
        ]
    )
    bound = np.linalg.inv(inverse)
    if layout.startswith("csr"):
        assert (np.diag(bound) >= np.diag(hessian) - 1e-8).all()
    else:
        assert np.linalg.eigvalsh(bound - hessian).min() > -1e-8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_curvature_of_degenerate_features(layout):
    """A feature of zeros and a repeated one leave a usable metric without a penalty."""
    X, target, weight = make_data(3, soft=True)
    X[:, 1] = 0.0
    X[:, 2] = X[:, 3]
    objective = make_objective(LAYOUTS[layout](X), target, weight, 3, C=np.inf)
    W = point_of(objective)
    _, gradient = objective(W)
    direction = objective.solve_curvature(W)(gradient)
    assert np.isfinite(direction).all()
    assert np.vdot(gradient, direction) > 0


def log_softmax_by_definition(raw):
    """-log(1 + odds against each class): accurate next to 0, where SciPy's is not."""
    raw = raw.astype(np.float64)
    out = np.empty_like(raw)
    for j in range(raw.shape[1]):
        others = logsumexp(np.delete(raw, j, axis=1), axis=1)
        out[:, j] = -np.logaddexp(0.0, others - raw[:, j])
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [3, 10])
def test_log_softmax(dtype, n_classes):
    raw = (100 * np.random.default_rng(0).normal(size=(50, n_classes))).astype(dtype)
    got = log_softmax(raw)
    assert got.dtype == dtype
    # A difference of logits up to 500 is rounded by up to 1e-13.
    rtol = max(1e-13, 2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(got, log_softmax_by_definition(raw), rtol=rtol, atol=1e-40)


def test_log_softmax_of_a_single_logit():
    raw = np.array([[-1e4], [-1.0], [0.0], [1.0], [40.0], [1e4]])
    got = log_softmax(raw)
    np.testing.assert_allclose(got[:, 0], -np.logaddexp(0.0, raw[:, 0]), rtol=1e-15)
    np.testing.assert_allclose(got[:, 1], -np.logaddexp(0.0, -raw[:, 0]), rtol=1e-15)
