"""
Distil a forest and a kernel machine with unlabelled samples
============================================================

Labels are few, unlabelled samples are many. A teacher that learns well from few labels gives
the others their labels, as probabilities, and a logistic regression learns from all of them.
This example distils two teachers, and compares each with its student, and with what the same
logistic regression learns from the labels alone.
"""

import pickle
from statistics import fmean

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from sklkl.calibration import SoftCalibratedClassifierCV
from sklkl.distillation import DistilledClassifier
from sklkl.inspection import FidelityDisplay
from sklkl.linear_model import SoftLabelLogisticRegression

# %%
# Labels for 200 of 897 digits
# ----------------------------
#
# The labels of all but 200 training digits are replaced by -1, and ``unlabeled=-1`` says so:
# the teacher is fitted to the labelled digits, and the student to its predictions for all.
# ``tune`` lets labelled digits decide, by cross-validation, whether the teacher is calibrated,
# and on the share of labels in what the student learns (1 is the labels alone). A support
# vector machine has scores, not probabilities, so that it gets a calibration first.
teachers = {
    "forest": RandomForestClassifier(n_estimators=50, random_state=0),
    "SVM": SoftCalibratedClassifierCV(SVC(gamma=0.2, C=10), ensemble=False),
}


def split(seed):
    """Return digits with few labels, their indices, and test digits."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X / 16, y, test_size=900, stratify=y, random_state=seed
    )
    labelled, pool = train_test_split(
        range(len(X)), train_size=200, stratify=y, random_state=seed
    )
    y[pool] = -1
    return X, y, labelled, X_test, y_test


table, chosen = {}, {}
for seed in range(2):
    X, y, labelled, X_test, y_test = split(seed)
    models = {"labels alone": LogisticRegression(C=10).fit(X[labelled], y[labelled])}
    for name, teacher in teachers.items():
        distilled = DistilledClassifier(
            teacher,
            SoftLabelLogisticRegression(C=10),
            tune={"calibrate": [False, True], "hard_label_weight": [0, 0.25, 0.5, 0.75, 1]},
            unlabeled=-1,
        ).fit(X, y)
        share = distilled.best_params_["hard_label_weight"]
        chosen.setdefault(name, []).append((distilled.calibration_temperature_, share))
        models[name] = distilled.teacher_
        models[f"student of {name}"] = distilled.to_sklearn()
    for name, model in models.items():
        proba = model.predict_proba(X_test)
        accuracy = accuracy_score(y_test, model.predict(X_test))
        size = len(pickle.dumps(model)) / 1000
        table.setdefault(name, []).append((accuracy, log_loss(y_test, proba), size))

print("means of 2 splits  accuracy  log loss       kB")
for name, rows in table.items():
    accuracy, loss, size = (fmean(column) for column in zip(*rows, strict=True))
    print(f"{name:17s}  {accuracy:8.3f}  {loss:8.3f}  {size:7.1f}")

for name, rows in chosen.items():
    temperature, share = (fmean(column) for column in zip(*rows, strict=True))
    print(f"{name}: temperature {temperature:.2f}, share of labels {share:.2f}")

# %%
# The SVM learns more from the labels than logistic regression does, and its student has most
# of that: it is more accurate than what the labels alone teach, its log loss is lower, and it
# is as small, and as fast, as any logistic regression. The forest is no better than logistic
# regression here, and the log loss of its raw probabilities is much higher. ``tune`` finds
# that its student does best by learning the labels alone. A student learns from a teacher
# what it does not know; where there is nothing, no pool helps.
#
# Student and teacher
# -------------------
#
# The student of the SVM beside its teacher, on the test digits of the last split. Most points
# lie in the two corners, where both agree. To the right the teacher is nearly certain, and
# some points spread far down: there the student is not, or has another digit in mind. The
# middle axes show which classes the divergence comes from, and the last ones the rows that
# differ most.
display = FidelityDisplay.from_estimator(distilled.teacher_, distilled.student_, X_test)
plt.show()

# %%
# sphinx_gallery_thumbnail_number = 2
#
# These are five of them, with their labels and what both models predict.
fig, ax = plt.subplots(1, 5, figsize=(8, 2.2), layout="constrained")
for axes, row in zip(ax, display.worst_rows_[:5], strict=True):
    axes.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    said = [m.predict(X_test[[row]])[0] for m in (distilled.teacher_, distilled.student_)]
    axes.set_title(f"is {y_test[row]}\nteacher {said[0]}, student {said[1]}", fontsize=9)
    axes.set_axis_off()
plt.show()
