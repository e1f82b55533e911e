"""Parameters of a distillation, chosen by the loss of students on labels that they never saw.

Every candidate is judged on the same folds of the labelled samples. The student of a fold is
not fitted to its samples, nor is its teacher, so that a teacher that memorises, or one that is
too sure of itself, counts for what its students are worth.

Out-of-fold teaching is judged by teachers that were fitted without two folds, or not at all: a
teacher of another fold knows the labels that the student is judged by, and passes them on:
with 300 digits and a network a log loss of 0.32 looked like 0.09.

Few samples cannot exclude what would cost an overconfident student most, so that the loss is
of labels with a share 1/(2n) of the uniform distribution, with n labelled samples. With 31
labels of wine, 1-nearest-neighbours as the teacher, and students that were right by luck on
all folds, the loss of new samples fell from 0.86 to 0.20.

The least mean loss wins. Candidates that replace another one only if they are better by a
standard error of the paired difference kept poor ones: in 14 cases of four data sets, two
teachers and two shares of labels, students were then worse by 0.010 nats in the mean.
"""

from dataclasses import dataclass, field, replace
from itertools import product
from operator import itemgetter

import numpy as np
from sklearn.base import clone

from sklkl._core.names import shown
from sklkl._core.parameters import BOOLEAN, NON_NEGATIVE, SHARE, Rule, check, number, same
from sklkl._core.samples import take
from sklkl._core.sklearn import params_of_rows
from sklkl._core.targets import one_hot
from sklkl.distillation._composition import compose, has_weight
from sklkl.distillation._pooling import FOLDS
from sklkl.distillation._probability import smooth
from sklkl.distillation._student import (
    LOSS_PARAMETERS,
    check_student,
    fit_student,
    has_search,
    learns_from_probabilities,
    predict_proba_at_1,
    soft_student_path,
)
from sklkl.divergences._registry import find
from sklkl.linear_model._loss import ResolvedDivergence
from sklkl.metrics._losses import row_losses

RULES = {
    # Beyond, T^2 and probabilities^(1/T) leave too few digits to the student.
    "temperature": number("a number from 1e-6 to 1e6", lambda v: 1e-6 <= v <= 1e6),
    "calibrate": BOOLEAN,
    "hard_label_weight": SHARE,
    "loss_correction": SHARE,
    "smoothing": number("a number from 0 to below 1", lambda v: 0 <= v < 1),
    "cross_fit": FOLDS,
    "unlabeled_weight": NON_NEGATIVE,
}
GRID = {
    "hard_label_weight": [0.0, 0.25, 0.5, 0.75, 1.0],
    "temperature": [1.0, 2.0, 5.0, 20.0],
    "calibrate": [False, True],
    "smoothing": [0.0, 0.02, 0.1],
    "cross_fit": [None, 5],
}
DEFAULTS = {name: values[0] for name, values in GRID.items()}
FACTORS = 0.1, 1.0, 10.0  # of C
# Labelled samples that are enough to compare candidates: the standard error of the mean loss,
# 0.034 nats with 300 digits, is a third of that with 2,000, and less where losses are paired.
ENOUGH = 2000
DOUBT = 0.5  # samples of which nobody knows the label
TUNE = Rule("a dictionary of lists of values by parameter name", dict).or_(True, False)


def grid_of(options, student, fitted):
    """Return the values to try of each parameter of ``DistilledClassifier``, {} if none.

    ``fitted`` is true if there is no teacher to fit, which leaves nothing to cross-fit.
    """
    check("tune", options.tune, TUNE)
    if not options.tune:
        return {}
    if options.tune is True:
        grid = {n: v for n, v in GRID.items() if same(getattr(options, n), DEFAULTS[n])}
        if fitted:
            grid.pop("cross_fit", None)
        grid |= _strengths(student)
        if not grid:
            raise ValueError(
                "tune=True leaves nothing to choose, as all that it tries is set."
            )
        return grid
    grid = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in options.tune.items()}
    for name, values in grid.items():
        _check_values(name, values, student)
    return {name: _distinct(v) if name in RULES else list(v) for name, v in grid.items()}


def _distinct(values):
    """Return values without those that are the same as one before; 2 and 2.0 are."""
    return [v for i, v in enumerate(values) if not any(same(v, w) for w in values[:i])]


def _strengths(student):
    """Return values of ``C`` of a logistic student around its own, {} for a search's."""
    path = soft_student_path(student)
    C = None if path is None else student.get_params().get(f"{path}C")
    if C is None or not np.isfinite(C) or has_search(student):
        return {}
    return {f"student__{path}C": [C * factor for factor in FACTORS]}


def _check_values(name, values, student):
    """Refuse values of a grid that a parameter cannot have."""
    if not isinstance(values, list | tuple) or len(values) == 0:
        raise ValueError(f"tune[{name!r}] must be a list of values to try; got {values!r}.")
    if name in RULES:
        for value in values:
            check(f"tune[{name!r}]", value, RULES[name])
        return
    own = str(name).removeprefix("student__")
    known = student.get_params()
    if own == name or own not in known or own.rpartition("__")[2] in LOSS_PARAMETERS:
        raise ValueError(
            f"tune names {name!r}, which it cannot choose; it can choose {shown([*RULES])}, "
            "and parameters of the student as 'student__C', but not its classes and loss."
        )
    for value in values:
        try:
            check_student(clone(student).set_params(**{own: value}), needs_proba=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"tune[{name!r}] has {value!r}: {error}") from error


def settings_of(options):
    """Return the parameters of a ``DistilledClassifier`` that make up its loss, by name."""
    return {name: getattr(options, name) for name in RULES}


def start(options, student, grid):
    """Return the settings that a search starts from: those given, or the first of the grid."""
    settings, own = settings_of(options), student.get_params()
    settings |= {n: own[n.removeprefix("student__")] for n in grid if n not in settings}
    # As the grid spells it, so that 1 and 1.0 are not two candidates.
    listed = {n: [v for v in grid[n] if same(v, settings[n])] or grid[n] for n in grid}
    return settings | {n: values[0] for n, values in listed.items()}


def choose(settings, grid, loss):
    """Return the settings of least loss that a coordinate search finds.

    First every change of one parameter is tried on its own, then, from the best of them on,
    one parameter after another: with ``tune=True`` 18 to 45 candidates instead of 360.

    Raises
    ------
    ValueError
        If no candidate has a finite loss.
    """
    best = min(
        (settings, *(settings | {name: v} for name, values in grid.items() for v in values)),
        key=loss,
    )
    while True:
        before = best
        for name, values in grid.items():
            best = min((best, *(best | {name: value} for value in values)), key=loss)
        if best is before:
            break
    if loss(best) == np.inf:
        raise ValueError(
            "tune found nothing of finite loss: either no sample has a weight, or the "
            "student cannot learn by this divergence from the zeros of the teacher; let tune "
            "try a smoothing above 0."
        )
    return best


def n_judged(tests):
    """Return how many folds candidates are compared on: as many as hold enough samples."""
    sizes = np.cumsum([len(test) for test in tests])
    return min(int(np.searchsorted(sizes, ENOUGH)) + 1, len(tests))


@dataclass
class Students:
    """Losses of labelled samples under students that were not fitted to their fold."""

    plan: object  # a ``Plan``
    teacher: object  # ``TeacherPredictions``, with columns for the classes of the student
    samples: object  # ``SampleTargets``
    divergence: object
    # Settings, mean loss, standard error, and the mean loss of labels without a doubt.
    found: dict = field(default_factory=dict)

    @property
    def folds(self):
        """The folds that candidates are compared on: as many as hold enough samples."""
        folds = self.teacher.folds
        return folds[: n_judged([fold.test for fold in folds])]

    def loss(self, settings):
        """Return the mean loss in nats, infinite where the student learns nothing."""
        key = self._key(settings)
        if key not in self.found:
            self.found[key] = settings, *self._means(self._losses(settings))
        return self.found[key][1]

    def _means(self, losses):
        """Return the weighted mean and its standard error of losses, and the other mean."""
        if losses is None:
            return np.inf, np.nan, np.inf
        losses, plain = losses
        tests = np.concatenate([fold.test for fold in self.folds])
        weight = self.samples.weight
        weight = np.ones(len(tests)) if weight is None else weight[tests]
        weight = weight / (weight.max() or 1.0)
        total = weight.sum() or 1.0
        mean = (weight @ losses) / total
        error = np.sqrt(np.sum((weight * (losses - mean)) ** 2)) / total
        return mean, error, (weight @ plain) / total

    def _key(self, settings):
        """Return what the student depends on: where labels are all, not the teacher.

        Values count by their places in the grid: what they print may leave out where they
        differ.
        """
        alone, grid = settings["hard_label_weight"] == 1.0, self.plan.grid
        names = [n for n in grid if not alone or n.startswith("student__")]
        places = [[v is settings[name] for v in grid[name]].index(True) for name in names]
        return alone, *places

    def _losses(self, settings):
        """Return losses of the samples of folds, of shape (2, n), None if nothing is learned.

        In the first row labels are in doubt.
        """
        if not self._can_learn(settings):
            return None
        losses = []
        for fold in self.folds:
            of_fold = self._losses_of_fold(settings, fold)
            if of_fold is None:
                return None
            losses.append(of_fold)
        return np.concatenate(losses, axis=1)

    def _can_learn(self, settings):
        """Return whether a student and a teacher can do what the settings ask."""
        student = with_settings(self.plan.student, settings)
        if several_terms(settings) and not learns_from_probabilities(student):
            return False
        return settings["cross_fit"] is None or self.teacher.folds[0].nested is not None

    def _composition(self, settings, fold):
        """Return the composition of a fold, calibrated without its labels.

        The teachers that predict other folds know these labels, unless pairs were left out.
        """
        labeled, teacher = self.samples.labeled.copy(), self.teacher
        labeled[fold.test] = False
        if fold.nested is not None:
            teacher = replace(teacher, proba=fold.nested, folds=[])
        samples = replace(self.samples, labeled=labeled)
        return compose(settings, teacher, samples, self.divergence)

    def _losses_of_fold(self, settings, fold):
        """Return the losses of a fold, whose labels neither student nor teacher knows."""
        plan, classes, test = self.plan, self.teacher.classes, fold.test
        proba = fold.proba if settings["cross_fit"] is None else fold.nested
        samples = replace(self.samples, proba=proba)
        keep = np.setdiff1d(np.arange(len(proba)), test)
        terms = self._composition(settings, fold).terms(samples.at(keep))
        X = take(plan.X, keep)
        if not has_weight(terms) or _is_infinite(terms[0], X):
            return None
        params = params_of_rows(plan.X, plan.student_params, keep)
        student = with_settings(plan.student, settings)
        student = fit_student(student, X, classes, terms, params)
        q = predict_proba_at_1(student, take(plan.X, test), classes, terms[0].temperature)
        truth = one_hot(samples.labels[test], len(classes))
        doubted = smooth(truth, DOUBT / samples.labeled.sum())
        return np.stack([row_losses(t, q, find("cross_entropy")) for t in (doubted, truth)])

    def log_loss(self):
        """Return the mean log loss of the best candidate."""
        return min(self.found.values(), key=itemgetter(1))[-1]

    def results(self):
        """Return settings, mean losses and standard errors of candidates, the best first.

        Those that leave the student nothing to learn are left out, unless all do.
        """
        found = sorted(self.found.values(), key=itemgetter(1))
        found = [candidate for candidate in found if candidate[1] < np.inf] or found
        params, means, errors, _ = zip(*found, strict=True)
        return {
            "params": [{name: of[name] for name in self.plan.grid} for of in params],
            "mean_loss": np.array(means),
            "standard_error": np.array(errors),
        }


def with_settings(student, settings):
    """Return a student with its own parameters among the settings."""
    prefix = "student__"
    own = {n.removeprefix(prefix): v for n, v in settings.items() if n.startswith(prefix)}
    return clone(student).set_params(**own) if own else student


def _is_infinite(term, X):
    """Return whether a target of 0, in the dtype of X, makes a term infinite."""
    if not ResolvedDivergence(term.divergence, term.parameter).infinite_at_zeros:
        return False
    dtype = np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
    zero = (term.target.astype(dtype) == 0.0).any(axis=1)
    return bool((zero if term.weight is None else zero & (term.weight > 0.0)).any())


def several_terms(settings):
    """Return whether labels are mixed in at a temperature other than 1."""
    return settings["temperature"] != 1.0 and 0.0 < settings["hard_label_weight"] < 1.0


def always_several_terms(settings, grid):
    """Return whether all candidates mix in labels at a temperature other than 1."""
    names = "temperature", "hard_label_weight"
    lists = [grid.get(name, [settings[name]]) for name in names]
    return all(several_terms(dict(zip(names, v, strict=True))) for v in product(*lists))
