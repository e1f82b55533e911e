"""Call whatever is public with hostile arguments, and see that it answers or refuses them.

``python -m tools.fuzz --calls 100000`` finds functions, classes and their methods by the
``__all__`` of the packages, gives them good arguments by the names of their parameters, spoils
some of these, and reports whatever comes out but

- an error that somebody has raised on purpose, ValueError, TypeError or NotFittedError;
- a result without NaN, with a row for each sample, and documented kinds of warnings.

No call may crash, take longer than ``--deadline`` seconds, or change an array that it gets.
A case depends on ``--seed`` and its number, and on ``--only`` and ``--slow``, by which it
is chosen: ``--case`` runs one anew, and prints it.
"""

import argparse
import copy
import dataclasses
import faulthandler
import importlib
import inspect
import linecache
import mmap
import multiprocessing
import os
import pkgutil
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

import sklkl
from sklkl import TopK
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import LossInterval, get_scorer_names
from tests._support.layouts import LAYOUTS

ROOT = Path(__file__).parents[1]
UNDOCUMENTED = (RuntimeWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning)
BYTES = 6 << 30  # of the address space
FOLDER = tempfile.mkdtemp(prefix="sklkl-fuzz-")
FILE = os.path.join(FOLDER, "file")
Path(FILE).write_text("no data")
# 12 to 100 ms a case, as estimators; others take 1 to 2
SLOW = "model_selection|inspection|fidelity_report|kl_decomposition|dawid_skene"


# What is public


def packages():
    """Yield the public packages, without the one that needs a cluster."""
    yield sklkl
    for module in pkgutil.iter_modules(sklkl.__path__):
        if not module.name.startswith("_") and module.name != "dask":
            yield importlib.import_module(f"sklkl.{module.name}")


def public():
    """Return what to call, by qualified name: a function, or a class and how often."""
    found = {}
    for package in packages():
        for name in package.__all__:
            value = getattr(package, name)
            if not callable(value) or name == "show_config":  # which prints
                continue
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                continue  # a record
            if isinstance(value, type) and issubclass(value, Warning):
                continue
            if isinstance(value, type):
                for method in vars(value):
                    if method.startswith("from_"):
                        found[f"{package.__name__}.{name}.{method}"] = getattr(value, method)
            if not name.endswith("Display"):  # made by its class methods
                found[f"{package.__name__}.{name}"] = value
    return found


@cache
def methods_of(kind):
    """Return the names of the methods of a class that take data or give results."""
    return [
        name
        for name in dir(kind)
        if not name.startswith(("_", "set_", "get_metadata", "get_params", "from_"))
        and (callable(getattr(kind, name, None)) or name == "partial_fit")
    ]


# Good arguments


class Problem:
    """A small problem: good arguments that fit each other."""

    def __init__(self, rng, of_map=False):
        self.rng = rng
        self.n, self.k = int(rng.choice([1, 2, 7, 12, 30])), int(rng.choice([2, 2, 3, 5]))
        self.hard = rng.random() < 0.4
        self.names = rng.choice(["int", "str", "none"])
        self.labels_of_classes = np.array(
            list("abcdefgh"[: self.k]) if self.names == "str" else np.arange(self.k)
        )
        self.of_map = of_map

    def rows(self, n=None):
        proba = self.rng.dirichlet(np.ones(self.k), self.n if n is None else n)
        return proba.astype(self.rng.choice([np.float64, np.float64, np.float32]))

    def features(self):
        return self.rows() if self.of_map else self.rng.normal(size=(self.n, 3))

    def target(self):
        rng = self.rng
        if self.hard:
            codes = np.arange(self.n) % self.k
            return self.labels_of_classes[rng.permutation(codes)]
        proba = self.rows()
        kind = rng.integers(8)
        if kind == 0:
            return pd.DataFrame(proba, columns=self.labels_of_classes)
        if kind == 1:
            return self.lists()
        if kind == 2:
            return sp.csr_array(proba)
        return proba

    def lists(self):
        proba = self.rows()
        order = np.argsort(-proba)[:, :2]
        rest = str(self.rng.choice(["uniform", "bucket", "renormalize"]))
        return TopK(order, np.take_along_axis(proba, order, 1) * 0.99, self.k + 1, rest=rest)

    def model(self):
        kind = SoftLabelLogisticRegression if self.rng.random() < 0.6 else GaussianNB
        return copy.deepcopy(fitted(kind, tuple(self.labels_of_classes.tolist())))

    def table(self):
        frame = pd.DataFrame(self.rng.normal(size=(self.n, 3)), columns=list("abc"))
        return frame.assign(y=np.arange(self.n) % self.k)

    def source(self):
        X, y = self.rng.normal(size=(self.n, 3)), np.arange(self.n) % self.k
        return [(X, y), lambda: iter([(X, y)]), self.table()][self.rng.integers(3)]

    def covariance(self):
        return [np.array([1.0, 2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])][self.rng.integers(2)]

    def some(self, *choices):
        return choices[self.rng.integers(len(choices))]


@cache
def fitted(kind, classes):
    X = np.random.default_rng(0).normal(size=(30, 3))
    return kind().fit(X, np.resize(np.array(classes), 30))


def weights(g):
    return g.rng.integers(0, 4, g.n) + (np.arange(g.n) == 0)


def counts(g):
    return g.rng.integers(0, 9, (g.n, g.k)) + 1


def logarithms(g):
    return np.log(g.rows())


DIVERGENCE = ("kl", "reverse_kl", "jensen_shannon", "renyi", "neg_kl_loss", "jeffreys_loss")
GOOD = {
    **dict.fromkeys(("p", "q", "P", "Q", "y_proba", "y_proba_other"), Problem.rows),
    **dict.fromkeys(("student_proba", "proba"), Problem.rows),
    **dict.fromkeys(("p_logits", "q_logits", "log_p", "log_q", "log_proba"), logarithms),
    **dict.fromkeys(("counts", "p_counts", "q_counts"), counts),
    **dict.fromkeys(("reference", "current"), lambda g: counts(g)[0]),
    **dict.fromkeys(("mean_p", "mean_q"), lambda g: g.rng.normal(size=2)),
    **dict.fromkeys(("cov_p", "cov_q"), Problem.covariance),
    **dict.fromkeys(("y", "y_true", "labels"), Problem.target),
    **dict.fromkeys(("sample_weight", "label_weight"), weights),
    "offset": lambda g: g.some(None, g.rng.normal(size=(g.n, g.k))),
    **dict.fromkeys(("estimator", "model", "student"), Problem.model),
    **dict.fromkeys(("n_bins", "n_outcomes", "n_points", "n_rows"), lambda g: g.some(3, 5)),
    **dict.fromkeys(("n_samples", "n_resamples", "n_synthetic"), lambda g: g.some(4, 9)),
    **dict.fromkeys(("cv", "n_repeats", "n_splits"), lambda g: g.some(2, 3)),
    "names": lambda g: ("old", "new"),
    "row_names": lambda g: [f"r{i}" for i in range(g.n)],
    **dict.fromkeys(("outcomes", "column_names"), lambda g: g.labels_of_classes),
    **dict.fromkeys(("classes", "classes_of_interest"), lambda g: g.labels_of_classes),
    "X": Problem.features,
    "Cs": lambda g: g.some(2, [0.1, 1.0]),
    "C": lambda g: g.some(0.1, 1, 10.0, np.inf),
    "accuracy": lambda g: g.some(True, False),
    "agreement": lambda g: g.some(0.3, 0.9),
    "alpha": lambda g: g.some(-0.5, 0.5, 2.0),
    "annotator": lambda g: np.arange(g.n) // 3 % 3,
    "ax": lambda g: None,
    "axis": lambda g: g.some(-1, 0, 1),
    "base": lambda g: g.some(None, 2, 10.0),
    "batch_size": lambda g: g.some(1, 5, 1000),
    "bins": lambda g: g.some(None, 4, [0.2, 0.5]),
    "calibrate": lambda g: g.some(True, False, "auto", None),
    "categorical_features": lambda g: g.some(None, [0]),
    "class_weight": lambda g: g.some(None, "balanced", {g.labels_of_classes.tolist()[0]: 2.0}),
    "class_of": lambda g: g.some(None, lambda key: key),
    "confidence_level": lambda g: g.some(0.5, 0.95),
    "covariance_type": lambda g: g.some("auto", "full", "diag"),
    "cross_fit": lambda g: g.some(True, False),
    "deep": lambda g: g.some(True, False),
    "digits": lambda g: g.some(2, 5),
    "divergence": lambda g: g.some(*DIVERGENCE),
    "divergence_params": lambda g: g.some(None, {"weight": 0.3}, {"order": 0.5}),
    "ensemble": lambda g: g.some(True, False, "auto"),
    "estimators": lambda g: [g.model(), g.model()],
    "features": lambda g: g.some(None, list("ab")),
    "fit_intercept": lambda g: g.some(True, False),
    "from_logits": lambda g: g.some(True, False),
    "groups": lambda g: np.arange(g.n) % 4,
    "hard_label_weight": lambda g: g.some(0.0, 0.5, 1.0),
    "indices": lambda g: np.tile(np.arange(g.k), (g.n, 1)),
    "item": lambda g: np.arange(g.n) % 3,
    "items": lambda g: g.some(None, [2, 1, 0, 5]),
    "keep": lambda g: g.some((), ["a"]),
    "known": lambda g: g.some(None, {0: g.labels_of_classes.tolist()[0]}),
    "l1_ratio": lambda g: g.some(0.0, 0.5, 1.0),
    "l1_ratios": lambda g: g.some((0.0,), [0.0, 0.5]),
    "label": lambda g: g.labels_of_classes[g.rng.integers(g.k, size=g.n)],
    "local_variance": lambda g: g.some(0.5, 2.0),
    "loss_correction": lambda g: g.some(None, True, False),
    "max_divergence": lambda g: g.some(None, 0.1, 3),
    "max_iter": lambda g: g.some(1, 50, 300),
    "memory": lambda g: g.some(None, os.path.join(FOLDER, "memory")),
    "method": lambda g: g.some(
        *("predict_proba", "predict_log_proba", "vector", "dirichlet", "temperature"),
        *("delta", "bootstrap", "binning"),
    ),
    "n_classes": lambda g: g.some(g.k, g.k + 3),
    "n_jobs": lambda g: None,
    "name": lambda g: g.some(*get_scorer_names()),
    "on_zero": lambda g: g.some("clip", "inf", "raise"),
    "order": lambda g: g.some(0.5, 1.0, 2.0, np.inf),
    "output_dict": lambda g: g.some(True, False),
    "param_name": lambda g: g.some("C", "temperature"),
    "params": lambda g: None,
    "path": lambda g: os.path.join(FOLDER, "out.parquet"),
    "pooling": lambda g: g.some("linear", "geometric"),
    "pre_dispatch": lambda g: g.some("2*n_jobs", 2),
    "prior": lambda g: g.some(None, g.rows(3)),
    "pseudo_count": lambda g: g.some(0.0, 0.5),
    "random_state": lambda g: g.some(None, 0, np.random.RandomState(0)),
    "reference": lambda g: g.some("teacher", "y"),
    "refit": lambda g: g.some(True, False),
    "rest": lambda g: g.some("uniform", "bucket", "renormalize"),
    "rows": lambda g: [{0: -0.5, 1: -1.5}, [{"token": 1, "logprob": -0.3}]],
    "scoring": lambda g: g.some(None, "neg_kl_loss", "accuracy"),
    "shuffle": lambda g: g.some(True, False),
    "smoothing": lambda g: g.some(0.0, 0.1, "auto"),
    "solver": lambda g: g.some("auto", "lbfgs", "proximal"),
    "source": Problem.source,
    "strategy": lambda g: g.some("variance", "uniform", "quantile"),
    "swap_probability": lambda g: g.some(0.2, 1.0),
    "target": lambda g: g.some(None, "y"),
    "teacher": Problem.model,
    "teacher_proba": lambda g: g.some(None, g.rows()),
    "temperature": lambda g: g.some(0.5, 1.0, 3),
    "temperatures": lambda g: [1.0, 2.0],
    "test_size": lambda g: g.some(None, 0.3, 3),
    "timing": lambda g: False,
    "tol": lambda g: g.some(1e-3, 1e-6),
    "train_size": lambda g: g.some(None, 0.5),
    "transform": lambda g: None,
    "tune": lambda g: g.some(False, {"temperature": [1.0, 2.0]}),
    "unlabeled": lambda g: g.some(None, -1, np.nan),
    "unlabeled_weight": lambda g: g.some(0.5, 1.0),
    "verbose": lambda g: 0,
    "warm_start": lambda g: g.some(True, False),
    "weight": lambda g: g.some(0.3, 0.5),
    "weights": lambda g: g.some(None, [0.3, 0.7], "learned"),
}


# Hostile arguments


class Refuses:
    """An object that refuses to be an array, in its own way."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")


class Subclass(np.ndarray):
    """An array with a class of its own."""


SCALARS = [
    *(None, "", "a", "kl", b"a", "x" * 99, "\ud800", True, False, np.True_, 0, 1, -1, 2, 3),
    *(0.0, -0.0, 0.5, -0.5, 1.5, 1e306, -1e306, 1e-306, 5e-324, np.nan, np.inf, -np.inf, 1j),
    *(10**30, -(10**30), 10**400, 2**31, 2**63, np.int8(1), np.int8(100), np.uint64(2**63)),
    *(np.float16(2), np.float32(0.5), np.longdouble(0.5), np.array(0.5), np.array("a")),
    *(np.datetime64("NaT"), pd.NA, pd.NaT, Ellipsis, NotImplemented, np.ma.masked),
    *([], (), {}, set(), [[]], [None], [[0.5, 0.5], [1.0]], {1, 2}, frozenset({"a"})),
    *({"a": 1}, {"a": [1]}, {1: None}, object, object(), len, GaussianNB, Exception("e")),
    *(range(2), range(0), slice(None), iter(()), bytearray(2), memoryview(b"ab"), Refuses()),
    *(["a", "b"], ["a", "a"], [b"a", 1], [None, 1.0], [1, "b"], [0.5, 0.5], [1e308] * 2),
    *(np.array([]), np.ones((2, 0)), np.ones((0, 2)), np.ones((2, 2, 2)), np.eye(2)),
    *(np.array([None, 1]), np.zeros(2, "i4,f8"), np.array(["2020", "NaT"], "M8[Y]")),
    *(pd.Series([], dtype=float), pd.DataFrame(), pd.Series([1.0, 2.0], index=["x", "x"])),
    *(pd.Categorical(["a", "b"]), pd.Index([1, 2]), np.random.default_rng(0)),
    *(sp.csr_array((2, 2)), sp.coo_array(np.ones(2)), FILE, os.path.join(FILE, "below")),
]
NUMBERS = [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1e-310, 1e308, -1e308, -1.0, 2.0, 1e-7]
NUMBERS += [-1e-7, 2.0**53, 1 + 3e-4, 1e-45, 3.4e38]
DTYPES = ["f2", "f4", ">f8", ">f4", "g", "i1", "u8", ">i4", "?", "c16", "O", "U5", "S5"]
DTYPES += ["M8[s]", "m8[s]", "i4,f8", "V8"]
FORMATS = ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]


def converted(x, rng):
    dtype = np.dtype(str(rng.choice(DTYPES)))
    if dtype.names:
        out = np.zeros(x.shape, dtype)
        out["f1"] = x
        return out
    if dtype.kind == "V":
        return np.ascontiguousarray(x, "f8").view(dtype)
    if dtype.kind in "mM":
        x = x.astype("i8")
    return x.astype(dtype)


def with_numbers(x, rng):
    x = x.astype(rng.choice(["f8", "f8", "f4", "O"]))
    for _ in range(rng.integers(1, 3)):
        x[tuple(rng.integers(n) for n in x.shape)] = NUMBERS[rng.integers(len(NUMBERS))]
    return x


def scaled(x, rng):
    return x * rng.choice([0.0, -1.0, 1e300, 1e-300, 1e-320, 1e10, 1e-10, 1.0 + 1e-3])


def reshaped(x, rng):
    ways = [
        *(lambda: x[:0], lambda: x[..., :0], lambda: x[:-1], lambda: x[..., :-1]),
        *(lambda: x[:1], lambda: x[..., :1], lambda: x.T, lambda: x.ravel(), lambda: x[None]),
        *(lambda: x[..., None], lambda: x[None, None], lambda: x[::-1], lambda: x.flat[0]),
        *(lambda: np.array(x.flat[0]), lambda: np.concatenate([x, x]), lambda: np.tile(x, 2)),
        *(lambda: np.repeat(x, 2, -1), lambda: np.broadcast_to(x[:1], x.shape)),
    ]
    return ways[rng.integers(len(ways))]()


def mapped(x, rng):
    x = np.ascontiguousarray(x)
    path = os.path.join(FOLDER, f"{rng.integers(2**62)}.bin")
    x.tofile(path)
    x = np.memmap(path, x.dtype, "r", shape=x.shape)
    os.remove(path)
    return x


def laid_out(x, rng):
    ways = [*LAYOUTS.values(), lambda x: mapped(x, rng), lambda x: x.view(Subclass)]
    return ways[rng.integers(len(ways))](x) if x.ndim and x.size else x


def wrapped(x, rng):
    ways = [
        *(lambda: x.tolist(), lambda: tuple(x.tolist()), lambda: [*x.tolist()[:-1], [0.5]]),
        *(lambda: np.ma.array(x, mask=rng.random(x.shape) < 0.2), lambda: np.ma.array(x)),
        *(lambda: np.asmatrix(x), lambda: memoryview(np.ascontiguousarray(x))),
        *(lambda: list(x), lambda: dict(enumerate(x)), lambda: set(x.ravel().tolist())),
        *(lambda: str(x.tolist()), lambda: x.astype(object), lambda: [str(v) for v in x]),
        lambda: [[v] for v in x.tolist()],
        lambda: np.array([*x, None], dtype=object)[:-1],
    ]
    return ways[rng.integers(len(ways))]()


def framed(x, rng):
    if x.ndim == 1:
        index = [None, range(1, len(x) + 1), rng.permutation(len(x)), [0] * len(x)]
        index += [list(map(str, range(len(x)))), [np.nan] * len(x), range(len(x))[::-1]]
        dtype = rng.choice([None, "Float64", "category", "string", "Int64"])
        return pd.Series(x, index=index[rng.integers(len(index))], dtype=dtype)
    k = x.shape[1]
    columns = [None, ["a"] * k, list(range(k))[::-1], list("abcdefgh"[:k])]
    columns += [[*map(float, range(k))], [*range(k - 1), "a"], [None] * k]
    columns += [pd.MultiIndex.from_arrays([range(k)] * 2)]
    columns += [[f"column_{j}" for j in range(k)], [("a", j) for j in range(k)], [np.nan] * k]
    frame = pd.DataFrame(x, columns=columns[rng.integers(len(columns))])
    if rng.random() < 0.3:
        frame.index = rng.permutation(len(frame)) if rng.random() < 0.5 else ["r"] * len(frame)
    if rng.random() < 0.2:
        frame = frame.astype(str(rng.choice(["Float64", "object", "string", "Float32"])))
    return frame


def sparse(x, rng):
    x = np.atleast_2d(x).astype(rng.choice(["f8", "f4", "f8", "i8", "c16"]))
    out = getattr(sp, f"{rng.choice(FORMATS)}_{rng.choice(['array', 'matrix'])}")(x)
    if out.format in ("csr", "csc", "bsr") and rng.random() < 0.5 and len(out.indices):
        name = str(rng.choice(["indices", "indptr"]))
        values = getattr(out, name).copy()
        values[rng.integers(len(values))] = rng.choice([-1, 99, 2**31 - 1, -(2**31), 0, 1])
        if rng.random() < 0.2:
            values = values[:-1]
        setattr(out, name, values)
    elif out.format in ("csr", "coo") and rng.random() < 0.3:
        out.data = out.data * np.nan
    elif out.format == "coo" and rng.random() < 0.5 and out.nnz:
        out.coords[0][0] = rng.choice([-1, 99])
    return out


def polars(x, rng):
    import polars

    return polars.DataFrame(x) if x.ndim == 2 else polars.Series(x)


WAYS = [converted, with_numbers, with_numbers, scaled, reshaped, reshaped, laid_out, wrapped]
WAYS += [framed, sparse, polars]


def spoiled(value, rng):
    """Return something hostile in the place of a good value."""
    if rng.random() < 0.1:
        return SCALARS[rng.integers(len(SCALARS))]
    try:  # what cannot be made is no argument
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            if isinstance(value, pd.DataFrame) and rng.random() < 0.8:
                value = value.to_numpy()
            elif sp.issparse(value) or (isinstance(value, TopK) and rng.random() < 0.5):
                value = value.toarray() if sp.issparse(value) else value.to_dense()
            elif isinstance(value, list) and rng.random() < 0.5:
                value = np.array(value)
            for _ in range(rng.choice([1, 1, 2])):
                if sp.issparse(value):  # SciPy itself might write beyond its end
                    break
                value = WAYS[rng.integers(len(WAYS))](value, rng)
            return value
    except Exception:
        return SCALARS[rng.integers(len(SCALARS))]


# Cases


@cache
def parameters_of(function):
    return list(inspect.signature(function).parameters.values())


class Step:
    """A call of a function or a method, with good arguments and some that are spoiled."""

    def __init__(self, name, function, g, hostility):
        self.name, self.arguments, self.spoiled = name, {}, set()
        rng = g.rng
        for parameter in parameters_of(function):
            if parameter.name == "self" or parameter.kind in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            ):
                continue
            own, required = parameter.name, parameter.default is parameter.empty
            if own not in GOOD:
                raise KeyError(f"{name} has a parameter {own}, which GOOD lacks")
            good, bad = GOOD[own](g), rng.random() < hostility
            of_data = own in ("X", "y", "q", "sample_weight", "labels")
            if bad:
                self.spoiled.add(own)
                self.arguments[own] = good, spoiled(good, rng)
            elif required or rng.random() < (0.4 if of_data else 0.15):
                self.arguments[own] = good, good

    def values(self, mended):
        return {
            name: good if (self.name, name) in mended else given
            for name, (good, given) in self.arguments.items()
        }


class Case:
    """A function with arguments, or a class, its ``fit`` and two more methods."""

    def __init__(self, seed, number, targets):
        rng = np.random.default_rng([seed, number])
        names, shares = targets
        self.name = names[rng.choice(len(names), p=shares)]
        self.target = TARGETS[self.name]
        hostility = rng.choice([0.05, 0.15, 0.3])
        g = Problem(rng, "Scaling" in self.name)
        self.steps = [Step("", self.target, g, hostility)]
        if isinstance(self.target, type):
            methods = methods_of(self.target)
            chosen = ["fit"] if "fit" in methods and rng.random() < 0.9 else []
            chosen += [str(m) for m in rng.choice(methods, 2)] if methods else []
            for method in chosen:
                function = inspect.getattr_static(self.target, method)
                function = getattr(function, "fn", getattr(function, "__func__", function))
                self.steps.append(Step(method, function, g, hostility))

    def left(self, mended=frozenset()):
        """Return the spoiled arguments that are not mended."""
        all_of_them = [(s.name, name) for s in self.steps for name in sorted(s.spoiled)]
        return [key for key in all_of_them if key not in mended]


def held(value, depth=0):
    """Yield what an argument holds in memory."""
    if isinstance(value, np.ma.MaskedArray):
        yield value.data
        yield np.ma.getmaskarray(value)
    elif isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, pd.DataFrame | pd.Series):
        yield repr([value.to_numpy().tolist(), list(value.index), list(value.axes[-1])])
    elif sp.issparse(value):
        for name in ("data", "indices", "indptr", "offsets", "row", "col"):
            if isinstance(own := getattr(value, name, None), np.ndarray):
                yield own
    elif isinstance(value, TopK):
        yield from (value.starts, value.listed, value.proba, value.left)
    elif isinstance(value, list | tuple) and depth < 3:
        for item in value:
            yield from held(item, depth + 1)
    elif isinstance(value, dict):
        yield repr(value)
        yield from held(list(value.values()), depth + 1)
    elif isinstance(value, bytearray | memoryview):
        yield bytes(value)


def contents(values):
    """Return the bytes of all arguments."""
    out = []
    for item in held(values):
        if isinstance(item, np.ndarray):
            item = repr(item.tolist()) if item.dtype.hasobject else item.tobytes()
        out.append(item)
    return out


def holds_nan(value, depth=0):
    """Return whether a result holds NaN."""
    if isinstance(value, LossInterval) and not np.isfinite(value.estimate):
        return False  # as documented
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple) and depth < 3:
        return any(holds_nan(item, depth + 1) for item in value)
    if isinstance(value, pd.DataFrame):
        return bool(value.select_dtypes("number").isna().to_numpy().any())
    if isinstance(value, float | np.floating | np.ndarray):
        value = np.asarray(value)
        return value.dtype.kind == "f" and bool(np.isnan(value).any())
    return False


def on_purpose(error):
    """Return whether an error is one that somebody has raised, of a documented kind."""
    if isinstance(error, NotFittedError):
        return True
    # Of a path, or so many rows as were asked for.
    if isinstance(error, OSError | MemoryError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    through = {Path(frame.f_code.co_filename).name for frame in frames}
    if isinstance(error, RuntimeError) and "naive_bayes.py" in through:
        return True  # a model that is wrapped may raise what it likes
    if any(
        f.f_code.co_name == "__repr__" and "pandas" in f.f_code.co_filename for f in frames
    ):
        return True  # of a dtype that pandas cannot show
    if not isinstance(error, ValueError | TypeError | OverflowError):
        return False
    frame = traceback.extract_tb(error.__traceback__, limit=-1)[0]
    raised = re.findall(r'File "(.+)", line (\d+)', str(error.__cause__))
    if frame.filename.endswith("joblib/parallel.py") and raised:  # in another process
        frame = traceback.FrameSummary(raised[-1][0], int(raised[-1][1]), None)
    # Users know what scikit-learn says, also where it has pandas convert a column.
    if re.search("sklearn|narwhals", frame.filename) or "_array_api.py" in through:
        return True
    if not re.search(r"[/\\]?(sklkl|sklearn)[/\\]", frame.filename):
        return False
    path = frame.filename if os.path.isabs(frame.filename) else str(ROOT / frame.filename)
    line = linecache.getline(path, frame.lineno)
    return not line or "raise" in line or "class_of(key)" in line  # which the user has written


def where(error):
    """Return the last line of the package in a traceback, and the last one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "sklkl/" in f.filename]
    both = [*own[-1:], *frames[-1:]]
    return " <- ".join(f"{Path(f.filename).name}:{f.lineno} {f.line}" for f in both)


PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


class Run:
    """Runs cases, and counts the calls."""

    def __init__(self, deadline=None):
        self.deadline, self.calls = deadline, Counter()

    def __call__(self, case, mended=frozenset()):
        """Return a finding, (a key, text), or None."""
        here = None
        for step in case.steps:
            name = f"{case.name}.{step.name}".rstrip(".")
            try:
                function = getattr(here, step.name) if step.name else case.target
            except AttributeError:  # not with these parameters
                continue
            values = step.values(mended)
            before = contents(list(values.values()))
            self.calls[name] += 1
            if self.deadline:
                faulthandler.dump_traceback_later(self.deadline, exit=True)
            result = error = None
            with warnings.catch_warnings(record=True, action="always") as given:
                try:
                    result = function(**values)
                    if inspect.isgenerator(result):
                        result = list(islice(result, 100))  # of 2**31 splits, as asked
                except Exception as raised:
                    error = raised
            if self.deadline:
                faulthandler.cancel_dump_traceback_later()
            if contents(list(values.values())) != before:
                return (name, "an argument was changed"), ""
            for warning in given:
                if issubclass(warning.category, UNDOCUMENTED) and not re.search(
                    "naive_bayes|in reduce|pandas/io/formats",  # the last by its repr
                    f"{warning.filename} {warning.message}",
                ):
                    text = f"{warning.category.__name__}: {warning.message}"
                    at = f"{Path(warning.filename).name}:{warning.lineno}"
                    return (name, text[:60], at), text
            if error is not None:
                if not on_purpose(error):
                    kind = type(error).__name__
                    return (name, kind, where(error)), f"{kind}: {error}"[:300]
                if not step.name:
                    return None
                continue
            nan = holds_nan(result) or (step.name == "fit" and self.nan_in(result))
            if nan and case.name != "sklkl.distillation.munge":  # which keeps missing values
                return (name, "NaN in the result"), repr(result)[:200]
            if step.name in PREDICTIONS and len(result) != rows_of(values["X"]):
                return (name, "number of rows"), repr(np.shape(result))
            if not step.name:
                here = result
        return None

    @staticmethod
    def nan_in(model):
        return any(holds_nan(v) for n, v in vars(model).items() if n.endswith("_"))

    def smallest(self, case, finding):
        """Return the spoiled arguments that a finding needs, and the finding."""
        mended = set()
        for key in case.left():
            again = self.quietly(case, mended | {key})
            if again is not None and again[0] == finding[0]:
                mended.add(key)
        return frozenset(mended)

    def quietly(self, case, mended):
        try:
            return Run(self.deadline)(case, frozenset(mended))
        except Exception:
            return None


def rows_of(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def _shown(value):
    try:
        return repr(value)
    except Exception as error:  # as of pandas, of a dtype that it does not know
        return f"<{type(value).__name__}: {error}>"


def shown(case, mended):
    """Return a case as the calls that it makes."""
    lines = []
    for step in case.steps:
        values = ", ".join(
            f"{name}={_shown(value)}"[: 600 if (step.name, name) in case.left(mended) else 60]
            for name, value in step.values(mended).items()
        )
        lines.append(f"    {step.name or case.name}({values})")
    return "\n".join(lines)


TARGETS = public()


def shares(pattern, slow):
    """Return names of targets, and how often each is to be chosen."""
    names = [name for name in TARGETS if re.search(pattern, name)]
    share = np.array([_share(name, slow) for name in names])
    return names, share / share.sum()


def _share(name, slow):
    return slow if hasattr(TARGETS[name], "fit") or re.search(SLOW, name) else 1.0


def work(options, first, last, place, queue):
    """Run the cases from first on, in a process of its own; note each number in ``place``."""
    os.chdir(FOLDER)  # where a string is made a folder
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    faulthandler.enable()
    targets, run = shares(options.only, options.slow), Run(options.deadline)
    with open(place, "r+b") as file:
        number = np.frombuffer(mmap.mmap(file.fileno(), 8), np.int64)
    end = time.monotonic() + options.seconds
    seen = set()
    for i in range(first, last):
        number[0] = i
        case = Case(options.seed, i, targets)
        finding = run(case)
        if finding is not None and finding[0] not in seen:
            seen.add(finding[0])
            mended = run.smallest(case, finding)
            again = Case(options.seed, i, targets)
            queue.put((i, finding[0], finding[1], shown(again, mended)))
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        if time.monotonic() > end:
            break
        if run.calls.total() > 1000:  # lest they are lost when the process dies
            queue.put((False, run.calls))
            run.calls = Counter()
    queue.put((True, run.calls))
    queue.close()
    queue.join_thread()


def fuzz(options):
    """Run all cases, in a new process after each that dies; return the findings."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    context = multiprocessing.get_context("spawn")
    place = os.path.join(FOLDER, "number")
    Path(place).write_bytes(bytes(8))
    first, last = options.first, options.first + options.calls
    found, calls, start = {}, Counter(), time.monotonic()
    while first < last and options.seconds > 0:
        queue = context.Queue()
        child = context.Process(target=work, args=(options, first, last, place, queue))
        began = time.monotonic()
        child.start()
        done = False
        while not done and (child.is_alive() or not queue.empty()):
            try:
                item = queue.get(timeout=0.2)
            except Exception:
                continue
            if len(item) == 2:
                done, counts = item
                calls += counts
            elif item[1] not in found:
                found[item[1]] = item
                report(item)
        child.join()
        options.seconds -= time.monotonic() - began
        if done:
            break
        number = int(np.frombuffer(Path(place).read_bytes(), np.int64)[0])
        item = number, ("the process died", child.exitcode), "see above", ""
        found[item[1], number] = item
        report(item)
        first = number + 1
    for name, n in sorted(calls.items()):
        print(f"{n:9,} {name}")
    print(f"{calls.total():,} calls, {len(found)} findings, {time.monotonic() - start:.0f} s")
    return found


def report(item):
    number, key, text, calls = item
    print(f"case {number}: {' | '.join(map(str, key))}\n  {text}\n{calls}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000, help="cases of up to four calls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--deadline", type=float, default=30.0, help="of a call, seconds")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="run one case, and show it")
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--slow", type=float, default=0.1, help="share of what is slow")
    options = parser.parse_args()
    if options.case is not None:
        case = Case(options.seed, options.case, shares(options.only, options.slow))
        print(shown(case, frozenset()), Run(options.deadline)(case), sep="\n")
        return 0
    return bool(fuzz(options))


if __name__ == "__main__":
    sys.exit(main())
