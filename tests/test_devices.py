"""Arrays of other libraries: results are those of NumPy, and stay where their rows are.

``SCIPY_ARRAY_API=1`` must be in the environment before SciPy is imported, so that these tests
run in an invocation of their own: see ``.ci/run``.
"""

import os

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose

from sklkl._core.devices import place_of, to_host
from sklkl.divergences import entropy, kl_contributions
from sklkl.metrics import (
    d2_kl_score,
    divergence_loss,
    kl_loss,
)
from tests._support.cases import CASES
from tests._support.cases import case as case_of
from tests._support.problems import random_rows
from tests.contract.test_row_functions import probabilities

if os.environ.get("SCIPY_ARRAY_API") != "1":
    pytest.skip("needs SCIPY_ARRAY_API=1", allow_module_level=True)

TOLERANCE = {"float64": 1e-13, "float32": 2e-6}


@pytest.fixture(autouse=True)
def _dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


class Elsewhere:
    """Where arrays can be."""

    def __init__(self, library, device=None):
        self.name, self.xp = library, pytest.importorskip(library)
        self.device = self.xp.Device(device) if device else None

    def __call__(self, x):
        """Return an array of NumPy there, None as it is."""
        return (
            None if x is None else self.xp.asarray(np.ascontiguousarray(x), device=self.device)
        )

    def holds(self, x):
        """Return whether an array is there."""
        place = place_of(x, "x")
        return place == place_of(self(np.zeros(1)), "x")


PLACES = {
    "strict": ("array_api_strict", "device1"),
    "torch": ("torch",),
}


@pytest.fixture(params=PLACES)
def elsewhere(request):
    return Elsewhere(*PLACES[request.param])


@pytest.fixture(params=TOLERANCE)
def dtype(request):
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_divergences_are_those_of_numpy(name, elsewhere, dtype):
    for k in (1, 2, 7, 400):
        p, q = (x.astype(dtype) for x in probabilities(40, k))
        # Without zeros and entries that are left to the compiled kernels, too.
        for pair in ((p, q), (np.maximum(p, p.dtype.type(1e-9)), np.maximum(q, 1e-9))):
            pair = [x.astype(dtype) for x in pair]
            result = CASES[name](*map(elsewhere, pair))
            assert elsewhere.holds(result)
            value = to_host(result)
            assert value.dtype == dtype
            # With a single outcome all rows are equal: what is left is rounding.
            assert_allclose(value, CASES[name](*pair), rtol=TOLERANCE[dtype], atol=1e-40)


def test_rows_that_are_hard_are_those_of_the_kernels(elsewhere):
    p, q = random_rows(6, 5, 1), random_rows(6, 5, 2)
    p[0, 0], q[1, 0] = 1e-200, 5e-324
    p[2, :2] = 0.0, 1e-310
    p /= p.sum(axis=1, keepdims=True)
    q /= q.sum(axis=1, keepdims=True)
    for case in (
        case_of("kl"),
        case_of("chi2"),
        case_of("renyi", order=np.inf),
        case_of("renyi", order=300),
        case_of("alpha", alpha=300),
        case_of("alpha", alpha=-40),
        case_of("cross_entropy"),
    ):
        value = to_host(case(elsewhere(p), elsewhere(q)))
        assert_allclose(value, case(p, q), rtol=1e-13, err_msg=str(case))


def test_entropies_and_contributions(elsewhere, dtype):
    p, q = (x.astype(dtype) for x in probabilities(40, 6))
    p_there, q_there = elsewhere(p), elsewhere(q)
    assert_allclose(to_host(entropy(p_there)), entropy(p), rtol=TOLERANCE[dtype])
    there = kl_contributions(p_there, q_there, base=2)
    # A single contribution may be near 0, the difference of numbers that are not.
    here = kl_contributions(p, q, base=2)
    assert_allclose(to_host(there), here, rtol=TOLERANCE[dtype], atol=1e-16)


def test_axes_broadcasting_and_scalars(elsewhere):
    p, q = random_rows(6, 4, 1).reshape(2, 3, 4), random_rows(1, 4, 2)[0]
    case = case_of("kl")
    assert_allclose(to_host(case(elsewhere(p), elsewhere(q))), case(p, q), rtol=1e-13)
    turned = np.moveaxis(p, -1, 1)
    there = case(elsewhere(turned), elsewhere(turned[::-1]), axis=1)
    assert_allclose(to_host(there), case(turned, turned[::-1], axis=1), rtol=1e-13)
    assert_allclose(to_host(case(elsewhere(p), q)), case(p, q), rtol=1e-13)
    assert type(case(elsewhere(q), elsewhere(q))) is float
    contributions = kl_contributions(elsewhere(turned), elsewhere(turned), axis=1)
    assert tuple(contributions.shape) == turned.shape


def test_slices_are_joined(elsewhere, monkeypatch):
    p, q = random_rows(50, 3, 1), random_rows(50, 3, 2)
    monkeypatch.setattr("sklkl._core.distributions.SLICE", 21)
    assert_allclose(to_host(case_of("kl")(elsewhere(p), elsewhere(q))), case_of("kl")(p, q))
    q[37] *= 2.0
    with pytest.raises(ValueError, match=r"q\[37\] sums to 2"):
        case_of("kl")(elsewhere(p), elsewhere(q))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (np.nan, r"p\[2\] contains NaN"),
        (np.inf, r"p\[2\] contains an infinite value"),
        (-0.1, r"p\[2\] has the negative entry -0.1 at position 1"),
        (0.9, r"p\[2\] sums to 1.9"),
    ],
)
def test_bad_rows_are_named(entry, message, elsewhere):
    p = np.eye(4)
    p[2, 1] = entry
    with pytest.raises(ValueError, match=message):
        case_of("kl")(elsewhere(p), elsewhere(np.eye(4)))


def test_rounding_below_zero_counts_as_zero(elsewhere):
    p = np.array([[1.0, -5e-7]])
    assert to_host(entropy(elsewhere(p)))[0] == 0.0


def test_two_places_are_refused():
    p = np.full((2, 2), 0.5)
    strict, torch = (Elsewhere(*PLACES[name]) for name in ("strict", "torch"))
    with pytest.raises(ValueError, match="move one to the other"):
        case_of("kl")(strict(p), torch(p))


def test_tensors_that_require_grad_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"p is a tensor that requires grad; pass p\.detach"):
        entropy(torch.full((2,), 0.5, requires_grad=True))


TARGETS = {
    "labels": lambda n, k: np.arange(n) % k,
    "soft": lambda n, k: random_rows(n, k, 3),
    "one-hot": lambda n, k: np.eye(k)[np.arange(n) % k],
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_numpy(name, kind, elsewhere):
    case = CASES[name]
    if not case.has_kernel:
        return
    y_true, y_proba = TARGETS[kind](30, 3), random_rows(30, 3, 4)
    y_proba[4] = [0.0, 0.0, 1.0]
    weight = np.linspace(0.0, 1.0, 30)
    options = {"divergence": case.divergence.name, "divergence_params": case.parameters}
    for on_zero in ("clip", "inf"):
        options["on_zero"] = on_zero
        value = divergence_loss(y_true, y_proba, sample_weight=weight, **options)
        there = divergence_loss(
            elsewhere(y_true), elsewhere(y_proba), sample_weight=elsewhere(weight), **options
        )
        assert type(there) is float
        assert_allclose(there, value, rtol=1e-13)


def test_losses_follow_the_predictions(elsewhere):
    names = np.array(["ham", "spam"])
    labels, positive = names[np.arange(20) % 2], random_rows(20, 2, 1)[:, 1]
    value = kl_loss(labels, positive)
    assert_allclose(kl_loss(labels, elsewhere(positive)), value, rtol=1e-14)
    y_true, y_proba = random_rows(20, 3, 1), random_rows(20, 3, 2)
    value = d2_kl_score(y_true, y_proba)
    for true, proba in (
        (y_true, elsewhere(y_proba)),
        (elsewhere(y_true), y_proba),
        (elsewhere(y_true), elsewhere(y_proba)),
    ):
        assert_allclose(d2_kl_score(true, proba), value, rtol=1e-12)


def test_losses_refuse_what_those_of_numpy_refuse(elsewhere):
    y_true, y_proba = np.eye(3), np.eye(3)[[0, 2, 2]]
    message = r"y_proba\[1, 1\] is 0 where y_true\[1, 1\] is 1\. "
    with pytest.raises(ValueError, match=message):
        kl_loss(elsewhere(y_true), elsewhere(y_proba), on_zero="raise")
    y_true[2] *= 1.1
    with pytest.raises(ValueError, match=r"y_true\[2\] sums to 1\.1"):
        kl_loss(elsewhere(y_true), elsewhere(y_proba))
    with pytest.raises(ValueError, match=r"y_proba\[1\] is 1\.5"):
        kl_loss([0, 1], elsewhere(np.array([0.2, 1.5])))
