"""What packages and citations say of Baton agrees with pyproject.toml, and the licences of others are named."""

import re
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

import pytest

from baton_reasoning.core.version import version
from frozen.notices import of_package
from release_notes import DAY, ENTRY

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "packaging" / "frozen"
APPLICATION = "io.github.baton_reasoning.Baton"


def test_the_citation_names_this_version() -> None:
    found = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] == version()


def test_appstream_names_this_version_first() -> None:
    release = metainfo().find("releases/release")
    assert release is not None
    assert release.get("version") == version()


def test_a_release_has_the_same_day_in_appstream_and_changelog() -> None:
    entry = ENTRY.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    release = metainfo().find("releases/release")
    assert entry
    assert release is not None
    released = DAY.fullmatch(entry["day"])  # before, AppStream wants a day all the same
    assert not released or release.get("date") == entry["day"]


def test_desktop_file_icon_and_appstream_share_one_identifier() -> None:
    desktop = (FROZEN / f"{APPLICATION}.desktop").read_text(encoding="utf-8")
    assert f"\nIcon={APPLICATION}\n" in desktop
    assert metainfo().findtext("id") == APPLICATION
    assert metainfo().findtext("launchable") == f"{APPLICATION}.desktop"


@pytest.mark.parametrize("name", ["llama-cpp-python", "numpy", "ziafont", "pydantic", "tqdm"])
def test_a_notice_holds_the_text_of_the_licence(name: str) -> None:
    notice = of_package(distribution(name))
    assert notice.startswith(f"{distribution(name).metadata['Name']} {distribution(name).version}: ")
    assert re.search(r"permission|licen[cs]e", notice.split("\n", 2)[2], re.IGNORECASE)


def metainfo() -> ElementTree.Element:
    return ElementTree.parse(FROZEN / f"{APPLICATION}.metainfo.xml").getroot()
