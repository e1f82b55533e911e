"""What pyproject.toml says of the project is repeated nowhere, or the same everywhere."""

import re
import tomllib
from email.message import Message
from pathlib import Path

import pytest

from sklkl._core import home

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "benchmarks", "docs", "examples", "recipe", "sklkl", "tools")
OURS = re.compile(r"https?://[\w./-]*sklkl", re.IGNORECASE)


def test_addresses_are_those_of_the_metadata(monkeypatch):
    stored = Message()
    monkeypatch.setattr(home, "metadata", lambda name: stored)
    assert home.addresses() == {}
    stored["Project-URL"] = "Documentation, https://example.org/a, b"
    stored["Project-URL"] = "Issues, https://example.org/issues"
    assert home.addresses() == {
        "Documentation": "https://example.org/a, b",
        "Issues": "https://example.org/issues",
    }


def test_the_recipe_for_conda_asks_for_the_same_versions():
    if not (recipe := ROOT / "recipe" / "recipe.yaml").exists():
        pytest.skip("not beside a source tree")
    lines = [line.strip() for line in recipe.read_text(encoding="utf-8").splitlines()]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, build = settings["project"], settings["build-system"]
    assert f'version: "{project["version"]}"' in lines
    assert f'python_min: "{project["requires-python"].removeprefix(">=")}"' in lines
    for line in (*project["dependencies"], *build["requires"]):
        assert f"- {line.lower().replace('>=', ' >=')}" in lines


def test_nothing_else_has_an_address_of_ours():
    if not (ROOT / "docs").exists():
        pytest.skip("not beside a source tree")
    files = [p for folder in FOLDERS for p in ROOT.joinpath(folder).rglob("*") if p.is_file()]
    files = [*files, *ROOT.glob("*.md"), *ROOT.glob("*.cff")]
    text = {".cff", ".md", ".py", ".rst", ".yaml", ".yml"}
    built = {"_build", "generated", "gallery"}
    assert [
        str(path)
        for path in files
        if path.suffix in text
        and not built & set(path.parts)
        and OURS.search(path.read_text(encoding="utf-8"))
    ] == []
