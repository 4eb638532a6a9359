"""Baton's version, which `pyproject.toml` defines, and its name on the package index."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

DISTRIBUTION = "baton-reasoning"
"""What the package index and pip call Baton; the commands are `baton` and `baton-window`."""


def how_to_install(extra: str) -> str:
    """Say how to install the optional packages of one of Baton's extras."""
    return f'In the environment that Baton is installed in, run: pip install "{DISTRIBUTION}[{extra}]"'


@cache
def version() -> str:
    """Return the version, such as "0.2.0", of the checkout of this file, else of the installed distribution."""
    checkout = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if checkout.is_file():
        return str(tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return installed_version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
