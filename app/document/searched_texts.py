"""Texts in a scroll area, as the find bar sees them: which there are, what of them is visible, scrolling to a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QScrollArea
from shiboken6 import isValid

from baton_reasoning.app.document import RichText, TextRange


@dataclass(frozen=True)
class SearchedTexts:
    area: QScrollArea
    texts: Callable[[], list[RichText]]
    """From the first to the last."""
    complete: Callable[[], bool]
    """Whether all steps are in their texts: a long answer comes in portions."""
    unfold: Callable[[RichText], object] = lambda _: None
    """Expand a text that is collapsed."""
    build_folded: Callable[[bool], object] = lambda _: None
    """Whether steps are put into their text although they are collapsed."""

    def first_visible(self) -> tuple[RichText, int] | None:
        """Return the first text in the viewport, and the first position in it."""
        for text in self.texts():
            if visible := self.visible_range(text):
                return text, visible.start
        return None

    def visible_range(self, text: RichText, around: int = 0) -> TextRange | None:
        """Return what of a text is in the viewport, or so many pixels `around` it; None if nothing is."""
        if not text.isVisible():
            return None
        above = -text.mapTo(self.area.viewport(), QPoint(0, 0)).y()
        top, bottom = above - around, above + self.area.viewport().height() + around
        if bottom <= 0 or top >= text.height():
            return None
        layout, fuzzy = text.document().documentLayout(), Qt.HitTestAccuracy.FuzzyHit
        start, end = layout.hitTest(QPointF(0, top), fuzzy), layout.hitTest(QPointF(text.width(), bottom), fuzzy)
        return TextRange(max(0, start), max(0, end))

    def reveal(self, text: RichText, position: int) -> None:
        """Expand collapsed steps, and scroll to a position in a text."""
        self.unfold(text)
        QTimer.singleShot(0, self.area, lambda: self._scroll_to(text, position))  # once everything has its place

    def _scroll_to(self, text: RichText, position: int) -> None:
        content = self.area.widget()
        if content is None or not isValid(text):
            return
        cursor = QTextCursor(text.document())
        cursor.setPosition(min(position, text.document().characterCount() - 1))
        place = text.cursorRect(cursor)
        sideways = text.horizontalScrollBar()
        if not 0 <= place.left() < text.viewport().width():  # in a wide table, or in code
            sideways.setValue(sideways.value() + place.left() - text.viewport().width() // 2)
        point = text.mapTo(content, place.topLeft())
        shown, height = self.area.verticalScrollBar().value(), self.area.viewport().height()
        is_visible = shown <= point.y() and point.y() + place.height() <= shown + height
        self.area.ensureVisible(point.x(), point.y(), place.height(), place.height() if is_visible else height // 3)
