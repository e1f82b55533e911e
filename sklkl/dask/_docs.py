"""Docstrings of what takes collections, made from those of what it takes the place of."""

import re
from inspect import cleandoc


def on_collections(plain):
    """Return the docstring of a plain function or method, for collections, too."""
    return (
        (plain.__doc__ or "")
        .replace("array-like of", "Dask collection or array-like of")
        .replace("ndarray of", "array, or data frame, of")
        .replace("sklkl.metrics import", "sklkl.dask import")
    )


def sections_of(plain):
    """Return what the docstring of a plain class says of its parameters and attributes."""
    _, _, sections = cleandoc(plain.__doc__ or "").partition("Parameters\n----------\n")
    return sections.partition("See Also\n")[0]


def entries_of(plain, *names):
    """Return what the docstring of a plain class says of some parameters or attributes."""
    doc = cleandoc(plain.__doc__ or "")
    entries = (re.search(rf"^{name} : .*(\n    .*)*", doc, re.MULTILINE) for name in names)
    return "\n".join(entry[0] for entry in entries if entry)  # no docstrings under -OO
