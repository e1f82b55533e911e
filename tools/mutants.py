"""Plant small faults in the source, and see which of them the tests find.

``python tools/mutants.py`` plants the faults listed in ``tools/mutants/*.txt``, one at a time,
in a copy of the source tree, compiles it anew where C has changed, and runs the tests named by
the list until some fail. It prints a line for each fault, and at the end those that survived::

    # tests: tests/metrics sklkl/metrics    what to run, in this order
    # build: _rows                          extension modules that a header is part of
    file sklkl/metrics/_losses.py
    - text that occurs once in the file     may go over several lines
    + what to put in its place

Blank lines separate faults; indentation before the first character does not count.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tools" / "mutants"
LIMIT = 150  # seconds of processor time; a fault may turn a loop into an endless one


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old`` becomes ``new`` in a file."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple
    build: tuple


def read(path):
    """Yield the faults of a list; refuse text that does not occur exactly once."""
    tests = build = ()
    file = source = None
    for block in path.read_text().split("\n\n"):
        old, new = [], []
        for line in block.splitlines():
            if line.startswith("# tests:"):
                tests = tuple(line.split()[2:])
            elif line.startswith("# build:"):
                build = tuple(line.split()[2:])
            elif line.startswith("file "):
                file = line.split()[1]
                source = (ROOT / file).read_text()
            elif line.startswith("-"):
                old.append(line[2:])
            elif line.startswith("+"):
                new.append(line[2:])
        if not old:
            continue
        # Of the first line only the text counts, so that lists need not be indented alike.
        before, after = "\n".join(old).lstrip(), "\n".join(new).lstrip()
        count = source.count(before)
        if count != 1 or before == after:
            raise SystemExit(f"{path.name}: {file}: occurs {count} times: {before!r}")
        number = source[: source.index(before)].count("\n") + 1
        change = f"{old[0].strip()} -> {' '.join(new).strip()}"
        name = f"{path.stem}:{Path(file).name}:{number}: {change}"
        yield Mutant(name, file, before, after, tests, build)


def copy_of_the_tree(folder, compile_it):
    """Copy the source tree, and compile it if a fault will be planted in C."""
    ignored = shutil.ignore_patterns(
        ".git", "build", "_build", "generated", "gallery", "__pycache__"
    )
    tree = Path(shutil.copytree(ROOT, folder, ignore=ignored))
    if compile_it and not compiled(tree):
        raise SystemExit("The source does not compile.")
    return tree


def compiled(tree):
    """Compile what is out of date; return whether that went well."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    return subprocess.run(command, cwd=tree, capture_output=True).returncode == 0


def failing(tests, tree, enough=1):
    """Return the first ``enough`` tests that fail, or what else came of them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no"]
    command += ["-rfE", f"--maxfail={enough}"]
    command += [path for path in tests if (tree / path).exists()]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    options = {"capture_output": True, "text": True, "preexec_fn": _limit}
    ended = subprocess.run(command, cwd=tree, env=environment, **options)
    if ended.returncode < 0:
        return ["no end"]
    failed = [
        line.split(" ", 1)[1].split(" - ")[0]
        for line in ended.stdout.splitlines()
        if line.startswith(("FAILED", "ERROR"))
    ]
    return failed or ([f"exit {ended.returncode}"] if ended.returncode else [])


def run(mutant, tree, enough):
    """Return the tests that find the fault, or what else came of it; none if it survives."""
    path = tree / mutant.path
    times = path.stat()
    source = path.read_text()
    path.write_text(source.replace(mutant.old, mutant.new))
    kept = {}
    try:
        if path.suffix != ".py":
            modules = mutant.build if path.suffix == ".h" else (path.stem,)
            for module in modules:
                for binary in [*tree.rglob(f"{module}.*.so")]:  # in build/, too
                    kept[binary] = binary.with_suffix(".kept")
                    binary.rename(kept[binary])
            if path.suffix == ".h":  # or all extensions would be compiled
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
                forget_copies(path, tree)
            if not compiled(tree):
                return ["does not compile"]
        return failing(mutant.tests, tree, enough)
    finally:
        path.write_text(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        forget_copies(path, tree)
        for binary, copy in kept.items():
            copy.replace(binary)


def forget_copies(header, tree):
    """Remove the copies of a header that Cython makes in build/, and renews by their time."""
    for copy in tree.glob(f"build/**/{header.name}"):
        copy.unlink()


def _limit():
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))


def main():
    """Run all faults, or those whose names contain some text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="text that names of faults contain")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--enough", type=int, default=1, help="failing tests to name")
    parser.add_argument("--list", action="store_true", help="only check and count the lists")
    options = parser.parse_args()
    mutants = [m for path in sorted(LISTS.glob("*.txt")) for m in read(path)]
    for text in options.only:
        if not any(text in m.name for m in mutants):
            parser.error(f"No fault has {text!r} in its name.")
    if options.only:
        mutants = [m for m in mutants if any(text in m.name for text in options.only)]
    if options.list:
        print(*(m.name for m in mutants), f"{len(mutants)} faults", sep="\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        trees = SimpleQueue()
        compile_them = any(not m.path.endswith(".py") for m in mutants)
        for job in range(options.jobs):
            trees.put(copy_of_the_tree(Path(folder, str(job)), compile_them))

        def judge_without(tests):
            tree = trees.get()
            if failed := failing(tests, tree):
                print("These fail without any fault:", *failed, sep="\n    ")
            trees.put(tree)
            return not failed

        def judge(mutant):
            tree, start = trees.get(), time.perf_counter()
            try:
                killers = run(mutant, tree, options.enough)
            finally:
                trees.put(tree)
            seconds = time.perf_counter() - start
            word = "killed  " if killers else "SURVIVED"
            print(
                f"{word} {seconds:4.0f} s  {mutant.name}", *killers, sep="\n    ", flush=True
            )
            return bool(killers)

        with ThreadPoolExecutor(options.jobs) as pool:
            if not all(list(pool.map(judge_without, dict.fromkeys(m.tests for m in mutants)))):
                raise SystemExit(1)
            killed = list(pool.map(judge, mutants))
    print(f"{sum(killed)} of {len(killed)} faults killed; these survived:")
    print(*(m.name for m, k in zip(mutants, killed, strict=True) if not k), sep="\n")


if __name__ == "__main__":
    main()
