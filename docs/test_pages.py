"""What the built pages must hold: sphinx-build -W -b html docs docs/_build/html, then this."""

import importlib
import re
from pathlib import Path

import pytest

HTML = Path(__file__).parent / "_build" / "html"
PACKAGE = Path(__file__).parents[1] / "sklkl"
MODULES = sorted(p.parent.name for p in PACKAGE.glob("[a-z]*/__init__.py"))
FOUND = (page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html"))
PAGES = sorted(page for page in FOUND if not page.startswith("_static/"))
LOADED = re.compile(
    r'<(?:script|link(?! rel="canonical")|img|iframe)[^>]*? '
    r'(?:src|href)="(?:https?:)?//([^"]*)'
)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_page(module):
    path = f"sklkl.{module}"
    names = [path, *(f"{path}.{n}" for n in importlib.import_module(path).__all__)]
    assert [name for name in names if f"generated/{name}.html" not in PAGES] == []


def test_nothing_is_loaded_from_elsewhere():
    loaded = {page: LOADED.findall((HTML / page).read_text("utf-8")) for page in PAGES}
    assert "index.html" in loaded
    assert {page: urls for page, urls in loaded.items() if urls} == {}


def test_every_page_is_in_llms_txt():
    linked = re.findall(r"- \[.*?\]\((.*?)\)", (HTML / "llms.txt").read_text("utf-8"))
    without = {"index.html", "genindex.html", "py-modindex.html", "search.html"}
    assert sorted(linked) == sorted(set(PAGES) - without)


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_described(page):
    text = (HTML / page).read_text("utf-8")
    text = re.sub(r'(?s)<div class="sphx-glr-thumbcontainer".*?</a>', "", text)  # with titles
    pictures = re.findall(r"<img\b[^>]*>", text)
    # What has neither text nor titles is called by the name of its file.
    assert [img for img in pictures if not re.search(r' alt="(?!plot )[^"]+"', img)] == []
