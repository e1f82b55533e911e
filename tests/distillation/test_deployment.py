"""Students outside: pickled, in skops and ONNX files, and without this library."""

import io
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common import tree_ensemble
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from sklkl.calibration import SoftCalibratedClassifierCV
from sklkl.distillation import DistilledClassifier, PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
CLASSES = {"strings": ["ham", "other", "spam"], "integers": [3, 7, 11]}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the names that the page defines, and what it prints."""
    names, printed = {}, io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        patch.setattr(sys, "stdout", printed)
        for code in blocks("python"):
            exec(compile(code, PAGE.name, "exec"), names)
    return names, printed.getvalue()


@pytest.fixture(autouse=True)
def _one_thread():
    # The histograms of scikit-learn are far slower where threads have to share a core.
    with threadpool_limits(1, user_api="openmp"):
        yield


@pytest.fixture(autouse=True)
def _integers_for_missing_values(monkeypatch):
    # skl2onnx 1.20 passes bools, which protobuf 7 refuses, as the page says.
    add = tree_ensemble.add_node

    def add_node(*args, nodes_missing_value_tracks_true=0, **kwargs):
        return add(
            *args,
            nodes_missing_value_tracks_true=int(nodes_missing_value_tracks_true),
            **kwargs,
        )

    monkeypatch.setattr(tree_ensemble, "add_node", add_node)


def data(n_classes=3, kind="strings", seed=0):
    """Return samples in no unit in particular, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, 4))
    logits = X[:, :n_classes] + X[:, [3]] ** 2 * np.arange(n_classes)
    codes = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return X * [1.0, 5.0, 0.1, 2.0] + [0.0, 3.0, 1.0, -20.0], np.array(CLASSES[kind])[codes]


def elsewhere(X):
    """Return samples near and far from those of the fit."""
    rng = np.random.default_rng(1)
    far = X + 20.0 * X.std(axis=0) * rng.normal(size=X.shape)
    return np.concatenate([X, X + 0.3 * X.std(axis=0) * rng.normal(size=X.shape), far])


def teacher():
    return RandomForestClassifier(10, min_samples_leaf=3, random_state=0)


def logistic(**kwargs):
    return SoftLabelLogisticRegression(C=10.0, **kwargs)


def session_of(model, types):
    graph = to_onnx(model, initial_types=types, options={"zipmap": False})
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run_onnx(model, X):
    """Return labels and probabilities of an ONNX model with inputs of the dtype of X."""
    tensor = DoubleTensorType if X.dtype == np.float64 else FloatTensorType
    return session_of(model, [("X", tensor([None, X.shape[1]]))]).run(None, {"X": X})


def assert_onnx_agrees(model, plain, X, atol):
    labels, proba = run_onnx(plain, X)
    expected = model.predict_proba(X)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=atol)
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * atol
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(labels[clear], model.predict(X)[clear])


def assert_same(model, other, X):
    """Predictions are the same bits."""
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(model, method):
            with np.errstate(divide="ignore"):  # scikit-learn's logarithms of 0
                one, two = getattr(model, method)(X), getattr(other, method)(X)
            np.testing.assert_array_equal(two, one, strict=True)


# Students that ONNX runs in float64, and those for float32.
DOUBLE = {
    "logistic": logistic(),
    "no intercept": logistic(fit_intercept=False),
    "sparse": SoftLabelLogisticRegression(C=0.1, l1_ratio=1.0),
    "cv": SoftLabelLogisticRegressionCV(Cs=3, cv=3),
    "standard": make_pipeline(StandardScaler(), logistic()),
    "min-max": make_pipeline(MinMaxScaler(), logistic()),
    "robust": make_pipeline(RobustScaler(), logistic()),
    "pca": make_pipeline(StandardScaler(), PCA(3), logistic()),
    "search": GridSearchCV(
        make_pipeline(StandardScaler(), SoftLabelLogisticRegression()),
        {"softlabellogisticregression__C": [0.1, 10.0]},
        cv=3,
    ),
}
if has_fit_parameter(MLPClassifier(), "sample_weight"):  # scikit-learn 1.7
    DOUBLE["network"] = make_pipeline(
        StandardScaler(), MLPClassifier((8,), solver="lbfgs", alpha=1.0, random_state=0)
    )
    DOUBLE["network"].set_params(mlpclassifier__max_iter=2000)
SINGLE = {
    "polynomial": make_pipeline(StandardScaler(), PolynomialFeatures(2), logistic()),
    "tree": DecisionTreeClassifier(max_depth=6, random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "extra trees": ExtraTreesClassifier(10, max_depth=6, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=20, random_state=0),
}


@pytest.mark.parametrize(("n_classes", "kind"), [(2, "integers"), (3, "strings")])
@pytest.mark.parametrize("name", DOUBLE)
def test_onnx_in_float64(name, n_classes, kind):
    X, y = data(n_classes, kind)
    model = DistilledClassifier(teacher(), DOUBLE[name]).fit(X, y)
    assert len(model.classes_) == n_classes
    if name == "sparse":
        assert (model.student_.coef_ == 0.0).any()
    assert_onnx_agrees(model, model.to_sklearn(), elsewhere(X), atol=1e-12)


@pytest.mark.parametrize(("n_classes", "kind"), [(2, "integers"), (3, "strings")])
@pytest.mark.parametrize("name", SINGLE)
def test_onnx_in_float32(name, n_classes, kind):
    X, y = data(n_classes, kind)
    X = X.astype(np.float32)
    model = DistilledClassifier(teacher(), SINGLE[name]).fit(X, y)
    new = X if name == "polynomial" else elsewhere(X).astype(np.float32)
    assert_onnx_agrees(model, model.to_sklearn(), new, atol=1e-6)


@pytest.mark.parametrize("student", [logistic(), DOUBLE["standard"], SINGLE["forest"]])
def test_onnx_with_a_temperature_of_its_own(student):
    X, y = data()
    X = X.astype(np.float32)
    model = DistilledClassifier(teacher(), student, temperature="auto").fit(X, y)
    assert model.temperature_ != 1.0
    tree = isinstance(student, RandomForestClassifier)
    new = X if tree else X.astype(np.float64)
    assert_onnx_agrees(model, model.to_sklearn(), new, atol=1e-6 if tree else 1e-12)


def test_onnx_with_a_temperature_of_hinton():
    X, y = data()
    model = DistilledClassifier(teacher(), temperature=4.0).fit(X, y)
    assert_onnx_agrees(model, model.to_sklearn(), elsewhere(X), atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_onnx_with_huge_logits(n_classes):
    X, y = data(n_classes)
    model = logistic().fit(X, y)
    model.coef_ *= 1e4
    logits = np.abs(model.decision_function(X))
    assert logits.max() > 1e4
    for dtype, atol in ((np.float64, 1e-9), (np.float32, 1e-6)):
        few = X.astype(dtype)
        # In float32 a logit is known to 1e-7 of its size: take rows where it does not matter.
        top = np.sort(np.column_stack([np.zeros(len(X)), logits]), axis=1)
        few = few[top[:, -1] - top[:, -2] > 1e3] if dtype == np.float32 else few
        labels, proba = run_onnx(model.to_sklearn(), few)
        assert len(few) > 20
        assert np.isfinite(proba).all()
        np.testing.assert_allclose(proba, model.predict_proba(few), rtol=0, atol=atol)
        np.testing.assert_array_equal(labels, model.predict(few))


@pytest.mark.parametrize("classes", [["c", "a", "b"], [7, -1, 3], ["b", "a"], [1, 0]])
def test_onnx_keeps_the_order_of_classes(classes):
    X, y = data(len(classes))
    model = logistic(classes=classes).fit(
        X, np.eye(len(classes))[np.unique(y, return_inverse=True)[1]]
    )
    assert model.classes_.tolist() == classes
    assert_onnx_agrees(model, model.to_sklearn(), elsewhere(X), atol=1e-12)


def test_onnx_of_columns_of_several_types():
    X, y = data()
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "height": X[:, 0],
            "width": X[:, 1],
            "rooms": rng.integers(1, 4, size=len(X)),
            "town": rng.choice(["Bergen", "Oslo", "Voss"], size=len(X)),
        }
    )
    encode = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["height", "width"]),
            ("categories", OneHotEncoder(handle_unknown="ignore"), ["rooms", "town"]),
        ]
    )
    model = DistilledClassifier(
        make_pipeline(encode, teacher()), make_pipeline(encode, logistic())
    ).fit(frame, y)
    frame.loc[:9, "town"] = "Tromsø"  # unknown to the encoder
    types = [
        ("height", DoubleTensorType([None, 1])),
        ("width", DoubleTensorType([None, 1])),
        ("rooms", Int64TensorType([None, 1])),
        ("town", StringTensorType([None, 1])),
    ]
    columns = {name: frame[[name]].to_numpy() for name in frame}
    columns["town"] = columns["town"].astype(object)
    labels, proba = session_of(model.to_sklearn(), types).run(None, columns)
    np.testing.assert_allclose(proba, model.predict_proba(frame), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(labels, model.predict(frame))


@pytest.mark.parametrize("gamma", [None, 0.7])
def test_onnx_of_nystroem_with_the_converter_of_the_page(page, gamma):
    X, y = data()
    kernel = Nystroem(n_components=20, gamma=gamma, random_state=0)
    model = DistilledClassifier(
        teacher(), make_pipeline(StandardScaler(), kernel, logistic())
    ).fit(X, y)
    assert_onnx_agrees(model, model.to_sklearn(), elsewhere(X), atol=1e-12)


def test_page(page):
    _, printed = page
    assert blocks("text")
    for shown in blocks("text"):
        assert shown in printed


TREE = "sklearn.tree._tree.Tree"
HISTOGRAM_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
LOGISTIC = "sklkl.linear_model._logistic.SoftLabelLogisticRegression"
LOGISTIC_CV = "sklkl.linear_model._logistic_cv.SoftLabelLogisticRegressionCV"
DISTILLED = "sklkl.distillation._distilled.DistilledClassifier"
POOLED = ["sklkl.distillation._pooling.PooledClassifier", "sklearn.utils._bunch.Bunch"]
CALIBRATED = [
    "sklkl.calibration._calibrated.SoftCalibratedClassifierCV",
    "sklkl.calibration._calibrated.CalibratedPair",
]
SCALING = "sklkl.calibration._scaling."


def frozen():
    return FrozenEstimator(teacher().fit(*data()))


# An estimator, and the types that skops has to be told to trust once it is fitted.
MODELS = {
    "logistic": (lambda: logistic(), [LOGISTIC]),
    "classes": (lambda: logistic(classes=["spam", "other", "ham"]), [LOGISTIC]),
    "cv": (lambda: SoftLabelLogisticRegressionCV(Cs=3, cv=3), [LOGISTIC_CV]),
    "distilled": (lambda: DistilledClassifier(teacher()), [DISTILLED, LOGISTIC, TREE]),
    "frozen": (
        lambda: DistilledClassifier(frozen(), temperature=3.0),
        [DISTILLED, LOGISTIC, TREE],
    ),
    "pipeline": (
        lambda: DistilledClassifier(
            GaussianNB(),
            make_pipeline(StandardScaler(), PolynomialFeatures(2), logistic()),
            temperature="auto",
            hard_label_weight="auto",
        ),
        [DISTILLED, LOGISTIC],
    ),
    "divergence": (
        lambda: DistilledClassifier(
            GaussianNB(), n_synthetic=20, divergence="jensen_shannon", random_state=0
        ),
        [DISTILLED, LOGISTIC],
    ),
    "pipeline with cv": (
        lambda: DistilledClassifier(
            GaussianNB(),
            make_pipeline(StandardScaler(), SoftLabelLogisticRegressionCV(Cs=3, cv=3)),
        ),
        [DISTILLED, LOGISTIC_CV],
    ),
    "tree": (
        lambda: DistilledClassifier(GaussianNB(), DecisionTreeClassifier(max_depth=4)),
        [DISTILLED, TREE],
    ),
    "histograms": (
        lambda: DistilledClassifier(GaussianNB(), HistGradientBoostingClassifier(max_iter=5)),
        [DISTILLED, HISTOGRAM_TREE],
    ),
    "hot tree": (
        lambda: DistilledClassifier(
            frozen(), DecisionTreeClassifier(max_depth=4), temperature=2.0
        ),
        [DISTILLED, TREE],
    ),
    "pool": (lambda: PooledClassifier([frozen(), GaussianNB()]), [*POOLED, TREE]),
    "learned pool": (
        lambda: PooledClassifier(
            {"bayes": GaussianNB(), "linear": logistic()},
            pooling="geometric",
            weights="learned",
        ),
        [*POOLED, LOGISTIC],
    ),
    "temperature": (
        lambda: SoftCalibratedClassifierCV(GaussianNB(), cv=3),
        [*CALIBRATED, SCALING + "VectorScaling"],
    ),
    "vector": (
        lambda: SoftCalibratedClassifierCV(GaussianNB(), method="vector", ensemble=False),
        [*CALIBRATED, SCALING + "VectorScaling"],
    ),
    "dirichlet": (
        lambda: SoftCalibratedClassifierCV(frozen(), method="dirichlet"),
        [*CALIBRATED, SCALING + "DirichletScaling", TREE],
    ),
}
CONVERTIBLE = [
    name
    for name in MODELS
    if name not in ("hot tree", "pool", "learned pool", "temperature", "vector", "dirichlet")
]


def fitted(name):
    X, y = data()
    return MODELS[name][0]().fit(X, y), elsewhere(X)


@pytest.mark.parametrize("name", MODELS)
def test_stored_and_loaded(name, tmp_path):
    model, X = fitted(name)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        assert_same(model, pickle.loads(pickle.dumps(model, protocol)), X)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path, compress=3)
    assert_same(model, joblib.load(path), X)
    joblib.dump(model, path)
    assert_same(model, joblib.load(path), X)
    if name not in ("hot tree", "tree", "frozen", "distilled", "histograms", "pool"):
        mapped = joblib.load(path, mmap_mode="r")  # read-only arrays
        assert_same(model, mapped, X)


@pytest.mark.parametrize("name", MODELS)
def test_skops(name):
    model, X = fitted(name)
    stored = skops.io.dumps(model)
    trusted = MODELS[name][1]
    assert sorted(skops.io.get_untrusted_types(data=stored)) == sorted(trusted)
    for absent in trusted:
        with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match=absent):
            skops.io.loads(stored, trusted=[name for name in trusted if name != absent])
    loaded = skops.io.loads(stored, trusted=trusted)
    assert vars(loaded).keys() == vars(model).keys()
    assert_same(model, loaded, X)


def test_skops_after_partial_fit():
    X, y = data()
    model = SoftLabelLogisticRegression().partial_fit(X, y, classes=CLASSES["strings"])
    stored = skops.io.dumps(model)
    trusted = [LOGISTIC, "sklkl.linear_model._stream.Posterior"]
    assert sorted(skops.io.get_untrusted_types(data=stored)) == trusted
    loaded = skops.io.loads(stored, trusted=trusted)
    for each in (model, loaded):
        each.partial_fit(X[:50], y[:50])
    assert_same(model, loaded, X)


@pytest.mark.parametrize("name", MODELS)
def test_the_page_names_what_skops_asks_about(name):
    text = PAGE.read_text(encoding="utf-8")
    for path in MODELS[name][1]:
        assert f"`{path.removeprefix(SCALING)}`" in text


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_to_sklearn(name):
    model, X = fitted(name)
    plain = model.to_sklearn()
    for method in ("predict_proba", "decision_function"):
        if hasattr(model, method):
            expected = getattr(model, method)(X)
            scale = 1e-12 * max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(
                getattr(plain, method)(X), expected, rtol=1e-12, atol=scale
            )
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    stored = skops.io.dumps(plain)
    untrusted = skops.io.get_untrusted_types(data=stored)
    assert set(untrusted) == set(MODELS[name][1]) & {TREE, HISTOGRAM_TREE} - (
        {TREE} if name in ("distilled", "frozen") else set()
    )
    assert_same(plain, skops.io.loads(stored, trusted=untrusted), X)


def test_to_sklearn_in_single_precision():
    X, y = data()
    model = logistic().fit(X.astype(np.float32), y)
    plain = model.to_sklearn()
    assert plain.coef_.dtype == np.float32
    np.testing.assert_allclose(plain.predict_proba(X), model.predict_proba(X), atol=1e-12)


def test_a_process_without_this_library(tmp_path):
    cases = []
    for name in CONVERTIBLE:
        model, X = fitted(name)
        stored = pickle.dumps(model.to_sklearn())
        assert b"sklkl" not in stored
        cases.append((stored, X, model.predict_proba(X), model.predict(X)))
    (tmp_path / "cases.pickle").write_bytes(pickle.dumps(cases))
    code = """
        import pickle, sys
        sys.modules["sklkl"] = None
        try:
            import sklkl
        except ImportError:
            pass
        else:
            raise AssertionError("sklkl is not blocked")
        import numpy as np
        for stored, X, proba, labels in pickle.load(open("cases.pickle", "rb")):
            model = pickle.loads(stored)
            np.testing.assert_allclose(model.predict_proba(X), proba, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(model.predict(X), labels)
            print(type(model).__name__)
        """
    code = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(CONVERTIBLE)


@pytest.mark.parametrize(
    "student",
    [
        SoftCalibratedClassifierCV(GaussianNB(), cv=3),
        PooledClassifier([GaussianNB()]),
        BaggingClassifier(SoftLabelLogisticRegression(), 3, random_state=0),
        make_pipeline(
            StandardScaler(), CalibratedClassifierCV(SoftLabelLogisticRegression(), cv=3)
        ),
    ],
    ids=lambda student: type(student).__name__,
)
def test_to_sklearn_returns_nothing_that_needs_this_library(student):
    X, y = data()
    model = DistilledClassifier(teacher(), student).fit(X, y)
    try:
        plain = model.to_sklearn()
    except ValueError as error:
        assert "to_sklearn" in str(error) or "scikit-learn" in str(error)  # noqa: PT017
    else:
        assert b"sklkl" not in pickle.dumps(plain)


def requests(model):
    """Return the model with weights requested wherever its fit passes them on."""
    if isinstance(model, DistilledClassifier) and model.student is None:
        model.set_params(student=logistic())
    for estimator in model.get_params(deep=True).values():
        if hasattr(estimator, "set_fit_request") and has_fit_parameter(
            estimator, "sample_weight"
        ):
            estimator.set_fit_request(sample_weight=True)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_with_metadata_routing(name, tmp_path):
    X, y = data()
    weight = np.random.default_rng(3).uniform(0.5, 2.0, size=len(X))
    expected = None
    if name in ("logistic", "classes", "cv"):
        expected = MODELS[name][0]().fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        model = requests(MODELS[name][0]())
        for copy in (
            clone(model),
            pickle.loads(pickle.dumps(model)),
            clone(pickle.loads(pickle.dumps(model))),
        ):
            assert repr(copy.get_metadata_routing()) == repr(model.get_metadata_routing())
            assert repr(copy) == repr(model)
        copies = [
            pickle.loads(pickle.dumps(clone(model))).fit(X, y, sample_weight=weight),
            model.fit(X, y, sample_weight=weight),
        ]
        copies.append(pickle.loads(pickle.dumps(model)))
        joblib.dump(model, tmp_path / "model")
        copies.append(joblib.load(tmp_path / "model"))
        for copy in copies[1:]:
            assert_same(model, copy, elsewhere(X))
            assert repr(copy.get_metadata_routing()) == repr(model.get_metadata_routing())
        if "tree" not in name:
            assert_same(model, copies[0], X)
        if name in CONVERTIBLE:
            plain = pickle.loads(pickle.dumps(model.to_sklearn()))
            np.testing.assert_allclose(
                plain.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12
            )
    if expected is not None:
        assert_same(expected, model, X)
