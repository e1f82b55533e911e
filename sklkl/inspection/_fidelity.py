"""A picture of a student beside its teacher: where they differ, in which classes and rows."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.docs import documented_with
from sklkl._core.models import check_has_proba, predict_columns
from sklkl._core.parameters import check, integer
from sklkl._core.samples import match_rows
from sklkl._core.typing import Axes, Estimator, Floats, OnZero, Samples
from sklkl.inspection._drawing import (
    BLUE,
    COLORS,
    LEGEND_BELOW,
    MOST_BARS,
    axes_of,
    check_ax,
    columns_for,
    edge_of,
    inches_for,
    inches_of,
    ink_of,
    labels_of,
    largest,
    margin_for,
    number,
    signed,
    signed_style,
    style_of,
    text_of,
    texts_of,
    thinned,
    to_the_edge,
    unit_of,
    values_of,
)
from sklkl.metrics._fidelity import compare, with_columns
from sklkl.metrics._losses import check_options

MOST_POINTS = 5000
MOST_ROWS = 2 * MOST_BARS  # that have room for labels
BESIDE = 1.3  # times the width of axes is theirs with the room beside them
# Of more classes than colours most probabilities are small. Their square roots are not.
ROOTS = {"functions": (lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: x * np.abs(x))}
TICKS_OF_ROOTS = [0, 0.02, 0.1, 0.25, 0.5, 1]
LABEL = {"padding": 2, "fontsize": "small"}


of_fidelity = documented_with(
    options_and_display="""
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in all means, non-negative. Those of weight 0 are not
            drawn.
        base : float, default=None
            Unit of the divergences: None for nats, 2 for bits.
        on_zero : {"clip", "inf", "raise"}, default="clip"
            What to do where only the student's probability is 0, as in ``kl_loss``.
        n_classes : int, default=16
            How many bars of classes to draw at most. Of more classes all but the last are
            those that contribute most, and the last is the sum of the others.
        n_rows : int, default=10
            How many of the samples that differ most to show.
        ax : sequence of three matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : FidelityDisplay
            The display, drawn.""",
)


@dataclass(eq=False, repr=False)
class FidelityDisplay:
    r"""The differences of a student from its teacher: in all, by class, and in the worst rows.

    Use ``from_estimator`` or ``from_predictions`` to make one. It has three axes: the
    student's probabilities over the teacher's, a point for each sample and class; the mean
    contribution of each class to :math:`D(teacher \| student)`, negative where the student
    gives the class more; and the samples in which the two differ most. Of more than 5000
    points only evenly spaced ones are drawn; all samples count in the other axes. Of more than
    seven classes the six that contribute most have colours, points of the others are grey, and
    the axes are scaled by the square root, so that small probabilities are seen.

    Parameters
    ----------
    teacher_proba, student_proba : ndarray of shape (n_samples, n_classes)
        The probabilities.
    contributions : ndarray of shape (n_classes,)
        Mean contribution of each class to the divergence.
    row_divergences : ndarray of shape (n_samples,)
        Divergence of each sample; NaN where it does not count.
    divergence : float
        Their mean.
    classes : sequence of length n_classes
        Names of the classes.
    base : float, default=None
        Unit of the divergences: None for nats, 2 for bits.
    row_names : sequence of str of length n_samples, default=None
        Names of the samples, shown beside their numbers.
    n_classes : int, default=16
        How many bars of classes to draw at most.
    n_rows : int, default=10
        How many of the samples that differ most to show.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : ndarray of shape (3,) of matplotlib Axes
        Axes of the probabilities, of the classes and of the samples.
    lines_ : list of matplotlib Line2D
        The points of each class that has a colour, and of all others.
    diagonal_ : matplotlib Line2D
        Where both agree.
    class_bars_, row_bars_ : matplotlib BarContainer
        The bars of the classes and of the samples.
    drawn_classes_ : ndarray of shape (n_drawn,)
        The positions of the classes that have bars of their own, in the order of these.
    worst_rows_ : ndarray of shape (n_rows,)
        The samples that were drawn, that with the largest divergence first.

    See Also
    --------
    sklkl.metrics.fidelity_report : The numbers, with the size and speed of both models.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import DistilledClassifier
    >>> from sklkl.inspection import FidelityDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = DistilledClassifier(GaussianNB()).fit(X, y)
    >>> display = FidelityDisplay.from_estimator(model.teacher_, model.student_, X, n_rows=3)
    >>> round(display.divergence, 2), display.contributions.round(2)
    (0.07, array([0.01, 0.03, 0.02]))
    >>> display.worst_rows_
    array([146, 113, 121])
    """

    teacher_proba: Floats
    student_proba: Floats
    contributions: Floats
    row_divergences: Floats
    divergence: float
    _: KW_ONLY
    classes: Sequence[Any]
    base: float | None = None
    row_names: Sequence[str] | None = None
    n_classes: int = MOST_BARS
    n_rows: int = 10

    @classmethod
    @of_fidelity
    def from_estimator(
        cls,
        teacher: Estimator,
        student: Estimator,
        X: Samples,
        *,
        sample_weight: ArrayLike | None = None,
        base: float | None = None,
        on_zero: OnZero = "clip",
        n_classes: int = MOST_BARS,
        n_rows: int = 10,
        ax: Axes = None,
    ) -> Self:
        """Predict by both models, compare and draw.

        The columns of probabilities are matched through ``classes_``: a class that one model
        does not know has probability 0 there.

        Parameters
        ----------
        teacher, student : estimator
            Fitted classifiers with ``predict_proba`` and ``classes_``.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Samples, or whatever both models predict from. The index of a data frame names
            the samples.
        %(options_and_display)s

        Raises
        ------
        TypeError
            If a model has no ``predict_proba``, or one has strings as classes and the other
            has not.
        ValueError
            If a row of probabilities is not a probability vector, if the models have no
            class in common, or an argument is bad.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from sklkl.inspection import FidelityDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> student = DecisionTreeClassifier(max_depth=2).fit(X, y)
        >>> display = FidelityDisplay.from_estimator(GaussianNB().fit(X, y), student, X)
        >>> display.ax_[1].get_title()
        'D(teacher‖student) = 0.076 nats'
        """
        check_ax(ax, 3)
        probas, names = [], []
        for name, model in {"teacher": teacher, "student": student}.items():
            check_has_proba(model, name)
            names.append(f"The {name}'s predict_proba")
            probas.append(predict_columns(model, X, owner=f"The {name}'s"))
            match_rows(**{"X": X, names[-1]: probas[-1], "sample_weight": sample_weight})
        classes = [np.asarray(model.classes_).tolist() for model in (teacher, student)]
        return cls._compare(
            probas,
            classes,
            names,
            sample_weight=sample_weight,
            base=base,
            on_zero=on_zero,
            row_names=labels_of(X),
            n_classes=n_classes,
            n_rows=n_rows,
        ).plot(ax=ax)

    @classmethod
    @of_fidelity
    def from_predictions(
        cls,
        teacher_proba: ArrayLike,
        student_proba: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        base: float | None = None,
        on_zero: OnZero = "clip",
        n_classes: int = MOST_BARS,
        n_rows: int = 10,
        ax: Axes = None,
    ) -> Self:
        """Compare predicted probabilities and draw.

        Parameters
        ----------
        teacher_proba, student_proba : array-like of shape (n_samples, n_classes), or \
                data frame
            The probabilities. The columns of two data frames are matched by name, unless
            they are default ones; a class that one of them lacks has probability 0 there.
            The index of the teacher's frame names the samples.
        classes : array-like of shape (n_classes,), default=None
            The classes, in the order of the columns of an array. By default the columns of
            a data frame, or 0, 1, ...
        %(options_and_display)s

        Raises
        ------
        TypeError
            If only one data frame has strings as columns.
        ValueError
            If a row of probabilities is not a probability vector, if the samples or classes
            of the two do not match, or an argument is bad.

        Examples
        --------
        >>> from sklkl.inspection import FidelityDisplay
        >>> display = FidelityDisplay.from_predictions(
        ...     [[0.5, 0.5], [0.9, 0.1]],
        ...     [[0.9, 0.1], [0.9, 0.1]],
        ...     classes=["no", "yes"],
        ...     base=2,
        ... )
        >>> display.contributions.round(3), round(display.divergence, 3)
        (array([-0.212,  0.58 ]), 0.368)
        """
        check_ax(ax, 3)
        names = "teacher_proba", "student_proba"
        given = teacher_proba, student_proba
        probas, of_columns = with_columns(given, names, classes)
        match_rows(**dict(zip(names, given, strict=True)), sample_weight=sample_weight)
        return cls._compare(
            probas,
            of_columns,
            names,
            sample_weight=sample_weight,
            base=base,
            on_zero=on_zero,
            row_names=labels_of(teacher_proba),
            n_classes=n_classes,
            n_rows=n_rows,
        ).plot(ax=ax)

    @classmethod
    def _compare(cls, *arguments, sample_weight, base, on_zero, row_names, n_classes, n_rows):
        """Return the display of a comparison by ``compare(*arguments)``."""
        check_options(base, on_zero)
        check("n_classes", n_classes, integer(2))
        check("n_rows", n_rows, integer(1))
        fidelity = compare(*arguments, sample_weight, base, on_zero)
        return cls(
            fidelity.teacher_proba,
            fidelity.student_proba,
            fidelity.contributions,
            fidelity.row_divergences,
            fidelity.divergence,
            classes=fidelity.classes,
            base=base,
            row_names=row_names,
            n_classes=n_classes,
            n_rows=n_rows,
        )

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the probabilities, the classes and the samples that differ most.

        Parameters
        ----------
        ax : sequence of three matplotlib Axes, default=None
            Where to draw; new ones if None. The legend is below the first; a figure with
            ``layout="constrained"`` leaves room for it.

        Returns
        -------
        display : FidelityDisplay
            The display itself.
        """
        # NaN is last in either order; of equal rows the first comes first.
        order = np.argsort(-self.row_divergences, kind="stable")
        n_counted = np.count_nonzero(~np.isnan(self.row_divergences))
        self.worst_rows_ = order[: min(self.n_rows, n_counted)]
        self.drawn_classes_, others = largest(self.contributions, self.n_classes)
        classes = texts_of(self.classes, self.drawn_classes_, others)
        rows = [self._row_label(i) for i in self.worst_rows_.tolist()]
        coloured, grey = largest(self.contributions, len(COLORS))
        coloured = np.sort(coloured)
        points = texts_of(self.classes, coloured, grey)
        width = 11.7 + inches_for(classes) + inches_for(rows)
        n_bars = min(max(len(classes), len(rows)), MOST_ROWS)
        legend_rows = np.ceil(len(points) / columns_for(points, width / 4))
        height = max(4.0 + 0.2 * legend_rows, 1.6 + 0.22 * n_bars)
        size = (max(width, min(2.9 * height, 15.5)), height)  # the first is square
        self.figure_, self.ax_ = axes_of(ax, 3, ncols=3, figsize=size)
        self._draw_probabilities(self.ax_[0], coloured, grey, points)
        values = values_of(self.contributions, self.drawn_classes_, others)
        self._draw_classes(self.ax_[1], classes, values)
        self._draw_rows(self.ax_[2], rows)
        return self

    def _draw_probabilities(self, ax, kept, others, names):
        samples = np.flatnonzero(~np.isnan(self.row_divergences))
        grey = {"color": "0.6", "marker": "p"}
        groups = [(others, grey)] if len(others) else []
        groups += [([j], style_of(i, ax)) for i, j in enumerate(kept)]
        most = max(1, MOST_POINTS // len(groups))
        (self.diagonal_,) = ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--")
        self.lines_ = []
        for columns, style in groups:
            points = np.array(
                [
                    proba[np.ix_(samples, columns)].ravel()
                    for proba in (self.teacher_proba, self.student_proba)
                ]
            )
            n = points.shape[1]
            if n > most:
                points = points[:, np.linspace(0, n - 1, most).astype(np.intp)]
            self.lines_ += ax.plot(
                *points,
                linestyle="",
                markersize=4 if len(samples) < 300 else 3,
                alpha=0.6 if len(samples) < 300 else 0.35,
                markeredgewidth=0,
                **style,
            )
        # The others are below all points, and last in the legend.
        if len(others):
            self.lines_.append(self.lines_.pop(0))
        for line, name in zip(self.lines_, names, strict=True):
            line.set_label(name)
        margin = 0.03
        if len(others):
            margin = 0.002
            ax.set_xscale("function", **ROOTS)
            ax.set_yscale("function", **ROOTS)
            ticks = [f"{tick:g}" for tick in TICKS_OF_ROOTS]
            ax.set_xticks(TICKS_OF_ROOTS, ticks)
            ax.set_yticks(TICKS_OF_ROOTS, ticks)
        ax.set(
            xlim=(-margin, 1 + margin),
            ylim=(-margin, 1 + margin),
            aspect="equal",
            xlabel="teacher's probability",
            ylabel="student's probability",
        )
        columns = columns_for(names, BESIDE * inches_of(ax)[0])
        legend = ax.legend(
            self.lines_, names, **LEGEND_BELOW, ncols=columns, handletextpad=0.1
        )
        for handle in legend.legend_handles:
            handle.set(alpha=1, markersize=6)

    def _draw_classes(self, ax, names, values):
        lengths = to_the_edge(values)
        places = np.arange(len(lengths))
        self.class_bars_ = ax.barh(places, lengths, **signed_style(lengths, ax))
        few = len(places) <= MOST_ROWS
        labels = [signed(c) if few or np.isinf(c) else "" for c in values]
        ax.bar_label(self.class_bars_, labels, **LABEL)
        ax.margins(x=margin_for(inches_for(labels), inches_of(ax)[0]))
        ax.set_yticks(*thinned(names, inches_of(ax)[1]))
        ax.axvline(0, color=ink_of(ax), linewidth=0.8)
        ax.set_ylim(len(places) - 0.5, -0.5)
        total = f"{number(self.divergence)} {unit_of(self.base)}"
        ax.set_title(f"D(teacher‖student) = {total}", fontsize="medium")
        ax.set(xlabel=f"mean contribution in {unit_of(self.base)}", ylabel="class")

    def _draw_rows(self, ax, names):
        values = self.row_divergences[self.worst_rows_]
        places = np.arange(len(values))
        lengths = to_the_edge(values)
        self.row_bars_ = ax.barh(places, lengths, color=BLUE, alpha=0.75, **edge_of(ax))
        few = len(places) <= MOST_ROWS
        labels = [number(v) if few or np.isinf(v) else "" for v in values]
        ax.bar_label(self.row_bars_, labels, **LABEL)
        ax.margins(x=margin_for(inches_for(labels), inches_of(ax)[0]))
        ax.set_yticks(*thinned(names, inches_of(ax)[1]))
        if not values.any():
            ax.set_xlim(0, 1)
        ax.set_ylim(len(places) - 0.5, -0.5)
        ax.set_title("worst rows", fontsize="medium")
        ax.set(xlabel=f"divergence in {unit_of(self.base)}", ylabel="row")

    def _row_label(self, i):
        name = str(i) if self.row_names is None else self.row_names[i]
        return str(i) if name == str(i) else f"{i} ({text_of(name)})"
