"""Every test that docs/security.md and docs/reliability.md name exists, and every claim names one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
PAGES = [DOCS / "security.md", DOCS / "reliability.md"]
_NAMED = re.compile(r"`(?:([\w/]*test_\w+\.py)::)?(test_\w+)`")
"""A name without a file is in the file named before it; a file without a folder in the folder before."""


def named_in(text: str) -> list[tuple[Path, str]]:
    found, file = [], Path()
    for path, name in _NAMED.findall(text):
        if path:
            file = TESTS / path if "/" in path else file.with_name(path)
        found.append((file, name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    named = named_in(page.read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [
        f"{file.relative_to(TESTS)}::{name}"
        for file, name in named
        if not file.is_file() or not re.search(rf"^\s*def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not missing


def test_each_threat_of_the_security_page_names_its_test() -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8").partition("## What is stored where")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(rows) > 15
    assert not [row for row in rows if not named_in(row)]


def test_each_fault_that_was_found_names_its_test() -> None:
    text = (DOCS / "reliability.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if re.match(r"\| (F\d+|also) ", line)}
    assert {f"F{number}" for number in range(1, 22)} <= set(rows)
    assert not [row for row in rows.values() if not named_in(row)]
