"""Attributes that are computed when they are first asked for."""


class lazy:
    """Decorator of a method: its value is computed once for an instance, and kept.

    As ``functools.cached_property``, which before Python 3.12 holds one lock for all instances
    of a class while it computes. Fits wait for tasks of Dask there, and tasks may fit: those
    that kept all threads busy waited for the lock, and its holder for a thread, for ever.
    """

    def __init__(self, function):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = vars(instance)[self.name] = self.function(instance)
        return value
