"""The tokens of a piece, and for the chosen one what else it might have been."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.inspector.alternatives import Alternatives
from app.inspector.token_flow import MOST, TokenFlow, entropy, visible
from app.theme import Role
from app.widgets.controls import label
from core.thinking.pieces import Piece


class TokenStrip(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._piece: Piece | None = None
        self._title = label("", Role.HEADING)
        self._entropy = label("", Role.MUTED)
        self.alternatives = Alternatives()
        self._none = label("No alternatives were recorded (Settings, Alternatives).", Role.MUTED)
        self._none.setWordWrap(True)
        self.flow = TokenFlow()
        self.flow.token_chosen.connect(self._show_token)
        self._more = label("", Role.MUTED)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for widget in (self._title, self.alternatives, self._entropy, self._none, self.flow, self._more):
            column.addWidget(widget)

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
        self._entropy.setText(f"entropy {entropy(token):.2f} nats of the likeliest {len(token.alternatives)}")
        self._entropy.setVisible(bool(token.alternatives))
        self._none.setVisible(not token.alternatives)
