"""What functions return that have several numbers to tell."""

from dataclasses import fields


class NumbersRepr:
    """Shows the fields of a dataclass with six digits."""

    def __repr__(self):
        values = (f"{f.name}={getattr(self, f.name):.6g}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(values)})"
