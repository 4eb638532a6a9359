"""The tokens of a piece, and for the chosen one what else it might have been."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QAccessible, QColor, QFontDatabase, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QListView, QListWidget, QSizePolicy, QWidget

from baton_reasoning.app.toolkit.controls import set_accessible_role
from baton_reasoning.app.toolkit.theme import blend, current_theme, ink_of
from baton_reasoning.core.thinking.events import TokenWritten

MOST = 600
"""Tokens that are listed."""
LINES = 6
"""Lines of the list in sight."""
BAR_SHARE = 0.52
"""The share of the width that a probability of 1 takes."""


class TokenList(QListWidget):
    """Lists tokens as they stand in the text; arrow keys go from one to the next."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSpacing(1)
        self.setAccessibleName("Tokens")

    def show_tokens(self, tokens: Sequence[TokenWritten], chosen: int) -> None:
        """Show the tokens of a piece, with its first as the chosen one or the one chosen before."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(QGuiApplication.font().pointSizeF())
        self.setFont(font)
        listed = [visible(token.text) for token in tokens[:MOST]]
        with QSignalBlocker(self):
            self.clear()
            self.addItems(listed)
            self.setCurrentRow(max(0, chosen) if listed else -1)
        self.setVisible(bool(listed))
        self.setFixedHeight(LINES * (self.fontMetrics().height() + 6))
        more = f", of {len(tokens):,} in all" if len(tokens) > MOST else ""
        self.setAccessibleDescription(f"{len(listed):,} tokens{more}")


class Alternatives(QWidget):
    """Bars for the likeliest tokens at one place; that which was written is bold."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token: TokenWritten | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Alternatives")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.updateGeometry)

    def show_token(self, token: TokenWritten | None) -> None:
        self._token = token
        found = token.alternatives if token else ()
        self.setVisible(bool(found))
        text = [f"{visible(each.text)} {chance(each.logprob)}" for each in found]
        self.setAccessibleDescription(", ".join(text))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, len(self._token.alternatives) * self._row if self._token else 0)

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._token is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, row = current_theme().colours, self._row
        ink = ink_of(self._token.author, colours)
        for index, (id, text, logprob) in enumerate(self._token.alternatives):
            written = id == self._token.id if id is not None else text == self._token.text
            width = max(2.0, math.exp(logprob) * BAR_SHARE * self.width())
            bar = QRectF(0, (index + 0.3) * row, width, 0.4 * row)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ink if written else blend(colours.surface, ink, 0.45)))
            painter.drawRoundedRect(bar, 2, 2)
            font = self.font()
            font.setBold(written)
            painter.setFont(font)
            painter.setPen(QColor(colours.text))
            words = QRectF(bar.right() + 7, index * row, self.width() - bar.right() - 7, row)
            painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, f"{visible(text)}  {chance(logprob)}")

    @property
    def _row(self) -> int:
        return self.fontMetrics().height() + 5


def chance(logprob: float) -> str:
    """Format a log-probability as a percentage: 12%, <1%."""
    probability = math.exp(logprob)
    return f"{probability:.0%}" if probability >= 0.005 else "<1%"


def visible(text: str) -> str:
    """Return a token with visible blanks and line ends."""
    return text.replace("\n", "↵").replace(" ", "·").replace("\t", "→") or "∅"
