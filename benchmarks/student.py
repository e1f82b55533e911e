"""Race the student against peers: ``python -m benchmarks.student``.

Solvers race to the same objective, the penalised KL divergence of the targets: each with the
loosest setting of its ladder that comes within 1e-6 of the lowest value that any of them
found, relative to it. The gap relative to the cross-entropy, which is larger by the entropy
of the targets, stands beside it. Other sections measure small fits at defaults, a machine
that is busy, how the student grows with its data, its memory, and cross-validation; ``--only``
chooses some, ``--quick`` makes them small. Times stand beside the limits of this machine
(``benchmarks.limits``). ``--markdown`` and ``--plot`` write a report and curves of gap against
time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config
from scipy.sparse import csr_matrix, random_array
from scipy.special import softmax
from sklearn import datasets
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from benchmarks import _student_peers
from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._student_peers import PEERS, Problem
from benchmarks._timing import (
    PAUSE,
    medians,
    n_threads,
    peak_bytes,
    reset_peak,
    status_bytes,
    time_limit,
)
from benchmarks.limits import limit_of, limits, pass_job
from sklkl.linear_model import SoftLabelLogisticRegression, SoftLabelLogisticRegressionCV
from sklkl.metrics import cross_entropy_loss, get_scorer

GOAL = 1e-6
TOL = 1e-4  # of the student where it runs by itself
SLOW = 3.0  # seconds of a fit that is repeated less
CHEAP = 1.0  # seconds of a fit that goes on beyond the goal, for the curves
CASES = (
    {"n": 80_000, "d": 30, "k": 6},
    {"n": 6000, "d": 800, "k": 4},
    {"n": 300_000, "d": 12, "k": 2},
    {"n": 60_000, "d": 40, "k": 8, "condition": 10_000},
)
SPARSE_CASE = {"n": 20_000, "d": 50_000, "k": 20, "density": 0.002}
GROWTH = {
    "n": [{"n": n, "d": 50, "k": 10} for n in (10_000, 100_000, 500_000, 2_000_000)],
    "d": [{"n": 20_000, "d": d, "k": 10} for d in (10, 50, 250, 1000)],
    "k": [{"n": 20_000, "d": 50, "k": k} for k in (2, 10, 50, 250)],
}
MEMORY_CASE = {"n": 2_000_000, "d": 50, "k": 10}
MEMMAP_FEATURES, MEMMAP_CLASSES = 200, 10
CV_CASE = {"n": 20_000, "d": 50, "k": 10}
SMALL = ("iris", "breast_cancer", "digits")


def synthetic(n, d, k, condition=None, density=None, dtype=np.float64, seed=0):
    """Make samples, and softmax of twice a linear function of them plus noise."""
    rng = np.random.default_rng(seed)
    if density:
        X = random_array((n, d), density=density, rng=rng, data_sampler=rng.standard_normal)
        X = csr_matrix(X, dtype=dtype)
    else:
        X = rng.standard_normal((n, d), dtype=dtype)
    W = (rng.standard_normal((d, k)) / np.sqrt(d * (density or 1.0))).astype(dtype)
    y = softmax(2 * (X @ W) + rng.standard_normal((n, k), dtype=dtype), axis=1)
    if condition:
        U, V = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
        X = X @ (U * np.geomspace(1.0, 1.0 / condition, d)) @ V
    return X, y


def describe(n, d, k, condition=None, density=None):
    return (
        f"{n:,} × {d:,}, {k} classes"
        + (f", condition {condition:,}" if condition else "")
        + (f", sparse, {100 * density:g} % full" if density else "")
    )


# The race


@dataclass
class Point:
    """A fit: where on the ladder, how long it took and what it reached."""

    index: int
    seconds: float
    objective: float


class Walk:
    """A solver's way down its ladder: every second step, later perhaps one between.

    Attributes
    ----------
    points : list of Point
    vain : float
        Seconds of the longest fit that was given up, or missed the goal.
    threads : int
        The number that was faster on the first step, one or ``threads``.
    note : str
        What went wrong, if anything.
    """

    def __init__(self, peer, problem, stack, threads):
        self.peer, self.problem = peer, problem
        self.points, self.vain, self.note = [], 0.0, ""
        self.threads = threads if peer.parallel else 1
        self.solve = peer.prepare(problem, stack)

    def fit(self, index, threads=None):
        with n_threads(threads or self.threads):
            return self.solve(*self.peer.ladder[index])

    def step(self, index):
        start = time.perf_counter()
        try:
            fit = self.fit(index)
        except TimeoutError:
            self.vain = max(self.vain, time.perf_counter() - start)
            raise
        objective = self.problem.objective(fit.coef, fit.intercept)
        self.points.append(Point(index, fit.seconds, objective))
        return self.points[-1]

    def choose_threads(self, budget):
        """Find out whether all threads are faster than one, within a third of the budget."""
        if self.threads == 1:
            return
        many, self.threads = self.threads, 1
        with suppress(TimeoutError):
            with time_limit(budget / 6):
                one = self.fit(0).seconds
                if again := one < SLOW:  # the first was the warm-up
                    one = min(self.fit(0).seconds for _ in range(2))
            with time_limit(budget / 6):
                if min(self.fit(0, many).seconds for _ in range(1 + again)) < one:
                    self.threads = many

    def down(self, best, budget, rule):
        """Walk until the goal is reached, or further, or the time is over."""
        end = time.perf_counter() + budget
        with suppress(TimeoutError), time_limit(budget):
            for index in range(0, len(self.peer.ladder), 2):
                point = self.step(index)
                best = min(best, point.objective)
                if rule(point.seconds, point.objective / best - 1.0):
                    break
                if time.perf_counter() + point.seconds > end:
                    break  # the next one would not end in time
        return best

    def goal(self, best):
        """Return the loosest point known to reach the goal, or None."""
        there = [p for p in self.points if p.objective <= best * (1.0 + GOAL)]
        return min(there, key=lambda p: p.index, default=None)

    def refine(self, best, budget):
        """Try the step above the one that reached the goal."""
        point = self.goal(best)
        if point and point.index > 0:
            with suppress(TimeoutError), time_limit(budget):
                self.step(point.index - 1)
        missed = [p.seconds for p in self.points if p.objective > best * (1.0 + GOAL)]
        self.vain = max([self.vain, *missed])


def to_the_end(seconds, gap):
    return False


def to_the_goal(seconds, gap):
    return gap <= GOAL


def beyond(seconds, gap):
    """Stop later where a fit is cheap, for the sake of the curves."""
    return gap <= (1e-4 * GOAL if seconds < CHEAP else GOAL)


def race(problem, args, curves):
    """Yield the table of a problem; return points of all solvers, more for curves."""
    walks, best = {}, np.inf
    with ExitStack() as stack:
        for name, peer in PEERS.items():
            if not peer.found or not peer.suits(problem):
                continue
            walks[name] = walk = Walk(peer, problem, stack, args.threads)
            rule = to_the_end if name == "sklkl" else beyond if curves else to_the_goal
            try:
                walk.choose_threads(args.budget)
                best = walk.down(best, args.budget, rule)
            except (RuntimeError, MemoryError, ValueError) as error:
                if name == "sklkl":
                    raise
                walk.note = f"failed: {type(error).__name__}"
        for walk in walks.values():
            walk.refine(best, args.budget)
        best = min(p.objective for walk in walks.values() for p in walk.points)
        times = repeated(walks, best, args.repeats)
    own = min(p.objective for p in walks["sklkl"].points)
    limit = limit_of(pass_job(problem.X, problem.y, problem.n_classes), args.threads)
    rows = [row(name, walk, best, times, problem, limit) for name, walk in walks.items()]
    header = ["", "setting", "threads", "s", "ratio", "× limit", "gap"]
    header += ["of cross-entropy"] * problem.soft
    text = f"### {problem.title}\n\n" + markdown_table(header, rows)
    if own > best * (1.0 + 1e-3 * GOAL):
        text += f"\n\nA peer found a lower objective than sklkl, by {own / best - 1.0:.1e}."
    yield text
    return {
        name: [
            (p.seconds, p.objective / best - 1.0)
            for p in sorted(walk.points, key=lambda p: p.index)
        ]
        for name, walk in walks.items()
    }


def repeated(walks, best, repeats):
    """Median seconds of each solver at its goal, called in turn; the walk was the warm-up."""
    goals = {name: walk.goal(best) for name, walk in walks.items()}
    goals = {name: point for name, point in goals.items() if point}
    times = {name: [p.seconds] * (p.seconds > SLOW) for name, p in goals.items()}
    for turn in range(repeats):
        for name, point in goals.items():
            if point.seconds <= SLOW or turn < 2:
                time.sleep(PAUSE)
                times[name].append(walks[name].fit(point.index).seconds)
    return {name: statistics.median(t) for name, t in times.items()}


def row(name, walk, best, times, problem, limit):
    """Cells of a solver."""
    if walk.note and not walk.points:
        return [name, walk.note, *["–"] * (5 + problem.soft)]
    point = walk.goal(best)
    if point:
        parameter, value = walk.peer.ladder[point.index]
        ratios = [f"{times[name] / times['sklkl']:.2f}", short(times[name] / limit)]
        cells = [f"{parameter}={value:g}", str(walk.threads), short(times[name]), *ratios]
    else:
        point = min(walk.points, key=lambda p: p.objective, default=Point(0, 0, np.inf))
        cells = [walk.note or "not reached", str(walk.threads), f"> {short(walk.vain)}"]
        cells += ["–", "–"]
    gap = point.objective - best
    cells.append(f"{gap / best:.0e}")
    if problem.soft:
        cells.append(f"{gap / (best + problem.entropy):.0e}")
    return [name, *cells]


def races(title, problems, args, results=None):
    """Yield a heading and the table of each problem."""
    yield (
        f"## {title}\n\n"
        f"Seconds to a gap of {GOAL:g}, their ratio to those of sklkl (above 1, sklkl is\n"
        "faster), and to the limit of one pass over the rows: that of reading X and y, or of\n"
        f"two products with X and a softmax. A solver gets {args.budget:g} s for its ladder;\n"
        "after `>` stands the longest fit of one that did not come so far, with the smallest\n"
        "gap that it reached."
    )
    for problem in problems:
        points = yield from race(problem, args, curves=results is not None)
        if results is not None:
            results[problem.title] = points


def problems_of(cases, soft):
    for case in cases:
        X, y = synthetic(**case)
        y = y if soft else y.argmax(axis=1)
        yield Problem(describe(**case), X, y, case["k"])


def soft(args):
    """Yield races on soft labels."""
    cases = [args.sized(case) for case in CASES]
    title = "Soft labels (scikit-learn: every row once per class, weighted)"
    yield from races(title, problems_of(cases, True), args, args.results)


def hard(args):
    """Yield races on the most probable labels of the same."""
    cases = [args.sized(case) for case in CASES]
    yield from races("Hard labels", problems_of(cases, False), args)


def sparse(args):
    """Yield races on a sparse matrix."""
    case = args.sized(SPARSE_CASE)
    case["d"] //= 10 if args.quick else 1
    yield from races("Sparse, soft labels", problems_of([case], True), args, args.results)
    yield from races("Sparse, hard labels", problems_of([case], False), args)


def real(args):
    """Yield races on small data as it comes, then fits without a penalty."""
    args, problems = argparse.Namespace(**{**vars(args), "budget": args.budget / 3}), []
    for name in ("breast_cancer", "wine", "digits"):
        X, y = real_data(name)
        problems.append(Problem(name, X, y, int(y.max()) + 1))
    yield from races("Real data, not scaled, C=1", problems, args)
    yield (
        "## Real data, not scaled, C=inf\n\nThe classes are separable: the objective, here "
        "the sum of divergences, has no minimum but\nthe infimum 0. Default tolerances, at "
        f"most {_student_peers.MAX_ITER:,} iterations. PyTorch never warns."
    )
    for problem in problems:
        yield unpenalised(replace(problem, C=np.inf), args)


def unpenalised(problem, args):
    """Table of fits that have no minimum to find."""
    rows = []
    limit = limit_of(pass_job(problem.X, problem.y, problem.n_classes), args.threads)
    for name, peer in PEERS.items():
        if not peer.found or not peer.suits(problem):
            continue
        with ExitStack() as stack:
            walk = Walk(peer, problem, stack, args.threads)
            walk.choose_threads(args.budget)
            threads = str(walk.threads)
            try:
                with n_threads(walk.threads), time_limit(args.budget):
                    done = walk.solve(*peer.usual)
                    again = args.repeats if done.seconds < 0.1 * args.budget else 0
                    more = [walk.solve(*peer.usual).seconds for _ in range(again)]
            except TimeoutError:
                rows.append([name, threads, f"> {args.budget:g}", *["–"] * 4])
                continue
        value = problem.objective(done.coef, done.intercept)
        largest = np.abs(done.coef).max()
        seconds = statistics.median(more or [done.seconds])
        cells = [short(seconds), short(seconds / limit)]
        cells += ["yes" if done.warned else "no", f"{value:.2g}", f"{largest:.2g}"]
        rows.append([name, threads, *cells])
    header = ["", "threads", "s", "× limit", "warned", "objective", "largest coefficient"]
    return f"### {problem.title}\n\n" + markdown_table(header, rows)


# The student by itself


def quietly(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def fit_student(X, y, **parameters):
    return quietly(SoftLabelLogisticRegression(**parameters).fit, X, y)


def per_pass(seconds, n_iter, X, y, n_classes, threads):
    """Cells: seconds, iterations, and seconds over the limit of a pass per iteration."""
    limit = limit_of(pass_job(X, y, n_classes), threads)
    return [short(seconds), str(n_iter), short(seconds / (max(1, n_iter) * limit))]


def real_data(name, scaled=False):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.ascontiguousarray(scale(X) if scaled else X, float), y


def small(args):
    """Yield fits of small data at default parameters."""
    rows = []
    for name, scaled, kind in product(SMALL, (False, True), ("hard", "soft")):
        X, y = real_data(name, scaled)
        if kind == "soft":
            y = fit_student(X, y, C=0.1).predict_proba(X)
        problem = Problem("", X, y, int(y.max()) + 1 if kind == "hard" else y.shape[1])
        models = {"sklkl": SoftLabelLogisticRegression(), "sklearn": LogisticRegression()}
        data = {"sklkl": (X, y), "sklearn": problem.rows}
        fits = {who: partial(quietly, model.fit, *data[who]) for who, model in models.items()}
        times = medians(fits, args.repeats)
        exact = fit_student(X, y, tol=1e-10)
        best = problem.objective(exact.coef_, exact.intercept_)
        cells = []
        for who, model in models.items():
            gap = problem.objective(model.coef_, model.intercept_) / best - 1.0
            cells += [short(1e3 * times[who]), f"{gap:.0e}"]
        limit = limit_of(pass_job(X, y, problem.n_classes), args.threads)
        ratios = [f"{times['sklearn'] / times['sklkl']:.2f}", short(times["sklkl"] / limit)]
        rows.append([f"{name}{', scaled' * scaled}, {kind}", *cells, *ratios])
    header = ["", "sklkl, ms", "gap", "scikit-learn, ms", "gap", "ratio", "sklkl, × limit"]
    yield (
        "## Small data at default parameters\n\nMilliseconds, gap of the objective, and "
        "scikit-learn's time over sklkl's. Soft targets are\npredictions of a student at "
        "C=0.1; scikit-learn gets every row once per class, weighted. The\nlimit is that of "
        "one pass over the rows.\n\n" + markdown_table(header, rows)
    )


@contextmanager
def busy_cores():
    """Keep every core busy by other processes."""
    spin = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(os.cpu_count()):
            process = stack.enter_context(subprocess.Popen(spin))
            stack.callback(process.kill)
        time.sleep(0.5)  # until they spin
        yield


def busy(args):
    """Yield fits while other processes keep every core busy."""
    fits = {}
    for name, case in {"large": CASES[0], "small": {"n": 1500, "d": 20, "k": 3}}.items():
        X, y = synthetic(**(args.sized(case) if name == "large" else case))
        labels = y.argmax(axis=1)
        title = describe(**{**case, "n": len(X)})
        fits[f"sklkl, soft, {title}"] = partial(fit_student, X, y)
        fits[f"sklkl, hard, {title}"] = partial(fit_student, X, labels)
        fits[f"scikit-learn, hard, {title}"] = partial(
            quietly, LogisticRegression().fit, X, labels
        )
    quiet = medians(fits, args.repeats)
    with busy_cores():
        loaded = medians(fits, args.repeats)
    rows = [
        [name, short(quiet[name]), short(loaded[name]), f"{loaded[name] / quiet[name]:.1f}"]
        for name in fits
    ]
    yield (
        "## A busy machine\n\nSeconds of a fit at default parameters, alone and while a "
        "process per core does nothing\nbut spin. Half of every core makes a ratio of 2.\n\n"
        + markdown_table(["", "alone, s", "busy, s", "ratio"], rows)
    )


def growth(args):
    """Yield how the time of a fit grows, and what float32 saves."""
    yield (
        f"## Growth of the time of a fit\n\nfloat32, tol={TOL:g}. The limit is that of as "
        "many passes over the rows as there are iterations."
    )
    columns = ["s", "iterations", "× limit"]
    header = ["", *(f"{kind}, {c}" for kind in ("soft", "hard") for c in columns)]
    for cases in GROWTH.values():
        rows = []
        for case in map(args.sized, cases):
            X, y = synthetic(**case, dtype=np.float32)
            targets = {"soft": y, "hard": y.argmax(axis=1)}
            ready = {n: partial(fit_student, X, t, tol=TOL) for n, t in targets.items()}
            cells = []
            for name, seconds in medians(ready, 3).items():
                n_iter = ready[name]().n_iter_
                cells += per_pass(seconds, n_iter, X, targets[name], case["k"], args.threads)
            rows.append([describe(**case), *cells])
        yield markdown_table(header, rows)
    rows = []
    for case in map(args.sized, [*CASES, SPARSE_CASE]):
        X, y = synthetic(**case)
        data = {dtype: (X.astype(dtype), y.astype(dtype)) for dtype in ("float64", "float32")}
        ready = {n: partial(fit_student, *both, tol=TOL) for n, both in data.items()}
        problem = Problem("", X, y, case["k"])
        exact = fit_student(X, y, tol=1e-10)
        best = problem.objective(exact.coef_, exact.intercept_)
        cells = []
        for name, seconds in medians(ready, args.repeats).items():
            model = ready[name]()
            gap = problem.objective(model.coef_, model.intercept_) / best - 1.0
            cells += per_pass(seconds, model.n_iter_, *data[name], case["k"], args.threads)
            cells.append(f"{gap:.0e}")
        rows.append([describe(**case), *cells])
    header = ["", *(f"{dtype}, {c}" for dtype in data for c in (*columns, "gap"))]
    text = f"### float32 against float64\n\nSoft labels, tol={TOL:g}.\n\n"
    yield text + markdown_table(header, rows)


# Memory


def in_fresh_process(call, threads):
    """Return what a function of this module prints there, as JSON."""
    code = f"from benchmarks.student import *; {call}"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
    return json.loads(done.stdout)


def memory_of_sklkl(X, y):
    return fit_student(X, y, tol=TOL).n_iter_


def memory_of_rows(X, y):
    n_samples, n_classes = y.shape
    rows = np.repeat(np.arange(n_samples), n_classes)
    labels = np.tile(np.arange(n_classes), n_samples)
    LogisticRegression(max_iter=1).fit(X[rows], labels, y.ravel())


def memory_of_labels(X, labels):
    LogisticRegression(max_iter=1).fit(X, labels)


def memory_of_torch(X, y):
    import torch
    from torch.nn.functional import cross_entropy

    X, y = torch.from_numpy(X), torch.from_numpy(y)
    W = torch.zeros(X.shape[1], y.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([W], max_iter=1, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = cross_entropy(X @ W, y)
        value.backward()
        return value

    optimizer.step(closure)


MEMORY = {
    "sklkl, soft labels": memory_of_sklkl,
    "sklkl, hard labels": memory_of_sklkl,
    "PyTorch L-BFGS, soft labels": memory_of_torch,
    "scikit-learn lbfgs, hard labels": memory_of_labels,
    "scikit-learn lbfgs, every row once per class": memory_of_rows,
}


def print_memory(name, case, threads):
    """Print the peak of memory that a fit adds to its inputs, these, and cells of the time."""
    warnings.simplefilter("ignore")
    for n_samples in (1000, case["n"]):  # the first loads code and starts threads
        X, y = synthetic(**{**case, "n": n_samples}, dtype=np.float32)
        if "hard" in name:
            y = y.argmax(axis=1)
        reset_peak()
        before, start = peak_bytes(), time.perf_counter()
        n_iter = MEMORY[name](X, y)
        seconds, peak = time.perf_counter() - start, peak_bytes() - before
    cells = per_pass(seconds, n_iter, X, y, case["k"], threads) if n_iter else ["–"] * 3
    print(json.dumps([peak, X.nbytes + y.nbytes, cells]))


@contextmanager
def anonymous_peak():
    """Yield a list to which the largest growth of memory that is no file is appended."""
    before, stop = status_bytes("RssAnon") or 0, threading.Event()
    peak, result = [before], []

    def sample():
        while not stop.wait(0.002):
            peak[0] = max(peak[0], status_bytes("RssAnon") or 0)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()
        result.append(peak[0] - before)


def write_memmap(folder, n, d, k):
    """Write samples block by block; return the soft labels."""
    rng = np.random.default_rng(0)
    W = (rng.standard_normal((d, k)) / np.sqrt(d)).astype(np.float32)
    y = np.empty((n, k), np.float32)
    with open(folder / "X", "wb") as file:
        for start in range(0, n, 50_000):
            rows = y[start : start + 50_000]
            X = rng.standard_normal((len(rows), d), dtype=np.float32)
            noise = rng.standard_normal(rows.shape, dtype=np.float32)
            rows[:] = softmax(2 * X @ W + noise, axis=1)
            X.tofile(file)
        if hasattr(os, "posix_fadvise"):
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    np.save(folder / "y.npy", y)


def print_memmap(folder, n, d, in_memory, threads):
    """Print cells and memory of a fit of a memory map, and its coefficients to a file."""
    y = np.load(Path(folder, "y.npy"))
    X = np.memmap(Path(folder, "X"), np.float32, "r", shape=(n, d))
    fit_student(X[:1000], y[:1000])
    if in_memory:
        X = np.array(X)
    start = time.perf_counter()
    with anonymous_peak() as peak:
        model = fit_student(X, y)
    seconds = time.perf_counter() - start
    np.save(Path(folder, f"coef{in_memory}.npy"), model.coef_)
    print(json.dumps([per_pass(seconds, model.n_iter_, X, y, y.shape[1], threads), peak[0]]))


def available_bytes():
    """Memory that is free, or 0 where it is not told."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 0


def memory(args):
    """Yield the peak of memory, and a fit of data on disk."""
    case, rows = args.sized(MEMORY_CASE), []
    for name in MEMORY:
        if name.startswith("PyTorch") and not PEERS["PyTorch L-BFGS"].found:
            continue
        threads = args.threads if name.startswith("sklkl") else 1
        call = f"print_memory({name!r}, {case}, {threads})"
        peak, inputs, cells = in_fresh_process(call, threads)
        rows.append([name, f"{inputs / 1e6:,.0f}", f"{peak / 1e6:,.1f}", *cells])
    yield (
        f"## Memory, {describe(**case)}, float32\n\n"
        f"The peak that a fit adds to its inputs, in a fresh process; sklkl has tol={TOL:g}.\n"
        "The peers make one iteration only, as more take no more; repetition of rows is\n"
        "counted in. The limit is that of as many passes over the rows as iterations.\n\n"
        + markdown_table(["", "inputs, MB", "peak, MB", "s", "iterations", "× limit"], rows)
    )
    size = args.memmap_gb * 1e9
    n, d, k = int(size / (4 * MEMMAP_FEATURES)), MEMMAP_FEATURES, MEMMAP_CLASSES
    with tempfile.TemporaryDirectory() as folder:
        write_memmap(Path(folder), n, d, k)
        fits = available_bytes() > 2 * size
        rows = []
        for in_memory in (False, True)[: 1 + fits]:
            call = f"print_memmap({folder!r}, {n}, {d}, {in_memory}, {args.threads})"
            cells, peak = in_fresh_process(call, args.threads)
            name = "in memory" if in_memory else "memory map"
            rows.append([name, *cells, f"{peak / 1e6:,.1f}"])
        text = "The data does not fit in memory."
        if fits:
            mapped, loaded = (np.load(Path(folder, f"coef{b}.npy")) for b in (False, True))
            difference = np.abs(mapped - loaded).max() / np.abs(loaded).max()
            text = f"The coefficients differ by at most {difference:.0e} of the largest."
    header = ["", "s", "iterations", "× limit", "peak of anonymous memory, MB"]
    yield (
        f"## A memory map of {size / 1e9:g} GB, {describe(n, d, k)}, float32\n\n"
        f"Memory that is no page of the file, sampled every 2 ms. {text}\n\n"
        + markdown_table(header, rows)
    )


# Cross-validation


def cross_validation(args):
    """Yield searches for C: 10 values, 5 folds."""
    grid, folds = np.logspace(-4, 4, 10), 5
    case = args.sized(CV_CASE)
    X, y = synthetic(**{**case, "n": 2 * case["n"]})
    (X, X_test), (y, y_test) = np.split(X, 2), np.split(y, 2)
    kl, log_loss = get_scorer("neg_kl_loss"), "neg_log_loss"
    own = SoftLabelLogisticRegression()
    peer = LogisticRegression(max_iter=_student_peers.MAX_ITER)
    peer_cv = LogisticRegressionCV(
        Cs=grid, cv=folds, scoring=log_loss, max_iter=_student_peers.MAX_ITER
    )
    own_cv = SoftLabelLogisticRegressionCV(Cs=grid, cv=folds, scoring=kl)
    how = {"cv": folds, "error_score": "raise"}
    searches = {
        "SoftLabelLogisticRegressionCV": (own_cv, True),
        "GridSearchCV(SoftLabelLogisticRegression)": (
            GridSearchCV(own, {"C": grid}, scoring=kl, **how),
            True,
        ),
        "GridSearchCV(LogisticRegression)": (
            GridSearchCV(peer, {"C": grid}, scoring=log_loss, **how),
            False,
        ),
        "LogisticRegressionCV": (peer_cv, False),
    }
    text = (
        "One search each, by as many threads or by as many processes, what is faster. All "
        "score by log\nloss, in nats; tolerances are the defaults. The limit is that of one "
        "pass over the rows of each\nfold for each C."
    )
    yield f"## Search for C: {len(grid)} values, {folds} folds, {describe(**case)}\n\n{text}"
    for kind, target in (("hard", y.argmax(axis=1)), ("soft", y)):
        truth = y_test if kind == "soft" else y_test.argmax(axis=1)
        rows, first = [], None
        limit = limit_of(pass_job(X, target, case["k"]), args.threads)
        limit *= len(grid) * (folds - 1)  # fits of all folds see the rows so many times
        for name, (search, takes_soft) in searches.items():
            if kind == "soft" and not takes_soft:
                continue
            seconds, way, model = np.inf, "", None
            for jobs, number in ((1, args.threads), (args.threads, 1)):
                contender = clone(search).set_params(n_jobs=jobs)
                with n_threads(number), parallel_config("loky", inner_max_num_threads=number):
                    Parallel(jobs)([delayed(clone)(own)] * jobs)  # starts the processes
                    start = time.perf_counter()
                    with suppress(TimeoutError), time_limit(min(seconds, 1e6)):
                        quietly(contender.fit, X, target)
                        elapsed = time.perf_counter() - start
                        if elapsed < seconds:
                            seconds, model = elapsed, contender
                            way = f"{jobs} processes" if jobs > 1 else f"{number} threads"
            first = first or seconds
            grid_search = isinstance(model, GridSearchCV)
            C = model.best_params_["C"] if grid_search else np.ravel(model.C_)[0]
            loss = cross_entropy_loss(truth, model.predict_proba(X_test))
            cells = [way, short(seconds), f"{seconds / first:.2f}", short(seconds / limit)]
            rows.append([name, *cells, f"{C:.3g}", f"{loss:.5f}"])
        header = ["", "by", "s", "ratio", "× limit", "C", "log loss of other data"]
        yield f"### {kind.capitalize()} labels\n\n" + markdown_table(header, rows)


# The report


def title(args):
    """Yield what ran where."""
    lines = [
        *_student_peers.versions(),
        f"median of {args.repeats} fits, of 3 if one takes more than {SLOW:g} s; all solvers "
        f"in one process by turns, with at most {args.threads} threads",
    ]
    yield heading("Benchmarks of the student", lines)


def footnotes(args):
    """Yield what does not compare."""
    yield (
        "## Not comparable\n\n"
        "- Conversions, and the repetition of rows, are not timed; validation of inputs is.\n"
        f"- Each solver runs with {args.threads} threads or with one, what is faster on its "
        "first step;\n  scikit-learn's saga and R's glmnet always with one.\n"
        f"- glmnet goes down a path of {_student_peers.PATH} penalties to the one asked for: "
        "with that one alone it\n  often does not converge. It is timed inside R.\n"
        "- newton-cholesky is left out where its Hessian has more than "
        f"{_student_peers.MAX_HESSIAN:,} rows; glum does\n  binary problems only.\n"
        "- Ladders of tolerances go down by factors of about 3, those of iterations\n"
        "  (PyTorch, saga) up by √2: a solver may be that much more exact than asked for.\n"
        "  Real users do not know the best setting before; here every solver does."
    )


def plot(results, path):
    """Write curves of gap against time: a panel per problem, a line per solver."""
    from matplotlib.figure import Figure

    columns = min(3, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.6 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    style = dict(zip(PEERS, "osv^<DP*X", strict=True))
    handles = {}
    for axes, (title, curves) in zip(grid, results.items(), strict=False):
        for name, points in curves.items():
            points = [(t, max(gap, 1e-12)) for t, gap in points if gap < np.inf]
            own = name == "sklkl"
            handles[name] = axes.loglog(
                *zip(*points, strict=True) if points else ([], []),
                marker=style[name],
                color="black" if own else f"C{list(style).index(name)}",
                linewidth=2 if own else 1,
                markersize=4,
            )[0]
        axes.axhline(GOAL, color="0.6", linestyle=":")
        axes.set_title(title, size="medium")
    for axes in grid[len(results) :]:
        axes.set_visible(False)
    figure.supxlabel("seconds of a fit")
    figure.supylabel("relative gap of the objective")
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=150)


SECTIONS = {
    "soft": soft,
    "hard": hard,
    "sparse": sparse,
    "real": real,
    "small": small,
    "busy": busy,
    "growth": growth,
    "memory": memory,
    "cv": cross_validation,
}


def main():
    """Print the tables, and write what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--markdown", metavar="PATH", help="write the report there")
    parser.add_argument("--plot", metavar="PATH", help="write curves of the races there")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--budget", type=float, help="seconds of a ladder: 15, 2 if quick")
    parser.add_argument("--memmap-gb", type=float, default=1.0, help="size of the file")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.repeats = 3 if args.quick else 5
    args.results = {}
    if args.quick:
        args.memmap_gb /= 10
    args.budget = args.budget or (2.0 if args.quick else 15.0)
    args.sized = lambda case: {**case, "n": case["n"] // 10} if args.quick else dict(case)

    for peer in PEERS.values():
        if peer.found and peer.package != "glmnet":
            _student_peers.load(peer.package)  # so that its thread pools are known
    with n_threads(args.threads):
        parts = {"title": title(args), "limits": limits(args.threads)}
        parts |= {name: SECTIONS[name](args) for name in args.only}
        publish(parts | {"footnotes": footnotes(args)}, args.markdown)
    if args.plot and args.results:
        plot(args.results, args.plot)


if __name__ == "__main__":
    main()
