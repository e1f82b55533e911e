"""From checked data to coefficients: the objective of a data set, and who minimises it."""

import warnings
from functools import cache

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite
from threadpoolctl import ThreadpoolController

from sklkl.divergences import entropy
from sklkl.linear_model import _lbfgs, _proximal
from sklkl.linear_model._objective import KLObjective, RowBlock

SOLVERS = ("auto", "lbfgs", "proximal")


def check_solver(solver, l1_ratio):
    """Refuse an unknown solver, or one that cannot do what is asked."""
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}; got {solver!r}.")
    if solver == "lbfgs" and l1_ratio > 0.0:
        raise ValueError(
            f"solver='lbfgs' is for a smooth penalty, l1_ratio=0; got l1_ratio={l1_ratio}. "
            "Use solver='auto'."
        )


@cache
def threadpool_controller():
    """Return the thread pools of the libraries in use, looked up once: it takes 3 ms."""
    return ThreadpoolController()


def objective_of(X, terms, *, n_classes, fit_intercept, C, l1_ratio):
    """Return the objective of rows in memory, or in a memory map.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 or float64, any strides.
    terms : list of LossTerm
        One or two.
    n_classes : int
    fit_intercept : bool
    C, l1_ratio : float

    Returns
    -------
    KLObjective
    """
    n_samples, n_features = X.shape
    n_logits = 1 if n_classes == 2 else n_classes
    # The gradient of a term is divided by its temperature twice, if its target is, too.
    total_weight = sum(float(term.weight.sum()) / term.temperature**2 for term in terms)
    # Not weight @ ..., a call of BLAS whose threads would go on waiting actively for more.
    total_entropy = sum(
        float(np.sum(term.weight * entropy(term.target)))
        for term in terms
        if term.target.ndim == 2 and term.divergence == "kl"
    )
    return KLObjective(
        [RowBlock(X, terms, n_logits, fit_intercept)],
        total_weight=total_weight,
        entropy=total_entropy / total_weight,
        n_features=n_features,
        n_logits=n_logits,
        fit_intercept=fit_intercept,
        C=C,
        l1_ratio=l1_ratio,
        n_nonzeros=X.nnz / n_samples if issparse(X) else None,
    )


def solve(objective, start, *, X, solver, tol, max_iter, done=0, callback=None, stacklevel=3):
    """Minimise an objective; warn if the tolerance was not reached.

    Parameters
    ----------
    objective : KLObjective
    start : ndarray
        Coefficients to start from, of the shape of the objective.
    X : {ndarray, CSR matrix}
        Looked at only if the objective is not finite, to say why.
    solver : str
        One of SOLVERS.
    tol : float
    max_iter : int
    done : int
        Iterations of an earlier stage, which count.
    callback : callable, default=None
        As ``minimize`` has it.
    stacklevel : int
        Of the warning.

    Returns
    -------
    Result
    """
    minimize = _lbfgs.minimize if objective.l1 == 0.0 else _proximal.minimize
    if solver == "proximal":
        minimize = _proximal.minimize

    def run(W, done):
        result = minimize(
            objective,
            W,
            tol=tol,
            max_iter=max_iter - done,
            callback=callback
            and (lambda n, *state: (n > 0 or done == 0) and callback(done + n, *state)),
        )
        result.n_iter += done
        return result

    # Two thread pools that wait actively for each other's cores cost a factor of four.
    with threadpool_controller().limit(limits=1, user_api="blas"):
        result = run(start, done)
        if not (result.converged or result.stopped) and objective.widen():
            # The rounding of float32 was in the way.
            result = run(result.W, result.n_iter)
    if not np.isfinite(result.value):
        assert_all_finite(X, input_name="X")
        raise ValueError(
            "The objective overflows: scale X, whose numbers are too large, or take a "
            "divergence that small probabilities do not make so large (alpha below 1)."
        )
    if not (result.converged or result.stopped):
        warnings.warn(
            f"No convergence in {result.n_iter} iterations: the largest entry of the "
            f"gradient is {result.largest_gradient:.2e}, tol={tol}. Raise max_iter or tol, "
            "scale the features, or penalise the coefficients (a finite C) if classes are "
            "separable.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
    return result
