"""Parts that the pictures share: axes to draw on, colours, hatches, units and numbers as text.

The colours are from the palette of Okabe and Ito (2008, Color Universal Design), which
colour-blind readers tell apart; those that stand side by side differ in lightness, too, and
have hatches or markers of their own, so that nothing is lost in grey.
"""

import numpy as np

from sklkl._core.arrays import as_floating

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
# One of each for a class, over and over; neighbours differ in lightness. None is the colour of
# text, black or, where the style of matplotlib is dark, white.
COLORS = [BLUE, ORANGE, None, "#56B4E9", GREEN, "#CC79A7", VERMILLION]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
UNITS = {None: "nats", 2: "bits", 10: "bans"}
# Of more bars some are left out, or summed up.
MOST_BARS = 16
# Longer names lose their middle, since those of one kind often differ at the end.
MOST_CHARACTERS = 30
# More labels than one per so many inches would be written one over the other.
INCHES_PER_LABEL = 0.13
# Below the axes, since data may be anywhere in them: the pad, in units of the font size, is
# the height of tick labels and of the label of the axis.
LEGEND_BELOW = {
    "loc": "upper center",
    "bbox_to_anchor": (0.5, 0.0),
    "borderaxespad": 3.7,
    "columnspacing": 1.0,
    "frameon": False,
}
INCHES_PER_CHARACTER = 0.08
INCHES_OF_HANDLE = 0.3
GAP = 0.1


def ink_of(ax):
    """Return the colour of text on axes."""
    return ax.title.get_color()


def edge_of(ax):
    """Return the style of the edges of bars."""
    return {"edgecolor": ink_of(ax), "linewidth": 0.6}


def style_of(j, ax):
    """Return colour and marker of the j-th of what is drawn on axes."""
    return {
        "color": COLORS[j % len(COLORS)] or ink_of(ax),
        "marker": MARKERS[j % len(MARKERS)],
    }


def unit_of(base):
    """Return the name of the unit of a divergence."""
    return UNITS.get(base, f"units of log {base:g}" if base else None)


def labels_of(data):
    """Return the labels of the rows of a data frame or a Series, otherwise None."""
    index = getattr(data, "index", None)
    return None if index is None or callable(index) else [str(name) for name in index]


def text_of(name):
    """Return a name as matplotlib shows it as it is.

    A dollar sign would begin a formula, and a legend leaves out what begins with "_".
    """
    text = str(name)
    if len(text) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        text = f"{text[: half - 1]}…{text[-half:]}"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def texts_of(names, kept, others=()):
    """Return the names, or positions, of what is drawn, and of others, drawn as one."""
    texts = [text_of(i if names is None else names[i]) for i in kept]
    return [*texts, f"{len(others)} others"] if len(others) else texts


def thinned(texts, inches):
    """Return the positions and labels of ticks, as many as there is room for."""
    step = int(np.ceil(len(texts) * INCHES_PER_LABEL / inches))
    return np.arange(0, len(texts), step), texts[::step]


def largest(contributions, most):
    """Return which contributions to draw, and which to draw as the sum of the others.

    All in their order, if there are no more than ``most``; otherwise the largest first.
    """
    n = len(contributions)
    if n <= most:
        return np.arange(n), np.arange(0)
    order = np.argsort(-np.abs(contributions), kind="stable")
    kept = order[: most - 1]
    return kept[np.argsort(-contributions[kept], kind="stable")], order[most - 1 :]


def values_of(values, kept, others):
    """Return the values of what is drawn; the last is the sum of others, if there are any."""
    return np.append(values[kept], values[others].sum()) if len(others) else values[kept]


def number(value, sign="-"):
    """Write a number with three decimals, or two digits if these would all be 0."""
    spec = ".3f" if value == 0 or abs(value) >= 0.001 else ".2g"
    return f"{value:{sign}{spec}}".replace("-", "−").replace("inf", "∞")


def signed(value):
    """Write a number with its sign, unless it is 0."""
    return number(value, "+") if value else "0"


def inches_of(ax):
    """Return the width and the height of the axes."""
    return ax.bbox.width / ax.figure.dpi, ax.bbox.height / ax.figure.dpi


def inches_for(texts):
    """Return the length of the longest text, or nearly, with a small gap."""
    lines = (line for text in texts for line in text.split("\n"))
    return INCHES_PER_CHARACTER * max(map(len, lines)) + GAP


def columns_for(names, inches):
    """Return how many columns a legend with these names has room for."""
    return max(1, min(len(names), 5, int(inches / (inches_for(names) + INCHES_OF_HANDLE))))


def rotation_for(ax, texts, share=1.0):
    """Return how to rotate texts side by side, so that they fit into the axes.

    ``share`` is the part of the axes' width that will be left.
    """
    return 0 if inches_for(texts) - GAP <= share * inches_of(ax)[0] / len(texts) else 90


def margin_for(length, inches):
    """Return the margin, relative to the bars, that leaves room for labels on both ends."""
    return length / max(inches - 2 * length, length / 2)


def to_the_edge(values):
    """Return lengths of bars: what is infinite longer than all others."""
    finite = np.isfinite(values)
    longest = np.abs(values[finite]).max(initial=0.0)
    return np.where(finite, values, 1.5 * longest or 1.0)


def signed_style(values, ax):
    """Return the style that distinguishes bars of negative values."""
    negative = values < 0
    return {
        "color": np.where(negative, GREEN, VERMILLION),
        "hatch": np.where(negative, "..", "\\\\").tolist(),
        "alpha": 0.75,
        **edge_of(ax),
    }


def check_ax(ax, n=1):
    """Refuse what nothing can be drawn on, before anything is computed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib; install it with: pip install matplotlib"
        ) from error
    try:
        axes = np.ravel(np.asarray(ax, dtype=object))
    except Exception:  # whatever refuses to be an array may raise
        axes = []
    if ax is not None and (len(axes) != n or not all(isinstance(a, plt.Axes) for a in axes)):
        raise ValueError(f"ax must be {n} matplotlib Axes, or None; got {ax!r}.")
    return plt


def without_nan(values, name):
    """Return numbers as an array; refuse NaN, which would be taken for the least of them."""
    values = as_floating(values, name)
    if (missing := np.argwhere(np.isnan(values))).size:
        raise ValueError(
            f"{name} holds NaN in row {missing[0, 0]}; leave out what is unknown."
        )
    return values


def axes_of(ax, n=1, **layout):
    """Return the figure, and an array of ``n`` axes: ``ax``, or axes of a new figure.

    ``layout`` holds arguments of ``pyplot.subplots`` for a new figure.
    """
    plt = check_ax(ax, n)
    if ax is None:
        _, ax = plt.subplots(**{"layout": "constrained", **layout})
    axes = np.ravel(np.asarray(ax, dtype=object))
    return axes[0].figure, axes
