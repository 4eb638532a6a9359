"""A step while it is being written: plain letters first, set in full once it is closed.

Parsing the whole of a growing text at each token costs seconds for a long answer; appending costs microseconds.
"""

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor, QTextDocument

from app.rendering.document import render_at
from app.rendering.style import TextStyle


class LiveText:
    """One step at the end of a document, which may hold earlier ones or nothing else."""

    def __init__(self, document: QTextDocument, style: TextStyle) -> None:
        self._style = style
        self._cursor = QTextCursor(document)
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        if self._cursor.block().length() > 1:
            self._cursor.insertBlock()
        self._start = self._cursor.position()
        self._format = QTextCharFormat()
        self._format.setFont(style.font)
        self._format.setForeground(QColor(style.ink))
        self.text = ""

    def append(self, text: str) -> None:
        """Shows more of the step, just as it comes."""
        self.text += text
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        self._cursor.insertText(text, self._format)

    def close(self) -> None:
        """Sets what has come, with its mathematics, in the place of the plain letters."""
        self._cursor.beginEditBlock()
        self._cursor.setPosition(self._start)
        self._cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        self._cursor.removeSelectedText()
        render_at(self._cursor, self.text, self._style)
        self._cursor.endEditBlock()
