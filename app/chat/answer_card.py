"""The answer on a sheet of its own, signed by who wrote it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.chat.answer_text import AnswerText
from app.chat.typesetting import Typesetter
from app.chat.wording import WHO
from app.theme import SIGN, Role, set_role
from app.widgets.controls import label
from core.engines.body import Author
from core.thinking.trace import Trace

ROLES = {Author.SMALL: Role.SMALL, Author.LARGE: Role.LARGE}


class AnswerCard(QFrame):
    """Hidden while there is no answer."""

    def __init__(self, typesetter: Typesetter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self.text = AnswerText(typesetter)
        self._writer = label()
        inside = QHBoxLayout(self)
        inside.setContentsMargins(13, 11, 14, 6)
        inside.setSpacing(12)
        inside.addWidget(self._writer, 0, Qt.AlignmentFlag.AlignTop)
        inside.addWidget(self.text, 1)

    def follow(self, trace: Trace, live: bool) -> None:
        """Show the answer as it stands, with the sign of who wrote it, or its end if both did."""
        self.setVisible(self.text.follow(trace, live))
        last = next((piece for piece in reversed(trace.pieces) if piece.in_answer), None)
        if last and last.author in ROLES and self._writer.text() != SIGN[last.author]:
            self._writer.setText(SIGN[last.author])
            self._writer.setToolTip(f"Answered by {WHO[last.author]}")
            set_role(self._writer, ROLES[last.author])
