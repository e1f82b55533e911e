"""A picture of what a distillation tried, and what each value of a parameter gave at best."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklkl._core.parameters import same
from sklkl._core.typing import Axes, Estimator
from sklkl.inspection._drawing import (
    VERMILLION,
    axes_of,
    check_ax,
    inches_for,
    inches_of,
    number,
    style_of,
    text_of,
    thinned,
    without_nan,
)


class TuningDisplay:
    r"""The least loss that each value of each tuned parameter led to, with its standard error.

    Use ``from_estimator`` to make one. A point stands for the best of the candidates that have
    the value, a bar on both sides for the standard error of its loss; the chosen values are
    filled. The line is at the least loss of all.

    Parameters
    ----------
    params : list of dict
        The candidates: values by the name of the parameter.
    mean_loss : array-like of shape (n_candidates,)
        Their mean losses, in nats.
    standard_error : array-like of shape (n_candidates,)
        The standard errors of these.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    values_ : list of tuple
        Name and value of each point.
    losses_ : ndarray of shape (n_values,)
        The least loss of each.
    containers_ : list of matplotlib ErrorbarContainer
        The points of each parameter.
    least_ : matplotlib Line2D
        The line at the least loss.

    See Also
    --------
    sklkl.distillation.DistilledClassifier : The estimator with a ``tune``.
    TemperatureDisplay : Losses and accuracies over one parameter, on folds of its own.

    Notes
    -----
    Candidates share their samples, so that most of the error is common to all: a difference
    of two losses is known better than each of them.

    Examples
    --------
    >>> from sklkl.inspection import TuningDisplay
    >>> params = [{"temperature": 1.0}, {"temperature": 2.0}, {"temperature": 5.0}]
    >>> display = TuningDisplay(params, [0.4, 0.3, 0.35], [0.02, 0.01, 0.02]).plot()
    >>> display.values_[1], display.losses_.min()
    (('temperature', 2.0), np.float64(0.3))
    """

    def __init__(
        self, params: list[dict[str, Any]], mean_loss: ArrayLike, standard_error: ArrayLike
    ) -> None:
        self.params = params
        self.mean_loss = without_nan(mean_loss, "mean_loss")
        self.standard_error = np.asarray(standard_error)
        if not len(params) == len(self.mean_loss) == len(self.standard_error) > 0:
            raise ValueError(
                "params, mean_loss and standard_error must have an entry for each candidate; "
                f"got {len(params)}, {len(self.mean_loss)} and {len(self.standard_error)}."
            )

    @classmethod
    def from_estimator(cls, estimator: Estimator, *, ax: Axes = None) -> Self:
        """Draw what a fitted estimator has tried.

        Parameters
        ----------
        estimator : DistilledClassifier
            Fitted with ``tune``.
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : TuningDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator was fitted without ``tune``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklkl.distillation import DistilledClassifier
        >>> from sklkl.inspection import TuningDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> model = DistilledClassifier(GaussianNB(), tune={"temperature": [1, 2, 4]})
        >>> TuningDisplay.from_estimator(model.fit(X, y)).values_
        [('temperature', 1), ('temperature', 2), ('temperature', 4)]
        """
        check_ax(ax)
        check_is_fitted(estimator)
        results = getattr(estimator, "tuning_results_", None)
        if results is None:
            raise ValueError(
                f"This {type(estimator).__name__} was fitted without tune, so that there is "
                "nothing to compare; set tune=True and fit it again."
            )
        return cls(**results).plot(ax=ax)

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the least loss of each value.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : TuningDisplay
            The display itself.
        """
        best = int(np.argmin(self.mean_loss))
        names = dict.fromkeys(name for params in self.params for name in params)
        points = {
            name: sorted(self._rows(name), key=lambda i: _order(self.params[i][name]))
            for name in names
        }
        self.values_ = [(name, self.params[i][name]) for name in names for i in points[name]]
        self.losses_ = np.array([self.mean_loss[i] for rows in points.values() for i in rows])
        labels = [_label(name, value) for name, value in self.values_]
        width = min(max(6.4, 1.0 + 0.22 * len(labels)), 14.0)
        height = 3.8 + inches_for(labels)
        self.figure_, (self.ax_,) = axes_of(ax, figsize=(width, height))
        self.containers_, chosen, end = [], [], 0
        for j, rows in enumerate(map(np.array, points.values())):
            at = end + np.arange(len(rows))
            end += len(rows)
            style = style_of(j, self.ax_)
            self.containers_.append(
                self.ax_.errorbar(
                    at,
                    self.mean_loss[rows],
                    self.standard_error[rows],
                    markerfacecolor=self.ax_.get_facecolor(),
                    linestyle="",
                    capsize=2,
                    **style,
                )
            )
            is_best = rows == best
            self.ax_.plot(at[is_best], self.mean_loss[rows][is_best], zorder=3, **style)
            chosen += at[is_best].tolist()
        self.least_ = self.ax_.axhline(
            self.mean_loss.min(), color=VERMILLION, linestyle="--", linewidth=1, zorder=1
        )
        places, _ = thinned(labels, inches_of(self.ax_)[0])
        # The chosen values have their labels, also where there is no room for all.
        step = places[1] - places[0] if len(places) > 1 else 1
        places = [i for i in places if min(abs(i - np.array(chosen))) >= step]
        places = sorted([*places, *chosen])
        texts = [labels[i] for i in places]
        self.ax_.set_xticks(places, texts, rotation=90, fontsize="small")
        self.ax_.set_title(
            f"least loss {number(self.mean_loss.min())} nats", fontsize="medium"
        )
        self.ax_.set_ylabel("out-of-fold loss in nats")
        return self

    def _rows(self, name):
        """Return the best candidate of each value of a parameter."""
        rows = []
        for i in np.argsort(self.mean_loss, kind="stable"):
            params = self.params[i]
            if name in params and not any(
                _is_point(params[name], self.params[k][name]) for k in rows
            ):
                rows.append(i)
        return rows


def _is_point(a, b):
    """Return whether two values are one point: 1 and 1.0 may be two, as of max_features."""
    return type(a) is type(b) and same(a, b)


def _order(value):
    """Sort None, then numbers by size, then all else from the least loss on."""
    if value is None:
        return -np.inf
    return value if isinstance(value, Real | np.bool_) else np.inf


def _label(name, value):
    """Return the label of a point."""
    short = name.rpartition("__")[2].replace("_", " ")
    return text_of(f"{short} {_text(short, value)}")


def _text(name, value):
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None:
        return "no" if name == "cross fit" else "none"
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, Real) else type(value).__name__
