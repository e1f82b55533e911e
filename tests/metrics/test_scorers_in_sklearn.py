"""The scorers within the tools of scikit-learn that take ``scoring=``."""

from functools import partial

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import (
    get_scorer,
    make_divergence_scorer,
    make_fidelity_scorer,
)
from sklkl.model_selection import StratifiedSoftKFold
from tests.metrics.test_scorers import (
    EPS,
    LABELS,
    SCORERS,
    SPLITS,
    all_scorers,
    by_hand,
    data,
    each_problem,
    each_scorer,
    expected_scores,
    fixed,
    matches,
    metric_of,
    routing,
    scorer_of,
    sign_of,
    take,
    targets,
)

try:
    from sklearn.callback import ScoringMonitor
except ImportError:
    ScoringMonitor = None

needs_callbacks = pytest.mark.skipif(
    ScoringMonitor is None, reason="scikit-learn has callbacks from version 1.9 on"
)
each_kind = pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
a_few = pytest.mark.parametrize("name", ["neg_jensen_shannon_loss", "d2_kl"])

MODEL = SoftLabelLogisticRegression()
GRID = {"C": [1e-3, 1.0]}


def in_hand(name):
    """Scoring as a plain function, which scikit-learn takes too."""

    def score(model, X, y, **kwargs):
        labels = {"labels": model.classes_} if np.ndim(y) == 1 else {}
        return by_hand(name, model, X, y, **labels, **kwargs)

    return score


def folds_of(kind):
    return StratifiedKFold(3) if kind == "hard" else StratifiedSoftKFold(3)


def problem_of(kind):
    X, _, _, _ = data("multiclass")
    return X, targets("multiclass", kind), folds_of(kind)


# Every tool, with targets of every kind


@each_problem
@each_kind
def test_cross_validate(problem, kind):
    X, _, _, _ = data(problem)
    y = targets(problem, kind)
    cv = folds_of(kind)
    result = cross_validate(
        MODEL,
        X,
        y,
        scoring=all_scorers(),
        cv=cv,
        return_train_score=True,
        return_estimator=True,
        error_score="raise",
    )
    for i, (train, test) in enumerate(cv.split(X, y)):
        model = result["estimator"][i]
        for name in SCORERS:
            for part, rows in (("train", train), ("test", test)):
                expected = by_hand(name, model, X[rows], take(y, rows))
                assert_allclose(result[f"{part}_{name}"][i], expected, rtol=1e-12)


@each_kind
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    "search",
    [
        lambda **options: GridSearchCV(MODEL, GRID, **options),
        lambda **options: RandomizedSearchCV(MODEL, GRID, n_iter=2, random_state=0, **options),
    ],
    ids=["grid", "randomized"],
)
def test_searches(kind, several, search):
    X, y, cv = problem_of(kind)
    names = SCORERS if several else ["neg_kl_loss"]
    search = search(
        scoring=all_scorers() if several else scorer_of("neg_kl_loss"),
        refit="neg_kl_loss" if several else True,
        cv=cv,
        return_train_score=True,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"C": 1.0}
    assert_allclose(
        search.score(X, y), by_hand("neg_kl_loss", search.best_estimator_, X, y), rtol=1e-12
    )
    results = search.cv_results_
    for i, (train, test) in enumerate(cv.split(X, y)):
        for j, params in enumerate(results["params"]):
            model = clone(MODEL).set_params(**params).fit(X[train], take(y, train))
            for name in names:
                key = name if several else "score"
                for part, rows in (("train", train), ("test", test)):
                    score = results[f"split{i}_{part}_{key}"][j]
                    expected = by_hand(name, model, X[rows], take(y, rows))
                    assert_allclose(score, expected, rtol=1e-9)


@a_few
@each_kind
def test_halving_search(name, kind):
    X, y, cv = problem_of(kind)

    def search(scoring):
        return HalvingGridSearchCV(
            MODEL,
            {"C": [1e-3, 1.0]},
            scoring=scoring,
            cv=cv,
            factor=2,
            min_resources=30,
            random_state=0,
            error_score="raise",
        ).fit(X, y)

    ours, theirs = search(scorer_of(name)), search(in_hand(name))
    assert ours.n_resources_ == [30, 60]
    assert ours.best_params_ == theirs.best_params_
    for part in ("train", "test"):
        key = f"mean_{part}_score"
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], rtol=1e-9)


@a_few
@each_kind
def test_curves(name, kind):
    X, y, cv = problem_of(kind)
    options = {"cv": cv, "error_score": "raise"}
    for curve in (
        partial(learning_curve, train_sizes=[0.5, 1.0]),
        partial(validation_curve, param_name="C", param_range=[1e-3, 1.0]),
    ):
        ours = curve(MODEL, X, y, scoring=scorer_of(name), **options)
        theirs = curve(MODEL, X, y, scoring=in_hand(name), **options)
        for our, their in zip(ours, theirs, strict=True):
            assert_allclose(our, their, rtol=1e-9)


@each_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_permutation_importance(kind, weighted):
    X, y, _ = problem_of(kind)
    X = np.column_stack([X, np.ones(len(X))])
    _, _, _, weight = data("multiclass")
    options = {"n_repeats": 1, "random_state": 0}
    if weighted:
        options["sample_weight"] = weight
    model = clone(MODEL).fit(X, y)
    result = permutation_importance(model, X, y, scoring=all_scorers(), **options)
    assert list(result) == list(SCORERS)
    for name in SCORERS:
        alone = permutation_importance(model, X, y, scoring=scorer_of(name), **options)
        theirs = permutation_importance(model, X, y, scoring=in_hand(name), **options)
        for ours in (alone, result[name]):
            assert_allclose(ours.importances, theirs.importances, rtol=1e-9, atol=1e-12)
        assert alone.importances_mean[:3].max() > 0.01
        assert_allclose(alone.importances_mean[3], 0, atol=1e-15)


@a_few
@each_kind
def test_sequential_feature_selector(name, kind):
    X, y, cv = problem_of(kind)
    noise = np.random.default_rng(1).normal(size=(len(X), 1))
    X = np.column_stack([noise, X])

    def support(scoring):
        select = SequentialFeatureSelector(
            MODEL, n_features_to_select=2, scoring=scoring, cv=cv
        )
        return select.fit(X, y).get_support().tolist()

    chosen = support(scorer_of(name))
    assert chosen == support(in_hand(name))
    assert not chosen[0]


@pytest.mark.parametrize("name", ["neg_kl_loss", "neg_reverse_kl_loss", "d2_kl"])
@each_kind
def test_logistic_regression_cv(name, kind):
    X, y, cv = problem_of(kind)
    options = {"Cs": [1e-3, 1.0], "cv": cv}
    models = [
        SoftLabelLogisticRegressionCV(scoring=scoring, **options).fit(X, y)
        for scoring in (name, get_scorer(name), in_hand(name))
    ]
    for model in models:
        assert model.C_ == 1.0
        assert_allclose(model.scores_, models[-1].scores_, rtol=1e-10)
        assert_allclose(model.score(X, y), by_hand(name, model, X, y), rtol=1e-12)


def test_logistic_regression_cv_with_other_scorers():
    X, hard, _, _ = data("multiclass")
    teacher = GaussianNB().fit(X, hard)
    for scorer in (
        make_fidelity_scorer(teacher),
        make_divergence_scorer("renyi_loss", order=2, base=2),
    ):
        model = SoftLabelLogisticRegressionCV(Cs=[1e-3, 1.0], cv=3, scoring=scorer)
        assert model.fit(X, hard).C_ == 1.0
        assert model.score(X, hard) == scorer(model, X, hard)


# Thresholds


def test_a_tuned_threshold_is_scored_as_its_estimator():
    """The threshold does not change the probabilities."""
    X, y, _, weight = data("binary")
    plain = GaussianNB().fit(X, y)
    for model in (
        TunedThresholdClassifierCV(GaussianNB(), scoring="balanced_accuracy").fit(X, y),
        FixedThresholdClassifier(GaussianNB(), threshold=0.2).fit(X, y),
    ):
        for name in SCORERS:
            score = scorer_of(name)(model, X, y, sample_weight=weight)
            expected = by_hand(name, plain, X, y, sample_weight=weight)
            assert_allclose(score, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        TunedThresholdClassifierCV(GaussianNB(), cv=2, thresholds=5),
        FixedThresholdClassifier(GaussianNB(), threshold=0.2),
    ],
    ids=["tuned", "fixed"],
)
def test_thresholds_in_a_search(model):
    X, y, _, _ = data("binary")
    search = GridSearchCV(
        model,
        {"estimator__var_smoothing": [1e-9]},
        scoring={**all_scorers(), "accuracy": "balanced_accuracy"},
        refit="d2_kl",
        cv=3,
        error_score="raise",
    ).fit(X, y)
    for name in SCORERS:
        plain = cross_val_score(GaussianNB(), X, y, scoring=scorer_of(name), cv=3)
        assert_allclose(search.cv_results_[f"mean_test_{name}"], plain.mean(), rtol=1e-10)


@each_scorer
def test_thresholds_cannot_be_tuned_by_probabilities(name):
    X, y, _, _ = data("binary")
    metric = metric_of(name).func.__name__
    for scorer in (
        scorer_of(name),
        make_fidelity_scorer(GaussianNB().fit(X, y), name, **SCORERS[name]),
    ):
        tuned = TunedThresholdClassifierCV(GaussianNB(), scoring=scorer)
        with pytest.raises(TypeError, match=matches(metric, "threshold", "balanced_acc")):
            tuned.fit(X, y)


# Callbacks


@needs_callbacks
@each_kind
def test_scoring_monitor(kind):
    X, y, _ = problem_of(kind)
    monitor = ScoringMonitor(scoring=all_scorers())
    model = clone(MODEL).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    iterations = [row for row in rows if row["task_name"] == "iteration"]
    (last,) = (row for row in rows if row["task_name"] == "fit")
    assert len(iterations) == model.n_iter_
    for name in SCORERS:
        assert np.isfinite([row[name] for row in iterations]).all()
        assert_allclose(last[name], by_hand(name, model, X, y), rtol=1e-10)


@needs_callbacks
def test_scoring_monitor_of_a_fidelity_scorer():
    X, y, _, _ = data("multiclass")
    teacher = GaussianNB().fit(X, y)
    scorer = make_fidelity_scorer(teacher)
    monitor = ScoringMonitor(scoring=scorer)
    model = clone(MODEL).set_callbacks(monitor).fit(X, y)
    data_of_fit = [row for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert_allclose(data_of_fit[0]["score"], scorer(model, X), rtol=1e-10)


# Weights


def with_weights(name):
    model = GaussianNB().set_fit_request(sample_weight=True)
    model.set_partial_fit_request(sample_weight=True)  # learning_curve asks
    return model, scorer_of(name).set_score_request(sample_weight=True)


@each_scorer
def test_routing_through_curves_and_searches(name):
    X, y, _, weight = data("multiclass")
    cv = StratifiedKFold(3)
    expected = expected_scores(name, GaussianNB(), "multiclass", cv, True, True)
    params = {"sample_weight": weight}
    with routing():
        model, scorer = with_weights(name)
        options = {"scoring": scorer, "cv": cv, "error_score": "raise"}
        _, _, at_sizes = learning_curve(
            model, X, y, train_sizes=[1.0], params=params, **options
        )
        grid = {"var_smoothing": [1e-9]}
        _, at_values = validation_curve(
            model,
            X,
            y,
            param_name="var_smoothing",
            param_range=[1e-9],
            params=params,
            **options,
        )
        randomized = RandomizedSearchCV(model, grid, n_iter=1, **options).fit(X, y, **params)
        halving = HalvingGridSearchCV(
            model, grid, min_resources="exhaust", random_state=0, **options
        ).fit(X, y, **params)
    assert_allclose(at_sizes[0], expected, rtol=1e-9)
    assert_allclose(at_values[0], expected, rtol=1e-9)
    assert halving.n_resources_ == [60]
    for search in (randomized, halving):
        scores = [search.cv_results_[f"split{i}_test_score"][0] for i in range(3)]
        assert_allclose(scores, expected, rtol=1e-9)


@each_scorer
def test_routing_through_a_feature_selector(name):
    """Which feature is the better one depends on the weights."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    weight = np.repeat([1.0, 0.0], [20, 40])
    X = y[:, None] + 0.1 * rng.normal(size=(60, 2))
    X[20:, 0] = rng.normal(size=40)
    X[:20, 1] = rng.normal(size=20)
    with routing():
        model, scorer = with_weights(name)
        model.set_fit_request(sample_weight=False)
        select = SequentialFeatureSelector(
            model,
            n_features_to_select=1,
            scoring=scorer,
            cv=StratifiedKFold(2, shuffle=True, random_state=0),
        )
        select.fit(X, y, sample_weight=weight)
    assert select.get_support().tolist() == [True, False]


# Classes that a model never saw


def rows_by_hand(model, X):
    """Probabilities for the labels "a", "b" and "c"."""
    proba = pd.DataFrame(model.predict_proba(X), columns=model.classes_)
    return proba.reindex(columns=["a", "b", "c"], fill_value=0.0)


def test_a_class_missing_from_a_training_fold_costs_the_clip_value():
    X = np.zeros((len(LABELS), 1))
    scoring = {
        name: scorer_of(name) for name in ("neg_kl_loss", "neg_cross_entropy_loss", "d2_kl")
    }
    result = cross_validate(
        DummyClassifier(), X, LABELS, scoring=scoring, cv=SPLITS[:1], error_score="raise"
    )
    train, test = SPLITS[0]
    assert "c" not in LABELS[train]
    p = np.mean(LABELS[train] == "a")
    costs = {"a": -np.log(p), "b": -np.log(1 - p), "c": np.log1p(EPS) - np.log(EPS)}
    loss = np.mean([costs[label] for label in LABELS[test]])
    for name in ("neg_kl_loss", "neg_cross_entropy_loss"):
        assert_allclose(result[f"test_{name}"], -loss, rtol=1e-12)
    _, counts = np.unique(LABELS[test], return_counts=True)
    share = counts / counts.sum()
    assert_allclose(result["test_d2_kl"], 1 + loss / (share @ np.log(share)), rtol=1e-12)


@each_scorer
def test_on_zero_of_a_class_missing_from_a_training_fold(name):
    X = np.zeros((len(LABELS), 1))
    train, test = SPLITS[0]
    y = LABELS[test]
    proba = rows_by_hand(DummyClassifier().fit(X[train], LABELS[train]), X[test])
    exact = sign_of(name) * metric_of(name)(y, proba, on_zero="inf")

    def score(on_zero):
        scorer = scorer_of(name, on_zero=on_zero)
        options = {"scoring": scorer, "cv": SPLITS[:1], "error_score": "raise"}
        return cross_val_score(DummyClassifier(), X, LABELS, **options)[0]

    assert_allclose(score("inf"), exact, rtol=1e-12)
    if name in ("neg_kl_loss", "neg_reverse_kl_loss", "neg_jeffreys_loss", "d2_kl"):
        assert exact == -np.inf
    clipped = score("clip")
    assert np.isfinite(clipped)
    assert_allclose(clipped, sign_of(name) * metric_of(name)(y, proba), rtol=1e-12)
    if np.isinf(exact):
        with pytest.raises(ValueError, match="on_zero='clip'"):
            score("raise")
    else:
        assert_allclose([clipped, score("raise")], exact, rtol=1e-12)


@each_scorer
def test_a_frame_with_a_class_that_the_model_never_saw(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = pd.DataFrame(rng.dirichlet([1, 1, 1], size=20), columns=["c", "a", "b"])
    model = GaussianNB().fit(X, np.array(["b", "a"])[np.arange(20) % 2])
    expected = sign_of(name) * metric_of(name)(y, rows_by_hand(model, X))
    assert np.isfinite(expected)
    assert_allclose(scorer_of(name)(model, X, y), expected, rtol=1e-12)
    importance = permutation_importance(
        model, X, y, scoring=scorer_of(name), n_repeats=1, random_state=0
    )
    assert np.isfinite(importance.importances).all()


def test_a_frame_with_a_class_that_the_model_never_saw_costs_the_clip_value():
    model, X = fixed(["b", "a"], [[0.75, 0.25]])
    y = pd.DataFrame([[0.5, 0.25, 0.25]], columns=["a", "b", "c"])
    q = np.array([0.25, 0.75, EPS]) / (1 + EPS)
    p = y.to_numpy()[0]
    scores = {name: scorer_of(name)(model, X, y) for name in SCORERS}
    assert_allclose(scores["neg_kl_loss"], (p * np.log(q / p)).sum(), rtol=1e-13)
    assert_allclose(scores["neg_cross_entropy_loss"], (p * np.log(q)).sum(), rtol=1e-13)
    assert make_divergence_scorer("kl_loss", on_zero="inf")(model, X, y) == -np.inf
    with pytest.raises(ValueError, match=matches("y_proba[0, 2] is 0 where y_true[0, 2]")):
        make_divergence_scorer("kl_loss", on_zero="raise")(model, X, y)


# How often predict_proba is called


class Counting(BernoulliNB):
    """Counts the calls of ``predict_proba``, of all copies."""

    calls = 0

    def predict_proba(self, X):
        Counting.calls += 1
        return super().predict_proba(X)


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr(Counting, "calls", 0)
    return lambda: Counting.calls


@pytest.mark.parametrize(
    "names", [list(SCORERS), ["d2_kl"], ["d2_kl", "neg_kl_loss"]], ids=len
)
def test_several_scorers_share_a_prediction(calls, names):
    X, y, _, _ = data("multiclass")
    scoring = {name: scorer_of(name) for name in names}
    cross_validate(Counting(), X, y, scoring=scoring, cv=3, return_train_score=True)
    assert calls() == 6
    scoring |= {"accuracy": "accuracy", "one": make_fidelity_scorer(GaussianNB().fit(X, y))}
    GridSearchCV(Counting(), {"alpha": [0.1, 1.0]}, scoring=scoring, refit=False, cv=3).fit(
        X, y
    )
    assert calls() == 6 + 2 * 3
    model = Counting().fit(X, y)
    permutation_importance(model, X, y, scoring=scoring, n_repeats=2)
    assert calls() == 12 + 1 + 3 * 2


@pytest.mark.parametrize("ours_first", [False, True])
def test_predictions_are_not_mixed_up_with_those_for_scikit_learn(calls, ours_first):
    """In binary problems it keeps one column, under the name of the method."""
    X, y, _, _ = data("binary")
    scoring = {"neg_log_loss": "neg_log_loss", "roc_auc": "roc_auc", **all_scorers()}
    if ours_first:
        scoring = dict(reversed(scoring.items()))
    result = cross_validate(Counting(), X, y, scoring=scoring, cv=3, error_score="raise")
    assert calls() <= 6 + 3
    for name, scorer in scoring.items():
        alone = cross_val_score(Counting(), X, y, scoring=scorer, cv=3, error_score="raise")
        assert_allclose(result[f"test_{name}"], alone, rtol=1e-12)


# Logarithms of what underflows


class Logarithms(ClassifierMixin, BaseEstimator):
    """Knows the logarithms of probabilities that its dtype need not hold."""

    def __init__(self, logs, dtype):
        self.logs = logs
        self.dtype = dtype
        self.classes_ = np.arange(np.shape(logs)[1])

    def fit(self, X, y):
        return self

    def predict_log_proba(self, X):
        return np.array(self.logs)

    def predict_proba(self, X):
        return np.exp(self.logs).astype(self.dtype)


def exact_scores(y, logs, base=mpmath.e):
    """Scores with ``on_zero="inf"`` of soft targets, in many digits."""
    with mpmath.workdps(60):
        totals = [mpmath.log(sum(map(mpmath.exp, row))) for row in logs.tolist()]
        log_q = [
            [mpmath.mpf(value) - total for value in row]
            for row, total in zip(logs.tolist(), totals, strict=True)
        ]
        kl = cross_entropy = reverse = prior = mpmath.mpf(0)
        n = len(y)
        rows = [[mpmath.mpf(v) / mpmath.fsum(row) for v in row] for row in y.tolist()]
        mean = [mpmath.fsum(column) / n for column in zip(*rows, strict=True)]
        for p, lq in zip(rows, log_q, strict=True):
            for j, (v, lv) in enumerate(zip(p, lq, strict=True)):
                if v > 0:
                    kl += v * (mpmath.log(v) - lv) / n
                    cross_entropy -= v * lv / n
                    reverse += mpmath.exp(lv) * (lv - mpmath.log(v)) / n
                    prior += v * mpmath.log(v / mean[j]) / n
        return {
            "neg_kl_loss": float(-kl),
            "neg_cross_entropy_loss": float(-cross_entropy),
            "neg_jeffreys_loss": float(-kl - reverse),
            "d2_kl": float(1 - kl / prior),
        }


def assert_exact(model, X, y, rtol=1e-13):
    logs = np.asarray(model.predict_log_proba(X))
    proba = model.predict_proba(X)
    assert (proba == 0).any()
    soft = y if y.ndim == 2 else np.eye(proba.shape[1])[y]
    expected = exact_scores(soft, logs)
    for name, value in expected.items():
        if name == "neg_jeffreys_loss" and (soft == 0).any():
            value = -np.inf
        assert_allclose(
            scorer_of(name, on_zero="inf")(model, X, y), value, rtol=rtol, err_msg=name
        )
    for name in ("neg_reverse_kl_loss", "neg_jensen_shannon_loss", "neg_hellinger_loss"):
        plain = by_hand(name, model, X, y, on_zero="inf")
        assert_allclose(scorer_of(name, on_zero="inf")(model, X, y), plain, rtol=1e-12)
    # Whoever clips does not look at logarithms.
    assert_allclose(
        scorer_of("neg_kl_loss")(model, X, y), by_hand("neg_kl_loss", model, X, y), rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize(
    "make",
    [
        lambda X, y: MultinomialNB().fit(X, y),
        lambda X, y: GaussianNB().fit(X, y),
        lambda X, y: SoftLabelLogisticRegression().fit(X / 100, y).fit(X / 100, y),
    ],
    ids=["MultinomialNB", "GaussianNB", "SoftLabelLogisticRegression"],
)
def test_exact_logarithms(make, kind):
    rng = np.random.default_rng(0)
    X = rng.poisson([50, 20, 5], size=(30, 3)).astype(float)
    hard = np.arange(30) % 3
    X[np.arange(30), hard] *= 20
    model = make(X, hard)
    soft = rng.dirichlet([1, 1, 1], size=30)
    y = soft if kind == "soft" else hard[::-1]
    assert_exact(model, X * 10, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("target_dtype", [np.float64, np.float32])
def test_exact_logarithms_of_any_dtype(dtype, target_dtype):
    rng = np.random.default_rng(0)
    logs = -(10.0 ** rng.uniform(0, 5, size=(40, 3)))
    logs[np.arange(40), rng.integers(3, size=40)] = 0.0
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    y = rng.dirichlet([1, 1, 1], size=40).astype(target_dtype)
    rtol = 2e-6 if np.float32 in (dtype, target_dtype) else 1e-13
    assert_exact(Logarithms(logs, dtype), np.zeros((40, 1)), y, rtol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("below", [0.5, 3, 10, 15.5, 30, 40])
def test_subnormal_probabilities_have_lost_digits(dtype, below):
    """With logarithms the losses have all theirs, however far below the normal numbers."""
    logs = np.array([[0.0, np.log(np.finfo(dtype).tiny) - below]])
    model = Logarithms(logs, dtype)
    y = np.array([[0.5, 0.5]])
    score = scorer_of("neg_kl_loss", on_zero="inf")(model, [[0]], y)
    rtol = 1e-13 if dtype is np.float64 else 1e-7
    assert_allclose(score, np.log(2) + logs[0, 1] / 2, rtol=rtol)


def test_logarithms_in_another_unit_and_with_weights():
    logs = np.array([[0.0, -2000.0], [-1.0, np.log1p(-np.exp(-1.0))], [-9999.0, 0.0]])
    model = Logarithms(logs, np.float64)
    y, weight = [1, 0, 0], [1.0, 2.0, 0.0]
    X = np.zeros((3, 1))
    score = make_divergence_scorer("kl_loss", on_zero="inf", base=2)
    assert_allclose(
        score(model, X, y, sample_weight=weight), -(2000 + 2) / 3 / np.log(2), rtol=1e-13
    )
    strict = make_divergence_scorer("kl_loss", on_zero="raise")
    assert_allclose(strict(model, X, y), -(2000 + 1 + 9999) / 3, rtol=1e-13)


def test_exact_logarithms_with_a_class_that_the_model_never_saw():
    model = Logarithms([[0.0, -2000.0], [-2000.0, 0.0]], np.float64)
    X = np.zeros((2, 1))
    scorer = make_divergence_scorer("kl_loss", on_zero="inf")
    assert_allclose(scorer(model, X, [1, 1]), -1000, rtol=1e-13)
    assert scorer(model, X, [1, 2]) == -np.inf
    frame = pd.DataFrame([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], columns=[1, 0, 2])
    assert scorer(model, X, frame) == -np.inf
    frame = pd.DataFrame([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], columns=[1, 0, 2])
    expected = -(1000 - np.log(2) + 2000) / 2
    assert_allclose(scorer(model, X, frame), expected, rtol=1e-13)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(3, random_state=0),
        DummyClassifier(strategy="most_frequent"),
        KNeighborsClassifier(1),
        LinearDiscriminantAnalysis(),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("name", ["neg_kl_loss", "neg_cross_entropy_loss", "d2_kl"])
def test_zeros_of_which_no_logarithm_is_known_stay_infinite(model, name):
    """LinearDiscriminantAnalysis puts the least normal number for them in its logarithms."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = y[:, None] + 1e-4 * rng.normal(size=(40, 2))
    model = clone(model).fit(X, y)
    assert (model.predict_proba(X) == 0).any()
    assert scorer_of(name, on_zero="inf")(model, X, 1 - y) == -np.inf
    with pytest.raises(ValueError, match="is 0 where"):
        scorer_of(name, on_zero="raise")(model, X, 1 - y)
    assert np.isfinite(scorer_of(name)(model, X, 1 - y))


# What estimators may return


@each_scorer
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, bool, object])
def test_probabilities_of_any_dtype(name, dtype):
    """Those that a metric takes."""
    model, X = fixed([0, 1], np.array([[1, 0], [0, 1], [1, 0]], dtype=dtype))
    y = [0, 0, 1]
    expected = sign_of(name) * metric_of(name)(y, model.proba)
    assert_allclose(scorer_of(name)(model, X, y), expected, rtol=1e-12)


@each_scorer
def test_samples_and_targets_of_different_lengths(name):
    """A single row is not repeated."""
    rows = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]])
    for n_rows, n_samples in ((1, 3), (3, 1), (2, 3), (3, 2)):
        model, X = fixed(["a", "b"], rows[:n_rows])
        frame = pd.DataFrame(rows[:n_samples], columns=["b", "a"])
        for y in (["a", "b", "a"][:n_samples], rows[:n_samples], frame):
            with pytest.raises(ValueError, match="inconsistent numbers of samples"):
                scorer_of(name)(model, X, y)


def test_score_of_samples_and_targets_of_different_lengths():
    X, y, _ = problem_of("soft")
    model = clone(MODEL).fit(X, y)
    for n_rows, n_samples in ((1, 3), (3, 1), (2, 3)):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.score(X[:n_rows], y[:n_samples])


@each_scorer
def test_more_columns_than_classes(name):
    model, X = fixed(["a", "b"], [[0.2, 0.3, 0.5]] * 2)
    with pytest.raises(ValueError, match=matches("y_proba", "(2, 3)", "2 classes_")):
        scorer_of(name)(model, X, ["a", "b"])
