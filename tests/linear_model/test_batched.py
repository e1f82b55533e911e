"""Fits in batches: what all rows in memory give, in few passes, with little memory."""

from itertools import product
from threading import Event

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklkl import TopK
from sklkl.batches import Batches
from sklkl.batches._batches import ahead
from sklkl.calibration import TemperatureScaling
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _batched,
    _objective,
)
from sklkl.linear_model._batched import prime_from

N = 600
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(3.0, 1.0, size=(N, 3)), columns=["a", "b", "c"])
P = pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=["ham", "spam", "eggs"])
LABELS = np.sort(np.array(["ham", "spam", "eggs"])[P.to_numpy().argmax(axis=1)])
W = rng.lognormal(size=N)
SPARSE = csr_array(X.to_numpy() * (rng.random((N, 3)) < 0.5))
SCALED = StandardScaler().fit(X)
CITY = pd.DataFrame({"city": np.resize(["Rome", "Oslo", "Bonn", "Oslo", "Oslo"], N)})
ENCODER = OneHotEncoder().fit(CITY)


SHARE = rng.random(N) * (rng.random(N) < 0.7)  # of labels that are learned besides


class Source:
    """A function of batches that counts its calls."""

    calls = 0

    def __init__(self, *arrays, size=110):
        self.arrays, self.size = arrays, size

    def __call__(self):
        self.calls += 1
        for a in range(0, self.arrays[0].shape[0], self.size):
            rows = slice(a, a + self.size)
            yield tuple(None if x is None else of(x)[rows] for x in self.arrays)


def of(x):
    """Return what slices are positions of."""
    return x.iloc if hasattr(x, "iloc") else x


def lists(rest, n_classes=5):
    """Return targets of which two classes are known."""
    dense = np.random.default_rng(1).dirichlet(np.ones(n_classes), N)
    top = np.argsort(-dense, axis=1)[:, :2]
    proba = np.take_along_axis(dense, top, axis=1)
    proba[:150] /= proba[:150].sum(axis=1, keepdims=True)  # no bucket in the first batch
    return TopK(top, proba, n_classes, rest=rest)


def table(**columns):
    return pd.concat([X, P], axis=1).assign(**columns)


SOFT = {"target": list(P), "batch_size": 110}
CASES = {
    "tuples": ({}, Source(X, P, W), {}, (X, P, W)),
    "arrays": (
        {},
        (X.to_numpy(), P.to_numpy()),
        {"batch_size": 70},
        (X.to_numpy(), P.to_numpy()),
    ),
    "table": ({}, table(w=W), SOFT | {"sample_weight": "w"}, (X, P, W)),
    "classes": ({"classes": ["eggs", "ham", "spam"]}, table(), SOFT, (X, P)),
    "labels": (
        {"class_weight": "balanced"},
        table(y=LABELS)[["c", "a", "y"]],
        {"target": "y", "batch_size": 110},
        (X[["c", "a"]], LABELS),
    ),
    "float32": ({}, table().astype(np.float32), SOFT, (X.astype("f4"), P.astype("f4"))),
    "sparse": ({}, Source(SPARSE, P), {}, (SPARSE, P)),
    "divergence": (
        {"divergence": "jensen_shannon", "temperature": 2.0},
        table(),
        SOFT,
        (X, P),
    ),
    "labels besides": (
        {"temperature": 2.0, "class_weight": "balanced"},
        table(w=W, y=LABELS, share=SHARE),
        {
            **SOFT,
            "sample_weight": "w",
            "labels": "y",
            "label_weight": "share",
            "features": list(X),
        },
        (X, P, W, LABELS, SHARE),
    ),
    "soft labels besides": (
        {},
        table(**{f"x{c}": P.iloc[::-1][c].to_numpy() for c in P}, y=LABELS),
        {"target": "y", "labels": {f"x{c}": c for c in P}, "features": list(X)},
        (X, LABELS, None, P.iloc[::-1].reset_index(drop=True)),
    ),
    "labels of tuples": (
        {},
        (X, P, None, LABELS),
        {"batch_size": 110},
        (X, P, None, LABELS),
    ),
    "sparse targets": ({}, (X, csr_array(P)), {"batch_size": 110}, (X, csr_array(P))),
    **{
        f"top-k, {rest}": ({"C": 0.03}, Source(X, y, W), {}, (X, y, W))
        for rest in ("uniform", "renormalize", "bucket")
        for y in [lists(rest)]
    },
    "weights of classes of top-k": (
        {"class_weight": "balanced"},
        Source(X, lists("uniform"), W),
        {},
        (X, lists("uniform"), W),
    ),
    "elastic net": ({"l1_ratio": 0.5}, table(), SOFT, (X, P)),
    "no intercept": ({"fit_intercept": False}, table(), SOFT, (X, P)),
    "transform": (
        {},
        table(),
        SOFT | {"transform": SCALED},
        (SCALED.transform(X), P),
    ),
    "strings": (
        {},
        pd.concat([CITY, P], axis=1),
        SOFT | {"transform": ENCODER},
        (ENCODER.transform(CITY), P),
    ),
}


SAMPLED = ["tuples", "classes", "labels besides", "sparse", "elastic net", "top-k, bucket"]


@pytest.mark.parametrize(
    ("case", "sampled"), [*product(CASES, [False]), *product(SAMPLED, [True])]
)
def test_fits(case, sampled, monkeypatch):
    params, source, options, arguments = CASES[case]
    if sampled:
        monkeypatch.setattr(_objective, "LEAST_PASS", 0)
        monkeypatch.setattr(_objective, "SAMPLE_ROWS", 2)
    tol = 1e-6 if case == "float32" else 1e-9
    model = SoftLabelLogisticRegression(**{"tol": tol, "C": 0.3, **params})
    whole = vars(model.fit(*arguments)).copy()
    model.fit(Batches(source, **options))
    for name, value in whole.items():
        if name in ("coef_", "intercept_", "loss_"):
            atol = 1e-5 if case == "float32" else 1e-7
            assert_allclose(getattr(model, name), value, rtol=1e-6, atol=atol)
        elif name.endswith("_") and name != "n_iter_":
            assert_array_equal(getattr(model, name), value)


@pytest.mark.parametrize("weights", ["equal", "unequal"])
def test_passes(weights, monkeypatch):
    """Two before the first iteration; a third if the sample was not the one to expect."""
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)
    monkeypatch.setattr(_objective, "SAMPLE_ROWS", 2)
    strides = []
    sample = _batched.Sample
    monkeypatch.setattr(_batched, "Sample", lambda d, s: strides.append(s) or sample(d, s))
    source = Source(X, P) if weights == "equal" else Source(X, P, W)
    model = SoftLabelLogisticRegression()
    evaluations = []
    objective = _batched.BatchRows.objective
    monkeypatch.setattr(
        _batched.BatchRows, "objective", lambda *a: evaluations.append(0) or objective(*a)
    )
    model.fit(Batches(source))
    assert strides == ([61] if weights == "equal" else [61, 17])
    # Each evaluation is one, and so is the last look at the largest change.
    assert source.calls == 1 + len(strides) + len(evaluations) + 1


@pytest.mark.parametrize(("kind", "stride"), [("dense", 19), ("sparse", 19), ("labels", 13)])
def test_sample_is_bounded(kind, stride, monkeypatch):
    """A row has 3 features and a weight; 3 probabilities, or a code; each takes 8 bytes."""
    monkeypatch.setattr(_batched, "MOST_BYTES", 1800)
    features = SPARSE if kind == "sparse" else X.to_numpy()
    y = LABELS if kind == "labels" else P
    data = _batched.check_batches(SoftLabelLogisticRegression(), Batches(Source(features, y)))
    sample = _batched.Sample(data, 7)
    for part in data.parts():
        sample.add(part)
    assert sample.stride == stride  # the first prime from 33,600 or 24,000 / 1800 on
    found = sample.data
    dense = found.X.toarray() if kind == "sparse" else found.X
    expected = features.toarray() if kind == "sparse" else features
    assert_array_equal(dense, expected[::stride])
    target = np.unique(y, return_inverse=True)[1] if kind == "labels" else P.to_numpy()
    assert_array_equal(found.target, target[::stride])
    assert len(found.weight) == len(found.target)


def test_primes():
    assert [prime_from(n) for n in (2, 4, 61, 62, 121, 1000)] == [2, 5, 61, 67, 127, 1009]


def with_row(frame, row, value):
    changed = frame.copy()
    changed.iloc[row] = value
    return changed


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ({}, (X, with_row(P, 450, 0.5))),
        ({}, (X, P, np.where(np.arange(N) == 450, -1.0, 1.0))),
        ({"classes": ["ham", "spam", "x"]}, (X, LABELS)),
        ({"divergence": "reverse_kl"}, (X, with_row(P, 450, [0.5, 0.5, 0.0]))),
        ({}, (with_row(X, 450, np.nan), P)),
        ({}, (X, np.full(N, "ham"))),
    ],
)
def test_messages_are_those_of_all_rows(params, arguments):
    model = SoftLabelLogisticRegression(**params)
    with pytest.raises(ValueError) as expected:  # noqa: PT011  # compared below
        model.fit(*arguments)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        model.fit(Batches(Source(*arguments)))
    assert str(found.value) == str(expected.value)
    assert vars(model) == vars(SoftLabelLogisticRegression(**params))


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (Source(X, P), {"y": P}, "got y besides"),
        (Source(X, P), {"sample_weight": W, "label_weight": W}, "sample_weight, label_weight"),
        (lambda: iter([]), {}, "0 samples"),
        (lambda: iter([(X, None)]), {}, "y must hold"),
        (lambda: iter([(X, P), (X, LABELS)]), {}, "labels from row 600 on"),
        (lambda: iter([(X, P), (X.iloc[:, ::-1], P)]), {}, "from row 600 on"),
        (
            lambda: iter([(X, lists("uniform")), (X, lists("bucket"))]),
            {},
            "rest='bucket', from row 600 on",
        ),
        (lambda: iter([(X, lists("bucket")), (X, LABELS)]), {}, "labels from row 600 on, and"),
        (lambda: iter([(X, P), (X, P, None, LABELS)]), {}, "labels are given for rows before"),
    ],
)
def test_refused(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        SoftLabelLogisticRegression().fit(Batches(source), **arguments)


def test_rows_that_change_in_number():
    once = Source(X, P)()
    with pytest.raises(ValueError, match="held 600 rows at first, and 0 when"):
        SoftLabelLogisticRegression().fit(Batches(lambda: once))
    growing = Source(X, P)

    def more():
        for _ in range(growing.calls + 1):
            yield from growing()

    with pytest.raises(ValueError, match="held 600 rows at first, and 710 or more when"):
        SoftLabelLogisticRegression().fit(Batches(more))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupts_leave_the_model_as_it_was(error):
    model = SoftLabelLogisticRegression().fit(X, P)
    before = vars(model).copy()
    others = Source(X[["b", "a"]], P)

    def source():
        yield from others()
        if others.calls == 4:
            raise error

    with pytest.raises(error):
        model.fit(Batches(source))
    assert others.calls == 4
    assert vars(model) == before


def test_reading_ahead():
    with config_context(transform_output="pandas"):
        model = SoftLabelLogisticRegression().fit(
            Batches(Source(X, P), transform=StandardScaler().fit(X))
        )
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    started = Event()

    def items():
        yield 0
        started.set()
        yield 1

    for _ in ahead(items()):
        assert started.wait(10)  # although nobody has asked for the second


def test_the_first_pass_reads_ahead(monkeypatch):
    second = Event()

    def source():
        yield X[:300], P[:300]
        second.set()
        yield X[300:], P[300:]

    def summarise(*part):
        assert second.wait(10)
        return summarised(*part)

    summarised = _batched.summarise
    monkeypatch.setattr(_batched, "summarise", summarise)
    SoftLabelLogisticRegression().fit(Batches(source))

    assert list(ahead(iter([]))) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda model, batches: model.partial_fit(batches),
        lambda model, batches: model.coef_inference(batches),
        lambda model, batches: model.predict_proba(batches),
        lambda model, batches: TemperatureScaling().fit(batches, P),
    ],
)
def test_what_takes_no_batches_says_so(call):
    batches = Batches(Source(X.to_numpy(), P))
    model = SoftLabelLogisticRegression().fit(batches)
    with pytest.raises(TypeError, match="Batches are for fit and score"):
        call(model, batches)


def test_streams_of_batches():
    model = SoftLabelLogisticRegression()
    for features, y, weight, *_ in Batches(table(w=W), **SOFT, sample_weight="w"):
        model.partial_fit(features, y, sample_weight=weight)
    expected = SoftLabelLogisticRegression().fit(X, P, W)
    assert_allclose(model.coef_, expected.coef_, atol=0.05)


def test_warm_start_and_verbose(capsys):
    model = SoftLabelLogisticRegression(warm_start=True, verbose=1).fit(X, P)
    capsys.readouterr()
    model.fit(Batches(table(), **SOFT))
    assert model.n_iter_ == 0
    assert "iteration" in capsys.readouterr().out


FOLDS = [(np.flatnonzero(np.arange(N) % 3 != f), np.arange(f, N, 3)) for f in range(3)]


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ({}, (X, P)),
        ({"refit": False, "scoring": "d2_kl"}, (X, P, W)),
        ({"class_weight": "balanced", "l1_ratios": [0.0, 0.5]}, (X, LABELS, W)),
        ({"temperature": 2.0}, (X, P, None, LABELS, SHARE)),
        ({}, (X, lists("bucket"))),
    ],
)
def test_cross_validation(params, arguments):
    """As in memory, on folds that take turns."""
    params = {"Cs": [1.0, 0.01], "tol": 1e-8, **params}
    expected = SoftLabelLogisticRegressionCV(cv=FOLDS, **params).fit(*arguments)
    batches = Batches(Source(*arguments, size=250))
    model = SoftLabelLogisticRegressionCV(cv=3, **params).fit(batches)
    for name in ("C_", "l1_ratio_", "coef_", "intercept_", "scores_", "coefs_paths_"):
        assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-6, atol=2e-6)
    assert_array_equal(model.classes_, expected.classes_)
    assert_array_equal(model.feature_names_in_, expected.feature_names_in_)
    assert model.n_iter_.shape == expected.n_iter_.shape
    assert hasattr(model, "loss_") == hasattr(expected, "loss_")
    weight = [*arguments, None][2]
    assert_allclose(model.score(batches), model.score(*arguments[:2], sample_weight=weight))


@pytest.mark.parametrize(
    ("params", "arguments", "message"),
    [
        ({"cv": FOLDS}, {}, "cv must be"),
        ({"cv": N + 1}, {}, "cv=601 folds need as many rows; X has 600"),
        ({"scoring": "accuracy"}, {}, "scoring='accuracy' scores rows in memory"),
        ({}, {"groups": W}, "got groups besides"),
        ({}, {"y": P}, "got y besides"),
    ],
)
def test_cross_validation_refuses(params, arguments, message):
    model = SoftLabelLogisticRegressionCV(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(Batches(Source(X, P)), **arguments)
    assert vars(model) == vars(SoftLabelLogisticRegressionCV(**params))


@pytest.mark.parametrize(
    "make", [np.asarray, np.eye(3).__getitem__, lambda y: csr_array(np.eye(3)[y])]
)
def test_cross_validation_refuses_folds_that_keep_a_class(make):
    """The penalty would be chosen by rows of a class that was never learned."""
    codes, weight = np.arange(N) % 3, (np.arange(N) >= 3) + 0.0
    y = make(codes)
    codes = np.r_[2, 0, 1, codes[3:]]  # otherwise, without a weight
    for source in (Source(X, y, size=N), Source(X, make(codes), weight, size=N)):
        with pytest.raises(ValueError, match="All rows of class 0 are in fold 0;"):
            SoftLabelLogisticRegressionCV(cv=3).fit(Batches(source))
    SoftLabelLogisticRegressionCV(cv=3, Cs=1).fit(Batches(Source(X, make(codes), size=N)))
