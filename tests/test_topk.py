"""Probabilities of a few classes of each sample: what is stored, refused and indexed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from scipy.stats import entropy
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing

from sklkl import TopK
from sklkl._core import topk
from sklkl._core.names import counting_from

INDICES = np.array([[2, 0], [1, 3], [4, 1], [0, 4]])
PROBA = np.array([[0.7, 0.2], [0.5, 0.3], [0.6, 0.4], [1.0, 0.0]])
DENSE = {
    "uniform": [
        [0.2, 0.1 / 3, 0.7, 0.1 / 3, 0.1 / 3],
        [0.2 / 3, 0.5, 0.2 / 3, 0.3, 0.2 / 3],
        [0.0, 0.4, 0.0, 0.0, 0.6],
        [1.0, 0.0, 0.0, 0.0, 0.0],
    ],
    "renormalize": [
        [2 / 9, 0.0, 7 / 9, 0.0, 0.0],
        [0.0, 0.625, 0.0, 0.375, 0.0],
        [0.0, 0.4, 0.0, 0.0, 0.6],
        [1.0, 0.0, 0.0, 0.0, 0.0],
    ],
}
each_known = pytest.mark.parametrize("rest", DENSE)


def example(rest="uniform", **options):
    return TopK(INDICES, PROBA, 5, rest=rest, **options)


@each_known
def test_dense_rows(rest):
    assert_allclose(example(rest).to_dense(), DENSE[rest], atol=1e-15)
    with np.errstate(divide="ignore"):
        of_logs = TopK(INDICES, n_classes=5, log_proba=np.log(PROBA), rest=rest)
    assert_allclose(of_logs.to_dense(), DENSE[rest], atol=1e-15)
    assert_allclose(example(rest).to_dense().sum(axis=1), 1.0, rtol=1e-15)


def test_dicts_by_the_class_of_keys():
    """Keys of one class are added up; those of none are known to be no answer."""
    rows = [
        {"Yes": 0.4, " yes": 0.2, "No": 0.1, "The": 0.2},
        {"no": 0.75, "I": 0.25},
        {"no": 0.6, "yes": 0.2},
    ]
    logs = [{key: np.log(p) for key, p in row.items()} for row in rows]

    def class_of(key):
        return {"yes": 1, "no": 0}.get(key.strip().lower())

    y = TopK.from_dicts(logs, classes=[0, 1, 2], class_of=class_of)
    wanted = [[0.125, 0.75, 0.125], [1, 0, 0], [0.6, 0.2, 0.2]]
    assert_allclose(y.to_dense(), wanted, rtol=1e-14, atol=1e-15)
    # Where all classes are listed, the rest can only be more spellings, or no answer.
    for rest in ("uniform", "bucket", "renormalize"):
        y = TopK.from_dicts(logs, classes=[0, 1], class_of=class_of, rest=rest)
        assert_allclose(y.to_dense()[[0, 2]], [[1 / 7, 6 / 7], [0.75, 0.25]], rtol=1e-14)
    # Rounding of what is no answer may leave less than there is.
    y = TopK.from_dicts([{"no": -19.0, "I": 1e-8}], classes=[0, 1, 2], class_of=class_of)
    assert_allclose(y.to_dense(), [[1, 0, 0]])
    for bad, message in (
        ([logs[0], {"I": -1.0}], r"finds no class in rows\[1\], \['I'\]"),
        (
            [logs[0], {"I": -1.0, "no": -np.inf}],
            r"finds only classes of probability 0 in rows\[1",
        ),
        ([logs[0], {"no": np.nan, "No": -1.0}], r"Row 1 of rows has the log-probability nan"),
        ([logs[0], {"no": -0.1, "I": np.nan}], r"Row 1 of rows has the log-probability nan"),
        ([logs[0], {"no": -0.1, "No": -0.2}], r"row 1 of rows sum to 1.72"),
        ([logs[0], {"no": -0.1, "I": -0.2}], r"row 1 of rows sum to 1.72"),
        ([logs[0], {"no": -0.1, "I": "a"}], r"rows\[1\]\[1\] is 'a'"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            TopK.from_dicts(bad, classes=[0, 1, 2], class_of=class_of)
    with pytest.raises(TypeError, match=r"class_of must return .* 'no', in rows\[0\]"):
        TopK.from_dicts([{"no": -1.0}], classes=[0, 1], class_of=list)
    with pytest.raises(ValueError, match="class_of must be a function"):
        TopK.from_dicts(logs, classes=[0, 1], class_of={"yes": 1})


def test_of_a_sparse_matrix_and_of_dicts():
    stored = csr_array(np.array(DENSE["renormalize"]))
    assert_allclose(TopK.from_csr(coo_array(stored)).to_dense(), stored.toarray())
    names = ["a", "b", "c", "d", "e"]
    rows = [
        {names[k]: float(np.log(p)) for k, p in zip(*row, strict=True) if p > 0}
        for row in zip(INDICES, PROBA, strict=True)
    ]
    target = TopK.from_dicts(rows, classes=names[::-1])
    assert_allclose(target.to_dense()[:, ::-1], DENSE["uniform"], atol=1e-15)
    assert_array_equal(TopK.from_dicts(rows).classes, names)
    json = [
        [{"token": key, "logprob": v, "bytes": None} for key, v in r.items()] for r in rows
    ]
    assert_array_equal(TopK.from_dicts(json).to_dense(), TopK.from_dicts(rows).to_dense())
    twice = [[*json[0], json[0][0]]]  # as of two tokens whose bytes are no text
    with pytest.raises(ValueError, match="Row 0 of rows lists the class 2 twice"):
        TopK.from_dicts(twice, classes=names)
    assert TopK.from_dicts(({"b": -1.0}, {"a": -2.0})).classes.tolist() == ["a", "b"]


def test_rounding_is_no_error():
    target = TopK([[0, 1]], np.array([[0.9, 0.1 + 2e-4]], np.float32), 3)
    assert_allclose(target.to_dense(), np.array([[0.9, 0.1002, 0.0]]) / 1.0002, rtol=1e-7)
    target = TopK([[0, 1]], [[0.6, 0.3999]], 2)
    assert_allclose(target.to_dense(), np.array([[0.6, 0.3999]]) / 0.9999, rtol=1e-14)
    assert TopK([[0, 1]], [[1.0, -1e-7]], 3).proba.tolist() == [1.0, 0.0]
    assert TopK([[0]], log_proba=[[1e-7]], n_classes=3).proba.tolist() == [1.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"indices": [[0, 1], [2, 5]]}, ValueError, "Row 1 of indices lists the class 5"),
        ({"indices": [[0, 1], [-1, 1]]}, ValueError, "Row 1 of indices lists the class -1"),
        (
            {"indices": [[0, 1], [2, 2]]},
            ValueError,
            "Row 1 of indices lists the class 2 twice",
        ),
        ({"indices": [[0.0, 1.0]] * 2}, ValueError, "must hold integers"),
        ({"indices": [0, 1]}, ValueError, "must have the same shape"),
        ({"proba": [[0.5, 0.5], [0.9, 0.2]]}, ValueError, "row 1 of proba sum to 1.1"),
        (
            {"proba": [[0.5, 0.5], [0.5, -0.1]]},
            ValueError,
            "Row 1 of proba has the probability -0.1 at place 1",
        ),
        ({"proba": [[0.5, 0.5], [np.nan, 0.1]]}, ValueError, "probability nan at place 0"),
        ({"log_proba": [[-1.0, -2.0]] * 2}, ValueError, "Pass either proba or log_proba"),
        (
            {"proba": None, "log_proba": [[-1.0, -2.0], [0.5, -9.0]]},
            ValueError,
            "Row 1 of log_proba has the log-probability 0.5",
        ),
        ({"n_classes": None}, ValueError, "Pass n_classes"),
        ({"n_classes": 1}, ValueError, "n_classes must be"),
        (
            {"n_classes": 2**31},
            ValueError,
            "an integer from 2 to 2147483647",
        ),
        (
            {"n_classes": 2, "indices": [[0, 1]] * 2},
            ValueError,
            "Row 1 .*all classes are listed",
        ),
        (
            {"rest": "renormalize", "proba": [[0.5, 0.5], [0.0, 0.0]]},
            ValueError,
            "Row 1 .* nothing to renormalize",
        ),
        ({"classes": ["a", "b"]}, ValueError, "classes has 2 names"),
        ({"rest": "ignore"}, ValueError, "rest must be one of"),
    ],
)
def test_refusals(change, error, message):
    given = {"indices": [[0, 1], [2, 1]], "proba": [[0.5, 0.5], [0.5, 0.1]], "n_classes": 5}
    with pytest.raises(error, match=message):
        TopK(**(given | change))


def test_refusals_of_other_sources():
    with pytest.raises(TypeError, match="must be a sparse matrix"):
        TopK.from_csr(np.eye(3))
    bad = csr_array(np.eye(3))
    bad.indptr[1] = 5
    for x in (bad, bad.T):
        with pytest.raises(ValueError, match=r"proba(\.T)?\.indptr must not fall; at row 1"):
            TopK.from_csr(x)
    vector = coo_array(np.ones(3))  # before SciPy 1.13 a row
    for x in (csr_array(np.ones((3, 1))), *([vector] if vector.ndim == 1 else [])):
        with pytest.raises(ValueError, match=r"proba must have shape .* at least two classes"):
            TopK.from_csr(x)
    with pytest.raises(ValueError, match="Row 1 of proba lists no class"):
        TopK.from_csr(csr_array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(TypeError, match=r"rows\[1\] must be a dict"):
        TopK.from_dicts([{"a": -1.0}, ["a"]])
    with pytest.raises(TypeError, match=r"rows\[0\] must be a dict .* with 'token'"):
        TopK.from_dicts([[{"token": "a", "prob": 0.5}]])
    with pytest.raises(TypeError, match=r"record\['top_logprobs'\] for record"):
        TopK.from_dicts([{"id": 1, "top_logprobs": [{"token": "a", "logprob": -1.0}]}])
    with pytest.raises(ValueError, match=r"rows\[1\] has 'c', .* class_of= return None"):
        TopK.from_dicts([{"a": -1.0}, {"c": -1.0}], classes=["a", "b"])
    with pytest.raises(
        ValueError, match=r"Row 0 .* all classes are listed.*from_dicts does with class_of="
    ):
        TopK.from_dicts([{"a": -1.0, "b": -1.0}])
    with pytest.raises(ValueError, match="Row 1 of rows lists no class"):
        TopK.from_dicts([{"a": -1.0}, {}], classes=["a", "b"])
    with counting_from(10), pytest.raises(ValueError, match="Row 11 of indices lists"):
        TopK([[0, 1], [2, 2]], [[0.5, 0.5], [0.5, 0.1]], 5)


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 3),
        slice(None),
        slice(3, 1),
        slice(None, None, 2),
        [3, 0, 0],
        np.array([True, False, True, False]),
        -1,
        (np.array([2, 1]), ...),
    ],
)
def test_indexing(rows):
    dense = np.array(DENSE["uniform"])
    key = rows[0] if isinstance(rows, tuple) else rows
    assert_allclose(example()[rows].to_dense(), np.atleast_2d(dense[key]), atol=1e-15)
    assert len(example()[rows]) == example()[rows].shape[0] == len(np.atleast_2d(dense[key]))


def test_indexing_by_scikit_learn():
    dense = np.array(DENSE["uniform"])
    a, b = train_test_split(example(), random_state=0)
    for part, wanted in zip((a, b), train_test_split(dense, random_state=0), strict=True):
        assert_allclose(part.to_dense(), wanted, atol=1e-15)
    for train, _ in KFold(2).split(example()):
        part = _safe_indexing(example(), train)
        assert_allclose(part.to_dense(), dense[train], atol=1e-15)
    with pytest.raises(IndexError):
        example()[9]
    for rows in ((0, 1), ([0], np.array([1, 2])), None, True, np.zeros((2, 2), int)):
        with pytest.raises(IndexError, match="A TopK is indexed by rows only"):
            example()[rows]


def test_is_no_array():
    with pytest.raises(TypeError, match="to_dense"):
        np.asarray(example())
    assert "rest='uniform'" in repr(example())
    with pytest.raises(ValueError, match="rest='bucket' leaves open"):
        example("bucket").to_dense()
    exact = TopK(INDICES[2:], PROBA[2:], 5, rest="bucket")
    assert_allclose(exact.to_dense(), DENSE["uniform"][2:])


@each_known
def test_mass_and_entropy(rest):
    target, weight = example(rest), np.array([1.0, 2.0, 0.0, 0.5])
    assert_allclose(topk.mass(target, weight), weight @ DENSE[rest], atol=1e-15)
    assert_allclose(topk.entropies(target), entropy(DENSE[rest], axis=1), atol=1e-15)


def test_a_class_listed_everywhere_with_probability_0_has_no_mass():
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 300)[:, :3] * [1.0, 1.0, 0.0]
    target = TopK(np.tile([0, 1, 4], (300, 1)), proba, 5)
    weight = np.random.default_rng(5).uniform(0.1, 2.0, 300) * (np.arange(300) % 3 > 0)
    mass = topk.mass(target, weight)
    assert mass[4] == 0.0
    assert_allclose(mass, weight @ target.to_dense(), rtol=1e-12)


def test_entropy_and_mass_of_a_bucket():
    target = example("bucket")
    wanted = entropy(np.column_stack([PROBA, 1.0 - PROBA.sum(axis=1)]), axis=1)
    assert_allclose(topk.entropies(target), wanted, atol=1e-15)
    ones = np.ones(4)
    assert_allclose(topk.mass(target, ones), topk.mass(example(), ones), atol=1e-15)
