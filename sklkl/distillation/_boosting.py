"""Boosted students of LightGBM and XGBoost, fitted to probabilities on the rows as they are.

Other students that need labels get a row per sample and class. These two can be told the
derivatives of a loss, and those of the rows per class add up to w (q - p), and w q (1 - q) on
the diagonal of the Hessian, times a factor of each library. With the library's scores at the
start the trees are those of the rows per class, but where something is counted or drawn.

Afterwards the model gets the loss of the library that it was fitted by: it predicts
probabilities, and can be stored, explained and converted as any other.

Neither library is imported here: who passes a student of theirs has done that.
"""

import re
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import clone

from sklkl._core.models import innermost, metadata_name


@dataclass(frozen=True)
class SoftObjective:
    """The derivatives of the cross-entropy of probabilities, as both libraries ask."""

    target: np.ndarray  # (n_samples, n_classes)
    factor: float  # of the Hessian, for more than two classes
    offset: np.ndarray | float  # of the scores, if the library begins at 0

    def __call__(self, y, scores, sample_weight=None):
        """Return the gradient and the diagonal of the Hessian, of the shape of scores."""
        if len(scores) != len(self.target):
            raise ValueError(
                f"The student's fit was to {len(self.target)} rows, but boosts "
                f"{len(scores)}; leave out what splits its data."
            )
        scores = np.asarray(scores, dtype=np.float64) + self.offset
        if scores.ndim == 1:
            target, proba, factor = self.target[:, 1], expit(scores), 1.0
        else:
            target, proba, factor = self.target, softmax(scores, axis=1), self.factor
        gradient, curvature = proba - target, factor * proba * (1.0 - proba)
        if sample_weight is not None:
            weight = np.asarray(sample_weight, dtype=np.float64)
            weight = weight.reshape(-1, *[1] * (scores.ndim - 1))
            gradient, curvature = gradient * weight, curvature * weight
        return gradient, np.maximum(curvature, TINY)


class LightGBM:
    """How ``LGBMClassifier`` boosts."""

    # Whatever depends on labels, or replaces the loss, by all names that it has.
    OTHERS = frozenset(
        "app application boost boost_from_average boosting class_weight "  # noqa: SIM905
        "is_unbalance linear_tree linear_trees loss neg_bagging neg_bagging_fraction "
        "neg_sub_row neg_subsample num_class num_classes objective_type pos_bagging "
        "pos_bagging_fraction pos_sub_row pos_subsample scale_pos_weight sigmoid unbalance "
        "unbalanced_sets".split()
    )

    @classmethod
    def serves(cls, params, n_classes):
        """Return whether the loss of these parameters is that of ``SoftObjective``."""
        losses = ("binary",) if n_classes == 2 else ("multiclass", "softmax")
        given = {name for name, value in params.items() if value is not None}
        boosts = params["boosting_type"] in ("gbdt", "gbrt", "dart", "goss")
        return boosts and params["objective"] in (None, *losses) and not given & cls.OTHERS

    @staticmethod
    def start(model, target, share):
        """Return the objective."""
        return SoftObjective(target, len(share) / (len(share) - 1.0), _start(share, 1e-15))

    @staticmethod
    def finish(model, objective, params):
        """Add the scores of the start to the first trees, and name the loss in the model."""
        booster, offset = model.booster_, np.atleast_1d(objective.offset)
        text = booster.model_to_string(num_iteration=-1)
        n_leaves = re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)
        for tree, score in enumerate(offset):
            for leaf in range(int(n_leaves[tree])):
                output = booster.get_leaf_output(tree, leaf)
                booster.set_leaf_output(tree, leaf, output + score)
        k = len(offset)
        loss, option = ("binary", "sigmoid:1") if k == 1 else ("multiclass", f"num_class:{k}")
        text, names = booster.model_to_string(num_iteration=-1), "\nfeature_names="
        named = text.replace(names, f"\nobjective={loss} {option}{names}", 1)
        booster.model_from_string(named)
        model.set_params(objective=params["objective"])
        model._objective = loss  # objective_


class XGBoost:
    """How ``XGBClassifier`` boosts, from version 3.1 on."""

    @staticmethod
    def serves(params, n_classes):
        """Return whether the loss of these parameters is that of ``SoftObjective``."""
        loss = "binary:logistic" if n_classes == 2 else "multi:softprob"
        return (
            params["objective"] in (None, "binary:logistic", loss)  # the first by default
            and params["booster"] in (None, "gbtree", "dart")
            and params["multi_strategy"] in (None, "one_output_per_tree")
            and params["scale_pos_weight"] in (None, 1)
            and "num_class" not in params
        )

    @staticmethod
    def start(model, target, share):
        """Return the objective; the model gets the scores of the start."""
        if model.base_score is None:
            start = _start(share, 1e-6)
            binary = len(share) == 2
            model.base_score = expit(start) if binary else (start - start.mean()).tolist()
        return SoftObjective(target, 2.0, 0.0)

    @staticmethod
    def finish(model, objective, params):
        """Name the loss, as the booster does already."""
        model.base_score = params["base_score"]
        binary = objective.target.shape[1] == 2
        model.objective = "binary:logistic" if binary else "multi:softprob"


LIBRARIES = {
    ("lightgbm", "LGBMClassifier"): LightGBM,
    ("xgboost", "XGBClassifier"): XGBoost,
}
TINY = 1e-16  # XGBoost's least second derivative


def _start(share, least):
    """Return the scores of shares of classes: one for the second of two."""
    logs = np.log(np.clip(share, least, 1.0 - least))
    return logs[1] - logs[0] if len(share) == 2 else logs


def booster_of(student, target, params):
    """Return how to boost the end of a student, None if it needs a row per sample and class.

    ``params`` is metadata of its fit: what it may bring, as an ``eval_set``, is for labels.
    """
    model = innermost(student)
    library = LIBRARIES.get((type(model).__module__.partition(".")[0], type(model).__name__))
    n_samples, n_classes = target.shape
    if library is None or params or n_samples < n_classes:
        return None
    return library if library.serves(model.get_params(), n_classes) else None


def fit_boosted(library, student, X, classes, target, weight):
    """Fit a clone of a student, or of a pipeline that ends in one, as ``library`` boosts it.

    None where LightGBM finds no feature to split by: it then refuses losses that it is told.
    """
    student = clone(student)
    model = innermost(student)
    params = model.get_params()
    order = np.argsort(classes)  # the libraries sort them
    classes, target = classes[order], target[:, order]
    share = np.average(target, axis=0, weights=weight)
    objective = library.start(model, target, share / share.sum())
    model.set_params(objective=objective)
    # Labels that name every class, and are not learned.
    labels = np.resize(classes, len(target))
    weights = {} if weight is None else {metadata_name(student, "sample_weight"): weight}
    try:
        student.fit(X, labels, **weights)
    except Exception as error:
        if "train_data->num_features" in str(error):
            return None
        raise
    library.finish(innermost(student), objective, params)
    return student
