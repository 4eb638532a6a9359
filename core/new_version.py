"""Asks GitHub which version of Baton was released last. Downloads nothing, and says nothing about this machine."""

from __future__ import annotations

from baton_reasoning.core.version import version

RELEASES = "https://github.com/baton-reasoning/baton/releases"
"""The page for a person."""
LATEST = "https://api.github.com/repos/baton-reasoning/baton/releases/latest"
SECONDS_TO_ANSWER = 10.0


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
