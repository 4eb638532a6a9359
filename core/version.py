"""The versions of Baton (which `pyproject.toml` defines) and of what it runs on, and whether a newer Baton is out.

GitHub is asked for the last release: nothing is downloaded, and nothing said about this machine.
"""

from __future__ import annotations

import platform
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "baton-reasoning"
"""What the package index and pip call Baton; the commands are `baton` and `baton-window`."""
BINDING = "llama-cpp-python"
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
    return installed_version(DISTRIBUTION) or "unknown"


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution; empty if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def versions() -> str:
    """Return the versions of Baton, llama-cpp-python, Python and the system in one line."""
    binding = f"{BINDING} {installed_version(BINDING) or 'missing'}"
    return f"Baton {version()} ({binding}, Python {platform.python_version()}, {platform.platform()})"


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
