"""A report of what distillation lost and won: teacher and student side by side."""

import pickle
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.classes import frame_columns, spread
from sklkl._core.models import check_has_proba, predict_columns
from sklkl._core.names import places, shown
from sklkl._core.parameters import BOOLEAN, check, integer
from sklkl._core.predictions import hits
from sklkl._core.samples import column_means, match_rows, n_rows, take
from sklkl._core.targets import check_target
from sklkl._core.typing import Estimator, OnZero, Samples
from sklkl.divergences._registry import find
from sklkl.metrics._fidelity import compare, named
from sklkl.metrics._losses import check_options, d2_kl, mean_divergence

# Key in the report -> name of the divergence.
OF_TARGETS = {"log_loss": "cross_entropy", "kl": "kl"}
OF_TEACHER = {
    "reverse_kl": "reverse_kl",
    "jensen_shannon": "jensen_shannon",
    "total_variation": "total_variation",
}

# Each model is timed on one row and on many: about a second for all four.
SECONDS = 0.2
SECONDS_PER_RUN = SECONDS / 8
MOST_RUNS = 50


def fidelity_report(
    teacher: Estimator,
    student: Estimator,
    X: Samples,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
    timing: bool = True,
    digits: int = 3,
    output_dict: bool = False,
) -> Any:
    r"""Build a report of what a student lost and won against its teacher.

    It compares both models with the targets, if there are any, their size and speed, and
    the student's probabilities with the teacher's, in all and by class. The columns of
    probabilities are matched through ``classes_``: a class that one model does not know has
    probability 0 there.

    Parameters
    ----------
    teacher, student : estimator
        Fitted classifiers with ``predict_proba`` and ``classes_``. The label that a model
        predicts is its most probable class.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Samples, or whatever both models predict from.
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, default=None
        True labels; or soft targets, a probability vector per row. The columns of a matrix
        are ``teacher.classes_``; those of a data frame are matched by name, in any order,
        and a class without a column has probability 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in all means, non-negative.
    base : float, default=None
        Unit of log loss, KL and Jensen-Shannon divergences: None for nats, 2 for bits.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a zero makes a loss infinite, as in ``kl_loss``.
    timing : bool, default=True
        Measure how long predictions take, about a second in all. Otherwise each model predicts
        once.
    digits : int, default=3
        Number of decimals in the text.
    output_dict : bool, default=False
        Return a dictionary instead of text.

    Returns
    -------
    report : str or dict
        The text, or nested dictionaries of numbers:

        - "teacher" and "student", each with "bytes", the length of the pickled model (NaN
          if it cannot be pickled); "microseconds_per_row", the time of ``predict_proba`` on
          ``X`` divided by the number of rows; and "microseconds_single_row", its time on a
          single row. If there is a ``y``, "accuracy", "log_loss" (the mean cross-entropy),
          "kl" (:math:`D(y \| model)`, equal to the log loss if ``y`` holds labels) and
          "d2" (``d2_kl_score``) come first. With soft targets, "accuracy" is the mean
          probability of the predicted label: the accuracy expected of labels drawn from
          the targets.
        - "fidelity", of the student to the teacher: "kl", :math:`D(teacher \| student)`;
          "reverse_kl", :math:`D(student \| teacher)`; "jensen_shannon" and
          "total_variation"; "d2", ``d2_kl_score`` with the teacher's probabilities as
          targets; "agreement", the share of the samples where both predict the same label.
        - "classes", for each label, those of the teacher first: "teacher" and "student",
          the mean probabilities; and "kl", the mean contribution of the class to
          :math:`D(teacher \| student)`, negative where the student's probabilities exceed
          the teacher's. The contributions add up to the "kl" of "fidelity".

    Raises
    ------
    TypeError
        If a model has no ``predict_proba``, or one has strings as classes and the other has
        not.
    ValueError
        If a row of probabilities is not a probability vector, the columns of ``y`` are not
        the teacher's classes, ``y`` has a class that neither model knows, or lengths or
        labels of rows differ; on zeros, if ``on_zero="raise"`` and a loss is infinite.

    See Also
    --------
    kl_loss : The mean divergence alone.
    d2_kl_score : The share of the divergence to the prior that a model explains.
    sklearn.metrics.classification_report : The report of one classifier's labels.

    Notes
    -----
    Pass ``model.student_`` of a ``DistilledClassifier``, not the whole, which holds the
    teacher.

    Times are medians of several runs after a warm-up, taken in about a second altogether;
    a model that is slow on ``X`` is timed on a part of its rows, evenly spaced. They depend
    on the machine, its load and the number of threads.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import DistilledClassifier
    >>> from sklkl.metrics import fidelity_report
    >>> X, y = load_iris(return_X_y=True)
    >>> model = DistilledClassifier(GaussianNB()).fit(X, y)
    >>> report = fidelity_report(model.teacher_, model.student_, X, y, digits=2)
    >>> print(report)  # doctest: +ELLIPSIS
                              teacher   student
    <BLANKLINE>
                   accuracy      0.96      0.96
                   log loss      0.11      0.14
                         kl      0.11      0.14
                         d2      0.90      0.87
                      bytes       ...       ...
       microseconds per row      ...       ...
    microseconds single row    ...    ...
    <BLANKLINE>
                             fidelity
    <BLANKLINE>
                         kl      0.07
                 reverse kl      0.60
             jensen shannon      0.02
            total variation      0.08
                         d2      0.94
                  agreement      0.99
    <BLANKLINE>
           mean probability   teacher   student        kl
    <BLANKLINE>
                          0      0.33      0.33      0.01
                          1      0.33      0.33      0.03
                          2      0.33      0.33      0.02
    <BLANKLINE>
    log loss, kl, reverse kl and jensen shannon in nats;
    the kl of the classes adds up to that of fidelity
    """
    check_options(base, on_zero)
    check("timing", timing, BOOLEAN)
    check("digits", digits, integer(0, 100))
    check("output_dict", output_dict, BOOLEAN)
    models = {"teacher": teacher, "student": student}
    for name, model in models.items():
        check_has_proba(model, name)
    n_rows(X, "X")  # a single number has none
    match_rows(X=X, y=y, sample_weight=sample_weight)
    probas, costs = zip(*(_predict(*item, X, timing) for item in models.items()), strict=True)
    classes = [np.asarray(model.classes_).tolist() for model in models.values()]
    names = [_name(model) for model in models]
    fidelity = compare(probas, classes, names, sample_weight, base, on_zero)
    # Ties go to the class that is first in the model's own order, as in its predict.
    predicted = [
        places(own, fidelity.classes)[proba.argmax(axis=1)]
        for own, proba in zip(classes, probas, strict=True)
    ]
    options = {"sample_weight": fidelity.weight, "base": base, "on_zero": on_zero}
    report = {name: {} for name in models}
    if y is not None:
        target = _check_y(y, classes[0], fidelity.classes)
        both = fidelity.teacher_proba, fidelity.student_proba
        for model, name, labels, proba in zip(models, names, predicted, both, strict=True):
            hit = hits(target, labels)
            report[model]["accuracy"] = float(np.average(hit, weights=fidelity.weight))
            with named("y", name, fidelity.classes):
                report[model] |= _scores(OF_TARGETS, target, proba, **options)
    for model, cost in zip(models, costs, strict=True):
        report[model] |= cost
    with named(*names, fidelity.classes):
        pair = fidelity.teacher_proba, fidelity.student_proba
        scores = _scores(OF_TEACHER, *pair, **options)
    agree = predicted[0] == predicted[1]
    report["fidelity"] = {
        "kl": fidelity.divergence,
        **scores,
        "agreement": float(np.average(agree, weights=fidelity.weight)),
    }
    report["classes"] = _of_classes(fidelity)
    return report if output_dict else _as_text(report, base, digits)


def _name(model):
    """Return the name of a model's probabilities in messages."""
    return f"The {model}'s predict_proba"


def _scores(divergences, target, proba, *, base, **options):
    """Return mean divergences of targets and probabilities by key, and D²."""
    scores = {}
    for key, name in divergences.items():
        unit = {"base": base} if find(name).has_unit else {}
        scores[key] = mean_divergence(target, proba, find(name), **options, **unit)
    return {**scores, "d2": d2_kl(target, proba, **options)}


def _of_classes(fidelity):
    """Return for each class its mean probabilities, and its share of the divergence."""
    weight = fidelity.weight
    columns = {
        "teacher": column_means(fidelity.teacher_proba, weight),
        "student": column_means(fidelity.student_proba, weight),
        "kl": fidelity.contributions,
    }
    return {
        c: {key: float(column[j]) for key, column in columns.items()}
        for j, c in enumerate(fidelity.classes)
    }


def _predict(name, model, X, timing):
    """Return the probabilities that a model predicts, and what size and time it takes."""
    # First, so that all rows are timed when the model is warm.
    single = _seconds(model, take(X, [0])) if timing else None
    start = perf_counter()
    proba = predict_columns(model, X, owner=f"The {name}'s")
    seconds = perf_counter() - start
    if not timing:
        return proba, {"bytes": _size(model)}
    n = len(proba)
    if seconds > SECONDS_PER_RUN:
        n = max(1, int(n * SECONDS_PER_RUN / seconds))
    rows = np.linspace(0, len(proba) - 1, n).astype(np.intp)
    return proba, {
        "bytes": _size(model),
        "microseconds_per_row": 1e6 * _seconds(model, take(X, rows)) / n,
        "microseconds_single_row": 1e6 * single,
    }


def _seconds(model, X):
    """Return the median time of ``predict_proba``, after a warm-up."""
    model.predict_proba(X)
    times = []
    while len(times) < MOST_RUNS and sum(times) < SECONDS:
        start = perf_counter()
        model.predict_proba(X)
        times.append(perf_counter() - start)
    return median(times)


def _size(model):
    try:
        return len(pickle.dumps(model))
    except Exception:  # of any type: each part of a model raises its own
        return float("nan")


def _check_y(y, teacher_classes, known):
    """Return ``y`` as codes of the classes ``known``, or as their probabilities."""
    target = check_target(y, name="y")
    classes = target.classes.tolist()
    if not target.hard and frame_columns(y, teacher_classes) is None:
        if len(classes) != len(teacher_classes):
            raise ValueError(
                f"y has {len(classes)} columns, but the teacher knows {len(teacher_classes)} "
                f"classes, {shown(teacher_classes)}; name the columns with a data frame."
            )
        classes = teacher_classes
    at = places(classes, known)
    unknown = [c for c, j in zip(classes, at, strict=True) if j < 0]
    if unknown:
        raise ValueError(
            f"y has classes that neither model knows: {shown(unknown)}; theirs are "
            f"{shown(known)}."
        )
    return at[target.values] if target.hard else spread(classes, target.values, known)


def _as_text(report, base, digits):
    def row(name, values):
        # z: no minus sign before what rounds to 0
        numbers = [f"{v:,}" if isinstance(v, int) else f"{v:z,.{digits}f}" for v in values]
        return [str(name), *numbers]

    teacher, student = report["teacher"], report["student"]
    table = [
        ["", "teacher", "student"],
        [],
        *(row(key.replace("_", " "), (teacher[key], student[key])) for key in teacher),
        [],
        ["", "fidelity"],
        [],
        *(row(key.replace("_", " "), (v,)) for key, v in report["fidelity"].items()),
        [],
        ["mean probability", "teacher", "student", "kl"],
        [],
        *(row(c, numbers.values()) for c, numbers in report["classes"].items()),
        [],
    ]
    name_width = max(len(line[0]) for line in table if line)
    width = max(len(cell) for line in table for cell in line[1:])
    unit = {None: "nats", 2: "bits"}.get(base, f"units of base {base}")
    return "\n".join(
        [
            *(
                "  ".join([line[0].rjust(name_width), *(c.rjust(width) for c in line[1:])])
                if line
                else ""
                for line in table
            ),
            f"log loss, kl, reverse kl and jensen shannon in {unit};",
            "the kl of the classes adds up to that of fidelity",
        ]
    )
