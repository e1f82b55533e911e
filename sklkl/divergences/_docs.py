"""Text that the docstrings of divergences share, put in for ``%(name)s``."""

from sklkl._core.docs import documented as documented_with

SHARED = {
    "pair": """p, q : array-like of shape (..., n_outcomes)
        Distributions along ``axis``; the other axes broadcast. Each row must sum to 1
        within 3.5e-4 and is normalised exactly; entries down to -1e-6 count as 0. Data
        frames and Series are matched by the names of their outcomes and rows.""",
    "axis": """axis : int, default=-1
        The axis along which ``p`` and ``q`` are distributions.""",
    "base": """base : float, default=None
        Unit of the result: None for nats, 2 for bits.""",
    "array": """A float for two 1-D inputs; otherwise an array, float32 if no input is
        wider, else float64.""",
    "bad_row": """If a row is not a probability vector; the message names the argument and the
        row. If both arguments have names, and these differ.""",
}

documented = documented_with(**SHARED)
