"""A picture of the divergences of many distributions, or of all of two outcomes."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from math import floor, log10
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.parameters import check, integer
from sklkl._core.typing import Axes, DivergenceName, DivergenceParams, Floats
from sklkl.divergences import pairwise_divergences
from sklkl.divergences._registry import find
from sklkl.inspection._drawing import (
    axes_of,
    check_ax,
    inches_for,
    inches_of,
    labels_of,
    rotation_for,
    texts_of,
    thinned,
    unit_of,
)

MOST_ANNOTATED = 12
COLORBAR_LEAVES = 0.55  # of the width of the axes, with room for labels
CMAP = "cividis"
# Steep corners of a surface, or a few large cells, would leave no colours for the rest.
SHARE_IN_LEVELS = 0.97
# Where the upper end is so many times the middle, levels are 1, 2, 5, 10, ...
STEEP = 4
MOST_LEVELS = 12
EXTEND = {
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}


@dataclass(eq=False, repr=False)
class DivergenceMapDisplay:
    r"""Divergences of every row of one matrix from every row of another, as colours.

    Use ``from_distributions`` for a heat map of given distributions, or ``from_divergence``
    for the surface of a divergence over all pairs of distributions of two outcomes.

    Parameters
    ----------
    divergences : ndarray of shape (n_rows, m_rows)
        The divergence of row i of P and row j of Q.
    divergence : str, default="kl"
        The name of the divergence, as for ``pairwise_divergences``.
    divergence_params : dict, default=None
        Parameters of the divergence, as ``{"order": 2}``.
    base : float, default=None
        Unit of the divergence, if it has any: None for nats, 2 for bits.
    row_names, column_names : sequence of str, default=None
        Names of the rows of P and of Q; 0, 1, ... if None.
    points : ndarray of shape (n_rows,), default=None
        Of a surface: the probabilities of the second outcome, in P and in Q.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    image_ : matplotlib AxesImage or QuadContourSet
        The heat map, or the filled contours.
    colorbar_ : matplotlib Colorbar
        The colour bar.
    texts_ : list of matplotlib Text
        Values in the cells, row by row, of at most 12 x 12; or at the contour lines.
    lines_ : QuadContourSet or None
        The contour lines.
    diagonal_ : matplotlib Line2D or None
        Where P = Q, if the divergence is 0 there.

    See Also
    --------
    sklkl.divergences.pairwise_divergences : The numbers.
    DivergenceDisplay : Two distributions.

    Examples
    --------
    >>> from sklkl.inspection import DivergenceMapDisplay
    >>> display = DivergenceMapDisplay.from_distributions([[0.5, 0.5], [0.9, 0.1]], base=2)
    >>> [text.get_text() for text in display.texts_]
    ['0.000', '0.737', '0.531', '0.000']
    >>> display.colorbar_.ax.get_ylabel()
    'KL divergence in bits'
    """

    divergences: Floats
    _: KW_ONLY
    divergence: DivergenceName = "kl"
    divergence_params: DivergenceParams | None = None
    base: float | None = None
    row_names: Sequence[str] | None = None
    column_names: Sequence[str] | None = None
    points: Floats | None = None

    @classmethod
    def from_distributions(
        cls,
        P: ArrayLike,
        Q: ArrayLike | None = None,
        *,
        divergence: DivergenceName = "kl",
        divergence_params: DivergenceParams | None = None,
        base: float | None = None,
        row_names: Sequence[str] | None = None,
        column_names: Sequence[str] | None = None,
        ax: Axes = None,
    ) -> Self:
        """Compute the divergences of all pairs of rows and draw a heat map.

        Infinite divergences are hatched cells, and no part of the scale of colours. Of more
        than 12 x 12 cells, which have no room for numbers, the largest 3 % share a colour, and
        where all but divergences of 0, as of rows from themselves, are in the upper half of
        the scale, it begins with the least of them; arrows on the colour bar tell.

        Parameters
        ----------
        P : array-like of shape (n_rows, n_outcomes), or data frame
            Distributions, one per row. Each must sum to 1 within 3.5e-4.
        Q : array-like of shape (m_rows, n_outcomes), or data frame, default=None
            Other distributions; ``P`` itself if None.
        divergence : str, default="kl"
            The name of the divergence, as for ``pairwise_divergences``.
        divergence_params : dict, default=None
            Parameters of the divergence, as ``{"order": 2}``.
        base : float, default=None
            Unit of the divergence: None for nats, 2 for bits. For divergences with a unit
            only.
        row_names : sequence of str of length n_rows, default=None
            Names of the rows of P. Its index, if it is a data frame, otherwise 0, 1, ...
        column_names : sequence of str of length m_rows, default=None
            Names of the rows of Q, in the same way; the names of P if there is no Q.
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : DivergenceMapDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such divergence or parameter, if a row is not a probability vector,
            or if names do not match the number of rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklkl.inspection import DivergenceMapDisplay
        >>> P = pd.DataFrame([[0.5, 0.5], [1.0, 0.0]], index=["fair", "heads"])
        >>> display = DivergenceMapDisplay.from_distributions(P)
        >>> display.divergences.round(3)
        array([[0.   ,   inf],
               [0.693, 0.   ]])
        >>> [label.get_text() for label in display.ax_.get_xticklabels()]
        ['fair', 'heads']
        """
        check_ax(ax)
        options = _options(divergence, divergence_params, base)
        divergences = pairwise_divergences(P, Q, **options)
        if row_names is None:
            row_names = labels_of(P)
        if column_names is None:
            column_names = row_names if Q is None else labels_of(Q)
        names = {"row_names": row_names, "column_names": column_names}
        for (name, given), n in zip(names.items(), divergences.shape, strict=True):
            if given is not None and len(given) != n:
                raise ValueError(f"{name} has {len(given)} names, but there are {n} rows.")
        return cls(divergences, **options, **names).plot(ax=ax)

    @classmethod
    def from_divergence(
        cls,
        divergence: DivergenceName = "kl",
        *,
        divergence_params: DivergenceParams | None = None,
        base: float | None = None,
        n_points: int = 200,
        ax: Axes = None,
    ) -> Self:
        """Draw the surface of a divergence over all pairs of distributions of two outcomes.

        The axes are the probabilities p and q of the second outcome in P = (1 - p, p) and
        Q = (1 - q, q), between 0 and 1. Where a few per cent of the surface, in the corners,
        are much higher than the rest, they share one colour.

        Parameters
        ----------
        divergence : str, default="kl"
            The name of the divergence, as for ``pairwise_divergences``.
        divergence_params : dict, default=None
            Parameters of the divergence, as ``{"order": 2}``.
        base : float, default=None
            Unit of the divergence: None for nats, 2 for bits. For divergences with a unit
            only.
        n_points : int, default=200
            Number of values of p and of q: the middles of as many parts of (0, 1).
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : DivergenceMapDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such divergence or parameter, or ``n_points`` is no integer above 1.

        Examples
        --------
        >>> from sklkl.inspection import DivergenceMapDisplay
        >>> display = DivergenceMapDisplay.from_divergence("kl", base=2, n_points=5)
        >>> display.points, display.divergences[2].round(3)
        (array([0.1, 0.3, 0.5, 0.7, 0.9]), array([0.737, 0.126, 0.   , 0.126, 0.737]))
        """
        check_ax(ax)
        check("n_points", n_points, integer(2))
        points = (np.arange(n_points) + 0.5) / n_points
        P = np.column_stack([1 - points, points])
        options = _options(divergence, divergence_params, base)
        return cls(pairwise_divergences(P, **options), points=points, **options).plot(ax=ax)

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the heat map, or the surface.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new ones if None.

        Returns
        -------
        display : DivergenceMapDisplay
            The display itself.
        """
        n, m = (0, 0) if self.points is not None else self.divergences.shape
        rows, columns = (
            texts_of(names, range(k)) if k else [""]
            for names, k in ((self.row_names, n), (self.column_names, m))
        )
        width, height = (min(max(5.0, 2.0 + 0.55 * k), 9.0) for k in (m, n))
        size = (width + 0.3 + inches_for(rows), height - 0.7 + inches_for(columns))
        self.figure_, (self.ax_,) = axes_of(ax, figsize=size, layout="compressed")
        self.lines_ = self.diagonal_ = None
        options = {"label": self._label(), "format": "%g"}
        if self.points is None:
            options["extend"] = self._draw_heat_map(rows, columns)
        else:
            self._draw_surface()
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, **options)
        return self

    def _label(self):
        divergence = find(self.divergence)
        label = divergence.title.replace("Kullback-Leibler", "KL")  # a short axis
        if self.divergence_params:
            params = self.divergence_params.items()
            own = ", ".join(f"{key} {value:g}" for key, value in params)
            label += f" ({own.replace('inf', '∞')})"
        return f"{label} in {unit_of(self.base)}" if divergence.has_unit else label

    def _scale(self):
        """Return the ends of the scale of colours."""
        values = self.divergences[np.isfinite(self.divergences)]
        least, most = values.min(initial=np.inf), values.max(initial=0.0)
        low = least if find(self.divergence).name == "cross_entropy" else 0.0
        above = values[values > 0.0]
        if max(self.divergences.shape) > MOST_ANNOTATED and len(above) > 0:
            most = np.quantile(above, SHARE_IN_LEVELS)
            if most / 2 < above.min() < (1.0 - 1e-6) * most:  # not only by rounding
                low = above.min()
        return (low, most) if most > low else (low, low + 1.0)

    def _draw_heat_map(self, rows, columns):
        """Draw it, and return the ends of the scale beyond which there are cells."""
        ax, values = self.ax_, self.divergences
        finite = np.isfinite(values)
        low, high = self._scale()
        # What is infinite is left out, so that the hatched background shows.
        ax.patch.set(facecolor="0.85", edgecolor="0.6", hatch="////", linewidth=0)
        self.image_ = ax.imshow(
            np.ma.array(values, mask=~finite),
            cmap=CMAP,
            vmin=low,
            vmax=high,
            interpolation="nearest",
            aspect="equal" if max(values.shape) <= 3 * min(values.shape) else "auto",
        )
        self.texts_ = []
        if max(values.shape) <= MOST_ANNOTATED:
            decimals = 3 if max(values.shape) <= MOST_ANNOTATED // 2 else 2
            texts = [_cell(value, decimals) for value in values.ravel().tolist()]
            # Characters are about as wide as 0.7 of the font size.
            room = COLORBAR_LEAVES * inches_of(ax)[0] / values.shape[1]
            size = min(9.0, max(4.0, 72 * room / max(map(len, texts)) / 0.7))
            for (i, j), text in zip(np.ndindex(values.shape), texts, strict=True):
                self.texts_.append(self._annotate(i, j, text, size))
        width, height = inches_of(ax)
        places, columns = thinned(columns, COLORBAR_LEAVES * width)
        ax.set_xticks(places, columns, rotation=rotation_for(ax, columns, COLORBAR_LEAVES))
        ax.set_yticks(*thinned(rows, height))
        ax.set(xlabel="Q", ylabel="P")
        ends = (values[finite] < low).any(), (values[finite] > high).any()
        return EXTEND[ends]

    def _annotate(self, i, j, text, fontsize):
        style = {"ha": "center", "va": "center", "fontsize": fontsize}
        value = self.divergences[i, j]
        if np.isinf(value):
            style["fontsize"] *= 1.3  # its sign is small
            box = {"facecolor": "0.85", "edgecolor": "none", "pad": 1.0}
            return self.ax_.text(j, i, text, color="black", bbox=box, **style)
        color = _readable_on(self.image_.cmap(self.image_.norm(value)))
        return self.ax_.text(j, i, text, color=color, **style)

    def _draw_surface(self):
        from matplotlib.colors import BoundaryNorm

        ax, values, points = self.ax_, self.divergences, self.points
        levels = _levels(values)
        extend = "max" if values.max() > levels[-1] else "neither"
        surface = points, points, values.T
        # A colour for each level, however they are spaced.
        norm = BoundaryNorm(levels, 256, extend=extend)
        self.image_ = ax.contourf(*surface, levels, norm=norm, cmap=CMAP, extend=extend)
        inner = [level for level in levels if values.min() < level < values.max()]
        self.texts_ = []
        if inner:
            colors = [_readable_on(self.image_.cmap(norm(level))) for level in inner]
            self.lines_ = ax.contour(*surface, inner, colors=colors, linewidths=0.6)
            self.texts_ = list(ax.clabel(self.lines_, fontsize="small", fmt="%g"))
        if values.diagonal().max() < 1e-12:
            (self.diagonal_,) = ax.plot([0, 1], [0, 1], color="white", linestyle="--")
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="p, of P = (1 − p, p)",
            ylabel="q, of Q = (1 − q, q)",
        )


def _options(divergence, divergence_params, base):
    """Return what names a divergence, in one spelling."""
    name = find(divergence).name
    return {"divergence": name, "divergence_params": divergence_params, "base": base}


def _cell(value, decimals):
    if value == 0 or 10.0**-decimals <= value < 100:
        return f"{value:.{decimals}f}"
    return (f"{value:.0f}" if 100 <= value < 1e5 else f"{value:.0e}").replace("inf", "∞")


def _readable_on(color):
    """Return black or white, whichever is read more easily on this colour."""
    red, green, blue, _ = color
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _levels(values):
    """Return round numbers that divide the surface into bands, most of them not narrow."""
    from matplotlib.ticker import MaxNLocator

    values = values[np.isfinite(values)]
    low, middle, top = np.quantile(values, [0.0, 0.5, SHARE_IN_LEVELS]).tolist()
    if not top > low + 1e-12:  # as Rényi's of order 0, which is 0
        return [low, low + 0.5, low + 1.0]
    if low < middle / 100 and top > STEEP * middle:
        exponents = range(floor(log10(middle)) - 1, floor(log10(top)) + 2)
        levels = [float(f"{m}e{e}") for e in exponents for m in (1, 2, 5)]
        last = next(x for x in levels if x >= top)
        levels = [x for x in levels if middle / 5 < x <= last]
        step = -(-len(levels) // MOST_LEVELS)
        return [0.0, *levels[::-step][::-1]]
    locator = MaxNLocator(11, steps=[1, 2, 2.5, 5, 10])
    return locator.tick_values(low if low > middle / 100 else 0.0, top).tolist()
