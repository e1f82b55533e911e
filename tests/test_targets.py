"""Tests of what users may pass as ``y`` and as weights."""

import re
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import cross_val_predict

from sklkl._targets import (
    check_classes,
    check_rows,
    check_target,
    check_weights,
    encode,
    encode_groups,
    frame_columns,
    is_unlabeled,
    match_columns,
    match_rows,
    one_hot,
    relative,
)
from sklkl.linear_model import SoftLabelLogisticRegression

SOFT = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])


def matches(*parts):
    """Pattern of the literal ``parts`` in this order, with anything in between."""
    return "(?s)" + ".*".join(re.escape(part) for part in parts)


# Hard labels


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([3, 1, 3, 2], [1, 2, 3], [2, 0, 2, 1]),
        ([-1, 1, -1], [-1, 1], [0, 1, 0]),
        ([2.0, 0.0, 2.0], [0.0, 2.0], [1, 0, 1]),
        (np.array([200, 7], dtype=np.uint8), [7, 200], [1, 0]),
        (["spam", "ham", "spam"], ["ham", "spam"], [1, 0, 1]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"], [1, 0, 1]),
        ([True, False, True], [False, True], [1, 0, 1]),
        (("x", "y"), ["x", "y"], [0, 1]),
        (pd.Series(["b", "a"], index=[7, 3]), ["a", "b"], [1, 0]),
        (pd.Series(["b", "a"], dtype="category"), ["a", "b"], [1, 0]),
        (pd.Series([2, 1], dtype="Int64"), [1, 2], [1, 0]),
    ],
)
def test_labels_become_codes_of_the_sorted_classes(y, classes, codes):
    found, target = check_target(y)
    assert found.tolist() == classes
    assert target.dtype == np.intp
    assert target.tolist() == codes


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, float, bool, "<U7"])
def test_classes_keep_the_dtype_of_the_labels(dtype):
    y = np.array([1, 0, 1]).astype(dtype)
    classes, _ = check_target(y)
    assert classes.dtype == y.dtype


def test_a_single_label_is_left_to_the_caller():
    classes, target = check_target(["a", "a"])
    assert classes.tolist() == ["a"]
    assert target.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        (["z", "a", "m", "a"], ["z", "a", "m"], [0, 1, 2, 1]),
        (["a", "a"], ["z", "a", "m"], [1, 1]),
        ([2, 0], [2, 1, 0], [0, 2]),
        ([1.0, 0.0], [0, 1], [1, 0]),
        ([True, False], [0, 1], [1, 0]),
        (np.array(["a", "z"], dtype=object), np.array(["z", "a"]), [1, 0]),
        (pd.Series(["a", "z"], dtype="category"), pd.Index(["z", "a"]), [1, 0]),
    ],
)
def test_classes_fix_the_codes(y, classes, codes):
    found, target = check_target(y, classes=classes)
    assert found.tolist() == list(classes)
    assert target.dtype == np.intp
    assert target.tolist() == codes


@pytest.mark.parametrize("classes", [None, [1, 2, 3]])
@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame])
def test_a_column_of_labels_warns(wrap, classes):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        found, target = check_target(wrap([[3], [1], [2]]), classes=classes)
    assert found.tolist() == [1, 2, 3]
    assert target.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (["a", "b", "q"], ["target[2]", "'q'", "['a', 'b']", "classes="]),
        (np.array(["a", "q"], dtype=object), ["target[1]", "'q'", "classes="]),
        (pd.Series(["b", "Q", "a"]), ["target[1]", "'Q'", "classes="]),
        ([5, 5], ["target[0]", "5", "classes="]),
        # A string is not the number that it spells.
        (["a", "1"], ["target[1]", "'1'", "classes="]),
    ],
)
def test_unknown_label_names_row_and_label(y, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(y, classes=["a", "b"], name="target")


def test_the_first_unknown_label_is_named():
    with pytest.raises(ValueError, match=matches("y[1]", "9")):
        check_target([0, 9, 1, 8], classes=[0, 1])


@pytest.mark.parametrize("y", [[0.1, 0.9], [[0.1], [0.9]], np.float32([0.5, 1.0])])
def test_continuous_y_is_no_label(y):
    y = np.asarray(y)
    parts = ["Unknown label type: continuous", "target", "np.column_stack([1 - p, p])"]
    column = y.ndim == 2
    context = pytest.warns(DataConversionWarning) if column else nullcontext()
    with context, pytest.raises(ValueError, match=matches(*parts)):
        check_target(y, name="target")


@pytest.mark.parametrize("classes", [None, [0, 1]])
@pytest.mark.parametrize(
    ("bad", "problem"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_labels_must_be_finite(bad, problem, classes):
    with pytest.raises(ValueError, match=matches("target", problem)):
        check_target([0.0, 1.0, bad], classes=classes, name="target")


def test_complex_labels():
    with pytest.raises(ValueError, match="Complex data not supported: target must"):
        check_target([1, 1j], name="target")


def test_missing_value_of_a_nullable_column():
    with pytest.raises(ValueError, match=matches("target", "NaN")):
        check_target(pd.Series([1, pd.NA, 0], dtype="Int64"), name="target")


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (["b", None, "a"], ["target[1] is missing: None", "unlabeled=np.nan"]),
        (np.array([1, None], dtype=object), ["target[1] is missing: None"]),
        (np.array(["b", "a", 2], dtype=object), ["target[2] is 2", "target[0] is 'b'"]),
        # Lists, of which NumPy alone makes strings.
        (["b", "a", np.nan], ["target[2] is missing: nan"]),
        ([["b"], ["a"], [np.nan]], ["target[2] is missing: nan"]),
        (["a", 3], ["target[1] is 3", "target[0] is 'a'"]),
        (np.array(["2026-01-01", "NaT"], dtype="M8[D]"), ["target[1] is missing"]),
        (pd.Series([np.ones(2), np.ones(2)]), ["target[0] is not a label", "as a matrix"]),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_labels_of_several_types(y, parts):
    with pytest.raises(TypeError, match=matches(*parts)):
        check_target(y, name="target")


def test_masked_labels():
    with pytest.raises(ValueError, match="target has masked entries"):
        check_target(np.ma.array([0, 1, 1], mask=[0, 0, 1]), name="target")


@pytest.mark.parametrize("groups", [["a", 1], ["a", np.nan]])
def test_groups_of_several_types(groups):
    with pytest.raises((TypeError, ValueError), match=r"^groups m"):
        encode_groups(groups, 2)


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


# Soft targets


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float32),
        (">f8", np.float64),
        (">f4", np.float32),
        (object, np.float64),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_soft_targets_become_contiguous_floats(dtype, expected, order):
    y = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]], dtype=dtype, order=order)
    classes, target = check_target(y)
    assert classes.tolist() == [0, 1]
    assert target.dtype == expected
    assert target.dtype.isnative
    assert target.flags.c_contiguous
    assert_array_equal(target, y.astype(expected))


@pytest.mark.parametrize("wrap", [np.ndarray.tolist, lambda y: y[::-1][::-1], np.asarray])
def test_soft_targets_of_any_container_and_strides(wrap):
    _, target = check_target(wrap(SOFT))
    assert_array_equal(target, SOFT)


def test_the_input_is_read_only_and_stays_as_it_is():
    y = SOFT.copy()
    y.flags.writeable = False
    check_target(y, classes=["z", "a", "m"])
    frame = pd.DataFrame(SOFT, columns=list("abc"))
    check_target(frame, classes=["c", "a", "b"])
    assert_array_equal(frame.to_numpy(), SOFT)


@pytest.mark.parametrize("y", [[[1, 0], [0, 1]], [[True, False], [False, True]]])
def test_one_hot_integers_are_probabilities(y):
    _, target = check_target(y)
    assert target.dtype == np.float64
    assert target.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_rows_that_went_through_float32_pass():
    y = np.full((2, 3), np.float32(1 / 3)).astype(np.float64)
    check_target(y)
    check_target([[0.5, 0.5003], [0.5, 0.4997]])


def test_classes_name_the_columns_of_a_matrix():
    classes, target = check_target(SOFT, classes=["z", "a", "m"])
    assert classes.tolist() == ["z", "a", "m"]
    assert_array_equal(target, SOFT)


def test_the_columns_of_a_data_frame_are_the_classes():
    classes, target = check_target(pd.DataFrame(SOFT, columns=["z", "a", "m"]))
    assert classes.tolist() == ["z", "a", "m"]
    assert_array_equal(target, SOFT)


@pytest.mark.parametrize("columns", [["z", "a", "m"], [10, -3, 7], [2.5, 0.5, 1.5]])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 0, 2]])
def test_a_data_frame_is_put_in_the_order_of_the_classes(columns, order):
    wanted = [columns[j] for j in order]
    classes, target = check_target(pd.DataFrame(SOFT, columns=columns), classes=wanted)
    assert classes.tolist() == wanted
    assert target.flags.c_contiguous
    assert_array_equal(target, SOFT[:, order])


@pytest.mark.parametrize(
    ("classes", "missing", "unknown"),
    [
        (["a", "b", "d"], "['d']", "['c']"),
        (["a", "b", "c", "d"], "['d']", "[]"),
        (["a", "b"], "[]", "['c']"),
    ],
)
def test_data_frame_with_other_columns_than_the_classes(classes, missing, unknown):
    frame = pd.DataFrame(SOFT, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match=matches("target", missing, unknown)):
        check_target(frame, classes=classes, name="target")


@pytest.mark.parametrize("classes", [None, ["a", "b", "c"]])
def test_data_frame_with_a_column_twice(classes):
    frame = pd.DataFrame(SOFT, columns=["a", "b", "a"])
    parts = ["columns of y_true names a class twice", "['a', 'b', 'a']"]
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(frame, classes=classes, name="y_true")


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c", "d"]])
def test_wrong_number_of_columns(classes):
    parts = ["target", "3 columns", f"{len(classes)} classes", str(classes)]
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(SOFT, classes=classes, name="target")


BAD_ROWS = [
    ([0.5, np.nan, 0.5], "contains NaN"),
    ([0.5, np.nan, np.inf], "contains NaN"),
    ([np.inf, 0.0, 0.0], "infinite"),
    ([-np.inf, 0.0, 0.0], "infinite"),
    ([np.inf, -np.inf, 1.0], "infinite"),
    ([1.1, -0.1, 0.0], "negative entry -0.1 at position 1"),
    ([1.0, 0.0, -1e-5], "negative entry -1e-05 at position 2"),
    ([0.5, 0.5, 0.5], "sums to 1.5 instead of 1"),
    ([0.5, 0.4, 0.0], "sums to 0.9 instead of 1"),
    ([0.0, 0.0, 0.0], "sums to 0 instead of 1"),
    ([2.0, 3.0, 5.0], "sums to 10 instead of 1"),
    ([0.5, 0.5, 0.001], "sums to 1.001 instead of 1"),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("row", "problem"), BAD_ROWS)
def test_the_first_bad_row_is_named(row, problem, dtype):
    y = np.full((6, 3), [0.2, 0.3, 0.5], dtype=dtype)
    y[2] = row
    y[4] = np.nan
    with pytest.raises(ValueError, match=matches("target[2]", problem)):
        check_target(y, name="target")
    with pytest.raises(ValueError, match=matches("rows[2]", problem)):
        check_rows(y, "rows")


def test_a_bad_row_of_a_data_frame_is_named_by_position():
    frame = pd.DataFrame([[0.5, 0.5], [0.5, 0.6]], columns=["a", "b"], index=["r", "s"])
    with pytest.raises(ValueError, match=matches("y[1]", "sums to 1.1")):
        check_target(frame, classes=["b", "a"])


@pytest.mark.parametrize(
    "y",
    [
        [["a", "b"], ["c", "d"]],
        [[0.5 + 0j, 0.5], [0.5, 0.5]],
        np.array([["a", 0.5], [0.5, 0.5]], dtype=object),
    ],
)
def test_probabilities_are_real_numbers(y):
    with pytest.raises(TypeError, match=matches("target", "real numbers")):
        check_target(y, name="target")


@pytest.mark.parametrize("dtype", ["Float64", "float64[pyarrow]", object])
def test_a_missing_probability_is_named_by_its_row(dtype):
    if dtype == "float64[pyarrow]":
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame([[0.5, 0.5], [0.5, pd.NA]], columns=["a", "b"], dtype=dtype)
    with pytest.raises(ValueError, match=r"target\[1\] contains NaN; drop or fill"):
        check_target(frame, name="target")


@pytest.mark.parametrize("y", [[[1, 1, 0], [0, 1, 0]], [[1.0, 0.0], [0.0, 0.0]]])
def test_several_labels_per_sample(y):
    for refuse_integers in (False, True):
        with pytest.raises(ValueError, match=r"^y\[\d\] sums to .* several labels per sample"):
            check_target(y, refuse_integers=refuse_integers)


def test_rows_of_different_lengths():
    with pytest.raises(ValueError, match="target must be an array: its rows differ"):
        check_target([[0.5, 0.5], [1.0]], name="target")


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
@pytest.mark.parametrize("y", [[[1, 0], [0, 1]], [[3, 1], [2, 5]]])
def test_integer_matrices_can_be_refused(y, dtype):
    y = np.array(y, dtype=dtype)
    parts = ["target", "integers", "counts", "target.astype(float)", "soft_cross_val_predict"]
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(y, name="target", refuse_integers=True)


def test_one_hot_floats_pass_where_integers_are_refused():
    y = np.eye(3)
    _, target = check_target(y, refuse_integers=True)
    assert_array_equal(target, y)


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame])
def test_the_ranks_that_cross_val_predict_makes_are_refused(wrap):
    """The ranks of smoothed labels are one-hot rows: only their dtype gives them away."""
    y = wrap(np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1)))
    X = np.linspace(-1.0, 1.0, len(y))[:, None]
    model = SoftLabelLogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="cross_val_predict"):
        cross_val_predict(model, X, y, method="predict_proba")


# What is neither


@pytest.mark.parametrize("refuse_integers", [False, True])
@pytest.mark.parametrize("classes", [None, ["a", "b"]])
@pytest.mark.parametrize(
    "y", [[], np.empty((0, 2)), np.empty((0, 1)), pd.DataFrame({"a": [], "b": []})]
)
def test_empty(y, classes, refuse_integers):
    with pytest.raises(ValueError, match="target is empty: 0 samples"):
        check_target(y, classes=classes, name="target", refuse_integers=refuse_integers)


def test_none():
    with pytest.raises(ValueError, match="the target weights is None"):
        check_target(None, name="weights")


@pytest.mark.parametrize("y", [np.full((2, 2, 2), 0.5), np.ones((1, 1, 1)), 1, "label"])
def test_other_shapes(y):
    shape = str(np.shape(y))
    with pytest.raises(ValueError, match=matches("target", "(n_samples,)", shape)):
        check_target(y, name="target")


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_sparse(kind):
    with pytest.raises(TypeError, match=matches("target is a sparse", "target.toarray()")):
        check_target(kind(np.eye(3)), name="target")


@pytest.mark.parametrize("y", [[0, 1], [[0.5, 0.5]], pd.DataFrame([[0.5, 0.5]])])
@pytest.mark.parametrize(
    ("classes", "parts"),
    [
        ([0, 1, 1], ["classes", "twice", "[0, 1, 1]"]),
        ([0], ["classes", "at least two", "[0]"]),
        ([], ["classes", "at least two", "[]"]),
    ],
)
def test_classes_are_at_least_two_and_distinct(y, classes, parts):
    with pytest.raises(ValueError, match=matches(*parts)):
        check_target(y, classes=classes)


def test_check_classes_uses_the_name_of_the_argument():
    with pytest.raises(ValueError, match=matches("labels names a class twice", "['a', 'a']")):
        check_classes(["a", "a"], "labels")
    assert check_classes(("z", "a")).tolist() == ["z", "a"]


# The parts that metrics and estimators use on their own


@pytest.mark.parametrize(
    "y", [SOFT, SOFT.tolist(), ["a", "b"], pd.Series([0, 1]), pd.DataFrame({"a": [0, 1]})]
)
def test_only_wide_data_frames_have_class_columns(y):
    assert frame_columns(y) is None


def test_frame_columns_keep_their_order():
    assert frame_columns(pd.DataFrame(SOFT, columns=["z", "a", "m"])).tolist() == list("zam")


def test_default_columns_are_names_only_among_equal_numbers():
    frame = pd.DataFrame(SOFT)
    assert frame_columns(frame) is None
    assert frame_columns(frame, ["a", "b", "c"]) is None
    assert frame_columns(frame, [1, 2, 3]) is None
    assert frame_columns(frame, [2, 0]).tolist() == [0, 1, 2]
    frame.columns = [f"column_{j}" for j in range(3)]  # as polars names them
    assert frame_columns(frame, ["a", "b", "c"]) is None
    assert frame_columns(frame, ["column_2", "column_0"]).tolist() == frame.columns.tolist()
    frame.columns = range(3)
    _, target = check_target(frame, classes=["z", "a", "m"])
    assert_array_equal(target, SOFT)
    _, target = check_target(frame, classes=[2, 0, 1])
    assert_array_equal(target, SOFT[:, [2, 0, 1]])


def test_columns_of_arrow_tables_and_polars_frames():
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    columns = {"z": SOFT[:, 0], "a": SOFT[:, 1], "m": SOFT[:, 2]}
    for frame in (polars.DataFrame(columns), pyarrow.table(columns)):
        classes, target = check_target(frame, classes=["a", "m", "z"])
        assert classes.tolist() == ["a", "m", "z"]
        assert_array_equal(target, SOFT[:, [1, 2, 0]])


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (5, "labels must be a list of labels; got 5"),
        ([0, None], "labels: label 1 is missing, None"),
        ([0.0, np.nan], "labels: label 1 is missing, nan"),
        ([[0], [1, 2]], "labels must be a list of labels"),
        ([{}, {}], "labels must be a list of labels"),
    ],
)
def test_what_is_no_list_of_classes(labels, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_classes(labels, "labels")


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
    with pytest.raises(ValueError, match="inconsistent numbers of samples: a has 3, b has 2"):
        match_rows(a=a, b=[1, 2])
    for other in ({"a": 1}, "abc"):
        with pytest.raises(TypeError, match=r"^b must be an array of samples"):
            match_rows(a=a, b=other)


def test_match_columns():
    matched = match_columns(SOFT, np.array(["b", "c", "a"]), np.array(["a", "b", "c"]), "y")
    assert_array_equal(matched, SOFT[:, [2, 0, 1]])


def test_encode():
    codes = encode(np.array(["m", "z", "m"]), np.array(["z", "a", "m"]))
    assert codes.dtype == np.intp
    assert codes.tolist() == [2, 0, 2]


def test_one_hot():
    assert_array_equal(one_hot(np.array([2, 0]), 3), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert one_hot(SOFT, 3) is SOFT


# Weights


@pytest.mark.parametrize(
    ("sample_weight", "expected"),
    [
        (None, [1.0, 1.0, 1.0]),
        (2, [2.0, 2.0, 2.0]),
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


def test_relative_weights():
    assert relative(np.array([2e299, 1e299, 0.0])).tolist() == [1.0, 0.5, 0.0]
    tiny = relative(np.array([2e299, 1e-300]))
    assert tiny[0] == 1.0
    assert 0.0 < tiny[1] < 1e-300


@pytest.mark.parametrize("sample_weight", [["a", "b", "c"], "a", 1j, {}])
def test_weights_are_numbers(sample_weight):
    with pytest.raises(TypeError, match=r"sample_weight must .* real numbers"):
        check_weights(sample_weight, SOFT)


@pytest.mark.parametrize(
    ("sample_weight", "problem"),
    [
        ([1.0, -1.0, 1.0], "Negative values"),
        ([1.0, np.nan, 1.0], "NaN"),
        ([1.0, np.inf, 1.0], "infinity"),
        ([0.0, 0.0, 0.0], "zero"),
        (0, "zero"),
        ([1.0, 1.0], "(2,)"),
        ([[1.0], [1.0], [1.0]], "1D"),
    ],
)
def test_bad_weights(sample_weight, problem):
    with pytest.raises(ValueError, match=matches(problem)) as error:
        check_weights(sample_weight, SOFT)
    assert "weight" in str(error.value).lower()
