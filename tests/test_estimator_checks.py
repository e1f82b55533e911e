"""What scikit-learn asks of estimators, and numpydoc of every public docstring."""

import importlib
import inspect
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklkl._core.home import DOCUMENTATION
from sklkl.calibration import (
    DirichletScaling,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
)
from sklkl.distillation import DeferringClassifier, DistilledClassifier, PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV

MODULES = [
    "calibration",
    "distillation",
    "divergences",
    "inspection",
    "linear_model",
    "metrics",
    "model_selection",
    "targets",
    *(["dask"] if find_spec("distributed") else []),
]

# No extended summary where the summary says all; no See Also where nothing is akin; and
# return values have names here, as in scikit-learn.
ACCEPTED = {"ES01", "SA01", "RT02"}
# The example of a class shows its methods.
ACCEPTED_IN_METHODS = ACCEPTED | {"EX01"}

# An instance of each class, and of each path that differs much from another of its class.
LOGISTIC = SoftLabelLogisticRegression()
VECTOR = VectorScaling(C=0.1, smoothing=0.01)
ESTIMATORS = [
    LOGISTIC,
    SoftLabelLogisticRegressionCV(Cs=[0.01, 1.0], cv=2),
    SoftCalibratedClassifierCV(LogisticRegression(), method=VECTOR, cv=2),
    SoftCalibratedClassifierCV(
        LOGISTIC, method=DirichletScaling(smoothing=0.01), cv=2, ensemble=False
    ),
    # Its default gamma depends on how often a row is repeated.
    SoftCalibratedClassifierCV(SVC(gamma=1.0, tol=1e-10), method=VECTOR, cv=2),
    DistilledClassifier(LogisticRegression()),
    DistilledClassifier(
        LOGISTIC, temperature=2.0, hard_label_weight=0.5, divergence="jensen_shannon"
    ),
    DistilledClassifier(LOGISTIC, temperature=2.0, hard_label_weight=0.5),
    PooledClassifier([LogisticRegression(), LOGISTIC]),
    PooledClassifier(
        {"a": LOGISTIC, "b": GaussianNB()}, pooling="geometric", weights="learned", cv=2
    ),
    # At these levels a row certifies, so that the student answers; then only the teacher does.
    DeferringClassifier(
        LOGISTIC, LogisticRegression(), agreement=0.5, confidence_level=0.4, cv=2
    ),
]
CLASSES = {type(e): e for e in [*ESTIMATORS, TemperatureScaling()]}


@parametrize_with_checks(ESTIMATORS)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", CLASSES.values(), ids=lambda e: type(e).__name__)
def test_diagram_links_to_the_documentation_where_there_is_one(estimator):
    module = ".".join(type(estimator).__module__.split(".")[:2])
    page = f"{module}.{type(estimator).__name__}.html"
    shown = estimator_html_repr(estimator)
    if DOCUMENTATION:
        assert f'href="{DOCUMENTATION}/generated/{page}"' in shown
    else:
        assert page not in shown


def public_objects():
    for module_name in MODULES:
        module = importlib.import_module(f"sklkl.{module_name}")
        for name in module.__all__:
            path = f"sklkl.{module_name}.{name}"
            yield path, ACCEPTED
            value = getattr(module, name)
            if not inspect.isclass(value):
                continue
            own = {k: c for c in value.__mro__[::-1] for k in vars(c)}
            for attribute, owner in own.items():
                generated = attribute.startswith("set_") and attribute.endswith("_request")
                generated |= attribute in getattr(value, "__dataclass_fields__", ())
                if attribute.startswith("_") or generated:
                    continue
                if owner.__module__.startswith("sklkl"):
                    yield f"{path}.{attribute}", ACCEPTED_IN_METHODS


@pytest.mark.parametrize(("path", "accepted"), list(public_objects()))
def test_docstrings(path, accepted):
    validate = pytest.importorskip("numpydoc.validate").validate
    errors = [f"{code} {text}" for code, text in validate(path)["errors"]]
    assert [e for e in errors if e.split()[0] not in accepted] == []


@pytest.mark.parametrize("module_name", MODULES)
def test_modules_have_a_docstring_and_export_what_they_say(module_name):
    module = importlib.import_module(f"sklkl.{module_name}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_walk_finds_methods_that_depend_on_the_student(method):
    """They are descriptors, not functions, on the class."""
    paths = [path for path, _ in public_objects()]
    assert f"sklkl.distillation.DistilledClassifier.{method}" in paths
    assert len(np.unique(paths)) == len(paths)
