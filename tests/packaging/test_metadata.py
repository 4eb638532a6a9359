"""Lock files, make, workflows, citation and release notes: what they say of Baton agrees."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from baton_reasoning.core.version import version
from frozen.notices import of_package
from release_notes import DAY, ENTRY, notes, project_version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

# The lock files, which `make lock` writes -----------------------------------------------------------------------------

PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>.+?))? \\$", re.MULTILINE)


def locked(lock: str) -> str:
    return (ROOT / "packaging" / "lock" / f"{lock}.txt").read_text()


def pins(lock: str) -> list[tuple[str, str]]:
    return [(canonicalize_name(found["name"]), found["version"]) for found in PIN.finditer(locked(lock))]


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("run", PROJECT["dependencies"] + EXTRAS["serve"]),
        ("test", PROJECT["dependencies"] + EXTRAS["dev"]),
        ("frozen", EXTRAS["frozen"]),
        ("llama", [line for line in PROJECT["dependencies"] if line.startswith("llama-cpp-python==")]),
    ],
)
def test_what_the_project_needs_is_locked_to_versions_that_fit_with_hashes_and_no_address(lock, requirements):
    for wanted in map(Requirement, requirements):
        name = canonicalize_name(wanted.name)
        versions = [version for pinned, version in pins(lock) if pinned == name]
        is_elsewhere = lock != "llama" and name == "llama-cpp-python"
        assert is_elsewhere or any(version in wanted.specifier for version in versions), "run make lock"
    assert requirements
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", locked(lock).strip()))
    assert "://" not in locked(lock)
    assert "index-url" not in locked(lock)


def test_tests_run_with_what_the_program_runs_with():
    assert set(pins("run")) <= set(pins("test"))


# Make and workflows ---------------------------------------------------------------------------------------------------

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
CALLERS = [
    *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    ROOT / ".ci" / "run",
    ROOT / ".pre-commit-config.yaml",
]
FILE = re.compile(r"(?<![\w/.-])((?:packaging|\.ci|\.github)/[\w./-]*\w)")


@pytest.mark.parametrize("caller", CALLERS, ids=lambda path: path.name)
def test_every_target_and_file_that_is_named_exists(caller):
    text = caller.read_text(encoding="utf-8")
    lines = re.findall(r"(?:run: |entry: |^)make ([^\n|&]+)", text, re.MULTILINE)
    assert {word for line in lines for word in line.split() if "=" not in word} <= TARGETS
    assert [name for name in FILE.findall(text) if not (ROOT / name).exists()] == []


@pytest.mark.skipif(not shutil.which("make"), reason="Windows has no make")
def test_make_alone_lists_every_target_and_each_is_a_command_and_no_file():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^  ([a-z-]+) +(\S.*)$", listed, re.MULTILINE)
    phony = re.search(r"^\.PHONY: ((?:.+\\\n)*.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert {name for name, _ in lines} == TARGETS == set(phony[1].replace("\\", "").split())


# What others read -----------------------------------------------------------------------------------------------------

APPLICATION = "io.github.baton_reasoning.Baton"
FROZEN = ROOT / "packaging" / "frozen"


def test_citation_appstream_and_changelog_name_this_version_and_its_day():
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    metainfo = ElementTree.parse(FROZEN / f"{APPLICATION}.metainfo.xml").getroot()
    release, entry = metainfo.find("releases/release"), ENTRY.search(CHANGELOG)
    assert citation
    assert entry
    assert release is not None
    assert citation[1] == release.get("version") == entry["version"] == version() == project_version()
    assert entry["text"].strip()
    released = DAY.fullmatch(entry["day"])  # before, AppStream wants a day all the same
    assert not released or release.get("date") == entry["day"]
    desktop = (FROZEN / f"{APPLICATION}.desktop").read_text(encoding="utf-8")
    assert f"\nIcon={APPLICATION}\n" in desktop
    assert metainfo.findtext("id") == APPLICATION
    assert metainfo.findtext("launchable") == f"{APPLICATION}.desktop"


@pytest.mark.parametrize("name", ["llama-cpp-python", "numpy", "ziafont", "pydantic", "tqdm"])
def test_a_notice_holds_the_text_of_the_licence(name):
    notice = of_package(distribution(name))
    assert notice.startswith(f"{distribution(name).metadata['Name']} {distribution(name).version}: ")
    assert re.search(r"permission|licen[cs]e", notice.split("\n", 2)[2], re.IGNORECASE)


ENTRIES = """
## 0.2.0 (2027-01-31)

- One gain
  in two lines.
- Another.

## 0.1.0 (not released yet)
"""


def test_an_entry_of_the_changelog_is_the_text_of_a_release():
    assert notes("0.2.0", ENTRIES, "0.2.0") == "- One gain in two lines.\n- Another."
    for tag, expected, problem in [
        ("0.2.0", "0.3.0", "The tag says 0.2.0, pyproject.toml 0.3.0"),
        ("0.1.0", "0.1.0", r"“0.1.0 \(not released yet\)”. Write the day"),
        ("0.3.0", "0.3.0", "has no entry “## 0.3.0"),
    ]:
        with pytest.raises(ValueError, match=problem):
            notes(tag, ENTRIES, expected)
