"""The text of an answer: what follows the reasoning."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent

from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.clipboard import copy_text
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.core.thinking.trace import Trace


class AnswerText(RichText):
    def __init__(self, typesetter: Typesetter) -> None:
        super().__init__()
        self.setAccessibleName("Answer")
        self._typesetter = typesetter
        self._length = 0
        """Characters of the answer that were looked at."""
        self._shown = 0
        """Those of them that are shown: not a tag that is repeated."""
        self._trace: Trace | None = None
        self._is_set = False

    def follow(self, trace: Trace, live: bool) -> bool:
        """Show the answer as it stands; whether there is any."""
        written = sum(piece.length for piece in trace.pieces if piece.in_answer)
        if trace is not self._trace or written < self._length or (self._is_set and written > self._length):
            self._trace, self._length, self._shown, self._is_set = trace, 0, 0, False
            self.set_markdown("")
        if written > self._length or (written and not live and not self._is_set):
            text = "".join(piece.text for piece in trace.pieces if piece.in_answer)
            if trace.closed and trace.closed.tag:
                text = without_tag(text, trace.closed.tag, live)
            fresh = text[self._shown :]
            self._length, self._shown = written, len(text)
            self.append_live(fresh if self.markdown.strip() else fresh.lstrip())
        if not live and written and not self._is_set:
            self._is_set = True
            self._typesetter.prepare(self.markdown, self.formula_size, self._set, self)
        return bool(self.markdown.strip())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.createStandardContextMenu(event.pos())
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addSeparator()
        menu.addAction("Copy the answer", lambda: copy_text(self.markdown))
        menu.popup(event.globalPos())

    def _set(self) -> None:
        if self._is_set:
            self.set_markdown(self.markdown)


def without_tag(text: str, tag: str, live: bool) -> str:
    """Remove lines that hold only the tag that closes the thinking, which a confused model repeats.

    `live`: it is still written; a last line that may become the tag is held back, so that what was shown stays.
    """
    *lines, last = text.split("\n")
    words = last.strip()
    is_held = bool(words) and (tag.startswith(words) if live else words == tag)
    return "".join(f"{line}\n" for line in lines if line.strip() != tag) + ("" if is_held else last)
