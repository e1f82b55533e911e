"""
A student that cannot follow: forward or reverse KL
===================================================

A student that can say what its teacher says learns the same by any divergence. One that cannot
has to choose what to be wrong about, and the divergence is that choice. Here the teacher knows
of two separate regions of a class, and the student is linear: it has one straight boundary.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.svm import SVC

from sklkl.distillation import DistilledClassifier
from sklkl.linear_model import SoftLabelLogisticRegression
from sklkl.metrics import kl_loss, reverse_kl_loss

# %%
# The teacher
# -----------
#
# Orange samples lie on either side of the blue ones, more of them on the right. The teacher is
# a kernel machine that was fitted to labels; students see its probabilities only.
rng = np.random.default_rng(0)
sizes = (150, 400, 500)
centres = np.repeat([[-2.5, 0.0], [0.0, 0.0], [2.5, 0.0]], sizes, axis=0)
X = centres + rng.normal(scale=[0.55, 1.0], size=centres.shape)
y = np.repeat(["orange", "blue", "orange"], sizes)


class Kernel(SVC):
    """Support vector machine whose probabilities are a logistic function of its score."""

    def predict_proba(self, X):
        """Return the probabilities of both classes."""
        score = 4 * self.decision_function(X)
        return np.column_stack([1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))])


teacher = Kernel().fit(X, y)
told = teacher.predict_proba(X)
print(f"teacher: certain by {told.max(axis=1).mean():.2f}, right on {teacher.score(X, y):.2f}")

# %%
# Four students
# -------------
#
# Each learns the same probabilities by another divergence. "jeffreys" is the sum of both
# directions, "jensen_shannon" compares teacher and student with their average. All but "kl"
# have local minima; the student starts from the solution of "kl" and ends in one near it.
students = {
    name: DistilledClassifier(
        None,
        SoftLabelLogisticRegression(C=10, classes=teacher.classes_),
        divergence=name,
    ).fit(X, teacher_proba=told)
    for name in ("kl", "jeffreys", "jensen_shannon", "reverse_kl")
}
print("                certain by  agrees on  forward KL  reverse KL")
for name, student in students.items():
    q = student.predict_proba(X)
    print(
        f"{name:14s}  {q.max(axis=1).mean():10.2f}"
        f"  {np.mean(q.argmax(axis=1) == told.argmax(axis=1)):9.2f}"
        f"  {kl_loss(told, q):10.2f}  {reverse_kl_loss(told, q):10.2f}"
    )

# %%
# Forward KL, D(teacher‖student), is an average over what the teacher holds possible. It
# punishes the student hard for calling impossible what the teacher holds possible, so that
# student covers both sides and is certain of neither. Reverse KL, D(student‖teacher), is an
# average over what the student holds possible: it punishes the student for claiming what the
# teacher excludes, so the student commits to a boundary beside the larger orange region. There
# it is as certain as its teacher, and in the smaller region it is certain and wrong.
# Jensen-Shannon ends beside it here, and Jeffreys, as the sum of both, lies between. Each
# direction is least for the student that learned by it.
fig, ax = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, sharey=True, layout="constrained")
models = {"teacher": teacher, **{n: students[n] for n in ("kl", "jeffreys", "reverse_kl")}}
for axes, (name, model) in zip(ax.flat, models.items(), strict=True):
    display = DecisionBoundaryDisplay.from_estimator(
        model,
        X,
        ax=axes,
        response_method="predict_proba",
        class_of_interest="orange",
        plot_method="contourf",
        levels=np.linspace(0, 1, 11),
        cmap="cividis",
        vmin=0,
        vmax=1,
    )
    for label, color, marker in (("blue", "#0072B2", "o"), ("orange", "#E69F00", "^")):
        axes.scatter(
            *X[y == label][::5].T, s=16, c=color, marker=marker, edgecolor="black", label=label
        )
    axes.set_title(name)
ax[0, 0].legend(loc="lower left")
fig.colorbar(display.surface_, ax=ax, label="probability of orange")
plt.show()

# %%
# Which one is better depends on what the probabilities are for. Of these divergences only
# forward KL is a proper loss: it is least, in the mean, for the true probabilities. If
# probabilities are to be believed, stay with it.
