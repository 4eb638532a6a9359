"""What packages, citations and release notes say of Baton agrees, and the licences of others are named."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

import pytest

from baton_reasoning.core.version import version
from frozen.notices import of_package
from release_notes import DAY, ENTRY, notes, project_version

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "packaging" / "frozen"
APPLICATION = "io.github.baton_reasoning.Baton"


def test_citation_and_appstream_name_this_version_and_the_day_of_the_changelog():
    found = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    entry = ENTRY.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    release = metainfo().find("releases/release")
    assert found
    assert entry
    assert release is not None
    assert found[1] == release.get("version") == version()
    released = DAY.fullmatch(entry["day"])  # before, AppStream wants a day all the same
    assert not released or release.get("date") == entry["day"]


def test_desktop_file_icon_and_appstream_share_one_identifier():
    desktop = (FROZEN / f"{APPLICATION}.desktop").read_text(encoding="utf-8")
    assert f"\nIcon={APPLICATION}\n" in desktop
    assert metainfo().findtext("id") == APPLICATION
    assert metainfo().findtext("launchable") == f"{APPLICATION}.desktop"


@pytest.mark.parametrize("name", ["llama-cpp-python", "numpy", "ziafont", "pydantic", "tqdm"])
def test_a_notice_holds_the_text_of_the_licence(name):
    notice = of_package(distribution(name))
    assert notice.startswith(f"{distribution(name).metadata['Name']} {distribution(name).version}: ")
    assert re.search(r"permission|licen[cs]e", notice.split("\n", 2)[2], re.IGNORECASE)


def metainfo() -> ElementTree.Element:
    return ElementTree.parse(FROZEN / f"{APPLICATION}.metainfo.xml").getroot()


# The changelog's entry as the text of a release


CHANGELOG = """# Changelog

## 0.2.0 (2027-01-31)

**Seeing**
- One gain
  in two lines.
- Another.

## 0.1.0 (not released yet)

The first version.
"""


def test_the_entry_is_printed_without_its_heading_and_unwrapped():
    assert notes("0.2.0", CHANGELOG, "0.2.0") == "**Seeing**\n- One gain in two lines.\n- Another."


@pytest.mark.parametrize(
    ("version", "expected", "problem"),
    [
        ("0.2.0", "0.3.0", "The tag says 0.2.0, pyproject.toml 0.3.0. Tag v0.3.0, or change the version."),
        ("0.1.0", "0.1.0", "CHANGELOG.md says “0.1.0 (not released yet)”. Write the day of the release there."),
        ("0.3.0", "0.3.0", "CHANGELOG.md has no entry “## 0.3.0 (YYYY-MM-DD)”."),
    ],
)
def test_what_is_not_ready_is_named(version, expected, problem):
    with pytest.raises(ValueError, match=r"\w") as caught:
        notes(version, CHANGELOG, expected)
    assert str(caught.value) == problem


def test_the_changelog_begins_with_the_version_of_the_project():
    entry = ENTRY.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert entry
    assert entry["version"] == project_version()
    assert entry["text"].strip()
