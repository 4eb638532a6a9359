"""Writes conversations, and the results of batches, in the format that the ending of a file names.

A new format of a conversation is one module and one line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from baton_reasoning.core.conversation import Conversation
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.export.html_page import to_html
from baton_reasoning.core.export.json_format import to_json
from baton_reasoning.core.export.markdown import to_markdown
from baton_reasoning.core.files import FULL_DISK, replace_text
from baton_reasoning.core.text import safe_json, safe_text

Content = TypeVar("Content")

FORMATS: Final[dict[str, Callable[[Conversation], str]]] = {".json": to_json, ".md": to_markdown, ".html": to_html}
_JSON = (".json", ".jsonl")


def write_file(path: Path, formats: Mapping[str, Callable[[Content], str | Iterable[str]]], content: Content) -> None:
    """Write a text file, readable by its owner alone, in the format that its ending names.

    `formats`: make the text, or its parts, by ending. What a terminal acts on, or turns text around, is escaped in JSON
    and shown as a sign in all else (core/text.py). A file that is there stays until the new one is complete. Raises
    StoreError for a full disk or an ending without a format, SettingsError for a place that cannot be written.
    """
    ending = path.suffix.lower()
    make, safe = formats.get(ending), safe_json if ending in _JSON else safe_text
    if make is None:
        raise StoreError(f"{path.name} is no kind of file that can be written.", f"Use one of {', '.join(formats)}.")
    try:
        text = make(content)
        replace_text(path, map(safe, [text] if isinstance(text, str) else text))
    except OSError as error:
        failure = StoreError if error.errno in FULL_DISK else SettingsError
        raise failure(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error
