"""A report of what distillation lost and won: teacher and student side by side."""

import pickle
from statistics import median
from time import perf_counter

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sklkl._core.arrays import as_floating
from sklkl._core.classes import check_classes, frame_columns, spread
from sklkl._core.distributions import check_rows
from sklkl._core.models import check_has_proba
from sklkl._core.names import places, shown
from sklkl._core.parameters import BOOLEAN, check, integer
from sklkl._core.predictions import hits
from sklkl._core.samples import check_weights, match_rows, relative
from sklkl._core.targets import check_target
from sklkl.divergences import kl_contributions
from sklkl.metrics._losses import ALIGNED, check_options, clip, d2_kl

# Key in the report -> name of the loss.
TARGET_LOSSES = {"log_loss": "cross_entropy_loss", "kl": "kl_loss"}
FIDELITY_LOSSES = {
    "kl": "kl_loss",
    "reverse_kl": "reverse_kl_loss",
    "jensen_shannon": "jensen_shannon_loss",
    "total_variation": "total_variation_loss",
}

# Each model is timed on one row and on many: about a second for all four.
SECONDS = 0.2
SECONDS_PER_RUN = SECONDS / 8
MOST_RUNS = 50


def fidelity_report(
    teacher,
    student,
    X,
    y=None,
    *,
    sample_weight=None,
    base=None,
    on_zero="clip",
    timing=True,
    digits=3,
    output_dict=False,
):
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
    check("digits", digits, integer(0))
    check("output_dict", output_dict, BOOLEAN)
    models = {"teacher": teacher, "student": student}
    for name, model in models.items():
        check_has_proba(model, name)
    match_rows(X=X, y=y, sample_weight=sample_weight)
    weight = relative(check_weights(sample_weight, X))

    report = {name: {} for name in models}
    costs, proba, classes = {}, {}, {}
    for name, model in models.items():
        proba[name], costs[name] = _predict(name, model, X, timing)
        classes[name] = np.asarray(model.classes_).tolist()
    known = list(dict.fromkeys(classes["teacher"] + classes["student"]))
    check_classes(known, "The list of the teacher's and student's classes")
    position = {c: j for j, c in enumerate(known)}
    # Ties go to the class that is first in the model's own order, as in its predict.
    predicted = {
        name: np.array([position[c] for c in classes[name]])[p.argmax(axis=1)]
        for name, p in proba.items()
    }
    proba = {name: spread(classes[name], p, known) for name, p in proba.items()}

    def compare(losses, target_name, target, model_name):
        arrays = target, proba[model_name]
        options = {"sample_weight": weight, "on_zero": on_zero}
        scores = {}
        try:
            for key, loss in losses.items():
                has_unit = ALIGNED[loss].keywords["divergence"].has_unit
                unit = {"base": base} if has_unit else {}
                scores[key] = ALIGNED[loss](*arrays, **options, **unit)
            scores["d2"] = d2_kl(*arrays, **options)
        except ValueError as error:
            raise ValueError(
                f"{error} (Here y_true is {target_name} and y_proba the {model_name}'s "
                f"predict_proba, with columns {known}.)"
            ) from None
        return scores

    if y is not None:
        target = _check_y(y, classes["teacher"], position)
        for name in models:
            hit = hits(target, predicted[name])
            report[name]["accuracy"] = float(np.average(hit, weights=weight))
            report[name] |= compare(TARGET_LOSSES, "y", target, name)
    for name in models:
        report[name] |= costs[name]

    p, q = proba["teacher"], proba["student"]
    agree = predicted["teacher"] == predicted["student"]
    report["fidelity"] = {
        **compare(FIDELITY_LOSSES, "the teacher's predict_proba", p, "student"),
        "agreement": float(np.average(agree, weights=weight)),
    }

    counted = weight > 0  # not 0 * inf
    clipped = clip(p, q, "y_proba") if on_zero == "clip" else q
    contributions = kl_contributions(p[counted], clipped[counted], base=base)
    columns = {
        "teacher": np.average(p, axis=0, weights=weight),
        "student": np.average(q, axis=0, weights=weight),
        "kl": np.average(contributions, axis=0, weights=weight[counted]),
    }
    report["classes"] = {
        c: {key: float(column[j]) for key, column in columns.items()}
        for c, j in position.items()
    }
    return report if output_dict else _as_text(report, base, digits)


def _predict(name, model, X, timing):
    """Return the probabilities that a model predicts, and what size and time it takes."""
    # First, so that the time of all rows below is that of a warm model.
    single = _seconds(model, _take(X, [0])) if timing else None
    start = perf_counter()
    proba = model.predict_proba(X)
    seconds = perf_counter() - start

    what = f"The {name}'s predict_proba"
    proba, classes = as_floating(proba, what), np.asarray(model.classes_)
    if proba.ndim != 2 or proba.shape[1] != len(classes):
        raise ValueError(
            f"{what} has shape {proba.shape}, not a column for each of its classes, "
            f"{shown(classes)}."
        )
    match_rows(X=X, **{what: proba})
    proba = check_rows(proba, what)

    if not timing:
        return proba, {"bytes": _size(model)}
    n_rows = len(proba)
    if seconds > SECONDS_PER_RUN:
        n_rows = max(1, int(n_rows * SECONDS_PER_RUN / seconds))
    rows = np.linspace(0, len(proba) - 1, n_rows).astype(np.intp)
    return proba, {
        "bytes": _size(model),
        "microseconds_per_row": 1e6 * _seconds(model, _take(X, rows)) / n_rows,
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


def _take(X, rows):
    return _safe_indexing(X.tocsr() if issparse(X) else X, rows)


def _check_y(y, teacher_classes, position):
    """Return ``y`` as codes of the classes ``position``, or as probabilities of these."""
    classes, target = check_target(y, name="y")
    classes = classes.tolist()
    if target.ndim == 2 and frame_columns(y, teacher_classes) is None:
        if len(classes) != len(teacher_classes):
            raise ValueError(
                f"y has {len(classes)} columns, but the teacher knows {len(teacher_classes)} "
                f"classes, {shown(teacher_classes)}; name the columns with a data frame."
            )
        classes = teacher_classes
    unknown = [c for c in classes if c not in position]
    if unknown:
        raise ValueError(
            f"y has classes that neither model knows: {shown(unknown)}; theirs are "
            f"{shown(list(position))}."
        )
    if target.ndim == 1:
        return places(classes, list(position))[target]
    return spread(classes, target, list(position))


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
