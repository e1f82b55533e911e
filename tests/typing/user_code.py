"""Code as users write it, for type checkers (``mypy``, ``pyright``); it is not run.

The lines of ``mistakes`` are errors for both.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, assert_type

import numpy as np
from numpy.typing import NDArray

import sklkl
import sklkl.dask
from sklkl import TopK
from sklkl.batches import Batches, predict_to_parquet
from sklkl.calibration import (
    DirichletScaling,
    KLDecomposition,
    SoftCalibratedClassifierCV,
    TemperatureScaling,
    VectorScaling,
    kl_decomposition,
)
from sklkl.distillation import (
    DeferringClassifier,
    DistilledClassifier,
    PooledClassifier,
    munge,
)
from sklkl.divergences import (
    CountsInterval,
    alpha_divergence,
    chi2_divergence,
    divergence_from_logits,
    entropy,
    entropy_from_counts,
    entropy_interval_from_counts,
    gaussian_kl_divergence,
    hellinger_distance,
    jeffreys_divergence,
    jensen_shannon_divergence,
    jensen_shannon_from_counts,
    jensen_shannon_of_several,
    kl_contributions,
    kl_divergence,
    kl_divergence_from_logits,
    kl_from_counts,
    kl_interval_from_counts,
    pairwise_divergences,
    population_stability_index,
    ranked_probability,
    renyi_divergence,
    sampled_kl,
    squared_error,
    total_variation_distance,
)
from sklkl.inspection import (
    DeferralDisplay,
    DivergenceDisplay,
    DivergenceMapDisplay,
    FidelityDisplay,
    ReliabilityDisplay,
    TemperatureDisplay,
    TuningDisplay,
)
from sklkl.linear_model import (
    SoftLabelLogisticRegression,
    SoftLabelLogisticRegressionCV,
    coef_frame,
    coef_inference,
)
from sklkl.metrics import (
    LossInterval,
    calibration_error,
    d2_kl_score,
    d2_score,
    divergence_loss,
    fidelity_report,
    get_scorer,
    get_scorer_names,
    jensen_shannon_loss,
    kl_loss,
    loss_interval,
    make_divergence_scorer,
    make_fidelity_scorer,
)
from sklkl.model_selection import (
    StratifiedSoftKFold,
    StratifiedSoftShuffleSplit,
    soft_cross_val_predict,
)
from sklkl.targets import dawid_skene, vote_shares


def judgements(item: list[str], who: list[str], label: list[str]) -> Any:
    shares = vote_shares(item, label, pseudo_count={"yes": 0.5}, classes=["no", "yes"])
    assert_type(dawid_skene(item, who, label, known={"a": "yes"}).n_iter, int)
    assert_type(calibration_error([0, 1], shares.proba, n_bins=1).high, float)
    assert_type(d2_score([0, 1], shares.proba, divergence="squared_error"), float)
    return shares.proba


Floats: TypeAlias = NDArray[np.floating[Any]]


def divergences(p: NDArray[np.float32], q: list[list[float]]) -> float:
    values = kl_divergence(p, q, base=2)
    total = float(values.mean()) + float(entropy([0.5, 0.5]))
    total += float(np.sum(renyi_divergence(p, q, order=2)))
    total += float(np.sum(gaussian_kl_divergence([0.0], [1.0])))
    total += float(squared_error(p, q).mean()) + float(ranked_probability(p, q)[0])
    total += population_stability_index([3, 1], [2, 2], bins=np.linspace(0.0, 1.0, 5))
    total += jensen_shannon_of_several(q, sample_weight=[1, 2])
    total += float(np.sum(kl_interval_from_counts([30, 10], [20, 20]).high))
    total += float(kl_from_counts([3, 1], [2, 2])) + float(sampled_kl([-1.0], [-2.0]))
    params = {"order": 2}
    pairs = pairwise_divergences(p, divergence="renyi", divergence_params=params)
    return total + float(pairs[0, 1]) + float(kl_contributions(p, q).sum())


def floats_or_arrays(p: NDArray[np.float64], named: Any) -> None:
    """Lists of numbers give floats, lists of lists arrays; an array has any number of axes."""
    one, two = [0.5, 0.5], [[0.5, 0.5], [0.9, 0.1]]
    assert_type(kl_divergence(one, [0.9, 0.1]), float)
    assert_type(kl_divergence(two, one, base=2), Floats)
    assert_type(kl_divergence(p, one), Floats | Any)
    assert_type(entropy(one), float)
    assert_type(entropy(two, axis=0), Floats)
    assert_type(jensen_shannon_divergence(one, one, weight=0.3), float)
    assert_type(renyi_divergence(two, two, order=np.inf), Floats)
    assert_type(chi2_divergence(one, one), float)
    assert_type(jeffreys_divergence(two, one), Floats)
    assert_type(alpha_divergence(p=one, q=one, alpha=0.5), float)
    assert_type(hellinger_distance(one, one), float)
    assert_type(total_variation_distance(two, p), Floats)
    assert_type(kl_divergence_from_logits([0.0, 1.0], [1.0, 0.0], temperature=2), float)
    assert_type(sampled_kl([-1.0], [-2.0], estimator="k2"), float)
    assert_type(kl_from_counts([3, 1], [2, 2]), float)
    assert_type(divergence_from_logits([[0.0, 1.0]], [1.0, 0.0]), Floats)
    assert_type(entropy_from_counts([3, 1]), float)
    assert_type(entropy_interval_from_counts([30, 10]), CountsInterval)
    assert_type(jensen_shannon_from_counts([[3, 1]], [2, 2]), Floats)
    assert_type(kl_interval_from_counts([3, 1], [2, 2]), CountsInterval)
    assert_type(kl_from_counts([3, 1], q=one, estimator="plugin"), float)
    assert_type(kl_from_counts([[3, 1], [2, 2]], [1, 1]), Floats)
    assert_type(kl_contributions(one, one), Floats)
    assert_type(pairwise_divergences(two), Floats)


def losses(y_true: list[str], y_proba: NDArray[np.float64]) -> list[float]:
    weight = np.ones(len(y_true))
    named: list[Callable[..., float]] = [kl_loss, d2_kl_score]
    return [
        *(loss(y_true, y_proba, sample_weight=weight) for loss in named),
        kl_loss(y_true, y_proba, labels=["a", "b"], base=2, on_zero="inf"),
        jensen_shannon_loss(y_true, y_proba, weight=0.3),
        divergence_loss(y_true, y_proba, divergence="alpha", divergence_params={"alpha": 2}),
    ]


def targets(p: NDArray[np.float64], X: NDArray[np.float64], y: Any) -> float:
    """``TopK`` is an array-like: what takes targets takes it."""
    lists = TopK([[0, 2], [1, 0]], [[0.6, 0.3], [0.5, 0.5]], n_classes=3, rest="bucket")
    assert_type(lists[:1], TopK)
    assert_type(lists.to_dense(), Floats)
    assert_type(lists.share, Floats)
    assert_type(TopK.from_dicts([{"a": 0.5}, {"b": 0.5}]), TopK)
    student = SoftLabelLogisticRegression().fit(X, lists)
    assert_type(sklkl.dask.kl_loss(y, X), float)
    assert_type(sklkl.dask.SoftLabelLogisticRegression().fit(X, y).score(X, y), float)
    return kl_loss(lists, p) + student.score(X, lists)


def judgement(y_true: NDArray[np.int64], y_proba: NDArray[np.float64]) -> tuple[float, float]:
    interval = loss_interval(y_true, y_proba, divergence="hellinger", groups=[1, 1, 2])
    assert_type(interval, LossInterval)
    parts = kl_decomposition(y_true, y_proba, method="binning", cv=None)
    assert_type(parts, KLDecomposition)
    return interval.low, parts.refinement


def scorers(teacher: Any, X: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    names = [name for name in get_scorer_names() if name.startswith("neg_")]
    scorer = make_divergence_scorer("renyi", divergence_params={"order": 0.5})
    fidelity = make_fidelity_scorer(teacher, "jensen_shannon", base=2)
    score = float(scorer(teacher, X, y)) + float(fidelity(teacher, X))
    report = fidelity_report(teacher, teacher, X, y, output_dict=True, timing=False)
    score += float(report["fidelity"]["kl"])
    return score + float(get_scorer(names[0])(teacher, X, y))


def folds(model: Any, X: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.floating]:
    for train, test in StratifiedSoftKFold(5, shuffle=True, random_state=0).split(X, y):
        model.fit(X[train], y[train]).predict(X[test])
    cv = StratifiedSoftShuffleSplit(3, test_size=0.2)
    return soft_cross_val_predict(model, X, y, cv=3) / cv.get_n_splits()


def students(X: NDArray[np.float64], y: NDArray[np.float64], labels: list[str]) -> float:
    student = SoftLabelLogisticRegression(
        C=10, class_weight={"a": 2}, divergence="alpha", divergence_params={"alpha": 0.5}
    )
    assert_type(student.fit(X, y), SoftLabelLogisticRegression)
    assert_type(student.predict_proba(X), Floats)
    assert_type(student.partial_fit(X, y), SoftLabelLogisticRegression)
    student.fit(X, y, labels=labels, label_weight=np.ones(len(y))).decision_function(X)
    batches = Batches((X, y), batch_size=10, transform=lambda rows: rows + 1)
    n: int = predict_to_parquet(student.fit(batches), "in.csv", "out.parquet", keep=["id"])
    student.max_iter = n
    path = SoftLabelLogisticRegressionCV(Cs=[0.1, 1], cv=3, scoring="kl").fit(X, y)
    assert_type(path, SoftLabelLogisticRegressionCV)
    return student.score(X, y) + float(path.score(X, y, sample_weight=[1.0] * len(X)))


def teachers(teacher: Any, X: NDArray[np.float64], y: list[str]) -> NDArray[np.floating]:
    pool = PooledClassifier({"one": teacher, "two": teacher}, weights={"one": 2, "two": 1})
    model = DistilledClassifier(pool, temperature=2, tune=True, cross_fit=3)
    proba = model.fit(munge(X, 10, random_state=0), teacher_proba=None).predict_proba(X)
    assert_type(model, DistilledClassifier)
    assert_type(model.predict_proba(X), Floats)
    assert_type(TemperatureScaling().fit(X, y), TemperatureScaling)
    assert_type(VectorScaling().fit(X, y).score(X, y), float)
    proba = DirichletScaling(C=1, smoothing=0).fit(proba, y).predict_log_proba(proba)
    calibrated = SoftCalibratedClassifierCV(teacher, method="vector").fit(X, y)
    deferring = DeferringClassifier(model, agreement=0.99, max_divergence=0.1, cv=0.5)
    assert_type(deferring.fit(X, y), DeferringClassifier)
    assert_type(deferring.deferred(X), NDArray[np.bool_])
    coef_inference(model, X, proba, base=coef_frame(model).columns[0])
    return proba + calibrated.predict_proba(X)


def pictures(model: Any, X: NDArray[np.float64], y: NDArray[np.int64]) -> list[object]:
    sklkl.show_config()
    return [
        DeferralDisplay.from_estimator(model).coverage,
        DivergenceDisplay.from_distributions([0.5, 0.5], [0.9, 0.1], names=("P", "Q")).figure_,
        DivergenceMapDisplay.from_divergence("kl", base=2).plot(),
        FidelityDisplay.from_estimator(model, model, X, n_rows=3).worst_rows_,
        ReliabilityDisplay.from_estimator(model, X, y).decomposition.refinement,
        TemperatureDisplay.from_estimator(model, X, y, temperatures=[1, 2]).best_temperature_,
        TuningDisplay.from_estimator(model).figure_,
    ]


def mistakes(y: list[int], p: NDArray[np.float64]) -> None:
    """Each would pass unnoticed, and fail the check, if a signature lost its types."""
    kl_loss(y, p, on_zero="ignore")  # type: ignore[arg-type]
    kl_loss(y, p, divergence="kl")  # type: ignore[call-arg]
    divergence_loss(y, p, divergence=kl_loss)  # type: ignore[arg-type]
    kl_divergence(p)  # type: ignore[call-overload]
    SoftLabelLogisticRegression(solver="sag")  # type: ignore[arg-type]
    SoftLabelLogisticRegression(l1=0.5)  # type: ignore[call-arg]
    DistilledClassifier()  # type: ignore[call-arg]
    PooledClassifier([], pooling="mean")  # type: ignore[arg-type]
    DeferringClassifier(p, reference="student")  # type: ignore[arg-type]
    munge(p, "many")  # type: ignore[arg-type]
    DirichletScaling().fit(p, y, weight=y)  # type: ignore[call-arg]
    kl_from_counts(y, y, estimator="jackknife")  # type: ignore[call-overload]
    sampled_kl(y, y, estimator="k4")  # type: ignore[call-overload]
    kl_divergence(y, y, base="2")  # type: ignore[call-overload]
    gaussian_kl_divergence(p, p, covariance_type="tied")  # type: ignore[arg-type]
    TopK(p, p, 3, rest="drop")  # type: ignore[arg-type]
    loss_interval(y, p, method="exact")  # type: ignore[arg-type]
    soft_cross_val_predict(None, p, y, method="predict")  # type: ignore[arg-type]
    SoftLabelLogisticRegression().fit(p, y, weight=y)  # type: ignore[call-arg]
    sklkl.dask.kl_loss(y, p, divergence="kl")  # type: ignore[call-arg]
    SoftLabelLogisticRegression().partial_fit(p, y, weight=y)  # type: ignore[call-arg]
    loss_interval(y, p).median  # type: ignore[attr-defined]  # noqa: B018
