"""
A divergence as the scorer of a grid search
===========================================

Accuracy asks which class is the most probable, KL divergence how probable the right one was
said to be. A grid search can record both, and choose by either. This example searches the
smoothing of a naive Bayes classifier, and compares the model that accuracy picks with the one
that the KL divergence picks, on samples that neither has seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.naive_bayes import GaussianNB

from sklkl.metrics import get_scorer, kl_loss, loss_interval, make_divergence_scorer

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.5, stratify=y, random_state=0)

# %%
# Several scorers, one search
# ---------------------------
#
# ``get_scorer`` gives a scorer with default arguments, ``make_divergence_scorer`` one with
# others, here bits instead of nats. Scorers of losses are negated, so that greater is better.
# ``refit`` names the one that chooses.
search = GridSearchCV(
    GaussianNB(),
    {"var_smoothing": np.logspace(-4, 1, 11)},
    scoring={
        "accuracy": "accuracy",
        "kl": make_divergence_scorer("kl", base=2),
        "d2": get_scorer("d2_kl"),
    },
    refit="kl",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
).fit(X, y)
results = search.cv_results_
smoothing = results["param_var_smoothing"].data.astype(float)
accuracies, losses = results["mean_test_accuracy"], -results["mean_test_kl"]
print("smoothing  accuracy  KL in bits     D²")
for row in zip(smoothing, accuracies, losses, results["mean_test_d2"], strict=True):
    print("{:9.4f}  {:8.3f}  {:10.3f}  {:5.2f}".format(*row))

# %%
# Naive Bayes takes the pixels for independent. They are not, so it counts the same evidence
# many times over and is far too certain, which accuracy does not notice: the order of the
# classes is mostly right. The variance that smoothing adds to each pixel makes the evidence
# weaker. The accuracies differ by a few points over the whole grid, the divergence by a large
# factor. D² puts it on a scale like that of R², 1 for perfect predictions and 0 for those of
# the class frequencies alone: with the least smoothing, a classifier that is right nine times
# in ten has probabilities that are little better than these.
fig, ax = plt.subplots(2, sharex=True, figsize=(6, 5), layout="constrained")
for axes, values, best, color, marker, label in (
    (ax[0], accuracies, accuracies.argmax(), "#0072B2", "o", "accuracy"),
    (ax[1], losses, losses.argmin(), "#D55E00", "s", "KL divergence in bits"),
):
    axes.plot(smoothing, values, color=color, marker=marker)
    axes.axvline(
        smoothing[best], color="black", linestyle=":", label=f"best: {smoothing[best]:.3g}"
    )
    axes.set(ylabel=label, xscale="log")
    axes.legend()
ax[0].set_title("two scores of the same models")
ax[1].set_ylim(bottom=0)
ax[1].set_xlabel("smoothing")
plt.show()

# %%
# On new samples
# --------------
#
# Both winners, fitted to all training samples. The one that KL picked is about as accurate as
# the other, and its loss is several times smaller. The interval is for the difference of the
# losses on the same samples: the whole of it is below 0.
by_accuracy = clone(search.estimator).set_params(var_smoothing=smoothing[accuracies.argmax()])
winners = {"accuracy": by_accuracy.fit(X, y), "KL": search.best_estimator_}
proba = {name: model.predict_proba(X_test) for name, model in winners.items()}
for name, model in winners.items():
    accuracy = accuracy_score(y_test, model.predict(X_test))
    loss = kl_loss(y_test, proba[name], base=2)
    print(f"picked by {name:8s}  accuracy {accuracy:.3f}, KL {loss:.3f} bits")
gain = loss_interval(y_test, proba["KL"], proba["accuracy"], base=2)
print(f"difference {gain.estimate:.2f} bits, 95 % from {gain.low:.2f} to {gain.high:.2f}")
