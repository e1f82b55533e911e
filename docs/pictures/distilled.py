"""The picture of the start page: what forest and student there say of doubtful digits."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from sklkl.distillation import DistilledClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
y[300:] = -1  # the other labels are unknown
forest = RandomForestClassifier(random_state=0)
model = DistilledClassifier(forest, tune=True, unlabeled=-1)
model.fit(X, y)

teacher, student = model.teacher_.predict_proba(X_test), model.predict_proba(X_test)
doubtful = np.argsort(np.sort(teacher)[:, -2])[::-1][:4]  # the second guess is probable, too
figure, axes = plt.subplots(2, 4, figsize=(9, 3.4), height_ratios=[1, 1.5], sharey="row")
for i, (image, bars) in zip(doubtful, axes.T, strict=True):
    image.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    image.set_title(f"labelled {y_test[i]}", fontsize="medium")
    image.axis("off")
    bars.bar(np.arange(10) - 0.2, teacher[i], 0.4, color="#0072b2", label="forest")
    bars.bar(np.arange(10) + 0.2, student[i], 0.4, color="#e69f00", label="student")
    bars.set_xticks(range(10))
    bars.spines[["top", "right"]].set_visible(False)
axes[1, 0].set_ylabel("probability")
figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
