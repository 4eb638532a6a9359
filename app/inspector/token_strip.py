"""The tokens of a piece, and for the chosen one what else it might have been."""

from __future__ import annotations

import math
from bisect import bisect_right

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QFont,
    QFontDatabase,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.controls import label
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, blend, current_theme, ink_of
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Piece


class TokenStrip(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._piece: Piece | None = None
        self._title = label("", Role.HEADING, wrap=True)
        self._entropy = label("", Role.MUTED, wrap=True)
        self.alternatives = Alternatives()
        self._none = label("No alternatives were recorded (Settings, Alternatives).", Role.MUTED, wrap=True)
        self.flow = TokenFlow()
        self.flow.token_chosen.connect(self._show_token)
        self._more = label("", Role.MUTED, wrap=True)
        self.setLayout(
            vbox(self._title, self.alternatives, self._entropy, self._none, self.flow, self._more, margins=0, spacing=6)
        )

    def show_piece(self, piece: Piece, keep_choice: bool) -> None:
        """`keep_choice`: it is the same piece, and has grown."""
        self._piece = piece
        self.flow.show_tokens(piece.tokens)
        more = len(piece.tokens) - MOST
        self._more.setText(f"and {more:,} tokens more")
        self._more.setVisible(more > 0)
        if piece.tokens and (not keep_choice or self.flow.chosen < 0):
            self.flow.choose(0)
            self._show_token(0)

    def _show_token(self, index: int) -> None:
        if self._piece is None or not 0 <= index < len(self._piece.tokens):
            return
        token = self._piece.tokens[index]
        place = "First token" if index == 0 else f"Token {index + 1}, “{visible(token.text)}”"
        self._title.setText(f"{place}, {token.author.value} model")
        self.alternatives.show_token(token)
        self._entropy.setText(f"Entropy {token.entropy_or_estimate:.2f} nats")
        self._entropy.setVisible(bool(token.alternatives))
        self._none.setVisible(not token.alternatives)


ALTERNATIVE_ROW = 21
BAR_SHARE = 0.52
"""The share of the width that a probability of 1 takes."""


class Alternatives(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token: TokenWritten | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Alternatives")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.update)

    def show_token(self, token: TokenWritten | None) -> None:
        self._token = token
        rows = len(token.alternatives) if token else 0
        self.setFixedHeight(rows * ALTERNATIVE_ROW + 2)
        self.setVisible(rows > 0)
        text = [f"{visible(a.text)} {math.exp(a.logprob):.2f}" for a in token.alternatives] if token else []
        self.setAccessibleDescription(", ".join(text))
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
            bar = QRectF(0, row * ALTERNATIVE_ROW + 6, max(2.0, chance * BAR_SHARE * self.width()), 9)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ink if written else blend(colours.surface, ink, 0.45)))
            painter.drawRoundedRect(bar, 2, 2)
            font = self.font()
            font.setBold(written)
            painter.setFont(font)
            painter.setPen(QColor(colours.text))
            words = QRectF(bar.right() + 7, row * ALTERNATIVE_ROW, self.width() - bar.right() - 7, ALTERNATIVE_ROW)
            painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, f"{visible(text)}  {chance:.2f}")


MOST = 600
"""Tokens that are drawn; a longer piece says how many more there are."""
TORN = 1.5
"""Entropy in nats at which the underline is drawn in full."""
PAD = 2


class TokenFlow(QWidget):
    token_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens: list[TokenWritten] = []
        self._places: list[QRectF] = []
        self._chosen = -1
        self._height = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Tokens")
        set_accessible_role(self, QAccessible.Role.List)
        current_theme().changed.connect(self._arrange)

    @property
    def chosen(self) -> int:
        return self._chosen

    def show_tokens(self, tokens: list[TokenWritten]) -> None:
        self._tokens = tokens[:MOST]
        self._arrange()

    def choose(self, index: int) -> None:
        self._chosen = index if 0 <= index < len(self._tokens) else -1
        text = f"Token {index + 1}: {visible(self._tokens[index].text)}" if self._chosen >= 0 else ""
        self.setAccessibleDescription(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self._height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        colours = current_theme().colours
        for index, (token, place) in enumerate(zip(self._tokens, self._places, strict=True)):
            if not place.intersects(QRectF(event.rect())):
                continue
            ground = QColor(colours.selection if index == self._chosen else colours.panel)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground)
            painter.drawRoundedRect(place.adjusted(0.5, 0, -0.5, -3), 3, 3)
            painter.setPen(QColor(colours.text))
            painter.drawText(place.adjusted(0, 0, 0, -3), Qt.AlignmentFlag.AlignCenter, visible(token.text))
            if (share := min(token.entropy_or_estimate / TORN, 1.0)) > 0.05:
                line = QRectF(place.left() + 1, place.bottom() - 2.5, (place.width() - 2) * share, 2)
                painter.fillRect(line, QColor(colours.muted))
        if self.hasFocus() and 0 <= self._chosen < len(self._places):
            painter.setPen(QColor(colours.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self._places[self._chosen].adjusted(0.5, 0.5, -0.5, -2.5), 3, 3)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (index := self._at(event.position())) >= 0:
            self._take(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._tokens) - 1
        match event.key():
            case Qt.Key.Key_Right:
                self._take(min(self._chosen + 1, last))
            case Qt.Key.Key_Left:
                self._take(max(self._chosen - 1, 0))
            case Qt.Key.Key_Home:
                self._take(0)
            case Qt.Key.Key_End:
                self._take(last)
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return super().event(event)

    def _take(self, index: int) -> None:
        self.choose(index)
        self.token_chosen.emit(index)

    def _font(self) -> QFont:
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(self.font().pointSizeF() * 0.86)
        return font

    def _arrange(self) -> None:
        metrics = QFontMetricsF(self._font())
        line = metrics.height() + 6
        x = y = 0.0
        self._places = []
        for token in self._tokens:
            width = max(metrics.horizontalAdvance(visible(token.text)), 4.0) + 2 * PAD
            if x and x + width > self.width():
                x, y = 0.0, y + line
            self._places.append(QRectF(x, y, width, line - 1))
            x += width
            if token.text.endswith("\n"):
                x, y = 0.0, y + line
        height = math.ceil(self._places[-1].bottom()) + 2 if self._places else 0
        if height != self._height:
            self._height = height
            self.setFixedHeight(height)
        self.update()

    def _at(self, point: QPointF) -> int:
        found = bisect_right(self._places, point.y(), key=lambda place: place.top())
        for index in range(found - 1, -1, -1):
            if self._places[index].contains(point):
                return index
            if self._places[index].bottom() < point.y():
                break
        return -1


def visible(text: str) -> str:
    """Return a token with visible blanks and line ends."""
    return text.replace("\n", "↵").replace(" ", "·").replace("\t", "→") or "∅"
