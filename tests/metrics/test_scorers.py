"""Tests of the scorers: values, columns, metadata routing, model selection."""

import copy
import pickle
import re
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import check_scoring
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import (
    d2_kl_score,
    get_scorer,
    get_scorer_names,
    kl_loss,
    make_divergence_scorer,
    make_fidelity_scorer,
)
from sklkl.metrics._losses import ALIGNED, LOSSES
from tests._support.cases import cases_of

EPS = np.finfo(np.float64).eps
CLASSES = {"binary": ["no", "yes"], "multiclass": ["a", "m", "z"]}
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "dummy": DummyClassifier(strategy="prior"),
    "forest": RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0),
    "soft_logistic": SoftLabelLogisticRegression(),
}

# Scorer name -> the arguments that it needs.
VALUES = {"order": (2,), "alpha": (0.5,)}
SCORERS = {name: {} for name in get_scorer_names()}
for _loss, _job in ALIGNED.items():
    if f"neg_{_loss}" not in SCORERS:
        (_case,) = cases_of(_job.keywords["divergence"], VALUES)
        SCORERS[f"neg_{_loss}"] = _case.parameters
HAVE_UNIT = [loss for loss, job in ALIGNED.items() if job.keywords["divergence"].has_unit]

each_scorer = pytest.mark.parametrize("name", SCORERS)
each_loss_with_unit = pytest.mark.parametrize("loss", HAVE_UNIT)
each_problem = pytest.mark.parametrize("problem", CLASSES)


def metric_of(name):
    metric = d2_kl_score if name == "d2_kl" else LOSSES[name.removeprefix("neg_")]
    return partial(metric, **SCORERS[name])


def scorer_of(name, **options):
    arguments = {**SCORERS[name], **options}
    return make_divergence_scorer(name, **arguments) if arguments else get_scorer(name)


def sign_of(name):
    return 1 if name == "d2_kl" else -1


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(part) for part in parts)


def routing(enabled=True):
    return sklearn.config_context(enable_metadata_routing=enabled)


@cache
def data(problem, n_samples=60):
    """Features, labels, soft targets with columns in sorted order, weights."""
    rng = np.random.default_rng(0)
    classes = np.array(CLASSES[problem])
    X = rng.normal(size=(n_samples, 3))
    noise = rng.normal(size=(n_samples, len(classes)))
    soft = np.exp(X @ rng.normal(size=(3, len(classes))) + noise)
    soft /= soft.sum(axis=1, keepdims=True)
    weight = rng.uniform(0.1, 3.0, n_samples)
    weight[::7] = 0.0
    return X, classes[soft.argmax(axis=1)], soft, weight


@cache
def fitted(estimator, problem):
    X, hard, _, _ = data(problem)
    return clone(ESTIMATORS[estimator]).fit(X, hard)


def targets(problem, kind):
    """``y`` as a user passes it; the columns of data frames are in reverse order."""
    _, hard, soft, _ = data(problem)
    if kind == "hard":
        return hard
    if kind == "soft":
        return soft
    return pd.DataFrame(soft, columns=CLASSES[problem]).iloc[:, ::-1]


def take(y, rows):
    return y.iloc[rows] if hasattr(y, "iloc") else y[rows]


def all_scorers():
    return {name: scorer_of(name) for name in SCORERS}


def by_hand(name, estimator, X, y, **kwargs):
    """Signed metric of both columns of ``predict_proba``, matched by name."""
    proba = pd.DataFrame(estimator.predict_proba(X), columns=estimator.classes_)
    if np.ndim(y) == 2 and not hasattr(y, "columns"):
        y = pd.DataFrame(y, columns=estimator.classes_)
    return sign_of(name) * metric_of(name)(y, proba, **kwargs)


# Names


def test_names():
    names = get_scorer_names()
    assert names == sorted(name for name, arguments in SCORERS.items() if not arguments)
    assert set(SCORERS) == {"d2_kl", *(f"neg_{loss}" for loss in LOSSES)}
    assert "neg_kl_loss" in names


@pytest.mark.parametrize("name", [name for name, needed in SCORERS.items() if needed])
def test_arguments_that_a_scorer_needs(name):
    needed = sorted(SCORERS[name])
    with pytest.raises(ValueError, match=matches(name, "needs", repr(needed), "make_")):
        get_scorer(name)
    with pytest.raises(ValueError, match=matches("needs", repr(needed))):
        make_divergence_scorer(name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("renyi_loss", {"order": -1}),
        ("renyi_loss", {"order": "2"}),
        ("alpha_loss", {"alpha": np.nan}),
        ("jensen_shannon_loss", {"weight": 1.5}),
    ],
)
def test_bad_parameters_are_refused(name, arguments):
    """At the latest when the scorer is called."""
    X, y, _, _ = data("binary")
    (parameter,) = arguments
    with pytest.raises(ValueError, match=f"^{parameter} must be"):
        make_divergence_scorer(name, **arguments)(fitted("logistic", "binary"), X, y)


def test_a_parameter_changes_the_score():
    X, hard, soft, _ = data("multiclass")
    model = fitted("logistic", "multiclass")

    def scores(y):
        kl = get_scorer("neg_kl_loss")(model, X, y)
        scorers = [make_divergence_scorer("renyi_loss", order=order) for order in (0.5, 1, 2)]
        return [scorer(model, X, y) - kl for scorer in scorers]

    less, same, more = scores(soft)
    assert more < -1e-3 < 1e-3 < less
    assert same == pytest.approx(0, abs=1e-15)
    # All orders agree where one outcome is certain.
    assert scores(hard) == pytest.approx([0, 0, 0], abs=1e-15)


@each_scorer
def test_repr_makes_the_scorer_again(name):
    arguments = "".join(f", {key}={value!r}" for key, value in SCORERS[name].items())
    assert repr(scorer_of(name)) == f"make_divergence_scorer({name!r}{arguments})"
    scorer = scorer_of(name, on_zero="raise")
    assert repr(scorer) == f"make_divergence_scorer({name!r}{arguments}, on_zero='raise')"
    again = eval(repr(scorer), {"make_divergence_scorer": make_divergence_scorer})
    assert repr(again) == repr(scorer)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_name_of_a_loss_and_of_its_scorer_do(loss):
    arguments = SCORERS[f"neg_{loss}"] | ({"base": 2} if loss in HAVE_UNIT else {})
    scorer = make_divergence_scorer(loss, **arguments)
    other = make_divergence_scorer(f"neg_{loss}", **arguments)
    assert repr(scorer) == repr(other)
    X, y, _, _ = data("multiclass")
    model = fitted("logistic", "multiclass")
    assert scorer(model, X, y) == other(model, X, y)


@pytest.mark.parametrize("name", ["accuracy", "neg_d2_kl", "neg_neg_kl_loss", "", "KL_loss"])
def test_unknown_names(name):
    for make in (get_scorer, make_divergence_scorer):
        with pytest.raises(ValueError, match=matches(repr(name), "'neg_kl_loss'")):
            make(name)


@pytest.mark.parametrize("make", [get_scorer, make_divergence_scorer])
def test_names_of_scikit_learn(make):
    with pytest.raises(ValueError, match=r"sklearn.metrics.get_scorer\('neg_log_loss'\)"):
        make("neg_log_loss")


def test_get_scorer_takes_names_of_scorers_only():
    with pytest.raises(ValueError, match=matches("'kl_loss'", "'neg_kl_loss'")):
        get_scorer("kl_loss")


@each_scorer
@pytest.mark.parametrize("argument", ["foo", "labels", "sample_weight", "y_true"])
def test_unknown_arguments(name, argument):
    function = metric_of(name).func.__name__
    with pytest.raises(ValueError, match=matches(function, argument, "on_zero")):
        make_divergence_scorer(name, **{argument: 1})


@each_scorer
def test_base_of_what_has_no_unit(name):
    if name.removeprefix("neg_") not in HAVE_UNIT:
        function = metric_of(name).func.__name__
        with pytest.raises(ValueError, match=matches(function, "base", "on_zero")):
            scorer_of(name, base=2)


# Values


@each_scorer
@each_problem
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_scorer_is_its_metric(name, problem, estimator, kind, weighted):
    X, _, _, weight = data(problem)
    y = targets(problem, kind)
    model = fitted(estimator, problem)
    kwargs = {"sample_weight": weight} if weighted else {}
    expected = by_hand(name, model, X, y, **kwargs)
    assert np.isfinite(expected)
    for enabled in (False, True):
        with routing(enabled):
            result = scorer_of(name)(model, X, y, **kwargs)
        assert isinstance(result, float)
        assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@each_scorer
@each_problem
@pytest.mark.parametrize("kind", ["soft", "frame"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_model_of_soft_targets(name, problem, kind, weighted):
    X, _, _, weight = data(problem)
    y = targets(problem, kind)
    kwargs = {"sample_weight": weight} if weighted else {}
    model = SoftLabelLogisticRegression().fit(X, y)
    result = scorer_of(name)(model, X, y, **kwargs)
    assert_allclose(result, by_hand(name, model, X, y, **kwargs), rtol=1e-12)


@each_scorer
def test_weights_matter(name):
    X, y, _, weight = data("multiclass")
    model = fitted("logistic", "multiclass")
    scorer = scorer_of(name)
    kept = weight > 0
    weighted = scorer(model, X, y, sample_weight=weight)
    assert abs(weighted - scorer(model, X, y)) > 1e-6
    dropped = scorer(model, X[kept], y[kept], sample_weight=weight[kept])
    assert_allclose(dropped, weighted, rtol=1e-12)


@each_loss_with_unit
@each_problem
def test_base(loss, problem):
    X, y, _, weight = data(problem)
    model = fitted("logistic", problem)
    nats = scorer_of(f"neg_{loss}")(model, X, y, sample_weight=weight)
    bits = scorer_of(f"neg_{loss}", base=2)(model, X, y, sample_weight=weight)
    # The distance is a root, also of its unit.
    unit = np.log(2) ** (0.5 if loss == "jensen_shannon_distance_loss" else 1)
    assert_allclose(bits, nats / unit, rtol=1e-13)


def test_on_zero():
    """A tree gives probabilities of exactly 0, and some are wrong on new data."""
    X, y, _, _ = data("multiclass")
    model = fitted("forest", "multiclass")
    X_new, y_new = X[::-1] + 0.5, y[::-1]
    scorer = get_scorer("neg_kl_loss")
    assert np.isfinite(scorer(model, X_new, y_new))
    assert make_divergence_scorer("kl_loss", on_zero="clip")(model, X_new, y_new) == scorer(
        model, X_new, y_new
    )
    for name in ("kl_loss", "d2_kl"):
        exact = make_divergence_scorer(name, on_zero="inf")
        assert exact(model, X_new, y_new) == -np.inf
        strict = make_divergence_scorer(name, on_zero="raise")
        with pytest.raises(ValueError, match=matches("y_proba[", "is 0 where y_true[")):
            strict(model, X_new, y_new)


# Columns


class FixedModel(ClassifierMixin, BaseEstimator):
    """Predicts the rows that it was given."""

    def __init__(self, classes, proba):
        self.classes = classes
        self.proba = proba

    def fit(self, X, y):
        self.classes_ = np.asarray(self.classes)
        return self

    def predict_proba(self, X):
        return np.array(self.proba)[: len(X)]


def fixed(classes, proba):
    proba = np.asarray(proba)
    return FixedModel(classes, proba).fit(None, None), np.zeros((len(proba), 1))


@each_scorer
@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
def test_columns_are_matched_through_unsorted_classes(name, kind):
    X, hard, soft, _ = data("multiclass")
    order = [2, 0, 1]
    classes = ["z", "a", "m"]
    targets = np.eye(3)[np.unique(hard, return_inverse=True)[1]]
    model = SoftLabelLogisticRegression(classes=classes).fit(X, targets[:, order])
    assert model.classes_.tolist() == classes
    y = {
        "hard": hard,
        "soft": soft[:, order],
        "frame": pd.DataFrame(soft, columns=["a", "m", "z"])[["m", "z", "a"]],
    }[kind]
    proba = model.predict_proba(X)[:, np.argsort(classes)]
    expected = sign_of(name) * metric_of(name)(hard if kind == "hard" else soft, proba)
    assert_allclose(scorer_of(name)(model, X, y), expected, rtol=1e-12)


@pytest.mark.parametrize("tiny", [1e-17, 1e-12])
def test_binary_columns_keep_their_digits(tiny):
    """1 - p has no digits of the small column: for 1e-17 it is 0."""
    model, X = fixed([0, 1], [[1.0 - tiny, tiny], [tiny, 1.0 - tiny]])
    exact = make_divergence_scorer("kl_loss", on_zero="inf")
    for y in ([1, 0], np.eye(2)[[1, 0]]):
        assert_allclose(exact(model, X, y), np.log(tiny), rtol=1e-14)
    y = np.array([[0.5, 0.5], [0.5, 0.5]])
    expected = np.log(2) + 0.5 * (np.log(tiny) + np.log1p(-tiny))
    assert_allclose(exact(model, X, y), expected, rtol=1e-14)
    clipped = get_scorer("neg_kl_loss")(model, X, [1, 0])
    assert_allclose(clipped, np.log(max(tiny, EPS)), rtol=1e-14)


def test_near_equal_binary_columns_keep_their_digits():
    model, X = fixed(["no", "yes"], [[1.0 - 1e-12, 1e-12]])
    y = pd.DataFrame([[1.0 - 1.001e-12, 1.001e-12]], columns=["no", "yes"])
    t = 1e-3  # D((1 + t) e, e) of rare events is e ((1 + t) log(1 + t) - t)
    expected = -1e-12 * ((1 + t) * np.log1p(t) - t)
    assert_allclose(get_scorer("neg_kl_loss")(model, X, y), expected, rtol=1e-3)


@each_scorer
def test_a_label_that_the_model_never_saw_has_probability_0(name):
    model, X = fixed(["a", "c"], [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    y = ["a", "b", "c"]
    proba = [[0.9, 0.0, 0.1], [0.3, 0.0, 0.7], [0.6, 0.0, 0.4]]
    result = scorer_of(name)(model, X, y)
    assert np.isfinite(result)
    assert_allclose(result, sign_of(name) * metric_of(name)(y, proba), rtol=1e-13)


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_unseen_labels_shorter_than_the_classes(container):
    """Neither side's fixed-width strings may cut the other's: "ab" is not "a"."""
    model, X = fixed(["a", "ab"], [[0.9, 0.1], [0.8, 0.2]])
    expected = -kl_loss(["a", "x"], [[0.9, 0.1, 0], [0.8, 0.2, 0]], labels=["a", "ab", "x"])
    y = container(["a", "x"])
    assert_allclose(get_scorer("neg_kl_loss")(model, X, y), expected, rtol=1e-13)


def test_unseen_labels_longer_than_the_classes():
    model, X = fixed(["a", "b"], [[0.9, 0.1], [0.8, 0.2]])
    expected = -kl_loss(["a", "ab"], [[0.9, 0, 0.1], [0.8, 0, 0.2]], labels=["a", "ab", "b"])
    assert_allclose(get_scorer("neg_kl_loss")(model, X, ["a", "ab"]), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32])
def test_unseen_labels_of_a_narrow_dtype(dtype):
    model, X = fixed([3, 300], [[0.9, 0.1], [0.8, 0.2]])
    expected = -kl_loss([3, 7], [[0.9, 0, 0.1], [0.8, 0, 0.2]], labels=[3, 7, 300])
    y = np.array([3, 7], dtype=dtype)
    assert_allclose(get_scorer("neg_kl_loss")(model, X, y), expected, rtol=1e-13)


@each_scorer
def test_labels_absent_from_y_keep_their_columns(name):
    model, X = fixed(["a", "b", "c"], [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    expected = sign_of(name) * metric_of(name)(["a", "c"], model.proba, labels=["a", "b", "c"])
    assert_allclose(scorer_of(name)(model, X, ["a", "c"]), expected, rtol=1e-13)
    single = scorer_of(name)(model, X[:1], ["a"])
    assert np.isfinite(single)


@each_scorer
def test_soft_targets_with_other_columns_than_the_classes(name):
    model, X = fixed(["a", "b"], [[0.9, 0.1], [0.3, 0.7]])
    y = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match=matches("y_true", "3 columns", "2", "['a', 'b']")):
        scorer_of(name)(model, X, y)
    frame = pd.DataFrame(y[:, :2] / 0.75, columns=["a", "d"])
    with pytest.raises(ValueError, match=matches("y_true", "['b']", "['d']")):
        scorer_of(name)(model, X, frame)


@each_scorer
@pytest.mark.parametrize(
    ("bad", "problem"),
    [([0.9, np.nan], "NaN"), ([1.5, -0.5], "negative"), ([0.9, 0.9], "sums to 1.8")],
)
def test_a_model_that_predicts_no_probabilities(name, bad, problem):
    model, X = fixed(["a", "b"], [[0.9, 0.1], bad])
    with pytest.raises(ValueError, match=matches("y_proba[1]", problem)):
        scorer_of(name)(model, X, ["a", "b"])


@each_scorer
def test_an_estimator_without_predict_proba_is_named(name):
    X, y, _, _ = data("binary")
    model = Perceptron().fit(X, y)
    with pytest.raises(TypeError, match=matches("Perceptron", "predict_proba", name)):
        scorer_of(name)(model, X, y)
    with pytest.raises(TypeError, match=matches("Perceptron", "predict_proba", name)):
        cross_val_score(model, X, y, scoring=scorer_of(name), error_score="raise")


def test_an_estimator_without_predict_proba_is_named_among_several_metrics():
    X, y, _, _ = data("binary")
    # With several scorers scikit-learn looks for the method first: an AttributeError.
    match = matches("Perceptron", "predict_proba")
    with pytest.raises((TypeError, AttributeError), match=match):
        cross_validate(Perceptron(), X, y, scoring=all_scorers(), error_score="raise")


def test_an_estimator_that_is_not_fitted():
    X, y, _, _ = data("binary")
    with pytest.raises(NotFittedError, match="LogisticRegression"):
        get_scorer("neg_kl_loss")(LogisticRegression(), X, y)


# Model selection


@each_scorer
@each_problem
@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
def test_cross_val_score(name, problem, kind):
    X, _, _, _ = data(problem)
    y = targets(problem, kind)
    model = SoftLabelLogisticRegression()
    cv = KFold(3)
    scores = cross_val_score(model, X, y, scoring=scorer_of(name), cv=cv, error_score="raise")
    expected = [
        by_hand(name, clone(model).fit(X[train], take(y, train)), X[test], take(y, test))
        for train, test in cv.split(X)
    ]
    assert_allclose(scores, expected, rtol=1e-10)


@each_problem
def test_cross_validate_mixes_with_the_scorers_of_scikit_learn(problem):
    X, y, _, _ = data(problem)
    scoring = {**all_scorers(), "neg_log_loss": "neg_log_loss", "accuracy": "accuracy"}
    model = GaussianNB()
    result = cross_validate(
        model, X, y, scoring=scoring, cv=3, return_train_score=True, error_score="raise"
    )
    for part in ("test", "train"):
        kl, log_loss = result[f"{part}_neg_kl_loss"], result[f"{part}_neg_log_loss"]
        assert_allclose(kl, log_loss, rtol=1e-12)
    for name, scorer in all_scorers().items():
        alone = cross_val_score(model, X, y, scoring=scorer, cv=3, error_score="raise")
        assert_allclose(result[f"test_{name}"], alone, rtol=1e-12)


@pytest.mark.parametrize("kind", ["soft", "frame"])
def test_cross_validate_with_several_metrics_of_soft_targets(kind):
    X, _, _, _ = data("multiclass")
    y = targets("multiclass", kind)
    model = SoftLabelLogisticRegression()
    result = cross_validate(model, X, y, scoring=all_scorers(), cv=3, error_score="raise")
    for name, scorer in all_scorers().items():
        alone = cross_val_score(model, X, y, scoring=scorer, cv=3, error_score="raise")
        assert_allclose(result[f"test_{name}"], alone, rtol=1e-12)


@each_scorer
@pytest.mark.parametrize("kind", ["hard", "soft", "frame"])
def test_grid_search(name, kind):
    X, _, _, _ = data("multiclass")
    y = targets("multiclass", kind)
    search = GridSearchCV(
        SoftLabelLogisticRegression(),
        {"C": [1e-4, 1.0]},
        scoring=scorer_of(name),
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"C": 1.0}
    assert_allclose(search.score(X, y), by_hand(name, search.best_estimator_, X, y))


def test_grid_search_with_several_metrics():
    X, y, _, _ = data("multiclass")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [1e-4, 1.0]},
        scoring={**all_scorers(), "accuracy": "accuracy"},
        refit="neg_kl_loss",
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"logisticregression__C": 1.0}
    for name in SCORERS:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()


def test_grid_search_in_processes():
    X, y, _, _ = data("binary")
    results = [
        GridSearchCV(
            LogisticRegression(),
            {"C": [0.01, 1.0]},
            scoring=make_divergence_scorer("kl_loss", base=2),
            cv=3,
            n_jobs=n_jobs,
            error_score="raise",
        )
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert_allclose(*results, rtol=1e-12)


@each_scorer
@each_problem
def test_pipelines_and_searches_are_estimators_too(name, problem):
    X, y, _, weight = data(problem)
    scorer = scorer_of(name)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    expected = by_hand(name, pipeline, X, y, sample_weight=weight)
    assert_allclose(scorer(pipeline, X, y, sample_weight=weight), expected, rtol=1e-12)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, cv=2).fit(X, y)
    assert_allclose(scorer(search, X, y), by_hand(name, search, X, y), rtol=1e-12)


def test_pandas_features_and_labels():
    X, y, _, weight = data("multiclass")
    index = range(len(y), 0, -1)
    frame = pd.DataFrame(X, columns=["f", "g", "h"], index=index)
    labels = pd.Series(y, index=index)
    model = LogisticRegression().fit(frame, labels)
    scorer = get_scorer("neg_kl_loss")
    result = scorer(model, frame, labels, sample_weight=pd.Series(weight, index=index))
    expected = by_hand("neg_kl_loss", model, frame, y, sample_weight=weight)
    assert_allclose(result, expected, rtol=1e-12)


# y has one "c" in its second half, and nowhere else; the last fold lacks "a" instead.
LABELS = np.array(list("abababababab" + "abababababcb" + "bbcbbc"))
SPLITS = [
    (np.arange(12), np.arange(12, 30)),  # no "c" to train on
    (np.arange(30), np.arange(12)),  # no "c" to test on
    (np.arange(24), np.arange(24, 30)),  # no "a" to test on
]


@each_scorer
@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_folds_that_lack_a_class(name, container):
    X = np.random.default_rng(0).normal(size=(len(LABELS), 2))
    model = DummyClassifier()
    scores = cross_val_score(
        model, X, container(LABELS), scoring=scorer_of(name), cv=SPLITS, error_score="raise"
    )
    labels = ["a", "b", "c"]
    expected = []
    for train, test in SPLITS:
        fold = clone(model).fit(X[train], LABELS[train])
        proba = pd.DataFrame(fold.predict_proba(X[test]), columns=fold.classes_)
        proba = proba.reindex(columns=labels, fill_value=0.0)
        value = metric_of(name)(LABELS[test], proba, labels=labels)
        expected.append(sign_of(name) * value)
    assert np.isfinite(scores).all()
    assert_allclose(scores, expected, rtol=1e-10)


@each_scorer
@pytest.mark.parametrize(
    "model", [LogisticRegression(), SoftLabelLogisticRegression(classes=["c", "a", "b"])]
)
def test_grid_search_over_folds_that_lack_a_class(name, model):
    X = np.random.default_rng(0).normal(size=(len(LABELS), 2))
    search = GridSearchCV(
        model, {"C": [0.1, 1.0]}, scoring=scorer_of(name), cv=SPLITS, error_score="raise"
    ).fit(X, LABELS)
    scores = [search.cv_results_[f"split{i}_test_score"] for i in range(len(SPLITS))]
    assert np.isfinite(scores).all()


# Copies


COPIES = {
    "pickled": lambda scorer: pickle.loads(pickle.dumps(scorer)),
    "cloned": lambda scorer: clone(scorer, safe=False),
    "deepcopied": copy.deepcopy,
    "copied": copy.copy,
}


@each_scorer
@pytest.mark.parametrize("how", COPIES)
def test_copies(name, how):
    X, y, _, weight = data("binary")
    model = fitted("logistic", "binary")
    scorer = scorer_of(name, on_zero="inf")
    duplicate = COPIES[how](scorer)
    assert repr(duplicate) == repr(scorer)
    for kwargs in ({}, {"sample_weight": weight}):
        assert duplicate(model, X, y, **kwargs) == scorer(model, X, y, **kwargs)


@pytest.mark.parametrize("how", COPIES)
def test_copies_keep_their_requests(how):
    with routing():
        scorer = get_scorer("neg_kl_loss").set_score_request(sample_weight=True)
        duplicate = COPIES[how](scorer)
        requests = duplicate.get_metadata_routing().score.requests
        assert requests["sample_weight"] is True


@each_scorer
def test_get_scorer_makes_a_new_one_each_time(name):
    """A request set on one must not show on the next."""
    with routing():
        scorer_of(name).set_score_request(sample_weight=True)
        requests = scorer_of(name).get_metadata_routing().score.requests
        assert requests.get("sample_weight") is None


@each_scorer
def test_check_scoring_returns_the_scorer(name):
    scorer = scorer_of(name)
    assert check_scoring(LogisticRegression(), scoring=scorer) is scorer


# Metadata routing


def expected_scores(name, model, problem, cv, fit_weight=False, score_weight=False):
    X, y, _, weight = data(problem)
    scores = []
    for train, test in cv.split(X, y):
        kwargs = {"sample_weight": weight[train]} if fit_weight else {}
        fold = clone(model).fit(X[train], y[train], **kwargs)
        kwargs = {"sample_weight": weight[test]} if score_weight else {}
        scores.append(by_hand(name, fold, X[test], y[test], **kwargs))
    return np.array(scores)


@each_scorer
@each_problem
@pytest.mark.parametrize(
    ("fit_weight", "score_weight"), [(True, False), (False, True), (True, True)]
)
def test_routing_through_cross_validate(name, problem, fit_weight, score_weight):
    X, y, _, weight = data(problem)
    cv = StratifiedKFold(3)
    with routing():
        model = GaussianNB().set_fit_request(sample_weight=fit_weight)
        scorer = scorer_of(name).set_score_request(sample_weight=score_weight)
        result = cross_validate(
            model,
            X,
            y,
            scoring=scorer,
            cv=cv,
            params={"sample_weight": weight},
            error_score="raise",
        )
    job = (name, GaussianNB(), problem, cv)
    expected = expected_scores(*job, fit_weight, score_weight)
    assert_allclose(result["test_score"], expected, rtol=1e-10)
    other = expected_scores(*job, fit_weight, not score_weight)
    assert (np.abs(expected - other) > 1e-6).all()


def test_routing_through_cross_validate_with_several_metrics():
    """Each scorer gets the weights or not, as it requests."""
    X, y, _, weight = data("multiclass")
    cv = StratifiedKFold(3)
    scoring, expected = {}, {}
    with routing():
        model = GaussianNB().set_fit_request(sample_weight=False)
        for name in SCORERS:
            for requested in (False, True):
                key = f"{name}_{requested}"
                scoring[key] = scorer_of(name).set_score_request(sample_weight=requested)
                expected[key] = expected_scores(
                    name, model, "multiclass", cv, score_weight=requested
                )
        accuracy = get_sklearn_scorer("accuracy").set_score_request(sample_weight=False)
        result = cross_validate(
            model,
            X,
            y,
            scoring={**scoring, "accuracy": accuracy},
            cv=cv,
            params={"sample_weight": weight},
            error_score="raise",
        )
    for key, scores in expected.items():
        assert_allclose(result[f"test_{key}"], scores, rtol=1e-10)


def test_routing_under_another_name():
    X, y, _, weight = data("multiclass")
    cv = StratifiedKFold(3)
    with routing():
        scorer = get_scorer("neg_kl_loss").set_score_request(sample_weight="importance")
        result = cross_validate(
            GaussianNB(),
            X,
            y,
            scoring=scorer,
            cv=cv,
            params={"importance": weight},
            error_score="raise",
        )
    expected = expected_scores(
        "neg_kl_loss", GaussianNB(), "multiclass", cv, score_weight=True
    )
    assert_allclose(result["test_score"], expected, rtol=1e-10)


@each_scorer
@pytest.mark.parametrize("several", [False, True])
def test_routing_through_grid_search(name, several):
    X, y, _, weight = data("multiclass")
    cv = StratifiedKFold(3)
    with routing():
        model = GaussianNB().set_fit_request(sample_weight=True)
        scorer = scorer_of(name).set_score_request(sample_weight=True)
        plain = scorer_of(name).set_score_request(sample_weight=False)
        search = GridSearchCV(
            model,
            {"var_smoothing": [1e-9]},
            scoring={"weighted": scorer, "plain": plain} if several else scorer,
            refit="weighted" if several else True,
            cv=cv,
            error_score="raise",
        ).fit(X, y, sample_weight=weight)
        final = search.score(X, y, sample_weight=weight)
    job = (name, GaussianNB(), "multiclass", cv)
    weighted, unweighted = (expected_scores(*job, True, flag).mean() for flag in (True, False))
    assert abs(weighted - unweighted) > 1e-6
    results = search.cv_results_
    key = "mean_test_weighted" if several else "mean_test_score"
    assert_allclose(results[key], weighted, rtol=1e-10)
    if several:
        assert_allclose(results["mean_test_plain"], unweighted, rtol=1e-10)
    expected = by_hand(name, search.best_estimator_, X, y, sample_weight=weight)
    assert_allclose(final, expected, rtol=1e-12)


def test_routing_of_soft_targets():
    X, _, soft, weight = data("multiclass")
    cv = KFold(3)
    with routing():
        model = SoftLabelLogisticRegression().set_fit_request(sample_weight=True)
        scorer = get_scorer("d2_kl").set_score_request(sample_weight=True)
        search = GridSearchCV(
            model, {"C": [1.0]}, scoring=scorer, cv=cv, error_score="raise"
        ).fit(X, soft, sample_weight=weight)
    scores = []
    for train, test in cv.split(X):
        fold = SoftLabelLogisticRegression()
        fold.fit(X[train], soft[train], sample_weight=weight[train])
        proba = fold.predict_proba(X[test])
        scores.append(d2_kl_score(soft[test], proba, sample_weight=weight[test]))
    assert_allclose(search.best_score_, np.mean(scores), rtol=1e-10)


@each_scorer
@pytest.mark.parametrize("several", [False, True])
def test_weights_that_nobody_requested(name, several):
    """Newer scikit-learn refuses them, older passes them by: as for its own scorers."""
    X, y, _, weight = data("binary")

    def outcome(scorer):
        model = GaussianNB().set_fit_request(sample_weight=True)
        scoring = {"one": scorer, "two": scorer} if several else scorer
        try:
            cross_validate(
                model,
                X,
                y,
                scoring=scoring,
                params={"sample_weight": weight},
                error_score="raise",
            )
        except UnsetMetadataPassedError:
            return "refused"
        return "passed by"

    with routing():
        assert outcome(scorer_of(name)) == outcome(get_sklearn_scorer("accuracy"))


@pytest.mark.parametrize("several", [False, True])
def test_weights_of_fit_without_routing(several):
    """They go at least to ``fit``; to scorers depends on the version of scikit-learn."""
    X, y, _, weight = data("binary")
    scorer = get_scorer("neg_kl_loss")
    search = GridSearchCV(
        GaussianNB(),
        {"var_smoothing": [1e-9]},
        scoring={"kl": scorer, "accuracy": "accuracy"} if several else scorer,
        refit="kl" if several else True,
        cv=3,
        error_score="raise",
    ).fit(X, y, sample_weight=weight)
    assert np.isfinite(search.best_score_)


@each_loss_with_unit
def test_arguments_of_the_metric_can_be_routed(loss):
    X, y, _, _ = data("binary")
    model = fitted("logistic", "binary")
    bits = scorer_of(f"neg_{loss}", base=2)(model, X, y)
    with routing():
        scorer = scorer_of(f"neg_{loss}").set_score_request(base=True)
        assert scorer(model, X, y, base=2) == bits
        overlapping = scorer_of(f"neg_{loss}", base=10)
        with pytest.warns(UserWarning, match="base"):
            assert overlapping(model, X, y, base=2) == bits


@each_scorer
def test_metadata_needs_routing(name):
    X, y, _, _ = data("binary")
    scorer = scorer_of(name)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        scorer(fitted("logistic", "binary"), X, y, on_zero="inf")
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        scorer.set_score_request(sample_weight=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"on_zero": "bogus"}, "on_zero must be one of"), ({"base": 0}, "base must be None")],
)
def test_bad_options_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        make_divergence_scorer("kl_loss", **options)


def test_labels_of_another_type_than_the_classes():
    model, X = fixed(["a", "b"], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(ValueError, match="are of different types"):
        get_scorer("neg_kl_loss")(model, X, [0, 1])


def test_names_of_rows_are_matched():
    X, y = np.arange(20.0)[:, np.newaxis], np.array([0, 1] * 10)
    model = LogisticRegression().fit(X, y)
    rows = [f"r{i}" for i in range(20)]
    X, y, weight = pd.DataFrame(X, rows), pd.Series(y, rows), pd.Series(1.0, rows)
    score, fidelity = get_scorer("neg_kl_loss"), make_fidelity_scorer(model)
    with pytest.raises(ValueError, match="rows of X and y_true have different labels"):
        score(model, X, y.iloc[::-1])
    for scorer in (score, fidelity):
        with pytest.raises(ValueError, match="rows of X and sample_weight have different"):
            scorer(model, X, y, sample_weight=weight.iloc[::-1])
    # A teacher speaks for X, whatever y is.
    assert fidelity(model, X, y.iloc[::-1], sample_weight=weight) == 0.0
