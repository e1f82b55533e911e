"""Tests of the losses and of the D² score."""

import inspect
import re
import tracemalloc
from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, xlogy
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_log_loss_score, log_loss

from sklkl import metrics
from sklkl.divergences._registry import DIVERGENCES
from sklkl.metrics import (
    cross_entropy_loss,
    d2_kl_score,
    jensen_shannon_loss,
    kl_loss,
    reverse_kl_loss,
)
from sklkl.metrics._losses import ALIGNED
from sklkl.metrics._losses import LOSSES as PUBLIC
from tests._support.cases import cases_of

LN2 = np.log(2.0)
EPS = np.finfo(np.float64).eps
EPS32 = np.finfo(np.float32).eps

# Orders below, at and above the one where zeros of the prediction cost infinitely much, and
# alpha where those of the target do.
VALUES = {"weight": (0.5, 0.3), "order": (0.5, 1, 2), "alpha": (-1, 0, 0.5, 2)}


def _losses():
    """Yield a name, the loss with values of its parameters, its divergence, is it reverse?"""
    for name, job in ALIGNED.items():
        for case in cases_of(job.keywords["divergence"], VALUES):
            label = str(case).replace(case.divergence.name, name)
            loss = partial(PUBLIC[name], **case.parameters)
            loss.__name__ = label
            yield label, loss, case, job.keywords["reverse"]


LOSSES = {name: loss for name, loss, _, _ in _losses()}
FUNCTION = {name: case for name, _, case, _ in _losses()}
REVERSE = {name: reverse for name, _, _, reverse in _losses()}
HAVE_UNIT = [name for name in LOSSES if FUNCTION[name].has_unit]


def inf_at_zero(name):
    """Is the loss infinite where the target is 0, and where the prediction is?"""
    kernel = FUNCTION[name].kernel
    zeros = (kernel.inf_at_zero_p, kernel.inf_at_zero_q)
    return zeros[::-1] if REVERSE[name] else zeros


UNBOUNDED = [name for name in LOSSES if any(inf_at_zero(name))]
# Those of rows without a common outcome.
FINITE = [name for name in LOSSES if FUNCTION[name].exact([1, 0], [0, 1]) < np.inf]

each_loss = pytest.mark.parametrize("name", LOSSES)
each_loss_with_unit = pytest.mark.parametrize("name", HAVE_UNIT)
each_unbounded_loss = pytest.mark.parametrize("name", UNBOUNDED)
each_log_loss = pytest.mark.parametrize("loss", [cross_entropy_loss, kl_loss])
# All losses take their arguments through one function, and the score is the other caller.
each_metric = pytest.mark.parametrize("metric", [kl_loss, d2_kl_score])


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(part) for part in parts)


def random_rows(n_samples, n_classes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(n_classes, 0.7), size=n_samples)
    rows = (rows + 1e-3) / (rows + 1e-3).sum(axis=1, keepdims=True)
    return rows.astype(dtype)


def random_labels(n_samples, classes, seed=0):
    """Every class at least once."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(classes), size=n_samples)
    codes[: len(classes)] = np.arange(len(classes))
    return np.asarray(classes)[rng.permutation(codes)]


def random_weights(n_samples, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 3.0, n_samples)


def losses_by_row(name, y_true, y_proba, **kwargs):
    p, q = (y_proba, y_true) if REVERSE[name] else (y_true, y_proba)
    return FUNCTION[name](p, q, **kwargs)


def d2_by_hand(target, y_proba, sample_weight=None):
    prior = np.average(target, axis=0, weights=sample_weight)
    prior = np.tile(prior, (len(target), 1))
    return 1.0 - kl_loss(target, y_proba, sample_weight=sample_weight) / kl_loss(
        target, prior, sample_weight=sample_weight
    )


# The registry


def test_every_divergence_has_a_loss():
    assert {id(d) for d in DIVERGENCES} == {
        id(job.keywords["divergence"]) for job in ALIGNED.values()
    }
    reversible = [d for d in DIVERGENCES if d.reversible]
    assert len(PUBLIC) == len(DIVERGENCES) + len(reversible)
    assert list(PUBLIC) == list(ALIGNED)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_loss_is_public(name):
    loss = PUBLIC[name]
    assert loss.__name__ == name
    assert getattr(metrics, name) is loss
    assert name in metrics.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_signature(name):
    divergence = ALIGNED[name].keywords["divergence"]
    parameters = inspect.signature(PUBLIC[name]).parameters
    options = {**divergence.parameters, "labels": None, "sample_weight": None}
    options |= {"base": None} if divergence.has_unit else {}
    options["on_zero"] = "clip"
    assert list(parameters) == ["y_true", "y_proba", *options]
    for option, default in options.items():
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[option].default is default


@pytest.mark.parametrize("name", PUBLIC)
def test_unknown_and_missing_arguments(name):
    y = random_rows(4, 3)
    divergence = ALIGNED[name].keywords["divergence"]
    parameters = next(cases_of(divergence, VALUES)).parameters
    with pytest.raises(TypeError, match="foo"):
        PUBLIC[name](y, y, **parameters, foo=1)
    if not divergence.has_unit:
        with pytest.raises(TypeError, match="base"):
            PUBLIC[name](y, y, **parameters, base=2)
    for parameter, default in divergence.parameters.items():
        if default is inspect.Parameter.empty:
            with pytest.raises(TypeError, match=f"missing.*{parameter!r}"):
                PUBLIC[name](y, y)
        with pytest.raises(ValueError, match=f"^{parameter} must be"):
            PUBLIC[name](y, y, **{parameter: np.nan})


# Hard labels: scikit-learn's log loss


@each_log_loss
@pytest.mark.parametrize("classes", [[0, 1], [-1, 1], ["ham", "spam"], [False, True]])
@pytest.mark.parametrize("shape", ["(n,)", "(n, 1)", "(n, 2)"])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_binary(loss, classes, shape, weighted):
    y_true = random_labels(40, classes)
    positive = random_rows(40, 2)[:, 1]
    y_proba = {
        "(n,)": positive,
        "(n, 1)": positive[:, None],
        "(n, 2)": np.column_stack([1 - positive, positive]),
    }[shape]
    weight = random_weights(40) if weighted else None
    expected = log_loss(y_true, y_proba, sample_weight=weight)
    assert_allclose(loss(y_true, y_proba, sample_weight=weight), expected, rtol=1e-13)


@each_log_loss
@pytest.mark.parametrize("classes", [[0, 1, 2], [7, 5, 30, -2], list("zyxw"), [0.0, 2.0, 4.0]])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_multiclass(loss, classes, weighted):
    y_true = random_labels(50, classes)
    y_proba = random_rows(50, len(classes))
    weight = random_weights(50) if weighted else None
    expected = log_loss(y_true, y_proba, sample_weight=weight)
    assert_allclose(loss(y_true, y_proba, sample_weight=weight), expected, rtol=1e-13)


@each_log_loss
@pytest.mark.parametrize("container", [list, tuple, pd.Series, np.array])
def test_log_loss_of_any_container_of_strings(loss, container):
    y_true = random_labels(20, ["ham", "eggs", "spam"])
    y_proba = random_rows(20, 3)
    result = loss(container(y_true), y_proba.tolist())
    assert isinstance(result, float)
    assert_allclose(result, log_loss(y_true, y_proba), rtol=1e-13)


@each_log_loss
@pytest.mark.parametrize("n_classes", [2, 5])
def test_log_loss_float32(loss, n_classes):
    """scikit-learn sums in float32, so that only the comparison with float64 is tight."""
    y_true = random_labels(60, range(n_classes))
    y_proba = random_rows(60, n_classes, dtype=np.float32)
    result = loss(y_true, y_proba)
    assert_allclose(result, log_loss(y_true, y_proba), rtol=1e-6)
    assert_allclose(result, loss(y_true, y_proba.astype(np.float64)), rtol=1e-13)


@each_log_loss
@pytest.mark.parametrize(
    ("present", "labels"),
    [
        ([0, 2], [0, 1, 2]),
        ([2], [1, 2, 3]),
        (["a", "z"], ["a", "b", "z"]),
        (["b"], ["a", "b"]),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_with_an_absent_class(loss, present, labels, weighted):
    y_true = random_labels(20, present)
    y_proba = random_rows(20, len(labels))
    weight = random_weights(20) if weighted else None
    expected = log_loss(y_true, y_proba, labels=labels, sample_weight=weight)
    result = loss(y_true, y_proba, labels=labels, sample_weight=weight)
    assert_allclose(result, expected, rtol=1e-13)


def test_log_loss_with_an_absent_class_and_a_positive_column():
    y_true, positive = ["spam", "spam"], [0.7, 0.4]
    labels = ["ham", "spam"]
    expected = log_loss(y_true, positive, labels=labels)
    assert_allclose(kl_loss(y_true, positive, labels=labels), expected, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:Labels passed were:UserWarning:sklearn")
@pytest.mark.parametrize("labels", [["z", "a", "m"], ("m", "a", "z"), np.array(list("azm"))])
def test_unsorted_labels_warn_and_are_sorted_as_by_log_loss(labels):
    y_true = random_labels(30, ["a", "m"])
    y_proba = random_rows(30, 3)
    with pytest.warns(UserWarning, match=matches("labels=", "sorted", "['a', 'm', 'z']")) as w:
        result = kl_loss(y_true, y_proba, labels=labels)
    assert w[0].filename == __file__
    assert_allclose(result, log_loss(y_true, y_proba, labels=labels), rtol=1e-13)
    assert result == kl_loss(y_true, y_proba, labels=["a", "m", "z"])


@each_log_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tiny", [0.0, -0.0, 1e-300, 1e-30, 1e-17, 1e-12, 1e-5])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_clipping_is_that_of_log_loss(loss, dtype, tiny, n_classes):
    y_proba = np.zeros((4, n_classes), dtype=dtype)
    y_proba[:, 0] = tiny
    y_proba[:, 1] = 1 - tiny
    y_true = np.arange(4) % n_classes
    rtol = 1e-13 if dtype == np.float64 else 1e-6
    assert_allclose(loss(y_true, y_proba), log_loss(y_true, y_proba), rtol=rtol)


@each_loss
def test_one_hot_targets_are_hard_labels(name):
    y_true = random_labels(30, range(4))
    y_proba = random_rows(30, 4)
    y_proba[:5] = np.eye(4)[[0, 1, 2, 3, 0]]
    weight = random_weights(30)
    options = [{}, {"sample_weight": weight}, {"on_zero": "inf"}]
    options += [{"base": 2}] if name in HAVE_UNIT else []
    for kwargs in options:
        hard = LOSSES[name](y_true, y_proba, **kwargs)
        assert hard == LOSSES[name](np.eye(4)[y_true], y_proba, **kwargs)
        assert hard == LOSSES[name](np.eye(4, dtype=int)[y_true], y_proba, **kwargs)
        assert hard == LOSSES[name](np.eye(4, dtype=bool)[y_true], y_proba, **kwargs)


# Soft targets


@each_loss
@pytest.mark.parametrize("n_classes", [2, 3, 17])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_is_the_weighted_mean_of_its_divergence(name, n_classes, weighted):
    y_true, y_proba = random_rows(25, n_classes, 1), random_rows(25, n_classes, 2)
    weight = random_weights(25) if weighted else None
    for unit in ({}, {"base": 2}, {"base": 10}) if name in HAVE_UNIT else ({},):
        rows = losses_by_row(name, y_true, y_proba, **unit)
        result = LOSSES[name](y_true, y_proba, sample_weight=weight, **unit)
        assert isinstance(result, float)
        assert_allclose(result, np.average(rows, weights=weight), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("kl_loss", lambda y, p: rel_entr(y, p).sum(axis=1)),
        ("reverse_kl_loss", lambda y, p: rel_entr(p, y).sum(axis=1)),
        ("cross_entropy_loss", lambda y, p: -xlogy(y, p).sum(axis=1)),
        ("jensen_shannon_loss", lambda y, p: jensenshannon(y, p, axis=1) ** 2),
        ("jensen_shannon_distance_loss", lambda y, p: jensenshannon(y, p, axis=1)),
        ("jeffreys_loss", lambda y, p: (rel_entr(y, p) + rel_entr(p, y)).sum(axis=1)),
        ("chi2_loss", lambda y, p: ((y - p) ** 2 / p).sum(axis=1)),
        ("hellinger_loss", lambda y, p: np.sqrt(1 - np.sqrt(y * p).sum(axis=1))),
        ("total_variation_loss", lambda y, p: abs(y - p).sum(axis=1) / 2),
        ("bhattacharyya_loss", lambda y, p: -np.log(np.sqrt(y * p).sum(axis=1))),
        ("renyi_loss(order=2)", lambda y, p: np.log((y**2 / p).sum(axis=1))),
        ("alpha_loss(alpha=-1)", lambda y, p: (p**2 / y).sum(axis=1) / 2 - 0.5),
    ],
)
def test_losses_by_textbook_formula(name, formula):
    y_true, y_proba = random_rows(25, 4, 1), random_rows(25, 4, 2)
    weight = random_weights(25)
    expected = np.average(formula(y_true, y_proba), weights=weight)
    result = {**PUBLIC, **LOSSES}[name](y_true, y_proba, sample_weight=weight)
    assert_allclose(result, expected, rtol=1e-11)


def test_cross_entropy_is_kl_and_the_entropy_of_the_targets():
    y_true, y_proba = random_rows(25, 4, 1), random_rows(25, 4, 2)
    entropy = -xlogy(y_true, y_true).sum(axis=1).mean()
    expected = kl_loss(y_true, y_proba) + entropy
    assert_allclose(cross_entropy_loss(y_true, y_proba), expected, rtol=1e-13)


@each_loss
def test_float32_on_both_sides(name):
    y_true, y_proba = random_rows(200, 6, 1), random_rows(200, 6, 2)
    exact = LOSSES[name](y_true, y_proba)
    single = LOSSES[name](y_true.astype(np.float32), y_proba.astype(np.float32))
    assert isinstance(single, float)
    assert_allclose(single, exact, rtol=1e-5)


@each_loss_with_unit
def test_base_2_is_bits(name):
    y_true, y_proba = random_rows(25, 4, 1), random_rows(25, 4, 2)
    nats = LOSSES[name](y_true, y_proba)
    # The distance is a root, also of its unit.
    unit = np.sqrt(LN2) if name.startswith("jensen_shannon_distance") else LN2
    assert_allclose(LOSSES[name](y_true, y_proba, base=2), nats / unit, rtol=1e-14)
    assert_allclose(LOSSES[name](y_true, y_proba, base=np.e), nats, rtol=1e-14)


@each_loss_with_unit
@pytest.mark.parametrize("base", [1, 0, -2, np.inf, np.nan, "2"])
def test_bad_base(name, base):
    with pytest.raises(ValueError, match="base must be None"):
        LOSSES[name]([0, 1], [0.2, 0.7], base=base)


@pytest.mark.parametrize("y_true", [[0, 1, 1], [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
def test_a_uniform_binary_model_costs_one_bit(y_true):
    y_proba = np.full((3, 2), 0.5)
    for loss in (kl_loss, cross_entropy_loss):
        assert_allclose(loss(y_true, y_proba), LN2, rtol=1e-15)
        assert_allclose(loss(y_true, y_proba, base=2), 1.0, rtol=1e-15)


@each_loss
@pytest.mark.parametrize("on_zero", ["clip", "inf", "raise"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_perfect_prediction_of_hard_labels_costs_nothing(name, on_zero, dtype):
    y_true = [0, 2, 1, 1]
    y_proba = np.eye(3, dtype=dtype)[y_true]
    assert LOSSES[name](y_true, y_proba, on_zero=on_zero) == 0.0
    assert LOSSES[name](y_proba, y_proba, on_zero=on_zero) == 0.0


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "cross_entropy_loss"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_perfect_prediction_of_soft_targets_costs_nothing(name, dtype):
    y = random_rows(20, 5, dtype=dtype)
    y[0] = [0.0, 0.5, 0.5, 0.0, 0.0]
    assert LOSSES[name](y, y.copy()) == 0.0


@each_loss
def test_inputs_may_be_read_only_and_stay_as_they_are(name):
    """Clipping and dropping weightless rows work on copies."""
    y_true, y_proba = np.eye(3)[[0, 1, 1]], np.eye(3)[[1, 1, 0]]
    weight = np.array([1.0, 0.0, 2.0])
    copies = [array.copy() for array in (y_true, y_proba, weight)]
    for array in (y_true, y_proba, weight):
        array.flags.writeable = False
    LOSSES[name](y_true, y_proba, sample_weight=weight)
    for array, copy in zip((y_true, y_proba, weight), copies, strict=True):
        assert_array_equal(array, copy)


@each_loss
def test_strides_do_not_matter(name):
    y_true, y_proba = random_rows(20, 4, 1), random_rows(20, 4, 2)
    expected = LOSSES[name](y_true, y_proba)
    assert LOSSES[name](np.asfortranarray(y_true), y_proba[::-1][::-1]) == expected
    wide = np.repeat(y_proba, 2, axis=1)
    assert LOSSES[name](y_true, wide[:, ::2]) == expected


# Data frames


@each_metric
def test_a_data_frame_of_targets(metric):
    y_true, y_proba = random_rows(20, 3, 1), random_rows(20, 3, 2)
    frame = pd.DataFrame(y_true, columns=["z", "a", "m"], index=range(20, 0, -1))
    assert metric(frame, y_proba) == metric(y_true, y_proba)


@each_metric
def test_columns_of_two_data_frames_are_matched(metric):
    y_true, y_proba = random_rows(20, 3, 1), random_rows(20, 3, 2)
    truth = pd.DataFrame(y_true, columns=["z", "a", "m"])
    model = pd.DataFrame(y_proba, columns=["z", "a", "m"])
    expected = metric(y_true, y_proba)
    assert metric(truth, model[["m", "z", "a"]]) == expected
    shuffled = metric(truth[["a", "m", "z"]], model)
    assert_allclose(shuffled, expected, rtol=1e-13)


@each_metric
@pytest.mark.parametrize("labels", [None, ["a", "m", "z"]])
def test_columns_of_predictions_are_matched_to_labels(metric, labels):
    y_true = random_labels(20, ["a", "m", "z"])
    y_proba = random_rows(20, 3)
    model = pd.DataFrame(y_proba, columns=["a", "m", "z"])[["m", "z", "a"]]
    assert metric(y_true, model, labels=labels) == metric(y_true, y_proba)


@each_metric
def test_labels_put_the_columns_of_both_in_sorted_order(metric):
    y_true, y_proba = random_rows(20, 3, 1), random_rows(20, 3, 2)
    labels = ["a", "m", "z"]
    expected = metric(y_true, y_proba)
    truth = pd.DataFrame(y_true, columns=labels)[["z", "a", "m"]]
    model = pd.DataFrame(y_proba, columns=labels)[["m", "z", "a"]]
    assert metric(truth, y_proba, labels=labels) == expected
    assert metric(truth, model, labels=labels) == expected
    assert metric(y_true, model, labels=labels) == expected


@each_metric
def test_an_absent_class_and_permuted_columns(metric):
    y_true = random_labels(20, ["a", "z"])
    y_proba = random_rows(20, 3)
    labels = ["a", "m", "z"]
    model = pd.DataFrame(y_proba, columns=labels)[["m", "z", "a"]]
    assert metric(y_true, model, labels=labels) == metric(y_true, y_proba, labels=labels)


@each_metric
def test_default_columns_of_predictions_go_by_position(metric):
    y_true = random_labels(20, ["a", "m", "z"])
    y_proba = random_rows(20, 3)
    expected = metric(y_true, y_proba)
    assert metric(y_true, pd.DataFrame(y_proba)) == expected
    target = pd.DataFrame(random_rows(20, 3, 1), columns=list("ami"))
    assert metric(target, pd.DataFrame(y_proba)) == metric(target, y_proba)
    with pytest.raises(ValueError, match=matches("[3, 4, 5]", "columns=model.classes_")):
        metric(y_true, pd.DataFrame(y_proba, columns=[3, 4, 5]))


@each_metric
def test_default_columns_of_one_frame_are_those_names_of_the_other(metric):
    y_true, y_proba = pd.DataFrame(random_rows(20, 3, 1)), pd.DataFrame(random_rows(20, 3, 2))
    expected = metric(y_true, y_proba)
    assert metric(y_true, y_proba[[2, 0, 1]]) == expected
    assert_allclose(metric(y_true[[2, 0, 1]], y_proba), expected, rtol=1e-13)


@each_metric
def test_the_only_column_is_the_class_of_its_name(metric):
    y_true = random_labels(20, ["ham", "spam"])
    y_proba = random_rows(20, 2)
    expected = metric(y_true, y_proba)
    ham = pd.Series(y_proba[:, 0], name="ham")
    for named in (ham, ham.to_frame()):
        assert_allclose(metric(y_true, named), expected, rtol=1e-12)
    for column in ("eggs", None):
        with pytest.raises(ValueError, match=matches("only column of y_proba", repr(column))):
            metric(y_true, pd.DataFrame({column: y_proba[:, 0]}))


@each_metric
@pytest.mark.parametrize("other", ["y_proba", "sample_weight"])
def test_rows_that_are_labelled_differently(metric, other):
    """A default index is no label: it is what predictions get that are made a frame."""
    y_true = pd.Series(random_labels(6, ["a", "b"]), index=[9, 4, 7, 8, 3, 6])
    arguments = {"y_proba": pd.DataFrame(random_rows(6, 2)), "sample_weight": np.ones(6)}
    expected = metric(y_true.to_numpy(), arguments["y_proba"].to_numpy())
    assert_allclose(metric(y_true, **arguments), expected, rtol=1e-14)
    shuffled = pd.DataFrame(arguments[other]).set_axis(y_true.index[::-1])
    arguments[other] = shuffled if other == "y_proba" else shuffled[0]
    with pytest.raises(ValueError, match=f"rows of y_true and {other} have different labels"):
        metric(y_true, **arguments)
    # As when a frame was sorted, and predictions were made before.
    with pytest.raises(ValueError, match="row 0 is 1 in y_true and 0 in y_proba"):
        metric(y_true.set_axis([1, 0, 2, 3, 4, 5]), pd.DataFrame(random_rows(6, 2)))


@each_metric
def test_very_many_named_columns(metric):
    """Matching that is quadratic in the number of classes takes minutes."""
    n_classes = 50_000
    names = [f"c{j:05}" for j in range(n_classes)]
    y_true, y_proba = (
        pd.DataFrame(random_rows(3, n_classes, seed), columns=names) for seed in (1, 2)
    )
    expected = metric(y_true, y_proba)
    start = perf_counter()
    assert metric(y_true, y_proba[names[::-1]]) == expected
    metric(["c00007", "c49999", "c00003"], y_proba[names[::-1]], labels=names)
    assert perf_counter() - start < 5  # 0.3 s


@each_metric
def test_a_series_is_the_positive_column(metric):
    y_true = random_labels(20, ["ham", "spam"])
    y_proba = random_rows(20, 2)
    positive = pd.Series(y_proba[:, 1], index=range(20, 0, -1))
    expected = metric(y_true, y_proba)
    assert_allclose(metric(y_true, positive), expected, rtol=1e-12)
    assert_allclose(metric(y_true, positive.to_frame("spam")), expected, rtol=1e-12)


@each_metric
def test_a_number_as_the_name_of_the_positive_column(metric):
    """The name 0 may be the class, or the number that pandas gives to a column."""
    y_true, positive = np.tile([0, 1, 1], 5), random_rows(15, 2)[:, 1]
    expected = metric(y_true, positive)
    named_0 = pd.DataFrame(positive)[0]
    for named in (named_0, pd.DataFrame({"x": positive}).set_axis([0], axis=1)):
        with pytest.raises(ValueError, match=matches("y_proba is named 0", "to_numpy()")):
            metric(y_true, named)
    polars_default = pd.DataFrame({"column_0": positive})
    for named in (pd.DataFrame(positive), named_0.rename(1), polars_default):
        assert metric(y_true, named) == expected
    assert metric(np.where(y_true, "spam", "ham"), named_0) == expected
    other = metric(y_true, 1 - positive)
    assert metric(y_true == 1, named_0.rename(False)) == other


@each_metric
@pytest.mark.parametrize(
    "y_true",
    [
        pd.DataFrame(random_rows(6, 3), columns=["a", "b", "c"]),
        random_labels(6, ["a", "b", "c"]),
    ],
    ids=["soft", "hard"],
)
def test_columns_that_do_not_match(metric, y_true):
    model = pd.DataFrame(random_rows(6, 3), columns=["a", "b", "d"])
    with pytest.raises(ValueError, match=matches("y_proba", "['c']", "['d']")):
        metric(y_true, model)
    with pytest.raises(ValueError, match="columns of y_proba names a class twice"):
        metric(y_true, model.set_axis(["a", "b", "a"], axis=1))


# Hard labels are not written as probabilities all at once


@each_loss
def test_blocks_of_rows_change_nothing(name, monkeypatch):
    y_true, y_proba = random_labels(50, range(3)), random_rows(50, 3, dtype=np.float32)
    expected = LOSSES[name](np.eye(3)[y_true], y_proba)
    monkeypatch.setattr("sklkl.metrics._losses.BLOCK", 3 * 7)
    assert LOSSES[name](y_true, y_proba) == expected


def test_messages_about_rows_of_any_block(monkeypatch):
    monkeypatch.setattr("sklkl.metrics._losses.BLOCK", 2 * 7)
    y_true, y_proba = np.arange(50) % 2, random_rows(50, 2)
    y_proba[33] = [1.0, 0.0]
    with pytest.raises(ValueError, match=r"y_proba\[33, 1\] is 0 where y_true\[33, 1\] is 1"):
        kl_loss(y_true, y_proba, on_zero="raise")
    y_proba[33] = [1.0, 0.1]
    with pytest.raises(ValueError, match=r"y_proba\[33\] sums to 1.1"):
        kl_loss(y_true, y_proba)


@pytest.mark.parametrize("metric", [kl_loss, d2_kl_score, reverse_kl_loss])
def test_memory_of_hard_labels(metric):
    y_true = np.arange(100_000) % 100
    y_proba = np.full((100_000, 100), 0.01, dtype=np.float32)
    y_proba[0, :2] = 0.02, 0.0
    tracemalloc.start()
    metric(y_true, y_proba)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * y_proba.nbytes  # 0.3; it was 4.3


# Weights


@each_loss
@pytest.mark.parametrize("on_zero", ["clip", "inf"])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_rows_without_weight_are_dropped_even_if_infinite(name, on_zero, kind):
    y_true = random_rows(6, 3, 1) if kind == "soft" else np.array([0, 1, 2, 0, 1, 2])
    y_proba = random_rows(6, 3, 2)
    if inf_at_zero(name)[0] and kind == "hard":
        y_proba = np.eye(3)[y_true]  # the only finite prediction of hard labels
    if kind == "soft":
        y_true[2], y_proba[2] = [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]
    else:
        y_proba[2] = [0.25, 0.75, 0.0]
    weight = np.array([1.0, 2.0, 0.0, 0.5, 0.0, 3.0])
    kept = weight > 0
    result = LOSSES[name](y_true, y_proba, sample_weight=weight, on_zero=on_zero)
    expected = LOSSES[name](
        y_true[kept], y_proba[kept], sample_weight=weight[kept], on_zero=on_zero
    )
    assert np.isfinite(result)
    assert_allclose(result, expected, rtol=1e-14, atol=1e-300)


@each_metric
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_weight_is_a_number_of_repetitions(metric, kind):
    y_true = random_rows(12, 3, 1) if kind == "soft" else random_labels(12, range(3))
    y_proba = random_rows(12, 3, 2)
    times = np.array([1, 2, 3, 1, 1, 4, 2, 2, 1, 3, 5, 1])
    repeated = metric(np.repeat(y_true, times, axis=0), np.repeat(y_proba, times, axis=0))
    assert_allclose(metric(y_true, y_proba, sample_weight=times), repeated, rtol=1e-12)


@each_metric
def test_only_ratios_of_weights_matter(metric):
    y_true, y_proba = random_rows(12, 3, 1), random_rows(12, 3, 2)
    weight = random_weights(12)
    expected = metric(y_true, y_proba, sample_weight=weight)
    for scale in (1e-9, 7.0, 1e9):
        result = metric(y_true, y_proba, sample_weight=scale * weight)
        assert_allclose(result, expected, rtol=1e-12)
    series = pd.Series(weight, index=range(12, 0, -1))
    assert metric(y_true, y_proba, sample_weight=series) == expected


@each_metric
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_weights_of_any_size(metric, kind):
    y_true = random_rows(3, 2, 1) if kind == "soft" else [0, 1, 1]
    y_proba = random_rows(3, 2, 2)
    expected = metric(y_true, y_proba, sample_weight=[2, 1, 0])
    for weight in ([2e299, 1e299, 0], [2e299, 1e299, 1e-300], [2e-320, 1e-320, 0]):
        result = metric(y_true, y_proba, sample_weight=weight)
        assert_allclose(result, expected, rtol=1e-3 if weight[0] < 1 else 1e-13)
    # The third row is as good as absent, but its loss is infinite.
    infinite = np.array([*y_proba[:2], [1.0, 0.0]])
    weight = [2e299, 1e299, 1e-300]
    result = metric(y_true, infinite, sample_weight=weight, on_zero="inf")
    assert result == (np.inf if metric is kl_loss else -np.inf)


@each_metric
def test_a_constant_weight_is_none(metric):
    y_true, y_proba = random_rows(12, 3, 1), random_rows(12, 3, 2)
    expected = metric(y_true, y_proba)
    for weight in (np.full(12, 0.3), 2.0):
        result = metric(y_true, y_proba, sample_weight=weight)
        assert_allclose(result, expected, rtol=1e-12)


@each_metric
@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        ([1.0, -1.0], "Negative values"),
        ([1.0, -2.0], "Negative values"),
        ([0.0, 0.0], "zero"),
        ([1.0, np.nan], "NaN"),
        ([1.0, np.inf], "infinity"),
        ([1.0, 1.0, 1.0], "y_true has 2, y_proba has 2, sample_weight has 3"),
        ([[1.0], [1.0]], "1D"),
    ],
)
def test_bad_weights(metric, weight, problem):
    with pytest.raises(ValueError, match=matches(problem)):
        metric([[0.5, 0.5], [0.2, 0.8]], [[0.4, 0.6], [0.3, 0.7]], sample_weight=weight)


# Zeros


def raised(p, q):
    """Return q with the eps of its dtype for zeros where p > 0, and p with the same."""
    low = (q == 0) & (p > 0)
    rows = low.any(axis=1)
    q = np.where(low, np.finfo(q.dtype).eps, q).astype(q.dtype)
    q[rows] /= q[rows].sum(axis=1, keepdims=True)
    return q


@each_unbounded_loss
@pytest.mark.parametrize("side", [0, 1])
def test_on_zero_inf_is_exact(name, side):
    y_true, y_proba = random_rows(4, 3, 1), random_rows(4, 3, 2)
    clipped = (y_true, y_proba)[side]
    clipped[2] = [0.0, 0.5, 0.5]
    exact, raised_to_eps = (LOSSES[name](y_true, y_proba, on_zero=o) for o in ("inf", "clip"))
    if not inf_at_zero(name)[side]:
        assert exact == raised_to_eps < np.inf
        return
    assert exact == np.inf > raised_to_eps
    clipped[2] = [1e-300, 0.5, 0.5]
    result = LOSSES[name](y_true, y_proba, on_zero="inf")
    assert_allclose(result, losses_by_row(name, y_true, y_proba).mean(), rtol=1e-14)
    assert result > LOSSES[name](y_true, y_proba, on_zero="clip")


@each_unbounded_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_on_zero_clip_raises_to_epsilon(name, dtype):
    """By hand: the zeros that matter become the eps of their dtype, the row sums to 1."""
    y_true, y_proba = random_rows(5, 3, 1, dtype), random_rows(5, 3, 2, dtype)
    y_proba[1] = y_true[3] = [0.0, 0.25, 0.75]
    y_true[2], y_proba[2] = [0.0, 0.25, 0.75], [0.0, 0.5, 0.5]  # these zeros do not matter
    zero_of_true, zero_of_proba = inf_at_zero(name)
    expected = losses_by_row(
        name,
        raised(y_proba, y_true) if zero_of_true else y_true,
        raised(y_true, y_proba) if zero_of_proba else y_proba,
    ).mean(dtype=np.float64)
    assert expected < np.inf
    assert_allclose(LOSSES[name](y_true, y_proba), expected, rtol=1e-13)


@each_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_on_zero_clip_of_rows_without_a_common_outcome(name, dtype):
    """Each side has its own eps; where one is enough, it is the model that is raised."""
    y_true, y_proba = np.eye(2, dtype=dtype), np.eye(2, dtype=dtype)[::-1].copy()
    result = LOSSES[name](y_true, y_proba)
    if name in FINITE:
        assert result == LOSSES[name](y_true, y_proba, on_zero="inf")
        return
    zero_of_true, zero_of_proba = inf_at_zero(name)
    p = raised(y_proba, y_true) if zero_of_true else y_true
    q = raised(y_true, y_proba) if zero_of_proba or not zero_of_true else y_proba
    assert_allclose(result, losses_by_row(name, p, q).mean(), rtol=1e-6)


@pytest.mark.parametrize("name", ["kl_loss", "reverse_kl_loss", "cross_entropy_loss"])
def test_on_zero_clip_depends_on_the_dtype_of_what_is_clipped(name):
    y_true, y_proba = np.eye(2), np.eye(2)[::-1]
    costs = [
        LOSSES[name](y_true.astype(dtype), y_proba.astype(dtype))
        for dtype in (np.float64, np.float32)
    ]
    assert_allclose(costs, [-np.log(EPS), -np.log(EPS32)], rtol=1e-6)


@each_unbounded_loss
@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
def test_on_zero_raise_names_row_and_column(name, kind):
    y_proba = random_rows(4, 3)
    of_proba = inf_at_zero(name)[1]  # both for Jeffreys
    if kind == "hard":
        y_true = np.array([0, 1, 2, 0])
        y_proba[[0, 1, 3]] = np.eye(3)[[0, 1, 0]]
        y_proba[2] = [0.0, 1.0, 0.0]
        cell = "[2, 2]" if of_proba else "[2, 1]"
    else:
        y_true = random_rows(4, 3, 1)
        (y_proba if of_proba else y_true)[2] = [0.5, 0.0, 0.5]
        cell = "[2, 1]"
        if kind == "frame":
            y_true = pd.DataFrame(y_true, columns=["z", "a", "m"])
    p, q = ("y_true", "y_proba") if of_proba else ("y_proba", "y_true")
    with pytest.raises(ValueError, match=matches(q + cell, "0 where", p + cell)):
        LOSSES[name](y_true, y_proba, on_zero="raise")


@each_loss
def test_on_zero_raise_of_rows_without_a_common_outcome(name):
    y_true, y_proba = np.eye(3), np.eye(3)
    y_proba[2] = [0.5, 0.5, 0.0]
    if name in FINITE:
        assert LOSSES[name](y_true, y_proba, on_zero="raise") < np.inf
    else:
        with pytest.raises(ValueError, match=matches("The loss is infinite: ", "[2, ")):
            LOSSES[name](y_true, y_proba, on_zero="raise")


@each_loss
def test_on_zero_raise_allows_zeros_that_do_not_matter(name):
    y_true, y_proba = random_rows(4, 3, 1), random_rows(4, 3, 2)
    y_true[1], y_proba[1] = [0.0, 0.5, 0.5], [0.0, 0.25, 0.75]
    result = LOSSES[name](y_true, y_proba, on_zero="raise")
    assert result == LOSSES[name](y_true, y_proba)


@pytest.mark.parametrize("name", FINITE)
def test_on_zero_makes_no_difference_where_all_is_finite(name):
    y_true, y_proba = np.eye(3), np.eye(3)[[1, 2, 0]]
    values = {LOSSES[name](y_true, y_proba, on_zero=o) for o in ("clip", "inf", "raise")}
    assert len(values) == 1
    assert np.isfinite(values.pop())


@each_metric
@pytest.mark.parametrize("on_zero", ["Clip", "ignore", None, 0, True])
def test_bad_on_zero(metric, on_zero):
    with pytest.raises(ValueError, match=matches("on_zero", "clip", repr(on_zero))):
        metric([0, 1], [0.2, 0.7], on_zero=on_zero)


def test_reverse_kl_of_hard_labels_is_finite():
    y_true, y_proba = [0, 1], [[0.75, 0.25], [0.5, 0.5]]
    result = reverse_kl_loss(y_true, y_proba)
    rows = [
        0.75 * np.log(0.75) + 0.25 * np.log(0.25 / EPS),
        np.log(0.5) - 0.5 * np.log(EPS),
    ]
    assert_allclose(result, np.mean(rows), rtol=1e-13)
    assert reverse_kl_loss(y_true, y_proba, on_zero="inf") == np.inf


def test_jensen_shannon_is_bounded_by_one_bit():
    assert_allclose(jensen_shannon_loss([0, 1], [1.0, 0.0], base=2), 1.0, rtol=1e-15)


BAD_ROWS = [
    ([0.0, np.nan, 1.0], "contains NaN"),
    ([np.nan, 0.5, 0.5], "contains NaN"),
    ([0.0, np.inf, 0.5], "infinite"),
    ([-np.inf, 0.5, 0.5], "infinite"),
    ([-2e-6, 0.5, 0.5], "negative entry -2e-06 at position 0"),
    ([0.0, -0.25, 1.25], "negative entry -0.25 at position 1"),
    ([0.0, 1.0, -1e-5], "negative entry -1e-05 at position 2"),
    ([0.0, 0.0, 0.0], "sums to 0 instead of 1"),
    ([0.0, 0.5, 0.75], "sums to 1.25 instead of 1"),
    ([1e-20, 0.5, 0.25], "sums to 0.75 instead of 1"),
    ([0.0, 0.5, 0.501], "sums to 1.001 instead of 1"),
    ([0.25, 0.25, 0.25], "sums to 0.75 instead of 1"),
]


@each_metric
@pytest.mark.parametrize("on_zero", ["clip", "inf"])
@pytest.mark.parametrize("clipped_elsewhere", [False, True])
@pytest.mark.parametrize(("row", "problem"), BAD_ROWS)
def test_on_zero_does_not_hide_a_bad_prediction(
    metric, on_zero, clipped_elsewhere, row, problem
):
    y_true = np.array([0, 1, 2, 0, 1])
    y_proba = random_rows(5, 3)
    y_proba[3] = row
    if clipped_elsewhere:
        y_proba[1] = [0.5, 0.0, 0.5]
    with pytest.raises(ValueError, match=matches("y_proba[3]", problem)):
        metric(y_true, y_proba, on_zero=on_zero)


@each_metric
@pytest.mark.parametrize("clipped_elsewhere", [False, True])
@pytest.mark.parametrize(("row", "problem"), BAD_ROWS)
def test_on_zero_does_not_hide_a_bad_target(metric, clipped_elsewhere, row, problem):
    y_true, y_proba = random_rows(5, 3, 1), random_rows(5, 3, 2)
    y_true[3] = row
    if clipped_elsewhere:
        y_true[1], y_proba[2] = [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match=matches("y_true[3]", problem)):
        metric(y_true, y_proba)


@each_metric
@pytest.mark.parametrize("on_zero", ["clip", "inf", "raise"])
@pytest.mark.parametrize(("row", "problem"), [case for case in BAD_ROWS if all(case[0])])
def test_bad_rows_without_zeros(metric, on_zero, row, problem):
    rows, bad = random_rows(5, 3), random_rows(5, 3)
    bad[3] = row
    with pytest.raises(ValueError, match=matches("y_proba[3]", problem)):
        metric(rows, bad, on_zero=on_zero)
    with pytest.raises(ValueError, match=matches("y_true[3]", problem)):
        metric(bad, rows, on_zero=on_zero)


def test_infinities_of_both_signs():
    """Their sum is invalid; no warning of NumPy may come before the error."""
    rows, bad = random_rows(5, 3), random_rows(5, 3)
    bad[3] = [-np.inf, 0.5, np.inf]
    with pytest.raises(ValueError, match=matches("y_proba[3]", "infinite")):
        kl_loss([0, 1, 2, 0, 1], bad)
    with pytest.raises(ValueError, match=matches("y_true[3]", "infinite")):
        kl_loss(bad, rows)


@pytest.mark.parametrize("n_classes", [1_000, 50_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_loss
def test_clipping_very_many_zeros_leaves_valid_rows(name, dtype, n_classes):
    """The raised zeros add up to more than the tolerance of sums: 50 000 eps = 6e-3."""
    dense = random_rows(3, n_classes, dtype=dtype)
    sparse = np.zeros((3, n_classes), dtype=dtype)
    sparse[:, 7] = 1.0
    labels = np.arange(n_classes)
    for y_true, y_proba in [(dense, sparse), (sparse, dense), (dense, dense[::-1])]:
        result = LOSSES[name](y_true, y_proba)
        assert np.isfinite(result)
        assert result > 0.0
    for y_proba in (dense, sparse):
        assert np.isfinite(LOSSES[name]([5, 0, 7], y_proba, labels=labels))


def test_d2_of_very_many_zeros():
    y_true = random_rows(3, 50_000, dtype=np.float32)
    y_proba = np.zeros_like(y_true)
    y_proba[:, 7] = 1.0
    result = d2_kl_score(y_true, y_proba)
    assert np.isfinite(result)
    assert result < 0.0


# D²


@pytest.mark.parametrize("classes", [[0, 1], ["z", "a", "m"], [3, 1, 2, 0]])
@pytest.mark.parametrize("weighted", [False, True])
def test_d2_is_that_of_log_loss_for_hard_labels(classes, weighted):
    y_true = random_labels(50, classes)
    y_proba = random_rows(50, len(classes))
    weight = random_weights(50) if weighted else None
    expected = d2_log_loss_score(y_true, y_proba, sample_weight=weight)
    result = d2_kl_score(y_true, y_proba, sample_weight=weight)
    assert isinstance(result, float)
    assert_allclose(result, expected, rtol=1e-12)
    one_hot = (y_true[:, None] == np.sort(classes)).astype(float)
    assert_allclose(d2_kl_score(one_hot, y_proba, sample_weight=weight), result, rtol=1e-13)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_d2_of_a_positive_column(shape):
    y_true = random_labels(50, [0, 1])
    positive = random_rows(50, 2)[:, 1].reshape(shape)
    expected = d2_log_loss_score(y_true, positive)
    assert_allclose(d2_kl_score(y_true, positive), expected, rtol=1e-12)


def test_d2_with_clipping_is_that_of_log_loss():
    y_true = [0, 1, 2, 0]
    y_proba = np.eye(3)[[0, 1, 2, 1]]
    expected = d2_log_loss_score(y_true, y_proba)
    assert_allclose(d2_kl_score(y_true, y_proba), expected, rtol=1e-12)
    assert d2_kl_score(y_true, y_proba, on_zero="inf") == -np.inf
    with pytest.raises(ValueError, match=matches("y_proba[3, 0]")):
        d2_kl_score(y_true, y_proba, on_zero="raise")


@pytest.mark.parametrize("weighted", [False, True])
def test_d2_with_an_absent_class(weighted):
    y_true, labels = random_labels(20, ["a", "z"]), ["a", "m", "z"]
    y_proba = random_rows(20, 3)
    weight = random_weights(20) if weighted else None
    target = (y_true[:, None] == labels).astype(float)
    result = d2_kl_score(y_true, y_proba, labels=labels, sample_weight=weight)
    assert_allclose(result, d2_by_hand(target, y_proba, weight), rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_d2_of_soft_targets(n_classes, weighted):
    y_true, y_proba = random_rows(30, n_classes, 1), random_rows(30, n_classes, 2)
    weight = random_weights(30) if weighted else None
    result = d2_kl_score(y_true, y_proba, sample_weight=weight)
    assert_allclose(result, d2_by_hand(y_true, y_proba, weight), rtol=1e-12)


@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("weighted", [False, True])
def test_d2_is_1_if_perfect_and_0_for_the_prior(kind, weighted):
    target = random_rows(30, 3)
    y_true = target
    if kind == "hard":
        y_true = random_labels(30, range(3))
        target = np.eye(3)[y_true]
    weight = random_weights(30) if weighted else None
    prior = np.tile(np.average(target, axis=0, weights=weight), (30, 1))
    assert d2_kl_score(y_true, target, sample_weight=weight) == 1.0
    assert_allclose(d2_kl_score(y_true, prior, sample_weight=weight), 0.0, atol=1e-13)
    worse = (0.1 + 1 - target) / (0.1 + 1 - target).sum(axis=1, keepdims=True)
    assert d2_kl_score(y_true, worse, sample_weight=weight) < 0.0
    better = 0.5 * (target + prior)
    assert 0.0 < d2_kl_score(y_true, better, sample_weight=weight) < 1.0


def test_rows_without_weight_do_not_count_in_d2():
    """The class that only such a row has is absent from the prior."""
    y_true, y_proba = np.array([0, 1, 2, 0, 1]), random_rows(5, 3)
    weight = np.array([1.0, 2.0, 0.0, 0.5, 3.0])
    kept = weight > 0
    for on_zero in ("clip", "inf"):
        result = d2_kl_score(y_true, y_proba, sample_weight=weight, on_zero=on_zero)
        expected = d2_by_hand(np.eye(3)[y_true[kept]], y_proba[kept], weight[kept])
        assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("label", ["a", "b"])
def test_d2_of_constant_labels(label):
    labels = ["a", "b"]
    perfect = np.tile([float(label == name) for name in labels], (3, 1))
    y_true = [label] * 3
    assert d2_kl_score(y_true, perfect, labels=labels) == 1.0
    assert d2_kl_score(y_true, np.full((3, 2), 0.5), labels=labels) == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", [[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.3, 0.7]])
@pytest.mark.parametrize("n_samples", [1, 3, 10, 1000])
@pytest.mark.parametrize("weighted", [False, True])
def test_d2_of_constant_soft_targets(row, n_samples, weighted, dtype):
    """The mean of equal rows rounds: it may miss them by an ulp, and is perfect still."""
    y_true = np.tile(np.array(row, dtype=dtype), (n_samples, 1))
    weight = random_weights(n_samples) if weighted else None
    assert d2_kl_score(y_true, y_true.copy(), sample_weight=weight) == 1.0
    other = np.tile([0.1, 0.25, 0.65], (n_samples, 1))
    assert d2_kl_score(y_true, other, sample_weight=weight) == 0.0


@pytest.mark.parametrize(
    "y_true",
    [
        [[0.5, 0.5], [0.5001, 0.5001]],  # equal once they are normalised
        np.float32([[0.5, 0.5], [0.5, 0.5000001]]),
        [[0.5, 0.5], [0.5, 0.5000001]],
    ],
)
def test_d2_of_targets_that_are_equal_up_to_rounding(y_true):
    assert d2_kl_score(y_true, [[0.6, 0.4], [0.6, 0.4]]) == 0.0
    assert d2_kl_score(y_true, [[0.5, 0.5], [0.5, 0.5]]) == 1.0


def test_d2_of_nearly_constant_soft_targets():
    """Differences of 1e-6 between targets are real, and their share can be explained."""
    rng = np.random.default_rng(0)
    shift = 1e-6 * rng.uniform(-1, 1, (50, 1))
    y_true = np.array([0.3, 0.7]) + shift * [1, -1]
    prior = y_true.mean(axis=0)
    half_way = 0.5 * (y_true + prior)
    assert_allclose(d2_kl_score(y_true, half_way), 0.75, rtol=1e-5)


# What users get wrong


@each_metric
@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan, np.inf])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_positive_column_is_between_0_and_1(metric, bad, shape):
    y_proba = np.reshape([0.2, 0.7, bad], shape)
    with pytest.raises(ValueError, match=matches("y_proba[2]", f"{bad:.6g}", "positive")):
        metric([0, 1, 1], y_proba)


@each_metric
@pytest.mark.parametrize("y_proba", [np.full((2, 2, 2), 0.5), 0.5])
def test_shape_of_y_proba(metric, y_proba):
    with pytest.raises(ValueError, match=matches("y_proba", str(np.shape(y_proba)))):
        metric([0, 1], y_proba)


@each_metric
def test_y_proba_holds_numbers(metric):
    with pytest.raises(TypeError, match=matches("y_proba", "real numbers")):
        metric(["a", "b"], [["a", "b"], ["b", "a"]])


@each_metric
@pytest.mark.parametrize(
    ("y_true", "n_columns"),
    [([0, 1, 0, 1], 3), ([0, 1, 2, 0], 2), (random_rows(4, 3), 2), (random_rows(4, 2), 3)],
)
def test_numbers_of_columns_and_classes_differ(metric, y_true, n_columns):
    parts = ["y_proba", f"{n_columns} columns", "y_true", "classes", "labels="]
    with pytest.raises(ValueError, match=matches(*parts)):
        metric(y_true, random_rows(4, n_columns))


@each_metric
def test_three_classes_and_a_positive_column(metric):
    with pytest.raises(ValueError, match=matches("y_proba", "2 columns", "3 classes")):
        metric([0, 1, 2], [0.5, 0.5, 0.5])


@each_metric
@pytest.mark.parametrize("y_proba", [[0.5, 0.5], [[0.5, 0.5], [0.25, 0.75]]])
def test_a_single_label_needs_labels(metric, y_proba):
    with pytest.raises(ValueError, match=matches("y_true", "'spam'", "labels=")):
        metric(["spam", "spam"], y_proba)


@each_metric
def test_a_label_that_labels_lacks(metric):
    with pytest.raises(ValueError, match=matches("y_true[1]", "'q'", "labels=")):
        metric(["a", "q"], [0.5, 0.5], labels=["a", "b"])


@each_metric
def test_labels_and_the_columns_of_soft_targets_differ(metric):
    y = random_rows(4, 3)
    with pytest.raises(ValueError, match=matches("y_true has 3 columns", "2 classes")):
        metric(y, y, labels=["a", "b"])
    frame = pd.DataFrame(y, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match=matches("y_true", "['d']", "['c']")):
        metric(frame, y, labels=["a", "b", "d"])


@each_metric
@pytest.mark.parametrize("n_samples", [3, 5])
@pytest.mark.parametrize("y_true", [[0, 1, 2, 0], random_rows(4, 3)], ids=["hard", "soft"])
def test_lengths_differ(metric, y_true, n_samples):
    with pytest.raises(
        ValueError, match=matches("inconsistent", "y_true has 4", f"y_proba has {n_samples}")
    ):
        metric(y_true, random_rows(n_samples, 3))


@each_metric
def test_continuous_y_true(metric):
    with pytest.raises(ValueError, match=matches("Unknown label type", "y_true")):
        metric([0.3, 0.6], [0.5, 0.5])


@each_metric
def test_a_column_of_labels_warns(metric):
    y_proba = random_rows(6, 3)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        result = metric([[0], [1], [2], [0], [1], [2]], y_proba)
    assert result == metric([0, 1, 2, 0, 1, 2], y_proba)


@each_metric
@pytest.mark.parametrize(
    ("y_true", "y_proba"),
    [([], []), ([], np.empty((0, 2))), (np.empty((0, 2)), np.empty((0, 2)))],
)
def test_empty(metric, y_true, y_proba):
    with pytest.raises(ValueError, match="y_true is empty"):
        metric(y_true, y_proba)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_with_entries_below_epsilon(dtype):
    """Clipping does not raise a prediction above its target."""
    rng = np.random.default_rng(0)
    y = rng.dirichlet(np.full(500, 0.02), size=20).astype(dtype)
    y /= y.sum(axis=1, keepdims=True)
    assert ((y > 0) & (y < np.finfo(dtype).eps)).any()
    for name in LOSSES:
        if name != "cross_entropy_loss":
            assert LOSSES[name](y, y) == 0.0
    assert d2_kl_score(y, y) == 1.0
    tiny = [[1e-20, 1.0], [1e-25, 1.0]]
    assert d2_kl_score(tiny, tiny) == 1.0


def test_clipping_is_to_epsilon_where_the_target_is_larger():
    eps = np.finfo(float).eps
    exact = 0.5 * np.log(0.5 / (1 - eps)) + 0.5 * np.log(0.5 / eps)
    assert kl_loss([[0.5, 0.5]], [[1.0, 0.0]]) == pytest.approx(exact, rel=1e-13)
    assert kl_loss([[0.5, 0.5]], [[1.0, 1e-20]]) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("weight", [[1e308, 1e308], [np.inf, 1.0]])
def test_weights_without_a_finite_sum(weight):
    with pytest.raises(ValueError, match=r"sample_weight"):
        kl_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]], sample_weight=weight)
