"""Losses of predicted probabilities, one for every registered divergence.

A loss is the weighted mean over samples of a divergence between target and prediction. The
public functions turn what users pass into ``(target, proba)`` with matching columns; the
work on those, ``mean_divergence`` and ``d2_kl``, is shared with the scorers.
"""

import inspect
from functools import partial

import numpy as np

from sklkl._core.distributions import by_row, check_rows, nats_to
from sklkl._core.parameters import check, one_of
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import check_weights, relative
from sklkl._core.targets import one_hot
from sklkl.divergences import entropy
from sklkl.divergences._registry import DIVERGENCES

ON_ZERO = one_of(["clip", "inf", "raise"])
KL = next(d for d in DIVERGENCES if d.name == "kl_divergence")
# Entries of a block of rows, of which hard labels are written as probabilities: 2 MB.
BLOCK = 2**18
# The largest mean KL divergence of equal rows, each entry rounded four times in float32.
NO_LOSS = 8 * float(np.finfo(np.float32).eps) ** 2


def check_options(base=None, on_zero="clip"):
    """Refuse bad options before any work is done."""
    nats_to(base)
    check("on_zero", on_zero, ON_ZERO)


def mean_divergence(target, proba, *, sample_weight=None, **options):
    """Weighted mean over samples of ``row_losses``, whose ``options`` it takes."""
    if sample_weight is None:
        return float(row_losses(target, proba, **options).mean(dtype=np.float64))
    weight = relative(check_weights(sample_weight, target))
    losses = row_losses(target, proba, counted=weight > 0, **options)
    losses[weight == 0] = 0.0  # not 0 * inf
    return float(np.average(losses, weights=weight))


def row_losses(target, proba, *, name="y_proba", log_proba=None, counted=None, **options):
    """Compute the divergence between the target and the prediction of each sample.

    Hard labels are written as probabilities in blocks of rows, not all at once.

    Parameters
    ----------
    target, proba : ndarray
        As of ``check_y_and_proba``.
    name : str
        What messages call ``proba``.
    log_proba : ndarray of shape (n_samples, n_classes), default=None
        What ``proba`` has lost by underflow, if it is known.
    counted : ndarray of shape (n_samples,), default=None
        In which rows infinite losses are refused; in all by default.
    **options : dict
        Those of ``_losses_of_block``.
    """
    n, n_classes = proba.shape
    size = n if target.ndim == 2 else max(1, BLOCK // n_classes)
    losses = []
    for start in range(0, n, size):
        rows = slice(start, start + size)
        block = (None if x is None else x[rows] for x in (log_proba, counted))
        p = one_hot(target[rows], n_classes)
        try:
            losses.append(
                _losses_of_block(p, proba[rows], *block, start, name=name, **options)
            )
        except ValueError:
            if target.ndim == 1:
                check_rows(proba, name)  # whose message has the number of the row in all
            raise
    return np.concatenate(losses)


def _losses_of_block(
    target,
    proba,
    log_proba,
    counted,
    start,
    *,
    name,
    divergence,
    reverse,
    base=None,
    on_zero="clip",
    **parameters,
):
    """Compute the losses of rows, of which the first has the number ``start``."""
    check_options(base, on_zero)
    kernel = divergence.kernel(**parameters)
    arrays = {"y_true": target, name: proba}
    if reverse:
        arrays = dict(reversed(arrays.items()))
    (p_name, p), (q_name, q) = arrays.items()
    names = (p_name, q_name)
    if on_zero == "clip":
        p, q = (
            clip(q, p, p_name) if kernel.inf_at_zero_p else p,
            clip(p, q, q_name) if kernel.inf_at_zero_q else q,
        )
    missing = 0.0
    if log_proba is not None and divergence.linear_in_log_q and not reverse:
        q, missing = _raise_underflow(p, q, log_proba)
    losses = by_row(kernel, p, q, base=base, names=names)
    losses += missing * nats_to(base)
    infinite = np.isinf(losses)
    if on_zero != "inf" and infinite.any():
        refused = infinite if counted is None else infinite & counted
        if on_zero == "raise" and refused.any():
            _raise_infinite(kernel, p, q, *names, int(np.argmax(refused)), start)
        # Finite wherever the rows share an outcome, and so not clipped above.
        p, q = p[infinite], q[infinite]
        losses[infinite] = by_row(kernel, p, clip(p, q, q_name), base=base)
    return losses


def clip(p, q, name):
    """Raise q to the epsilon of its dtype where p > 0, but not above p.

    Rows so changed get sum 1 again. Without the bound p, equal rows with tiny entries would
    not have loss 0: 50,000 float32 softmax outputs are raised by 6e-3 in all.
    """
    floor = np.minimum(p, np.finfo(q.dtype).eps)
    low = q < floor
    rows = low.any(axis=1)
    if not rows.any():
        return q
    q = check_rows(q, name).copy()
    q[low] = floor[low]
    q[rows] /= q[rows].sum(axis=1, keepdims=True)
    return q


def _raise_underflow(p, q, log_q):
    """Raise what underflow took from q to the least normal number, if the logarithm is known.

    Returns q and what the losses, in nats, then lack. A logarithm that is not below that of
    this number does not explain a zero: ``LinearDiscriminantAnalysis`` makes it up.
    """
    tiny = np.finfo(q.dtype).tiny
    log_tiny = np.log(tiny)
    low = (q < tiny) & (p > 0) & (log_q > -np.inf) & (log_q < log_tiny)
    lost = np.subtract(log_tiny, log_q, where=low, out=np.zeros(q.shape))
    return np.where(low, tiny, q), (p * lost).sum(axis=1) / p.sum(axis=1, dtype=np.float64)


def _raise_infinite(kernel, p, q, p_name, q_name, i, start):
    of_q = kernel.inf_at_zero_q or not kernel.inf_at_zero_p
    if of_q and ((p[i] > 0) & (q[i] == 0)).any():
        j = int(np.argmax((p[i] > 0) & (q[i] == 0)))
        zero, other, value = q_name, p_name, p[i, j]
    else:
        j = int(np.argmax((p[i] == 0) & (q[i] > 0)))
        zero, other, value = p_name, q_name, q[i, j]
    i += start
    raise ValueError(
        f"The loss is infinite: {zero}[{i}, {j}] is 0 where {other}[{i}, {j}] is "
        f"{value:.6g}. For a finite value use on_zero='clip'."
    )


def d2_kl(target, proba, *, sample_weight=None, **options):
    """Share of the KL divergence to the prior that a model explains; see ``row_losses``."""
    n_classes = proba.shape[1]
    weight = np.ones(len(target))
    if sample_weight is not None:
        weight = relative(check_weights(sample_weight, target))
    loss = partial(mean_divergence, divergence=KL, reverse=False, sample_weight=weight)
    model_loss = loss(target, proba, **options)
    if target.ndim == 1:
        prior = np.bincount(target, weight, n_classes)
        prior_loss = entropy(prior / prior.sum())
    else:
        prior = np.average(target, axis=0, weights=weight)
        prior_loss = loss(target, np.broadcast_to(prior / prior.sum(), target.shape))
    if prior_loss <= NO_LOSS:
        return 1.0 if model_loss <= NO_LOSS else 0.0
    return 1.0 - model_loss / prior_loss


def _make_loss(name, divergence, reverse):
    """Build the public loss of a registered divergence; its signature and docstring too."""
    options = {**divergence.parameters, "labels": None, "sample_weight": None}
    if divergence.has_unit:
        options["base"] = None
    options["on_zero"] = "clip"

    def loss(y_true, y_proba, **kwargs):
        bound = signature.bind(y_true, y_proba, **kwargs).kwargs
        together = {"sample_weight": bound.get("sample_weight")}
        labels = bound.pop("labels", None)
        target, proba = check_y_and_proba(y_true, y_proba, labels, together)
        return mean_divergence(target, proba, divergence=divergence, reverse=reverse, **bound)

    signature = inspect.Signature(
        [
            *(inspect.Parameter(x, inspect.Parameter.POSITIONAL_OR_KEYWORD) for x in ARRAYS),
            *(
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default)
                for key, default in options.items()
            ),
        ]
    )
    p, q = ("y_proba", "y_true") if reverse else ("y_true", "y_proba")
    own = {key: EXAMPLE_VALUES[key] for key in divergence.parameters}
    arguments = "".join(f", {key}={value}" for key, value in own.items())
    loss.__signature__ = signature
    loss.__name__ = loss.__qualname__ = name
    loss.__module__ = __name__
    loss.__doc__ = f"""Compute the mean {divergence.title} of {p} from {q}.

    The mean over samples of ``{divergence.name}({p}, {q})``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        True labels; or soft targets, a probability vector per row. The columns of a data
        frame are the classes.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities: a column per class in sorted order of the labels, or that
        of ``y_true``. The columns of a data frame are matched by name, unless they are the
        default ones of pandas or polars, or ``y_true`` is a matrix without names and
        ``labels`` is None. With shape (n_samples,), the probability of the second of two
        classes, or of the one that a Series or the only column of a data frame is named by.
        The name 0 is refused if the classes are 0 and 1: it may be the default of pandas.
{"".join(PARAMETER_DOC[key] for key in divergence.parameters)}\
    labels : array-like of shape (n_classes,), default=None
        All classes, in sorted order. Needed where a class is absent from ``y_true``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the mean, non-negative.
{BASE_DOC if divergence.has_unit else ""}\
    on_zero : {{"clip", "inf", "raise"}}, default="clip"
        What to do where a zero of one makes the loss infinite because the other is not 0.
        "clip" raises it, and anything smaller than that, to the epsilon of its dtype, as
        ``sklearn.metrics.log_loss`` does, but not above the other; "inf" returns the exact
        value, infinity; "raise" refuses such input. Finite losses are not touched.

    Returns
    -------
    loss : float
        Non-negative, lower is better{"" if divergence.has_unit else "; without a unit"}.

    Raises
    ------
    TypeError
        If an argument does not hold labels, probabilities or numbers.
    ValueError
        If a row is not a probability vector, if classes and columns do not match, or rows
        are labelled differently; on zeros, if ``on_zero="raise"`` and the loss is infinite.

    Warns
    -----
    UserWarning
        If ``labels`` are not in sorted order.

    See Also
    --------
    sklkl.divergences.{divergence.name} : The value of each row, with its reference.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import {name}
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round({name}(y_true, y_proba{arguments}{", base=2" * divergence.has_unit}), 3)
    {EXAMPLES[name]}
    """
    return loss


ARRAYS = ("y_true", "y_proba")
BASE_DOC = """    base : float, default=None
        Unit of the result: None for nats, 2 for bits.
"""
PARAMETER_DOC = {
    "weight": """    weight : float, default=0.5
        Weight of ``y_true`` in the mixture, between 0 and 1.
""",
    "order": """    order : float
        The order of the divergence, a finite number >= 0.
""",
    "alpha": """    alpha : float
        The parameter of the divergence; 1 for forward and 0 for reverse KL.
""",
}
EXAMPLE_VALUES = {"weight": 0.5, "order": 2, "alpha": 0.5}
EXAMPLES = {
    "alpha_loss": 0.305,
    "bhattacharyya_loss": 0.08,
    "chi2_loss": 0.889,
    "cross_entropy_loss": 1.103,
    "hellinger_loss": 0.162,
    "jeffreys_loss": 0.634,
    "jensen_shannon_distance_loss": 0.192,
    "jensen_shannon_loss": 0.073,
    "kl_loss": 0.368,
    "renyi_loss": 0.737,
    "reverse_kl_loss": 0.266,
    "total_variation_loss": 0.2,
}


def _losses():
    names = set()
    for divergence in DIVERGENCES:
        stem = divergence.name.removesuffix("_divergence")
        if (short := stem.removesuffix("_distance")) not in names:
            stem = short
        names.add(stem)
        yield f"{stem}_loss", divergence, False
        if divergence.reversible:
            yield f"reverse_{stem}_loss", divergence, True


# What a scorer needs of each loss: work on matching (target, proba).
ALIGNED = {
    name: partial(mean_divergence, divergence=divergence, reverse=reverse)
    for name, divergence, reverse in _losses()
}
LOSSES = {
    name: _make_loss(name, divergence, reverse) for name, divergence, reverse in _losses()
}

alpha_loss = LOSSES["alpha_loss"]
bhattacharyya_loss = LOSSES["bhattacharyya_loss"]
chi2_loss = LOSSES["chi2_loss"]
cross_entropy_loss = LOSSES["cross_entropy_loss"]
hellinger_loss = LOSSES["hellinger_loss"]
jeffreys_loss = LOSSES["jeffreys_loss"]
jensen_shannon_distance_loss = LOSSES["jensen_shannon_distance_loss"]
jensen_shannon_loss = LOSSES["jensen_shannon_loss"]
kl_loss = LOSSES["kl_loss"]
renyi_loss = LOSSES["renyi_loss"]
reverse_kl_loss = LOSSES["reverse_kl_loss"]
total_variation_loss = LOSSES["total_variation_loss"]


def d2_kl_score(y_true, y_proba, *, labels=None, sample_weight=None, on_zero="clip"):
    r"""Compute the share of the KL divergence to the class prior that a model explains.

    .. math::
        D^2 = 1 - \frac{\sum_i w_i D(y_i \| \hat p_i)}{\sum_i w_i D(y_i \| \bar y)}

    where the prior is the weighted mean of the targets.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        True labels; or soft targets, a probability vector per row. The columns of a data
        frame are the classes.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or data frame
        Predicted probabilities: a column per class in sorted order of the labels, or that
        of ``y_true``. The columns of a data frame are matched by name, unless they are the
        default ones of pandas or polars, or ``y_true`` is a matrix without names and
        ``labels`` is None. With shape (n_samples,), the probability of the second of two
        classes, or of the one that a Series or the only column of a data frame is named by.
        The name 0 is refused if the classes are 0 and 1: it may be the default of pandas.
    labels : array-like of shape (n_classes,), default=None
        All classes, in sorted order. Needed where a class is absent from ``y_true``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, non-negative.
    on_zero : {"clip", "inf", "raise"}, default="clip"
        What to do where a prediction is 0 but its target is not, as in ``kl_loss``.

    Returns
    -------
    score : float
        1 for a perfect model, 0 for one that predicts the prior, negative for worse. If all
        targets are equal, up to the rounding of float32, so that the prior is perfect: 1
        for a perfect model, otherwise 0.

    Raises
    ------
    TypeError
        If an argument does not hold labels, probabilities or numbers.
    ValueError
        If a row is not a probability vector, if classes and columns do not match, or rows
        are labelled differently.

    Warns
    -----
    UserWarning
        If ``labels`` are not in sorted order.

    See Also
    --------
    kl_loss : The numerator.
    sklearn.metrics.d2_log_loss_score : The same for hard labels.

    References
    ----------
    Hastie, T., Tibshirani, R. and Wainwright, M. (2015). Statistical Learning with
    Sparsity, section 3.2 (fraction of deviance explained).

    Examples
    --------
    >>> from sklkl.metrics import d2_kl_score
    >>> y_true = [[0.9, 0.1], [0.2, 0.8]]
    >>> round(d2_kl_score(y_true, [[0.8, 0.2], [0.3, 0.7]]), 3)
    0.887
    """
    together = {"sample_weight": sample_weight}
    target, proba = check_y_and_proba(y_true, y_proba, labels, together)
    return d2_kl(target, proba, sample_weight=sample_weight, on_zero=on_zero)
