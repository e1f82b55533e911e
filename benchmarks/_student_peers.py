"""What the student races against: solvers of L2-penalised logistic regression.

Every solver takes a ``Problem`` and an ``ExitStack`` for what it must clean up, and returns
``fit(name, value) -> Fit``, where the name is that of a parameter which bounds accuracy.
Imports, conversions and the repetition of rows happen before it is returned, so they are not
timed. Solvers with a ladder of iterations have their own tolerance switched off there.
"""

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.sparse import issparse
from scipy.special import log_softmax, xlogy
from sklearn.exceptions import ConvergenceWarning

from benchmarks._timing import threads_of_blas

MAX_ITER = 10_000
MAX_HESSIAN = 6000  # rows of a Hessian that scikit-learn's Newton-Cholesky may hold
TOLERANCES = [float(f"{m}e-{k}") for k in range(1, 16) for m in (1, 0.3)]
ITERATIONS = [round(2 ** (k / 2)) for k in range(5, 33)]
PATH = 5  # glmnet wants to start from larger penalties


@dataclass
class Problem:
    """Data, and the objective that every solver has to minimise.

    It is ``C * sum(KL divergences) + 0.5 * sum(coef**2)``, without a penalty if C is
    infinite. A binary problem has one row of coefficients.

    Attributes
    ----------
    title : str
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float64.
    y : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Codes, or probabilities.
    n_classes : int
    C : float
    """

    title: str
    X: object
    y: np.ndarray
    n_classes: int
    C: float = 1.0

    @property
    def soft(self):
        return self.y.ndim == 2

    @property
    def n_logits(self):
        return self.n_classes if self.n_classes > 2 else 1

    @property
    def penalised(self):
        return np.isfinite(self.C)

    @property
    def factor(self):
        """What multiplies the sum of divergences."""
        return self.C if self.penalised else 1.0

    @cached_property
    def entropy(self):
        """What cross-entropy adds to the objective."""
        return -self.factor * float(xlogy(self.y, self.y).sum()) if self.soft else 0.0

    def objective(self, coef, intercept):
        """Value in float64, by other code than that of any solver; inf if not finite."""
        coef, intercept = np.asarray(coef, float), np.asarray(intercept, float)
        logits = self.X @ coef.T + intercept
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        log_proba = log_softmax(logits, axis=1)
        if self.soft:
            loss = np.sum(xlogy(self.y, self.y) - self.y * log_proba)
        else:
            loss = -np.sum(log_proba[np.arange(len(self.y)), self.y])
        penalty = 0.5 * np.sum(coef**2) if self.penalised else 0.0
        value = float(self.factor * loss + penalty)
        return value if np.isfinite(value) else np.inf

    @cached_property
    def rows(self):
        """``X, y, sample_weight`` with every row once per class where y is soft."""
        if not self.soft:
            return self.X, self.y, None
        n_samples = len(self.y)
        each = np.repeat(np.arange(n_samples), self.n_classes)
        return self.X[each], np.tile(np.arange(self.n_classes), n_samples), self.y.ravel()


@dataclass
class Fit:
    """Seconds, coefficients, intercepts, and whether the solver warned."""

    seconds: float
    coef: np.ndarray
    intercept: np.ndarray
    warned: bool


def timed(model, *args):
    """Fit an estimator."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        model.fit(*args)
        seconds = time.perf_counter() - start
    warned = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return Fit(seconds, np.atleast_2d(model.coef_), model.intercept_, warned)


def sklkl_student(problem, stack):
    from sklkl.linear_model import SoftLabelLogisticRegression

    def fit(name, value):
        model = SoftLabelLogisticRegression(C=problem.C, **{"max_iter": MAX_ITER, name: value})
        return timed(model, problem.X, problem.y)

    return fit


def sklearn_logistic(solver, problem, stack):
    from sklearn.linear_model import LogisticRegression

    X, y, weight = problem.rows

    def fit(name, value):
        stop = {"max_iter": value, "tol": 0.0} if name == "max_iter" else {name: value}
        parameters = {"solver": solver, "C": problem.C, "max_iter": MAX_ITER, **stop}
        return timed(LogisticRegression(random_state=0, **parameters), X, y, weight)

    return fit


def torch_tensor(X):
    """Return ``function(W) = X @ W`` of a tensor W, with its derivative."""
    import torch

    if not issparse(X):
        X = torch.from_numpy(X)
        return lambda W: X @ W

    def csr(A):
        return torch.sparse_csr_tensor(A.indptr, A.indices, A.data, A.shape)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CSR tensors are beta
        A, transposed = csr(X), csr(X.T.tocsr())

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, W):
            return A @ W

        @staticmethod
        def backward(ctx, gradient):
            return transposed @ gradient

    return Product.apply


def torch_lbfgs(problem, stack):
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    torch.optim.LBFGS([torch.zeros(1)])  # the first one imports much of torch
    product, y = torch_tensor(problem.X), torch.from_numpy(problem.y)
    if problem.n_logits == 1:
        loss_of = partial(binary_cross_entropy_with_logits, reduction="sum")
        y = (y[:, 1:] if problem.soft else y[:, None]).to(torch.float64)
    else:
        loss_of = partial(cross_entropy, reduction="sum")

    def fit(name, value):
        stop = {"tolerance_grad": 0.0, "tolerance_change": 0.0} if name == "max_iter" else {}
        parameters = {"max_iter": MAX_ITER, "max_eval": 10**9, **stop, name: value}
        start = time.perf_counter()
        W = torch.zeros(
            problem.X.shape[1], problem.n_logits, dtype=torch.float64, requires_grad=True
        )
        b = torch.zeros(problem.n_logits, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [W, b], history_size=10, line_search_fn="strong_wolfe", **parameters
        )

        def closure():
            optimizer.zero_grad()
            value = problem.factor * loss_of(product(W) + b, y)
            if problem.penalised:
                value = value + 0.5 * W.square().sum()
            value.backward()
            return value

        optimizer.step(closure)
        seconds = time.perf_counter() - start
        return Fit(seconds, W.detach().numpy().T, b.detach().numpy(), False)

    return fit


def glum_irls(problem, stack):
    from glum import GeneralizedLinearRegressor

    X = problem.X.tocsc() if issparse(problem.X) else np.asfortranarray(problem.X)
    y = problem.y[:, 1] if problem.soft else problem.y.astype(float)
    alpha = 1.0 / (problem.C * len(y))

    def fit(name, value):
        stop = {"max_iter": MAX_ITER, name: value}
        return timed(GeneralizedLinearRegressor(family="binomial", alpha=alpha, **stop), X, y)

    return fit


def load(package):
    """Import a peer, without what adelie does to the rest of the process.

    It sets variables that are to bind OpenMP's threads to cores, and this thread to the first.
    """
    with patch.dict(os.environ, OMP_PROC_BIND="FALSE"):
        return import_module(package)


def adelie_irls(problem, stack):
    adelie = load("adelie")
    adelie.logger.logger.setLevel("CRITICAL")  # else it prints what stops a fit
    X = problem.X.tocsc() if issparse(problem.X) else np.asfortranarray(problem.X)
    matrix = adelie.matrix.sparse if issparse(X) else adelie.matrix.dense
    n, d = X.shape
    y = problem.y if problem.soft else np.eye(problem.n_classes)[problem.y]
    if problem.n_logits == 1:
        glm = adelie.glm.binomial(np.ascontiguousarray(y[:, 1]))
    else:
        glm = adelie.glm.multinomial(y)
    # The loss is a mean over rows and logits, and the penalty of a feature covers all logits.
    penalties = [1.0 / (problem.C * n * problem.n_logits)]
    how = {"alpha": 0.0, "lmda_path": penalties, "early_exit": False, "progress_bar": False}

    def fit(name, value):
        threads = threads_of_blas()
        start = time.perf_counter()
        rows = matrix(X, method="naive", n_threads=threads)
        stop = {"n_threads": threads, "irls_tol": value, name: value}
        state = adelie.grpnet(rows, glm, penalty=np.ones(d), **how, **stop)
        seconds = time.perf_counter() - start
        if not len(state.intercepts):  # it holds back what was raised inside
            raise TimeoutError
        coef = state.betas.toarray().reshape(d, problem.n_logits).T
        return Fit(seconds, coef, np.ravel(state.intercepts), False)

    return fit


R_SCRIPT = r"""
suppressMessages({library(glmnet); library(Matrix)})
setwd(commandArgs(TRUE)[1])
m <- source("meta.R")$value
doubles <- function(name, n) readBin(name, "double", n)
integers <- function(name, n) readBin(name, "integer", n)
X <- if (m$nnz < 0) matrix(doubles("X", m$n * m$d), m$n) else new("dgCMatrix",
    i = integers("i", m$nnz), p = integers("p", m$d + 1), x = doubles("X", m$nnz),
    Dim = as.integer(c(m$n, m$d)))
y <- if (m$soft) matrix(doubles("y", m$n * m$k), m$n) else factor(integers("y", m$n))
# A single lambda often does not converge: go down to it from glmnet's own first one.
target <- if (m$soft) y else model.matrix(~ y - 1)
null <- sweep(target, 2, colMeans(target))
top <- 1000 * max(abs(as.matrix(crossprod(X, null)))) / m$n
last <- max(m$lambda, 1e-9 * top)
path <- exp(seq(log(max(top, last)), log(last), length.out = m$path))
path[m$path] <- m$lambda
rm(target, null)
glmnet.control(fdev = 0, devmax = 1)  # or it stops before the last lambda
cat("ready\n")
flush(stdout())
input <- file("stdin", "r")
while (length(thresh <- readLines(input, n = 1)) > 0) {
  warned <- FALSE
  seconds <- system.time(tryCatch(withCallingHandlers(
    fit <- glmnet(X, y, family = if (m$k > 2) "multinomial" else "binomial", alpha = 0,
                  lambda = path, standardize = FALSE, thresh = as.numeric(thresh),
                  maxit = 1e6),
    warning = function(w) { warned <<- TRUE; invokeRestart("muffleWarning") }
  ), error = function(e) { warned <<- TRUE; fit <<- NULL }))[["elapsed"]]
  result <- rep(NaN, if (m$k > 2) m$k * (m$d + 1) else m$d + 1)
  if (!is.null(fit) && length(fit$lambda) == m$path) {
    beta <- if (m$k > 2) fit$beta else list(fit$beta)
    intercept <- if (m$k > 2) fit$a0[, m$path] else fit$a0[m$path]
    result <- c(intercept, unlist(lapply(beta, function(b) b[, m$path])))
  }
  writeBin(as.double(result), "result")
  cat(seconds, as.integer(warned), "\n")
  flush(stdout())
}
"""


@cache
def glmnet_version():
    """Version of R's glmnet, or None."""
    if shutil.which("Rscript") is None:
        return None
    code = 'cat(as.character(packageVersion("glmnet")))'
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def glmnet(problem, stack):
    """Start a process of R that reads the data once and then a threshold per fit."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (n, d), k = problem.X.shape, problem.n_classes
    X = problem.X.tocsc() if issparse(problem.X) else problem.X
    meta = {"n": n, "d": d, "k": k, "soft": int(problem.soft), "path": PATH}
    meta |= {"nnz": X.nnz if issparse(X) else -1, "lambda": 1.0 / (problem.C * n)}
    if issparse(X):
        X.indices.astype(np.int32).tofile(folder / "i")
        X.indptr.astype(np.int32).tofile(folder / "p")
        X.data.tofile(folder / "X")
    else:
        X.T.tofile(folder / "X")
    y = problem.y.T if problem.soft else problem.y.astype(np.int32)
    y.tofile(folder / "y")
    items = ", ".join(f"{name} = {value}" for name, value in meta.items())
    (folder / "meta.R").write_text(f"list({items})")
    (folder / "fit.R").write_text(R_SCRIPT)
    process = stack.enter_context(
        subprocess.Popen(
            ["Rscript", str(folder / "fit.R"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    process.stdout.readline()  # until the data are read

    def fit(name, value):
        process.stdin.write(f"{value}\n")
        process.stdin.flush()
        answer = process.stdout.readline().split()
        if len(answer) != 2:
            raise RuntimeError("R died")
        seconds, warned = answer
        result = np.fromfile(folder / "result")
        intercept, coef = np.split(result, [problem.n_logits])
        return Fit(float(seconds), coef.reshape(-1, d), intercept, warned == "1")

    return fit


@dataclass
class Peer:
    """A solver.

    Attributes
    ----------
    package : str
    prepare : callable
    ladder : list of (str, float)
        Parameters from loose to tight.
    usual : (str, float)
        The parameter at its default.
    suits : callable
        ``suits(problem)``: can it be asked at all?
    parallel : bool
        Can it use more than one thread?
    """

    package: str
    prepare: Callable
    ladder: list
    usual: tuple
    suits: Callable = lambda problem: True
    parallel: bool = True

    @property
    def found(self):
        if self.package == "glmnet":
            return glmnet_version() is not None
        return find_spec(self.package) is not None


def fits_hessian(problem):
    return (problem.X.shape[1] + 1) * problem.n_logits <= MAX_HESSIAN


def ladder(name, values, least=0.0):
    return [(name, value) for value in values if value >= least]


def sklearn_peer(solver, suits=lambda problem: True):
    saga = solver == "saga"
    steps = ladder("max_iter", ITERATIONS) if saga else ladder("tol", TOLERANCES, 1e-10)
    prepare = partial(sklearn_logistic, solver)
    return Peer("sklearn", prepare, steps, ("tol", 1e-4), suits, parallel=not saga)


PEERS = {
    "sklkl": Peer("sklkl", sklkl_student, ladder("tol", TOLERANCES, 1e-10), ("tol", 1e-3)),
    "scikit-learn lbfgs": sklearn_peer("lbfgs"),
    "scikit-learn newton-cg": sklearn_peer("newton-cg"),
    "scikit-learn newton-cholesky": sklearn_peer("newton-cholesky", fits_hessian),
    "scikit-learn saga": sklearn_peer("saga"),
    "PyTorch L-BFGS": Peer(
        "torch", torch_lbfgs, ladder("max_iter", ITERATIONS), ("tolerance_grad", 1e-7)
    ),
    "glum irls-ls": Peer(
        "glum",
        glum_irls,
        ladder("gradient_tol", TOLERANCES, 1e-10),
        ("gradient_tol", 1e-4),
        lambda problem: problem.n_classes == 2,
    ),
    "adelie": Peer(
        "adelie",
        adelie_irls,
        ladder("tol", TOLERANCES),
        ("tol", 1e-7),
        lambda problem: problem.penalised,
    ),
    "R glmnet": Peer(
        "glmnet",
        glmnet,
        ladder("thresh", TOLERANCES),
        ("thresh", 1e-7),
        parallel=False,
    ),
}


def versions():
    """One line per package of a peer: its version, or that it is skipped."""
    found = {peer.package: peer.found for peer in PEERS.values()}
    lines = [f"{p} {version(p)}" for p in ("torch", "glum", "adelie") if found[p]]
    lines += [f"R's glmnet {glmnet_version()}"] if found["glmnet"] else []
    return lines + [f"{p} skipped: not installed" for p, there in found.items() if not there]
