"""The one mechanism that checks parameters: a value, its name, and the rule it obeys."""

from dataclasses import dataclass, replace
from numbers import Integral, Number, Real

import numpy as np


@dataclass(frozen=True)
class Rule:
    """A rule that the value of a parameter obeys.

    ``text`` is what messages say it must be; ``kind`` its type or types, where booleans are
    no numbers; ``good(value)`` is true of allowed values of this kind; ``words`` are values
    allowed besides, as "auto" or None, compared by type and value.
    """

    text: str
    kind: type | tuple = object
    good: object = lambda value: True
    words: tuple = ()

    def or_(self, *words):
        """Return the rule that allows ``words``, strings or None, besides."""
        text = " or ".join([*map(repr, words), self.text])
        return replace(self, text=text, words=(*self.words, *words))

    def allows(self, value):
        """Return whether a value obeys the rule."""
        if any(type(value) is type(word) and value == word for word in self.words):
            return True
        # NumPy's time spans count as integers.
        strange = isinstance(value, bool | np.bool_ | np.timedelta64) and self.kind is not bool
        return isinstance(value, self.kind) and not strange and bool(self.good(value))


def number(text, good):
    """Return the rule of a real number; ``good`` sees it as a float."""
    return Rule(text, Real, lambda value: good(_as_float(value)))


def _as_float(value):
    try:
        return float(value)  # a float32 would be compared with bounds that it cannot hold
    except OverflowError:
        return np.nan  # which no rule allows


def integer(low, high=np.inf):
    """Return the rule of an integer that is at least ``low`` and at most ``high``."""
    text = f"an integer >= {low}" if high == np.inf else f"an integer from {low} to {high}"
    return Rule(text, Integral, lambda v: low <= v <= high)


def one_of(names):
    """Return the rule of a string among ``names``."""
    names = tuple(names)
    return Rule(f"one of {names}", str, lambda v: v in names)


POSITIVE = number("a finite number > 0", lambda v: 0 < v < np.inf)
POSITIVE_OR_INFINITE = number("a number > 0, np.inf for no penalty", lambda v: v > 0)
NON_NEGATIVE = number("a finite number >= 0", lambda v: 0 <= v < np.inf)
FINITE = number("a finite number", lambda v: -np.inf < v < np.inf)
SHARE = number("a number from 0 to 1", lambda v: 0 <= v <= 1)
INNER_SHARE = number("a number between 0 and 1", lambda v: 0 < v < 1)
BOOLEAN = Rule("True or False", kind=(), words=(True, False, np.True_, np.False_))
N_JOBS = Rule(
    "an integer other than 0, of 32 bits", Integral, lambda v: v != 0 and abs(v) < 2**31
).or_(None)


def check(name, value, rule):
    """Refuse a value that breaks its rule; the message calls it ``name``."""
    if not rule.allows(value):
        raise ValueError(f"{name} must be {rule.text}; got {value!r}.")


def check_parameters(estimator, **rules):
    """Refuse parameters of an estimator that break their rules."""
    for name, rule in rules.items():
        check(name, getattr(estimator, name), rule)


def same(a, b):
    """Return whether two values are one object, or equal numbers or strings."""
    plain = Number | np.generic | str
    return a is b or (isinstance(a, plain) and isinstance(b, plain) and bool(a == b))
