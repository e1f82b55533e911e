"""munge against its definition, by brute force and by statistical tests."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.sparse import csr_array
from scipy.stats import binomtest, chisquare, kstest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklkl.distillation import DistilledClassifier, munge
from tests._support.layouts import LAYOUTS


def data(n_rows=200, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_features)) * 10.0 ** np.arange(n_features)


def mixed(n_rows=60):
    rng = np.random.default_rng(0)
    columns = {
        "size": rng.normal(size=n_rows),
        "colour": rng.choice(["red", "green", "blue"], size=n_rows),
        "count": rng.integers(0, 50, size=n_rows),
        "flag": rng.random(n_rows) < 0.5,
        "grade": pd.Categorical(rng.choice(["a", "b"], n_rows), ["c", "b", "a"], ordered=True),
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


# The law of the draws


@pytest.mark.parametrize(("probability", "local_variance"), [(0.3, 0.5), (1.0, 4.0)])
def test_entries_are_replaced_by_independent_normal_draws(probability, local_variance):
    X = data(n_rows=100)
    params = {"swap_probability": probability, "local_variance": local_variance}
    entries = munge(X, 100 * len(X), random_state=0, **params).reshape(100, *X.shape)
    other = X[nearest_rows(X)]
    changed = entries != X
    assert binomtest(int(changed.sum()), changed.size, probability).pvalue > 0.001
    standard = (entries - other) / np.abs(X - other) * local_variance
    n = changed.sum()
    assert abs(standard[changed].std() - 1.0) < 4 / np.sqrt(2 * n)
    assert kstest(standard[changed], "norm").pvalue > 0.01
    if probability == 1.0:  # nor do columns or copies depend on each other
        first, second = standard[..., 0], standard[..., 1]
        for a, b in ((first, second), (first[:-1], first[1:])):
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    else:
        cell = (changed[..., 0] + 2 * changed[..., 1]).ravel()
        p = np.array([1 - probability, probability])
        expected = np.outer(p, p).ravel() * len(cell)
        assert chisquare(np.bincount(cell, minlength=4), expected).pvalue > 0.001
        # Such wide draws leave the range of the column.
        assert (entries.min(axis=(0, 1)) < X.min(axis=0)).all()
        assert (entries.max(axis=(0, 1)) > X.max(axis=0)).all()


def test_probability_0_copies_rows_equally_often():
    X = data(n_rows=30)
    assert_array_equal(munge(X, swap_probability=0.0), X)
    result = munge(X, 100, swap_probability=0.0, random_state=0)
    assert_array_equal(result[:90], np.tile(X, (3, 1)))
    rows, counts = np.unique(result, axis=0, return_counts=True)
    assert_array_equal(rows, np.unique(X, axis=0))
    assert_array_equal(np.bincount(counts), [0, 0, 0, 20, 10])
    few = munge(X, 10, swap_probability=0.0, random_state=0)
    assert not np.array_equal(few, munge(X, 10, swap_probability=0.0, random_state=1))


def test_neighbours_of_mixed_columns():
    """Also columns, dtypes and categories of the frame are kept, but not its index."""
    X = mixed(n_rows=12)
    before = X.copy(deep=True)
    nearest = nearest_rows(X, categorical=(1, 3, 4))
    pd.testing.assert_frame_equal(swapped(X), X.iloc[nearest].reset_index(drop=True))
    drawn = munge(X, 250, random_state=0)
    pd.testing.assert_frame_equal(X, before)
    pd.testing.assert_series_equal(drawn.dtypes, X.dtypes)
    pd.testing.assert_index_equal(drawn.index, pd.RangeIndex(250))


def test_categories_come_from_the_pair():
    X = mixed(n_rows=12)
    nearest = nearest_rows(X, categorical=(1, 3, 4))
    result = munge(X, 50 * len(X), random_state=0)
    for name in ("colour", "flag", "grade"):
        own = X[name].to_numpy(dtype=object)
        drawn = result[name].to_numpy(dtype=object).reshape(50, -1)
        assert ((drawn == own) | (drawn == own[nearest])).all()
        share = (drawn == own[nearest])[:, own != own[nearest]]
        assert binomtest(int(share.sum()), share.size, 0.5).pvalue > 0.001


def test_duplicates_and_constant_columns():
    X = np.repeat(data(n_rows=20), 3, axis=0)
    assert_array_equal(munge(X, swap_probability=1.0, random_state=0), X)
    assert_array_equal(swapped(np.array([[1.0], [5.0]])), [[5.0], [1.0]])
    X = np.column_stack([data(), np.full(200, 0.1), np.full(200, np.nan)])
    result = munge(X, 1000, random_state=0)
    assert_array_equal(result[:, 3:], np.tile(X[:5, 3:], (200, 1)))
    assert_array_equal(swapped(X)[:, :3], swapped(X[:, :3]))
    assert_array_equal(munge(np.ones((5, 2)), 11), np.ones((11, 2)))


def test_seeds():
    X = mixed()
    first = munge(X, random_state=5)
    pd.testing.assert_frame_equal(first, munge(X, len(X), random_state=5))
    state = np.random.RandomState(5)
    pd.testing.assert_frame_equal(first, munge(X, random_state=state))
    assert not first.equals(munge(X, random_state=state))


# Dtypes and containers


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32])
def test_dtypes_of_arrays(dtype):
    X = (10 * data(n_rows=50, n_features=2)).astype(dtype)
    result = munge(X, 120, random_state=0)
    assert result.dtype == dtype
    exact = munge(X.astype(np.float64), 120, random_state=0)
    expected = exact if X.dtype.kind == "f" else np.rint(exact)
    assert_array_equal(result, expected.astype(dtype))
    assert (result[:50] != X).any()


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64])
def test_integers_saturate(dtype):
    info = np.iinfo(dtype)
    X = np.array([[info.min], [info.max]], dtype=dtype)
    result = munge(X, 1000, swap_probability=1.0, random_state=0)[:, 0].astype(float)
    # Half of the draws leave the range on the neighbour's side, a sixth on the other one.
    share = (result - info.min) / (float(info.max) - info.min)
    assert result.max() == pytest.approx(info.max)
    assert abs(np.mean(share[::2] > 0.99) - 0.5) < 0.08
    assert abs(np.mean(share[::2] < 0.01) - 0.16) < 0.05


def test_large_equal_integers_are_unchanged():
    X = np.column_stack([np.arange(20), np.full(20, 2**62 + 1)])
    assert (munge(X, 100, random_state=0)[:, 1] == 2**62 + 1).all()


def test_lists_and_layouts():
    X = data(n_rows=20)
    expected = munge(X, random_state=0)
    for other in (X.tolist(), *(layout(X) for layout in LAYOUTS.values())):
        assert_array_equal(munge(other, random_state=0), expected)
    assert munge([[1, 2], [3, 4]]).dtype.kind == "i"


def test_arrays_of_strings_and_objects():
    X = np.array([["a", "x"], ["a", "y"], ["b", "y"], ["b", "y"]])
    assert_array_equal(swapped(X, categorical_features=[0, 1])[2:], X[2:])
    mixture = np.array([[1, "x"], [1, "x"], [None, "y"], [None, "y"]], dtype=object)
    result = munge(mixture, categorical_features=[True, True], random_state=0)
    assert result.dtype == object
    assert_array_equal(result, mixture)
    listed = munge([["a", np.nan], ["b", "c"]], 50, categorical_features=[0, 1])
    assert {type(v) for v in listed[:, 1].tolist()} == {str, float}


def test_names_of_columns_may_have_levels_or_occur_twice():
    X = data(n_rows=20)
    levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["p", "q"])
    for columns in (levels, pd.Index([*"aba"])):
        result = munge(pd.DataFrame(X, columns=columns), 50, random_state=0)
        pd.testing.assert_index_equal(result.columns, columns)
        assert_array_equal(result.to_numpy(), munge(X, 50, random_state=0))


@pytest.mark.parametrize("wanted", [[1, 2], np.array(["b", "c"]), [False, True, True], []])
def test_ways_to_name_categories(wanted):
    X = data(n_rows=60)
    X[:, 1:] = np.random.default_rng(0).integers(0, 5, size=(60, 2))
    nearest = nearest_rows(X, categorical=(1, 2) if len(wanted) else ())
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert_array_equal(swapped(frame, categorical_features=wanted), X[nearest])
    drawn = munge(frame, 500, categorical_features=wanted, random_state=0)
    assert drawn["b"].isin(X[:, 1]).all()
    assert not drawn["a"].isin(X[:, 0]).all()


def test_missing_numbers():
    X = data(n_rows=15, n_features=4)
    X[np.random.default_rng(0).random(X.shape) < 0.4] = np.nan
    nearest = nearest_rows(X)
    assert_array_equal(swapped(X), X[nearest])
    result = munge(X, 100 * len(X), random_state=0).reshape(100, *X.shape)
    own, other = np.isnan(X), np.isnan(X[nearest])
    share = np.isnan(result)[:, own != other]
    assert binomtest(int(share.sum()), share.size, 0.5).pvalue > 0.001
    # What is not missing is swapped as it is, then.
    kept = np.where(own, X[nearest], X)[own != other]
    assert (share | (result[:, own != other] == kept)).all()
    assert not np.isnan(result[:, ~(own | other)]).any()


def test_missing_values_of_frames():
    columns = {
        "count": pd.array([1, 2, None, 9, 4, None], dtype="Int64"),
        "size": pd.array([0.5, None, 3.0, 1.0, 4.0, 2.25], dtype="Float32"),
        "flag": pd.array([True, None, False, True, None, False], dtype="boolean"),
        "colour": ["red", None, "blue", "red", "blue", None],
        "word": pd.Series(["a", np.nan, None, "b", pd.NA, "b"], dtype=object),
        "grade": pd.Categorical(["u", "v", None, "u", None, "v"]),
        "day": pd.to_datetime(["2020-01-01", None, "2021-01-01"] * 2),
        "nothing": np.full(6, np.nan),
    }
    X = pd.DataFrame(columns)
    result = munge(X, 600, random_state=0)
    pd.testing.assert_series_equal(result.dtypes, X.dtypes)
    unchanged = munge(X, 12, swap_probability=0.0)
    pd.testing.assert_frame_equal(unchanged, pd.concat([X, X], ignore_index=True))
    nearest = nearest_rows(X.iloc[:, :-1], categorical=(2, 3, 4, 5, 6))
    pd.testing.assert_frame_equal(swapped(X), X.iloc[nearest].reset_index(drop=True))
    for name in ("count", "size"):
        own, drawn = X[name].isna(), result[name].isna().to_numpy().reshape(-1, 6)
        assert_array_equal(drawn.any(axis=0), own | own[nearest].to_numpy())
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


@pytest.mark.parametrize("container", [pd.DataFrame, lambda d: np.column_stack([*d.values()])])
def test_whole_numbers_stay_whole_and_in_their_range(container):
    columns = whole()
    result = munge(container(columns), 1000, random_state=0)
    drawn = dict(zip(columns, np.asarray(result, float).T, strict=True))
    for name in ("count", "small", "some", "flag"):
        values = drawn[name][~np.isnan(drawn[name])]
        assert_array_equal(values, np.rint(values))
        low, high = np.nanmin(columns[name]), np.nanmax(columns[name])
        assert low <= values.min() < values.max() <= high
    assert drawn["size"].max() > columns["size"].max()


def test_polars_frames_are_as_those_of_pandas():
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")  # which brings polars to pandas
    rng = np.random.default_rng(0)
    columns = {
        **whole(40),
        "colour": rng.choice(["red", "green"], 40),
        "known": rng.random(40) < 0.5,
        "day": rng.choice(pd.date_range("2020-01-01", periods=40).to_numpy(), 40),
        "word": [None if i % 3 == 0 else "a" for i in range(40)],
        "maybe": [None if i % 3 == 0 else i for i in range(40)],
    }
    X = pl.DataFrame(columns).with_columns(
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
    only = munge(X.select("count", "word"), 50, categorical_features=["count", "word"])
    assert only["count"].is_in(X["count"].to_list()).all()


def test_synthetic_samples_of_polars_keep_names_and_dtypes():
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"n": rng.integers(0, 5, 60), "colour": rng.choice(["red", "blue"], 60)})
    y = rng.integers(0, 2, 60)
    encode = make_column_transformer((OneHotEncoder(), ["colour"]), (StandardScaler(), ["n"]))
    pair = (make_pipeline(encode, last) for last in (GaussianNB(), LogisticRegression()))
    model = DistilledClassifier(*pair, n_synthetic=2.0, random_state=0)
    said = model.fit(X, y).predict_proba(X)
    assert model.feature_names_in_.tolist() == X.columns
    columns = pd.DataFrame(X.to_dict(as_series=False))
    assert_allclose(clone(model).fit(columns, y).predict_proba(columns), said)


@pytest.mark.slow  # it imports torch
def test_tensors():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[0.25, 1.0], [0.5, 2.0], [4.0, 0.125]])
    expected = munge(X.numpy(), random_state=0)
    assert_array_equal(munge(X.bfloat16(), random_state=0), expected)
    with pytest.raises(TypeError, match="X is a tensor that requires grad"):
        munge(X.requires_grad_())


# Refusals

SPARSE = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])})


def test_bad_frames_of_others():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    with pytest.raises(TypeError, match="X is a Table; pass an array, or a data frame"):
        munge(pa.table({"a": [1, 2]}))
    for values, message in (
        (pl.Series([1, 2], dtype=pl.Int128), "Int128, which NumPy lacks"),
        ([{"x": 1}, {"x": 2}], "no categories"),
    ):
        with pytest.raises(TypeError, match=f"Column 'a' of X has .*{message}"):
            munge(pl.DataFrame({"a": values}))


def words(dtype, n_rows=60, n_words=40, seed=0):
    """Rows with a few entries each, one without any, a constant column and an empty one."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.2, (n_rows, n_words)) * rng.integers(1, 50, (n_rows, n_words))
    X = X * rng.uniform(-1.0, 2.0, X.shape) if np.dtype(dtype).kind == "f" else X
    X[:, 3], X[:, 4], X[7] = 2, 0, 0
    X[:, 5] = 100 + rng.integers(0, 20, n_rows)  # far from 0
    X[7, 5] = 100
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("options", [{}, {"local_variance": np.inf, "swap_probability": 0.8}])
def test_sparse_rows_give_what_dense_ones_do(dtype, options):
    X = words(dtype)
    expected = munge(X, 250, random_state=0, **options)
    found = munge(csr_array(X), 250, random_state=0, **options)
    assert found.dtype == X.dtype
    assert_array_equal(found.toarray(), expected)
    assert (found.data != 0).all()
    # Neither dense nor changed: an entry comes from one row of the pair or the other.
    assert found.nnz < 2.1 * np.count_nonzero(X) / len(X) * 250


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array", "bsr_matrix"])
def test_sparse_formats(kind):
    X = words(np.float64)
    X = getattr(sparse, kind)(X)
    before = X.toarray()
    found = munge(X, random_state=0)
    assert type(found) is type(X)
    assert_array_equal(found.toarray(), munge(before, random_state=0))
    assert_array_equal(X.toarray(), before)
    assert_array_equal(munge(0 * X, random_state=0).toarray(), np.zeros(X.shape))


def test_wide_sparse_rows_stay_sparse():
    """Whose dense form would take 80 GB."""
    X = sparse.random_array((2000, 2_000_000), density=1e-5, format="csr", rng=0)
    found = munge(X, 5000, random_state=0)
    assert found.shape == (5000, 2_000_000)
    assert found.nnz <= 2 * 5000 * np.diff(X.indptr).max()


X = data()
NAMED = pd.DataFrame(X, columns=["a", "b", "c"])
OBJECTS = pd.DataFrame({"a": [[1], [2]]})
MASK = "categorical_features must be a mask of the 3 columns"


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (csr_array(np.eye(3)), {"categorical_features": [0]}, "are for dense X"),
        (csr_array(np.eye(3)[:1]), {}, r"at least two rows .* got shape \(1, 3\)"),
        (csr_array(np.eye(3) > 0), {}, "X has dtype bool, which is not numeric"),
        (csr_array([[0.0, 1.0], [0.0, np.inf]]), {}, "X is infinite in row 1, column 1"),
        (csr_array([[0.0, 1.0], [np.nan, 0.0]]), {}, "X holds NaN in row 1, column 0; impute"),
        (csr_array([[1.7e308], [-1.7e308]]), {}, "Column 0 of X spans more than float64"),
        (
            csr_array([[0.0, 0.5], [0.0, 1.5]]),
            {"local_variance": 1e-320, "n_samples": 50},
            "column 1 .* large",
        ),
        ([1.0, 2.0], {}, r"X must have shape .* got shape \(2,\)"),
        ([[1.0, 2.0]], {}, r"at least two rows .* got shape \(1, 2\)"),
        (np.ones((3, 0)), {}, r"one feature; got shape \(3, 0\)"),
        ([[0.0, 1.0], [2.0, -np.inf]], {}, "infinite in row 1, column 1"),
        (pd.DataFrame({"a": [np.inf, 1.0]}), {}, "infinite in row 0, column 'a'"),
        ([["a"], ["b"]], {}, "Column 0 of X has dtype <U1, .* name it in categ"),
        ([[True], [False]], {}, "Column 0 of X has dtype bool"),
        ([[1.7e308], [-1.7e308]], {}, "Column 0 of X spans more than float64"),
        (OBJECTS, {}, "Column 'a' .* object, .* no categories"),
        (SPARSE, {}, "Column 'a' of X is sparse; .*to_dense"),
        (X, {"categorical_features": "a"}, MASK),
        (X, {"categorical_features": ["a"]}, MASK),
        (X, {"categorical_features": [True, False]}, MASK),
        (X, {"categorical_features": [0.0, 1.0]}, MASK),
        (X, {"categorical_features": [[0, 1]]}, MASK),
        (X, {"categorical_features": [0, 3]}, r"names columns that X lacks: \[3\]"),
        (X, {"categorical_features": [-1]}, r"names columns that X lacks: \[-1\]"),
        (NAMED, {"categorical_features": ["a", "d"]}, r"columns that X lacks: \['d'\]"),
        (X, {"n_samples": 0}, "n_samples must be"),
        (X, {"swap_probability": 1.1}, "swap_probability must be"),
        (X, {"local_variance": 0}, "local_variance must be"),
        (X, {"random_state": -1}, "random_state must be"),
        (X, {"local_variance": 1e-320}, "A draw for column 0 .* too large"),
        (np.float16([[6e4], [-6e4], [1.5]]), {"n_samples": 100}, "A draw for column 0 of X"),
    ],
)
def test_refusals(X, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        munge(X, **{"random_state": 0, **params})
