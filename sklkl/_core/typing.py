"""Types in the signatures of public functions and methods.

scikit-learn, SciPy and matplotlib have no type hints: what comes from there is ``Any``, under
a name that tells what is meant.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
# A float for vectors, otherwise an array.
RowValues: TypeAlias = Floats | Any
OnZero: TypeAlias = Literal["clip", "inf", "raise"]
DivergenceParams: TypeAlias = Mapping[str, float]
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None
Solver: TypeAlias = Literal["auto", "lbfgs", "proximal"]
RandomState: TypeAlias = int | np.random.RandomState
Estimator: TypeAlias = Any
# An array-like, a sparse matrix, a data frame, or a list of whatever a model predicts from.
Samples: TypeAlias = Any
# A number of folds, a splitter, or an iterable of pairs of indices.
Folds: TypeAlias = Any
# Axes of matplotlib, or a sequence of them.
Axes: TypeAlias = Any
