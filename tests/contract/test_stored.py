"""Models that a release has stored, by pickle and by skops, predict the same ever after.

``python -m tests.contract.test_stored`` stores those of this version in ``tests/data``.
Do so for releases, with the lowest versions of the dependencies, whose arrays the later ones
can read.
"""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import sklkl
from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from tests._support.problems import make_problem

FOLDERS = sorted(p for p in Path(__file__).parents[1].joinpath("data").glob("*") if p.is_dir())
# What these models are made of, besides what skops trusts anyway.
TRUSTED = [
    "sklkl.calibration._calibrated.CalibratedPair",
    "sklkl.calibration._calibrated.SoftCalibratedClassifierCV",
    "sklkl.calibration._scaling.DirichletScaling",
    "sklkl.calibration._scaling.TemperatureScaling",
    "sklkl.calibration._scaling.VectorScaling",
    "sklkl.distillation._distilled.DistilledClassifier",
    "sklkl.linear_model._logistic.SoftLabelLogisticRegression",
    "sklkl.linear_model._logistic_cv.SoftLabelLogisticRegressionCV",
    "sklkl.linear_model._stream.Posterior",
]


def fitted():
    """Return fitted models by name."""
    X, hard, soft, _, _ = make_problem(n_samples=40, classes=("a", "b", "c"))
    logistic = SoftLabelLogisticRegression()
    maps = TemperatureScaling(), VectorScaling(smoothing=0.01), DirichletScaling()
    return {
        "logistic": clone(logistic).fit(X, soft),
        "of labels": clone(logistic).fit(X, hard),
        "elastic net": clone(logistic).set_params(l1_ratio=0.5, C=0.3).fit(X, soft),
        "stream": clone(logistic).partial_fit(X, soft),
        "cv": SoftLabelLogisticRegressionCV(Cs=3, cv=2).fit(X, soft),
        **{f"map {type(map_).__name__}": map_.fit(soft, hard) for map_ in maps},
        "calibrated": SoftCalibratedClassifierCV(logistic, cv=2).fit(X, soft),
        "student": DistilledClassifier(None, temperature=2.0).fit(X, teacher_proba=soft),
    }


def predictions(models, X, proba):
    """Return what each model predicts, a map from probabilities."""
    return {
        name: model.predict_proba(proba if name.startswith("map") else X)
        for name, model in models.items()
    }


def by_pickle(folder):
    return pickle.loads(folder.joinpath("models.pickle").read_bytes())


def by_skops(folder):
    skops = pytest.importorskip("skops.io")
    return skops.load(folder / "models.skops", trusted=TRUSTED)


@pytest.mark.parametrize("load", [by_pickle, by_skops])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_stored_models_predict_the_same(folder, load):
    models = load(folder)
    with np.load(folder / "expected.npz") as expected:
        found = predictions(models, expected["X"], expected["proba"])
        assert sorted([*found, "X", "proba"]) == sorted(expected)
        for name, proba in found.items():
            np.testing.assert_allclose(proba, expected[name], rtol=1e-12, err_msg=name)
    for model in models.values():
        clone(model)
    X, _, soft, _, _ = make_problem(n_samples=40, classes=("a", "b", "c"))
    fresh = clone(models["stream"]).partial_fit(X, soft).partial_fit(X, soft)
    goes_on = models["stream"].partial_fit(X, soft)
    np.testing.assert_allclose(goes_on.coef_, fresh.coef_, rtol=1e-6)


def test_there_are_models_of_a_release():
    assert FOLDERS


if __name__ == "__main__":
    from zipfile import ZIP_DEFLATED

    from skops import io

    folder = Path(__file__).parents[1] / "data" / sklkl.__version__
    folder.mkdir(parents=True, exist_ok=True)
    models, (X, _, soft, _, _) = fitted(), make_problem(n_samples=5, seed=1)
    folder.joinpath("models.pickle").write_bytes(pickle.dumps(models, protocol=4))
    io.dump(models, folder / "models.skops", compression=ZIP_DEFLATED)
    expected = {"X": X, "proba": soft, **predictions(models, X, soft)}
    np.savez_compressed(folder / "expected.npz", **expected)
