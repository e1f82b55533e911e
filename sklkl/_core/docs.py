"""Docstrings that share parts."""


def documented(**shared):
    """Return a decorator that fills ``%(name)s`` in docstrings from ``shared``."""

    def fill(thing):
        thing.__doc__ = thing.__doc__ and thing.__doc__ % shared  # None under python -OO
        return thing

    return fill
