"""The kinds of file, by the ending of their names. A new one is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import StoreError
from core.export.exported import Exported
from core.export.html_page import to_html
from core.export.json_file import to_json
from core.export.markdown import to_markdown

FORMATS: Final[dict[str, Callable[[Exported], str]]] = {"json": to_json, "md": to_markdown, "html": to_html}


def write_file(path: Path, exported: Exported) -> None:
    """In the format that the file's ending names, as UTF-8. Raises StoreError."""
    write = FORMATS.get(path.suffix.lower().removeprefix("."))
    if write is None:
        raise StoreError(f"“{path.suffix}” is no kind of export.", f"Choose one of {', '.join(FORMATS)}.")
    try:
        # Half a surrogate pair, which models do write, becomes a question mark; JSON has it escaped.
        path.write_text(write(exported), encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"{path.name} cannot be written: {error.strerror}.", "Choose another folder.") from error
