"""What distillation wins, and where it does not: ``python -m benchmarks.distillation``.

Students learn from a teacher and from the labels alone, on the same splits of real data.
``--markdown`` writes a report.
"""

import argparse
import time
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from tempfile import TemporaryDirectory

import numpy as np
from joblib import Memory
from scipy.sparse import issparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._tables import (
    MIXED,
    TABLES,
    UNLABELED,
    Split,
    counts,
    difference,
    half_width,
    in_words,
    over_splits,
    table,
    verdict,
)
from benchmarks._timing import medians, one_thread
from benchmarks._trees import LaplaceTree
from benchmarks.limits import limit_of, prediction_job
from sklkl._kernels._linear import LinearRows
from sklkl.calibration import SoftCalibratedClassifierCV
from sklkl.distillation import DistilledClassifier
from sklkl.distillation._composition import Composition, SampleTargets
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.linear_model._data import Data
from sklkl.linear_model._loss import ResolvedDivergence, stages_of
from sklkl.metrics import fidelity_report, kl_loss

WHO = ("teacher", "plain", "distilled")
BUDGETS = {"a quarter": 0.25, "all": 1.0}
# A student that learns at temperature 1 can be deployed, and measured, alone.
GRID = {"calibrate": [False, True], "hard_label_weight": [0.0, 0.25, 0.5, 0.75, 1.0]}
METHODS = {
    "labels": {"hard_label_weight": 1.0},
    "T=1": {},
    "T=2": {"temperature": 2.0},
    "calibrated": {"calibrate": True},
    "chosen": {"tune": True},
}


def forest(seed, n_estimators=100, **parameters):
    return RandomForestClassifier(n_estimators, random_state=seed, **parameters)


def teachers(seed):
    network = MLPClassifier((50,), max_iter=200, random_state=seed)
    return {
        "random forest": forest(seed, 200),
        "gradient boosting": HistGradientBoostingClassifier(max_iter=50, random_state=seed),
        "calibrated SVC": SoftCalibratedClassifierCV(SVC(), cv=3, ensemble=False),
        "network": make_pipeline(StandardScaler(), network),
    }


def choices(seed, sparse=False):
    """Teachers that are modest, sure of themselves, or know what they were fitted to."""
    dense = TruncatedSVD(50, random_state=seed) if sparse else "passthrough"
    boosted = HistGradientBoostingClassifier(max_iter=50, random_state=seed)
    process = GaussianProcessClassifier(RBF(3.0), optimizer=None)
    return {
        "forest": forest(seed),
        "boosted trees": make_pipeline(dense, boosted),
        "network": MLPClassifier((100,), max_iter=200, random_state=seed),
        "1-nearest-neighbour": KNeighborsClassifier(1),
        "Gaussian process": make_pipeline(dense, process),
    }


CHOICE_TABLES = ["wine", "diabetes", "breast cancer", "digits", "anes96", *MIXED]
CHOICE_ROWS = 300
CLOSE = 0.005  # nats
LEAVES = {"min_samples_leaf": 5, "random_state": 0}
STUDENTS = {
    "logistic": SoftLabelLogisticRegression(),
    "spline logistic": make_pipeline(
        VarianceThreshold(), SplineTransformer(), SoftLabelLogisticRegression()
    ),
    "tree, depth 5": DecisionTreeClassifier(max_depth=5, **LEAVES),
    "tree, depth 5, Laplace": LaplaceTree(max_depth=5, **LEAVES),
    "tree, depth 12": DecisionTreeClassifier(max_depth=12, **LEAVES),
    "tree, depth 12, Laplace": LaplaceTree(max_depth=12, **LEAVES),
}
TAUGHT = list(STUDENTS)[:4]  # those that are small


# Sections


def is_installed(name):
    return find_spec(name.partition(".")[0]) is not None


def title(args):
    """Yield what was run where."""
    lines = []
    for name in ("river", "statsmodels", "torch", "autogluon.tabular"):
        lines.append(f"{name}: {version(name) if is_installed(name) else 'not installed'}")
    lines.append(f"data: {', '.join(args.tables)}")
    yield (
        heading("Benchmarks of distillation", lines)
        + f"\n\nAll figures are means over {args.splits} splits, 70 % for training, of these "
        f"at most\n{args.rows:,} rows; standardised features; losses in nats, where a "
        "probability of 0 counts as the\nepsilon of its dtype. After ± stands half of the "
        "95 % interval of the mean of paired\ndifferences, by Student's t. Bold are those "
        "whose interval does not hold 0, better if\nnegative; what prints as 0.0000 counts "
        "as none. Splits of the same data overlap, so that\nthe intervals are rather too "
        "narrow, and one in twenty misses by chance. Nothing is left out."
    )


def students_of_split(name, seed, max_rows, memory):
    """Return figures of teachers and students by (teacher, student, budget, figure)."""
    out = {}
    for budget, share in BUDGETS.items():
        data = Split(name, seed, share, max_rows)
        for student_name in TAUGHT:
            student = STUDENTS[student_name]
            plain = clone(student).fit(data.X_known, data.y_known)
            for teacher_name, teacher in teachers(seed).items():
                how = {"unlabeled": UNLABELED, "memory": memory, "tune": GRID}
                model = DistilledClassifier(teacher, student, **how).fit(data.X, data.target)
                figures = {"share": model.best_params_["hard_label_weight"]}
                # At temperature 1 the student predicts by itself.
                for kind, other in (("plain", plain), ("distilled", model.student_)):
                    of_both = model.teacher_, other, data.X_test, data.y_test
                    report = fidelity_report(*of_both, timing=False, output_dict=True)
                    for who, of in ((kind, "student"), ("teacher", "teacher")):
                        for figure in ("accuracy", "log_loss", "bytes"):
                            figures[f"{who} {figure}"] = report[of][figure]
                    figures[f"{kind} kl"] = report["fidelity"]["kl"]
                if seed == 0:  # time is not what splits vary
                    both = {"teacher": model.teacher_, "distilled": model.student_}
                    calls = {w: partial(m.predict_proba, data.X_test) for w, m in both.items()}
                    for who, seconds in medians(calls, 3).items():
                        figures[f"{who} us"] = 1e6 * seconds / len(data.X_test)
                key = teacher_name, student_name, budget
                out |= {(*key, figure): value for figure, value in figures.items()}
    return out


def students(args):
    """Yield what students of several teachers win over their likes without a teacher."""
    found = over_splits(args, students_of_split)
    kinds = list(product(TAUGHT, BUDGETS))

    def gain(data, *key, figure="log_loss"):
        of = found[data]
        return of[*key, f"distilled {figure}"] - of[*key, f"plain {figure}"]

    header = ["", *(f"{student}, {budget}" for student, budget in kinds)]
    tables, summary = [], []
    for teacher in teachers(0):
        for kind in kinds:
            losses = [gain(d, teacher, *kind) for d in found]
            errors = [-gain(d, teacher, *kind, figure="accuracy") for d in found]
            summary.append([teacher, *kind, *counts(losses), *counts(errors)])
        rows = [[d, *(difference(gain(d, teacher, *kind)) for kind in kinds)] for d in found]
        tables.append(f"### Teacher: {teacher}\n\n" + markdown_table(header, rows))
    total = [str(sum(int(row[i]) for row in summary)) for i in range(3, 9)]
    summary.append(["all", "", "", *total])
    columns = ["teacher", "student", "labels", "log loss: better", "same", "worse"]
    columns += ["accuracy: better", "same", "worse"]
    yield (
        "## Students\n\nOf the training rows a quarter is labelled, or all are; the teacher "
        "labels the rest. The\ndistilled student has calibrate and hard_label_weight chosen "
        "by tune; the plain one is\nfitted to the labels. A tree says 0 of what a leaf "
        "does not hold, which costs 36 nats\neach time; one with Laplace's correction does "
        "not. The distilled tree gets a row per sample\nand class, so that min_samples_leaf=5 "
        "allows it smaller leaves.\n\nNumbers of data sets, of "
        f"{len(found)}, where the distilled student is better, undecided (same) or worse:\n\n"
        + markdown_table(columns, summary)
    )
    yield "\n\n".join(["Differences of log losses, distilled - plain:", *tables])
    yield full_table(found, kinds)


def full_table(found, kinds):
    """Return the table of all figures of all combinations."""
    header = ["teacher", "data", "student", "labels"]
    header += [f"{figure}: {who}" for figure in ("accuracy", "log loss") for who in WHO]
    header += ["gap closed", "share of labels", "KL to teacher: plain", "distilled"]
    header += ["bytes: teacher", "distilled", "µs: teacher", "distilled", "limit"]
    rows = []
    for teacher, data, kind in product(teachers(0), found, kinds):
        f = {key[3]: v.mean() for key, v in found[data].items() if key[:3] == (teacher, *kind)}
        won = f["distilled log_loss"] - f["plain log_loss"]
        gap = found[data][teacher, *kind, "teacher log_loss"]
        gap = gap - found[data][teacher, *kind, "plain log_loss"]
        words = {-1: f"{won / gap.mean():.0%}", 0: "no gap", 1: "teacher worse"}
        cells = [f"{f[f'{who} accuracy']:.3f}" for who in WHO]
        cells += [f"{f[f'{who} log_loss']:.4f}" for who in WHO]
        cells += [words[verdict(gap)], f"{f['share']:.2f}"]
        cells += [f"{f[f'{who} kl']:.4f}" for who in ("plain", "distilled")]
        cells += [f"{f[f'{who} bytes']:,.0f}" for who in ("teacher", "distilled")]
        cells += [short(f[f"{who} us"]) for who in ("teacher", "distilled")]
        cells.append(prediction_limit(data) if kind[0] == "logistic" else "–")
        rows.append([teacher, data, *kind, *cells])
    return (
        "### All figures\n\nThe gap is that of the log losses of teacher and plain student; "
        '"no gap": undecided.\nThe share of labels is the hard_label_weight that was chosen. '
        "Bytes are of the pickled model;\nµs, per row, of a thread that predicts the test set "
        "of the first split; the limit is that of a linear student.\n\n"
        + markdown_table(header, rows)
    )


def prediction_limit(data):
    """Cell: µs that a thread takes at least to predict a row by a linear model."""
    X, y = table(data)
    job = prediction_job(len(X), X.shape[1], y.max() + 1)
    return f"{1e6 * limit_of(job, 1) / len(X):.2g}"


def choice_of_split(name, seed, max_rows, memory):
    """Return log losses by (teacher, budget, method)."""
    out = {}
    for budget, share in BUDGETS.items():
        data = Split(name, seed, share, max_rows)
        for teacher_name, teacher in choices(seed, issparse(data.X)).items():
            for method, parameters in METHODS.items():
                model = DistilledClassifier(
                    teacher,
                    STUDENTS["logistic"],
                    unlabeled=UNLABELED,
                    memory=memory,
                    **parameters,
                ).fit(data.X, data.target)
                out[teacher_name, budget, method] = data.loss(model)
            folds = model.best_params_["cross_fit"]
            out[teacher_name, budget, "out of fold"] = float(folds is not None)
    return out


def of_data_sets(gains):
    """Cell: mean and interval over data sets, whose cases share their samples."""
    names = dict.fromkeys(data for *_, data in gains)
    means = [np.mean([d.mean() for key, d in gains.items() if key[2] == n]) for n in names]
    return f"{np.mean(means):+.4f} ± {half_width(np.array(means)):.4f}"


def gains_in_words(gains):
    """Return the cells of a row: differences of the cases by (teacher, labels, data)."""
    means = np.array([d.mean() for d in gains.values()])
    of_budgets = [{key: d for key, d in gains.items() if key[1] == name} for name in BUDGETS]
    n_better, n_worse = (means < -CLOSE).sum(), (means > CLOSE).sum()
    return [
        *(of_data_sets(of) for of in (gains, *of_budgets)),
        f"{np.median(means):+.4f}",
        *(str(n) for n in (n_better, len(means) - n_better - n_worse, n_worse)),
        ", ".join(counts(gains.values())),
    ]


def choice(args):
    """Yield what ``tune`` chooses, beside four fixed settings and the best of these."""
    tables = CHOICE_TABLES[::3] if args.quick else CHOICE_TABLES
    sizes = {"tables": tables, "rows": min(CHOICE_ROWS, args.rows)}
    found = over_splits(argparse.Namespace(**{**vars(args), **sizes}), choice_of_split)
    *fixed, chosen = METHODS
    rows, folds, gains = [], [], {method: {} for method in (*fixed, "the best")}
    for case in product(choices(0), BUDGETS, found):
        of = {method: found[case[2]][*case[:2], method] for method in METHODS}
        best = min(fixed, key=lambda method: of[method].mean())
        for method in fixed:
            gains[method][case] = of[chosen] - of[method]
        gains["the best"][case] = of[chosen] - of[best]
        folds.append(found[case[2]][*case[:2], "out of fold"])
        cells = [f"{of[method].mean():.4f}" for method in METHODS]
        rows.append([*case, *cells, best, difference(gains["the best"][case])])
    folds = np.concatenate(folds)
    header = ["chosen against", "mean", *(f"{name} labelled" for name in BUDGETS)]
    header += ["median", "better", f"within {CLOSE}", "worse", "better, undecided, worse"]
    yield (
        "## Choice of parameters\n\n"
        f"This section is of {len(found)} data sets, of at most {CHOICE_ROWS} training rows: "
        f"{', '.join(found)}.\nFlights have names and missing values, fortunes are text as a "
        "sparse matrix (boosted trees and\nGaussian processes see 50 components of it), MNIST "
        "has 784 pixels. Log loss of logistic students\nwith `tune=True`, chosen, and with "
        "four fixed settings: the labels alone, the teacher at\ntemperatures 1 and 2, and "
        "calibrated. A quarter of the training rows is labelled, or all are; the\nteacher "
        "labels the rest. Chosen may change C, which the fixed settings leave at 1.\n\n"
        "Chosen - others in nats. Cases of one data set share their samples, so that means "
        "and intervals\nare over one mean for each data set; the median is over all cases, "
        f"and in so many of them the\nmean is below -{CLOSE}, within, or above. The last "
        "column counts by the interval of paired\ndifferences. The best is the setting of "
        "least mean loss on the test sets of a case, which nobody\nknows before:\n\n"
        + markdown_table(header, [[name, *gains_in_words(of)] for name, of in gains.items()])
    )
    header = ["teacher", "labels", "data", *METHODS, "best", "chosen - best"]
    yield markdown_table(header, rows)
    yield (
        "Teaching out of fold, tried with teachers that memorise, was chosen in "
        f"{folds.sum():.0f} of {len(folds)} fits."
    )


BIASED = ("forest of depth 2", "naive Bayes")


def crossfit_of_split(name, seed, max_rows, memory):
    """Return log losses by (subject, in-sample or cross-fitted, corrected or not)."""
    data, out = Split(name, seed, 1.0, max_rows), {}

    def loss(teacher, student, **parameters):
        model = DistilledClassifier(teacher, student, memory=memory, **parameters)
        return data.loss(model.fit(data.X, data.target))

    for student_name, student in STUDENTS.items():
        plain = clone(student).fit(data.X_known, data.y_known)
        out[student_name, "plain"] = data.loss(plain)
        for cv in (None, 5):
            out[student_name, cv] = loss(forest(seed), student, cross_fit=cv)
    biased = dict(zip(BIASED, (forest(seed, max_depth=2), GaussianNB()), strict=True))
    for (teacher_name, teacher), T, strength in product(biased.items(), (1, 2), (0.0, 0.5)):
        how = {"temperature": T, "loss_correction": strength, "cross_fit": 5}
        out[teacher_name, T, strength] = loss(teacher, STUDENTS["logistic"], **how)
    return out


def crossfit(args):
    """Yield what cross-fitting and the correction of the loss do."""
    found = over_splits(args, crossfit_of_split)
    cases = {
        (student, data): [found[data][student, way] for way in ("plain", None, 5)]
        for student, data in product(STUDENTS, found)
    }
    yield (
        "## Cross-fitting\n\nLog loss of students of the labels, and of a fully grown forest, "
        "all rows labelled,\ntemperature 1: of its predictions in sample; cross_fit=5.\n\n"
        + compared(
            ["student", "data", "labels", "in-sample", "cross_fit=5"], cases, "Cross-fitting"
        )
    )
    cases = {
        (teacher, f"T={T}", data): [
            found[data]["logistic", "plain"],
            *(found[data][teacher, T, strength] for strength in (0.0, 0.5)),
        ]
        for teacher, T, data in product(BIASED, (1, 2), found)
    }
    header = ["teacher", "temperature", "data", "labels", "none", "0.5"]
    yield (
        "## Correction of the loss\n\nLog loss of logistic students of the labels, and of "
        "biased teachers, all rows labelled,\ncross-fitted, without and with "
        "loss_correction=0.5. At temperature 1 that is\nhard_label_weight=0.5.\n\n"
        + compared(header, cases, "The correction")
    )


def compared(header, cases, name):
    """Return a table of losses, the last two without and with something, and a summary."""
    gains = {key: losses[-1] - losses[-2] for key, losses in cases.items()}
    rows = [
        [*key, *(f"{loss.mean():.4f}" for loss in losses), difference(gains[key])]
        for key, losses in cases.items()
    ]
    return markdown_table([*header, "difference"], rows) + "\n\n" + in_words(name, gains)


def hinton(torch, W, X, teacher_logits, labels, T, w):
    """Return the loss of Hinton et al. (2015) and its gradient, summed over rows."""
    W = torch.tensor(W, requires_grad=True)
    z = torch.tensor(X) @ W
    if z.shape[1] == 1:
        z = torch.cat([torch.zeros_like(z), z], dim=1)
    p = torch.softmax(torch.tensor(teacher_logits) / T, dim=1)
    functional, total = torch.nn.functional, {"reduction": "sum"}
    soft = functional.kl_div(torch.log_softmax(z / T, dim=1), p, **total)
    hard = functional.cross_entropy(z, torch.tensor(labels), **total)
    loss = (1.0 - w) * T**2 * soft + w * hard
    loss.backward()
    return loss.item(), W.grad.numpy()


def own_objective(W, X, proba, labels, T, w):
    """Return the same from the kernel that the student minimises, in its units."""
    classes, ones = np.arange(proba.shape[1]), np.ones(len(X))
    composition = Composition(1.0, 0.0, T, w, 0.0, 1.0, ResolvedDivergence())
    first, *others = composition.terms(SampleTargets(proba, labels, ones > 0.0, None))
    weight = ones if first.weight is None else first.weight
    data = Data(X, classes, first.target, weight)
    for term in others:
        data.labels, data.label_weight = term.target, term.weight
    (terms,) = stages_of(data, ResolvedDivergence(), T)
    value, gradient = LinearRows(X, W.shape[1], False, terms).objective(W / T)
    entropy = -np.sum(weight[:, np.newaxis] * first.target * np.log(first.target))
    return T**2 * (value - entropy), T * gradient


def exactness(args):
    """Yield how far the objective is from Hinton's loss in PyTorch."""
    if not find_spec("torch"):
        return
    import torch

    rng = np.random.default_rng(0)
    n_problems = 20 if args.quick else 200
    rows = []
    for k in (2, 3, 10, 100):
        off = []
        for _ in range(n_problems):
            n, d = int(rng.integers(20, 500)), int(rng.integers(1, 30))
            X, logits = rng.normal(size=(n, d)), rng.normal(scale=2.0, size=(n, k))
            W = rng.normal(scale=d**-0.5, size=(d, 1 if k == 2 else k))
            T, w = (
                float(np.exp(rng.uniform(-0.5, 2.5))),
                float(rng.choice([0.0, rng.random()])),
            )
            labels = rng.integers(k, size=n)
            value, gradient = hinton(torch, W, X, logits, labels, T, w)
            own = own_objective(W, X, softmax(logits, axis=1), labels, T, w)
            of_gradient = np.abs(own[1] - gradient).max() / np.abs(gradient).max()
            off.append([abs(own[0] / value - 1.0), of_gradient])
        worst = np.max(off, axis=0)
        student = SoftLabelLogisticRegression(fit_intercept=False, tol=1e-9, classes=range(k))
        model = DistilledClassifier(None, student, temperature=T, hard_label_weight=w)
        model.fit(X, labels, teacher_proba=softmax(logits, axis=1))
        coef = np.ascontiguousarray(model.student_.coef_.T)
        _, gradient = hinton(torch, coef, X, logits, labels, T, w)
        rest = np.abs(gradient + coef).max() / n  # with the derivative of the penalty, C=1
        rows.append([str(k), *(f"{x:.1e}" for x in worst), f"{rest:.1e}"])
    yield (
        f"## Exactness\n\n{n_problems} random problems per number of classes, of 20 to 500 "
        "rows, temperatures from 0.6 to\n12, with labels and without, float64. Largest "
        "difference between the objective of the\nstudent and Hinton's loss in PyTorch, "
        "relative to the value and to the largest entry of the\ngradient; and PyTorch's "
        "gradient, per row, where the student ended with tol=1e-9.\n\n"
        + markdown_table(["classes", "value", "gradient", "gradient at the end"], rows)
    )


class CountedForest(RandomForestClassifier):
    """Forest that counts fits."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def search(args):
    """Yield what memory saves a search over the student."""
    data = Split("digits", 0, 1.0, args.rows)
    grid = {"student__C": np.geomspace(0.01, 100, 10), "temperature": [1.0, 3.0]}
    rows = []
    teacher, student = CountedForest(100, random_state=0), STUDENTS["logistic"]
    with TemporaryDirectory() as folder, one_thread():
        for name, memory in (("none", None), ("a folder", Memory(folder, verbose=0))):
            model = DistilledClassifier(teacher, student, memory=memory)
            grid_search = GridSearchCV(model, grid, scoring="neg_log_loss", refit=False)
            CountedForest.fits = 0
            start = time.perf_counter()
            grid_search.fit(data.X, data.target)
            seconds = time.perf_counter() - start
            fits = CountedForest.fits / grid_search.n_splits_
            loss = f"{-grid_search.cv_results_['mean_test_score'].max():.12f}"
            rows.append([name, short(seconds), f"{fits:g}", loss])
    yield (
        f"## Search\n\n20 settings of a student, 5 folds, {len(data.X):,} rows of digits, a "
        "forest of 100 trees as teacher,\none thread:\n\n"
        + markdown_table(["memory", "s", "fits of the teacher per fold", "log loss"], rows)
    )


def autogluon_of_split(name, seed, max_rows, memory):
    """Return losses of a forest and its students, by AutoGluon and by this library."""
    import pandas
    from autogluon.tabular import TabularPredictor

    data = Split(name, seed, 1.0, max_rows)
    columns = [f"x{j}" for j in range(data.X.shape[1])]
    X, X_test = (pandas.DataFrame(a, columns=columns) for a in (data.X, data.X_test))
    with TemporaryDirectory() as folder:
        predictor = TabularPredictor("y", eval_metric="log_loss", path=folder, verbosity=0)
        predictor.fit(
            X.assign(y=data.target),
            hyperparameters={"RF": {"n_estimators": 100}},
            num_bag_folds=5,
            num_bag_sets=1,
            fit_weighted_ensemble=False,
            num_cpus=1,
            ag_args_ensemble={"fold_fitting_strategy": "sequential_local"},
        )

        def loss(model):
            proba = predictor.predict_proba(X_test, model=model, as_multiclass=True)
            return kl_loss(data.y_test, proba.to_numpy())

        out = {"AutoGluon's forest": loss(None)}
        how = {"teacher_preds": "soft", "augment_method": None, "verbosity": 0}
        (student, *_) = predictor.distill(hyperparameters={"RF": {}}, **how)
        out["AutoGluon's student, a forest"] = loss(student)
    model = DistilledClassifier(forest(seed), memory=memory, tune=True).fit(
        data.X, data.target
    )
    out["forest"] = data.loss(model.teacher_)
    out["logistic student"] = data.loss(model)
    out["logistic, of labels"] = data.loss(
        SoftLabelLogisticRegression().fit(data.X, data.target)
    )
    return out


def autogluon(args):
    """Yield students of a forest by AutoGluon's ``distill``."""
    if not is_installed("autogluon"):
        yield "## AutoGluon\n\nNot installed."
        return
    found = over_splits(args, autogluon_of_split)
    rows = [
        [name, *(f"{losses.mean():.4f}" for losses in of.values())]
        for name, of in found.items()
    ]
    titles = ["data", *next(iter(found.values()))]
    yield (
        "## AutoGluon\n\nLog loss where all training rows have labels, forests of 100 trees. "
        "`distill` of AutoGluon has no\nlogistic students, and knows soft labels for forests "
        "and boosting only; the teacher is\nbagged on 5 folds, and its defaults do the rest. "
        "The logistic student has tune=True.\n\n" + markdown_table(titles, rows)
    )


SECTIONS = {
    "students": students,
    "choice": choice,
    "crossfit": crossfit,
    "exactness": exactness,
    "search": search,
    "autogluon": autogluon,
}


def main():
    """Print the tables, and write the report if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--markdown", metavar="PATH", help="write the report there")
    parser.add_argument("--quick", action="store_true", help="fewer data, rows and splits")
    parser.add_argument("--rows", type=int, default=600, help="at most, for training")
    parser.add_argument("--jobs", type=int, default=2, help="splits at once")
    args = parser.parse_args()
    args.splits, args.rows = (2, args.rows // 2) if args.quick else (10, args.rows)
    args.tables = TABLES[3::3] if args.quick else TABLES
    parts = {"title": title(args), **{name: SECTIONS[name](args) for name in args.only}}
    publish(parts, args.markdown)


if __name__ == "__main__":
    main()
