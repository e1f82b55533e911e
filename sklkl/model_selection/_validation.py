"""Out-of-fold prediction with soft targets."""

from functools import partial
from numbers import Integral
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from sklkl._core.classes import spread
from sklkl._core.distributions import check_rows
from sklkl._core.docs import documented
from sklkl._core.models import (
    ABSENT,
    check_partition,
    fit_and_predict,
    predict_columns,
    refuse_offset,
)
from sklkl._core.names import refuse_other_rows
from sklkl._core.parameters import N_JOBS, Rule, check, integer, one_of
from sklkl._core.samples import indexed, row_params, take
from sklkl._core.sklearn import num_samples
from sklkl._core.targets import check_target
from sklkl._core.typing import Estimator, Floats, Folds, ProbaMethod, Samples
from sklkl.model_selection._split import check_soft_cv

PRE_DISPATCH = Rule(
    "an integer >= 1, or an expression as '2*n_jobs'",
    (Integral, str),
    lambda v: isinstance(v, str) or v >= 1,
)


@documented
def soft_cross_val_predict(
    estimator: Estimator,
    X: Samples,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Folds = None,
    method: ProbaMethod = "predict_proba",
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "2*n_jobs",
) -> Floats:
    """Predict the probabilities of every sample by a model that was fitted without it.

    Like ``sklearn.model_selection.cross_val_predict``, which replaces soft targets by ranks;
    and the columns are the classes of ``y``, also where a fold lacks one.

    Parameters
    ----------
    estimator : estimator
        Classifier with ``predict_proba``. It is cloned and fitted for each fold; to soft
        targets as they are, if ``y`` holds these.
    %(X)s
    %(y)s
    groups : array-like of shape (n_samples,), default=None
        Groups of the samples, for a splitter that needs them; a number of folds keeps
        them together. If metadata routing is enabled, pass them in ``params``.
    cv : int, splitter or iterable, default=None
        Number of folds, 5 by default, stratified: ``StratifiedKFold`` for labels,
        ``StratifiedSoftKFold`` for soft targets. Or a splitter, or an iterable of indices,
        in which every sample is in exactly one test set.
    method : {"predict_proba", "predict_log_proba"}, default="predict_proba"
        The method whose predictions are returned.
    n_jobs : int, default=None
        Folds fitted at once.
    verbose : int, default=0
        Verbosity of ``joblib.Parallel``.
    params : dict, default=None
        Arguments of ``fit``, as ``sample_weight``; those with an entry for each row of ``X``
        are split by fold. If metadata routing is enabled, estimators get those they request.
    pre_dispatch : int or str, default="2*n_jobs"
        As in ``joblib.Parallel``.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities, or their natural logarithms: a column per sorted label, or per column
        of a soft ``y``. A class that a model never saw has probability 0. As a data frame of
        labels ``y`` it is ``pd.DataFrame(proba, X.index, np.unique(y))``, whatever the order
        of columns of ``X``.

    Raises
    ------
    TypeError
        If the estimator has no such method.
    ValueError
        If ``y`` is no valid target, arguments name their rows in another order than ``X``, a
        test set overlaps another, a model knows classes that ``y`` does not, or an argument
        is bad.

    See Also
    --------
    StratifiedSoftKFold : The folds for soft targets.
    sklearn.model_selection.cross_val_predict : The same for labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.linear_model import SoftLabelLogisticRegression
    >>> from sklkl.model_selection import soft_cross_val_predict
    >>> X = np.linspace(-2, 2, 40)[:, np.newaxis]
    >>> p = 1 / (1 + np.exp(-X[:, 0]))
    >>> y = np.column_stack([1 - p, p])
    >>> proba = soft_cross_val_predict(SoftLabelLogisticRegression(C=100), X, y)
    >>> bool(abs(proba - y).max() < 0.01)
    True
    """
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an estimator with fit; got {estimator!r}.")
    check("method", method, one_of(get_args(ProbaMethod)))
    check("n_jobs", n_jobs, N_JOBS)
    check("verbose", verbose, integer(0))
    check("params", params, Rule("a dict", dict).or_(None))
    check("pre_dispatch", pre_dispatch, PRE_DISPATCH)
    refuse_other_rows(
        {"X": X, "y": y, "groups": groups, **row_params(X, params)}, strict=False
    )
    X, y = indexed(X, y)
    target = check_target(y, refuse_integers=True)
    classes = target.classes
    splitter = check_soft_cv(cv, target.values, groups)
    split_params, fit_params = _route(estimator, splitter, groups, params or {})
    refuse_offset(estimator, fit_params, "estimator", "soft_cross_val_predict")
    y = target.y if target.hard else y
    splits = list(splitter.split(X, y, **split_params))
    check_partition([test for _, test in splits], num_samples(X))
    parallel = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch=pre_dispatch)
    parts = parallel(
        delayed(_fold)(estimator, X, y, train, test, fit_params, method)
        for train, test in splits
    )
    absent = ABSENT[method == "predict_log_proba"]
    probas = [
        # The columns of an array are the model's classes, whatever it calls them.
        spread(known, proba, classes, absent, ("A model", "y"))
        if target.named or len(known) != len(classes)
        else proba
        for known, proba in parts
    ]
    out = np.empty((len(target), len(classes)), dtype=np.result_type(*probas))
    for (_, test), proba in zip(splits, probas, strict=True):
        out[test] = proba
    # A classifier may have taken rows of 0 and 1 for several labels at once.
    rows = out if method == "predict_proba" else np.exp(out)
    check_rows(rows, f"{type(estimator).__name__}.predict_proba")
    return out


def _fold(estimator, X, y, train, test, params, method):
    predict = partial(predict_columns, method=method)
    model, proba = fit_and_predict(estimator, X, y, train, take(X, test), params, predict)
    return model.classes_, proba


def _route(estimator, splitter, groups, params):
    """Return what to pass to ``split`` and to ``fit``."""
    if not get_config()["enable_metadata_routing"]:
        return {} if groups is None else {"groups": groups}, params
    if groups is not None:
        raise ValueError(
            "With metadata routing enabled, pass groups in params: params={'groups': groups}."
        )
    router = (
        MetadataRouter(owner="soft_cross_val_predict")
        .add(
            splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split")
        )
        .add(
            estimator=estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit")
        )
    )
    routed = process_routing(router, "fit", **params)
    return routed.splitter.split, routed.estimator.fit
