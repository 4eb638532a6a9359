"""The version has one source: pyproject.toml."""

import tomllib
from pathlib import Path

from baton_reasoning.core.version import DISTRIBUTION, version

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_a_checkout_has_the_version_of_its_project_file() -> None:
    assert version() == PROJECT["version"]


def test_the_distribution_is_named_as_in_the_project_file() -> None:
    assert PROJECT["name"] == DISTRIBUTION
