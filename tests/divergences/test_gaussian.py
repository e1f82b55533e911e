"""gaussian_kl_divergence: the closed form in many digits, shapes, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import det, inverse, log, matrix, mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklkl.divergences import gaussian_kl_divergence
from tests._support.reference import DIGITS, error

BOUND = {"diagonal": 1e-13, "full": 1e-12}
KINDS = ["diagonal", "full", "p full", "q full"]
PERTURBATIONS = [10.0**-e for e in range(1, 13)]

each_kind = pytest.mark.parametrize("kind", KINDS)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def as_matrix(cov):
    cov = np.asarray(cov, dtype=np.float64)
    return matrix((np.diag(cov) if cov.ndim == 1 else cov).tolist())


def exact_diagonal(mean_p, cov_p, mean_q, cov_q):
    with mp.workdps(DIGITS):
        total = mpf(0)
        for row in zip(mean_p, cov_p, mean_q, cov_q, strict=True):
            m, v, n, w = (mpf(float(x)) for x in row)
            total += v / w - 1 - log(v / w) + (m - n) ** 2 / w
        return total / 2


def exact_divergence(mean_p, cov_p, mean_q, cov_q):
    """Return the divergence of two Gaussians; a covariance is a vector or a matrix."""
    if np.ndim(cov_p) == np.ndim(cov_q) == 1:
        return exact_diagonal(mean_p, cov_p, mean_q, cov_q)
    with mp.workdps(DIGITS):
        p, q = as_matrix(cov_p), as_matrix(cov_q)
        to_white = inverse(q)
        gap = matrix(
            [mpf(float(m)) - mpf(float(n)) for m, n in zip(mean_p, mean_q, strict=True)]
        )
        white = to_white * p
        d = len(mean_p)
        total = sum(white[i, i] for i in range(d)) - d - log(det(white))
        return (total + (gap.T * to_white * gap)[0]) / 2


def random_covariance(rng, shape, d, full, spread=1.0):
    """Variances or well-conditioned matrices, exactly symmetric."""
    if not full:
        return np.exp(spread * rng.standard_normal((*shape, d)))
    root = rng.standard_normal((*shape, d, d))
    scale = np.exp(0.5 * spread * rng.standard_normal((*shape, d)))
    cov = np.eye(d) + root @ np.swapaxes(root, -1, -2) / d
    cov = scale[..., None] * cov * scale[..., None, :]
    return 0.5 * (cov + np.swapaxes(cov, -1, -2))


def is_full(kind):
    return kind in ("full", "p full"), kind in ("full", "q full")


def random_pair(kind, shape=(), d=4, *, seed=0, spread=1.0):
    rng = np.random.default_rng([seed, d])
    arguments = []
    for full in is_full(kind):
        arguments.append(rng.standard_normal((*shape, d)))
        arguments.append(random_covariance(rng, shape, d, full, spread))
    return tuple(arguments)


def bound(kind):
    return BOUND["diagonal" if kind == "diagonal" else "full"]


def worst_error(*arguments):
    """Return the largest relative error for a batch of one axis."""
    values = gaussian_kl_divergence(*arguments)
    assert (values >= 0).all()
    return max(
        error(value, exact_divergence(*one), atol=1e-50)
        for value, one in zip(values, zip(*arguments, strict=True), strict=True)
    )


# Values


@each_kind
@pytest.mark.parametrize("d", [1, 2, 3, 9])
@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_ordinary(kind, d, spread):
    assert worst_error(*random_pair(kind, (4,), d, spread=spread)) <= bound(kind)


@pytest.mark.parametrize("d", [17, 1000, 5000])
def test_many_dimensions(d):
    arguments = random_pair("diagonal", (1,), d)
    if d <= 1000:
        assert worst_error(*arguments) <= 1e-13
    parts = [
        gaussian_kl_divergence(*rows) for rows in zip(*(x.T for x in arguments), strict=True)
    ]
    assert_allclose(gaussian_kl_divergence(*arguments), math.fsum(parts), rtol=1e-13)


@pytest.mark.parametrize("kind", ["diagonal", "full"])
@pytest.mark.parametrize("perturbation", PERTURBATIONS)
@pytest.mark.parametrize("what", ["mean", "covariance", "both"])
@pytest.mark.parametrize("d", [1, 4])
def test_near_equal(kind, perturbation, what, d):
    mean_p, cov_p, *_ = random_pair(kind, (3,), d)
    _, _, mean_noise, cov_noise = random_pair(kind, (3,), d, seed=1)
    mean_q, cov_q = mean_p.copy(), cov_p.copy()
    if what != "covariance":
        mean_q += perturbation * mean_noise
    if what != "mean":
        cov_q += perturbation * (cov_noise - cov_noise.mean())
        if kind == "full":
            cov_q = 0.5 * (cov_q + np.swapaxes(cov_q, -1, -2))
            # what rounding left of definiteness is not the matter here
            assert (np.linalg.eigvalsh(cov_q) > 0).all()
        else:
            cov_q = abs(cov_q)
    assert worst_error(mean_p, cov_p, mean_q, cov_q) <= bound(kind)
    assert worst_error(mean_q, cov_q, mean_p, cov_p) <= bound(kind)


@pytest.mark.parametrize("kind", ["p full", "q full"])
@pytest.mark.parametrize("perturbation", [1e-1, 1e-4, 1e-8, 1e-12])
def test_near_equal_of_two_kinds(kind, perturbation):
    mean, variances, _, noise = random_pair("diagonal", (4,), 3)
    near = variances * (1 + perturbation * noise / 10)
    matrices = variances[..., None] * np.eye(3)
    arguments = (mean, near, mean, matrices)
    if kind == "p full":
        arguments = (mean, matrices, mean, near)
    assert worst_error(*arguments) <= bound(kind)


@pytest.mark.parametrize("perturbation", [1e-1, 1e-4, 1e-8, 1e-12])
def test_near_the_standard_normal(perturbation):
    """What the posterior of a collapsed autoencoder is."""
    rng = np.random.default_rng(0)
    mean = perturbation * rng.standard_normal((5, 8))
    variances = np.exp(perturbation * rng.standard_normal((5, 8)))
    values = gaussian_kl_divergence(mean, variances)
    zeros, ones = np.zeros(8), np.ones(8)
    for value, m, v in zip(values, mean, variances, strict=True):
        assert error(value, exact_divergence(m, v, zeros, ones)) <= 1e-13


@each_kind
@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1.49, 1.51, 2.0, 1e3, 1e12])
def test_one_covariance_a_multiple_of_the_other(kind, factor):
    """Also around the ratio where another formula takes over."""
    d = 4
    mean_p, cov_p, mean_q, _ = random_pair("diagonal", (2,), d)
    cov_q = cov_p / factor
    full_p, full_q = is_full(kind)
    if full_p:
        cov_p = cov_p[..., None] * np.eye(d)
    if full_q:
        cov_q = cov_q[..., None] * np.eye(d)
    assert worst_error(mean_p, cov_p, mean_q, cov_q) <= bound(kind)
    assert worst_error(mean_p, cov_p, mean_p, cov_q) <= bound(kind)


@each_kind
@pytest.mark.parametrize("distance", [1e3, 1e8, 1e100])
def test_far_means(kind, distance):
    mean_p, cov_p, mean_q, cov_q = random_pair(kind, (4,), 3)
    assert worst_error(distance * mean_p, cov_p, mean_q, cov_q) <= bound(kind)


@each_kind
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e300])
def test_tiny_and_huge_variances(kind, scale):
    """Both covariances by a factor, means by its root: the divergence stays."""
    mean_p, cov_p, mean_q, cov_q = random_pair(kind, (4,), 3)
    arguments = [mean_p * scale**0.5, cov_p * scale, mean_q * scale**0.5, cov_q * scale]
    assert worst_error(*arguments) <= bound(kind)


@pytest.mark.parametrize(
    ("cov_p", "cov_q"),
    [
        (1e-300, 1e300),
        (1e-160, 1e160),
        (1e-300, 1.0),
        (1.0, 1e300),
        (1e300, 1.0),
        (1e160, 1e-140),
        (5e-324, 1.0),
        (5e-324, 1e308),
        (5e-324, 1e-323),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_variances_far_apart(cov_p, cov_q, full):
    exact = exact_divergence([0.0], [cov_p], [0.0], [cov_q])
    cov_p, cov_q = ([[cov_p]], [[cov_q]]) if full else ([cov_p], [cov_q])
    assert error(gaussian_kl_divergence([0.0], cov_p, [0.0], cov_q), exact) <= 1e-13


@pytest.mark.parametrize(
    ("mean", "variance"), [(1e-170, 1e-300), (1e-200, 1e-300), (1e200, 1e300), (1e160, 1e300)]
)
@pytest.mark.parametrize("full", [False, True])
def test_square_of_the_distance_is_beyond_float64(mean, variance, full):
    """The square of the difference underflows or overflows, the divergence does not."""
    exact = exact_divergence([mean], [variance], [0.0], [variance])
    cov = [[variance]] if full else [variance]
    assert error(gaussian_kl_divergence([mean], cov, [0.0], cov), exact) <= 1e-13


@pytest.mark.parametrize("full", [False, True])
def test_beyond_the_largest_number_is_infinite(full):
    for mean, cov_p, cov_q in ((0.0, 1e300, 1e-300), (1e200, 1.0, 1.0), (1e10, 1.0, 1e-300)):
        arguments = [mean], [cov_p], [0.0], [cov_q]
        if full:
            arguments = [mean], [[cov_p]], [0.0], [[cov_q]]
        assert gaussian_kl_divergence(*arguments) == math.inf


def test_standard_normal_by_default():
    rng = np.random.default_rng(0)
    mean, log_variances = rng.standard_normal((2, 6, 10))
    variances = np.exp(log_variances)
    expected = 0.5 * (mean**2 + variances - 1 - log_variances).sum(axis=1)
    assert_allclose(gaussian_kl_divergence(mean, variances), expected, rtol=1e-13)
    zeros, ones = np.zeros(10), np.ones(10)
    given = gaussian_kl_divergence(mean, variances, zeros, ones)
    assert_array_equal(gaussian_kl_divergence(mean, variances), given)
    assert_array_equal(gaussian_kl_divergence(mean, variances, zeros), given)
    assert_array_equal(gaussian_kl_divergence(mean, variances, cov_q=ones), given)
    assert_array_equal(gaussian_kl_divergence(mean, variances, None, None), given)


def test_one_dimension():
    for m, s, n, t in ((0.0, 1.0, 1.0, 2.0), (3.0, 0.1, -1.0, 0.7), (0.5, 5.0, 0.4, 0.2)):
        expected = math.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
        variances = gaussian_kl_divergence([m], [s**2], [n], [t**2])
        assert variances == pytest.approx(expected, rel=1e-14)
        matrices = gaussian_kl_divergence([m], [[s**2]], [n], [[t**2]])
        assert matrices == pytest.approx(expected, rel=1e-14)


def test_documented_figures():
    assert gaussian_kl_divergence([1.0, 0.0], [1.0, 1.0]) == 0.5
    assert gaussian_kl_divergence([3.0], [1.0], [0.0], [9.0]) == pytest.approx(
        0.5 * (1 / 9 + math.log(9)), rel=1e-15
    )


@each_kind
def test_diagonal_matrix_is_its_variances(kind):
    mean_p, cov_p, mean_q, cov_q = random_pair("diagonal", (5,), 3)
    full_p, full_q = is_full(kind)
    p = cov_p[..., None] * np.eye(3) if full_p else cov_p
    q = cov_q[..., None] * np.eye(3) if full_q else cov_q
    expected = gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q)
    assert_allclose(gaussian_kl_divergence(mean_p, p, mean_q, q), expected, rtol=1e-13)


@pytest.mark.parametrize("perturbation", [1.0, 1e-3, 1e-6])
def test_invariant_under_affine_maps(perturbation):
    mean_p, cov_p, mean_q, cov_q = random_pair("full", (5,), 4)
    mean_q = mean_p + perturbation * mean_q
    cov_q = cov_p + perturbation * cov_q
    rng = np.random.default_rng(1)
    transform, offset = np.eye(4) + 0.3 * rng.standard_normal((4, 4)), rng.standard_normal(4)
    expected = gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q)
    mapped = [mean @ transform.T + offset for mean in (mean_p, mean_q)]
    covs = [transform @ cov @ transform.T for cov in (cov_p, cov_q)]
    covs = [0.5 * (cov + np.swapaxes(cov, -1, -2)) for cov in covs]
    result = gaussian_kl_divergence(mapped[0], covs[0], mapped[1], covs[1])
    # The map rounds, by more of a smaller difference.
    assert_allclose(result, expected, rtol=1e-13 / perturbation**2 + 1e-9)


def test_order_of_dimensions_does_not_matter():
    mean_p, cov_p, mean_q, cov_q = random_pair("full", (5,), 4)
    order = [2, 0, 3, 1]
    permuted = [cov[:, order][:, :, order] for cov in (cov_p, cov_q)]
    result = gaussian_kl_divergence(
        mean_p[:, order], permuted[0], mean_q[:, order], permuted[1]
    )
    assert_allclose(result, gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q), rtol=1e-12)


@each_kind
def test_equal_gaussians(kind):
    full_p, full_q = is_full(kind)
    for scale in (1e-20, 0.1, 1.0, 3.7, 1e20):
        mean, variances, *_ = random_pair("diagonal", (7,), 5)
        cov = scale * variances
        matrices = cov[..., None] * np.eye(5)
        if kind == "full":
            matrices = scale * random_pair("full", (7,), 5)[1]
        p, q = matrices if full_p else cov, matrices if full_q else cov
        assert_array_equal(gaussian_kl_divergence(mean, p, mean, q), np.zeros(7))
    assert gaussian_kl_divergence(np.zeros(3), np.ones(3)) == 0.0
    assert gaussian_kl_divergence(np.zeros(3), np.eye(3)) == 0.0


# Properties

numbers = st.floats(-1e3, 1e3)
positive = st.floats(1e-6, 1e6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(numbers, positive, numbers, positive), min_size=1, max_size=5))
def test_not_negative(rows):
    arguments = np.array(rows).T
    value = gaussian_kl_divergence(*arguments)
    assert value >= 0
    assert error(value, exact_diagonal(*arguments), atol=1e-300) <= 1e-13
    mean_p, cov_p, mean_q, cov_q = arguments
    value = gaussian_kl_divergence(mean_p, np.diag(cov_p), mean_q, np.diag(cov_q))
    assert value >= 0


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 1000),
    d=st.integers(1, 6),
    perturbation=st.floats(0, 1),
    spread=st.floats(0, 5),
)
def test_not_negative_for_matrices(seed, d, perturbation, spread):
    mean_p, cov_p, mean_q, cov_q = random_pair("full", (2,), d, seed=seed, spread=spread)
    near = cov_p + perturbation**4 * cov_q
    assert (gaussian_kl_divergence(mean_p, cov_p, mean_p, near) >= 0).all()
    assert (gaussian_kl_divergence(mean_p, near, mean_p, cov_p) >= 0).all()
    assert (gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q) >= 0).all()


# Shapes and types


@each_dtype
def test_result(dtype):
    mean_p, cov_p, mean_q, cov_q = (x.astype(dtype) for x in random_pair("diagonal", (6,), 3))
    result = gaussian_kl_divergence(mean_p, cov_p, mean_q, cov_q)
    assert result.shape == (6,)
    assert result.dtype == dtype
    assert gaussian_kl_divergence(mean_p, cov_p).dtype == dtype
    single = gaussian_kl_divergence(mean_p[0], cov_p[0], mean_q[0], cov_q[0])
    assert type(single) is float
    assert single == pytest.approx(result[0], rel=1e-7)
    assert type(gaussian_kl_divergence(mean_p[0], np.diag(cov_p[0]))) is float


@each_kind
def test_float32(kind):
    arguments = [x.astype(np.float32) for x in random_pair(kind, (6,), 4)]
    result = gaussian_kl_divergence(*arguments)
    assert result.dtype == np.float32
    wide = [x.astype(np.float64) for x in arguments]
    assert_array_equal(result, gaussian_kl_divergence(*wide).astype(np.float32))
    for i in range(4):
        mixed = [x if j != i else wide[j] for j, x in enumerate(arguments)]
        assert gaussian_kl_divergence(*mixed).dtype == np.float64


def test_float32_beyond_its_largest_number_is_infinite():
    mean = np.array([[1e18], [1e20]], np.float32)
    result = gaussian_kl_divergence(mean, np.ones((2, 1), np.float32))
    assert_array_equal(result, np.array([5e35, np.inf], np.float32))


def test_integers_and_lists():
    result = gaussian_kl_divergence([[1, 0]], [[1, 1]])
    assert result.dtype == np.float64
    expected = gaussian_kl_divergence(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
    assert_array_equal(result, expected)


def test_base():
    for kind in KINDS:
        arguments = random_pair(kind, (6,), 3)
        assert_allclose(
            gaussian_kl_divergence(*arguments, base=2) * math.log(2),
            gaussian_kl_divergence(*arguments),
            rtol=1e-15,
        )


@each_kind
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3)])
def test_batches(kind, shape):
    arguments = random_pair(kind, shape, 4)
    result = gaussian_kl_divergence(*arguments)
    assert result.shape == shape
    expected = [gaussian_kl_divergence(*(x[i] for x in arguments)) for i in np.ndindex(shape)]
    assert_allclose(result, np.reshape(expected, shape), rtol=1e-14)


@pytest.mark.parametrize(
    "shapes",
    [
        [(5,), (), (), ()],
        [(), (5,), (), ()],
        [(), (), (5,), ()],
        [(), (), (), (5,)],
        [(2, 1), (5,), (), (1,)],
        [(1,), (), (4, 1), (5,)],
    ],
)
def test_leading_shapes_of_variances_broadcast(shapes):
    rng = np.random.default_rng(0)
    d = 3
    arguments = [rng.uniform(0.5, 2, size=(*shape, d)) for shape in shapes]
    result = gaussian_kl_divergence(*arguments)
    full = np.broadcast_arrays(*arguments)
    assert result.shape == full[0].shape[:-1]
    assert_array_equal(result, gaussian_kl_divergence(*full))


@pytest.mark.parametrize(("full_p", "full_q"), [(True, True), (True, False), (False, True)])
def test_leading_shapes_of_matrices_broadcast(full_p, full_q):
    rng = np.random.default_rng(0)
    d, n = 3, 5
    covs = [random_covariance(rng, (n,), d, full) for full in (full_p, full_q)]
    mean_p, mean_q = rng.standard_normal((2, d))
    result = gaussian_kl_divergence(mean_p, covs[0], mean_q, covs[1])
    expected = [
        gaussian_kl_divergence(mean_p, p, mean_q, q) for p, q in zip(*covs, strict=True)
    ]
    assert_allclose(result, expected, rtol=1e-14)
    means = np.tile(mean_p, (n, 1))
    assert_array_equal(gaussian_kl_divergence(means, covs[0], mean_q, covs[1]), result)
    result = gaussian_kl_divergence(mean_p, covs[0])
    assert_allclose(
        result, [gaussian_kl_divergence(mean_p, cov) for cov in covs[0]], rtol=1e-14
    )


def test_as_many_rows_as_dimensions():
    """Rows of variances and one matrix for all rows look alike."""
    mean = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"^cov_p of shape \(2, 2\) may hold .* covariance_t"):
        gaussian_kl_divergence(mean, COV)
    for mean_q in (None, mean):  # the zeros have the shape of the other means
        with pytest.raises(ValueError, match=r"^cov_q of shape \(2, 2\) may hold rows of var"):
            gaussian_kl_divergence(mean, COV[None], mean_q, COV)
    with pytest.raises(ValueError, match=r"^cov_p of shape \(2, 2\) may hold rows of var"):
        gaussian_kl_divergence(mean[:1], COV)
    matrix = gaussian_kl_divergence(mean[0], COV)
    assert round(matrix, 3) == 0.22
    result = gaussian_kl_divergence(mean, COV, covariance_type="full")
    assert_array_equal(result, [matrix, matrix])
    expected = [gaussian_kl_divergence(mean[0], row) for row in COV]
    result = gaussian_kl_divergence(mean, COV, covariance_type="diag")
    assert_array_equal(result, expected)
    assert_array_equal(gaussian_kl_divergence(mean[0], COV, covariance_type="diag"), expected)


def test_shapes_that_tell_variances_from_matrices():
    matrix = gaussian_kl_divergence([0.0, 0.0], COV)
    for mean, cov in ((np.zeros((5, 2)), COV), (np.zeros((2, 2)), [COV])):
        assert_array_equal(gaussian_kl_divergence(mean, cov), [matrix] * len(mean))
    assert_array_equal(gaussian_kl_divergence([[0.0]], [[1.0]]), [0.0])
    with pytest.raises(ValueError, match=r"^cov_q has shape \(2,\); .*covariance_type='full'"):
        gaussian_kl_divergence([0.0, 0.0], COV, cov_q=[1.0, 1.0], covariance_type="full")


def test_one_matrix_for_both():
    d = 3
    rng = np.random.default_rng(0)
    means = rng.standard_normal((2, d))
    cov = random_covariance(rng, (), d, full=True)
    value = gaussian_kl_divergence(means[0], cov, means[1], cov)
    gap = means[0] - means[1]
    assert value == pytest.approx(0.5 * gap @ np.linalg.solve(cov, gap), rel=1e-13)


@each_kind
def test_empty_batch(kind):
    arguments = random_pair(kind, (0,), 3)
    result = gaussian_kl_divergence(*arguments)
    assert result.shape == (0,)
    assert result.dtype == np.float64


@each_kind
def test_layout_does_not_matter(kind):
    arguments = random_pair(kind, (6,), 4)
    expected = gaussian_kl_divergence(*arguments)
    for x in arguments:
        x.flags.writeable = False
    assert_array_equal(gaussian_kl_divergence(*arguments), expected)
    strided = [np.repeat(x, 2, axis=0)[::2] for x in arguments]
    assert_array_equal(gaussian_kl_divergence(*strided), expected)
    columns = [np.asfortranarray(x) for x in arguments]
    assert_allclose(gaussian_kl_divergence(*columns), expected, rtol=1e-14)


# Bad input

MEAN, VARIANCES, COV = np.zeros(2), np.ones(2), np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize("bad", [0.0, -1.0, -1e-300])
def test_variance_is_not_positive(bad):
    with pytest.raises(ValueError, match=r"^cov_p\[1\] is not positive"):
        gaussian_kl_divergence(MEAN, [1.0, bad])
    with pytest.raises(ValueError, match=r"^cov_q\[1\] is not positive"):
        gaussian_kl_divergence(MEAN, VARIANCES, MEAN, [1.0, bad])
    variances = np.ones((4, 3, 2))
    variances[2, 1, 0] = variances[3, 0, 1] = bad
    with pytest.raises(ValueError, match=r"^cov_p\[2, 1, 0\] is not positive"):
        gaussian_kl_divergence(np.zeros((4, 3, 2)), variances)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    with pytest.raises(ValueError, match=r"^mean_p\[1\] is not finite"):
        gaussian_kl_divergence([0.0, bad], VARIANCES)
    with pytest.raises(ValueError, match=r"^mean_q\[0\] is not finite"):
        gaussian_kl_divergence(MEAN, VARIANCES, [bad, 0.0])
    with pytest.raises(ValueError, match=r"^cov_p\[1\] is not finite"):
        gaussian_kl_divergence(MEAN, [1.0, bad])
    with pytest.raises(ValueError, match=r"^cov_q\[0, 1\] is not finite"):
        gaussian_kl_divergence(MEAN, VARIANCES, MEAN, [[1.0, bad], [bad, 1.0]])
    means = np.zeros((4, 2))
    means[2, 1] = bad
    with pytest.raises(ValueError, match=r"^mean_p\[2, 1\] is not finite"):
        gaussian_kl_divergence(means, np.ones((4, 2)))


def test_asymmetric():
    bad = [[2.0, 0.5], [0.4, 1.0]]
    with pytest.raises(ValueError, match=r"^cov_p is not symmetric"):
        gaussian_kl_divergence(MEAN, bad)
    with pytest.raises(ValueError, match=r"^cov_q is not symmetric"):
        gaussian_kl_divergence(MEAN, COV, MEAN, bad)
    with pytest.raises(ValueError, match=r"^cov_p\[2\] is not symmetric"):
        gaussian_kl_divergence(np.zeros((3, 2)), [COV, COV, bad])
    # what a product of float32 matrices leaves of symmetry
    nearly = COV.copy()
    nearly[0, 1] *= 1 + 1e-7
    gaussian_kl_divergence(MEAN, nearly)


@pytest.mark.parametrize(
    "bad",
    [
        [[1.0, 2.0], [2.0, 1.0]],
        [[-1.0, 0.0], [0.0, 1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[0.01, 0.1], [0.1, 1.0]],
    ],
)
def test_not_positive_definite(bad):
    with pytest.raises(ValueError, match=r"^cov_p is not positive definite"):
        gaussian_kl_divergence(MEAN, bad)
    with pytest.raises(ValueError, match=r"^cov_q is not positive definite"):
        gaussian_kl_divergence(MEAN, VARIANCES, MEAN, bad)
    with pytest.raises(ValueError, match=r"^cov_p\[2\] is not positive definite"):
        gaussian_kl_divergence(np.zeros((4, 2)), [COV, COV, bad, bad])
    with pytest.raises(ValueError, match=r"^cov_q\[1, 0\] is not positive definite"):
        gaussian_kl_divergence(MEAN, VARIANCES, MEAN, [[COV, COV], [bad, COV]])


def test_not_positive_definite_and_of_many_scales():
    """A matrix whose least eigenvalue is computed as a positive number."""
    bad = [[1e8, 9e3, -2e11], [9e3, 1.0, 8e7], [-2e11, 8e7, 1e16]]
    with pytest.raises(ValueError, match=r"^cov_p is not positive definite"):
        gaussian_kl_divergence(np.zeros(3), bad)
    with pytest.raises(ValueError, match=r"^cov_p\[1\] is not positive definite"):
        gaussian_kl_divergence(np.zeros((3, 3)), [np.eye(3), bad, bad])


def test_nearly_singular():
    """Digits are lost, and where too few are left the matrix is refused."""
    for less, bound in ((1e-6, 1e-9), (1e-10, 1e-5)):
        cov = np.array([[1.0, 1 - less], [1 - less, 1.0]]) * [[1e8, 1.0], [1.0, 1e-8]]
        exact = exact_divergence(MEAN, cov, MEAN, VARIANCES)
        assert error(gaussian_kl_divergence(MEAN, cov), exact) <= bound
        plain = np.array([[1.0, 1 - less], [1 - less, 1.0]])
        exact = exact_divergence([1.0, 2.0], [1.0, 1.0], MEAN, plain)
        assert (
            error(gaussian_kl_divergence([1.0, 2.0], [1.0, 1.0], MEAN, plain), exact) <= bound
        )
    cov = [[1.0, 1 - 1e-14], [1 - 1e-14, 1.0]]
    with pytest.raises(ValueError, match=r"^cov_q is not positive definite beyond rounding"):
        gaussian_kl_divergence(MEAN, COV, cov_q=cov)
    with pytest.raises(ValueError, match=r"^cov_p\[1\] is not positive definite beyond round"):
        gaussian_kl_divergence(MEAN, [COV, cov])


@pytest.mark.parametrize("name", ["mean_p", "cov_p"])
def test_p_is_required(name):
    with pytest.raises(
        TypeError, match=rf"^{name} must be an array of real numbers; got None"
    ):
        gaussian_kl_divergence(**{"mean_p": MEAN, "cov_p": COV} | {name: None})


@pytest.mark.parametrize("covariance_type", [None, "tied", 1])
def test_bad_covariance_type(covariance_type):
    with pytest.raises(ValueError, match=r"^covariance_type must be one of \('auto', 'diag',"):
        gaussian_kl_divergence(MEAN, COV, covariance_type=covariance_type)


def test_single_number():
    for name in ("mean_p", "cov_p", "mean_q", "cov_q"):
        arguments = {"mean_p": MEAN, "cov_p": VARIANCES, "mean_q": MEAN, "cov_q": VARIANCES}
        with pytest.raises(ValueError, match=rf"^{name} (is a single number|has shape \(\))"):
            gaussian_kl_divergence(**arguments | {name: 1.0})


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match=r"^mean_p has 2 dimensions, but mean_q has 3\."):
        gaussian_kl_divergence(MEAN, VARIANCES, np.zeros(3))
    with pytest.raises(ValueError, match=r"^cov_p has shape \(3,\); for 2 dimensions"):
        gaussian_kl_divergence(MEAN, np.ones(3))
    with pytest.raises(ValueError, match=r"^cov_q has shape \(3, 3\); for 2 dimensions"):
        gaussian_kl_divergence(MEAN, VARIANCES, MEAN, np.eye(3))
    with pytest.raises(ValueError, match=r"^mean_p has 1 dimensions, but mean_q has 2\."):
        gaussian_kl_divergence([0.0], VARIANCES, MEAN, VARIANCES)


def test_leading_shapes_must_broadcast():
    with pytest.raises(ValueError, match=r"do not broadcast: mean_p \(4, 2\), cov_p \(3, 2\)"):
        gaussian_kl_divergence(np.zeros((4, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"do not broadcast: .* cov_q \(5, 2, 2\)"):
        gaussian_kl_divergence(np.zeros((4, 2)), np.ones((4, 2)), MEAN, [COV] * 5)


def test_no_dimensions():
    """A value of nothing, or an error that says so."""
    for cov in (np.ones(0), np.ones((0, 0))):
        try:
            assert gaussian_kl_divergence(np.zeros(0), cov) == 0.0
        except ValueError as problem:
            assert "mean_p" in str(problem) or "cov_p" in str(problem)  # noqa: PT017


@pytest.mark.parametrize("base", [1, 0, -2, np.nan, np.inf, "2"])
def test_bad_base(base):
    with pytest.raises(ValueError, match=r"^base must be None \(nats\) or a number > 1"):
        gaussian_kl_divergence(MEAN, VARIANCES, base=base)


@pytest.mark.parametrize("name", ["mean_p", "cov_p", "mean_q", "cov_q"])
def test_not_real_numbers(name):
    arguments = {"mean_p": MEAN, "cov_p": VARIANCES, "mean_q": MEAN, "cov_q": VARIANCES}
    with pytest.raises(TypeError, match=rf"^{name} must hold real numbers") as e:
        gaussian_kl_divergence(**arguments | {name: ["a", "b"]})
    assert "probabilities" not in str(e.value)
    with pytest.raises(TypeError, match=rf"^{name} is a sparse matrix"):
        gaussian_kl_divergence(**arguments | {name: csr_array(COV)})


def test_overflow_is_infinity():
    eye = np.eye(2)
    assert gaussian_kl_divergence([0, 0], eye * 1e300, [0, 0], eye * 1e-300) == math.inf
    cov = COV * 5e307
    assert gaussian_kl_divergence([0, 0], cov, [0, 0], eye * 1e-308) == math.inf
    # where the ratio underflows, its logarithm does not
    expected = 308 * math.log(10) * 2 - 1
    value = gaussian_kl_divergence([0, 0], eye * 1e-308, [0, 0], eye * 1e308)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gaussian_kl_divergence([1e308], [1.0], [-1e308], [1.0]) == math.inf
