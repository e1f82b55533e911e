"""Race the divergences against peers: ``python -m benchmarks.divergences``.

Public functions are timed, validation included, with as many threads as each contender uses
by itself and with one. All contenders get the same arrays and are called in turn; times are
medians. Beside them stand the limits of this machine (``benchmarks.limits``). Errors are
relative to mpmath with 60 digits, on rows normalised exactly, the largest over some rows.
``--markdown`` and ``--plot`` write a report and a bar plot.
"""

import argparse
import subprocess
import sys
from itertools import product

import joblib
import mpmath
import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy

from benchmarks import _peers
from benchmarks._report import heading, markdown_table, publish, short
from benchmarks._timing import medians, n_threads, peak_bytes
from benchmarks.limits import divergence_job, limit_of, limits, logits_job, pairwise_job
from sklkl.divergences import kl_divergence
from sklkl.divergences._registry import DIVERGENCES

SHAPES = ((1_000_000, 2), (500_000, 10), (20_000, 1000), (100, 50_257))
FAMILY_SHAPES = ((20_000, 1000), (500_000, 10))
LOGITS_SHAPE = (2000, 50_257)
PAIRWISE_SHAPE = (2000, 100)
DTYPES = (np.float64, np.float32)
PERTURBATIONS = (1e-6, 1e-10)
THREADS = joblib.cpu_count()
PARAMETERS = {"weight": (0.5,), "order": (2, 0.5), "alpha": (0.5,)}


def random_rows(rng, shape, dtype=np.float64):
    """Distributions without zeros."""
    x = rng.random(shape) + 1e-3
    return (x / x.sum(axis=1, keepdims=True)).astype(dtype)


def against_sklkl(times, unit=1.0, limit=None):
    """Cells of each contender: time in ``unit`` seconds, ratio to sklkl, and to the limit."""
    return {
        name: [short(t / unit), f"{t / times['sklkl']:.2f}"]
        + ([short(t / limit)] if limit else [])
        for name, t in times.items()
    }


def exact_kl(p, q):
    """Divergence of two rows of floats after exact normalisation."""
    with mpmath.workdps(60):
        p, q = ([mpmath.mpf(float(x)) for x in row] for row in (p, q))
        p_sum, q_sum = mpmath.fsum(p), mpmath.fsum(q)
        terms = mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))
        return terms / p_sum - mpmath.log(p_sum / q_sum)


def worst_errors(contenders, p, q):
    """For each contender, the largest relative error over rows that differ."""
    exact = [exact_kl(*rows) for rows in zip(p, q, strict=True)]
    worst = {}
    for name, prepare in contenders.items():
        values = np.asarray(prepare(p, q)(), dtype=float)
        errors = [abs((v - e) / e) for v, e in zip(values, exact, strict=True) if e]
        worst[name] = float(max(errors))
    return worst


def accuracy(contenders, rng, p, q):
    """Errors of each contender: random rows, then nearly equal ones."""
    n = min(len(p), max(2, min(100, 20_000 // p.shape[1])))
    columns = [worst_errors(contenders, p[:n], q[:n])]
    for size in PERTURBATIONS:
        if size < np.finfo(p.dtype).eps:
            columns.append(dict.fromkeys(contenders))  # the rows would be the same
            continue
        near = p[:n] * (1 + size * rng.standard_normal((n, p.shape[1])))
        near /= near.sum(axis=1, keepdims=True)
        columns.append(worst_errors(contenders, p[:n], near.astype(p.dtype)))
    return {name: [column[name] for column in columns] for name in contenders}


def race(shapes, repeats, results):
    """Yield a table per shape and dtype; note ns per element and † in ``results``."""
    yield (
        "## Row-wise KL divergence\n\n"
        "ns per element, its ratio to that of sklkl (above 1, sklkl is faster), and to the "
        "limit: that of\nreading both inputs, or of a logarithm per element. Errors are the "
        "largest relative ones over\nsome rows, against 60 digits, of the divergence after "
        "exact normalisation. † marks a contender\nwithout a correct digit on random rows: "
        "its time is no peer's."
    )
    contenders = _peers.installed(_peers.KL)
    header = ["", "ns", "ratio", "× limit", "ns, 1 thread", "ratio", "× limit"]
    header.append("error, random rows")
    header += [f"error, rows {size:.0e} apart" for size in PERTURBATIONS]
    for shape, dtype in product(shapes, DTYPES):
        rng = np.random.default_rng(0)
        p, q = (random_rows(rng, shape, dtype) for _ in range(2))
        ready = {name: prepare(p, q) for name, prepare in contenders.items()}
        cells = {name: [name] for name in contenders}
        for threads in (THREADS, 1):
            with n_threads(threads):
                times = medians(ready, repeats)
            if threads == THREADS:
                elapsed = times
            limit = limit_of(divergence_job(p), threads)
            for name, more in against_sklkl(times, 1e-9 * p.size, limit).items():
                cells[name] += more
        results[shape, dtype] = {}
        for name, errors in accuracy(contenders, rng, p, q).items():
            cells[name] += ["–" if error is None else f"{error:.0e}" for error in errors]
            wrong = not errors[0] < 1
            cells[name][0] += " †" * wrong
            results[shape, dtype][name] = 1e9 * elapsed[name] / p.size, wrong
        title = f"### {shape[0]:,} × {shape[1]:,}, {np.dtype(dtype).name}"
        yield title + "\n\n" + markdown_table(header, cells.values())


def family(shapes, repeats):
    """Yield the table of all divergences."""
    functions = {}
    for d in (d for d in DIVERGENCES if not d.swapped):
        for values in product(*(PARAMETERS[name] for name in d.parameters)):
            own = dict(zip(d.parameters, values, strict=True))
            label = ", ".join([d.spellings[1], *(f"{k}={v}" for k, v in own.items())])
            functions[label] = d.function, own
    header, cells = [""], {label: [label] for label in functions}
    for shape, dtype in product(shapes, DTYPES):
        rng = np.random.default_rng(0)
        p, q = (random_rows(rng, shape, dtype) for _ in range(2))
        ready = {n: lambda f=f, own=own: f(p, q, **own) for n, (f, own) in functions.items()}  # noqa: B023
        times = medians(ready, repeats)
        header.append(f"{shape[0]:,} × {shape[1]:,}, {np.dtype(dtype).name}")
        for label, t in times.items():
            cells[label].append(f"{t / times['kl_divergence']:.2f}")
    text = "## The other divergences\n\nTime as a ratio to that of kl_divergence."
    yield text + "\n\n" + markdown_table(header, cells.values())


def single_pair(repeats):
    """Yield the table of calls with two vectors."""
    p, q = random_rows(np.random.default_rng(0), (2, 10))
    functions = {
        "sklkl": lambda: kl_divergence(p, q),
        "scipy.special.rel_entr(p, q).sum()": lambda: rel_entr(p, q).sum(),
        "scipy.stats.entropy(p, q)": lambda: entropy(p, q),
    }
    times = medians(functions, repeats, number=1000)
    cells = [[name, *more] for name, more in against_sklkl(times, 1e-6).items()]
    text = "## One pair of 10 outcomes\n\nMicroseconds per call."
    yield text + "\n\n" + markdown_table(["", "µs", "ratio"], cells)


def random_logits(shape):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=np.float32) for _ in range(2)]


def print_peak(name, shape):
    """Print the peak of memory that a call adds; to be run in a fresh process."""
    x, y = random_logits(shape)
    prepare = _peers.LOGITS[name][1]
    prepare(x[:2], y[:2])()
    run, before = prepare(x, y), peak_bytes()
    run()
    print(-1 if before is None else peak_bytes() - before)


def peak_cell(name, shape):
    """Peak of memory that a call adds, in MB."""
    code = f"from benchmarks.divergences import print_peak; print_peak({name!r}, {shape})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    peak = int(done.stdout)
    return "unknown" if peak < 0 else f"{peak / 1e6:.1f}"


def logits(shape, repeats):
    """Yield the table of divergences from logits."""
    x, y = random_logits(shape)
    contenders = _peers.installed(_peers.LOGITS)
    times = medians({name: prepare(x, y) for name, prepare in contenders.items()}, repeats)
    cells = against_sklkl(times, 1e-3, limit_of(logits_job(x), THREADS))
    rows = [[name, *cells[name], peak_cell(name, shape)] for name in contenders]
    text = f"## From logits, {shape[0]:,} × {shape[1]:,}, float32\n\n"
    text += f"Inputs of 2 × {x.nbytes / 1e6:.1f} MB; memory is what a call adds to them. The "
    text += "limit: two\nexponentials per element, or reading both inputs."
    header = ["", "ms", "ratio", "× limit", "peak memory, MB"]
    yield text + "\n\n" + markdown_table(header, rows)


def pairwise(shape, repeats):
    """Yield the tables of all pairs of rows, without zeros and mostly zeros."""
    P = random_rows(np.random.default_rng(0), shape)
    sparse = P * (np.random.default_rng(1).random(shape) < 0.2)
    sparse[sparse.sum(axis=1) == 0.0, 0] = 1.0
    sparse /= sparse.sum(axis=1, keepdims=True)
    contenders = _peers.installed(_peers.PAIRWISE)
    yield (
        f"## Jensen-Shannon distance of all pairs of {shape[0]:,} rows of {shape[1]:,}\n\n"
        "The limit is that of a logarithm per entry and pair of different rows, where either "
        "is not 0."
    )
    for title, rows in (("without zeros", P), ("80 % zeros", sparse)):
        times = medians({name: f(rows) for name, f in contenders.items()}, repeats)
        cells = against_sklkl(times, 1e-3, limit_of(pairwise_job(rows), THREADS))
        table = [[name, *more] for name, more in cells.items()]
        text = f"### Rows {'of ' * (rows is sparse)}{title}\n\n"
        yield text + markdown_table(["", "ms", "ratio", "× limit"], table)


def plot(results, path):
    """Write a bar plot: a panel per shape and dtype, a bar per contender."""
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(shape for shape, _ in results))
    names = list(next(iter(results.values())))[::-1]
    hatches = ["", "//", "\\\\", "xx", "..", "--", "||", "++", "oo", "**"]
    figure = Figure(figsize=(3 * len(shapes) + 1, 6.5), layout="constrained")
    grid = figure.subplots(2, len(shapes), sharex=True, sharey=True, squeeze=False)
    for axes_row, dtype in zip(grid, DTYPES, strict=True):
        for axes, shape in zip(axes_row, shapes, strict=True):
            values = [results[shape, dtype][name] for name in names]
            bars = axes.barh(names, [ns for ns, _ in values])
            for i, (name, bar) in enumerate(zip(names, bars, strict=True)):
                bar.set(facecolor="0.35" if name == "sklkl" else "0.95", edgecolor="black")
                bar.set_hatch(hatches[(len(names) - 1 - i) % len(hatches)])
            labels = [short(ns) + " †" * wrong for ns, wrong in values]
            axes.bar_label(bars, labels, padding=2, fontsize="small")
            axes.set_title(
                f"{shape[0]:,} × {shape[1]:,}, {np.dtype(dtype).name}", size="medium"
            )
            axes.set_xscale("log")
            axes.margins(x=0.3)
    figure.supxlabel("ns per element, logarithmic; † no correct digit")
    figure.savefig(path, dpi=150)


SECTIONS = {
    "kl": lambda args: race(map(args.sized, SHAPES), args.repeats, args.results),
    "family": lambda args: family(list(map(args.sized, FAMILY_SHAPES)), args.repeats),
    "pair": lambda args: single_pair(args.repeats),
    "logits": lambda args: logits(args.sized(LOGITS_SHAPE), args.repeats),
    "pairwise": lambda args: pairwise(args.sized(PAIRWISE_SHAPE), args.repeats),
}


def main():
    """Print the tables, and write what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--markdown", metavar="PATH", help="write the report there")
    parser.add_argument("--plot", metavar="PATH", help="write a bar plot there")
    parser.add_argument("--quick", action="store_true", help="small arrays: a smoke test")
    args = parser.parse_args()
    args.repeats = 3 if args.quick else 7
    args.results = {}

    def sized(shape):
        return (max(2, shape[0] // 100), min(shape[1], 1000)) if args.quick else shape

    args.sized = sized
    lines = [*_peers.versions(), f"median of {args.repeats} calls"]
    parts = {"title": [heading("Benchmarks of divergences", lines)], "limits": limits(THREADS)}
    publish(parts | {name: SECTIONS[name](args) for name in args.only}, args.markdown)
    if args.plot and args.results:
        plot(args.results, args.plot)


if __name__ == "__main__":
    main()
