"""Choose a minimiser, run it, and warn unless it has converged."""

import os
import threading
import warnings
from contextlib import suppress
from functools import cache
from typing import get_args

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from sklkl._core.parameters import check, one_of
from sklkl._core.typing import Solver
from sklkl._optimize import lbfgs, proximal


class SeparationWarning(ConvergenceWarning):
    """Coefficients without a finite optimum, or one that a very weak penalty alone determines.

    Fits without a penalty, or with C from 1e6 on, warn so if features separate classes: if
    some coefficients give no row a lower probability of its classes, and some row a higher
    one, the loss falls for ever as they grow. The message names the classes, and the features
    that separate them alone, or together. It is a ``ConvergenceWarning`` of scikit-learn.

    See Also
    --------
    sklkl.linear_model.SoftLabelLogisticRegression : Whose ``fit`` warns.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from sklkl.linear_model import SeparationWarning, SoftLabelLogisticRegression
    >>> X = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", SeparationWarning)
    ...     try:
    ...         model = SoftLabelLogisticRegression(C=np.inf).fit(X, ["a", "a", "b", "b"])
    ...     except SeparationWarning as warning:
    ...         print(str(warning).split(". ")[0])
    The classes are separable: by 'x0' no row of class 'a' lies above one of another class
    """


def check_solver(solver, l1_ratio):
    """Refuse an unknown solver, or one that cannot do what is asked."""
    check("solver", solver, one_of(get_args(Solver)))
    if solver == "lbfgs" and l1_ratio > 0.0:
        raise ValueError(
            f"solver='lbfgs' is for a smooth penalty, l1_ratio=0; got l1_ratio={l1_ratio}. "
            "Use solver='auto'."
        )


class OneBlasThread:
    """Context in which BLAS has one thread; for fits in several threads, too.

    Threads of BLAS wait actively for more work, on the cores that the kernels need. The limit
    is one of the process: the first fit that begins sets it, the last that ends lifts it. A
    limit for each would restore what another had set, and leave BLAS at one thread for good.
    """

    def __init__(self):
        self.begin()
        if hasattr(os, "register_at_fork"):
            # OpenBLAS sets its limit under a lock of its own: three of 152 children that were
            # made meanwhile waited for it for ever.
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._in_child,
            )

    def begin(self):
        """Begin anew, without any fit."""
        self.lock = threading.RLock()
        self.fits = 0

    def _before_fork(self):
        self.held = self.lock.acquire(timeout=1.0)

    def _in_child(self):
        if self.held and self.fits:  # which go on in the parent alone
            set_threads(self.before)
        self.begin()

    def _after_fork(self):
        with suppress(RuntimeError):  # it was not to be had
            self.lock.release()

    def __enter__(self):
        with self.lock:
            if self.fits == 0:
                before = [(blas, blas.num_threads) for blas in blas_libraries()]
                set_threads([(blas, 1) for blas, _ in before])
                # Another thread may have control, and lift a limit of its own meanwhile.
                self.before = [(blas, n) for blas, n in before if n != blas.num_threads]
            self.fits += 1

    def __exit__(self, *exception):
        with self.lock:
            if self.fits == 0:  # in a child that was made meanwhile
                return
            self.fits -= 1
            if self.fits == 0:
                set_threads(self.before)


one_blas_thread = OneBlasThread()


@cache
def blas_libraries():
    """Return the controllers of BLAS libraries in use, looked up once: it takes 3 ms."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def set_threads(numbers):
    """Set the numbers of threads of BLAS libraries, pairs of a controller and a number.

    From threadpoolctl 3.8 on a thread that does so controls OpenBLAS until it ends: what
    others set is ignored in silence. So control is given up.
    """
    for blas, n in numbers:
        blas.set_num_threads(n)
    for blas, _ in numbers:
        if hasattr(blas, "clear_controlling_thread"):
            blas.clear_controlling_thread()


def solve(objective, start, *, solver, tol, max_iter, done=0, callback=None, stacklevel=3):
    """Return the ``Result`` of minimising from ``start``; warn if ``tol`` was not reached.

    ``done`` is the number of iterations of earlier stages, which count. ``descend`` explains
    ``tol``, ``max_iter`` and ``callback``.
    """
    minimize = lbfgs.minimize if objective.l1 == 0.0 else proximal.minimize
    if solver == "proximal":
        minimize = proximal.minimize
    centered = objective.centered()

    def report(n_iter, W, *state):
        # A later stage begins where the earlier one has ended.
        return (n_iter > 0 or done == 0) and callback(done + n_iter, centered.leave(W), *state)

    with one_blas_thread:
        result = minimize(
            centered,
            centered.enter(start),
            tol=tol,
            max_iter=max_iter - done,
            callback=callback and report,
        )
    result.W = centered.leave(result.W)
    result.n_iter += done
    if not np.isfinite(result.value):
        raise ValueError(objective.why_not_finite())
    why = None if result.stopped else objective.separated(result.W)
    if why is not None:
        warnings.warn(why, SeparationWarning, stacklevel=stacklevel)
    elif not (result.converged or result.stopped):
        if result.value <= objective.unattained:
            what = (
                "All labels are predicted with certainty: the classes are separable, and "
                "without a penalty there is no optimum, or an offset leaves nothing to learn"
            )
        else:
            what = f"Further steps would still change a log-odds by about {result.left:.2g}"
        warnings.warn(
            f"No convergence in {result.n_iter} iterations. {what}; tol={tol}. Raise max_iter "
            "or tol, or penalise the coefficients (a smaller C) if classes are separable.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
    return result


def solve_stages(objectives, start, *, callback=None, stacklevel=3, **options):
    """Minimise objectives one after the other, each from the last solution.

    The last objective is the one to minimise; it need not be convex. The iterations of all
    stages count. Returns the last objective that was reached, and the ``Result`` there.
    """
    W, done = start, 0
    for objective in objectives:
        result = solve(
            objective, W, done=done, callback=callback, stacklevel=stacklevel + 1, **options
        )
        if not result.converged:
            break
        W, done = result.W, result.n_iter
    return objective, result
