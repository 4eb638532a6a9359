"""The version has one source."""

from __future__ import annotations

import tomllib
from pathlib import Path

from baton_reasoning.core.version import DISTRIBUTION, version

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_a_checkout_has_name_and_version_of_its_project_file():
    assert (DISTRIBUTION, version()) == (PROJECT["name"], PROJECT["version"])
