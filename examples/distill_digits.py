"""
Distil a kernel machine into a logistic regression, on handwritten digits
=========================================================================

Of 1,797 digits 500 are held out for testing, 300 have labels, and the rest is a pool without
labels. The teacher, logistic regression on an approximated Gaussian kernel, learns from the
labelled digits and labels the pool. The student learns the teacher's probabilities on both;
its temperature and penalty are chosen by grid search with a KL scorer, whose test folds hold
labelled digits only. Plain logistic regression learns from the labelled digits alone. The
parameters of all three are chosen on the labelled digits, by the same folds and scorer.

Everything can be repeated over several random splits, as in the table of the README:
``python examples/distill_digits.py 5``. Then the table shows means and, after the sign,
standard deviations over splits.
"""

import pickle
import statistics
import sys
import tempfile
import time

import matplotlib.pyplot as plt
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

N_SPLITS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
N_TEST = 500
N_LABELED = 300
UNLABELED = -1
COLUMNS = ("accuracy", "log loss", "KL to teacher", "agreement", "bytes", "µs per row")

# %%
# The data
# --------


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


# %%
# Three models
# ------------
#
# All samples of the pool help to train in every fold, and are never scored. ``memory`` keeps
# the teachers, so that there is one for each fold.


def fit(X, y, labeled, pool):
    """Return the teacher, plain logistic regression and the student."""
    folds = list(StratifiedKFold(5).split(labeled, y[labeled]))
    search = {"scoring": get_scorer("neg_kl_loss")}

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

    with tempfile.TemporaryDirectory() as memory:
        student = GridSearchCV(
            DistilledClassifier(
                teacher, SoftLabelLogisticRegression(), unlabeled=UNLABELED, memory=memory
            ),
            {"temperature": [0.5, 1, 2], "student__C": [1, 10, 100, 1000]},
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


# %%
# What they cost and what they are worth
# --------------------------------------


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


X, y = load_digits(return_X_y=True)
X = X / 16.0
rows = {}
start = time.perf_counter()
for seed in range(N_SPLITS):
    X_train, y_train, X_test, y_test, labeled, pool = split(X, y, seed)
    models = fit(X_train, y_train, labeled, pool)
    for name, model in models.items():
        rows.setdefault(name, []).append(measure(model, models["teacher"], X_test, y_test))
    seconds = time.perf_counter() - start
    print(f"split {seed + 1} of {N_SPLITS} done after {seconds:.0f} s", flush=True)

print(
    f"{N_LABELED} labelled digits, a pool of {len(X) - N_TEST - N_LABELED}, "
    f"{N_TEST} test digits, splits: {N_SPLITS}; losses in nats"
)
print(" " * 20 + "".join(f"{column:>14}" for column in COLUMNS))
for name, values in rows.items():
    mean, sd = np.mean(values, axis=0), np.std(values, axis=0)
    cells = [f"{m:.3f}" for m in mean[:4]]
    if N_SPLITS > 1:
        cells = [f"{cell} ± {s:.3f}" for cell, s in zip(cells, sd, strict=False)]
    cells += [f"{mean[4]:,.0f}", f"{mean[5]:.2f}"]
    print(f"{name:<20}" + "".join(f"{cell:>14}" for cell in cells))
student, plain = (np.array(rows[n]) for n in ("distilled student", "logistic regression"))
gain = student[:, :2] - plain[:, :2]
print(
    "\nStudent against logistic regression: "
    f"accuracy {100 * gain[:, 0].mean():+.2f} points "
    f"(higher in {np.sum(gain[:, 0] > 0)} of {N_SPLITS}), "
    f"log loss {gain[:, 1].mean():+.3f} (lower in {np.sum(gain[:, 1] < 0)} of {N_SPLITS})"
)

# %%
# The student has the size of the logistic regression, and comes near the teacher in its loss.
# On the right are test digits, of the last split, that the student reads and the logistic
# regression does not.
fig, ax = plt.subplot_mosaic(
    "aabc;aade", figsize=(8, 3.6), width_ratios=[2, 2, 1, 1], layout="constrained"
)
styles = (("#0072B2", "s"), ("#D55E00", "D"), ("#E69F00", "o"))
for (name, values), (color, marker) in zip(rows.items(), styles, strict=True):
    _, loss, _, _, size, _ = np.mean(values, axis=0)
    ax["a"].plot(size / 1000, loss, marker, color=color, markersize=14, label=name)
ax["a"].set(xlabel="size in kB", ylabel="log loss in nats", xscale="log")
ax["a"].margins(0.2)
ax["a"].set_ylim(bottom=0)
ax["a"].set_title("size and log loss of the models")
ax["a"].legend(loc="lower left")
_, by_plain, by_student = (model.predict(X_test) for model in models.values())
won = np.flatnonzero((by_student == y_test) & (by_plain != y_test))
for axes, i in zip("bcde", won, strict=False):
    ax[axes].imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax[axes].set_title(f"{y_test[i]}, not {by_plain[i]}")
for axes in "bcde":
    ax[axes].set_axis_off()
plt.show()
