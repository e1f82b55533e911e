"""The objectives of calibration maps: derivatives, by kernels and by NumPy, and samples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from sklkl.calibration import DirichletScaling, TemperatureScaling, VectorScaling
from sklkl.calibration import _objective as objectives
from sklkl.calibration._objective import Data, DirichletObjective, Doubt, ScalingObjective
from sklkl.linear_model._rows import LocalRows
from tests._support.problems import make_problem

MAPS = (TemperatureScaling, VectorScaling, DirichletScaling)


def make_data(n_classes, kind, n_samples=60):
    problem = make_problem(n_classes, n_samples)
    return Data.of(np.log(problem.soft[::-1]), problem.target(kind), problem.weight)


def slope(function, at, h=1e-3):
    """Derivative by each entry, of fourth order."""
    steps = h * np.eye(at.size).reshape(-1, *at.shape)
    return np.array(
        [
            (8.0 * (function(at + s) - function(at - s)) - function(at + 2 * s)
             + function(at - 2 * s)) / (12.0 * h)
            for s in steps
        ]
    )  # fmt: skip


@pytest.mark.parametrize("fused", [0, 32])
@pytest.mark.parametrize(("n_classes", "kind"), [(2, "hard"), (3, "soft"), (5, "hard")])
def test_derivatives(n_classes, kind, fused, monkeypatch):
    monkeypatch.setattr(objectives, "FUSED", fused)
    data, doubt = (
        make_data(n_classes, kind),
        Doubt(0.1, *np.full((2, n_classes), [[0.2], [1e3]])),
    )
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 1 + n_classes), (2, n_classes)):
        objective = ScalingObjective(data, doubt, slopes=0.3, penalty=0.1)
        theta = rng.normal(size=shape)
        gradient = slope(lambda t, f=objective: f(t)[0], theta)
        assert_allclose(objective(theta)[1].ravel(), gradient, atol=1e-9)
        hessian = slope(lambda t, f=objective: f(t)[1].ravel(), theta)
        aa, ab, bb = objective._curvature(theta, True)
        if bb.size:
            bb = bb - 1.0 / n_classes**2  # what makes a shift of all intercepts harmless
        assert_allclose(np.block([[aa, ab], [ab.T, bb]]), hessian, atol=1e-8)


@pytest.mark.parametrize(("n_classes", "kind"), [(3, "soft"), (4, "hard")])
def test_dirichlet_is_vector_scaling_where_the_matrix_is_diagonal(n_classes, kind):
    data, doubt = (
        make_data(n_classes, kind),
        Doubt(0.1, *np.full((2, n_classes), [[0.2], [0.05]])),
    )
    theta = np.random.default_rng(0).normal(size=(2, n_classes))
    value, gradient = ScalingObjective(data, doubt, slopes=0.7, penalty=0.2)(theta)
    center, W = 0.7 * np.eye(n_classes), np.vstack([np.diag(theta[0]), theta[1]])
    found, of_W = DirichletObjective(data, doubt, center, 0.2)(W)
    assert found == pytest.approx(value, rel=1e-12)
    assert_allclose(np.diag(of_W), gradient[0], atol=1e-12)
    assert_allclose(of_W[-1], gradient[1], atol=1e-12)


def test_the_pull_is_least_where_intercepts_are_shifted_to():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3, 10):
        b = rng.normal(size=n_classes)
        doubt = Doubt(0.0, rng.uniform(0.1, 1.0, n_classes), rng.uniform(0.0, 0.3, n_classes))

        def penalty(shift, b=b, doubt=doubt):
            size, width = np.abs(b + shift), doubt.most / doubt.information
            inner = 0.5 * doubt.information * size**2
            return np.where(size < width, inner, doubt.most * (size - 0.5 * width)).sum()

        best = minimize_scalar(penalty, bounds=(-5, 5), method="bounded")
        assert penalty((doubt.shifted(b) - b)[0]) <= best.fun
        assert doubt.pull(b)[0] == pytest.approx(penalty((doubt.shifted(b) - b)[0]))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scaling", MAPS)
def test_a_sample_changes_the_way_and_not_the_end(scaling, n_classes, monkeypatch):
    problem = make_problem(n_classes, 3000)
    q = np.roll(problem.soft, 1, axis=0) + problem.soft**2
    q /= q.sum(axis=1, keepdims=True)
    arguments = q, problem.hard, problem.weight
    expected = scaling(smoothing=0.1).fit(*arguments).predict_proba(q)
    monkeypatch.setattr(objectives, "ENOUGH", 0)  # 1000 rows
    n_rows = []
    evaluate = LocalRows.objective

    def objective(rows, W):
        n_rows.append(len(rows.X))
        return evaluate(rows, W)

    monkeypatch.setattr(LocalRows, "objective", objective)
    found = scaling(smoothing=0.1).fit(*arguments).predict_proba(q)
    assert_allclose(found, expected, atol=1e-6)
    assert set(n_rows) == {1000, 3000}
