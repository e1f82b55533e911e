"""Arrays of other libraries: results are those of NumPy, and stay where their rows are.

``SCIPY_ARRAY_API=1`` must be in the environment before SciPy is imported, so that these tests
run in an invocation of their own: see ``.ci/run more``.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone

from sklkl import TopK
from sklkl._core.arrays import without_tensor
from sklkl._core.devices import place_of, to_host
from sklkl.batches import Batches
from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.distillation import DeferringClassifier, DistilledClassifier, PooledClassifier
from sklkl.divergences import entropy, kl_contributions
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _rows,
)
from sklkl.linear_model._loss import LossTerm
from sklkl.metrics import (
    d2_kl_score,
    divergence_loss,
    get_scorer,
    kl_loss,
    loss_interval,
    make_divergence_scorer,
)
from sklkl.model_selection import soft_cross_val_predict
from tests._support.cases import CASES
from tests._support.cases import case as case_of
from tests._support.problems import random_rows
from tests.contract.test_row_functions import probabilities

if os.environ.get("SCIPY_ARRAY_API") != "1":
    pytest.skip("needs SCIPY_ARRAY_API=1", allow_module_level=True)

from sklearn.utils._array_api import move_estimator_to as move

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
    for k in (1, 2, 40):
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
    monkeypatch.setattr("sklkl._core.devices.SLICE", 21)
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


@pytest.mark.parametrize("dispatch", [True, False])
def test_tensors_that_cannot_be_used_are_refused(dispatch):
    torch = pytest.importorskip("torch")
    with sklearn.config_context(array_api_dispatch=dispatch):
        with pytest.raises(
            TypeError, match=r"p is a tensor that requires grad; pass p\.detach"
        ):
            entropy(torch.full((2,), 0.5, requires_grad=True))
        advice = r"pass X\.cpu\(\)\." if dispatch else "array_api_dispatch=True"
        with pytest.raises(TypeError, match=f"X is a tensor on meta; .*{advice}"):
            without_tensor(torch.empty(3, device="meta"), "X")
        sparse = torch.eye(3).to_sparse()
        with pytest.raises(TypeError, match=r"p is a sparse tensor; .*: p\.to_dense\(\)"):
            entropy(sparse)
        with pytest.raises(TypeError, match="X is a sparse tensor"):
            SoftLabelLogisticRegression().fit(sparse, np.eye(3))


def test_complex_arrays_are_refused(elsewhere):
    X, y = student_problem("float64")
    student = SoftLabelLogisticRegression().fit(elsewhere(X), y)
    scaling = TemperatureScaling().fit(y, y)
    for call, name in {
        lambda: student.predict(elsewhere(X + 5j)): "X",
        lambda: student.fit(elsewhere(X + 0j), y): "X",
        lambda: student.fit(X, elsewhere(y + 0j)): "y",
        lambda: student.fit(X, y, elsewhere(np.ones(300, complex))): "sample_weight",
        lambda: scaling.predict_proba(elsewhere(y + 0j)): "X",
        lambda: scaling.fit(elsewhere(y + 0j), y): "X",
        lambda: kl_loss(y, elsewhere(y + 0j)): "y_proba",
    }.items():
        with pytest.raises(ValueError, match=f"Complex data not supported: {name} must"):
            call()


TARGETS = {
    "labels": lambda n, k: np.arange(n) % k,
    "soft": lambda n, k: random_rows(n, k, 3),
    "one-hot": lambda n, k: np.eye(k)[np.arange(n) % k],
}


# A case of each divergence.
OF_LOSSES = {case.divergence.name: name for name, case in CASES.items() if case.has_kernel}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", OF_LOSSES.values())
def test_losses_are_those_of_numpy(name, kind, elsewhere, monkeypatch):
    monkeypatch.setattr("sklkl._core.devices.SLICE", 21)
    case = CASES[name]
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


def test_losses_refuse_what_those_of_numpy_refuse(elsewhere, monkeypatch):
    y_true, y_proba = np.eye(3), np.eye(3)[[0, 2, 2]]
    message = r"y_proba\[1, 1\] is 0 where y_true\[1, 1\] is 1\. "
    with pytest.raises(ValueError, match=message):
        kl_loss(elsewhere(y_true), elsewhere(y_proba), on_zero="raise")
    monkeypatch.setattr("sklkl._core.devices.SLICE", 3)
    with pytest.raises(ValueError, match=message):
        kl_loss(elsewhere(y_true), elsewhere(y_proba), on_zero="raise")
    y_true[2] *= 1.1
    with pytest.raises(ValueError, match=r"y_true\[2\] sums to 1\.1"):
        kl_loss(elsewhere(y_true), elsewhere(y_proba))
    with pytest.raises(ValueError, match=r"y_proba\[1\] is 1\.5"):
        kl_loss([0, 1], elsewhere(np.array([0.2, 1.5])))


def student_problem(dtype, n_classes=3, soft=True):
    rng = np.random.default_rng(n_classes)
    X = rng.standard_normal((300, 4)) * [1.0, 1e3, 1e-3, 1.0] + [0.0, 5e3, 0.0, 1.0]
    logits = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal((4, n_classes))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = proba if soft else proba.argmax(axis=1)
    return X.astype(dtype), y


STUDENTS = {
    "soft": {},
    "binary": {"n_classes": 2},
    "labels": {"soft": False},
    "no penalty, no intercept": {"C": np.inf, "fit_intercept": False},
    "class weights": {"class_weight": {0: 3.0}},
    "balanced": {"class_weight": "balanced"},
    "temperature": {"temperature": 2.0},
    "L1": {"l1_ratio": 1.0, "C": 0.1},
    "binary labels": {"n_classes": 2, "soft": False},
}


@pytest.mark.parametrize("name", STUDENTS)
def test_students_are_those_of_numpy(name, elsewhere, dtype, monkeypatch):
    monkeypatch.setattr("sklkl._core.devices.SLICE", 1500)
    options = dict(STUDENTS[name])
    problem = {key: options.pop(key) for key in ("n_classes", "soft") if key in options}
    X, y = student_problem(dtype, **problem)
    weight = np.linspace(0.0, 1.0, len(X))
    here = SoftLabelLogisticRegression(tol=1e-6, **options).fit(X, y, weight)
    there = SoftLabelLogisticRegression(tol=1e-6, **options)
    X_there = elsewhere(X)
    there.fit(X_there, elsewhere(y), elsewhere(weight))
    assert elsewhere.holds(there.coef_)
    assert elsewhere.holds(there.intercept_)
    assert to_host(there.coef_).dtype == dtype
    for method in ("predict_proba", "predict_log_proba", "decision_function", "predict"):
        predicted = getattr(there, method)(X_there)
        assert elsewhere.holds(predicted)
        expected = getattr(here, method)(X)
        assert to_host(predicted).dtype == expected.dtype
        atol = 1e-5 if dtype == "float64" else 2e-3
        assert_allclose(to_host(predicted), expected, rtol=0, atol=atol)
    score = there.score(X_there, elsewhere(y), elsewhere(weight))
    assert type(score) is float
    assert_allclose(score, here.score(X, y, weight), rtol=1e-4)
    assert_allclose(there.loss_, here.loss_, rtol=1e-5, atol=1e-9)
    moved = there.to_sklearn().predict_proba(X)
    assert_allclose(moved, to_host(there.predict_proba(X_there)), atol=atol)


@pytest.mark.parametrize("class_weight", [None, {0: 0.5}])
def test_streams_are_those_of_numpy(class_weight, elsewhere, dtype):
    X, y = student_problem(dtype)
    options = {"tol": 1e-6, "class_weight": class_weight}
    here, there = (SoftLabelLogisticRegression(**options) for _ in range(2))
    for rows in np.split(np.arange(len(X)), 3):
        here.partial_fit(X[rows], y[rows])
        there.partial_fit(elsewhere(X[rows]), elsewhere(y[rows]))
    assert elsewhere.holds(there.coef_)
    atol = 1e-5 if dtype == "float64" else 2e-3
    assert_allclose(to_host(there.coef_), here.coef_, atol=atol)
    assert_allclose(there._posterior.counts, here._posterior.counts, rtol=1e-5)


@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.arange(3)])
def test_models_move(names, elsewhere):
    X, codes = student_problem("float64", soft=False)
    X_there, y = elsewhere(X), names[codes]
    place = place_of(X_there, "X")
    model = SoftLabelLogisticRegression().fit(X, y)
    for sparse in (False, True):
        there = move(model.sparsify() if sparse else model, place.xp, place.device)
        assert elsewhere.holds(there.predict_proba(X_there))
        assert_array_equal(to_host(there.predict(X_there)), model.predict(X))
        assert there.score(X_there, y) == model.score(X, y)
        assert there.coef_frame().equals(model.coef_frame())
        back = move(there, np, "cpu")
        assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=1e-14)
    with pytest.raises(TypeError, match="move the model to the host first"):
        there.sparsify()
    assert not hasattr(move(clone(model), place.xp, place.device), "coef_")
    X, X_there = random_rows(300, 3, 1), elsewhere(random_rows(300, 3, 1))
    scaling = VectorScaling().fit(X, y)
    there = move(scaling, place.xp, place.device)
    assert_array_equal(to_host(there.predict(X_there)), scaling.predict(X))


def test_targets_elsewhere_follow_sparse_features(elsewhere):
    X, y = student_problem("float64")
    X, weight = csr_array(X), np.linspace(0.0, 1.0, 300)
    student = SoftLabelLogisticRegression(class_weight={0: 3.0})
    here = student.fit(X, y, weight, labels=y).coef_
    student.fit(X, elsewhere(y), elsewhere(weight), labels=elsewhere(y))
    assert_array_equal(student.coef_, here)


def test_batches_are_brought_to_the_host(elsewhere):
    X, y = student_problem("float64")
    weight = np.linspace(0.0, 1.0, 300)

    def fitted(put):
        parts = [slice(0, 200), slice(200, 300)]
        batches = [tuple(put(x[part]) for x in (X, y, weight)) for part in parts]
        return SoftLabelLogisticRegression().fit(Batches(lambda: iter(batches)))

    assert_array_equal(fitted(elsewhere).coef_, fitted(np.asarray).coef_)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "longdouble", "U1"])
def test_labels_of_any_dtype_are_predicted(dtype, elsewhere):
    X, codes = student_problem("float64", n_classes=2, soft=False)
    y, X_there = codes.astype(dtype), elsewhere(X)
    predicted = to_host(SoftLabelLogisticRegression().fit(X_there, y).predict(X_there))
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64, "U": y.dtype}
    assert predicted.dtype == kinds[y.dtype.kind]
    assert_array_equal(predicted, SoftLabelLogisticRegression().fit(X, y).predict(X))


def test_labels_beside_soft_targets_and_names(elsewhere):
    X, y = student_problem("float64")
    names = np.array(["a", "b", "c"])
    arguments = {"labels": names[y.argmax(axis=1)], "label_weight": np.full(len(X), 0.5)}
    student = SoftLabelLogisticRegression(classes=names, temperature=2.0)
    here = student.fit(X, y, **arguments).predict_proba(X)
    X_there = elsewhere(X)
    assert_allclose(to_host(student.fit(X_there, y, **arguments).predict_proba(X_there)), here)
    assert isinstance(student.predict(X_there), np.ndarray)  # as labels are strings
    assert_allclose(student.score(X_there, arguments["labels"]), 1.0, atol=0.2)


def test_scorers_are_those_of_numpy(elsewhere):
    X, y = student_problem("float64")
    X[:, 0] *= 200.0
    X_there, y_there = elsewhere(X), elsewhere(y)
    here = SoftLabelLogisticRegression(C=1e6).fit(X, y)
    there = SoftLabelLogisticRegression(C=1e6).fit(X_there, y_there)
    scorers = [
        get_scorer("d2_kl"),
        make_divergence_scorer("kl", on_zero="inf"),
        make_divergence_scorer("hellinger"),
    ]
    for scorer in scorers:
        value = scorer(there, X_there, y_there)
        assert_allclose(value, scorer(here, X, y), rtol=1e-3)


def test_a_scorer_restores_what_underflowed(elsewhere):
    student = SoftLabelLogisticRegression(C=1e6, fit_intercept=False)
    X, y = np.array([[1.0], [-1.0]]), np.array([[0.25, 0.75], [0.75, 0.25]])
    scorer = make_divergence_scorer("kl", on_zero="inf")
    here, there = student.fit(X, y), clone(student).fit(elsewhere(X), elsewhere(y))
    far = np.array([[2e3], [-2e3]])
    value = scorer(there, elsewhere(far), elsewhere(y))
    assert np.isfinite(value)
    assert_allclose(value, scorer(here, far, y), rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PooledClassifier([SoftLabelLogisticRegression(C=c) for c in (0.01, 1.0)]),
        lambda: PooledClassifier(
            [SoftLabelLogisticRegression(C=c) for c in (0.01, 1.0)], weights="learned"
        ),
        lambda: SoftCalibratedClassifierCV(SoftLabelLogisticRegression()),
    ],
    ids=["pool", "learned", "calibrated"],
)
def test_classifiers_that_hold_students_hand_X_on(make, elsewhere):
    X, y = np.random.default_rng(0).normal(size=(60, 3)), random_rows(60, 3, 1)
    for target in (y, y.argmax(axis=1)):
        found, expected = make().fit(elsewhere(X), target), make().fit(X, target)
        proba = found.predict_proba(elsewhere(X))
        assert isinstance(proba, np.ndarray)
        assert_allclose(proba, expected.predict_proba(X), atol=1e-6)
        assert_array_equal(found.predict(elsewhere(X)), expected.predict(X))
        student = SoftLabelLogisticRegression()
        proba = soft_cross_val_predict(student, elsewhere(X), target)
        assert_allclose(proba, soft_cross_val_predict(student, X, target), atol=1e-6)


def test_students_refuse_what_those_of_numpy_refuse(elsewhere):
    X, y = student_problem("float64")
    student, X_there = SoftLabelLogisticRegression(), elsewhere(X)
    bad = y.copy()
    bad[7] *= 2.0
    with pytest.raises(ValueError, match=r"y\[7\] sums to 2"):
        student.fit(X_there, elsewhere(bad))
    with_nan = X.copy()
    with_nan[9, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        student.fit(elsewhere(with_nan), elsewhere(y))
    with pytest.raises(ValueError, match="matrix of integers"):
        student.fit(X_there, elsewhere(np.full((300, 3), 2)))
    with pytest.raises(TypeError, match="with divergence='reverse_kl' needs X on the host"):
        student.set_params(divergence="reverse_kl").fit(X_there, elsewhere(y))
    student = SoftLabelLogisticRegression()
    y_sparse = TopK(np.zeros((300, 1), int), np.full((300, 1), 0.5), 3)
    with pytest.raises(TypeError, match=r"y lists some classes only.* X on the host"):
        student.fit(X_there, y_sparse)
    with pytest.raises(TypeError, match="DistilledClassifier needs X on the host"):
        DistilledClassifier(None).fit(X_there, elsewhere(y), teacher_proba=y_sparse)
    with pytest.raises(TypeError, match="DeferringClassifier needs X on the host"):
        DeferringClassifier(student, student).fit(X_there, elsewhere(y))
    with pytest.raises(TypeError, match="LogisticRegressionCV needs X on the host"):
        SoftLabelLogisticRegressionCV().fit(X_there, elsewhere(y))
    student.fit(X_there, elsewhere(y))
    with pytest.raises(ValueError, match="must use the same namespace"):
        student.predict(X[:5])
    with pytest.raises(ValueError, match="coef_inference needs X on the host"):
        student.coef_inference(X_there, elsewhere(y))


@pytest.mark.parametrize("n_logits", [1, 3])
def test_sums_over_rows_are_those_of_local_rows(n_logits, elsewhere, monkeypatch):
    monkeypatch.setattr("sklkl._core.devices.SLICE", 400)
    X, y = student_problem("float64", max(2, n_logits))
    weight = np.linspace(0.0, 2.0, len(X))
    X[0] *= 50.0  # a row of weight 0 has no say
    here, there = (
        _rows.rows_of(place(X), n_logits, True, [LossTerm(place(y), weight, 1.5)]).centered()
        for place in (np.asarray, elsewhere)
    )
    assert_array_equal(here.center, there.center)
    W = np.random.default_rng(0).standard_normal(here.shape) / [[1], [1e3], [1e-3], [1], [1]]
    assert_allclose(there.objective(W)[0], here.objective(W)[0])
    assert_allclose(there.objective(W)[1], here.objective(W)[1], atol=1e-10)
    for full in (True, False):
        arguments = W, full, full and n_logits > 1
        found, expected = there.curvature(*arguments), here.curvature(*arguments)
        for a, b in zip(found, expected, strict=True):
            assert (a is None) == (b is None)
            if b is not None:
                assert_allclose(a, b, rtol=1e-9, atol=1e-9)
        assert_allclose(
            there.class_curvature(W, full), here.class_curvature(W, full), atol=1e-9
        )
        assert_allclose(there.gram(full), here.gram(full), atol=1e-9)
    if n_logits > 1:
        assert_allclose(there.hessian(W), here.hessian(W), atol=1e-8)
    assert_allclose(there.largest_change(W), here.largest_change(W))
    assert_allclose(there.largest_values(), here.largest_values())
    assert_allclose(there.every(7).objective(W)[1], here.every(7).objective(W)[1], atol=1e-10)
    for name in ("weight", "squares", "mass", "entropy", "n_samples"):
        assert_allclose(getattr(there.stats, name), getattr(here.stats, name))


def test_a_device_without_float64():
    elsewhere = Elsewhere("array_api_strict", "no_float64")
    p, q = (x.astype(np.float32) for x in probabilities(40, 5))
    for case in (case_of("kl"), case_of("hellinger"), case_of("renyi", order=2)):
        assert_allclose(to_host(case(elsewhere(p), elsewhere(q))), case(p, q), rtol=1e-5)
    X, y = student_problem("float32")
    here = SoftLabelLogisticRegression().fit(X, y).predict_proba(X)
    there = SoftLabelLogisticRegression().fit(elsewhere(X), elsewhere(y.astype("float32")))
    assert_allclose(to_host(there.predict_proba(elsewhere(X))), here, rtol=2e-2)


MAPS = {
    "temperature": TemperatureScaling(),
    "logits": TemperatureScaling(from_logits=True, smoothing=0.0),
    "vector": VectorScaling(C=1.0),
    "dirichlet": DirichletScaling(C=1.0),
    "named": TemperatureScaling(classes=["c", "a", "b"]),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", MAPS)
def test_maps_are_those_of_numpy(name, n_classes, elsewhere):
    scaling = clone(MAPS[name])
    X, y = random_rows(60, n_classes, 1), random_rows(60, n_classes, 2).argmax(axis=1)
    X[3] = np.eye(n_classes)[0]
    if scaling.classes is not None:
        scaling.classes = scaling.classes[:n_classes]
        y = np.array(scaling.classes)[y]
    here = scaling.fit(X, y)
    there = clone(scaling).fit(elsewhere(X), y if y.dtype.kind == "U" else elsewhere(y))
    for method in ("predict_proba", "predict_log_proba", "predict"):
        predicted, expected = getattr(there, method)(elsewhere(X)), getattr(here, method)(X)
        if method == "predict":
            assert_array_equal(to_host(predicted), expected)
        else:
            assert elsewhere.holds(predicted)
            assert_allclose(to_host(predicted), expected, rtol=1e-12, atol=1e-13)
    assert there.score(elsewhere(X), y) == here.score(X, y)
    X[5] *= np.nan
    with pytest.raises(ValueError, match=r"X\[5\] contains NaN"):
        there.predict(elsewhere(X))


def test_maps_take_slices(elsewhere, monkeypatch):
    X, y = random_rows(60, 3, 1), random_rows(60, 3, 2)
    X_there, scaling = elsewhere(X), TemperatureScaling().fit(X, y)
    methods = ("predict_proba", "predict_log_proba", "predict")
    whole = [to_host(getattr(scaling, method)(X_there)) for method in methods]
    monkeypatch.setattr("sklkl._core.devices.SLICE", 75)
    for method, expected in zip(methods, whole, strict=True):
        assert_array_equal(to_host(getattr(scaling, method)(X_there)), expected)
    X[47] = np.nan
    with pytest.raises(ValueError, match=r"X\[47\] contains NaN"):
        scaling.predict(elsewhere(X))
    X[47], X[50] = 1 / 3, 0.5
    with pytest.raises(ValueError, match=r"X\[50\] sums to 1.5"):
        scaling.predict(elsewhere(X))
    with pytest.raises(ValueError, match="0 sample"):
        scaling.predict(elsewhere(X[:0]))


def test_the_page_runs(capsys):
    pytest.importorskip("torch")
    page = (Path(__file__).parents[1] / "docs" / "devices.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    exec(compile(code, "devices.md", "exec"), {})
    assert re.fullmatch(r"Tensor Tensor \d\.\de-0[3-9]\nTensor\n", capsys.readouterr().out)


def test_other_metrics_take_targets_and_predictions_to_the_host(elsewhere):
    y_true, y_proba = random_rows(40, 3, 1), random_rows(40, 3, 2)
    groups = np.arange(40) % 20
    there = loss_interval(elsewhere(y_true), elsewhere(y_proba), groups=elsewhere(groups))
    assert there == loss_interval(y_true, y_proba, groups=groups)


def test_names_of_classes_may_be_elsewhere(elsewhere):
    X, y = student_problem("float64", soft=False)
    classes, y_there = elsewhere(np.arange(4)), elsewhere(y)
    student = SoftLabelLogisticRegression(classes=classes).fit(elsewhere(X), y_there)
    assert_array_equal(student.classes_, np.arange(4))
    assert_array_equal(clone(student).partial_fit(X, y).classes_, np.arange(4))
    proba = random_rows(300, 4, 1)
    value = kl_loss(y, proba, labels=np.arange(4))
    assert_allclose(kl_loss(y_there, elsewhere(proba), labels=classes), value, rtol=1e-14)
