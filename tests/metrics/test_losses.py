"""The losses and the D² score: values, weights, zeros, names of columns, refusals."""

import inspect
import tracemalloc
from dataclasses import dataclass
from itertools import product
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_log_loss_score, log_loss

from sklkl import metrics
from sklkl.divergences._registry import DIVERGENCES, find
from sklkl.metrics import (
    cross_entropy_loss,
    d2_kl_score,
    divergence_loss,
    kl_loss,
    reverse_kl_loss,
)
from tests._support.cases import Case, cases_of
from tests._support.layouts import read_only
from tests._support.messages import matches
from tests._support.problems import random_rows

EPS = np.finfo(np.float64).eps

# Orders below, at and above the one where zeros of the prediction cost infinitely much, and
# alpha where those of the target do.
VALUES = {"weight": (0.5, 0.3), "order": (0.5, 1, 2), "alpha": (-1, 0, 0.5, 2)}


@dataclass(frozen=True)
class Loss:
    """The loss of a divergence with values of its parameters."""

    case: Case

    @property
    def name(self):
        return self.case.divergence.name

    def __call__(self, y_true, y_proba, **options):
        own = {"divergence": self.name, "divergence_params": self.case.parameters}
        return divergence_loss(y_true, y_proba, **own, **options)

    def of_rows(self, y_true, y_proba, **unit):
        return self.case(y_true, y_proba, **unit)

    def exact(self, y_true, y_proba, **unit):
        pairs = zip(y_true, y_proba)  # noqa: B905
        return np.array([float(self.case.exact(*pair, **unit)) for pair in pairs])

    def inf_at_zero(self):
        """Is it infinite where the target alone is 0, and where the prediction is?"""
        rows = np.array([[0.0, 0.5, 0.5], [0.2, 0.4, 0.4]])
        return tuple(np.isinf(self.exact(rows, rows[::-1])))

    def finite(self):
        """Is it finite for rows without a common outcome?"""
        return self.exact([[1, 0]], [[0, 1]])[0] < np.inf


LOSSES = [Loss(case) for d in DIVERGENCES for case in cases_of(d, VALUES)]
NAMED = {
    name: name.removesuffix("_loss")
    for name in metrics.__all__
    if name.endswith("_loss") and name != "divergence_loss"
}

each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.case))
# All losses take their arguments through one function, and the score is the other caller.
each_metric = pytest.mark.parametrize("metric", [kl_loss, d2_kl_score])


def random_labels(n_samples, classes, seed=0):
    """Every class at least once."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(classes), size=n_samples)
    codes[: len(classes)] = np.arange(len(classes))
    return np.asarray(classes)[rng.permutation(codes)]


def random_weights(n_samples):
    return np.random.default_rng(0).uniform(0.1, 3.0, n_samples)


@pytest.mark.parametrize("name", NAMED)
def test_a_loss_with_a_name_of_its_own(name):
    loss, divergence = getattr(metrics, name), find(NAMED[name])
    options = {**divergence.parameters, "labels": None, "sample_weight": None}
    options |= {"base": None, "on_zero": "clip"}
    first, second, *parameters = inspect.signature(loss).parameters.values()
    assert (first.name, second.name) == ("y_true", "y_proba")
    assert [(p.name, p.default) for p in parameters] == list(options.items())
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}

    y_true, y_proba = random_rows(12, 3, 1), random_rows(12, 3, 2)
    given = {"sample_weight": random_weights(12), "base": 2}
    own = {"weight": 0.3} if divergence.parameters else {}
    for spelling in divergence.spellings:
        named = {"divergence": spelling, "divergence_params": own}
        expected = divergence_loss(y_true, y_proba, **given, **named)
        assert loss(y_true, y_proba, **given, **own) == expected
    y_proba[0] = [0.0, 0.5, 0.5]
    options = {"labels": [0, 1, 2], "on_zero": "inf"}
    expected = divergence_loss(np.arange(12) % 3, y_proba, divergence=NAMED[name], **options)
    assert loss(np.arange(12) % 3, y_proba, **options) == expected


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"divergence": "foo"}, ["divergence must be one of ['kl', 'reverse_kl'", "'foo'"]),
        ({"divergence": "d2_kl"}, ["divergence must be one of"]),
        ({"divergence": "renyi"}, ["'renyi' takes ['order'], of which it needs ['order']"]),
        ({"divergence_params": {"order": 2}}, ["'kl' takes no parameters"]),
        ({"divergence": "hellinger", "base": 2}, ["'hellinger' has no unit", "base"]),
        *(
            ({"divergence": name, "divergence_params": {own: np.nan}}, [f"{own} must be"])
            for name, own in (("renyi", "order"), ("alpha", "alpha"))
        ),
        ({"divergence": "renyi", "divergence_params": {"order": np.inf}}, ["order must be"]),
    ],
)
def test_divergences_and_parameters_that_are_refused(options, parts):
    y = random_rows(4, 3)
    with pytest.raises(ValueError, match=matches(*parts)):
        divergence_loss(y, y, **options)


# Values


@each_loss
def test_value(loss):
    y_true, y_proba = random_rows(12, 4, 1), random_rows(12, 4, 2)
    y_true[0], y_proba[0] = [0, 0.5, 0.5, 0], [0, 0.25, 0.75, 0]
    weight = random_weights(12)
    for unit in ({}, {"base": 2}, {"base": 10}) if loss.case.has_unit else ({},):
        result = loss(y_true, y_proba, sample_weight=weight, **unit)
        assert isinstance(result, float)
        exact = loss.exact(y_true, y_proba, **unit)
        assert_allclose(result, np.average(exact, weights=weight), rtol=1e-13)
        assert_allclose(loss(y_true, y_proba, **unit), exact.mean(), rtol=1e-13)
    single = y_true.astype(np.float32), y_proba.astype(np.float32)
    assert_allclose(loss(*single), loss.exact(*single).mean(), rtol=2e-6)


@each_loss
def test_one_hot_targets_are_hard_labels(loss):
    y_true, y_proba = random_labels(30, range(4)), random_rows(30, 4)
    y_proba[:5] = np.eye(4)[[0, 1, 2, 3, 0]]
    for options in ({}, {"sample_weight": random_weights(30)}, {"on_zero": "inf"}):
        hard = loss(y_true, y_proba, **options)
        for dtype in (float, int, bool):
            assert loss(np.eye(4, dtype=dtype)[y_true], y_proba, **options) == hard


@each_loss
def test_a_perfect_prediction_costs_nothing(loss):
    """Clipping does not raise a prediction above its target."""
    labels = [0, 2, 1, 1]
    for dtype in (np.float64, np.float32):
        certain = np.eye(3, dtype=dtype)[labels]
        for y_true, on_zero in product((labels, certain), ("clip", "inf", "raise")):
            assert loss(y_true, certain, on_zero=on_zero) == 0.0
        tiny = random_rows(20, 500, concentration=0.02, dtype=dtype)
        tiny /= tiny.sum(axis=1, keepdims=True)
        assert ((tiny > 0) & (tiny < np.finfo(dtype).eps)).any()
        if loss.name != "cross_entropy":
            assert loss(tiny, tiny.copy()) == 0.0


@each_loss
def test_arguments_may_be_read_only_and_of_any_layout(loss):
    """Clipping and weights of 0 work on copies."""
    y_true, y_proba = read_only(np.eye(3)[[0, 1, 1]]), read_only(np.eye(3)[[1, 1, 0]])
    weight = read_only(np.array([1.0, 0.0, 2.0]))
    expected = loss(y_true, y_proba, sample_weight=weight)
    assert_array_equal(weight, [1, 0, 2])
    other = np.asfortranarray(y_true), np.repeat(y_proba, 2, axis=1)[:, ::2]
    assert loss(*other, sample_weight=weight[::-1][::-1]) == expected
    assert_array_equal(other, (y_true, y_proba))


# Hard labels: scikit-learn's log loss


@pytest.mark.parametrize(
    ("present", "labels", "n_columns", "container"),
    [
        ([0, 1], None, 1, list),
        ([-1, 1], None, 2, np.array),
        ([False, True], None, 1, np.array),
        (["ham", "spam"], None, 2, tuple),
        ([7, 5, 30, -2], None, 4, np.array),
        ([0.0, 2.0, 4.0], None, 3, list),
        (list("zyxw"), None, 4, pd.Series),
        ([0, 2], [0, 1, 2], 3, np.array),
        (["b"], ["a", "b"], 1, list),
        ([2], [1, 2, 3], 3, pd.Series),
    ],
)
def test_log_loss(present, labels, n_columns, container):
    y_true = random_labels(40, present)
    y_proba = random_rows(40, max(2, n_columns), concentration=2.0)
    shapes = [y_proba] if n_columns > 1 else [y_proba[:, 1], y_proba[:, 1:]]
    for given, weight in product(shapes, (None, random_weights(40))):
        options = {"labels": labels, "sample_weight": weight}
        expected = log_loss(y_true, given, **options)
        single = given.astype(np.float32)
        for loss in (kl_loss, cross_entropy_loss):
            result = loss(container(y_true.tolist()), given.tolist(), **options)
            assert_allclose(result, expected, rtol=1e-13)
            # scikit-learn sums in float32, and 1 - p rounds.
            result = loss(y_true, single, **options)
            assert_allclose(result, log_loss(y_true, single, **options), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Labels passed were:UserWarning:sklearn")
def test_unsorted_labels_warn_and_are_sorted_as_by_log_loss():
    y_true, y_proba = random_labels(30, ["a", "m"]), random_rows(30, 3)
    for labels in (["z", "a", "m"], ("a", "z", "m")):
        with pytest.warns(UserWarning, match=matches("labels=", "sorted", "['a', 'm', 'z']")):
            result = kl_loss(y_true, y_proba, labels=labels)
        assert_allclose(result, log_loss(y_true, y_proba, labels=labels), rtol=1e-13)


@pytest.mark.parametrize("tiny", [0.0, -0.0, 1e-300, 1e-30, 1e-17, 1e-12, 1e-5])
def test_clipping_is_that_of_log_loss(tiny):
    for dtype, n_classes in product((np.float64, np.float32), (2, 3)):
        y_proba = np.zeros((4, n_classes), dtype=dtype)
        y_proba[:, :2] = tiny, 1 - tiny
        y_true = np.arange(4) % n_classes
        rtol = 1e-13 if dtype is np.float64 else 1e-6
        for loss in (kl_loss, cross_entropy_loss):
            assert_allclose(loss(y_true, y_proba), log_loss(y_true, y_proba), rtol=rtol)


def test_many_hard_labels_are_written_as_probabilities_in_blocks():
    n_samples, n_classes = 1200, 500  # in more than one block
    y_true = np.arange(n_samples) % n_classes
    y_proba = random_rows(n_samples, n_classes, dtype=np.float32)
    y_proba[-1] = np.eye(n_classes)[0]  # of infinite loss
    one_hot = np.eye(n_classes)[y_true]
    weight = np.arange(n_samples)[::-1]
    for loss in (kl_loss, reverse_kl_loss, d2_kl_score):
        for options in ({}, {"sample_weight": weight}):
            result, expected = (loss(y, y_proba, **options) for y in (y_true, one_hot))
            assert_allclose(result, expected, rtol=1e-13)
    assert np.isfinite(kl_loss(y_true, y_proba, on_zero="raise", sample_weight=weight))
    # Messages have the number of the row in all.
    with pytest.raises(ValueError, match=matches("y_proba[1199, 199] is 0 where y_true[1199")):
        kl_loss(y_true, y_proba, on_zero="raise")
    y_proba[1190, 0] += 0.5
    with pytest.raises(ValueError, match=matches("y_proba[1190] sums to 1.5")):
        kl_loss(y_true, y_proba)


@each_metric
def test_memory_of_hard_labels(metric):
    y_true = np.arange(50_000) % 100
    y_proba = np.full((50_000, 100), 0.01, dtype=np.float32)
    y_proba[0, :2] = 0.02, 0.0
    tracemalloc.start()
    metric(y_true, y_proba)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * y_proba.nbytes  # 4.3 with all at once


# Names of columns and rows

NAMES = ["a", "m", "z"]
SOFT, PROBA = random_rows(20, 3, 1), random_rows(20, 3, 2)
LABELS = random_labels(20, NAMES)
PRESENT = np.where(LABELS == "m", "a", LABELS)
ORDER = [2, 0, 1]
SOFT_FRAME, PROBA_FRAME = (pd.DataFrame(x, columns=NAMES) for x in (SOFT, PROBA))
SOFT_DEFAULT, PROBA_DEFAULT = pd.DataFrame(SOFT), pd.DataFrame(PROBA)
TURNED, TURNED_PROBA = (x[["z", "a", "m"]] for x in (SOFT_FRAME, PROBA_FRAME))


@each_metric
@pytest.mark.parametrize(
    ("y_true", "y_proba", "labels"),
    [
        (SOFT_FRAME.set_axis(range(20, 0, -1)), PROBA, None),
        (SOFT_FRAME.set_axis(["z", "a", "m"], axis=1), PROBA, None),
        (SOFT_FRAME, TURNED_PROBA, None),
        (TURNED, PROBA_FRAME, None),
        (TURNED, PROBA, NAMES),
        (TURNED, TURNED_PROBA[["m", "z", "a"]], NAMES),
        (SOFT, TURNED_PROBA, NAMES),
        (SOFT, PROBA_FRAME.set_axis(["z", "a", "m"], axis=1), None),  # of no names in y_true
        (SOFT_FRAME, PROBA_DEFAULT, None),
        (SOFT_DEFAULT, PROBA_DEFAULT[ORDER], None),
        (SOFT_DEFAULT[ORDER], PROBA_DEFAULT, None),
        (LABELS, TURNED_PROBA, None),
        (LABELS, TURNED_PROBA, NAMES),
        (LABELS, PROBA_DEFAULT, None),
        (LABELS, PROBA_DEFAULT, NAMES),
        (PRESENT, TURNED_PROBA, NAMES),
    ],
)
def test_columns_are_matched_by_name(metric, y_true, y_proba, labels):
    expected = metric(y_true if np.ndim(y_true) == 1 else SOFT, PROBA, labels=labels)
    assert_allclose(metric(y_true, y_proba, labels=labels), expected, rtol=1e-13)


def test_a_single_column_is_the_positive_class_or_the_one_of_its_name():
    y_true, y_proba = random_labels(20, ["ham", "spam"]), random_rows(20, 2)
    expected = kl_loss(y_true, y_proba)
    spam, ham = (pd.Series(y_proba[:, j], range(20, 0, -1)) for j in (1, 0))
    for column in (spam, spam.rename("x"), spam.to_frame("spam"), ham.rename("ham")):
        assert_allclose(kl_loss(y_true, column), expected, rtol=1e-12)
    assert_allclose(kl_loss(y_true, ham.to_frame("ham")), expected, rtol=1e-12)
    for name in ("eggs", None):
        with pytest.raises(ValueError, match=matches("only column of y_proba", repr(name))):
            kl_loss(y_true, ham.to_frame(name))


def test_a_number_as_the_name_of_the_positive_column():
    """The name 0 may be the class, or the number that pandas gives to a column."""
    y_true, positive = np.tile([0, 1, 1], 5), random_rows(15, 2)[:, 1]
    expected = kl_loss(y_true, positive)
    named_0 = pd.DataFrame(positive)[0]
    for named in (named_0, pd.DataFrame({"x": positive}).set_axis([0], axis=1)):
        with pytest.raises(ValueError, match=matches("y_proba is named 0", "to_numpy()")):
            kl_loss(y_true, named)
    polars_default = pd.DataFrame({"column_0": positive})
    for named in (pd.DataFrame(positive), named_0.rename(1), polars_default):
        assert kl_loss(y_true, named) == expected
    assert kl_loss(np.where(y_true, "spam", "ham"), named_0) == expected
    assert kl_loss(y_true == 1, named_0.rename(False)) == kl_loss(y_true, 1 - positive)


@each_metric
@pytest.mark.parametrize("other", ["y_proba", "sample_weight"])
def test_rows_that_are_labelled_differently(metric, other):
    """A default index is no label: it is what predictions get that are made a frame."""
    y_true = pd.Series(random_labels(6, ["a", "b"]), index=[9, 4, 7, 8, 3, 6])
    given = {"y_proba": pd.DataFrame(random_rows(6, 2)), "sample_weight": np.ones(6)}
    assert_allclose(metric(y_true, **given), metric(y_true.to_numpy(), **given), rtol=1e-14)
    turned = pd.DataFrame(given[other]).set_axis(y_true.index[::-1])
    given[other] = turned if other == "y_proba" else turned[0]
    with pytest.raises(ValueError, match=f"rows of y_true and {other} have different labels"):
        metric(y_true, **given)
    # As when a frame was sorted, and predictions were made before.
    with pytest.raises(ValueError, match="row 0 is 1 in y_true and 0 in y_proba"):
        metric(y_true.set_axis([1, 0, 2, 3, 4, 5]), pd.DataFrame(random_rows(6, 2)))


def test_very_many_named_columns():
    """Matching that is quadratic in the number of classes takes minutes."""
    names = [f"c{j:05}" for j in range(20_000)]
    y_true, y_proba = (pd.DataFrame(random_rows(3, 20_000, i), columns=names) for i in (1, 2))
    start = perf_counter()
    assert kl_loss(y_true, y_proba[names[::-1]]) == kl_loss(y_true, y_proba)
    kl_loss(["c00007", "c19999", "c00003"], y_proba[names[::-1]], labels=names)
    assert perf_counter() - start < 5  # 0.1 s


# Weights and zeros


@each_metric
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_weights(metric, kind):
    y_true = random_rows(12, 3, 1) if kind == "soft" else random_labels(12, range(3))
    y_proba = random_rows(12, 3, 2)
    times = np.array([1, 2, 3, 1, 1, 4, 2, 2, 1, 3, 5, 1])
    expected = metric(np.repeat(y_true, times, axis=0), np.repeat(y_proba, times, axis=0))
    series = pd.Series(times, index=range(12, 0, -1))
    for weight in (times, series, *(scale * times for scale in (1e-300, 2e-9, 7.0, 1e299))):
        result = metric(y_true, y_proba, sample_weight=weight)
        assert_allclose(result, expected, rtol=1e-12)
    number = metric(y_true, y_proba, sample_weight=2.0)
    assert_allclose(number, metric(y_true, y_proba), rtol=1e-12)


@each_metric
def test_a_tiny_weight_is_no_zero(metric):
    """As good as absent, unless the loss is infinite."""
    y_true, y_proba, weight = [0, 1, 1], random_rows(3, 2, 2), [2e299, 1e299, 1e-300]
    expected = metric(y_true, y_proba, sample_weight=[2, 1, 0])
    assert_allclose(metric(y_true, y_proba, sample_weight=weight), expected, rtol=1e-13)
    subnormal = metric(y_true, y_proba, sample_weight=[2e-320, 1e-320, 0])
    assert_allclose(subnormal, expected, rtol=1e-3)
    y_proba[2] = [1.0, 0.0]
    assert np.isinf(metric(y_true, y_proba, sample_weight=weight, on_zero="inf"))


@each_loss
def test_rows_without_weight_do_not_count_even_if_infinite(loss):
    weight = np.array([1.0, 2.0, 0.0, 0.5, 0.0, 3.0])
    kept = weight > 0
    soft, proba = random_rows(6, 3, 1), random_rows(6, 3, 2)
    soft[2], proba[2] = [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]
    codes, certain = np.array([0, 1, 2, 0, 1, 2]), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    certain[2] = [0.25, 0.75, 0.0]
    for y_true, y_proba in ((soft, proba), (codes, certain)):
        for on_zero in ("clip", "inf", "raise"):
            result = loss(y_true, y_proba, sample_weight=weight, on_zero=on_zero)
            rest = y_true[kept], y_proba[kept]
            expected = loss(*rest, sample_weight=weight[kept], on_zero=on_zero)
            assert np.isfinite(result)
            assert_allclose(result, expected, rtol=1e-14, atol=1e-300)


def raised(p, q):
    """Return q with at least the eps of its dtype, or p if that is less, in each entry."""
    floor = np.minimum(p, np.finfo(q.dtype).eps).astype(q.dtype)
    rows = (q < floor).any(axis=1)
    q = np.maximum(q, floor)
    q[rows] /= q[rows].sum(axis=1, keepdims=True)
    return q


@each_loss
@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f4"), ("f8", "f4"), ("f4", "f8")])
def test_on_zero_clip(loss, dtypes):
    """Each side has its own eps; where raising one is enough, it is the model."""
    y_true, y_proba = (random_rows(7, 3, i, dtype=d) for i, d in enumerate(dtypes))
    y_proba[1] = y_true[3] = [0.0, 0.25, 0.75]
    y_true[2], y_proba[2] = [0.0, 0.25, 0.75], [0.0, 0.5, 0.5]  # these zeros do not matter
    y_proba[4] = y_true[5] = [1e-20, 0.25, 0.75]
    of_true, of_proba = loss.inf_at_zero()
    if not loss.finite():
        y_true[6], y_proba[6] = [1, 0, 0], [0, 1, 0]
    p = raised(y_proba, y_true) if of_true else y_true
    q = raised(y_true, y_proba) if of_proba else y_proba
    for unit in ({}, {"base": 2}) if loss.case.has_unit else ({},):
        rows = loss.of_rows(p, q, **unit)
        if np.isinf(rows[6]):
            rows[6] = loss.of_rows(p, raised(y_true, y_proba), **unit)[6]
        expected = rows.mean(dtype=float)
        assert expected < np.inf
        assert_allclose(loss(y_true, y_proba, **unit), expected, rtol=1e-13)


@each_loss
def test_on_zero_inf_is_exact(loss):
    for side, infinite in enumerate(loss.inf_at_zero()):
        rows = random_rows(4, 3, 1), random_rows(4, 3, 2)
        rows[side][2] = [0.0, 0.5, 0.5]
        exact, clipped = (loss(*rows, on_zero=on_zero) for on_zero in ("inf", "clip"))
        assert exact == np.inf > clipped if infinite else exact == clipped < np.inf
        rows[side][2, 0] = 1e-300
        result = loss(*rows, on_zero="inf")
        assert_allclose(result, loss.of_rows(*rows).mean(), rtol=1e-14)
        assert (result > loss(*rows)) == infinite


@each_loss
def test_on_zero_raise_names_row_and_column(loss):
    def message(y_true, y_proba):
        with pytest.raises(ValueError, match=r"^The loss is infinite: .* on_zero='clip'") as e:
            loss(y_true, y_proba, on_zero="raise")
        return str(e.value)

    y_true, y_proba = random_rows(4, 3, 1), random_rows(4, 3, 2)
    y_true[1], y_proba[1] = [0.0, 0.5, 0.5], [0.0, 0.25, 0.75]  # these zeros do not matter
    assert loss(y_true, y_proba, on_zero="raise") == loss(y_true, y_proba)
    if any(loss.inf_at_zero()):
        of_proba = loss.inf_at_zero()[1]
        (y_proba if of_proba else y_true)[2] = [0.5, 0.0, 0.5]
        zero, other = ("y_proba", "y_true") if of_proba else ("y_true", "y_proba")
        for given in (y_true, pd.DataFrame(y_true, columns=["z", "a", "m"])):
            assert f": {zero}[2, 1] is 0 where {other}[2, 1] is" in message(given, y_proba)
        hard = np.eye(3)
        hard[2] = [0.0, 1.0, 0.0]
        cell = "[2, 2]" if of_proba else "[2, 1]"
        assert f"{zero}{cell} is 0 where {other}{cell} is 1" in message([0, 1, 2], hard)
    if loss.finite():
        apart = np.eye(3), np.eye(3)[[1, 2, 0]]
        assert len({loss(*apart, on_zero=o) for o in ("clip", "inf", "raise")}) == 1
    else:
        assert "[2, " in message(np.eye(3), np.array([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]))


@pytest.mark.parametrize("n_classes", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_clipping_very_many_zeros_leaves_valid_rows(n_classes):
    """The raised zeros add up to more than the tolerance of sums: 50 000 eps = 6e-3."""
    dense = random_rows(3, n_classes, dtype=np.float32)
    sparse = np.zeros_like(dense)
    sparse[:, 7] = 1.0
    options = {"labels": np.arange(n_classes)}
    for loss in (*LOSSES, d2_kl_score):
        results = [loss(dense, sparse), loss(sparse, dense), loss(dense, dense[::-1])]
        results += [loss([5, 0, 7], y_proba, **options) for y_proba in (dense, sparse)]
        assert np.isfinite(results).all()
        assert loss is d2_kl_score or min(results) > 0.0


# D²


def d2_by_hand(target, y_proba, sample_weight=None):
    prior = np.tile(np.average(target, axis=0, weights=sample_weight), (len(target), 1))
    loss, of_prior = (
        kl_loss(target, q, sample_weight=sample_weight) for q in (y_proba, prior)
    )
    return 1.0 - loss / of_prior


@pytest.mark.parametrize("classes", [[0, 1], ["z", "a", "m"], [3, 1, 2, 0]])
def test_d2_is_that_of_log_loss_for_hard_labels(classes):
    y_true, y_proba = random_labels(50, classes), random_rows(50, len(classes))
    one_hot = (y_true[:, None] == np.sort(classes)).astype(float)
    for weight in (None, random_weights(50)):
        expected = d2_log_loss_score(y_true, y_proba, sample_weight=weight)
        result = d2_kl_score(y_true, y_proba, sample_weight=weight)
        assert isinstance(result, float)
        assert_allclose(result, expected, rtol=1e-12)
        soft = d2_kl_score(one_hot, y_proba, sample_weight=weight)
        assert_allclose(soft, result, rtol=1e-13)
        if len(classes) == 2:
            positive = d2_kl_score(y_true, y_proba[:, 1:], sample_weight=weight)
            assert_allclose(positive, result, rtol=1e-12)
    y_proba[3] = np.roll(one_hot[3], 1)  # clipped
    expected = d2_log_loss_score(y_true, y_proba)
    assert_allclose(d2_kl_score(y_true, y_proba), expected, rtol=1e-12)
    assert d2_kl_score(y_true, y_proba, on_zero="inf") == -np.inf
    with pytest.raises(ValueError, match=matches("y_proba[3, ", "is 0 where")):
        d2_kl_score(y_true, y_proba, on_zero="raise")


@pytest.mark.parametrize("weighted", [False, True])
def test_d2_of_soft_targets_and_absent_classes(weighted):
    weight = random_weights(30) if weighted else None
    target, y_proba = random_rows(30, 3, 1), random_rows(30, 3, 2)
    labels, y_true = ["a", "m", "z"], random_labels(30, ["a", "z"])
    if weighted:  # a class that only a row without weight has is absent from the prior
        y_true[3], weight[3] = "m", 0
    one_hot = (y_true[:, None] == labels).astype(float)
    for y, soft, options in ((target, target, {}), (y_true, one_hot, {"labels": labels})):
        options |= {"sample_weight": weight, "on_zero": "inf" if weighted else "clip"}
        prior = np.tile(np.average(soft, axis=0, weights=weight), (30, 1))
        worse = (1.1 - soft) / (1.1 - soft).sum(axis=1, keepdims=True)
        expected = d2_by_hand(soft, y_proba, weight)
        assert_allclose(d2_kl_score(y, y_proba, **options), expected, rtol=1e-12)
        assert d2_kl_score(y, soft, **options) == 1.0
        assert_allclose(d2_kl_score(y, prior, **options), 0.0, atol=1e-13)
        assert d2_kl_score(y, worse, **options) < 0.0
        assert 0.0 < d2_kl_score(y, 0.5 * (soft + prior), **options) < 1.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", [[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.3, 0.7]])
def test_d2_of_constant_soft_targets(row, dtype):
    """The mean of equal rows rounds: it may miss them by an ulp, and is perfect still."""
    for n_samples, weighted in product((1, 3, 10, 1000), (False, True)):
        y_true = np.tile(np.array(row, dtype=dtype), (n_samples, 1))
        options = {"sample_weight": random_weights(n_samples) if weighted else None}
        assert d2_kl_score(y_true, y_true.copy(), **options) == 1.0
        other = np.tile([0.1, 0.25, 0.65], (n_samples, 1))
        assert d2_kl_score(y_true, other, **options) == 0.0


@pytest.mark.parametrize(
    ("y_true", "perfect"),
    [
        (["a", "a"], [[1, 0], [1, 0]]),
        (["b", "b"], [[0, 1], [0, 1]]),
        ([[0.5, 0.5], [0.5001, 0.5001]], None),  # equal once they are normalised
        (np.float32([[0.5, 0.5], [0.5, 0.5000001]]), None),
        ([[0.5, 0.5], [0.5, 0.5000001]], None),
        ([[1e-20, 1.0], [1e-25, 1.0]], None),
    ],
)
def test_d2_of_targets_that_are_equal_up_to_rounding(y_true, perfect):
    labels = ["a", "b"] if perfect else None
    assert d2_kl_score(y_true, perfect or y_true, labels=labels) == 1.0
    assert d2_kl_score(y_true, [[0.6, 0.4], [0.6, 0.4]], labels=labels) == 0.0


def test_d2_of_nearly_constant_soft_targets():
    """Differences of 1e-6 between targets are real, and their share can be explained."""
    shift = 1e-6 * np.random.default_rng(0).uniform(-1, 1, (50, 1))
    y_true = np.array([0.3, 0.7]) + shift * [1, -1]
    half_way = 0.5 * (y_true + y_true.mean(axis=0))
    assert_allclose(d2_kl_score(y_true, half_way), 0.75, rtol=1e-5)


# What users get wrong


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([0.0, np.nan, 1.0], "contains NaN"),
        ([-np.inf, 0.5, np.inf], "infinite"),  # whose sum is invalid: no warning of NumPy
        ([-2e-6, 0.5, 0.5], "negative entry -2e-06 at position 0"),
        ([0.0, 0.0, 0.0], "sums to 0 instead of 1"),
        ([0.0, 0.5, 0.75], "sums to 1.25 instead of 1"),
        ([1e-20, 0.5, 0.25], "sums to 0.75 instead of 1"),
    ],
)
def test_on_zero_does_not_hide_a_bad_row(row, problem):
    labels, good = np.array([0, 1, 2, 0, 1]), random_rows(5, 3, 1)
    bad = random_rows(5, 3)
    bad[3] = row
    for elsewhere in (bad[1], [0.5, 0.0, 0.5]):  # clipped
        bad[1] = elsewhere
        for y_true, on_zero in product((labels, good), ("clip", "inf")):
            with pytest.raises(ValueError, match=matches("y_proba[3]", problem)):
                kl_loss(y_true, bad, on_zero=on_zero)
        with pytest.raises(ValueError, match=matches("y_true[3]", problem)):
            kl_loss(bad, good)
    with pytest.raises(ValueError, match=matches("y_proba[3]", problem)):
        d2_kl_score(labels, bad)


TWO, THREE = random_rows(4, 2), random_rows(4, 3)
FRAME = pd.DataFrame(THREE, columns=["a", "b", "c"])


@pytest.mark.parametrize(
    ("y_true", "y_proba", "options", "parts"),
    [
        ([0, 1], np.full((2, 2, 2), 0.5), {}, ["y_proba must have shape", "(2, 2, 2)"]),
        ([0, 1], 0.5, {}, ["y_proba must have shape", "()"]),
        ([0, 1, 1], [0.2, 0.7, 1.5], {}, ["y_proba[2] is 1.5", "positive"]),
        ([0, 1, 1], [[0.2], [-0.1], [0.3]], {}, ["y_proba[1] is -0.1", "positive"]),
        ([0, 1, 1], [0.2, 0.7, np.nan], {}, ["y_proba[2] is nan", "positive"]),
        ([0, 1], [["a", "b"], ["b", "a"]], {}, ["y_proba", "real numbers"]),
        ([0, 1, 0, 1], THREE, {}, ["y_proba has 3 columns", "2 classes", "labels="]),
        (THREE, TWO, {}, ["y_proba has 2 columns", "3 classes", "labels="]),
        ([0, 1, 2], [0.5, 0.5, 0.5], {}, ["y_proba has 2 columns", "3 classes"]),
        (["spam", "spam"], [0.5, 0.5], {}, ["y_true", "single label 'spam'", "labels="]),
        (["a", "q"], [0.5, 0.5], {"labels": ["a", "b"]}, ["y_true[1]", "'q'", "labels="]),
        (THREE, THREE, {"labels": ["a", "b"]}, ["y_true has 3 columns", "2 classes"]),
        (FRAME, THREE, {"labels": ["a", "b", "d"]}, ["y_true", "['d']", "['c']", "labels="]),
        (FRAME, FRAME.rename(columns={"c": "d"}), {}, ["y_proba", "['c']", "['d']"]),
        (list("abca"), FRAME.rename(columns={"c": "d"}), {}, ["y_proba", "['c']", "['d']"]),
        (list("abca"), FRAME.set_axis([3, 4, 5], axis=1), {}, ["columns=model.classes_"]),
        (FRAME, FRAME.set_axis(list("aba"), axis=1), {}, ["y_proba names a class twice"]),
        ([0, 1, 2], THREE, {}, ["inconsistent", "y_true has 3", "y_proba has 4"]),
        ([0.3, 0.6], [0.5, 0.5], {}, ["Unknown label type", "y_true"]),
        ([], [], {}, ["y_true is empty"]),
        (TWO, TWO, {"base": 1}, ["base must be None"]),
        (TWO, TWO, {"on_zero": "Clip"}, ["on_zero must be one of", "'clip'", "'Clip'"]),
        (TWO, TWO, {"sample_weight": [1, -1, 1, 1]}, ["Negative values", "sample_weight"]),
        (TWO, TWO, {"sample_weight": [1, np.inf, 1, 1]}, ["sample_weight", "infinity"]),
        (TWO, TWO, {"sample_weight": [1e308] * 4}, ["sample_weight"]),
        (TWO, TWO, {"sample_weight": [1.0]}, ["y_true has 4", "sample_weight has 1"]),
    ],
)
def test_refusals(y_true, y_proba, options, parts):
    for metric in (kl_loss, d2_kl_score)[: 1 if "base" in options else 2]:
        with pytest.raises((ValueError, TypeError), match=matches(*parts)):
            metric(y_true, y_proba, **options)


@each_metric
def test_a_column_of_labels_warns(metric):
    column = np.array([[0], [1], [2], [0]])
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert metric(column, THREE) == metric(column[:, 0], THREE)
