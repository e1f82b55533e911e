"""A picture of how often a student agrees, and of how many rows it answers."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklkl._core.typing import Axes, Estimator
from sklkl.inspection._drawing import BLUE, VERMILLION, axes_of, check_ax


class DeferralDisplay:
    r"""The share of rows in which a student agrees, against the share that it answers.

    Use ``from_estimator`` to make one. A point of the line is a threshold; the area reaches
    down to the confidence bound of the agreement. The dashed line is the agreement that was
    asked for; the filled point is the threshold that was chosen, the last one before the bound
    falls below that line for the first time.

    Parameters
    ----------
    n_answered : array-like of shape (n_thresholds,)
        The number of rows that each threshold lets the student answer; at the last one all.
    n_agreed : array-like of shape (n_thresholds,)
        The number of these in which it agrees.
    lower_bound : array-like of shape (n_thresholds,)
        The confidence bound of their share.
    agreement : float, default=None
        The share that is asked for; no line if None.
    coverage : float, default=0.0
        The share of rows that the student answers at the chosen threshold; 0 if there is
        none.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    line_ : matplotlib Line2D
        The agreement at each coverage.
    bound_ : matplotlib PolyCollection
        The area between agreement and bound.
    agreement_ : matplotlib Line2D or None
        The line at the agreement that is asked for.
    chosen_ : matplotlib Line2D or None
        The chosen point.

    See Also
    --------
    sklkl.distillation.DeferringClassifier : The estimator.
    FidelityDisplay : How the probabilities of a student differ from a teacher's.

    Examples
    --------
    >>> from sklkl.inspection import DeferralDisplay
    >>> display = DeferralDisplay([100, 200], [100, 190], [0.97, 0.91], 0.95, 0.5).plot()
    >>> display.line_.get_xdata(), display.line_.get_ydata()
    (array([0.5, 1. ]), array([1.  , 0.95]))
    """

    def __init__(
        self,
        n_answered: ArrayLike,
        n_agreed: ArrayLike,
        lower_bound: ArrayLike,
        agreement: float | None = None,
        coverage: float = 0.0,
    ) -> None:
        self.n_answered = np.asarray(n_answered)
        self.n_agreed = np.asarray(n_agreed)
        self.lower_bound = np.asarray(lower_bound)
        self.agreement = agreement
        self.coverage = coverage
        if not len(self.n_answered) == len(self.n_agreed) == len(self.lower_bound) > 0:
            raise ValueError(
                "n_answered, n_agreed and lower_bound must have an entry for each threshold; "
                f"got {len(self.n_answered)}, {len(self.n_agreed)} and "
                f"{len(self.lower_bound)}."
            )

    @classmethod
    def from_estimator(cls, estimator: Estimator, *, ax: Axes = None) -> Self:
        """Draw the agreement that a fitted estimator has found at each threshold.

        Parameters
        ----------
        estimator : DeferringClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : DeferralDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator is no ``DeferringClassifier``.

        Examples
        --------
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklkl.distillation import DeferringClassifier, DistilledClassifier
        >>> from sklkl.inspection import DeferralDisplay
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> student = DistilledClassifier(GaussianNB())
        >>> model = DeferringClassifier(student, agreement=0.9, cv=0.5, random_state=0)
        >>> display = DeferralDisplay.from_estimator(model.fit(X / X.max(axis=0), y))
        >>> display.coverage == model.coverage_
        True
        """
        check_ax(ax)
        check_is_fitted(estimator)
        if not hasattr(estimator, "curve_"):
            raise TypeError(
                f"This {type(estimator).__name__} has no curve_; pass a DeferringClassifier."
            )
        curve = {name: v for name, v in estimator.curve_.items() if name != "threshold"}
        display = cls(**curve, agreement=estimator.agreement, coverage=estimator.coverage_)
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw agreement and bound against coverage.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : DeferralDisplay
            The display itself.
        """
        self.figure_, axes = axes_of(ax)
        (self.ax_,) = axes
        some = self.n_answered > 0
        coverage = self.n_answered[some] / self.n_answered[-1]
        share, bound = self.n_agreed[some] / self.n_answered[some], self.lower_bound[some]
        style = {"color": BLUE, "marker": "o"}
        (self.line_,) = self.ax_.plot(coverage, share, markerfacecolor="white", **style)
        self.bound_ = self.ax_.fill_between(coverage, bound, share, color=BLUE, alpha=0.2)
        self.agreement_ = self.chosen_ = None
        if self.agreement is not None:
            self.agreement_ = self.ax_.axhline(
                self.agreement, color=VERMILLION, linestyle="--", linewidth=1, zorder=1
            )
        if self.coverage > 0.0:
            at = np.argmin(np.abs(coverage - self.coverage))
            (self.chosen_,) = self.ax_.plot(coverage[at], share[at], zorder=3, **style)
        self.ax_.set_xlim(0.0, 1.0)
        self.ax_.set_xlabel("share of rows answered")
        self.ax_.set_ylabel("share of these that agree")
        self.ax_.set_title(f"the student answers {self.coverage:.0%}", fontsize="medium")
        return self
