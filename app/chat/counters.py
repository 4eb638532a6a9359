"""The line below the composer: what the run costs, while it runs."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QWidget

from app.chat.wording import count, seconds
from app.theme import SIGN, Role, current_theme, set_role
from app.widgets.controls import label
from core.engines.body import Author
from core.thinking.trace import Trace

SMALLER = 0.9
NEARLY_FULL = 0.9


class Counters(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = label("", Role.MUTED)
        self._nearly_full = False
        self.small, self.large = label("", Role.SMALL), label("", Role.LARGE)
        self.share, self.handoff = label("", Role.MUTED), label("", Role.MUTED)
        for name, widget in {
            "Context used": self.context,
            "Small model": self.small,
            "Large model": self.large,
            "Large share": self.share,
            "Last handoff": self.handoff,
        }.items():
            widget.setToolTip(name)
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setPrefix("seed ")
        self.seed.setAccessibleName("Seed")
        self.seed.setToolTip("The same seed repeats an answer on the same local models")
        self.seed.setFrame(False)
        self.seed.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 0, 2, 0)
        row.setSpacing(18)
        for widget in self._labels():
            row.addWidget(widget)
        row.addStretch()
        row.addWidget(self.seed)
        current_theme().changed.connect(self._shrink)
        self._shrink()

    def follow(self, trace: Trace | None, draft_tokens: int = 0) -> None:
        """Show the run; `draft_tokens`: what the text in the composer would add."""
        if trace is None or trace.started is None:
            for widget in self._labels():
                widget.clear()
            self.context.setText(count(draft_tokens, "token") + " to send" if draft_tokens else "")
            return
        cards = [card for card in (trace.started.small, trace.started.large) if card]
        used = trace.started.prompt_tokens + trace.tokens
        room = min((card.context for card in cards), default=0)
        self.context.setText(f"Context {used:,} / {room:,}")
        nearly_full = bool(room) and used > NEARLY_FULL * room
        if nearly_full is not self._nearly_full:
            self._nearly_full = nearly_full
            set_role(self.context, Role.DANGER if nearly_full else Role.MUTED)
        self._speak(self.small, trace, Author.SMALL)
        self._speak(self.large, trace, Author.LARGE)
        self.share.setText(f"large share {trace.large_share:.0%}")
        last = next((piece.handoff for piece in reversed(trace.pieces) if piece.handoff), None)
        self.handoff.setText(f"handoff {seconds(last.seconds)} ({last.reused:,} tokens reused)" if last else "")

    def _labels(self) -> tuple[QLabel, ...]:
        return self.context, self.small, self.large, self.share, self.handoff

    def _speak(self, widget: QLabel, trace: Trace, author: Author) -> None:
        total = trace.totals[author]
        words = f"{SIGN[author]} {count(total.kept, 'token')}"
        if total.tokens_per_second:
            words += f" · {total.tokens_per_second:.0f} tok/s"
        widget.setText(words if total.decoded else "")

    def _shrink(self) -> None:
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * SMALLER)
        for widget in (*self._labels(), self.seed):
            widget.setFont(font)
