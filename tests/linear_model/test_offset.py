"""Offsets: known log-odds beside the linear scores, in fits, predictions and scores."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import logsumexp, softmax
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.batches import Batches
from sklkl.calibration import SoftCalibratedClassifierCV
from sklkl.distillation import DeferringClassifier, DistilledClassifier, PooledClassifier
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    _objective,
)
from sklkl.linear_model._loss import LossTerm
from sklkl.linear_model._rows import LocalRows
from sklkl.metrics import get_scorer, kl_loss
from sklkl.model_selection import StratifiedSoftKFold, soft_cross_val_predict
from tests._support.messages import matches
from tests._support.models import exact
from tests._support.problems import make_problem
from tests._support.rows import NumpyRows

X, HARD, SOFT, WEIGHT, GROUPS = make_problem(3, 90)
SOFT = 0.9 * SOFT + 0.1 / 3.0
OTHER = np.random.default_rng(7).normal(size=(X.shape[1], 3))  # another model
OFFSET = X @ OTHER
NAMES = ["a", "b", "c"]


def centred(coef):
    return coef - coef.mean(axis=0)


# -- against peers -----------------------------------------------------------------------


def test_binary_as_statsmodels_glm():
    sm = pytest.importorskip("statsmodels.api")
    y, offset = SOFT[:, :2] / SOFT[:, :2].sum(axis=1, keepdims=True), OFFSET[:, 0]
    weight = WEIGHT + 0.1
    model = exact(C=np.inf).fit(X, y, sample_weight=weight, offset=offset)
    design = np.column_stack([X, np.ones(len(X))])
    binomial = sm.families.Binomial()
    peer = sm.GLM(y[:, 1], design, binomial, offset=offset, var_weights=weight)
    peer = peer.fit(tol=1e-14, maxiter=100, cov_type="HC0")
    frame = model.coef_inference(X, y, weight, offset=offset)
    assert_allclose(frame["coef"], peer.params, rtol=1e-6)
    assert_allclose(frame["std_error"], peer.bse, rtol=1e-6)
    proba = peer.predict(design, offset=offset)
    assert_allclose(model.predict_proba(X, offset)[:, 1], proba, rtol=1e-8)


def test_as_glmnet():
    """Constants are of glmnet 4.1-6 in R, with standardize = FALSE, thresh = 1e-14:

    coef(glmnet(X, y > 0, "binomial", offset = O[, 1], alpha = 0, lambda = 0.2)),
    coef(glmnet(X, factor(y), "multinomial", offset = O, alpha = 0, lambda = 0.2)), and the
    same with alpha = 0.5, lambda = 0.1; rows of the latter are classes here.
    """
    rng = np.random.default_rng(24155)
    X = rng.normal(size=(60, 3)).round(2)
    y = rng.integers(0, 3, size=60)
    O = rng.normal(size=(60, 3)).round(1)  # noqa: E741
    close = {"rtol": 0, "atol": 1e-7}

    model = exact(C=1 / (60 * 0.2)).fit(X, y > 0, offset=O[:, 0])
    assert_allclose(model.intercept_, [0.53009147719], **close)
    assert_allclose(model.coef_, [[-0.02291419942, -0.11328227336, 0.06105436305]], **close)

    model = exact(C=1 / (60 * 0.2)).fit(X, y, offset=O)
    intercept = [0.4718408622, 0.21064824711, -0.682489109303]
    coef = [
        [-0.1623187054, 0.0682552726, -0.1414749056],
        [0.15204629770, -0.06043802159, 0.22877698813],
        [0.010272407652, -0.007817251007, -0.087302082480],
    ]
    assert_allclose(centred(model.intercept_), intercept, **close)
    assert_allclose(centred(model.coef_), coef, **close)

    model = exact(C=1 / (60 * 0.1), l1_ratio=0.5).fit(X, y, offset=O)
    coef = [[-0.1106355773, 0, 0], [0.07610730139, 0, 0.21606526497], [0, 0, 0]]
    assert_allclose(model.coef_, coef, **close)
    intercept = [0.4321282637, 0.25435315011, -0.6864814139]
    assert_allclose(centred(model.intercept_), intercept, **close)


# -- what an offset is: features with given coefficients ---------------------------------


@pytest.fixture
def small_passes(monkeypatch):
    """Let data so small that tests are fast have a sample."""
    monkeypatch.setattr(_objective, "LEAST_PASS", 0)


BY_HARD = {"labels": HARD, "label_weight": WEIGHT}
SPARSE_X = np.where(np.abs(X) > 0.5, X, 0.0)


@pytest.mark.parametrize(
    ("params", "given", "data"),
    [
        ({}, {}, X),
        ({"fit_intercept": False}, {"sample_weight": WEIGHT}, csr_array(SPARSE_X)),
        ({"temperature": 2.0}, BY_HARD, X),
        ({"divergence": "reverse_kl", "temperature": 0.5}, BY_HARD, X),
        ({"solver": "proximal"}, {}, np.asfortranarray(X)),
    ],
    ids=["dense", "sparse", "labels beside", "reverse", "proximal"],
)
def test_what_the_offset_says_is_not_learned(params, given, data):
    offset = data @ OTHER + np.linspace(-50.0, 50.0, len(X))[:, None]
    full = exact(C=np.inf, **params).fit(data, SOFT, **given)
    rest = exact(C=np.inf, **params).fit(data, SOFT, **given, offset=offset)
    wanted = centred(full.coef_) - centred(OTHER.T)
    assert_allclose(centred(rest.coef_), wanted, rtol=0, atol=1e-6)
    assert_allclose(rest.loss_, full.loss_, rtol=1e-9)
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        found, expected = getattr(rest, method)(data, offset), getattr(full, method)(data)
        if method == "decision_function":
            found, expected = centred(found.T), centred(expected.T)
        if method == "predict":
            assert_array_equal(found, expected)
        else:
            assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_fit_by_way_of_a_sample(small_passes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 4))
    y = softmax(X @ OTHER + rng.gumbel(size=(6000, 3)) * 0.5, axis=1)
    offset = rng.normal(size=(6000, 3))
    y = softmax(np.log(y) + offset, axis=1)
    with_sample = exact().fit(X, y, offset=offset)
    one_by_one = NumpyRows(X, 3, True, [LossTerm(y, np.ones(6000))], offset=offset)
    W = np.vstack([with_sample.coef_.T, with_sample.intercept_])
    _, gradient = one_by_one.objective(W)
    gradient[:-1] += W[:-1]
    assert np.abs(gradient).max() < 1e-6


def test_float32_and_many_listed_classes():
    top = np.where(SOFT.min(axis=1, keepdims=True) < SOFT, SOFT, 0.0)  # of each row two
    top = csr_array(top / top.sum(axis=1, keepdims=True))
    full = exact(C=np.inf).fit(X, top)
    rest = exact(C=np.inf).fit(X, top, offset=OFFSET)
    assert_allclose(
        centred(rest.coef_) + centred(OTHER.T), centred(full.coef_), rtol=0, atol=1e-6
    )
    assert_allclose(rest.score(X, top, offset=OFFSET), full.score(X, top), rtol=1e-6)
    narrow = exact(C=1.0).fit(X.astype(np.float32), SOFT, offset=OFFSET)
    wide = exact(C=1.0).fit(X, SOFT, offset=OFFSET)
    assert_allclose(narrow.coef_, wide.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("n_logits", [1, 3])
def test_rows_with_an_offset_as_plain_ones(n_logits, kind):
    rng = np.random.default_rng(1)
    y = SOFT if n_logits == 3 else SOFT[:, :2] / SOFT[:, :2].sum(axis=1, keepdims=True)
    hard = np.minimum(HARD, y.shape[1] - 1).astype(np.intp)
    offset, W = rng.normal(size=(90, n_logits)), rng.normal(size=(5, n_logits))
    two = [LossTerm(y, WEIGHT), LossTerm(hard, WEIGHT[::-1].copy(), 0.5)]
    for terms in (two[:1], two):
        rows = LocalRows(kind(SPARSE_X), n_logits, True, terms, offset=offset)
        plain = NumpyRows(SPARSE_X, n_logits, True, terms, offset=offset)
        for own, other in [(rows, plain), (rows.every(5), plain.every(5))]:
            calls = [("objective", W), ("class_curvature", W, True), ("largest_change", W)]
            calls += [("curvature", W, full, n_logits > 1) for full in (False, True)]
            calls += [("hessian", W)] * (n_logits > 1)
            if len(terms) == 1 and own is rows:
                V = W if n_logits == 1 else W[:, 1:]
                calls.append(("score_products", V, np.full(5, 2.0), GROUPS))
            for name, *arguments in calls:
                found = getattr(own, name)(*arguments)
                wanted = getattr(other, name)(*arguments)
                found = found if isinstance(found, tuple) else (found,)
                wanted = wanted if isinstance(wanted, tuple) else (wanted,)
                for a, b in zip(found, wanted, strict=True):
                    if b is not None:
                        assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_gradient_by_finite_differences():
    terms = [LossTerm(SOFT, WEIGHT, 2.0, "jensen_shannon"), LossTerm(HARD, WEIGHT, 0.5)]
    rows = LocalRows(X, 3, True, terms, offset=OFFSET)
    W = np.random.default_rng(2).normal(size=rows.shape)
    _, gradient = rows.objective(W)
    for place in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[place] = 1e-3
        values = [rows.objective(W + t * step)[0] for t in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], values) / 12e-3
        assert_allclose(gradient[place], slope, rtol=1e-6, atol=1e-6)


def test_what_classes_have_in_common_changes_nothing():
    one = exact().fit(X, SOFT, offset=OFFSET)
    common = OFFSET - logsumexp(OFFSET, axis=1, keepdims=True) + 1e6 * X[:, :1]
    two = exact().fit(X, SOFT, offset=common)
    assert_allclose(two.coef_, one.coef_, rtol=0, atol=1e-7)
    zero = exact().fit(X, SOFT, offset=np.zeros_like(OFFSET))
    none = exact().fit(X, SOFT)
    assert_array_equal(zero.coef_, none.coef_)
    assert_array_equal(none.predict_proba(X, np.zeros_like(OFFSET)), none.predict_proba(X))


@pytest.mark.parametrize("far", [30.0, 300.0])
def test_no_optimum_is_missed_where_an_offset_leaves_no_curvature(far):
    """Far from 0 the loss of a row that an offset predicts wrongly is a line."""
    y, sign = HARD > 0, np.where(HARD > 0, 1.0, -1.0)
    right = exact(C=np.inf).fit(X, y, offset=far * sign)
    # What each row counts is then its distance from certainty.
    nearer = exact(C=np.inf).fit(X, y, offset=20.0 * sign)
    assert_allclose(right.coef_, nearer.coef_, rtol=1e-6)
    assert np.abs(right.coef_).max() > 0.01
    offset = far * sign * np.where(np.arange(90) % 10 == 3, -1.0, 1.0)
    wrong = exact(C=1.0).fit(X, y, offset=offset)
    terms = [LossTerm(y.astype(int), np.ones(90))]
    rows = NumpyRows(X, 1, True, terms, offset=offset[:, None])
    _, gradient = rows.objective(np.vstack([wrong.coef_.T, wrong.intercept_]))
    gradient[:-1] += wrong.coef_.T
    assert np.abs(gradient).max() < 1e-4


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_three_classes_are_fitted_where_an_offset_is_nearly_certain_of_all_labels(kind):
    data, right = kind(SPARSE_X), np.eye(3)[HARD]
    near, far = (exact(C=np.inf).fit(data, HARD, offset=h * right) for h in (20.0, 40.0))
    assert_allclose(centred(far.coef_), centred(near.coef_), rtol=1e-6)
    assert np.abs(far.coef_).max() > 0.01
    errors = [
        model.coef_inference(data, HARD, offset=h * right)["std_error"]
        for model, h in ((near, 20.0), (far, 40.0))
    ]
    assert_allclose(*errors, rtol=1e-6)


def test_a_fit_says_that_an_offset_left_it_nothing_to_learn():
    offset = 1e4 * np.eye(3)[HARD]
    with pytest.warns(ConvergenceWarning, match="an offset leaves nothing to learn"):
        SoftLabelLogisticRegression(C=np.inf).fit(X, HARD, offset=offset)
    assert_array_equal(SoftLabelLogisticRegression().fit(X, HARD, offset=offset).coef_, 0.0)


def test_two_columns_are_the_log_odds_of_the_second():
    y = HARD > 0
    one = exact().fit(X, y, offset=OFFSET[:, 1] - OFFSET[:, 0])
    two = exact().fit(X, y, offset=OFFSET[:, :2])
    assert_array_equal(one.coef_, two.coef_)
    assert_array_equal(
        one.predict_proba(X, OFFSET[:, :2]), one.predict_proba(X, OFFSET[:, 1] - OFFSET[:, 0])
    )


# -- streams and paths -------------------------------------------------------------------


def test_a_stream():
    whole = exact().fit(X, SOFT, offset=OFFSET)
    first = exact().partial_fit(X, SOFT, offset=OFFSET)
    assert_allclose(centred(first.coef_), centred(whole.coef_), rtol=0, atol=1e-7)
    assert first.needs_offset_
    second = exact().partial_fit(X[:60], SOFT[:60], offset=OFFSET[:60])
    second.partial_fit(X[60:], SOFT[60:], offset=OFFSET[60:])
    assert (
        np.abs(second.predict_proba(X, OFFSET) - whole.predict_proba(X, OFFSET)).max() < 0.05
    )
    for start, others in [(OFFSET, None), (None, OFFSET)]:
        model = exact().partial_fit(X, SOFT, offset=start)
        with pytest.raises(ValueError, match="offset was passed in some calls only"):
            model.partial_fit(X, SOFT, offset=others)


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss"])
def test_a_path_scores_folds_with_their_offsets(scoring):
    cv = StratifiedKFold(3)
    path = SoftLabelLogisticRegressionCV(Cs=[0.1, 1.0], cv=cv, scoring=scoring, tol=1e-8)
    path.fit(X, HARD, sample_weight=WEIGHT, offset=OFFSET)
    for fold, (train, test) in enumerate(cv.split(X, HARD)):
        for j, C in enumerate([0.1, 1.0]):
            model = exact(C=C)
            model.fit(X[train], HARD[train], WEIGHT[train], offset=OFFSET[train])
            if scoring == "accuracy":
                right = model.predict(X[test], OFFSET[test]) == HARD[test]
                score = np.average(right, weights=WEIGHT[test])
            else:
                proba = model.predict_proba(X[test], OFFSET[test])
                score = -kl_loss(
                    HARD[test], proba, labels=[0, 1, 2], sample_weight=WEIGHT[test]
                )
            assert_allclose(path.scores_[fold, 0, j], score, rtol=1e-6)
    final = exact(C=path.C_).fit(X, HARD, sample_weight=WEIGHT, offset=OFFSET)
    assert_allclose(path.coef_, final.coef_, rtol=1e-4, atol=1e-6)
    if scoring == "accuracy":
        wanted = final.score(X, HARD, offset=OFFSET)
        assert path.score(X, HARD, offset=OFFSET) == wanted
    with pytest.raises(ValueError, match=matches("CV was fitted with an offset")):
        path.score(X, HARD)


def test_a_binary_path():
    path = SoftLabelLogisticRegressionCV(Cs=[1.0], cv=3).fit(X, HARD > 0, offset=OFFSET[:, 0])
    model = SoftLabelLogisticRegression().fit(X, HARD > 0, offset=OFFSET[:, 0])
    assert_allclose(path.coef_, model.coef_, rtol=1e-3)


# -- routing -----------------------------------------------------------------------------


def test_pipelines_and_searches_route_it():
    folds = list(StratifiedSoftKFold(3).split(X, SOFT))
    with config_context(enable_metadata_routing=True):
        student = SoftLabelLogisticRegression(tol=1e-8).set_fit_request(offset=True)
        student.set_predict_proba_request(offset=True)
        model = make_pipeline(StandardScaler(), student)
        scorer = get_scorer("neg_kl_loss").set_score_request(offset=True)
        scores = cross_val_score(
            model, X, SOFT, cv=folds, scoring=scorer, params={"offset": OFFSET}
        )
        search = GridSearchCV(
            model, {"softlabellogisticregression__C": [0.1]}, scoring=scorer, cv=folds
        )
        search.fit(X, SOFT, offset=OFFSET)
    for (train, test), score in zip(folds, scores, strict=True):
        scaler = StandardScaler().fit(X[train])
        alone = SoftLabelLogisticRegression(tol=1e-8)
        alone.fit(scaler.transform(X[train]), SOFT[train], offset=OFFSET[train])
        proba = alone.predict_proba(scaler.transform(X[test]), OFFSET[test])
        assert_allclose(score, -kl_loss(SOFT[test], proba), rtol=1e-9)
    assert np.isfinite(search.best_score_)
    last = search.best_estimator_[-1]
    assert last.needs_offset_
    assert_allclose(
        get_scorer("neg_kl_loss")(last, X, SOFT, offset=OFFSET, sample_weight=WEIGHT),
        -kl_loss(SOFT, last.predict_proba(X, OFFSET), sample_weight=WEIGHT),
    )


def test_a_subclass_whose_fit_hands_keywords_on_can_request_it():
    class Student(SoftLabelLogisticRegression):
        def fit(self, X, y, **params):
            return super().fit(X, y, **params)

    with config_context(enable_metadata_routing=True):
        model = make_pipeline(Student(tol=1e-8).set_fit_request(offset=True))
        model.fit(X, SOFT, offset=OFFSET)
    assert model[-1].needs_offset_


def test_a_distilled_student_gets_it():
    with config_context(enable_metadata_routing=True):
        student = exact().set_fit_request(offset=True, sample_weight=True)
        model = DistilledClassifier(None, student)
        model.fit(X, teacher_proba=pd.DataFrame(SOFT, columns=NAMES), offset=OFFSET)
    alone = exact(classes=NAMES).fit(X, SOFT, offset=OFFSET)
    assert_allclose(model.student_.coef_, alone.coef_, rtol=1e-9, atol=1e-12)
    proba = model.student_.predict_proba(X, OFFSET)
    assert_allclose(proba, alone.predict_proba(X, OFFSET), rtol=1e-9)
    with pytest.raises(ValueError, match="was fitted with an offset"):
        model.predict_proba(X)
    with pytest.raises(TypeError, match=matches("predict got ['offset']", "the student")):
        model.predict(X, offset=OFFSET)


def test_predictions_of_a_distilled_student_get_it():
    with config_context(enable_metadata_routing=True):
        student = exact().set_fit_request(offset=True)
        student.set_predict_request(offset="known").set_predict_proba_request(offset="known")
        student.set_predict_log_proba_request(offset=True)
        student.set_decision_function_request(offset=True)
        model = DistilledClassifier(GaussianNB(), student, unlabeled=-1)
        model.fit(X, HARD, offset=OFFSET)
        alone, y = model.student_, np.where(np.arange(90) < 5, -1, HARD)
        for method in ("predict", "predict_proba"):
            found = getattr(model, method)(X, known=OFFSET)
            assert_array_equal(found, getattr(alone, method)(X, OFFSET))
        for method in ("predict_log_proba", "decision_function"):
            found = getattr(model, method)(X, offset=OFFSET)
            assert_array_equal(found, getattr(alone, method)(X, OFFSET))
        assert model.score(X, y, known=OFFSET) == alone.score(
            X[5:], HARD[5:], offset=OFFSET[5:]
        )
        assert model.score(X, SOFT, known=OFFSET) == alone.score(X, SOFT, offset=OFFSET)


class Unfitted(GaussianNB):
    def fit(self, *arguments, **params):
        raise AssertionError("a model was fitted")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda student: DistilledClassifier(student, GaussianNB()), "teacher"),
        (lambda student: DistilledClassifier(Unfitted(), student, tune=True), "student"),
        (lambda student: PooledClassifier([Unfitted(), student]), "estimator"),
        (lambda student: DeferringClassifier(Unfitted(), student), "teacher"),
        (lambda student: SoftCalibratedClassifierCV(student), "estimator"),
    ],
    ids=["teacher", "tune", "pool", "deferring", "calibration"],
)
def test_an_offset_that_predictions_would_lack_is_refused_before_a_fit(make, name):
    with config_context(enable_metadata_routing=True):
        model = make(SoftLabelLogisticRegression().set_fit_request(offset=True))
        with pytest.raises(ValueError, match=matches(name, "offset", "does not hand on")):
            model.fit(X, HARD, offset=OFFSET)
    frozen = SoftLabelLogisticRegression().fit(X, HARD, offset=OFFSET)
    if name != "student":
        with pytest.raises(ValueError, match=matches(name, "offset", "does not hand on")):
            make(FrozenEstimator(frozen)).fit(X, HARD)


def test_out_of_fold_predictions_refuse_it():
    params = {"offset": OFFSET}
    with pytest.raises(ValueError, match="soft_cross_val_predict does not hand on"):
        soft_cross_val_predict(SoftLabelLogisticRegression(), X, SOFT, params=params)


def test_scorers_of_one_call_do_not_mix_offsets():
    model = exact().fit(X, SOFT)
    with config_context(enable_metadata_routing=True):
        plain = get_scorer("neg_kl_loss").set_score_request(offset=False)
        moved = get_scorer("neg_kl_loss").set_score_request(offset=True)
        scores = GridSearchCV(
            exact().set_fit_request(offset=False),
            {"C": [1.0]},
            scoring={"plain": plain, "moved": moved},
            refit=False,
            cv=[(np.arange(90), np.arange(90))],
        ).fit(X, SOFT, offset=OFFSET)
    wanted = {"plain": model.predict_proba(X), "moved": model.predict_proba(X, OFFSET)}
    for name, proba in wanted.items():
        found = scores.cv_results_[f"mean_test_{name}"][0]
        assert_allclose(found, -kl_loss(SOFT, proba), rtol=1e-9)


# -- names, and what is refused ----------------------------------------------------------


def test_columns_are_matched_by_name():
    turned = pd.DataFrame(OFFSET[:, ::-1], columns=NAMES[::-1])
    model = exact(classes=NAMES).fit(X, SOFT, offset=turned)
    plain = exact(classes=NAMES).fit(X, SOFT, offset=OFFSET)
    assert_array_equal(model.coef_, plain.coef_)
    assert_array_equal(model.predict_proba(X, turned), plain.predict_proba(X, OFFSET))


def with_value(value):
    offset = OFFSET.copy()
    offset[5, 1] = value
    return offset


ROWS = pd.DataFrame(X, index=[f"r{i}" for i in range(90)])
OF_FRAME = pd.DataFrame(OFFSET[::-1], columns=NAMES, index=ROWS.index[::-1])


@pytest.mark.parametrize(
    ("X", "offset", "message"),
    [
        (X, OFFSET[:, 0], ("offset must have the shape (90, 3)", "['a', 'b', 'c']", "(90,)")),
        (X, OFFSET[:80], ("offset must have the shape (90, 3)", "(80, 3)")),
        (X, with_value(np.nan), ("offset holds nan in row 5", "finite")),
        (X, with_value(-np.inf), ("offset holds -inf in row 5", "probability of 0")),
        (X, with_value(1e31), ("offset holds 1e+31 in row 5",)),
        (X, pd.DataFrame(OFFSET, columns=["a", "b", "d"]), ("columns of offset", "['d']")),
        (ROWS, OF_FRAME, ("rows of X and offset have different labels",)),
        (X, "a", ("offset must hold real numbers",)),
    ],
)
def test_bad_offsets_are_refused(X, offset, message):
    good = exact(classes=NAMES).fit(X, SOFT)
    for use in (exact(classes=NAMES).fit, exact(classes=NAMES).partial_fit):
        with pytest.raises((ValueError, TypeError), match=matches(*message)):
            use(X, SOFT, offset=offset)
    with pytest.raises((ValueError, TypeError), match=matches(*message)):
        good.predict_proba(X, offset)


def test_a_series_that_is_named_by_the_other_class_is_refused():
    y = np.where(HARD > 0, "yes", "no")
    good = pd.Series(OFFSET[:, 0], name="yes")
    model = exact().fit(X, y, offset=good)
    assert_array_equal(model.coef_, exact().fit(X, y, offset=good.to_numpy()).coef_)
    with pytest.raises(ValueError, match=matches("offset is named 'no'", "'yes'")):
        exact().fit(X, y, offset=good.rename("no"))


def test_without_the_offset_of_the_fit_nothing_is_predicted():
    model = exact().fit(X, SOFT, offset=OFFSET)
    calls = {
        name: getattr(model, name)
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=matches("was fitted with an offset", name)):
            call(X)
    for call in (model.score, model.coef_inference):
        with pytest.raises(ValueError, match="was fitted with an offset"):
            call(X, SOFT)
    with pytest.raises(ValueError, match=matches("was fitted with an offset", "LogisticReg")):
        model.to_sklearn()
    assert model.fit(X, SOFT).predict_proba(X).shape == (90, 3)


def test_batches_take_none():
    with pytest.raises(ValueError, match=matches("X is Batches", "offset")):
        exact().fit(Batches((X, SOFT)), offset=OFFSET)
    with pytest.raises(ValueError, match=matches("X is Batches", "offset")):
        exact().fit(X, SOFT).score(Batches((X, SOFT)), offset=OFFSET)


def test_an_offset_corrects_a_model():
    """Of an existing model what is right stays; a strong penalty leaves all of it."""
    base = GaussianNB().fit(X[:40], HARD[:40])
    log_proba = np.log(0.99 * base.predict_proba(X) + 0.01 / 3)
    strong = exact(C=1e-9, fit_intercept=False).fit(X, HARD, offset=log_proba)
    assert_allclose(strong.predict_proba(X, log_proba), np.exp(log_proba), rtol=1e-6)
    model = exact(C=0.1).fit(X, HARD, offset=log_proba)
    assert model.loss_ < kl_loss(HARD, np.exp(log_proba))
