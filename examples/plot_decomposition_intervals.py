"""
What calibration mends, and how sure that is
============================================

A loss has two parts: miscalibration, which recalibrating the probabilities would take off, and
refinement, which only a better model would. This example splits the KL divergence of an
overconfident classifier into these, calibrates it, and tests on the same samples whether
that helped, with an interval for the difference.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.calibration import SoftCalibratedClassifierCV, kl_decomposition
from sklkl.inspection import ReliabilityDisplay
from sklkl.metrics import loss_interval

X, y = make_classification(
    n_samples=4000, n_features=20, n_informative=4, n_redundant=12, flip_y=0.1, random_state=0
)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

# %%
# Three models
# ------------
#
# Twelve features are combinations of four others, so that naive Bayes, which takes all for
# independent, counts the same evidence several times over. It is compared with itself under a
# calibration map that was fitted to out-of-fold predictions, and with logistic regression.
bayes = GaussianNB()
models = {
    "naive Bayes": bayes,
    "calibrated": SoftCalibratedClassifierCV(bayes, method="dirichlet"),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
}
proba = {name: model.fit(X, y).predict_proba(X_test) for name, model in models.items()}
print("             accuracy     KL  = miscalibration + refinement  (nats)")
for name, p in proba.items():
    accuracy = accuracy_score(y_test, p.argmax(axis=1))
    parts = kl_decomposition(y_test, p)
    print(
        f"{name:11s}  {accuracy:8.3f}  {parts.kl:5.3f}    {parts.miscalibration:14.3f}"
        f"  {parts.refinement:12.3f}"
    )

# %%
# More than half of the loss of naive Bayes is miscalibration. Calibration takes nearly all of
# that off and leaves the refinement as it was: a map of probabilities cannot tell apart what
# the model did not. The parts say what the whole does not. Logistic regression has a loss far
# below that of naive Bayes, and yet a higher refinement: it knows less. So the remedy is to
# calibrate naive Bayes, not to replace it, and the calibrated model does have the lowest loss
# of all.
#
# The picture shows the same, of two models side by side. Naive Bayes puts most samples at 0 or
# at 1 (lower axes). In the upper axes the class is more frequent than predicted where it
# predicts little, and less frequent where it predicts much. Once calibrated, predictions
# spread over the whole range, and the curve follows the diagonal.
fig, ax = plt.subplots(2, 2, figsize=(10, 6.5), layout="constrained", height_ratios=[3, 1])
for i, name in enumerate(["naive Bayes", "calibrated"]):
    ReliabilityDisplay.from_predictions(y_test, proba[name], ax=ax[:, i])
    ax[0, i].set_title(f"{name}\n{ax[0, i].get_title()}", fontsize="medium")
plt.show()

# %%
# How sure
# --------
#
# ``loss_interval`` gives a loss with its standard error.
for name, p in proba.items():
    loss = loss_interval(y_test, p)
    print(f"{name:11s}  {loss.estimate:.3f}, 95 % from {loss.low:.3f} to {loss.high:.3f}")

# %%
# With the probabilities of two models it gives the difference of their losses, negative where
# the first is better. It is computed of the differences on the same samples, so that what is
# hard for both cancels: that of logistic regression and calibrated naive Bayes has a narrower
# interval than either loss. The delta method is instant and symmetric; the bootstrap follows
# the skew of the losses, of which there is little here.
pairs = [
    ("calibrated", "naive Bayes"),
    ("logistic", "naive Bayes"),
    ("logistic", "calibrated"),
]
for first, second in pairs:
    two = y_test, proba[first], proba[second]
    delta, boot = loss_interval(*two), loss_interval(*two, method="bootstrap", random_state=0)
    print(f"{first} less {second}: {delta.estimate:+.3f}")
    print(f"  delta     from {delta.low:+.3f} to {delta.high:+.3f}")
    print(f"  bootstrap from {boot.low:+.3f} to {boot.high:+.3f}")
