"""The examples of the README and of the guides run as they stand there."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
}
# Besides directives of Sphinx, which runs the plots. .ci/run follows the README's commands.
LANGUAGES = {"python", "pycon", "text", "sh"}
# The blocks of the first belong together, those of the second need another environment.
ELSEWHERE = {
    "docs/deployment.md": "tests/distillation/test_deployment.py",
    "docs/devices.md": "tests/test_devices.py",
}
NEEDS = {  # packages of extras
    "docs/cluster.md": "distributed",
    "docs/large_data.md": "pyarrow",
    "docs/migration.md": "statsmodels",
}
# Those that fit many models.
LONG = ["directions", "distillation", "model_selection", "scoring", "soft_labels", "tour"]
# A script, and what it prints, where that is shown. These pages show it of each.
SCRIPT = re.compile(
    r"^```python\n(.*?)^```\n(?:\n?```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE
)
WITH_OUTPUT = {"README.md", "docs/index.md"}
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def skip_without_extra(page):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])


def each_page_with(language):
    """Parametrise by the pages with code in a language that is to be run."""
    pages = [page for page in PAGES if blocks(page, language) and page not in ELSEWHERE]
    marks = {f"docs/{page}.md": pytest.mark.slow for page in LONG}
    pages = [pytest.param(page, marks=marks.get(page, ())) for page in pages]
    return pytest.mark.parametrize("page", pages)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_left_out(page):
    assert not re.search(r"^ +```", PAGES[page], re.MULTILINE)  # in a list it would not run
    openings = re.findall(r"^```(.*)\n", PAGES[page], re.MULTILINE)[::2]
    assert {name for name in openings if not name.startswith("{")} <= LANGUAGES


@each_page_with("python")
def test_scripts(page, capsys):
    skip_without_extra(page)
    for code, shown in SCRIPT.findall(PAGES[page]):
        exec(compile(code, page, "exec"), {})
        printed = capsys.readouterr().out
        assert printed
        assert "nan" not in printed
        if shown or page in WITH_OUTPUT:
            assert shown == printed


@each_page_with("pycon")
def test_sessions(page):
    skip_without_extra(page)
    text = "\n".join(blocks(page, "pycon"))
    session = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    failures = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(session, out=failures.append)
    assert not failures, "".join(failures)


def test_picture_of_the_start_page():
    """It shows the models of the script above it."""
    [script] = blocks("docs/index.md", "python")
    start, end = script.index("X, y ="), script.index("alone =")
    assert script[start:end] in (ROOT / "docs/pictures/distilled.py").read_text("utf-8")


def cells(page, section, first):
    """The rows of a section's tables that begin with these cells."""
    text = re.search(rf"^## {section}.*?(?=^## )", PAGES[page], re.DOTALL | re.MULTILINE)[0]
    rows = [[c.strip() for c in r.split("|")[1:-1]] for r in text.splitlines() if r[:1] == "|"]
    return [row for row in rows if re.fullmatch(first, row[0])]


def test_figures_of_the_start_page():
    """They are those of the tables that it links to."""
    index = PAGES["docs/index.md"]
    scipy = cells("docs/benchmarks.md", "Row-wise KL", "SciPy rel_entr")[::2]  # of float64
    lbfgs = cells("docs/benchmarks_student.md", "Soft labels", "scikit-learn lbfgs")
    for ratios in ([float(r[2]) for r in scipy], [float(r[4]) for r in lbfgs if r[4] != "–"]):
        assert f"{min(ratios):.0f} to {max(ratios):.0f} times faster" in index
    teachers = "random forest|gradient boosting|calibrated SVC|network"
    students = cells("docs/benchmarks_distillation.md", "Students", teachers)
    students = [row for row in students if len(row) == 9 and row[1] != "tree, depth 5"]
    better, same, worse = (sum(int(row[i]) for row in students) for i in (3, 4, 5))
    assert f"{better} better, {worse} worse" in index
    assert f"{same} are undecided" in index
    assert f"{better + same + worse} combinations" in index
