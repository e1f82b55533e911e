"""What the reports of all benchmarks share."""

import io
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import sklkl


def markdown_table(header, rows):
    """Format a table whose first column holds names."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short(x):
    """Three digits, or all before the point."""
    return f"{x:.3g}" if x < 1000 else f"{x:,.0f}"


def cpu_model():
    """Name of the processor where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def heading(title, lines=()):
    """Title of a report, what ran where, and more lines."""
    config = io.StringIO()
    with redirect_stdout(config):
        sklkl.show_config()
    lines = [*config.getvalue().splitlines(), f"processor: {cpu_model()}", *lines]
    return f"# {title}\n\n" + "\n".join(f"- {line}" for line in lines)


def publish(parts, path):
    """Print the sections of all parts, given by name; write them to a path if there is one."""
    sections = []
    for name, part in parts.items():
        start = time.perf_counter()
        for section in part:
            print(section, end="\n\n", flush=True)
            sections.append(section)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if path:
        Path(path).write_text("\n\n".join(sections) + "\n", encoding="utf-8")
