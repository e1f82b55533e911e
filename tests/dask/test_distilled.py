"""Distillation on collections: that in memory, where the teacher is the same."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklkl import distillation, linear_model
from sklkl.dask import DistilledClassifier, SoftLabelLogisticRegression
from sklkl.dask._distilled import sample_of
from sklkl.dask._predictions import predicted
from tests.dask.test_logistic import CODES, FEATURES, NAMES, WEIGHT, N, P, X, array, frame

SERIES = pd.Series(NAMES)
OPTIONS = {
    "plain": {},
    "temperature": {"temperature": 3.0, "smoothing": 0.01},
    "labels": {"temperature": 2.0, "hard_label_weight": 0.3},
    "without weights": {"temperature": 2.0, "hard_label_weight": 0.3},
    "labels alone": {"hard_label_weight": 1.0},
    "divergence": {"divergence": "jensen_shannon", "divergence_params": {"weight": 0.3}},
}


def collection(x):
    return None if x is None else frame(x) if hasattr(x, "iloc") else array(x)


@pytest.mark.parametrize("case", OPTIONS)
def test_students(case):
    weight = WEIGHT if "labels" in case else None
    plain = linear_model.SoftLabelLogisticRegression(tol=1e-9)
    student = SoftLabelLogisticRegression(tol=1e-9)
    teacher = GaussianNB()
    for features, labels in ((X, NAMES), (FEATURES, SERIES)):
        expected = distillation.DistilledClassifier(teacher, plain, **OPTIONS[case])
        expected.fit(features, labels, sample_weight=weight)
        model = DistilledClassifier(teacher, student, **OPTIONS[case])
        own = pd.Series(weight) if weight is not None and labels is SERIES else weight
        model.fit(*map(collection, (features, labels, own)))
        assert_array_equal(model.classes_, expected.classes_)
        assert_allclose(model.student_.coef_, expected.student_.coef_, atol=1e-6)
        assert model.student_.temperature == 1.0
        assert_allclose(
            model.predict_proba(features), expected.predict_proba(features), atol=1e-7
        )


def test_teachers(client):
    forest = RandomForestClassifier(10, max_depth=4, random_state=0)
    few = DistilledClassifier(forest, teacher_rows=100).fit(array(X), array(NAMES))
    assert_array_equal(
        few.teacher_.predict_proba(X), forest.fit(X[::3], NAMES[::3]).predict_proba(X)
    )
    frozen = DistilledClassifier(FrozenEstimator(forest)).fit(array(X))
    assert_allclose(frozen.student_.coef_, few.student_.coef_, atol=1e-9)
    once_more = DistilledClassifier(DistilledClassifier(GaussianNB()))
    once_more.fit(array(X), array(NAMES))
    assert type(once_more.teacher_) is linear_model.SoftLabelLogisticRegression
    itself = DistilledClassifier(SoftLabelLogisticRegression(C=0.1))
    itself.fit(frame(FEATURES), frame(SERIES))
    assert type(itself.teacher_) is linear_model.SoftLabelLogisticRegression
    score = itself.score(frame(FEATURES), frame(SERIES))
    assert_allclose(score, itself.to_local().score(FEATURES, SERIES))
    assert_array_equal(itself.predict(frame(FEATURES)).compute(), itself.predict(FEATURES))


def test_teacher_that_knows_no_zeros():
    """Of no rows, and of a column of strings, no prediction is asked for."""
    city = pd.DataFrame({"city": np.resize(["Rome", "Oslo"], N)})
    teacher = make_pipeline(OneHotEncoder(), GaussianNB()).set_params(
        onehotencoder__sparse_output=False
    )
    frozen = FrozenEstimator(teacher.fit(city, NAMES))
    of_teacher = predicted(frozen, "predict_proba", frame(city))
    assert_array_equal(of_teacher.compute(), teacher.predict_proba(city))
    assert predicted(frozen, "predict", frame(city)).compute().isin(NAMES).all()


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_dtypes_of_predictions(method):
    features = FEATURES.astype(np.float32)
    model = linear_model.SoftLabelLogisticRegression().fit(features, NAMES == "ham")
    found = predicted(model, method, frame(features))
    expected = getattr(model, method)(features).dtype
    for part in (found._meta, found.partitions[2].compute(), found.compute()):  # 2 is empty
        assert part.to_numpy().dtype == expected


def test_classes_of_labels_are_sorted():
    """Those of a teacher need not be, and scorers take them to be."""
    soft = pd.DataFrame(P, columns=["spam", "ham", "eggs"])
    teacher = FrozenEstimator(linear_model.SoftLabelLogisticRegression().fit(X, soft))
    labels = np.array(["spam", "ham", "eggs"])[CODES]
    expected = distillation.DistilledClassifier(teacher).fit(X, labels)
    model = DistilledClassifier(teacher).fit(array(X), array(labels))
    assert_array_equal(model.classes_, expected.classes_)
    scorer = get_scorer("neg_log_loss")
    assert_allclose(scorer(model, X, labels), scorer(expected, X, labels), rtol=1e-4)


def test_sample_is_evenly_spaced():
    rows = sample_of({"X": array(X), "y": array(P), "sample_weight": array(WEIGHT)}, 43)
    assert_array_equal(rows.X, X[::7])
    assert_array_equal(rows.y, P[::7])
    assert_array_equal(rows.sample_weight, WEIGHT[::7])
    rows = sample_of({"X": frame(FEATURES), "y": frame(SERIES), "sample_weight": None}, N)
    assert rows.X.equals(FEATURES)
    assert rows.sample_weight is None


def test_refused():
    plain = linear_model.SoftLabelLogisticRegression()
    model = DistilledClassifier(GaussianNB())
    with pytest.raises(NotFittedError):
        model.predict(X)
    with pytest.raises(TypeError, match="no collection of Dask"):
        model.fit(X, NAMES)
    with pytest.raises(TypeError, match="student must be"):
        DistilledClassifier(GaussianNB(), plain).fit(array(X), array(NAMES))
    with pytest.raises(ValueError, match="y must hold something"):
        model.fit(array(X))
    with pytest.raises(ValueError, match="hard_label_weight"):
        DistilledClassifier(GaussianNB(), hard_label_weight=2).fit(array(X), array(NAMES))
    nobody = array(X[:0], (0, 0)), array(NAMES[:0], (0, 0))
    with pytest.raises(ValueError, match="0 samples, in all parts"):
        model.fit(*nobody)
    frozen = FrozenEstimator(GaussianNB().fit(X, NAMES))
    with pytest.raises(ValueError, match="y must hold labels to learn: hard_label_weight"):
        DistilledClassifier(frozen, hard_label_weight=0.5).fit(array(X))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DistilledClassifier(frozen).fit(array(X), array(NAMES[:9], (9,)))
    student = SoftLabelLogisticRegression(classes=["ham", "eggs"])
    with pytest.raises(ValueError, match="knows classes that the student does not"):
        DistilledClassifier(GaussianNB(), student).fit(array(X), array(NAMES))
    some = np.where(NAMES == "spam", "ham", NAMES)
    teacher = FrozenEstimator(GaussianNB().fit(X, some))
    with pytest.raises(ValueError, match="spam"):
        DistilledClassifier(teacher, hard_label_weight=0.5).fit(array(X), array(NAMES))
