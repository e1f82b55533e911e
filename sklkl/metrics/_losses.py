"""Losses of predicted probabilities, and the share of a divergence that a model explains.

A loss is the weighted mean over samples of a divergence between target and prediction. The
public functions turn what users pass into ``(target, proba)`` with matching columns; the
work on those, ``mean_divergence`` and ``d2``, is shared with the scorers.
"""

from contextlib import nullcontext
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sklkl._core.devices import (
    beside,
    cast,
    namespace,
    place_of,
    rows_at,
    slice_length,
    to_host,
    widest,
)
from sklkl._core.distributions import by_row, check_rows, nats_to
from sklkl._core.docs import documented, documented_with
from sklkl._core.models import predict_columns
from sklkl._core.names import counting_from, row_number
from sklkl._core.parameters import check, one_of
from sklkl._core.predictions import check_y_and_proba
from sklkl._core.samples import check_weights, n_rows, relative, take
from sklkl._core.targets import class_mass, is_sparse, one_hot
from sklkl._core.topk import TopK, coarsened, refuse_bucket
from sklkl._core.typing import DivergenceName, DivergenceParams, OnZero
from sklkl.divergences import entropy
from sklkl.divergences._registry import LISTS, find

ON_ZERO = one_of(get_args(OnZero))
KL = find("kl")
OF_MEANS = ["kl", "squared_error", "ranked_probability"]  # least for the mean of the targets
# Entries of a block of rows, of which hard labels are written as probabilities: 2 MB.
BLOCK = 2**18
# The same of sparse targets, for which an estimator may predict a block at a time: 8 MB.
SPARSE_BLOCK = 2**20
# The largest mean KL divergence of equal rows, each entry rounded four times in float32, which
# their squared error does not exceed.
NO_LOSS = 8 * float(np.finfo(np.float32).eps) ** 2


def check_options(base=None, on_zero="clip", divergence=KL, divergence_params=None):
    """Return the parameters of a divergence; refuse bad options before any work is done."""
    check("on_zero", on_zero, ON_ZERO)
    return divergence.check(divergence_params, base)


def mean_divergence(target, proba, divergence=KL, *, sample_weight=None, **options):
    """Return the weighted mean over samples of ``row_losses``, whose ``options`` it takes."""
    if sample_weight is None:
        return float(row_losses(target, proba, divergence, **options).mean(dtype=np.float64))
    weight = relative(check_weights(sample_weight, target))
    losses = row_losses(target, proba, divergence, counted=weight > 0, **options)
    losses[weight == 0] = 0.0  # not 0 * inf
    return float(np.average(losses, weights=weight))


def row_losses(
    target,
    proba,
    divergence=KL,
    *,
    divergence_params=None,
    base=None,
    on_zero="clip",
    name="y_proba",
    log_proba=None,
    counted=None,
):
    """Return the divergence between the target and the prediction of each sample, on the host.

    Labels and sparse rows are written as probabilities in blocks of rows, not all at once, and
    rows elsewhere are taken so, too.
    Where something is left in a bucket, it is one outcome, of the prediction, too.

    Parameters
    ----------
    target, proba : ndarray or TopK
        The results of ``check_y_and_proba``; or for a sparse target ``SlicedPredictions``.
    divergence : Divergence
        A record of the registry, with its ``divergence_params``.
    name : str
        The name of ``proba`` in messages.
    log_proba : ndarray of shape (n_samples, n_classes) or SlicedPredictions, default=None
        The logarithms of what ``proba`` has lost by underflow, if they are known.
    counted : ndarray of shape (n_samples,), default=None
        The rows in which infinite losses are refused; all by default.
    """
    kernel = divergence.kernel(**check_options(base, on_zero, divergence, divergence_params))
    if not divergence.linear_in_log_q:
        log_proba = None
    n, n_classes = proba.shape
    of_lists = is_sparse(target)
    # A property of the target, lest the loss of a row depend on the others of its block.
    coarse = of_lists and target.rest == "bucket"
    if coarse and divergence.name == "ranked_probability":
        refuse_bucket(target, "The order of classes")
        coarse = False
    if of_lists or isinstance(proba, TopK | SlicedPredictions):
        size = max(1, SPARSE_BLOCK // n_classes)
    else:
        size = n if target.ndim == 2 else max(1, BLOCK // n_classes)
        size = size if place_of(proba, name) is None else slice_length(n_classes)
    losses = []
    for start in range(0, n, size):
        rows = slice(start, min(n, start + size))
        log_q, some = (None if x is None else x[rows, ...] for x in (log_proba, counted))
        # Messages count the rows of all blocks.
        with counting_from(row_number(start)) if size < n else nullcontext():
            p, q = target[rows, ...], one_hot(proba[rows, :], n_classes)
            if of_lists:
                q = to_host(q)
            lists = p if coarse else None
            if coarse:
                p, q = coarsened(lists), coarsened(lists, check_rows(q, name))
                log_q = None if log_q is None else coarsened(lists, log_q, logs=True)
            else:
                p = one_hot(p, n_classes)
            block = (p, q, log_q, some, lists)
            losses.append(_losses_of_block(kernel, *block, name, base, on_zero))
    return np.concatenate(losses)


class SlicedPredictions:
    """What a method of an estimator predicts for rows of X, when it is asked for them.

    ``of_rows`` are further arguments of the method, with an entry for each row.
    """

    def __init__(self, estimator, X, method="predict_proba", columns=slice(None), **of_rows):
        self.estimator, self.X, self.method, self.columns = estimator, X, method, columns
        self.of_rows = of_rows
        self.shape = n_rows(X, "X"), len(estimator.classes_)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, places):
        """Return the predictions of the rows of a slice: ``[rows, :]`` or ``[rows, ...]``."""
        rows, _ = places
        rows = np.arange(*rows.indices(len(self)))
        more = {name: take(values, rows) for name, values in self.of_rows.items()}
        proba = predict_columns(self.estimator, take(self.X, rows), self.method, **more)
        return proba[:, self.columns]


def _losses_of_block(kernel, p, q, log_q, counted, lists, name, base, on_zero):
    """Return the losses of rows, of which the columns are those of ``lists`` if there are."""
    names = ("y_true", name)
    if on_zero == "clip":
        p, q = (
            clip(q, p, names[0]) if kernel.inf_at_zero_p else p,
            clip(p, q, names[1]) if kernel.inf_at_zero_q else q,
        )
    missing = 0.0
    if log_q is not None:
        q, missing = _raise_underflow(p, q, log_q)
    losses = np.array(to_host(by_row(kernel, p, q, base=base, names=names)))
    losses += missing * nats_to(base)
    infinite = np.isinf(losses)
    if on_zero != "inf" and infinite.any():
        refused = infinite if counted is None else infinite & counted
        if on_zero == "raise" and refused.any():
            _raise_infinite(kernel, p, q, *names, int(np.argmax(refused)), lists)
        # Finite wherever the rows share an outcome, and so not clipped above.
        p, q = rows_at(p, infinite), rows_at(q, infinite)
        losses[infinite] = to_host(by_row(kernel, p, clip(p, q, names[1]), base=base))
    return losses


def clip(p, q, name):
    """Raise q to the epsilon of its dtype where p > 0, but not above p.

    Rows so changed get sum 1 again. Without the bound p, equal rows with tiny entries would
    not have loss 0: 50,000 float32 softmax outputs are raised by 6e-3 in all.
    """
    xp = namespace(q)
    eps = float(xp.finfo(q.dtype).eps)
    if not xp.min(q) < eps:  # a tenth of the time of what follows
        return q
    low = (q < eps) & (q < p)
    if not xp.any(low):
        return q
    least = cast(xp.where(p < eps, p, xp.full_like(p, eps)), q.dtype)
    q = xp.where(low, least, check_rows(q, name))
    total = xp.sum(q, axis=1, keepdims=True)
    return q / xp.where(xp.any(low, axis=1, keepdims=True), total, xp.ones_like(total))


def _raise_underflow(p, q, log_q):
    """Raise what underflow took from q to the least normal number, if the logarithm is known.

    Returns q, and the loss in nats that each row then lacks. A logarithm that is not below the
    logarithm of this number explains no zero: ``LinearDiscriminantAnalysis`` makes it up.
    """
    xp = namespace(q)
    tiny = float(xp.finfo(q.dtype).smallest_normal)
    log_tiny, log_q, p = float(np.log(tiny)), widest(log_q), widest(p)
    low = (q < tiny) & (p > 0) & (log_q > -np.inf) & (log_q < log_tiny)
    lost = log_tiny - xp.where(low, log_q, log_tiny + xp.zeros_like(log_q))
    missing = xp.sum(p * lost, axis=1) / xp.sum(p, axis=1)
    return xp.where(low, tiny + xp.zeros_like(q), q), to_host(missing)


def _raise_infinite(kernel, p, q, p_name, q_name, i, lists):
    p, q = (to_host(x[i : i + 1, :])[0] for x in (p, q))
    of_q = kernel.inf_at_zero_q or not kernel.inf_at_zero_p
    if of_q and ((p > 0) & (q == 0)).any():
        j = int(np.argmax((p > 0) & (q == 0)))
        zero, other, value = q_name, p_name, p[j]
    else:
        j = int(np.argmax((p == 0) & (q > 0)))
        zero, other, value = p_name, q_name, q[j]
    if lists is not None:
        others = "all classes that are not listed"
        j = lists[i].listed[j] if j < lists.counts[i] else others
    i = row_number(i)
    raise ValueError(
        f"The loss is infinite: {zero}[{i}, {j}] is 0 where {other}[{i}, {j}] is "
        f"{value:.6g}. For a finite value use on_zero='clip'."
    )


def d2(target, proba, divergence=KL, *, sample_weight=None, **options):
    """Return the share of the divergence to the prior that a model explains.

    The ``options`` are those of ``row_losses``.
    """
    loss = partial(mean_divergence, divergence=divergence, sample_weight=sample_weight)
    model_loss = loss(target, proba, **options)
    mass = class_mass(target, relative(check_weights(sample_weight, target)), proba.shape[1])
    prior = mass / mass.sum()
    if target.ndim == 2:
        return d2_from(model_loss, loss_of_prior(target, prior, loss))
    rows = np.broadcast_to(prior, proba.shape)
    of_prior = entropy(prior) if divergence is KL else loss(target, rows)
    return d2_from(model_loss, of_prior)


def loss_of_prior(target, prior, loss):
    """Return the loss of probabilities for the same ones for every sample."""
    rows = namespace(target).broadcast_to(beside(target, prior), target.shape)
    return loss(target, rows)


def d2_from(model_loss, prior_loss):
    """Return the share that a model explains, given the mean losses of it and of the prior."""
    if prior_loss <= NO_LOSS:
        return 1.0 if model_loss <= NO_LOSS else 0.0
    return 1.0 - model_loss / prior_loss


def _loss(record, y_true, y_proba, labels, sample_weight, base, on_zero, params=None):
    """Return the result of the public function that calls this one."""
    together = {"sample_weight": sample_weight}
    forms = {"sparse": True, "stays": True, "ordered": record.name if record.ordered else None}
    target, proba = check_y_and_proba(y_true, y_proba, labels, together, stacklevel=4, **forms)
    options = {"sample_weight": sample_weight, "base": base, "on_zero": on_zero}
    return mean_divergence(target, proba, record, divergence_params=params, **options)


@documented
def kl_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean Kullback-Leibler divergence of y_true from y_proba.

    The mean over samples of ``kl_divergence(y_true, y_proba)``; for labels, the log loss.

    Parameters
    ----------
    %(y_and_proba)s
    %(options)s

    %(loss)s

    See Also
    --------
    sklkl.divergences.kl_divergence : The value of each row, with its reference.
    divergence_loss : The mean of any divergence.
    d2_kl_score : The share of the loss of the class prior that a model explains.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import kl_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(kl_loss(y_true, y_proba, base=2), 3)
    0.368
    """
    return _loss(KL, y_true, y_proba, labels, sample_weight, base, on_zero)


@documented
def reverse_kl_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean Kullback-Leibler divergence of y_proba from y_true.

    The mean over samples of ``kl_divergence(y_proba, y_true)``.

    Parameters
    ----------
    %(y_and_proba)s
    %(options)s

    %(loss)s

    See Also
    --------
    sklkl.divergences.kl_divergence : The value of each row, with its reference.
    divergence_loss : The mean of any divergence.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import reverse_kl_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(reverse_kl_loss(y_true, y_proba, base=2), 3)
    0.266
    """
    return _loss(find("reverse_kl"), y_true, y_proba, labels, sample_weight, base, on_zero)


@documented
def cross_entropy_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean cross-entropy of y_true and y_proba.

    The mean over samples of ``cross_entropy(y_true, y_proba)``; for labels, the log loss.

    Parameters
    ----------
    %(y_and_proba)s
    %(options)s

    %(loss)s

    See Also
    --------
    sklkl.divergences.cross_entropy : The value of each row, with its reference.
    divergence_loss : The mean of any divergence.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import cross_entropy_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(cross_entropy_loss(y_true, y_proba, base=2), 3)
    1.103
    """
    return _loss(find("cross_entropy"), y_true, y_proba, labels, sample_weight, base, on_zero)


@documented
def jensen_shannon_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    weight: float = 0.5,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean Jensen-Shannon divergence of y_true and y_proba.

    The mean over samples of ``jensen_shannon_divergence(y_true, y_proba)``.

    Parameters
    ----------
    %(y_and_proba)s
    weight : float, default=0.5
        Weight of ``y_true`` in the mixture, between 0 and 1.
    %(options)s

    %(loss)s

    See Also
    --------
    sklkl.divergences.jensen_shannon_divergence : The value of each row, with its reference.
    divergence_loss : The mean of any divergence.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import jensen_shannon_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(jensen_shannon_loss(y_true, y_proba, base=2), 3)
    0.073
    """
    record, params = find("jensen_shannon"), {"weight": weight}
    return _loss(record, y_true, y_proba, labels, sample_weight, base, on_zero, params)


@documented
def jeffreys_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean Jeffreys divergence of y_true and y_proba.

    The mean over samples of ``jeffreys_divergence(y_true, y_proba)``.

    Parameters
    ----------
    %(y_and_proba)s
    %(options)s

    %(loss)s

    See Also
    --------
    sklkl.divergences.jeffreys_divergence : The value of each row, with its reference.
    divergence_loss : The mean of any divergence.
    make_divergence_scorer : Make a scorer of this loss.

    Examples
    --------
    >>> from sklkl.metrics import jeffreys_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(jeffreys_loss(y_true, y_proba, base=2), 3)
    0.634
    """
    return _loss(find("jeffreys"), y_true, y_proba, labels, sample_weight, base, on_zero)


@documented_with(**LISTS)
def divergence_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    divergence: DivergenceName = "kl",
    divergence_params: DivergenceParams | None = None,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    base: float | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the mean divergence of y_true from y_proba.

    The mean over samples of any divergence of ``sklkl.divergences``, by name.

    Parameters
    ----------
    %(y_and_proba)s
    divergence : str, default="kl"
        The name of the divergence, whose first argument is ``y_true``. One of
        %(divergences)s.
        Classes of "ranked_probability" are in the order of the categories if ``y_true`` is an
        ordered categorical, of its columns, or of numbers; words that are merely sorted are
        refused.
    divergence_params : dict, default=None
        Parameters of the divergence: ``{"order": 2}`` of "renyi", a finite number, and
        ``{"alpha": 0.5}`` of "alpha", which need them; ``{"weight": 0.3}`` of
        "jensen_shannon".
    %(labels)s
    %(sample_weight)s
    base : float, default=None
        Unit of the result: None for nats, 2 for bits. None for a divergence without a unit,
        %(without_unit)s.
    %(on_zero)s

    Returns
    -------
    loss : float
        Non-negative, lower is better.

    Raises
    ------
    TypeError
        %(no_data)s
    ValueError
        If there is no such divergence or parameter. %(bad_data)s

    Warns
    -----
    UserWarning
        %(unsorted)s

    See Also
    --------
    kl_loss, reverse_kl_loss, cross_entropy_loss, jensen_shannon_loss, jeffreys_loss : The
        losses of the customary divergences.
    get_scorer_names : The scorers of all divergences.

    Examples
    --------
    >>> from sklkl.metrics import divergence_loss
    >>> y_true = [[0.5, 0.5], [0.9, 0.1]]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(divergence_loss(y_true, y_proba, divergence="hellinger"), 3)
    0.162
    >>> order = {"order": 2}
    >>> loss = divergence_loss(y_true, y_proba, divergence="renyi", divergence_params=order)
    >>> round(loss, 3)
    0.511
    """
    record = find(divergence)
    check_options(base, on_zero, record, divergence_params)
    return _loss(
        record, y_true, y_proba, labels, sample_weight, base, on_zero, divergence_params
    )


@documented
def d2_kl_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    on_zero: OnZero = "clip",
) -> float:
    r"""Compute the share of the KL divergence to the class prior that a model explains.

    .. math::
        D^2 = 1 - \frac{\sum_i w_i D(y_i \| \hat p_i)}{\sum_i w_i D(y_i \| \bar y)}

    where the prior is the weighted mean of the targets.

    Parameters
    ----------
    %(y_and_proba)s
    %(labels)s
    %(sample_weight)s
    %(on_zero_as_in_kl_loss)s

    Returns
    -------
    score : float
        1 for a perfect model, 0 for one that predicts the prior, negative for worse. If all
        targets are equal, up to the rounding of float32, so that the prior is perfect: 1
        for a perfect model, otherwise 0.

    %(raises)s

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
    target, proba = check_y_and_proba(
        y_true, y_proba, labels, {"sample_weight": sample_weight}, sparse=True, stays=True
    )
    return d2(target, proba, sample_weight=sample_weight, on_zero=on_zero)


@documented
def d2_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    divergence: str = "kl",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    on_zero: OnZero = "clip",
) -> float:
    """Compute the share of the mean divergence from the class prior that a model explains.

    As ``d2_kl_score``, of KL divergence, Brier's squared error or the ranked probability
    score: those of which the mean of the targets, the prior, is the best constant prediction.

    Parameters
    ----------
    %(y_and_proba)s
    divergence : {"kl", "squared_error", "ranked_probability"}, default="kl"
        The divergence, in any spelling of its name.
    %(labels)s
    %(sample_weight)s
    %(on_zero_as_in_kl_loss)s

    Returns
    -------
    score : float
        1 for a perfect model, 0 for one that predicts the prior, negative for worse. If all
        targets are equal, up to the rounding of float32, so that the prior is perfect: 1
        for a perfect model, otherwise 0.

    %(raises)s

    See Also
    --------
    d2_kl_score : The same with the KL divergence; its scorer is "d2_kl".
    sklearn.metrics.d2_brier_score : The squared error of labels.

    Examples
    --------
    >>> from sklkl.metrics import d2_score
    >>> y_true = [[0.9, 0.1], [0.2, 0.8]]
    >>> y_proba = [[0.8, 0.2], [0.3, 0.7]]
    >>> round(d2_score(y_true, y_proba, divergence="squared_error"), 3)
    0.918
    """
    record, together = find(divergence, among=OF_MEANS), {"sample_weight": sample_weight}
    forms = {"sparse": True, "stays": True, "ordered": record.name if record.ordered else None}
    target, proba = check_y_and_proba(y_true, y_proba, labels, together, **forms)
    return d2(target, proba, record, sample_weight=sample_weight, on_zero=on_zero)
