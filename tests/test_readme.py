"""The examples of the README and of the guides run as they stand there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": 5, "docs/distillation.md": 4}


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_examples(page, capsys):
    examples = blocks(page, "python")
    assert len(examples) == PAGES[page]
    printed = []
    for code in examples:
        exec(compile(code, page, "exec"), {})
        printed.append(capsys.readouterr().out)
        assert printed[-1]
        assert "nan" not in printed[-1]
    for shown in blocks(page, "text"):
        assert shown in printed
