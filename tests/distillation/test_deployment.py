"""Students outside: pickled, in skops and ONNX files, and without this library."""

import io
import pickle
import re
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import ensemble
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.preprocessing import PolynomialFeatures as Polynomial
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from sklkl.calibration import SoftCalibratedClassifierCV
from sklkl.distillation import DeferringClassifier, DistilledClassifier, PooledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV

onnxruntime = pytest.importorskip("onnxruntime")
skops_io = pytest.importorskip("skops.io")
to_onnx = pytest.importorskip("skl2onnx").to_onnx
tree_ensemble = pytest.importorskip("skl2onnx.common.tree_ensemble")
data_types = pytest.importorskip("skl2onnx.common.data_types")
Doubles, Floats = data_types.DoubleTensorType, data_types.FloatTensorType
Integers, Strings = data_types.Int64TensorType, data_types.StringTensorType

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLASSES = {"strings": ["ham", "other", "spam"], "integers": [3, 7, 11]}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return what the page prints; it registers a converter."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        patch.setattr(sys, "stdout", printed)
        names = {}
        for code in blocks("python"):
            exec(compile(code, PAGE.name, "exec"), names)
    return printed.getvalue()


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
        missing = int(nodes_missing_value_tracks_true)
        return add(*args, nodes_missing_value_tracks_true=missing, **kwargs)

    monkeypatch.setattr(tree_ensemble, "add_node", add_node)


def data(n_classes=3, kind="strings"):
    """Return samples in no unit in particular, and labels that depend on them."""
    rng = np.random.default_rng(0)
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
    return ensemble.RandomForestClassifier(5, min_samples_leaf=3, random_state=0)


def logistic(**kwargs):
    return SoftLabelLogisticRegression(C=10.0, **kwargs)


def search(name, estimator):
    return GridSearchCV(estimator, {name: [0.1, 10.0]}, cv=2)


def run_onnx(model, X, types=None):
    """Return labels and probabilities of an ONNX model, its inputs of the dtype of X."""
    if types is None:
        tensor = Doubles if X.dtype == np.float64 else Floats
        types, X = [("X", tensor([None, X.shape[1]]))], {"X": X}
    graph = to_onnx(model, initial_types=types, options={"zipmap": False})
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, X)


def assert_converts(model, X, atol):
    """What scikit-learn and ONNX predict without this library."""
    before = pickle.dumps(model)
    plain = model.to_sklearn()
    assert pickle.dumps(model) == before
    assert b"sklkl" not in pickle.dumps(plain)
    expected = model.predict_proba(X)
    exact = 1e-12 if X.dtype == np.float64 else 1e-6
    assert_allclose(plain.predict_proba(X), expected, rtol=exact, atol=exact)
    assert_array_equal(plain.predict(X), model.predict(X))
    labels, proba = run_onnx(plain, X)
    assert_allclose(proba, expected, rtol=0, atol=atol)
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * atol
    assert clear.mean() > 0.95
    assert_array_equal(labels[clear], model.predict(X)[clear])


def assert_same(model, other, X):
    """Predictions are the same bits."""
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(model, method):
            with np.errstate(divide="ignore"):  # scikit-learn's logarithms of 0
                one, two = getattr(model, method)(X), getattr(other, method)(X)
            assert_array_equal(two, one, strict=True)


# -- ONNX ----------------------------------------------------------------------

LOGISTICS = SoftLabelLogisticRegressionCV(Cs=2, cv=2)
# Students that ONNX runs in float64, and those for float32.
DOUBLE = {
    "logistic": logistic(),
    "no intercept": logistic(fit_intercept=False),
    "sparse": SoftLabelLogisticRegression(C=0.1, l1_ratio=1.0),
    "cv": LOGISTICS,
    "min-max": make_pipeline(MinMaxScaler(), logistic()),
    "robust": make_pipeline(RobustScaler(), logistic()),
    "pca": make_pipeline(StandardScaler(), PCA(3), search("C", logistic())),
    "search": search("last__C", Pipeline([("first", RobustScaler()), ("last", logistic())])),
}
if has_fit_parameter(MLPClassifier(), "sample_weight"):  # scikit-learn 1.7
    network = MLPClassifier((4,), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0)
    DOUBLE["network"] = make_pipeline(StandardScaler(), network)
SINGLE = {
    "polynomial": make_pipeline(StandardScaler(), make_pipeline(Polynomial(2), logistic())),
    "tree": DecisionTreeClassifier(max_depth=6, random_state=0),
    "forest": ensemble.RandomForestClassifier(5, random_state=0),
    "extra trees": ensemble.ExtraTreesClassifier(5, max_depth=6, random_state=0),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histograms": ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=0),
}


@pytest.mark.parametrize("name", [*DOUBLE, *SINGLE])
def test_onnx(name):
    single = name in SINGLE
    student = SINGLE[name] if single else DOUBLE[name]
    X, y = data(2, "integers") if len(name) % 2 else data()  # some of each kind
    X = X.astype(np.float32) if single else X
    # A logistic student learns at any temperature, and predicts at 1; labels alone are 1's.
    model = DistilledClassifier(teacher(), student, calibrate=name in ("pca", "forest"))
    model.set_params(temperature={"robust": 4.0, "tree": 2.0}.get(name, 1.0))
    model.set_params(hard_label_weight=float(name == "tree")).fit(X, y)
    assert (model.calibration_temperature_ != 1.0) == model.calibrate
    assert name != "sparse" or (model.student_.coef_ == 0.0).any()
    new = X if name in ("polynomial", "forest") else elsewhere(X).astype(X.dtype)
    assert_converts(model, new, atol=1e-6 if single else 1e-12)


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
        assert_allclose(proba, model.predict_proba(few), rtol=0, atol=atol)
        assert_array_equal(labels, model.predict(few))


@pytest.mark.parametrize("classes", [["c", "a", "b"], [1, 0]])
def test_onnx_keeps_the_order_of_classes(classes):
    X, y = data(len(classes))
    soft = np.eye(len(classes))[np.unique(y, return_inverse=True)[1]]
    model = logistic(classes=classes).fit(X, soft)
    assert model.classes_.tolist() == classes
    assert_converts(model, elsewhere(X), atol=1e-12)


def test_onnx_of_columns_of_several_types():
    X, y = data()
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"height": X[:, 0], "rooms": rng.integers(1, 4, size=len(X))})
    frame["town"] = rng.choice(["Bergen", "Oslo", "Voss"], size=len(X))
    categories = OneHotEncoder(handle_unknown="ignore")
    encode = ColumnTransformer(
        [("a", StandardScaler(), ["height"]), ("b", categories, ["rooms", "town"])]
    )
    pair = (make_pipeline(encode, inner) for inner in (teacher(), logistic()))
    model = DistilledClassifier(*pair).fit(frame, y)
    frame.loc[:9, "town"] = "Tromsø"  # unknown to the encoder
    tensors = {"height": Doubles, "rooms": Integers, "town": Strings}
    types = [(name, tensor([None, 1])) for name, tensor in tensors.items()]
    columns = {name: frame[[name]].to_numpy() for name in frame}
    columns["town"] = columns["town"].astype(object)
    labels, proba = run_onnx(model.to_sklearn(), columns, types)
    assert_allclose(proba, model.predict_proba(frame), rtol=0, atol=1e-12)
    assert_array_equal(labels, model.predict(frame))


def gaps_and_towns():
    """Return a frame with gaps and categories of the fit, and one with others; and labels."""
    X, y = data()
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.loc[rng.uniform(size=len(X)) < 0.2, ["a", "c"]] = np.nan
    frame["town"] = rng.choice(["Bergen", "Oslo", "Voss"], size=len(X))
    new = frame.copy()
    new.loc[:9, "town"] = "Tromsø"
    new.loc[5:15, ["b", "d"]] = np.nan  # where the fit saw none
    return frame, new, y


FILL = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
USUAL = {
    "scaler": StandardScaler(),
    "indicator": FILL,
    "plain": SimpleImputer(strategy="median"),
    "frame": ColumnTransformer(
        [("n", FILL, list("abcd")), ("c", OneHotEncoder(handle_unknown="ignore"), ["town"])]
    ),
}


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_onnx_of_usual_pipelines(page, name, dtype):
    """The student is in the pipeline, or the pipeline ends in the distilled classifier."""
    frame, new, y = gaps_and_towns()
    frame, new = (f.astype(dict.fromkeys("abcd", dtype)) for f in (frame, new))
    tensor = Doubles if dtype == np.float64 else Floats
    types, inputs = None, None
    if name == "frame":
        types = [(c, tensor([None, 1])) for c in "abcd"] + [("town", Strings([None, 1]))]
        inputs = {c: new[[c]].to_numpy(object if c == "town" else dtype) for c in new}
    elif name == "scaler":
        frame, new = data()[0].astype(dtype), elsewhere(data()[0]).astype(dtype)
    else:
        frame, new = (f[list("abcd")].to_numpy() for f in (frame, new))
    inputs = new if inputs is None else inputs
    before = USUAL[name]
    pair = make_pipeline(before, teacher()), make_pipeline(before, logistic())
    inside = DistilledClassifier(*pair).fit(frame, y)
    outside = make_pipeline(before, DistilledClassifier(teacher(), logistic())).fit(frame, y)
    plain = make_pipeline(*outside[:-1], outside[-1].to_sklearn())
    for model, converted in ((inside, inside.to_sklearn()), (outside, plain)):
        proba = run_onnx(converted, inputs, types)[1]
        atol = 1e-12 if dtype == np.float64 else 1e-6
        assert_allclose(proba, model.predict_proba(new), rtol=0, atol=atol)


def test_onnx_of_text():
    """Words as in Python, also outside a to z, without the locale of another system."""
    rng = np.random.default_rng(4)
    known = ["cat", "dogs", "a", "été", "naïve", "ab-cd", "Don't", "x_1", "猫猫", "3"]
    texts = [" ".join(rng.choice(known, size=6)) for _ in range(60)]
    y = np.where(["cat" in text for text in texts], "cat", "other")
    words = {"tokenexp": r"[\p{L}\p{N}_]{2,}", "locale": "C"}
    assert words["tokenexp"] in TEXT
    pair = (make_pipeline(TfidfVectorizer(), m) for m in (teacher(), logistic()))
    model = DistilledClassifier(*pair).fit(texts, y)
    plain = model.to_sklearn()
    new = [*texts, "nothing known", "", "cat,cat!dogs"]
    types = [("X", Strings([None, 1]))]
    options = {id(plain): {"zipmap": False}, id(plain[0]): words}
    graph = to_onnx(plain, initial_types=types, options=options)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    proba = session.run(None, {"X": np.array(new, dtype=object)[:, np.newaxis]})[1]
    assert_allclose(proba, model.predict_proba(new), rtol=0, atol=1e-6)


def test_page_and_its_converter_of_nystroem(page):
    assert blocks("text")
    for shown in blocks("text"):
        assert shown in page
    X, y = data()
    for gamma in (None, 0.7):
        kernel = Nystroem(n_components=20, gamma=gamma, random_state=0)
        student = make_pipeline(StandardScaler(), kernel, logistic())
        model = DistilledClassifier(teacher(), student).fit(X, y)
        assert_converts(model, elsewhere(X), atol=1e-12)


# -- Files ---------------------------------------------------------------------

TREE = "sklearn.tree._tree.Tree"
HISTOGRAM_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
LOGISTIC = "sklkl.linear_model._logistic.SoftLabelLogisticRegression"
LOGISTIC_CV = "sklkl.linear_model._logistic_cv.SoftLabelLogisticRegressionCV"
DISTILLED = "sklkl.distillation._distilled.DistilledClassifier"
POOLED = ["sklkl.distillation._pooling.PooledClassifier", "sklearn.utils._bunch.Bunch"]
CALIBRATED = "sklkl.calibration._calibrated."
SCALING = "sklkl.calibration._scaling."
PAIRS = [CALIBRATED + "SoftCalibratedClassifierCV", CALIBRATED + "CalibratedPair"]
FROZEN = FrozenEstimator(teacher().fit(*data()))
POLYNOMIAL = make_pipeline(StandardScaler(), Polynomial(2), logistic())
GRID = {"hard_label_weight": [0.0, 0.5, 1.0]}
AUTO = {"calibrate": True, "tune": GRID, "cross_fit": 3, "n_synthetic": 20}
HISTOGRAMS = ensemble.HistGradientBoostingClassifier(max_iter=3)
WHOLE = {"method": "dirichlet", "ensemble": False}
# An estimator, and the types that skops has to be told to trust once it is fitted.
MODELS = {
    "frozen": (DistilledClassifier(FROZEN, temperature=3.0), [DISTILLED, LOGISTIC, TREE]),
    "pipeline": (DistilledClassifier(GaussianNB(), POLYNOMIAL, **AUTO), [DISTILLED, LOGISTIC]),
    "cv": (DistilledClassifier(GaussianNB(), LOGISTICS), [DISTILLED, LOGISTIC_CV]),
    "histograms": (
        DistilledClassifier(GaussianNB(), HISTOGRAMS, temperature=2.0),
        [DISTILLED, HISTOGRAM_TREE],
    ),
    "deferring": (
        DeferringClassifier(
            DistilledClassifier(GaussianNB()),
            agreement=0.01,
            confidence_level=0.5,
            random_state=1,
        ),
        ["sklkl.distillation._deferring.DeferringClassifier", DISTILLED, LOGISTIC],
    ),
    "pool": (PooledClassifier([FROZEN, GaussianNB()], weights=[1, 2]), [*POOLED, TREE]),
    "vector": (SoftCalibratedClassifierCV(GaussianNB()), [*PAIRS, SCALING + "VectorScaling"]),
    "dirichlet": (
        SoftCalibratedClassifierCV(GaussianNB(), **WHOLE),
        [*PAIRS, SCALING + "DirichletScaling"],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_files(name, tmp_path):
    model, trusted = MODELS[name]
    model, X = clone(model).fit(*data()), elsewhere(data()[0])
    assert_same(model, pickle.loads(pickle.dumps(model, 2)), X)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    if not {TREE, HISTOGRAM_TREE} & set(trusted):
        assert_same(model, joblib.load(path, mmap_mode="r"), X)  # read-only arrays
    stored = skops_io.dumps(model)
    assert sorted(skops_io.get_untrusted_types(data=stored)) == sorted(trusted)
    for absent in trusted:
        with pytest.raises(skops_io.exceptions.UntrustedTypesFoundException, match=absent):
            skops_io.loads(stored, trusted=[name for name in trusted if name != absent])
        assert f"`{absent.removeprefix(SCALING)}`" in TEXT
    loaded = skops_io.loads(stored, trusted=trusted)
    assert vars(loaded).keys() == vars(model).keys()
    assert_same(model, loaded, X)


def test_skops_after_partial_fit():
    X, y = data()
    model = SoftLabelLogisticRegression().partial_fit(X, y, classes=CLASSES["strings"])
    stored = skops_io.dumps(model)
    trusted = [LOGISTIC, "sklkl.linear_model._stream.Posterior"]
    assert sorted(skops_io.get_untrusted_types(data=stored)) == trusted
    loaded = skops_io.loads(stored, trusted=trusted)
    for each in (model, loaded):
        each.partial_fit(X[:50], y[:50])
    assert_same(model, loaded, X)


# -- Without this library ------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "temperature", "message"),
    [
        (DecisionTreeClassifier(max_depth=4), 2.0, r"predicts at temperature 2\.0"),
        (SoftCalibratedClassifierCV(GaussianNB(), cv=2), 1.0, "holds SoftCalibrated"),
        (PooledClassifier([GaussianNB()]), 1.0, "holds PooledClassifier"),
        (ensemble.BaggingClassifier(logistic(), 2, random_state=0), 1.0, "holds SoftLabelLog"),
        (make_pipeline(CalibratedClassifierCV(logistic(), cv=2)), 1.0, "holds SoftLabelLog"),
    ],
)
def test_to_sklearn_refuses_what_needs_this_library(student, temperature, message):
    X, y = data()
    model = DistilledClassifier(GaussianNB(), student, temperature=temperature).fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.to_sklearn()
