"""Every public function, every argument, hostile values: an answer, or an error that names it.

``FUNCTIONS`` maps a function to good arguments; whatever a package exports is in it. Each
argument in turn is replaced by each hostile value.
"""

import datetime
import re
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csr_array
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

from sklkl import TopK, divergences, targets
from sklkl._core.models import predict_columns
from sklkl._core.samples import take
from sklkl.batches import Batches, predict_to_parquet
from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
)
from sklkl.distillation import (
    DeferringClassifier,
    DistilledClassifier,
    PooledClassifier,
    munge,
)
from sklkl.distillation._certificate import least_rows
from sklkl.divergences._registry import DIVERGENCES
from sklkl.inspection import ReliabilityDisplay, TemperatureDisplay
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import (
    calibration_error,
    divergence_loss,
    fidelity_report,
    jeffreys_loss,
    kl_loss,
)
from sklkl.model_selection import soft_cross_val_predict

P, Q = [[0.2, 0.8], [0.8, 0.2]], [[0.1, 0.9], [0.9, 0.1]]  # along either axis
FRAME = pd.DataFrame(P, columns=["a", "b"])
COMPLEX = np.array([[np.complex64(0.2), 0.8], [0.8, 0.2]], dtype=object)
DOK = csr_array(P).todok()
LINE, VIEW = coo_array(np.ones(2)), memoryview(bytearray(2))
NAMELESS = pd.DataFrame(P, columns=[float("nan")] * 2)
MODEL, LOGISTIC = GaussianNB().fit(P, [0, 1]), SoftLabelLogisticRegression().fit(P, [0, 1])


class Refuses:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("never")


PAIR = {"p": P, "q": Q, "axis": -1, "base": None}
NO_UNIT = {"p": P, "q": Q, "axis": -1}
GAUSSIAN = {"mean_p": [0.0, 1.0], "cov_p": [[2.0, 0.5], [0.5, 1.0]]}
GAUSSIAN |= {"mean_q": [1.0, 1.0], "cov_q": [1.0, 2.0], "covariance_type": "auto", "base": 2}
LOGITS = {"p_logits": P, "q_logits": Q, "temperature": 2.0, "axis": -1, "base": None}
COUNTS = {"p_counts": [3, 1], "q_counts": [2, 2], "estimator": "plugin", "base": None}
ROWS = {"P": P, "Q": Q, "divergence": "renyi", "divergence_params": {"order": 0.5}}
SAMPLES = {"log_p": [-1.0, -2.0], "log_q": [-2.0, -1.0], "estimator": "k1"}
SAMPLES |= {"axis": -1, "base": None}

INTERVAL = {"p_counts": [30, 10], "q_counts": [20, 20], "confidence_level": 0.9, "base": None}
STABILITY = {"reference": [3, 1], "current": [2, 2], "pseudo_count": 0.5, "base": None}
SEVERAL = {"P": P, "sample_weight": [1, 2], "base": None}
SHARES = {"item": ["a", "b"], "label": ["x", "y"], "weight": [1, 2], "items": ["b", "a"]}
SHARES |= {"classes": ["y", "x"]}
CROWD = {
    "annotator": ["c", "d"],
    "known": {"a": "x", "b": "y"},
    "prior": P,
    "tol": 1e-3,
    "max_iter": 9999,
}

RESULTS = {divergences.CountsInterval, targets.DawidSkene, targets.VoteShares}
PACKAGES = [divergences, targets]
FUNCTIONS = {
    d.function: (PAIR if d.has_unit else NO_UNIT) | dict.fromkeys(d.parameters, 0.3)
    for d in DIVERGENCES
} | {
    divergences.divergence_from_logits: LOGITS | {"divergence": "hellinger"},
    divergences.entropy_from_counts: {"counts": [3, 1], "estimator": "plugin", "base": None},
    divergences.entropy_interval_from_counts: {"counts": [30, 10], "confidence_level": 0.9},
    divergences.jensen_shannon_from_counts: {"p_counts": [3, 1], "q_counts": [2, 2]},
    divergences.jensen_shannon_interval_from_counts: INTERVAL,
    divergences.entropy: {"p": P, "axis": -1, "base": None},
    divergences.gaussian_kl_divergence: GAUSSIAN,
    divergences.kl_contributions: PAIR,
    divergences.kl_divergence_from_logits: LOGITS,
    divergences.jensen_shannon_of_several: SEVERAL,
    divergences.kl_from_counts: COUNTS,
    divergences.kl_interval_from_counts: INTERVAL,
    divergences.pairwise_divergences: ROWS | {"base": None},
    divergences.population_stability_index: STABILITY | {"bins": 2},
    divergences.sampled_kl: SAMPLES | {"sample_weight": [1.0, 2.0]},
    targets.dawid_skene: SHARES | CROWD | {"pseudo_count": 0.5},
    targets.vote_shares: SHARES | {"pseudo_count": 0.5},
}
HOSTILE = [
    *(None, "a", "", b"a", True, np.True_, 0, 0.0, -1, 0.5, 2, 1e306, -1e306, 5e-324, 10**400),
    *(np.nan, np.inf, -np.inf, 1j, np.float32(0.5), np.int64(1), np.array(0.5)),
    *([], [[]], {}, set(), {"a": 1}, {1, 2}, object, len, lambda: 0, object(), range(2)),
    *([[0.5, 0.5], [1.0]], ["a", "b"], ["0.5", "0.5"], [None, 1.0], [0.5 + 0j] * 2),
    *([x, 1.0] for x in (np.nan, np.inf, -np.inf, 1e306, 1e308, -1e308, 5e-324, 10**400)),
    *([1, 2], [[1, 2], [3, 4]], [[0.5, 0.5]] * 2, np.ones((2, 2, 2, 2)) / 2, np.ones((0, 2))),
    *(np.array([0.5, None]), np.array([pd.NA, 0.5]), np.array([[1.0], "a"], dtype=object)),
    *(datetime.date(2026, 1, 1), np.array(["2026", "2027"], dtype="datetime64[Y]")),
    *(csr_array([[0.5, 0.5]]), np.ma.array([0.5, 0.5], mask=[0, 1]), pd.Series(["a", "b"])),
    *(pd.Series([0.5, pd.NA], dtype="Float64"), pd.DataFrame({"a": [0.5], "b": ["x"]})),
]


def test_no_function_is_forgotten():
    public = {getattr(package, name) for package in PACKAGES for name in package.__all__}
    assert public == set(FUNCTIONS) | RESULTS


def is_nan(result):
    if type(result) in RESULTS:
        return any(
            is_nan(x) for x in (getattr(result, "proba", 0), getattr(result, "high", 0))
        )
    return np.isnan(np.asarray(result, dtype=float)).any()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_hostile_values(function):
    good = FUNCTIONS[function]
    assert not is_nan(function(**good))
    faults = []
    for name in good:
        for value in HOSTILE:
            call = f"{name}={value!r:.60}"
            try:
                with warnings.catch_warnings(action="error"):
                    result = function(**good | {name: value})
            except (TypeError, ValueError) as error:
                if not re.search(rf"\b{name}\b", str(error)):
                    faults.append(f"{call}: {error}")
            except Exception as error:
                faults.append(f"{call}: {error!r}")
            else:
                if is_nan(result):
                    faults.append(f"{call} gives {result}")
    assert not faults, "\n".join(faults)


def test_random_calls(tmp_path, monkeypatch):
    """Some of what ``python -m tools.fuzz`` tries, of every function and estimator."""
    monkeypatch.chdir(tmp_path)  # strings may become folders
    fuzz = pytest.importorskip("tools.fuzz", reason="not beside a source tree")
    pytest.importorskip("pyarrow")
    run, found = fuzz.Run(), {}
    for name in fuzz.TARGETS:
        slow = name.endswith(("CV", "_report")) or "distillation" in name or "Display" in name
        for number in range(1 if slow else 4):
            case = fuzz.Case(0, number, ([name], [1.0]))
            if (finding := run(case)) is not None:
                found[finding[0]] = fuzz.shown(case, frozenset())
    assert not found
    assert run.calls.total() > 200


def test_random_calls_are_judged(monkeypatch):
    """A fault of each kind is found."""
    fuzz = pytest.importorskip("tools.fuzz", reason="not beside a source tree")

    def changes(X):
        X[...] = 0.0

    def warns(X):
        np.log(0.0 * np.ones(2))

    faults = {
        "IndexError": lambda X: [][1],
        "ValueError": lambda X: int("a"),
        "NaN in the result": lambda X: {"a": [np.array(np.nan)]},
        "an argument was changed": changes,
        "RuntimeWarning: divide by zero encountered in log": warns,
    }
    for what, function in faults.items():
        monkeypatch.setitem(fuzz.TARGETS, "fault", function)
        case = fuzz.Case(0, 0, (["fault"], [1.0]))
        (name, kind, *_), _ = fuzz.Run()(case)
        assert (name, kind) == ("fault", what)


BEYOND = {
    "csr": csr_array(np.eye(3)),
    "csc": csr_array(np.eye(3)).tocsc(),
    "bsr": csr_array(np.eye(4)).tobsr((2, 2)),
    "coo": csr_array(np.eye(3)).tocoo(),
}
for x in BEYOND.values():
    (x.row if x.format == "coo" else x.indices)[-1] = 99


@pytest.mark.parametrize("form", BEYOND)
def test_entries_beyond_a_sparse_matrix_are_refused(form):
    """SciPy would read and write outside of its arrays."""
    x, rows = BEYOND[form], np.eye(3)
    with pytest.raises(ValueError, match=r"proba.*(column 99|entries beyond)"):
        TopK.from_csr(x)
    for function in (
        lambda: SoftLabelLogisticRegression().fit(x, [0, 1, 1, 0][: x.shape[0]]),
        lambda: soft_cross_val_predict(GaussianNB(), x, [0, 1, 1, 0][: x.shape[0]]),
        lambda: take(x, [0]),
        lambda: TemperatureDisplay.from_estimator(LOGISTIC, x, [0, 1, 1, 0][: x.shape[0]]),
    ):
        with pytest.raises(ValueError, match=r"X.*(column 99|entries beyond)"):
            function()
    rows = np.eye(x.shape[0])
    for function in (
        lambda: SoftLabelLogisticRegression().fit(rows, x),
        lambda: SoftLabelLogisticRegressionCV().fit(rows, x),
        lambda: SoftCalibratedClassifierCV(GaussianNB()).fit(rows, x),
        lambda: DistilledClassifier(GaussianNB()).fit(rows, x),
        lambda: PooledClassifier([GaussianNB()]).fit(rows, x),
        lambda: DeferringClassifier(GaussianNB(), GaussianNB()).fit(rows, x),
        lambda: soft_cross_val_predict(GaussianNB(), rows, x),
    ):
        with pytest.raises(ValueError, match=r"y.*(column 99|entries beyond)"):
            function()
    for function in (
        lambda: TopK.from_dicts([{0: 0.0}], classes=x),
        lambda: kl_loss([0, 1], rows[:2], labels=x),
    ):
        with pytest.raises(ValueError, match="must be a list of labels"):
            function()


RAGGED, MIXED = [[0.5, 0.5], [1.0]], np.array([2.0, (0, 1.0)], dtype=object)


def _wanted(classes):
    rows = np.tile(P, (20, 1))
    return ReliabilityDisplay.from_predictions(rows, rows, classes_of_interest=classes)


def _temperatures(**options):
    model = DistilledClassifier(GaussianNB())
    return TemperatureDisplay.from_estimator(model, P, [0, 1], temperatures=[1], **options)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: TopK.from_dicts(np.array("a")), "rows must be a list of dicts"),
        (lambda: TopK.from_dicts(memoryview(b"a")), r"rows\[0\] must be a dict"),
        (lambda: TopK([[0]], [[1.0]], csr_array(P), classes=[0, 1]), "n_classes must be"),
        (lambda: SoftLabelLogisticRegressionCV(Cs=2**63).fit(P, P), "Cs must be an integer"),
        (lambda: kl_loss([0, 1], COMPLEX), "y_proba"),
        (lambda: kl_loss([0, 1], P, base=np.timedelta64(2, "s")), "base must be"),
        (lambda: DistilledClassifier(MODEL).fit(P, {"a": [1, 2]}), "y must hold an entry"),
        (lambda: fidelity_report(MODEL, MODEL, np.float64(1.0)), "X must be an array"),
        (lambda: fidelity_report(np.float16(2), np.float16(2), P), "must have shape"),
        (lambda: soft_cross_val_predict(GaussianNB(), P, P, cv=bytearray(2)), "cv must be"),
        (lambda: divergence_loss([0, 1], P, divergence_params=DOK), "divergence_params"),
        (lambda: LOGISTIC.fit(P, np.zeros(2, "i4, f8")), "y is a structured array of fields"),
        (lambda: soft_cross_val_predict({}, P, P), "estimator must be an estimator with fit"),
        (lambda: soft_cross_val_predict(GaussianNB, P, P), "estimator must be an estimator"),
        (lambda: soft_cross_val_predict(GaussianNB(), P, P, cv=csr_array(P)), "cv must be"),
        (lambda: Batches(FRAME, target=np.array("a")), "target must be a list of columns"),
        (lambda: Batches(FRAME, target=np.zeros(2, "i4,f8")), "target must name columns"),
        (lambda: Batches(FRAME, target="a", sample_weight=[1]), "sample_weight must name col"),
        (lambda: Batches(FRAME, target=BEYOND["csc"]), "target must be a list of columns"),
        (lambda: list(Batches(len, target="a")), "source is the function .*needs arguments"),
        (lambda: list(Batches(object, target="a")), r"source\(\) must return an iterator"),
        (lambda: list(Batches(NAMELESS, target="a")), "names several columns alike"),
        (lambda: predict_columns(GaussianNB, P), "GaussianNB is a class; pass a fitted"),
        (lambda: Batches(FRAME, target="a", sample_weight=VIEW), "sample_weight must name"),
        (lambda: targets.vote_shares([1, 2], [3, 4], pseudo_count=DOK), "pseudo_count must"),
        (lambda: SoftLabelLogisticRegressionCV(l1_ratios=LINE).fit(P, P), "l1_ratios must be"),
        (lambda: munge(P, n_samples=2**63), "n_samples must be"),
        (lambda: TopK(np.ma.array(np.zeros((1, 2), "i4,f8"), mask=1), P, 2), "indices cannot"),
        (lambda: TemperatureScaling().fit([[0.5, 0.5], [1.0]], [0, 1]), "X must be an array"),
        (lambda: LOGISTIC.predict_log_proba(Refuses()), "X cannot be read as an array: never"),
        (lambda: divergences.jensen_shannon_of_several(np.ones((0, 2))), "P holds no distrib"),
        (lambda: SoftLabelLogisticRegressionCV(Cs=RAGGED).fit(P, P), "Cs must be an array"),
        (lambda: DistilledClassifier(MODEL).fit(P, RAGGED), "y must be an array: its rows"),
        (lambda: DistilledClassifier(MODEL, unlabeled=RAGGED).fit(P, P), "unlabeled must be"),
        (lambda: _wanted(RAGGED), "classes_of_interest must be an array: its rows"),
        (lambda: _temperatures(n_jobs=2**63), "n_jobs must be None or an integer"),
        (lambda: kl_loss([0, 1], P, labels=MIXED), "labels have no order"),
        (lambda: LOGISTIC.partial_fit(P, [0, 1], classes=MIXED), "classes have no order"),
        (lambda: fidelity_report(MODEL, MODEL, frozenset("a")), "X must be an array of sampl"),
    ],
)
def test_what_is_no_argument_at_all(function, message):
    with pytest.raises((TypeError, ValueError), match=message):
        function()


class Strange:
    cache = None


class Keeps(GaussianNB):  # of which no fit must come so far
    def cache(self, function):
        return None

    def fit(self, X, y):
        raise AssertionError("a teacher was fitted")


@pytest.mark.parametrize(
    "memory", [__file__, f"{__file__}/a", "\ud800", "a\0b", Strange(), Keeps(), 3]
)
def test_memory_that_cannot_keep_anything(memory):
    with pytest.raises(ValueError, match="cannot keep results"):
        DistilledClassifier(Keeps(), memory=memory).fit(P, [0, 1])


def test_small_integers_are_integers():
    """Products with NumPy's integers of 8 bits would overflow."""
    X, rows = np.arange(600.0).reshape(300, 2), np.full((300, 2), 0.5)
    y, few = np.arange(300) % 2, np.int8(100)
    assert calibration_error(y, rows, n_bins=few) == calibration_error(y, rows, n_bins=100)
    assert munge(X, few, random_state=0).shape == (100, 2)
    batches = Batches(pd.DataFrame(X).assign(y=y), target="y", batch_size=few)
    assert [len(batch[0]) for batch in batches] == [100, 100, 100]


@pytest.mark.parametrize("half", [np.longdouble("0.5"), Fraction(1, 2)])
def test_a_level_is_any_real_number(half):
    rows, labels = np.tile(P, (20, 1)), [0, 0, 1, 1] * 10
    model = SoftLabelLogisticRegression().fit(rows[:, 1:], labels)

    def results(level):
        own = {"confidence_level": level}
        return [
            calibration_error(labels, rows, **own),
            divergences.entropy_interval_from_counts([20, 30], **own),
            fidelity_report(rows, rows[::-1], y=labels, **own),
            model.coef_inference(rows[:, 1:], labels, **own).to_numpy().tolist(),
            least_rows(level, level),
        ]

    assert results(half) == results(0.5)


def test_scores_of_large_labels_warn_of_nothing():
    model = TemperatureScaling(classes=[0.5, -1e308]).fit(P, P)
    with warnings.catch_warnings(action="error"), pytest.raises(ValueError, match="mix of"):
        model.score(P, [0, 1])


def test_what_is_no_file():
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="source holds no parquet file"):
        Batches("\ud800", target="a")
    with pytest.raises(ValueError, match="source holds no parquet file"):
        Batches(__file__, target="a")
    with pytest.raises(ValueError, match="path must be a path"):
        predict_to_parquet(MODEL, FRAME, None)
    with pytest.raises(ValueError, match="path names no file"):
        predict_to_parquet(MODEL, FRAME, "\ud800")
    with pytest.raises(ValueError, match="method must be one of"):
        predict_to_parquet(MODEL, FRAME, "a", method=[1])


@pytest.mark.parametrize(
    ("bad", "named"),
    [({"X": np.eye(3)[:2]}, "X has 3 columns"), ({"sample_weight": [1, -1]}, "sample_weight")],
)
def test_a_failed_fit_leaves_the_model_as_it_was(bad, named):
    model = DirichletScaling()
    for _ in range(2):  # before a fit, and after one
        before = dict(vars(model))
        with pytest.raises(ValueError, match=named):
            model.fit(**{"X": P, "y": ["b", "c"], **bad})
        assert vars(model) == before
        model.fit(P, ["a", "b"])


@pytest.mark.parametrize(
    "model",
    [
        *(TemperatureScaling(), SoftLabelLogisticRegression(divergence=np.eye(2))),
        *(SoftCalibratedClassifierCV("a"), PooledClassifier([], pooling=np.eye(2))),
        *(DistilledClassifier(np.eye(2)), DistilledClassifier(GaussianNB(), unlabeled=[1, 2])),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_not_fitted_says_so_whatever_its_parameters(model):
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            with pytest.raises(NotFittedError):
                getattr(model, method)(P)
    with pytest.raises(NotFittedError):
        model.score(P, [0, 1])


def test_entries_that_no_row_of_a_sparse_matrix_holds():
    x = csr_array(P)
    x.indices, x.data = np.append(x.indices, 9), np.append(x.data, 0.5)
    assert np.array_equal(TopK.from_csr(x).to_dense(), P)
    x = csr_array(P)
    x.indptr = np.array([1, 2, 4])
    with pytest.raises(ValueError, match=r"proba\.indptr must begin with 0"):
        TopK.from_csr(x)


@pytest.mark.parametrize(
    ("bad", "named"), [({"y": 10**30}, "y must hold"), ({"ax": Refuses()}, "ax must be 2")]
)
def test_what_no_display_can_draw(bad, named):
    pytest.importorskip("matplotlib")
    arguments = {"estimator": LOGISTIC, "X": [[0.0, 1.0]], "y": [1]} | bad
    with pytest.raises((TypeError, ValueError), match=named):
        TemperatureDisplay.from_estimator(**arguments)


def test_parameters_are_checked_before_they_are_compared():
    x = coo_array(np.eye(1))
    x.coords[0][0] = -1  # SciPy would write in front of an array
    for bad in ({"temperature": x}, {"l1_ratio": x}):
        assert not hasattr(SoftLabelLogisticRegression(**bad), "partial_fit")


def test_large_numbers_warn_of_nothing():
    with warnings.catch_warnings(action="error"):
        with pytest.raises(ValueError, match="y_true"):
            kl_loss([1e308, 1e308, 0.5], np.full((3, 2), 0.5))
        with pytest.raises(ValueError, match=r"y_proba\[0\]"):
            jeffreys_loss([0, 1], [[np.inf, 0.0], [0.5, 0.5]])
