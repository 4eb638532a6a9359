"""Asks where to save a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget


def file_to_save(parent: QWidget | None, title: str, start: Path, kinds: Mapping[str, str]) -> Path | None:
    """Return the file to write, with the ending of the kind that was chosen; None if the person cancels.

    `kinds`: names of the kinds of file by their ending, such as “.md”. If the name with the ending is taken, the dialog
    opens again with it, and so asks before that file is replaced.
    """
    endings = {f"{name} (*{ending})": ending for ending, name in kinds.items()}
    kind = ""
    while True:
        where, kind = QFileDialog.getSaveFileName(parent, title, str(start), ";;".join(endings), kind)
        if not where:
            return None
        named = Path(where)
        has = named.suffix.lower()
        ending = endings.get(kind) or (has if has in kinds else next(iter(kinds)))
        name = named.stem if has in kinds else named.name
        start = named if has == ending else named.with_name(f"{name}{ending}")
        if start == named or not start.exists():
            return start
