"""What users may pass as ``y``, as names of classes and rows, and as weights."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import cross_val_predict

from sklkl._core import targets
from sklkl._core.classes import check_classes, frame_columns, match_columns, spread, unique
from sklkl._core.distributions import check_rows
from sklkl._core.samples import (
    check_weights,
    encode_groups,
    is_unlabeled,
    match_rows,
    refuse_missing,
    relative,
)
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import loss_interval
from tests._support.layouts import LAYOUTS
from tests._support.messages import matches


def check_target(y, **options):
    """Return classes and values of a target."""
    target = targets.check_target(y, **options)
    return target.classes, target.values


SOFT = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])


# Hard labels


@pytest.mark.parametrize(
    "labels",
    [
        np.array([True, False, True]),
        np.array([-128, 127, 3, 3], np.int8),
        np.array([2**64 - 1, 2**64 - 3, 2**64 - 1], np.uint64),
        np.array([2**63 - 1, -(2**63), 0]),
        np.array([3.0, -1.0, 3.0]),
        np.array(["b", "a", "abc", "b"]),
        np.array(["b", "a", "abc", "b"], object),
        np.array(["2020-01-02", "2020-01-01"], "datetime64[ns]"),
    ],
)
def test_distinct_labels_are_those_of_numpy(labels):
    expected, positions = np.unique(labels, return_inverse=True)
    found, codes = unique(labels)
    assert found.dtype == expected.dtype
    assert codes.dtype == np.intp
    assert_array_equal(found, expected)
    assert_array_equal(codes, positions)


SORTED = [
    ([3, 1, 3, 2], [1, 2, 3], [2, 0, 2, 1]),
    ([2.0, 0.0, -1.0], [-1.0, 0.0, 2.0], [2, 1, 0]),
    (np.array([200, 7], dtype=np.uint8), [7, 200], [1, 0]),
    (("spam", "ham", "spam"), ["ham", "spam"], [1, 0, 1]),
    (np.array(["b", "a", "b"], dtype=object), ["a", "b"], [1, 0, 1]),
    ([True, False, True], [False, True], [1, 0, 1]),
    (pd.Series(["b", "a"], index=[7, 3], dtype="category"), ["a", "b"], [1, 0]),
    (pd.Series([2, 1], dtype="Int64"), [1, 2], [1, 0]),
    (["a", "a"], ["a"], [0, 0]),  # which callers refuse
]
GIVEN = [
    (["z", "a", "m", "a"], ["z", "a", "m"], [0, 1, 2, 1]),
    ([2, 0], [2, 1, 0], [0, 2]),
    ([1.0, 0.0], [0, 1], [1, 0]),
    ([True, False], [0, 1], [1, 0]),
    (np.array(["a", "z"], dtype=object), np.array(["z", "a"]), [1, 0]),
    (pd.Series(["a", "z"], dtype="category"), pd.Index(["z", "a"]), [1, 0]),
]


@pytest.mark.parametrize("given", [False, True])
def test_labels_become_codes_of_the_sorted_or_given_classes(given):
    for y, classes, codes in GIVEN if given else SORTED:
        found, target = check_target(y, classes=classes if given else None)
        assert found.tolist() == list(classes)
        assert target.dtype == np.intp
        assert target.tolist() == codes
        assert given or not isinstance(y, np.ndarray) or found.dtype == y.dtype


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame])
def test_a_column_of_labels_warns(wrap):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        found, target = check_target(wrap([[3], [1], [2]]))
    assert found.tolist() == [1, 2, 3]
    assert target.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (["a", "b", "q", "r"], ["target[2]", "'q'", "['a', 'b']", "classes="]),
        (pd.Series(["b", "1", "a"]), ["target[1]", "'1'", "classes="]),
        ([5, 5], ["target[0]", "5", "classes="]),
    ],
)
def test_the_first_unknown_label_is_named(y, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(y, classes=["a", "b"], name="target")


# Soft targets


@pytest.mark.parametrize("dtype", [float, np.float32, np.float16, ">f8", object, int, bool])
def test_soft_targets_become_floats(dtype):
    y = np.array([[1, 0], [0, 1], [0, 1]], dtype=dtype)
    expected = np.float32 if dtype in (np.float32, np.float16) else np.float64
    classes, target = check_target(y)
    assert classes.tolist() == [0, 1]
    assert target.dtype == expected
    assert target.dtype.isnative
    assert_array_equal(target, y.astype(expected))


@pytest.mark.parametrize("layout", [np.ndarray.tolist, *LAYOUTS.values()])
def test_soft_targets_become_contiguous(layout):
    _, target = check_target(layout(SOFT), classes=["z", "a", "m"])
    assert target.flags.c_contiguous
    assert_array_equal(target, SOFT)


def test_rounding_is_no_fault():
    check_target(np.full((2, 3), np.float32(1 / 3)).astype(np.float64))
    check_target([[0.5, 0.5003], [0.5, 0.4997]])
    y = np.array([[1.0, -1e-7], [0.5, 0.5]])
    y.setflags(write=False)
    assert check_target(y)[1].tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert y[0, 1] == -1e-7


@pytest.mark.parametrize("columns", [["z", "a", "m"], [10, -3, 7], [2.5, 0.5, 1.5]])
def test_columns_of_a_frame_are_the_classes(columns):
    frame = pd.DataFrame(SOFT, columns=columns)
    classes, target = check_target(frame)
    assert classes.tolist() == columns
    assert_array_equal(target, SOFT)
    wanted = [columns[j] for j in (2, 0, 1)]
    classes, target = check_target(frame, classes=wanted)
    assert classes.tolist() == wanted
    assert target.flags.c_contiguous
    assert_array_equal(target, SOFT[:, [2, 0, 1]])
    assert_array_equal(frame.to_numpy(), SOFT)


def test_default_columns_are_names_only_among_equal_labels():
    frame = pd.DataFrame(SOFT)
    assert frame_columns(frame) is None
    assert frame_columns(frame, [1, 2, 3]) is None
    assert frame_columns(frame, [2, 0]).tolist() == [0, 1, 2]
    assert_array_equal(check_target(frame, classes=["z", "a", "m"])[1], SOFT)
    assert_array_equal(check_target(frame, classes=[2, 0, 1])[1], SOFT[:, [2, 0, 1]])
    # Other ranges were given by somebody.
    for columns in (range(1, 4), range(0, 6, 2)):
        classes, _ = check_target(frame.set_axis(columns, axis=1))
        assert classes.tolist() == list(columns)
    frame.columns = [f"column_{j}" for j in range(3)]  # as polars names them
    assert frame_columns(frame, ["a", "b", "c"]) is None
    assert frame_columns(frame, ["column_2", "column_0"]).tolist() == frame.columns.tolist()
    for narrow in (SOFT, ["a", "b"], pd.Series([0, 1]), pd.DataFrame({"a": [0, 1]})):
        assert frame_columns(narrow) is None


def test_columns_of_arrow_tables_and_polars_frames():
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    columns = {"z": SOFT[:, 0], "a": SOFT[:, 1], "m": SOFT[:, 2]}
    for frame in (polars.DataFrame(columns), pyarrow.table(columns)):
        classes, target = check_target(frame, classes=["a", "m", "z"])
        assert classes.tolist() == ["a", "m", "z"]
        assert_array_equal(target, SOFT[:, [1, 2, 0]])


def test_tensors_are_exact_or_refused_by_name():
    torch = pytest.importorskip("torch")
    y = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert_array_equal(check_target(y.bfloat16())[1], y.numpy())
    assert check_target(torch.tensor([3, 1]))[1].tolist() == [1, 0]
    assert is_unlabeled(torch.tensor([1.0, -1.0]).bfloat16(), -1).tolist() == [False, True]
    grad = y.requires_grad_()
    for refuse, name in (
        (lambda: check_target(grad), "y"),
        (lambda: is_unlabeled(grad, -1), "y"),
        (lambda: encode_groups(grad[:, 0], 2), "groups"),
    ):
        with pytest.raises(TypeError, match=rf"{name} is a tensor .*pass {name}\.detach"):
            refuse()


# Refusals


def frame_of(columns):
    return pd.DataFrame(SOFT, columns=list(columns))


ROWS = np.full((6, 3), [0.2, 0.3, 0.5])
BAD_ROWS = {
    "NaN": ([0.5, np.nan, np.inf], "contains NaN"),
    "infinite": ([np.inf, -np.inf, 1.0], "infinite"),
    "negative": ([1.0, 0.0, -1e-5], "negative entry -1e-05 at position 2"),
    "sum": ([0.5, 0.5, 0.001], "sums to 1.001 instead of 1"),
    "zeros": ([0.0, 0.0, 0.0], "sums to 0 instead of 1"),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_the_first_bad_row_is_named(row):
    y = ROWS.copy()
    y[2], problem = BAD_ROWS[row]
    y[4] = np.nan
    for target in (y, y.astype(np.float32), pd.DataFrame(y, list("uvwxyz"))):
        with pytest.raises(ValueError, match=matches("target[2]", problem)):
            check_target(target, name="target")
    with pytest.raises(ValueError, match=matches("rows[2]", problem)):
        check_rows(y, "rows")


COUNTS = [[3, 1], [2, 5]]
SEVERAL = [[1, 1, 0], [0, 1, 0]]
REFUSED = [
    # Labels
    ([0.1, 0.9], {}, ValueError, ["label type: continuous", "np.column_stack", "target"]),
    ([0.0, 1.0, np.nan], {}, ValueError, ["target", "NaN"]),
    ([0.0, 1.0, -np.inf], {"classes": [0, 1]}, ValueError, ["target", "infinity"]),
    ([1, 1j], {}, ValueError, ["Complex data not supported: target"]),
    (pd.Series([1, pd.NA, 0], dtype="Int64"), {}, ValueError, ["target", "NaN"]),
    (["b", None, "a"], {}, TypeError, ["target[1] is missing: None", "unlabeled=np.nan"]),
    (np.array(["b", "a", 2], dtype=object), {}, TypeError, ["[2] is 2", "[0] is 'b'"]),
    # Of lists NumPy alone makes strings.
    (["b", "a", np.nan], {}, TypeError, ["target[2] is missing: nan"]),
    (["a", 3], {}, TypeError, ["target[1] is 3", "target[0] is 'a'"]),
    (np.array(["2026-01-01", "NaT"], dtype="M8[D]"), {}, TypeError, ["[1] is missing"]),
    (pd.Series([np.ones(2)] * 2), {}, TypeError, ["[0] is not a label", "as a matrix"]),
    (np.ma.array([0, 1], mask=[0, 1]), {}, ValueError, ["target has masked entries"]),
    # Probabilities
    ([["a", "b"], ["c", "d"]], {}, TypeError, ["target", "real numbers"]),
    ([[0.5 + 0j, 0.5]], {}, TypeError, ["target", "real numbers"]),
    (SEVERAL, {}, ValueError, ["target[0] sums to 2", "several labels per sample"]),
    (SEVERAL, {"refuse_integers": True}, ValueError, ["several labels per sample"]),
    ([[0.5, 0.5], [1.0]], {}, ValueError, ["target must be an array: its rows differ"]),
    (COUNTS, {"refuse_integers": True}, ValueError, ["integers", "counts", "soft_cross_val"]),
    (np.eye(2, dtype="u1"), {"refuse_integers": True}, ValueError, ["target.astype(float)"]),
    (SOFT, {"classes": ["a", "b"]}, ValueError, ["3 columns", "2 classes", "['a', 'b']"]),
    (sparse.csc_array(SOFT), {}, TypeError, ["target is a sparse", "target.toarray()"]),
    # Frames
    (frame_of("abc"), {"classes": list("abd")}, ValueError, ["target", "['d']", "['c']"]),
    (frame_of("abc"), {"classes": list("abcd")}, ValueError, ["without a column ['d']. Give"]),
    (frame_of("abc"), {"classes": list("xyz")}, ValueError, ["columns=model.classes_"]),
    (frame_of("aba"), {}, ValueError, ["columns of target names a class twice", "'b', 'a'"]),
    # Neither
    (None, {}, ValueError, ["the target target is None"]),
    ([], {}, ValueError, ["target is empty: 0 samples"]),
    (np.empty((0, 2)), {}, ValueError, ["target is empty: 0 samples"]),
    (np.empty((2, 0)), {}, ValueError, ["target is empty: 0 columns"]),
    (np.ones((1, 1, 1)), {}, ValueError, ["target", "(n_samples,)", "(1, 1, 1)"]),
    ("label", {}, ValueError, ["target", "(n_samples,)", "()"]),
    # Classes
    ([0, 1], {"classes": [0, 1, 1]}, ValueError, ["classes", "twice", "[0, 1, 1]"]),
    (SOFT, {"classes": [0]}, ValueError, ["classes", "at least two", "[0]"]),
    (SOFT, {"classes": ["a", 1, 2]}, TypeError, ["classes mixes strings", "['a', 1, 2]"]),
]


@pytest.mark.parametrize(("y", "options", "error", "parts"), REFUSED)
def test_what_is_no_target(y, options, error, parts):
    with pytest.raises(error, match=matches(*parts)):
        check_target(y, name="target", **options)


@pytest.mark.parametrize("dtype", [float, object, "Float64", "float64[pyarrow]"])
def test_a_missing_probability_is_named_by_its_row(dtype):
    if dtype == "float64[pyarrow]":
        pytest.importorskip("pyarrow")
    missing = np.nan if dtype is float else pd.NA
    frame = pd.DataFrame([[0.5, 0.5], [0.5, 0.5], [missing, 0.5]], dtype=dtype)
    refuse_missing(frame[:2].to_numpy(), "target")
    refuse_missing(["labels"], "target")
    for refuse, rows in ((check_target, frame), (refuse_missing, frame.to_numpy())):
        with pytest.raises(ValueError, match=r"target\[2\] contains NaN; drop or fill"):
            refuse(rows, name="target")


def test_the_ranks_that_cross_val_predict_makes_are_refused():
    """The ranks of smoothed labels are one-hot rows: only their dtype gives them away."""
    assert_array_equal(check_target(np.eye(3), refuse_integers=True)[1], np.eye(3))
    y = np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1))
    X = np.linspace(-1.0, 1.0, len(y))[:, None]
    model = SoftLabelLogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="cross_val_predict"):
        cross_val_predict(model, X, y, method="predict_proba")


def test_what_is_no_list_of_classes():
    for labels, problem in (
        *((no_list, "must be a list") for no_list in (5, [[0], [1, 2]], [{}, {}], [1j, 2j])),
        ([0, None], ": label 1 is missing, None"),
        ([0.0, np.nan], ": label 1 is missing, nan"),
        (["a", "a"], "names a class twice: ['a', 'a']"),
    ):
        with pytest.raises(ValueError, match=matches("labels", problem)):
            check_classes(labels, "labels")


# Names of rows and columns


def test_rows_match_by_their_labels():
    a = pd.Series([1, 2, 3], index=[7, 3, 5])
    same = pd.DataFrame(SOFT, index=[7, 3, 5])
    match_rows(a=a, b=same, c=SOFT, d=pd.Series([1, 2, 3]), e=None, f=2.0)
    for index in ([3, 7, 5], [7, 3, 6], ["7", "3", "5"]):
        with pytest.raises(ValueError, match=matches("rows of a and b", "b.to_numpy()")):
            match_rows(a=a, b=same.set_axis(index))
    # Default labels are labels where the others are the same numbers.
    with pytest.raises(ValueError, match="row 0 is 2 in b and 0 in a"):
        match_rows(a=pd.Series([1, 2, 3]), b=same.set_axis([2, 0, 1]))
    with pytest.raises(ValueError, match="row 0 is 0 in a and 2 in b"):
        match_rows(a=same.set_axis([0, 1, 2]), b=same.set_axis(range(2, -1, -1)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples: a has 3, b has 2"):
        match_rows(a=a, b=[1, 2])
    for other in ({"a": 1}, "abc", 1j):
        with pytest.raises(TypeError, match=r"^b must be an array of samples"):
            match_rows(a=a, b=other)


@pytest.mark.parametrize("given", ["y", "X"])
def test_slices_of_default_labels_are_no_names(given):
    """As cross-validation makes them; the same numbers in another order are names."""
    both = {"X": pd.DataFrame({"x": np.linspace(-1.0, 1.0, 10)}), "y": pd.Series([0, 1] * 5)}
    model = SoftLabelLogisticRegression()
    odd = [1, 3, 5, 7, 9, 0]
    first = {name: frame.iloc[:6] for name, frame in both.items()}
    model.fit(**{**first, given: both[given].iloc[odd]})
    model.fit(both["X"].iloc[odd], both["y"].iloc[[8, 6, 4, 2, 1, 0]])
    with pytest.raises(ValueError, match="have different labels: row 0 is"):
        model.fit(**{**both, given: both[given].iloc[::-1]})


def test_columns_that_are_no_classes():
    """What is wrong is named, and no list is empty."""
    known = np.array(["a", "b"])
    for columns, said in (
        (["a", "b", "case"], r"unknown columns \['case'\]. Drop what is no class, as an id"),
        (["a"], r"without a column \['b'\]. Give each class a column"),
        (["a", "c"], r"column \['b'\], unknown columns \['c'\]. Name all classes"),
        (["c", "d"], r"unknown columns \['c', 'd'\]. Name the columns by the classes"),
    ):
        with pytest.raises(
            ValueError, match=r"The columns of y are not the classes: .*" + said
        ):
            match_columns(np.ones((2, len(columns))), columns, known, "y")
    frame = pd.DataFrame({"case": [0, 1], "a": [0.5, 0.5], "b": [0.5, 0.5]})
    with pytest.raises(ValueError, match=r"y\[1\] sums to 2 .* make it the index"):
        check_target(frame)


def test_columns_are_put_in_the_order_of_classes():
    columns, classes = np.array(["b", "c", "a"]), np.array(["a", "b", "c"])
    assert_array_equal(match_columns(SOFT, columns, classes, "y"), SOFT[:, [2, 0, 1]])
    wide = spread(["c", "a"], SOFT[:, :2], ["a", "b", "c"], absent=-np.inf)
    assert_array_equal(wide[:, [2, 0]], SOFT[:, :2])
    assert (wide[:, 1] == -np.inf).all()
    with pytest.raises(ValueError, match=matches("One knows", "two does not: ['q']")):
        spread(["q", "a"], SOFT[:, :2], ["a", "b"], names=("One", "two"))
    many = list(range(30))
    with pytest.raises(ValueError, match=matches("[0, 1, ", "... (30 in all)]")):
        spread([-1, 0], SOFT[:, :2], many)


@pytest.mark.parametrize(
    ("groups", "error", "parts"),
    [
        (["a", 1, 1], TypeError, ["groups mixes labels"]),
        (["a", np.nan, "a"], (TypeError, ValueError), ["groups m"]),
        ([[0, 1], [1, 0], [0, 0]], ValueError, ["groups must hold a label per row"]),
        ([0, 1], ValueError, ["for each of the 3 rows; got 2"]),
        ([0, 1, 2, 3], ValueError, ["for each of the 3 rows; got 4"]),
    ],
)
def test_groups(groups, error, parts):
    n_groups, group_of = encode_groups(pd.Series(["b", "a", "b"]), 3)
    assert n_groups == 2
    assert group_of.tolist() == [1, 0, 1]
    with pytest.raises(error, match=matches(*parts)):
        encode_groups(groups, 3)


@pytest.mark.parametrize(
    ("y", "marker", "marked"),
    [
        ([0, -1, 2], -1, [False, True, False]),
        ([0.0, np.nan], np.nan, [False, True]),
        ([None, "a", pd.NA], np.nan, [True, False, True]),
        ([[-1.0, -1.0], [-1.0, 2.0]], -1, [True, False]),
        ([[None, None], [0.5, None]], np.nan, [True, False]),
    ],
)
def test_samples_without_a_label(y, marker, marked):
    assert is_unlabeled(y, marker).tolist() == marked


# Weights


@pytest.mark.parametrize(
    ("sample_weight", "expected"),
    [
        (None, [1.0, 1.0, 1.0]),
        ([0, 1, 3], [0.0, 1.0, 3.0]),
        (np.float32([0.5, 0.25, 0.0]), [0.5, 0.25, 0.0]),
        (pd.Series([1, 2, 3], index=[5, 6, 7]), [1.0, 2.0, 3.0]),
        (np.arange(6.0)[::2], [0.0, 2.0, 4.0]),
    ],
)
def test_weights_become_contiguous_float64(sample_weight, expected):
    weight = check_weights(sample_weight, SOFT)
    assert weight.dtype == np.float64
    assert weight.flags.c_contiguous
    assert weight.tolist() == expected


@pytest.mark.parametrize(
    ("sample_weight", "error", "problem"),
    [
        (1j, TypeError, "sample_weight must hold real numbers"),
        ({}, TypeError, "sample_weight"),
        ([1.0, np.nan, 1.0], ValueError, "sample_weight contains NaN"),
        ([1.0, np.inf, 1.0], ValueError, "sample_weight contains infinity"),
        ([0.0, 0.0, 0.0], ValueError, "sample_weight is zero for every sample"),
        ([1e308] * 3, ValueError, "infinite sum"),
        ([1.0, 1.0], ValueError, "(2,)"),
        ([[1.0], [1.0], [1.0]], ValueError, "1D"),
    ],
)
def test_bad_weights(sample_weight, error, problem):
    with pytest.raises(error, match=matches(problem)):
        check_weights(sample_weight, SOFT)


def test_relative_weights():
    assert relative(np.array([2e299, 1e299, 0.0])).tolist() == [1.0, 0.5, 0.0]
    assert 0.0 < relative(np.array([2e299, 1e-300]))[1] < 1e-300


# Parameters


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("C", [np.float32(0.5), 1, np.inf], [0, -1.0, True, np.nan, "1", 1j, None]),
        ("l1_ratio", [0, 0.0, 1], [1.1, -0.1, False, [0.5]]),
        ("tol", [1e-3], [0.0, np.inf, 10**400]),
        ("max_iter", [100, np.int64(100)], [0, 100.0, True]),
        ("fit_intercept", [False, np.True_], [0, 1, 1.0, "yes"]),
    ],
)
def test_parameters_obey_the_rule_of_their_name(name, good, bad):
    X, y = [[0.0], [1.0], [2.0], [1.0]], [0, 1, 0, 1]
    model = SoftLabelLogisticRegression(solver="proximal", tol=0.1)
    for value in good:
        model.set_params(**{name: value}).fit(X, y)
    for value in bad:
        with pytest.raises(ValueError, match=matches(f"{name} must be", f"got {value!r}")):
            model.set_params(**{name: value}).fit(X, y)


@pytest.mark.parametrize("level", [0, 1, 1.0, True, "0.9", np.nan])
def test_shares_within_0_and_1(level):
    assert loss_interval(SOFT, SOFT[::-1], confidence_level=0.5).low >= 0.0
    with pytest.raises(ValueError, match="confidence_level must be a number between 0 and 1"):
        loss_interval(SOFT, SOFT[::-1], confidence_level=level)
