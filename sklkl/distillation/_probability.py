"""Temperature and smoothing of the probabilities of a teacher, and how to choose them."""

import numpy as np
from scipy.optimize import minimize_scalar

from sklkl._core import topk
from sklkl._core.targets import is_sparse, one_hot
from sklkl.calibration._objective import Data, Doubt, smoothed
from sklkl.calibration._scaling import fit_smoothing, fit_temperature

MAX_TEMPERATURE = 1000.0
TINY, EPS = np.finfo(np.float64).tiny, np.finfo(np.float64).eps


def calibrate(proba, target, weight, *, find_temperature, smoothing):
    """Return the temperature and smoothing with the least log loss of probabilities.

    ``proba`` holds probabilities of samples that the teacher was not fitted to. The
    temperature is 1 without ``find_temperature``; ``smoothing`` is returned as it is unless it
    is "auto".
    """
    proba = proba.astype(np.float64)
    # So that neither sums nor products leave the range.
    weight = weight / (weight.max() or 1.0)
    if not find_temperature:
        return 1.0, _best_smoothing(proba, target, weight)
    z = np.log(np.maximum(proba, TINY))
    doubt = Doubt()
    if smoothing == "auto":
        data = Data.of(z, target, weight)
        # No temperature makes more of the zeros.
        doubt, needed = Doubt.of(data.moments(0.0), data.unit), (proba == 0.0).any()
        smoothing = fit_smoothing(data, doubt, needed=needed)
    # The loss where the teacher excludes a class is the same at every temperature.
    possible = proba if smoothing == 0.0 else np.ones_like(proba)
    kept = one_hot(target, proba.shape[1]) * (possible > 0.0)
    mass = kept.sum(axis=1)
    some = (mass > 0.0) & (weight > 0.0)
    if not some.any():
        return 1.0, smoothing
    data = Data.of(
        smoothed(z[some], smoothing),
        kept[some] / mass[some, np.newaxis],
        (weight * mass)[some],
    )
    inverse = fit_temperature(data, doubt)
    return 1.0 / max(inverse, 1.0 / MAX_TEMPERATURE), smoothing


def _best_smoothing(proba, target, weight):
    """Return the share of the uniform distribution with the least log loss."""
    truth = one_hot(target, proba.shape[1])

    def loss(share):
        q = smooth(proba, share)
        return -float(weight @ np.sum(truth * np.log(np.maximum(q, EPS)), axis=1))

    best = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded")
    return float(best.x) if best.fun < loss(0.0) else 0.0


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
