"""Types in the signatures of public functions and methods.

scikit-learn, SciPy and matplotlib have no type hints: what comes from there is ``Any``, under
a name that tells what is meant.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Floats: TypeAlias = NDArray[np.floating[Any]]
# One distribution, and several, as lists of numbers.
Vector: TypeAlias = Sequence[float]
Rows: TypeAlias = Sequence[Vector]
# A float for vectors, otherwise an array.
RowValues: TypeAlias = Floats | Any
# One of these, which editors offer, or another spelling, as "kl_divergence". Names are often
# variables, so that type checkers take any string.
DivergenceName: TypeAlias = (
    Literal[
        "kl",
        "reverse_kl",
        "jeffreys",
        "jensen_shannon",
        "jensen_shannon_distance",
        "renyi",
        "alpha",
        "chi2",
        "hellinger",
        "total_variation",
        "bhattacharyya",
        "cross_entropy",
        "squared_error",
        "ranked_probability",
    ]
    | str
)
OnZero: TypeAlias = Literal["clip", "inf", "raise"]
DivergenceParams: TypeAlias = Mapping[str, float]
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None
Rest: TypeAlias = Literal["uniform", "bucket", "renormalize"]
CountsEstimator: TypeAlias = Literal["plugin", "miller-madow", "zhang-grabchak"]
EntropyEstimator: TypeAlias = Literal["plugin", "miller-madow", "grassberger"]
SecondOrderEstimator: TypeAlias = Literal["plugin", "miller-madow"]
SampledEstimator: TypeAlias = Literal["k1", "k2", "k3"]
CovarianceType: TypeAlias = Literal["auto", "diag", "full"]
IntervalMethod: TypeAlias = Literal["delta", "bootstrap"]
BinStrategy: TypeAlias = Literal["variance", "quantile", "uniform"]
ProbaMethod: TypeAlias = Literal["predict_proba", "predict_log_proba"]
Pooling: TypeAlias = Literal["arithmetic", "geometric"]
Reference: TypeAlias = Literal["teacher", "y"]
Solver: TypeAlias = Literal["auto", "lbfgs", "proximal"]
RandomState: TypeAlias = int | np.random.RandomState
Estimator: TypeAlias = Any
# An array-like, a sparse matrix, a data frame, or a list of whatever a model predicts from.
Samples: TypeAlias = Any
# A number of folds, a splitter, or an iterable of pairs of indices.
Folds: TypeAlias = Any
# Axes of matplotlib, or a sequence of them.
Axes: TypeAlias = Any


def keeps_type(decorator: Callable[[Any], Any]) -> Callable[[T], T]:
    """Return a decorator of scikit-learn as one after which methods keep their signatures."""
    return decorator
