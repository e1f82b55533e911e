"""Divergences, temperature and labels as a user of the logistic regression passes them.

Optima are tested against the documented objective in ``distillation/test_objective.py``.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import get_scorer
from tests._support.models import exact, routing
from tests._support.problems import make_problem

X, HARD, SOFT, WEIGHT, _ = make_problem(n_samples=80)
SOFT = 0.9 * SOFT + 0.1 / SOFT.shape[1]
MIXED = {"labels": HARD, "label_weight": np.where(np.arange(80) % 3, 0.4, 0.0)}
JENSEN_SHANNON = {"divergence": "jensen_shannon", "divergence_params": {"weight": 0.3}}
LOSS = {**JENSEN_SHANNON, "temperature": 2.0}


@pytest.mark.parametrize(
    ("divergence", "params", "message"),
    [
        ("euclid", None, "divergence must be one of"),
        ("hellinger", None, r"one of \['kl', .*, 'alpha'\]"),
        ("kl", {"weight": 0.5}, "'kl' has no parameters"),
        ("jensen_shannon", {"alpha": 0.5}, "the parameter 'weight' only"),
        ("jensen_shannon", {"weight": 1.5}, r"divergence_params\['weight'\] must be a number"),
        ("alpha", None, "needs divergence_params={'alpha': ...}"),
        ("alpha", [0.5], "must be a dict or None"),
    ],
)
@pytest.mark.parametrize("make", [SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV])
def test_bad_divergences(make, divergence, params, message):
    with pytest.raises(ValueError, match=message):
        make(divergence=divergence, divergence_params=params).fit(X, SOFT)


def test_spellings_of_a_divergence():
    wanted = exact(divergence="reverse_kl").fit(X, SOFT).coef_
    assert_array_equal(exact(divergence="neg_reverse_kl_loss").fit(X, SOFT).coef_, wanted)
    wanted = exact().partial_fit(X, SOFT).coef_
    assert_array_equal(exact(divergence="kl_divergence").partial_fit(X, SOFT).coef_, wanted)


def test_hard_targets():
    one_hot = np.eye(SOFT.shape[1])[HARD]
    for params in (JENSEN_SHANNON, {"divergence": "alpha", "divergence_params": {"alpha": 2}}):
        model = exact(**params)
        wanted = model.fit(X, one_hot).coef_
        assert_allclose(model.fit(X, HARD).coef_, wanted, atol=1e-12)
    for divergence in ("reverse_kl", "jeffreys"):
        with pytest.raises(ValueError, match=f"probability 0 .* {divergence!r} is infinite"):
            exact(divergence=divergence).fit(X, HARD)


def test_labels_are_matched_by_name():
    names = np.array(["b", "a", "c"])
    model = exact(classes=names, **LOSS)
    wanted = model.fit(X, SOFT, labels=names[HARD], label_weight=MIXED["label_weight"]).coef_
    frame = pd.DataFrame(np.eye(3)[HARD], columns=names)[["c", "b", "a"]]
    found = model.fit(X, SOFT, labels=frame, label_weight=MIXED["label_weight"]).coef_
    assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"label_weight": np.ones(80)}, "labels is None"),
        ({"labels": HARD[:9]}, "inconsistent"),
        ({"labels": HARD + 1}, r"labels\[\d+\] is 3, not one of the classes"),
        ({"labels": HARD, "label_weight": -np.ones(80)}, "passed to `label_weight`"),
    ],
)
def test_bad_labels(metadata, message):
    with pytest.raises(ValueError, match=message):
        exact().fit(X, SOFT, **metadata)


def test_labels_without_weight_do_not_count():
    found = exact(**LOSS).fit(X, SOFT, labels=HARD, label_weight=np.zeros(80))
    assert_array_equal(found.coef_, exact(**LOSS).fit(X, SOFT).coef_)


def test_labels_in_pipelines_and_searches():
    wanted = exact(**LOSS).fit(X, SOFT, **MIXED).coef_
    pipeline = make_pipeline(FunctionTransformer(), exact(**LOSS))
    last = "softlabellogisticregression"
    pipeline.fit(X, SOFT, **{f"{last}__{name}": value for name, value in MIXED.items()})
    assert_array_equal(pipeline[-1].coef_, wanted)
    search = GridSearchCV(pipeline, {f"{last}__C": [1.0]}, scoring=get_scorer("neg_kl_loss"))
    with routing():
        # Metrics have an argument labels, too; under another name there is no doubt.
        pipeline[-1].set_fit_request(labels="learned", label_weight=True)
        search.fit(X, SOFT, learned=HARD, label_weight=MIXED["label_weight"])
    assert_array_equal(search.best_estimator_[-1].coef_, wanted)


def test_path():
    """Every point is what a fit finds, and scores compare at the temperature of targets."""
    train, test = next(KFold(2).split(X))
    folds = {"cv": [(train, test)], "Cs": [0.1, 1.0], "tol": 1e-10}
    model = SoftLabelLogisticRegressionCV(**folds, **LOSS)
    model.fit(X, SOFT, sample_weight=WEIGHT, **MIXED)
    metadata = {name: value[train] for name, value in MIXED.items()}
    for j, C in enumerate(model.Cs_):
        one = exact(C=C, **LOSS)
        one.fit(X[train], SOFT[train], sample_weight=WEIGHT[train], **metadata)
        assert_allclose(model.coefs_paths_[0, 0, j, :, :-1], one.coef_, atol=1e-7)
        score = get_scorer("neg_kl_loss")(one, X[test], SOFT[test], sample_weight=WEIGHT[test])
        assert model.scores_[0, 0, j] == pytest.approx(score, abs=1e-7)
    whole = exact(C=model.C_, **LOSS).fit(X, SOFT, sample_weight=WEIGHT, **MIXED)
    assert_array_equal(model.coef_, whole.coef_)


@pytest.mark.parametrize("params", [JENSEN_SHANNON, {"temperature": 2.0}])
def test_what_forward_kl_alone_has(params):
    model = exact(**params)
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(X, SOFT)
    with pytest.raises(ValueError, match="Standard errors"):
        model.fit(X, SOFT).coef_inference(X, SOFT)
