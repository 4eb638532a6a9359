"""The versions of Baton (which `pyproject.toml` defines) and of what it runs on."""

from __future__ import annotations

import platform
import sys
import tomllib
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from baton_reasoning.core.text import shell_command

DISTRIBUTION = "baton-reasoning"
"""What the package index and pip call Baton; the commands are `baton` and `baton-window`."""
BINDING = "llama-cpp-python"


def how_to_install(extra: str) -> str:
    """Say how to install the optional packages of one of Baton's extras, in the environment that Baton runs in.

    It names pip where there is one: environments of uv have none, those of pipx in some versions.
    """
    pip = (
        (sys.executable, "-m", "pip", "install")
        if find_spec("pip")
        else ("uv", "pip", "install", "--python", sys.executable)
    )
    return f"Run: {shell_command((*pip, f'{DISTRIBUTION}[{extra}]'))}"


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
