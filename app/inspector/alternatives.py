"""What might have stood at a token's place: the likeliest tokens, each with a bar as long as its chance."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.inspector.token_flow import visible
from app.theme import blend, current_theme, ink_of
from core.thinking.events import TokenWritten

ROW = 21
BAR_SHARE = 0.52
"""Of the width, for a chance of 1."""


class Alternatives(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token: TokenWritten | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Alternatives")
        current_theme().changed.connect(self.update)

    def show_token(self, token: TokenWritten | None) -> None:
        self._token = token
        rows = len(token.alternatives) if token else 0
        self.setFixedHeight(rows * ROW + 2)
        self.setVisible(rows > 0)
        words = [f"{visible(a.text)} {math.exp(a.logprob):.2f}" for a in token.alternatives] if token else []
        self.setAccessibleDescription(", ".join(words))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._token is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = current_theme().colours
        ink = ink_of(self._token.author, colours)
        for row, (id, text, logprob) in enumerate(self._token.alternatives):
            written = id == self._token.id if id is not None else text == self._token.text
            chance = math.exp(logprob)
            bar = QRectF(0, row * ROW + 6, max(2.0, chance * BAR_SHARE * self.width()), 9)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ink if written else blend(colours.surface, ink, 0.45)))
            painter.drawRoundedRect(bar, 2, 2)
            font = self.font()
            font.setBold(written)
            painter.setFont(font)
            painter.setPen(QColor(colours.text))
            words = QRectF(bar.right() + 7, row * ROW, self.width() - bar.right() - 7, ROW)
            painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, f"{visible(text)}  {chance:.2f}")
