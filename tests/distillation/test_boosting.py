"""Students of LightGBM and XGBoost, fitted to rows as they are and to a row per class."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklkl.distillation import DistilledClassifier
from tests._support.models import routing

lightgbm = pytest.importorskip("lightgbm")
# LightGBM counts no rows here, so that its trees are those of the rows per class; leaves are
# so large that no two splits of one are equally good but for rounding.
UNCOUNTED = {"min_child_samples": 0, "min_data_in_bin": 1}
LARGE = {"num_leaves": 6, "min_child_weight": 5.0}


def lgbm(**params):
    return lightgbm.LGBMClassifier(
        **{"n_estimators": 8, "verbose": -1, "n_jobs": 1, **UNCOUNTED, **LARGE, **params}
    )


def xgb(**params):
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBClassifier(
        **{"n_estimators": 8, "n_jobs": 1, "tree_method": "exact", **params}
    )


# The digits that are left: LightGBM keeps gradients in float32, XGBoost scores, too.
BOOSTERS = pytest.mark.parametrize(
    ("booster", "atol"),
    [pytest.param(lgbm, 1e-7, id="lgbm"), pytest.param(xgb, 2e-6, id="xgb")],
)


def data(n_classes=3, n_samples=300, missing=0.1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 4))
    logits = X @ rng.normal(size=(4, n_classes)) + np.arange(n_classes)
    proba = softmax(2.0 * logits, axis=1)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    return X, proba, rng.uniform(0.5, 2.0, size=n_samples)


def rows_per_class(model, X, proba, weight=None):
    """Fit a model to a row per class, as any classifier with weights."""
    n_samples, n_classes = proba.shape
    rows = np.repeat(np.arange(n_samples), n_classes)
    weight = np.ones(n_samples) if weight is None else weight
    labels = np.tile(np.arange(n_classes), n_samples)
    return model.fit(X[rows], labels, sample_weight=(proba * weight[:, None]).ravel())


@BOOSTERS
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_trees_are_those_of_a_row_per_class(booster, atol, n_classes, weighted):
    X, proba, weight = data(n_classes)
    weight = weight if weighted else None
    model = DistilledClassifier(None, booster()).fit(X, None, weight, proba)
    copies = rows_per_class(booster(), X, proba, weight)
    assert_allclose(model.predict_proba(X), copies.predict_proba(X), rtol=0, atol=atol)
    assert_array_equal(model.predict(X), copies.predict(X))
    used, same = model.student_.feature_importances_, copies.feature_importances_
    assert_allclose(used, same, rtol=1e-5)
    # It is a model of the library's own loss.
    assert model.student_.get_params() == copies.get_params()
    if booster is lgbm:
        assert model.student_.objective_ == copies.objective_
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert model.to_sklearn() is model.student_
    assert b"sklkl" not in pickle.dumps(model.student_)


@BOOSTERS
def test_temperature_and_labels(booster, atol):
    X, proba, weight = data(missing=0.0)
    y = proba.argmax(axis=1)
    tempered = proba**0.5 / (proba**0.5).sum(axis=1, keepdims=True)
    model = DistilledClassifier(None, booster(), temperature=2.0).fit(X, y, weight, proba)
    expected = rows_per_class(booster(), X, tempered, weight).predict_proba(X) ** 2
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(X), expected, rtol=0, atol=5 * atol)
    half = DistilledClassifier(None, booster(), hard_label_weight=0.5)
    half.fit(X, y, weight, proba)
    mixed = 0.5 * proba + 0.5 * np.eye(3)[y]
    copies = rows_per_class(booster(), X, mixed, weight)
    assert_allclose(half.predict_proba(X), copies.predict_proba(X), rtol=0, atol=atol)


@BOOSTERS
@pytest.mark.parametrize("zero", [[2], [1, 2]])
def test_classes_of_probability_0(booster, atol, zero):
    X, proba, _ = data()
    proba[:, zero] = 0.0
    proba /= proba.sum(axis=1, keepdims=True)
    model = DistilledClassifier(None, booster()).fit(X, teacher_proba=proba)
    assert_allclose(
        model.predict_proba(X),
        rows_per_class(booster(), X, proba).predict_proba(X),
        rtol=0,
        atol=atol,
    )


@BOOSTERS
def test_huge_logits_stay_finite(booster, atol):
    X, proba, _ = data(missing=0.0)
    sure = np.eye(3)[proba.argmax(axis=1)]
    student = booster(n_estimators=200, learning_rate=1.0, min_child_weight=1e-3)
    model = DistilledClassifier(None, student).fit(X, teacher_proba=sure)
    assert_allclose(model.predict_proba(X), sure, rtol=0, atol=0.02)


def test_samples_are_counted_once():
    X, proba, _ = data()
    fitted = [
        DistilledClassifier(None, lgbm(min_child_samples=m)).fit(X, teacher_proba=proba)
        for m in (20, 60)
    ]
    copies = rows_per_class(lgbm(min_child_samples=60), X, proba).predict_proba(X)
    near, far = (np.abs(model.predict_proba(X) - copies).mean() for model in fitted)
    assert near < 0.02 < far


def test_features_that_lightgbm_splits_by_nowhere():
    """It refuses losses that it is told then, and is fitted to a row per class."""
    X, proba, _ = data()
    student = lgbm(min_child_samples=1000)
    model = DistilledClassifier(None, student).fit(X, teacher_proba=proba)
    expected = np.broadcast_to(proba.mean(axis=0), proba.shape)
    assert_allclose(model.predict_proba(X), expected, rtol=1e-6)


def test_columns_and_classes_by_name():
    X, proba, _ = data()
    frame = pd.DataFrame(X, columns=list("abcd"))
    town = np.tile([0, 1], 150)
    frame["town"] = pd.Categorical(np.array(["Bergen", "Oslo"])[town])
    proba = np.where(town[:, np.newaxis] == 0, proba, proba[:, ::-1])
    given = pd.DataFrame(proba, columns=["z", "x", "y"])
    y = given.columns.to_numpy()[proba.argmax(axis=1)]
    model = DistilledClassifier(
        None, lgbm(n_estimators=60, num_leaves=31, min_child_weight=0.1)
    ).fit(frame, y, teacher_proba=given)
    assert model.classes_.tolist() == model.student_.classes_.tolist() == ["x", "y", "z"]
    assert np.abs(model.predict_proba(frame) - given[["x", "y", "z"]]).to_numpy().mean() < 0.03
    assert model.feature_names_in_.tolist() == [*"abcd", "town"]
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))


@BOOSTERS
@pytest.mark.parametrize("classes", [[1, 0], [2, 0, 1]])
def test_classes_in_another_order_than_the_libraries(booster, atol, classes):
    X, proba, weight = data(len(classes))
    given = pd.DataFrame(proba, columns=classes)
    model = DistilledClassifier(None, booster()).fit(X, None, weight, given)
    assert model.classes_.tolist() == classes
    copies = rows_per_class(booster(), X, proba[:, np.argsort(classes)], weight)
    expected = copies.predict_proba(X)
    assert_allclose(model.predict_proba(X), expected[:, classes], rtol=0, atol=atol)
    assert_array_equal(model.predict(X), copies.predict(X))
    # Its parameters are the student's: a clone learns another number of classes.
    if booster is lgbm:
        again = clone(model.student_).fit(X, np.arange(len(X)) % 5)
        assert again.predict_proba(X).shape == (len(X), 5)


@BOOSTERS
def test_pipelines_and_routing(booster, atol):
    X, proba, weight = data(missing=0.0)
    expected = DistilledClassifier(None, booster()).fit(X, None, weight, proba)
    same = FunctionTransformer()
    model = DistilledClassifier(None, make_pipeline(same, booster()))
    model.fit(X, None, weight, proba)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    with routing():
        student = make_pipeline(same, booster().set_fit_request(sample_weight=True))
        model = DistilledClassifier(None, student).fit(X, None, weight, proba)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    ("booster", "params"),
    [
        (lgbm, {"class_weight": {0: 1.0, 1: 2.0, 2: 3.0}}),
        (lgbm, {"objective": "multiclassova"}),
        (lgbm, {"linear_tree": True}),
        (lgbm, {"boost_from_average": False}),
        (lgbm, {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}),
        (xgb, {"objective": "multi:softmax"}),
        (xgb, {"multi_strategy": "multi_output_tree", "tree_method": "hist"}),
    ],
)
def test_other_losses_learn_from_a_row_per_class(booster, params):
    X, proba, _ = data(missing=0.0)
    X = X.round(1)
    model = DistilledClassifier(None, booster(**params)).fit(X, teacher_proba=proba)
    copies = rows_per_class(booster(**params), X, proba)
    # Of multiclassova the sums are not 1, and model.predict_proba refuses them.
    assert_array_equal(model.student_.predict_proba(X), copies.predict_proba(X))


@pytest.mark.filterwarnings("ignore:Cannot compute class probabilities")  # LightGBM's own
def test_raw_scores_of_a_loss_of_the_user_are_refused():
    X, proba, _ = data(missing=0.0)
    student = lgbm(objective=lambda y, scores: (scores - 1.0, np.ones_like(scores)))
    model = DistilledClassifier(None, student).fit(X, teacher_proba=proba)
    with pytest.raises(ValueError, match="The student's predict_proba"):
        model.predict_proba(X)
    with pytest.raises(ValueError, match="LGBMClassifier predicted other values than"):
        model.predict(X)


def test_fewer_samples_than_classes():
    X, proba, _ = data(n_samples=2)
    student = lgbm(min_data_in_leaf=1)
    model = DistilledClassifier(None, student).fit(X, teacher_proba=proba)
    assert model.predict_proba(X).shape == (2, 3)


@BOOSTERS
def test_a_given_start_and_a_scaler(booster, atol):
    X, proba, _ = data(missing=0.0)
    student = xgb(base_score=0.3) if booster is xgb else lgbm(objective="softmax")
    model = DistilledClassifier(None, make_pipeline(StandardScaler(), student))
    model.fit(X, teacher_proba=proba)
    Z = model.student_[:-1].transform(X)
    copies = rows_per_class(student, Z, proba)
    assert_allclose(model.predict_proba(X), copies.predict_proba(Z), rtol=0, atol=atol)
    assert model.student_[-1].get_params().get("base_score") == student.get_params().get(
        "base_score"
    )
