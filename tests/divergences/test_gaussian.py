"""gaussian_kl_divergence: the closed form in many digits, shapes, bad input."""

import math

import numpy as np
import pytest
from mpmath import det, inverse, log, matrix, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklkl.divergences import gaussian_kl_divergence
from tests._support.layouts import LAYOUTS
from tests._support.messages import matches
from tests._support.reference import DIGITS, error, workdps

BOUND = {"diagonal": 1e-13, "full": 1e-12}
KINDS = ["diagonal", "full", "p full", "q full"]

each_kind = pytest.mark.parametrize("kind", KINDS)
each_form = pytest.mark.parametrize("full", [False, True], ids=["variances", "matrices"])


def as_matrix(cov):
    cov = np.asarray(cov, dtype=np.float64)
    return matrix((np.diag(cov) if cov.ndim == 1 else cov).tolist())


def exact_divergence(mean_p, cov_p, mean_q, cov_q):
    """Return the divergence of two Gaussians; a covariance is a vector or a matrix."""
    with workdps(DIGITS):
        m, n = ([mpf(float(x)) for x in mean] for mean in (mean_p, mean_q))
        if np.ndim(cov_p) == np.ndim(cov_q) == 1:
            v, w = ([mpf(float(x)) for x in cov] for cov in (cov_p, cov_q))
            return (
                sum(
                    a / b - 1 - log(a / b) + (x - y) ** 2 / b
                    for x, a, y, b in zip(m, v, n, w, strict=True)
                )
                / 2
            )
        to_white = inverse(as_matrix(cov_q))
        white = to_white * as_matrix(cov_p)
        gap = matrix(m) - matrix(n)
        total = sum(white[i, i] for i in range(len(m))) - len(m) - log(det(white))
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


def as_kind(kind, *variances):
    """Return variances as what the kind has them."""
    return [
        x[..., None] * np.eye(x.shape[-1]) if full else x
        for full, x in zip(is_full(kind), variances, strict=True)
    ]


def check(kind, *arguments):
    """Compare a batch of one axis with the oracle."""
    values = gaussian_kl_divergence(*arguments)
    assert (values >= 0).all()
    bound = BOUND["diagonal" if kind == "diagonal" else "full"]
    for value, one in zip(values, zip(*arguments, strict=True), strict=True):
        assert error(value, exact_divergence(*one), atol=1e-50) <= bound


# Values


@each_kind
def test_ordinary(kind):
    for d, spread in ((1, 1.0), (2, 3.0), (3, 0.3), (9, 3.0), (9, 1.0)):
        check(kind, *random_pair(kind, (4,), d, spread=spread))
    if kind == "diagonal":
        check(kind, *random_pair(kind, (1,), 300))


@each_kind
@pytest.mark.parametrize("what", ["mean", "covariance", "both"])
def test_near_equal(kind, what):
    for d, exponents in ((1, range(1, 13, 3)), (4, range(1, 13))):
        mean, cov, mean_noise, cov_noise = random_pair(kind, (2,), d)
        if kind in ("p full", "q full"):
            _, cov, _, cov_noise = random_pair("diagonal", (2,), d)
        for perturbation in (10.0**-e for e in exponents):
            near = mean + perturbation * mean_noise * (what != "covariance")
            covs = cov, cov + perturbation * cov_noise * (what != "mean")
            if kind in ("p full", "q full"):
                covs = as_kind(kind, *covs)
            check(kind, mean, covs[0], near, covs[1])
            check(kind, near, covs[1], mean, covs[0])


def test_near_the_standard_normal():
    """What the posterior of a collapsed autoencoder is; Q is so by default."""
    zeros, ones = np.zeros((5, 8)), np.ones((5, 8))
    for perturbation in (1.0, 1e-1, 1e-4, 1e-8, 1e-12):
        mean, logs = perturbation * np.random.default_rng(0).standard_normal((2, 5, 8))
        check("diagonal", mean, np.exp(logs), zeros, ones)
        given = gaussian_kl_divergence(mean, np.exp(logs), zeros, ones)
        for others in ((), (zeros,), (None, ones), (None, None)):
            assert_array_equal(gaussian_kl_divergence(mean, np.exp(logs), *others), given)


@each_kind
def test_one_covariance_a_multiple_of_the_other(kind):
    """Also around the ratio where another formula takes over."""
    mean_p, variances, mean_q, _ = random_pair("diagonal", (2,), 4)
    for factor in (1e-12, 1e-3, 1.49, 1.51, 2.0, 1e3, 1e12):
        p, q = as_kind(kind, variances, variances / factor)
        check(kind, mean_p, p, mean_q, q)
        check(kind, mean_p, p, mean_p, q)


@each_kind
def test_far_means_and_variances_of_any_scale(kind):
    mean_p, cov_p, mean_q, cov_q = random_pair(kind, (4,), 3)
    for distance in (1e3, 1e8, 1e100):
        check(kind, distance * mean_p, cov_p, mean_q, cov_q)
    # both covariances by a factor, means by its root: the divergence stays
    for scale in (1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e300):
        root = scale**0.5
        check(kind, mean_p * root, cov_p * scale, mean_q * root, cov_q * scale)


@each_form
@pytest.mark.parametrize(
    ("mean", "cov_p", "cov_q"),
    [
        (0.0, 1e-300, 1e300),
        (0.0, 1e-300, 1.0),
        (0.0, 1.0, 1e300),
        (0.0, 1e300, 1.0),
        (0.0, 1e160, 1e-140),
        (0.0, 5e-324, 1e308),
        (0.0, 5e-324, 1e-323),
        # the square of the difference underflows or overflows, the divergence does not
        (1e-170, 1e-300, 1e-300),
        (1e-200, 1e-300, 1e-300),
        (1e200, 1e300, 1e300),
        # the divergence does overflow
        (0.0, 1e300, 1e-300),
        (1e200, 1.0, 1.0),
        (1e10, 1.0, 1e-300),
    ],
)
def test_at_the_limits_of_float64(mean, cov_p, cov_q, full):
    exact = exact_divergence([mean], [cov_p], [0.0], [cov_q])
    cov_p, cov_q = ([[cov_p]], [[cov_q]]) if full else ([cov_p], [cov_q])
    assert error(gaussian_kl_divergence([mean], cov_p, [0.0], cov_q), exact) <= 1e-13


def test_overflow_inside_of_matrices_is_infinity():
    eye = np.eye(2)
    assert gaussian_kl_divergence([0, 0], eye * 1e300, [0, 0], eye * 1e-300) == math.inf
    assert gaussian_kl_divergence([0, 0], COV * 5e307, [0, 0], eye * 1e-308) == math.inf
    assert gaussian_kl_divergence([1e308], [1.0], [-1e308], [1.0]) == math.inf
    # where the ratio underflows, its logarithm does not
    value = gaussian_kl_divergence([0, 0], eye * 1e-308, [0, 0], eye * 1e308)
    assert value == pytest.approx(308 * math.log(10) * 2 - 1, rel=1e-13)
    result = gaussian_kl_divergence(np.float32([[1e18], [1e20]]), np.ones((2, 1), np.float32))
    assert_array_equal(result, np.float32([5e35, np.inf]))


@each_kind
def test_equal_gaussians(kind):
    mean, variances, *_ = random_pair("diagonal", (7,), 5)
    for scale in (1e-20, 0.1, 1.0, 3.7, 1e20):
        p, q = as_kind(kind, scale * variances, scale * variances)
        if kind == "full":
            p = q = scale * random_pair("full", (7,), 5)[1]
        assert_array_equal(gaussian_kl_divergence(mean, p, mean, q), np.zeros(7))
    assert gaussian_kl_divergence(np.zeros(0), np.ones(0)) == 0.0  # of no dimensions


# Shapes and types


@each_kind
def test_forms_of_arguments(kind):
    """Matrices too have layouts and types, and may come alone or in stacks."""
    arguments = random_pair(kind, (2, 3), 4)
    expected = gaussian_kl_divergence(*arguments)
    assert expected.shape == (2, 3)
    alone = [gaussian_kl_divergence(*(x[i] for x in arguments)) for i in np.ndindex(2, 3)]
    assert type(alone[0]) is float
    assert_allclose(np.reshape(alone, (2, 3)), expected, rtol=1e-14)
    for layout in LAYOUTS.values():
        assert_allclose(gaussian_kl_divergence(*map(layout, arguments)), expected, rtol=1e-14)
    bits = gaussian_kl_divergence(*arguments, base=2)
    assert_allclose(bits * math.log(2), expected, rtol=1e-14)
    narrow = [x.astype(np.float32) for x in arguments]
    wide = [x.astype(np.float64) for x in narrow]
    result = gaussian_kl_divergence(*narrow)
    assert result.dtype == np.float32
    assert_array_equal(result, gaussian_kl_divergence(*wide).astype(np.float32))
    for i in range(4):
        mixed = [wide[j] if j == i else x for j, x in enumerate(narrow)]
        assert gaussian_kl_divergence(*mixed).dtype == np.float64
    assert gaussian_kl_divergence(*random_pair(kind, (0,), 3)).shape == (0,)


@pytest.mark.parametrize(
    "shapes",
    [
        [(5,), (), (), ()],
        [(), (), (), (5,)],
        [(2, 1), (5,), (), (1,)],
        [(1,), (1,), (4, 1), (5,)],
    ],
)
def test_leading_shapes_broadcast(shapes):
    rng = np.random.default_rng(0)
    arguments = [rng.uniform(0.5, 2, size=(*shape, 3)) for shape in shapes]
    result = gaussian_kl_divergence(*arguments)
    same = np.broadcast_arrays(*arguments)
    assert result.shape == same[0].shape[:-1]
    assert_array_equal(result, gaussian_kl_divergence(*same))
    mean_p, cov_p, mean_q, cov_q = arguments
    for kind in KINDS:
        p, q = as_kind(kind, cov_p, cov_q)
        value = gaussian_kl_divergence(mean_p, p, mean_q, q)
        assert_allclose(value, result, rtol=1e-13)


MEAN, VARIANCES, COV = np.zeros(2), np.ones(2), np.array([[2.0, 0.5], [0.5, 1.0]])


def test_rows_of_variances_and_one_matrix_look_alike():
    mean = np.zeros((2, 2))
    full = gaussian_kl_divergence(mean[0], COV)
    assert round(full, 3) == 0.22
    result = gaussian_kl_divergence(mean, COV, covariance_type="full")
    assert_array_equal(result, [full, full])
    rows = [gaussian_kl_divergence(mean[0], row) for row in COV]
    for means in (mean, mean[0]):
        result = gaussian_kl_divergence(means, COV, covariance_type="diag")
        assert_array_equal(result, rows)
    # Other shapes tell.
    for means, cov in ((np.zeros((5, 2)), COV), (mean, [COV])):
        assert_array_equal(gaussian_kl_divergence(means, cov), [full] * len(means))
    assert_array_equal(gaussian_kl_divergence([[0.0]], [[1.0]]), [0.0])


# Bad input

SINGULAR = [[1.0, 1 - 1e-14], [1 - 1e-14, 1.0]]
OF_MANY_SCALES = [[1e8, 9e3, -2e11], [9e3, 1.0, 8e7], [-2e11, 8e7, 1e16]]
ASYMMETRIC = [[2.0, 0.5], [0.4, 1.0]]
INDEFINITE = [[1.0, 2.0], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cov_p": [1.0, 0.0]}, "cov_p[1] is not positive; variances are squares of"),
        ({"cov_q": [1.0, -1e-300]}, "cov_q[1] is not positive; variances"),
        ({"cov_p": [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]}, "cov_p[2, 1] is not positive"),
        ({"mean_p": [0.0, np.nan]}, "mean_p[1] is not finite"),
        ({"mean_q": [[np.inf, 0.0]]}, "mean_q[0, 0] is not finite"),
        ({"cov_q": [[1.0, -np.inf], [-np.inf, 1.0]]}, "cov_q[0, 1] is not finite"),
        ({"cov_p": ASYMMETRIC}, "cov_p is not symmetric"),
        ({"cov_q": [COV, COV, ASYMMETRIC]}, "cov_q[2] is not symmetric"),
        ({"cov_p": INDEFINITE}, "cov_p is not positive definite."),
        ({"cov_q": [[COV, COV], [INDEFINITE, COV]]}, "cov_q[1, 0] is not positive definite."),
        (
            {"cov_p": [COV, COV, [[-1.0, 0.0], [0.0, 1.0]]]},
            "cov_p[2] is not positive definite.",
        ),
        ({"cov_p": np.zeros((2, 2))}, "cov_p is not positive definite."),
        ({"cov_q": [[0.01, 0.1], [0.1, 1.0]]}, "cov_q is not positive definite"),
        ({"cov_q": SINGULAR}, "cov_q is not positive definite beyond rounding"),
        ({"cov_p": [COV, SINGULAR]}, "cov_p[1] is not positive definite beyond rounding"),
        # whose least eigenvalue is computed as a positive number
        (
            {"mean_p": np.zeros((3, 3)), "cov_p": [np.eye(3), OF_MANY_SCALES, np.eye(3)]},
            "cov_p[1] is not positive definite",
        ),
        ({"mean_p": 1.0}, "mean_p is a single number; pass a vector."),
        ({"cov_p": 1.0}, "cov_p has shape (); for 2 dimensions it must be (..., 2)"),
        ({"mean_q": np.zeros(3)}, "mean_p has 2 dimensions, but mean_q has 3."),
        ({"cov_q": np.eye(3)}, "cov_q has shape (3, 3); for 2 dimensions"),
        ({"covariance_type": "full"}, "cov_p has shape (2,); for 2 dimensions"),
        (
            {"covariance_type": "tied"},
            "covariance_type must be one of ('auto', 'diag', 'full')",
        ),
        (
            {"mean_p": np.zeros((4, 2)), "cov_p": np.ones((3, 2))},
            "The leading shapes do not broadcast: mean_p (4, 2), cov_p (3, 2)",
        ),
        ({"mean_p": np.zeros((2, 2)), "cov_p": COV}, "cov_p of shape (2, 2) may hold rows of"),
        ({"mean_p": np.zeros((1, 2)), "cov_p": COV}, "cov_p of shape (2, 2) may hold rows of"),
        # the zeros have the shape of the other means
        ({"mean_p": np.zeros((2, 2)), "cov_q": COV}, "cov_q of shape (2, 2) may hold rows of"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=matches(message)):
        gaussian_kl_divergence(**{"mean_p": MEAN, "cov_p": VARIANCES} | arguments)


@pytest.mark.parametrize("name", ["mean_p", "cov_p", "mean_q", "cov_q"])
def test_types_are_checked(name):
    arguments = {"mean_p": MEAN, "cov_p": VARIANCES, "mean_q": MEAN, "cov_q": VARIANCES}
    with pytest.raises(TypeError, match=f"^{name} is a sparse matrix"):
        gaussian_kl_divergence(**arguments | {name: csr_array(COV)})
    if name.endswith("_p"):
        with pytest.raises(TypeError, match=f"^{name} must be an array .* got None"):
            gaussian_kl_divergence(**arguments | {name: None})


def test_nearly_singular_and_nearly_symmetric():
    """Digits are lost; where too few are left, the matrix is refused."""
    nearly = COV * [[1, 1 + 1e-7], [1, 1]]  # as products of float32 matrices are
    expected = gaussian_kl_divergence(MEAN, COV)
    assert gaussian_kl_divergence(MEAN, nearly) == pytest.approx(expected, rel=1e-6)
    for less, rtol in ((1e-6, 1e-9), (1e-10, 1e-5)):
        plain = np.array([[1.0, 1 - less], [1 - less, 1.0]])
        scaled = plain * [[1e8, 1.0], [1.0, 1e-8]]
        for arguments in (
            (MEAN, scaled, MEAN, VARIANCES),
            ([1.0, 2.0], [1.0, 1.0], MEAN, plain),
        ):
            exact = exact_divergence(*arguments)
            assert error(gaussian_kl_divergence(*arguments), exact) <= rtol
