"""Baton's version, which `pyproject.toml` defines, its name on the package index, and whether a newer one is out.

GitHub is asked for the last release: nothing is downloaded, and nothing said about this machine.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

DISTRIBUTION = "baton-reasoning"
"""What the package index and pip call Baton; the commands are `baton` and `baton-window`."""
RELEASES = "https://github.com/baton-reasoning/baton/releases"
"""The page for a person."""
LATEST = "https://api.github.com/repos/baton-reasoning/baton/releases/latest"
SECONDS_TO_ANSWER = 10.0


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


def binding_version() -> str:
    """Return the version of llama-cpp-python, which fixes that of llama.cpp; empty if it is not installed."""
    try:
        return installed_version("llama-cpp-python")
    except PackageNotFoundError:
        return ""


def newer_version(address: str = LATEST) -> str:
    """Return the released version if it is newer than this one, else "". Blocks; an answer that never comes is ""."""
    import httpx2
    from packaging.version import InvalidVersion, Version

    try:
        answer = httpx2.get(
            address,
            headers={"User-Agent": "baton", "Accept": "application/vnd.github+json"},
            timeout=SECONDS_TO_ANSWER,
            follow_redirects=True,
        )
        found = Version(str(answer.raise_for_status().json()["tag_name"]))
        return str(found) if found > Version(version()) else ""
    except (httpx2.HTTPError, InvalidVersion, ValueError, KeyError, TypeError):
        return ""
