"""What holds for every registered divergence of two distributions."""

import inspect
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import sklkl.divergences
from sklkl.divergences._registry import DIVERGENCES
from tests._support import reference
from tests._support.cases import CASES, cases_of
from tests._support.reference import DIGITS_OF_TINY, error

each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOUND = {np.float64: 1e-13, np.float32: 2e-6}


def random_pair(n, k, seed=0, dtype=np.float64):
    rows = np.random.default_rng(seed).dirichlet(np.ones(k), size=2 * n).astype(dtype)
    return rows[:n], rows[n:]


def test_names_are_unique():
    names = [divergence.name for divergence in DIVERGENCES]
    assert len(set(names)) == len(names)


@each_divergence
def test_there_is_an_oracle(divergence):
    assert callable(getattr(reference, divergence.name, None))


@each_divergence
def test_there_are_cases(divergence):
    cases = list(cases_of(divergence))
    assert cases
    assert all(CASES[str(case)] == case for case in cases)
    for name, default in divergence.parameters.items():
        if default is not inspect.Parameter.empty:
            assert default in [case.parameters[name] for case in cases]


@each_divergence
def test_function_is_public(divergence):
    assert divergence.name in sklkl.divergences.__all__
    assert getattr(sklkl.divergences, divergence.name) is divergence.function


@each_divergence
def test_signature(divergence):
    parameters = inspect.signature(divergence.function).parameters
    names = ["p", "q", *divergence.parameters, "axis", *["base"] * divergence.has_unit]
    assert list(parameters) == names
    assert parameters["axis"].default == -1
    for name in names[2:]:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    if divergence.has_unit:
        assert parameters["base"].default is None


@each_divergence
def test_title_is_what_the_docstring_calls_it(divergence):
    summary = inspect.getdoc(divergence.function).splitlines()[0]
    assert divergence.title in summary


@each_case
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 9, 129, 300])
def test_kernel_is_the_function_in_nats(case, k, dtype):
    if case.has_kernel:
        p, q = random_pair(20, k, dtype=dtype)
        out, bad = case.kernel.rows(p, q, 1.0, 1)
        assert not bad
        assert out.dtype == dtype
        assert_array_equal(out, case(p, q))


@each_case
@each_dtype
def test_kernel_marks_invalid_rows(case, dtype):
    if case.has_kernel:
        p, q = random_pair(4, 3, dtype=dtype)
        p[0], q[1], p[2, 1] = [0.5, 0.5, 0.5], [1.5, -0.5, 0.0], np.nan
        out, bad = case.kernel.rows(p, q, 1.0, 1)
        assert bad
        assert_array_equal(np.isnan(out), [True, True, True, False])


@each_case
@each_dtype
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([1.0, 0.0, 0.0], [0.2, 0.3, 0.5]),
        ([0.2, 0.3, 0.5], [0.2, 0.8, 0.0]),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]),
    ],
)
def test_zeros(case, p, q, dtype):
    p, q = np.array(p, dtype), np.array(q, dtype)
    for first, second in ((p, q), (q, p)):
        exact = case.exact(first, second, digits=DIGITS_OF_TINY)
        assert error(case(first, second), exact) <= BOUND[dtype]


@each_case
def test_kernel_says_what_an_uncovered_outcome_costs(case):
    if case.has_kernel:
        assert (case([0.5, 0.5], [1.0, 0.0]) == math.inf) == case.kernel.inf_at_zero_q
        assert (case([1.0, 0.0], [0.5, 0.5]) == math.inf) == case.kernel.inf_at_zero_p


@each_case
def test_reversible_divergence_is_not_symmetric(case):
    p, q = random_pair(50, 4)
    if case.divergence.reversible:
        assert not np.isclose(case(p, q), case(q, p)).any()


@each_case
@each_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 10, 200])
def test_not_negative_and_least_for_equal_rows(case, k, dtype):
    p, q = random_pair(50, k, dtype=dtype)
    least = case(p, p)
    assert (least >= 0).all()
    assert (case(p, q) >= least).all()


@each_case
@pytest.mark.parametrize("k", [2, 10, 200])
def test_order_of_outcomes_does_not_matter(case, k):
    p, q = random_pair(20, k)
    order = np.random.default_rng(1).permutation(k)
    expected = case(p, q)
    assert_allclose(case(p[:, order], q[:, order]), expected, rtol=1e-14)


@each_case
def test_common_zero_adds_nothing(case):
    p, q = random_pair(20, 5)
    widened = [np.insert(x, 2, 0.0, axis=1) for x in (p, q)]
    assert_allclose(case(*widened), case(p, q), rtol=1e-14)


@each_case
def test_split_of_outcomes_in_equal_shares(case):
    """Halving an outcome of both rows gives no information on which of them it is."""
    p, q = random_pair(20, 5)
    halved = [np.repeat(x, 2, axis=1) / 2 for x in (p, q)]
    value, least = (case(halved[0], x) for x in (halved[1], halved[0]))
    expected = case(p, q) - case(p, p)
    assert_allclose(value - least, expected, rtol=1e-12, atol=1e-14)


@each_case
def test_base_is_the_unit_of_the_result_alone(case):
    """A root of nats is not a root of bits, but their ratio is the same for all rows."""
    if case.has_unit:
        p, q = random_pair(20, 5)
        exact = [case.exact(p[0], q[0], base=base) for base in (2, 10)]
        expected = case(p, q, base=10) * float(exact[0] / exact[1] if exact[1] else 1)
        assert_allclose(case(p, q, base=2), expected, rtol=1e-14)


@each_case
@each_dtype
def test_result(case, dtype):
    p, q = random_pair(12, 5, dtype=dtype)
    result = case(p, q)
    assert result.shape == (12,)
    assert result.dtype == dtype
    assert type(case(p[0], q[0])) is float
    assert case(p[0], q[0]) == pytest.approx(result[0], rel=1e-7)
    assert case(p[:0], q[:0]).shape == (0,)
    assert_array_equal(case(p.T, q.T, axis=0), result)
    batch = case(p.reshape(3, 4, 5), q.reshape(3, 4, 5))
    assert_array_equal(batch, result.reshape(3, 4))
    assert_array_equal(case(p[0], q)[3], case(p[[0]], q[[3]])[0])


@each_case
def test_result_does_not_depend_on_threads(case):
    p, q = random_pair(1001, 50)
    with threadpool_limits(limits=1):
        expected = case(p, q)
    with threadpool_limits(limits=2):
        assert_array_equal(case(p, q), expected)


@each_case
def test_bad_rows_are_named(case):
    p, q = random_pair(8, 3)
    bad = p.copy()
    bad[5] = [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"^p\[5\] sums to 1.5 instead of 1"):
        case(bad, q)
    with pytest.raises(ValueError, match=r"^q\[5\] sums to 1.5 instead of 1"):
        case(q, bad)
    bad[5] = [np.nan, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"^q\[5\] contains NaN"):
        case(q, bad)


@each_case
def test_estimator_instead_of_its_predictions(case):
    with pytest.raises(TypeError, match=r"q is an estimator; pass q.predict_proba\(X\)"):
        case([0.5, 0.5], LogisticRegression())
