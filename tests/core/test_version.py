"""Which commands install what is missing."""

import sys

import pytest

from baton_reasoning.core import version
from baton_reasoning.core.text import shell_command


@pytest.mark.parametrize(
    ("has_pip", "words"),
    [(True, [sys.executable, "-m", "pip", "install"]), (False, ["uv", "pip", "install", "--python", sys.executable])],
)
def test_an_extra_is_installed_into_the_environment_that_baton_runs_in_also_where_there_is_no_pip(
    monkeypatch, has_pip, words
):
    monkeypatch.setattr(version, "find_spec", lambda name: object() if has_pip and name == "pip" else None)
    command = shell_command([*words, "baton-reasoning[serve]"])
    assert version.how_to_install("serve") == f"Run: {command}"
