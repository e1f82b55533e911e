"""Calibration maps over real data sets: ``python -m benchmarks.calibration``.

Maps are fitted to out-of-fold predictions of the training samples, and judged by the log loss
of what they make of new ones. ``--mlbench`` adds the data of R's package, from its folder of
.rda files. ``--markdown`` writes a report.
"""

import argparse
import io
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import heading, markdown_table, publish
from benchmarks._tables import SOURCES, TABLES, half_width, in_worker, table
from benchmarks.scoring import probmetrics_map, sklearn_map, versions
from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling

MLBENCH = {  # the column of the labels
    "BreastCancer": "Class",
    "DNA": "Class",
    "Glass": "Type",
    "HouseVotes84": "Class",
    "Ionosphere": "Class",
    "LetterRecognition": "lettr",
    "PimaIndiansDiabetes": "diabetes",
    "Satellite": "classes",
    "Sonar": "Class",
    "Soybean": "Class",
    "Vehicle": "Class",
    "Vowel": "Class",
}
FEWEST = 15  # rows of a class; rarer ones are left out
MODELS = {
    "forest": RandomForestClassifier(100),
    "naive Bayes": GaussianNB(),
    "boosting": HistGradientBoostingClassifier(max_iter=50),
    "logistic": LogisticRegression(max_iter=300),
    "neighbours": KNeighborsClassifier(10),
    "network": MLPClassifier((50,), alpha=0, max_iter=150),
}
OWN = {
    "temperature": TemperatureScaling(),
    "vector": VectorScaling(),
    "Dirichlet": DirichletScaling(),
}
STRENGTHS = (0.1, 1.0, 10.0)  # values of C
MEANING = {
    "one map": "One map is fitted to the predictions of all folds, and maps those of a\n"
    "model that was fitted to all training rows: `ensemble=False`.",
    "five maps": "A map is fitted to each fold, and maps the predictions of the model\n"
    "without that fold; the mean of five is predicted: `ensemble=True`.",
}
ENDS = tuple(MEANING)


@cache
def of_mlbench(name, folder):
    """Return features and labels; categories as codes, unknown values as medians."""
    import pandas as pd
    from pyreadr import read_r

    (frame,) = read_r(Path(folder) / f"{name}.rda").values()
    y = frame.pop(MLBENCH[name]).astype(str)
    columns = {
        column: values if values.dtype.kind in "if" else pd.factorize(values, sort=True)[0]
        for column, values in frame.drop(columns="Id", errors="ignore").items()
    }
    X = pd.DataFrame(columns).astype(float).replace(-1.0, np.nan)
    return X.fillna(X.median()).to_numpy(), y


def data_of(name, folder):
    """Return features, and labels as codes from 0, of classes that are not too rare."""
    X, y = table(name) if name in SOURCES else of_mlbench(name, folder)
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    kept = counts[codes] >= FEWEST
    return X[kept], np.unique(classes[codes[kept]], return_inverse=True)[1]


def own(scaling, mixed, q, y, q_test):
    """Return what a map of ours predicts, and perhaps the same mixed with uniform ones."""
    model = clone(scaling).set_params(classes=range(q.shape[1])).fit(q, y)
    proba, share = model.predict_proba(q_test), 1.0 / (len(y) + 1)
    variants = {", mixed": (1.0 - share) * proba + share / q.shape[1]} if mixed else {}
    return {"": proba, **variants}


def other(calibrate, *arguments):
    """Return what a peer predicts, which may print."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return {"": calibrate(*arguments)}


def contenders():
    """Return calibration maps by name: ``(q, y, q_test) -> {variant: proba}``."""
    maps = {"none": lambda q, y, q_test: {"": q_test}}
    for name, scaling in OWN.items():
        maps[f"sklkl {name}"] = partial(own, scaling, True)
        raw = clone(scaling).set_params(smoothing=0.0)
        maps[f"sklkl {name}, smoothing=0"] = partial(own, raw, True)
        for C in STRENGTHS if hasattr(scaling, "C") else ():
            if C != scaling.C:
                other_C = clone(scaling).set_params(C=C)
                maps[f"sklkl {name}, C={C:g}"] = partial(own, other_C, False)
    for method in ("sigmoid", "isotonic", "temperature"):
        maps[f"scikit-learn {method}"] = partial(other, partial(sklearn_map, method))
    if find_spec("probmetrics"):
        for method in ("logistic-mix", "ts-mix"):
            maps[f"probmetrics {method}"] = partial(other, partial(probmetrics_map, method))
    return maps


def losses_of(name, seed, max_rows, memory, folder):
    """Return log losses of the test rows by model and map."""
    X, y = data_of(name, folder)
    how = {"random_state": seed}
    train, test = train_test_split(np.arange(len(y)), test_size=0.4, stratify=y, **how)
    if len(train) > max_rows:
        train, _ = train_test_split(train, train_size=max_rows, stratify=y[train], **how)
    X_train, y_train, X_test, y_test = X[train], y[train], X[test], y[test]
    folds = list(StratifiedKFold(5, shuffle=True, **how).split(X_train, y_train))
    n_classes, losses = y.max() + 1, {}
    for kind, model in MODELS.items():
        if "random_state" in model.get_params():
            model = clone(model).set_params(**how)
        model = make_pipeline(StandardScaler(), model)
        parts = []  # of each fold: predictions, their labels, predictions of test rows
        for fitted, rest in folds:
            of_fold = clone(model).fit(X_train[fitted], y_train[fitted])
            q, q_test = (of_fold.predict_proba(x) for x in (X_train[rest], X_test))
            parts.append((q, y_train[rest], q_test))
        q, of_q = (np.concatenate(rows) for rows in list(zip(*parts, strict=True))[:2])
        every = [(q, of_q, model.fit(X_train, y_train).predict_proba(X_test))]
        for method, calibrate in contenders().items():
            for end, given in zip(ENDS, (every, parts), strict=True):
                found = [calibrate(*arguments) for arguments in given]
                for variant in found[0]:
                    proba = np.mean([one[variant] for one in found], axis=0)
                    loss = log_loss(y_test, proba, labels=range(n_classes))
                    losses[end, kind, method + variant] = loss
    return losses


def comparison(args):
    """Yield how far from the best map each map is."""
    tasks = [(name, seed) for name in args.tables for seed in range(args.splits)]
    work = partial(losses_of, folder=args.mlbench)
    found = Parallel(args.jobs)(delayed(in_worker)(work, *t, args.rows) for t in tasks)
    yield from tables_of(found, len(args.tables), args.rows)


def tables_of(found, n_tables, max_rows):
    """Yield tables by model and over data sets, of the losses of all splits."""
    methods = list(dict.fromkeys(method for _, _, method in found[0]))
    for end in ENDS:
        losses = [[[one[end, kind, m] for m in methods] for kind in MODELS] for one in found]
        losses = np.reshape(losses, (n_tables, -1, len(MODELS), len(methods)))
        excess = losses - losses.min(axis=-1, keepdims=True)
        wins = (excess == 0.0).sum(axis=(0, 1, 2))
        by_data, by_model = excess.mean(axis=(1, 2)), excess.mean(axis=(0, 1))
        rows = [
            [
                method,
                f"{by_data[:, i].mean():.4f} ± {half_width(by_data[:, i]):.4f}",
                f"{np.median(excess[..., i]):.4f}",
                str(wins[i]),
                *(f"{value:.4f}" for value in by_model[:, i]),
            ]
            for i, method in enumerate(methods)
        ]
        yield (
            f"## Maps: {end}\n\n{MEANING[end]}\n\nLog loss of the test rows less that of the "
            "best of all, nats: mean and its 95 % interval over\n"
            f"{n_tables} data sets, median, wins in {excess[..., 0].size} cases, and means by "
            f"model. At most\n{max_rows:,} training rows. Mixed: with a share 1 / (n + 1) of "
            "the uniform distribution in\nwhat is predicted, n being the rows of the map.\n\n"
            + markdown_table(["", "mean", "median", "wins", *MODELS], rows)
        )


def main():
    """Print the table, and write the report if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", metavar="PATH", help="write the report there")
    parser.add_argument("--mlbench", metavar="FOLDER", help="with the .rda files of mlbench")
    parser.add_argument("--quick", action="store_true", help="fewer data, rows and splits")
    parser.add_argument("--splits", type=int, default=2, help="of each data set")
    parser.add_argument("--rows", type=int, default=1500, help="at most, for training")
    parser.add_argument("--jobs", type=int, default=2, help="splits at once")
    args = parser.parse_args()
    args.splits, args.rows = (1, args.rows // 5) if args.quick else (args.splits, args.rows)
    args.tables = [*TABLES, *(MLBENCH if args.mlbench else [])]
    args.tables = args.tables[3::3] if args.quick else args.tables
    title = heading("Benchmarks of calibration maps", versions())
    publish({"title": [title], "maps": comparison(args)}, args.markdown)


if __name__ == "__main__":
    main()
