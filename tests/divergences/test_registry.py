"""What the rest of the library relies on of every registered divergence."""

import inspect
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sklkl.divergences
from sklkl.divergences._registry import DIVERGENCES, find
from tests._support import reference
from tests._support.cases import CASES, cases_of
from tests._support.problems import random_rows

each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
each_kernel = pytest.mark.parametrize(
    "case", [pytest.param(c, id=name) for name, c in CASES.items() if c.has_kernel]
)


def test_every_spelling_finds_its_divergence():
    function, loss, scorer = "hellinger_distance", "hellinger_loss", "neg_hellinger_loss"
    assert {find(x).name for x in ("hellinger", function, loss, scorer)} == {"hellinger"}
    spellings = ("reverse_kl", "reverse_kl_divergence", "reverse_kl_loss")
    assert {find(x).name for x in spellings} == {"reverse_kl"}
    # No spelling stands for two of them.
    assert all(find(x) is d for d in DIVERGENCES for x in d.spellings)


def test_names_that_others_have():
    for name, own in (("brier", "'squared_error'"), ("log_loss", "'cross_entropy' or 'kl'")):
        with pytest.raises(ValueError, match=f"got '{name}'. Here '{name}' is {own}.$"):
            find(name)
    with pytest.raises(ValueError, match=r"Here 'log_loss' is 'kl'\.$"):
        find("log_loss", among=["kl", "squared_error"])
    with pytest.raises(ValueError, match=r"got 'brier'\.$"):
        find("brier", among=["kl"])


@each_divergence
def test_function_is_public_and_there_are_an_oracle_and_cases(divergence):
    name = divergence.function.__name__
    assert name in sklkl.divergences.__all__
    assert getattr(sklkl.divergences, name) is divergence.function
    title = divergence.title.removeprefix("reverse ")
    assert title in inspect.getdoc(divergence.function).splitlines()[0]
    assert callable(getattr(reference, name, None))
    cases = list(cases_of(divergence))
    assert divergence.swapped or all(CASES[str(case)] == case for case in cases)
    for name, default in divergence.parameters.items():
        if default is not inspect.Parameter.empty:
            assert default in [case.parameters[name] for case in cases]


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


@each_kernel
def test_kernel_is_the_function_in_nats(case):
    for k, dtype in ((1, np.float64), (9, np.float32), (300, np.float64), (300, np.float32)):
        p, q = random_rows(20, k, 1, dtype=dtype), random_rows(20, k, 2, dtype=dtype)
        out, bad = case.kernel.rows(p, q, 1.0, 1)
        assert not bad
        assert out.dtype == dtype
        assert_array_equal(out, case(p, q))


@each_kernel
def test_kernel_marks_invalid_rows(case):
    for dtype in (np.float64, np.float32):
        p, q = random_rows(4, 3, 1, dtype=dtype), random_rows(4, 3, 2, dtype=dtype)
        p[0], q[1], p[2, 1] = [0.5, 0.5, 0.5], [1.5, -0.5, 0.0], np.nan
        out, bad = case.kernel.rows(p, q, 1.0, 1)
        assert bad
        assert_array_equal(np.isnan(out), [True, True, True, False])


@each_kernel
def test_kernel_says_what_an_uncovered_outcome_costs(case):
    assert (case([0.5, 0.5], [1.0, 0.0]) == math.inf) == case.kernel.inf_at_zero_q
    assert (case([1.0, 0.0], [0.5, 0.5]) == math.inf) == case.kernel.inf_at_zero_p


def test_a_kernel_may_swap_its_arguments():
    p, q = random_rows(50, 4, 1), random_rows(50, 4, 2)
    reverse = find("reverse_kl")
    assert_array_equal(reverse(p, q), reverse.function(q, p))
    assert_array_equal(reverse.kernel().rows(p, q, 1.0, 1)[0], reverse(p, q))


@each_divergence
def test_linear_in_log_q(divergence):
    """A vanishing q adds -p log q, and nothing else that grows."""
    if divergence.linear_in_log_q:
        p = [0.3, 0.7]
        near, far = (divergence(p, [q, 1 - q]) for q in (1e-100, 1e-200))
        assert far - near == pytest.approx(0.3 * math.log(1e100), rel=1e-12)
