"""The text of `baton --version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from baton_reasoning.core.version import version as baton_version


def versions() -> str:
    """Return the versions of Baton, llama-cpp-python, Python and the system in one line."""
    try:
        llama = f"llama-cpp-python {version('llama-cpp-python')}"
    except PackageNotFoundError:
        llama = "llama-cpp-python is not installed"
    return f"Baton {baton_version()} ({llama}, Python {platform.python_version()}, {platform.platform(terse=True)})"
