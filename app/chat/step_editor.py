"""Edits the text of a step where it stands."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QFont, QKeyEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from baton_reasoning.app.toolkit.controls import ElidedLabel, button
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.thinking.trace import Piece

MOST_LINES = 12
EDGES = 20
"""Pixels of the field above and below its lines: padding, border and the document's margin."""
REWRITTEN = "What follows is written again."


class StepEditor(QFrame):
    """A field over a step. Ctrl+Enter goes on from its text, Esc leaves the step as it is."""

    accepted = Signal(str)
    cancelled = Signal()

    def __init__(self, piece: Piece, font: QFont, parent: QWidget) -> None:
        super().__init__(parent)
        self.piece = piece
        set_role(self, Role.FIELD)
        self.edit = QPlainTextEdit(piece.text)
        self.edit.setFont(font)
        self.edit.setAccessibleName("Text of the step")
        self.edit.setAccessibleDescription(f"{REWRITTEN} Ctrl+Enter goes on, Esc cancels.")
        self.edit.installEventFilter(self)
        cancel = button("Cancel", self.cancelled.emit, Role.FLAT, "Leave the step as it is (Esc)", "Cancel editing")
        go_on = button("Go on from here", self._accept, Role.PRIMARY, "Ctrl+Enter")
        row = hbox((ElidedLabel(REWRITTEN, Role.MUTED), 1), cancel, go_on, margins=0)
        self._column = vbox((self.edit, 1), row, margins=(8, 8, 8, 6), spacing=6)
        self.setLayout(self._column)

    def begin(self) -> None:
        """Show it, with the cursor at the end of what is written."""
        self.show()
        self.raise_()
        cursor = self.edit.textCursor()
        cursor.setPosition(len(self.edit.toPlainText().rstrip().encode("utf-16-le")) // 2)
        self.edit.setTextCursor(cursor)
        self.edit.setFocus()

    def height_for(self, width: int) -> int:
        """Return the pixels that show the whole text, or its first lines."""
        self.resize(width, self.height())
        self._column.activate()
        text = self.edit.toPlainText()
        breaks = text[len(text.rstrip()) :].count("\n")  # that end the step
        lines = min(max(1, round(self.edit.document().size().height()) - breaks), MOST_LINES)
        around = self.sizeHint().height() - self.edit.sizeHint().height()
        return around + lines * self.edit.fontMetrics().lineSpacing() + EDGES

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys that are shortcuts of the window."""
        if isinstance(event, QKeyEvent) and event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            is_return = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            goes_on = is_return and bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if goes_on or event.key() == Qt.Key.Key_Escape:
                event.accept()
                if event.type() is QEvent.Type.KeyPress:
                    self._accept() if goes_on else self.cancelled.emit()
                return True
        return super().eventFilter(watched, event)

    def _accept(self) -> None:
        raw = self.edit.document().toRawText()  # the plain text has a blank in place of each no-break space
        self.accepted.emit(raw.replace("\u2029", "\n"))
