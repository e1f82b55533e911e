"""A report of what distillation lost and won: teacher and student side by side."""

import pickle
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core import topk
from sklkl._core.classes import frame_columns, spread
from sklkl._core.models import check_has_proba, predict_columns
from sklkl._core.names import places, shown
from sklkl._core.parameters import BOOLEAN, INNER_SHARE, Rule, check, integer
from sklkl._core.predictions import hits
from sklkl._core.samples import column_means, match_rows, n_rows, take
from sklkl._core.targets import check_target, is_sparse
from sklkl._core.typing import Estimator, OnZero, Samples
from sklkl.divergences._registry import find
from sklkl.metrics._fidelity import are_predictions, compare, named, with_columns
from sklkl.metrics._intervals import mean_interval, share_interval, units_of
from sklkl.metrics._losses import check_options, d2, mean_divergence, row_losses

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
NAMES = Rule("a pair of names", Sequence, lambda v: not isinstance(v, str) and len(v) == 2)


def fidelity_report(
    teacher: Estimator | ArrayLike | None,
    student: Estimator | ArrayLike,
    X: Samples | None = None,
    y: ArrayLike | None = None,
    *,
    classes: ArrayLike | None = None,
    names: Sequence[str] = ("teacher", "student"),
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
    confidence_level: float | None = None,
    timing: bool = True,
    digits: int = 3,
    output_dict: bool = False,
) -> Any:
    r"""Build a report of what a student lost and won against its teacher.

    It compares both models with the targets, if there are any, their size and speed, and
    the student's probabilities with the teacher's, in all and by class. The columns of
    probabilities are matched through ``classes_``: a class that one model does not know has
    probability 0 there. Each of them may be given by its probabilities instead.

    Parameters
    ----------
    teacher, student : estimator, or array-like or data frame of shape (n_samples, n_classes)
        Fitted classifiers with ``predict_proba`` and ``classes_``, or what they predict for
        the samples. The columns of a data frame are matched by name. The label that a model
        predicts is its most probable class. If the teacher is None, the report is about the
        student alone, and needs a ``y``.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features), default=None
        Samples, or whatever the models predict from; None if probabilities are given.
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame, default=None
        True labels; or soft targets, a probability vector per row. The columns of a matrix
        are ``teacher.classes_``; those of a data frame are matched by name, in any order,
        and a class without a column has probability 0.
    classes : array-like of shape (n_classes,), default=None
        The classes that are the columns of given arrays; by default those of the other model
        or data frame, or 0, 1, ...
    names : sequence of two str, default=("teacher", "student")
        What the text calls the models, as ``("old", "new")`` of two versions. The keys of a
        dictionary stay the same.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in all means, non-negative.
    groups : array-like of shape (n_samples,), default=None
        Labels of groups of dependent samples, as all of one patient: the independent units of
        the intervals. They change nothing else.
    base : float, default=None
        Unit of log loss, KL and Jensen-Shannon divergences: None for nats, 2 for bits.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a zero makes a loss infinite, as in ``kl_loss``.
    confidence_level : float, default=None
        Level of confidence intervals, as 0.95: of losses by the delta method, as in
        ``loss_interval``, of shares of samples by that of Wilson (1927), which is rather too
        wide for the "accuracy" of soft targets; with ``groups`` for as many samples as have
        the same variance, by Korn and Graubard (1998). By default there are none.
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
          single row; none of these for given probabilities. If there is a ``y``, "accuracy",
          "log_loss" (the mean cross-entropy), "kl" (:math:`D(y \| model)`, equal to the log
          loss if ``y`` holds labels) and "d2" (``d2_kl_score``) come first. With soft targets,
          "accuracy" is the mean probability of the predicted label: the accuracy expected of
          labels drawn from the targets.
        - "fidelity", of the student to the teacher: "kl", :math:`D(teacher \| student)`;
          "reverse_kl", :math:`D(student \| teacher)`; "jensen_shannon" and
          "total_variation"; "d2", ``d2_kl_score`` with the teacher's probabilities as
          targets; "agreement", the share of the samples where both predict the same label.
        - "classes", for each label, those of the teacher first: "teacher" and "student",
          the mean probabilities; and "kl", the mean contribution of the class to
          :math:`D(teacher \| student)`, negative where the student's probabilities exceed
          the teacher's. The contributions add up to the "kl" of "fidelity".
        - "intervals", with a ``confidence_level``: pairs of low and high end for "accuracy",
          "log_loss" and "kl" of "teacher" and "student", of their "difference", student -
          teacher, and for "kl" and "agreement" of "fidelity".

    Raises
    ------
    TypeError
        If a model has no ``predict_proba``, or one has strings as classes and the other has
        not.
    ValueError
        If a row of probabilities is not a probability vector, the columns of ``y`` are not
        the teacher's classes, ``y`` has a class that neither model knows, or lengths or
        labels of rows differ, or intervals are to be made of fewer than two samples or
        groups; on zeros, if ``on_zero="raise"`` and a loss is infinite.

    See Also
    --------
    loss_interval : An interval of any loss.
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

    References
    ----------
    Korn, E. L. and Graubard, B. I. (1998). Confidence Intervals for Proportions with Small
    Expected Number of Positive Counts Estimated from Survey Data. Survey Methodology 24(2),
    193-201.

    Wilson, E. B. (1927). Probable Inference, the Law of Succession, and Statistical
    Inference. Journal of the American Statistical Association 22(158), 209-212.

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

    Of a model of which only predictions are at hand:

    >>> y, proba = [0, 1, 1, 0], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.4, 0.6]]
    >>> print(fidelity_report(None, proba, y=y, confidence_level=0.95, digits=2))
                      student
    <BLANKLINE>
            accuracy     0.75
            log loss     0.50
                  kl     0.50
                  d2     0.28
    <BLANKLINE>
       0.95 interval      low     high
    <BLANKLINE>
    student accuracy     0.30     0.95
    student log loss     0.02     0.98
          student kl     0.02     0.98
    <BLANKLINE>
    mean probability  student
    <BLANKLINE>
                   0     0.47
                   1     0.53
    <BLANKLINE>
    log loss and kl in nats
    """
    check_options(base, on_zero)
    check("timing", timing, BOOLEAN)
    check("digits", digits, integer(0, 100))
    check("output_dict", output_dict, BOOLEAN)
    check("confidence_level", confidence_level, INNER_SHARE.or_(None))
    check("names", names, NAMES)
    models = {"teacher": teacher, "student": student}
    given = {name: are_predictions(model) for name, model in models.items()}
    if teacher is None:
        if y is None:
            raise ValueError("A report of one model needs y; pass y, or a teacher.")
        models, given = {"student": student}, {"student": given["student"]}
    for name, model in models.items():
        if not given[name]:
            check_has_proba(model, name)
    if X is None and not all(given.values()):
        raise ValueError("X may be left out only if probabilities are given for all models.")
    if X is not None:
        n_rows(X, "X")  # a single number has none
    match_rows(
        X=X,
        y=y,
        sample_weight=sample_weight,
        groups=groups,
        **{n: models[n] for n in models if given[n]},
    )
    answers, costs, own = [], [], []
    for name, model in models.items():
        proba, cost = (model, {}) if given[name] else _predict(name, model, X, timing)
        answers.append(proba)
        costs.append(cost)
        own.append(None if given[name] else np.asarray(model.classes_).tolist())
    owners = [_name(name, given[name]) for name in models]
    # A model alone is its own teacher.
    twice = [2 * part if teacher is None else part for part in (answers, owners, own)]
    probas, columns = with_columns(twice[0], twice[1], classes, twice[2])
    fidelity = compare(probas, columns, twice[1], sample_weight, base, on_zero)
    # Ties go to the class that is first in the model's own order, as in its predict.
    predicted = [
        places(known, fidelity.classes)[proba.argmax(axis=1)]
        for known, proba in zip(columns, probas, strict=True)
    ]
    options = {"sample_weight": fidelity.weight, "base": base, "on_zero": on_zero}
    report, rows = {name: {} for name in models}, {name: {} for name in models}
    if y is not None:
        target = _check_y(y, columns[0], fidelity.classes)
        both = fidelity.teacher_proba, fidelity.student_proba
        for model, name, labels, proba in zip(models, owners, predicted, both, strict=False):
            rows[model]["accuracy"] = hits(target, labels)
            report[model]["accuracy"] = fidelity.mean(rows[model]["accuracy"])
            with named("y", name, fidelity.classes):
                report[model] |= _scores(OF_TARGETS, target, proba, **options)
                if confidence_level is not None:
                    rows[model] |= _losses_of_rows(target, proba, fidelity, base, on_zero)
    for model, cost in zip(models, costs, strict=True):
        report[model] |= cost
    if teacher is not None:
        with named(*owners, fidelity.classes):
            pair = fidelity.teacher_proba, fidelity.student_proba
            scores = _scores(OF_TEACHER, *pair, **options)
        agree = predicted[0] == predicted[1]
        rows["fidelity"] = {"kl": fidelity.row_divergences, "agreement": agree}
        report["fidelity"] = {
            "kl": fidelity.divergence,
            **scores,
            "agreement": fidelity.mean(agree),
        }
    report["classes"] = _of_classes(fidelity, list(models))
    if confidence_level is not None:
        report["intervals"] = _intervals(rows, fidelity.weight, groups, confidence_level)
    if output_dict:
        return report
    return _as_text(report, base, digits, confidence_level, *map(str, names))


def _losses_of_rows(target, proba, fidelity, base, on_zero):
    """Return the losses of all samples against the targets by key."""
    options = {"base": base, "on_zero": on_zero, "counted": fidelity.weight > 0}
    return {
        key: row_losses(target, proba, find(name), **options)
        for key, name in OF_TARGETS.items()
    }


def _intervals(rows, weight, groups, level):
    """Return pairs of ends for the means of values of samples, by model and key."""
    counted = weight > 0
    unit, _ = units_of(groups, counted)
    weight, tail = weight[counted], (1 - float(level)) / 2
    if rows["student"] and "teacher" in rows:
        rows["difference"] = {
            key: np.subtract(values, rows["teacher"][key], dtype=np.float64)
            for key, values in rows["student"].items()
        }

    def interval_of(who, key):
        is_share = key in ("accuracy", "agreement") and who != "difference"
        return share_interval if is_share else mean_interval

    return {
        who: {
            key: interval_of(who, key)(
                np.asarray(values, np.float64)[counted], weight, unit, tail
            )
            for key, values in of.items()
        }
        for who, of in rows.items()
        if of
    }


def _name(model, given):
    """Return the name of a model's probabilities in messages."""
    return model if given else f"The {model}'s predict_proba"


def _scores(divergences, target, proba, *, base, **options):
    """Return mean divergences of targets and probabilities by key, and D²."""
    scores = {}
    for key, name in divergences.items():
        unit = {"base": base} if find(name).has_unit else {}
        scores[key] = mean_divergence(target, proba, find(name), **options, **unit)
    return {**scores, "d2": d2(target, proba, **options)}


def _of_classes(fidelity, models):
    """Return for each class its mean probabilities, and its share of the divergence."""
    weight = fidelity.weight
    columns = {
        "teacher": column_means(fidelity.teacher_proba, weight),
        "student": column_means(fidelity.student_proba, weight),
        "kl": fidelity.contributions,
    }
    if len(models) < 2:
        columns = {"student": columns["student"]}
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
    target = check_target(y, name="y", sparse=True)
    classes = target.classes.tolist()
    named = target.named if is_sparse(y) else frame_columns(y, teacher_classes) is not None
    if not (target.hard or named):
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
    if target.sparse:
        return topk.named(topk.renamed(target.values, np.asarray(classes)), known, "y")
    return at[target.values] if target.hard else spread(classes, target.values, known)


def _as_text(report, base, digits, level, teacher, student):
    def row(name, values):
        # z: no minus sign before what rounds to 0
        numbers = [f"{v:,}" if isinstance(v, int) else f"{v:z,.{digits}f}" for v in values]
        return [str(name), *numbers]

    titles = {"teacher": teacher, "student": student}
    models = [name for name in titles if name in report]
    fidelity, intervals = report.get("fidelity", {}), report.get("intervals", {})
    keys = dict.fromkeys(key for name in models for key in report[name])
    nan = float("nan")
    table = [
        ["", *(titles[name] for name in models)],
        [],
        *(
            row(key.replace("_", " "), (report[name].get(key, nan) for name in models))
            for key in keys
        ),
        [],
        *([["", "fidelity"], []] if fidelity else []),
        *(row(key.replace("_", " "), (v,)) for key, v in fidelity.items()),
        *([[]] if fidelity else []),
        *([[f"{float(level):.4g} interval", "low", "high"], []] if intervals else []),
        *(
            row(f"{titles.get(who, who)} {key.replace('_', ' ')}", ends)
            for who, of in intervals.items()
            for key, ends in of.items()
        ),
        *([[]] if intervals else []),
        ["mean probability", *(titles[name] for name in models), *["kl"] * bool(fidelity)],
        [],
        *(row(c, numbers.values()) for c, numbers in report["classes"].items()),
        [],
    ]
    name_width = max(len(line[0]) for line in table if line)
    width = max(len(cell) for line in table for cell in line[1:])
    unit = {None: "nats", 2: "bits"}.get(base, f"units of base {base}")
    of_fidelity = [
        f"log loss, kl, reverse kl and jensen shannon in {unit};",
        "the kl of the classes adds up to that of fidelity",
    ]
    return "\n".join(
        [
            *(
                "  ".join([line[0].rjust(name_width), *(c.rjust(width) for c in line[1:])])
                if line
                else ""
                for line in table
            ),
            *(of_fidelity if fidelity else [f"log loss and kl in {unit}"]),
        ]
    )
