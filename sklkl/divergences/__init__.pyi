# Lists of numbers give a float, lists of lists an array. Of an array a type checker does not
# know the number of axes, so that its result may be either (``RowValues``).
# All else is annotated where it is defined; ``python -m mypy.stubtest`` compares.
from dataclasses import dataclass
from typing import overload

from numpy.typing import ArrayLike

from sklkl._core.typing import (
    CountsEstimator,
    CovarianceType,
    DivergenceName,
    DivergenceParams,
    EntropyEstimator,
    Floats,
    Rows,
    RowValues,
    SampledEstimator,
    SecondOrderEstimator,
    Vector,
)

__all__ = [
    "CountsInterval",
    "alpha_divergence",
    "bhattacharyya_distance",
    "chi2_divergence",
    "cross_entropy",
    "divergence_from_logits",
    "entropy",
    "entropy_from_counts",
    "entropy_interval_from_counts",
    "gaussian_kl_divergence",
    "hellinger_distance",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "jensen_shannon_from_counts",
    "jensen_shannon_interval_from_counts",
    "jensen_shannon_of_several",
    "kl_contributions",
    "kl_divergence",
    "kl_divergence_from_logits",
    "kl_from_counts",
    "kl_interval_from_counts",
    "pairwise_divergences",
    "population_stability_index",
    "ranked_probability",
    "renyi_divergence",
    "sampled_kl",
    "squared_error",
    "total_variation_distance",
]

@overload
def entropy(p: Vector, *, axis: int = -1, base: float | None = None) -> float: ...
@overload
def entropy(p: Rows, *, axis: int = -1, base: float | None = None) -> Floats: ...
@overload
def entropy(p: ArrayLike, *, axis: int = -1, base: float | None = None) -> RowValues: ...
@overload
def cross_entropy(
    p: Vector, q: Vector, *, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def cross_entropy(
    p: Rows, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def cross_entropy(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def kl_divergence(
    p: Vector, q: Vector, *, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def kl_divergence(
    p: Rows, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def kl_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def jeffreys_divergence(
    p: Vector, q: Vector, *, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def jeffreys_divergence(
    p: Rows, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def jeffreys_divergence(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def jensen_shannon_distance(
    p: Vector, q: Vector, *, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def jensen_shannon_distance(
    p: Rows, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def jensen_shannon_distance(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def bhattacharyya_distance(
    p: Vector, q: Vector, *, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def bhattacharyya_distance(
    p: Rows, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def bhattacharyya_distance(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def jensen_shannon_divergence(
    p: Vector, q: Vector, *, weight: float = 0.5, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def jensen_shannon_divergence(
    p: Rows, q: ArrayLike, *, weight: float = 0.5, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def jensen_shannon_divergence(
    p: ArrayLike,
    q: ArrayLike,
    *,
    weight: float = 0.5,
    axis: int = -1,
    base: float | None = None,
) -> RowValues: ...
@overload
def renyi_divergence(
    p: Vector, q: Vector, *, order: float, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def renyi_divergence(
    p: Rows, q: ArrayLike, *, order: float, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def renyi_divergence(
    p: ArrayLike, q: ArrayLike, *, order: float, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def alpha_divergence(
    p: Vector, q: Vector, *, alpha: float, axis: int = -1, base: float | None = None
) -> float: ...
@overload
def alpha_divergence(
    p: Rows, q: ArrayLike, *, alpha: float, axis: int = -1, base: float | None = None
) -> Floats: ...
@overload
def alpha_divergence(
    p: ArrayLike, q: ArrayLike, *, alpha: float, axis: int = -1, base: float | None = None
) -> RowValues: ...
@overload
def chi2_divergence(p: Vector, q: Vector, *, axis: int = -1) -> float: ...
@overload
def chi2_divergence(p: Rows, q: ArrayLike, *, axis: int = -1) -> Floats: ...
@overload
def chi2_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues: ...
@overload
def hellinger_distance(p: Vector, q: Vector, *, axis: int = -1) -> float: ...
@overload
def hellinger_distance(p: Rows, q: ArrayLike, *, axis: int = -1) -> Floats: ...
@overload
def hellinger_distance(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues: ...
@overload
def total_variation_distance(p: Vector, q: Vector, *, axis: int = -1) -> float: ...
@overload
def total_variation_distance(p: Rows, q: ArrayLike, *, axis: int = -1) -> Floats: ...
@overload
def total_variation_distance(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues: ...
@overload
def squared_error(p: Vector, q: Vector, *, axis: int = -1) -> float: ...
@overload
def squared_error(p: Rows, q: ArrayLike, *, axis: int = -1) -> Floats: ...
@overload
def squared_error(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues: ...
@overload
def ranked_probability(p: Vector, q: Vector, *, axis: int = -1) -> float: ...
@overload
def ranked_probability(p: Rows, q: ArrayLike, *, axis: int = -1) -> Floats: ...
@overload
def ranked_probability(p: ArrayLike, q: ArrayLike, *, axis: int = -1) -> RowValues: ...
@overload
def divergence_from_logits(
    p_logits: Vector,
    q_logits: Vector,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> float: ...
@overload
def divergence_from_logits(
    p_logits: Rows,
    q_logits: ArrayLike,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> Floats: ...
@overload
def divergence_from_logits(
    p_logits: ArrayLike,
    q_logits: ArrayLike,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> RowValues: ...
@overload
def kl_divergence_from_logits(
    p_logits: Vector,
    q_logits: Vector,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> float: ...
@overload
def kl_divergence_from_logits(
    p_logits: Rows,
    q_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> Floats: ...
@overload
def kl_divergence_from_logits(
    p_logits: ArrayLike,
    q_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    base: float | None = None,
) -> RowValues: ...
@overload
def sampled_kl(
    log_p: Vector,
    log_q: Vector,
    *,
    estimator: SampledEstimator = "k3",
    sample_weight: ArrayLike | None = None,
    axis: int = -1,
    base: float | None = None,
) -> float: ...
@overload
def sampled_kl(
    log_p: Rows,
    log_q: ArrayLike,
    *,
    estimator: SampledEstimator = "k3",
    sample_weight: ArrayLike | None = None,
    axis: int = -1,
    base: float | None = None,
) -> Floats: ...
@overload
def sampled_kl(
    log_p: ArrayLike,
    log_q: ArrayLike,
    *,
    estimator: SampledEstimator = "k3",
    sample_weight: ArrayLike | None = None,
    axis: int = -1,
    base: float | None = None,
) -> RowValues: ...
@overload
def kl_from_counts(
    p_counts: Vector,
    q_counts: Vector | None = None,
    *,
    q: Vector | None = None,
    estimator: CountsEstimator = "zhang-grabchak",
    base: float | None = None,
) -> float: ...
@overload
def kl_from_counts(
    p_counts: Rows,
    q_counts: ArrayLike | None = None,
    *,
    q: ArrayLike | None = None,
    estimator: CountsEstimator = "zhang-grabchak",
    base: float | None = None,
) -> Floats: ...
@overload
def kl_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike | None = None,
    *,
    q: ArrayLike | None = None,
    estimator: CountsEstimator = "zhang-grabchak",
    base: float | None = None,
) -> RowValues: ...
@overload
def entropy_from_counts(
    counts: Vector, *, estimator: EntropyEstimator = "grassberger", base: float | None = None
) -> float: ...
@overload
def entropy_from_counts(
    counts: Rows, *, estimator: EntropyEstimator = "grassberger", base: float | None = None
) -> Floats: ...
@overload
def entropy_from_counts(
    counts: ArrayLike,
    *,
    estimator: EntropyEstimator = "grassberger",
    base: float | None = None,
) -> RowValues: ...
@overload
def jensen_shannon_from_counts(
    p_counts: Vector,
    q_counts: Vector,
    *,
    estimator: SecondOrderEstimator = "miller-madow",
    base: float | None = None,
) -> float: ...
@overload
def jensen_shannon_from_counts(
    p_counts: Rows,
    q_counts: ArrayLike,
    *,
    estimator: SecondOrderEstimator = "miller-madow",
    base: float | None = None,
) -> Floats: ...
@overload
def jensen_shannon_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike,
    *,
    estimator: SecondOrderEstimator = "miller-madow",
    base: float | None = None,
) -> RowValues: ...
def gaussian_kl_divergence(
    mean_p: ArrayLike,
    cov_p: ArrayLike,
    mean_q: ArrayLike | None = None,
    cov_q: ArrayLike | None = None,
    *,
    covariance_type: CovarianceType = "auto",
    base: float | None = None,
) -> RowValues: ...
def kl_contributions(
    p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float | None = None
) -> Floats: ...
def pairwise_divergences(
    P: ArrayLike,
    Q: ArrayLike | None = None,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    base: float | None = None,
) -> Floats: ...
def jensen_shannon_of_several(
    P: ArrayLike, *, sample_weight: ArrayLike | None = None, base: float | None = None
) -> float: ...
def population_stability_index(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    bins: int | ArrayLike | None = None,
    pseudo_count: float = 0.0,
    base: float | None = None,
) -> float: ...

@dataclass(frozen=True)
class CountsInterval:
    estimate: float | Floats
    low: float | Floats
    high: float | Floats

def kl_interval_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike | None = None,
    *,
    q: ArrayLike | None = None,
    confidence_level: float = 0.95,
    base: float | None = None,
) -> CountsInterval: ...
def entropy_interval_from_counts(
    counts: ArrayLike, *, confidence_level: float = 0.95, base: float | None = None
) -> CountsInterval: ...
def jensen_shannon_interval_from_counts(
    p_counts: ArrayLike,
    q_counts: ArrayLike,
    *,
    confidence_level: float = 0.95,
    base: float | None = None,
) -> CountsInterval: ...
