"""The line below the composer: context, speed of each model, last handoff, seed, and cost of the run."""

from __future__ import annotations

from PySide6.QtCore import QRegularExpression, QTimer, Signal
from PySide6.QtGui import QRegularExpressionValidator, QResizeEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from baton_reasoning.app.shared.format import count, duration, money
from baton_reasoning.app.shared.labels import bill_text, is_paced, tokens_text
from baton_reasoning.app.shared.theme import SIGN, Role, current_theme, set_role
from baton_reasoning.app.shared.widgets.controls import label
from baton_reasoning.app.shared.widgets.layout import Spacer, hbox, vbox
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Trace

SMALLER = 0.9
NEARLY_FULL = 0.9
GAP, EDGE = 16, 2
"""Pixels between two counters, and at the ends of the line."""
SEED, LARGEST_SEED = QRegularExpression("[0-9]{0,10}"), 2**31 - 1
"""What can be typed as a seed: an empty field is 0, too."""


class Counters(QWidget):
    seed_given = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = label("", Role.MUTED)
        self._nearly_full = False
        self.small, self.large = label("", Role.SMALL), label("", Role.LARGE)
        self.handoff = label("", Role.MUTED)
        for name, widget in {
            "Context used, of what both models hold": self.context,
            "Small model": self.small,
            "Large model": self.large,
            "What the model that writes now had to read first (a handoff)": self.handoff,
        }.items():
            widget.setToolTip(name)
        self.seed = QLineEdit()
        self.seed.setValidator(QRegularExpressionValidator(SEED, self.seed))
        self.seed.setAccessibleName("Seed")
        self.seed.setToolTip("Seed of the next problem. The same seed repeats an answer on the same local models")
        self.seed.editingFinished.connect(self._take_seed)
        set_role(self.seed, Role.BARE)
        self._seed_name = label("next seed", Role.MUTED)
        self._seed_name.setBuddy(self.seed)
        self._followed: Trace | None = None
        self._pace = 0.0
        self.bills = {Author.SMALL: label("", Role.SMALL), Author.LARGE: label("", Role.LARGE)}
        """What each server did, a line each; hidden where no model is on one."""
        row = hbox(*self._labels(), Spacer(0), self._seed_name, 4 - GAP, self.seed, spacing=GAP)
        for bill in self.bills.values():
            bill.hide()
        self.setLayout(vbox(row, *self.bills.values(), margins=(EDGE, 0, EDGE, 0), spacing=2))
        current_theme().changed.connect(self._use_small_font)
        self._use_small_font()

    def follow(self, trace: Trace | None) -> None:
        if trace is None or trace.started is None:
            for widget in self._labels():
                widget.clear()
            for widget in self.bills.values():
                widget.hide()
            self._fit()
            return
        if trace is not self._followed:
            self._followed = trace
            for widget in self._labels():
                widget.setMinimumWidth(0)
        cards = [card for card in (trace.started.small, trace.started.large) if card]
        used = trace.started.prompt_tokens + trace.tokens
        context = min((card.context for card in cards), default=0)
        self.context.setText(f"Context {used:,} / {context:,}")
        nearly_full = bool(context) and used > NEARLY_FULL * context
        if nearly_full is not self._nearly_full:
            self._nearly_full = nearly_full
            set_role(self.context, Role.DANGER if nearly_full else Role.MUTED)
        self._show_speed(self.small, trace, Author.SMALL)
        self._show_speed(self.large, trace, Author.LARGE)
        for author, widget in self.bills.items():
            self._show_usage(widget, trace, author)
        self.handoff.setText(reading_text(trace))
        for widget in self._labels():  # it may grow while the text is written, but what is beside it never moves back
            widget.setMinimumWidth(max(widget.minimumWidth(), widget.sizeHint().width() if widget.text() else 0))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._fit)  # hiding a part here would lay out again what is being laid out

    def show_pace(self, pace: float) -> None:
        """Take over the demo's speed limit in tokens a second, 0 for none; answers at it are called paced."""
        self._pace = pace

    def show_seed(self, seed: int) -> None:
        self.seed.setText(str(seed))
        self._fit_seed()

    def _take_seed(self) -> None:
        seed = min(int(self.seed.text() or 0), LARGEST_SEED)
        self.show_seed(seed)
        self.seed_given.emit(seed)

    def _labels(self) -> tuple[QLabel, ...]:
        return self.context, self.small, self.large, self.handoff

    def _fit(self) -> None:
        """Hide what does not fit: first what stands elsewhere, too, as the handoff does in its step."""
        parts: list[tuple[QWidget, ...]] = [(self.handoff,), (self._seed_name, self.seed)]
        parts += [(self.large,), (self.small,), (self.context,)]
        width = self.width() - 2 * EDGE
        shown = 0
        for widgets in reversed(parts):
            needed = sum(max(each.sizeHint().width(), each.minimumWidth()) + GAP for each in widgets)
            has_text = all(each.text() for each in widgets if isinstance(each, QLabel))
            fits = has_text and shown + needed - GAP <= width
            shown += needed if fits else 0
            for each in widgets:
                each.setVisible(fits)

    def _fit_seed(self) -> None:
        wanted = self.seed.fontMetrics().horizontalAdvance(self.seed.text() + "00") + 16
        self.seed.setFixedWidth(max(wanted, self.seed.minimumSizeHint().width()))

    def _show_usage(self, widget: QLabel, trace: Trace, author: Author) -> None:
        bill, started = trace.usage.get(author), trace.started
        card = started and (started.small if author is Author.SMALL else started.large)
        widget.setVisible(bill is not None)
        if bill and card:
            text = f"{SIGN[author]} {card.location}: {tokens_text(bill)}"
            spent = money(bill.money, bill.currency)
            widget.setText(f"{text} · {spent}" if spent else text)
            widget.setToolTip(bill_text(bill))

    def _show_speed(self, widget: QLabel, trace: Trace, author: Author) -> None:
        total = trace.totals[author]
        speed = f"{total.tokens_per_second:,.0f} tok/s" if total.tokens_per_second else ""
        if speed and is_paced(trace, self._pace):
            speed = "paced"
        widget.setText(f"{SIGN[author]} {speed}" if total.decoded and speed else "")
        widget.setToolTip(f"Speed of the {author.value} model; it wrote {count(total.kept, 'token')}")

    def _use_small_font(self) -> None:
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * SMALLER)
        for widget in (*self._labels(), *self.bills.values(), self._seed_name, self.seed):
            widget.setFont(font)
        for widget in self._labels():
            widget.setMinimumWidth(0)
        self._fit_seed()
        self._fit()


def reading_text(trace: Trace) -> str:
    """Return what the last writer had to read: “Prompt read in 6.2 s”, later “◆ read 48 tokens in 20 ms”."""
    last = next((piece for piece in reversed(trace.pieces) if piece.handoff), None)
    if last is None or last.handoff is None:
        return ""
    time = duration(last.handoff.seconds)
    is_first = last is trace.pieces[0]
    return (
        f"Prompt read in {time}"
        if is_first
        else f"{SIGN[last.author]} read {count(last.handoff.prefilled, 'token')} in {time}"
    )
