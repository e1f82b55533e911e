"""
A student that asks its teacher
===============================

A small student mostly says what its large teacher would say, where it is sure; where it is
not, the teacher can be asked. ``DeferringClassifier`` finds out on held-out digits how sure is
sure enough: of the digits that the student answers it agrees with the teacher in at least a
given share, with a confidence of 95 %.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator

from sklkl.distillation import DeferringClassifier, DistilledClassifier
from sklkl.inspection import DeferralDisplay

X, y = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order] / 16, y[order]
known, held, new = slice(0, 500), slice(500, 1200), slice(1200, None)
forest = RandomForestClassifier(random_state=0)
distilled = DistilledClassifier(forest).fit(X[known], y[known])
teacher, student = distilled.teacher_, distilled.student_
agrees = student.predict(X[new]) == teacher.predict(X[new])
print(f"The student agrees with the forest in {agrees.mean():.1%} of new digits.")

# %%
# One certificate
# ---------------
#
# Both models are fitted already, so that all held-out digits serve the certificate, which
# needs no labels: the teacher is asked for its own. A point is a probability from which on
# the student answers; it answers more to the right, and agrees less. The area reaches down to
# the confidence bound. The filled point is the last one of which the bound keeps the promise.
model = DeferringClassifier(FrozenEstimator(student), FrozenEstimator(teacher), agreement=0.97)
DeferralDisplay.from_estimator(model.fit(X[held]))
plt.show()

# %%
# What a promise costs
# --------------------
#
# The more is promised, the more often the teacher is asked. On new digits the promises are
# kept.
print("promised  threshold  asks for  agrees where it answers  accuracy")
for agreement in (0.9, 0.95, 0.97, 0.98):
    model.set_params(agreement=agreement).fit(X[held])
    asks = model.deferred(X[new])
    print(
        f"{agreement:8.0%}  {model.threshold_:9.2f}  {asks.mean():8.0%}"
        f"  {agrees[~asks].mean():23.1%}  {model.score(X[new], y[new]):8.3f}"
    )
print(f"accuracy of the forest alone {teacher.score(X[new], y[new]):.3f}")
print(f"accuracy of the student alone {student.score(X[new], y[new]):.3f}")
