"""Maps file endings to export formats. A new format is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.export.exported import Exported
from baton_reasoning.core.export.html_page import to_html
from baton_reasoning.core.export.json_file import to_json
from baton_reasoning.core.export.markdown import to_markdown
from baton_reasoning.core.files import make_private

FORMATS: Final[dict[str, Callable[[Exported], str]]] = {"json": to_json, "md": to_markdown, "html": to_html}


def write_file(path: Path, exported: Exported) -> None:
    """Write the format that the path's ending names, readable by its owner alone. Raises StoreError."""
    write = FORMATS.get(path.suffix.lower().removeprefix("."))
    if write is None:
        raise StoreError(f"“{path.suffix}” is not an export format.", f"Choose one of {', '.join(FORMATS)}.")
    try:
        # A lone surrogate, which models write, becomes a question mark; in JSON it is escaped.
        make_private(path)
        path.write_text(write(exported), encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"{path.name} cannot be written: {error.strerror}.", "Choose another folder.") from error
