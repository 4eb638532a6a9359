"""Prints the changelog's entry of a version, for the text of its release: `python packaging/release_notes.py v0.1.0`.

Ends with exit code 1 if the tag is not the version of pyproject.toml, or if the entry is missing or has no day yet.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRY = re.compile(r"^## (?P<version>\S+) \((?P<day>[^)]+)\)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
WRAPPED = re.compile(r"\n +(?=[^ -])")
"""The end of a line inside an item of a list: GitHub would show it as the end of a line."""
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def main() -> int:
    version = sys.argv[1].removeprefix("v")
    try:
        print(notes(version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), project_version()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def notes(version: str, changelog: str, expected: str) -> str:
    """Return the text of a version's entry, or raise ValueError with what must be mended before its release."""
    if version != expected:
        raise ValueError(f"The tag says {version}, pyproject.toml {expected}. Tag v{expected}, or change the version.")
    for entry in ENTRY.finditer(changelog):
        if entry["version"] == version:
            if not DAY.fullmatch(entry["day"]):
                raise ValueError(f"CHANGELOG.md says “{version} ({entry['day']})”. Write the day of the release there.")
            return WRAPPED.sub(" ", entry["text"].strip())
    raise ValueError(f"CHANGELOG.md has no entry “## {version} (YYYY-MM-DD)”.")


def project_version() -> str:
    """Return the version in pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


if __name__ == "__main__":
    sys.exit(main())
