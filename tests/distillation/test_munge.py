"""munge against its definition, by brute force and by statistical tests."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import binomtest, chisquare, kstest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklkl.distillation import DistilledClassifier
from sklkl.distillation._munge import munge
from sklkl.linear_model import SoftLabelLogisticRegression


def data(n_rows=200, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_features)) * 10.0 ** np.arange(n_features)


def mixed(n_rows=100, seed=0):
    rng = np.random.default_rng(seed)
    columns = {
        "size": rng.normal(size=n_rows),
        "colour": rng.choice(["red", "green", "blue"], size=n_rows),
        "count": rng.integers(0, 50, size=n_rows),
        "flag": rng.random(n_rows) < 0.5,
        "grade": pd.Categorical(
            rng.choice(["a", "b"], size=n_rows), categories=["c", "b", "a"], ordered=True
        ),
        "weight": rng.normal(size=n_rows).astype(np.float32),
    }
    return pd.DataFrame(columns, index=[f"row {i}" for i in range(n_rows)])


def nearest_rows(X, categorical=()):
    """Positions of the nearest rows by the definition, from all pairs."""
    X = pd.DataFrame(X)
    squares = np.diag(np.full(len(X), np.inf))
    for j in range(X.shape[1]):
        column = X.iloc[:, j].to_numpy(dtype=object, copy=True)
        missing = pd.isna(column)
        if j in categorical:
            column[missing] = "missing"
            squares += column[:, np.newaxis] != column
            continue
        column[missing] = column[~missing].mean()
        column = column.astype(float)
        squares += missing[:, np.newaxis] != missing
        if (width := column.max() - column.min()) > 0:
            squares += ((column[:, np.newaxis] - column) / width) ** 2
    return squares.argmin(axis=1)


def swapped(X, **kwargs):
    """The nearest rows as munge finds them: everything is replaced, without noise."""
    return munge(X, swap_probability=1.0, local_variance=np.inf, random_state=0, **kwargs)


@pytest.mark.parametrize("local_variance", [0.5, 1.0, 4.0])
def test_draws_follow_the_normal_law(local_variance):
    X = data()
    result = munge(X, 100 * len(X), local_variance=local_variance, random_state=0)
    other = X[nearest_rows(X)]
    entries = result.reshape(100, *X.shape)
    changed = entries != X
    standard = (entries - other) / np.abs(X - other) * local_variance
    standard = standard[changed]
    n = len(standard)
    assert n > 25_000
    assert abs(standard.mean()) < 4 / np.sqrt(n)
    assert abs(standard.std() - 1.0) < 4 / np.sqrt(2 * n)
    assert kstest(standard, "norm").pvalue > 0.01


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_of_replaced_entries(probability):
    X = data(n_features=4)
    result = munge(X, 10_000, swap_probability=probability, random_state=1)
    changed = result != np.tile(X, (50, 1))
    for column in changed.T:
        assert binomtest(int(column.sum()), len(column), probability).pvalue > 0.001
    # The entries of a row are replaced independently of each other.
    cell = changed[:, 0] + 2 * changed[:, 1]
    p = np.array([1 - probability, probability])
    expected = np.outer(p, p).ravel() * len(cell)
    assert chisquare(np.bincount(cell, minlength=4), expected).pvalue > 0.001


def test_draws_are_independent_between_columns_and_copies():
    X = data(n_rows=100, n_features=2)
    result = munge(X, 10_000, swap_probability=1.0, random_state=0)
    other = X[nearest_rows(X)]
    standard = ((result.reshape(100, *X.shape) - other) / np.abs(X - other)).reshape(-1, 2)
    assert abs(np.corrcoef(standard.T)[0, 1]) < 4 / np.sqrt(len(standard))
    assert abs(np.corrcoef(standard[:-100, 0], standard[100:, 0])[0, 1]) < 4 / np.sqrt(9_900)


def test_probability_0_copies_rows_equally_often():
    X = data(n_rows=30)
    result = munge(X, 100, swap_probability=0.0, random_state=0)
    assert_array_equal(result[:90], np.tile(X, (3, 1)))
    rows, counts = np.unique(result, axis=0, return_counts=True)
    assert_array_equal(rows, np.unique(X, axis=0))
    assert_array_equal(np.bincount(counts), [0, 0, 0, 20, 10])
    few = munge(X, 10, swap_probability=0.0, random_state=0)
    assert len(np.unique(few, axis=0)) == 10
    assert not np.array_equal(few, munge(X, 10, swap_probability=0.0, random_state=1))


def test_by_default_as_many_as_rows():
    X = data()
    assert_array_equal(munge(X, swap_probability=0.0), X)
    assert_array_equal(munge(X, random_state=3), munge(X, len(X), random_state=3))


def test_infinite_local_variance_gives_the_neighbours():
    X = data()
    assert_array_equal(swapped(X), X[nearest_rows(X)])
    near = munge(X, swap_probability=1.0, local_variance=1e12, random_state=0)
    assert_allclose(near, swapped(X), rtol=1e-7)
    result = munge(X, local_variance=np.inf, random_state=0)
    assert ((result == X) | (result == swapped(X))).all()
    assert (result != X).any()
    assert (result != swapped(X)).any()


def test_neighbours_of_mixed_columns():
    X = mixed()
    nearest = nearest_rows(X, categorical=(1, 3, 4))
    pd.testing.assert_frame_equal(swapped(X), X.iloc[nearest].reset_index(drop=True))
    numbers = data(n_rows=60, n_features=3, seed=2)
    numbers[:, 1] = np.random.default_rng(0).integers(0, 5, size=60)
    nearest = nearest_rows(numbers, categorical=(1,))
    assert not np.array_equal(nearest, nearest_rows(numbers))
    assert_array_equal(swapped(numbers, categorical_features=[1]), numbers[nearest])


def test_categories_come_from_the_pair():
    X = mixed(n_rows=12)
    nearest = nearest_rows(X, categorical=(1, 3, 4))
    result = munge(X, 50 * len(X), random_state=0)
    for name in ("colour", "flag", "grade"):
        own = X[name].to_numpy(dtype=object)
        drawn = result[name].to_numpy(dtype=object).reshape(50, -1)
        assert ((drawn == own) | (drawn == own[nearest])).all()
        differ = own != own[nearest]
        assert differ.sum() >= 2
        share = (drawn == own[nearest])[:, differ]
        assert binomtest(int(share.sum()), share.size, 0.5).pvalue > 0.001


def test_duplicates_are_neighbours():
    X = np.repeat(data(n_rows=20), 3, axis=0)
    assert_array_equal(munge(X, 500, swap_probability=0.0, random_state=0)[:60], X)
    assert_array_equal(munge(X, swap_probability=1.0, random_state=0), X)
    assert_array_equal(munge(np.array([[1.0], [5.0]]), swap_probability=0.0), [[1.0], [5.0]])
    assert_array_equal(swapped(np.array([[1.0], [5.0]])), [[5.0], [1.0]])


def test_scales_of_columns_do_not_matter():
    X = data()
    factor, shift = np.array([1000.0, 0.001, 7.0]), np.array([5.0, 0.0, -3.0])
    expected = munge(X, 1000, random_state=0) * factor + shift
    assert_allclose(munge(X * factor + shift, 1000, random_state=0), expected, atol=1e-9)


def test_constant_columns():
    X = np.column_stack([data(), np.full(200, 0.1), np.full(200, 3.7)])
    result = munge(X, 1000, random_state=0)
    assert_array_equal(result[:, 3:], np.tile(X[:5, 3:], (200, 1)))
    assert_array_equal(swapped(X)[:, :3], swapped(X[:, :3]))
    assert_array_equal(munge(np.ones((5, 2)), 11), np.ones((11, 2)))


def test_draws_are_not_clipped():
    X = data(n_rows=50)
    result = munge(X, 5000, random_state=0)
    assert (result.min(axis=0) < X.min(axis=0)).all()
    assert (result.max(axis=0) > X.max(axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.int64])
def test_dtypes_of_arrays(dtype):
    X = (10 * data(n_rows=50, n_features=2)).astype(dtype)
    result = munge(X, 120, random_state=0)
    assert result.dtype == dtype
    assert result.shape == (120, 2)
    exact = munge(X.astype(np.float64), 120, random_state=0)
    expected = exact if X.dtype.kind == "f" else np.rint(exact)
    assert_array_equal(result, expected.astype(dtype))
    assert (result[:50] != X).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
def test_integers_saturate(dtype):
    info = np.iinfo(dtype)
    X = np.array([[info.min], [info.max]], dtype=dtype)
    result = munge(X, 1000, swap_probability=1.0, random_state=0)[:, 0]
    # Half of the draws leave the range on the neighbour's side, a sixth on the other one.
    top = result[::2].astype(float)
    assert top.max() == pytest.approx(info.max)
    assert abs(np.mean(top > 0.99 * float(info.max)) - 0.5) < 0.08
    width = float(info.max) - float(info.min)
    assert abs(np.mean(top < float(info.min) + 0.01 * width) - 0.16) < 0.05


def test_large_equal_integers_are_unchanged():
    X = np.column_stack([np.arange(20), np.full(20, 2**62 + 1)])
    assert (munge(X, 100, random_state=0)[:, 1] == 2**62 + 1).all()


def test_lists_and_layouts():
    X = data()
    expected = munge(X, random_state=0)
    assert_array_equal(munge(X.tolist(), random_state=0), expected)
    assert_array_equal(munge(np.asfortranarray(X), random_state=0), expected)
    frozen = X.copy()
    frozen.flags.writeable = False
    assert_array_equal(munge(frozen, random_state=0), expected)
    assert munge([[1, 2], [3, 4]]).dtype.kind == "i"


def test_arrays_of_strings():
    X = np.array([["a", "x"], ["a", "y"], ["b", "y"], ["b", "y"]])
    assert_array_equal(swapped(X, categorical_features=[0, 1])[2:], X[2:])
    mixture = np.array([[1, "x"], [1, "x"], [None, "y"], [None, "y"]], dtype=object)
    result = munge(mixture, categorical_features=[True, True], random_state=0)
    assert result.dtype == object
    assert_array_equal(result, mixture)


def test_frames_keep_columns_and_dtypes():
    X = mixed()
    before = X.copy(deep=True)
    result = munge(X, 250, random_state=0)
    pd.testing.assert_frame_equal(X, before)
    assert type(result) is pd.DataFrame
    pd.testing.assert_index_equal(result.columns, X.columns)
    pd.testing.assert_series_equal(result.dtypes, X.dtypes)
    pd.testing.assert_index_equal(result.index, pd.RangeIndex(250))
    assert list(result["grade"].cat.categories) == ["c", "b", "a"]
    assert not result["size"].isin(X["size"]).all()


def test_frames_as_arrays():
    X = data()
    columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["p", "q"])
    result = munge(pd.DataFrame(X, columns=columns), 300, random_state=0)
    pd.testing.assert_index_equal(result.columns, columns)
    assert_array_equal(result.to_numpy(), munge(X, 300, random_state=0))
    twice = munge(pd.DataFrame(X, columns=["a", "b", "a"]), 300, random_state=0)
    assert list(twice.columns) == ["a", "b", "a"]
    assert_array_equal(twice.to_numpy(), munge(X, 300, random_state=0))


@pytest.mark.parametrize("wanted", [[1, 2], ["b", "c"], [False, True, True]])
@pytest.mark.parametrize("as_type", [list, np.array])
def test_ways_to_name_categories(wanted, as_type):
    X = pd.DataFrame(data(n_rows=50), columns=["a", "b", "c"])
    result = munge(X, 500, categorical_features=as_type(wanted), random_state=0)
    expected = munge(X.to_numpy(), 500, categorical_features=[1, 2], random_state=0)
    assert_array_equal(result.to_numpy(), expected)
    assert result["b"].isin(X["b"]).all()
    assert not result["a"].isin(X["a"]).all()


def test_nothing_categorical():
    X = data()
    expected = munge(X, random_state=0)
    for nothing in ([], [False] * 3):
        result = munge(X, categorical_features=nothing, random_state=0)
        assert_array_equal(result, expected)
    with pytest.raises(ValueError, match=r"'colour' of X has dtype .* name it in categ"):
        munge(mixed(), categorical_features=[])


def test_seeds():
    X = mixed()
    first = munge(X, 130, random_state=5)
    pd.testing.assert_frame_equal(first, munge(X, 130, random_state=5))
    state = np.random.RandomState(5)
    pd.testing.assert_frame_equal(first, munge(X, 130, random_state=state))
    assert not first.equals(munge(X, 130, random_state=state))
    assert not first.equals(munge(X, 130, random_state=6))


def test_missing_numbers():
    X = data(n_rows=15, n_features=4)
    X[np.random.default_rng(0).random(X.shape) < 0.4] = np.nan
    nearest = nearest_rows(X)
    assert_array_equal(swapped(X), X[nearest])
    result = munge(X, 100 * len(X), random_state=0).reshape(100, *X.shape)
    own, other = np.isnan(X), np.isnan(X[nearest])
    either = own | other
    same = (result == X) | (np.isnan(result) & own)
    swap = (result == X[nearest]) | (np.isnan(result) & other)
    assert (same | swap)[:, either].all()
    assert not np.isnan(result[:, ~either]).any()
    differ = own != other
    assert differ.sum() >= 5
    share = np.isnan(result)[:, differ]
    assert binomtest(int(share.sum()), share.size, 0.5).pvalue > 0.001


def test_missing_values_of_frames():
    X = pd.DataFrame(
        {
            "count": pd.array([1, 2, None, 9, 4, None], dtype="Int64"),
            "size": pd.array([0.5, None, 3.0, 1.0, 4.0, 2.25], dtype="Float32"),
            "flag": pd.array([True, None, False, True, None, False], dtype="boolean"),
            "colour": ["red", None, "blue", "red", "blue", None],
            "word": pd.Series(["a", np.nan, None, "b", pd.NA, "b"], dtype=object),
            "grade": pd.Categorical(["u", "v", None, "u", None, "v"]),
            "day": pd.to_datetime(["2020-01-01", None, "2021-01-01"] * 2),
            "nothing": np.full(6, np.nan),
        }
    )
    result = munge(X, 6000, random_state=0)
    pd.testing.assert_series_equal(result.dtypes, X.dtypes)
    unchanged = munge(X, 12, swap_probability=0.0)
    pd.testing.assert_frame_equal(unchanged, pd.concat([X, X], ignore_index=True))
    nearest = nearest_rows(X.iloc[:, :-1], categorical=(2, 3, 4, 5, 6))
    pd.testing.assert_frame_equal(swapped(X), X.iloc[nearest].reset_index(drop=True))
    for name in ("count", "size"):
        own, drawn = X[name].isna(), result[name].isna().to_numpy().reshape(-1, 6)
        assert_array_equal(drawn.any(axis=0), own | own[nearest].to_numpy())
        assert_array_equal(drawn.all(axis=0), own & own[nearest].to_numpy())
        assert not result[name].dropna().isin(X[name]).all()


def whole(n_rows=60):
    rng = np.random.default_rng(0)
    return {
        "count": rng.poisson(2.0, n_rows),
        "small": rng.integers(250, 255, n_rows).astype(np.uint8),
        "size": rng.normal(size=n_rows),
        "some": np.where(rng.random(n_rows) < 0.3, np.nan, rng.integers(0, 9, n_rows)),
        "flag": (rng.random(n_rows) < 0.3).astype(np.float32),
    }


@pytest.mark.parametrize("container", ["array", "pandas", "polars"])
def test_whole_numbers_stay_whole_and_in_their_range(container):
    columns = whole()
    if container == "array":
        X = np.column_stack(list(columns.values()))
        drawn = dict(zip(columns, munge(X, 1000, random_state=0).T, strict=True))
    else:
        X = pytest.importorskip(container).DataFrame(columns)
        result = munge(X, 1000, random_state=0)
        assert type(result) is type(X)
        assert list(result.dtypes) == list(X.dtypes)
        drawn = {name: result[name].to_numpy() for name in result.columns}
    for name in ("count", "small", "some", "flag"):
        values, known = drawn[name].astype(float), columns[name].astype(float)
        values = values[~np.isnan(values)]
        assert_array_equal(values, np.rint(values))
        assert np.nanmin(known) <= values.min() < values.max() <= np.nanmax(known)
    assert np.isnan(drawn["some"].astype(float)).any()
    assert drawn["size"].max() > columns["size"].max()


def test_polars_frames_are_as_those_of_pandas():
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")  # which brings polars to pandas
    rng = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=40).to_numpy()
    X = pl.DataFrame(
        {
            **whole(40),
            "colour": rng.choice(["red", "green"], 40),
            "known": rng.random(40) < 0.5,
            "day": rng.choice(days, 40),
            "word": [None if i % 3 == 0 else "a" for i in range(40)],
            "maybe": [None if i % 3 == 0 else i for i in range(40)],
        }
    ).with_columns(
        pl.col("colour").cast(pl.Categorical).alias("grade"),
        pl.col("colour").cast(pl.Enum(["red", "green"])).alias("level"),
        pl.col("day").cast(pl.Date).alias("date"),
        pl.lit(None).alias("nothing"),
    )
    before = X.clone()
    result = munge(X, 300, random_state=0)
    assert X.equals(before)
    assert result.schema == X.schema
    expected = munge(X.to_pandas(), 300, random_state=0)
    pd.testing.assert_frame_equal(result.to_pandas(), expected)
    names = ["colour", "word"]
    only = munge(X.select("count", *names), 50, categorical_features=["count", *names])
    assert only["count"].is_in(X["count"].to_list()).all()


def test_synthetic_samples_of_polars_keep_names_and_dtypes():
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"n": rng.integers(0, 5, 60), "colour": rng.choice(["red", "blue"], 60)})
    y = rng.integers(0, 2, 60)
    encode = make_column_transformer((OneHotEncoder(), ["colour"]), (StandardScaler(), ["n"]))
    teacher = make_pipeline(encode, GaussianNB())
    student = make_pipeline(encode, SoftLabelLogisticRegression())
    model = DistilledClassifier(teacher, student, n_synthetic=2.0, random_state=0)
    said = model.fit(X, y).predict_proba(X)
    assert model.feature_names_in_.tolist() == X.columns
    columns = pd.DataFrame(X.to_dict(as_series=False))
    assert_allclose(clone(model).fit(columns, y).predict_proba(columns), said)


def test_frames_of_others():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="X is a Table; pass an array, or a data frame"):
        munge(pa.table({"a": [1, 2]}))


def test_a_column_without_values_counts_nothing():
    X = np.column_stack([data(), np.full(200, np.nan)])
    assert_array_equal(swapped(X)[:, :3], swapped(X[:, :3]))
    assert np.isnan(munge(X)[:, 3]).all()


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (csr_array(np.eye(3)), TypeError, r"X is a sparse matrix; .*X\.toarray"),
        ([1.0, 2.0], ValueError, r"X must have shape .* got shape \(2,\)"),
        (pd.Series([1.0, 2.0]), ValueError, r"got shape \(2,\)"),
        (3.0, ValueError, r"got shape \(\)"),
        (np.ones((2, 2, 2)), ValueError, r"got shape \(2, 2, 2\)"),
        ([[1.0, 2.0]], ValueError, r"at least two rows .* got shape \(1, 2\)"),
        (np.ones((0, 2)), ValueError, r"got shape \(0, 2\)"),
        (np.ones((3, 0)), ValueError, r"one feature; got shape \(3, 0\)"),
        ([[0.0, 1.0], [2.0, -np.inf]], ValueError, r"infinite in row 1, column 1"),
        (pd.DataFrame({"a": [np.inf, 1.0]}), ValueError, r"infinite in row 0, column 'a'"),
        ([["a"], ["b"]], ValueError, r"Column 0 of X has dtype <U1, which is not numeric"),
        ([[1.0, 2.0], [3.0]], ValueError, r"X must be an array: its rows differ in length"),
        ([[1.7e308], [-1.7e308]], ValueError, r"Column 0 of X spans more than float64"),
        (
            pd.DataFrame({"a": [[1], [2]]}),
            TypeError,
            r"Column 'a' of X has the dtype object, .* no categories",
        ),
        ([[True], [False]], ValueError, r"Column 0 of X has dtype bool"),
        ([[1j], [2.0]], ValueError, r"Column 0 of X has dtype complex128"),
        (np.array([[1], [2]], dtype=object), ValueError, r"Column 0 of X has dtype object"),
        (
            pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}),
            TypeError,
            r"Column 'a' of X is sparse; .*to_dense",
        ),
    ],
)
def test_bad_samples(X, error, message):
    with pytest.raises(error, match=message):
        munge(X)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("a", "must be a mask of the 3 columns"),
        (1, "must be a mask of the 3 columns"),
        ([True, False], "must be a mask of the 3 columns"),
        ([0.0, 1.0], "must be a mask of the 3 columns"),
        ([[0], [0, 1]], "must be an array: its rows differ in length"),
        ([[0, 1]], "must be a mask of the 3 columns"),
        ([0, 3], r"names columns that X lacks: \[3\]"),
        ([-1], r"names columns that X lacks: \[-1\]"),
    ],
)
def test_bad_categorical_features(bad, message):
    for X in (data(), pd.DataFrame(data(), columns=["a", "b", "c"])):
        with pytest.raises(ValueError, match=f"categorical_features {message}"):
            munge(X, categorical_features=bad)


@pytest.mark.parametrize(
    ("X", "local_variance"), [(data(), 1e-320), (np.float16([[6e4], [-6e4], [1.5]]), 1.0)]
)
def test_draws_that_their_dtype_cannot_hold(X, local_variance):
    with pytest.raises(ValueError, match=r"A draw for column 0 of X is too large"):
        munge(X, 100, local_variance=local_variance, random_state=0)


def test_polars_columns_that_are_neither_numbers_nor_categories():
    pl = pytest.importorskip("polars")
    wide = pl.Series([1, 2], dtype=pl.Int128)
    for values, message in (
        (wide, "Int128, which NumPy lacks"),
        ([[1], [2]], "no categories"),
        ([{"x": 1}, {"x": 2}], "no categories"),
    ):
        with pytest.raises(TypeError, match=f"Column 'a' of X has .*{message}"):
            munge(pl.DataFrame({"a": values}))


def test_tensors():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.25, 1.0], [0.5, 2.0], [4.0, 0.125]])
    expected = munge(X.numpy(), random_state=0)
    np.testing.assert_array_equal(munge(X.bfloat16(), random_state=0), expected)
    with pytest.raises(TypeError, match="X is a tensor that requires grad"):
        munge(X.requires_grad_())


def test_lists_of_strings_and_missing_values():
    synthetic = munge([["a", np.nan], ["b", "c"]], 50, categorical_features=[0, 1])
    assert {type(v) for v in synthetic[:, 1].tolist()} == {str, float}


def test_unknown_names_of_categories():
    with pytest.raises(ValueError, match="must be a mask of the 3 columns"):
        munge(data(), categorical_features=["a"])
    X = pd.DataFrame(data(), columns=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"columns that X lacks: \['d'\]"):
        munge(X, categorical_features=["a", "d"])
