"""Models stored by an older version predict the same.

``python -m tests.contract.test_pickles`` stores those of this one. Do so with the lowest
versions of the dependencies, whose arrays the later ones can read.
"""

import base64
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import sklkl
from sklkl.calibration import SoftCalibratedClassifierCV, VectorScaling
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from tests._support.problems import make_problem

FOLDER = Path(__file__).parent


def fitted():
    X, _, soft, _, _ = make_problem(n_samples=40)
    logistic = SoftLabelLogisticRegression()
    return X[:5].copy(), {
        "logistic": clone(logistic).fit(X, soft),
        "stream": clone(logistic).partial_fit(X, soft),
        "map": VectorScaling(smoothing=0.01).fit(soft, soft),
        "calibrated": SoftCalibratedClassifierCV(logistic, cv=2).fit(X, soft),
        "student": DistilledClassifier(None, temperature=2.0).fit(X, teacher_proba=soft),
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.pickle.txt")), ids=lambda p: p.name)
def test_stored_models_predict_the_same(path):
    X, models, proba = pickle.loads(base64.b64decode(path.read_text()))
    for name, model in models.items():
        rows = proba["logistic"] if name == "map" else X
        np.testing.assert_allclose(model.predict_proba(rows), proba[name], rtol=1e-12)
        clone(model)
    X, _, soft, _, _ = make_problem(n_samples=40)
    fresh = clone(models["stream"]).partial_fit(X, soft).partial_fit(X, soft)
    goes_on = models["stream"].partial_fit(X, soft)
    np.testing.assert_allclose(goes_on.coef_, fresh.coef_, rtol=1e-6)


if __name__ == "__main__":
    X, models = fitted()
    proba = {name: m.predict_proba(X) for name, m in models.items() if name != "map"}
    proba["map"] = models["map"].predict_proba(proba["logistic"])
    text = base64.encodebytes(pickle.dumps((X, models, proba))).decode()
    Path(FOLDER, f"models_{sklkl.__version__}.pickle.txt").write_text(text)
