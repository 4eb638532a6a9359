"""The text of an answer: what follows the reasoning."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent

from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.clipboard import copy_text
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.core.thinking.trace import Trace


class AnswerText(RichText):
    def __init__(self, typesetter: Typesetter) -> None:
        super().__init__()
        self.setAccessibleName("Answer")
        self._typesetter = typesetter
        self._is_set = False
        """Whether what is shown is rendered, or waits for its formulas to be."""

    def follow(self, trace: Trace, live: bool) -> bool:
        """Show the answer as it stands; whether there is any."""
        written = "".join(piece.text for piece in trace.pieces if piece.in_answer)
        text = without_tag(written, trace.closed.tag if trace.closed else "", live).lstrip()
        if not text.startswith(self.markdown) or (self._is_set and (live or text != self.markdown)):
            self.set_markdown("")
            self._is_set = False
        if fresh := text[len(self.markdown) :]:
            self.append_live(fresh)
        if text and not live and not self._is_set:
            self._is_set = True
            self._typesetter.prepare(text, self.formula_size, self._set, self)
        return bool(text)

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
    if not tag:
        return text
    *lines, last = text.split("\n")
    words = last.strip()
    is_held = bool(words) and (tag.startswith(words) if live else words == tag)
    return "".join(f"{line}\n" for line in lines if line.strip() != tag) + ("" if is_held else last)
