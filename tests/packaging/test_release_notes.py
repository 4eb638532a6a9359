"""The changelog's entry as the text of a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from release_notes import ENTRY, ROOT, notes, project_version

CHANGELOG = """# Changelog

## 0.2.0 (2027-01-31)

**Seeing**
- One gain
  in two lines.
- Another.

## 0.1.0 (not released yet)

The first version.
"""


def test_the_entry_is_printed_without_its_heading_and_unwrapped() -> None:
    assert notes("0.2.0", CHANGELOG, "0.2.0") == "**Seeing**\n- One gain in two lines.\n- Another."


@pytest.mark.parametrize(
    ("version", "expected", "problem"),
    [
        ("0.2.0", "0.3.0", "The tag says 0.2.0, pyproject.toml 0.3.0. Tag v0.3.0, or change the version."),
        ("0.1.0", "0.1.0", "CHANGELOG.md says “0.1.0 (not released yet)”. Write the day of the release there."),
        ("0.3.0", "0.3.0", "CHANGELOG.md has no entry “## 0.3.0 (YYYY-MM-DD)”."),
    ],
)
def test_what_is_not_ready_is_named(version: str, expected: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        notes(version, CHANGELOG, expected)
    assert str(caught.value) == problem


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    entry = ENTRY.search(Path(ROOT, "CHANGELOG.md").read_text(encoding="utf-8"))
    assert entry
    assert entry["version"] == project_version()
    assert entry["text"].strip()
