"""What the built pages must hold: sphinx-build -W -b html docs docs/_build/html, then this."""

import importlib
import re
from pathlib import Path

import pytest

HTML = Path(__file__).parent / "_build" / "html"
PACKAGE = Path(__file__).parents[1] / "sklkl"
MODULES = sorted(p.parent.name for p in PACKAGE.glob("[a-z]*/__init__.py"))
PAGES = sorted(page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html"))
LOADED = re.compile(
    r'<(?:script|link(?! rel="canonical")|img|iframe)\b[^>]*? '
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
