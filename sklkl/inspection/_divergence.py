"""A picture of two distributions, and of the share of each outcome in their divergence."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.distributions import as_rows
from sklkl._core.names import is_named
from sklkl._core.parameters import check, integer
from sklkl._core.typing import Axes, Floats
from sklkl.divergences import kl_contributions, kl_divergence
from sklkl.inspection._drawing import (
    BLUE,
    INCHES_PER_LABEL,
    MOST_BARS,
    ORANGE,
    axes_of,
    check_ax,
    edge_of,
    inches_for,
    inches_of,
    ink_of,
    labels_of,
    largest,
    margin_for,
    number,
    rotation_for,
    signed,
    signed_style,
    text_of,
    texts_of,
    thinned,
    to_the_edge,
    unit_of,
    values_of,
)


@dataclass(eq=False, repr=False)
class DivergenceDisplay:
    r"""Two distributions side by side, and the summands of :math:`D(P \| Q)`.

    Use ``from_distributions`` to make one. It has two axes: the probabilities; and the
    signed contributions :math:`p_j \log (p_j / q_j)`, negative where Q gives an outcome more
    than P does. An infinite contribution is drawn as the longest bar, with its label. Of many
    outcomes those are drawn that contribute most, the largest contribution first, and the
    others as one, so that bars add up to the divergence.

    Parameters
    ----------
    p, q : ndarray of shape (n_outcomes,)
        The distributions.
    contributions : ndarray of shape (n_outcomes,)
        The summand of each outcome.
    divergence : float
        Their sum.
    base : float, default=None
        Unit of the contributions: None for nats, 2 for bits.
    outcomes : sequence of str of length n_outcomes, default=None
        Names of the outcomes; 0, 1, ... if None.
    names : pair of str, default=("P", "Q")
        Names of the distributions.
    n_outcomes : int, default=16
        How many bars to draw at most, the sum of the others being the last of them.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : ndarray of shape (2,) of matplotlib Axes
        Axes of the probabilities and of the contributions.
    p_bars_, q_bars_, contribution_bars_ : matplotlib BarContainer
        The bars.
    drawn_ : ndarray of shape (n_drawn,)
        The outcomes that have bars of their own, in the order of these.

    See Also
    --------
    sklkl.divergences.kl_contributions : The numbers.
    DivergenceMapDisplay : Divergences of many distributions.

    Examples
    --------
    >>> from sklkl.inspection import DivergenceDisplay
    >>> fair, biased = [0.5, 0.5], [0.9, 0.1]
    >>> display = DivergenceDisplay.from_distributions(
    ...     fair, biased, base=2, outcomes=["heads", "tails"], names=("fair", "biased")
    ... )
    >>> display.contributions.round(3), round(display.divergence, 3)
    (array([-0.424,  1.161]), 0.737)
    >>> display.ax_[1].get_title()
    'D(fair‖biased) = 0.737 bits'
    """

    p: Floats
    q: Floats
    contributions: Floats
    divergence: float
    _: KW_ONLY
    base: float | None = None
    outcomes: Sequence[str] | None = None
    names: Sequence[str] = ("P", "Q")
    n_outcomes: int = MOST_BARS

    @classmethod
    def from_distributions(
        cls,
        p: ArrayLike,
        q: ArrayLike,
        *,
        base: float | None = None,
        outcomes: Sequence[str] | None = None,
        names: Sequence[str] = ("P", "Q"),
        n_outcomes: int = MOST_BARS,
        ax: Axes = None,
    ) -> Self:
        r"""Compute the contributions to :math:`D(P \| Q)` and draw them.

        Parameters
        ----------
        p, q : array-like of shape (n_outcomes,)
            Distributions. Each must sum to 1 within 3.5e-4. Two pandas Series are matched by
            their labels.
        base : float, default=None
            Unit of the divergence: None for nats, 2 for bits.
        outcomes : sequence of str of length n_outcomes, default=None
            Names of the outcomes. The labels of a pandas Series ``p`` or else ``q`` if None,
            otherwise 0, 1, ...
        names : pair of str, default=("P", "Q")
            Names of the distributions.
        n_outcomes : int, default=16
            How many bars to draw at most. Of more outcomes all but the last are those whose
            contributions have the largest absolute values; the last is the sum of the others.
        ax : pair of matplotlib Axes, default=None
            Where to draw the probabilities and the contributions; new ones if None.

        Returns
        -------
        display : DivergenceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If p or q is not one probability vector, their labels differ, the names do not
            match their number, ``n_outcomes`` is no integer above 1, or ``ax`` is not a
            pair of axes.

        Examples
        --------
        >>> from sklkl.inspection import DivergenceDisplay
        >>> display = DivergenceDisplay.from_distributions([1, 0, 0], [0.5, 0.3, 0.2])
        >>> [float(bar.get_height()) for bar in display.p_bars_]
        [1.0, 0.0, 0.0]
        """
        check_ax(ax, 2)
        if len(names) != 2:
            raise ValueError(f"names must be a pair; got {names!r}.")
        check("n_outcomes", n_outcomes, integer(2))
        contributions = kl_contributions(p, q, base=base)
        if contributions.ndim != 1:
            raise ValueError(
                f"p and q must be one distribution each; got shapes {np.shape(p)} and "
                f"{np.shape(q)}."
            )
        (p_row, q_row), _ = as_rows({"p": p, "q": q})
        if outcomes is None:
            given = (labels_of(x) for x in (p, q) if is_named(x))
            outcomes = next(given, None)
        if outcomes is not None and len(outcomes) != len(contributions):
            raise ValueError(
                f"outcomes has {len(outcomes)} names, but there are {len(contributions)} "
                "outcomes."
            )
        return cls(
            p_row[0].astype(np.float64),
            q_row[0].astype(np.float64),
            contributions,
            kl_divergence(p, q, base=base),
            base=base,
            outcomes=outcomes,
            names=names,
            n_outcomes=n_outcomes,
        ).plot(ax=ax)

    def plot(self, *, ax: Axes = None) -> Self:
        """Draw the distributions and the contributions.

        Parameters
        ----------
        ax : pair of matplotlib Axes, default=None
            Where to draw the probabilities and the contributions; new ones if None.

        Returns
        -------
        display : DivergenceDisplay
            The display itself.
        """
        self.drawn_, others = largest(self.contributions, self.n_outcomes)
        p, q, contributions = (
            values_of(values, self.drawn_, others)
            for values in (self.p, self.q, self.contributions)
        )
        outcomes = texts_of(self.outcomes, self.drawn_, others)
        if len(others):
            outcomes[-1] = outcomes[-1].replace(" ", "\n")
        k = len(p)
        p_name, q_name = (text_of(name) for name in self.names)
        width = min(4.0 + 0.4 * k, 12.0)
        fits = inches_for(outcomes) <= 0.75 * width / k
        below = 0.0 if fits else inches_for(outcomes)
        size = (width, 4.6 + below)
        self.figure_, self.ax_ = axes_of(ax, 2, nrows=2, sharex=True, figsize=size)
        of_probability, of_contribution = self.ax_
        x, width = np.arange(k), 0.4
        self.p_bars_ = of_probability.bar(
            x - width / 2, p, width, label=p_name, color=BLUE, **edge_of(of_probability)
        )
        self.q_bars_ = of_probability.bar(
            x + width / 2,
            q,
            width,
            label=q_name,
            color=ORANGE,
            hatch="//",
            **edge_of(of_probability),
        )
        of_probability.set_ylabel("probability")
        of_probability.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=2,
            frameon=False,
        )

        heights = to_the_edge(contributions)
        self.contribution_bars_ = of_contribution.bar(
            x, heights, 2 * width, **signed_style(heights, of_contribution)
        )
        inches, height = inches_of(of_contribution)
        few = k * INCHES_PER_LABEL <= inches
        labels = [signed(c) if few or np.isinf(c) else "" for c in contributions]
        if any(labels):
            rotation = rotation_for(of_contribution, labels) if few else 0
            of_contribution.bar_label(
                self.contribution_bars_, labels, padding=2, rotation=rotation, fontsize="small"
            )
            length = inches_for(labels) if rotation else 0.2
            of_contribution.margins(y=margin_for(length, height - below / 2))
        of_contribution.axhline(0, color=ink_of(of_contribution), linewidth=0.8)
        places, outcomes = thinned(outcomes, inches)
        for ax in self.ax_:  # they need not share their x-axis
            ax.set_xticks(places, outcomes, rotation=rotation_for(ax, outcomes))
        of_contribution.set_ylabel(f"contribution in {unit_of(self.base)}")
        total = f"{number(self.divergence)} {unit_of(self.base)}"
        of_contribution.set_title(f"D({p_name}‖{q_name}) = {total}")
        return self
