"""What is written in pictures."""


def texts(ax):
    """Return the texts within axes, as of bars."""
    return [text.get_text() for text in ax.texts]


def ticks(axis):
    """Return the labels of the ticks of an axis."""
    return [label.get_text() for label in axis.get_ticklabels()]


def legend(ax):
    """Return the names in the legend of axes."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def draw(display):
    """Draw the figure of a display, as saving it does; return the display."""
    display.figure_.canvas.draw()
    return display
