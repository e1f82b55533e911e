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
    printed = []
    for code in blocks(page, "python"):
        exec(compile(code, page, "exec"), {})
        printed.append(capsys.readouterr().out)
        assert printed[-1]
        assert "nan" not in printed[-1]
    for shown in blocks(page, "text"):
        assert shown in printed


@each_page_with("pycon")
def test_sessions(page):
    skip_without_extra(page)
    text = "\n".join(blocks(page, "pycon"))
    session = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    failures = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(session, out=failures.append)
    assert not failures, "".join(failures)
