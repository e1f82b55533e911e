"""The registered divergences with values of their parameters: what tests walk through."""

from dataclasses import dataclass
from inspect import Parameter
from itertools import product
from math import inf

from sklkl.divergences._registry import DIVERGENCES, find
from tests._support import reference

# Around and at the limits, where formulas change.
VALUES = {
    "weight": (0.5, 0.3, 0, 1),
    "order": (0, 0.3, 0.5, 1, 1 + 1e-9, 1 - 1e-12, 2, 5, inf),
    "alpha": (-1, 0, 1e-9, 0.5, 1 - 1e-12, 1, 2, 3),
}


@dataclass(frozen=True)
class Case:
    """A registered divergence with values of its parameters."""

    divergence: object
    parameters: dict

    def __call__(self, p, q, **options):
        return self.divergence(p, q, **self.parameters, **options)

    def __str__(self):
        values = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        name = self.divergence.spellings[1]
        return f"{name}({values})" if values else name

    @property
    def has_unit(self):
        return self.divergence.has_unit

    @property
    def kernel(self):
        return self.divergence.kernel(**self.parameters)

    @property
    def has_kernel(self):
        """The Rényi divergence of infinite order has none."""
        return inf not in self.parameters.values()

    def exact(self, p, q, **options):
        """Return the value for two rows in many digits."""
        oracle = getattr(reference, self.divergence.function.__name__)
        rows = (q, p) if self.divergence.swapped else (p, q)
        return oracle(*rows, **self.parameters, **options)


def cases_of(divergence, values=VALUES):
    """Yield a case for each of the ``values`` of its parameters; else for their defaults."""
    choices = [
        [(name, value) for value in values.get(name, (default,))]
        for name, default in divergence.parameters.items()
    ]
    for parameters in product(*choices):
        missing = [name for name, value in parameters if value is Parameter.empty]
        assert not missing, f"VALUES lacks {missing}, which {divergence.name} needs."
        yield Case(divergence, dict(parameters))


# Those of public functions; the others are the same with swapped arguments.
FUNCTIONS = [d for d in DIVERGENCES if not d.swapped]
CASES = {str(case): case for d in FUNCTIONS for case in cases_of(d)}


def case(name, **parameters):
    """Return the registered divergence of this name."""
    return Case(find(name), parameters)
