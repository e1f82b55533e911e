"""Folds, scorers and calibration beside their peers: ``python -m benchmarks.scoring``.

``--markdown`` writes a report.
"""

import argparse
import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer as sklearn_scorer
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import medians
from benchmarks.limits import Job, limit_of, limits
from sklkl.calibration import (
    DirichletScaling,
    TemperatureScaling,
    VectorScaling,
    kl_decomposition,
)
from sklkl.metrics import get_scorer
from sklkl.model_selection import StratifiedSoftKFold

RARE = {"weights": [0.985], "flip_y": 0.002, "class_sep": 0.8, "random_state": 0}
MANY = {"n_classes": 20, "n_clusters_per_class": 1, "class_sep": 1.5, "random_state": 0}
NOISE = 0.2  # share of labels that are drawn anew, where data are called noisy
PEERS = ("probmetrics", "betacal")
THREADS = joblib.cpu_count()


def versions():
    """One line per peer."""
    return [
        f"{name} {version(name)}" if find_spec(name) else f"{name}: not installed"
        for name in PEERS
    ]


def folds(args):
    """Yield how near the class masses of folds are to those of the whole."""
    rng = np.random.default_rng(0)
    found = {"StratifiedSoftKFold": [], "KFold(shuffle=True)": [], "StratifiedKFold": []}
    for seed in range(100):
        n, k, n_splits = rng.integers(100, 2001), rng.integers(2, 11), rng.integers(3, 11)
        y = rng.dirichlet(np.full(k, rng.uniform(0.1, 3.0)), size=n)
        splitters = (
            StratifiedSoftKFold(n_splits),
            KFold(n_splits, shuffle=True, random_state=seed),
            StratifiedKFold(n_splits, shuffle=True, random_state=seed),
        )
        for name, splitter in zip(found, splitters, strict=True):
            target = y.argmax(axis=1) if name == "StratifiedKFold" else y
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rare classes
                tests = [test for _, test in splitter.split(y, target)]
            off = [np.abs(y[test].mean(axis=0) - y.mean(axis=0)).max() for test in tests]
            found[name].append(max(off))
    own = np.array(found["StratifiedSoftKFold"])
    rows = [
        [name, f"{np.mean(off):.1e}", f"{np.mean(off) / own.mean():.0f}", f"{worst:.1f}"]
        for name, off in found.items()
        for worst in [np.min(off / own)]
    ]
    yield (
        "## Class masses of folds\n\n100 random soft targets of 100 to 2,000 rows, 2 to 10 "
        "classes, 3 to 10 folds.\nThe largest difference between the share of a class in a "
        "fold and in the whole:\n\n"
        + markdown_table(["", "mean", "ratio of means", "least ratio"], rows)
    )
    y = rng.dirichlet(np.full(10, 0.5), size=1_000_000 // args.shrink)
    codes = y.argmax(axis=1)
    split = {
        "StratifiedSoftKFold, soft": lambda: list(StratifiedSoftKFold().split(y, y)),
        "StratifiedSoftKFold, labels": lambda: list(StratifiedSoftKFold().split(y, codes)),
        "StratifiedKFold, labels": lambda: list(StratifiedKFold().split(y, codes)),
    }
    rows = []
    for name, seconds in medians(split, 3).items():
        read = y if name.endswith("soft") else codes
        limit = limit_of(Job(read.nbytes + codes.nbytes, y.dtype), THREADS)
        rows.append([name, short(seconds), short(limit)])
    yield (
        f"Seconds for 5 folds of {len(y):,} rows, 10 classes. The limit is that of reading "
        "the target\nand writing an index per row:\n\n"
        + markdown_table(["", "s", "limit, s"], rows)
    )


class Given(ClassifierMixin, BaseEstimator):
    """Classifier whose input is its prediction."""

    def fit(self, X, y):
        """Learn the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """Return X."""
        return X

    def predict(self, X):
        """Return the most probable classes."""
        return self.classes_[X.argmax(axis=1)]


def cost(args):
    """Yield what scoring costs beside predictions that are free."""
    rng = np.random.default_rng(0)
    n = 1_000_000 // args.shrink
    rows = []
    for k in (2, 10):
        proba = rng.dirichlet(np.ones(k), size=n)
        y = rng.integers(k, size=n)
        model = Given().fit(proba, y)
        scorers = {
            "neg_kl_loss": get_scorer("neg_kl_loss"),
            "neg_log_loss": sklearn_scorer("neg_log_loss"),
        }
        single = medians(
            {name: partial(s, model, proba, y) for name, s in scorers.items()}, args.repeats
        )
        searched = medians(
            {
                name: partial(cross_val_score, model, proba, y, scoring=s)
                for name, s in scorers.items()
            },
            args.repeats,
        )
        limit = limit_of(Job(y.nbytes + proba.nbytes, proba.dtype, logarithms=n), THREADS)
        for name in scorers:
            times = single[name], searched[name], limit
            rows.append([f"{name}, {k} classes", *(short(t) for t in times)])
    yield (
        f"## Cost of scoring\n\nSeconds for {n:,} labels, by a scorer alone and by five-fold "
        "`cross_val_score`\nof a model that costs nothing. The limit is that of reading "
        "labels and predictions, or of a\nlogarithm per label:\n\n"
        + markdown_table(["", "scorer", "cross_val_score", "limit, s"], rows)
    )


class Resampled(ClassifierMixin, BaseEstimator):
    """Fit to as many samples of every class as the rarest one has: a shift of frequencies."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        """Fit to the first samples of every class."""
        least = np.bincount(y).min()
        rows = np.concatenate([np.flatnonzero(y == k)[:least] for k in np.unique(y)])
        self.estimator_ = clone(self.estimator).fit(X[rows], y[rows])
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X):
        """Return what the fitted estimator predicts."""
        return self.estimator_.predict_proba(X)


def own_map(scaling, q, y, q_test):
    return clone(scaling).fit(q, y).predict_proba(q_test)


def sklearn_map(method, q, y, q_test):
    model = CalibratedClassifierCV(FrozenEstimator(Given().fit(q, y)), method=method)
    return model.fit(q, y).predict_proba(q_test)


def probmetrics_map(method, q, y, q_test):
    from probmetrics.calibrators import get_calibrator

    return get_calibrator(method).fit(q, y).predict_proba(q_test)


def betacal_map(q, y, q_test):
    if q.shape[1] != 2:
        return None
    from betacal import BetaCalibration

    p = BetaCalibration(parameters="abm").fit(q[:, 1:], y).predict(q_test[:, 1:])
    return np.column_stack([1 - p, p])


def contenders():
    """Return calibration maps by name: ``(q, y, q_test) -> proba``."""
    maps = {
        "none": lambda q, y, q_test: q_test,
        "sklkl temperature": partial(own_map, TemperatureScaling()),
        "sklkl temperature, smoothing=0": partial(own_map, TemperatureScaling(smoothing=0)),
        "sklkl vector": partial(own_map, VectorScaling()),
        "sklkl Dirichlet": partial(own_map, DirichletScaling()),
    }
    for method in ("sigmoid", "isotonic", "temperature"):
        maps[f"scikit-learn {method}"] = partial(sklearn_map, method)
    if find_spec("probmetrics"):
        maps["probmetrics logistic"] = partial(probmetrics_map, "logistic")
        maps["probmetrics SMS"] = partial(probmetrics_map, "sms")
        if find_spec("dirichletcal"):
            maps["probmetrics Dirichlet"] = partial(probmetrics_map, "dircal")
    if find_spec("betacal"):
        maps["betacal"] = betacal_map
    return maps


def calibration(args):
    """Yield log losses after calibration in five folds, whose models are averaged."""
    digits = load_digits(return_X_y=True)
    cancer = load_breast_cancer(return_X_y=True)
    rare = make_classification(20_000 // args.shrink, 10, n_informative=5, **RARE)
    shares = np.geomspace(1.0, 0.01, 20)
    many = make_classification(
        10_000, 20, n_informative=15, weights=shares / shares.sum(), **MANY
    )
    network = make_pipeline(StandardScaler(), MLPClassifier((50,), alpha=0, max_iter=200))
    forest = RandomForestClassifier(100)
    bayes = GaussianNB(var_smoothing=1e-3)
    balanced = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    shift = make_pipeline(StandardScaler(), Resampled(LogisticRegression()))
    problems = {
        "digits, network": (digits, network, 0.0),
        "digits, forest": (digits, forest, 0.0),
        "digits, naive Bayes": (digits, bayes, 0.0),
        "noisy digits, network": (digits, network, NOISE),
        "noisy digits, forest": (digits, forest, NOISE),
        "breast cancer, network": (cancer, network, 0.0),
        "breast cancer, naive Bayes": (cancer, bayes, 0.0),
        "breast cancer, forest": (cancer, forest, 0.0),
        "rare, naive Bayes": (rare, bayes, 0.0),
        "rare, class weights": (rare, balanced, 0.0),
        "rare, resampled": (rare, shift, 0.0),
        "20 classes, naive Bayes": (many, bayes, 0.0),
        "20 classes, class weights": (many, balanced, 0.0),
    }
    maps = contenders()
    table = {name: [] for name in maps}
    far = {name: [] for name in maps}
    for (X, y), model, noise in problems.values():
        losses, errors = ({name: [] for name in maps} for _ in range(2))
        for seed in range(args.repeats):
            rng = np.random.RandomState(seed)
            k = y.max() + 1
            drawn = np.where(rng.random(len(y)) < noise, rng.randint(k, size=len(y)), y)
            X_train, X_test, y_train, y_test = train_test_split(
                X, drawn, test_size=0.5, stratify=y, random_state=seed
            )
            calibrated = {name: [] for name in maps}
            for train, test in StratifiedKFold(5).split(X_train, y_train):
                random = {
                    p: seed for p in model.get_params() if p.split("__")[-1] == "random_state"
                }
                fitted = clone(model).set_params(**random).fit(X_train[train], y_train[train])
                q, q_test = (fitted.predict_proba(x) for x in (X_train[test], X_test))
                for name, calibrate in maps.items():
                    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                        calibrated[name].append(calibrate(q, y_train[test], q_test))
            for name, parts in calibrated.items():
                known = all(part is not None for part in parts)
                proba = np.mean(parts, axis=0) if known else np.full((len(y_test), k), np.nan)
                losses[name].append(log_loss(y_test, proba) if known else np.nan)
                share = np.bincount(y_test, minlength=k) / len(y_test)
                error = np.sqrt(share * (1.0 - share) / len(y_test))
                errors[name].append((np.abs(proba.mean(axis=0) - share) / error).max())
        for name in maps:
            table[name].append(np.mean(losses[name]))
            far[name].append(np.mean(errors[name]))
    yield (
        "## Calibration\n\nLog loss on the test half, nats, mean of "
        f"{args.repeats} splits. Every map is fitted to\nthe same out-of-fold predictions of "
        "five models, and the five results are averaged, as\n`CalibratedClassifierCV` does. "
        f"Noisy: {NOISE:.0%} of the labels are drawn anew, in the test half,\ntoo. Rare: "
        '1.5% of the labels are positive; class weights are "balanced", resampled: the model'
        "\nwas fitted to as many negatives as positives. 20 classes: shares from 20% to 0.2%."
        "\n\n" + markdown_table(["", *problems], marked(table, 4))
    )
    yield (
        "Mean predictions beside mean labels of the test half, the class where they differ "
        "most, in\nstandard errors of the latter; by chance alone about 1, and 2 with 10 or "
        "20 classes:\n\n" + markdown_table(["", *problems], marked(far, 1))
    )


def marked(table, digits):
    """Return rows of text, the least number of each column in bold."""
    best = np.nanmin(list(table.values()), axis=0)
    rows = []
    for name, values in table.items():
        texts = [
            "–" if x != x else f"**{x:.{digits}f}**" if x == b else f"{x:.{digits}f}"
            for x, b in zip(values, best, strict=True)
        ]
        rows.append([name, *texts])
    return rows


def decomposition(args):
    """Yield the parts of a log loss beside those of probmetrics."""
    if not find_spec("probmetrics"):
        return
    import torch
    from probmetrics.calibrators import get_calibrator
    from probmetrics.distributions import CategoricalDirac, CategoricalProbs
    from probmetrics.metrics import Metrics, MetricsWithCalibration
    from probmetrics.splitters import AllSplitter

    rng = np.random.default_rng(0)
    rows = []
    for k, method, own in (
        (2, "isotonic", "isotonic"),
        (2, "temp-scaling", TemperatureScaling(smoothing=0)),
        (5, "temp-scaling", TemperatureScaling(smoothing=0)),
    ):
        truth = rng.dirichlet(np.ones(k), size=3000)
        y = (rng.random((len(truth), 1)) > truth.cumsum(axis=1)).sum(axis=1).clip(max=k - 1)
        q = truth**2.5 * np.linspace(1, 2, k)
        q /= q.sum(axis=1, keepdims=True)
        metric = MetricsWithCalibration(
            Metrics.from_names(["logloss"]), get_calibrator(method), AllSplitter()
        )
        theirs = metric.compute_all(
            CategoricalDirac(torch.tensor(y), k), CategoricalProbs(torch.tensor(q))
        )
        miscalibration, refinement = (float(part) for part in theirs.values())
        parts = kl_decomposition(y, q, method=own, cv=None)
        rows.append(
            [
                f"{method}, {k} classes",
                f"{parts.miscalibration:.12f}",
                f"{abs(parts.miscalibration - miscalibration):.0e}",
                f"{parts.refinement:.12f}",
                f"{abs(parts.refinement - refinement):.0e}",
            ]
        )
    header = ["", "miscalibration", "difference", "refinement", "difference"]
    yield (
        "## Decomposition beside probmetrics\n\n3,000 labels, maps fitted to all of them:\n\n"
        + markdown_table(header, rows)
    )


SECTIONS = {
    "folds": folds,
    "cost": cost,
    "calibration": calibration,
    "decomposition": decomposition,
}


def main():
    """Print the tables, and write the report if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--markdown", metavar="PATH", help="write the report there")
    parser.add_argument("--quick", action="store_true", help="fewer rows and repetitions")
    args = parser.parse_args()
    args.repeats, args.shrink = (2, 10) if args.quick else (5, 1)
    for name in PEERS:
        if find_spec(name):
            import_module(name)
    title = heading("Benchmarks of folds, scorers and calibration", versions())
    parts = {"title": [title], "limits": limits(THREADS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence of networks
        publish(parts | {name: SECTIONS[name](args) for name in args.only}, args.markdown)


if __name__ == "__main__":
    main()
