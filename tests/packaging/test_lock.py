"""The lock files: complete, exact, with hashes, and no registry's address. `make lock` writes them."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "packaging" / "lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>.+?))? \\$", re.MULTILINE)

WANTED = [
    *[("run", line) for line in (*PROJECT["dependencies"], *EXTRAS["serve"]) if "llama-cpp-python" not in line],
    *[("test", line) for line in (*PROJECT["dependencies"], *EXTRAS["dev"]) if "llama-cpp-python" not in line],
    *[("frozen", line) for line in EXTRAS["frozen"]],
]


@pytest.mark.parametrize(("lock", "requirement"), WANTED)
def test_what_the_project_needs_is_locked_to_a_version_that_fits(lock, requirement):
    wanted = Requirement(requirement)
    versions = [version for name, version in pins(lock) if name == canonicalize_name(wanted.name)]
    assert any(version in wanted.specifier for version in versions), "run make lock"


@pytest.mark.parametrize("lock", ["run", "test", "frozen", "llama"])
def test_every_package_has_its_hashes_and_no_address(lock):
    text = (LOCKS / f"{lock}.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index-url" not in text


def test_tests_run_with_what_the_program_runs_with_and_llama_cpp_is_the_version_that_the_project_names():
    assert set(pins("run")) <= set(pins("test"))
    (pinned,) = pins("llama")
    assert f"{pinned[0]}=={pinned[1]}" in PROJECT["dependencies"]


def test_pyside_is_capped_only_where_it_is_faulty():
    caps = {str(Requirement(line).marker): line for line in PROJECT["dependencies"] if line.startswith("PySide6")}
    assert "<6.12" in caps['python_version < "3.12"']
    assert "<" not in caps['python_version >= "3.12"'].split(";")[0]


def pins(lock: str) -> list[tuple[str, str]]:
    text = (LOCKS / f"{lock}.txt").read_text()
    return [(canonicalize_name(found["name"]), found["version"]) for found in PIN.finditer(text)]
