"""Text that every file, database and process accepts."""

from __future__ import annotations


def replace_lone_surrogates(text: str) -> str:
    """The text with each lone surrogate as "?": models and JSON files contain them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
