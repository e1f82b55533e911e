"""Results that consist of several numbers."""

from dataclasses import fields


class NumbersRepr:
    """Base class of result dataclasses: a repr with six digits of every field."""

    def __repr__(self):
        values = (f"{f.name}={getattr(self, f.name):.6g}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(values)})"
