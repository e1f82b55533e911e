"""
Distil a kernel machine into a logistic regression, on handwritten digits
=========================================================================

Of 1,797 digits 500 are held out for testing, 300 have labels, and the rest is a pool without
labels. The teacher, logistic regression on an approximated Gaussian kernel, learns from the
labelled digits and labels the pool. The student learns the teacher's probabilities on both;
its temperature and penalty are chosen by grid search with a KL scorer, whose test folds hold
labelled digits only. Plain logistic regression learns from the labelled digits alone. The
parameters of all three are chosen on the labelled digits, by the same folds and scorer.

Everything is repeated over several random splits; the table shows means and, after the sign,
standard deviations over splits.
"""

import pickle
import statistics
import time

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import get_scorer, kl_loss

N_SPLITS = 5
N_TEST = 500
N_LABELED = 300
UNLABELED = -1
COLUMNS = ("accuracy", "log loss", "KL to teacher", "agreement", "bytes", "µs per row")


def split(X, y, seed):
    """Return training samples, their labels or UNLABELED, and a test set."""
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=N_TEST, stratify=y, random_state=seed
    )
    labeled, pool = train_test_split(
        np.arange(len(X)), train_size=N_LABELED, stratify=y, random_state=seed
    )
    y = y.copy()
    y[pool] = UNLABELED
    return X, y, X_test, y_test, labeled, pool


def fit(X, y, labeled, pool):
    """Return the teacher, plain logistic regression and the student."""
    folds = list(StratifiedKFold(5).split(labeled, y[labeled]))
    search = {"scoring": get_scorer("neg_kl_loss"), "n_jobs": 2}

    teacher = GridSearchCV(
        make_pipeline(
            Nystroem(n_components=200, random_state=0), LogisticRegression(max_iter=1000)
        ),
        {"nystroem__gamma": [0.05, 0.1, 0.2], "logisticregression__C": [100, 1000, 10_000]},
        cv=folds,
        refit=False,
        **search,
    )
    teacher.fit(X[labeled], y[labeled])
    teacher = clone(teacher.estimator).set_params(**teacher.best_params_)

    plain = GridSearchCV(
        LogisticRegression(max_iter=1000), {"C": [0.1, 1, 10, 100]}, cv=folds, **search
    )
    plain.fit(X[labeled], y[labeled])

    student = GridSearchCV(
        DistilledClassifier(teacher, SoftLabelLogisticRegression(), unlabeled=UNLABELED),
        {"temperature": [0.5, 1, 2], "student__C": [1, 10, 100, 1000]},
        # The pool helps to train in every fold and is never scored.
        cv=[(np.r_[labeled[train], pool], labeled[test]) for train, test in folds],
        **search,
    )
    student.fit(X, y)
    distilled = student.best_estimator_
    return {
        "teacher": distilled.teacher_,
        "logistic regression": plain.best_estimator_,
        "distilled student": distilled.student_.to_sklearn(),
    }


def measure(model, teacher, X, y):
    """Return a row of the table."""
    proba, teacher_proba = model.predict_proba(X), teacher.predict_proba(X)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        model.predict_proba(X)
        times.append(time.perf_counter() - start)
    return (
        accuracy_score(y, model.predict(X)),
        log_loss(y, proba),
        kl_loss(teacher_proba, proba),
        np.mean(proba.argmax(axis=1) == teacher_proba.argmax(axis=1)),
        len(pickle.dumps(model)),
        1e6 * statistics.median(times) / len(X),
    )


def main():
    """Print how far it is, then the table."""
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    rows = {}
    start = time.perf_counter()
    for seed in range(N_SPLITS):
        X_train, y_train, X_test, y_test, labeled, pool = split(X, y, seed)
        models = fit(X_train, y_train, labeled, pool)
        seconds = time.perf_counter() - start
        print(f"split {seed + 1} of {N_SPLITS} done after {seconds:.0f} s", flush=True)
        teacher = models["teacher"]
        for name, model in models.items():
            rows.setdefault(name, []).append(measure(model, teacher, X_test, y_test))

    print(
        f"{N_LABELED} labelled digits, a pool of {len(X) - N_TEST - N_LABELED}, "
        f"{N_TEST} test digits, {N_SPLITS} splits; losses in nats"
    )
    print(" " * 20 + "".join(f"{column:>17}" for column in COLUMNS))
    for name, values in rows.items():
        mean, sd = np.mean(values, axis=0), np.std(values, axis=0)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:4], sd[:4], strict=True)]
        cells += [f"{mean[4]:,.0f}", f"{mean[5]:.2f}"]
        print(f"{name:<20}" + "".join(f"{cell:>17}" for cell in cells))
    student, plain = (np.array(rows[n]) for n in ("distilled student", "logistic regression"))
    gain = student[:, :2] - plain[:, :2]
    better = np.sum(gain[:, 0] > 0), np.sum(gain[:, 1] < 0)
    print(
        "\nStudent against logistic regression: "
        f"accuracy {100 * gain[:, 0].mean():+.2f} points "
        f"(higher in {better[0]} of {N_SPLITS} splits), "
        f"log loss {gain[:, 1].mean():+.3f} (lower in {better[1]} of {N_SPLITS})"
    )


if __name__ == "__main__":
    main()
