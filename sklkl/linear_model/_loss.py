"""The student's loss: divergences by name, and the terms of the loss of checked data."""

from dataclasses import dataclass

import numpy as np

from sklkl._core.parameters import FINITE, SHARE, check
from sklkl._core.targets import is_sparse, one_hot
from sklkl._core.topk import TopK
from sklkl._kernels._linear import LOSSES
from sklkl.divergences._registry import find

KL_SPELLINGS = find("kl").spellings
# The parameter of a divergence: name, rule, default, and the divergences at its limits.
PARAMETERS = {
    "jensen_shannon": ("weight", SHARE, 0.5, {0.0: "kl", 1.0: "reverse_kl"}),
    "alpha": ("alpha", FINITE, None, {1.0: "kl", 0.0: "reverse_kl"}),
}
# So near to a limit the divergences agree to all digits that count.
LIMIT = 1e-12


@dataclass(frozen=True)
class ResolvedDivergence:
    """A divergence as the kernels know it."""

    name: str = "kl"  # one of LOSSES
    parameter: float = 0.5  # of "jensen_shannon" or "alpha", not one of its limits

    @property
    def params(self):
        """The ``divergence_params`` of an estimator that is to use it."""
        name, *_ = PARAMETERS.get(self.name, (None,))
        return None if name is None else {name: self.parameter}

    @property
    def infinite_at_zeros(self):
        """True if a target of probability 0 makes the divergence infinite for every model."""
        if self.name == "alpha":
            return self.parameter <= 0.0
        return self.name in ("reverse_kl", "jeffreys")


KL = ResolvedDivergence()


def resolve_divergence(divergence, divergence_params):
    """Return the divergence of two parameters; at a limit, the one that it becomes.

    Raises
    ------
    ValueError
        If there is no such divergence, or its parameters are bad.
    """
    divergence = find(divergence, among=LOSSES).name
    given = {} if divergence_params is None else divergence_params
    if not isinstance(given, dict):
        raise ValueError(f"divergence_params must be a dict or None; got {given!r}.")
    name, rule, default, limits = PARAMETERS.get(divergence, (None, None, None, {}))
    unknown = [key for key in given if key != name]
    if unknown:
        has = "no parameters" if name is None else f"the parameter {name!r} only"
        raise ValueError(
            f"divergence_params names {unknown}, but divergence={divergence!r} has {has}."
        )
    if name is None:
        return ResolvedDivergence(divergence)
    if name not in given and default is None:
        raise ValueError(
            f"divergence={divergence!r} needs divergence_params={{{name!r}: ...}}; got "
            f"{divergence_params!r}."
        )
    parameter = given.get(name, default)
    check(f"divergence_params[{name!r}]", parameter, rule)
    for limit, other in limits.items():
        if abs(parameter - limit) < LIMIT:
            return ResolvedDivergence(other)
    return ResolvedDivergence(divergence, float(parameter))


@dataclass(frozen=True)
class LossTerm:
    """A part of a loss: ``sum(weight * D(target || softmax(logits / temperature)))``.

    "kl" counts the cross-entropy; "jensen_shannon" the divergence with ``parameter`` as the
    weight of the target in the mixture, divided by ``parameter * (1 - parameter)``.
    """

    # Codes (n_samples,) of dtype intp, probabilities of the dtype of X, or a TopK.
    target: np.ndarray | TopK
    weight: np.ndarray | None  # (n_samples,), float64; None for ones, before checks
    temperature: float = 1.0
    divergence: str = "kl"  # one of LOSSES, "kl" if the target holds codes
    parameter: float = 0.5  # of "jensen_shannon" or "alpha", not 0 or 1: KL divergences


def stages_of(data, divergence, temperature):
    """Return the losses to minimise one after the other, each from the last solution.

    Divergences other than forward KL are not convex; they start where forward KL is least.
    There are one or two losses, each a list of one or two ``LossTerm``, divided by
    temperature². The model learns the targets at ``temperature``, labels at 1; the
    coefficients that minimise the losses are to be multiplied by the temperature. Raises
    ValueError if a target of probability 0 makes the divergence infinite.
    """
    labels = []
    if data.labels is not None:
        weight = data.label_weight / temperature**2
        labels = [LossTerm(data.labels, weight, 1.0 / temperature)]
    first = LossTerm(data.target, data.weight)
    if divergence.name == "kl":
        return [[first, *labels]]
    if is_sparse(data.target):
        raise ValueError(
            f"A sparse y is for divergence='kl', as {divergence.name!r} compares every class "
            "of every sample; pass a dense y."
        )
    target = one_hot(data.target, len(data.classes)).astype(data.X.dtype, copy=False)
    if divergence.infinite_at_zeros:
        _refuse_zeros(data, target, divergence)
    last = LossTerm(target, data.weight, 1.0, divergence.name, divergence.parameter)
    return [[first, *labels], [last, *labels]]


def _refuse_zeros(data, target, divergence):
    zeros = (target == 0.0) & (data.weight > 0.0)[:, np.newaxis]
    if zeros.any():
        i, j = np.argwhere(zeros)[0]
        raise ValueError(
            f"y gives class {data.classes.tolist()[j]!r} of sample {data.first_row + i} "
            f"probability 0 (as {target.dtype}, times class_weight), where the divergence "
            f"{divergence.name!r} is infinite; mix it with some of the uniform "
            "distribution, e.g. 1e-3 (smoothing of a DistilledClassifier), or take 'kl', "
            "'jensen_shannon' or an alpha above 0."
        )
