"""Keep the numbers of a hundred calls, and compare those of two states of the source.

``python tools/golden.py keep FILE.npz`` runs the calls, at each instruction set, of float32
and of float64 data; ``python tools/golden.py compare OLD.npz NEW.npz`` names the results that
differ in a bit, and by how much. Files of two machines need not agree.
"""

import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np

DIVERGENCES = (
    *("kl", "reverse_kl", "cross_entropy", "jensen_shannon", "jeffreys", "renyi", "alpha"),
    *("chi2", "hellinger", "total_variation", "bhattacharyya", "jensen_shannon_distance"),
    *("squared_error", "ranked_probability"),
)


def calls(dtype):
    """Yield names and results, arrays or numbers."""
    from scipy.sparse import csr_matrix
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sklkl import (
        calibration,
        distillation,
        divergences,
        linear_model,
        metrics,
        model_selection,
    )

    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(7), size=(2, 40)).astype(dtype)
    near = (p * (1 + 1e-6 * rng.normal(size=p.shape))).astype(dtype)
    wide = rng.dirichlet(np.full(1003, 0.05), size=(2, 5)).astype(dtype)
    wide[:, :, ::7] = 0
    wide = np.maximum(wide / wide.sum(axis=-1, keepdims=True), 0)
    own = {"renyi_divergence": {"order": 0.7}, "alpha_divergence": {"alpha": 0.3}}
    row_functions = [
        name
        for name in sorted(divergences.__all__)
        if name.startswith(("kl_divergence", "kl_contributions", "jeffreys", "alpha", "chi2"))
        or name.startswith(("jensen_shannon_d", "renyi", "hellinger", "total", "bhatt"))
        or name in ("cross_entropy", "squared_error", "ranked_probability")
    ]
    for name in row_functions:
        function, options = getattr(divergences, name), own.get(name, {})
        for what, (a, b) in {"far": (p, q), "near": (p, near), "wide": wide}.items():
            if name.endswith("from_logits"):
                a, b = (np.log(np.maximum(x, 1e-30)) for x in (a, b))
            yield f"{name} {what}", function(a, b, **options)
    yield "entropy", divergences.entropy(p, base=2)
    yield "pairwise", divergences.pairwise_divergences(p, q)
    counts = rng.integers(0, 20, size=(2, 6))
    yield "several", divergences.jensen_shannon_of_several(near)
    yield "counts", divergences.kl_from_counts(counts[0] + 1, counts[1] + 1)
    mean, covariance = rng.normal(size=(2, 3)), np.stack([np.eye(3), 2 * np.eye(3)])
    yield (
        "gaussian",
        divergences.gaussian_kl_divergence(mean[0], covariance[0], mean[1], covariance[1]),
    )

    X, y = make_classification(
        400, 12, n_informative=8, n_classes=4, class_sep=0.7, random_state=0
    )
    X = X.astype(dtype)
    soft = GaussianNB(var_smoothing=1e-2).fit(X, y).predict_proba(X).astype(dtype)
    soft = (0.9 * soft + 0.025).astype(dtype)
    weight = rng.exponential(size=len(X))
    proba = rng.dirichlet(np.ones(4), size=400).astype(dtype)
    own = {"renyi": {"order": 0.7}, "alpha": {"alpha": 0.3}}
    for name in DIVERGENCES:
        options = own.get(name, {})
        metric = getattr(metrics, f"{name}_loss", None)
        if metric is None:
            metric = metrics.divergence_loss
            options = {"divergence": name, "divergence_params": options}
        yield f"{name}_loss soft", metric(soft, proba, **options)
        yield f"{name}_loss hard", metric(y, proba, sample_weight=weight, **options)
    yield "d2_kl_score soft", metrics.d2_kl_score(soft, proba)
    yield "d2_kl_score hard", metrics.d2_kl_score(y, proba, sample_weight=weight)
    interval = getattr(metrics, "loss_interval", getattr(metrics, "kl_interval", None))
    found = interval(soft, proba, method="bootstrap", random_state=0, n_resamples=200)
    yield "interval", [found.estimate, found.low, found.high]
    decomposition = getattr(metrics, "kl_decomposition", None) or calibration.kl_decomposition
    for method in ("temperature", "vector", "dirichlet", "binning"):
        parts = decomposition(y, soft, method=method)
        yield (
            f"decomposition {method}",
            [parts.kl, parts.miscalibration, parts.refinement, parts.resolution],
        )

    Student = linear_model.SoftLabelLogisticRegression
    two = np.column_stack([soft[:, :2].sum(axis=1), soft[:, 2:].sum(axis=1)])
    for what, target in {"soft": soft, "hard": y, "two": two, "labels of two": y % 2}.items():
        for kind, data in {"dense": X, "sparse": csr_matrix(X)}.items():
            for options in ({}, {"l1_ratio": 0.5, "C": 0.1}, {"fit_intercept": False}):
                model = Student(**options).fit(data, target, sample_weight=weight)
                key = f"student {what} {kind} {options}"
                yield key, np.column_stack([model.coef_, model.intercept_])
                yield f"{key} predictions", model.predict_proba(data)
        yield f"loss_ {what}", Student().fit(X, target).loss_
    model = Student(class_weight="balanced", C=1e4, tol=1e-8).fit(1e3 * X + 1e5, y)
    yield "student balanced", model.coef_
    yield "inference", Student(C=10).fit(X, soft).coef_inference(X, soft)["std_error"]
    model = Student()
    for rows in np.array_split(rng.permutation(400), 5):
        model.partial_fit(X[rows], soft[rows])
    yield "partial_fit", model.coef_
    model = linear_model.SoftLabelLogisticRegressionCV(Cs=4, cv=3).fit(X, soft)
    yield "path", model.coefs_paths_
    yield "path scores", model.scores_

    for name in ("TemperatureScaling", "VectorScaling", "DirichletScaling"):
        for what, target in {"soft": soft, "hard": y}.items():
            scaling = getattr(calibration, name)().fit(proba, target, sample_weight=weight)
            yield f"{name} {what}", scaling.predict_proba(proba)
    model = calibration.SoftCalibratedClassifierCV(GaussianNB()).fit(X, y)
    yield "calibrated", model.predict_proba(X)

    Distilled = distillation.DistilledClassifier
    forest = RandomForestClassifier(20, min_samples_leaf=3, random_state=0)
    renamed = "cross_fit" in Distilled(None).get_params(deep=False)
    fold = "cross_fit" if renamed else "cv"
    own_divergence = "divergence_params" in Distilled(None).get_params(deep=False)
    beta, alpha = (
        ({"divergence_params": {name: value}} if own_divergence else {old: value})
        for name, old, value in (("weight", "beta", 0.3), ("alpha", "alpha", 0.3))
    )
    auto = {"calibrate": True} if renamed else {"temperature": "auto"}
    for what, options in {
        "plain": {},
        "at 2": {"temperature": 2.0},
        "at 2 with labels": {"temperature": 2.0, "hard_label_weight": 0.3},
        "cross-fitted": {"hard_label_weight": 0.3, fold: 3},
        "calibrated": auto,
        "reverse_kl": {"divergence": "reverse_kl", "smoothing": 0.05},
        "jeffreys": {"divergence": "jeffreys", "smoothing": 0.05},
        "jensen_shannon": {
            "divergence": "jensen_shannon",
            "hard_label_weight": 0.2,
            "temperature": 3.0,
            **beta,
        },
        "alpha": {"divergence": "alpha", "smoothing": 0.05, **alpha},
        "corrected": {"loss_correction": 0.5, "temperature": 2.0},
        "synthetic": {"n_synthetic": 100, "random_state": 0},
    }.items():
        model = Distilled(forest, **options).fit(X, y, sample_weight=weight)
        yield f"distilled {what}", model.predict_proba(X)
    half = np.where(np.arange(400) % 3, y, -1)
    model = Distilled(forest, unlabeled=-1, unlabeled_weight=0.5).fit(X, half)
    yield "distilled pool", model.predict_proba(X)
    student = make_pipeline(StandardScaler(), Student())
    yield "distilled pipeline", Distilled(forest, student).fit(X, y).predict_proba(X)
    student = RandomForestClassifier(5, max_depth=3, random_state=0)
    yield "distilled forest", Distilled(forest, student).fit(X, y).predict_proba(X)
    for pooling in ("arithmetic", "geometric"):
        pool = distillation.PooledClassifier(
            [forest, GaussianNB()], weights="learned", pooling=pooling
        )
        yield f"pool {pooling}", pool.fit(X, y).predict_proba(X)
    yield "munge", distillation.munge(X, 50, random_state=0)
    folds = model_selection.StratifiedSoftKFold(4).split(X, soft)
    yield "folds", np.concatenate([test for _, test in folds])
    yield "out of fold", model_selection.soft_cross_val_predict(Student(), X, soft)


def keep(path):
    """Write the results of this process, at its instruction set."""
    warnings.simplefilter("ignore")
    results = {
        f"{np.dtype(dtype).name} {name}": np.asarray(value)
        for dtype in (np.float32, np.float64)
        for name, value in calls(dtype)
    }
    np.savez(path, **{name.replace("/", ":"): value for name, value in results.items()})


def keep_all(path):
    """Write the results at each instruction set."""
    from sklkl._kernels._rows import available

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for level in available():
            file = os.path.join(folder, "level.npz")
            environment = {**os.environ, "SKLKL_SIMD": level, "OMP_NUM_THREADS": "2"}
            command = [sys.executable, __file__, "keep-level", file]
            subprocess.run(command, check=True, env=environment)
            with np.load(file) as found:
                results |= {f"{level} {name}": found[name] for name in found.files}
    np.savez(path, **results)
    print(f"{len(results)} results")


def compare(old, new):
    """Print the results that differ; return whether any does."""
    with np.load(old) as before, np.load(new) as after:
        names = sorted({*before.files, *after.files})
        bad = 0
        for name in names:
            if name not in before.files or name not in after.files:
                bad += 1
                print(f"only in {old if name in before.files else new}: {name}")
                continue
            a, b = before[name], after[name]
            if a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes():
                continue
            bad += 1
            what = f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
            if a.shape == b.shape:
                with np.errstate(all="ignore"):
                    what = f"by {np.nanmax(np.abs(a - b), initial=0.0):.3g}"
            print(f"differs {what}: {name}")
        print(f"{len(names) - bad} of {len(names)} results have the same bits")
    return bad > 0


if __name__ == "__main__":
    job, *paths = sys.argv[1:]
    sys.exit({"keep": keep_all, "keep-level": keep, "compare": compare}[job](*paths))
