"""Temperature and smoothing of the probabilities of a teacher."""

import numpy as np

from sklkl._core import topk
from sklkl._core.targets import is_sparse, one_hot
from sklkl.calibration._objective import Data, Doubt
from sklkl.calibration._scaling import fit_temperature

MAX_TEMPERATURE = 1000.0
TINY = np.finfo(np.float64).tiny


def calibration_temperature(proba, target, weight, smoothing):
    """Return the temperature with the least log loss of smoothed probabilities.

    ``proba`` holds probabilities of samples that the teacher was not fitted to.
    """
    proba = smooth(proba.astype(np.float64), smoothing)
    # The loss where the teacher excludes a class is the same at every temperature.
    kept = one_hot(target, proba.shape[1]) * (proba > 0.0)
    # So that neither sums nor products leave the range.
    weight = weight / (weight.max() or 1.0)
    mass = kept.sum(axis=1)
    some = (mass > 0.0) & (weight > 0.0)
    if not some.any():
        return 1.0
    data = Data.of(
        np.log(np.maximum(proba[some], TINY)),
        kept[some] / mass[some, np.newaxis],
        (weight * mass)[some],
    )
    return 1.0 / max(fit_temperature(data, Doubt()), 1.0 / MAX_TEMPERATURE)


def smooth(proba, share):
    """Return probabilities mixed with the uniform distribution."""
    if is_sparse(proba):
        return topk.smoothed(proba, share)
    return proba if share == 0.0 else (1.0 - share) * proba + share / proba.shape[1]


def temper(proba, temperature):
    """Return probabilities proportional to ``proba ** (1 / temperature)``.

    In logarithms, so that small probabilities do not underflow on the way; 0 stays 0. In
    float64, as at high temperatures the rows differ by less than what float32 resolves.
    """
    if is_sparse(proba):
        return topk.tempered(proba, temperature)
    if temperature == 1.0:
        return proba
    with np.errstate(divide="ignore", over="ignore"):
        logits = np.log(proba, dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits /= temperature
    tempered = np.exp(logits, out=logits)
    tempered /= tempered.sum(axis=1, keepdims=True)
    return tempered


def corrected(tempered, proba, target, temperature, strength):
    r"""Return targets less dependent on the errors of the teacher.

    To first order in the error of a probability p, its tempered form
    :math:`p^{(T)} \propto p^{1/T}` is off by
    :math:`\frac{1}{T} p^{(T)}_c (e_c - p^{(T)}) / p_c` times the error, for each class c.
    The label y estimates p without error in the mean, and in place of the true probability
    leads to the target (Dao et al., 2021, the corrected loss for annealed cross-entropy)

    .. math:: p^{(T)} + \gamma \sum_c y_c a_c (e_c - p^{(T)}), \quad
              a_c = \frac{p^{(T)}_c}{T p_c},

    with the strength :math:`\gamma`. The factor :math:`\gamma a_c` is bounded by 1, so that it
    remains a distribution; without the bound its variance is large where p_c is small.
    """
    with np.errstate(all="ignore"):
        ratio = tempered / (temperature * proba)
    ratio[proba == 0.0] = 1.0 if temperature == 1.0 else np.inf if temperature > 1.0 else 0.0
    share = one_hot(target, proba.shape[1]) * np.minimum(1.0, strength * ratio)
    return (1.0 - share.sum(axis=1, keepdims=True)) * tempered + share
