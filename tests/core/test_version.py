"""The version has one source, and the latest release is asked for at one address."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from baton_reasoning.core.version import DISTRIBUTION, newer_version, version
from tests.fakes.release_server import running_releases

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_a_checkout_has_name_and_version_of_its_project_file() -> None:
    assert (DISTRIBUTION, version()) == (PROJECT["name"], PROJECT["version"])


@pytest.mark.parametrize(
    ("tag", "newer"), [("v99.0.0", "99.0.0"), ("99.1", "99.1"), (f"v{version()}", ""), ("v0.0.1", ""), ("nightly", "")]
)
def test_a_release_is_compared_by_its_number(tag: str, newer: str) -> None:
    with running_releases(json.dumps({"tag_name": tag})) as server:
        assert newer_version(server.address) == newer
    assert server.paths == ["/releases/latest"]


@pytest.mark.parametrize(("body", "status"), [("{}", 200), ("[]", 200), ("<html>", 200), ('{"tag_name": "v99"}', 403)])
def test_any_other_answer_is_no_version(body: str, status: int) -> None:
    with running_releases(body, status) as server:
        assert newer_version(server.address) == ""


def test_without_a_network_there_is_no_version() -> None:
    with running_releases("{}") as server:
        address = server.address
    assert newer_version(address) == ""
